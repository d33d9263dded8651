"""Sign-in and sign-up by phone: its pages are accessible, in every state that a person sees."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from support import long_form, wrong

from browser.person import Person
from browser.sites import Site

pytestmark = long_form

PATHS = {"demo": "/sign-in", "flask": "/account/sign-in", "django": "/account/sign-in/"}


@pytest.mark.parametrize("phone", ["+1 202 555 0123", "+1 202 555 0177"], ids=["known", "new"])
def test_from_beginning_to_end(person: Person, site: Site, phone: str) -> None:
    name = "sign-in" if phone.endswith("0123") else "sign-up"
    person.open(PATHS[site.name])
    person.look(f"{name}-1-first")
    number = person.page.locator("input[name=phone]")
    number.fill(phone)
    expect(person.page.get_by_role("combobox")).to_have_value(re.compile("United States"))
    with person.going():
        number.press("Enter")
    person.see_code_page()
    (code,) = site.codes(1)
    person.look(f"{name}-2-code")
    person.enter(wrong(code))
    person.see_error(person.code_field, "4 attempts left")
    person.look(f"{name}-3-wrong")
    person.enter(code)
    expect(person.code_field).to_have_count(0)
    expect(person.alert).to_have_count(0)
    person.look(f"{name}-4-after")
