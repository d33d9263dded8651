"""When a call is repeated, when it is not, and how long it may take; in both modes."""

from __future__ import annotations

import json
import logging
import math
import pickle
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from functools import partial
from typing import Any

import pytest
import stamina
from clients import HASH, SOON, TOKEN, Client
from faulty_gateways import GOOD, Recorder, recording, unused_url
from freezegun.api import FrozenDateTimeFactory
from hypothesis import given, strategies as st
from support import Mode

from otpverify import (
    Balance,
    ConfigurationError,
    DeliveryAttempt,
    DeliveryError,
    DeliveryRejected,
    DeliveryUnavailable,
    Message,
    Receipt,
    Retry,
    SmspmClient,
)
from otpverify.gateways.retry import seconds_asked_for
from otpverify.sandbox import Sandbox

Connect = Callable[..., Client]
AGAIN = Retry(first_wait_seconds=0.001, longest_wait_seconds=0.001, after_timeout=True)


@pytest.fixture
def told() -> list[DeliveryAttempt]:
    """The attempts that the client of `connect` reported."""
    return []


@pytest.fixture
def connect(mode: Mode, told: list[DeliveryAttempt]) -> Connect:
    """Makes a client of the test's mode, which repeats after a millisecond."""
    return partial(Client, mode, retry=SOON, on_attempt=told.append)


@pytest.fixture
def gateway() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


@pytest.fixture
def no_waits() -> Iterator[None]:
    """stamina's testing mode: up to four attempts, and no wait between them."""
    with stamina.set_testing(True, attempts=4, cap=True):
        yield


def failing(client: Client, message: Message = GOOD) -> DeliveryError:
    with pytest.raises(DeliveryError) as raised:
        client.send(message)
    return raised.value


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_asks_to_come_back_is_asked_again(
    status: int, connect: Connect, gateway: Recorder, told: list[DeliveryAttempt]
) -> None:
    gateway.replies = [(status, {})] * 2
    with connect(url=gateway.url) as client:
        assert client.send(GOOD) == Receipt("m-1")
    bodies = [json.loads(body) for _, _, _, body in gateway.requests]
    assert bodies == [bodies[0]] * 3
    name = type(client.real).__name__
    code = "rate_limited" if status == 429 else f"http_{status}"
    assert [(a.operation, a.sender, a.number) for a in told] == [
        ("send", name, n) for n in (1, 2, 3)
    ]
    assert [(a.outcome, a.provider_code, a.maybe_sent) for a in told] == [
        *[("unavailable", code, status in (502, 504))] * 2,
        ("ok", None, False),
    ]
    assert all(0 < (a.next_in_seconds or 0) <= 0.001 for a in told[:2])
    assert told[2].next_in_seconds is None


@pytest.mark.parametrize("status", [200, 302, 400, 401, 402, 403, 404, 408, 500, 501])
def test_nothing_else_is(
    status: int, connect: Connect, gateway: Recorder, told: list[DeliveryAttempt]
) -> None:
    gateway.replies = [(status, {"Retry-After": "0"})]
    with connect(url=gateway.url, retry=AGAIN) as client:
        error = failing(client)
    assert len(gateway.requests) == 1
    assert [a.next_in_seconds for a in told] == [None]
    assert isinstance(error, DeliveryRejected) == (status in (400, 401, 402, 403, 404))


def test_the_last_error_is_the_calls(
    connect: Connect, gateway: Recorder, told: list[DeliveryAttempt]
) -> None:
    gateway.replies = [(503, {}), (502, {}), (504, {}), (429, {})]
    with connect(url=gateway.url) as client:
        error = failing(client)
    assert (error.provider_code, error.maybe_sent) == ("http_504", True)
    assert len(told) == len(gateway.requests) == 3


def test_one_attempt_is_one(connect: Connect, gateway: Recorder) -> None:
    gateway.status = 503
    with connect(url=gateway.url, retry=Retry(attempts=1)) as client:
        failing(client)
    assert len(gateway.requests) == 1


def test_a_gateway_that_is_away_is_tried_again(
    connect: Connect, told: list[DeliveryAttempt]
) -> None:
    with connect(url=unused_url()) as client:
        error = failing(client)
    assert (error.provider_code, error.maybe_sent) == ("unreachable", False)
    assert [a.provider_code for a in told] == ["unreachable"] * 3


