"""The picture of the project: how each voice orders the areas, and where the orders cross.

One column per voice, soonest at the top. A line joins an area between neighbouring columns; beside every
label a strip shows how likely each rank is, so that a firm order looks like a sharp diagonal and a loose
one like fog. An area a voice has no evidence about stands under that column as "no view".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from questions.model import Area, Group
from tracker.estimates.voice import Voice
from tracker.report.content import Place, places_of
from tracker.report.plots import canvas
from tracker.report.wording import GROUP_TITLES, NO_VIEW, clean, day, decimal, voice_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARGIN = 0.25
ROW = 0.41
STRIP_HEIGHT = 0.25
TOP = 1.6  # title, legend, column heads
NOTE_LINE = 0.19
RANK_WIDTH = 0.36  # beside every strip, for "10="
STRIP_WIDTHS = (0.42, 1.2)
GAP_TO_STRIP = 1.05
FULL_NAMES_UP_TO = 2  # columns; with more of them only the first has full names
LONG_NAME = 20  # characters; longer names take two lines beside other columns
LABEL_LINE = 0.16
HALF_CAPITAL = 0.365 * canvas.LABEL_PT / 72  # half of DejaVu Sans' capital height, in inches


@dataclass(frozen=True)
class Row:
    """One area in one column: its place, its position from the top (1 first), P(rank 1..of)."""

    area: Area
    place: Place
    slot: int
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Column:
    """One voice made ready for drawing; lengths in inches. ``left`` and ``right`` bound its strips,
    ``end`` its labels; the first column has its labels on the left. ``labels``: text by area key."""

    voice: Voice
    rows: tuple[Row, ...]
    without_view: tuple[Area, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    first: bool = False
    full_names: bool = True
    left: float = 0.0
    right: float = 0.0
    end: float = 0.0


def slope_chart(voices: Sequence[Voice], areas: Sequence[Area], *, title: str, as_of: datetime) -> Figure:
    """Draw the orderings of ``areas`` side by side; a voice that covers nothing is named below the chart.

    Heights in a column are even and go from soonest to latest *of the areas that voice covers*, so a
    short column spans the same height as a long one. Raises ValueError when no voice covers any area.
    """
    columns = [_column(voice, areas) for voice in voices]
    silent = [column.voice for column in columns if not column.rows]
    columns = [column for column in columns if column.rows]
    if not columns:
        raise ValueError("no voice has a view on any area: nothing to draw")
    with canvas.drawing():
        return _draw(columns, silent, clean(title), as_of)


def slope_alt(voices: Sequence[Voice], areas: Sequence[Area]) -> str:
    """The chart in words and numbers, for readers who cannot see it."""
    sentences = []
    for voice in voices:
        rows = _column(voice, areas).rows
        name = voice_title(voice.name)
        if not rows:
            sentences.append(f"{name}: {NO_VIEW} ({clean(voice.reason).rstrip('.') or 'no evidence'}).")
            continue
        order = ", ".join(
            f"{row.place.label} {clean(row.area.name)} (mean rank {decimal(row.place.mean_rank, 1)})"
            for row in rows
        )
        sentences.append(f"{name}, {len(rows)} of {len(areas)} areas: {order}.")
    return " ".join(sentences)


def _column(voice: Voice, areas: Sequence[Area]) -> Column:
    by_key = {area.key: area for area in areas}
    rows = tuple(
        Row(by_key[key], place, slot, tuple(voice.rank_probabilities.get(key, ())))
        for slot, (key, place) in enumerate(places_of(voice).items(), start=1)
        if key in by_key
    )
    covered = {row.area.key for row in rows}
    return Column(voice, rows, tuple(area for area in areas if area.key not in covered))


def _draw(columns: list[Column], silent: list[Voice], title: str, as_of: datetime) -> Figure:
    probe = canvas.new_figure(1.0)
    columns, width = _laid_out(probe, columns)
    absent = [_no_view_lines(probe, column) for column in columns]
    notes = _notes(probe, columns, silent, as_of, width)
    foot = 0.22 + NOTE_LINE * len(notes)
    below = 0.42 + NOTE_LINE * max(map(len, absent)) if any(absent) else 0.2
    tall = ROW * max(len(column.rows) for column in columns)
    figure = canvas.new_figure(foot + below + tall + TOP, width)
    axes = canvas.inch_axes(figure)
    heights = [_heights(column, foot + below, tall) for column in columns]
    _draw_title(figure, axes, title)
    for index in range(len(columns) - 1):
        _draw_links(axes, columns[index], columns[index + 1], heights[index], heights[index + 1])
    for column, height, lines in zip(columns, heights, absent, strict=True):
        _draw_head(axes, column, foot + below + tall)
        for row in column.rows:
            _draw_row(axes, column, row, height[row.area.key])
        _draw_no_view(axes, column, lines, foot + below)
    for index, line in enumerate(reversed(notes)):
        axes.text(
            MARGIN, 0.2 + NOTE_LINE * index, line, fontsize=canvas.NOTE_PT, color=canvas.MUTED, va="center"
        )
    return figure


def _laid_out(probe: Figure, columns: list[Column]) -> tuple[list[Column], float]:
    """Give every column its place; the figure grows beyond its usual width only when it must."""
    count = len(columns)
    columns = [replace(c, full_names=i == 0 or count <= FULL_NAMES_UP_TO) for i, c in enumerate(columns)]
    columns = [replace(column, labels=_labels(column, one_line=count == 1)) for column in columns]
    widths = [RANK_WIDTH + _widest(probe, column.labels.values()) for column in columns]
    left = MARGIN + widths[0] + 0.06
    strips = count + GAP_TO_STRIP * (count - 1)
    narrow, wide = STRIP_WIDTHS
    free = canvas.WIDTH_IN - MARGIN - left - sum(widths[1:])
    strip = min(wide, max(narrow, free / strips)) if count > 1 else free
    gap = max(GAP_TO_STRIP * strip, (free - strip * count) / (count - 1)) if count > 1 else 0.0
    placed = []
    for index, (column, width) in enumerate(zip(columns, [0.0, *widths[1:]], strict=True)):
        right = left + strip
        placed.append(replace(column, first=index == 0, left=left, right=right, end=right + width))
        left = right + width + gap
    return placed, max(canvas.WIDTH_IN, placed[-1].end + MARGIN)


def _labels(column: Column, *, one_line: bool) -> dict[str, str]:
    """A text for every area, ranked or not, so that the layout does not hang on who covers what."""
    areas = (*(row.area for row in column.rows), *column.without_view)
    if not column.full_names:
        return {area.key: clean(area.short) for area in areas}
    return {area.key: clean(area.name) if one_line else _in_two_lines(area) for area in areas}


def _in_two_lines(area: Area) -> str:
    """The area's name, broken at the space nearest its middle when it is long."""
    name = clean(area.name)
    breaks = [i for i, character in enumerate(name) if character == " "]
    if len(name) <= LONG_NAME or not breaks:
        return name
    middle = min(breaks, key=lambda i: max(i, len(name) - i))
    return f"{name[:middle]}\n{name[middle + 1 :]}"


