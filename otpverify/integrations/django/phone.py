"""Phone confirmation: a number is typed, and a code proves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from django import forms
from django.http import HttpRequest, HttpResponseBase

from otpverify import AsyncVerifier, Verified, Verifier
from otpverify.integrations.django.base import FlowView
from otpverify.integrations.django.conf import averifier_for, verifier_for
from otpverify.integrations.django.forms import PhoneForm
from otpverify.integrations.django.requests import lazy_text as _
from otpverify.integrations.django.signals import phone_verified
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.flow import Flow
from otpverify.integrations.web.session import Proof, Recipient

PURPOSE = "phone"


class PhoneView(FlowView):
    """Confirms a number, for the user who is signed in, or before there is an account. What is done
    with it is for a receiver of `phone_verified`, for `code_valid`, or for a later view, which
    calls `redeem_phone`."""

    flow = "phone"
    purpose = PURPOSE
    titles: ClassVar[dict[str, Any]] = {
        **FlowView.titles,
        "first": _("Confirm your phone"),
        "done": _("Phone confirmed"),
    }
    form_class: type[forms.BaseForm] = PhoneForm
    template_name: str = "otpverify/phone.html"
    done_template_name = "otpverify/phone_done.html"

    def get_recipient(self, form: Any) -> Recipient | HttpResponseBase:
        """The number."""
        return Recipient.typed(form.cleaned_data["phone"])

    def code_valid(self, verified: Verified) -> HttpResponseBase:
        """Report the confirmed number. It is the verified one, never a form's value."""
        phone_verified.send(type(self), request=self.request, verified=verified)
        return self.go("done")

    def finish(self, verified: Verified, response: HttpResponseBase, **more: Any) -> None:
        """See `FlowView`. The last page shows the number."""
        super().finish(verified, response, phone=verified.phone, **more)


def confirmed_phone(
    request: HttpRequest,
    *,
    max_age: float | None = None,
    binding: Mapping[str, str] | None = None,
    purpose: str = PURPOSE,
) -> str | None:
    """The number that was confirmed in this session, in E.164; `None` if none was. It looks at the
    session alone. Before you act on the number, call `redeem_phone`, which asks the store.

    Args:
        request: The request.
        max_age: How many seconds ago the code may have been right, at most the policy's
            `proof_ttl_seconds`, which is the default.
        binding: The facts that the code approved, too.
        purpose: The purpose of the flow, for a `PhoneView` with another one.
    """
    # The asynchronous verifier can be made with any sender, and is not called here.
    flow = _flow(request, averifier_for(request), binding, purpose)
    entry = run_sync(flow.current(max_age=max_age))
    return entry.subject if isinstance(entry, Proof) else None


async def aconfirmed_phone(
    request: HttpRequest,
    *,
    max_age: float | None = None,
    binding: Mapping[str, str] | None = None,
    purpose: str = PURPOSE,
) -> str | None:
    """`confirmed_phone` for asynchronous views."""
    await request.session.akeys()
    return confirmed_phone(request, max_age=max_age, binding=binding, purpose=purpose)


def redeem_phone(
    request: HttpRequest,
    *,
    max_age: float | None = None,
    binding: Mapping[str, str] | None = None,
    purpose: str = PURPOSE,
    verifier: Verifier | None = None,
) -> Verified:
    """Use up the proof of the number that was confirmed in this session. It succeeds once. Call it
    in the view that relies on the number.

    Args:
        request: The request.
        max_age, binding, purpose: As for `confirmed_phone`.
        verifier: The verifier of a view with its own `get_verifier`; that of the settings if left
            out.

    Returns:
        The facts that the code proved: save `verified.phone`.

    Raises:
        ProofRequired: The session holds no proof that is valid here.
        OtpVerifyError: As `Verifier.redeem`.
    """
    flow = _flow(request, verifier or verifier_for(request), binding, purpose)
    return cast("Verified", run_sync(flow.redeem(max_age=max_age)).raised().verified)


async def aredeem_phone(
    request: HttpRequest,
    *,
    max_age: float | None = None,
    binding: Mapping[str, str] | None = None,
    purpose: str = PURPOSE,
    verifier: AsyncVerifier | None = None,
) -> Verified:
    """`redeem_phone` for asynchronous views."""
    await request.session.akeys()  # it is loaded, so later reads do not block
    flow = _flow(request, verifier or averifier_for(request), binding, purpose)
    return cast("Verified", (await flow.redeem(max_age=max_age)).raised().verified)


def _flow(
    request: HttpRequest,
    verifier: Verifier | AsyncVerifier,
    binding: Mapping[str, str] | None,
    purpose: str,
) -> Flow:
    return Flow(
        verifier,
        request.session,
        purpose=purpose,
        recipient=lambda subject: Recipient(subject, subject, binding),
    )