def test_the_sandbox_works_at_the_second_attempt(
    connect: Connect, smspm_sandbox: Sandbox, told: list[DeliveryAttempt]
) -> None:
    with connect("sandbox-hash", "sandbox-token", url=smspm_sandbox.url) as client:
        receipt = client.send(Message("+12025550113", "904817 is your code."))
    assert receipt.message_id == smspm_sandbox.messages[0].id
    assert [a.outcome for a in told] == ["unavailable", "ok"]


# What may have been taken


def test_a_lost_answer_is_repeated_by_choice_only(connect: Connect, gateway: Recorder) -> None:
    gateway.replies = [(None, {})]
    with connect(url=gateway.url) as client:
        error = failing(client)
        assert (error.provider_code, error.maybe_sent) == ("connection_lost", True)
        gateway.replies = [(None, {}), (None, {})]
    with connect(url=gateway.url, retry=AGAIN) as client:
        assert client.send(GOOD) == Receipt("m-1")
    assert len(gateway.requests) == 4


def test_a_timeout_is_repeated_by_choice_only(
    connect: Connect, told: list[DeliveryAttempt]
) -> None:
    slow = Message("+12025550108", "904817 is your code.")
    with Sandbox(stall_seconds=5) as sandbox:
        options = {"url": sandbox.url, "read_timeout_seconds": 0.05}
        account = ("sandbox-hash", "sandbox-token")
        with connect(*account, **options) as client:
            assert failing(client, slow).provider_code == "timeout"
        assert len(told) == 1
        with connect(*account, retry=AGAIN, **options) as client:
            assert failing(client, slow).maybe_sent
    assert [a.provider_code for a in told] == ["timeout"] * 4


@pytest.mark.parametrize(
    ("replies", "kind", "code", "maybe_sent"),
    [
        ([502, 402], DeliveryUnavailable, "no_balance", True),
        ([504, 429, 503], DeliveryUnavailable, "http_503", True),
        ([None, 400], DeliveryUnavailable, "http_400", True),
        ([None, 429, 401], DeliveryUnavailable, "unauthorized", True),
        ([429, 402], DeliveryRejected, "no_balance", False),
        ([429, 503, 429], DeliveryUnavailable, "rate_limited", False),
        ([429, 429, 503], DeliveryUnavailable, "http_503", False),
        ([429, 503, 500], DeliveryUnavailable, "http_500", True),
    ],
)
def test_an_attempt_that_may_have_been_taken_is_not_forgotten(
    replies: list[int | None],
    kind: type[DeliveryError],
    code: str,
    maybe_sent: bool,
    connect: Connect,
    gateway: Recorder,
) -> None:
    gateway.replies = [(status, {}) for status in replies]
    with connect(url=gateway.url, retry=AGAIN) as client:
        error = failing(client)
    assert (type(error), error.provider_code, error.maybe_sent) == (kind, code, maybe_sent)
    assert gateway.replies == []


def test_a_gateway_that_goes_away_may_have_taken_it(connect: Connect) -> None:
    # Its only connection is dropped, and it listens no more: the second attempt is refused.
    with recording() as gateway:
        gateway.replies = [(None, {})]
        gateway.last = True
        with connect(url=gateway.url, retry=AGAIN) as client:
            error = failing(client)
    assert (error.provider_code, error.maybe_sent) == ("unreachable", True)


# Waiting


def test_a_retry_after_in_seconds_is_honoured(
    connect: Connect, gateway: Recorder, told: list[DeliveryAttempt], no_waits: None
) -> None:
    gateway.replies = [(429, {"Retry-After": "7"}), (503, {"Retry-After": " 2 "}), (429, {})]
    plan = Retry(attempts=4, first_wait_seconds=0.5)
    with connect(url=gateway.url, retry=plan) as client:
        client.send(GOOD)
    first, second, third, last = (a.next_in_seconds for a in told)
    assert (first, second, last) == (7.0, 2.0, None)
    assert third is not None
    assert 1.0 <= third <= 2.0  # the third wait doubles twice, and is drawn from its upper half


def test_a_retry_after_as_a_date_is_honoured(
    connect: Connect,
    gateway: Recorder,
    told: list[DeliveryAttempt],
    clock: FrozenDateTimeFactory,
    no_waits: None,
) -> None:
    now = time.time()
    dates = [formatdate(now + seconds, usegmt=True) for seconds in (4, -60)]
    gateway.replies = [(429, {"Retry-After": date}) for date in dates]
    with connect(url=gateway.url) as client:
        client.send(GOOD)
    assert [a.next_in_seconds for a in told] == [4.0, 0.0, None]


