"""Support: look at what the store keeps of a phone, and clear what limits it."""

from __future__ import annotations

from dataclasses import replace

from otpverify.core import inspection
from otpverify.core.inspection import COMMON_PURPOSES, SCOPE_LENGTH, PhoneInspection
from otpverify.core.keys import Secret
from otpverify.core.state import Inspected
from otpverify.engine.issuing import Done
from otpverify.engine.operations import Engine, check_words
from otpverify.engine.ports import call_port
from otpverify.errors import StoreError


async def inspect(engine: Engine, raw: str, purpose: str | None) -> PhoneInspection:
    """What is kept of a phone; `Verifier` documents it. It only reads, so there is no event."""
    if purpose is not None:
        check_words(purpose, None)
    to = engine.read(raw)
    # What an older secret signed is kept under tags of that secret.
    found = [await _inspect(engine, secret, to, purpose) for secret in engine.issuer.keyring]
    first, *others = found
    for other in others:
        if other.purposes:
            first = replace(first, purposes=(*first.purposes, *other.purposes))
    return first


async def _inspect(engine: Engine, secret: Secret, to: str, purpose: str | None) -> PhoneInspection:
    known = COMMON_PURPOSES if purpose is None else (purpose,)
    names = {secret.key(to, name, "").scope[:SCOPE_LENGTH]: name for name in known}
    phone = secret.key(to, "", "").phone
    kept = await call_port(engine.issuer.ports.inspect(phone), Inspected)
    try:
        return inspection.describe(to, kept, names, engine.issuer.policy, purpose)
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError):
        # Instants that no calendar has, and the like. What was kept is not chained.
        failure = StoreError("The store gave an unexpected answer.")
    raise failure


async def unlock(engine: Engine, raw: str, purpose: str | None) -> None:
    """Clear what limits a phone; `Verifier` documents it."""
    if purpose is not None:
        check_words(purpose, None)
    to = engine.parse("unlock", purpose or "", raw)
    await engine.observed("unlock", purpose or "", to, lambda to: _unlock(engine, to, purpose))


async def _unlock(engine: Engine, to: str, purpose: str | None) -> Done[None]:
    for secret in engine.issuer.keyring:
        key = secret.key(to, purpose or "", "")
        scope = None if purpose is None else key.scope
        await call_port(engine.issuer.ports.unlock(key.phone, scope), type(None))
    return Done("unlocked", None)
