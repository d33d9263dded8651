"""Promises 1 to 3 between processes: eight of them with 25 threads each, and 200 tasks on one
client, on every server and on an SQLite file, with exact counts. `repeats` says how often.

Run as a program, this file is the eight processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import pickle
import socket
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import uvloop
from servers import Server, binary, store_of
from support import LONG, PHONE, QUICK, SECRET, AsyncMode, Face, Mode, dealt, long_form, wrong

from otpverify import (
    HmacHasher,
    IncorrectCode,
    Limit,
    OtpVerifyError,
    Policy,
    RedisStore,
    SqliteStore,
    Store,
    Verifier,
)
from otpverify.testing import OutboxSender, code_in

PROCESSES, THREADS = 8, 25
KINDS = ("valkey9", "redis6", "redis7")
CLUSTERS = tuple(f"{kind}-cluster" for kind in KINDS)
FILE = "sqlite"

Settings: TypeAlias = dict[str, Any]
"""The arguments of a `Policy`."""

ROOMY: Settings = {"resend_cooldown_seconds": 0, "sends_per_phone": (), "sends_per_ip": ()}
LONG_CODES = ROOMY | {"code_length": 10}
"""A further code of six digits would be one of the guesses beside it in some run of many."""

CROWD = tuple(f"+372567890{n:02}" for n in range(40))
"""Five tasks for each of them are 200."""


Call: TypeAlias = tuple[str, dict[str, Any]]
"""A verifier's method and its arguments. What passes between the processes is plain."""


class Outcome:
    """The outcomes of calls that were made at once.

    Attributes:
        kinds: How often each class was returned or raised.
        attempts_left: What the errors said.
        texts: The messages that went out.
    """

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.attempts_left: list[int] = []
        self.texts: list[str] = []

    def add(self, outcomes: Sequence[tuple[str, int | None]], texts: Sequence[str]) -> None:
        """Add the outcomes of one process."""
        self.kinds.update(kind for kind, _ in outcomes)
        self.attempts_left += [left for _, left in outcomes if left is not None]
        self.texts += texts


def check(id_: str, code: str) -> Call:
    return "check", {"phone": PHONE, "code": code, "challenge": id_}


def store_on(url: str) -> Store:
    """A store that all processes share. Counts are exact even where a machine does much else."""
    if url.startswith(FILE):
        return SqliteStore(url.removeprefix(f"{FILE}:"), timeout_seconds=60)
    return RedisStore.from_url(url, connect_timeout_seconds=5, socket_timeout_seconds=5)


def verifier_on(url: str, settings: Settings, sender: OutboxSender) -> Verifier:
    """What every process has: the same secret, the same store."""
    return Verifier(
        sender,
        store=store_on(url),
        secret=SECRET,
        hasher=HmacHasher(),
        policy=Policy(**settings),
    )


class Process:
    """The near end of one process, which waits for calls to make.

    Args:
        line: The connection to it.
    """

    def __init__(self, line: socket.socket) -> None:
        self._file = line.makefile("rwb")
        line.close()  # the file keeps it

    def say(self, what: object) -> None:
        """Send it something."""
        pickle.dump(what, self._file)
        self._file.flush()

    def hear(self) -> Any:
        """Wait for what it answers."""
        return pickle.load(self._file)

    def stop(self) -> None:
        """Let it end."""
        self._file.close()


class Crew:
    """Processes that are started once and race many times."""

    def __init__(self, server: Server | File, members: Sequence[Process]) -> None:
        self.server = server
        self.members = members
        self.outbox = OutboxSender()

    def verifier(self, settings: Settings) -> Verifier:
        """A verifier in this process, on an empty server."""
        self.outbox.clear()
        empty(self.server)
        return verifier_on(self.server.url, settings, self.outbox)

    def race(self, settings: Settings, calls: Sequence[Call]) -> Outcome:
        """Make all calls at once, each in a thread of its own, dealt out to the processes."""
        for nth, member in enumerate(self.members):
            member.say((self.server.url, settings, calls[nth :: len(self.members)]))
        for member in self.members:
            assert member.hear() == "ready"
        for member in self.members:
            member.say("go")
        total = Outcome()
        for member in self.members:
            total.add(*member.hear())
        return total


