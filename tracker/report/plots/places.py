"""Chart of where answers fell in forecasts of numbers and dates: their PIT values against even ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from tracker.report.plots import canvas
from tracker.report.plots.scores import COLOURS, LEFT, SHOWN, heading, note, short
from tracker.report.wording import clean, day, decimal, interval
from tracker.scoring.lives import MIDPOINT
from tracker.scoring.numeric import MIN_PIT_QUESTIONS, Places
from tracker.scoring.scores import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

TOP, BOTTOM = 0.95, 1.15  # margins in inches
MIN_QUESTIONS = 10  # below it a curve shows noise
DASHES = ("solid", (0, (4, 2)), (0, (1, 1.4)), (0, (6, 2, 1, 2)), (0, (8, 3)))
BAND = 0.9


def pit_chart(found: Sequence[Places], *, as_of: datetime) -> Figure:
    """How many answers fell at or below each probability of the forecasts, at the lead with most questions.

    The band holds nine of ten calibrated curves of as many events at each place (of the forecaster with most
    questions); below, that one's histogram from 50 questions on. Raises ValueError where nobody has ten questions.
    """
    chosen = shown(found)
    if not chosen:
        raise ValueError(
            f"no forecaster of numbers or dates with {MIN_QUESTIONS} answers at one lead: too few to say"
        )
    first = chosen[0]
    with canvas.drawing():
        figure, upper, lower = canvas.square_over_strip(
            left=LEFT, bottom=BOTTOM, top=TOP, side=4.55, strip=0.95, between=0.28
        )
        heading(figure, "Where answers fell in forecasts of numbers and dates", lead_words(first.lead))
        _draw_curves(upper, chosen)
        _draw_histogram(lower, first)
        _draw_shares(figure, chosen, 5.7)
        note(
            figure,
            "Below the diagonal: answers came out higher than said; steep at both ends: forecasts too narrow. "
            f"Band: {BAND:.0%} of calibrated ones.",
            lines_up=1,
        )
        note(figure, f"In brackets: questions. As of {day(as_of)} (UTC).")
        return figure


def shown(found: Sequence[Places]) -> list[Places]:
    """Those at the lead with most questions who have ten or more there, the most first."""
    enough = [one for one in found if len(one.pit) >= MIN_QUESTIONS]
    if not enough:
        return []
    sizes = {lead: sum(len(one.pit) for one in enough if one.lead == lead) for lead in _leads(enough)}
    best = max(sizes, key=lambda lead: sizes[lead])
    mine = sorted(
        (one for one in enough if one.lead == best), key=lambda one: (-len(one.pit), one.forecaster)
    )
    return mine[:SHOWN]


def lead_words(lead: str) -> str:
    """A lead time as people say it."""
    return (
        "in the middle of the question's life"
        if lead == MIDPOINT
        else f"{lead} days before the scheduled close"
    )


def share_at_most(pit: FloatArray, at: FloatArray) -> FloatArray:
    """The share of PIT values at or below each place; one that is known as an interval is spread evenly over it.

    >>> share_at_most(np.array([[0.2, 0.2], [0.0, 1.0]]), np.array([0.1, 0.2, 0.5])).round(3).tolist()
    [0.05, 0.6, 0.75]
    """
    low, high = pit[:, :1], pit[:, 1:]
    width = np.where(high > low, high - low, 1.0)
    held: FloatArray = np.where(high > low, np.clip((at - low) / width, 0.0, 1.0), at >= low).mean(axis=0)
    return held


def even_band(n: int, at: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Between which shares nine of ten calibrated curves of ``n`` independent events lie, at each place (binomial)."""
    from scipy.stats import binom

    tail = 0.5 * (1.0 - BAND)
    low, high = np.asarray(binom.ppf(tail, n, at)), np.asarray(binom.ppf(1.0 - tail, n, at))
    return low / n, high / n


