"""The token by which a delivery report names the message that it is about.

It goes out as part of the callback's address and comes back with the report, so nothing needs
to be remembered between the two. It holds tags, and neither a phone number nor a code. A MAC
makes it: without the secret nobody can write one.
"""

from __future__ import annotations

import base64
import hmac
import re
import struct
from dataclasses import dataclass, field

from otpverify.core.keys import Key, Keyring, Secret, mac, tag, untag

PARAMETER = "report_token"
"""The query parameter that carries it; what cleans logs of tokens knows it by this name."""

_HEAD = struct.Struct(">2s16s16s16sq")  # fingerprint, phone, scope, challenge, at
_MAC_BYTES = 16
_LONGEST_PURPOSE = 64
_SHORTEST, _LONGEST = (
    -(-4 * (_HEAD.size + purpose + _MAC_BYTES) // 3) for purpose in (0, _LONGEST_PURPOSE)
)
_WRITTEN = re.compile(rf"[A-Za-z0-9_-]{{{_SHORTEST},{_LONGEST}}}", re.ASCII)


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


def write(secret: Secret, key: Key, at: int, purpose: str) -> str:
    """The token of the message that was reserved at `at`; at most 184 URL-safe characters."""
    tags = (untag(part) for part in (key.phone, key.scope, key.challenge))
    body = _HEAD.pack(secret.fingerprint, *tags, at)
    body += purpose.encode("utf-8", "surrogatepass")[:_LONGEST_PURPOSE]
    return _encoded(body + _seal(secret, body))


def read(keyring: Keyring, token: object) -> Reference | None:
    """What a token names; `None` when it was not written under one of the secrets."""
    if not isinstance(token, str) or not _WRITTEN.fullmatch(token) or len(token) % 4 == 1:
        return None
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    if _encoded(raw) != token:
        return None  # its last character has bits to spare
    body, seal = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    fingerprint, phone, scope, challenge, at = _HEAD.unpack_from(body)
    secret = keyring.named(fingerprint)
    if secret is None or not hmac.compare_digest(seal, _seal(secret, body)):
        return None
    purpose = body[_HEAD.size :].decode("utf-8", "ignore")
    return Reference(secret, Key(tag(phone), tag(scope), tag(challenge)), at, purpose)


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _seal(secret: Secret, body: bytes) -> bytes:
    return mac(secret.value, "report", body.hex())[:_MAC_BYTES]
