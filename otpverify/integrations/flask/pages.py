"""The parts of the pages: their session, forms, notices and headers.

The session may be a cookie that is signed but not encrypted, and its owner may send an old one
again. So it never holds a code, a secret of the server, or a phone that its owner did not type.
Notices have a separate cookie: a refused request may be a repeat with an old cookie, and must not
set the session.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import time
from typing import Any, Final
from urllib.parse import urlsplit

from flask import Response, current_app, g, render_template, request, session, url_for
from itsdangerous import BadData, URLSafeTimedSerializer
from markupsafe import Markup
from werkzeug.exceptions import BadRequest
from werkzeug.urls import iri_to_uri
from werkzeug.wrappers import Response as BaseResponse

from otpverify import ConfigurationError
from otpverify.integrations.flask.site import CONTENT_SECURITY_POLICY, Site
from otpverify.integrations.web.languages import direction, has_pages
from otpverify.integrations.web.notices import (
    NOTICE_COOKIE,
    NOTICE_SECONDS,
    Carried,
    ShownNotice,
)
from otpverify.integrations.web.sentences import Sentence
from otpverify.integrations.web.session import get_value, put_value

_log = logging.getLogger("otpverify.integrations")

TOKEN_FIELD: Final = "otpverify_token"  # noqa: S105 - the name of a form's field
LONGEST_TARGET: Final = 800  # it is in a cookie
_EXPIRED: Final = Sentence("This form has expired. Go back, reload the page, and send it again.")


# The session


def rotate() -> None:
    """Begin a new session when this one gains rights. Anyone with access to the old session, by a
    planted cookie or on a shared machine, gets no access to the new one. A session on the server
    gets a new id. `OTPVERIFY_KEEP_AT_LOGIN` names the entries that survive a login."""
    names = current_app.config["OTPVERIFY_KEEP_AT_LOGIN"]
    stays = {name: session[name] for name in names if name in session}
    session.clear()
    session.update(stays)
    csrf_token()
    renew_id()


def renew_id() -> None:
    """Give a session on the server a new id, since it gains rights: a copy of the old id gains
    nothing (OWASP ASVS 5.0, 7.2.4). A session in a cookie has none."""
    # Flask-Session, and others that follow it.
    regenerate = getattr(current_app.session_interface, "regenerate", None)
    if callable(regenerate):
        regenerate(session)
        g.otpverify_renewed = True


def leave_session() -> None:
    """Prevent the reply to this request from setting the session, even where Flask sets it
    with every reply (`session.permanent`). A session that has a new id must reach the browser: the
    old one is gone."""
    if g.get("otpverify_renewed"):
        return
    held = session._get_current_object()  # type: ignore[attr-defined]  # session is a proxy
    if isinstance(held, dict):
        dict.pop(held, "_permanent", None)  # of this request's copy alone, unnoticed
    session.modified = False


# Forms


def csrf_token() -> str:
    """This session's token, the same in all its forms."""
    token = get_value(session, "csrf")
    if not isinstance(token, str):
        token = secrets.token_urlsafe(24)
        put_value(session, "csrf", token)
    return token


def csrf_fields() -> Markup:
    """The hidden fields that every form needs: ours, and that of Flask-WTF's `CSRFProtect` where
    the application has it."""
    field = Markup('<input type="hidden" name="{}" value="{}">')
    fields = field.format(TOKEN_FIELD, csrf_token())
    other = current_app.jinja_env.globals.get("csrf_token")
    if "csrf" in current_app.extensions and callable(other):
        name = current_app.config.get("WTF_CSRF_FIELD_NAME", "csrf_token")
        fields += field.format(name, other())
    return fields


def check_csrf() -> None:
    """Check that the form came from a page of this session.

    Raises:
        BadRequest: It came from elsewhere.
    """
    expected = get_value(session, "csrf")
    given = request.form.get(TOKEN_FIELD, "")
    if not isinstance(expected, str) or not hmac.compare_digest(given.encode(), expected.encode()):
        if given and not session:
            _explain_a_lost_session()
        raise BadRequest(_EXPIRED.text)


def check_flask_wtf() -> None:
    """Check the form's token of Flask-WTF's `CSRFProtect`, where the application has it and checks
    each form. It does not check views by itself that take JSON, too.

    Raises:
        BadRequest: The token is missing or invalid.
    """
    csrf, config = current_app.extensions.get("csrf"), current_app.config
    if csrf is not None and config["WTF_CSRF_ENABLED"] and config["WTF_CSRF_CHECK_DEFAULT"]:
        csrf.protect()


def _explain_a_lost_session() -> None:
    """Log once for each application that http cannot carry the session's cookie. To the person,
    this looks like a form that is too old."""
    state = Site().state
    needs_https = current_app.config["SESSION_COOKIE_SECURE"] and not request.is_secure
    if needs_https and not state.https_logged:
        state.https_logged = True
        _log.warning(
            "A form came over plain http and without its session. SESSION_COOKIE_SECURE is True, "
            "so browsers send the session's cookie over https only. Use https, or set "
            "SESSION_COOKIE_SECURE to False in development. Behind a proxy that speaks https, set "
            "app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1)."
        )


