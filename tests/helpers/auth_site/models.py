"""A user whose phone may be verified."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models


class Person(AbstractUser):
    phone: models.CharField[str, str] = models.CharField(max_length=16, blank=True)
    phone_verified: models.BooleanField[bool, bool] = models.BooleanField(default=False)
