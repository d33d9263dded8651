"""People and attackers in virtual time, in front of the rules against SMS pumping."""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from otpverify.core import fraud
from otpverify.core.fraud import DAY, Charge, Overdrawn, Rates, Record, Records, Request
from otpverify.gateways.smspm.prices import published_prices

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
PRICES = {"XX": 0.1, "US": 0.1}
"""By country, where the published list has none. XX stands for a country in which nobody was."""
RATES = Rates(10.0, 1 / 3)
TRUSTED = 90 * DAY
UNANSWERED = 3
RETURNING = 0.5
"""The share of people whose number was seen before."""
RETURN_AFTER = 2.0
"""Days until they come again, on average: after two weeks nearly all of them are known."""
SHARED = 0.1
"""The share of people who come from one of 500 addresses that they share with others."""
WINDOW = 20
"""An attack counts as contained when at most one of its last 20 requests was sent."""

Number = tuple[str, int, int]
"""Country, prefix, and the rest."""
Conversion = float | Callable[[float], float]


def price_of(country: str) -> float:
    """The published price in EUR."""
    if country not in PRICES:
        PRICES[country] = float(published_prices().of(country))
    return PRICES[country]


class Place:
    """A country, its prefixes, and how people use them: the first most.

    The busiest of 1,500 has 1.3% of the people, and a tenth of the prefixes have a third of them;
    if people crowd, 13% and 70%.
    """

    def __init__(self, country: str, prefixes: int, *, crowd: bool = False) -> None:
        self.country, self.prefixes, self.crowd = country, prefixes, crowd
        total = 0.0
        self._weights = [
            total := total + (rank + 1) ** (-1 if crowd else -0.5) for rank in range(prefixes)
        ]
        self._ranks = range(prefixes)

    def person(self, rng: random.Random) -> Number:
        """Somebody's number."""
        prefix = rng.choices(self._ranks, cum_weights=self._weights)[0]
        return self.country, prefix, rng.getrandbits(40)


class Asks(NamedTuple):
    """Somebody asks for a code.

    Attributes:
        at: When, in milliseconds.
        number: Whose.
        conversion: The probability that the code is entered.
        person: A person; otherwise an attacker.
        solves: An attacker who passes human checks.
        repeats: An attacker who asks for the same number again.
        delay: Seconds until a code is entered, as a median.
    """

    at: float
    number: Number
    conversion: Conversion
    person: bool = True
    solves: bool = False
    repeats: bool = False
    delay: float = 22.0


class Rule(Protocol):
    """What decides, and keeps the accounts."""

    def charge(self, number: Number, request: Request, now: int) -> Charge | Overdrawn:
        """Take a message's price, or refuse."""

    def credit(self, number: Number, paid: Charge, price: float, now: int) -> None:
        """Give back for a right code."""


class Accounts:
    """The package's rule, with its records in memory."""

    def __init__(self, rates: Rates) -> None:
        self.rates = rates
        self.prefixes: dict[tuple[str, int], Record] = {}
        self.countries: dict[str, Record] = {}
        self.world = fraud.EMPTY.world

    def charge(self, number: Number, request: Request, now: int) -> Charge | Overdrawn:
        """See `Rule`."""
        answer, new = fraud.charge(self._records(number), request, self.rates, now)
        self._keep(number, new)
        return answer

    def credit(self, number: Number, paid: Charge, price: float, now: int) -> None:
        """See `Rule`."""
        self._keep(number, fraud.credit(self._records(number), paid, price, self.rates, now))

    def _records(self, number: Number) -> Records:
        return Records(
            self.prefixes.get(number[:2], fraud.EMPTY.prefix),
            self.countries.get(number[0], fraud.EMPTY.country),
            self.world,
        )

    def _keep(self, number: Number, new: Records) -> None:
        self.prefixes[number[:2]], self.countries[number[0]], self.world = new


