"""Customers."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models


class Customer(AbstractUser):
    """A user with a phone, in E.164. Customers without one have NULL, so that it can be unique."""

    phone: models.CharField[str | None, str | None] = models.CharField(
        max_length=16, unique=True, null=True, blank=True
    )
