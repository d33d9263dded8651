"""Conformance: delivery reports, which come late, twice and out of order."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

import pytest

from otpverify.core.answers import Refusal, Refused, Reported, Verdict
from otpverify.core.limits import Limit
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
from otpverify.testing.conformance.limits import THREE
from otpverify.testing.conformance.shared_store import policy

QUEUED, SENT, DELIVERED = DeliveryStatus.QUEUED, DeliveryStatus.SENT, DeliveryStatus.DELIVERED
FAILED = DeliveryStatus.FAILED
FAILURES = [status for status in DeliveryStatus if status.failed]
UNKNOWN = Reported(known=False)
OLD = Reported(known=True)
NEWS = Reported(known=True, changed=True)
GIVEN_BACK = Reported(known=True, changed=True, given_back=True)


class Delivery(Base):
    """Report and status."""

    def test_without_a_report_a_message_is_queued(self, store: Driven) -> None:
        store.opened(key(), first("a"), DEFAULTS)
        store.opened(key(2), first("a", decoy=True), DEFAULTS)
        for one in (key(), key(2)):
            assert store.status(one, DEFAULTS) is QUEUED
        assert store.status(key(3), DEFAULTS) is None

    def test_a_message_goes_forward_only(self, store: Driven) -> None:
        at = store.opened(key(), first("a"), DEFAULTS).at
        for status, answer, then in (
            (QUEUED, OLD, QUEUED),
            (SENT, NEWS, SENT),
            (SENT, OLD, SENT),
            (QUEUED, OLD, SENT),
            (DELIVERED, NEWS, DELIVERED),
            (SENT, OLD, DELIVERED),
            (DELIVERED, OLD, DELIVERED),
            *((failure, OLD, DELIVERED) for failure in FAILURES),
        ):
            assert store.report(key(), at, status, DEFAULTS) == answer
            assert store.status(key(), DEFAULTS) is then
        assert store.refused(key(), further("b"), DEFAULTS).refusal is Refusal.COOLDOWN
        assert store.check(key(), digest("a"), DEFAULTS).verdict is Verdict.ACCEPTED

    @pytest.mark.parametrize("failure", FAILURES)
    @pytest.mark.parametrize("before", [None, SENT])
    def test_a_failure_gives_the_send_back_once(
        self, store: Driven, failure: DeliveryStatus, before: DeliveryStatus | None
    ) -> None:
        at = store.opened(key(), first("a"), DEFAULTS).at
        if before:
            store.report(key(), at, before, DEFAULTS)
        assert store.report(key(), at, failure, DEFAULTS) == GIVEN_BACK
        again = store.opened(key(), further("b"), DEFAULTS)
        assert again.standing.sends_left == 4, "the cooldown and the limits are as before"
        for late in (*DeliveryStatus, failure):
            assert store.report(key(), at, late, DEFAULTS) == OLD
        assert store.status(key(), DEFAULTS) is QUEUED, "that of the newest"
        assert store.refused(key(), further("c"), DEFAULTS).refusal is Refusal.COOLDOWN
        assert store.check(key(), digest("a"), DEFAULTS).verdict is Verdict.ACCEPTED, "carriers err"

    def test_each_message_has_a_status_of_its_own(self, store: Driven) -> None:
        sent = [store.opened(key(), first(0), FREE).at]
        sent += [store.opened(key(), further(n), FREE).at for n in (1, 2)]
        assert len(set(sent)) == 3, "in one instant, too"
        assert store.report(key(), sent[0], FAILED, FREE).changed
        assert store.report(key(), sent[2], SENT, FREE) == NEWS
        assert store.report(key(), sent[1], DELIVERED, FREE) == NEWS
        assert store.status(key(), FREE) is SENT
        assert store.report(key(), sent[2], FAILED, FREE).changed
        assert store.status(key(), FREE) is FAILED
        assert store.report(key(), sent[1], SENT, FREE) == OLD

    def test_what_was_never_sent_is_not_known(self, store: Driven) -> None:
        at = store.opened(key(), first("a"), DEFAULTS).at
        store.check(key(), digest("wrong"), DEFAULTS)
        for one, instant in (
            (key(), at + 1),
            (key(), at - 1),
            (key(2), at),
            (key(purpose="other"), at),
            (key(challenge=2), at),
        ):
            for status in (SENT, FAILED, FAILED):
                assert store.report(one, instant, status, DEFAULTS) == UNKNOWN
        assert store.status(key(), DEFAULTS) is QUEUED
        assert store.refused(key(), further("b"), DEFAULTS).refusal is Refusal.COOLDOWN
        assert store.status(key(challenge=2), DEFAULTS) is None, "nothing is brought back"

    @pytest.mark.parametrize("end", ["used", "cancelled", "expired", "begun again"])
    def test_a_challenge_that_is_over_keeps_its_reports_apart(
        self, store: Driven, end: str
    ) -> None:
        at = store.opened(key(), first("a"), THREE).at
        other = store.opened(key(challenge=2), first("a"), THREE).at
        self._end(store, end)
        assert store.report(key(), at, SENT, THREE) == NEWS
        assert store.report(key(), at, SENT, THREE) == OLD
        assert store.report(key(), at, QUEUED, THREE) == OLD
        assert store.report(key(), at, FAILED, THREE) == GIVEN_BACK
        assert not store.report(key(), at, FAILED, THREE).changed
        assert not store.report(key(), at, DELIVERED, THREE).changed
        assert store.report(key(challenge=2), other, DELIVERED, THREE) == NEWS
        left = store.opened(key(challenge=3), first("b"), THREE).standing.sends_left
        assert left == (0 if end == "begun again" else 1)
        if end != "begun again":
            assert store.status(key(), THREE) is None
            assert store.check(key(), digest("a"), THREE).verdict is Verdict.GONE

    @pytest.mark.parametrize("end", ["used", "cancelled", "expired"])
    def test_what_was_final_is_final_when_the_challenge_is_over(
        self, store: Driven, end: str
    ) -> None:
        at = store.opened(key(), first("a"), THREE).at
        assert store.report(key(), at, DELIVERED, THREE) == NEWS
        self._end(store, end)
        for status in DeliveryStatus:
            assert store.report(key(), at, status, THREE) == OLD
        assert store.opened(key(challenge=3), first("b"), THREE).standing.sends_left == 1

    @pytest.mark.parametrize("end", ["used", "cancelled", "expired"])
    def test_what_was_given_back_is_not_given_back_again(self, store: Driven, end: str) -> None:
        at = store.opened(key(), first("a"), THREE).at
        assert store.report(key(), at, FAILED, THREE) == GIVEN_BACK
        again = store.opened(key(challenge=2), first("a"), THREE)
        assert again.standing.sends_left == 2
        self._end(store, end)
        for failure in FAILURES:
            assert not store.report(key(), at, failure, THREE).given_back
        assert store.opened(key(challenge=3), first("a"), THREE).standing.sends_left == 1

    @pytest.mark.parametrize("failure", FAILURES)
    @pytest.mark.parametrize("before", [None, SENT])
    def test_a_failure_that_may_not_be_given_back_stays_counted(
        self, store: Driven, failure: DeliveryStatus, before: DeliveryStatus | None
    ) -> None:
        at = store.opened(key(), first("a"), DEFAULTS).at
        if before:
            store.report(key(), at, before, DEFAULTS)
        assert store.report(key(), at, failure, DEFAULTS, False) == NEWS
        assert store.status(key(), DEFAULTS) is failure
        for late in DeliveryStatus:
            for give_back in (True, False):
                assert store.report(key(), at, late, DEFAULTS, give_back) == OLD
        assert store.status(key(), DEFAULTS) is failure, "what is final stays"
        assert store.refused(key(), further("b"), DEFAULTS).refusal is Refusal.COOLDOWN
        assert store.check(key(), digest("a"), DEFAULTS).verdict is Verdict.ACCEPTED, "carriers err"

    @pytest.mark.parametrize("end", ["used", "cancelled", "expired", "begun again"])
    @pytest.mark.parametrize("reported", ["before", "after"])
    def test_it_stays_counted_when_the_challenge_is_over(
        self, store: Driven, end: str, reported: str
    ) -> None:
        at = store.opened(key(), first("a"), THREE).at
        if reported == "before":
            assert store.report(key(), at, FAILED, THREE, False) == NEWS
        self._end(store, end)
        if reported == "after":
            assert store.report(key(), at, FAILED, THREE, False) == NEWS
        for late in DeliveryStatus:
            assert store.report(key(), at, late, THREE) == OLD
        left = store.opened(key(challenge=3), first("b"), THREE).standing.sends_left
        assert left == (0 if end == "begun again" else 1)

    def test_whether_to_give_back_is_asked_of_failures_only(self, store: Driven) -> None:
        at = store.opened(key(), first("a"), THREE).at
        for status in (SENT, DELIVERED):
            assert store.report(key(), at, status, THREE, False) == NEWS
            assert store.status(key(), THREE) is status
        other = store.opened(key(challenge=2), first("a"), THREE).at
        assert store.report(key(challenge=2), other, SENT, THREE, False) == NEWS
        assert store.report(key(challenge=2), other, FAILED, THREE) == GIVEN_BACK

    def test_a_release_and_a_report_give_back_once(self, store: Driven) -> None:
        opened = [store.opened(key(challenge=n), first(n), THREE) for n in range(3)]
        store.release(key(challenge=0), opened[0].at, None, THREE)
        assert store.report(key(challenge=0), opened[0].at, FAILED, THREE) == NEWS
        assert store.report(key(challenge=1), opened[1].at, FAILED, THREE) == GIVEN_BACK
        store.release(key(challenge=1), opened[1].at, None, THREE)
        store.release(key(challenge=1), opened[1].at, digest(1), THREE)
        assert not store.report(key(challenge=1), opened[1].at, FAILED, THREE).changed
        assert store.opened(key(challenge=3), first(3), THREE).standing.sends_left == 1

    def test_reports_at_once_give_back_once(self, store: Driven) -> None:
        for phone in range(self.repeats):
            opened = [store.opened(key(phone, "login", n), first(n), THREE) for n in range(3)]
            reports = [
                ("report", key(phone, "login", n % 2), opened[n % 2].at, FAILURES[n % 4], THREE)
                for n in range(self.crowd)
            ]
            answers = store.together([*reports, ("cancel", key(phone, "login", 0))])
            assert sum(answer.given_back for answer in answers if answer is not None) == 2
            left = store.opened(key(phone, "login", 9), first(9), THREE).standing.sends_left
            assert left == 1

    def test_a_report_prolongs_nothing(self, store: Driven) -> None:
        hourly = policy(Limit(3, 3600))
        at = store.opened(key(), first("a"), hourly).at
        store.pass_time(9 * MINUTE)
        assert store.report(key(), at, SENT, hourly) == NEWS
        store.pass_time(MINUTE)
        assert store.status(key(), hourly) is None
        assert store.report(key(), at, DELIVERED, hourly) == NEWS
        store.pass_time(49 * MINUTE)
        other = store.opened(key(challenge=2), first("a"), hourly).at
        store.pass_time(MINUTE)
        assert store.report(key(), at, FAILED, hourly) == UNKNOWN, "no limit counts it any more"
        assert store.report(key(challenge=2), other, SENT, hourly) == NEWS

    def test_a_code_that_has_expired_remembers_nothing(self, store: Driven) -> None:
        at = store.opened(key(), first("a"), THREE).at
        store.release(key(), at, None, THREE)
        store.pass_time(5 * MINUTE)
        store.opened(key(), further("b"), THREE)
        assert store.report(key(), at, SENT, THREE) == NEWS
        store.pass_time(5 * MINUTE)
        assert store.report(key(), at, FAILED, THREE) == UNKNOWN
        assert store.status(key(), THREE) is QUEUED

    @staticmethod
    def _end(store: Driven, end: str) -> None:
        if end == "used":
            assert store.check(key(), digest("a"), THREE).verdict is Verdict.ACCEPTED
        elif end == "cancelled":
            store.cancel(key())
        elif end == "expired":
            store.pass_time(10 * MINUTE)
        else:
            assert not isinstance(store.open(key(), first("new"), THREE), Refused)
