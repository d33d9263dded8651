"""The flows in both modes, and a page that needs somebody who is signed in."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from otpverify.integrations.django import async_urls, urls
from otpverify.integrations.django.second_factor.views import (
    AsyncBackupCodesView,
    BackupCodesView,
)
from otpverify.integrations.django.views import AsyncEnrolmentView, EnrolmentView


@login_required
def account(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"Hello {request.user}")


synchronous = [*urls.urlpatterns, *EnrolmentView.urls(), *BackupCodesView.urls()]
asynchronous = [
    *async_urls.urlpatterns,
    *AsyncEnrolmentView.urls(),
    *AsyncBackupCodesView.urls(),
]
urlpatterns = [
    path("account/", account),
    path("", include((synchronous, "otpverify"))),
    path("async/", include((asynchronous, "otpverify"), namespace="asynchronous")),
]
