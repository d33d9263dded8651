"""The numbers in a CSV file, as spreadsheets and address books export it.

A spreadsheet may keep a phone number as a number. An export then adds decimals (`.0`), separates
thousands, or rounds (`3.58412E+11`). A cell is read as the number that was exported or refused:
one digit more or less is the number of a stranger.
"""

from __future__ import annotations

import codecs
import csv
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from otpverify import ConfigurationError, InvalidPhoneNumber
from otpverify.core.invisible import without_invisible

_NAMES = {"phone", "number", "mobile", "msisdn", "tel", "telephone", "phonenumber", "mobilenumber"}
_NAMES |= {"to", "tonumber", "cell", "phoneno", "mobilephone", "telephonenumber", "phone1value"}
_DELIMITERS = ";\t,|"
# What programs and people write into a cell that has no value.
_MISSING = {"", "na", "nan", "nil", "none", "null", "undefined", "unknown", "tbd"}
_MISSING |= {"true", "false", "wahr", "falsch", "vrai", "faux", "verdadero", "falso"}
# What else a spreadsheet writes in the place of a number: an error ("#N/A", "#WERT!"), a number
# that it rounded ("1E+11"), a day ("12-Mar", "Mar-12").
_NOT_A_HEADING = re.compile(
    r"#[^\W\d_]+[!?]|#\w+/\w+[!?]?|#NV|[+-]?\d[\d.,]*\s*E\s*[+-]?\d+"
    r"|\d{1,2}(?:[-/ ]|\. ?)[^\W\d_]{3,4}\.?|[^\W\d_]{3,4}\.?-\d{2}",
    re.IGNORECASE,
)
_FEWEST_DIGITS = 5
"""A cell with fewer digits holds no phone number, so it may be a heading ("Phone 1")."""
_FEWEST_OF_A_NUMBER = 7
_LONGEST_PLACE = 9
"""In digits, of a column's place. Python reads no number of thousands of digits."""
_LETTERS_OF_A_NUMBER = re.compile(r"^\s*tel:|(?<=\d)e(?=[+-]?\d)", re.IGNORECASE)

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_SEPARATOR_LINE = re.compile(
    r'"?sep=(?P<delimiter>\\t|[^\w"+\r\n])(?P=delimiter)*"?', re.IGNORECASE
)
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_SAVE_AS = 'save it as "CSV UTF-8"'
# UTF-32 comes first: its mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the file.

    Attributes:
        line: The line where it begins, from 1.
        given: The cell with the number, as it is in the file.
        number: The number in the cell; `None` if the cell does not hold one.
        error: Why it does not.
    """

    line: int
    given: str = field(repr=False)
    number: str | None = field(default=None, repr=False)
    error: InvalidPhoneNumber | None = None


@dataclass(frozen=True, slots=True)
class NumberList:
    """The numbers in a file.

    Attributes:
        rows: The rows with numbers. Empty rows are left out.
        heading: The heading of their column; `None` if the file has no headings.
        heading_line: The line of the headings; 0 without them.
    """

    rows: tuple[Row, ...]
    heading: str | None = None
    heading_line: int = 0


class _Record(NamedTuple):
    line: int
    last_line: int
    cells: list[str]


def read_numbers(path: Path, column: str | None = None) -> NumberList:
    """Read the numbers in one column of a CSV file.

    The file is in UTF-8, or in UTF-16 with a byte order mark (Excel's "Unicode text"). Commas,
    semicolons, tabs or vertical bars separate the columns, or the character that the first line
    names (`sep=;`). The first row is the headings if it has the column's name, or if its cell has
    letters and fewer than five digits. Rows without any cell are skipped; every other row is
    either a number or an error.

    Args:
        path: The file.
        column: The column's place from 1, or its heading. If left out, the column with a usual
            heading (`phone`, `number`, `mobile`, ...), or the only column.

    Raises:
        ConfigurationError: The file cannot be read, a quote is not closed, or it is not clear
            which column to use. The message names the line.
    """
    lines = _lines(path)
    start, delimiter = _delimiter(path, lines)
    rows: list[Row] = []
    width, place, heading, heading_line = 0, None, None, 0
    for record in _records(path, lines, start, delimiter):
        if not any(cell.strip() for cell in record.cells):
            continue
        if place is None:
            place, named = _place(path, record.cells, column)
            width = len(record.cells)
            if named or _is_heading(record.cells[place]):
                heading, heading_line = record.cells[place].strip(), record.line
                continue
        _refuse_swallowed(path, record, place, delimiter)
        rows.append(_row(record, place, width))
    if not rows:
        raise ConfigurationError(f"{path} contains no numbers, or is not a CSV file.")
    return NumberList(tuple(rows), heading, heading_line)


def _row(record: _Record, place: int, width: int) -> Row:
    cells = record.cells
    given = cells[place].strip() if place < len(cells) else ""
    try:
        if any(cell.strip() for cell in cells[width:]):
            # A delimiter inside a cell moves another column into the place of the numbers.
            raise InvalidPhoneNumber(
                f"This row has {len(cells)} cells; the first row has {width}.",
                reason="not_a_number",
            )
        return Row(record.line, given, read_number(given))
    except InvalidPhoneNumber as error:
        # A long list may have many invalid rows: their stack frames are not kept.
        return Row(record.line, given, error=error.with_traceback(None))


def _lines(path: Path) -> list[str]:
    """The lines of the file, with their ends."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error.strerror or type(error).__name__) from error
    if content.startswith(_SPREADSHEETS):
        raise _unreadable(path, f"it is a spreadsheet; {_SAVE_AS}")
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = len(re.findall(rb"\r\n|\r|\n", content[: error.start])) + 1
        where = f"line {line} is not in UTF-8" if encoding == "utf-8" else f"it is not {encoding}"
        raise _unreadable(path, f"{where}; {_SAVE_AS}") from error
    lines = _LINE.findall(text.lstrip("\ufeff"))
    for number, line in enumerate(lines, 1):
        if "\0" in line:
            raise _unreadable(path, f"line {number} contains a NUL byte; {_SAVE_AS}")
    return lines


def _delimiter(path: Path, lines: Sequence[str]) -> tuple[int, str]:
    """How many lines to skip, and the delimiter."""
    first = lines[0].rstrip("\r\n") if lines else ""
    if found := _SEPARATOR_LINE.fullmatch(first if first.endswith("\t") else first.strip()):
        return 1, found["delimiter"].replace("\\t", "\t")
    if first.strip().lower().startswith("sep="):
        raise _unreadable(path, "line 1 names a separator that cannot be used")
    line = next((line for line in lines if line.strip()), "")
    outside_quotes = re.sub(r'"[^"]*"', "", line)
    return 0, max(_DELIMITERS, key=outside_quotes.count)


def _records(path: Path, lines: Sequence[str], start: int, delimiter: str) -> Iterator[_Record]:
    """The records of the file, by RFC 4180.

    Raises:
        ConfigurationError: A quote is not closed, or is followed by text.
    """
    reader = csv.reader(lines[start:], delimiter=delimiter, strict=True, skipinitialspace=True)
    while True:
        line = start + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            cells, long = None, "limit" in str(error)
        if cells is None:
            why = "a quote is not closed, or text follows it"
            if long:
                why += f"; or a cell has more than {csv.field_size_limit():,} characters"
            raise _unreadable(path, f"in the row that begins on line {line}, {why}")
        yield _Record(line, start + reader.line_num, cells)


def _refuse_swallowed(path: Path, record: _Record, place: int, delimiter: str) -> None:
    """Refuse a quoted cell that goes on over what looks like rows with numbers: its quote was not
    closed, and a later row has closed it.

    Raises:
        ConfigurationError: It does.
    """
    if record.line == record.last_line:
        return
    for index, cell in enumerate(record.cells):
        before = record.cells[:index]
        for line in cell.splitlines():
            cells = [*before, *line.split(delimiter)]
            if delimiter in line and len(before) <= place < len(cells) and _is_number(cells[place]):
                raise _unreadable(
                    path,
                    f"in the row that begins on line {record.line}, a quote is not closed: it "
                    "goes on over another row with a number",
                )
            before = []


def _is_number(cell: str) -> bool:
    digits = sum(map(str.isdecimal, cell))
    letters = any(map(str.isalpha, _LETTERS_OF_A_NUMBER.sub("", cell)))
    return digits >= _FEWEST_OF_A_NUMBER and not letters


def _is_heading(cell: str) -> bool:
    if _NOT_A_HEADING.fullmatch(cell.strip()):
        return False
    name = _plain(cell)
    digits = sum(map(str.isdecimal, name))
    return name not in _MISSING and any(map(str.isalpha, name)) and digits < _FEWEST_DIGITS


def _place(path: Path, first: list[str], column: str | None) -> tuple[int, bool]:
    """The place of the column in the first row, and whether that row has its heading."""
    names = [_plain(cell) for cell in first]
    if column is None:
        usual = [place for place, name in enumerate(names) if name in _NAMES]
        if len(usual) == 1:
            return usual[0], True
        if len(first) == 1:
            return 0, False
        raise ConfigurationError(
            f"The file {path} has {len(first)} columns; choose the one with the numbers with "
            f"--column.{_headings(first)}"
        )
    wanted = column.strip()
    place = int(wanted) if wanted.isdecimal() and len(wanted) <= _LONGEST_PLACE else 0
    if 1 <= place <= len(first):
        return place - 1, False
    for found in (
        [place for place, cell in enumerate(first) if cell.strip() == wanted],
        [place for place, name in enumerate(names) if name and name == _plain(wanted)],
    ):
        if len(found) == 1:
            return found[0], True
        if found:
            places = " and ".join(str(place + 1) for place in found)
            raise ConfigurationError(
                f"The file {path} has more than one column {column!r}: choose one by its place "
                f"({places})."
            )
    headings = {_plain(cell): cell.strip() for cell in first if _is_heading(cell)}
    near = get_close_matches(_plain(wanted), headings, 1)
    hint = f" Did you mean {headings[near[0]]!r}?" if near else ""
    raise ConfigurationError(
        f"The file {path} has no column {column!r} in its first line.{hint or _headings(first)}"
    )


def _headings(first: Sequence[str]) -> str:
    """The headings in a sentence; "" if the row may hold numbers, which no message shows."""
    if not all(_is_heading(cell) for cell in first if cell.strip()):
        return ""
    return f" It has {', '.join(repr(cell.strip()) for cell in first if cell.strip())}."


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name))).casefold()


