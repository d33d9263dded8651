"""What `on_event` is given: one event for each operation, with all that monitoring asks for, and
neither a code nor a number."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from redis_support import Place, stop_servers
from support import OTHER_PHONE, OTHER_SECRET, PHONE, QUICK, SECRET, AsyncMode, Face, Mode, wrong

from otpverify import (
    AllowCountries,
    Challenge,
    DeliveryRejected,
    DeliveryUnavailable,
    Destination,
    Event,
    Limit,
    MemoryStore,
    Message,
    OtpVerifyError,
    Policy,
    Receipt,
    TestNumber,
)
from otpverify.core.keys import Keyring
from otpverify.testing import OutboxSender

pytestmark = pytest.mark.sync_in_short_form

__all__ = ["stop_servers"]

LONDON = "+442079460958"
FRENCH = "+33612345678"
FICTIONAL = "+15555550100"
REFERENCE = re.compile(r"[0-9a-f]{16}")


class Gateway(OutboxSender):
    """A sender with delivery reports. Each send takes two seconds."""

    takes_reports = True

    def __init__(self, clock: FrozenDateTimeFactory) -> None:
        super().__init__()
        self.clock = clock

    def send(self, message: Message) -> Receipt:
        self.clock.tick(2)
        return super().send(message)


class Talkative:
    """A guard whose reasons repeat the number that it was asked about."""

    def refuse(self, destination: Destination) -> str | None:
        return f"blocked {destination.phone}" if destination.country == "FR" else None


@dataclass
class World:
    """A verifier, and what happened so far."""

    face: Face
    gateway: Gateway
    clock: FrozenDateTimeFactory
    store: Any
    events: list[Event] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    def do(self, method: str, *args: Any, **options: Any) -> Any:
        """Call a method of the verifier; its result, or its error."""
        try:
            result = getattr(self.face, method)(*args, **options)
        except OtpVerifyError as error:
            return error
        if isinstance(result, Challenge):
            self.ids.append(result.id)
        return result

    def start(self, phone: str = PHONE, **options: Any) -> str:
        self.do("start", phone, **options)
        return self.ids[-1]

    def started(self, phone: str = PHONE, **options: Any) -> str:
        """A challenge whose cooldown is over."""
        challenge = self.start(phone, **options)
        self.clock.tick(61)
        return challenge

    def check(self, challenge: str, code: str | None = None, phone: str = PHONE) -> Any:
        return self.do("check", phone, code or self.gateway.code(), challenge=challenge)

    def report(self, status: str, **fields: str) -> None:
        token = self.gateway.last.report or ""
        self.do("delivery_report", {"report_token": token, "status": status, **fields})


@pytest.fixture(params=["memory", "valkey9"])
def store(request: pytest.FixtureRequest, mode: Mode, clock: object) -> Iterator[Any]:
    """A store at the test's own time."""
    if request.param == "memory":
        yield MemoryStore()
    else:
        place = Place(request.param)
        if isinstance(mode, AsyncMode):
            found = place.async_store(time.time)
            yield found
            mode.runner.run(found.aclose())
        else:
            yield place.store(time.time)
        place.tidy()


POLICY = Policy(
    sends_per_phone=(Limit(4, 3600),),
    sends_per_ip=(Limit(2, 3600),),
    undelivered_per_phone=(Limit(1, 3600),),
    max_attempts=2,
    test_numbers={FICTIONAL: TestNumber("424242", date(2026, 4, 1))},
)


@pytest.fixture
def world(mode: Mode, store: Any, clock: FrozenDateTimeFactory) -> World:
    gateway = Gateway(clock)
    events: list[Event] = []
    face = mode.make(
        gateway,
        store=store,
        policy=POLICY,
        secret=SECRET,
        hasher=QUICK,
        guards=[Talkative(), AllowCountries(["EE", "US"])],
        region="EE",
        on_event=events.append,
    )
    return World(face, gateway, clock, store, events)


def send_failing(world: World, error: Exception, **options: Any) -> None:
    world.gateway.fail_with = error  # type: ignore[assignment]  # any exception is possible
    world.do("start", PHONE, **options)


def redeem(world: World) -> None:
    challenge = world.start()
    proof = world.check(challenge).proof
    world.do("redeem", PHONE, proof)


def redeem_twice(world: World) -> None:
    redeem(world)
    challenge = world.ids[-1]
    assert challenge
    world.do("redeem", PHONE, "A" * 56)


def right_code_of_a_resend(world: World, nth: int) -> None:
    challenge = world.started()
    world.do("resend", PHONE, challenge=challenge)
    world.clock.tick(5)
    messages = world.gateway.messages
    world.check(challenge, re.findall(r"\d{6}", messages[nth].text)[0])