# Notices


def carry(page: str, carried: Carried) -> None:
    """Set the notice's cookie with this reply.

    Args:
        page: The page, by its flow's purpose and its name.
        carried: The values for the page.
    """
    g.otpverify_notice = _serializer().dumps(carried.dump(page))


def carried_to(page: str) -> Carried:
    """The values carried to this page; this reply removes their cookie."""
    try:
        found, at = _serializer().loads(
            request.cookies.get(NOTICE_COOKIE, ""), NOTICE_SECONDS, return_timestamp=True
        )
    except BadData:
        return Carried()
    carried = Carried.load(found, page, time.time() - at.timestamp())
    if carried is None:
        return Carried()
    if request.method != "HEAD":
        g.otpverify_notice = ""
    return carried


def set_notice_cookie(response: Response) -> Response:
    """Set or remove the notice's cookie, if this request has something to carry."""
    value = g.pop("otpverify_notice", None)
    if value is None:
        return response
    set_cookie(response, NOTICE_COOKIE, value, NOTICE_SECONDS if value else 0)
    return response


def set_cookie(response: BaseResponse, name: str, value: str, seconds: int) -> None:
    """Set a cookie that is sent where the session's cookie is, and that no script can read."""
    interface = current_app.session_interface
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        path=interface.get_cookie_path(current_app),
        domain=interface.get_cookie_domain(current_app),
        secure=interface.get_cookie_secure(current_app) or request.is_secure,
        httponly=True,
        samesite="Lax",
    )


def _serializer() -> URLSafeTimedSerializer:
    keys = current_app.config.get("SECRET_KEY_FALLBACKS") or []
    if not current_app.secret_key:
        raise ConfigurationError("Set app.secret_key: it signs the notices of the pages.")
    return URLSafeTimedSerializer([*keys, current_app.secret_key], salt="otpverify.notice")


# Rendering


class Context:
    """What templates have as `otpverify`, and nothing beside it, so that a site's own base
    template finds its own names.

    Attributes:
        notice: The notice that this page shows once; see `ShownNotice`.
        lang: The page's language.
        dir: Its direction, `"ltr"` or `"rtl"`.
        more: The values specific to this page: `otpverify.more.pending`, for example.
    """

    def __init__(self, site: Site, notice: ShownNotice, more: dict[str, Any]) -> None:
        self._site = site
        self.notice = notice
        self.more = more
        locale = site.locale()
        # Screen readers read English as English.
        self.lang: str = locale if "translations" in site.hooks or has_pages(locale) else "en"
        self.dir: str = direction(self.lang)

    @property
    def region(self) -> str:
        """The region of numbers without a country code, such as `"EE"`; empty if there is none."""
        return self._site.verifier().engine.region or ""

    def say(self, text: str, **params: object) -> str:
        """A text in the page's language."""
        return self._site.say(Sentence(text, params=params))

    def sentence(self, sentence: Sentence) -> str:
        """A sentence in the page's language."""
        return self._site.say(sentence)

    def count(self, count: int, one: str, many: str) -> str:
        """A text that counts, in the page's language."""
        return self._site.say(Sentence(one, many, count, {"count": count}))

    def csrf(self) -> Markup:
        """The hidden fields of every form."""
        return csrf_fields()

    def asset(self, name: str) -> str:
        """The address of `otpverify.css`, or of another file in `web.ASSETS`."""
        return url_for(".static", filename=name)

    @property
    def checks_before_send(self) -> bool:
        """Whether the application checks each request for a code. Its template is in the form."""
        return "before_send" in self._site.hooks

    def flow_url(self, flow: str) -> str:
        """Where another flow begins; empty if it is not mounted."""
        found = self._site.state.mounted.get(flow)
        return url_for(f"{found}.{flow}") if found else ""


def show(site: Site, template: str, notice: ShownNotice, **more: Any) -> str:
    """A page."""
    return render_template(f"otpverify/{template}", otpverify=Context(site, notice, more))


def show_bad_form(site: Site, error: Exception) -> tuple[str, int]:
    """The page for a form that cannot be taken."""
    text = site.say(Sentence(getattr(error, "description", None) or str(error)))
    return show(site, "error.html", ShownNotice(text, (text, "", ""), "trouble")), 400


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


# Addresses


def safe_next(target: object) -> str | None:
    """The address, if it is a path of this site; `None` for anything else, which a browser may
    resolve to another site. Flask has no such function; the views of Django use Django's."""
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
    """The address of this page, to return to; `None` if it only accepts forms."""
    path = request.path
    if request.method in ("GET", "HEAD"):
        path = request.full_path.rstrip("?")
    else:
        adapter = current_app.create_url_adapter(request)
        if adapter is None or not adapter.test(method="GET"):
            return None
    return safe_next(iri_to_uri(request.script_root + path))
