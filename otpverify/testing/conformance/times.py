"""Conformance: expiry and rolling windows, to the millisecond."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

from otpverify.core.answers import Checked, Refusal, Refused, Reserved, Verdict
from otpverify.core.limits import Limit
from otpverify.core.policy import Policy
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

DAY = 24 * 60 * MINUTE
GONE = Checked(Verdict.GONE)


class Times(Base):
    """When each thing expires. These tests need a clock that can be moved."""

    def test_a_send_that_is_not_the_newest_is_given_back(self, store: Driven) -> None:
        three = Policy(resend_cooldown_seconds=0, sends_per_phone=(Limit(3, 3600),))
        store.opened(key(1, "login", 1), first("a"), three)
        store.pass_time(SECOND)
        resent = store.opened(key(1, "login", 1), further("b"), three)
        store.pass_time(SECOND)
        newest = store.opened(key(1, "reset", 2), first("c"), three)
        assert newest.standing.sends_left == 0
        standing = store.release(key(1, "login", 1), resent.at, digest("b"), three)
        assert standing is not None
        assert (standing.sends_left, standing.resend_in) == (1, 0)

    def test_a_code_is_good_for_ten_minutes_less_one_millisecond(self, store: Driven) -> None:
        store.opened(key(), first("a"), FREE)
        store.opened(key(2), first("a"), FREE)
        store.pass_time(10 * MINUTE - 1)
        assert store.peek(key(), FREE).verdict is Verdict.PENDING
        assert store.check(key(), digest("a"), FREE).verdict is Verdict.ACCEPTED
        store.pass_time(1)
        assert store.peek(key(2), FREE) == GONE
        assert store.check(key(2), digest("a"), FREE) == GONE
        assert store.open(key(2), further("b"), FREE) == Refused(Refusal.GONE)

    def test_every_code_ends_at_its_own_time(self, store: Driven) -> None:
        store.opened(key(), first("a"), FREE)
        store.pass_time(4 * MINUTE)
        assert store.opened(key(), further("b"), FREE).standing.expires_in == 10 * MINUTE
        store.pass_time(6 * MINUTE)
        answer = store.check(key(), digest("a"), FREE)
        assert answer == Checked(Verdict.WRONG, attempts_left=4), "a resend prolongs no code"
        store.pass_time(4 * MINUTE - 1)
        assert store.check(key(), digest("b"), FREE).verdict is Verdict.ACCEPTED

    def test_a_right_code_has_the_age_of_its_own_message(self, store: Driven) -> None:
        """A store may leave the age out. If it has one, it is exact."""
        for one, code in enumerate("abc"):
            store.opened(key(one), first("a"), FREE)
            store.pass_time(MINUTE)
            store.opened(key(one), further("b"), FREE)
            store.opened(key(one), further("c"), FREE)
            store.pass_time(SECOND)
            answer = store.check(key(one), digest(code), FREE)
            assert answer.verdict is Verdict.ACCEPTED
            sent = {"a": MINUTE + SECOND, "b": SECOND, "c": SECOND}[code]
            # Messages of one millisecond are one apart.
            assert answer.age is None or sent - 1 <= answer.age <= sent
            assert store.check(key(one), digest(code), FREE).age is None

    def test_a_challenge_ends_with_its_last_code(self, store: Driven) -> None:
        store.opened(key(), first("a"), FREE)
        store.pass_time(9 * MINUTE)
        opened = store.opened(key(), further("b"), FREE)
        store.pass_time(2 * MINUTE)
        standing = store.release(key(), opened.at, None, FREE)
        assert standing is not None
        assert standing.expires_in == 8 * MINUTE
        assert store.release(key(), opened.at, digest("b"), FREE) is None, "the first has expired"
        assert store.check(key(), digest("a"), FREE) == GONE

    def test_what_has_expired_does_not_come_back(self, store: Driven) -> None:
        opened = store.opened(key(), first("a"), FREE)
        store.pass_time(10 * MINUTE)
        for undelivered in (None, digest("a")):
            assert store.release(key(), opened.at, undelivered, FREE) is None
        assert store.check(key(), digest("a"), FREE) == GONE
        assert store.opened(key(), first("b"), FREE).standing.attempts_left == 5
        assert store.check(key(), digest("a"), FREE).verdict is Verdict.WRONG

    def test_attempts_do_not_come_back_with_time(self, store: Driven) -> None:
        store.opened(key(), first("a"), FREE)
        for number in range(4):
            store.check(key(), digest("wrong"), FREE)
            store.pass_time(9 * MINUTE)
            left = store.opened(key(), further(number), FREE).standing.attempts_left
            assert left == 4 - number
        assert store.check(key(), digest("wrong"), FREE).attempts_left == 0
        assert store.check(key(), digest(3), FREE).verdict is Verdict.EXHAUSTED

    def test_the_cooldown_ends_to_the_millisecond(self, store: Driven) -> None:
        store.opened(key(), first("a"), DEFAULTS)
        store.pass_time(MINUTE - 1)
        assert store.refused(key(), further("b"), DEFAULTS).retry_in == 1
        store.pass_time(1)
        assert store.opened(key(), further("b"), DEFAULTS).standing.resend_in == MINUTE

    def test_no_window_ever_holds_more_than_its_count(self, store: Driven) -> None:
        """A retry is admitted exactly at the reported time, and never a millisecond earlier."""
        policy = Policy(resend_cooldown_seconds=0, sends_per_phone=(Limit(3, 60), Limit(5, 200)))
        sent: list[int] = []
        for number, pause in enumerate([0, 7_001, 13_000, 0, 20_000, 1, 45_000, 0, 0, 30_000]):
            store.pass_time(pause)
            answer = store.open(key(challenge=number), first("a"), policy)
            if isinstance(answer, Refused):
                store.pass_time(answer.retry_in - 1)
                soon = store.refused(key(challenge=number), first("a"), policy)
                assert soon.retry_in == 1
                store.pass_time(1)
                store.opened(key(challenge=number), first("a"), policy)
            sent.append(store.clock.ms)
        for count, window in ((3, 60 * SECOND), (5, 200 * SECOND)):
            assert all(
                late - early >= window for early, late in zip(sent, sent[count:], strict=False)
            )

    def test_the_daily_limit_remembers_a_day(self, store: Driven) -> None:
        policy = Policy(resend_cooldown_seconds=0, sends_per_phone=(Limit(2, 86_400),))
        store.opened(key(), first("a"), policy)
        store.pass_time(DAY - 2)
        store.opened(key(challenge=2), first("a"), policy)
        store.pass_time(1)
        refused = store.refused(key(challenge=3), first("a"), policy)
        assert (refused.limit, refused.retry_in) == (Limit(2, 86_400), 1)
        store.pass_time(1)
        store.opened(key(challenge=3), first("a"), policy)
        assert store.refused(key(challenge=4), first("a"), policy).retry_in == DAY - 2

    def test_the_failure_budget_rolls(self, store: Driven) -> None:
        policy = Policy(
            resend_cooldown_seconds=0,
            sends_per_phone=(),
            failures_per_phone=Limit(2, 3600),
            code_length=8,
        )
        store.opened(key(), first("a"), policy)
        store.check(key(), digest("wrong"), policy)
        store.pass_time(5 * MINUTE)
        store.check(key(), digest("wrong"), policy)
        refused = store.refused(key(challenge=2), first("b"), policy)
        assert (refused.refusal, refused.retry_in) == (Refusal.FAILURES, 55 * MINUTE)
        store.pass_time(55 * MINUTE - 1)
        assert store.refused(key(challenge=2), first("b"), policy).retry_in == 1
        store.pass_time(1)
        assert store.opened(key(challenge=2), first("b"), policy).standing.attempts_left == 1
        answer = store.check(key(challenge=2), digest("wrong"), policy)
        assert answer == Checked(Verdict.WRONG, attempts_left=0)
        answer = store.check(key(challenge=2), digest("b"), policy)
        assert answer == Checked(Verdict.EXHAUSTED, retry_in=5 * MINUTE)
        store.pass_time(5 * MINUTE)
        assert store.check(key(challenge=2), digest("b"), policy).verdict is Verdict.ACCEPTED

    def test_a_wrong_code_outlives_what_was_sent(self, store: Driven) -> None:
        """Each log of a phone has its own window; the shorter must not shorten the longer."""
        policy = Policy(resend_cooldown_seconds=1, sends_per_phone=(Limit(5, 10),))
        store.opened(key(), first("a"), policy)
        store.check(key(), digest("wrong"), policy)
        store.pass_time(DAY - 1)
        opened = store.opened(key(challenge=2), first("b"), policy)
        assert opened.standing.sends_left == 4
        tight = Policy(resend_cooldown_seconds=0, failures_per_phone=Limit(1, 86_400))
        assert store.peek(key(challenge=2), tight) == Checked(Verdict.EXHAUSTED, retry_in=1)
        store.pass_time(1)
        assert store.peek(key(challenge=2), tight).verdict is Verdict.PENDING

    def test_an_exhausted_challenge_says_when_to_start_anew(self, store: Driven) -> None:
        store.opened(key(), first("a"), DEFAULTS)
        for _ in range(5):
            store.check(key(), digest("wrong"), DEFAULTS)
        store.pass_time(MINUTE - 1)
        assert store.peek(key(), DEFAULTS) == Checked(Verdict.EXHAUSTED, retry_in=1)
        store.pass_time(1)
        assert store.peek(key(), DEFAULTS) == Checked(Verdict.EXHAUSTED)
        store.opened(key(challenge=2), first("b"), DEFAULTS)

    def test_a_counter_rolls(self, store: Driven) -> None:
        limits = (Limit(2, 60),)
        assert isinstance(store.reserve("network", limits), Reserved)
        store.pass_time(20 * SECOND)
        assert isinstance(store.reserve("network", limits), Reserved)
        store.pass_time(40 * SECOND - 1)
        refused = store.reserve("network", limits)
        assert refused == Refused(Refusal.NETWORK, 1, limits[0])
        store.pass_time(1)
        later = store.reserve("network", limits)
        assert later == Reserved(store.clock.ms)
        assert isinstance(store.reserve("network", limits), Refused)
        store.pass_time(MINUTE)
        store.give_back("network", later.at)
        for _ in range(2):
            assert isinstance(store.reserve("network", limits), Reserved)
        assert isinstance(store.reserve("network", limits), Refused)

    def test_years_later_nothing_is_left(self, store: Driven) -> None:
        for number in range(3):
            store.opened(key(1, "login", number), first("a"), FREE)
            store.check(key(1, "login", number), digest("wrong"), FREE)
        store.reserve("network", (Limit(1, 60),))
        store.pass_time(3 * 365 * DAY)
        standing = store.opened(key(), first("b"), DEFAULTS).standing
        assert (standing.attempts_left, standing.sends_left) == (5, 4)
        assert isinstance(store.reserve("network", (Limit(1, 60),)), Reserved)
