"""The flows in both modes, and a page that needs somebody who is signed in."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import include, path


@login_required
def account(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"Hello {request.user}")


urlpatterns = [
    path("account/", account),
    path("", include("otpverify.integrations.django.urls")),
    path("async/", include("otpverify.integrations.django.async_urls", namespace="asynchronous")),
]
