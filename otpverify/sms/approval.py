"""The line of a message that states what the code approves.

A binding's values may come from a stranger, such as the name of a payee. The reader can always tell
the fields apart and the code from digits in a value, and can tap nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from itertools import pairwise

from otpverify.core.invisible import without_invisible
from otpverify.core.keys import check_binding
from otpverify.errors import BindingTooLong
from otpverify.sms.gsm7 import segments
from otpverify.sms.languages import Language
from otpverify.sms.lint_rules import BIDI_CONTROLS

_MOST_SEGMENTS = 10  # of a text with a binding: a longer one may come from an attacker
_UNITS_OF_A_SEGMENT = 153

# First strong isolate and its end: a value keeps its own direction in a right-to-left line.
_ISOLATE, _END_OF_ISOLATE = "\u2068", "\u2069"
_CONTROLS = "".join(map(chr, (*range(32), *range(127, 160)))) + BIDI_CONTROLS
_NO_CONTROLS = str.maketrans("", "", _CONTROLS)

# A link is cut after a scheme, after www., and after a dot before a possible top-level domain: two
# characters of which the first is a letter. IDNA has three more dots (RFC 3490, 3.1).
_DOT = "[.\u3002\uff0e\uff61]"
_SCHEME_OR_DOT = (
    rf"(://|\bwww{_DOT})(?=[^\s#])"
    rf"|(?<!\s)({_DOT})(?=[^\W\d_][^\s!-,./:-@\[-`{{-~\u3002\uff0e\uff61])"
)
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]?[0-9])"
_IPV4 = rf"(?<![0-9]){_OCTET}(?:\.{_OCTET}){{3,}}(?![0-9])"

# What separates a name from a value or a field from the next, and what looks like it (Unicode
# Technical Standard 39, confusables).
_PLAIN_SEPARATORS = ",;:="
_LOOK_ALIKES = (
    # Like a colon or an equals sign.
    "\u02d0\u02d1\u02f8\u0589\u05c3\u0703\u0704\u0903\u0a83\u1361\u1365\u1366\u16ec\u1803\u1809"
    "\u205a\u205d\u2236\u2237\u2254\u2255\u2a74\ua4fd\ua789\ufe13\ufe30\ufe55\uff1a\u2550\u30a0"
    "\ua78a\ufe66\uff1d"
    # Like a comma or a semicolon.
    "\u00b8\u02cf\u037e\u055d\u060c\u060d\u061b\u066b\u066c\u07f8\u1363\u1364\u1802\u1808\u201a"
    "\u204f\u2e32\u2e34\u2e35\u2e41\u3001\ua4f9\ua4fe\ua60d\ufe10\ufe11\ufe14\ufe50\ufe51\ufe54"
    "\uff0c\uff1b\uff64"
    # Other marks between the entries of a list.
    "|\u00a6\u01c0\u2022\u2023\u2043\u2223\u23d0\u2758\uff5c\uffe8\u00b7\u2027\u2219\u22c5\u30fb"
)
# A mark between two digits belongs to an amount or a time; one before // to a link.
_SEPARATOR = re.compile(
    rf"(?<!\d)[{_PLAIN_SEPARATORS}](?!//)|[{_PLAIN_SEPARATORS}](?!\d|//)|[{_LOOK_ALIKES}]"
)
# The digits of an amount, a date or a time, and digits in groups, as people write codes.
_MARKED_NUMBER = re.compile(r"\d+(?:[.,:]\d+)+")
_GROUPED_DIGITS = re.compile(r"\d+(?:(?:[^\w.,:]|_){1,3}\d+)*")
_DOUBLE_QUOTES = (
    '"\u02ba\u02dd\u02ee\u201c\u201d\u201e\u201f\u2033\u2036\u3003\u301d\u301e\u301f\uff02'
)
_SINGLE_QUOTES = str.maketrans(dict.fromkeys(_DOUBLE_QUOTES, "'"))


def approval(language: Language, binding: Mapping[str, str], code_length: int) -> str:
    """The line that states what the code approves: each field by its name and value.

    A value stands in quotes if it could be read as another field, because it holds what separates
    fields, or as another code, because it holds as many digits as a code.

    Args:
        language: The language.
        binding: What the code approves; it has at least one field.
        code_length: How many digits the code has.

    Raises:
        BindingTooLong: It is too long.
        ConfigurationError: `binding` does not map str to str.
    """
    check_size(binding)  # before any work: it may come from an attacker
    fields = language.list.join(
        f"{_without_links(_plain(name))}{language.colon}{_value(value, language, code_length)}"
        for name, value in binding.items()
    )
    return language.approves.replace("{fields}", fields)


def check_size(binding: Mapping[str, str]) -> None:
    """Check that a binding is not too long for every text.

    Args:
        binding: What a code approves.

    Raises:
        BindingTooLong: No text holds it.
        ConfigurationError: It does not map str to str.
    """
    check_binding(binding)
    characters = sum(len(name) + len(value) for name, value in binding.items())
    if characters > _MOST_SEGMENTS * _UNITS_OF_A_SEGMENT:
        raise _too_long(f"more than {_MOST_SEGMENTS}")


def check_length(text: str) -> None:
    """Check the length of a text with a binding.

    Raises:
        BindingTooLong: It is too long.
    """
    if (parts := segments(text).parts) > _MOST_SEGMENTS:
        raise _too_long(str(parts))


def _too_long(parts: str) -> BindingTooLong:
    return BindingTooLong(
        f"This binding makes the text {parts} segments long, each of which is charged; at most "
        f"{_MOST_SEGMENTS} are sent. Shorten the values."
    )


def _value(value: str, language: Language, code_length: int) -> str:
    shown = _plain(value)
    if _may_imitate_a_field(shown) or _may_imitate_a_code(shown, code_length):
        # No mark inside may look like the closing quote.
        shown = f'"{shown.translate(_SINGLE_QUOTES)}"'
    shown = _without_links(shown)
    return f"{_ISOLATE}{shown}{_END_OF_ISOLATE}" if language.direction == "rtl" else shown


def _may_imitate_a_field(value: str) -> bool:
    """Whether a value could end in the reader's eyes before its end: it is empty, has double
    quotes, or has separators, except for a single one inside its first word ("a:b")."""
    if not value or any(quote in value for quote in _DOUBLE_QUOTES):
        return True
    first_word = value.split(" ", 1)[0]
    found = list(_SEPARATOR.finditer(value))
    if not found:
        return False
    place = found[0].start()
    return (
        len(found) > 1
        or found[0].group() not in _PLAIN_SEPARATORS
        or not 0 < place < len(first_word) - 1
    )


def _may_imitate_a_code(value: str, length: int) -> bool:
    """Whether a reader could take digits in a value for a code: a number of that length, or groups
    of digits that have it together. Digits of other scripts count, and superscripts."""
    text = unicodedata.normalize("NFKC", without_invisible(value))
    for digits in _GROUPED_DIGITS.findall(_MARKED_NUMBER.sub("x", text)):
        groups = [len(group) for group in re.findall(r"\d+", digits)]
        if length in (*groups, sum(groups)):
            return True
    return False


def _plain(value: str) -> str:
    """Any value as one plain line that is displayed in the order in which it is written."""
    return " ".join(value.split()).translate(_NO_CONTROLS)


def _without_links(line: str) -> str:
    """The line without an origin line, and without a link that a phone would make tappable."""
    line = _without_origin(line)
    line = re.sub(f"(?i){_SCHEME_OR_DOT}", r"\g<0> ", line)
    return re.sub(_IPV4, lambda found: found.group().replace(".", ". "), line)


def _without_origin(line: str) -> str:
    """The line without the space of `@host #code`: Chromium takes the first one of a text, at any
    position."""
    words = line.split(" ")
    joined = [words[0]]
    for word, following in pairwise(words):
        has_host = 0 <= word.find("@") < len(word) - 1
        joined.append(following if has_host and following.startswith("#") else f" {following}")
    return "".join(joined)
