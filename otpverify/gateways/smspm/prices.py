"""Price lists: SMSPM's published one as an example, or your own."""

from __future__ import annotations

import json
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

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
