"""A verification through a second gateway: python examples/second_gateway/verification.py"""

from __future__ import annotations

import re
import secrets
import sys
from pathlib import Path

from otpverify import DeliveryRejected, Verifier

sys.path.insert(0, str(Path(__file__).parents[2]))
from examples.second_gateway.fake import BUSY, FakeTwilio, refusal
from examples.second_gateway.twilio import Account, TwilioSender

PHONE = "+37256789045"

with FakeTwilio() as fake:
    # In production: SID, token and number from the environment, and no `url`.
    account = Account("AC0", secrets.token_hex(), "+12025550123", url=fake.url)
    verifier = Verifier(TwilioSender(account))

    fake.faults = [BUSY]
    challenge = verifier.start(PHONE, purpose="login")
    print("the gateway was busy: tried again, and arrived")
    code = re.findall(r"[0-9]{6}", fake.messages[-1]["Body"])[0]
    verifier.check(PHONE, code, challenge=challenge.id, purpose="login")
    print("signed in")

    fake.faults = [refusal(PHONE)]
    try:
        verifier.start(PHONE, purpose="payment")
    except DeliveryRejected as error:
        print(f"refused: {error.provider_code}")
