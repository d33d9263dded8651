"""The session of a request, as the flows use it, and the cookie of notices.

A session may be a signed cookie, which its owner can read and send again. So it never holds a
secret, or a phone number that its owner did not type.
"""

from __future__ import annotations

import time
from typing import Any, Final

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.crypto import salted_hmac

from otpverify.integrations.web.notices import NOTICE_COOKIE, NOTICE_SECONDS, Carried
from otpverify.integrations.web.session import forget_all

_SALT: Final = "otpverify.notice"


def forget_at_login(request: HttpRequest | None = None, **_: Any) -> None:
    """A receiver of `user_logged_in`: what was in the session before the login, such as a phone
    that another person confirmed in it, is not the user's."""
    if request is not None and hasattr(request, "session"):
        forget_all(request.session)


# The session of a request that was refused.


class UnsavedSession:
    """A session that the reply neither saves, sets nor deletes, unless other code writes to it.

    The request may repeat one that succeeded, with the session of before: an old cookie, or a key
    that the login replaced. `SessionMiddleware` would send that cookie again, or delete the newer
    one. It leaves sessions alone that do not say whether they were accessed.

    Args:
        session: The session.
    """

    def __init__(self, session: Any) -> None:
        session.modified = False
        self._session = session

    def __getattr__(self, name: str) -> Any:
        if name == "accessed" and not self._session.modified:
            raise AttributeError(name)
        return getattr(self._session, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name == "_session":
            super().__setattr__(name, value)
        else:
            setattr(self._session, name, value)

    def __contains__(self, key: str) -> bool:
        return key in self._session

    def __getitem__(self, key: str) -> Any:
        return self._session[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._session[key] = value

    def __delitem__(self, key: str) -> None:
        del self._session[key]


def leave_session(request: HttpRequest, response: HttpResponseBase) -> None:
    """Prevent the reply to a refused request from touching the session."""
    request.session = UnsavedSession(request.session)  # type: ignore[assignment]  # it acts as one
    patch_vary_headers(response, ("Cookie",))


def digest(request: HttpRequest) -> str:
    """A digest of the session's cookie that the request brought; empty without one."""
    cookie = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    return (
        salted_hmac("otpverify.session", cookie, algorithm="sha256").hexdigest()[:20]
        if cookie
        else ""
    )


def lost(request: HttpRequest) -> str:
    """The digest of a session's cookie whose session does not exist any more, as after a login that
    replaced its key; otherwise empty."""
    exists = list(request.session.keys()) or request.session.session_key is not None
    return "" if exists else digest(request)


# Notices.


def carry(request: HttpRequest, response: HttpResponseBase, page: str, carried: Carried) -> None:
    """Set the notice's cookie with a reply that redirects.

    Args:
        request: The request.
        response: The reply.
        page: The page that it leads to, by its flow's purpose and its step.
        carried: The values for the page.
    """
    value = signing.dumps([time.time(), carried.dump(page)], salt=_SALT, compress=True)
    set_cookie(request, response, NOTICE_COOKIE, value, NOTICE_SECONDS)


def set_cookie(
    request: HttpRequest, response: HttpResponseBase, name: str, value: str, seconds: int
) -> None:
    """Set a cookie that is sent where the session's cookie is, and that no script can read."""
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        path=settings.SESSION_COOKIE_PATH,
        domain=settings.SESSION_COOKIE_DOMAIN,
        secure=settings.SESSION_COOKIE_SECURE or request.is_secure(),
        httponly=True,
        samesite="Lax",
    )


def carried_to(request: HttpRequest, page: str) -> Carried | None:
    """The values that were carried to this page; `None` if none were."""
    try:
        at, found = signing.loads(
            request.COOKIES.get(NOTICE_COOKIE, ""), salt=_SALT, max_age=NOTICE_SECONDS
        )
        return Carried.load(found, page, time.time() - at)
    except (signing.BadSignature, TypeError, ValueError):
        return None


def drop_notice(response: HttpResponseBase) -> None:
    """Remove the notice's cookie, which was read, unless the reply sets another one."""
    if NOTICE_COOKIE in response.cookies:
        return
    response.delete_cookie(
        NOTICE_COOKIE,
        path=settings.SESSION_COOKIE_PATH,
        domain=settings.SESSION_COOKIE_DOMAIN,
        samesite="Lax",
    )
