"""The address for delivery reports."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, request
from flask.blueprints import BlueprintSetupState

from otpverify import StoreError
from otpverify.integrations.flask.bound import Bound
from otpverify.sms import callback_params

_MOST_BYTES = 65_536


def add_to(blueprint: Blueprint, otp: Bound) -> None:
    """`/sms/report`, for the gateway: it has no session, and proves itself by the token in the
    address."""

    def sms_report() -> Response:
        body = request.stream.read(_MOST_BYTES)
        try:
            otp.verifier.delivery_report(callback_params(request.query_string.decode(), body))
        except StoreError:
            return Response("Later", 503, content_type="text/plain")  # it is sent again
        return Response("OK", content_type="text/plain")

    def exempt(app: Flask) -> None:
        """Flask-WTF's `CSRFProtect` must not ask the gateway for its token."""
        if (csrf := app.extensions.get("csrf")) is not None:
            csrf.exempt(sms_report)

    def mounted(state: BlueprintSetupState) -> None:
        exempt(state.app)  # type: ignore[arg-type]  # a Flask, not the App that it inherits from

        # For a CSRFProtect that comes later; its own check is made after this then.
        @state.app.before_request
        def exempt_late() -> None:
            if request.endpoint and request.endpoint.endswith("sms_report"):
                exempt(state.app)  # type: ignore[arg-type]  # as above

    blueprint.add_url_rule("/sms/report", "sms_report", sms_report, methods=["GET", "POST"])
    blueprint.record(mounted)
