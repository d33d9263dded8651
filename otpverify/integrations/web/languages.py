"""The language of pages: what a browser prefers, and the texts in that language.

The texts of all frameworks are one gettext domain, `DOMAIN`, with its catalogues in `LOCALES`. The
languages are those of messages (`otpverify.sms.languages`), so that a page and its SMS agree.
"""

from __future__ import annotations

import gettext
import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Final

from otpverify.integrations.web.sentences import Sentence
from otpverify.sms.languages import DEFAULT, languages, nearest

DOMAIN: Final = "otpverify"
LOCALES: Final = Path(__file__).parent / "locale"

_RANGE = re.compile(
    r"(?P<tag>[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,3})\s*(?:;\s*q\s*=\s*(?P<q>[01](?:\.\d{0,3})?))?",
    re.ASCII,
)
_LONGEST_HEADER: Final = 1000
# Languages that a site may bring. The direction of the others is in the table of messages.
_OTHERS_FROM_THE_RIGHT: Final = frozenset({"ckb", "dv", "ps", "sd", "ug", "yi"})
# Unicode CLDR's default digits, where they are not 0 to 9.
_DIGITS: Final = {"fa": str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")}
# Unicode CLDR's numeric date (`yMd`). English has ISO 8601's, since its countries disagree.
_DATES: Final = {
    "{d}.{m}.{y}": "da de et fi he nb tr",
    "{d}/{m}/{y}": "ca el es hi id ms th ur vi",
    "{d:02}/{m:02}/{y}": "fr it pt pt-BR",
    "{y}/{m}/{d}": "fa ja ko zh-Hans zh-Hant",
    "{d}. {m}. {y}": "cs sk sl",
    "{d:02}.{m:02}.{y}": "ro ru uk",
    "{d}.{m:02}.{y}": "pl",
    "{d}.{m:02}.{y}.": "lv",
    "{d}.{m:02}.{y}\u202fг.": "bg",  # noqa: RUF001 - "year", in Cyrillic
    "{d:02}. {m:02}. {y}.": "hr",
    "{y}. {m:02}. {d:02}.": "hu",
    "{d}-{m}-{y}": "nl",
    "{d}\u200f/{m}\u200f/{y}": "ar",
    "{y}-{m:02}-{d:02}": "en lt sv",
}
_DATE_OF: Final = {tag: form for form, tags in _DATES.items() for tag in tags.split()}
# First strong isolate and its end: a phone number stays "+372 ...", with its plus at the left.
_ISOLATE, _END_OF_ISOLATE = "\u2068", "\u2069"


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
    return next(filter(has_pages, _by_quality(accept_language)), default)


def _by_quality(accept_language: str | None) -> list[str]:
    """The tags that are accepted, the best first; of the same quality in their order."""
    found: list[tuple[float, str]] = []
    for part in (accept_language or "")[:_LONGEST_HEADER].split(","):
        wanted = _RANGE.fullmatch(part.strip())
        if wanted is not None and 0 < (quality := float(wanted["q"] or 1)) <= 1:
            found.append((quality, wanted["tag"]))
    return [tag for _, tag in sorted(found, key=lambda one: -one[0])]


def has_pages(tag: str) -> bool:
    """Whether pages can be in a language: it has a catalogue, or is English.

    Args:
        tag: A BCP 47 tag.
    """
    return nearest(tag) == DEFAULT or isinstance(translations(tag), gettext.GNUTranslations)


def direction(tag: str) -> str:
    """`"rtl"` for a language that is written from right to left, otherwise `"ltr"`.

    Args:
        tag: A BCP 47 tag. It need not be a language that the pages have.
    """
    known = nearest(tag)
    if known is not None:
        return languages()[known].direction
    return "rtl" if re.split("[-_]", tag.lower())[0] in _OTHERS_FROM_THE_RIGHT else "ltr"


@lru_cache(maxsize=128)
def translations(tag: str) -> gettext.NullTranslations:
    """The texts in a language; English for languages without a catalogue.

    Args:
        tag: A BCP 47 tag, such as `"de-AT"`. The catalogue is that of the language which messages
            have for this tag: `otpverify.sms.languages.negotiate`.
    """
    known = nearest(tag)
    if known in (None, DEFAULT):
        return gettext.NullTranslations()
    return gettext.translation(DOMAIN, LOCALES, [str(known).replace("-", "_")], fallback=True)


def translated(
    sentence: Sentence,
    tag: str,
    own_gettext: Callable[[str], str] | None = None,
    own_ngettext: Callable[[str, str, int], str] | None = None,
) -> str:
    """A sentence in a language: by the site's own catalogue, or else by the library's. Numbers and
    dates have the language's form. In a line from right to left, texts keep their own direction.

    Args:
        sentence: The sentence. Its parameters may be numbers and dates (`datetime.date`), too.
        tag: A BCP 47 tag.
        own_gettext, own_ngettext: The site's. A text that they return as it is has no translation.
    """
    ours = translations(tag)

    def text(one: str) -> str:
        found = own_gettext(one) if own_gettext is not None else one
        return ours.gettext(one) if found == one else str(found)

    def text_of(one: str, many: str, count: int) -> str:
        found = own_ngettext(one, many, count) if own_ngettext is not None else one
        return ours.ngettext(one, many, count) if found in (one, many) else str(found)

    isolated = direction(tag) == "rtl"
    known = nearest(tag) or DEFAULT

    def shown(value: object) -> object:
        if isinstance(value, str):
            return f"{_ISOLATE}{value}{_END_OF_ISOLATE}" if isolated else value
        if isinstance(value, date):
            value = _DATE_OF[known].format(d=value.day, m=value.month, y=value.year)
        return str(value).translate(_DIGITS.get(known, {}))

    return sentence.translated(text, text_of, shown)
