"""One flow of a web application: start, resend, check, redeem, cancel and status, over a session.

`Flow` is written once, as coroutines. A synchronous framework gives it a `Verifier` and drives it
with `run_sync`, an asynchronous one gives it an `AsyncVerifier` and awaits it:

    flow = Flow(verifier, session, purpose="phone")
    outcome = run_sync(flow.check(code))        # in a synchronous view
    outcome = await flow.check(code)            # in an asynchronous one

Each operation returns one `Outcome`. Pages take from it where to go, what to say and what is
pending; JSON APIs call `Outcome.reply`.

**A repeated request never undoes the first reply.** Browsers and apps sometimes send a request
twice, and where the session is a cookie, the second one brings the old cookie. So a refusal never
writes the session (`Outcome.saved` is false): the reply to a refused repeat must set no session,
and must keep its notice elsewhere. Two errors do write the session, because the request changed
the state: an incorrect code that was compared, and a failed delivery for a live challenge.

**Concealed** flows (`concealed=True`) pass the verifier whether the account exists, as `deliver`.
The verifier does the rest: its answers are the same for both.

**Human checks.** Where a `FraudPolicy` asks for one, the site's function says whether this request
brings a check that was passed, such as a CAPTCHA's answer. If it does, the code is sent; if not,
the outcome's error is `HumanCheckRequired`, and the next page shows the check. The function is not
called for any other request.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias, TypeVar, cast

from otpverify import (
    AsyncVerifier,
    AttemptsExhausted,
    Challenge,
    ChallengeExpired,
    ConfigurationError,
    CooldownActive,
    DeliveryError,
    DeliveryRejected,
    DestinationBlocked,
    HumanCheckRequired,
    IncorrectCode,
    InvalidPhoneNumber,
    OtpVerifyError,
    RateLimited,
    VerificationFailed,
    Verifier,
)
from otpverify.integrations.web import sentences
from otpverify.integrations.web.notices import Notice
from otpverify.integrations.web.outcome import Outcome, Page
from otpverify.integrations.web.problems import ProofRequired, explained
from otpverify.integrations.web.sentences import code_in
from otpverify.integrations.web.session import (
    Delivery,
    Pending,
    Proof,
    Recipient,
    load_entry,
    save_entry,
)
from otpverify.phone import hint

T = TypeVar("T")
Accounts: TypeAlias = Callable[[str], Recipient | Awaitable[Recipient | None] | None]
Deliver: TypeAlias = bool | Callable[[str], object]
HumanCheck: TypeAlias = Callable[[], object]


class Flow:
    """The flow of one purpose during one request.

    Args:
        verifier: Sends and checks; a `Verifier` for `run_sync`, an `AsyncVerifier` to be awaited.
            A concealed flow needs one whose sender answers at once, such as `BackgroundSender`,
            or its replies take longer for accounts that exist.
        session: What lasts from request to request and only the server can write. It may be a
            signed cookie.
        purpose: What the codes are for; a constant of the program.
        recipient: The recipient, where the application knows it, such as the account that is
            signed in; or a function that finds it by its `subject`, called only for the session's
            entry. It returns `None` for a recipient that no longer exists, or that is not the one
            of this request. If left out, people type their phone.
        concealed: The replies must not show whether there is an account.
        client_ip: The person's address, for the limit per network.
        locale: The language of messages, a BCP 47 tag.
        trusted: The program vouches for the number, such as for an account that is signed in: see
            `Verifier.start`.
        human_check: Says whether this request brings a human check that was passed; it may be
            asynchronous if the verifier is. If left out, none can be passed, and where one is
            needed, the outcome's error is `DestinationBlocked`.

    `ConfigurationError` is raised by every operation; all other errors of the library are in the
    outcome, and those that are the operator's are logged (`otpverify.integrations`).
    """

    def __init__(
        self,
        verifier: Verifier | AsyncVerifier,
        session: MutableMapping[str, Any],
        *,
        purpose: str,
        recipient: Recipient | Accounts | None = None,
        concealed: bool = False,
        client_ip: str | None = None,
        locale: str = "en",
        trusted: bool = False,
        human_check: HumanCheck | None = None,
    ) -> None:
        self.verifier = verifier
        self.session = session
        self.purpose = purpose
        self.concealed = concealed
        self._recipient = recipient
        self._client_ip = client_ip
        self._locale = locale
        self._trusted = trusted
        self._human_check = human_check

    @property
    def entry(self) -> Pending | Proof | None:
        """The session's entry: a live challenge, or a proof that is not too old. It does not check
        whether the entry is for this request's recipient."""
        found = load_entry(self.session, self.purpose)
        if isinstance(found, Proof):
            return found if found.younger_than(self._proof_life) else None
        return found

    async def current(self, *, max_age: float | None = None) -> Pending | Proof | None:
        """The session's entry for this request's recipient and its binding. Pages show it.

        Args:
            max_age: How many seconds a proof is valid after the right code; the policy's
                `proof_ttl_seconds` if left out.

        Raises:
            OtpVerifyError: An error that the function for recipients raised.
        """
        return (await self._current(max_age))[0]

    async def start(
        self, to: Recipient | str | None = None, *, deliver: Deliver | None = None
    ) -> Outcome:
        """Send the first code. It drops the session's earlier entry for the purpose.

        Args:
            to: The recipient; or a phone as it was typed. That of the flow if left out.
            deliver: For concealed flows, whether the account exists: a bool, or a function that
                says so for a phone in E.164. Other flows do not accept it.
        """
        if self.concealed != (deliver is not None):
            raise ConfigurationError(
                "A concealed flow needs to know whether the account exists, and no other flow may "
                "ask: flow.start(..., deliver=...)."
            )
        recipient = to if to is not None else self._recipient
        try:
            if isinstance(recipient, str):
                recipient = Recipient.typed(self.verifier.normalize(recipient))
            if not isinstance(recipient, Recipient):
                raise ConfigurationError("Say for whom: flow.start(recipient).")
            challenge = await self._sent(
                self.verifier.start,
                recipient,
                **await self._conceal(recipient, deliver),
            )
        except OtpVerifyError as error:
            return self._not_started(explained(error), recipient)
        pending = self._save(Pending.of(challenge, recipient))
        return Outcome(Page.CODE, pending, result=challenge, saved=True, sends=True)

    async def resend(self) -> Outcome:
        """Send another code for the session's challenge, or the first one that goes out."""
        try:
            entry, to = await self._current()
            if not isinstance(entry, Pending) or to is None:
                return self._refused(ChallengeExpired(), entry)
            challenge = await self._sent(self.verifier.resend, to, challenge=entry.challenge)
        except OtpVerifyError as error:
            return self._not_resent(explained(error))
        now = self.entry
        if not isinstance(now, Pending) or now.challenge != entry.challenge:
            # Another request of the session cancelled or used it while this one was sending.
            return self._refused(ChallengeExpired(), now)
        first = now.delivery is Delivery.NOT_SENT
        notice = Notice(sentences.SENT if first else sentences.SENT_AGAIN, error=False)
        pending = self._save(now.renewed(challenge))
        return Outcome(Page.CODE, pending, notice, result=challenge, saved=True, sends=True)

    async def check(self, code: str) -> Outcome:
        """Check a code. A right one leaves its proof in the session.

        Args:
            code: As it was typed, or the pasted message that holds it (`sentences.code_in`).
        """
        try:
            entry, to = await self._current()
            if isinstance(entry, Proof):  # the session has the proof; this request came late
                return Outcome(Page.NEXT, entry, repeated=True)
            if entry is None or to is None:
                return self._refused(ChallengeExpired())
            verified = await settled(
                self.verifier.check(
                    to.phone,
                    code_in(code, self.verifier.policy.code_length),
                    challenge=entry.challenge,
                    purpose=self.purpose,
                    binding=to.binding,
                )
            )
        except OtpVerifyError as error:
            return self._not_accepted(explained(error))
        proof = self._save(Proof.of(verified, to))
        return Outcome(Page.NEXT, proof, result=verified, saved=True)

    async def redeem(self, *, max_age: float | None = None) -> Outcome:
        """Use up the proof of a right code, once. Call it before the action that it allows.

        Args:
            max_age: As that of `current`.

        Returns:
            An outcome with `verified`, the facts that the code proved; otherwise with an error:
            `ProofRequired` if the session holds no proof that is valid here (it was used, is too
            old, or is for another recipient or binding), or `StoreError`, after which the proof
            may still be valid.
        """
        try:
            entry, to = await self._current(max_age)
            if not isinstance(entry, Proof) or to is None:
                return self._refused(ProofRequired(self.purpose), entry)
            verified = await settled(
                self.verifier.redeem(
                    to.phone, entry.proof, purpose=self.purpose, binding=to.binding
                )
            )
        except (VerificationFailed, InvalidPhoneNumber):
            return self._refused(ProofRequired(self.purpose))
        except OtpVerifyError as error:
            return replace(self._refused(explained(error), self.entry), page=Page.NEXT)
        self._save(None)
        return Outcome(Page.NEXT, None, result=verified, saved=True)

    async def cancel(self) -> Outcome:
        """Void the session's challenge, and the proof of a right code."""
        try:
            entry, to = await self._current()
            if entry is not None and to is not None:
                await settled(
                    self.verifier.cancel(to.phone, challenge=entry.challenge, purpose=self.purpose)
                )
        except OtpVerifyError as error:
            return self._refused(explained(error), self.entry)
        self._save(None)
        return Outcome(Page.FIRST, saved=True)

    async def status(self) -> Outcome:
        """Where the flow stands, and how far its newest message got. If reports say that the
        message did not arrive, the person need not wait for another one: the store gave the send
        back (up to `Policy.undelivered_per_phone` times; then `resend` says how long to wait)."""
        entry: Pending | Proof | None = None
        try:
            entry, to = await self._current()
            if not isinstance(entry, Pending) or to is None:
                return Outcome(Page.FIRST if entry is None else Page.NEXT, entry)
            reported = await settled(
                self.verifier.status(to.phone, challenge=entry.challenge, purpose=self.purpose)
            )
        except ChallengeExpired:
            return Outcome(Page.FIRST)
        except OtpVerifyError as error:
            return replace(self._refused(explained(error), entry), page=Page.CODE)
        if reported.failed:
            entry = entry.delayed(0)
        return Outcome(Page.CODE, entry, reported=reported)

    def shown(self, phone: str) -> str:
        """How pages name a phone that the person did not type: not in full, since a password, or a
        session that was left open, must not show the number.

        Args:
            phone: The account's, in any spelling.
        """
        return hint(self.verifier.normalize(phone))

    def forget(self) -> None:
        """Drop the session's entry for the purpose."""
        self._save(None)

    # Helpers that the operations share.

    @property
    def _proof_life(self) -> float:
        return self.verifier.policy.proof_ttl_seconds

    async def _current(
        self, max_age: float | None = None
    ) -> tuple[Pending | Proof | None, Recipient | None]:
        """The session's entry, and its recipient; neither if it is not this request's."""
        entry = self.entry
        if isinstance(entry, Proof) and max_age is not None and not entry.younger_than(max_age):
            entry = None
        if entry is None:
            return None, None
        to: Recipient | None
        if self._recipient is None:
            to = Recipient.typed(entry.subject)
        elif isinstance(self._recipient, Recipient):
            to = self._recipient
        else:
            to = await settled(self._recipient(entry.subject))
        if to is None or (to.subject, to.bound) != (entry.subject, entry.bound):
            return None, None
        return entry, to

    async def _sent(
        self,
        send: Callable[..., Challenge | Awaitable[Challenge]],
        to: Recipient,
        **more: Any,
    ) -> Challenge:
        """Send a code; if that takes a human check, see whether this request brings one."""
        again = partial(
            send,
            to.phone,
            purpose=self.purpose,
            binding=to.binding,
            locale=self._locale,
            client_ip=self._client_ip,
            trusted=self._trusted,
            **more,
        )
        try:
            return await settled(again())
        except HumanCheckRequired as required:
            if self._human_check is None:  # the person could not pass one here
                raise DestinationBlocked(
                    reason=required.reason, retry_after=required.retry_after
                ) from None
            if not await settled(self._human_check()):
                raise
        return await settled(again(human_checked=True))

    async def _conceal(self, to: Recipient, deliver: Deliver | None) -> dict[str, bool]:
        if deliver is None:
            return {}
        known = deliver(to.phone) if callable(deliver) else deliver
        return {"deliver": bool(await settled(known))}

    def _save(self, entry: T) -> T:
        save_entry(self.session, self.purpose, cast("Pending | Proof | None", entry))
        return entry

    def _refused(self, error: OtpVerifyError, entry: Pending | Proof | None = None) -> Outcome:
        return Outcome(Page.FIRST, entry, Notice.of(error), error)

    # The outcomes of errors.

    def _not_started(self, error: OtpVerifyError, to: object) -> Outcome:
        """If a challenge is live despite the error, the outcome is the code page: its message may
        still arrive, or an earlier start for the same recipient caused the cooldown."""
        notice, earlier = Notice.of(error), self.entry
        if (
            isinstance(error, DeliveryError)
            and error.challenge is not None
            and isinstance(to, Recipient)
        ):
            pending = self._save(Pending.of(error.challenge, to, Delivery.after(error)))
            return Outcome(Page.CODE, pending, notice, error, saved=True)
        same = (
            earlier is not None
            and isinstance(to, Recipient)
            and (earlier.subject, earlier.bound) == (to.subject, to.bound)
        )
        if same and isinstance(earlier, Pending) and isinstance(error, CooldownActive):
            return Outcome(Page.CODE, earlier.delayed(error.retry_after), notice, error)
        elsewhere = isinstance(earlier, Pending) and not same
        return Outcome(Page.FIRST, earlier, notice, error, elsewhere=elsewhere)

    def _not_resent(self, error: OtpVerifyError) -> Outcome:
        """Codes that were sent stay valid, unless the challenge has ended."""
        notice, entry = Notice.of(error), self.entry
        if isinstance(error, DeliveryRejected) and error.challenge is None:
            self._save(None)
            return Outcome(Page.FIRST, None, notice, error, saved=True)
        over = isinstance(error, AttemptsExhausted | ChallengeExpired | InvalidPhoneNumber)
        if over or not isinstance(entry, Pending):
            return self._refused(error)
        if isinstance(error, DeliveryError) and error.challenge is not None:
            entry = self._save(entry.renewed(error.challenge, Delivery.after(error)))
            return Outcome(Page.CODE, entry, notice, error, saved=True)
        if isinstance(error, RateLimited):
            entry = entry.delayed(error.retry_after)
        return Outcome(Page.CODE, entry, notice, error)

    def _not_accepted(self, error: OtpVerifyError) -> Outcome:
        """The last incorrect code ends the challenge for the person, too."""
        entry = self.entry
        over = isinstance(error, AttemptsExhausted | ChallengeExpired | InvalidPhoneNumber)
        if over or not isinstance(entry, Pending):
            return self._refused(error)
        left = error.attempts_left if isinstance(error, IncorrectCode) else None
        if left is None:
            return Outcome(Page.CODE, entry, Notice.of(error), error)
        if left > 0:
            entry = self._save(entry.attempted(left))
            return Outcome(Page.CODE, entry, Notice.of(error), error, saved=True)
        self._save(None)
        notice = Notice.of(AttemptsExhausted(retry_after=entry.resend_in))
        return Outcome(Page.FIRST, None, notice, error, saved=True)


async def settled(value: T | Awaitable[T]) -> T:
    """The result of a port, or of a function of the site. A synchronous one returns its result
    directly, and this does not suspend."""
    if inspect.isawaitable(value):
        return cast("T", await value)
    return value