class File:
    """An SQLite file, which all processes share as they share a server."""

    def __init__(self, path: Path) -> None:
        self.url = f"{FILE}:{path}"
        self.path = path
        SqliteStore(path)


def empty(server: Server | File) -> None:
    """Forget everything."""
    if isinstance(server, File):
        with contextlib.closing(sqlite3.connect(server.path, timeout=60)) as admin, admin:
            admin.execute("DELETE FROM states")
        return
    with server.client() as admin:
        admin.flushall()


def repeats(kind: str, loops: int = 1) -> range:
    """How often a race is run on a server of that kind. The newest one takes half of the `REPEATS`.
    The others run the same scripts, and share the other half. A file has an eighth of its own.

    Args:
        kind: The server.
        loops: How many event loops share that number.
    """
    others = len(KINDS) - 1 + len(CLUSTERS)
    return range(dealt({KINDS[0]: 2, FILE: 8}.get(kind, 2 * others) * loops))


@pytest.fixture(scope="module")
def members() -> Iterator[list[Process]]:
    pairs = [socket.socketpair() for _ in range(PROCESSES)]
    theirs = [line.fileno() for _, line in pairs]
    command = [sys.executable, __file__, *map(str, theirs)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, pass_fds=theirs, env=environment):
        for _, line in pairs:
            line.close()
        processes = [Process(line) for line, _ in pairs]
        yield processes
        for process in processes:
            process.stop()


@pytest.fixture(scope="module", params=(*KINDS, FILE, *CLUSTERS) if LONG else (KINDS[0], FILE))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server | File]:
    if kind == FILE:
        yield File(tmp_path_factory.mktemp(FILE) / "codes.db")
        return
    name, cluster, _ = kind.partition("-cluster")
    with Server(binary(name), cluster=bool(cluster)) as running:
        yield running


@pytest.fixture
def crew(server: Server | File, members: list[Process]) -> Crew:
    return Crew(server, members)


