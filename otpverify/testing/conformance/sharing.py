"""Conformance: verifiers with different policies on one store do not lose each other's counts."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

from otpverify.core.answers import Refusal, Refused, Reserved, Verdict
from otpverify.core.limits import DAY_SECONDS, Limit
from otpverify.core.policy import Policy
from otpverify.testing.conformance.base import MINUTE, Base, Driven, digest, first, key

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
