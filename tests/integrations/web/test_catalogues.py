"""The texts of all frameworks' pages are in one catalogue, in all languages of the messages: every
text, with its parameters and its plural forms, compiled, and read by a second person."""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from gettext import c2py  # what gettext reads its rules with
from pathlib import Path

import catalogues
import pytest
from babel import Locale
from babel.messages import Catalog

from otpverify.integrations.web.languages import (
    direction,
    page_language,
    translated,
    translations,
)
from otpverify.integrations.web.sentences import Sentence, after, counted
from otpverify.sms.languages import DEFAULT, languages, negotiate

TAGS = catalogues.tags()
# Languages whose catalogues lack texts. With an empty set, a text that the catalogues lack fails a
# test, too.
UNTRANSLATED: set[str] = set()
# Languages that no second person has read.
UNREVIEWED: set[str] = set()

# More than any wait, count of attempts or password's length. From a million on, some languages have
# one more category ("1 million de minutes").
NUMBERS = range(10_000)


def catalogue(tag: str) -> Catalog:
    return catalogues.read(catalogues.path_of(tag), tag)


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"%\(\w+\)s", text))


def faults(catalog: Catalog) -> Iterator[str]:
    """What is wrong with the translations that a catalogue has."""
    shown = examples(catalog.plural_expr)
    for message in catalog:
        if not message.id:
            continue
        name = message.id if isinstance(message.id, str) else message.id[0]
        forms = catalogues.translation_of(message)
        wanted = placeholders(name)
        if message.fuzzy:
            yield f"fuzzy: {name}"
        if isinstance(message.id, tuple) and len(forms) != catalog.num_plurals:
            yield f"{len(forms)} plural forms, not {catalog.num_plurals}: {name}"
        for nth, form in enumerate(forms):
            if not form:
                yield f"missing: {name}"
                continue
            # "A minute" need not say that it is one.
            alone = isinstance(message.id, tuple) and len(shown.get(nth, ())) == 1
            if placeholders(form) not in ([wanted, wanted - {"%(count)s"}] if alone else [wanted]):
                yield f"other placeholders: {form}"
            if "%" in re.sub(r"%\(\w+\)s", "", form):
                yield f"a percent sign: {form}"
            if form != form.strip() or "  " in form or form.startswith("TODO"):
                yield f"spaces: {form}"
            # A Greek question ends with a semicolon.
            if name[-1] in ".:?" and form[-1] in (" ," if name[-1] == "?" else " ,;"):
                yield f"its end: {form}"


def examples(rule: str) -> dict[int, list[int]]:
    """The numbers of each plural form."""
    found: dict[int, list[int]] = {}
    form = c2py(rule)
    for n in NUMBERS:
        found.setdefault(form(n), []).append(n)
    return found


def test_every_language_of_the_messages_has_a_catalogue() -> None:
    assert len(TAGS) == len(languages()) - 1 >= 40
    for tag in TAGS:
        assert catalogues.path_of(tag).exists()


def test_every_text_of_the_sources_can_be_found() -> None:
    """A text that is not a constant cannot be extracted: it must be found elsewhere, or be the
    site's own."""
    assert catalogues.passed_on() == catalogues.PASSED_ON
    assert len(catalogues.texts()) > 100


@pytest.mark.parametrize("template", catalogues.templates(), ids=lambda path: path.name)
def test_a_template_says_nothing_but_texts_of_the_catalogue(template: Path) -> None:
    """What is left of it without tags has no letter."""
    source = template.read_text("utf-8")
    source = re.sub(r"(?s){%-? *comment.*?endcomment *-?%}|{#.*?#}|{%.*?%}|{{.*?}}", "", source)
    said = re.findall(r'(?:alt|aria-label|placeholder|title)="([^"]*)"', source)
    # A macro may give a tag's attributes alone.
    said += [re.sub(r'(?s)<[^>]*>|&\w+;| aria-\w+="\w*"', "", source)]
    assert not re.findall(r"[^\W\d_]+", " ".join(said))


