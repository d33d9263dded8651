"""Promises 6 and 7: what must not leak, in any failure.

The client's own failure paths, over HTTP, are in `test_smspm_client.py`.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from support import OTHER_SECRET, PHONE, QUICK, SECRET, Face, wrong

from otpverify import (
    Argon2Hasher,
    DeliveryRejected,
    DeliveryUnavailable,
    Event,
    HmacHasher,
    Limit,
    MemoryStore,
    Message,
    OtpVerifyError,
    Policy,
    Receipt,
)
from otpverify.core.keys import Keyring, Subject
from otpverify.testing import OutboxSender

Make = Callable[..., Face]
NATIONAL = PHONE.removeprefix("+372")


class Leaky:
    """A sender that puts all it was given into its errors, and chains them."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.texts: list[str] = []

    def send(self, message: Message) -> Receipt:
        self.texts.append(message.text)
        if self.kind == "sends":
            return Receipt("id")
        try:
            raise OSError(f"POST /?to={message.to}&text={message.text}")
        except OSError as error:
            if self.kind == "raw":
                raise
            if self.kind == "talkative":
                raise DeliveryRejected(
                    f"bad number {message.to}: {message.text}", provider_code=message.to
                ) from error
            if self.kind == "rejected":
                raise DeliveryRejected(provider_code="http_400") from error
            raise DeliveryUnavailable  # noqa: B904 - chained by context, on purpose


class LeakyStore(MemoryStore):
    """A store that puts all it was given into its errors, once armed."""

    armed = False

    def check(self, *args: Any) -> Any:
        if self.armed:
            raise RuntimeError(f"EVALSHA {args}")
        return super().check(*args)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        yield from chain(error.__context__ if error.__cause__ is None else None)
        error = error.__cause__


def shown(errors: Iterable[BaseException]) -> Iterator[str]:
    for error in errors:
        for part in chain(error):
            yield str(part)
            yield repr(part)
            yield repr(part.args)
            yield repr(vars(part))
        yield "".join(line for line in traceback.format_exception_only(error))


