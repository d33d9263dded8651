"""What happened, for receivers. `sender` is the view's class; each is sent once, after a right
code, with `request` and `verified` (a `Verified`: act on `verified.phone`)."""

from django.dispatch import Signal

phone_verified = Signal()
"""A number was confirmed. `request.user` is whoever was signed in, if anybody."""

login_verified = Signal()
"""Somebody signed in by password and code; with `user`. Django's `user_logged_in` came before."""

password_reset_done = Signal()
"""A password was set by phone; with `user`."""
