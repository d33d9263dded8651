"""The site: its settings in `app.config`, the verifiers made from them, its hooks, its language."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias, cast

from flask import Flask, Response, current_app, request, session

from otpverify import ConfigurationError, Messages, OtpVerifyError, Verified, Verifier
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.backup_codes import BackupCodeStorage
from otpverify.integrations.web.flow import Accounts, Flow
from otpverify.integrations.web.languages import page_language, translated
from otpverify.integrations.web.other_ways import OtherWay
from otpverify.integrations.web.problems import (
    MEDIA_TYPE,
    Problem,
    SendRefused,
    explained,
    problem_of,
)
from otpverify.integrations.web.requests import client_address
from otpverify.integrations.web.sentences import LONGEST_FIELD, Sentence, password_length
from otpverify.integrations.web.session import Recipient
from otpverify.integrations.web.sign_in import match_account
from otpverify.integrations.web.step_up import LONGEST_WINDOW, window
from otpverify.integrations.web.verifiers import Verifiers
from otpverify.settings import Parts, Settings, Source

Binding: TypeAlias = Mapping[str, str] | None

# The functions that each flow of the pages needs.
NEEDED: Final[dict[str, tuple[str, ...]]] = {
    "login": ("authenticate", "get_phone", "on_login"),
    "phone": ("on_confirmed",),
    "signin": ("find_accounts", "on_sign_in"),
    "reset": ("find_accounts", "set_password"),
    "proof": ("account_loader", "get_phone"),
    "enrolment": ("account_loader", "get_phone", "save_phone", "confirm_password"),
    "report": (),
}
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_DEFAULTS: Final = {
    "OTPVERIFY_BRAND": None,
    "OTPVERIFY_ORIGIN": None,
    "OTPVERIFY_KEEP_AT_LOGIN": (),
    "OTPVERIFY_SHORTEST_PASSWORD": 8,
    "OTPVERIFY_CONTENT_SECURITY_POLICY": CONTENT_SECURITY_POLICY,
}
APP_CONFIG: Final = Source(written='app.config["{}"]', more=frozenset(_DEFAULTS))
"""How the settings are written in `app.config`."""


class State:
    """The state of one application: `app.extensions["otpverify"]`.

    Args:
        verifier, reset_verifier: The verifiers that the program passes.
        verifiers: Those of the settings; or `None`, if the program passes a verifier.

    Attributes:
        mounted: The blueprint of each flow that is mounted, by the flow's name.
        https_logged: Whether the log already says that the session's cookie needs https.
    """

    def __init__(
        self,
        verifier: Verifier | None = None,
        reset_verifier: Verifier | None = None,
        verifiers: Verifiers | None = None,
    ) -> None:
        self._verifier = verifier
        self._reset_verifier = reset_verifier
        self._verifiers = verifiers
        self.mounted: dict[str, str] = {}
        self.https_logged = False

    @property
    def verifier(self) -> Verifier:
        """The verifier that sends during the request, and reports the gateway's answer."""
        if self._verifiers is not None:
            return self._verifiers.verifier()
        return cast("Verifier", self._verifier)

    @property
    def reset_verifier(self) -> Verifier | None:
        """The verifier that sends in the background; `None` where the program passed a verifier
        but no reset verifier."""
        if self._reset_verifier is None and self._verifiers is not None:
            return self._verifiers.verifier(background=True)
        return self._reset_verifier

    @reset_verifier.setter
    def reset_verifier(self, verifier: Verifier | None) -> None:
        self._reset_verifier = verifier

    def close(self) -> None:
        """Wait for messages that are being sent, and close the objects made from the
        configuration. For tests, and for processes that outlive their application."""
        if self._verifiers is not None:
            self._verifiers.close()


