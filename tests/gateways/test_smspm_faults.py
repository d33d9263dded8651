"""All that can go wrong on the way to a gateway and back, through a sync or async verifier:
the error, the reservation, and that nothing is revealed and everything ends."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest
import stamina
import trustme
from clients import Client
from faulty_gateways import Recorder, assert_secret, encrypted, recording, resetting, unused_url
from support import Face, Mode

from otpverify import (
    CooldownActive,
    DeliveryAttempt,
    DeliveryError,
    DeliveryRejected,
    DeliveryUnavailable,
    Retry,
)
from otpverify.sandbox import Sandbox
from otpverify.testing import OutboxSender

REJECTED, UNAVAILABLE = DeliveryRejected, DeliveryUnavailable
PLAIN = "+12025550123"
TOTAL_SECONDS = 60.0
PLAN = Retry(total_seconds=TOTAL_SECONDS)


@contextmanager
def untrusted() -> Iterator[str]:
    with encrypted(Recorder(), trustme.CA()) as url:
        yield url


@contextmanager
def plain_http() -> Iterator[str]:
    with recording() as gateway:
        yield gateway.url.replace("http:", "https:")


@contextmanager
def silent() -> Iterator[str]:
    """Takes connections and says nothing, not even of encryption."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"


@dataclass
class Case:
    """A fault, and what must come of it.

    Attributes:
        kind: The error's class.
        code: Its `provider_code`.
        attempts: How many there are.
        given_back: Whether the person can start again at once.
        where: Gives the gateway's address, for a fault that is not a number of the sandbox.
        options: The client's.
    """

    kind: type[DeliveryError]
    code: str
    attempts: int = 1
    given_back: bool = False
    where: Callable[[], AbstractContextManager[str]] | None = None
    options: dict[str, Any] = field(default_factory=dict)


