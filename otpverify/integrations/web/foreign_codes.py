"""Codes that another library of the site makes and checks, sent by our verifier.

A session remembers the challenge of the newest one of each purpose, so that it is confirmed when
the other library has accepted the code. The adapters for such libraries share this.
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any, Final

from otpverify import (
    Challenge,
    DestinationBlocked,
    HumanCheckRequired,
    OtpVerifyError,
    RateLimited,
    Verifier,
)

_KEY: Final = "otpverify_sent_"  # not the prefix of flows, whose entries a sign-in removes
_SHORTEST_SECONDS: Final = 60
_log = logging.getLogger("otpverify.integrations")


def send_code(
    verifier: Verifier,
    session: MutableMapping[str, Any] | None,
    phone: str,
    code: str,
    *,
    ttl_seconds: float,
    purpose: str,
    **more: Any,
) -> Challenge:
    """Send a code, and remember its challenge.

    Args:
        verifier: Sends it.
        session: The person's session; `None` if there is none, and nothing can be confirmed.
        phone, code, purpose, more: As for `Verifier.send_code`.
        ttl_seconds: How long the other library accepts the code; the message says at least a
            minute.

    Raises:
        OtpVerifyError: As `Verifier.send_code`. It is logged, unless a limit refused.
    """
    seconds = max(_SHORTEST_SECONDS, int(ttl_seconds))
    try:
        challenge = verifier.send_code(phone, code, ttl_seconds=seconds, purpose=purpose, **more)
    except HumanCheckRequired as required:  # the other library's page could not show one
        failure: OtpVerifyError = DestinationBlocked(
            reason=required.reason, retry_after=required.retry_after
        )
    except OtpVerifyError as error:
        failure = error
    else:
        if session is not None:
            session[_KEY + purpose] = challenge.id
        return challenge
    level = logging.INFO if isinstance(failure, RateLimited) else logging.WARNING
    _log.log(level, "A code was not sent: %s", failure)
    raise failure


def confirm(
    verifier: Verifier, session: MutableMapping[str, Any], phone: str, *, purpose: str
) -> bool:
    """Record that the other library accepted the code that the session remembers.

    The other library decided, so an error changes nothing for the person: it is logged.

    Args:
        verifier: As for `send_code`; so is `purpose`.
        session: The person's session, which forgets the challenge.
        phone: Whose code was accepted. A challenge for another number is not confirmed.

    Returns:
        Whether there was something to confirm, and it was confirmed.
    """
    challenge = session.pop(_KEY + purpose, None)
    if not isinstance(challenge, str):
        return False
    try:
        verifier.confirm(phone, challenge=challenge, purpose=purpose)
    except OtpVerifyError as error:
        _log.warning("An accepted code was not confirmed: %s", error)
        return False
    return True
