"""The three flows."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from otpverify import AsyncVerifier, VerificationFailed, Verified
from otpverify.demo.accounts import PASSWORD, PHONE, SHORTEST_PASSWORD, USER, Accounts, Tickets
from otpverify.demo.guesses import Guesses, TooManyGuesses
from otpverify.demo.session import rename_session, session_of
from otpverify.demo.steps import Flow, FormRefused, shown_as
from otpverify.demo.web import client_ip, go, page, read_form
from otpverify.integrations.web.sentences import Sentence, after
from otpverify.integrations.web.steps import Notice
from otpverify.phone import mask, normalize

REGION = "EE"
_SIGNED_IN = "signed-in"
_TOO_MANY = "Too many wrong passwords. You can try again %(when)s."


class Login(Flow):
    """A password, then a code to the account's phone. `who` is the user."""

    name = "login"
    purpose = "login"
    first_field = "user"

    def __init__(self, verifier: AsyncVerifier, accounts: Accounts, tickets: Tickets) -> None:
        super().__init__(verifier, accounts, tickets)
        self.guesses = Guesses()

    def routes(self) -> list[Route]:
        """All pages of the flow."""
        return [*super().routes(), Route("/login/out", self.sign_out, methods=["POST"])]

    async def first_page(self, request: Request) -> Response:
        """The password form."""
        return page(
            request,
            "login.html",
            flow=self,
            user=USER,
            password=PASSWORD,
            changed=self.accounts.changed,
        )

    async def identify(self, request: Request, fields: dict[str, str]) -> tuple[str, bool | None]:
        """The user, when the password is right."""
        user, address = fields.get("user", "").strip(), client_ip(request) or ""
        try:
            self.guesses.count(user, address)
        except TooManyGuesses as error:
            seconds = error.retry_after
            notice = Notice(Sentence(_TOO_MANY, params={"when": after(seconds)}), wait=seconds)
            raise FormRefused(**shown_as(notice, self.first_field)) from error
        right = await run_in_threadpool(
            self.accounts.password_is_right, user, fields.get("password", "")
        )
        if not right:
            raise FormRefused(error="User name or password is wrong.")
        self.guesses.forgive(user, address)
        return user, None

    def phone_of(self, who: str) -> str:
        """The account's phone."""
        return self.accounts.phone_of(who)

    def shown(self, who: str) -> str:
        """Masked: a password alone must not tell the number."""
        return mask(self.phone_of(who))

    def succeed(self, request: Request, verified: Verified) -> Response:
        """Sign in, under a new session id. What other tabs are at goes on."""
        user = self.accounts.user_of(verified.phone)
        rename_session(request)
        if user is not None:
            session_of(request).put("signed_in", self.tickets.issue(_SIGNED_IN, user))
        return go(request, "/login/done")

    async def done_page(self, request: Request) -> Response:
        """Who is signed in."""
        user = self.tickets.holder(_SIGNED_IN, session_of(request).get("signed_in"))
        if user is None:
            return go(request, self.path, info="Nobody is signed in. Start here.")
        return page(request, "login_done.html", flow=self, user=user)

    async def sign_out(self, request: Request) -> Response:
        """End what belongs to the login, and nothing else."""
        await read_form(request)
        session = session_of(request)
        self.tickets.redeem(_SIGNED_IN, session.pop("signed_in"))
        session.pop(self.name)
        return go(request, self.path, info="You are signed out.")


class PhoneConfirmation(Flow):
    """A number is typed and confirmed. `who` is the number in E.164."""

    name = "phone"
    purpose = "phone"

    async def identify(self, _: Request, fields: dict[str, str]) -> tuple[str, bool | None]:
        """The number."""
        return normalize(fields.get("phone", ""), REGION), None

    def phone_of(self, who: str) -> str:
        """The number itself."""
        return who

    def shown(self, who: str) -> str:
        """In full, so that a mistyped digit can be seen."""
        return who

    def succeed(self, request: Request, verified: Verified) -> Response:
        """The confirmed number is the verified one, never what a form says."""
        session_of(request).put("confirmed", verified.phone)
        return go(request, "/phone/done")

    async def done_page(self, request: Request) -> Response:
        """Which number was confirmed."""
        phone = session_of(request).get("confirmed")
        if phone is None:
            return go(request, self.path, info="No number is confirmed yet. Start here.")
        return page(request, "phone_done.html", flow=self, phone=phone)


class PasswordReset(Flow):
    """A code to the account's phone allows one new password. Whether there is an account shows
    nowhere: for an unknown number a decoy is started. `who` is the number in E.164."""

    name = "reset"
    purpose = "password-reset"

    def routes(self) -> list[Route]:
        """All pages of the flow."""
        return [
            *super().routes(),
            Route("/reset/password", self.password_page, methods=["GET"]),
            Route("/reset/password", self.set_password, methods=["POST"]),
        ]

    async def first_page(self, request: Request) -> Response:
        """The form for the number."""
        return page(request, "reset.html", flow=self, phone=PHONE)

    async def identify(self, _: Request, fields: dict[str, str]) -> tuple[str, bool | None]:
        """The number, and whether it has an account."""
        phone = normalize(fields.get("phone", ""), REGION)
        return phone, self.accounts.user_of(phone) is not None

    def phone_of(self, who: str) -> str:
        """The number itself."""
        return who

    def shown(self, who: str) -> str:
        """In full: it is what was typed."""
        return who

    def succeed(self, request: Request, verified: Verified) -> Response:
        """Allow one new password; a refused one does not cost another SMS."""
        session_of(request).put("may_reset", verified)
        return go(request, "/reset/password")

    async def password_page(self, request: Request) -> Response:
        """The form for the new password."""
        verified = session_of(request).get("may_reset")
        if not isinstance(verified, Verified):
            return go(request, self.path, info="Prove your phone first. Start here.")
        user = self.accounts.user_of(verified.phone)
        return page(request, "password.html", flow=self, user=user, shortest=SHORTEST_PASSWORD)

    async def set_password(self, request: Request) -> Response:
        """Set it, once, and sign everybody out."""
        fields = await read_form(request)
        password = fields.get("password", "")
        if len(password) < SHORTEST_PASSWORD:
            said = f"A password has at least {SHORTEST_PASSWORD} characters."
            return go(request, "/reset/password", error=said)
        session = session_of(request)
        user = await self._prove(session.pop("may_reset"))
        if user is None:
            return go(request, self.path, trouble="This took too long. Request a new code.")
        await run_in_threadpool(self.accounts.set_password, password)
        self.tickets.revoke(_SIGNED_IN, user)
        session.put("was_reset", True)
        return go(request, "/reset/done")

    async def _prove(self, verified: object) -> str | None:
        """The account whose phone was proved, once."""
        if not isinstance(verified, Verified):
            return None
        try:
            await self.verifier.redeem(verified.phone, verified.proof, purpose=self.purpose)
        except VerificationFailed:
            return None
        return self.accounts.user_of(verified.phone)

    async def done_page(self, request: Request) -> Response:
        """The password was changed."""
        if not session_of(request).get("was_reset"):
            return go(request, self.path, info="Start here.")
        return page(request, "reset_done.html", flow=self)