def exhaust(world: World) -> None:
    challenge = world.start()
    for nth in (1, 2, 3):
        world.check(challenge, wrong(world.gateway.code(), nth))


def report_after(world: World, *statuses: str, **fields: str) -> None:
    world.started()
    for status in statuses:
        world.report(status, **fields)


def report_limited(world: World) -> None:
    for _ in range(2):
        world.start()
        world.report("failed")


def limited_by_phone(world: World) -> None:
    for _ in range(5):
        world.clock.tick(61)
        world.do("start", PHONE)


def limited_by_network(world: World) -> None:
    for one in range(3):
        world.do("start", f"+3725678904{one}", client_ip="192.0.2.7")


def cooldown(world: World, **options: Any) -> None:
    world.start(**options)
    world.do("start", PHONE, **options)


SENT = {"operation": "start", "outcome": "sent", "segments": 1, "duration": 2.0}
TABLE: dict[str, tuple[Callable[[World], object], dict[str, Any]]] = {
    "start": (lambda w: w.start(), SENT),
    "start, concealed": (lambda w: w.start(deliver=True), {**SENT, "concealed": True}),
    "start, a long text": (
        lambda w: w.start(binding={"payee": "Жанна " * 12}),
        {**SENT, "segments": 3},
    ),
    "start, decoy": (
        lambda w: w.start(deliver=False),
        {"operation": "start", "outcome": "decoy", "concealed": True},
    ),
    "start, test number": (
        lambda w: w.start(FICTIONAL),
        {"operation": "start", "outcome": "test_number", "country": "US", "phone": "+15*******00"},
    ),
    "start, cooldown": (
        cooldown,
        {
            "operation": "start",
            "outcome": "CooldownActive",
            "scope": "resend_cooldown",
            "challenge": None,
        },
    ),
    "start, concealed cooldown": (
        lambda w: cooldown(w, deliver=False),
        {
            "operation": "start",
            "outcome": "CooldownActive",
            "scope": "resend_cooldown",
            "challenge": None,
            "concealed": True,
        },
    ),
    "start, limit": (
        limited_by_phone,
        {
            "operation": "start",
            "outcome": "RateLimited",
            "scope": "sends_per_phone",
            "challenge": None,
        },
    ),
    "start, network": (
        limited_by_network,
        {
            "operation": "start",
            "outcome": "RateLimited",
            "scope": "sends_per_ip",
            "challenge": None,
            "phone": "+37*******42",
        },
    ),
    "start, blocked": (
        lambda w: w.do("start", LONDON),
        {
            "operation": "start",
            "outcome": "DestinationBlocked",
            "reason": "country_not_allowed",
            "country": "GB",
            "challenge": None,
            "phone": "+44********58",
        },
    ),
    "start, blocked for a reason that shows the number": (
        lambda w: w.do("start", FRENCH),
        {
            "operation": "start",
            "outcome": "DestinationBlocked",
            "reason": "other",
            "country": "FR",
            "challenge": None,
            "phone": "+33*******78",
        },
    ),
    "start, no number": (
        lambda w: w.do("start", "5678904"),
        {
            "operation": "start",
            "outcome": "InvalidPhoneNumber",
            "country": None,
            "challenge": None,
            "phone": "***",
        },
    ),
    "start, rejected": (
        lambda w: send_failing(w, DeliveryRejected(provider_code="no_balance")),
        {
            "operation": "start",
            "outcome": "DeliveryRejected",
            "provider_code": "no_balance",
            "duration": 2.0,
        },
    ),
    "start, unreachable": (
        lambda w: send_failing(
            w, DeliveryUnavailable(provider_code="unreachable", maybe_sent=False)
        ),
        {
            "operation": "start",
            "outcome": "DeliveryUnavailable",
            "provider_code": "unreachable",
            "duration": 2.0,
        },
    ),
    "start, perhaps sent": (
        lambda w: send_failing(w, DeliveryUnavailable(provider_code="timeout")),
        {
            "operation": "start",
            "outcome": "DeliveryUnavailable",
            "provider_code": "timeout",
            "segments": 1,
            "duration": 2.0,
        },
    ),
    "start, concealed failure": (
        lambda w: send_failing(w, DeliveryRejected(provider_code="no_balance"), deliver=True),
        {
            "operation": "start",
            "outcome": "DeliveryRejected",
            "provider_code": "no_balance",
            "concealed": True,
            "duration": 2.0,
        },
    ),
    "resend": (
        lambda w: w.do("resend", PHONE, challenge=w.started()),
        {**SENT, "operation": "resend"},
    ),
    "resend, concealed": (
        lambda w: w.do("resend", PHONE, challenge=w.started(deliver=True)),
        {**SENT, "operation": "resend", "concealed": True},
    ),
    "resend, decoy": (
        lambda w: w.do("resend", PHONE, challenge=w.started(deliver=False)),
        {"operation": "resend", "outcome": "decoy", "concealed": True},
    ),
    "resend, cooldown": (
        lambda w: w.do("resend", PHONE, challenge=w.start()),
        {"operation": "resend", "outcome": "CooldownActive", "scope": "resend_cooldown"},
    ),
    "resend, unknown": (
        lambda w: w.do("resend", PHONE, challenge="no such"),
        {"operation": "resend", "outcome": "ChallengeExpired", "challenge": None},
    ),
    "check": (
        lambda w: w.check(w.started()),
        {"operation": "check", "outcome": "verified", "latency": 63.0},
    ),
    "check, the newest code": (
        lambda w: right_code_of_a_resend(w, 1),
        {"operation": "check", "outcome": "verified", "latency": 7.0},
    ),
    "check, an older code": (
        lambda w: right_code_of_a_resend(w, 0),
        {"operation": "check", "outcome": "verified", "latency": 70.0},
    ),
    "check, wrong": (
        lambda w: w.check(w.start(), wrong(w.gateway.code())),
        {"operation": "check", "outcome": "IncorrectCode"},
    ),
    "check, no code": (
        lambda w: w.check(w.start(), "12"),
        {"operation": "check", "outcome": "IncorrectCode"},
    ),
    "check, exhausted": (exhaust, {"operation": "check", "outcome": "AttemptsExhausted"}),
    "check, unknown": (
        lambda w: w.check("no such", "123456"),
        {"operation": "check", "outcome": "ChallengeExpired", "challenge": None},
    ),
    "check, a number of no country": (
        lambda w: w.do("check", "+999123456789", "123456", challenge=w.start()),
        {
            "operation": "check",
            "outcome": "ChallengeExpired",
            "country": None,
            "phone": "+99********89",
        },
    ),
    "redeem": (redeem, {"operation": "redeem", "outcome": "redeemed"}),
    "redeem, unknown": (
        redeem_twice,
        {"operation": "redeem", "outcome": "ChallengeExpired", "challenge": None},
    ),
    "cancel": (
        lambda w: w.do("cancel", PHONE, challenge=w.start()),
        {"operation": "cancel", "outcome": "cancelled"},
    ),
    "cancel, unknown": (
        lambda w: w.do("cancel", PHONE, challenge="no such"),
        {"operation": "cancel", "outcome": "cancelled", "challenge": None},
    ),
    "unlock": (
        lambda w: w.do("unlock", PHONE),
        {"operation": "unlock", "outcome": "unlocked", "purpose": "", "challenge": None},
    ),
    "report": (
        lambda w: report_after(w, "delivered", to=PHONE),
        {"operation": "report", "outcome": "delivered", "latency": 63.0},
    ),
    "report without a number": (
        lambda w: report_after(w, "delivered"),
        {
            "operation": "report",
            "outcome": "delivered",
            "latency": 63.0,
            "country": None,
            "phone": "***",
        },
    ),
    "report of another number": (
        lambda w: report_after(w, "delivered", to=OTHER_PHONE),
        {
            "operation": "report",
            "outcome": "delivered",
            "latency": 63.0,
            "country": None,
            "phone": "***",
        },
    ),
    "report of a failure": (
        lambda w: report_after(w, "failed", to=PHONE),
        {"operation": "report", "outcome": "failed", "latency": 63.0},
    ),
    "report, again": (
        lambda w: report_after(w, "delivered", "delivered", to=PHONE),
        {"operation": "report", "outcome": "duplicate"},
    ),
    "report, limited": (
        report_limited,
        {
            "operation": "report",
            "outcome": "limited",
            "scope": "undelivered_per_phone",
            "latency": 2.0,
            "country": None,
            "phone": "***",
        },
    ),
    "report, a word that is unknown": (
        lambda w: report_after(w, "lost", to=PHONE),
        {"operation": "report", "outcome": "unreadable", "provider_code": "lost"},
    ),
    "report of a stranger": (
        lambda w: w.do("delivery_report", {"report_token": "x" * 120, "status": "delivered"}),
        {
            "operation": "report",
            "outcome": "unknown",
            "purpose": "",
            "country": None,
            "phone": "***",
            "challenge": None,
        },
    ),
    "report, nothing": (
        lambda w: w.do("delivery_report", {}),
        {
            "operation": "report",
            "outcome": "unreadable",
            "purpose": "",
            "country": None,
            "phone": "***",
            "challenge": None,
        },
    ),
}
USUAL = {
    "purpose": "verify",
    "phone": "+37*******45",
    "scope": None,
    "provider_code": None,
    "country": "EE",
    "duration": 0.0,
    "segments": None,
    "mode": None,
    "would_refuse": None,
    "cost": None,
    "reason": None,
    "concealed": False,
    "latency": None,
}
ANY = object()


