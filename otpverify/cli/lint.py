"""`otpverify lint-message`: the segments of a message, and its problems."""

from __future__ import annotations

import argparse
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from otpverify import ConfigurationError
from otpverify.cli.terminal import say
from otpverify.console.commands import whole_number
from otpverify.sms import Segments, segments, suggest_gsm7
from otpverify.sms.languages import DEFAULT, Language, languages, nearest
from otpverify.sms.lint_rules import Finding, template_findings
from otpverify.sms.messages import SAMPLE_CODE, MessageParts

_MOST_SEGMENTS = 255  # of one message (3GPP TS 23.040, 9.2.3.24.1)
# Seconds and minutes: examples of every plural form that a language may have.
_NUMBERS = (10, 1, 2, 3, 5, 11, 21, 22, 25, 59)
_LIFETIMES = (*(n * 60 for n in _NUMBERS), *_NUMBERS)


class _Report(NamedTuple):
    """What is printed about one template."""

    name: str
    text: str
    longest: Segments
    findings: list[Finding]


def add_command(commands: Any) -> None:
    """Add `lint-message` to the subcommands of a parser."""
    parser = commands.add_parser(
        "lint-message",
        help="count a message's segments and find its problems",
        description="Count the segments of a message template and print its problems. The exit "
        "code is 1 if there are any. A template may use the fields {code}, {brand} and "
        "{lifetime}.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("template", nargs="?", help="the template's text")
    what.add_argument("--file", type=Path, help="read the template from a UTF-8 file")
    what.add_argument(
        "--all", action="store_true", help="check the built-in messages of all languages"
    )
    parser.add_argument("--brand", help="the brand, as in Messages(brand=...)")
    parser.add_argument(
        "--origin", help="the web page's origin for autofill, as in Messages(origin=...)"
    )
    parser.add_argument(
        "--app-hash", help="the Android app's hash for autofill, as in Messages(app_hash=...)"
    )
    parser.add_argument(
        "--locale",
        help=f"the template's language (default: {DEFAULT}); with --all, check only this one",
    )
    parser.add_argument(
        "--max-segments",
        type=whole_number(1, _MOST_SEGMENTS),
        default=1,
        metavar="N",
        help="the most segments to accept (default: 1)",
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Print the reports.

    Returns:
        0 when there are no findings, 1 when there are.

    Raises:
        ConfigurationError: The file cannot be read, or the language is unknown.
    """
    brand = options.brand and unicodedata.normalize("NFC", options.brand)
    message_parts = MessageParts(brand, options.origin, options.app_hash)
    count = 0
    for finding in message_parts.findings():
        say(f"finding: {finding.message}")
        count += 1
    written = message_parts.brand_in(languages()[DEFAULT]) if count == 0 else message_parts.brand
    if options.all and written != message_parts.brand:
        say(f"brand: written {written!r} in the texts that are in GSM-7")
    # Problems of brand, origin and hash would repeat for every text.
    for report in _reports(options, message_parts) if count == 0 else ():
        _print(report)
        count += len(report.findings)
    say(f"{count or 'No'} finding{'' if count == 1 else 's'}.")
    return 1 if count else 0


def _reports(options: argparse.Namespace, message_parts: MessageParts) -> Iterator[_Report]:
    table = languages()
    only = None if options.locale is None else nearest(options.locale)
    if options.locale is not None and only is None:
        raise ConfigurationError(
            f"--locale must be one of {', '.join(table)}, or a variant of one; not "
            f"{options.locale!r}."
        )
    if not options.all:
        language = table[only or DEFAULT]
        template = options.template if options.file is None else _read(options.file)
        yield _report(language.tag, template, language, message_parts, options.max_segments)
        return
    for tag, language in table.items():
        for purpose in language.purposes:
            if only not in (None, tag):
                continue
            # With an origin line, the brand may fit beside some lifetimes and not beside others.
            by_template: dict[str, list[int]] = {}
            for ttl_seconds in _LIFETIMES:
                template = message_parts.built_in(language, purpose, ttl_seconds)
                by_template.setdefault(template, []).append(ttl_seconds)
            for template, lifetimes in by_template.items():
                without = bool(message_parts.brand) and template == message_parts.bare(
                    language, purpose
                )
                name = f"{tag} {purpose}{' (without the brand)' if without else ''}"
                yield _report(
                    name, template, language, message_parts, options.max_segments, lifetimes
                )


def _report(
    name: str,
    template: str,
    language: Language,
    message_parts: MessageParts,
    max_segments: int,
    lifetimes: Sequence[int] = _LIFETIMES,
) -> _Report:
    found = message_parts.template_findings(
        template, language, max_segments=max_segments, lifetimes=lifetimes
    )
    if any(template_findings(template, has_brand=message_parts.brand is not None)):
        # Its fields cannot be filled in, so it is shown as it is.
        return _Report(name, template, segments(template), found)
    texts = [
        message_parts.text(message_parts.lay_out(template, language, ttl_seconds), SAMPLE_CODE)
        for ttl_seconds in lifetimes
    ]
    longest = max(map(segments, texts), key=lambda count: (count.parts, count.units))
    return _Report(name, texts[0], longest, found)


def _print(report: _Report) -> None:
    count = report.longest
    parts = "1 segment" if count.parts == 1 else f"{count.parts} segments"
    say(f"{report.name}: {count.encoding}, up to {count.units} units, {parts}")
    for line in report.text.split("\n"):
        say(f"    {line}")
    for finding in report.findings:
        say(f"  finding: {finding.message}")
    for suggestion in gsm7_suggestions(report.text):
        say(f"  suggestion: {suggestion}")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read ({type(error).__name__}).") from error


def gsm7_suggestions(text: str) -> Iterator[str]:
    """Replacements that make a text GSM-7; none if GSM-7 lacks the text's script."""
    found = suggest_gsm7(text)
    if any(each.replacement is None and each.character[0].isalpha() for each in found):
        return
    for each in found:
        where = ", ".join(str(position) for position in each.positions)
        instead = f"write {each.replacement!r}" if each.replacement else "leave it out"
        yield f"{instead} for {each.character!r} ({each.name}) at {where}, for GSM-7"
