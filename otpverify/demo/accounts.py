"""The demo's accounts and what it remembers of who proved what. All in memory."""

from __future__ import annotations

import secrets
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from cachetools import TTLCache

USER: Final = "customer"
PASSWORD: Final = "open sesame"  # noqa: S105 - shown on the page; it guards nothing
PHONE: Final = "+12025550123"  # reserved for fiction: nobody's
SHORTEST_PASSWORD: Final = 8
_LONGEST_PASSWORD = 256
_TICKETS = 10_000
_TICKET_SECONDS = 900


class Accounts:
    """One account, with a password and a phone.

    Attributes:
        changed: Whether the password is no longer the one that the page shows.
    """

    def __init__(self) -> None:
        # One of OWASP's equivalent minimums.
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._hash = self._hasher.hash(PASSWORD)
        self.changed = False

    def password_is_right(self, user: str, password: str) -> bool:
        """Whether the pair is right. It takes as long when there is no such user."""
        try:
            self._hasher.verify(self._hash, password[:_LONGEST_PASSWORD])
        except VerifyMismatchError:
            return False
        return user == USER

    def user_of(self, phone: str) -> str | None:
        """The user with this phone, in E.164."""
        return USER if phone == PHONE else None

    def phone_of(self, user: str) -> str:
        """The phone of this user, in E.164."""
        return {USER: PHONE}[user]

    def set_password(self, password: str) -> None:
        """Give the account a new password."""
        self._hash = self._hasher.hash(password[:_LONGEST_PASSWORD])
        self.changed = True


class Tickets:
    """Rights that end by themselves, by use, or all at once for one holder, whichever sessions
    keep them."""

    def __init__(self) -> None:
        self._held: TTLCache[str, tuple[str, str]] = TTLCache(_TICKETS, _TICKET_SECONDS)

    def issue(self, right: str, holder: str) -> str:
        """A new ticket for `holder`."""
        ticket = secrets.token_urlsafe(24)
        self._held[ticket] = (right, holder)
        return ticket

    def holder(self, right: str, ticket: object) -> str | None:
        """Who holds this ticket, if it is good."""
        found = self._held.get(ticket) if isinstance(ticket, str) else None
        return found[1] if found is not None and found[0] == right else None

    def redeem(self, right: str, ticket: object) -> str | None:
        """Who holds this ticket, which ends here."""
        holder = self.holder(right, ticket)
        if holder is not None:
            self._held.pop(str(ticket), None)
        return holder

    def revoke(self, right: str, holder: str) -> None:
        """End all tickets of this kind that `holder` has."""
        for ticket, held in list(self._held.items()):
            if held == (right, holder):
                self._held.pop(ticket, None)
