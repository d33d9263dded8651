"""Start, resend, check, redeem and cancel, step by step."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from otpverify.core import codes, phone, refusals
from otpverify.core import proof as proofs
from otpverify.core.keys import ID_RANDOM_BYTES, Subject
from otpverify.core.outcomes import Checked, Verdict
from otpverify.core.results import Challenge, Verified
from otpverify.errors import (
    ChallengeExpired,
    ConfigurationError,
    DestinationBlocked,
    IncorrectCode,
)
from otpverify.flow.calls import Calls, check_words
from otpverify.flow.clock import utc_now
from otpverify.flow.issue import Order
from otpverify.flow.ports import Ports, ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow(Calls):
    """The sequences, over ports of either colour. `Verifier` documents their arguments."""

    ports: Ports
    costly_hash: bool

    async def start(
        self,
        raw: str,
        purpose: str,
        binding: Mapping[str, str] | None,
        locale: str,
        client_ip: str | None,
        deliver: bool,
    ) -> Challenge:
        check_words(purpose, binding)
        to = self.parse("start", purpose, raw)
        return await self.observed(
            "start",
            purpose,
            to,
            lambda to: self._start(to, purpose, binding, locale, client_ip, deliver),
        )

    async def resend(
        self,
        raw: str,
        challenge: str,
        purpose: str,
        binding: Mapping[str, str] | None,
        locale: str,
        client_ip: str | None,
    ) -> Challenge:
        check_words(purpose, binding)
        to = self.parse("resend", purpose, raw)
        return await self.observed(
            "resend",
            purpose,
            to,
            lambda to: self._resend(to, challenge, purpose, binding, locale, client_ip),
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
        to = self.parse("check", purpose, raw)
        return await self.observed(
            "check", purpose, to, lambda to: self._check(to, code, challenge, purpose, binding)
        )

    async def redeem(
        self, raw: str, proof: str, purpose: str, binding: Mapping[str, str] | None
    ) -> Verified:
        check_words(purpose, binding)
        to = self.parse("redeem", purpose, raw)
        return await self.observed(
            "redeem", purpose, to, lambda to: self._redeem(to, proof, purpose, binding)
        )

    async def cancel(self, raw: str, challenge: str, purpose: str) -> None:
        check_words(purpose, None)
        to = self.parse("cancel", purpose, raw)
        await self.observed("cancel", purpose, to, lambda to: self._cancel(to, challenge, purpose))

    async def _start(
        self,
        to: str,
        purpose: str,
        binding: Mapping[str, str] | None,
        locale: str,
        client_ip: str | None,
        deliver: bool,
    ) -> tuple[str, Challenge]:
        network = self.issuer.network_tag(client_ip)
        if self.ports.guards:
            await self._guard(to)
        secret = self.issuer.keyring.signing
        challenge = secret.new_id(secrets.token_bytes(ID_RANDOM_BYTES))
        subject = Subject(secret, to, purpose, challenge, binding)
        return await self.issuer.issue(
            Order(subject=subject, locale=locale, network=network, new=True, decoy=not deliver)
        )

    async def _resend(
        self,
        to: str,
        challenge: str,
        purpose: str,
        binding: Mapping[str, str] | None,
        locale: str,
        client_ip: str | None,
    ) -> tuple[str, Challenge]:
        network = self.issuer.network_tag(client_ip)
        subject = self.subject(to, purpose, challenge, binding)
        if self.costly_hash:
            await self._refuse_cheaply(subject)
        return await self.issuer.issue(
            Order(subject=subject, locale=locale, network=network, new=False)
        )

    async def _check(
        self,
        to: str,
        typed: str,
        challenge: str,
        purpose: str,
        binding: Mapping[str, str] | None,
    ) -> tuple[str, Verified]:
        subject = self.subject(to, purpose, challenge, binding)
        length = self.issuer.policy.code_length
        code = codes.clean(typed, length)
        if code is None:
            raise IncorrectCode(f"Enter the {length} digits of the code.")
        if self.costly_hash:
            await self._refuse_cheaply(subject)
        digest = await self.issuer.digest(subject, code)
        answer = await ask(self.ports.check(subject.key, digest, self.issuer.policy), Checked)
        if answer.verdict is not Verdict.ACCEPTED:
            raise refusals.not_accepted(answer)
        now = utc_now()
        return "verified", Verified(to, purpose, challenge, now, proofs.write(subject, now))

    async def _redeem(
        self, to: str, proof: str, purpose: str, binding: Mapping[str, str] | None
    ) -> tuple[str, Verified]:
        if isinstance(proof, Verified):
            raise ConfigurationError("Pass the proof itself: verified.proof")
        subject = self.subject(to, purpose, proofs.challenge_of(proof), binding)
        verified_at = proofs.read(subject, proof)
        if verified_at is None or not await ask(self.ports.redeem(subject.key), bool):
            raise ChallengeExpired
        return "redeemed", Verified(to, purpose, subject.challenge, verified_at, proof)

    async def _cancel(self, to: str, challenge: str, purpose: str) -> tuple[str, None]:
        try:
            subject = self.subject(to, purpose, challenge, None)
        except ChallengeExpired:
            return "cancelled", None  # what was never there is gone, too
        await ask(self.ports.cancel(subject.key), type(None))
        return "cancelled", None

    async def _refuse_cheaply(self, subject: Subject) -> None:
        """Spare the costly hash where the answer is no anyway."""
        answer = await ask(self.ports.peek(subject.key, self.issuer.policy), Checked)
        if answer.verdict is not Verdict.PENDING:
            raise refusals.not_accepted(answer)

    async def _guard(self, to: str) -> None:
        destination = phone.describe(to)
        for guard in self.ports.guards:
            call = guard(destination)
            reason = await ask(call, str, type(None), part="A guard", error=ConfigurationError)
            if reason is not None:
                raise DestinationBlocked(reason=reason)

    def subject(
        self, to: str, purpose: str, challenge: object, binding: Mapping[str, str] | None
    ) -> Subject:
        """Whom a call is about; raises `ChallengeExpired` when the id is none of ours."""
        if isinstance(challenge, Challenge):
            raise ConfigurationError("Pass the challenge's id: challenge=challenge.id")
        secret = self.issuer.keyring.find(challenge)
        if secret is None or not isinstance(challenge, str):
            raise ChallengeExpired
        return Subject(secret, to, purpose, challenge, binding)
