"""Codes, secrets, ids, tags and digests."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
import support
from hypothesis import assume, example, given, strategies as st
from support import fixture_secret

from otpverify import Argon2Hasher, ConfigurationError, HmacHasher
from otpverify.core import codes, keys
from otpverify.core.keys import Keyring, Secret, Subject

SECRET, OTHER = support.SECRET.encode(), support.OTHER_SECRET.encode()
RING = Keyring([SECRET])


def test_draw_spans_the_whole_range_with_leading_zeros() -> None:
    assert codes.draw(lambda below: 0, 6) == "000000"
    assert codes.draw(lambda below: below - 1, 6) == "999999"
    assert codes.draw(lambda below: 42, 8) == "00000042"


def test_draw_is_uniform() -> None:
    """Chi-squared over 100 codes of two digits: 99 degrees of freedom, 1 in 10^6 to fail."""
    drawn = Counter(codes.draw(secrets.randbelow, 2) for _ in range(50_000))
    assert len(drawn) == 100
    assert sum((count - 500) ** 2 / 500 for count in drawn.values()) < 177


@pytest.mark.parametrize(
    "typed",
    [
        "012345",
        " 012 345\n",
        "012-345",
        "0\u00a012\u2011345",
        "\u2009012345",
        "٠١٢٣٤٥",
        "०१२३४५",
        "０１２－３４５",
        "0 1 2 3 4 5",
        "012345\u200b",
        "\ufeff012345",
        "\u2068012\u00ad345\u2069",
        "0\u200c1\u200d2\u061c3\ufe0f4\u180e5\U000e0030",
    ],
)
def test_what_is_forgiven(typed: str) -> None:
    assert codes.clean(typed, 6) == "012345"


@pytest.mark.parametrize(
    "typed",
    [
        None,
        12345,
        b"012345",
        "",
        "01234",
        "0123456",
        "O12345",
        "01234５６",
        "012.345",
        "012_345",
        "012,345",
        "+012345",
        "0x12345",
        "012345\x00",
        "①②③④⑤⑥",
        "²³¹²³¹",
        "012345\u0301",
        "0" * 6 + " " * 100,
    ],
    ids=repr,
)
def test_what_is_not(typed: object) -> None:
    assert codes.clean(typed, 6) is None


@given(st.text(max_size=70), st.integers(1, 10))
def test_whatever_is_typed_gives_that_many_ascii_digits_or_nothing(typed: str, length: int) -> None:
    code = codes.clean(typed, length)
    assert code is None or (len(code) == length and code.isascii() and code.isdigit())


FIELDS = st.lists(st.text(max_size=8), max_size=5)


@given(FIELDS, FIELDS)
def test_no_two_field_tuples_pack_alike(one: list[str], other: list[str]) -> None:
    assert (keys.pack(*one) == keys.pack(*other)) == (one == other)


BINDINGS = st.none() | st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3)
SUBJECTS = st.tuples(st.text(max_size=4), st.text(max_size=4), st.text(max_size=4), BINDINGS)


def message(
    subject: tuple[str, str, str, Mapping[str, str] | None],
    code: str,
    secret: Secret = RING.signing,
) -> bytes:
    phone, purpose, challenge, binding = subject
    return Subject(secret, phone, purpose, challenge, binding).code_message(code)


@given(SUBJECTS, st.text(max_size=4), SUBJECTS, st.text(max_size=4))
def test_no_two_subjects_give_the_same_digest_input(
    one: tuple[str, str, str, dict[str, str] | None],
    code: str,
    other: tuple[str, str, str, dict[str, str] | None],
    other_code: str,
) -> None:
    assume((*one[:3], one[3] or {}, code) != (*other[:3], other[3] or {}, other_code))
    assert message(one, code) != message(other, other_code)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": "bc"}, {"ab": "c"}),
        ({"a": "1", "b": "2"}, {"a": "1b2"}),
        ({"a": "1b", "c": ""}, {"a": "1", "bc": ""}),
        ({"": "a"}, {"a": ""}),
        (None, {"": ""}),
    ],
)
def test_bindings_that_read_alike_differ(
    one: dict[str, str] | None, other: dict[str, str] | None
) -> None:
    assert message(("+1", "p", "id", one), "1") != message(("+1", "p", "id", other), "1")


@given(st.permutations([("a", "1"), ("b", "2"), ("c", "3")]))
def test_the_order_of_a_binding_does_not_matter(pairs: list[tuple[str, str]]) -> None:
    subject = ("+1", "login", "id", dict(pairs))
    assert message(subject, "123456") == message(
        ("+1", "login", "id", dict(sorted(pairs))), "123456"
    )


def test_a_subjects_tags_tell_nothing_and_depend_on_everything() -> None:
    key = RING.signing.key("+37256789045", "login", "c" * 24)
    assert len({key.phone, key.scope, key.challenge}) == 3
    for other in (
        RING.signing.key("+37256789046", "login", "c" * 24),
        Keyring([OTHER]).signing.key("+37256789045", "login", "c" * 24),
    ):
        assert not {key.phone, key.scope, key.challenge} & {
            other.phone,
            other.scope,
            other.challenge,
        }
    purpose = RING.signing.key("+37256789045", "phone", "c" * 24)
    assert purpose.phone == key.phone
    assert purpose.scope != key.scope
    assert purpose.challenge != key.challenge
    assert RING.signing.key("+37256789045", "login", "d" * 24).challenge != key.challenge
    assert all(len(tag) == 22 for tag in (key.phone, key.scope, key.challenge))
    networks = {ring.signing.network_tag("192.0.2.1") for ring in (RING, Keyring([OTHER]))}
    assert len(networks) == 2


def test_an_id_names_its_secret() -> None:
    ring = Keyring([OTHER, SECRET])
    old = Keyring([SECRET]).signing
    id_ = old.new_id(secrets.token_bytes(16))
    assert len(id_) == 24
    assert id_.replace("-", "").replace("_", "").isalnum()
    found = ring.find(id_)
    assert found is not None
    assert found.value == SECRET
    assert ring.find(ring.signing.new_id(bytes(16))) is ring.signing
    assert Keyring([fixture_secret("z").encode()]).find(id_) is None


def test_an_id_says_whether_its_challenge_is_concealed() -> None:
    """Also under a secret that no longer signs; whose it is does not change."""
    ring = Keyring([OTHER, SECRET])
    for secret in ring:
        plain = secret.new_id(secrets.token_bytes(16))
        concealed = secret.new_id(secrets.token_bytes(16), concealed=True)
        assert ring.find(plain) is ring.find(concealed) is secret
        assert (secret.conceals(plain), secret.conceals(concealed)) == (False, True)
        assert len(concealed) == len(plain)
    assert len(list(ring)) == 2


def test_ids_differ() -> None:
    assert len({RING.signing.new_id(secrets.token_bytes(16)) for _ in range(1000)}) == 1000


@given(st.text(max_size=30) | st.binary(max_size=30) | st.none() | st.integers())
@example("A" * 22 + "==")
@example("A" * 23 + "=")
@example("\ud800" * 24)
def test_any_other_value_names_no_secret(value: object) -> None:
    assert RING.find(value) is None


@pytest.mark.parametrize("values", [[], [b"short"], [SECRET[:31]], [SECRET, SECRET]])
def test_secrets_must_be_long_and_different(values: list[bytes]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Keyring(values)
    assert SECRET[:8].decode() not in str(caught.value)


@given(st.integers(0, 200), st.from_regex(rb"[!-~]{1,100}", fullmatch=True))
def test_every_byte_of_a_secret_counts_for_tags(more: int, other: bytes) -> None:
    """BLAKE2b's own keys have at most 64 bytes."""
    value = SECRET + OTHER + b"x" * more
    places = {Secret(each).place("+37256789045", "login", "c") for each in (value, value + other)}
    assert len(places) == 2
    assert len({Secret(each).network_tag("192.0.2.1") for each in (value, value + other)}) == 2


