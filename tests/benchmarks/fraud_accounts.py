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

BATCH, BATCHES = 100, 200
KEYS = 100_000
HOUR = DAY // 24
CAPS = (
    Cap(TOTAL, 10**9, DAY),
    Cap(SPEND, millionths(10**6), HOUR),
    Cap(SPEND, millionths(10**6), DAY),
)
RULES = Rules(Rates(10.0, 1 / 3), 90 * DAY, 660_000, (), (Limit(10, 3600),))
FULL = RULES._replace(caps=CAPS)
CHEAP = 0.0001
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
    """Somebody's message: 20 a prefix, and 5 a network."""
    return FraudKey(
        tag(number // 20), country, tag(number, "k"), tag(number, "b"), tag(number // 5, "i")
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
    row("`open`, the other script of a start", f"{server_time(client, opening):.1f}")
    stranger = Request(CHEAP)

    def charge(request: Request, rules: Rules, country: str) -> Callable[[int], Call]:
        return lambda number: SCRIPTS.charge(key(number, country), request, rules)

    def credit(country: str) -> Callable[[int], Call]:
        return lambda number: SCRIPTS.credit(key(number, country), RULES)

    def refund(number: int) -> Call:
        return SCRIPTS.refund(key(number, "LV"), PAID, CHEAP, FULL)

    cases: dict[str, Callable[[int], Call]] = {
        "`charge`: a stranger, with the address": charge(stranger, RULES, "EE"),
        "`credit`: the same, a right code": credit("EE"),
        "`charge`: the same number, which is known now": charge(stranger, RULES, "EE"),
        "`credit`: of a known number": credit("EE"),
        "`charge`: a stranger, with three caps": charge(stranger, FULL, "LV"),
        "`refund` of that": refund,
        "`charge`: refused": charge(Request(50.0), RULES, "UZ"),
    }
    for name, make in cases.items():
        row(name, f"{server_time(client, make):.1f}")


def main() -> None:
    """Print both tables."""
    with pinned_server() as server:
        client = server.client(socket_timeout=60)
        times(client)


if __name__ == "__main__":
    main()
