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
    ChallengeExpired,
    OtpVerifyError,
    Verified,
)
from otpverify.demo.accounts import Accounts, Tickets
from otpverify.demo.session import session_of
from otpverify.demo.web import client_ip, go, page, read_form
from otpverify.integrations.web import steps
from otpverify.integrations.web.pending import Pending


class FormRefused(Exception):
    """What was entered will not do.

    Args:
        **shown: What to show, see `go`.
    """

    def __init__(self, **shown: str) -> None:
        super().__init__(*shown.values())
        self.shown = shown


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
    async def identify(self, request: Request, fields: dict[str, str]) -> tuple[str, bool | None]:
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
            who, deliver = await self.identify(request, fields)
        except FormRefused as error:
            return go(request, self.path, **error.shown, **{self.first_field: typed})
        except OtpVerifyError as error:
            return self._begin_again(request, error, typed)
        earlier = self._pending(request)
        try:
            challenge = await self.verifier.start(
                self.phone_of(who),
                purpose=self.purpose,
                client_ip=client_ip(request),
                deliver=deliver,
            )
        except OtpVerifyError as error:
            follows = steps.not_started(error, who, earlier)
        else:
            follows = steps.started(challenge, who)
        if follows.page is steps.Page.CODE:
            session_of(request).put(self.name, follows.pending)
        return self._go(request, follows, typed)

    async def code_page(self, request: Request) -> Response:
        """The form for the code."""
        pending = self._pending(request)
        if pending is None:
            return go(request, self.path, info="There is no code to enter. Start here.")
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
        except OtpVerifyError as failure:
            error = failure
            return self._follow(request, pending, lambda kept: steps.not_accepted(error, kept))
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
        except OtpVerifyError as failure:
            error = failure
            return self._follow(request, pending, lambda kept: steps.not_resent(error, kept))
        return self._follow(request, pending, lambda kept: steps.resent(challenge, kept))

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

    def _follow(
        self, request: Request, pending: Pending, decide: Callable[[Pending], steps.Next]
    ) -> Response:
        """Go where the outcome leads. What is kept may have changed since it was read."""
        self._change(request, pending, lambda kept: decide(kept).pending)
        return self._go(request, decide(pending), pending.who)

    def _begin_again(self, request: Request, error: OtpVerifyError, typed: str = "") -> Response:
        """Back to the first page, with what was typed there."""
        return self._go(request, steps.Next(steps.Page.FIRST, None, steps.notice_of(error)), typed)

    def _go(self, request: Request, follows: steps.Next, typed: str) -> Response:
        shown = shown_as(
            follows.notice, self.first_field if follows.page.value == "first" else "code"
        )
        if follows.page is steps.Page.CODE:
            return go(request, f"{self.path}/code", **shown)
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


def shown_as(notice: steps.Notice | None, field: str) -> dict[str, str]:
    """What `go` is told to show, on a form with this field."""
    if notice is None:
        return {}
    said = str(notice.sentence)
    if not notice.error:
        return {"info": said}
    shown = {"error" if notice.field == field else "trouble": said}
    if notice.wait:
        shown |= {"wait": str(notice.wait), "after": str(notice.sentence.params.get("when", ""))}
    return shown
