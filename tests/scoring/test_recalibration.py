"""Recalibration against scikit-learn and scipy, by simulation, and on the ForecastBench crowd."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy import optimize
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from tests.scoring.crowd import FILE, ROLES
from tracker.errors import UsageError
from tracker.scoring import calibrate, forecast_table, read_forecasts_csv
from tracker.scoring.recalibration import (
    MIN_QUESTIONS,
    SPREADS,
    cox_line,
    evaluate,
    fit,
    out_of_sample,
    recalibration_json,
    today,
)

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def world(n: int, *, slope: float = 1.0, intercept: float = 0.0, seed: int = 0, rows: int = 1, gap: int = 2):
    """Questions one after another, each over before the next is asked; what is said is too close to a half."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1.5, n)
    y = (rng.uniform(size=n) < expit(intercept + slope * x)).astype(float)
    which = np.repeat(np.arange(n), rows)
    made = [START + int(k) * gap * DAY + timedelta(hours=int(j % rows)) for j, k in enumerate(which)]
    said = np.clip(expit(x[which] + 0.02 * rng.normal(size=which.size)), 0.002, 0.998)
    return forecast_table(
        said, y[which], which, source=np.array(["s1", "s2"])[which % 2], made_at=made,
        resolved_at=[START + (int(k) * gap + 1) * DAY for k in which],
    )  # fmt: skip


def test_the_line_is_logistic_regression():
    table = world(400, slope=1.4, intercept=-0.3)
    ours = cox_line(table.probability, table.outcome, np.arange(400))
    theirs = LogisticRegression(C=np.inf, tol=1e-10).fit(logit(table.probability)[:, None], table.outcome)
    assert ours.intercept == pytest.approx(theirs.intercept_[0], abs=1e-4)
    assert ours.slope == pytest.approx(theirs.coef_[0, 0], abs=1e-4)
    assert ours.intercept_ci95[0] < -0.3 < ours.intercept_ci95[1]
    assert ours.slope_ci95[0] < 1.4 < ours.slope_ci95[1]


def test_its_interval_is_of_questions_not_rows_and_as_wide_as_the_estimates_spread():
    slopes = [
        cox_line(t.probability, t.outcome, np.arange(120)).slope
        for t in (world(120, seed=k) for k in range(150))
    ]
    table = world(120, rows=6, seed=3)
    clustered = cox_line(table.probability, table.outcome, np.repeat(np.arange(120), 6))
    naive = cox_line(table.probability, table.outcome, np.arange(720))
    assert np.ptp(clustered.slope_ci95) == pytest.approx(4 * np.std(slopes), rel=0.35)
    assert np.ptp(naive.slope_ci95) < 0.55 * np.ptp(clustered.slope_ci95)


@pytest.mark.parametrize(
    ("p", "y"),
    [([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]), ([0.5] * 4, [0, 1, 0, 1]), ([0.2, 0.5], [1, 1]), ([], [])],
)
def test_where_no_line_fits_none_is_given(p, y):
    assert cox_line(np.array(p, dtype=float), np.array(y, dtype=float), np.arange(len(p))) is None


def test_the_penalised_fit_is_the_minimum_that_a_general_optimiser_finds():
    table = world(150, slope=1.5, intercept=0.4, rows=3)
    found = fit(table)
    x, y = logit(np.clip(table.probability, 0.001, 0.999)), table.outcome
    second = (table.source == "s2").astype(int)

    def loss(theta):
        common, own, band = theta[:2], theta[2:6].reshape(2, 2), theta[6:].reshape(2, 2)
        lines = common + own + band  # one band each: the lead time counts from the resolution
        eta = lines[second, 0] + (1 + lines[second, 1]) * x
        fits = np.sum((np.logaddexp(0, eta) - y * eta) / 3)
        parts = zip((common[None], own, band), SPREADS, strict=True)
        return fits + sum(np.sum(np.square(part / np.array(spread))) / 2 for part, spread in parts)

    best = optimize.minimize(loss, np.zeros(10), method="BFGS", options={"gtol": 1e-8}).x
    assert (found.common.intercept, found.common.slope - 1) == pytest.approx(tuple(best[:2]), abs=1e-5)
    assert found.sources["s2"].slope - 1 == pytest.approx(best[1] + best[5], abs=1e-5)
    assert found.lines["s1", 0].intercept == pytest.approx(best[0] + best[2] + best[6], abs=1e-5)


def test_with_nothing_to_learn_from_it_says_what_was_said():
    nothing = fit(world(0))
    assert (nothing.common.intercept, nothing.common.slope) == (0.0, 1.0)
    p = np.array([0.01, 0.5, 0.9])
    assert nothing.adjust(p, ["new"] * 3, np.zeros(3, dtype=int)) == pytest.approx(p)
    few = fit(world(5, slope=3.0))
    assert abs(few.common.slope - 1.0) < 0.1


def test_a_forecast_is_never_corrected_by_what_came_later():
    whole = out_of_sample(world(120, slope=1.8))
    cut = world(120, slope=1.8).rows(np.arange(90))
    early = out_of_sample(cut)
    assert whole.probability[: len(early)] == pytest.approx(early.probability)
    assert len(whole) == 120 - MIN_QUESTIONS
    turned = world(120, slope=1.8)
    turned.outcome[100:] = 1 - turned.outcome[100:]
    assert out_of_sample(turned).probability[:71] == pytest.approx(whole.probability[:71])


def test_what_was_said_of_the_same_event_teaches_nothing():
    table = world(80)
    columns = {name: getattr(table, name) for name in ("made_at", "resolved_at", "source")}
    alone = forecast_table(table.probability, table.outcome, table.question, **columns)
    one_event = forecast_table(table.probability, table.outcome, table.question, event=["e"] * 80, **columns)
    assert len(out_of_sample(alone)) == 50
    assert len(out_of_sample(one_event)) == 0


def test_where_forecasts_are_too_timid_it_comes_to_help_and_where_they_are_right_it_keeps_still():
    helped = evaluate(world(900, slope=1.8, seed=1))
    assert helped.log_change.ci95[1] < 0.0
    harmless = [evaluate(world(250, seed=seed)).log_change.value for seed in range(12)]
    assert max(harmless) < 0.004
    assert np.mean(harmless) < 0.0006


def test_on_the_forecastbench_crowd_it_does_not_make_the_log_score_worse():
    table = read_forecasts_csv(FILE, ROLES)
    found = evaluate(table)
    assert (found.n, found.log_change.n) == (544, 379)
    assert found.log_change.value <= 0.0
    assert found.brier_change.value <= 0.0
    assert found.log_raw.value == pytest.approx(0.1607, abs=5e-5)
    lines = today(table)
    document = json.loads(json.dumps(recalibration_json(lines, found), allow_nan=False))
    assert document["weight"] == 0.0
    assert {line["source"] for line in document["lines"]} == {"infer", "manifold", "metaculus", "polymarket"}


def test_the_adjusted_voice_stands_beside_the_raw_one_and_can_be_scored():
    table = world(200, slope=1.8)
    adjusted = out_of_sample(table)
    assert set(adjusted.forecaster.tolist()) == {"s1 (adjusted)", "s2 (adjusted)"}
    assert calibrate(adjusted, group_by=["forecaster"]).n_forecasts == 170
    assert table.probability.tolist() == world(200, slope=1.8).probability.tolist()


def test_without_times_nothing_may_be_learnt():
    with pytest.raises(UsageError, match="resolved_at"):
        evaluate(forecast_table([0.5], [1], ["a"]))
