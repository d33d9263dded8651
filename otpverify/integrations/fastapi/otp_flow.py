"""One flow's router and the dependencies for its proof, from one object: `OtpFlow`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Any

from fastapi import APIRouter, params

from otpverify import Verified
from otpverify.engine.operations import check_words
from otpverify.integrations.fastapi.dependencies import (
    Dependency,
    Proof,
    cookie_session,
    fresh_proof,
    get_verifier,
    held_proof,
    owner_of,
)
from otpverify.integrations.fastapi.responses import Translate, in_english
from otpverify.integrations.fastapi.router import otp_router


class OtpFlow:
    """A flow: its router, and the dependencies of the routes that need its proof. They share
    purpose, recipient, verifier and session.

        flow = OtpFlow("payment", recipient=paying)
        app.include_router(flow.router(prefix="/payments/{payment}/approval"))

        @app.post("/payments/{payment}")
        async def pay(verified: Annotated[Verified, Depends(flow.fresh_proof())]) -> ...: ...

    Args:
        purpose, recipient, account, deliver, verifier, session, human_check, translate, name: As
            for `otp_router`.
        proof_verifier: A dependency that gives the verifier of the routes that need a proof;
            `verifier` if left out. Such as `get_verifier`, where `verifier` delivers in the
            background: these routes send nothing.

    Raises:
        ConfigurationError: The purpose is not a text; or there are both `recipient` and `account`.
    """

    def __init__(
        self,
        purpose: str = "verify",
        *,
        recipient: Dependency | None = None,
        account: Dependency | None = None,
        deliver: Dependency | None = None,
        verifier: Dependency = get_verifier,
        proof_verifier: Dependency | None = None,
        session: Dependency = cookie_session,
        human_check: Dependency | None = None,
        translate: Translate = in_english,
        name: str | None = None,
    ) -> None:
        check_words(purpose, None)
        owner_of(account, recipient)
        self.purpose = purpose
        self._shared: dict[str, Any] = {
            "recipient": recipient,
            "account": account,
            "session": session,
        }
        self._verifier = verifier
        self._proof_verifier = proof_verifier or verifier
        self._router: dict[str, Any] = {
            "deliver": deliver,
            "human_check": human_check,
            "translate": translate,
            "name": name,
        }

    def __repr__(self) -> str:
        return f"OtpFlow({self.purpose!r})"

    def router(
        self,
        *,
        prefix: str = "",
        tags: list[str | Enum] | None = None,
        dependencies: Sequence[params.Depends] = (),
        responses: dict[int | str, dict[str, Any]] | None = None,
    ) -> APIRouter:
        """The router, as of `otp_router`.

        Args:
            prefix, tags, dependencies, responses: As for `APIRouter`.
        """
        return otp_router(
            self.purpose,
            verifier=self._verifier,
            prefix=prefix,
            tags=tags,
            dependencies=dependencies,
            responses=responses,
            **self._shared,
            **self._router,
        )

    def held_proof(self, *, max_age: float | None = None) -> Callable[..., Awaitable[Proof]]:
        """A dependency that gives the session's `Proof`, or answers 403. See the function
        `held_proof`.

        Args:
            max_age: How many seconds ago the code may have been right.
        """
        return held_proof(
            self.purpose, verifier=self._proof_verifier, max_age=max_age, **self._shared
        )

    def fresh_proof(self, *, max_age: float | None = None) -> Callable[..., Awaitable[Verified]]:
        """A dependency that uses up the session's proof and returns a `Verified`, or answers 403.
        See the function `fresh_proof`.

        Args:
            max_age: As for `held_proof`.
        """
        return fresh_proof(
            self.purpose, verifier=self._proof_verifier, max_age=max_age, **self._shared
        )
