"""Price lists, SMSPM's published one as an example or your own; and what sending to a list of
recipients costs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

from otpverify.core.phone import REGIONS, describe
from otpverify.core.prices import Prices
from otpverify.errors import ConfigurationError


def published_prices() -> Prices:
    """SMSPM's published price list, as it was at its `date`. It is an example: load your own if
    you pay other prices."""
    return _prices((files("otpverify.gateways.smspm") / "prices.json").read_text("utf-8"))


def load_prices(path: Path) -> Prices:
    """A price list of your own: JSON such as
    `{"currency": "EUR", "date": "2026-11-22", "per_segment": {"EE": 0.04}, "default": 0.4}`.

    Raises:
        ConfigurationError: The file cannot be read, or is not such a list.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The prices in {path} cannot be read.") from error
    return _prices(text)


def _prices(text: str) -> Prices:
    try:
        said: Any = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    except (ValueError, RecursionError, ArithmeticError):
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("per_segment"), dict):
        raise ConfigurationError(
            'Prices must be JSON such as {"per_segment": {"EE": 0.04}}, by ISO 3166-1 alpha-2 code.'
        )
    currency, date = str(said.get("currency", "EUR")), said.get("date")
    return Prices(
        said["per_segment"], currency, None if date is None else str(date), said.get("default")
    )


NOWHERE = "no country"
"""The name for numbers without a country, such as those of satellites."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one country costs.

    Attributes:
        country: The ISO 3166-1 alpha-2 code, or `NOWHERE`.
        recipients: How many are there.
        cost: For all of them; `None` when the table has no price.
    """

    country: str
    recipients: int
    cost: Decimal | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What everyone costs.

    Attributes:
        shares: By country, the most recipients first.
        parts: How many segments each recipient is charged.
        table: The prices.
    """

    shares: tuple[Share, ...]
    parts: int
    table: Prices

    @property
    def recipients(self) -> int:
        """How many are sent to."""
        return sum(share.recipients for share in self.shares)

    @property
    def total(self) -> Decimal:
        """The cost of those countries that have a price."""
        return sum((share.cost for share in self.shares if share.cost is not None), Decimal(0))

    @property
    def unpriced(self) -> tuple[Share, ...]:
        """The countries that the table has no price for."""
        return tuple(share for share in self.shares if share.cost is None)

    def __str__(self) -> str:
        """The cost in a phrase."""
        cost = f"{self.total:.2f} {self.table.currency}"
        if not self.unpriced:
            return cost
        more = ", ".join(
            f"{people(share.recipients)} in {share.country}" for share in self.unpriced
        )
        return f"{cost}, without {more} (no price)"


def people(count: int) -> str:
    """A number of recipients, in words."""
    return "1 recipient" if count == 1 else f"{count} recipients"


def estimate(phones: Iterable[str], parts: int, table: Prices) -> Estimate:
    """What it costs to send `parts` segments to each of these numbers.

    Args:
        phones: Numbers in E.164.
        parts: Segments of the text.
        table: The prices.
    """
    found = Counter(map(_country, phones))
    shares = []
    for country, recipients in sorted(found.items(), key=lambda item: (-item[1], item[0])):
        price = table.per_segment.get(country)
        cost = None if price is None else price * recipients * parts
        shares.append(Share(country, recipients, cost))
    return Estimate(tuple(shares), parts, table)


def _country(phone: str) -> str:
    """The country. Where a calling code is of one country alone, it needs no more than that: a
    list may have many numbers."""
    for end in (2, 3, 4):
        regions = COUNTRY_CODE_TO_REGION_CODE.get(int(phone[1:end]), ())
        if len(regions) == 1 and regions[0] in REGIONS:
            return str(regions[0])
        if regions:
            break
    return describe(phone).country or NOWHERE
