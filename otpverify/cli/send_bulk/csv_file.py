"""The numbers in a CSV file."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from otpverify import ConfigurationError

_NAMES = {"phone", "number", "mobile", "msisdn", "tel", "telephone", "phonenumber", "mobilenumber"}
_NAMES |= {"to", "tonumber", "cell", "phoneno", "mobilephone"}
_DELIMITERS = ";\t,"


@dataclass(frozen=True, slots=True)
class Row:
    """A number in the file.

    Attributes:
        line: The line it stands on, from 1.
        given: What stands there.
    """

    line: int
    given: str = field(repr=False)


def read_numbers(path: Path, column: str | None = None) -> list[Row]:
    """The numbers in one column of a CSV file, with comma, semicolon or tab between columns.

    A first line without any digit in that column is the header. Empty lines are skipped.

    Args:
        path: The file, in UTF-8.
        column: The column's name in the first line, or its place from 1. If left out, the one
            with a usual name (`phone`, `number`, `mobile`, ...), or the only one.

    Raises:
        ConfigurationError: The file cannot be read, or it is unclear which column to use.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not in UTF-8"
        raise ConfigurationError(f"{path} cannot be read: {why}.") from error
    first_line = text.lstrip().partition("\n")[0]
    reader = csv.reader(StringIO(text), delimiter=max(_DELIMITERS, key=first_line.count))
    rows: list[Row] = []
    place: int | None = None
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if place is None:
                place = _place(cells, column)
                if not any(map(str.isdecimal, _cell(cells, place))):
                    continue
            rows.append(Row(reader.line_num, _cell(cells, place)))
    except csv.Error:
        rows.clear()
    if not rows:
        raise ConfigurationError(f"{path} contains no numbers, or is not a CSV file.")
    return rows


def _cell(cells: list[str], place: int) -> str:
    return cells[place].strip() if place < len(cells) else ""


def _place(first: list[str], column: str | None) -> int:
    names = [_plain(cell) for cell in first]
    if column is None:
        usual = [place for place, name in enumerate(names) if name in _NAMES]
        if len(usual) == 1:
            return usual[0]
        if len(first) == 1:
            return 0
        raise ConfigurationError(
            f"The file has {len(first)} columns; choose the one with the numbers with --column."
        )
    if _plain(column) in names:
        return names.index(_plain(column))
    if column.isdecimal() and 1 <= int(column) <= len(first):
        return int(column) - 1
    # The message does not quote the first line: without a header it holds a number.
    raise ConfigurationError(f"The file has no column {column!r} in its first line.")


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()
