"""All pages, asynchronous: `path("", include("otpverify.integrations.django.async_urls"))`."""

from django.urls import path

from otpverify.integrations.django import views

app_name = "otpverify"
urlpatterns = [
    *views.AsyncLoginView.urls(),
    *views.AsyncPhoneView.urls(),
    *views.AsyncPasswordResetView.urls(),
    path("sms/report/", views.AsyncDeliveryReportView.as_view(), name="report"),
    path("otpverify/<str:name>", views.asset, name="asset"),
]
