"""The module that web processes and workers import.

A worker is started with: celery -A examples.celery_worker.tasks worker
"""

import os

from celery import Celery

from otpverify import RedisStore, SmspmClient, Verifier
from otpverify.integrations.celery import CeleryBulk, CelerySender

# Only bulk sends use the result backend.
app = Celery("shop", broker=os.environ["BROKER_URL"], backend=os.environ["BROKER_URL"])
# After this many seconds, Redis delivers the tasks of a lost worker again. The default is an hour,
# and by then every code has expired.
app.conf.broker_transport_options = {"visibility_timeout": 120}

secret = os.environ["OTPVERIFY_SECRET"].split(",")
store = RedisStore.from_url(os.environ["OTPVERIFY_REDIS_URL"])
client = SmspmClient.from_env()
sender = CelerySender(app, client, store=store, secret=secret)
bulk = CeleryBulk(app, client, store=store, secret=secret)
verifier = Verifier(sender, store=store, secret=secret)
