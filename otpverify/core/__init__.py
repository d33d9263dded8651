"""The rules, pure: no I/O, no clock and no randomness of their own."""
