"""The sentences that a person reads when a request is refused. They never contain a code.

The text of a `Sentence` is English. `languages.translated` gives it in another language. The texts
of all frameworks are in the catalogue `locale/otpverify.pot`, which `make catalogues` extracts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from otpverify import (
    AttemptsExhausted,
    ChallengeExpired,
    CooldownActive,
    DeliveryError,
    DestinationBlocked,
    HumanCheckRequired,
    IncorrectAnswer,
    IncorrectCode,
    InvalidPhoneNumber,
    OtpVerifyError,
    RateLimited,
)
from otpverify.errors import BindingTooLong


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text that can be translated.

    Attributes:
        text: In English, with `%(name)s` where a parameter stands.
        plural: The same for any count but one; empty where nothing is counted.
        count: The number that selects one of the two.
        params: The parameters; those that are sentences are translated, too.
    """

    text: str
    plural: str = ""
    count: int = 1
    params: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.translated(str, lambda one, many, count: one if count == 1 else many)

    def translated(
        self,
        gettext: Callable[[str], str],
        ngettext: Callable[[str, str, int], str],
        shown: Callable[[object], object] = lambda value: value,
    ) -> str:
        """In another language. `languages.translated` has all three arguments for a tag.

        Args:
            gettext: Gives a text's translation.
            ngettext: Gives the translation for a count, of a text and its plural.
            shown: Gives a parameter as the language shows it.
        """
        one, many = self.text, self.plural
        text = ngettext(one, many, self.count) if many else gettext(one)
        known = {
            name: value.translated(gettext, ngettext, shown)
            if isinstance(value, Sentence)
            else shown(value)
            for name, value in self.params.items()
        }
        return text % known if known else text.replace("%%", "%")

    def dump(self) -> dict[str, Any]:
        """As plain values, which `load` reads."""
        params = {
            name: value.dump() if isinstance(value, Sentence) else value
            for name, value in self.params.items()
        }
        given = {"text": self.text, "plural": self.plural, "count": self.count, "params": params}
        return {name: value for name, value in given.items() if value}

    @classmethod
    def load(cls, entry: object) -> Self | None:
        """The sentence that `dump` wrote; `None` for any other value."""
        text = entry.get("text") if isinstance(entry, Mapping) else None
        if not (isinstance(entry, Mapping) and isinstance(text, str) and text):
            return None
        params, count = entry.get("params", {}), entry.get("count", 0)
        plural = entry.get("plural", "")
        if not (isinstance(params, Mapping) and isinstance(count, int) and isinstance(plural, str)):
            return None
        known: dict[str, object] = {}
        for name, value in params.items():
            known[name] = cls.load(value) if isinstance(value, Mapping) else value
        return None if None in known.values() else cls(text, plural, count, known)


def counted(count: int, text: str, plural: str) -> Sentence:
    """A sentence that counts; both texts may hold `%(count)s`."""
    return Sentence(text, plural, count, {"count": count})


BUSY = Sentence("Something went wrong on our side. Please try again in a few minutes.")
NO_CHALLENGE = Sentence("There is no code to enter. Start here.")
CONFIRM_FIRST = Sentence("Confirm your phone first. Start here.")
SENT_AGAIN = Sentence("Another code is on its way.")
SENT = Sentence("A code is on its way.")
NO_PHONE = Sentence("This account has no phone number to send a code to.")
PROOF_REQUIRED = Sentence("Enter a code that was sent to your phone first.")
SIGN_IN_REFUSED = Sentence("We cannot sign you in with this phone number. Please contact us.")

LONGEST_PHONE: Final = 256
"""How many characters a phone field takes. No number is as long, even if all of it is escaped."""
LONGEST_PASTE: Final = 2000
"""How many characters a code field takes: a whole message may be pasted."""
LONGEST_FIELD: Final = 256
"""How many characters any other field takes, such as a new password."""


def code_in(typed: str, length: int) -> str:
    """The code in what a person typed or pasted: the code itself, or the message that holds it.

    Args:
        typed: The field's content.
        length: The code's length, `Policy.code_length`.

    Returns:
        The one number of that many digits in a message; otherwise what was typed, which the
        verifier judges strictly. Messages quote what is not theirs, so a number outside of quotes
        goes first.
    """
    text = typed[:LONGEST_PASTE]
    if not any(character.isalpha() for character in text):
        return text
    last_line = re.search(rf"@\S+ #(\d{{{length}}})\s*$", text)  # as browsers read it
    if last_line:
        return last_line[1]
    half = length // 2
    for part in (re.sub('"[^"]*"', '""', text), text):
        for digits in (rf"\d{{{length}}}", rf"\d{{{half}}}[ -]\d{{{length - half}}}"):
            found = set(re.findall(rf"(?<!\d)(?<!\d[.,])({digits})(?![.,]?\d)", part))
            if len(found) == 1:
                return str(found.pop())
    return text


