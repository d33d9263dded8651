"""The table of settings: their names, what each is for, and how its value is read.

Nothing is opened here. A reader takes a value that is not empty, and the setting's name as the
person wrote it. It returns what the builder uses, or raises a `ConfigurationError` that names the
setting.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, cast

from otpverify.core.keys import Keyring
from otpverify.core.limits import require_whole
from otpverify.core.phone import check_region
from otpverify.core.secret_strength import is_placeholder, read_secrets
from otpverify.errors import ConfigurationError, ExtraMissing


def text(value: object, spelled: str) -> str:
    """A text."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{spelled} must be text, not {type(value).__name__}.")
    return value


def path(value: object, spelled: str) -> str:
    """The path of a file."""
    return text(os.fspath(value) if isinstance(value, os.PathLike) else value, spelled)


def gateway_url(value: object, spelled: str, **insecure: Any) -> str:
    """The gateway's address. Whether it may be plain http is another setting, see
    `require_secure`."""
    from otpverify.gateways.smspm.account import DEFAULT_URL
    from otpverify.gateways.urls import check_url

    options = insecure or {"allow_insecure": True}
    return check_url(text(value, spelled), spelled, example=DEFAULT_URL, **options)


def report_url(value: object, spelled: str, **insecure: Any) -> str:
    """The address for delivery reports. As `gateway_url`."""
    from otpverify.gateways.urls import check_report_url

    return check_report_url(text(value, spelled), spelled, **(insecure or {"allow_insecure": True}))


def require_secure(settings: Any) -> None:
    """Check that addresses use https, as far as `ALLOW_INSECURE` does not allow otherwise.

    Raises:
        ConfigurationError: One does not.
    """
    insecure = {
        "allow_insecure": bool(settings.get("ALLOW_INSECURE")),
        "allow_with": f"{settings.spell('ALLOW_INSECURE')} to 1",
    }
    for key, check in (("URL", gateway_url), ("REPORT_URL", report_url)):
        url = settings.get(key)
        if url is not None:
            check(url, settings.spell(key), **insecure)


def switch(value: object, spelled: str) -> bool:
    """A switch: `True` or `False`, or `1` or `0` as text."""
    from otpverify.gateways.smspm.account import read_switch

    return read_switch(value, spelled)


def days(value: object, spelled: str) -> int:
    """A number of days, from 0 to 365."""
    require_whole(f"{spelled}, in days,", value, least=0, most=365)
    return cast("int", value)


def sender_id(value: object, spelled: str) -> str:
    """A sender ID."""
    from otpverify.gateways.smspm.account import check_sender_id

    with naming(spelled):
        return check_sender_id(text(value, spelled))


def redis_url(value: object, spelled: str) -> str:
    """A URL of Redis or Valkey. The message does not repeat it, since it may hold a password."""
    from otpverify.stores.redis.clients import read_url

    url = text(value, spelled)
    with naming(spelled):
        read_url(url)
    return url


def region(value: object, spelled: str) -> str | None:
    """The code of a region, in capitals."""
    with naming(spelled):
        return check_region(text(value, spelled))


def secrets(value: object, spelled: str) -> list[str]:
    """One secret or several: a text with commas, or a list of texts."""
    whole = isinstance(value, str)
    listed = [value] if whole else value
    if not isinstance(listed, list | tuple):
        raise ConfigurationError(
            f"{spelled} must be text, or a list of texts, not {type(value).__name__}."
        )
    texts = [text(one, spelled).strip() for one in listed]
    with naming(spelled):
        if whole and is_placeholder(texts[0].encode("utf-8", "replace")):
            read_secrets(texts)  # raises
        found = [part.strip() for part in texts[0].split(",")] if whole else texts
        found = [one for one in found if one]
        try:
            Keyring(read_secrets(found))
        except ConfigurationError as error:
            if not (whole and "," in texts[0]):
                raise
            problem = str(error)
        else:
            return found
        raise ConfigurationError(
            "A comma separates several secrets, so a secret cannot contain one. One of the "
            f"{len(found)} parts is not a good secret: {problem}"
        )


def imported(value: object, spelled: str) -> Any:
    """A value, or what its dotted path names.

    Raises:
        ConfigurationError: The path cannot be imported.
    """
    if not isinstance(value, str):
        return value
    module, _, name = value.rpartition(".")
    if module.startswith("."):
        raise ConfigurationError(
            f"{spelled} cannot be imported: a dotted path begins with the name of a package."
        )
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"{spelled} cannot be imported: {error}") from error


