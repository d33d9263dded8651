"""Delivery reports, over HTTP: the real client asks the sandbox for them, the sandbox sends them
to the application's endpoint, and the verifier learns what became of the message."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.request import Request, urlopen
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import pytest
from endpoint import Call, Endpoint
from freezegun.api import FrozenDateTimeFactory
from redis_support import Place, stop_servers
from support import OTHER_PHONE, OTHER_SECRET, PHONE, QUICK, SECRET, AsyncMode, Face, Mode

from otpverify import (
    AsyncSmspmClient,
    ChallengeExpired,
    ConfigurationError,
    CooldownActive,
    DeliveryReport,
    DeliveryStatus,
    Event,
    Limit,
    MemoryStore,
    Policy,
    RateLimited,
    SmspmClient,
    StoreError,
    TestNumber,
    Verifier,
)
from otpverify.sandbox import Sandbox
from otpverify.sms import callback_params

pytestmark = pytest.mark.sync_in_short_form

__all__ = ["stop_servers"]

Shape = Literal["post", "get"]
PAGE = (Path(__file__).parents[2] / "docs/how-to/delivery-reports.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
_SOON = date(2026, 4, 1)
FINAL_FAILURES = [
    ("undelivered", "post"),
    ("rejected", "get"),
    ("expired", "post"),
    ("failed", "get"),
]


class Application:
    """An application: a verifier, its endpoint for reports, and the gateway that sends them."""

    def __init__(self, mode: Mode, store: Any, endpoint: Endpoint, sandbox: Sandbox) -> None:
        self.mode = mode
        self.store = store
        self.endpoint = endpoint
        self.sandbox = sandbox
        kind = AsyncSmspmClient if isinstance(mode, AsyncMode) else SmspmClient
        self.client = kind.from_env(sandbox.environ, report_url=f"{endpoint.url}?app=1")
        self.events: list[Event] = []
        self.verifier = self.make()

    def close(self) -> None:
        if isinstance(self.client, AsyncSmspmClient):
            assert isinstance(self.mode, AsyncMode)
            self.mode.runner.run(self.client.aclose())
        else:
            self.client.close()

    def make(self, **options: Any) -> Face:
        """Another verifier on the same store."""
        options = {"secret": SECRET, "hasher": QUICK, "on_event": self.events.append, **options}
        return self.mode.make(self.client, store=self.store, **options)

    @property
    def newest(self) -> str:
        return self.sandbox.messages[0].id

    def call(self, status: str, shape: Shape = "post", message: str | None = None) -> Call:
        """Have a report sent; the request that came."""
        assert self.sandbox.report(message or self.newest, status, shape) == 200
        (call,) = self.endpoint.take()
        return call

    def report(
        self,
        status: str,
        shape: Shape = "post",
        message: str | None = None,
        verifier: Face | None = None,
    ) -> DeliveryReport:
        """Have a report sent, and take it in."""
        call = self.call(status, shape, message)
        found = (verifier or self.verifier).delivery_report(callback_params(call.query, call.body))
        assert isinstance(found, DeliveryReport)
        return found

    def outcomes(self) -> list[str]:
        """What the events say of the reports."""
        return [event.outcome for event in self.events if event.operation == "report"]


@pytest.fixture(params=["memory", "valkey9"])
def store(request: pytest.FixtureRequest, mode: Mode, clock: object) -> Iterator[Any]:
    """A store at the test's own time."""
    if request.param == "memory":
        yield MemoryStore()
        return
    place = Place(request.param)
    if isinstance(mode, AsyncMode):
        found = place.async_store(time.time)
        yield found
        mode.runner.run(found.aclose())
    else:
        yield place.store(time.time)
    place.tidy()


@pytest.fixture(scope="module")
def gateway() -> Iterator[tuple[Endpoint, Sandbox]]:
    with Endpoint() as endpoint, Sandbox(reports=None) as sandbox:
        yield endpoint, sandbox


