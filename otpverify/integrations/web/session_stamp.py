"""A signed statement about an account in the session, which ends by itself: that its password was
right a moment ago (between the two steps of a sign-in), or that the person proved again who they
are (before the phone is changed).

A session may be a cookie, and its owner may send an old one again. The stamp covers the facts that
it depends on, such as the account's authentication hash and its phone. When one of them changes,
the stamp is void, also in old copies of the cookie.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final

from otpverify import AsyncVerifier, Verifier
from otpverify.core.tokens import STAMP_RANDOM_BYTES, read_stamp, write_stamp
from otpverify.integrations.web.session import SESSION_PREFIX

FIRST_STEP: Final = "first step"
"""The name of the stamp for a right password, before the second step."""
FIRST_STEP_SECONDS: Final = 1800
"""How long the second step may follow. The person may need another code, or enrol a phone."""
REPROVED: Final = "proved again"
"""The name of the stamp for a person who proved again who they are."""
SECOND_FACTOR: Final = "second factor"
"""The name of the stamp for a person who signed in with a password and a second factor."""
PASSWORD_RIGHT: Final = "password before check"  # noqa: S105 - a name
"""The name of the stamp for a person who is signed in and typed the password again; the code, or
another way, is missing."""
STAMP_SECONDS: Final = 600
"""How long any other stamp is valid."""


class SessionStamp:
    """One statement about an account in this session.

    Args:
        verifier: Its secrets sign.
        session: The session.
        name: What the stamp states: `FIRST_STEP`, `REPROVED`, or a name of the site's own.
        seconds: How long it is valid.
    """

    def __init__(
        self,
        verifier: Verifier | AsyncVerifier,
        session: MutableMapping[str, Any],
        name: str,
        *,
        seconds: int = STAMP_SECONDS,
    ) -> None:
        self._keyring = verifier.engine.issuer.keyring
        self._session = session
        self._name = name
        self._key = f"{SESSION_PREFIX}stamp.{name}"
        self._seconds = seconds

    def save(self, account: str, *facts: str | None) -> None:
        """State it of an account.

        Args:
            account: The account's id. Its owner can read it in a session that is a cookie.
            facts: What the statement depends on; the session does not show them.
        """
        random = secrets.token_bytes(STAMP_RANDOM_BYTES)
        signing = self._keyring.signing
        stamp = write_stamp(signing, time.time(), random, self._name, account, *_texts(facts))
        self._session[self._key] = {"account": account, "stamp": stamp}

    def account(self, facts: Callable[[str], tuple[str | None, ...]] = lambda _: ()) -> str | None:
        """The account of which the session states it; `None` if it does not, or not any more.

        Args:
            facts: Gives the facts that are true of an account now.
        """
        entry = self._session.get(self._key)
        account = entry.get("account") if isinstance(entry, Mapping) else None
        if not isinstance(entry, Mapping) or not isinstance(account, str):
            return None
        known = _texts(facts(account))
        found = read_stamp(self._keyring, entry.get("stamp"), self._name, account, *known)
        if found is None or not found.younger_than(self._seconds, time.time()):
            return None
        return account

    def drop(self) -> None:
        """Remove the statement from the session."""
        self._session.pop(self._key, None)


def half_signed_in(
    verifier: Verifier | AsyncVerifier, session: MutableMapping[str, Any]
) -> SessionStamp:
    """The statement that an account's password was right, and that the second step is missing. It
    depends on the account's authentication hash and its phone.

    Args:
        verifier, session: As for `SessionStamp`.
    """
    return SessionStamp(verifier, session, FIRST_STEP, seconds=FIRST_STEP_SECONDS)


def password_right(
    verifier: Verifier | AsyncVerifier, session: MutableMapping[str, Any]
) -> SessionStamp:
    """The statement that a person who is signed in typed the account's password again, if it has
    one, and that the rest of the proof is missing.

    Args:
        verifier, session: As for `SessionStamp`.
    """
    return SessionStamp(verifier, session, PASSWORD_RIGHT, seconds=FIRST_STEP_SECONDS)


def _texts(facts: tuple[str | None, ...]) -> list[str]:
    """Facts as texts; one that is missing differs from one that is empty."""
    return ["-" if fact is None else f"+{fact}" for fact in facts]
