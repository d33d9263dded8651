"""Whether the messages of concealed views are delivered in the background. That no reply shows who
has an account is tested for all frameworks in `test_concealed_replies`."""

from __future__ import annotations

import pytest
from django.test import override_settings
from django_views import Enter

from otpverify.integrations.django.views import FlowView


@pytest.mark.parametrize(
    ("background", "setting", "expected"),
    [
        (None, True, True),
        (None, False, False),
        (False, True, False),
        (True, False, True),
        (None, None, True),
        (None, "", True),
    ],
)
def test_concealed_views_deliver_in_the_background(
    background: bool | None, setting: object, expected: bool
) -> None:
    with override_settings(OTPVERIFY={"DELIVER_IN_BACKGROUND": setting}):
        assert Enter(background=background).delivers_in_background is expected
    with override_settings(OTPVERIFY={}):
        assert Enter().delivers_in_background
        assert not FlowView().delivers_in_background
