"""What all tests share: verifiers of both modes behind one face."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NoReturn, TypeVar

import pytest

from otpverify import (
    Argon2Hasher,
    AsyncVerifier,
    Challenge,
    DeliveryReport,
    DeliveryStatus,
    Traffic,
    Verified,
    Verifier,
)
from otpverify.core.inspection import PhoneInspection

T = TypeVar("T")

PHONE = "+37256789045"
OTHER_PHONE = "+37256789046"
SECRET = "IVKyqv658P1UUfs7FIPkHIFCfhGBIzc9LecQbj3W1uQ"
OTHER_SECRET = "EpOHmSSp9BSRWa6MZm3nOZoVpl7zJEgjPJG2XB8rxrk"
QUICK = Argon2Hasher(memory_kib=8, iterations=1, allow_weak=True)
"""The real hasher at a cost that lets a test make thousands of digests."""

REPEATS = int(os.environ.get("OTPVERIFY_TEST_REPEATS", "8"))
"""How often a race is run; CI runs 200. They are not multiplied: a race that is run in both
modes, with several hashers or event loops, or on several servers, deals them out to those."""

LONG = os.environ.get("OTPVERIFY_TEST_LONG", "") not in ("", "0")
"""Whether the long form is asked for, as CI does: browsers, real workers, searches in depth."""

long_form = pytest.mark.skipif(
    not LONG, reason="takes long; OTPVERIFY_TEST_LONG=1 asks for it, as CI does"
)


def dealt(parts: int) -> int:
    """How often a race is run in each of several parts that share the `REPEATS`."""
    return max(1, REPEATS // parts)


def missing(what: str) -> NoReturn:
    """End a test for want of a program: a failure in the long form, a skip in the short one."""
    (pytest.fail if LONG else pytest.skip)(what)


class Mode:
    """One way to call a verifier. Tests are written once and run in both."""

    name = "sync"

    def make(self, *args: Any, **kwargs: Any) -> Face:
        return Face(Verifier(*args, **kwargs), lambda call: call())

    def together(self, calls: Sequence[Callable[[], T]]) -> list[T | BaseException]:
        """Make all calls at once, each in its own thread, and return each outcome."""
        barrier = threading.Barrier(len(calls))

        def one(call: Callable[[], T]) -> T | BaseException:
            barrier.wait()
            try:
                return call()
            except Exception as error:
                return error

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)  # threads overtake each other between any two steps
        try:
            with ThreadPoolExecutor(len(calls)) as pool:
                return list(pool.map(one, calls))
        finally:
            sys.setswitchinterval(interval)

    def close(self) -> None:
        pass


class AsyncMode(Mode):
    name = "async"

    def __init__(self) -> None:
        self.runner = asyncio.Runner()

    def make(self, *args: Any, **kwargs: Any) -> Face:
        async def await_it(call: Callable[[], Any]) -> Any:
            return await call()

        def run(call: Callable[[], Any]) -> Any:
            return self.runner.run(await_it(call))

        return Face(AsyncVerifier(*args, **kwargs), run)

    def together(self, calls: Sequence[Callable[[], T]]) -> list[T | BaseException]:
        """Make all calls at once, each as a task of one loop."""
        tasks: list[Any] = [call.func.pending(*call.args, **call.keywords) for call in calls]  # type: ignore[attr-defined]  # calls are partials of a Face's methods

        async def gather() -> list[Any]:
            return await asyncio.gather(*(task() for task in tasks), return_exceptions=True)

        return self.runner.run(gather())

    def close(self) -> None:
        self.runner.close()


class Method:
    """A verifier's method, called and waited for."""

    def __init__(self, method: Callable[..., Any], run: Callable[[Callable[[], Any]], Any]) -> None:
        self._method = method
        self._run = run

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._run(partial(self._method, *args, **kwargs))

    def pending(self, *args: Any, **kwargs: Any) -> Callable[[], Any]:
        return partial(self._method, *args, **kwargs)


METHODS = (
    "start",
    "resend",
    "check",
    "redeem",
    "cancel",
    "delivery_report",
    "status",
    "inspect",
    "unlock",
    "traffic",
)


class Face:
    """A verifier of either mode, with plain calls."""

    start: Callable[..., Challenge]
    resend: Callable[..., Challenge]
    check: Callable[..., Verified]
    redeem: Callable[..., Verified]
    cancel: Callable[..., None]
    delivery_report: Callable[..., DeliveryReport]
    status: Callable[..., DeliveryStatus]
    inspect: Callable[..., PhoneInspection]
    unlock: Callable[..., None]
    traffic: Callable[..., list[Traffic]]

    def __init__(
        self, verifier: Verifier | AsyncVerifier, run: Callable[[Callable[[], Any]], Any]
    ) -> None:
        self.verifier = verifier
        for name in METHODS:
            setattr(self, name, Method(getattr(verifier, name), run))


def fixture_secret(name: object) -> str:
    """A good secret that is always the same for a name."""
    return hashlib.sha256(f"secret {name}".encode()).hexdigest()


def wrong(code: str, nth: int = 1) -> str:
    """A code that is not `code`; another one for every `nth` up to 999,999."""
    return str((int(code) + nth) % 10 ** len(code)).zfill(len(code))
