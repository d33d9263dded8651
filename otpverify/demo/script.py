"""The flows on the terminal, as a visitor without a browser walks through them: opens pages,
fills in forms, reads notices."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser

import requests

from otpverify import Sender
from otpverify.demo.accounts import PASSWORD, PHONE, USER
from otpverify.demo.site import Site
from otpverify.phone import hint, mask
from otpverify.sandbox import Sandbox

_TIMEOUT_SECONDS = 10


class Page(HTMLParser):
    """A page as a visitor sees it.

    Attributes:
        path: Where it is.
        status: Its HTTP status.
        html: Its source.
        headers: Those of the reply.
        heading: Its first heading.
        text: Its running text.
        said: The notice on it, such as an error; empty if there is none.
        forms: The hidden fields of its forms, by the path they are sent to.
    """

    def __init__(
        self, path: str, status: int, html: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        self.path: str = path
        self.status: int = status
        self.html: str = html
        self.headers: Mapping[str, str] = headers or {}
        self.heading: str = ""
        self.text: str = ""
        self.said: str = ""
        self.forms: dict[str, dict[str, str]] = {}
        self._form: dict[str, str] = {}
        self._inside = ""
        self.feed(html)
        self.close()
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser`."""
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = self.forms.setdefault(values.get("action", ""), {})
        elif tag == "input" and values.get("type") == "hidden":
            self._form[values["name"]] = values.get("value", "")
        elif tag == "h1":
            self._inside = "heading"
        elif values.get("role") in ("alert", "status"):
            self._inside = "said"

    def handle_endtag(self, tag: str) -> None:
        """See `HTMLParser`."""
        if tag in ("h1", "p"):
            self._inside = ""

    def handle_data(self, data: str) -> None:
        """See `HTMLParser`."""
        self.text += data
        if self._inside == "heading":
            self.heading += data
        elif self._inside == "said":
            self.said += data


