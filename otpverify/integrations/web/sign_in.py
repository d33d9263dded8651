"""Sign in or up by phone: the rule of what follows a right code. It needs no password.

The account is looked up by the number that the code proved, after the code. A lookup before it only
decides whether a concealed flow sends a message.

| accounts with the number | the person |
|---|---|
| one that may sign in | is signed in |
| none, and the site lets new numbers in | gets an account, once the site has what else it needs |
| none otherwise; two that may sign in; only ones that may not | is refused |

A person who is refused, or whose account needs more first, keeps the proof of the code, so that the
next page can say so, and a repeated request leads to the same page. The proof is redeemed
immediately before the account is created or signed in: two requests with one proof have one result.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final, Generic, TypeAlias, TypeVar

from otpverify import ChallengeExpired, VerificationFailed, Verified
from otpverify.integrations.web.flow import Flow, settled
from otpverify.integrations.web.notices import Notice
from otpverify.integrations.web.outcome import Outcome, Page, Reply
from otpverify.integrations.web.problems import SignInRefused
from otpverify.integrations.web.sentences import Sentence
from otpverify.integrations.web.session import Proof
from otpverify.phone import mask

A = TypeVar("A")
Find: TypeAlias = Callable[[str], Any]
Create: TypeAlias = Callable[[Verified], A | Awaitable[A | None] | None]
Hold: TypeAlias = Callable[[A], Any]

PURPOSE: Final = "sign-in"

_log = logging.getLogger("otpverify.integrations")


class Standing(Enum):
    """What a proved number means to the site: one account may sign in (`KNOWN`); there is none and
    one may be created (`NEW`); or the person is refused."""

    KNOWN = "known"
    NEW = "new"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, repr=False)
class Match(Generic[A]):
    """What the site's accounts say about a number.

    Attributes:
        standing: What it means.
        account: The account, where it is `KNOWN`.
    """

    standing: Standing
    account: A | None = None


@dataclass(frozen=True, slots=True, repr=False)
class SignedIn(Generic[A]):
    """The result of `SignIn.finish`.

    Attributes:
        outcome: The flow's outcome. With an error nobody is signed in. Without one: `verified` is
            set if the person is signed in; otherwise the proof waits.
        account: The account to sign in.
        created: Whether this request created it.
        held: The value with which the site held the account up; `None` if it did not.
    """

    outcome: Outcome
    account: A | None = None
    created: bool = False
    held: Any = None

    @property
    def step(self) -> str:
        """`"signed_in"`; `"sign_up"` if an account must be created first; `"held"` if the site asks
        for more first; or `"refused"`."""
        if self.outcome.error is not None:
            return "refused"
        if self.account is not None and self.held is None:
            return "signed_in"
        return "held" if self.held is not None else "sign_up"

    def reply(self, say: Callable[[Sentence], str] = str) -> Reply:
        """The reply for programs: that of the outcome, with `step` as its `sign_in`.

        Args:
            say: Gives a sentence in the person's language.
        """
        reply = self.outcome.reply(say)
        return replace(reply, body={**reply.body, "sign_in": self.step})


async def match_account(
    phone: str,
    find: Find,
    may_sign_in: Callable[[A], Any] = lambda _: True,
    *,
    sign_up: bool = False,
) -> Match[A]:
    """What the site's accounts say about a number. An account is never guessed: two that may sign
    in are logged, for the operator to solve. It serves other flows that begin with a number, too,
    such as the password reset.

    Args:
        phone: In E.164.
        find, may_sign_in, sign_up: As for `SignIn`.
    """
    found = await settled(find(phone))
    accounts = found if isinstance(found, list | tuple) else [found]
    accounts = [account for account in accounts if account is not None]
    usable = [one for one in accounts if await settled(may_sign_in(one))]
    if len(usable) == 1:
        return Match(Standing.KNOWN, usable[0])
    if usable:
        _log.warning(
            "%d accounts have the number %s, so it opens none of them.", len(usable), mask(phone)
        )
    return Match(Standing.REFUSED if accounts or not sign_up else Standing.NEW)


class SignIn(Generic[A]):
    """Sign-in by phone during one request.

    Args:
        flow: The flow of the purpose `PURPOSE`; people type their phone. It is concealed unless
            `sign_up` is set.
        find: Gives the accounts with a phone in E.164, those that may not sign in included: a list,
            one account, or `None`. It may be asynchronous if the flow is; so may the others.
        may_sign_in: Whether an account may sign in, such as `user.is_active`.
        sign_up: New numbers may get an account.
    """

    def __init__(
        self,
        flow: Flow,
        *,
        find: Find,
        may_sign_in: Callable[[A], Any] = lambda _: True,
        sign_up: bool = False,
    ) -> None:
        self.flow = flow
        self.sign_up = sign_up
        self._find = find
        self._may_sign_in = may_sign_in

    async def match(self, phone: str) -> Match[A]:
        """See `match_account`.

        Args:
            phone: In E.164.
        """
        return await match_account(phone, self._find, self._may_sign_in, sign_up=self.sign_up)

    async def exists(self, phone: str) -> bool:
        """Whether a message goes out: for `Flow.start(deliver=...)` where the flow is concealed.

        Args:
            phone: In E.164.
        """
        return (await self.match(phone)).standing is Standing.KNOWN

    async def current(self) -> Match[A] | None:
        """What the number that this session proved means to the site, for the page that follows the
        code; `None` without a proof that is not too old."""
        proof = await self.flow.current()
        return await self.match(proof.subject) if isinstance(proof, Proof) else None

    async def finish(
        self, create: Create[A] | None = None, hold: Hold[A] | None = None
    ) -> SignedIn[A]:
        """Use the session's proof up, and give the account to sign in. Call it after a right code,
        and again when the person has given what the site asks for.

        Args:
            create: Creates the account of a new number, and returns it; `None` if another request
                was faster, which the database's unique phone says. If that request had another
                phone, but the same e-mail address or the like, the person begins again. Leave it
                out while the site needs more to create it: the result's `step` is then `"sign_up"`.
            hold: Gets an account before it is signed in. Any value but `None` holds it up, such as
                the page that asks for more where the number may have a new owner.
        """
        proof = await self.flow.current()
        if not isinstance(proof, Proof):
            return SignedIn(_refused(ChallengeExpired(), Page.FIRST, self.flow.entry))
        match = await self.match(proof.subject)
        waits = Outcome(Page.NEXT, proof)
        if match.standing is Standing.REFUSED:
            return SignedIn(_refused(SignInRefused(), Page.NEXT, proof))
        if match.account is not None and hold is not None:
            held = await settled(hold(match.account))
            if held is not None:
                return SignedIn(waits, match.account, held=held)
        if match.standing is Standing.NEW and create is None:
            return SignedIn(waits)
        outcome = await self.flow.redeem()
        if outcome.verified is None:
            if isinstance(outcome.error, VerificationFailed):
                outcome = _refused(ChallengeExpired(), Page.FIRST)
            return SignedIn(outcome)
        if match.account is not None or create is None:
            return SignedIn(outcome, match.account)
        account = await settled(create(outcome.verified))
        if account is not None:
            return SignedIn(outcome, account, created=True)
        now = await self.match(proof.subject)  # of the request that was faster
        if now.account is not None:
            return SignedIn(outcome, now.account)
        # Where the number is still new, another value was taken, such as the e-mail address.
        again = now.standing is Standing.NEW
        error = ChallengeExpired() if again else SignInRefused()
        return SignedIn(replace(_refused(error, Page.FIRST), saved=True))


def _refused(error: ChallengeExpired | SignInRefused, page: Page, entry: Any = None) -> Outcome:
    return Outcome(page, entry, Notice.of(error), error)
