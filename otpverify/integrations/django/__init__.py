"""otpverify as a Django app: three flows that work when they are mounted.

    INSTALLED_APPS = [..., "otpverify.integrations.django"]
    OTPVERIFY = {"SECRET": ..., "REDIS_URL": ..., "SENDER_ID": ..., "PHONE_FIELD": "phone"}

    path("", include("otpverify.integrations.django.urls"))

`otpverify.integrations.django.conf` documents every setting, `views` the flows and their hooks,
`signals` what they tell. It needs the extra `django`: `pip install otpverify[django]`.
"""

from otpverify.errors import ExtraMissing

try:
    import django as _django  # noqa: F401 - asked for here, so that one message says what to install
except ModuleNotFoundError as error:
    raise ExtraMissing(
        f"{error.name} is not installed. The app needs an extra: pip install otpverify[django]"
    ) from error

from otpverify.integrations.django.verifiers import get_async_verifier, get_verifier

__all__ = ["get_async_verifier", "get_verifier"]
