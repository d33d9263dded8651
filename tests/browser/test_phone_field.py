"""The field for a phone number: a list of countries, and digits that are grouped as one types."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import countries
import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat, PhoneNumberType
from playwright.sync_api import Locator, expect
from support import long_form

from browser.person import Person
from browser.sites import Site

pytestmark = long_form
KINDS = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE)


@pytest.fixture
def at_field(person: Person, site: Site) -> Person:
    """A person at the field, whose list is there."""
    person.open(site.kind.flows["phone"].path)
    expect(picker(person)).to_have_value("Estonia (⁦+372⁩)")
    return person


def picker(person: Person) -> Locator:
    return person.page.get_by_role("combobox", name="Country")


def field(person: Person) -> Locator:
    return person.page.locator("input[name=phone]")


def options(person: Person) -> Locator:
    return person.page.get_by_role("option")


def test_the_field_has_the_focus_and_digits_are_grouped(at_field: Person) -> None:
    expect(field(at_field)).to_be_focused()
    at_field.page.keyboard.type("56789045")
    expect(field(at_field)).to_have_value("5678 9045")
    at_field.page.keyboard.press("Home")
    at_field.page.keyboard.type("+")
    at_field.page.keyboard.type("44")
    field(at_field).fill("+447400123456")
    expect(field(at_field)).to_have_value("+44 7400 123456")
    expect(picker(at_field)).to_have_value(re.compile("United Kingdom"))
    field(at_field).fill("+7 705 000 0000")
    expect(picker(at_field)).to_have_value(re.compile("Kazakhstan"))
    field(at_field).fill("(5678) 90-45 ext. 7")
    expect(field(at_field)).to_have_value("(5678) 90-45 ext. 7")


def test_the_caret_stays_at_its_digit(at_field: Person) -> None:
    keyboard = at_field.page.keyboard
    keyboard.type("+44740123456")
    for _ in "3456":
        keyboard.press("ArrowLeft")
    keyboard.type("0")
    keyboard.type("9")
    expect(field(at_field)).to_have_value(re.compile(r"^\+44 7401 2 ?093 ?456$|^\+44 740 ?12"))
    left = field(at_field).evaluate("f => f.value.slice(f.selectionStart).replace(/\\D/g, '')")
    assert left == "3456"


def test_a_country_is_chosen_with_the_keyboard(at_field: Person, site: Site) -> None:
    keyboard = at_field.page.keyboard
    keyboard.press("Shift+Tab")
    at_field.see_focus(picker(at_field))
    keyboard.type("lat")
    expect(options(at_field)).to_have_text(["Latvia (⁦+371⁩)"])
    expect(picker(at_field)).to_have_attribute("aria-expanded", "true")
    marked = picker(at_field).get_attribute("aria-activedescendant")
    expect(at_field.page.locator(f"#{marked}")).to_have_attribute("aria-selected", "true")
    at_field.look("phone-countries")
    keyboard.press("Enter")
    expect(picker(at_field)).to_have_value("Latvia (⁦+371⁩)")
    expect(picker(at_field)).to_have_attribute("aria-expanded", "false")
    expect(field(at_field)).to_have_value("+371 ")
    keyboard.press("Tab")
    at_field.see_focus(field(at_field))
    keyboard.press("End")
    keyboard.type("21234567")
    expect(field(at_field)).to_have_value("+371 21 234 567")
    with at_field.going():
        keyboard.press("Enter")
    at_field.see_code_page()
    expect(at_field.page.locator("main")).to_contain_text("+37121234567")
    assert len(site.codes(1)) == 1


def test_the_list_can_be_left(at_field: Person) -> None:
    keyboard = at_field.page.keyboard
    picker(at_field).focus()
    keyboard.press("ArrowDown")
    expect(options(at_field)).to_have_count(len(phonenumbers.SUPPORTED_REGIONS))
    keyboard.press("ArrowDown")
    keyboard.press("Escape")
    expect(options(at_field)).to_have_count(0)
    expect(picker(at_field)).to_have_value("Estonia (⁦+372⁩)")
    keyboard.type("xyz")
    expect(at_field.page.get_by_text("No country found.")).to_be_visible()
    at_field.look("phone-no-country")
    keyboard.press("Tab")
    expect(picker(at_field)).to_have_value("Estonia (⁦+372⁩)")
    expect(field(at_field)).to_have_value("")


@pytest.mark.parametrize(
    ("searched", "first"),
    [
        ("Österreich", None),
        ("austria", "Austria"),
        ("GB", "United Kingdom"),
        ("+358", "Finland"),
        ("kingdom", "United Kingdom"),
        ("cote", "Côte d’Ivoire"),
    ],
)
def test_a_country_is_searched_by_name_code_and_number(
    at_field: Person, searched: str, first: str | None
) -> None:
    picker(at_field).fill(searched)
    if first is None:
        expect(options(at_field)).to_have_count(0)
    else:
        expect(options(at_field).filter(has_text=first).first).to_be_visible()


def test_with_the_mouse_a_number_changes_its_country(at_field: Person) -> None:
    field(at_field).fill("07400 123456")
    picker(at_field).click()
    picker(at_field).fill("united kingdom")
    options(at_field).first.click()
    expect(field(at_field)).to_have_value("+44 7400 123456")
    picker(at_field).fill("estonia")
    options(at_field).first.click()
    expect(field(at_field)).to_have_value(re.compile("^7400"))


def test_a_number_without_its_country_is_of_the_chosen_one(at_field: Person) -> None:
    picker(at_field).fill("united kingdom")
    options(at_field).first.click()
    field(at_field).fill("07400123456")
    expect(field(at_field)).to_have_value("+44 7400 123456")


def test_numbers_are_written_as_the_library_writes_them(at_field: Person) -> None:
    """An example of every region, digit by digit."""
    wanted: dict[str, str] = {}
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in KINDS:
            number = phonenumbers.example_number_for_type(region, kind)
            if number is not None:
                e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
                wanted[e164] = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    assert len(wanted) > 400
    found: dict[str, Any] = field(at_field).evaluate(
        """(field, numbers) => Object.fromEntries(numbers.map((number) => {
            field.value = "";
            for (const digit of number) {
                field.value += digit;
                field.dispatchEvent(new Event("input", {bubbles: true}));
            }
            return [number, field.value];
        }))""",
        list(wanted),
    )
    same_digits = {n for n in wanted if re.sub(r"[^\d+]", "", found[n]) != n}
    assert not same_digits, "a number was changed"
    if json.loads(countries.FILE.read_text())["version"] == phonenumbers.__version__:
        assert found == wanted


def test_without_the_list_the_field_takes_a_number(
    visit: Callable[..., Person], site: Site
) -> None:
    person = visit()
    person.page.route("**/otpverify-countries.json", lambda route: route.abort())
    person.start(site.kind.flows["phone"])
    person.see_code_page()
    person.enter(site.codes(1)[0])
    person.finish(site.kind.flows["phone"])


def test_from_right_to_left(visit: Callable[..., Person], site: Site) -> None:
    if site.name == "demo":
        pytest.skip("the demo is in English")
    person = visit(locale="ar", style="-ar")
    person.open(site.kind.flows["phone"].path)
    country = person.page.get_by_role("combobox", name="البلد")
    expect(country).to_have_value("إستونيا (⁦+372⁩)")
    country.fill("ألم")
    expect(options(person).first).to_contain_text("ألمانيا")
    person.look("phone-countries")