def state_for(
    app: Flask, verifier: Verifier | None, reset_verifier: Verifier | None, given: Mapping[str, Any]
) -> State:
    """Make an application's state from its configuration and what the program passes.

    Args:
        app: The application.
        verifier, reset_verifier: The verifiers that the program passes.
        given: The parts that the program passes, as for `otpverify.settings.Parts`.

    Raises:
        ConfigurationError: Something is missing, unsafe, or set twice.
    """
    for name, value in _DEFAULTS.items():
        app.config.setdefault(name, value)
    if verifier is not None:
        if extra := sorted(name for name, part in given.items() if part is not None):
            raise ConfigurationError(
                f"verifier=... has these already: {', '.join(extra)}. Give the one or the other."
            )
        return State(verifier, reset_verifier)
    found = Settings(app.config, APP_CONFIG)
    if given["messages"] is None and found.get("MESSAGES") is None:
        brand, origin = (app.config[f"OTPVERIFY_{name}"] or None for name in ("BRAND", "ORIGIN"))
        given = {**given, "messages": Messages(brand=brand, origin=origin)}
    verifiers = Verifiers(Parts(found, **given))
    try:
        for background in (False, True):
            verifiers.verifier(background=background)  # made now, so that errors show now
    except BaseException:
        verifiers.close()
        raise
    return State(reset_verifier=reset_verifier, verifiers=verifiers)


