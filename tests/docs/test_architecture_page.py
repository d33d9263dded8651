"""The table of rules in docs/architecture.md names files and symbols that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import otpverify

PACKAGE = Path(otpverify.__file__).parent
PAGE = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text()
PLACE = re.compile(r"`([\w/]+\.(?:py|lua))`: `(\w+)`")
ROWS = [
    (rule, PLACE.findall(where), PLACE.findall(mirror))
    for rule, where, mirror in re.findall(
        r"^\| ([^|]+) \| (`[^|]+`) \|([^|]*)\|$", PAGE, re.MULTILINE
    )
]


def test_the_table_is_read() -> None:
    assert len(ROWS) > 15


@pytest.mark.parametrize(("rule", "where", "mirror"), ROWS, ids=[rule for rule, _, _ in ROWS])
def test_a_rule_and_its_mirror_are_where_the_table_says(
    rule: str, where: list[tuple[str, str]], mirror: list[tuple[str, str]]
) -> None:
    assert len(where) == 1, rule
    for file, name in where:
        source = (PACKAGE / file).read_text()
        assert re.search(rf"^\s*(?:async )?(?:def|class) {name}\b", source, re.MULTILINE), name
    for file, name in mirror:
        assert re.search(rf"\b{name}\b", (PACKAGE / file).read_text()), name


def test_every_script_of_an_operation_that_changes_something_is_a_mirror() -> None:
    mirrors = {file for _, _, places in ROWS for file, _ in places}
    for name in ("open", "place", "check", "redeem", "release", "report", "reserve", "give_back"):
        assert f"stores/redis/lua/{name}.lua" in mirrors, name
