"""The sandbox's inbox in the browser: live, by keyboard, accessible, and with 10,000 messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from endpoint import Endpoint
from playwright.sync_api import Browser, Locator, Page, expect
from support import long_form

from browser.person import NARROW, SCREENSHOTS, WIDE
from otpverify import DeliveryError, Message, Retry
from otpverify.sandbox import Captured, Sandbox
from otpverify.sandbox.inbox import PAGE_SIZE

pytestmark = long_form

FIRST, SECOND, HEBREW, FAILS, REFUSED = (
    *("+12025550123", "+37256789045", "+972502345678"),
    *("+12025550190", "+12025550142"),
)
TEXTS = {
    FIRST: "Example shop: 771203 is your code.\n\n@example.com #771203",
    SECOND: "Pay 25.00 EUR to Northwind: 660912 approves this payment and nothing else. " * 3,
    HEBREW: "הקוד שלך הוא 482913. אל תשתפו אותו.",
    FAILS: "515151 is your code.",
    REFUSED: "404040 is your code.",
}
# A browser's sound and notifications, which a test cannot hear or see.
_HEARD = """
window.heard = [];
window.AudioContext = class {
    currentTime = 0;
    destination = {};
    createOscillator() {
        const connect = (to) => to;
        const start = () => heard.push("sound");
        return {frequency: {}, connect, start, stop() {}};
    }
    createGain() {
        const gain = {setValueAtTime() {}, exponentialRampToValueAtTime() {}};
        return {gain, connect: (to) => to};
    }
};
window.Notification = class {
    static permission = "granted";
    static requestPermission = async () => "granted";
    constructor(title, {body}) { heard.push(`${title} ${body}`); }
};
"""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def visit(browser: Browser, sandbox: Sandbox) -> Iterator[Callable[..., Page]]:
    """Opens the inbox. In the end, nothing went wrong, and nothing came from elsewhere."""
    contexts, faults = [], []

    def asked(url: str) -> None:
        if not url.startswith((sandbox.url, "data:", "blob:")):
            faults.append(f"a request to {url}")

    def make(path: str = "/inbox", **options: Any) -> Page:
        context = browser.new_context(
            **{"viewport": WIDE, "locale": "en-GB", "reduced_motion": "reduce", **options}
        )
        context.set_default_timeout(60_000)
        contexts.append(context)
        context.on("request", lambda request: asked(request.url))
        context.on("weberror", lambda error: faults.append(str(error.error)))
        context.on(
            "console", lambda said: faults.append(said.text) if said.type == "error" else None
        )
        context.add_init_script(_HEARD)
        page = context.new_page()
        page.goto(sandbox.url + path)
        if options.get("java_script_enabled", True):
            expect(page.locator("#state")).to_have_text("Live")
        return page

    yield make
    for context in contexts:
        context.close()
    assert faults == []


def send(sandbox: Sandbox, *numbers: str, report_url: str | None = None) -> None:
    with sandbox.client(report_url=report_url, retry=Retry(attempts=1)) as client:
        for number in numbers:
            try:
                client.send(Message(number, TEXTS[number], report="t"))
            except DeliveryError:
                assert number == REFUSED


def rows(page: Page) -> Locator:
    return page.locator("#messages > li")


def row(page: Page, e164: str) -> Locator:
    return rows(page).filter(has=page.locator(f"article[aria-label$='{e164}']"))


def unread(page: Page) -> Locator:
    return page.locator("#messages .dot")


def check(page: Page, name: str) -> None:
    """Nothing sticks out in two widths, axe finds nothing, and a picture is kept."""
    for size in (WIDE, NARROW):
        page.set_viewport_size(size)  # type: ignore[arg-type]  # a ViewportSize
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= size["width"], f"{name} is {wide} pixels wide in {size['width']}"
        page.screenshot(path=SCREENSHOTS / "inbox" / f"{name}-{size['width']}.png")
        options = {"resultTypes": ["violations"]}
        found = Axe().run(page, options=options).response["violations"]
        assert [(fault["id"], fault["nodes"][0]["html"]) for fault in found] == [], name
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]  # a ViewportSize


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/inbox", "/inbox?embed=1"])
def test_every_state_is_accessible(
    sandbox: Sandbox, visit: Callable[..., Page], scheme: str, path: str
) -> None:
    name = f"{scheme}{'-frame' if 'embed' in path else ''}"
    page = visit(path, color_scheme=scheme)
    check(page, f"empty-{name}")
    send(sandbox, *TEXTS)
    expect(rows(page)).to_have_count(5)
    check(page, f"list-{name}")
    for number in (FAILS, REFUSED, HEBREW):
        row(page, number).locator(".to").click()
        expect(page.locator("#opened")).to_be_focused()
        check(page, f"opened-{number[1:]}-{name}")
        page.keyboard.press("Escape")
        expect(row(page, number).locator(".to")).to_be_focused()
    page.locator("[name=q]").fill("nobody")
    expect(page.locator("#none")).to_have_text("Nothing found")
    check(page, f"nothing-found-{name}")
    page.locator("#options").click()
    expect(page.get_by_role("dialog", name="Options")).to_be_visible()
    check(page, f"options-{name}")


def test_messages_arrive_unread_and_are_read_when_opened(
    sandbox: Sandbox, visit: Callable[..., Page]
) -> None:
    page, other = visit(), visit()
    send(sandbox, FIRST, SECOND)
    for one in (page, other):
        expect(unread(one)).to_have_count(2)
        expect(one).to_have_title(re.compile(r"^\(2\) "))
    expect(page.locator("#announce")).to_have_text(re.compile("New message to .*, code "))
    row(page, FIRST).locator(".to").click()
    expect(page.locator("#opened")).to_have_text("+1 202 555 0123")
    for one in (page, other):
        expect(unread(one)).to_have_count(1)
        expect(one.locator("#unread")).to_have_text("1")
    expect(other.locator("#detail")).to_have_attribute("data-id", "")
    page.locator("#mark").click()
    expect(unread(other)).to_have_count(0)
    expect(page.locator("#mark")).to_be_disabled()
    page.reload()
    expect(page.locator("#opened")).to_have_text("+1 202 555 0123")
    expect(unread(page)).to_have_count(0)


def test_a_copied_code_is_read(sandbox: Sandbox, visit: Callable[..., Page]) -> None:
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    send(sandbox, FIRST)
    row(page, FIRST).locator(".code").click()
    expect(row(page, FIRST).locator(".hint")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "771203"
    expect(unread(page)).to_have_count(0)
    expect(row(page, FIRST).locator(".code")).to_be_focused()


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("+1 202 555-0123", {FIRST}),
        ("660912", {SECOND}),
        ("example SHOP", {FIRST}),
        ("refused", {REFUSED}),
        ("הקוד", {HEBREW}),
        ("<script>", set()),
    ],
)
def test_the_search_finds_as_one_types(
    sandbox: Sandbox, visit: Callable[..., Page], typed: str, found: set[str]
) -> None:
    page = visit()
    send(sandbox, *TEXTS)
    page.locator("[name=q]").press_sequentially(typed)
    expect(page.locator("#counts")).to_contain_text("found")
    expect(rows(page)).to_have_count(len(found))
    for number in found:
        expect(row(page, number)).to_be_visible()
    expect(page.locator("[name=q]")).to_be_focused()
    expect(page.locator("[name=q]")).to_have_value(typed)
    send(sandbox, FIRST)  # what arrives meanwhile is found, too, or not
    expect(rows(page)).to_have_count(len(found) + (FIRST in found))
    page.locator("[name=q]").fill("")
    expect(rows(page)).to_have_count(6)


def test_what_a_search_hid_is_not_announced_as_new(
    sandbox: Sandbox, visit: Callable[..., Page]
) -> None:
    send(sandbox, FIRST, SECOND)
    page = visit("/inbox?q=771203")
    send(sandbox, HEBREW)  # not found
    expect(page.locator("#unread")).to_have_text("3")
    page.locator("[name=q]").fill("771203 code")
    page.locator("[name=q]").fill("")
    expect(rows(page)).to_have_count(3)
    expect(page.locator("#announce")).to_have_text("")
    expect(page.locator(".new")).to_have_count(0)
    send(sandbox, REFUSED)
    expect(page.locator("#announce")).to_have_text("New message to +1 202 555 0142")
    page.locator("[name=q]").fill("nothing of this")
    expect(rows(page)).to_have_count(0)
    page.locator("#clear").click()  # all of them, also those that the search does not find
    expect(page.locator("#clear")).to_be_disabled()
    expect(page.locator("#none")).to_be_focused()
    assert sandbox.messages == []


def test_the_status_filters(sandbox: Sandbox, visit: Callable[..., Page]) -> None:
    page = visit()
    send(sandbox, *TEXTS)
    page.locator("[name=status]").select_option("refused")
    expect(rows(page)).to_have_count(1)
    expect(row(page, REFUSED)).to_contain_text("402: Insufficient balance")
    expect(row(page, REFUSED)).to_contain_text("On purpose")
    expect(row(page, REFUSED).locator(".code")).to_have_count(0)


def test_everything_by_keyboard(sandbox: Sandbox, visit: Callable[..., Page]) -> None:
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    send(sandbox, FIRST, SECOND, HEBREW)
    expect(rows(page)).to_have_count(3)
    press = page.keyboard.press
    for key, number in (("j", HEBREW), ("ArrowDown", SECOND), ("j", FIRST), ("k", SECOND)):
        press(key)
        expect(row(page, number).locator(".to")).to_be_focused()
    press("c")
    expect(page.locator("#announce")).to_have_text("Code copied")
    assert page.evaluate("navigator.clipboard.readText()") == "660912"
    press("Enter")
    expect(page.locator("#opened")).to_have_text("+372 5678 9045")
    press("Escape")
    expect(page.locator("#opened")).to_have_count(0)
    expect(row(page, SECOND).locator(".to")).to_be_focused()
    press("d")
    expect(row(page, SECOND)).to_have_count(0)
    expect(row(page, FIRST).locator(".to")).to_be_focused()
    press("Enter")
    expect(page.locator("#opened")).to_be_focused()
    press("Delete")
    expect(rows(page)).to_have_count(1)
    expect(page.locator("#opened")).to_have_count(0)
    expect(row(page, HEBREW).locator(".to")).to_be_focused()
    press("m")
    expect(unread(page)).to_have_count(0)
    press("/")
    expect(page.locator("[name=q]")).to_be_focused()
    page.keyboard.type("d?")  # not keys while one types
    expect(page.locator("#none")).to_have_text("Nothing found")
    assert len(sandbox.messages) == 1
    page.locator("[name=q]").fill("")
    expect(rows(page)).to_have_count(1)
    press("Escape")
    press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    press("d")  # nor while the dialog is open
    press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert len(sandbox.messages) == 1


def test_keys_can_be_switched_off(sandbox: Sandbox, visit: Callable[..., Page]) -> None:
    page = visit()
    send(sandbox, FIRST)
    expect(rows(page)).to_have_count(1)
    page.locator("#options").click()
    page.get_by_label("Use the keys below").uncheck()
    page.keyboard.press("Escape")
    page.reload()
    row(page, FIRST).locator(".to").focus()
    page.keyboard.press("d")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.locator("#opened")).to_be_visible()
    assert len(sandbox.messages) == 1


def test_sound_and_notification_are_off_until_chosen(
    sandbox: Sandbox, visit: Callable[..., Page]
) -> None:
    page = visit()
    send(sandbox, FIRST)
    expect(rows(page)).to_have_count(1)
    assert page.evaluate("heard") == []
    page.locator("#options").click()
    page.get_by_label("Play a sound").check()
    page.get_by_label("Show a notification").check()
    page.reload()
    expect(page.locator("#state")).to_have_text("Live")
    assert page.evaluate("heard") == []  # nothing for what was there before
    send(sandbox, SECOND)
    expect(rows(page)).to_have_count(2)
    assert page.evaluate("heard") == ["sound", "Code 660912 +37256789045"]
    page.locator(".to").first.click()
    page.locator(".delete").click()  # makes the older one the newest
    expect(rows(page)).to_have_count(1)
    assert len(page.evaluate("heard")) == 2


def test_the_timeline_grows_while_one_looks(sandbox: Sandbox, visit: Callable[..., Page]) -> None:
    answers = iter([200, 503, 200, 200])
    sandbox._reporter._shape = None
    with Endpoint(lambda _: next(answers)) as endpoint:
        send(sandbox, FIRST, report_url=endpoint.url)
        page = visit()
        row(page, FIRST).locator(".to").click()
        events = page.locator(".timeline li")
        expect(events).to_have_count(1)
        page.locator(".detail pre").first.focus()
        (message,) = sandbox.messages
        for count, status in enumerate(("sent", "delivered", "delivered"), 2):
            sandbox.report(message.id, status)
            expect(events).to_have_count(count)
        expect(events.nth(2)).to_contain_text("The application answered 503.")
        expect(events.nth(3)).to_contain_text("Reported again.")
        expect(page.locator(".detail pre").first).to_be_focused()
        expect(row(page, FIRST).locator(".report dd")).to_have_text("delivered")
        request = page.locator(".detail pre").first
        expect(request).to_contain_text('"token": "***"')
        expect(request).not_to_contain_text("sandbox-token")


def test_times_are_local_and_relative(sandbox: Sandbox, visit: Callable[..., Page]) -> None:
    send(sandbox, FIRST)
    page = visit(timezone_id="Asia/Tokyo")
    expect(page.locator(".top time")).to_have_text(re.compile("now|sec"))
    at = sandbox.messages[0].received_at
    hour = (at.hour + 9) % 24
    expect(page.locator(".top time")).to_have_attribute(
        "title", re.compile(rf"{hour:02d}:{at:%M:%S}")
    )


@pytest.fixture
def full(sandbox: Sandbox) -> Sandbox:
    """A sandbox with 10,000 messages."""
    for nth in range(10_000):
        add(sandbox, nth)
    return sandbox


def add(sandbox: Sandbox, nth: int) -> None:
    text = f"Example shop: {100_000 + nth} is your code."
    code = str(100_000 + nth)
    facts = ("GSM-7", len(text), 1, None, datetime.now(UTC), code)
    message = Captured(f"{nth:032x}", f"+1202555{nth % 10_000:04d}", "MyApp", text, *facts)
    sandbox._outbox.add(message)


def test_ten_thousand_messages_are_walked_by_pages(
    full: Sandbox, visit: Callable[..., Page]
) -> None:
    page = visit()
    expect(page.locator("#count")).to_have_text("10,000")
    expect(rows(page)).to_have_count(PAGE_SIZE)
    page.locator(".older").click()
    expect(page.locator(".pager")).to_contain_text("51 to 100 of 10,000")
    first = rows(page).first.locator(".digits")
    expect(first).to_have_text("109949")
    add(full, 10_000)  # moves nothing on an older page but the range
    expect(page.locator(".pager")).to_contain_text("52 to 101 of 10,000")
    expect(first).to_have_text("109949")
    page.keyboard.press("n")
    expect(first).to_have_text("109899")
    page.keyboard.press("p")
    expect(first).to_have_text("109949")
    page.go_back()
    expect(first).to_have_text("109899")
    page.locator("[name=q]").fill("102345")
    expect(rows(page)).to_have_count(1)
    expect(first).to_have_text("102345")
    page.locator("[name=q]").fill("")
    expect(first).to_have_text("110000")
    for nth in range(500):
        add(full, 20_000 + nth)
    expect(first).to_have_text("120499")
    expect(rows(page)).to_have_count(PAGE_SIZE)


def test_without_javascript(full: Sandbox, visit: Callable[..., Page]) -> None:
    page = visit(java_script_enabled=False)
    for name in ("#mark", "#clear", "#options", "#state", ".hint"):
        expect(page.locator(name).first).to_be_hidden()
    page.locator(".older").click()
    expect(page.locator(".pager")).to_contain_text("51 to 100 of 10,000")
    page.locator(".newer").click()
    page.locator("[name=q]").fill("shop 102345")
    page.get_by_role("button", name="Search").click()
    expect(rows(page)).to_have_count(1)
    page.locator(".to").click()
    expect(page.locator("#opened")).to_have_text("+1 202 555 2345")
    expect(page.locator(".delete")).to_be_hidden()
    page.locator(".close").click()
    expect(rows(page)).to_have_count(1)
    expect(page.locator("[name=q]")).to_have_value("shop 102345")


def test_what_was_sent_is_text(sandbox: Sandbox, visit: Callable[..., Page]) -> None:
    page = visit()
    attack = "<img src=x onerror=\"document.title='gone'\"><script>document.title='gone'</script>"
    with sandbox.client() as client:
        client.send(Message(FIRST, attack))
    expect(page.locator("#messages .text")).to_have_text(attack)
    page.locator(".to").click()
    expect(page.locator("#detail .text")).to_have_text(attack)
    page.locator("[name=q]").fill(attack)
    expect(page.locator("#counts")).to_contain_text("found")
    assert page.locator("main img, main script").count() == 0
    assert "Inbox" in page.title()


@pytest.mark.parametrize("width", [296, 328, 480])
def test_a_low_frame_shows_the_newest_code(
    sandbox: Sandbox, visit: Callable[..., Page], width: int
) -> None:
    send(sandbox, SECOND, FIRST)
    page = visit("/inbox?embed=1", viewport={"width": width, "height": 176})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    expect(page.locator("#clear")).to_be_in_viewport(ratio=1)
    expect(row(page, FIRST).locator(".code")).to_be_in_viewport(ratio=1)


def test_a_frame_adds_no_steps_to_the_page_around_it(
    sandbox: Sandbox, visit: Callable[..., Page]
) -> None:
    send(sandbox, FIRST, SECOND)
    page = visit("/inbox?embed=1")
    before = page.evaluate("history.length")
    for number in (FIRST, SECOND):
        row(page, number).locator(".to").click()
        expect(page.locator("#opened")).to_be_focused()
        page.locator(".close").click()
        expect(page.locator("#opened")).to_have_count(0)
    assert page.evaluate("history.length") == before
    assert page.url.endswith("/inbox?embed=1")
