"""Phone confirmation: the number that was proved is the one that is saved.

Run it: python examples/phone_confirmation.py
"""

from otpverify import AllowCountries, BlockNumberTypes, CooldownActive, InvalidPhoneNumber, Verifier
from otpverify.sandbox import Sandbox

profile: dict[str, str] = {}

with Sandbox() as sandbox, sandbox.client() as client:
    verifier = Verifier(
        client, region="EE", guards=[AllowCountries(["EE", "LV", "LT"]), BlockNumberTypes()]
    )

    # What people type: the error's text can stand beside the field.
    for typed in ("5678", "5678 9045"):
        try:
            challenge = verifier.start(typed, purpose="phone", client_ip="192.0.2.1")
        except InvalidPhoneNumber as error:
            print(f"{typed}: {error}")

    # "Send again" has a cooldown; the page can count it down.
    try:
        verifier.resend(
            challenge.phone, challenge=challenge.id, purpose="phone", client_ip="192.0.2.1"
        )
    except CooldownActive as error:
        print("send again in", error.retry_after, "seconds")

    # Paste with a space, as phones show it. Save `verified.phone`, not what a form says.
    code = sandbox.messages[0].code or ""
    verified = verifier.check(
        challenge.phone, f"{code[:3]} {code[3:]}", challenge=challenge.id, purpose="phone"
    )
    profile["phone"] = verified.phone
    print("confirmed", profile["phone"])
