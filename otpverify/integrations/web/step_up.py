"""Step-up: views that need a code first, and the way back to what the person was doing.

There are two kinds. **A code within the last minutes** serves several requests: after a right code
the session states that this account proved itself (`SessionStamp`). **A code for exactly this** is
a proof that the view uses up; with a binding, the code approves these facts and no others.

A form that needs a code first is kept in the session, and after the code the person sends it with
one press. It is never sent by itself. The kept form allows nothing: the view checks the proof, and
where the binding comes from the form, a form that differs has no proof. So an old copy of the
session, or fields that its owner changed, gain nothing.

What is kept:

- The fields of a form that this site's own pages sent, as they came. The CSRF token is left out;
  the page that continues has a new one.
- A form is kept whole or not at all. It is not kept if it has a file, a field that looks like a
  secret (a password, a PIN, a card number), or more than the session can hold. The person reads
  that before the code, and fills in the form again after it.
- One form for each session: the newest one, for `KEPT_SECONDS`.

A session that is a signed cookie has some 4 KB for all that the site puts there, and its owner can
read it. So such a session keeps forms of at most `LARGEST_IN_COOKIE` bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Collection, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias
from urllib.parse import urlsplit

from otpverify import AsyncVerifier, ConfigurationError, Verifier
from otpverify.errors import BindingTooLong
from otpverify.integrations.web.problems import explained
from otpverify.integrations.web.session import SESSION_PREFIX
from otpverify.integrations.web.session_stamp import SessionStamp
from otpverify.sms.approval import check_size

Fields: TypeAlias = tuple[tuple[str, str], ...]

LARGEST_IN_COOKIE: Final = 1_200
"""The largest form that a session in a cookie keeps, in bytes of JSON."""
LARGEST_FORM: Final = 32_768
"""The largest form that a session on the server keeps, in bytes of JSON."""
KEPT_SECONDS: Final = 1_800
"""How long a form is kept: as long as a code and its proof are valid together, and some more."""
REPEAT_SECONDS: Final = 30
"""How long the same form is taken for a second press of its button."""
LONGEST_WINDOW: Final = 86_400
"""The longest time that one code may serve, in seconds."""

_KEY: Final = f"{SESSION_PREFIX}step-up/"
_CSRF: Final = re.compile(r"csrf|xsrf|^_token$|^authenticity_token$", re.IGNORECASE)
_SECRET: Final = re.compile(
    r"pass(?!(age|enger|port|ive))|pwd|kennwort|secret|token|credential|api.?key|private.?key|card.?(num|no)"
    r"|cc.?num|cvv|cvc|(?<![a-z])(pin|otp|csc|ssn)(?![a-z])",
    re.IGNORECASE,
)
_FORMS: Final = frozenset({"", "application/x-www-form-urlencoded", "multipart/form-data"})


@dataclass(frozen=True, slots=True, repr=False)
class SentForm:
    """A form as it came, in a request that changes something.

    Attributes:
        action: The address that it was sent to, with its query.
        fields: Names and values, in their order.
        files: Whether it has a file.
        content_type: The request's header.
        headers: The request's headers `Sec-Fetch-Site` and `Origin`, and any others.
        host: The site's host, with the port if there is one.
    """

    action: str
    fields: Sequence[tuple[str, str]]
    files: bool
    content_type: str
    headers: Mapping[str, str]
    host: str

    @property
    def readable(self) -> bool:
        """Whether it is a form, and not what a program sent."""
        return self.content_type.partition(";")[0].strip().lower() in _FORMS

    @property
    def own(self) -> bool:
        """Whether a page of this site sent it. The form of another site must not come back with a
        CSRF token of this one. Clients that do not say where a form comes from are not browsers of
        today, and the site's own protection has passed their form."""
        fetched = self.headers.get("Sec-Fetch-Site")
        if fetched is not None:  # today's browsers send it, whichever host a proxy writes
            return fetched == "same-origin"
        origin = self.headers.get("Origin")
        try:
            return origin is None or urlsplit(origin).netloc.lower() == self.host.lower()
        except ValueError:  # a client may send any text
            return False


