"""Charts of scores: every one can be read, says what is missing, and is the same twice."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from scipy import stats

from tracker.report.plots import overlapping_texts, png_bytes, svg_text
from tracker.report.plots.places import even_band, lead_words, pit_alt, pit_chart, share_at_most, shown
from tracker.report.plots.scores import (
    Month,
    comparison_chart,
    corp_alt,
    corp_chart,
    history_chart,
    lead_chart,
)
from tracker.scoring import calibrate, forecast_table
from tracker.scoring.compare import compare
from tracker.scoring.lives import from_table, records
from tracker.scoring.numeric import places
from tracker.scoring.recalibration import out_of_sample
from tracker.scoring.shapes import Answer, Form, Shape, Told
from tracker.scoring.table import joined

NOW = datetime(2026, 8, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def forecasts(
    n: int = 60, names=("manifold", "polymarket (via forecastbench)", "a name <that> is $long$ " * 3)
):
    rng = np.random.default_rng(0)
    rows = []
    for q in range(n):
        close = NOW - timedelta(days=int(rng.integers(1, 500)))
        truth = rng.uniform()
        y = float(rng.uniform() < truth)
        for name in names:
            for lead in (200, 100, 40, 8):
                p = round(float(np.clip(truth + rng.normal(0, 0.1), 0, 1)), 2)
                rows.append((p, y, f"q{q}", name, close - (lead + 1) * DAY, close))
    p, y, question, who, made, closes = zip(*rows, strict=True)
    return forecast_table(
        p, y, question, forecaster=who, made_at=list(made), closes_at=list(closes), resolved_at=list(closes), now=NOW
    )  # fmt: skip


def months(names=("all", "manifold", "a very long name of a forecaster somewhere")):
    return [
        Month(
            date(2025 + k // 12, k % 12 + 1, 28), name, 5 * k, 0.2 + 0.001 * i, (0.1, 0.3) if k > 2 else None
        )
        for i, name in enumerate(names)
        for k in range(18)
    ]


def fell(n: int = 60, names=("metaculus", "a name <that> is $long$ " * 3)):
    """Where answers fell: the first forecaster's spread is right, the others' half of it; some answers lie beyond."""
    rng = np.random.default_rng(2)
    x = tuple(np.linspace(-3.0, 3.0, 101))
    told, answers = {}, {}
    for k in range(n):
        middle = rng.normal()
        answers[f"q{k}"] = Answer(f"q{k}", float(rng.normal(middle, 1.0)), 0.0, 100.0, 100.0)
        for i, name in enumerate(names):
            cdf = tuple(stats.norm(middle, 0.5 if i else 1.0).cdf(x).tolist())
            told[name, f"q{k}"] = Told((0.0,), (Shape(x, cdf, Form.CDF),))
    return places(told, answers, leads=(30,))


def charts():
    table = forecasts()
    yield corp_chart(calibrate(table, curve=True, resamples=50), name="all forecasts", as_of=NOW)
    yield corp_chart(calibrate(forecasts(6), curve=True, resamples=50), name="few", as_of=NOW)
    yield corp_chart(
        calibrate(forecasts(30), curve=True, resamples=50, bins="quantile:20"), name="x", as_of=NOW
    )
    yield history_chart(months(), as_of=NOW)
    yield history_chart(months(("all",))[:1], as_of=NOW)
    yield comparison_chart(compare(joined(table, out_of_sample(table)), resamples=0), as_of=NOW)
    yield comparison_chart(compare(forecasts(3), resamples=0), as_of=NOW)
    yield lead_chart(records(*from_table(table)), as_of=NOW)
    yield lead_chart(records(*from_table(forecasts(2)), leads=(30,)), as_of=NOW)
    yield history_chart(months([f"forecaster {k}" for k in range(7)]), as_of=NOW)
    yield pit_chart(fell(), as_of=NOW)
    yield pit_chart(fell(12), as_of=NOW)


def test_no_two_texts_touch_and_none_leaves_the_paper():
    for chart in charts():
        assert overlapping_texts(chart) == []


def test_the_same_contents_give_the_same_bytes():
    first, second = (list(charts())[3] for _ in range(2))
    assert png_bytes(first) == png_bytes(second)
    assert svg_text(first) == svg_text(second)


def test_the_reliability_chart_says_what_it_rests_on():
    report = calibrate(forecasts(), curve=True, resamples=50)
    text = svg_text(corp_chart(report, name="all forecasts", as_of=NOW))
    for said in ("60 questions", "720 forecasts", "miscalibration MCB", f"{report.corp.discrimination:.4f}"):
        assert said in text
    few = svg_text(corp_chart(calibrate(forecasts(6), curve=True), name="few", as_of=NOW))
    assert "too few questions to say" in few


def test_with_one_forecast_a_question_the_band_of_calibrated_forecasts_is_drawn_and_told():
    table = forecasts(60, ("ann",))
    report = calibrate(table.rows(table.lead_days == 9), curve=True, resamples=50)
    figure = corp_chart(report, name="ann", as_of=NOW)
    assert len(figure.axes[0].collections) == 2
    assert "grey, of calibrated forecasts" in svg_text(figure)
    assert overlapping_texts(figure) == []
    alt = corp_alt(report, name="ann")
    for said in (
        f"{report.brier.value:.3f}",
        "60 forecasts",
        f"said {report.curve.forecast[0]:.2f}",
        "90 % band",
    ):
        assert said in alt
    few = corp_alt(calibrate(forecasts(6), curve=True), name="few")
    assert "too few to say" in few


def test_a_corrected_voice_is_set_against_its_raw_one_alone():
    table = forecasts(names=("ann", "bob"))
    text = svg_text(comparison_chart(compare(joined(table, out_of_sample(table)), resamples=0), as_of=NOW))
    assert "against ann (adjusted)" in text
    assert text.count("against") == 3


def test_who_is_not_drawn_and_why_there_is_no_interval_is_told():
    text = svg_text(history_chart(months([f"forecaster {k}" for k in range(7)]), as_of=NOW))
    assert "Not drawn: 2 forecasters" in text
    assert "Not drawn" not in svg_text(history_chart(months(), as_of=NOW))
    assert "fewer than 10 events say too little" in svg_text(
        comparison_chart(compare(forecasts(3)), as_of=NOW)
    )


def test_the_curve_of_places_is_the_share_of_answers_at_or_below():
    """Against scipy's empirical distribution for points, and by hand for an interval."""
    pit = np.random.default_rng(4).uniform(size=50)
    at = np.linspace(0.0, 1.0, 23)
    expected = stats.ecdf(pit).cdf.evaluate(at)
    assert share_at_most(np.stack([pit, pit], axis=1), at) == pytest.approx(expected)
    assert share_at_most(np.array([[0.0, 0.4]]), np.array([0.1, 0.4, 1.0])).tolist() == [0.25, 1.0, 1.0]


