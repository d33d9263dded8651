"""Hashers: they turn a code into the digest in the store."""

from __future__ import annotations

import hmac
from typing import ClassVar

from argon2.low_level import Type, hash_secret_raw

from otpverify.core.limits import require_whole
from otpverify.errors import ConfigurationError

DIGEST_BYTES = 32
# OWASP Password Storage Cheat Sheet, Argon2id: (memory in KiB, iterations) of equal strength.
_OWASP_MINIMUMS = ((47104, 1), (19456, 2), (12288, 3), (9216, 4), (7168, 5))


class Argon2Hasher:
    """HMAC-SHA256 under the secret, then Argon2id: a dump of the store together with the secret
    still costs an Argon2id computation for every guess.

    Args:
        memory_kib: Memory for one digest, in kibibytes. Argon2's m.
        iterations: Passes over that memory. Argon2's t.
        lanes: Degree of parallelism. Argon2's p.
        allow_weak: Accept a cost below OWASP's minimums, for tests.

    Raises:
        ConfigurationError: The cost is below all of OWASP's equivalent minimums (7168 KiB
            with 5 iterations up to 47104 KiB with 1).
    """

    costly: ClassVar[bool] = True
    needs_secret: ClassVar[bool] = False

    def __init__(
        self,
        *,
        memory_kib: int = 7168,
        iterations: int = 5,
        lanes: int = 1,
        allow_weak: bool = False,
    ) -> None:
        require_whole("lanes", lanes, least=1, most=255)
        require_whole("iterations", iterations, least=1)
        require_whole("memory_kib", memory_kib, least=8 * lanes)
        enough = any(memory_kib >= m and iterations >= t for m, t in _OWASP_MINIMUMS)
        if not (enough or allow_weak):
            raise ConfigurationError(
                f"Argon2 with memory_kib={memory_kib}, iterations={iterations} is weaker than "
                "OWASP's minimum; use memory_kib=7168, iterations=5. allow_weak=True overrides."
            )
        self.memory_kib = memory_kib
        self.iterations = iterations
        self.lanes = lanes

    def __repr__(self) -> str:
        return (
            f"Argon2Hasher(memory_kib={self.memory_kib}, iterations={self.iterations}, "
            f"lanes={self.lanes})"
        )

    def digest(self, secret: bytes, message: bytes, salt: bytes) -> bytes:
        """32 bytes. Releases the interpreter lock while it computes."""
        return hash_secret_raw(
            secret=hmac.digest(secret, message, "sha256"),
            salt=salt,
            time_cost=self.iterations,
            memory_cost=self.memory_kib,
            parallelism=self.lanes,
            hash_len=DIGEST_BYTES,
            type=Type.ID,
        )


class HmacHasher:
    """HMAC-SHA256 under the secret alone: microseconds instead of milliseconds.

    Use it to verify tens of thousands of codes a second, if you accept that a dump of the store
    together with the secret reveals the live codes at once. It needs a configured secret.
    """

    costly: ClassVar[bool] = False
    needs_secret: ClassVar[bool] = True

    def __repr__(self) -> str:
        return "HmacHasher()"

    def digest(self, secret: bytes, message: bytes, salt: bytes) -> bytes:
        """32 bytes."""
        return hmac.digest(secret, salt + message, "sha256")
