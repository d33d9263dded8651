"""`otpverify doctor`: look at the settings, the store and the gateway, and say what to mend."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from otpverify import ConfigurationError, OtpVerifyError, RedisStore, SmspmClient, Verifier

LOW_BALANCE_EUR = 5.0

Finding = tuple[str, str]
"""`"ok"`, `"warn"` or `"fail"`, and a sentence."""


def examine(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Every finding, in order. Nothing is sent, and no challenge is touched.

    Args:
        environ: The variables, as `Verifier.from_env` reads them.
    """
    yield from _settings(environ)
    yield from _store(environ)
    yield from _gateway(environ)


def run(environ: Mapping[str, str], say: Callable[[str], None]) -> bool:
    """Say every finding; whether none of them is a failure."""
    well = True
    for grade, sentence in examine(environ):
        say(f"{grade:>4}  {sentence}")
        well = well and grade != "fail"
    return well


def _settings(environ: Mapping[str, str]) -> Iterator[Finding]:
    try:
        Verifier.from_env(environ).close()
    except ConfigurationError as error:
        yield "fail", f"Settings: {error}"
    else:
        yield "ok", "Settings: a verifier can be made of them."
    if not environ.get("OTPVERIFY_SECRET"):
        yield (
            "warn",
            "OTPVERIFY_SECRET is not set: challenges end with the process. Make one with: "
            "otpverify secret",
        )


def _store(environ: Mapping[str, str]) -> Iterator[Finding]:
    url = environ.get("OTPVERIFY_REDIS_URL")
    if not url:
        yield "warn", "OTPVERIFY_REDIS_URL is not set: every process has limits of its own."
        return
    try:
        health = RedisStore.from_url(url).health()
    except OtpVerifyError as error:
        yield "fail", f"Store: {error}"
        return
    bounds = "with maxmemory" if health.bounded else "without maxmemory"
    kept = "append-only file" if health.append_only else "no append-only file"
    yield "ok", f"Store: {health.server}, {health.role}, {health.eviction} {bounds}, {kept}."
    for warning in health.warnings:
        yield "warn", f"Store: {warning}"


def _gateway(environ: Mapping[str, str]) -> Iterator[Finding]:
    try:
        with SmspmClient.from_env(environ) as client:
            balance, sender_ids = client.balance(), client.sender_ids()
            own = client.sender_id
    except ConfigurationError:
        return  # said among the settings
    except OtpVerifyError as error:
        yield "fail", f"Gateway: {error}"
        return
    low = balance.amount < LOW_BALANCE_EUR
    known = ", the last known figure" if balance.stale else ""
    yield "warn" if low else "ok", f"Gateway: the balance is EUR {balance.amount:.2f}{known}."
    if own in sender_ids:
        yield "ok", f"Gateway: {own!r} is an approved sender ID."
    else:
        yield (
            "warn",
            f"Gateway: {own!r} is none of the approved sender IDs: {', '.join(sender_ids)}.",
        )
