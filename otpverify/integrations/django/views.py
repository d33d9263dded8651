"""The views: the flows, synchronous and asynchronous, delivery reports, and the files of the
pages.

A flow is one class; `urls()` gives the URL patterns of its pages. Change one by a subclass:

    class Login(LoginView):
        def needs_code(self, user):
            return user.is_staff

    urlpatterns = [path("account/", include(flow_urls(Login, PhoneView)))]

`flow_urls` is in `otpverify.integrations.django.urls`.
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils.decorators import method_decorator
from django.views import View
from django.views.csrf import csrf_failure
from django.views.decorators.csrf import csrf_exempt

from otpverify import AsyncVerifier, Verifier
from otpverify.integrations.django import session
from otpverify.integrations.django.base import AsyncFlow, FlowView
from otpverify.integrations.django.code_required import CodeRequiredMixin, code_required
from otpverify.integrations.django.conf import averifier_for, verifier_for
from otpverify.integrations.django.current_phone import AsyncCurrentPhoneView, CurrentPhoneView
from otpverify.integrations.django.enrolment import AsyncEnrolmentView, EnrolmentView
from otpverify.integrations.django.login import LoginView
from otpverify.integrations.django.pending_login import (
    acomplete_login,
    apending_user,
    complete_login,
    pending_user,
)
from otpverify.integrations.django.phone import (
    PhoneView,
    aconfirmed_phone,
    aredeem_phone,
    confirmed_phone,
    redeem_phone,
)
from otpverify.integrations.django.reset import PasswordResetView
from otpverify.integrations.django.sign_in import SignInView
from otpverify.integrations.django.step_up import StepUpView
from otpverify.integrations.web import ASSETS, run_sync
from otpverify.integrations.web.notices import Carried, Notice, held_by
from otpverify.integrations.web.requests import LARGEST_REPORT, take_report
from otpverify.integrations.web.sentences import Sentence
from otpverify.integrations.web.session import Recipient, load_end, load_entry

__all__ = [
    "AsyncCurrentPhoneView",
    "AsyncDeliveryReportView",
    "AsyncEnrolmentView",
    "AsyncFlow",
    "AsyncLoginView",
    "AsyncPasswordResetView",
    "AsyncPhoneView",
    "AsyncSignInView",
    "AsyncStepUpView",
    "CodeRequiredMixin",
    "CurrentPhoneView",
    "DeliveryReportView",
    "EnrolmentView",
    "FlowView",
    "LoginView",
    "PasswordResetView",
    "PhoneView",
    "Recipient",
    "SignInView",
    "StepUpView",
    "acomplete_login",
    "aconfirmed_phone",
    "apending_user",
    "aredeem_phone",
    "asset",
    "code_required",
    "complete_login",
    "confirmed_phone",
    "form_expired",
    "pending_user",
    "redeem_phone",
]
_EXPIRED = Sentence("This form has expired. Send it again.")
_FRESH_SECONDS = 60
_TYPES = {
    "otpverify.css": "text/css",
    "otpverify.js": "text/javascript",
    "otpverify-countries.json": "application/json",
}


class AsyncLoginView(AsyncFlow, LoginView):
    """`LoginView`, asynchronous."""


class AsyncPhoneView(AsyncFlow, PhoneView):
    """`PhoneView`, asynchronous."""


class AsyncPasswordResetView(AsyncFlow, PasswordResetView):
    """`PasswordResetView`, asynchronous."""


class AsyncSignInView(AsyncFlow, SignInView):
    """`SignInView`, asynchronous."""


class AsyncStepUpView(AsyncFlow, StepUpView):
    """`StepUpView`, asynchronous."""


@method_decorator([csrf_exempt, login_not_required], name="dispatch")
class DeliveryReportView(View):
    """Takes the gateway's delivery reports. The token in the address authenticates a report; every
    other request gets the same answer and changes nothing."""

    http_method_names: list[str] = ["get", "post", "options"]  # noqa: RUF012 - as Django has it

    def get_verifier(self, request: HttpRequest) -> Verifier | AsyncVerifier:
        """The verifier that shares store and secret with the one that sent the message."""
        return averifier_for(request) if self.view_is_async else verifier_for(request)

    def get(self, request: HttpRequest) -> Any:
        """A report in the query."""
        return run_sync(self.take())

    def post(self, request: HttpRequest) -> Any:
        """A report in the body."""
        return run_sync(self.take())

    async def take(self) -> HttpResponseBase:
        """Take the report."""
        request = self.request
        status, text = await take_report(
            self.get_verifier(request),
            method=request.method or "GET",
            query=str(request.META.get("QUERY_STRING", "")),
            body=request.read(LARGEST_REPORT + 1),
            content_type=request.headers.get("Content-Type", ""),
        )
        return HttpResponse(text, status=status, content_type="text/plain")


class AsyncDeliveryReportView(DeliveryReportView):
    """`DeliveryReportView`, asynchronous."""

    async def get(self, request: HttpRequest) -> Any:
        """A report in the query."""
        return await self.take()

    async def post(self, request: HttpRequest) -> Any:
        """A report in the body."""
        return await self.take()


def form_expired(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """For the setting `CSRF_FAILURE_VIEW`. Signing in replaces the token of all forms, so forms in
    other tabs are refused: the flows' pages then say so and show their form again. Other requests
    that are refused get Django's own page."""
    match = request.resolver_match
    kind = getattr(match and match.func, "view_class", None)
    if match is None or not (isinstance(kind, type) and issubclass(kind, FlowView)):
        return csrf_failure(request, reason)
    options = getattr(match.func, "view_initkwargs", {})
    step, purpose = options.get("step", kind.step), options.get("purpose", kind.purpose)
    if issubclass(kind, StepUpView):
        purpose = match.kwargs["purpose"]
    response = HttpResponseRedirect(request.path)
    # Without the session's cookie another site may have sent the form, and the person has not.
    if settings.SESSION_COOKIE_NAME in request.COOKIES:
        shown = step if step in ("first", "password", "account", "other") else "code"
        carried = Carried(Notice(_EXPIRED), held=_held(request, purpose))
        session.carry(request, response, f"{purpose} {shown}", carried)
    return response


def _held(request: HttpRequest, purpose: str) -> str:
    """Where the session stands. The form of a code that was right a moment ago has an old token if
    it is sent again after the reply that signed in."""
    entry = load_entry(request.session, purpose)
    found = load_end(request.session, purpose)
    if entry is None and found is not None and time.time() - found.get("at", 0) < _FRESH_SECONDS:
        return f"pending {found.get('challenge')}"
    return held_by(entry)


@login_not_required
def asset(request: HttpRequest, name: str) -> HttpResponse:
    """A file of the pages: their style, their script, and the script's data."""
    if name not in _TYPES:
        raise Http404
    return HttpResponse(
        _read(name),
        content_type=f"{_TYPES[name]}; charset=utf-8",
        headers={"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"},
    )


@cache
def _read(name: str) -> bytes:
    return (ASSETS / name).read_bytes()
