"""The ten promises of SECURITY.md, one class each, through the public API, in both modes.

Races that need hundreds of threads are in `test_races.py`, secrecy on every failure path in
`test_secrecy.py`; they belong to promises 1 to 3 and 7.
"""

from __future__ import annotations

import copy
import logging
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import pytest
from freezegun.api import FrozenDateTimeFactory
from support import OTHER_PHONE, PHONE, QUICK, SECRET, Face, wrong

from otpverify import (
    AttemptsExhausted,
    ChallengeExpired,
    CooldownActive,
    DeliveryError,
    DeliveryRejected,
    DeliveryUnavailable,
    HmacHasher,
    IncorrectCode,
    Limit,
    MemoryStore,
    Policy,
    RateLimited,
    Receipt,
    StoreError,
    VerificationFailed,
)
from otpverify.testing import OutboxSender

FREE = Policy(resend_cooldown_seconds=0)
Make = Callable[..., Face]


class TestOneCodeOnce:
    """Promise 1."""

    def test_a_right_code_is_accepted(self, verifier: Face, outbox: OutboxSender) -> None:
        challenge = verifier.start(PHONE, purpose="login")
        done = verifier.check(PHONE, outbox.code(), challenge=challenge.id, purpose="login")
        assert (done.phone, done.purpose, done.challenge) == (PHONE, "login", challenge.id)

    def test_and_never_again(self, verifier: Face, outbox: OutboxSender) -> None:
        challenge = verifier.start(PHONE)
        verifier.check(PHONE, outbox.code(), challenge=challenge.id)
        with pytest.raises(ChallengeExpired):
            verifier.check(PHONE, outbox.code(), challenge=challenge.id)
        with pytest.raises(ChallengeExpired):
            verifier.resend(PHONE, challenge=challenge.id)

    def test_a_hasher_without_a_read_before_it_lets_nobody_else_in(
        self, make: Make, outbox: OutboxSender
    ) -> None:
        """The store's answer alone decides: gone and exhausted are not accepted."""
        verifier = make(hasher=HmacHasher())
        challenge = verifier.start(PHONE)
        verifier.check(PHONE, outbox.code(), challenge=challenge.id)
        with pytest.raises(ChallengeExpired):
            verifier.check(PHONE, outbox.code(), challenge=challenge.id)
        other = verifier.start(OTHER_PHONE)
        for _ in range(5):
            with pytest.raises(IncorrectCode):
                verifier.check(OTHER_PHONE, wrong(outbox.code()), challenge=other.id)
        with pytest.raises(AttemptsExhausted):
            verifier.check(OTHER_PHONE, outbox.code(), challenge=other.id)

    def test_one_code_of_several_uses_the_challenge_up(
        self, make: Make, outbox: OutboxSender
    ) -> None:
        verifier = make(policy=FREE)
        challenge = verifier.start(PHONE)
        first = outbox.code()
        verifier.resend(PHONE, challenge=challenge.id)
        verifier.check(PHONE, outbox.code(), challenge=challenge.id)
        with pytest.raises(ChallengeExpired):
            verifier.check(PHONE, first, challenge=challenge.id)

    def test_right_after_wrong_ones_below_the_limit(
        self, verifier: Face, outbox: OutboxSender
    ) -> None:
        challenge = verifier.start(PHONE)
        for nth in range(1, 5):
            with pytest.raises(IncorrectCode):
                verifier.check(PHONE, wrong(outbox.code(), nth), challenge=challenge.id)
        assert verifier.check(PHONE, outbox.code(), challenge=challenge.id).phone == PHONE

    @pytest.mark.parametrize(
        "change",
        [
            {"phone": OTHER_PHONE},
            {"purpose": "password-reset"},
            {"binding": {"amount": "99.00 EUR", "payee": "Shop"}},
            {"binding": {"amount": "25.00 EUR"}},
            {"binding": None},
            {"challenge": "another"},
        ],
        ids=["phone", "purpose", "amount", "fewer fields", "no binding", "challenge"],
    )
    def test_a_code_serves_nothing_else(
        self, make: Make, outbox: OutboxSender, change: dict[str, object]
    ) -> None:
        verifier = make(policy=FREE)
        bound = {"payee": "Shop", "amount": "25.00 EUR"}
        challenge = verifier.start(PHONE, purpose="login", binding=bound)
        code = outbox.code()
        other = verifier.start(PHONE, purpose="login", binding=bound)
        asked: dict[str, object] = {
            "phone": PHONE,
            "purpose": "login",
            "binding": bound,
            "challenge": challenge.id,
        }
        asked |= change
        if asked["challenge"] == "another":
            asked["challenge"] = other.id
        with pytest.raises(VerificationFailed):
            verifier.check(asked.pop("phone"), code, **asked)
        done = verifier.check(PHONE, code, challenge=challenge.id, purpose="login", binding=bound)
        assert done.challenge == challenge.id

    @pytest.mark.parametrize("id_", [None, "", "x", "a" * 24, "ä" * 24, 5, b"a" * 24, "a" * 10_000])
    def test_an_id_that_is_none_of_ours(self, verifier: Face, id_: object) -> None:
        with pytest.raises(ChallengeExpired):
            verifier.check(PHONE, "123456", challenge=id_)
        with pytest.raises(ChallengeExpired):
            verifier.resend(PHONE, challenge=id_)
        verifier.cancel(PHONE, challenge=id_)

    def test_a_cancelled_challenge_is_gone(self, verifier: Face, outbox: OutboxSender) -> None:
        challenge = verifier.start(PHONE)
        verifier.cancel(PHONE, challenge=challenge.id)
        with pytest.raises(ChallengeExpired):
            verifier.check(PHONE, outbox.code(), challenge=challenge.id)
        with pytest.raises(ChallengeExpired):
            verifier.resend(PHONE, challenge=challenge.id)
        with pytest.raises(CooldownActive):
            verifier.start(PHONE)

    def test_cancel_needs_the_phone_and_purpose_too(
        self, verifier: Face, outbox: OutboxSender
    ) -> None:
        challenge = verifier.start(PHONE)
        verifier.cancel(OTHER_PHONE, challenge=challenge.id)
        verifier.cancel(PHONE, challenge=challenge.id, purpose="other")
        assert verifier.check(PHONE, outbox.code(), challenge=challenge.id)


