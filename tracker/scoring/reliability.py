"""How far forecasts are from meaning what they say: CORP, binned and smooth calibration error.

All functions take matching one-dimensional arrays of probabilities and outcomes (at least one value),
count every forecast alike, and do not depend on the order of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracker.scoring.scores import FloatArray

MAX_LEVELS = 201  # values on which a band is drawn at most
_FINE = 1000
_ROWS = 1 << 18
_CELLS = 1 << 16  # of a table counted at once: a megabyte
_WEIGHTS = 4_000_000  # drawn at once: 32 MB, whatever the size of the problem
_GRID = 4096  # cells of the smooth calibration error; a width of 0.002 still spans eight of them


@dataclass(frozen=True, eq=False)
class Tally:
    """All that calibration needs of any number of forecasts: the different values, how often each, what happened.

    ``value`` strictly rises, ``n`` counts forecasts, ``happened`` sums outcomes, ``squares`` their squares over all.
    """

    value: FloatArray
    n: NDArray[np.int64]
    happened: FloatArray
    squares: float

    @property
    def size(self) -> int:
        return int(self.n.sum())

    @property
    def binary(self) -> bool:
        """Whether every outcome is 0 or 1: nothing between is its own square."""
        return self.squares == float(self.happened.sum())

    @property
    def base_rate(self) -> float:
        return float(self.happened.sum()) / self.size

    def at(self, value: FloatArray, place: NDArray[np.int64]) -> Tally:
        """The same with every value moved to ``value[place]``."""
        n = np.bincount(place, weights=self.n, minlength=value.size).astype(np.int64)
        happened: FloatArray = np.bincount(place, self.happened, value.size).astype(np.float64)
        return Tally(value, n, happened, self.squares)


@dataclass(frozen=True)
class Corp:
    """The Brier score in three parts that add up: miscalibration - discrimination + uncertainty.

    ``miscalibration`` is what recalibrating the forecasts would save, ``discrimination`` what their order
    is worth against always saying the base rate, ``uncertainty`` what the base rate costs. None negative.
    """

    miscalibration: float
    discrimination: float
    uncertainty: float


@dataclass(frozen=True, eq=False)
class CorpCurve:
    """The CORP reliability diagram: ``recalibrated[k]`` is how often it happened at ``forecast[k]``.

    ``forecast`` strictly rises (the values really used), ``recalibrated`` never falls, ``n`` counts rows.
    """

    forecast: FloatArray
    recalibrated: FloatArray
    n: NDArray[np.int64]


def corp_curve(probability: FloatArray, outcome: FloatArray) -> CorpCurve:
    """Isotonic (pool-adjacent-violators) regression of outcomes on forecasts; no bins to choose.

    Equal forecasts are pooled before the regression: otherwise the result hangs on the order of the rows,
    and forecasts rounded to a percent are nearly all ties. Dimitriadis, Gneiting & Jordan 2021, PNAS
    118:e2016191118.
    """
    return curve_of(tallied(probability, outcome))


def tallied(probability: FloatArray, outcome: FloatArray) -> Tally:
    """The tally of forecasts and outcomes, row by row."""
    return tally_of(*levels_of(probability), outcome)


def tally_of(value: FloatArray, which: NDArray[np.int64], outcome: FloatArray) -> Tally:
    """The tally of rows whose forecast is ``value[which]``."""
    n = np.bincount(which, minlength=value.size)
    happened: FloatArray = np.bincount(which, outcome, value.size).astype(np.float64)
    return Tally(value, n, happened, float(outcome @ outcome))


def curve_of(tally: Tally) -> CorpCurve:
    """``corp_curve`` of a tally."""
    return CorpCurve(tally.value, _pooled(tally.happened / tally.n, tally.n.astype(np.float64)), tally.n)


def corp_decomposition(probability: FloatArray, outcome: FloatArray) -> Corp:
    """Split the mean Brier score along the CORP curve (same paper, section "CORP score decomposition").

    With S the score as it is, R after recalibration and U of the base rate: miscalibration S - R,
    discrimination U - R, uncertainty U.
    """
    return decomposition_of(tallied(probability, outcome))


def decomposition_of(tally: Tally) -> Corp:
    """``corp_decomposition`` of a tally."""
    curve, base_rate = curve_of(tally), tally.base_rate
    uncertainty = max(0.0, tally.squares / tally.size - base_rate**2)
    # U - R in a form that cannot come out negative: each block's value is the mean of its outcomes
    discrimination = float(np.average(np.square(curve.recalibrated - base_rate), weights=curve.n))
    # S - R likewise: what pulling each value to its block's mean saves
    gap = np.square(tally.value - curve.recalibrated)
    cross = (tally.value - curve.recalibrated) * (tally.n * curve.recalibrated - tally.happened)
    miscalibration = max(0.0, float(tally.n @ gap + 2.0 * cross.sum()) / tally.size)
    return Corp(miscalibration, discrimination, uncertainty)


@dataclass(frozen=True, eq=False)
class Band:
    """Where the CORP curve might as well lie: pointwise ends at each of ``forecast``, at a level such as 0.9."""

    forecast: FloatArray
    lower: FloatArray
    upper: FloatArray
    level: float


def corp_band(
    probability: FloatArray,
    outcome: FloatArray,
    cluster: NDArray[np.int64],
    *,
    level: float = 0.9,
    resamples: int = 2000,
    seed: int = 0,
) -> Band:
    """Confidence band of the CORP curve, by a Bayesian bootstrap over clusters (questions or events).

    Every replicate gives each cluster an exponential weight (Rubin 1981, Ann Stat 9:130), sums weighted counts and
    events per forecast value and pools adjacent violators again; the band holds the central ``level`` of the
    replicates at each value, not of whole curves. Forecasts with more than 201 different values are put on a grid
    of 0.01 first. Where all outcomes agree resampling cannot show how far they might differ: the band is too narrow.
    """
    value, which = levels_of(on_grid(probability))
    shape = (int(cluster.max()) + 1, value.size)
    counts, happened = cell_counts(*in_order(cluster, which, outcome), shape)
    return band_of_counts(value, counts, happened, level=level, resamples=resamples, seed=seed)


def in_order(
    row: NDArray[np.int64], column: NDArray[np.int64], outcome: FloatArray
) -> tuple[NDArray[np.int64], NDArray[np.int64], FloatArray]:
    """The same triples by row, column and outcome: what is summed over a row then lies together in memory.

    To hop about in a large table is to wait for memory, and takes longer the larger it is. Sums no longer depend on
    the order in which forecasts came, not even in the last digit.
    """
    if float(outcome @ outcome) != float(outcome.sum()):
        order = np.lexsort((outcome, column, row))
        return row[order], column[order], outcome[order]
    bits = int(column.max(initial=0)).bit_length()
    longest = int(row.max(initial=0)).bit_length() + bits + 1
    # half as long is sorted in half the time
    key: NDArray[np.signedinteger[Any]] = np.empty(row.size, dtype=np.int32 if longest < 32 else np.int64)
    for part in _parts(row.size):
        key[part] = (row[part] << (bits + 1)) | (column[part] << 1) | outcome[part].astype(np.int64)
    key.sort()
    sorted_row, sorted_column = np.empty(key.size, dtype=np.int64), np.empty(key.size, dtype=np.int64)
    sorted_outcome = np.empty(key.size)
    for part in _parts(key.size):
        sorted_outcome[part] = key[part] & 1
        sorted_column[part] = (key[part] >> 1) & ((1 << bits) - 1)
        sorted_row[part] = key[part] >> (bits + 1)
    return sorted_row, sorted_column, sorted_outcome


def _parts(size: int) -> Iterator[slice]:
    """Rows some at a time: what is kept in between stays small."""
    return (slice(start, start + _ROWS) for start in range(0, size, _ROWS))


def cell_counts(
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    outcome: FloatArray,
    shape: tuple[int, int],
    dtype: type[np.floating[Any]] = np.float64,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """How many forecasts, and the sum of their outcomes, in each cell of a table; ``row`` must never fall."""
    counts, events = np.empty(shape, dtype=dtype), np.empty(shape, dtype=dtype)
    step = max(1, _CELLS // shape[1])
    starts = np.arange(0, shape[0], step)
    edges = np.append(np.searchsorted(row, starts), row.size)
    for start, first, last in zip(starts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        rows, part = min(step, shape[0] - start), slice(first, last)
        cell, size = (row[part] - start) * shape[1] + column[part], rows * shape[1]
        counts[start : start + rows] = np.bincount(cell, minlength=size).reshape(rows, -1)
        events[start : start + rows] = np.bincount(cell, outcome[part], size).reshape(rows, -1)
    return counts, events


def band_of_counts(
    value: FloatArray,
    n: NDArray[Any],
    happened: NDArray[Any],
    *,
    level: float = 0.9,
    resamples: int = 2000,
    seed: int = 0,
) -> Band:
    """``corp_band`` from forecasts and events per cluster (row) and value (column)."""
    # seven digits do for a band, twice as fast
    n, happened = (column.astype(np.float32, copy=False) for column in (n, happened))
    groups = len(n)
    rng = np.random.default_rng(seed)
    curves = np.empty((resamples, value.size))
    step = max(1, _WEIGHTS // groups)
    for start in range(0, resamples, step):
        weights = rng.standard_exponential((min(step, resamples - start), groups), dtype=np.float32)
        counted, events = (weights @ column for column in (n, happened))
        counted, events = counted.astype(np.float64), events.astype(np.float64)
        for row in range(len(weights)):
            curves[start + row] = _pooled(events[row] / counted[row], counted[row])
    tail = 0.5 * (1.0 - level)
    lower, upper = np.quantile(curves, [tail, 1.0 - tail], axis=0)
    return Band(value, lower, upper, level)


def consistency_band(
    forecast: FloatArray, n: NDArray[np.int64], *, level: float = 0.9, resamples: int = 2000, seed: int = 0
) -> Band:
    """Where the CORP curve of calibrated forecasts would lie: about the diagonal, pointwise, at a level.

    Outcomes are drawn from the forecasts themselves, ``n`` at each value, and violators pooled anew (Bröcker & Smith
    2007, Weather Forecast 22:651; Dimitriadis, Gneiting & Jordan 2021). They are drawn apart, so it holds for one
    forecast of each question alone: snapshots of one question share an outcome, and wander much further.
    """
    rng = np.random.default_rng(seed)
    weight = n.astype(np.float64)
    happened = rng.binomial(n, forecast, size=(resamples, n.size))
    curves = np.array([_pooled(row / weight, weight) for row in happened])
    tail = 0.5 * (1.0 - level)
    lower, upper = np.quantile(curves, [tail, 1.0 - tail], axis=0)
    return Band(forecast, lower, upper, level)


def levels_of(probability: FloatArray) -> tuple[FloatArray, NDArray[np.int64]]:
    """The different forecasts in rising order, and which of them each row is.

    As ``np.unique``, but without sorting where all lie on a grid of 0.001, as most forecasts do.
    """
    step = np.empty(probability.size, dtype=np.int64)
    used = np.zeros(_FINE + 1, dtype=bool)
    for part in _parts(probability.size):
        near = np.rint(probability[part] * _FINE)
        if not np.array_equal(near / _FINE, probability[part]):
            value, which = np.unique(probability, return_inverse=True)
            return value, which.astype(np.int64)
        step[part] = near
        used[step[part]] = True
    place = np.cumsum(used) - 1
    for part in _parts(step.size):
        step[part] = place[step[part]]
    return np.flatnonzero(used) / _FINE, step


def on_grid(probability: FloatArray) -> FloatArray:
    """Forecasts as they are drawn: rounded to 0.01 where there are more than 201 different ones."""
    return np.round(probability, 2) if levels_of(probability)[0].size > MAX_LEVELS else probability


def _pooled(rate: FloatArray, weight: FloatArray) -> FloatArray:
    from scipy.optimize import isotonic_regression  # heavy: not needed to start the program

    return np.clip(isotonic_regression(rate, weights=weight).x, 0.0, 1.0)


def equal_width_edges(count: int) -> FloatArray:
    """``count`` + 1 edges from 0 to 1, each the double nearest to k/count (so 0.3 opens the bin 0.3..0.4).

    >>> equal_width_edges(4).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    edges: FloatArray = np.arange(count + 1) / count
    return edges


