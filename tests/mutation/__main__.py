"""Draw mutants, run the tests on each in a copy of the tree, and name those that none noticed.

cd tests && python -m mutation core --sample 60 --seed 1 --workers 2
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue

from mutation import lua_code, python_code
from mutation.groups import GROUPS, Group
from mutation.mutant import Mutant, equivalents

ROOT = Path(__file__).parents[2]
_PYTEST = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider"]
_SLACK_SECONDS = 60.0


def all_mutants(group: Group) -> list[Mutant]:
    """Every mutant of a group."""
    found = []
    for path in group.sources(ROOT):
        make = lua_code.mutants if path.endswith(".lua") else python_code.mutants
        found += make(path, (ROOT / path).read_text("utf-8"))
    return found


def draw(mutants: list[Mutant], count: int, seed: str) -> list[Mutant]:
    """At most `count` of them, one a line, so that no long line is worth more than others."""
    dice = random.Random(seed)
    lines: dict[tuple[str, int], list[Mutant]] = {}
    for mutant in mutants:
        lines.setdefault((mutant.path, mutant.line), []).append(mutant)
    drawn = [dice.choice(lines[line]) for line in sorted(lines)]
    return dice.sample(drawn, min(count, len(drawn)))


def copy_tree(to: Path) -> None:
    """Copy all that git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    # Python compares hashes of sources, not times: two mutants may have one size and second.
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", "."],
        cwd=to,
        check=True,
    )


def run_tests(tree: Path, tests: list[str], patience_seconds: float) -> str:
    """`"killed"`, `"timeout"` or `"survived"`."""
    environment = {
        **{key: value for key, value in os.environ.items() if key != "OTPVERIFY_TEST_LONG"},
        "PYTHONPATH": str(tree),  # before the package that is installed
    }
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [*_PYTEST, *tests],
            cwd=tree,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            status = process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            return "timeout"
        finally:
            # Servers and programs that a killed test leaves behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if status == 5:  # pytest found no tests
            output.seek(0)
            raise SystemExit(output.read().decode())
        return "killed" if status else "survived"


class Trees:
    """Copies of the tree, one for each worker."""

    def __init__(self, folder: Path, count: int) -> None:
        self._free: SimpleQueue[Path] = SimpleQueue()
        for number in range(count):
            tree = folder / str(number)
            copy_tree(tree)
            self._free.put(tree)

    def run(self, mutant: Mutant | None, tests: list[str], patience_seconds: float) -> str:
        """What the tests say of a mutant, or of the tree as it is."""
        tree = self._free.get()
        try:
            if mutant:
                (tree / mutant.path).write_text(mutant.change(), "utf-8")
            return run_tests(tree, tests, patience_seconds)
        finally:
            if mutant:
                (tree / mutant.path).write_text(mutant.before, "utf-8")
            self._free.put(tree)


def measure(name: str, mutants: list[Mutant], workers: int, patience: float) -> Counter[str]:
    """Run the tests on all of them. Prints each that no test noticed.

    Args:
        name: The group's.
        mutants: Those that were drawn.
        workers: How many run at the same time.
        patience: Seconds for one mutant; 0 for three times what the tests take on the tree as it
            is, which must pass.
    """
    group = GROUPS[name]
    known = equivalents()
    result: Counter[str] = Counter(
        equivalent=sum(mutant.key() in known for mutant in mutants), mutants=len(mutants)
    )
    asked = [mutant for mutant in mutants if mutant.key() not in known]
    if not asked:  # without a test's name, pytest would run all
        return result
    every = list(dict.fromkeys(test for m in asked for test in group.tests_of(m.path, ROOT)))
    with (
        tempfile.TemporaryDirectory(prefix="otpverify-mutants-") as folder,
        ThreadPoolExecutor(workers) as pool,
    ):
        trees = Trees(Path(folder), workers)
        if not patience:
            begin = time.monotonic()
            if trees.run(None, every, 3600) != "survived":
                raise SystemExit(f"{name}: the tests fail without any change")
            patience = 3 * (time.monotonic() - begin) + _SLACK_SECONDS
        print(f"{name}: {len(asked)} mutants, {patience:.0f} s for each", flush=True)

        def ask(mutant: Mutant) -> tuple[Mutant, str]:
            return mutant, trees.run(mutant, group.tests_of(mutant.path, ROOT), patience)

        for done in as_completed([pool.submit(ask, mutant) for mutant in asked]):
            mutant, outcome = done.result()
            result[outcome] += 1
            if outcome != "killed":  # a timeout may also be the fault of a busy machine
                print(f"\n{outcome} {mutant.id()}, line {mutant.line}\n{mutant.key()}", flush=True)
    return result


def score(result: Counter[str]) -> float:
    """The percentage that tests noticed, of all that can be noticed."""
    possible = result["mutants"] - result["equivalent"]
    return 100 * (result["killed"] + result["timeout"]) / possible if possible else 100.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="mutation", description=__doc__)
    parser.add_argument("groups", nargs="*", help=f"of {', '.join(GROUPS)}; all by default")
    parser.add_argument("--sample", type=int, default=50, help="mutants of each group")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--patience", type=float, default=0, help="seconds; the tests are not tried first"
    )
    parser.add_argument("--only", nargs="*", help="the ids of mutants, instead of a sample")
    given = parser.parse_args()
    unknown = set(given.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    results = {}
    for name in given.groups or GROUPS:
        mutants = all_mutants(GROUPS[name])
        if given.only:
            mutants = [mutant for mutant in mutants if mutant.id() in given.only]
        else:
            mutants = draw(mutants, given.sample, f"{given.seed} {name}")
        results[name] = measure(name, mutants, given.workers, given.patience)

    columns = ("mutants", "killed", "timeout", "equivalent", "survived")
    print(f"\n{'group':8}" + "".join(f"{column:>12}" for column in columns) + "   score   goal")
    for name, result in results.items():
        counts = "".join(f"{result[column]:12}" for column in columns)
        print(f"{name:8}{counts}{score(result):7.1f}%{GROUPS[name].goal:6}%")
    missed = [name for name, result in results.items() if score(result) < GROUPS[name].goal]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
