"""What a message says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from otpverify.core.keys import check_binding
from otpverify.errors import ConfigurationError
from otpverify.sms.approval import approval
from otpverify.sms.checks import Finding
from otpverify.sms.frame import Frame, Layout
from otpverify.sms.gsm import segments
from otpverify.sms.languages import EVERY_PURPOSE, exact, languages, nearest, negotiate

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
