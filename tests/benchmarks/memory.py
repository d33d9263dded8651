"""Bytes of the server per pending challenge, and whether an operation slows down as they grow."""

from __future__ import annotations

import sys

from benchmarks.common import (
    POLICY,
    NoOpSender,
    best,
    floor,
    microseconds,
    phone,
    pinned_server,
    row,
    verifier_on,
)
from otpverify.core.keys import Keyring
from otpverify.core.state import Opening
from otpverify.stores.redis.scripts import Scripts

PENDING = 100_000
FEW, MANY = 1_000, 1_000_000
SECRET = Keyring([b"iA64b34S0uwavoENKoSS2Cde5HWA5KB6moMaBfB0oQ0"]).signing


def fill(client: object, first: int, count: int) -> None:
    """Pending challenges as `start` leaves them, through a pipeline."""
    scripts = Scripts("otpverify")
    for begin in range(first, first + count, 5_000):
        with client.pipeline(transaction=False) as pipe:  # type: ignore[attr-defined]  # redis-py
            for number in range(begin, min(begin + 5_000, first + count)):
                key = SECRET.key(phone(number), "verify", f"{number:024}")
                digest = number.to_bytes(32, "big")
                call = scripts.open(key, Opening(digest, new=True), POLICY)
                if number == begin:
                    pipe.script_load(call.script.text)
                pipe.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)
            pipe.execute()


class Pair:
    """A start and a right check, for another number at each call."""

    def __init__(self, url: str) -> None:
        self.sender = NoOpSender()
        self.verifier = verifier_on(url, self.sender)
        self.next = 4_000_000

    def __call__(self, _: int) -> None:
        to = phone(self.next)
        self.next += 1
        challenge = self.verifier.start(to)
        self.verifier.check(to, self.sender.code, challenge=challenge.id)


def main() -> None:
    many = int(sys.argv[1]) if len(sys.argv) > 1 else MANY
    with pinned_server() as server:
        client = server.client(socket_timeout=60)
        empty = client.info("memory")["used_memory"]
        fill(client, 0, PENDING)
        used = client.info("memory")["used_memory"] - empty
        row("figure", "seen", "to reach")
        row("---", "---", "---")
        row(f"bytes per pending challenge, at {PENDING:,}", f"{used / PENDING:.0f}", "at most 350")
        client.flushall()
        ratios = []
        pair = Pair(server.url)
        fill(client, 0, FEW)
        for pending in (FEW, many):
            if pending > FEW:
                fill(client, FEW, pending - FEW)
            samples, floors = [], []
            for _ in range(9):
                floors.append(floor(client, 500))
                samples.append(microseconds(pair, 500))
            ratios.append(best(samples) / best(floors))
            row(f"start and check to the floor, at {pending:,} pending", f"{ratios[-1]:.2f}", "")
        row(f"the same at {many:,} as at {FEW:,}", f"{ratios[1] / ratios[0]:.2f}", "0.90 to 1.10")


if __name__ == "__main__":
    main()
