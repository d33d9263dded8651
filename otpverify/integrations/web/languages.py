"""The language of pages: what a browser prefers, and the texts in that language.

The texts of all frameworks are one gettext domain, `DOMAIN`, with its catalogues in `LOCALES`.
"""

from __future__ import annotations

import gettext
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Final

from otpverify.integrations.web.sentences import Sentence

DOMAIN: Final = "otpverify"
LOCALES: Final = Path(__file__).parent / "locale"

_RANGE = re.compile(
    r"(?P<tag>[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,3})\s*(?:;\s*q\s*=\s*(?P<q>[01](?:\.\d{0,3})?))?",
    re.ASCII,
)
_LONGEST_HEADER: Final = 1000
_SPELLING: Final = {2: str.upper, 4: str.title}  # of regions and scripts (RFC 5646, 2.1.1)


def preferred_language(accept_language: str | None, default: str = "en") -> str:
    """The language that a browser prefers, for messages of a flow without pages. For pages, see
    `page_language`.

    Args:
        accept_language: The request's header.
        default: For a header that names none.

    Returns:
        A BCP 47 tag: the one of the highest quality, and of these the first (RFC 9110, 12.5.4).
    """
    return next(iter(_by_quality(accept_language)), default)


def page_language(accept_language: str | None, default: str = "en") -> str:
    """The language for the pages of a flow and its messages: of those that the pages have, the one
    that a browser prefers.

    Args:
        accept_language: The request's header.
        default: For a header that names none of them.

    Returns:
        A BCP 47 tag as the header has it, such as `"de-AT"` (RFC 4647, 3.4).
    """
    return next(filter(_has_pages, _by_quality(accept_language)), default)


def _by_quality(accept_language: str | None) -> list[str]:
    """The tags that are accepted, the best first; of the same quality in their order."""
    found: list[tuple[float, str]] = []
    for part in (accept_language or "")[:_LONGEST_HEADER].split(","):
        wanted = _RANGE.fullmatch(part.strip())
        if wanted is not None and 0 < (quality := float(wanted["q"] or 1)) <= 1:
            found.append((quality, wanted["tag"]))
    return [tag for _, tag in sorted(found, key=lambda one: -one[0])]


def _has_pages(tag: str) -> bool:
    english = tag.partition("-")[0].lower() == "en"
    return english or isinstance(translations(tag), gettext.GNUTranslations)


@lru_cache(maxsize=128)
def translations(tag: str) -> gettext.NullTranslations:
    """The texts in a language; English for languages without a catalogue.

    Args:
        tag: A BCP 47 tag, such as `"de-AT"`, in upper or lower case: the catalogue for it, or for
            `"de"`.
    """
    first, *more = tag.replace("-", "_").split("_")
    names = [first.lower(), *(_SPELLING.get(len(name), str.lower)(name) for name in more)]
    if not all(name.isalnum() for name in names):
        return gettext.NullTranslations()
    known = ["_".join(names[:count]) for count in range(len(names), 0, -1)]
    return gettext.translation(DOMAIN, LOCALES, known, fallback=True)


def translated(
    sentence: Sentence,
    tag: str,
    own_gettext: Callable[[str], str],
    own_ngettext: Callable[[str, str, int], str],
) -> str:
    """A sentence in a language: by the site's own catalogue, or else by the library's.

    Args:
        sentence: The sentence.
        tag: A BCP 47 tag.
        own_gettext, own_ngettext: The site's. A text that they return as it is has no translation.
    """
    ours = translations(tag)

    def text(one: str) -> str:
        found = own_gettext(one)
        return ours.gettext(one) if found == one else str(found)

    def text_of(one: str, many: str, count: int) -> str:
        found = own_ngettext(one, many, count)
        return ours.ngettext(one, many, count) if found in (one, many) else str(found)

    return sentence.translated(text, text_of)
