"""Flask: an extension, a blueprint with the three flows, and a decorator for fresh proofs.

    from otpverify.integrations.flask import OtpVerify

It needs the extra `flask`; in a clone: `python3 -m pip install '.[flask]'`.
"""

from otpverify.errors import ConfigurationError

try:
    from otpverify.integrations.flask.extension import OtpVerify
    from otpverify.integrations.flask.pages import harden
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] == "otpverify":
        raise
    raise ConfigurationError(
        f"{error.name} is not installed. This needs its extra: install otpverify with "
        "[flask], in a clone: python3 -m pip install '.[flask]'"
    ) from error

__all__ = ["OtpVerify", "harden"]