class Site:
    """The extension's view of the current application.

    Attributes:
        hooks: The application's functions, by name.
        proof_purposes: The purposes that views need a proof for.
        window_purposes: Those of them that need a code within the last minutes.
        ways: Other ways in than a code by SMS.
        backup_storage: Where backup codes are stored, if the application uses them.
    """

    def __init__(self) -> None:
        self.hooks: dict[str, Callable[..., Any]] = {}
        self.proof_purposes: set[str] = set()
        self.window_purposes: set[str] = set()
        self.ways: tuple[OtherWay, ...] = ()
        self.backup_storage: BackupCodeStorage | None = None

    @property
    def state(self) -> State:
        """The state made from the application's configuration.

        Raises:
            ConfigurationError: `init_app` was not called for it.
        """
        found = current_app.extensions.get("otpverify")
        if not isinstance(found, State):
            raise ConfigurationError("This application has no otpverify: call otp.init_app(app).")
        return found

    def verifier(self, *, concealed: bool = False) -> Verifier:
        """The application's verifier; for concealed flows, the one that delivers in the background.

        Raises:
            ConfigurationError: The application has only one that waits for the gateway.
        """
        if not concealed:
            return self.state.verifier
        found = self.state.reset_verifier
        if found is None:
            raise ConfigurationError("Concealed flows, such as the reset, need reset_verifier=....")
        return found

    def flow(
        self,
        purpose: str,
        *,
        recipient: Recipient | Accounts | None = None,
        concealed: bool = False,
    ) -> Flow:
        """The flow of a purpose in the current request's session."""
        return Flow(
            self.verifier(concealed=concealed),
            session,
            purpose=purpose,
            recipient=recipient,
            concealed=concealed,
            client_ip=client_address(request.remote_addr),
            locale=self.locale(),
            human_check=self._human_check,
        )

    @property
    def _human_check(self) -> Callable[[], Any] | None:
        """The hook, if it is set."""
        return partial(self.call, "human_check") if "human_check" in self.hooks else None

    def require(self, flow: str) -> None:
        """Check that a flow has the functions it needs.

        Raises:
            ConfigurationError: One is missing; the message names it.
        """
        for name in NEEDED[flow]:
            if name not in self.hooks:
                raise ConfigurationError(
                    f"The flow {flow!r} needs a function: set it with @otp.{name} before the "
                    "blueprint is registered."
                )

    def call(self, hook: str, *args: Any) -> Any:
        """Call a function of the application, which may be asynchronous.

        Raises:
            ConfigurationError: It was not set.
        """
        function = self.hooks.get(hook)
        if function is None:
            raise ConfigurationError(f"This needs a function: set it with @otp.{hook}.")
        return current_app.ensure_sync(function)(*args)

    def allow_sending(self, purpose: str) -> None:
        """Ask the site's own check before a code is sent.

        Raises:
            SendRefused: It refuses.
        """
        text = self.call("before_send", purpose) if "before_send" in self.hooks else None
        if text:
            raise SendRefused(_own(text))

    def accounts(self, phone: str) -> list[str]:
        """The accounts with a phone in E.164, by `find_accounts`."""
        found = self.call("find_accounts", phone)
        several = found if isinstance(found, list | tuple) else [found]
        return [str(account) for account in several if account is not None]

    def may_sign_in(self, account: str) -> bool:
        """Whether an account may sign in, by the hook; all may without it."""
        return "may_sign_in" not in self.hooks or bool(self.call("may_sign_in", account))

    def account_with(self, phone: str) -> str | None:
        """The one account with a phone in E.164 that may sign in; `None` without one."""
        return run_sync(match_account(phone, self.accounts, self.may_sign_in)).account

    @property
    def signs_up(self) -> bool:
        """Whether new numbers get an account."""
        return "create_account" in self.hooks

    def account(self) -> str | None:
        """The account that is signed in, by `account_loader`."""
        found = self.call("account_loader")
        return None if found is None else str(found)

    def recipient_of(self, account: str | None, binding: Binding = None) -> Recipient | None:
        """An account as recipient, by `get_phone`; `None` if it has no phone."""
        phone = None if account is None else self.call("get_phone", account)
        return Recipient(str(phone), str(account), binding) if phone else None

    def facts(self, account: str) -> tuple[str | None, str | None]:
        """The account's authentication hash, by `auth_hash`, and its phone. What a session states
        of the account ends when one of them changes.

        Raises:
            ConfigurationError: The hook returns neither a text that is not empty nor `None`.
        """
        to, auth_hash = self.recipient_of(account), None
        if "auth_hash" in self.hooks:
            auth_hash = self.call("auth_hash", account)
            if auth_hash is not None and (not isinstance(auth_hash, str) or not auth_hash):
                raise ConfigurationError("@otp.auth_hash must return a text that is not empty.")
        return auth_hash, None if to is None else to.phone

    # A code within the last minutes, for `code_required(within=...)`.

    def open_window(self, verified: Verified, subject: str, *, bound: bool) -> None:
        """State in the session that the account entered a right code, where a view needs that. A
        code that approved a binding, or went to another phone than the account's, does not count.

        Args:
            verified: The facts that the code proved.
            subject: The session entry's.
            bound: Whether the code approved a binding.
        """
        if verified.purpose not in self.window_purposes or bound:
            return
        account = self.account() if "account_loader" in self.hooks else None
        to = self.recipient_of(account)
        if account is None or to is None or subject not in (account, verified.phone):
            return
        if self.verifier().normalize(to.phone) == verified.phone:
            stamp = window(self.verifier(), session, verified.purpose)
            stamp.save(account, *self.facts(account))

    def in_window(self, purpose: str, account: str, within: int = LONGEST_WINDOW) -> bool:
        """Whether the account entered a code within the last so many seconds, in this session."""
        found = window(self.verifier(), session, purpose, within)
        return found.account(self.facts) == account

    @property
    def shortest_password(self) -> int:
        """How many characters a new password has at least."""
        return int(current_app.config["OTPVERIFY_SHORTEST_PASSWORD"])

    def password_fault(self, account: object, password: str) -> Sentence | None:
        """What is wrong with a new password: its length, or what the hook says."""
        if fault := password_length(password, self.shortest_password, LONGEST_FIELD):
            return fault
        if account is None or "password_fault" not in self.hooks:
            return None
        text = self.call("password_fault", str(account), password)
        return _own(text) if text else None

    def locale(self) -> str:
        """The person's language, a BCP 47 tag: what the hook says, or without one the best of
        `Accept-Language` that the pages have."""
        function = self.hooks.get("locale")
        if function is None:
            return page_language(request.headers.get("Accept-Language"))
        return str(function() or "en").replace("_", "-")

    def say(self, sentence: Sentence) -> str:
        """A sentence in the person's language: by the application's translations, or else by those
        that come with the library."""
        function = self.hooks.get("translations")
        if function is None:
            return translated(sentence, self.locale())
        theirs = function()
        return translated(sentence, self.locale(), theirs.gettext, theirs.ngettext)

    def problem(self, problem: Problem | OtpVerifyError) -> Response:
        """The reply for programs to a problem, or to a request that ended with an error.

        Raises:
            OtpVerifyError: The error itself, if it is the program's fault.
        """
        if isinstance(problem, OtpVerifyError):
            problem = problem_of(explained(problem))
        body = json.dumps(problem.body(self.say(problem.detail)), ensure_ascii=False)
        response = Response(body, problem.status, dict(problem.headers), content_type=MEDIA_TYPE)
        response.headers["Cache-Control"] = "no-store"
        return response


def _own(text: object) -> Sentence:
    """A text of the application, as a sentence."""
    return Sentence(str(text).replace("%", "%%"))