def test_the_band_holds_nine_of_ten_calibrated_curves_at_each_place():
    at = np.array([0.1, 0.5, 0.8])
    low, high = even_band(40, at)
    curves = (np.random.default_rng(1).uniform(size=(20_000, 40, 1)) <= at).mean(axis=1)
    held = ((curves >= low - 1e-9) & (curves <= high + 1e-9)).mean(axis=0)
    assert (held >= 0.9 - 0.01).all()
    assert (held <= 0.97).all()  # counts are whole: never much more


def test_the_chart_of_places_names_lead_numbers_and_who_is_too_narrow():
    found = fell()
    chosen = shown(found)
    assert [one.lead for one in chosen] == ["30", "30"]
    text = svg_text(pit_chart(found, as_of=NOW))
    assert lead_words("30") in text
    assert "metaculus (60)" in text
    narrow = next(one for one in chosen if one.forecaster != "metaculus").coverage[1]
    assert f"80%: held {narrow.share:.2f}" in text
    assert narrow.ci95[1] < 0.8
    assert f"80% intervals held {narrow.share:.2f}" in pit_alt(found)
    assert "a histogram needs 50 questions" in svg_text(pit_chart(fell(12), as_of=NOW))


@pytest.mark.parametrize(
    "draw",
    [
        lambda: corp_chart(calibrate(forecast_table([], [], []), curve=True), name="none", as_of=NOW),
        lambda: history_chart([], as_of=NOW),
        lambda: comparison_chart(compare(forecasts(3, names=("alone",))), as_of=NOW),
        lambda: lead_chart([], as_of=NOW),
        lambda: pit_chart(fell(9), as_of=NOW),
    ],
)
def test_nothing_to_draw_is_told_not_drawn(draw):
    with pytest.raises(ValueError, match=r"nothing to draw|too few to say"):
        draw()
