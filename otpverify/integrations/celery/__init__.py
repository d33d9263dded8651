"""Delivery in Celery tasks, so that web requests do not wait for the gateway.

    sender = CelerySender(app, SmspmClient.from_env(), store=store, secret=SECRET)
    verifier = Verifier(sender, store=store, secret=SECRET)

It needs the extra `celery`.
"""

from otpverify.errors import needs_extra

with needs_extra("celery", "The Celery integration"):
    from otpverify.integrations.celery.bulk import BulkJob, CeleryBulk
    from otpverify.integrations.celery.sender import CelerySender

__all__ = ["BulkJob", "CeleryBulk", "CelerySender"]
