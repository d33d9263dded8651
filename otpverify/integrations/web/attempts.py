"""Attempts at something that can be guessed, counted in the verifier's store for all processes."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from otpverify import (
    AsyncVerifier,
    AttemptsExhausted,
    IncorrectAnswer,
    IncorrectCode,
    Limit,
    OtpVerifyError,
    RateLimited,
    Verifier,
)
from otpverify.core.answers import Refused, Reserved
from otpverify.core.keys import mac, tag
from otpverify.core.limits import whole_seconds
from otpverify.engine.ports import call_port

_log = logging.getLogger("otpverify.integrations")

T = TypeVar("T")

OTHER_WAYS: Final = "other_ways"
"""`RateLimited.scope` of answers to other ways in."""
ANSWER_LIMITS: Final = (Limit(5, 900), Limit(20, 86_400))
"""How many incorrect answers an account may be given: 5 in a quarter of an hour, 20 a day."""
FAILED_SIGN_INS: Final = Limit(4, 3600)
"""How many incorrect codes and answers after a right password are usual in an hour. The person is
notified of the next one."""
SIGN_IN_NOTICES: Final = Limit(1, 86_400)
"""How often an account is notified of them: once a day."""


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


def is_attempt(error: OtpVerifyError) -> bool:
    """Whether a code or another answer was compared and is incorrect, or came after the last
    attempt. What cannot be a code is not an attempt."""
    compared = isinstance(error, IncorrectCode) and error.attempts_left is not None
    return compared or isinstance(error, IncorrectAnswer | AttemptsExhausted)


async def is_suspicious(verifier: Verifier | AsyncVerifier, account: str) -> bool:
    """Count an incorrect code or answer that came after a right password, over all challenges and
    other ways in, and say whether the person is to be notified of it now (OWASP ASVS 5.0, 6.3.5).

    The refusal that the caller answers stays as it is, so that an error of the store is logged.

    Args:
        verifier: Its store counts.
        account: The account whose password was right.
    """
    issuer = verifier.engine.issuer
    key = issuer.keyring.signing.tag_key

    async def refused(name: str, limit: Limit) -> bool:
        reserved = issuer.ports.reserve(tag(mac(key, name, account)), (limit,))
        return isinstance(await call_port(reserved, Reserved, Refused), Refused)

    try:
        if not await refused("failed sign-ins", FAILED_SIGN_INS):
            return False
        return not await refused("sign-in notices", SIGN_IN_NOTICES)
    except OtpVerifyError as error:
        _log.warning("A failed sign-in was not counted: %s", error)
        return False
