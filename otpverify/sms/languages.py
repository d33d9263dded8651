"""The languages of messages: their wordings and plurals, and which language a tag means.

The wordings are in `languages.json`. Its keys are BCP 47 tags. Each language has:

- `purposes`: the sentence with the code. `"*"` is for every purpose without its own sentence.
- `tail`: the text after it: the lifetime and the warning not to share, with their separator.
- `approves`: the line that states what the code approves.
- `minutes`, `seconds`: the lifetime by plural category (Unicode CLDR), in the case that `tail`
  needs.
- `prefix` (`"{brand}: "`), `list` (`", "`, between the fields of that line), `colon` (`": "`,
  between a field's name and value) and `direction` (`"ltr"`), where they differ.

A language whose accents GSM-7 lacks is written without accents if its readers are used to that in
text messages. The wordings in other scripts are short enough for 70 units.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Final, NamedTuple


def category(language: str, n: int) -> str:
    """The plural category of a whole number.

    Args:
        language: A BCP 47 tag that the table of languages has.
        n: The number, 0 or more.

    Returns:
        `"one"`, `"two"`, `"few"` or `"other"`. A category whose form is the same as that of
        `"other"` for every noun in the table counts as `"other"`.
    """
    rule = _RULES.get(language)
    return rule(n) if rule else "one" if n == 1 else "other"


def _arabic(n: int) -> str:
    if n in (1, 2):
        return ("one", "two")[n - 1]
    return "few" if 3 <= n % 100 <= 10 else "other"


def _lithuanian(n: int) -> str:
    if n % 10 == 1 and n % 100 != 11:
        return "one"
    return "few" if n % 10 >= 2 and not 11 <= n % 100 <= 19 else "other"


def _french(n: int) -> str:
    return "one" if n in (0, 1) else "other"


def _hebrew(n: int) -> str:
    return {1: "one", 2: "two"}.get(n, "other")


def _latvian(n: int) -> str:
    return "one" if n % 10 == 1 and n % 100 != 11 else "other"


def _polish(n: int) -> str:
    return "one" if n == 1 else "few" if _ends_in_two_to_four(n) else "other"


def _romanian(n: int) -> str:
    return "one" if n == 1 else "few" if n == 0 or 1 <= n % 100 <= 19 else "other"


def _croatian(n: int) -> str:
    if n % 10 == 1 and n % 100 != 11:
        return "one"
    return "few" if _ends_in_two_to_four(n) else "other"


def _slovene(n: int) -> str:
    return {1: "one", 2: "two", 3: "few", 4: "few"}.get(n % 100, "other")


def _west_slavic(n: int) -> str:
    return "one" if n == 1 else "few" if 2 <= n <= 4 else "other"


def _ends_in_two_to_four(n: int) -> bool:
    return 2 <= n % 10 <= 4 and not 12 <= n % 100 <= 14


_RULES: dict[str, Callable[[int], str]] = {
    "ar": _arabic,
    "cs": _west_slavic,
    "fr": _french,
    "he": _hebrew,
    "hr": _croatian,
    "lt": _lithuanian,
    "lv": _latvian,
    "pl": _polish,
    "pt": _french,
    "pt-BR": _french,
    "ro": _romanian,
    "sk": _west_slavic,
    "sl": _slovene,
}


DEFAULT: Final = "en"
EVERY_PURPOSE: Final = "*"

_LONGEST_TAG = 64
# Deprecated tags of languages (IANA language subtag registry).
_RENAMED = {"in": "id", "iw": "he", "mo": "ro"}
# Tags for a language that the table has under another tag. They include the scripts that Unicode
# CLDR lists as likely for a region.
_MEANS = {
    **_RENAMED,
    "nn": "nb",
    "no": "nb",
    "yue": "zh-hant",
    "zh": "zh-hans",
    "zh-hk": "zh-hant",
    "zh-mo": "zh-hant",
    "zh-tw": "zh-hant",
}
# A reader could mistake four digits for the code. A longer lifetime is shown as this number.
_MOST_SHOWN = 999


class Language(NamedTuple):
    """The wordings of one language; the module docstring describes the fields."""

    tag: str
    purposes: Mapping[str, str]
    tail: str
    approves: str
    minutes: Mapping[str, str]
    seconds: Mapping[str, str]
    prefix: str = "{brand}: "
    list: str = ", "
    colon: str = ": "
    direction: str = "ltr"

    def lifetime(self, seconds: int) -> str:
        """A lifetime in words: whole minutes, rounded down, or seconds below one minute."""
        n, forms = (seconds // 60, self.minutes) if seconds >= 60 else (seconds, self.seconds)
        form = forms.get(category(self.tag, n), forms["other"])
        return form.replace("{n}", str(min(n, _MOST_SHOWN)))


@cache
def languages() -> Mapping[str, Language]:
    """Every language, by its tag."""
    # Imported here, for the first `Messages`; importlib.resources would take ten times as long.
    from pkgutil import get_data

    table = json.loads(get_data("otpverify.sms", "languages.json") or b"")
    return {tag: Language(tag, **wordings) for tag, wordings in table.items()}


def load_languages() -> None:
    """Read the table of languages. Once it is read, no message needs a file."""
    _by_lower_case()


def negotiate(locale: str) -> str:
    """The tag of the language nearest to a locale, by the lookup of BCP 47 (RFC 4647, section 3.4):
    subtags are removed from the end until the table has the language.

    Args:
        locale: A tag such as `"de-AT"`. Underscores (`"de_AT.UTF-8"`), upper and lower case,
            and deprecated tags (`"iw"`) are understood.

    Returns:
        A key of `languages()`; `"en"` for an unknown locale.
    """
    if not isinstance(locale, str) or len(locale) > _LONGEST_TAG:
        return DEFAULT
    return _negotiate(locale)


@lru_cache(maxsize=1024)
def _negotiate(locale: str) -> str:
    return nearest(locale) or DEFAULT


def exact(tag: str) -> str | None:
    """The key of `languages()` that a tag spells in another way: in upper or lower case, with
    underscores, or deprecated. `None` for any other tag, including one that is only near."""
    tag = tag.strip().lower().replace("_", "-")
    return _by_lower_case().get(_RENAMED.get(tag, tag))


def nearest(locale: str) -> str | None:
    """As `negotiate`, but `None` for an unknown locale."""
    known = _by_lower_case()
    subtags = re.split(r"[-_.@]", locale.strip().lower()[:_LONGEST_TAG])
    while subtags:
        tag = "-".join(subtags)
        tag = _MEANS.get(tag, tag)
        if tag in known:
            return known[tag]
        subtags.pop()
    return None


@cache
def _by_lower_case() -> Mapping[str, str]:
    return {tag.lower(): tag for tag in languages()}
