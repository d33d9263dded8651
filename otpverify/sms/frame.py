"""What is around the words of every message of a program, and how a template becomes a text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from otpverify.sms import checks
from otpverify.sms.checks import Finding
from otpverify.sms.gsm import segments
from otpverify.sms.languages import EVERY_PURPOSE, Language

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
            yield from checks.brand_findings(self.brand)
        if self.origin is not None:
            yield from checks.origin_findings(self.origin)
        if self.app_hash is not None:
            yield from checks.app_hash_findings(self.app_hash)

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
        """Fill a template in. It must be without findings of `checks.template_findings`: then it
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
        found = list(checks.template_findings(template, has_brand=self.brand is not None))
        if found:
            return found
        for ttl_seconds in lifetimes:
            text = self.text(self.lay_out(template, language, ttl_seconds), SAMPLE_CODE)
            found += checks.text_findings(
                text,
                SAMPLE_CODE,
                origin=self.origin,
                app_hash=self.app_hash,
                max_segments=max_segments,
            )
        return list({finding.rule: finding for finding in reversed(found)}.values())[::-1]
