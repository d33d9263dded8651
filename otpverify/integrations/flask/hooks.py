"""What an application tells the flows: functions, set by decorators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from otpverify import ConfigurationError

F = TypeVar("F", bound=Callable[..., Any])

NEEDED: Final = {
    "login": ("authenticate", "phone_of", "on_login"),
    "phone": ("on_confirmed",),
    "reset": ("find_account", "set_password"),
    "proof": ("account_loader", "phone_of"),
    "report": (),
}


class Hooks:
    """The decorators. An account is whatever text your program knows it by, such as its id; it is
    kept in the session, where its owner can read it."""

    def __init__(self) -> None:
        self._hooks: dict[str, Callable[..., Any]] = {}

    def hook(self, name: str) -> Callable[..., Any] | None:
        """The function that was set, if any."""
        return self._hooks.get(name)

    def require(self, flow: str) -> None:
        """Look whether a flow has what it needs.

        Raises:
            ConfigurationError: A hook is missing; the message names it.
        """
        for name in NEEDED[flow]:
            if name not in self._hooks:
                raise ConfigurationError(
                    f"The flow {flow!r} needs a function: set it with @otp.{name} before the "
                    "blueprint is registered."
                )

    def _set(self, name: str, function: F) -> F:
        self._hooks[name] = function
        return function

    def account_loader(self, function: F) -> F:
        """`() -> account or None`: who is signed in. For `proof_required`."""
        return self._set("account_loader", function)

    def authenticate(self, function: F) -> F:
        """`(user, password) -> account or None`: whose name and password these are. Let it take
        as long for a name that does not exist, and limit how often it is tried."""
        return self._set("authenticate", function)

    def phone_of(self, function: F) -> F:
        """`(account) -> phone or None`: where an account's codes go."""
        return self._set("phone_of", function)

    def find_account(self, function: F) -> F:
        """`(phone) -> account or None`: whose phone this is, in E.164."""
        return self._set("find_account", function)

    def on_login(self, function: F) -> F:
        """`(account) -> response or None`: password and code were right. The session is new and
        empty: say in it who is signed in (or call Flask-Login's `login_user`). `None` leads to
        where the person wanted to go."""
        return self._set("on_login", function)

    def on_confirmed(self, function: F) -> F:
        """`(verified) -> response or None`: the person holds `verified.phone`."""
        return self._set("on_confirmed", function)

    def set_password(self, function: F) -> F:
        """`(account, password) -> response or None`: the account's phone was proved. End its
        other sessions, too."""
        return self._set("set_password", function)

    def password_fault(self, function: F) -> F:
        """`(account, password) -> text or None`: what is wrong with a new password, before the
        proof is redeemed, so that it costs no second SMS. Otherwise its length alone counts:
        `OTPVERIFY_SHORTEST_PASSWORD`."""
        return self._set("password_fault", function)

    def locale(self, function: F) -> F:
        """`() -> tag`: the person's language, as BCP 47 has it, such as `"de-AT"`; for messages
        and pages. English if not set."""
        return self._set("locale", function)

    def translations(self, function: F) -> F:
        """`() -> translations`: an object with `gettext(text)` and `ngettext(one, many, count)`
        for this request: one of the standard library's, or `flask_babel.get_translations`."""
        return self._set("translations", function)
