"""`send_bulk` for the sync and async SMSPM clients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from otpverify.gateways.bulk_results import BulkProgress, BulkResult
    from otpverify.gateways.smspm.bulk import Batch, Bulk, BulkOptions
    from otpverify.gateways.smspm.bulk_wire import Reply
    from otpverify.gateways.smspm.wire import Account

# The bulk modules are loaded on first use, because few programs need them.


class _Client(ABC):
    """The parts of a client that `send_bulk` needs."""

    _account: Account
    _method: Literal["POST", "GET"]

    def _bulk(self, text: str, options: BulkOptions) -> Bulk:
        from otpverify.gateways.smspm.bulk import Bulk

        if self._method == "GET":
            options["batch_size"] = 1  # the API has no array in a query string
        return Bulk(self._account, text, options)


class SendsBulk(_Client):
    """`send_bulk` for the sync client."""

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
            region: The ISO 3166-1 alpha-2 code, such as `"EE"`, for numbers without a country
                code.
            reference: Your own reference, sent as `smsId`. No delivery reports are requested.
            batch_size: The largest number of recipients in a request, 1 to 100.
            concurrency: The largest number of requests at a time, 1 to 32.
            recipients_per_second: The largest number of recipients per second; no limit if left
                out.
            on_sending: Called with the numbers (E.164) of a request right before it is made.
            on_progress: Called with a `BulkProgress` after entries are settled.
                `otpverify.gateways.smspm.bulk.BulkOptions` documents all options in detail.

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
        """Make one request. Return status and body, or raise `DeliveryUnavailable`."""


class AsyncSendsBulk(_Client):
    """`send_bulk` for the async client."""

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
        cancelled, requests in progress are cancelled too; their outcomes are unknown."""
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
