"""What the permissions of the admin's page belong to. There is no table."""

from django.db import models


class Phone(models.Model):
    """A phone number, which support looks up in the admin. Nothing is kept in the database."""

    class Meta:
        app_label = "otpverify"
        managed = False
        default_permissions: tuple[str, ...] = ()
        permissions: tuple[tuple[str, str], ...] = (
            ("inspect_phone", "Can look up what limits a phone number"),
            ("unlock_phone", "Can clear what limits a phone number"),
        )
        verbose_name = "phone number"
        verbose_name_plural = "phone numbers"
