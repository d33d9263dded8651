"""What importing costs, to what importing its three heaviest dependencies costs."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from benchmarks.common import row

REFERENCE = "import argon2, cachetools, phonenumbers"


def milliseconds(statements: Sequence[str], rounds: int = 15) -> list[float]:
    """The least CPU time of an interpreter that runs each statement, in interleaved rounds."""
    least = [float("inf")] * len(statements)
    with tempfile.TemporaryDirectory() as folder:
        # Byte code is written once, as an installer does it, also where the caller turned that off.
        environment = os.environ | {"PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}
        for timed in range(rounds + 1):
            for place, statement in enumerate(statements):
                began = children()
                subprocess.run([sys.executable, "-c", statement], env=environment, check=True)
                if timed:
                    least[place] = min(least[place], children() - began)
    return [seconds * 1e3 for seconds in least]


def children() -> float:
    """Seconds of CPU that the processes took that this one started."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def main() -> None:
    figures = {
        "import otpverify": "0.5",
        "from otpverify import Verifier": "1.8",
        "from otpverify import RedisStore, SmspmClient, Verifier": "",
    }
    empty, reference, *others = milliseconds(["pass", REFERENCE, *figures])
    reference -= empty
    row("statement", "ms of CPU", f"to `{REFERENCE}`", "at most")
    row("---", "---", "---", "---")
    for (statement, figure), took in zip(figures.items(), others, strict=True):
        own = took - empty
        row(f"`{statement}`", f"{own:.0f}", f"{own / reference:.2f}", figure)


if __name__ == "__main__":
    main()
