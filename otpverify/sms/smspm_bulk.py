"""`send_bulk` for the SMSPM clients of both colours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Unpack

if TYPE_CHECKING:
    from otpverify.core.bulk import BulkResult
    from otpverify.sms.bulk_drive import Bulk, BulkOptions
    from otpverify.sms.smspm_account import Account
    from otpverify.sms.smspm_batch import Reply

# What sends in bulk is loaded when it is first used; few programs do.


class _Client:
    """What it needs of a client."""

    _account: Account
    _method: Literal["POST", "GET"]

    def _bulk(self, text: str, options: BulkOptions) -> Bulk:
        from otpverify.sms.bulk_drive import Bulk

        if self._method == "GET":
            options["batch_size"] = 1  # the contract has no array in a query string
        return Bulk(self._account, text, options)


class SendsBulk(_Client):
    """`send_bulk` for a client that blocks."""

    def send_bulk(
        self, numbers: Iterable[str], text: str, **options: Unpack[BulkOptions]
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
            **options: `region`, `reference`, `batch_size`, `concurrency`,
                `recipients_per_second`, `on_sending` and `on_progress`; all can be left out, and
                `otpverify.sms.bulk_drive.BulkOptions` says what each means.

        Returns:
            What became of each number, in input order. A message that could not be sent is an
            entry with its error, and raises nothing.

        Raises:
            ConfigurationError: An option makes no sense.
            DeliveryRejected: The text is empty, or no encoding can carry it.
            BulkInterrupted: A callback raised. Requests on their way were waited for; `result`
                says what became of everyone. Where something else ends it (Ctrl-C, a cancelled
                task), `on_progress` is told as much before that takes its way.
        """
        from otpverify.colour import run_sync
        from otpverify.sms.bulk_threads import Threads

        bulk = self._bulk(text, options)
        with Threads(self._exchange, bulk.concurrency) as ports:
            return run_sync(bulk.send(bulk.plan(numbers), ports))

    def _exchange(self, fields: Mapping[str, Any]) -> Reply:
        """Make one request, and give status and body, or raise `DeliveryUnavailable`."""
        raise NotImplementedError


class AsyncSendsBulk(_Client):
    """`send_bulk` for a client that is awaited."""

    async def send_bulk(
        self, numbers: Iterable[str], text: str, **options: Unpack[BulkOptions]
    ) -> BulkResult:
        """As `SmspmClient.send_bulk`; callbacks may be coroutine functions. When the task is
        cancelled, requests on their way are cancelled, too: their recipients are unknown."""
        import asyncio

        from otpverify.sms.bulk_tasks import Tasks

        bulk = self._bulk(text, options)
        # Iterated here: it may be a generator that belongs to this thread.
        given = numbers if isinstance(numbers, str | bytes) else tuple(numbers)
        plan = await asyncio.to_thread(bulk.plan, given)
        with Tasks(self._exchange) as ports:
            return await bulk.send(plan, ports)

    async def _exchange(self, fields: Mapping[str, Any]) -> Reply:
        """See `SendsBulk._exchange`."""
        raise NotImplementedError
