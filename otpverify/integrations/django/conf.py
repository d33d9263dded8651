"""The settings: one dict, `OTPVERIFY`. What stands for an object may be the object, something that
makes it when called without arguments, or the dotted path of either.

SECRET: The server-side key, or a list of keys to rotate; the variable `OTPVERIFY_SECRET` if left
    out. May be missing with a store in memory only.
REDIS_URL: Where challenges are kept, as `RedisStore.from_url` takes it; the variable
    `OTPVERIFY_REDIS_URL` if left out.
SQLITE_PATH: A file for them, as `SqliteStore` takes it, instead; the variable
    `OTPVERIFY_SQLITE_PATH` if left out. Without either, they are kept in memory.
STORE: A store, instead of both.
HASH, TOKEN, SENDER_ID, URL, REPORT_URL: The account at the gateway, its approved sender ID, the
    gateway's address, and the full address of the view `report`; the variables `SMSPM_HASH`,
    `SMSPM_TOKEN`, `SMSPM_SENDER`, `SMSPM_URL`, `SMSPM_REPORT_URL` if left out.
SENDER: A sender, instead of the gateway's client.
REGION: ISO 3166-1 code for numbers typed without country code; `OTPVERIFY_REGION` if left out.
POLICY, MESSAGES: A `Policy` and `Messages`, or dicts of their arguments.
HASHER, GUARDS, ON_EVENT: As `Verifier` takes them; `ON_EVENT` may be a dotted path.
CLIENT_IP: A function of the request that gives the person's IP address or `None`; a dotted path.
TRUSTED_PROXIES: How many proxies of your own stand in front, each of which appends to
    `X-Forwarded-For`. 0, the default, believes no header: the address is `REMOTE_ADDR`.
PHONE_FIELD: Where a user's phone is, in E.164: a field of the user model, or a path such as
    `"profile__phone"`.
GET_PHONE: A function of the user that gives the phone or `None`, instead; a dotted path.
FIND_USER: A function of a phone in E.164 that gives the user who may reset a password with it,
    or `None`; a dotted path.
DELIVER_IN_BACKGROUND: Whether the password reset hands messages to threads, so that the reply
    takes as long for a number without account; `True` if left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.conf import settings
from django.utils.module_loading import import_string

from otpverify import ConfigurationError, Messages, Policy

NAME: Final = "OTPVERIFY"
ACCOUNT: Final = {
    "HASH": "SMSPM_HASH",
    "TOKEN": "SMSPM_TOKEN",
    "SENDER_ID": "SMSPM_SENDER",
    "URL": "SMSPM_URL",
    "REPORT_URL": "SMSPM_REPORT_URL",
}
ELSEWHERE: Final = {
    **ACCOUNT,
    "SECRET": "OTPVERIFY_SECRET",
    "REDIS_URL": "OTPVERIFY_REDIS_URL",
    "SQLITE_PATH": "OTPVERIFY_SQLITE_PATH",
    "REGION": "OTPVERIFY_REGION",
}
KEYS: Final = frozenset(ELSEWHERE) | {
    "STORE",
    "SENDER",
    "POLICY",
    "MESSAGES",
    "HASHER",
    "GUARDS",
    "ON_EVENT",
    "CLIENT_IP",
    "TRUSTED_PROXIES",
    "PHONE_FIELD",
    "GET_PHONE",
    "FIND_USER",
    "DELIVER_IN_BACKGROUND",
}


def given() -> Mapping[str, Any]:
    """The dict as it stands in the settings; empty if there is none.

    Raises:
        ConfigurationError: It is no dict.
    """
    found = getattr(settings, NAME, {})
    if not isinstance(found, Mapping):
        raise ConfigurationError(f"{NAME} must be a dict.")
    return found


def option(key: str) -> Any:
    """One setting, or the environment variable in its place, or `None`."""
    found = given().get(key)
    if found is None and key in ELSEWHERE:
        found = os.environ.get(ELSEWHERE[key]) or None
        if key == "SECRET" and found is not None:
            return [secret.strip() for secret in found.split(",") if secret.strip()] or None
    return found


def function(key: str) -> Callable[..., Any] | None:
    """A setting that is a function, or the dotted path of one.

    Raises:
        ConfigurationError: It is neither.
    """
    found = _imported(key)
    if found is not None and not callable(found):
        raise ConfigurationError(f"{NAME}[{key!r}] must be a function, or the dotted path of one.")
    return found  # type: ignore[no-any-return]  # settings hold anything; it is callable


def part(key: str, method: str) -> Any:
    """A setting that is an object with this method, makes one, or is the dotted path of either."""
    found = _imported(key)
    if isinstance(found, type) or (callable(found) and not hasattr(found, method)):
        return found()
    return found


def environ() -> dict[str, str]:
    """The environment as the gateway's client reads it, with the settings in front."""
    own = {name: option(key) for key, name in ACCOUNT.items()}
    return {name: str(value) for name, value in own.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Rules:
    """What `Verifier` takes beside sender, store and secret."""

    policy: Policy
    messages: Any
    hasher: Any
    guards: list[Any] = field(default_factory=list)
    region: str | None = None
    on_event: Callable[..., object] | None = None

    def arguments(self) -> dict[str, Any]:
        """As keyword arguments."""
        return {name: getattr(self, name) for name in self.__slots__}


def rules() -> Rules:
    """As the settings say.

    Raises:
        ConfigurationError: One of them makes no sense.
    """
    return Rules(
        policy=_made("POLICY", Policy) or Policy(),
        messages=_made("MESSAGES", Messages),
        hasher=part("HASHER", "digest"),
        guards=list(option("GUARDS") or ()),
        region=option("REGION"),
        on_event=function("ON_EVENT"),
    )


def _made(key: str, kind: Callable[..., Any]) -> Any:
    """A setting that may be a dict of what it is made with."""
    found = option(key)
    if not isinstance(found, Mapping):
        return part(key, "render" if kind is Messages else "takeover_probability")
    try:
        return kind(**found)
    except TypeError as error:
        problem = str(error)
    raise ConfigurationError(f"{NAME}[{key!r}]: {problem}")


def _imported(key: str) -> Any:
    found = option(key)
    if not isinstance(found, str):
        return found
    try:
        return import_string(found)
    except ImportError as error:
        raise ConfigurationError(f"{NAME}[{key!r}] cannot be imported: {error}") from error
