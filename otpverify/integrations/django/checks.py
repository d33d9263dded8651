"""System checks: what is wrong with the settings, and how to mend it."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.core.checks import CheckMessage, Error, Info, Warning  # noqa: A004 - Django's names
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured

from otpverify import ConfigurationError, MemoryStore
from otpverify.integrations.django import conf
from otpverify.integrations.django.verifiers import Parts

_SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
_CSRF = "django.middleware.csrf.CsrfViewMiddleware"
_SIGNED_COOKIES = "django.contrib.sessions.backends.signed_cookies"


def register() -> None:
    """Register them, under Django's tag for security."""
    checks.register(check_settings, checks.Tags.security)
    checks.register(check_project, checks.Tags.security)
    checks.register(check_deployment, checks.Tags.security, deploy=True)


def check_settings(**_: Any) -> list[CheckMessage]:
    """`OTPVERIFY` itself."""
    try:
        return list(_settings())
    except ConfigurationError as error:
        return [Error(str(error), id="otpverify.E002")]


def check_project(**_: Any) -> list[CheckMessage]:
    """What the views need of the project."""
    return list(_project())


def check_deployment(**_: Any) -> list[CheckMessage]:
    """What is well on one's own machine, and not where people are served."""
    try:
        parts = Parts()
        if isinstance(parts.store, MemoryStore) and not _workers():
            return [_memory(Warning, "W003", "Challenges and limits are kept in memory.")]
    except ConfigurationError:
        pass  # said by `check_settings`
    return []


def _settings() -> Iterator[CheckMessage]:
    given = conf.given()
    for key in sorted(set(map(str, given)) - conf.KEYS):
        near = difflib.get_close_matches(key.upper(), conf.KEYS, 1)
        hint = (
            f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(sorted(conf.KEYS))}."
        )
        yield Error(f"OTPVERIFY has no setting {key!r}.", hint=hint, id="otpverify.E001")
    yield from _sender()
    parts = Parts()
    if parts.secret is None:
        yield Error(
            f"There is no secret, and {type(parts.store).__name__} outlives this process.",
            hint='Set OTPVERIFY["SECRET"], the same in every process, from your secret store; '
            "`otpverify secret` makes one.",
            id="otpverify.E003",
        )
    elif given.get("SENDER") or (conf.option("HASH") and conf.option("TOKEN")):
        parts.verify()
    if isinstance(parts.store, MemoryStore) and _workers():
        said = "WEB_CONCURRENCY asks for several workers, and each would keep its own challenges."
        yield _memory(Error, "E005", said)
    for key in ("CLIENT_IP", "GET_PHONE", "FIND_USER"):
        conf.function(key)
    yield from _phone_field()


def _sender() -> Iterator[CheckMessage]:
    if conf.option("SENDER") is not None:
        return
    missing = [key for key in ("HASH", "TOKEN") if not conf.option(key)]
    if missing:
        yield Error(
            f"The gateway's credentials are missing: {', '.join(missing)}.",
            hint="Set OTPVERIFY[...] or the environment: "
            f"{', '.join(conf.ACCOUNT[key] for key in missing)}. `otpverify sandbox` needs no "
            "account.",
            id="otpverify.E004",
        )
    if not conf.option("SENDER_ID"):
        yield Warning(
            "There is no sender ID; messages come from SMSPM.com.",
            hint='Set OTPVERIFY["SENDER_ID"] to one that the gateway approved for you, or to '
            '"SMSPM.com".',
            id="otpverify.W001",
        )


def _phone_field() -> Iterator[CheckMessage]:
    field = conf.option("PHONE_FIELD")
    if not field or not settings.AUTH_USER_MODEL:
        return
    try:
        model: Any = get_user_model()
        for name in str(field).split("__"):
            found = model._meta.get_field(name)
            model = getattr(found, "related_model", None)
    except (AttributeError, FieldDoesNotExist, ImproperlyConfigured):
        yield Error(
            f"The user model has no field {field!r}.",
            hint='Set OTPVERIFY["PHONE_FIELD"] to the field that holds the phone in E.164, or set '
            "GET_PHONE and FIND_USER.",
            id="otpverify.E006",
        )


def _project() -> Iterator[CheckMessage]:
    if _CSRF not in settings.MIDDLEWARE:
        yield Warning(
            "CsrfViewMiddleware is missing from MIDDLEWARE.",
            hint="The pages of otpverify are protected all the same, but your own are not.",
            id="otpverify.W002",
        )
    if _SESSIONS not in settings.MIDDLEWARE:
        yield Error(
            "SessionMiddleware is missing from MIDDLEWARE.",
            hint="The challenge is kept in the session.",
            id="otpverify.E007",
        )
    if settings.SESSION_ENGINE == _SIGNED_COOKIES:
        yield Info(
            "Sessions are signed cookies, which their owner can read.",
            hint="That is fine: they hold no secret, and no number that the owner did not type.",
            id="otpverify.I001",
        )


def _workers() -> bool:
    workers = os.environ.get("WEB_CONCURRENCY", "")
    return workers.isdecimal() and int(workers) > 1


def _memory(kind: Callable[..., CheckMessage], number: str, said: str) -> CheckMessage:
    return kind(
        said,
        hint='Set OTPVERIFY["REDIS_URL"], or ["SQLITE_PATH"] on one machine, or run one worker.',
        id=f"otpverify.{number}",
    )
