"""The digest's pictures: 600 pixels wide, print that can still be read on a telephone, opaque paper.

They stand beside the large charts of ``report.plots``: fewer marks, larger print, the same colours and the same rule
that the same contents give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from questions.records import Measurement
from tracker.digest.content import CALIBRATION_LEAD_DAYS, Charts, Digest
from tracker.mail.content import InlineImage
from tracker.report.content import Place, places_of
from tracker.report.plots import canvas, reliability_alt, slope_alt
from tracker.report.wording import clean, day, decimal, duration, voice_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN, DPI = 6.0, 100
MAX_BYTES = 60_000
COLOURS = 256
PRINT, SMALL = 9.5, 8.5
LEVELS = ((480.0, "a work-day"), (2400.0, "a work-week"), (10020.0, "a work-month"))
AHEAD = timedelta(days=730)
EPOCH = date(1970, 1, 1)


def pictures(digest: Digest) -> tuple[InlineImage, ...]:
    """At most three, in the order of their sections; one without data is not drawn."""
    charts, at = digest.charts, digest.period.at
    found = []
    if len(charts.voices) > 1:
        found.append(_image("slope", _slope(charts, at), _slope_words(charts)))
    if charts.calibration is not None and charts.calibration.filled:
        found.append(
            _image(
                "calibration",
                _calibration(charts, at),
                reliability_alt(replace(charts.calibration, name="Everybody")),
            )
        )
    if charts.trend and charts.outlook is not None:
        found.append(_image("trend", _trend(charts, at), _trend_words(charts)))
    return tuple(found)


def _image(name: str, figure: Figure, alt: str) -> InlineImage:
    png = _png(figure)
    if len(png) > MAX_BYTES:
        raise ValueError(f"the picture {name} has {len(png)} bytes, more than {MAX_BYTES}")
    return InlineImage(f"speedup-{name}", f"{name}.png", png, clean(alt, limit=2500))


def _png(figure: Figure) -> bytes:
    """The figure with few colours, as a mail wants it: a third of the size, and no difference to the eye."""
    from PIL import Image  # matplotlib writes its own PNGs with it

    raw, small = io.BytesIO(), io.BytesIO()
    with canvas.drawing():
        figure.savefig(raw, format="rgba", dpi=DPI)
    size = tuple(round(inches * DPI) for inches in figure.get_size_inches())
    drawn = Image.frombytes("RGBA", (size[0], size[1]), raw.getvalue())
    few = drawn.convert("RGB").quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(small, format="PNG")
    return small.getvalue()


def _paper(height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(WIDTH_IN, height), dpi=DPI, facecolor=canvas.PAPER, edgecolor=canvas.RULE, linewidth=1.5
    )
    FigureCanvasAgg(figure)
    return figure


def _heading(figure: Figure, words: str, note: str) -> None:
    height = float(figure.get_size_inches()[1])
    figure.text(0.02, 1 - 0.2 / height, words, fontsize=12, fontweight="bold", color=canvas.INK, va="center")
    figure.text(0.02, 0.14 / height, note, fontsize=SMALL, color=canvas.MUTED, va="center")


# the orders ---------------------------------------------------------------------------------------


def _slope(charts: Charts, at: datetime) -> Figure:
    """One column a voice, rank 1 at the top; a line joins an area's places in neighbouring columns."""
    with canvas.drawing():
        figure = _paper(4.3)
        axes = canvas.inch_axes(figure)
        _heading(figure, "Which area first?", f"Rank 1 is sped up first. Known on {day(at)} (UTC).")
        places = [places_of(voice) for voice in charts.voices]
        columns = _columns(len(places))
        for voice, x in zip(charts.voices, columns, strict=True):
            axes.text(
                x,
                3.78,
                voice_title(voice.name),
                fontsize=PRINT,
                fontweight="bold",
                color=canvas.INK,
                ha="center",
            )
        for area in charts.areas:
            style = canvas.GROUP_STYLES[area.group]
            spots = [
                (x, _height(own[area.key]), own[area.key])
                for x, own in zip(columns, places, strict=True)
                if area.key in own
            ]
            axes.plot(
                [x for x, _, _ in spots],
                [y for _, y, _ in spots],
                color=style.colour,
                linestyle=style.dashes,
                linewidth=1.6,
            )
            for x, y, place in spots:
                _spot(axes, x, y, place, style.colour)
            if spots:
                axes.text(
                    columns[0] - 0.2,
                    spots[0][1],
                    area.name,
                    fontsize=SMALL,
                    color=canvas.INK,
                    ha="right",
                    va="center",
                )
        _legend(axes, 0.36)
        return figure


