"""The catalogues of the pages' texts: extracted from the sources of all frameworks, brought up to
date, and compiled. `make catalogues` runs it; CONTRIBUTING.md says what a translator does.

    python catalogues.py            update otpverify.pot and every .po, and compile every .mo
    python catalogues.py fr pt-BR   update and compile these languages alone
    python catalogues.py --check    write nothing; fail if anything would change
"""

from __future__ import annotations

import ast
import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from gettext import c2py  # what gettext reads its rules with
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

from babel import Locale
from babel.dates import format_timedelta
from babel.messages import Catalog, Message
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po
from django.template.base import Lexer, TokenType
from jinja2 import Environment, nodes

import otpverify
from otpverify.integrations.web.languages import DOMAIN, LOCALES
from otpverify.sms.languages import DEFAULT, languages

PACKAGE: Final = Path(otpverify.__file__).parent
TEMPLATE: Final = LOCALES / f"{DOMAIN}.pot"

# Where a call has its text, and its plural if it counts; some are functions of one file.
_CALLS: Final[dict[str, tuple[int, ...]]] = {
    "Sentence": (0, 1),
    "counted": (1, 2),
    "_": (0,),
    "lazy_text": (0,),
    "sentences.py _later": (0,),
    "problems.py _refused": (2,),
}
# Calls whose text is a value: what it is, and where its texts are found instead.
PASSED_ON: Final = {
    # In `counted`, `_later` and `_refused` themselves, and in what templates call.
    "django/requests.py: text",
    "django/templatetags/otpverify.py: one",
    "django/templatetags/otpverify.py: text",
    "flask/pages.py: one",
    "flask/pages.py: text",
    "web/problems.py: detail",
    "web/sentences.py: text",
    # Sentences that are found where they are made.
    "flask/pages.py: getattr(error, 'description', None) or str(error)",
    "web/problems.py: sentences.PROOF_REQUIRED.text",
    # In `_TABLES`.
    "web/sentences.py: _LIMITS.get(scope, _ANY_LIMIT)",
    "web/sentences.py: str(error).replace('%', '%%')",
    # The site's own texts, and Django's.
    "django/base.py: text",
    "flask/site.py: str(text).replace('%', '%%')",
}
# Texts that stand in tables.
_TABLES: Final = {
    "core/phone.py": {"_SENTENCES"},
    "integrations/web/sentences.py": {"_LIMITS", "_ANY_LIMIT", "_INCORRECT"},
}
# What a translator cannot see in a text.
_NOTES: Final = {
    "Error:": "Before the title of a page on which something is wrong.",
    "now": "Stands for %(when)s.",
    "in %(count)s second": "Stands for %(when)s. As Unicode CLDR has it; do not change it.",
    "in %(count)s minute": "Stands for %(when)s. As Unicode CLDR has it; do not change it.",
    "in %(count)s hour": "Stands for %(when)s. As Unicode CLDR has it; do not change it.",
    "in %(count)s day": "Stands for %(when)s. As Unicode CLDR has it; do not change it.",
    "The code approves:": "Before a list such as: amount 25.00 EUR, payee Example.",
    "Sending...": "On a button, while a form is being sent.",
    "Continue": "On a button.",
    "Send a code": "On a button, and a heading: the person asks us to send it.",
    "Resend code": 'On a button. While one has to wait, a time follows: "Resend code (0:45)".',
}
# Plural forms in the order of gettext. A test compares them with Unicode CLDR.
_ONE_FORM: Final = "nplurals=1; plural=0;"
_TWO_FORMS: Final = "nplurals=2; plural=(n != 1);"
_ZERO_IS_ONE: Final = "nplurals=2; plural=(n > 1);"
_WEST_SLAVIC: Final = "nplurals=3; plural=(n==1 ? 0 : n>=2 && n<=4 ? 1 : 2);"
_SLAVIC: Final = (
    "nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : "
    "n%10>=2 && n%10<=4 && (n%100<12 || n%100>14) ? 1 : 2);"
)
PLURALS: Final = {
    "ar": "nplurals=6; plural=(n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : "
    "n%100>=11 ? 4 : 5);",
    "cs": _WEST_SLAVIC,
    "fa": _ZERO_IS_ONE,
    "fr": _ZERO_IS_ONE,
    "he": "nplurals=3; plural=(n==1 ? 0 : n==2 ? 1 : 2);",
    "hi": _ZERO_IS_ONE,
    "hr": _SLAVIC,
    "id": _ONE_FORM,
    "ja": _ONE_FORM,
    "ko": _ONE_FORM,
    "lt": "nplurals=3; plural=(n%10==1 && (n%100<11 || n%100>19) ? 0 : "
    "n%10>=2 && (n%100<11 || n%100>19) ? 1 : 2);",
    "lv": "nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : "
    "n%10==0 || (n%100>=11 && n%100<=19) ? 1 : 2);",
    "ms": _ONE_FORM,
    "pl": "nplurals=3; plural=(n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<12 || n%100>14) ? 1 : 2);",
    "pt": _ZERO_IS_ONE,
    "pt-BR": _ZERO_IS_ONE,
    "ro": "nplurals=3; plural=(n==1 ? 0 : n==0 || (n%100>=1 && n%100<=19) ? 1 : 2);",
    "ru": _SLAVIC,
    "sk": _WEST_SLAVIC,
    "sl": "nplurals=4; plural=(n%100==1 ? 0 : n%100==2 ? 1 : n%100==3 || n%100==4 ? 2 : 3);",
    "th": _ONE_FORM,
    "uk": _SLAVIC,
    "vi": _ONE_FORM,
    "zh-Hans": _ONE_FORM,
    "zh-Hant": _ONE_FORM,
}
_EPOCH: Final = datetime(2026, 11, 30, tzinfo=UTC)  # so that a new run changes nothing


