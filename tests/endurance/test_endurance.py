"""The traffic, its faults and the judge, for a few seconds; `make endurance` takes an hour."""

from __future__ import annotations

import pytest
from support import long_form

from endurance.judge import IN_TIME, PROMISES
from endurance.run import run


@long_form
@pytest.mark.parametrize("seconds", [10])
def test_every_promise_holds_while_parts_fail(seconds: int) -> None:
    found = run(seconds, rest=0.5, fault=1.0, drain=False)
    rows = found.judge.rows
    assert {name: row.examples for name, row in rows.items() if row.broken} == {}
    assert found.stuck == 0
    assert found.for_ever == 0
    # It is of no use unless there was traffic, and something broke.
    assert rows[IN_TIME].counted > 100
    assert found.faults
    assert sum(bool(row.counted) for row in rows.values()) > len(PROMISES) // 2