def _leads(found: Sequence[Places]) -> list[str]:
    return list(dict.fromkeys(one.lead for one in found))


def _draw_curves(axes: Axes, chosen: Sequence[Places]) -> None:
    canvas.unit_square(axes, "share of answers at or below")
    at = np.linspace(0.0, 1.0, 401)
    axes.fill_between(
        at, *even_band(chosen[0].n_events, at), color=canvas.MUTED, alpha=0.16, linewidth=0, zorder=0
    )
    for one, colour, dashes in zip(chosen, COLOURS, DASHES, strict=False):
        axes.plot(at, share_at_most(one.pit, at), color=colour, linestyle=dashes, linewidth=1.9, zorder=4)


def _draw_histogram(axes: Axes, one: Places) -> None:
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.set_xlabel("probability the forecast gave to less", fontsize=canvas.LABEL_PT, color=canvas.INK)
    axes.set_ylabel("questions", fontsize=canvas.NOTE_PT, color=canvas.MUTED)
    if one.histogram is None:
        words = f"a histogram needs {MIN_PIT_QUESTIONS} questions"
        axes.set_ylim(0, 1)
        axes.text(0.5, 0.4, words, fontsize=canvas.NOTE_PT, color=canvas.MUTED, ha="center")
        return
    count = len(one.histogram)
    middles = [(k + 0.5) / count for k in range(count)]
    axes.bar(
        middles, one.histogram, width=0.88 / count, color=canvas.RULE, edgecolor=canvas.MUTED, linewidth=0.7
    )
    axes.axhline(len(one.pit) / count, color=canvas.MUTED, linewidth=1.0, linestyle=(0, (5, 3)))
    top = 1.4 * max(one.histogram)
    axes.set_ylim(0, top)
    axes.text(
        0.0,
        0.98 * top,
        f"bars: {short(one.forecaster)}",
        fontsize=canvas.NOTE_PT - 0.5,
        color=canvas.MUTED,
        va="top",
    )


def _draw_shares(figure: Figure, chosen: Sequence[Places], left: float) -> None:
    """Who is who, and how often central intervals held the answer."""
    wide, tall = (float(x) for x in figure.get_size_inches())
    y = tall - TOP - 0.05
    for one, colour, dashes in zip(chosen, COLOURS, DASHES, strict=False):
        line = figure.add_artist(_line([left / wide, (left + 0.5) / wide], [y / tall] * 2))
        line.set(color=colour, linestyle=dashes, linewidth=1.9)
        y -= 0.22
        name = figure.text(
            left / wide, y / tall, f"{short(one.forecaster)} ({len(one.pit)})", fontsize=canvas.NOTE_PT,
            fontweight="bold", color=canvas.INK, va="center",
        )  # fmt: skip
        canvas.shrink_to(figure, name, wide - left - 0.1, smallest=6.5)
        for share in one.coverage:
            y -= 0.19
            words = f"{share.level:.0%}: held {decimal(share.share)} ({interval(share.ci95)})"
            figure.text(
                left / wide, y / tall, words, fontsize=canvas.NOTE_PT - 0.5, color=canvas.MUTED, va="center"
            )
        y -= 0.34


def _line(x: Sequence[float], y: Sequence[float]) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D(x, y)


def pit_alt(found: Sequence[Places]) -> str:
    """The chart in words and numbers."""
    told = []
    for one in shown(found):
        shares = "; ".join(
            f"{share.level:.0%} intervals held {decimal(share.share)} ({interval(share.ci95)})"
            for share in one.coverage
        )
        below = share_at_most(one.pit, np.array([0.25, 0.5, 0.75]))
        quarters = ", ".join(f"{decimal(float(value))}" for value in below)
        told.append(
            f"{clean(one.forecaster)}, {len(one.pit)} questions, {lead_words(one.lead)}: {shares}; share of answers "
            f"in the lowest quarter, half and three quarters of the forecast: {quarters}"
        )
    return ". ".join(told)
