"""Fuzz the targets with atheris: `make fuzz`.

    cd tests; python -m fuzz.run --minutes 60                 all targets, one process each
    cd tests; python -m fuzz.run --seconds 60 phone csv_file  these, so long each
    cd tests; python -m fuzz.run --replay phone FILE          one input, without atheris
    cd tests; python -m fuzz.run --minimise                   add to the kept corpora what was found

What is found is in `.artefacts/fuzz/`: a corpus for each target, from which the next run goes on,
and an input for each fault. A fault is printed as the command that repeats it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

TESTS = Path(__file__).resolve().parent.parent
FOUND = TESTS.parent / ".artefacts" / "fuzz"
LARGEST_INPUT = 1024
"""In bytes, of the inputs that are kept."""
MOST_INPUTS = 40
"""For each target that are kept."""
_LONGEST_CALL_SECONDS = 5
_MOST_MEMORY_MIB = 2048


@dataclass(frozen=True)
class Outcome:
    """What fuzzing a target came to.

    Attributes:
        target: Its name.
        executions: How many inputs were tried.
        fault: The file of the input that fails; `None` if there is none.
        log: What the fuzzer wrote.
    """

    target: str
    executions: int
    fault: Path | None
    log: str


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    if asked.child:
        return _fuzz_here(asked.child, asked.rest)
    from fuzz.targets import TARGETS

    if asked.replay:
        name, file = asked.replay
        TARGETS[name](Path(file).read_bytes())
        print(f"{name} holds for {file}.")
        return 0
    names = asked.targets or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        raise SystemExit(f"No targets: {', '.join(sorted(unknown))}. Known: {', '.join(TARGETS)}")
    if asked.minimise:
        for name in names:
            print(f"{name}: {minimise(name)} inputs are kept.", flush=True)
        return 0
    if find_spec("atheris") is None:
        raise SystemExit("Fuzzing needs atheris, for Python 3.11 to 3.13 on Linux and x86-64.")
    seconds = asked.seconds or max(1, round(asked.minutes * 60 * asked.workers / len(names)))
    print(f"{len(names)} targets, {seconds} s each, seed {asked.seed}.", flush=True)
    with ThreadPoolExecutor(asked.workers) as pool:
        outcomes = list(pool.map(lambda name: _fuzz(name, seconds, asked.seed), names))
    faults = [outcome for outcome in outcomes if outcome.fault is not None]
    total = sum(outcome.executions for outcome in outcomes)
    print(f"{total:,} executions, {len(faults)} faults.")
    for outcome in faults:
        print(f"\n{outcome.target}:\n{outcome.log}\nRepeat it: {_command(outcome)}")
    return 1 if faults else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fuzz.run", description=__doc__)
    parser.add_argument("targets", nargs="*", help="names of targets; all if left out")
    parser.add_argument("--minutes", type=float, default=60, help="for all targets together")
    parser.add_argument("--seconds", type=int, help="for each target, instead")
    parser.add_argument("--workers", type=int, default=2, help="processes at once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replay", nargs=2, metavar=("TARGET", "FILE"))
    parser.add_argument("--minimise", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--rest", nargs=argparse.REMAINDER, default=[], help=argparse.SUPPRESS)
    return parser


def _command(outcome: Outcome) -> str:
    assert outcome.fault is not None
    return f"cd {TESTS} && {sys.executable} -m fuzz.run --replay {outcome.target} {outcome.fault}"


_printing = threading.Lock()


def _fuzz(name: str, seconds: int, seed: int) -> Outcome:
    """Fuzz a target in a process of its own."""
    from fuzz.targets import ISSUED

    folder = FOUND / name
    grown, kept = folder / "corpus", TESTS / "fuzz" / "corpus" / name
    grown.mkdir(parents=True, exist_ok=True)
    kept.mkdir(parents=True, exist_ok=True)
    if name in ISSUED:
        (grown / "issued").write_bytes(ISSUED[name].encode())
    known = set(folder.iterdir())
    ran = _child(
        name,
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-timeout={_LONGEST_CALL_SECONDS}",
        f"-rss_limit_mb={_MOST_MEMORY_MIB}",
        f"-max_len={LARGEST_INPUT}",
        f"-artifact_prefix={folder}/",
        f"-dict={TESTS / 'fuzz' / 'words.dict'}",
        "-print_final_stats=1",
        "-verbosity=0",
        str(grown),
        str(kept),
    )
    executions = re.search(r"number_of_executed_units:\s*(\d+)", ran.stdout)
    new = sorted(set(folder.iterdir()) - known)
    fault = new[0] if new else folder if ran.returncode else None
    outcome = Outcome(name, int(executions[1]) if executions else 0, fault, _end(ran.stdout))
    with _printing:
        print(f"{name}: {outcome.executions:,} executions{', FAULT' if fault else ''}", flush=True)
    return outcome


def _child(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    from fuzz.targets import TARGETS

    place = f"{TARGETS[name].__module__}.{name}"
    command = [sys.executable, "-m", "fuzz.run", "--child", place, "--rest", *options]
    return subprocess.run(
        command,
        cwd=TESTS,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


def _end(log: str, lines: int = 40) -> str:
    return "\n".join(log.splitlines()[-lines:])


def _fuzz_here(place: str, options: Sequence[str]) -> int:
    """Fuzz in this process, which ends with it. It loads no more than the target needs."""
    import logging

    import atheris

    logging.disable()
    with atheris.instrument_imports(include=["otpverify"], enable_loader_override=False):
        module, _, name = place.rpartition(".")
        target = getattr(import_module(module), name)
    atheris.Setup([sys.argv[0], *options], target)
    atheris.Fuzz()
    return 0


# Which inputs are kept.


def minimise(name: str) -> int:
    """Keep the inputs that reach most of the package, of those that are kept and that were found.

    Returns:
        How many are kept.
    """
    from fuzz.targets import ISSUED, TARGETS

    kept, grown = TESTS / "fuzz" / "corpus" / name, FOUND / name / "corpus"
    kept.mkdir(parents=True, exist_ok=True)
    grown.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as merged:
        _child(name, "-merge=1", f"-max_len={LARGEST_INPUT}", merged, str(kept), str(grown))
        contents = {file.read_bytes() for file in Path(merged).iterdir()}
    contents -= {ISSUED.get(name, "").encode()}
    contents |= {file.read_bytes() for file in kept.iterdir()}
    reached = {
        content: set(_jumps(TARGETS[name], content))
        for content in contents
        if len(content) <= LARGEST_INPUT
    }
    chosen = list(_cover(reached))[:MOST_INPUTS]
    for file in kept.iterdir():
        file.unlink()
    for content in chosen:
        (kept / hashlib.sha256(content).hexdigest()[:12]).write_bytes(content)
    return len(chosen)


def _cover(reached: dict[bytes, set[Any]]) -> Iterator[bytes]:
    """The inputs that together reach all that any reaches; each adds the most, the short ones
    first."""
    left = dict(reached)
    seen: set[Any] = set()
    while left:
        best = min(left, key=lambda one: (-len(left[one] - seen), len(one), one))
        if not left[best] - seen:
            return
        yield best
        seen |= left.pop(best)


def _jumps(target: Any, content: bytes) -> Iterable[tuple[Any, ...]]:
    """The pairs of lines of the package that an input runs one after the other."""
    package, found = f"{os.sep}otpverify{os.sep}", set[tuple[Any, ...]]()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        file = frame.f_code.co_filename
        if package not in file or f"{os.sep}tests{os.sep}" in file:
            return None
        last = frame.f_lineno

        def inside(frame: FrameType, event: str, _: object) -> Any:
            nonlocal last
            found.add((file, last, frame.f_lineno, event))
            last = frame.f_lineno
            return inside

        return inside

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        target(content)
    except Exception:  # a fault is kept, too
        found.add((content,))
    finally:
        sys.settrace(before)
    return found


if __name__ == "__main__":
    sys.exit(main())
