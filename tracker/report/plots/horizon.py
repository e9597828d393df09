"""METR-style chart of time horizons: how long the tasks are that systems finish, against release date.

After Kwa et al. (METR), "Measuring AI Ability to Complete Long Tasks", arXiv 2503.14499, figure 1: a log
axis in human working time, points with 95 % intervals, a straight line through log2(minutes). Added here:
the ceiling of the measuring instrument, the fan of possible trends, the dates at which they pass thresholds,
and what earlier published versions said.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from questions.records import Measurement
from questions.time import utc
from tracker.estimates.releases import Fan, Passage
from tracker.estimates.trend import Crossing, TrendFit
from tracker.report.plots import canvas
from tracker.report.wording import clean, counted, day, decimal, duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

THRESHOLDS_MINUTES: Mapping[float, str] = {
    480.0: "work-day, 8 h",
    2_400.0: "work-week, 40 h",
    10_020.0: "work-month, 167 h",
    120_000.0: "work-year, 2,000 h",
}
CREDIT = "Data: METR (metr.org)"
WASHES = (0.10, 0.16, 0.24)  # opacity of the bands, outermost first; they lie over each other
TICKS_MINUTES = {
    1 / 60: "1 s",
    1 / 6: "10 s",
    1.0: "1 min",
    10.0: "10 min",
    60.0: "1 h",
    600.0: "10 h",
    6_000.0: "100 h",
    60_000.0: "1,000 h",
    600_000.0: "10,000 h",
}
METRIC_MEANING = {
    "p50": "Length, in human working time, of tasks a system finishes half the time, by release date",
    "p80": "Length, in human working time, of tasks a system finishes four times in five, by release date",
}
LEFT, RIGHT, BOTTOM, TOP = 0.85, 0.25, 0.62, 0.92  # margins in inches
MAIN, REVISIONS, BETWEEN = 4.6, 0.95, 0.2  # heights in inches
EPOCH_DAY = date(1970, 1, 1)
DIAMOND: Mapping[str, Any] = {
    "marker": "D",
    "markersize": 6.0,
    "color": canvas.ACCENT,
    "markerfacecolor": canvas.ACCENT,
    "markeredgecolor": canvas.PAPER,
    "zorder": 6,
}
LEGEND_SHARE = 0.35  # of the height
LOOK_AHEAD = timedelta(days=540)
FURTHEST = timedelta(days=4 * 365)
NAMED_POINTS = 9
NAME_OFFSETS_PT: tuple[tuple[float, float, Literal["left", "right"]], ...] = (
    (-7, 0, "right"),
    (7, 0, "left"),
    (7, -9, "left"),
    (-7, 9, "right"),
)


@dataclass(frozen=True)
class Series:
    """What is drawn: the newest version's points and, per key, the different values published before."""

    newest: tuple[Measurement, ...]
    earlier: Mapping[str, tuple[float, ...]]
    versions: tuple[date, ...]

    @property
    def revised(self) -> tuple[Measurement, ...]:
        return tuple(point for point in self.newest if self.earlier.get(point.key))


@dataclass(frozen=True)
class Outlook:
    """Possible trends: their fan, when they pass thresholds, and what they are (for the legend)."""

    fan: Fan
    passages: tuple[Passage, ...]
    name: str


def series_of(points_by_version: Mapping[date, Sequence[Measurement]], metric: str) -> Series:
    """The newest version and what earlier ones said of its points (a change under 0.05 % is rounding).

    Values that are not above zero cannot stand on a log axis and are left out.
    """
    versions = sorted(points_by_version)
    kept = {v: [p for p in points_by_version[v] if p.metric == metric and p.value > 0] for v in versions}
    newest = sorted(kept[versions[-1]], key=lambda p: (p.at, p.key)) if versions else []
    if not newest:
        raise ValueError(f"no {metric} point above zero in the newest version: nothing to draw")
    earlier: dict[str, tuple[float, ...]] = {}
    now = {point.key: point.value for point in newest}
    for version in versions[:-1]:
        for point in kept[version]:
            value, known = now.get(point.key), earlier.get(point.key, ())
            if value is not None and all(abs(point.value / other - 1) > 5e-4 for other in (value, *known)):
                earlier[point.key] = (*known, point.value)
    return Series(tuple(newest), earlier, tuple(versions))


