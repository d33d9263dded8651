"""Notices, which the next page shows once, and what else a redirect carries to that page: the text
to fill in again, and where the session stood when a request was refused.

A person sometimes sends a form twice. The second request may bring an old session, and be refused
since the first one succeeded. Its reply does not set the session; the page that it leads to reads
the session that the browser has by then, and `ahead` says whether the flow is further by now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final, Literal, Self, TypeAlias

from otpverify import (
    AttemptsExhausted,
    DeliveryError,
    DestinationBlocked,
    HumanCheckRequired,
    IncorrectCode,
    InvalidPhoneNumber,
    OtpVerifyError,
    RateLimited,
)
from otpverify.integrations.web import sentences
from otpverify.integrations.web.sentences import Sentence
from otpverify.integrations.web.session import Pending, Proof

Field: TypeAlias = Literal["phone", "code", "human_check", ""]
Kind: TypeAlias = Literal["", "error", "trouble", "info"]

NOTICE_COOKIE: Final = "otpverify_notice"
"""Notices have a cookie of their own, since the reply to a refused request sets no session."""
NOTICE_SECONDS: Final = 300
"""How long a notice may be shown."""
_FIELDS: Final = ("phone", "code", "human_check", "")


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice that the next page shows once.

    Attributes:
        sentence: The text.
        field: The field that it is about; empty for a notice above the form. `"human_check"`: the
            form needs a human check.
        error: Whether it is about an error.
        wait: Seconds until the same form may be sent again, which the sentence names as its
            parameter `when`; 0 if there is nothing to wait for.
    """

    sentence: Sentence
    field: Field = ""
    error: bool = True
    wait: int = 0

    @classmethod
    def of(cls, error: OtpVerifyError) -> Self:
        """The notice about an error: its text, its field, and how long it applies."""
        wait = 0
        if isinstance(
            error, RateLimited | AttemptsExhausted | DestinationBlocked
        ) and not isinstance(error, HumanCheckRequired):  # nobody needs to wait for that
            wait = error.retry_after or 0
        return cls(sentences.explain(error), _field(error), wait=wait)

    @classmethod
    def load(cls, entry: object) -> Self | None:
        """The notice that `dump` wrote; `None` for any other value."""
        if not isinstance(entry, Mapping):
            return None
        sentence = Sentence.load(entry.get("sentence"))
        wait = entry.get("wait")
        if sentence is None or not isinstance(wait, int) or entry.get("field") not in _FIELDS:
            return None
        return cls(sentence, entry["field"], bool(entry.get("error")), wait)

    def dump(self) -> dict[str, Any]:
        """As plain values, to be carried to the page that a redirect leads to."""
        return {
            "sentence": self.sentence.dump(),
            "field": self.field,
            "error": self.error,
            "wait": self.wait,
        }

    def translated(self, say: Callable[[Sentence], str] = str) -> tuple[str, tuple[str, str, str]]:
        """The text, and its parts before, of and after the words that name the wait.

        Args:
            say: Gives a sentence in the page's language.
        """
        text = say(self.sentence)
        when = self.sentence.params.get("when") if self.wait else None
        if not isinstance(when, Sentence):
            return text, (text, "", "")
        return text, text.partition(say(when))


def _field(error: OtpVerifyError) -> Field:
    if isinstance(error, IncorrectCode):
        return "code"
    if isinstance(error, HumanCheckRequired):
        return "human_check"
    if isinstance(error, InvalidPhoneNumber | DestinationBlocked):
        return "phone"
    wrong = isinstance(error, DeliveryError) and error.provider_code == "invalid_phone_number"
    return "phone" if wrong else ""


@dataclass(frozen=True, slots=True, repr=False)
class ShownNotice:
    """A notice in the page's language.

    Attributes:
        text: Its text.
        parts: The text before, of and after the words that say how long to wait.
        kind: `"error"` of a field, `"trouble"` above the form, `"info"`, or empty.
        wait: Seconds until the form may be sent again.
        typed: The text to fill in again.
        human_check: The form needs a human check.
    """

    text: str = ""
    parts: tuple[str, str, str] = ("", "", "")
    kind: Kind = ""
    wait: int = 0
    typed: str = ""
    human_check: bool = False

    def __bool__(self) -> bool:
        return bool(self.text)

    @property
    def error(self) -> bool:
        """Whether it is about an error."""
        return self.kind in ("error", "trouble")


