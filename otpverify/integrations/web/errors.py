"""Errors in a page or an API: a person reads calm words, and the log has the cause."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TypeVar

from otpverify import OtpVerifyError
from otpverify.integrations.web.problems import problem_of

E = TypeVar("E", bound=OtpVerifyError)

_log = logging.getLogger("otpverify.integrations")


def explained(error: E, *, expected: bool = True) -> E:
    """An error that a reply can explain to a person. One that the person cannot fix is logged, such
    as a store that cannot be reached.

    Call it wherever an integration turns an error of a verifier into a page or a reply.

    Args:
        error: The error.
        expected: Whether the operation can end with it. Otherwise it is logged in any case, such as
            an account whose phone is not a number.

    Raises:
        OtpVerifyError: The error itself, for the framework to log with its traceback, if it is the
            program's, such as `ConfigurationError`: nothing that a person does changes it.
    """
    status = problem_of(error).status
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        raise error
    if status > HTTPStatus.INTERNAL_SERVER_ERROR or not expected:
        _log.warning("%s: %s", type(error).__name__, error)
    return error
