"""Every class of the package, and an instance of each that can be made of marked values.

Run as a program, it prints one JSON list: each class whose `repr`, `str`, `format` or pickled
arguments show a mark, with what shows it. A process of its own, since it configures Django.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import inspect
import json
import pickle
import pkgutil
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from typing import Any

PHONE = "+37256789045"
CODE = "918273"
SECRET = "Mark3d-s3cret-" + "kq7ZpXv2" * 3
NATIONAL = PHONE[4:]
MARKS = (NATIONAL, CODE, "Mark3d")
# What a field or an argument of this name holds, wherever the package uses the name.
GIVEN: dict[str, Any] = {
    **dict.fromkeys(("phone", "to", "number", "typed", "subject", "recipient"), PHONE),
    **dict.fromkeys(("code", "given_code"), CODE),
    "text": f"Your code is {CODE}. {PHONE}",
    **dict.fromkeys(
        ("secret", "proof", "password", "token", "hash", "report", "credential"), SECRET
    ),
    **dict.fromkeys(("digest", "own", "nonce"), SECRET.encode()),
    **{
        key: {"to": PHONE, "x": CODE}
        for key in ("fields", "params", "environ", "form", "data", "cookies")
    },
    **dict.fromkeys(
        ("secrets", "codes", "numbers", "recipients", "messages", "entries"), (PHONE, CODE)
    ),
    "binding": {"payee": SECRET},
    "args": (PHONE, CODE),
    "url": f"redis://user:{SECRET}@host",
    "body": f"{PHONE} {CODE}".encode(),
}


HOLDS = re.compile(r"str|bytes|object|Any|Mapping|dict|tuple|list|Sequence|Iterable|frozenset|$")
"""The types of fields that can hold a mark. Others hold numbers, or objects that are looked at
themselves."""


def modules() -> Iterator[Any]:
    """Every module of the package that can be imported."""
    import otpverify

    for found in pkgutil.walk_packages(otpverify.__path__, "otpverify."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def classes() -> list[type]:
    """Every class that the package defines."""
    seen: dict[type, None] = {}
    for module in modules():
        for found in list(vars(module).values()):
            # Not isinstance: lazy objects of frameworks claim anything.
            if issubclass(type(found), type) and found.__module__ == module.__name__:
                seen[found] = None
    return list(seen)


def value(name: str, annotation: str) -> Any:
    """A marked value for a field that may hold what must not show; a plain one for any other."""
    kind = annotation.replace(" ", "").removeprefix("ForwardRef('")
    if name.strip("_") in GIVEN and HOLDS.match(kind):
        return GIVEN[name.strip("_")]
    if "datetime" in kind:
        return datetime(2026, 3, 1, tzinfo=UTC)
    if kind.startswith(("tuple", "Sequence", "list", "Iterable", "frozenset", "set")):
        return ()
    if kind.startswith(("Mapping", "dict")):
        return {}
    return "plain" if kind.startswith("str") else 1


def make(found: type) -> Any:
    """An instance of a data class, a named tuple or an error, without its checks; or `None`."""
    if dataclasses.is_dataclass(found):
        made = object.__new__(found)
        for field in dataclasses.fields(found):
            object.__setattr__(made, field.name, value(field.name, str(field.type)))
        return made
    if issubclass(found, tuple) and hasattr(found, "_fields"):
        hints = getattr(found, "__annotations__", {})
        given = [value(name, str(hints.get(name, "str"))) for name in found._fields]
        return found(*given)
    if issubclass(found, Enum | type):
        return None
    try:
        signature = inspect.signature(found)
        given_by_name = {
            name: value(name, str(one.annotation))
            for name, one in signature.parameters.items()
            if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
            and (one.default is one.empty or name in GIVEN)
        }
        return found(**given_by_name)
    except Exception:
        return None


def shown(made: Any) -> Iterator[tuple[str, str]]:
    """Everything by which an object may end in a log."""
    for name, by in (("repr", repr), ("str", str), ("format", format)):
        try:
            yield name, by(made)
        except Exception as error:
            yield f"{name} of the error", f"{error!r}"
    if isinstance(made, BaseException):
        yield "args", repr(made.args)
        with contextlib.suppress(TypeError):  # a framework's, which cannot be pickled
            yield "pickled", repr(pickle.loads(pickle.dumps(made)).args)


def leaks() -> tuple[int, list[tuple[str, str, str]]]:
    """How many classes gave an instance; and class, how it shows a mark, and which."""
    count, found = 0, []
    for one in classes():
        made = make(one)
        if made is None:
            continue
        count += 1
        for how, text in shown(made):
            found += [
                (f"{one.__module__}.{one.__qualname__}", how, mark)
                for mark in MARKS
                if mark in text
            ]
    return count, found


def main() -> None:
    from django.conf import settings

    settings.configure(
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.admin",
            "otpverify.integrations.django",
        ],
        SECRET_KEY="only for this process, which serves nothing",
        OTPVERIFY={},
    )
    import django

    django.setup()
    count, found = leaks()
    json.dump({"count": count, "leaks": found}, sys.stdout)


if __name__ == "__main__":
    main()
