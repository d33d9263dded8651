"""Remembered browsers: a browser that passed the second factor may skip it for some days.

The browser holds a cookie with a signed stamp for each account that was used in it. A stamp shows
only when it was written. It is valid for one account, with the authentication hash and the phone
that the account has at the time: a new password, or another phone, ends all browsers that an
account was remembered in.

Nothing is stored on the server, so remembered browsers cannot be listed. To end them all
without a new password ("sign out other browsers"), the site keeps a number or a text with the
account, makes it part of `auth_hash`, and changes it. A site without such a field can only end all
of them by a new password, or by fewer days in the settings.

Someone who copies the cookie from the browser, and knows the password, needs no code, until the
stamp ends. The password is needed in any case.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from otpverify import AsyncVerifier, ConfigurationError, InvalidPhoneNumber, Verifier
from otpverify.core.limits import DAY_SECONDS, require_whole
from otpverify.core.tokens import STAMP_LENGTH, STAMP_RANDOM_BYTES, Stamp, read_stamp, write_stamp

REMEMBERED_COOKIE: Final = "otpverify_remembered"
"""The name of the cookie. Set it as `HttpOnly`, `SameSite=Lax`, and `Secure` with https."""
MOST_ACCOUNTS: Final = 5
"""How many accounts one browser is remembered for; the newest ones."""
_SEPARATOR: Final = "."
_LABEL: Final = "remembered browser"
_LONGEST_DAYS: Final = 365


@dataclass(frozen=True, slots=True)
class Remembered:
    """A remembered browser.

    Attributes:
        browser: A random name for it, the same for as long as it is remembered; for your logs.
        since: When it was remembered (aware, UTC).
        until: When that ends (aware, UTC).
    """

    browser: str
    since: datetime
    until: datetime


class RememberedBrowsers:
    """Writes and reads the cookie of remembered browsers.

    Args:
        verifier: Its secrets sign: the first one, and all are accepted. If it drew its own, cookies
            are valid until the process ends.
        days: How long a browser is remembered, from 1 to 365. Fewer days also apply to browsers
            that are remembered already.
        purpose: What the browser may skip a code for. A cookie for one is never valid for another.

    Raises:
        ConfigurationError: `days` is out of range.
    """

    def __init__(
        self, verifier: Verifier | AsyncVerifier, *, days: int, purpose: str = "login"
    ) -> None:
        require_whole("The days of remembered browsers", days, least=1, most=_LONGEST_DAYS)
        self.days = days
        self._verifier = verifier
        self._purpose = purpose

    @property
    def max_age(self) -> int:
        """The cookie's `Max-Age`, in seconds."""
        return self.days * DAY_SECONDS

    def remember(
        self, account: str, *, auth_hash: str, phone: str | None = None, cookie: str | None = None
    ) -> str:
        """Remember this browser. Call it after a second factor that was right, never else.

        Args:
            account: The account's id.
            auth_hash: A text that changes with the account's password, and with anything else that
                ends remembered browsers, such as a counter of yours. Only its MAC is used.
            phone: The account's phone, if it has one.
            cookie: The cookie that the browser has.

        Returns:
            The cookie's new value.
        """
        number = self._number(account, [auth_hash], phone)
        stamp = write_stamp(
            self._verifier.engine.issuer.keyring.signing,
            time.time(),
            secrets.token_bytes(STAMP_RANDOM_BYTES),
            *(_LABEL, self._purpose, account, auth_hash, number),
        )
        others = self._others(cookie, account, [auth_hash], number)
        return _SEPARATOR.join([stamp, *others][:MOST_ACCOUNTS])

    def find(
        self,
        cookie: str | None,
        account: str,
        *,
        auth_hash: str | Sequence[str],
        phone: str | None = None,
    ) -> Remembered | None:
        """Whether this browser is remembered for an account. Ask after the password was right.

        Args:
            cookie: The cookie, as the browser sent it; any text is possible.
            account, phone: As for `remember`.
            auth_hash: As for `remember`; or several, where the site accepts older ones, as Django
                does for `SECRET_KEY_FALLBACKS`.

        Returns:
            The remembered browser; `None` if the code is needed.
        """
        hashes = [auth_hash] if isinstance(auth_hash, str) else list(auth_hash)
        number = self._number(account, hashes, phone)
        for stamp in _stamps(cookie):
            found = self._read(stamp, account, hashes, number)
            if found is not None and found.younger_than(self.max_age, time.time()):
                since = datetime.fromtimestamp(found.at, UTC)
                return Remembered(found.name, since, since + timedelta(days=self.days))
        return None

    def forget(
        self,
        cookie: str | None,
        account: str,
        *,
        auth_hash: str | Sequence[str],
        phone: str | None = None,
    ) -> str:
        """The cookie without an account. A copy of the old one stays valid.

        Args:
            cookie, account, auth_hash, phone: As for `find`.

        Returns:
            The cookie's new value; empty if it can be deleted.
        """
        hashes = [auth_hash] if isinstance(auth_hash, str) else list(auth_hash)
        number = self._number(account, hashes, phone)
        return _SEPARATOR.join(self._others(cookie, account, hashes, number))

    def _number(self, account: str, hashes: Sequence[str], phone: str | None) -> str:
        """The phone in E.164, if it can be read.

        Raises:
            ConfigurationError: The account or a hash is not a text, or empty.
        """
        if not all(isinstance(value, str) and value for value in (account, *hashes)) or not hashes:
            raise ConfigurationError("account and auth_hash must be texts that are not empty.")
        try:
            return self._verifier.normalize(phone) if phone else ""
        except InvalidPhoneNumber:
            return str(phone)

    def _read(self, stamp: str, account: str, hashes: Sequence[str], phone: str) -> Stamp | None:
        keyring = self._verifier.engine.issuer.keyring
        for auth_hash in hashes:
            found = read_stamp(keyring, stamp, _LABEL, self._purpose, account, auth_hash, phone)
            if found is not None:
                return found
        return None

    def _others(
        self, cookie: str | None, account: str, hashes: Sequence[str], phone: str
    ) -> Iterator[str]:
        """The stamps of other accounts."""
        for stamp in _stamps(cookie):
            if self._read(stamp, account, hashes, phone) is None:
                yield stamp


def _stamps(cookie: object) -> list[str]:
    """What may be stamps in a cookie that anybody may have written."""
    if not isinstance(cookie, str) or len(cookie) > MOST_ACCOUNTS * (STAMP_LENGTH + 1):
        return []
    return [part for part in cookie.split(_SEPARATOR) if len(part) == STAMP_LENGTH]
