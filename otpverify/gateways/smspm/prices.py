"""The price of a segment by country: the published price list, or your own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

from otpverify.core.phone import REGIONS
from otpverify.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices of one segment.

    Attributes:
        per_segment: The price by ISO 3166-1 alpha-2 code. A published price is that of the
            country's most expensive carrier.
        currency: The ISO 4217 code of their currency.
        date: When the prices were read, in ISO 8601; `None` if unknown.
    """

    per_segment: Mapping[str, Decimal]
    currency: str = "EUR"
    date: str | None = None

    @classmethod
    def published(cls) -> PriceTable:
        """SMSPM's published price list, as it was when this release was made."""
        return _table((files("otpverify.gateways.smspm") / "prices.json").read_text("utf-8"))

    @classmethod
    def load(cls, path: Path) -> PriceTable:
        """A price list of your own: JSON such as
        `{"currency": "EUR", "date": "2026-11-22", "per_segment": {"EE": 0.04}}`.

        Raises:
            ConfigurationError: The file cannot be read, or is not such a list.
        """
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"The prices in {path} cannot be read.") from error
        return _table(text)


def _table(text: str) -> PriceTable:
    try:
        said: Any = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    except (ValueError, RecursionError):
        said = None
    prices = said.get("per_segment") if isinstance(said, dict) else None
    if not isinstance(prices, dict) or not all(
        country in REGIONS and isinstance(price, Decimal) and price >= 0
        for country, price in prices.items()
    ):
        raise ConfigurationError(
            'Prices must be JSON such as {"per_segment": {"EE": 0.04}}, by ISO 3166-1 alpha-2 code.'
        )
    return PriceTable(prices, str(said.get("currency", "EUR")), said.get("date"))
