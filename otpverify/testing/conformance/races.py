"""Conformance: many callers at once, and exact counts."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from otpverify.core.answers import Checked, Opened, Refusal, Refused, Verdict
from otpverify.core.limits import Limit
from otpverify.core.policy import Policy
from otpverify.testing.conformance.base import (
    DEFAULTS,
    FREE,
    Base,
    Driven,
    digest,
    first,
    further,
    key,
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