def test_no_secret_in_any_repr() -> None:
    subject = Subject(RING.signing, "+37256789045", "login", "c" * 24, {"amount": "5"})
    for shown in (repr(RING), repr(RING.signing), repr(subject)):
        assert SECRET[:8].decode() not in shown
        assert repr(RING.signing.tag_key)[2:10] not in shown
        assert "37256789045" not in shown


@pytest.mark.parametrize(
    "hasher", [Argon2Hasher(memory_kib=8, iterations=1, allow_weak=True), HmacHasher()], ids=repr
)
def test_a_digest_depends_on_secret_message_and_salt(hasher: Argon2Hasher | HmacHasher) -> None:
    digest = hasher.digest(SECRET, b"message", b"0" * 16)
    assert len(digest) == 32
    assert digest == hasher.digest(SECRET, b"message", b"0" * 16)
    for other in (
        hasher.digest(OTHER, b"message", b"0" * 16),
        hasher.digest(SECRET, b"massage", b"0" * 16),
        hasher.digest(SECRET, b"message", b"1" * 16),
    ):
        assert other != digest


@pytest.mark.parametrize(
    ("memory_kib", "iterations"), [(47104, 1), (19456, 2), (12288, 3), (9216, 4), (7168, 5)]
)
def test_argon2_at_owasps_minimums(memory_kib: int, iterations: int) -> None:
    Argon2Hasher(memory_kib=memory_kib, iterations=iterations)
    for weaker in ({"memory_kib": memory_kib - 1}, {"iterations": iterations - 1}):
        options: dict[str, Any] = {"memory_kib": memory_kib, "iterations": iterations} | weaker
        with pytest.raises(ConfigurationError):
            Argon2Hasher(**options)


def test_argon2s_default_is_one_of_them() -> None:
    hasher = Argon2Hasher()
    assert (hasher.memory_kib, hasher.iterations, hasher.lanes) == (7168, 5, 1)


@pytest.mark.parametrize("options", [{"memory_kib": 0}, {"iterations": 0}, {"lanes": 0}])
def test_argon2_refuses_nonsense(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Argon2Hasher(allow_weak=True, **options)
