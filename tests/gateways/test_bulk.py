"""Sending to many, in both modes: against the sandbox, and against a gateway that answers
batches as a test says."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from clients import Client
from support import Mode

from otpverify import (
    AsyncSmspmClient,
    BulkInterrupted,
    BulkProgress,
    BulkResult,
    ConfigurationError,
    DeliveryAttempt,
    DeliveryRejected,
    DeliveryUnavailable,
    InvalidPhoneNumber,
    Retry,
    SmspmClient,
)
from otpverify.gateways.send_bulk import BulkOptions
from otpverify.gateways.smspm.bulk import Tasks, Threads
from otpverify.gateways.smspm.client import SmspmApi
from otpverify.sandbox import Sandbox

TEXT = "The bus to Narva leaves at eight."
Result = tuple[int, object]


def number(n: int) -> str:
    """The nth of 8 million valid numbers, none of which makes the sandbox fail."""
    return f"+3725{n:07d}"


def numbers(count: int, start: int = 0) -> list[str]:
    return [number(n) for n in range(start, start + count)]


@pytest.fixture
def send(mode: Mode, smspm_sandbox: Sandbox) -> Callable[..., BulkResult]:
    """Sends in bulk through a client of the test's mode; `url` and the like go to it."""

    def send_bulk(
        to: Any, text: str = TEXT, client: dict[str, Any] | None = None, **options: Any
    ) -> BulkResult:
        account = dict(zip(("hash", "token", "url"), smspm_sandbox.environ.values(), strict=True))
        with Client(mode, **{**account, **(client or {})}) as made:
            return made.send_bulk(to, text, **options)

    return send_bulk


def sandboxed(sandbox: Sandbox) -> AsyncSmspmClient:
    return AsyncSmspmClient.from_env(sandbox.environ)


def received(sandbox: Sandbox) -> Counter[str]:
    return Counter(message.to for message in sandbox.messages)


@dataclass
class Gateway:
    """Answers batches as a test says, and keeps what it was asked.

    Attributes:
        answer: Makes status and JSON of the numbers of a request.
        asked: The numbers of each request, in the order of their arrival.
        busiest: How many requests were there at a time, at most.
    """

    url: str = ""
    answer: Callable[[list[str]], Result] = lambda asked: (200, success(asked))
    asked: list[list[str]] = field(default_factory=list)
    busiest: int = 0
    busy: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def success(asked: list[str]) -> object:
    return {"messages": [{"id": f"id-{n}", "toNumber": n, "status": "Queued"} for n in asked]}


def refuse(status: int, asked: list[str]) -> Result:
    return status, {"error": "No"}


class GatewayHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def __init__(self, gateway: Gateway, *args: Any) -> None:
        self.gateway = gateway
        super().__init__(*args)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass

    def do_POST(self) -> None:
        fields = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        to = fields["toNumber"]
        asked = to if isinstance(to, list) else [to]
        gateway = self.gateway
        with gateway.lock:
            gateway.asked.append(asked)
            gateway.busy += 1
            gateway.busiest = max(gateway.busiest, gateway.busy)
        status, reply = gateway.answer(asked)
        with gateway.lock:
            gateway.busy -= 1
        body = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    listener = ThreadingHTTPServer(("127.0.0.1", 0), partial(GatewayHandler, made))
    listener.daemon_threads = True
    thread = threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{listener.server_port}"
    yield made
    listener.shutdown()
    listener.server_close()
    thread.join()


# --- the outcome of each recipient ---------------------------------------------------------


def test_everyone_has_an_outcome_in_input_order(
    send: Callable[..., BulkResult], smspm_sandbox: Sandbox
) -> None:
    given = [*numbers(130), "+1 202 555 0140", "hello", number(7), "5678 9045", *numbers(90, 200)]
    result = send(given, region="EE", concurrency=3)
    assert [entry.given for entry in result.entries] == given
    assert [entry.index for entry in result.entries] == list(range(len(given)))
    assert (result.sent, result.failed, result.unknown, result.duplicates) == (221, 2, 0, 1)
    assert result.counts.total == len(given)
    bad, invalid, again, national = result.entries[130:134]
    assert isinstance(bad.error, DeliveryRejected)
    assert (bad.status, bad.reason) == ("failed", "invalid_phone_number")
    assert isinstance(invalid.error, InvalidPhoneNumber)
    assert (invalid.status, invalid.reason, invalid.phone) == ("failed", "not_a_number", None)
    assert (again.status, again.duplicate_of, again.error) == ("duplicate", 7, None)
    assert (national.status, national.phone) == ("sent", "+37256789045")
    ids = {message.to: message.id for message in smspm_sandbox.messages}
    for entry in result.entries:
        if entry.status == "sent":
            assert entry.phone is not None
            assert entry.message_id == ids[entry.phone]
    assert set(received(smspm_sandbox).values()) == {1}
    assert len(ids) == 221


