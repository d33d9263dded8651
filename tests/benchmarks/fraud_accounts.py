"""The fraud policy's scripts on a real server: microseconds of its time, and bytes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

from benchmarks.common import FLOOR, POLICY, best, pinned_server, row
from otpverify.core.caps import Cap
from otpverify.core.fraud import DAY, Charge, Group, Rates, Request
from otpverify.core.fraud_ledger import SPEND, TOTAL, Charged, FraudKey, Rules, millionths
from otpverify.core.keys import Key
from otpverify.core.limits import Limit
from otpverify.core.state import Opening
from otpverify.stores.redis.scripts import Call, Script, Scripts

BATCH, BATCHES = 50, 400
KEYS = 20_000
HOUR = DAY // 24
CAPS = (
    Cap(TOTAL, 10**9, DAY),
    Cap(SPEND, millionths(10**6), HOUR),
    Cap(SPEND, millionths(10**6), DAY),
)
RULES = Rules(Rates(10.0, 1 / 3), 90 * DAY, 660_000, (), (Limit(100, 3600),))
FULL = RULES._replace(caps=CAPS)
CHEAP = 0.00001
PAID = Charged(int(time.time() * 1000), Charge(Group.NEW, True))
SCRIPTS = Scripts("otpverify")


def server_time(client: Any, make: Callable[[int], Call]) -> float:
    """Microseconds of the server for a call, in a batch that nobody disturbs."""
    client.script_load(make(0).script.text)
    samples = []
    for batch in range(BATCHES):
        client.config_resetstat()
        with client.pipeline(transaction=False) as pipe:
            for number in range(batch * BATCH, (batch + 1) * BATCH):
                call = make(number)
                pipe.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)
            pipe.execute()
        samples.append(float(client.info("commandstats")["cmdstat_evalsha"]["usec_per_call"]))
    return best(samples)


def load_floor() -> Script:
    """A script of one command."""
    return Script(FLOOR, hashlib.sha1(FLOOR.encode(), usedforsecurity=False).hexdigest())


def tag(number: int, kind: str = "p") -> str:
    """As long as a tag."""
    return f"{kind}{number:021}"


def key(number: int, country: str = "EE") -> FraudKey:
    """Somebody's message: 4 a prefix, and 5 a network."""
    return FraudKey(
        tag(number // 4), country, tag(number, "k"), tag(number, "b"), tag(number // 5, "i")
    )


def opening(number: int) -> Call:
    """The other script of a start."""
    place = Key(tag(number), "s" * 22, tag(number, "c"))
    return SCRIPTS.open(place, Opening(b"d" * 32, new=True), POLICY)


def times(client: Any) -> None:
    """Print the server's time of every script."""
    row("server time of one call", "microseconds")
    row("---", "---")
    floor = Call(load_floor(), (b"key",), ())
    row("a script of one command", f"{server_time(client, lambda _: floor):.1f}")
    other = server_time(client, opening)
    row("`open`, the other script of a start (at most 10)", f"{other:.1f}")
    stranger = Request(CHEAP)

    def charge(request: Request, rules: Rules, country: str) -> Callable[[int], Call]:
        return lambda number: SCRIPTS.charge(key(number, country), request, rules)

    def credit(country: str) -> Callable[[int], Call]:
        return lambda number: SCRIPTS.credit(key(number, country), RULES)

    def refund(number: int) -> Call:
        return SCRIPTS.refund(key(number, "LV"), PAID, CHEAP, FULL)

    for number in range(3):  # codes are entered, so that the country has credit, as a rule
        for call in (
            SCRIPTS.charge(key(-number), Request(2.0), RULES),
            SCRIPTS.credit(key(-number), RULES),
        ):
            client.eval(call.script.text, len(call.keys), *call.keys, *call.args)
    cases: dict[str, Callable[[int], Call]] = {
        "`charge`: a stranger, with the address": charge(stranger, RULES, "EE"),
        "`credit`: the same, a right code": credit("EE"),
        "`charge`: the same number, which is known now": charge(stranger, RULES, "EE"),
        "`credit`: of a known number": credit("EE"),
        "`charge`: a stranger, with three caps": charge(stranger, FULL, "LV"),
        "`refund` of that": refund,
        "`charge`: refused": charge(Request(50.0), RULES, "UZ"),
    }
    seen = {name: server_time(client, make) for name, make in cases.items()}
    for name, took in seen.items():
        row(name, f"{took:.1f}")
    start = other + seen["`charge`: a stranger, with the address"]
    row("all scripts of a start (at most 25)", f"{start:.1f}")


def sizes(client: Any) -> None:
    """Print what each kind of key takes: what is freed when all of that kind are deleted."""
    client.flushall()
    forced = Request(0.0, forced=True)
    operations: list[Callable[[int], Call]] = [
        lambda n: SCRIPTS.charge(each(n), forced, RULES),
        lambda n: SCRIPTS.credit(each(n), RULES),
        lambda n: SCRIPTS.charge(each(n), forced, FULL),
    ]
    for make in operations:
        script = make(0).script
        client.script_load(script.text)
        for begin in range(0, KEYS, BATCH):
            with client.pipeline(transaction=False) as pipe:
                for number in range(begin, begin + BATCH):
                    call = make(number)
                    pipe.evalsha(script.sha, len(call.keys), *call.keys, *call.args)
                pipe.execute()
    kinds = {
        "prefix (at most 200)": "p",
        "known number": "k",
        "challenge that was charged": "b",
        "IP network, one event": "i",
    }
    row("what is kept", "bytes")
    row("---", "---")
    for name, letter in kinds.items():
        before, keys = used(client), list(client.scan_iter(f"*}}:{letter}*", count=1_000))
        for begin in range(0, len(keys), 1_000):
            client.delete(*keys[begin : begin + 1_000])
        row(name, f"{(before - used(client)) / len(keys):.0f}")
    row(
        "country, with its traffic of an hour (at most 4,000)",
        client.memory_usage("otpverify:{f}:cEE"),
    )
    for cap in CAPS[:1]:
        row(
            "cap, one of at most 61 parts",
            client.memory_usage(f"otpverify:{{f}}:m{cap.name}{cap.window}"),
        )


def each(number: int) -> FraudKey:
    """A message of which nothing is shared but the country."""
    return FraudKey(tag(number), "EE", tag(number, "k"), tag(number, "b"), tag(number, "i"))


def used(client: Any) -> int:
    """Bytes in use."""
    return int(client.info("memory")["used_memory"])


def main() -> None:
    """Print both tables."""
    with pinned_server() as server:
        client = server.client(socket_timeout=60)
        times(client)
        print()
        sizes(client)


if __name__ == "__main__":
    main()
