"""The claims of docs/explanation/standards.md: its rows, the tests that they name, and which of
these tests ran."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parent.parent.parent
PAGE: Final = ROOT / "docs" / "explanation" / "standards.md"
STATES: Final = ("met", "not met", "the application's")

_ROW = re.compile(r"^\| (\d[^|]*) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]*) \|$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py(?:::\w+)+)`")


class Claim(NamedTuple):
    """A row of a table. `standard` is the title of its section."""

    standard: str
    number: str
    requirement: str
    state: str
    reason: str
    tests: tuple[str, ...]


@cache
def claims() -> tuple[Claim, ...]:
    """All rows."""
    found = []
    for section in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        title = section.partition("\n")[0]
        for number, requirement, state, reason, tests in _ROW.findall(section):
            named = tuple(_TEST.findall(tests))
            found.append(Claim(title, number, requirement, state, reason, named))
    return tuple(found)


def named_tests() -> frozenset[str]:
    """The tests that the rows name, such as `tests/core/test_policy.py::test_the_defaults`."""
    return frozenset(test for claim in claims() for test in claim.tests)


@cache
def tests_in(path: str) -> frozenset[str]:
    """The tests of a file, as `test_name` or `TestClass::test_name`, read without importing it."""
    found: set[str] = set()
    for node in ast.parse((ROOT / path).read_text()).body:
        parts = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        for part in parts:
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(prefix + part.name)
    return frozenset(name for name in found if name.rpartition("::")[2].startswith("test_"))


def exists(test: str) -> bool:
    """Whether a named test exists."""
    path, _, name = test.partition("::")
    return (ROOT / path).is_file() and name in tests_in(path)


_PARTIAL = (
    "keyword",
    "markexpr",
    "deselect",
    "ignore",
    "ignore_glob",
    "lf",
    "stepwise",
    "collectonly",
)


def is_whole(option: object, *, named: bool) -> bool:
    """Whether a run of pytest was asked for all tests.

    Args:
        option: `Config.option`. It lacks the options of plug-ins that are switched off.
        named: Files, folders or tests were named.
    """
    return not named and not any(getattr(option, name, None) for name in _PARTIAL)


class RanTests:
    """Which tests ran to their end. One that is skipped with some parameters ran if it ran with
    others."""

    def __init__(self) -> None:
        self._ran: set[str] = set()

    def report(self, test: str, when: str, outcome: str) -> None:
        """Take in a report.

        Args:
            test: The test's id, with its parameters.
            when: `"setup"`, `"call"` or `"teardown"`.
            outcome: `"passed"`, `"failed"` or `"skipped"`.
        """
        if when == "call" and outcome != "skipped":
            self._ran.add(test.partition("[")[0])

    def missing(self, named: Iterable[str]) -> list[str]:
        """The named tests that did not run."""
        return sorted(set(named) - self._ran)
