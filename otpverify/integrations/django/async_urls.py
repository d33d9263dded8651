"""The pages of `urls`, asynchronous."""

from django.urls import URLPattern

from otpverify.integrations.django import views
from otpverify.integrations.django.urls import flow_urls

app_name: str
urlpatterns: list[URLPattern]
urlpatterns, app_name = flow_urls(
    views.AsyncLoginView,
    views.AsyncPhoneView,
    views.AsyncPasswordResetView,
    views.AsyncStepUpView,
)
