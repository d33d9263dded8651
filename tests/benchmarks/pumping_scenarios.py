"""The scenarios of `make pumping`: real traffic, and attacks over it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from benchmarks.pumping_traffic import (
    HOUR,
    RETURN_AFTER,
    Asks,
    Conversion,
    Number,
    Place,
    attack,
    crowd,
    people,
    returning,
)
from otpverify.core.fraud import DAY
from otpverify.gateways.smspm.prices import published_prices

DE, US, MT = Place("DE", 1_500), Place("US", 20_000), Place("MT", 60)
IS, FO, FK, TEN = Place("IS", 50), Place("FO", 10), Place("FK", 1), Place("DE", 10)
UZ, XX, AT = Place("UZ", 300), Place("XX", 1_500), Place("AT", 300)
NEIGHBOURS_POOL = returning(random.Random(6), AT, 300)
Extra = Callable[[random.Random, float], list[Iterable[Asks]]]
Users = Callable[[random.Random, list[Number], float], list[Iterable[Asks]]]
Picker = Callable[[random.Random], Number]
COUNTRIES = sorted(published_prices().per_segment)
ATTACKED = random.Random(3).sample([c for c in COUNTRIES if c != "DE"], 120)
VISITED = random.Random(4).sample(ATTACKED, 20) + random.Random(5).sample(
    [c for c in COUNTRIES if c not in ATTACKED and c != "DE"], 20
)
HALF_DAY = ((0.5, 5.0), (11.5, 0.5))
"""Hours, and requests a second."""


@dataclass(frozen=True)
class Home:
    """A site before the day that is looked at.

    Attributes:
        place: Its users' country.
        a_day: How many of them come.
        conversion: The share of messages whose codes they enter.
        days: How many days were observed; on the last of them the policy was enforced.
        return_after: Days until people come again who do.
        tourists: Another 50 people a day, from 40 countries.
        neighbours: Another 300 people a day, from AT.
    """

    place: Place = DE
    a_day: float = 1_000
    conversion: float = 0.75
    days: int = 14
    return_after: float = RETURN_AFTER
    tourists: bool = False
    neighbours: bool = False

    @property
    def name(self) -> tuple[object, ...]:
        """What tells it from others."""
        place = (self.place.country, self.place.prefixes, self.place.crowd)
        parts = (*place, self.a_day, self.conversion)
        return (*parts, self.days, self.return_after, self.tourists, self.neighbours)

    def traffic(
        self, rng: random.Random, pool: list[Number], begin: float, days: float
    ) -> list[Iterable[Asks]]:
        """Its users in these days."""
        end = begin + days * DAY
        streams: list[Iterable[Asks]] = [
            people(rng, self.place, self.a_day, begin, end, self.conversion, pool)
        ]
        if self.neighbours:
            streams.append(people(rng, AT, 300, begin, end, pool=NEIGHBOURS_POOL))
        return [*streams, tourists(rng, begin, end)] if self.tourists else streams


@dataclass(frozen=True)
class Scenario:
    """A row.

    Attributes:
        name: What happens.
        home: Where.
        yesterday: What came beside them on the day before, which is not looked at.
        extra: What comes beside the site's users: streams of requests, from the day's begin.
        days: How long it is looked at.
        ends: Hours after the day's begin when an attack or outage is over; `None`: no recovery.
        users: What takes the place of the site's users.
        seeds: So many runs.
        bound: Which figure of the worst case holds for it, if it is not the table's.
    """

    name: str
    home: Home = Home()
    extra: Extra | None = None
    days: float = 1
    ends: float | None = None
    users: Users | None = None
    seeds: int = 1
    bound: str = ""
    yesterday: Extra | None = None


def tourists(rng: random.Random, begin: float, end: float) -> Iterator[Asks]:
    """50 people a day, from 40 countries."""
    places = [Place(country, 30) for country in VISITED]
    at = begin
    while (at := at + rng.expovariate(50 / DAY)) < end:
        yield Asks(at, rng.choice(places).person(rng), 0.7)


def pick(country: str, first: int, count: int) -> Picker:
    """Random numbers of so many prefixes."""
    return lambda rng: (country, first + rng.randrange(count), rng.getrandbits(40))


def spread(country: str, total: int, count: int) -> Picker:
    """Random numbers of so many of a country's prefixes, busy ones and others: where a part of its
    people is, as large as the part of the prefixes."""
    step = total // count
    return lambda rng: (country, step // 2 + step * rng.randrange(count), rng.getrandbits(40))


def sims(country: str, count: int, prefixes: int) -> Picker:
    """An attacker's own numbers, spread over so many prefixes."""
    own = [(country, number * prefixes // count, number) for number in range(count)]
    return lambda rng: rng.choice(own)


def raid(
    numbers: Picker,
    stages: Iterable[tuple[float, float]] = HALF_DAY,
    at: float = 8,
    *,
    enters: float = 0.0,
    first: int = 0,
    solves: bool = False,
    repeats: bool = False,
) -> Extra:
    """An attack on numbers, from that hour of the day on."""

    def extra(rng: random.Random, begin: float) -> list[Iterable[Asks]]:
        start, share = begin + at * HOUR, once_then(first, enters) if first else enters
        return [attack(rng, numbers, start, stages, enters=share, solves=solves, repeats=repeats)]

    return extra


def raids(*several: Extra) -> Extra:
    """Several attacks at once."""
    return lambda rng, begin: [stream for one in several for stream in one(rng, begin)]


def everywhere(
    hours: float, a_second: float, prefix: Callable[[random.Random], int], at: float
) -> Extra:
    """An attack on 120 countries."""

    def one(country: str) -> Picker:
        return lambda rng: (country, prefix(rng), rng.getrandbits(40))

    return raids(*(raid(one(c), ((hours, a_second),), at=at) for c in ATTACKED))


def once_then(first: int, then: float) -> Callable[[float], float]:
    """Enters the first so many codes, and that share of all others."""
    left = [first]

    def share(_: float) -> float:
        left[0] -= 1
        return 1.0 if left[0] >= 0 else then

    return share


def launch(place: Place, count: int, minutes: float, conversion: float) -> Extra:
    """A crowd at noon."""
    return lambda rng, begin: [crowd(rng, place, count, begin + 12 * HOUR, minutes, conversion)]


def outage(home: Home, hours: tuple[float, float]) -> Users:
    """The site's users; between these hours no code is entered."""

    def users(rng: random.Random, pool: list[Number], begin: float) -> list[Iterable[Asks]]:
        def conversion(at: float) -> float:
            inside = begin + hours[0] * HOUR <= at < begin + hours[1] * HOUR
            return 0.0 if inside else home.conversion

        end = begin + DAY
        return [people(rng, home.place, home.a_day, begin, end, conversion, pool)]

    return users


def changed(
    home: Home, conversion: Conversion, days: float, a_day: float, delay: float = 22.0
) -> Users:
    """The site's users, but so many, with another conversion, or slower."""

    def users(rng: random.Random, pool: list[Number], begin: float) -> list[Iterable[Asks]]:
        end = begin + days * DAY
        return [people(rng, home.place, a_day, begin, end, conversion, pool, delay)]

    return users


def outage_abroad(home: Home, hours: tuple[float, float]) -> Users:
    """The site's users; between these hours those of AT enter no codes."""

    def users(rng: random.Random, pool: list[Number], begin: float) -> list[Iterable[Asks]]:
        def conversion(at: float) -> float:
            return 0.0 if hours[0] <= (at - begin) / HOUR < hours[1] else 0.75

        end = begin + DAY
        return [
            people(rng, home.place, home.a_day, begin, end, home.conversion, pool),
            people(rng, AT, 300, begin, end, conversion, NEIGHBOURS_POOL),
        ]

    return users


COLD, BIG = Home(days=0), Home(a_day=20_000, days=3, return_after=0.5)
SMALL, TOURISTS = Home(a_day=100), Home(tourists=True)
NEIGHBOURS = Home(neighbours=True)
UNEVEN = Home(Place("DE", 1_500, crowd=True), return_after=5)
"""People crowd in few prefixes, come back seldom, and a tenth of those who do is not known yet."""
CALM = [
    *(Scenario(f"1,000/day, {c} entered", Home(conversion=c)) for c in (0.9, 0.6, 0.45)),
    *(
        Scenario(
            f"from the first request on, {c} entered, 3 days", Home(days=0, conversion=c), days=3
        )
        for c in (0.9, 0.6, 0.45)
    ),
    *(
        Scenario(f"first day, {n:,}/day", Home(days=0, a_day=n), seeds=2 if n < 100 else 1)
        for n in (10, 50, 1_000, 20_000)
    ),
    Scenario("first day, 20,000/day, 0.45 entered", Home(days=0, a_day=20_000, conversion=0.45)),
    Scenario("launch: 300 in 10 min, new country", extra=launch(XX, 300, 10, 0.75)),
    Scenario("launch: the same, 0.434 EUR (UZ)", extra=launch(UZ, 300, 10, 0.75)),
    Scenario("launch: the same, 60 prefixes (MT)", extra=launch(MT, 300, 10, 0.75)),
    Scenario("launch: the same, one prefix (FK)", extra=launch(FK, 300, 10, 0.75)),
    Scenario("TV ad: 5,000 in 10 min, new country", extra=launch(XX, 5_000, 10, 0.7)),
    Scenario("TV ad: the same, 0.434 EUR (UZ)", extra=launch(UZ, 5_000, 10, 0.7), seeds=2),
    Scenario("TV ad: the same, at home", extra=launch(DE, 5_000, 10, 0.7)),
    Scenario("flash sale: 2,000 in 15 min", extra=launch(DE, 2_000, 15, 0.75)),
    Scenario("holiday: 5,000 people instead of 1,000", users=changed(Home(), 0.75, 1, 5_000)),
    Scenario("50 tourists from 40 countries", TOURISTS),
    Scenario("outage: nobody can verify 10-12 h", users=outage(Home(), (10, 12)), ends=12, seeds=2),
    Scenario("outage: the same, 20,000/day", BIG, users=outage(BIG, (10, 12)), ends=12),
    Scenario(
        "outage: another country's 300/day, 10-14 h",
        NEIGHBOURS,
        users=outage_abroad(NEIGHBOURS, (10, 14)),
        ends=14,
    ),
    Scenario("codes arrive after 8 min", users=changed(Home(), 0.75, 1, 1_000, 480)),
    Scenario(
        "conversion falls from 0.8 to 0.5, 3 days",
        Home(conversion=0.8),
        days=3,
        users=changed(Home(), 0.5, 3, 1_000),
    ),
    *(
        Scenario(f"home {p.country}, {p.prefixes} prefixes", Home(p, n))
        for p, n in ((MT, 1_000), (IS, 1_000), (FO, 1_000), (FK, 50))
    ),
    Scenario(
        "10 prefixes, 0.45, from the first request on, 5 days",
        Home(TEN, conversion=0.45, days=0),
        days=5,
        seeds=3,
    ),
    Scenario("20,000 prefixes, 0.45 entered", Home(US, conversion=0.45)),
]
ABROAD = [
    Scenario(
        "UZ, one prefix, 9,000 numbers in 10 h",
        extra=raid(pick("UZ", 0, 1), ((10, 0.25),)),
        bound="prefix",
    ),
    Scenario("UZ, random numbers", extra=raid(pick("UZ", 0, 300))),
    Scenario(
        "MA, random, slow start and ramp, 12 h",
        extra=raid(pick("MA", 0, 300), [(3, 0.02), (3, 0.1), (6, 0.4)]),
    ),
    Scenario(
        "240,000 in 4 h over 5 countries",
        Home(a_day=1_700),
        extra=raids(
            *(raid(pick(c, 0, 300), ((1, 1.0), (3, 0.5))) for c in ("UZ", "MA", "TN", "ID", "AT"))
        ),
    ),
    Scenario(
        "120 countries, 20 numbers of one prefix each",
        TOURISTS,
        extra=everywhere(10, 20 / 36_000, lambda _: 40, 8),
        bound="abroad",
    ),
    Scenario(
        "trickle: UZ, one in 20 min, 3 days",
        days=3,
        extra=raid(pick("UZ", 0, 300), ((64, 1 / 1_200),)),
    ),
    Scenario(
        "trickle: 120 countries, one an hour each, 24 h",
        TOURISTS,
        extra=everywhere(24, 1 / 3_600, lambda rng: rng.randrange(100), 0),
        bound="abroad",
    ),
    *(
        Scenario(f"UZ, SIM bank enters {c:.0%}", extra=raid(pick("UZ", 0, 300), enters=c))
        for c in (0.2, 0.3)
    ),
    Scenario(
        "UZ, SIM bank enters 40%, one hour",
        extra=raid(pick("UZ", 0, 300), ((1, 1.0),), enters=0.4),
    ),
    Scenario(
        "UZ, 30 codes entered first",
        extra=raid(pick("UZ", 0, 300), first=30),
    ),
    Scenario(
        "UZ, 300 own SIMs, entered once, 3 days",
        days=3,
        extra=raid(sims("UZ", 300, 50), ((64, 0.035),), first=300, repeats=True),
    ),
    Scenario("UZ, attacker passes human checks", extra=raid(pick("UZ", 0, 300), solves=True)),
]
AT_HOME = [
    Scenario("the day after an attack on all prefixes", yesterday=raid(pick("DE", 0, 1_500))),
    Scenario("10 prefixes of nobody's", extra=raid(pick("DE", 1_500, 10)), ends=20, seeds=3),
    Scenario("10 of people's prefixes", extra=raid(spread("DE", 1_500, 10)), ends=20),
    Scenario("an operator of nobody's", extra=raid(pick("DE", 1_500, 300)), ends=20, seeds=3),
    Scenario(
        "a fifth of people's prefixes", extra=raid(spread("DE", 1_500, 300)), ends=20, seeds=3
    ),
    Scenario("all of people's prefixes", extra=raid(pick("DE", 0, 1_500)), ends=20, seeds=3),
    Scenario(
        "people crowd: an operator of nobody's",
        UNEVEN,
        extra=raid(pick("DE", 1_500, 300)),
        ends=20,
        seeds=2,
    ),
    Scenario(
        "people crowd: all of their prefixes",
        UNEVEN,
        extra=raid(pick("DE", 0, 1_500)),
        ends=20,
        seeds=2,
    ),
    Scenario(
        "all of people's prefixes, attacker passes human checks",
        extra=raid(pick("DE", 0, 1_500), solves=True),
        ends=20,
    ),
    Scenario(
        "all prefixes for 4 h, and the time after",
        seeds=2,
        extra=raid(pick("DE", 0, 1_500), ((1, 5.0), (3, 1.0))),
        ends=12,
    ),
    Scenario(
        "the same, 20,000/day",
        BIG,
        extra=raid(pick("DE", 0, 1_500), ((1, 5.0), (3, 1.0))),
        ends=12,
    ),
    Scenario(
        "20,000/day, an operator of nobody's",
        BIG,
        extra=raid(pick("DE", 1_500, 300)),
        ends=20,
    ),
    Scenario(
        "20,000/day, a fifth of the prefixes",
        BIG,
        extra=raid(spread("DE", 1_500, 300)),
        ends=20,
    ),
    Scenario(
        "20,000 prefixes, others attacked", Home(US), extra=raid(pick("US", 20_000, 5_000)), ends=20
    ),
    Scenario(
        "20,000 prefixes, all attacked",
        Home(US),
        extra=raid(pick("US", 0, 20_000)),
        ends=20,
    ),
    Scenario(
        "100/day, a fifth of the prefixes",
        SMALL,
        extra=raid(spread("DE", 1_500, 300)),
        ends=20,
        seeds=2,
    ),
    Scenario("MT, half of its 60 prefixes", Home(MT), extra=raid(spread("MT", 60, 30)), ends=20),
    Scenario(
        "all prefixes, one in 30 s (denial)",
        extra=raid(pick("DE", 0, 1_500), ((12, 1 / 30),)),
        ends=20,
    ),
    Scenario(
        "trickle: 30/h, an operator of nobody's, 7 days",
        days=7,
        extra=raid(pick("DE", 1_500, 300), ((160, 1 / 120),)),
    ),
    Scenario(
        "trickle: 30/h, people's prefixes, 7 days",
        days=7,
        extra=raid(DE.person, ((160, 1 / 120),)),
    ),
    Scenario(
        "all prefixes, SIM bank enters 20%",
        extra=raid(pick("DE", 0, 1_500), enters=0.2),
        ends=20,
    ),
    Scenario(
        "first day, home attacked from 2 h on",
        COLD,
        extra=raid(pick("DE", 0, 1_500), ((12, 1.0),), at=2),
        ends=14,
    ),
    Scenario(
        "first day, UZ attacked from 2 h on",
        COLD,
        extra=raid(pick("UZ", 0, 300), ((12, 1.0),), at=2),
    ),
    Scenario(
        "two at once: UZ one prefix, home a fifth",
        extra=raids(raid(pick("UZ", 0, 1)), raid(spread("DE", 1_500, 300))),
        ends=20,
    ),
    Scenario("people's busiest prefix, of 13 a day", extra=raid(pick("DE", 0, 1))),
    Scenario(
        "50 own SIMs, entered once (denial of known)",
        extra=raid(sims("DE", 50, 1_500), ((12, 0.07),), first=50, repeats=True),
    ),
]
