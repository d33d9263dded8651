"""Conformance: a store that many use: callers at once, with exact counts, and verifiers with
different policies, which do not lose each other's counts."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from otpverify.core.answers import Checked, Opened, Refusal, Refused, Reserved, Standing, Verdict
from otpverify.core.limits import DAY_SECONDS, Limit
from otpverify.core.policy import Policy
from otpverify.testing.conformance.base import (
    DEFAULTS,
    FREE,
    MINUTE,
    Base,
    Driven,
    Step,
    digest,
    first,
    further,
    key,
    to_follow,
)


def kinds(answers: Iterable[Any]) -> Counter[object]:
    """How often each verdict, refusal or kind of answer came."""
    return Counter(
        answer.verdict
        if isinstance(answer, Checked)
        else answer.refusal
        if isinstance(answer, Refused)
        else type(answer)
        for answer in answers
    )


class Races(Base):
    """From threads for a synchronous store, from tasks for an asynchronous one."""

    def test_wrong_codes_at_once_are_compared_max_attempts_times(self, store: Driven) -> None:
        for phone in range(self.repeats):
            store.opened(key(phone), first("a"), FREE)
            guesses = [("check", key(phone), digest(n), FREE) for n in range(self.crowd)]
            answers = store.together(guesses)
            assert kinds(answers) == {Verdict.WRONG: 5, Verdict.EXHAUSTED: self.crowd - 5}
            left = [a.attempts_left for a in answers if a.verdict is Verdict.WRONG]
            assert sorted(left) == [0, 1, 2, 3, 4], "each gets another number"

    def test_right_codes_at_once_are_accepted_exactly_once(self, store: Driven) -> None:
        for phone in range(self.repeats):
            store.opened(key(phone), first("a"), FREE)
            answers = store.together([("check", key(phone), digest("a"), FREE)] * self.crowd)
            assert kinds(answers) == {Verdict.ACCEPTED: 1, Verdict.GONE: self.crowd - 1}

    def test_two_right_codes_of_one_challenge_are_accepted_once(self, store: Driven) -> None:
        for phone in range(self.repeats):
            store.opened(key(phone), first("a"), FREE)
            store.opened(key(phone), further("b"), FREE)
            typed = [("check", key(phone), digest("ab"[n % 2]), FREE) for n in range(self.crowd)]
            assert kinds(store.together(typed))[Verdict.ACCEPTED] == 1

    def test_a_right_code_beside_wrong_ones_is_accepted(self, store: Driven) -> None:
        for phone in range(5 * self.repeats):
            store.opened(key(phone), first("a"), FREE)
            typed = ["wrong"] * 4
            typed.insert(phone % 5, "a")
            answers = store.together([("check", key(phone), digest(one), FREE) for one in typed])
            assert answers[phone % 5].verdict is Verdict.ACCEPTED

    def test_a_resend_beside_a_guess_loses_neither_code(self, store: Driven) -> None:
        for phone in range(4 * self.repeats):
            store.opened(key(phone), first("a"), FREE)
            steps = [
                ("open", key(phone), further("b"), FREE),
                ("check", key(phone), digest("wrong"), FREE),
            ]
            answers = store.together(steps if phone % 2 else steps[::-1])
            assert kinds(answers) == {Opened: 1, Verdict.WRONG: 1}
            assert store.check(key(phone), digest("wrong"), FREE).attempts_left == 3
            code = "a" if phone % 4 < 2 else "b"
            assert store.check(key(phone), digest(code), FREE).verdict is Verdict.ACCEPTED

    def test_resends_at_once_all_put_their_code_in_place(self, store: Driven) -> None:
        for phone in range(3 * self.repeats):
            store.opened(key(phone), first("x"), FREE)
            store.together([("open", key(phone), further(code), FREE) for code in "abc"])
            answer = store.check(key(phone), digest("abc"[phone % 3]), FREE)
            assert answer.verdict is Verdict.ACCEPTED

    def test_a_place_beside_a_check_loses_neither_code(self, store: Driven) -> None:
        for phone in range(4 * self.repeats):
            store.opened(key(phone), first("a"), FREE)
            at = store.opened(key(phone), to_follow(new=False), FREE).at
            steps = [
                ("place", key(phone), at, digest("b"), FREE),
                ("check", key(phone), digest("wrong"), FREE),
            ]
            answers = store.together(steps if phone % 2 else steps[::-1])
            assert kinds(answers) == {Standing: 1, Verdict.WRONG: 1}
            code = "a" if phone % 4 < 2 else "b"
            assert store.check(key(phone), digest(code), FREE).verdict is Verdict.ACCEPTED

    @pytest.mark.parametrize("end", ["check", "cancel"])
    def test_a_place_beside_the_end_brings_nothing_back(self, store: Driven, end: str) -> None:
        """A right code, or a cancel."""
        for phone in range(4 * self.repeats):
            store.opened(key(phone), first("a"), FREE)
            at = store.opened(key(phone), to_follow(new=False), FREE).at
            ends = ("check", key(phone), digest("a"), FREE)
            steps: list[Step] = [
                ("place", key(phone), at, digest("b"), FREE),
                ends if end == "check" else ("cancel", key(phone)),
            ]
            answers = kinds(store.together(steps if phone % 2 else steps[::-1]))
            assert answers[Verdict.ACCEPTED] == (end == "check")
            assert store.check(key(phone), digest("b"), FREE).verdict is Verdict.GONE
            assert store.place(key(phone), at, digest("b"), FREE) is None

    def test_digests_placed_at_once_are_all_good(self, store: Driven) -> None:
        for phone in range(3 * self.repeats):
            opened = [store.opened(key(phone), to_follow(new=not n), FREE) for n in range(3)]
            places = [
                ("place", key(phone), one.at, digest(code), FREE)
                for one, code in zip(opened, "abc", strict=True)
            ]
            assert kinds(store.together(places)) == {Standing: 3}
            answer = store.check(key(phone), digest("abc"[phone % 3]), FREE)
            assert answer.verdict is Verdict.ACCEPTED

    def test_starts_at_once_are_admitted_once_in_a_cooldown(self, store: Driven) -> None:
        for phone in range(self.repeats):
            starts = [
                ("open", key(phone, "login", n), first(n), DEFAULTS) for n in range(self.crowd)
            ]
            assert kinds(store.together(starts)) == {Opened: 1, Refusal.COOLDOWN: self.crowd - 1}

    def test_starts_at_once_stay_within_the_limit(self, store: Driven) -> None:
        policy = Policy(resend_cooldown_seconds=0, sends_per_phone=(Limit(4, 3600),))
        for phone in range(self.repeats):
            starts = [
                ("open", key(phone, f"purpose {n % 3}", n), first(n), policy)
                for n in range(self.crowd)
            ]
            assert kinds(store.together(starts)) == {Opened: 4, Refusal.SENDS: self.crowd - 4}

    def test_the_failure_budget_holds_over_challenges(self, store: Driven) -> None:
        policy = Policy(
            resend_cooldown_seconds=0,
            sends_per_phone=(),
            failures_per_phone=Limit(7, 3600),
            code_length=8,
        )
        for phone in range(self.repeats):
            for n in range(5):
                store.opened(key(phone, "login", n), first(n), policy)
            guesses = [
                ("check", key(phone, "login", n % 5), digest("wrong"), policy)
                for n in range(self.crowd)
            ]
            expected = {Verdict.WRONG: 7, Verdict.EXHAUSTED: self.crowd - 7}
            assert kinds(store.together(guesses)) == expected

    def test_a_release_beside_a_check_brings_nothing_back(self, store: Driven) -> None:
        for phone in range(4 * self.repeats):
            store.opened(key(phone), first("a"), FREE)
            opened = store.opened(key(phone), further("b"), FREE)
            steps = [
                ("release", key(phone), opened.at, digest("b") if phone % 2 else None, FREE),
                ("check", key(phone), digest("a"), FREE),
            ]
            answers = store.together(steps if phone % 4 < 2 else steps[::-1])
            assert kinds(answers)[Verdict.ACCEPTED] == 1
            assert store.peek(key(phone), FREE).verdict is Verdict.GONE

    def test_a_cancel_beside_a_check_leaves_nothing(self, store: Driven) -> None:
        for phone in range(4 * self.repeats):
            store.opened(key(phone), first("a"), FREE)
            steps = [("cancel", key(phone)), ("check", key(phone), digest("a"), FREE)]
            answers = kinds(store.together(steps if phone % 2 else steps[::-1]))
            assert answers[Verdict.ACCEPTED] + answers[Verdict.GONE] == 1
            assert store.check(key(phone), digest("a"), FREE).verdict is Verdict.GONE

    def test_a_counter_holds(self, store: Driven) -> None:
        limits = (Limit(3, 60),)
        for n in range(self.repeats):
            answers = store.together([("reserve", f"network {n}", limits)] * self.crowd)
            assert kinds(answers)[Refusal.NETWORK] == self.crowd - 3

    def test_sends_given_back_at_once_are_given_back_exactly(self, store: Driven) -> None:
        policy = Policy(resend_cooldown_seconds=0, sends_per_phone=(Limit(6, 3600),))
        for phone in range(self.repeats):
            opened = [store.opened(key(phone, "login", n), first(n), policy) for n in range(6)]
            store.together(
                [("release", key(phone, "login", n), opened[n].at, None, policy) for n in range(4)]
            )
            left = store.opened(key(phone, "login", 9), first(9), policy).standing.sends_left
            assert left == 3

    def test_phones_do_not_disturb_each_other(self, store: Driven) -> None:
        phones = range(self.crowd)
        opened = store.together([("open", key(n), first(n), DEFAULTS) for n in phones])
        assert kinds(opened) == {Opened: self.crowd}
        steps = [("check", key(n), digest(n if n % 2 else "wrong"), DEFAULTS) for n in phones]
        answers = store.together(steps)
        assert [answer.verdict is Verdict.ACCEPTED for answer in answers] == [
            n % 2 == 1 for n in phones
        ]


DAY = DAY_SECONDS * 1000


def policy(*sends: Limit, failures: Limit | None = None, cooldown: int = 0) -> Policy:
    """A policy with these limits and no other."""
    return Policy(
        resend_cooldown_seconds=cooldown,
        sends_per_phone=sends,
        failures_per_phone=failures,
        consecutive_failures=None,
        code_length=10,
        max_attempts=1000,
        allow_weak=True,
    )


SHORT = policy(Limit(50, 60), failures=Limit(50, 60))
UNLIMITED = policy()


class Sharing(Base):
    """A policy with long windows keeps its counts when other policies write in between."""

    def test_short_windows_make_no_limit_on_sends_forget(self, store: Driven) -> None:
        daily = policy(Limit(2, DAY_SECONDS))
        store.opened(key(), first("a"), daily)
        store.opened(key(challenge=2), first("a"), daily)
        for number in range(3, 10):
            store.pass_time(150 * MINUTE)
            store.opened(key(challenge=number), first("a"), SHORT)
            store.check(key(challenge=number), digest("wrong"), SHORT)
            refused = store.refused(key(challenge=99), first("a"), daily)
            assert (refused.refusal, refused.limit) == (Refusal.SENDS, Limit(2, DAY_SECONDS))
        assert refused.retry_in == DAY - 150 * MINUTE, "what the other sent counts, too"
        store.pass_time(DAY - 150 * MINUTE)
        store.opened(key(challenge=99), first("a"), daily)

    def test_short_windows_make_no_failure_budget_forget(self, store: Driven) -> None:
        daily = policy(failures=Limit(2, DAY_SECONDS))
        store.opened(key(), first("a"), daily)
        for _ in range(2):
            store.check(key(), digest("wrong"), daily)
        for number in range(2, 5):
            store.pass_time(5 * 60 * MINUTE)
            store.opened(key(challenge=number), first("a"), SHORT)
            assert store.peek(key(challenge=number), daily).verdict is Verdict.EXHAUSTED
        refused = store.refused(key(challenge=9), first("a"), daily)
        assert (refused.refusal, refused.retry_in) == (Refusal.FAILURES, DAY - 15 * 60 * MINUTE)
        store.pass_time(refused.retry_in)
        store.opened(key(challenge=9), first("a"), daily)

    def test_short_windows_make_no_cooldown_forget(self, store: Driven) -> None:
        """A cooldown may be longer than any window."""
        patient = policy(Limit(5, 30), cooldown=7200)
        store.opened(key(), first("a"), patient)
        store.pass_time(100 * MINUTE)
        store.opened(key(1, "another", 2), first("a"), SHORT)
        refused = store.refused(key(challenge=3), first("a"), patient)
        assert (refused.refusal, refused.retry_in) == (Refusal.COOLDOWN, 20 * MINUTE)
        store.pass_time(20 * MINUTE)
        store.opened(key(challenge=3), first("a"), patient)

    def test_a_policy_without_limits_is_counted_by_those_that_have_some(
        self, store: Driven
    ) -> None:
        limited = policy(Limit(3, 3600), failures=Limit(3, 3600))
        store.opened(key(), first("a"), limited)
        store.check(key(), digest("wrong"), limited)
        for number in (2, 3):
            store.opened(key(challenge=number), first("a"), UNLIMITED)
            store.check(key(challenge=number), digest("wrong"), UNLIMITED)
        assert store.peek(key(), limited).verdict is Verdict.EXHAUSTED
        refused = store.refused(key(challenge=9), first("a"), policy(Limit(3, 3600)))
        assert refused.refusal is Refusal.SENDS
        store.opened(key(challenge=4), first("a"), UNLIMITED)

    def test_nor_do_many_events_of_another(self, store: Driven) -> None:
        """A log may be cut to what the limits look at, and never shorter."""
        limited = policy(Limit(3, 3600), failures=Limit(2, 3600))
        store.opened(key(1, "other"), first("a"), limited)
        for _ in range(2):
            store.check(key(1, "other"), digest("wrong"), limited)
        store.opened(key(), first("a"), UNLIMITED)
        opened = []
        for number in range(140):
            opened.append(store.opened(key(challenge=number), first("a"), UNLIMITED))
            store.check(key(challenge=number), digest("wrong"), UNLIMITED)
        # There were more than three, even if some are given back now.
        for number, one in enumerate(opened):
            store.release(key(challenge=number), one.at, None, UNLIMITED)
        refused = store.refused(key(challenge=999), first("a"), policy(Limit(2, 3600)))
        assert refused.refusal is Refusal.SENDS
        assert store.peek(key(), limited).verdict is Verdict.EXHAUSTED
        assert store.peek(key(1, "other"), limited).verdict is Verdict.EXHAUSTED

    def test_a_log_reaches_as_far_back_as_those_that_wrote_to_it_look(self, store: Driven) -> None:
        daily = policy(Limit(2, DAY_SECONDS))
        store.opened(key(), first("a"), SHORT)
        store.pass_time(MINUTE - 1)
        store.opened(key(challenge=2), first("a"), SHORT)
        store.pass_time(1)
        assert store.opened(key(challenge=3), first("a"), daily).standing.sends_left == 0
        store.pass_time(DAY - 2)
        assert store.refused(key(challenge=4), first("a"), daily).retry_in == 1

    def test_a_horizon_ends_with_the_last_event_in_it(self, store: Driven) -> None:
        daily = policy(Limit(2, DAY_SECONDS))
        store.opened(key(), first("a"), daily)
        store.pass_time(60 * MINUTE)
        opened = store.opened(key(), first("a"), daily)
        store.release(key(), opened.at, None, daily)
        store.pass_time(DAY - 60 * MINUTE)
        for number in (2, 3):
            assert store.opened(key(challenge=number), first("a"), SHORT).standing.sends_left == 49
            store.pass_time(MINUTE)
        store.pass_time(-1)
        assert store.opened(key(challenge=4), first("a"), daily).standing.sends_left == 0

    def test_short_windows_make_no_counter_forget(self, store: Driven) -> None:
        daily, minutely = (Limit(2, DAY_SECONDS),), (Limit(9, 60),)
        for _ in range(2):
            assert isinstance(store.reserve("network", daily), Reserved)
        for _ in range(5):
            store.pass_time(3 * 60 * MINUTE)
            assert isinstance(store.reserve("network", minutely), Reserved)
            refused = store.reserve("network", daily)
            assert isinstance(refused, Refused)
        assert refused == Refused(Refusal.NETWORK, DAY - 3 * 60 * MINUTE, daily[0])
        store.pass_time(refused.retry_in)
        assert isinstance(store.reserve("network", daily), Reserved)
