"""`inspect` and `unlock`: what support sees of a number, and clearing its limits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from support import OTHER_PHONE, PHONE, Face, fixture_secret, wrong

from otpverify import (
    AttemptsExhausted,
    ChallengeExpired,
    ConfigurationError,
    DeliveryStatus,
    Event,
    FraudPolicy,
    IncorrectCode,
    InvalidPhoneNumber,
    Limit,
    MemoryStore,
    Policy,
    RateLimited,
    StoreError,
)
from otpverify.core.inspection import LimitUse, LiveChallenge, PurposeInspection, SentMessage
from otpverify.core.state import Inspected, PhoneState, Send
from otpverify.testing import OutboxSender

Make = Callable[..., Face]
FAST = Policy(resend_cooldown_seconds=0, consecutive_failures=Limit(4, 86_400))


def guess(verifier: Face, outbox: OutboxSender, times: int, **options: Any) -> str:
    challenge = verifier.start(PHONE, **options)
    code = outbox.code() if options.get("deliver") is not False else "000000"
    for _ in range(times):
        with pytest.raises(IncorrectCode):
            verifier.check(
                PHONE, wrong(code), challenge=challenge.id, purpose=options.get("purpose", "verify")
            )
    return challenge.id


class TestKnownToTheFraudPolicy:
    def test_without_a_policy(self, verifier: Face) -> None:
        assert verifier.inspect(PHONE).known is None

    def test_a_right_code_makes_it_known_and_unanswered_messages_end_that(
        self, make: Callable[..., Face], outbox: OutboxSender
    ) -> None:
        verifier = make(fraud=FraudPolicy(mode="enforce"), policy=FAST)
        assert verifier.inspect(PHONE).known is False
        challenge = verifier.start(PHONE)
        verifier.check(PHONE, outbox.code(), challenge=challenge.id)
        seen = verifier.inspect(PHONE)
        assert (seen.known, seen.unanswered) == (True, 0)
        for number in (1, 2, 3):
            verifier.start(PHONE)
            seen = verifier.inspect(PHONE)
            assert (seen.known, seen.unanswered) == (number < 3, number)
        verifier.unlock(PHONE, purpose="verify")
        assert verifier.inspect(PHONE).known is False
        verifier.unlock(PHONE)
        seen = verifier.inspect(PHONE)
        assert (seen.known, seen.unanswered) == (True, 0)

    def test_a_stranger_stays_one(self, make: Callable[..., Face]) -> None:
        verifier = make(fraud=FraudPolicy(mode="enforce"))
        verifier.start(PHONE)
        verifier.unlock(PHONE)
        assert verifier.inspect(PHONE).known is False


class TestInspect:
    def test_a_number_that_is_not_known(self, verifier: Face) -> None:
        seen = verifier.inspect(PHONE)
        assert (seen.phone, seen.purposes) == (PHONE, ())
        assert [(use.used, use.admits_at) for use in seen.sends] == [(0, None), (0, None)]

    def test_what_is_known(
        self, verifier: Face, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        began = datetime.now(UTC)
        guess(verifier, outbox, 2, purpose="login")
        clock.tick(10)
        verifier.start(PHONE, purpose="password-reset", deliver=False)
        seen = verifier.inspect(" +372 5678 9045 ")
        assert seen.phone == PHONE
        assert seen.inspected_at == began + timedelta(seconds=10)
        hour, day = Limit(5, 3600), Limit(10, 86_400)
        assert seen.sends == (LimitUse(hour, 1, None), LimitUse(day, 1, None))
        assert seen.concealed_sends == seen.sends
        login, reset = seen.purposes
        assert login == PurposeInspection(
            purpose="login",
            messages=(SentMessage(began, DeliveryStatus.QUEUED, concealed=False),),
            cooldown_until=began + timedelta(seconds=60),
            concealed_cooldown_until=None,
            failures=2,
            consecutive_failures=2,
            locked_until=None,
            locked_by=None,
            challenges=(
                LiveChallenge(
                    expires_at=began + timedelta(seconds=600),
                    attempts_left=3,
                    status=DeliveryStatus.QUEUED,
                    concealed=False,
                    decoy=False,
                ),
            ),
        )
        assert reset.purpose == "password-reset"
        assert reset.cooldown_until is None
        assert reset.concealed_cooldown_until == began + timedelta(seconds=70)
        assert [(one.concealed, one.decoy) for one in reset.challenges] == [(True, True)]

    def test_a_purpose_of_the_caller_s_own_has_a_name_when_it_is_given(
        self, verifier: Face, outbox: OutboxSender
    ) -> None:
        verifier.start(PHONE, purpose="login")
        verifier.start(PHONE, purpose="parcel pick-up")
        assert [one.purpose for one in verifier.inspect(PHONE).purposes] == ["login", None]
        seen = verifier.inspect(PHONE, purpose="parcel pick-up")
        assert [one.purpose for one in seen.purposes] == ["parcel pick-up"]
        assert seen.sends[0].used == 2, "limits on sends span all purposes"
        assert verifier.inspect(PHONE, purpose="never used").purposes == ()

    def test_a_lock_and_what_locks(
        self, make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        verifier = make(policy=FAST)
        guess(verifier, outbox, 4)
        (seen,) = verifier.inspect(PHONE).purposes
        assert seen.locked_by == "consecutive_failures"
        assert seen.locked_until == datetime.now(UTC) + timedelta(days=1)
        assert [one.attempts_left for one in seen.challenges] == [0]
        clock.tick(86_400)
        assert verifier.inspect(PHONE).purposes == ()

    def test_what_an_older_secret_signed_is_seen_and_cleared(self, make: Make) -> None:
        store, old, new = MemoryStore(), fixture_secret("old"), fixture_secret("new")
        make(store=store, secret=old).start(PHONE)
        verifier = make(store=store, secret=[new, old])
        verifier.start(PHONE)
        assert [one.purpose for one in verifier.inspect(PHONE).purposes] == ["verify"] * 2
        verifier.unlock(PHONE)
        assert verifier.inspect(PHONE).purposes == ()

    def test_neither_a_number_nor_a_code_is_in_a_repr(
        self, verifier: Face, outbox: OutboxSender
    ) -> None:
        verifier.start(PHONE, purpose="login")
        shown = repr(verifier.inspect(PHONE))
        assert PHONE[1:] not in shown
        assert outbox.code() not in shown
        assert "+37" in shown

    @pytest.mark.parametrize("operation", ["inspect", "unlock"])
    def test_bad_input_is_refused(self, verifier: Face, operation: str) -> None:
        call = getattr(verifier, operation)
        with pytest.raises(InvalidPhoneNumber):
            call("no number")
        for purpose in ("", 5, b"login"):
            with pytest.raises(ConfigurationError):
                call(PHONE, purpose=purpose)

    @pytest.mark.parametrize("operation", ["inspect", "unlock"])
    def test_a_store_that_fails_or_lies_is_a_store_error(self, make: Make, operation: str) -> None:
        class Broken(MemoryStore):
            def inspect(self, phone: str) -> Any:
                return "nonsense"

            def unlock(self, phone: str, scope: str | None = None) -> Any:
                raise OSError(phone)

        with pytest.raises(StoreError):
            getattr(make(store=Broken()), operation)(PHONE)

    @pytest.mark.parametrize(
        "kept",
        [
            Inspected(10**20, PhoneState()),
            Inspected(10**15, PhoneState()),
            Inspected(1, PhoneState(sends=(Send(10**20, "scope", "challenge"),))),
            Inspected(1, PhoneState(sends=(Send(1, "scope", "challenge", "no status"),))),
            Inspected("now", PhoneState()),  # type: ignore[arg-type]  # a store that lies
            Inspected(1, None),  # type: ignore[arg-type]  # the same
        ],
        ids=repr,
    )
    def test_what_a_store_cannot_mean_is_a_store_error(self, make: Make, kept: Inspected) -> None:
        class Lying(MemoryStore):
            def inspect(self, phone: str) -> Inspected:
                return kept

        with pytest.raises(StoreError):
            make(store=Lying()).inspect(PHONE)


class TestUnlock:
    def test_every_limit_is_cleared(
        self, make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        policy = Policy(consecutive_failures=Limit(4, 86_400), sends_per_phone=(Limit(1, 3600),))
        verifier = make(policy=policy)
        guess(verifier, outbox, 4)
        with pytest.raises(RateLimited):
            verifier.start(PHONE)
        verifier.unlock(PHONE)
        challenge = verifier.start(PHONE)
        assert challenge.attempts_left == 4
        assert verifier.check(PHONE, outbox.code(), challenge=challenge.id).phone == PHONE
        with pytest.raises(RateLimited):
            verifier.start(PHONE)

    def test_one_purpose_leaves_the_others(self, make: Make, outbox: OutboxSender) -> None:
        verifier = make(policy=FAST)
        for purpose in ("login", "reset"):
            guess(verifier, outbox, 4, purpose=purpose)
        verifier.unlock(PHONE, purpose="login")
        verifier.start(PHONE, purpose="login")
        with pytest.raises(RateLimited) as limited:
            verifier.start(PHONE, purpose="reset")
        assert limited.value.scope == "consecutive_failures"

    def test_another_number_stays_locked(self, make: Make, outbox: OutboxSender) -> None:
        verifier = make(policy=FAST)
        guess(verifier, outbox, 4)
        verifier.unlock(OTHER_PHONE)
        with pytest.raises(RateLimited):
            verifier.start(PHONE)

    def test_no_challenge_is_revived(self, make: Make, outbox: OutboxSender) -> None:
        verifier = make(policy=Policy(resend_cooldown_seconds=0))
        spent = guess(verifier, outbox, 5)
        code = outbox.code()
        used = verifier.start(PHONE).id
        verifier.check(PHONE, outbox.code(), challenge=used)
        verifier.unlock(PHONE)
        with pytest.raises(AttemptsExhausted):
            verifier.check(PHONE, code, challenge=spent)
        with pytest.raises(ChallengeExpired):
            verifier.check(PHONE, outbox.code(), challenge=used)

    def test_an_event_tells_of_it_without_the_number(self, make: Make) -> None:
        events: list[Event] = []
        verifier = make(on_event=events.append)
        verifier.unlock(PHONE)
        verifier.unlock(PHONE, purpose="login")
        verifier.inspect(PHONE)
        with pytest.raises(InvalidPhoneNumber):
            verifier.unlock("5")
        found = [(one.operation, one.outcome, one.purpose) for one in events]
        assert found == [
            ("unlock", "unlocked", ""),
            ("unlock", "unlocked", "login"),
            ("unlock", "InvalidPhoneNumber", ""),
        ]
        assert PHONE[1:] not in repr(events)
