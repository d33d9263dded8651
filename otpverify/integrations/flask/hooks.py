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
        """`() -> account or None`: who is signed in. For `code_required`."""
        return self._set("account_loader", function)

    def auth_hash(self, function: F) -> F:
        """`(account) -> text`: a text that changes with the account's password, such as the hash
        that you store, and with anything else that is to end remembered browsers, such as a counter
        of yours. What the session states of the account ends when it changes, too: see
        `code_required(within=...)`. Neither session nor cookie shows the text. `None`
        for an account without a password; its browsers cannot be remembered."""
        return self._set("auth_hash", function)

    def authenticate(self, function: F) -> F:
        """`(user, password) -> account or None`: the account with this name and password. Let it
        take as long for a name that does not exist, and limit how often it is tried: after too
        many incorrect passwords raise `RateLimited(retry_after=..., scope="passwords")`, and the
        page says how long to wait."""
        return self._set("authenticate", function)

    def get_phone(self, function: F) -> F:
        """`(account) -> phone or None`: where an account's codes go."""
        return self._set("get_phone", function)

    def find_accounts(self, function: F) -> F:
        """`(phone) -> account, list of accounts, or None`: the accounts with this phone, in E.164,
        those that may not sign in included. Two with one phone are never guessed at: neither can
        sign in with it or get a new password."""
        return self._set("find_accounts", function)

    def on_login(self, function: F) -> F:
        """`(account) -> response or None`: password and code were right. The session is new and
        empty: store the signed-in account in it (or call Flask-Login's `login_user`). `None`
        redirects to the page that the person wanted."""
        return self._set("on_login", function)

    def on_sign_in(self, function: F) -> F:
        """`(account) -> response or None`: a code was right, and the account is the one with its
        phone. As for `on_login`, the session is new and empty."""
        return self._set("on_sign_in", function)

    def may_sign_in(self, function: F) -> F:
        """`(account) -> bool`: whether an account may sign in by phone or get a new password, such
        as one that is active. It is called before a code is sent to an existing account, and after
        the code. All may without it."""
        return self._set("may_sign_in", function)

    def before_sign_in(self, function: F) -> F:
        """`(account) -> response or None`: the code was right, and the account is about to be
        signed in. A response is sent instead, such as a redirect to a page that asks for the
        password where the account was not used for a year: its number may belong to another person
        by now. That page's view ends with `otp.continue_sign_in()`."""
        return self._set("before_sign_in", function)

    def create_account(self, function: F) -> F:
        """`(verified) -> account or None`: turns sign-up on, and creates the account of a person
        who holds `verified.phone`. With `sign_up_form` it gets the valid form, too:
        `(verified, form)`. Let the database hold phones unique, and return `None` if it says that
        another request was faster; that account is then signed in."""
        return self._set("create_account", function)

    def sign_up_form(self, function: F) -> F:
        """`(data) -> form`: the form of what a new account needs, such as a class of WTForms. The
        data is a `MultiDict`, or `None` for an empty form. A form has `validate()`, `errors` by
        field, and its fields by iteration. Without it the account is created at once."""
        return self._set("sign_up_form", function)

    def before_send(self, function: F) -> F:
        """`(purpose) -> text or None`: what is wrong with a request for a code, such as a CAPTCHA
        that was not passed. Nothing is then looked up or sent, and the page shows the text. It is
        called for every code that the pages and the JSON endpoints send. Your template
        `otpverify/before_send.html` is part of their forms."""
        return self._set("before_send", function)

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

    # The second factor, and enrolment.

    def needs_code(self, function: F) -> F:
        """`(account) -> bool`: whether the account signs in with a second factor. `False` signs it
        in by the password alone. All accounts need one without this function."""
        return self._set("needs_code", function)

    def without_phone(self, function: F) -> F:
        """`(account) -> text`: what happens at the login to an account that needs a code, and has
        no phone and no other way: `"refuse"`, which it is without this function; `"sign_in"`: the
        password is enough; `"enrol"`: the password is enough to add a phone, and then the account
        is signed in. Anyone who knows such a password can add a phone of their own."""
        return self._set("without_phone", function)

    def confirm_password(self, function: F) -> F:
        """`(account, password) -> bool`: whether this is the password of the account that is signed
        in, before its phone or backup codes change. Incorrect ones are counted: 5 in a quarter of
        an hour, 20 a day."""
        return self._set("confirm_password", function)

    def save_phone(self, function: F) -> F:
        """`(account, verified) -> None`: store `verified.phone` as the account's phone. Raise
        `PhoneTaken` if another account has it, such as for the database's error."""
        return self._set("save_phone", function)

    def phone_taken(self, function: F) -> F:
        """`(phone, account) -> bool`: whether another account has the number, in E.164. It is
        called after the right code."""
        return self._set("phone_taken", function)

    def remove_phone(self, function: F) -> F:
        """`(account) -> None`: remove the account's phone. Without this function phones can only be
        changed."""
        return self._set("remove_phone", function)

    def may_remove(self, function: F) -> F:
        """`(account) -> bool`: whether the account may remove its phone; only `True` lets it.
        Refuse an account that could not sign in without the phone, such as one without a password.
        All may without this function."""
        return self._set("may_remove", function)

    def forget_browsers(self, function: F) -> F:
        """`(account) -> None`: end all remembered browsers of the account: change a counter that
        `auth_hash` includes. The page offers it where this function is set."""
        return self._set("forget_browsers", function)

    def on_account_change(self, function: F) -> F:
        """`(notice) -> None`: the phone, the password, the backup codes or the remembered browsers
        of an account changed, a backup code was used, or somebody who had the password entered
        several incorrect codes (`AccountNotice`). Send an e-mail with its `sentences`."""
        return self._set("on_account_change", function)
