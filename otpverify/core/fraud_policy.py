"""What an operator decides about SMS pumping, validated, and the most that an attack can cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from decimal import ROUND_CEILING, Decimal
from typing import Final

from otpverify.core import fraud
from otpverify.core.caps import Cap
from otpverify.core.fraud import DAY
from otpverify.core.fraud_ledger import SPEND, TOTAL, Rules, millionths
from otpverify.core.limits import Limit, require_whole
from otpverify.core.phone import REGIONS
from otpverify.core.policy import Policy
from otpverify.core.prices import HIGHEST, Prices, check_amount
from otpverify.errors import ConfigurationError

MODES: Final = ("observe", "enforce")
COUNTRY_MODES: Final = ("allow", "observe", "enforce", "block")
OVER: Final = ("refuse", "human_check")
LONGEST_TRUST_DAYS = 3650
HOURS_A_DAY = 24
SLACK = 60_000
"""What a challenge was charged is remembered for so many milliseconds longer than its code is good:
it is charged a moment earlier than its code is put in place."""
UNLIMITED = Decimal("Infinity")
MOST_EARNED = 1 / (1 - math.exp(-1))
"""The most that `earned` comes to, in days of entered codes: all of each day's at once."""


@dataclass(frozen=True, slots=True)
class SpendLimit:
    """The most to spend on codes, all of them: to known numbers and allowed countries, too.

    Args:
        per_hour: Money in any hour; `None` for no such limit.
        per_day: Money in any 24 hours; `None` for no such limit.
        prices: What a segment costs. Without it, the gateway's published prices.

    Raises:
        ConfigurationError: An amount is not a `Decimal` of at least 0.000001, or nothing is given.
    """

    per_hour: Decimal | None = None
    per_day: Decimal | None = None
    prices: Prices | None = None

    def __post_init__(self) -> None:
        for name in ("per_hour", "per_day"):
            value = getattr(self, name)
            if value is not None:
                amount = check_amount(f"SpendLimit.{name}", value)
                if not amount:
                    raise ConfigurationError(f"SpendLimit.{name} must be above 0.")
                object.__setattr__(self, name, amount)
        if self.prices is not None and not isinstance(self.prices, Prices):
            raise ConfigurationError("SpendLimit.prices must be Prices(...), or None.")
        if all(getattr(self, part.name) is None for part in fields(self)):
            raise ConfigurationError("SpendLimit needs per_hour, per_day or prices.")

    @property
    def most_in_a_day(self) -> Decimal:
        """The most that it lets through in 24 hours; infinity without a limit."""
        hourly = UNLIMITED if self.per_hour is None else HOURS_A_DAY * self.per_hour
        return min(hourly, UNLIMITED if self.per_day is None else self.per_day)


@dataclass(frozen=True, slots=True)
class Loss:
    """What an attack costs at most, in the currency of the prices.

    Attributes:
        first_day: In its first 24 hours.
        further_day: On each day after that.
    """

    first_day: Decimal
    further_day: Decimal


@dataclass(frozen=True, slots=True)
class WorstCase:
    """What attackers who enter no codes cost at most, by what they attack.

    Attributes:
        prefix: One prefix in which you have no users.
        country: One country in which you have no users.
        abroad: All such countries at once.
        home: Your users' country, all its prefixes and known numbers, in one burst.
        home_patient: The same, by an attacker who is patient: who stays slow enough lives off the
            codes that your users enter.
        total: Everything at once.
    """

    prefix: Loss
    country: Loss
    abroad: Loss
    home: Loss
    home_patient: Loss
    total: Loss


