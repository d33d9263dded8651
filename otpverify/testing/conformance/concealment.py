"""Conformance: concealed challenges, and the calls before a costly hash."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

from otpverify.core.answers import Checked, Refusal, Refused, Reported, Verdict
from otpverify.core.limits import Limit
from otpverify.core.policy import Policy
from otpverify.core.results import DeliveryStatus
from otpverify.testing.conformance.base import (
    DEFAULTS,
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
PENDING = Checked(Verdict.PENDING)
GONE = Checked(Verdict.GONE)


class Concealment(Base):
    """Concealed sends, admit and claim."""

    def test_concealed_sends_are_counted_apart(self, store: Driven) -> None:
        for number in range(3):
            decoy = number == 1
            opened = store.opened(
                key(challenge=number), first("a", concealed=True, decoy=decoy), THREE
            )
            assert opened.standing.sends_left == 2 - number
            assert (opened.standing.concealed, opened.standing.decoy) == (True, decoy)
        refused = store.refused(key(challenge=4), first("a", concealed=True), THREE)
        assert refused.refusal is Refusal.SENDS
        assert store.refused(key(), further("b"), THREE).refusal is Refusal.SENDS
        for number in range(5, 8):
            opened = store.opened(key(challenge=number), first("a"), THREE)
            assert opened.standing.sends_left == 7 - number
            assert not opened.standing.concealed
        assert store.refused(key(challenge=8), first("a"), THREE).refusal is Refusal.SENDS

    def test_a_concealed_cooldown_is_one_of_its_own(self, store: Driven) -> None:
        store.opened(key(), first("a"), DEFAULTS)
        concealed = store.opened(key(challenge=2), first("a", concealed=True), DEFAULTS)
        assert store.near(concealed.standing.resend_in, MINUTE)
        for place, opening in ((3, first("a", concealed=True)), (4, first("a")), (2, further("b"))):
            refused = store.refused(key(challenge=place), opening, DEFAULTS)
            assert refused.refusal is Refusal.COOLDOWN

    def test_a_further_code_stays_concealed(self, store: Driven) -> None:
        store.opened(key(), first("a", concealed=True), THREE)
        assert store.opened(key(), further("b"), THREE).standing.sends_left == 1
        assert store.opened(key(challenge=2), first("a"), THREE).standing.sends_left == 2
        assert store.opened(key(), further("c"), THREE).standing.concealed

    def test_a_concealed_code_is_accepted_unless_it_is_a_decoy_s(self, store: Driven) -> None:
        store.opened(key(), first("a", concealed=True), FREE)
        store.opened(key(2), first("a", decoy=True), FREE)
        assert store.check(key(2), digest("a"), FREE).verdict is Verdict.WRONG
        assert store.check(key(), digest("a"), FREE).verdict is Verdict.ACCEPTED
        assert store.redeem(key())

    def test_wrong_codes_are_counted_together(self, store: Driven) -> None:
        budget = Policy(failures_per_phone=Limit(4, 86400), resend_cooldown_seconds=0)
        store.opened(key(), first("a"), budget)
        store.opened(key(challenge=2), first("a", concealed=True), budget)
        for place in (1, 2, 1, 2):
            wrong = store.check(key(challenge=place), digest("wrong"), budget)
            assert wrong.verdict is Verdict.WRONG
        for place in (1, 2):
            assert store.peek(key(challenge=place), budget).verdict is Verdict.EXHAUSTED

    def test_a_report_changes_nothing_that_shows(self, store: Driven) -> None:
        failed = DeliveryStatus.FAILED
        ordinary = store.opened(key(challenge=2), first("a"), THREE)
        opened = store.opened(key(), first("a", concealed=True), THREE)
        assert store.report(key(), opened.at, failed, THREE) == Reported(True, True)
        assert store.report(key(), opened.at, failed, THREE) == Reported(known=True)
        assert store.status(key(), THREE) is DeliveryStatus.QUEUED
        assert store.opened(key(), further("b"), THREE).standing.sends_left == 1
        given_back = store.report(key(challenge=2), ordinary.at, failed, THREE)
        assert given_back == Reported(True, True, True)
        assert store.status(key(challenge=2), THREE) is failed
        assert store.opened(key(), further("c"), THREE).standing.sends_left == 0

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
