"""Flask: an extension, a blueprint with the three flows, and a decorator for fresh proofs.

    from otpverify.integrations.flask import OtpVerify

It needs the extra `flask`.
"""

from otpverify.errors import needs_extra

with needs_extra("flask", "The Flask integration"):
    from otpverify.integrations.flask.extension import OtpVerify
    from otpverify.integrations.flask.pages import harden

__all__ = ["OtpVerify", "harden"]
