"""Phone numbers: `normalize` turns what a person typed into E.164, `mask` hides it for logs."""

from otpverify.core.phone import mask, normalize

__all__ = ["mask", "normalize"]
