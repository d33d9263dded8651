"""System checks: what is wrong with the settings, and how to fix it.

Every check reads only: none opens a file or a connection. What needs credentials is checked for a
deployment only (`manage.py check --deploy`), so that `migrate`, `makemigrations` and `test` work
where there are none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from inspect import iscoroutinefunction
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core import checks
from django.core.checks import CheckMessage, Error, Info, Warning  # noqa: A004 - Django's names
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db.models import UniqueConstraint
from django.urls import NoReverseMatch, Resolver404, get_resolver, resolve, reverse

from otpverify import AsyncVerifier, ConfigurationError, MemoryStore, Verifier
from otpverify.integrations.django import conf
from otpverify.integrations.django.mounted import Mounted, includes, mounted_flows
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
    checks.register(check_views, checks.Tags.security)
    checks.register(check_deployment, checks.Tags.security, deploy=True)
    checks.register(check_admin, checks.Tags.security, deploy=True)
    checks.register(check_sign_in, checks.Tags.security, deploy=True)
    checks.register(check_enrolment, checks.Tags.security, deploy=True)


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


def check_views(**_: Any) -> list[CheckMessage]:
    """Check the flows that are mounted."""
    mounted = mounted_flows()
    try:
        return [*_included_twice(), *_twice(mounted), *_shared_numbers(mounted)]
    except ConfigurationError:
        return []  # `check_settings` reports it


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
            hint="Send its visitors to LOGIN_URL: path('admin/', protect_admin(admin.site).urls), "
            "with protect_admin from otpverify.integrations.django.admin_login.",
            id="otpverify.W004",
        )
        for address in _admin_logins()
    ]


def check_sign_in(**_: Any) -> list[CheckMessage]:
    """Check that the sign-in by phone is protected, and no way around a second factor."""
    try:
        return list(_sign_in(mounted_flows()))
    except ConfigurationError:
        return []  # `check_settings` reports it


def check_enrolment(**_: Any) -> list[CheckMessage]:
    """Check that a change of the phone ends other sessions, and that a user who has another way in
    must pass it before there is a first phone."""
    return list(_enrolment(mounted_flows()))


def project_findings() -> list[CheckMessage]:
    """What the doctor says of the project, beside what it finds by itself."""
    functions = []
    for key in conf.FUNCTIONS:
        try:
            conf.function(key)
        except ConfigurationError as error:
            functions.append(_invalid(error))
    found = [*functions, *_phone_field(), *_project(), *check_views(), *check_admin()]
    found += [*check_sign_in(), *check_enrolment()]
    return [one for one in found if one.level >= checks.WARNING]


def _values(found: Settings) -> list[CheckMessage]:
    problems = []
    for key in (*SETTINGS, *conf.FUNCTIONS):
        try:
            found.get(key) if key in SETTINGS else conf.function(key)
        except ConfigurationError as error:
            problems.append(_invalid(error))
    try:
        conf.without_phone()
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
            "GET_PHONE and FIND_USERS.",
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
    from otpverify.integrations.django.login import LoginView  # needs the models to be loaded

    return any(issubclass(one.view, LoginView) for one in mounted_flows())


def _included_twice() -> Iterator[CheckMessage]:
    """Several includes of the flows. Names such as `otpverify:login` are found in one of them, and
    at an address that several have, the first answers."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return
    found: dict[str, list[str]] = {}
    for namespace, address in includes(get_resolver().url_patterns, "/"):
        found.setdefault(namespace, []).append(address)
    for namespace, addresses in found.items():
        if len(addresses) > 1:
            yield Warning(
                f"The flows are included {len(addresses)} times, at {', '.join(addresses)}: names "
                f"such as {namespace}:login are found in one of them, and a page that two of them "
                "have is the first one's.",
                hint="Name all views in one include: include(flow_urls(LoginView, PhoneView, "
                "...)), with flow_urls from otpverify.integrations.django.urls.",
                id="otpverify.W010",
            )


def _twice(mounted: list[Mounted]) -> Iterator[CheckMessage]:
    """Stock views that stay reachable beside a view that changes them."""
    for stock in mounted:
        if not stock.view.__module__.startswith(__package__):
            continue
        kind = _synchronous(stock.view)
        for own in mounted:
            same = issubclass(own.view, kind) and own.get("purpose") == stock.get("purpose")
            if same and not own.view.__module__.startswith(__package__):
                yield Warning(
                    f"{stock.address} is the page of {stock.view.__name__}, beside {own.address}, "
                    f"the page of {own.view.__name__}, which changes it: people can take the one "
                    "that asks for less.",
                    hint=f"Mount the flows that you choose: include(flow_urls({own.view.__name__}, "
                    "...)), with flow_urls from otpverify.integrations.django.urls.",
                    id="otpverify.W006",
                )
                break


def _synchronous(view: type[Any]) -> type[Any]:
    """The stock view that an asynchronous stock view is the counterpart of."""
    from otpverify.integrations.django.base import AsyncFlow  # needs the models to be loaded

    return view.__mro__[2] if issubclass(view, AsyncFlow) else view


