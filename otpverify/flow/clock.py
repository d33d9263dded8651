"""The wall clock, for the datetimes that callers see. Limits and expiry are the store's."""

import time
from datetime import UTC, datetime


def utc_now() -> datetime:
    """Now, aware, in UTC."""
    return datetime.fromtimestamp(time.time(), UTC)
