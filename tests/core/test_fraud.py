"""The rule against SMS pumping: its arithmetic in tables, and the bound that no attack exceeds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from hypothesis import given, settings, strategies as st

from otpverify.core.fraud import (
    DAY,
    EMPTY,
    SHARE,
    Charge,
    Group,
    Overdrawn,
    Rates,
    Record,
    Records,
    Request,
    charge,
    country_terms,
    credit,
    prefix_of,
    prefix_terms,
    refund,
    world_terms,
)
from otpverify.core.fraud_policy import FraudPolicy

RATES = Rates(10.0, 1 / 3)
CENTS = 0.1
T0 = 10 * DAY
HOUR = DAY // 24


def records(
    prefix: tuple[float, ...] = (0.0, 0.0),
    country: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0),
    world: tuple[float, ...] = (0.0, 0.0),
    *,
    earned: tuple[float, float, float] = (0.0, 0.0, 0.0),
    at: int = T0,
) -> Records:
    return Records(
        Record(at, earned[0], prefix), Record(at, earned[1], country), Record(at, earned[2], world)
    )


def balances(state: Records) -> list[list[float]]:
    return [[round(balance, 9) for balance in record.balances] for record in state]


@pytest.mark.parametrize(
    ("e164", "prefix"),
    [
        ("+4915112345678", "+4915112"),
        ("+12025550123", "+1202555"),
        ("+37256789045", "+3725678"),
        ("+50012345", "+5001"),  # the Falkland Islands: one prefix, never the last four digits
        ("+2904123", "+290"),
        ("+123456789012345", "+1234567"),
    ],
)
def test_a_prefix_is_seven_digits_and_none_of_the_last_four(e164: str, prefix: str) -> None:
    assert prefix_of(e164) == prefix


@pytest.mark.parametrize(
    ("earned", "limit"), [(0, 8), (16, 8), (20, 10), (1000, 500)], ids=lambda value: str(value)
)
def test_the_terms_of_a_prefix(earned: float, limit: float) -> None:
    assert prefix_terms(earned) == (limit, limit, limit)


@pytest.mark.parametrize(
    ("earned", "group", "limit", "most", "forgiven"),
    [
        (0, Group.NEW, 5, 0, 5),
        (0, Group.PROVEN, 5, 5, 5),
        (0, Group.HUMAN, 5, 5, 5),
        (0, Group.KNOWN, 15, 15, 15),
        (400, Group.PROVEN, 5, 5, 6),
        (2000, Group.PROVEN, 10, 10, 30),
        (2000, Group.NEW, 10, 0, 30),
        (2000, Group.KNOWN, 30, 30, 90),
    ],
)
def test_the_terms_of_a_country(
    earned: float, group: Group, limit: float, most: float, forgiven: float
) -> None:
    assert country_terms(earned, RATES, group) == pytest.approx((limit, most, forgiven))


@pytest.mark.parametrize(("earned", "limit"), [(0, 10), (1000, 10), (2000, 20)])
def test_the_terms_of_the_world(earned: float, limit: float) -> None:
    assert world_terms(earned, RATES) == pytest.approx((limit, 0, limit))


# --- who pays ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "request_", "paid", "after"),
    [
        # A new prefix: the country's account is in debt then, so the world pays, too.
        (
            records(),
            Request(0.1),
            Charge(Group.NEW, True),
            [[-1, 0], [-0.1, 0, 0, 0], [-0.1, 0]],
        ),
        # The country has credit: the world pays nothing.
        (
            records(prefix=(1.0, 0), country=(0, 0.1, 0, 0)),
            Request(0.1),
            Charge(Group.PROVEN, False),
            [[0, 0], [0, 0, 0, 0], [0, 0]],
        ),
        # Nor does it for a country that owes less than a tenth of a day's entered codes.
        (
            records(earned=(0, 1.1, 0)),
            Request(0.1),
            Charge(Group.NEW, False),
            [[-1, 0], [-0.1, 0, 0, 0], [0, 0]],
        ),
        (
            records(earned=(0, 0.9, 0)),
            Request(0.1),
            Charge(Group.NEW, True),
            [[-1, 0], [-0.1, 0, 0, 0], [-0.1, 0]],
        ),
        # A prefix with a credit of one message is proven.
        (
            records(prefix=(1.0, 0)),
            Request(0.1),
            Charge(Group.PROVEN, True),
            [[0, 0], [0, -0.1, 0, 0], [-0.1, 0]],
        ),
        (
            records(prefix=(0.99, 0)),
            Request(0.1),
            Charge(Group.NEW, True),
            [[-0.01, 0], [-0.1, 0, 0, 0], [-0.1, 0]],
        ),
        # Those who passed a human check have accounts of their own everywhere.
        (
            records(prefix=(8.0, 0), country=(1, 1, 0, 1)),
            Request(0.1, human=True, known=True),
            Charge(Group.HUMAN, True),
            [[8, -1], [0, 1, -0.1, 1], [0, -0.1]],
        ),
        # A known number's prefix and world pay nothing.
        (
            records(prefix=(-8.0, 0), world=(-15, 0)),
            Request(0.1, known=True),
            Charge(Group.KNOWN, False),
            [[-8, 0], [0, 0, 0, -0.1], [-15, 0]],
        ),
        # A message of several segments, in the most expensive country: once from 0.
        (
            records(),
            Request(7.0),
            Charge(Group.NEW, True),
            [[-1, 0], [-7, 0, 0, 0], [-7, 0]],
        ),
    ],
)
def test_which_accounts_pay(
    before: Records, request_: Request, paid: Charge, after: list[list[float]]
) -> None:
    answer, new = charge(before, request_, RATES, T0)
    assert answer == paid
    assert balances(new) == after


@pytest.mark.parametrize(
    ("before", "request_", "reason", "hours"),
    [
        (records(prefix=(-7.5, 0)), Request(0.1), "prefix", 0.5 / 8 * 24),
        (records(prefix=(0, -8)), Request(0.1, human=True), "prefix", 1 / 8 * 24),
        (records(prefix=(-8, 0), world=(-7.5, 0)), Request(0.1, human=False), "prefix", 3),
        (records(country=(-4.95, 0, 0, 0)), Request(0.1), "country", 1),  # the mark is forgiven
        (
            records(prefix=(3.0, 0), country=(0, -5, 0, 0)),
            Request(0.1),
            "country",
            0.1 / 5 * 24,
        ),
        (records(country=(0, 0, 0, -15)), Request(0.3, known=True), "country", 0.3 / 15 * 24),
        (records(country=(0, 0, -5, 0)), Request(0.1, human=True), "country", 0.1 / 5 * 24),
        (records(prefix=(5, 0), world=(-10, 0)), Request(0.3), "world", 0.3 / 10 * 24),
        (records(world=(-10, 0)), Request(0.3), "world", 3),
        (records(world=(0, -10)), Request(0.3, human=True), "world", 0.3 / 10 * 24),
        # A new prefix that owes something leaves a reserve to others.
        (
            records(prefix=(-3, 0), country=(-4, 0, 0, 0)),
            Request(0.1),
            "country",
            0.1 / 5 * 24,
        ),
        (records(prefix=(-0.1, 0), world=(-8, 0)), Request(0.1), "world", 0.1 / 10 * 24),
        # Where codes were entered, no mark has to be forgiven, but what is owed has.
        (
            records(prefix=(0.5, 0), country=(-5, 0, 0, 0), earned=(1, 0, 0)),
            Request(0.1),
            "country",
            0.1 / 5 * 24,
        ),
        (
            records(prefix=(-0.5, 0), country=(-5, 0, 0, 0), earned=(1, 0, 0)),
            Request(0.1),
            "country",
            0.5 / 8 * 24,
        ),
    ],
)
def test_what_refuses_and_for_how_long(
    before: Records, request_: Request, reason: str, hours: float
) -> None:
    answer, state = charge(before, request_, RATES, T0)
    assert isinstance(answer, Overdrawn)
    assert answer.reason == reason
    assert answer.retry_in / HOUR == pytest.approx(hours, abs=1e-6)
    early, _ = charge(state, request_, RATES, T0 + answer.retry_in - 1000)
    assert isinstance(early, Overdrawn)
    late, _ = charge(state, request_, RATES, T0 + answer.retry_in)
    assert isinstance(late, Charge)


def test_prefixes_that_owe_nothing_have_the_reserve() -> None:
    country = records(country=(-4.5, 0, 0, 0))
    assert isinstance(charge(country, Request(0.1), RATES, T0)[0], Charge)
    world = records(world=(-9.5, 0))
    assert isinstance(charge(world, Request(0.1), RATES, T0)[0], Charge)


@pytest.mark.parametrize(
    ("owns", "by_country", "by_world"),
    [
        (5.0, 4.0, 4.0),  # proven: a prefix in which many ask soon is so no longer
        (1.0, 0.0, 0.0),
        (0.9, -1 / 3, -1.0),
        (0.0, -1 / 3, -1.0),
        (-0.1, -1 / 3, -1.0),
        (-0.31, -0.31, -1.0),  # not worth a write
        (-0.97, -0.97, -0.97),
        (-3.0, -3.0, -3.0),
    ],
)
def test_a_refusal_takes_nothing_but_marks_its_prefix(
    owns: float, by_country: float, by_world: float
) -> None:
    for before, left in (
        (records((owns, 0.0), (-5.0, -5.0, 0.0, 0.0)), by_country),
        (records((owns, 0.0), world=(-15.0, 0.0)), by_world),
    ):
        answer, after = charge(before, Request(0.1), RATES, T0)
        assert isinstance(answer, Overdrawn)
        assert after.prefix.balances == (left, 0.0)
        assert (after.country, after.world) == (before.country, before.world)


@pytest.mark.parametrize("owns", [0.9, 0.0, -3.0])
def test_a_refusal_leaves_no_mark_where_codes_were_entered(owns: float) -> None:
    """Otherwise an attack on all prefixes would refuse their people for an hour after it."""
    for before in (
        records((owns, 0.0), (-5.0, 0.0, 0.0, 0.0), earned=(0.01, 0.0, 0.0)),
        records((owns, 0.0), world=(-10.0, 0.0), earned=(0.01, 0.0, 0.0)),
    ):
        answer, after = charge(before, Request(0.1), RATES, T0)
        assert isinstance(answer, Overdrawn)
        assert after == before


@pytest.mark.parametrize(("reason", "hours"), [("country", 1), ("world", 3)])
def test_a_mark_is_forgiven(reason: str, hours: float) -> None:
    full = records(country=(-4.9, 0, 0, 0)) if reason == "country" else records(world=(-15.0, 0))
    answer, marked = charge(full, Request(0.2), RATES, T0)
    assert isinstance(answer, Overdrawn)
    for part, owes in ((0.99, True), (1.01, False)):
        at = T0 + int(part * hours * HOUR)
        prefix = refund(marked, Charge(Group.HUMAN, False), 0.0, RATES, at).prefix
        assert (prefix.balances[0] < 0) is owes


@pytest.mark.parametrize(
    ("prefix", "country", "world", "reason"),
    [
        (-7.5, -5, 0, "prefix"),
        (-7.1, -5, 0, "country"),
        (-7.5, -4.99, 0, "prefix"),
        (0, -5, -9.97, "country"),
        (0, -4.93, -10, "world"),
        (-7.05, -4.93, -10, "world"),
        (-7.9, -5, -10, "prefix"),
    ],
)
def test_of_several_refusals_the_longest_counts(
    prefix: float, country: float, world: float, reason: str
) -> None:
    # Of those who passed a human check, who may use all of a limit.
    before = records(prefix=(0, prefix), country=(0, 0, country, 0), world=(0, world))
    answer, after = charge(before, Request(0.1, human=True), RATES, T0)
    assert isinstance(answer, Overdrawn)
    assert answer.reason == reason
    assert after == before
    early, _ = charge(before, Request(0.1, human=True), RATES, T0 + answer.retry_in - 1000)
    assert isinstance(early, Overdrawn)
    assert early.reason == reason
    late, _ = charge(before, Request(0.1, human=True), RATES, T0 + answer.retry_in)
    assert isinstance(late, Charge)


@given(
    st.floats(-8, 2),
    st.floats(-5, 0),
    st.floats(-10, 0),
    st.sampled_from([0.001, 0.1, 0.434, 1.3]),
    st.booleans(),
)
def test_who_waits_as_long_as_is_said_is_admitted_by_all(
    prefix: float, country: float, world: float, price: float, human: bool
) -> None:
    before = records(
        prefix=(prefix, prefix), country=(country, country, country, 0), world=(world, world)
    )
    request_ = Request(price, human=human)
    answer, after = charge(before, request_, RATES, T0)
    if isinstance(answer, Overdrawn):
        # One millisecond for what doubles cannot hold.
        late, _ = charge(after, request_, RATES, T0 + answer.retry_in + 1)
        assert isinstance(late, Charge)


@pytest.mark.parametrize(
    ("before", "request_"),
    [
        (records(prefix=(-8, 0)), Request(0.1)),
        (records(country=(0, 0, -5, 0)), Request(0.1, human=True)),
        (records(country=(0, 0, 0, -15)), Request(0.1, known=True)),
    ],
)
def test_other_refusals_change_nothing(before: Records, request_: Request) -> None:
    answer, after = charge(before, request_, RATES, T0)
    assert isinstance(answer, Overdrawn)
    assert after == before


# --- what comes back -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paid", "after", "earned"),
    [
        (Charge(Group.NEW, True), [[3, 0], [-0.7, 0, 0, 0], [-0.7, -1]], (1, 0.1, 0.1)),
        (Charge(Group.NEW, False), [[3, 0], [-0.7, 0, 0, 0], [-1, -1]], (1, 0.1, 0.1)),
        (Charge(Group.PROVEN, True), [[3, 0], [-1, 0.3, 0, 0], [-0.7, -1]], (1, 0.1, 0.1)),
        (Charge(Group.HUMAN, True), [[0, 3], [-1, 0, 0.3, 0], [-1, -0.7]], (1, 0.1, 0.1)),
        # Known numbers' codes fill their own account alone: strangers could live off them.
        (Charge(Group.KNOWN, False), [[0, 0], [-1, 0, 0, 0.3], [-1, -1]], (0, 0.1, 0.1)),
    ],
)
def test_a_right_code_gives_back_to_those_that_paid(
    paid: Charge, after: list[list[float]], earned: tuple[float, ...]
) -> None:
    before = records(country=(-1, 0, 0, 0), world=(-1, -1))
    new = credit(before, paid, 0.1, RATES, T0)
    assert balances(new) == after
    assert tuple(record.earned for record in new) == earned


@pytest.mark.parametrize(
    ("group", "most"), [(Group.NEW, 0), (Group.PROVEN, 5), (Group.HUMAN, 5), (Group.KNOWN, 15)]
)
def test_credit_ends_at_the_limit(group: Group, most: float) -> None:
    state = records()
    paid = Charge(group, group is not Group.KNOWN)
    place = int(group is Group.HUMAN)
    for _ in range(9):
        state = credit(state, paid, 2.0, RATES, T0)
    assert state.country.balances[group] == most
    assert state.prefix.balances[place] == (0 if group is Group.KNOWN else 8)
    assert state.world.balances == (0, 0)


def test_a_message_that_was_not_sent_comes_back_whole() -> None:
    for price, request_ in (
        (0.2, Request(0.2)),
        (0.2, Request(0.2, known=True)),
        (0.2, Request(0.2, human=True)),
        # Dearer than all that the account may owe.
        (40.0, Request(40.0, known=True)),
    ):
        before = records(prefix=(2.5, -1), country=(-1, 0.5, -2, 3), world=(-3, 0))
        paid, after = charge(before, request_, RATES, T0)
        assert isinstance(paid, Charge)
        assert after != before
        back = refund(after, paid, price, RATES, T0)
        assert balances(back) == balances(before)
        assert [record.earned for record in back] == [0, 0, 0]


@given(
    st.sampled_from(Group),
    st.floats(0.01, 100),
    st.floats(-20, 20),
    st.booleans(),
    st.sampled_from([1 / 3, 1.0]),
)
def test_no_refund_leaves_more_than_there_was(
    group: Group, price: float, had: float, between: bool, conversion: float
) -> None:
    """Also of a message that is dearer than what an account may owe, and if another message is
    charged before it comes back: writing the record cuts debts to the limit. Nor does a right code,
    where every message is expected to be answered."""
    rates = Rates(10.0, conversion)
    country = tuple(had if one is group else 0.0 for one in Group)
    before = records((1.0 if group is Group.PROVEN else 0.0, 0.0), country)
    request_ = Request(price, known=group is Group.KNOWN, human=group is Group.HUMAN)
    had = max(0.0, min(had, country_terms(0.0, rates, group).credit)) if had > 0 else had
    paid, after = charge(before, request_, rates, T0)
    if not isinstance(paid, Charge):
        return
    if between:
        another = Request(0.01, human=group is not Group.HUMAN)
        answer, after = charge(after, another, rates, T0)
        assert isinstance(answer, Charge)
    assert refund(after, paid, price, rates, T0).country.balances[group] <= had + 1e-9
    if conversion == 1.0:
        most = max(had, SHARE * price)  # the limit is wider by that
        assert credit(after, paid, price, rates, T0).country.balances[group] <= most + 1e-9


# --- by time -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "prefix", "country", "world"),
    [
        (0, -8, -5, -10),
        (3, -7, -4.375, -8.75),
        (12, -4, -2.5, -5),
        (24, 0, 0, 0),
        (2400, 0, 0, 0),
        (-24, -8, -5, -10),  # a clock that was set back makes no days
    ],
)
def test_debts_are_forgiven_in_a_day(
    hours: float, prefix: float, country: float, world: float
) -> None:
    before = records((-8, -8), (-5, -5, -5, -15), (-15, -15))
    # Reading is writing: a refund of nothing brings all accounts up to date.
    state = refund(before, Charge(Group.HUMAN, True), 0.0, RATES, T0 + int(hours * HOUR))
    human = prefix + 1  # its own message came back
    assert balances(state) == [
        [prefix, min(8, human)],
        [country, country, country, 3 * country],
        [world, world],
    ]


@pytest.mark.parametrize(("days", "left"), [(0, 5.0), (0.5, 2.5), (1, 0), (9, 0)])
def test_credit_in_money_lapses_in_a_day(days: float, left: float) -> None:
    before = records(country=(1, 5, 5, 15), world=(15, 15))
    state = refund(before, Charge(Group.HUMAN, True), 0.0, RATES, T0 + int(days * DAY))
    assert balances(state)[1:] == [
        [0, left, left, 3 * left],  # new prefixes and the world have none
        [0, 0],
    ]


@pytest.mark.parametrize(("days", "left"), [(0, 8.0), (90, 8 / math.e), (900, 8 / math.e**10)])
def test_the_credit_of_a_prefix_fades_slowly(days: int, left: float) -> None:
    state = refund(records(prefix=(8, 0)), Charge(Group.HUMAN, True), 0.0, RATES, T0 + days * DAY)
    assert state.prefix.balances[0] == pytest.approx(left)


def test_limits_shrink_and_debts_with_them() -> None:
    """Otherwise an account would stay below its limit for good, as after an outage."""
    busy = records((-500, 0), (-50, 0, 0, 0), (-150, 0), earned=(1000, 10_000, 10_000))
    answer, _ = charge(busy, Request(0.1), RATES, T0)
    assert isinstance(answer, Overdrawn)
    calm = T0 + 2 * DAY
    answer, state = charge(busy, Request(0.1), RATES, calm)
    assert isinstance(answer, Charge)
    assert state.prefix.balances[0] >= -prefix_terms(state.prefix.earned).limit


def test_what_is_earned_fades_to_a_third_in_a_day() -> None:
    paid = Charge(Group.NEW, True)
    state = credit(records(), paid, 1.0, RATES, T0)
    state = credit(state, paid, 1.0, RATES, T0 + DAY)
    assert [record.earned for record in state] == [pytest.approx(1 + 1 / math.e)] * 3


# --- the bound -----------------------------------------------------------------------------


@dataclass
class Site:
    """The accounts of a site, and what it lost. `price` is that of every country."""

    price: float = CENTS
    now: int = T0
    prefixes: dict[tuple[str, int], Record] = field(default_factory=dict)
    countries: dict[str, Record] = field(default_factory=dict)
    world: Record = EMPTY.world
    lost: dict[str, float] = field(default_factory=dict)
    lost_in: dict[tuple[str, int], int] = field(default_factory=dict)

    def of(self, country: str, prefix: int) -> Records:
        return Records(
            self.prefixes.get((country, prefix), EMPTY.prefix),
            self.countries.get(country, EMPTY.country),
            self.world,
        )

    def keep(self, country: str, prefix: int, new: Records) -> None:
        self.prefixes[country, prefix], self.countries[country], self.world = new

    def start(self, country: str, prefix: int, *, known: bool = False) -> Charge | None:
        request = Request(self.price, known=known)
        answer, new = charge(self.of(country, prefix), request, RATES, self.now)
        self.keep(country, prefix, new)
        return answer if isinstance(answer, Charge) else None

    def attack(self, country: str, prefix: int, *, known: bool = False) -> None:
        if self.start(country, prefix, known=known) is not None:
            self.lost[country] = self.lost.get(country, 0) + self.price
            place = (country, prefix)
            self.lost_in[place] = self.lost_in.get(place, 0) + 1

    def person(self, country: str, prefix: int, *, known: bool) -> None:
        """Asks, and enters the code."""
        paid = self.start(country, prefix, known=known)
        if paid is not None:
            new = credit(self.of(country, prefix), paid, self.price, RATES, self.now)
            self.keep(country, prefix, new)


BURSTS = st.lists(
    st.tuples(
        st.integers(1, 400),  # messages
        st.integers(0, 4 * HOUR),  # milliseconds before them
        st.integers(1, 60),  # countries
        st.integers(1, 200),  # prefixes in each
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(BURSTS, st.sampled_from([0.04, 0.1, 0.434, 3.0]))
def test_no_strategy_abroad_costs_more_than_the_worst_case(
    bursts: list[tuple[int, int, int, int]], price: float
) -> None:
    site, begin = Site(price=price), T0
    for messages, pause, countries, prefixes in bursts:
        site.now += pause
        for number in range(messages):
            site.attack(f"C{number % countries}", number // countries % prefixes)
    days = max(1, math.ceil((site.now - begin) / DAY))
    worst = FraudPolicy(mode="enforce").worst_case(price_abroad=_decimal(price))
    for lost, bound in (
        (max(site.lost.values(), default=0), worst.country),
        (sum(site.lost.values()), worst.abroad),
        (max(site.lost_in.values(), default=0) * price, worst.prefix),
    ):
        assert lost <= float(bound.first_day + (days - 1) * bound.further_day) + 1e-6


@settings(max_examples=40, deadline=None)
@given(BURSTS, st.integers(0, 40), st.integers(1, 60), st.integers(0, 2**32))
def test_no_strategy_at_home_costs_more_than_the_worst_case(
    bursts: list[tuple[int, int, int, int]], people: int, theirs: int, seed: int
) -> None:
    """People come between the bursts, and all of them enter their codes."""
    site = Site()
    for day in range(3):  # a history, so that there is credit and there are proven prefixes
        for number in range(people * 4):
            site.person("DE", number % theirs, known=False)
            site.now += DAY // (people * 4 + day)
    begin, strangers = site.now, people * 4
    for messages, pause, _, prefixes in bursts:
        site.now += pause
        for number in range(messages):
            site.attack("DE", (number * 7 + seed) % prefixes)
            if number * len(bursts) % 400 < people // 4:
                site.person("DE", number % theirs, known=False)
                strangers += 1
    days = max(1, math.ceil((site.now - begin) / DAY))
    worst = FraudPolicy(mode="enforce").worst_case(strangers_per_day=strangers)
    assert sum(site.lost.values()) <= float(days * worst.home_patient.first_day)


@settings(max_examples=40, deadline=None)
@given(BURSTS, st.integers(0, 400), st.integers(0, 3), st.booleans())
def test_no_strategy_on_known_numbers_costs_more_than_the_worst_case(
    bursts: list[tuple[int, int, int, int]], people: int, share: int, strangers: bool
) -> None:
    """People come before the bursts and in them, known ones and strangers. Known numbers are
    attacked, and strangers, too."""
    site, known = Site(), 0
    for number in range(people):
        site.person("DE", number % 20, known=True)
    for messages, pause, _, prefixes in bursts:
        site.now += pause
        for number in range(messages):
            site.attack("DE", number % prefixes, known=True)
            if strangers:
                site.attack("DE", number % prefixes)
            if number % 4 < share:
                site.person("DE", number % 20, known=True)
                known += 1
    days = max(1, math.ceil((site.now - T0) / DAY))
    worst = FraudPolicy(mode="enforce").worst_case(known_per_day=people + known)
    assert sum(site.lost.values()) <= float(days * worst.home_patient.first_day)


def test_a_patient_attacker_lives_off_the_codes_of_known_numbers() -> None:
    site, people = Site(), 1_000
    for _ in range(people):
        site.person("DE", 0, known=True)
        site.attack("DE", 0, known=True)
        site.attack("DE", 0, known=True)
        site.now += DAY // people
    worst = FraudPolicy(mode="enforce").worst_case(known_per_day=people)
    assert worst.home.first_day < sum(site.lost.values()) <= worst.home_patient.first_day


def _decimal(price: float) -> Decimal:
    return Decimal(str(price))
