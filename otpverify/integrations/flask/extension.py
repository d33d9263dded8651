"""`OtpVerify`: the extension."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Blueprint, Flask, current_app, redirect, url_for
from flask.blueprints import BlueprintSetupState

from otpverify import (
    ConfigurationError,
    Event,
    Guard,
    Hasher,
    OtpVerifyError,
    Policy,
    Renderer,
    Sender,
    Store,
    VerificationFailed,
    Verified,
    Verifier,
)
from otpverify.integrations.flask import kept, pages, problems, reports
from otpverify.integrations.flask.calls import BareCalls
from otpverify.integrations.flask.flows import FLOWS
from otpverify.integrations.flask.hooks import NEEDED
from otpverify.integrations.flask.settings import Parts, State, state_for
from otpverify.integrations.web import ASSETS
from otpverify.integrations.web.problems import PROOF_REQUIRED
from otpverify.integrations.web.sentences import Sentence

V = TypeVar("V", bound=Callable[..., Any])
_OURS = frozenset(flow.purpose for name, flow in FLOWS.items() if name != "proof")


class OtpVerify(BareCalls):
    """One-time codes for a Flask application. One extension serves several applications.

    What the program does not give is made of `app.config`; README lists the names.

    Args:
        app: The application; later by `init_app` if left out.
        verifier: Instead of one that is made of the configuration.
        reset_verifier: Beside `verifier`, for the password reset: one with the same store and
            secret whose sender is a `BackgroundSender`, so that the reply takes as long for
            unknown accounts.
        sender, store, policy, hasher, messages, guards, on_event: As for `Verifier`.

    Raises:
        ConfigurationError: Something is missing, unsafe, or said twice.
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
    ) -> None:
        super().__init__()
        self._parts = Parts(
            verifier, reset_verifier, sender, store, policy, hasher, messages, guards, on_event
        )
        self.proof_purposes: set[str] = set()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Set an application up. Do it before the blueprint is registered.

        Raises:
            ConfigurationError: As above; or it is set up already.
        """
        if "otpverify" in app.extensions:
            raise ConfigurationError("This application has an otpverify already.")
        app.extensions["otpverify"] = state_for(app, self._parts)

    def blueprint(self, *flows: str) -> Blueprint:
        """A blueprint of the flows: `otp.blueprint()` has all, `otp.blueprint("phone")` one.

        Args:
            flows: Of `"login"`, `"phone"`, `"reset"`, `"proof"` (for `proof_required`) and
                `"report"` (the address for delivery reports). If left out, all of them; `"proof"`
                where `@otp.account_loader` is set.

        Raises:
            ConfigurationError: There is no such flow. When it is registered: the flow lacks a
                function.
        """
        if unknown := set(flows) - set(NEEDED):
            raise ConfigurationError(
                f"There is no flow {min(unknown)!r}; there are {', '.join(NEEDED)}."
            )
        names = flows or [name for name in NEEDED if name != "proof" or self.hook("account_loader")]
        blueprint = Blueprint(
            "_".join(["otpverify", *flows]),
            "otpverify.integrations.flask",
            template_folder="templates",
            static_folder=ASSETS,
            static_url_path="/otpverify-static",
        )
        for name in names:
            if name in FLOWS:
                FLOWS[name](self).add_to(blueprint)
            else:
                reports.add_to(blueprint, self)
        blueprint.record(lambda state: self._mounted(state, names))
        blueprint.after_request(pages.harden)
        blueprint.register_error_handler(400, self._bad_form)
        return blueprint

    def proof_required(self, purpose: str, *, ask: bool = True) -> Callable[[V], V]:
        """For views that act on what a person has just proved: takes a proof for this purpose out
        of the session, redeems it, and calls the view with `verified=Verified(...)`. Without a
        good one the person is led to the flow `"proof"` and, after the code, back here (to the
        page of that address, if it was a form that was sent).

        A proof is good once and for `Policy.proof_ttl_seconds`: put this on the view that acts, not
        on its form.

        Args:
            purpose: What the code is for, such as `"payment"`.
            ask: `False` answers with a problem detail (403) instead of leading anywhere, for an
                API.

        Raises:
            ConfigurationError: The purpose is one of the three flows' own.
        """
        if purpose in _OURS:
            raise ConfigurationError(f"The purpose {purpose!r} has a flow of its own.")
        self.proof_purposes.add(purpose)

        def decorate(view: V) -> V:
            @wraps(view)
            def guarded(*args: Any, **kwargs: Any) -> Any:
                verified = self._redeem(purpose)
                if verified is not None:
                    return current_app.ensure_sync(view)(*args, verified=verified, **kwargs)
                if not ask:
                    return problems.as_response(self, PROOF_REQUIRED)
                found = self.state.mounted.get("proof")
                if found is None:
                    raise ConfigurationError(
                        'proof_required needs the flow "proof": otp.blueprint("proof").'
                    )
                target = pages.here()
                return redirect(url_for(f"{found}.proof", purpose=purpose, next=target), 303)

            return cast(V, guarded)

        return decorate

    def register_error_handlers(self, app: Flask | Blueprint) -> None:
        """Answer the library's errors with problem details (RFC 9457), for views that talk to
        programs: of an application, or of a blueprint alone."""
        app.register_error_handler(OtpVerifyError, lambda error: problems.respond(self, error))

    def _redeem(self, purpose: str) -> Verified | None:
        loader, phone_of = self.hook("account_loader"), self.hook("phone_of")
        if loader is None or phone_of is None:
            raise ConfigurationError("proof_required needs @otp.account_loader and @otp.phone_of.")
        account, proof = current_app.ensure_sync(loader)(), kept.Proof.load(purpose)
        if account is None or proof is None or proof.who != str(account):
            return None
        phone = current_app.ensure_sync(phone_of)(proof.who)
        try:
            verified = self.verifier.redeem(phone, proof.proof, purpose=purpose) if phone else None
        except VerificationFailed:
            verified = None
        kept.forget_proof(purpose)
        return verified

    def _mounted(self, state: BlueprintSetupState, names: Sequence[str]) -> None:
        ours = state.app.extensions.get("otpverify")
        if not isinstance(ours, State):
            raise ConfigurationError("Call otp.init_app(app) before the blueprint is registered.")
        for name in names:
            self.require(name)
            if name == "reset" and ours.reset_verifier is None:
                raise ConfigurationError(
                    "The flow 'reset' sends in the background, so that its reply takes as long for "
                    "unknown accounts: give OtpVerify sender=... instead of verifier=..., or "
                    "reset_verifier=Verifier(BackgroundSender(sender), ...) beside it."
                )
            ours.mounted[name] = f"{state.name_prefix}.{state.name}".lstrip(".")

    def _bad_form(self, error: Exception) -> tuple[str, int]:
        said = self.say(Sentence(getattr(error, "description", None) or str(error)))
        page = kept.Said("error", said, "trouble")
        return pages.show(self, "error.html", page), 400
