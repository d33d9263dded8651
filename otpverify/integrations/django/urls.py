"""The URL patterns of the flows.

All that ask for more than a code, for `path("", include("otpverify.integrations.django.urls"))`:
login, phone confirmation, password reset and step-up. `flow_urls` has those that you choose, such
as one of your own in place of a stock view, or the sign-in by phone.
"""

from __future__ import annotations

from django.urls import URLPattern, path

from otpverify.integrations.django import views
from otpverify.integrations.django.pages import PageView

app_name: str = "otpverify"


def flow_urls(*flows: type[PageView]) -> tuple[list[URLPattern], str]:
    """The pages of some flows, with the style, the script and the address for delivery reports,
    which they share. No other flow is mounted.

        path("account/", include(flow_urls(MyLogin, PhoneView)))

    Args:
        flows: The views' classes.

    Returns:
        What `include` takes: the patterns, and the name of the namespace, `otpverify`.
    """
    awaits = any(flow.view_is_async for flow in flows)
    report = views.AsyncDeliveryReportView if awaits else views.DeliveryReportView
    patterns = [
        *(pattern for flow in flows for pattern in flow.urls()),
        path("sms/report/", report.as_view(), name="report"),
        path("otpverify/<str:name>", views.asset, name="asset"),
    ]
    return patterns, app_name


urlpatterns: list[URLPattern] = flow_urls(
    views.LoginView, views.PhoneView, views.PasswordResetView, views.StepUpView
)[0]
