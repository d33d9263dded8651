"""Whether the files in `dist/` can be released, and what is left to decide. `make release-check`
runs it after it has built them and tested them."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Final

from otpverify import __version__

ROOT: Final = Path(__file__).parents[2]


def faults(tag: str, heading: str, changed: str, files: set[str]) -> list[str]:
    """What must not be so in a release.

    Args:
        tag: The name of the tag that is released, such as "v0.1.0"; empty before there is one.
        heading: The first heading of a version in the changelog.
        changed: The files that differ from the last commit.
        files: The names in `dist/`.
    """
    expected = {f"otpverify-{__version__}-py3-none-any.whl", f"otpverify-{__version__}.tar.gz"}
    found = []
    if files != expected:
        found.append(f"dist/ holds {', '.join(sorted(files))}.")
    if not re.match(rf"{re.escape(__version__)} \(.+\)$", heading):
        found.append(f"CHANGELOG.md begins with {heading}, not with {__version__}.")
    if tag and tag != f"v{__version__}":
        found.append(f"The tag is {tag}, and the version is {__version__}.")
    if tag and not re.search(r"\(\d{4}-\d\d-\d\d\)$", heading):
        found.append("CHANGELOG.md does not give the day of the release.")
    if tag and changed:
        found.append(f"These files differ from the last commit:\n{changed}")
    return found


def open_decisions(heading: str, urls: dict[str, str], readme: str) -> list[str]:
    """What only a person can decide."""
    found = []
    if "unreleased" in heading:
        found.append("The day of the release: write it into CHANGELOG.md in place of (unreleased).")
    if not urls:
        links = len(re.findall(r"\]\((?!https?:|#)", readme))
        found.append(
            "The address of the repository: write it as [project.urls] into pyproject.toml. "
            f"{links} links of README.md lead to files of the repository."
        )
    return found


def main() -> int:
    """Print the checksums, the faults, and what is left to decide."""
    tag = sys.argv[1] if len(sys.argv) > 1 else ""
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    heading = headings[0] if headings else ""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    changed = subprocess.run(
        ["git", "status", "--porcelain"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.rstrip()
    files = sorted(path for path in (ROOT / "dist").iterdir() if path.is_file())
    for path in files:
        print(f"{sha256(path.read_bytes()).hexdigest()}  {path.name}")
    found = faults(tag, heading, changed, {path.name for path in files})
    for fault in found:
        print(f"Fault: {fault}")
    readme = (ROOT / "README.md").read_text("utf-8")
    for decision in open_decisions(heading, project.get("urls", {}), readme):
        print(f"Left to decide: {decision}")
    if not found:
        print(f"otpverify {__version__} can be released.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
