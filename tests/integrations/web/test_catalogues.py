"""The texts of all frameworks' pages are in the catalogues, with their parameters, compiled."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from babel.messages.extract import extract
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

import otpverify
from otpverify.core import phone as numbers
from otpverify.integrations.web import sentences
from otpverify.integrations.web.languages import DOMAIN, LOCALES, translations

PACKAGE = Path(otpverify.__file__).parent
SAY = re.compile(r'otpverify\.say\(\s*"([^"]*)"')
COUNT = re.compile(r'otpverify\.count\([^"]*"([^"]*)",\s*"([^"]*)"')
TAG = re.compile(r'{% say "([^"]*)"')
COUNT_TAG = re.compile(r'{% say_count \S+ "([^"]*)" "([^"]*)"')
CALLS: dict[str, Any] = {"Sentence": None, "_later": None, "counted": (2, 3), "_": None}


def texts_in_use() -> set[Any]:
    found: set[Any] = {*sentences._LIMITS.values(), sentences._ANY_LIMIT}
    found |= {*numbers._SENTENCES.values()}
    for folder in ("web", "flask", "django"):
        for path in (PACKAGE / "integrations" / folder).glob("*.py"):
            with path.open("rb") as file:
                found |= {one[1] for one in extract("python", file, CALLS)}
    for path in (PACKAGE / "integrations/flask/templates").rglob("*.html"):
        source = path.read_text()
        found |= {*SAY.findall(source), *COUNT.findall(source)}
    for path in (PACKAGE / "integrations/django/templates").rglob("*.html"):
        source = path.read_text()
        found |= {*TAG.findall(source), *COUNT_TAG.findall(source)}
        assert "translate" not in source, "it would look in another catalogue"
    return {text for text in found if text}


def entries(catalogue: Any) -> dict[Any, Any]:
    """Translations by texts; where something is counted, both are tuples."""

    def plain(text: Any) -> Any:
        return text if isinstance(text, str) else tuple(text)

    return {plain(one.id): plain(one.string) for one in catalogue if one.id}


@pytest.mark.parametrize("language", ["de", "et"])
def test_catalogues_are_whole(language: str) -> None:
    folder = LOCALES / language / "LC_MESSAGES"
    with (folder / f"{DOMAIN}.po").open("rb") as file:
        texts = entries(read_po(file))
    with (folder / f"{DOMAIN}.mo").open("rb") as file:
        assert entries(read_mo(file)) == texts
    used = texts_in_use()
    assert len(used) > 50
    assert not used - set(texts)
    for original, translated in texts.items():
        plain = [original] if isinstance(original, str) else original
        there = [translated] if isinstance(translated, str) else translated
        assert all(there)
        assert {*map(placeholders, plain)} == {*map(placeholders, there)}


def placeholders(text: str) -> tuple[str, ...]:
    return tuple(sorted(re.findall(r"%\(\w+\)s", text)))


def test_a_language_is_found_by_its_tag() -> None:
    for tag in ("de", "de-AT", "de_DE", "de-Latn-DE", "DE", "de-latn-de"):
        assert translations(tag).gettext("Continue") == "Weiter"
    assert (
        translations("et").ngettext("in %(count)s minute", "in %(count)s minutes", 3)
        == "%(count)s minuti pärast"
    )
