"""Who may sign in. Yours are in a database."""

from __future__ import annotations

import threading

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from otpverify import Verified

USER, PASSWORD = "customer", "open sesame"
PHONE = "+12025550123"  # reserved for fiction: nobody's
ACCOUNT = "1"

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_hashes = {ACCOUNT: _hasher.hash(PASSWORD)}
_phones = {PHONE: ACCOUNT}  # by phone, as the column of your table is unique
_lock = threading.Lock()


def with_password(user: str, password: str) -> str | None:
    """The account with this name and password. It takes as long when there is no such name."""
    try:
        _hasher.verify(_hashes[ACCOUNT], password)
    except VerifyMismatchError:
        return None
    return ACCOUNT if user == USER else None


def with_phone(phone: str) -> str | None:
    """The account with this phone."""
    return _phones.get(phone)


def phone_of(account: str) -> str | None:
    """An account's phone."""
    return next((phone for phone, owner in _phones.items() if owner == account), None)


def create(verified: Verified) -> str | None:
    """Make an account for a person who holds the phone; `None` if there is one by now."""
    with _lock:
        if verified.phone in _phones:
            return None
        account = str(len(_phones) + 1)
        _phones[verified.phone] = account
        return account


def set_password(account: str, password: str) -> None:
    """Give an account a new password."""
    _hashes[account] = _hasher.hash(password)
