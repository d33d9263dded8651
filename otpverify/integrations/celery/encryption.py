"""Encrypts the arguments and results of tasks: a broker, its dumps, Flower and logs cannot read
them.

Why a task carries an encrypted text and not a reference to a text in the store: the store holds
neither codes nor numbers, and a reference would put both into it. An encrypted task is
self-contained, and is deleted with the queue.

A key for each use is derived from the secret with HKDF (RFC 5869). The cipher is AES-256-GCM (NIST
SP 800-38D), which also refuses content that was altered or forged.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from otpverify import ConfigurationError
from otpverify.core.secret_strength import Secrets, read_secrets

_KEY_BYTES = 32
_NONCE_BYTES = 12
_BLOCK = 256


class Seal:
    """Encrypts and decrypts the contents of tasks.

    Args:
        secret: As for a verifier. Of several secrets, the first encrypts and all decrypt.
        use: The purpose. Content encrypted for one use cannot be decrypted for another.

    Raises:
        ConfigurationError: A secret is missing, too short or weak.
    """

    def __init__(self, secret: Secrets, use: str) -> None:
        values = read_secrets(secret)
        self._use = use.encode()
        self._keys = [AESGCM(_derived(value, self._use)) for value in values]
        self._tag_keys = [_derived(value, self._use + b" tags") for value in values]

    def __repr__(self) -> str:
        return f"<Seal of {len(self._keys)}>"

    def equals(self, other: Seal) -> bool:
        """Whether both decrypt what the other encrypts."""
        return self._tag_keys == other._tag_keys

    def close(self, content: Mapping[str, Any]) -> str:
        """Encrypt content that JSON can represent. The output differs each time. It is padded to
        blocks, so its length reveals little."""
        raw = json.dumps(content, separators=(",", ":")).encode()
        raw = raw.ljust(-(-len(raw) // _BLOCK) * _BLOCK)
        nonce = os.urandom(_NONCE_BYTES)
        return base64.urlsafe_b64encode(
            nonce + self._keys[0].encrypt(nonce, raw, self._use)
        ).decode()

    def tags(self, *fields: str) -> list[str]:
        """Tags that identify these fields without revealing them, one for each secret."""
        packed = json.dumps(fields).encode()
        return [hmac.digest(key, packed, "sha256").hex() for key in self._tag_keys]

    def open(self, sealed: object) -> dict[str, Any]:
        """Decrypt content.

        Raises:
            ConfigurationError: It was altered, or none of the secrets can decrypt it.
        """
        raw = _decoded(sealed)
        for key in self._keys:
            try:
                found = key.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], self._use)
            except (InvalidTag, ValueError):
                continue
            opened = json.loads(found)
            assert isinstance(opened, dict)  # noqa: S101 - `close` takes nothing else
            return opened
        raise ConfigurationError(
            "No secret of this worker opens what the task carries, or it was altered. A worker "
            "needs the secrets of the processes that queue: both, while a secret is exchanged."
        )


def _derived(secret: bytes, use: bytes) -> bytes:
    info = b"otpverify celery " + use
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(secret)


def _decoded(sealed: object) -> bytes:
    """The bytes of an encrypted text, or nothing if it is not written exactly as `close` writes it.
    Python's decoder skips characters outside the alphabet, spare bits and more, so one content
    would have many texts."""
    if not isinstance(sealed, str):
        return b""
    try:
        raw = base64.b64decode(sealed, altchars=b"-_", validate=True)
    except ValueError:  # binascii.Error is one
        return b""
    return raw if base64.urlsafe_b64encode(raw).decode() == sealed else b""