@dataclass
class Site:
    """What stands between requests and the SMS bill.

    Attributes:
        rule: The fraud policy's.
        mode: `"tutorial"` (a cooldown), `"limits"` (per phone and address), and with them
            `"observe"`, `"enforce"` or `"check"` (`over="human_check"`).
    """

    rule: Rule
    mode: str = "observe"
    known: dict[Number, list[float]] = field(default_factory=dict)
    sends: dict[object, deque[float]] = field(default_factory=dict)

    def ask(
        self, number: Number, address: int, now: int, *, human: bool
    ) -> Charge | Overdrawn | None:
        """`None` if the fraud policy does not decide."""
        if not self._within_limits(number, address, now):
            return Overdrawn("limits", 0)
        if self.mode in ("tutorial", "limits"):
            return None
        seen = self.known.get(number)
        known = seen is not None and seen[0] < UNANSWERED and now - seen[1] < TRUSTED
        request = Request(price_of(number[0]), known, human and self.mode == "check")
        answer = self.rule.charge(number, request, now)
        if seen is not None and isinstance(answer, Charge):
            seen[0] += 1
        return answer

    def sent(self, number: Number, address: int, now: int) -> None:
        """Count a message in the limits per phone and address."""
        for key in (number, address):
            if key:
                self.sends.setdefault(key, deque(maxlen=10)).append(now)

    def verified(self, number: Number, paid: Charge | None, now: int) -> None:
        """A right code."""
        if self.mode in ("tutorial", "limits"):
            return
        if paid is not None:
            self.rule.credit(number, paid, price_of(number[0]), now)
        self.known[number] = [0, now]

    def _within_limits(self, number: Number, address: int, now: int) -> bool:
        """The policy's defaults: 60 seconds, 5 an hour and 10 a day to a phone, 10 an hour from an
        address. The tutorial has the first alone."""
        log = self.sends.get(number)
        if log:
            if now - log[-1] < MINUTE:
                return False
            if self.mode == "tutorial":
                return True
            if len(log) >= 5 and now - log[-5] < HOUR:
                return False
            if len(log) == 10 and now - log[0] < DAY:
                return False
        from_there = self.sends.get(address) if address else None
        return (
            not from_there
            or len(from_there) < 10
            or now - from_there[0] >= HOUR
            or (self.mode == "tutorial")
        )


@dataclass
class Seen:
    """What happened.

    Attributes:
        people: Who asked for the first time.
        refused: Those of them whom the policy refused then: when, and why.
        lost: Those of them who were never sent a code.
        checks: Human checks shown to people.
        would_refuse: People who got a code that enforcing would have refused.
        messages, cost: What attackers got.
        contained_at: When; with what they had got until then.
    """

    people: int = 0
    refused: list[tuple[float, str]] = field(default_factory=list)
    lost: int = 0
    checks: int = 0
    would_refuse: int = 0
    messages: int = 0
    cost: float = 0.0
    contained_at: float | None = None
    contained_messages: int = 0
    contained_cost: float = 0.0
    last: deque[bool] = field(default_factory=lambda: deque(maxlen=WINDOW))
    ended: float = 0.0


