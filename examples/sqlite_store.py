"""A store of one's own: an SQLite file. Run it: python examples/sqlite_store.py"""

import json
import secrets
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import astuple
from itertools import starmap
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from otpverify import Clock, Limit, Policy, StoreError, VerificationFailed, Verifier
from otpverify.core import challenge as transitions, state as kinds
from otpverify.core.answers import Checked, Opened, Refused, Reported, Reserved, Standing
from otpverify.core.keys import Key
from otpverify.core.results import DeliveryStatus
from otpverify.core.state import Inspected
from otpverify.sandbox import Sandbox

SCHEMA = """BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS states (name TEXT PRIMARY KEY, state TEXT, expires INTEGER);
CREATE INDEX IF NOT EXISTS by_expiry ON states (expires); COMMIT"""
T = TypeVar("T")
Change = Callable[..., tuple[T, *tuple[Any, ...]]]


def read(database: sqlite3.Connection, name: str) -> Any:
    row = database.execute("SELECT state FROM states WHERE name = ?", (name,)).fetchone()
    if not row or not (found := json.loads(row[0])):
        return kinds.PhoneState() if name.startswith("phone") else None
    if name.startswith("phone"):
        sends, failures = starmap(kinds.Send, found[0]), starmap(kinds.Failure, found[1])
        retention, streaks = kinds.Retention(*found[2]), starmap(kinds.FailureStreak, found[4])
        return kinds.PhoneState(tuple(sends), tuple(failures), retention, found[3], tuple(streaks))
    if name.startswith("challenge"):
        codes = (kinds.LiveCode(code and bytes.fromhex(code), *rest) for code, *rest in found[0])
        return kinds.ChallengeState(tuple(codes), *found[1:])
    return kinds.CounterState(tuple(found[0]), kinds.Retention(*found[1]), found[2])


class SqliteStore:
    """One transaction on a file for each operation. The one to use is `otpverify.SqliteStore`."""

    process_local: ClassVar[bool] = False

    def __init__(self, path: Path, *, clock: Clock = time.time) -> None:
        self.path, self.clock = path, clock
        with closing(sqlite3.connect(path)) as database:
            database.executescript(SCHEMA)
            with suppress(sqlite3.OperationalError):  # another process is about to do it
                database.execute("PRAGMA journal_mode = WAL")

    def _do(self, names: tuple[str, ...], change: Change[T]) -> T:
        try:
            with closing(sqlite3.connect(self.path, isolation_level=None)) as database, database:
                database.execute("BEGIN IMMEDIATE")
                now = int(self.clock() * 1000)
                database.execute("DELETE FROM states WHERE expires <= ?", (now,))
                answer, *states = change(*(read(database, name) for name in names), now)
                for name, state in zip(names, states, strict=True):
                    text = json.dumps(state and astuple(state), default=bytes.hex)
                    row = (name, text, state.expires if state else 0)
                    database.execute("REPLACE INTO states VALUES (?, ?, ?)", row)
                return answer
        except sqlite3.Error as error:
            raise StoreError(f"SQLite failed ({type(error).__name__}).") from None

    def _on(self, key: Key, change: Change[T], *args: object) -> T:
        names = (f"phone {key.phone}", f"challenge {key.challenge}")
        return self._do(names, lambda *had: change(*had[:2], key, *args, had[2]))

    def _look(self, key: Key, read: Callable[..., T], *args: object) -> T:
        return self._on(key, lambda *had: (read(*had), had[0], had[1]), *args)

    def open(self, key: Key, opening: kinds.Opening, policy: Policy) -> Opened | Refused:
        return self._on(key, transitions.open_, opening, policy)

    def place(self, key: Key, at: int, digest: bytes, policy: Policy) -> Standing | None:
        return self._on(key, transitions.place, at, digest, policy)

    def peek(self, key: Key, policy: Policy) -> Checked:
        return self._look(key, transitions.peek, policy)

    def claim(self, key: Key, policy: Policy) -> Checked:
        return self._on(key, transitions.claim, policy)

    def check(self, key: Key, digest: bytes, policy: Policy, claimed: bool = False) -> Checked:
        return self._on(key, transitions.check, digest, policy, claimed)

    def redeem(self, key: Key) -> bool:
        return self._do((f"challenge {key.challenge}",), transitions.redeem)

    def release(self, key: Key, at: int, digest: bytes | None, policy: Policy) -> Standing | None:
        return self._on(key, transitions.release, at, digest, policy)

    def report(
        self, key: Key, at: int, status: DeliveryStatus, policy: Policy, give_back: bool = True
    ) -> Reported:
        return self._on(key, transitions.report, at, status, policy, give_back)

    def status(self, key: Key, policy: Policy) -> DeliveryStatus | None:
        return self._on(key, lambda p, c, _, *at: (transitions.status(c, *at), p, c), policy)

    def cancel(self, key: Key) -> None:
        self._do((f"challenge {key.challenge}",), lambda _challenge, _now: (None, None))

    def inspect(self, phone: str) -> Inspected:
        found = self._do((f"phone {phone}",), lambda phone, now: ((phone, now), phone))
        names = transitions.challenges_of(*found)
        read = [self._do((f"challenge {name}",), lambda one, _: (one, one)) for name in names]
        return transitions.inspect(found[0], dict(zip(names, read, strict=True)), found[1])

    def unlock(self, phone: str, scope: str | None = None) -> None:
        self._do((f"phone {phone}",), lambda had, now: (None, transitions.unlock(had, scope, now)))

    def reserve(self, counter: str, limits: tuple[Limit, ...]) -> Reserved | Refused:
        return self._do((counter,), lambda state, now: transitions.reserve(state, limits, now))

    def give_back(self, counter: str, at: int) -> None:
        self._do((counter,), lambda state, now: (None, transitions.give_back(state, at, now)))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Sandbox() as sandbox, sandbox.client() as client:
        path, key = Path(folder) / "codes.db", secrets.token_urlsafe(32)
        web, api = (Verifier(client, store=SqliteStore(path), secret=key) for _ in range(2))
        challenge = web.start("+37256789045", client_ip="192.0.2.1")
        for typed in (f"{int(code := sandbox.messages[-1].code or '') ^ 1:06}", code, code):
            try:
                print("accepted", api.check("+37256789045", typed, challenge=challenge.id).phone)
            except VerificationFailed as error:
                print("refused:", error)


if __name__ == "__main__":
    main()
