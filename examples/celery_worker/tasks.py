"""What a project has once, for its web processes and its workers alike.

A worker is started with: celery -A examples.celery_worker.tasks worker
"""

import os

from celery import Celery

from otpverify import RedisStore, SmspmClient, Verifier
from otpverify.integrations.celery import CeleryBulk, CelerySender

# The result backend is for sending in bulk; nothing else is kept there.
app = Celery("shop", broker=os.environ["BROKER_URL"], backend=os.environ["BROKER_URL"])
# After so many seconds, Redis hands out again what a worker took that was lost. The default is an
# hour, when every code is dead.
app.conf.broker_transport_options = {"visibility_timeout": 120}

secret = os.environ["OTPVERIFY_SECRET"].split(",")
store = RedisStore.from_url(os.environ["OTPVERIFY_REDIS_URL"])
client = SmspmClient.from_env()
sender = CelerySender(app, client, store=store, secret=secret)
bulk = CeleryBulk(app, client, store=store, secret=secret)
verifier = Verifier(sender, store=store, secret=secret)