class Day:
    """Plays requests in order of time."""

    def __init__(self, site: Site, rng: random.Random) -> None:
        self.site, self.rng, self.seen = site, rng, Seen()
        self._queue: list[tuple[float, int, Callable[[float], None]]] = []
        self._count = 0

    def play(self, streams: Iterable[Iterable[Asks]], until: float) -> Seen:
        """All requests of the streams, each in order of time, and what follows from them."""
        for asks in heapq.merge(*streams, key=lambda asks: asks.at):
            self._follow(asks.at)
            if asks.person:
                shared = self.rng.random() < SHARED
                address = self.rng.randrange(1, 501) if shared else 0
                self._person(asks, asks.at, address, tries=0, human=False, first=True)
            else:
                self._attacker(asks)
        self._follow(until)
        return self.seen

    def _follow(self, until: float) -> None:
        while self._queue and self._queue[0][0] <= until:
            at, _, then = heapq.heappop(self._queue)
            then(at)

    def _later(self, at: float, then: Callable[[float], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (at, self._count, then))

    def _person(
        self, asks: Asks, at: float, address: int, *, tries: int, human: bool, first: bool
    ) -> None:
        site, rng, seen, number = self.site, self.rng, self.seen, asks.number
        answer = site.ask(number, address, int(at), human=human)
        seen.people += first
        if isinstance(answer, Overdrawn) and (site.mode != "observe" or answer.reason == "limits"):
            if first and answer.reason != "limits":
                seen.refused.append((at, answer.reason))

            def again(then: float, human: bool = human) -> None:
                self._person(asks, then, address, tries=tries + 1, human=human, first=False)

            if site.mode == "check" and not human and answer.reason != "limits":
                seen.checks += 1
                if rng.random() < 0.95:
                    wait = rng.lognormvariate(math.log(12), 0.5) * SECOND
                    self._later(at + wait, lambda then: again(then, True))
                else:
                    seen.lost += 1
            elif tries < 2:
                self._later(at + rng.uniform(30, 180) * SECOND, again)
            else:
                seen.lost += answer.reason != "limits"
            return
        seen.would_refuse += first and isinstance(answer, Overdrawn)
        site.sent(number, address, int(at))
        paid = answer if isinstance(answer, Charge) else None
        share = asks.conversion(at) if callable(asks.conversion) else asks.conversion
        if rng.random() < share:
            wait = rng.lognormvariate(math.log(asks.delay), 0.7) * SECOND
            self._later(at + wait, lambda then: site.verified(number, paid, int(then)))
        elif tries < 1 and rng.random() < 0.5:  # resends, once
            self._later(
                at + rng.uniform(61, 150) * SECOND,
                lambda then: self._person(
                    asks, then, address, tries=tries + 1, human=human, first=False
                ),
            )

    def _attacker(self, asks: Asks) -> None:
        site, seen, at = self.site, self.seen, asks.at
        answer = site.ask(asks.number, 0, int(at), human=False)
        if site.mode == "check" and asks.solves and isinstance(answer, Overdrawn):
            answer = site.ask(asks.number, 0, int(at), human=True)
        refused = isinstance(answer, Overdrawn)
        got = not refused or (site.mode == "observe" and answer != Overdrawn("limits", 0))
        seen.last.append(got)
        seen.ended = at
        if got:
            seen.messages += 1
            seen.cost += price_of(asks.number[0])
            if asks.repeats:
                site.sent(asks.number, 0, int(at))
            share = asks.conversion(at) if callable(asks.conversion) else asks.conversion
            if share and self.rng.random() < share:
                paid = answer if isinstance(answer, Charge) else None
                self._later(
                    at + 10 * SECOND, lambda then: site.verified(asks.number, paid, int(then))
                )
        if seen.contained_at is None and len(seen.last) == WINDOW and sum(seen.last) <= 1:
            seen.contained_at = at
            seen.contained_messages, seen.contained_cost = seen.messages, seen.cost


def busy(at: float) -> float:
    """How busy it is at that time of the day; 1 on average, and least at 3 in the night."""
    return 1 - 0.85 * math.cos((at / HOUR % 24 - 3) / 24 * 2 * math.pi)


def returning(
    rng: random.Random, place: Place, a_day: float, days: float = RETURN_AFTER
) -> list[Number]:
    """The numbers of the people who come again after so many days, if so many people come a day."""
    return [place.person(rng) for _ in range(round(a_day * RETURNING * days) or 1)]


def people(
    rng: random.Random,
    place: Place,
    a_day: float,
    begin: float,
    end: float,
    conversion: Conversion = 0.75,
    pool: list[Number] | None = None,
    delay: float = 22.0,
) -> Iterator[Asks]:
    """So many people a day, half of them with one of the numbers of the pool."""
    pool = pool or returning(rng, place, a_day)
    at = begin
    while (at := at + rng.expovariate(1.85 * a_day / DAY)) < end:
        if rng.random() * 1.85 < busy(at):
            number = rng.choice(pool) if rng.random() < RETURNING else place.person(rng)
            yield Asks(at, number, conversion, delay=delay)


def crowd(
    rng: random.Random, place: Place, count: int, begin: float, minutes: float, conversion: float
) -> list[Asks]:
    """So many new people within so many minutes."""
    times = sorted(begin + rng.random() * minutes * MINUTE for _ in range(count))
    return [Asks(at, place.person(rng), conversion) for at in times]


def attack(
    rng: random.Random,
    pick: Callable[[random.Random], Number],
    begin: float,
    stages: Iterable[tuple[float, float]],
    *,
    enters: Conversion = 0.0,
    solves: bool = False,
    repeats: bool = False,
) -> Iterator[Asks]:
    """Requests at random instants, in stages of so many hours with so many requests a second."""
    for hours, rate in stages:
        at, end = begin, begin + hours * HOUR
        while (at := at + rng.expovariate(rate) * SECOND) < end:
            yield Asks(at, pick(rng), enters, person=False, solves=solves, repeats=repeats)
        begin = end
