"""The tables of a `SqliteStore`, and its states as rows."""

from __future__ import annotations

import json
import logging
import math
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from otpverify.core.fraud import EMPTY, FraudKey, Kept, Record
from otpverify.core.keys import Key
from otpverify.core.results import DeliveryStatus
from otpverify.core.state import (
    ChallengeState,
    CounterState,
    Failure,
    FailureStreak,
    LiveCode,
    PhoneState,
    Retention,
    Send,
)
from otpverify.errors import ConfigurationError, StoreError
from otpverify.stores.sqlite.errors import DAMAGED

APPLICATION = 0x6F747076  # "otpv"
VERSION = 1
_SCHEMA = (
    "CREATE TABLE states (name TEXT PRIMARY KEY, state TEXT NOT NULL, expires INTEGER NOT NULL) "
    "WITHOUT ROWID",
    "CREATE INDEX by_expiry ON states (expires)",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)
_OTHERS = 0o007
_log = logging.getLogger("otpverify")


@dataclass(frozen=True, slots=True)
class FileHealth:
    """What is to be known of a file.

    Attributes:
        version: SQLite's version, such as `"SQLite 3.45.1"`.
        size: Of the file, in bytes.
        warnings: What to fix, in sentences.
    """

    version: str
    size: int
    warnings: tuple[str, ...]