def _unreadable(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(f"{path} cannot be read: {why}.")


_QUOTES = {'"': '"', "'": "'", "\u2018": "\u2019", "\u201c": "\u201d", "\u201e": "\u201c"}
_APOSTROPHES = "'\u2018\u2019\u00b4`"
# What stands between thousands: a point, a comma, a space, an apostrophe, Arabic separators.
_BETWEEN = r"[.,\uff0e\uff0c'\u2018\u2019\u00b4`\u066c\u00a0\u2009\u202f ]"
_DECIMAL_MARKS = ".,\uff0e\uff0c\u066b"
_MARK = rf"[{_DECIMAL_MARKS}]"

# Excel's way to keep a cell as text: ="+358...".
_FORMULA = re.compile(r'=\s*"(?P<text>[^"]*)"')
_SCIENTIFIC = re.compile(
    rf"(?P<whole>\+?\d+)(?:{_MARK}(?P<fraction>\d*))?\s*[eE]\s*\+?(?P<power>\d{{1,4}})"
)
# Thousands in threes, or in India two by two and three at the end; then perhaps decimals.
_THOUSANDS = re.compile(
    rf"(?P<sign>\+?)(?P<head>\d{{1,3}})(?P<between>{_BETWEEN})"
    r"(?P<tail>\d{3}(?:(?P=between)\d{3})*|(?:\d{2}(?P=between))+\d{3})"
    rf"(?:(?P<mark>{_MARK})(?P<decimals>\d*))?"
)
# One decimal mark after a whole number, which may be written with spaces and hyphens.
_DECIMALS = re.compile(rf"(?P<number>[^{_DECIMAL_MARKS}]*){_MARK}\s*(?P<decimals>\d+)")
_NOTHING_BUT_DIGITS = re.compile(r"\+?\d+")
_LONGEST_CELL = 256
_FEWEST_BEFORE_A_MARK = 5
"""A whole number with fewer digits is the first part of a number that is written with a mark."""
_MOST_DIGITS = 8
"""A whole number with so many digits is not the first part of such a number."""
_MOST_DECIMALS = 2
"""Longer ones may be the second part of such a number."""
# A lonely zero after marks that separate groups of digits.
_LAST_ZERO = re.compile(rf".*{_MARK}.*{_MARK}\s*\d")
# A cell that begins with a plus is a formula: of "+358-41-2345678" the spreadsheet keeps only the
# result. Negative numbers also stand in brackets, or have their sign at the end.
_MINUS = "-\u2010\u2011\u2012\u2013\u2014\u2212\uff0d"
_BARE = r"\d[\d.,'\u2019\u00a0\u2009\u202f ]*"
_NEGATIVE = re.compile(rf"[{_MINUS}]\s*[(\d].*|\(\s*{_BARE}\)|{_BARE}[{_MINUS}]")
_DAY, _MONTH = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])"
_DATE = re.compile(
    rf"(?:19|20)\d\d(?P<a>[-./])(?:{_MONTH}(?P=a){_DAY}|{_DAY}(?P=a){_MONTH})"
    rf"|(?:{_DAY}(?P<b>[-./]){_MONTH}|{_MONTH}(?P<c>[-./]){_DAY})(?(b)(?P=b)|(?P=c))(?:19|20)?\d\d",
    re.ASCII,
)

