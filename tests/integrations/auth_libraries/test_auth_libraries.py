"""The adapters for other auth libraries, against the real packages.

Django can be configured once in a process, so each library's checks run in a process of their own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import long_form

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    "library",
    [
        "allauth",
        *(pytest.param(name, marks=long_form) for name in ("two_factor", "flask_security")),
    ],
)
def test_with(library: str) -> None:
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"),
            *("-p", "no:randomly", f"{HERE.name}/check_{library}.py"),
        ],
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "skipped" not in run.stdout
