"""Calibration measures against scikit-learn, direct integration and simulated truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.isotonic import IsotonicRegression

from tracker.scoring import (
    brier_score,
    corp_curve,
    corp_decomposition,
    expected_calibration_error,
    smooth_calibration_error,
)
from tracker.scoring.reliability import (
    bin_index,
    equal_width_edges,
    in_order,
    quantile_edges,
    smoothed_calibration_error,
)

rows = st.lists(
    st.tuples(st.integers(0, 20).map(lambda k: k / 20) | st.floats(0, 1), st.integers(0, 1)),
    min_size=1,
    max_size=80,
).map(lambda pairs: tuple(np.array(column, dtype=float) for column in zip(*pairs, strict=True)))


def sample(n: int, seed: int, distortion: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Forecasts and outcomes; distortion 1 is perfectly calibrated."""
    rng = np.random.default_rng(seed)
    p = rng.beta(0.7, 1.5, n)
    return p, (rng.uniform(size=n) < p**distortion).astype(float)


@settings(deadline=None)  # the first example pays for importing scipy
@given(rows)
def test_the_parts_of_the_brier_score_add_up_and_none_is_negative(pair):
    p, y = pair
    corp = corp_decomposition(p, y)
    total = corp.miscalibration - corp.discrimination + corp.uncertainty
    assert total == pytest.approx(np.mean(brier_score(p, y)), abs=1e-12)
    assert min(corp.miscalibration, corp.discrimination, corp.uncertainty) >= 0.0