def quantile_edges(probability: FloatArray, count: int) -> FloatArray:
    """Edges that put about equally many forecasts into each of at most ``count`` bins, from 0 to 1.

    Edges are forecasts that occur (inverse of the empirical distribution), so no bin is empty and
    repeating all rows changes nothing; ties make fewer bins.
    """
    inner = np.quantile(probability, np.arange(1, count) / count, method="inverted_cdf")
    inner = inner[(inner > probability.min()) & (inner < 1.0) & (inner > 0.0)]
    return np.unique(np.concatenate([[0.0], inner, [1.0]]))


def bin_index(probability: FloatArray, edges: FloatArray) -> NDArray[np.int64]:
    """Which bin each forecast falls in: closed below, open above, the last one closed on both sides.

    >>> bin_index(np.array([0.0, 0.5, 1.0]), equal_width_edges(2)).tolist()
    [0, 1, 1]
    """
    inside = np.searchsorted(edges, probability, side="right") - 1
    return np.minimum(inside, edges.size - 2).astype(np.int64)


def expected_calibration_error(probability: FloatArray, outcome: FloatArray, bins: int = 10) -> float:
    """Mean gap between forecast and frequency over equal-width bins, weighted by rows: 0..1.

    Formula: sum over bins of |sum(y - p)| / n (Naeini, Cooper & Hauskrecht 2015, AAAI). Depends on
    the bins and is biased upwards in small samples: read it beside ``smooth_calibration_error``.
    """
    return calibration_error_of(tallied(probability, outcome), bins)