@pytest.mark.parametrize("name", TABLE)
def test_every_operation_and_outcome(world: World, name: str) -> None:
    act, expected = TABLE[name]
    act(world)
    told = asdict(world.events[-1])
    reference = told.pop("challenge")
    if expected.get("challenge", ANY) is ANY:
        assert REFERENCE.fullmatch(reference)
    else:
        assert reference is None
    assert told == {**USUAL, **{k: v for k, v in expected.items() if k != "challenge"}}
    show_no_secret(world)


def texts_of(event: Event) -> Iterator[str]:
    """All texts and numbers of an event but its times, and the name of the challenge."""
    for name, value in asdict(event).items():
        if name not in ("duration", "challenge", "latency"):
            yield str(value)


def show_no_secret(world: World) -> None:
    """No event shows a code, a number, a challenge's id, a token or an address."""
    assert world.events
    numbers = {PHONE, OTHER_PHONE, LONDON, FRENCH, FICTIONAL, "5678904", "192.0.2.7"}
    codes = {code for message in world.gateway.messages for code in [message.text[:6]]}
    codes |= {wrong(code, nth) for code in codes if code.isdecimal() for nth in (1, 2, 3)}
    tokens = {message.report for message in world.gateway.messages} - {None}
    for event in world.events:
        for text in texts_of(event):
            for secret in {*numbers, *codes, *tokens, *world.ids, "424242"}:
                assert str(secret).lstrip("+") not in text
            # Whatever it is that has so many digits in a row: it is not masked.
            assert not re.search(r"\d{4}", text)


