"""Login with a second factor: after the password, a code goes to the account's phone.

Run it: python examples/login_second_factor.py
"""

from otpverify import IncorrectCode, Verifier
from otpverify.sandbox import Sandbox

account = {"phone": "+37256789045"}
session: dict[str, str] = {}

with Sandbox() as sandbox, sandbox.client() as client:
    verifier = Verifier(client)

    # The password was right: send a code, and remember the challenge on the server's side.
    challenge = verifier.start(account["phone"], purpose="login", client_ip="192.0.2.1")
    session["challenge"] = challenge.id
    print("code sent, good until", challenge.expires_at.strftime("%H:%M:%S"))

    # A wrong code costs one of five attempts.
    code = sandbox.messages[0].code or ""
    wrong = "000000" if code != "000000" else "000001"
    try:
        verifier.check(account["phone"], wrong, challenge=session["challenge"], purpose="login")
    except IncorrectCode as error:
        print("wrong code,", error.attempts_left, "attempts left")

    # `check` returns only on success; every failure raises.
    verifier.check(account["phone"], code, challenge=session.pop("challenge"), purpose="login")
    print("signed in")