@dataclass(frozen=True, slots=True, repr=False)
class KeptForm:
    """A form that waits until the person proved who they are.

    Attributes:
        action: The address to send it to, a path of this site.
        fields: Names and values, in their order, without the CSRF token.
    """

    action: str
    fields: Fields

    @property
    def digest(self) -> str:
        """A digest that no other form has; it does not show the fields."""
        return hashlib.sha256(json.dumps(self.dump()).encode()).hexdigest()[:32]

    def dump(self) -> list[Any]:
        """As plain values."""
        return [self.action, [list(field) for field in self.fields]]

    @classmethod
    def load(cls, found: object) -> Self | None:
        """What `dump` wrote; `None` for any other value."""
        match found:
            case [str(action), list(fields)]:
                pairs = tuple((field[0], field[1]) for field in fields if _is_pair(field))
                return cls(action, pairs) if len(pairs) == len(fields) else None
        return None


class StepUp:
    """What a session holds of the step-up for one purpose: the facts to approve, the page to return
    to, and the form to continue.

    Args:
        session: The session.
        purpose: What the code is for.
        account: The account that is signed in. Another account's entry is not seen.
    """

    def __init__(self, session: MutableMapping[str, Any], purpose: str, account: str) -> None:
        self._session = session
        self._key = _KEY + purpose
        self._account = account

    def begin(
        self,
        *,
        binding: Mapping[str, str] | None = None,
        target: str | None = None,
        form: KeptForm | None = None,
        lost: bool = False,
    ) -> None:
        """A view needs a code. It replaces the purpose's earlier entry.

        Args:
            binding: The facts that the code approves.
            target: The page to return to, a path of this site.
            form: The form to continue.
            lost: A form was sent that cannot be kept.
        """
        if form is not None:
            self._drop_other_forms()
        entry = {
            "account": self._account,
            "at": int(time.time()),
            "binding": dict(binding) if binding else None,
            "next": target,
            "form": None if form is None else form.dump(),
            "lost": lost or None,
        }
        self._session[self._key] = {name: value for name, value in entry.items() if value}

    def end(self, done: KeptForm | None = None) -> None:
        """The view has what it needs: drop the entry.

        Args:
            done: The form that the view acts on, which shows that the same form is a repeat.
        """
        self._session.pop(self._key, None)
        if done is not None:
            entry = {"account": self._account, "at": int(time.time()), "done": done.digest}
            self._session[self._key] = entry

    def repeats(self, form: KeptForm | None) -> bool:
        """Whether the view acted on the same form a moment ago: a second press of the button,
        which must not lead to a second action."""
        entry = self._entry()
        recent = self._younger_than(REPEAT_SECONDS)
        return form is not None and recent and entry.get("done") == form.digest

    @property
    def binding(self) -> dict[str, str] | None:
        """The facts that the code approves."""
        found = self._entry().get("binding")
        if not isinstance(found, Mapping):
            return None
        texts = all(isinstance(part, str) for pair in found.items() for part in pair)
        return dict(found) if texts else None

    @property
    def target(self) -> str | None:
        """The page to return to. The frameworks check once more that it is of this site."""
        found = self._entry().get("next")
        return found if isinstance(found, str) else None

    @property
    def form(self) -> KeptForm | None:
        """The form to continue, as long as it is kept."""
        return (
            KeptForm.load(self._entry().get("form")) if self._younger_than(KEPT_SECONDS) else None
        )

    @property
    def lost(self) -> bool:
        """Whether the form that was sent could not be kept."""
        return bool(self._entry().get("lost"))

    def _entry(self) -> Mapping[str, Any]:
        found = self._session.get(self._key)
        if not isinstance(found, Mapping) or found.get("account") != self._account:
            return {}
        return found

    def _younger_than(self, seconds: int) -> bool:
        at = self._entry().get("at")
        return isinstance(at, int | float) and at > time.time() - seconds

    def _drop_other_forms(self) -> None:
        for key in list(self._session.keys()):  # Django's sessions have no __iter__
            found = self._session.get(key) if str(key).startswith(_KEY) else None
            if isinstance(found, Mapping) and "form" in found:
                rest = {name: value for name, value in found.items() if name != "form"}
                self._session[key] = {**rest, "lost": True}


