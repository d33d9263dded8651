"""`CelerySender`: what it queues, and what its task does with that. A message is taken off the
queue and handed to the task as a worker hands it; `test_celery_worker.py` has a real one."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from celery.app.task import Context
from celery.exceptions import Reject
from celery.signals import task_retry, task_revoked
from faulty_gateways import unused_url
from freezegun.api import FrozenDateTimeFactory
from support import LONG, OTHER_PHONE, OTHER_SECRET, PHONE, QUICK, SECRET, Face, Mode

from otpverify import (
    AsyncRedisStore,
    AsyncSmspmClient,
    ConfigurationError,
    CooldownActive,
    DeliveryError,
    DeliveryRejected,
    DeliveryStatus,
    DeliveryUnavailable,
    Event,
    FallbackSender,
    FraudPolicy,
    Limit,
    MemoryStore,
    Message,
    Policy,
    Prices,
    RateLimited,
    Receipt,
    Retry,
    StoreError,
)
from otpverify.core.answers import Reported
from otpverify.gateways.smspm.prices import published_prices
from otpverify.integrations.celery import CelerySender
from otpverify.integrations.celery.delivery import QueuedMessage
from otpverify.integrations.web.background import BackgroundSender
from otpverify.testing import OutboxSender

pytestmark = pytest.mark.sync_in_short_form

NAME = "otpverify.deliver"
BUSY = DeliveryUnavailable("Busy.", provider_code="rate_limited", maybe_sent=False, retry_after=7)
NO = DeliveryRejected("No.", provider_code="invalid_phone_number")
LOST = DeliveryUnavailable("Lost.", provider_code="timeout")


class LastingStore(MemoryStore):
    """As a store outside this process looks."""

    process_local = False
    down = False

    def report(self, *args: Any) -> Reported:
        if self.down:
            raise StoreError("Down.")
        return super().report(*args)


class Queue:
    """An application whose queue is in memory, and a verifier that sends through it."""

    def __init__(self, mode: Mode, outbox: OutboxSender, **options: Any) -> None:
        self.mode = mode
        self.outbox = outbox
        self.store = LastingStore()
        self.events: list[Event] = []
        self.app = Celery("tests", broker="memory://", set_as_current=False)
        self.app.conf.task_default_queue = f"queue-{uuid4()}"
        self.sender = self.make(**options)
        self.verifier = self.verify()

    def make(self, sender: Any = None, **options: Any) -> CelerySender:
        """Another sender on the same store."""
        app = options.pop("app", self.app)
        given: dict[str, Any] = {"store": self.store, "secret": SECRET}
        given["on_event"] = self.events.append
        return CelerySender(app, sender or self.outbox, **(given | options))

    def verify(self, **options: Any) -> Face:
        """A verifier of the mode on the sender."""
        given = {"store": self.store, "secret": SECRET, "hasher": QUICK}
        return self.mode.make(self.sender, **(given | options))

    @property
    def waiting(self) -> list[Any]:
        """What is on the queue, taken off."""
        found = []
        with self.app.connection_for_read() as connection:
            queue = connection.SimpleQueue(self.app.conf.task_default_queue)
            while queue.qsize():
                message = queue.get(block=False)
                message.ack()
                found.append(message)
        return found

    def deliver(self, message: Any, name: str = NAME, app: Celery | None = None) -> Any:
        """Have the task run as a worker runs it. Repeats follow at once."""
        args, _, _ = message.payload
        task = (app or self.app).tasks[name]
        return task.apply(args, task_id=message.headers["id"])

    def deliver_all(self) -> list[Any]:
        return [self.deliver(message) for message in self.waiting]


@pytest.fixture
def queue(mode: Mode, outbox: OutboxSender) -> Queue:
    return Queue(mode, outbox)


@pytest.fixture
def waits() -> Iterator[list[float]]:
    """How long the task asked to wait before each repeat."""
    found: list[float] = []

    def note(reason: Any, **_: object) -> None:
        found.append(reason.when)

    task_retry.connect(note)
    yield found
    task_retry.disconnect(note)


def test_it_returns_before_anything_is_sent(queue: Queue) -> None:
    challenge = queue.verifier.start(PHONE)
    assert challenge.message_id
    assert not queue.outbox.messages
    assert [result.state for result in queue.deliver_all()] == ["SUCCESS"]
    code = queue.outbox.code(PHONE)
    assert queue.verifier.check(PHONE, code, challenge=challenge.id).phone == PHONE


def test_a_message_arrives_as_it_was_queued(queue: Queue) -> None:
    challenge = queue.verifier.start(PHONE, locale="uk", purpose="login")
    queue.deliver_all()
    (message,) = queue.outbox.messages
    assert message.expires_at == challenge.expires_at
    assert message.reference
    assert message.report


def test_what_is_queued_shows_nothing(queue: Queue) -> None:
    challenge = queue.verifier.start(PHONE, purpose="login")
    (message,) = queue.waiting
    shown = json.dumps([message.headers, message.properties, message.payload])
    queue.deliver(message)
    for secret in (PHONE[1:], queue.outbox.last.text, queue.outbox.code(), challenge.id, "login"):
        assert secret not in shown
    assert message.headers["argsrepr"] == "(<sealed>,)"
    assert message.headers["expires"] == challenge.expires_at.isoformat()


def test_the_same_message_is_sealed_anew_each_time(queue: Queue) -> None:
    for _ in range(2):
        queue.sender.send(Message(PHONE, "Your table is ready."))
    first, second = (message.payload[0][0] for message in queue.waiting)
    assert first[:20] != second[:20]
    assert len(first) == len(second)


def test_its_length_says_little(queue: Queue) -> None:
    for text in ("1", "123456 is your code."):
        queue.sender.send(Message(PHONE, text))
    assert len({len(message.payload[0][0]) for message in queue.waiting}) == 1


@pytest.mark.parametrize(
    ("error", "status"), [(NO, DeliveryStatus.REJECTED), (BUSY, DeliveryStatus.FAILED)]
)
def test_a_final_failure_gives_the_send_back(
    error: DeliveryError, status: DeliveryStatus, queue: Queue, outbox: OutboxSender
) -> None:
    challenge = queue.verifier.start(PHONE)
    with pytest.raises(CooldownActive):
        queue.verifier.resend(PHONE, challenge=challenge.id)
    outbox.fail_with = error
    (result,) = queue.deliver_all()
    assert (result.state, type(result.result)) == ("FAILURE", type(error))
    assert queue.verifier.status(PHONE, challenge=challenge.id) is status
    assert [(e.operation, e.outcome) for e in queue.events] == [("report", status.value)]
    outbox.fail_with = None
    again = queue.verifier.resend(PHONE, challenge=challenge.id)
    assert again.sends_left == challenge.sends_left
    queue.deliver_all()
    assert queue.verifier.check(PHONE, outbox.code(), challenge=challenge.id)


def test_every_final_failure_gives_back(queue: Queue, outbox: OutboxSender) -> None:
    """Unlike those that carriers report, of which `undelivered_per_phone` counts some only."""
    outbox.fail_with = NO
    for _ in range(8):
        queue.verifier.start(PHONE)
        queue.deliver_all()


def test_what_may_have_been_sent_stays_counted_and_is_not_repeated(
    queue: Queue, outbox: OutboxSender, waits: list[float]
) -> None:
    challenge = queue.verifier.start(PHONE)
    outbox.fail_with = LOST
    (result,) = queue.deliver_all()
    assert (result.state, waits) == ("FAILURE", [])
    with pytest.raises(CooldownActive):
        queue.verifier.resend(PHONE, challenge=challenge.id)
    assert queue.verifier.status(PHONE, challenge=challenge.id) is DeliveryStatus.QUEUED


def test_nothing_is_given_back_where_that_would_tell(mode: Mode, outbox: OutboxSender) -> None:
    queue = Queue(mode, outbox, give_back=False)
    outbox.fail_with = NO
    challenge = queue.verifier.start(PHONE)
    queue.deliver_all()
    with pytest.raises(CooldownActive):
        queue.verifier.resend(PHONE, challenge=challenge.id)


def test_what_is_busy_is_tried_again(
    queue: Queue, outbox: OutboxSender, waits: list[float]
) -> None:
    def note(**_: object) -> None:
        outbox.fail_with = None if len(waits) == 3 else BUSY

    task_retry.connect(note)
    outbox.fail_with = BUSY
    challenge = queue.verifier.start(PHONE)
    (result,) = queue.deliver_all()
    task_retry.disconnect(note)
    assert (result.state, len(waits), len(outbox)) == ("SUCCESS", 3, 1)
    assert queue.verifier.check(PHONE, outbox.code(), challenge=challenge.id)


def test_waits_are_jittered_and_heed_the_gateway(
    mode: Mode, outbox: OutboxSender, waits: list[float]
) -> None:
    retry = Retry(attempts=5, total_seconds=600, first_wait_seconds=1, longest_wait_seconds=2)
    queue = Queue(mode, outbox, retry=retry)
    outbox.fail_with = BUSY
    for phone in (PHONE, OTHER_PHONE):
        queue.verifier.start(phone)
    queue.deliver_all()
    assert len(waits) == 8
    assert all(7 + 0.5 <= wait <= 7 + 2 for wait in waits)
    assert waits[:4] != waits[4:]


@pytest.mark.parametrize(
    ("retry_after", "repeats"), [(None, True), (40, True), (60, False), (300, False)]
)
def test_a_repeat_that_would_come_too_late_is_none(
    retry_after: int | None,
    repeats: bool,
    queue: Queue,
    outbox: OutboxSender,
    waits: list[float],
) -> None:
    verifier = queue.verify(policy=Policy(ttl_seconds=60))
    verifier.start(PHONE)
    outbox.fail_with = DeliveryUnavailable(maybe_sent=False, retry_after=retry_after)
    queue.deliver_all()
    assert bool(waits) == repeats


def test_after_timeout_repeats_what_may_have_been_sent(
    mode: Mode, outbox: OutboxSender, waits: list[float]
) -> None:
    queue = Queue(mode, outbox, retry=Retry(attempts=2, after_timeout=True))
    outbox.fail_with = LOST
    challenge = queue.verifier.start(PHONE)
    queue.deliver_all()
    assert len(waits) == 1
    with pytest.raises(CooldownActive):
        queue.verifier.resend(PHONE, challenge=challenge.id)


def test_a_dead_code_is_not_delivered(queue: Queue, clock: FrozenDateTimeFactory) -> None:
    verifier = queue.verify(policy=Policy(sends_per_phone=(Limit(1, 86_400),)))
    verifier.start(PHONE)
    (message,) = queue.waiting
    clock.tick(600)
    with pytest.raises(RateLimited):
        verifier.start(PHONE)
    result = queue.deliver(message)
    assert (result.state, result.result.provider_code) == ("FAILURE", "expired")
    assert not queue.outbox.messages
    verifier.start(PHONE)  # its send was given back


def dropped(queue: Queue, message: Any) -> None:
    """What Celery says when it discards a task."""
    request = Context(args=message.payload[0], kwargs={})
    task = queue.app.tasks[NAME]
    task_revoked.send(sender=task, request=request, terminated=False, signum=None, expired=True)


def test_what_celery_drops_is_given_back(queue: Queue) -> None:
    challenge = queue.verifier.start(PHONE)
    (message,) = queue.waiting
    dropped(queue, message)
    queue.verifier.resend(PHONE, challenge=challenge.id)
    queue.deliver(message)
    assert not queue.outbox.messages, "it was dropped"


@pytest.mark.parametrize("hours", [0, 1, 12, 23, 24, 25, 24 * 8])
@pytest.mark.parametrize("how", ["delivered", "dropped"])
def test_what_was_begun_is_never_given_back(
    how: str, hours: int, queue: Queue, clock: FrozenDateTimeFactory
) -> None:
    """The worker was lost before it acknowledged the task, and the broker's visibility timeout is
    longer than the code lives."""
    verifier = queue.verify(policy=Policy(sends_per_phone=(Limit(1, 10**7),)))
    verifier.start(PHONE)
    (message,) = queue.waiting
    queue.deliver(message)
    clock.tick(3600 * hours + 1)
    if how == "delivered":
        result = queue.deliver(message)
        assert result.result.provider_code in {"begun_before", "too_late"}
        assert result.result.maybe_sent
    else:
        dropped(queue, message)
    assert not queue.events, "nothing was given back"
    with pytest.raises(RateLimited):
        verifier.start(PHONE)
    assert len(queue.outbox) == 1


@pytest.mark.parametrize("hours", [1, 12, 23])
@pytest.mark.parametrize("how", ["delivered", "dropped"])
def test_what_was_never_begun_is_given_back(
    how: str, hours: int, queue: Queue, clock: FrozenDateTimeFactory
) -> None:
    verifier = queue.verify(policy=Policy(sends_per_phone=(Limit(1, 10**7),)))
    verifier.start(PHONE)
    (message,) = queue.waiting
    clock.tick(3600 * hours)
    if how == "delivered":
        assert queue.deliver(message).result.provider_code == "expired"
    else:
        dropped(queue, message)
    verifier.start(PHONE)
    assert not queue.outbox.messages


@pytest.mark.parametrize("hours", [-23, -1, 1, 23])
def test_a_worker_whose_clock_is_wrong_sends_once_and_gives_nothing_back(
    hours: int, queue: Queue, clock: FrozenDateTimeFactory
) -> None:
    """The store's clock is right, and so is that of the process that queues."""
    offset = [0.0]
    queue.store = LastingStore(clock=lambda: time.time() - offset[0])
    queue.app = Celery("clocks", broker="memory://", set_as_current=False)
    queue.app.conf.task_default_queue = f"clocks-{uuid4()}"
    queue.sender = queue.make()
    verifier = queue.verify(policy=Policy(sends_per_phone=(Limit(1, 10**7),)))
    verifier.start(PHONE)
    (message,) = queue.waiting
    queue.deliver(message)
    offset[0] = 3600.0 * hours
    clock.tick(3600 * hours)
    for _ in range(3):
        queue.deliver(message)
        dropped(queue, message)
    assert len(queue.outbox) == 1
    with pytest.raises(RateLimited):
        verifier.start(PHONE)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), (None, None), ("text", "text"), ((7, 8), {}), ((), {"sealed": 7}), ((None,), {})],
)
def test_a_dropped_task_with_altered_arguments_is_ignored(
    args: Any, kwargs: Any, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    request = Context(args=args, kwargs=kwargs)
    task = queue.app.tasks[NAME]
    ((_, answer),) = task_revoked.send(sender=task, request=request, terminated=False)
    assert answer is None
    assert "could not be given back" in caplog.text


def test_a_dropped_task_whose_argument_has_its_name_is_given_back(queue: Queue) -> None:
    challenge = queue.verifier.start(PHONE)
    (message,) = queue.waiting
    request = Context(args=(), kwargs={"sealed": message.payload[0][0]})
    task_revoked.send(sender=queue.app.tasks[NAME], request=request, terminated=False)
    queue.verifier.resend(PHONE, challenge=challenge.id)


def test_what_was_begun_is_not_given_back_when_it_is_dropped(queue: Queue) -> None:
    challenge = queue.verifier.start(PHONE)
    (message,) = queue.waiting
    queue.deliver(message)
    dropped(queue, message)
    with pytest.raises(CooldownActive):
        queue.verifier.resend(PHONE, challenge=challenge.id)


def test_what_a_broker_delivers_twice_is_sent_once(queue: Queue) -> None:
    queue.verifier.start(PHONE)
    (message,) = queue.waiting
    first, second = queue.deliver(message), queue.deliver(message)
    assert (first.state, second.state) == ("SUCCESS", "FAILURE")
    assert (second.result.provider_code, second.result.maybe_sent) == ("begun_before", True)
    assert len(queue.outbox) == 1


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def with_spare_bits(sealed: str) -> str:
    """The text with other bits where its last character has bits to spare."""
    stem, padding = sealed.rstrip("="), sealed[len(sealed.rstrip("=")) :]
    assert padding, "otherwise no bit is spare"
    return stem[:-1] + ALPHABET[ALPHABET.index(stem[-1]) ^ 1] + padding


ALTERED: dict[str, Callable[[str], str]] = {
    **{
        f"{character!r} at {place}": lambda sealed, character=character, place=place: (  # type: ignore[misc]  # defaults of a lambda
            sealed[:place] + character + sealed[place:]
        )
        for character in ("!", "\n", "\r\n", " ", "\t", "\0", "é", "=", "%", "\u200b", "\ufeff")
        for place in (0, 20, 21, 10_000)
    },
    "no padding": lambda sealed: sealed.rstrip("="),
    "more padding": lambda sealed: sealed + "==",
    "padding doubled": lambda sealed: sealed.replace("=", "=="),
    "spare bits": with_spare_bits,
    "the other alphabet": lambda sealed: sealed.replace("-", "+").replace("_", "/"),
    "twice": lambda sealed: sealed + sealed,
    "cut": lambda sealed: sealed[:-4],
    "a character less": lambda sealed: sealed[1:],
    "another case": str.swapcase,
    "a bit": lambda sealed: sealed[:30] + ("A" if sealed[30] != "A" else "B") + sealed[31:],
}


def with_padding(queue: Queue, text: str) -> Any:
    """A queued message whose sealed text ends with padding and has both `-` and `_`, so that every
    alteration alters something."""
    while True:
        queue.sender.send(Message(PHONE, text))
        (message,) = queue.waiting
        if {"-", "_", "="} <= set(message.payload[0][0]):
            return message


def test_a_text_that_was_altered_on_the_broker_is_not_sent(queue: Queue) -> None:
    message = with_padding(queue, "Your code is 904817.")
    sealed = message.payload[0][0]
    task = queue.app.tasks[NAME]

    def refuses(alterations: Iterable[str]) -> None:
        for how in alterations:
            altered = ALTERED[how](sealed)
            assert altered != sealed, how
            assert isinstance(task.apply((altered,)).result, ConfigurationError), how

    refuses(ALTERED)
    assert not queue.outbox.messages
    assert queue.deliver(message).state == "SUCCESS"
    # The same after it was sent; each of them is tried ten times.
    refuses(ALTERED if LONG else ["twice", "a bit"])
    assert len(queue.outbox) == 1


def test_one_start_is_one_message_however_it_is_queued_again(queue: Queue) -> None:
    """Under the same and other ids, in other envelopes, before and after it expired."""
    challenge = queue.verifier.start(PHONE)
    (message,) = queue.waiting
    (sealed,) = message.payload[0]
    task = queue.app.tasks[NAME]
    for options in (
        {},
        {"task_id": message.headers["id"]},
        {"task_id": "another"},
        {"kwargs": {"sealed": sealed}},
        {"retries": 1},
        {"retries": 9_999},
        {"retries": -5},
        {"headers": {"retries": 3, "expires": None, "argsrepr": "?"}},
    ):
        task.apply(() if "kwargs" in options else (sealed,), **options)
        for wrong_call in ((sealed, sealed), ()):
            task.apply(wrong_call, **{**options, "kwargs": {"more": sealed}})
    assert len(queue.outbox) == 1
    with pytest.raises(CooldownActive):
        queue.verifier.resend(PHONE, challenge=challenge.id)
    assert queue.verifier.status(PHONE, challenge=challenge.id) is DeliveryStatus.QUEUED


@pytest.mark.parametrize("retries", [-(10**9), -1, 0, 10**9])
def test_the_brokers_count_of_retries_changes_nothing(
    retries: int, queue: Queue, outbox: OutboxSender, waits: list[float]
) -> None:
    """How often a message is tried is part of what is sealed."""
    outbox.fail_with = BUSY
    queue.verifier.start(PHONE)
    (message,) = queue.waiting
    task = queue.app.tasks[NAME]
    result = task.apply(message.payload[0], retries=retries)
    assert isinstance(result.result, DeliveryUnavailable)
    assert len(waits) == 9


@pytest.mark.parametrize("retries", [-(10**9), -1, 9, 10**9, "7", 1.5, None, True])
def test_what_cannot_be_opened_is_not_tried_for_ever(
    retries: Any, queue: Queue, waits: list[float]
) -> None:
    task = queue.app.tasks[NAME]
    task.push_request(id="a", retries=retries, is_eager=True)
    try:
        with pytest.raises(ConfigurationError):
            task.run("nonsense")
    finally:
        task.pop_request()
    assert not waits


def test_workers_at_once_send_once(queue: Queue) -> None:
    queue.verifier.start(PHONE)
    (message,) = queue.waiting
    (sealed,) = message.payload[0]
    attempt = queue.sender._delivery.attempt
    outcomes = Mode().together([lambda: attempt(sealed)] * 16)
    assert outcomes.count(None) == 1
    assert len(queue.outbox) == 1


def test_a_message_of_ones_own_that_lives_for_days_is_sent_once(
    queue: Queue, clock: FrozenDateTimeFactory
) -> None:
    expires_at = clock().replace(tzinfo=UTC) + timedelta(days=9)
    queue.sender.send(Message(PHONE, "Your table is ready.", expires_at=expires_at))
    (message,) = queue.waiting
    for _ in range(10):
        queue.deliver(message)
        clock.tick(86_399)
    assert len(queue.outbox) == 1


def test_a_marker_whose_reply_was_lost_sends_nothing(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store set it and did not answer: whether it was begun is unknown."""
    challenge = queue.verifier.start(PHONE)
    real = queue.store.reserve

    def lost(*args: Any) -> Any:
        real(*args)
        raise StoreError("No answer.")

    monkeypatch.setattr(queue.store, "reserve", lost)
    (result,) = queue.deliver_all()
    assert not queue.outbox.messages
    assert isinstance(result.result, DeliveryUnavailable | StoreError)
    monkeypatch.undo()
    with pytest.raises(CooldownActive):
        queue.verifier.resend(PHONE, challenge=challenge.id)


def test_a_store_that_is_full_fails_closed(mode: Mode, outbox: OutboxSender) -> None:
    queue = Queue(mode, outbox)
    queue.store = LastingStore(capacity=1, counter_capacity=1)
    queue.app = Celery("full", broker="memory://", set_as_current=False)
    queue.app.conf.task_default_queue = f"full-{uuid4()}"
    queue.sender = queue.make(store=queue.store)
    queue.sender.send(Message(PHONE, "Your table is ready."))
    (message,) = queue.waiting
    queue.store.reserve("another", (Limit(1, 10**6),))
    assert isinstance(queue.deliver(message).result, StoreError)
    assert not outbox.messages


def test_a_next_attempt_that_the_broker_took_without_an_answer_is_sent_at_most_once(
    queue: Queue, outbox: OutboxSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given back, so it must not be sent afterwards."""
    challenge = queue.verifier.start(PHONE)
    (message,) = queue.waiting
    outbox.fail_with = BUSY
    task = queue.app.tasks[NAME]
    queued: list[str] = []

    def lost(args: tuple[str], **_: Any) -> Any:
        queued.extend(args)
        raise Reject("No answer.", requeue=False)

    monkeypatch.setattr(task, "retry", lost)
    result = queue.deliver(message)
    assert result.result.provider_code == BUSY.provider_code
    monkeypatch.undo()
    outbox.fail_with = None
    queue.verifier.resend(PHONE, challenge=challenge.id)
    task.apply(queued)
    assert not outbox.messages


def test_a_next_attempt_that_may_be_sent_is_not_given_back(
    queue: Queue, outbox: OutboxSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    challenge = queue.verifier.start(PHONE)
    (message,) = queue.waiting
    outbox.fail_with = BUSY
    task = queue.app.tasks[NAME]

    def lost(**_: Any) -> Any:
        def down(*_: object) -> Any:
            raise StoreError("Down.")

        monkeypatch.setattr(queue.store, "reserve", down)
        raise Reject("No answer.", requeue=False)

    monkeypatch.setattr(task, "retry", lost)
    result = queue.deliver(message)
    assert (result.result.provider_code, result.result.maybe_sent) == ("not_queued", True)
    monkeypatch.undo()
    with pytest.raises(CooldownActive):
        queue.verifier.resend(PHONE, challenge=challenge.id)


def test_a_repeat_that_the_broker_delivers_twice_is_sent_once(
    queue: Queue, outbox: OutboxSender
) -> None:
    """Each attempt has a marker of its own, and the content of the next one is encrypted again."""
    sealed: list[str] = []

    def note(request: Any, reason: Any, **_: object) -> None:
        sealed.append(reason.sig.args[0])
        outbox.fail_with = None

    queue.verifier.start(PHONE)
    outbox.fail_with = BUSY
    task_retry.connect(note)
    (result,) = queue.deliver_all()
    task_retry.disconnect(note)
    assert (result.state, len(outbox)) == ("SUCCESS", 1)
    task = queue.app.tasks[NAME]
    assert task.apply(sealed, retries=1).result.provider_code == "begun_before"
    assert len(outbox) == 1


@pytest.mark.parametrize(
    ("theirs", "ours", "opens"),
    [
        (SECRET, OTHER_SECRET, False),
        (SECRET, [OTHER_SECRET, SECRET], True),
        ([OTHER_SECRET, SECRET], SECRET, False),
        ([OTHER_SECRET, SECRET], [SECRET, OTHER_SECRET], True),
    ],
)
def test_secrets_rotate(
    theirs: Any, ours: Any, opens: bool, mode: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    queue = Queue(mode, OutboxSender(), secret=theirs)
    queue.verify(secret=theirs).start(PHONE)
    (message,) = queue.waiting
    worker = Celery("worker", broker="memory://", set_as_current=False)
    queue.make(secret=ours, app=worker)
    with caplog.at_level(logging.DEBUG):
        result = queue.deliver(message, app=worker)
    assert len(queue.outbox) == opens
    if not opens:
        assert isinstance(result.result, ConfigurationError)
        assert "could not be delivered: No secret of this worker opens" in caplog.text
        assert "No secret of this worker opens" in str(result.result)
    for secret in (SECRET, OTHER_SECRET, PHONE[1:], message.payload[0][0]):
        assert secret not in caplog.text + str(result.result) + (result.traceback or "")


@pytest.mark.parametrize("sealed", ["", "é", "AAAA", "A" * 400, None, 7])
def test_what_strangers_queue_is_refused(sealed: object, queue: Queue) -> None:
    result = queue.app.tasks[NAME].apply([sealed])
    assert isinstance(result.result, ConfigurationError)


def test_what_was_sealed_for_one_sender_opens_for_no_other(queue: Queue) -> None:
    queue.make(name="other")
    queue.verifier.start(PHONE)
    (message,) = queue.waiting
    assert isinstance(queue.deliver(message, "other").result, ConfigurationError)


def test_a_store_that_is_down_for_a_moment_costs_nothing(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.verifier.start(PHONE)
    real, failures = queue.store.reserve, iter([1, 1])

    def reserve(*args: Any) -> Any:
        if next(failures, None):
            raise StoreError("Down.")
        return real(*args)

    monkeypatch.setattr(queue.store, "reserve", reserve)
    (result,) = queue.deliver_all()
    assert (result.state, len(queue.outbox)) == ("SUCCESS", 1)


def test_a_store_that_stays_down_fails_closed(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> Any:
        raise StoreError("Down.")

    queue.verifier.start(PHONE)
    monkeypatch.setattr(queue.store, "reserve", down)
    (result,) = queue.deliver_all()
    assert isinstance(result.result, StoreError)
    assert not queue.outbox.messages


def test_a_send_that_cannot_be_given_back_is_logged(
    queue: Queue, outbox: OutboxSender, caplog: pytest.LogCaptureFixture
) -> None:
    queue.verifier.start(PHONE)
    outbox.fail_with = NO
    queue.store.down = True
    (result,) = queue.deliver_all()
    assert isinstance(result.result, DeliveryRejected)
    assert "could not be given back: Down." in caplog.text


@pytest.mark.parametrize("kind", [ValueError, DeliveryUnavailable, DeliveryRejected])
def test_what_a_sender_says_of_a_message_goes_nowhere(
    kind: type[Exception], mode: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    class Talkative(OutboxSender):
        def send(self, message: Message) -> Receipt:
            super().send(message)
            try:
                raise OSError(message.text)
            except OSError:
                raise kind(f"POST {message.to} {message.text} {message.report}")  # noqa: B904 - a context to lose

    outbox = Talkative()
    queue = Queue(mode, outbox)
    queue.verifier.start(PHONE)
    with caplog.at_level(logging.DEBUG):
        (result,) = queue.deliver_all()
    assert isinstance(result.result, DeliveryError)
    said = caplog.text + repr(result.result) + result.traceback
    for secret in (PHONE[1:], outbox.code(), str(outbox.last.report)):
        assert secret not in said


def test_an_error_of_ones_own(mode: Mode) -> None:
    class Odd(DeliveryRejected):
        def __init__(self, message: str, status: int) -> None:
            super().__init__(message)
            self.status = status

    class OddSender(OutboxSender):
        def send(self, message: Message) -> Receipt:
            raise Odd("No.", status=7) from ValueError(message.text)

    queue = Queue(mode, OddSender())
    challenge = queue.verifier.start(PHONE)
    (result,) = queue.deliver_all()
    assert "No." in str(result.result)
    assert queue.verifier.status(PHONE, challenge=challenge.id) is DeliveryStatus.REJECTED


def test_a_sender_that_returns_nonsense(mode: Mode) -> None:
    class Nonsense(OutboxSender):
        def send(self, message: Message) -> Receipt:
            return "sent"  # type: ignore[return-value]  # that is the point

    queue = Queue(mode, Nonsense())
    queue.verifier.start(PHONE)
    (result,) = queue.deliver_all()
    assert "returned str" in str(result.result)


def test_a_broker_that_is_down_costs_nobody_a_send(mode: Mode, outbox: OutboxSender) -> None:
    queue = Queue(mode, outbox)
    down = Celery("down", broker=unused_url().replace("http", "redis"), set_as_current=False)
    down.conf.task_publish_retry = False  # by default it takes 0.6 seconds
    down.conf.broker_transport_options = {"max_retries": 0}
    queue.sender = queue.make(app=down)
    verifier = queue.verify()
    for _ in range(7):  # more than any limit admits
        with pytest.raises(DeliveryUnavailable, match="could not be queued") as raised:
            verifier.start(PHONE)
        assert (raised.value.provider_code, raised.value.maybe_sent) == ("not_queued", False)
        assert raised.value.__cause__ is raised.value.__context__ is None


def test_what_a_broker_took_without_saying_so_is_not_delivered(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = queue.app.tasks[NAME]
    real = task.apply_async

    def lost(*args: Any, **options: Any) -> Any:
        real(*args, **options)
        raise ConnectionError("redis://user:password@broker went away")

    monkeypatch.setattr(task, "apply_async", lost)
    with pytest.raises(DeliveryUnavailable) as raised:
        queue.verifier.start(PHONE)
    assert (raised.value.maybe_sent, "password" in str(raised.value)) == (False, False)
    queue.deliver_all()
    assert not queue.outbox.messages, "the error said that it was not sent"


def test_nobody_knows_when_the_store_is_down_as_well(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object, **__: object) -> Any:
        raise StoreError("Down.")

    monkeypatch.setattr(queue.app.tasks[NAME], "apply_async", down)
    monkeypatch.setattr(queue.store, "reserve", down)
    with pytest.raises(DeliveryUnavailable) as raised:
        queue.sender.send(Message(PHONE, "Hello."))
    assert raised.value.maybe_sent


def test_a_decoy_is_not_queued(queue: Queue) -> None:
    real = queue.verifier.start(PHONE)
    decoy = queue.verifier.start(OTHER_PHONE, deliver=False)
    assert len(queue.waiting) == 1
    assert len(real.message_id or "") == len(decoy.message_id or ""), "nor does it show"


def application(**conf: Any) -> Celery:
    """An application with these settings, and a task of its own."""
    app = Celery("settings", broker="memory://", set_as_current=False)
    app.conf.update(conf)
    return app


Options = Callable[[], dict[str, Any]]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (lambda: {"app": object()}, "must be a Celery application"),
        (lambda: {"sender": object()}, "is not a sender"),
        (lambda: {"sender": AsyncSmspmClient("a", "b")}, "asynchronous"),
        (lambda: {"store": AsyncRedisStore.from_url("redis://localhost")}, "asynchronous"),
        (lambda: {"store": MemoryStore()}, "lives in this process"),
        (lambda: {"secret": "short"}, "at least 32 bytes"),
        (lambda: {"secret": []}, "at least one"),
        (lambda: {"name": "ping"}, "choose another name"),
        (
            lambda: {"queue": "missing", "app": application(task_create_missing_queues=False)},
            "queue",
        ),
        (lambda: {"app": application(accept_content=["pickle"])}, "accept_content"),
        (lambda: {"app": application(accept_content=[])}, "accept_content"),
        (lambda: {"app": application(accept_content=["unknown"])}, "accept_content"),
        (lambda: {"app": application(accept_content={"application/x-yaml"})}, "accept_content"),
        (
            lambda: {"app": application(task_annotations={"*": {"serializer": "x"}})},
            "accept_content",
        ),
    ],
)
def test_what_does_not_fit_is_refused(options: Options, says: str, outbox: OutboxSender) -> None:
    queue = Queue(Mode(), outbox)

    def ping() -> None: ...

    queue.app.task(ping, name="ping", shared=False)
    given = {"name": "another", **options()}
    with pytest.raises(ConfigurationError, match=says):
        queue.make(**given)


def test_what_a_newer_version_queued_is_delivered(
    queue: Queue, outbox: OutboxSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers and web processes are renewed one after the other."""
    packed = QueuedMessage.packed
    monkeypatch.setattr(QueuedMessage, "packed", lambda self: {**packed(self), "validity": 60})
    queue.verifier.start(PHONE)
    monkeypatch.undo()
    assert [result.state for result in queue.deliver_all()] == ["SUCCESS"]
    assert len(outbox) == 1


def test_two_senders_have_a_task_and_a_queue_each(queue: Queue) -> None:
    other = queue.make(name="brand.deliver", queue="brand")
    other.send(Message(PHONE, "Hello."))
    assert not queue.waiting
    with queue.app.connection_for_read() as connection:
        (task, _, _) = connection.SimpleQueue("brand").get(block=False).payload
    assert queue.app.tasks["brand.deliver"].apply(task).state == "SUCCESS"
    assert len(queue.outbox) == 1


def test_reprs_say_little(queue: Queue) -> None:
    assert repr(queue.sender) == "<CelerySender otpverify.deliver>"


@pytest.mark.parametrize(
    "conf",
    [
        {"accept_content": ["application/json"]},
        {"accept_content": {"json", "yaml"}},
        {"accept_content": None},
        {"task_serializer": "pickle", "accept_content": ["pickle", "json"]},
        {"result_serializer": "pickle", "result_backend": None},
        {"task_protocol": 1},
    ],
)
def test_settings_that_carry_the_task(
    conf: dict[str, Any], queue: Queue, outbox: OutboxSender
) -> None:
    sender = queue.make(app=application(**conf))
    assert sender.send(Message(PHONE, "Your table is ready.")).message_id


def test_a_refused_application_keeps_its_earlier_task(queue: Queue, outbox: OutboxSender) -> None:
    queue.app.conf.accept_content = ["pickle"]
    with pytest.raises(ConfigurationError, match="accept_content"):
        queue.make(OutboxSender())
    queue.sender.send(Message(PHONE, "Your table is ready."))
    (message,) = queue.waiting
    assert queue.deliver(message).state == "SUCCESS"
    assert len(outbox) == 1


def test_a_second_sender_of_the_same_parts_works_beside_the_first(queue: Queue) -> None:
    second = queue.make()
    for sender in (queue.sender, second, queue.sender):
        sender.send(Message(PHONE, "Your table is ready."))
    assert [result.state for result in queue.deliver_all()] == ["SUCCESS"] * 3
    assert len(queue.outbox) == 3


@pytest.mark.parametrize("other", [{"sender": OutboxSender()}, {"secret": OTHER_SECRET}])
def test_a_second_sender_of_other_parts_replaces_the_first(
    other: dict[str, Any], queue: Queue, outbox: OutboxSender
) -> None:
    """Messages of the first would be delivered by the second, so the first refuses them."""
    second = queue.make(**other)
    for _ in range(7):  # more than any limit admits
        with pytest.raises(DeliveryUnavailable, match="a name of its own") as raised:
            queue.verifier.start(PHONE)
        assert not raised.value.maybe_sent
    assert not queue.waiting
    second.send(Message(PHONE, "Your table is ready."))
    assert [result.state for result in queue.deliver_all()] == ["SUCCESS"]
    third = queue.make()  # as when the settings are as they were
    third.send(Message(PHONE, "Your table is ready."))
    assert [result.state for result in queue.deliver_all()] == ["SUCCESS"]
    assert len(outbox) >= 1


def test_a_dropped_task_is_given_back_once_after_a_replacement(queue: Queue) -> None:
    queue.sender = queue.make()
    challenge = queue.verify().start(PHONE)
    (message,) = queue.waiting
    dropped(queue, message)
    assert [event.outcome for event in queue.events] == ["expired"]
    queue.verifier.resend(PHONE, challenge=challenge.id)


def eager(propagates: bool = False) -> Celery:
    """An application that runs tasks at once, as in tests of applications."""
    app = Celery("eager", set_as_current=False)
    app.conf.task_always_eager = True
    app.conf.task_eager_propagates = propagates
    return app


def test_senders_of_an_eager_application_each_deliver_their_own_messages(mode: Mode) -> None:
    app, store = eager(), MemoryStore()
    made = []
    for secret in (SECRET, OTHER_SECRET, SECRET):
        outbox = OutboxSender()
        sender = CelerySender(app, outbox, store=store, secret=secret)
        made.append((outbox, mode.make(sender, store=store, secret=secret, hasher=QUICK)))
    for number, (outbox, verifier) in enumerate(made + made[::-1]):
        phone = f"+1202555{200 + number:04}"
        challenge = verifier.start(phone)
        assert verifier.check(phone, outbox.code(phone), challenge=challenge.id)
    assert [len(outbox) for outbox, _ in made] == [2, 2, 2]


@pytest.mark.parametrize("error", [NO, BUSY, LOST])
def test_an_eager_application_that_propagates_raises_the_senders_error(
    error: DeliveryError, mode: Mode, outbox: OutboxSender
) -> None:
    store = MemoryStore()
    sender = CelerySender(eager(propagates=True), outbox, store=store, secret=SECRET)
    policy = Policy(sends_per_phone=(Limit(2, 3600),))
    verifier = mode.make(sender, store=store, secret=SECRET, hasher=QUICK, policy=policy)
    outbox.fail_with = error
    with pytest.raises(type(error)) as raised:
        verifier.start(PHONE)
    assert str(raised.value) == str(error)
    assert raised.value.provider_code == error.provider_code
    assert raised.value.maybe_sent == error.maybe_sent
    outbox.fail_with = None
    if error.maybe_sent:
        with pytest.raises(CooldownActive):
            verifier.start(PHONE)
        return
    assert verifier.start(PHONE).sends_left == 1, "it was given back, once"
    with pytest.raises(CooldownActive):
        verifier.start(PHONE)


def test_an_eager_application_that_propagates_ends_when_the_store_is_down(
    outbox: OutboxSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore()
    sender = CelerySender(eager(propagates=True), outbox, store=store, secret=SECRET)

    def down(*_: object) -> Any:
        raise StoreError("Down.")

    monkeypatch.setattr(store, "reserve", down)
    with pytest.raises(DeliveryUnavailable):
        sender.send(Message(PHONE, "Your table is ready."))
    assert not outbox.messages


def test_an_eager_application_that_does_not_propagate_reports_failures(
    mode: Mode, outbox: OutboxSender
) -> None:
    """As with a worker: `start` returns, and `status` shows it."""
    store = MemoryStore()
    sender = CelerySender(eager(), outbox, store=store, secret=SECRET)
    verifier = mode.make(sender, store=store, secret=SECRET, hasher=QUICK)
    outbox.fail_with = NO
    challenge = verifier.start(PHONE)
    assert verifier.status(PHONE, challenge=challenge.id) is DeliveryStatus.REJECTED


def test_an_application_that_runs_tasks_at_once(mode: Mode, outbox: OutboxSender) -> None:
    """As tests of applications do."""
    app = eager()
    store = MemoryStore()
    sender = CelerySender(app, outbox, store=store, secret=SECRET)
    verifier = mode.make(sender, store=store, secret=SECRET, hasher=QUICK)
    challenge = verifier.start(PHONE)
    assert verifier.check(PHONE, outbox.code(), challenge=challenge.id)


class Priced(OutboxSender):
    """A sender that has prices of its own."""

    prices = Prices({"EE": Decimal(2)}, default=Decimal(3))


PRICED: dict[str, Callable[[MemoryStore], Any]] = {
    "fallback": lambda _: FallbackSender(OutboxSender(), Priced()),
    "background": lambda _: BackgroundSender(Priced()),
    "celery": lambda store: CelerySender(eager(), Priced(), store=store, secret=SECRET),
    "celery, fallback": lambda store: CelerySender(
        eager(), FallbackSender(OutboxSender(), Priced()), store=store, secret=SECRET
    ),
    "fallback, celery": lambda store: FallbackSender(
        OutboxSender(), CelerySender(eager(), Priced(), store=store, secret=SECRET)
    ),
    "background, celery": lambda store: BackgroundSender(
        CelerySender(eager(), Priced(), store=store, secret=SECRET)
    ),
}


@pytest.mark.parametrize("wrapped", PRICED)
def test_the_prices_of_a_sender_count_behind_others(wrapped: str, mode: Mode) -> None:
    store = MemoryStore()
    events: list[Event] = []
    verifier = mode.make(
        PRICED[wrapped](store),
        store=store,
        secret=SECRET,
        hasher=QUICK,
        fraud=FraudPolicy(),
        on_event=events.append,
    )
    verifier.start(PHONE)
    assert events[0].cost == Decimal(2)


def test_without_prices_those_of_the_list_count(queue: Queue) -> None:
    assert queue.sender.prices is None
    events: list[Event] = []
    queue.verify(fraud=FraudPolicy(), on_event=events.append).start(PHONE)
    assert events[0].cost == published_prices().of("EE")


@pytest.mark.parametrize(
    "other",
    [
        {"expires_at": 1e300},
        {"expires_at": float("nan")},
        {"expires_at": float("inf")},
        {"expires_at": 10**400},
        {"expires_at": "soon"},
        {"queued_at": 1e300},
        {"queued_at": None},
        {"id": 5},
        {"attempt": "1"},
        {"attempt": None},
    ],
    ids=lambda other: repr(other)[:40],
)
def test_a_message_that_an_incompatible_version_queued(other: dict[str, Any]) -> None:
    packed = QueuedMessage(Message(PHONE, "Your code is 904817."), 1_772_366_400.0).packed()
    assert QueuedMessage.unpacked(packed).message.to == PHONE
    with pytest.raises(ConfigurationError, match="Another version") as caught:
        QueuedMessage.unpacked({**packed, **other})
    assert caught.value.__context__ is None
