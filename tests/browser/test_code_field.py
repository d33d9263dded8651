"""The field for a code: it is sent at its last digit, once, and read out of the SMS where the
browser can (WebOTP). `test_flows` looks at the rest of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect
from support import long_form, wrong

from browser.person import Person
from browser.sites import Flow, Site

pytestmark = long_form

# Chromium has WebOTP on phones only.
WEB_OTP = """() => {
    window.OTPCredential = class {};
    window.asked = [];
    navigator.credentials.get = (options) => new Promise((resolve, reject) => {
        window.asked.push(options);
        options.signal.addEventListener("abort", () => reject(options.signal.reason));
        window.deliver = (code) => resolve({ code });
    });
}"""


@pytest.fixture
def phone(site: Site) -> Flow:
    return site.kind.flows["phone"]


def test_a_code_is_sent_at_its_last_digit(person: Person, flow: Flow, site: Site) -> None:
    person.start(flow)
    (code,) = site.codes(1)
    if not person.sends_itself:
        assert person.page.get_by_role("checkbox").is_visible(), "the form has a choice"
        pytest.skip("a form with a choice waits for its button: see below")
    hint = person.page.locator("[data-code-sends]")
    expect(hint).to_have_text("The code is checked once it is complete.")
    described = (person.code_field.get_attribute("aria-describedby") or "").split()
    assert hint.get_attribute("id") in described
    keyboard = person.page.keyboard
    keyboard.type(code[:3] + " " + code[3:-1])
    keyboard.type("x")
    keyboard.press("Backspace")
    expect(person.code_field).to_be_focused()
    person.typed.add(code)
    with person.going():
        keyboard.type(code[-1])
    person.finish(flow)


def test_after_a_refusal_the_next_code_is_sent_too(person: Person, phone: Flow, site: Site) -> None:
    person.start(phone)
    (code,) = site.codes(1)
    for nth, left in ((1, 4), (2, 3)):
        person.typed.add(wrong(code, nth))
        with person.going():
            person.page.keyboard.type(wrong(code, nth))
        person.see_error(person.code_field, f"{left} attempts left")
    assert person.code_field.input_value() == ""


@pytest.mark.parametrize("cached", [True, False])
def test_a_page_that_one_went_back_to_sends_nothing_by_itself(
    person: Person, phone: Flow, site: Site, cached: bool
) -> None:
    """Where the browser shows the old page again, and where it loads it again."""
    person.start(phone)
    (code,) = site.codes(1)
    if cached:  # as from the back/forward cache: the same document, whose code was sent already
        person.page.evaluate("addEventListener('submit', (e) => e.preventDefault())")
        person.code_field.fill(wrong(code))
        expect(person.page.locator("form[aria-busy]")).to_have_count(1)
        person.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow'))")
    else:
        person.enter(wrong(code))
        person.back()
        expect(person.page.locator("[data-code-sends]")).to_be_hidden()
    sent: list[str] = []
    person.page.on("request", lambda request: sent.append(request.method))
    person.code_field.fill("")
    person.page.keyboard.type(wrong(code))
    person.typed.add(wrong(code))
    expect(person.page.locator("form[aria-busy]")).to_have_count(0)
    assert "POST" not in sent
    if not cached:
        with person.going():
            person.check_button.click()
        expect(person.alert).to_contain_text("3 attempts left")


def test_the_length_is_the_policys(person: Person, phone: Flow) -> None:
    person.start(phone)
    expect(person.code_field).to_have_attribute("data-length", "6")
    person.code_field.evaluate("(field) => { field.dataset.length = 8; }")
    person.page.evaluate("addEventListener('submit', (e) => e.preventDefault())")
    person.page.keyboard.type("123456")
    expect(person.page.locator("form[aria-busy]")).to_have_count(0)
    person.page.keyboard.type("78")
    expect(person.page.locator("form[aria-busy]")).to_have_count(1)
    person.typed.add("")


def test_a_form_with_a_choice_waits_for_its_button(person: Person, phone: Flow, site: Site) -> None:
    """Such as the box that remembers the browser: one could not tick it after the code."""
    person.page.add_init_script(
        """new MutationObserver(() => {
            const form = document.querySelector("[data-length]")?.form;
            if (!form || form.querySelector("[name=remember]")) return;
            form.insertAdjacentHTML("afterbegin", '<input type="checkbox" name="remember">');
        }).observe(document, { childList: true, subtree: true })"""
    )
    person.start(phone)
    (code,) = site.codes(1)
    expect(person.page.locator("[data-code-sends]")).to_be_hidden()
    person.typed.add(code)
    person.page.keyboard.type(code)
    expect(person.page.locator("form[aria-busy]")).to_have_count(0)
    with person.going():
        person.check_button.click()
    person.finish(phone)


def test_the_browser_reads_the_code_out_of_the_message(
    person: Person, flow: Flow, site: Site
) -> None:
    person.page.add_init_script(f"({WEB_OTP})()")
    person.start(flow)
    (code,) = site.codes(1)
    asked = person.page.evaluate("asked.map((options) => options.otp)")
    assert asked == [{"transport": ["sms"]}]
    person.typed.add(code)
    by_itself = person.sends_itself
    with person.going():
        person.page.evaluate("(code) => deliver(code)", code)
        if not by_itself:  # the form has a choice
            expect(person.code_field).to_have_value(code)
            person.check_button.click()
    person.finish(flow)


@pytest.mark.parametrize("how", ["typed", "swapped"])
def test_the_browser_no_longer_waits_for_a_message(
    person: Person, phone: Flow, site: Site, how: str
) -> None:
    person.page.add_init_script(f"({WEB_OTP})()")
    person.start(phone)
    person.page.evaluate("addEventListener('submit', (e) => e.preventDefault())")
    if how == "typed":
        person.code_field.fill(wrong(site.codes(1)[0]))
    else:
        person.page.evaluate("document.querySelector('main').replaceChildren()")
    person.page.wait_for_function("asked[0].signal.aborted")


def test_a_code_that_one_types_is_not_replaced(
    visit: Callable[..., Person], phone: Flow, site: Site
) -> None:
    person = visit()
    person.page.add_init_script(f"({WEB_OTP})()")
    person.start(phone)
    person.page.keyboard.type("12")
    person.page.evaluate("deliver('654321')")
    expect(person.code_field).to_have_value("12")
