"""Conformance: the proof that a right code leaves behind."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

from otpverify.core.policy import Policy
from otpverify.core.state import Checked, Refusal, Refused, Verdict
from otpverify.testing.conformance.base import (
    FREE,
    MINUTE,
    SECOND,
    Base,
    Driven,
    digest,
    first,
    further,
    key,
)

GONE = Checked(Verdict.GONE)
ACCEPTED = Checked(Verdict.ACCEPTED)


class Proofs(Base):
    """Redeem."""

    def test_a_proof_is_redeemed_once(self, store: Driven) -> None:
        opened = store.opened(key(), first("a"), FREE)
        assert not store.redeem(key()), "the code was not entered yet"
        store.check(key(), digest("wrong"), FREE)
        assert not store.redeem(key())
        assert store.check(key(), digest("a"), FREE) == ACCEPTED
        # The other operations on the used challenge do not change its proof.
        assert store.check(key(), digest("a"), FREE) == GONE
        assert store.peek(key(), FREE) == GONE
        assert store.open(key(), further("b"), FREE) == Refused(Refusal.GONE)
        assert store.status(key(), FREE) is None
        assert store.release(key(), opened.at, digest("a"), FREE) is None
        assert not store.redeem(key(challenge=2)), "there is none"
        assert not store.redeem(key(purpose="other"))
        assert not store.redeem(key(2))
        assert store.redeem(key())
        assert not store.redeem(key())
        assert store.check(key(), digest("a"), FREE) == GONE

    def test_a_proof_goes_with_its_challenge(self, store: Driven) -> None:
        for phone, end in ((1, "cancel"), (2, "open")):
            store.opened(key(phone), first("a"), FREE)
            assert store.check(key(phone), digest("a"), FREE) == ACCEPTED
            if end == "cancel":
                store.cancel(key(phone))
            else:
                store.opened(key(phone), first("b"), FREE)
            assert not store.redeem(key(phone))

    def test_a_proof_is_good_for_ten_minutes_less_one_millisecond(self, store: Driven) -> None:
        brief = Policy(proof_ttl_seconds=20, resend_cooldown_seconds=0)
        for phone, policy in ((1, FREE), (2, FREE), (3, brief), (4, brief)):
            store.opened(key(phone), first("a"), policy)
            assert store.check(key(phone), digest("a"), policy).verdict is Verdict.ACCEPTED
        store.pass_time(20 * SECOND - 1)
        assert store.redeem(key(3))
        store.pass_time(1)
        assert not store.redeem(key(4))
        store.pass_time(10 * MINUTE - 20 * SECOND - 1)
        assert store.redeem(key())
        store.pass_time(1)
        assert not store.redeem(key(2))

    def test_proofs_at_once_are_redeemed_exactly_once(self, store: Driven) -> None:
        for phone in range(self.repeats):
            store.opened(key(phone), first("a"), FREE)
            assert store.check(key(phone), digest("a"), FREE).verdict is Verdict.ACCEPTED
            answers = store.together([("redeem", key(phone))] * self.crowd)
            assert sorted(answers) == [False] * (self.crowd - 1) + [True]
