"""The hooks of views: bindings, verifiers by request, `async def`, and proofs for views of one's
own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django import forms
from django.contrib.auth import get_user_model, login as sign_in, logout as sign_out
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.test import override_settings
from django.urls import include, path as route
from django_support import ACCOUNT_PHONE, BASE, Person, both, login, urlconf
from freezegun.api import FrozenDateTimeFactory
from support import PHONE, QUICK

from otpverify import (
    AsyncVerifier,
    ConfigurationError,
    IncorrectCode,
    MemoryStore,
    Messages,
    OtpVerifyError,
    Policy,
    StoreError,
    Verified,
    Verifier,
)
from otpverify.integrations.django.conf import averifier_for, verifier_for
from otpverify.integrations.django.views import (
    AsyncFlow,
    AsyncLoginView,
    AsyncPasswordResetView,
    AsyncPhoneView,
    FlowView,
    LoginView,
    PasswordResetView,
    PhoneView,
    Recipient,
    aconfirmed_phone,
    aredeem_phone,
    confirmed_phone,
    redeem_phone,
)
from otpverify.integrations.web.problems import ProofRequired
from otpverify.testing import OutboxSender
from otpverify.testing.outbox import AsyncOutboxSender

# Bindings.


class Pay(FlowView):
    """Approves a payment by the phone of the account, which the test signs in."""

    flow = "pay"
    purpose = "payment"
    form_class = forms.Form
    template_name = "otpverify/first.html"

    def get_binding(self) -> Mapping[str, str] | None:
        return {"amount": f"{self.kwargs['amount']}.00 EUR", "payee": "Bob <b>"}

    def get_recipient(self, form: Any) -> Recipient:
        return Recipient(ACCOUNT_PHONE, "7")

    def get_phone(self, subject: str) -> str | None:
        return ACCOUNT_PHONE if subject == "7" else None

    def code_valid(self, verified: Verified) -> HttpResponseBase:
        return HttpResponse(f"Paid {self.kwargs['amount']}")


class AsyncPay(AsyncFlow, Pay):
    async def get_binding(self) -> Mapping[str, str] | None:  # type: ignore[override]  # it is awaited
        await asyncio.sleep(0)
        return super().get_binding()


@pytest.fixture(params=[Pay, AsyncPay])
def paying(request: pytest.FixtureRequest, outbox: OutboxSender) -> Any:
    policy = Policy(resend_cooldown_seconds=0)
    options = {**BASE, "SENDER": outbox, "POLICY": policy}
    with (
        override_settings(OTPVERIFY=options),
        urlconf(route("<int:amount>/", include(request.param.urls()))),
    ):
        yield Person("async" if request.param is AsyncPay else "sync", prefix="")


def test_a_code_for_one_payment_pays_no_other(paying: Person, outbox: OutboxSender) -> None:
    page = paying.send("/2500/pay/")
    assert page.path == "/2500/pay/code/"
    assert "<dt>amount</dt><dd>2500.00 EUR</dd>" in page.html
    assert "Bob &lt;b&gt;" in page.html
    assert "2500.00 EUR" in outbox.last.text
    code = outbox.code()
    page = paying.send("/999999/pay/code/", code=code)
    assert (page.heading, "expired" in page.said) == ("", True)
    assert page.path == "/999999/pay/"
    assert paying.send("/2500/pay/code/", code=code).html == "Paid 2500"


def test_a_challenge_for_one_payment_is_no_code_page_of_another(
    paying: Person, outbox: OutboxSender
) -> None:
    paying.send("/2500/pay/")
    assert paying.open("/999999/pay/code/").path == "/999999/pay/"
    status, body = paying.json("post", "/999999/pay/resend/")
    assert (status, body["type"]) == (410, "urn:otpverify:problem:challenge-expired")
    assert len(outbox) == 1
    assert paying.json("get", "/2500/pay/status/")[1]["state"] == "pending"


class BoundPhone(PhoneView):
    def get_binding(self) -> Mapping[str, str] | None:
        return {"plan": "gold"}


@pytest.mark.parametrize("hook", ["get_recipient", "get_deliver", "code_valid"])
def test_a_flow_of_ones_own_must_have_its_hooks(hook: str) -> None:
    with pytest.raises(NotImplementedError):
        getattr(FlowView(), hook)(None)


def test_a_bound_proof_is_redeemed_with_its_binding_alone(outbox: OutboxSender) -> None:
    def redeem(request: HttpRequest) -> HttpResponse:
        plan = request.GET.get("plan")
        binding = {"plan": plan} if plan else None
        found = confirmed_phone(request, binding=binding)
        try:
            assert redeem_phone(request, binding=binding).phone == found
        except ProofRequired:
            assert found is None
            return HttpResponse("no")
        return HttpResponse("yes")

    with urlconf(*BoundPhone.urls(), route("redeem/", redeem)):
        person = Person("sync", prefix="")
        person.send("/phone/", phone=PHONE)
        assert "gold" in outbox.last.text
        person.send("/phone/code/", code=outbox.code())
        said = [
            person.open(f"/redeem/?plan={plan}").html for plan in ("", "silver", "gold", "gold")
        ]
        assert said == ["no", "no", "yes", "no"]


# Proofs of a confirmed phone.


def confirm_views() -> list[Any]:
    def confirmed(request: HttpRequest) -> HttpResponse:
        age = request.GET.get("age")
        return HttpResponse(confirmed_phone(request, max_age=float(age) if age else None) or "none")

    async def aconfirmed(request: HttpRequest) -> HttpResponse:
        age = request.GET.get("age")
        found = await aconfirmed_phone(request, max_age=float(age) if age else None)
        return HttpResponse(found or "none")

    def redeem(request: HttpRequest) -> HttpResponse:
        try:
            return HttpResponse(redeem_phone(request, max_age=300).phone)
        except OtpVerifyError as error:
            return HttpResponse(type(error).__name__)

    async def aredeem(request: HttpRequest) -> HttpResponse:
        try:
            return HttpResponse((await aredeem_phone(request, max_age=300)).phone)
        except OtpVerifyError as error:
            return HttpResponse(type(error).__name__)

    def enter(request: HttpRequest) -> HttpResponse:
        user = get_user_model().objects.get(username="ann")
        sign_in(request, user, backend="django.contrib.auth.backends.ModelBackend")
        return HttpResponse("in")

    def leave(request: HttpRequest) -> HttpResponse:
        sign_out(request)
        return HttpResponse("out")

    return [
        *PhoneView.urls(),
        *LoginView.urls(),
        *(route(f"async/{end.pattern}", end.callback) for end in AsyncPhoneView.urls()),
        route("confirmed/", confirmed),
        route("async/confirmed/", aconfirmed),
        route("redeem/", redeem),
        route("async/redeem/", aredeem),
        route("enter/", enter),
        route("leave/", leave),
    ]


ENGINES = ["db", "signed_cookies"]


@pytest.fixture(params=ENGINES)
def confirming(request: pytest.FixtureRequest, user: Any) -> Any:
    engine = f"django.contrib.sessions.backends.{request.param}"
    with urlconf(*confirm_views()), override_settings(SESSION_ENGINE=engine):
        yield request.param


def confirm(outbox: OutboxSender) -> Person:
    person = Person("sync", prefix="")
    person.send("/phone/", phone=PHONE)
    assert person.send("/phone/code/", code=outbox.code()).heading == "Phone confirmed"
    return person


@pytest.mark.parametrize("prefix", ["", "/async"])
def test_a_confirmation_has_an_age(
    confirming: str, outbox: OutboxSender, clock: FrozenDateTimeFactory, prefix: str
) -> None:
    person = confirm(outbox)
    path = f"{prefix}/confirmed/"
    assert person.open(path).html == PHONE
    clock.tick(299)
    assert person.open(f"{path}?age=300").html == PHONE
    clock.tick(2)
    assert person.open(f"{path}?age=300").html == "none"
    assert person.open(f"{prefix}/redeem/").html == "ProofRequired"
    assert person.open(path).html == PHONE
    clock.tick(300)
    assert person.open(path).html == "none", "the policy's age"
    assert person.open(f"{path}?age=100000").html == "none"


@pytest.mark.parametrize("prefix", ["", "/async"])
def test_a_confirmed_phone_serves_once(confirming: str, outbox: OutboxSender, prefix: str) -> None:
    person = confirm(outbox)
    cookie = person.client.cookies["sessionid"].value
    assert person.open(f"{prefix}/redeem/").html == PHONE
    assert person.open(f"{prefix}/confirmed/").html == "none"
    assert person.open("/phone/done/").heading == "Phone confirmed", "the page still says so"
    person.client.cookies["sessionid"] = cookie
    assert person.open(f"{prefix}/redeem/").html == "ProofRequired"


def test_a_planted_key_does_not_lead_to_the_confirmed_phone(
    confirming: str, outbox: OutboxSender
) -> None:
    person = Person("sync")
    person.send("/phone/", phone=PHONE)
    attacker = person.another()
    attacker.client.cookies["sessionid"] = person.client.cookies["sessionid"].value
    person.send("/phone/code/", code=outbox.code())
    assert attacker.open("/confirmed/").html == "none"
    assert attacker.open("/redeem/").html == "ProofRequired"
    assert person.open("/confirmed/").html == PHONE


@pytest.mark.parametrize("by", ["code", "anything"])
def test_a_planted_phone_survives_no_login(confirming: str, outbox: OutboxSender, by: str) -> None:
    victim = confirm(outbox)  # in the session that somebody else prepared
    if by == "code":
        login(victim)
        assert victim.open("/confirmed/").html == PHONE, "only the password was right"
        victim.send("/login/code/", follow=False, code=outbox.code(ACCOUNT_PHONE))
    else:
        victim.open("/enter/")
    assert victim.signed_in
    assert victim.open("/confirmed/").html == "none"
    assert victim.open("/redeem/").html == "ProofRequired"
    assert victim.open("/phone/done/").heading == "Confirm your phone"
    assert "otpverify.phone" not in victim.session


def test_a_logout_drops_it(
    confirming: str, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    person = confirm(outbox)
    cookie = person.client.cookies["sessionid"].value
    person.open("/leave/")
    assert person.open("/confirmed/").html == "none"
    person.client.cookies["sessionid"] = cookie
    clock.tick(601)
    assert person.open("/confirmed/").html == "none", "an old cookie ages, too"


def test_no_account_is_looked_up_before_a_right_code(
    user: Any, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    """A cookie of before, after the number went to another account, shows nothing of it."""
    asked: list[str] = []

    def find(phone: str) -> Any:
        asked.append(phone)
        return user

    engine = "django.contrib.sessions.backends.signed_cookies"
    options = {**BASE, "SENDER": outbox, "FIND_USERS": find}
    with override_settings(SESSION_ENGINE=engine, OTPVERIFY=options):
        person = Person("sync")
        person.send("/reset/", phone=ACCOUNT_PHONE)
        assert asked.pop() == ACCOUNT_PHONE, "to decide whether to send"
        page = person.send("/reset/code/", code=outbox.code())
        assert page.heading == "Choose a new password"
        assert "ann" not in page.html.replace("cannot", "")
        assert asked == []
        clock.tick(601)
        assert person.open("/reset/password/").heading == "Reset your password"
        page = person.send("/reset/password/", new_password1="ann", new_password2="ann")
        assert page.heading == "Reset your password"
        assert asked == []


# Verifiers by request.


class Shop:
    """One brand: its own secret, store, sender and text."""

    def __init__(self, brand: str, kind: Any) -> None:
        self.outbox: Any = OutboxSender() if kind is Verifier else AsyncOutboxSender()
        self.verifier = kind(
            self.outbox,
            store=MemoryStore(),
            hasher=QUICK,
            region="EE" if brand == "North" else "DE",
            messages=Messages(brand=brand),
        )


def tenant_view(base: Any, shops: dict[str, Shop]) -> Any:
    class Tenant(base):  # type: ignore[misc]  # one of two
        def get_verifier(self, request: HttpRequest) -> Any:
            return shops[request.GET.get("shop") or self.kwargs["shop"]].verifier

    return Tenant


@pytest.mark.parametrize(
    ("base", "kind", "mode"),
    [(PhoneView, Verifier, "sync"), (AsyncPhoneView, AsyncVerifier, "async")],
)
def test_each_tenant_has_its_verifier(base: Any, kind: Any, mode: str) -> None:
    shops = {"north": Shop("North", kind), "south": Shop("South", kind)}
    with urlconf(route("<slug:shop>/", include(tenant_view(base, shops).urls()))):
        north, south = Person(mode, prefix="/north"), Person(mode, prefix="/south")
        north.send("/phone/", phone="5678 9045")
        south.send("/phone/", phone="0151 23456789")
        texts = [shops[name].outbox.last.text for name in ("north", "south")]
        assert [text.partition(":")[0] for text in texts] == ["North", "South"]
        assert shops["south"].outbox.last.to == "+4915123456789", "read by its own region"
        code = shops["north"].outbox.code()
        south.take_over(dict(north.session.items()))
        assert south.send("/phone/code/", code=code).heading == "Confirm your phone"
        assert north.send("/phone/code/", code=code).heading == "Phone confirmed"


def test_a_verifier_of_the_other_kind_is_refused() -> None:
    for base, kind, mode in (
        (PhoneView, AsyncVerifier, "sync"),
        (AsyncPhoneView, Verifier, "async"),
    ):
        shop = Shop("North", kind)
        with (
            urlconf(route("<slug:shop>/", include(tenant_view(base, {"north": shop}).urls()))),
            pytest.raises(ConfigurationError, match="needs a verifier of type"),
        ):
            Person(mode, prefix="/north").open("/phone/")


def test_the_settings_verifiers_serve_requests(outbox: OutboxSender) -> None:
    request = HttpRequest()
    assert verifier_for(request) is verifier_for(request)
    assert averifier_for(request) is not averifier_for(request, background=True)


# Asynchronous hooks.

HOOKS = {
    PhoneView: PhoneView.hooks,
    LoginView: ("needs_code", "without_phone", "phone_missing"),
    PasswordResetView: ("find_users", "may_reset", "password_valid"),
}


@pytest.mark.parametrize(
    ("view", "name"), [(view, name) for view, names in HOOKS.items() for name in names]
)
def test_an_asynchronous_hook_of_a_synchronous_view_is_refused(view: Any, name: str) -> None:
    async def hook(self: Any, *args: Any) -> Any:
        """Never called."""

    wrong_view: Any = type("Mine", (view,), {name: hook})
    with pytest.raises(ConfigurationError, match=rf"Mine\.{name} is asynchronous"):
        wrong_view.as_view()
    right: Any = type("Mine", (AsyncFlow, view), {name: hook})
    assert right.as_view()


def test_a_hook_that_turns_out_to_be_asynchronous(outbox: OutboxSender) -> None:
    class Later(PhoneView):
        def get_phone(self, subject: str) -> Any:
            return Awaitable()

    class Awaitable:
        def __await__(self) -> Iterator[None]:
            yield

    with urlconf(*Later.urls()):
        person = Person("sync", prefix="")
        with pytest.raises(ConfigurationError, match="must not be async"):
            person.send("/phone/", phone=PHONE)


class AwaitedLogin(AsyncLoginView):
    async def needs_code(self, user: Any) -> bool:  # type: ignore[override]  # it is awaited
        await type(user).objects.aget(pk=user.pk)
        return bool(user.username == "ann")

    async def without_phone(self, user: Any) -> str:  # type: ignore[override]  # it is awaited
        return "refuse" if user.is_active else "sign_in"

    async def phone_missing(self, form: Any) -> HttpResponseBase:  # type: ignore[override]  # it is awaited
        return HttpResponse("no phone")


class AwaitedPhone(AsyncPhoneView):
    async def code_valid(self, verified: Verified) -> HttpResponseBase:  # type: ignore[override]  # it is awaited
        await get_user_model().objects.filter(username="ann").aupdate(phone=verified.phone)
        return HttpResponseRedirect("/account/")


class AwaitedReset(AsyncPasswordResetView):
    async def find_users(self, phone: str) -> Any:  # type: ignore[override]  # it is awaited
        return [one async for one in get_user_model().objects.filter(phone=phone)]

    async def may_reset(self, user: Any) -> bool:  # type: ignore[override]  # it is awaited
        return bool(await type(user).objects.filter(pk=user.pk, is_active=True).aexists())

    async def password_valid(self, form: Any, verified: Verified) -> HttpResponseBase:  # type: ignore[override]  # it is awaited
        form.user.set_password(form.cleaned_data["new_password1"])
        await form.user.asave()
        return HttpResponse("set")


def test_asynchronous_hooks_are_awaited(user: Any, outbox: OutboxSender) -> None:
    views: list[Any] = [AwaitedLogin, AwaitedPhone, AwaitedReset]
    account = route("account/", lambda request: HttpResponse(f"Hello {request.user}"))
    with urlconf(*(one for view in views for one in view.urls()), account):
        person = Person("async", prefix="")
        person.send("/reset/", phone=ACCOUNT_PHONE)
        person.send("/reset/code/", code=outbox.code())
        new: Any = {"new_password1": "close sesame", "new_password2": "close sesame"}
        assert person.send("/reset/password/", **new).html == "set"
        page = person.send("/login/", username="ann", password="close sesame")
        assert page.path == "/login/code/"
        person.send("/phone/", phone=PHONE)
        assert person.send("/phone/code/", code=outbox.code()).path == "/account/"
        user.refresh_from_db()
        assert (user.phone, user.check_password("close sesame")) == (PHONE, True)
        type(user).objects.filter(pk=user.pk).update(phone="")
        visitor = Person("async", prefix="")
        assert visitor.send("/login/", username="ann", password="close sesame").html == "no phone"
        type(user).objects.create_user("bob", password="open sesame")
        page = visitor.send("/login/", username="bob", password="open sesame")
        assert page.html == "Hello bob", "he needs no code"


def test_an_error_of_the_first_page_is_raised(outbox: OutboxSender) -> None:
    """A redirect to the first page would never end."""

    class Away(PhoneView):
        def get_form(self, form_class: Any = None) -> Any:
            raise StoreError("The store is away.")

    with urlconf(*Away.urls()), pytest.raises(StoreError):
        Person("sync", prefix="").open("/phone/")


@both
def test_a_code_valid_that_refuses(person: Person, outbox: OutboxSender) -> None:
    class Full(AsyncPhoneView if person.prefix else PhoneView):  # type: ignore[misc]  # one of two
        def code_valid(self, verified: Verified) -> HttpResponseBase:
            raise IncorrectCode(attempts_left=None)

    with urlconf(*Full.urls()):
        visitor = Person(person.mode, prefix="")
        visitor.send("/phone/", phone=PHONE)
        page = visitor.send("/phone/code/", code=outbox.code())
        assert page.heading == "Confirm your phone"
        assert "did not count" in page.said
