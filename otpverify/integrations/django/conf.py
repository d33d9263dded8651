"""The settings, and the verifiers made from them.

The settings are one dict, `OTPVERIFY`. A value that stands for an object may be the object,
something that makes it when it is called without arguments, or the dotted path of either.

A setting that is left out, or is `None`, is looked up in the environment, under the name in
brackets. An empty value means that it is not set.

SECRET: The server-side key, or a list of keys to rotate (`OTPVERIFY_SECRET`). It may be missing if
    challenges are stored in memory only.
REDIS_URL: Where challenges are stored, as `RedisStore.from_url` takes it (`OTPVERIFY_REDIS_URL`).
SQLITE_PATH: A file for them instead, as `SqliteStore` takes it (`OTPVERIFY_SQLITE_PATH`). Without
    either, they are stored in memory.
STORE: A store, instead of both.
HASH, TOKEN: The account at the gateway (`SMSPM_HASH`, `SMSPM_TOKEN`).
SENDER_ID: An approved sender ID (`SMSPM_SENDER`).
URL: The gateway's address (`SMSPM_URL`).
ALLOW_INSECURE: Whether `URL` and `REPORT_URL` may be plain http on a private network, to a sandbox
    (`SMSPM_ALLOW_INSECURE`).
REPORT_URL: The full address of the view `report`, for delivery reports (`SMSPM_REPORT_URL`).
SENDER: A sender, instead of the gateway's client.
REGION: ISO 3166-1 code for numbers typed without country code (`OTPVERIFY_REGION`).
FRAUD: Protection against SMS pumping: `"observe"` or `"enforce"` (`OTPVERIFY_FRAUD`), or a
    `FraudPolicy`, or a dict of its arguments.
POLICY, MESSAGES: A `Policy` and `Messages`, or dicts of their arguments.
HASHER, GUARDS, ON_EVENT: As `Verifier` takes them.
GET_VERIFIER: A function of the request that gives its `Verifier` or `AsyncVerifier`, for a site
    with several brands or tenants. Return the same object for the same brand.
CLIENT_IP: A function of the request that gives the person's IP address or `None`.
TRUSTED_PROXIES: How many of your own proxies are in front, each of which appends to
    `X-Forwarded-For`. With 0, the default, no header is trusted: the address is `REMOTE_ADDR`.
PHONE_FIELD: Where a user's phone is, in E.164: a field of the user model, or a path such as
    `"profile__phone"`.
GET_PHONE: A function of the user that gives the phone or `None`, instead.
FIND_USERS: A function of a phone in E.164 that gives the users who have it, instead: a list, one
    user, or `None`. Those who may not sign in are among them.
SIGN_UP: Whether `SignInView` gives new numbers an account; `False` if left out.
HUMAN_CHECK: A function of the request that says whether it brings a human check that was passed,
    such as the answer of a CAPTCHA. It is called when `FRAUD` asks for one; the pages then show
    your template `otpverify/human_check.html` in their form.
REMEMBER_DAYS: For how many days a browser may skip the code at the login, if the person says so on
    the code's page; none if left out.
WITHOUT_PHONE: What happens at the login to users who need a code, and have no phone and no other
    way: `"refuse"`, the default; `"sign_in"`: the password is enough; `"enrol"`: the password is
    enough to add a phone, and then they are signed in.
NOTICES: Whether the person gets an SMS when the phone or backup codes of the account change, at the
    old number if it was changed; `True` if left out.
ON_ACCOUNT_CHANGE: A function of request, user and `AccountNotice` that notifies the person in your
    own way, beside the SMS. If it is left out, users with an e-mail address get an e-mail.
DELIVER_IN_BACKGROUND: Whether concealed flows, such as the password reset, hand messages to
    threads, so that the reply takes as long for a number without an account; `True` if left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from django.conf import settings
from django.core.signals import setting_changed
from django.http import HttpRequest

from otpverify import AsyncVerifier, ConfigurationError, Verifier
from otpverify.integrations.web.enrolment import check_without_phone
from otpverify.integrations.web.verifiers import Derived, Verifiers
from otpverify.settings import Parts, Settings, Source
from otpverify.settings_table import SETTINGS, function_of

NAME: Final = "OTPVERIFY"
FUNCTIONS: Final = (
    "GET_VERIFIER",
    "CLIENT_IP",
    "GET_PHONE",
    "FIND_USERS",
    "HUMAN_CHECK",
    "ON_ACCOUNT_CHANGE",
)
SOURCE: Final = Source(
    written=NAME + '["{}"]',
    short=True,
    more=frozenset(
        {
            *FUNCTIONS,
            "TRUSTED_PROXIES",
            "PHONE_FIELD",
            "DELIVER_IN_BACKGROUND",
            "SIGN_UP",
            "WITHOUT_PHONE",
        }
    ),
    closed=True,
)
"""How the settings are written in the dict."""

# One entry: `setdefault` is atomic, so that threads share one without a lock.
_current: dict[str, Verifiers] = {}
_derived: WeakKeyDictionary[Verifier | AsyncVerifier, Derived] = WeakKeyDictionary()


def given() -> Mapping[str, Any]:
    """The dict as it is in the settings; empty if there is none.

    Raises:
        ConfigurationError: It is not a dict.
    """
    found = getattr(settings, NAME, {})
    if not isinstance(found, Mapping):
        raise ConfigurationError(f"{NAME} must be a dict.")
    return found


def shared() -> Settings:
    """The settings that all integrations share."""
    return Settings(given(), SOURCE)


def option(key: str) -> Any:
    """One setting, or the environment variable in its place; `None` if it is not set.

    Raises:
        ConfigurationError: The value is not valid.
    """
    if key in SETTINGS:
        return shared().get(key)
    found = given().get(key)
    return None if found == "" else found


def function(key: str) -> Callable[..., Any] | None:
    """A setting that is a function, or the dotted path of one.

    Raises:
        ConfigurationError: It is neither.
    """
    found = option(key)
    return None if found is None else function_of(found, SOURCE.spell(key))


def remember_days() -> int:
    """For how many days a browser may skip the code; 0: it may not.

    Raises:
        ConfigurationError: The setting is not a number of days from 0 to 365.
    """
    return option("REMEMBER_DAYS") or 0


def without_phone() -> str:
    """What happens at the login to users without a phone.

    Raises:
        ConfigurationError: The setting is not one of the three.
    """
    return check_without_phone(option("WITHOUT_PHONE"), SOURCE.spell("WITHOUT_PHONE"))


# The verifiers of this process, made when they are first asked for, and those of a request.


def get_verifier(*, background: bool = False) -> Verifier:
    """The verifier of this process, as the settings describe it.

    Args:
        background: Whether it delivers in threads, for flows in which the time of a reply must not
            reveal whether a number is known.

    Raises:
        ConfigurationError: A setting is missing or not valid; `manage.py check --deploy` names it.
    """
    return _verifiers().verifier(background=background)


def get_async_verifier(*, background: bool = False) -> AsyncVerifier:
    """The asynchronous verifier of this process, as `get_verifier`. A sender that blocks runs in
    threads."""
    return _verifiers().async_verifier(background=background)


def verifier_for(request: HttpRequest, *, background: bool = False) -> Verifier:
    """The verifier for a request: that of `OTPVERIFY["GET_VERIFIER"]`, or else that of this
    process. The views' hook `get_verifier` calls it.

    Args:
        request: The request.
        background: As for `get_verifier`. A verifier of `GET_VERIFIER` then gets a counterpart
            that shares all else with it.

    Raises:
        ConfigurationError: As `get_verifier`; or the function gave something else.
    """
    found = _of_request(request)
    if found is None:
        return get_verifier(background=background)
    if isinstance(found, AsyncVerifier):
        raise ConfigurationError(
            f"{SOURCE.spell('GET_VERIFIER')} must give a Verifier in synchronous views, not "
            "an AsyncVerifier."
        )
    return _derived_of(found).verifier() if background else found


def averifier_for(request: HttpRequest, *, background: bool = False) -> AsyncVerifier:
    """The asynchronous verifier for a request, as `verifier_for`. If `GET_VERIFIER` gives a
    `Verifier`, its counterpart runs in threads."""
    found = _of_request(request)
    if found is None:
        return get_async_verifier(background=background)
    if isinstance(found, AsyncVerifier) and not background:
        return found
    return _derived_of(found).async_verifier(background=background)


def forget(**changed: Any) -> None:
    """Make the verifiers again when they are next asked for: the settings changed."""
    if changed.get("setting", NAME) != NAME:
        return
    if old := _current.pop(NAME, None):
        old.close()
    for derived in list(_derived.values()):
        derived.close()
    _derived.clear()


def _verifiers() -> Verifiers:
    found = _current.get(NAME)
    if found is None:
        found = _current.setdefault(NAME, Verifiers(Parts(shared())))
    return found


def _of_request(request: HttpRequest) -> Verifier | AsyncVerifier | None:
    own = function("GET_VERIFIER")
    if own is None:
        return None
    found = own(request)
    if not isinstance(found, Verifier | AsyncVerifier):
        raise ConfigurationError(
            f"{SOURCE.spell('GET_VERIFIER')} must give a Verifier or an AsyncVerifier, not "
            f"{type(found).__name__}."
        )
    return found


def _derived_of(verifier: Verifier | AsyncVerifier) -> Derived:
    found = _derived.get(verifier)
    if found is None:
        found = _derived.setdefault(verifier, Derived(verifier))
    return found


setting_changed.connect(forget, dispatch_uid="otpverify")
