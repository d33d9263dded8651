"""The example of a third-party store passes the conformance suite, and holds between processes."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support import REPEATS, long_form

from otpverify import Policy
from otpverify.core.limits import Limit
from otpverify.protocols import Clock
from otpverify.testing import StoreConformance
from otpverify.testing.conformance.base import FREE, digest, first, key

PATH = Path(__file__).parents[2] / "examples" / "sqlite_store.py"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("sqlite_store", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SqliteStore = load().SqliteStore


@long_form
class TestSqliteStore(StoreConformance):
    crowd = 8
    repeats = 1
    many = 20
    steps = max(100, 5 * REPEATS)

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make_store(self, clock: Clock) -> Any:
        return SqliteStore(self.folder / "codes.db", clock=clock)


def test_it_is_short() -> None:
    assert len(PATH.read_text().splitlines()) < 140


RACER = """
import sys
from pathlib import Path
sys.path.insert(0, {folder!r})
from sqlite_store import SqliteStore
from otpverify import Policy
from otpverify.core.limits import Limit
from otpverify.testing.conformance.base import FREE, digest, first, key

limited = Policy(resend_cooldown_seconds=0, sends_per_phone=(Limit(4, 3600),))
print("ready", flush=True)
sys.stdin.readline()
store = SqliteStore(Path({path!r}))
print("made", flush=True)
sys.stdin.readline()
for n in range(5):
    print("wrong", store.check(key(1), digest(n), FREE).verdict.value)
    print("right", store.check(key(2), digest("a"), FREE).verdict.value)
    opened = store.open(key(3, "login", {process} * 10 + n), first("a"), limited)
    print("start", type(opened).__name__)
"""


def wait_and_go(racers: list[subprocess.Popen[str]], said: str) -> None:
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == f"{said}\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()


def test_8_processes_share_one_file(tmp_path: Path) -> None:
    path = tmp_path / "codes.db"
    racers = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                RACER.format(folder=str(PATH.parent), path=str(path), process=process),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for process in range(8)
    ]
    wait_and_go(racers, "ready")  # all make the file at once
    store = SqliteStore(path)
    for phone in (1, 2):
        store.open(key(phone), first("a"), FREE)
    wait_and_go(racers, "made")
    seen = Counter(
        line for racer in racers for line in racer.communicate(timeout=120)[0].splitlines()
    )
    assert [racer.returncode for racer in racers] == [0] * 8
    assert seen == {
        "wrong wrong": 5,
        "wrong exhausted": 35,
        "right accepted": 1,
        "right gone": 39,
        "start Opened": 4,
        "start Refused": 36,
    }
    limited = Policy(resend_cooldown_seconds=0, sends_per_phone=(Limit(4, 3600),))
    assert store.open(key(3), first("a"), limited).retry_in > 0
    assert store.check(key(2), digest("a"), FREE).verdict.value == "gone"