_ROUNDED = (
    "The spreadsheet rounded this number. Format the column as text and export the list again."
)
_NOT_WHOLE = "This is not a whole number. Format the column as text and export the list again."
_CALCULATED = (
    "This is a negative number: the spreadsheet calculated with the phone number. Format the "
    "column as text and write the number again."
)
_IS_DATE = "This is a date. Format the column as text and write the number again."
_SEVERAL_LINES = "This cell has several lines. Write one number in each row."


def read_number(cell: str) -> str:
    """The phone number in a cell, as `otpverify.phone.normalize` reads it.

    Args:
        cell: The cell.

    Raises:
        InvalidPhoneNumber: The cell does not hold the whole number, or it is not clear which
            number was exported.
    """
    text = _unquoted(without_invisible(cell).strip())
    if len(text) > _LONGEST_CELL:
        return text  # too long for a number, and for what looks for one in it
    if len(text.splitlines()) > 1:
        raise InvalidPhoneNumber(_SEVERAL_LINES, reason="not_a_number")
    if _NEGATIVE.fullmatch(text):
        raise InvalidPhoneNumber(_CALCULATED, reason="not_a_number")
    if _DATE.fullmatch(text):
        raise InvalidPhoneNumber(_IS_DATE, reason="not_a_number")
    if found := _SCIENTIFIC.fullmatch(text):
        return _expanded(found["whole"], found["fraction"] or "", int(found["power"]))
    if found := _THOUSANDS.fullmatch(text):
        return _without_thousands(found, text)
    if found := _DECIMALS.fullmatch(text):
        return _without_decimals(found["number"], found["decimals"], text)
    if _LAST_ZERO.fullmatch(text) and _is_zero(text[-1]):
        raise InvalidPhoneNumber(_NOT_WHOLE, reason="not_a_number")
    return text


