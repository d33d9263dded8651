"""The functions of the application that the pages call ("hooks"), and the decorators that set
them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Hooks:
    """The decorators of `OtpVerify` that set hooks.

    Args:
        hooks: The functions, by name.
    """

    def __init__(self, hooks: dict[str, Callable[..., Any]]) -> None:
        self._hooks = hooks

    def hook(self, name: str) -> Callable[..., Any] | None:
        """The function that was set, if any."""
        return self._hooks.get(name)

    def _set(self, name: str, function: F) -> F:
        self._hooks[name] = function
        return function

    def account_loader(self, function: F) -> F:
        """`() -> account or None`: who is signed in. For `proof_required`."""
        return self._set("account_loader", function)

    def authenticate(self, function: F) -> F:
        """`(user, password) -> account or None`: the account with this name and password. Let it
        take as long for a name that does not exist, and limit how often it is tried: after too
        many incorrect passwords raise `RateLimited(retry_after=..., scope="passwords")`, and the
        page says how long to wait."""
        return self._set("authenticate", function)

    def phone_of(self, function: F) -> F:
        """`(account) -> phone or None`: where an account's codes go."""
        return self._set("phone_of", function)

    def find_account(self, function: F) -> F:
        """`(phone) -> account or None`: the account with this phone, in E.164."""
        return self._set("find_account", function)

    def on_login(self, function: F) -> F:
        """`(account) -> response or None`: password and code were right. The session is new and
        empty: store the signed-in account in it (or call Flask-Login's `login_user`). `None`
        redirects to the page that the person wanted."""
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

    def human_check(self, function: F) -> F:
        """`() -> bool`: whether this request brings a human check that was passed, such as the
        answer of a CAPTCHA, in whichever field it has. It is called when a `FraudPolicy` with
        `over="human_check"` asks for one. The pages then show your template
        `otpverify/human_check.html` in their form."""
        return self._set("human_check", function)

    def locale(self, function: F) -> F:
        """`() -> tag`: the person's language, as BCP 47 has it, such as `"de-AT"`; for messages
        and pages. Without it, the language that the browser prefers among those of the pages."""
        return self._set("locale", function)

    def translations(self, function: F) -> F:
        """`() -> translations`: an object with `gettext(text)` and `ngettext(one, many, count)`
        for this request: one of the standard library's, or `flask_babel.get_translations`. Texts
        that it does not translate come from the library's own catalogues."""
        return self._set("translations", function)
