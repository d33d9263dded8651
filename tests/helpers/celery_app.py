"""A Celery application as users write one; the environment says where everything is. The tests
import it, and so does the worker process that they start."""

from __future__ import annotations

import os

from celery import Celery

from otpverify import RedisStore, Retry, SmspmClient
from otpverify.integrations.celery import CeleryBulk, CelerySender

VISIBILITY_SECONDS = 1


def application(
    environ: dict[str, str],
) -> tuple[Celery, CelerySender, CeleryBulk, RedisStore]:
    """The application, what sends, and the store."""
    app = Celery("tests", broker=environ["BROKER"], backend=environ["BROKER"])
    app.conf.update(
        broker_transport_options={
            "visibility_timeout": VISIBILITY_SECONDS,
            # Kombu looks for what was left behind every 100 seconds; from 5.7 on that is a setting.
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
        },
        worker_hijack_root_logger=True,
        worker_send_task_events=True,
        task_send_sent_event=True,
        task_track_started=True,
        broker_connection_retry_on_startup=True,
        worker_prefetch_multiplier=2,
    )
    store = RedisStore.from_url(environ["STORE"])
    client = SmspmClient.from_env(
        environ, retry=Retry(attempts=1), read_timeout_seconds=float(environ["PATIENCE"])
    )
    retry = Retry(attempts=3, total_seconds=600, first_wait_seconds=0.02, longest_wait_seconds=0.05)
    sender = CelerySender(app, client, store=store, secret=environ["SECRET"], retry=retry)
    bulk = CeleryBulk(app, client, store=store, secret=environ["SECRET"], retry=retry)
    return app, sender, bulk, store


if "BROKER" in os.environ:
    app = application(dict(os.environ))[0]
