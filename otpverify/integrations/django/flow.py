"""What the three flows share: a first page, the code page, another code, giving up.

Every POST that asked for something answers with a redirect, so that a reload or the back button
repeats nothing; a first form that is not valid is shown again. The challenge is in the session.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.forms import BaseForm
from django.http import HttpResponseBase
from django.utils.translation import gettext_lazy as _

from otpverify import Challenge, ChallengeExpired, OtpVerifyError, Verified
from otpverify.integrations.django import requests
from otpverify.integrations.django.asking import Ask, Step, Target
from otpverify.integrations.django.forms import CodeForm
from otpverify.integrations.django.pages import PageView
from otpverify.integrations.django.session import Said
from otpverify.integrations.web import steps
from otpverify.integrations.web.pending import Delivery, Pending


class FlowView(PageView):
    """One flow with a code. `identify`, `phone_of`, `shown`, `code_valid` and `get_binding` are
    its hooks.

    Attributes:
        purpose: What its codes are for.
        background: Whether messages are delivered behind the reply's back.
        conceal: Whether the pages must not tell if a code was really sent.
        code_template_name, done_template_name: Beside `template_name`, the first page's.
        code_form_class: Beside `form_class`, the first page's.
    """

    purpose: ClassVar[str]
    background = False
    conceal = False
    pages: ClassVar[dict[str, str]] = {
        "first": "",
        "code": "code/",
        "resend": "resend/",
        "cancel": "cancel/",
        "done": "done/",
    }
    titles: ClassVar[dict[str, Any]] = {"code": _("Enter the code"), "unsent": _("Send a code")}
    code_form_class = CodeForm
    code_template_name = "otpverify/code.html"
    done_template_name = ""

    # What a flow, or an application, has of its own.

    def identify(self, form: Any) -> Target | HttpResponseBase:
        """Whom the code is for, out of the first form, which is valid; or another reply."""
        raise NotImplementedError

    def phone_of(self, who: str) -> str | None:
        """The phone that a code for `who` goes to; `None` if there is nobody any more."""
        raise NotImplementedError

    def shown(self, who: str) -> str:
        """How the code page names that phone."""
        return who

    def code_valid(self, verified: Verified) -> HttpResponseBase:
        """What follows a right code. It cannot be used again."""
        raise NotImplementedError

    def get_binding(self) -> dict[str, str] | None:
        """Facts that the code also approves."""
        return None

    # The first page.

    def show_first(self) -> HttpResponseBase:
        """The form that the flow begins with."""
        notice = self.kept.heard("first")
        form = self.get_form()
        if notice is not None and notice.typed and "phone" in form.fields:
            form.initial = {"phone": notice.typed, **form.initial}
        return self.render_form(self.get_template_names(), form, notice)

    def take_first(self) -> Step:
        """Begin, if the form is valid."""
        form = self.get_form()
        return self.form_valid(form) if form.is_valid() else self.form_invalid(form)

    def form_valid(self, form: BaseForm) -> Any:
        """Send the first code."""
        target = self.identify(form)
        return self.start(target) if isinstance(target, Target) else target

    def start(self, target: Target) -> Step:
        """Ask for the first code."""
        return self.ask(
            "start",
            lambda challenge: self.started(challenge, target),
            lambda error: self.not_started(error, target),
            phone=target.phone,
            deliver=target.deliver,
            **self.terms(send=True),
        )

    def started(self, challenge: Challenge, target: Target) -> Step:
        """A code is on its way."""
        return self.follow(steps.started(challenge, target.who))

    def not_started(self, error: OtpVerifyError, target: Target) -> Step:
        """None is."""
        follows = steps.not_started(error, target.who, self.kept.pending)
        return self.follow(follows, target.typed)

    # The code page.

    def show_code(self) -> HttpResponseBase:
        """The form for the code."""
        pending = self.kept.pending
        if pending is None or self.phone_of(pending.who) is None:
            return self.follow(steps.no_challenge())
        form = self.code_form_class()
        said = _("Attempts left: %(count)s") % {"count": pending.attempts_left}
        form.fields["code"].help_text = said
        delivery = pending.delivery
        return self.render_form(
            [self.code_template_name],
            form,
            self.kept.heard("code"),
            title=self.titles["code" if delivery is not Delivery.NOT_SENT else "unsent"],
            pending=pending,
            delivery=delivery.name,
            conceal=self.conceal,
            shown=self.shown(pending.who),
        )

    def take_code(self) -> Step:
        """Check the code."""
        form = self.code_form_class(self.request.POST)
        if not form.is_valid():
            self.kept.say(Said(" ".join(map(str, form.errors["code"])), field="code"), "code")
            return self.go("code")
        return self.ask_about(
            "check",
            self.right,
            steps.not_accepted,
            code=form.cleaned_data["code"],
            **self.terms(),
        )

    def right(self, pending: Pending, verified: Verified) -> HttpResponseBase:
        """The code was right."""
        self.kept.pending = None
        return self.code_valid(verified)

    def take_resend(self) -> Step:
        """Send another code, or the first one that goes out."""
        return self.ask_about(
            "resend",
            lambda pending, challenge: self.follow(steps.resent(challenge, pending)),
            self.not_resent,
            **self.terms(send=True),
        )

    def not_resent(self, error: OtpVerifyError, pending: Pending) -> steps.Next:
        """What follows when none was sent."""
        return steps.not_resent(error, pending)

    def take_cancel(self) -> Step:
        """Void the challenge and begin anew."""
        pending = self.kept.pending
        phone = None if pending is None else self.phone_of(pending.who)
        self.kept.pending = None
        if pending is None or phone is None:
            return self.go("first")
        return self.ask(
            "cancel",
            lambda _done: self.go("first"),
            self.begin_again,
            phone=phone,
            challenge=pending.challenge,
            purpose=self.purpose,
        )

    # How the verifier is asked.

    def ask(
        self,
        method: str,
        done: Callable[[Any], Step],
        failed: Callable[[OtpVerifyError], Step],
        **arguments: Any,
    ) -> Ask:
        """What to ask, of the verifier that suits the flow."""
        return Ask(method, arguments, done, failed, self.background)

    def ask_about(
        self,
        method: str,
        done: Callable[[Pending, Any], Step],
        failed: Callable[[OtpVerifyError, Pending], steps.Next],
        **arguments: Any,
    ) -> Step:
        """The same about the challenge that the session keeps."""
        pending = self.kept.pending
        phone = None if pending is None else self.phone_of(pending.who)
        if pending is None or phone is None:
            return self.begin_again(ChallengeExpired())
        return self.ask(
            method,
            lambda result: done(pending, result),
            lambda error: self.follow(failed(error, pending), self.typed(pending)),
            phone=phone,
            challenge=pending.challenge,
            **arguments,
        )

    def terms(self, *, send: bool = False) -> dict[str, Any]:
        """Purpose and binding, and for a message its language and the person's address."""
        terms: dict[str, Any] = {"purpose": self.purpose, "binding": self.get_binding()}
        if send:
            terms |= {
                "locale": requests.locale(),
                "client_ip": requests.client_ip(self.request),
            }
        return terms

    def typed(self, pending: Pending) -> str:
        """What was typed on the first page, to be shown there again."""
        return ""

    def begin_again(self, error: OtpVerifyError) -> HttpResponseBase:
        """Back to the first page, which says why."""
        return self.follow(steps.Next(steps.Page.FIRST, None, steps.notice_of(error)))
