"""What importing costs, to what importing its three heaviest dependencies costs."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.common import row

REFERENCE = "import argon2, cachetools, phonenumbers"


def milliseconds(statement: str, rounds: int = 15) -> float:
    """The least time of an interpreter that runs the statement."""
    least = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], check=True)
        least = min(least, time.perf_counter() - began)
    return least * 1e3


def main() -> None:
    empty = milliseconds("pass")
    reference = milliseconds(REFERENCE) - empty
    row("statement", "ms", f"to `{REFERENCE}`", "at most")
    row("---", "---", "---", "---")
    for statement, figure in (
        ("import otpverify", "0.5"),
        ("from otpverify import Verifier", "1.8"),
        ("from otpverify import RedisStore, SmspmClient, Verifier", ""),
    ):
        took = milliseconds(statement) - empty
        row(f"`{statement}`", f"{took:.0f}", f"{took / reference:.2f}", figure)


if __name__ == "__main__":
    main()
