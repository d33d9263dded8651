"""Who may sign in. Yours are in a database."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from otpverify import Verified
from otpverify.integrations.web.enrolment import PhoneTaken

USER, PASSWORD = "customer", "open sesame"
PHONE = "+12025550123"  # reserved for fiction: nobody's
ACCOUNT = "1"


@dataclass
class _Account:
    phone: str | None
    user: str = ""  # those who signed up by phone have no user name
    password: str = ""  # its hash
    browsers: int = 0  # counted up when all remembered browsers are forgotten


_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_accounts = {ACCOUNT: _Account(PHONE, USER, _hasher.hash(PASSWORD))}
_lock = threading.RLock()  # your table has a unique column for the phone instead


def with_password(user: str, password: str) -> str | None:
    """The account with this name and password. It takes as long when there is no such name."""
    right = confirm_password(ACCOUNT, password)
    return ACCOUNT if right and user == USER else None


def with_phone(phone: str) -> str | None:
    """The account with this phone."""
    with _lock:
        return next((name for name, one in _accounts.items() if one.phone == phone), None)


def get_phone(account: str) -> str | None:
    """An account's phone."""
    return _accounts[account].phone


def create(verified: Verified) -> str | None:
    """Make an account for a person who holds the phone; `None` if there is one by now."""
    with _lock:
        if with_phone(verified.phone):
            return None
        account = str(len(_accounts) + 1)
        _accounts[account] = _Account(verified.phone)
        return account


def set_password(account: str, password: str) -> None:
    """Give an account a new password."""
    _accounts[account].password = _hasher.hash(password)


def has_user_name(account: str) -> bool:
    """Whether a person can sign in to the account by name and password, also without a phone."""
    return _accounts[account].user != ""


def confirm_password(account: str, password: str) -> bool:
    """Whether the password is the account's."""
    try:
        return _hasher.verify(_accounts[account].password, password)
    except (VerifyMismatchError, InvalidHashError):  # the second: it has none
        return False


def phone_taken(phone: str, account: str) -> bool:
    """Whether another account has the phone."""
    return with_phone(phone) not in (None, account)


def save_phone(account: str, verified: Verified) -> None:
    """Give an account another phone, which the person confirmed."""
    with _lock:
        if phone_taken(verified.phone, account):  # another request was faster
            raise PhoneTaken
        _accounts[account].phone = verified.phone


def remove_phone(account: str) -> None:
    """Leave an account without a phone."""
    _accounts[account].phone = None


def auth_hash(account: str) -> str:
    """What ends remembered browsers when it changes: a new password, or a wish to forget them."""
    return f"{_accounts[account].password} {_accounts[account].browsers}"


def forget_browsers(account: str) -> None:
    """End all remembered browsers of an account."""
    with _lock:
        _accounts[account].browsers += 1
