"""Traffic as tables with bars on a terminal, drawn by rich."""

from __future__ import annotations

from collections.abc import Sequence

from otpverify.console.traffic import HINT, NOTHING, Window
from otpverify.errors import needs_extra

with needs_extra("cli", "A table with bars"):
    from rich.console import Console, RenderableType
    from rich.progress_bar import ProgressBar
    from rich.table import Table

_WIDEST_BAR, _NARROWEST_BAR = 12, 4
_BARS_AFTER = ("sent", "conversion")
_GOOD, _BAD, _NEUTRAL = "green", "red", "cyan"


def print_tables(windows: Sequence[Window], console: Console | None = None) -> None:
    """Print a table for each window.

    Args:
        windows: What to show.
        console: Where to; stdout if left out.

    Raises:
        OSError: It cannot be written to.
    """
    console = Console() if console is None else console
    for window in windows:
        console.print(window.title, style="bold", highlight=False)
        console.print(_table(window, console.width) if window.countries else NOTHING)
        console.print()
    if any(one.suspicious for window in windows for one in window.countries):
        console.print(HINT, style=_BAD)


def _table(window: Window, room: int) -> Table:
    """The columns of the text, with a bar beside how much was sent, and one beside the share of
    codes that were entered, as far as there is room."""
    rows = [window.headings, *map(window.cells, window.countries), window.cells(window.total)]
    taken = sum(2 + max(map(len, column)) for column in zip(*rows, strict=True)) + 1
    width = min(_WIDEST_BAR, (room - taken) // len(_BARS_AFTER) - 2)
    has_bars = width >= _NARROWEST_BAR
    table = Table(box=None, pad_edge=False, show_footer=True)
    for place, (heading, total) in enumerate(zip(rows[0], rows[-1], strict=True)):
        table.add_column(heading, total, justify="right" if place else "left", overflow="fold")
        if has_bars and heading in _BARS_AFTER:
            table.add_column("", width=width)
    table.add_column("")
    most = max(one.sent for one in window.countries)
    for one in window.countries:
        shade = _BAD if one.suspicious else _GOOD
        bars = iter((_bar(one.sent, most, _NEUTRAL), _bar(one.verified, one.sent, shade)))
        cells: list[RenderableType] = []
        for heading, cell in zip(window.headings, window.cells(one), strict=True):
            cells.append(cell)
            if has_bars and heading in _BARS_AFTER:
                cells.append(next(bars))
        style = _BAD if one.suspicious else None
        table.add_row(*cells, "!" if one.suspicious else "", style=style)
    return table


def _bar(part: int, whole: int, style: str) -> RenderableType:
    if not whole:
        return ""
    return ProgressBar(
        total=whole, completed=min(part, whole), complete_style=style, finished_style=style
    )
