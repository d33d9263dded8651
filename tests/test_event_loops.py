"""Every asynchronous entry names asyncio where another library runs the coroutine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest
from support import PHONE, SECRET, missing

from otpverify import (
    AsyncRedisStore,
    AsyncSmspmClient,
    AsyncVerifier,
    ConfigurationError,
    HmacHasher,
    Limit,
    MemoryStore,
    Message,
)
from otpverify._event_loops import PerLoop
from otpverify.testing import OutboxSender

ID = "x" * 24


def verifier() -> AsyncVerifier:
    return AsyncVerifier(OutboxSender(), store=MemoryStore(), secret=SECRET, hasher=HmacHasher())


def redis() -> AsyncRedisStore:
    return AsyncRedisStore.from_url("redis://127.0.0.1:1")


def client() -> AsyncSmspmClient:
    return AsyncSmspmClient("hash", "token")


ENTRIES: dict[str, Callable[[], Any]] = {
    "start": lambda: verifier().start(PHONE),
    "resend": lambda: verifier().resend(PHONE, challenge=ID),
    "check": lambda: verifier().check(PHONE, "123456", challenge=ID),
    "redeem": lambda: verifier().redeem(PHONE, "proof"),
    "cancel": lambda: verifier().cancel(PHONE, challenge=ID),
    "status": lambda: verifier().status(PHONE, challenge=ID),
    "delivery_report": lambda: verifier().delivery_report({}),
    "store": lambda: redis().reserve("network", (Limit(1, 60),)),
    "store's health": lambda: redis().health(),
    "store's end": lambda: redis().aclose(),
    "send": lambda: client().send(Message(PHONE, "text")),
    "balance": lambda: client().balance(),
    "client's end": lambda: client().aclose(),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_without_a_loop_of_asyncio(name: str) -> None:
    """As under trio, and wherever else a coroutine is driven."""
    waiting = ENTRIES[name]()
    with pytest.raises(ConfigurationError, match=r"needs a running asyncio event loop.*trio"):
        waiting.send(None)


@pytest.mark.parametrize("name", ENTRIES)
def test_under_trio(name: str) -> None:
    if find_spec("trio") is None:
        missing("trio is not installed")
    import trio

    async def main() -> None:
        with pytest.raises(ConfigurationError, match=r"needs a running asyncio event loop.*trio"):
            await ENTRIES[name]()

    trio.run(main)


class TestPerLoop:
    @staticmethod
    def make() -> tuple[list[str], PerLoop[str]]:
        closed: list[str] = []

        async def close(one: str) -> None:
            closed.append(one)

        return closed, PerLoop("A test", lambda: "made", close)

    def test_a_loop_has_one_and_closes_it_once(self) -> None:
        closed, per_loop = self.make()

        async def scene() -> None:
            assert await per_loop.current() is await per_loop.current()

        asyncio.run(scene())
        assert closed == ["made"]
        loop = asyncio.new_event_loop()
        loop.run_until_complete(scene())
        loop.run_until_complete(per_loop.aclose())
        assert closed == ["made"] * 2
        loop.close()
        assert closed == ["made"] * 2

    def test_a_loop_that_is_closed_without_order_closes_it_first(self) -> None:
        closed, per_loop = self.make()
        loop = asyncio.new_event_loop()
        loop.run_until_complete(per_loop.current())
        loop.close()
        assert closed == ["made"]
        assert loop.is_closed()
