"""What is kept in Flask's session, all of it in one entry.

The session is a cookie that is signed and not encrypted, and that whoever has an old one may send
again. So there is no code in it, no secret of the server's, and no phone that its owner did not
type; and nothing is believed because it is there alone: a challenge and a proof are asked of the
store, which takes each once.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from flask import current_app, request, session
from markupsafe import Markup
from werkzeug.exceptions import BadRequest

from otpverify.integrations.web.pending import Pending

ENTRY: Final = "_otpverify"
TOKEN_FIELD: Final = "otpverify_token"  # noqa: S105 - the name of a form's field


def get(name: str) -> Any:
    """An entry; `None` if there is none."""
    return _all().get(name)


def put(name: str, value: object) -> None:
    """Set an entry; `None` removes it."""
    entries = {**_all(), name: value}
    session[ENTRY] = {name: value for name, value in entries.items() if value is not None}


def _all() -> Mapping[str, Any]:
    found = session.get(ENTRY)
    return found if isinstance(found, Mapping) else {}


def pending(purpose: str) -> Pending | None:
    """The challenge that waits for its code."""
    return Pending.load(get(f"pending {purpose}"))


def keep_pending(purpose: str, what: Pending | None) -> None:
    """Keep a challenge until its code comes; `None` forgets it."""
    put(f"pending {purpose}", None if what is None else what.dump())


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that waits to be redeemed, and whose it is."""

    proof: str
    who: str

    @classmethod
    def load(cls, purpose: str) -> Self | None:
        """The one that is kept for a purpose."""
        kept = get(f"proof {purpose}")
        if not isinstance(kept, Mapping):
            return None
        return cls(str(kept.get("proof")), str(kept.get("who")))

    def keep(self, purpose: str) -> None:
        """Keep it."""
        put(f"proof {purpose}", asdict(self))


def forget_proof(purpose: str) -> None:
    """Forget it."""
    put(f"proof {purpose}", None)


@dataclass(frozen=True, slots=True)
class Said:
    """What the next page is to say, once.

    Attributes:
        page: Which page.
        text: In the person's language.
        kind: `"error"` of a field, `"trouble"` above the form, or `"info"`.
        when: The words in the text that say how long to wait.
        until: When the form may be sent again, in seconds since 1970.
        typed: What to fill in again.
    """

    page: str
    text: str = ""
    kind: str = ""
    when: str = ""
    until: float = 0
    typed: str = ""

    def keep(self, purpose: str) -> None:
        """Keep it for the next page. There is one at a time: cookies are small."""
        put("said", {**asdict(self), "page": f"{purpose} {self.page}"})

    @classmethod
    def take(cls, purpose: str, page: str) -> Self:
        """What this page is to say."""
        kept = get("said")
        if not isinstance(kept, Mapping) or kept.get("page") != f"{purpose} {page}":
            return cls(page)
        put("said", None)
        try:
            return cls(**{**kept, "page": page})
        except TypeError:  # another release has written it
            return cls(page)

    @property
    def wait(self) -> int:
        """Seconds until the form may be sent again."""
        return max(0, int(self.until - time.time() + 0.999))


def csrf_token() -> str:
    """This session's token, the same in all its forms."""
    token = get("csrf")
    if not isinstance(token, str):
        token = secrets.token_urlsafe(24)
        put("csrf", token)
    return token


def csrf_fields() -> Markup:
    """The hidden fields that every form needs: ours, and that of Flask-WTF's `CSRFProtect` where
    the application has it."""
    field = Markup('<input type="hidden" name="{}" value="{}">')
    fields = field.format(TOKEN_FIELD, csrf_token())
    other = current_app.jinja_env.globals.get("csrf_token")
    if "csrf" in current_app.extensions and callable(other):
        name = current_app.config.get("WTF_CSRF_FIELD_NAME", "csrf_token")
        fields += field.format(name, other())
    return fields


def check_csrf() -> None:
    """Look whether the form came from a page of this session.

    Raises:
        BadRequest: It did not.
    """
    expected = get("csrf")
    given = request.form.get(TOKEN_FIELD, "")
    if not isinstance(expected, str) or not hmac.compare_digest(given.encode(), expected.encode()):
        raise BadRequest("This form has expired. Go back, reload the page, and send it again.")


def rotate() -> None:
    """Begin a new session, for the moment when this one gains rights: nobody who had a part in
    what was before, by a planted cookie or on a shared machine, has a part in what comes. A
    session that is kept on the server gets a new id. Entries that are to outlive a login are named
    in `OTPVERIFY_KEEP_AT_LOGIN`."""
    names = current_app.config["OTPVERIFY_KEEP_AT_LOGIN"]
    stays = {name: session[name] for name in names if name in session}
    session.clear()
    session.update(stays)
    csrf_token()
    # Flask-Session, and whoever follows it.
    regenerate = getattr(current_app.session_interface, "regenerate", None)
    if callable(regenerate):
        regenerate(session)
