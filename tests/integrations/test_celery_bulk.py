"""`CeleryBulk`: one text for many, as tasks; the real client sends to the sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from celery.exceptions import Reject
from celery.signals import task_retry
from freezegun.api import FrozenDateTimeFactory
from support import OTHER_SECRET, SECRET

from otpverify import (
    BulkResult,
    ConfigurationError,
    DeliveryRejected,
    DeliveryUnavailable,
    InvalidPhoneNumber,
    MemoryStore,
    Retry,
    StoreError,
)
from otpverify.integrations.celery import CeleryBulk
from otpverify.integrations.celery.bulk_chunk import Chunks
from otpverify.integrations.celery.encryption import Seal
from otpverify.sandbox import Sandbox

TEXT = "The bus to Narva leaves at eight."
NUMBERS = [f"+1202555{last:04}" for last in range(200, 450)]
NAME = "otpverify.send_bulk"


class LastingStore(MemoryStore):
    """As a store outside this process looks."""

    process_local = False


class Site:
    """An application whose queue and results are in memory. Tasks are taken off the queue and run
    as a worker runs them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.app = Celery(
            "bulk", broker="memory://", backend="cache+memory://", set_as_current=False
        )
        self.app.conf.task_default_queue = f"bulk-{uuid4()}"
        self.app.conf.task_store_eager_result = True
        self.store = LastingStore()
        self.client = sandbox.client(retry=Retry(attempts=1))
        self.bulk = self.make(self.app)

    def make(self, app: Celery, **options: Any) -> CeleryBulk:
        given: dict[str, Any] = {"store": self.store, "secret": SECRET, "retry": Retry(attempts=3)}
        return CeleryBulk(app, options.pop("client", self.client), **(given | options))

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

    def work(self, messages: list[Any] | None = None) -> None:
        task = self.app.tasks[NAME]
        for message in self.waiting if messages is None else messages:
            task.apply(message.payload[0], task_id=message.headers["id"])

    def send(self, numbers: list[str], job: str = "buses", **options: Any) -> BulkResult:
        """Queue, work, and give the result."""
        made = self.bulk.send(numbers, TEXT, job=job, **options)
        self.work()
        return made.result()

    @property
    def phones(self) -> list[str]:
        return [message.to for message in self.sandbox.messages][::-1]


@pytest.fixture
def site() -> Iterator[Site]:
    with Sandbox() as sandbox:
        made = Site(sandbox)
        yield made
        made.client.close()


def statuses(result: BulkResult) -> list[str]:
    return [entry.status for entry in result.entries]


def test_everyone_has_an_outcome_in_input_order(site: Site) -> None:
    given = ["+1 202 555 0123", "+1 202 555 0140", "hello", "5678 9045", "+372 5678 9045"]
    job = site.bulk.send(given, TEXT, job="buses", region="EE")
    assert (job.progress().done, job.progress().total) == (0, 5)
    assert statuses(job.result()) == []
    site.work()
    result = job.result()
    assert statuses(result) == ["sent", "failed", "failed", "sent", "duplicate"]
    assert [entry.index for entry in result.entries] == [0, 1, 2, 3, 4]
    assert [entry.given for entry in result.entries] == given
    assert result.entries[0].message_id
    assert isinstance(result.entries[1].error, DeliveryRejected)
    assert isinstance(result.entries[2].error, InvalidPhoneNumber)
    assert result.entries[2].reason == "not_a_number"
    assert result.entries[4].duplicate_of == 3
    assert job.progress().counts == result.counts
    assert job.progress().done == 5
    assert site.phones == ["+12025550123", "+37256789045"]
    assert {message.text for message in site.sandbox.messages} == {TEXT}


def test_it_goes_out_in_tasks_of_a_hundred(site: Site) -> None:
    again = [NUMBERS[0], *NUMBERS, NUMBERS[-1]]
    job = site.bulk.send(again, TEXT, job="buses")
    messages = site.waiting
    assert [message.headers["id"] for message in messages] == job.task_ids
    assert len(messages) == 3
    site.work(messages[:1])
    assert job.progress().counts.sent == 100
    site.work(messages[1:])
    assert (job.progress().counts.sent, job.progress().counts.duplicates) == (250, 2)
    assert sorted(site.phones) == NUMBERS


def test_a_job_is_found_again_by_its_id(site: Site) -> None:
    job = site.bulk.send(NUMBERS[:3], TEXT, job="buses")
    site.work()
    elsewhere = site.bulk.job(job.id)
    assert elsewhere.result() == job.result()
    assert repr(elsewhere) == "<BulkJob of 3>"


def test_a_list_without_a_number(site: Site) -> None:
    assert statuses(site.send(["hello", "you"])) == ["failed", "failed"]
    assert statuses(site.send([])) == []


