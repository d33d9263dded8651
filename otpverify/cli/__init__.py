"""The command `otpverify`."""