def horizon_chart(
    points_by_version: Mapping[date, Sequence[Measurement]],
    fit: TrendFit | None,
    crossings: Sequence[Crossing] = (),
    *,
    as_of: datetime,
    outlook: Outlook | None = None,
    ceiling_minutes: float | None = 960.0,
    thresholds: Mapping[float, str] = THRESHOLDS_MINUTES,
    metric: str = "p50",
    title: str = "How long are the tasks that AI systems finish?",
    credit: str = CREDIT,
    note: str = "",
) -> Figure:
    """Draw a horizon series (minutes) as it stands in its newest version, with revisions shown.

    ``points_by_version``: version date -> all its points. ``fit`` (None: no line) is drawn solid over the
    releases it rests on and dashed beyond, with the 95 % t-interval of the line. ``thresholds``: minutes ->
    label; those in ``crossings`` carry the date the line crosses. With an ``outlook`` its fan takes the
    place of the line's interval and its dates that of ``crossings``, each drawn on its threshold as median,
    80 % and 95 % interval. ``note`` replaces the words at the foot (credit, versions, day). Raises
    ValueError without any point.
    """
    series = series_of(points_by_version, metric)
    with canvas.drawing():
        lower = REVISIONS + BETWEEN + 0.15 if series.revised else 0.0
        height = BOTTOM + lower + MAIN + TOP
        figure = canvas.new_figure(height)
        main = _panel(figure, BOTTOM + lower, MAIN)
        start, end = _date_range(series, _last_dates(fit, crossings, outlook), utc(as_of).date())
        main.set_xlim(_number(start), _number(end))
        _set_years(main)
        _set_minutes_axis(main, series, thresholds)
        _draw_ceiling(main, ceiling_minutes)
        labels = _draw_thresholds(main, thresholds, _dated(crossings, outlook), ceiling_minutes)
        if outlook is not None:
            _draw_outlook(main, outlook)
        if fit is not None:
            _draw_fit(main, series, fit, crossings, alone=outlook is None)
        _draw_points(main, series, fit, ceiling_minutes)
        foot = clean(note) or f"{clean(credit)}. {_counts(series)}. As of {day(as_of)} (UTC)."
        _draw_titles(figure, clean(title), METRIC_MEANING.get(metric, clean(metric)), foot)
        legend = main.legend(
            loc="lower right", fontsize=canvas.NOTE_PT, frameon=False, labelcolor=canvas.INK, handlelength=2.2
        )
        _draw_names(main, series, [*labels, *legend.get_texts()])
        if series.revised:
            main.tick_params(labelbottom=False)
            _draw_revisions(_panel(figure, BOTTOM, REVISIONS), main, series)
        return figure


def horizon_alt(
    points_by_version: Mapping[date, Sequence[Measurement]],
    fit: TrendFit | None,
    crossings: Sequence[Crossing] = (),
    *,
    outlook: Outlook | None = None,
    metric: str = "p50",
) -> str:
    """The chart in words and numbers."""
    series = series_of(points_by_version, metric)
    best = max(series.newest, key=lambda p: (p.value, p.key))
    words = [f"Time horizons ({metric}) of {counted(len(series.newest), 'system')}, {_years(series)}."]
    words.append(f"Longest: {_name(best)}, {duration(best.value)} ({day(best.at)}).")
    if fit is not None:
        words.append(f"Fitted line: {_doubling(fit)}, {counted(fit.n, 'point')}.")
    words += [f"{duration(c.threshold_minutes)}: {_crossing_words(c)}." for c in crossings]
    if outlook is not None:
        words.append(f"{clean(outlook.name).capitalize()}:")
        words += [
            f"{duration(p.threshold)}: {_passage_words(p)}{_record_words(p)}." for p in outlook.passages
        ]
    if series.revised:
        words.append(f"{counted(len(series.revised), 'point')} revised since first published.")
    return " ".join(words)


