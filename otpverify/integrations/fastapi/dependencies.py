"""Dependencies: the application's verifier, what a request says, the session of a flow, and the
proof that a route needs."""

# Annotations are not postponed: FastAPI could not resolve names that are local to a factory.

import hashlib
import ipaddress
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial, wraps
from typing import Annotated, Any, Final, ParamSpec, TypeAlias, TypeVar, cast

from fastapi import BackgroundTasks, Depends, Header
from fastapi.concurrency import run_in_threadpool
from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.middleware.sessions import Session
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from otpverify import (
    AsyncSender,
    AsyncVerifier,
    ChallengeExpired,
    ConfigurationError,
    Message,
    OtpVerifyError,
    Prices,
    Receipt,
    Sender,
    Verified,
)
from otpverify._sync import suspends
from otpverify.core.secret_strength import Secrets, read_secrets
from otpverify.engine.operations import check_words
from otpverify.integrations.fastapi.models import TOKEN_HEADER, OtpStart
from otpverify.integrations.fastapi.responses import ProofRequired
from otpverify.integrations.web import problems
from otpverify.integrations.web.enrolment import enrolled
from otpverify.integrations.web.flow import Accounts, Flow
from otpverify.integrations.web.languages import preferred_language
from otpverify.integrations.web.requests import client_address
from otpverify.integrations.web.session import Proof as Entry, Recipient
from otpverify.integrations.web.sign_in import SignedIn, SignIn
from otpverify.phone import mask

A = TypeVar("A")
P = ParamSpec("P")
D = TypeVar("D")
E = TypeVar("E")
Dependency: TypeAlias = Callable[..., Any]

ROUTER_VERIFIER: Final = "otpverify_router_verifier"
"""Where `otp_router` leaves its verifier in `request.state`, for `typed_phone`."""

_KEY: Final = "otpverify_verifier"
_FINISHERS: Final = "otpverify_finishers"
_HEADER = Header(description="The last token that a reply of this flow brought.")
_LONGEST_TOKEN: Final = 4096
_log = logging.getLogger("otpverify.integrations")


def otp_lifespan(
    make: Callable[[], AsyncVerifier] = AsyncVerifier.from_env,
) -> Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]:
    """A lifespan that makes the verifier when the application starts, and closes it (the client
    and store of `AsyncVerifier.from_env`) when it ends.

    In a lifespan of your own: `async with otp_lifespan()(app) as state: yield {**state, ...}`.

    Args:
        make: Makes the verifier. You close the objects that you passed to it yourself.

    Raises:
        ConfigurationError: When the application starts: a setting is missing or unsafe.
    """

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[Mapping[str, Any]]:
        async with make() as verifier:
            yield {_KEY: verifier}

    return lifespan


async def get_verifier(connection: HTTPConnection) -> AsyncVerifier:
    """A dependency: the verifier that `otp_lifespan` made.

    In tests: `app.dependency_overrides[get_verifier] = lambda: verifier`.

    Raises:
        ConfigurationError: The application has no verifier.
    """
    verifier = connection.scope.get("state", {}).get(_KEY)
    if not isinstance(verifier, AsyncVerifier):
        raise ConfigurationError(
            "There is no verifier. Make it with FastAPI(lifespan=otp_lifespan()), and use "
            "TestClient(app) in a with block; or give otp_router(verifier=...) a dependency."
        )
    return verifier


class _AfterReply:
    """An `AsyncSender` that leaves messages to FastAPI's background tasks of one request."""

    def __init__(self, sender: Sender | AsyncSender, tasks: BackgroundTasks) -> None:
        self._sender = sender
        self._tasks = tasks

    @property
    def prices(self) -> Prices | None:
        """The sender's, if it has some."""
        return getattr(self._sender, "prices", None)

    async def send(self, message: Message) -> Receipt:
        """Queue the message for later."""
        self._tasks.add_task(self._deliver, message)
        return Receipt()

    async def _deliver(self, message: Message) -> None:
        send: Any = self._sender.send
        try:
            await (send(message) if suspends(send) else run_in_threadpool(send, message))
        except OtpVerifyError as error:
            _log.warning("A message was not delivered: %s", error)
        except Exception as error:
            # Its words may repeat the message.
            _log.error("The sender failed: %s", type(error).__name__)


