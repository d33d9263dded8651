"""The steps that all flows share: start, enter the code, send again, cancel.

Every POST answers with a redirect, so that a reload never sends or checks anything again. The
challenge is the session's, never a form's; addresses hold neither code, challenge nor proof.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from flask import Blueprint, current_app, redirect, request
from werkzeug.wrappers import Response

from otpverify import ChallengeExpired, ConfigurationError, OtpVerifyError, Verified, Verifier
from otpverify.integrations.flask import kept, pages
from otpverify.integrations.flask.calls import Calls
from otpverify.integrations.flask.replies import Identity, Proved, Refused, Replies
from otpverify.integrations.web import sentences, steps
from otpverify.integrations.web.pending import Pending
from otpverify.integrations.web.sentences import Sentence


class Flow(Replies, ABC):
    """One flow.

    Args:
        otp: The extension.
    """

    path: ClassVar[str] = ""
    conceal: ClassVar[bool] = False

    @abstractmethod
    def identify(self) -> Identity:
        """Whom a code is for, by the first form.

        Raises:
            Refused, InvalidPhoneNumber: It will not do.
        """

    @abstractmethod
    def shown(self, who: str) -> str:
        """How the code page names the phone."""

    @abstractmethod
    def succeed(self, proved: Proved) -> Response:
        """What follows a right code."""

    def phone_of(self, who: str) -> str:
        """The account's phone, as it is now."""
        phone = self.call("phone_of", who)
        if not phone:
            raise ChallengeExpired
        return str(phone)

    @property
    def verifier(self) -> Verifier:
        """Its verifier."""
        state = self.otp.state
        found = state.reset_verifier if self.conceal else state.verifier
        if found is None:
            raise ConfigurationError("The reset flow needs reset_verifier=....")
        return found

    def add_to(self, blueprint: Blueprint) -> None:
        """All pages of the flow."""
        self.add_page(blueprint, "", self.first, "GET", "POST")
        self.add_page(blueprint, "code", self.code, "GET", "POST")
        self.add_page(blueprint, "resend", self.resend, "POST")
        self.add_page(blueprint, "cancel", self.cancel, "POST")
        self.add_page(blueprint, "done", self.done, "GET")

    def add_page(
        self, blueprint: Blueprint, step: str, view: Callable[[], Any], *methods: str
    ) -> None:
        """One page of it."""
        path = self.path or f"/{self.name}"

        def endpoint(**_: str) -> Any:
            try:
                return view()
            except ConfigurationError:
                raise
            except OtpVerifyError as failure:
                current_app.logger.warning("otpverify: %s", failure)
                error = failure
            kept.keep_pending(self.purpose, None)
            return self.fail(error)

        endpoint.__name__ = f"{self.name}_{step}" if step else self.name
        blueprint.add_url_rule(
            f"{path}/{step}".rstrip("/"), endpoint.__name__, endpoint, methods=methods
        )

    def first(self) -> str | Response:
        """The form that the flow begins with; send the first code."""
        if request.method != "POST":  # a HEAD, too, is answered like a GET
            if target := pages.safe_next(request.args.get("next")):
                kept.put("next", [self.key, target])
            return self.show(f"{self.name}.html", kept.Said.take(self.key, "first"))
        kept.check_csrf()
        try:
            found = self.identify()
        except Refused as refused:
            return self.begin_again(refused.sentence, "error", refused.typed)
        except OtpVerifyError as error:
            return self.fail(error, self.typed(self.first_field))
        follows, _ = self._calls().start(found.phone, found.who, deliver=found.deliver)
        return self.follow(follows, found.typed)

    def code(self) -> str | Response:
        """The form for the code; check it."""
        pending = self.pending()
        if request.method != "POST":
            if pending is None:
                return self.begin_again(sentences.NO_CHALLENGE, "info")
            said = kept.Said.take(self.key, "code")
            return self.show("code.html", said, pending=pending, shown=self.shown(pending.who))
        kept.check_csrf()
        if pending is None:
            return self.fail(ChallengeExpired())
        follows, result = self._calls().check(
            self.phone_of(pending.who), self.typed("code"), pending
        )
        if isinstance(result, Verified):
            return self.succeed(Proved(pending.who, result))
        return self.follow(follows or steps.no_challenge(), self._typed_before(pending))

    def resend(self) -> Response:
        """Send another code, or the first one that goes out."""
        kept.check_csrf()
        pending = self.pending()
        if pending is None:
            return self.fail(ChallengeExpired())
        follows, _ = self._calls().resend(self.phone_of(pending.who), pending)
        return self.follow(follows, self._typed_before(pending))

    def cancel(self) -> Response:
        """Void the challenge and begin anew."""
        kept.check_csrf()
        pending = self.pending()
        error = pending and self._calls().cancel(self.phone_of(pending.who), pending)
        return self.fail(error) if error else redirect(self.url(""), 303)

    def done(self) -> str | Response:
        """The flow's end, where the application has no page of its own for it."""
        found = kept.get(f"done {self.key}")
        if found is None:
            return self.begin_again(Sentence("Begin here."), "info")
        return self.show("done.html", kept.Said("done"), done=found)

    # What the steps need.

    def pending(self) -> Pending | None:
        """The challenge that waits for its code in this session."""
        return self.otp.pending(self.purpose)

    def _typed_before(self, pending: Pending) -> str:
        return pending.who if self.first_field == "phone" else ""

    def _calls(self) -> Calls:
        locale = self.otp.current_locale()
        return Calls(self.verifier, self.purpose, locale=locale, conceal=self.conceal)