@dataclass(frozen=True, slots=True)
class FraudPolicy:
    """Protection against SMS pumping. The defaults only watch.

    Args:
        mode: `"observe"` reports what it would refuse, `"enforce"` refuses it.
        countries: Another mode for a country, by ISO 3166-1 alpha-2 code: `"allow"` (never
            refused), `"observe"`, `"enforce"` or `"block"` (always refused).
        total: Messages in all, to everyone.
        spend: Money in all, to everyone, and the prices.
        trusted_days: For how many days a number is known that entered a right code; 0: for none.
        over: What happens to a start over the limit: `"refuse"`, or `"human_check"` to ask for
            a human check first.
        at_risk: Money that an attack on one country, in which you have no users, may cost on its
            first day; half of it on each further day.
        conversion: The share of messages whose codes your users enter at least, above 0 and
            below 1. Half of what you measure is safe.

    Raises:
        ConfigurationError: A value is out of range; the message says which.
    """

    mode: str = "observe"
    countries: Mapping[str, str] = field(default_factory=dict, hash=False)
    total: tuple[Limit, ...] = ()
    spend: SpendLimit | None = None
    trusted_days: int = 90
    over: str = "refuse"
    at_risk: Decimal = Decimal(10)
    conversion: float = 1 / 3

    def __post_init__(self) -> None:
        _one_of("mode", self.mode, MODES)
        _one_of("over", self.over, OVER)
        object.__setattr__(self, "countries", _countries(self.countries))
        object.__setattr__(self, "total", _limits(self.total))
        if self.spend is not None and not isinstance(self.spend, SpendLimit):
            raise ConfigurationError("spend must be a SpendLimit, or None.")
        require_whole("trusted_days", self.trusted_days, least=0, most=LONGEST_TRUST_DAYS)
        at_risk = check_amount("at_risk", self.at_risk)
        if not at_risk:
            raise ConfigurationError(
                "at_risk must be above 0. Countries to which nothing may be sent are "
                '"block" in countries.'
            )
        object.__setattr__(self, "at_risk", at_risk)
        if (
            not isinstance(self.conversion, int | float)
            or isinstance(self.conversion, bool)
            or not 0 < self.conversion < 1
        ):
            raise ConfigurationError("conversion must be a number above 0 and below 1.")
        object.__setattr__(self, "conversion", float(self.conversion))

    @property
    def rates(self) -> fraud.Rates:
        """What the rule needs."""
        return fraud.Rates(float(self.at_risk), self.conversion)

    @property
    def caps(self) -> tuple[Cap, ...]:
        """`total` and `spend` as a store counts them."""
        found = [Cap(TOTAL, limit.count, limit.window) for limit in self.total]
        spend = self.spend or SpendLimit(prices=Prices({}, default=Decimal(0)))
        for amount, window in ((spend.per_hour, DAY // HOURS_A_DAY), (spend.per_day, DAY)):
            if amount is not None:
                found.append(Cap(SPEND, millionths(amount), window))
        return tuple(found)

    def rules(self, policy: Policy) -> Rules:
        """What a store needs, beside that policy."""
        return Rules(
            self.rates,
            self.trusted_days * DAY,
            policy.ttl + SLACK,
            self.caps,
            policy.sends_per_ip,
        )

    def mode_for(self, country: str | None) -> str:
        """`"allow"`, `"observe"`, `"enforce"` or `"block"`, for numbers of that country; those of
        no country follow `mode`."""
        return self.mode if country is None else self.countries.get(country, self.mode)

    def worst_case(
        self,
        *,
        strangers_per_day: float = 0,
        known_per_day: float = 0,
        price: Decimal = Decimal("0.1"),
        price_abroad: Decimal = Decimal("0.5"),
        conversion: float = 1.0,
    ) -> WorstCase:
        """The most that attackers cost who enter no codes, as long as `mode` is `"enforce"`.

        Countries that are `"allow"` or `"observe"` are not counted: only `spend` and `total` stop
        an attack on those. Several regions, each with a store of its own, lose that much each.

        Args:
            strangers_per_day: Messages to numbers of your users' country that are not known, on
                your busiest day.
            known_per_day: The same, to known numbers, and those that you vouch for.
            price: Of a message to your users' country.
            price_abroad: Of a message to the most expensive country that `countries` leaves open.
            conversion: The share of these messages whose codes are entered.

        Raises:
            ConfigurationError: An argument is out of range.
        """
        for name, value in (
            ("strangers_per_day", strangers_per_day),
            ("known_per_day", known_per_day),
        ):
            if not isinstance(value, int | float) or not 0 <= value <= float(HIGHEST):
                raise ConfigurationError(f"{name} must be a number from 0 to {HIGHEST:,}.")
        if not isinstance(conversion, int | float) or not 0 <= conversion <= 1:
            raise ConfigurationError("conversion must be a number from 0 to 1.")
        cost = float(check_amount("price", price))
        abroad = float(check_amount("price_abroad", price_abroad))
        entered = (strangers_per_day + known_per_day) * conversion * cost * MOST_EARNED
        cap = self._most_in_a_day(max(cost, abroad))
        # Those who pass human checks have accounts of their own.
        human = self.over == "human_check"
        times = 2 if human else 1

        def loss(first_day: float, further_day: float) -> Loss:
            return Loss(min(cap, _money(first_day)), min(cap, _money(further_day)))

        there = fraud.country_terms(0, self.rates, fraud.Group.NEW)
        country = (
            times * (max(there.limit, abroad) + there.forgiven),
            times * max(there.forgiven, abroad),
        )
        prefix = times * fraud.PREFIX_LIMIT * abroad
        world = fraud.world_terms(entered, self.rates)
        abroad_first = times * (world.credit + max(world.limit, abroad) + world.forgiven)
        # Who enters a code is known from then on; whom the caller vouches for always is.
        knows = known_per_day > 0 or (self.trusted_days > 0 and entered > 0)
        groups = [fraud.Group.NEW, fraud.Group.PROVEN]
        groups += [fraud.Group.HUMAN] * human + [fraud.Group.KNOWN] * knows
        home = 0.0
        for group in groups:
            terms = fraud.country_terms(entered, self.rates, group)
            home += terms.credit + max(terms.limit, cost) + terms.forgiven
        surplus = max(0.0, conversion / self.conversion - 1) * cost
        patient = home + surplus * (strangers_per_day + known_per_day)
        return WorstCase(
            prefix=loss(min(2 * prefix, country[0]), min(prefix, country[1])),
            country=loss(*country),
            abroad=loss(abroad_first, times * max(world.forgiven, abroad)),
            home=loss(home, home),
            home_patient=loss(patient, patient),
            total=loss(patient + abroad_first, patient + times * max(world.forgiven, abroad)),
        )

    def _most_in_a_day(self, price: float) -> Decimal:
        """What `spend` and `total` let through in 24 hours, at that price of a message."""
        messages = min((limit.admitted_in(1) for limit in self.total), default=None)
        by_count = UNLIMITED if messages is None else _money(messages * price)
        return min(by_count, UNLIMITED if self.spend is None else self.spend.most_in_a_day)


def _money(amount: float) -> Decimal:
    """In hundredths, rounded up: a bound must not be below what it bounds."""
    exact = Decimal(repr(round(amount, 6)))  # without the noise of binary fractions
    return exact.quantize(Decimal("0.01"), ROUND_CEILING)


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise ConfigurationError(f"{name} must be one of {', '.join(allowed)}.")


def _countries(given: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise ConfigurationError('countries must map countries to modes, such as {"UZ": "block"}.')
    found: dict[str, str] = {}
    for country, mode in given.items():
        code = country.upper() if isinstance(country, str) else country
        if code not in REGIONS:
            raise ConfigurationError(
                f"countries takes ISO 3166-1 alpha-2 codes such as EE, not {country!r}."
            )
        _one_of(f"countries[{country!r}]", mode, COUNTRY_MODES)
        if found.setdefault(code, mode) != mode:
            raise ConfigurationError(f"countries names {code} twice, with different modes.")
    return found


def _limits(given: Limit | Iterable[Limit]) -> tuple[Limit, ...]:
    limits = (given,) if isinstance(given, Limit) else given
    found = tuple(limits) if isinstance(limits, Iterable) else (None,)
    if not all(isinstance(limit, Limit) for limit in found):
        raise ConfigurationError("total must hold Limit(count, seconds) values; () means no limit.")
    return found
