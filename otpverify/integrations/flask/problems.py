"""Errors as problem details (RFC 9457), for views that talk to programs."""

from __future__ import annotations

import json

from flask import Response, current_app

from otpverify import OtpVerifyError
from otpverify.integrations.flask.bound import Bound
from otpverify.integrations.web.problems import MEDIA_TYPE, Problem, problem_of


def respond(otp: Bound, error: OtpVerifyError) -> Response:
    """The reply to a request that ended with this error."""
    problem = problem_of(error)
    if problem.status == 500:
        current_app.logger.error("otpverify: %s", error)
    elif problem.status == 503:
        current_app.logger.warning("otpverify: %s", error)
    return as_response(otp, problem)


def as_response(otp: Bound, problem: Problem) -> Response:
    """A problem as a reply, in the person's language."""
    body = json.dumps(problem.body(otp.say(problem.detail)), ensure_ascii=False)
    response = Response(body, problem.status, dict(problem.headers), content_type=MEDIA_TYPE)
    response.headers["Cache-Control"] = "no-store"
    return response
