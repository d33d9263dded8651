"""The three flows of every site, as a person meets them in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect
from support import long_form, wrong

from browser.person import Person
from browser.sites import Flow, Site

pytestmark = long_form

COOLDOWN = 60
LIFETIME = 600


@pytest.fixture
def name(request: pytest.FixtureRequest, flow: Flow, site: Site) -> str:
    """What the flow is called, for the pictures."""
    return next(name for name, found in site.kind.flows.items() if found is flow)


def test_the_way_in(person: Person, site: Site) -> None:
    person.open("/")
    person.look("index")
    for flow in site.kind.flows.values():
        expect(person.page.locator(f"a[href='{flow.path}']").first).to_be_visible()


def test_from_beginning_to_end(person: Person, flow: Flow, site: Site, name: str) -> None:
    person.open(flow.path)
    person.look(f"{name}-1-first")
    person.fill_in(flow)
    person.see_code_page()
    (code,) = site.codes(1)
    person.look(f"{name}-2-code")
    person.enter(code)
    if flow.new_password:
        person.look(f"{name}-3-password")
    person.finish(flow)
    person.look(f"{name}-4-end")
    assert site.codes(1) == [code]


def test_the_code_field(person: Person, flow: Flow) -> None:
    person.start(flow)
    field = person.code_field
    expect(field).to_have_attribute("inputmode", "numeric")
    expect(field).to_have_attribute("autocomplete", "one-time-code")
    assert field.get_attribute("maxlength") is None
    assert field.input_value() == ""


def test_wrong_code(person: Person, flow: Flow, site: Site, name: str) -> None:
    person.start(flow)
    (code,) = site.codes(1)
    person.enter(wrong(code))
    person.see_error(person.code_field, "4 attempts left")
    expect(person.page).to_have_title(re.compile("^Error"))
    person.look(f"{name}-wrong")
    person.enter(wrong(code, 2))
    person.see_error(person.code_field, "3 attempts left")
    person.enter("letters")
    person.see_error(person.code_field, "did not count")
    person.enter(code)
    person.finish(flow)


def test_too_many_wrong_codes(person: Person, flow: Flow, site: Site, name: str) -> None:
    person.start(flow)
    (code,) = site.codes(1)
    for nth in range(1, 6):
        person.enter(wrong(code, nth))
    expect(person.alert).to_contain_text("Too many incorrect codes")
    expect(person.code_field).to_have_count(0)
    person.look(f"{name}-exhausted")
    # After a right password, the person is notified that somebody failed (OWASP ASVS 5.0, 6.3.5).
    sent = [code, ""] if "password" in flow.fields else [code]
    assert site.codes(len(sent)) == sent


def test_expired(person: Person, flow: Flow, site: Site, name: str) -> None:
    person.start(flow)
    (code,) = site.codes(1)
    site.pass_time(LIFETIME + 1)
    person.enter(code)
    expect(person.alert).to_contain_text("expired")
    expect(person.heading).not_to_contain_text(flow.end)
    person.look(f"{name}-expired")
    person.fill_in(flow)
    person.enter(site.codes(2)[1])
    person.finish(flow)


def test_the_cooldown_counts_down(person: Person, flow: Flow, site: Site) -> None:
    clock = person.page.clock
    clock.install()
    person.start(flow)
    # Far enough ahead to be ahead still when it is heard of.
    clock.pause_at(person.page.evaluate("Date.now() / 1000 + 15"))
    expect(person.resend_button).to_be_disabled()
    left = seconds_in(person)
    assert 5 < left <= COOLDOWN - 14
    clock.run_for(3_000)
    assert left - 4 <= seconds_in(person) <= left - 3
    clock.run_for((left - 4) * 1000)
    expect(person.resend_button).to_be_disabled()
    clock.run_for(2_000)
    expect(person.resend_button).to_be_enabled()
    expect(person.resend_button).not_to_contain_text(re.compile(r"\d"))
    site.pass_time(COOLDOWN)
    person.press(person.resend_button)
    person.see_code_page()
    assert len(site.codes(2)) == 2


def test_too_early_a_resend_says_how_long_to_wait(
    visit: Callable[..., Person], flow: Flow, site: Site
) -> None:
    person = visit(java_script_enabled=False)  # with a script the button cannot be pressed yet
    person.start(flow)
    person.press(person.resend_button)
    expect(person.alert).to_contain_text(re.compile(r"in \d+ seconds"))
    expect(person.code_field).to_be_visible()
    assert len(site.codes(1)) == 1


def test_resend(person: Person, flow: Flow, site: Site, name: str) -> None:
    person.start(flow)
    (first,) = site.codes(1)
    site.pass_time(COOLDOWN)
    person.reload()
    person.press(person.resend_button)
    expect(person.page.get_by_role("status")).to_contain_text("on its way")
    second = site.codes(2)[1]
    assert first != second
    person.look(f"{name}-resent")
    person.enter(first)  # messages overtake each other
    person.finish(flow)


def test_paste_with_a_space(person: Person, flow: Flow, site: Site) -> None:
    person.start(flow)
    (code,) = site.codes(1)
    tab = person.page
    person.new_tab()  # the messages of the phone, so to speak
    person.page.set_content(f"<textarea autofocus>{code[:3]} {code[3:]}</textarea>")
    person.page.locator("textarea").press("ControlOrMeta+a")
    person.page.locator("textarea").press("ControlOrMeta+c")
    person.use_tab(tab)
    tab.bring_to_front()
    person.paste_code()
    person.finish(flow)


def test_paste_of_a_whole_message(person: Person, flow: Flow, site: Site) -> None:
    person.start(flow)
    (code,) = site.codes(1)
    tab = person.page
    person.new_tab()
    person.page.set_content(f"<textarea autofocus>Shop: {code} is the code.\nKeep it.</textarea>")
    person.page.locator("textarea").press("ControlOrMeta+a")
    person.page.locator("textarea").press("ControlOrMeta+c")
    person.use_tab(tab)
    tab.bring_to_front()
    person.paste_code()
    person.finish(flow)


def test_a_whole_message_without_scripts(
    visit: Callable[..., Person], flow: Flow, site: Site
) -> None:
    person = visit(java_script_enabled=False)
    person.start(flow)
    (code,) = site.codes(1)
    person.code_field.fill(f"Shop: {code} is the code. Keep it.")
    person.press(person.check_button)
    person.finish(flow)


def test_back_in_the_middle(person: Person, flow: Flow, site: Site) -> None:
    person.start(flow)
    (code,) = site.codes(1)
    person.back()
    expect(person.page.locator(f"input[name={next(iter(flow.fields))}]")).to_be_visible()
    person.forward()
    person.see_code_page()
    person.enter(wrong(code))
    person.back()
    person.forward()
    assert len(site.codes(1)) == 1
    person.open(person.page.url.removeprefix(site.url))
    person.enter(code)
    person.finish(flow)


def test_back_after_the_end(person: Person, flow: Flow, site: Site) -> None:
    person.start(flow)
    (code,) = site.codes(1)
    person.enter(code)
    person.finish(flow)
    for _ in range(3):
        person.back()
        # It is used up, and so are the pages behind it.
        expect(person.code_field).to_have_count(0)
        expect(person.page.locator("[autocomplete=new-password]")).to_have_count(0)
    assert len(site.codes(1)) == 1


def test_two_tabs(person: Person, flow: Flow, site: Site, name: str) -> None:
    person.start(flow)
    (code,) = site.codes(1)
    first = person.page
    person.new_tab()
    person.start(flow)
    expect(person.alert).to_contain_text(re.compile(r"in \d+ seconds"))
    expect(person.code_field).to_be_visible()
    expect(person.resend_button).to_be_disabled()
    person.look(f"{name}-cooldown")
    assert len(site.codes(1)) == 1
    person.enter(code)
    person.finish(flow)
    person.use_tab(first)
    person.enter(code)
    # It says that the code was used, or leads to where the other tab is.
    expect(person.notice.or_(person.heading.get_by_text(flow.end)).first).to_be_visible()
    expect(person.code_field).to_have_count(0)
    assert len(site.codes(1)) == 1


def test_a_page_whose_content_was_swapped(person: Person, flow: Flow, site: Site) -> None:
    """As htmx does with `hx-boost`: the script is not run again."""
    clock = person.page.clock
    clock.install()
    person.start(flow)
    person.page.evaluate(
        """() => {
            const panel = document.querySelector("main");
            const wait = panel.querySelector("button[data-wait]");
            wait.textContent = "Resend";
            wait.disabled = false;
            panel.innerHTML = panel.innerHTML;
        }"""
    )
    again = person.page.get_by_role("button", name=re.compile(r"^Resend \(0:\d\d\)"))
    expect(again).to_be_disabled()
    stopped = person.page.evaluate(
        """() => {
            const form = document.querySelector("input[autocomplete=one-time-code]").form;
            const submit = () => form.dispatchEvent(
                new SubmitEvent("submit", {cancelable: true, bubbles: true}));
            return [submit(), submit()];
        }"""
    )
    assert stopped == [True, False], "the second one is stopped"


def test_a_reload_sends_nothing(person: Person, flow: Flow, site: Site) -> None:
    person.open(flow.path)
    person.reload()
    person.fill_in(flow)
    person.reload()
    person.see_code_page()
    (code,) = site.codes(1)
    person.enter(wrong(code))
    expect(person.alert).to_contain_text("4 attempts left")
    person.reload()
    expect(person.code_field).to_be_visible()
    person.enter(code)
    person.reload()
    person.finish(flow)
    person.reload()
    expect(person.heading).to_contain_text(flow.end)
    assert len(site.codes(1)) == 1


def test_without_scripts(visit: Callable[..., Person], flow: Flow, site: Site) -> None:
    person = visit(java_script_enabled=False)
    person.start(flow)
    (code,) = site.codes(1)
    expect(person.page.get_by_text(re.compile(r"in \d+ s|\(\d:\d\d\)")).first).to_be_visible()
    person.enter(wrong(code))
    expect(person.alert).to_contain_text("4 attempts left")
    site.pass_time(COOLDOWN)
    person.press(person.resend_button)
    person.code_field.fill(site.codes(2)[1])
    person.press(person.check_button)
    person.finish(flow)


def test_with_the_keyboard_alone(person: Person, flow: Flow, site: Site) -> None:
    person.open(flow.path)
    keyboard = person.page.keyboard
    for nth, (field, value) in enumerate(flow.fields.items()):
        if nth:
            keyboard.press("Tab")
        person.see_focus(person.page.locator(f"input[name={field}]"))
        keyboard.type(value)
    with person.going():
        keyboard.press("Enter")
    person.see_focus(person.code_field)
    (code,) = site.codes(1)
    person.typed.add(wrong(code))
    by_itself = person.sends_itself
    with person.going():
        keyboard.type(wrong(code))  # sent by its last digit
        if not by_itself:
            keyboard.press("Enter")
    person.see_focus(person.code_field)
    keyboard.type(wrong(code)[:-1])
    with person.going():
        keyboard.press("Enter")
    person.see_focus(person.code_field)
    site.pass_time(COOLDOWN)
    person.reload()
    person.see_focus(person.code_field)
    if not by_itself:
        keyboard.press("Tab")  # the box that remembers the browser
    keyboard.press("Tab")
    person.see_focus(person.check_button)
    keyboard.press("Tab")
    person.see_focus(person.resend_button)
    with person.going():
        keyboard.press("Enter")
    person.see_focus(person.code_field)
    second = site.codes(2)[1]
    person.typed.add(second)
    with person.going():
        keyboard.type(second)
        if not by_itself:
            keyboard.press("Enter")
    if flow.new_password:
        passwords = person.page.locator("input[type=password]").all()
        for nth, password in enumerate(passwords):
            if nth:
                keyboard.press("Tab")
            person.see_focus(password)
            keyboard.type(flow.new_password)
        with person.going():
            keyboard.press("Enter")
    expect(person.heading).to_contain_text(flow.end)


def test_in_the_dark(visit: Callable[..., Person], flow: Flow, site: Site, name: str) -> None:
    person = visit(color_scheme="dark", style="-dark")
    person.open(flow.path)
    person.look(f"{name}-1-first")
    person.fill_in(flow)
    (code,) = site.codes(1)
    person.enter(wrong(code))
    person.look(f"{name}-wrong")
    person.enter(code)
    person.finish(flow)
    person.look(f"{name}-4-end")


def seconds_in(person: Person) -> int:
    """How many seconds the button says are left."""
    found = re.search(r"\((\d+):(\d\d)\)", person.resend_button.inner_text())
    assert found
    return int(found[1]) * 60 + int(found[2])
