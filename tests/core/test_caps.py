"""Caps on messages and money: never more in any window, and every refusal says when."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from otpverify.core.caps import BUCKETS, Cap, Full, Parts, Taken, expires, give, take

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
TEN = Cap("total", 10, HOUR)
EMPTY: tuple[Parts, ...] = ((),)


def test_a_cap_refuses_beyond_its_amount_until_the_oldest_part_is_over() -> None:
    windows = EMPTY
    for minute in range(10):
        answer, windows = take([(TEN, 1)], windows, minute * MINUTE)
        assert isinstance(answer, Taken)
    answer, after = take([(TEN, 1)], windows, 10 * MINUTE)
    # The first minute's message counts until the whole minute is an hour old.
    assert answer == Full(TEN, 51 * MINUTE)
    assert after == windows
    answer, _ = take([(TEN, 1)], windows, 61 * MINUTE - 1)
    assert isinstance(answer, Full)
    answer, _ = take([(TEN, 1)], windows, 61 * MINUTE)
    assert isinstance(answer, Taken)


def used(parts: Parts, cap: Cap, now: int) -> float:
    """How much counts now."""
    return sum(amount for part, amount in parts if expires(((part, amount),), cap) > now)


def test_all_caps_take_or_none() -> None:
    money = Cap("spend", 5.0, DAY)
    caps = [(TEN, 1.0), (money, 0.434)]
    windows: tuple[Parts, ...] = ((), ())
    for count in range(11):
        answer, windows = take(caps, windows, count)
        assert isinstance(answer, Taken) is (count < 10)
    assert used(windows[0], TEN, 20) == 10
    assert used(windows[1], money, 20) == pytest.approx(4.34)
    # The one that refuses for longer is named.
    full: tuple[Parts, ...] = (((0, 10.0),), ((0, 5.0),))
    answer, _ = take(caps, full, 0)
    assert answer == Full(money, DAY + DAY // BUCKETS)


def test_levels_are_reported_once_when_they_are_reached() -> None:
    windows, seen = EMPTY, []
    for count in range(10):
        answer, windows = take([(TEN, 1)], windows, count)
        assert isinstance(answer, Taken)
        seen.append([level for _, level in answer.reached])
    assert seen == [[], [], [], [], [50], [], [], [80], [], [100]]
    answer, _ = take([(TEN, 9)], EMPTY, 0)
    # Several at once; and no other nine fit.
    assert answer == Taken(((TEN, 50), (TEN, 80), (TEN, 100)))


@pytest.mark.parametrize(
    ("amounts", "levels"),
    [
        ([0.3, 0.3, 0.3], [[], [50], [80, 100]]),  # 0.1 is left
        ([0.45, 0.45], [[], [50, 80, 100]]),
        ([0.75], [[50, 100]]),
        ([0.5, 0.5], [[50], [80, 100]]),  # one more fits, and comes out even
        ([0.6, 0.1, 0.1, 0.1, 0.1], [[50, 100], [], [80], [], [100]]),  # smaller ones fit
        ([0.0, 1.0, 0.0], [[], [50, 80, 100], []]),  # what costs nothing always fits
    ],
)
def test_all_of_a_cap_is_reached_when_no_such_message_fits(
    amounts: list[float], levels: list[list[int]]
) -> None:
    cap, windows, seen = Cap("spend", 1_000_000, DAY), EMPTY, []
    for count, amount in enumerate(amounts):
        answer, windows = take([(cap, round(amount * 1_000_000))], windows, count)
        assert isinstance(answer, Taken)
        assert all(one is cap for one, _ in answer.reached)
        seen.append([level for _, level in answer.reached])
    assert seen == levels


@given(st.integers(1, 1_000), st.integers(1, 1_000))
def test_all_of_a_cap_is_reached_once_before_it_refuses(most: int, amount: int) -> None:
    cap, windows, told = Cap("spend", most, HOUR), EMPTY, 0
    while True:
        answer, windows = take([(cap, amount)], windows, 0)
        if isinstance(answer, Full):
            break
        assert not told, "nothing fits any more"
        told += (cap, 100) in answer.reached
    assert told == (amount <= most)


def test_what_is_more_than_the_cap_never_fits() -> None:
    assert take([(TEN, 11)], EMPTY, 0)[0] == Full(TEN, None)


def test_what_is_given_back_counts_no_more() -> None:
    _, windows = take([(TEN, 4)], EMPTY, 5 * MINUTE)
    _, windows = take([(TEN, 6)], windows, 6 * MINUTE)
    windows = give([(TEN, 4)], windows, 5 * MINUTE, 30 * MINUTE)
    assert used(windows[0], TEN, 30 * MINUTE) == 6
    windows = give([(TEN, 6)], windows, 6 * MINUTE, 3 * HOUR)  # counts no more in any case
    assert windows == ((),)


STEPS = st.lists(st.tuples(st.integers(0, 2 * HOUR), st.integers(1, 4), st.booleans()), max_size=60)


@given(STEPS, st.integers(60, 2 * HOUR))
def test_no_window_holds_more_and_who_waits_is_let_through(
    steps: list[tuple[int, int, bool]], window: int
) -> None:
    cap = Cap("total", 10, window)
    now, windows = 0, EMPTY
    taken: list[tuple[int, int]] = []
    for pause, amount, back in steps:
        now += pause
        answer, after = take([(cap, amount)], windows, now)
        if isinstance(answer, Full):
            assert answer.retry_in is not None
            then = now + answer.retry_in
            assert isinstance(take([(cap, amount)], windows, then)[0], Taken)
            assert isinstance(take([(cap, amount)], windows, then - 1)[0], Full)
            continue
        windows = after
        if back:
            windows = give([(cap, amount)], windows, now, now)
        else:
            taken.append((now, amount))
        assert sum(some for at, some in taken if at > now - window) <= 10
        assert len(windows[0]) <= BUCKETS + 1
