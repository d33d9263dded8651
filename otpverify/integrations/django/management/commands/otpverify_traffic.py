"""`manage.py otpverify_traffic`: see `otpverify traffic`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from otpverify import OtpVerifyError
from otpverify.console import commands
from otpverify.integrations.django import conf


class Command(BaseCommand):
    """Prints what was sent and entered, by country."""

    help = commands.TRAFFIC

    def add_arguments(self, parser: CommandParser) -> None:
        """See `commands`."""
        commands.add_traffic_arguments(parser)

    def handle(self, **options: Any) -> None:
        """Print the tables."""
        terminal = self.stdout.isatty() and not options["no_color"]
        try:
            commands.traffic(
                conf.shared(),
                self.stdout.write,
                options["hours"],
                options["json"],
                terminal=terminal,
            )
        except OtpVerifyError as error:
            raise CommandError(f"{error}") from error
