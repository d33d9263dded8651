"""Reads a phone number from a cell as spreadsheets export it.

A spreadsheet may keep a phone number as a number. An export then adds decimals (`.0`), separates
thousands, or rounds (`3.58412E+11`). A cell is read as the number that was exported or refused:
one digit more or less is the number of a stranger.
"""

from __future__ import annotations

import re
import unicodedata

from otpverify.core.invisible import without_invisible
from otpverify.errors import InvalidPhoneNumber

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
_FEWEST_DIGITS = 5
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
    first_part = sum(map(str.isdecimal, number)) < _FEWEST_DIGITS
    if _is_zero(decimals) and not (first_part and len(decimals) > _MOST_DECIMALS):
        return number
    decimal = len(decimals) <= _MOST_DECIMALS or len(number.lstrip("+")) >= _MOST_DIGITS
    if not first_part and decimal and _NOTHING_BUT_DIGITS.fullmatch(number):
        raise InvalidPhoneNumber(_NOT_WHOLE, reason="not_a_number")
    return text


def _is_zero(digits: str) -> bool:
    return all(unicodedata.decimal(digit, None) == 0 for digit in digits)
