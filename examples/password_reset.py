"""Password reset, asynchronously, without telling strangers which numbers have an account.

Run it: python examples/password_reset.py
"""

import asyncio

from otpverify import AsyncVerifier, DeliveryError, VerificationFailed
from otpverify.sandbox import Sandbox

accounts = {"+37256789045": "old password"}


async def reset(verifier: AsyncVerifier, sandbox: Sandbox, phone: str) -> None:
    # A decoy looks the same from outside: same result, same limits, but nothing is sent and no
    # code matches.
    print("If this number has an account, a code is on its way.")
    try:
        challenge = await verifier.start(
            phone, purpose="password-reset", client_ip="192.0.2.1", deliver=phone in accounts
        )
    except DeliveryError:
        return  # the sentence stands: only a number with an account can meet this error

    received = [message.code or "" for message in sandbox.messages if message.to == phone]
    try:
        verified = await verifier.check(
            phone,
            received[0] if received else "123456",
            challenge=challenge.id,
            purpose="password-reset",
        )
    except VerificationFailed as error:
        print("refused:", error)
        return
    # The page for the new password comes next. The session keeps `verified.proof` for it, so that
    # a refused password costs no second SMS.
    for password in ("short", "a new password"):
        if len(password) < 8:
            print("too short, try another")
            continue
        verified = await verifier.redeem(phone, verified.proof, purpose="password-reset")
        accounts[verified.phone] = password
        print("password changed")


async def main() -> None:
    with Sandbox() as sandbox, sandbox.client() as client:
        verifier = AsyncVerifier(client)
        await reset(verifier, sandbox, "+37256789045")
        await reset(verifier, sandbox, "+37256789046")


asyncio.run(main())
