"""What both SMSPM clients have in common: everything but the carrying."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self

from otpverify.core.results import Message, Receipt
from otpverify.errors import ConfigurationError
from otpverify.sms import smspm_wire as wire
from otpverify.sms.attempts import Attempts
from otpverify.sms.retry import Observer, Retry, check_observer
from otpverify.sms.smspm_account import DEFAULT_SENDER_ID, Account
from otpverify.sms.smspm_address import DEFAULT_URL, check_url
from otpverify.sms.smspm_call import (
    Balance,
    Call,
    Fields,
    Method,
    read_balance,
    read_sender_ids,
)

_LONGEST_TIMEOUT_SECONDS = 600


class SmspmBase(ABC):
    """Settings, and the calls as data. `SmspmClient` documents the arguments."""

    def __init__(
        self,
        hash: str,  # noqa: A002 - the gateway's own name for it
        token: str,
        *,
        sender_id: str = DEFAULT_SENDER_ID,
        url: str = DEFAULT_URL,
        method: Method = "POST",
        report_url: str | None = None,
        connect_timeout_seconds: float = 3.05,
        read_timeout_seconds: float = 10.0,
        retry: Retry | None = None,
        on_attempt: Observer | None = None,
    ) -> None:
        if method not in ("POST", "GET"):
            raise ConfigurationError('method must be "POST" or "GET".')
        for seconds in (connect_timeout_seconds, read_timeout_seconds):
            number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
            if not (number and 0 < seconds <= _LONGEST_TIMEOUT_SECONDS):
                raise ConfigurationError(
                    f"Timeouts must be above 0 and at most {_LONGEST_TIMEOUT_SECONDS} seconds."
                )
        if not isinstance(retry, Retry | None):
            raise ConfigurationError("retry must be a Retry(...).")
        check_observer(on_attempt)
        self._account = Account(hash, token, sender_id, report_url)
        self._url = check_url(url)
        self._method: Method = method
        self._timeouts = (float(connect_timeout_seconds), float(read_timeout_seconds))
        self._retry = Retry() if retry is None else retry
        self._on_attempt = on_attempt
        self._open()

    @abstractmethod
    def _open(self) -> None:
        """Make what carries the calls."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: Any) -> Self:
        """A client from `SMSPM_HASH`, `SMSPM_TOKEN`, and, where set, `SMSPM_SENDER`,
        `SMSPM_URL` and `SMSPM_REPORT_URL`.

        Args:
            environ: The variables; `os.environ` if left out.
            **options: Whatever else the client takes; it takes precedence.

        Raises:
            ConfigurationError: One is missing or unsafe.
        """
        environ = os.environ if environ is None else environ
        missing = [name for name in ("SMSPM_HASH", "SMSPM_TOKEN") if not environ.get(name)]
        if missing:
            raise ConfigurationError(f"Set {' and '.join(missing)} in the environment.")
        settings: dict[str, Any] = {
            "hash": environ["SMSPM_HASH"],
            "token": environ["SMSPM_TOKEN"],
            "sender_id": environ.get("SMSPM_SENDER") or DEFAULT_SENDER_ID,
            "url": environ.get("SMSPM_URL") or DEFAULT_URL,
            "report_url": environ.get("SMSPM_REPORT_URL") or None,
        }
        return cls(**(settings | options))

    @property
    def sender_id(self) -> str:
        """The sender ID that messages carry."""
        return self._account.sender_id

    @property
    def takes_reports(self) -> bool:
        """Whether delivery reports are asked for."""
        return self._account.report_url is not None

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"<{name} {self._method} {self._url} as {self._account.sender_id!r}>"

    @property
    def _proxies(self) -> bool:
        """Whether to heed the environment's proxies and certificates. Plain http is for a
        sandbox on this machine, which no proxy reaches."""
        return self._url.lower().startswith("https:")

    def _attempts(self) -> Attempts:
        return Attempts(self._retry, type(self).__name__, self._on_attempt)

    def _send_call(self, message: Message) -> Call[Receipt]:
        fields = wire.send_fields(self._account, message, self._method)
        return Call(
            "send",
            self._method,
            self._url,
            fields,
            lambda status, body: wire.read_receipt(status, body, fields),
        )

    def _exchange_call(self, fields: Fields, operation: str) -> Call[tuple[int, bytes]]:
        def read(status: int, body: bytes) -> tuple[int, bytes]:
            wire.raise_if_busy(status, body, fields)
            return status, body

        return Call(operation, self._method, self._url, fields, read, many=True)

    def _balance_call(self) -> Call[Balance]:
        fields = self._account.credentials
        return Call(
            "balance",
            "GET",
            self._url + "/balance",
            fields,
            lambda status, body: read_balance(wire.read_object(status, body, fields)),
            sends=False,
        )

    def _sender_ids_call(self) -> Call[tuple[str, ...]]:
        fields = self._account.credentials
        return Call(
            "sender_ids",
            "GET",
            self._url + "/sender-ids",
            fields,
            lambda status, body: read_sender_ids(wire.read_object(status, body, fields)),
            sends=False,
        )
