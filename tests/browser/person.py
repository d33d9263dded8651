"""A person with a browser: fills in forms, looks at pages, and remembers all that was shown."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Locator, Page, Response, expect

from browser.sites import ROOT, Flow, Site

SCREENSHOTS: Final = Path(
    os.environ.get("OTPVERIFY_TEST_SCREENSHOTS") or ROOT / ".artefacts" / "screenshots"
)
WIDE: Final = {"width": 1280, "height": 800}
NARROW: Final = {"width": 320, "height": 640}
# What is in a frame is another page; the sandbox's own tests look at it.
_AXE: Final = {"resultTypes": ["violations"], "iframes": False}
_STORED = "() => JSON.stringify([{...localStorage}, {...sessionStorage}])"
_FOCUS_SHOWS = """element => {
    const style = getComputedStyle(element);
    return element.matches(":focus-visible") && (style.outlineStyle === "auto"
        || style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2);
}"""
_HEADERS: Final = {
    "content-security-policy": r"default-src '(none|self)'(?!.*unsafe-inline).*frame-ancestors '",
    "cache-control": r"no-store|private",
    "referrer-policy": r"no-referrer|same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY|SAMEORIGIN",
}


class Person:
    """One person, in one browser that nobody else uses.

    Attributes:
        site: Where the person is.
        page: The open tab.
        typed: Every code that the person typed.
    """

    def __init__(self, site: Site, context: BrowserContext, *, style: str = "") -> None:
        self.site = site
        self.typed: set[str] = set()
        self._style = style
        self._seen: list[tuple[str, str]] = []
        self._faults: list[str] = []
        self._unread: dict[Page, Response] = {}
        context.on("request", lambda request: self._saw("an address", request.url))
        context.on("console", lambda message: self._heard(message.type, message.text))
        context.on("weberror", lambda error: self._faults.append(f"script: {error.error}"))
        context.on("response", self._answered)
        self._context = context
        self.page = context.new_page()

    # Where things are.

    @property
    def code_field(self) -> Locator:
        return self.page.locator("input[name=code]")

    @property
    def sends_itself(self) -> bool:
        """Whether the page says that it sends a code that is complete."""
        return self.page.locator("[data-code-sends]").is_visible()

    @property
    def check_button(self) -> Locator:
        return self.page.locator("form:has(input[name=code]) button")

    @property
    def alert(self) -> Locator:
        return self.page.get_by_role("alert")

    @property
    def notice(self) -> Locator:
        """The notice or error that the page shows."""
        return self.page.locator("[role=alert], [role=status]")

    @property
    def heading(self) -> Locator:
        return self.page.get_by_role("heading", level=1)

    @property
    def resend_button(self) -> Locator:
        name = re.compile(f"^{self.site.kind.resend}", re.IGNORECASE)
        return self.page.get_by_role("button", name=name)

    # What a person does.

    @contextmanager
    def going(self) -> Iterator[None]:
        """What is done inside leads to another page, or loads this one again."""
        with self.page.expect_event("load"):
            yield
        self._remember()

    def open(self, path: str) -> None:
        """Type an address."""
        self.page.goto(self.site.url + path)
        self._remember()

    def reload(self) -> None:
        self.page.reload()
        self._remember()

    def back(self) -> None:
        self.page.go_back()
        self._remember()

    def forward(self) -> None:
        self.page.go_forward()
        self._remember()

    def new_tab(self) -> None:
        """Open another tab and use it from now on."""
        self.page = self._context.new_page()

    def use_tab(self, page: Page) -> None:
        self.page = page

    def start(self, flow: Flow) -> None:
        """Request a code from the flow's first page."""
        self.open(flow.path)
        self.fill_in(flow)

    def fill_in(self, flow: Flow) -> None:
        """Fill in the open first page and send it."""
        for name, value in flow.fields.items():
            self.page.locator(f"input[name={name}]").fill(value)
        with self.going():
            self.page.locator(f"input[name={name}]").press("Enter")

    def enter(self, code: str) -> None:
        """Type a code and send it: the script does so at its last digit, but not on a page that
        one went back to."""
        self.typed.add(code)
        with self.going():
            by_itself = self.sends_itself and re.fullmatch(r"\d{6}", code)
            self.code_field.fill(code)
            if not by_itself:
                self.code_field.press("Enter")

    def paste_code(self) -> None:
        """Paste the clipboard into the field for the code. Press the button where the form waits
        for it, as one with a choice does."""
        waits = not self.sends_itself
        if waits:
            self.code_field.press("ControlOrMeta+v")
        with self.going():  # it is complete, so it is sent
            if waits:
                self.check_button.click()
            else:
                self.code_field.press("ControlOrMeta+v")

    def press(self, button: Locator) -> None:
        """Click a button that sends its form."""
        with self.going():
            button.click()

    def finish(self, flow: Flow) -> None:
        """Do what the flow asks for after the code, and see its end."""
        if flow.new_password:
            for field in self.page.locator("input[type=password]").all():
                field.fill(flow.new_password)
            with self.going():
                self.page.locator("input[type=password]").last.press("Enter")
        expect(self.heading).to_contain_text(flow.end)

    # What a person sees.

    def see_code_page(self) -> None:
        expect(self.code_field).to_be_visible()
        expect(self.code_field).to_be_focused()

    def see_error(self, field: Locator, said: str | re.Pattern[str]) -> None:
        """The field has this error: it is announced, tied to the field, and the focus is there."""
        expect(self.alert).to_contain_text(said)
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_be_focused()
        identifier = self.alert.get_attribute("id")
        assert identifier
        assert identifier in (field.get_attribute("aria-describedby") or "").split()

    def see_focus(self, element: Locator) -> None:
        """The element has the focus, and shows it."""
        expect(element).to_be_focused()
        assert element.evaluate(_FOCUS_SHOWS), "the focus is not to be seen"

    def look(self, state: str) -> None:
        """Look at the page in two widths: it is accessible, nothing sticks out, and a picture of
        it is kept."""
        for size in (WIDE, NARROW):
            self.page.set_viewport_size(size)  # type: ignore[arg-type]  # a ViewportSize
            width = size["width"]
            wide, room = self.page.evaluate(
                "[document.documentElement.scrollWidth, window.innerWidth]"
            )
            assert wide <= room, f"{state} is {wide} pixels wide in {room}"
            # What is below the fold is not painted in frames, so there is none.
            tall = self.page.evaluate("document.documentElement.scrollHeight")
            self.page.set_viewport_size({"width": width, "height": max(tall, size["height"])})
            picture = SCREENSHOTS / self.site.name / f"{state}{self._style}-{width}.png"
            self.page.screenshot(path=picture, full_page=True)
        found = [
            f"{fault['id']} ({fault['impact']}): {fault['help']}\n  "
            + "\n  ".join(node["html"] for node in fault["nodes"])
            for fault in self._axe()
        ]
        self.page.set_viewport_size(WIDE)  # type: ignore[arg-type]  # a ViewportSize
        assert not found, f"{state}:\n" + "\n".join(found)

    def check_what_was_shown(self) -> None:
        """No code was shown but in the inbox, every page came with its headers, and nothing went
        wrong."""
        assert not self._faults, "\n".join(self._faults)
        codes = self.typed.union(self.site.codes(0)) - {""}
        for place, text in self._seen:
            for code in codes:
                assert code not in text, f"a code stands in {place}"

    # How it is noticed.

    def _axe(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = Axe().run(self.page, options=_AXE).response["violations"]
        return found

    def _saw(self, place: str, text: str) -> None:
        self._seen.append((place, text))

    def _heard(self, kind: str, text: str) -> None:
        self._saw("the console", text)
        if kind == "error" and not text.startswith("Failed to load resource"):  # see `_answered`
            self._faults.append(f"console: {text}")

    def _answered(self, response: Response) -> None:
        if not response.url.startswith(self.site.url):
            return
        is_page = response.request.resource_type == "document"
        if response.status >= (500 if is_page else 400):
            self._faults.append(f"{response.status} at {response.url}")
        if not is_page or 300 <= response.status < 400:
            return
        for name, expected in _HEADERS.items():
            if name == "cache-control" and response.url == f"{self.site.url}/":
                continue  # anybody may see the way in
            value = response.headers.get(name, "")
            if not re.search(expected, value):
                self._faults.append(f"{name} of {response.url} is {value!r}")
        self._unread[response.frame.page] = response

    def _remember(self) -> None:
        """Keep what the page holds, as it came and as it is now."""
        if not self.page.url.startswith(self.site.url):
            return  # the empty page that a tab begins with
        response = self._unread.pop(self.page, None)
        if response is not None:
            self._saw("a page's source", response.text())
        self._saw("a page", self.page.content())
        self._saw("the browser's storage", self.page.evaluate(_STORED))
        self._saw("an address", self.page.url)
