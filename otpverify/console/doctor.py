"""`otpverify doctor`: look at the settings, the store and the gateway, and say what to fix."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import unquote, urlsplit

from otpverify import (
    Balance,
    ConfigurationError,
    FraudPolicy,
    OtpVerifyError,
    Policy,
    RedisStore,
    SmspmClient,
    SqliteStore,
    Verifier,
)
from otpverify.core.keys import Key
from otpverify.gateways.smspm.account import (
    DEFAULT_SENDER_ID,
    DEFAULT_URL,
    LONGEST_SENDER_ID,
    is_sender_id,
)
from otpverify.gateways.urls import is_encrypted, is_local, is_private
from otpverify.settings import Settings
from otpverify.settings_table import SETTINGS
from otpverify.stores.redis.clients import read_url
from otpverify.stores.redis.health import Health

LOW_BALANCE_EUR = 5.0
_CONNECT_SECONDS = 2.0
_REDIS_PORT = 6379

_NOBODY = Key(*["doctor".ljust(22, "-")] * 3)
Finding = tuple[str, str]
"""`"ok"`, `"warn"` or `"fail"`, and a sentence."""


def examine(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield every finding, in order. It sends nothing and changes no challenge.

    Args:
        environ: The variables, as `Verifier.from_env` reads them.
    """
    settings = Settings(environ=environ)
    yield from _settings(settings, environ)
    yield from _store(settings)
    yield from _gateway(environ)


def run(environ: Mapping[str, str], say: Callable[[str], None]) -> bool:
    """Print every finding. Return whether none of them is a failure."""
    well = True
    for grade, sentence in examine(environ):
        say(f"{grade:>4}  {sentence}")
        well = well and grade != "fail"
    return well


def _settings(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
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
            Verifier.from_env(environ).close()
        except OtpVerifyError as error:
            yield "fail", f"Settings: {error}"
        else:
            yield "ok", "Settings: a verifier can be made of them."
    if not environ.get("OTPVERIFY_SECRET"):
        yield (
            "warn",
            "OTPVERIFY_SECRET is not set: challenges end with the process. Make one with: "
            "otpverify secret",
        )
    yield from _local_addresses(settings)
    yield from _fraud(settings)


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
            "OTPVERIFY_FRAUD is not set: nothing bounds what SMS pumping costs. Set it to observe, "
            "and later to enforce.",
        )
    elif policy.mode == "observe":
        yield "ok", "SMS pumping is observed: events say what would be refused, and it is sent."
    else:
        yield "ok", "SMS pumping is refused."


def _store(settings: Settings) -> Iterator[Finding]:
    try:
        url, path = settings.get("REDIS_URL"), settings.get("SQLITE_PATH")
    except ConfigurationError:
        return  # the settings' findings include it
    if url and path:
        return  # so they do here
    if path:
        yield from _file(path)
        return
    if not url:
        yield (
            "warn",
            "OTPVERIFY_REDIS_URL is not set, nor is OTPVERIFY_SQLITE_PATH: every process has "
            "limits of its own.",
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


def _gateway(environ: Mapping[str, str]) -> Iterator[Finding]:
    own = environ.get("SMSPM_SENDER") or DEFAULT_SENDER_ID
    try:
        # Without the sender ID: an ID that the client refuses is a separate finding.
        with SmspmClient.from_env({**environ, "SMSPM_SENDER": ""}) as client:
            yield from _of_address(client.url)
            balance, approved = client.balance(), client.sender_ids()
    except ConfigurationError:
        return  # the settings' findings include it
    except OtpVerifyError as error:
        address = urlsplit(environ.get("SMSPM_URL") or DEFAULT_URL).netloc
        where = "" if address in str(error) else f" Tried: {address}."
        yield "fail", f"Gateway: {error}{where}"
        return
    yield _of_balance(balance)
    yield _of_sender_id(own, approved)


def _of_address(url: str) -> Iterator[Finding]:
    if is_encrypted(url) or not is_private(urlsplit(url).hostname or ""):
        return
    warning = (
        f"Gateway: {url} is plain http on a private network: credentials and codes are sent in "
        "clear, and a sandbox sends no SMS. In production leave SMSPM_ALLOW_INSECURE out."
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


def _of_sender_id(own: str, approved: tuple[str, ...]) -> Finding:
    choice = f"Approved are: {', '.join(approved)}." if approved else "None is approved."
    if not is_sender_id(own):
        return "fail", (
            f"Gateway: SMSPM_SENDER is {own!r}, of {len(own)} characters; an alphanumeric sender "
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