def _number(moment: date) -> float:
    """Days since 1970-01-01, matplotlib's and TrendFit's shared clock."""
    return float((moment - EPOCH_DAY).days)


def _years(series: Series) -> str:
    return f"released {day(series.newest[0].at)} to {day(series.newest[-1].at)}"


def _counts(series: Series) -> str:
    of = counted(len(series.versions), "version")
    return f"{counted(len(series.newest), 'system')}, {of} seen, newest {day(series.versions[-1])}"


def _name(point: Measurement) -> str:
    return clean(point.label or point.key, limit=28)


def _doubling(fit: TrendFit) -> str:
    if not (fit.slope_per_day > 0 and math.isfinite(fit.doubling_time_days)):
        return "not growing"
    low, high = (f"{end:,.0f}" if end is not None else "no bound" for end in fit.doubling_ci95_days)
    return f"doubling every {fit.doubling_time_days:,.0f} days (95 %: {low} to {high})"


def _crossing_words(crossing: Crossing) -> str:
    if crossing.line is None:
        return "the line does not cross it"
    low, high = (f"{end:%Y-%m}" if end is not None else "no bound" for end in crossing.line_ci95)
    return f"line crosses {crossing.line:%Y-%m} (95 %: {low} to {high})"


def _passage_words(passage: Passage) -> str:
    low, high = (f"{end:%Y-%m}" if end is not None else "later" for end in passage.line_ci80)
    if passage.line is None:
        return f"trend passes it later than this looks ahead, if ever (80 %: {low} to {high})"
    return f"trend passes {passage.line:%Y-%m} (80 %: {low} to {high})"


def _record_words(passage: Passage) -> str:
    """When a published measurement shows it, for the words beside the chart."""
    if passage.p_never_observed == 1.0:
        return ", which no published measurement on this suite can show"
    return f", published as measured {passage.record:%Y-%m}" if passage.record is not None else ""


def _dated(crossings: Sequence[Crossing], outlook: Outlook | None) -> dict[float, str]:
    """Threshold -> when it is passed, in words."""
    if outlook is not None:
        return {passage.threshold: _passage_words(passage) for passage in outlook.passages}
    return {crossing.threshold_minutes: _crossing_words(crossing) for crossing in crossings}


def _last_dates(
    fit: TrendFit | None, crossings: Sequence[Crossing], outlook: Outlook | None
) -> list[date] | None:
    """Dates that should be in sight; None when nothing is drawn ahead."""
    if outlook is not None:
        return [end for p in outlook.passages for end in (p.line, p.line_ci80[1]) if end is not None]
    return None if fit is None else [c.line for c in crossings if c.line is not None]


def _date_range(series: Series, ahead: Sequence[date] | None, as_of: date) -> tuple[date, date]:
    """From a little before the first release to the last crossing that is in sight."""
    last = max(series.newest[-1].at, as_of)
    ends = [last + (LOOK_AHEAD if ahead is not None else timedelta(days=120))]
    ends += [end + timedelta(days=120) for end in ahead or () if end < last + FURTHEST]
    start = series.newest[0].at - timedelta(days=150)
    return start, min(max(ends), last + FURTHEST)


