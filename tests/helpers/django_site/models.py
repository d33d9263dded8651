"""Users with a phone, and users whose name is their phone."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.db import models


class Customer(AbstractUser):
    phone: models.CharField[str, str] = models.CharField(max_length=16, blank=True)


class Members(BaseUserManager["Member"]):
    def create_user(self, phone: str, password: str | None = None, **more: Any) -> Member:
        member = self.model(phone=phone, **more)
        member.set_password(password)
        member.save(using=self._db)
        return member

    create_superuser = create_user


class Member(AbstractBaseUser):
    phone: models.CharField[str, str] = models.CharField(max_length=16, unique=True)
    is_active: models.BooleanField[bool, bool] = models.BooleanField(default=True)
    is_staff = True
    objects: ClassVar[Members] = Members()

    USERNAME_FIELD = "phone"
