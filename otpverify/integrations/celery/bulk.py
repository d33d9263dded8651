"""Bulk sending by Celery workers: starts jobs and reads their results."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any

from celery import Celery

from otpverify import (
    BulkCounts,
    BulkEntry,
    BulkProgress,
    BulkResult,
    ConfigurationError,
    DeliveryUnavailable,
    InvalidPhoneNumber,
    Retry,
    SmspmClient,
    Store,
    StoreError,
)
from otpverify.core.secret_strength import Secrets
from otpverify.gateways.send_bulk import LARGEST_BATCH
from otpverify.integrations.celery.bulk_chunk import Chunks, Row, result_of
from otpverify.integrations.celery.encryption import Seal
from otpverify.integrations.celery.tasks import (
    HIDDEN,
    OnceMarkers,
    check_parts,
    check_queue,
    owner_of,
    register,
    retry_unopened,
    retry_with,
    wait_unopened,
)
from otpverify.phone import normalize

_ID = re.compile(r"([0-9a-f]{32})-([0-9]{1,9})-([0-9]{1,7})", re.ASCII)


class BulkJob:
    """A queued bulk job.

    Attributes:
        id: Its id, for `CeleryBulk.job`. It contains the number of recipients.
        task_ids: The ids of its tasks.
    """

    def __init__(self, id: str, app: Celery, chunks: Chunks) -> None:  # noqa: A002 - as `job`
        parts = _ID.fullmatch(id) if isinstance(id, str) else None
        if parts is None:
            raise ConfigurationError("This is not the id of a job.")
        self.id = id
        self._total = int(parts[2])
        self._app = app
        self._chunks = chunks
        self.task_ids: list[str] = [f"{parts[1]}-{number}" for number in range(int(parts[3]))]

    def __repr__(self) -> str:
        return f"<BulkJob of {self._total}>"

    def progress(self) -> BulkProgress:
        """The progress of the job; it is complete when `done` equals `total`. Its `entries` are
        empty; `result` has them. Your result backend decides how long results are kept.

        Raises:
            ConfigurationError: The result backend holds what is not a result of a task.
            OtpVerifyError: A task could not run: its worker did not have the secret, or could not
                reach the store.
        """
        counts = BulkCounts()
        for given in self._given():
            counts += self._chunks.counts(given)
        return BulkProgress((), counts, self._total)

    def result(self) -> BulkResult:
        """The results of all settled recipients, in input order. Raises the same errors as
        `progress`."""
        return result_of(entry for given in self._given() for entry in self._chunks.entries(given))

    def _given(self) -> Iterable[object]:
        for task_id in self.task_ids:
            result = self._app.AsyncResult(task_id)
            if result.ready():
                yield result.get(disable_sync_subtasks=False)


class CeleryBulk:
    """Sends one text to many recipients, in tasks of up to 100.

        bulk = CeleryBulk(app, SmspmClient.from_env(), store=store, secret=SECRET)
        job = bulk.send(numbers, text, job="newsletter-2026-11")
        bulk.job(job.id).progress()  # anywhere, later

    **No recipient gets two messages under one job's name** within a week, even if the list is
    queued again, a broker delivers a task twice, or a worker dies. Before a worker sends to a
    recipient, it sets a marker in the store. It removes the marker only if the message certainly
    was not sent. A recipient that may have been sent the message is "unknown" and gets no other
    one. A task that waited in the queue for six days or more is not begun.

    A further `CeleryBulk` with the same name on the same application replaces the earlier one,
    which then refuses to queue, unless it has the same `client` and secrets.

    Numbers, text and results are encrypted as in `CelerySender`: a broker and a result backend show
    only the number of recipients, and the number by outcome.

    Args:
        app: The Celery application; it needs a result backend.
        client: The client that sends in the worker.
        store: A store that all workers share, such as a `RedisStore`.
        secret: At least 32 bytes. Of several secrets, the first encrypts and all decrypt.
        retry: How often, and after which waits, messages that certainly were not sent are tried
            again. These attempts are in addition to those of the client.
        name: The task's name.
        queue: The queue; the application's default if left out.

    Raises:
        ConfigurationError: An argument is invalid, or the arguments do not fit together.
    """

    def __init__(
        self,
        app: Celery,
        client: SmspmClient,
        *,
        store: Store,
        secret: Secrets,
        retry: Retry | None = None,
        name: str = "otpverify.send_bulk",
        queue: str | None = None,
    ) -> None:
        check_parts(app, client, store, needs="send_bulk")
        retry = retry or Retry(attempts=6, first_wait_seconds=2, longest_wait_seconds=90)
        self._app = app
        self._name = name
        self._chunks = Chunks(client, OnceMarkers(store), Seal(secret, name), retry)
        self._queue = check_queue(app, queue)
        self._task = register(app, name, self._body(), self, ignore_result=False)

    def __repr__(self) -> str:
        return f"<CeleryBulk {self._name}>"

    def send(
        self, numbers: Iterable[str], text: str, *, job: str, region: str | None = None
    ) -> BulkJob:
        """Queue one text for many recipients.

        Args:
            numbers: The numbers as people wrote them.
            text: The text, the same for all.
            job: A name for the job, such as `"newsletter-2026-11"`. If you are not sure that a
                list was queued, queue it again under the same name: only recipients without a
                marker get the message.
            region: The ISO 3166-1 alpha-2 code for numbers without a country code.

        Returns:
            The job. Keep its `id`.

        Raises:
            ConfigurationError: The text or the name is missing, the region is unknown, `numbers`
                is one string, or another `CeleryBulk` took the task's name. Nothing was queued.
            DeliveryUnavailable: The broker did not take all tasks. Queue the list again under the
                same name.
        """
        if not (isinstance(text, str) and text.strip() and isinstance(job, str) and job):
            raise ConfigurationError("A job needs a name, and a text that is not only white space.")
        if isinstance(numbers, str | bytes):
            raise ConfigurationError("numbers must be a list of numbers, not one string.")
        owner = owner_of(self._app, self._name)
        if owner is not self and not (
            isinstance(owner, CeleryBulk) and self._chunks.equals(owner._chunks)
        ):
            raise ConfigurationError(
                f"Another CeleryBulk of this application has taken the task name {self._name!r}. "
                "Give each of them a name of its own."
            )
        rows, invalid = _sorted_out(numbers, region)
        chunks = _chunks(rows)
        if invalid and not chunks:
            chunks = [[]]
        total = len(invalid) + len(rows)
        queued_at = time.time()
        made = self.job(f"{secrets.token_hex(16)}-{total}-{len(chunks)}")
        for number, chunk in enumerate(chunks):
            settled = () if number else invalid
            sealed = self._chunks.close(job, text, chunk, settled, queued_at=queued_at)
            self._queue_one(made.task_ids[number], sealed)
        return made

    def job(self, id: str) -> BulkJob:  # noqa: A002 - the usual name
        """Find a job by its id, from any process.

        Raises:
            ConfigurationError: This is not the id of a job.
        """
        return BulkJob(id, self._app, self._chunks)

    def _queue_one(self, task_id: str, sealed: str) -> None:
        try:
            self._task.apply_async((sealed,), task_id=task_id, argsrepr=HIDDEN, **self._queue)
        except Exception as error:
            failed = type(error).__name__
        else:
            return
        raise DeliveryUnavailable(
            f"Not all could be queued ({failed}). Queue them again under the same name.",
            provider_code="not_queued",
        )

    def _body(self) -> Callable[..., dict[str, Any]]:
        """The function that the task runs. Celery requires a function."""

        def send_bulk(task: Any, sealed: str) -> dict[str, Any]:
            if (task.request.delivery_info or {}).get("redelivered"):
                known = self._app.AsyncResult(task.request.id)
                if known.state == "SUCCESS":
                    return dict(known.result)  # it had finished, and was not acknowledged
            try:
                following = self._chunks.attempt(sealed)
            except (ConfigurationError, StoreError) as error:
                wait = wait_unopened(task, self._chunks.retry)
                if wait is None:
                    raise
                raise retry_unopened(task, error, wait) from None
            if isinstance(following, dict):
                return following
            retry = retry_with(task, following.sealed, following.error, following.seconds)
            if retry is None:
                return self._chunks.given_up(following)
            raise retry

        return send_bulk


def _sorted_out(numbers: Iterable[str], region: str | None) -> tuple[list[Row], list[BulkEntry]]:
    """Rows for the valid phone numbers, and entries for the invalid ones."""
    rows: list[Row] = []
    invalid: list[BulkEntry] = []
    for index, given in enumerate(numbers):
        try:
            rows.append((index, given, normalize(given, region)))
        except InvalidPhoneNumber as error:
            invalid.append(BulkEntry(index, str(given), None, error=error.with_traceback(None)))
    return rows, invalid


def _chunks(rows: list[Row]) -> list[list[Row]]:
    """The rows in chunks of 100 numbers; rows with the same number stay together."""
    of_phone: dict[str, list[Row]] = {}
    for row in rows:
        of_phone.setdefault(row[2], []).append(row)
    phones = list(of_phone.values())
    return [
        [row for same in phones[start : start + LARGEST_BATCH] for row in same]
        for start in range(0, len(phones), LARGEST_BATCH)
    ]
