"""Issue a code: reserve a send, send the message, and give back what was not used."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Container
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from otpverify.core import answers, codes, tokens
from otpverify.core.answers import Opened, Refused, Reserved, Standing
from otpverify.core.client_ip import network_of
from otpverify.core.keys import Keyring, Subject
from otpverify.core.policy import Policy
from otpverify.core.results import Challenge, Message, Receipt
from otpverify.core.send_outcome import send_outcome
from otpverify.engine.code_request import CodeRequest, Counted
from otpverify.engine.ports import Ports, call_port
from otpverify.errors import (
    ChallengeExpired,
    ConfigurationError,
    DeliveryError,
    DeliveryRejected,
    OtpVerifyError,
)

if TYPE_CHECKING:
    from otpverify.engine.fraud import Protection

T = TypeVar("T")
_log = logging.getLogger("otpverify")

CONFIRMED = "confirmed"
"""What the store keeps a digest of for a code that another library checks. No typed code is read
as it (`codes.clean`)."""


def utc_now() -> datetime:
    """Now, aware, in UTC, for what callers see. Limits and expiry follow the store's clock."""
    return datetime.fromtimestamp(time.time(), UTC)


@dataclass(frozen=True, slots=True)
class OperationResult(Generic[T]):
    """What an operation gives its caller, and what its event says.

    Attributes:
        outcome: The event's outcome.
        result: What the caller gets.
        provider_code: The gateway's reason, where a concealed message was not delivered.
    """

    outcome: str
    result: T
    provider_code: str | None = None


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A code that is in place, whose message is counted and not sent: what was counted, the
    reservation, and the digest, which a message that is withheld does not get."""

    counted: Counted
    opened: Opened
    digest: bytes | None = field(repr=False)


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Issuer:
    """Issues codes: the common part of start and resend."""

    ports: Ports
    costly_hash: bool
    policy: Policy
    keyring: Keyring
    fraud: Protection | None
    _warned_of_no_ip: bool = field(default=False, init=False)

    async def issue(self, request: CodeRequest) -> OperationResult[Challenge]:
        """Put a code in place and send it.

        What is concealed looks alike whether there is an account or not, and whether its message
        was taken or not: no error of a sender reaches the caller, nothing is given back, and the
        message's id is made up. So it is where the fraud policy refuses.
        """
        subject = request.subject
        fixed = self._fixed_code(subject.phone)
        code = fixed or codes.draw(secrets.randbelow, self.policy.code_length)
        accepted = code
        if request.foreign is not None:
            code, accepted = request.foreign.code, CONFIRMED
        text = await self._text(request, code)
        # Nothing is sent before this is done, so that a caller who is cancelled meanwhile has
        # nothing to pay.
        prepared = await self.ports.to_its_end(
            partial(self._prepare, request, accepted, text, charge=fixed is None),
            partial(self._discard, request),
        )
        counted, opened = prepared.counted, prepared.opened
        request.seen.about(subject.secret, subject.key)
        request.seen.note(concealed=opened.standing.concealed)
        counted.report(request.seen)
        now = utc_now()
        describe = partial(described, subject, opened.standing, now)
        concealed = describe(secrets.token_hex(16)) if opened.standing.concealed else None
        if (refusal := counted.withheld) is not None:
            _log.warning(
                "A concealed message was not sent (%s); its caller saw no refusal.", refusal.reason
            )
            request.seen.blocked(refusal)
            return OperationResult(
                type(refusal).__name__, concealed or describe(secrets.token_hex(16))
            )
        if concealed is not None and opened.standing.decoy:
            return OperationResult("decoy", concealed)
        if fixed is not None:
            return OperationResult("test_number", concealed or describe())
        expires_at = now + timedelta(milliseconds=opened.standing.expires_in)
        token = None
        if self.ports.takes_reports:
            token = tokens.write_report_token(
                subject.secret, subject.key, opened.at, subject.purpose
            )
        message = Message(subject.phone, text, subject.key.challenge, token, expires_at)
        sent = await send_outcome(self.ports.send(message), message, code)
        if isinstance(sent, Receipt) or sent.maybe_sent:
            request.seen.sent(text, counted.cost)
        if isinstance(sent, Receipt):
            return OperationResult("sent", concealed or describe(sent.message_id))
        if concealed is not None:
            _log.warning("A concealed message was not delivered; its caller saw no error: %s", sent)
            return OperationResult(type(sent).__name__, concealed, sent.provider_code)
        sent.challenge = describe()
        if not sent.maybe_sent:
            await self._undo(request, opened.at, prepared.digest, counted, sent)
        raise sent

    async def digest(self, subject: Subject, code: str) -> bytes:
        """What the store keeps of a code, or is asked to compare."""
        call = self.ports.digest(
            subject.secret.value, subject.code_message(code), subject.code_salt
        )
        return await call_port(call, bytes, part="The hasher", error=ConfigurationError)

    @property
    def test_numbers(self) -> Container[str]:
        """The numbers whose fixed code is in force."""
        if not self.policy.test_numbers:
            return ()
        now = utc_now()
        return {to for to, test in self.policy.test_numbers.items() if test.in_force(now)}

    async def _prepare(
        self, request: CodeRequest, code: str, text: str, *, charge: bool
    ) -> _Prepared:
        """Count the message, and put its code in place."""
        counted = await self._count(request, text, charge=charge)
        return _Prepared(counted, *await self._open(request, code, counted))

    async def _discard(self, request: CodeRequest, prepared: _Prepared) -> None:
        """Undo `_prepare`: nobody will send the message."""
        with suppress(OtpVerifyError):  # it is logged
            await self._release(request, prepared.opened.at, prepared.digest, prepared.counted)

    async def _open(
        self, request: CodeRequest, code: str, counted: Counted
    ) -> tuple[Opened, bytes | None]:
        """Reserve the send, and put the code in place. What a limit refuses is never hashed at a
        cost: a costly hash follows when the send is reserved. A code that is not sent gets no
        digest, and so takes no other's place."""
        digest = None
        withheld = counted.withheld is not None
        try:
            if not self.costly_hash and not withheld:
                digest = await self.digest(request.subject, code)
            call = self.ports.open(request.subject.key, request.opening(digest), self.policy)
            answer = await call_port(call, Opened, Refused)
            if isinstance(answer, Refused):
                raise answers.not_sent(answer)
        except OtpVerifyError:
            await self._uncount(request, counted)
            raise
        if withheld:
            return answer, None
        if digest is None:
            return await self._place(request, answer.at, code, counted)
        return answer, digest

    async def _place(
        self, request: CodeRequest, at: int, code: str, counted: Counted
    ) -> tuple[Opened, bytes]:
        """Hash the code whose send was reserved at `at`, and put it in place, or give the send
        back."""
        digest = None
        try:
            digest = await self.digest(request.subject, code)
            call = self.ports.place(request.subject.key, at, digest, self.policy)
            standing = await call_port(call, Standing, type(None))
            if standing is None:
                raise ChallengeExpired  # used or cancelled while its code was hashed
        except OtpVerifyError:
            with suppress(OtpVerifyError):  # it is logged
                await self._release(request, at, digest, counted)
            raise
        return Opened(at, standing), digest

    async def _undo(
        self,
        request: CodeRequest,
        at: int,
        digest: bytes | None,
        counted: Counted,
        failure: DeliveryError,
    ) -> None:
        """Give the reservations back, and void the code that was not delivered, so that it takes no
        older one's place. Only the first code of a gateway that was not reached stays: without
        it there would be no challenge for the person to have another code sent on."""
        stays = request.new and not isinstance(failure, DeliveryRejected)
        void = None if stays else digest
        if request.new and not stays:
            failure.challenge = None
        with suppress(OtpVerifyError):  # the caller must learn that nothing was delivered
            standing = await self._release(request, at, void, counted)
            failure.challenge = (
                described(request.subject, standing, utc_now()) if standing else None
            )

    async def _release(
        self, request: CodeRequest, at: int, void: bytes | None, counted: Counted
    ) -> Standing | None:
        call = self.ports.release(request.subject.key, at, void, self.policy)
        try:
            standing = await call_port(call, Standing, type(None))
        except OtpVerifyError as error:
            # The reservation lapses by itself.
            _log.warning("A send could not be given back: %s", error)
            raise
        finally:  # the accounts may be on another node, which answers
            await self._uncount(request, counted)
        return standing

    async def _count(self, request: CodeRequest, text: str, *, charge: bool) -> Counted:
        """Count the message in all that spans phones. A test number's costs nothing: `charge` is
        false."""
        if self.fraud is None or not charge:
            return Counted(await self._reserve_ip(request.network))
        counted = await self.fraud.charge(self.ports, request, text)
        if counted.withheld is None:
            return counted
        # Nothing was counted, but a challenge follows, and a hash. Their number is limited, too.
        return replace(counted, network_at=await self._reserve_ip(request.network))

    async def _uncount(self, request: CodeRequest, counted: Counted) -> None:
        """Give back what `_count` took."""
        await self.give_back(request.network, counted.network_at)
        if self.fraud is not None:
            await self.fraud.refund(self.ports, counted)

    async def _reserve_ip(self, network: str | None) -> int | None:
        if network is None:
            return None
        call = self.ports.reserve(network, self.policy.sends_per_ip)
        answer = await call_port(call, Reserved, Refused)
        if isinstance(answer, Refused):
            raise answers.not_sent(answer)
        return answer.at

    async def give_back(self, counter: str | None, at: int | None) -> None:
        """Take what was counted at `at` out of a counter again, if it was."""
        if counter is None or at is None:
            return
        try:
            await call_port(self.ports.give_back(counter, at), type(None))
        except OtpVerifyError as error:
            # It lapses by itself.
            _log.warning("What was counted could not be given back: %s", error)

    def network_tag(self, client_ip: str | None) -> str | None:
        """The tag under which the caller's IP network is counted, if it is."""
        if not self.policy.sends_per_ip:
            return None
        if client_ip is None:
            if not self._warned_of_no_ip:
                self._warned_of_no_ip = True
                _log.warning(
                    "sends_per_ip does not apply to calls without client_ip. Pass client_ip, "
                    "or set Policy(sends_per_ip=()) where there is no client."
                )
            return None
        return self.keyring.signing.network_tag(network_of(client_ip))

    def _fixed_code(self, to: str) -> str | None:
        return self.policy.test_numbers[to].code if to in self.test_numbers else None

    async def _text(self, request: CodeRequest, code: str) -> str:
        subject = request.subject
        call = self.ports.render(
            code,
            ttl_seconds=(request.foreign or self.policy).ttl_seconds,
            purpose=subject.purpose,
            locale=request.caller.locale,
            binding=subject.binding,
        )
        text = await call_port(call, str, part="messages.render()", error=ConfigurationError)
        if code not in text:
            raise ConfigurationError("messages.render() left the code out of the text.")
        return text


def described(
    subject: Subject, standing: Standing, now: datetime, message_id: str | None = None
) -> Challenge:
    """The challenge as its caller sees it; `now` is when the store answered."""
    return Challenge(
        id=subject.challenge,
        phone=subject.phone,
        purpose=subject.purpose,
        expires_at=now + timedelta(milliseconds=standing.expires_in),
        resend_at=now + timedelta(milliseconds=standing.resend_in),
        attempts_left=standing.attempts_left,
        sends_left=standing.sends_left,
        message_id=message_id,
    )
