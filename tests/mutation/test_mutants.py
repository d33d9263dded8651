"""What `make mutants` relies on, without the tool that it installs."""

from __future__ import annotations

from pathlib import Path

import pytest

import otpverify
from mutation import lua_code
from mutation.groups import GROUPS
from mutation.mutant import equivalents

ROOT = Path(__file__).parents[2]
# Where the package is: in an environment of `make versions`, it is installed.
SOURCES = Path(otpverify.__file__).parents[1]


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        (
            "if wait > 0 then",
            ["if wait >= 0 then", "if wait > 1 then", "if not (wait > 0) then"],
        ),
        ("a = b + 1 -- and 5", ["a = b - 1", "a = b + 2", "a = b + 0", ""]),
        ("a = not b", ["a =  b", ""]),
        ("local x = math.max(y)", ["local x = math.min(y)"]),
        ("call('DEL')", ["call('XXDEL')", ""]),
        ("local at = unpack('>I6', log)", []),
        ("end", []),
    ],
)
def test_every_change_of_lua(line: str, changes: list[str]) -> None:
    found = [
        mutant.change().removesuffix(" -- and 5") for mutant in lua_code.mutants("x.lua", line)
    ]
    assert found == changes


def test_every_change_that_nobody_notices_is_still_one() -> None:
    for key, reason in equivalents().items():
        path, *lines = key.splitlines()
        held = [line.strip() for line in (SOURCES / path).read_text("utf-8").splitlines()]
        gone = [line[2:] for line in lines if line.startswith("- ")]
        assert all(line in held for line in gone), f"{path} has it no more: {gone}"
        assert reason


@pytest.mark.parametrize("name", GROUPS)
def test_every_group_has_files_and_tests_that_exist(name: str) -> None:
    group = GROUPS[name]
    files = group.sources(SOURCES)
    assert files
    asked = {test for path in files for test in group.tests_of(path, ROOT)}
    for test in asked:
        file, _, case = test.partition("::")
        assert (ROOT / file).is_file(), "a folder would come before the file that is asked first"
        assert not case or f"class {case}(" in (ROOT / file).read_text("utf-8"), test
    for pattern in group.first:
        assert any(Path(path).match(pattern.lstrip("*/")) for path in files), pattern
