"""Phone numbers: `normalize` turns what a person typed into E.164, `mask` hides a number for logs,
`hint` for the page of a person who may not see all of it."""

from otpverify.core.phone import hint, mask, normalize

__all__ = ["hint", "mask", "normalize"]
