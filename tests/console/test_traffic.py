"""Traffic as plain lines, as JSON, and as a table on a terminal."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console

from otpverify import ConfigurationError, MemoryStore
from otpverify.console.traffic import Window, read_windows, traffic_json, traffic_lines
from otpverify.console.traffic_table import print_tables
from otpverify.core.traffic import Counts, Totals, describe

AT = 1_772_366_400_000 + 2_040_000  # 2026-03-01 12:34 UTC
COUNTRIES = (
    ("", Counts(refused=4)),
    ("DE", Counts(950, 712, 3, 0, 95_000_000)),
    ("EE", Counts(12, 9, 0, 0, 480_000)),
    ("UZ", Counts(11, 0, 50_123, 0, 4_774_000)),
)
LINES = """\
Last hour, since 2026-03-01 11:00 UTC
country  sent  verified  conversion  refused    cost
UZ         11         0          0%   50,123    4.77  !
DE        950       712         75%        3   95.00
none        0         0           -        4    0.00
EE         12         9         75%        0    0.48
all       973       721         74%   50,130  100.25

Last 5 hours
Nothing was counted. Traffic is counted where a FraudPolicy is on.

! Fewer than a fifth of the messages that were asked for had their code entered."""


def window(hours: int, *countries: tuple[str, Counts]) -> Window:
    return Window(hours, describe(Totals(AT, countries), hours))


WINDOWS = [window(1, *COUNTRIES), window(5)]


def drawn(
    windows: list[Window], width: int, encoding: str = "utf-8", *, no_color: bool = False
) -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=stream, width=width, force_terminal=True, no_color=no_color)
    print_tables(windows, console)
    stream.flush()
    stream.seek(0)
    raw = stream.buffer.read()
    return re.sub(r"\x1b\[[0-9;]*m", "", raw.decode(encoding))


def words(text: str) -> list[str]:
    return [word for word in text.split() if not set(word) <= set("━╸╺-")]


def test_plain_lines() -> None:
    assert "\n".join(traffic_lines(WINDOWS)) == LINES


def test_what_is_only_observed_has_a_column_of_its_own() -> None:
    title, headings, ee, total = traffic_lines([window(24, ("EE", Counts(9, 1, 0, 5, 90_000)))])
    assert title == "Last day, since 2026-02-28 12:00 UTC"
    assert headings == "country  sent  verified  conversion  refused  would refuse  cost"
    assert ee == "EE          9         1         11%        0             5  0.09"
    assert total == "all         9         1         11%        0             5  0.09"


def test_json_has_all_of_it() -> None:
    found = json.loads(traffic_json(WINDOWS))
    first, second = found["windows"]
    assert (first["hours"], second) == (1, {"hours": 5, "countries": []})
    uz, _, nowhere, ee = first["countries"]
    assert uz == {
        "country": "UZ",
        "since": "2026-03-01T11:00:00+00:00",
        "sent": 11,
        "verified": 0,
        "conversion": 0.0,
        "refused": 50_123,
        "would_refuse": 0,
        "cost": "4.774",
        "suspicious": True,
    }
    assert (nowhere["country"], nowhere["conversion"]) == (None, None)
    assert (ee["conversion"], ee["suspicious"]) == (0.75, False)


@pytest.mark.parametrize("width", [58, 60, 66, 70, 80, 100, 200])
def test_a_terminal_shows_the_same_words_at_every_width(width: int) -> None:
    shown = drawn(WINDOWS, width)
    assert words(shown) == words(LINES)
    assert max(map(len, shown.splitlines())) <= width
    assert ("━" in shown) == (width >= 70)


def test_bars_show_the_shares() -> None:
    """Of 12 places. Without colours, the rest of a bar is blank."""
    bars = {}
    for line in drawn(WINDOWS, 100, no_color=True).splitlines():
        bars[line.partition(" ")[0]] = re.findall("[━╸]+", line)
    assert bars["DE"] == ["━" * 12, "━" * 8 + "╸"]
    assert bars["EE"] == ["━" * 9]  # too few beside those of DE to be seen
    assert bars["UZ"] == bars["none"] == bars["all"] == []


@pytest.mark.parametrize("width", [20, 40])
def test_a_narrow_terminal_loses_no_digit(width: int) -> None:
    shown = "".join(drawn(WINDOWS, width).split())
    assert sorted(c for c in shown if c.isdigit()) == sorted(c for c in LINES if c.isdigit())


def test_a_terminal_without_such_letters_has_bars_of_hyphens() -> None:
    shown = drawn(WINDOWS, 100, "latin-1")
    assert words(shown) == words(LINES)
    assert "---" in shown


def test_a_store_that_does_not_count_says_so() -> None:
    with pytest.raises(ConfigurationError, match="object does not count traffic"):
        read_windows(object())
    with pytest.raises(ConfigurationError, match="hours must be at most 336"):
        read_windows(MemoryStore(), 337)
