"""How far voices' orders agreed week by week, with the band that chance alone would fill.

One strip per pair of voices: tau-b as a line with its 90% interval as bars, the exact 90% range of unrelated
orders as a shaded band with dashed edges. A week without a comparison is a gap, never bridged.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from tracker.estimates.voice import Comparison
from tracker.report.plots import canvas
from tracker.report.wording import day, voice_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Weeks = Sequence[tuple[datetime, Sequence[Comparison]]]

MARGIN = 0.25
LEFT = 0.75
STRIP = 1.35
GAP = 0.45
HEAD = 0.7
FOOT = 0.95


def agreement_chart(weeks: Weeks) -> Figure:
    """Draw the history of every pair of voices that was ever compared. ValueError when none was."""
    pairs = _pairs(weeks)
    if not pairs:
        raise ValueError("no two voices were ever compared: nothing to draw")
    with canvas.drawing():
        height = HEAD + FOOT + len(pairs) * STRIP + (len(pairs) - 1) * GAP + 0.3
        figure = canvas.new_figure(height)
        axes = canvas.inch_axes(figure)
        canvas.title(figure, axes, "How far the orders agree, as known each week")
        for index, pair in enumerate(pairs):
            bottom = height - HEAD - 0.3 - (index + 1) * STRIP - index * GAP
            _strip(axes, weeks, pair, bottom)
        _dates(axes, weeks, FOOT - 0.18)
        notes = (
            "Line: Kendall's tau-b of the two orders; bars: 90% of pairs of draws, one of each side.",
            "Shaded, between dashes: where nine of ten pairs of unrelated orders of as many areas lie: no news.",
        )
        for index, words in enumerate(reversed(notes)):
            axes.text(
                MARGIN, 0.2 + 0.19 * index, words, fontsize=canvas.NOTE_PT, color=canvas.MUTED, va="center"
            )
    return figure


def agreement_alt(weeks: Weeks) -> str:
    """The chart in words: for every pair the first and the last value and the chance range."""
    sentences = []
    for a, b in _pairs(weeks):
        known = [(at, one) for at, one in _series(weeks, (a, b)) if one is not None and one.tau_b is not None]
        if not known:
            continue
        (start, first), (end, last) = known[0], known[-1]
        band = last.tau_null_ci90
        inside = "" if band is None else f"; chance alone: {band[0]:+.2f} to {band[1]:+.2f}"
        sentences.append(
            f"{voice_title(a)} against {voice_title(b)}: tau-b {first.tau_b:+.2f} on {day(start)}, "
            f"{last.tau_b:+.2f} on {day(end)}, {len(last.areas)} areas{inside}."
        )
    return " ".join(sentences)


def _pairs(weeks: Weeks) -> list[tuple[str, str]]:
    return list(dict.fromkeys((one.a, one.b) for _, row in weeks for one in row if one.tau_b is not None))


def _series(weeks: Weeks, pair: tuple[str, str]) -> list[tuple[datetime, Comparison | None]]:
    return [(at, next((one for one in row if (one.a, one.b) == pair), None)) for at, row in weeks]


def _x(index: int, count: int) -> float:
    room = canvas.WIDTH_IN - LEFT - MARGIN - 0.3
    return LEFT + 0.15 + room * (0.5 if count == 1 else index / (count - 1))


def _strip(axes: Axes, weeks: Weeks, pair: tuple[str, str], bottom: float) -> None:
    from matplotlib.patches import Rectangle

    def y(tau: float) -> float:
        return bottom + STRIP * (tau + 1) / 2

    series = _series(weeks, pair)
    count = len(series)
    half = (_x(1, count) - _x(0, count)) / 2 if count > 1 else 0.5
    shared = {len(one.areas) for _, one in series if one is not None and one.tau_b is not None}
    areas = f"{min(shared)} areas" if len(shared) == 1 else f"{min(shared)} to {max(shared)} areas"
    axes.text(
        LEFT,
        bottom + STRIP + 0.14,
        f"{voice_title(pair[0])} against {voice_title(pair[1])}, {areas}",
        fontsize=canvas.HEAD_PT,
        fontweight="bold",
        color=canvas.INK,
        va="center",
    )
    right = canvas.WIDTH_IN - MARGIN
    for tau in (-1, 0, 1):
        axes.plot([LEFT, right], [y(tau)] * 2, color=canvas.RULE, linewidth=0.8, zorder=0)
        axes.text(
            LEFT - 0.1, y(tau), f"{tau:+d}" if tau else "0", fontsize=canvas.NOTE_PT, color=canvas.MUTED,
            ha="right", va="center",
        )  # fmt: skip
    run: list[tuple[float, float]] = []
    for index, (_, one) in enumerate(series):
        x = _x(index, count)
        if one is None or one.tau_b is None:
            _line(axes, run)
            run = []
            continue
        if one.tau_null_ci90 is not None:
            low, high = one.tau_null_ci90
            left, width = max(x - half, LEFT), min(x + half, right) - max(x - half, LEFT)
            band = Rectangle(
                (left, y(low)), width, y(high) - y(low), facecolor=canvas.WASH, linewidth=0, zorder=1
            )
            band.set_gid(f"null-{pair[0]}-{pair[1]}-{index}")
            axes.add_patch(band)
            for edge in (low, high):
                axes.plot(
                    [left, left + width], [y(edge)] * 2, color=canvas.MUTED, linewidth=0.9, linestyle=(0, (3, 2)),
                    zorder=1,
                )  # fmt: skip
        if one.tau_b_ci90 is not None:
            axes.plot([x, x], [y(end) for end in one.tau_b_ci90], color=canvas.INK, linewidth=1.1, zorder=2)
        run.append((x, y(one.tau_b)))
    _line(axes, run)


def _line(axes: Axes, run: Sequence[tuple[float, float]]) -> None:
    if run:
        xs, ys = zip(*run, strict=True)
        axes.plot(
            xs, ys, color=canvas.SAFETY, linewidth=1.8, marker="o", markersize=5.5,
            markeredgecolor=canvas.PAPER, zorder=3,
        )  # fmt: skip


def _dates(axes: Axes, weeks: Weeks, y: float) -> None:
    """The first, the last and some dates between, as many as there is room for."""
    count = len(weeks)
    step = max(1, -(-count // 6))
    shown = sorted({*range(0, count - step, step), count - 1})
    for index in shown:
        axes.text(
            min(_x(index, count), canvas.WIDTH_IN - 0.55),
            y,
            f"{weeks[index][0]:%Y-%m-%d}",
            fontsize=canvas.NOTE_PT,
            color=canvas.MUTED,
            ha="center",
            va="center",
        )