def test_nothing_that_is_queued_or_kept_can_be_read(site: Site) -> None:
    job = site.bulk.send(NUMBERS[:3], TEXT, job="buses to Narva")
    (message,) = messages = site.waiting
    site.work(messages)
    kept = str(site.app.backend.get_task_meta(job.task_ids[0]))
    assert "counts" in kept
    shown = json.dumps([message.headers, message.properties, message.payload]) + kept + job.id
    for secret in (*(number[2:] for number in NUMBERS[:3]), "Narva"):
        assert secret not in shown
    assert message.headers["argsrepr"] == "(<sealed>,)"


def test_the_same_list_under_the_same_name_is_sent_once(site: Site) -> None:
    site.send(NUMBERS[:5])
    result = site.send(NUMBERS[:7])
    assert statuses(result) == ["unknown"] * 5 + ["sent"] * 2
    assert result.entries[0].reason == "begun_before"
    assert site.phones == NUMBERS[:7]
    assert statuses(site.send(NUMBERS[:2], job="trams")) == ["sent", "sent"]


def test_a_duplicate_of_one_that_was_begun_before(site: Site) -> None:
    site.send(NUMBERS[:1])
    assert statuses(site.send([NUMBERS[0], NUMBERS[0]])) == ["unknown", "duplicate"]


def test_what_a_broker_delivers_twice_is_sent_once(site: Site) -> None:
    job = site.bulk.send(NUMBERS[:3], TEXT, job="buses")
    messages = site.waiting
    site.work(messages)
    first = job.result()
    task = site.app.tasks[NAME]
    task.push_request(id=job.task_ids[0], retries=0, delivery_info={"redelivered": True})
    try:
        assert task.run(messages[0].payload[0][0])["counts"] == [3, 0, 0, 0]
    finally:
        task.pop_request()
    assert job.result() == first
    assert site.phones == NUMBERS[:3]


