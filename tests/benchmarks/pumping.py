"""What SMS pumping costs, and whom the protection refuses: `make pumping`.

Real traffic and attacks in virtual time, from fixed seeds, drive the rule of `otpverify.core`
directly, and an earlier rule beside it, with the same requests. Rows of the rules are means over
their seeds; other configurations have one. An attack of half a day asks five times a second for
half an hour and every two seconds then, so that the simulation ends soon. Five times a second
throughout, it would cost fewer messages: people would get fewer codes to enter beside it.
"""

from __future__ import annotations

import pickle
import random
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from decimal import Decimal

from benchmarks.common import row
from benchmarks.pumping_reference import EarlierRule
from benchmarks.pumping_scenarios import ABROAD, AT_HOME, CALM, Home, Scenario
from benchmarks.pumping_traffic import (
    HOUR,
    MINUTE,
    RATES,
    Accounts,
    Day,
    Number,
    Seen,
    Site,
    price_of,
    returning,
)
from otpverify.core.fraud import DAY
from otpverify.core.fraud_policy import FraudPolicy
from otpverify.gateways.smspm.prices import published_prices

MODES = ("tutorial", "limits", "observe", "enforce", "check", "earlier")
"""A cooldown; the limits per phone and address; with them the policy; and with them the earlier
rule, enforced."""
RECOVERY = 4 * HOUR
"""How long after an attack or an outage refused people are looked for."""


@dataclass
class Result:
    """Of one run of a scenario in one mode."""

    seen: Seen
    recovery: float | None


_warm: dict[tuple[object, ...], bytes] = {}


def prepare(home: Home, seed: int, mode: str) -> tuple[list[Number], Site]:
    """The numbers that return, and the site after its days."""
    earlier = mode == "earlier"
    key = (home.name, seed, earlier)
    if key not in _warm:
        rng = random.Random(seed)
        site = Site(EarlierRule(RATES) if earlier else Accounts(RATES))
        pool = returning(rng, home.place, home.a_day, home.return_after)
        for begin, days, before in ((0, home.days - 1, "observe"), (home.days - 1, 1, "enforce")):
            if home.days:
                site.mode = before
                streams = home.traffic(rng, pool, begin * DAY, days)
                Day(site, random.Random(seed + 1_000)).play(streams, (begin + days) * DAY)
        _warm[key] = pickle.dumps((pool, site))
    pool, site = pickle.loads(_warm[key])
    site.mode = "enforce" if earlier else mode
    return pool, site


def run(scenario: Scenario, mode: str, seed: int) -> Result:
    """One day, or as many as the scenario has."""
    pool, site = prepare(scenario.home, seed, mode)
    begin, rng = scenario.home.days * DAY, random.Random(seed + 2_000)
    if scenario.yesterday:
        streams = scenario.home.traffic(rng, pool, begin, 1) + scenario.yesterday(rng, begin)
        Day(site, random.Random(seed + 3_000)).play(streams, begin + DAY)
        begin += DAY
    if scenario.users:
        streams = scenario.users(rng, pool, begin)
    else:
        streams = scenario.home.traffic(rng, pool, begin, scenario.days)
    if scenario.extra:
        streams += scenario.extra(rng, begin)
    seen = Day(site, random.Random(seed + 4_000)).play(streams, begin + scenario.days * DAY)
    recovery = None
    if scenario.ends is not None:
        over = begin + scenario.ends * HOUR
        late = [at for at, _ in seen.refused if over <= at < over + RECOVERY]
        recovery = (max(late, default=over) - over) / MINUTE
    return Result(seen, recovery)


def worst(scenario: Scenario, bound: str, mode: str) -> str:
    """What `worst_case` says of a day: the first, and each further one."""
    home = scenario.home
    found = FraudPolicy(mode="enforce", over="human_check" if mode == "check" else "refuse")
    case = found.worst_case(
        strangers_per_day=home.a_day / 2,
        known_per_day=home.a_day / 2,
        price=Decimal(str(price_of(home.place.country))),
        price_abroad=published_prices().of(None) if bound == "abroad" else Decimal("0.434"),
        conversion=home.conversion,
    )
    loss = getattr(case, scenario.bound or bound)
    return f"{loss.first_day:.0f} / {loss.further_day:.0f}"


def mean(values: Iterable[float]) -> float:
    """Their mean."""
    found = list(values)
    return sum(found) / len(found)


def share(results: list[Result]) -> str:
    """Who was refused at first, and who for good."""
    refused = mean(len(result.seen.refused) for result in results)
    total = mean(result.seen.people for result in results)
    lost = mean(result.seen.lost for result in results)
    return f"{refused / max(1, total):.1%} ({refused:.0f}), {lost:.0f} for good"


