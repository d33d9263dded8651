"""What the sandbox reads from a request and writes as a reply, without I/O."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass, field
from email.message import Message
from typing import Literal, Self
from urllib.parse import SplitResult, parse_qs, urlsplit


def names_this_machine(host: str | None) -> bool:
    """Whether a `Host` header names this machine; HTTP/1.0 clients may send none."""
    if host is None:
        return True
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return is_loopback(name)


def is_loopback(host: str) -> bool:
    """Whether this name or address stands for this machine alone."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def from_another_site(headers: Message) -> bool:
    """Whether a browser sent the request for a page of another site.

    Browsers name the page's site in `Sec-Fetch-Site` (Fetch Metadata), and its origin in `Origin`
    (RFC 6454; `null` for a page that has none) or at least in `Referer`. Other programs send none
    of them. Another port of this machine is another origin: another program serves it.
    """
    sites = {site.strip().lower() for site in headers.get_all("Sec-Fetch-Site", [])}
    if sites - {"same-origin", "none"}:  # "none": the person typed the address
        return True
    own = f"http://{headers.get('Host', '')}".lower()
    if any(origin.strip().lower() != own for origin in headers.get_all("Origin", [])):
        return True
    pages = [page.strip().lower() for page in headers.get_all("Referer", [])]
    return any(page != own and not page.startswith(f"{own}/") for page in pages)


def query_of(url: SplitResult) -> dict[str, object]:
    """The fields of an address's query."""
    return pairs_of(url.query)


def pairs_of(text: str) -> dict[str, object]:
    """Decoded name and value pairs; a recipient that is named several times is a batch."""
    found = parse_qs(text, keep_blank_values=True)
    fields: dict[str, object] = {name: values[-1] for name, values in found.items()}
    if len(numbers := found.get("toNumber", [])) > 1:
        fields["toNumber"] = numbers
    return fields


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
    body: bytes = field(default=b"", repr=False)  # the inbox: numbers and codes
    content_type: str = "application/json"
    headers: Headers = ()

    @classmethod
    def of_json(cls, value: object, status: int = 200, headers: Headers = ()) -> Self:
        """A reply that says `value`."""
        return cls(status, json.dumps(value).encode(), headers=headers)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal, independent of the dialect.

    Attributes:
        text: The error text.
        status: The HTTP status, in the dialect 2.0.
        headers: Further headers.
    """

    text: str = field(repr=False)  # it may repeat a number
    status: int = 400
    headers: Headers = ()

    def worded(self, dialect: Dialect) -> Reply:
        """The reply that says so."""
        if dialect == "2.0":
            return Reply.of_json({"error": self.text}, self.status, self.headers)
        # What HTTP itself defines (402, 429, 5xx) keeps its status.
        status = 200 if self.status in (400, 401) else self.status
        return Reply.of_json({"status": "error", "message": self.text}, status, self.headers)
