"""Promise 6 on real servers: who reads all that the server holds learns no number, no code, no
purpose, no address and no id, and cannot confirm a guess."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from redis_support import NAMES, Place, stop_servers
from support import QUICK, SECRET, wrong

from otpverify import (
    Argon2Hasher,
    Challenge,
    DeliveryRejected,
    HmacHasher,
    OtpVerifyError,
    Policy,
    RedisStore,
    Verifier,
)
from otpverify.core.delivery import DeliveryStatus
from otpverify.core.keys import Key, Keyring, Subject
from otpverify.core.outcomes import Opened, Refused
from otpverify.core.state import Opening
from otpverify.testing import OutboxSender

__all__ = ["stop_servers"]

PURPOSE = "password-reset"
IP = "203.0.113.77"
HASHERS = pytest.mark.parametrize("hasher", [QUICK, HmacHasher()], ids=["argon2", "hmac"])
PLACES = pytest.mark.parametrize("place", NAMES, indirect=True)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A server, empty before and after, that logs every command as slow."""
    found = Place(request.param)
    with found.server.client() as client:
        client.flushall()
        client.config_set("slowlog-log-slower-than", 0)
        client.config_set("slowlog-max-len", 10_000)
        yield found
        client.config_set("slowlog-log-slower-than", 10_000)
        client.slowlog_reset()
        client.flushall()


def dump(client: Any) -> dict[bytes, list[bytes]]:
    """Every key with all that is under it, of whichever type."""
    return {name: values(client, name) for name in client.scan_iter()}


def values(client: Any, name: bytes) -> list[bytes]:
    kind = client.type(name)
    if kind == b"string":
        return [client.get(name)]
    if kind == b"hash":
        return [part for pair in client.hgetall(name).items() for part in pair]
    if kind == b"list":
        return list(client.lrange(name, 0, -1))
    if kind == b"set":
        return list(client.smembers(name))
    if kind == b"zset":
        pairs = client.zrange(name, 0, -1, withscores=True)
        return [part for member, score in pairs for part in (member, repr(score).encode())]
    raise AssertionError(f"look into a {kind.decode()}, too")


def slowlog(client: Redis) -> bytes:
    """All commands that were sent."""
    return b"\n".join(bytes(entry["command"]) for entry in client.slowlog_get(10_000))


def fill(store: RedisStore, hasher: Any) -> tuple[list[Challenge], list[str]]:
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


@PLACES
@HASHERS
def test_a_dump_shows_no_number_no_code_no_purpose_no_address_no_id(
    place: Place, hasher: Argon2Hasher | HmacHasher
) -> None:
    with place.server.client() as client:
        with contextlib.closing(RedisStore.from_url(place.server.url)) as store:
            challenges, codes = fill(store, hasher)
        found = dump(client)
        # A challenge for all but the one that is gone, a log for each phone, an IP network.
        assert len(found) >= 8 + 9 + 1
        everything = b"\n".join([*found, *(part for parts in found.values() for part in parts)])
        texts = [everything, slowlog(client)]
    assert len(texts[1]) > 1000
    for text in texts:
        for challenge in challenges:
            for spelled in spellings(challenge.phone):
                assert spelled not in text, spelled
            raw = base64.urlsafe_b64decode(challenge.id)
            for shown in (challenge.id.encode(), raw, raw[:8], raw.hex().encode()):
                assert shown not in text
        for code in codes:
            assert code.encode() not in text
            assert code[::-1].encode() not in text
        for word in (PURPOSE, IP, IP[::-1], "EUR", "login", SECRET, SECRET[:8]):
            assert word.encode() not in text, word
        assert bytes(map(int, IP.split("."))) not in text


@PLACES
@HASHERS
def test_a_dump_without_the_secret_confirms_no_guess(
    place: Place, hasher: Argon2Hasher | HmacHasher
) -> None:
    """Even with the number, the purpose, the id, and the right code among a few guesses."""
    outbox = OutboxSender()
    with contextlib.closing(RedisStore.from_url(place.server.url)) as store:
        verifier = Verifier(outbox, store=store, secret=SECRET, hasher=hasher)
        challenge = verifier.start("+37256789001", purpose=PURPOSE)
    with place.server.client() as client:
        found = dump(client)
    everything = b"\n".join([*found, *(part for parts in found.values() for part in parts)])
    right = outbox.code()
    guesses = [right, *(wrong(right, nth) for nth in range(1, 200))]

    def confirmed(secret: bytes) -> list[str]:
        subject = Subject(Keyring([secret]).signing, challenge.phone, PURPOSE, challenge.id)
        return [
            guess
            for guess in guesses
            if hasher.digest(secret, subject.code_message(guess), subject.code_salt) in everything
        ]

    assert confirmed(SECRET.encode()) == [right], "with the secret the dump tells the right one"
    for secret in (bytes(32), SECRET.encode()[::-1], challenge.id.encode() * 2, b"x" * 32):
        assert confirmed(secret) == []
    for guess in guesses:
        message = f"{PURPOSE}{challenge.phone}{challenge.id}{guess}".encode()
        for known in (b"", challenge.id.encode(), challenge.phone.encode()):
            for text in (guess.encode(), message):
                assert hmac.digest(known, text, "sha256")[:16] not in everything
                assert hashlib.sha256(known + text).digest()[:16] not in everything
