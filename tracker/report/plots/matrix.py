"""Two tables as pictures: how likely each rank is for each area, and where two voices differ pair by pair.

Every cell that matters carries its number, so that nothing hangs on a colour: printed in grey the shades still
order, and who tells no colours apart loses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from questions.model import Area
from tracker.estimates.ordering import DISAGREEMENT_MARGIN, MIN_SHARED_AREAS
from tracker.estimates.voice import Voice
from tracker.report.plots import canvas
from tracker.report.wording import NO_VIEW, clean, day, voice_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARGIN = 0.25
ROW = 0.4
HEAD = 1.15
FOOT = 0.75
NOTE_LINE = 0.19
SMALLEST = 0.005  # rarer is left white
DARK = 0.7  # shades from here on take light print
PRINT_PT = 9.0


def rank_chart(voice: Voice, areas: Sequence[Area], *, as_of: datetime) -> Figure:
    """P(rank) of every area a voice covers, areas in the voice's order, soonest at the top.

    Shades of one colour grow with the chance, the printed per cents tell it.
    Raises ValueError for a voice without a view.
    """
    by_key = {area.key: area for area in areas}
    rows = [key for key in voice.ranking if key in by_key]
    if not rows:
        raise ValueError("the voice has no view on any area: nothing to draw")
    with canvas.drawing():
        count = len(rows)
        names = [clean(by_key[key].name) for key in rows]
        figure, axes, left, cell = _paper(names, count)
        canvas.title(figure, axes, f"{voice_title(voice.name)}: how likely each rank is")
        top = float(figure.get_size_inches()[1]) - HEAD
        _write(axes, left, top + 0.4, "rank (1 = sped up first)", ha="left", colour=canvas.MUTED)
        for rank in range(count):
            _write(axes, left + (rank + 0.5) * cell, top + 0.16, str(rank + 1), colour=canvas.MUTED)
        for index, key in enumerate(rows):
            y = top - (index + 0.5) * ROW
            area = by_key[key]
            style = canvas.GROUP_STYLES[area.group]
            colour = style.colour
            _write(
                axes, left - 0.3, y, names[index], ha="right", size=canvas.LABEL_PT, gid=f"rank-area-{key}"
            )
            axes.plot([left - 0.13], [y], marker=style.marker, color=colour, markersize=6.5)
            for rank, chance in enumerate(voice.rank_probabilities[key]):
                shade = 0.9 * chance**0.75 if chance >= SMALLEST else 0.0
                words = f"{100 * chance:.0f}" if chance >= SMALLEST else ""
                _cell(axes, left + rank * cell, y, cell, canvas.ACCENT, shade, words)
        uncovered = [clean(area.name) for area in areas if area.key not in rows]
        notes = [
            "Per cent of the voice's draws; nothing printed is under half a per cent.",
            "Blue circle: safety area; orange square: capabilities area.",
        ]
        notes += [f"{NO_VIEW.capitalize()}: {', '.join(uncovered)}."] if uncovered else []
        _notes(figure, axes, [*notes, f"As of {day(as_of)} (UTC)."])
    return figure


def pair_chart(a: Voice, b: Voice, areas: Sequence[Area], *, as_of: datetime) -> Figure:
    """Every pair of shared areas: how likely the row comes before the column by either voice, in per cent.

    Areas in the first voice's order; "neither" counts half. The shade is the difference; a heavy frame marks
    a disagreement (opposite sides of one half by 0.15 each). Raises ValueError with fewer than four shared areas.
    """
    by_key = {area.key: area for area in areas}
    shared = [key for key in a.ranking if key in b.coverage and key in by_key]
    if len(shared) < MIN_SHARED_AREAS:
        raise ValueError(f"{len(shared)} shared areas, {MIN_SHARED_AREAS} are needed")
    with canvas.drawing():
        count = len(shared)
        names = [clean(by_key[key].name) for key in shared[:-1]]
        figure, axes, left, cell = _paper(names, count - 1)
        one, two = voice_title(a.name), voice_title(b.name)
        canvas.title(figure, axes, f"{one} against {two}, pair by pair")
        top = float(figure.get_size_inches()[1]) - HEAD
        for column, key in enumerate(shared[1:]):
            x, y = left + (column + 0.5) * cell, top + 0.16 + 0.19 * (column % 2)  # neighbours do not touch
            _write(axes, x, y, clean(by_key[key].short), colour=canvas.MUTED)
        for i, first in enumerate(shared[:-1]):
            y = top - (i + 0.5) * ROW
            _write(axes, left - 0.12, y, names[i], ha="right", size=canvas.LABEL_PT, gid=f"rank-area-{first}")
            for j in range(i, count - 1):
                second = shared[j + 1]
                by_a, by_b = _lean(a, first, second), _lean(b, first, second)
                opposed = disagree(by_a, by_b)
                words = f"{100 * by_a:.0f}|{100 * by_b:.0f}"
                shade = 0.95 * abs(by_a - by_b)
                gid = f"{'opposed' if opposed else 'pair'}-{first}-{second}"
                _cell(axes, left + j * cell, y, cell, canvas.ACCENT, shade, words, frame=opposed, gid=gid)
        notes = [
            f"Per cent chance that the row's area comes before the column's: {one}|{two}; neither counts half.",
            "The stronger the shade, the further apart. A heavy frame: opposite sides of 50 by 15 or more each.",
            f"As of {day(as_of)} (UTC).",
        ]
        _notes(figure, axes, notes)
    return figure


def rank_alt(voice: Voice, areas: Sequence[Area]) -> str:
    """The rank chart in words: each area's likeliest rank and its chance."""
    names = {area.key: clean(area.name) for area in areas}
    parts = []
    for key in voice.ranking:
        chances = voice.rank_probabilities[key]
        best = max(range(len(chances)), key=lambda rank: chances[rank])
        parts.append(f"{names.get(key, key)} most likely {best + 1} ({chances[best]:.0%})")
    return f"{voice_title(voice.name)}: {'; '.join(parts)}."