Key: TypeAlias = str | tuple[str, ...]
Unit: TypeAlias = Literal["second", "minute", "hour", "day"]


class Text(NamedTuple):
    """A text of the sources; `many` is empty where nothing is counted."""

    one: str
    many: str
    file: str


@cache
def texts() -> list[Text]:
    """Every text of the pages, in a fixed order.

    Raises:
        ValueError: A text is not a constant, so nobody could translate it.
    """
    found: list[Text] = []
    for path in _sources("*.py"):
        found += _of_python(path)
    for path in templates():
        found += _of_jinja(path) if "flask" in path.parts else _of_django(path)
    for name, tables in _TABLES.items():
        found += _of_tables(PACKAGE / name, tables)
    return found


def templates() -> list[Path]:
    """The templates of pages. Those of Django's admin are in English."""
    return [path for path in _sources("*.html") if "admin" not in path.parts]


def passed_on() -> set[str]:
    """The calls of Python sources whose text is a value: file and expression."""
    return {
        f"{_name(path).removeprefix('integrations/')}: {ast.unparse(text)}"
        for path in _sources("*.py")
        for text, *_ in _calls(path)
        if not isinstance(text, ast.Constant)
    }


def template() -> Catalog:
    """The catalogue of the sources, without translations."""
    catalog = _catalog(None)
    for text in texts():
        catalog.add(
            (text.one, text.many) if text.many else text.one,
            locations=[(text.file, None)],  # type: ignore[list-item]  # it is written without line
            auto_comments=[_NOTES[text.one]] if text.one in _NOTES else (),
            flags=["python-format"] if "%" in text.one else (),
        )
    for message in catalog:
        message.locations = sorted(set(message.locations))
        message.auto_comments = message.auto_comments[:1]
    return catalog


def path_of(tag: str, kind: str = "po") -> Path:
    """A language's catalogue, or the compiled one (`"mo"`)."""
    return LOCALES / tag.replace("-", "_") / "LC_MESSAGES" / f"{DOMAIN}.{kind}"


def tags() -> list[str]:
    """The languages that have catalogues: those of messages, without English."""
    return sorted(set(languages()) - {DEFAULT})


def read(path: Path, tag: str | None = None) -> Catalog:
    """A catalogue as it is."""
    with path.open("rb") as file:
        return read_po(
            file, Locale.parse(tag, sep="-") if tag else None, DOMAIN, abort_invalid=True
        )


