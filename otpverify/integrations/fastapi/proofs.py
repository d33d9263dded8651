"""Dependencies for routes that need a right code's proof."""

# Annotations are not postponed: FastAPI could not find what is local to a factory.

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Annotated, Any

from fastapi import Depends

from otpverify import AsyncVerifier, ChallengeExpired, InvalidPhoneNumber, Verified
from otpverify.integrations.fastapi.lifespan import get_verifier
from otpverify.integrations.fastapi.problems import ProofRequired
from otpverify.integrations.fastapi.recipients import Recipient
from otpverify.integrations.fastapi.sessions import Kept, Proven, cookie_session
from otpverify.phone import mask

Dependency = Callable[..., Any]


class Proof:
    """A proof that the session holds, and that was not looked at yet.

    Attributes:
        phone: The phone that it is said to be for, in E.164. Nothing is proved before `redeem`.
    """

    def __init__(
        self,
        verifier: AsyncVerifier,
        kept: Kept,
        proven: Proven,
        phone: str,
        purpose: str,
        binding: Mapping[str, str] | None,
    ) -> None:
        self.phone = phone
        self._binding = binding
        self._verifier = verifier
        self._kept = kept
        self._proven = proven
        self._purpose = purpose

    def __repr__(self) -> str:
        return f"Proof(phone={mask(self.phone)!r})"

    async def redeem(self) -> Verified:
        """Use it up, once and for all.

        Returns:
            What the right code proved.

        Raises:
            ProofRequired: It was used, has expired, was cancelled, or is for another phone
                or for other bound facts.
            StoreError: The store cannot answer. The proof may still be good.
        """
        try:
            verified = await self._verifier.redeem(
                self.phone, self._proven.proof, purpose=self._purpose, binding=self._binding
            )
        except (ChallengeExpired, InvalidPhoneNumber):
            verified = None
        self._kept.put(None)
        if verified is None:
            raise ProofRequired
        return verified


def held_proof(
    purpose: str = "verify",
    *,
    recipient: Dependency | None = None,
    verifier: Dependency = get_verifier,
    session: Dependency = cookie_session,
) -> Callable[..., Awaitable[Proof]]:
    """A dependency that gives the session's `Proof`, or answers 403 when it holds none. It costs
    nothing before `await proof.redeem()`, so a request that is refused for something else, such as
    a new password that is too short, can be repeated without another code.

    Args:
        purpose: The flow's.
        recipient, verifier, session: As given to `otp_router`.
    """

    async def nobody() -> None:
        return None

    async def proof(
        found: Annotated[AsyncVerifier, Depends(verifier)],
        held: Annotated[MutableMapping[str, Any], Depends(session)],
        whom: Annotated[Recipient | None, Depends(recipient or nobody)],
    ) -> Proof:
        kept = Kept(held, purpose)
        proven = kept.proven()
        if proven is None or (whom is not None and whom.subject != proven.who):
            raise ProofRequired
        phone = proven.who if whom is None else whom.phone
        binding = None if whom is None else whom.binding
        return Proof(found, kept, proven, phone, purpose, binding)

    return proof


def fresh_proof(
    purpose: str = "verify",
    *,
    recipient: Dependency | None = None,
    verifier: Dependency = get_verifier,
    session: Dependency = cookie_session,
) -> Callable[..., Awaitable[Verified]]:
    """A dependency that uses up the session's proof and gives what it proves, as `Verified`, or
    answers 403: `Annotated[Verified, Depends(fresh_proof("payment"))]`.

    FastAPI calls dependencies before it looks at the body, so a body that it refuses has cost the
    proof. Where that matters, take `held_proof`.

    Args:
        purpose: The flow's.
        recipient, verifier, session: As given to `otp_router`.
    """
    held = held_proof(purpose, recipient=recipient, verifier=verifier, session=session)

    async def verified(proof: Annotated[Proof, Depends(held)]) -> Verified:
        return await proof.redeem()

    return verified