# Short only for replies that never end: a busy machine must not cause a time-out elsewhere.
SOON = {"retry": Retry(total_seconds=1.0)}
CASES = {
    "refused connection": Case(
        UNAVAILABLE, "unreachable", 3, given_back=True, where=lambda: nullcontext(unused_url())
    ),
    "invalid certificate": Case(UNAVAILABLE, "tls_failed", given_back=True, where=untrusted),
    "no encryption": Case(UNAVAILABLE, "tls_failed", given_back=True, where=plain_http),
    "no handshake": Case(UNAVAILABLE, "unreachable", given_back=True, where=silent, options=SOON),
    "reset before the request was read": Case(UNAVAILABLE, "connection_lost", where=resetting),
    "71 reset after the request was read": Case(UNAVAILABLE, "connection_lost"),
    "70 closed after the request was read": Case(UNAVAILABLE, "connection_lost"),
    "08 no answer": Case(UNAVAILABLE, "timeout", options={"read_timeout_seconds": 0.1}),
    "09 slow headers": Case(UNAVAILABLE, "timeout", options=SOON),
    "10 slow body": Case(UNAVAILABLE, "timeout", options=SOON),
    "60 HTML": Case(UNAVAILABLE, "unreadable_reply"),
    "61 truncated JSON": Case(UNAVAILABLE, "unreadable_reply"),
    "62 no message": Case(UNAVAILABLE, "unreadable_reply"),
    "64 gigantic": Case(UNAVAILABLE, "unreadable_reply"),
    "65 redirect": Case(UNAVAILABLE, "unreadable_reply"),
    "40 invalid number": Case(REJECTED, "invalid_phone_number", given_back=True),
    "41 401": Case(REJECTED, "unauthorized", given_back=True),
    "42 402": Case(REJECTED, "no_balance", given_back=True),
    "27 429": Case(UNAVAILABLE, "rate_limited", 3, given_back=True),
    "28 429 and a date": Case(UNAVAILABLE, "rate_limited", 3, given_back=True),
    "29 429 and seconds": Case(UNAVAILABLE, "rate_limited", 3, given_back=True),
    "50 500": Case(UNAVAILABLE, "internal_error"),
    "02 502": Case(UNAVAILABLE, "http_502", 3),
    "03 503": Case(UNAVAILABLE, "http_503", 3, given_back=True),
    "04 504": Case(UNAVAILABLE, "http_504", 3),
}
WORKING = {"63 success without an id", "66 wrong content type", "13 the second time"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(stall_seconds=TOTAL_SECONDS) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def _no_waits() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture
def told() -> list[DeliveryAttempt]:
    return []


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All that any library logs, at DEBUG."""
    for name in (None, *logging.root.manager.loggerDict):
        caplog.set_level(1, logger=name)
    return caplog


class Seen(OutboxSender):
    """Keeps each message before it is sent, so that a test knows the code."""

    def __init__(self, sender: Any) -> None:
        super().__init__()
        self._sender = sender

    def forward(self) -> Any:
        seen = self
        if type(self._sender).__name__.startswith("Async"):

            class Forward:
                async def send(self, message: Any) -> Any:
                    OutboxSender.send(seen, message)
                    return await seen._sender.send(message)

            return Forward()

        class Direct:
            def send(self, message: Any) -> Any:
                OutboxSender.send(seen, message)
                return seen._sender.send(message)

        return Direct()


@pytest.mark.parametrize("name", CASES)
def test_a_fault(
    name: str,
    mode: Mode,
    make: Callable[..., Face],
    sandbox: Sandbox,
    told: list[DeliveryAttempt],
    logs: pytest.LogCaptureFixture,
) -> None:
    case = CASES[name]
    phone = PLAIN if case.where else f"+141555501{name[:2]}"
    where = case.where() if case.where else nullcontext(sandbox.url)
    options = {"retry": PLAN, **case.options, "on_attempt": told.append}
    with (
        where as url,
        Client(mode, "sandbox-hash", "sandbox-token", url=url, **options) as client,
    ):
        seen = Seen(client.real)
        verifier = make(seen.forward())
        begun = time.perf_counter()
        with pytest.raises(DeliveryError) as raised:
            verifier.start(phone)
        took = time.perf_counter() - begun
        error = raised.value
        assert (type(error), error.provider_code) == (case.kind, case.code)
        assert error.maybe_sent != case.given_back
        assert len(told) == case.attempts
        assert took < options["retry"].total_seconds + 30
        code = seen.code()
        # Given back, the person asks again at once; kept, the cooldown says when.
        with pytest.raises(DeliveryError if case.given_back else CooldownActive):
            verifier.start(phone)
        # The code is good if it may arrive, and void if the gateway said no.
        if case.kind is REJECTED:
            assert error.challenge is None
        else:
            assert error.challenge is not None
            assert verifier.check(phone, code, challenge=error.challenge.id).phone == phone
    secrets = (code, phone[2:], "sandbox-hash", "sandbox-token")
    assert_secret(error, logs.records, *secrets)
    assert_secret(RuntimeError(repr(told) + repr(client.real)), [], *secrets)


@pytest.mark.parametrize("name", sorted(WORKING))
def test_what_works_all_the_same(
    name: str, mode: Mode, make: Callable[..., Face], sandbox: Sandbox
) -> None:
    phone = f"+141555501{name[:2]}"
    account = ("sandbox-hash", "sandbox-token")
    with Client(mode, *account, url=sandbox.url, retry=PLAN) as client:
        verifier = make(client.real)
        challenge = verifier.start(phone)
        message = sandbox.messages[0]
        assert challenge.message_id == (None if name[:2] == "63" else message.id)
        with pytest.raises(CooldownActive):
            verifier.start(phone)
        assert verifier.check(phone, message.code, challenge=challenge.id).phone == phone


def test_every_fault_of_the_sandbox_is_here() -> None:
    from otpverify.sandbox.faults import FAULTS

    named = {name[:2] for name in (*CASES, *WORKING) if name[:2].isdecimal()}
    assert named == set(FAULTS)


def test_a_redirect_carries_no_credentials_on(mode: Mode, make: Callable[..., Face]) -> None:
    with recording() as elsewhere, recording() as gateway:
        gateway.status, gateway.headers = 307, {"Location": f"{elsewhere.url}/?x=1"}
        with (
            Client(mode, url=gateway.url, retry=PLAN) as client,
            pytest.raises(DeliveryUnavailable),
        ):
            make(client.real).start(PLAIN)
        assert len(gateway.requests) == 1
        assert elsewhere.requests == []


def test_a_certificate_that_is_trusted_is_taken(
    mode: Mode,
    make: Callable[..., Face],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    authority = trustme.CA()
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, str(file))
    gateway = Recorder()
    with encrypted(gateway, authority) as url, Client(mode, url=url, retry=PLAN) as client:
        assert make(client.real).start(PLAIN).message_id == "m-1"
        gateway.replies = [(503, {})]
        assert make(client.real).start(PLAIN).message_id == "m-1"
    assert gateway.connections == 1
