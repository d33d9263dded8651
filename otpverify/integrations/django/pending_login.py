"""The half-signed-in state of a session: the password was right, the second factor is missing.

`LoginView` begins it. Its own code page ends it, or a view of the site's, such as one for TOTP or a
passkey:

    def totp(request):
        user = pending_user(request)
        if user is None:
            return redirect("otpverify:login")
        if request.method == "POST" and totp_is_right(user, request.POST["token"]):
            return complete_login(request, way="totp")
        ...

The session states that the user's password was right, for half an hour at most, until the password
or the phone changes (`web.session_stamp`). It is signed in to nothing: `request.user` stays
anonymous.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, cast

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import load_backend, login
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.http import url_has_allowed_host_and_scheme

from otpverify import ChallengeExpired, Verified
from otpverify.integrations.django import accounts, remembered, requests
from otpverify.integrations.django.conf import averifier_for
from otpverify.integrations.django.signals import login_verified
from otpverify.integrations.web.session import get_value, put_value
from otpverify.integrations.web.session_stamp import (
    SECOND_FACTOR,
    STAMP_SECONDS,
    SessionStamp,
    half_signed_in,
)

_ENTRY: Final = "login"
_AGAIN: Final = "login again"


def pending_user(request: HttpRequest) -> Any:
    """The user whose password was right in this session, and who is not signed in yet. `None` if
    there is none, if the account changed since (password, active), or if this session may only
    enrol a phone."""
    return None if _entry(request).get("enrols") else account(request)


async def apending_user(request: HttpRequest) -> Any:
    """`pending_user` for asynchronous views."""
    return await sync_to_async(pending_user)(request)


def complete_login(request: HttpRequest, *, way: str, remember: bool = False) -> HttpResponseBase:
    """Sign in the pending user, whose second factor your view has checked.

    Count the attempts that your view allows, and accept no token twice. The session gets a new key,
    and all flows in it end. `login_verified` is sent with `way`.

    Args:
        request: The request.
        way: The name of the second factor, such as `"totp"`.
        remember: Whether this browser may skip the second factor from now on, for `REMEMBER_DAYS`.

    Returns:
        A redirect to the page that the person wanted, or to `LOGIN_REDIRECT_URL`.

    Raises:
        ChallengeExpired: The session holds no pending user, or the account changed since. Lead the
            person to the login.
    """
    user = pending_user(request)
    if user is None:
        raise ChallengeExpired
    response = finish(request, user, way=way)
    if remember:
        remembered.remember(request, response, user, averifier_for(request))
    return response


async def acomplete_login(
    request: HttpRequest, *, way: str, remember: bool = False
) -> HttpResponseBase:
    """`complete_login` for asynchronous views."""
    return await sync_to_async(complete_login)(request, way=way, remember=remember)


# For the views of this package.


def account(request: HttpRequest) -> Any:
    """The user whose password was right in this session; `None` if there is none, or if the account
    changed since."""
    backend, users = str(_entry(request).get("backend")), []
    if backend not in settings.AUTHENTICATION_BACKENDS:
        return None

    def facts(key: str) -> tuple[str | None, ...]:
        users.append(load_backend(backend).get_user(key))  # only users who are active
        return ("",) if users[0] is None else accounts.facts(users[0])

    return users[0] if _stamp(request).account(facts) is not None else None


def hold(
    request: HttpRequest, user: Any, *, wanted: str, default: str, enrols: bool = False
) -> None:
    """Let the second factor follow.

    Args:
        request: The request.
        user: The user whose password was right, with `backend`.
        wanted: The page to show afterwards, or nothing.
        default: The page if none is wanted.
        enrols: The user has no phone, and may do nothing but enrol one.
    """
    accounts.save_stamp(_stamp(request), user)
    entry = {"backend": user.backend, "next": wanted, "default": default, "enrols": enrols}
    put_value(request.session, _ENTRY, entry)


def drop(request: HttpRequest) -> None:
    """Forget the password that was right."""
    _stamp(request).drop()
    put_value(request.session, _ENTRY, None)


def enrolling_user(request: HttpRequest) -> Any:
    """The user whose password was right, who has no phone, and may do nothing but enrol one; `None`
    if there is none, or the account has a phone by now."""
    user = account(request) if _entry(request).get("enrols") else None
    return None if user is None or requests.get_phone(user) else user


def finish(
    request: HttpRequest,
    user: Any,
    *,
    way: str,
    verified: Verified | None = None,
    sender: Any = None,
    hosts: Collection[str] | None = None,
) -> HttpResponseBase:
    """Sign in a user whose second factor is right.

    Args:
        request: The request.
        user: The pending user.
        way, verified: For `login_verified`.
        sender: Its sender.
        hosts: The hosts that the next page may be on; this request's if left out.
    """
    entry = _entry(request)
    login(request, user, backend=entry.get("backend"))
    save_second_factor(request, user)
    login_verified.send(sender, request=request, user=user, verified=verified, way=way)
    allowed = {request.get_host()} if hosts is None else set(hosts)
    wanted = str(entry.get("next") or "")
    if url_has_allowed_host_and_scheme(wanted, allowed, require_https=request.is_secure()):
        return HttpResponseRedirect(wanted)
    default = str(entry.get("default") or "") or resolve_url(settings.LOGIN_REDIRECT_URL)
    return HttpResponseRedirect(default)


def ask_again(request: HttpRequest) -> None:
    """Let the login's page ask a person who is signed in, too: a page needs a second factor."""
    put_value(request.session, _AGAIN, True)


def asks_again(request: HttpRequest) -> bool:
    """Whether the login's page is to ask a person who is signed in."""
    return get_value(request.session, _AGAIN) is True


def save_second_factor(request: HttpRequest, user: Any) -> None:
    """State that the user who signs in has passed a second factor, beside the password."""
    accounts.save_stamp(_second_factor(request), user)


def has_second_factor(request: HttpRequest, within: int) -> bool:
    """Whether the user who is signed in passed a second factor in this session.

    Args:
        request: The request.
        within: How many seconds ago at most.
    """
    return accounts.has_stamp(_second_factor(request, within), request.user)


def _second_factor(request: HttpRequest, seconds: int = STAMP_SECONDS) -> SessionStamp:
    verifier = averifier_for(request)
    return SessionStamp(verifier, cast("Any", request.session), SECOND_FACTOR, seconds=seconds)


def _entry(request: HttpRequest) -> Mapping[str, Any]:
    """What the login needs beside the statement: the backend, and the page that follows."""
    found = get_value(request.session, _ENTRY)
    return found if isinstance(found, Mapping) else {}


def _stamp(request: HttpRequest) -> SessionStamp:
    # The asynchronous verifier can be made with any sender, and is not called here.
    return half_signed_in(averifier_for(request), cast("Any", request.session))
