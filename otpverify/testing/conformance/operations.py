"""Conformance: what each operation does with ordinary and concealed challenges, with time standing
still."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

import pytest

from otpverify.core.answers import Checked, Opened, Refusal, Refused, Reported, Standing, Verdict
from otpverify.core.limits import Limit
from otpverify.core.policy import Policy
from otpverify.core.results import DeliveryStatus
from otpverify.core.state import Opening
from otpverify.errors import StoreError
from otpverify.testing.conformance.base import (
    DEFAULTS,
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
PENDING = Checked(Verdict.PENDING)


def wrong(attempts_left: int) -> Checked:
    return Checked(Verdict.WRONG, attempts_left=attempts_left)


class Operations(Base):
    """Open, check, peek, release and cancel."""

    def test_a_right_code_is_accepted_once(self, store: Driven) -> None:
        store.opened(key(), first("a"), FREE)
        assert store.check(key(), digest("a"), FREE) == ACCEPTED
        assert store.check(key(), digest("a"), FREE) == GONE
        assert store.peek(key(), FREE) == GONE
        assert store.open(key(), further("b"), FREE) == Refused(Refusal.GONE)
        assert store.check(key(), digest("b"), FREE) == GONE

    def test_what_was_never_opened_is_gone(self, store: Driven) -> None:
        assert store.peek(key(), FREE) == GONE
        assert store.check(key(), digest("a"), FREE) == GONE
        assert store.open(key(), further("a"), FREE) == Refused(Refusal.GONE)
        assert store.release(key(), 1, digest("a"), FREE) is None
        store.cancel(key())
        assert store.peek(key(), FREE) == GONE

    def test_open_says_how_the_challenge_stands(self, store: Driven) -> None:
        opened = store.opened(key(), first("a"), DEFAULTS)
        assert opened.standing == Standing(10 * MINUTE, MINUTE, 5, 4, decoy=False)
        free = store.opened(key(2), first("a", decoy=True), FREE)
        assert free.standing == Standing(10 * MINUTE, 0, 5, None, decoy=True, concealed=True)

    def test_wrong_codes_count_down_until_none_is_compared(self, store: Driven) -> None:
        store.opened(key(), first("a"), DEFAULTS)
        for left in (4, 3, 2, 1, 0):
            assert store.peek(key(), DEFAULTS) == PENDING
            assert store.check(key(), digest("wrong"), DEFAULTS) == wrong(left)
        for answer in (
            store.check(key(), digest("a"), DEFAULTS),
            store.peek(key(), DEFAULTS),
            store.check(key(), digest("a"), DEFAULTS),
        ):
            assert answer.verdict is Verdict.EXHAUSTED
            assert store.near(answer.retry_in, MINUTE), "until another code may be sent"
        refused = store.refused(key(), further("b"), DEFAULTS)
        assert refused.refusal is Refusal.ATTEMPTS
        assert store.near(refused.retry_in, MINUTE)

    def test_a_right_code_is_accepted_at_the_last_attempt(self, store: Driven) -> None:
        store.opened(key(), first("a"), FREE)
        for left in (4, 3, 2, 1):
            assert store.check(key(), digest("wrong"), FREE) == wrong(left)
        assert store.check(key(), digest("a"), FREE) == ACCEPTED

    def test_a_resend_gives_no_attempts_back(self, store: Driven) -> None:
        store.opened(key(), first("a"), FREE)
        store.check(key(), digest("wrong"), FREE)
        assert store.opened(key(), further("b"), FREE).standing.attempts_left == 4
        assert store.check(key(), digest("wrong"), FREE) == wrong(3)

    @pytest.mark.parametrize("typed", [1, 2, 3])
    def test_the_newest_codes_are_all_good(self, store: Driven, typed: int) -> None:
        store.opened(key(), first(0), FREE)
        for code in (1, 2, 3):
            store.opened(key(), further(code), FREE)
        assert store.check(key(), digest(typed), FREE) == ACCEPTED
        assert store.check(key(), digest(3), FREE) == GONE, "one uses all of them up"

    def test_an_older_code_is_wrong(self, store: Driven) -> None:
        store.opened(key(), first(0), FREE)
        for code in (1, 2, 3):
            store.opened(key(), further(code), FREE)
        assert store.check(key(), digest(0), FREE) == wrong(4)

    def test_opening_anew_begins_anew(self, store: Driven) -> None:
        store.opened(key(), first("a"), FREE)
        store.check(key(), digest("wrong"), FREE)
        assert store.opened(key(), first("b"), FREE).standing.attempts_left == 5
        assert store.check(key(), digest("a"), FREE) == wrong(4)

    def test_a_decoy_counts_and_matches_nothing(self, store: Driven) -> None:
        store.opened(key(), first("a", decoy=True), FREE)
        assert store.opened(key(), further("b"), FREE).standing.decoy, "it stays one"
        assert store.peek(key(), FREE) == PENDING
        for left, typed in ((4, "a"), (3, "b"), (2, "wrong"), (1, "a"), (0, "b")):
            assert store.check(key(), digest(typed), FREE) == wrong(left)
        assert store.check(key(), digest("a"), FREE).verdict is Verdict.EXHAUSTED

    def test_a_resend_makes_no_decoy(self, store: Driven) -> None:
        store.opened(key(), first("a"), FREE)
        opened = store.opened(key(), Opening(digest("b"), new=False, decoy=True), FREE)
        assert not opened.standing.decoy
        assert store.check(key(), digest("b"), FREE) == ACCEPTED

    def test_a_read_changes_nothing(self, store: Driven) -> None:
        store.opened(key(), first("a"), DEFAULTS)
        assert [store.peek(key(), DEFAULTS) for _ in range(40)] == [PENDING] * 40
        assert store.check(key(), digest("wrong"), DEFAULTS) == wrong(4)

    def test_a_refused_open_changes_nothing(self, store: Driven) -> None:
        store.opened(key(), first("a"), DEFAULTS)
        for _ in range(9):
            assert store.refused(key(), further("b"), DEFAULTS).refusal is Refusal.COOLDOWN
            assert store.refused(key(challenge=2), first("c"), DEFAULTS).limit is not None
        assert store.check(key(), digest("b"), DEFAULTS) == wrong(4)
        assert store.peek(key(challenge=2), DEFAULTS) == GONE
        assert store.check(key(), digest("a"), DEFAULTS) == ACCEPTED
        other = store.opened(key(purpose="other"), first("d"), DEFAULTS)
        assert other.standing.sends_left == 3

    def test_challenges_do_not_know_each_other(self, store: Driven) -> None:
        keys = [key(1, "login", 1), key(1, "login", 2), key(1, "reset", 1), key(2, "login", 1)]
        for number, one in enumerate(keys):
            store.opened(one, first(number), FREE)
        for number, one in enumerate(keys):
            assert store.check(one, digest((number + 1) % 4), FREE) == wrong(4)
        for number, one in enumerate(keys):
            assert store.check(one, digest(number), FREE) == ACCEPTED

    def test_a_cancelled_challenge_is_gone_and_its_limits_stay(self, store: Driven) -> None:
        opened = store.opened(key(), first("a"), DEFAULTS)
        store.cancel(key())
        store.cancel(key())
        assert store.peek(key(), DEFAULTS) == GONE
        assert store.check(key(), digest("a"), DEFAULTS) == GONE
        assert store.open(key(), further("b"), DEFAULTS) == Refused(Refusal.GONE)
        assert store.refused(key(challenge=2), first("c"), DEFAULTS).refusal is Refusal.COOLDOWN
        assert store.release(key(), opened.at, None, DEFAULTS) is None
        store.opened(key(challenge=2), first("c"), DEFAULTS)

    def test_cancelling_one_spares_the_others(self, store: Driven) -> None:
        store.opened(key(), first("a"), FREE)
        store.opened(key(challenge=2), first("b"), FREE)
        store.cancel(key())
        assert store.check(key(challenge=2), digest("b"), FREE) == ACCEPTED

    def test_a_released_send_is_not_counted(self, store: Driven) -> None:
        opened = store.opened(key(), first("a"), DEFAULTS)
        standing = store.release(key(), opened.at, None, DEFAULTS)
        assert standing is not None
        assert store.near(standing.expires_in, 10 * MINUTE)
        assert (standing.resend_in, standing.attempts_left, standing.sends_left) == (0, 5, 5)
        again = store.opened(key(), further("b"), DEFAULTS)
        assert again.standing.sends_left == 4
        assert store.check(key(), digest("a"), DEFAULTS) == ACCEPTED, "it was not voided"

    def test_a_code_that_was_not_delivered_is_void_and_no_other(self, store: Driven) -> None:
        store.opened(key(), first("a"), FREE)
        opened = store.opened(key(), further("b"), FREE)
        assert store.release(key(), opened.at, digest("b"), FREE) is not None
        assert store.check(key(), digest("b"), FREE) == wrong(4)
        assert store.check(key(), digest("a"), FREE) == ACCEPTED

    def test_without_its_only_code_a_challenge_is_gone(self, store: Driven) -> None:
        opened = store.opened(key(), first("a"), DEFAULTS)
        assert store.release(key(), opened.at, digest("a"), DEFAULTS) is None
        assert store.peek(key(), DEFAULTS) == GONE
        assert store.check(key(), digest("a"), DEFAULTS) == GONE
        assert store.open(key(), further("b"), DEFAULTS) == Refused(Refusal.GONE)
        store.opened(key(challenge=2), first("c"), DEFAULTS)

    def test_a_release_gives_no_attempts_back(self, store: Driven) -> None:
        store.opened(key(), first("a"), FREE)
        opened = store.opened(key(), further("b"), FREE)
        store.check(key(), digest("wrong"), FREE)
        standing = store.release(key(), opened.at, digest("b"), FREE)
        assert standing is not None
        assert standing.attempts_left == 4

    def test_a_used_challenge_does_not_come_back(self, store: Driven) -> None:
        opened = store.opened(key(), first("a"), DEFAULTS)
        assert store.check(key(), digest("a"), DEFAULTS) == ACCEPTED
        for undelivered in (None, digest("a")):
            assert store.release(key(), opened.at, undelivered, DEFAULTS) is None
        assert store.check(key(), digest("a"), DEFAULTS) == GONE
        assert store.open(key(), further("b"), DEFAULTS) == Refused(Refusal.GONE)
        store.opened(key(challenge=2), first("c"), DEFAULTS)

    def test_releasing_what_was_not_reserved_changes_nothing(self, store: Driven) -> None:
        opened = store.opened(key(), first("a"), DEFAULTS)
        for one, at in ((key(), opened.at - 1), (key(purpose="other"), opened.at)):
            store.release(one, at, None, DEFAULTS)
        assert store.refused(key(), further("b"), DEFAULTS).refusal is Refusal.COOLDOWN
        assert store.check(key(), digest("a"), DEFAULTS) == ACCEPTED

    def test_digests_may_have_any_length(self, store: Driven) -> None:
        for number, code in enumerate((b"x", b"\x00" * 16, b"\xff" * 64, b"y" * 200)):
            store.opened(key(number), Opening(code, new=True), FREE)
            assert store.check(key(number), code[:-1] + b"z", FREE) == wrong(4)
            assert store.check(key(number), code + b"z", FREE) == wrong(3)
            assert store.check(key(number), code, FREE) == ACCEPTED

    def test_nothing_is_evicted(self, store: Driven) -> None:
        """A full store refuses new challenges; it never forgets an attempt."""
        admitted = []
        for phone in range(self.many):
            try:
                store.opened(key(phone), first(phone), FREE)
                assert store.check(key(phone), digest("wrong"), FREE) == wrong(4)
            except StoreError:
                break
            admitted.append(phone)
        assert admitted
        for phone in admitted:
            assert store.check(key(phone), digest("wrong"), FREE) == wrong(3)
            assert store.check(key(phone), digest(phone), FREE) == ACCEPTED

    def test_a_policy_may_change_under_a_live_challenge(self, store: Driven) -> None:
        store.opened(key(), first("a"), FREE)
        for _ in range(3):
            store.check(key(), digest("wrong"), FREE)
        strict = Policy(max_attempts=3, resend_cooldown_seconds=0)
        assert store.check(key(), digest("a"), strict).verdict is Verdict.EXHAUSTED
        assert store.check(key(), digest("a"), FREE) == ACCEPTED

    def test_answers_are_of_their_types(self, store: Driven) -> None:
        opened = store.open(key(), first("a"), DEFAULTS)
        assert type(opened) is Opened
        assert type(opened.at) is int


class Proofs(Base):
    """Redeem: the proof that a right code leaves behind."""

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


THREE = Policy(resend_cooldown_seconds=0, sends_per_phone=(Limit(3, 3600),))


class Concealment(Base):
    """Concealed sends, and what shows of them."""

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
