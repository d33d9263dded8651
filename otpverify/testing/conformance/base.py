"""The base of the conformance tests: plain calls to a sync or async store, a clock that tests
move, and helper functions."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

import asyncio
import hashlib
import inspect
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import pytest

from otpverify.core.answers import Checked, Opened, Refused, Reported, Reserved, Standing
from otpverify.core.keys import Key, Keyring
from otpverify.core.limits import DAY_SECONDS, Limit
from otpverify.core.policy import Policy
from otpverify.core.results import DeliveryStatus
from otpverify.core.state import Inspected, Opening
from otpverify.protocols import AsyncStore, Clock, Store

Step: TypeAlias = tuple[Any, ...]
"""An operation's name and its arguments."""

SECOND = 1000
MINUTE = 60 * SECOND
DEFAULTS = Policy()
FREE = Policy(
    resend_cooldown_seconds=0, sends_per_phone=(), failures_per_phone=Limit(30, DAY_SECONDS)
)
"""No cooldown and no limit on sends."""

_FRAUD = ("charge", "credit", "refund", "known", "unlock_number", "traffic")
_BEGIN = 1_772_366_400_000
_SECRET = Keyring([hashlib.sha256(b"the conformance suite").digest()]).signing


def key(phone: int = 1, purpose: str = "login", challenge: int = 1) -> Key:
    """The key of a challenge, made as the library makes it."""
    return _SECRET.key(f"+3725678{phone:04}", purpose, f"challenge {challenge}")


def digest(code: object) -> bytes:
    """A digest, as long as those of the library's hashers."""
    return hashlib.sha256(repr(code).encode()).digest()


def first(code: object, *, concealed: bool = False, decoy: bool = False) -> Opening:
    """A new challenge with this code."""
    return Opening(digest(code), new=True, concealed=concealed, decoy=decoy)


def further(code: object) -> Opening:
    """One more code on a challenge."""
    return Opening(digest(code), new=False)


def to_follow(*, new: bool = True, concealed: bool = False) -> Opening:
    """A code whose digest follows with `place`."""
    return Opening(None, new=new, concealed=concealed)


class Timeline:
    """Time that stands still until it is moved. Called, it gives seconds as `time.time` does."""

    def __init__(self) -> None:
        self.ms = _BEGIN

    def __call__(self) -> float:
        # A quarter of a millisecond more, so that no float's rounding makes it one less.
        return (self.ms + 0.25) / 1000


class Driven:
    """The store under test. It awaits an async store's calls on an event loop of its own."""

    open: Callable[[Key, Opening, Policy], Opened | Refused]
    place: Callable[[Key, int, bytes, Policy], Standing | None]
    peek: Callable[[Key, Policy], Checked]
    claim: Callable[[Key, Policy], Checked]
    check: Callable[..., Checked]
    redeem: Callable[[Key], bool]
    release: Callable[[Key, int, bytes | None, Policy], Standing | None]
    report: Callable[..., Reported]
    status: Callable[[Key, Policy], DeliveryStatus | None]
    cancel: Callable[[Key], None]
    inspect: Callable[[str], Inspected]
    unlock: Callable[..., None]
    reserve: Callable[[str, tuple[Limit, ...]], Reserved | Refused]
    give_back: Callable[[str, int], None]

    def __init__(
        self,
        store: Store | AsyncStore,
        clock: Timeline,
        runner: asyncio.Runner,
        *,
        moves_time: bool,
    ) -> None:
        self.store = store
        self.clock = clock
        self._runner = runner
        self._moves_time = moves_time
        self._asynchronous = inspect.iscoroutinefunction(store.open)
        for name in (*self.__annotations__, *_FRAUD):
            if not hasattr(store, name) and name in _FRAUD:
                continue  # `FraudStore`, which a store need not offer
            plain = getattr(store, name)
            setattr(self, name, self._awaited(plain) if self._asynchronous else plain)

    def _awaited(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        async def call(*args: Any) -> Any:
            return await method(*args)

        return lambda *args: self._runner.run(call(*args))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"This store has no {name}.")

    def opened(self, key: Key, opening: Opening, policy: Policy) -> Opened:
        """Call `open`; the store must admit it."""
        answer = self.open(key, opening, policy)
        assert isinstance(answer, Opened), f"this was to be admitted: {answer}"
        return answer

    def refused(self, key: Key, opening: Opening, policy: Policy) -> Refused:
        """Call `open`; the store must refuse it."""
        answer = self.open(key, opening, policy)
        assert isinstance(answer, Refused), "this was to be refused"
        return answer

    def pass_time(self, milliseconds: int) -> None:
        """Let time pass. Skips the rest of the test for a store whose clock is its own."""
        if not self._moves_time:
            pytest.skip("the store's clock cannot be moved (moves_time)")
        self.clock.ms += milliseconds

    def near(self, milliseconds: int, expected: int) -> bool:
        """Whether a duration is right; for a store whose clock is its own, whether it is less
        by no more than such a test may take."""
        if self._moves_time:
            return milliseconds == expected
        return expected - 10 * SECOND <= milliseconds <= expected

    def together(self, steps: Sequence[Step]) -> list[Any]:
        """Make all these calls at once, and give the answers in their order."""
        return self._as_tasks(steps) if self._asynchronous else self._in_threads(steps)

    def _as_tasks(self, steps: Sequence[Step]) -> list[Any]:
        async def gather() -> list[Any]:
            return await asyncio.gather(
                *(getattr(self.store, name)(*args) for name, *args in steps)
            )

        return self._runner.run(gather())

    def _in_threads(self, steps: Sequence[Step]) -> list[Any]:
        barrier = threading.Barrier(len(steps))

        def one(step: Step) -> Any:
            name, *args = step
            barrier.wait()
            return getattr(self.store, name)(*args)

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)  # threads overtake each other between any two steps
        try:
            with ThreadPoolExecutor(len(steps)) as pool:
                return list(pool.map(one, steps))
        finally:
            sys.setswitchinterval(interval)


class Base:
    """The methods that a store's author overrides. See `StoreConformance`."""

    moves_time = True
    crowd = 20
    repeats = 3
    many = 200
    steps = 500

    def make_store(self, clock: Clock) -> Store | AsyncStore | Awaitable[AsyncStore]:
        """A new, empty store that takes its time from `clock`."""
        raise NotImplementedError("Override make_store: give a new, empty store on this clock.")

    def close_store(self, store: Any) -> Any:
        """Free what a store holds."""

    @pytest.fixture
    def store(self) -> Iterator[Driven]:
        """The store under test."""
        with asyncio.Runner() as runner:

            async def awaited(thing: Any) -> Any:
                return await thing

            clock = Timeline()
            made: Any = self.make_store(clock)
            if inspect.isawaitable(made):
                made = runner.run(awaited(made))
            yield Driven(made, clock, runner, moves_time=self.moves_time)
            closing = self.close_store(made)
            if inspect.isawaitable(closing):
                runner.run(awaited(closing))