@settings(deadline=None)  # the first example pays for importing scipy
@given(rows, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter_even_with_ties(pair, random):
    p, y = pair
    order = list(range(p.size))
    random.shuffle(order)
    before, after = corp_decomposition(p, y), corp_decomposition(p[order], y[order])
    assert after.miscalibration == pytest.approx(before.miscalibration, abs=1e-12)
    assert after.discrimination == pytest.approx(before.discrimination, abs=1e-12)
    assert smooth_calibration_error(p[order], y[order]) == pytest.approx(
        smooth_calibration_error(p, y), abs=1e-9
    )


def test_the_curve_is_the_isotonic_regression_of_scikit_learn():
    p, y = sample(400, 3, distortion=2.0)
    p = p.round(2)  # many ties
    curve = corp_curve(p, y)
    reference = IsotonicRegression(y_min=0, y_max=1).fit(p, y).predict(curve.forecast)
    np.testing.assert_allclose(curve.recalibrated, reference, atol=1e-12)
    assert curve.n.sum() == 400


def test_recalibrating_saves_exactly_the_miscalibration():
    p, y = sample(600, 5, distortion=0.5)
    fitted = IsotonicRegression().fit_transform(p, y)
    saved = np.mean(brier_score(p, y)) - np.mean(brier_score(fitted, y))
    assert corp_decomposition(p, y).miscalibration == pytest.approx(saved, abs=1e-12)


def test_a_constant_forecast_discriminates_nothing():
    corp = corp_decomposition(np.full(4, 0.5), np.array([1.0, 0, 0, 0]))
    assert corp.discrimination == 0.0
    assert corp.uncertainty == pytest.approx(3 / 16)
    assert corp.miscalibration == pytest.approx(1 / 16)


def test_a_perfect_oracle_has_discrimination_equal_to_uncertainty():
    y = np.array([0.0, 1, 1, 0, 1])
    corp = corp_decomposition(y, y)
    assert corp.miscalibration == 0.0
    assert corp.discrimination == pytest.approx(corp.uncertainty)


def test_a_hand_made_binned_error():
    p = np.array([0.05, 0.05, 0.95, 1.0])
    y = np.array([0.0, 1.0, 1.0, 0.0])
    assert expected_calibration_error(p, y) == pytest.approx((abs(1 - 0.1) + abs(1 - 1.95)) / 4)


def test_bins_are_closed_below_and_the_last_one_on_both_sides():
    edges = equal_width_edges(10)
    assert bin_index(np.array([0.0, 0.1, 0.3, 0.6, 0.7, 0.9, 1.0]), edges).tolist() == [0, 1, 3, 6, 7, 9, 9]


def test_every_decimal_edge_opens_its_own_bin():
    for count in (10, 20, 50, 100):
        edges = equal_width_edges(count)
        written = np.array([float(f"{k / count:.2f}") for k in range(count)])
        assert bin_index(written, edges).tolist() == list(range(count))


@settings(deadline=None)  # the first example pays for importing scipy
@given(rows, st.integers(1, 12))
def test_quantile_bins_are_never_empty_and_survive_repetition(pair, count):
    p, _ = pair
    edges = quantile_edges(p, count)
    assert edges[0] == 0.0
    assert edges[-1] == 1.0
    assert edges.size <= count + 1
    assert np.unique(bin_index(p, edges)).size == edges.size - 1
    np.testing.assert_array_equal(edges, quantile_edges(np.repeat(p, 3), count))


def test_quantile_bins_hold_about_equally_many_forecasts():
    p, _ = sample(1000, 1)
    counts = np.bincount(bin_index(p, quantile_edges(p, 8)))
    assert counts.tolist() == pytest.approx([125] * 8, abs=2)


def direct_smoothed_error(p: np.ndarray, y: np.ndarray, width: float) -> float:
    """The definition, integrated: reflected normal kernels around every forecast on a fine grid of t."""
    t = (np.arange(4000) + 0.5) / 4000
    images = [sign * p + 2 * shift for shift in range(-4, 5) for sign in (1, -1)]
    kernel = sum(np.exp(-0.5 * ((t[:, None] - image) / width) ** 2) for image in images)
    density = kernel @ (y - p) / (p.size * width * np.sqrt(2 * np.pi))
    return float(np.mean(np.abs(density)))


@pytest.mark.parametrize("width", [0.01, 0.05, 0.3, 0.8])
def test_the_smoothed_error_is_the_integral_it_says(width):
    p, y = sample(150, 11, distortion=1.7)
    p[:3] = [0.0, 1.0, 0.5]
    assert smoothed_calibration_error(p, y, width) == pytest.approx(
        direct_smoothed_error(p, y, width), rel=2e-3
    )


@pytest.mark.parametrize("distortion", [0.5, 1.0, 2.5])
def test_the_smooth_error_is_the_fixed_point(distortion):
    p, y = sample(300, 12, distortion)
    error = smooth_calibration_error(p, y)
    assert direct_smoothed_error(p, y, error) == pytest.approx(error, rel=2e-3)


def test_the_smooth_error_of_a_constant_forecast_that_is_always_wrong_is_large():
    assert smooth_calibration_error(np.zeros(50), np.ones(50)) == pytest.approx(1.0, abs=1e-6)
    assert smooth_calibration_error(np.zeros(50), np.zeros(50)) == pytest.approx(0.0, abs=1e-9)


def test_a_large_calibrated_sample_has_almost_no_error_and_a_distorted_one_shows_its_distortion():
    assert smooth_calibration_error(*sample(200_000, 1)) < 0.01  # noise alone leaves about n ** (-1 / 3)
    p, y = sample(200_000, 1, distortion=2.0)
    true_gap = float(np.mean(np.abs(p - p**2)))  # the exact expected calibration error here
    assert smooth_calibration_error(p, y) == pytest.approx(true_gap, rel=0.08)


def test_swapping_yes_and_no_leaves_every_calibration_measure_as_it_is():
    p, y = sample(400, 21, distortion=1.5)
    p = np.round(p * 1024) / 1024  # so that 1 - p is exact
    assert smooth_calibration_error(1 - p, 1 - y) == pytest.approx(smooth_calibration_error(p, y), rel=1e-9)
    wide, mirrored = smoothed_calibration_error(p, y, 0.1), smoothed_calibration_error(1 - p, 1 - y, 0.1)
    assert mirrored == pytest.approx(wide, rel=1e-9)
    there, back = corp_decomposition(p, y), corp_decomposition(1 - p, 1 - y)
    assert back.miscalibration == pytest.approx(there.miscalibration, abs=1e-12)


@pytest.mark.parametrize("highest", [3, 2**20, 2**22, 2**40])
def test_triples_in_order_are_what_sorting_by_three_keys_gives(highest: int) -> None:
    """However many digits the two numbers of a cell take together."""
    rng = np.random.default_rng(highest)
    row, column = rng.integers(highest + 1, size=5000), rng.integers(201, size=5000)
    row[0] = highest
    outcome = rng.integers(2, size=5000).astype(float)
    by_keys = np.lexsort((outcome, column, row))
    for sorted_part, part in zip(in_order(row, column, outcome), (row, column, outcome), strict=True):
        assert sorted_part.dtype == part.dtype
        np.testing.assert_array_equal(sorted_part, part[by_keys])