def taken(results: list[Result]) -> str:
    """What attackers got in all."""
    messages = mean(result.seen.messages for result in results)
    return f"{messages:,.0f} / {mean(result.seen.cost for result in results):,.1f}"


def contained(results: list[Result]) -> tuple[str, str]:
    """What attackers got until they were contained, and what a day of the rest costs."""
    seen = [result.seen for result in results]
    if any(one.contained_at is None for one in seen):
        return "not contained", ""
    first = f"{mean(one.contained_messages for one in seen):,.0f} / "
    first += f"{mean(one.contained_cost for one in seen):,.1f}"
    rest = [
        (one.cost - one.contained_cost) / max(one.ended - one.contained_at, HOUR) * DAY
        for one in seen
        if one.contained_at is not None
    ]
    return first, f"{mean(rest):,.1f}"


def recovery(results: list[Result]) -> str:
    """Minutes until the last refusal after it was over, on average and at most."""
    found = [result.recovery for result in results if result.recovery is not None]
    return f"{mean(found):.0f} (most {max(found):.0f})" if found else ""


def checks(results: list[Result]) -> str:
    """Human checks shown to people, and who did not pass."""
    shown = mean(result.seen.checks for result in results)
    return f"{shown:.0f}, {mean(result.seen.lost for result in results):.0f}"


Runs = dict[str, list[Result]]
CALM_HEADER = (
    "without an attack",
    "people refused (enforce)",
    "earlier rule",
    "would be refused (observe)",
    "checks shown, lost (human check)",
    "minutes to recover",
    "earlier rule",
)
HEADER = (
    "attack",
    "cooldown: SMS / EUR",
    "today's limits",
    "observe; would refuse people",
    "enforce: SMS / EUR",
    "earlier rule",
    "until contained",
    "EUR a day after",
    "worst case, EUR: first day / further",
    "people refused",
    "earlier rule",
    "minutes to recover",
    "earlier rule",
    "human check: SMS / EUR",
    "checks shown, lost",
)


def calm_row(scenario: Scenario, runs: Runs) -> None:
    """A row without an attack."""
    would = mean(result.seen.would_refuse for result in runs["observe"])
    enforce, check, earlier = runs["enforce"], runs["check"], runs["earlier"]
    row(
        scenario.name,
        share(enforce),
        share(earlier),
        f"{would:.0f}",
        checks(check),
        recovery(enforce),
        recovery(earlier),
    )


def attack_row(scenario: Scenario, runs: Runs, bound: str) -> None:
    """A row with an attack."""
    would = mean(result.seen.would_refuse for result in runs["observe"])
    enforce, check, earlier = runs["enforce"], runs["check"], runs["earlier"]
    row(
        scenario.name,
        taken(runs["tutorial"]),
        taken(runs["limits"]),
        f"{taken(runs['observe'])}; {would:.0f}",
        taken(enforce),
        taken(earlier),
        *contained(enforce),
        worst(scenario, bound, "enforce"),
        share(enforce),
        share(earlier),
        recovery(enforce),
        recovery(earlier),
        taken(check),
        checks(check),
    )


PARTS = (("", CALM), ("country", ABROAD), ("home_patient", AT_HOME))


def every_run(part: int, number: int) -> tuple[Runs, float]:
    """All runs of a scenario, in all modes that its table shows, and the processor's seconds."""
    begin = time.process_time()
    scenario = PARTS[part][1][number]
    modes = MODES[2:] if part == 0 else MODES
    runs = {
        mode: [
            run(scenario, mode, seed)
            for seed in range(1, 1 + (scenario.seeds if mode in ("enforce", "earlier") else 1))
        ]
        for mode in modes
    }
    return runs, time.process_time() - begin


def main() -> None:
    """Print the tables. An argument is the number of processes."""
    begin, busy = time.monotonic(), 0.0
    # Scenarios of one site are neighbours, so that a process prepares it once.
    with ProcessPoolExecutor(int(sys.argv[1]) if len(sys.argv) > 1 else 2) as pool:
        tasks = [
            (part, number, pool.submit(every_run, part, number))
            for part, (_, scenarios) in enumerate(PARTS)
            for number in range(len(scenarios))
        ]
        for part, number, task in tasks:
            bound, scenarios = PARTS[part]
            if number == 0:
                header = CALM_HEADER if part == 0 else HEADER
                sys.stdout.write("\n")
                row(*header)
                row(*("---" for _ in header))
            runs, seconds = task.result()
            busy += seconds
            if part == 0:
                calm_row(scenarios[number], runs)
            else:
                attack_row(scenarios[number], runs, bound)
            sys.stdout.flush()
    sys.stdout.write(f"\n{time.monotonic() - begin:.0f} seconds; {busy:.0f} of processor time\n")


if __name__ == "__main__":
    main()