class Visitor:
    """One person with one browser.

    Attributes:
        url: The site's address.
        page: The page that is open.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = requests.Session()
        self._http.trust_env = False  # no proxy between us and localhost
        self.page: Page = Page("", 0, "")

    def open(self, path: str) -> Page:
        """Open a page."""
        return self._see(self._http.get(self.url + path, timeout=_TIMEOUT_SECONDS))

    def send(self, action: str, **fields: str) -> Page:
        """Send the form of the open page that goes to `action`."""
        data = {**self.page.forms[action], **fields}
        return self._see(self._http.post(self.url + action, data, timeout=_TIMEOUT_SECONDS))

    def copy(self) -> Visitor:
        """A second browser with the same page open and the same cookies."""
        other = Visitor(self.url)
        other._http.cookies.update(self._http.cookies)
        other.page = self.page
        return other

    def tab(self) -> Visitor:
        """A second tab of the same browser, with the same page open."""
        other = Visitor(self.url)
        other._http.cookies = self._http.cookies
        other.page = self.page
        return other

    def cookie(self, name: str) -> str:
        """What a cookie holds; empty if there is none."""
        return str(self._http.cookies.get(name) or "").strip('"')

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _see(self, response: requests.Response) -> Page:
        path = response.url.removeprefix(self.url)
        self.page = Page(path, response.status_code, response.text, response.headers)
        return self.page


_COOLDOWN_SECONDS = 3  # long enough to be met, short enough to be waited for
_TYPED, _CONFIRMED = "5678 9045", "+37256789045"
_NEWCOMER, _NAME = "+37256789046", "Mari"
_STRANGER = "+12025550199"
_NEW_PASSWORD = "close sesame"  # noqa: S105 - the demo account's
_ARRIVAL_SECONDS = 5.0


class Unexpected(Exception):
    """A step did not go as it should; the message says which."""


class Walk:
    """The site, the inbox, and a function that takes the lines to print."""

    def __init__(self, site: str, sandbox: str, say: Callable[[str], None]) -> None:
        self._site = site
        self._sandbox = sandbox
        self._say = say
        self._step = 0

    @contextlib.contextmanager
    def visitor(self) -> Iterator[Visitor]:
        """A new browser."""
        visitor = Visitor(self._site)
        try:
            yield visitor
        finally:
            visitor.close()

    def begin(self, title: str) -> None:
        """Begin a flow."""
        self._step = 0
        self._say(title)

    def expect(self, holds: bool, what: str, instead: str) -> None:
        """Print a step that went as it should.

        Raises:
            Unexpected: It did not.
        """
        self._step += 1
        if not holds:
            self._say(f"  {self._step}. not so: {what}")
            raise Unexpected(f"expected {what!r}, but: {instead or 'nothing was said'}")
        self._say(f"  {self._step}. {what}")

    def inbox(self, phone: str) -> list[str]:
        """The codes that were sent to a phone, newest first."""
        reply = requests.get(f"{self._sandbox}/messages", {"to": phone}, timeout=_ARRIVAL_SECONDS)
        return [str(message["code"]) for message in reply.json()]

    def code(self, phone: str, *, after: int = 0) -> str:
        """The newest code, once more than `after` have come."""
        deadline = time.monotonic() + _ARRIVAL_SECONDS
        while len(codes := self.inbox(phone)) <= after:
            if time.monotonic() > deadline:
                raise Unexpected(f"no message came for {mask(phone)}")
            time.sleep(0.01)
        return codes[0]


def run(
    say: Callable[[str], None], *, sandbox: Sandbox | None = None, sender: Sender | None = None
) -> bool:
    """Run the flows against the sandbox and print each step.

    Args:
        say: Takes the lines.
        sandbox: One that is not started yet; one on a free port if left out.
        sender: See `create_app`.

    Returns:
        Whether each flow ended as it should.
    """
    flows: dict[str, Callable[[Walk], None]] = {
        "Login with a second factor": login,
        "Phone confirmation": phone_confirmation,
        "Password reset": password_reset,
        "Sign in or up by phone": sign_in,
    }
    good = 0
    with (
        sandbox or Sandbox() as gateway,
        Site(gateway, cooldown_seconds=_COOLDOWN_SECONDS, sender=sender) as site,
    ):
        walk = Walk(site.url, gateway.url, say)
        for title, flow in flows.items():
            walk.begin(title)
            try:
                flow(walk)
            except (Unexpected, KeyError, ValueError, requests.RequestException) as error:
                say(f"  failed: {error if isinstance(error, Unexpected) else repr(error)}")
            else:
                good += 1
            say("")
    say(f"{len(flows)} flows, {good} as they should be")
    return good == len(flows)


def login(walk: Walk) -> None:
    """Password, wrong code, right code, and the right code once more."""
    with walk.visitor() as person:
        person.open("/login")
        said = person.send("/login", user=USER, password="wrong").said  # noqa: S106 - is refused
        walk.expect("is incorrect" in said, "wrong password: refused, nothing sent", said)
        _sign_in(walk, person, PASSWORD, "password accepted", signed_in=False)
        code = walk.code(PHONE)
        said = person.send("/login/code", code=_other(code)).said
        walk.expect("4 attempts left" in said, "wrong code: refused, 4 attempts left", said)
        second, copy = person.tab(), person.copy()
        page = person.send("/login/code", code=code)
        walk.expect(page.path == "/login/done", "right code: signed in", page.said)
        page = second.send("/login/code", code=code)
        second.close()
        refused = page.path == "/login" and "already used" in page.said
        walk.expect(refused, "same code again, from another tab: refused", page.said)
        page = copy.send("/login/code", code=code)
        refused = page.path != "/login/done" and copy.open("/login/done").path != "/login/done"
        copy.close()
        walk.expect(refused, "and from a copy of the session before: refused, too", page.said)


def phone_confirmation(walk: Walk) -> None:
    """A number typed nationally, a resend that comes too soon, and the right code."""
    with walk.visitor() as person:
        person.open("/phone")
        said = person.send("/phone", phone="12").said
        walk.expect(bool(said), f"not a number: {said}", person.page.path)
        page = person.send("/phone", phone=_TYPED)
        walk.expect(page.path == "/phone/code", f"code sent to {mask(_CONFIRMED)}", page.said)
        code = walk.code(_CONFIRMED)
        said = person.send("/phone/resend").said
        wait = re.search(r"in \d seconds?", said)
        told = wait[0] if wait else "with the time to wait"
        walk.expect(wait is not None, f"another code at once: refused, possible {told}", said)
        one = len(walk.inbox(_CONFIRMED)) == 1
        walk.expect(one, "and no second message went out", "there is another")
        page = person.send("/phone/code", code=f"{code[:3]} {code[3:]}")
        held = page.path == "/phone/done" and _CONFIRMED in page.text
        walk.expect(
            held, f"right code, typed with a space: confirmed {mask(_CONFIRMED)}", page.said
        )


def password_reset(walk: Walk) -> None:
    """An unknown number, the known one, a new password, and a login with it."""
    with walk.visitor() as stranger, walk.visitor() as person:
        sent = len(walk.inbox(PHONE))
        pages = []
        for visitor, phone in ((stranger, _STRANGER), (person, PHONE)):
            visitor.open("/reset")
            pages.append(visitor.send("/reset", phone=phone))
        unknown, known = (re.sub(r"\+\d+|\d:\d\d", "", page.text) for page in pages)
        same = unknown == known and pages[0].path == "/reset/code"
        walk.expect(same, "unknown and known number: the same page", unknown)
        code = walk.code(PHONE, after=sent)
        silent = not walk.inbox(_STRANGER)
        walk.expect(silent, "only the known number got a message", "the other got one, too")
        said = stranger.send("/reset/code", code=code).said
        walk.expect("incorrect" in said, "unknown number: no code is accepted", said)
        page = stranger.open("/reset/password")
        walk.expect(page.path == "/reset", "and no new password can be set", page.path)
        page = person.send("/reset/code", code=code)
        allowed = page.path == "/reset/password"
        walk.expect(allowed, "known number, right code: a new password may be set", page.said)
        said = person.send("/reset/password", password="short").said  # noqa: S106 - is refused
        walk.expect("at least" in said, "too short: refused, without another SMS", said)
        page = person.send("/reset/password", password=_NEW_PASSWORD)
        walk.expect(page.path == "/reset/done", "new password set", page.said)
    with walk.visitor() as person:
        person.open("/login")
        said = person.send("/login", user=USER, password=PASSWORD).said
        walk.expect("is incorrect" in said, "old password: refused", said)
        _sign_in(walk, person, _NEW_PASSWORD, "new password accepted", signed_in=True)


def sign_in(walk: Walk) -> None:
    """A new number gets an account, and later signs in to it."""
    with walk.visitor() as person:
        _ask(walk, person, "new number: code sent to")
        page = person.send("/sign-in/code", code=walk.code(_NEWCOMER))
        asked = page.path == "/sign-in/account" and "name" in page.text
        walk.expect(asked, "right code: the site asks what a new account needs", page.said)
        said = person.send("/sign-in/account", name="").said
        walk.expect(bool(said), "no name: refused, without another SMS", person.page.path)
        old = person.copy()
        page = person.send("/sign-in/account", name=_NAME)
        walk.expect(page.path == "/sign-in/done", "account created, and signed in", page.said)
        page = old.send("/sign-in/account", name="Eve")
        refused = old.open("/sign-in/done").path != "/sign-in/done"
        old.close()
        walk.expect(refused, "same form from a copy of the session before: refused", page.path)
    with walk.visitor() as person:
        sent = len(walk.inbox(_NEWCOMER))
        _ask(walk, person, "same number in another browser: code sent to")
        page = person.send("/sign-in/code", code=walk.code(_NEWCOMER, after=sent))
        known = page.path == "/sign-in/done"
        walk.expect(known, "right code: signed in, and nothing more is asked", page.path)
        held = _NAME in person.open("/signed-in").text
        walk.expect(held, f"to the same account, of {_NAME}", person.page.text)


def _ask(walk: Walk, person: Visitor, sent: str) -> None:
    """Ask for a code to sign in by phone, waiting out the cooldown."""
    person.open("/sign-in")
    page = person.send("/sign-in", phone=_NEWCOMER)
    if wait := re.search(r"in (\d) seconds?", page.said):
        time.sleep(int(wait[1]))
        page = person.send("/sign-in", phone=_NEWCOMER)
    walk.expect(page.path == "/sign-in/code", f"{sent} {mask(_NEWCOMER)}", page.said)


def _sign_in(walk: Walk, person: Visitor, password: str, accepted: str, *, signed_in: bool) -> None:
    """Give the password, waiting out the cooldown, and the code too if `signed_in`."""
    sent = len(walk.inbox(PHONE))
    page = person.send("/login", user=USER, password=password)
    wait = re.search(r"in (\d) seconds?", page.said)
    if wait is not None:
        walk.expect(True, f"too soon after the last code: wait {wait[1]} s", "")
        time.sleep(int(wait[1]))
        page = person.send("/login", user=USER, password=password)
    held = page.path == "/login/code" and hint(PHONE) in page.text
    walk.expect(held, f"{accepted}: code sent to {mask(PHONE)}", page.said)
    if signed_in:
        page = person.send("/login/code", code=walk.code(PHONE, after=sent))
        walk.expect(page.path == "/login/done", "right code: signed in", page.said)


def _other(code: str) -> str:
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"
