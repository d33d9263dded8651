"""The policy: unsafe values are refused, and the error says how to fix them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from otpverify import ConfigurationError, Limit, Policy, TestNumber

FICTIONAL = "+12025550123"
DAY = 86_400


def test_the_defaults_are_those_of_the_design() -> None:
    policy = Policy()
    assert policy.code_length == 6
    assert policy.ttl_seconds == 600
    assert policy.max_attempts == 5
    assert policy.resend_cooldown_seconds == 60
    assert policy.sends_per_phone == (Limit(5, 3600), Limit(10, DAY))
    assert policy.failures_per_phone == Limit(30, DAY)
    assert policy.consecutive_failures == Limit(100, 30 * DAY)
    assert policy.live_codes == 3
    assert policy.sends_per_ip == (Limit(10, 3600),)
    assert policy.undelivered_per_phone == (Limit(5, DAY),)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"code_length": 5}, "code_length=6"),
        ({"code_length": 4}, "under 6 digits"),
        ({"ttl_seconds": 601}, "ttl_seconds=600"),
        ({"max_attempts": None}, "until the code is found"),
        ({"live_codes": 4}, "1.2e-04 a day"),
        ({"failures_per_phone": Limit(1000, DAY)}, "over 1 in 10,000"),
        ({"failures_per_phone": None, "code_length": 10}, "lower failures_per_phone"),
        ({"failures_per_phone": Limit(30, 3600)}, "takeover|taken over"),
        ({"failures_per_phone": None, "sends_per_phone": ()}, "1.0e"),
        ({"consecutive_failures": None}, "over 100 wrong codes in a row"),
        ({"consecutive_failures": Limit(101, DAY)}, r"use consecutive_failures=Limit\(100, "),
    ],
    ids=str,
)
def test_unsafe_ones_are_refused_unless_told(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Policy(**options)
    assert Policy(**options, allow_weak=True).allow_weak


def test_a_limit_s_numbers_are_at_most_a_thousand_million() -> None:
    assert Limit(10**9, 10**9).window == 10**12
    for numbers in ((10**9 + 1, 1), (1, 10**9 + 1)):
        with pytest.raises(ConfigurationError, match="at most 1000000000"):
            Limit(*numbers)


@pytest.mark.parametrize(
    "options",
    [
        {"code_length": 0},
        {"code_length": 11},
        {"code_length": 6.0},
        {"code_length": True},
        {"code_length": "6"},
        {"ttl_seconds": 0},
        {"ttl_seconds": -1},
        {"ttl_seconds": 0.5},
        {"max_attempts": 0},
        {"max_attempts": "5"},
        {"resend_cooldown_seconds": -1},
        {"live_codes": 0},
        {"sends_per_phone": (5, 3600)},
        {"sends_per_ip": ("5/hour",)},
        {"undelivered_per_phone": ("5/day",)},
        {"failures_per_phone": 30},
        {"consecutive_failures": 100},
        {"consecutive_failures": (Limit(100, DAY),)},
        {"consecutive_failures": True},
        {"sends_per_phone": None},
        {"sends_per_ip": 5},
        {"undelivered_per_phone": "5"},
        {"test_numbers": ["+12025550123"]},
        {"test_numbers": None},
    ],
    ids=str,
)
def test_nonsense_is_refused_whatever_is_told(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Policy(**options, allow_weak=True)


@pytest.mark.parametrize(("count", "seconds"), [(0, 60), (5, 0), (-1, 60), (1.5, 60), (5, None)])
def test_limits_are_whole_numbers(count: Any, seconds: Any) -> None:
    with pytest.raises(ConfigurationError):
        Limit(count, seconds)


def test_one_limit_may_stand_without_a_tuple() -> None:
    assert Policy(sends_per_phone=Limit(3, 3600)).sends_per_phone == (Limit(3, 3600),)  # type: ignore[arg-type]  # forgiven


@pytest.mark.parametrize(
    ("options", "days", "chance"),
    [
        ({}, 1, 30 * 3 / 1e6),
        ({}, 7, 7 * 30 * 3 / 1e6),
        ({}, 0.5, 30 * 3 / 1e6),  # half a day may hold a whole day's budget
        ({"live_codes": 1}, 1, 30 / 1e6),
        ({"code_length": 8}, 365, 365 * 90 / 1e8),
        ({}, 1.00001, 2 * 30 * 3 / 1e6),  # a second more than a day touches two windows
        ({}, 1e-9, 30 * 3 / 1e6),
        ({"sends_per_phone": (Limit(1, DAY),)}, 1, 30 * 3 / 1e6),  # sends may be given back
        ({"failures_per_phone": None, "allow_weak": True}, 1, 1.0),
        ({}, 10**6, 1.0),
    ],
)
def test_takeover_probability(options: dict[str, Any], days: float, chance: float) -> None:
    assert Policy(**options).takeover_probability(days) == pytest.approx(chance)


@given(st.integers(1, 400), st.integers(1, 400))
def test_takeover_probability_grows_with_time(days: int, more: int) -> None:
    policy = Policy()
    shorter, longer = policy.takeover_probability(days), policy.takeover_probability(days + more)
    assert 0 < shorter <= longer <= 1


@pytest.mark.parametrize("days", [0, -1, float("nan"), float("inf")])
def test_takeover_probability_needs_a_time(days: float) -> None:
    with pytest.raises(ConfigurationError):
        Policy().takeover_probability(days)


@pytest.mark.parametrize(
    ("number", "test", "says"),
    [
        ("+37256789045", TestNumber("424242", date(2026, 12, 31)), "reserved for fiction"),
        ("202-555-0123", TestNumber("424242", date(2026, 12, 31)), "E.164"),
        (FICTIONAL, TestNumber("4242", date(2026, 12, 31)), "code_length=6"),
        (FICTIONAL, "424242", "TestNumber"),
    ],
)
def test_test_numbers_are_checked(number: str, test: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        Policy(test_numbers={number: test})
    assert "424242" not in str(caught.value)
    assert "37256789045" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "expires"),
    [
        ("424242", None),
        ("424242", "2026-12-31"),
        ("424242", datetime(2026, 12, 31)),  # noqa: DTZ001 - naive on purpose
        ("42424x", date(2026, 12, 31)),
        ("４２４２４２", date(2026, 12, 31)),
        (424242, date(2026, 12, 31)),
    ],
)
def test_a_test_number_needs_digits_and_an_expiry(code: Any, expires: Any) -> None:
    with pytest.raises(ConfigurationError):
        TestNumber(code, expires)


@pytest.mark.parametrize(
    ("expires", "last"),
    [
        (date(2026, 12, 31), datetime(2026, 12, 31, 23, 59, 59, 999_999, UTC)),
        (datetime(2026, 12, 31, 12, tzinfo=UTC), datetime(2026, 12, 31, 11, 59, 59, 999_999, UTC)),
    ],
)
def test_a_test_number_works_until_it_expires(expires: date, last: datetime) -> None:
    number = TestNumber("424242", expires)
    assert number.in_force(last)
    assert not number.in_force(last + timedelta(microseconds=1))


def test_an_acknowledged_real_number_and_every_fictional_range_pass() -> None:
    expires = date(2026, 12, 31)
    numbers = {
        "+37256789045": TestNumber("424242", expires, acknowledge_real=True),
        FICTIONAL: TestNumber("424242", datetime(2026, 12, 31, tzinfo=UTC)),
        "+447700900123": TestNumber("424242", expires),
        "+33639980011": TestNumber("424242", expires),
        "+46701740605": TestNumber("424242", expires),
        "+61491570006": TestNumber("424242", expires),
        "+4915228817386": TestNumber("424242", expires),
        "+491713920012": TestNumber("424242", expires),
        "+4917604069012": TestNumber("424242", expires),
    }
    policy = Policy(test_numbers=numbers)
    numbers.clear()
    assert len(policy.test_numbers) == 9


def test_a_policy_is_frozen_hashable_and_shows_no_fixed_code() -> None:
    policy = Policy(test_numbers={FICTIONAL: TestNumber("424242", date(2026, 12, 31))})
    with pytest.raises(AttributeError):
        policy.code_length = 4  # type: ignore[misc]  # frozen
    assert isinstance(hash(policy), int)
    assert "424242" not in repr(policy)
    assert "2025550123" not in repr(policy)
    assert "424242" not in repr(policy.test_numbers[FICTIONAL])
