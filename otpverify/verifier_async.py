"""`AsyncVerifier`: `Verifier`, awaitable. See `Verifier` for the documentation of each method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Self

from otpverify._sync import AsyncClosing, require_asyncio
from otpverify.core.policy import Policy
from otpverify.core.results import Challenge, DeliveryReport, DeliveryStatus, Event, Verified
from otpverify.core.secret_strength import Secrets
from otpverify.engine.code_request import Caller, ForeignCode
from otpverify.engine.delivery_reports import delivery_status, take_report
from otpverify.engine.operations import Engine
from otpverify.protocols import AsyncSender, AsyncStore, Guard, Hasher, Renderer, Sender, Store
from otpverify.verifier import Verifier
from otpverify.wiring import async_ports, compose, in_threads, with_sender

if TYPE_CHECKING:
    from otpverify.core.fraud_policy import FraudPolicy
    from otpverify.core.inspection import PhoneInspection
    from otpverify.core.traffic import Traffic
    from otpverify.settings import Parts


class AsyncVerifier(AsyncClosing):
    """`Verifier`, awaitable: the same names, arguments, results and errors.

    A synchronous sender or store runs in worker threads (a `MemoryStore` directly: it never
    waits), Argon2 in as many threads as there are cores. Arguments are those of `Verifier`.
    """

    _parts: Parts | None = None

    def __init__(
        self,
        sender: AsyncSender | Sender,
        *,
        store: AsyncStore | Store | None = None,
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
            async_ports,
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
        """See `Verifier.from_env`."""
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
            made = cls(parts.async_sender, **parts.arguments(asynchronous=True))
        except BaseException:
            parts.close()
            raise
        made._parts = parts
        return made

    @classmethod
    def of(cls, verifier: Verifier) -> AsyncVerifier:
        """The async counterpart of a `Verifier`, which shares everything with it: a code of one is
        right for the other, and limits count both. Its sender, store and hasher run in threads.
        `aclose` of it closes nothing.

        Args:
            verifier: The verifier.
        """
        made = AsyncVerifier.__new__(AsyncVerifier)
        made._sender = verifier._sender
        made._engine = in_threads(verifier._engine)
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
    def sender(self) -> AsyncSender | Sender:
        """The sender."""
        return self._sender

    def with_sender(self, sender: AsyncSender | Sender) -> AsyncVerifier:
        """See `Verifier.with_sender`. The sender may be asynchronous."""
        made = AsyncVerifier.__new__(AsyncVerifier)
        made._sender = sender
        made._engine = with_sender(self._engine, sender, asynchronous=True)
        return made

    def __repr__(self) -> str:
        return f"<AsyncVerifier {self._engine.issuer.policy}>"

    def normalize(self, phone: str) -> str:
        """See `Verifier.normalize`; not awaitable, for it waits for nothing."""
        return self._engine.read(phone)

    async def aclose(self) -> None:
        """See `Verifier.close`."""
        if self._parts is not None:
            await self._parts.aclose()

    async def start(
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
        """See `Verifier.start`."""
        require_asyncio("AsyncVerifier")
        caller = Caller(locale, client_ip, trusted, human_checked)
        return await self._engine.start(phone, purpose, binding, caller, deliver)

    async def resend(
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
        """See `Verifier.resend`."""
        require_asyncio("AsyncVerifier")
        caller = Caller(locale, client_ip, trusted, human_checked)
        return await self._engine.resend(phone, challenge, purpose, binding, caller)

    async def check(
        self,
        phone: str,
        code: str,
        *,
        challenge: str,
        purpose: str = "verify",
        binding: Mapping[str, str] | None = None,
    ) -> Verified:
        """See `Verifier.check`."""
        require_asyncio("AsyncVerifier")
        return await self._engine.check(phone, code, challenge, purpose, binding)

    async def redeem(
        self,
        phone: str,
        proof: str,
        *,
        purpose: str = "verify",
        binding: Mapping[str, str] | None = None,
    ) -> Verified:
        """See `Verifier.redeem`."""
        require_asyncio("AsyncVerifier")
        return await self._engine.redeem(phone, proof, purpose, binding)

    async def send_code(
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
        """See `Verifier.send_code`."""
        require_asyncio("AsyncVerifier")
        caller = Caller(locale, client_ip, trusted, human_checked)
        foreign = ForeignCode(code, ttl_seconds)
        return await self._engine.send_code(phone, foreign, purpose, caller, deliver)

    async def confirm(self, phone: str, *, challenge: str, purpose: str = "verify") -> Verified:
        """See `Verifier.confirm`."""
        require_asyncio("AsyncVerifier")
        return await self._engine.confirm(phone, challenge, purpose)

    async def cancel(self, phone: str, *, challenge: str, purpose: str = "verify") -> None:
        """See `Verifier.cancel`."""
        require_asyncio("AsyncVerifier")
        await self._engine.cancel(phone, challenge, purpose)

    async def delivery_report(self, params: Mapping[str, object]) -> DeliveryReport:
        """See `Verifier.delivery_report`."""
        require_asyncio("AsyncVerifier")
        return await take_report(self._engine, params)

    async def status(
        self, phone: str, *, challenge: str, purpose: str = "verify"
    ) -> DeliveryStatus:
        """See `Verifier.status`."""
        require_asyncio("AsyncVerifier")
        return await delivery_status(self._engine, phone, challenge, purpose)

    async def inspect(self, phone: str, *, purpose: str | None = None) -> PhoneInspection:
        """See `Verifier.inspect`."""
        require_asyncio("AsyncVerifier")
        from otpverify.engine.inspection import inspect_phone  # support alone needs it

        return await inspect_phone(self._engine, phone, purpose)

    async def unlock(self, phone: str, *, purpose: str | None = None) -> None:
        """See `Verifier.unlock`."""
        require_asyncio("AsyncVerifier")
        await self._engine.unlock(phone, purpose)

    async def traffic(self, hours: int = 24) -> list[Traffic]:
        """See `Verifier.traffic`."""
        require_asyncio("AsyncVerifier")
        from otpverify.engine.inspection import traffic_of  # support alone needs it

        return await traffic_of(self._engine, hours)