class TestProcesses:
    """Eight processes, 25 threads each."""

    def test_200_wrong_codes_are_compared_exactly_max_attempts_times(
        self, crew: Crew, kind: str
    ) -> None:
        for _ in repeats(kind):
            id_ = crew.verifier({}).start(PHONE).id
            code = crew.outbox.code()
            found = crew.race({}, [check(id_, wrong(code, nth)) for nth in range(1, 201)])
            assert found.kinds == {"IncorrectCode": 5, "AttemptsExhausted": 195}
            assert sorted(found.attempts_left) == [0, 1, 2, 3, 4]

    def test_200_right_codes_are_accepted_exactly_once(self, crew: Crew, kind: str) -> None:
        for _ in repeats(kind):
            id_ = crew.verifier({}).start(PHONE).id
            found = crew.race({}, [check(id_, crew.outbox.code())] * 200)
            assert found.kinds == {"Verified": 1, "ChallengeExpired": 199}

    def test_200_times_a_proof_is_redeemed_exactly_once(self, crew: Crew, kind: str) -> None:
        for _ in repeats(kind):
            verifier = crew.verifier({})
            id_ = verifier.start(PHONE).id
            proof = verifier.check(PHONE, crew.outbox.code(), challenge=id_).proof
            found = crew.race({}, [("redeem", {"phone": PHONE, "proof": proof})] * 200)
            assert found.kinds == {"Verified": 1, "ChallengeExpired": 199}

    def test_200_starts_send_exactly_one_message(self, crew: Crew, kind: str) -> None:
        for _ in repeats(kind):
            crew.verifier({})
            found = crew.race({}, [("start", {"phone": PHONE})] * 200)
            assert found.kinds == {"Challenge": 1, "CooldownActive": 199}
            assert len(found.texts) == 1

    def test_a_right_code_beside_wrong_ones_below_the_limit_is_always_accepted(
        self, crew: Crew, kind: str
    ) -> None:
        for nth in repeats(kind):
            id_ = crew.verifier({}).start(PHONE).id
            code = crew.outbox.code()
            calls = [check(id_, wrong(code, other)) for other in range(1, 5)]
            calls.insert(nth % 5, check(id_, code))
            assert crew.race({}, calls).kinds["Verified"] == 1

    def test_a_resend_beside_guesses_loses_neither_code(self, crew: Crew, kind: str) -> None:
        for nth in repeats(kind):
            verifier = crew.verifier(LONG_CODES)
            id_ = verifier.start(PHONE).id
            code = crew.outbox.code()
            calls = [check(id_, wrong(code, other)) for other in range(1, 5)]
            calls.insert(nth % 5, ("resend", {"phone": PHONE, "challenge": id_}))
            found = crew.race(LONG_CODES, calls)
            assert found.kinds == {"Challenge": 1, "IncorrectCode": 4}
            assert sorted(found.attempts_left) == [1, 2, 3, 4]
            code = code if nth % 2 else code_in(found.texts[0])
            assert verifier.check(PHONE, code, challenge=id_)

    def test_a_right_code_beside_resends_is_always_accepted(self, crew: Crew, kind: str) -> None:
        for nth in repeats(kind):
            id_ = crew.verifier(ROOMY).start(PHONE).id
            calls = [("resend", {"phone": PHONE, "challenge": id_})] * 2
            calls.insert(nth % 3, check(id_, crew.outbox.code()))
            found = crew.race(ROOMY, calls)
            assert found.kinds["Verified"] == 1
            assert found.kinds["Challenge"] + found.kinds["ChallengeExpired"] == 2

    def test_the_failure_budget_holds_over_all_challenges(self, crew: Crew, kind: str) -> None:
        settings = ROOMY | {"failures_per_phone": Limit(12, 86_400)}
        for _ in repeats(kind):
            verifier = crew.verifier(settings)
            ids = [verifier.start(PHONE).id for _ in range(10)]
            codes = {code_in(message.text) for message in crew.outbox.messages}
            guess = next(code for code in (f"{n:06}" for n in range(100)) if code not in codes)
            found = crew.race(settings, [check(id_, guess) for id_ in ids for _ in range(20)])
            assert found.kinds == {"IncorrectCode": 12, "AttemptsExhausted": 188}

    def test_wrong_codes_in_a_row_are_bounded_over_all_challenges(
        self, crew: Crew, kind: str
    ) -> None:
        settings = ROOMY | {"consecutive_failures": Limit(17, 86_400)}
        for _ in repeats(kind):
            verifier = crew.verifier(settings)
            ids = [verifier.start(PHONE).id for _ in range(10)]
            codes = {code_in(message.text) for message in crew.outbox.messages}
            guess = next(code for code in (f"{n:06}" for n in range(100)) if code not in codes)
            found = crew.race(settings, [check(id_, guess) for id_ in ids for _ in range(20)])
            assert found.kinds == {"IncorrectCode": 17, "AttemptsExhausted": 183}

    def test_the_send_limit_holds_over_all_purposes(self, crew: Crew, kind: str) -> None:
        settings = ROOMY | {"sends_per_phone": Limit(4, 3600)}
        for _ in repeats(kind):
            crew.verifier(settings)
            calls = [("start", {"phone": PHONE, "purpose": str(n % 3)}) for n in range(200)]
            found = crew.race(settings, calls)
            assert found.kinds == {"Challenge": 4, "RateLimited": 196}
            assert len(found.texts) == 4

    def test_the_limit_of_a_network_holds_over_all_phones(self, crew: Crew, kind: str) -> None:
        settings = ROOMY | {"sends_per_ip": Limit(7, 3600)}
        for _ in repeats(kind):
            crew.verifier(settings)
            calls = [
                ("start", {"phone": f"+372567890{n:02}", "client_ip": f"2001:db8::{n:x}"})
                for n in range(100)
            ]
            found = crew.race(settings, calls)
            assert found.kinds == {"Challenge": 7, "RateLimited": 93}
            assert len(found.texts) == 7


LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.mark.parametrize(
    "loop",
    [LOOPS["asyncio"], pytest.param(LOOPS["uvloop"], marks=long_form)],
    ids=LOOPS,
)
class TestTasks:
    """200 tasks on one client."""

    @pytest.fixture
    def mode(self, loop: Any) -> Iterator[Mode]:
        made = AsyncMode()
        made.runner.close()
        made.runner = asyncio.Runner(loop_factory=loop)
        yield made
        made.close()

    @pytest.fixture
    def store(self, mode: Mode, server: Server | File) -> Iterator[Any]:
        if isinstance(server, File):
            if not LONG:
                pytest.skip("the processes above race on the file; see long_form")
            with SqliteStore(server.path, timeout_seconds=60) as file:
                yield file
            return
        bounds = {"connect_timeout_seconds": 5, "socket_timeout_seconds": 5}
        with store_of(mode, server.url, **bounds) as store:
            yield store

    @pytest.fixture
    def face(self, mode: Mode, store: Any, outbox: OutboxSender) -> Face:
        return mode.make(outbox, store=store, secret=SECRET, hasher=HmacHasher())

    @pytest.fixture
    def roomy(self, mode: Mode, store: Any, outbox: OutboxSender) -> Face:
        policy = Policy(**LONG_CODES)
        return mode.make(outbox, store=store, secret=SECRET, hasher=HmacHasher(), policy=policy)

    def crowd(self, mode: Mode, face: Face, outbox: OutboxSender) -> dict[str, tuple[str, str]]:
        """Start a challenge for each of the crowd. Gives its id and its code by the phone."""
        outbox.clear()
        started: list[Any] = mode.together([partial(face.start, phone) for phone in CROWD])
        return {one.phone: (one.id, outbox.code(one.phone)) for one in started}

    def kinds(self, mode: Mode, calls: Sequence[partial[Any]]) -> Counter[str]:
        return Counter(type(outcome).__name__ for outcome in mode.together(calls))

    def test_200_wrong_codes_are_compared_exactly_max_attempts_times(
        self, mode: Mode, face: Face, outbox: OutboxSender, server: Server | File, kind: str
    ) -> None:
        for _ in repeats(kind, len(LOOPS)):
            empty(server)
            id_ = face.start(PHONE).id
            code = outbox.code()
            calls = [
                partial(face.check, PHONE, wrong(code, n), challenge=id_) for n in range(1, 201)
            ]
            assert self.kinds(mode, calls) == {"IncorrectCode": 5, "AttemptsExhausted": 195}

    def test_50_right_codes_are_accepted_exactly_once(
        self, mode: Mode, face: Face, outbox: OutboxSender, server: Server | File, kind: str
    ) -> None:
        for _ in repeats(kind, len(LOOPS)):
            empty(server)
            id_ = face.start(PHONE).id
            calls = [partial(face.check, PHONE, outbox.code(), challenge=id_)] * 50
            assert self.kinds(mode, calls) == {"Verified": 1, "ChallengeExpired": 49}

    def test_a_costly_hasher_s_claims_admit_no_more(
        self, mode: Mode, store: Any, outbox: OutboxSender, server: Server | File, kind: str
    ) -> None:
        """Each claims its attempt before the hash; the check decides."""
        face = mode.make(outbox, store=store, secret=SECRET, hasher=QUICK)
        for _ in range(min(5, len(repeats(kind, len(LOOPS))))):
            empty(server)
            outbox.clear()
            started = [face.start(phone) for phone in CROWD[:2]]
            codes = [outbox.code(one.phone) for one in started]
            guesses = [
                partial(face.check, CROWD[0], wrong(codes[0], n), challenge=started[0].id)
                for n in range(1, 201)
            ]
            assert self.kinds(mode, guesses) == {"IncorrectCode": 5, "AttemptsExhausted": 195}
            right = [partial(face.check, CROWD[1], codes[1], challenge=started[1].id)] * 50
            found = Counter(self.kinds(mode, right))
            assert found.pop("Verified") == 1
            assert set(found) <= {"ChallengeExpired", "AttemptsExhausted"}
            assert found.total() == 49

    def test_200_starts_send_exactly_one_message(
        self, mode: Mode, face: Face, outbox: OutboxSender, server: Server | File, kind: str
    ) -> None:
        for _ in repeats(kind, len(LOOPS)):
            empty(server)
            outbox.clear()
            calls = [partial(face.start, PHONE)] * 200
            assert self.kinds(mode, calls) == {"Challenge": 1, "CooldownActive": 199}
            assert len(outbox) == 1

    def test_a_right_code_beside_wrong_ones_below_the_limit_is_always_accepted(
        self, mode: Mode, face: Face, outbox: OutboxSender, server: Server | File, kind: str
    ) -> None:
        for nth in repeats(kind, len(LOOPS)):
            empty(server)
            calls = []
            for place, (phone, (id_, code)) in enumerate(self.crowd(mode, face, outbox).items()):
                typed = [wrong(code, other) for other in range(1, 5)]
                typed.insert((nth + place) % 5, code)
                calls += [partial(face.check, phone, one, challenge=id_) for one in typed]
            found = self.kinds(mode, calls)
            assert found["Verified"] == 40
            # What comes after the right one finds nothing; nothing else is refused.
            assert found["IncorrectCode"] + found["ChallengeExpired"] == 160

    def test_a_resend_beside_guesses_loses_neither_code(
        self, mode: Mode, roomy: Face, outbox: OutboxSender, server: Server | File, kind: str
    ) -> None:
        for nth in repeats(kind, len(LOOPS)):
            empty(server)
            crowd = self.crowd(mode, roomy, outbox)
            calls: list[partial[Any]] = []
            for place, (phone, (id_, code)) in enumerate(crowd.items()):
                guesses = [wrong(code, other) for other in range(1, 5)]
                five = [partial(roomy.check, phone, one, challenge=id_) for one in guesses]
                further: Any = partial(roomy.resend, phone, challenge=id_)
                calls += [*five[: (nth + place) % 5], further, *five[(nth + place) % 5 :]]
            outcomes = mode.together(calls)
            kinds = Counter(type(outcome).__name__ for outcome in outcomes)
            assert kinds == {"Challenge": 40, "IncorrectCode": 160}
            for one in range(0, 200, 5):
                wrongs = [of for of in outcomes[one : one + 5] if isinstance(of, IncorrectCode)]
                assert {of.attempts_left for of in wrongs} == {1, 2, 3, 4}
            # A challenge takes one code only: some are given the first, some the further one, and
            # some show that no attempt was forgotten.
            calls = []
            for place, (phone, (id_, code)) in enumerate(crowd.items()):
                typed = (code, outbox.code(phone), code, wrong(code, 5))[(nth + place) % 4]
                calls.append(partial(roomy.check, phone, typed, challenge=id_))
            outcomes = mode.together(calls)
            kinds = Counter(type(outcome).__name__ for outcome in outcomes)
            assert kinds == {"Verified": 30, "IncorrectCode": 10}
            assert {getattr(outcome, "attempts_left", 0) for outcome in outcomes} == {0}


