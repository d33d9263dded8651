"""The flows, and what they lead to."""

from accounts import views
from django.contrib.auth.views import LogoutView
from django.urls import include, path

from otpverify.integrations.django.second_factor.views import BackupCodesView
from otpverify.integrations.django.urls import flow_urls
from otpverify.integrations.django.views import (
    EnrolmentView,
    LoginView,
    PasswordResetView,
    PhoneView,
    StepUpView,
)

FLOWS = (
    LoginView,
    views.SignIn,
    PhoneView,
    PasswordResetView,
    StepUpView,
    EnrolmentView,
    BackupCodesView,
)

urlpatterns = [
    path("", views.index, name="index"),
    path("account/", views.account, name="account"),
    path("account/payment/", views.payment, name="payment"),
    path("account/sign-out/", LogoutView.as_view(), name="sign-out"),
    path("account/", include(flow_urls(*FLOWS))),
]
