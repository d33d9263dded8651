"""A small server that speaks the SMSPM gateway's contract and shows what was "sent".

with Sandbox() as sandbox:
    sandbox.client().send(Message("+12025550123", "123456 is your verification code."))
    sandbox.messages[0].code  # "123456"

It sends nothing, keeps everything in memory, and uses the standard library only.
`otpverify.sandbox.faults` lists the numbers that make it fail, and
`otpverify.sandbox.delivery_reports` those whose messages are not reported as delivered.
"""

from otpverify.sandbox.outbox import Captured
from otpverify.sandbox.server import Sandbox

__all__ = ["Captured", "Sandbox"]
