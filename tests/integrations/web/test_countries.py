"""The numbering plans of the pages' script are those of the package `phonenumbers`."""

from __future__ import annotations

import json
import re

import countries
import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat

FOUND = json.loads(countries.FILE.read_text("ascii"))
SAME_VERSION = FOUND["version"] == phonenumbers.__version__


def written(digits: str, ways: list[str]) -> str:
    """A number within its country, as the script writes it."""
    for way in ways:
        shape, _, start = way.partition("=")
        if re.match(start, digits):
            sizes = re.findall(r"[\d,]+", shape)
            if groups := re.fullmatch("".join(rf"(\d{{{size}}})" for size in sizes), digits):
                between = [*re.split(r"[\d,]+", shape)[1:-1], ""]
                return "".join(map("".join, zip(groups.groups(), between, strict=True)))
    return digits


@pytest.mark.skipif(not SAME_VERSION, reason="made by another version of phonenumbers")
def test_the_file_is_current() -> None:
    """If this fails: `make countries`."""
    assert countries.made() == FOUND


def test_every_region_has_a_plan() -> None:
    regions = " ".join(regions for regions, *_ in FOUND["plans"].values()).split()
    assert sorted(regions) == sorted(phonenumbers.SUPPORTED_REGIONS)


def test_numbers_are_written_as_the_package_writes_them() -> None:
    """Also by a newer package, but for a few numbers whose plan has changed."""
    wrong, tried = [], 0
    for code, (regions, _, *ways) in FOUND["plans"].items():
        for region in regions.split():
            number = phonenumbers.example_number(region)
            assert number is not None
            wanted = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
            tried += 1
            if (
                f"+{code} {written(phonenumbers.national_significant_number(number), ways)}"
                != wanted
            ):
                wrong.append(wanted)
    assert len(wrong) <= (0 if SAME_VERSION else tried // 20), wrong


def test_the_file_is_small() -> None:
    assert countries.FILE.stat().st_size < 24_000