def function_of(value: object, spelled: str) -> Callable[..., Any]:
    """A function, or the function that a dotted path names.

    Raises:
        ConfigurationError: It is neither.
    """
    found = imported(value, spelled)
    if not callable(found):
        raise ConfigurationError(f"{spelled} must be a function, or the dotted path of one.")
    return found  # type: ignore[no-any-return]  # settings hold anything; it is callable


def part(what: str, method: str) -> Callable[[object, str], Any]:
    """Reads an object with a method, something that makes one, or the dotted path of either."""

    def read(value: object, spelled: str) -> Any:
        found = imported(value, spelled)
        if not callable(found):
            require_method(found, what, method, spelled)
        return found

    return read


def require_method(found: object, what: str, method: str, spelled: str) -> None:
    """Check that a part has its method.

    Raises:
        ConfigurationError: It does not.
    """
    if not callable(getattr(found, method, None)):
        raise ConfigurationError(
            f"{spelled}: {type(found).__name__} is not a {what}: it has no {method}()."
        )


def policy(value: object, spelled: str) -> Any:
    """A policy, a dict of its arguments, something that makes one, or the dotted path of any."""
    from otpverify.core.policy import Policy

    found = _made_with(Policy, value, spelled)
    if not isinstance(found, Policy):
        raise ConfigurationError(
            f"{spelled} must be a Policy(...), or a dict of its arguments, not "
            f"{type(found).__name__}."
        )
    return found


def fraud(value: object, spelled: str) -> Any:
    """`observe` or `enforce`, a `FraudPolicy`, or as `policy`."""
    from otpverify.core.fraud_policy import MODES, FraudPolicy

    if isinstance(value, str) and "." not in value:
        if value not in MODES:
            raise ConfigurationError(f"{spelled} must be {' or '.join(MODES)}.")
        return FraudPolicy(mode=value)
    found = _made_with(FraudPolicy, value, spelled)
    if not isinstance(found, FraudPolicy):
        raise ConfigurationError(
            f"{spelled} must be {' or '.join(MODES)}, a FraudPolicy(...), or a dict of its "
            f"arguments, not {type(found).__name__}."
        )
    return found


def messages(value: object, spelled: str) -> Any:
    """A renderer, or as `policy`."""
    from otpverify.sms.messages import Messages

    found = _made_with(Messages, value, spelled)
    if not callable(getattr(found, "render", None)):
        raise ConfigurationError(
            f"{spelled} must be Messages(...), or a dict of its arguments, not "
            f"{type(found).__name__}."
        )
    return found


def _made_with(kind: Callable[..., Any], value: object, spelled: str) -> Any:
    found = imported(value, spelled)
    if isinstance(found, Mapping):
        return called(kind, spelled, **found)
    return called(found, spelled) if callable(found) else found


def guards(value: object, spelled: str) -> list[Any]:
    """A list of guards, or the dotted path of one. Each is an object, or as `part`."""
    found = imported(value, spelled)
    if not isinstance(found, Sequence):
        raise ConfigurationError(f"{spelled} must be a list of guards.")
    read = part("guard", "refuse")
    return [instance(read(one, spelled), "refuse", spelled) for one in found]


def called(make: Callable[..., Any], spelled: str, **arguments: Any) -> Any:
    """What a class or function makes for a setting.

    Raises:
        ConfigurationError: It refuses the arguments. The message names the setting.
    """
    with naming(spelled):
        try:
            return make(**arguments)
        except TypeError as error:
            raise ConfigurationError(str(error)) from error


def instance(found: Any, method: str, spelled: str) -> Any:
    """An object with this method: the setting itself, or what it makes."""
    if isinstance(found, type) or not callable(getattr(found, method, None)):
        return called(found, spelled)
    return found


@contextmanager
def naming(spelled: str) -> Iterator[None]:
    """Let a `ConfigurationError` name the setting that it is about."""
    try:
        yield
    except ExtraMissing:
        raise
    except ConfigurationError as error:
        said = str(error)
        if said.startswith(spelled):
            raise
        failure = ConfigurationError(f"{spelled}: {said}")
    else:
        return
    raise failure


