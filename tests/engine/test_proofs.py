"""`Verified.proof` and `redeem`: a right code's proof, for a step that comes later, once."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from hypothesis import given, strategies as st
from support import OTHER_PHONE, OTHER_SECRET, PHONE, QUICK, SECRET, Face, Mode, wrong

from otpverify import (
    ChallengeExpired,
    ConfigurationError,
    Event,
    IncorrectCode,
    InvalidPhoneNumber,
    MemoryStore,
    Policy,
    StoreError,
    Verified,
    Verifier,
)
from otpverify.core.keys import Key
from otpverify.testing import OutboxSender

Make = Callable[..., Face]


def prove(verifier: Face, outbox: OutboxSender, purpose: str = "password-reset") -> Verified:
    challenge = verifier.start(PHONE, purpose=purpose)
    return verifier.check(PHONE, outbox.code(), challenge=challenge.id, purpose=purpose)


def test_is_redeemed_once_for_what_was_verified(verifier: Face, outbox: OutboxSender) -> None:
    verified = prove(verifier, outbox)
    redeem = partial(verifier.redeem, PHONE, verified.proof, purpose="password-reset")
    assert redeem() == verified
    for _ in range(2):
        with pytest.raises(ChallengeExpired):
            redeem()


def test_serves_its_own_phone_and_purpose_only(verifier: Face, outbox: OutboxSender) -> None:
    verified = prove(verifier, outbox)
    for phone, purpose in (
        (OTHER_PHONE, "password-reset"),
        (PHONE, "login"),
        (PHONE, "verify"),
        (PHONE, "password-reset "),
    ):
        with pytest.raises(ChallengeExpired):
            verifier.redeem(phone, verified.proof, purpose=purpose)
    for number in ("", "no number", "+1"):
        with pytest.raises(InvalidPhoneNumber):
            verifier.redeem(number, verified.proof, purpose="password-reset")
    assert verifier.redeem("+372 5678 9045", verified.proof, purpose="password-reset") == verified


def test_serves_the_bound_facts_that_the_code_approved(
    verifier: Face, outbox: OutboxSender
) -> None:
    """A code for 5 EUR must not pay 5,000 EUR a step later, either."""
    approved = {"payee": "Shop", "amount": "5 EUR"}
    challenge = verifier.start(PHONE, purpose="payment", binding=approved)
    check = partial(verifier.check, PHONE, challenge=challenge.id, purpose="payment")
    proof = check(outbox.code(), binding=approved).proof
    for other in (
        None,
        {},
        {"payee": "Shop", "amount": "5000 EUR"},
        {"payee": "Shop"},
        {**approved, "note": ""},
        {"payee": "5 EUR", "amount": "Shop"},
    ):
        with pytest.raises(ChallengeExpired):
            verifier.redeem(PHONE, proof, purpose="payment", binding=other)
    with pytest.raises(ConfigurationError, match="binding"):
        verifier.redeem(PHONE, proof, purpose="payment", binding={"amount": 5})
    turned = dict(reversed(approved.items()))
    assert verifier.redeem(PHONE, proof, purpose="payment", binding=turned)


def test_of_no_binding_serves_none(verifier: Face, outbox: OutboxSender) -> None:
    verified = prove(verifier, outbox)
    with pytest.raises(ChallengeExpired):
        verifier.redeem(PHONE, verified.proof, purpose="password-reset", binding={"a": "b"})
    assert verifier.redeem(PHONE, verified.proof, purpose="password-reset", binding={})


def test_a_challenge_s_id_is_no_proof(verifier: Face, outbox: OutboxSender) -> None:
    challenge = verifier.start(PHONE)
    with pytest.raises(IncorrectCode):
        verifier.check(PHONE, wrong(outbox.code()), challenge=challenge.id)
    for proof in (challenge.id, challenge.id + "A" * 32):
        with pytest.raises(ChallengeExpired):
            verifier.redeem(PHONE, proof)
    verified = verifier.check(PHONE, outbox.code(), challenge=challenge.id)
    for proof in (challenge.id, challenge.id + "A" * 32):
        with pytest.raises(ChallengeExpired):
            verifier.redeem(PHONE, proof)
    assert verifier.redeem(PHONE, verified.proof)


@pytest.mark.parametrize("proof", ["", " ", "x", None, 5, b"x" * 56, "é" * 56, "A" * 56, "-" * 57])
def test_nonsense_is_no_proof(verifier: Face, proof: Any) -> None:
    with pytest.raises(ChallengeExpired):
        verifier.redeem(PHONE, proof)


def test_the_whole_result_is_no_proof(verifier: Face, outbox: OutboxSender) -> None:
    with pytest.raises(ConfigurationError, match=r"verified\.proof"):
        verifier.redeem(PHONE, prove(verifier, outbox), purpose="password-reset")


_OUTBOX = OutboxSender()
_POLICY = Policy(resend_cooldown_seconds=0, sends_per_phone=())
_VERIFIER = Verifier(_OUTBOX, secret=SECRET, hasher=QUICK, policy=_POLICY)


@given(place=st.integers(0, 55), other=st.sampled_from("ABYZabyz0189-_"))
def test_any_other_character_spoils_it(place: int, other: str) -> None:
    challenge = _VERIFIER.start(PHONE)
    proof = _VERIFIER.check(PHONE, _OUTBOX.code(), challenge=challenge.id).proof
    spoilt = proof[:place] + other + proof[place + 1 :]
    if spoilt != proof:
        with pytest.raises(ChallengeExpired):
            _VERIFIER.redeem(PHONE, spoilt)
    assert _VERIFIER.redeem(PHONE, proof).proof == proof


@pytest.mark.parametrize("seconds", [1, 90, 600, 3600])
def test_lives_as_long_as_the_policy_says(
    make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory, seconds: int
) -> None:
    policy = Policy(proof_ttl_seconds=seconds, resend_cooldown_seconds=0)
    verifier = make(policy=policy)
    early, late = prove(verifier, outbox), prove(verifier, outbox)
    clock.tick(seconds - 0.001)
    assert verifier.redeem(PHONE, early.proof, purpose="password-reset") == early
    clock.tick(0.001)
    with pytest.raises(ChallengeExpired):
        verifier.redeem(PHONE, late.proof, purpose="password-reset")


@pytest.mark.parametrize("seconds", [0, -1, 3601, 1.5, "600", None, True])
def test_a_lifetime_that_is_none(seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match="proof_ttl_seconds"):
        Policy(proof_ttl_seconds=seconds)


def test_cancelling_the_challenge_voids_it(verifier: Face, outbox: OutboxSender) -> None:
    verified = prove(verifier, outbox)
    verifier.cancel(PHONE, challenge=verified.challenge, purpose="password-reset")
    with pytest.raises(ChallengeExpired):
        verifier.redeem(PHONE, verified.proof, purpose="password-reset")


def test_a_new_challenge_leaves_it_alone(make: Make, outbox: OutboxSender) -> None:
    verifier = make(policy=Policy(resend_cooldown_seconds=0))
    verified = prove(verifier, outbox)
    prove(verifier, outbox)
    assert verifier.redeem(PHONE, verified.proof, purpose="password-reset") == verified


def test_outlives_a_rotation_of_secrets_and_no_more(make: Make, outbox: OutboxSender) -> None:
    store = MemoryStore()
    before = make(store=store)
    rotated = make(store=store, secret=[OTHER_SECRET, SECRET])
    verified = prove(before, outbox)
    with pytest.raises(ChallengeExpired):
        make(store=store, secret=OTHER_SECRET).redeem(
            PHONE, verified.proof, purpose="password-reset"
        )
    assert rotated.redeem(PHONE, verified.proof, purpose="password-reset") == verified


def test_at_once_one_is_redeemed(mode: Mode, verifier: Face, outbox: OutboxSender) -> None:
    verified = prove(verifier, outbox)
    call = partial(verifier.redeem, PHONE, verified.proof, purpose="password-reset")
    answers = mode.together([call] * 25)
    assert [answer for answer in answers if isinstance(answer, Verified)] == [verified]
    assert sum(isinstance(answer, ChallengeExpired) for answer in answers) == 24


def test_it_is_told_and_never_shown(
    make: Make, outbox: OutboxSender, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    events: list[Event] = []
    verifier = make(on_event=events.append)
    verified = prove(verifier, outbox)
    assert verified.proof not in repr(verified)
    assert len(verified.proof) == 56
    assert PHONE[1:] not in verified.proof
    assert pickle.loads(pickle.dumps(verified)) == verified
    redeem = partial(verifier.redeem, PHONE, verified.proof, purpose="password-reset")
    redeem()
    with pytest.raises(ChallengeExpired) as caught:
        redeem()
    assert [(one.operation, one.outcome) for one in events[2:]] == [
        ("redeem", "redeemed"),
        ("redeem", "ChallengeExpired"),
    ]
    said = f"{events} {caught.value!r} {caplog.text}"
    assert verified.proof[24:] not in said
    assert PHONE not in said


class Failing(MemoryStore):
    """Its `redeem` answers as the test says."""

    answer: Any

    def redeem(self, key: Key) -> bool:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]  # nonsense, on purpose


@pytest.mark.parametrize("answer", [OSError("refused"), StoreError("down"), None, 1, b"1", "yes"])
def test_a_store_that_fails_or_lies_lets_nobody_on(
    make: Make, outbox: OutboxSender, answer: Any
) -> None:
    store = Failing()
    store.answer = answer
    verifier = make(store=store)
    verified = prove(verifier, outbox)
    with pytest.raises(StoreError) as caught:
        verifier.redeem(PHONE, verified.proof, purpose="password-reset")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