def _panel(figure: Figure, bottom: float, height: float) -> Axes:
    """Axes at a height in inches, with quiet frame and grid."""
    wide, tall = (float(x) for x in figure.get_size_inches())
    axes = figure.add_axes((LEFT / wide, bottom / tall, (wide - LEFT - RIGHT) / wide, height / tall))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(canvas.MUTED)
    axes.tick_params(colors=canvas.MUTED, labelcolor=canvas.INK, labelsize=canvas.NOTE_PT + 0.5)
    axes.grid(visible=True, axis="x", color=canvas.RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    return axes


def _set_years(axes: Axes) -> None:
    """A tick at each new year in view, at most about a dozen."""
    from matplotlib.ticker import FixedFormatter, FixedLocator

    low, high = axes.get_xlim()
    first, last = (EPOCH_DAY + timedelta(days=round(end)) for end in (low, high))
    step = 1 + (last.year - first.year) // 13
    years = [year for year in range(first.year, last.year + 1) if year % step == 0]
    years = [year for year in years if low <= _number(date(year, 1, 1)) <= high]
    axes.xaxis.set_major_locator(FixedLocator([_number(date(year, 1, 1)) for year in years]))
    axes.xaxis.set_major_formatter(FixedFormatter([str(year) for year in years]))


def _set_minutes_axis(axes: Axes, series: Series, thresholds: Mapping[float, str]) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    low = min(min(p.value, p.lower or p.value) for p in series.newest)
    low = max(low, min(p.value for p in series.newest) / 6)  # a boundless interval must not rule the axis
    high = max([p.value for p in series.newest] + list(thresholds))
    axes.set_yscale("log")
    bottom, top = low / 1.5, high * 3.2
    if thresholds:  # the legend stands at the lower right and must end below the lowest label
        room = (math.log10(min(thresholds)) - LEGEND_SHARE * math.log10(top)) / (1 - LEGEND_SHARE)
        bottom = min(bottom, 10**room)
    axes.set_ylim(bottom, top)
    ticks = {minutes: label for minutes, label in TICKS_MINUTES.items() if bottom <= minutes <= top}
    axes.yaxis.set_major_locator(FixedLocator(list(ticks)))
    axes.yaxis.set_major_formatter(FixedFormatter(list(ticks.values())))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel("human working time (log scale)", fontsize=canvas.NOTE_PT + 0.5, color=canvas.MUTED)


def _draw_ceiling(axes: Axes, ceiling: float | None) -> None:
    bottom, top = axes.get_ylim()
    if ceiling is not None and bottom < ceiling < top:
        axes.axhspan(ceiling, top, facecolor=canvas.WASH, linewidth=0, zorder=0)
        axes.axhline(ceiling, color=canvas.INK, linewidth=1.1, zorder=1)


def _draw_thresholds(
    axes: Axes, thresholds: Mapping[float, str], crossed: Mapping[float, str], ceiling: float | None
) -> list[Text]:
    """Lines with their labels at the left, where a rising series leaves room; labels keep apart."""
    labels = {minutes: clean(label) for minutes, label in thresholds.items()}
    for minutes in labels:
        axes.axhline(minutes, color=canvas.MUTED, linewidth=0.7, linestyle=(0, (1, 3)), zorder=1)
    words = {m: f"{label}: {crossed[m]}" if m in crossed else label for m, label in labels.items()}
    bottom, top = axes.get_ylim()
    if ceiling is not None and bottom < ceiling < top:
        words[ceiling] = f"{duration(ceiling)}: ceiling of the task suite; above it nothing is measured well"
    left = axes.get_xlim()[0] + 0.008 * (axes.get_xlim()[1] - axes.get_xlim()[0])
    return [
        axes.text(
            left,
            height,
            words[minutes],
            fontsize=canvas.NOTE_PT,
            color=canvas.INK if minutes == ceiling else canvas.MUTED,
            va="bottom",
            zorder=6,
        )
        for minutes, height in _kept_apart(axes, sorted(words))
    ]


def _kept_apart(axes: Axes, heights: Sequence[float]) -> list[tuple[float, float]]:
    """(value, height of its label just above the value or above the label below), ascending."""
    bottom, top = (math.log10(end) for end in axes.get_ylim())
    per_inch = (top - bottom) / MAIN
    placed: list[tuple[float, float]] = []
    floor = -math.inf
    for value in heights:
        at = max(math.log10(value) + 0.015 * per_inch, floor)
        placed.append((value, 10**at))
        floor = at + 0.16 * per_inch
    return placed


def _draw_outlook(axes: Axes, outlook: Outlook) -> None:
    """Nested bands and the median of possible trends; on each threshold its median date and intervals."""
    import numpy as np

    fan, name = outlook.fan, clean(outlook.name)
    shown = fan.days <= axes.get_xlim()[1] + 120
    days = fan.days[shown]
    minutes = {share: np.exp2(np.clip(height[shown], -60, 60)) for share, height in fan.quantiles.items()}
    lower = sorted(share for share in minutes if share < 0.5)
    for share, opacity in zip(lower, WASHES[-len(lower) :], strict=True):
        axes.fill_between(
            days,
            minutes[share],
            minutes[1.0 - share],
            color=canvas.ACCENT,
            alpha=opacity,
            linewidth=0,
            zorder=1,
        )
    levels = ", ".join(f"{100 * (1 - 2 * share):.0f}" for share in reversed(lower))
    axes.plot(
        days, minutes[0.5], color=canvas.ACCENT, linewidth=2.2, label=f"{name}: median, {levels} %", zorder=2
    )
    for passage in outlook.passages:
        _draw_dates(axes, passage)
    if outlook.passages:
        bar = {**DIAMOND, "color": canvas.INK, "linewidth": 3.6}
        axes.plot([], [], label="date it passes: median, 80 %, 95 %", **bar)


def _draw_dates(axes: Axes, passage: Passage) -> None:
    """A threshold's date: diamond at the median, thick line 80 %, thin line 95 %; open to the right if later."""
    right = axes.get_xlim()[1]
    for interval, width in ((passage.line_ci95, 1.2), (passage.line_ci80, 3.6)):
        low, high = (right if end is None else min(_number(end), right) for end in interval)
        axes.plot(
            [low, high],
            [passage.threshold] * 2,
            color=canvas.INK,
            linewidth=width,
            solid_capstyle="butt",
            zorder=5,
        )
    if passage.line is not None and _number(passage.line) <= right:
        axes.plot([_number(passage.line)], [passage.threshold], **DIAMOND)


def _draw_fit(
    axes: Axes, series: Series, fit: TrendFit, crossings: Sequence[Crossing], *, alone: bool
) -> None:
    """The least-squares line; ``alone``: with its interval and crossings, else thin beside the outlook."""
    import numpy as np

    fitted = [_number(p.at) for p in series.newest if p.key in set(fit.keys)] or [fit.mean_day]
    stop = axes.get_xlim()[1]
    days = np.linspace(min(fitted), stop, 300)
    line = fit.level_log2 + fit.slope_per_day * (days - fit.mean_day)
    if not alone:
        axes.plot(
            days,
            2 ** np.clip(line, -60, 60),
            color=canvas.INK,
            linewidth=1.1,
            linestyle=(0, (5, 2, 1, 2)),
            label=f"line: {_doubling(fit)}",
            zorder=2,
        )
        return
    inside = days <= max(fitted)
    axes.plot(days[inside], 2 ** line[inside], color=canvas.ACCENT, linewidth=2.2, label=_doubling(fit))
    beyond: dict[str, Any] = {
        "color": canvas.ACCENT,
        "linewidth": 1.5,
        "linestyle": (0, (5, 3)),
        "label": "extrapolated",
    }
    axes.plot(days[~inside], 2 ** line[~inside], **beyond)
    if fit.n > 2 and fit.sxx > 0:
        from scipy.stats import t as student

        # confidence band of the mean response of a straight-line fit, n - 2 degrees of freedom
        spread = fit.residual_sd_log2 * np.sqrt(1 / fit.n + (days - fit.mean_day) ** 2 / fit.sxx)
        half = float(student.ppf(0.975, fit.n - 2)) * spread
        # far outside any axis; a loose fit must not overflow
        low, high = 2 ** np.clip(line - half, -60, 60), 2 ** np.clip(line + half, -60, 60)
        axes.fill_between(
            days, low, high, color=canvas.ACCENT, alpha=0.18, linewidth=0, label="95 % interval of the line"
        )
    for crossing in crossings:
        if crossing.line is not None and _number(crossing.line) <= stop:
            axes.plot([_number(crossing.line)], [crossing.threshold_minutes], **DIAMOND)


def _draw_points(axes: Axes, series: Series, fit: TrendFit | None, ceiling: float | None) -> None:
    """Newest values with intervals: filled in the fit, hollow outside it, triangles beyond the ceiling."""
    fitted = set(fit.keys) if fit is not None else {p.key for p in series.newest}
    for point in series.newest:
        if point.lower is not None and point.upper is not None:
            x = _number(point.at)
            ends = [max(point.lower, axes.get_ylim()[0]), point.upper]
            axes.plot([x, x], ends, color=canvas.MUTED, linewidth=1.0, alpha=0.7, zorder=3)
    kinds = {
        "in the fit" if fit is not None else "measured": ("o", canvas.INK),
        "not in the fit": ("o", canvas.PAPER),
        "beyond the ceiling": ("^", canvas.PAPER),
    }
    sorted_in: dict[str, list[Measurement]] = {kind: [] for kind in kinds}
    first, outside, beyond = kinds
    for point in series.newest:
        over = point.beyond_ceiling or (ceiling is not None and point.value > ceiling)
        sorted_in[beyond if over else first if point.key in fitted else outside].append(point)
    for kind, points in sorted_in.items():
        if points:
            marker, face = kinds[kind]
            at, values = [_number(p.at) for p in points], [p.value for p in points]
            axes.plot(
                at,
                values,
                linestyle="",
                marker=marker,
                markersize=6,
                color=canvas.INK,
                markerfacecolor=face,
                label=kind,
                zorder=4,
            )
    _draw_ghosts(axes, series)


def _draw_ghosts(axes: Axes, series: Series) -> None:
    label = "published earlier"
    for point in series.revised:
        x = _number(point.at)
        for value in series.earlier[point.key]:
            axes.plot([x, x], [value, point.value], color=canvas.MUTED, linewidth=0.8, zorder=2)
            ghost: dict[str, Any] = {
                "color": canvas.MUTED,
                "markerfacecolor": canvas.WASH,
                "linestyle": "",
                "zorder": 2,
            }
            axes.plot([x], [value], marker="o", markersize=6, label=label, **ghost)
            label = ""


def _draw_revisions(axes: Axes, main: Axes, series: Series) -> None:
    """The same revisions where they can be seen: each earlier value in percent of the newest one."""
    axes.set_xlim(*main.get_xlim())
    _set_years(axes)
    axes.axhline(0, color=canvas.INK, linewidth=1.0)
    changes = []
    for point in series.revised:
        x = _number(point.at)
        for value in series.earlier[point.key]:
            change = 100 * (value / point.value - 1)
            changes.append(abs(change))
            axes.plot([x, x], [0, change], color=canvas.MUTED, linewidth=1.0)
            axes.plot(
                [x], [change], marker="o", markersize=5.5, color=canvas.MUTED, markerfacecolor=canvas.WASH
            )
    reach = math.ceil(max(changes) * 1.25 / 10) * 10
    axes.set_ylim(-reach, reach)
    axes.set_yticks([-reach / 2, 0, reach / 2], [f"{decimal(y, 0)} %" for y in (-reach / 2, 0, reach / 2)])
    axes.set_title(
        "Earlier published values against the newest",
        fontsize=canvas.NOTE_PT,
        color=canvas.MUTED,
        loc="left",
        pad=3,
    )


def _draw_titles(figure: Figure, title: str, meaning: str, note: str) -> None:
    wide, tall = (float(x) for x in figure.get_size_inches())
    x = 0.25 / wide
    heading = figure.text(
        x, 1 - 0.34 / tall, title, fontsize=canvas.TITLE_PT, fontweight="bold", color=canvas.INK, va="center"
    )
    canvas.shrink_to(figure, heading, wide - 0.5)
    above = figure.text(
        x, 1 - 0.67 / tall, meaning, fontsize=canvas.NOTE_PT + 0.5, color=canvas.MUTED, va="center"
    )
    canvas.shrink_to(figure, above, wide - 0.5)
    below = figure.text(x, 0.2 / tall, note, fontsize=canvas.NOTE_PT, color=canvas.MUTED, va="center")
    canvas.shrink_to(figure, below, wide - 0.5)


def _draw_names(axes: Axes, series: Series, others: Sequence[Text]) -> None:
    """Name records from both ends inwards, wherever a name meets no mark, line or other text and
    stands nearest to its own point."""
    taken = [text.get_window_extent() for text in others]
    taken += [_mark_box(axes, point) for point in series.newest]
    taken += [box for line in axes.lines if line.get_linestyle() != "None" for box in _line_boxes(line)]
    records = [p for p in series.newest if p.is_sota is not False]
    inwards = [p for pair in zip(reversed(records), records, strict=True) for p in pair][: len(records)]
    named = 0
    for point in inwards:
        if named < NAMED_POINTS and (box := _named(axes, point, series, taken)) is not None:
            taken.append(box)
            named += 1


def _named(axes: Axes, point: Measurement, series: Series, taken: Sequence[Bbox]) -> Bbox | None:
    """Write a point's name at the first free offset; its box, or None when there is no room."""
    frame = axes.get_window_extent()
    for dx, dy, ha in NAME_OFFSETS_PT:
        at = (_number(point.at), point.value)
        text = axes.annotate(
            _name(point),
            at,
            xytext=(dx, dy),
            textcoords="offset points",
            fontsize=canvas.NOTE_PT,
            color=canvas.INK,
            ha=ha,
            va="center",
            zorder=6,
        )
        box = text.get_window_extent()
        inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
        anchor = (box.x0 if ha == "left" else box.x1, (box.y0 + box.y1) / 2)
        if (
            inside
            and _nearest(axes, anchor, series) == at
            and not any(box.overlaps(other) for other in taken)
        ):
            return box
        text.remove()
    return None


def _nearest(axes: Axes, pixel: tuple[float, float], series: Series) -> tuple[float, float]:
    """The point (day number, minutes) nearest to a pixel."""

    def distance(at: tuple[float, float]) -> float:
        return math.dist(pixel, axes.transData.transform(at))

    return min(((_number(p.at), p.value) for p in series.newest), key=distance)


def _line_boxes(line: Line2D) -> list[Bbox]:
    """A drawn line as small pixel boxes, one per piece, for keeping text off it."""
    from matplotlib.transforms import Bbox

    pixels = line.get_transform().transform(line.get_xydata())
    pairs = itertools.pairwise(pixels)
    return [
        Bbox([(min(a[0], b[0]), min(a[1], b[1]) - 1), (max(a[0], b[0]), max(a[1], b[1]) + 1)])
        for a, b in pairs
    ]


def _mark_box(axes: Axes, point: Measurement) -> Bbox:
    """Pixels taken by a point and its interval."""
    from matplotlib.transforms import Bbox

    low, high = point.lower or point.value, point.upper or point.value
    ends = axes.transData.transform(
        [(_number(point.at), max(low, axes.get_ylim()[0])), (_number(point.at), high)]
    )
    return Bbox([[ends[0][0] - 6, ends[0][1] - 4], [ends[1][0] + 6, ends[1][1] + 4]])