async def get_background_verifier(
    verifier: Annotated[AsyncVerifier, Depends(get_verifier)], tasks: BackgroundTasks
) -> AsyncVerifier:
    """A dependency: the verifier that `get_verifier` gives, whose messages are sent after the
    reply. For `OtpFlow(deliver=..., verifier=get_background_verifier)` and the like: otherwise the
    time of a reply shows who has an account. It takes no delivery reports.

    This is not a queue. Messages are in this process only. If the process ends, messages that wait
    are lost without a log line: the send stays counted, and the person asks for another code after
    the cooldown. Only the client retries. If you need more, use `otpverify.integrations.celery`.
    """
    return verifier.with_sender(_AfterReply(verifier.sender, tasks))


async def get_client_ip(connection: HTTPConnection) -> str | None:
    """A dependency: the address of the connection, for the limit per network. No header is
    trusted: behind a proxy, name the proxy to the server (`uvicorn --proxy-headers
    --forwarded-allow-ips 10.0.0.7`), which then sets the address. `None` without an IP address,
    as with a Unix socket."""
    host = connection.client.host if connection.client else ""
    try:
        return str(ipaddress.ip_address(client_address(host) or ""))
    except ValueError:
        return None


async def get_locale(connection: HTTPConnection) -> str:
    """A dependency: the message's language, the one that `Accept-Language` prefers."""
    return preferred_language(connection.headers.get("accept-language"))


async def typed_phone(request: Request, body: OtpStart) -> str:
    """The phone that the person typed, in E.164, as the router's verifier reads it.

    Raises:
        InvalidPhoneNumber: It is not a phone number.
        ConfigurationError: The route is not one of `otp_router`.
    """
    verifier = getattr(request.state, ROUTER_VERIFIER, None)
    if not isinstance(verifier, AsyncVerifier):
        raise ConfigurationError("TypedPhone is only for the dependencies of otp_router.")
    return verifier.normalize(body.phone)


TypedPhone = Annotated[str, Depends(typed_phone)]
"""The phone that the person typed, in E.164, for a dependency that says whether a code may go
there: `async def has_account(phone: TypedPhone) -> bool`."""


# The person that a code is for.


def owner_of(account: Dependency | None, recipient: Dependency | None) -> Dependency:
    """A dependency: the account that gets the phone that is typed; `None` without `account`.

    Raises:
        ConfigurationError: There are both. In a request: `account` gives no text.
    """
    if account is not None and recipient is not None:
        raise ConfigurationError(
            "account=... is for a phone that is typed: give it, or recipient=..., not both."
        )

    async def nobody() -> None:
        return None

    if account is None:
        return nobody

    async def owner(found: Annotated[Any, Depends(account)]) -> str:
        if not isinstance(found, str) or not found:
            raise ConfigurationError("account=... must give the account's id, a text.")
        return found

    return owner


def recipient_of(to: Recipient | None, owner: str | None) -> Recipient | Accounts | None:
    """The recipient of a flow; one that is for an account continues for no other account."""
    return to if owner is None else partial(enrolled, owner)


# The session of a flow: a signed cookie, or a signed token. The client gains nothing when it sends
# an old one again: only the store decides how many attempts are left, and whether a code or a proof
# was used.


async def cookie_session(connection: HTTPConnection) -> MutableMapping[str, Any]:
    """A dependency: the session of Starlette's `SessionMiddleware`, a signed cookie that its
    owner can read.

    Raises:
        ConfigurationError: The middleware is missing.
    """
    if "session" not in connection.scope:
        raise ConfigurationError(
            "The session is missing. Add Starlette's: app.add_middleware(SessionMiddleware, "
            "secret_key=..., https_only=True); or give otp_router(session=...) a dependency."
        )
    return connection.session


