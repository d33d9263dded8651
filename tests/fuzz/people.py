"""Targets: what people type, paste, upload and what their browsers send."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from decimal import Decimal
from pathlib import Path

from fuzz.judging import anything, judge, lines_of, one_of, text_of
from otpverify import ConfigurationError, InvalidPhoneNumber
from otpverify.cli.send_bulk.csv_file import read_number, read_numbers
from otpverify.core import codes
from otpverify.core.client_ip import network_of, read_address
from otpverify.core.invisible import without_invisible
from otpverify.core.phone import describe, is_canonical, parse
from otpverify.errors import BindingTooLong
from otpverify.integrations.web.backup_codes import read_backup_code
from otpverify.integrations.web.languages import (
    direction,
    has_pages,
    page_language,
    preferred_language,
)
from otpverify.integrations.web.problems import Problem
from otpverify.integrations.web.requests import client_address, json_object
from otpverify.integrations.web.sentences import code_in
from otpverify.phone import hint, mask, normalize
from otpverify.sms.gsm7 import in_gsm7, is_gsm7, segments, suggest_gsm7
from otpverify.sms.languages import languages, negotiate
from otpverify.sms.messages import Messages

REGIONS = ("", "EE", "US", "GB", "DE", "IT", "AR", "BR", "MX", "RU", "CI", "SM", "FR", "CN", "ZZ")
CODE = "904817"
# Numbers of these countries are typed at home with digits that E.164 has elsewhere, or not at all.
_REWRITTEN = ("+52", "+54", "+55", "+241", "+261", "+378", "+672")


def digits_of(text: str) -> str:
    """The decimal digits of any script, as ASCII."""
    values = (unicodedata.decimal(character, None) for character in text)
    return "".join(str(digit) for digit in values if digit is not None)


def phone(data: bytes) -> None:
    """The first line is the region."""
    region, raw = lines_of(data, 2)
    at = one_of(REGIONS, region) if region.isdecimal() else region
    typed = digits_of(raw)
    e164 = judge(
        lambda: normalize(raw, at or None), InvalidPhoneNumber, ConfigurationError, hides=(typed,)
    )
    if e164 is None:
        return
    assert re.fullmatch(r"\+[1-9][0-9]{4,14}", e164, re.ASCII), "not E.164"
    assert normalize(e164) == e164 == parse(e164, at or None), "another number, read again"
    same_number(e164, raw)
    found = describe(e164)
    assert e164 not in f"{found!r}{mask(e164)}{hint(e164)}", "shown in full"


def same_number(e164: str, raw: str) -> None:
    """Check that a number has the last digits that were typed, and its country if it was typed."""
    text = without_invisible(raw)
    typed = digits_of(text if "%" not in text else text.replace("%2B", "+").replace("%2b", "+"))
    if "%" in text:  # an escape has digits of its own
        return
    assert typed.endswith(e164[-4:]), "other digits than were typed"
    assert len(typed) >= len(e164) - 1 - 3, "digits that nobody typed"
    if text.strip().startswith("+") and not e164.startswith(_REWRITTEN):
        assert typed.startswith(e164[1:3]) or e164[1] in "17", "another country"
        rest = iter(typed)
        assert all(digit in rest for digit in e164[1:]), "digits in another order"


def code(data: bytes) -> None:
    """The first line is the code's length."""
    length, typed = lines_of(data, 2)
    wanted = one_of((6, 4, 8, 10), length)
    found = codes.clean(typed, wanted)
    seen = [one for one in without_invisible(typed) if not one.isspace() and not _is_hyphen(one)]
    if found is not None:
        assert re.fullmatch(rf"[0-9]{{{wanted}}}", found, re.ASCII)
        assert found == digits_of(typed), "another code than was typed"
        assert len(seen) == wanted, "something besides digits was typed"
        assert codes.clean(found, wanted) == found
    elif len(typed) <= 64:
        assert len(seen) != wanted or not all(
            unicodedata.decimal(one, None) is not None for one in seen
        )


def _is_hyphen(character: str) -> bool:
    return "HYPHEN" in unicodedata.name(character, "") and character in "-\u2010\u2011\ufe63\uff0d"


def pasted_message(data: bytes) -> None:
    """A whole message in the field of a code. What is read must stand in it."""
    length, typed = lines_of(data, 2)
    wanted = one_of((6, 4, 8, 10), length)
    found = code_in(typed, wanted)
    assert found in typed, "a code that is not in the message"
    if found != typed[:2000]:
        assert len(digits_of(found)) == wanted
        assert codes.clean(found, wanted) == digits_of(found)


def backup_code(data: bytes) -> None:
    typed = text_of(data)
    found = read_backup_code(typed)
    if found is not None:
        assert re.fullmatch("[0-9a-hjkmnp-tv-z]{10}", found)
        assert read_backup_code(f"{found[:5]}-{found[5:]}".upper()) == found


