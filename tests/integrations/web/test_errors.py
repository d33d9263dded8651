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


def test_an_error_of_the_program_is_raised() -> None:
    error = ConfigurationError("client_ip must be one IP address.")
    with pytest.raises(ConfigurationError) as caught:
        explained(error)
    assert caught.value is error
