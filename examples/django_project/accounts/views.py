"""The site's own pages."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache


def index(request: HttpRequest) -> HttpResponse:
    """The way in."""
    return render(request, "index.html", {"title": "Example shop"})


@never_cache  # or "back" would show it after the sign-out
@login_required
def account(request: HttpRequest) -> HttpResponse:
    """For those who signed in."""
    return render(request, "account.html", {"title": "You are signed in"})
