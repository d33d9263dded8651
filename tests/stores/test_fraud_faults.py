"""What a fraud policy keeps: foreign values, impossible answers, and keys that end."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import sqlite3
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st
from redis import Redis
from redis_support import PLACES, Place, stop_servers
from support import LONG, AsyncMode, Mode

from otpverify import AsyncRedisStore, RedisStore, SqliteStore, StoreError
from otpverify.core.answers import Refusal, Refused
from otpverify.core.caps import Cap, Full
from otpverify.core.fraud import (
    DAY,
    MARKS,
    PREFIX_LIMIT,
    Charge,
    Group,
    Overdrawn,
    Rates,
    Request,
)
from otpverify.core.fraud_ledger import (
    SPEND,
    TOTAL,
    Charged,
    Credited,
    FraudKey,
    KnownNumber,
    Rules,
    is_sound,
    millionths,
)
from otpverify.core.limits import Limit
from otpverify.core.traffic import Counts, Totals
from otpverify.testing.conformance import Timeline

__all__ = ["stop_servers"]

CAPS = (Cap(TOTAL, 100, DAY // 24), Cap(SPEND, millionths(50), DAY))
RULES = Rules(Rates(10.0, 1 / 3), 90 * DAY, 660_000, CAPS, (Limit(50, 3600),))
HERE = FraudKey("prefix", "EE", "number", "challenge", "network")
MESSAGE = Request(0.1)
NOW = int(time.time() * 1000)
PAID = Charged(NOW, Charge(Group.NEW, True), None, (), NOW, True, NOW)
CALLS: list[Callable[[Any], Any]] = [
    lambda store: store.charge(HERE, MESSAGE, RULES),
    lambda store: store.charge(HERE, MESSAGE._replace(observed=True), RULES),
    lambda store: store.credit(HERE, RULES),
    lambda store: store.refund(HERE, PAID, 0.1, RULES),
    lambda store: store.known(HERE.number),
    lambda store: store.unlock_number(HERE.number),
    lambda store: store.traffic(336),
]
COUNT = itertools.count()
EXAMPLES = 300 if LONG else 40
MODES: tuple[Mode, ...] = (Mode(), AsyncMode())


@pytest.fixture(scope="module", autouse=True)
def close_modes() -> Iterator[None]:
    yield
    for mode in MODES:
        mode.close()


# --- replies that no script gives -----------------------------------------------------------

NUMBERS = st.sampled_from([-(10**20), -2, -1, 0, 1, 2, 3, 8, 10, 11, 2**31, 2**48, 10**15, 10**40])
WORDS = (NUMBERS | st.integers(0, 4)).map(str) | st.sampled_from(
    ["", "nan", "inf", "1e9", "+1", "1_0", "٣", "-", "00", "12", "1772366400000"]
)
LINES = st.lists(WORDS, max_size=8).map(" ".join)
REPLIES = (
    LINES
    | LINES.map(str.encode)
    | st.none()
    | st.booleans()
    | NUMBERS
    | st.floats()
    | st.binary(max_size=40)
    | st.text(max_size=40)
    | st.lists(NUMBERS | st.none(), max_size=8)
)


class Server:
    def __init__(self, reply: object) -> None:
        self.reply = reply

    def execute_command(self, *_: object) -> object:
        return self.reply

    def info(self, *_: object) -> dict[str, str]:
        return {}


class AsyncServer(Server):
    async def execute_command(self, *_: object) -> object:
        return self.reply


@settings(max_examples=5 * EXAMPLES)
@given(REPLIES)
@example(b"1 1772366400000 0 3 1 1 00")
@example(b"1 1772366400000 0 11 1 1 00")
@example(b"1 1772366400000 0 12 1 1 00")
@example(b"1 1772366400000 0 3 1 1 0")
@example(b"1 1772366400000 0 3 1 1 07")
@example(b"1 1772366400000 0 3 1 1 08")
@example(b"1 999999999999999 0 3 1 1 00")
@example(b"0 0 999999999999999")
@example(b"3 1 999999999999999")
@example(b"3 1 -2")
@example(b"2 2 5")
@example(b"1772366400000 1 1 2 3 4 5")
@example(b"1772366400000 999 1 2 3 4 5")
@example(b"999999999999999999 1 1 2 3 4 5")
@example(b"1 5 999999999999999")
def test_a_server_s_replies(reply: object) -> None:
    """Each is an answer that can be true, or a `StoreError`."""
    for store in (RedisStore(Server(reply)), AsyncRedisStore(AsyncServer(reply))):
        for call in CALLS:
            with contextlib.suppress(StoreError):
                answer = call(store)
                if isinstance(store, AsyncRedisStore):
                    answer = MODES[1].runner.run(answer)  # type: ignore[attr-defined]  # AsyncMode
                assert is_sound(answer)


@pytest.mark.parametrize(
    "answer",
    [
        Overdrawn("elsewhere", 1),
        Overdrawn("prefix", -1),
        Overdrawn("prefix", 1.5),  # type: ignore[arg-type]  # a lie, as are all of these
        Full(CAPS[0], -1),
        Full("total", 1),  # type: ignore[arg-type]
        Charged(-1, Charge(Group.NEW, True)),
        Charged(1, None, "elsewhere"),
        Charged(1, Charge(Group.NEW, True), "prefix"),
        Charged(1, Charge(0, True)),  # type: ignore[arg-type]
        Charged(1, Charge(Group.NEW, 1)),  # type: ignore[arg-type]
        Charged(1, None, "prefix", ((CAPS[0], 60),)),
        Charged(1, None, "prefix", (CAPS[0],)),  # type: ignore[arg-type]
        Charged(1, None, "prefix", None),  # type: ignore[arg-type]
        Charged(1, None, "prefix", (), 1 << 48),
        Charged(1, None, "prefix", (), 1, 1),  # type: ignore[arg-type]
        Charged(1, None, "prefix", (), 1, True, -1),
        Charged(1, None, "prefix", (), 1, True, 1 << 48),
        Credited("elsewhere"),
        KnownNumber(-1, 1),
        KnownNumber(1, 1 << 48),
        Refused(Refusal.NETWORK, -1),
        Totals(-1, ()),
        Totals(1 << 48, ()),
        Totals(1, [("EE", Counts())]),  # type: ignore[arg-type]
        Totals(1, (("EE", Counts(-1)),)),
        Totals(1, ((1, Counts()),)),  # type: ignore[arg-type]
        Totals(1, (("EE", (1, 2, 3, 4, 5)),)),  # type: ignore[arg-type]
    ],
)
def test_answers_that_cannot_be_true(answer: object) -> None:
    assert not is_sound(answer)


# --- values that the scripts did not write ----------------------------------------------------


def doubles(*numbers: float) -> bytes:
    return struct.pack(f">{len(numbers)}d", *numbers)


NAN, INFINITE, AT = float("nan"), float("inf"), (1_772_366_400_000).to_bytes(6, "big")
LOG = (3_600_000).to_bytes(6, "big") + (50).to_bytes(4, "big")
REPLY = b"nonce 1 5 0 0 0 5 00"


def bill(price: float) -> bytes:
    return AT + (1 << 47).to_bytes(6, "big") + b"\1" + doubles(price)


COUNTED = struct.pack(">I", int(time.time() // 3600)) + bytes(24) + doubles(0)
NOTHING = AT + doubles(*[0.0] * 5)  # in the accounts of a country
FOREIGN = {
    "pprefix": [
        b"",
        b"x",
        AT + doubles(0, 0),
        AT + doubles(0, NAN, 0),
        AT + doubles(INFINITE, 0, 0),
    ],
    "cEE": [
        b"",
        b"x",
        COUNTED,
        NOTHING,
        NOTHING + COUNTED + b"x",
        NOTHING + COUNTED * 2,
        NOTHING + COUNTED[:28] + doubles(NAN),
        AT + doubles(0, 0, 0),
        AT + doubles(0, 0, 0, NAN, 0) + COUNTED,
        AT + doubles(*[0.0] * 6) + COUNTED,
    ],
    "w": [b"x", AT + doubles(0, 0), AT + doubles(0, 0, -INFINITE)],
    "knumber": [b"", b"x", b"0", b"1" * 9, b"1" * 11],
    "bchallenge": [
        b"",
        b"x",
        b"\0" + REPLY,
        b"\1" + bill(0),
        b"\2" + bill(0) + REPLY,
        b"\1" + bill(NAN) + REPLY,
        b"\2" + bill(0) + bill(INFINITE) + REPLY,
    ],
    "inetwork": [b"x", LOG, LOG + b"x", LOG + AT + b"x"],
    f"mtotal{CAPS[0].window}": [b"x", doubles(1) + b"x", doubles(NAN), doubles(1) + AT],
}


STORES = Path(__file__).parents[2] / "docs" / "how-to" / "stores.md"


@pytest.fixture(params=PLACES[:1] + PLACES[-1:], ids="-".join)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    found = Place(*request.param)
    with found.server.client() as client:
        client.flushall()
        yield found
        client.flushall()


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in FOREIGN.items() for value in values]
)
def test_foreign_values_are_errors_and_change_nothing(
    place: Place, name: str, value: bytes
) -> None:
    with place.client() as client, place.server.client() as plain:
        store = RedisStore(client)
        for call in CALLS[:4]:
            plain.flushall()
            plain.set(f"otpverify:{{f}}:{name}", value, px=60_000)
            if call is CALLS[2]:
                if name[0] in "im":
                    continue  # a right code concerns neither
                plain.set("otpverify:{f}:n", "x")
            before = {key: plain.dump(key) for key in plain.scan_iter()}
            with pytest.raises(StoreError):
                call(store)
            assert {key: plain.dump(key) for key in plain.scan_iter()} == before


@pytest.mark.parametrize("name", FOREIGN)
def test_values_of_other_types_are_errors_and_change_nothing(place: Place, name: str) -> None:
    with place.client() as client, place.server.client() as plain:
        store = RedisStore(client)
        for call in CALLS[:6] if name.startswith("k") else CALLS[:4]:
            if call is CALLS[2] and name[0] in "im":
                continue
            plain.flushall()
            plain.hset(f"otpverify:{{f}}:{name}", "field", "value")
            with pytest.raises(StoreError):
                call(store)
            assert plain.keys() == [f"otpverify:{{f}}:{name}".encode()]


@pytest.mark.parametrize("value", [b"x", COUNTED + b"x", None])
def test_a_past_that_is_foreign_is_an_error_and_changes_nothing(
    place: Place, value: bytes | None
) -> None:
    """It is read once an hour, and whenever traffic is."""
    with place.client() as client, place.server.client() as plain:
        store = RedisStore(client)
        past = b"otpverify:{f}:hEE"
        if value is None:
            plain.hset(past, "field", "value")
        else:
            plain.set(past, value)
        old = struct.pack(">I", int(time.time() // 3600) - 1)
        plain.set("otpverify:{f}:cEE", NOTHING + old + COUNTED[4:])
        plain.set("otpverify:{f}:bchallenge", b"\1" + bill(0.1) + REPLY)
        before = {key: plain.dump(key) for key in plain.scan_iter()}
        for call in (*CALLS[:4], CALLS[-1]):
            with pytest.raises(StoreError):
                call(store)
            assert {key: plain.dump(key) for key in plain.scan_iter()} == before


@pytest.mark.parametrize("name", ["cEE", "hEE"])
def test_traffic_of_another_type_is_an_error(place: Place, name: str) -> None:
    with place.client() as client, place.server.client() as plain:
        plain.hset(f"otpverify:{{f}}:{name}", "field", "value")
        with pytest.raises(StoreError):
            RedisStore(client).traffic(1)


ROWS: st.SearchStrategy[object] = (
    NUMBERS | st.none() | st.booleans() | st.floats() | st.text(max_size=4) | st.just([[], {}])
)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from("pcwkbimt"), ROWS, st.lists(st.integers(0, 5), max_size=3))
@example("p", 1e300, [0, 1])
@example("w", float("inf"), [0, 2, 0])
@example("b", [], [0])
@example("b", [9, True], [0, 0, 0])
@example("b", "elsewhere", [0, 0, 2])
def test_rows_of_a_file(tmp_path: Path, kind: str, value: Any, places: list[int]) -> None:
    """Rows in which somebody changed something: a true answer, or a `StoreError`."""
    path = tmp_path / f"{next(COUNT)}.db"
    with SqliteStore(path, clock=Timeline()) as store:
        store.credit(HERE, RULES)
        store.charge(HERE, MESSAGE, RULES)
        with sqlite3.connect(path) as connection:
            found = f"f{kind}%"
            rows = connection.execute("SELECT name, state FROM states WHERE name LIKE ?", (found,))
            for name, state in rows.fetchall():
                changed = _changed(json.loads(state), value, places)
                text = json.dumps(changed)
                connection.execute("UPDATE states SET state = ? WHERE name = ?", (text, name))
        connection.close()
        for call in CALLS:
            with contextlib.suppress(StoreError):
                assert is_sound(call(store))


def _changed(state: Any, value: Any, places: list[int]) -> Any:
    if not places or not isinstance(state, list) or not state:
        return value
    at = places[0] % len(state)
    return [*state[:at], _changed(state[at], value, places[1:]), *state[at + 1 :]]


def test_a_user_of_the_documented_rights_may_do_everything(place: Place) -> None:
    documented = re.search("needs `([^`]+)`", STORES.read_text("utf-8"))
    assert documented is not None
    rights = documented[1].split()
    if place.cluster:
        rights += ["+cluster", "+command"]
    calls: list[Callable[[Any], Any]] = [*CALLS, lambda store: store.traffic(24)]
    with place.server.client() as admin:
        admin.execute_command(
            "ACL", "SETUSER", "limited", "reset", "on", ">word", "~otpverify:*", *rights
        )
        url = place.server.url.replace("//", "//limited:word@")
        with RedisStore.from_url(url) as store:
            for call in calls:
                assert is_sound(call(store))
        admin.execute_command("ACL", "DELUSER", "limited")


# --- keys ---------------------------------------------------------------------------------------


def lives(client: Redis) -> dict[str, int]:
    return {name.decode("latin-1"): client.pttl(name) for name in client.scan_iter()}


def test_every_key_ends_when_nothing_needs_it_any_more(place: Place) -> None:
    with place.client() as client, place.server.client() as plain:
        store = RedisStore(client)
        charged = store.charge(HERE, MESSAGE, RULES)
        assert isinstance(charged, Charged)
        known = HERE._replace(challenge="another", number="known")
        store.charge(known, MESSAGE, RULES)
        store.credit(known, RULES)
        store.charge(known, MESSAGE, RULES)
        store.unlock_number("known")
        begin = "otpverify:{f}:"
        most = {
            "pprefix": 91 * DAY,
            "cEE": 30 * DAY,
            "w": 30 * DAY,
            "kknown": 90 * DAY,
            "bchallenge": 660_000,
            "banother": 660_000,
            "inetwork": 3_600_003,
            f"mtotal{DAY // 24}": DAY // 24 + 61_000,
            f"mspend{DAY}": DAY + DAY // 60 + 1000,
        }
        found = lives(plain)
        nonces = [name for name in found if name.startswith(f"{begin}n")]
        assert len(nonces) == 1  # of the right code
        assert set(found) == {begin + name for name in most} | set(nonces)
        for name, life in found.items():
            bound = most.get(name.removeprefix(begin), 30_000)
            assert bound / 3 < life <= bound or name.endswith(("spend86400000", "pprefix"))
            assert 0 < life <= bound


def test_a_refund_leaves_the_store_as_it_was(place: Place) -> None:
    with place.client() as client, place.server.client() as plain:
        store = RedisStore(client)
        for _ in range(20):
            charged = store.charge(HERE, MESSAGE, RULES)
            assert isinstance(charged, Charged)
            store.refund(HERE, charged, MESSAGE.price, RULES)
        left = [name for name in lives(plain) if not name.startswith("otpverify:{f}:n")]
        assert sorted(left) == [f"otpverify:{{f}}:{name}" for name in ("cEE", "pprefix", "w")]
        assert plain.pttl("otpverify:{f}:pprefix") <= 1_000


def test_an_attacker_who_invents_prefixes_is_forgotten(place: Place) -> None:
    """What is refused leaves a mark for an hour at most, and a reply for half a minute."""
    with place.client() as client, place.server.client() as plain:
        store = RedisStore(client)
        rules = RULES._replace(caps=(), sends_per_ip=())
        for number in range(50):
            store.charge(HERE._replace(prefix=f"{number}", challenge=f"{number}"), MESSAGE, rules)
        for number in range(50, 100):
            key = HERE._replace(prefix=f"{number}", challenge=f"{number}")
            assert isinstance(store.charge(key, MESSAGE, rules), Overdrawn)
        found = lives(plain)
        marks = [found[f"otpverify:{{f}}:p{number}"] for number in range(50, 100)]
        assert max(marks) <= DAY * MARKS["country"] / PREFIX_LIMIT + 1000
        assert min(marks) > 0
        assert sum(name.startswith("otpverify:{f}:b") for name in found) == 50
