"""What a message says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from otpverify.errors import ConfigurationError
from otpverify.sms.checks import BIDI_CONTROLS, Finding
from otpverify.sms.frame import Frame, Layout
from otpverify.sms.languages import EVERY_PURPOSE, Language, languages, negotiate

Templates = Mapping[str, str | Mapping[str, str]]

# First strong isolate, and its end: a value keeps its own direction in a right-to-left line.
_ISOLATE, _END_OF_ISOLATE = "\u2068", "\u2069"
_CONTROLS = "".join(map(chr, (*range(32), *range(127, 160)))) + BIDI_CONTROLS
_NO_CONTROLS = str.maketrans("", "", _CONTROLS)


class Messages:
    """Renders the text of a message: brand, code, lifetime, a warning not to share it, what it
    approves, and a last line for autofill.

    There are built-in texts in over 40 languages. With a brand of up to 20 characters in the
    language's own script or Latin letters, and a code of 6 digits, each is one segment.
    `otpverify lint-message --all` shows what yours come to.

    Args:
        brand: The name that people know you by, such as `"Example"`.
        origin: The host of the page where the code is typed, such as `"example.com"`. It adds
            the last line of the origin-bound one-time codes specification (WICG,
            `@example.com #123456`), by which a browser fills the code in on that host alone.
        app_hash: The 11 characters that identify an Android app to the SMS Retriever API, which
            then reads the message (of at most 140 bytes) without a permission. It ends the last
            line. With `origin`, it follows the code there: that specification ignores what
            follows, and the Retriever what precedes.
        templates: Texts of your own, by language tag: one for every purpose, or one by purpose
            (`"*"` for those not named). `{code}` must stand in it once, `{brand}` and
            `{lifetime}` may. What a binding approves, and the last line, are added to it.
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
        self._templates = _by_purpose(templates or {})
        # Purposes and lifetimes are the program's, languages ours: there are few of each.
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
                see what a code approves before typing it. It may take more segments.
        """
        tag = negotiate(locale)
        approval = _approval(languages()[tag], binding) if binding else None
        return self._frame.text(self._layout(tag, purpose, ttl_seconds), code, approval)

    def _lay_out(self, tag: str, purpose: str, ttl_seconds: int) -> Layout:
        language = languages()[tag]
        mine = self._templates.get(tag, {})
        template = mine.get(purpose) or mine.get(EVERY_PURPOSE)
        if template is None:
            template = self._frame.built_in(language, purpose)
        return self._frame.lay_out(template, language, ttl_seconds)


def _by_purpose(templates: Templates) -> dict[str, dict[str, str]]:
    if not templates:
        return {}
    unknown = sorted(set(templates) - set(languages()))
    if unknown:
        raise ConfigurationError(
            f"templates are by language tag ({', '.join(languages())}); not {', '.join(unknown)}."
        )
    by_tag = {
        tag: {EVERY_PURPOSE: given} if isinstance(given, str) else dict(given)
        for tag, given in templates.items()
    }
    if not all(isinstance(text, str) for given in by_tag.values() for text in given.values()):
        raise ConfigurationError("Each template is a str, or a mapping from purposes to str.")
    return by_tag


def _refuse(findings: Iterable[Finding], where: str = "") -> None:
    for finding in findings:
        raise ConfigurationError(f"{where}{finding.message}")


def _approval(language: Language, binding: Mapping[str, str]) -> str:
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
    """One line that reads as it is written, whatever the field held. Chromium takes the first
    `@host #code` of a text, wherever it stands, so none may be left."""
    line = " ".join(value.split()).translate(_NO_CONTROLS)
    return re.sub(r"(@\S+) (?=#)", r"\1", line)
