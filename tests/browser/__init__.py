"""The sites in a real browser. They are part of the long form, see `support.long_form`."""
