"""The page of recipes: every block runs as it stands, and every command is one that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "examples" / "README.md").read_text()
BLOCKS = [
    (title, block)
    for title, text in re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    for block in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
]
COMMANDS = re.findall(r"`make example APP=(\w+)( ARGS=--script)?`", PAGE)


@pytest.mark.parametrize(("title", "block"), BLOCKS, ids=[title for title, _ in BLOCKS])
def test_a_recipe_runs_as_it_stands(
    title: str, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "assert" in block, "it shows that it does what it says"
    monkeypatch.chdir(tmp_path)
    exec(compile(block, title, "exec"), {"__name__": "recipe"})


def test_all_recipes_are_there() -> None:
    assert [title for title, _ in BLOCKS] == [
        "Login with a second factor",
        "Phone confirmation",
        "Password reset",
        "Payment approval",
        "App-store review",
        "Several brands in one process",
        "From Twilio Verify",
        "From the tutorial's code",
    ]


def test_every_application_has_its_commands() -> None:
    folders = {path.parent.name for path in (ROOT / "examples").glob("*/main.py")}
    assert sorted(COMMANDS) == sorted(
        (name, args) for name in folders for args in ("", " ARGS=--script")
    )
    assert re.search(r"^example:", (ROOT / "Makefile").read_text(), re.MULTILINE)
