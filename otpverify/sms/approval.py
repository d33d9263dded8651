"""The line that says what a code approves, whoever wrote the values in it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from otpverify.sms.checks import BIDI_CONTROLS
from otpverify.sms.languages import Language

# First strong isolate, and its end: a value keeps its own direction in a right-to-left line.
_ISOLATE, _END_OF_ISOLATE = "\u2068", "\u2069"
_CONTROLS = "".join(map(chr, (*range(32), *range(127, 160)))) + BIDI_CONTROLS
_NO_CONTROLS = str.maketrans("", "", _CONTROLS)

# Chromium takes the first `@host #code` of a text, wherever it stands.
_ORIGIN = r"(@\S+) (?=#)"
# Where a link is cut: after a scheme, after www., and after a dot before what may be a top-level
# domain, two characters of which the first is a letter. IDNA has three more dots (RFC 3490, 3.1).
_DOT = "[.\u3002\uff0e\uff61]"
_SCHEME_OR_DOT = (
    rf"(://|\bwww{_DOT})(?=[^\s#])"
    rf"|(?<=\S)({_DOT})(?=[^\W\d_][^\s!-,./:-@\[-`{{-~\u3002\uff0e\uff61])"
)
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]?[0-9])"
_IPV4 = rf"(?<![0-9]){_OCTET}(?:\.{_OCTET}){{3,}}(?![0-9])"


def approval(language: Language, binding: Mapping[str, str]) -> str:
    """The line that says what the code approves."""
    rtl = language.direction == "rtl"
    fields = language.list.join(
        f"{_plain(name)}: {_ISOLATE}{_plain(value)}{_END_OF_ISOLATE}"
        if rtl
        else f"{_plain(name)}: {_plain(value)}"
        for name, value in binding.items()
    )
    return language.approves.replace("{fields}", fields)


def _plain(value: str) -> str:
    """One line that reads as it is written, whatever the field held, and in which phones find
    nothing to tap on: no origin line and no link."""
    line = " ".join(value.split()).translate(_NO_CONTROLS)
    line = re.sub(_ORIGIN, r"\1", line)
    line = re.sub(f"(?i){_SCHEME_OR_DOT}", r"\g<0> ", line)
    return re.sub(_IPV4, lambda found: found.group().replace(".", ". "), line)
