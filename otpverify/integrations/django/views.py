"""The views: three flows in either colour, delivery reports, and the files that pages need.

A flow is one class; `urls()` gives the URL patterns of its pages. Change one by a subclass:

    class Login(LoginView):
        def needs_code(self, user):
            return user.is_staff

    urlpatterns = [*Login.urls(), path("", include("otpverify.integrations.django.urls"))]
"""

from __future__ import annotations

from functools import cache
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.views import View
from django.views.csrf import csrf_failure
from django.views.decorators.csrf import csrf_exempt

from otpverify import OtpVerifyError
from otpverify.integrations.django.asking import Ask, Step, Target, aanswer, answer
from otpverify.integrations.django.confirmation import PhoneView, confirmed_phone
from otpverify.integrations.django.flow import FlowView
from otpverify.integrations.django.login import LoginView
from otpverify.integrations.django.reset import PasswordResetView
from otpverify.integrations.django.session import Kept, Said
from otpverify.integrations.web import ASSETS
from otpverify.sms import callback_params

__all__ = [
    "AsyncDeliveryReportView",
    "AsyncFlow",
    "AsyncLoginView",
    "AsyncPasswordResetView",
    "AsyncPhoneView",
    "DeliveryReportView",
    "FlowView",
    "LoginView",
    "PasswordResetView",
    "PhoneView",
    "Target",
    "asset",
    "confirmed_phone",
    "form_expired",
]
_TYPES = {"otpverify.css": "text/css", "otpverify.js": "text/javascript"}


class AsyncFlow(FlowView):
    """Put before a flow, makes its views asynchronous: they await the verifier, and the rest of
    them runs where synchronous code may."""

    async def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]  # the other colour
        """Show a page."""
        return await sync_to_async(super().get)(request, *args, **kwargs)

    async def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]  # the other colour
        """Take a form."""
        return self.sealed(await aanswer(self.take))


class AsyncLoginView(AsyncFlow, LoginView):
    """`LoginView`, asynchronous."""


class AsyncPhoneView(AsyncFlow, PhoneView):
    """`PhoneView`, asynchronous."""


class AsyncPasswordResetView(AsyncFlow, PasswordResetView):
    """`PasswordResetView`, asynchronous."""


@method_decorator([csrf_exempt, login_not_required], name="dispatch")
class DeliveryReportView(View):
    """Takes the gateway's delivery reports in. A report proves itself by the token that its address
    carries; whatever else is posted here is answered alike, and changes nothing."""

    http_method_names = ["get", "post", "options"]  # noqa: RUF012 - as Django has it

    def get(self, request: HttpRequest) -> HttpResponseBase:
        """A report in the query."""
        return answer(self.take())

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """A report in the body."""
        return answer(self.take())

    def take(self) -> Step:
        """What the verifier is told."""
        params = callback_params(self.request.META.get("QUERY_STRING", ""), self.request.body)
        return Ask("delivery_report", {"params": params}, self.taken, self.not_taken)

    def taken(self, _: object) -> HttpResponseBase:
        """It was told."""
        return HttpResponse("OK", content_type="text/plain")

    def not_taken(self, _: OtpVerifyError) -> HttpResponseBase:
        """It does not answer; the gateway repeats the report."""
        return HttpResponse("Later", status=503, content_type="text/plain")


class AsyncDeliveryReportView(DeliveryReportView):
    """`DeliveryReportView`, asynchronous."""

    async def get(self, request: HttpRequest) -> HttpResponseBase:  # type: ignore[override]  # the other colour
        """A report in the query."""
        return await aanswer(self.take)

    async def post(self, request: HttpRequest) -> HttpResponseBase:  # type: ignore[override]  # the other colour
        """A report in the body."""
        return await aanswer(self.take)


def form_expired(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """For the setting `CSRF_FAILURE_VIEW`. Signing in replaces the token of all forms, so that
    those in other tabs are refused: a page of ours says so and shows its form anew. Whatever else
    is refused gets Django's own page."""
    match = request.resolver_match
    kind = getattr(match and match.func, "view_class", None)
    if match is None or not (isinstance(kind, type) and issubclass(kind, FlowView)):
        return csrf_failure(request, reason)
    step = getattr(match.func, "view_initkwargs", {}).get("step", kind.step)
    # Without the cookie, as when another site sent the form, the session is nobody's; a new one
    # would take the place of the person's own.
    if settings.SESSION_COOKIE_NAME in request.COOKIES:
        text = gettext("This form had expired. Send it again.")
        shown = step if step in ("first", "password") else "code"
        Kept(request, kind.flow).say(Said(text), shown)
    return HttpResponseRedirect(request.path)


@login_not_required
def asset(request: HttpRequest, name: str) -> HttpResponse:
    """The style or the script of the pages."""
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
