"""Stores: where challenges and counters live."""