def read_health(connection: sqlite3.Connection, path: Path) -> FileHealth:
    """Look the whole file through."""
    found = path.stat()
    warnings = []
    if found.st_mode & _OTHERS and os.name == "posix":
        warnings.append(f"All users of this machine may use {path}. Run: chmod 600 on it.")
    (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        warnings.append(f"{path} {DAMAGED}")
    return FileHealth(f"SQLite {sqlite3.sqlite_version}", found.st_size, tuple(warnings))


def make(path: Path) -> None:
    """Make the file, which its owner alone may read; SQLite gives those beside it the same
    rights. One that is there is not opened here: closing it again would end SQLite's locks."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        if path.is_dir():
            raise ConfigurationError(f"{path} is a folder; give the path of a file.") from None
        if path.stat().st_mode & _OTHERS and os.name == "posix":
            _log.warning("All users of this machine may use %s. Run: chmod 600 on it.", path)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be made ({error.strerror}). Its folder must exist, and this user must "
            "be allowed to write to it."
        ) from None


def is_ours(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file has our tables; `False` if it has none at all. Changes nothing.

    Raises:
        ConfigurationError: It is another program's, or another version's.
    """
    connection.execute("BEGIN")  # one instant: another process may be about to make them
    try:
        return _is_ours(connection, path)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def make_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Make our tables, unless another process was faster."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not _is_ours(connection, path):
            for statement in _SCHEMA:
                connection.execute(statement)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _is_ours(connection: sqlite3.Connection, path: Path) -> bool:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if (application, version) == (APPLICATION, VERSION):
        return True
    if application == APPLICATION:
        raise ConfigurationError(
            f"{path} is of another version of otpverify (schema {version}; this one knows "
            f"{VERSION}). Give each version a path of its own, or move the file away: challenges "
            "end, and limits start from zero."
        )
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application or version or tables:
        raise ConfigurationError(
            f"{path} is the database of another program. Give SqliteStore a path of its own."
        )
    return False


State: TypeAlias = PhoneState | ChallengeState | CounterState | Kept


def names(key: Key) -> tuple[str, str]:
    """The rows of a phone and of a challenge."""
    return phone_name(key.phone), challenge_name(key.challenge)


def phone_name(phone: str) -> str:
    """The row of a phone."""
    return f"p{phone}"


def challenge_name(challenge: str) -> str:
    """The row of a challenge."""
    return f"c{challenge}"


def counter_name(counter: str) -> str:
    """The row of a counter."""
    return f"n{counter}"


def account_names(key: FraudKey) -> tuple[str, str, str]:
    """The rows of the accounts of a prefix, its country and the world."""
    return f"f{key.prefix}", f"g{key.country}", "f"


def encode(state: State) -> str:
    """What a row holds of a state."""
    plain: list[object]
    if isinstance(state, PhoneState):
        plain = [
            [[s.at, s.scope, s.challenge, s.status, s.concealed] for s in state.sends],
            [[failure.at, failure.scope] for failure in state.failures],
            [state.retention.window, state.retention.count],
            state.expires,
            [[streak.scope, streak.count, streak.at, streak.window] for streak in state.streaks],
        ]
    elif isinstance(state, ChallengeState):
        codes = [[c.digest.hex(), c.expires, c.at, c.status] for c in state.codes]
        plain = [codes, state.attempts, state.decoy, state.proof, state.concealed]
    elif isinstance(state, Kept):
        plain = [list(state.record), state.expires]
    else:
        plain = [state.log, [state.retention.window, state.retention.count], state.expires]
    return json.dumps(plain, separators=(",", ":"))


def decode(name: str, text: object) -> Any:
    """The state of a row.

    Raises:
        StoreError: `encode` did not make it.
    """
    try:
        if isinstance(text, str):
            return _KINDS[name[0]](*json.loads(text))
    except (ValueError, TypeError, RecursionError):
        pass
    raise foreign()


def foreign() -> StoreError:
    """The error for a row that `encode` did not make."""
    return StoreError(
        "The SQLite file holds what this version of otpverify did not write. Move it away and "
        "start again: challenges end, and limits start from zero."
    )


def encode_instants(instant: int, steady: int) -> str:
    """What the clock's row holds."""
    return json.dumps([instant, steady])


def decode_instants(text: object) -> tuple[int, int]:
    """The clock's row: an instant, and what the monotonic clock showed then, in milliseconds."""
    instant, steady = decode("t", text)
    return instant, steady


# Rows of earlier versions end sooner: one field for each that has a default here.
def _phone(
    sends: Any, failures: Any, retention: Any, expires: Any, streaks: Any = ()
) -> PhoneState:
    return PhoneState(
        tuple([_send(*send) for send in sends]),
        tuple([Failure(_whole(at), _text(scope)) for at, scope in failures]),
        _horizon(*retention),
        _whole(expires),
        tuple([_streak(*streak) for streak in streaks]),
    )


def _streak(scope: Any, count: Any, at: Any, window: Any) -> FailureStreak:
    return FailureStreak(_text(scope), _whole(count), _whole(at), _whole(window))


def _send(at: Any, scope: Any, challenge: Any, status: Any, concealed: Any = False) -> Send:
    known = DeliveryStatus(status)
    return Send(_whole(at), _text(scope), _text(challenge), known, _truth(concealed))


def _challenge(
    codes: Any, attempts: Any, decoy: Any, proof: Any, concealed: Any = False
) -> ChallengeState:
    live = tuple([_code(*code) for code in codes])
    return ChallengeState(live, _whole(attempts), _truth(decoy), _whole(proof), _truth(concealed))


def _code(digest: Any, expires: Any, at: Any, status: Any) -> LiveCode:
    return LiveCode(bytes.fromhex(digest), _whole(expires), _whole(at), DeliveryStatus(status))


def _counter(log: Any, retention: Any, expires: Any) -> CounterState:
    return CounterState(tuple([_whole(at) for at in log]), _horizon(*retention), _whole(expires))


def _accounts(record: Any, expires: Any, balances_of: Record = EMPTY.prefix) -> Kept:
    at, earned, balances = record
    if len(balances) != len(balances_of.balances):
        raise ValueError
    found = Record(_whole(at), _amount(earned), tuple([_amount(one) for one in balances]))
    return Kept(found, _whole(expires))


def _country(record: Any, expires: Any) -> Kept:
    return _accounts(record, expires, EMPTY.country)


def _amount(value: Any) -> float:
    if type(value) is not float or not math.isfinite(value):
        raise TypeError
    return value


def _horizon(window: Any, count: Any) -> Retention:
    return Retention(_whole(window), _whole(count))


def _instants(instant: Any, steady: Any) -> tuple[int, int]:
    return _whole(instant), _whole(steady)


def _whole(value: Any) -> int:
    # Instants and counts that a calendar has, and that no sum of two takes out of a row's bounds.
    if type(value) is not int or not -1 < value < 1 << 48:
        raise TypeError
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


_KINDS: dict[str, Callable[..., Any]] = {
    "p": _phone,
    "c": _challenge,
    "n": _counter,
    "f": _accounts,
    "g": _country,
    "t": _instants,
}
