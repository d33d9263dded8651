"""Sign in with a password, then a code to the account's phone."""

from __future__ import annotations

from flask import request
from werkzeug.wrappers import Response

from otpverify import Verified
from otpverify.integrations.flask import pages
from otpverify.integrations.flask.flows import NO_PHONE, Begun, FlowPages, Refused
from otpverify.integrations.web.sentences import LONGEST_FIELD, Sentence


class Login(FlowPages):
    """A password, then a code to the account's phone. The session holds the account."""

    name = "login"
    purpose = "login"
    first_field = "user"
    signs_in = True

    def begin(self) -> Begun:
        """The account, if the password is right."""
        user = self.typed("user")
        password = request.form.get("password", "")
        known = len(user) <= LONGEST_FIELD
        account = self.site.call("authenticate", user, password) if known else None
        if account is None:
            raise Refused(Sentence("The user name or password is incorrect."), user)
        to = self.site.recipient_of(str(account))
        if to is None:
            raise Refused(NO_PHONE, user)
        return Begun(to, user)

    def succeed(self, verified: Verified, subject: str) -> Response:
        """Sign in, in a new session: it drops anything planted in the old one."""
        target = self.target()
        pages.rotate()
        return self.finish(verified, self.site.call("on_login", subject), target)
