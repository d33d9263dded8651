"""The flows, and what they lead to."""

from accounts import views
from django.contrib.auth.views import LogoutView
from django.urls import include, path

urlpatterns = [
    path("", views.index, name="index"),
    path("account/", views.account, name="account"),
    path("account/sign-out/", LogoutView.as_view(), name="sign-out"),
    path("account/", include("otpverify.integrations.django.urls")),
]
