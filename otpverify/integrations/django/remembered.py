"""Remembered browsers: those that may skip the code at the login for `REMEMBER_DAYS`.

The cookie has a signature over the account, its session auth hash and its phone: a new password or
another phone ends them all. With the app `otpverify.integrations.django.second_factor`, it covers a
random value of the account, too, which `forget_browsers` replaces.
"""

from __future__ import annotations

import secrets
from typing import Any

from django import forms
from django.apps import apps
from django.http import HttpRequest, HttpResponseBase
from django.utils.datastructures import MultiValueDict

from otpverify import AsyncVerifier, Verifier
from otpverify.integrations.django import accounts, conf, requests, session
from otpverify.integrations.django.backup_codes import APP, LABEL
from otpverify.integrations.django.forms import CodeForm
from otpverify.integrations.web.remembered import REMEMBERED_COOKIE, RememberedBrowsers
from otpverify.integrations.web.sentences import counted


class LoginCodeForm(CodeForm):
    """Asks for a code, and whether to remember this browser, if the settings give days."""

    remember: forms.BooleanField = forms.BooleanField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        days = conf.remember_days()
        if days:
            self.fields["remember"].label = requests.say(
                counted(
                    days,
                    "Remember this browser for %(count)s day",
                    "Remember this browser for %(count)s days",
                )
            )
        else:
            del self.fields["remember"]


def is_chosen(data: Any) -> bool:
    """Whether a form says to remember the browser."""
    return bool(forms.CheckboxInput().value_from_datadict(data, MultiValueDict(), "remember"))


def is_remembered(request: HttpRequest, user: Any, verifier: Verifier | AsyncVerifier) -> bool:
    """Whether the browser may skip the code of a user whose password was right.

    Args:
        request: The request.
        user: The user.
        verifier: Its secrets sign.
    """
    cookie = request.COOKIES.get(REMEMBERED_COOKIE)
    if not cookie or not (days := conf.remember_days()):
        return False
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    value = _value(user)
    found = RememberedBrowsers(verifier, days=days).find(
        cookie,
        accounts.key(user),
        auth_hash=[f"{auth_hash}.{value}" for auth_hash in hashes],
        phone=requests.get_phone(user),
    )
    return found is not None


def remember(
    request: HttpRequest,
    response: HttpResponseBase,
    user: Any,
    verifier: Verifier | AsyncVerifier,
) -> None:
    """Let the browser skip the code of a user who has passed it now, if the settings give days."""
    days = conf.remember_days()
    if not days:
        return
    browsers = RememberedBrowsers(verifier, days=days)
    value = browsers.remember(
        accounts.key(user),
        auth_hash=f"{user.get_session_auth_hash()}.{_value(user)}",
        phone=requests.get_phone(user),
        cookie=request.COOKIES.get(REMEMBERED_COOKIE),
    )
    session.set_cookie(request, response, REMEMBERED_COOKIE, value, browsers.max_age)


def forget_browsers(user: Any) -> None:
    """End all browsers that are remembered for a user. It needs the app
    `otpverify.integrations.django.second_factor`; without it, only a new password or another phone
    ends them.

    Raises:
        LookupError: The app is not installed.
    """
    model: Any = apps.get_model(LABEL, "RememberedBrowsers")
    model.objects.update_or_create(user=user, defaults={"value": secrets.token_urlsafe(16)})


def _value(user: Any) -> str:
    if not apps.is_installed(APP):
        return ""
    model: Any = apps.get_model(LABEL, "RememberedBrowsers")
    found = model.objects.filter(user=user).values_list("value", flat=True).first()
    return str(found or "")
