"""One small change of one file, and the list of changes that nobody can notice."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_EQUIVALENT = Path(__file__).with_name("equivalent.txt")


@dataclass(frozen=True)
class Mutant:
    """A change.

    Attributes:
        path: The changed file, from the repository's root.
        line: Where the change begins.
        before: The file's text.
        change: Makes the changed text.
    """

    path: str
    line: int
    before: str
    change: Callable[[], str] = field(compare=False)

    def diff(self) -> list[str]:
        """The changed lines: each begins with `-` or `+`, its indentation left out."""
        lines = difflib.ndiff(self.before.splitlines(), self.change().splitlines())
        return [f"{line[0]} {line[2:].strip()}" for line in lines if line[0] in "+-"]

    def key(self) -> str:
        """What names the change when the lines above it have moved."""
        return "\n".join([self.path, *self.diff()])

    def id(self) -> str:
        """A short name, by which the change can be tried again."""
        return hashlib.sha256(self.key().encode()).hexdigest()[:8]


def equivalents() -> dict[str, str]:
    """The keys of all changes that nobody can notice, with the reason."""
    found = {}
    for part in _EQUIVALENT.read_text("utf-8").split("\n\n"):
        lines = [line for line in part.strip().splitlines() if not line.startswith("#")]
        if lines:
            key, separator, reason = "\n".join(lines).partition("\nwhy: ")
            assert separator, f"{_EQUIVALENT.name}: no reason for\n{key}"
            found[key] = reason
    return found
