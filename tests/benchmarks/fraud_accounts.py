"""The accounts against SMS pumping on a real server: microseconds of its time, and bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from benchmarks.common import FLOOR, pinned_server, row
from otpverify.core.fraud import Charge, Group, Rates, Request
from otpverify.core.fraud_ledger import FraudKey
from otpverify.stores.redis.scripts import Call, Script, Scripts

RATES = Rates(10.0, 1 / 3)
PREFIXES, COUNTRIES, CALLS = 100_000, 245, 20_000
STRANGER, KNOWN = Request(0.001), Request(0.001, known=True)
PAID, PAID_KNOWN = Charge(Group.NEW, True), Charge(Group.KNOWN, False)


def server_time(client: Any, make: Callable[[int], Call]) -> float:
    """Microseconds of the server for a call."""
    client.script_load(make(0).script.text)
    client.config_resetstat()
    for begin in range(0, CALLS, 1_000):
        with client.pipeline(transaction=False) as pipe:
            for number in range(begin, begin + 1_000):
                call = make(number)
                pipe.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)
            pipe.execute()
    return float(client.info("commandstats")["cmdstat_evalsha"]["usec_per_call"])


def load_floor() -> Script:
    """A script of one command."""
    return Script(FLOOR, hashlib.sha1(FLOOR.encode(), usedforsecurity=False).hexdigest())


def used(client: Any) -> int:
    """Bytes in use."""
    return int(client.info("memory")["used_memory"])


def tag(number: int) -> str:
    """As long as a prefix's tag."""
    return f"{number:022}"


def main() -> None:
    """Print both tables."""
    scripts = Scripts("otpverify")
    with pinned_server() as server:
        client = server.client(socket_timeout=60)
        row("server time of one call", "microseconds")
        row("---", "---")
        floor = Call(load_floor(), (b"key",), ())
        row("a script of one command", f"{server_time(client, lambda _: floor):.1f}")
        cases: dict[str, Callable[[int], Call]] = {
            "a stranger's start": lambda n: scripts.charge(FraudKey(tag(n), "EE"), STRANGER, RATES),
            "the same, refused": lambda n: scripts.charge(
                FraudKey(tag(n % 100), "UZ"), Request(50.0), RATES
            ),
            "a known number's start": lambda n: scripts.charge(
                FraudKey(tag(n), "LV"), KNOWN, RATES
            ),
            "a stranger's right code": lambda n: scripts.credit(
                FraudKey(tag(n), "EE"), PAID, 0.001, RATES
            ),
            "a known number's right code": lambda n: scripts.credit(
                FraudKey(tag(n), "LV"), PAID_KNOWN, 0.001, RATES
            ),
        }
        for name, make in cases.items():
            row(name, f"{server_time(client, make):.1f}")
        client.flushall()
        nonces = Scripts("otpverify")
        empty = used(client)
        with client.pipeline(transaction=False) as pipe:
            for number in range(PREFIXES):
                call = nonces.charge(FraudKey(tag(number), "EE"), Request(0.0, forced=True), RATES)
                pipe.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)
                if number % 1_000 == 999:
                    pipe.execute()
        names = list(client.scan_iter("*:n:*", count=10_000))
        for begin in range(0, len(names), 10_000):
            client.delete(*names[begin : begin + 10_000])
        row("bytes per prefix", f"{(used(client) - empty) / PREFIXES:.0f}")
        country = max(int(client.memory_usage(key) or 0) for key in client.scan_iter("*:c:*"))
        row("bytes per country", country)


if __name__ == "__main__":
    main()
