"""Conformance: the calls around a costly hash."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

from otpverify.core.answers import Checked, Refusal, Refused, Verdict
from otpverify.core.limits import Limit
from otpverify.core.policy import Policy
from otpverify.testing.conformance.base import (
    FREE,
    MINUTE,
    Base,
    Driven,
    digest,
    first,
    further,
    key,
)

THREE = Policy(resend_cooldown_seconds=0, sends_per_phone=(Limit(3, 3600),))
ACCEPTED = Checked(Verdict.ACCEPTED)
GONE = Checked(Verdict.GONE)
PENDING = Checked(Verdict.PENDING)


class CostlyHash(Base):
    """The calls around a costly hash: admit and claim."""

    def test_admit_answers_as_open_and_changes_nothing(self, store: Driven) -> None:
        assert store.admit(key(), further("b"), THREE) == Refused(Refusal.GONE)
        for concealed in (False, True):
            opening = first("a", concealed=concealed)
            place = key(challenge=1 + concealed)
            for _ in range(5):
                assert store.admit(place, opening, THREE) is None
            for number in range(3):
                store.opened(key(challenge=10 * (1 + concealed) + number), opening, THREE)
            refused = store.admit(place, opening, THREE)
            assert refused is not None
            assert (refused.refusal, refused.limit) == (Refusal.SENDS, Limit(3, 3600))
            assert store.near(refused.retry_in, 60 * MINUTE)
            assert store.peek(place, THREE) == GONE

    def test_admit_tells_a_further_code_that_no_attempts_are_left(self, store: Driven) -> None:
        store.opened(key(), first("a"), FREE)
        assert store.admit(key(), further("b"), FREE) is None
        for _ in range(FREE.max_attempts):
            store.check(key(), digest("wrong"), FREE)
        assert store.admit(key(), further("b"), FREE) == Refused(Refusal.ATTEMPTS)

    def test_a_claim_is_an_attempt(self, store: Driven) -> None:
        assert store.claim(key(), FREE) == GONE
        store.opened(key(), first("a"), FREE)
        assert [store.claim(key(), FREE) for _ in range(5)] == [PENDING] * 5
        assert store.claim(key(), FREE).verdict is Verdict.EXHAUSTED
        assert store.peek(key(), FREE).verdict is Verdict.EXHAUSTED
        assert store.check(key(), digest("a"), FREE).verdict is Verdict.EXHAUSTED
        for _ in range(4):
            answer = store.check(key(), digest("wrong"), FREE, True)
            assert answer == Checked(Verdict.WRONG, attempts_left=0)
        assert store.check(key(), digest("a"), FREE, True).verdict is Verdict.ACCEPTED
        assert store.check(key(), digest("a"), FREE, True) == GONE

    def test_claimed_attempts_count_once(self, store: Driven) -> None:
        store.opened(key(), first("a"), FREE)
        for left in (4, 3, 2, 1, 0):
            assert store.claim(key(), FREE) == PENDING
            answer = store.check(key(), digest("wrong"), FREE, True)
            assert answer == Checked(Verdict.WRONG, attempts_left=left)
        assert store.claim(key(), FREE).verdict is Verdict.EXHAUSTED

    def test_a_spent_failure_budget_admits_no_claim(self, store: Driven) -> None:
        budget = Policy(failures_per_phone=Limit(2, 86400), resend_cooldown_seconds=0)
        store.opened(key(), first("a"), budget)
        assert [store.claim(key(), budget) for _ in range(3)] == [PENDING] * 3
        for verdict in (Verdict.WRONG, Verdict.WRONG, Verdict.EXHAUSTED):
            assert store.check(key(), digest("wrong"), budget, True).verdict is verdict
        assert store.claim(key(), budget).verdict is Verdict.EXHAUSTED

    def test_claims_at_once_are_no_more_than_attempts(self, store: Driven) -> None:
        store.opened(key(), first("a"), FREE)
        answers = store.together([("claim", key(), FREE)] * self.crowd)
        assert sum(answer == PENDING for answer in answers) == FREE.max_attempts
