"""Mutants of Lua, which no tool makes: operators, comparisons, numbers, words, negated conditions
and dropped statements."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mutation.mutant import Mutant

_TOKENS = re.compile(
    r"(?P<comment>--[^\n]*)|(?P<string>'[^'\n]*'|\"[^\"\n]*\")|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<word>[A-Za-z_]\w*)|(?P<sign>\.\.\.|\.\.|[=~<>]=|[^\s\w])|\s+"
)
_OTHERS = {
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "==": "~=",
    "~=": "==",
    "+": "-",
    "-": "+",
    "*": "/",
    "/": "*",
    "%": "*",
    "and": "or",
    "or": "and",
    "not": "",
    "true": "false",
    "false": "true",
    "max": "min",
    "min": "max",
    "floor": "ceil",
    "ceil": "floor",
}
_CONDITION = re.compile(r"^\s*(?:if|elseif|while) (?P<test>.+) (?:then|do)$")
_STATEMENT = re.compile(r"^\s*(?!local |return\b|for |function )[A-Za-z_][\w.:\[\]#+ ,]*(?: = |\()")
_GOES_ON = re.compile(r"(?:[-+*/%=~<>,({]|\.\.|\b(?:and|or|not|return))$")
_WENT_ON = re.compile(r"^\s*(?:[-+*/%=~<>.)}]|(?:and|or)\b)(?!-)")


def _changes(text: str) -> Iterator[tuple[int, int, str]]:
    """Where a change begins and ends, and what comes there."""
    for found in _TOKENS.finditer(text):
        kind, token = found.lastgroup, found.group()
        if kind == "number" and "." not in token:
            yield *found.span(), str(int(token) + 1)
            if int(token) > 0:
                yield *found.span(), str(int(token) - 1)
        elif kind == "number":
            yield *found.span(), str(float(token) + 1)
        elif kind == "string" and len(token) > 2 and token[1] != ">":  # formats fail at once
            yield *found.span(), f"{token[0]}XX{token[1:]}"
        elif kind in {"word", "sign"} and token in _OTHERS:
            yield *found.span(), _OTHERS[token]

    begin, lines = 0, text.split("\n")
    for number, line in enumerate(lines):
        condition = _CONDITION.match(line)
        if condition:
            first, last = condition.span("test")
            yield begin + first, begin + last, f"not ({condition['test']})"
        before = lines[number - 1] if number else ""
        after = lines[number + 1] if number + 1 < len(lines) else ""
        whole = all(line.count(one) == line.count(other) for one, other in ("()", "[]", "{}"))
        alone = not (_GOES_ON.search(before) or _GOES_ON.search(line) or _WENT_ON.match(after))
        if _STATEMENT.match(line) and whole and alone and not re.search(r"\b(then|do|end)$", line):
            yield begin, begin + len(line), ""
        begin += len(line) + 1


def mutants(path: str, text: str) -> list[Mutant]:
    """Every mutant of a file."""
    return [
        Mutant(
            path,
            text.count("\n", 0, begin) + 1,
            text,
            lambda begin=begin, end=end, new=new: text[:begin] + new + text[end:],  # type: ignore[misc]
        )
        for begin, end, new in _changes(text)
    ]
