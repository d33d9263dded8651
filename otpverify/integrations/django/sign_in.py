"""Sign in or up by phone, without a password. The rule is `otpverify.integrations.web.sign_in`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib.auth import get_user_model, load_backend, login
from django.contrib.auth.models import AbstractUser
from django.contrib.auth.signals import user_login_failed
from django.contrib.auth.views import RedirectURLMixin
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import UniqueConstraint
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.crypto import get_random_string
from django.utils.http import url_has_allowed_host_and_scheme

from otpverify import (
    ChallengeExpired,
    IncorrectAnswer,
    OtpVerifyError,
    Verified,
)
from otpverify.integrations.django import accounts, api, conf, requests
from otpverify.integrations.django.base import FlowView
from otpverify.integrations.django.forms import PhoneForm
from otpverify.integrations.django.requests import lazy_text as _
from otpverify.integrations.django.signals import sign_in_verified
from otpverify.integrations.web.attempts import count_attempt, is_attempt
from otpverify.integrations.web.notices import Carried, Notice
from otpverify.integrations.web.outcome import Outcome, Page
from otpverify.integrations.web.problems import SignInRefused, explained
from otpverify.integrations.web.sentences import CONFIRM_FIRST
from otpverify.integrations.web.session import Proof, Recipient, get_value, put_value
from otpverify.integrations.web.sign_in import PURPOSE, Match, SignIn, Standing

_ENTRY = "sign-in"
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


class SignInView(RedirectURLMixin, FlowView):
    """A number, then a code: the account that has the number is signed in.

    Without `sign_up` there are existing accounts only. The pages do not show whether a number has
    one: the flow is concealed, and messages are delivered in the background. With `sign_up` every
    number gets a code, and after a right code a new number gets an account.

    A code alone signs in. Accounts that must have a second factor are refused in `may_sign_in`.

    Attributes:
        sign_up: Whether new numbers get an account. If left out, as `OTPVERIFY["SIGN_UP"]` says.
        sign_up_form_class: Asks for what else a new account needs, on a page after the code. A
            `ModelForm` of the user model is saved with the number.
        backend: The dotted path of the authentication backend of the session. If left out, the
            first of `AUTHENTICATION_BACKENDS` that knows the user.
        redirect_authenticated_user, next_page, redirect_field_name, success_url_allowed_hosts: As
            for Django's `LoginView`.
    """

    flow = "signin"
    folder = "sign-in"
    purpose = PURPOSE
    public = True
    concealed: bool = True
    after_code: ClassVar[str] = "account"
    pages: ClassVar[dict[str, str]] = {
        **{step: end for step, end in FlowView.pages.items() if step != "done"},
        "account": "account/",
    }
    titles: ClassVar[dict[str, Any]] = {**FlowView.titles, "first": _("Sign in")}
    hooks: ClassVar[tuple[str, ...]] = (
        *FlowView.hooks,
        "find_users",
        "may_sign_in",
        "get_owner_form_class",
        "create_user",
    )
    sign_up: bool | None = None
    sign_up_form_class: Any = None
    backend: str | None = None
    redirect_authenticated_user = False
    form_class: type[forms.BaseForm] = PhoneForm
    template_name: str = "otpverify/sign_in.html"
    account_template_name = "otpverify/account.html"

    # Hooks.

    def find_users(self, phone: str) -> list[Any]:
        """All accounts with this phone, in E.164, those that may not sign in included: by
        `FIND_USERS`, or else by `PHONE_FIELD`."""
        return requests.find_users(phone)

    def may_sign_in(self, user: Any) -> bool:
        """Whether an account may sign in with a code alone. Active ones may."""
        return bool(user.is_active)

    def get_owner_form_class(self, user: Any) -> Any:
        """The class of a form that the person must fill in before this account is signed in, or
        `None`. Numbers get new owners: ask for something that only the account's owner knows if
        the account was not used for long, such as by `user.last_login`. The form is made as
        Django's `SetPasswordForm`: `form_class(user, data)`. Each form that is not valid sends
        Django's `user_login_failed`; an account gets 5 in a quarter of an hour, and 20 a day."""
        return None

    def create_user(self, verified: Verified, form: Any) -> Any:
        """Create the account of a new number, and return it. The proof is used up by now: a form
        says before whether another account has one of its values. Fields with the names of unique
        fields of the user model are looked at in every form.

        Args:
            verified: What the code proved: the number is `verified.phone`.
            form: The valid form of `sign_up_form_class`; `None` without one.
        """
        field, model = requests.phone_field(), _model()
        user: Any = form.save(commit=False) if isinstance(form, ModelForm) else model()
        if model.USERNAME_FIELD not in (field, *_fields(form)):
            user.username = f"user-{get_random_string(12, _LETTERS)}"
        setattr(user, field, verified.phone)
        if not user.password:
            user.set_unusable_password()
        user.save()
        if isinstance(form, ModelForm):
            form.save_m2m()
        return user

    # How a request is answered.

    @property
    def signs_up(self) -> bool:
        """Whether new numbers get an account."""
        return bool(conf.option("SIGN_UP") if self.sign_up is None else self.sign_up)

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        """See `View`.

        Raises:
            ImproperlyConfigured: New accounts cannot be created with what is set.
        """
        super().setup(request, *args, **kwargs)
        if self.signs_up:
            self.concealed = False
            self._require_creation()

    def _require_creation(self) -> None:
        """Check that accounts can be created, before a message is sent for one."""
        if type(self).create_user is not SignInView.create_user:
            return
        field, model = requests.phone_field(), _model()
        named = model.USERNAME_FIELD in (field, *_fields(self.sign_up_form_class))
        random = issubclass(model, AbstractUser) and model.USERNAME_FIELD == "username"
        if "__" in field or not (named or random):
            raise ImproperlyConfigured(
                f"{type(self).__name__} does not know how to create an account: override "
                "create_user(verified, form), or set sign_up_form_class to a ModelForm with the "
                f"field {model.USERNAME_FIELD!r}."
            )

    def get_default_redirect_url(self) -> str:
        """The page after a sign-in without `next`: `next_page`, or `LOGIN_REDIRECT_URL`."""
        return str(resolve_url(self.next_page or settings.LOGIN_REDIRECT_URL))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """See `FormMixin`; with `next`, and with the address of the login with a password, where
        it is mounted beside."""
        context = super().get_context_data(**kwargs)
        if self.step == "first" and self.signs_up:
            context["title"] = _("Sign in or create an account")
        return {**context, "next": self.get_redirect_url(), "login_url": self.beside("login")}

    def get_recipient(self, form: Any) -> Recipient | HttpResponseBase:
        """The number."""
        return Recipient.typed(form.cleaned_data["phone"])

    async def exists(self, to: Recipient) -> bool:
        """Whether a message goes out."""
        return await self._rule.exists(to.phone)

    @property
    def _rule(self) -> SignIn[Any]:
        return SignIn(
            self.web_flow,
            find=lambda phone: self.call(self.find_users, phone),
            may_sign_in=lambda user: self.call(self.may_sign_in, user),
            sign_up=self.signs_up,
        )

    async def get_first(self) -> HttpResponseBase:
        """The form for the number."""
        if self.redirect_authenticated_user and await self.person() is not None:
            target = self.get_success_url()
            if target == self.request.path:
                raise ValueError(
                    "LOGIN_REDIRECT_URL leads to the page that sends signed-in users there."
                )
            return HttpResponseRedirect(target)
        return await super().get_first()

    async def start(self, to: Recipient) -> Outcome:
        """Send the first code, and keep the page that the person wanted."""
        outcome = await super().start(to)
        if outcome.saved:
            put_value(self.request.session, _ENTRY, {"next": self.get_redirect_url()})
        return outcome

    async def post_code(self) -> HttpResponseBase:
        """Check the code."""
        self._number = self.typed_before()  # the last attempt ends the challenge
        return await super().post_code()

    async def refused(self, error: OtpVerifyError, user: Any) -> None:
        """See `FlowView`. An attempt is a failed login, too."""
        await super().refused(error, user)
        if is_attempt(error):
            await self._failed(self._number)

    async def _failed(self, phone: str) -> None:
        await self.signal(user_login_failed, sender=__name__, credentials={"phone": phone})

    async def succeed(self, outcome: Outcome, verified: Verified) -> HttpResponseBase:
        """Sign in, or go on to the page that asks for more."""
        return await self._conclude(proved=verified)

    # The page after the code: what a new account needs, what the owner of an old one knows, or why
    # the person is not signed in.

    async def get_account(self) -> HttpResponseBase:
        """What is asked for, or why the person is not signed in."""
        carried = self.carried("account")
        gone = await self.gone_on(carried)
        if gone is not None and getattr(gone, "url", None) != self.address("account"):
            return gone
        match = await self._rule.current()
        if match is None:
            if await self.finished() is not None:
                return await self.go_next()
            return self.to("first", Carried(Notice(CONFIRM_FIRST, error=False)))
        form = await self._account_form(match)
        return await self.reply(self._account_page, match, form, carried)

    async def post_account(self) -> HttpResponseBase:
        """Take what was asked for: create the account, or sign in."""
        match = await self._rule.current()
        if match is None:
            return self.refuse(ChallengeExpired())
        form = await self._account_form(match, self.data)
        try:
            valid = form is None or await self._is_valid(form, match)
        except OtpVerifyError as error:
            return self.refuse(explained(error), step="account")
        if not valid:
            entry = self.web_flow.entry
            if match.account is not None and entry is not None:
                await self._failed(entry.subject)
            if self.wants_json:
                return api.invalid(form, entry)
            return await self.reply(self._account_page, match, form)
        return await self._conclude(match, form)

    async def _is_valid(self, form: Any, match: Match[Any]) -> bool:
        """Whether the form is valid. What the owner of an account knows can be guessed, so forms
        that are not valid are counted in the verifier's store, for each account.

        Raises:
            RateLimited: Too many were not.
            StoreError: The store cannot answer.
        """

        async def judge() -> None:
            valid = await self.call(form.is_valid)
            if valid and match.account is None:
                valid = await self.call(_is_free, form)
            if not valid:
                raise IncorrectAnswer

        try:
            if match.account is None:
                await judge()
            else:
                account = accounts.key(match.account)
                await count_attempt(self.web_flow.verifier, judge, "owner", account)
        except IncorrectAnswer:
            return False
        return True

    async def _account_form(self, match: Match[Any], data: Any = None) -> Any:
        """The form that the number needs; `None` if it needs none."""
        if match.standing is Standing.NEW and self.sign_up_form_class is not None:
            return await self.call(lambda: self.sign_up_form_class(data=data))
        kind = None
        if match.account is not None:
            kind = await self.call(self.get_owner_form_class, match.account)
        return None if kind is None else await self.call(lambda: kind(match.account, data))

    def _account_page(
        self, match: Match[Any], form: Any, carried: Carried | None = None
    ) -> HttpResponseBase:
        if match.standing is Standing.REFUSED:
            carried = Carried(Notice.of(SignInRefused()))
        title = _("Create your account") if match.standing is Standing.NEW else _("Sign in")
        entry = self.web_flow.entry
        for field in list(form.fields.values())[:1] if form is not None else ():
            field.widget.attrs["autofocus"] = True
        return self.render_form(
            [self.account_template_name],
            form,
            carried,
            title=title,
            refused=match.standing is Standing.REFUSED,
            phone="" if entry is None else entry.subject,
        )

    async def _conclude(
        self, given: Match[Any] | None = None, form: Any = None, proved: Verified | None = None
    ) -> HttpResponseBase:
        """Use the proof up and sign in; or say what is missing.

        Args:
            given: What the number meant when the form was shown.
            form: The valid form; `None` if none is asked for.
            proved: What the code of this request proved.
        """

        async def create(verified: Verified) -> Any:
            try:
                return await self.call(self._create, verified, form)
            except IntegrityError:  # another request was faster
                return None

        async def hold(user: Any) -> Any:
            if given is not None and given.account == user:
                return None
            return await self.call(self.get_owner_form_class, user)

        incomplete = given is None and self.sign_up_form_class is not None
        signed_in = await self._rule.finish(None if incomplete else create, hold)
        outcome = replace(signed_in.outcome, saved=signed_in.outcome.saved or proved is not None)
        step = signed_in.step
        if step == "signed_in" and outcome.verified is not None:
            verified = outcome.verified
            response = await self.reply(self._enter, signed_in.account)
            await self.signal(
                sign_in_verified,
                user=signed_in.account,
                verified=verified,
                created=signed_in.created,
            )
            self.finish(verified, response)
            return self._answer(outcome, response, step)
        if proved is not None and outcome.proof is not None:
            # The proof waits for a form: a key that somebody planted must not lead to it.
            await self.call(self.request.session.cycle_key)
            self.finish(proved, self.go("account"))
        if outcome.error is not None:
            return self.follow(outcome, step="account" if outcome.page is Page.NEXT else "")
        return self._answer(outcome, self.go("account"), step)

    def _answer(self, outcome: Outcome, response: HttpResponseBase, step: str) -> HttpResponseBase:
        return api.succeeded(outcome, response, sign_in=step) if self.wants_json else response

    def _create(self, verified: Verified, form: Any) -> Any:
        with transaction.atomic():
            return self.create_user(verified, form)

    def _enter(self, user: Any) -> HttpResponseBase:
        """Sign the user in, in a new session."""
        held = get_value(self.request.session, _ENTRY)
        wanted = str(held.get("next") or "") if isinstance(held, Mapping) else ""
        login(self.request, user, backend=self.backend or _backend_of(user))
        safe = url_has_allowed_host_and_scheme(
            wanted, self.get_success_url_allowed_hosts(), require_https=self.request.is_secure()
        )
        return HttpResponseRedirect(wanted if safe else self.get_default_redirect_url())

    async def finished(self) -> Mapping[str, Any] | None:
        """See `FlowView`. It ended as long as the person is signed in, or the proof waits."""
        waits = isinstance(self.web_flow.entry, Proof)
        return await super().finished() if waits or await self.person() is not None else None


