"""The pages of `urls`, asynchronous."""

from otpverify.integrations.django import views
from otpverify.integrations.django.urls import flow_urls

urlpatterns, app_name = flow_urls(
    views.AsyncLoginView,
    views.AsyncPhoneView,
    views.AsyncPasswordResetView,
    views.AsyncStepUpView,
)
