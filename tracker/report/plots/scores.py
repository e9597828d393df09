"""Charts of scores: the CORP reliability curve, scores by month, paired differences, scores by lead time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np

from tracker.report.plots import canvas
from tracker.report.wording import clean, day, decimal, interval
from tracker.scoring.calibration import CalibrationReport, ScoreEstimate
from tracker.scoring.compare import Comparison, Paired
from tracker.scoring.inference import MIN_CLUSTERS
from tracker.scoring.lives import MIDPOINT, Record
from tracker.scoring.recalibration import ADJUSTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEFT, TOP, BOTTOM = 0.85, 0.95, 0.95  # margins in inches
COLOURS = (canvas.SAFETY, canvas.CAPABILITIES, canvas.ACCENT, canvas.INK, canvas.MUTED)
MARKERS = ("o", "s", "D", "^", "v")
GLYPHS = "●■◆▲▼"  # the same in words: names are told apart without colour
ALT_POINTS = 7  # of a curve, in words
PAIR_LEFT, PAIR_RIGHT, PAIR_ROW = 3.15, 1.3, 0.52  # beside the compared pairs, and a pair's height, in inches
SHOWN = 5  # forecasters on one chart; more cannot be told apart
NAME_LIMIT = 34
PAIRS_SHOWN = 12


@dataclass(frozen=True)
class Month:
    """A forecaster's record as it was known at the end of a month: Brier score of all until then."""

    month: date
    forecaster: str
    n_questions: int
    brier: float
    ci95: tuple[float, float] | None


def corp_chart(report: CalibrationReport, *, name: str, as_of: datetime) -> Figure:
    """The CORP curve with its 90 % band and how many questions had each forecast; "too few" where it is not given.

    Raises ValueError when nothing was scored.
    """
    if report.brier.value is None:
        raise ValueError("no scored forecast: nothing to draw")
    with canvas.drawing():
        figure, upper, lower = canvas.square_over_strip(
            left=LEFT, bottom=BOTTOM, top=TOP, side=4.55, strip=0.95, between=0.28
        )
        heading(figure, f"Calibration: {name}", f"{report.n_questions:,} questions")
        _draw_curve(upper, report)
        _draw_questions(lower, report)
        _draw_numbers(figure, report, 5.7)
        note(figure, f"{_bands(report)}Dashed: calibrated. As of {day(as_of)} (UTC).")
        return figure


def corp_alt(report: CalibrationReport, *, name: str) -> str:
    """The chart in words and numbers."""
    numbers = "; ".join(f"{label} {' '.join(filter(None, told))}" for label, *told in _numbers(report))
    curve = report.curve
    if curve is None:
        return f"{clean(name)}: {numbers}. {report.reasons.get('curve', 'No curve was asked for')}."
    at = np.unique(np.linspace(0, len(curve.forecast) - 1, ALT_POINTS).round().astype(int)).tolist()
    points = "; ".join(
        f"said {decimal(curve.forecast[k])}, happened {decimal(curve.recalibrated[k])} "
        f"({interval((curve.lower[k], curve.upper[k]))})"
        for k in at
    )
    return f"{clean(name)}: {numbers}. Curve with its 90 % band: {points}."


def _bands(report: CalibrationReport) -> str:
    if report.curve is None:
        return ""
    if report.curve.consistent_lower:
        return "Bands, 90 % at each value: purple, the curve's; grey, of calibrated forecasts. "
    return "Band: 90 % at each value; none shows where all outcomes agree. "


def history_chart(months: Sequence[Month], *, as_of: datetime) -> Figure:
    """Brier scores as they were known at each month's end, with 95 % intervals as bands.

    Raises ValueError when there is none.
    """
    if not months:
        raise ValueError("no month with a scored forecast: nothing to draw")
    names = _largest([(one.forecaster, one.n_questions) for one in months])
    with canvas.drawing():
        figure, axes = _wide_axes(3.6, right=2.35)
        heading(figure, "Brier score of all questions so far, month by month", "lower is better")
        ends = []
        for index, name in enumerate(names):
            mine = sorted((one for one in months if one.forecaster == name), key=lambda one: one.month)
            days = [one.month.toordinal() for one in mine]
            colour, marker = COLOURS[index], MARKERS[index]
            known = [(x, one.ci95) for x, one in zip(days, mine, strict=True) if one.ci95 is not None]
            if known:
                lows, highs = zip(*(ends_ for _, ends_ in known), strict=True)
                axes.fill_between([x for x, _ in known], lows, highs, color=colour, alpha=0.1, linewidth=0)
            size = 5.0 if len(days) < 30 else 3.0
            axes.plot(
                days, [one.brier for one in mine], color=colour, marker=marker, markersize=size, linewidth=1.6
            )
            ends.append((mine[-1].brier, f"{GLYPHS[index]} {short(name)} ({mine[-1].n_questions})", colour))
        _months_axis(axes, [one.month for one in months])
        _score_axis(axes)
        _label_ends(figure, axes, ends)
        if left_out := _left_out(len({one.forecaster for one in months}) - len(names)):
            note(figure, left_out, lines_up=1)
        note(
            figure,
            f"In brackets: questions. Bands: 95 %, questions resampled; none below ten. As of {day(as_of)} (UTC).",
        )
        return figure


