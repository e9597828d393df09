"""The page's plain twin: the same sections for a terminal, a log or the text part of a mail."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Literal

from tracker.report.content import PageContent
from tracker.report.page import TITLE
from tracker.report.sections import Section, Table, sections
from tracker.report.wording import clean, minute

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

NARROWEST = 40
BETWEEN_COLUMNS = 3


def render_text(
    content: PageContent, width: int = 100, *, colour: bool = False, only: Collection[str] | None = None
) -> str:
    """Everything the page says except its pictures, in lines of at most ``width`` columns.

    A table that does not fit is written row by row. ``colour`` adds terminal codes. ``only`` picks sections
    by key (ordering, comparisons, changes, horizons, calibration, health, evidence, sources, database, caveats) and
    leaves out the heading. Raises ValueError for an unknown key or a width under 40.
    """
    if width < NARROWEST:
        raise ValueError(f"width {width} is too narrow: {NARROWEST} columns or more")
    parts = sections(content)
    unknown = set(only or ()) - {part.key for part in parts}
    if unknown:
        raise ValueError(f"no such section: {', '.join(sorted(unknown))}")
    console, out = _console(width, colour)
    if only is None:
        _write_line(console, TITLE, "bold")
        _write_line(console, clean(content.headline, limit=600))
        _write_line(console, f"As of {minute(content.as_of)}", "dim")
    for part in parts:
        if only is None or part.key in only:
            _write_section(console, part)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    return "\n".join(lines).strip("\n") + "\n"


def _console(width: int, colour: bool) -> tuple[Console, io.StringIO]:
    from rich.console import Console

    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        color_system="standard" if colour else None,
        force_terminal=colour,
        legacy_windows=False,
        markup=False,  # "[red]" in somebody's title is text
        emoji=False,
        highlight=False,
        no_color=not colour,
        soft_wrap=False,
        _environ={},  # the same contents give the same text wherever they are printed
    )
    return console, out


def _write_line(console: Console, text: str, style: str = "") -> None:
    from rich.text import Text

    console.print(Text(text, style=style))


def _write_section(console: Console, part: Section) -> None:
    _write_line(console, "")
    _write_line(console, part.title, "bold underline")
    _write_line(console, "=" * min(len(part.title), console.width))
    for paragraph in part.paragraphs:
        _write_line(console, paragraph)
        _write_line(console, "")
    for table in part.tables:
        _write_table(console, table)
    for point in part.points:
        _write_hanging(console, "- ", point)
    for command, what in part.commands:
        _write_line(console, f"$ {command}", "bold")
        _write_hanging(console, "    ", what)


def _write_hanging(console: Console, lead: str, text: str) -> None:
    from rich.padding import Padding
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid.grid(padding=0)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(lead), Text(text))
    console.print(Padding(grid, 0, expand=False))


def _write_table(console: Console, table: Table) -> None:
    _write_line(console, table.caption, "italic")
    widths = _column_widths(table, console.width)
    if widths is None:
        _write_rows(console, table)
    else:
        console.print(_laid_out(table, widths))
    for cell in (cell for row in table.rows for cell in row if cell.href):
        _write_hanging(console, "  ", f"{cell.text}: {cell.href}")
    _write_line(console, "")


def _column_widths(table: Table, width: int) -> list[int] | None:
    """Widths in which no word is broken and which together fit, or None.

    Given to rich as they are: its own fitting lets columns with a least width run off the edge.
    """
    from rich.cells import cell_len

    least, natural = [], []
    for index, column in enumerate(table.columns):
        texts = [column.title, *(row[index].text for row in table.rows)]
        natural.append(max(map(cell_len, texts)))
        least.append(max(cell_len(word) for text in texts for word in (text.split() or [""])))
    spare = width - BETWEEN_COLUMNS * (len(least) - 1) - sum(least)
    if spare < 0:
        return None
    widths = least
    for _ in range(spare):  # one by one to whichever column needs most lines
        lines = [want / max(have, 1) for want, have in zip(natural, widths, strict=True)]
        if max(lines) <= 1:
            break
        widths[lines.index(max(lines))] += 1
    return widths


def _laid_out(table: Table, widths: Sequence[int]) -> RichTable:
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column, width in zip(table.columns, widths, strict=True):
        justify: Literal["left", "right"] = "right" if column.numeric else "left"
        grid.add_column(Text(column.title), justify=justify, overflow="fold", width=width)
    for row in table.rows:
        grid.add_row(*(Text(cell.text, style="dim" if cell.absent else "") for cell in row))
    return grid


def _write_rows(console: Console, table: Table) -> None:
    """One block a row: its header, then ``column: value`` lines."""
    for row in table.rows:
        _write_line(console, row[0].text, "bold")
        for column, cell in zip(table.columns[1:], row[1:], strict=True):
            _write_hanging(console, "  ", f"{column.title}: {cell.text}")
