"""Benchmarks: `make bench`. They print ratios to a floor measured in the same run; nothing here
is a test."""

import os
import sys

WITHOUT_HIREDIS = "OTPVERIFY_BENCH_WITHOUT_HIREDIS"
if os.environ.get(WITHOUT_HIREDIS):
    sys.modules["hiredis"] = None  # type: ignore[assignment]  # its import fails from now on
