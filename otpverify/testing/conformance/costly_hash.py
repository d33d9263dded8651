"""Conformance: the calls around a costly hash."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

from dataclasses import replace

import pytest

from otpverify.core.answers import Checked, Refusal, Standing, Verdict
from otpverify.core.limits import Limit
from otpverify.core.policy import Policy
from otpverify.core.results import DeliveryStatus
from otpverify.core.state import Opening
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
    to_follow,
)

ACCEPTED = Checked(Verdict.ACCEPTED)
GONE = Checked(Verdict.GONE)
PENDING = Checked(Verdict.PENDING)


class CostlyHash(Base):
    """The calls around a costly hash: a code that is opened without a digest, and placed after; an
    attempt that is claimed, and checked after."""

    def test_a_code_is_good_when_its_digest_is_placed(self, store: Driven) -> None:
        opened = store.opened(key(), to_follow(), FREE)
        for typed in (digest("a"), b"", bytes(32)):
            assert store.check(key(), typed, FREE).verdict is Verdict.WRONG
        standing = store.place(key(), opened.at, digest("a"), FREE)
        assert standing is not None
        assert standing.attempts_left == 2
        assert store.near(standing.expires_in, 10 * MINUTE)
        assert store.check(key(), digest("a"), FREE) == ACCEPTED

    def test_a_placed_code_stands_as_one_that_was_opened_with_its_digest(
        self, store: Driven
    ) -> None:
        for concealed, decoy in ((False, False), (True, False), (True, True)):
            for phone, opening in enumerate((first("a"), to_follow())):
                kind = replace(opening, concealed=concealed, decoy=decoy)
                place = key(10 * (1 + concealed + decoy) + phone)
                opened = store.opened(place, kind, DEFAULTS)
                standing: Standing | None = opened.standing
                if kind.digest is None:
                    standing = store.place(place, opened.at, digest("a"), DEFAULTS)
                assert standing is not None
                assert (standing.concealed, standing.decoy) == (concealed, decoy)
                assert (standing.attempts_left, standing.sends_left) == (5, 4)
                assert store.near(standing.expires_in, 10 * MINUTE)
                assert store.near(standing.resend_in, MINUTE)
                right = store.check(place, digest("a"), DEFAULTS).verdict
                assert right is (Verdict.WRONG if decoy else Verdict.ACCEPTED)

    def test_a_send_without_a_digest_counts(self, store: Driven) -> None:
        opened = store.opened(key(), to_follow(), DEFAULTS)
        refused = store.refused(key(challenge=2), to_follow(), DEFAULTS)
        assert refused.refusal is Refusal.COOLDOWN
        assert store.refused(key(), further("b"), DEFAULTS).refusal is Refusal.COOLDOWN
        store.place(key(), opened.at, digest("a"), DEFAULTS)
        assert store.refused(key(), further("b"), DEFAULTS).refusal is Refusal.COOLDOWN
        assert store.status(key(), DEFAULTS) is DeliveryStatus.QUEUED

    @pytest.mark.parametrize("typed", ["a", "b", "c"])
    def test_earlier_codes_are_good_until_another_takes_their_place(
        self, store: Driven, typed: str
    ) -> None:
        two = Policy(live_codes=2, resend_cooldown_seconds=0)
        store.opened(key(), first("a"), two)
        store.opened(key(), further("b"), two)
        opened = store.opened(key(), to_follow(new=False), two)
        if typed == "a":  # of three, but the newest has no digest
            assert store.check(key(), digest("a"), two) == ACCEPTED
            assert store.place(key(), opened.at, digest("c"), two) is None
            return
        assert store.place(key(), opened.at, digest("c"), two) is not None
        assert store.check(key(), digest("a"), two).verdict is Verdict.WRONG
        assert store.check(key(), digest(typed), two) == ACCEPTED

    def test_what_is_gone_takes_no_digest(self, store: Driven) -> None:
        used, cancelled, released = (key(challenge=number) for number in (1, 2, 3))
        at = {}
        for where in (used, cancelled, released):
            store.opened(where, first("a"), FREE)
            at[where] = store.opened(where, to_follow(new=False), FREE).at
        assert store.check(used, digest("a"), FREE) == ACCEPTED
        store.cancel(cancelled)
        assert store.release(released, at[released], None, FREE) is not None
        for where in (used, cancelled, released):
            assert store.place(where, at[where], digest("b"), FREE) is None
        assert store.check(used, digest("b"), FREE) == GONE
        assert store.redeem(used), "its proof is still there"
        assert store.check(cancelled, digest("b"), FREE) == GONE
        assert store.check(released, digest("b"), FREE).verdict is Verdict.WRONG
        assert store.check(released, digest("a"), FREE) == ACCEPTED

    def test_what_was_not_reserved_takes_no_digest(self, store: Driven) -> None:
        assert store.place(key(), 1, digest("a"), FREE) is None
        opened = store.opened(key(), to_follow(), FREE)
        for where, at in ((key(2), opened.at), (key(), opened.at + 1), (key(challenge=2), 1)):
            assert store.place(where, at, digest("a"), FREE) is None
        assert store.peek(key(challenge=2), FREE) == GONE
        assert store.check(key(), digest("a"), FREE).verdict is Verdict.WRONG

    def test_a_digest_stays_as_it_was_placed(self, store: Driven) -> None:
        opened = store.opened(key(), to_follow(), FREE)
        for _ in range(2):  # the answer to the first may have been lost
            assert store.place(key(), opened.at, digest("a"), FREE) is not None
        assert store.place(key(), opened.at, digest("b"), FREE) is None
        assert store.check(key(), digest("b"), FREE).verdict is Verdict.WRONG
        assert store.check(key(), digest("a"), FREE) == ACCEPTED

    def test_a_send_that_is_given_back_takes_its_code_with_it(self, store: Driven) -> None:
        for concealed in (False, True):
            place = key(challenge=1 + concealed)
            opened = store.opened(place, to_follow(concealed=concealed), DEFAULTS)
            assert store.release(place, opened.at, None, DEFAULTS) is None
            assert store.check(place, digest("a"), DEFAULTS) == GONE
            again = store.opened(place, to_follow(concealed=concealed), DEFAULTS)
            assert again.standing.sends_left == 4, "the first counts no more"

    def test_a_digest_of_zeros_is_a_digest(self, store: Driven) -> None:
        """As a hasher of someone's own may give."""
        store.opened(key(), Opening(bytes(32), new=True), FREE)
        assert store.check(key(), digest("a"), FREE).verdict is Verdict.WRONG
        assert store.check(key(), bytes(32), FREE) == ACCEPTED

    def test_what_is_never_placed_expires_as_all_else(self, store: Driven) -> None:
        """As when a process ends while it hashes."""
        store.opened(key(), first("a"), DEFAULTS)
        store.pass_time(9 * MINUTE)
        opened = store.opened(key(), to_follow(new=False), DEFAULTS)
        store.pass_time(MINUTE)
        assert store.check(key(), digest("a"), DEFAULTS).verdict is Verdict.WRONG, "it expired"
        store.pass_time(9 * MINUTE)
        assert store.place(key(), opened.at, digest("b"), DEFAULTS) is None
        assert store.check(key(), digest("b"), DEFAULTS) == GONE

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