def _unquoted(text: str) -> str:
    if found := _FORMULA.fullmatch(text):
        return _unquoted(found["text"].strip())
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        return text[1:-1].strip()
    # An apostrophe makes a spreadsheet keep what follows as text.
    return text[1:].strip() if text[:1] in _APOSTROPHES else text


def _expanded(whole: str, fraction: str, power: int) -> str:
    """A number in scientific notation, if all of its digits are there."""
    if power > len(fraction):
        raise InvalidPhoneNumber(_ROUNDED, reason="not_a_number")
    if not _is_zero(fraction[power:]):
        raise InvalidPhoneNumber(_NOT_WHOLE, reason="not_a_number")
    return whole + fraction[:power]


def _without_thousands(found: re.Match[str], text: str) -> str:
    between, mark, decimals = found["between"], found["mark"], found["decimals"]
    number = found["sign"] + found["head"] + found["tail"].replace(between, "")
    if mark is None:
        # "5678.904": a mark between the two halves of a number, as people write it.
        return text if between in _DECIMAL_MARKS and text.count(between) == 1 else number
    if _is_zero(decimals) and mark != between:
        return number
    raise InvalidPhoneNumber(_NOT_WHOLE, reason="not_a_number")


def _without_decimals(number: str, decimals: str, text: str) -> str:
    first_part = sum(map(str.isdecimal, number)) < _FEWEST_BEFORE_A_MARK
    if _is_zero(decimals) and not (first_part and len(decimals) > _MOST_DECIMALS):
        return number
    decimal = len(decimals) <= _MOST_DECIMALS or len(number.lstrip("+")) >= _MOST_DIGITS
    if not first_part and decimal and _NOTHING_BUT_DIGITS.fullmatch(number):
        raise InvalidPhoneNumber(_NOT_WHOLE, reason="not_a_number")
    return text


def _is_zero(digits: str) -> bool:
    return all(unicodedata.decimal(digit, None) == 0 for digit in digits)
