"""Messages in many languages: templates, brand, and the origin line."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from otpverify.core.keys import check_binding
from otpverify.errors import ConfigurationError
from otpverify.sms import lint_rules
from otpverify.sms.approval import approval, check_length
from otpverify.sms.gsm7 import in_gsm7, is_gsm7, segments
from otpverify.sms.languages import (
    EVERY_PURPOSE,
    Language,
    exact,
    languages,
    load_languages,
    nearest,
    negotiate,
)
from otpverify.sms.lint_rules import Finding

_log = logging.getLogger("otpverify")

SAMPLE_CODE = "123456"
_SAMPLE_LIFETIMES = (45, 600)
# Enrolment has a purpose of its own, since its codes must not serve the confirmation of a phone.
_SAME_TEXT = {"phone-enrolment": "phone"}
_CODE_GOES_HERE = "\0"


class Layout(NamedTuple):
    """A text without its code.

    Attributes:
        before: The text before the code.
        after: The text after the code.
        closing: The last line, with its line feed; empty without one. With an origin the code
            and `trailer` follow.
        rest: `after` and `closing`.
        trailer: The text after the second code.
    """

    before: str
    after: str
    closing: str
    rest: str
    trailer: str


class MessageParts(NamedTuple):
    """Brand, origin and app hash, as `Messages` takes them."""

    brand: str | None = None
    origin: str | None = None
    app_hash: str | None = None

    def findings(self) -> Iterator[Finding]:
        """The faults of these."""
        if self.brand is not None:
            yield from lint_rules.brand_findings(self.brand)
        if self.origin is not None:
            yield from lint_rules.origin_findings(self.origin)
        if self.app_hash is not None:
            yield from lint_rules.app_hash_findings(self.app_hash)

    def bare(self, language: Language, purpose: str) -> str:
        """The built-in template of a language, without the brand."""
        purpose = _SAME_TEXT.get(purpose, purpose)
        sentence = language.purposes.get(purpose) or language.purposes[EVERY_PURPOSE]
        return f"{sentence}{language.tail}"

    def brand_in(self, language: Language) -> str | None:
        """The brand as the built-in texts of a language are written. Where GSM-7 carries them, the
        brand is written in GSM-7, too ("Skoda"), because one other letter would make the whole
        text UCS-2."""
        if self.brand is None or is_gsm7(self.brand):
            return self.brand
        written = in_gsm7(self.brand) if is_gsm7(language.tail) else None
        return written or self.brand

    def built_in(
        self, language: Language, purpose: str, ttl_seconds: int, code: str = SAMPLE_CODE
    ) -> str:
        """The built-in template of a language. It leaves the brand out if that alone saves a
        segment and an origin line identifies you.

        Args:
            language: The language.
            purpose: What the code is for.
            ttl_seconds: The code's lifetime in seconds.
            code: A code of the same length as the one to send.
        """
        bare, brand = self.bare(language, purpose), self.brand_in(language)
        if brand is None:
            return bare
        literal = brand.replace("{", "{{").replace("}", "}}")
        branded = f"{language.prefix.replace('{brand}', literal)}{bare}"
        if self.origin is None:
            return branded

        def fits(template: str) -> bool:
            text = self.text(self.lay_out(template, language, ttl_seconds), code)
            return segments(text).parts == 1

        return bare if not fits(branded) and fits(bare) else branded

    def is_long(self, language: Language) -> bool:
        """Whether a built-in text of a language takes more than one segment."""
        for purpose in language.purposes:
            for ttl_seconds in _SAMPLE_LIFETIMES:
                template = self.built_in(language, purpose, ttl_seconds)
                layout = self.lay_out(template, language, ttl_seconds)
                if segments(self.text(layout, SAMPLE_CODE)).parts > 1:
                    return True
        return False

    @property
    def given(self) -> str:
        """The arguments of `Messages` that are set."""
        return ", ".join(
            f"{name}={value!r}" for name, value in self._asdict().items() if value is not None
        )

    def lay_out(self, template: str, language: Language, ttl_seconds: int) -> Layout:
        """Fill in a template. `lint_rules.template_findings` must find no faults in it: then it has
        only the fields that are given here."""
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
            approval: The line that states what the code approves, if there is one.
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
        """The faults of a template, and of the texts made from it.

        Args:
            template: The template.
            language: The language of the template.
            max_segments: How many segments a text may take.
            lifetimes: The code lifetimes to check, in seconds.
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


@lru_cache(maxsize=64)
def _long_languages(parts: MessageParts) -> tuple[str, ...]:
    """The languages with a built-in text of more than one segment. It looks at all texts, which
    takes some milliseconds."""
    return tuple(sorted(tag for tag in languages() if parts.is_long(languages()[tag])))


Templates = Mapping[str, str | Mapping[str, str]]


