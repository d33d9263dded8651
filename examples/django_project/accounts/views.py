"""The site's own pages."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from accounts.forms import NewCustomerForm
from otpverify import Verified
from otpverify.integrations.django.views import SignInView, code_required

AMOUNTS, PAYEE = ("25.00 EUR", "40.00 EUR"), "Bookshop"  # yours come from the database


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


def approved(request: HttpRequest) -> dict[str, str]:
    """What the code approves, and the message names."""
    amount = request.POST.get("amount", "")
    if amount not in AMOUNTS:
        raise BadRequest
    return {"amount": amount, "payee": PAYEE}


@never_cache
@login_required
@code_required("payment", binding=approved, methods=["POST"])
def payment(request: HttpRequest, verified: Verified | None) -> HttpResponse:
    """A payment, which needs a fresh code. The form is kept meanwhile: after the code, one press
    pays."""
    context = {"title": f"Pay {PAYEE}", "amounts": AMOUNTS}
    if verified is not None:
        context["title"] = f"Paid {request.POST['amount']} to {PAYEE}"
    return render(request, "payment.html", {**context, "paid": verified is not None})
