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


async def count_failed_sign_in(
    verifier: Verifier | AsyncVerifier,
    error: OtpVerifyError,
    account: str,
    notify: Callable[[], Awaitable[bool]],
) -> None:
    """Count a code or another answer that was refused after a right password, over all challenges
    and other ways in, and notify the person of too many, once a day (OWASP ASVS 5.0, 6.3.5).

    The refusal that the caller answers stays as it is, so that an error of the store is logged.

    Args:
        verifier: Its store counts.
        error: The refusal. One that is not an attempt (`is_attempt`) is not counted.
        account: The account whose password was right.
        notify: Notifies the person, and says whether that succeeded, such as
            `account_notices.notify` with `SIGN_IN_FAILED`. If not, the next refusal tries again.
    """
    if not is_attempt(error):
        return
    issuer = verifier.engine.issuer
    key = issuer.keyring.signing.tag_key
    notices = tag(mac(key, "sign-in notices", account))

    async def reserve(counter: str, limit: Limit) -> Reserved | Refused:
        return await call_port(issuer.ports.reserve(counter, (limit,)), Reserved, Refused)

    try:
        failures = tag(mac(key, "failed sign-ins", account))
        if isinstance(await reserve(failures, FAILED_SIGN_INS), Reserved):
            return
        reserved = await reserve(notices, SIGN_IN_NOTICES)
    except OtpVerifyError as failure:
        _log.warning("A failed sign-in was not counted: %s", failure)
        return
    if isinstance(reserved, Refused):
        return
    notified = False
    try:
        notified = await notify()
    finally:
        if not notified:
            await issuer.give_back(notices, reserved.at)
