"""`otpverify doctor` and `manage.py otpverify_doctor`: look at the settings, the store and the
gateway, and say what to fix."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from inspect import iscoroutinefunction
from urllib.parse import unquote, urlsplit

from otpverify import (
    AsyncVerifier,
    Balance,
    ConfigurationError,
    FraudPolicy,
    OtpVerifyError,
    Policy,
    RedisStore,
    Sender,
    SmspmClient,
    SqliteStore,
    Verifier,
)
from otpverify.core.keys import Key
from otpverify.gateways.no_gateway import NoGateway
from otpverify.gateways.smspm.account import (
    DEFAULT_SENDER_ID,
    DEFAULT_URL,
    LONGEST_SENDER_ID,
    is_sender_id,
)
from otpverify.gateways.urls import is_encrypted, is_local, is_private
from otpverify.settings import Parts, Settings
from otpverify.settings_table import SETTINGS, require_secure
from otpverify.stores.redis.clients import read_url
from otpverify.stores.redis.health import Health

LOW_BALANCE_EUR = 5.0
_CONNECT_SECONDS = 2.0
_REDIS_PORT = 6379

_NOBODY = Key(*["doctor".ljust(22, "-")] * 3)
Finding = tuple[str, str]
"""`"ok"`, `"warn"` or `"fail"`, and a sentence."""


def examine(settings: Settings, *, account: bool = True) -> Iterator[Finding]:
    """Yield every finding, in order. It sends nothing and changes no challenge.

    Args:
        settings: Those of the application.
        account: Whether to ask the gateway. Not where the application makes each verifier itself,
            so that the settings need no account.
    """
    yield from _settings(settings, account=account)
    yield from _store(settings)
    if account:
        yield from _gateway(settings)


def run(findings: Iterable[Finding], say: Callable[[str], None]) -> bool:
    """Print every finding. Return whether none of them is a failure."""
    well = True
    for grade, sentence in findings:
        say(f"{grade:>4}  {sentence}")
        well = well and grade != "fail"
    return well


def _settings(settings: Settings, *, account: bool) -> Iterator[Finding]:
    problems = list(settings.unknown())
    for key in SETTINGS:
        try:
            settings.get(key)
        except ConfigurationError as error:
            problems.append(error)
    for problem in problems:
        yield "fail", f"Settings: {problem}"
    if not problems:
        try:
            _compose(settings, None if account else NoGateway())
        except OtpVerifyError as error:
            yield "fail", f"Settings: {error}"
        else:
            yield "ok", "Settings: a verifier can be made of them."
    if settings.raw("SECRET") is None:
        yield (
            "warn",
            f"{settings.spell('SECRET')} is not set: challenges end with the process. Make one "
            "with: otpverify secret",
        )
    yield from _local_addresses(settings)
    yield from _fraud(settings)


def _compose(settings: Settings, sender: Sender | None) -> None:
    """Put a verifier together, as the application does.

    Raises:
        OtpVerifyError: It cannot be made.
    """
    with closing(Parts(settings, sender=sender)) as parts:
        awaits = iscoroutinefunction(getattr(parts.sender, "send", None))
        # A sender that must be awaited is for asynchronous applications alone.
        kind = AsyncVerifier if awaits else Verifier
        kind(parts.sender, **parts.arguments(asynchronous=awaits))


def _local_addresses(settings: Settings) -> Iterator[Finding]:
    for key, consequence in (
        ("URL", "no SMS is sent. In production leave it out"),
        ("REPORT_URL", "the gateway cannot reach it. In production set your site's address"),
    ):
        try:
            url = settings.get(key)
        except ConfigurationError:
            continue  # the settings' findings include it
        host = urlsplit(url or "").hostname
        if host and is_local(host):
            yield (
                "warn",
                f"{settings.spell(key)} leads to {host}, a sandbox or a program on this machine "
                f"or network: {consequence}.",
            )


def _fraud(settings: Settings) -> Iterator[Finding]:
    try:
        policy: FraudPolicy | None = settings.get("FRAUD")
    except ConfigurationError:
        return  # the settings' findings include it
    if policy is None:
        yield (
            "warn",
            f"{settings.spell('FRAUD')} is not set: nothing bounds what SMS pumping costs. Set it "
            "to observe, and later to enforce.",
        )
    elif policy.mode == "observe":
        yield "ok", "SMS pumping is observed: events say what would be refused, and it is sent."
    else:
        yield "ok", "SMS pumping is refused."


def _store(settings: Settings) -> Iterator[Finding]:
    try:
        url, path = settings.get("REDIS_URL"), settings.get("SQLITE_PATH")
        own = settings.get("STORE")
    except ConfigurationError:
        return  # the settings' findings include it
    if own is not None:
        yield "ok", f"Store: {settings.spell('STORE')} is set, and is not examined."
        return
    if url and path:
        return  # so they do here
    if path:
        yield from _file(path)
        return
    if not url:
        yield (
            "warn",
            f"{settings.spell('REDIS_URL')} is not set, nor is {settings.spell('SQLITE_PATH')}: "
            "every process has limits of its own.",
        )
        return
    try:
        with RedisStore.from_url(url) as store:
            store.peek(_NOBODY, Policy())  # a store's real work; this challenge does not exist
            health = _health(store)
    except ConfigurationError:
        return  # the settings' findings include it
    except OtpVerifyError as error:
        yield "fail", f"Store: {error} Tried: {', '.join(_tried(url))}."
        return
    if health is None:
        yield "warn", "Store: it works, and does not let its settings be seen (INFO)."
        return
    bounds = "with maxmemory" if health.bounded else "without maxmemory"
    kept = "append-only file" if health.append_only else "no append-only file"
    yield "ok", f"Store: {health.server}, {health.role}, {health.eviction} {bounds}, {kept}."
    for warning in health.warnings:
        yield "warn", f"Store: {warning}"


def _health(store: RedisStore) -> Health | None:
    try:
        return store.health()
    except OtpVerifyError:
        return None


def _file(path: str) -> Iterator[Finding]:
    try:
        with SqliteStore(path) as store:
            health = store.health()
    except OtpVerifyError as error:
        yield "fail", f"Store: {error}"
        return
    yield "ok", f"Store: {health.version}, {health.size} bytes in {path}, for this machine alone."
    for warning in health.warnings:
        yield "warn", f"Store: {warning}"


def _gateway(settings: Settings) -> Iterator[Finding]:
    # Without the sender ID: an ID that the client refuses is a separate finding.
    keys = ("HASH", "TOKEN", "URL", "ALLOW_INSECURE")
    try:
        own_sender = settings.get("SENDER")
        found = {key.lower(): settings.get(key) for key in keys}
        require_secure(settings)
    except ConfigurationError:
        return  # the settings' findings include it
    if own_sender is not None:
        yield "ok", f"Gateway: {settings.spell('SENDER')} is set, and is not examined."
        return
    if found["hash"] is None or found["token"] is None:
        return  # so they do here
    given = {name: value for name, value in found.items() if value is not None}
    try:
        with SmspmClient(**given) as client:
            yield from _of_address(client.url, settings.spell("ALLOW_INSECURE"))
            balance, approved = client.balance(), client.sender_ids()
    except ConfigurationError:
        return  # the settings' findings include it
    except OtpVerifyError as error:
        address = urlsplit(found["url"] or DEFAULT_URL).netloc
        where = "" if address in str(error) else f" Tried: {address}."
        yield "fail", f"Gateway: {error}{where}"
        return
    yield _of_balance(balance)
    own = str(settings.raw("SENDER_ID") or DEFAULT_SENDER_ID)
    yield _of_sender_id(own, approved, settings.spell("SENDER_ID"))


def _of_address(url: str, insecure: str) -> Iterator[Finding]:
    if is_encrypted(url) or not is_private(urlsplit(url).hostname or ""):
        return
    warning = (
        f"Gateway: {url} is plain http on a private network: credentials and codes are sent in "
        f"clear, and a sandbox sends no SMS. In production leave {insecure} out."
    )
    yield "warn", warning


def _of_balance(balance: Balance) -> Finding:
    amount = f"EUR {balance.amount:.2f}"
    said = f"the balance is {amount}"
    if balance.stale:
        said = f"the balance was {amount} when it was last known; the gateway has no current figure"
    if balance.amount < LOW_BALANCE_EUR:
        return "warn", f"Gateway: {said}. That is low: top it up before messages are refused."
    return "warn" if balance.stale else "ok", f"Gateway: {said}."


def _of_sender_id(own: str, approved: tuple[str, ...], setting: str) -> Finding:
    choice = f"Approved are: {', '.join(approved)}." if approved else "None is approved."
    if not is_sender_id(own):
        return "fail", (
            f"Gateway: {setting} is {own!r}, of {len(own)} characters; an alphanumeric sender "
            f"ID has at most {LONGEST_SENDER_ID} (GSM 03.40). {choice}"
        )
    if own in approved:
        return "ok", f"Gateway: {own!r} is an approved sender ID."
    return "warn", f"Gateway: {own!r} is not an approved sender ID, so messages may fail. {choice}"


def _tried(url: str) -> Iterator[str]:
    """Each address of a Redis URL, with the reason if it cannot be reached.

    Args:
        url: A URL that `RedisStore.from_url` accepts.
    """
    address = read_url(url)
    if address.kind == "single" and address.url.startswith("unix:"):
        path = unquote(urlsplit(address.url).path)
        yield _with_fault(path, _unix_fault(path))
        return
    hosts, tls = address.hosts, bool(address.options.get("ssl"))
    if address.kind == "single":
        parts = urlsplit(address.url)
        hosts = ((parts.hostname or "localhost", parts.port or _REDIS_PORT),)
        tls = parts.scheme == "rediss"
    for host, port in hosts:
        name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        yield _with_fault(name, _fault(host, port, tls=tls and address.kind != "sentinel"))


def _with_fault(name: str, fault: str) -> str:
    return f"{name} ({fault})" if fault else name


def _fault(host: str, port: int, *, tls: bool) -> str:
    try:
        with socket.create_connection((host, port), _CONNECT_SECONDS) as connection:
            return _tls_fault(connection, host) if tls else ""
    except OSError as error:
        return _reason(error)


def _tls_fault(connection: socket.socket, host: str) -> str:
    try:
        with ssl.create_default_context().wrap_socket(connection, server_hostname=host):
            return ""
    except ssl.SSLCertVerificationError as error:
        return f"TLS: its certificate is not trusted here, {error.verify_message}"
    except (ssl.SSLError, OSError):
        return "TLS: no encrypted connection; is this the port for TLS?"


def _unix_fault(path: str) -> str:
    if not hasattr(socket, "AF_UNIX"):
        return "this system has no Unix sockets"
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_CONNECT_SECONDS)
            connection.connect(path)
    except OSError as error:
        return _reason(error)
    return ""


def _reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "its name could not be resolved (DNS)"
    if isinstance(error, TimeoutError):
        return "time-out"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, FileNotFoundError):
        return "there is no such socket"
    if isinstance(error, PermissionError):
        return "no permission"
    return error.strerror or "not reachable"
