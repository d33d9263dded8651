"""Attempts at something that can be guessed, counted in the verifier's store for all processes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from otpverify import AsyncVerifier, Limit, RateLimited, Verifier
from otpverify.core.answers import Refused, Reserved
from otpverify.core.keys import mac, tag
from otpverify.core.limits import whole_seconds
from otpverify.engine.ports import call_port

T = TypeVar("T")

OTHER_WAYS: Final = "other_ways"
"""`RateLimited.scope` of answers to other ways in."""
ANSWER_LIMITS: Final = (Limit(5, 900), Limit(20, 86_400))
"""How many incorrect answers an account may be given: 5 in a quarter of an hour, 20 a day."""


async def count_attempt(
    verifier: Verifier | AsyncVerifier,
    check: Callable[[], Awaitable[T]],
    *names: str,
    limits: tuple[Limit, ...] = ANSWER_LIMITS,
    scope: str = OTHER_WAYS,
) -> T:
    """Count an attempt, then make it. One that succeeds is not counted.

    The attempt is reserved before it is made, in one atomic operation of the store. So no number of
    processes that work at once makes more attempts than the limits admit.

    Args:
        verifier: Its store counts.
        check: Makes the attempt; raises an error if it fails.
        names: What is attempted, such as the way and the account.
        limits: How many attempts may fail.
        scope: The name of the limit in the error.

    Raises:
        RateLimited: Too many failed.
        StoreError: The store cannot answer; no attempt was made.
    """
    issuer = verifier.engine.issuer
    counter = tag(mac(issuer.keyring.signing.tag_key, "attempts", *names))
    answer = await call_port(issuer.ports.reserve(counter, limits), Reserved, Refused)
    if isinstance(answer, Refused):
        raise RateLimited(
            "Too many incorrect answers.",
            retry_after=whole_seconds(answer.retry_in),
            limit=answer.limit,
            scope=scope,
        )
    result = await check()
    await issuer.give_back(counter, answer.at)
    return result


async def count_password(
    verifier: Verifier | AsyncVerifier, check: Callable[[], Awaitable[object]], account: str
) -> None:
    """As `count_attempt`, for the password of an account that is signed in: the limits are
    `ANSWER_LIMITS`, and `RateLimited.scope` is `"passwords"`."""
    await count_attempt(verifier, check, "password", account, scope="passwords")
