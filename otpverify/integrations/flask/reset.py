"""Password reset: a code to the account's phone, then a new password."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, redirect, request, session
from werkzeug.wrappers import Response

from otpverify import ChallengeExpired, VerificationFailed, Verified
from otpverify.integrations.flask import pages
from otpverify.integrations.flask.flows import Begun, PhoneConfirmation
from otpverify.integrations.flask.second_factor import SecondFactor
from otpverify.integrations.web import run_sync, sentences
from otpverify.integrations.web.account_notices import AccountChange
from otpverify.integrations.web.notices import Carried, Notice
from otpverify.integrations.web.session import Proof, forget_flows


class PasswordReset(PhoneConfirmation):
    """A code to the account's phone allows one new password. Nothing shows whether there is an
    account: an unknown number gets a decoy, and messages are sent in the background."""

    name = "reset"
    purpose = "password-reset"
    concealed = True

    def add_to(self, blueprint: Blueprint) -> None:
        """Add all pages of the flow."""
        super().add_to(blueprint)
        self.add_page(blueprint, "password", self.password, "GET", "POST")

    def begin(self) -> Begun:
        """The number, and whether it has an account."""
        begun = super().begin()
        known = self.site.account_with(begun.to.phone) is not None
        return replace(begun, deliver=known)

    def after_code(self) -> str:
        """Redirect to the new password. A refused password does not cost another SMS."""
        return self.url("password")

    def succeed(self, verified: Verified, _: str) -> Response:  # noqa: ARG002 - redeemed later
        """Allow one new password."""
        return redirect(self.after_code(), 303)

    def password(self) -> str | Response:
        """The form for the new password; set it, once. No account is looked up before there is a
        proof that is not too old."""
        flow = self.flow()
        proof = run_sync(flow.current())
        if request.method != "POST":
            carried = self.carried("password")
            if not isinstance(proof, Proof):
                return self.to("first", Carried(Notice(sentences.CONFIRM_FIRST, error=False)))
            return self.show(
                "password.html", carried, "password", shortest=self.site.shortest_password
            )
        pages.check_csrf()
        if not isinstance(proof, Proof):
            return self.refuse(ChallengeExpired())
        account = self.site.account_with(proof.subject)
        password = request.form.get("password", "")
        if fault := self.site.password_fault(account, password):
            return self.to("password", Carried(Notice(fault), of_field=True))
        outcome = run_sync(flow.redeem())
        if outcome.verified is None:
            error = outcome.error or ChallengeExpired()
            if isinstance(error, VerificationFailed):
                return self.refuse(ChallengeExpired())
            return self.refuse(error, step="password")
        if account is None:  # it was removed since
            return self.refuse(ChallengeExpired())
        forget_flows(session)  # what this session proved before is not for the new password
        response = self.site.call("set_password", account, password)
        SecondFactor(self.site).notify(account, AccountChange.PASSWORD_RESET, None)
        return self.finish(outcome.verified, response, self.target())