@dataclass(frozen=True, slots=True, repr=False)
class Carried:
    """The values that a redirect carries to its target page.

    Attributes:
        notice: The page's notice.
        typed: The text to fill in again.
        held: Where the session stood when a request was refused, by `held_by`; `None` if none was.
        of_field: The notice is about the input in the page's own form.
    """

    notice: Notice | None = None
    typed: str = ""
    held: str | None = None
    of_field: bool = False

    def shown(self, say: Callable[[Sentence], str], field: str) -> ShownNotice:
        """The notice as a page shows it.

        Args:
            say: Gives a sentence in the page's language.
            field: The field that the page's form asks for.
        """
        if self.notice is None:
            return ShownNotice(typed=self.typed)
        kind: Kind = "info"
        if self.notice.error:
            of_field = self.of_field or (self.notice.field and self.notice.field == field)
            kind = "error" if of_field else "trouble"
        text, parts = self.notice.translated(say)
        human_check = self.notice.field == "human_check"
        return ShownNotice(text, parts, kind, self.notice.wait, self.typed, human_check)

    def dump(self, page: str) -> list[Any]:
        """As plain values for a signed cookie, which its owner can read.

        Args:
            page: The target page; `load` accepts no other.
        """
        notice = self.notice
        return [page, notice and notice.dump(), self.typed, self.held, self.of_field]

    @classmethod
    def load(cls, found: object, page: str, seconds: float) -> Self | None:
        """What `dump` wrote for this page; `None` for any other value.

        Args:
            found: The values.
            page: The page that is shown.
            seconds: Their age. The notice's wait is shorter by as much.
        """
        if not isinstance(found, list) or len(found) != 5 or found[0] != page:
            return None
        _, dumped, typed, held, of_field = found
        notice = Notice.load(dumped)
        if notice is not None and notice.wait:
            notice = replace(notice, wait=max(0, notice.wait - int(seconds)))
        return cls(notice, str(typed), held if isinstance(held, str) else None, bool(of_field))


def held_by(entry: Pending | Proof | None, session: str = "") -> str:
    """Where a session stands: the kind of its entry and the challenge's id.

    Args:
        entry: The session's entry.
        session: A digest of the session's key, where sessions are on the server: an old key has no
            entry any more.
    """
    if entry is None:
        return f"session {session}" if session else ""
    return f"{'pending' if isinstance(entry, Pending) else 'proof'} {entry.challenge}"


class Ahead(Enum):
    """Where a flow is by now, after a request of it was refused: it waits for a code, it has the
    proof of a right code, or it ended."""

    CODE = "code"
    PROOF = "proof"
    DONE = "done"


def ahead(
    held: str | None, entry: Pending | Proof | None, finished: Mapping[str, Any] | None
) -> Ahead | None:
    """Whether the refused request repeated one that succeeded.

    Args:
        held: `Carried.held`.
        entry: The entry of the session that the browser has by now.
        finished: The session's record of the flow's end: its `challenge`, and the digest `session`
            of the session that the successful request brought.

    Returns:
        Where the flow is; `None` if the request did not repeat one that succeeded.
    """
    if held is None:
        return None
    kind, _, value = held.partition(" ")
    challenge = "" if kind == "session" else value
    if isinstance(entry, Pending):
        return Ahead.CODE if entry.challenge != challenge else None
    if isinstance(entry, Proof) and kind == "session":  # the right code replaced its key
        return Ahead.PROOF
    if isinstance(entry, Proof) and (kind, challenge) == ("pending", entry.challenge):
        return Ahead.PROOF
    if finished is None or not value:
        return None
    name = "session" if kind == "session" else "challenge"
    return Ahead.DONE if finished.get(name) == value else None
