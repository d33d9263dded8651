"""otpverify as a Django app: three flows that work when they are mounted.

    INSTALLED_APPS = [..., "otpverify.integrations.django"]
    OTPVERIFY = {"SECRET": ..., "REDIS_URL": ..., "SENDER_ID": ..., "PHONE_FIELD": "phone"}

    path("", include("otpverify.integrations.django.urls"))

`otpverify.integrations.django.conf` documents every setting, `views` the flows and their hooks,
`signals` the signals. It needs the extra `django`.
"""

from otpverify.errors import needs_extra

with needs_extra("django", "The Django integration"):
    from otpverify.integrations.django.conf import get_async_verifier, get_verifier

__all__ = ["get_async_verifier", "get_verifier"]