def password_length(password: str, shortest: int, longest: int) -> Sentence | None:
    """What is wrong with the length of a new password, in characters; `None` if nothing is."""
    if len(password) > longest:
        return Sentence("This password is too long.")
    if len(password) >= shortest:
        return None
    return counted(
        shortest, "Use at least %(count)s character.", "Use at least %(count)s characters."
    )


def explain(error: OtpVerifyError) -> Sentence:
    """One or two sentences: what happened, and what to do."""
    if isinstance(own := getattr(error, "sentence", None), Sentence):  # an error of the web flow
        return own
    match error:
        case InvalidPhoneNumber():
            return Sentence(str(error).replace("%", "%%"))
        case HumanCheckRequired():
            return Sentence("Please confirm that you are human.")
        case DestinationBlocked(retry_after=int(seconds)):
            return _later(
                "We cannot send a code to this number. You can try again %(when)s.", seconds
            )
        case DestinationBlocked():
            return Sentence("We cannot send codes to this kind of number. Use a mobile number.")
        case IncorrectAnswer():
            return Sentence("That is incorrect, or it was used before.")
        case IncorrectCode(attempts_left=None):
            return Sentence("Enter the digits from the message. This did not count as an attempt.")
        case IncorrectCode(attempts_left=int(left)):
            return counted(
                left,
                "That code is incorrect. %(count)s attempt left.",
                "That code is incorrect. %(count)s attempts left.",
            )
        case AttemptsExhausted(retry_after=seconds):
            return _later("Too many incorrect codes. You can request a new code %(when)s.", seconds)
        case ChallengeExpired():
            return Sentence("This code has expired or was already used. Request a new one.")
        case DeliveryError():
            return _undelivered(error)
        case CooldownActive(retry_after=seconds):
            return _later(
                "A code was requested a moment ago. You can request another one %(when)s.", seconds
            )
        case BindingTooLong():
            return Sentence("The request is too large.")
        case RateLimited(scope=scope, retry_after=seconds):
            return _later(_LIMITS.get(scope, _ANY_LIMIT), seconds)
    return BUSY


def after(seconds: int) -> Sentence:
    """`"now"`, `"in 45 seconds"`, `"in 12 minutes"`: never earlier than the real time."""
    if seconds <= 0:
        return Sentence("now")
    if seconds < 120:
        return counted(seconds, "in %(count)s second", "in %(count)s seconds")
    if seconds < 7200:
        return counted(-(-seconds // 60), "in %(count)s minute", "in %(count)s minutes")
    if seconds < 172_800:
        return counted(-(-seconds // 3600), "in %(count)s hour", "in %(count)s hours")
    return counted(-(-seconds // 86_400), "in %(count)s day", "in %(count)s days")


_ANY_LIMIT = "Too many codes were requested. You can try again %(when)s."
_INCORRECT = "Too many incorrect codes were entered for this number. You can try again %(when)s."
_LIMITS = {
    "other_ways": "Too many incorrect answers. You can try again %(when)s.",
    "passwords": "Too many incorrect passwords. You can try again %(when)s.",
    "sends_per_phone": "Too many codes were sent to this number. You can try again %(when)s.",
    "sends_per_ip": "Too many codes were requested from your network. You can try again %(when)s.",
    "failures_per_phone": _INCORRECT,
    "consecutive_failures": _INCORRECT,
}


def _later(text: str, seconds: int) -> Sentence:
    return Sentence(text, params={"when": after(seconds)})


def _undelivered(error: DeliveryError) -> Sentence:
    if error.provider_code == "invalid_phone_number":
        return Sentence("We cannot send messages to this number. Check it for a typing error.")
    if error.maybe_sent:
        return Sentence(
            "We could not confirm that the message was sent. If a code arrives, enter it here. "
            "Otherwise request another one."
        )
    if error.challenge is not None:
        return Sentence("We could not send the message. Try again in a moment.")
    return Sentence("We cannot send messages at the moment. Please try again later.")
