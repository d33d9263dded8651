"""What settings name by its path."""

from __future__ import annotations

from django.http import HttpRequest
from support import QUICK

from otpverify import Event
from otpverify.testing import OutboxSender

HASHER = QUICK
outbox = OutboxSender()
asked: list[HttpRequest] = []
events: list[Event] = []


def make_sender() -> OutboxSender:
    return outbox


def client_ip(request: HttpRequest) -> str:
    asked.append(request)
    return "198.51.100.7"


def on_event(event: Event) -> None:
    events.append(event)
