"""JSON endpoints for one purpose: the flow of `otp_router` for FastAPI, in Flask. And the address
for delivery reports."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from flask import Blueprint, Response, current_app, request
from flask.blueprints import BlueprintSetupState

from otpverify.integrations.flask.pages import leave_session, renew_id
from otpverify.integrations.flask.site import Site
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.outcome import Outcome, Reply
from otpverify.integrations.web.problems import INVALID_REQUEST, Problem, SendRefused
from otpverify.integrations.web.requests import (
    LARGEST_JSON,
    LARGEST_REPORT,
    is_json,
    json_object,
    take_report,
)
from otpverify.integrations.web.sentences import LONGEST_PASTE, LONGEST_PHONE
from otpverify.integrations.web.session import Recipient

_LONGEST: Final = {"phone": LONGEST_PHONE, "code": LONGEST_PASTE}


def json_blueprint(
    site: Site,
    purpose: str,
    recipient: Callable[..., Recipient] | None,
    deliver: Callable[[str], object] | None,
    *,
    concealed: Callable[[], bool] | None = None,
    proved: Callable[[], Response] | None = None,
) -> Blueprint:
    """See `OtpVerify.json_blueprint`.

    Args:
        site, purpose, recipient, deliver: As there.
        concealed: Whether `deliver` is asked during a request; always if left out.
        proved: Gives the reply of `/check` after a right code, if not the flow's state.
    """
    blueprint = Blueprint(json_name(purpose), __name__)
    views: list[Callable[..., Response]] = []

    def answer(operation: str, found: dict[str, Any], arguments: dict[str, Any]) -> Response:
        asks = deliver if concealed is None or concealed() else None
        if operation in ("start", "resend"):
            try:
                site.allow_sending(purpose)
            except SendRefused as refused:
                return site.problem(refused)
        to = None if recipient is None else current_app.ensure_sync(recipient)(**arguments)
        flow = site.flow(purpose, recipient=to, concealed=asks is not None)
        if operation == "start":
            asked = None if asks is None else current_app.ensure_sync(asks)
            outcome = run_sync(flow.start(found.get("phone") if to is None else to, deliver=asked))
        elif operation == "check":
            entry = flow.entry
            outcome = run_sync(flow.check(found["code"]))
            if outcome.verified is not None and entry is not None:
                renew_id()
                site.open_window(outcome.verified, entry.subject, bound=bool(entry.bound))
            if proved is not None and outcome.error is None:
                return proved()
        else:
            outcome = run_sync(getattr(flow, operation)())
        return respond_to(site, outcome)

    def add(operation: str, method: str, field: str = "") -> None:
        def endpoint(**arguments: Any) -> Response:
            found = json_body() if method == "POST" else {}
            if not isinstance(found, Problem) and field:
                value = found.get(field)
                if not isinstance(value, str) or len(value) > _LONGEST[field]:
                    found = INVALID_REQUEST
            if isinstance(found, Problem):
                return site.problem(found)
            return answer(operation, found, arguments)

        endpoint.__name__ = f"otpverify_json_{operation}"
        views.append(endpoint)
        blueprint.add_url_rule(f"/{operation}", operation, endpoint, methods=[method])

    add("start", "POST", "phone" if recipient is None else "")
    add("resend", "POST")
    add("check", "POST", "code")
    add("cancel", "POST")
    add("status", "GET")
    # Another site cannot send the JSON that these endpoints require: see `web.requests`.
    blueprint.record(lambda state: exempt(state, *views))
    return blueprint


def add_report(site: Site, blueprint: Blueprint) -> None:
    """Add `/sms/report`, for the gateway: it has no session; the token in the address
    authenticates it."""

    def sms_report() -> Response:
        taken = take_report(
            site.verifier(),
            method=request.method,
            query=request.query_string,
            body=request.stream.read(LARGEST_REPORT + 1),
            content_type=request.content_type or "",
        )
        status, text = run_sync(taken)
        return Response(text, status, content_type="text/plain")

    blueprint.add_url_rule("/sms/report", "sms_report", sms_report, methods=["GET", "POST"])
    blueprint.record(lambda state: exempt(state, sms_report))


def json_name(purpose: str) -> str:
    """The name of the blueprint for a purpose."""
    return f"otpverify_json_{purpose.replace('.', '_')}"


def respond_to(site: Site, outcome: Outcome) -> Response:
    """The JSON reply to an outcome."""
    if outcome.leaves_session:
        leave_session()
    return respond(outcome.reply(site.say))


def respond(reply: Reply) -> Response:
    """A reply for programs, as Flask's."""
    return Response(json.dumps(reply.body, ensure_ascii=False), reply.status, reply.headers)


def json_body() -> dict[str, Any] | Problem:
    """The request's JSON object. A body of another type is not read."""
    kind = request.content_type
    return json_object(kind, request.stream.read(LARGEST_JSON + 1) if is_json(kind) else b"")


def exempt(state: BlueprintSetupState, *views: Callable[..., Any]) -> None:
    """Exempt views from Flask-WTF's `CSRFProtect`, which knows them by their names; also from one
    that is set up later, whose check is made after this then."""

    def now() -> None:
        if (csrf := state.app.extensions.get("csrf")) is not None:
            for view in views:
                csrf.exempt(view)

    now()
    state.app.before_request(now)
