"""The proof of a right code: what `check` hands out and `redeem` takes, once.

It names the challenge and says when it was verified, under a MAC by the phone's own key and over
purpose and binding, too, so nobody can write one, and one for a phone, a purpose or a binding
serves no other. That it serves once is the store's part: it remembers of a used challenge that its
proof was not redeemed yet.
"""

from __future__ import annotations

import base64
import hmac
import re
from datetime import UTC, datetime, timedelta

from otpverify.core.keys import ID_LENGTH, Subject, own_mac

_AT_BYTES = 8  # microseconds since 1970: as fine as a datetime
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_WRITTEN = re.compile(r"[A-Za-z0-9_-]{56}", re.ASCII)


def write(subject: Subject, verified_at: datetime) -> str:
    """The proof that a code for this subject was right; 56 URL-safe characters."""
    at = (verified_at - _EPOCH) // _MICROSECOND
    return subject.challenge + _encoded(subject, at.to_bytes(_AT_BYTES, "big"))


def challenge_of(proof: object) -> str | None:
    """The challenge's id in a proof, not yet believed; `None` when it has not a proof's form."""
    if isinstance(proof, str) and _WRITTEN.fullmatch(proof):
        return proof[:ID_LENGTH]
    return None


def read(subject: Subject, proof: str) -> datetime | None:
    """When the code was verified; `None` when the proof is none of this subject's."""
    at = base64.urlsafe_b64decode(proof[ID_LENGTH:])[:_AT_BYTES]
    if not hmac.compare_digest(proof[ID_LENGTH:], _encoded(subject, at)):
        return None
    return _EPOCH + int.from_bytes(at, "big") * _MICROSECOND


def _encoded(subject: Subject, at: bytes) -> str:
    fields = subject.purpose, subject.challenge, at.hex(), *subject.bound
    seal = own_mac(subject.own, "proof", *fields)
    return base64.urlsafe_b64encode(at + seal).decode("ascii")