def _model() -> Any:
    return get_user_model()


def _fields(form: Any) -> tuple[str, ...]:
    """The names of the fields of a form or of its class."""
    return () if form is None else tuple(form.base_fields)


def _is_free(form: Any) -> bool:
    """Whether no account has a value of the form that only one account may have; otherwise the form
    says which. A `ModelForm` has looked, and another form has not: the database would refuse the
    account once the proof is used up. The phone is not looked at, see `web.sign_in`."""
    model = _model()
    fields = [one for one in model._meta.concrete_fields if not one.is_relation]
    named = {one.name for one in fields if not one.primary_key} & form.cleaned_data.keys()
    named.discard(str(conf.option("PHONE_FIELD")))
    account = model(**{name: form.cleaned_data[name] for name in named})
    others = {one.name for one in model._meta.get_fields()} - named
    alone = [one for one in model._meta.constraints if isinstance(one, UniqueConstraint)]
    for validate in (
        account.validate_unique,
        *(partial(one.validate, model, account) for one in alone),
    ):
        try:
            validate(exclude=others)
        except ValidationError as error:
            form.add_error(None, error)
            return False
    return True


def _backend_of(user: Any) -> str:
    """The first backend that knows a user. Some, such as those that only count attempts, know
    none."""
    for path in settings.AUTHENTICATION_BACKENDS:
        if load_backend(path).get_user(user.pk) is not None:
            return str(path)
    raise ImproperlyConfigured("No backend of AUTHENTICATION_BACKENDS knows the user.")
