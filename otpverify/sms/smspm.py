"""The SMSPM client on `requests`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

import requests

from otpverify.core.results import Message, Receipt
from otpverify.errors import ConfigurationError
from otpverify.sms import smspm_wire as wire
from otpverify.sms.smspm_address import DEFAULT_URL, check_url
from otpverify.sms.smspm_bulk import SendsBulk
from otpverify.sms.smspm_session import new_session, transport_failure

_LONGEST_TIMEOUT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Balance:
    """What is left on the account.

    Attributes:
        amount: In euros.
        stale: It is the last known figure, not the current one.
    """

    amount: float
    stale: bool = False


class SmspmClient(SendsBulk):
    """Sends through the SMSPM gateway. Safe to share between threads; make one a process.

    Credentials, numbers and texts travel in a POST body. Redirects are not followed, cookies
    and `.netrc` are not used, and nothing is retried.

    Args:
        hash: The account's hash.
        token: The account's token.
        sender_id: An approved sender ID; an alphanumeric one has at most 11 characters.
        url: The gateway's address; a sandbox's in development.
        method: `"POST"`, or `"GET"` for a gateway that takes nothing else. GET puts
            credentials and code into the URL, and so into the logs of every proxy on the way.
        report_url: Where the gateway is to send delivery reports, such as
            `"https://app.example/sms/report"`; give what arrives there to `delivery_report`.
            None are asked for if left out.
        connect_timeout_seconds: For the connection to be made; at most 600.
        read_timeout_seconds: For each wait for the reply; at most 600.

    Raises:
        ConfigurationError: Something of this is missing or unsafe.
    """

    def __init__(
        self,
        hash: str,  # noqa: A002 - the gateway's own name for it
        token: str,
        *,
        sender_id: str = wire.DEFAULT_SENDER_ID,
        url: str = DEFAULT_URL,
        method: Literal["POST", "GET"] = "POST",
        report_url: str | None = None,
        connect_timeout_seconds: float = 3.05,
        read_timeout_seconds: float = 10.0,
    ) -> None:
        if method not in ("POST", "GET"):
            raise ConfigurationError('method must be "POST" or "GET".')
        for seconds in (connect_timeout_seconds, read_timeout_seconds):
            if not (isinstance(seconds, int | float) and 0 < seconds <= _LONGEST_TIMEOUT_SECONDS):
                raise ConfigurationError(
                    f"Timeouts must be above 0 and at most {_LONGEST_TIMEOUT_SECONDS} seconds."
                )
        self._account = wire.Account(hash, token, sender_id, report_url)
        self._url = check_url(url)
        self._method: Literal["POST", "GET"] = method
        self._timeout = (connect_timeout_seconds, read_timeout_seconds)
        # Plain http is for a sandbox on this machine, which no proxy reaches.
        self._session = new_session(proxies=self._url.lower().startswith("https:"))

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """A client from `SMSPM_HASH`, `SMSPM_TOKEN`, and, where set, `SMSPM_SENDER`,
        `SMSPM_URL` and `SMSPM_REPORT_URL`.

        Args:
            environ: The variables; `os.environ` if left out.

        Raises:
            ConfigurationError: One is missing or unsafe.
        """
        environ = os.environ if environ is None else environ
        missing = [name for name in ("SMSPM_HASH", "SMSPM_TOKEN") if not environ.get(name)]
        if missing:
            raise ConfigurationError(f"Set {' and '.join(missing)} in the environment.")
        return cls(
            environ["SMSPM_HASH"],
            environ["SMSPM_TOKEN"],
            sender_id=environ.get("SMSPM_SENDER") or wire.DEFAULT_SENDER_ID,
            url=environ.get("SMSPM_URL") or DEFAULT_URL,
            report_url=environ.get("SMSPM_REPORT_URL") or None,
        )

    @property
    def sender_id(self) -> str:
        """The sender ID that messages carry."""
        return self._account.sender_id

    @property
    def takes_reports(self) -> bool:
        """Whether delivery reports are asked for."""
        return self._account.report_url is not None

    def __repr__(self) -> str:
        return f"<SmspmClient {self._method} {self._url} as {self._account.sender_id!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def send(self, message: Message) -> Receipt:
        """Hand a message to the gateway, once.

        Returns:
            A receipt with the gateway's message id, if it gave one.

        Raises:
            DeliveryRejected: The gateway said no.
            DeliveryUnavailable: It was not reached (`maybe_sent` is false), or nobody knows
                whether it took the message.
        """
        fields = wire.send_fields(self._account, message, self._method)
        status, body = self._call(self._method, "", fields)
        return wire.read_receipt(status, body, fields)

    def balance(self) -> Balance:
        """What is left on the account, in euros. Raises as `send`."""
        fields = self._account.credentials
        status, body = self._call("GET", "/balance", fields)
        reply = wire.read_object(status, body, fields)
        return wire_balance(reply.get("balance"), stale=reply.get("stale"))

    def sender_ids(self) -> tuple[str, ...]:
        """The sender IDs that the account may use. Raises as `send`."""
        fields = self._account.credentials
        status, body = self._call("GET", "/sender-ids", fields)
        senders = wire.read_object(status, body, fields).get("senders")
        if not isinstance(senders, list):
            raise wire.unreadable("SMSPM's reply holds no sender IDs.")
        return tuple(sender for sender in senders if isinstance(sender, str))

    def _exchange(self, fields: Mapping[str, Any]) -> tuple[int, bytes]:
        return self._call(self._method, "", fields)

    def _call(self, method: str, path: str, fields: Mapping[str, Any]) -> tuple[int, bytes]:
        try:
            with self._session.request(
                method,
                self._url + path,
                json=fields if method == "POST" else None,
                params=fields if method == "GET" else None,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                return response.status_code, _read(response)
        except requests.RequestException as error:
            failure = transport_failure(error)
        # Raised out here, so that the library's exception, which prints the URL and holds the
        # request, is not chained to it.
        raise failure


def wire_balance(amount: object, *, stale: object) -> Balance:
    """The reply's figure, or an error when it is none."""
    # The bound leaves out NaN, infinities, and integers that no float can hold.
    if isinstance(amount, int | float) and not isinstance(amount, bool) and abs(amount) < 1e15:
        return Balance(float(amount), stale is True)
    raise wire.unreadable("SMSPM's reply holds no balance.")


def _read(response: requests.Response) -> bytes:
    """The body, up to what a reply may sensibly hold."""
    body = b""
    for chunk in response.iter_content(8192):
        body += chunk
        if len(body) > wire.LARGEST_REPLY:
            break
    return body
