"""One account, in memory: what a database of yours holds."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

USER = "customer"
PASSWORD = "open sesame"  # noqa: S105 - shown on the page; it guards nothing
PHONE = "+12025550123"  # reserved for fiction: nobody's
SHORTEST_PASSWORD = 8


class Accounts:
    """Attributes:
    version: Goes up with every new password; sessions of an older one are over.
    phone: Where the account's codes go, in E.164.
    """

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._hash = self._hasher.hash(PASSWORD)
        self.version = 1
        self.phone = PHONE

    def password_is_right(self, user: str, password: str) -> bool:
        """It takes as long when there is no such user."""
        try:
            self._hasher.verify(self._hash, password)
        except VerifyMismatchError:
            return False
        return user == USER

    def set_password(self, password: str) -> None:
        """From now on this one."""
        self._hash = self._hasher.hash(password)
        self.version += 1
