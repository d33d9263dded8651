"""What the commands print for an owner and for support: those of `otpverify` and of `manage.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from otpverify.console.traffic import Window, traffic_lines
from otpverify.errors import ExtraMissing


def show_traffic(windows: Sequence[Window], say: Callable[[str], None], *, terminal: bool) -> None:
    """Print a table for each window: with bars on a terminal, where the extra `cli` is installed;
    plain lines elsewhere.

    Args:
        windows: What to show.
        say: Writes a line.
        terminal: Whether lines go to a terminal.

    Raises:
        OSError: The terminal cannot be written to.
    """
    if terminal:
        try:
            from otpverify.console.traffic_table import print_tables
        except ExtraMissing as error:
            say(f"{error}")
        else:
            print_tables(windows)
            return
    for line in traffic_lines(windows):
        say(line)
