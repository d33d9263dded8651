"""Start, resend, check, redeem, cancel and unlock, for sync and async."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from otpverify.core import answers, codes, phone, tokens
from otpverify.core.answers import Checked, Verdict
from otpverify.core.keys import ID_RANDOM_BYTES, Subject, check_binding
from otpverify.core.phone import SendRequest, country_of
from otpverify.core.results import Challenge, Event, Verified
from otpverify.engine.code_request import Caller, CodeRequest, ForeignCode
from otpverify.engine.events import UNOBSERVED, Observation, ObservedOperation
from otpverify.engine.issuing import CONFIRMED, Issuer, OperationResult, utc_now
from otpverify.engine.ports import call_port
from otpverify.errors import (
    ChallengeExpired,
    ConfigurationError,
    DestinationBlocked,
    IncorrectCode,
    OtpVerifyError,
)

T = TypeVar("T")


def check_words(purpose: str, binding: Mapping[str, str] | None) -> None:
    """Raise `ConfigurationError` if the purpose or the binding is invalid."""
    if not isinstance(purpose, str) or not purpose:
        raise ConfigurationError("purpose must be a str that is not empty.")
    if binding is not None:
        check_binding(binding)


async def _guard_answer(call: Awaitable[T], *expected: type[object]) -> T:
    return await call_port(call, *expected, part="A guard", error=ConfigurationError)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Engine:
    """The operations of one verifier, over sync or async ports. `Verifier` documents them."""

    issuer: Issuer
    region: str | None
    on_event: Callable[[Event], object] | None

    def read(self, raw: str) -> str:
        """What was typed, in E.164."""
        return phone.parse(raw, self.region, self.issuer.test_numbers)

    def observe(self, operation: str, purpose: str) -> Observation:
        """An operation begins."""
        if self.on_event is None:
            return UNOBSERVED
        return ObservedOperation(self.on_event, operation, purpose)

    def parse(self, seen: Observation, raw: str, *, as_started: bool = False) -> str:
        """What was typed, in E.164. With `as_started`, a number in that form is taken as it is:
        `start` parsed it, and `observed` looks again where nothing is found."""
        if as_started and phone.is_canonical(raw):
            return raw
        try:
            return self.read(raw)
        except OtpVerifyError as error:
            seen.fail(error)
            raise

    async def observed(
        self, seen: Observation, to: str, call: Callable[[str], Awaitable[OperationResult[T]]]
    ) -> T:
        try:
            try:
                done = await call(to)
            except ChallengeExpired:
                spelled = self.respelled(to)
                if spelled == to:
                    raise
                done = await call(spelled)
        except OtpVerifyError as error:
            seen.fail(error, to)
            raise
        seen.end(done.outcome, to, provider_code=done.provider_code)
        return done.result

    def respelled(self, to: str) -> str:
        """The number as `start` wrote it, where it has E.164's form with a digit too many, as
        +44 07... has."""
        try:
            return self.read(to)
        except OtpVerifyError:
            return to

    async def start(
        self,
        raw: str,
        purpose: str,
        binding: Mapping[str, str] | None,
        caller: Caller,
        deliver: bool | None,
    ) -> Challenge:
        check_words(purpose, binding)
        seen = self.observe("start", purpose)
        to = self.parse(seen, raw)
        return await self.observed(
            seen,
            to,
            lambda to: self._start(seen, to, purpose, binding, caller, deliver),
        )

    async def send_code(
        self,
        raw: str,
        foreign: ForeignCode,
        purpose: str,
        caller: Caller,
        deliver: bool | None,
    ) -> Challenge:
        check_words(purpose, None)
        seen = self.observe("start", purpose)
        to = self.parse(seen, raw)
        return await self.observed(
            seen, to, lambda to: self._start(seen, to, purpose, None, caller, deliver, foreign)
        )

    async def confirm(self, raw: str, challenge: str, purpose: str) -> Verified:
        check_words(purpose, None)
        seen = self.observe("check", purpose)
        to = self.parse(seen, raw, as_started=True)
        return await self.observed(seen, to, lambda to: self._confirm(seen, to, challenge, purpose))

    async def resend(
        self,
        raw: str,
        challenge: str,
        purpose: str,
        binding: Mapping[str, str] | None,
        caller: Caller,
    ) -> Challenge:
        check_words(purpose, binding)
        seen = self.observe("resend", purpose)
        to = self.parse(seen, raw, as_started=True)
        return await self.observed(
            seen,
            to,
            lambda to: self._resend(seen, to, challenge, purpose, binding, caller),
        )

    async def check(
        self,
        raw: str,
        code: str,
        challenge: str,
        purpose: str,
        binding: Mapping[str, str] | None,
    ) -> Verified:
        check_words(purpose, binding)
        seen = self.observe("check", purpose)
        to = self.parse(seen, raw, as_started=True)
        return await self.observed(
            seen, to, lambda to: self._check(seen, to, code, challenge, purpose, binding)
        )

    async def redeem(
        self, raw: str, proof: str, purpose: str, binding: Mapping[str, str] | None
    ) -> Verified:
        check_words(purpose, binding)
        seen = self.observe("redeem", purpose)
        to = self.parse(seen, raw, as_started=True)
        return await self.observed(
            seen, to, lambda to: self._redeem(seen, to, proof, purpose, binding)
        )

    async def cancel(self, raw: str, challenge: str, purpose: str) -> None:
        check_words(purpose, None)
        seen = self.observe("cancel", purpose)
        to = self.parse(seen, raw)
        await self.observed(seen, to, lambda to: self._cancel(seen, to, challenge, purpose))

    async def unlock(self, raw: str, purpose: str | None) -> None:
        """Clear what limits a phone."""
        if purpose is not None:
            check_words(purpose, None)
        seen = self.observe("unlock", purpose or "")
        to = self.parse(seen, raw)
        await self.observed(seen, to, lambda to: self._unlock(to, purpose))

    async def _start(
        self,
        seen: Observation,
        to: str,
        purpose: str,
        binding: Mapping[str, str] | None,
        caller: Caller,
        deliver: bool | None,
        foreign: ForeignCode | None = None,
    ) -> OperationResult[Challenge]:
        seen.note(concealed=deliver is not None)
        request = await self._admit(seen, to, purpose, caller, new=True)
        secret = self.issuer.keyring.signing
        random = secrets.token_bytes(ID_RANDOM_BYTES)
        challenge = secret.new_id(random, concealed=deliver is not None)
        subject = Subject(secret, to, purpose, challenge, binding)
        concealed, decoy = deliver is not None, deliver is False
        return await self.issuer.issue(
            request(subject=subject, concealed=concealed, decoy=decoy, foreign=foreign)
        )

    async def _resend(
        self,
        seen: Observation,
        to: str,
        challenge: str,
        purpose: str,
        binding: Mapping[str, str] | None,
        caller: Caller,
    ) -> OperationResult[Challenge]:
        request = await self._admit(seen, to, purpose, caller, new=False)
        subject = self.subject(seen, to, purpose, challenge, binding)
        concealed = subject.secret.conceals(challenge)
        seen.note(concealed=concealed)
        return await self.issuer.issue(request(subject=subject, concealed=concealed))

    async def _check(
        self,
        seen: Observation,
        to: str,
        typed: str,
        challenge: str,
        purpose: str,
        binding: Mapping[str, str] | None,
    ) -> OperationResult[Verified]:
        length = self.issuer.policy.code_length
        code = codes.clean(typed, length)
        if code is None:
            self.subject(seen, to, purpose, challenge, binding)  # an unknown id says so first
            raise IncorrectCode(f"Enter the {length} digits of the code.")
        return await self._accept(seen, to, code, challenge, purpose, binding)

    async def _accept(
        self,
        seen: Observation,
        to: str,
        code: str,
        challenge: str,
        purpose: str,
        binding: Mapping[str, str] | None,
    ) -> OperationResult[Verified]:
        subject = self.subject(seen, to, purpose, challenge, binding)
        if claimed := self.issuer.costly_hash:
            await self._claim(subject)
        digest = await self.issuer.digest(subject, code)
        call = self.issuer.ports.check(subject.key, digest, self.issuer.policy, claimed)
        answer = await call_port(call, Checked)
        if answer.verdict is not Verdict.ACCEPTED:
            raise answers.not_accepted(answer)
        if answer.age is not None:
            seen.note(latency=answer.age / 1000)
        if self.issuer.fraud is not None and to not in self.issuer.test_numbers:
            await self.issuer.fraud.credit(self.issuer.ports, subject, country_of(to), seen)
        now = utc_now()
        proof = tokens.write_proof(subject, now)
        return OperationResult("verified", Verified(to, purpose, challenge, now, proof))

    async def _confirm(
        self, seen: Observation, to: str, challenge: str, purpose: str
    ) -> OperationResult[Verified]:
        try:
            return await self._accept(seen, to, CONFIRMED, challenge, purpose, None)
        except IncorrectCode:
            pass
        raise ChallengeExpired  # it has a code of ours, or is a decoy

    async def _redeem(
        self,
        seen: Observation,
        to: str,
        proof: str,
        purpose: str,
        binding: Mapping[str, str] | None,
    ) -> OperationResult[Verified]:
        if isinstance(proof, Verified):
            raise ConfigurationError("Pass the proof itself: verified.proof")
        subject = self.subject(seen, to, purpose, tokens.challenge_of_proof(proof), binding)
        verified_at = tokens.read_proof(subject, proof)
        if verified_at is None or not await call_port(self.issuer.ports.redeem(subject.key), bool):
            raise ChallengeExpired
        return OperationResult(
            "redeemed", Verified(to, purpose, subject.challenge, verified_at, proof)
        )

    async def _cancel(
        self, seen: Observation, to: str, challenge: str, purpose: str
    ) -> OperationResult[None]:
        try:
            subject = self.subject(seen, to, purpose, challenge, None)
        except ChallengeExpired:
            return OperationResult("cancelled", None)  # what was never there is gone, too
        await call_port(self.issuer.ports.cancel(subject.key), type(None))
        return OperationResult("cancelled", None)

    async def _unlock(self, to: str, purpose: str | None) -> OperationResult[None]:
        for secret in self.issuer.keyring:
            key = secret.key(to, purpose or "", "")
            scope = None if purpose is None else key.scope
            await call_port(self.issuer.ports.unlock(key.phone, scope), type(None))
        if purpose is None and self.issuer.fraud is not None:
            tag = self.issuer.keyring.signing.number_tag(to)
            await call_port(self.issuer.ports.unlock_number(tag), type(None))
        return OperationResult("unlocked", None)

    async def _claim(self, subject: Subject) -> None:
        """Count the attempt before the costly hash, so that codes that arrive at once cost no more
        of them than attempts are left."""
        answer = await call_port(self.issuer.ports.claim(subject.key, self.issuer.policy), Checked)
        if answer.verdict is not Verdict.PENDING:
            raise answers.not_accepted(answer)

    async def _admit(
        self, seen: Observation, to: str, purpose: str, caller: Caller, *, new: bool
    ) -> Callable[..., CodeRequest]:
        """Ask the guards, and begin the request of a code: it lacks what the challenge says."""
        network = self.issuer.network_tag(caller.client_ip)
        country, allowed = await self._guard(seen, to, purpose, caller, new=new)
        return partial(
            CodeRequest,
            seen=seen,
            caller=caller,
            country=country,
            allowed=allowed,
            network=network,
            new=new,
        )

    async def _guard(
        self, seen: Observation, to: str, purpose: str, caller: Caller, *, new: bool
    ) -> tuple[str | None, bool]:
        """Raise `DestinationBlocked` if a guard refuses a start, or the policy blocks the country.
        A challenge that was started is not refused by a guard later.

        Returns:
            The country, and whether a guard allows the request.
        """
        ports, fraud = self.issuer.ports, self.issuer.fraud
        if not ports.guards and fraud is None:
            return None, False
        about = phone.describe(to)
        request = SendRequest(
            about.phone,
            about.country,
            about.kind,
            purpose=purpose,
            client_ip=caller.client_ip,
            locale=caller.locale,
            trusted=caller.trusted,
            human_checked=caller.human_checked,
        )
        allowed = await self._allowed(request)
        if new and not allowed:
            for guard in ports.guards:
                reason = await _guard_answer(guard(request), str, type(None))
                if reason is not None:
                    raise DestinationBlocked(reason=reason)
        if fraud is not None and (mode := fraud.policy.mode_for(request.country)) == "block":
            seen.note(mode=mode)
            raise DestinationBlocked(reason="blocked_country")
        return request.country, allowed

    async def _allowed(self, request: SendRequest) -> bool:
        for allows in self.issuer.ports.allows:
            if await _guard_answer(allows(request), bool):
                return True
        return False

    def subject(
        self,
        seen: Observation,
        to: str,
        purpose: str,
        challenge: object,
        binding: Mapping[str, str] | None,
    ) -> Subject:
        """The subject of a call; raises `ChallengeExpired` when the id is not one of ours."""
        if isinstance(challenge, Challenge):
            raise ConfigurationError("Pass the challenge's id: challenge=challenge.id")
        secret = self.issuer.keyring.find(challenge)
        if secret is None or not isinstance(challenge, str):
            raise ChallengeExpired
        subject = Subject(secret, to, purpose, challenge, binding)
        seen.about(secret, subject.key)
        return subject
