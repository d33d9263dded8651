"""Other ways in than the code by SMS: backup codes, an authenticator app, a passkey, and any
other that a site has. The page that asks for the code offers them, also if no message could be
sent.

A way either has an answer that the person types, which `check` judges; or it has pages of the
site's own (`url`), such as those of a passkey, which then finish the sign-in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from otpverify import (
    AsyncVerifier,
    ConfigurationError,
    CooldownActive,
    IncorrectAnswer,
    Limit,
    Verifier,
)
from otpverify.integrations.web.attempts import ANSWER_LIMITS, count_attempt
from otpverify.integrations.web.flow import settled
from otpverify.integrations.web.outcome import Outcome
from otpverify.integrations.web.sentences import LONGEST_FIELD, Sentence

_CODE: Final = Sentence("Code")
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)


@dataclass(frozen=True, slots=True)
class OtherWay:
    """Another way in.

    Attributes:
        name: Its name in addresses: small letters, digits and hyphens.
        label: The words of the link to it, such as "Use a backup code".
        field: The label of the field for the answer.
        check: `(account, answer) -> bool`: whether the answer is right. It also sees to it that an
            answer is accepted once. It may raise an error of the library. `None` for a way with
            pages of the site's own.
        url: The address of the site's own page, or a function that gives it.
        available: `(account) -> bool`: whether the account has this way; all have it if left out.
        limits: How many incorrect answers an account may be given; they are counted in the
            verifier's store. `None`: `check` counts them itself.

    `check` and `available` may be asynchronous with an `AsyncVerifier`.

    Raises:
        ConfigurationError: The name is not valid; or there is not exactly one of `check` and `url`.
    """

    name: str
    label: Sentence
    field: Sentence = _CODE
    check: Callable[[str, str], object] | None = None
    url: str | Callable[[], str] = ""
    available: Callable[[str], object] | None = None
    limits: tuple[Limit, ...] | None = ANSWER_LIMITS

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ConfigurationError("The name of a way in has small letters, digits and hyphens.")
        if (self.check is None) == (not self.url):
            raise ConfigurationError(f"The way {self.name!r} needs either check=... or url=....")

    @property
    def address(self) -> str:
        """The address of the site's own page; empty if the answer is typed."""
        return self.url() if callable(self.url) else self.url


def check_ways(ways: Iterable[OtherWay]) -> tuple[OtherWay, ...]:
    """The ways, each name of which is there once.

    Raises:
        ConfigurationError: One is not an `OtherWay`, or two have one name.
    """
    found = tuple(ways)
    names = [way.name for way in found if isinstance(way, OtherWay)]
    if len(set(names)) != len(found):
        raise ConfigurationError("Other ways in are OtherWay(...) objects with different names.")
    return found


async def available_ways(ways: Iterable[OtherWay], account: str) -> list[OtherWay]:
    """The ways that an account has."""
    found = []
    for way in ways:
        has: object = True if way.available is None else await settled(way.available(account))
        if has:
            found.append(way)
    return found


def listed_ways(
    ways: Iterable[OtherWay], say: Callable[[Sentence], str], address: Callable[[OtherWay], str]
) -> list[dict[str, object]]:
    """Ways for programs, each with its `name`, its `label`, the `url` of its page, and the label of
    the `field` that its answer is typed into; `None` for a way with pages of the site's own.

    Args:
        ways: Those of the account.
        say: Gives a sentence in the person's language.
        address: Gives the page of a way.
    """
    return [
        {
            "name": way.name,
            "label": say(way.label),
            "url": address(way),
            "field": None if way.check is None else say(way.field),
        }
        for way in ways
    ]


def is_code_refused(outcome: Outcome) -> bool:
    """Whether no code can be sent now, so that the person is led to another way in. The cooldown
    does not count: a repeated request meets that of the first one.

    Args:
        outcome: That of `Flow.start`.
    """
    refused = outcome.error is not None and not outcome.saved
    return refused and not isinstance(outcome.error, CooldownActive)


async def check_answer(
    verifier: Verifier | AsyncVerifier, way: OtherWay, account: str, answer: str
) -> None:
    """Judge an answer that a person typed. It returns only if the answer is right.

    Args:
        verifier: Its store counts the attempts.
        way: The way, with a `check`.
        account: The account whose password was right.
        answer: What the person typed.

    Raises:
        IncorrectAnswer: It is not right.
        RateLimited: Too many were not right (`scope` is `"other_ways"`).
        OtpVerifyError: An error that `check` raised, or of the store.
    """
    check = way.check
    if check is None:
        raise ConfigurationError(f"The way {way.name!r} has a page of its own.")
    if not answer.strip() or len(answer) > LONGEST_FIELD:
        raise IncorrectAnswer

    async def passed() -> None:
        if await settled(check(account, answer)) is not True:
            raise IncorrectAnswer

    if way.limits is None:
        await passed()
    else:
        await count_attempt(verifier, passed, way.name, account, limits=way.limits)
