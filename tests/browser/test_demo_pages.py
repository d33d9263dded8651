"""What only the demo has: guessed passwords, numbers that fail, a missing page."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from support import long_form

from browser.person import Person
from browser.sites import Site

pytestmark = [long_form, pytest.mark.parametrize("running_site", ["demo"], indirect=True)]


def test_wrong_passwords(person: Person, site: Site) -> None:
    login = site.kind.flows["login"]
    person.open("/login")
    for _ in range(5):
        person.page.locator("#user").fill("customer")
        person.page.locator("#password").fill("a guess")
        person.press(person.page.get_by_role("button", name="Continue"))
        expect(person.alert).to_contain_text("User name or password is wrong.")
    person.look("login-wrong-password")
    person.fill_in(login)
    expect(person.alert).to_contain_text(re.compile("again in [45] minutes"))
    expect(person.page.get_by_role("button", name=re.compile(r"Continue \("))).to_be_disabled()
    person.look("login-too-many-passwords")
    assert site.codes(0) == []
    site.pass_time(300)
    person.start(login)
    person.see_code_page()


def test_a_number_that_is_none(person: Person, site: Site) -> None:
    person.open("/phone")
    person.page.locator("#phone").fill("12")
    person.press(person.page.get_by_role("button", name="Send a code"))
    person.see_error(person.page.locator("#phone"), "number")
    expect(person.page.locator("#phone")).to_have_value("12")
    person.look("phone-invalid")
    assert site.codes(0) == []


def test_a_message_that_the_gateway_does_not_take(person: Person, site: Site) -> None:
    person.open("/phone")
    person.page.locator("#phone").fill("+1 202 555 0150")
    person.press(person.page.get_by_role("button", name="Send a code"))
    expect(person.alert).to_be_visible()
    person.look("phone-not-sent")
    assert site.codes(0) == []


def test_a_new_password_that_is_too_short(person: Person, site: Site) -> None:
    reset = site.kind.flows["reset"]
    person.start(reset)
    person.enter(site.codes(1)[0])
    password = person.page.locator("#password")
    password.fill("short")
    with person.going():
        password.press("Enter")
    person.see_error(password, "at least 8 characters")
    person.look("reset-short-password")
    person.finish(reset)
    assert len(site.codes(1)) == 1


def test_an_unknown_number_looks_like_any_other(person: Person, site: Site) -> None:
    person.open("/reset")
    person.page.locator("#phone").fill("+1 202 555 0199")
    with person.going():
        person.page.locator("#phone").press("Enter")
    person.see_code_page()
    expect(person.page.locator("main")).to_contain_text("If an account with the number")
    assert site.codes(0) == []


def test_a_page_that_is_not_there(person: Person) -> None:
    person.open("/nowhere")
    expect(person.heading).to_have_text("Page not found")
    person.look("not-found")
