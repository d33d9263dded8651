"""Secrets, challenge ids, and the keyed tags and messages that are derived from them.

The store sees only tags, which are keyed BLAKE2b (RFC 7693) under a key that is derived from the
secret. Without the secret, neither a phone number nor a purpose can be recognised, even if there
are few of them. BLAKE2b is a keyed hash in one pass, and takes less than half the time of HMAC.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

from otpverify.core.secret_strength import check_secret
from otpverify.errors import ConfigurationError

ID_RANDOM_BYTES = 16
_FINGERPRINT_BYTES = 2
ID_LENGTH = 24  # base64url of 18 bytes, without padding
_TAG_BYTES = 16
_TAG_LENGTH = 22


def pack(*fields: str) -> bytes:
    """The fields as one byte string, each after its length, so that no two tuples collide."""
    # Added, not formatted: a member of an enum of strings would be written by its name.
    return "".join([f"{len(f)}:" + f for f in fields]).encode("utf-8", "surrogatepass")


def mac(key: bytes, label: str, *fields: str, size: int = _TAG_BYTES) -> bytes:
    """Keyed BLAKE2b of the packed fields; `label` separates the uses of one key. The size is in
    bytes."""
    return blake2b(pack(label, *fields), key=key, digest_size=size).digest()


def tag(raw: bytes) -> str:
    """The first 128 bits as 22 characters of base64: a key in the store."""
    return binascii.b2a_base64(raw[:_TAG_BYTES])[:_TAG_LENGTH].decode()


def untag(text: str) -> bytes:
    """The 128 bits of a tag."""
    return binascii.a2b_base64(text + "==")


def _id_bytes(challenge: str) -> bytes:
    return base64.b64decode(challenge.encode("ascii"), altchars=b"-_", validate=True)


def _marked(fingerprint: bytes) -> bytes:
    """The fingerprint in the ids of concealed challenges, from that of all others; and back."""
    return bytes([fingerprint[0], fingerprint[1] ^ 1])


class Key(NamedTuple):
    """Where the store keeps a challenge. Every part is a tag.

    Attributes:
        phone: The phone; all keys of one phone are together (one cluster slot).
        scope: The phone and the purpose: what a cooldown and a failure budget belong to.
        challenge: The phone, the purpose and the challenge's id.
    """

    phone: str
    scope: str
    challenge: str


@dataclass(frozen=True, slots=True)
class Secret:
    """One server-side key, and what is derived from it.

    Attributes:
        value: The key, for hashers.
        tag_key: The key of tags and tokens, 64 bytes: BLAKE2b takes no more.
        fingerprint: By this a challenge's id names the secret.
    """

    value: bytes = field(repr=False)
    tag_key: bytes = field(init=False, repr=False)
    fingerprint: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        tag_key = hmac.digest(self.value, pack("tags"), "sha512")
        fingerprint = hmac.digest(self.value, pack("fingerprint"), "sha256")[:_FINGERPRINT_BYTES]
        object.__setattr__(self, "tag_key", tag_key)
        object.__setattr__(self, "fingerprint", fingerprint)

    def new_id(self, random: bytes, *, concealed: bool = False) -> str:
        """A challenge's id: 128 random bits, then the fingerprint of this secret, which also says
        whether the challenge is concealed."""
        named = _marked(self.fingerprint) if concealed else self.fingerprint
        return base64.urlsafe_b64encode(random + named).decode("ascii")

    def conceals(self, challenge: str) -> bool:
        """Whether the challenge with this id, which this secret signed, is concealed. It is known
        before the store is asked, and also when the challenge is gone."""
        return _id_bytes(challenge)[ID_RANDOM_BYTES:] == _marked(self.fingerprint)

    def key(self, phone: str, purpose: str, challenge: str) -> Key:
        """The store's key of a challenge."""
        return self.place(phone, purpose, challenge)[0]

    def place(self, phone: str, purpose: str, challenge: str) -> tuple[Key, bytes]:
        """The store's key of a challenge, and the key of what belongs to the phone: the half of its
        MAC that the store never sees."""
        both = mac(self.tag_key, "phone", phone, size=2 * _TAG_BYTES)
        own = both[_TAG_BYTES:]
        scope = mac(own, "scope", purpose)
        one = mac(own, "challenge", purpose, challenge)
        return Key(tag(both), tag(scope), tag(one)), own

    def network_tag(self, network: str) -> str:
        """The store's key of an IP address's counter."""
        return tag(mac(self.tag_key, "ip", network))

    def prefix_tag(self, prefix: str) -> str:
        """The store's key of what belongs to a number's prefix."""
        return tag(mac(self.tag_key, "prefix", prefix))

    def number_tag(self, phone: str) -> str:
        """The store's key of what is known of a number. It leads neither to the phone's limits nor
        from them."""
        return tag(mac(self.tag_key, "number", phone))

    def charge_tag(self, key: Key) -> str:
        """The store's key of what a challenge was charged."""
        return tag(mac(self.tag_key, "charge", key.challenge))

    def event_reference(self, key: Key) -> str:
        """The name of a challenge in events, which leads neither to its id nor to its place in the
        store; 16 hexadecimal digits."""
        return mac(self.tag_key, "event", key.challenge, size=8).hex()

    def undelivered_tag(self, key: Key) -> str:
        """The store's key of the counter of a phone's sends that were given back by reports."""
        return tag(mac(self.tag_key, "undelivered", key.phone))


