"""The whole charge of a message: what refuses first, what changes, and what comes back."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st

from otpverify.core.answers import Refusal, Refused
from otpverify.core.caps import Cap, Full
from otpverify.core.fraud import DAY, Charge, Group, Overdrawn, Rates, Record, Request
from otpverify.core.fraud_ledger import (
    BILLS,
    SPEND,
    TOTAL,
    Bill,
    Bills,
    Charged,
    Counted,
    Credited,
    FraudKey,
    Kept,
    KnownNumber,
    Ledger,
    Rules,
    charge,
    credit,
    key_of,
    lifetime,
    millionths,
    names,
    refund,
    unlock,
)
from otpverify.core.fraud_policy import FraudPolicy, SpendLimit
from otpverify.core.keys import Keyring, Subject
from otpverify.core.limits import Limit
from otpverify.core.policy import Policy
from otpverify.core.state import CounterState, Retention
from otpverify.core.traffic import Counts, Tally, total

T0 = 1_000 * DAY
HOUR = DAY // 24
CAPS = (Cap(TOTAL, 3, HOUR), Cap(SPEND, millionths(1), DAY))
LIMITS = (Limit(2, 60),)
RULES = Rules(Rates(10.0, 1 / 3), 90 * DAY, 660_000, CAPS, LIMITS)
KEY = FraudKey("prefix", "EE", "number", "challenge", "network")
MONEY = Request(0.4)

FULL_NETWORK = CounterState((T0 - 2, T0 - 1), Retention(60_000, 2), T0 + 60_000)
FULL_CAP = Counted(((T0 * 60 // HOUR, 3.0),), T0 + 2 * HOUR)
FULL_PREFIX = Kept(Record(T0, 0.0, (-8.0, 0.0)), T0 + DAY)
FULL_COUNTRY = Kept(Record(T0, 0.0, (-5.0, -5.0, -5.0, -15.0)), T0 + DAY)
TRUSTED = KnownNumber(1, T0 + DAY)


def ledger(**given: Any) -> Ledger:
    return Ledger(caps=given.pop("caps", (None, None)), **given)


@pytest.mark.parametrize(
    ("given", "refuses"),
    [
        ({"network": FULL_NETWORK, "caps": (FULL_CAP, None), "prefix": FULL_PREFIX}, "network"),
        ({"caps": (FULL_CAP, None), "prefix": FULL_PREFIX}, "cap"),
        ({"prefix": FULL_PREFIX}, "accounts"),
        ({"country": FULL_COUNTRY}, "accounts"),
        ({}, None),
    ],
)
def test_what_refuses_first(given: dict[str, Any], refuses: str | None) -> None:
    before = ledger(**given)
    answer, after = charge(before, KEY, MONEY, RULES, T0)
    kinds = {"network": Refused, "cap": Full, "accounts": Overdrawn, None: Charged}
    assert type(answer) is kinds[refuses]
    if refuses is not None:
        assert after.tally is not None
        assert after.tally.current == Counts(refused=1)
        after = after._replace(tally=None)
        assert after._replace(prefix=None) == before._replace(prefix=None)
    if refuses in ("network", "cap"):
        assert after == before


def test_a_charge_counts_everywhere() -> None:
    answer, after = charge(ledger(number=TRUSTED), KEY, MONEY, RULES, T0)
    paid = Charge(Group.KNOWN, False)
    assert answer == Charged(T0, paid, None, (), T0, raised=True, bill=T0)
    assert after.number == KnownNumber(2, TRUSTED.expires)
    assert after.bills == Bills((Bill(paid, 0.4, None, T0 + 660_000, T0),))
    assert after.network is not None
    assert after.network.log == (T0,)
    assert [counted.parts[0][1] for counted in after.caps if counted] == [1, 400_000]
    assert after.country is not None
    assert after.country.record.balances == (0, 0, 0, -0.4)


@pytest.mark.parametrize(
    ("request_", "given", "group"),
    [
        (MONEY, {}, Group.NEW),
        (MONEY, {"number": TRUSTED}, Group.KNOWN),
        (MONEY, {"number": KnownNumber(2, T0 + 1)}, Group.KNOWN),
        (MONEY, {"number": KnownNumber(3, T0 + 1)}, Group.NEW),
        (Request(0.4, known=True), {"number": KnownNumber(9, T0 + 1)}, Group.KNOWN),
        (Request(0.4, known=True), {}, Group.KNOWN),
        (Request(0.4, known=True, human=True), {"number": TRUSTED}, Group.HUMAN),
        (Request(0.4, concealed=True), {"number": TRUSTED}, Group.NEW),
        (Request(0.4, known=True, concealed=True), {"number": TRUSTED}, Group.NEW),
        (Request(0.4, human=True, concealed=True), {"number": TRUSTED}, Group.HUMAN),
    ],
)
def test_whose_account_pays(request_: Request, given: dict[str, Any], group: Group) -> None:
    answer, after = charge(ledger(**given), KEY, request_, RULES, T0)
    assert isinstance(answer, Charged)
    assert answer.paid is not None
    assert answer.paid.group is group
    assert answer.raised is ("number" in given and not request_.concealed)
    if "number" in given:
        assert after.number is not None
        assert after.number.unanswered == given["number"].unanswered + answer.raised


@pytest.mark.parametrize(
    ("key", "rules"),
    [(KEY._replace(number=""), RULES), (KEY, RULES._replace(trusted=0))],
    ids=["no number", "nobody is known"],
)
def test_numbers_that_nothing_is_kept_of(key: FraudKey, rules: Rules) -> None:
    answer, after = charge(ledger(number=TRUSTED), key, MONEY, rules, T0)
    assert isinstance(answer, Charged)
    assert (answer.paid, answer.raised) == (Charge(Group.NEW, True), False)
    assert after.number == TRUSTED
    assert credit(ledger(), key, rules, T0)[1].number is None


@pytest.mark.parametrize(
    ("key", "rules"),
    [(KEY._replace(network=""), RULES), (KEY, RULES._replace(sends_per_ip=()))],
    ids=["no address", "no limits"],
)
def test_networks_that_are_not_counted(key: FraudKey, rules: Rules) -> None:
    answer, after = charge(ledger(network=FULL_NETWORK), key, MONEY, rules, T0)
    assert isinstance(answer, Charged)
    assert answer.network is None
    assert after.network == FULL_NETWORK


def test_forced_messages_meet_caps_and_networks_alone() -> None:
    forced = MONEY._replace(forced=True)
    poor = {"prefix": FULL_PREFIX, "country": FULL_COUNTRY}
    answer, _ = charge(ledger(**poor), KEY, forced, RULES, T0)
    assert isinstance(answer, Charged)
    assert answer.would_refuse is None
    assert isinstance(charge(ledger(caps=(FULL_CAP, None)), KEY, forced, RULES, T0)[0], Full)
    refused, _ = charge(ledger(network=FULL_NETWORK), KEY, forced, RULES, T0)
    assert isinstance(refused, Refused)
    assert refused.refusal is Refusal.NETWORK


def test_what_is_forced_is_counted_for_as_long_as_there_is_room() -> None:
    forced, state, paid = Request(0.1, forced=True), Ledger(), []
    rules = RULES._replace(caps=(), sends_per_ip=())
    for _ in range(300):
        answer, state = charge(state, KEY, forced, rules, T0)
        assert isinstance(answer, Charged)
        assert answer.would_refuse is None
        paid.append(answer.paid)
    assert paid == [Charge(Group.NEW, False)] * 8 + [None] * 292
    assert state.tally is not None
    assert state.tally.current == Counts(sent=300, cost=30_000_000)


POOR_PREFIX = Kept(Record(T0, 0.0, (-8.0, -8.0)), T0 + DAY)
POOR = [
    {"prefix": POOR_PREFIX},
    {"country": FULL_COUNTRY},
    {"country": Kept(Record(T0, 0.0, (-4.9, -4.9, -4.9, -14.9)), T0 + DAY)},
    {"prefix": Kept(Record(T0, 2.0, (1.0, 1.0)), T0 + DAY), "country": FULL_COUNTRY},
    {"prefix": POOR_PREFIX, "country": FULL_COUNTRY, "number": TRUSTED},
]


@pytest.mark.parametrize("given", POOR)
@pytest.mark.parametrize("human", [False, True])
def test_what_is_forced_and_comes_back_makes_no_money(given: dict[str, Any], human: bool) -> None:
    before = state = ledger(**given)
    forced = Request(0.2, human=human, forced=True)
    for _ in range(20):
        answer, state = charge(state, KEY, forced, RULES, T0)
        assert isinstance(answer, Charged)
        assert (answer.paid, answer.would_refuse) == (None, None)
        state = refund(state, answer, forced.price, RULES, T0)
        assert state[:3] == before[:3]
    _, state = charge(state, KEY, forced, RULES, T0)
    assert state.bills == Bills((Bill(None, 0.2, None, T0 + 660_000, T0),))
    credited, state = credit(state, KEY, RULES, T0)
    assert credited == Credited(None)
    assert state[:3] == before[:3]
    assert state.number == KnownNumber(0, T0 + 90 * DAY)
    assert state.tally is not None
    assert state.tally.current == Counts(sent=1, verified=1, cost=200_000)


def test_what_is_forced_leaves_the_world_alone() -> None:
    """An allowed country takes nothing from the others."""
    world = Kept(Record(T0, 0.0, (-10.0, -10.0)), T0 + DAY)
    for before in (ledger(), ledger(world=world)):
        answer, after = charge(before, KEY, Request(0.2, forced=True), RULES, T0)
        assert isinstance(answer, Charged)
        assert (answer.paid, after.world) == (Charge(Group.NEW, False), before.world)
        assert refund(after, answer, 0.2, RULES, T0).world == before.world
        _, credited = credit(after, KEY, RULES, T0)
        balances = before.world.record.balances if before.world else (0.0, 0.0)
        assert credited.world is not None
        assert credited.world.record == Record(T0, 0.2, balances)


def test_what_is_observed_charges_caps_networks_and_numbers_alone() -> None:
    poor = ledger(country=FULL_COUNTRY, number=KnownNumber(5, T0 + DAY))
    answer, after = charge(poor, KEY, MONEY._replace(observed=True), RULES, T0)
    assert answer == Charged(T0, None, "country", (), T0, raised=True, bill=T0)
    assert after.country == poor.country
    assert after.world is None
    assert after.bills == Bills((Bill(None, 0.4, "country", T0 + 660_000, T0),))
    assert after.number == KnownNumber(6, T0 + DAY)
    assert after.network is not None
    assert after.caps[0] is not None
    credited, last = credit(after, KEY, RULES, T0)
    assert credited == Credited("country")
    assert last.country == poor.country
    assert last.number == KnownNumber(0, T0 + 90 * DAY)


def test_a_right_code_gives_back_once() -> None:
    _, charged = charge(ledger(), KEY, MONEY, RULES, T0)
    credited, after = credit(charged, KEY, RULES, T0)
    assert credited == Credited()
    assert after.bills is None
    assert after.prefix is not None
    assert after.country is not None
    assert after.prefix.record.balances[0] == 2
    assert after.country.record.balances[0] == 0
    again, last = credit(after, KEY, RULES, T0 + 1)
    assert again is None
    assert last.country == after.country
    assert last.number == KnownNumber(0, T0 + 1 + 90 * DAY)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(list(range(4)))), max_size=12),
    st.integers(0, 1),
)
def test_a_challenge_earns_for_its_newest_message_that_was_sent(
    steps: list[tuple[int, int]], later: int
) -> None:
    """Messages of one challenge, of which any may be refunded at any time, in any order."""
    rules = RULES._replace(caps=(), sends_per_ip=())
    now, state = T0, Ledger()
    sent: list[tuple[Charged, Request]] = []
    for kind, which in steps:
        now += later
        if kind and len(sent) < BILLS:
            request = Request(which / 100, human=kind == 1)
            answer, state = charge(state, KEY, request, rules, now)
            assert isinstance(answer, Charged)
            sent.append((answer, request))
        elif sent:
            back, request = sent.pop(which % len(sent))
            state = refund(state, back, request.price, rules, now)
        bills = () if state.bills is None else state.bills.all
        assert [(bill.paid, bill.price) for bill in bills] == [
            (answer.paid, request.price) for answer, request in sent
        ]
        assert len({bill.name for bill in bills}) == len(bills)
    credited, state = credit(state, KEY, rules, now)
    assert credited == (Credited() if sent else None)
    assert state.bills is None


def test_few_bills_of_a_challenge_are_kept_and_none_that_is_over() -> None:
    rules = RULES._replace(caps=(), sends_per_ip=())
    state = Ledger()
    for n in range(BILLS + 3):
        _, state = charge(state, KEY, Request(n / 1000, known=True), rules, T0 + n)
    assert state.bills is not None
    assert [bill.price for bill in state.bills.all] == [n / 1000 for n in range(3, BILLS + 3)]
    last = Ledger.of(state.states, T0 + 660_000 + BILLS + 1)
    assert last.bills == Bills(state.bills.all[-1:])
    assert Ledger.of(state.states, T0 + 660_000 + BILLS + 2).bills is None


def test_levels_of_caps() -> None:
    state, seen = ledger(), []
    for _ in range(3):
        answer, state = charge(state, KEY._replace(network=""), Request(0.3), RULES, T0)
        assert isinstance(answer, Charged)
        seen.append([(cap.name, level) for cap, level in answer.reached])
    assert seen == [
        [],
        [("total", 50), ("spend", 50)],
        [("total", 80), ("total", 100), ("spend", 80), ("spend", 100)],  # no other 0.3 fits
    ]


REQUESTS = st.builds(
    Request,
    st.sampled_from([0.0, 0.0375, 0.1, 0.434]),
    known=st.booleans(),
    human=st.booleans(),
    forced=st.booleans(),
    concealed=st.booleans(),
    observed=st.booleans(),
)
STATES = st.fixed_dictionaries(
    {},
    optional={
        "prefix": st.just(FULL_PREFIX),
        "country": st.just(FULL_COUNTRY),
        "number": st.builds(KnownNumber, st.integers(0, 4), st.just(T0 + DAY)),
        "bills": st.just(Bills((Bill(Charge(Group.NEW, True), 0.1, None, T0 + 60_000, T0),))),
        "network": st.just(CounterState((T0 - 5,), Retention(60_000, 2), T0 + 60_000)),
    },
)


@given(STATES, REQUESTS, st.integers(0, 50_000))
def test_a_refund_leaves_no_trace(given: dict[str, Any], request_: Request, later: int) -> None:
    before = ledger(**given)
    answer, charged = charge(before, KEY, request_, RULES, T0)
    if not isinstance(answer, Charged):
        return
    after = refund(charged, answer, request_.price, RULES, T0 + later)
    assert total(after.tally, 1, T0 + later) == Counts()
    assert (after.number, after.caps) == (before.number, before.caps)
    assert (after.network and after.network.log) == (before.network and before.network.log)
    assert after.bills == before.bills
    if later == 0 and (answer.paid is not None or request_.forced):
        for one, other in zip(after[:3], before[:3], strict=True):
            had = other.record.balances if isinstance(other, Kept) else ()
            assert not isinstance(one, Kept) or one.record.balances == pytest.approx(
                had or (0,) * len(one.record.balances)
            )


def test_what_is_over_counts_no_more() -> None:
    tally = Tally(T0 // HOUR, Counts(1), (), T0 + HOUR)
    states = [FULL_PREFIX, FULL_COUNTRY, None, TRUSTED, None, tally, FULL_NETWORK, FULL_CAP]
    ends = max(state.expires for state in states if state is not None)
    assert Ledger.of(states, T0).states == tuple(states)
    assert Ledger.of(states, ends) == Ledger(caps=(None,))
    assert Ledger.of(states, TRUSTED.expires - 1).number == TRUSTED
    assert Ledger.of(states, TRUSTED.expires).number is None


def test_support_has_unanswered_messages_forgotten() -> None:
    assert unlock(None) is None
    assert unlock(KnownNumber(7, 5)) == KnownNumber(0, 5)


def test_records_are_kept_for_as_long_as_they_matter() -> None:
    assert lifetime(Record(0, 0.0, (0.0, 0.0))) == 1
    assert lifetime(Record(0, 0.0, (-2.0, 0.4))) == 86_400 // 4
    assert lifetime(Record(0, 400.0, (-90.0, 0.0))) == pytest.approx(86_400 * (1 + 6.68), rel=0.01)
    assert lifetime(Record(0, 2.0, (0.0, 4.0))) == pytest.approx(86_400 * 90 * 2.08, rel=0.01)
    _, marked = charge(ledger(country=FULL_COUNTRY), KEY, Request(0.1), RULES, T0)
    assert marked.prefix is not None
    assert marked.prefix.expires == T0 + HOUR  # the mark is forgiven then
    _, charged = charge(ledger(), KEY, Request(0.1), RULES, T0)
    assert charged.prefix is not None
    assert charged.prefix.expires == T0 + 3 * HOUR


@pytest.mark.parametrize(
    ("money", "counted"),
    [(0.1, 100_000), (Decimal("0.434"), 434_000), (1e6, 10**12), (0.0000004, 0), (0.0, 0)],
)
def test_caps_count_money_in_millionths(money: float | Decimal, counted: int) -> None:
    assert millionths(money) == counted


def test_a_message_has_a_tag_for_each_thing() -> None:
    ring = Keyring([hashlib.sha256(b"one").digest(), hashlib.sha256(b"other").digest()])
    secret, other = ring
    subject = Subject(secret, "+37256789045", "login", "an id")
    network = secret.network_tag("192.0.2.1")
    key = key_of(secret, subject, "EE", network)
    assert key == key_of(secret, subject, "EE", network)
    tags = {key.prefix, key.number, key.challenge, key.network, *subject.key}
    assert len(tags) == 7
    assert {len(tag) for tag in tags} == {22}
    neighbour = key_of(secret, Subject(secret, "+37256789046", "login", "an id"), None)
    assert (neighbour.prefix, neighbour.country, neighbour.network) == (key.prefix, "", "")
    assert neighbour.number != key.number
    rotated = key_of(other, subject, "EE")
    assert rotated.challenge == key.challenge, "what was charged before is found"
    assert not {rotated.prefix, rotated.number} & set(key)


def test_every_state_has_a_name_of_its_own() -> None:
    found = names(FraudKey("t", "t", "t", "t", "t"), RULES)
    assert len(set(found)) == len(ledger().states) == 9


def test_the_rules_of_a_policy() -> None:
    policy = FraudPolicy(
        total=(Limit(100, 60), Limit(1_000, 86_400)),
        spend=SpendLimit(per_hour=Decimal("2.5"), per_day=Decimal(20)),
        trusted_days=30,
    )
    assert policy.rules(Policy(ttl_seconds=300, sends_per_ip=LIMITS)) == Rules(
        Rates(10.0, 1 / 3),
        30 * DAY,
        360_000,
        (
            Cap("total", 100, 60_000),
            Cap("total", 1_000, DAY),
            Cap("spend", 2_500_000, HOUR),
            Cap("spend", 20_000_000, DAY),
        ),
        LIMITS,
    )
    assert FraudPolicy(trusted_days=0).rules(Policy()).trusted == 0
    assert FraudPolicy().rules(Policy()).caps == ()