def pair_alt(a: Voice, b: Voice, areas: Sequence[Area]) -> str:
    """The pair chart in words: the disagreements."""
    names = {area.key: clean(area.name) for area in areas}
    shared = [key for key in a.ranking if key in b.coverage and key in names]
    pairs = [(x, y) for i, x in enumerate(shared) for y in shared[i + 1 :]]
    found = [
        f"{names[x]} before {names[y]}: {_lean(a, x, y):.0%} against {_lean(b, x, y):.0%}"
        for x, y in pairs
        if disagree(_lean(a, x, y), _lean(b, x, y))
    ]
    head = f"{voice_title(a.name)} against {voice_title(b.name)}, {len(pairs)} pairs"
    return f"{head}: {'; '.join(found) if found else 'no disagreement'}."


def disagree(by_a: float, by_b: float) -> bool:
    """Whether two leans lie on opposite sides of one half by 0.15 or more each."""
    low, high = sorted((by_a - 0.5, by_b - 0.5))
    edge = DISAGREEMENT_MARGIN - 1e-9
    return low <= -edge and high >= edge


def _lean(voice: Voice, first: str, second: str) -> float:
    return 0.5 + (voice.p_before[first][second] - voice.p_before[second][first]) / 2


def _paper(names: Sequence[str], columns: int) -> tuple[Figure, Axes, float, float]:
    """A figure for ``len(names)`` rows: its axes, where cells begin, and how wide one is (inches)."""
    probe = canvas.new_figure(1.0)
    widest = max(canvas.text_size_in(probe, name, canvas.LABEL_PT)[0] for name in names)
    left = MARGIN + widest + 0.32
    cell = min(0.9, (canvas.WIDTH_IN - left - MARGIN) / columns)
    figure = canvas.new_figure(HEAD + ROW * len(names) + FOOT + 0.15)
    return figure, canvas.inch_axes(figure), left, cell


def _write(
    axes: Axes,
    x: float,
    y: float,
    words: str,
    *,
    ha: str = "center",
    size: float = canvas.NOTE_PT,
    colour: str = canvas.INK,
    gid: str = "",
) -> None:
    text = axes.text(x, y, words, fontsize=size, color=colour, ha=ha, va="center")
    if gid:
        text.set_gid(gid)


def _cell(
    axes: Axes,
    x: float,
    y: float,
    width: float,
    colour: str,
    shade: float,
    words: str,
    *,
    frame: bool = False,
    gid: str = "",
) -> None:
    """A shaded box with its number; a framed one is outlined in ink, so that it shows without colour."""
    from matplotlib.patches import Rectangle

    box = (x + 0.015, y - ROW / 2 + 0.015)
    size = (width - 0.03, ROW - 0.03)
    axes.add_patch(Rectangle(box, *size, facecolor=canvas.WASH, linewidth=0))
    if shade > 0:
        axes.add_patch(Rectangle(box, *size, facecolor=colour, alpha=min(shade, 1.0), linewidth=0))
    if frame:
        axes.add_patch(Rectangle(box, *size, fill=False, edgecolor=canvas.INK, linewidth=2.0))
    if words:
        ink = canvas.PAPER if shade >= DARK else canvas.INK
        _write(axes, x + width / 2, y, words, size=PRINT_PT, colour=ink, gid=gid)


def _notes(figure: Figure, axes: Axes, sentences: Sequence[str]) -> None:
    width = float(figure.get_size_inches()[0])
    lines = [
        line
        for sentence in sentences
        for line in canvas.wrap(figure, sentence.split(" "), width - 2 * MARGIN, canvas.NOTE_PT)
    ]
    for index, line in enumerate(reversed(lines)):
        _write(axes, MARGIN, 0.18 + NOTE_LINE * index, line, ha="left", colour=canvas.MUTED)
