"""`SmspmClient`: its settings, and its calls to the gateway as data, which are those of
`AsyncSmspmClient`, too."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from otpverify._sync import Closing, run_sync
from otpverify.core.results import Message, Receipt, ReportFields
from otpverify.errors import ConfigurationError
from otpverify.gateways.call import Call, Fields, Method
from otpverify.gateways.delivery_reports import read_report
from otpverify.gateways.http import HttpClient
from otpverify.gateways.retry import HttpSettings, Observer, Retry
from otpverify.gateways.send_bulk import BulkOptions, names_options
from otpverify.gateways.smspm import wire
from otpverify.gateways.smspm.account import (
    DEFAULT_SENDER_ID,
    DEFAULT_URL,
    Account,
    check_gateway_url,
    missing_credentials,
    read_switch,
)
from otpverify.gateways.smspm.wire import Balance, read_balance, read_sender_ids

if TYPE_CHECKING:
    from otpverify.gateways.send_bulk import BulkResult
    from otpverify.gateways.smspm.bulk import Bulk


T = TypeVar("T")


@dataclass(frozen=True, slots=True, repr=False)
class SmspmApi:
    """An account at an address.

    Attributes:
        account: Credentials, sender ID and report address.
        url: The gateway's address, checked.
        method: The HTTP method of sends.

    Raises:
        ConfigurationError: The method is not `"POST"` or `"GET"`.
    """

    account: Account
    url: str
    method: Method

    def __post_init__(self) -> None:
        if self.method not in ("POST", "GET"):
            raise ConfigurationError('method must be "POST" or "GET".')

    def send(self, message: Message) -> Call[Receipt]:
        """The call that sends one message."""
        fields = wire.send_fields(self.account, message, self.method)
        return Call(
            gateway=wire.NAME,
            operation="send",
            method=self.method,
            url=self.url,
            fields=fields,
            read=lambda status, body: wire.read_receipt(status, body, fields),
        )

    def exchange(self, fields: Fields, operation: str) -> Call[tuple[int, bytes]]:
        """The call that sends prepared fields, and returns the status and the body."""

        def read(status: int, body: bytes) -> tuple[int, bytes]:
            wire.raise_if_busy(status, body, fields)
            return status, body

        return Call(
            gateway=wire.NAME,
            operation=operation,
            method=self.method,
            url=self.url,
            fields=fields,
            read=read,
            many=True,
        )

    def balance(self) -> Call[Balance]:
        """The call that reads the balance."""
        return self._lookup("balance", "/balance", read_balance)

    def sender_ids(self) -> Call[tuple[str, ...]]:
        """The call that reads the approved sender IDs."""
        return self._lookup("sender_ids", "/sender-ids", read_sender_ids)

    def _lookup(self, operation: str, path: str, read: Callable[[Fields], T]) -> Call[T]:
        """A call that reads something of the account, and sends nothing."""
        fields = self.account.credentials
        return Call(
            gateway=wire.NAME,
            operation=operation,
            method="GET",
            url=self.url + path,
            fields=fields,
            read=lambda status, body: read(wire.read_object(status, body, fields)),
            sends=False,
        )

    def bulk(self, text: str, options: BulkOptions) -> Bulk:
        """One text for many recipients.

        Raises:
            TypeError, ConfigurationError, DeliveryRejected: As `Bulk`.
        """
        from otpverify.gateways.smspm.bulk import Bulk  # loaded as a client is made

        if self.method == "GET":
            options = {**options, "batch_size": 1}  # the API has no array in a query string
        return Bulk(self.account, text, options)


def _load_bulk() -> None:
    """Load what `send_bulk` needs, as a client is made. At its first call no file may be left to
    open, and phonenumbers does not recover from that. Programs that also have a verifier load
    nearly all of it anyway."""
    from otpverify.core.phone import load_plans
    from otpverify.gateways.smspm import bulk  # noqa: F401 - loaded, for the methods below

    load_plans()


class SmspmBase(ABC):
    """What the sync and async clients have in common. `SmspmClient` documents the arguments."""

    def __init__(
        self,
        hash: str,  # noqa: A002 - the name in the gateway's API
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
        allow_insecure: bool = False,
    ) -> None:
        if not isinstance(allow_insecure, bool):
            raise ConfigurationError("allow_insecure must be True or False.")
        _load_bulk()
        account = Account(hash, token, sender_id, report_url, allow_insecure)
        self._api = SmspmApi(account, check_gateway_url(url, allow_insecure=allow_insecure), method)
        self._open(
            HttpSettings(
                connect_timeout_seconds=connect_timeout_seconds,
                read_timeout_seconds=read_timeout_seconds,
                retry=retry,
                on_attempt=on_attempt,
            )
        )

    @abstractmethod
    def _open(self, settings: HttpSettings) -> None:
        """Make the HTTP client."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: Any) -> Self:
        """A client from `SMSPM_HASH`, `SMSPM_TOKEN`, and, where set, `SMSPM_SENDER`,
        `SMSPM_URL`, `SMSPM_REPORT_URL` and `SMSPM_ALLOW_INSECURE`.

        Args:
            environ: The variables; `os.environ` if left out.
            **options: Further arguments of the client; they take precedence.

        Raises:
            ConfigurationError: A variable is missing or unsafe.
        """
        environ = os.environ if environ is None else environ
        missing = [name for name in ("SMSPM_HASH", "SMSPM_TOKEN") if not environ.get(name)]
        if missing:
            raise missing_credentials(missing)
        settings: dict[str, Any] = {
            "hash": environ["SMSPM_HASH"],
            "token": environ["SMSPM_TOKEN"],
            "sender_id": environ.get("SMSPM_SENDER") or DEFAULT_SENDER_ID,
            "url": environ.get("SMSPM_URL") or DEFAULT_URL,
            "report_url": environ.get("SMSPM_REPORT_URL") or None,
            "allow_insecure": read_switch(environ.get("SMSPM_ALLOW_INSECURE")),
        }
        return cls(**(settings | options))

    @property
    def url(self) -> str:
        """The gateway's address."""
        return self._api.url

    @property
    def sender_id(self) -> str:
        """The sender ID that messages carry."""
        return self._api.account.sender_id

    @property
    def takes_reports(self) -> bool:
        """Whether delivery reports are requested."""
        return self._api.account.report_url is not None

    @staticmethod
    def read_report(params: object) -> ReportFields:
        """Read the parameters of a delivery report; see `delivery_reports.read_report`."""
        return read_report(params)

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"<{name} {self._api.method} {self._api.url} as {self._api.account.sender_id!r}>"