def _shared_numbers(mounted: list[Mounted]) -> Iterator[CheckMessage]:
    """Accounts that are looked up by a phone that several of them may have."""
    field = conf.option("PHONE_FIELD")
    if not field or conf.option("FIND_USERS") is not None:
        return
    pages = [one.address for one in mounted if _looks_up(one.view)]
    try:
        unique = _is_unique(str(field))
    except (AttributeError, FieldDoesNotExist, ImproperlyConfigured):
        return  # `_phone_field` reports it
    if not pages or unique:
        return
    signs_up = conf.option("SIGN_UP")
    creates = [one for one in mounted if hasattr(one.view, "sign_up")]
    if any(signs_up if one.get("sign_up") is None else one.get("sign_up") for one in creates):
        yield Error(
            f"New numbers get an account, and two may get the same {field}: requests that come at "
            "once can create two accounts, and neither can sign in.",
            hint="Make the field unique.",
            id="otpverify.E008",
        )
    else:
        yield Warning(
            f"Several accounts may have the same {field}, by which these pages look accounts up: "
            f"{', '.join(pages)}. A number that two accounts have opens neither.",
            hint="Make the field unique, and let accounts without a phone have NULL in it: "
            "CharField(max_length=16, unique=True, null=True, blank=True); or add a "
            "UniqueConstraint.",
            id="otpverify.W007",
        )


def _looks_up(view: type[Any]) -> bool:
    """Whether a view looks accounts up as the settings say."""
    return hasattr(view, "find_users") and _is_stock(view, "find_users")


def _is_stock(view: type[Any], name: str) -> bool:
    """Whether a view's method is that of the library."""
    return bool(getattr(view, name).__module__.startswith(__package__))


def _is_unique(field: str) -> bool:
    """Whether each value of a field of the user model, or of a path, belongs to one account."""
    model: Any = get_user_model()
    *path, last = field.split("__")
    for name in path:
        relation = model._meta.get_field(name)
        if not relation.one_to_one:
            return False
        model = relation.related_model
    constraints = [
        one.fields for one in model._meta.constraints if isinstance(one, UniqueConstraint)
    ]
    alone = [tuple(names) for names in (*constraints, *model._meta.unique_together)]
    return bool(model._meta.get_field(last).unique) or (last,) in alone


def _sign_in(mounted: list[Mounted]) -> Iterator[CheckMessage]:
    from otpverify.integrations.django.base import FlowView  # needs the models to be loaded
    from otpverify.integrations.django.sign_in import SignInView

    pages = [one for one in mounted if issubclass(one.view, SignInView)]
    without = [one for one in pages if one.view.get_human_check is FlowView.get_human_check]
    if without and conf.function("HUMAN_CHECK") is None:
        yield Warning(
            f"{without[0].address} sends a message to every number that a stranger types, and "
            "nothing asks whether the stranger is human.",
            hint='Set OTPVERIFY["HUMAN_CHECK"], and FRAUD to {"mode": "enforce", "over": '
            '"human_check"}. docs/how-to/human-checks.md says more.',
            id="otpverify.W008",
        )
    if not _has_second_factor():
        return
    around = [one for one in pages if one.view.may_sign_in is SignInView.may_sign_in]
    for one in pages:
        if one not in around:
            yield Info(
                f"A code alone signs in at {one.address} whom {one.view.__name__}.may_sign_in "
                "lets in, while the login asks for a password, too.",
                hint="Test it with an account that needs both; this check does not call it. Then "
                "silence this check.",
                id="otpverify.I002",
            )
    if around:
        yield Warning(
            f"A code alone signs in at {around[0].address}, while the login asks every user for a "
            "password, too.",
            hint="Refuse the accounts that need both in a subclass: may_sign_in(user). If nobody "
            "does, silence this check.",
            id="otpverify.W009",
        )


def _enrolment(mounted: list[Mounted]) -> Iterator[CheckMessage]:
    # They need the models to be loaded.
    from otpverify.integrations.django.enrolment import EnrolmentView
    from otpverify.integrations.django.login import LoginView

    pages = [one for one in mounted if issubclass(one.view, EnrolmentView)]
    if not pages:
        return
    model: Any = get_user_model()
    if model.get_session_auth_hash is AbstractBaseUser.get_session_auth_hash:
        yield Warning(
            f"People change their phone at {pages[0].address}, and their other sessions go on: "
            "also that of somebody who stole one.",
            hint=f"Put EndsSessionsWithPhone before the other bases of {model.__name__}, from "
            "otpverify.integrations.django.phone_sessions.",
            id="otpverify.W011",
        )
    logins = [one for one in mounted if issubclass(one.view, LoginView)]
    own = [one.view for one in logins if not _is_stock(one.view, "other_ways")]
    stock = [one for one in pages if _is_stock(one.get("check_view"), "other_ways")]
    if own and stock:
        yield Warning(
            f"{own[0].__name__} has other ways of its own, which {stock[0].address} does not know: "
            "who has one of them, and no phone, can add one by the password alone.",
            hint="Give other_ways to the check_view of the EnrolmentView, too: a subclass of "
            "CurrentPhoneView.",
            id="otpverify.W012",
        )


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
