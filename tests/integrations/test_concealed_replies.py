"""No page and no JSON of any framework shows who has an account: known and unknown numbers, byte
for byte, through the same two hours, for every failure of a sender."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import product
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from support import LONG, wrong
from web_sites import KNOWN, SITES, SLOW, STRANGER, Site, comparable, fastapi_app, without_tokens

from otpverify import (
    DeliveryRejected,
    DeliveryUnavailable,
    IncorrectCode,
    MemoryStore,
    Message,
    RateLimited,
    Receipt,
    Verifier,
)
from otpverify.integrations.web.background import BackgroundSender
from otpverify.testing import OutboxSender, code_in


class Gateway:
    """A sender that remembers what it was given, and then answers in one way."""

    takes_reports = True

    def __init__(self, answer: Callable[[Message], Any]) -> None:
        self.answer = answer
        self.messages: list[Message] = []

    def send(self, message: Message) -> Any:
        self.messages.append(message)
        return self.answer(message)


def raising(error: Exception) -> Callable[[Message], Any]:
    def fail(_message: Message) -> Any:
        raise error

    return fail


class Stuck:
    """Occupies a background sender's only thread."""

    def send(self, message: Message) -> Receipt:
        raise NotImplementedError


def full(message: Message) -> Receipt:
    queue = BackgroundSender(Stuck(), threads=1, waiting=0)
    queue._pools.get().room.acquire()
    return queue.send(message)


ANSWERS: dict[str, Callable[[Message], Any]] = {
    "taken": lambda _message: Receipt("an id"),
    "rejected": raising(DeliveryRejected("no", provider_code="no_balance")),
    "invalid number": raising(DeliveryRejected("no", provider_code="invalid_phone_number")),
    "certainly not sent": raising(DeliveryUnavailable("away", maybe_sent=False)),
    "maybe sent": raising(DeliveryUnavailable("time-out", maybe_sent=True)),
    "fails": raising(ZeroDivisionError()),
    "nonsense": lambda _message: "a receipt",
    "full queue": full,
}


class Walk:
    """What a stranger sees who tries a number for two hours, while its owner lives on."""

    def __init__(self, site: Site, phone: str, gateway: Gateway) -> None:
        self.site, self.phone, self.gateway = site, phone, gateway
        self.seen: list[str] = []
        self.owner = OutboxSender()

    def note(self, *replies: Any) -> None:
        self.seen += [without_tokens(comparable(self.site, one, self.phone)) for one in replies]

    def send(self, step: str, **fields: str) -> None:
        self.note(*self.site.send(step, **fields), self.site.status())

    def wrong_code(self) -> str:
        sent = {code_in(message.text) for message in self.gateway.messages}
        return "000000" if "000000" not in sent else "000001"

    def report(self) -> None:
        """The gateway reports the newest message; for a stranger's number it has none."""
        sent = self.gateway.messages
        token = sent[-1].report if sent else "made-up"
        params = {"report_token": str(token), "status": "undelivered", "toNumber": self.phone[1:]}
        self.note(self.site.ask("GET", self.site.report, params=params), self.site.status())

    def owner_signs_in(self) -> None:
        """The owner of a known number gets a code for another purpose."""
        if self.phone == KNOWN:
            verifier = Verifier(self.owner, **self.site.parts)
            about: dict[str, Any] = {"purpose": "login"}
            try:
                challenge = verifier.start(self.phone, client_ip="192.0.2.99", **about)
            except RateLimited:  # ten a day
                return
            code, about["challenge"] = self.owner.code(), challenge.id
            with suppress(IncorrectCode):
                verifier.check(self.phone, wrong(code), **about)
            verifier.check(self.phone, code, **about)

    def take(self, clock: FrozenDateTimeFactory, rounds: int) -> list[str]:
        for _ in range(rounds):
            self.send("start", phone=self.phone)
            self.send("code", code="letters")
            self.send("code", code="0")
            self.send("code", code=self.wrong_code())
            self.send("resend")
            self.report()
            self.owner_signs_in()
            clock.tick(61)
            self.send("resend")
            self.send("code", code=self.wrong_code())
            self.report()
            clock.tick(61)
            self.send("start", phone=self.phone)
            self.owner_signs_in()
            self.send("cancel")
            self.send("code", code=self.wrong_code())
            self.send("start", phone=self.phone)
            clock.tick(7200 / rounds - 122)
        return self.seen


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    fastapi_app()  # before the clock stands


def cases() -> Iterator[Any]:
    """Every site with every answer; in the short form with one of them, so that all sites together
    have all of them."""
    names = list(ANSWERS)
    quick = [kind for kind in SITES if kind not in SLOW]
    few = [(kind, names[nth % len(names)]) for nth, kind in enumerate(quick)]
    for kind, answer in product(SITES, ANSWERS) if LONG else few:
        yield pytest.param(kind, answer, id=f"{kind.name}-{answer}")


@pytest.mark.parametrize(("kind", "answer"), list(cases()))
def test_no_reply_shows_who_has_an_account(
    kind: type[Site], answer: str, clock: FrozenDateTimeFactory
) -> None:
    began = clock.time_to_freeze
    walks = []
    rounds = (6 if answer == "taken" else 3) if LONG else 2
    for phone in (STRANGER, KNOWN):
        clock.move_to(began)
        gateway = Gateway(ANSWERS[answer])
        with kind(gateway, MemoryStore()) as site:
            walks.append(Walk(site, phone, gateway).take(clock, rounds))
        assert (len(gateway.messages) > 4) == (phone == KNOWN)
    assert walks[0] == walks[1]
    assert len(walks[0]) > 20 * rounds
    assert not any(text.startswith("5") for text in walks[0])
