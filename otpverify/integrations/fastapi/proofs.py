"""Dependencies for routes that need a right code's proof."""

# Annotations are not postponed: FastAPI could not resolve names that are local to a factory.

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Annotated, Any, cast

from fastapi import Depends

from otpverify import AsyncVerifier, ConfigurationError, Verified
from otpverify.engine.operations import check_words
from otpverify.integrations.fastapi.dependencies import Dependency, get_verifier
from otpverify.integrations.fastapi.responses import ProofRequired
from otpverify.integrations.fastapi.session import cookie_session
from otpverify.integrations.web import problems
from otpverify.integrations.web.flow import Flow
from otpverify.integrations.web.session import Proof as Entry, Recipient
from otpverify.phone import mask


class Proof:
    """A proof that the session holds, and that is not redeemed yet.

    Attributes:
        phone: The phone that it is said to be for, in E.164. Nothing is proved before `redeem`.
    """

    def __init__(self, flow: Flow, phone: str) -> None:
        self.phone = phone
        self._flow = flow

    def __repr__(self) -> str:
        return f"Proof(phone={mask(self.phone)!r})"

    async def redeem(self) -> Verified:
        """Use it up, once.

        Returns:
            The facts that the right code proved.

        Raises:
            ProofRequired: It was used, has expired, was cancelled, or is for another phone or
                another binding.
            StoreError: The store cannot answer. The proof may still be good.
        """
        outcome = await self._flow.redeem()
        if isinstance(outcome.error, problems.ProofRequired):
            raise ProofRequired
        return cast("Verified", outcome.raised().verified)


def held_proof(
    purpose: str = "verify",
    *,
    recipient: Dependency | None = None,
    verifier: Dependency = get_verifier,
    session: Dependency = cookie_session,
) -> Callable[..., Awaitable[Proof]]:
    """A dependency that gives the session's `Proof`, or answers 403 when it holds none. It costs
    nothing before `await proof.redeem()`, so a request that is refused for another reason, such as
    a new password that is too short, can be repeated without another code.

    Args:
        purpose: The flow's.
        recipient, verifier, session: As given to `otp_router`. `ConfigurationError` is raised for
            a proof that needs the `recipient` of its router where it was left out here.

    Raises:
        ConfigurationError: The purpose is not a text.
    """
    check_words(purpose, None)

    async def nobody() -> None:
        return None

    async def proof(
        found: Annotated[AsyncVerifier, Depends(verifier)],
        held: Annotated[MutableMapping[str, Any], Depends(session)],
        to: Annotated[Recipient | None, Depends(recipient or nobody)],
    ) -> Proof:
        flow = Flow(found, held, purpose=purpose, recipient=to)
        if recipient is None and isinstance(flow.entry, Entry):
            _see_that_it_was_typed(flow.entry, purpose)
        entry = await flow.current()
        if not isinstance(entry, Entry):
            raise ProofRequired
        return Proof(flow, entry.subject if to is None else to.phone)

    return proof


def fresh_proof(
    purpose: str = "verify",
    *,
    recipient: Dependency | None = None,
    verifier: Dependency = get_verifier,
    session: Dependency = cookie_session,
) -> Callable[..., Awaitable[Verified]]:
    """A dependency that uses up the session's proof and returns a `Verified`, or answers 403:
    `Annotated[Verified, Depends(fresh_proof("payment"))]`.

    FastAPI calls dependencies before it looks at the body, so a request whose body it refuses has
    used up the proof. Where that matters, take `held_proof`.

    Args:
        purpose: The flow's.
        recipient, verifier, session: As those of `held_proof`.
    """
    held = held_proof(purpose, recipient=recipient, verifier=verifier, session=session)

    async def verified(proof: Annotated[Proof, Depends(held)]) -> Verified:
        return await proof.redeem()

    return verified


def _see_that_it_was_typed(entry: Entry, purpose: str) -> None:
    """A proof whose subject is not a phone, or that has a binding, came from a router with
    `recipient=`: without it every request would be refused, for no visible reason."""
    if entry.bound or not entry.subject.startswith("+"):
        raise ConfigurationError(
            f"The codes for {purpose!r} go to a recipient. Give fresh_proof or held_proof the "
            "same recipient= as otp_router."
        )
