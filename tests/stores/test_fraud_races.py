"""What a fraud policy counts between processes: several of them with several threads each charge at
once, on a server, on a cluster of three nodes and on a file, with exact counts.

Run as a program, this file is one of the processes.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import IO, Any

import pytest
from clusters import three_nodes
from servers import Server, binary
from support import long_form

from otpverify import RedisStore, SqliteStore
from otpverify.core.caps import Cap, Full
from otpverify.core.fraud import DAY, Overdrawn, Rates, Request
from otpverify.core.fraud_ledger import (
    SPEND,
    TOTAL,
    Charged,
    FraudKey,
    Rules,
    millionths,
)
from otpverify.core.limits import Limit

PROCESSES, THREADS = 4, 25
RULES = Rules(Rates(10.0, 1 / 3), 90 * DAY, 660_000)
CHEAP = 0.001
FILE = "sqlite:"


def store_on(url: str) -> Any:
    if url.startswith(FILE):
        return SqliteStore(url.removeprefix(FILE), timeout_seconds=60)
    return RedisStore.from_url(url, connect_timeout_seconds=10, socket_timeout_seconds=10)


def act(store: Any, what: str, process: int, thread: int) -> str:
    """One call, and what came of it in a word."""
    own = f"{process}-{thread}"
    alone = FraudKey(f"prefix {what} {own}", "EE", f"number {own}", f"challenge {own}")
    if what == "prefix":
        answer = store.charge(alone._replace(prefix="one"), Request(CHEAP), RULES)
    elif what == "caps":
        caps = (Cap(TOTAL, 30, DAY), Cap(SPEND, millionths(0.02), DAY))
        answer = store.charge(alone, Request(CHEAP), RULES._replace(caps=caps))
    elif what == "network":
        limited = RULES._replace(sends_per_ip=(Limit(7, 3600),))
        answer = store.charge(alone._replace(network="one"), Request(CHEAP), limited)
    elif what == "known":
        answer = store.charge(alone._replace(number="known"), Request(CHEAP), RULES)
    else:
        answer = store.credit(alone._replace(number="one", challenge="one"), RULES)
    if isinstance(answer, Charged):
        return "charged" if answer.paid is None else answer.paid.group.name
    if isinstance(answer, Overdrawn):
        return answer.reason
    return answer.cap.name if isinstance(answer, Full) else type(answer).__name__


class Crowd:
    """The processes on one store."""

    def __init__(self, url: str) -> None:
        self.url = url
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.processes = [
            subprocess.Popen(
                [sys.executable, __file__, url, str(number)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
            for number in range(PROCESSES)
        ]
        for one in self.processes:
            assert _lines(one).readline() == "ready\n"

    def run(self, what: str) -> Counter[str]:
        """All calls at once, and what came of them."""
        for one in self.processes:
            assert one.stdin is not None
            one.stdin.write(f"{what}\n")
            one.stdin.flush()
        found: Counter[str] = Counter()
        for one in self.processes:
            found.update(json.loads(_lines(one).readline()))
        assert sum(found.values()) == PROCESSES * THREADS
        return found

    def close(self) -> None:
        """End the processes."""
        for one in self.processes:
            one.communicate()


def _lines(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


@pytest.fixture(
    scope="module",
    params=["valkey9", *(pytest.param(kind, marks=long_form) for kind in ("three nodes", "file"))],
)
def crowd(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Crowd]:
    with contextlib.ExitStack() as stack:
        if request.param == "file":
            url = f"{FILE}{tmp_path_factory.mktemp('race')}/codes.db"
        elif request.param == "three nodes":
            url = stack.enter_context(three_nodes("valkey9")).url
        else:
            url = stack.enter_context(Server(binary(request.param))).url
        yield stack.enter_context(contextlib.closing(Crowd(url)))


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("prefix", {"NEW": 8, "prefix": 92}),
        ("caps", {"NEW": 20, "spend": 80}),
        ("network", {"NEW": 7, "Refused": 93}),
        ("known", {"KNOWN": 3, "NEW": 97}),
        ("credit", {"Credited": 1, "NoneType": 99}),
    ],
)
def test_processes_at_once(crowd: Crowd, what: str, expected: dict[str, int]) -> None:
    with store_on(crowd.url) as store:
        if what == "known":
            store.credit(FraudKey("prefix", "EE", "known", "none"), RULES)
        if what == "credit":
            store.charge(FraudKey("prefix", "EE", "one", "one"), Request(CHEAP), RULES)
        assert crowd.run(what) == expected
        if what == "known":
            assert store.known("known").unanswered == PROCESSES * THREADS


if __name__ == "__main__":
    with store_on(sys.argv[1]) as shared, ThreadPoolExecutor(THREADS) as pool:
        shared.known("warm")
        print("ready", flush=True)
        for line in sys.stdin:
            calls = partial(act, shared, line.strip(), int(sys.argv[2]))
            print(json.dumps(Counter(pool.map(calls, range(THREADS)))), flush=True)
