"""The signals. `sender` is the view's class. All have `request`; those after a right code have
`verified` (a `Verified`: act on `verified.phone`)."""

from django.dispatch import Signal

code_verified = Signal()
"""A code was right, in any flow; with `user` and `verified`. It is sent before the flow's own
signal. `user` is the user whose password was right, at a login; otherwise the one who is signed in,
or `None`."""

code_refused = Signal()
"""A code was not accepted; with `user`, `purpose` and `error` (an `OtpVerifyError`). At a login,
Django's `user_login_failed` is sent, too, if the code was an attempt."""

phone_verified = Signal()
"""A number was confirmed; with `verified`. `request.user` is the user who is signed in, if any."""

login_verified = Signal()
"""A user signed in by password and code; with `user` and `verified`. Django's `user_logged_in` is
sent before."""

password_reset_done = Signal()
"""A password was set by phone; with `user` and `verified`."""
