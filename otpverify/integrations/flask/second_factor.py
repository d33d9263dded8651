"""What the application's hooks and settings say of an account's second factor: whether it needs
one, whether this browser is remembered, and which other ways in it has."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from flask import current_app, request, session
from werkzeug.wrappers import Response

from otpverify import ConfigurationError, OtpVerifyError
from otpverify.integrations.flask import pages
from otpverify.integrations.flask.site import APP_CONFIG, Site
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.account_notices import AccountChange, AccountNotice, notify
from otpverify.integrations.web.attempts import count_failed_sign_in
from otpverify.integrations.web.backup_codes import BackupCodes
from otpverify.integrations.web.other_ways import OtherWay, available_ways
from otpverify.integrations.web.remembered import (
    REMEMBERED_COOKIE,
    Remembered,
    RememberedBrowsers,
)
from otpverify.integrations.web.session_stamp import (
    REPROVED,
    SessionStamp,
    half_signed_in,
    password_right,
)
from otpverify.settings import Settings


class SecondFactor:
    """The second factor of accounts, during a request.

    Args:
        site: The application.
    """

    def __init__(self, site: Site) -> None:
        self.site = site

    def needed(self, account: str) -> bool:
        """Whether the account needs a second factor, by `needs_code`; all do without the hook."""
        if "needs_code" not in self.site.hooks:
            return True
        return self.site.call("needs_code", account) is not False

    # The step before.

    @property
    def first_step(self) -> SessionStamp:
        """The session's statement that a password was right."""
        return half_signed_in(self.site.verifier(), session)

    @property
    def half_signed_in(self) -> str | None:
        """The account whose password was right in this session, up to half an hour ago."""
        return self.first_step.account(self.site.facts)

    @property
    def reproved(self) -> SessionStamp:
        """The session's statement that the person who is signed in proved it again."""
        return SessionStamp(self.site.verifier(), session, REPROVED)

    @property
    def password_right(self) -> SessionStamp:
        """The session's statement that the person who is signed in typed the password again."""
        return password_right(self.site.verifier(), session)

    def has_password(self, account: str) -> bool:
        """Whether the account has a password. All do, but those for which `auth_hash` returns
        `None`."""
        return "auth_hash" not in self.site.hooks or self.site.facts(account)[0] is not None

    # Remembered browsers.

    @property
    def remember_days(self) -> int:
        """How many days browsers are remembered; 0: they are not."""
        return _days(current_app.config)

    def remembered(self, account: str) -> Remembered | None:
        """This browser, if it is remembered for the account."""
        browsers = self._browsers
        return None if browsers is None else browsers.find(**self._remembering(account))

    def remember(self, response: Response, account: str) -> None:
        """Let the reply remember this browser. Call it after the second factor was right."""
        browsers = self._browsers
        if browsers is not None:
            value = browsers.remember(**self._remembering(account))
            pages.set_cookie(response, REMEMBERED_COOKIE, value, browsers.max_age)

    def forget(self, response: Response, account: str) -> None:
        """Let the reply forget this browser, for the account."""
        browsers = self._browsers
        if browsers is not None:
            value = browsers.forget(**self._remembering(account))
            seconds = browsers.max_age if value else 0
            pages.set_cookie(response, REMEMBERED_COOKIE, value, seconds)

    # Other ways in.

    @property
    def backup_codes(self) -> BackupCodes | None:
        """Backup codes, if the site uses them."""
        storage = self.site.backup_storage
        return None if storage is None else BackupCodes(self.site.verifier(), storage)

    def ways(self, account: str) -> Sequence[OtherWay]:
        """The ways that the account has."""
        backup = self.backup_codes
        ways = [*map(_direct, self.site.ways), *([] if backup is None else [backup.way()])]
        return run_sync(available_ways(ways, account))

    # Notices.

    def count_failure(self, error: OtpVerifyError, account: str, phone: str | None = None) -> None:
        """See `count_failed_sign_in`.

        Args:
            error: The refusal of a code or another answer.
            account: The account whose password was right.
            phone: Its phone; what the application's hook says if left out.
        """

        async def notify() -> bool:
            to = self.site.facts(account)[1] if phone is None else phone
            return self.notify(account, AccountChange.SIGN_IN_FAILED, to)

        run_sync(count_failed_sign_in(self.site.verifier(), error, account, notify))

    def notify(self, account: str, change: AccountChange, phone: str | None) -> bool:
        """Send the person a notice by SMS, and give it to the application's hook.

        Args:
            account: The account.
            change: What changed.
            phone: The number that the account had before.

        Returns:
            Whether one of the ways took the notice.
        """
        hooked = "on_account_change" in self.site.hooks
        notified = notify(
            self.site.state.reset_verifier or self.site.verifier(),
            AccountNotice(account, change, phone, self.site.locale()),
            by_sms=Settings(current_app.config, APP_CONFIG).get("NOTICES") is not False,
            brand=current_app.config["OTPVERIFY_BRAND"],
            own=partial(self.site.call, "on_account_change") if hooked else None,
        )
        return run_sync(notified)

    @property
    def _browsers(self) -> RememberedBrowsers | None:
        """`None` where browsers are not remembered."""
        days = self.remember_days
        return RememberedBrowsers(self.site.verifier(), days=days) if days else None

    def _remembering(self, account: str) -> dict[str, Any]:
        """What the methods of `RememberedBrowsers` take."""
        auth_hash, phone = self.site.facts(account)
        cookie = request.cookies.get(REMEMBERED_COOKIE)
        hashed = _required(auth_hash)
        return {"cookie": cookie, "account": account, "auth_hash": hashed, "phone": phone}


def _direct(way: OtherWay) -> OtherWay:
    """The way with functions that can be called here, also if the site's are asynchronous."""
    check, available = (
        None if function is None else current_app.ensure_sync(function)
        for function in (way.check, way.available)
    )
    return replace(way, check=check, available=available)


def check_remembering(config: Mapping[str, Any], hooks: Collection[str]) -> None:
    """Check that an application that remembers browsers has what that needs.

    Raises:
        ConfigurationError: It does not, or the number of days is out of range.
    """
    if _days(config):
        _required("set" if "auth_hash" in hooks else None)


def _days(config: Mapping[str, Any]) -> int:
    return Settings(config, APP_CONFIG).get("REMEMBER_DAYS") or 0


def _required(auth_hash: str | None) -> str:
    if not auth_hash:
        raise ConfigurationError(
            "OTPVERIFY_REMEMBER_DAYS needs @otp.auth_hash, which ends remembered browsers when the "
            "password changes."
        )
    return auth_hash
