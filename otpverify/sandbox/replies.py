"""What goes back to a client, in either of the gateway's dialects: that of the API
documentation 2.0, and that of the 2025 tutorial, whose own refusals come with status 200."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal, Self

Dialect = Literal["2.0", "tutorial"]
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply, before it is written.

    Attributes:
        status: The HTTP status.
        body: The body's bytes.
        content_type: What they are.
        headers: Further headers.
    """

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Headers = ()

    @classmethod
    def of_json(cls, value: object, status: int = 200, headers: Headers = ()) -> Self:
        """A reply that says `value`."""
        return cls(status, json.dumps(value).encode(), headers=headers)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A no, before it is worded.

    Attributes:
        text: The error text.
        status: The HTTP status, in the dialect 2.0.
        headers: Further headers.
    """

    text: str
    status: int = 400
    headers: Headers = ()

    def worded(self, dialect: Dialect) -> Reply:
        """The reply that says so."""
        if dialect == "2.0":
            return Reply.of_json({"error": self.text}, self.status, self.headers)
        # What HTTP itself defines (402, 429, 5xx) keeps its status.
        status = 200 if self.status in (400, 401) else self.status
        return Reply.of_json({"status": "error", "message": self.text}, status, self.headers)
