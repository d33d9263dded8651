"""What an operator decides about SMS pumping: refused when it is wrong, and the worst case."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from otpverify import ConfigurationError, Limit
from otpverify.core.fraud_policy import FraudPolicy, Loss, SpendLimit
from otpverify.core.prices import Prices

PRICES = Prices({"EE": Decimal("0.04"), "UZ": Decimal("0.434")})


def test_the_defaults_watch_and_refuse_nothing() -> None:
    policy = FraudPolicy()
    assert (policy.mode, policy.over, policy.countries) == ("observe", "refuse", {})
    assert (policy.total, policy.spend, policy.trusted_days) == ((), None, 90)
    assert (policy.at_risk, policy.conversion) == (Decimal(10), 1 / 3)
    assert policy == FraudPolicy()
    assert hash(policy) == hash(FraudPolicy())
    with pytest.raises(AttributeError):
        policy.mode = "enforce"  # type: ignore[misc]  # that it is frozen is what is tested


@pytest.mark.parametrize(
    "make",
    [
        lambda: Prices({"EE": Decimal("0.04")}),
        lambda: Prices({}, default=Decimal("0.04")),
        lambda: SpendLimit(prices=Prices({"EE": Decimal("0.04")})),
        lambda: FraudPolicy(spend=SpendLimit(prices=Prices({"EE": Decimal("0.04")}))),
        lambda: FraudPolicy(
            countries={"UZ": "block"}, total=(Limit(5, 60),), spend=SpendLimit(per_day=Decimal(5))
        ),
    ],
    ids=["prices", "a default price", "a limit with prices", "a policy with prices", "the rest"],
)
def test_equal_ones_are_one_key(make: Callable[[], object]) -> None:
    assert make() is not make()
    assert {make(): 1}[make()] == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mode": "on"}, "mode must be one of observe, enforce"),
        ({"mode": None}, "mode"),
        ({"mode": ["observe"]}, "mode"),
        ({"over": "captcha"}, "over must be one of refuse, human_check"),
        ({"countries": ["UZ"]}, "countries must map"),
        ({"countries": {"Uzbekistan": "block"}}, "not 'Uzbekistan'"),
        ({"countries": {1: "block"}}, "not 1"),
        ({"countries": {"UZ": "deny"}}, r"countries\['UZ'\] must be one of allow"),
        ({"countries": {"UZ": "block", "uz": "allow"}}, "UZ twice"),
        ({"total": 5}, "total"),
        ({"total": (5, 3600)}, "total"),
        ({"total": None}, "total"),
        ({"spend": Decimal(5)}, "spend must be a SpendLimit"),
        ({"trusted_days": -1}, "trusted_days"),
        ({"trusted_days": 1.5}, "trusted_days"),
        ({"trusted_days": True}, "trusted_days"),
        ({"trusted_days": 10**6}, "trusted_days"),
        ({"at_risk": 0}, "at_risk must be above 0"),
        ({"at_risk": Decimal(-1)}, "at_risk"),
        ({"at_risk": Decimal("NaN")}, "at_risk"),
        ({"at_risk": Decimal("Infinity")}, "at_risk"),
        ({"at_risk": 10.5}, "at_risk must be a Decimal"),
        ({"at_risk": "10"}, "at_risk"),
        ({"at_risk": True}, "at_risk"),
        ({"conversion": 0}, "conversion"),
        ({"conversion": 1}, "conversion"),
        ({"conversion": -0.5}, "conversion"),
        ({"conversion": float("nan")}, "conversion"),
        ({"conversion": "0.5"}, "conversion"),
        ({"conversion": True}, "conversion"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        FraudPolicy(**options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "needs per_hour, per_day or prices"),
        ({"per_hour": Decimal(0)}, "per_hour must be above 0"),
        ({"per_day": -5}, "per_day"),
        ({"per_day": 5.5}, "per_day must be a Decimal"),
        ({"per_day": Decimal("NaN")}, "per_day"),
        ({"prices": {"EE": Decimal(1)}}, "prices must be Prices"),
    ],
    ids=str,
)
def test_a_spend_limit_that_is_wrong_is_named(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        SpendLimit(**options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"per_segment": {}}, "or a default"),
        ({"per_segment": []}, "per_segment must map"),
        ({"per_segment": {"Estonia": Decimal(1)}}, "not 'Estonia'"),
        ({"per_segment": {"EE": 0.04}}, r"per_segment\['EE'\] must be a Decimal"),
        ({"per_segment": {"EE": Decimal("-0.04")}}, "EE"),
        ({"per_segment": {"EE": Decimal("NaN")}}, "EE"),
        ({"per_segment": {"EE": Decimal(1)}, "default": 0.4}, "default must be a Decimal"),
    ],
    ids=str,
)
def test_prices_that_are_wrong_are_named(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Prices(**options)


AMOUNTS: dict[str, Callable[[Any], object]] = {
    "per_hour": lambda amount: SpendLimit(per_hour=amount).per_hour,
    "per_day": lambda amount: SpendLimit(per_day=amount).per_day,
    "at_risk": lambda amount: FraudPolicy(at_risk=amount).at_risk,
    "per_segment": lambda amount: Prices({"EE": amount}).of("EE"),
    "default": lambda amount: Prices({}, default=amount).of("EE"),
    "price": lambda amount: FraudPolicy().worst_case(price=amount) and amount,
    "price_abroad": lambda amount: FraudPolicy().worst_case(price_abroad=amount) and amount,
}
"""All that take money, and what they make of it."""
ABOVE_0 = {"per_hour", "per_day", "at_risk"}


@pytest.mark.parametrize("amount", ["1E-400", "1E-320", "4E-7", "5E-7", "9.99999E-7"])
@pytest.mark.parametrize("name", AMOUNTS)
def test_amounts_that_would_count_as_nothing_are_refused(name: str, amount: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}.* is too small to count"):
        AMOUNTS[name](Decimal(amount))


@pytest.mark.parametrize(
    "amount", [Decimal("0.000001"), Decimal("0.0000015"), 1, Decimal("1E+6"), Decimal("0.04")]
)
@pytest.mark.parametrize("name", AMOUNTS)
def test_amounts_that_count(name: str, amount: Any) -> None:
    assert AMOUNTS[name](amount) == amount


@pytest.mark.parametrize("name", AMOUNTS)
@pytest.mark.parametrize("nothing", [0, Decimal(0), Decimal("0E-400"), Decimal("-0")])
def test_a_price_may_be_0_and_a_limit_may_not(name: str, nothing: Any) -> None:
    if name in ABOVE_0:
        with pytest.raises(ConfigurationError, match=f"{name} must be above 0"):
            AMOUNTS[name](nothing)
    else:
        assert AMOUNTS[name](nothing) == 0


@pytest.mark.parametrize("amount", ["0.000001", "0.0000014"])
def test_the_smallest_limit_counts(amount: str) -> None:
    (cap,) = FraudPolicy(spend=SpendLimit(per_day=Decimal(amount))).caps
    assert cap.amount == 1
    assert FraudPolicy(at_risk=Decimal(amount)).rates.at_risk == float(amount)


def test_a_country_without_a_price_has_the_highest_or_the_default() -> None:
    assert PRICES.of("EE") == Decimal("0.04")
    assert PRICES.of("US") == PRICES.of(None) == Decimal("0.434")
    assert Prices(PRICES.per_segment, default=Decimal("0.1")).of("US") == Decimal("0.1")
    assert Prices({}, default=Decimal("0.1")).of("EE") == Decimal("0.1")


def test_countries_have_modes_of_their_own() -> None:
    policy = FraudPolicy(mode="enforce", countries={"uz": "block", "EE": "allow", "DE": "observe"})
    assert [policy.mode_for(code) for code in ("UZ", "EE", "DE", "US", None)] == [
        "block",
        "allow",
        "observe",
        "enforce",
        "enforce",
    ]


def test_lists_are_accepted_as_limits() -> None:
    assert FraudPolicy(total=Limit(5, 60)).total == (Limit(5, 60),)  # type: ignore[arg-type]  # read leniently, as Policy does
    assert FraudPolicy(total=[Limit(5, 60)]).total == (Limit(5, 60),)  # type: ignore[arg-type]  # the same


# --- the worst case ------------------------------------------------------------------------


def loss(first: str, further: str) -> Loss:
    return Loss(Decimal(first), Decimal(further))


def test_the_worst_case_by_default() -> None:
    """By hand: at_risk 10, so a limit of 5 in a country, forgiven each day, and of 10 in all."""
    worst = FraudPolicy(mode="enforce").worst_case(price_abroad=Decimal("0.434"))
    assert worst.prefix == loss("6.95", "3.48")  # 16 and 8 messages
    assert worst.country == loss("10", "5")
    assert worst.abroad == loss("20", "10")
    # New prefixes: 5 + 5; proven ones: 5 + 5 + 5.
    assert worst.home == worst.home_patient == loss("25", "25")
    assert worst.total == loss("45", "35")


def test_the_worst_case_grows_with_what_people_spend() -> None:
    worst = FraudPolicy(mode="enforce").worst_case(
        strangers_per_day=10_000, known_per_day=10_000, conversion=0.8
    )
    # Entered codes of 1,600 a day, all at once: 2,531. A limit of 12.66, forgiven 37.97 a day:
    # (1 + 1 + 1) x 12.66 + 2 x 37.97 of strangers; 3 x (12.66 + 12.66 + 37.97) of known numbers.
    assert worst.home == loss("303.74", "303.74")
    assert worst.home_patient.first_day - worst.home.first_day == Decimal(2800)
    assert worst.country == loss("10", "5")


@pytest.mark.parametrize(
    ("options", "people", "home"),
    [
        ({}, {}, 25),
        ({}, {"known_per_day": 1}, 70),  # 15 + 15 + 15 more
        ({}, {"strangers_per_day": 1}, 70),  # who are known from their first code on
        ({}, {"strangers_per_day": 1, "conversion": 0}, 25),
        ({"trusted_days": 0}, {"strangers_per_day": 1}, 25),
        ({"trusted_days": 0}, {"known_per_day": 1}, 70),  # the caller vouches for them
        ({"trusted_days": 1, "over": "human_check"}, {"known_per_day": 1}, 85),
        ({"at_risk": Decimal(30)}, {"known_per_day": 1}, 210),
    ],
    ids=str,
)
def test_known_numbers_have_an_account_of_their_own(
    options: dict[str, Any], people: dict[str, Any], home: int
) -> None:
    worst = FraudPolicy(mode="enforce", **options).worst_case(**people)
    assert worst.home == loss(str(home), str(home))
    assert worst.total.first_day == worst.home_patient.first_day + worst.abroad.first_day


def test_a_human_check_has_accounts_of_its_own() -> None:
    one = FraudPolicy(mode="enforce").worst_case()
    two = FraudPolicy(mode="enforce", over="human_check").worst_case()
    assert two.country.first_day == 2 * one.country.first_day
    assert two.abroad.first_day == 2 * one.abroad.first_day
    assert two.home.first_day == one.home.first_day + 15


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({"spend": SpendLimit(per_day=Decimal(20))}, 20),
        ({"spend": SpendLimit(per_hour=Decimal("0.5"))}, 12),
        ({"spend": SpendLimit(per_hour=Decimal(5), per_day=Decimal(7))}, 7),
        ({"total": Limit(1, 3600)}, 12),  # 24 messages, all to the most expensive country
        ({"total": (Limit(100, 86_400), Limit(1, 3600))}, 12),
    ],
)
def test_caps_hold_whatever_is_attacked(options: dict[str, Any], most: int) -> None:
    worst = FraudPolicy(mode="enforce", **options).worst_case(strangers_per_day=1e6)
    assert worst.total == loss(str(most), str(most))
    assert worst.home_patient.first_day == most


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"price": 0.1}, "price must be"),
        ({"price_abroad": Decimal(-1)}, "price_abroad"),
        ({"strangers_per_day": -1}, "strangers_per_day"),
        ({"known_per_day": float("nan")}, "known_per_day"),
        ({"conversion": 75}, "conversion"),
    ],
    ids=str,
)
def test_a_worst_case_of_nonsense_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        FraudPolicy().worst_case(**options)
