"""Enrolment and backup codes: the pages are accessible."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from support import long_form

from browser.person import Person
from browser.sites import Flow, Site

pytestmark = long_form

BASE = "/account/enrolment"


def sign_in(person: Person, site: Site) -> Flow:
    """Sign in with password and code, in a browser to be remembered. Returns the login."""
    login = site.kind.flows["login"]
    person.start(login)
    person.page.get_by_label("Remember this browser for 30 days").check()
    person.look("enrolment-1-remember")
    person.enter(site.codes(1)[0])
    return login


def test_the_pages_of_enrolment_in_flask(person: Person, site: Site) -> None:
    if site.name != "flask":
        pytest.skip("for the pages of Flask")
    login = sign_in(person, site)
    person.finish(login)
    person.open(BASE)
    expect(person.page.get_by_role("button", name="Forget this browser")).to_be_visible()
    person.look("enrolment-2-overview")

    person.press(person.page.get_by_role("link", name="Make new backup codes"))
    person.look("enrolment-3-prove")
    person.page.get_by_label("Password").fill("incorrect")
    person.press(person.page.get_by_role("button", name="Send a code"))
    expect(person.alert).to_contain_text("The password is incorrect")
    person.look("enrolment-4-incorrect")
    person.page.get_by_label("Password").fill(login.fields["password"])
    person.press(person.page.get_by_role("button", name="Send a code"))
    person.look("enrolment-4-code")
    person.enter(site.codes(2)[-1])
    expect(person.heading).to_have_text("Backup codes")
    person.look("enrolment-5-before-codes")
    person.open(f"{BASE}/phone")
    person.look("enrolment-6-phone")
    person.open(f"{BASE}/remove")
    person.look("enrolment-7-remove")
    person.open(f"{BASE}/codes")
    person.press(person.page.get_by_role("button", name="Make new backup codes"))
    expect(person.page.get_by_role("listitem")).to_have_count(10)
    person.look("enrolment-8-codes")


def test_the_pages_of_enrolment_in_django(person: Person, site: Site) -> None:
    if site.name != "django":
        pytest.skip("for the pages of Django")
    login = sign_in(person, site)
    person.open("/account/my-phone/")
    expect(person.page.get_by_text("Codes go to")).to_be_visible()
    person.look("enrolment-2-overview")

    person.press(person.page.get_by_role("link", name="Change the number"))
    person.look("enrolment-3-prove")
    person.page.get_by_label("Password").fill("incorrect")
    person.press(person.page.get_by_role("button", name="Send a code"))
    expect(person.alert).to_contain_text("password")
    person.look("enrolment-4-incorrect")
    person.page.get_by_label("Password").fill(login.fields["password"])
    person.press(person.page.get_by_role("button", name="Send a code"))
    person.look("enrolment-5-code")
    person.enter(site.codes(2)[-1])
    person.open("/account/my-phone/")
    expect(person.page.get_by_label("Phone number")).to_be_visible()
    person.look("enrolment-6-phone")

    person.open("/account/backup-codes/")
    person.look("enrolment-7-before-codes")
    person.press(person.page.get_by_role("button", name="Make new backup codes"))
    expect(person.page.get_by_role("listitem")).to_have_count(10)
    person.look("enrolment-8-codes")