def keep_form(
    sent: SentForm, *, largest: int, csrf_fields: Collection[str] = ()
) -> KeptForm | None:
    """The form to continue; `None` if it cannot be kept, as this module says.

    Args:
        sent: The form.
        largest: The most bytes of JSON: `LARGEST_IN_COOKIE` or `LARGEST_FORM`.
        csrf_fields: The names of the site's own CSRF tokens.
    """
    if sent.files or not (sent.readable and sent.own):
        return None
    fields = [
        (name, value)
        for name, value in sent.fields
        if name not in csrf_fields and not _CSRF.search(name)
    ]
    if any(value and _SECRET.search(name) for name, value in fields):
        return None
    form = KeptForm(sent.action, tuple(fields))
    return form if _size(form.dump()) <= largest else None


def window(
    verifier: Verifier | AsyncVerifier,
    session: MutableMapping[str, Any],
    purpose: str,
    within: int = LONGEST_WINDOW,
) -> SessionStamp:
    """The session's statement that an account entered a code for a purpose.

    Save it after a right code without a binding, with the facts that end it when they change: what
    changes with the account's password, and its phone.

    Args:
        verifier: Its secrets sign.
        session: The session.
        purpose: What the code was for.
        within: How many seconds ago it may have been right.
    """
    return SessionStamp(verifier, session, f"step-up/{purpose}", seconds=within)


def check_window(within: int | None, *, bound: bool, aged: bool) -> None:
    """Check the arguments of a view that needs a code within the last minutes.

    Args:
        within: The seconds; `None` for a view whose proof is used up.
        bound: Whether it has a binding.
        aged: Whether it has a `max_age`.

    Raises:
        ConfigurationError: They are not valid.
    """
    if within is None:
        return
    whole = isinstance(within, int) and not isinstance(within, bool)
    if not whole or not 0 < within <= LONGEST_WINDOW:
        raise ConfigurationError(f"within= is whole seconds, from 1 to {LONGEST_WINDOW}.")
    if bound:
        raise ConfigurationError(
            "A code that approves a binding serves once: leave out within= or binding=."
        )
    if aged:
        raise ConfigurationError("max_age= is for proofs that are used up: within= has an age.")


def guarded_methods(methods: Collection[str] | None) -> frozenset[str] | None:
    """The methods for which a view needs a code; `None` for all. A HEAD calls the same code as a
    GET.

    Raises:
        ConfigurationError: They are one text, or none.
    """
    if methods is None:
        return None
    if isinstance(methods, str) or not methods:
        raise ConfigurationError('methods= is a list of HTTP methods, such as ["POST"].')
    names = {method.upper() for method in methods}
    return frozenset(names | {"HEAD"} if "GET" in names else names)


def refused_binding(binding: Mapping[str, str] | None) -> BindingTooLong | None:
    """The error of a binding that is too long for every message: no code can approve it, and the
    session need not keep it. `None` if it is not.

    Raises:
        ConfigurationError: It does not map str to str.
    """
    try:
        check_size(binding or {})
    except BindingTooLong as error:
        return explained(error)
    return None


def sent_fields(fields: Iterable[tuple[str, Iterable[str]]]) -> list[tuple[str, str]]:
    """Names and values, from names with all of their values."""
    return [(name, value) for name, values in fields for value in values]


def _is_pair(field: object) -> bool:
    return isinstance(field, list | tuple) and [type(part) for part in field] == [str, str]


def _size(value: object) -> int:
    # A session is escaped in most stores, and a lone surrogate has no UTF-8.
    return len(json.dumps(value).encode())