def history_alt(months: Sequence[Month]) -> str:
    """The chart in words and numbers: each forecaster's first and last month."""
    told = []
    for name in _largest([(one.forecaster, one.n_questions) for one in months]):
        mine = sorted((one for one in months if one.forecaster == name), key=lambda one: one.month)
        ends = mine[:1] if len(mine) == 1 else [mine[0], mine[-1]]
        points = " to ".join(
            f"{decimal(one.brier, 3)}{'' if one.ci95 is None else f' ({interval(one.ci95, 3)})'} in {one.month:%Y-%m} "
            f"of {one.n_questions} questions"
            for one in ends
        )
        told.append(f"{clean(name)}: {points}")
    return "Brier score of all questions so far. " + "; ".join(told) + "."


def comparison_alt(found: Comparison) -> str:
    """The chart in words and numbers."""
    told = [
        f"{clean(pair.a)} less {clean(pair.b)}: {decimal(pair.difference.value, 3)}"
        + ("" if pair.difference.ci95 is None else f" ({interval(pair.difference.ci95, 3)})")
        + f" on {pair.difference.n} questions"
        for pair in sorted(filter(_told_apart, found.pairs), key=lambda pair: -pair.difference.n)[
            :PAIRS_SHOWN
        ]
    ]
    return "Difference of Brier scores; negative: the first is better. " + "; ".join(told) + "."


def comparison_chart(found: Comparison, *, as_of: datetime) -> Figure:
    """Paired differences of Brier scores on common questions, each with its 95 % interval.

    Raises ValueError when no pair has a common question.
    """
    pairs = sorted(filter(_told_apart, found.pairs), key=lambda pair: -pair.difference.n)[:PAIRS_SHOWN]
    if not pairs:
        raise ValueError("no two have a question in common: nothing to draw")
    with canvas.drawing():
        figure = canvas.new_figure(TOP + BOTTOM + PAIR_ROW * len(pairs) + 0.15)
        wide, tall = canvas.WIDTH_IN, float(figure.get_size_inches()[1])
        axes = figure.add_axes(
            (
                PAIR_LEFT / wide,
                BOTTOM / tall,
                (wide - PAIR_LEFT - PAIR_RIGHT) / wide,
                (tall - TOP - BOTTOM) / tall,
            )
        )
        canvas.frame(axes)
        heading(
            figure,
            "Who was better, on what both forecast",
            "difference of Brier scores, question by question",
        )
        _draw_differences(axes, pairs)
        for index, pair in enumerate(pairs):
            _name_pair(figure, pair, index, len(pairs))
        axes.set_xlabel(
            "← the first is better      the second is better →", fontsize=canvas.LABEL_PT, color=canvas.INK
        )
        if left_out := _left_out(sum(map(_told_apart, found.pairs)) - len(pairs), "pairs"):
            note(figure, left_out, lines_up=1)
        note(figure, f"{_intervals(pairs)} As of {day(as_of)} (UTC).")
        return figure


def _intervals(pairs: Sequence[Paired]) -> str:
    """What the lines are, or why there are none."""
    told = []
    if any(pair.difference.ci95 is not None for pair in pairs):
        told.append("Lines: 95 % today.")
    if any(pair.difference.ci95 is None for pair in pairs):
        told.append(f"No line: fewer than {MIN_CLUSTERS} events say too little.")
    if any(pair.sequence is not None for pair in pairs):
        told.append("Right, small: 95 % however often one looks.")
    return " ".join(told)


def _left_out(count: int, what: str = "forecasters") -> str:
    """That not everybody is drawn; empty where everybody is."""
    return f"Not drawn: {count} {what} with fewer questions." if count > 0 else ""