def calibration_error_of(tally: Tally, bins: int) -> float:
    """``expected_calibration_error`` of a tally."""
    which = bin_index(tally.value, equal_width_edges(bins))
    gaps = np.bincount(which, weights=tally.happened - tally.n * tally.value, minlength=bins)
    return float(np.abs(gaps).sum() / tally.size)


def smooth_calibration_error(probability: FloatArray, outcome: FloatArray) -> float:
    """Calibration error without bins: the width s at which the error smoothed by s equals s.

    smECE_s = integral over t in 0..1 of |mean of (y - p) K_s(t, p)|, K a normal density of standard
    deviation s reflected at 0 and 1; it never rises with s, so the fixed point is unique. Blasiok &
    Nakkiran 2023, arXiv 2309.12236, section 4.
    """
    return smooth_error_of(tallied(probability, outcome))


def smooth_error_of(tally: Tally) -> float:
    """``smooth_calibration_error`` of a tally."""
    spectrum = _residual_spectrum(tally)
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        if _smoothed_error(spectrum, middle) > middle:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def smoothed_calibration_error(probability: FloatArray, outcome: FloatArray, width: float) -> float:
    """smECE at one fixed kernel width (see ``smooth_calibration_error``)."""
    return _smoothed_error(_residual_spectrum(tallied(probability, outcome)), width)


def _residual_spectrum(tally: Tally) -> NDArray[np.complex128]:
    """Residuals shared linearly between the centres of a fine grid, mirrored at 0 and 1, transformed."""
    position = np.clip(tally.value * _GRID - 0.5, 0.0, _GRID - 1.0)
    cell = np.minimum(position.astype(np.int64), _GRID - 2)
    upper_share = position - cell
    residual = (tally.happened - tally.n * tally.value) / tally.size
    mass = np.bincount(cell, weights=residual * (1.0 - upper_share), minlength=_GRID)
    mass += np.bincount(cell + 1, weights=residual * upper_share, minlength=_GRID)
    return np.fft.rfft(np.concatenate([mass, mass[::-1]]))


def _smoothed_error(spectrum: NDArray[np.complex128], width: float) -> float:
    # The mirrored residuals have period 2, so the reflected normal kernel is exactly exp(-(pi k s)^2 / 2)
    # on the k-th harmonic: no truncated tails, at any width.
    harmonic = np.arange(spectrum.size)
    smooth = np.fft.irfft(spectrum * np.exp(-0.5 * np.square(np.pi * harmonic * width)), 2 * _GRID)
    return float(np.abs(smooth[:_GRID]).sum())
