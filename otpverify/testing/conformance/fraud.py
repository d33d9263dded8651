"""Conformance: what a fraud policy counts, for a store that offers `FraudStore`."""

# ruff: noqa: S101, S311 - tests assert, and draw from a seed

from __future__ import annotations

import random
from typing import Any

from otpverify.core import fraud_ledger
from otpverify.core.answers import Refusal, Refused
from otpverify.core.caps import Cap, Full
from otpverify.core.fraud import DAY, Charge, Group, Overdrawn, Rates, Request
from otpverify.core.fraud_ledger import (
    SPEND,
    TOTAL,
    Charged,
    Credited,
    FraudKey,
    KnownNumber,
    Ledger,
    Rules,
    millionths,
)
from otpverify.core.limits import Limit
from otpverify.core.phone import COUNTRIES
from otpverify.core.traffic import Counts, Totals, first_hour, totals
from otpverify.testing.conformance.base import MINUTE, SECOND, Base, Driven

RATES = Rates(10.0, 1 / 3)
RULES = Rules(RATES, trusted=90 * DAY, remember=11 * MINUTE)
HERE = FraudKey("prefix 1", "EE", "number 1", "challenge 1", "network 1")
STRANGER, CHEAP = Request(0.1), Request(0.001)
NEW = Charge(Group.NEW, True)
HOUR = DAY // 24
PER_NETWORK = (Limit(2, 60), Limit(3, 3600))
MESSAGES, MONEY = Cap(TOTAL, 5, HOUR), Cap(SPEND, millionths(0.5), DAY)


