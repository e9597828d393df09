"""The time-horizon chart: its band is the textbook one, and revisions are there to be seen."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from scipy.stats import t as student

from questions.records import Measurement
from tests.report.drawings import all_text
from tests.report.horizons import CROSSINGS, FIT, OUTLOOK, VERSIONS, passage, points
from tracker.estimates.trend import Crossing
from tracker.report import plots
from tracker.report.plots.horizon import series_of

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NEWEST = {max(VERSIONS): VERSIONS[max(VERSIONS)]}


def test_the_band_is_the_t_interval_of_the_regression_line() -> None:
    """Against the matrix form x' (X'X)^-1 x of any regression textbook, which shares no code with ours."""
    figure = plots.horizon_chart(NEWEST, FIT, CROSSINGS, as_of=NOW)
    band = next(c for c in figure.axes[0].collections if isinstance(c, PolyCollection))
    corners = np.asarray(band.get_paths()[0].vertices)
    chosen = [p for p in NEWEST[max(VERSIONS)] if p.key in FIT.keys]
    days = np.array([(p.at - date(1970, 1, 1)).days for p in chosen], dtype=float)
    logs = np.log2([p.value for p in chosen])
    design = np.column_stack([np.ones_like(days), days - 20000])
    beta, rss, *_ = np.linalg.lstsq(design, logs, rcond=None)
    inverse = np.linalg.inv(design.T @ design)
    for day in (corners[:, 0].min(), days.mean(), corners[:, 0].max()):
        at = corners[np.isclose(corners[:, 0], corners[np.abs(corners[:, 0] - day).argmin(), 0])]
        x = np.array([1.0, at[0, 0] - 20000])
        half = student.ppf(0.975, len(days) - 2) * math.sqrt(
            float(rss[0]) / (len(days) - 2) * float(x @ inverse @ x)
        )
        assert np.log2(at[:, 1].max()) == pytest.approx(float(x @ beta) + half, rel=1e-6)
        assert np.log2(at[:, 1].min()) == pytest.approx(float(x @ beta) - half, rel=1e-6)


def test_thresholds_and_ceiling_are_labelled_with_the_crossing_dates() -> None:
    text = all_text(plots.svg_text(plots.horizon_chart(VERSIONS, FIT, CROSSINGS, as_of=NOW)))
    for name, crossing in zip(
        ("work-day, 8 h", "work-week, 40 h", "work-month, 167 h", "work-year, 2,000 h"),
        CROSSINGS,
        strict=True,
    ):
        assert crossing.line is not None
        assert f"{name}: line crosses {crossing.line:%Y-%m}" in text
    assert "16 h: ceiling of the task suite" in text
    assert "Data: METR (metr.org)" in text
    assert f"doubling every {FIT.doubling_time_days:.0f} days" in text


def test_an_unbounded_interval_and_a_threshold_never_crossed_are_said_in_words() -> None:
    line = CROSSINGS[0].line
    open_ended = Crossing(480.0, line, (line, None), (line, None), {})
    never = Crossing(2400.0, None, (None, None), (None, None), {})
    fit = replace(FIT, doubling_ci95_days=(90.0, None))
    text = all_text(plots.svg_text(plots.horizon_chart(NEWEST, fit, (open_ended, never), as_of=NOW)))
    assert "to no bound)" in text
    assert "work-week, 40 h: the line does not cross it" in text
    assert "(95 %: 90 to no bound)" in text


def test_earlier_published_values_are_shown_in_percent_of_the_newest() -> None:
    figure = plots.horizon_chart(VERSIONS, FIT, CROSSINGS, as_of=NOW)
    panel = figure.axes[1]
    drawn = sorted(float(np.asarray(line.get_ydata())[0]) for line in panel.lines if line.get_marker() == "o")
    assert drawn == pytest.approx([-26.0, -14.0, -7.0, 10.0, 12.0, 16.0])
    ghosts = [line for line in figure.axes[0].lines if line.get_label() == "published earlier"]
    assert len(ghosts) == 1  # one entry in the legend for all of them


def test_without_a_revision_there_is_no_panel_for_revisions() -> None:
    assert len(plots.horizon_chart(NEWEST, FIT, CROSSINGS, as_of=NOW).axes) == 1
    assert len(plots.horizon_chart(VERSIONS, FIT, CROSSINGS, as_of=NOW).axes) == 2


def test_a_value_published_twice_alike_is_one_revision() -> None:
    assert series_of(VERSIONS, "p50").earlier["ada-0"] == pytest.approx((0.05 * 0.74,))


def test_points_beyond_the_ceiling_are_kept_and_marked() -> None:
    figure = plots.horizon_chart(NEWEST, FIT, (), as_of=NOW)
    labels = {line.get_label(): line for line in figure.axes[0].lines}
    assert np.asarray(labels["beyond the ceiling"].get_ydata()).tolist() == [1050.0]
    assert labels["beyond the ceiling"].get_marker() == "^"
    assert len(np.asarray(labels["in the fit"].get_ydata())) == FIT.n


@pytest.mark.parametrize("outlook", [OUTLOOK, None], ids=["with an outlook", "without"])
@pytest.mark.parametrize("fit", [FIT, None], ids=["with a line", "without"])
@pytest.mark.parametrize("first", [2019, 2024, 2026])
def test_no_text_overlaps_or_is_clipped(first: int, fit: object, outlook: plots.Outlook | None) -> None:
    versions = {v: [p for p in kept if p.at.year >= first] for v, kept in VERSIONS.items()}
    line, crossings = (FIT, CROSSINGS) if fit else (None, ())
    figure = plots.horizon_chart(versions, line, crossings, as_of=NOW, outlook=outlook)
    assert plots.overlapping_texts(figure) == []


# The outlook


def test_the_fan_is_drawn_as_three_nested_bands_about_its_median() -> None:
    axes = plots.horizon_chart(NEWEST, FIT, CROSSINGS, as_of=NOW, outlook=OUTLOOK).axes[0]
    bands = [c for c in axes.collections if isinstance(c, PolyCollection)]
    assert len(bands) == 3
    day = OUTLOOK.fan.days[20]
    at = [np.asarray(band.get_paths()[0].vertices) for band in bands]
    spans = [np.sort(corners[np.isclose(corners[:, 0], day), 1])[[0, -1]] for corners in at]
    for span, low, high in zip(spans, (0.025, 0.1, 0.25), (0.975, 0.9, 0.75), strict=True):
        assert np.log2(span) == pytest.approx(
            [OUTLOOK.fan.quantiles[low][20], OUTLOOK.fan.quantiles[high][20]]
        )
    label = "mixture of trend shapes: median, 50, 80, 95 %"
    median = next(line for line in axes.lines if line.get_label() == label)
    assert np.log2(np.asarray(median.get_ydata()[20])) == pytest.approx(OUTLOOK.fan.quantiles[0.5][20])


def test_each_threshold_carries_the_dates_of_the_outlook_and_not_of_the_line() -> None:
    figure = plots.horizon_chart(NEWEST, FIT, CROSSINGS, as_of=NOW, outlook=OUTLOOK)
    text = all_text(plots.svg_text(figure))
    assert "work-month, 167 h: trend passes 2027-06 (80 %: 2027-03 to 2027-08)" in text
    assert "line crosses" not in text
    assert "line: doubling every" in text
    day = (date(2027, 6, 1) - date(1970, 1, 1)).days
    axes = figure.axes[0]
    bars = [
        np.asarray(line.get_xdata(), dtype=float)
        for line in axes.lines
        if list(np.asarray(line.get_ydata())) == [10020.0, 10020.0] and line.get_linewidth() > 1
    ]
    assert [list(bar) for bar in bars] == [[day - 180, axes.get_xlim()[1]], [day - 90, day + 90]]


def test_a_date_that_is_later_than_the_outlook_reaches_is_said() -> None:
    never = replace(passage(120000.0, date(2028, 1, 1)), line=None, line_ci80=(date(2029, 1, 1), None))
    late = replace(OUTLOOK, passages=(never,))
    text = all_text(plots.svg_text(plots.horizon_chart(NEWEST, FIT, (), as_of=NOW, outlook=late)))
    assert "later than this looks ahead, if ever (80 %: 2029-01 to later)" in text


def test_the_words_for_an_outlook_tell_the_trend_from_a_published_record() -> None:
    alt = plots.horizon_alt(VERSIONS, FIT, CROSSINGS, outlook=OUTLOOK)
    assert "8 h: trend passes 2026-02 (80 %: 2025-11 to 2026-05), published as measured 2026-08." in alt
    assert "2027-08), which no published measurement on this suite can show." in alt


def test_without_a_ceiling_none_is_drawn_and_a_note_replaces_the_credit() -> None:
    figure = plots.horizon_chart(NEWEST, FIT, (), as_of=NOW, ceiling_minutes=None, note="Data: mine.csv")
    text = all_text(plots.svg_text(figure))
    assert "ceiling of the task suite" not in text
    assert "Data: mine.csv" in text
    assert "METR" not in text


def test_twenty_systems_on_one_day_with_the_same_value_stay_readable() -> None:
    same = [replace(points()[9], key=f"k{i}", label=f"Model number {i}") for i in range(20)]
    figure = plots.horizon_chart({date(2026, 5, 8): same}, None, (), as_of=NOW)
    assert plots.overlapping_texts(figure) == []


def test_a_falling_line_and_a_boundless_band_are_drawn_without_complaint() -> None:
    falling = replace(
        FIT,
        slope_per_day=-0.01,
        doubling_time_days=-100.0,
        doubling_ci95_days=(None, None),
        residual_sd_log2=90.0,
    )
    text = all_text(plots.svg_text(plots.horizon_chart(NEWEST, falling, (), as_of=NOW)))
    assert "not growing" in text


def test_a_point_that_a_log_axis_cannot_hold_is_left_out() -> None:
    zero = Measurement("s", "zero", "p50", date(2020, 1, 1), 0.0, "minutes")
    assert "zero" not in {p.key for p in series_of({date(2026, 1, 1): (zero, *points())}, "p50").newest}


@pytest.mark.parametrize("versions", [{}, {date(2026, 1, 1): ()}], ids=["no version", "an empty one"])
def test_without_points_there_is_no_chart(versions: dict[date, tuple[Measurement, ...]]) -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        plots.horizon_chart(versions, None, (), as_of=NOW)


def test_a_hostile_system_name_is_plain_text() -> None:
    bad = replace(points()[0], label="$x$ <b>&\x1b[31m\u202e")
    text = all_text(plots.svg_text(plots.horizon_chart({date(2026, 1, 1): (bad,)}, None, (), as_of=NOW)))
    assert "$x$ <b>&[31m" in text


def test_the_words_for_the_chart_hold_its_numbers() -> None:
    alt = plots.horizon_alt(VERSIONS, FIT, CROSSINGS)
    for piece in ("20 systems", "Noether-1, 18 h", f"{FIT.doubling_time_days:.0f} days", "6 points revised"):
        assert piece in alt


def test_far_crossings_do_not_squeeze_the_data() -> None:
    far = Crossing(120000.0, date(2090, 1, 1), (None, None), (None, None), {})
    axes = plots.horizon_chart(NEWEST, FIT, (far,), as_of=NOW).axes[0]
    assert axes.get_xlim()[1] <= (NOW.date() + timedelta(days=4 * 365) - date(1970, 1, 1)).days
