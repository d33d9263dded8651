"""`OtpVerify`: the extension."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, cast

from flask import Blueprint, Flask, Response, session
from flask.blueprints import BlueprintSetupState

from otpverify import (
    Challenge,
    ChallengeExpired,
    ConfigurationError,
    Event,
    FraudPolicy,
    Guard,
    Hasher,
    OtpVerifyError,
    Policy,
    Renderer,
    Sender,
    Store,
    Verified,
    Verifier,
)
from otpverify.engine.operations import check_words
from otpverify.integrations.flask import pages, sign_in
from otpverify.integrations.flask.api import add_report, json_blueprint
from otpverify.integrations.flask.enrolment import Enrolment, ProveAgain
from otpverify.integrations.flask.flows import FlowPages, Pages, PhoneConfirmation
from otpverify.integrations.flask.hooks import Hooks
from otpverify.integrations.flask.login import Login
from otpverify.integrations.flask.proofs import BoundBy, FreshProof, require_code
from otpverify.integrations.flask.reset import PasswordReset
from otpverify.integrations.flask.second_factor import SecondFactor, check_remembering
from otpverify.integrations.flask.site import NEEDED, Binding, Site, State, state_for
from otpverify.integrations.web import ASSETS, run_sync
from otpverify.integrations.web.backup_codes import WAY, BackupCodeStorage, check_storage
from otpverify.integrations.web.enrolment import NEW_PHONE, OLD_PHONE
from otpverify.integrations.web.flow import Accounts, Flow
from otpverify.integrations.web.other_ways import OtherWay, check_ways
from otpverify.integrations.web.outcome import State as FlowState
from otpverify.integrations.web.problems import ProofRequired
from otpverify.integrations.web.session import Pending, Proof, Recipient, forget_all
from otpverify.integrations.web.sign_in import PURPOSE

FLOWS: Final[dict[str, type[Pages]]] = {
    flow.name: flow
    for flow in (
        Login,
        PhoneConfirmation,
        sign_in.SignInByPhone,
        PasswordReset,
        FreshProof,
        Enrolment,
    )
}
# Flows that a blueprint without names has only where the application set this function.
_OPTIONAL: Final = {
    "proof": "account_loader",
    "signin": "on_sign_in",
    "enrolment": "save_phone",
}
_OURS = frozenset(
    flow.purpose for name, flow in FLOWS.items() if issubclass(flow, FlowPages) and name != "proof"
) | {
    Enrolment.name,
    NEW_PHONE,
    OLD_PHONE,
}


class OtpVerify(Hooks):
    """One-time codes for a Flask application. One extension serves several applications.

    The extension makes the parts that you do not pass from `app.config`; the documentation lists
    the names.

    The pages call functions of the application ("hooks"), which decorators set. An account is any
    text that your program knows it by, such as its id; it is in the session, where its owner can
    read it.

    Args:
        app: The application; later by `init_app` if left out.
        verifier: Replaces the verifier that the configuration would make.
        reset_verifier: Used with `verifier`, for concealed flows such as the password reset. It
            has the same store and secret, and its sender is a `BackgroundSender`, so that the
            reply takes as long for unknown accounts.
        sender, store, policy, hasher, messages, guards, on_event, fraud: As for `Verifier`.

    Raises:
        ConfigurationError: Something is missing, unsafe, or set twice.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        verifier: Verifier | None = None,
        reset_verifier: Verifier | None = None,
        sender: Sender | None = None,
        store: Store | None = None,
        policy: Policy | None = None,
        hasher: Hasher | None = None,
        messages: Renderer | None = None,
        guards: Sequence[Guard] = (),
        on_event: Callable[[Event], object] | None = None,
        fraud: FraudPolicy | None = None,
    ) -> None:
        self._verifier = verifier
        self._reset_verifier = reset_verifier
        self._given = {
            "sender": sender,
            "store": store,
            "policy": policy,
            "hasher": hasher,
            "messages": messages,
            "guards": guards or None,
            "on_event": on_event,
            "fraud": fraud,
        }
        self._site = Site()
        super().__init__(self._site.hooks)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Set an application up. Do it before the blueprint is registered.

        Raises:
            ConfigurationError: As above; or it is set up already.
        """
        if "otpverify" in app.extensions:
            raise ConfigurationError("This application has an otpverify already.")
        app.extensions["otpverify"] = state_for(
            app, self._verifier, self._reset_verifier, self._given
        )

    @property
    def verifier(self) -> Verifier:
        """The current application's verifier.

        Raises:
            ConfigurationError: `init_app` was not called for it.
        """
        return self._site.verifier()

    def add_way(self, way: OtherWay) -> None:
        """Offer another way in than the code by SMS, on the login's page for the code.

        Args:
            way: The way, with a name of its own.

        Raises:
            ConfigurationError: There is a way with this name, or it is that of backup codes.
        """
        if getattr(way, "name", "") == WAY:
            raise ConfigurationError(f"{WAY!r} is the way of otp.use_backup_codes.")
        self._site.ways = check_ways([*self._site.ways, way])

    def use_backup_codes(self, storage: BackupCodeStorage) -> None:
        """Offer backup codes as another way in, and a page that makes them in the flow
        `"enrolment"`.

        Args:
            storage: Stores their hashes.

        Raises:
            ConfigurationError: The storage lacks a method.
        """
        check_storage(storage)
        self._site.backup_storage = storage

    # Mounted

    def blueprint(self, *flows: str) -> Blueprint:
        """A blueprint of the pages: `otp.blueprint()` has all flows, `otp.blueprint("phone")` one.

        Args:
            flows: Of `"login"`, `"phone"`, `"signin"` (a phone and a code, no password),
                `"reset"`, `"proof"` (for `code_required`), `"enrolment"` (where people change
                their phone) and `"report"` (the address for delivery reports). If left out, all of
                them; `"proof"` where `@otp.account_loader` is set, `"signin"` where
                `@otp.on_sign_in` is, and `"enrolment"` where `@otp.save_phone` is.

        Raises:
            ConfigurationError: A flow with this name does not exist. On registration: the flow
                lacks a function.
        """
        if unknown := set(flows) - set(NEEDED):
            raise ConfigurationError(
                f"There is no flow {min(unknown)!r}; there are {', '.join(NEEDED)}."
            )
        names = flows or [n for n in NEEDED if _OPTIONAL.get(n, n) in {n, *self._hooks}]
        blueprint = Blueprint(
            "_".join(["otpverify", *flows]),
            "otpverify.integrations.flask",
            template_folder="templates",
            static_folder=ASSETS,
            static_url_path="/otpverify-static",
        )
        for name in names:
            if name in FLOWS:
                FLOWS[name](self._site).add_to(blueprint)
            else:
                add_report(self._site, blueprint)
        blueprint.record(lambda state: self._mounted(state, names))
        blueprint.after_request(pages.set_notice_cookie)
        blueprint.after_request(pages.harden)
        blueprint.register_error_handler(400, lambda error: pages.show_bad_form(self._site, error))
        return blueprint

    def json_blueprint(
        self,
        purpose: str,
        *,
        recipient: Callable[..., Recipient] | None = None,
        deliver: Callable[[str], object] | None = None,
    ) -> Blueprint:
        """A blueprint of JSON endpoints for one purpose: `POST /start`, `/resend`, `/check` and
        `/cancel`, and `GET /status`. They share the session with the pages, so that
        `code_required` and `redeem` find the proof. Register it with a `url_prefix`. Bodies are
        JSON objects: `{"phone": ...}` for `/start` without `recipient`, `{"code": ...}` for
        `/check`, otherwise `{}`. Replies are the flow's state, or a problem detail (RFC 9457).

        Args:
            purpose: What the codes are for; a constant of the program. `"sign-in"` signs in as the
                pages do, by the same hooks, and has `POST /account` for what a new account needs.
            recipient: Gives the `Recipient` of a request, such as the account that is signed in,
                with the binding that the code approves; called with the variables of the address.
                It may `abort`. If left out, `/start` takes the phone that the person typed.
            deliver: Says whether there is an account for a phone in E.164. The flow is then
                concealed: its replies do not show the answer.

        Raises:
            ConfigurationError: The purpose is not a text; or it is `"sign-in"`, whose recipients
                the hooks give.
        """
        check_words(purpose, None)
        if purpose == PURPOSE:
            if recipient is not None or deliver is not None:
                raise ConfigurationError('"sign-in" takes neither recipient nor deliver.')
            return sign_in.json_endpoints(self._site)
        return json_blueprint(self._site, purpose, recipient, deliver)

    def code_required(
        self,
        purpose: str,
        *,
        ask: bool = True,
        binding: BoundBy = None,
        max_age: float | None = None,
        within: int | None = None,
        methods: Collection[str] | None = None,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """For views that need a code first. Without one, it redirects the person to the flow
        `"proof"` and, after the code, back here. A form that was sent is kept (see
        `otpverify.integrations.web.step_up`): after the code, one press sends it again. Programs,
        whose requests bring or prefer JSON, get a problem detail (403) that names the flow to
        start.

        There are two kinds. A code for exactly this: the proof in the session is redeemed, once,
        and the view is called with `verified=Verified(...)`. Put it on the view that acts, not on
        its form. Or with `within=`, a code within the last so many seconds: it serves several
        requests of the account, in this session, and the view is called as it is.

        Args:
            purpose: What the code is for, such as `"payment"`.
            ask: `False` answers with a problem detail (403) instead of a redirect in any case.
            binding: The facts that the code approves and the message names, such as the amount and
                the payee: a mapping, or a function that makes one from the variables of the view's
                address, and from `request.form`. A proof for one binding is never valid for
                another, so a form that was changed after the code needs another one.
            max_age: How many seconds a proof is valid after the right code; the policy's
                `proof_ttl_seconds` if left out.
            within: How many seconds one code serves, from 1 to 86400. It ends before when the
                person signs in or out (`otp.forget`), or the account's phone or `@otp.auth_hash`
                changes. Not with `binding` or `max_age`.
            methods: The HTTP methods that need the code, such as `["POST"]` for a view that shows
                its form, too; all if left out. For the others, `verified` is `None`.

        Raises:
            ConfigurationError: The purpose is not a text, as where the parentheses are left out
                (`@otp.code_required`), or it is one of the three flows' own; or the arguments do
                not fit together.
        """
        return require_code(
            self._site,
            purpose,
            ask=ask,
            binding=binding,
            max_age=max_age,
            within=within,
            methods=methods,
            ours=_OURS,
        )

    def register_error_handlers(self, app: Flask | Blueprint) -> None:
        """Answer the library's errors with problem details (RFC 9457), for views that talk to
        programs: of an application, or of a blueprint alone. Errors of the program
        (`ConfigurationError`) stay errors: 500, with the traceback in the log."""
        app.register_error_handler(OtpVerifyError, self._site.problem)

    # For the application's own views. They share the session with the pages.

    def flow(
        self,
        purpose: str,
        *,
        recipient: Recipient | Accounts | None = None,
        concealed: bool = False,
    ) -> Flow:
        """The flow of a purpose in this request's session, to be driven with `run_sync`, for views
        that need its outcomes; `otp.start` and those below raise errors instead.

        Args:
            purpose: What the codes are for; a constant of the program.
            recipient, concealed: As `otpverify.integrations.web.flow.Flow` takes them.
        """
        return self._site.flow(purpose, recipient=recipient, concealed=concealed)

    def pending(self, purpose: str) -> Pending | None:
        """The challenge for this purpose that waits for its code in this session."""
        found = self._site.flow(purpose).entry
        return found if isinstance(found, Pending) else None

    def start(
        self,
        phone: str,
        *,
        purpose: str,
        subject: str | None = None,
        binding: Binding = None,
        deliver: bool | None = None,
    ) -> Challenge:
        """`Verifier.start`, with the person's address and language. The session holds the
        challenge.

        Args:
            phone, purpose, binding, deliver: As `Verifier.start`.
            subject: The id of the account whose phone it is; the person can read it in the cookie.
                The phone itself if left out, where the person typed it.

        Raises:
            OtpVerifyError: As `Verifier.start`.
        """
        flow = self._site.flow(purpose, concealed=deliver is not None)
        named = flow.verifier.normalize(phone) if subject is None else str(subject)
        outcome = run_sync(flow.start(Recipient(phone, named, binding), deliver=deliver)).raised()
        return cast("Challenge", outcome.challenge)

    def resend(self, phone: str, *, purpose: str, binding: Binding = None) -> Challenge:
        """`Verifier.resend` for the challenge in the session.

        Raises:
            ChallengeExpired: The session holds no challenge.
            OtpVerifyError: As `Verifier.resend`.
        """
        outcome = run_sync(self._flow_to(phone, purpose, binding).resend()).raised()
        return cast("Challenge", outcome.challenge)

    def check(self, phone: str, code: str, *, purpose: str, binding: Binding = None) -> Verified:
        """`Verifier.check` for the challenge in the session, which holds the proof from then on.

        Raises:
            ChallengeExpired: The session holds no challenge.
            OtpVerifyError: As `Verifier.check`.
        """
        flow = self._flow_to(phone, purpose, binding)
        entry = flow.entry
        outcome = run_sync(flow.check(code)).raised()
        if outcome.verified is None or entry is None:  # checked before: an old session came again
            raise ChallengeExpired
        self._site.open_window(outcome.verified, entry.subject, bound=bool(entry.bound))
        return outcome.verified

    def confirmed_phone(
        self, *, purpose: str = "phone", binding: Binding = None, max_age: float | None = None
    ) -> str | None:
        """The number that the person typed and confirmed in this session, in E.164; `None` if there
        is none. It looks at the session alone: before you act on the number, call `redeem`.

        Args:
            purpose: What the code was for.
            binding: The facts that the code approved, too.
            max_age: How many seconds ago the code may have been right, at most the policy's
                `proof_ttl_seconds`, which is the default.
        """
        flow = self._site.flow(purpose, recipient=lambda to: Recipient(to, to, binding))
        found = run_sync(flow.current(max_age=max_age))
        typed = isinstance(found, Proof) and found.subject.startswith("+")
        return found.subject if isinstance(found, Proof) and typed else None

    def redeem(
        self,
        phone: str,
        *,
        purpose: str,
        binding: Binding = None,
        max_age: float | None = None,
    ) -> Verified:
        """`Verifier.redeem` for the proof in the session, once.

        Args:
            phone, purpose, binding: As given to `check`.
            max_age: As for `code_required`.

        Raises:
            ProofRequired: The session holds no proof that is valid for these arguments.
            OtpVerifyError: As `Verifier.redeem`.
        """
        flow = self._flow_to(phone, purpose, binding)
        return cast("Verified", run_sync(flow.redeem(max_age=max_age)).raised().verified)

    def pending_account(self) -> str | None:
        """The account whose password was right in this session, up to half an hour ago, and
        whose second factor is still missing, at the login or before a change of the phone. For the
        pages of another way in, such as a passkey's."""
        half = SecondFactor(self._site).half_signed_in
        if half is not None or "enrolment" not in self._site.state.mounted:
            return half
        return ProveAgain(self._site).account_of_way()

    def complete_login(self) -> Response:
        """Sign in the account that `pending_account` gives, or let the person who is signed in
        change the phone. Call it after your page of another way in was passed, and return its
        response, which the pages of the flow would give.

        Raises:
            ProofRequired: There is no such account, or not any more.
        """
        account, mounted = self.pending_account(), self._site.state.mounted
        if account is None:
            raise ProofRequired
        flow: Login | ProveAgain
        if SecondFactor(self._site).half_signed_in is not None:
            flow = Login(self._site, mounted["login"])
        else:
            flow = ProveAgain(self._site, mounted["enrolment"])
        return cast("Response", flow.pass_by_way(account))

    def cancel(self, phone: str, *, purpose: str, binding: Binding = None) -> None:
        """`Verifier.cancel` for the session's challenge, or for its proof.

        Raises:
            OtpVerifyError: As `Verifier.cancel`.
        """
        run_sync(self._flow_to(phone, purpose, binding).cancel()).raised()

    def status(self, phone: str, *, purpose: str, binding: Binding = None) -> FlowState:
        """Where the flow stands, and how far its newest message got.

        Raises:
            OtpVerifyError: As `Verifier.status`.
        """
        outcome = run_sync(self._flow_to(phone, purpose, binding).status()).raised()
        return cast("FlowState", outcome.state)

    def forget(self) -> None:
        """Drop all challenges and proofs of this session; for the view that signs out."""
        forget_all(session)

    def signing_in(self) -> str | None:
        """The account that `before_sign_in` held up in this session: its number is proved. `None`
        without one, or if the proof is too old."""
        match = run_sync(sign_in.rule(self._site).current())
        return None if match is None else match.account

    def continue_sign_in(self) -> Response:
        """Sign in the account that `before_sign_in` held up, once the person has given what you
        ask for. Only for a view that takes a form of your own, with its CSRF token.

        Returns:
            The response of your view: a redirect, or JSON where the pages are not mounted.
        """
        return sign_in.continue_sign_in(self._site)

    def _flow_to(self, phone: str, purpose: str, binding: Binding) -> Flow:
        return self._site.flow(
            purpose, recipient=lambda subject: Recipient(phone, subject, binding)
        )

    def _mounted(self, state: BlueprintSetupState, names: Sequence[str]) -> None:
        ours = state.app.extensions.get("otpverify")
        if not isinstance(ours, State):
            raise ConfigurationError("Call otp.init_app(app) before the blueprint is registered.")
        for name in names:
            self._site.require(name)
            if name in ("login", "enrolment"):
                check_remembering(state.app.config, self._hooks)
            concealed = name == "reset" or (name == "signin" and not self._site.signs_up)
            if concealed and ours.reset_verifier is None:
                raise ConfigurationError(
                    f"The flow {name!r} sends in the background, so that its reply takes as long "
                    "for unknown accounts: give OtpVerify sender=... instead of verifier=..., or "
                    "reset_verifier=Verifier(BackgroundSender(sender), ...) beside it."
                )
            ours.mounted[name] = f"{state.name_prefix}.{state.name}".lstrip(".")
        sign_in.warn_of_a_way_around(ours.mounted, self._hooks)
