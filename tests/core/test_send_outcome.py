"""What callers may see of a sender's error: nothing of the message, for any error."""

from __future__ import annotations

import pytest

from otpverify import DeliveryError, DeliveryRejected, DeliveryUnavailable, Message, Receipt
from otpverify._sync import inline, run_sync
from otpverify.core.send_outcome import send_outcome

MESSAGE = Message("+37256789045", "Your code is 904817.", report="a-report-token")
SECRETS = ("904817", "37256789045", MESSAGE.text, "a-report-token", "904-817")


def outcome_of(error: BaseException) -> Receipt | DeliveryError:
    def send(_: Message) -> Receipt:
        try:
            raise OSError(MESSAGE.text)
        except OSError:
            raise error  # noqa: B904 - its context is what must not get out

    return run_sync(send_outcome(inline(send)(MESSAGE), MESSAGE, "904-817"))


@pytest.mark.parametrize("kind", [DeliveryRejected, DeliveryUnavailable, ValueError])
@pytest.mark.parametrize("secret", SECRETS)
def test_an_error_repeats_nothing_of_the_message(kind: type[Exception], secret: str) -> None:
    error = kind(f"POST {secret} failed")
    error.add_note(f"The body was {secret}.")
    if isinstance(error, DeliveryError):
        error.provider_code = secret
    outcome = outcome_of(error)
    assert isinstance(outcome, DeliveryError)
    assert outcome.__cause__ is outcome.__context__ is None
    shown = f"{outcome} {outcome!r} {vars(outcome)}"
    assert secret not in shown


def test_an_error_that_says_nothing_of_the_message_stays() -> None:
    error = DeliveryUnavailable(
        "SMSPM (127.0.0.1:8000) answered 503.", provider_code="http_503", maybe_sent=False
    )
    outcome = outcome_of(error)
    assert isinstance(outcome, DeliveryUnavailable)
    assert outcome is not error
    assert (str(outcome), outcome.provider_code) == (str(error), "http_503")
    assert outcome.maybe_sent is False


def test_an_end_of_the_process_is_not_an_outcome() -> None:
    with pytest.raises(KeyboardInterrupt):
        outcome_of(KeyboardInterrupt())
