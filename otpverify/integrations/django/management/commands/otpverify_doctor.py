"""`manage.py otpverify_doctor`: see `otpverify doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.checks import ERROR
from django.core.management.base import BaseCommand, CommandError

from otpverify import ConfigurationError
from otpverify.console import commands, doctor
from otpverify.integrations.django import checks, conf


class Command(BaseCommand):
    """Looks at the settings, the project, the store and the gateway."""

    help = f"{commands.DOCTOR} It takes the settings of the project."

    def handle(self, **options: Any) -> None:
        """Print every finding."""
        try:
            well = doctor.run(_findings(), self.stdout.write)
        except ConfigurationError as error:
            raise CommandError(f"{error}") from error
        if not well:
            raise CommandError("A check failed.")


def _findings() -> Iterator[doctor.Finding]:
    # A site whose function makes every verifier may have no account in the settings.
    own = conf.function("GET_VERIFIER") is not None and conf.shared().get("HASH") is None
    yield from doctor.examine(conf.shared(), account=not own)
    for found in checks.project_findings():
        grade = "fail" if found.level >= ERROR else "warn"
        yield grade, f"Project: {found.msg} {found.hint or ''} ({found.id})"
