"""Promise 6 on real servers: who reads all that the server holds learns no number, no code, no
purpose, no address and no id, and cannot confirm a guess."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import random
import re
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from dumps import (
    GIVEN,
    HASHERS,
    PURPOSE,
    STRANGERS,
    Given,
    assert_shows_nothing,
    decoded,
    fill,
    shared,
)
from redis import Redis
from redis_support import NAMES, Place, stop_servers
from support import OTHER_SECRET, SECRET, wrong

from otpverify import (
    Argon2Hasher,
    HmacHasher,
    RedisStore,
    Verifier,
)
from otpverify.core.keys import Keyring, Subject
from otpverify.testing import OutboxSender

__all__ = ["stop_servers"]

NAMESAKE = "EpOHmSSp9BSRWa6MZm3nOZoVpl7zJEgj-48826"
"""Ids name the secret by 16 bits, in which this one and `SECRET` are the same by chance."""

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
    """All commands that were sent, without the milliseconds that are left of ten minutes: a code
    may equal them by chance."""
    sent = b"\n".join(bytes(entry["command"]) for entry in client.slowlog_get(10_000))
    return re.sub(rb"\b(59\d{4}|600000)\b", b"", sent)


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
        assert_shows_nothing(text, challenges, codes)


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
    for secret in (
        OTHER_SECRET.encode(),
        SECRET.encode()[::-1],
        challenge.id.encode() + b"another half",
    ):
        assert confirmed(secret) == []
    for guess in guesses:
        message = f"{PURPOSE}{challenge.phone}{challenge.id}{guess}".encode()
        for known in (b"", challenge.id.encode(), challenge.phone.encode()):
            for text in (guess.encode(), message):
                assert hmac.digest(known, text, "sha256")[:16] not in everything
                assert hashlib.sha256(known + text).digest()[:16] not in everything


@PLACES
@HASHERS
def test_a_dump_links_nothing_to_a_number_or_a_purpose_without_the_secret(
    place: Place, hasher: Argon2Hasher | HmacHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers, purposes and addresses are few enough to try them all. So whatever tells them is
    under the secret: two stores with different ones have nothing in common, though the same
    people did the same in both, with the same ids and codes."""

    def filled(secret: str, given: Given) -> tuple[list[str], list[bytes]]:
        dice = random.Random(given.numbers)
        monkeypatch.setattr(secrets, "token_bytes", dice.randbytes)
        monkeypatch.setattr(secrets, "randbelow", dice.randrange)
        with place.server.client() as client:
            client.flushall()
            with contextlib.closing(RedisStore.from_url(place.server.url)) as store:
                challenges, codes = fill(store, hasher, secret, given)
            found = dump(client)
        texts = decoded([*found, *(part for parts in found.values() for part in parts)])
        return [*(one.id for one in challenges), *codes], texts

    drawn, one = filled(SECRET, GIVEN)
    _, strangers = filled(SECRET[::-1], STRANGERS)
    _, again = filled(SECRET, GIVEN)
    alike, other = filled(NAMESAKE, GIVEN)
    assert alike == drawn, "the ids and the codes, too"
    assert shared(one, other, strangers) == set()
    # Under the same secret all tags are the same: a phone's, an id's, an address's.
    assert len(shared(one, again, strangers)) > 9 * 2 * (22 - 5)
