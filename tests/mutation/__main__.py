"""Draw mutants, run the tests on each in a copy of the tree, and name those that none noticed.

cd tests && python -m mutation core --sample 60 --seed 1 --workers 2
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from mutation import lua_code, python_code
from mutation.groups import GROUPS, Group
from mutation.mutant import Mutant, equivalents
from mutation.trees import ROOT, Trees, Verdict

_LONGEST_SECONDS = 3600.0
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
        with trees.runs.ended_with(pool):
            if not patience:
                begin = time.monotonic()
                plain = pool.submit(trees.run, None, every, _LONGEST_SECONDS).result()
                if plain.outcome != "survived":
                    raise SystemExit(f"{name}: the tests fail without any change\n{plain.test()}")
                patience = 3 * (time.monotonic() - begin) + _SLACK_SECONDS
            print(f"{name}: {len(asked)} mutants, {patience:.0f} s for each", flush=True)

            def ask(mutant: Mutant) -> tuple[Mutant, Verdict]:
                return mutant, trees.run(mutant, group.tests_of(mutant.path, ROOT), patience)

            for done in as_completed([pool.submit(ask, mutant) for mutant in asked]):
                mutant, verdict = done.result()
                result[verdict.outcome] += 1
                if verdict.outcome != "killed":
                    print(f"\n{verdict.outcome} {mutant.id()}, line {mutant.line}")
                    print(mutant.key(), flush=True)
                if verdict.outcome == "timeout":  # which may also be the fault of a busy machine
                    print(f"in {verdict.test()}", flush=True)
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