class Upload:
    """A file in memory, which a reader takes for a path."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __str__(self) -> str:
        return "list.csv"

    def read_bytes(self) -> bytes:
        return self.content

    def read_text(self, encoding: str) -> str:
        return self.content.decode(encoding)


def csv_file(data: bytes) -> None:
    """The first line is the column that is asked for."""
    column, _, content = data.partition(b"\n")
    path: Path = anything(Upload(content))
    found = judge(lambda: read_numbers(path, text_of(column) or None), ConfigurationError)
    if found is None:
        return
    assert found.rows
    lines = [row.line for row in found.rows]
    assert lines == sorted(set(lines)), "a line twice"
    for row in found.rows:
        assert (row.number is None) != (row.error is None)
        if row.number is not None:
            same_cell(row.number, row.given)
    again = io.StringIO()
    numbers = [row.number for row in found.rows if row.number]
    if numbers and all(len(number) < 20 and is_canonical(number) for number in numbers):
        csv.writer(again).writerows([["phone"], *([number] for number in numbers)])
        path = anything(Upload(again.getvalue().encode()))
        assert [row.number for row in read_numbers(path).rows] == numbers, "not what was written"


def csv_cell(data: bytes) -> None:
    cell = text_of(data)
    number = judge(lambda: read_number(cell), InvalidPhoneNumber, hides=(digits_of(cell),))
    if number is not None:
        same_cell(number, cell)
        judge(lambda: normalize(number, "EE"), InvalidPhoneNumber, hides=(digits_of(number),))


def same_cell(number: str, cell: str) -> None:
    """Check that a number has the digits of its cell, in their order, and no others. What is left
    out stands at the end: decimals, and the power of ten."""
    read, given = digits_of(number), digits_of(without_invisible(cell))
    assert given.startswith(read), "other digits than in the cell"
    written = re.fullmatch(r"(\+?\d+)(?:[.,](\d*))?(?:[eE]\+?(\d{1,3}))?", cell.strip(), re.ASCII)
    if written is not None and (written[3] or set(written[2] or "x") == {"0"}):
        value = Decimal(f"{written[1]}.{written[2] or 0}e{written[3] or 0}")
        # "1234.000" may be the two halves of a number.
        halves = not written[3] and read == written[1].lstrip("+") + (written[2] or "")
        assert value == int(read) or (halves and len(written[1]) < 6), "another number"
    left_out = given[len(read) :]
    if left_out.strip("0"):
        assert re.search(r"[eE]\s*\+?\d", cell), "digits of the cell are lost"


def template(data: bytes) -> None:
    """Lines: the language's tag, the purpose, the origin, the brand; the rest is the template."""
    tag, purpose, origin, brand, own = lines_of(data, 5)
    messages = judge(
        lambda: Messages(
            templates={tag: {purpose or "*": own}} if own else None,
            origin=origin or None,
            brand=brand or None,
        ),
        ConfigurationError,
    )
    if messages is None:
        return
    for lifetime in (45, 600):
        text = messages.render(CODE, ttl_seconds=lifetime, purpose=purpose or "login", locale=tag)
        body = text.rpartition("\n")[0] if origin else text
        assert body.count(CODE) == 1, "the code once"
        assert re.search(rf"(?<![0-9A-Za-z]){CODE}(?![0-9A-Za-z])", body), "the code apart"
        if own:
            assert segments(text).parts == 1
        if origin:
            assert text.endswith(f"\n@{origin} #{CODE}")
            first = re.search(r"(?:^|\s)@([a-zA-Z0-9.-]+) #([^#\s]+)", text)
            assert first is not None
            assert first.groups() == (origin, CODE), "another origin for the browser"


_MESSAGES = Messages(brand="Shop", origin="shop.example")


def binding(data: bytes) -> None:
    """The first line is the locale; the others are fields, their names before the first `=`."""
    locale, *fields = text_of(data).split("\n")
    pairs = dict(field.partition("=")[::2] for field in fields)
    text = judge(
        lambda: _MESSAGES.render(
            CODE, ttl_seconds=600, purpose="payment", locale=locale, binding=pairs
        ),
        BindingTooLong,
    )
    if text is None:
        return
    assert text.endswith(f"\n@shop.example #{CODE}"), "the last line is ours"
    first = re.search(r"(?:^|\s)@([a-zA-Z0-9.-]+) #([^#\s]+)", text)
    assert first is not None
    assert first.groups() == ("shop.example", CODE), "another origin for the browser"
    assert segments(text).parts <= 10
    bare = _MESSAGES.render(CODE, ttl_seconds=600, purpose="payment", locale=locale)
    assert text.count("\n") == bare.count("\n") + bool(pairs), "a value with a line of its own"
    assert not re.search(r"://\w", text), "a link that a phone makes tappable"


def gsm7(data: bytes) -> None:
    text = text_of(data)
    counted = segments(text)
    assert counted.parts >= (1 if text else 0)
    assert (counted.encoding == "GSM-7") == is_gsm7(text)
    written = in_gsm7(text)
    assert written is None or is_gsm7(written)
    suggest_gsm7(text)


def accept_language(data: bytes) -> None:
    header = text_of(data)
    for tag in (preferred_language(header), page_language(header)):
        assert re.fullmatch(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,3}", tag, re.ASCII)
        assert tag.lower() in header.lower() or tag == "en"
        assert direction(tag) in ("ltr", "rtl")
        assert negotiate(tag) in languages()
    assert has_pages(page_language(header))
    assert negotiate(header) in languages()
    direction(header)
    has_pages(header)


def client_ip(data: bytes) -> None:
    given = text_of(data)
    address = client_address(given)
    network = judge(lambda: network_of(given), ConfigurationError, hides=(given.strip(),))
    if network is None:
        assert read_address(given) is None
        return
    if address is not None:
        assert network_of(address) == network, "one person in two networks"
        assert client_address(address) == address
    assert network_of(network.removesuffix("/64")) == network


def json_body(data: bytes) -> None:
    """The first line is the content type."""
    content_type, _, body = data.partition(b"\n")
    found = json_object(text_of(content_type) or None, body)
    if isinstance(found, Problem):
        assert 400 <= found.status < 500
        return
    assert text_of(content_type).lower().lstrip().startswith("application/json")
    assert isinstance(found, dict)
