"""What the database holds of the second factor of users."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models


class BackupCode(models.Model):
    """A backup code that was not used: its hash, as `BackupCodes` makes it."""

    user: Any = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    code: Any = models.CharField(max_length=80)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["user", "code"], name="otpverify_backup_code")
        ]
        default_permissions: tuple[str, ...] = ("view",)


class RememberedBrowsers(models.Model):
    """A random value that the cookies of a user's remembered browsers are signed with. Replacing it
    ends them all."""

    user: Any = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+"
    )
    value: Any = models.CharField(max_length=32)

    class Meta:
        default_permissions: tuple[str, ...] = ()
