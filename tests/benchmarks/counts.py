"""Figures that are counted, not timed: round trips of a start and its check, and how many Argon2
hashes a refused start, resend and check compute."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from benchmarks.common import POLICY, SECRET, NoOpSender, phone, pinned_server, row
from benchmarks.operations import commands
from otpverify import (
    Argon2Hasher,
    FraudPolicy,
    HmacHasher,
    OtpVerifyError,
    Policy,
    RedisStore,
    Verifier,
)

CASES: dict[str, tuple[dict[str, Any], str]] = {
    "`HmacHasher`": ({"policy": POLICY}, "1; 1"),
    "`Argon2Hasher`": ({"policy": POLICY, "hasher": Argon2Hasher()}, "2; 2"),
    "`HmacHasher`, `client_ip`": ({"policy": Policy()}, "2; 1"),
    "the same with a `FraudPolicy`": ({"policy": Policy(), "fraud": FraudPolicy()}, "2; 2"),
}


class CountingHasher(Argon2Hasher):
    """Counts what it computes."""

    count = 0

    def digest(self, secret: bytes, message: bytes, salt: bytes) -> bytes:
        self.count += 1
        return super().digest(secret, message, salt)


def round_trips(client: Any, url: str) -> None:
    for number, (label, (options, figure)) in enumerate(CASES.items()):
        sender, store = NoOpSender(), RedisStore.from_url(url)
        verifier = Verifier(
            sender, store=store, secret=SECRET, **{"hasher": HmacHasher(), **options}
        )
        for one in range(2):  # the first loads the scripts
            client.config_resetstat()
            challenge = verifier.start(phone(10 * number + one), client_ip="192.0.2.1")
            started = commands(client)[0]
            verifier.check(challenge.phone, sender.code, challenge=challenge.id)
            checked = commands(client)[0] - started
        row(f"round trips of a start; of its check: {label}", f"{started}; {checked}", figure)
        store.close()


def refusals(url: str) -> None:
    hasher, store = CountingHasher(), RedisStore.from_url(url)
    verifier = Verifier(NoOpSender(), store=store, secret=SECRET, hasher=hasher, policy=POLICY)
    challenge = verifier.start(phone(100))
    to, known = challenge.phone, challenge.id
    for _ in range(POLICY.max_attempts):
        with suppress(OtpVerifyError):
            verifier.check(to, "000000", challenge=known)
    refused: dict[str, Callable[[], object]] = {
        "start": lambda: verifier.start(to),
        "resend": lambda: verifier.resend(to, challenge=known),
        "check": lambda: verifier.check(to, "000000", challenge=known),
    }
    for name, call in refused.items():
        before = hasher.count
        with suppress(OtpVerifyError):
            call()
        row(f"Argon2 hashes of a refused {name}", hasher.count - before, 0)
    store.close()


def main() -> None:
    with pinned_server() as server:
        row("figure", "seen", "to reach")
        row("---", "---", "---")
        round_trips(server.client(), server.url)
        refusals(server.url)


if __name__ == "__main__":
    main()
