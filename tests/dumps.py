"""What lies in a store after all that may happen, and how to look for what must not."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from support import QUICK, SECRET, wrong

from otpverify import (
    Challenge,
    DeliveryRejected,
    HmacHasher,
    OtpVerifyError,
    Policy,
    RedisStore,
    SqliteStore,
    Verifier,
)
from otpverify.core.delivery import DeliveryStatus
from otpverify.core.keys import Key
from otpverify.core.outcomes import Opened, Refused
from otpverify.core.state import Opening
from otpverify.testing import OutboxSender

PURPOSE = "password-reset"
IP = "203.0.113.77"
HASHERS = pytest.mark.parametrize("hasher", [QUICK, HmacHasher()], ids=["argon2", "hmac"])


def fill(store: RedisStore | SqliteStore, hasher: Any) -> tuple[list[Challenge], list[str]]:
    """One challenge in every condition, through the public API. Gives them and all codes."""
    outbox = OutboxSender()
    sent: list[tuple[Key, int]] = []
    place = store.open

    def watched(key: Key, opening: Opening, policy: Policy) -> Opened | Refused:
        answer = place(key, opening, policy)
        if isinstance(answer, Opened):
            sent.append((key, answer.at))
        return answer

    store.open = watched  # type: ignore[method-assign]  # reports name a send by its instant
    verifier = Verifier(
        outbox,
        store=store,
        secret=SECRET,
        hasher=hasher,
        policy=Policy(resend_cooldown_seconds=0, sends_per_ip=()),
    )
    counted = Verifier(outbox, store=store, secret=SECRET, hasher=hasher)
    made = []
    for number in range(8):
        phone = f"+372567890{number:02}"
        binding = {"amount": "25.00 EUR"} if number == 1 else None
        started = counted.start(phone, purpose=PURPOSE, client_ip=IP, binding=binding)
        code = outbox.code(phone)
        made.append(started)
        asked: dict[str, Any] = {"challenge": started.id, "purpose": PURPOSE, "binding": binding}
        with pytest.raises(OtpVerifyError):
            verifier.check(phone, wrong(code), **asked)
        if number == 2:
            verifier.check(phone, code, **asked)
        elif number == 3:
            verifier.resend(phone, **asked)
        elif number == 4:
            verifier.cancel(phone, challenge=started.id, purpose=PURPOSE)
        elif number == 5:
            outbox.fail_with = DeliveryRejected()
            with pytest.raises(DeliveryRejected):
                verifier.resend(phone, **asked)
            outbox.fail_with = None
        elif number >= 6:
            status = DeliveryStatus.FAILED if number == 6 else DeliveryStatus.DELIVERED
            assert store.report(*sent[-1], status, Policy()).changed
    made.append(verifier.start("+37256789099", purpose=PURPOSE, deliver=False))
    # Only codes begin a message.
    codes = [message.text[:6] for message in outbox.messages]
    assert all(code.isdecimal() for code in codes)
    return made, [*codes, *map(wrong, codes)]


def spellings(phone: str) -> Iterator[bytes]:
    """A number as it may lie in a store: written, reversed, packed, or hashed without a key."""
    digits = phone.removeprefix("+")
    national = digits.removeprefix("372")
    for text in (phone, digits, national, f"00{digits}", f"{PURPOSE}{phone}", f"{phone}:{PURPOSE}"):
        raw = text.encode()
        yield raw
        yield raw[::-1]
        yield base64.b64encode(raw).rstrip(b"=")
        yield raw.hex().encode()
        for name in ("md5", "sha1", "sha256", "sha512", "blake2b"):
            hashed = hashlib.new(name, raw).digest()
            yield from (hashed[:8], hashed.hex()[:16].encode())
            yield base64.urlsafe_b64encode(hashed)[:16]
            yield base64.b64encode(hashed)[:16]
    yield int(digits).to_bytes(8, "big").lstrip(b"\0")
    yield int(digits).to_bytes(8, "little").rstrip(b"\0")
    padded = digits if len(digits) % 2 == 0 else "0" + digits
    yield bytes.fromhex(padded)


def assert_shows_nothing(text: bytes, challenges: list[Challenge], codes: list[str]) -> None:
    """That no number, code, purpose, address or id lies in these bytes."""
    for challenge in challenges:
        for spelled in spellings(challenge.phone):
            assert spelled not in text, spelled
        raw = base64.urlsafe_b64decode(challenge.id)
        for shown in (challenge.id.encode(), raw, raw[:8], raw.hex().encode()):
            assert shown not in text
    for code in codes:
        assert code.encode() not in text, code
        assert code[::-1].encode() not in text, code
    for word in (PURPOSE, IP, IP[::-1], "EUR", "login", SECRET, SECRET[:8]):
        assert word.encode() not in text, word
    assert bytes(map(int, IP.split("."))) not in text
