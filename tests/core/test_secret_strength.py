"""What may be a secret: placeholders and patterns are refused, random values are not."""

from __future__ import annotations

import base64
import random
import secrets
import string
import uuid
from collections.abc import Callable
from itertools import cycle, islice

import pytest
from hypothesis import given, settings, strategies as st
from support import LONG, OTHER_SECRET, QUICK, SECRET

from otpverify import ConfigurationError, Verifier
from otpverify.cli import main as cli
from otpverify.core.secret_strength import check_secret, read_secrets
from otpverify.integrations.celery.encryption import Seal
from otpverify.integrations.fastapi import FlowTokens
from otpverify.testing import OutboxSender

PLACEHOLDERS = [
    "from your secret store, 32 bytes or more",
    "change me change me change me change",
    "CHANGE_ME_CHANGE_ME_CHANGE_ME_CHANGE",
    "changemechangemechangemechangeme",
    "Ch4ng3M3-Ch4ng3M3-Ch4ng3M3-Ch4ng3",
    "your-secret-your-secret-your-secret!",
    "YourSecretKeyHere-YourSecretKeyHere",
    "replace-this-with-a-real-secret-please-now",
    "TODO set a real secret before going live!!",
    "<your secret here, at least 32 bytes>",
    "${OTPVERIFY_SECRET_FROM_THE_VAULT_XYZ}",
    "my super secret key that is long enough",
    "insert-secret-here-insert-secret-here",
    "this is not a secure secret so change it",
    "dev-secret-dev-secret-dev-secret-dev",
    "development-only-secret-key-12345678",
    "example secret thirty-two bytes or more",
    "placeholder placeholder placeholder",
    "password password password password",
    "P@ssw0rdP@ssw0rdP@ssw0rdP@ssw0rd",
    "SuperSecretPassword1234567890!@#$%",
    "correct horse battery staple correct",
    "thequickbrownfoxjumpsoverthelazydog",
    "django-insecure-kj3h4k5jh34k5jh3k4j5h3k4",
    "a secret of the tests with 32 bytes",
    "an unguessable secret of 32 bytes or more",
    "your-256-bit-secret-your-256-bit-secret",
    "a-string-secret-at-least-256-bits-long",
    "the same secret in every process please",
    "secretsecretsecretsecretsecretsecret",
    "s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t-1",
    "lorem ipsum dolor sit amet consectetur",
    "generate me with openssl rand -hex 32",
    "[put 32 random bytes of your own here]",
    "{{ lookup('env', 'OTPVERIFY_SECRET') }}",
    "{{.Values.otpverify.secret}}-{{.Release.Name}}",
    "$(openssl rand -hex 32)/0123-4567-89ab-cdef",
    "%(OTPVERIFY_HMAC_KEY_OF_PRODUCTION)s",
    "${OTPVERIFY_SECRET:?must be set}-0123-4567-89ab",
]
ENCODED = [
    base64.b64encode(b"your-secret-key-here-32-bytes").decode(),
    base64.urlsafe_b64encode(b"change me before you go live!").decode().rstrip("="),
    base64.b64encode(b"supersecretsupersecretsupersecret\n"),
    b"changeme before production".hex(),
    b"changeme before production".hex().upper() + "\n",
]
WEAK = [
    *(c * 32 for c in "a0x-\x00 "),
    "ab" * 16,
    "0110100110010110" * 4,
    "deadbeef" * 8,
    "hunter2" * 5,
    "0123456789" * 4,
    "0123456789abcdef" * 2,
    "0123456789abcdefghijklmnopqrstuv",
    "98765432109876543210987654321098",
    string.ascii_lowercase + "012345",
    string.ascii_letters,
    string.ascii_lowercase[::-1] + "987654",
    "abcdefgh12345678ABCDEFGH87654321",
    "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6",
    "aabbccddeeffgghhiijjkkllmmnnooppqq",
    "11223344556677889900112233445566",
    "qwertyuiopasdfghjklzxcvbnm123456",
    "1q2w3e4r5t6y7u8i9o0p1q2w3e4r5t6y",
    "Tr0ub4dor&3" + "0" * 30,
    bytes(32),
    bytes(range(32)),
    bytes(range(0, 128, 4)),
    bytes(range(255, 200, -1)),
    b"\xff" * 32,
]
GENERATORS: dict[str, Callable[[bytes], str | bytes]] = {
    "bytes": bytes,
    "hex": bytes.hex,
    "half as hex": lambda raw: raw[:16].hex(),
    "urlsafe": lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=").decode(),
    "base64": base64.b64encode,
    "base32": base64.b32encode,
    "base85": lambda raw: base64.b85encode(raw).decode(),
    "UUID": lambda raw: str(uuid.UUID(bytes=raw[:16], version=4)),
    "Django": lambda raw: chosen(
        raw, string.ascii_lowercase + string.digits + "!@#$%^&*(-_=+)", 50
    ),
    "password manager": lambda raw: chosen(raw, string.printable[:94].replace(",", ""), 40),
    "letters": lambda raw: chosen(raw, string.ascii_lowercase, 32),
}


