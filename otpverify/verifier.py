"""`Verifier`: composes the parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Self

from otpverify._sync import Closing, run_sync
from otpverify.core.policy import Policy
from otpverify.core.results import Challenge, DeliveryReport, DeliveryStatus, Event, Verified
from otpverify.core.secret_strength import Secrets
from otpverify.engine.code_request import Caller, ForeignCode
from otpverify.engine.delivery_reports import delivery_status, take_report
from otpverify.engine.operations import Engine
from otpverify.protocols import Guard, Hasher, Renderer, Sender, Store
from otpverify.wiring import compose, sync_ports, with_sender

if TYPE_CHECKING:
    from otpverify.core.fraud_policy import FraudPolicy
    from otpverify.core.inspection import PhoneInspection
    from otpverify.core.traffic import Traffic
    from otpverify.settings import Parts


class Verifier(Closing):
    """Proves that a person holds a phone. Safe to share between threads; make one for each process.

    Args:
        sender: Delivers the messages, such as `SmspmClient`.
        store: Holds challenges and counters; a `MemoryStore` if left out.
        policy: The numbers; `Policy()` if left out.
        secret: The server-side key, at least 32 bytes (`otpverify secret` makes one), the same
            in every process that shares the store. A sequence rotates: the first signs, all
            are accepted. May be left out with a store that lives in this process only, which
            then draws one.
        hasher: `Argon2Hasher()` if left out.
        messages: Writes the text; `Messages()` if left out.
        guards: May refuse a destination, in this order, before anything is sent.
        region: ISO 3166-1 alpha-2 code, such as `"EE"`, for numbers typed without country code.
        on_event: Called with an `Event` after every operation. Errors that it raises are logged.
        fraud: Protection against SMS pumping; none if left out. The store must offer `FraudStore`,
            as all stores of this package do.

    Raises:
        ConfigurationError: The parts do not fit together; the message says how to fix it.
    """

    _parts: Parts | None = None

    def __init__(
        self,
        sender: Sender,
        *,
        store: Store | None = None,
        policy: Policy | None = None,
        secret: Secrets | None = None,
        hasher: Hasher | None = None,
        messages: Renderer | None = None,
        guards: Sequence[Guard] = (),
        region: str | None = None,
        on_event: Callable[[Event], object] | None = None,
        fraud: FraudPolicy | None = None,
    ) -> None:
        self._sender = sender
        self._engine = compose(
            sync_ports,
            sender,
            store,
            policy,
            secret,
            hasher,
            messages,
            guards,
            region,
            on_event,
            fraud,
        )

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        policy: Policy | None = None,
        hasher: Hasher | None = None,
        messages: Renderer | None = None,
        guards: Sequence[Guard] = (),
        on_event: Callable[[Event], object] | None = None,
        fraud: FraudPolicy | None = None,
    ) -> Self:
        """A verifier from environment variables (`environ`, or `os.environ`), which owns its
        client and store: `close()` closes them, and so does the end of a `with`.

        `SMSPM_HASH` and `SMSPM_TOKEN` are needed; `SMSPM_SENDER`, `SMSPM_URL`,
        `SMSPM_REPORT_URL`, `OTPVERIFY_SECRET` (several, separated by commas, rotate),
        `OTPVERIFY_REDIS_URL` or `OTPVERIFY_SQLITE_PATH`, `OTPVERIFY_REGION` and `OTPVERIFY_FRAUD`
        (`observe` or `enforce`) are read where set. The other arguments are those of `Verifier`.

        Raises:
            ConfigurationError: One is missing or not valid; the message names it.
            StoreError: The SQLite file is damaged or locked, or its disk is full.
        """
        from otpverify.settings import Parts, Settings  # needed here alone

        parts = Parts(
            Settings(environ=environ),
            policy=policy,
            hasher=hasher,
            messages=messages,
            guards=guards,
            on_event=on_event,
            fraud=fraud,
        )
        try:
            made = cls(parts.sender, **parts.arguments())
        except BaseException:
            parts.close()
            raise
        made._parts = parts
        return made

    @property
    def engine(self) -> Engine:
        """The composed parts, for what the library builds on them, such as backup codes."""
        return self._engine

    @property
    def policy(self) -> Policy:
        """The policy."""
        return self._engine.issuer.policy

    @property
    def sender(self) -> Sender:
        """The sender."""
        return self._sender

    def with_sender(self, sender: Sender) -> Verifier:
        """A verifier that delivers with another sender and shares everything else with this one:
        a code of one is right for the other, and limits count both. `close` of it closes nothing.

        Args:
            sender: Delivers the messages, such as a `BackgroundSender` around `verifier.sender`.

        Raises:
            ConfigurationError: It is not a sender, or it is asynchronous.
        """
        made = Verifier.__new__(Verifier)
        made._sender = sender
        made._engine = with_sender(self._engine, sender, asynchronous=False)
        return made

    def __repr__(self) -> str:
        return f"<Verifier {self._engine.issuer.policy}>"

    def close(self) -> None:
        """Close what `from_env` made. It does not close parts that you passed in."""
        if self._parts is not None:
            self._parts.close()

    def normalize(self, phone: str) -> str:
        """A number as `start` reads it, by the verifier's region and test numbers. Nothing is
        sent or counted.

        Args:
            phone: What the person typed.

        Returns:
            The number in E.164: what `Challenge.phone` would be.

        Raises:
            InvalidPhoneNumber: It is not a phone number.
        """
        return self._engine.read(phone)

    def start(
        self,
        phone: str,
        *,
        purpose: str = "verify",
        binding: Mapping[str, str] | None = None,
        locale: str = "en",
        client_ip: str | None = None,
        deliver: bool | None = None,
        trusted: bool = False,
        human_checked: bool = False,
    ) -> Challenge:
        """Send a code to a phone.

        Args:
            phone: What the person typed.
            purpose: What the code is for; a code for one purpose is never valid for another.
            binding: Facts that the code also approves; each is written out in the message, and
                `check` must be given the same.
            locale: The message's language, a BCP 47 tag such as `"de-AT"`.
            client_ip: The person's IP address, for the limit per network.
            deliver: For flows in which nobody may learn whether an account exists, such as a
                password reset: `True` where it exists, `False` where it does not. Both make the
                challenge concealed: the caller and a stranger see the same, also when the
                message fails. No `DeliveryError` is raised, nothing is given back, the status
                stays queued, and the sends are counted apart from all others of the phone. An
                event and a log line report failures. With `False` nothing is sent and no code
                matches. If left out, the challenge is an ordinary one.
            trusted: You vouch for the number, as for that of a person who is logged in: it counts
                as known. It matters with `fraud` only, and not for a concealed challenge.
            human_checked: You saw a human check passed, after `HumanCheckRequired`. It matters
                with `fraud` only.

        Returns:
            The challenge. Keep its `id` in the session.

        Raises:
            InvalidPhoneNumber: It is not a phone number.
            DestinationBlocked: A guard or `fraud` refused it.
            HumanCheckRequired: Show a human check, then call again with `human_checked=True`.
            CooldownActive: The last code was sent a moment ago.
            RateLimited: A limit is reached.
            DeliveryRejected: The gateway said no.
            DeliveryUnavailable: The gateway was not reached, or it is unknown whether it was.
            StoreError: The store cannot answer; nothing was sent.
        """
        caller = Caller(locale, client_ip, trusted, human_checked)
        return run_sync(self._engine.start(phone, purpose, binding, caller, deliver))

    def resend(
        self,
        phone: str,
        *,
        challenge: str,
        purpose: str = "verify",
        binding: Mapping[str, str] | None = None,
        locale: str = "en",
        client_ip: str | None = None,
        trusted: bool = False,
        human_checked: bool = False,
    ) -> Challenge:
        """Send a fresh code on the same challenge. The earlier codes stay good until their own
        expiry, the newest `live_codes` of them; the attempts are shared.

        Args:
            phone: The number that the challenge was started for.
            challenge: The challenge's id.
            purpose: As given to `start`; so are `binding`, `locale` and `client_ip`.
            trusted, human_checked: As for `start`.

        Returns:
            The challenge as it stands now.

        Raises:
            ChallengeExpired: There is no such live challenge.
            AttemptsExhausted: Its attempts are used up; start a new one.
            OtpVerifyError: Every other error that `start` raises. Guards do not refuse a challenge
                that was started; `fraud` may.
        """
        caller = Caller(locale, client_ip, trusted, human_checked)
        return run_sync(self._engine.resend(phone, challenge, purpose, binding, caller))

    def check(
        self,
        phone: str,
        code: str,
        *,
        challenge: str,
        purpose: str = "verify",
        binding: Mapping[str, str] | None = None,
    ) -> Verified:
        """Accept a right code, once. Returns on success only.

        Args:
            phone: The number that is to be proved; the one that the challenge was started for.
            code: What the person typed. Spaces, hyphens and the digits of any script are accepted.
            challenge: The challenge's id, from the session.
            purpose: As given to `start`.
            binding: As given to `start`.

        Returns:
            Proof that the person holds `Verified.phone`.

        Raises:
            IncorrectCode: The code is wrong, or cannot be one (then `attempts_left` is `None`).
            AttemptsExhausted: Too many wrong codes; this one was not compared.
            ChallengeExpired: There is no such live challenge.
            InvalidPhoneNumber: The number is not one.
            StoreError: The store cannot answer; nobody gets in.
        """
        return run_sync(self._engine.check(phone, code, challenge, purpose, binding))

    def redeem(
        self,
        phone: str,
        proof: str,
        *,
        purpose: str = "verify",
        binding: Mapping[str, str] | None = None,
    ) -> Verified:
        """Accept the proof of a right code, once: for a step that comes after the code, such as
        the form for a new password. It is valid for one phone, purpose and binding, for
        `Policy.proof_ttl_seconds`.

        Args:
            phone, purpose, binding: As given to `check`.
            proof: `Verified.proof`, from the session.

        Returns:
            What `check` returned.

        Raises:
            ChallengeExpired: It was used, has expired, was cancelled, or never existed.
            InvalidPhoneNumber, StoreError: As `check`.
        """
        return run_sync(self._engine.redeem(phone, proof, purpose, binding))

    def send_code(
        self,
        phone: str,
        code: str,
        *,
        ttl_seconds: int,
        purpose: str = "verify",
        locale: str = "en",
        client_ip: str | None = None,
        deliver: bool | None = None,
        trusted: bool = False,
        human_checked: bool = False,
    ) -> Challenge:
        """Deliver a code that another library made and checks, under this verifier's cooldown,
        send limits, guards and fraud policy. Nothing is stored of the code. When that library has
        accepted it, call `confirm`.

        Prefer `start`, whose codes are accepted once, with attempts counted in the store; how
        well this code is protected is up to the other library.

        Args:
            phone: As for `start`.
            code: The code, as the message shows it.
            ttl_seconds: How long the other library accepts it, in seconds, from 60 on: the message
                says so.
            purpose, locale, client_ip, deliver, trusted, human_checked: As for `start`.

        Returns:
            The challenge that counts the message. Keep its `id` for `confirm`, which it takes for
            `Policy.ttl_seconds`.

        Raises:
            ConfigurationError: The code is not a text, or the lifetime is too short.
            OtpVerifyError: Every other error that `start` raises. Numbers in
                `Policy.test_numbers` get no message.
        """
        caller = Caller(locale, client_ip, trusted, human_checked)
        foreign = ForeignCode(code, ttl_seconds)
        return run_sync(self._engine.send_code(phone, foreign, purpose, caller, deliver))

    def confirm(self, phone: str, *, challenge: str, purpose: str = "verify") -> Verified:
        """Record that another library accepted the code that `send_code` delivered. It ends the
        challenge, counts as a verification for `fraud`, and makes the number known to it. It
        checks nothing: call it only after that library's own check.

        Args:
            phone: As given to `send_code`.
            challenge: The id of what `send_code` returned.
            purpose: As given to `send_code`.

        Raises:
            ChallengeExpired: There is no such live challenge: it was confirmed, is too old, or
                `start` made it.
            InvalidPhoneNumber, StoreError: As `check`.
        """
        return run_sync(self._engine.confirm(phone, challenge, purpose))

    def cancel(self, phone: str, *, challenge: str, purpose: str = "verify") -> None:
        """Void a challenge, and its proof. It is not an error if there is no such challenge.
        Cooldown and limits stay. Arguments and errors are those of `check`."""
        run_sync(self._engine.cancel(phone, challenge, purpose))

    def delivery_report(self, params: Mapping[str, object]) -> DeliveryReport:
        """Record a delivery report. A final failure lifts the cooldown and gives the send back.

        Reports may come late, twice and out of order: a final status stays, and a repeat
        changes nothing. For a report of a stranger, the result is not `known`, and no error is
        raised.

        Args:
            params: The callback's query parameters merged with its body's fields, of either
                shape; `otpverify.sms.callback_params` makes them out of a raw request.

        Returns:
            What the report says, and whether it is about a message of ours.

        Raises:
            StoreError: The store cannot answer. Answer 503; the gateway sends it again.
        """
        return run_sync(take_report(self._engine, params))

    def status(self, phone: str, *, challenge: str, purpose: str = "verify") -> DeliveryStatus:
        """How far the newest message of a challenge got, as far as it was reported. A carrier
        that never reports leaves it at what it was, and so does a decoy.

        Arguments and errors are those of `check`.
        """
        return run_sync(delivery_status(self._engine, phone, challenge, purpose))

    def inspect(self, phone: str, *, purpose: str | None = None) -> PhoneInspection:
        """What the store knows of a number, for support: limits, wrong codes, deliveries and live
        challenges, and never a code. It changes nothing.

        It is for operators only. It shows which challenges are concealed or decoys, and so who has
        an account, and deliveries that `status` hides.

        Args:
            phone: The number, as for `start`.
            purpose: The one purpose to look at. If left out, all are shown, but the store keeps no
                names: besides `"verify"`, `"login"`, `"sign-in"`, `"phone"`, `"password-reset"`
                and `"payment"`, a purpose is shown without its name. Limits on sends span all
                purposes and are always shown.

        Returns:
            The inspection. A challenge whose last send was given back is not in it.

        Raises:
            InvalidPhoneNumber: It is not a phone number.
            StoreError: The store cannot answer.
        """
        from otpverify.engine.inspection import inspect_phone  # support alone needs it

        return run_sync(inspect_phone(self._engine, phone, purpose))

    def unlock(self, phone: str, *, purpose: str | None = None) -> None:
        """Clear what limits a number: cooldown, send limits, wrong codes and wrong codes in a row.

        First make sure by another way than this phone that the person is its owner (NIST SP
        800-63B-4, 4.2, account recovery). Then the policy counts from zero, as for a new number.
        Challenges stay as they are: one that was used or cancelled stays so, and one whose attempts
        are used up needs a new start. A number that was known to the fraud policy is known again,
        if no purpose is named; a stranger's stays a stranger's. `sends_per_ip` and
        `undelivered_per_phone` stay. An event with the outcome `"unlocked"` is reported.

        Args:
            phone: The number, as for `start`.
            purpose: The one purpose to clear; what was sent for others still counts for the limits
                on sends, which span all. If left out, all are cleared.

        Raises:
            InvalidPhoneNumber: It is not a phone number.
            StoreError: The store cannot answer; call it again.
        """
        run_sync(self._engine.unlock(phone, purpose))

    def traffic(self, hours: int = 24) -> list[Traffic]:
        """What was sent, entered and refused in the last hours, by country. It needs `fraud`.

        Args:
            hours: How many, from 1 to 336 (two weeks). The window begins with an hour, and one of
                more than 48 hours with a day (UTC), so that it is up to an hour, or a day, longer.

        Returns:
            First the countries where most money was asked for codes that nobody entered, whether
            it was spent or refused.

        Raises:
            ConfigurationError: There is no `fraud`, or `hours` is out of range.
            StoreError: The store cannot answer.
        """
        from otpverify.engine.inspection import traffic_of  # support alone needs it

        return run_sync(traffic_of(self._engine, hours))
