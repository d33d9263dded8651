"""System checks: what is wrong with the settings, and how to fix it.

Every check reads only: none opens a file or a connection. What needs credentials is checked for a
deployment only (`manage.py check --deploy`), so that `migrate`, `makemigrations` and `test` work
where there are none.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from inspect import iscoroutinefunction
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.core.checks import CheckMessage, Error, Info, Warning  # noqa: A004 - Django's names
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.urls import NoReverseMatch, Resolver404, get_resolver, resolve, reverse

from otpverify import AsyncVerifier, ConfigurationError, MemoryStore, Verifier
from otpverify.integrations.django import conf
from otpverify.settings import ENVIRONMENT, Parts, Settings, one_store
from otpverify.settings_table import SETTINGS, require_secure
from otpverify.wiring import require_no_secret

_SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
_CSRF = "django.middleware.csrf.CsrfViewMiddleware"
_SIGNED_COOKIES = "django.contrib.sessions.backends.signed_cookies"


def register() -> None:
    """Register the checks, under Django's tag for security."""
    checks.register(check_settings, checks.Tags.security)
    checks.register(check_project, checks.Tags.security)
    checks.register(check_deployment, checks.Tags.security, deploy=True)
    checks.register(check_admin, checks.Tags.security, deploy=True)


def check_settings(**_: Any) -> list[CheckMessage]:
    """Check what is set."""
    try:
        found = conf.shared()
        unknown = [Error(str(error), id="otpverify.E001") for error in found.unknown()]
        return [*unknown, *_values(found), *_phone_field()]
    except ConfigurationError as error:
        return [_invalid(error)]


def check_project(**_: Any) -> list[CheckMessage]:
    """Check what the views need of the project."""
    return list(_project())


def check_deployment(**_: Any) -> list[CheckMessage]:
    """Check what a site that serves people needs: credentials, a secret, a shared store."""
    try:
        found = conf.shared()
        found.check()
    except ConfigurationError:
        return []  # `check_settings` reports it
    return list(_deployment(found))


def check_admin(**_: Any) -> list[CheckMessage]:
    """Check that the admin has no login of its own beside the one with a second factor."""
    if not apps.is_installed("django.contrib.admin") or not _has_second_factor():
        return []
    return [
        Warning(
            f"{address} signs in by password alone, while {settings.LOGIN_URL} asks for a code, "
            "too.",
            hint="Send its visitors to the login with a second factor: put a view that redirects "
            "to LOGIN_URL before the admin's addresses. docs/how-to/django.md shows it.",
            id="otpverify.W004",
        )
        for address in _admin_logins()
    ]


def _values(found: Settings) -> list[CheckMessage]:
    problems = []
    for key in (*SETTINGS, *conf.FUNCTIONS):
        try:
            found.get(key) if key in SETTINGS else conf.function(key)
        except ConfigurationError as error:
            problems.append(_invalid(error))
    if not problems:
        one_store(found)
        require_secure(found)
    return problems


def _invalid(error: ConfigurationError) -> CheckMessage:
    return Error(str(error), id="otpverify.E002")


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
            hint="The session holds the challenge.",
            id="otpverify.E007",
        )
    if settings.SESSION_ENGINE == _SIGNED_COOKIES:
        yield Info(
            "Sessions are signed cookies, which their owner can read.",
            hint="That is fine: they hold no secret, and no number that the owner did not type.",
            id="otpverify.I001",
        )


def _deployment(found: Settings) -> Iterator[CheckMessage]:
    # A store in memory stands in for an SQLite file, which would be made.
    file = found.get("STORE") is None and found.get("SQLITE_PATH") is not None
    parts = Parts(found, store=MemoryStore() if file else None)
    try:
        complete = True
        if found.get("SENDER") is None and not conf.option("GET_VERIFIER"):
            for problem in _account(found):
                complete = complete and not problem.is_serious()
                yield problem
        if found.get("SECRET") is None and (file or _needs_secret(parts)):
            yield _no_secret(found)
            complete = False
        if complete:
            _compose(parts, found)
        if found.get("FRAUD") is None and not conf.option("GET_VERIFIER"):
            yield _no_fraud_policy()
        if not file and isinstance(parts.store, MemoryStore):
            yield _memory()
    except ConfigurationError as error:
        yield _invalid(error)
    finally:
        parts.close()


