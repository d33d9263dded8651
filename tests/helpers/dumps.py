"""What lies in a store after all that may happen, and how to look for what must not."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

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
from otpverify.core.answers import Opened, Refused
from otpverify.core.keys import Key
from otpverify.core.results import DeliveryStatus
from otpverify.core.state import Opening
from otpverify.testing import OutboxSender

PURPOSE = "password-reset"
IP = "203.0.113.77"
HASHERS = pytest.mark.parametrize("hasher", [QUICK, HmacHasher()], ids=["argon2", "hmac"])


class Given(NamedTuple):
    """What a store is filled with.

    Attributes:
        numbers: All phone numbers without their last two digits.
        purpose: Of all challenges.
        ip: Of all visitors.
        amount: What one of them pays.
    """

    numbers: str = "+372567890"
    purpose: str = PURPOSE
    ip: str = IP
    amount: str = "25.00 EUR"


GIVEN = Given()
STRANGERS = Given("+4917112345", "login-at-dawn", "198.51.100.9", "7 CHF")
"""Nothing of `GIVEN`."""


def fill(
    store: RedisStore | SqliteStore, hasher: Any, secret: str = SECRET, given: Given = GIVEN
) -> tuple[list[Challenge], list[str]]:
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
        secret=secret,
        hasher=hasher,
        policy=Policy(resend_cooldown_seconds=0, sends_per_ip=()),
    )
    counted = Verifier(outbox, store=store, secret=secret, hasher=hasher)
    purpose = given.purpose
    made = []
    for number in range(8):
        phone = f"{given.numbers}{number:02}"
        binding = {"amount": given.amount} if number == 1 else None
        started = counted.start(phone, purpose=purpose, client_ip=given.ip, binding=binding)
        code = outbox.code(phone)
        made.append(started)
        asked: dict[str, Any] = {"challenge": started.id, "purpose": purpose, "binding": binding}
        with pytest.raises(OtpVerifyError):
            verifier.check(phone, wrong(code), **asked)
        if number == 2:
            verifier.check(phone, code, **asked)
        elif number == 3:
            verifier.resend(phone, **asked)
        elif number == 4:
            verifier.cancel(phone, challenge=started.id, purpose=purpose)
        elif number == 5:
            outbox.fail_with = DeliveryRejected()
            with pytest.raises(DeliveryRejected):
                verifier.resend(phone, **asked)
            outbox.fail_with = None
        elif number >= 6:
            status = DeliveryStatus.FAILED if number == 6 else DeliveryStatus.DELIVERED
            assert store.report(*sent[-1], status, Policy()).changed
    made.append(verifier.start(f"{given.numbers}99", purpose=purpose, deliver=False))
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
    for word in (PURPOSE, IP, IP[::-1], "25.00 EUR", "login", SECRET, SECRET[:8]):
        assert word.encode() not in text, word
    assert bytes(map(int, IP.split("."))) not in text


_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{8,}")
_TRANSLATED = bytes.maketrans(b"-_", b"+/")


def decoded(texts: Iterable[bytes]) -> list[bytes]:
    """The texts, and what each stretch of base64 in them stands for, wherever it begins."""
    found = list(texts)
    for stretch in _BASE64.findall(b"\n".join(found)):
        for begin in range(4):
            part = stretch[begin:].translate(_TRANSLATED)
            found.append(base64.b64decode(part[: len(part) - len(part) % 4]))
    return found


def runs(texts: Iterable[bytes], length: int) -> set[bytes]:
    """All runs of so many bytes."""
    return {text[at : at + length] for text in texts for at in range(len(text) - length + 1)}


def shared(one: Iterable[bytes], other: Iterable[bytes], strangers: Iterable[bytes]) -> set[bytes]:
    """Runs of six bytes that lie in both stores, without what lies in a third one, too.

    Prefix, separators, counts and a policy's retention are the same for everyone. So is the
    beginning of an instant, if the strangers' store was filled between the two. All that is cut
    away, down to four bytes, so that no chance neighbour of it counts.
    """
    everywhere, rest = runs(strangers, 4), []
    for text in one:
        shown = bytearray(b"\1") * len(text)
        for at in range(len(text) - 3):
            if text[at : at + 4] in everywhere:
                shown[at : at + 4] = bytes(4)
        rest += [text[part.start() : part.end()] for part in re.finditer(b"\1+", shown)]
    return runs(rest, 6) & runs(other, 6)
