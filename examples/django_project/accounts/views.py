"""The site's own pages."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from accounts.forms import NewCustomerForm
from otpverify.integrations.django.views import SignInView


class SignIn(SignInView):
    """Sign in or up by phone: a code alone, for customers. The staff needs its password, too."""

    sign_up = True
    sign_up_form_class = NewCustomerForm

    def may_sign_in(self, user: Any) -> bool:
        """Whether a code alone is enough."""
        return bool(user.is_active and not user.is_staff)


def index(request: HttpRequest) -> HttpResponse:
    """The way in."""
    return render(request, "index.html", {"title": "Example shop"})


@never_cache  # or "back" would show it after the sign-out
@login_required
def account(request: HttpRequest) -> HttpResponse:
    """For those who signed in."""
    return render(request, "account.html", {"title": "You are signed in"})
