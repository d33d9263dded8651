"""Promise 12 on real servers: round trips, and how long keys live."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from clusters import three_nodes
from redis_support import NAMES, Place, stop_servers
from servers import Server
from support import QUICK, SECRET

from otpverify import (
    Challenge,
    DestinationBlocked,
    FraudPolicy,
    HmacHasher,
    Limit,
    OtpVerifyError,
    Policy,
    RedisStore,
    Verifier,
)
from otpverify.testing import OutboxSender

__all__ = ["stop_servers"]

EVERYTHING = FraudPolicy(mode="enforce", total=(Limit(1000, 3600), Limit(5000, 86_400)))
POLICY = Policy(resend_cooldown_seconds=0)
IP: dict[str, Any] = {"client_ip": "192.0.2.7"}
NUMBERS = [f"+99890123{n:04}" for n in range(200)]


@pytest.fixture(params=NAMES)
def server(request: pytest.FixtureRequest) -> Server:
    place = Place(request.param)
    with place.server.client() as client:
        client.flushall()
    return place.server


@pytest.mark.parametrize(("hasher", "one"), [(HmacHasher(), 2), (QUICK, 3)], ids=["hmac", "argon2"])
def test_round_trips(server: Server, hasher: Any, one: int) -> None:
    """With everything on: an IP limit, caps, accounts, known numbers."""
    outbox = OutboxSender()
    with RedisStore.from_url(server.url) as store, server.client() as client:
        verifier = Verifier(
            outbox, store=store, secret=SECRET, hasher=hasher, policy=POLICY, fraud=EVERYTHING
        )

        def spent(call: Any, *args: Any, **options: Any) -> int:
            before = client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
            with suppress(OtpVerifyError):
                call(*args, **options)
            return int(client.info("commandstats")["cmdstat_evalsha"]["calls"]) - int(before)

        def start(n: int) -> Challenge:
            return verifier.start(NUMBERS[n], **IP)

        first = start(0)  # every script is on the server after these
        verifier.resend(NUMBERS[0], challenge=first.id, **IP)
        verifier.check(NUMBERS[0], outbox.code(), challenge=first.id)
        assert spent(start, 1) == one
        second = start(2)
        assert spent(verifier.resend, NUMBERS[2], challenge=second.id, **IP) == one
        code = outbox.code()
        assert spent(verifier.check, NUMBERS[2], code, challenge=second.id) == one
        for n in range(3, 30):
            try:
                verifier.start(NUMBERS[n])
            except DestinationBlocked:
                break
        assert spent(start, 99) <= one - 1, "a refusal is one script, and one before a hash"


def test_every_key_has_a_time_to_live(server: Server) -> None:
    outbox = OutboxSender()
    with RedisStore.from_url(server.url) as store, server.client() as client:
        verifier = Verifier(
            outbox, store=store, secret=SECRET, hasher=HmacHasher(), policy=POLICY, fraud=EVERYTHING
        )
        challenge = verifier.start(NUMBERS[0], **IP)
        verifier.check(NUMBERS[0], outbox.code(), challenge=challenge.id)
        verifier.start(NUMBERS[1], **IP)
        keys = list(client.scan_iter("*"))
        assert len([key for key in keys if b"{f}" in key]) >= 6
        assert all(client.pttl(key) > 0 for key in keys)
        assert not any(number[1:].encode() in b"".join(keys) for number in NUMBERS)


def test_three_nodes_decide_the_same() -> None:
    """All that a policy counts is in one slot, so that a cluster is as exact as one server."""
    with three_nodes("valkey9") as cluster:
        outbox = OutboxSender()
        with RedisStore.from_url(cluster.url) as store:
            verifier = Verifier(
                outbox,
                store=store,
                secret=SECRET,
                hasher=HmacHasher(),
                policy=POLICY,
                fraud=EVERYTHING,
            )
            first = verifier.start(NUMBERS[0])
            for number in NUMBERS[1:20]:
                with suppress(DestinationBlocked):
                    verifier.start(number)
            assert len(outbox) == 8
            verifier.check(NUMBERS[0], outbox.code(NUMBERS[0]), challenge=first.id)
            for number in NUMBERS[20:40]:
                with suppress(DestinationBlocked):
                    verifier.start(number)
            assert len(outbox) == 8 + 3
            assert isinstance(verifier.start(NUMBERS[0]), Challenge), "its number is known"
