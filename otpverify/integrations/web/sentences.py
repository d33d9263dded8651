"""What is said to a person when something is refused. Never a code.

A `Sentence` is English as it stands. For another language its `translated` takes gettext and
ngettext, or whatever a framework has in their place; `otpverify.integrations.web.sentences` is
where an extractor finds the texts (keywords `Sentence`, `counted:2,3`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from otpverify import (
    AttemptsExhausted,
    ChallengeExpired,
    CooldownActive,
    DeliveryError,
    DestinationBlocked,
    IncorrectCode,
    InvalidPhoneNumber,
    OtpVerifyError,
    RateLimited,
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text that can be translated.

    Attributes:
        text: In English, with `%(name)s` where a parameter stands.
        plural: The same for any count but one; empty where nothing is counted.
        count: What decides between the two.
        params: The parameters; those that are sentences are translated, too.
    """

    text: str
    plural: str = ""
    count: int = 1
    params: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.translated(str, lambda one, many, count: one if count == 1 else many)

    def translated(
        self, gettext: Callable[[str], str], ngettext: Callable[[str, str, int], str]
    ) -> str:
        """In another language.

        Args:
            gettext: Gives a text's translation.
            ngettext: Gives the translation for a count, of a text and its plural.
        """
        one, many = self.text, self.plural
        text = ngettext(one, many, self.count) if many else gettext(one)
        known = {
            name: value.translated(gettext, ngettext) if isinstance(value, Sentence) else value
            for name, value in self.params.items()
        }
        return text % known if known else text.replace("%%", "%")


def counted(count: int, text: str, plural: str) -> Sentence:
    """A sentence that counts; both texts may hold `%(count)s`."""
    return Sentence(text, plural, count, {"count": count})


BUSY = Sentence("This does not work at the moment. Please try again in a few minutes.")
NO_CHALLENGE = Sentence("There is no code to enter. Begin here.")
SENT_AGAIN = Sentence("Another code is on its way.")
SENT = Sentence("A code is on its way.")


def explain(error: OtpVerifyError) -> Sentence:
    """One or two sentences: what happened, and what to do."""
    match error:
        case InvalidPhoneNumber():
            return Sentence(str(error).replace("%", "%%"))
        case DestinationBlocked():
            return Sentence("Codes are not sent to this kind of number. Use a mobile number.")
        case IncorrectCode(attempts_left=None):
            return Sentence(
                "That is not a code: enter the digits of the message. It did not count as an "
                "attempt."
            )
        case IncorrectCode(attempts_left=int(left)):
            return counted(
                left,
                "The code is not right. %(count)s attempt left.",
                "The code is not right. %(count)s attempts left.",
            )
        case AttemptsExhausted(retry_after=seconds):
            return _later("Too many wrong codes. You can request a new code %(when)s.", seconds)
        case ChallengeExpired():
            return Sentence("This code has expired or was already used. Request a new one.")
        case DeliveryError():
            return _undelivered(error)
        case CooldownActive(retry_after=seconds):
            return _later(
                "A code was requested a moment ago. You can request another %(when)s.", seconds
            )
        case RateLimited(scope=scope, retry_after=seconds):
            return _later(_LIMITS.get(scope, _ANY_LIMIT), seconds)
    return BUSY


def after(seconds: int) -> Sentence:
    """`"now"`, `"in 45 seconds"`, `"in 12 minutes"`: never sooner than it is."""
    if seconds <= 0:
        return Sentence("now")
    if seconds < 120:
        return counted(seconds, "in %(count)s second", "in %(count)s seconds")
    if seconds < 7200:
        return counted(-(-seconds // 60), "in %(count)s minute", "in %(count)s minutes")
    return counted(-(-seconds // 3600), "in %(count)s hour", "in %(count)s hours")


_ANY_LIMIT = "Too many codes were requested. You can try again %(when)s."
_LIMITS = {
    "sends_per_phone": "Too many codes were sent to this number. You can try again %(when)s.",
    "sends_per_ip": "Too many codes were requested from your network. You can try again %(when)s.",
    "failures_per_phone": (
        "Too many wrong codes were entered for this number. You can try again %(when)s."
    ),
}


def _later(text: str, seconds: int) -> Sentence:
    return Sentence(text, params={"when": after(seconds)})


def _undelivered(error: DeliveryError) -> Sentence:
    if error.provider_code == "invalid_phone_number":
        return Sentence("No message can be sent to this number. Check it for a mistyped digit.")
    if error.maybe_sent:
        return Sentence(
            "The message was not confirmed. A code may still arrive; if it does, enter it here. "
            "Otherwise request another."
        )
    if error.challenge is not None:
        return Sentence("No message could be sent just now. Try again in a moment.")
    return Sentence("No message can be sent at the moment. Please try again later.")
