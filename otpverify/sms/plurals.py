"""Which form of a noun goes with a number: the cardinal plural rules of Unicode CLDR, for whole
numbers and for the languages that need more than one form and another."""

from __future__ import annotations

from collections.abc import Callable


def category(language: str, n: int) -> str:
    """The plural category of a whole number.

    Args:
        language: A BCP 47 tag that the table of languages has.
        n: The number, 0 or more.

    Returns:
        `"one"`, `"two"`, `"few"` or `"other"`. Categories whose form is that of `"other"` for
        every noun in the table are not told apart from it.
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
