"""Phone confirmation: a number is typed, and a code proves it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext_lazy as _

from otpverify import Verified
from otpverify.integrations.django.asking import Target
from otpverify.integrations.django.flow import FlowView
from otpverify.integrations.django.forms import PhoneForm
from otpverify.integrations.django.session import Kept
from otpverify.integrations.django.signals import phone_verified
from otpverify.integrations.web.pending import Pending

FLOW = "phone"


class PhoneView(FlowView):
    """Confirms a number, for whoever is signed in, or before there is an account. What becomes of
    it is for a receiver of `phone_verified`, for `code_valid`, or for a later view, which finds
    it with `confirmed_phone`."""

    flow = FLOW
    purpose = "phone"
    titles: ClassVar[dict[str, Any]] = {
        **FlowView.titles,
        "first": _("Confirm your phone"),
        "done": _("Phone confirmed"),
    }
    form_class = PhoneForm
    template_name = "otpverify/phone.html"
    done_template_name = "otpverify/phone_done.html"

    def identify(self, form: PhoneForm) -> Target | HttpResponseBase:
        """The number."""
        phone = form.cleaned_data["phone"]
        return Target(phone, phone, typed=phone)

    def phone_of(self, who: str) -> str | None:
        """The number itself."""
        return who

    def typed(self, pending: Pending) -> str:
        """The number."""
        return pending.who

    def code_valid(self, verified: Verified) -> HttpResponseBase:
        """The confirmed number is the verified one, never what a form says."""
        self.kept.put(confirmed=verified.phone)
        phone_verified.send(type(self), request=self.request, verified=verified)
        return self.go("done")

    def show_done(self) -> HttpResponseBase:
        """Which number was confirmed."""
        phone = confirmed_phone(self.request)
        if phone is None:
            return self.go("first")
        return self.render_form([self.done_template_name], phone=phone)


def confirmed_phone(request: HttpRequest) -> str | None:
    """The number that was confirmed in this session, in E.164; `None` if none was."""
    found = Kept(request, FLOW).get("confirmed")
    return found if isinstance(found, str) else None