class FraudReference:
    """The pure functions, and a table of what is kept."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def charge(self, key: FraudKey, request: Request, rules: Rules, now: int) -> Any:
        """See `fraud_ledger.charge`."""
        had = self._load(key, rules, now)
        answer, ledger = fraud_ledger.charge(had, key, request, rules, now)
        self._save(key, rules, ledger)
        return answer

    def credit(self, key: FraudKey, rules: Rules, now: int) -> Credited | None:
        """See `fraud_ledger.credit`."""
        answer, ledger = fraud_ledger.credit(self._load(key, rules, now), key, rules, now)
        self._save(key, rules, ledger)
        return answer

    def refund(self, key: FraudKey, charged: Charged, price: float, rules: Rules, now: int) -> None:
        """See `fraud_ledger.refund`."""
        had = self._load(key, rules, now)
        self._save(key, rules, fraud_ledger.refund(had, charged, price, rules, now))

    def known(self, number: str, now: int) -> KnownNumber | None:
        """See `FraudStore.known`."""
        found: KnownNumber | None = self.kept.get(fraud_ledger.number_name(number))
        return found if found is not None and found.expires > now else None

    def unlock_number(self, number: str, now: int) -> None:
        """See `fraud_ledger.unlock`."""
        name = fraud_ledger.number_name(number)
        self.kept[name] = fraud_ledger.unlock(self.known(number, now))

    def traffic(self, hours: int, now: int) -> Totals:
        """See `otpverify.core.traffic.totals`."""
        tallies = [(name, self.kept.get(fraud_ledger.tally_name(name))) for name in COUNTRIES]
        return totals(tallies, hours, now)

    def _load(self, key: FraudKey, rules: Rules, now: int) -> Ledger:
        return Ledger.of([self.kept.get(n) for n in fraud_ledger.names(key, rules)], now)

    def _save(self, key: FraudKey, rules: Rules, ledger: Ledger) -> None:
        self.kept.update(zip(fraud_ledger.names(key, rules), ledger.states, strict=True))


class Walk:
    """Random calls that make sense: refunds and credits are of what was charged before. Few
    prefixes, countries, numbers and networks, so that everything is soon exhausted."""

    def __init__(self, seed: int) -> None:
        self.rng: random.Random = random.Random(seed)
        self.charged: list[tuple[FraudKey, Charged, float, Rules]] = []

    def step(self) -> tuple[Any, ...]:
        """One call."""
        rng = self.rng
        rules = self._rules()
        chance = rng.random()
        if chance < 0.8 or not self.charged:
            number = rng.randrange(40)
            key = FraudKey(
                f"prefix {number % 4}",
                ["EE", "UZ", ""][number % 3],
                f"number {number}",
                f"challenge {rng.randrange(40)}",
                rng.choice(["network 1", "network 2", "network 3", "network 4", ""]),
            )
            price = rng.choice([0.001, 0.001, 0.04, 0.1, 0.434, 1.3, 6.0])
            if rng.random() < 0.01:
                price = 40.0  # dearer than all that an account may owe
            request = Request(
                price,
                known=rng.random() < 0.1,
                human=rng.random() < 0.1,
                forced=rng.random() < 0.1,
                concealed=rng.random() < 0.1,
                observed=rng.random() < 0.2,
            )
            return "charge", key, request, rules
        key, charged, price, rules = rng.choice(self.charged[-20:])
        if chance < 0.9:
            return "credit", key, rules
        if chance < 0.96:
            return "refund", key, charged, price, rules
        if chance < 0.98:
            return "traffic", rng.choice([1, 2, 24, 48, 49, 100, 336])
        return rng.choice(["known", "known", "unlock_number"]), f"number {rng.randrange(40)}"

    def learn(self, step: tuple[Any, ...], answer: object) -> None:
        """What was charged can be given back."""
        if isinstance(answer, Charged):
            self.charged.append((step[1], answer, step[2].price, step[3]))

    def kinds(self, step: tuple[Any, ...]) -> set[object]:
        """A refund of a message that is not the newest of its challenge."""
        if step[0] != "refund":
            return set()
        same = [charged for key, charged, *_ in self.charged if key.challenge == step[1].challenge]
        return {"older"} if step[2] is not same[-1] else set()

    def _rules(self) -> Rules:
        rng = self.rng
        return Rules(
            rng.choice([RATES, Rates(30.0, 0.5)]),
            rng.choice([DAY, 90 * DAY, 90 * DAY, 0]),
            rng.choice([10 * MINUTE, DAY]),
            rng.choice(
                [
                    *[()] * 4,
                    (Cap(TOTAL, 6, HOUR),),
                    (Cap(TOTAL, 9, HOUR), Cap(SPEND, millionths(9), DAY)),
                    (
                        Cap(TOTAL, 200, DAY),
                        Cap(TOTAL, 20, 7 * MINUTE),
                        Cap(SPEND, millionths(5), HOUR),
                    ),
                ]
            ),
            rng.choice([(), (), (Limit(5, 60),), (Limit(5, 60), Limit(30, 3600))]),
        )


class FraudStoreConformance(Base):
    """Inherit this beside `StoreConformance` for a store that offers `FraudStore`; override
    `make_store` in the same way."""

    def test_a_random_walk_answers_as_the_rule_does(self, store: Driven) -> None:
        walk, reference = Walk(20_261_130), FraudReference()
        seen = set()
        for _ in range(self.steps):
            if walk.rng.random() < 0.1:
                store.pass_time(walk.rng.choice([1, 999, MINUTE, HOUR // 10, HOUR, 20 * HOUR]))
            operation, *args = step = walk.step()
            answer = getattr(store, operation)(*args)
            assert answer == getattr(reference, operation)(*args, store.clock.ms)
            seen |= _kinds(answer) | walk.kinds(step)
            walk.learn(step, answer)
        if self.steps >= 500:
            everything = {"prefix", "country", "world", *Group, TOTAL, SPEND, Refusal.NETWORK}
            everything |= {"observed", "forced", "level", "raised", "older", "credited"}
            assert seen >= everything

    def test_starts_at_once_take_no_more_than_there_is(self, store: Driven) -> None:
        for number in range(self.repeats):
            keys = [_key(number, challenge) for challenge in range(self.crowd)]
            answers = store.together([("charge", key, CHEAP, RULES) for key in keys])
            assert [isinstance(answer, Charged) for answer in answers].count(True) == 8
            others = [answer for answer in answers if not isinstance(answer, Charged)]
            assert {answer.reason for answer in others} == {"prefix"}
            assert all(0 < answer.retry_in <= 3 * HOUR for answer in others)

    def test_caps_and_networks_at_once_let_no_more_through(self, store: Driven) -> None:
        for number in range(self.repeats):
            capped = RULES._replace(caps=(MESSAGES._replace(window=HOUR + number),))
            keys = [_key(f"{number} {n}", n, network="") for n in range(self.crowd)]
            answers = store.together([("charge", key, CHEAP, capped) for key in keys])
            assert sum(isinstance(answer, Charged) for answer in answers) == 5
            assert {a.cap for a in answers if isinstance(a, Full)} == set(capped.caps)
            limited = RULES._replace(sends_per_ip=PER_NETWORK)
            keys = [_key(f"{number} a {n}", n, f"network {number}") for n in range(self.crowd)]
            answers = store.together([("charge", key, CHEAP, limited) for key in keys])
            assert sum(isinstance(answer, Charged) for answer in answers) == 2
            events = [answer.network for answer in answers if isinstance(answer, Charged)]
            assert len(set(events)) == 2

    def test_codes_at_once_each_give_back_once(self, store: Driven) -> None:
        for number in range(self.repeats):
            keys = [_key(number, challenge) for challenge in range(8)]
            charged = [store.charge(key, CHEAP, RULES) for key in keys]
            assert {one.paid for one in charged} == {NEW}
            back = [("credit", keys[n % 2], RULES) for n in range(self.crowd)]
            answers = store.together(back)
            assert answers.count(Credited()) == 2
            assert answers.count(None) == self.crowd - 2
            store.refund(keys[2], charged[2], CHEAP.price, RULES)
            # 8 owed, 7 back: one is owed, and the record of two codes admits 8.
            again = [_key(number, 100 + n)._replace(number="") for n in range(self.crowd)]
            taken = store.together([("charge", key, CHEAP, RULES) for key in again])
            assert sum(isinstance(answer, Charged) for answer in taken) == 7

    def test_messages_at_once_each_raise_a_known_number(self, store: Driven) -> None:
        store.credit(HERE, RULES)
        keys = [HERE._replace(challenge=f"other {n}") for n in range(6)]
        answers = store.together([("charge", key, CHEAP, RULES) for key in keys])
        paid = [answer.paid.group for answer in answers]
        assert sorted(paid) == [Group.NEW] * 3 + [Group.KNOWN] * 3
        assert all(answer.raised for answer in answers)
        found = store.known(HERE.number)
        assert (found.unanswered, found.known) == (6, False)

    def test_accounts_are_apart(self, store: Driven) -> None:
        for challenge in range(8):
            assert store.charge(_key(1, challenge), CHEAP, RULES).paid == NEW
        refused = store.charge(_key(1, 8), CHEAP, RULES)
        assert isinstance(refused, Overdrawn)
        assert refused.reason == "prefix"
        assert store.charge(_key(2, 9), CHEAP, RULES).paid == NEW
        paid = store.charge(_key(1, 10), Request(0.001, known=True), RULES).paid
        assert paid == Charge(Group.KNOWN, False)
        paid = store.charge(_key(1, 11), Request(0.001, human=True), RULES).paid
        assert paid == Charge(Group.HUMAN, True)

    def test_a_country_that_is_exhausted_leaves_others_alone(self, store: Driven) -> None:
        for number in range(50):
            assert store.charge(_key(number, number), STRANGER, RULES).paid == NEW
        refused = store.charge(_key(99, 99), STRANGER, RULES)
        assert isinstance(refused, Overdrawn)
        assert refused.reason == "country"
        assert store.near(refused.retry_in, HOUR)
        elsewhere = _key(99, 99)._replace(country="LV")
        assert store.charge(elsewhere, STRANGER, RULES).paid == NEW

    def test_who_waits_as_long_as_is_said_is_admitted(self, store: Driven) -> None:
        for challenge in range(8):
            store.charge(_key(1, challenge), STRANGER, RULES)
        refused = store.charge(_key(1, 8), STRANGER, RULES)
        assert isinstance(refused, Overdrawn)
        store.pass_time(refused.retry_in - 1000)
        assert isinstance(store.charge(_key(1, 8), STRANGER, RULES), Overdrawn)
        store.pass_time(1000)
        assert isinstance(store.charge(_key(1, 8), STRANGER, RULES), Charged)

    def test_what_is_forgotten_makes_no_difference(self, store: Driven) -> None:
        for challenge in range(8):
            store.charge(_key(1, challenge), STRANGER, RULES)
        store.pass_time(40 * DAY)
        for challenge in range(8):
            assert store.charge(_key(1, challenge), STRANGER, RULES).paid == NEW

    def test_a_refusal_counts_nowhere_else(self, store: Driven) -> None:
        """What the accounts refuse takes nothing from caps and network; what a cap refuses takes
        nothing from the network; and so the other way round."""
        rules = RULES._replace(caps=(Cap(TOTAL, 9, DAY),), sends_per_ip=(Limit(10, 86_400),))
        for challenge in range(8):
            assert isinstance(store.charge(_key(1, challenge), CHEAP, rules), Charged)
        for challenge in range(8, 20):
            answer = store.charge(_key(1, challenge), CHEAP, rules)
            assert isinstance(answer, Overdrawn)
        assert isinstance(store.charge(_key(2, 20), CHEAP, rules), Charged)
        for challenge in range(21, 30):
            answer = store.charge(_key(3, challenge), CHEAP, rules)
            assert isinstance(answer, Full)
        loose = rules._replace(caps=())
        assert isinstance(store.charge(_key(3, 30), CHEAP, loose), Charged)
        for challenge in range(31, 40):
            answer = store.charge(_key(4, challenge), CHEAP, loose)
            assert isinstance(answer, Refused)
            assert (answer.refusal, answer.limit) == (Refusal.NETWORK, Limit(10, 86_400))
        assert isinstance(store.charge(_key(4, 40, network=""), CHEAP, loose), Charged)

    def test_a_refund_gives_everything_back(self, store: Driven) -> None:
        rules = RULES._replace(caps=(MESSAGES, MONEY), sends_per_ip=PER_NETWORK)
        store.credit(HERE, rules)
        for _ in range(30):
            charged = store.charge(HERE, STRANGER, rules)
            assert isinstance(charged, Charged)
            assert charged.raised
            store.refund(HERE, charged, STRANGER.price, rules)
        assert store.known(HERE.number).unanswered == 0
        assert store.credit(HERE, rules) is None

    def test_caps_tell_what_they_reach(self, store: Driven) -> None:
        rules = RULES._replace(caps=(MESSAGES, MONEY))
        answers = [store.charge(_key(n, n), STRANGER, rules) for n in range(5)]
        assert [answer.reached for answer in answers] == [
            (),
            (),
            ((MESSAGES, 50), (MONEY, 50)),
            ((MESSAGES, 80), (MONEY, 80)),
            ((MESSAGES, 100), (MONEY, 100)),
        ]
        full = store.charge(_key(5, 5), STRANGER, rules)
        assert isinstance(full, Full)
        assert full.cap == MONEY  # the one that refuses for longer
        assert full.retry_in is not None
        assert 23 * HOUR < full.retry_in <= DAY + DAY // 60
        dear = store.charge(_key(5, 5), Request(0.6), RULES._replace(caps=(MONEY,)))
        assert dear == Full(MONEY, None)
        store.pass_time(full.retry_in - 1)
        assert isinstance(store.charge(_key(5, 5), STRANGER, rules), Full)
        store.pass_time(1)
        assert isinstance(store.charge(_key(5, 5), STRANGER, rules), Charged)

    def test_a_number_is_known_after_a_right_code_for_a_while(self, store: Driven) -> None:
        assert store.known(HERE.number) is None
        store.charge(HERE, CHEAP, RULES)
        assert store.known(HERE.number) is None
        assert store.credit(HERE, RULES) == Credited()
        known = store.known(HERE.number)
        assert (known.unanswered, known.known) == (0, True)
        for unanswered in range(4):
            charged = store.charge(HERE._replace(challenge=f"{unanswered}"), CHEAP, RULES)
            assert charged.paid.group is (Group.KNOWN if unanswered < 3 else Group.PROVEN)
        store.unlock_number(HERE.number)
        store.unlock_number("number 2")
        assert store.known(HERE.number) == known
        assert store.known("number 2") is None
        store.pass_time(90 * DAY - 1)
        assert store.charge(HERE, CHEAP, RULES).paid.group is Group.KNOWN
        store.pass_time(1)
        assert store.known(HERE.number) is None
        assert store.charge(HERE, CHEAP, RULES).paid.group is not Group.KNOWN

    def test_a_concealed_message_is_a_strangers(self, store: Driven) -> None:
        store.credit(HERE, RULES)
        for known in (False, True):
            charged = store.charge(HERE, Request(0.001, known=known, concealed=True), RULES)
            assert (charged.paid, charged.raised) == (NEW, False)
        assert store.known(HERE.number).unanswered == 0

    def test_nobody_is_known_where_the_policy_says_so(self, store: Driven) -> None:
        store.credit(HERE, RULES)
        nobody = RULES._replace(trusted=0)
        charged = store.charge(HERE, CHEAP, nobody)
        assert (charged.paid, charged.raised) == (NEW, False)
        store.credit(HERE._replace(number="number 2"), nobody)
        assert store.known("number 2") is None

    def test_what_is_only_observed_takes_and_gives_nothing(self, store: Driven) -> None:
        for challenge in range(8):
            store.charge(_key(1, challenge), CHEAP, RULES)
        rules = RULES._replace(caps=(MESSAGES,), sends_per_ip=PER_NETWORK)
        key = _key(1, 9)
        charged = store.charge(key, Request(0.001, observed=True), rules)
        assert (charged.paid, charged.would_refuse) == (None, "prefix")
        assert charged.network is not None
        assert store.credit(key, rules) == Credited("prefix")
        assert store.credit(key, rules) is None
        assert store.known(key.number).known
        stranger = key._replace(number="number 2")
        assert isinstance(store.charge(stranger, CHEAP, RULES), Overdrawn)

    def test_what_is_forced_takes_and_gives_no_more_than_there_is(self, store: Driven) -> None:
        forced, key = CHEAP._replace(forced=True), _key(1, 9)
        for challenge in range(8):
            paid = store.charge(_key(1, challenge), forced, RULES).paid
            assert paid == Charge(Group.NEW, world=False)
        for _ in range(10):
            charged = store.charge(key, forced, RULES)
            assert (charged.paid, charged.would_refuse) == (None, None)
            store.refund(key, charged, CHEAP.price, RULES)
        store.charge(key, forced, RULES)
        assert store.credit(key, RULES) == Credited(None)
        assert store.credit(key, RULES) is None
        assert store.known(key.number).known
        stranger = key._replace(number="number 2")
        assert isinstance(store.charge(stranger, CHEAP, RULES), Overdrawn)
        counts = Counts(sent=9, verified=1, refused=1, cost=9_000)
        assert store.traffic(1).countries == (("EE", counts),)

    def test_a_challenge_earns_once_for_its_newest_message(self, store: Driven) -> None:
        assert store.charge(HERE, CHEAP, RULES).paid == NEW
        again = store.charge(HERE, Request(0.001, human=True), RULES)
        assert again.paid.group is Group.HUMAN
        store.refund(HERE, again, 0.001, RULES)  # the first message may still be answered
        assert store.credit(HERE, RULES) == Credited()
        assert store.credit(HERE, RULES) is None

    def test_a_refund_leaves_what_other_messages_of_the_challenge_earn(self, store: Driven) -> None:
        """As when a resend is refused by its cooldown, or the start's refund comes late."""
        for challenge in range(8):
            store.charge(_key(1, challenge), CHEAP, RULES)
        observed = Request(0.002, observed=True)
        for number, refunded in enumerate([(), (0,), (1,), (0, 1), (1, 0)]):
            key = _key(1, f"twice {number}")._replace(number="")
            requests = [Request(0.002, human=True), observed]
            charged = [store.charge(key, request, RULES) for request in requests]
            assert [one.would_refuse for one in charged] == [None, "prefix"]
            for which in refunded:
                store.refund(key, charged[which], 0.002, RULES)
            answer = store.credit(key, RULES)
            left = [one for which, one in enumerate(charged) if which not in refunded]
            assert answer == (Credited(left[-1].would_refuse) if left else None)

    def test_few_bills_of_a_challenge_are_kept(self, store: Driven) -> None:
        known = Request(0.001, known=True)
        charged = [store.charge(HERE, known, RULES) for _ in range(fraud_ledger.BILLS + 2)]
        assert len({one.bill for one in charged}) == len(charged)
        for one in charged[:1:-1]:
            store.refund(HERE, one, 0.001, RULES)
        assert store.credit(HERE, RULES) is None

    def test_a_charge_is_remembered_for_as_long_as_its_code(self, store: Driven) -> None:
        store.charge(HERE, CHEAP, RULES)
        store.pass_time(RULES.remember - SECOND)
        store.charge(HERE, CHEAP, RULES)
        store.pass_time(RULES.remember - 1)
        other = HERE._replace(challenge="challenge 2")
        store.charge(other, CHEAP, RULES)
        assert store.credit(HERE, RULES) == Credited()
        store.pass_time(RULES.remember)
        assert store.credit(other, RULES) is None

    def test_traffic_is_counted_by_country(self, store: Driven) -> None:
        rules = RULES._replace(caps=(MESSAGES,))
        keys = [_key(n, n) for n in range(5)]
        charged = [store.charge(key, STRANGER, rules) for key in keys]
        assert isinstance(store.charge(_key(5, 5), STRANGER, rules), Full)
        store.refund(keys[0], charged[0], STRANGER.price, rules)
        for key in (keys[1], keys[1], keys[0]):
            store.credit(key, rules)
        nowhere = [_key(6, n)._replace(country="") for n in range(10)]
        for key in nowhere[:8]:
            assert store.charge(key, CHEAP, RULES).would_refuse is None
        assert store.charge(nowhere[8], Request(0.001, observed=True), RULES).would_refuse
        assert isinstance(store.charge(nowhere[9], CHEAP, RULES), Overdrawn)
        assert store.traffic(1).countries == (
            ("", Counts(sent=9, refused=1, would_refuse=1, cost=9_000)),
            ("EE", Counts(sent=4, verified=1, refused=1, cost=400_000)),
        )

    def test_traffic_of_messages_at_once(self, store: Driven) -> None:
        for number in range(self.repeats):
            keys = [_key(f"{number} {n}", f"{number} {n}", network="") for n in range(self.crowd)]
            store.together([("charge", key, CHEAP, RULES) for key in keys])
            store.together([("credit", key, RULES) for key in keys])
        sent = self.crowd * self.repeats
        counts = Counts(sent=sent, verified=sent, cost=1_000 * sent)
        assert store.traffic(24).countries == (("EE", counts),)

    def test_traffic_is_kept_for_two_weeks(self, store: Driven) -> None:
        begin = store.clock.ms
        for hour in range(30 * 24):
            if hour % 5 == 0:
                store.charge(_key(hour, hour, network=""), CHEAP, RULES)
            store.pass_time(HOUR)
        for hours in (1, 5, 48, 49, 336):
            first = first_hour(hours, store.clock.ms // HOUR)
            sent = sum((begin + n * HOUR) // HOUR >= first for n in range(0, 30 * 24, 5))
            ((country, counts),) = store.traffic(hours).countries or (("EE", Counts()),)
            assert (country, counts.sent, counts.cost) == ("EE", sent, 1_000 * sent)
        store.pass_time(16 * DAY)
        assert store.traffic(336) == Totals(store.clock.ms, ())


def _key(prefix: object, challenge: object, network: str = "network 1") -> FraudKey:
    """A stranger's message."""
    return FraudKey(f"prefix {prefix}", "EE", f"number {prefix}", f"challenge {challenge}", network)


def _kinds(answer: object) -> set[object]:
    """What a random walk must have met."""
    match answer:
        case Overdrawn():
            return {answer.reason}
        case Full():
            return {answer.cap.name}
        case Refused():
            return {answer.refusal}
        case Credited():
            return {"credited"}
        case Charged():
            unpaid = "forced" if answer.would_refuse is None else "observed"
            found: set[object] = {unpaid} if answer.paid is None else {answer.paid.group}
            found |= {"level"} if answer.reached else set()
            found |= {"raised"} if answer.raised else set()
            return found
    return set()