def test_a_request_has_at_most_a_hundred_recipients_and_several_go_at_a_time(
    send: Callable[..., BulkResult], gateway: Gateway
) -> None:
    together = threading.Barrier(3)

    def answer(asked: list[str]) -> Result:
        together.wait(20)  # each waits until three are there
        return 200, success(asked)

    gateway.answer = answer
    result = send(numbers(550), client={"url": gateway.url}, concurrency=3)
    assert result.sent == 550
    assert sorted(map(len, gateway.asked)) == [50, 100, 100, 100, 100, 100]
    assert gateway.busiest == 3


def test_entries_may_come_in_any_order_and_incomplete(
    send: Callable[..., BulkResult], gateway: Gateway
) -> None:
    def answer(asked: list[str]) -> Result:
        entries = [{"id": n, "toNumber": n} for n in reversed(asked) if not n.endswith("3")]
        return 200, {"messages": entries}

    gateway.answer = answer
    result = send(numbers(40), client={"url": gateway.url}, batch_size=7)
    for entry in result.entries:
        assert entry.phone is not None
        if entry.phone.endswith("3"):
            assert isinstance(entry.error, DeliveryUnavailable)
            assert (entry.status, entry.error.maybe_sent) == ("unknown", True)
        else:
            assert entry.message_id == entry.phone[1:]


def test_a_gateway_that_takes_one_number_is_sent_one_at_a_time(
    send: Callable[..., BulkResult], smspm_sandbox: Sandbox
) -> None:
    with Sandbox(dialect="tutorial") as old:
        batches: list[int] = []
        result = send(
            [*numbers(9), "+1 202 555 0140"],
            client={"url": old.url},
            batch_size=5,
            concurrency=1,
            on_sending=lambda batch: batches.append(len(batch)),
        )
        assert (result.sent, result.failed) == (9, 1)
        assert result.entries[9].reason == "invalid_phone_number"
        assert received(old) == Counter(numbers(9))
    assert batches == [5] + [1] * 10


def test_a_number_that_spoils_its_batch_is_found(
    send: Callable[..., BulkResult], gateway: Gateway
) -> None:
    bad = number(13)[1:]

    def answer(asked: list[str]) -> Result:
        if bad in asked:
            return 400, {"error": f"Invalid phone number: {bad}"}
        return 200, success(asked)

    gateway.answer = answer
    result = send(numbers(20), client={"url": gateway.url}, batch_size=20, concurrency=1)
    assert (result.sent, result.failed) == (19, 1)
    assert result.entries[13].reason == "invalid_phone_number"
    taken = [n for asked in gateway.asked if bad not in asked for n in asked]
    assert sorted(taken) == sorted(n[1:] for n in numbers(20) if n[1:] != bad)


def test_what_nobody_knows_is_said(send: Callable[..., BulkResult], smspm_sandbox: Sandbox) -> None:
    to = [*numbers(2), "+12025550170", "+12025550150", "+12025550163", "+12025550129"]
    result = send(to, batch_size=1)
    said = [(entry.status, entry.reason) for entry in result.entries]
    assert said == [
        ("sent", None),
        ("sent", None),
        ("unknown", "connection_lost"),
        ("unknown", "internal_error"),
        ("sent", None),
        ("failed", "rate_limited"),
    ]
    assert received(smspm_sandbox)["+12025550170"] == 1


