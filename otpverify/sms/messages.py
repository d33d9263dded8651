"""Messages in many languages: templates, brand, origin line, and the facts that a code approves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from otpverify.core.keys import check_binding
from otpverify.errors import ConfigurationError
from otpverify.sms import lint_rules
from otpverify.sms.gsm7 import segments
from otpverify.sms.languages import EVERY_PURPOSE, Language, exact, languages, nearest, negotiate
from otpverify.sms.lint_rules import BIDI_CONTROLS, Finding

# First strong isolate, and its end: a value keeps its own direction in a right-to-left line.
_ISOLATE, _END_OF_ISOLATE = "\u2068", "\u2069"
_CONTROLS = "".join(map(chr, (*range(32), *range(127, 160)))) + BIDI_CONTROLS
_NO_CONTROLS = str.maketrans("", "", _CONTROLS)

# Chromium takes the first `@host #code` of a text, wherever it stands.
_ORIGIN = r"(@\S+) (?=#)"
# Where a link is cut: after a scheme, after www., and after a dot before what may be a top-level
# domain, two characters of which the first is a letter. IDNA has three more dots (RFC 3490, 3.1).
_DOT = "[.\u3002\uff0e\uff61]"
_SCHEME_OR_DOT = (
    rf"(://|\bwww{_DOT})(?=[^\s#])"
    rf"|(?<=\S)({_DOT})(?=[^\W\d_][^\s!-,./:-@\[-`{{-~\u3002\uff0e\uff61])"
)
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]?[0-9])"
_IPV4 = rf"(?<![0-9]){_OCTET}(?:\.{_OCTET}){{3,}}(?![0-9])"


def approval(language: Language, binding: Mapping[str, str]) -> str:
    """The line that says what the code approves."""
    rtl = language.direction == "rtl"
    fields = language.list.join(
        f"{_plain(name)}: {_ISOLATE}{_plain(value)}{_END_OF_ISOLATE}"
        if rtl
        else f"{_plain(name)}: {_plain(value)}"
        for name, value in binding.items()
    )
    return language.approves.replace("{fields}", fields)


def _plain(value: str) -> str:
    """One line that reads as it is written, whatever the field held, and in which phones find
    nothing to tap on: no origin line and no link."""
    line = " ".join(value.split()).translate(_NO_CONTROLS)
    line = re.sub(_ORIGIN, r"\1", line)
    line = re.sub(f"(?i){_SCHEME_OR_DOT}", r"\g<0> ", line)
    return re.sub(_IPV4, lambda found: found.group().replace(".", ". "), line)


SAMPLE_CODE = "123456"
_SAMPLE_LIFETIMES = (45, 600)
_CODE_GOES_HERE = "\0"


class Layout(NamedTuple):
    """A text without its code.

    Attributes:
        before: What stands before the code.
        after: What stands after it.
        closing: The last line, with its line feed; empty without one. With an origin the code
            and `trailer` follow.
        rest: `after` and `closing`.
        trailer: What follows the second code.
    """

    before: str
    after: str
    closing: str
    rest: str
    trailer: str


class Frame(NamedTuple):
    """Brand, origin and app hash, as `Messages` takes them."""

    brand: str | None = None
    origin: str | None = None
    app_hash: str | None = None

    def findings(self) -> Iterator[Finding]:
        """What is wrong with them."""
        if self.brand is not None:
            yield from lint_rules.brand_findings(self.brand)
        if self.origin is not None:
            yield from lint_rules.origin_findings(self.origin)
        if self.app_hash is not None:
            yield from lint_rules.app_hash_findings(self.app_hash)

    def built_in(
        self, language: Language, purpose: str, ttl_seconds: int, code: str = SAMPLE_CODE
    ) -> str:
        """A language's own template. It leaves the brand out where that alone saves a segment
        and an origin line names you.

        Args:
            language: The language.
            purpose: What the code is for.
            ttl_seconds: The code's lifetime in seconds.
            code: A code as long as the one to be sent.
        """
        sentence = language.purposes.get(purpose) or language.purposes[EVERY_PURPOSE]
        bare = f"{sentence}{language.tail}"
        if not self.brand:
            return bare
        branded = f"{language.prefix}{bare}"
        if self.origin is None:
            return branded

        def fits(template: str) -> bool:
            text = self.text(self.lay_out(template, language, ttl_seconds), code)
            return segments(text).parts == 1

        return bare if not fits(branded) and fits(bare) else branded

    def lay_out(self, template: str, language: Language, ttl_seconds: int) -> Layout:
        """Fill a template in, in which `lint_rules.template_findings` finds nothing: then it
        has the fields that are given here, and no others."""
        before, _, after = template.format(
            code=_CODE_GOES_HERE, brand=self.brand, lifetime=language.lifetime(ttl_seconds)
        ).partition(_CODE_GOES_HERE)
        trailer = ""
        if self.origin is not None:
            closing = f"\n@{self.origin} #"
            trailer = f" {self.app_hash}" if self.app_hash else ""
        else:
            closing = f"\n{self.app_hash}" if self.app_hash else ""
        return Layout(before, after, closing, after + closing, trailer)

    def text(self, layout: Layout, code: str, approval: str | None = None) -> str:
        """A whole text.

        Args:
            layout: The text without its code.
            code: The code.
            approval: The line that says what the code approves, if it approves anything.
        """
        before, after, closing, rest, trailer = layout
        if approval is not None:
            rest = f"{after}\n{approval}{closing}"
        if self.origin is None:
            return f"{before}{code}{rest}"
        return f"{before}{code}{rest}{code}{trailer}"

    def template_findings(
        self,
        template: str,
        language: Language,
        *,
        max_segments: int = 1,
        lifetimes: Iterable[int] = _SAMPLE_LIFETIMES,
    ) -> list[Finding]:
        """What is wrong with a template, or with the texts it makes.

        Args:
            template: The template.
            language: The language that it is in.
            max_segments: How many segments a text may take.
            lifetimes: For which lifetimes, in seconds.
        """
        found = list(lint_rules.template_findings(template, has_brand=self.brand is not None))
        if found:
            return found
        for ttl_seconds in lifetimes:
            text = self.text(self.lay_out(template, language, ttl_seconds), SAMPLE_CODE)
            found += lint_rules.text_findings(
                text,
                SAMPLE_CODE,
                origin=self.origin,
                app_hash=self.app_hash,
                max_segments=max_segments,
            )
        return list({finding.rule: finding for finding in reversed(found)}.values())[::-1]


_MOST_SEGMENTS = 10  # of a text with a binding: more and longer is what a stranger writes
Templates = Mapping[str, str | Mapping[str, str]]


class Messages:
    """Renders the text of a message: brand, code, lifetime, a warning not to share it, what it
    approves, and a last line for autofill.

    There are built-in texts in over 40 languages. With a brand of up to 20 characters in the
    language's own script or Latin letters, and a code of 6 digits, each is one segment. Where
    brand and `origin` together would take a second one, and the text without the brand does
    not, the brand is left out: the last line names you. `otpverify lint-message --all` shows
    what yours come to.

    Args:
        brand: The name that people know you by, such as `"Example"`. A template of yours that
            asks for it has it in any case.
        origin: The host of the page where the code is typed, such as `"example.com"`. It adds
            the last line of the origin-bound one-time codes specification (WICG,
            `@example.com #123456`), by which a browser fills the code in on that host alone.
        app_hash: The 11 characters that identify an Android app to the SMS Retriever API, which
            then reads the message (of at most 140 bytes) without a permission. It ends the last
            line. With `origin`, it follows the code there: that specification ignores what
            follows, and the Retriever what precedes.
        templates: Texts of your own, by language tag (`"pt-BR"`, or `"PT_br"`): one for every
            purpose, or one by purpose (`"*"` for those not named). `{code}` must stand in it
            once, `{brand}` and `{lifetime}` may. What a binding approves, and the last line,
            are added to it.
        max_segments: How many segments a template of yours may take.

    Raises:
        ConfigurationError: One of them cannot be used; the message says how to mend it.
    """

    def __init__(
        self,
        *,
        brand: str | None = None,
        origin: str | None = None,
        app_hash: str | None = None,
        templates: Templates | None = None,
        max_segments: int = 1,
    ) -> None:
        self.brand = brand
        self.origin = origin
        self.app_hash = app_hash
        self._frame = Frame(brand, origin, app_hash)
        _refuse(self._frame.findings())
        self._templates = _by_purpose(templates)
        if type(max_segments) is not int or max_segments < 1:
            raise ConfigurationError("max_segments must be a whole number, 1 or more.")
        # Purposes, lifetimes and digits are the program's, languages ours: there are few of each.
        self._layout = lru_cache(maxsize=1024)(self._lay_out)
        for tag, by_purpose in self._templates.items():
            for purpose, template in by_purpose.items():
                found = self._frame.template_findings(
                    template, languages()[tag], max_segments=max_segments
                )
                _refuse(found, f"templates[{tag!r}], for {purpose!r}: ")

    def __repr__(self) -> str:
        return f"Messages(brand={self.brand!r}, origin={self.origin!r}, app_hash={self.app_hash!r})"

    def render(
        self,
        code: str,
        *,
        ttl_seconds: int,
        purpose: str,
        locale: str = "en",
        binding: Mapping[str, str] | None = None,
    ) -> str:
        """The text.

        Args:
            code: The code, as its digits.
            ttl_seconds: The code's lifetime in seconds; rounded down to whole minutes.
            purpose: What the code is for. `"login"`, `"phone"` and `"password-reset"` are
                worded apart where there is room; all others are worded in general.
            locale: A BCP 47 tag such as `"de-AT"`; the nearest language there is, English if
                there is none.
            binding: What the code approves; every field is written out, since a person must
                see what a code approves before typing it. It may take up to 10 segments. Links in
                it are cut by a space, so that phones do not make them tappable.

        Raises:
            ConfigurationError: `binding` does not map str to str, or is too long.
        """
        tag = negotiate(locale)
        approves = None
        if binding is not None:
            check_binding(binding)
            approves = approval(languages()[tag], binding) if binding else None
        layout = self._layout(tag, purpose, ttl_seconds, len(code))
        text = self._frame.text(layout, code, approves)
        if approves is not None and (parts := segments(text).parts) > _MOST_SEGMENTS:
            raise ConfigurationError(
                f"This binding makes the text {parts} segments long, each of which is charged; at "
                f"most {_MOST_SEGMENTS} are sent. Shorten what it holds."
            )
        return text

    def _lay_out(self, tag: str, purpose: str, ttl_seconds: int, digits: int) -> Layout:
        language = languages()[tag]
        mine = self._templates.get(tag, {})
        template = mine.get(purpose) or mine.get(EVERY_PURPOSE)
        if template is None:
            template = self._frame.built_in(language, purpose, ttl_seconds, "0" * digits)
        return self._frame.lay_out(template, language, ttl_seconds)


def _by_purpose(templates: Templates | None) -> dict[str, dict[str, str]]:
    if templates is None:
        return {}
    if not isinstance(templates, Mapping):
        raise ConfigurationError("templates must be a mapping from language tags to templates.")
    by_tag: dict[str, dict[str, str]] = {}
    for given, template in templates.items():
        tag = _language(given)
        if tag in by_tag:
            raise ConfigurationError(f"templates has {tag} twice.")
        by_purpose = {EVERY_PURPOSE: template} if isinstance(template, str) else template
        if not isinstance(by_purpose, Mapping) or not all(
            isinstance(part, str) for pair in by_purpose.items() for part in pair
        ):
            raise ConfigurationError(
                f"templates[{given!r}] must be a str, or a mapping from purposes (str) to str."
            )
        by_tag[tag] = dict(by_purpose)
    return by_tag


def _language(given: object) -> str:
    """The language that a key of templates names."""
    tag = exact(given) if isinstance(given, str) else None
    if tag is not None:
        return tag
    near = nearest(given) if isinstance(given, str) else None
    said = (
        f"{given!r} would be used for all of {near!r}: write that." if near else f"Not {given!r}."
    )
    raise ConfigurationError(f"templates are by language tag ({', '.join(languages())}). {said}")


def _refuse(findings: Iterable[Finding], where: str = "") -> None:
    for finding in findings:
        raise ConfigurationError(f"{where}{finding.message}")
