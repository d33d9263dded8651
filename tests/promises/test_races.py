"""Promises 1 to 3 under real races: threads for `Verifier`, tasks for `AsyncVerifier`, and
exact counts. `OTPVERIFY_TEST_REPEATS` says how often each is run, in both modes together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from support import OTHER_PHONE, PHONE, QUICK, SECRET, Face, Mode, dealt, wrong

from otpverify import HmacHasher, Limit, MemoryStore as InlineStore, Policy
from otpverify.testing import OutboxSender

ROOMY = Policy(resend_cooldown_seconds=0, sends_per_phone=())
MODES = 2
ALL_HASHERS = {"hmac": HmacHasher(), "argon2": QUICK}
HASHERS = pytest.mark.parametrize("hasher", ALL_HASHERS.values(), ids=ALL_HASHERS)

Make = Callable[..., Face]


class MemoryStore(InlineStore):
    """Behind an event loop it runs in worker threads: inline, its operations could not meet."""

    process_local = False


def outcomes(mode: Mode, calls: Sequence[Callable[[], Any]]) -> Counter[str]:
    """How often each kind of outcome occurred, for calls made at once."""
    return Counter(type(outcome).__name__ for outcome in mode.together(calls))


@HASHERS
def test_200_wrong_codes_are_compared_exactly_max_attempts_times(
    mode: Mode, make: Make, outbox: OutboxSender, hasher: Any
) -> None:
    for _ in range(dealt(MODES * len(ALL_HASHERS))):
        verifier = make(hasher=hasher, store=MemoryStore())
        id_ = verifier.start(PHONE).id
        code = outbox.code()
        calls = [
            partial(verifier.check, PHONE, wrong(code, nth), challenge=id_) for nth in range(1, 201)
        ]
        assert outcomes(mode, calls) == {"IncorrectCode": 5, "AttemptsExhausted": 195}


@HASHERS
def test_50_right_codes_are_accepted_exactly_once(
    mode: Mode, make: Make, outbox: OutboxSender, hasher: Any
) -> None:
    for _ in range(dealt(MODES * len(ALL_HASHERS))):
        verifier = make(hasher=hasher, store=MemoryStore())
        id_ = verifier.start(PHONE).id
        calls = [partial(verifier.check, PHONE, outbox.code(), challenge=id_)] * 50
        found = outcomes(mode, calls)
        assert found.pop("Verified") == 1
        # While all attempts are claimed, the others see that none is left.
        late = {"ChallengeExpired", "AttemptsExhausted"} if hasher.costly else {"ChallengeExpired"}
        assert set(found) <= late
        assert found.total() == 49


@HASHERS
def test_a_right_code_beside_wrong_ones_below_the_limit_is_always_accepted(
    mode: Mode, make: Make, outbox: OutboxSender, hasher: Any
) -> None:
    for repeat in range(dealt(MODES * len(ALL_HASHERS))):
        verifier = make(hasher=hasher, store=MemoryStore())
        id_ = verifier.start(PHONE).id
        code = outbox.code()
        typed = [wrong(code, nth) for nth in range(1, 5)]
        typed.insert(repeat % 5, code)
        calls = [partial(verifier.check, PHONE, one, challenge=id_) for one in typed]
        assert outcomes(mode, calls)["Verified"] == 1


def test_a_resend_beside_a_guess_loses_neither_code(
    mode: Mode, make: Make, outbox: OutboxSender
) -> None:
    for repeat in range(dealt(MODES)):
        verifier = make(policy=ROOMY, store=MemoryStore())
        id_ = verifier.start(PHONE).id
        first = outbox.code()
        calls: list[Callable[[], Any]] = [
            partial(verifier.resend, PHONE, challenge=id_),
            partial(verifier.check, PHONE, wrong(first), challenge=id_),
        ]
        expected = Counter({"Challenge": 1, "IncorrectCode": 1})
        assert outcomes(mode, calls if repeat % 2 else calls[::-1]) == expected
        code = first if repeat % 4 < 2 else outbox.code()
        assert verifier.check(PHONE, code, challenge=id_).phone == PHONE


def test_simultaneous_starts_send_exactly_one_message(
    mode: Mode, make: Make, outbox: OutboxSender
) -> None:
    for _ in range(dealt(MODES)):
        outbox.clear()
        verifier = make(store=MemoryStore())
        calls = [partial(verifier.start, PHONE)] * 30
        assert outcomes(mode, calls) == {"Challenge": 1, "CooldownActive": 29}
        assert len(outbox.messages) == 1


def test_simultaneous_starts_stay_within_the_send_limit(
    mode: Mode, make: Make, outbox: OutboxSender
) -> None:
    policy = Policy(resend_cooldown_seconds=0, sends_per_phone=(Limit(4, 3600),))
    for _ in range(dealt(MODES)):
        outbox.clear()
        verifier = make(policy=policy, store=MemoryStore())
        calls = [partial(verifier.start, PHONE, purpose=f"{n % 3}") for n in range(30)]
        assert outcomes(mode, calls) == {"Challenge": 4, "RateLimited": 26}
        assert len(outbox.messages) == 4


def test_simultaneous_starts_from_one_network_stay_within_its_limit(
    mode: Mode, make: Make, outbox: OutboxSender
) -> None:
    policy = Policy(sends_per_ip=(Limit(3, 3600),))
    for _ in range(dealt(MODES)):
        outbox.clear()
        verifier = make(policy=policy, store=MemoryStore())
        calls = [
            partial(verifier.start, f"+372567890{n:02}", client_ip=f"2001:db8::{n}")
            for n in range(20)
        ]
        assert outcomes(mode, calls) == {"Challenge": 3, "RateLimited": 17}
        assert len(outbox.messages) == 3


def test_the_failure_budget_holds_over_challenges_that_are_attacked_at_once(
    mode: Mode, make: Make, outbox: OutboxSender
) -> None:
    policy = Policy(
        resend_cooldown_seconds=0, sends_per_phone=(), failures_per_phone=Limit(12, 86_400)
    )
    for _ in range(dealt(MODES)):
        outbox.clear()
        verifier = make(policy=policy, store=MemoryStore())
        ids = [verifier.start(PHONE).id for _ in range(10)]
        codes = {message.text[:6] for message in outbox.messages}
        guess = next(c for c in (f"{n:06}" for n in range(100)) if c not in codes)
        calls = [partial(verifier.check, PHONE, guess, challenge=i) for i in ids for _ in range(5)]
        assert outcomes(mode, calls) == {"IncorrectCode": 12, "AttemptsExhausted": 38}


def test_wrong_codes_in_a_row_are_bounded_over_challenges_that_are_attacked_at_once(
    mode: Mode, make: Make, outbox: OutboxSender
) -> None:
    policy = Policy(
        resend_cooldown_seconds=0, sends_per_phone=(), consecutive_failures=Limit(11, 86_400)
    )
    for _ in range(dealt(MODES)):
        outbox.clear()
        verifier = make(policy=policy, store=MemoryStore())
        ids = [verifier.start(PHONE).id for _ in range(10)]
        codes = {message.text[:6] for message in outbox.messages}
        guess = next(c for c in (f"{n:06}" for n in range(100)) if c not in codes)
        calls = [partial(verifier.check, PHONE, guess, challenge=i) for i in ids for _ in range(5)]
        assert outcomes(mode, calls) == {"IncorrectCode": 11, "AttemptsExhausted": 39}


def test_capacity_holds(mode: Mode, make: Make) -> None:
    for _ in range(dealt(MODES)):
        store = MemoryStore(capacity=7)
        verifier = make(store=store)
        calls = [partial(verifier.start, f"+372567890{n:02}") for n in range(40)]
        assert outcomes(mode, calls) == {"Challenge": 7, "StoreError": 33}
        assert len(store) == 7


def test_verifiers_of_both_modes_share_a_store(outbox: OutboxSender, make: Make) -> None:
    """A service that is moving to async runs both for a while."""
    store = MemoryStore()
    from otpverify import Verifier

    other = Verifier(outbox, store=store, secret=SECRET, hasher=QUICK)
    id_ = other.start(PHONE).id
    assert make(store=store).check(PHONE, outbox.code(), challenge=id_).phone == PHONE
    id_ = make(store=store).start(OTHER_PHONE).id
    assert other.check(OTHER_PHONE, outbox.code(), challenge=id_).phone == OTHER_PHONE
