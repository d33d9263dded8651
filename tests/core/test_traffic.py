"""Counts of a country by hour and day, and what an owner sees of them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from otpverify import ConfigurationError
from otpverify.core.traffic import (
    DAY_HOURS,
    HOUR,
    HOURS,
    LIFETIME,
    MOST_HOURS,
    Counts,
    Tally,
    Totals,
    add,
    check_hours,
    describe,
    first_hour,
    total,
    totals,
)

BEGIN = 1_772_366_400_000  # 2026-03-01 12:00 UTC
SENT = Counts(sent=1, cost=100_000)
counts = st.builds(
    Counts,
    sent=st.integers(0, 3),
    verified=st.integers(0, 3),
    refused=st.integers(0, 3),
    would_refuse=st.integers(0, 3),
    cost=st.integers(0, 10**12),
)
pauses = st.one_of(
    st.integers(0, HOUR), st.integers(0, 5).map(lambda n: n * HOUR), st.integers(0, 400 * HOUR)
)
windows = st.one_of(st.sampled_from([1, 24, 48, 49, 72, 336]), st.integers(1, 336))


@given(st.lists(st.tuples(pauses, counts), max_size=120), pauses, st.lists(windows, min_size=1))
def test_a_window_has_exactly_what_happened_since_it_began(
    events: list[tuple[int, Counts]], pause: int, hours: list[int]
) -> None:
    """What was merged into days by then."""
    tally, now, log = None, BEGIN, []
    for wait, one in events:
        now += wait
        tally = add(tally, one, now)
        log.append((now, one))
        assert len(tally.past) <= HOURS + MOST_HOURS // DAY_HOURS
        assert tally.expires == now + LIFETIME
    now += pause
    for window in hours:
        first = first_hour(window, now // HOUR) * HOUR
        expected = Counts()
        for at, one in log:
            if at >= first:
                expected = expected.plus(one)
        assert total(tally, window, now) == expected


@given(windows, st.integers(0, 10**15))
def test_a_window_is_no_shorter_than_was_asked_for(hours: int, now: int) -> None:
    """It is up to an hour longer, or a day if it is longer than two."""
    first = first_hour(hours, now // HOUR) * HOUR
    longest = hours + 1 if hours <= HOURS else hours + DAY_HOURS
    assert hours * HOUR <= now - first < longest * HOUR
    assert hours <= HOURS or first % (DAY_HOURS * HOUR) == 0


def test_a_busy_country_keeps_49_hours_and_14_days() -> None:
    tally, longest = None, 0
    for hour in range(24 * 30):
        tally = add(tally, SENT, BEGIN + hour * HOUR)
        longest = max(longest, len(tally.past))
        assert all(begin % DAY_HOURS == 0 for begin, _ in tally.past[: -HOURS or None])
    assert longest == HOURS + 13 or longest == HOURS + 14


def test_what_is_given_back_in_the_next_hour_counts_in_no_window() -> None:
    tally = add(add(None, SENT, BEGIN), Counts(sent=-1, cost=-100_000), BEGIN + HOUR)
    assert total(tally, 2, BEGIN + HOUR) == Counts()
    # A window that begins between the two shows nothing, and no negative number.
    tally = add(tally, SENT, BEGIN + HOUR)
    assert total(tally, 1, BEGIN + 2 * HOUR) == Counts()


def test_a_clock_that_is_set_back_counts_in_the_hour_that_is_running() -> None:
    tally = add(add(None, SENT, BEGIN), SENT, BEGIN - 5 * HOUR)
    assert tally == Tally(BEGIN // HOUR, SENT.plus(SENT), (), BEGIN - 5 * HOUR + LIFETIME)


def test_countries_without_counts_are_left_out() -> None:
    old = add(None, SENT, BEGIN - 3 * HOUR)
    new = add(None, SENT, BEGIN)
    assert totals([("EE", new), ("LV", old)], 1, BEGIN) == Totals(BEGIN, (("EE", SENT),))
    assert totals([("LV", old), ("EE", new)], 4, BEGIN).countries == (("EE", SENT), ("LV", SENT))


def test_first_comes_where_most_money_is_asked_for_in_vain() -> None:
    found = describe(
        Totals(
            BEGIN + HOUR // 2,
            (
                ("", Counts(refused=2)),
                ("DE", Counts(950, 712, 3, 0, 95_000_000)),
                ("EE", Counts(12, 12, 0, 0, 480_000)),
                ("LV", Counts()),
                ("UZ", Counts(11, 0, 50_123, 0, 4_774_000)),
            ),
        ),
        24,
    )
    assert [one.country for one in found] == ["UZ", "DE", None, "EE", "LV"]
    uz, de, nowhere = found[:3]
    assert (uz.sent, uz.verified, uz.refused, uz.cost) == (11, 0, 50_123, Decimal("4.774"))
    assert uz.since == datetime(2026, 2, 28, 12, tzinfo=UTC)
    assert (uz.conversion, round(de.conversion or 0, 2), nowhere.conversion) == (0, 0.75, None)
    assert [one.suspicious for one in found] == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("sent", "verified", "refused", "suspicious"),
    [
        (9, 0, 0, False),
        (10, 0, 0, True),
        (10, 2, 0, False),
        (11, 2, 0, True),
        (10, 11, 0, False),
        (0, 0, 0, False),
        (0, 0, 10, True),
        (10, 2, 1, True),
        (950, 712, 2_000, False),
    ],
)
def test_few_codes_of_ten_messages_are_suspicious(
    sent: int, verified: int, refused: int, suspicious: bool
) -> None:
    (one,) = describe(Totals(BEGIN, (("EE", Counts(sent, verified, refused)),)), 1)
    assert one.suspicious is suspicious


@pytest.mark.parametrize("hours", [0, -1, 337, 1.0, "1", None, True])
def test_hours_are_whole_and_from_1_to_336(hours: object) -> None:
    with pytest.raises(ConfigurationError, match="hours"):
        check_hours(hours)
