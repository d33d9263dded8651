"""A visitor without a browser: opens pages, fills in forms, reads notices."""

from __future__ import annotations

from collections.abc import Mapping
from html.parser import HTMLParser

import requests

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
        self.path, self.status, self.html = path, status, html
        self.headers: Mapping[str, str] = headers or {}
        self.heading = self.text = self.said = ""
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
        self.page = Page("", 0, "")

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
