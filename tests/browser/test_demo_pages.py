"""What only the demo has: guessed passwords, numbers that fail, a missing page."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from pasted import PASTED
from playwright.sync_api import expect
from support import long_form, wrong

from browser.person import Person
from browser.sites import Site

pytestmark = [long_form, pytest.mark.parametrize("running_site", ["demo"], indirect=True)]


def test_wrong_passwords(person: Person, site: Site) -> None:
    login = site.kind.flows["login"]
    person.open("/login")
    for _ in range(5):
        person.page.locator("input[name=user]").fill("customer")
        person.page.locator("input[name=password]").fill("a guess")
        person.press(person.page.get_by_role("button", name="Continue"))
        expect(person.alert).to_contain_text("The user name or password is incorrect.")
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
    person.page.locator("input[name=phone]").fill("12")
    person.press(person.page.get_by_role("button", name="Send a code"))
    person.see_error(person.page.locator("input[name=phone]"), "number")
    expect(person.page.locator("input[name=phone]")).to_have_value("12")
    person.look("phone-invalid")
    assert site.codes(0) == []


def test_a_message_that_the_gateway_does_not_take(person: Person, site: Site) -> None:
    person.open("/phone")
    person.page.locator("input[name=phone]").fill("+1 202 555 0150")
    person.press(person.page.get_by_role("button", name="Send a code"))
    expect(person.alert).to_be_visible()
    person.look("phone-not-sent")
    assert site.codes(0) == []


def test_a_new_password_that_is_too_short(person: Person, site: Site) -> None:
    reset = site.kind.flows["reset"]
    person.start(reset)
    person.enter(site.codes(1)[0])
    password = person.page.locator("input[name=password]")
    password.fill("short")
    with person.going():
        password.press("Enter")
    person.see_error(password, "at least 8 characters")
    person.look("reset-short-password")
    person.finish(reset)
    assert len(site.codes(1)) == 1


def test_an_unknown_number_looks_like_any_other(person: Person, site: Site) -> None:
    person.open("/reset")
    person.page.locator("input[name=phone]").fill("+1 202 555 0199")
    with person.going():
        person.page.locator("input[name=phone]").press("Enter")
    person.see_code_page()
    expect(person.page.locator("main")).to_contain_text("If there is an account with the number")
    assert site.codes(0) == []


def test_a_page_that_is_not_there(person: Person) -> None:
    person.open("/nowhere")
    expect(person.heading).to_have_text("Page not found")
    person.look("not-found")


@pytest.mark.parametrize("how", ["waiting", "reload"])
def test_a_message_that_was_not_delivered_may_be_sent_again_at_once(
    person: Person, site: Site, how: str
) -> None:
    person.open("/phone")
    person.page.locator("input[name=phone]").fill("+1 202 555 0190")
    person.press(person.page.get_by_role("button", name="Send a code"))
    if how == "reload":  # on a busy machine the report may be there before one can look
        person.page.wait_for_function(
            "fetch('/phone/status').then(r => r.json()).then(s => !s.resend_in)"
        )
        person.reload()
    expect(person.alert).to_contain_text("could not be delivered")
    expect(person.resend_button).to_be_enabled()
    expect(person.resend_button).to_have_text("Resend code")
    person.look(f"phone-undelivered-{how}")
    person.press(person.resend_button)
    assert len(site.codes(2)) == 2


@pytest.mark.parametrize(("typed", "code"), PASTED)
def test_the_script_takes_the_code_out_of_a_paste_as_the_server_does(
    person: Person, site: Site, typed: str, code: str
) -> None:
    person.start(site.kind.flows["phone"])
    field = person.code_field
    left = field.evaluate(
        """(field, text) => {
            // A code that is complete would be sent.
            addEventListener("submit", (event) => event.preventDefault(), true);
            const carried = new DataTransfer();
            carried.setData("text", text);
            const options = {clipboardData: carried, bubbles: true, cancelable: true};
            return field.dispatchEvent(new ClipboardEvent("paste", options));
        }""",
        typed,
    )
    # A paste that the script leaves alone goes into the field as it is.
    assert (typed if left else field.input_value()) == code


@pytest.mark.parametrize("page", ["/nowhere", "/phone", "/login", "/reset/code"])
def test_the_frame_fills_the_inbox(person: Person, site: Site, page: str) -> None:
    person.page.set_viewport_size({"width": 1280, "height": 800})
    if page == "/phone":
        person.start(site.kind.flows["phone"])
        person.enter("000000")
    else:
        person.open(page)
    box, frame = (person.page.locator(name).bounding_box() for name in (".inbox", "iframe"))
    assert box
    assert frame
    assert abs(box["y"] + box["height"] - frame["y"] - frame["height"]) <= 2
    assert box["y"] + box["height"] <= 800


@pytest.mark.parametrize("wrong_code", [False, True])
@pytest.mark.parametrize("name", ["login", "phone", "reset"])
def test_on_a_phone_the_code_and_its_field_are_in_sight(
    person: Person, site: Site, name: str, wrong_code: bool
) -> None:
    person.page.set_viewport_size({"width": 360, "height": 740})
    person.start(site.kind.flows[name])
    (code,) = site.codes(1)
    if wrong_code:
        person.enter(wrong(code))
    shown = person.page.frame_locator("iframe").locator(".code").first
    expect(shown).to_be_in_viewport(ratio=1)
    expect(shown).to_contain_text(code)
    expect(person.code_field).to_be_in_viewport(ratio=1)
    expect(person.check_button).to_be_in_viewport(ratio=1)


def test_sign_up_by_phone_and_sign_in_again(
    person: Person, visit: Callable[..., Person], site: Site
) -> None:
    def ask(who: Person) -> None:
        who.open("/")
        who.press(who.page.locator("a[href^='/sign-in']").last)
        who.page.locator("input[name=phone]").fill("5678 9047")
        with who.going():
            who.page.locator("input[name=phone]").press("Enter")
        who.see_code_page()

    person.open("/sign-in")
    person.look("sign-in-1-first")
    ask(person)
    person.look("sign-in-2-code")
    person.enter(site.codes(1)[0])
    name = person.page.locator("input[name=name]")
    expect(person.heading).to_have_text("Create your account")
    expect(name).to_be_focused()
    person.look("sign-in-3-account")
    name.fill("x" * 41)
    with person.going():
        name.press("Enter")
    person.see_error(name, "Enter a name of up to 40 characters.")
    person.look("sign-in-3-account-error")
    name.fill("Mari")
    with person.going():
        name.press("Enter")
    expect(person.heading).to_have_text("You are signed in")
    expect(person.page.locator("main")).to_contain_text("Mari")
    person.look("sign-in-4-end")
    person.press(person.page.get_by_role("button", name="Sign out"))
    expect(person.notice.first).to_contain_text("You are signed out.")
    site.pass_time(61)
    again = visit()
    ask(again)
    again.enter(site.codes(2)[1])
    expect(again.heading).to_have_text("You are signed in")
    expect(again.page.locator("main")).to_contain_text("Mari")
    again.open("/sign-in?next=/signed-in")
    expect(again.heading).to_have_text("You are signed in")
