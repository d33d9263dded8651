"""The language of pages: what a browser prefers, and the texts in that language.

The texts of all frameworks are one gettext domain, `DOMAIN`, with its catalogues in `LOCALES`.
"""

from __future__ import annotations

import gettext
import re
from functools import lru_cache
from pathlib import Path
from typing import Final

DOMAIN: Final = "otpverify"
LOCALES: Final = Path(__file__).parent / "locale"

_RANGE = re.compile(
    r"(?P<tag>[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,3})\s*(?:;\s*q\s*=\s*(?P<q>[01](?:\.\d{0,3})?))?",
    re.ASCII,
)
_LONGEST_HEADER: Final = 1000


def preferred_language(accept_language: str | None, default: str = "en") -> str:
    """The language that a browser prefers.

    Args:
        accept_language: The request's header.
        default: For a header that names none.

    Returns:
        A BCP 47 tag: the one of the highest quality, and of these the first (RFC 9110, 12.5.4).
    """
    best, quality = default, 0.0
    for part in (accept_language or "")[:_LONGEST_HEADER].split(","):
        found = _RANGE.fullmatch(part.strip())
        if found is None:
            continue
        wanted = float(found["q"] or 1)
        if quality < wanted <= 1:
            best, quality = found["tag"], wanted
    return best


@lru_cache(maxsize=128)
def translations(tag: str) -> gettext.NullTranslations:
    """The texts in a language; English for languages without a catalogue.

    Args:
        tag: A BCP 47 tag, such as `"de-AT"`: the catalogue for it, or for `"de"`.
    """
    names = tag.replace("-", "_").split("_")
    if not all(name.isalnum() for name in names):
        return gettext.NullTranslations()
    known = ["_".join(names[:count]) for count in range(len(names), 0, -1)]
    return gettext.translation(DOMAIN, LOCALES, known, fallback=True)