def _columns(count: int) -> list[float]:
    first, last = 2.65, WIDTH_IN - 0.5
    return [first + i * (last - first) / max(count - 1, 1) for i in range(count)]


def _height(place: Place) -> float:
    return 3.52 - 0.31 * (place.rank - 1)


def _spot(axes: Axes, x: float, y: float, place: Place, colour: str) -> None:
    axes.plot(
        [x], [y], marker="o", color=canvas.PAPER, markersize=15, markeredgecolor=colour, markeredgewidth=1.4
    )
    axes.text(x, y - 0.008, str(place.rank), fontsize=SMALL, color=canvas.INK, ha="center", va="center")


def _legend(axes: Axes, y: float) -> None:
    x = 0.12
    for group, word in ((g, g.value) for g in canvas.GROUP_STYLES):
        style = canvas.GROUP_STYLES[group]
        axes.plot([x, x + 0.4], [y, y], color=style.colour, linestyle=style.dashes, linewidth=1.8)
        axes.text(x + 0.48, y, word, fontsize=SMALL, color=canvas.INK, va="center")
        x += 1.15


def _slope_words(charts: Charts) -> str:
    return f"Slope chart of ranks. {slope_alt(charts.voices, charts.areas)}"


# calibration --------------------------------------------------------------------------------------


def _calibration(charts: Charts, at: datetime) -> Figure:
    report = charts.calibration
    assert report is not None
    with canvas.drawing():
        figure = _paper(3.3)
        _heading(
            figure,
            "Calibration to date",
            f"{CALIBRATION_LEAD_DAYS} days before the close; the diagonal is perfect. Known on {day(at)} (UTC).",
        )
        axes = figure.add_axes((0.1, 0.19, 0.44, 0.66))
        canvas.frame(axes)
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.03)
        axes.plot([0, 1], [0, 1], color=canvas.MUTED, linewidth=1.0, linestyle=(0, (5, 3)))
        for bin_ in report.filled:
            if bin_.ci95 is not None and bin_.mean_forecast is not None:
                axes.plot(
                    [bin_.mean_forecast] * 2, list(bin_.ci95), color=canvas.ACCENT, linewidth=1.6, alpha=0.6
                )
        xs = [bin_.mean_forecast for bin_ in report.filled if bin_.mean_forecast is not None]
        ys = [bin_.observed for bin_ in report.filled if bin_.observed is not None]
        sizes = [22.0 + 90.0 * bin_.n / max(one.n for one in report.filled) for bin_ in report.filled]
        axes.plot(xs, ys, color=canvas.ACCENT, linewidth=1.1)
        axes.scatter(xs, ys, s=sizes, color=canvas.ACCENT, zorder=4)
        axes.set_xticks([0, 0.5, 1.0])
        axes.set_yticks([0, 0.5, 1.0])
        axes.set_xlabel("said", fontsize=SMALL, color=canvas.INK, labelpad=1)
        axes.set_ylabel("happened", fontsize=SMALL, color=canvas.INK, labelpad=1)
        told = [
            ("Brier", decimal(report.brier, 3)),
            ("log (nats)", "none" if report.log_score is None else decimal(report.log_score, 3)),
            ("questions", f"{report.n_questions:,}"),
            ("happened", "none" if report.base_rate is None else f"{report.base_rate * 100:.0f}%"),
        ]
        for row, (name, value) in enumerate(told):
            y = 0.76 - 0.155 * row
            figure.text(0.62, y, value, fontsize=14, fontweight="bold", color=canvas.INK)
            figure.text(0.79, y, name, fontsize=PRINT, color=canvas.MUTED)
        return figure


# the trend ----------------------------------------------------------------------------------------


