"""Shapes weighed by how each foretold past records, and the forecasts they make together."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import optimize, stats

from tests.estimates.invented import frontier, scattered
from tests.estimates.published import metr_points
from tracker.errors import UsageError
from tracker.estimates import mixture
from tracker.estimates.frontier import frontier_of, scale_for
from tracker.estimates.mixture import (
    IMAGINARY_RECORDS,
    WEIGHT_FLOOR,
    NextRecord,
    above,
    fit_mixture,
    forecast_next,
    leave_future_out,
    mixed_sample,
    next_record,
    shared_out,
    stacking_weights,
)
from tracker.estimates.posterior import fit_shape
from tracker.estimates.shapes import SHAPES

RISING = scattered(9, 0.7, 0.3, seed=11)
BENT = [*np.linspace(0.0, 0.8, 8), *np.linspace(1.8, 12.0, 11)]


def normal_record(centre, sd, record):
    return NextRecord(np.array([centre]), np.array([sd]), record)


# The next record


def test_one_draw_is_a_normal_cut_off_at_the_last_record():
    record = normal_record(2.0, 0.5, 1.8)
    truth = stats.truncnorm((1.8 - 2.0) / 0.5, np.inf, loc=2.0, scale=0.5)
    assert record.log_density(2.3) == pytest.approx(truth.logpdf(2.3))
    sample = record.sample(4_000, np.random.default_rng(1))
    assert stats.kstest(sample, truth.cdf).pvalue > 0.01


def test_several_draws_are_their_average():
    both = NextRecord(np.array([2.0, 3.0]), np.array([0.5, 1.0]), 1.0)
    singles = [normal_record(2.0, 0.5, 1.0), normal_record(3.0, 1.0, 1.0)]
    expected = math.log(np.mean([math.exp(one.log_density(2.2)) for one in singles]))
    assert both.log_density(2.2) == pytest.approx(expected)


def test_nothing_below_the_last_record_is_a_record():
    record = normal_record(2.0, 0.5, 1.8)
    assert record.log_density(1.79) == -math.inf
    assert record.sample(500, np.random.default_rng(2)).min() >= 1.8


def test_a_record_far_above_the_trend_still_has_a_forecast_above_it():
    """Forty standard deviations out, where the normal's tail is 0 as a float."""
    far = above(np.array([0.0]), np.array([1.0]), 40.0, np.random.default_rng(3))
    assert 40.0 <= far[0] < 41.0
    many = above(np.zeros(4_000), np.ones(4_000), 40.0, np.random.default_rng(3))
    assert (many - 40.0).mean() == pytest.approx(1 / 40.0, rel=0.05)  # an exponential tail
    assert np.isfinite(normal_record(0.0, 1.0, 40.0).log_density(40.02))


def test_the_density_of_a_record_adds_up_to_one():
    fit = fit_shape(frontier(RISING, sd=0.4), "random_walk", draws=300, seed=1)
    record = next_record(fit, 0.2, seed=1)
    grid = np.linspace(record.record, record.record + 15, 4_001)
    density = np.exp([record.log_density(x) for x in grid])
    assert np.trapezoid(density, grid) == pytest.approx(1.0, abs=0.01)


# Weights