class Messages:
    """Renders the text of a message: brand, code, lifetime, a warning not to share the code, what
    the code approves, and a last line for autofill.

    There are built-in texts in over 40 languages. With a brand of up to 20 characters in the
    language's own script or Latin letters, and a code of 6 digits, each is one segment. Where the
    text is in GSM-7, a brand whose letters GSM-7 lacks is written as the text is: "Skoda" for
    "Škoda". If that is not possible and a text takes more than one segment, a warning is logged
    that names the languages. If
    brand and `origin` together would need a second segment, and the text without the brand does
    not, the brand is left out: the last line identifies you. `otpverify lint-message --all` shows
    the segments of your texts.

    Args:
        brand: The name by which people know you, such as `"Example"`. Your own template always
            gets the brand if it contains `{brand}`.
        origin: The host of the page where people enter the code, such as `"example.com"`. It adds
            the last line of the origin-bound one-time codes specification (WICG,
            `@example.com #123456`). With it, a browser fills in the code on that host only.
        app_hash: The 11 characters that identify an Android app to the SMS Retriever API, which
            then reads the message (of at most 140 bytes) without a permission. It ends the last
            line. With `origin`, it follows the code there: that specification ignores the text
            after the code, and the Retriever ignores the text before the hash.
        templates: Your own texts, by language tag (`"pt-BR"`, or `"PT_br"`): one for all
            purposes, or one by purpose (`"*"` for all others). `{code}` must occur once;
            `{brand}` and `{lifetime}` are optional. The line with what a binding approves and the
            last line are added to it.
        max_segments: How many segments your own template may take.

    Raises:
        ConfigurationError: An argument cannot be used; the message says how to fix it.
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
        if isinstance(brand, str):
            # "Café" may come as a letter and an accent, which GSM-7 lacks.
            brand = unicodedata.normalize("NFC", brand)
        load_languages()
        self.brand = brand
        self.origin = origin
        self.app_hash = app_hash
        self._parts = MessageParts(brand, origin, app_hash)
        _refuse(self._parts.findings())
        self._templates = _by_purpose(templates)
        if type(max_segments) is not int or max_segments < 1:
            raise ConfigurationError("max_segments must be a whole number, 1 or more.")
        # The program chooses purposes, lifetimes and digits, and we the languages: all are few.
        self._layout = lru_cache(maxsize=1024)(self._lay_out)
        for tag, by_purpose in self._templates.items():
            for purpose, template in by_purpose.items():
                found = self._parts.template_findings(
                    template, languages()[tag], max_segments=max_segments
                )
                _refuse(found, f"templates[{tag!r}], for {purpose!r}: ")
        self._warn_of_segments()

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
        """Render the text of a message.

        Args:
            code: The code, as its digits.
            ttl_seconds: The code's lifetime in seconds; rounded down to whole minutes.
            purpose: What the code is for. `"login"`, `"sign-in"`, `"phone"` (and that of enrolment,
                which is the same) and `"password-reset"` get their own wording where there is room;
                all others get a general wording.
            locale: A BCP 47 tag such as `"de-AT"`. The text is in the nearest available language,
                or in English if that language is missing.
            binding: What the code approves. Every field is written out, because people must see
                what a code approves before they enter it. A text with a binding may take up to 10
                segments. Links in it are cut by a space, so that phones do not make them tappable.
                A value that looks like another field or another code stands in quotes.

        Raises:
            BindingTooLong: `binding` is too long.
            ConfigurationError: It does not map str to str.
        """
        tag = negotiate(locale)
        approves = None
        if binding is not None:
            check_binding(binding)
            approves = approval(languages()[tag], binding, len(code)) if binding else None
        layout = self._layout(tag, purpose, ttl_seconds, len(code))
        text = self._parts.text(layout, code, approves)
        if approves is not None:
            check_length(text)
        return text

    def _warn_of_segments(self) -> None:
        """Log which built-in texts cost a second segment because of the brand, origin or hash."""
        if (self.brand, self.origin, self.app_hash) == (None, None, None):
            return
        own = {tag for tag, by_purpose in self._templates.items() if EVERY_PURPOSE in by_purpose}
        long = [tag for tag in _long_languages(self._parts) if tag not in own]
        if long:
            _log.warning(
                "Messages(%s): the built-in texts take more than one segment in %d languages (%s). "
                "Use a shorter brand or origin, or a brand in Latin letters; run otpverify "
                "lint-message --all to see the texts.",
                self._parts.given,
                len(long),
                ", ".join(long),
            )

    def _lay_out(self, tag: str, purpose: str, ttl_seconds: int, digits: int) -> Layout:
        language = languages()[tag]
        mine = self._templates.get(tag, {})
        template = mine.get(purpose) or mine.get(EVERY_PURPOSE)
        if template is None:
            template = self._parts.built_in(language, purpose, ttl_seconds, "0" * digits)
        return self._parts.lay_out(template, language, ttl_seconds)


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
    """The language for a key of `templates`."""
    tag = exact(given) if isinstance(given, str) else None
    if tag is not None:
        return tag
    near = nearest(given) if isinstance(given, str) else None
    said = (
        f"{given!r} would be used for all of {near!r}: write that instead."
        if near
        else f"Not {given!r}."
    )
    raise ConfigurationError(f"templates are by language tag ({', '.join(languages())}). {said}")


def _refuse(findings: Iterable[Finding], where: str = "") -> None:
    for finding in findings:
        raise ConfigurationError(f"{where}{finding.message}")
