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

The session holds the user by primary key, backend and session auth hash, for half an hour at most.
It is signed in to nothing: `request.user` stays anonymous.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import load_backend, login
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme

from otpverify import ChallengeExpired, Verified
from otpverify.integrations.django import accounts, remembered, requests, session
from otpverify.integrations.django.conf import averifier_for
from otpverify.integrations.django.signals import login_verified

SECONDS: Final = 1800
"""How long after the password the second factor may follow."""
_ENTRY: Final = "login"


def pending_user(request: HttpRequest) -> Any:
    """The user whose password was right in this session, and who is not signed in yet. `None` if
    there is none, if the account changed since (password, active), or if this session may only
    enrol a phone."""
    return None if held(request).get("enrols") else _account(request)


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
        # The asynchronous verifier can be made with any sender, and is not called here.
        remembered.remember(request, response, user, averifier_for(request))
    return response


async def acomplete_login(
    request: HttpRequest, *, way: str, remember: bool = False
) -> HttpResponseBase:
    """`complete_login` for asynchronous views."""
    return await sync_to_async(complete_login)(request, way=way, remember=remember)


# For the views of this package.


def held(request: HttpRequest) -> Mapping[str, Any]:
    """What the session holds of the pending login; empty if there is none, or it is too old."""
    found = session.get(request.session, _ENTRY)
    if not isinstance(found, Mapping):
        return {}
    at = found.get("at")
    fresh = isinstance(at, int | float) and 0 <= time.time() - at < SECONDS
    return found if fresh else {}


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
    entry = {
        "user": accounts.key(user),
        "backend": user.backend,
        "hash": user.get_session_auth_hash(),
        "next": wanted,
        "default": default,
        "enrols": enrols,
        "at": time.time(),
    }
    session.put(request.session, _ENTRY, entry)


def drop(request: HttpRequest) -> None:
    """Forget the password that was right."""
    session.put(request.session, _ENTRY, None)


def enrolling_user(request: HttpRequest) -> Any:
    """The user whose password was right, who has no phone, and may do nothing but enrol one; `None`
    if there is none, or the account has a phone by now."""
    user = _account(request) if held(request).get("enrols") else None
    return None if user is None or requests.phone_of(user) else user


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
    entry = held(request)
    login(request, user, backend=entry.get("backend"))
    login_verified.send(sender, request=request, user=user, verified=verified, way=way)
    allowed = {request.get_host()} if hosts is None else set(hosts)
    wanted = str(entry.get("next") or "")
    if url_has_allowed_host_and_scheme(wanted, allowed, require_https=request.is_secure()):
        return HttpResponseRedirect(wanted)
    default = str(entry.get("default") or "") or resolve_url(settings.LOGIN_REDIRECT_URL)
    return HttpResponseRedirect(default)


def _account(request: HttpRequest) -> Any:
    entry = held(request)
    backend = str(entry.get("backend"))
    if backend not in settings.AUTHENTICATION_BACKENDS:
        return None
    # The backend does not return users who are not active.
    user: Any = load_backend(backend).get_user(entry.get("user"))
    known = str(entry.get("hash"))
    if user is None or not constant_time_compare(known, user.get_session_auth_hash()):
        return None
    return user