@pytest.mark.parametrize("asked", ["15", "3600", "999999999", "9" * 10, "9" * 400])
def test_a_retry_after_past_the_deadline_ends_it(
    asked: str, connect: Connect, gateway: Recorder, told: list[DeliveryAttempt]
) -> None:
    gateway.replies = [(429, {"Retry-After": asked})]
    with connect(url=gateway.url, retry=Retry(total_seconds=15)) as client:
        error = failing(client)
    assert (error.provider_code, error.maybe_sent) == ("rate_limited", False)
    assert [a.next_in_seconds for a in told] == [None]


@pytest.mark.parametrize(("headers", "says"), [({"Retry-After": "90"}, 90), ({}, None)])
def test_the_error_says_when_the_gateway_wants_to_be_tried_again(
    headers: dict[str, str], says: int | None, connect: Connect, gateway: Recorder
) -> None:
    gateway.replies = [(429, headers)]
    with connect(url=gateway.url, retry=Retry(attempts=1)) as client:
        error = failing(client)
    assert isinstance(error, DeliveryUnavailable)
    assert error.retry_after == says
    assert pickle.loads(pickle.dumps(error)).retry_after == says


def test_of_two_retry_afters_the_longer_counts(
    connect: Connect, gateway: Recorder, told: list[DeliveryAttempt], no_waits: None
) -> None:
    date = formatdate(0, usegmt=True)
    asked = ["3", date, "4"], ["soon", "5"], ["6", "3600"]
    gateway.replies = [(429, {"Retry-After": several}) for several in asked]
    with connect(url=gateway.url, retry=Retry(attempts=4)) as client:
        failing(client)
    assert [a.next_in_seconds for a in told] == [4.0, 5.0, None]


def test_it_really_waits(connect: Connect, gateway: Recorder) -> None:
    gateway.replies = [(429, {}), (429, {})]
    plan = Retry(first_wait_seconds=0.04)
    begun = time.perf_counter()
    with connect(url=gateway.url, retry=plan) as client:
        client.send(GOOD)
    assert time.perf_counter() - begun >= 0.06  # half of 40, half of 80 milliseconds


def test_waits_double_up_to_the_longest_and_are_drawn_from_the_upper_half() -> None:
    plan = Retry(first_wait_seconds=1, longest_wait_seconds=5)
    assert [plan.wait_after(n, 1) for n in (1, 2, 3, 4, 10)] == [1, 2, 4, 5, 5]
    assert [plan.wait_after(n, 0) for n in (1, 2, 3, 4, 10)] == [0.5, 1, 2, 2.5, 2.5]


# The deadline


def test_the_deadline_spans_all_attempts(
    connect: Connect, gateway: Recorder, told: list[DeliveryAttempt]
) -> None:
    gateway.status = 503
    plan = Retry(attempts=10, total_seconds=0.3, first_wait_seconds=0.1, longest_wait_seconds=0.1)
    begun = time.perf_counter()
    with connect(url=gateway.url, retry=plan) as client:
        failing(client)
    assert time.perf_counter() - begun < 5
    assert 1 <= len(told) <= 6
    assert told[-1].next_in_seconds is None


# Account calls


def test_account_calls_are_repeated_and_send_nothing(
    connect: Connect, gateway: Recorder, told: list[DeliveryAttempt]
) -> None:
    gateway.replies = [(503, {}), (None, {})]
    gateway.body = b'{"balance": 3, "senders": ["A"]}'
    with connect(url=gateway.url) as client:
        assert client.balance() == Balance(3.0)
        assert client.sender_ids() == ("A",)
        gateway.replies = [(500, {})]
        with pytest.raises(DeliveryUnavailable) as raised:
            client.balance()
    assert not raised.value.maybe_sent
    assert [a.operation for a in told] == ["balance"] * 3 + ["sender_ids", "balance"]
    assert not any(a.maybe_sent for a in told)


def test_an_exchange_gives_whatever_was_answered(
    connect: Connect, gateway: Recorder, told: list[DeliveryAttempt]
) -> None:
    fields = {"hash": HASH, "token": TOKEN, "toNumber": ["1", "2"], "text": "x"}
    gateway.replies = [(503, {}), (400, {})]
    with connect(url=gateway.url) as client:
        assert client.exchange(fields) == (400, b"{}")
        gateway.replies = [(429, {})] * 3
        with pytest.raises(DeliveryUnavailable) as raised:
            client.exchange(fields)
    assert (raised.value.provider_code, raised.value.maybe_sent) == ("rate_limited", False)
    assert json.loads(gateway.requests[0][3]) == fields
    assert {a.operation for a in told} == {"send_bulk"}