@pytest.fixture
def app(mode: Mode, store: Any, gateway: tuple[Endpoint, Sandbox]) -> Iterator[Application]:
    endpoint, sandbox = gateway
    endpoint.forget()
    sandbox.clear()
    app = Application(mode, store, endpoint, sandbox)
    yield app
    app.close()


def test_a_message_is_queued_sent_and_delivered(app: Application) -> None:
    started = app.verifier.start(PHONE, purpose="login")
    status = partial(app.verifier.status, PHONE, challenge=started.id, purpose="login")
    assert status() is DeliveryStatus.QUEUED
    report = app.report("sent", "get")
    assert (report.known, report.changed, report.given_back) == (True, True, False)
    assert status() is DeliveryStatus.SENT
    report = app.report("delivered")
    assert report.status is DeliveryStatus.DELIVERED
    assert (report.message_id, report.purpose) == (started.message_id, "login")
    assert status() is DeliveryStatus.DELIVERED
    assert app.outcomes() == ["sent", "delivered"]
    assert {event.phone for event in app.events} == {"+37*******45"}
    assert {event.purpose for event in app.events} == {"login"}


@pytest.mark.parametrize(("word", "shape"), FINAL_FAILURES)
def test_a_final_failure_lifts_the_cooldown(
    app: Application, clock: FrozenDateTimeFactory, word: str, shape: Shape
) -> None:
    started = app.verifier.start(PHONE)
    with pytest.raises(CooldownActive):
        app.verifier.resend(PHONE, challenge=started.id)
    report = app.report(word, shape)
    assert (report.known, report.changed, report.given_back) == (True, True, True)
    assert app.verifier.status(PHONE, challenge=started.id) is DeliveryStatus(word)
    clock.tick(1)
    again = app.verifier.resend(PHONE, challenge=started.id)
    assert again.sends_left == started.sends_left
    assert app.verifier.status(PHONE, challenge=started.id) is DeliveryStatus.QUEUED
    code = app.sandbox.messages[0].code
    assert app.verifier.check(PHONE, code, challenge=started.id).phone == PHONE


def test_nothing_else_does(app: Application) -> None:
    started = app.verifier.start(PHONE)
    for word in ("odd", "queued", "pending", "submitted", "sent", "delivered"):
        assert not app.report(word).given_back
        with pytest.raises(CooldownActive):
            app.verifier.resend(PHONE, challenge=started.id)
        with pytest.raises(CooldownActive):
            app.verifier.start(PHONE)


def test_a_report_that_comes_twice_gives_back_once(
    app: Application, clock: FrozenDateTimeFactory
) -> None:
    started = app.verifier.start(PHONE)
    first = app.newest
    assert app.report("failed").given_back
    clock.tick(1)
    resent = app.verifier.resend(PHONE, challenge=started.id)
    for word in ("failed", "undelivered", "delivered", "sent"):
        report = app.report(word, message=first)
        assert (report.known, report.changed, report.given_back) == (True, False, False)
    assert app.outcomes() == ["failed", *["duplicate"] * 4]
    with pytest.raises(CooldownActive):
        app.verifier.resend(PHONE, challenge=resent.id)


def test_one_of_many_that_come_at_once_gives_back(app: Application) -> None:
    # Each is counted until it is found to be a repeat, so the limit has room for all.
    verifier = app.make(policy=Policy(undelivered_per_phone=(Limit(10, 3600),)))
    verifier.start(PHONE)
    call = app.call("failed")
    params = callback_params(call.query, call.body)
    found: list[Any] = app.mode.together([partial(verifier.delivery_report, params)] * 10)
    assert sum(report.given_back for report in found) == 1
    assert sum(report.changed for report in found) == 1
    app.verifier.start(PHONE)
    with pytest.raises(CooldownActive):
        app.verifier.start(PHONE)


def test_delivered_is_the_last_word(app: Application) -> None:
    started = app.verifier.start(PHONE)
    assert app.report("delivered").changed
    for late in ("queued", "sent", "pending", "failed", "undelivered", "rejected", "expired"):
        report = app.report(late)
        assert (report.known, report.changed, report.given_back) == (True, False, False)
        assert app.verifier.status(PHONE, challenge=started.id) is DeliveryStatus.DELIVERED
    with pytest.raises(CooldownActive):
        app.verifier.start(PHONE)