@pytest.mark.skipif(bool(UNTRANSLATED), reason="texts are still being added")
def test_the_catalogues_have_the_texts_of_the_sources() -> None:
    """If this fails: `make catalogues`, then translate what is new."""
    source = {message.id for message in catalogues.template()}
    assert {message.id for message in catalogues.read(catalogues.TEMPLATE)} == source
    assert not [path for path, made in catalogues.files().items() if path.read_bytes() != made]


@pytest.mark.parametrize("tag", TAGS)
def test_a_catalogue_is_whole(tag: str) -> None:
    catalog = catalogue(tag)
    found = list(faults(catalog))
    if tag in UNTRANSLATED:
        assert any(fault.startswith("missing") for fault in found), "take it out of UNTRANSLATED"
        found = [fault for fault in found if not fault.startswith("missing")]
    assert not found
    texts = {message.id for message in catalogues.read(catalogues.TEMPLATE)}
    assert {message.id for message in catalog} == texts


@pytest.mark.parametrize("tag", TAGS)
def test_a_catalogue_is_compiled_as_it_is(tag: str) -> None:
    """If this fails: `make catalogues`."""
    compiled = catalogues.path_of(tag, "mo")
    if tag in UNTRANSLATED:
        assert not compiled.exists(), "pages would be half in English"
        return
    there = catalogues.translations_in(catalogues.read_compiled(compiled))
    assert there == catalogues.translations_in(catalogue(tag))


@pytest.mark.parametrize("tag", TAGS)
def test_plural_forms_are_those_of_unicode(tag: str) -> None:
    """Numbers that Unicode CLDR puts into one category have one form, and no other number has."""
    catalog, locale = catalogue(tag), Locale.parse(tag, sep="-")
    assert f"nplurals={catalog.num_plurals}; plural={catalog.plural_expr};" == (
        catalogues.PLURALS.get(tag, "nplurals=2; plural=(n != 1);")
    )
    form = c2py(catalog.plural_expr)
    # Newer editions of CLDR set 1 apart in Vietnamese, whose words stay the same.
    category = locale.plural_form if tag != "vi" else lambda _: "other"
    pairs = {(category(n), form(n)) for n in NUMBERS}
    assert len({one for one, _ in pairs}) == len({one for _, one in pairs}) == len(pairs)
    assert {index for _, index in pairs} == {*range(catalog.num_plurals)}


@pytest.mark.parametrize("tag", TAGS)
def test_a_second_person_has_read_it(tag: str) -> None:
    header = catalogue(tag).header_comment
    read = re.search(r"^# Second reader: \S.*, \d{4}-\d\d-\d\d", header, re.MULTILINE)
    if tag in UNREVIEWED:
        assert not read, "take it out of UNREVIEWED"
    else:
        assert read


@pytest.mark.parametrize(
    ("form", "fault"),
    [
        ("", "missing"),
        ("Wir haben ihn gesendet.", "other placeholders"),
        ("An %(phon)s gesendet.", "other placeholders"),
        ("An %(phone)s zu 100% gesendet.", "a percent sign"),
        ("An  %(phone)s gesendet.", "spaces"),
    ],
)
def test_a_fault_of_a_translation_is_found(form: str, fault: str) -> None:
    catalog = Catalog("de")
    catalog.add("We sent a code to %(phone)s.", form)
    assert [found.partition(":")[0] for found in faults(catalog)] == [fault]


def test_a_form_that_lacks_is_found() -> None:
    catalog = Catalog("de")
    catalog.add(("%(count)s minute", "%(count)s minutes"), ("%(count)s Minute",))
    assert [found.partition(":")[0] for found in faults(catalog)] == ["1 plural forms, not 2"]
    catalog = Catalog("de")
    catalog.add("Cancel", "Abbrechen", flags=["fuzzy"])
    assert list(faults(catalog)) == ["fuzzy: Cancel"]
    catalog = Catalog("ja")
    catalog.add(("%(count)s minute", "%(count)s minutes"), ("分",))
    assert list(faults(catalog)) == ["other placeholders: 分"]


