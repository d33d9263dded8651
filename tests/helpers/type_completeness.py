"""What a type checker cannot see of the package, as pyright counts it. `make lint` runs it.

pyright's `--verifytypes` reads the installed package as a user's type checker does, and counts the
symbols whose type is known. All of them must be, of all public modules: names that are inferred,
and perhaps differently by another checker, do not count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import otpverify

# Their base classes come from django-allauth, which has no types.
UNTYPED_BASES: Final = {
    "otpverify.integrations.allauth.NotSent",
    "otpverify.integrations.allauth.PhoneAdapter",
}
_PACKAGE: Final = Path(otpverify.__file__).parent


def verified() -> dict[str, Any]:
    """pyright's report, of the package that this interpreter imports."""
    folder = Path(sys.executable).parent  # without links resolved: the virtual environment
    program = [str(folder / "basedpyright"), "--verifytypes", "otpverify"]
    result = subprocess.run(
        [*program, "--ignoreexternal", "--outputjson"],
        env={**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,  # 1, where something is unknown
    )
    report: dict[str, Any] = json.loads(result.stdout)["typeCompleteness"]
    return report


def faults(report: dict[str, Any]) -> list[str]:
    """What is unknown, and what should have been looked at."""
    found = []
    unknown = {one["name"]: one for one in report["symbols"] if not one["isTypeKnown"]}
    for name in sorted(unknown.keys() - UNTYPED_BASES):
        messages = {each["message"] for each in unknown[name]["diagnostics"]}
        found += [f"{name}: {message}" for message in sorted(messages)]
    found += [f"{name} is known by now." for name in sorted(UNTYPED_BASES - unknown.keys())]
    modules = {one["name"] for one in report["modules"]}
    found += [f"{name} was not looked at." for name in sorted(public_modules() - modules)]
    symbols = {one["name"] for one in report["symbols"]}
    public = {f"otpverify.{name}" for name in otpverify.__all__ if not name.startswith("_")}
    return found + [f"{name} is not exported." for name in sorted(public - symbols)]


def public_modules() -> set[str]:
    """The modules whose names have no underscore in front."""
    paths = [path.relative_to(_PACKAGE.parent) for path in _PACKAGE.rglob("*.py")]
    parts = [
        [*path.parent.parts, *([path.stem] if path.stem != "__init__" else [])] for path in paths
    ]
    return {
        ".".join(each)
        for each in parts
        if not any(part.startswith("_") and part != "__main__" for part in each)
        and all(part.isidentifier() for part in each)
    }


def main() -> int:
    """Print what is unknown, and how much is known."""
    report = verified()
    found = faults(report)
    counts = report["exportedSymbolCounts"]
    total, known = sum(counts.values()), counts["withKnownType"]
    print(*found, sep="\n", end="\n" if found else "")
    print(
        f"Types: {known} of {total} public symbols in {len(report['modules'])} modules are known; "
        f"the other {total - known} have a base class of a package without types."
        if not found
        else f"Types: {known} of {total} public symbols are known."
    )
    return 1 if found or not known else 0


if __name__ == "__main__":
    sys.exit(main())
