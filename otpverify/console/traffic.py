"""Traffic by country, as a table of text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

from otpverify.core.traffic import MOST_HOURS, Traffic, check_hours, describe
from otpverify.errors import ConfigurationError
from otpverify.protocols import FraudStore

WINDOWS = (1, 24, MOST_HOURS)
"""The hours that are shown if nobody asks for others: an hour, a day and two weeks."""
NOTHING = "Nothing was counted. Traffic is counted where a FraudPolicy is on."
HINT = "! Fewer than a fifth of the messages that were asked for had their code entered."
_NAMES = {1: "Last hour", 24: "Last day", MOST_HOURS: "Last two weeks"}
_ALL = "all"
_GAP = "  "


class Window(NamedTuple):
    """The traffic of so many hours, as `Verifier.traffic` gives it."""

    hours: int
    countries: Sequence[Traffic]

    @property
    def title(self) -> str:
        """What it shows, and since when."""
        name = _NAMES.get(self.hours, f"Last {self.hours} hours")
        if not self.countries:
            return name
        return f"{name}, since {self.countries[0].since:%Y-%m-%d %H:%M} UTC"

    @property
    def total(self) -> Traffic:
        """The sum of all countries, of which there is at least one."""
        found = self.countries
        return Traffic(
            _ALL,
            found[0].since,
            sum(one.sent for one in found),
            sum(one.verified for one in found),
            sum(one.refused for one in found),
            sum(one.would_refuse for one in found),
            sum((one.cost for one in found[1:]), found[0].cost),
        )

    @property
    def observed(self) -> bool:
        """Whether there is anything that the policy only observed."""
        return any(one.would_refuse for one in self.countries)

    @property
    def headings(self) -> list[str]:
        """Those of `cells`."""
        found = ["country", "sent", "verified", "conversion", "refused", "would refuse", "cost"]
        return found if self.observed else [one for one in found if one != "would refuse"]

    def cells(self, one: Traffic) -> list[str]:
        """A row of the table."""
        conversion = "-" if one.conversion is None else f"{one.conversion:.0%}"
        found = [one.country or "none", f"{one.sent:,}", f"{one.verified:,}", conversion]
        found.append(f"{one.refused:,}")
        if self.observed:
            found.append(f"{one.would_refuse:,}")
        return [*found, f"{one.cost:,.2f}"]


def read_windows(store: object, hours: int | None = None) -> list[Window]:
    """What a store has counted.

    Args:
        store: A store of this package, or another `FraudStore`.
        hours: One window of so many hours; if left out, those of `WINDOWS`.

    Raises:
        ConfigurationError: The store does not count, or `hours` is not a whole number from 1 to
            336.
        StoreError: The store cannot answer.
    """
    wanted = WINDOWS if hours is None else (hours,)
    for one in wanted:
        check_hours(one)
    if not callable(getattr(store, "traffic", None)):
        raise ConfigurationError(f"{type(store).__name__} does not count traffic.")
    counting = cast(FraudStore, store)  # as far as this needs it
    return [Window(one, describe(counting.traffic(one), one)) for one in wanted]


def traffic_lines(windows: Sequence[Window]) -> Iterator[str]:
    """The tables as plain lines."""
    for place, window in enumerate(windows):
        if place:
            yield ""
        yield window.title
        if not window.countries:
            yield NOTHING
            continue
        rows = [window.headings, *map(window.cells, window.countries), window.cells(window.total)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        marks = ["", *("!" if one.suspicious else "" for one in window.countries), ""]
        for row, mark in zip(rows, marks, strict=True):
            cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
            cells[0] = row[0].ljust(widths[0])
            yield f"{_GAP.join(cells)}{_GAP}{mark}".rstrip()
    if any(one.suspicious for window in windows for one in window.countries):
        yield from ("", HINT)


def traffic_json(windows: Sequence[Window]) -> str:
    """The windows as one JSON object. Costs are texts, because they are decimal numbers."""
    return json.dumps(
        {
            "windows": [
                {"hours": window.hours, "countries": [_plain(one) for one in window.countries]}
                for window in windows
            ]
        }
    )


def _plain(one: Traffic) -> dict[str, object]:
    return {
        "country": one.country,
        "since": one.since.isoformat(),
        "sent": one.sent,
        "verified": one.verified,
        "conversion": one.conversion,
        "refused": one.refused,
        "would_refuse": one.would_refuse,
        "cost": str(one.cost),
        "suspicious": one.suspicious,
    }
