"""Conformance: what ends a cooldown before its time, and what does not."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

import pytest

from otpverify.core.answers import Opened, Refusal, Reported, Verdict
from otpverify.core.limits import Limit
from otpverify.core.policy import Policy
from otpverify.core.results import DeliveryStatus
from otpverify.testing.conformance.base import (
    DEFAULTS,
    MINUTE,
    Base,
    Driven,
    Step,
    digest,
    first,
    further,
    key,
)
from otpverify.testing.conformance.shared_store import kinds


class Cooldown(Base):
    """A right code ends the cooldown that its challenge's own sends caused, and nothing else."""

    def test_a_right_code_ends_its_cooldown(self, store: Driven) -> None:
        for number in range(3):
            opened = store.opened(key(challenge=number), first("a"), DEFAULTS)
            assert store.near(opened.standing.resend_in, MINUTE)
            assert opened.standing.sends_left == 4 - number, "what was sent counts all the same"
            answer = store.check(key(challenge=number), digest("a"), DEFAULTS)
            assert answer.verdict is Verdict.ACCEPTED

    def test_and_no_limit_on_sends(self, store: Driven) -> None:
        """Someone who owns a number gets no more messages than anybody else."""
        policy = Policy(sends_per_phone=(Limit(3, 3600),))
        for number in range(3):
            store.opened(key(challenge=number), first("a"), policy)
            answer = store.check(key(challenge=number), digest("a"), policy)
            assert answer.verdict is Verdict.ACCEPTED
        for purpose in ("login", "another"):
            refused = store.refused(key(1, purpose, 9), first("a"), policy)
            assert (refused.refusal, refused.limit) == (Refusal.SENDS, Limit(3, 3600))
            assert store.near(refused.retry_in, 60 * MINUTE)

    def test_however_often_and_late_its_codes_were_sent(self, store: Driven) -> None:
        brief = Policy(resend_cooldown_seconds=0)
        store.opened(key(), first("a"), brief)
        for code in "bc":
            store.opened(key(), further(code), brief)
        assert store.check(key(), digest("a"), DEFAULTS).verdict is Verdict.ACCEPTED
        store.opened(key(challenge=2), first("d"), DEFAULTS)

    def test_for_every_policy_of_the_store(self, store: Driven) -> None:
        patient = Policy(resend_cooldown_seconds=7200)
        store.opened(key(), first("a"), DEFAULTS)
        assert store.check(key(), digest("a"), DEFAULTS).verdict is Verdict.ACCEPTED
        store.opened(key(challenge=2), first("a"), patient)
        assert store.check(key(challenge=2), digest("a"), DEFAULTS).verdict is Verdict.ACCEPTED
        store.opened(key(challenge=3), first("a"), patient)

    def test_another_challenge_s_send_keeps_its_cooldown(self, store: Driven) -> None:
        """As when two devices ask for a code, and one of them is quicker."""
        brief = Policy(resend_cooldown_seconds=0)
        store.opened(key(challenge=1), first("a"), DEFAULTS)
        store.opened(key(challenge=2), first("b"), brief)
        for used, other in ((1, 2), (2, 1)):
            refused = store.refused(key(challenge=3), first("c"), DEFAULTS)
            assert refused.refusal is Refusal.COOLDOWN, f"challenge {other} was not answered"
            code = digest("ab"[used - 1])
            assert store.check(key(challenge=used), code, DEFAULTS).verdict is Verdict.ACCEPTED
        store.opened(key(challenge=3), first("c"), DEFAULTS)

    def test_and_so_do_other_purposes_and_phones(self, store: Driven) -> None:
        others = (key(1, "payment", 2), key(2, "login", 3))
        for where in (key(), *others):
            store.opened(where, first("a"), DEFAULTS)
        assert store.check(key(), digest("a"), DEFAULTS).verdict is Verdict.ACCEPTED
        for where in others:
            refused = store.refused(where, further("b"), DEFAULTS)
            assert refused.refusal is Refusal.COOLDOWN

    def test_a_new_send_has_a_cooldown_of_its_own(self, store: Driven) -> None:
        store.opened(key(), first("a"), DEFAULTS)
        store.check(key(), digest("a"), DEFAULTS)
        opened = store.opened(key(challenge=2), first("b"), DEFAULTS)
        assert store.near(opened.standing.resend_in, MINUTE)
        refused = store.refused(key(challenge=3), first("c"), DEFAULTS)
        assert refused.refusal is Refusal.COOLDOWN
        store.release(key(challenge=2), opened.at, digest("b"), DEFAULTS)
        store.opened(key(challenge=3), first("c"), DEFAULTS)

    def test_nothing_else_ends_a_cooldown(self, store: Driven) -> None:
        opened = store.opened(key(), first("a"), DEFAULTS)
        store.check(key(), digest("wrong"), DEFAULTS)
        store.claim(key(), DEFAULTS)
        store.report(key(), opened.at, DeliveryStatus.DELIVERED, DEFAULTS)
        store.redeem(key())
        store.cancel(key())
        store.check(key(), digest("a"), DEFAULTS)
        assert store.refused(key(challenge=2), first("b"), DEFAULTS).refusal is Refusal.COOLDOWN

    def test_reports_and_releases_find_what_was_answered(self, store: Driven) -> None:
        sent = [store.opened(key(challenge=1), first("a"), DEFAULTS)]
        store.check(key(challenge=1), digest("a"), DEFAULTS)
        sent.append(store.opened(key(challenge=2), first("a"), DEFAULTS))
        store.check(key(challenge=2), digest("a"), DEFAULTS)
        for status in (DeliveryStatus.SENT, DeliveryStatus.DELIVERED):
            reported = store.report(key(challenge=1), sent[0].at, status, DEFAULTS)
            assert reported == Reported(known=True, changed=True)
        opened = store.opened(key(challenge=3), first("a"), DEFAULTS)
        assert opened.standing.sends_left == 2
        store.release(key(challenge=3), opened.at, digest("a"), DEFAULTS)
        store.release(key(challenge=2), sent[1].at, None, DEFAULTS)
        assert store.opened(key(challenge=4), first("a"), DEFAULTS).standing.sends_left == 3

    @pytest.mark.parametrize("decoy", [False, True])
    def test_a_concealed_cooldown_stays(self, store: Driven, decoy: bool) -> None:
        """A stranger sees one for a number without an account, too; there it never ends early."""
        store.opened(key(), first("a", concealed=True, decoy=decoy), DEFAULTS)
        answer = store.check(key(), digest("a"), DEFAULTS)
        assert answer.verdict is (Verdict.WRONG if decoy else Verdict.ACCEPTED)
        refused = store.refused(key(challenge=2), first("b", concealed=True), DEFAULTS)
        assert refused.refusal is Refusal.COOLDOWN
        assert store.near(refused.retry_in, MINUTE)

    def test_an_ordinary_code_ends_no_concealed_cooldown(self, store: Driven) -> None:
        store.opened(key(), first("a", concealed=True), DEFAULTS)
        store.opened(key(challenge=2), first("b"), DEFAULTS)
        assert store.check(key(challenge=2), digest("b"), DEFAULTS).verdict is Verdict.ACCEPTED
        refused = store.refused(key(challenge=3), first("c", concealed=True), DEFAULTS)
        assert refused.refusal is Refusal.COOLDOWN
        store.opened(key(challenge=3), first("c"), DEFAULTS)

    def test_starts_beside_a_right_code_are_admitted_once(self, store: Driven) -> None:
        for phone in range(self.repeats):
            store.opened(key(phone), first("a"), DEFAULTS)
            calls: list[Step] = [
                ("open", key(phone, "login", n), first(n), DEFAULTS) for n in range(2, self.crowd)
            ]
            calls.insert(phone % self.crowd, ("check", key(phone), digest("a"), DEFAULTS))
            answers = kinds(store.together(calls))
            assert answers[Verdict.ACCEPTED] == 1
            assert answers[Opened] <= 1
            assert answers[Refusal.COOLDOWN] == self.crowd - 2 - answers[Opened]
