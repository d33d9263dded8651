"""Conformance: what support sees of a phone, and clearing what limits it."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

from dataclasses import replace
from typing import Any

from otpverify.core.answers import Refusal, Verdict
from otpverify.core.inspection import SCOPE_LENGTH
from otpverify.core.limits import DAY_SECONDS, Limit
from otpverify.core.policy import Policy
from otpverify.core.results import DeliveryStatus
from otpverify.core.state import ChallengeState, FailureStreak, Inspected, LiveCode, Send
from otpverify.testing.conformance.base import (
    DEFAULTS,
    MINUTE,
    Base,
    Driven,
    digest,
    first,
    further,
    key,
)
from otpverify.testing.conformance.shared_store import kinds

LIMITED = Policy(
    resend_cooldown_seconds=60,
    sends_per_phone=(Limit(4, 3600),),
    max_attempts=3,
    failures_per_phone=Limit(4, DAY_SECONDS),
    consecutive_failures=Limit(3, 10 * DAY_SECONDS),
)


def comparable(answer: Any) -> Any:
    """An inspection as far as every store keeps it: the beginnings of scopes, and whether a message
    failed, but not why. Any other answer as it is."""
    if not isinstance(answer, Inspected):
        return answer
    phone = answer.phone

    def short(one: Any) -> Any:
        return replace(one, scope=one.scope[:SCOPE_LENGTH])

    def status(send: Send) -> str:
        known = DeliveryStatus(send.status)
        return DeliveryStatus.FAILED if known.failed else known

    phone = replace(
        phone,
        sends=tuple(short(replace(send, status=status(send))) for send in phone.sends),
        failures=tuple(map(short, phone.failures)),
        streaks=tuple(sorted(map(short, phone.streaks), key=lambda streak: streak.scope)),
    )
    return replace(answer, phone=phone)


class Inspection(Base):
    """The operations inspect and unlock."""

    def test_of_an_unknown_phone_nothing_is_seen(self, store: Driven) -> None:
        seen = store.inspect(key().phone)
        assert seen.phone.empty
        assert seen.challenges == ()
        store.unlock(key().phone)
        assert store.inspect(key().phone).phone.empty

    def test_sends_failures_and_live_challenges_are_seen(self, store: Driven) -> None:
        opened = store.opened(key(), first("a"), LIMITED)
        store.opened(key(1, "reset", 2), first("b", concealed=True), LIMITED)
        store.opened(key(1, "other", 3), first("c", decoy=True), LIMITED)
        for _ in range(2):
            store.check(key(), digest("wrong"), LIMITED)
        store.report(key(), opened.at, DeliveryStatus.DELIVERED, LIMITED)
        seen = comparable(store.inspect(key().phone))
        assert seen.phone.expires == 0, "what a store needs to keep it is of no use to others"
        scopes = [key(1, name).scope[:SCOPE_LENGTH] for name in ("login", "reset", "other")]
        assert [(send.scope, send.status, send.concealed) for send in seen.phone.sends] == [
            (scopes[0], "delivered", False),
            (scopes[1], "queued", True),
            (scopes[2], "queued", True),
        ]
        assert [failure.scope for failure in seen.phone.failures] == [scopes[0]] * 2
        last = seen.phone.failures[-1].at
        assert seen.phone.streaks == (FailureStreak(scopes[0], 2, last, 10 * DAY_SECONDS * 1000),)
        names = [key().challenge, key(1, "reset", 2).challenge, key(1, "other", 3).challenge]
        assert [name for name, _ in seen.challenges] == names
        login, reset, other = (challenge for _, challenge in seen.challenges)
        code = LiveCode(b"", opened.at + 600_000, opened.at, "delivered")
        assert login == ChallengeState((code,), attempts=2)
        assert (reset.concealed, reset.decoy, reset.attempts) == (True, False, 0)
        assert (other.concealed, other.decoy, other.attempts) == (True, True, 0)

    def test_no_digest_is_seen(self, store: Driven) -> None:
        for code in ("a", "b"):
            store.opened(
                key(challenge=1 if code == "a" else 2),
                first(code),
                replace(LIMITED, resend_cooldown_seconds=0),
            )
        seen = repr(store.inspect(key().phone))
        assert all(repr(digest(code)) not in seen for code in ("a", "b"))
        assert all(digest(code).hex() not in seen for code in ("a", "b"))

    def test_used_cancelled_and_expired_challenges_are_not_seen(self, store: Driven) -> None:
        free = replace(LIMITED, resend_cooldown_seconds=0)
        for number in range(1, 4):
            store.opened(key(challenge=number), first("a"), free)
        assert store.check(key(challenge=1), digest("a"), free).verdict is Verdict.ACCEPTED
        store.cancel(key(challenge=2))
        seen = store.inspect(key().phone)
        assert [name for name, _ in seen.challenges] == [key(challenge=3).challenge]
        assert len(seen.phone.sends) == 3, "they count all the same"
        store.pass_time(10 * MINUTE)
        assert store.inspect(key().phone).challenges == ()

    def test_what_was_answered_is_seen(self, store: Driven) -> None:
        for number, concealed in ((1, False), (2, True), (3, False)):
            opening = first("a", concealed=concealed)
            store.opened(key(1, f"purpose {number}", number), opening, DEFAULTS)
            if number < 3:
                store.check(key(1, f"purpose {number}", number), digest("a"), DEFAULTS)
        seen = [send.answered for send in store.inspect(key().phone).phone.sends]
        assert seen == [True, False, False], "a concealed cooldown stays"

    def test_to_inspect_changes_nothing(self, store: Driven) -> None:
        opened = store.opened(key(), first("a"), DEFAULTS)
        for _ in range(3):
            store.inspect(key().phone)
        assert opened.standing.attempts_left == 5
        assert store.refused(key(challenge=2), first("b"), DEFAULTS).refusal is Refusal.COOLDOWN
        assert store.check(key(), digest("a"), DEFAULTS).verdict is Verdict.ACCEPTED

    def test_unlock_clears_every_limit_of_the_phone(self, store: Driven) -> None:
        free = replace(LIMITED, resend_cooldown_seconds=0)
        for number in range(4):
            store.opened(key(1, "login", number), first("a"), free)
        store.opened(key(2), first("a"), LIMITED)
        for _ in range(3):
            store.check(key(1, "login", 0), digest("wrong"), LIMITED)
        assert store.refused(key(1, "login", 9), first("b"), LIMITED).refusal is Refusal.STREAK
        store.unlock(key().phone)
        assert store.inspect(key().phone).phone.empty
        opened = store.opened(key(1, "login", 9), first("b"), LIMITED)
        assert (opened.standing.sends_left, opened.standing.attempts_left) == (3, 3)
        assert store.refused(key(2, "login", 9), first("b"), LIMITED).refusal is Refusal.COOLDOWN

    def test_and_with_a_scope_what_belongs_to_it(self, store: Driven) -> None:
        for number, purpose in enumerate(("login", "reset")):
            store.opened(key(1, purpose, number), first("a"), LIMITED)
            for _ in range(3):
                store.check(key(1, purpose, number), digest("wrong"), LIMITED)
        store.unlock(key().phone, key(1, "login").scope)
        assert store.refused(key(1, "reset", 5), first("b"), LIMITED).refusal is Refusal.STREAK
        opened = store.opened(key(1, "login", 6), first("b"), LIMITED)
        assert opened.standing.attempts_left == 3
        assert opened.standing.sends_left == 2, "the other purpose's send counts"
        store.unlock(key().phone, key(1, "reset").scope)
        opened = store.opened(key(1, "reset", 7), first("b"), LIMITED)
        assert (opened.standing.attempts_left, opened.standing.sends_left) == (3, 2)
        store.unlock(key().phone, key(1, "never used").scope)

    def test_unlock_revives_no_challenge(self, store: Driven) -> None:
        free = replace(LIMITED, resend_cooldown_seconds=0, consecutive_failures=Limit(100, 60))
        used, spent, cancelled = (key(challenge=number) for number in (1, 2, 3))
        for one in (used, spent, cancelled):
            store.opened(one, first("a"), free)
        store.check(used, digest("a"), free)
        for _ in range(3):
            store.check(spent, digest("wrong"), free)
        store.cancel(cancelled)
        store.unlock(key().phone)
        assert store.check(used, digest("a"), free).verdict is Verdict.GONE
        assert store.check(cancelled, digest("a"), free).verdict is Verdict.GONE
        assert store.check(spent, digest("a"), free).verdict is Verdict.EXHAUSTED
        assert store.refused(spent, further("b"), free).refusal is Refusal.ATTEMPTS
        assert store.redeem(used)

    def test_nor_does_it_ever_grant_more_than_the_policy(self, store: Driven) -> None:
        """What was sent before is not given back afterwards, and claimed attempts count."""
        free = replace(LIMITED, resend_cooldown_seconds=0)
        opened = [store.opened(key(challenge=n), first(n), free) for n in range(3)]
        assert store.claim(key(challenge=0), free).verdict is Verdict.PENDING
        store.unlock(key().phone)
        for number, one in enumerate(opened):
            if number:
                store.release(key(challenge=number), one.at, None, free)
            store.report(key(challenge=number), one.at, DeliveryStatus.FAILED, free)
        assert store.check(key(challenge=0), digest("x"), free, True).attempts_left == 2
        for number in range(4):
            left = store.opened(key(challenge=10 + number), first("a"), free).standing.sends_left
            assert left == 3 - number
        assert store.refused(key(challenge=20), first("a"), free).refusal is Refusal.SENDS

    def test_live_codes_stay_good(self, store: Driven) -> None:
        store.opened(key(), first("a"), LIMITED)
        store.unlock(key().phone)
        assert store.opened(key(), further("b"), LIMITED).standing.sends_left == 3
        assert store.check(key(), digest("a"), LIMITED).verdict is Verdict.ACCEPTED

    def test_unlocks_beside_starts_leave_no_more_than_the_limit(self, store: Driven) -> None:
        free = replace(LIMITED, resend_cooldown_seconds=0)
        for phone in range(self.repeats):
            steps: list[Any] = [
                ("open", key(phone, "login", n), first(n), free) for n in range(self.crowd)
            ]
            steps.insert(phone % 5, ("unlock", key(phone).phone))
            seen = kinds(store.together(steps))
            assert seen[Refusal.SENDS] >= self.crowd - 8
            assert len(store.inspect(key(phone).phone).phone.sends) <= 4
