"""What becomes of a confirmed number."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver
from django.http import HttpRequest

from accounts.models import Customer
from otpverify import Verified
from otpverify.integrations.django.signals import phone_verified


@receiver(phone_verified)
def keep_phone(request: HttpRequest, verified: Verified, **_: Any) -> None:
    """The first number of a customer who has none, if nobody else has it. To change one takes more
    than a session that is signed in, since codes go there from then on: `EnrolmentView` does it."""
    user: Any = request.user
    taken = Customer.objects.filter(phone=verified.phone).exists()
    if user.is_authenticated and not user.phone and not taken:
        user.phone = verified.phone
        user.save(update_fields=["phone"])