# Observers, stamina, settings


def test_an_observer_that_fails_changes_nothing(
    connect: Connect, gateway: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(attempt: DeliveryAttempt) -> None:
        raise RuntimeError("broken")

    caplog.set_level(logging.DEBUG)
    gateway.replies = [(503, {})]
    with connect(url=gateway.url, on_attempt=fail) as client:
        assert client.send(GOOD) == Receipt("m-1")
    failed = [r for r in caplog.records if "on_attempt failed" in r.getMessage()]
    assert len(failed) == 2


def test_stamina_logs_other_repeats_alone(
    connect: Connect, gateway: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    gateway.replies = [(503, {})]
    with connect(url=gateway.url) as client:
        assert client.send(GOOD) == Receipt("m-1")
    assert [record for record in caplog.records if record.name == "stamina"] == []
    for attempt in stamina.retry_context(on=ValueError, wait_initial=0, wait_jitter=0):
        with attempt:
            if attempt.num == 1:
                raise ValueError
    assert [record.name for record in caplog.records][-1] == "stamina"


def test_stamina_can_switch_it_off(
    connect: Connect, gateway: Recorder, told: list[DeliveryAttempt]
) -> None:
    gateway.status = 503
    stamina.set_active(False)
    try:
        with connect(url=gateway.url) as client:
            failing(client)
    finally:
        stamina.set_active(True)
    assert [a.next_in_seconds for a in told] == [None]


@pytest.mark.parametrize(
    "options",
    [
        {"attempts": 0},
        {"attempts": 11},
        {"attempts": True},
        {"attempts": 2.0},
        {"total_seconds": 0},
        {"total_seconds": -1},
        {"total_seconds": 601},
        {"total_seconds": math.nan},
        {"total_seconds": math.inf},
        {"total_seconds": "3"},
        {"first_wait_seconds": -0.1},
        {"first_wait_seconds": 6},
        {"first_wait_seconds": None},
        {"longest_wait_seconds": 601},
        {"longest_wait_seconds": math.nan},
        {"after_timeout": 1},
    ],
)
def test_plans_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"^Retry: "):
        Retry(**options)


@pytest.mark.parametrize(
    "options", [{"retry": 3}, {"retry": "x"}, {"on_attempt": 3}, {"on_attempt": "async"}]
)
def test_what_is_no_plan_and_no_observer_is_refused(options: dict[str, Any]) -> None:
    async def observer(attempt: DeliveryAttempt) -> None:
        pass

    if options.get("on_attempt") == "async":
        options = {"on_attempt": observer}
    with pytest.raises(ConfigurationError, match=r"retry|on_attempt"):
        SmspmClient(HASH, TOKEN, **options)


RETRY_AFTERS: list[tuple[str | None, float | None]] = [
    (None, None),
    ("", None),
    ("0", 0.0),
    (" 12 ", 12.0),
    ("1.5", None),
    ("-1", None),
    ("٣", None),
    ("9" * 10, 1e9),
    ("0" * 20 + "7", 7.0),
    ("9" * 400, 1e9),
    ("soon", None),
    ("Sun, 01 Mar 2026 12:00:05 GMT", 5.0),
    ("Sunday, 01-Mar-26 12:00:05 GMT", 5.0),
    ("Sun, 01 Mar 2026 12:00:05", 5.0),
    ("Sun, 01 Mar 2026 14:00:05 +0200", 5.0),
    ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
    ("Sun, 99 Mar 2026 11:00:00 GMT", None),
    ("Sun, 01 Mar 99999 11:00:00 GMT", None),
]


def test_reading_a_retry_after(clock: FrozenDateTimeFactory) -> None:
    assert [(said, seconds_asked_for(said)) for said, _ in RETRY_AFTERS] == RETRY_AFTERS


@given(st.text() | st.from_regex(r"\w{3}, \d{1,3} \w{3} \d{1,6} \d\d:\d\d:\d\d [+-]?\w{1,5}"))
def test_whatever_a_retry_after_says_is_a_wait_or_nothing(said: str) -> None:
    seconds = seconds_asked_for(said)
    assert seconds is None or 0 <= seconds < math.inf