def test_a_worker_that_died_in_the_middle(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It set its markers, and it is unknown what it sent."""

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    job = site.bulk.send(NUMBERS[:3], TEXT, job="buses")
    messages = site.waiting
    monkeypatch.setattr(site.client, "send_bulk", dies)
    with pytest.raises(KeyboardInterrupt):
        site.work(messages)
    monkeypatch.undo()
    site.work(messages)
    assert statuses(job.result()) == ["unknown"] * 3
    assert site.phones == []


def test_what_the_gateway_is_too_busy_for_is_tried_again(site: Site) -> None:
    """+12025550113: every other request is answered with 503."""
    waits: list[float] = []

    def note(reason: Any, **_: object) -> None:
        waits.append(reason.when)

    task_retry.connect(note)
    result = site.send([NUMBERS[0], "+12025550113"])
    task_retry.disconnect(note)
    assert statuses(result) == ["sent", "sent"]
    assert len(waits) == 1
    assert waits[0] > 0
    assert sorted(site.phones) == sorted([NUMBERS[0], "+12025550113"])


def test_only_those_are_tried_again_who_were_not_sent_to(site: Site) -> None:
    """A gateway that takes one number a request, and is too busy for one of them."""
    with Sandbox(dialect="tutorial") as sandbox:
        other = Site(sandbox)
        result = other.send([*NUMBERS[:3], "+12025550113", "+12025550140"])
        assert statuses(result) == ["sent"] * 4 + ["failed"]
        assert sorted(other.phones) == sorted([*NUMBERS[:3], "+12025550113"])
        other.client.close()


def test_who_certainly_was_not_sent_to_may_be_sent_to_under_the_same_name(site: Site) -> None:
    assert statuses(site.send(["+12025550127"])) == ["failed"]  # 429, each time
    task = site.send(["+12025550127", "+12025550140"])
    assert [entry.reason for entry in task.entries] == ["rate_limited", "rate_limited"]


def test_what_may_have_been_sent_is_not_tried_again(site: Site) -> None:
    result = site.send(["+12025550150"])  # 500
    assert statuses(result) == ["unknown"]
    assert [entry.reason for entry in site.send(["+12025550150"]).entries] == ["begun_before"]


def test_a_store_that_is_down_fails_closed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    real = site.store.reserve

    def down(*args: Any) -> Any:
        calls.append(1)
        if len(calls) % 2 == 0:
            raise StoreError("Down.")
        return real(*args)

    job = site.bulk.send(NUMBERS[:2], TEXT, job="buses")
    monkeypatch.setattr(site.store, "reserve", down)
    site.work()
    with pytest.raises(StoreError):
        job.result()
    assert site.phones == []
    monkeypatch.undo()
    assert statuses(site.send(NUMBERS[:2])) == ["sent", "sent"], "no mark was left"


def test_a_mark_that_cannot_be_taken_away_stays(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def down(*_: object) -> Any:
        raise StoreError("Down.")

    monkeypatch.setattr(site.store, "give_back", down)
    assert statuses(site.send(["+12025550127"])) == ["failed"]
    assert "A marker stays" in caplog.text
    assert [entry.reason for entry in site.send(["+12025550127"]).entries] == ["begun_before"]


def test_a_client_that_fails_otherwise(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(numbers: list[str], text: str) -> Any:
        raise ValueError(f"{text} for {numbers}")

    monkeypatch.setattr(site.client, "send_bulk", fails)
    result = site.send(NUMBERS[:2])
    assert statuses(result) == ["unknown", "unknown"]
    assert str(result.entries[0].error) == "The client failed (ValueError)."


def test_a_text_that_no_encoding_carries(site: Site) -> None:
    job = site.bulk.send(NUMBERS[:2], "\ud800", job="buses")
    site.work()
    assert [entry.reason for entry in job.result().entries] == ["invalid_text", "invalid_text"]


def test_secrets_rotate(site: Site) -> None:
    job = site.bulk.send(NUMBERS[:2], TEXT, job="buses")
    site.work()
    app = Celery("new", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.task_store_eager_result = True
    app.conf.task_default_queue = site.app.conf.task_default_queue
    rotated = site.make(app, secret=[OTHER_SECRET, SECRET])
    job = rotated.send(NUMBERS[:3], TEXT, job="buses")
    site.app = app
    site.work()
    assert statuses(job.result()) == ["unknown", "unknown", "sent"]


def test_a_secret_that_does_not_fit(site: Site) -> None:
    other = Celery("other", broker="memory://", backend="cache+memory://", set_as_current=False)
    other.conf.task_store_eager_result = True
    bulk = site.make(other, secret=OTHER_SECRET)
    job = site.bulk.send(NUMBERS[:2], TEXT, job="buses")
    other.conf.task_default_queue = site.app.conf.task_default_queue
    site.app = other
    site.work()
    assert site.phones == []
    with pytest.raises(ConfigurationError, match="No secret of this worker"):
        bulk.job(job.id).progress()


def test_a_broker_that_is_down(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: object, **__: object) -> Any:
        raise ConnectionError("redis://user:password@broker")

    monkeypatch.setattr(site.app.tasks[NAME], "apply_async", down)
    with pytest.raises(DeliveryUnavailable, match="under the same name") as raised:
        site.bulk.send(NUMBERS, TEXT, job="buses")
    assert raised.value.__context__ is None


@pytest.mark.parametrize(
    ("numbers", "text", "options"),
    [
        (NUMBERS, "", {}),
        (NUMBERS, " \n", {}),
        (NUMBERS, TEXT, {"job": ""}),
        (NUMBERS, TEXT, {"region": "Estonia"}),
        (NUMBERS[0], TEXT, {}),
    ],
)
def test_what_makes_no_sense_is_refused(
    numbers: Any, text: str, options: dict[str, Any], site: Site
) -> None:
    with pytest.raises(ConfigurationError):
        site.bulk.send(numbers, text, **({"job": "buses"} | options))
    assert not site.waiting


@pytest.mark.parametrize(
    "id_", ["", "a", "a-1", "a-1-1", f"{'a' * 32}-1-x", f"{'a' * 32}-1-{10**9}", None]
)
def test_what_is_no_job(id_: Any, site: Site) -> None:
    with pytest.raises(ConfigurationError):
        site.bulk.job(id_)


def test_a_task_that_waited_too_long_is_not_begun(site: Site, clock: FrozenDateTimeFactory) -> None:
    """Markers are gone after a week, so it is unknown whether it was begun."""
    site.bulk.send(NUMBERS[:3], TEXT, job="buses")
    (message,) = site.waiting
    site.work([message])
    for _ in range(5):
        clock.tick(6 * 86_400)
        result = site.app.tasks[NAME].apply(message.payload[0]).result
        assert result["counts"] == [0, 0, 3, 0]
    assert len(site.phones) == 3
    clock.move_to("2026-03-01 12:00:00")
    job = site.bulk.send(NUMBERS[3:5], TEXT, job="buses")
    clock.tick(6 * 86_400)
    site.work()
    assert statuses(job.result()) == ["unknown"] * 2
    assert [entry.reason for entry in job.result().entries] == ["too_late"] * 2


@pytest.mark.parametrize("how", ["!", "\n", " ", "=", "é"])
def test_a_chunk_that_was_altered_on_the_broker_is_not_sent(how: str, site: Site) -> None:
    site.bulk.send(NUMBERS[:3], TEXT, job="buses")
    (message,) = site.waiting
    (sealed,) = message.payload[0]
    task = site.app.tasks[NAME]
    for place in (0, 21, len(sealed)):
        result = task.apply((sealed[:place] + how + sealed[place:],))
        assert isinstance(result.result, ConfigurationError)
    assert site.phones == []


@pytest.mark.parametrize("retries", [-(10**9), 10**9])
def test_the_brokers_count_of_retries_changes_nothing(retries: int, site: Site) -> None:
    waits: list[float] = []

    def note(reason: Any, **_: object) -> None:
        waits.append(reason.when)

    task_retry.connect(note)
    job = site.bulk.send(["+12025550127"], TEXT, job="buses")  # 429, each time
    (message,) = site.waiting
    site.app.tasks[NAME].apply(message.payload[0], task_id=message.headers["id"], retries=retries)
    task_retry.disconnect(note)
    assert len(waits) == 2
    assert statuses(job.result()) == ["failed"]


def test_a_next_attempt_that_may_have_been_queued_is_unknown(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued: list[str] = []

    def lost(args: tuple[str], **_: Any) -> Any:
        queued.extend(args)
        raise Reject("No answer.", requeue=False)

    job = site.bulk.send(["+12025550127"], TEXT, job="buses")
    monkeypatch.setattr(site.app.tasks[NAME], "retry", lost)
    site.work()
    assert statuses(job.result()) == ["unknown"]
    assert job.result().entries[0].reason == "not_queued"
    assert len(queued) == 1


def test_a_second_one_on_the_same_application(site: Site) -> None:
    first, second = site.bulk, site.make(site.app)
    for number, bulk in enumerate((first, second, first)):
        job = bulk.send(NUMBERS[:2], TEXT, job=f"buses {number}")
        site.work()
        assert statuses(job.result()) == ["sent", "sent"]
    site.make(site.app, secret=OTHER_SECRET)
    with pytest.raises(ConfigurationError, match="a name of its own"):
        first.send(NUMBERS[:2], TEXT, job="trams")
    assert not site.waiting


def with_results(backend: str = "cache+memory://", **conf: Any) -> Celery:
    app = Celery("results", broker="memory://", backend=backend, set_as_current=False)
    app.conf.update(conf)
    return app


@pytest.mark.parametrize(
    ("app", "says"),
    [
        (Celery("none", broker="memory://", set_as_current=False), "result backend"),
        (with_results("disabled://"), "every process can read"),
        (with_results("rpc://"), "every process can read"),
        (with_results("nonsense://"), "cannot be used"),
        (with_results(accept_content=["pickle"]), "accept_content"),
        (with_results(result_serializer="pickle"), "result_accept_content"),
        (with_results(result_serializer="nonsense"), "cannot be used"),
        (with_results(result_accept_content=["yaml"]), "result_accept_content"),
        (with_results(task_annotations={"*": {"ignore_result": True}}), "turns them off"),
        (with_results(task_always_eager=True), "task_store_eager_result"),
    ],
)
def test_an_application_that_cannot_keep_results_is_refused(
    app: Celery, says: str, site: Site
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        site.make(app)


@pytest.mark.parametrize(
    "conf",
    [
        {"result_serializer": "pickle", "result_accept_content": ["pickle"]},
        {"result_serializer": "pickle", "accept_content": ["json", "pickle"]},
        {"task_ignore_result": True},
        {"task_always_eager": True, "task_store_eager_result": True},
    ],
)
def test_an_application_that_keeps_results(conf: dict[str, Any], site: Site) -> None:
    site.make(with_results(**conf))


def test_its_parts_are_checked(site: Site) -> None:
    with pytest.raises(ConfigurationError, match="send_bulk"):
        site.make(site.app, client=object(), name="another")
    assert repr(site.bulk) == f"<CeleryBulk {NAME}>"


SEAL = Seal(SECRET, "results")


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(None, id="none"),
        pytest.param("text", id="text"),
        pytest.param([], id="list"),
        pytest.param({}, id="empty"),
        pytest.param({"counts": 5, "sealed": 5}, id="numbers"),
        pytest.param({"counts": [1, 2, 3], "sealed": "x"}, id="not sealed"),
        pytest.param({"counts": ["1", 0, 0, 0], "sealed": SEAL.close({})}, id="no entries"),
        pytest.param({"counts": None, "sealed": SEAL.close({"entries": 5})}, id="a number"),
        pytest.param({"sealed": SEAL.close({"entries": [[1, 2]]})}, id="short entry"),
        pytest.param(
            {"sealed": SEAL.close({"entries": [[0, "x", None, None, ["kind"], None]]})},
            id="a list as a kind",
        ),
    ],
)
def test_what_is_not_a_result_of_ours_is_a_typed_error(given: object) -> None:
    """A result backend holds what anybody wrote who can write there, or another version."""
    nothing: Any = None
    chunks = Chunks(nothing, nothing, SEAL, Retry())
    for read in (chunks.counts, chunks.entries):
        with pytest.raises(ConfigurationError):
            read(given)
