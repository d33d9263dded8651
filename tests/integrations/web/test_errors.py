"""What becomes of an error in a page: logged when the person cannot fix it, raised when it is the
program's."""

from __future__ import annotations

import pytest

from otpverify import (
    ConfigurationError,
    DeliveryUnavailable,
    IncorrectCode,
    InvalidPhoneNumber,
    OtpVerifyError,
    StoreError,
)
from otpverify.integrations.web.errors import explained


@pytest.mark.parametrize(
    "error",
    [StoreError("Redis did not answer in time."), DeliveryUnavailable("No reply.")],
    ids=repr,
)
def test_what_the_person_cannot_fix_is_logged(
    error: OtpVerifyError, caplog: pytest.LogCaptureFixture
) -> None:
    assert explained(error) is error
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(error) in caplog.text


@pytest.mark.parametrize(
    "error", [IncorrectCode(attempts_left=1), InvalidPhoneNumber("no")], ids=repr
)
def test_what_the_person_can_fix_is_not(
    error: OtpVerifyError, caplog: pytest.LogCaptureFixture
) -> None:
    assert explained(error) is error
    assert not caplog.records


def test_what_no_operation_ends_with_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    error = InvalidPhoneNumber("An account's phone.")
    assert explained(error, expected=False) is error
    assert "InvalidPhoneNumber: An account's phone." in caplog.text


@pytest.mark.parametrize(
    "error",
    [ConfigurationError("client_ip must be one IP address."), OtpVerifyError("of an own guard")],
    ids=repr,
)
def test_an_error_of_the_program_is_raised(error: OtpVerifyError) -> None:
    with pytest.raises(type(error)) as caught:
        explained(error)
    assert caught.value is error