def chosen(raw: bytes, alphabet: str, length: int) -> str:
    """Characters of an alphabet, as a generator of passwords draws them."""
    return "".join(random.Random(raw).choices(alphabet, k=length))


@pytest.mark.parametrize("secret", PLACEHOLDERS)
def test_placeholders_are_refused_by_name(secret: str) -> None:
    for given_ in (secret, secret.encode(), secret.upper(), [SECRET, secret], [secret.encode()]):
        with pytest.raises(ConfigurationError, match="placeholder") as refused:
            read_secrets(given_)
        assert secret[:12] not in str(refused.value)


@pytest.mark.parametrize("secret", ENCODED)
def test_placeholders_are_refused_in_base64_and_hexadecimal(secret: str | bytes) -> None:
    with pytest.raises(ConfigurationError, match="placeholder"):
        read_secrets(secret)


@pytest.mark.parametrize("secret", WEAK)
def test_patterns_are_refused(secret: str | bytes) -> None:
    with pytest.raises(ConfigurationError, match="This secret is weak"):
        read_secrets(secret)


@settings(max_examples=300)
@given(st.binary(min_size=1, max_size=31), st.integers(32, 200))
def test_a_short_pattern_is_refused_at_any_length(pattern: bytes, length: int) -> None:
    """A pattern of 20 bytes or more has to come twice."""
    length = max(length, 2 * len(pattern)) if len(pattern) >= 20 else length
    with pytest.raises(ConfigurationError, match=r"weak|placeholder"):
        check_secret(bytes(islice(cycle(pattern), length)))


@settings(max_examples=300)
@given(st.integers(0, 255), st.integers(-8, 8), st.integers(32, 64))
def test_equal_steps_are_refused(first: int, step: int, length: int) -> None:
    value = bytes((first + step * at) % 256 for at in range(length))
    with pytest.raises(ConfigurationError, match="weak"):
        check_secret(value)


@pytest.mark.parametrize("made", GENERATORS.values(), ids=GENERATORS)
def test_random_values_are_accepted(made: Callable[[bytes], str | bytes]) -> None:
    """The same ones each time, and some new ones."""
    dice = random.Random(20261130)
    for raw in (dice.randbytes(32) for _ in range(5000 if LONG else 500)):
        read_secrets(made(raw))
    for _ in range(200):
        read_secrets(made(secrets.token_bytes(32)))


def test_what_the_command_prints_is_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(100):
        cli.main(["secret"])
    printed = capsys.readouterr().out.split()
    assert len(printed) == 100
    for secret in printed:
        read_secrets(secret)
    read_secrets([secrets.token_hex(), secrets.token_urlsafe(), secrets.token_bytes()])


def test_a_comma_is_explained() -> None:
    with pytest.raises(ConfigurationError, match="comma") as refused:
        read_secrets(f"{SECRET},{OTHER_SECRET}")
    assert SECRET not in str(refused.value)
    with pytest.raises(ConfigurationError, match="comma"):
        read_secrets([SECRET, f"{OTHER_SECRET[:20]},{OTHER_SECRET[20:]}"])
    read_secrets(SECRET.encode() + b",")  # bytes are never split


@pytest.mark.parametrize(
    "secret", [5, None, [None], [SECRET, 5], SECRET + "\udcff", [bytearray(32)]]
)
def test_other_types_are_refused(secret: object) -> None:
    with pytest.raises(ConfigurationError, match="str or bytes"):
        read_secrets(secret)


@pytest.mark.parametrize(
    "use",
    [
        lambda secret: Verifier(OutboxSender(), secret=secret, hasher=QUICK),
        lambda secret: Seal(secret, "use"),
        FlowTokens,
    ],
    ids=["Verifier", "Seal", "FlowTokens"],
)
def test_one_rule_for_every_use(use: Callable[[object], object]) -> None:
    for good in (SECRET, SECRET.encode(), [SECRET, OTHER_SECRET.encode()]):
        use(good)
    for bad, message in (
        ("short", "at least 32 bytes; this one has 5"),
        ([], "at least one"),
        ("a" * 32, "weak"),
        ([SECRET, "change me" * 5], "placeholder"),
        (f"{SECRET},{OTHER_SECRET}", "comma"),
        (5, "str or bytes"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            use(bad)
