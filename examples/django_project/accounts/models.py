"""Customers."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models

from otpverify.integrations.django.phone_sessions import EndsSessionsWithPhone


class Customer(EndsSessionsWithPhone, AbstractUser):
    """A user with a phone, in E.164. Customers without one have NULL, so that it can be unique.
    Another phone ends the sessions of a customer, as another password does."""

    phone: models.CharField[str | None, str | None] = models.CharField(
        max_length=16, unique=True, null=True, blank=True
    )
