"""What the routes do: each makes one call of the verifier, and keeps what follows."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from otpverify import (
    AsyncVerifier,
    Challenge,
    ChallengeExpired,
    DeliveryStatus,
    OtpVerifyError,
)
from otpverify.integrations.fastapi.models import FlowState
from otpverify.integrations.fastapi.recipients import Recipient
from otpverify.integrations.fastapi.sessions import Kept
from otpverify.integrations.web import steps
from otpverify.integrations.web.pending import Pending

_log = logging.getLogger("otpverify.integrations")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request.

    Attributes:
        state: Where the flow stands; `None` when it goes on for somebody else than was asked for.
        error: What went wrong, if anything.
    """

    state: FlowState | None
    error: OtpVerifyError | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Flow:
    """One flow during one request.

    Attributes:
        verifier: Sends and checks the codes.
        session: Where the challenge is kept.
        purpose: What the codes are for.
        whom: Whom they go to, where the application knows it; `None` for whom the person typed.
        discreet: Whether nobody may learn if a code really goes out.
        client_ip: The person's address.
        locale: The message's language.
    """

    verifier: AsyncVerifier
    session: MutableMapping[str, Any]
    purpose: str
    whom: Recipient | None
    discreet: bool
    client_ip: str | None
    locale: str

    async def start(self, to: Recipient, *, deliver: bool | None) -> Outcome:
        """Send the first code."""
        try:
            challenge = await self._start(to, deliver=deliver)
        except OtpVerifyError as error:
            failure = error
        else:
            return self._keep(steps.started(challenge, to.subject))
        return self._keep(steps.not_started(failure, to.subject, self._kept.pending()), failure)

    async def resend(self) -> Outcome:
        """Send another code, or the first one that goes out."""
        pending, to = self._pending()
        if pending is None or to is None:
            return self._none()
        try:
            challenge = await self._again(to, pending)
        except OtpVerifyError as error:
            failure = error
        else:
            return self._keep(steps.resent(challenge, pending))
        return self._keep(steps.not_resent(failure, pending), failure)

    async def check(self, code: str) -> Outcome:
        """Check a code; keep the proof of a right one."""
        pending, to = self._pending()
        if pending is None or to is None:
            return self._none()
        try:
            verified = await self.verifier.check(
                to.phone,
                code,
                challenge=pending.challenge,
                purpose=self.purpose,
                binding=to.binding,
            )
        except OtpVerifyError as error:
            failure = error
        else:
            self._kept.prove(verified, pending.who)
            return Outcome(FlowState(state="verified"))
        return self._keep(steps.not_accepted(failure, pending), failure)

    async def cancel(self) -> Outcome:
        """Void the challenge, and its proof."""
        found = self._kept.pending() or self._kept.proven()
        to = None if found is None else self._addressee(found.who)
        if found is not None and to is not None:
            try:
                await self.verifier.cancel(
                    to.phone, challenge=found.challenge, purpose=self.purpose
                )
            except OtpVerifyError as error:
                return Outcome(self._state(), error)
        self._kept.put(None)
        return Outcome(FlowState(state="none"))

    async def status(self) -> Outcome:
        """Where the flow stands. What the session keeps may be over."""
        pending, to = self._pending()
        if pending is None or to is None:
            return Outcome(self._state())
        reported: DeliveryStatus | None = None
        try:
            reported = await self.verifier.status(
                to.phone, challenge=pending.challenge, purpose=self.purpose
            )
        except ChallengeExpired:
            self._kept.put(None)
            pending = None
        except OtpVerifyError as error:
            return Outcome(FlowState.of(pending), error)
        # A report would tell a message that went out from one that never did.
        return Outcome(FlowState.of(pending, None if self.discreet else reported))

    async def _again(self, to: Recipient, pending: Pending) -> Challenge:
        return await self.verifier.resend(
            to.phone,
            challenge=pending.challenge,
            purpose=self.purpose,
            binding=to.binding,
            locale=self.locale,
            client_ip=self.client_ip,
        )

    async def _start(self, to: Recipient, *, deliver: bool | None) -> Challenge:
        return await self.verifier.start(
            to.phone,
            purpose=self.purpose,
            binding=to.binding,
            locale=self.locale,
            client_ip=self.client_ip,
            deliver=deliver,
        )

    @property
    def _kept(self) -> Kept:
        return Kept(self.session, self.purpose)

    def _pending(self) -> tuple[Pending | None, Recipient | None]:
        pending = self._kept.pending()
        return pending, None if pending is None else self._addressee(pending.who)

    def _addressee(self, who: str) -> Recipient | None:
        """Whom the session's entry is for; `None` when it is for somebody else by now."""
        if self.whom is None:
            return Recipient(who, who)
        return self.whom if self.whom.subject == who else None

    def _state(self) -> FlowState:
        pending, to = self._pending()
        proven = self._kept.proven()
        if proven is not None and self._addressee(proven.who) is not None:
            return FlowState(state="verified")
        return FlowState.of(pending if to is not None else None)

    def _keep(self, follows: steps.Next, error: OtpVerifyError | None = None) -> Outcome:
        if follows.pending is not None or self._kept.proven() is None:
            self._kept.put(follows.pending)
        # A challenge may go on for another number than the one that was just refused.
        elsewhere = follows.page is steps.Page.FIRST and follows.pending is not None
        return Outcome(None if elsewhere else self._state(), error)

    def _none(self) -> Outcome:
        return Outcome(self._state(), ChallengeExpired())
