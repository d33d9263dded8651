"""JSON: endpoints for one purpose, which are the flow of `otp_router` for FastAPI in Flask; and the
replies of pages that answer JSON, too. And the address for delivery reports."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from flask import Blueprint, Response, current_app, request
from flask.blueprints import BlueprintSetupState
from werkzeug.wrappers import Response as BaseResponse

from otpverify.integrations.flask.pages import leave_session, renew_id
from otpverify.integrations.flask.second_factor import SecondFactor
from otpverify.integrations.flask.site import Site
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.outcome import Outcome, Reply, State
from otpverify.integrations.web.problems import (
    INVALID_REQUEST,
    MEDIA_TYPE,
    Problem,
    SendRefused,
)
from otpverify.integrations.web.requests import (
    LARGEST_JSON,
    LARGEST_REPORT,
    is_json,
    json_object,
    take_report,
)
from otpverify.integrations.web.sentences import LONGEST_PASTE, LONGEST_PHONE, Sentence
from otpverify.integrations.web.session import Pending, Proof, Recipient

_LONGEST: Final = {"phone": LONGEST_PHONE, "code": LONGEST_PASTE}
_SENT: Final = "otpverify.json"  # in the environment of a request
WHOLE_FORM: Final = "__all__"
"""The name in `errors` of what is not about one field; Django's."""


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
            elif outcome.error is not None and to is not None and purpose == "login":
                SecondFactor(site).count_failure(outcome.error, to.subject, to.phone)
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


# Pages that answer JSON, too.


def wants_json() -> bool:
    """Whether the request brings JSON, or prefers it to a page."""
    types = ["text/html", "application/json"]
    preferred = request.accept_mimetypes.best_match(types, default="text/html")
    return is_json(request.content_type) or preferred == "application/json"


def take_json() -> Problem | None:
    """Read the JSON object that a POST brings in place of a form; its values are strings (or true
    and false, for checkboxes). `sent` has it then.

    Returns:
        The problem, if it cannot be read.
    """
    if request.method != "POST" or not is_json(request.content_type):
        return None
    found = json_body()
    if isinstance(found, Problem):
        return found
    if not all(isinstance(value, str | bool) for value in found.values()):
        return INVALID_REQUEST
    request.environ[_SENT] = found
    return None


def is_sent() -> bool:
    """Whether `take_json` read a JSON object."""
    return _SENT in request.environ


def sent() -> Mapping[str, Any]:
    """The fields of the form, or the JSON object in its place."""
    found: Mapping[str, Any] = request.environ.get(_SENT, request.form)
    return found


def succeeded(site: Site, outcome: Outcome, response: BaseResponse) -> Response:
    """The reply to a request that succeeded: the flow's state, and as `next` the address that the
    page would lead to. A reply that does not redirect, such as that of a hook, is sent as it is.

    Args:
        site: The application.
        outcome: Where the flow stands.
        response: The reply of the page. Its cookies are sent.
    """
    made = current_app.make_response(response)
    if made.location is None:
        return made
    reply = outcome.reply(site.say)
    moved = respond(Reply(reply.status, {**reply.body, "next": made.location}, reply.headers))
    for cookie in made.headers.getlist("Set-Cookie"):
        moved.headers.add("Set-Cookie", cookie)
    return moved


def done(**members: Any) -> Response:
    """The reply to what is not a step of a flow."""
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return respond(Reply(200, members, headers))


def invalid(
    site: Site, errors: Mapping[str, Sequence[str | Sentence]], entry: Pending | Proof | None
) -> Response:
    """The reply to fields that are not accepted: the problem `invalid-request`, with `errors`.

    Args:
        site: The application.
        errors: What is wrong, by field or `WHOLE_FORM`.
        entry: The flow's entry in the session.
    """
    problem = INVALID_REQUEST
    body = {
        **problem.body(site.say(problem.detail)),
        "errors": {
            name: [site.say(text) if isinstance(text, Sentence) else str(text) for text in found]
            for name, found in errors.items()
        },
        "flow": State.of(entry).body(),
    }
    headers = {"Cache-Control": "no-store", "Content-Type": MEDIA_TYPE}
    return respond(Reply(problem.status, body, headers))


def exempt(state: BlueprintSetupState, *views: Callable[..., Any]) -> None:
    """Exempt views from Flask-WTF's `CSRFProtect`, which knows them by their names; also from one
    that is set up later, whose check is made after this then."""

    def now() -> None:
        if (csrf := state.app.extensions.get("csrf")) is not None:
            for view in views:
                csrf.exempt(view)

    now()
    state.app.before_request(now)
