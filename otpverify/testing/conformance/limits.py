"""Conformance: cooldown, limits, the failure budget and counters, and the scope of each; and wrong
codes in a row (NIST SP 800-63B-4, 3.2.2), and what ends the row."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

from dataclasses import replace
from typing import Any

from otpverify.core.answers import Checked, Refusal, Refused, Reserved, Verdict
from otpverify.core.limits import DAY_SECONDS, LARGEST, Limit
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
    to_follow,
)
from otpverify.testing.conformance.shared_store import kinds

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

    def test_of_equal_waits_that_of_the_first_limit_is_told(self, store: Driven) -> None:
        store.pass_time(SECOND)
        none: dict[str, Any] = {"resend_cooldown_seconds": 0, "sends_per_phone": ()}
        budget, row = Limit(5, 60), Limit(5, 60)
        everything = Policy(
            resend_cooldown_seconds=60,
            sends_per_phone=(Limit(1, 60), Limit(1, 60)),
            failures_per_phone=budget,
            consecutive_failures=row,
            allow_weak=True,
        )
        store.opened(key(), first("a"), everything)
        for _ in range(5):
            store.check(key(), digest("wrong"), everything)
        for policy, told in (
            (everything, Refusal.COOLDOWN),
            (replace(everything, resend_cooldown_seconds=0), Refusal.SENDS),
            (replace(everything, **none), Refusal.FAILURES),
            (replace(everything, **none, failures_per_phone=None), Refusal.STREAK),
        ):
            refused = store.refused(key(challenge=2), first("b"), policy)
            assert (refused.refusal, refused.retry_in) == (told, MINUTE)

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

    def test_the_largest_numbers_are_kept_as_they_are(self, store: Driven) -> None:
        most = Limit(LARGEST, LARGEST)
        policy = Policy(
            resend_cooldown_seconds=LARGEST,
            sends_per_phone=(most,),
            failures_per_phone=most,
            consecutive_failures=most,
            max_attempts=LARGEST,
            live_codes=LARGEST,
            allow_weak=True,
        )
        opened = store.opened(key(), first("a"), policy)
        assert (opened.standing.sends_left, opened.standing.attempts_left) == (LARGEST - 1, LARGEST)
        assert store.near(opened.standing.resend_in, LARGEST * SECOND)
        answer = store.check(key(), digest("wrong"), policy)
        assert (answer.verdict, answer.attempts_left) == (Verdict.WRONG, LARGEST - 1)
        refused = store.refused(key(), further("b"), policy)
        assert (refused.refusal, refused.limit) == (Refusal.COOLDOWN, Limit(1, LARGEST))
        assert isinstance(store.reserve("network", (most,)), Reserved)
        assert isinstance(store.reserve("network", (Limit(1, LARGEST),)), Refused)
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


DAY = DAY_SECONDS * SECOND
DAYS = 10
SIX = Policy(
    resend_cooldown_seconds=0,
    sends_per_phone=(),
    max_attempts=4,
    failures_per_phone=Limit(30, DAY_SECONDS),
    consecutive_failures=Limit(6, DAYS * DAY_SECONDS),
)
NO_LIMIT = Policy(
    resend_cooldown_seconds=0,
    sends_per_phone=(),
    failures_per_phone=None,
    consecutive_failures=None,
    allow_weak=True,
)
ROOMY = Policy(
    resend_cooldown_seconds=0,
    sends_per_phone=(),
    max_attempts=1000,
    failures_per_phone=None,
    consecutive_failures=Limit(6, DAYS * DAY_SECONDS),
    allow_weak=True,
)


class Streaks(Base):
    """How many wrong codes in a row are compared, what ends the row, and what does not."""

    def test_wrong_codes_in_a_row_are_counted_over_all_challenges_of_a_scope(
        self, store: Driven
    ) -> None:
        for number in (1, 2, 3):
            store.opened(key(challenge=number), first(number), SIX)
        left = []
        for number in (1, 1, 2, 2, 2, 1):
            answer = store.check(key(challenge=number), digest("wrong"), SIX)
            assert answer.verdict is Verdict.WRONG
            left.append(answer.attempts_left)
        assert left == [3, 2, 3, 2, 1, 0], "of the challenge or of the row, whichever is less"
        for number in (1, 2, 3):
            for answer in (
                store.check(key(challenge=number), digest(number), SIX),
                store.peek(key(challenge=number), SIX),
                store.claim(key(challenge=number), SIX),
            ):
                assert answer.verdict is Verdict.EXHAUSTED
                assert store.near(answer.retry_in, DAYS * DAY)
        for refused in (
            store.refused(key(challenge=4), first(4), SIX),
            store.refused(key(challenge=3), further(4), SIX),
            store.refused(key(challenge=4), to_follow(), SIX),
        ):
            assert (refused.refusal, refused.limit) == (
                Refusal.STREAK,
                SIX.consecutive_failures,
            )
            assert store.near(refused.retry_in, DAYS * DAY)

    def test_a_row_of_one_scope_spares_all_others(self, store: Driven) -> None:
        for number in (1, 2):
            store.opened(key(1, "login", number), first("a"), SIX)
        for number in (1, 1, 1, 2, 2, 2):
            store.check(key(1, "login", number), digest("wrong"), SIX)
        for spared in (key(1, "reset", 3), key(2, "login", 4)):
            assert store.opened(spared, first("b"), SIX).standing.attempts_left == 4
            assert store.check(spared, digest("b"), SIX).verdict is Verdict.ACCEPTED
        assert store.refused(key(1, "login", 5), first("a"), SIX).refusal is Refusal.STREAK

    def test_a_right_code_ends_the_row(self, store: Driven) -> None:
        for number in range(4):
            store.opened(key(challenge=10 * number), first("a"), SIX)
            store.opened(key(challenge=10 * number + 1), first("b"), SIX)
            for left in (3, 2, 1):
                answer = store.check(key(challenge=10 * number), digest("wrong"), SIX)
                assert answer == Checked(Verdict.WRONG, attempts_left=left)
            for left in (2, 1):
                answer = store.check(key(challenge=10 * number + 1), digest("wrong"), SIX)
                assert answer == Checked(Verdict.WRONG, attempts_left=left)
            answer = store.check(key(challenge=10 * number + 1), digest("b"), SIX)
            assert answer.verdict is Verdict.ACCEPTED
        opened = store.opened(key(challenge=99), first("a"), SIX)
        assert opened.standing.attempts_left == 4

    def test_and_gives_the_failure_budget_nothing_back(self, store: Driven) -> None:
        """Otherwise each login of the owner would give a guesser as many guesses again."""
        both = Policy(
            resend_cooldown_seconds=0,
            sends_per_phone=(),
            max_attempts=10,
            failures_per_phone=Limit(5, DAY_SECONDS),
        )
        for number in (1, 2):
            store.opened(key(challenge=number), first("a"), both)
        for left in (4, 3, 2):
            answer = store.check(key(), digest("wrong"), both)
            assert answer.attempts_left == left
        assert store.check(key(challenge=2), digest("a"), both).verdict is Verdict.ACCEPTED
        for left in (1, 0):
            assert store.check(key(), digest("wrong"), both).attempts_left == left
        assert store.refused(key(challenge=3), first("a"), both).refusal is Refusal.FAILURES

    def test_a_right_code_of_another_scope_does_not_end_it(self, store: Driven) -> None:
        for spared in (key(1, "reset", 1), key(2, "login", 2)):
            store.opened(key(1, "login", 3), first("a"), SIX)
            store.check(key(1, "login", 3), digest("wrong"), SIX)
            store.opened(spared, first("b"), SIX)
            assert store.check(spared, digest("b"), SIX).verdict is Verdict.ACCEPTED
        opened = store.opened(key(1, "login", 4), first("a"), SIX)
        assert opened.standing.attempts_left == 4
        for _ in range(4):
            store.check(key(1, "login", 4), digest("wrong"), SIX)
        assert store.refused(key(1, "login", 5), first("a"), SIX).refusal is Refusal.STREAK

    def test_neither_a_cancel_nor_a_release_nor_a_new_start_ends_it(self, store: Driven) -> None:
        for number in range(6):
            opened = store.opened(key(challenge=number), first("a"), SIX)
            store.check(key(challenge=number), digest("wrong"), SIX)
            if number % 2:
                store.cancel(key(challenge=number))
            store.release(key(challenge=number), opened.at, digest("a"), SIX)
        assert store.refused(key(challenge=9), first("a"), SIX).refusal is Refusal.STREAK

    def test_concealed_challenges_and_decoys_count_alike(self, store: Driven) -> None:
        """A stranger sees the same for a number with an account and for one without."""
        for phone in (1, 2):
            for number in (1, 2):
                opening = first("a", concealed=True, decoy=phone == 2)
                store.opened(key(phone, "reset", number), opening, SIX)
            answers = [
                store.check(key(phone, "reset", number), digest("wrong"), SIX).attempts_left
                for number in (1, 1, 1, 2, 2, 2)
            ]
            assert answers == [3, 2, 1, 2, 1, 0]
            opening = first("a", concealed=True, decoy=phone == 2)
            refused = store.refused(key(phone, "reset", 3), opening, SIX)
            assert refused.refusal is Refusal.STREAK
            again = store.refused(key(phone, "reset", 4), first("a"), SIX)
            assert (again.refusal, again.limit) == (refused.refusal, refused.limit)
            assert store.near(again.retry_in, refused.retry_in)

    def test_a_row_ends_when_its_time_has_passed_since_the_last(self, store: Driven) -> None:
        for number in range(6):
            store.opened(key(challenge=number), first("a"), SIX)
            store.check(key(challenge=number), digest("wrong"), SIX)
            store.pass_time(DAYS * DAY - 1)
        refused = store.refused(key(challenge=9), first("a"), SIX)
        assert (refused.refusal, refused.retry_in) == (Refusal.STREAK, 1)
        # A row of another purpose keeps the phone's state in the store.
        store.opened(key(1, "another", 20), first("a"), SIX)
        store.check(key(1, "another", 20), digest("wrong"), SIX)
        store.pass_time(1)
        assert store.opened(key(challenge=9), first("a"), SIX).standing.attempts_left == 4
        for _ in range(3):
            store.check(key(challenge=9), digest("wrong"), SIX)
        assert store.opened(key(challenge=10), first("a"), SIX).standing.attempts_left == 3

    def test_a_row_outlives_all_other_limits(self, store: Driven) -> None:
        """Neither sends nor failures, however old, nor giving sends back, take it along."""
        for number in range(3):
            opened = store.opened(key(challenge=number), first("a"), SIX)
            store.check(key(challenge=number), digest("wrong"), SIX)
            store.release(key(challenge=number), opened.at, None, SIX)
        store.pass_time(5 * DAY)
        opened = store.opened(key(challenge=9), first("a"), SIX)
        assert opened.standing.attempts_left == 3
        store.release(key(challenge=9), opened.at, digest("a"), SIX)
        store.pass_time(4 * DAY)
        assert store.opened(key(challenge=10), first("a"), SIX).standing.attempts_left == 3

    def test_claimed_attempts_count_in_the_row_once_each(self, store: Driven) -> None:
        for number in (1, 2):
            store.opened(key(challenge=number), first("a"), SIX)
        claims = [store.claim(key(challenge=n), SIX).verdict for n in (1, 1, 1, 1, 2, 2, 2, 2)]
        assert claims == [Verdict.PENDING] * 8
        verdicts = [
            store.check(key(challenge=n), digest("wrong"), SIX, True).verdict
            for n in (1, 1, 1, 1, 2, 2, 2, 2)
        ]
        assert verdicts == [Verdict.WRONG] * 6 + [Verdict.EXHAUSTED] * 2

    def test_policies_that_share_a_row_do_not_forget_it(self, store: Driven) -> None:
        """It goes on for the longest time of any policy that counted."""
        brief = Policy(
            resend_cooldown_seconds=0,
            sends_per_phone=(),
            consecutive_failures=Limit(20, 60),
        )
        store.opened(key(), first("a"), SIX)
        store.check(key(), digest("wrong"), SIX)
        for number in range(2, 7):
            store.pass_time(90 * MINUTE)
            policy = NO_LIMIT if number % 2 else brief
            store.opened(key(challenge=number), first("a"), policy)
            store.check(key(challenge=number), digest("wrong"), policy)
        refused = store.refused(key(challenge=9), first("a"), SIX)
        assert (refused.refusal, refused.retry_in) == (Refusal.STREAK, DAYS * DAY)
        assert store.opened(key(challenge=9), first("a"), brief).standing.attempts_left == 5
        store.opened(key(challenge=10), first("a"), NO_LIMIT)
        answer = store.check(key(challenge=10), digest("a"), NO_LIMIT)
        assert answer.verdict is Verdict.ACCEPTED
        store.opened(key(challenge=11), first("a"), SIX)

    def test_a_policy_without_a_limit_begins_no_row(self, store: Driven) -> None:
        store.opened(key(), first("a"), NO_LIMIT)
        for _ in range(4):
            store.check(key(), digest("wrong"), NO_LIMIT)
        for _ in range(4):
            store.opened(key(challenge=2), first("a"), SIX)
        assert store.check(key(challenge=2), digest("wrong"), SIX).attempts_left == 3
        assert store.opened(key(challenge=3), first("a"), SIX).standing.attempts_left == 4

    def test_wrong_codes_at_once_are_compared_as_often_as_the_row_admits(
        self, store: Driven
    ) -> None:
        for phone in range(self.repeats):
            for number in range(5):
                store.opened(key(phone, "login", number), first("a"), ROOMY)
            guesses = [
                ("check", key(phone, "login", n % 5), digest("wrong"), ROOMY)
                for n in range(self.crowd)
            ]
            answers = store.together(guesses)
            assert kinds(answers) == {Verdict.WRONG: 6, Verdict.EXHAUSTED: self.crowd - 6}
            left = [a.attempts_left for a in answers if a.verdict is Verdict.WRONG]
            assert sorted(left) == [0, 1, 2, 3, 4, 5], "each answer has another number"

    def test_a_right_code_among_wrong_ones_begins_one_row_more(self, store: Driven) -> None:
        for phone in range(2 * self.repeats):
            for number in range(3):
                store.opened(key(phone, "login", number), first("a"), ROOMY)
            steps = [
                ("check", key(phone, "login", n % 2), digest("wrong"), ROOMY)
                for n in range(max(self.crowd, 12))
            ]
            steps.insert(phone % 6, ("check", key(phone, "login", 2), digest("a"), ROOMY))
            seen = kinds(store.together(steps))
            # At most five come before a right code that is accepted, and six after it.
            most = 6 + 5 * seen[Verdict.ACCEPTED]
            assert 6 <= seen[Verdict.WRONG] <= most
            refused = store.refused(key(phone, "login", 9), first("b"), ROOMY)
            assert refused.refusal is Refusal.STREAK
