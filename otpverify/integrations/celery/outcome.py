"""What came of handing a message to a sender, fit for a worker's log and a result backend."""

from __future__ import annotations

import re
from collections.abc import Callable

from otpverify import DeliveryError, DeliveryUnavailable, Message, Receipt

# A reason such as "no_balance" or "http_503", and neither a number nor a code.
_WORD = re.compile(r"[a-z][a-z_]{0,40}(?:[1-5][0-9]{2})?")
_DIGITS = re.compile(r"[0-9]{4,}")


def outcome(send: Callable[[Message], Receipt], message: Message) -> DeliveryError | None:
    """Hand a message over.

    Returns:
        `None` when it was taken. Otherwise a copy of the sender's error, cut off from what caused
        it, and without its words where they repeat what was sent: exceptions of HTTP libraries
        print whole requests, and workers print exceptions.
    """
    failure: DeliveryError
    try:
        receipt = send(message)
    except DeliveryError as error:
        failure = _twin(error)
    except Exception as error:
        failure = DeliveryUnavailable(f"The sender failed ({type(error).__name__}).")
    else:
        if isinstance(receipt, Receipt):
            return None
        failure = DeliveryUnavailable(
            f"The sender returned {type(receipt).__name__} where a Receipt was due."
        )
    said = str(failure)
    ours = (message.to[1:], message.text, message.report, *_DIGITS.findall(message.text))
    if any(part and part in said for part in ours):
        failure.args = ("The message could not be sent.",)
    reason = failure.provider_code
    if not (isinstance(reason, str) and _WORD.fullmatch(reason)):
        failure.provider_code = None
    failure.challenge = None
    return failure


def _twin(error: DeliveryError) -> DeliveryError:
    """A copy without what caused it, whatever its class asks of a constructor."""
    twin = type(error).__new__(type(error))
    twin.args = error.args
    vars(twin).update(vars(error))
    return twin