class SmspmClient(SmspmBase, Closing):
    """Sends through the SMSPM gateway. Safe to share between threads; make one per process.

    Credentials, numbers and texts are sent in a POST body. Redirects are not followed; cookies
    and `.netrc` are not used. A call that did not reach the gateway is repeated according to
    `retry`.

    Args:
        hash: The account's hash.
        token: The account's token.
        sender_id: An approved sender ID; an alphanumeric one has at most 11 characters.
        url: The gateway's address; in development, the address of a sandbox.
        method: `"POST"`, or `"GET"` for a gateway that accepts only GET. GET puts the
            credentials and the code into the URL, and so into the logs of every proxy in between.
        report_url: The address to which the gateway sends delivery reports, such as
            `"https://app.example/sms/report"`. Pass the parameters that arrive there to
            `delivery_report`. If left out, no delivery reports are requested.
        connect_timeout_seconds: To make the connection; at most 600.
        read_timeout_seconds: For each wait for the reply; at most 600.
        retry: When a call is repeated, and how long it may take in total; `Retry()` if left out.
        on_attempt: Called with a `DeliveryAttempt` after every attempt. An exception from it is
            logged.
        allow_insecure: Whether `url` and `report_url` may be plain http to a private address or to
            a name such as `host.docker.internal`. It is for a sandbox: credentials and codes are
            sent in clear. Plain http to this machine is always allowed, and to a public host never.

    Raises:
        ConfigurationError: An argument is missing or unsafe.
    """

    def _open(self, settings: HttpSettings) -> None:
        self._http = HttpClient(type(self).__name__, self._api.url, settings)

    def close(self) -> None:
        """Close the pooled connections."""
        self._http.close()

    def send(self, message: Message) -> Receipt:
        """Hand a message to the gateway.

        Returns:
            A receipt with the gateway's message id, if it gave one.

        Raises:
            DeliveryRejected: The gateway refused the message.
            DeliveryUnavailable: The gateway was not reached (`maybe_sent` is false), or it is
                unknown whether it took the message (`maybe_sent` is true).
        """
        return self._http.perform(self._api.send(message))

    @names_options
    def send_bulk(
        self, numbers: Iterable[str], text: str, **options: Unpack[BulkOptions]
    ) -> BulkResult:
        """Send one text to many recipients, up to 100 in a request and several requests at a time.
        A number that is given twice gets one message. A request that may have been taken is not
        repeated, unless the client has `Retry(after_timeout=True)`.

        Invalid numbers and duplicates are found before anything is sent. After the gateway
        refuses the account, the rest is not attempted. If the gateway refuses a batch because it
        takes one number per request, that batch and the rest are sent one by one. If it refuses a
        batch because of an invalid number, the batch is halved until that number is alone.

        Args:
            numbers: The numbers as people wrote them.
            text: The text, the same for all.
            **options: `region`, `reference`, `batch_size`, `concurrency`, `recipients_per_second`,
                `on_sending` and `on_progress`; `otpverify.gateways.send_bulk.BulkOptions`
                documents them. All are optional.

        Returns:
            The result for each number, in input order. A message that could not be sent is an
            entry with its error; it does not raise.

        Raises:
            ConfigurationError: An option is invalid, `numbers` is one string, or the text is not
                a str or is only white space. Nothing was sent.
            DeliveryRejected: The text is empty, or no encoding can carry it.
            BulkInterrupted: A callback raised. Requests in progress were waited for; `result` has
                the result for everyone. When something else ends the send (Ctrl-C, a cancelled
                task), `on_progress` gets these results before that exception is raised again.
        """
        from otpverify.gateways.smspm.bulk import Threads  # loaded as the client is made

        bulk = self._api.bulk(text, options)
        with Threads(self._exchange, bulk.concurrency) as ports:
            return run_sync(bulk.send(bulk.plan(numbers), ports))

    def balance(self) -> Balance:
        """The balance of the account, in euros. Raises the same errors as `send`."""
        return self._http.perform(self._api.balance())

    def sender_ids(self) -> tuple[str, ...]:
        """The sender IDs that the account may use. Raises the same errors as `send`."""
        return self._http.perform(self._api.sender_ids())

    def _exchange(self, fields: Fields, operation: str = "send_bulk") -> tuple[int, bytes]:
        """Send prepared fields, within the retries and the deadline.

        Args:
            fields: The JSON body, credentials included; `toNumber` may hold a list.
            operation: The name of the call in a `DeliveryAttempt`.

        Returns:
            The HTTP status and body of any reply, except one that asks to try again later. The
            body ends soon after `LARGEST_REPLY` bytes.

        Raises:
            DeliveryUnavailable: There was no reply, or the status after all attempts was 429,
                502, 503 or 504. `maybe_sent` says whether any attempt may have been taken.
        """
        return self._http.perform(self._api.exchange(fields, operation))
