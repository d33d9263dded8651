"""Start, resend and check with the challenge in Flask's session: what the blueprint's pages are
made of, and what views of one's own call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, TypeVar

from flask import current_app, request

from otpverify import (
    Challenge,
    ChallengeExpired,
    DeliveryError,
    OtpVerifyError,
    StoreError,
    Verified,
    Verifier,
)
from otpverify.integrations.flask import kept
from otpverify.integrations.flask.bound import Bound
from otpverify.integrations.web import steps
from otpverify.integrations.web.pending import Pending
from otpverify.integrations.web.steps import Next

T = TypeVar("T")
Binding: TypeAlias = Mapping[str, str] | None


class Calls:
    """The calls of one verifier for one purpose, on the session of the current request.

    Each gives what follows, which is kept in the session already, and what came of it.

    Args:
        verifier: Sends and checks.
        purpose: What the code is for.
        locale: The message's language.
        binding: What the code also approves.
        conceal: Nobody may learn whether a message could be sent: what the gateway says is kept
            from the person.
    """

    def __init__(
        self,
        verifier: Verifier,
        purpose: str,
        *,
        locale: str,
        binding: Binding = None,
        conceal: bool = False,
    ) -> None:
        self._locale = locale
        self._verifier = verifier
        self._purpose = purpose
        self._binding = binding
        self._conceal = conceal

    def start(
        self, phone: str, who: str, *, deliver: bool = True
    ) -> tuple[Next, Challenge | OtpVerifyError]:
        """Send the first code."""
        earlier = kept.pending(self._purpose)
        result = self._start(phone, deliver)
        _log(result)
        if self._conceal and isinstance(result, DeliveryError):
            # Only known accounts get here. The others' page comes of a decoy: so does this one.
            result = result.challenge or self._start(phone, deliver=False)
        if isinstance(result, OtpVerifyError):
            follows = steps.not_started(result, who, earlier)
        else:
            follows = steps.started(result, who)
        kept.keep_pending(self._purpose, follows.pending)
        return follows, result

    def resend(self, phone: str, pending: Pending) -> tuple[Next, Challenge | OtpVerifyError]:
        """Send another code."""
        result: Challenge | OtpVerifyError
        try:
            result = self._verifier.resend(
                phone,
                challenge=pending.challenge,
                purpose=self._purpose,
                binding=self._binding,
                locale=self._locale,
                client_ip=client_ip(),
            )
        except OtpVerifyError as error:
            result = error
        _log(result)
        if self._conceal and isinstance(result, DeliveryError):
            follows = steps.resent_as_far_as_told(result, pending)
        elif isinstance(result, OtpVerifyError):
            follows = steps.not_resent(result, pending)
        else:
            follows = steps.resent(result, pending)
        kept.keep_pending(self._purpose, follows.pending)
        return follows, result

    def check(
        self, phone: str, code: str, pending: Pending
    ) -> tuple[Next | None, Verified | OtpVerifyError]:
        """Check a code."""
        result: Verified | OtpVerifyError
        follows = None
        try:
            result = self._verifier.check(
                phone,
                code,
                challenge=pending.challenge,
                purpose=self._purpose,
                binding=self._binding,
            )
        except OtpVerifyError as error:
            result = error
            follows = steps.not_accepted(error, pending)
        _log(result)
        kept.keep_pending(self._purpose, None if follows is None else follows.pending)
        return follows, result

    def cancel(self, phone: str, pending: Pending) -> OtpVerifyError | None:
        """Void the challenge."""
        kept.keep_pending(self._purpose, None)
        try:
            self._verifier.cancel(phone, challenge=pending.challenge, purpose=self._purpose)
        except OtpVerifyError as error:
            _log(error)
            return error
        return None

    def _start(self, phone: str, deliver: bool) -> Challenge | OtpVerifyError:
        try:
            return self._verifier.start(
                phone,
                purpose=self._purpose,
                binding=self._binding,
                locale=self._locale,
                client_ip=client_ip(),
                deliver=deliver,
            )
        except OtpVerifyError as error:
            return error


class BareCalls(Bound):
    """What the extension offers to views of one's own: they raise what the verifier raises."""

    def pending(self, purpose: str) -> Pending | None:
        """The challenge for this purpose that waits for its code in this session."""
        found = kept.pending(purpose)
        return found if found is not None and found.live else None

    def start(
        self,
        phone: str,
        *,
        purpose: str,
        who: str,
        binding: Binding = None,
        deliver: bool = True,
    ) -> Challenge:
        """`Verifier.start`, with the person's IP address and language; the challenge is kept in
        the session.

        Args:
            phone, purpose, binding, deliver: As `Verifier.start`.
            who: Whom it is for, in words that the person may read in the cookie: an account's id,
                or the phone if the person typed it.

        Raises:
            OtpVerifyError: As `Verifier.start`.
        """
        calls = self._calls(purpose, binding)
        return _result(calls.start(phone, who, deliver=deliver)[1])

    def resend(self, phone: str, *, purpose: str, binding: Binding = None) -> Challenge:
        """`Verifier.resend` for the challenge in the session.

        Raises:
            ChallengeExpired: There is none.
            OtpVerifyError: As `Verifier.resend`.
        """
        calls = self._calls(purpose, binding)
        return _result(calls.resend(phone, self._needed(purpose))[1])

    def check(self, phone: str, code: str, *, purpose: str, binding: Binding = None) -> Verified:
        """`Verifier.check` for the challenge in the session.

        Raises:
            ChallengeExpired: There is none.
            OtpVerifyError: As `Verifier.check`.
        """
        calls = self._calls(purpose, binding)
        return _result(calls.check(phone, code, self._needed(purpose))[1])

    def _calls(self, purpose: str, binding: Binding) -> Calls:
        return Calls(self.verifier, purpose, locale=self.current_locale(), binding=binding)

    def _needed(self, purpose: str) -> Pending:
        found = self.pending(purpose)
        if found is None:
            raise ChallengeExpired
        return found


def client_ip() -> str | None:
    """The address of whoever is connected. Behind a proxy, Werkzeug's `ProxyFix` sets it from the
    header that the proxy writes; no header is believed without it."""
    return request.remote_addr or None


def _log(result: object) -> None:
    """The person is told what to do; what went wrong is the operator's."""
    if isinstance(result, DeliveryError | StoreError):
        current_app.logger.warning("otpverify: %s", result)


def _result(result: T | OtpVerifyError) -> T:
    if isinstance(result, OtpVerifyError):
        raise result
    return result