def _draw_differences(axes: Axes, pairs: Sequence[Paired]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.axvline(0.0, color=canvas.MUTED, linewidth=1.2, linestyle=(0, (5, 3)))
    reach = 0.0
    for index, pair in enumerate(pairs):
        y, mean = -float(index), pair.difference
        if mean.ci95 is not None:
            axes.plot(mean.ci95, [y, y], color=canvas.ACCENT, linewidth=2.0, zorder=3)
            reach = max(reach, *(abs(end) for end in mean.ci95))
        axes.plot([mean.value], [y], color=canvas.ACCENT, marker="o", markersize=7, zorder=4)
        reach = max(reach, abs(mean.value))
    reach = 1.2 * reach or 0.01
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-len(pairs) + 0.4, 0.6)
    axes.set_yticks([])
    ticks = MaxNLocator(5, symmetric=True).tick_values(-reach, reach)
    axes.set_xticks([tick for tick in ticks if abs(tick) <= reach])
    axes.grid(visible=True, axis="x", color=canvas.RULE, linewidth=0.6)


def _name_pair(figure: Figure, pair: Paired, index: int, count: int) -> None:
    """Who they are on the left of a row, on how many questions and for how long it holds on the right."""
    wide, tall = canvas.WIDTH_IN, float(figure.get_size_inches()[1])
    height = (BOTTOM + (tall - TOP - BOTTOM) * (count - 0.4 - index) / (count + 0.2)) / tall
    for line, offset in ((short(pair.a), 0.09), (f"against {short(pair.b)}", -0.09)):
        text = figure.text(
            (PAIR_LEFT - 0.15) / wide, height + offset / tall, line, fontsize=canvas.NOTE_PT, color=canvas.INK,
            ha="right", va="center",
        )  # fmt: skip
        canvas.shrink_to(figure, text, PAIR_LEFT - 0.4, smallest=7.0)
    ever = "" if pair.sequence is None else f"{interval(pair.sequence.ci95)}"
    below = ((f"n = {pair.difference.n}", 0.09, canvas.NOTE_PT), (ever, -0.09, canvas.NOTE_PT - 1))
    for line, offset, size in below:
        figure.text(
            (wide - PAIR_RIGHT + 0.12) / wide, height + offset / tall, line, fontsize=size, color=canvas.MUTED,
            va="center",
        )  # fmt: skip


def lead_chart(records: Sequence[Record], *, as_of: datetime) -> Figure:
    """Brier score at fixed days before the scheduled close. Raises ValueError when nobody has a score there."""
    names = _largest([(one.forecaster, one.n_questions) for one in records])
    chosen = {one.forecaster: one for one in records if one.forecaster in names}
    points = {
        name: [(int(lead), mean) for lead, mean in chosen[name].at_leads.items() if lead != MIDPOINT]
        for name in names
    }
    leads = sorted({lead for mine in points.values() for lead, _ in mine})
    if not leads:
        raise ValueError("no score at any lead time: nothing to draw")
    with canvas.drawing():
        figure, axes = _wide_axes(3.6, right=2.35)
        heading(figure, "Brier score by time to the scheduled close", "lower is better")
        ends = []
        for index, name in enumerate(names):
            mine = sorted(points[name], reverse=True)
            if not mine:
                continue
            # side by side where several stand at one lead
            shift = 0.022 * (index - (len(names) - 1) / 2)
            xs = [-math.log(lead) + shift * math.log(max(leads) / min(leads) + 1) for lead, _ in mine]
            colour = COLOURS[index]
            for x, (_, mean) in zip(xs, mine, strict=True):
                if mean.ci95 is not None:
                    axes.plot(
                        [x, x], [max(0.0, mean.ci95[0]), mean.ci95[1]], color=colour, linewidth=1.4, alpha=0.6
                    )
            values = [mean.value for _, mean in mine]
            axes.plot(xs, values, color=colour, marker=MARKERS[index], markersize=5.5, linewidth=1.6)
            ends.append((values[-1], f"{GLYPHS[index]} {short(name)} ({chosen[name].n_questions})", colour))
        axes.set_xticks(
            [-math.log(lead) for lead in reversed(leads)], [f"{lead}" for lead in reversed(leads)]
        )
        axes.set_xlim(-math.log(max(leads)) - 0.25, -math.log(min(leads)) + 0.25)
        axes.set_xlabel("days before the scheduled close", fontsize=canvas.LABEL_PT, color=canvas.INK)
        _score_axis(axes)
        _label_ends(figure, axes, ends)
        if left_out := _left_out(len({one.forecaster for one in records}) - len(names)):
            note(figure, left_out, lines_up=1)
        asked = "In brackets: questions in all; not each was open at every lead."
        note(figure, f"{asked} Upright: 95 %, from ten events on. As of {day(as_of)} (UTC).")
        return figure


