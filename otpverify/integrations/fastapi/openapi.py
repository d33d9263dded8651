"""The description of the routes for OpenAPI. The examples are the real replies to the errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal, TypeAlias, Union

from pydantic import BaseModel, Field, RootModel, create_model

from otpverify import (
    AttemptsExhausted,
    ChallengeExpired,
    CooldownActive,
    DeliveryUnavailable,
    DestinationBlocked,
    HumanCheckRequired,
    IncorrectCode,
    InvalidPhoneNumber,
    OtpVerifyError,
    RateLimited,
    StoreError,
)
from otpverify.core.answers import Refusal
from otpverify.core.phone import KINDS
from otpverify.integrations.fastapi.models import TOKEN_HEADER, FlowState
from otpverify.integrations.web.problems import (
    INVALID_REQUEST,
    MEDIA_TYPE,
    NOT_JSON,
    PROOF_REQUIRED,
    TOO_LARGE,
    Problem as Occurrence,
    SignInRefused,
    problem_of,
)

_NONE = FlowState(state="none").model_dump()
_PENDING = FlowState(
    state="pending", expires_in=540, resend_in=18, attempts_left=4, delivery="sent"
).model_dump()
_FAULT = {
    "field": "body.code",
    "message": "String should have at most 64 characters",
    "type": "string_too_long",
}
_COOLDOWN = CooldownActive(retry_after=18, scope="resend_cooldown")
_LIMITED = RateLimited(retry_after=1800, scope="sends_per_phone")
_EXHAUSTED = AttemptsExhausted(retry_after=18)
_NOT_SENT = DeliveryUnavailable(maybe_sent=True)

_STATUS: tuple[tuple[OtpVerifyError, dict[str, Any]], ...] = ((StoreError(""), {}),)
_CANCEL = (*_STATUS, (InvalidPhoneNumber("This is not a phone number."), {"flow": _NONE}))
_RESEND = (
    *_CANCEL,
    (_COOLDOWN, {"flow": _PENDING}),
    (_LIMITED, {"flow": _PENDING}),
    (_EXHAUSTED, {"flow": _NONE}),
    (ChallengeExpired(), {"flow": _NONE}),
    (_NOT_SENT, {"flow": _PENDING}),
    (DestinationBlocked(reason="prefix"), {"flow": _PENDING}),
    (HumanCheckRequired(reason="prefix"), {"flow": _PENDING}),
)
_ERRORS: dict[str, tuple[tuple[OtpVerifyError, dict[str, Any]], ...]] = {
    "start": (
        *_CANCEL,
        (DestinationBlocked(reason="country_not_allowed"), {"flow": _NONE}),
        (HumanCheckRequired(reason="prefix"), {"flow": _NONE}),
        (_COOLDOWN, {"flow": _PENDING}),
        (_LIMITED, {"flow": _NONE}),
        (_NOT_SENT, {"flow": _PENDING}),
    ),
    "resend": _RESEND,
    "check": (
        *_CANCEL,
        (IncorrectCode(attempts_left=4), {"flow": _PENDING}),
        (_EXHAUSTED, {"flow": _NONE}),
        (ChallengeExpired(), {"flow": _NONE}),
    ),
    "cancel": _CANCEL,
    "status": _STATUS,
}
_REQUEST: tuple[tuple[Occurrence, dict[str, Any]], ...] = (
    (INVALID_REQUEST, {"errors": [_FAULT]}),
    (TOO_LARGE, {}),
    (NOT_JSON, {}),
)


# The schema of the problems: one model for each kind, told apart by `type`. Names and statuses are
# those of the replies.

_OTHER_KINDS: Final = (Refusal.COOLDOWN, Refusal.ATTEMPTS, Refusal.GONE)
_LIMITS: Any = tuple(one.value for one in Refusal if one not in _OTHER_KINDS)
_REASONS: Any = tuple(sorted({"blocked_country", "country_not_allowed", *KINDS}))


class ProblemBase(BaseModel):
    """What all problems have."""

    title: str = Field(description="The kind in words.")
    detail: str = Field(description="What to say to the person.")


class RequestFault(BaseModel):
    """What is wrong with a request, and where."""

    field: str
    message: str
    type: str


def _left_out() -> None:
    """The value of a member that a problem does not have."""


def _optional(kind: Any, description: str) -> tuple[Any, Any]:
    """A member that is left out, rather than null, where it says nothing."""
    return kind, Field(default_factory=_left_out, description=description)


def _required(kind: Any, description: str) -> tuple[Any, Any]:
    return kind, Field(description=description)


_Count: TypeAlias = Annotated[int, Field(ge=0)]
_SECONDS = "Seconds, as in the header Retry-After."
_FLOW = _optional(FlowState, "Where the flow stands.")
_WAIT = _required(_Count, _SECONDS)
_MEMBERS: tuple[tuple[Occurrence, dict[str, tuple[Any, Any]]], ...] = (
    (problem_of(InvalidPhoneNumber("")), {"flow": _FLOW}),
    (problem_of(HumanCheckRequired()), {"flow": _FLOW}),
    (
        problem_of(DestinationBlocked()),
        {
            "reason": _optional(
                Literal[_REASONS] | str,
                "Why the number is refused: one of these, or the reason of a guard of the site.",
            ),
            "retry_after": _optional(_Count, _SECONDS),
            "flow": _FLOW,
        },
    ),
    (
        problem_of(CooldownActive()),
        {
            "retry_after": _WAIT,
            "limit": _required(Literal[Refusal.COOLDOWN.value], "Which limit was reached."),
            "flow": _FLOW,
        },
    ),
    (
        problem_of(RateLimited()),
        {
            "retry_after": _WAIT,
            "limit": _required(Literal[_LIMITS], "Which limit was reached."),
            "flow": _FLOW,
        },
    ),
    (problem_of(AttemptsExhausted()), {"retry_after": _WAIT, "flow": _FLOW}),
    (
        problem_of(IncorrectCode()),
        {
            "attempts_left": _required(
                _Count | None,
                "How many codes may still be tried; null if this one did not count.",
            ),
            "flow": _FLOW,
        },
    ),
    (PROOF_REQUIRED, {"purpose": _optional(str, "The flow to start.")}),
    (problem_of(SignInRefused()), {}),
    (
        problem_of(ChallengeExpired()),
        {
            "session_empty": _optional(
                bool,
                "The request brought no session: the cookie did not come back (one for https only "
                f"is not sent over http), or the token of the header {TOKEN_HEADER}.",
            ),
            "flow": _FLOW,
        },
    ),
    (
        problem_of(DeliveryUnavailable()),
        {"maybe_sent": _required(bool, "Whether a code may arrive."), "flow": _FLOW},
    ),
    (problem_of(StoreError("")), {"flow": _FLOW}),
    (
        INVALID_REQUEST,
        {"errors": _optional(list[RequestFault], "What is wrong with the request, and where.")},
    ),
    (TOO_LARGE, {}),
    (NOT_JSON, {}),
)


def _model(problem: Occurrence, members: Mapping[str, tuple[Any, Any]]) -> type[BaseModel]:
    """The model of one kind of problem."""
    given: dict[str, Any] = {
        "type": _required(Literal[problem.type], "The kind, a URN: decide by this one."),
        "status": (Literal[problem.status], ...),
        **members,
    }
    name = re.sub(r"\W", "", problem.title.title()) + "Problem"
    made: type[BaseModel] = create_model(
        name, __base__=ProblemBase, __doc__=f"{problem.title}.", **given
    )
    return made


_models: Any = tuple(_model(problem, members) for problem, members in _MEMBERS)
_any_model: Any = Annotated[Union[_models], Field(discriminator="type")]  # noqa: UP007 - of a tuple
Problem: Final[type[BaseModel]] = create_model(
    "Problem",
    __base__=RootModel,
    __doc__="A problem detail (RFC 9457), of the kind that `type` names.",
    root=(_any_model, ...),
)
"""Every reply that is not a success."""


class _Content(dict[str, Any]):
    """The content of a reply with a problem. FastAPI writes the schema of a reply's `model` below
    the media type of the route's success; here it goes below that of problems."""

    def setdefault(self, key: str, default: Any = None) -> Any:
        return super().setdefault(MEDIA_TYPE if key == "application/json" else key, default)


