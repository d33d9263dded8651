"""How a flow answers: pages, redirects, and what the next page is to say."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from flask import current_app, redirect, request, url_for
from werkzeug.wrappers import Response

from otpverify import ConfigurationError, OtpVerifyError, Verified
from otpverify.integrations.flask import kept, pages
from otpverify.integrations.web import steps
from otpverify.integrations.web.sentences import Sentence

if TYPE_CHECKING:
    from otpverify.integrations.flask.extension import OtpVerify

LONGEST_FIELD: Final = 256


class Refused(Exception):
    """What was entered will not do."""

    def __init__(self, sentence: Sentence, typed: str) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence
        self.typed = typed


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a code is for.

    Attributes:
        who: What the session keeps.
        phone: Where the code goes.
        typed: What to fill in again.
        deliver: Whether it really goes out.
    """

    who: str
    phone: str
    typed: str
    deliver: bool = True


@dataclass(frozen=True, slots=True)
class Proved:
    """A right code: whom it was for, in the session's words, and what it proves."""

    who: str
    verified: Verified


class Replies:
    """What all flows answer with.

    Args:
        otp: The extension.
    """

    name: ClassVar[str]
    purpose: str
    first_field: ClassVar[str] = "phone"  # in the first form

    def __init__(self, otp: OtpVerify) -> None:
        self.otp = otp

    @property
    def key(self) -> str:
        """What the session's entries of this flow are called by."""
        return self.purpose

    def typed(self, name: str) -> str:
        """A field of the form that was sent."""
        return request.form.get(name, "").strip()[:LONGEST_FIELD]

    def call(self, name: str, *args: Any) -> Any:
        """Ask the application; its function may be asynchronous."""
        function = self.otp.hook(name)
        if function is None:
            raise ConfigurationError(f"The flow {self.name!r} needs @otp.{name}.")
        return current_app.ensure_sync(function)(*args)

    def url(self, step: str, **values: Any) -> str:
        """The address of a step."""
        name = f".{self.name}_{step}" if step else f".{self.name}"
        return url_for(name, **(request.view_args or {}), **values)

    def show(self, template: str, said: kept.Said, **more: Any) -> str:
        """A page."""
        return pages.show(self.otp, template, said, flow=self, **more)

    def respond(self, response: Any, target: str | None) -> Response:
        """The application's answer, or to where the person wanted to go, or to the end."""
        if response is not None:
            made: Response = current_app.make_response(response)
            return made
        return redirect(target or self.url("done"), 303)

    def target(self) -> str | None:
        """Where the person wanted to go when this flow began; from now on, nowhere."""
        found = kept.get("next")
        if not isinstance(found, list) or found[:1] != [self.key]:
            return None
        kept.put("next", None)
        return pages.safe_next(found[-1])

    def begin_again(self, sentence: Sentence, kind: str, typed: str = "") -> Response:
        """To the first page, which says something."""
        kept.Said("first", self.otp.say(sentence), kind, typed=typed).keep(self.key)
        return redirect(self.url(""), 303)

    def fail(self, error: OtpVerifyError, typed: str = "", page: str = "first") -> Response:
        """To the first page, or another, which says what went wrong."""
        self._keep_notice(page, steps.notice_of(error), typed)
        return redirect(self.url("" if page == "first" else page), 303)

    def follow(self, follows: steps.Next, typed: str) -> Response:
        """To where an outcome leads."""
        page = follows.page.value
        if follows.notice is not None:
            self._keep_notice(page, follows.notice, typed)
        return redirect(self.url("" if page == "first" else page), 303)

    def _keep_notice(self, page: str, notice: steps.Notice, typed: str) -> None:
        field = self.first_field if page == "first" else page
        kind = "info"
        if notice.error:
            kind = "error" if notice.field and notice.field == field else "trouble"
        when = notice.sentence.params.get("when") if notice.wait else None
        kept.Said(
            page,
            self.otp.say(notice.sentence),
            kind,
            self.otp.say(when) if isinstance(when, Sentence) else "",
            time.time() + notice.wait if notice.wait else 0,
            typed,
        ).keep(self.key)
