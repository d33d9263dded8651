"""What a segment costs, by country."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from otpverify.core.phone import REGIONS
from otpverify.errors import ConfigurationError

HIGHEST = Decimal(1_000_000)
"""The largest amount of money: sums of it stay exact enough in a store's numbers."""
LOWEST = Decimal("0.000001")
"""The smallest amount above 0. Stores count money in millionths: less would be nothing."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of one segment.

    Args:
        per_segment: The price by ISO 3166-1 alpha-2 code. A published price is usually that of the
            country's most expensive carrier.
        currency: The ISO 4217 code of their currency.
        date: When the prices were read, in ISO 8601; `None` if unknown.
        default: The price for countries that are not listed; `None` for the highest of the list.

    Raises:
        ConfigurationError: A country does not exist, or a price is not an amount of money.
    """

    per_segment: Mapping[str, Decimal] = field(hash=False)
    currency: str = "EUR"
    date: str | None = None
    default: Decimal | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.per_segment, Mapping):
            raise ConfigurationError("per_segment must map countries to prices.")
        unknown = [country for country in self.per_segment if country not in REGIONS]
        if unknown:
            raise ConfigurationError(
                f"per_segment takes ISO 3166-1 alpha-2 codes such as EE, not {unknown[0]!r}."
            )
        prices = {
            country: check_amount(f"per_segment[{country!r}]", price)
            for country, price in self.per_segment.items()
        }
        object.__setattr__(self, "per_segment", prices)
        if self.default is not None:
            object.__setattr__(self, "default", check_amount("default", self.default))
        elif not prices:
            raise ConfigurationError("Prices need a country in per_segment, or a default.")

    def of(self, country: str | None) -> Decimal:
        """The price of a segment to that country; the default for a country that is not listed, and
        for numbers that belong to none."""
        price = self.per_segment.get(country) if country is not None else None
        if price is not None:
            return price
        return max(self.per_segment.values()) if self.default is None else self.default


def check_amount(name: str, value: object) -> Decimal:
    """An amount of money as a `Decimal`.

    Raises:
        ConfigurationError: It is neither 0 nor a number from `LOWEST` to `HIGHEST`.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    if not isinstance(value, Decimal) or not value.is_finite() or not 0 <= value <= HIGHEST:
        raise ConfigurationError(
            f'{name} must be a Decimal such as Decimal("0.04"), from 0 to {HIGHEST:,}.'
        )
    if 0 < value < LOWEST:
        raise ConfigurationError(f"{name} is too small to count: above 0, {LOWEST} is the least.")
    return value