class TestAttempts:
    """Promise 2."""

    def test_no_more_than_max_attempts(
        self, make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        verifier = make(policy=Policy(max_attempts=3))
        challenge = verifier.start(PHONE)
        assert challenge.attempts_left == 3
        for left in (2, 1, 0):
            with pytest.raises(IncorrectCode) as caught:
                verifier.check(PHONE, wrong(outbox.code()), challenge=challenge.id)
            assert caught.value.attempts_left == left
        clock.tick(13)
        with pytest.raises(AttemptsExhausted) as exhausted:
            verifier.check(PHONE, outbox.code(), challenge=challenge.id)
        assert exhausted.value.retry_after == 47
        with pytest.raises(AttemptsExhausted):
            verifier.resend(PHONE, challenge=challenge.id)

    def test_attempts_are_shared_by_all_codes_of_a_challenge(
        self, make: Make, outbox: OutboxSender
    ) -> None:
        verifier = make(policy=FREE)
        challenge = verifier.start(PHONE)
        for left in (4, 3):
            with pytest.raises(IncorrectCode):
                verifier.check(PHONE, wrong(outbox.code()), challenge=challenge.id)
            assert verifier.resend(PHONE, challenge=challenge.id).attempts_left == left

    def test_at_most_100_wrong_codes_in_a_row_are_compared(
        self, make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        """NIST SP 800-63B-4, 3.2.2; with the defaults, on however many days."""
        verifier = make(policy=Policy(sends_per_phone=()))
        seen: list[str] = []
        last = None
        for _ in range(5 * 24):
            for _ in range(2):
                try:
                    last = verifier.start(PHONE, purpose="login")
                except RateLimited as refused:
                    seen.append(refused.scope)
                    break
                for _ in range(5):
                    with pytest.raises((IncorrectCode, AttemptsExhausted)) as caught:
                        verifier.check(
                            PHONE, wrong(outbox.code()), challenge=last.id, purpose="login"
                        )
                    seen.append(type(caught.value).__name__)
                clock.tick(60)
            clock.tick(3600 - 120)
        assert seen.count("IncorrectCode") == 100
        assert seen[-1] == "consecutive_failures"
        with pytest.raises(RateLimited) as limited:
            verifier.start(PHONE, purpose="login")
        assert limited.value.scope == "consecutive_failures"
        assert limited.value.limit == Limit(100, 30 * 86_400)
        assert 25 * 86_400 < limited.value.retry_after <= 30 * 86_400
        verifier.start(PHONE, purpose="another")
        clock.tick(limited.value.retry_after - 1)
        with pytest.raises(RateLimited):
            verifier.start(PHONE, purpose="login")
        clock.tick(1)
        assert verifier.start(PHONE, purpose="login").attempts_left == 5

    def test_a_row_that_only_support_ends_lapses_by_no_time(
        self, make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        """NIST SP 800-63B-4, 3.2.2, to the letter: what unlocks is account recovery."""
        policy = Policy(
            sends_per_phone=(),
            resend_cooldown_seconds=0,
            failures_per_phone=Limit(500, 86_400),
            consecutive_failures=Limit(100, 10**9),
            allow_weak=True,  # the limit of a day would take four days
        )
        verifier = make(policy=policy)
        for _ in range(20):
            challenge = verifier.start(PHONE, purpose="login")
            for _ in range(5):
                with pytest.raises(IncorrectCode):
                    verifier.check(
                        PHONE, wrong(outbox.code()), challenge=challenge.id, purpose="login"
                    )
        for days in (0, 31, 365, 3650):
            clock.tick(days * 86_400)
            with pytest.raises(RateLimited) as limited:
                verifier.start(PHONE, purpose="login")
            assert limited.value.scope == "consecutive_failures"
        verifier.unlock(PHONE, purpose="login")
        assert verifier.start(PHONE, purpose="login").attempts_left == 5

    def test_the_right_code_itself_is_refused_after_too_many_wrong_ones_in_a_row(
        self, make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        verifier = make(policy=Policy(consecutive_failures=Limit(7, 86_400)))
        challenges = []
        for _ in range(2):
            challenges.append((verifier.start(PHONE).id, outbox.code()))
            clock.tick(60)
        for guess in range(7):
            id_, code = challenges[guess % 2]
            with pytest.raises(IncorrectCode):
                verifier.check(PHONE, wrong(code), challenge=id_)
        for id_, code in challenges:
            with pytest.raises(AttemptsExhausted) as caught:
                verifier.check(PHONE, code, challenge=id_)
            assert caught.value.retry_after == 86_400
        with pytest.raises(RateLimited, match="wrong codes were entered in a row"):
            verifier.resend(PHONE, challenge=challenges[1][0])

    def test_a_right_code_ends_the_row_and_no_other_limit(
        self, make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        policy = Policy(
            sends_per_phone=(),
            failures_per_phone=Limit(9, 86_400),
            consecutive_failures=Limit(4, 864_000),
        )
        verifier = make(policy=policy)
        for _ in range(3):
            challenge, code = verifier.start(PHONE), outbox.code()
            for _ in range(3):
                with pytest.raises(IncorrectCode):
                    verifier.check(PHONE, wrong(code), challenge=challenge.id)
            if challenge.attempts_left == 4:
                assert verifier.check(PHONE, code, challenge=challenge.id)
            clock.tick(60)
        with pytest.raises(RateLimited) as limited:
            verifier.start(PHONE)
        assert limited.value.scope == "failures_per_phone"
        clock.tick(limited.value.retry_after)
        assert verifier.start(PHONE).attempts_left == 1

    def test_the_failure_budget_spans_challenges_of_a_phone_and_purpose(
        self, make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        policy = Policy(failures_per_phone=Limit(7, 86_400), sends_per_phone=())
        verifier = make(policy=policy)
        began = datetime.now(UTC)
        for _ in range(5):
            first = verifier.start(PHONE, purpose="login")
            with pytest.raises(IncorrectCode):
                verifier.check(PHONE, wrong(outbox.code()), challenge=first.id, purpose="login")
            clock.tick(60)
        last = verifier.start(PHONE, purpose="login")
        assert last.attempts_left == 2
        code = outbox.code()
        for left in (1, 0):
            with pytest.raises(IncorrectCode) as caught:
                verifier.check(PHONE, wrong(code), challenge=last.id, purpose="login")
            assert caught.value.attempts_left == left
        with pytest.raises(AttemptsExhausted) as exhausted:
            verifier.check(PHONE, code, challenge=last.id, purpose="login")
        clock.tick(60)
        with pytest.raises(RateLimited) as limited:
            verifier.start(PHONE, purpose="login")
        assert limited.value.scope == "failures_per_phone"
        assert limited.value.limit == Limit(7, 86_400)
        assert limited.value.retry_after == exhausted.value.retry_after - 60
        other = verifier.start(PHONE, purpose="phone")
        assert other.attempts_left == 5
        clock.tick(limited.value.retry_after - 1)
        with pytest.raises(RateLimited):
            verifier.start(PHONE, purpose="login")
        clock.tick(1)
        assert datetime.now(UTC) - began == timedelta(days=1)
        assert verifier.start(PHONE, purpose="login").attempts_left == 1

    @pytest.mark.parametrize("typed", ["", "12345", "1234567", "12345a", "12 34 5", None, 123456])
    def test_what_cannot_be_a_code_costs_nothing(
        self, verifier: Face, outbox: OutboxSender, typed: object
    ) -> None:
        challenge = verifier.start(PHONE)
        for _ in range(8):
            with pytest.raises(IncorrectCode) as caught:
                verifier.check(PHONE, typed, challenge=challenge.id)
            assert caught.value.attempts_left is None
        assert verifier.check(PHONE, outbox.code(), challenge=challenge.id)

    def test_a_stranger_without_the_id_burns_nothing(
        self, verifier: Face, make: Make, outbox: OutboxSender
    ) -> None:
        challenge = verifier.start(PHONE)
        code = outbox.code()
        stranger = make().start(OTHER_PHONE)
        for _ in range(20):
            with pytest.raises(VerificationFailed):
                verifier.check(PHONE, wrong(code), challenge=stranger.id)
        assert verifier.check(PHONE, code, challenge=challenge.id)


class TestSends:
    """Promises 3 and 4."""

    def test_the_cooldowns_last_second(self, verifier: Face, clock: FrozenDateTimeFactory) -> None:
        challenge = verifier.start(PHONE)
        assert challenge.resend_at - datetime.now(UTC) == timedelta(seconds=60)
        clock.tick(59.999)
        calls: list[Callable[[], object]] = [
            lambda: verifier.start(PHONE),
            lambda: verifier.resend(PHONE, challenge=challenge.id),
        ]
        for call in calls:
            with pytest.raises(CooldownActive) as caught:
                call()
            assert caught.value.retry_after == 1
            assert caught.value.limit == Limit(1, 60)
            assert caught.value.scope == "resend_cooldown"
        clock.tick(0.001)
        assert verifier.resend(PHONE, challenge=challenge.id).id == challenge.id

    def test_the_cooldown_belongs_to_a_phone_and_purpose(self, verifier: Face) -> None:
        verifier.start(PHONE, purpose="login")
        verifier.start(PHONE, purpose="payment")
        verifier.start(OTHER_PHONE, purpose="login")
        with pytest.raises(CooldownActive):
            verifier.start(PHONE, purpose="payment")

    def test_a_code_that_was_used_ends_its_cooldown(
        self, verifier: Face, outbox: OutboxSender
    ) -> None:
        """A second device or a second payment can start at once, within the limits."""
        for number in range(5):
            challenge = verifier.start(PHONE, purpose="payment", binding={"number": str(number)})
            assert challenge.sends_left == 4 - number
            with pytest.raises(IncorrectCode):
                verifier.check(PHONE, outbox.code(), challenge=challenge.id, purpose="payment")
            with pytest.raises(CooldownActive if number < 4 else RateLimited):
                verifier.start(PHONE, purpose="payment")
            verifier.check(
                PHONE,
                outbox.code(),
                challenge=challenge.id,
                purpose="payment",
                binding={"number": str(number)},
            )
            assert verifier.inspect(PHONE, purpose="payment").purposes[0].cooldown_until is None
        with pytest.raises(RateLimited) as caught:
            verifier.start(PHONE, purpose="payment")
        assert (caught.value.scope, caught.value.limit) == ("sends_per_phone", Limit(5, 3600))

    def test_a_cooldown_may_be_longer_than_every_window(
        self, make: Make, clock: FrozenDateTimeFactory
    ) -> None:
        policy = Policy(resend_cooldown_seconds=900, sends_per_phone=(Limit(5, 60),))
        verifier = make(policy=policy)
        verifier.start(PHONE)
        clock.tick(100)
        verifier.start(PHONE, purpose="another")
        clock.tick(799.999)
        with pytest.raises(CooldownActive):
            verifier.start(PHONE)
        clock.tick(0.001)
        verifier.start(PHONE)

    def test_the_longest_wait_counts_for_exhausted_attempts_too(
        self, make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        policy = Policy(
            sends_per_phone=(Limit(1, 172_800),), failures_per_phone=Limit(2, 3600), code_length=8
        )
        verifier = make(policy=policy)
        challenge = verifier.start(PHONE)
        for _ in range(2):
            with pytest.raises(IncorrectCode):
                verifier.check(PHONE, wrong(outbox.code()), challenge=challenge.id)
        with pytest.raises(AttemptsExhausted) as caught:
            verifier.check(PHONE, outbox.code(), challenge=challenge.id)
        assert caught.value.retry_after == 172_800

    def test_sends_per_phone_in_every_rolling_window(
        self, make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        limits = (Limit(3, 100), Limit(5, 1000))
        verifier = make(policy=Policy(sends_per_phone=limits, resend_cooldown_seconds=0))
        sent: list[datetime] = []
        refused_by: list[object] = []
        for second in range(3000):
            try:
                verifier.start(PHONE, purpose=f"purpose {second % 3}")
                sent.append(datetime.now(UTC))
            except RateLimited as error:
                refused_by.append(error.limit)
            clock.tick(7)
        assert len(refused_by) > 2000
        assert set(refused_by) == set(limits)
        for limit in limits:
            for began in sent:
                within = timedelta(seconds=limit.seconds)
                assert sum(began <= at < began + within for at in sent) <= limit.count
        assert len(sent) == len(outbox.messages) >= 5 * 20

    def test_whoever_waits_as_told_is_admitted(
        self, make: Make, clock: FrozenDateTimeFactory
    ) -> None:
        verifier = make(policy=Policy(sends_per_phone=(Limit(2, 300), Limit(4, 2000))))
        for _ in range(30):
            verifier.start(PHONE)
            clock.tick(0.4)
            with pytest.raises(RateLimited) as caught:
                verifier.start(PHONE)
            clock.tick(caught.value.retry_after - 1)
            with pytest.raises(RateLimited):
                verifier.start(PHONE)
            clock.tick(1)

    def test_sends_per_ip(
        self, make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        verifier = make(policy=Policy(sends_per_ip=(Limit(2, 3600),)))
        same_network = ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:2::3"]
        numbers = [f"+3725678904{n}" for n in range(6)]
        verifier.start(numbers[0], client_ip=same_network[0])
        verifier.start(numbers[1], client_ip=same_network[1])
        clock.tick(10)
        with pytest.raises(RateLimited) as caught:
            verifier.start(numbers[2], client_ip=same_network[2])
        assert (caught.value.scope, caught.value.retry_after) == ("sends_per_ip", 3590)
        verifier.start(numbers[2], client_ip="2001:db8:1:3::1")
        verifier.start(numbers[3], client_ip="192.0.2.1")
        verifier.start(numbers[4], client_ip="::ffff:192.0.2.1")
        with pytest.raises(RateLimited):
            verifier.start(numbers[5], client_ip="192.0.2.1")
        assert len(outbox.messages) == 5
        clock.tick(3590)
        verifier.start(numbers[5], client_ip=same_network[2])

    def test_a_refused_start_costs_the_network_nothing(self, make: Make) -> None:
        verifier = make(policy=Policy(sends_per_ip=(Limit(2, 3600),)))
        verifier.start(PHONE, client_ip="192.0.2.1")
        for _ in range(5):
            with pytest.raises(CooldownActive):
                verifier.start(PHONE, client_ip="192.0.2.1")
        verifier.start(OTHER_PHONE, client_ip="192.0.2.1")

    def test_a_resend_counts_for_the_network(
        self, make: Make, clock: FrozenDateTimeFactory
    ) -> None:
        verifier = make(policy=Policy(sends_per_ip=(Limit(2, 3600),)))
        challenge = verifier.start(PHONE, client_ip="192.0.2.1")
        clock.tick(60)
        verifier.resend(PHONE, challenge=challenge.id, client_ip="192.0.2.1")
        clock.tick(60)
        with pytest.raises(RateLimited) as caught:
            verifier.resend(PHONE, challenge=challenge.id, client_ip="192.0.2.1")
        assert caught.value.scope == "sends_per_ip"

    def test_a_refused_delivery_gives_everything_back(
        self, make: Make, outbox: OutboxSender
    ) -> None:
        limits = Policy(sends_per_phone=(Limit(1, 3600),), sends_per_ip=(Limit(1, 3600),))
        verifier = make(policy=limits)
        outbox.fail_with = DeliveryRejected(provider_code="no_balance")
        for _ in range(3):
            with pytest.raises(DeliveryRejected) as caught:
                verifier.start(PHONE, client_ip="192.0.2.1")
            assert caught.value.challenge is None
        outbox.fail_with = None
        assert verifier.start(PHONE, client_ip="192.0.2.1").sends_left == 0

    def test_a_refused_resend_leaves_the_earlier_code_good(
        self, make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        verifier = make(policy=Policy(live_codes=1))
        challenge = verifier.start(PHONE)
        code = outbox.code()
        clock.tick(60)
        outbox.fail_with = DeliveryRejected()
        with pytest.raises(DeliveryRejected) as caught:
            verifier.resend(PHONE, challenge=challenge.id)
        left = caught.value.challenge
        assert left is not None
        assert (left.id, left.resend_at) == (challenge.id, datetime.now(UTC))
        assert left.expires_at == challenge.expires_at
        assert verifier.check(PHONE, code, challenge=challenge.id)

    def test_a_gateway_that_was_not_reached_keeps_the_challenge_and_gives_the_send_back(
        self, make: Make, outbox: OutboxSender
    ) -> None:
        verifier = make(policy=Policy(sends_per_phone=(Limit(1, 3600),)))
        outbox.fail_with = DeliveryUnavailable(maybe_sent=False)
        with pytest.raises(DeliveryUnavailable) as caught:
            verifier.start(PHONE)
        assert caught.value.challenge is not None
        outbox.fail_with = None
        again = verifier.resend(PHONE, challenge=caught.value.challenge.id)
        assert verifier.check(PHONE, outbox.code(), challenge=again.id)

    @pytest.mark.parametrize(
        ("failure", "stays"),
        [(DeliveryRejected(), False), (DeliveryUnavailable(maybe_sent=False), True)],
        ids=["rejected", "not reached"],
    )
    def test_what_was_not_delivered_is_told_though_the_store_fails_then(
        self, make: Make, outbox: OutboxSender, failure: DeliveryError, stays: bool
    ) -> None:
        class NoReturns(MemoryStore):
            def release(self, *given: Any) -> Any:
                raise StoreError("down")

        outbox.fail_with = failure
        with pytest.raises(type(failure)) as caught:
            make(store=NoReturns()).start(PHONE)
        assert (caught.value.challenge is not None) is stays

    def test_resends_that_never_went_out_take_no_codes_place(
        self, make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        verifier = make(policy=Policy(live_codes=1))
        challenge = verifier.start(PHONE)
        code = outbox.code()
        clock.tick(60)
        outbox.fail_with = DeliveryUnavailable(maybe_sent=False, provider_code="rate_limited")
        for _ in range(4):
            with pytest.raises(DeliveryUnavailable) as caught:
                verifier.resend(PHONE, challenge=challenge.id)
            assert caught.value.challenge is not None
            assert caught.value.challenge.id == challenge.id
        assert verifier.check(PHONE, code, challenge=challenge.id)

    def test_an_error_of_ones_own_class_keeps_it(self, make: Make) -> None:
        class Busy(DeliveryRejected):
            def __init__(self, queue: str, *, length: int) -> None:
                super().__init__(f"The {queue} queue is full.")
                self.length = length
                self.provider_code = length  # type: ignore[assignment]  # the mistake tested

        class Sender:
            def send(self, message: object) -> Receipt:
                raise Busy("SMS", length=9)

        with pytest.raises(Busy, match="SMS queue") as caught:
            make(Sender()).start(PHONE)
        assert caught.value.length == 9
        assert caught.value.provider_code is None

    def test_an_error_belongs_to_one_caller(self, make: Make, outbox: OutboxSender) -> None:
        """A sender may raise one and the same instance again and again."""
        outbox.fail_with = DeliveryUnavailable()
        verifier = make()
        with pytest.raises(DeliveryUnavailable) as first:
            verifier.start(PHONE)
        with pytest.raises(DeliveryUnavailable) as second:
            verifier.start(OTHER_PHONE)
        assert first.value.challenge is not None
        assert second.value.challenge is not None
        assert (first.value.challenge.phone, second.value.challenge.phone) == (PHONE, OTHER_PHONE)
        assert outbox.fail_with.challenge is None

    def test_a_gateway_that_may_have_taken_it_keeps_both(
        self, make: Make, outbox: OutboxSender
    ) -> None:
        sent: list[str] = []

        class TakesItAndTimesOut:
            def send(self, message: object) -> Receipt:
                sent.append(message.text)  # type: ignore[attr-defined]  # a Message
                raise DeliveryUnavailable

        verifier = make(TakesItAndTimesOut())
        with pytest.raises(DeliveryUnavailable) as caught:
            verifier.start(PHONE)
        with pytest.raises(CooldownActive):
            verifier.start(PHONE)
        assert caught.value.challenge is not None
        code = sent[0][:6]
        assert verifier.check(PHONE, code, challenge=caught.value.challenge.id)

    def test_nothing_comes_back_when_a_failed_send_is_given_back(
        self, make: Make, clock: FrozenDateTimeFactory
    ) -> None:
        """A challenge that is cancelled while its message is on the way stays gone."""

        class CancelsAndRefuses:
            store = MemoryStore()

            def send(self, message: object) -> Receipt:
                canceller.cancel(PHONE, challenge=challenge.id)
                raise DeliveryRejected

        sender = CancelsAndRefuses()
        quiet = OutboxSender()
        challenge = make(quiet, store=sender.store).start(PHONE)
        clock.tick(60)
        from otpverify import Verifier

        canceller = Verifier(quiet, store=sender.store, secret=SECRET, hasher=QUICK)
        with pytest.raises(DeliveryRejected) as caught:
            make(sender, store=sender.store).resend(PHONE, challenge=challenge.id)
        assert caught.value.challenge is None
        assert len(sender.store) == 0


class TestLifetimes:
    """Promise 5."""

    def test_the_tenth_minute(
        self, verifier: Face, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        early, late = verifier.start(PHONE), verifier.start(OTHER_PHONE)
        codes = [message.text[:6] for message in outbox.messages]
        assert early.expires_at - datetime.now(UTC) == timedelta(seconds=600)
        clock.tick(599.999)
        assert verifier.check(PHONE, codes[0], challenge=early.id)
        clock.tick(0.001)
        with pytest.raises(ChallengeExpired):
            verifier.check(OTHER_PHONE, codes[1], challenge=late.id)

    def test_every_code_has_its_own_expiry(
        self, verifier: Face, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        challenge = verifier.start(PHONE)
        first = outbox.code()
        clock.tick(400)
        again = verifier.resend(PHONE, challenge=challenge.id)
        assert again.expires_at == datetime.now(UTC) + timedelta(seconds=600)
        clock.tick(200)
        with pytest.raises(IncorrectCode):
            verifier.check(PHONE, first, challenge=challenge.id)
        assert verifier.check(PHONE, outbox.code(), challenge=challenge.id)

    @pytest.mark.parametrize("nth", range(5))
    def test_the_newest_live_codes_are_good(
        self, make: Make, outbox: OutboxSender, nth: int
    ) -> None:
        verifier = make(policy=Policy(resend_cooldown_seconds=0, live_codes=3))
        challenge = verifier.start(PHONE)
        for _ in range(4):
            verifier.resend(PHONE, challenge=challenge.id)
        code = outbox.messages[nth].text[:6]
        if nth < 2:
            with pytest.raises(IncorrectCode):
                verifier.check(PHONE, code, challenge=challenge.id)
        else:
            assert verifier.check(PHONE, code, challenge=challenge.id)

    def test_a_clock_that_is_set_back_prolongs_nothing(
        self, verifier: Face, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        challenge = verifier.start(PHONE)
        for seconds in (300, -3600, 299.999):
            clock.tick(seconds)
            with pytest.raises(IncorrectCode):
                verifier.check(PHONE, wrong(outbox.code()), challenge=challenge.id)
        clock.tick(0.001)
        with pytest.raises(ChallengeExpired):
            verifier.check(PHONE, outbox.code(), challenge=challenge.id)


class TestFaults:
    """Promise 8."""

    class Broken(MemoryStore):
        """Works until it is armed; then one operation fails, or answers nonsense."""

        def __init__(self, operation: str, answer: object) -> None:
            super().__init__()
            self.armed = False
            working = getattr(self, operation)

            def broken(*args: object) -> object:
                if not self.armed:
                    return working(*args)
                if isinstance(answer, Exception):
                    raise answer
                return answer

            setattr(self, operation, broken)

    @pytest.mark.parametrize(
        "answer",
        [OSError("refused"), StoreError("down"), None, True, "accepted", b"1", 1.5],
        ids=repr,
    )
    @pytest.mark.parametrize("operation", ["open", "place", "check", "claim", "reserve"])
    def test_a_store_that_fails_or_lies(
        self, make: Make, outbox: OutboxSender, operation: str, answer: object
    ) -> None:
        if operation == "place" and answer is None:
            answer = ()  # None is its answer to what is gone
        store = self.Broken(operation, answer)
        verifier = make(store=store)
        challenge = verifier.start(PHONE, client_ip="192.0.2.1")
        store.armed = True
        calls: list[Callable[[], object]] = [
            lambda: verifier.check(PHONE, outbox.code(), challenge=challenge.id),
            lambda: verifier.start(OTHER_PHONE, client_ip="192.0.2.1"),
        ]
        with pytest.raises(StoreError) as caught:
            calls[operation in ("open", "place", "reserve")]()
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
        assert len(outbox.messages) == 1

    @pytest.mark.parametrize(
        "outcome",
        [ValueError("text with 123456"), KeyError("+37256789045"), None, "ok", 5],
        ids=repr,
    )
    def test_a_sender_that_fails_or_lies(self, make: Make, outcome: object) -> None:
        class Odd:
            def send(self, message: object) -> object:
                if isinstance(outcome, Exception):
                    raise outcome
                return outcome

        with pytest.raises(DeliveryUnavailable) as caught:
            make(Odd()).start(PHONE)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
        assert caught.value.challenge is not None
        assert "123456" not in str(caught.value)

    @pytest.mark.parametrize(
        ("operation", "what"), [("release", "A send"), ("give_back", "What was counted")]
    )
    def test_a_delivery_error_survives_a_store_that_fails_at_the_release(
        self,
        make: Make,
        outbox: OutboxSender,
        operation: str,
        what: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        store = self.Broken(operation, StoreError("down"))
        store.armed = True
        outbox.fail_with = DeliveryRejected(provider_code="unauthorized")
        with pytest.raises(DeliveryRejected) as caught:
            make(store=store).start(PHONE, client_ip="192.0.2.1")
        assert caught.value.provider_code == "unauthorized"
        logged = f"{what} could not be given back: down"
        assert ("otpverify", logging.WARNING, logged) in caplog.record_tuples

    def test_so_does_an_error_of_the_store(
        self, make: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = self.Broken("place", StoreError("first"))
        store.armed = True

        def release(*_: object) -> NoReturn:
            raise StoreError("second")

        store.release = release  # type: ignore[assignment]  # as another fault
        with pytest.raises(StoreError, match="first"):
            make(store=store).start(PHONE)
        assert "could not be given back: second" in caplog.text


class TestCapacity:
    """Promise 9."""

    def test_refuses_and_evicts_nothing(
        self, make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        store = MemoryStore(capacity=3)
        verifier = make(store=store)
        kept = [verifier.start(f"+3725678904{n}") for n in range(3)]
        with pytest.raises(IncorrectCode):
            verifier.check(kept[0].phone, wrong(outbox.messages[0].text[:6]), challenge=kept[0].id)
        with pytest.raises(StoreError, match="full"):
            verifier.start("+37256789049")
        assert len(outbox.messages) == 3
        with pytest.raises(IncorrectCode) as caught:
            verifier.check(kept[0].phone, wrong(outbox.messages[0].text[:6]), challenge=kept[0].id)
        assert caught.value.attempts_left == 3
        code = outbox.messages[1].text[:6]
        proof = verifier.check(kept[1].phone, code, challenge=kept[1].id).proof
        with pytest.raises(StoreError, match="full"):
            verifier.start("+37256789049")  # a proof is alive, too
        verifier.redeem(kept[1].phone, proof)
        verifier.start("+37256789049")
        clock.tick(600)
        assert len(store) == 0
        for n in range(3):
            verifier.start(f"+3725678908{n}")

    def test_counters_are_not_evicted_either(self, make: Make) -> None:
        verifier = make(store=MemoryStore(capacity=10, counter_capacity=2))
        for number in (PHONE, OTHER_PHONE):
            verifier.cancel(number, challenge=verifier.start(number).id)
        with pytest.raises(StoreError):
            verifier.start("+37256789047")
        with pytest.raises(CooldownActive):
            verifier.start(PHONE)

    def test_no_code_is_compared_where_its_failure_could_not_be_counted(
        self, make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        """A challenge that outlives its phone's logs keeps their place."""
        store = MemoryStore(capacity=10, counter_capacity=2)
        policy = Policy(sends_per_phone=(Limit(5, 300),), sends_per_ip=())
        verifier = make(store=store, policy=policy)
        challenge = verifier.start(PHONE)
        code = outbox.code()
        clock.tick(300)
        verifier.start(OTHER_PHONE)
        with pytest.raises(StoreError):
            verifier.start("+37256789047")
        for left in (4, 3, 2, 1, 0):
            with pytest.raises(IncorrectCode) as caught:
                verifier.check(PHONE, wrong(code), challenge=challenge.id)
            assert caught.value.attempts_left == left
        with pytest.raises(AttemptsExhausted):
            verifier.check(PHONE, code, challenge=challenge.id)

    def test_nor_when_the_send_was_given_back(self, make: Make, outbox: OutboxSender) -> None:
        store = MemoryStore(capacity=10, counter_capacity=2)
        verifier = make(store=store)
        outbox.fail_with = DeliveryUnavailable(maybe_sent=False)
        with pytest.raises(DeliveryUnavailable) as failed:
            verifier.start(PHONE)
        challenge = failed.value.challenge
        assert challenge is not None
        outbox.fail_with = None
        for number in (OTHER_PHONE, "+37256789047"):
            try:
                verifier.start(number)
            except StoreError:
                break
        outcomes: set[object] = set()
        for nth in range(12):
            with pytest.raises((IncorrectCode, AttemptsExhausted, StoreError)) as caught:
                verifier.check(PHONE, f"{nth:06}", challenge=challenge.id)
            outcomes.add(type(caught.value))
        assert StoreError not in outcomes or outcomes == {StoreError}

    def test_a_full_store_costs_the_network_nothing(self, make: Make) -> None:
        store = MemoryStore(capacity=1)
        verifier = make(store=store, policy=Policy(sends_per_ip=(Limit(2, 3600),)))
        first = verifier.start(PHONE, client_ip="192.0.2.1")
        for _ in range(3):
            with pytest.raises(StoreError):
                verifier.start(OTHER_PHONE, client_ip="192.0.2.1")
        verifier.cancel(PHONE, challenge=first.id)
        verifier.start(OTHER_PHONE, client_ip="192.0.2.1")


class TestDecoys:
    """Promise 10."""

    def test_same_result_same_counters_nothing_sent(
        self, make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        verifier = make()
        real = verifier.start(PHONE, purpose="password-reset", deliver=True)
        decoy = verifier.start(OTHER_PHONE, purpose="password-reset", deliver=False)
        assert len(outbox.messages) == 1
        for name in ("purpose", "expires_at", "resend_at", "attempts_left", "sends_left"):
            assert getattr(real, name) == getattr(decoy, name)
        assert len(real.id) == len(decoy.id)
        assert isinstance(decoy.message_id, str)
        assert len(str(real.message_id)) == len(decoy.message_id)
        for number, known in ((PHONE, True), (OTHER_PHONE, False)):
            with pytest.raises(CooldownActive):
                verifier.start(number, purpose="password-reset", deliver=known)
        clock.tick(60)
        for number, challenge in ((PHONE, real), (OTHER_PHONE, decoy)):
            resent = verifier.resend(number, challenge=challenge.id, purpose="password-reset")
            assert (resent.id, resent.attempts_left) == (challenge.id, 5)
        assert [message.to for message in outbox.messages] == [PHONE, PHONE]

    def test_no_code_matches_a_decoy(self, make: Make) -> None:
        """Not even the one that was drawn: every code of a short code space is tried."""
        policy = Policy(
            code_length=2,
            max_attempts=1000,
            failures_per_phone=None,
            resend_cooldown_seconds=0,
            allow_weak=True,
        )
        verifier = make(policy=policy)
        decoy = verifier.start(PHONE, deliver=False)
        verifier.resend(PHONE, challenge=decoy.id)
        for number in range(100):
            with pytest.raises(IncorrectCode):
                verifier.check(PHONE, f"{number:02}", challenge=decoy.id)

    def test_a_decoys_attempts_run_out_alike(self, verifier: Face) -> None:
        decoy = verifier.start(PHONE, deliver=False)
        for left in (4, 3, 2, 1, 0):
            with pytest.raises(IncorrectCode) as caught:
                verifier.check(PHONE, "123456", challenge=decoy.id)
            assert caught.value.attempts_left == left
        with pytest.raises(AttemptsExhausted):
            verifier.check(PHONE, "123456", challenge=decoy.id)


def test_errors_keep_their_data_when_copied_and_pickled(verifier: Face) -> None:
    verifier.start(PHONE)
    with pytest.raises(CooldownActive) as caught:
        verifier.start(PHONE)
    for copied in (copy.copy(caught.value), pickle.loads(pickle.dumps(caught.value))):
        assert type(copied) is CooldownActive
        assert (copied.retry_after, copied.limit, str(copied)) == (
            caught.value.retry_after,
            caught.value.limit,
            str(caught.value),
        )
