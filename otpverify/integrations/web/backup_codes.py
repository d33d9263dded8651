"""Backup codes: a printed list of codes, each of which replaces one code by SMS.

They are "look-up secrets" (NIST SP 800-63B-4, 3.1.2; OWASP ASVS 5.0, 6.5.1 to 6.5.3): drawn from a
cryptographic generator, shown once, stored as salted hashes, used once, and with counted attempts.
No framework is needed.

A code has 10 characters of Crockford's base 32, so 50 random bits. It is hashed as a code by SMS
is, by the verifier's hasher: HMAC with the secret, then Argon2id. The salt is new for each list,
and the hash covers the account. A copy of the storage is of no use without the secret, and a row
that is copied to another account is of no use there. `HmacHasher` falls short of ASVS 6.5.2, which
requires a password hash.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import threading
import unicodedata
from collections.abc import Awaitable, Sequence
from typing import Final, Protocol

from otpverify import AsyncVerifier, ConfigurationError, IncorrectAnswer, Verifier
from otpverify.core.keys import Secret, pack
from otpverify.core.limits import require_whole
from otpverify.engine.ports import call_port
from otpverify.integrations.web.attempts import count_attempt
from otpverify.integrations.web.flow import settled
from otpverify.integrations.web.other_ways import OtherWay
from otpverify.integrations.web.sentences import Sentence

WAY: Final = "backup-code"
"""The name of this way in."""
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: no i, l, o, u
_MEANT: Final = str.maketrans("ilo", "110")
_LENGTH: Final = 10
_GROUP: Final = 5
_SALT_BYTES: Final = 16
_LONGEST_TYPED: Final = 64
_MOST: Final = 50
_SEPARATORS: Final = " \t\u00a0-\u2010\u2011\u2012\u2013\u2014\u2212_."


class BackupCodeStorage(Protocol):
    """Where a site stores backup codes, such as a table with the columns `account` and `code`.
    Stored codes are texts of at most 80 ASCII characters. The methods may be asynchronous with an
    `AsyncVerifier`."""

    def load(self, account: str) -> Sequence[str] | Awaitable[Sequence[str]]:
        """The stored codes of an account that were not used."""
        ...

    def replace(self, account: str, codes: Sequence[str]) -> Awaitable[None] | None:
        """Replace the stored codes of an account by these, in one transaction."""
        ...

    def remove(self, account: str, code: str) -> bool | Awaitable[bool]:
        """Remove a stored code, atomically. `True` only for the one call that removed it. In SQL:
        `DELETE FROM backup_codes WHERE account = ? AND code = ?`, and whether its row count is 1;
        no `SELECT` before it, and the transaction commits."""
        ...


class MemoryBackupCodes:
    """Stores backup codes in memory, for tests."""

    def __init__(self) -> None:
        self._codes: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    def load(self, account: str) -> Sequence[str]:
        """See `BackupCodeStorage.load`."""
        with self._lock:
            return list(self._codes.get(account, ()))

    def replace(self, account: str, codes: Sequence[str]) -> None:
        """See `BackupCodeStorage.replace`."""
        with self._lock:
            self._codes[account] = list(codes)

    def remove(self, account: str, code: str) -> bool:
        """See `BackupCodeStorage.remove`."""
        with self._lock:
            if code not in self._codes.get(account, ()):
                return False
            self._codes[account].remove(code)
            return True


def check_storage(storage: object) -> None:
    """Raise `ConfigurationError` unless this can store backup codes."""
    for method in ("load", "replace", "remove"):
        if not callable(getattr(storage, method, None)):
            raise ConfigurationError(
                f"{type(storage).__name__} cannot store backup codes: it has no {method}()."
            )


class BackupCodes:
    """Makes and checks backup codes. Its operations are coroutines: `run_sync` drives them where
    the verifier and the storage are synchronous.

    Args:
        verifier: Its secrets and its hasher hash the codes, and its store counts attempts.
        storage: Stores the hashes.
        count: How many codes a list has, from 1 to 50.

    Raises:
        ConfigurationError: `count` is out of range, or the storage lacks a method.
    """

    def __init__(
        self,
        verifier: Verifier | AsyncVerifier,
        storage: BackupCodeStorage,
        *,
        count: int = 10,
    ) -> None:
        require_whole("The count of backup codes", count, least=1, most=_MOST)
        check_storage(storage)
        self._verifier = verifier
        self._storage = storage
        self._count = count

    async def make(self, account: str) -> list[str]:
        """Make a new list of codes, and void the earlier one.

        Args:
            account: The account's id.

        Returns:
            The codes, as they are shown to the person, once: such as `"4x8hq-27mzc"`.
        """
        secret = self._verifier.engine.issuer.keyring.signing
        salt = secrets.token_bytes(_SALT_BYTES)
        codes: list[str] = []
        while len(codes) < self._count:
            code = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
            if code not in codes:
                codes.append(code)
        stored = [
            _stored(secret, salt, await self._digest(secret, salt, account, c)) for c in codes
        ]
        await settled(self._storage.replace(account, stored))
        return [f"{code[:_GROUP]}-{code[_GROUP:]}" for code in codes]

    async def check(self, account: str, typed: str) -> int:
        """Accept a code, once.

        Args:
            account: The account whose password was right.
            typed: What the person typed. Spaces, hyphens, capitals, and O, I or L for a digit are
                accepted.

        Returns:
            How many codes are left.

        Raises:
            IncorrectAnswer: It is not a code of this account, or it was used. Input that cannot be
                a code is not counted as an attempt.
            RateLimited: Too many incorrect codes (`scope` is `"other_ways"`).
            StoreError: The store cannot answer; nobody gets in.
        """
        code = read_backup_code(typed)
        if code is None:
            raise IncorrectAnswer
        return await count_attempt(self._verifier, lambda: self._use(account, code), WAY, account)

    async def left(self, account: str) -> int:
        """How many codes of an account were not used."""
        return len(await settled(self._storage.load(account)))

    async def void(self, account: str) -> None:
        """Void all codes of an account, such as when it gives up its second factor."""
        await settled(self._storage.replace(account, ()))

    def way(self) -> OtherWay:
        """These codes as another way in, for the code's page."""

        async def passed(account: str, typed: str) -> bool:
            await self.check(account, typed)
            return True

        return OtherWay(
            WAY,
            Sentence("Use a backup code"),
            field=Sentence("Backup code"),
            check=passed,
            available=self.left,
            limits=None,
        )

    async def _use(self, account: str, code: str) -> int:
        stored = [one for one in await settled(self._storage.load(account)) if _known(one)]
        right = None
        # One list has one salt, so this is one hash.
        for named in dict.fromkeys(one.rpartition(".")[0] for one in stored):
            fingerprint, salt = (_unbase64(part) for part in named.split("."))
            secret = self._verifier.engine.issuer.keyring.named(fingerprint)
            if secret is None:  # it was rotated out since
                continue
            own = _stored(secret, salt, await self._digest(secret, salt, account, code))
            for one in stored:  # each, so that the time does not show which one it was
                if hmac.compare_digest(one, own):
                    right = one
        if right is None or not await settled(self._storage.remove(account, right)):
            raise IncorrectAnswer
        return len(stored) - 1

    async def _digest(self, secret: Secret, salt: bytes, account: str, code: str) -> bytes:
        message = pack("backup code", account, code)
        digest = self._verifier.engine.issuer.ports.digest(secret.value, message, salt)
        return await call_port(digest, bytes, part="The hasher", error=ConfigurationError)


def read_backup_code(typed: object) -> str | None:
    """The code in what a person typed; `None` for what cannot be one."""
    if not isinstance(typed, str) or len(typed) > _LONGEST_TYPED:
        return None
    code = "".join(
        one for one in unicodedata.normalize("NFKC", typed).lower() if one not in _SEPARATORS
    )
    code = code.translate(_MEANT)
    if len(code) == _LENGTH and all(one in _ALPHABET for one in code):
        return code
    return None


def _stored(secret: Secret, salt: bytes, digest: bytes) -> str:
    return ".".join(_base64(part) for part in (secret.fingerprint, salt, digest))


def _known(stored: object) -> bool:
    """Whether a stored text has the form of one of ours."""
    if not isinstance(stored, str) or not stored.isascii():
        return False
    parts = stored.split(".")
    try:
        return len(parts) == 3 and len([_unbase64(part) for part in parts][1]) == _SALT_BYTES
    except binascii.Error:
        return False


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
