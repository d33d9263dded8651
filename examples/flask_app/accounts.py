"""Who may sign in. Yours are in a database."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

USER, PASSWORD = "customer", "open sesame"
PHONE = "+12025550123"  # reserved for fiction: nobody's
ACCOUNT = "1"

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_hashes = {ACCOUNT: _hasher.hash(PASSWORD)}


def with_password(user: str, password: str) -> str | None:
    """The account with this name and password. It takes as long when there is no such name."""
    try:
        _hasher.verify(_hashes[ACCOUNT], password)
    except VerifyMismatchError:
        return None
    return ACCOUNT if user == USER else None


def with_phone(phone: str) -> str | None:
    """The account with this phone."""
    return ACCOUNT if phone == PHONE else None


def phone_of(account: str) -> str | None:
    """An account's phone."""
    return PHONE if account == ACCOUNT else None


def set_password(account: str, password: str) -> None:
    """Give an account a new password."""
    _hashes[account] = _hasher.hash(password)
