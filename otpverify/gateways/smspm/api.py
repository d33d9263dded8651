"""The calls of one SMSPM account as data. The sync and async clients each hold one, and perform
them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from otpverify.core.results import Message, Receipt
from otpverify.errors import ConfigurationError
from otpverify.gateways.call import Call, Fields, Method
from otpverify.gateways.smspm import wire
from otpverify.gateways.smspm.account import Account
from otpverify.gateways.smspm.wire import Balance, read_balance, read_sender_ids

if TYPE_CHECKING:
    from otpverify.gateways.smspm.bulk import Bulk
    from otpverify.gateways.smspm.bulk_options import BulkOptions


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
        fields = self.account.credentials
        return Call(
            gateway=wire.NAME,
            operation="balance",
            method="GET",
            url=self.url + "/balance",
            fields=fields,
            read=lambda status, body: read_balance(wire.read_object(status, body, fields)),
            sends=False,
        )

    def sender_ids(self) -> Call[tuple[str, ...]]:
        """The call that reads the approved sender IDs."""
        fields = self.account.credentials
        return Call(
            gateway=wire.NAME,
            operation="sender_ids",
            method="GET",
            url=self.url + "/sender-ids",
            fields=fields,
            read=lambda status, body: read_sender_ids(wire.read_object(status, body, fields)),
            sends=False,
        )

    def bulk(self, text: str, options: BulkOptions) -> Bulk:
        """One text for many recipients.

        Raises:
            TypeError, ConfigurationError, DeliveryRejected: As `Bulk`.
        """
        from otpverify.gateways.smspm.bulk import Bulk  # few programs need it

        if self.method == "GET":
            options = {**options, "batch_size": 1}  # the API has no array in a query string
        return Bulk(self.account, text, options)