def test_all_events_of_a_challenge_name_it_alike(world: World) -> None:
    first, second = world.started(), world.started(OTHER_PHONE)
    world.do("resend", PHONE, challenge=first)
    world.report("delivered", to=PHONE)
    world.check(first, "000000" if world.gateway.code() != "000000" else "000001")
    proof = world.check(first).proof
    world.do("redeem", PHONE, proof)
    world.do("cancel", PHONE, challenge=first)
    other = world.events.pop(1)
    assert second
    assert len(world.events) == 7
    assert {event.operation for event in world.events} == {
        *("start", "resend", "report", "check", "redeem", "cancel")
    }
    assert len({event.challenge for event in world.events}) == 1
    assert other.challenge not in {event.challenge for event in world.events}


def test_the_name_of_a_challenge_depends_on_the_secret_alone() -> None:
    """The store's own keys and the caller's id are of no use without it."""
    one, other = (Keyring([secret.encode()]).signing for secret in (SECRET, OTHER_SECRET))
    key = one.key(PHONE, "verify", "id")
    named = one.event_reference(key)
    assert named == one.event_reference(key)
    assert named != other.event_reference(key)
    assert named != one.event_reference(one.key(PHONE, "login", "id"))
    assert named not in key.challenge


def test_an_observer_of_the_first_six_fields_goes_on_working() -> None:
    event = Event("start", "sent", "login", "+37*******45", None, None)
    assert (event.country, event.duration, event.challenge) == (None, None, None)
    assert event == Event("start", "sent", "login", "+37*******45")


def test_nothing_is_computed_without_an_observer(
    mode: Mode, outbox: OutboxSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise AssertionError("this is for events alone")

    for name in ("engine.events.country_of", "engine.events.Event", "sms.gsm7.segments"):
        monkeypatch.setattr(f"otpverify.{name}", fail)
    monkeypatch.setattr("otpverify.core.keys.Secret.event_reference", fail)
    face = mode.make(outbox, secret=SECRET, hasher=QUICK)
    challenge = face.start(PHONE)
    assert face.check(PHONE, outbox.code(), challenge=challenge.id)


def test_time_passes_for_events_without_a_frozen_clock(mode: Mode, outbox: OutboxSender) -> None:
    events: list[Event] = []
    face = mode.make(outbox, secret=SECRET, hasher=QUICK, on_event=events.append)
    challenge = face.start(PHONE)
    face.check(PHONE, outbox.code(), challenge=challenge.id)
    assert all(event.duration and 0 < event.duration < 60 for event in events)
    assert events[1].latency is not None
    assert 0 <= events[1].latency < 60
    assert [one.challenge == other.challenge for one, other in pairwise(events)] == [True]
