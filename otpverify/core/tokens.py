"""Signed tokens that need no storage: the proof of a right code, the token in the address of a
delivery report, and stamps.

A proof is what `check` hands out and `redeem` accepts, once. It names the challenge and says when
the code was verified. Its MAC, by the phone's own key, covers purpose and binding too, so that a
proof for one phone, purpose or binding is not valid for another. The store sees to it that a proof
is accepted once: of a used challenge, it remembers that its proof was not redeemed yet.

The report token is part of the callback's address and comes back with the report, so nothing is
stored in between. It holds tags, and no phone number or code. Only the secret can make one.

A stamp says that something was true at an instant, such as that a browser passed the second factor
of an account. Its MAC covers the facts, such as the account; the stamp itself shows only when it
was written, and a random number.
"""

from __future__ import annotations

import base64
import hmac
import re
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from otpverify.core.keys import ID_LENGTH, Key, Keyring, Secret, Subject, mac, tag, untag

_AT_BYTES = 8  # microseconds since 1970: as fine as a datetime
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PROOF_TEXT = re.compile(r"[A-Za-z0-9_-]{56}", re.ASCII)


def write_proof(subject: Subject, verified_at: datetime) -> str:
    """The proof that a code for this subject was right; 56 URL-safe characters."""
    at = (verified_at - _EPOCH) // _MICROSECOND
    return subject.challenge + _proof_text(subject, at.to_bytes(_AT_BYTES, "big"))


def challenge_of_proof(proof: object) -> str | None:
    """The challenge's id in a proof, not yet believed; `None` when it has not a proof's form."""
    if isinstance(proof, str) and _PROOF_TEXT.fullmatch(proof):
        return proof[:ID_LENGTH]
    return None


def read_proof(subject: Subject, proof: str) -> datetime | None:
    """When the code was verified; `None` when the proof is not of this subject."""
    at = base64.urlsafe_b64decode(proof[ID_LENGTH:])[:_AT_BYTES]
    if not hmac.compare_digest(proof[ID_LENGTH:], _proof_text(subject, at)):
        return None
    return _EPOCH + int.from_bytes(at, "big") * _MICROSECOND


def _proof_text(subject: Subject, at: bytes) -> str:
    fields = subject.purpose, subject.challenge, at.hex(), *subject.bound
    seal = mac(subject.own, "proof", *fields)
    return base64.urlsafe_b64encode(at + seal).decode("ascii")


PARAMETER = "report_token"
"""The query parameter that carries it; what cleans logs of tokens knows it by this name."""

_HEAD = struct.Struct(">2s16s16s16sq")  # fingerprint, phone, scope, challenge, at
_MAC_BYTES = 16
_LONGEST_PURPOSE = 64
_SHORTEST, _LONGEST = (
    -(-4 * (_HEAD.size + purpose + _MAC_BYTES) // 3) for purpose in (0, _LONGEST_PURPOSE)
)
_REPORT_TOKEN_TEXT = re.compile(rf"[A-Za-z0-9_-]{{{_SHORTEST},{_LONGEST}}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a token names.

    Attributes:
        secret: The secret that it was written under.
        key: Where the challenge lives in the store.
        at: The message's reservation, as `Opened.at`.
        purpose: The purpose; its first 64 bytes, if it is longer.
    """

    secret: Secret
    key: Key = field(repr=False)
    at: int
    purpose: str


def write_report_token(secret: Secret, key: Key, at: int, purpose: str) -> str:
    """The token of the message that was reserved at `at`; at most 184 URL-safe characters."""
    tags = (untag(part) for part in (key.phone, key.scope, key.challenge))
    body = _HEAD.pack(secret.fingerprint, *tags, at)
    body += purpose.encode("utf-8", "surrogatepass")[:_LONGEST_PURPOSE]
    return _base64(body + _seal(secret, body))


def read_report_token(keyring: Keyring, token: object) -> Reference | None:
    """What a token names; `None` when it was not written under one of the secrets."""
    if not isinstance(token, str) or not _REPORT_TOKEN_TEXT.fullmatch(token) or len(token) % 4 == 1:
        return None
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    if _base64(raw) != token:
        return None  # its last character has bits to spare
    body, seal = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    fingerprint, phone, scope, challenge, at = _HEAD.unpack_from(body)
    secret = keyring.named(fingerprint)
    if secret is None or not hmac.compare_digest(seal, _seal(secret, body)):
        return None
    purpose = body[_HEAD.size :].decode("utf-8", "ignore")
    return Reference(secret, Key(tag(phone), tag(scope), tag(challenge)), at, purpose)


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _seal(secret: Secret, body: bytes) -> bytes:
    return mac(secret.tag_key, "report", body.hex(), size=_MAC_BYTES)


_STAMP = struct.Struct(">2sQ8s")  # fingerprint, seconds since 1970, random
STAMP_RANDOM_BYTES = 8
STAMP_LENGTH = 46
"""How many characters a stamp has."""
_CLOCK_SKEW_SECONDS = 60  # between two servers
_STAMP_TEXT = re.compile(rf"[A-Za-z0-9_-]{{{STAMP_LENGTH}}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a stamp shows.

    Attributes:
        at: When it was written, in whole seconds since 1970.
        name: Its random number, 16 hexadecimal digits, which no other stamp has.
    """

    at: int
    name: str

    def younger_than(self, seconds: float, now: float) -> bool:
        """Whether it was written in the last so many seconds. Another server's clock, a minute
        ahead, does no harm.

        Args:
            seconds: The longest age.
            now: Seconds since 1970.
        """
        return -_CLOCK_SKEW_SECONDS <= now - self.at < seconds


def write_stamp(secret: Secret, at: float, random: bytes, label: str, *facts: str) -> str:
    """A stamp for these facts; 46 URL-safe characters.

    Args:
        secret: The secret that signs.
        at: Seconds since 1970.
        random: 8 random bytes.
        label: What the stamp is for. One for another use is never valid.
        facts: What it states. It does not show them.
    """
    body = _STAMP.pack(secret.fingerprint, int(at), random)
    return _base64(body + _stamp_seal(secret, body, label, facts))


def read_stamp(keyring: Keyring, stamp: object, label: str, *facts: str) -> Stamp | None:
    """What a stamp shows; `None` when it was not written under one of the secrets, for this use
    and these facts."""
    if not isinstance(stamp, str) or not _STAMP_TEXT.fullmatch(stamp):
        return None
    raw = base64.urlsafe_b64decode(stamp + "==")
    if _base64(raw) != stamp:
        return None  # its last character has bits to spare
    body, seal = raw[: _STAMP.size], raw[_STAMP.size :]
    fingerprint, at, name = _STAMP.unpack(body)
    secret = keyring.named(fingerprint)
    if secret is None or not hmac.compare_digest(seal, _stamp_seal(secret, body, label, facts)):
        return None
    return Stamp(at, name.hex())


def _stamp_seal(secret: Secret, body: bytes, label: str, facts: tuple[str, ...]) -> bytes:
    return mac(secret.tag_key, "stamp", label, body.hex(), *facts, size=_MAC_BYTES)
