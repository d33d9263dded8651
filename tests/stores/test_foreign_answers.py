"""Promise 8: for any answer of a store, a server or a file, the caller gets a result or a typed
error, and an answer that cannot be true lets nobody in."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st
from support import LONG, PHONE, QUICK, SECRET, AsyncMode, Face, Mode

from otpverify import (
    AsyncRedisStore,
    HmacHasher,
    MemoryStore,
    OtpVerifyError,
    RedisStore,
    SqliteStore,
    StoreError,
    Verifier,
)
from otpverify.core.answers import (
    Checked,
    Opened,
    Refusal,
    Refused,
    Reported,
    Reserved,
    Standing,
    Verdict,
    is_sound,
)
from otpverify.core.fraud import Rates
from otpverify.core.fraud_ledger import Rules
from otpverify.core.limits import LARGEST, Limit
from otpverify.stores.redis import replies
from otpverify.testing import OutboxSender

MODES: tuple[Mode, ...] = (Mode(), AsyncMode())
COUNT = itertools.count()
EXAMPLES = 300 if LONG else 30
OUTLANDISH = [-(10**20), -1, -2, 0, 1, 2, 4, 5, 60_000, 2**31, 2**48, 2**63, 10**15, 10**20, 10**40]
NUMBERS = st.sampled_from(OUTLANDISH) | st.integers(-10, 10) | st.integers()
WORDS = NUMBERS.map(str) | st.sampled_from(
    ["1.5", "nan", "inf", "1e9", "+1", "1_0", "٣", "", "None", "0x1"]
)
LINES = st.lists(WORDS, max_size=9).map(" ".join)
REPLIES = (
    LINES
    | LINES.map(str.encode)
    | st.tuples(st.sampled_from(["0", "1", "2", "3", "4"]), LINES).map(" ".join).map(str.encode)
    | st.none()
    | st.booleans()
    | NUMBERS
    | st.floats()
    | st.binary(max_size=40)
    | st.text(max_size=40)
    | st.lists(NUMBERS | st.none() | st.binary(max_size=4), max_size=8)
    | st.dictionaries(st.binary(max_size=4), NUMBERS, max_size=2)
)


@pytest.fixture(scope="module", autouse=True)
def close_modes() -> Iterator[None]:
    yield
    for mode in MODES:
        mode.close()


class Server:
    """A client of redis-py whose server answers as the test says."""

    def __init__(self, replies: list[object]) -> None:
        self.replies = replies

    def next(self) -> object:
        return self.replies.pop(0) if self.replies else b"1 1 600000 60000 5 4 0"


class SyncServer(Server):
    def execute_command(self, *_: object) -> object:
        return self.next()

    def info(self, *_: object) -> dict[str, str]:
        return {}


class AsyncServer(Server):
    async def execute_command(self, *_: object) -> object:
        return self.next()

    async def info(self, *_: object) -> dict[str, str]:
        return {}


def walk(make: Callable[[], Face]) -> None:
    """Make every call of a verifier: each gives a result or a typed error."""
    calls: list[Callable[[Face, str], object]] = [
        lambda face, _: face.start(PHONE, client_ip="192.0.2.1"),
        lambda face, _: face.start(PHONE, client_ip="192.0.2.1", deliver=False),
        lambda face, id_: face.resend(PHONE, challenge=id_),
        lambda face, id_: face.check(PHONE, "000000", challenge=id_),
        lambda face, id_: face.cancel(PHONE, challenge=id_),
        lambda face, id_: face.status(PHONE, challenge=id_),
    ]
    for call in calls:
        face = make()
        id_ = Verifier(OutboxSender(), secret=SECRET, hasher=HmacHasher()).start(PHONE).id
        with contextlib.suppress(OtpVerifyError):
            call(face, id_)


@settings(max_examples=EXAMPLES)
@given(st.lists(REPLIES, min_size=1, max_size=3), st.sampled_from([QUICK, HmacHasher()]))
@example([b"1 1 99999999999999999999 60000 5 4 0"], HmacHasher())
@example([b"1 1", b"1 -5 600000 60000 5 4 0"], HmacHasher())
@example([b"1 99999999999999999999"], HmacHasher())
@example([b"2 -1"], QUICK)
def test_a_server_s_replies(replies: list[object], hasher: Any) -> None:
    for mode, store, server in (
        (MODES[0], RedisStore, SyncServer),
        (MODES[1], AsyncRedisStore, AsyncServer),
    ):

        def make(mode: Mode = mode, store: Any = store, server: Any = server) -> Face:
            told = store(server(list(replies)))
            return mode.make(OutboxSender(), store=told, secret=SECRET, hasher=hasher)

        walk(make)


VALUES = NUMBERS | st.none() | st.floats() | st.binary(max_size=4) | st.text(max_size=4)
STANDINGS = st.builds(Standing, VALUES, VALUES, VALUES, VALUES, VALUES, VALUES) | VALUES
ANSWERS = (
    st.builds(Opened, VALUES, STANDINGS)
    | st.builds(Refused, st.sampled_from(Refusal) | VALUES, VALUES, st.just(Limit(1, 1)) | VALUES)
    | st.builds(Checked, st.sampled_from(Verdict) | VALUES, VALUES, VALUES, VALUES)
    | st.builds(Reserved, VALUES)
    | st.builds(Reported, VALUES, VALUES, VALUES)
    | STANDINGS
    | VALUES
)


class Lying(MemoryStore):
    """A store of another author, whose operations answer as the test says."""

    def __init__(self, answers: list[object]) -> None:
        super().__init__()
        self.answers = answers

    def __getattribute__(self, name: str) -> Any:
        if name in ("open", "place", "peek", "claim", "check", "status", "cancel", "reserve"):
            answers = object.__getattribute__(self, "answers")
            true = super().__getattribute__(name)
            return lambda *given: answers.pop(0) if answers else true(*given)
        return super().__getattribute__(name)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ANSWERS, min_size=1, max_size=4), st.sampled_from([QUICK, HmacHasher()]))
@example([Reserved(5), Opened(1, Standing(10**20, 0, 5, 4))], HmacHasher())
@example([Reserved(5), Opened(1, Standing(600_000, 0, 5.5, 4))], HmacHasher())  # type: ignore[arg-type]  # a lie
@example([Reserved(5), Opened(1, Standing(600_000, 0, 5, 4)), Standing(10**20, 0, 5, 4)], QUICK)
@example([Reserved(10**20)], HmacHasher())
def test_a_store_of_somebody_s_own(answers: list[object], hasher: Any) -> None:
    for mode in MODES:

        def make(mode: Mode = mode) -> Face:
            lying = Lying(list(answers))
            return mode.make(OutboxSender(), store=lying, secret=SECRET, hasher=hasher)

        walk(make)


@pytest.mark.parametrize("reply", ["\ud800", "1 \ud800", "٣", "1 ٣ 6 8 0 1 7", "\udcff 5 5 5"])
def test_texts_that_a_client_decodes_in_its_own_way(reply: str) -> None:
    rules = Rules(Rates(10.0, 1 / 3), 86_400_000, 660_000)
    for read in (
        replies.checked,
        replies.redeemed,
        replies.standing,
        lambda given: replies.charged(given, rules),
        replies.traffic,
        replies.inspected,
        lambda given: replies.inspected_challenges(given, ("a",)),
        replies.done,
    ):
        with pytest.raises(StoreError):
            read(reply)


TRUE: tuple[Any, ...] = (
    Opened(1, Standing(1, 1, 1, 1)),
    Standing(1, 1, 1, 1),
    Reserved(1),
    Refused(Refusal.SENDS, 1, Limit(1, 1)),
    Checked(Verdict.ACCEPTED, 1, 1, 1),
    Reported(known=True),
)
LIES: dict[str, tuple[object, ...]] = {
    "int": (-1, 10**20, 1.0, True, None, "1"),
    "int | None": (-1, 10**20, 1.0, True, "1"),
    "bool": (0, 1, None, "x"),
    "Standing": (None, Standing(-1, 1, 1, 1)),
    "Refusal": ("sends", None),
    "Verdict": ("accepted", None),
    "Limit | None": ((1, 1), 1),
}
BEYOND = (
    Opened(2**48, Standing(1, 1, 1, 1)),
    Reserved(2**48),
    Standing(2 * LARGEST * 1000 + 1, 1, 1, 1),
    Standing(1, 1, LARGEST + 1, 1),
    Standing(1, 1, 1, LARGEST + 1),
)


def test_answers_that_cannot_be_true() -> None:
    """Every field of every answer, with what its type or its bounds exclude."""
    lies = [
        dataclasses.replace(answer, **{field.name: lie})
        for answer in TRUE
        for field in dataclasses.fields(answer)
        for lie in LIES[str(field.type)]
    ]
    assert len(lies) > 80
    assert [lie for lie in (*lies, *BEYOND) if is_sound(lie)] == []


@pytest.mark.parametrize(
    "answer",
    [
        Opened(2**48 - 1, Standing(0, LARGEST * 1000, LARGEST, None, decoy=True, concealed=True)),
        Refused(Refusal.GONE),
        Reserved(2**48 - 1),
        Standing(2 * LARGEST * 1000, 0, 0, LARGEST),
        Refused(Refusal.SENDS, 2 * LARGEST * 1000, Limit(1, LARGEST)),
        *TRUE,
        Checked(Verdict.ACCEPTED),
        Checked(Verdict.ACCEPTED, age=0),
        Reported(known=False),
        None,
        True,
    ],
    ids=repr,
)
def test_answers_that_can_be_true(answer: object) -> None:
    assert is_sound(answer)


ROWS = st.recursive(
    NUMBERS | st.none() | st.booleans() | st.floats() | st.sampled_from(["queued", "00" * 32, "x"]),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=12,
)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from("pcnt"), ROWS, st.integers(0, 4), NUMBERS)
def test_rows_of_a_file(tmp_path: Path, kind: str, row: Any, place: int, value: int) -> None:
    """Rows that somebody changed: another text, or one number of a true row."""
    path = tmp_path / f"{next(COUNT)}.db"
    store = SqliteStore(path)
    verifier = Verifier(OutboxSender(), store=store, secret=SECRET, hasher=HmacHasher())
    id_ = verifier.start(PHONE, client_ip="192.0.2.1").id
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name, state FROM states").fetchall()
        for name, state in rows:
            if name[0] == kind or (kind == "t" and name == "time"):
                changed = json.loads(state)
                if place < 4 and isinstance(changed, list) and changed:
                    changed[place % len(changed)] = value if place % 2 else row
                else:
                    changed = row
                text = json.dumps(changed)
                connection.execute("UPDATE states SET state = ? WHERE name = ?", (text, name))
    connection.close()
    for call in (
        lambda: verifier.start(PHONE, client_ip="192.0.2.1"),
        lambda: verifier.resend(PHONE, challenge=id_),
        lambda: verifier.check(PHONE, "000000", challenge=id_),
        lambda: verifier.status(PHONE, challenge=id_),
        lambda: verifier.cancel(PHONE, challenge=id_),
    ):
        with contextlib.suppress(OtpVerifyError):
            call()
    store.close()


def test_a_time_that_no_calendar_has_is_refused(tmp_path: Path) -> None:
    """Such as an instant of 48 bits: the year is beyond what `datetime` knows."""
    path = tmp_path / "codes.db"
    with SqliteStore(path) as store:
        verifier = Verifier(OutboxSender(), store=store, secret=SECRET, hasher=HmacHasher())
        id_ = verifier.start(PHONE).id
        far = int(datetime(9000, 1, 1, tzinfo=UTC).timestamp() * 1000)
        with sqlite3.connect(path) as connection:
            (state,) = connection.execute(
                "SELECT state FROM states WHERE name LIKE 'c%'"
            ).fetchone()
            changed = json.loads(state)
            changed[0][0][1] = far
            connection.execute(
                "UPDATE states SET state = ? WHERE name LIKE 'c%'", (json.dumps(changed),)
            )
        connection.close()
        with pytest.raises(OtpVerifyError) as caught:
            verifier.resend(PHONE, challenge=id_)
        assert not isinstance(caught.value, OverflowError)
