"""`send_bulk` for the SMSPM clients of both colours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from otpverify.gateways.bulk_results import BulkProgress, BulkResult
    from otpverify.gateways.smspm.bulk import Batch, Bulk, BulkOptions
    from otpverify.gateways.smspm.bulk_wire import Reply
    from otpverify.gateways.smspm.wire import Account

# What sends in bulk is loaded when it is first used; few programs do.


class _Client(ABC):
    """What it needs of a client."""

    _account: Account
    _method: Literal["POST", "GET"]

    def _bulk(self, text: str, options: BulkOptions) -> Bulk:
        from otpverify.gateways.smspm.bulk import Bulk

        if self._method == "GET":
            options["batch_size"] = 1  # the contract has no array in a query string
        return Bulk(self._account, text, options)


class SendsBulk(_Client):
    """`send_bulk` for a client that blocks."""

    def send_bulk(
        self,
        numbers: Iterable[str],
        text: str,
        *,
        region: str | None = None,
        reference: str | None = None,
        batch_size: int = 100,
        concurrency: int = 4,
        recipients_per_second: float | None = None,
        on_sending: Callable[[Batch], object] | None = None,
        on_progress: Callable[[BulkProgress], object] | None = None,
    ) -> BulkResult:
        """Hand one text for many recipients to the gateway, up to 100 a request and several
        requests at a time. A number that is given twice is sent to once, and a request that may
        have been taken is not repeated, unless the client's `Retry(after_timeout=True)` says so.

        Invalid numbers and duplicates are found before anything is sent. Once the gateway
        refuses the account, the rest is not attempted. A batch that is refused because the
        gateway takes one number a request is sent again one by one, and so is the rest; one that
        is refused for an invalid number is halved until that number stands alone.

        Args:
            numbers: The numbers as people wrote them.
            text: The text, the same for all.
            region: The ISO 3166-1 alpha-2 code, such as `"EE"`, for numbers without a country
                code.
            reference: Our own, sent as `smsId`. No delivery reports are asked for.
            batch_size: How many recipients a request has at most, 1 to 100.
            concurrency: How many requests are made at a time at most, 1 to 32.
            recipients_per_second: How many recipients are sent to a second at most; no limit if
                left out.
            on_sending: Called with the numbers (E.164) of a request right before it is made.
            on_progress: Called with a `BulkProgress` after something was settled.
                `otpverify.sms.bulk_drive.BulkOptions` says more of all these.

        Returns:
            What became of each number, in input order. A message that could not be sent is an
            entry with its error, and raises nothing.

        Raises:
            ConfigurationError: An option makes no sense, `numbers` is one string, or the text is
                none or only white space. Nothing was sent.
            DeliveryRejected: The text is empty, or no encoding can carry it.
            BulkInterrupted: A callback raised. Requests on their way were waited for; `result`
                says what became of everyone. Where something else ends it (Ctrl-C, a cancelled
                task), `on_progress` is told as much before that takes its way.
        """
        from otpverify._sync import run_sync
        from otpverify.gateways.smspm.bulk_io import Threads

        options: BulkOptions = {
            "region": region,
            "reference": reference,
            "batch_size": batch_size,
            "concurrency": concurrency,
            "recipients_per_second": recipients_per_second,
            "on_sending": on_sending,
            "on_progress": on_progress,
        }
        bulk = self._bulk(text, options)
        with Threads(self._exchange, bulk.concurrency) as ports:
            return run_sync(bulk.send(bulk.plan(numbers), ports))

    @abstractmethod
    def _exchange(self, fields: Mapping[str, Any]) -> Reply:
        """Make one request, and give status and body, or raise `DeliveryUnavailable`."""


class AsyncSendsBulk(_Client):
    """`send_bulk` for a client that is awaited."""

    async def send_bulk(
        self,
        numbers: Iterable[str],
        text: str,
        *,
        region: str | None = None,
        reference: str | None = None,
        batch_size: int = 100,
        concurrency: int = 4,
        recipients_per_second: float | None = None,
        on_sending: Callable[[Batch], object] | None = None,
        on_progress: Callable[[BulkProgress], object] | None = None,
    ) -> BulkResult:
        """As `SmspmClient.send_bulk`; callbacks may be coroutine functions. When the task is
        cancelled, requests on their way are cancelled, too: their recipients are unknown."""
        import asyncio

        from otpverify.gateways.smspm.bulk_io import Tasks

        options: BulkOptions = {
            "region": region,
            "reference": reference,
            "batch_size": batch_size,
            "concurrency": concurrency,
            "recipients_per_second": recipients_per_second,
            "on_sending": on_sending,
            "on_progress": on_progress,
        }
        bulk = self._bulk(text, options)
        # Iterated here: it may be a generator that belongs to this thread.
        given = numbers if isinstance(numbers, str | bytes) else tuple(numbers)
        plan = await asyncio.to_thread(bulk.plan, given)
        with Tasks(self._exchange) as ports:
            return await bulk.send(plan, ports)

    @abstractmethod
    async def _exchange(self, fields: Mapping[str, Any]) -> Reply:
        """See `SendsBulk._exchange`."""
