"""A user with a phone."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models


class Customer(AbstractUser):
    phone: models.CharField[str, str] = models.CharField(max_length=16, blank=True)
