"""Reliability diagram: of the forecasts that said about p, how often did it happen?

One point per bin at (mean forecast, observed frequency) with its interval, the diagonal of perfect
calibration, and how many forecasts each bin holds (Murphy and Winkler 1977; Bröcker and Smith 2007,
"Increasing the reliability of reliability diagrams", for showing the sampling spread and the counts).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from tracker.report.content import ReliabilityBin, ReliabilityReport
from tracker.report.plots import canvas
from tracker.report.wording import clean, counted, day, decimal, interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SQUARE, COUNTS, BETWEEN = 4.55, 0.95, 0.28  # heights of the two panels and what parts them, in inches
LEFT, BOTTOM, TOP = 0.85, 0.85, 0.72
SIDE = 5.75  # where the numbers beside the chart begin


def reliability_chart(report: ReliabilityReport, *, as_of: datetime, title: str = "") -> Figure:
    """Draw one report; raises ValueError when no bin holds a forecast."""
    if not report.filled:
        raise ValueError("no scored forecast: nothing to draw")
    with canvas.drawing():
        figure, square, counts = canvas.square_over_strip(
            left=LEFT, bottom=BOTTOM, top=TOP, side=SQUARE, strip=COUNTS, between=BETWEEN
        )
        wide, height = (float(x) for x in figure.get_size_inches())
        _draw_square(square, report)
        _draw_counts(counts, report.filled)
        heading = clean(title) or f"Calibration: {clean(report.name)}"
        text = figure.text(
            0.25 / wide,
            1 - 0.36 / height,
            heading,
            fontsize=canvas.TITLE_PT,
            fontweight="bold",
            color=canvas.INK,
            va="center",
        )
        canvas.shrink_to(figure, text, wide - 0.5)
        _draw_numbers(figure, report)
        drawn = any(bin_.ci95 is not None for bin_ in report.filled)
        lines = "Upright lines: 95 % intervals" if drawn else "Too few questions in any bin for intervals"
        note = f"{lines}. As of {day(as_of)} (UTC)."
        figure.text(0.25 / wide, 0.2 / height, note, fontsize=canvas.NOTE_PT, color=canvas.MUTED, va="center")
        return figure


def reliability_alt(report: ReliabilityReport) -> str:
    """The chart in words and numbers."""
    head = f"{clean(report.name)}: {'; '.join(f'{name} {value}' for name, value in _numbers(report))}."
    rows = [
        f"{decimal(b.lower)} to {decimal(b.upper)}: {counted(b.n, 'forecast')}, said {decimal(b.mean_forecast)}, "
        f"happened {decimal(b.observed)}"
        for b in report.filled
        if b.mean_forecast is not None and b.observed is not None
    ]
    return f"{head} Bins: {'; '.join(rows)}."


def _draw_square(axes: Axes, report: ReliabilityReport) -> None:
    canvas.unit_square(axes, "how often it happened")
    if report.base_rate is not None:
        axes.axhline(report.base_rate, color=canvas.MUTED, linewidth=0.9, linestyle=(0, (1, 3)), zorder=1)
    points = [(b.mean_forecast, b.observed, b.ci95) for b in report.filled]
    for said, _, ends in points:
        if said is not None and ends is not None:
            axes.plot([said, said], list(ends), color=canvas.ACCENT, linewidth=1.6, alpha=0.6, zorder=3)
    xs = [said for said, _, _ in points if said is not None]
    ys = [happened for _, happened, _ in points if happened is not None]
    axes.plot(
        xs,
        ys,
        color=canvas.ACCENT,
        linewidth=1.2,
        marker="o",
        markersize=7.5,
        markeredgecolor=canvas.PAPER,
        zorder=4,
    )


def _draw_counts(axes: Axes, bins: Sequence[ReliabilityBin]) -> None:
    axes.spines["left"].set_visible(False)
    middles = [(b.lower + b.upper) / 2 for b in bins]
    widths = [0.86 * (b.upper - b.lower) for b in bins]
    top = max(b.n for b in bins)
    axes.bar(
        middles, [b.n for b in bins], width=widths, color=canvas.RULE, edgecolor=canvas.MUTED, linewidth=0.7
    )
    axes.set_ylim(0, top * 1.4)
    axes.set_yticks([])
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.set_xlabel("forecast probability", fontsize=canvas.LABEL_PT, color=canvas.INK)
    axes.set_ylabel("forecasts", fontsize=canvas.NOTE_PT, color=canvas.MUTED)
    free = axes.get_xlim()[0]
    for bin_, middle in zip(bins, middles, strict=True):
        # half the width of the count, in units of the axis; narrow bins keep only the counts that fit
        half = 0.5 * len(f"{bin_.n:,}") * 0.6 * canvas.NOTE_PT / 72 / (SQUARE / 1.06) + 0.004
        if middle - half >= free:
            axes.text(
                middle,
                bin_.n + top * 0.06,
                f"{bin_.n:,}",
                fontsize=canvas.NOTE_PT,
                color=canvas.INK,
                ha="center",
            )
            free = middle + half


def _numbers(report: ReliabilityReport) -> list[tuple[str, str]]:
    """Name and value of each header number, as written everywhere."""

    def with_interval(value: float, ends: tuple[float, float] | None) -> str:
        return decimal(value, 3) + (f" (95 %: {interval(ends, 3)})" if ends is not None else "")

    numbers = [("Brier score", with_interval(report.brier, report.brier_ci95))]
    if report.log_score is not None:
        numbers.append(("log score", f"{with_interval(report.log_score, report.log_score_ci95)} nats"))
    numbers.append(("resolved questions", f"{report.n_questions:,}"))
    numbers.append(("forecasts", f"{report.n_forecasts:,}"))
    if report.base_rate is not None:
        numbers.append(("happened overall", decimal(report.base_rate)))
    return numbers


def _draw_numbers(figure: Figure, report: ReliabilityReport) -> None:
    """The header numbers in a column beside the diagram: value large, interval and name below."""
    wide, tall = (float(x) for x in figure.get_size_inches())
    y = tall - TOP - 0.15
    for name, value in _numbers(report):
        main, _, rest = value.partition(" ")
        figure.text(
            SIDE / wide,
            y / tall,
            main,
            fontsize=canvas.TITLE_PT,
            fontweight="bold",
            color=canvas.INK,
            va="center",
        )
        below = [name, *([rest.strip("()").replace(") ", " ")] if rest else [])]
        for index, line in enumerate(below, start=1):
            figure.text(
                SIDE / wide,
                (y - 0.05 - 0.19 * index) / tall,
                line,
                fontsize=canvas.NOTE_PT,
                color=canvas.MUTED,
                va="center",
            )
        y -= 0.42 + 0.19 * len(below)
    lines = ["dashed: perfect calibration"]
    if report.base_rate is not None:
        lines.append("dotted: happened overall")
    for index, line in enumerate(lines):
        figure.text(
            SIDE / wide,
            (y - 0.19 * index) / tall,
            line,
            fontsize=canvas.NOTE_PT,
            color=canvas.MUTED,
            va="center",
        )