def test_what_is_not_final_never_goes_back(app: Application) -> None:
    started = app.verifier.start(PHONE)
    assert app.report("sent").changed
    assert not app.report("queued").changed
    assert app.verifier.status(PHONE, challenge=started.id) is DeliveryStatus.SENT


def test_the_status_is_the_newest_message_s(app: Application, clock: FrozenDateTimeFactory) -> None:
    started = app.verifier.start(PHONE)
    first = app.newest
    app.report("delivered")
    clock.tick(60)
    app.verifier.resend(PHONE, challenge=started.id)
    status = partial(app.verifier.status, PHONE, challenge=started.id)
    assert status() is DeliveryStatus.QUEUED
    app.report("sent", message=first)
    assert status() is DeliveryStatus.QUEUED
    app.report("sent")
    assert status() is DeliveryStatus.SENT


def test_an_older_message_that_failed_lifts_no_newer_cooldown(
    app: Application, clock: FrozenDateTimeFactory
) -> None:
    started = app.verifier.start(PHONE)
    first = app.newest
    clock.tick(60)
    resent = app.verifier.resend(PHONE, challenge=started.id)
    app.report("failed", message=first)
    with pytest.raises(CooldownActive):
        app.verifier.resend(PHONE, challenge=resent.id)


@pytest.mark.parametrize("word", ["delivered", "failed"])
def test_a_report_after_the_code_was_used(app: Application, word: str) -> None:
    started = app.verifier.start(PHONE)
    code = app.sandbox.messages[0].code
    app.verifier.check(PHONE, code, challenge=started.id)
    with pytest.raises(ChallengeExpired):
        app.verifier.status(PHONE, challenge=started.id)
    report = app.report(word)
    assert (report.known, report.changed, report.given_back) == (True, True, word == "failed")
    for call in (app.verifier.status, partial(app.verifier.check, code=code)):
        with pytest.raises(ChallengeExpired):
            call(PHONE, challenge=started.id)
    assert not app.report(word).given_back
    assert app.verifier.start(PHONE).sends_left == (4 if word == "failed" else 3)
    with pytest.raises(CooldownActive):
        app.verifier.start(PHONE)


def test_a_report_after_everything_expired(app: Application, clock: FrozenDateTimeFactory) -> None:
    app.verifier.start(PHONE)
    clock.tick(2 * 86_400)
    report = app.report("failed")
    assert (report.known, report.changed, report.given_back) == (False, False, False)
    assert app.outcomes() == ["unknown"]


def test_the_send_that_is_given_back_counts_no_more(app: Application) -> None:
    policy = Policy(sends_per_phone=(Limit(2, 3600),), resend_cooldown_seconds=0)
    verifier = app.make(policy=policy)
    verifier.start(PHONE)
    verifier.start(PHONE)
    with pytest.raises(RateLimited):
        verifier.start(PHONE)
    app.report("undelivered", verifier=verifier)
    verifier.start(PHONE)
    with pytest.raises(RateLimited):
        verifier.start(PHONE)


def test_the_network_s_count_is_not_given_back(app: Application) -> None:
    """A person who makes messages fail on purpose meets a limit."""
    verifier = app.make(policy=Policy(sends_per_ip=(Limit(3, 3600),)))
    for _ in range(3):
        verifier.start(PHONE, client_ip="192.0.2.1")
        assert app.report("failed", verifier=verifier).given_back
    with pytest.raises(RateLimited) as raised:
        verifier.start(PHONE, client_ip="192.0.2.1")
    assert raised.value.scope == "sends_per_ip"