@dataclass(frozen=True, slots=True)
class Setting:
    """A row of the table.

    Attributes:
        name: Its name in the environment and in `app.config`.
        short: Its name in Django's dict.
        about: What it is for.
        read: Checks a value that is not empty, and returns what the builder uses. Takes the value,
            and the setting's name as the person wrote it. Opens nothing.
        variable: Whether the environment is read.
    """

    name: str
    short: str
    about: str
    read: Callable[[object, str], Any]
    variable: bool = True


_TABLE: Final = (
    Setting("SMSPM_HASH", "HASH", "the account's hash at the gateway; required", text),
    Setting("SMSPM_TOKEN", "TOKEN", "the account's token; required", text),
    Setting(
        "SMSPM_SENDER",
        "SENDER_ID",
        "an approved sender ID: up to 11 characters of GSM-7 (letters without most accents, "
        "digits, a few signs), or up to 15 digits without `+`; `SMSPM.com` if not set",
        sender_id,
    ),
    Setting(
        "SMSPM_URL",
        "URL",
        "the gateway's address, or a sandbox's; `https://api.smspm.com` if not set",
        gateway_url,
    ),
    Setting(
        "SMSPM_REPORT_URL",
        "REPORT_URL",
        "the address to which the gateway sends delivery reports; none are requested if not set",
        report_url,
    ),
    Setting(
        "SMSPM_ALLOW_INSECURE",
        "ALLOW_INSECURE",
        "1 allows plain http to a sandbox on a private network, such as `host.docker.internal`",
        switch,
    ),
    Setting(
        "OTPVERIFY_SECRET",
        "SECRET",
        "the server-side key, at least 32 random bytes; several rotate, separated by commas or as "
        "a list: the first signs, all are accepted",
        secrets,
    ),
    Setting(
        "OTPVERIFY_REDIS_URL",
        "REDIS_URL",
        "Redis or Valkey, as `RedisStore.from_url` takes it",
        redis_url,
    ),
    Setting(
        "OTPVERIFY_SQLITE_PATH",
        "SQLITE_PATH",
        "the path of an SQLite file instead; a `MemoryStore` if neither is set",
        path,
    ),
    Setting(
        "OTPVERIFY_REGION",
        "REGION",
        "ISO 3166-1 alpha-2 code, such as `EE`, for numbers typed without a country code",
        region,
    ),
    Setting(
        "OTPVERIFY_FRAUD",
        "FRAUD",
        "protection against SMS pumping: `observe` or `enforce`; outside the environment also a "
        "`FraudPolicy`, or a dict of its arguments; none if not set",
        fraud,
    ),
    Setting(
        "OTPVERIFY_SENDER",
        "SENDER",
        "a sender, instead of the gateway's client",
        part("sender", "send"),
        variable=False,
    ),
    Setting(
        "OTPVERIFY_STORE",
        "STORE",
        "a store, instead of Redis or an SQLite file",
        part("store", "open"),
        variable=False,
    ),
    Setting(
        "OTPVERIFY_POLICY",
        "POLICY",
        "a `Policy`, or a dict of its arguments",
        policy,
        variable=False,
    ),
    Setting(
        "OTPVERIFY_MESSAGES",
        "MESSAGES",
        "a renderer such as `Messages`, or a dict of its arguments",
        messages,
        variable=False,
    ),
    Setting(
        "OTPVERIFY_HASHER",
        "HASHER",
        "a hasher; `Argon2Hasher()` if not set",
        part("hasher", "digest"),
        variable=False,
    ),
    Setting("OTPVERIFY_GUARDS", "GUARDS", "a list of guards", guards, variable=False),
    Setting(
        "OTPVERIFY_ON_EVENT",
        "ON_EVENT",
        "a function that is called with an `Event` after every operation",
        function_of,
        variable=False,
    ),
    Setting(
        "OTPVERIFY_REMEMBER_DAYS",
        "REMEMBER_DAYS",
        "pages: for how many days, up to 365, a browser may skip the code at the login, if the "
        "person says so; none if not set",
        days,
        variable=False,
    ),
    Setting(
        "OTPVERIFY_NOTICES",
        "NOTICES",
        "pages: whether the person gets an SMS when the phone or another factor of the account "
        "changes; `True` if not set",
        switch,
        variable=False,
    ),
)
SETTINGS: Final[Mapping[str, Setting]] = {setting.short: setting for setting in _TABLE}
"""The table, by short name."""