def optimum(scores, floor):
    """The stated objective, maximised by a general optimiser."""
    table = np.array(list(scores.values()))
    k = len(table)

    def loss(free):
        v = np.exp(free - free.max())
        v /= v.sum()
        return -(np.log(v @ np.exp(table)).sum() + IMAGINARY_RECORDS * np.log(v).sum())

    best = optimize.minimize(loss, np.zeros(k), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    v = np.exp(best.x - best.x.max())
    return floor + (1 - floor * k) * v / v.sum()


def test_weights_are_where_the_past_records_are_likeliest():
    random = np.random.default_rng(4)
    scores = {shape: tuple(random.normal(-1, 0.8, 12)) for shape in SHAPES[:3]}
    found = stacking_weights(scores)
    assert list(found.values()) == pytest.approx(optimum(scores, WEIGHT_FLOOR), abs=1e-3)
    assert sum(found.values()) == pytest.approx(1.0)


def test_no_shape_is_dropped_however_badly_it_did():
    scores = {"exponential": (-1.0,) * 40, "piecewise": (-30.0,) * 40}
    weights = stacking_weights(scores)
    assert weights["piecewise"] >= WEIGHT_FLOOR
    assert weights["exponential"] > 0.9
    assert stacking_weights(scores, floor=0.0)["piecewise"] == pytest.approx(1 / 42, abs=1e-6)


def test_without_past_records_all_shapes_weigh_the_same():
    assert stacking_weights(dict.fromkeys(SHAPES, ())) == pytest.approx(dict.fromkeys(SHAPES, 0.2))


def test_a_floor_must_leave_something_to_weigh():
    with pytest.raises(UsageError, match="leaves nothing to weigh"):
        stacking_weights(dict.fromkeys(SHAPES, ()), floor=0.2)


def test_forecasts_of_the_past_do_not_know_the_future():
    changed = [*RISING[:-1], RISING[-1] + 3.0]
    before, _ = leave_future_out(frontier(RISING), seed=1)
    after, keys = leave_future_out(frontier(changed), seed=1)
    for shape in SHAPES:
        assert before[shape][:-1] == after[shape][:-1]
        assert before[shape][-1] != after[shape][-1]
    assert keys[-1] == "m08"


def test_what_is_kept_of_past_forecasts_is_what_they_would_be_afresh():
    """Every number of the points counts: the last height, an error, the day."""
    points = frontier(RISING)
    kept = [leave_future_out(points, seed=1), leave_future_out(points, seed=2)]
    for changed in (
        replace(points, heights=points.heights + 0.25, measured=points.measured + 0.25),
        replace(points, sd_low=points.sd_low + 0.5),
        replace(points, years=points.years * 1.5),
    ):
        kept.append(leave_future_out(changed, seed=1))
        mixture._foretold.cache_clear()
        assert leave_future_out(changed, seed=1) == kept[-1]
    assert [leave_future_out(points, seed=seed) for seed in (1, 2)] == kept[:2]
    assert len({scores["exponential"] for scores, _ in kept}) == len(kept)


def test_only_records_are_foretold():
    flat = [1.0, 2.0, 3.0, 4.0, 3.5, 5.0, 9.0]
    _, keys = leave_future_out(frontier(flat, ceiling=2.0**8), seed=1)
    assert keys == ("m05",)  # not the one below the record, not the one above the ceiling


def test_a_shape_that_needs_more_points_forecasts_what_the_exponential_does():
    forecasts = forecast_next(frontier(RISING[:5]), 0.2, SHAPES, seed=1)
    assert (forecasts["piecewise"].centre == forecasts["exponential"].centre).all()
    assert (forecasts["random_walk"].centre != forecasts["exponential"].centre).any()


def test_a_series_that_broke_prefers_shapes_that_can_break():
    mixture = fit_mixture(frontier(BENT), draws=500, seed=1)
    assert mixture.weights["exponential"] < 0.15
    assert max(mixture.weights, key=mixture.weights.get) in ("piecewise", "random_walk")


# All together


def test_a_mixture_has_every_shape_in_proportion_to_its_weight():
    mixture = fit_mixture(frontier(RISING, sd=0.4), draws=1_000, seed=1)
    assert set(mixture.fits) == set(SHAPES)
    assert len(mixture.foretold) == len(mixture.log_scores["exponential"])
    assert sum(fit.draws for fit in mixture.members) == 1_000
    for fit in mixture.members:
        assert fit.draws / 1_000 == pytest.approx(mixture.weights[fit.shape], abs=0.001)


def test_shapes_the_points_do_not_allow_are_left_out_with_a_reason():
    few = fit_mixture(frontier([1.0, 2.0, 3.0]), draws=100, seed=1)
    assert set(few.fits) == {"exponential"}
    assert few.weights == {"exponential": pytest.approx(1.0)}
    assert "needs 6 or more points" in few.skipped["piecewise"]
    falling = fit_mixture(frontier([400.0 - 50.0 * i for i in range(8)]), draws=100, seed=1)
    assert "do not rise" in falling.skipped["superexponential"]


def test_a_mixed_forecast_draws_on_each_shape_by_weight():
    forecasts = {"exponential": normal_record(0.0, 0.01, -5.0), "piecewise": normal_record(9.0, 0.01, -5.0)}
    sample = mixed_sample(forecasts, {"exponential": 0.3, "piecewise": 0.7}, 1_000, seed=1)
    assert (sample < 5).mean() == pytest.approx(0.3)
    assert (np.diff(sample) >= 0).all()


@settings(deadline=None)
@given(st.integers(0, 500), st.lists(st.floats(0.01, 10.0), min_size=1, max_size=6))
def test_sharing_out_gives_everything_and_nobody_off_by_one(total, weights):
    counts = shared_out(total, weights)
    assert sum(counts) == total
    for count, weight in zip(counts, weights, strict=True):
        assert abs(count - total * weight / math.fsum(weights)) < 1.0 + 1e-9


def test_metrs_weights_are_stated_and_repeatable():
    found = frontier_of(
        [p for p in metr_points("2026-05-08") if p.metric == "p50" and p.is_sota and p.value > 3.9],
        scale_for("minutes"),
        960.0,
    )
    one, two = (fit_mixture(found, draws=200, seed=3) for _ in range(2))
    assert one.weights == two.weights
    assert min(one.weights.values()) > 0.1  # ten records cannot tell five shapes apart
    assert len(one.foretold) == 10