def updated(tag: str, source: Catalog) -> Catalog:
    """A language's catalogue with exactly the texts of the sources. What is translated stays."""
    before = path_of(tag)
    known = read(before, tag) if before.exists() else None
    catalog = _catalog(tag)
    if known is not None:
        catalog.header_comment = known.header_comment
    for message in source:
        if not message.id:
            continue
        old = known.get(message.id) if known is not None else None
        kept = old.string if old is not None and not old.fuzzy else None
        if isinstance(message.id, tuple):
            kept = kept if isinstance(kept, tuple) else ()
            kept = tuple([*kept, *[""] * catalog.num_plurals][: catalog.num_plurals])
            if unit := _unit(message.id[0]):
                kept = _relative_time(tag, unit, catalog)
        catalog.add(
            message.id,
            kept or "",
            flags=message.flags,
            auto_comments=message.auto_comments,
            user_comments=old.user_comments if old is not None else (),
        )
    return catalog


def as_po(catalog: Catalog) -> bytes:
    """A catalogue's text."""
    target = io.BytesIO()
    write_po(target, catalog, width=99, include_lineno=False)
    # What depends on Babel's version, or says nothing.
    skipped = (b'"Generated-By', b'"Report-Msgid', b'"Last-Tr', b'"Language-Team', b'"PO-Rev')
    lines = target.getvalue().splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(skipped))


def as_mo(catalog: Catalog) -> bytes:
    """A catalogue, compiled."""
    target = io.BytesIO()
    write_mo(target, catalog)
    return target.getvalue()


def is_complete(catalog: Catalog) -> bool:
    """Whether every text has all its translations."""
    return all(all(translation_of(message)) for message in catalog if message.id)


def files() -> dict[Path, bytes]:
    """Every file as it should be. A language is compiled once it is complete, and then stays so:
    a text that is new is English until somebody translates it."""
    source = template()
    wanted = {TEMPLATE: as_po(source)}
    for tag in tags():
        catalog = updated(tag, source)
        wanted[path_of(tag)] = as_po(catalog)
        compiled = path_of(tag, "mo")
        if compiled.exists() and translations_in(read_compiled(compiled)) == translations_in(
            catalog
        ):
            wanted[compiled] = compiled.read_bytes()
        elif compiled.exists() or is_complete(catalog):
            wanted[compiled] = as_mo(catalog)
    return wanted


def translations_in(catalog: Catalog) -> dict[Key, Key]:
    """What a compiled catalogue holds: the translations by texts, in pairs where they count, and
    the rule for plurals under the empty text."""
    found: dict[Key, Key] = {"": (str(catalog.num_plurals), catalog.plural_expr)}
    for message in catalog:
        forms = translation_of(message)
        if message.id and all(forms) and not message.fuzzy:
            one = message.id if isinstance(message.id, str) else tuple(message.id)
            found[one] = forms if isinstance(message.string, list | tuple) else forms[0]
    return found


def translation_of(message: Message) -> tuple[str, ...]:
    """A text's translation in all its plural forms."""
    forms = message.string
    return tuple(forms) if isinstance(forms, list | tuple) else (forms or "",)


def read_compiled(path: Path) -> Catalog:
    """A compiled catalogue."""
    with path.open("rb") as file:
        return read_mo(file)


def _sources(pattern: str) -> Iterator[Path]:
    for folder in ("web", "flask", "django", "fastapi"):
        yield from sorted((PACKAGE / "integrations" / folder).rglob(pattern))


def _name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def _calls(path: Path) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    calls = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)]
    for node in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        if not isinstance(node.func, ast.Name):
            continue
        name = node.func.id
        places = _CALLS.get(name) or _CALLS.get(f"{path.name} {name}", ())
        found = [node.args[place] if place < len(node.args) else None for place in places]
        if found and found[0] is not None:
            yield found[0], found[1] if len(found) > 1 else None


def _of_python(path: Path) -> Iterator[Text]:
    for one, many in _calls(path):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            plural = many.value if isinstance(many, ast.Constant) else ""
            yield Text(one.value, str(plural), _name(path))


