"""The pages of the step-up: a user who is signed in enters a code that a view needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias, cast

from django import forms
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme

from otpverify import AsyncVerifier, Verified, Verifier
from otpverify.integrations.django import accounts, api, requests
from otpverify.integrations.django.base import FlowView
from otpverify.integrations.django.requests import lazy_text as _
from otpverify.integrations.web.problems import SIGN_IN_REQUIRED
from otpverify.integrations.web.sentences import NO_PHONE
from otpverify.integrations.web.session import Proof, Recipient
from otpverify.integrations.web.step_up import LONGEST_WINDOW, StepUp, window

Facts: TypeAlias = Mapping[str, str] | None

purposes_needed: set[str] = set()
"""The purposes that views need a code for."""
windows_needed: set[str] = set()
"""Those of them that need a code within the last minutes."""


def in_window(
    request: HttpRequest, verifier: Verifier | AsyncVerifier, purpose: str, within: int
) -> bool:
    """Whether the user entered a code within the last so many seconds, in this session."""
    found = window(verifier, cast("Any", request.session), purpose, within)
    return accounts.has_stamp(found, request.user)


def safe_path(target: str | None) -> str:
    """The address, if it is a path of this site; otherwise empty."""
    found = url_has_allowed_host_and_scheme(target, allowed_hosts=None) if target else False
    return str(target) if found and str(target).startswith("/") else ""


class StepUpView(FlowView):
    """A user who is signed in enters a code to the account's phone, for a purpose that a view
    needs. Afterwards the user is brought back to what they were doing."""

    flow = "step-up"
    purpose: str = "step-up"  # that of the address takes its place
    pages: ClassVar[dict[str, str]] = {
        **{step: f"<str:purpose>/{end}" for step, end in FlowView.pages.items()},
        "continue": "<str:purpose>/continue/",
    }
    titles: ClassVar[dict[str, Any]] = {
        **FlowView.titles,
        "first": _("Confirm that it is you"),
        "continue": _("Confirmed"),
        "done": _("Confirmed"),
    }
    hooks: ClassVar[tuple[str, ...]] = (*FlowView.hooks, "phone_missing")
    to_account = True
    own_kwargs: ClassVar[frozenset[str]] = frozenset({"purpose"})
    form_class: type[forms.BaseForm] = forms.Form
    template_name: str = "otpverify/step_up.html"
    continue_template_name = "otpverify/step_up_continue.html"
    done_template_name = "otpverify/step_up_continue.html"

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        """See `View`.

        Raises:
            Http404: No view needs a code for this purpose.
        """
        super().setup(request, *args, **kwargs)
        self.purpose = str(kwargs["purpose"])  # of this request alone
        if self.purpose not in purposes_needed:
            raise Http404

    async def respond(self) -> HttpResponseBase:
        """The reply to this request: for users who are signed in."""
        if await self.person() is not None:
            return await super().respond()
        if self.wants_json:
            return api.problem(SIGN_IN_REQUIRED)
        return redirect_to_login(self.request.get_full_path())

    @property
    def step_up(self) -> StepUp:
        """What the view that needs the code left in the session."""
        account = accounts.key(self.request.user)
        return StepUp(cast("Any", self.request.session), self.purpose, account)

    def get_binding(self) -> Facts:
        """The facts that the view needs the user to approve."""
        return self.step_up.binding

    def get_recipient(self, form: Any) -> Recipient | HttpResponseBase:
        """The user."""
        phone = requests.get_phone(self.request.user)
        if phone is None:
            return self.phone_missing(form)
        return Recipient(phone, accounts.key(self.request.user))

    def phone_missing(self, form: Any) -> HttpResponseBase:
        """The reply to a user who has no phone."""
        form.add_error(None, requests.say(NO_PHONE))
        return cast("HttpResponseBase", self.form_invalid(form))

    def get_phone(self, subject: str) -> str | None:
        """The user's phone; another user cannot continue the challenge."""
        mine = accounts.key(self.request.user) == subject
        return requests.get_phone(self.request.user) if mine else None

    def shown(self, recipient: Recipient) -> str:
        """Not in full: a session that was left open must not show the number."""
        return self.web_flow.shown(recipient.phone)

    def code_valid(self, verified: Verified) -> HttpResponseBase:
        """Bring the user back."""
        step, verifier = self.step_up, self.web_flow.verifier
        if self.purpose in windows_needed and step.binding is None:
            stamp = window(verifier, cast("Any", self.request.session), self.purpose)
            accounts.save_stamp(stamp, self.request.user)
        if step.form is not None:
            return self.go("continue")
        target = safe_path(step.target)
        return HttpResponseRedirect(target) if target else self.go("done")

    async def get_continue(self) -> HttpResponseBase:
        """The form that was sent before the code: one press sends it. It only shows what the
        session holds, and no other request sends it."""
        return await self.reply(self._continued, await self.web_flow.current())

    def _continued(self, entry: object) -> HttpResponseBase:
        step = self.step_up
        proven = isinstance(entry, Proof) or (
            step.binding is None
            and in_window(self.request, self.web_flow.verifier, self.purpose, LONGEST_WINDOW)
        )
        if not proven:
            return self.go("first")
        form, target = step.form, safe_path(step.target)
        if form is None or not safe_path(form.action):
            return HttpResponseRedirect(target) if target else self.go("done")
        return self.render_form([self.continue_template_name], kept=form, binding=step.binding)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """See `FlowView`, with what the page approves, and whether the form is kept."""
        step = self.step_up
        return super().get_context_data(**{"binding": step.binding, "lost": step.lost, **kwargs})
