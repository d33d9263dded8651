"""How far a bulk job has come, and what became of everyone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from celery import Celery

from otpverify import BulkCounts, BulkProgress, BulkResult, ConfigurationError
from otpverify.integrations.celery.chunk import Chunks, result_of

_ID = re.compile(r"([0-9a-f]{32})-([0-9]{1,9})-([0-9]{1,7})", re.ASCII)


class BulkJob:
    """What was queued under an id.

    Attributes:
        id: Its id, for `CeleryBulk.job`. It says how many recipients there are.
        task_ids: The ids of its tasks.
    """

    def __init__(self, id: str, app: Celery, chunks: Chunks) -> None:  # noqa: A002 - as `job`
        parts = _ID.fullmatch(id) if isinstance(id, str) else None
        if parts is None:
            raise ConfigurationError("That is no job's id.")
        self.id = id
        self._total = int(parts[2])
        self._app = app
        self._chunks = chunks
        self.task_ids = [f"{parts[1]}-{number}" for number in range(int(parts[3]))]

    def __repr__(self) -> str:
        return f"<BulkJob of {self._total}>"

    def progress(self) -> BulkProgress:
        """How far it has come; everyone is settled when `done` is `total`. Its `entries` are
        empty; `result` has them. Results are kept as long as your result backend keeps them.

        Raises:
            OtpVerifyError: A task could not be carried out: its worker had not the secret, or no
                store.
        """
        counts = BulkCounts()
        for given in self._given():
            counts += BulkCounts(*given["counts"])
        return BulkProgress((), counts, self._total)

    def result(self) -> BulkResult:
        """What became of everyone, in input order, as far as it is settled. Raises as
        `progress`."""
        return result_of(entry for given in self._given() for entry in self._chunks.entries(given))

    def _given(self) -> Iterable[dict[str, Any]]:
        for task_id in self.task_ids:
            result = self._app.AsyncResult(task_id)
            if result.ready():
                yield result.get(disable_sync_subtasks=False)
