"""JSON: at the addresses of the pages, and for the site's own API (`flow_for`, `reply_to`,
`areply_to`). States,
statuses and problem details are those of all frameworks."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, Final

from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict

from otpverify import AsyncVerifier, Verifier
from otpverify.integrations.django.conf import function, verifier_for
from otpverify.integrations.django.forms import PhoneError
from otpverify.integrations.django.requests import client_ip, locale, say
from otpverify.integrations.django.session import leave_session
from otpverify.integrations.web.flow import Accounts, Flow
from otpverify.integrations.web.notices import Notice
from otpverify.integrations.web.outcome import Outcome, Page, State
from otpverify.integrations.web.problems import (
    INVALID_REQUEST,
    MEDIA_TYPE,
    TOO_LARGE,
    Problem,
)
from otpverify.integrations.web.requests import LARGEST_JSON, is_json, json_object
from otpverify.integrations.web.session import Pending, Proof, Recipient

_TYPES: Final = ("text/html", "application/json")


def flow_for(
    request: HttpRequest,
    *,
    purpose: str,
    recipient: Recipient | Accounts | None = None,
    concealed: bool = False,
    verifier: Verifier | AsyncVerifier | None = None,
) -> Flow:
    """The flow of a purpose in a request's session, for the site's own API. It shares the session
    with the pages.

    Another site must not be able to send its requests: check the CSRF token, or take JSON alone.

    Args:
        request: The request, also that of Django REST framework.
        purpose, recipient, concealed: As for `Flow`.
        verifier: Of an asynchronous view, `averifier_for(request)`. That of the settings if left
            out; it delivers in the background if the flow is concealed.
    """
    request = _of_django(request)
    check = function("HUMAN_CHECK")
    return Flow(
        verifier_for(request, background=concealed) if verifier is None else verifier,
        request.session,
        purpose=purpose,
        recipient=recipient,
        concealed=concealed,
        client_ip=client_ip(request),
        locale=locale(),
        human_check=None if check is None else partial(check, request),
    )


def reply_to(request: HttpRequest, outcome: Outcome) -> HttpResponseBase:
    """The reply to an outcome of `flow_for`. That to a refused request leaves the session alone.
    With a right code the session gets a new key, so that one that somebody planted does not lead to
    the proof."""
    response, gains_rights = _replied(request, outcome)
    if gains_rights:
        _of_django(request).session.cycle_key()
    return response


async def areply_to(request: HttpRequest, outcome: Outcome) -> HttpResponseBase:
    """`reply_to` for asynchronous views."""
    response, gains_rights = _replied(request, outcome)
    if gains_rights:
        await _of_django(request).session.acycle_key()
    return response


def _replied(request: HttpRequest, outcome: Outcome) -> tuple[HttpResponseBase, bool]:
    """The reply, and whether the session gains rights."""
    response = respond(outcome)
    if outcome.leaves_session:
        leave_session(_of_django(request), response)
    return response, outcome.verified is not None and not outcome.leaves_session


def wants_json(request: HttpRequest) -> bool:
    """Whether to answer with JSON: the request brings JSON, or prefers it to a page."""
    if is_json(request.headers.get("Content-Type")):
        return True
    return request.get_preferred_type(list(_TYPES)) == "application/json"


def read(request: HttpRequest) -> QueryDict | dict[str, Any] | Problem:
    """The data of the form, or of the JSON object in its place, whose values are strings (or true
    and false, for checkboxes)."""
    kind = request.headers.get("Content-Type")
    if not is_json(kind):
        return request.POST
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdecimal() and int(length) > LARGEST_JSON:
        return TOO_LARGE
    found = json_object(kind, request.body)
    if isinstance(found, Problem):
        return found
    plain = all(isinstance(value, str | bool) for value in found.values())
    return found if plain else INVALID_REQUEST


def respond(outcome: Outcome, **more: Any) -> HttpResponseBase:
    """The reply to an outcome. `more` are further members."""
    reply = outcome.reply(say)
    return _json({**reply.body, **more}, reply.status, reply.headers)


def succeeded(outcome: Outcome, response: HttpResponseBase, **more: str) -> HttpResponseBase:
    """The reply to a right code: the state, and as `next` the address that the page would lead to.
    A reply of a hook that does not redirect is sent as it is. `more` are further members."""
    target = getattr(response, "url", None)
    if target is None:
        return response
    reply = outcome.reply(say)
    return _moved(
        _json({**reply.body, **more, "next": target}, reply.status, reply.headers), response
    )


def signed_in(response: HttpResponseBase) -> HttpResponseBase:
    """The reply to a login that needs no code."""
    return succeeded(Outcome(Page.NEXT), response)


def done(**members: Any) -> HttpResponseBase:
    """The reply to what is not a step of a flow."""
    return _json(members, 200, {"Content-Type": "application/json"})


def problem(problem: Problem, **more: Any) -> HttpResponseBase:
    """The reply to a request that is not understood."""
    body = {**problem.body(say(problem.detail)), **more}
    return _json(body, problem.status, {**problem.headers, "Content-Type": MEDIA_TYPE})


def invalid(form: BaseForm, entry: Pending | Proof | None) -> HttpResponseBase:
    """The reply to a form that is not valid: the problem of an invalid phone number, or
    `invalid-request` with the form's `errors` by field (`__all__` for those of the whole form)."""
    for errors in form.errors.as_data().values():
        for one in errors:
            if isinstance(one, PhoneError):
                return respond(Outcome(Page.FIRST, entry, Notice.of(one.error), one.error))
    errors_by_field = {name: [str(text) for text in found] for name, found in form.errors.items()}
    return problem(INVALID_REQUEST, errors=errors_by_field, flow=State.of(entry).body())


def _of_django(request: HttpRequest) -> HttpRequest:
    """The request that Django REST framework wraps, or the request itself."""
    found: HttpRequest = getattr(request, "_request", request)
    return found


def _json(body: dict[str, Any], status: int, headers: dict[str, str]) -> HttpResponseBase:
    text = json.dumps(body, ensure_ascii=False)
    return HttpResponse(text, status=status, headers={"Cache-Control": "no-store", **headers})


def _moved(response: HttpResponseBase, earlier: HttpResponseBase) -> HttpResponseBase:
    """The reply with the cookies that a hook set on the reply that it replaces."""
    response.cookies.update(earlier.cookies)
    return response
