"""docs/explanation/comparison.md counts the lines of the blocks that the other pages have."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = (DOCS / "explanation" / "comparison.md").read_text()


def lines_of(page: str, mark: str) -> int:
    """How many lines the block with a mark has, without imports, comments and blank lines."""
    text = (DOCS / "how-to" / page).read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    block = next(one for one in blocks if mark in one)
    imports = {
        line
        for node in ast.parse(block).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for line in range(node.lineno, (node.end_lineno or 0) + 1)
    }
    return sum(
        number not in imports and bool(line.strip()) and not line.strip().startswith("#")
        for number, line in enumerate(block.splitlines(), 1)
    )


@pytest.mark.parametrize(
    ("row", "page", "mark", "beside"),
    [
        # The field of the user model and the include are beside the settings.
        ("| sign in by phone, existing accounts | N lines", "django.md", "SQLITE_PATH", 2),
        ("| for a part of the users | a hook, N lines", "second-factor.md", "flow_urls(Login,", 0),
        ("N lines for REST framework", "django-rest-apis.md", "import APIView", 0),
        ("change of phone | N lines", "second-factor.md", "use_backup_codes(Backup", 0),
        ("\n| sign in by phone | N lines", "flask.md", "return [account for", 0),
        ("| sign up by phone alone | N lines", "flask.md", "class SignUpForm", 0),
        ("| confirm a phone | N lines", "fastapi.md", "proved just now", 0),
        ("| sign in or up by phone | N lines", "fastapi.md", "SIGN_UP = True", 0),
        ("without cookies | N lines", "fastapi.md", "def half_signed_in", 0),
        ("remove the phone | N lines; a code or", "fastapi.md", "def change_phone", 0),
    ],
)
def test_the_lines_are_those_of_the_pages(row: str, page: str, mark: str, beside: int) -> None:
    (said,) = re.findall(re.escape(row).replace("N", r"(\d+)"), PAGE)
    assert int(said) == lines_of(page, mark) + beside
