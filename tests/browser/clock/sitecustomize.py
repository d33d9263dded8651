"""Lets a test move the clock of a process that it starts: Python loads this before anything else
when its folder is on the path. What `time.time` says is ahead by the seconds in a file."""

import os
import time
from pathlib import Path

_AHEAD = Path(os.environ["OTPVERIFY_TEST_CLOCK"])
_now = time.time


def _moved() -> float:
    return _now() + float(_AHEAD.read_text(encoding="ascii"))


time.time = _moved
