"""Delivery as Celery tasks, so that no request waits for the gateway.

    sender = CelerySender(app, SmspmClient.from_env(), store=store, secret=SECRET)
    verifier = Verifier(sender, store=store, secret=SECRET)

It needs the extra `celery`: `pip install otpverify[celery]`.
"""

from otpverify.errors import ExtraMissing

try:
    import celery as _celery  # noqa: F401 - asked for here, so that one message says what to install
    import cryptography as _cryptography  # noqa: F401 - as above
except ModuleNotFoundError as error:
    raise ExtraMissing(
        f"{error.name} is not installed. Celery tasks need an extra: pip install otpverify[celery]"
    ) from error

from otpverify.integrations.celery.bulk import BulkJob, CeleryBulk
from otpverify.integrations.celery.sender import CelerySender

__all__ = ["BulkJob", "CeleryBulk", "CelerySender"]
