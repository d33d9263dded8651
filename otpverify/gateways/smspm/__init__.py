"""The SMSPM gateway."""