def test_a_language_is_found_by_its_tag() -> None:
    for tag in ("de", "de-AT", "de_DE", "de-Latn-DE", "DE", "de-latn-de", "de_DE.UTF-8"):
        assert translations(tag).gettext("Continue") == "Weiter"
    assert (
        translations("et").ngettext("in %(count)s minute", "in %(count)s minutes", 3)
        == "%(count)s minuti pärast"
    )


@pytest.mark.parametrize("tag", [*languages(), "de-AT", "zh-TW", "zh", "no", "iw", "pt-PT"])
def test_the_pages_language_is_that_of_the_messages(tag: str) -> None:
    """A page and its SMS agree, in every spelling of a tag."""
    known = negotiate(tag)
    there = known == DEFAULT or known not in UNTRANSLATED
    assert page_language(f"xx, {tag};q=0.5") == (tag if there else "en")
    assert isinstance(translations(tag), gettext.GNUTranslations) == (there and known != DEFAULT)


@pytest.mark.parametrize("tag", TAGS)
def test_direction_and_digits_are_those_of_unicode(tag: str) -> None:
    locale = Locale.parse(tag, sep="-")
    assert direction(tag) == ("rtl" if locale.text_direction == "rtl" else "ltr")
    text = translated(counted(75, "%(count)s", "%(count)s"), tag)
    assert text == {"latn": "75", "arabext": "۷۵"}[locale.default_numbering_system]


@pytest.mark.parametrize("tag", [*TAGS, "en-GB", "cy", "de-AT"])
def test_dates_are_those_of_unicode(tag: str) -> None:
    day = Sentence("%(day)s", params={"day": date(2026, 2, 1)})
    found = translated(day, tag)
    if negotiate(tag) == DEFAULT:
        assert found == "2026-02-01"
        return
    pattern = Locale.parse(negotiate(tag), sep="-").datetime_skeletons["yMd"]
    wanted = pattern.apply(datetime(2026, 2, 1, tzinfo=UTC), negotiate(tag).replace("-", "_"))
    # Editions of CLDR differ in spaces and zeros.
    digits = str.maketrans("۰۱۲۳۴۵۶۷۸۹", "0123456789")
    parts = [re.findall(r"[1-9]\d*|[^\d\s]", one.translate(digits)) for one in (found, wanted)]
    assert parts[0] == parts[1]


@pytest.mark.parametrize("tag", TAGS)
def test_a_date_leaves_no_second_dot(tag: str) -> None:
    """Some languages end a date with a dot: there, it stands before a sentence's last word."""
    until = Sentence("This browser needs no code until %(day)s.", params={"day": date(2026, 2, 1)})
    assert not re.search(r"\.\W*\.", translated(until, tag)[-4:])


@pytest.mark.parametrize(("tag", "found"), [("ps-AF", "rtl"), ("cy", "ltr"), ("AR_EG", "rtl")])
def test_the_direction_of_other_tags(tag: str, found: str) -> None:
    assert direction(tag) == found


def test_a_number_keeps_its_direction_in_a_line_from_the_right() -> None:
    sent = Sentence("We sent a code to %(phone)s.", params={"phone": "+372 5678 9045"})
    assert "\u2068+372 5678 9045\u2069" in translated(sent, "ar")
    assert "\u2068" not in translated(sent, "de")
    waits = Sentence("You can try again %(when)s.", params={"when": after(2)})
    assert "\u2068" not in translated(waits, "ar"), "words are the page's own"


def test_waits_are_worded_as_the_script_words_them() -> None:
    """The page's script counts on in the words of the browser's `Intl`, which are Unicode's."""
    assert translated(after(45), "de") == "in 45 Sekunden"
    assert translated(after(2), "ar") == "خلال ثانيتين"
    assert translated(after(600), "et") == "10 minuti pärast"
