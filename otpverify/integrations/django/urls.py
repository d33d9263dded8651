"""All pages, for `path("", include("otpverify.integrations.django.urls"))`."""

from django.urls import path

from otpverify.integrations.django import views

app_name = "otpverify"
urlpatterns = [
    *views.LoginView.urls(),
    *views.PhoneView.urls(),
    *views.PasswordResetView.urls(),
    path("sms/report/", views.DeliveryReportView.as_view(), name="report"),
    path("otpverify/<str:name>", views.asset, name="asset"),
]