def _draw_curve(axes: Axes, report: CalibrationReport) -> None:
    canvas.unit_square(axes, "how often it happened")
    curve = report.curve
    if curve is None:
        words = "too few questions to say" if "curve" in report.reasons else "the curve was not asked for"
        axes.text(0.5, 0.12, words, fontsize=canvas.HEAD_PT, color=canvas.MUTED, ha="center")
        return
    x = np.array(curve.forecast)
    if curve.consistent_lower:
        ends = (curve.consistent_lower, curve.consistent_upper)
        axes.fill_between(x, *ends, color=canvas.MUTED, alpha=0.16, linewidth=0, zorder=0)
    axes.fill_between(x, curve.lower, curve.upper, color=canvas.ACCENT, alpha=0.18, linewidth=0, zorder=1)
    axes.plot(x, curve.recalibrated, color=canvas.ACCENT, linewidth=2.0, zorder=4)
    if x.size <= 40:
        axes.plot(
            x, curve.recalibrated, color=canvas.ACCENT, linewidth=0, marker="o", markersize=4.5, zorder=5
        )


def _draw_questions(axes: Axes, report: CalibrationReport) -> None:
    """Histogram of questions per twentieth of the forecasts; a question counts once in each it was ever in."""
    axes.spines["left"].set_visible(False)
    bins = [(b.lower, b.upper, b.n_questions) for b in report.bins]
    heights = [n for _, _, n in bins]
    axes.bar(
        [(low + high) / 2 for low, high, _ in bins], heights,
        width=[0.88 * (high - low) for low, high, _ in bins],
        color=canvas.RULE, edgecolor=canvas.MUTED, linewidth=0.7,
    )  # fmt: skip
    axes.set_ylim(0, 1.4 * max(heights))
    axes.set_yticks([])
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.set_xlabel("forecast probability", fontsize=canvas.LABEL_PT, color=canvas.INK)
    axes.set_ylabel("questions", fontsize=canvas.NOTE_PT, color=canvas.MUTED)
    if len(bins) <= 12:
        for low, high, n in bins:
            if n:
                at = ((low + high) / 2, n + 0.06 * max(heights))
                axes.text(*at, f"{n:,}", fontsize=canvas.NOTE_PT, color=canvas.INK, ha="center")


def _numbers(report: CalibrationReport) -> list[tuple[str, str, str]]:
    """Name, value and what stands below it, of each number beside the curve."""

    def both(estimate: ScoreEstimate) -> tuple[str, str]:
        value = "–" if estimate.value is None else decimal(estimate.value, 3)
        return value, "" if estimate.ci95 is None else f"95 %: {interval(estimate.ci95, 3)}"

    rows = [
        ("Brier score", *both(report.brier)),
        ("log score (nats)", *both(report.log_score)),
        ("calibration slope", *both(report.slope)),
    ]
    if report.corp is not None:
        rows.append(("miscalibration MCB", decimal(report.corp.miscalibration, 4), ""))
        rows.append(("discrimination DSC", decimal(report.corp.discrimination, 4), ""))
        rows.append(("uncertainty UNC", decimal(report.corp.uncertainty, 4), ""))
    rows.append(("questions", f"{report.n_questions:,}", f"{report.n_forecasts:,} forecasts"))
    if report.n_resolved_early:
        rows.append(("resolved early", f"{report.n_resolved_early:,}", "not scored yet"))
    return rows


def _draw_numbers(figure: Figure, report: CalibrationReport, left: float) -> None:
    wide, tall = (float(x) for x in figure.get_size_inches())
    y = tall - TOP - 0.05
    for name, value, below in _numbers(report):
        figure.text(
            left / wide,
            y / tall,
            value,
            fontsize=canvas.HEAD_PT + 2,
            fontweight="bold",
            color=canvas.INK,
            va="center",
        )
        for line in filter(None, (name, below)):
            y -= 0.19
            figure.text(left / wide, y / tall, line, fontsize=canvas.NOTE_PT, color=canvas.MUTED, va="center")
        y -= 0.36


