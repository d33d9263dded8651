"""Reads secrets, and refuses those that somebody could guess: placeholders and patterns.

The rule recognises values that were not drawn at random. It accepts what a generator of random
bytes, hexadecimal digits or base64 makes: the chance that it refuses one of those is below one in
a million.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Final, TypeAlias

from otpverify.errors import ConfigurationError

Secrets: TypeAlias = str | bytes | Sequence[str | bytes]

SECRET_BYTES: Final = 32
ADVICE: Final = "Make one with: otpverify secret"

# A secret of 32 random hexadecimal digits, the least varied that is long enough, has six different
# ones or fewer once in 10**9 times, and never as few different groups of three.
_FEWEST_BYTES = 7
_FEWEST_TRIPLES = 20
_FEWEST_LETTERS = 12
_SHORTEST_RUN = 6
_SHORTEST_KEYS = 4

# Each alone marks a placeholder. They have at least eight letters, so that random base64 holds one
# of them once in 10**8 times.
_PHRASES: Final = (
    "changeme|changethis|changeit|changeinproduction|changebefore|replaceme|replacethis|replaceit"
    "|replacewith|placeholder|yoursecret|yourownsecret|mysecret|oursecret|thesecret|asecretkey"
    "|secrethere|secretstore|secretgoes|secretmanager|supersecret|topsecret|notasecret|notsosecret"
    "|notsecret|insecure|notsecure|donotuse|dontuse|keyboardcat|correcthorse|bytesormore"
    "|charactersormore|goeshere|fillmein|insertyour|enteryour|pasteyour|putyour|fromtheenvironment"
)
# Together they mark one where they make up half of it.
_WORDS: Final = (
    "actual adipiscing admin after all amet another any anybody anyone anything api app "
    "application apps are bar base battery baz been before being benchmark benchmarks best bit "
    "bits brown but byte bytes can cannot celery change changed char character characters chars "
    "client code codes commit company config configuration consectetur cookie correct could "
    "country create default defaults demo deploy deploying dev devel develop developer "
    "development digit digits django docs documentation dog dolor dont dragon dummy each eight "
    "elit empty enough enter env environment ever every exactly example examples fake fastapi "
    "file fill first five fixme flask foo football for four fox from generate generated generator "
    "going good great guess hash hello here hex hidden hmac horse how hundred iloveyou insecure "
    "insert internal into ipsum jumps just jwt keep kept key keys last lazy leak leaked least "
    "less let letmein letter letters live local localhost login long longer lorem love machine "
    "made make manager master maximum mine minimum monkey more most must name need needed needs "
    "never new nil nine nobody none nor not nothing null number numbers old one only openssl "
    "organisation organization other otp otpverify our over own pass passphrase passwd password "
    "passwords paste pepper perfect perfectly phone phrase placeholder please princess private "
    "process prod production project public put python quick quite quux qux rand random randomly "
    "rather readme real really redis replace replaced require required root safe salt same sample "
    "second secret secrets secure server service session set setting settings seven shadow share "
    "shared short shorter should sign signed signing sit site six sixteen sixty sms smspm some "
    "somebody something stage staging staple store stores string strings strong sunshine super "
    "take taken tbd team temp temporary ten test tester testing tests text than that the then "
    "there these thing things thirty this three tmp todo token tokens too top tutorial twelve two "
    "type undefined unguessable unknown unsafe use used user users using uuid value values "
    "variable vault verifier verify very was weak web website welcome were what when "
    "where which who why will with without word words world would year you your yours "
)

_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
# Something to fill in: words in brackets that are the whole text, or the name of a variable. Random
# punctuation, as in Django's SECRET_KEY, holds brackets too, but not around words alone.
_WORDS_ONLY: Final = r"[\w\s.,:;/'\"-]+"
_BRACKETS: Final = (
    rf"\s*(?:<{_WORDS_ONLY}>|\[{_WORDS_ONLY}\]|[%$]?\({_WORDS_ONLY}\)s?"
    rf"|\$?\{{{{?{_WORDS_ONLY}\}}}}?)\s*"
    r"|.*(?:\$\{[a-z_]{6}\w*[:}]|\{\{\s*\.?[a-z_]{3}[\w.|\s'\"(),]*\}\}|\$\([a-z_]{3,}\s).*"
)
_DISGUISE = str.maketrans("013457$@!|", "oieastsail")
_ROWS = ("qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "zxcvbnm", "1234567890")


# Compiled when the first secret is read: it takes longer than the rest of the import.
@cache
def _word() -> re.Pattern[str]:
    return re.compile("|".join(sorted(set(_WORDS.split()), key=len, reverse=True)))


@cache
def _keys() -> frozenset[str]:
    """Neighbouring keys of the keyboard, in both directions."""
    return frozenset(
        row[at : at + _SHORTEST_KEYS]
        for line in _ROWS
        for row in (line, line[::-1])
        for at in range(len(row) - _SHORTEST_KEYS + 1)
    )


def read_secrets(secret: object) -> list[bytes]:
    """Read one secret, or a sequence of them.

    Args:
        secret: A str or bytes, or a sequence of them. Each has 32 bytes or more.

    Returns:
        The secrets as bytes, in the same order.

    Raises:
        ConfigurationError: It is empty, or one is too short, a placeholder, or a pattern. The
            message does not repeat it.
    """
    values: list[object] = [secret]
    if isinstance(secret, Iterable) and not isinstance(secret, str | bytes):
        values = list(secret)
    if not values:
        raise ConfigurationError("secret must hold at least one secret.")
    return [_read(value) for value in values]


def _read(secret: object) -> bytes:
    value = _encoded(secret)
    if value is None:
        # Raised out here: what encoding raises holds the secret.
        raise ConfigurationError(
            "secret must be str or bytes, or a sequence of them, and a str must be valid Unicode."
        )
    if isinstance(secret, str) and "," in secret and not is_placeholder(value):
        raise ConfigurationError(
            "A secret that is text must not contain a comma, because commas separate several "
            f"secrets in the environment. {ADVICE}"
        )
    check_secret(value)
    return value


def _encoded(secret: object) -> bytes | None:
    """A secret as bytes; `None` if it cannot be one."""
    if isinstance(secret, str):
        try:
            return secret.encode()
        except UnicodeEncodeError:
            return None
    return secret if isinstance(secret, bytes) else None


def check_secret(value: bytes) -> None:
    """Check that a secret is long enough and was not made by hand.

    Raises:
        ConfigurationError: It is too short, a placeholder, or a pattern. The message does not
            repeat it.
    """
    if is_placeholder(value):
        raise ConfigurationError(
            "This secret is a placeholder, or a text that somebody could guess. " + ADVICE
        )
    if len(value) < SECRET_BYTES:
        raise ConfigurationError(
            f"A secret must have at least {SECRET_BYTES} bytes; this one has {len(value)}. {ADVICE}"
        )
    if len(set(value)) < _FEWEST_BYTES:
        raise ConfigurationError(
            f"This secret is weak: it has too few different characters. {ADVICE}"
        )
    if _repeats(value):
        raise ConfigurationError(f"This secret is weak: it repeats a short pattern. {ADVICE}")
    if _in_sequence(value) * 2 >= len(value):
        raise ConfigurationError(
            "This secret is weak: it follows a sequence, such as the alphabet, digits in order or "
            f"a row of the keyboard. {ADVICE}"
        )


def is_placeholder(value: bytes) -> bool:
    """Whether it is a text such as "change me" or "your secret here"."""
    try:
        text = value.decode().lower()
    except UnicodeDecodeError:
        return False  # bytes, not a text
    if re.fullmatch(_BRACKETS, text, re.DOTALL):
        return True
    if _reads_as_placeholder(text) or _reads_as_placeholder(text.translate(_DISGUISE)):
        return True
    return any(map(is_placeholder, _encoded_in(value)))


def _encoded_in(value: bytes) -> Iterator[bytes]:
    """The ASCII texts that it is the base64 or hexadecimal form of. Random bytes are not a text."""
    plain = value.strip().rstrip(b"=")
    for decode, written in (
        (binascii.unhexlify, plain),
        (base64.urlsafe_b64decode, plain.translate(_URL_SAFE) + b"=" * (-len(plain) % 4)),
    ):
        try:
            inner = decode(written)
        except ValueError:
            continue
        if inner.isascii() and len(inner) < len(value):
            yield inner


def _reads_as_placeholder(text: str) -> bool:
    if re.search(_PHRASES, "".join(filter(str.isalnum, text))):
        return True
    letters = "".join(filter(str.isalpha, text))
    covered = sum(len(found[0]) for found in _word().finditer(letters))
    return covered >= _FEWEST_LETTERS and covered * 2 >= sum(map(str.isalnum, text))


def _repeats(value: bytes) -> bool:
    """Whether it is a pattern of fewer than 32 bytes, repeated, or hardly anything else."""
    for size in range(1, min(SECRET_BYTES, len(value) // 2 + 1)):
        if value[size:] == value[:-size]:
            return True
    triples = {value[at : at + 3] for at in range(len(value) - 2)}
    return len(triples) < _FEWEST_TRIPLES


def _in_sequence(value: bytes) -> int:
    """How many bytes belong to a run with equal steps, or to a row of the keyboard."""
    covered = bytearray(len(value))
    for stride in (1, 2):
        for first in range(stride):
            _mark_runs(value[first::stride], covered, first, stride)
    text = value.lower().decode("latin-1")
    for at in range(len(text)):
        if text[at : at + _SHORTEST_KEYS] in _keys():
            covered[at : at + _SHORTEST_KEYS] = b"\1" * _SHORTEST_KEYS
    return sum(covered)


def _mark_runs(values: bytes, covered: bytearray, first: int, stride: int) -> None:
    start = 0
    for at in range(1, len(values) + 1):
        step = values[start + 1] - values[start] if start + 1 < len(values) else 0
        if at < len(values) and values[at] - values[at - 1] == step:
            continue
        if at - start >= _SHORTEST_RUN:
            for place in range(start, at):
                covered[first + place * stride] = 1
        start = at - 1
