"""What becomes of an error in a page or an API: a person reads calm words, and the log has the
cause."""

from __future__ import annotations

import logging
from typing import TypeVar

from otpverify import ConfigurationError, OtpVerifyError
from otpverify.integrations.web.problems import problem_of

E = TypeVar("E", bound=OtpVerifyError)

_log = logging.getLogger("otpverify.integrations")


def explained(error: E) -> E:
    """An error that a reply can explain to a person. One that the person cannot fix is logged, such
    as a store that cannot be reached.

    Call it wherever an integration turns an error of a verifier into a page or a reply.

    Raises:
        ConfigurationError: The error itself, for the framework to log with its traceback: it is the
            program's, and nothing that a person does changes it.
    """
    if isinstance(error, ConfigurationError):
        raise error
    if problem_of(error).status >= 500:
        _log.warning("%s: %s", type(error).__name__, error)
    return error
