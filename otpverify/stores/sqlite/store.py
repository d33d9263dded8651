"""The store for the processes of one machine: a file, by the standard library's SQLite."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from otpverify._sync import Closing
from otpverify.core import challenge as transitions, fraud_ledger
from otpverify.core.answers import Checked, Opened, Refused, Reported, Reserved, Standing, is_sound
from otpverify.core.caps import Full
from otpverify.core.fraud import Overdrawn, Request
from otpverify.core.fraud_ledger import Charged, Credited, FraudKey, KnownNumber, Ledger, Rules
from otpverify.core.keys import Key
from otpverify.core.limits import Limit
from otpverify.core.phone import COUNTRIES
from otpverify.core.policy import Policy
from otpverify.core.results import DeliveryStatus
from otpverify.core.state import ChallengeState, Inspected, Opening, PhoneState
from otpverify.core.traffic import Totals, totals
from otpverify.errors import ConfigurationError
from otpverify.protocols import Clock
from otpverify.stores.clock import MonotonicClock
from otpverify.stores.sqlite import rows
from otpverify.stores.sqlite.file import File, FileHealth, read_health

T = TypeVar("T")
TIMEOUT_SECONDS = 2.5
_CLOCK = "time"
_FOREVER = 1 << 62
_PRUNED = 10
"""Expired rows that go with each operation that writes. None adds more than six."""


class SqliteStore(Closing):
    """Keeps challenges and counters in a file, shared by all processes of one machine.

    Every operation is one transaction, so nothing is ever done by half, also if a process is
    killed. Safe between threads and processes, and over forks. The file must lie on a local
    disk: on a network's filesystem, locks do not hold.

    A process or machine that crashes loses nothing that was answered; when the power fails, what
    was written a moment before may be missing (`synchronous = NORMAL` in WAL mode).

    Args:
        path: The file; made if it is not there, readable for its owner alone. SQLite keeps two
            more beside it, with `-wal` and `-shm` at the end.
        timeout_seconds: For each wait: for other threads of this process, and for other
            processes. An operation fails after twice that at the latest.
        clock: Seconds; by default `time.time`, which tests can move. It may be set back: then
            it is not believed, and no code lives longer for it.

    Raises:
        ConfigurationError: The file cannot be made or opened, or belongs to another program or
            version.
        StoreError: It is damaged or locked, or the disk is full.
    """

    process_local: ClassVar[bool] = False

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        if not isinstance(path, str | os.PathLike) or not str(path) or str(path) == ":memory:":
            raise ConfigurationError("SqliteStore needs the path of a file.")
        if not isinstance(timeout_seconds, int | float) or not 0 < timeout_seconds <= 3600:
            raise ConfigurationError("timeout_seconds must be above 0, and at most 3600.")
        self._clock = MonotonicClock(clock)
        self._file = File(Path(path).absolute(), timeout_seconds)

    def __repr__(self) -> str:
        return f"<SqliteStore on {self._file.path}>"

    def close(self) -> None:
        """Close the file. An operation opens it again."""
        self._file.close()

    def open(self, key: Key, opening: Opening, policy: Policy) -> Opened | Refused:
        """See `Store.open`."""
        return self._on(key, transitions.open_, opening, policy)

    def place(self, key: Key, at: int, digest: bytes, policy: Policy) -> Standing | None:
        """See `Store.place`."""
        return self._on(key, transitions.place, at, digest, policy)

    def peek(self, key: Key, policy: Policy) -> Checked:
        """See `Store.peek`."""
        (phone, challenge), now = self._read(*rows.names(key))
        return transitions.peek(phone or PhoneState(), challenge, key, policy, now)

    def claim(self, key: Key, policy: Policy) -> Checked:
        """See `Store.claim`."""
        return self._on(key, transitions.claim, policy)

    def check(self, key: Key, digest: bytes, policy: Policy, claimed: bool = False) -> Checked:
        """See `Store.check`."""
        return self._on(key, transitions.check, digest, policy, claimed)

    def redeem(self, key: Key) -> bool:
        """See `Store.redeem`."""
        return self._change(rows.names(key)[1:], transitions.redeem)

    def release(
        self, key: Key, at: int, undelivered: bytes | None, policy: Policy
    ) -> Standing | None:
        """See `Store.release`."""
        return self._on(key, transitions.release, at, undelivered, policy)

    def report(
        self, key: Key, at: int, status: DeliveryStatus, policy: Policy, give_back: bool = True
    ) -> Reported:
        """See `Store.report`."""
        return self._on(key, transitions.report, at, status, policy, give_back)

    def status(self, key: Key, policy: Policy) -> DeliveryStatus | None:
        """See `Store.status`."""
        (challenge,), now = self._read(*rows.names(key)[1:])
        return transitions.status(challenge, policy, now)

    def cancel(self, key: Key) -> None:
        """See `Store.cancel`."""
        self._change(rows.names(key)[1:], lambda _challenge, _now: (None, None))

    def inspect(self, phone: str) -> Inspected:
        """See `Store.inspect`."""

        def look(connection: sqlite3.Connection) -> Inspected:
            (state,), now = self._load(connection, (rows.phone_name(phone),))
            names = transitions.challenges_of(state or PhoneState(), now)
            wanted = tuple(rows.challenge_name(name) for name in names)
            challenges, now = self._load(connection, wanted)
            found = dict(zip(names, challenges, strict=True))
            return transitions.inspect(state or PhoneState(), found, now)

        return self._file.run(look, write=True)  # two reads of one instant

    def unlock(self, phone: str, scope: str | None = None) -> None:
        """See `Store.unlock`."""

        def change(state: PhoneState | None, now: int) -> tuple[None, PhoneState | None]:
            state = transitions.unlock(state or PhoneState(), scope, now)
            return None, None if state.empty else state

        self._change((rows.phone_name(phone),), change)

    def reserve(self, counter: str, limits: tuple[Limit, ...]) -> Reserved | Refused:
        """See `Store.reserve`."""
        return self._change(
            (rows.counter_name(counter),),
            lambda state, now: transitions.reserve(state, limits, now),
        )

    def give_back(self, counter: str, at: int) -> None:
        """See `Store.give_back`."""
        self._change(
            (rows.counter_name(counter),),
            lambda state, now: (None, transitions.give_back(state, at, now)),
        )

    def charge(
        self, key: FraudKey, request: Request, rules: Rules
    ) -> Charged | Overdrawn | Full | Refused:
        """See `FraudStore.charge`."""
        return self._on_ledger(
            key, rules, lambda had, now: fraud_ledger.charge(had, key, request, rules, now)
        )

    def credit(self, key: FraudKey, rules: Rules) -> Credited | None:
        """See `FraudStore.credit`."""
        return self._on_ledger(
            key, rules, lambda had, now: fraud_ledger.credit(had, key, rules, now)
        )

    def refund(self, key: FraudKey, charged: Charged, price: float, rules: Rules) -> None:
        """See `FraudStore.refund`."""
        self._on_ledger(
            key,
            rules,
            lambda had, now: (None, fraud_ledger.refund(had, charged, price, rules, now)),
        )

    def known(self, number: str) -> KnownNumber | None:
        """See `FraudStore.known`."""
        name = rows.fraud_name(fraud_ledger.number_name(number))
        (found,), now = self._read(name)
        return found if found is not None and found.expires > now else None

    def unlock_number(self, number: str) -> None:
        """See `FraudStore.unlock_number`."""
        self._change(
            (rows.fraud_name(fraud_ledger.number_name(number)),),
            lambda state, _now: (None, fraud_ledger.unlock(state)),
        )

    def traffic(self, hours: int) -> Totals:
        """See `FraudStore.traffic`."""
        names = [rows.fraud_name(fraud_ledger.tally_name(country)) for country in COUNTRIES]
        found, now = self._read(*names)
        return totals(zip(COUNTRIES, found, strict=True), hours, now)

    def health(self) -> FileHealth:
        """Look the file through, and say what to fix. For an operator to call:
        it reads all of it.

        Raises:
            StoreError: It cannot be read.
        """
        return self._file.run(lambda found: read_health(found, self._file.path), write=False)

    def _on(self, key: Key, transition: Callable[..., tuple[T, Any, Any]], *args: object) -> T:
        """One of the transitions of a phone and a challenge."""

        def change(
            phone: PhoneState | None, challenge: ChallengeState | None, now: int
        ) -> tuple[T, PhoneState | None, ChallengeState | None]:
            answer, phone, challenge = transition(phone or PhoneState(), challenge, key, *args, now)
            return answer, None if phone.empty else phone, challenge

        return self._change(rows.names(key), change)

    def _on_ledger(
        self,
        key: FraudKey,
        rules: Rules,
        transition: Callable[[Ledger, int], tuple[T, Ledger]],
    ) -> T:
        """One of the transitions of what a message concerns."""

        def change(*had: Any) -> tuple[T, *tuple[Any, ...]]:
            *states, now = had
            answer, ledger = transition(Ledger.of(states, now), now)
            if not fraud_ledger.is_sound(answer):
                raise rows.foreign()
            return answer, *ledger.states

        names = tuple(rows.fraud_name(name) for name in fraud_ledger.names(key, rules))
        return self._change(names, change)

    def _change(
        self, names: tuple[str, ...], change: Callable[..., tuple[T, *tuple[Any, ...]]]
    ) -> T:
        """Give these states and the time to a transition, and keep what it makes of them."""

        def work(connection: sqlite3.Connection) -> T:
            had, now = self._load(connection, names)
            answer, *states = change(*had, now)
            if not is_sound(answer):
                raise rows.foreign()
            pairs = zip(names, states, strict=True)
            changed = [pair for pair, old in zip(pairs, had, strict=True) if pair[1] != old]
            if changed:
                self._save(connection, changed, now)
            return answer

        return self._file.run(work, write=True)

    def _read(self, *names: str) -> tuple[list[Any], int]:
        return self._file.run(lambda connection: self._load(connection, names), write=False)

    def _load(
        self, connection: sqlite3.Connection, names: tuple[str, ...]
    ) -> tuple[list[Any], int]:
        """These states and the time, of one instant."""
        places = ", ".join("?" * (len(names) + 1))
        query = f"SELECT name, state FROM states WHERE name IN ({places})"  # noqa: S608 - marks
        found = dict(connection.execute(query, (*names, _CLOCK)))
        known = rows.decode_instants(found[_CLOCK]) if _CLOCK in found else (0, 0)
        states = [rows.decode(name, found[name]) if name in found else None for name in names]
        return states, self._clock.milliseconds_after(*known)

    def _save(
        self, connection: sqlite3.Connection, changed: list[tuple[str, Any]], now: int
    ) -> None:
        kept = [(name, rows.encode(state), state.expires) for name, state in changed if state]
        gone = [(name,) for name, state in changed if state is None]
        kept.append((_CLOCK, rows.encode_instants(now, self._clock.steady), _FOREVER))
        connection.executemany("REPLACE INTO states VALUES (?, ?, ?)", kept)
        if gone:
            connection.executemany("DELETE FROM states WHERE name = ?", gone)
        connection.execute(
            "DELETE FROM states WHERE name IN "
            "(SELECT name FROM states WHERE expires <= ? ORDER BY expires LIMIT ?)",
            (now, _PRUNED),
        )
