"""The steps that all flows share: start, enter the code, send again, cancel.

Every POST answers with a redirect, so that a reload never sends or checks anything again. The
challenge's id and the phone are kept on the server; forms, addresses and cookies hold neither.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from otpverify import (
    AsyncVerifier,
    AttemptsExhausted,
    ChallengeExpired,
    CooldownActive,
    DeliveryError,
    DeliveryRejected,
    IncorrectCode,
    OtpVerifyError,
    RateLimited,
    Verified,
)
from otpverify.demo import sentences
from otpverify.demo.accounts import Accounts, Tickets
from otpverify.demo.pending import Delivery, Pending
from otpverify.demo.session import session_of
from otpverify.demo.web import client_ip, go, page, read_form


class FormRefused(Exception):
    """What was entered will not do; the message says why."""


class Flow(ABC):
    """One flow. Its pages live under `/<name>`; `who` is whom a code is for, in its own terms.

    Args:
        verifier: Sends and checks the codes.
        accounts: Who may sign in.
        tickets: What was proved.
    """

    name: ClassVar[str]
    purpose: ClassVar[str]
    first_field: ClassVar[str] = "phone"  # in the first form, for `who`

    def __init__(self, verifier: AsyncVerifier, accounts: Accounts, tickets: Tickets) -> None:
        self.verifier = verifier
        self.accounts = accounts
        self.tickets = tickets
        self.path = f"/{self.name}"

    @abstractmethod
    async def identify(self, fields: dict[str, str]) -> tuple[str, bool]:
        """`who`, from the first form, and whether a code may really go out.

        Raises:
            FormRefused, InvalidPhoneNumber: It will not do.
        """

    @abstractmethod
    def phone_of(self, who: str) -> str:
        """The phone that a code for `who` goes to, in E.164."""

    @abstractmethod
    def shown(self, who: str) -> str:
        """How the code page names that phone."""

    @abstractmethod
    def succeed(self, request: Request, verified: Verified) -> Response:
        """What follows a right code."""

    def routes(self) -> list[Route]:
        """All pages of the flow."""
        return [
            Route(self.path, self.first_page, methods=["GET"]),
            Route(self.path, self.start, methods=["POST"]),
            Route(f"{self.path}/code", self.code_page, methods=["GET"]),
            Route(f"{self.path}/code", self.check, methods=["POST"]),
            Route(f"{self.path}/resend", self.resend, methods=["POST"]),
            Route(f"{self.path}/cancel", self.cancel, methods=["POST"]),
            Route(f"{self.path}/done", self.done_page, methods=["GET"]),
        ]

    async def first_page(self, request: Request) -> Response:
        """The form that the flow begins with."""
        return page(request, f"{self.name}.html", flow=self)

    @abstractmethod
    async def done_page(self, request: Request) -> Response:
        """The flow's end."""

    async def start(self, request: Request) -> Response:
        """Send the first code."""
        fields = await read_form(request)
        typed = fields.get(self.first_field, "")
        try:
            who, deliver = await self.identify(fields)
        except FormRefused as error:
            return go(request, self.path, error=str(error), **{self.first_field: typed})
        except OtpVerifyError as error:
            return self._begin_again(request, error, typed)
        try:
            challenge = await self.verifier.start(
                self.phone_of(who),
                purpose=self.purpose,
                client_ip=client_ip(request),
                deliver=deliver,
            )
        except OtpVerifyError as error:
            return self._not_started(request, who, error, typed)
        session_of(request).put(self.name, Pending.of(challenge, who))
        return go(request, f"{self.path}/code")

    async def code_page(self, request: Request) -> Response:
        """The form for the code."""
        pending = self._pending(request)
        if pending is None:
            return go(request, self.path, info="There is no code to enter. Begin here.")
        return page(request, "code.html", flow=self, shown=self.shown(pending.who), pending=pending)

    async def check(self, request: Request) -> Response:
        """Check a code."""
        fields = await read_form(request)
        pending = self._pending(request)
        if pending is None:
            return self._begin_again(request, ChallengeExpired())
        try:
            verified = await self.verifier.check(
                self.phone_of(pending.who),
                fields.get("code", ""),
                challenge=pending.challenge,
                purpose=self.purpose,
            )
        except IncorrectCode as error:
            left = error.attempts_left
            if left == 0:
                exhausted = AttemptsExhausted(retry_after=pending.resend_in)
                return self._over(request, pending, exhausted)
            if left is not None:
                self._change(request, pending, lambda kept: kept.attempted(left))
            return go(request, f"{self.path}/code", error=sentences.explain(error))
        except (AttemptsExhausted, ChallengeExpired) as error:
            return self._over(request, pending, error)
        except OtpVerifyError as error:
            return go(request, f"{self.path}/code", trouble=sentences.explain(error))
        self._change(request, pending, lambda _: None)
        return self.succeed(request, verified)

    async def resend(self, request: Request) -> Response:
        """Send another code, or the first one that goes out."""
        await read_form(request)
        pending = self._pending(request)
        if pending is None:
            return self._begin_again(request, ChallengeExpired())
        try:
            challenge = await self.verifier.resend(
                self.phone_of(pending.who),
                challenge=pending.challenge,
                purpose=self.purpose,
                client_ip=client_ip(request),
            )
        except (AttemptsExhausted, ChallengeExpired) as error:
            return self._over(request, pending, error)
        except OtpVerifyError as error:
            if isinstance(error, DeliveryRejected) and error.challenge is None:
                return self._over(request, pending, error)
            return self._still_pending(request, pending, error)
        self._change(request, pending, lambda kept: kept.renewed(challenge))
        first = pending.delivery is Delivery.NOT_SENT
        said = f"{'A' if first else 'Another'} code is on its way."
        return go(request, f"{self.path}/code", info=said)

    async def cancel(self, request: Request) -> Response:
        """Void the challenge and begin anew."""
        await read_form(request)
        pending = self._pending(request)
        if pending is not None:
            self._change(request, pending, lambda _: None)
            try:
                await self.verifier.cancel(
                    self.phone_of(pending.who), challenge=pending.challenge, purpose=self.purpose
                )
            except OtpVerifyError as error:
                return self._begin_again(request, error, pending.who)
        return go(request, self.path)

    def _not_started(
        self, request: Request, who: str, error: OtpVerifyError, typed: str
    ) -> Response:
        if isinstance(error, DeliveryError) and error.challenge is not None:
            pending = Pending.of(error.challenge, who, Delivery.after(error))
            session_of(request).put(self.name, pending)
            return self._still_pending(request, pending, error)
        earlier = self._pending(request)
        if isinstance(error, CooldownActive) and earlier is not None and earlier.who == who:
            return self._still_pending(request, earlier, error)
        return self._begin_again(request, error, typed)

    def _still_pending(self, request: Request, pending: Pending, error: OtpVerifyError) -> Response:
        """Back to the code page: a code that is out, or arrives after all, still works."""

        def changed(kept: Pending) -> Pending:
            if isinstance(error, RateLimited):
                return kept.delayed(error.retry_after)
            if isinstance(error, DeliveryError) and error.challenge is not None:
                return kept.renewed(error.challenge, Delivery.after(error))
            return kept

        self._change(request, pending, changed)
        return go(request, f"{self.path}/code", **sentences.notice(error, field=False))

    def _over(self, request: Request, pending: Pending, error: OtpVerifyError) -> Response:
        self._change(request, pending, lambda _: None)
        return self._begin_again(request, error, pending.who)

    def _begin_again(self, request: Request, error: OtpVerifyError, typed: str = "") -> Response:
        """Back to the first page, with what was typed there."""
        shown = sentences.notice(error, field=self.first_field == "phone")
        return go(request, self.path, **shown, **{self.first_field: typed})

    def _pending(self, request: Request) -> Pending | None:
        kept = session_of(request).get(self.name)
        return kept if isinstance(kept, Pending) and kept.live else None

    def _change(
        self, request: Request, pending: Pending, change: Callable[[Pending], Pending | None]
    ) -> None:
        """Change what is kept of this challenge; one that another request began stays."""

        def changed(kept: Pending | None) -> Pending | None:
            same = kept is not None and kept.challenge == pending.challenge
            return change(kept) if kept is not None and same else kept

        session_of(request).change(self.name, Pending, changed)
