"""The traffic: what people, and attackers, do with a verifier. Each is one coroutine for sync and
async workers; what matters about the answers is not decided here, but by the judge."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from support import wrong

from otpverify import Challenge, Limit, Policy, Verified

POLICY = Policy(
    ttl_seconds=6,
    max_attempts=5,
    resend_cooldown_seconds=1,
    sends_per_phone=(Limit(3, 5), Limit(6, 15)),
    failures_per_phone=Limit(8, 15),
    consecutive_failures=Limit(20, 20),
    sends_per_ip=(Limit(30, 5),),
    undelivered_per_phone=(Limit(2, 15),),
    proof_ttl_seconds=5,
    allow_weak=True,  # all of it must expire, again and again, while the traffic lasts
)
AMOUNT = {"amount": "25.00 EUR"}
SHARED_PHONES = 40
SHARED_NETWORKS = tuple(f"203.0.113.{n}" for n in range(1, 4))
_PHONES = 4_000_000
_PHONES_A_LIFE = 5_000
_FRAUD_PHONES = 2_000
_AREAS = (202, 212, 213, 303, 305, 312, 404, 415, 503, 602, 617, 702, 713, 773, 818, 917)
_FAULTS = ("40", "42", "27", "50", "13", "60", "63", "70")
PUMPED = "+9989"
"""What the numbers of the country begin with where nobody enters a code (Uzbekistan)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call: a result or an error, and the messages that it gave to the sender, as
    pairs of code and report token."""

    outcome: Any
    sent: tuple[tuple[str, str | None], ...] = ()

    @property
    def code(self) -> str:
        """The code that was sent last."""
        return self.sent[-1][0] if self.sent else "000000"


class Desk(Protocol):
    """Where people meet a verifier."""

    async def call(self, operation: str, phone: str, **arguments: Any) -> Answer:
        """Call a method, and write it down."""

    async def together(self, calls: list[Coroutine[Any, Any, Answer]]) -> list[Answer]:
        """Make all calls at once."""

    async def pause(self, seconds: float) -> None:
        """Wait."""

    def elsewhere(self, phone: str, arguments: dict[str, Any]) -> float:
        """Let another process make the same check. Gives the seconds until it does."""


class Numbers:
    """The phones and addresses of those whom one thread or task acts for.

    Args:
        number: Its number; no other has the same phones, but for the shared ones.
        every: How many there are, in all workers.
        life: How often its worker was started before: each begins with other phones.
    """

    def __init__(self, number: int, every: int, life: int) -> None:
        self.random = random.Random(number + every * life)
        self._next = number + every * life * _PHONES_A_LIFE
        self._step = every

    def phone(self) -> str:
        """Of somebody whom no other worker meets."""
        self._next += self._step
        return f"+49151{10_000_000 + self._next % _PHONES}"

    def fraud_phone(self) -> str:
        """One of those that a fraud policy knows."""
        self._next += self._step
        return f"+49152{20_000_000 + self._next % _FRAUD_PHONES}"

    def shared_phone(self) -> str:
        """One that every worker calls."""
        return f"+49160{90_000_000 + self.random.randrange(SHARED_PHONES)}"

    def faulty_phone(self) -> str:
        """One for which the gateway fails."""
        return f"+1{self.random.choice(_AREAS)}55501{self.random.choice(_FAULTS)}"

    def pumped_phone(self) -> str:
        """One that an attacker owns."""
        return f"{PUMPED}{self.random.choice('0134578')}{self.random.randrange(10**7):07}"

    def address(self) -> str:
        """One of very many networks."""
        return f"2001:db8:{self.random.randrange(1 << 16):x}:{self.random.randrange(1 << 16):x}::1"


Walk = Callable[[Desk, Numbers], Awaitable[None]]


async def _start(desk: Desk, phone: str, **arguments: Any) -> tuple[str, Answer]:
    """Start a challenge. Gives its id, or nothing, and the answer."""
    answer = await desk.call("start", phone, **arguments)
    challenge = answer.outcome if isinstance(answer.outcome, Challenge) else None
    if challenge is None:  # of a message in doubt, the challenge stays good
        challenge = getattr(answer.outcome, "challenge", None)
    return (challenge.id if challenge is not None else ""), answer


async def right(desk: Desk, numbers: Numbers) -> None:
    """Enters the code, and redeems its proof: once, or from two tabs at once, and once more."""
    phone = numbers.phone()
    challenge, answer = await _start(desk, phone, client_ip=numbers.address())
    if not challenge:
        return
    checked = await desk.call("check", phone, challenge=challenge, code=answer.code)
    if isinstance(checked.outcome, Verified) and numbers.random.random() < 0.3:
        proof = {"proof": checked.outcome.proof, "about": challenge}
        await desk.together([desk.call("redeem", phone, **proof) for _ in range(2)])
        await desk.call("redeem", phone, **proof)
    if numbers.random.random() < 0.1:
        await desk.call("check", phone, challenge=challenge, code=answer.code)


async def mistyping(desk: Desk, numbers: Numbers) -> None:
    """Enters up to four wrong codes, then the right one, for a payment."""
    phone = numbers.phone()
    bound = {"purpose": "payment", "binding": AMOUNT}
    challenge, answer = await _start(desk, phone, **bound)
    if not challenge:
        return
    for nth in range(1, numbers.random.randrange(5) + 1):
        typed = wrong(answer.code, nth)
        await desk.call("check", phone, challenge=challenge, code=typed, **bound)
    await desk.call("check", phone, challenge=challenge, code=answer.code, **bound)


async def guessing(desk: Desk, numbers: Numbers) -> None:
    """Tries more codes at once than there are attempts; then the right one."""
    phone = numbers.phone()
    challenge, answer = await _start(desk, phone)
    if not challenge:
        return
    guesses = [wrong(answer.code, nth) for nth in range(1, 9)]
    await desk.together(
        [desk.call("check", phone, challenge=challenge, code=code) for code in guesses]
    )
    await desk.call("check", phone, challenge=challenge, code=answer.code)


async def resending(desk: Desk, numbers: Numbers) -> None:
    """Asks again after the cooldown, and once too soon; enters the code that came first or last."""
    phone = numbers.phone()
    challenge, first = await _start(desk, phone)
    if not challenge:
        return
    await desk.call("resend", phone, challenge=challenge)
    await desk.pause(POLICY.resend_cooldown_seconds + 0.05)
    second = await desk.call("resend", phone, challenge=challenge)
    code = numbers.random.choice((first, second if second.sent else first)).code
    await desk.call("check", phone, challenge=challenge, code=code)


async def pressing_twice(desk: Desk, numbers: Numbers) -> None:
    """Sends the right code four times at once."""
    phone = numbers.phone()
    challenge, answer = await _start(desk, phone)
    if challenge:
        check = {"challenge": challenge, "code": answer.code}
        await desk.together([desk.call("check", phone, **check) for _ in range(4)])


async def two_processes(desk: Desk, numbers: Numbers) -> None:
    """Sends the right code to two processes at once."""
    phone = numbers.phone()
    challenge, answer = await _start(desk, phone)
    if challenge:
        check = {"challenge": challenge, "code": answer.code}
        await desk.pause(desk.elsewhere(phone, check))
        await desk.call("check", phone, **check)


async def late(desk: Desk, numbers: Numbers) -> None:
    """Enters the code when it has expired."""
    phone = numbers.phone()
    challenge, answer = await _start(desk, phone)
    if challenge:
        await desk.pause(POLICY.ttl_seconds + 0.2)
        await desk.call("check", phone, challenge=challenge, code=answer.code)


async def cancelling(desk: Desk, numbers: Numbers) -> None:
    """Changes their mind; the code is of no use any more."""
    phone = numbers.phone()
    challenge, answer = await _start(desk, phone)
    if challenge:
        await desk.call("cancel", phone, challenge=challenge)
        await desk.call("check", phone, challenge=challenge, code=answer.code)


async def stealing(desk: Desk, numbers: Numbers) -> None:
    """Uses a code of their own for another's phone, another purpose and another amount; then for
    what it is for."""
    mine, other = numbers.phone(), numbers.phone()
    bound = {"purpose": "payment", "binding": AMOUNT}
    challenge, answer = await _start(desk, mine, **bound)
    victim, _ = await _start(desk, other, **bound)
    if not challenge or not victim:
        return
    with_mine = {"code": answer.code, "challenge": challenge}
    more = {"purpose": "payment", "binding": {"amount": "5000.00 EUR"}}
    await desk.call("check", other, code=answer.code, challenge=victim, **bound)
    await desk.call("check", other, **with_mine, **bound)
    await desk.call("check", mine, **with_mine, purpose="login")
    await desk.call("check", mine, **with_mine, **more)
    checked = await desk.call("check", mine, **with_mine, **bound)
    if isinstance(checked.outcome, Verified):
        proof = {"proof": checked.outcome.proof, "about": challenge}
        await desk.call("redeem", other, **proof, **bound)
        await desk.call("redeem", mine, **proof, **more)
        await desk.call("redeem", mine, **proof, **bound)


async def crowding(desk: Desk, numbers: Numbers) -> None:
    """Starts codes, and guesses, for phones that many call, from networks that many share."""
    phone = numbers.shared_phone()
    purpose = numbers.random.choice(("login", "reset"))
    address = numbers.random.choice(SHARED_NETWORKS)
    starts = [_start(desk, phone, purpose=purpose, client_ip=address) for _ in range(2)]
    for challenge, answer in [await one for one in starts]:
        if not challenge:
            continue
        guess = wrong(answer.code, 1)
        check = {"challenge": challenge, "purpose": purpose}
        await desk.call("check", phone, code=guess, **check)
        if numbers.random.random() < 0.5:
            await desk.call("check", phone, code=answer.code, **check)
        else:
            guesses = [wrong(answer.code, nth) for nth in range(2, 5)]
            await desk.together([desk.call("check", phone, code=one, **check) for one in guesses])


async def concealed(desk: Desk, numbers: Numbers) -> None:
    """Resets a password of an account that may not exist."""
    phone = numbers.phone()
    deliver = numbers.random.random() < 0.5
    challenge, answer = await _start(desk, phone, purpose="reset", deliver=deliver)
    if challenge:
        check = {"challenge": challenge, "purpose": "reset"}
        await desk.call("check", phone, code=wrong(answer.code, 1), **check)
        await desk.call("check", phone, code=answer.code, **check)


async def reported(desk: Desk, numbers: Numbers) -> None:
    """A message is reported as delivered or failed, and forged reports come in between."""
    phone = numbers.phone()
    challenge, answer = await _start(desk, phone)
    token = answer.sent[-1][1] if answer.sent else None
    if not challenge or token is None:
        return
    forged = token[:-1] + ("A" if token[-1] != "A" else "B")
    for nth in range(2):
        status = numbers.random.choice(("delivered", "undelivered"))
        told = {"about": challenge, "status": status}
        await desk.call("delivery_report", phone, report_token=forged, forged=True, **told)
        await desk.call("delivery_report", phone, report_token=token, forged=False, **told)
        if nth == 0:
            await desk.call("status", phone, challenge=challenge)
            await desk.call("resend", phone, challenge=challenge)
    await desk.call("check", phone, challenge=challenge, code=answer.code)


async def faulty(desk: Desk, numbers: Numbers) -> None:
    """Has a phone for which the gateway fails."""
    phone = numbers.faulty_phone()
    challenge, answer = await _start(desk, phone)
    if challenge:
        await desk.call("check", phone, challenge=challenge, code=answer.code)


async def known(desk: Desk, numbers: Numbers) -> None:
    """A user of a site with a fraud policy, who enters most of their codes."""
    phone = numbers.fraud_phone()
    challenge, answer = await _start(desk, phone, client_ip=numbers.address())
    if challenge and numbers.random.random() < 0.9:
        await desk.call("check", phone, challenge=challenge, code=answer.code)
    if numbers.random.random() < 0.02:
        await desk.call("inspect", phone)


async def pumping(desk: Desk, numbers: Numbers) -> None:
    """Has messages sent that nobody enters."""
    await _start(desk, numbers.pumped_phone(), client_ip=numbers.address())


WALKS: dict[str, tuple[tuple[Walk, int], ...]] = {
    "plain": (
        *((right, 30), (mistyping, 10), (guessing, 4), (resending, 4), (pressing_twice, 8)),
        *((two_processes, 4), (late, 2), (cancelling, 4), (stealing, 5), (crowding, 10)),
        *((concealed, 6),),
    ),
    "gateway": (
        *((right, 20), (mistyping, 5), (guessing, 2), (resending, 4), (pressing_twice, 4)),
        *((stealing, 3), (concealed, 4), (reported, 10), (faulty, 4)),
    ),
    "fraud": ((known, 30), (pumping, 6)),
}
"""What the people of each of a worker's verifiers do, and how often: on a quick hasher and a sender
that is always there; on the costly hasher and the real gateway; with a fraud policy."""


async def live(desk: Desk, numbers: Numbers, variant: str) -> None:
    """One person's way."""
    walks, weights = zip(*WALKS[variant], strict=True)
    await numbers.random.choices(walks, weights)[0](desk, numbers)