def _trend(charts: Charts, at: datetime) -> Figure:
    """METR's measurements on a log axis, what they were a week ago, and where the mixture of shapes goes."""
    outlook = charts.outlook
    assert outlook is not None
    with canvas.drawing():
        figure = _paper(3.4)
        _heading(
            figure,
            "Time horizons (50% success) and where their trend goes",
            f"Band: 80% of possible trends. Circles: a week ago, if revised. Known on {day(at)}.",
        )
        axes = figure.add_axes((0.1, 0.17, 0.74, 0.7))
        canvas.frame(axes)
        axes.set_yscale("log", base=2)
        first = min(point.at for point in charts.trend)
        end = max(at.date(), max(point.at for point in charts.trend)) + AHEAD
        shares = sorted(outlook.fan.quantiles)
        low, high = shares[0], shares[-1]
        if 0.1 in shares and 0.9 in shares:
            low, high = 0.1, 0.9
        seen = [i for i, number in enumerate(outlook.fan.days) if _number(first) <= number <= _number(end)]
        days = [float(outlook.fan.days[i]) for i in seen]
        bands = {
            share: [2.0 ** float(outlook.fan.quantiles[share][i]) for i in seen] for share in (low, 0.5, high)
        }
        axes.fill_between(days, bands[low], bands[high], color=canvas.ACCENT, alpha=0.18, linewidth=0)
        axes.plot(days, bands[0.5], color=canvas.ACCENT, linewidth=1.5)
        old = {point.key: point.value for point in charts.trend_before}
        moved = [point for point in charts.trend if old.get(point.key, point.value) != point.value]
        axes.plot(
            [_number(point.at) for point in moved],
            [old[point.key] for point in moved],
            linestyle="",
            marker="o",
            markersize=6,
            markerfacecolor="none",
            markeredgecolor=canvas.MUTED,
        )
        fresh = [point for point in charts.trend if old and point.key not in old]
        rest = [point for point in charts.trend if point not in fresh]
        for points, colour, size in ((rest, canvas.INK, 4.0), (fresh, canvas.CAPABILITIES, 7.0)):
            axes.plot(
                [_number(point.at) for point in points],
                [point.value for point in points],
                linestyle="",
                marker="o",
                markersize=size,
                color=colour,
                markeredgecolor=canvas.PAPER,
            )
        axes.set_xlim(_number(first) - 40, _number(end))
        top = max(60_000.0, max(point.value for point in charts.trend) * 2)
        bottom = min(point.value for point in charts.trend) / 2
        axes.set_ylim(bottom, top)
        _years(axes, first, end)
        ticks = [minutes for minutes in (0.1, 1.0, 15.0, 120.0, 960.0) if bottom < minutes < top]
        axes.set_yticks(ticks, [duration(minutes) for minutes in ticks])
        axes.minorticks_off()
        for minutes, name in LEVELS:
            axes.axhline(minutes, color=canvas.RULE, linewidth=0.8, zorder=0)
            axes.text(1.01, minutes, name, transform=axes.get_yaxis_transform(), fontsize=SMALL, va="center",
                      color=canvas.INK)  # fmt: skip
        return figure


def _years(axes: Axes, first: date, end: date) -> None:
    years = [year for year in range(first.year, end.year + 1) if first <= date(year, 1, 1) <= end]
    axes.set_xticks([_number(date(year, 1, 1)) for year in years], [str(year) for year in years])


def _number(moment: date) -> float:
    return float((moment - EPOCH).days)


def _trend_words(charts: Charts) -> str:
    outlook = charts.outlook
    assert outlook is not None
    best = max(charts.trend, key=lambda point: (point.value, point.key))
    words = [
        f"Time horizons of {len(charts.trend)} systems; the longest is {_name(best)}, {duration(best.value)} "
        f"({day(best.at)})."
    ]
    for passed, (_, name) in zip(outlook.passages, LEVELS, strict=True):
        if passed.line is None:
            words.append(
                f"The trend passes {name} ({duration(passed.threshold)}) later than this looks, if ever."
            )
            continue
        low, high = (f"{end:%Y-%m}" if end else "later" for end in passed.line_ci80)
        words.append(
            f"The trend passes {name} ({duration(passed.threshold)}) about {passed.line:%Y-%m} (80%: {low} to {high})."
        )
    return " ".join(words)


def _name(point: Measurement) -> str:
    return clean(point.label or point.key, limit=40)


__all__: Sequence[str] = ["MAX_BYTES", "pictures"]
