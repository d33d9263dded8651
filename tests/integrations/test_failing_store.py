"""A store that does not answer, at any step of a flow and in every framework: a calm reply, a line
in the log, and nothing is lost once it is back."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from web_sites import (
    BUILT_IN,
    KNOWN,
    Site,
    slow_in_long_form,
)

from otpverify import MemoryStore, StoreError
from otpverify.testing import OutboxSender


class Away(MemoryStore):
    """Does not answer while it is away."""

    away = False

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or not callable(found):
            return found

        def answer(*args: Any, **named: Any) -> Any:  # verifiers take it once, and call it later
            if self.away:
                raise StoreError("The store did not answer in time.")
            return found(*args, **named)

        return answer


@pytest.mark.parametrize("kind", slow_in_long_form(BUILT_IN), ids=lambda kind: kind.name)
def test_a_store_that_is_away(kind: type[Site], caplog: pytest.LogCaptureFixture) -> None:
    outbox, store = OutboxSender(), Away()
    with kind(outbox, store) as site:

        def fails(step: str, **fields: str) -> None:
            caplog.clear()
            store.away = True
            seen = site.send(step, **fields)
            store.away = False
            assert seen[0].status == (503 if site.programs else seen[0].status)
            assert all(one.status in (200, 302, 303, 503) for one in seen)
            assert "went wrong on our side" in "".join(one.body for one in seen)
            levels = {one.levelno for one in caplog.records}
            assert logging.WARNING in levels
            assert max(levels) == logging.WARNING or site.programs  # servers log a 503, too
            assert "did not answer in time" in caplog.text

        fails("start", phone=KNOWN)
        site.send("start", phone=KNOWN)
        for step in ("resend", "cancel"):
            fails(step)
        code = outbox.code()
        fails("code", code=code)
        assert '"pending"' in site.status().body
        site.send("code", code=code)
        assert f'"{site.ends}"' in site.status().body
        if site.ends == "verified":  # there is a proof to cancel
            fails("cancel")
            assert '"verified"' in site.status().body
    assert len(outbox) == 1
