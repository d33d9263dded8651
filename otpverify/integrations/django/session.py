"""What a session keeps of a flow. It holds no phone number that its owner did not type, and no
secret, so that a signed cookie may be the session, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.http import HttpRequest

from otpverify.integrations.django.requests import said
from otpverify.integrations.web.pending import Pending
from otpverify.integrations.web.steps import Notice


@dataclass(frozen=True, slots=True)
class Said:
    """A notice in the words of the page, shown once.

    Attributes:
        text: What is said.
        field: The field that it is about; empty for none.
        error: It went wrong.
        wait: Seconds until the form may be sent again; `when` is how `text` names them.
        typed: What was typed on the first page.
    """

    text: str
    field: str = ""
    error: bool = True
    wait: int = 0
    when: str = ""
    typed: str = ""

    @classmethod
    def of(cls, notice: Notice, typed: str = "") -> Said:
        """A notice in the language of this request."""
        when = notice.sentence.params.get("when")
        return cls(
            text=said(notice.sentence),
            field=notice.field,
            error=notice.error,
            wait=notice.wait,
            when=said(when) if when is not None and notice.wait else "",  # type: ignore[arg-type]  # a Sentence
            typed=typed,
        )

    @property
    def parts(self) -> tuple[str, str, str]:
        """The text before, of and after the wait."""
        return self.text.partition(self.when) if self.when else (self.text, "", "")


class Kept:
    """What this request's session keeps of one flow.

    Args:
        request: The request.
        flow: The flow's name.
    """

    def __init__(self, request: HttpRequest, flow: str) -> None:
        self._session = request.session
        self._shown = request.method != "HEAD"
        self._key = f"otpverify_{flow}"

    def get(self, name: str) -> Any:
        """An entry; `None` if there is none."""
        found = self._session.get(self._key)
        return found.get(name) if isinstance(found, Mapping) else None

    def put(self, **entries: Any) -> None:
        """Set entries; `None` takes one out."""
        found = self._session.get(self._key)
        kept = {**(found if isinstance(found, Mapping) else {}), **entries}
        kept = {name: value for name, value in kept.items() if value is not None}
        if kept:
            self._session[self._key] = kept
        else:
            self._session.pop(self._key, None)

    def clear(self) -> None:
        """Forget the flow."""
        self._session.pop(self._key, None)

    @property
    def pending(self) -> Pending | None:
        """The challenge that waits for its code, unless it expired."""
        found = Pending.load(self.get("pending"))
        return found if found is not None and found.live else None

    @pending.setter
    def pending(self, pending: Pending | None) -> None:
        self.put(pending=None if pending is None else pending.dump())

    def say(self, notice: Said | None, page: str) -> None:
        """Keep a notice for the next time that a page is shown."""
        self.put(notice=None if notice is None else {"page": page, **asdict(notice)})

    def heard(self, page: str) -> Said | None:
        """The notice that waits for a page, which is gone once it was shown."""
        found = self.get("notice")
        if not isinstance(found, Mapping) or found.get("page") != page:
            return None
        if self._shown:
            self.put(notice=None)
        return Said(**{name: value for name, value in found.items() if name != "page"})