def check_binding(binding: Mapping[str, str]) -> None:
    """Raise `ConfigurationError` unless `binding` maps str to str."""
    if not isinstance(binding, Mapping) or not all(
        isinstance(part, str) for pair in binding.items() for part in pair
    ):
        raise ConfigurationError("binding must map str to str; format amounts and dates yourself.")


@dataclass(slots=True, eq=False)
class Subject:
    """What a call concerns: phone, purpose, challenge and binding, with the secret that signed the
    challenge's id, the challenge's key in the store, and the phone's own key."""

    secret: Secret
    phone: str = field(repr=False)
    purpose: str
    challenge: str = field(repr=False)
    binding: Mapping[str, str] | None = field(default=None, repr=False)
    key: Key = field(init=False, repr=False)
    own: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.key, self.own = self.secret.place(self.phone, self.purpose, self.challenge)

    def code_message(self, code: str) -> bytes:
        """What a code's digest is computed over."""
        return pack("code", self.purpose, self.phone, self.challenge, code, *self.bound)

    @property
    def bound(self) -> list[str]:
        """The binding's names and values; the order in which they were given does not matter."""
        if not self.binding:
            return []
        return [part for pair in sorted(self.binding.items()) for part in pair]

    @property
    def code_salt(self) -> bytes:
        """128 bits for Argon2, drawn from the challenge's id, which the store never holds."""
        return hashlib.sha256(b"otpverify salt" + self.challenge.encode("ascii")).digest()[:16]


class Keyring:
    """The secrets in force: the first signs, all are accepted."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        if not secrets:
            raise ConfigurationError("secret must hold at least one secret.")
        self._by_fingerprint: dict[bytes, Secret] = {}
        for value in secrets:
            check_secret(value)
            secret = Secret(value)
            if self.named(secret.fingerprint) or self.named(_marked(secret.fingerprint)):
                raise ConfigurationError(
                    "Two of the secrets are the same, or have the same fingerprint by chance. "
                    "Replace one of them."
                )
            self._by_fingerprint[secret.fingerprint] = secret
        self.signing: Secret = next(iter(self._by_fingerprint.values()))

    def __repr__(self) -> str:
        return f"<Keyring of {len(self._by_fingerprint)}>"

    def __iter__(self) -> Iterator[Secret]:
        """The secrets, the one that signs first."""
        return iter(self._by_fingerprint.values())

    def find(self, challenge: object) -> Secret | None:
        """The secret that signed this challenge's id; `None` for an unknown id."""
        if not isinstance(challenge, str) or len(challenge) != ID_LENGTH:
            return None
        try:
            fingerprint = _id_bytes(challenge)[ID_RANDOM_BYTES:]
        except (binascii.Error, UnicodeEncodeError):
            return None
        if len(fingerprint) != _FINGERPRINT_BYTES:
            return None  # base64 with padding has fewer bytes
        return self.named(fingerprint) or self.named(_marked(fingerprint))

    def named(self, fingerprint: bytes) -> Secret | None:
        """The secret with that fingerprint, or `None`."""
        return self._by_fingerprint.get(fingerprint)
