"""`manage.py otpverify_unlock`: see `otpverify unlock`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from otpverify import OtpVerifyError
from otpverify.console import commands
from otpverify.integrations.django import conf


class Command(BaseCommand):
    """Clears what limits a phone number."""

    help = commands.UNLOCK

    def add_arguments(self, parser: CommandParser) -> None:
        """See `commands`."""
        commands.add_phone_arguments(parser)

    def handle(self, **options: Any) -> None:
        """Clear it."""
        phone, purpose = options["phone"], options["purpose"]
        try:
            commands.unlock(conf.shared(), self.stdout.write, phone, purpose, options["json"])
        except OtpVerifyError as error:
            raise CommandError(f"{error}") from error
