"""The verifiers of a site: sync and async, delivering at once or in the background."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from typing import Any, TypeVar

from otpverify import AsyncVerifier, Message, Receipt, Verifier
from otpverify._per_process import PerProcess, process
from otpverify._sync import inline, run_sync
from otpverify.engine.ports import Ports
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
            background: One that hands messages to threads, for concealed flows.

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
        self._behind: BackgroundSender | None = None
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
        if self._behind is not None:
            self._behind.close()
        self.parts.close()

    def _background_sender(self) -> BackgroundSender:
        if self._behind is None:
            self._behind = BackgroundSender(self.parts.sender)
        return self._behind


class Derived:
    """Counterparts of a verifier that a program made: asynchronous, or delivering in the
    background. They share everything else with it.

    Args:
        verifier: The verifier. It is not kept.
    """

    def __init__(self, verifier: Verifier | AsyncVerifier) -> None:
        self._engine = verifier._engine
        self._awaits = isinstance(verifier, AsyncVerifier)
        self._behind = BackgroundSender(_Through(self._engine.issuer.ports.send, self._awaits))

    def verifier(self) -> Verifier:
        """The synchronous counterpart that delivers in the background."""
        return self._with(Verifier, self._in_background(self._engine.issuer.ports))

    def async_verifier(self, *, background: bool) -> AsyncVerifier:
        """The asynchronous counterpart.

        Args:
            background: Whether it delivers in the background.
        """
        ports = self._engine.issuer.ports
        if not self._awaits:
            threaded: dict[str, Any] = {
                port.name: _in_thread(getattr(ports, port.name))
                for port in fields(ports)
                if port.name not in ("guards", "allows", "render", "takes_reports")
            }
            ports = replace(ports, **threaded)
        return self._with(AsyncVerifier, self._in_background(ports) if background else ports)

    def close(self) -> None:
        """Wait for messages that are being sent."""
        self._behind.close()

    def _in_background(self, ports: Ports) -> Ports:
        return replace(ports, send=inline(self._behind.send), takes_reports=False)

    def _with(self, kind: type[V], ports: Ports) -> V:
        made = kind.__new__(kind)
        made._engine = replace(self._engine, issuer=replace(self._engine.issuer, ports=ports))
        return made


class _Through:
    """A sender that calls a verifier's port, in a thread."""

    def __init__(self, port: Callable[[Message], Awaitable[Receipt]], awaits: bool) -> None:
        self._port = port
        self._run = asyncio.run if awaits else run_sync

    def send(self, message: Message) -> Receipt:
        """Deliver the message."""
        run: Callable[[Any], Receipt] = self._run
        return run(_awaited(self._port, message))


async def _awaited(port: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
    return await port(*args, **kwargs)


def _in_thread(port: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """A port that never suspends, as one that runs in a thread."""

    async def threaded(*args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(run_sync, _awaited(port, *args, **kwargs))

    return threaded
