"""Backup codes in the tables of the app `otpverify.integrations.django.second_factor`, and the page
that makes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.apps import apps
from django.db import transaction

from otpverify import AsyncVerifier, Verifier
from otpverify.integrations.web.backup_codes import BackupCodes
from otpverify.integrations.web.other_ways import OtherWay

APP: Final = "otpverify.integrations.django.second_factor"
LABEL: Final = "otpverify_second_factor"


class CodeTable:
    """A `BackupCodeStorage` in the table of the app."""

    def load(self, account: str) -> Sequence[str]:
        """See `BackupCodeStorage.load`."""
        return list(self._of(account).values_list("code", flat=True))

    def replace(self, account: str, codes: Sequence[str]) -> None:
        """See `BackupCodeStorage.replace`."""
        model = _model()
        with transaction.atomic():
            self._of(account).delete()
            model.objects.bulk_create(model(user_id=account, code=code) for code in codes)

    def remove(self, account: str, code: str) -> bool:
        """See `BackupCodeStorage.remove`. One DELETE, whose count says whether this call did it."""
        count, _ = self._of(account).filter(code=code).delete()
        return bool(count == 1)

    def _of(self, account: str) -> Any:
        return _model().objects.filter(user_id=account)


class AsyncCodeTable:
    """`CodeTable` for asynchronous callers."""

    def __init__(self) -> None:
        table = CodeTable()
        self.load: Callable[[str], Awaitable[Sequence[str]]] = sync_to_async(table.load)
        self.replace: Callable[[str, Sequence[str]], Awaitable[None]] = sync_to_async(table.replace)
        self.remove: Callable[[str, str], Awaitable[bool]] = sync_to_async(table.remove)


def backup_codes(verifier: Verifier | AsyncVerifier) -> BackupCodes:
    """The backup codes of all users.

    Args:
        verifier: Hashes them, and counts attempts.
    """
    storage: Any = AsyncCodeTable() if isinstance(verifier, AsyncVerifier) else CodeTable()
    return BackupCodes(verifier, storage)


def ways(verifier: Verifier | AsyncVerifier) -> list[OtherWay]:
    """Backup codes as another way in; none without the app."""
    return [backup_codes(verifier).way()] if apps.is_installed(APP) else []


def _model() -> Any:
    return apps.get_model(LABEL, "BackupCode")