def _account(found: Settings) -> Iterator[CheckMessage]:
    missing = [key for key in ("HASH", "TOKEN") if found.get(key) is None]
    if missing:
        yield Error(
            f"The gateway's credentials are missing: {', '.join(missing)}.",
            hint=f"Set {' and '.join(map(found.spell, missing))}, or in the environment "
            f"{' and '.join(map(ENVIRONMENT.spell, missing))}. Without an account, run "
            "`otpverify sandbox` and set the variables that it prints.",
            id="otpverify.E004",
        )
    if found.get("SENDER_ID") is None:
        yield Warning(
            "There is no sender ID; messages come from SMSPM.com.",
            hint='Set OTPVERIFY["SENDER_ID"] to one that the gateway approved for you, or to '
            '"SMSPM.com".',
            id="otpverify.W001",
        )


def _needs_secret(parts: Parts) -> bool:
    try:
        require_no_secret(parts.store, parts.hasher)
    except ConfigurationError:
        return True
    return False


def _no_secret(found: Settings) -> CheckMessage:
    return Error(
        f"{found.spell('SECRET')} is not set. Challenges outlive this process, or the hasher needs "
        "a secret.",
        hint=f"Set it, or in the environment {ENVIRONMENT.spell('SECRET')}, from your secret "
        "store, the same in every process. `otpverify secret` makes one.",
        id="otpverify.E003",
    )


def _no_fraud_policy() -> CheckMessage:
    return Warning(
        "Nothing bounds what SMS pumping costs: OTPVERIFY has no FRAUD.",
        hint='Set OTPVERIFY["FRAUD"], or in the environment OTPVERIFY_FRAUD, to "observe" for two '
        'weeks, then to "enforce". docs/how-to/sms-pumping.md tells more.',
        id="otpverify.W005",
    )


def _compose(parts: Parts, found: Settings) -> None:
    """Put the parts together.

    Raises:
        ConfigurationError: They do not fit together.
    """
    if found.get("SENDER") is None and found.get("HASH") is None:
        return  # every verifier comes from GET_VERIFIER
    awaits = iscoroutinefunction(getattr(parts.sender, "send", None))
    kind = AsyncVerifier if awaits else Verifier  # the first is for asynchronous views alone
    kind(parts.sender, **parts.arguments(asynchronous=awaits))


def _memory() -> CheckMessage:
    workers = os.environ.get("WEB_CONCURRENCY", "")
    hint = 'Set OTPVERIFY["REDIS_URL"], or ["SQLITE_PATH"] on one machine, or run one worker.'
    if workers.isdecimal() and int(workers) > 1:
        return Error(
            "WEB_CONCURRENCY asks for several workers, and each would have its own challenges.",
            hint=hint,
            id="otpverify.E005",
        )
    return Warning("Challenges and limits are kept in memory.", hint=hint, id="otpverify.W003")


def _has_second_factor() -> bool:
    """Whether a login with a code is mounted."""
    from otpverify.integrations.django.views import LoginView  # needs the models to be loaded

    return any(
        isinstance(view, type) and issubclass(view, LoginView)
        for view in _views(get_resolver().url_patterns)
    )


def _views(patterns: Iterable[Any]) -> Iterator[object]:
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            yield from _views(pattern.url_patterns)
        else:
            yield getattr(pattern.callback, "view_class", None)


def _admin_logins() -> Iterator[str]:
    """The addresses at which an admin site's own login answers."""
    from django.contrib.admin import AdminSite

    for namespace in _namespaces(get_resolver(), "admin"):
        try:
            address = reverse(f"{namespace}:login")
            view = resolve(address).func
        except (NoReverseMatch, Resolver404):
            continue
        if getattr(view, "__func__", None) is AdminSite.login:
            yield address


def _namespaces(resolver: Any, app: str, prefix: str = "") -> Iterator[str]:
    for name, (_, inner) in resolver.namespace_dict.items():
        full = f"{prefix}{name}"
        if inner.app_name == app:
            yield full
        yield from _namespaces(inner, app, f"{full}:")