def serve(line: io.BufferedRWPair) -> None:
    """Be one of the processes: make the calls that arrive, and answer their outcomes."""
    outbox = OutboxSender()
    verifiers: dict[str, Verifier] = {}
    sys.setswitchinterval(1e-5)  # threads overtake each other often

    def answer(value: object) -> None:
        pickle.dump(value, line)
        line.flush()

    with ThreadPoolExecutor(THREADS) as pool, contextlib.suppress(EOFError):
        while True:
            url, settings, calls = pickle.load(line)
            outbox.clear()
            name = f"{url} {settings}"
            if name not in verifiers:
                verifiers[name] = verifier_on(url, settings, outbox)
            together = threading.Barrier(len(calls) + 1)
            running = [pool.submit(one, verifiers[name], call, together) for call in calls]
            answer("ready")
            pickle.load(line)
            together.wait()
            outcomes = [future.result() for future in running]
            answer((outcomes, [message.text for message in outbox.messages]))


def one(verifier: Verifier, call: Call, together: threading.Barrier) -> tuple[str, int | None]:
    """Make one call, when all may. An error that is not otpverify's ends the process."""
    method, arguments = call
    together.wait()
    try:
        return type(getattr(verifier, method)(**arguments)).__name__, None
    except OtpVerifyError as error:
        return type(error).__name__, getattr(error, "attempts_left", None)


if __name__ == "__main__":
    for number in map(int, sys.argv[1:]):
        # What is imported once serves all of them; there are no threads yet.
        if not os.fork():
            with socket.socket(fileno=number) as far_end, far_end.makefile("rwb") as file:
                serve(file)
            os._exit(0)
    for _ in sys.argv[1:]:
        os.wait()
