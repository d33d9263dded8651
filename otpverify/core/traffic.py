"""What was sent and entered, by country and hour: what an owner looks at.

A store keeps a tally for each country: the counts of the hour that is running, and those of the
hours before. Hours that are older than two days are merged into days (UTC), and days are kept for
two weeks. A country has at most 49 hours and 14 days.

Everything counts in the hour in which it happens. A send that is given back later is taken from
that hour, not from the one in which it was counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from otpverify.core.limits import require_whole

HOUR = 3_600_000
"""Milliseconds."""
DAY_HOURS = 24
HOURS = 2 * DAY_HOURS
"""Older hours are merged into days."""
MOST_HOURS = 14 * DAY_HOURS
"""Older days are dropped."""
LIFETIME = (MOST_HOURS + 2 * DAY_HOURS) * HOUR
"""Milliseconds for which a tally is kept after its last count."""
MILLIONTHS = 1_000_000
"""Money is counted in millionths: sums of whole numbers are exact, in every store."""
_LATEST = 1 << 47
"""Milliseconds that a calendar has."""
FEW_MESSAGES = 10
"""Of fewer messages, a low conversion may be chance."""
LOW_CONVERSION = 0.2
"""Healthy forms see 60 to 80% of first codes entered."""


class Counts(NamedTuple):
    """What happened; negative where something is given back.

    Attributes:
        sent: Messages that were charged.
        verified: Challenges whose code was entered.
        refused: Messages that the fraud policy refused.
        would_refuse: Of `sent`, those that the policy only observed.
        cost: What the messages cost, in millionths of money.
    """

    sent: int = 0
    verified: int = 0
    refused: int = 0
    would_refuse: int = 0
    cost: int = 0

    def plus(self, other: Counts) -> Counts:
        """The sum of both."""
        return Counts(*(one + more for one, more in zip(self, other, strict=True)))


class Tally(NamedTuple):
    """What a store keeps of a country.

    Attributes:
        hour: The hour that is running, in hours since the epoch.
        current: Its counts.
        past: The hours before, oldest first: when each began, and its counts. Those that are older
            than `HOURS` are days.
        expires: When the tally is useless, in milliseconds.
    """

    hour: int
    current: Counts
    past: tuple[tuple[int, Counts], ...]
    expires: int


class Totals(NamedTuple):
    """What a store answers: the counts of each country since an instant.

    Attributes:
        at: The store's time, in milliseconds.
        countries: The counts by ISO 3166-1 alpha-2 code; empty for numbers of no country. A
            country without any is left out.
    """

    at: int
    countries: tuple[tuple[str, Counts], ...]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What happened in one country.

    Attributes:
        country: The ISO 3166-1 alpha-2 code; `None` for numbers that belong to no country.
        since: From when on it is counted (aware, UTC): the beginning of an hour, or of a day for
            more than 48 hours.
        sent: Messages. Those of decoys count, too, as they do for the fraud policy.
        verified: Challenges whose code was entered.
        refused: Messages that the fraud policy refused: its accounts, its caps, or the limit of an
            IP network. What guards and limits of a phone refuse is not in it.
        would_refuse: Of `sent`, those that the policy would have refused if it did not only
            observe.
        cost: What the messages cost, in the currency of your prices.
    """

    country: str | None
    since: datetime
    sent: int
    verified: int
    refused: int
    would_refuse: int
    cost: Decimal

    @property
    def conversion(self) -> float | None:
        """The share of messages whose code was entered; `None` if none was sent. It may exceed 1
        by little: codes of messages that were sent before `since` count."""
        return self.verified / self.sent if self.sent else None

    @property
    def suspicious(self) -> bool:
        """At least ten messages were asked for, refused ones included, and fewer than a fifth had
        their code entered. It may be SMS pumping, or a carrier that does not deliver."""
        asked = self.sent + self.refused
        return asked >= FEW_MESSAGES and self.verified < LOW_CONVERSION * asked


def add(tally: Tally | None, counts: Counts, now: int) -> Tally:
    """Count what happens now. An hour that is over joins the past."""
    hour, expires = now // HOUR, now + LIFETIME
    if tally is None:
        return Tally(hour, counts, (), expires)
    if hour <= tally.hour:
        return tally._replace(current=tally.current.plus(counts), expires=expires)
    return Tally(hour, counts, _merged((*tally.past, (tally.hour, tally.current)), hour), expires)


def _merged(past: Iterable[tuple[int, Counts]], hour: int) -> tuple[tuple[int, Counts], ...]:
    """The past as it is kept in an hour: old hours as days, and old days dropped."""
    found: dict[int, Counts] = {}
    for begin, counts in past:
        start = _day(begin) if begin < hour - HOURS else begin
        if start >= first_hour(MOST_HOURS, hour):
            found[start] = found.get(start, Counts()).plus(counts)
    return tuple(found.items())


def first_hour(hours: int, hour: int) -> int:
    """The first hour of a window that ends with `hour`: so many whole hours before it. More than
    `HOURS` of them begin with a day, because older hours are not kept apart."""
    first = hour - hours
    return first if hours <= HOURS else _day(first)


def total(tally: Tally | None, hours: int, now: int) -> Counts:
    """The counts of a window. What is given back later than it was counted makes none negative."""
    first, found = first_hour(hours, now // HOUR), Counts()
    if tally is not None:
        for begin, counts in (*tally.past, (tally.hour, tally.current)):
            if begin >= first:
                found = found.plus(counts)
    return Counts(*(max(0, one) for one in found))


def totals(tallies: Iterable[tuple[str, Tally | None]], hours: int, now: int) -> Totals:
    """The counts of all countries that have any."""
    found = [(country, total(tally, hours, now)) for country, tally in tallies]
    return Totals(now, tuple(sorted((country, one) for country, one in found if any(one))))


def is_sound(answer: object) -> bool:
    """Whether an answer of a store can be true."""
    if not isinstance(answer, Totals) or not isinstance(answer.countries, tuple):
        return False
    if type(answer.at) is not int or not 0 <= answer.at < _LATEST:
        return False
    return all(
        isinstance(country, str)
        and isinstance(counts, Counts)
        and all(type(one) is int and one >= 0 for one in counts)
        for country, counts in answer.countries
    )


def check_hours(hours: object) -> None:
    """Check a number of hours.

    Raises:
        ConfigurationError: It is not a whole number from 1 to 336.
    """
    require_whole("hours", hours, least=1, most=MOST_HOURS)


def describe(found: Totals, hours: int) -> list[Traffic]:
    """What an owner sees: first where most money was asked for codes that nobody entered, whether
    it was spent or refused."""
    first = first_hour(hours, found.at // HOUR)
    since = datetime.fromtimestamp(first * HOUR / 1000, UTC)
    listed = [
        Traffic(country or None, since, *counts[:-1], Decimal(counts.cost) / MILLIONTHS)
        for country, counts in found.countries
    ]
    prices = [one.cost / one.sent for one in listed if one.sent]
    highest = max(prices, default=Decimal(1))

    def asked_in_vain(one: Traffic) -> Decimal:
        price = one.cost / one.sent if one.sent else highest
        return price * (max(0, one.sent - one.verified) + one.refused)

    return sorted(listed, key=lambda one: (-asked_in_vain(one), one.country or ""))


def _day(hour: int) -> int:
    """The first hour of an hour's day (UTC)."""
    return hour - hour % DAY_HOURS