class FlowTokens:
    """A session for clients without cookies: a signed token in the header `Otp-Flow`. A reply of
    the router that changes something brings a new one, and the client sends the last one it got.
    A refused request that changes nothing brings none.
    Pass one instance as `session=` to the router and to every dependency that needs its proof.

    The token holds the same data as the cookie: the challenge's id, the recipient's subject, later
    the proof; never a phone number that its holder did not type. Anyone who has it can use it, as
    with a cookie, so apps keep it in memory only. For accounts, `recipient` binds it to the account
    that is signed in.

    A page of another origin can read the header only if you expose it:
    `app.add_middleware(CORSMiddleware, ..., expose_headers=["Otp-Flow"])`.

    Args:
        secret: Signs it, at least 32 bytes, the same in every process. A sequence rotates: the
            first signs, all are accepted.
        max_age_seconds: How long a token is good.

    Raises:
        ConfigurationError: A secret is missing, too short or weak.
    """

    def __init__(
        self,
        secret: Secrets,
        *,
        max_age_seconds: int = 3600,
    ) -> None:
        self._max_age = max_age_seconds
        self._serializer = URLSafeTimedSerializer(
            read_secrets(secret)[::-1],  # the last one signs
            salt="otpverify.engine",
            signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
        )

    async def __call__(
        self, connection: HTTPConnection, otp_flow: Annotated[str, _HEADER] = ""
    ) -> MutableMapping[str, Any]:
        """The dependency."""
        held = self._read(otp_flow)
        before = dict(held)

        def finish(response: Response) -> None:
            if held != before:
                response.headers[TOKEN_HEADER] = str(self._serializer.dumps(held))

        finishers(connection).append(finish)
        return held

    def _read(self, token: str) -> dict[str, Any]:
        try:
            found = self._serializer.loads(token[:_LONGEST_TOKEN], max_age=self._max_age)
        except BadData:
            return {}
        return dict(found) if isinstance(found, Mapping) else {}


def finishers(connection: HTTPConnection) -> list[Callable[[Response], None]]:
    """The changes that a session makes to the reply."""
    found: list[Callable[[Response], None]] = connection.scope.setdefault(_FINISHERS, [])
    return found


def leave_session(session: MutableMapping[str, Any]) -> None:
    """Prevent a cookie in the reply to a refused request. The request may be a repeat with an old
    cookie, and the reply to the first request has set a newer one."""
    if isinstance(session, Session):
        session.modified = False


# The proof of a right code.


class Proof:
    """A proof that the session holds, and that is not redeemed yet.

    Attributes:
        phone: The phone that it is said to be for, in E.164. Nothing is proved before `redeem`.
    """

    def __init__(self, flow: Flow, phone: str, max_age: float | None = None) -> None:
        self.phone = phone
        self._flow = flow
        self._max_age = max_age

    def __repr__(self) -> str:
        return f"Proof(phone={mask(self.phone)!r})"

    async def redeem(self) -> Verified:
        """Use it up, once.

        Returns:
            The facts that the right code proved.

        Raises:
            ProofRequired: It was used, has expired, was cancelled, or is for another phone or
                another binding.
            StoreError: The store cannot answer. The proof may still be good.
        """
        outcome = await self._flow.redeem(max_age=self._max_age)
        if isinstance(outcome.error, problems.ProofRequired):
            raise ProofRequired(self._flow.purpose)
        return cast("Verified", outcome.raised().verified)

    async def sign_in(
        self,
        find: Callable[[str], Any],
        *,
        may_sign_in: Callable[[A], Any] = lambda _: True,
        sign_up: bool = False,
        create: Callable[[Verified], Any] | None = None,
        hold: Callable[[A], Any] | None = None,
    ) -> SignedIn[A]:
        """Sign in or up by phone: use it up, and give the account to sign in. The functions may be
        asynchronous.

        Args:
            find: Gives the accounts with a phone in E.164, those that may not sign in included.
            may_sign_in: Whether an account may sign in, such as `user.is_active`.
            sign_up: New numbers may get an account.
            create: Creates the account of a new number, and returns it; `None` if another request
                was faster, which the database's unique phone says. Leave it out while the account
                needs more from the person.
            hold: Gets an account before it is signed in. Any value but `None` holds it up, such as
                where the number may have a new owner.

        Returns:
            Its `step` is `"signed_in"`, and `account` is the one; or `"sign_up"` or `"held"`: the
            site needs more first, and the proof stays.

        Raises:
            SignInRefused: The number signs nobody in. The proof stays.
            ProofRequired: The proof was used, has expired or was cancelled.
            StoreError: The store cannot answer. The proof may still be good.
        """
        rule = SignIn(self._flow, find=find, may_sign_in=may_sign_in, sign_up=sign_up)
        result = await rule.finish(create, hold)
        if isinstance(result.outcome.error, ChallengeExpired):
            raise ProofRequired(self._flow.purpose)
        result.outcome.raised()
        return result


