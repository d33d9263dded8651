"""Conformance: cooldown, limits, the failure budget and counters, and the scope of each."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

from otpverify.core.answers import Refusal, Refused, Reserved, Verdict
from otpverify.core.limits import Limit
from otpverify.core.policy import Policy
from otpverify.testing.conformance.base import (
    DEFAULTS,
    MINUTE,
    SECOND,
    Base,
    Driven,
    digest,
    first,
    further,
    key,
)

HOUR = 60 * MINUTE
THREE = Policy(resend_cooldown_seconds=0, sends_per_phone=(Limit(3, 3600),))
BUDGET = Policy(
    resend_cooldown_seconds=0,
    sends_per_phone=(),
    max_attempts=3,
    failures_per_phone=Limit(4, 3600),
    code_length=8,
)
PER_MINUTE = (Limit(2, 60),)


class Limits(Base):
    """The counts, the scope of each count, and the content of a refusal."""

    def test_the_cooldown_belongs_to_a_phone_and_purpose(self, store: Driven) -> None:
        store.opened(key(), first("a"), DEFAULTS)
        for refused in (
            store.refused(key(), further("b"), DEFAULTS),
            store.refused(key(challenge=2), first("b"), DEFAULTS),
        ):
            assert (refused.refusal, refused.limit) == (Refusal.COOLDOWN, Limit(1, 60))
            assert store.near(refused.retry_in, MINUTE)
        store.opened(key(purpose="other"), first("b"), DEFAULTS)
        store.opened(key(phone=2), first("b"), DEFAULTS)

    def test_sends_are_counted_over_all_purposes_of_a_phone(self, store: Driven) -> None:
        for number, purpose in enumerate(("login", "reset", "payment")):
            opened = store.opened(key(1, purpose, number), first(number), THREE)
            assert opened.standing.sends_left == 2 - number
        assert store.near(opened.standing.resend_in, HOUR)
        refused = store.refused(key(1, "another", 9), first("b"), THREE)
        assert (refused.refusal, refused.limit) == (Refusal.SENDS, Limit(3, 3600))
        assert store.near(refused.retry_in, HOUR)
        store.opened(key(phone=2), first("b"), THREE)

    def test_resends_are_sends(self, store: Driven) -> None:
        store.opened(key(), first("a"), THREE)
        store.opened(key(), further("b"), THREE)
        store.opened(key(), further("c"), THREE)
        assert store.refused(key(), further("d"), THREE).refusal is Refusal.SENDS
        assert store.check(key(), digest("a"), THREE).verdict is Verdict.ACCEPTED

    def test_the_longest_wait_of_several_limits_is_told(self, store: Driven) -> None:
        policy = Policy(
            resend_cooldown_seconds=60,
            sends_per_phone=(Limit(1, 30), Limit(1, 90), Limit(2, 3600)),
        )
        store.opened(key(), first("a"), policy)
        refused = store.refused(key(), further("b"), policy)
        assert (refused.refusal, refused.limit) == (Refusal.SENDS, Limit(1, 90))
        assert store.near(refused.retry_in, 90 * SECOND)

    def test_sends_in_the_same_instant_are_given_back_one_by_one(self, store: Driven) -> None:
        opened = [store.opened(key(challenge=n), first(n), THREE) for n in range(3)]
        store.release(key(challenge=0), opened[0].at, digest(0), THREE)
        store.opened(key(challenge=4), first(4), THREE)
        assert store.refused(key(challenge=5), first(5), THREE).refusal is Refusal.SENDS

    def test_failures_are_counted_over_all_challenges_of_a_scope(self, store: Driven) -> None:
        for number in (1, 2, 3):
            store.opened(key(challenge=number), first(number), BUDGET)
        left = []
        for number in (1, 1, 2, 2):
            answer = store.check(key(challenge=number), digest("wrong"), BUDGET)
            assert answer.verdict is Verdict.WRONG
            left.append(answer.attempts_left)
        assert left == [2, 1, 1, 0], "of the challenge or of the budget, whichever is less"
        for number in (1, 2, 3):
            answer = store.check(key(challenge=number), digest(number), BUDGET)
            assert answer.verdict is Verdict.EXHAUSTED
            assert store.near(answer.retry_in, HOUR)
            assert store.peek(key(challenge=number), BUDGET).verdict is Verdict.EXHAUSTED
        for refused in (
            store.refused(key(challenge=4), first(4), BUDGET),
            store.refused(key(challenge=3), further(4), BUDGET),
        ):
            assert (refused.refusal, refused.limit) == (Refusal.FAILURES, Limit(4, 3600))
            assert store.near(refused.retry_in, HOUR)

    def test_failures_of_one_purpose_spare_another(self, store: Driven) -> None:
        store.opened(key(1, "login", 1), first("a"), BUDGET)
        store.opened(key(1, "login", 2), first("a"), BUDGET)
        for number in (1, 1, 2, 2):
            store.check(key(1, "login", number), digest("wrong"), BUDGET)
        for spared in (key(1, "reset", 3), key(2, "login", 4)):
            assert store.opened(spared, first("b"), BUDGET).standing.attempts_left == 3
            assert store.check(spared, digest("b"), BUDGET).verdict is Verdict.ACCEPTED

    def test_a_right_code_costs_no_failure(self, store: Driven) -> None:
        for number in range(6):
            store.opened(key(challenge=number), first(number), BUDGET)
            answer = store.check(key(challenge=number), digest(number), BUDGET)
            assert answer.verdict is Verdict.ACCEPTED

    def test_without_limits_nothing_is_refused(self, store: Driven) -> None:
        policy = Policy(
            resend_cooldown_seconds=0,
            sends_per_phone=(),
            failures_per_phone=None,
            consecutive_failures=None,
            max_attempts=1000,
            allow_weak=True,
        )
        store.opened(key(), first("a"), policy)
        for attempt in range(1, 41):
            assert store.opened(key(), further("a"), policy).standing.sends_left is None
            answer = store.check(key(), digest("wrong"), policy)
            assert (answer.verdict, answer.attempts_left) == (Verdict.WRONG, 1000 - attempt)
        assert store.check(key(), digest("a"), policy).verdict is Verdict.ACCEPTED

    def test_a_counter_admits_its_count(self, store: Driven) -> None:
        for _ in range(2):
            assert isinstance(store.reserve("network", PER_MINUTE), Reserved)
        refused = store.reserve("network", PER_MINUTE)
        assert isinstance(refused, Refused)
        assert (refused.refusal, refused.limit) == (Refusal.NETWORK, PER_MINUTE[0])
        assert store.near(refused.retry_in, MINUTE)
        assert isinstance(store.reserve("another", PER_MINUTE), Reserved)

    def test_a_counter_tells_the_longest_wait_of_its_limits(self, store: Driven) -> None:
        limits = (Limit(1, 5), Limit(1, 60), Limit(1, 30))
        store.reserve("network", limits)
        refused = store.reserve("network", limits)
        assert isinstance(refused, Refused)
        assert refused.limit == Limit(1, 60)
        assert store.near(refused.retry_in, MINUTE)

    def test_what_a_counter_is_given_back_is_admitted_again(self, store: Driven) -> None:
        taken = [store.reserve("network", PER_MINUTE) for _ in range(2)]
        assert isinstance(taken[0], Reserved)
        store.give_back("network", taken[0].at)
        assert isinstance(store.reserve("network", PER_MINUTE), Reserved)
        assert isinstance(store.reserve("network", PER_MINUTE), Refused)

    def test_events_of_one_instant_are_given_back_one_by_one(self, store: Driven) -> None:
        """A caller repeats a call whose reply was lost. It must not give back another event."""
        three = (Limit(3, 60),)
        taken = [store.reserve("network", three) for _ in range(3)]
        for _ in range(2):
            assert isinstance(taken[1], Reserved)
            store.give_back("network", taken[1].at)
        assert isinstance(store.reserve("network", three), Reserved)
        assert isinstance(store.reserve("network", three), Refused)

    def test_giving_back_what_was_not_taken_changes_nothing(self, store: Driven) -> None:
        store.give_back("network", 5)
        taken = [store.reserve("network", PER_MINUTE) for _ in range(2)]
        assert isinstance(taken[0], Reserved)
        store.give_back("network", taken[0].at - 1)
        store.give_back("another", taken[0].at)
        assert isinstance(store.reserve("network", PER_MINUTE), Refused)

    def test_an_empty_counter_can_be_used_again(self, store: Driven) -> None:
        taken = store.reserve("network", PER_MINUTE)
        assert isinstance(taken, Reserved)
        store.give_back("network", taken.at)
        store.give_back("network", taken.at)
        for _ in range(2):
            assert isinstance(store.reserve("network", PER_MINUTE), Reserved)
        assert isinstance(store.reserve("network", PER_MINUTE), Refused)
