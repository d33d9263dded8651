"""`manage.py otpverify_inspect`: see `otpverify inspect`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from otpverify import OtpVerifyError
from otpverify.console import commands
from otpverify.integrations.django import conf


class Command(BaseCommand):
    """Prints what is known of a phone number."""

    help = commands.INSPECT

    def add_arguments(self, parser: CommandParser) -> None:
        """See `commands`."""
        commands.add_phone_arguments(parser)

    def handle(self, **options: Any) -> None:
        """Print it."""
        phone, purpose = options["phone"], options["purpose"]
        try:
            commands.inspect(conf.shared(), self.stdout.write, phone, purpose, options["json"])
        except OtpVerifyError as error:
            raise CommandError(f"{error}") from error