@pytest.mark.parametrize(
    ("status", "after_timeout", "requests"),
    [(429, False, 2), (503, False, 2), (502, False, 1), (504, False, 1), (504, True, 2)],
)
def test_a_request_to_many_is_repeated_only_where_nobody_can_get_it_twice(
    send: Callable[..., BulkResult],
    gateway: Gateway,
    status: int,
    after_timeout: bool,
    requests: int,
) -> None:
    replies = [(status, {"error": "Later"})]
    gateway.answer = lambda asked: replies.pop() if replies else (200, success(asked))
    retry = Retry(after_timeout=after_timeout, first_wait_seconds=0.001, total_seconds=60)
    result = send(numbers(3), client={"url": gateway.url, "retry": retry})
    assert len(gateway.asked) == requests
    expected = ("sent", None) if requests == 2 else ("unknown", f"http_{status}")
    assert {(entry.status, entry.reason) for entry in result.entries} == {expected}


def test_every_entry_has_an_error_of_its_own(
    send: Callable[..., BulkResult], gateway: Gateway
) -> None:
    for status in (500, 400, 504):
        gateway.answer = partial(refuse, status)
        result = send(numbers(3), client={"url": gateway.url})
        assert len({id(entry.error) for entry in result.entries}) == 3


def test_a_get_gateway_has_one_recipient_a_request(
    send: Callable[..., BulkResult], smspm_sandbox: Sandbox
) -> None:
    sizes: list[int] = []
    result = send(
        numbers(4), client={"method": "GET"}, on_sending=lambda batch: sizes.append(len(batch))
    )
    assert (result.sent, sizes) == (4, [1] * 4)


# --- the account ---------------------------------------------------------------------------


def test_once_the_account_is_refused_the_rest_is_not_attempted(
    send: Callable[..., BulkResult], gateway: Gateway
) -> None:
    def answer(asked: list[str]) -> Result:
        if number(25)[1:] in asked:
            return 402, {"error": "Insufficient balance"}
        return 200, success(asked)

    gateway.answer = answer
    told: list[BulkProgress] = []
    result = send(
        numbers(1000),
        client={"url": gateway.url},
        batch_size=10,
        concurrency=1,
        on_progress=told.append,
    )
    assert len(gateway.asked) == 3
    attempted = {f"+{n}" for asked in gateway.asked for n in asked}
    for entry in result.entries:
        if entry.phone not in attempted:
            assert isinstance(entry.error, DeliveryUnavailable)
            assert entry.error.maybe_sent is False
            assert entry.reason == "not_attempted"
            assert "no_balance" in str(entry.error)
    assert [e.reason for e in result.entries[20:30]] == ["no_balance"] * 10
    assert result.failed + result.sent == 1000
    assert result.sent == len(attempted) - 10
    assert sorted(e.index for p in told for e in p.entries) == list(range(1000))


def test_the_sandbox_refuses_the_account_for_a_number_of_the_batch(
    send: Callable[..., BulkResult], smspm_sandbox: Sandbox
) -> None:
    to = [*numbers(2), "+12025550141", *numbers(4, 2)]
    result = send(to, batch_size=3, concurrency=1)
    assert [entry.reason for entry in result.entries] == (
        ["unauthorized"] * 3 + ["not_attempted"] * 4
    )
    assert smspm_sandbox.messages == []


def test_the_sandbox_slows_a_batch_down_and_loses_one(
    send: Callable[..., BulkResult], smspm_sandbox: Sandbox
) -> None:
    told: list[DeliveryAttempt] = []
    slow = {
        "retry": Retry(attempts=2, first_wait_seconds=0.001, longest_wait_seconds=0.001),
        "on_attempt": told.append,
    }
    result = send([*numbers(2), "+12025550127"], client=slow)
    assert [attempt.provider_code for attempt in told] == ["rate_limited"] * 2
    assert [entry.status for entry in result.entries] == ["failed"] * 3
    told.clear()
    # It is befallen at every other attempt, and so the second goes through.
    assert send([*numbers(2), "+12025550113"], client=slow).sent == 3
    assert [attempt.outcome for attempt in told] == ["unavailable", "ok"]
    lost = send([*numbers(2, 2), "+12025550170"])
    assert [entry.status for entry in lost.entries] == ["unknown"] * 3
    assert len(smspm_sandbox.messages) == 6


def test_wrong_credentials_are_tried_once(
    send: Callable[..., BulkResult], smspm_sandbox: Sandbox
) -> None:
    tried: list[Any] = []
    result = send(
        numbers(50), client={"token": "wrong"}, batch_size=5, concurrency=1, on_sending=tried.append
    )
    assert (len(tried), result.failed) == (1, 50)
    assert {entry.reason for entry in result.entries} == {"unauthorized", "not_attempted"}


