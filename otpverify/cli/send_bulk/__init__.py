"""`otpverify send-bulk`."""
