"""A Sentinel group of real servers: a primary, a replica and a sentinel, and a failover in the
middle of traffic, which continues in a thread.

Redis replicates asynchronously, so a failover may forget what the old primary took last: a
challenge, an attempt, even a use. What had reached the replica holds, and that is what is
asserted; in between, every answer is a right one or a typed error.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from sentinels import DOWN_AFTER, SERVICE, Group, ask, role
from servers import free_port, store_of, until
from support import LONG, PHONE, SECRET, Face, Mode, wrong

from otpverify import (
    AttemptsExhausted,
    ChallengeExpired,
    HmacHasher,
    IncorrectCode,
    Policy,
    StoreError,
)
from otpverify.testing import OutboxSender

pytestmark = pytest.mark.sync_in_short_form

TIMEOUT = 0.4
# A client asks for a lost primary again, so a call may wait for the sentinels, too.
BOUND = 4 * (TIMEOUT + TIMEOUT) + 3
POLICY = Policy(
    resend_cooldown_seconds=0,
    sends_per_phone=(),
    sends_per_ip=(),
    failures_per_phone=None,
    allow_weak=True,  # the crowd mistypes for as long as the failover takes
)
CROWD = tuple(f"+372567890{n:02}" for n in range(8))
EXPECTED = ("Challenge", "IncorrectCode", "Verified", "ChallengeExpired")


@pytest.fixture(params=["valkey9"])
def group(request: pytest.FixtureRequest) -> Iterator[Group]:
    with contextlib.ExitStack() as stack:
        yield Group(request.param, stack)


@pytest.fixture
def face(mode: Mode, group: Group, outbox: OutboxSender) -> Iterator[Face]:
    bounds = {"connect_timeout_seconds": TIMEOUT, "socket_timeout_seconds": TIMEOUT}
    with store_of(mode, group.url, **bounds) as store:
        yield mode.make(outbox, store=store, secret=SECRET, hasher=HmacHasher(), policy=POLICY)


def asked(group: Group) -> None:
    """A failover by hand. The old primary takes writes until it learns of it, ten seconds later."""
    ask(group)


def coordinated(group: Group) -> None:
    """The same, with writes held back in between: Valkey 9 can."""
    ask(group, "COORDINATED")


def killed(group: Group) -> None:
    """The primary dies."""
    group.primary.kill()


def paused(group: Group) -> None:
    """The primary hangs, and comes back when another one has taken over."""
    group.primary.pause()


CASES = [("valkey9", loss) for loss in (coordinated, killed, paused)]
if LONG:
    CASES += [(kind, loss) for kind in ("redis6", "redis7") for loss in (asked, killed, paused)]


@pytest.mark.parametrize(
    ("group", "loss"),
    CASES,
    indirect=["group"],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_failover_in_the_middle_of_traffic(
    mode: Mode,
    group: Group,
    face: Face,
    outbox: OutboxSender,
    loss: Callable[[Group], None],
) -> None:
    used, guessed = face.start(PHONE, purpose="used"), face.start(PHONE, purpose="guessed")
    used_code, code = (text[:6] for text in (message.text for message in outbox.messages))
    assert face.check(PHONE, used_code, challenge=used.id, purpose="used")
    for nth in (1, 2):
        with pytest.raises(IncorrectCode):
            face.check(PHONE, wrong(code, nth), challenge=guessed.id, purpose="guessed")
    assert traffic(mode, face, outbox) == {EXPECTED: len(CROWD)}
    group.replicated()

    seen: Counter[tuple[str, ...]] = Counter()
    ends: list[float] = []
    typing, lost = threading.Event(), threading.Event()

    def move() -> None:
        seen.update(traffic(mode, face, outbox, typing, lost))
        ends.append(time.monotonic())

    # Nothing else calls the verifier now: it has one event loop.
    with again_and_again(move):
        assert typing.wait(60)
        loss(group)
        since = time.monotonic()
        lost.set()
        until(group.failed_over)
        group.stays()
        if loss in (asked, coordinated):
            until(lambda: role(group.primary) == "slave")
        group.primary.resume()
    # The crowd met it halfway. Where the primary hangs, a second try may find the new one in time.
    cut = any(walk[0] == "Challenge" and "StoreError" in walk for walk in seen)
    held = min(end for end in ends if end > since) - since >= DOWN_AFTER
    assert loss in (asked, coordinated) or cut or (held and loss is paused)
    seen += traffic(mode, face, outbox)
    for answers in seen:
        # A code of before may be unknown now, or its use forgotten. All else must be right.
        assert set(answers) <= {*EXPECTED, "StoreError"}
        assert loss is not coordinated or answers.count("Verified") <= 1

    def recovered() -> bool:
        return traffic(mode, face, outbox) == {EXPECTED: len(CROWD)}

    # The group may need a moment more, until the old primary has found its place.
    until(lambda: all(recovered() for _ in range(5)))
    with group.replica.client() as client:
        assert client.info("commandstats")["cmdstat_evalsha"]["calls"] > len(CROWD)
    # What had reached the replica holds: the use, and both attempts.
    with pytest.raises(ChallengeExpired):
        face.check(PHONE, used_code, challenge=used.id, purpose="used")
    left = []
    for nth in (3, 4, 5):
        with pytest.raises(IncorrectCode) as caught:
            face.check(PHONE, wrong(code, nth), challenge=guessed.id, purpose="guessed")
        left.append(caught.value.attempts_left)
    assert left == [2, 1, 0]
    with pytest.raises(AttemptsExhausted):
        face.check(PHONE, code, challenge=guessed.id, purpose="guessed")


@contextlib.contextmanager
def again_and_again(what: Callable[[], object]) -> Iterator[None]:
    """Do it without a pause, in a thread of its own, for as long as the block takes."""
    stop = threading.Event()

    def go_on() -> None:
        while not stop.is_set():
            what()

    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(go_on)
        try:
            yield
        finally:
            stop.set()
        going.result()


def traffic(
    mode: Mode,
    face: Face,
    outbox: OutboxSender,
    typing: threading.Event | None = None,
    lost: threading.Event | None = None,
) -> Counter[tuple[str, ...]]:
    """What came of a crowd that starts, mistypes, types, and types again, all at once. It can tell
    when it begins to mistype, and type no more before the primary is lost."""
    began = time.monotonic()
    outbox.clear()
    started = mode.together([partial(face.start, phone) for phone in CROWD])
    walks = [[type(one).__name__] for one in started]
    known = [n for n in range(len(CROWD)) if walks[n] == ["Challenge"]]
    ids = [getattr(one, "id", "") for one in started]
    if typing is not None:
        typing.set()
    for shift in (1, 0, 0):
        calls: list[Any] = []
        for n in known:
            typed = wrong(outbox.code(CROWD[n]), shift)
            calls.append(partial(face.check, CROWD[n], typed, challenge=ids[n]))
        for n, outcome in zip(known, mode.together(calls) if calls else (), strict=True):
            walks[n].append(type(outcome).__name__)
        if lost is not None:
            lost.wait(60)
    assert time.monotonic() - began < 4 * BOUND
    return Counter(tuple(walk) for walk in walks)


def test_sentinels_that_are_down_or_know_no_such_service(
    mode: Mode, group: Group, outbox: OutboxSender
) -> None:
    bounds = {"connect_timeout_seconds": TIMEOUT, "socket_timeout_seconds": TIMEOUT}
    nobody = f"redis+sentinel://127.0.0.1:{free_port()}/{SERVICE}"
    for url in (nobody, group.url.replace(SERVICE, "another")):
        with store_of(mode, url, **bounds) as store:
            face = mode.make(outbox, store=store, secret=SECRET)
            began = time.monotonic()
            with pytest.raises(StoreError):
                face.start(PHONE)
            assert time.monotonic() - began < BOUND
    with group.sentinel.paused(), store_of(mode, group.url, **bounds) as store:
        face = mode.make(outbox, store=store, secret=SECRET)
        began = time.monotonic()
        with pytest.raises(StoreError):
            face.start(PHONE)
        assert time.monotonic() - began < BOUND
    assert not len(outbox)
