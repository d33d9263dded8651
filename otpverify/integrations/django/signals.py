"""The signals. `sender` is the view's class. All have `request`; those after a right code have
`verified` (a `Verified`: act on `verified.phone`)."""

from __future__ import annotations

from django.dispatch import Signal

from otpverify import AttemptsExhausted, IncorrectCode, OtpVerifyError

code_verified: Signal = Signal()
"""A code was right, in any flow; with `user` and `verified`. It is sent before the flow's own
signal. `user` is the user whose password was right, at a login; otherwise the one who is signed in,
or `None`."""

code_refused: Signal = Signal()
"""A code was not accepted; with `user`, `purpose` and `error` (an `OtpVerifyError`). At a login and
at a sign-in, Django's `user_login_failed` is sent, too, if the code was an attempt."""

attempts_exhausted: Signal = Signal()
"""The last attempt of a challenge was used, or a code came after it; with what `code_refused` has,
which is sent before."""

phone_verified: Signal = Signal()
"""A number was confirmed; with `verified`. `request.user` is the user who is signed in, if any."""

login_verified: Signal = Signal()
"""A user signed in by password and second factor; with `user`, `verified` and `way`: `"sms"`, or
the name of another way in, whose `verified` is `None`. Django's `user_logged_in` is sent before. It
is not sent for a remembered browser: no second factor was checked then."""

sign_in_verified: Signal = Signal()
"""A user signed in by a code alone; with `user`, `verified` and `created` (whether the account is
new). Django's `user_logged_in` is sent before."""

password_reset_done: Signal = Signal()
"""A password was set by phone; with `user` and `verified`."""

phone_changed: Signal = Signal()
"""The phone of an account was added or changed; with `user`, `verified` and `old` (the number until
now, or `None`)."""

phone_removed: Signal = Signal()
"""The phone of an account was removed; with `user` and `old`."""

backup_codes_made: Signal = Signal()
"""A user has new backup codes; with `user`. Earlier ones are void."""


def signals_of_refusal(error: OtpVerifyError) -> list[Signal]:
    """The signals about a code that was not accepted, in order."""
    last = isinstance(error, IncorrectCode) and error.attempts_left == 0
    exhausted = last or isinstance(error, AttemptsExhausted)
    return [code_refused, attempts_exhausted] if exhausted else [code_refused]
