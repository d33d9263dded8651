"""The picture of `otpverify traffic` in the documentation: two weeks of people in virtual time, and
an attack in the last three hours. `cd tests && python -m benchmarks.traffic_picture` draws it anew.
"""

from __future__ import annotations

import io
import math
import random
import re
from pathlib import Path

from rich.console import Console

from otpverify import FraudPolicy, MemoryStore, Policy
from otpverify.console.traffic import read_windows
from otpverify.console.traffic_table import print_tables
from otpverify.core.fraud import DAY, Request
from otpverify.core.fraud_ledger import Charged, FraudKey
from otpverify.gateways.smspm.prices import published_prices
from otpverify.testing.conformance import Timeline

PICTURE = Path(__file__).parents[2] / "docs/images/traffic.svg"
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
PEOPLE = {"DE": (700, 300), "EE": (150, 40), "LV": (90, 40), "FI": (60, 60), "SE": (25, 60)}
"""Messages a day, and prefixes."""
CONVERSION, CODE_TAKES = 0.75, 25 * SECOND
ATTACKED, ATTACK_HOURS, ATTACK_PAUSE = "UZ", 3, 2 * SECOND
WIDTH = 96


def messages(rng: random.Random, begin: int, end: int) -> list[tuple[int, str, str]]:
    """When, to which country and which prefix: people by day more than by night, and the attack."""
    found = []
    for country, (per_day, prefixes) in PEOPLE.items():
        at = float(begin)
        while (at := at + rng.expovariate(per_day / DAY / 0.6)) < end:
            if rng.random() < 0.6 + 0.4 * math.sin(2 * math.pi * (at / DAY - 0.3)):
                found.append((int(at), country, f"{country}{rng.randrange(prefixes)}"))
    for at in range(end - ATTACK_HOURS * HOUR, end, ATTACK_PAUSE):
        found.append((at, ATTACKED, f"{ATTACKED}{rng.randrange(400)}"))
    return sorted(found)


def simulate(store: MemoryStore, clock: Timeline) -> None:
    """Two weeks, enforced."""
    rng, prices = random.Random(1), published_prices()
    rules = FraudPolicy(mode="enforce").rules(Policy())
    end = clock.ms + 14 * DAY + 5 * HOUR + 34 * MINUTE
    entered: list[tuple[int, FraudKey]] = []
    for number, (at, country, prefix) in enumerate(messages(rng, clock.ms, end)):
        while entered and entered[0][0] <= at:
            clock.ms, key = entered.pop(0)
            store.credit(key, rules)
        clock.ms = at
        key = FraudKey(prefix, country, f"{number}", f"{number}")
        answer = store.charge(key, Request(float(prices.of(country))), rules)
        if isinstance(answer, Charged) and country != ATTACKED and rng.random() < CONVERSION:
            entered.append((at + CODE_TAKES, key))
    clock.ms = end


def draw(store: MemoryStore) -> str:
    """What the command prints, as SVG. No font is loaded from elsewhere."""
    console = Console(record=True, file=io.StringIO(), force_terminal=True, width=WIDTH)
    print_tables(read_windows(store), console)
    picture = console.export_svg(title="otpverify traffic", unique_id="traffic")
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)


def main() -> None:
    """Draw it."""
    clock = Timeline()
    store = MemoryStore(clock=clock)
    simulate(store, clock)
    PICTURE.write_text(draw(store), encoding="utf-8")


if __name__ == "__main__":
    main()
