"""The pytest plugin: fixtures for tests of programs that send codes.

pytest loads it at the start of every run wherever otpverify is installed, so it imports
nothing heavy before a test asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from otpverify.sandbox import Sandbox
    from otpverify.testing.outbox import OutboxSender


@pytest.fixture(scope="session")
def _smspm_sandbox_server() -> Iterator[Sandbox]:
    from otpverify.sandbox import Sandbox

    with Sandbox(stall_seconds=2.0) as sandbox:
        yield sandbox


@pytest.fixture
def smspm_sandbox(_smspm_sandbox_server: Sandbox) -> Sandbox:
    """A running sandbox with an empty inbox: `smspm_sandbox.client()` sends to it, and
    `smspm_sandbox.environ` holds what `from_env` reads. One server serves the whole run."""
    _smspm_sandbox_server.clear()
    return _smspm_sandbox_server


@pytest.fixture
def otp_outbox() -> OutboxSender:
    """A sender that keeps messages in memory, for a `Verifier` or an `AsyncVerifier`:
    `otp_outbox.code()` is the newest code, `otp_outbox.messages` are all messages, oldest
    first."""
    from otpverify.testing.outbox import OutboxSender

    return OutboxSender()