def _of_tables(path: Path, names: set[str]) -> Iterator[Text]:
    for node in ast.parse(path.read_text("utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if not any(isinstance(target, ast.Name) and target.id in names for target in targets):
            continue
        value = node.value  # type: ignore[attr-defined]  # an assignment's
        for found in value.values if isinstance(value, ast.Dict) else [value]:
            if isinstance(found, ast.Constant):
                yield Text(str(found.value), "", _name(path))


def _of_jinja(path: Path) -> Iterator[Text]:
    """The texts of `otpverify.say("...")` and `otpverify.count(n, "...", "...")`."""
    for call in Environment(autoescape=True).parse(path.read_text("utf-8")).find_all(nodes.Call):
        function = call.node
        if not isinstance(function, nodes.Getattr) or function.attr not in ("say", "count"):
            continue
        given = call.args[:1] if function.attr == "say" else call.args[1:3]
        words = [arg.value for arg in given if isinstance(arg, nodes.Const)]
        if not words or len(words) < len(given):
            raise ValueError(f"{_name(path)}, line {call.lineno}: the text is not a constant.")
        yield Text(words[0], (*words, "")[1], _name(path))


def _of_django(path: Path) -> Iterator[Text]:
    """The texts of `{% say "..." %}` and `{% say_count n "..." "..." %}`."""
    for token in Lexer(path.read_text("utf-8")).tokenize():
        if token.token_type is not TokenType.BLOCK:
            continue
        tag, *bits = token.split_contents()
        if tag in ("translate", "trans", "blocktranslate", "blocktrans"):
            raise ValueError(f"{_name(path)}, line {token.lineno}: use say, for our catalogue.")
        if tag not in ("say", "say_count"):
            continue
        words = bits[:1] if tag == "say" else bits[1:3]
        if not words or not all(word[:1] == word[-1:] == '"' for word in words):
            raise ValueError(f"{_name(path)}, line {token.lineno}: the text is not a constant.")
        yield Text(words[0][1:-1], (*(word[1:-1] for word in words), "")[1], _name(path))


def _catalog(tag: str | None) -> Catalog:
    catalog = Catalog(
        Locale.parse(tag, sep="-") if tag else None,
        DOMAIN,
        header_comment="# Texts of otpverify's pages, for all frameworks.",
        project=DOMAIN,
        version="1",
        creation_date=_EPOCH,
        revision_date=_EPOCH,
        charset="utf-8",
        fuzzy=False,
    )
    if tag is not None:
        forms, _, rule = PLURALS.get(tag, _TWO_FORMS).partition("; plural=")
        # As `read_po` sets them; a catalogue has no other way.
        catalog._num_plurals = int(forms.removeprefix("nplurals="))  # type: ignore[assignment]
        catalog._plural_expr = rule.rstrip(";")  # type: ignore[assignment]
    return catalog


def _unit(text: str) -> Unit | None:
    """`"minute"` of `"in %(count)s minute"`; otherwise `None`."""
    units: tuple[Unit, ...] = ("second", "minute", "hour", "day")
    return next((unit for unit in units if text == f"in %(count)s {unit}"), None)


def _relative_time(tag: str, unit: Unit, catalog: Catalog) -> tuple[str, ...]:
    """`in 5 minutes` in all plural forms, by Unicode CLDR, as the page's script has it, too."""
    locale = Locale.parse(tag, sep="-")
    forms: dict[int, str] = {}
    for n in (*range(1, 201), 0):
        waits = timedelta(**{f"{unit}s": n})
        said = format_timedelta(waits, unit, 1e9, add_direction=True, locale=locale)
        index = plural_index(catalog.plural_expr, n)
        forms.setdefault(index, said.replace(str(n), "%(count)s"))
    return tuple(forms[index] for index in range(catalog.num_plurals))


def plural_index(expression: str, n: int) -> int:
    """The plural form of a number by a catalogue's rule."""
    return int(_rule(expression)(n))


# A rule is compiled; it is asked 800 times for each language.
_rule = cache(c2py)


def main(arguments: list[str]) -> int:
    """Write or check the files; print the names of those that change."""
    check = arguments == ["--check"]
    alone = {path_of(tag, kind) for tag in arguments for kind in ("po", "mo")} - {TEMPLATE}
    changed = 0
    for path, content in files().items():
        if alone and not check and path not in alone:
            continue
        if path.exists() and path.read_bytes() == content:
            continue
        changed += 1
        print(path.relative_to(PACKAGE.parent))
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return 1 if check and changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