def _widest(probe: Figure, texts: Iterable[str]) -> float:
    return max(canvas.text_size_in(probe, text, canvas.LABEL_PT)[0] for text in texts)


def _no_view_lines(probe: Figure, column: Column) -> list[str]:
    """The areas without a view: full names in lines of their own, short labels after each other."""
    if not column.without_view:
        return []
    room = column.left - RANK_WIDTH - MARGIN if column.first else column.end - column.left
    if not column.full_names:
        shorts = ", ".join(clean(area.short) for area in column.without_view)
        return canvas.wrap(probe, shorts.split(" "), room, canvas.NOTE_PT)
    names = (clean(area.name).split(" ") for area in column.without_view)
    return [line for words in names for line in canvas.wrap(probe, words, room, canvas.NOTE_PT)]


def _notes(
    probe: Figure, columns: list[Column], silent: list[Voice], as_of: datetime, width: float
) -> list[str]:
    """What the reader needs to know below the picture."""
    sentences = [
        "Strips: how likely each rank is, first on the left, last on the right; the mark is the mean rank.",
        f"A column spans only the areas its voice covers. As of {day(as_of)} (UTC).",
    ]
    for voice in silent:
        why = clean(voice.reason).rstrip(".") or "no evidence"
        sentences.append(f"{voice_title(voice.name)}: {NO_VIEW} on any area ({why}).")
    shown = {
        area.key: area
        for column in columns
        if not column.full_names
        for area in (*(row.area for row in column.rows), *column.without_view)
    }
    unclear = sorted((clean(a.short), clean(a.name)) for a in shown.values() if not _speaks_for_itself(a))
    if unclear:
        sentences.append("; ".join(f"{short}: {name}" for short, name in unclear) + ".")
    lines: list[str] = []
    for sentence in sentences:
        lines.extend(canvas.wrap(probe, sentence.split(" "), width - 2 * MARGIN, canvas.NOTE_PT))
    return lines


