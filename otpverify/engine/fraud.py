"""The part of a `FraudPolicy` in the sequence: what a message costs, whether it may be sent, and
what comes back."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from otpverify.core import answers, fraud_ledger
from otpverify.core.answers import Refused
from otpverify.core.caps import Full
from otpverify.core.fraud import Overdrawn, Request
from otpverify.core.fraud_ledger import Charged, Credited, Rules, key_of
from otpverify.core.fraud_policy import FraudPolicy
from otpverify.core.keys import Keyring, Subject
from otpverify.core.prices import Prices
from otpverify.engine.code_request import CodeRequest, Counted
from otpverify.engine.events import Observation
from otpverify.engine.ports import Ports, call_port
from otpverify.errors import HumanCheckRequired, OtpVerifyError
from otpverify.sms.gsm7 import segments

_log = logging.getLogger("otpverify")


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """A `FraudPolicy`, and what a verifier needs to follow it."""

    policy: FraudPolicy
    prices: Prices
    rules: Rules
    keyring: Keyring

    async def charge(self, ports: Ports, request: CodeRequest, text: str) -> Counted:
        """Count a message everywhere but with its phone.

        A concealed message that the accounts or the caps refuse is withheld: callers and strangers
        see a success. A human check is asked for all the same, since whether it is needed does not
        depend on the account.

        Raises:
            RateLimited: The IP network's limits refuse.
            DestinationBlocked: The accounts or the caps refuse.
            HumanCheckRequired: The accounts refuse, until a human check is passed.
            StoreError: The store cannot answer. The message is not sent: what bounds a loss must
                not be open when it fails.
        """
        mode = "allow" if request.allowed else self.policy.mode_for(request.country)
        request.seen.note(mode=mode)
        cost = self.prices.of(request.country) * segments(text).parts
        asks = self.policy.over == "human_check"
        caller = request.caller
        asked = Request(
            float(cost),
            known=caller.trusted,
            human=caller.human_checked and asks,
            forced=mode == "allow",
            concealed=request.concealed,
            observed=mode == "observe",
        )
        key = key_of(self.keyring.signing, request.subject, request.country, request.network)
        answer = await call_port(
            ports.charge(key, asked, self.rules),
            *(Charged, Overdrawn, Full, Refused),
            sound=fraud_ledger.is_sound,
        )
        if isinstance(answer, Charged):
            return Counted(key=key, charged=answer, cost=cost)
        if isinstance(answer, Refused):
            raise answers.not_sent(answer)
        refusal = fraud_ledger.not_charged(answer)
        if isinstance(answer, Overdrawn) and asks and not caller.human_checked:
            raise HumanCheckRequired(reason=refusal.reason, retry_after=refusal.retry_after)
        if not request.concealed:
            raise refusal
        return Counted(withheld=refusal)

    async def credit(
        self, ports: Ports, subject: Subject, country: str | None, seen: Observation
    ) -> None:
        """Give back for a right code. Failures are logged: a right code is never refused."""
        seen.note(mode=self.policy.mode_for(country))
        call = ports.credit(key_of(self.keyring.signing, subject, country), self.rules)
        try:
            answer = await call_port(call, Credited, type(None), sound=fraud_ledger.is_sound)
        except OtpVerifyError as error:
            _log.warning("A right code was not counted for the fraud policy: %s", error)
            return
        if answer is not None:
            seen.note(would_refuse=answer.would_refuse)

    async def refund(self, ports: Ports, counted: Counted) -> None:
        """Give back what was charged for a message that was certainly not sent. Failures are
        logged: what was charged lapses by itself."""
        if counted.key is None or counted.charged is None:
            return
        price = float(counted.cost or 0)
        call = ports.refund(counted.key, counted.charged, price, self.rules)
        try:
            await call_port(call, type(None))
        except OtpVerifyError as error:
            _log.warning("What a message was charged could not be given back: %s", error)