def held_proof(
    purpose: str = "verify",
    *,
    recipient: Dependency | None = None,
    account: Dependency | None = None,
    verifier: Dependency = get_verifier,
    session: Dependency = cookie_session,
    max_age: float | None = None,
) -> Callable[..., Awaitable[Proof]]:
    """A dependency that gives the session's `Proof`, or answers 403 when it holds none. It costs
    nothing before `await proof.redeem()`, so a request that is refused for another reason, such as
    a new password that is too short, can be repeated without another code.

    A route that never redeems it needs "a code within the last `max_age` seconds", and so may
    others: one code serves them all. Such routes look at the session alone. Put in the `subject`
    of the `recipient` what changes with the account's password, so that the proof ends with it.

    Args:
        purpose: The flow's.
        recipient, account, verifier, session: As given to `otp_router`. `ConfigurationError` is
            raised for a proof that needs the `recipient` or `account` of its router where it was
            left out here.
        max_age: How many seconds ago the code may have been right, at most the policy's
            `proof_ttl_seconds`, which is the default.

    Raises:
        ConfigurationError: The purpose is not a text; or there are both `recipient` and `account`.
    """
    check_words(purpose, None)
    owner = owner_of(account, recipient)

    async def no_recipient() -> None:
        return None

    async def proof(
        found: Annotated[AsyncVerifier, Depends(verifier)],
        held: Annotated[MutableMapping[str, Any], Depends(session)],
        to: Annotated[Recipient | None, Depends(recipient or no_recipient)],
        own: Annotated[str | None, Depends(owner)],
    ) -> Proof:
        flow = Flow(found, held, purpose=purpose, recipient=recipient_of(to, own))
        if recipient is None and account is None and isinstance(flow.entry, Entry):
            _check_that_it_was_typed(flow.entry, purpose)
        entry = await flow.current(max_age=max_age)
        if not isinstance(entry, Entry):
            raise ProofRequired(purpose)
        typed = entry.subject.partition(" ")[0]  # for an account, its id follows
        return Proof(flow, typed if to is None else to.phone, max_age)

    return proof


def _after(make: Callable[P, D]) -> Callable[[Callable[[D], E]], Callable[P, E]]:
    """Give a function that takes what `make` returns the parameters of `make`."""

    def taking(function: Callable[[D], E]) -> Callable[P, E]:
        @wraps(function)
        def made(*args: P.args, **kwargs: P.kwargs) -> E:
            return function(make(*args, **kwargs))

        vars(made)["__wrapped__"] = make  # whose parameters `inspect` and `help` show
        return made

    return taking


@_after(held_proof)
def fresh_proof(held: Callable[..., Awaitable[Proof]]) -> Callable[..., Awaitable[Verified]]:
    """A dependency that uses up the session's proof and returns a `Verified`, or answers 403:
    `Annotated[Verified, Depends(fresh_proof("payment"))]`. Its arguments are those of `held_proof`.

    FastAPI calls dependencies before it looks at the body, so a request whose body it refuses has
    used up the proof. Where that matters, take `held_proof`.
    """

    async def verified(proof: Annotated[Proof, Depends(held)]) -> Verified:
        return await proof.redeem()

    return verified


def _check_that_it_was_typed(entry: Entry, purpose: str) -> None:
    """A proof whose subject is not a phone, or that has a binding, came from a router with
    `recipient=` or `account=`: without it every request would be refused, for no visible reason."""
    if entry.bound or not entry.subject.startswith("+") or " " in entry.subject:
        raise ConfigurationError(
            f"The codes for {purpose!r} go to a recipient, or are for an account. Give fresh_proof "
            "or held_proof the same recipient= or account= as otp_router, or take all of them from "
            "one OtpFlow."
        )
