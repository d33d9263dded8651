"""Mutants of Python: those of mutmut, and statements that are dropped.

mutmut's own runner is not used: it draws no samples, runs all tests once before, and puts wrappers
around functions, which tests that look at signatures notice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

from mutation.mutant import Mutant

# What runs in no program, or is there for type checkers alone.
_LEFT_OUT = (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom)
_LEFT_OUT_NAMES = {"TYPE_CHECKING", "__all__", "cast", "TypeVar"}


def _drop(node: cst.Expr) -> Iterator[cst.CSTNode]:
    if not isinstance(node.value, cst.BaseString | cst.Ellipsis):
        yield cst.Pass()


def _go_on(node: cst.Raise) -> Iterator[cst.CSTNode]:
    yield cst.Pass()


def _negate(node: cst.If | cst.While) -> Iterator[cst.CSTNode]:
    test = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    yield node.with_changes(test=cst.UnaryOperation(cst.Not(), test))


def _return_nothing(node: cst.Return) -> Iterator[cst.CSTNode]:
    word = node.value.value if isinstance(node.value, cst.Name) else ""
    if node.value is not None and word not in {"None", "True", "False"}:
        yield node.with_changes(value=cst.Name("None"))


_OPERATORS: list[tuple[Any, Any]] = [
    *mutation_operators,
    (cst.Expr, _drop),
    (cst.Raise, _go_on),
    (cst.If, _negate),
    (cst.While, _negate),
    (cst.Return, _return_nothing),
]


def _is_left_out(node: cst.CSTNode) -> bool:
    if isinstance(node, _LEFT_OUT):
        return True
    if isinstance(node, cst.Expr):  # a docstring
        return isinstance(node.value, cst.BaseString)
    name: Any = None
    if isinstance(node, cst.If):
        name = node.test
    elif isinstance(node, cst.Call):
        name = node.func
    elif isinstance(node, cst.Assign):
        name = node.targets[0].target
    if isinstance(name, cst.Name) and name.value in _LEFT_OUT_NAMES:
        return True
    return isinstance(node, cst.SimpleString) and _is_prose(node)


def _is_noticed_by_types(node: cst.CSTNode, other: cst.CSTNode) -> bool:
    """`None` comes where an annotation does not allow it: `make lint` fails, as its mypy is
    strict."""
    if not isinstance(node, cst.AnnAssign) or not isinstance(other, cst.AnnAssign):
        return False
    allowed = cst.Module([]).code_for_node(node.annotation.annotation)
    nothing = isinstance(other.value, cst.Name) and other.value.value == "None"
    return nothing and not re.search(r"\b(None|Any|object)\b", allowed)


def _is_prose(node: cst.CSTNode) -> bool:
    """A text for people. No program depends on its wording; what it must name has own tests."""
    if isinstance(node, cst.SimpleString):
        text: str = node.value
        return " " in text
    return isinstance(node, cst.FormattedString | cst.ConcatenatedString)


def _walk(node: cst.CSTNode) -> Iterator[tuple[cst.CSTNode, cst.CSTNode]]:
    """Every node that is changed, with what comes in its place."""
    if _is_left_out(node):
        return
    if isinstance(node, cst.Call) and any(_is_prose(given.value) for given in node.args):
        operators = []
    else:
        operators = _OPERATORS
    for kind, operator in operators:
        if isinstance(node, kind):
            changed: Iterable[cst.CSTNode] = operator(node)
            if isinstance(node, cst.SimpleString):
                changed = list(changed)[:1]  # not the same in upper and lower case
            for other in changed:
                if not _is_noticed_by_types(node, other):
                    yield node, other
    for child in node.children:
        yield from _walk(child)


def mutants(path: str, text: str) -> list[Mutant]:
    """Every mutant of a file."""
    wrapper = MetadataWrapper(cst.parse_module(text))
    lines = wrapper.resolve(PositionProvider)

    def change(node: cst.CSTNode, other: cst.CSTNode) -> str:
        changed: Any = wrapper.module.deep_replace(node, other)
        code: str = changed.code
        return code

    return [
        Mutant(path, lines[node].start.line, text, partial(change, node, other))
        for node, other in _walk(wrapper.module)
        if node in lines
    ]
