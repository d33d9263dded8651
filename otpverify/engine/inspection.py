"""What a verifier knows of a phone, and of all traffic. Both only read, and report nothing."""

from __future__ import annotations

from dataclasses import replace

from otpverify.core import fraud_ledger, inspection, traffic
from otpverify.core.fraud_ledger import KnownNumber
from otpverify.core.inspection import COMMON_PURPOSES, SCOPE_LENGTH, PhoneInspection
from otpverify.core.keys import Secret
from otpverify.core.state import Inspected
from otpverify.core.traffic import Totals, Traffic
from otpverify.engine.issuing import Issuer
from otpverify.engine.operations import Engine, check_words
from otpverify.engine.ports import call_port
from otpverify.errors import ConfigurationError, StoreError


async def inspect_phone(engine: Engine, raw: str, purpose: str | None) -> PhoneInspection:
    """What the store knows of a phone; `Verifier.inspect` documents it."""
    if purpose is not None:
        check_words(purpose, None)
    to, issuer = engine.read(raw), engine.issuer
    # What an older secret signed is stored under tags of that secret.
    found = [await _inspect(issuer, secret, to, purpose) for secret in issuer.keyring]
    first, *others = found
    for other in others:
        if other.purposes:
            first = replace(first, purposes=(*first.purposes, *other.purposes))
    if issuer.fraud is None:
        return first
    number = await call_port(
        issuer.ports.known(issuer.keyring.signing.number_tag(to)),
        *(KnownNumber, type(None)),
        sound=fraud_ledger.is_sound,
    )
    if number is None:
        return replace(first, known=False)
    return replace(first, known=number.known, unanswered=number.unanswered)


async def _inspect(issuer: Issuer, secret: Secret, to: str, purpose: str | None) -> PhoneInspection:
    known = COMMON_PURPOSES if purpose is None else (purpose,)
    names = {secret.key(to, name, "").scope[:SCOPE_LENGTH]: name for name in known}
    phone_tag = secret.key(to, "", "").phone
    found = await call_port(issuer.ports.inspect(phone_tag), Inspected)
    try:
        return inspection.describe(to, found, names, issuer.policy, purpose)
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError):
        # Times outside the calendar, and the like. The cause may quote the store, so the error
        # is raised without it.
        failure = StoreError("The store gave an unexpected answer.")
    raise failure


async def traffic_of(engine: Engine, hours: int) -> list[Traffic]:
    """What was sent and entered, by country; `Verifier.traffic` documents it."""
    traffic.check_hours(hours)
    if engine.issuer.fraud is None:
        raise ConfigurationError(
            "Traffic is counted for a FraudPolicy: pass fraud=FraudPolicy() to the verifier."
        )
    call = engine.issuer.ports.traffic(hours)
    return traffic.describe(await call_port(call, Totals, sound=fraud_ledger.is_sound), hours)
