"""The description of the routes for OpenAPI. The examples are the real replies to the errors."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

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
from otpverify.integrations.fastapi.models import TOKEN_HEADER, FlowState
from otpverify.integrations.web.problems import (
    INVALID_REQUEST,
    MEDIA_TYPE,
    NOT_JSON,
    PROOF_REQUIRED,
    TOO_LARGE,
    Problem,
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
        (DestinationBlocked(reason="country"), {"flow": _NONE}),
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
_REQUEST: tuple[tuple[Problem, dict[str, Any]], ...] = (
    (INVALID_REQUEST, {"errors": [_FAULT]}),
    (TOO_LARGE, {}),
    (NOT_JSON, {}),
)
_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "A problem detail (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {**_TEXT, "description": "The kind, a URN: decide by this one."},
        "title": {**_TEXT, "description": "The kind in words."},
        "status": {"type": "integer"},
        "detail": {**_TEXT, "description": "What to say to the person."},
        "attempts_left": {
            "anyOf": [_COUNT, {"type": "null"}],
            "description": "How many codes may still be tried; null if this one did not count.",
        },
        "retry_after": {**_COUNT, "description": "Seconds, as in the header Retry-After."},
        "limit": {**_TEXT, "description": "Which limit was reached."},
        "reason": {**_TEXT, "description": "Why the number is refused."},
        "maybe_sent": {"type": "boolean", "description": "Whether a code may arrive."},
        "purpose": {**_TEXT, "description": "The flow to start, where a proof is required."},
        "session_empty": {
            "type": "boolean",
            "description": (
                "The request brought no session: the cookie did not come back (one for https only "
                f"is not sent over http), or the token of the header {TOKEN_HEADER}."
            ),
        },
        "flow": {
            "title": "FlowState",
            "description": "Where the flow stands.",
            "type": "object",
            "required": ["state"],
            "properties": FlowState.model_json_schema()["properties"],
        },
        "errors": {
            "description": "What is wrong with the request, and where.",
            "type": "array",
            "items": {
                "type": "object",
                "required": list(_FAULT),
                "properties": dict.fromkeys(_FAULT, _TEXT),
            },
        },
    },
}
_RETRY_AFTER = {"description": "Seconds to wait.", "required": True, "schema": _COUNT}
_TOKEN = {
    "description": (
        "The flow's new token, if the request changed something: send it with the next request."
    ),
    "schema": _TEXT,
}


def documented(route: str, *, token: bool) -> dict[str, Any]:
    """Arguments for a route's decorator, besides its status and model.

    Args:
        route: Its name.
        token: Whether the session is `FlowTokens`, so that replies may bring a new token.
    """
    found = [(problem_of(error), more) for error, more in _ERRORS[route]]
    found += _REQUEST if route != "status" else _REQUEST[:1]
    replies = problems(*found)
    if token and route != "status":
        replies[202 if route in ("start", "resend") else 200] = {}
        for reply in replies.values():
            reply.setdefault("headers", {})[TOKEN_HEADER] = _TOKEN
    return {"responses": replies}


def proof_responses() -> dict[int | str, dict[str, Any]]:
    """The errors of a route that needs a proof, for its `responses`: 403 and 503."""
    return problems((PROOF_REQUIRED, {"purpose": "payment"}), (problem_of(StoreError("")), {}))


def problems(
    *found: tuple[Problem, dict[str, Any]],
) -> dict[int | str, dict[str, Any]]:
    """Replies with problem details, by status."""
    replies: dict[int | str, dict[str, Any]] = {}
    for problem, more in found:
        status = HTTPStatus(problem.status)
        media: dict[str, Any] = {"schema": PROBLEM_SCHEMA, "examples": {}}
        reply = replies.setdefault(
            problem.status, {"description": status.phrase, "content": {MEDIA_TYPE: media}}
        )
        if "Retry-After" in problem.headers:
            reply["headers"] = {"Retry-After": _RETRY_AFTER}
        name = problem.type.rpartition(":")[2]
        reply["content"][MEDIA_TYPE]["examples"][name] = {
            "summary": problem.title,
            "value": {**problem.body(), **more},
        }
    return replies
