"""Commands of manage.py: those of `otpverify` for the owner and for support."""