def test_a_phone_s_failures_are_given_back_so_often_only(
    app: Application, clock: FrozenDateTimeFactory
) -> None:
    """A carrier that takes the money and reports failures must not lift every limit."""
    started = app.verifier.start(PHONE)
    for _ in range(5):
        for _ in range(3):  # repeats do not count
            report = app.report("failed")
        assert (report.known, report.changed) == (True, False)
        clock.tick(1)
        app.verifier.resend(PHONE, challenge=started.id)
    report = app.report("failed")
    assert (report.known, report.changed, report.given_back) == (True, True, False)
    assert (app.events[-1].outcome, app.events[-1].scope) == ("limited", "undelivered_per_phone")
    assert app.verifier.status(PHONE, challenge=started.id) is DeliveryStatus.FAILED
    for late in ("failed", "undelivered", "delivered", "sent"):
        report = app.report(late)
        assert (report.known, report.changed, report.given_back) == (True, False, False)
        assert app.events[-1].outcome == "duplicate"
    assert app.verifier.status(PHONE, challenge=started.id) is DeliveryStatus.FAILED
    with pytest.raises(CooldownActive):
        app.verifier.resend(PHONE, challenge=started.id)
    app.verifier.start(OTHER_PHONE)
    assert app.report("failed").given_back
    clock.tick(86_400)
    app.verifier.start(PHONE)
    assert app.report("failed").given_back


@pytest.mark.parametrize("end", ["alive", "used", "cancelled"])
def test_what_a_limit_kept_is_kept_when_the_limit_admits_again(
    app: Application, clock: FrozenDateTimeFactory, end: str
) -> None:
    """A repeat does not avoid it."""
    numbers: Any = {"resend_cooldown_seconds": 0, "undelivered_per_phone": Limit(1, 60)}
    policy = Policy(sends_per_phone=(Limit(2, 3600),), **numbers)
    verifier = app.make(policy=policy)
    started = verifier.start(PHONE)
    assert app.report("failed", verifier=verifier).given_back
    clock.tick(1)
    verifier.resend(PHONE, challenge=started.id)
    report = app.report("failed", verifier=verifier)
    assert (report.known, report.changed, report.given_back) == (True, True, False)
    kept = app.newest
    if end == "used":
        verifier.check(PHONE, app.sandbox.messages[0].code, challenge=started.id)
    elif end == "cancelled":
        verifier.cancel(PHONE, challenge=started.id)
    clock.tick(60)
    report = app.report("failed", message=kept, verifier=verifier)
    assert (report.known, report.changed, report.given_back) == (True, False, False)
    assert verifier.start(PHONE).sends_left == 0
    assert app.report("failed", verifier=verifier).given_back, "the repeat took nobody's place"


def test_a_policy_may_give_every_failure_back(
    app: Application, clock: FrozenDateTimeFactory
) -> None:
    verifier = app.make(policy=Policy(undelivered_per_phone=()))
    for _ in range(7):
        verifier.start(PHONE)
        assert app.report("failed", verifier=verifier).given_back
        clock.tick(1)


# Whose reports are believed


@pytest.mark.parametrize("shape", ["post", "get"])
def test_a_token_of_another_secret_is_unknown(app: Application, shape: Shape) -> None:
    started = app.verifier.start(PHONE)
    stranger = app.make(secret=OTHER_SECRET)
    report = app.report("failed", shape, verifier=stranger)
    assert (report.known, report.given_back, report.purpose) == (False, False, None)
    assert app.outcomes() == ["unknown"]
    assert app.verifier.status(PHONE, challenge=started.id) is DeliveryStatus.QUEUED


def test_a_rotated_secret_is_known_still(app: Application) -> None:
    started = app.verifier.start(PHONE)
    rotated = app.make(secret=[OTHER_SECRET, SECRET])
    assert app.report("delivered", verifier=rotated).known
    assert rotated.status(PHONE, challenge=started.id) is DeliveryStatus.DELIVERED


def altered(token: str, place: int) -> str:
    """The token with another character there."""
    other = "A" if token[place] != "A" else "B"
    return token[:place] + other + token[place + 1 :]


