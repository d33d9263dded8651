"""Runs of pytest on a mutant: what they say, and that none goes on alone."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import long_form

from mutation import trees
from mutation.trees import Runs, Trees, Verdict

_PROFILE = """
from hypothesis import settings
settings.register_profile("mutants")
"""
_TESTS = """
import os, subprocess, sys, time

def test_that_passes(): pass

def test_that_fails(): assert 1 == 2

def test_that_hangs(): time.sleep(60)

def test_that_starts_a_server():
    pipe = os.open("pipe", os.O_WRONLY)
    hang = [sys.executable, "-c", "import time; time.sleep(60)"]
    server = subprocess.Popen(hang, pass_fds=[pipe])
    os.write(pipe, b"x")
    server.wait()
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(_PROFILE)
    (tmp_path / "test_some.py").write_text(_TESTS)
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


@long_form
@pytest.mark.parametrize(
    ("test", "patience_seconds", "outcome", "said"),
    [
        ("passes", 60, "survived", "1 passed"),
        ("fails", 60, "killed", "FAILED test_some.py::test_that_fails - assert 1 == 2"),
        ("hangs", 0.01, "timeout", "before the first test"),
    ],
)
def test_what_a_run_says(
    tree: Path, test: str, patience_seconds: float, outcome: str, said: str
) -> None:
    verdict = Runs().run(tree, [f"test_some.py::test_that_{test}"], patience_seconds)
    assert verdict.outcome == outcome
    assert said in verdict.test()


def test_a_run_without_end_says_where_it_is() -> None:
    verdict = Verdict("timeout", "test_some.py::test_a PASSED [ 50%]\ntest_some.py::test_b ")
    assert verdict.test() == "test_some.py::test_b"


@pytest.mark.parametrize("lacks", ["git", "a clone"])
def test_without_git_or_a_clone_one_line_says_what_is_needed(
    lacks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lacks == "git":
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
        monkeypatch.setattr(trees, "ROOT", tmp_path)  # as an unpacked sdist
    with pytest.raises(SystemExit, match=r"^make mutants needs git and a clone[^\n]*$"):
        Trees(tmp_path, 1)


@long_form
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_tests_and_what_they_started(tree: Path, number: signal.Signals) -> None:
    runs = Runs()
    before = signal.getsignal(number)
    asked = ["test_some.py::test_that_starts_a_server"]
    with ThreadPoolExecutor(1) as pool:
        first, second = (pool.submit(runs.run, tree, asked, 60) for _ in range(2))
        pipe = (tree / "pipe").open("rb")
        assert pipe.read(1) == b"x"
        with pytest.raises(SystemExit) as ended, runs.ended_with(pool):
            signal.raise_signal(number)
    with pipe:
        assert pipe.read() == b"", "the server holds the other end"
    assert ended.value.code == 128 + number
    assert first.result().outcome == "killed"
    assert second.cancelled()
    assert signal.getsignal(number) == before