def _told_apart(pair: Paired) -> bool:
    """A corrected voice is set against its raw one alone: the rest repeats what that says."""
    corrected = [name.removesuffix(ADJUSTED) for name in (pair.a, pair.b) if name.endswith(ADJUSTED)]
    return not corrected or (len(corrected) == 1 and corrected[0] in (pair.a, pair.b))


def _largest(sizes: Sequence[tuple[str, int]]) -> list[str]:
    """The forecasters with most questions, the largest first; no more than can be told apart."""
    most: dict[str, int] = {}
    for name, size in sizes:
        most[name] = max(size, most.get(name, 0))
    return sorted(most, key=lambda name: (-most[name], name))[:SHOWN]


def short(name: str) -> str:
    """A forecaster's name as it fits beside a line."""
    text = clean(name)
    return text if len(text) <= NAME_LIMIT else text[: NAME_LIMIT - 1] + "…"


def _wide_axes(tall: float, *, right: float) -> tuple[Figure, Axes]:
    figure = canvas.new_figure(TOP + tall + BOTTOM)
    wide, height = canvas.WIDTH_IN, TOP + tall + BOTTOM
    axes = figure.add_axes((LEFT / wide, BOTTOM / height, (wide - LEFT - right) / wide, tall / height))
    canvas.frame(axes)
    axes.grid(visible=True, axis="y", color=canvas.RULE, linewidth=0.6)
    return figure, axes


def _score_axis(axes: Axes) -> None:
    """Scores from 0 up, with ticks inside the view alone."""
    from matplotlib.ticker import MaxNLocator

    top = float(axes.get_ylim()[1])
    ticks = [tick for tick in MaxNLocator(7).tick_values(0.0, top) if 0.0 <= tick <= top]
    axes.set_ylim(0.0, top)
    axes.set_yticks(ticks)
    axes.set_ylabel("Brier score", fontsize=canvas.LABEL_PT, color=canvas.INK)


def heading(figure: Figure, title: str, below: str) -> None:
    """A bold title and a quiet line below it."""
    wide, tall = (float(x) for x in figure.get_size_inches())
    text = figure.text(
        0.25 / wide, 1 - 0.36 / tall, clean(title), fontsize=canvas.TITLE_PT, fontweight="bold",
        color=canvas.INK, va="center",
    )  # fmt: skip
    canvas.shrink_to(figure, text, wide - 0.5)
    figure.text(
        0.25 / wide, 1 - 0.64 / tall, clean(below), fontsize=canvas.LABEL_PT, color=canvas.MUTED, va="center"
    )


def note(figure: Figure, text: str, *, lines_up: int = 0) -> None:
    """Small print along the lower edge, or so many lines above it."""
    wide, tall = (float(x) for x in figure.get_size_inches())
    words = figure.text(
        0.25 / wide,
        (0.2 + 0.22 * lines_up) / tall,
        text,
        fontsize=canvas.NOTE_PT,
        color=canvas.MUTED,
        va="center",
    )
    canvas.shrink_to(figure, words, wide - 0.5, smallest=7.0)


def _label_ends(figure: Figure, axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Names beside the last points, moved apart where they would touch."""
    low, high = axes.get_ylim()
    tall = axes.get_position().height * float(figure.get_size_inches()[1])
    gap = 0.2 * (high - low) / tall
    placed: list[tuple[float, str, str]] = []
    for value, label, colour in sorted(ends):
        at = value if not placed else max(value, placed[-1][0] + gap)
        placed.append((at, label, colour))
    over = max(0.0, placed[-1][0] - high) if placed else 0.0
    for at, label, colour in placed:
        text = axes.annotate(
            label, (1.0, at - over), xycoords=("axes fraction", "data"), xytext=(6, 0),
            textcoords="offset points", fontsize=canvas.NOTE_PT, color=colour, va="center", annotation_clip=False,
        )  # fmt: skip
        canvas.shrink_to(figure, text, 2.15, smallest=6.0)


def _months_axis(axes: Axes, months: Sequence[date]) -> None:
    first, last = min(months), max(months)
    count = (last.year - first.year) * 12 + last.month - first.month
    step = max(1, math.ceil((count + 1) / 7))
    ticks = sorted(set(months))[::-1][::step][::-1]
    axes.set_xticks([one.toordinal() for one in ticks], [f"{one:%Y-%m}" for one in ticks])
    pad = max(6.0, 0.03 * (last - first).days)
    axes.set_xlim(first.toordinal() - pad, last.toordinal() + pad)