def test_a_stranger_changes_nothing(app: Application, caplog: pytest.LogCaptureFixture) -> None:
    started = app.verifier.start(PHONE)
    params = app.call("failed").params
    token = params["report_token"]
    caplog.clear()
    forged = [altered(token, place) for place in (0, 5, 30, 60, len(token) - 20, len(token) - 2)]
    for garbage in (None, "", *forged, token[:-1], token * 2, "x" * len(token), [token, "x"]):
        report = app.verifier.delivery_report({**params, "report_token": garbage})
        assert (report.known, report.given_back) == (False, False)
        assert app.events[-1].outcome == ("unknown" if garbage else "unreadable")
        assert (app.events[-1].phone, app.events[-1].purpose) == ("***", "")
    assert not [record for record in caplog.records if record.name.startswith("otpverify")]
    with pytest.raises(CooldownActive):
        app.verifier.resend(PHONE, challenge=started.id)
    assert app.verifier.delivery_report(params).given_back


def test_an_unknown_status_is_quiet_and_counted(app: Application) -> None:
    started = app.verifier.start(PHONE)
    report = app.report("EnRoute")
    assert (report.known, report.status) == (False, None)
    assert app.outcomes() == ["unreadable"]
    assert app.events[-1].provider_code == "enroute"
    assert app.verifier.status(PHONE, challenge=started.id) is DeliveryStatus.QUEUED


def test_another_number_in_the_report_is_not_shown(app: Application) -> None:
    app.verifier.start(PHONE)
    params = {**app.call("sent").params, "to": OTHER_PHONE}
    assert app.verifier.delivery_report(params).known
    assert app.events[-1].phone == "***"


def test_garbage_is_quiet(app: Application) -> None:
    garbage: list[Any] = [{}, None, [], "delivered", {"report_token": ["x"]}]
    for params in garbage:
        assert not app.verifier.delivery_report(params).known
    assert app.outcomes() == [*["unreadable"] * 4, "unknown"]


# The endpoint that the page shows


class QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.mark.parametrize("shape", ["post", "get"])
def test_the_page_s_endpoint_answers_ok(shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = [block for block in BLOCKS if "delivery_report" in block]
    with WSGIServer(("127.0.0.1", 0), QuietHandler) as server, Sandbox(reports=shape) as sandbox:
        url = f"http://127.0.0.1:{server.server_port}/sms/report"
        for name, value in {**sandbox.environ, "SMSPM_REPORT_URL": url}.items():
            monkeypatch.setenv(name, value)
        names: dict[str, Any] = {}
        exec(compile(block, "a page", "exec"), names)
        server.set_app(names["sms_report"])
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            started = names["verifier"].start(PHONE, client_ip="192.0.2.1")
            until(lambda: sandbox.messages[0].reported == "delivered")
            status = names["verifier"].status(PHONE, challenge=started.id)
            assert status is DeliveryStatus.DELIVERED
            # A stranger's garbage gets the same answer.
            for body in (b"", b"{", b"\xff", b'{"status": "failed", "report_token": "x"}'):
                with urlopen(Request(f"{url}?x=%ff", body, method="POST"), timeout=20) as reply:
                    assert (reply.status, reply.read()) == (200, b"OK")
            monkeypatch.setattr(Verifier, "delivery_report", down)
            assert sandbox.report(sandbox.messages[0].id, "delivered") == 503
        finally:
            server.shutdown()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def down(*_: Any) -> Any:
    raise StoreError("The store is down.")


# Whose status is reported


def test_only_the_live_challenge_s_status_is_told(
    app: Application, clock: FrozenDateTimeFactory
) -> None:
    started = app.verifier.start(PHONE, purpose="login")
    for phone, challenge, purpose in (
        (OTHER_PHONE, started.id, "login"),
        (PHONE, started.id, "payment"),
        (PHONE, "x" * 24, "login"),
        (PHONE, "", "login"),
    ):
        with pytest.raises(ChallengeExpired):
            app.verifier.status(phone, challenge=challenge, purpose=purpose)
    with pytest.raises(ConfigurationError):
        app.verifier.status(PHONE, challenge=started, purpose="login")
    with pytest.raises(ConfigurationError):
        app.verifier.status(PHONE, challenge=started.id, purpose="")
    assert (
        app.verifier.status("+372 5678-9045", challenge=started.id, purpose="login")
        is DeliveryStatus.QUEUED
    )
    clock.tick(601)
    with pytest.raises(ChallengeExpired):
        app.verifier.status(PHONE, challenge=started.id, purpose="login")


def test_a_number_with_a_digit_too_many_is_understood_as_by_start(app: Application) -> None:
    typed = "+4407911123456"
    started = app.verifier.start(typed)
    assert started.phone == "+447911123456"
    assert app.verifier.status(typed, challenge=started.id) is DeliveryStatus.QUEUED


def test_a_decoy_and_a_test_number_stay_queued(app: Application) -> None:
    fixed = TestNumber("424242", expires=_SOON)
    verifier = app.make(policy=Policy(test_numbers={"+12025550123": fixed}))
    for phone, deliver in ((PHONE, False), ("+12025550123", True)):
        started = verifier.start(phone, deliver=deliver)
        assert verifier.status(phone, challenge=started.id) is DeliveryStatus.QUEUED
    assert not app.sandbox.messages


def test_a_status_is_no_event(app: Application) -> None:
    started = app.verifier.start(PHONE)
    app.verifier.status(PHONE, challenge=started.id)
    assert [event.operation for event in app.events] == ["start"]


# What goes wrong


class Broken(MemoryStore):
    """A store that answers nothing about messages."""

    def report(self, *args: Any) -> Any:
        raise OSError(f"connection lost: {args}")

    def status(self, *args: Any) -> Any:
        raise OSError(f"connection lost: {args}")


class Odd(MemoryStore):
    """A store that answers nonsense about messages."""

    def report(self, *args: Any) -> Any:
        return "delivered"

    def status(self, *args: Any) -> Any:
        return "delivered"


@pytest.mark.parametrize("kind", [Broken, Odd])
def test_a_store_that_does_not_answer_is_an_error(
    make: Callable[..., Face], kind: type[MemoryStore], caplog: pytest.LogCaptureFixture
) -> None:
    events: list[Event] = []
    with Endpoint() as endpoint, Sandbox(reports=None) as sandbox:
        with sandbox.client(report_url=endpoint.url) as client:
            verifier = make(client, store=kind(), on_event=events.append)
            started = verifier.start(PHONE)
        sandbox.report(started.message_id or "", "delivered")
        params = endpoint.take()[0].params
    with pytest.raises(StoreError) as raised:
        verifier.delivery_report(params)
    assert events[-1].outcome == "StoreError"
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    with pytest.raises(StoreError):
        verifier.status(PHONE, challenge=started.id)


def test_a_failure_that_the_store_did_not_take_is_not_counted(
    app: Application, make: Callable[..., Face]
) -> None:
    """The gateway sends it again until it is taken."""
    store = Broken()
    verifier = make(app.client, store=store)
    verifier.start(PHONE)
    params = app.call("failed").params
    for _ in range(6):
        with pytest.raises(StoreError):
            verifier.delivery_report(params)
    vars(store)["report"] = partial(MemoryStore.report, store)
    again = make(app.client, store=store)
    assert again.delivery_report(params).given_back


def test_nothing_shows_a_number_a_code_or_a_token(
    app: Application, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(1)
    for name in ("urllib3", "otpverify", "asyncio"):
        caplog.set_level(1, logger=name)
    app.verifier.start(PHONE)
    hidden = [app.newest, app.sandbox.messages[0].code or "", PHONE[1:], PHONE[4:]]
    shown: list[object] = []
    for word in ("sent", "failed", "failed", "odd"):
        params = app.call(word).params
        hidden.append(params["report_token"])
        shown.append(app.verifier.delivery_report(params))
    shown += [*app.events, app.client, app.verifier.verifier]
    formatter = logging.Formatter()
    shown += [formatter.format(record) + repr(record.args) for record in caplog.records]
    shown += capfd.readouterr()
    text = "\n".join(f"{one!s} {one!r}" for one in shown)
    assert not [secret for secret in hidden if secret in text]