def _speaks_for_itself(area: Area) -> bool:
    """Whether the short label is how the name, or a word of it, begins."""
    short = "".join(filter(str.isalnum, area.short.casefold()))
    starts = [area.name, *area.name.split()]
    return any("".join(filter(str.isalnum, start.casefold())).startswith(short) for start in starts)


def _heights(column: Column, bottom: float, tall: float) -> dict[str, float]:
    return {r.area.key: bottom + tall * (1 - (r.slot - 0.5) / r.place.of) for r in column.rows}


def _draw_title(figure: Figure, axes: Axes, title: str) -> None:
    width, height = (float(x) for x in figure.get_size_inches())
    canvas.title(figure, axes, title, margin=MARGIN, down=0.34)
    y = height - 0.72
    axes.text(MARGIN, y, "Soonest at the top", fontsize=canvas.LABEL_PT, color=canvas.MUTED, va="center")
    x = width - MARGIN
    for group in (Group.CAPABILITIES, Group.SAFETY):
        text = axes.text(
            x, y, GROUP_TITLES[group], fontsize=canvas.LABEL_PT, color=canvas.INK, va="center", ha="right"
        )
        x -= float(text.get_window_extent().width) / figure.dpi + 0.72
        _draw_sample(axes, x, y, group)
        x -= 0.3


def _draw_sample(axes: Axes, x: float, y: float, group: Group) -> None:
    style = canvas.GROUP_STYLES[group]
    axes.plot([x, x + 0.62], [y, y], color=style.colour, linestyle=style.dashes, linewidth=1.8)
    axes.plot(
        [x + 0.31], [y], marker=style.marker, color=style.colour, markersize=7, markeredgecolor=canvas.PAPER
    )


def _draw_head(axes: Axes, column: Column, top: float) -> None:
    of = len(column.rows) + len(column.without_view)
    title = voice_title(column.voice.name)
    counted = f"{len(column.rows)} of {of} areas"
    alone = column.end > axes.get_xlim()[1] - 2 * MARGIN
    x, ha = (column.right, "right") if column.first and not alone else (column.left, "left")
    axes.text(
        x, top + 0.4, title, fontsize=canvas.HEAD_PT, fontweight="bold", color=canvas.INK, ha=ha, va="center"
    )
    axes.text(x, top + 0.17, counted, fontsize=canvas.NOTE_PT, color=canvas.MUTED, ha=ha, va="center")


