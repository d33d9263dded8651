"""What the server keeps for each browser. The cookie holds a random id and nothing else."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from typing import TypeVar

from cachetools import TTLCache
from starlette.requests import Request

T = TypeVar("T")
_SESSIONS = 10_000
_SESSION_SECONDS = 3600
_ID_BYTES = 32


class Session:
    """One browser's entries. Each is read and changed by itself, so that requests at the same
    time, such as those of two tabs, do not overwrite one another's.

    Attributes:
        id: What the cookie holds.
    """

    def __init__(self) -> None:
        self.id = secrets.token_urlsafe(_ID_BYTES)
        self._entries: dict[str, object] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> object:
        """An entry; `None` if there is none."""
        with self._lock:
            return self._entries.get(key)

    def put(self, key: str, value: object) -> None:
        """Set an entry."""
        with self._lock:
            self._entries[key] = value

    def pop(self, key: str) -> object:
        """Take an entry out; `None` if there is none."""
        with self._lock:
            return self._entries.pop(key, None)

    def change(self, key: str, kind: type[T], change: Callable[[T | None], T | None]) -> T | None:
        """Change an entry of this kind in one step; `None` stands for no entry, both ways."""
        with self._lock:
            found = self._entries.get(key)
            changed = change(found if isinstance(found, kind) else None)
            if changed is None:
                self._entries.pop(key, None)
            else:
                self._entries[key] = changed
            return changed


class Sessions:
    """All of them. One ends an hour after its last request."""

    def __init__(self) -> None:
        self._held: TTLCache[str, Session] = TTLCache(_SESSIONS, _SESSION_SECONDS)
        self._lock = threading.Lock()

    def find(self, id_: object) -> Session | None:
        """The session with this id, whose hour begins again."""
        with self._lock:
            found = self._held.get(id_) if isinstance(id_, str) else None
            if found is not None:
                self._held[found.id] = found
            return found

    def begin(self) -> Session:
        """A new one."""
        session = Session()
        with self._lock:
            self._held[session.id] = session
        return session

    def rename(self, session: Session) -> None:
        """Give it a new id, and all that is in it; the old id is nobody's from now on."""
        with self._lock:
            self._held.pop(session.id, None)
            session.id = secrets.token_urlsafe(_ID_BYTES)
            self._held[session.id] = session


def session_of(request: Request) -> Session:
    """The browser's session, a new one if it has none. It is looked up once a request: one that
    is under way when the id changes still finds its session."""
    found = getattr(request.state, "kept", None)
    if isinstance(found, Session):
        return found
    session: Session | None = request.app.state.sessions.find(request.session.get("id"))
    if session is None:
        session = request.app.state.sessions.begin()
        request.session["id"] = session.id
    request.state.kept = session
    return session


def rename_session(request: Request) -> None:
    """Give the session a new id. For the moment when it gains rights: whoever knew the old id
    gains none."""
    session = session_of(request)
    request.app.state.sessions.rename(session)
    request.session["id"] = session.id
