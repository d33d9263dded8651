"""How the pages are shown: their context, their language, and the headers of their replies."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from flask import Response, current_app, render_template, request, url_for
from markupsafe import Markup
from werkzeug.urls import iri_to_uri

from otpverify.integrations.flask import kept
from otpverify.integrations.flask.bound import Bound
from otpverify.integrations.flask.settings import CONTENT_SECURITY_POLICY
from otpverify.integrations.web.sentences import Sentence

LONGEST_TARGET: Final = 800  # it is kept in a cookie


class Context:
    """What templates have as `otpverify`, and nothing beside it, so that a site's own base
    template finds its own names.

    Attributes:
        said: What this page says once; see `kept.Said`.
        lang: The page's language.
        more: What belongs to this page: `otpverify.more.pending`, for example.
    """

    def __init__(self, otp: Bound, said: kept.Said, more: dict[str, Any]) -> None:
        self._otp = otp
        self.said = said
        self.more = more
        self.lang = otp.current_locale()

    def say(self, text: str, **params: object) -> str:
        """A text in the page's language."""
        return self._otp.say(Sentence(text, params=params))

    def count(self, count: int, one: str, many: str) -> str:
        """A text that counts, in the page's language."""
        return self._otp.say(Sentence(one, many, count, {"count": count}))

    def csrf(self) -> Markup:
        """The hidden fields of every form."""
        return kept.csrf_fields()

    def asset(self, name: str) -> str:
        """The address of `otpverify.css` or `otpverify.js`."""
        return url_for(".static", filename=name)

    def flow_url(self, flow: str) -> str:
        """Where another flow begins; empty if it is not mounted."""
        found = self._otp.state.mounted.get(flow)
        return url_for(f"{found}.{flow}") if found else ""


def show(otp: Bound, template: str, said: kept.Said, **more: Any) -> str:
    """A page."""
    return render_template(f"otpverify/{template}", otpverify=Context(otp, said, more))


def harden(response: Response) -> Response:
    """Give a reply the headers that pages about codes need, where it has none of its own: nothing
    is cached, framed, or loaded from elsewhere. The blueprint's pages have them; for the rest of a
    site: `app.after_request(harden)`."""
    headers = response.headers
    if response.mimetype == "text/html" or 300 <= response.status_code < 400:
        headers.setdefault("Cache-Control", "no-store")
    policy = current_app.config.get("OTPVERIFY_CONTENT_SECURITY_POLICY", CONTENT_SECURITY_POLICY)
    if policy:
        headers.setdefault("Content-Security-Policy", policy)
    # Not `no-referrer`: Flask-WTF compares the referrer of forms that come by HTTPS.
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("X-Frame-Options", "DENY")
    return response


def safe_next(target: object) -> str | None:
    """The address, if it is a path of this site; `None` for anything else, which a browser may
    take for another one."""
    if not isinstance(target, str) or not target.startswith("/") or len(target) > LONGEST_TARGET:
        return None
    # Browsers read a backslash as a slash, and leave out tabs and line breaks.
    if "\\" in target or any(ord(char) <= 32 or ord(char) == 127 for char in target):
        return None
    try:
        parts = urlsplit(target)
    except ValueError:
        return None
    return target if not (parts.scheme or parts.netloc) and target[1:2] != "/" else None


def here() -> str | None:
    """This page, to come back to; `None` if only a form leads there."""
    path = request.path
    if request.method in ("GET", "HEAD"):
        path = request.full_path.rstrip("?")
    else:
        adapter = current_app.create_url_adapter(request)
        if adapter is None or not adapter.test(method="GET"):
            return None
    return safe_next(iri_to_uri(request.script_root + path))
