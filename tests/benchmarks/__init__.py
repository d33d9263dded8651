"""Benchmarks: `make bench`. They print ratios to a floor measured in the same run; nothing here
is a test."""

import os
import sys

HIREDIS = "OTPVERIFY_BENCH_HIREDIS"
"""The variable that names the folder with hiredis. It is kept apart: the tests run without."""

if folder := os.environ.get(HIREDIS):
    sys.path.insert(0, folder)