# --- pace ----------------------------------------------------------------------------------


def test_the_rate_is_kept(send: Callable[..., BulkResult], smspm_sandbox: Sandbox) -> None:
    started: list[float] = []
    result = send(
        numbers(20),
        recipients_per_second=50,
        batch_size=5,
        on_sending=lambda batch: started.append(time.monotonic()),
    )
    assert result.sent == 20
    assert started[-1] - started[0] >= 0.3 - 0.001


def test_a_clock_that_stands_still_does_not_stop_it(
    send: Callable[..., BulkResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a test that stops time."""
    for ports in (Threads, Tasks):
        monkeypatch.setattr(ports, "now", lambda self: 1000.0)
    assert send(numbers(6), recipients_per_second=100, batch_size=2).sent == 6


# --- callbacks -----------------------------------------------------------------------------


def test_progress_tells_of_everyone_once(
    send: Callable[..., BulkResult], smspm_sandbox: Sandbox
) -> None:
    told: list[BulkProgress] = []
    result = send([*numbers(12), "x", number(0)], batch_size=5, on_progress=told.append)
    assert [entry.status for entry in told[0].entries] == ["failed", "duplicate"]
    assert [p.done for p in told] == sorted({p.done for p in told})
    assert (told[-1].done, told[-1].total, told[-1].counts) == (14, 14, result.counts)
    assert sorted(e.index for p in told for e in p.entries) == list(range(14))
    assert {e.index: e for p in told for e in p.entries} == dict(enumerate(result.entries))


def test_callbacks_run_where_the_caller_is(smspm_sandbox: Sandbox) -> None:
    where: set[threading.Thread] = set()

    def note(_: object) -> None:
        where.add(threading.current_thread())

    with smspm_sandbox.client() as client:
        client.send_bulk(numbers(9), TEXT, batch_size=2, on_sending=note, on_progress=note)
    assert where == {threading.current_thread()}


class Trouble(Exception):
    pass


@pytest.mark.parametrize("hook", ["on_sending", "on_progress"])
@pytest.mark.parametrize("nth", [1, 3])
def test_a_callback_that_raises_loses_nothing(
    send: Callable[..., BulkResult], smspm_sandbox: Sandbox, hook: str, nth: int
) -> None:
    calls = 0

    def trouble(_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == nth:
            raise Trouble

    with pytest.raises(BulkInterrupted, match=r"Sending ended early: Trouble\.") as caught:
        send(["x", *numbers(40)], batch_size=4, concurrency=2, **{hook: trouble})
    assert isinstance(caught.value.__cause__, Trouble)
    assert calls == nth
    result = caught.value.result
    assert result is not None
    assert result.counts.total == 41
    sent = {entry.phone for entry in result.entries if entry.status == "sent"}
    assert sent == set(received(smspm_sandbox))
    rest = [entry for entry in result.entries[1:] if entry.status != "sent"]
    assert {(entry.status, entry.reason) for entry in rest} == {("failed", "not_attempted")}
    assert len(sent) <= 4 * (nth + 2)


def test_ctrl_c_tells_what_is_known_first(smspm_sandbox: Sandbox) -> None:
    told: list[BulkProgress] = []
    batches: list[Any] = []

    def interrupt(batch: object) -> None:
        batches.append(batch)
        if len(batches) == 4:
            raise KeyboardInterrupt

    with smspm_sandbox.client() as client, pytest.raises(KeyboardInterrupt):
        client.send_bulk(
            numbers(30), TEXT, batch_size=3, on_sending=interrupt, on_progress=told.append
        )
    entries = {e.index: e for p in told for e in p.entries}
    assert len(entries) == 30
    sent = {entry.phone for entry in entries.values() if entry.status == "sent"}
    assert sent == set(received(smspm_sandbox))
    assert len(sent) == 9


def test_a_cancelled_task_tells_what_is_known_first(smspm_sandbox: Sandbox) -> None:
    told: list[BulkProgress] = []
    stalled = "+12025550108"

    async def main(client: AsyncSmspmClient) -> None:
        async def tell(progress: BulkProgress) -> None:
            told.append(progress)

        task = asyncio.create_task(
            client.send_bulk(
                [*numbers(3), stalled, *numbers(3, 10)],
                TEXT,
                batch_size=1,
                concurrency=1,
                on_progress=tell,
            )
        )
        while stalled not in received(smspm_sandbox):  # noqa: ASYNC110 - it is in a thread
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main(sandboxed(smspm_sandbox)))
    entries = {e.index: e for p in told for e in p.entries}
    said = [(entries[index].status, entries[index].reason) for index in range(7)]
    assert (
        said
        == [("sent", None)] * 3 + [("unknown", "interrupted")] + [("failed", "not_attempted")] * 3
    )


def test_coroutine_functions_may_be_callbacks(smspm_sandbox: Sandbox) -> None:
    said: list[str] = []

    async def sending(batch: tuple[str, ...]) -> None:
        await asyncio.sleep(0)
        said.append("sending")

    async def settled(progress: BulkProgress) -> None:
        await asyncio.sleep(0)
        said.append("settled")

    asyncio.run(
        sandboxed(smspm_sandbox).send_bulk(
            numbers(3), TEXT, on_sending=sending, on_progress=settled
        )
    )
    assert said == ["sending", "settled"]


def test_a_fault_of_the_client_loses_nothing(
    send: Callable[..., BulkResult], smspm_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = SmspmApi.exchange

    def faulty(self: SmspmApi, fields: Any, *more: Any) -> Any:
        if number(4)[1:] in fields["toNumber"]:
            raise ZeroDivisionError
        return whole(self, fields, *more)

    monkeypatch.setattr(SmspmApi, "exchange", faulty)
    with pytest.raises(BulkInterrupted) as caught:
        send(numbers(6), batch_size=2, concurrency=1)
    result = caught.value.result
    assert result is not None
    assert [entry.status for entry in result.entries] == ["sent"] * 4 + ["unknown"] * 2


# --- misuse, and secrets -------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"batch_size": 101},
        {"concurrency": 0},
        {"concurrency": 33},
        {"concurrency": True},
        {"recipients_per_second": 0},
        {"recipients_per_second": 1e-300},
        {"recipients_per_second": float("nan")},
        {"recipients_per_second": "50"},
        {"recipients_per_second": True},
        {"region": "Estonia"},
        {"reference": 5},
        {"on_sending": "x"},
        {"on_progress": 5},
        {"text": " \n\t"},
        {"text": 5},
        {"text": None},
    ],
)
def test_options_that_make_no_sense_are_refused(
    send: Callable[..., BulkResult], smspm_sandbox: Sandbox, options: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError):
        send(numbers(2), **options)
    assert smspm_sandbox.messages == []


def test_one_number_is_no_list(send: Callable[..., BulkResult], smspm_sandbox: Sandbox) -> None:
    with pytest.raises(ConfigurationError):
        send(number(1))
    assert smspm_sandbox.messages == []


def test_unknown_options_are_refused_before_anything_is_sent(
    send: Callable[..., BulkResult], smspm_sandbox: Sandbox
) -> None:
    with pytest.raises(TypeError, match="dry_run"):
        send(numbers(2), dry_run=True)
    assert smspm_sandbox.messages == []


@pytest.mark.parametrize("client", [SmspmClient, AsyncSmspmClient])
def test_the_signature_names_every_option(
    client: type[SmspmClient] | type[AsyncSmspmClient],
) -> None:
    given = inspect.signature(client.send_bulk).parameters
    options = {name for name, each in given.items() if each.kind is each.KEYWORD_ONLY}
    assert options == set(BulkOptions.__annotations__)


@pytest.mark.parametrize("text", ["", "half a pair: \ud83d"])
def test_a_text_that_cannot_be_sent_is_refused_at_once(
    send: Callable[..., BulkResult], text: str
) -> None:
    with pytest.raises(DeliveryRejected):
        send(numbers(2), text)


def test_nobody_is_nobody(send: Callable[..., BulkResult]) -> None:
    assert send([]).entries == ()


def test_no_number_shows(send: Callable[..., BulkResult], smspm_sandbox: Sandbox) -> None:
    told: list[BulkProgress] = []
    result = send([number(1), "+12025550140", "020 2555 01"], on_progress=told.append)
    shown = repr(result) + repr(result.entries) + repr(told)
    for entry in result.entries:
        shown += repr(entry.error) + str(entry.error)
    assert number(1)[3:] not in shown
    assert "2025550140" not in shown
    assert "2555" not in shown
    assert "+37*******01" in shown
