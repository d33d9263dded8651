"""Facts about requests and users by the settings, and texts in the language of a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.utils import translation
from django.utils.functional import lazy
from django.utils.translation import gettext as django_gettext, ngettext as django_ngettext

from otpverify.integrations.django import conf
from otpverify.integrations.web.languages import translated
from otpverify.integrations.web.requests import client_address
from otpverify.integrations.web.sentences import Sentence


def client_ip(request: HttpRequest) -> str | None:
    """The person's IP address, as `CLIENT_IP` and `TRUSTED_PROXIES` say; without them, the address
    of the connection. `None` where it is unknown, as behind a proxy on a Unix socket."""
    own = conf.function("CLIENT_IP")
    if own is not None:
        return own(request) or None
    proxies = int(conf.option("TRUSTED_PROXIES") or 0)
    if proxies > 0:
        hops = str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",")
        # Any sender can write the entries further to the left.
        if len(hops) >= proxies and hops[-proxies].strip():
            return hops[-proxies].strip()
    return client_address(request.META.get("REMOTE_ADDR"))


def get_phone(user: Any) -> str | None:
    """The user's phone, as `GET_PHONE` or `PHONE_FIELD` say; `None` if there is none.

    Raises:
        ImproperlyConfigured: Neither is set.
    """
    own = conf.function("GET_PHONE")
    if own is not None:
        return own(user) or None
    found = user
    for name in phone_field().split("__"):
        found = getattr(found, name, None)
    return str(found) if found else None


def find_users(phone: str) -> list[Any]:
    """All users with this phone, as `FIND_USERS` or `PHONE_FIELD` say, those that may not sign in
    included.

    Args:
        phone: In E.164.

    Raises:
        ImproperlyConfigured: Neither is set.
    """
    own = conf.function("FIND_USERS")
    if own is None:
        return users_with(phone)
    found = own(phone)
    if found is None:
        return []
    return list(found) if isinstance(found, Iterable) else [found]


def users_with(phone: str) -> list[Any]:
    """All users whose `PHONE_FIELD` is this phone.

    Args:
        phone: In E.164.

    Raises:
        ImproperlyConfigured: The setting is missing.
    """
    known: Any = get_user_model()
    return list(known._default_manager.filter(**{phone_field(): phone}))


def phone_is_username() -> bool:
    """Whether the phone is what the users of this project sign in with."""
    known: Any = get_user_model()
    return bool(conf.option("PHONE_FIELD") == known.USERNAME_FIELD)


def locale() -> str:
    """The message's language: the page's."""
    return translation.get_language() or "en"


def say(sentence: Sentence) -> str:
    """A sentence in the page's language: by the project's own catalogues, or else by those that
    come with the library."""
    return translated(sentence, locale(), django_gettext, django_ngettext)


def _say_text(text: str) -> str:
    return say(Sentence(text))


lazy_text: Callable[[str], str] = lazy(_say_text, str)
"""A text of the pages, translated when it is shown."""
lazy_sentence: Callable[[Sentence], str] = lazy(say, str)
"""As `lazy_text`, for a sentence."""


def phone_field() -> str:
    """The setting `PHONE_FIELD`.

    Raises:
        ImproperlyConfigured: It is not set.
    """
    found = conf.option("PHONE_FIELD")
    if not found:
        raise ImproperlyConfigured(
            'Say where a user\'s phone is: OTPVERIFY["PHONE_FIELD"], such as "phone" or '
            '"profile__phone", or GET_PHONE and FIND_USERS.'
        )
    return str(found)
