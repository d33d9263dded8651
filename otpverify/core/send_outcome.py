"""The outcome of one call of a sender: a receipt, or an error that repeats nothing of the message.

The engine, `FallbackSender` and the Celery worker all call senders that anybody may write, so the
rule that keeps their errors free of secrets is here, once.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable

from otpverify.core.results import Message, Receipt
from otpverify.errors import DeliveryError, DeliveryUnavailable

# A reason such as "no_balance" or "http_503"; a phone number or a code does not match.
_REASON = re.compile(r"[a-z][a-z_]{0,40}(?:[1-5][0-9]{2})?")
_DIGITS = re.compile(r"[0-9]{4,}")


async def receipt_or_error(call: Awaitable[Receipt]) -> Receipt | DeliveryError:
    """Await a sender, and return its receipt or its error.

    Any other exception, and any other result, is a `DeliveryUnavailable` that may have been sent.
    That exception is not chained, because it may contain the message.
    """
    try:
        receipt = await call
    except DeliveryError as error:
        return error
    except Exception as error:
        return DeliveryUnavailable(f"The sender failed ({type(error).__name__}).")
    if isinstance(receipt, Receipt):
        return receipt
    return DeliveryUnavailable(
        f"The sender returned {type(receipt).__name__} where a Receipt was due."
    )


async def send_outcome(
    call: Awaitable[Receipt], message: Message, *secrets: str
) -> Receipt | DeliveryError:
    """As `receipt_or_error`, with an error that callers and logs may see.

    Args:
        call: The call of the sender.
        message: What it sends.
        secrets: Further words that no error may repeat, such as the code.

    Returns:
        The receipt, or the error. The error is a copy of the sender's own, so that a sender may
        raise one instance several times. It has no causes, since exceptions of HTTP libraries print
        whole requests. It has no text of its own if that repeats a part of the message.
    """
    outcome = await receipt_or_error(call)
    if isinstance(outcome, Receipt):
        return outcome
    return _without_secrets(_copy(outcome), message, secrets)


def _without_secrets(
    failure: DeliveryError, message: Message, secrets: tuple[str, ...]
) -> DeliveryError:
    said = str(failure)
    parts = (message.to[1:], message.text, message.report, *_DIGITS.findall(message.text), *secrets)
    if any(part and part in said for part in parts):
        failure.args = ("The message could not be sent.",)
    reason = failure.provider_code
    if not (isinstance(reason, str) and _REASON.fullmatch(reason)):
        failure.provider_code = None
    failure.challenge = failure.__cause__ = failure.__context__ = None
    return failure


def _copy(error: DeliveryError) -> DeliveryError:
    """A copy without notes, made without a call of the constructor of its class."""
    copy = type(error).__new__(type(error))
    copy.args = error.args
    vars(copy).update(vars(error))
    vars(copy).pop("__notes__", None)
    return copy