@pytest.fixture
def everything(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(1)
    for name in ("asyncio", "otpverify", "argon2", "concurrent.futures"):
        caplog.set_level(1, logger=name)

    def texts() -> list[str]:
        formatter = logging.Formatter()
        return [formatter.format(record) + repr(record.args) for record in caplog.records]

    return texts


@pytest.mark.parametrize("kind", ["sends", "raw", "rejected", "unavailable", "talkative"])
def test_no_failure_shows_a_code_a_number_or_a_secret(
    make: Make, everything: Callable[[], list[str]], kind: str
) -> None:
    events: list[Event] = []
    errors: list[BaseException] = []
    results: list[object] = []
    sender = Leaky(kind)
    store = LeakyStore()
    policy = Policy(sends_per_phone=(Limit(2, 3600),), sends_per_ip=(Limit(4, 3600),))
    verifier = make(sender, store=store, policy=policy, on_event=events.append)

    def attempt(call: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        try:
            results.append(call(*args, **kwargs))
        except OtpVerifyError as error:
            errors.append(error)

    for ip in ("192.0.2.7", None):
        for _ in range(2):
            attempt(verifier.start, PHONE, client_ip=ip)
            attempt(verifier.start, f"0{NATIONAL}x", client_ip=ip)
    started: list[Any] = [
        found
        for found in [*results, *(getattr(error, "challenge", None) for error in errors)]
        if found is not None
    ]
    ids = [found.id for found in started]
    codes = [text[:6] for text in sender.texts]
    for id_ in ids:
        attempt(verifier.resend, PHONE, challenge=id_)
        for typed in ("12", *(wrong(code) for code in codes), *codes, *codes):
            attempt(verifier.check, PHONE, typed, challenge=id_)
        attempt(verifier.check, PHONE, "123456", challenge=id_, purpose="other")
        store.armed = True
        attempt(verifier.check, PHONE, codes[0], challenge=id_)
        store.armed = False
        attempt(verifier.cancel, PHONE, challenge=id_)
    assert len(errors) >= 6
    assert codes
    texts = [*everything(), *shown(errors), *map(repr, [*events, *results, *started])]
    texts += [repr(verifier.verifier), repr(store), repr(policy)]
    forbidden = [PHONE, PHONE[1:], NATIONAL, SECRET, *codes, *(wrong(code) for code in codes)]
    for text in texts:
        for secret in forbidden:
            assert secret not in text, text
        for id_ in ids:
            assert id_ not in text, text


def test_what_a_sender_is_given_shows_nothing() -> None:
    message = Message(PHONE, "123456 is your code", "reference")
    assert PHONE not in repr(message)
    assert "123456" not in repr(message)


def held(thing: object, seen: dict[int, object]) -> Iterator[bytes]:
    """Every value that a structure holds, attributes, slots, tables and all, as bytes."""
    if id(thing) in seen:
        return
    seen[id(thing)] = thing  # kept, so that its id is not given to another object
    parts: list[object] = []
    if isinstance(thing, bytes):
        yield thing
    elif isinstance(thing, str | int):
        yield str(thing).encode()
    elif isinstance(thing, dict):
        parts = [*thing.keys(), *thing.values()]
    elif isinstance(thing, list | tuple | set):
        parts = list(thing)
    elif type(thing).__module__.startswith(("otpverify", "cachetools")):
        slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
        parts = [getattr(thing, name, None) for name in slots]
        parts += getattr(thing, "__dict__", {}).values()
    for part in parts:
        yield from held(part, seen)


@pytest.mark.parametrize("hasher", [QUICK, HmacHasher()], ids=repr)
def test_a_dump_of_the_store_reveals_no_number_no_code_no_purpose(
    make: Make, outbox: OutboxSender, hasher: Any
) -> None:
    store = MemoryStore()
    verifier = make(store=store, hasher=hasher)
    challenges = [
        verifier.start(f"+372567890{n:02}", purpose="password-reset", client_ip="192.0.2.7")
        for n in range(8)
    ]
    for challenge, message in zip(challenges, outbox.messages, strict=True):
        with pytest.raises(OtpVerifyError):
            verifier.check(
                challenge.phone,
                wrong(message.text[:6]),
                challenge=challenge.id,
                purpose="password-reset",
            )
    dump = list(held(store, {}))
    assert len([part for part in dump if len(part) == 32]) >= 8, "the digests are in the dump"
    assert len([part for part in dump if len(part) == 22]) >= 8 * 3, "so are the tags"
    for challenge, message in zip(challenges, outbox.messages, strict=True):
        code = message.text[:6].encode()
        for part in dump:
            assert part != code
            assert challenge.phone[4:].encode() not in part
            assert challenge.id.encode() not in part
    assert not any(b"password" in part or b"192.0.2.7" in part for part in dump)


@pytest.mark.parametrize("hasher", [QUICK, HmacHasher()], ids=repr)
def test_a_dump_without_the_secret_confirms_no_guess(
    make: Make, outbox: OutboxSender, hasher: Argon2Hasher | HmacHasher
) -> None:
    """Even with the number, the purpose, the id and the right code at hand."""
    store = MemoryStore()
    challenge = make(store=store, hasher=hasher).start(PHONE)
    dump = set(held(store, {}))

    def digest(secret: bytes) -> bytes:
        found = Keyring([secret]).signing
        subject = Subject(found, PHONE, "verify", challenge.id)
        return hasher.digest(secret, subject.code_message(outbox.code()), subject.code_salt)

    assert digest(SECRET.encode()) in dump, "with the secret the guess is confirmed"
    for secret in (OTHER_SECRET.encode(), SECRET.encode()[:-1], SECRET.encode()[::-1]):
        assert digest(secret) not in dump