_RETRY_AFTER = {
    "description": "Seconds to wait.",
    "required": True,
    "schema": {"type": "integer", "minimum": 0},
}
_TOKEN = {
    "description": "A new token, for the next request.",
    "schema": {"type": "string"},
}


def documented(route: str, *, name: str, token: bool) -> dict[str, Any]:
    """Arguments for a route's decorator, besides its status and model.

    Args:
        route: Its name.
        name: The flow's, for the operation id.
        token: Whether the session is `FlowTokens`, so that replies may bring a new token.
    """
    found = [(problem_of(error), more) for error, more in _ERRORS[route]]
    found += _REQUEST if route != "status" else _REQUEST[:1]
    replies = problems(*found)
    if token and route != "status":
        replies[202 if route in ("start", "resend") else 200] = {}
        for status, reply in replies.items():
            if status not in (TOO_LARGE.status, NOT_JSON.status):  # they are not read
                reply.setdefault("headers", {})[TOKEN_HEADER] = _TOKEN
    identifier = re.sub(r"\W", "_", f"{name}_{route}", flags=re.ASCII)
    return {"responses": replies, "operation_id": identifier}


def proof_responses() -> dict[int | str, dict[str, Any]]:
    """The errors of a route that needs a proof, for its `responses`: 403 and 503."""
    return problems((PROOF_REQUIRED, {"purpose": "payment"}), (problem_of(StoreError("")), {}))


def problems(
    *found: tuple[Occurrence, dict[str, Any]],
) -> dict[int | str, dict[str, Any]]:
    """Replies with problem details, by status."""
    replies: dict[int | str, dict[str, Any]] = {}
    for problem, more in found:
        reply = replies.setdefault(
            problem.status,
            {
                "description": HTTPStatus(problem.status).phrase,
                "model": Problem,
                "content": _Content({MEDIA_TYPE: {"examples": {}}}),
            },
        )
        if "Retry-After" in problem.headers:
            reply["headers"] = {"Retry-After": _RETRY_AFTER}
        name = problem.type.rpartition(":")[2]
        reply["content"][MEDIA_TYPE]["examples"][name] = {
            "value": {**problem.body(), **more},
        }
    return replies
