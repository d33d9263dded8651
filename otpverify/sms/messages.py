"""What a message says."""

from __future__ import annotations

import re
from collections.abc import Mapping

from otpverify.errors import ConfigurationError

_HOST = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
)


class Messages:
    """Renders the text of a message: code, brand, what it approves, lifetime, a warning.

    Args:
        brand: The name that people know you by, such as `"Example"`.
        origin: The host of the page where the code is typed, such as `"example.com"`. It adds
            the last line of the origin-bound one-time codes specification (WICG,
            `@example.com #123456`), by which a browser fills the code in on that host alone.

    Raises:
        ConfigurationError: `brand` holds digits or a line break, or `origin` is no bare host.
    """

    def __init__(self, *, brand: str | None = None, origin: str | None = None) -> None:
        if brand is not None and (not brand.strip() or re.search(r"[\d\n\r]", brand)):
            raise ConfigurationError(
                "brand must be a name without digits (phones take them for the code)."
            )
        if origin is not None and not _HOST.fullmatch(origin):
            raise ConfigurationError(
                'origin must be a bare lower-case host such as "example.com", without https://.'
            )
        self.brand = brand
        self.origin = origin

    def __repr__(self) -> str:
        return f"Messages(brand={self.brand!r}, origin={self.origin!r})"

    def render(
        self,
        code: str,
        *,
        ttl_seconds: int,
        purpose: str,  # noqa: ARG002 - the protocol's, for those who word purposes apart
        locale: str = "en",  # noqa: ARG002 - English is what every other language falls back to
        binding: Mapping[str, str] | None = None,
    ) -> str:
        """The text.

        Args:
            code: The code, as its digits.
            ttl_seconds: The code's lifetime in seconds; rounded down to whole minutes.
            purpose: What the code is for; the built-in texts say the same for every purpose.
            locale: A BCP 47 tag. English is the only built-in language, and every other
                language falls back to it.
            binding: What the code approves; every field is written out, since a person must
                see what a code approves before typing it.
        """
        name = f"{self.brand} code" if self.brand else "verification code"
        sentences = [f"{code} is your {name}."]
        if binding:
            fields = ", ".join(f"{_plain(k)}: {_plain(v)}" for k, v in binding.items())
            sentences.append(f"It approves {fields}.")
        sentences.append(f"It expires in {_lifetime(ttl_seconds)}. Do not share it.")
        text = " ".join(sentences)
        return f"{text}\n\n@{self.origin} #{code}" if self.origin else text


def _plain(value: str) -> str:
    """One line, whatever the field held: a line break could forge an origin line."""
    return " ".join(value.split())


def _lifetime(seconds: int) -> str:
    amount, unit = (seconds // 60, "minute") if seconds >= 60 else (seconds, "second")
    return f"{amount} {unit}" if amount == 1 else f"{amount} {unit}s"
