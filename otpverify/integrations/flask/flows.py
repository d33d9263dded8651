"""The three flows, and the proof of who is signed in already."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, current_app, redirect, request, url_for
from werkzeug.wrappers import Response

from otpverify import ChallengeExpired, StoreError
from otpverify.integrations.flask import kept
from otpverify.integrations.flask.replies import LONGEST_FIELD, Identity, Proved, Refused
from otpverify.integrations.flask.views import Flow
from otpverify.integrations.web.sentences import Sentence, counted
from otpverify.phone import mask


class Login(Flow):
    """A password, then a code to the account's phone. The session keeps the account."""

    name = "login"
    purpose = "login"
    first_field = "user"

    def identify(self) -> Identity:
        """The account, when the password is right."""
        user = self.typed("user")
        account = self.call("authenticate", user, request.form.get("password", ""))
        if account is None:
            raise Refused(Sentence("User name or password is wrong."), user)
        phone = self.call("phone_of", str(account))
        if not phone:
            raise Refused(Sentence("No phone is known for this account."), user)
        return Identity(str(account), phone, user)

    def shown(self, who: str) -> str:
        """Masked: a password alone must not tell the number."""
        return mask(self.verifier.normalize(self.phone_of(who)))

    def succeed(self, proved: Proved) -> Response:
        """Sign in, in a new session."""
        target = self.target()
        kept.rotate()
        response = self.call("on_login", proved.who)
        kept.put(f"done {self.key}", True)
        return self.respond(response, target)

    def done(self) -> str | Response:
        """Who is signed in, as long as that is so."""
        signed_out = self.otp.hook("account_loader") and self.call("account_loader") is None
        if signed_out:
            kept.put(f"done {self.key}", None)
        return super().done()


class PhoneConfirmation(Flow):
    """A number is typed and confirmed. The session keeps the number, in E.164."""

    name = "phone"
    purpose = "phone"

    def identify(self) -> Identity:
        """The number."""
        typed = self.typed("phone")
        phone = self.verifier.normalize(typed)
        return Identity(phone, phone, typed)

    def phone_of(self, who: str) -> str:
        """The number itself."""
        return who

    def shown(self, who: str) -> str:
        """In full, so that a mistyped digit can be seen."""
        return who

    def succeed(self, proved: Proved) -> Response:
        """The confirmed number is the verified one, never what a form says."""
        response = self.call("on_confirmed", proved.verified)
        kept.put(f"done {self.key}", proved.verified.phone)
        return self.respond(response, self.target())


class PasswordReset(PhoneConfirmation):
    """A code to the account's phone allows one new password. Whether there is an account shows
    nowhere: an unknown number gets a decoy, and messages are sent behind the reply's back."""

    name = "reset"
    purpose = "password-reset"
    conceal = True

    def add_to(self, blueprint: Blueprint) -> None:
        """All pages of the flow."""
        super().add_to(blueprint)
        self.add_page(blueprint, "password", self.password, "GET", "POST")

    def identify(self) -> Identity:
        """The number, and whether it has an account."""
        found = super().identify()
        known = self.call("find_account", found.phone) is not None
        return Identity(found.who, found.phone, found.typed, deliver=known)

    def succeed(self, proved: Proved) -> Response:
        """Allow one new password; a refused one does not cost another SMS."""
        kept.Proof(proved.verified.proof, proved.who).keep(self.purpose)
        return redirect(self.url("password"), 303)

    def password(self) -> str | Response:
        """The form for the new password; set it, once."""
        proof = kept.Proof.load(self.purpose)
        if request.method != "POST":
            if proof is None:
                return self.begin_again(Sentence("Prove your phone first. Begin here."), "info")
            said = kept.Said.take(self.key, "password")
            return self.show("password.html", said, shortest=self.shortest)
        kept.check_csrf()
        if proof is None:
            return self.fail(ChallengeExpired())
        account = self.call("find_account", proof.who)
        password = request.form.get("password", "")
        if fault := self._fault(account, password):
            kept.Said("password", fault, "error").keep(self.key)
            return redirect(self.url("password"), 303)
        try:
            self.verifier.redeem(proof.who, proof.proof, purpose=self.purpose)
        except ChallengeExpired as error:
            kept.forget_proof(self.purpose)
            return self.fail(error)
        except StoreError as error:
            current_app.logger.warning("otpverify: %s", error)
            return self.fail(error, page="password")
        kept.forget_proof(self.purpose)
        if account is None:  # it is gone since
            return self.fail(ChallengeExpired())
        response = self.call("set_password", str(account), password)
        kept.put(f"done {self.key}", True)
        return self.respond(response, self.target())

    @property
    def shortest(self) -> int:
        """How many characters a password has at least."""
        return int(self.otp.config("OTPVERIFY_SHORTEST_PASSWORD"))

    def _fault(self, account: Any, password: str) -> str:
        if len(password) < self.shortest:
            return self.otp.say(
                counted(
                    self.shortest,
                    "A password has at least %(count)s character.",
                    "A password has at least %(count)s characters.",
                )
            )
        if len(password) > LONGEST_FIELD:
            return self.otp.say(Sentence("This password is too long."))
        if account is None or self.otp.hook("password_fault") is None:
            return ""
        return str(self.call("password_fault", str(account), password) or "")


class FreshProof(Flow):
    """Who is signed in proves the account's phone once more, for a purpose of the application's.
    The session keeps the account."""

    name = "proof"
    path = "/proof/<purpose>"
    first_field = ""

    @property
    def purpose(self) -> str:  # type: ignore[override]  # it is in the address here
        """What the proof is for; one that some view asks for."""
        purpose = str((request.view_args or {})["purpose"])
        if purpose not in self.otp.proof_purposes:
            abort(404)
        return purpose

    def first(self) -> str | Response:
        """For those who are signed in."""
        if self.call("account_loader") is None:
            login = self.otp.state.mounted.get("login")
            if login is None:
                abort(401)
            again = self.url("", next=request.args.get("next"))
            return redirect(url_for(f"{login}.login", next=again), 303)
        return super().first()

    def identify(self) -> Identity:
        """The account that is signed in."""
        account = self.call("account_loader")
        phone = None if account is None else self.call("phone_of", str(account))
        if not phone:
            raise Refused(Sentence("No phone is known for this account."), "")
        return Identity(str(account), phone, "")

    def pending(self) -> Any:
        """That of the account that is signed in; another's is none."""
        found = super().pending()
        account = self.call("account_loader")
        return found if found is not None and found.who == str(account) else None

    def shown(self, who: str) -> str:
        """Masked: whoever finds a session open must not learn the number."""
        return mask(self.verifier.normalize(self.phone_of(who)))

    def succeed(self, proved: Proved) -> Response:
        """Keep the proof for the view that asks for it."""
        kept.Proof(proved.verified.proof, proved.who).keep(self.purpose)
        kept.put(f"done {self.key}", True)
        return self.respond(None, self.target())


FLOWS: dict[str, type[Flow]] = {
    flow.name: flow for flow in (Login, PhoneConfirmation, PasswordReset, FreshProof)
}
