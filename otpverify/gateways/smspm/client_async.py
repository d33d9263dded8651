"""The SMSPM client on `httpx2`, for event loops."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Unpack

from otpverify._sync import AsyncClosing
from otpverify.core.results import Message, Receipt
from otpverify.gateways.call import Fields
from otpverify.gateways.http_async import AsyncHttpClient
from otpverify.gateways.retry import HttpSettings
from otpverify.gateways.send_bulk import BulkOptions, names_options
from otpverify.gateways.smspm.client import SmspmBase
from otpverify.gateways.smspm.wire import Balance

if TYPE_CHECKING:
    from otpverify.gateways.send_bulk import BulkResult


class AsyncSmspmClient(SmspmBase, AsyncClosing):
    """The async counterpart of `SmspmClient`, with the same arguments and errors. Many tasks may
    share one.

    It needs the extra `async`. At most 32 requests are in progress at a time; the others wait
    within their deadline, and then fail with `provider_code="pool_full"`; they were certainly not
    sent. The connections of an event loop are closed when the loop ends; `aclose` closes them
    sooner.

    The gateway may have taken a `send` that was cancelled, so `AsyncVerifier` keeps its
    reservation: the person can ask again when the cooldown is over.
    """

    def _open(self, settings: HttpSettings) -> None:
        self._http = AsyncHttpClient(type(self).__name__, self._api.url, settings)

    async def aclose(self) -> None:
        """Close the pooled connections of the running event loop."""
        await self._http.aclose()

    async def send(self, message: Message) -> Receipt:
        """See `SmspmClient.send`."""
        return await self._http.perform(self._api.send(message))

    @names_options
    async def send_bulk(
        self, numbers: Iterable[str], text: str, **options: Unpack[BulkOptions]
    ) -> BulkResult:
        """As `SmspmClient.send_bulk`; callbacks may be coroutine functions. When the task is
        cancelled, requests in progress are cancelled too; their outcomes are unknown."""
        import asyncio

        from otpverify.gateways.smspm.bulk import Tasks  # loaded as the client is made

        bulk = self._api.bulk(text, options)
        # Iterated here: it may be a generator that belongs to this thread.
        given = numbers if isinstance(numbers, str | bytes) else tuple(numbers)
        plan = await asyncio.to_thread(bulk.plan, given)
        with Tasks(self._exchange) as ports:
            return await bulk.send(plan, ports)

    async def balance(self) -> Balance:
        """See `SmspmClient.balance`."""
        return await self._http.perform(self._api.balance())

    async def sender_ids(self) -> tuple[str, ...]:
        """See `SmspmClient.sender_ids`."""
        return await self._http.perform(self._api.sender_ids())

    async def _exchange(self, fields: Fields, operation: str = "send_bulk") -> tuple[int, bytes]:
        """See `SmspmClient._exchange`."""
        return await self._http.perform(self._api.exchange(fields, operation))
