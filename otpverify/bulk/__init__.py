"""`otpverify send-bulk`: a list of numbers, sent to once each, however often it is killed."""
