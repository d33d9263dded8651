"""The verifiers of a site: sync and async, delivering at once or in the background."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, TypeVar, cast

from otpverify import AsyncVerifier, Message, Receipt, Sender, Verifier
from otpverify._per_process import PerProcess, process
from otpverify._sync import suspends
from otpverify.integrations.web.background import BackgroundSender
from otpverify.settings import Parts

V = TypeVar("V", Verifier, AsyncVerifier)


class Verifiers:
    """The verifiers that settings describe, each made when it is first asked for. All of them share
    a store and a secret. A forked process makes its own.

    Args:
        parts: What they consist of.
    """

    def __init__(self, parts: Parts) -> None:
        opener = process()
        self._made = PerProcess(lambda: _Made(parts if process() == opener else parts.forked()))

    def verifier(self, *, background: bool = False) -> Verifier:
        """The synchronous verifier of this process.

        Args:
            background: Whether it delivers in threads, for concealed flows.

        Raises:
            ConfigurationError: A setting is missing or not valid.
            StoreError: The SQLite file is damaged or locked, or its disk is full.
        """
        return self._made.get().verifier(Verifier, background=background)

    def async_verifier(self, *, background: bool = False) -> AsyncVerifier:
        """The asynchronous verifier, as `verifier`. A sender that blocks runs in threads."""
        return self._made.get().verifier(AsyncVerifier, background=background)

    def close(self) -> None:
        """Wait for messages that are being sent, and close what was made in this process."""
        if found := self._made.drop():
            found.close()


class _Made:
    """The verifiers of one process."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._lock = threading.RLock()
        self._background: BackgroundSender | None = None
        self._verifiers: dict[tuple[type, bool], Any] = {}

    def verifier(self, kind: type[V], *, background: bool) -> V:
        name = (kind, background)
        with self._lock:
            if name not in self._verifiers:
                sender = self._background_sender() if background else self.parts.sender
                arguments = self.parts.arguments(asynchronous=kind is AsyncVerifier)
                self._verifiers[name] = kind(sender, **arguments)
            made: V = self._verifiers[name]
            return made

    def close(self) -> None:
        if self._background is not None:
            self._background.close()
        self.parts.close()

    def _background_sender(self) -> BackgroundSender:
        if self._background is None:
            self._background = BackgroundSender(self.parts.sender)
        return self._background


class Derived:
    """Counterparts of a verifier that a program made: asynchronous, or delivering in the
    background. They share everything else with it.

    Args:
        verifier: The verifier. It is not kept.
    """

    def __init__(self, verifier: Verifier | AsyncVerifier) -> None:
        sender = cast("Sender", verifier.sender)
        self._background = BackgroundSender(_Blocking(sender) if suspends(sender.send) else sender)
        self._made: dict[bool, AsyncVerifier] = {}
        if isinstance(verifier, Verifier):
            self._in_background = verifier.with_sender(self._background)
            verifier = self._made[False] = AsyncVerifier.of(verifier)
        self._made[True] = verifier.with_sender(self._background)

    def verifier(self) -> Verifier:
        """The synchronous counterpart that delivers in the background, of a `Verifier`."""
        return self._in_background

    def async_verifier(self, *, background: bool) -> AsyncVerifier:
        """The asynchronous counterpart.

        Args:
            background: Whether it delivers in the background; `True` for an `AsyncVerifier`.
        """
        return self._made[background]

    def close(self) -> None:
        """Wait for messages that are being sent."""
        self._background.close()


class _Blocking:
    """An asynchronous sender as one that blocks, for a thread without an event loop."""

    def __init__(self, sender: Any) -> None:
        self._sender = sender

    def send(self, message: Message) -> Receipt:
        """Deliver the message."""

        async def sent() -> Receipt:
            receipt: Receipt = await self._sender.send(message)
            return receipt

        return asyncio.run(sent())
