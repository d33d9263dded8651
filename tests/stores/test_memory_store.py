"""What is MemoryStore's own: freeing, capacity, its clock."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from otpverify import ConfigurationError, Limit, MemoryStore, Policy, StoreError
from otpverify.core.answers import Opened, Refused, Reserved
from otpverify.core.keys import Key
from otpverify.core.state import Opening

POLICY = Policy(resend_cooldown_seconds=0)


class Digest(bytes):
    """Bytes of which each is an object of its own."""


def test_expired_challenges_are_freed_without_being_touched() -> None:
    now = 1000.0
    store = MemoryStore(clock=lambda: now)
    digests = [Digest(b"%d" % n) for n in range(100)]
    before = len(gc.get_referrers(digests[0]))
    for n, digest in enumerate(digests):
        store.open(Key(f"p{n}", f"s{n}", f"c{n}"), Opening(digest, new=True), POLICY)
    assert len(gc.get_referrers(digests[0])) > before
    now += 600
    store.peek(Key("another", "another", "another"), POLICY)
    assert len(gc.get_referrers(digests[0])) == before
    assert len(store) == 0


def test_counters_are_freed_when_their_longest_window_has_passed() -> None:
    now = 1000.0
    store = MemoryStore(capacity=1, counter_capacity=1, clock=lambda: now)
    limit = (Limit(5, 60),)
    assert isinstance(store.reserve("a", limit), Reserved)
    with pytest.raises(StoreError):
        store.reserve("b", limit)
    now += 60
    assert isinstance(store.reserve("b", limit), Reserved)


def test_there_is_room_for_ten_counters_for_each_challenge() -> None:
    store = MemoryStore(capacity=2)
    for number in range(20):
        assert isinstance(store.reserve(str(number), (Limit(5, 60),)), Reserved)
    with pytest.raises(StoreError):
        store.reserve("another", (Limit(5, 60),))


def test_a_counter_that_was_given_back_takes_no_room() -> None:
    store = MemoryStore(capacity=1, counter_capacity=1)
    limit = (Limit(1, 60),)
    first = store.reserve("a", limit)
    assert isinstance(first, Reserved)
    assert isinstance(store.reserve("a", limit), Refused)
    store.give_back("a", first.at)
    store.give_back("a", first.at)
    assert isinstance(store.reserve("b", limit), Reserved)


def test_a_phone_that_was_released_takes_no_room() -> None:
    store = MemoryStore(capacity=1, counter_capacity=1)
    key = Key("p", "s", "c")
    opened = store.open(key, Opening(b"x", new=True), POLICY)
    assert isinstance(opened, Opened)
    store.release(key, opened.at, b"x", POLICY)
    assert isinstance(store.open(Key("q", "t", "d"), Opening(b"x", new=True), POLICY), Opened)


@pytest.mark.parametrize("options", [{"capacity": 0}, {"capacity": 1.5}, {"counter_capacity": 0}])
def test_a_capacity_is_a_whole_number(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        MemoryStore(**options)


def test_repr_tells_the_size_alone() -> None:
    store = MemoryStore()
    store.open(Key("p", "s", "c"), Opening(b"x", new=True), POLICY)
    assert repr(store) == "<MemoryStore with 1 challenges>"
