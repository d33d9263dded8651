"""The demo's accounts, how often its password may be guessed, and who is signed in."""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from cachetools import TTLCache
from flask import Flask, Request, Response, g
from flask.sessions import SessionInterface, SessionMixin

from otpverify import Limit, RateLimited

USER: Final = "customer"
PASSWORD: Final = "open sesame"  # noqa: S105 - shown on the page; it guards nothing
PHONE: Final = "+12025550123"  # reserved for fiction: it belongs to nobody
PER_VISITOR: Final = Limit(5, 300)
PER_ACCOUNT: Final = Limit(100, 86_400)
COOKIE: Final = "otpverify_demo"
LONGEST_NAME: Final = 40
_LONGEST_PASSWORD = 256
_MOST = 10_000  # names, and sessions
_SESSION_SECONDS = 3600


class SignUpForm:
    """What a new account needs: a name.

    Args:
        data: The form that was sent; `None` for an empty one.

    Attributes:
        name: The name, as it was typed.
        errors: What is wrong with a field, by its name.
    """

    def __init__(self, data: Mapping[str, str] | None) -> None:
        self.name: str = (data or {}).get("name", "").strip()
        self.errors: dict[str, list[str]] = {}

    def validate(self) -> bool:
        """Whether it may be used."""
        if not 0 < len(self.name) <= LONGEST_NAME:
            self.errors = {"name": [f"Enter a name of up to {LONGEST_NAME} characters."]}
        return not self.errors


class Accounts:
    """One account with a password and a phone, and those that people make by signing up.

    Attributes:
        changed: Whether the password is no longer the one that the page shows.
    """

    def __init__(self) -> None:
        # One of OWASP's equivalent minimums.
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._hash = self._hasher.hash(PASSWORD)
        self.changed: bool = False
        self._lock = threading.Lock()
        self._names: dict[str, str] = {PHONE: USER}

    def find(self, phone: str) -> str | None:
        """The account with a phone."""
        return self._names.get(phone)

    def get_phone(self, account: str) -> str | None:
        """The phone of an account."""
        return next((phone for phone, name in self._names.items() if name == account), None)

    def create(self, phone: str, name: str) -> str | None:
        """Make an account; `None` if there is one with this phone. A name that is taken gets a
        number."""
        with self._lock:
            if phone in self._names or len(self._names) >= _MOST:
                return None
            taken, wanted = set(self._names.values()), name
            nth = 1
            while name in taken:
                nth += 1
                name = f"{wanted} {nth}"
            self._names[phone] = name
            return name

    def password_is_right(self, user: str, password: str) -> bool:
        """Whether the pair is right. It takes as long for a user that does not exist."""
        try:
            self._hasher.verify(self._hash, password[:_LONGEST_PASSWORD])
        except VerifyMismatchError:
            return False
        return user == USER

    def set_password(self, password: str) -> None:
        """Give the account a new password."""
        self._hash = self._hasher.hash(password[:_LONGEST_PASSWORD])
        self.changed = True


class Guesses:
    """Counts guesses of passwords. Names that do not exist count like all others.

    Each name and address has a few, so that a stranger who guesses soon stops and does not keep
    the owner out. Each name has a day's worth, from all addresses together.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: dict[Limit, TTLCache[tuple[str, str], list[float]]] = {
            limit: TTLCache(_MOST, limit.seconds, time.time) for limit in (PER_VISITOR, PER_ACCOUNT)
        }

    def count(self, user: str, address: str) -> None:
        """Count a guess before it is compared, so that none slips through beside another.

        Raises:
            RateLimited: It must not be compared.
        """
        now = time.time()
        with self._lock:
            waits, counted = [], []
            for limit, key in _places(user, address):
                table = self._times[limit]
                times = [at for at in table.get(key, []) if at > now - limit.seconds]
                if len(times) >= limit.count:
                    waits.append(math.ceil(times[-limit.count] + limit.seconds - now))
                elif key not in table and len(table) >= table.maxsize:
                    waits.append(limit.seconds)  # dropping another name would forgive its guesses
                counted.append((table, key, [*times, now]))
            if waits:
                wait = max(waits)
                raise RateLimited("Too many passwords.", retry_after=wait, scope="passwords")
            for table, key, times in counted:
                table[key] = times

    def forgive(self, user: str, address: str) -> None:
        """The guess was right: this visitor starts again."""
        with self._lock:
            for limit, key in _places(user, address):
                times = self._times[limit].pop(key, [])
                if limit is PER_ACCOUNT and times[:-1]:
                    self._times[limit][key] = times[:-1]


def _places(user: str, address: str) -> list[tuple[Limit, tuple[str, str]]]:
    return [(PER_VISITOR, (user, address)), (PER_ACCOUNT, (user, ""))]


class Session(dict[str, Any], SessionMixin):
    """The entries of one browser. All its requests share them, so that one that takes long does
    not overwrite what another tab did meanwhile.

    Attributes:
        id: The value of its cookie; empty before it is stored.
    """

    id = ""


class Sessions(SessionInterface):
    """Sessions in memory. The cookie holds a random id and nothing else. A session ends an hour
    after its last request."""

    def __init__(self) -> None:
        self._held: TTLCache[str, Session] = TTLCache(_MOST, _SESSION_SECONDS)
        self._lock = threading.Lock()

    def open_session(self, app: Flask, request: Request) -> Session:  # noqa: ARG002 - Flask's
        """The browser's session, whose hour begins again; a new one if it has none."""
        with self._lock:
            found = self._held.get(request.cookies.get(COOKIE, ""))
            if found is not None:
                self._held[found.id] = found
        return Session() if found is None else found

    def save_session(self, app: Flask, session: Any, response: Response) -> None:
        """Store a new session. The cookie is set by the request that gave the session its id, and
        by no other that was under way."""
        if session and not session.id:
            self.regenerate(session)
        if new := g.pop("new_session_id", None):
            secure = self.get_cookie_secure(app)
            response.set_cookie(COOKIE, new, httponly=True, secure=secure, samesite="Lax")

    def regenerate(self, session: Any) -> None:
        """Give a session a new id when it gains rights. The old id is of no use from then on."""
        held = getattr(session, "_get_current_object", lambda: session)()  # not Flask's proxy
        with self._lock:
            self._held.pop(held.id, None)
            held.id = g.new_session_id = secrets.token_urlsafe(32)
            self._held[held.id] = held

    def sign_out(self, account: str) -> None:
        """End the rights of an account in all sessions."""
        with self._lock:
            for session in self._held.values():
                if session.get("account") == account:
                    session.pop("account", None)
