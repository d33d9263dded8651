"""Promise 10: a known and an unknown number see the same, also when the message fails; and
promise 11: what is refused costs no hash. On memory, SQLite and a real server, sync and async."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import astuple, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import pytest
from freezegun.api import FrozenDateTimeFactory
from redis_support import open_store, stop_servers
from support import LONG, OTHER_PHONE, PHONE, SECRET, Face, long_form, wrong

from otpverify import (
    Challenge,
    ChallengeExpired,
    ConfigurationError,
    CooldownActive,
    DeliveryRejected,
    DeliveryStatus,
    DeliveryUnavailable,
    DestinationBlocked,
    Event,
    FraudPolicy,
    IncorrectCode,
    Limit,
    Message,
    OtpVerifyError,
    Policy,
    RateLimited,
    Receipt,
    StoreError,
    Verifier,
)
from otpverify.testing import code_in

__all__ = ["stop_servers"]

Make = Callable[..., Face]
FREE = Policy(resend_cooldown_seconds=0, sends_per_ip=(), sends_per_phone=())
IP = "192.0.2.7"


class CountingHasher:
    """Costly as Argon2 is, and counts.

    Args:
        seconds: How long a digest takes.
        while_hashing: Called by each digest.
    """

    costly: ClassVar[bool] = True
    needs_secret: ClassVar[bool] = False

    def __init__(
        self, seconds: float = 0, while_hashing: Callable[[], object] = lambda: None
    ) -> None:
        self.seconds = seconds
        self.while_hashing = while_hashing
        self._hashed: list[bytes] = []

    @property
    def calls(self) -> int:
        return len(self._hashed)

    def digest(self, secret: bytes, message: bytes, salt: bytes) -> bytes:
        self._hashed.append(message)  # atomic, unlike a counter
        time.sleep(self.seconds)
        self.while_hashing()
        return hashlib.sha256(secret + message + salt).digest()


class Gateway:
    """A sender that fails in one way, or not at all, and remembers what it was given."""

    takes_reports = True

    def __init__(self, fail: Callable[[Message], Any] = lambda _message: Receipt("an id")) -> None:
        self.fail = fail
        self.messages: list[Message] = []

    def send(self, message: Message) -> Any:
        self.messages.append(message)
        return self.fail(message)


def raising(error: Exception) -> Callable[[Message], Any]:
    def fail(_message: Message) -> Any:
        raise error

    return fail


FAILURES: dict[str, Callable[[Message], Any]] = {
    "taken": lambda _message: Receipt("an id"),
    "rejected": raising(DeliveryRejected("no", provider_code="no_balance")),
    "certainly not sent": raising(DeliveryUnavailable("away", maybe_sent=False)),
    "maybe sent": raising(DeliveryUnavailable("time-out", maybe_sent=True)),
    "fails": raising(ZeroDivisionError()),
    "nonsense": lambda _message: "a receipt",
}


STORES = ("memory", pytest.param("sqlite", marks=long_form), "redis")  # SQLite's rules are memory's
pytestmark = pytest.mark.sync_in_short_form


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    with open_store(request.param, tmp_path) as found:
        yield found


def seen(call: Callable[[], object], phone: str) -> object:
    """All that a caller can see of a call, without the number and random parts."""
    try:
        result = call()
    except OtpVerifyError as error:
        facts = {name: value for name, value in vars(error).items() if name != "challenge"}
        return type(error), str(error).replace(phone, "phone"), facts
    if isinstance(result, Challenge):
        assert result.phone == phone
        assert result.message_id is not None
        assert len(result.message_id) == 32
        return astuple(replace(result, id="", phone="", message_id=""))
    return result


def two_hours(
    verifier: Face, gateway: Gateway, clock: FrozenDateTimeFactory, phone: str, *, known: bool
) -> list[object]:
    """What a stranger sees who asks for resets of a number, while its owner lives on."""
    found: list[object] = []
    challenge = ""

    def ask(call: Callable[[], object]) -> None:
        found.append(seen(call, phone))

    def start() -> object:
        nonlocal challenge
        result = verifier.start(phone, purpose="reset", client_ip=IP, deliver=known)
        challenge = result.id
        return result

    for step in range(40):
        if known and step % 4 == 1:  # other purposes of the owner, who gets messages
            working, gateway.fail = gateway.fail, FAILURES["taken"]
            with_code = len(gateway.messages)
            try:
                ordinary = verifier.start(phone, purpose=f"login {step}")
            except (RateLimited, DestinationBlocked):
                pass
            else:
                code = code_in(gateway.messages[with_code].text)
                verifier.check(phone, code, challenge=ordinary.id, purpose=f"login {step}")
            gateway.fail = working
        if step % 3 == 0 or not challenge:
            ask(start)
        else:
            ask(lambda: verifier.resend(phone, challenge=challenge, purpose="reset", client_ip=IP))
        if known and gateway.messages:  # the carrier reports a failure
            message = gateway.messages[-1]
            report = {"id": "an id", "status": "failed", "report_token": message.report}
            verifier.delivery_report(report)
        for call in (
            lambda: verifier.status(phone, challenge=challenge, purpose="reset"),
            lambda: verifier.check(phone, "000000", challenge=challenge, purpose="reset"),
            lambda: verifier.status(phone, challenge=challenge, purpose="reset"),
        ):
            ask(call)
        if step % 7 == 6:
            ask(lambda: verifier.cancel(phone, challenge=challenge, purpose="reset"))
        clock.tick(timedelta(minutes=3))
    return found


# What a failure gives back, every store does alike: in the short form one has them all.
EVERYWHERE = ("taken", "rejected")
LIVES = [
    (store, failure)
    for store in STORES
    for failure in FAILURES
    if LONG or store == STORES[0] or failure in EVERYWHERE
]


@pytest.mark.parametrize(("store", "failure"), LIVES, indirect=["store"])
def test_a_known_and_an_unknown_number_see_the_same(
    make: Make, store: Any, clock: FrozenDateTimeFactory, failure: str
) -> None:
    policy = Policy(sends_per_ip=(Limit(12, 3600),))
    begin, found = clock(), []
    for phone, known in ((PHONE, True), (OTHER_PHONE, False)):
        clock.move_to(begin)
        gateway = Gateway(FAILURES[failure])
        # Each number has a secret of its own: the address's count starts empty for both.
        verifier = make(gateway, store=store, policy=policy, secret=SECRET + phone)
        found.append(two_hours(verifier, gateway, clock, phone, known=known))
        begin += timedelta(days=3)
    known_saw, unknown_saw = found
    for number, (one, other) in enumerate(zip(known_saw, unknown_saw, strict=True)):
        assert without_instants(one) == without_instants(other), (failure, number)
    kinds = {one[0] for one in known_saw if isinstance(one, tuple) and one}
    assert {RateLimited, IncorrectCode} <= kinds, "limits were met"


@pytest.mark.parametrize(
    ("store", "failure"),
    [
        (store, failure)
        for store in STORES
        for failure in ("taken", "rejected", "maybe sent")
        if LONG or store == STORES[0] or failure == "taken"
    ],
    indirect=["store"],
)
@pytest.mark.parametrize("over", ["refuse", "human_check"])
def test_a_fraud_policy_shows_nothing_either(
    make: Make, store: Any, clock: FrozenDateTimeFactory, failure: str, over: str
) -> None:
    """The accounts of the number's prefix are exhausted. The owner's number is a known one."""
    policy = Policy(sends_per_ip=(Limit(12, 3600),))
    fraud = FraudPolicy(mode="enforce", over=over)
    begin, found, refused = clock(), [], []
    for phone, known in ((PHONE, True), (OTHER_PHONE, False)):
        clock.move_to(begin)
        events: list[Event] = []
        gateway = Gateway()
        verifier = make(
            gateway,
            store=store,
            policy=policy,
            secret=SECRET + phone,
            fraud=fraud,
            on_event=events.append,
        )
        if known:
            challenge = verifier.start(phone, purpose="phone")
            code = code_in(gateway.messages[-1].text)
            verifier.check(phone, code, challenge=challenge.id, purpose="phone")
        for number in range(40):
            with suppress(DestinationBlocked):
                verifier.start(f"+3725678{number:04}", purpose="phone")
        gateway.fail = FAILURES[failure]
        before = len(events)
        found.append(two_hours(verifier, gateway, clock, phone, known=known))
        asked = [event for event in events[before:] if event.purpose == "reset"]
        refused.append({event.reason for event in asked if event.reason})
        if known:
            again = [event.outcome for event in events[before:] if event.purpose != "reset"]
            assert "sent" in again, "the owner can log in"
        begin += timedelta(days=3)
    for number, (one, other) in enumerate(zip(*found, strict=True)):
        assert without_instants(one) == without_instants(other), (failure, number)
    assert refused == [{"prefix"}, {"prefix"}]


def without_instants(one: Any) -> object:
    """Instants as minutes and seconds of their hour: the two lives are three days apart."""
    if isinstance(one, tuple):
        return tuple(without_instants(part) for part in one)
    return (one.minute, one.second) if hasattr(one, "minute") else one


def test_ordinary_sends_of_the_same_purpose_in_between_show_nothing(
    make: Make, store: Any, clock: FrozenDateTimeFactory
) -> None:
    """OWASP ASVS 5.0, 6.3.8: the number's owner uses it all the time, also for this purpose; or
    nobody does, and there is no account."""
    policy = Policy(sends_per_ip=(Limit(12, 3600),))
    begin, lives, ordinary = clock(), [], 0
    for phone, busy in ((PHONE, True), (OTHER_PHONE, False)):
        clock.move_to(begin)
        gateway = Gateway()
        verifier = make(gateway, store=store, policy=policy, secret=SECRET + phone)
        found: list[object] = []
        challenge = ""
        for step in range(36):
            if busy:
                for purpose in ("reset", "login"):
                    before = len(gateway.messages)
                    with suppress(RateLimited):
                        own = verifier.start(phone, purpose=purpose, client_ip="198.51.100.7")
                        ordinary += 1
                        code = code_in(gateway.messages[before].text)
                        if step % 2:  # the owner mistypes at times, and gives up at times
                            with suppress(IncorrectCode):
                                verifier.check(phone, code, challenge=own.id, purpose=purpose)
                        else:
                            verifier.cancel(phone, challenge=own.id, purpose=purpose)

            def start(phone: str = phone, busy: bool = busy, verifier: Face = verifier) -> object:
                nonlocal challenge
                result = verifier.start(phone, purpose="reset", client_ip=IP, deliver=busy)
                challenge = result.id
                return result

            found.append(seen(start, phone))
            for call in (
                partial(verifier.status, phone, challenge=challenge, purpose="reset"),
                partial(verifier.check, phone, "000000", challenge=challenge, purpose="reset"),
                partial(verifier.resend, phone, challenge=challenge, purpose="reset", client_ip=IP),
            ):
                found.append(seen(call, phone))
            clock.tick(timedelta(minutes=4))
        lives.append(found)
        begin += timedelta(days=3)
    assert ordinary == 10, "as many as an owner can have sent"
    for number, (one, other) in enumerate(zip(*lives, strict=True)):
        assert without_instants(one) == without_instants(other), number


@pytest.mark.parametrize("failure", list(FAILURES)[1:])
@pytest.mark.parametrize("again", [False, True], ids=["start", "resend"])
def test_the_operator_learns_of_a_failure(
    make: Make, caplog: pytest.LogCaptureFixture, failure: str, again: bool
) -> None:
    events: list[Event] = []
    gateway = Gateway(FAILURES["taken" if again else failure])
    verifier = make(gateway, policy=FREE, on_event=events.append)
    with caplog.at_level(logging.WARNING, "otpverify"):
        challenge = verifier.start(PHONE, deliver=True)
        if again:
            gateway.fail = FAILURES[failure]
            verifier.resend(PHONE, challenge=challenge.id)
    event = events[-1]
    assert event.outcome in ("DeliveryRejected", "DeliveryUnavailable")
    assert event.provider_code == ("no_balance" if failure == "rejected" else None)
    assert "not delivered" in caplog.text
    assert PHONE not in caplog.text
    assert code_in(gateway.messages[-1].text) not in caplog.text


def test_a_concealed_code_is_accepted_and_a_decoy_has_none(make: Make) -> None:
    gateway = Gateway()
    verifier = make(gateway)
    known = verifier.start(PHONE, deliver=True)
    unknown = verifier.start(OTHER_PHONE, deliver=False)
    assert [message.to for message in gateway.messages] == [PHONE]
    code = code_in(gateway.messages[0].text)
    with pytest.raises(IncorrectCode):
        verifier.check(OTHER_PHONE, code, challenge=unknown.id)
    assert verifier.check(PHONE, code, challenge=known.id).phone == PHONE


def test_a_code_that_arrives_after_a_failure_works(make: Make) -> None:
    gateway = Gateway(FAILURES["certainly not sent"])
    verifier = make(gateway)
    challenge = verifier.start(PHONE, deliver=True)
    code = code_in(gateway.messages[0].text)
    assert verifier.check(PHONE, code, challenge=challenge.id).phone == PHONE


def test_strangers_resets_use_up_nothing_of_the_owner_s(make: Make) -> None:
    policy = Policy(resend_cooldown_seconds=0)
    verifier = make(Gateway(), policy=policy)
    for _ in range(5):
        verifier.start(PHONE, purpose="reset", deliver=False)
    with pytest.raises(RateLimited):
        verifier.start(PHONE, purpose="reset", deliver=True)
    assert verifier.start(PHONE, purpose="login").sends_left == 4


def test_a_report_of_a_concealed_message_is_reported_to_the_operator_alone(make: Make) -> None:
    gateway = Gateway()
    verifier = make(gateway)
    challenge = verifier.start(PHONE, deliver=True)
    params = {"id": "an id", "status": "failed", "report_token": gateway.messages[0].report}
    first, second = (verifier.delivery_report(params) for _ in range(2))
    assert (first.status, first.changed, first.given_back) == (DeliveryStatus.FAILED, True, False)
    assert (second.known, second.changed) == (True, False)
    assert verifier.status(PHONE, challenge=challenge.id) is DeliveryStatus.QUEUED
    with pytest.raises(CooldownActive):
        verifier.resend(PHONE, challenge=challenge.id)


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("known", [True, False], ids=["known", "decoy"])
def test_an_address_runs_out_of_sends_alike(make: Make, failure: str, known: bool) -> None:
    policy = Policy(resend_cooldown_seconds=0, sends_per_ip=(Limit(3, 3600),))
    verifier = make(Gateway(FAILURES[failure]), policy=policy)
    for _ in range(3):
        verifier.start(PHONE, client_ip=IP, deliver=known)
    with pytest.raises(RateLimited) as raised:
        verifier.start(PHONE, client_ip=IP, deliver=known)
    assert raised.value.limit == Limit(3, 3600)


def test_a_code_that_was_used_shows_nothing_to_strangers(
    make: Make, store: Any, clock: FrozenDateTimeFactory
) -> None:
    """A stranger asks again and again, while the owner of a known number uses two codes. A cooldown
    that ended early would show that there is an account."""
    gateway, found = Gateway(), {}
    verifier = make(sender=gateway, store=store)

    def ask(phone: str, *, known: bool) -> object:
        answer = seen(lambda: verifier.start(phone, purpose="reset", deliver=known), phone)
        return "admitted" if isinstance(answer, tuple) and answer[0] != CooldownActive else answer

    for phone, known in ((PHONE, True), (OTHER_PHONE, False)):
        owners = verifier.start(phone, purpose="reset", deliver=known)
        answers = [ask(phone, known=known)]
        clock.tick(20)
        if known:
            code = code_in(gateway.messages[-1].text)
            verifier.check(phone, code, challenge=owners.id, purpose="reset")
        answers.append(ask(phone, known=known))
        if known:
            ordinary = verifier.start(phone, purpose="reset")
            code = code_in(gateway.messages[-1].text)
            verifier.check(phone, code, challenge=ordinary.id, purpose="reset")
        for seconds in (0, 39.999, 0.001):
            clock.tick(seconds)
            answers.append(ask(phone, known=known))
        found[known] = answers
    assert found[True] == found[False]
    assert [answer == "admitted" for answer in found[True]] == [False] * 4 + [True]


class TestRefusedIsCheap:
    """Promise 11."""

    def test_starts_in_the_cooldown(self, make: Make, store: Any) -> None:
        hasher = CountingHasher()
        verifier = make(Gateway(), store=store, hasher=hasher)
        challenge = verifier.start(PHONE)
        for _ in range(200):
            with pytest.raises(CooldownActive):
                verifier.start(PHONE)
            with pytest.raises(CooldownActive):
                verifier.resend(PHONE, challenge=challenge.id)
        assert hasher.calls == 1

    @pytest.mark.parametrize("deliver", [None, True, False], ids=["ordinary", "known", "decoy"])
    def test_starts_at_the_same_moment(
        self, make: Make, mode: Any, store: Any, deliver: bool | None
    ) -> None:
        hasher, gateway = CountingHasher(seconds=0.002), Gateway()
        verifier = make(gateway, store=store, hasher=hasher)
        answers = mode.together([partial(verifier.start, PHONE, deliver=deliver)] * 200)
        assert sum(isinstance(answer, Challenge) for answer in answers) == 1
        assert sum(isinstance(answer, CooldownActive) for answer in answers) == 199
        assert hasher.calls == 1
        assert len(gateway.messages) == (deliver is not False)

    def test_resends_at_the_same_moment(self, make: Make, mode: Any, store: Any) -> None:
        hasher, gateway = CountingHasher(seconds=0.002), Gateway()
        policy = Policy(resend_cooldown_seconds=0, sends_per_phone=(Limit(2, 3600),))
        verifier = make(gateway, store=store, hasher=hasher, policy=policy)
        challenge = verifier.start(PHONE)
        call = partial(verifier.resend, PHONE, challenge=challenge.id)
        answers = mode.together([call] * 200)
        assert sum(isinstance(answer, Challenge) for answer in answers) == 1
        assert sum(isinstance(answer, RateLimited) for answer in answers) == 199
        assert hasher.calls == 2
        assert len(gateway.messages) == 2
        code = code_in(gateway.messages[-1].text)
        assert verifier.check(PHONE, code, challenge=challenge.id).phone == PHONE

    def test_starts_over_a_limit(self, make: Make, store: Any) -> None:
        hasher = CountingHasher()
        policy = Policy(resend_cooldown_seconds=0, sends_per_ip=(Limit(7, 3600),))
        verifier = make(Gateway(), store=store, hasher=hasher, policy=policy)
        for phone in (PHONE, OTHER_PHONE):
            for _ in range(20):
                with suppress(RateLimited):
                    verifier.start(phone, client_ip=IP)
        assert hasher.calls == 7

    def test_resends_of_what_is_gone_or_exhausted(self, make: Make, store: Any) -> None:
        hasher = CountingHasher()
        gateway = Gateway()
        verifier = make(gateway, store=store, hasher=hasher, policy=FREE)
        challenge = verifier.start(PHONE)
        code = code_in(gateway.messages[-1].text)
        for _ in range(5):
            with pytest.raises(IncorrectCode):
                verifier.check(PHONE, wrong(code), challenge=challenge.id)
        before = hasher.calls
        for call in (verifier.resend, lambda *a, **k: verifier.check(a[0], code, **k)):
            with pytest.raises(OtpVerifyError):
                call(PHONE, challenge=challenge.id)
        verifier.cancel(PHONE, challenge=challenge.id)
        for call in (verifier.resend, lambda *a, **k: verifier.check(a[0], code, **k)):
            with pytest.raises(ChallengeExpired):
                call(PHONE, challenge=challenge.id)
        assert hasher.calls == before

    @pytest.mark.parametrize("known", [True, False], ids=["known", "decoy"])
    def test_many_wrong_codes_at_once(self, make: Make, mode: Any, store: Any, known: bool) -> None:
        hasher = CountingHasher()
        gateway = Gateway()
        verifier = make(gateway, store=store, hasher=hasher)
        challenge = verifier.start(PHONE, deliver=known)
        code = code_in(gateway.messages[0].text) if known else "123456"
        calls = [
            partial(verifier.check, PHONE, wrong(code, nth + 1), challenge=challenge.id)
            for nth in range(200)
        ]
        answers = mode.together(calls)
        assert sum(isinstance(answer, IncorrectCode) for answer in answers) == 5
        assert hasher.calls == 1 + 5

    def test_a_right_code_beside_wrong_ones_below_the_limit(
        self, make: Make, mode: Any, store: Any
    ) -> None:
        for _ in range(7):
            gateway = Gateway()
            verifier = make(gateway, store=store, hasher=CountingHasher(), policy=FREE)
            challenge = verifier.start(PHONE)
            code = code_in(gateway.messages[-1].text)
            typed = [*(wrong(code, nth + 1) for nth in range(4)), code]
            calls = [partial(verifier.check, PHONE, one, challenge=challenge.id) for one in typed]
            *others, right = mode.together(calls)
            assert getattr(right, "phone", None) == PHONE
            assert all(isinstance(one, IncorrectCode | ChallengeExpired) for one in others)


class TestWhileACodeIsHashed:
    """The send is reserved, and its code is not in place yet."""

    POLICY = Policy(
        resend_cooldown_seconds=0,
        sends_per_phone=(Limit(3, 3600),),
        sends_per_ip=(Limit(3, 3600),),
    )

    def site(self, make: Make, store: Any) -> tuple[Face, CountingHasher, Gateway, Verifier]:
        """A verifier, its hasher and gateway; and a verifier of another process."""
        hasher, gateway = CountingHasher(), Gateway()
        other = Verifier(
            Gateway(), store=store, secret=SECRET, hasher=CountingHasher(), policy=self.POLICY
        )
        verifier = make(gateway, store=store, hasher=hasher, policy=self.POLICY)
        return verifier, hasher, gateway, other

    def expect_sends(self, verifier: Face, used: int, *, concealed: bool = False) -> None:
        """So many sends of the phone count, and as many of the address."""
        deliver = True if concealed else None
        challenge = verifier.start(PHONE, client_ip=IP, deliver=deliver)
        assert challenge.sends_left == 2 - used
        for _ in range(2 - used):
            verifier.start(OTHER_PHONE, client_ip=IP)
        with pytest.raises(RateLimited) as raised:
            verifier.start(OTHER_PHONE, client_ip=IP)
        assert raised.value.scope == "sends_per_ip"

    @pytest.mark.parametrize("concealed", [False, True])
    def test_a_cancel_ends_a_resend(self, make: Make, store: Any, concealed: bool) -> None:
        verifier, hasher, gateway, other = self.site(make, store)
        deliver = True if concealed else None
        challenge = verifier.start(PHONE, client_ip=IP, deliver=deliver)
        hasher.while_hashing = lambda: other.cancel(PHONE, challenge=challenge.id)
        with pytest.raises(ChallengeExpired):
            verifier.resend(PHONE, challenge=challenge.id, client_ip=IP)
        hasher.while_hashing = lambda: None
        assert len(gateway.messages) == 1
        with pytest.raises(ChallengeExpired):
            verifier.check(PHONE, code_in(gateway.messages[0].text), challenge=challenge.id)
        self.expect_sends(verifier, 1, concealed=concealed)

    def test_the_earlier_code_is_accepted_and_ends_a_resend(self, make: Make, store: Any) -> None:
        verifier, hasher, gateway, other = self.site(make, store)
        challenge = verifier.start(PHONE, client_ip=IP)
        code, accepted = code_in(gateway.messages[0].text), []

        def check() -> None:
            with suppress(ChallengeExpired):
                accepted.append(other.check(PHONE, code, challenge=challenge.id))

        hasher.while_hashing = check
        with pytest.raises(ChallengeExpired):
            verifier.resend(PHONE, challenge=challenge.id, client_ip=IP)
        hasher.while_hashing = lambda: None
        (verified,) = accepted
        assert len(gateway.messages) == 1
        assert other.redeem(PHONE, verified.proof).phone == PHONE
        self.expect_sends(verifier, 1)

    def test_a_wrong_code_is_wrong(self, make: Make, store: Any) -> None:
        verifier, hasher, gateway, other = self.site(make, store)
        challenge = verifier.start(PHONE, client_ip=IP)
        first, answers = code_in(gateway.messages[0].text), []

        def check() -> None:
            try:
                other.check(PHONE, wrong(first), challenge=challenge.id)
            except IncorrectCode as error:
                answers.append(error.attempts_left)

        hasher.while_hashing = check
        resent = verifier.resend(PHONE, challenge=challenge.id, client_ip=IP)
        hasher.while_hashing = lambda: None
        assert answers == [4]
        assert resent.attempts_left == 4
        code = code_in(gateway.messages[-1].text)
        assert verifier.check(PHONE, code, challenge=challenge.id).phone == PHONE

    @pytest.mark.parametrize("deliver", [None, True, False], ids=["ordinary", "known", "decoy"])
    def test_a_hasher_that_fails_gives_the_send_back(
        self, make: Make, store: Any, deliver: bool | None
    ) -> None:
        verifier, hasher, gateway, _ = self.site(make, store)

        def fail() -> None:
            raise MemoryError

        hasher.while_hashing = fail
        for _ in range(5):
            with pytest.raises(ConfigurationError, match="MemoryError"):
                verifier.start(PHONE, client_ip=IP, deliver=deliver)
        hasher.while_hashing = lambda: None
        assert gateway.messages == []
        assert verifier.inspect(PHONE).purposes == ()
        self.expect_sends(verifier, 0, concealed=deliver is not None)

    def test_a_store_that_fails_then_sends_nothing(self, make: Make, store: Any) -> None:
        challenge = self.site(make, store)[0].start(PHONE, client_ip=IP)
        verifier, hasher, gateway, _ = self.site(make, FailsToPlace(store))
        with pytest.raises(StoreError):
            verifier.resend(PHONE, challenge=challenge.id, client_ip=IP)
        assert hasher.calls == 1
        assert gateway.messages == []
        self.expect_sends(self.site(make, store)[0], 1)

    def test_a_process_that_ends_leaves_a_send_and_no_code(self, store: Any) -> None:
        hasher, gateway = CountingHasher(), Gateway()
        verifier = Verifier(gateway, store=store, secret=SECRET, hasher=hasher, policy=self.POLICY)
        challenge = verifier.start(PHONE, client_ip=IP)

        def end() -> None:
            raise SystemExit

        hasher.while_hashing = end
        for call in (verifier.resend, verifier.start):
            of: dict[str, Any] = {} if call == verifier.start else {"challenge": challenge.id}
            with pytest.raises(SystemExit):
                call(PHONE, client_ip=IP, **of)
        hasher.while_hashing = lambda: None
        assert len(gateway.messages) == 1
        with pytest.raises(RateLimited):
            verifier.start(PHONE)
        assert verifier.status(PHONE, challenge=challenge.id) is DeliveryStatus.QUEUED
        code = code_in(gateway.messages[0].text)
        with pytest.raises(IncorrectCode):
            verifier.check(PHONE, wrong(code), challenge=challenge.id)
        assert verifier.check(PHONE, code, challenge=challenge.id).phone == PHONE


class FailsToPlace:
    """A store whose `place` fails."""

    process_local = False

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def place(self, *_: Any) -> NoReturn:
        raise StoreError("The store does not answer.")
