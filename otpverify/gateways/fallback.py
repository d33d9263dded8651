"""A list of senders: each is tried when the one before it did not take the message."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from otpverify._per_process import thread_pool
from otpverify._sync import AsyncClosing, Closing, in_thread, inline, run_sync, suspends
from otpverify.core.prices import Prices
from otpverify.core.results import Message, Receipt, ReportFields
from otpverify.core.send_outcome import receipt_or_error
from otpverify.errors import ConfigurationError, DeliveryError, DeliveryRejected
from otpverify.gateways.delivery_reports import report_reader
from otpverify.gateways.retry import Observer, check_observer, outcome_unknown, report_attempt
from otpverify.protocols import AsyncSender, Sender

Port: TypeAlias = Callable[[Message], Awaitable[Receipt]]

# Faults of the message itself: no other sender would accept it either.
_FINAL = frozenset({"invalid_phone_number", "invalid_text"})
_IO_THREADS = 32


class _SenderList:
    """The part that the sync and async senders share."""

    def __init__(
        self,
        senders: tuple[Any, ...],
        ports: list[Port],
        when_unknown: bool,
        on_attempt: Observer | None,
    ) -> None:
        check_observer(on_attempt)
        self._senders = senders
        self._ports = ports
        self._when_unknown = when_unknown
        self._on_attempt = on_attempt

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {', '.join(map(repr, self._senders))}>"

    @property
    def takes_reports(self) -> bool:
        """Whether one of the senders asks for delivery reports."""
        return any(getattr(sender, "takes_reports", False) for sender in self._senders)

    @property
    def prices(self) -> Prices | None:
        """The prices of the first sender that has some: most messages go through it."""
        found = (getattr(sender, "prices", None) for sender in self._senders)
        return next((prices for prices in found if prices is not None), None)

    def read_report(self, params: object) -> ReportFields:
        """Read a delivery report as the first of the senders that knows its status."""
        read = [report_reader(sender)(params) for sender in self._senders]
        return next((report for report in read if report.status is not None), read[0])

    async def _deliver(self, message: Message) -> Receipt:
        maybe_sent = False
        last: DeliveryError | None = None
        for number, port in enumerate(self._ports, 1):
            began = time.monotonic()
            outcome = await receipt_or_error(port(message))
            facts = self._on_attempt, "send", type(self._senders[number - 1]).__name__, number
            if isinstance(outcome, Receipt):
                report_attempt(*facts, began=began)
                return outcome
            last = outcome
            goes_on = number < len(self._ports) and self._goes_on(last)
            report_attempt(*facts, last, 0.0 if goes_on else None, began=began)
            maybe_sent = maybe_sent or last.maybe_sent
            if not goes_on:
                break
        assert last is not None  # noqa: S101 - there are two senders at least
        raise outcome_unknown(last) if maybe_sent and not last.maybe_sent else last

    def _goes_on(self, error: DeliveryError) -> bool:
        if error.maybe_sent:
            return self._when_unknown
        return not (isinstance(error, DeliveryRejected) and error.provider_code in _FINAL)


class FallbackSender(_SenderList, Closing):
    """Sends through the first of several senders that takes the message.

    The next sender is tried when the one before it certainly did not take the message: it was not
    reached, was too busy (429 or 503), or refused the message, for example because the account has
    no balance or its credentials are wrong. A refusal of the number (`invalid_phone_number`) or
    of the text (`invalid_text`) is final.

    Args:
        primary: The sender to try first.
        secondary: The sender to try second; `others` follow.
        when_unknown: Whether to also try the next sender when it is unknown whether a sender took
            the message. The person may then get the same text twice.
        on_attempt: Called with a `DeliveryAttempt` for every sender that was tried. An exception
            from it is logged.

    Raises:
        ConfigurationError: One of these is not a sender, or is asynchronous.
    """

    def __init__(
        self,
        primary: Sender,
        secondary: Sender,
        *others: Sender,
        when_unknown: bool = False,
        on_attempt: Observer | None = None,
    ) -> None:
        senders = _checked(primary, secondary, *others)
        for sender in senders:
            if suspends(sender.send):
                raise ConfigurationError(
                    f"{type(sender).__name__} is asynchronous; use AsyncFallbackSender."
                )
        ports: list[Port] = [inline(sender.send) for sender in senders]
        super().__init__(senders, ports, when_unknown, on_attempt)

    def close(self) -> None:
        """Close the senders that can be closed."""
        for sender in self._senders:
            if hasattr(sender, "close"):
                sender.close()

    def send(self, message: Message) -> Receipt:
        """Hand a message to the first sender that takes it.

        Raises:
            DeliveryRejected, DeliveryUnavailable: The last sender's error. `maybe_sent` if
                any of them may have taken the message.
        """
        return run_sync(self._deliver(message))


class AsyncFallbackSender(_SenderList, AsyncClosing):
    """`FallbackSender`, awaitable, with the same arguments. Synchronous senders among them run
    in worker threads."""

    def __init__(
        self,
        primary: AsyncSender | Sender,
        secondary: AsyncSender | Sender,
        *others: AsyncSender | Sender,
        when_unknown: bool = False,
        on_attempt: Observer | None = None,
    ) -> None:
        senders = _checked(primary, secondary, *others)
        self._executors = thread_pool(_IO_THREADS)
        ports: list[Port] = [
            sender.send if suspends(sender.send) else self._threaded(sender.send)
            for sender in senders
        ]
        super().__init__(senders, ports, when_unknown, on_attempt)

    def _threaded(self, send: Callable[[Message], Receipt]) -> Port:
        """A synchronous sender as a port. After `aclose`, the next send starts new threads."""

        return in_thread(send, self._executors.get)

    async def aclose(self) -> None:
        """Close the senders that can be closed, and end the worker threads."""
        executor = self._executors.drop()
        if executor is not None:
            executor.shutdown(wait=False)
        for sender in self._senders:
            if hasattr(sender, "aclose"):
                await sender.aclose()
            elif hasattr(sender, "close"):
                sender.close()

    async def send(self, message: Message) -> Receipt:
        """See `FallbackSender.send`."""
        return await self._deliver(message)


def _checked(*senders: Any) -> tuple[Any, ...]:
    for sender in senders:
        if not callable(getattr(sender, "send", None)):
            raise ConfigurationError(f"{type(sender).__name__} is not a sender: it has no send().")
    return senders