def _draw_links(axes: Axes, a: Column, b: Column, from_y: dict[str, float], to_y: dict[str, float]) -> None:
    """A curve per area both columns hold; it leaves and arrives level so that crossings stay readable."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    start, stop = a.end + 0.07, b.left - 0.05
    bend = 0.45 * (stop - start)
    for row in a.rows:
        key = row.area.key
        if key not in to_y:
            continue
        style = canvas.GROUP_STYLES[row.area.group]
        y0, y1 = from_y[key], to_y[key]
        points = [(start, y0), (start + bend, y0), (stop - bend, y1), (stop, y1)]
        curve = Path(points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
        link = PathPatch(curve, fill=False, edgecolor=style.colour, linewidth=1.8, linestyle=style.dashes)
        link.set_gid(f"link-{a.voice.name}-{b.voice.name}-{key}")
        axes.add_patch(link)


def _draw_row(axes: Axes, column: Column, row: Row, y: float) -> None:
    _draw_strip(axes, column, row, y)
    rank_x = column.left - 0.06 if column.first else column.right + 0.29
    axes.text(
        rank_x,
        y - HALF_CAPITAL,
        row.place.label,
        fontsize=canvas.LABEL_PT,
        fontweight="bold",
        color=canvas.INK,
        ha="right",
    )
    x, ha = (
        (column.left - RANK_WIDTH, "right") if column.first else (column.right + RANK_WIDTH - 0.02, "left")
    )
    lines = column.labels[row.area.key].split("\n")
    top = y - HALF_CAPITAL + LABEL_LINE * (len(lines) - 1) / 2
    for index, line in enumerate(lines):
        # a text of its own for every line: the SVG then keeps its alignment in any font
        text = axes.text(x, top - LABEL_LINE * index, line, fontsize=canvas.LABEL_PT, color=canvas.INK, ha=ha)
        text.set_gid(f"rank-{column.voice.name}-{row.area.key}" + (f".{index + 1}" if index else ""))


def _draw_strip(axes: Axes, column: Column, row: Row, y: float) -> None:
    """One cell per rank, the darker the likelier, and a mark at the mean rank."""
    from matplotlib.patches import Rectangle

    style = canvas.GROUP_STYLES[row.area.group]
    bottom, width = y - STRIP_HEIGHT / 2, (column.right - column.left) / row.place.of
    axes.add_patch(
        Rectangle(
            (column.left, bottom),
            width * row.place.of,
            STRIP_HEIGHT,
            facecolor=canvas.WASH,
            linewidth=0,
            snap=True,
        )
    )
    for index, chance in enumerate(row.probabilities):
        if chance >= 0.005:
            # a power below 1 keeps small chances visible; the darkest cell stays lighter than the mark
            shade = 0.85 * min(1.0, chance) ** 0.75
            cell = Rectangle(
                (column.left + index * width, bottom),
                width,
                STRIP_HEIGHT,
                facecolor=style.colour,
                alpha=shade,
                linewidth=0,
                snap=True,
            )
            axes.add_patch(cell)
    mark = column.left + (row.place.mean_rank - 0.5) * width
    axes.plot(
        [mark],
        [y],
        marker=style.marker,
        color=style.colour,
        markersize=6.5,
        markeredgecolor=canvas.PAPER,
        markeredgewidth=1.0,
    )


def _draw_no_view(axes: Axes, column: Column, lines: list[str], bottom: float) -> None:
    """Areas without evidence, under the column: listed in catalogue order, never ranked."""
    if not lines:
        return
    x, ha = (column.left - RANK_WIDTH, "right") if column.first else (column.left, "left")
    top = bottom - 0.3
    axes.text(
        x,
        top,
        f"{NO_VIEW}:",
        fontsize=canvas.NOTE_PT,
        color=canvas.MUTED,
        ha=ha,
        va="center",
        fontstyle="italic",
    )
    for index, line in enumerate(lines, start=1):
        text = axes.text(
            x, top - NOTE_LINE * index, line, fontsize=canvas.NOTE_PT, color=canvas.MUTED, ha=ha, va="center"
        )
        text.set_gid(f"noview-{column.voice.name}-{index}")
