"""The address for delivery reports."""

from __future__ import annotations

from flask import Blueprint, Response, request

from otpverify.integrations.flask.api import exempt
from otpverify.integrations.flask.site import Site
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.requests import LARGEST_REPORT, take_report


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
