"""Kendall's tau-b for one pair of orders or for many at once, and what chance alone would give."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

_AT_ONCE = 1_000  # orders whose pairs stay in the processor's own memory while they are counted


def tau_b(x: ArrayLike, y: ArrayLike, *, gap_x: float = 0.0, gap_y: float = 0.0) -> NDArray[np.float64]:
    """How far two orders of the same items agree: +1 the same, -1 reversed, with ties allowed for.

    tau-b = (concordant - discordant) / sqrt(pairs untied in x * pairs untied in y) (Kendall 1945,
    Biometrika 33:239). The last axis holds the items (two or more), the other axes broadcast: ``x`` of
    shape (n, k) against ``y`` of shape (k,) gives n values. Infinities are ordered like numbers (two
    equal ones tie). Two values of ``x`` no more than ``gap_x`` apart count as tied, likewise ``y``. NaN
    where one side is all tied. Raises ValueError if the items do not match.
    """
    first, second = _two_orders(x, y)
    if first.ndim == 2 and len(first) > _AT_ONCE and second.shape in (first.shape, first.shape[1:]):
        parts = [slice(start, start + _AT_ONCE) for start in range(0, len(first), _AT_ONCE)]
        others = (second if second.ndim == 1 else second[part] for part in parts)
        return np.concatenate(
            [_taus(first[part], other, gap_x, gap_y) for part, other in zip(parts, others, strict=True)]
        )
    return _taus(first, second, gap_x, gap_y)


def _taus(
    first: NDArray[np.float64], second: NDArray[np.float64], gap_x: float, gap_y: float
) -> NDArray[np.float64]:
    one, two = _pair_signs(first, gap_x), _pair_signs(second, gap_y)
    # Signs are -1, 0, 1 and pairs are few: float32 sums of them are exact, and einsum adds no temporary.
    balance = np.einsum("...p,...p->...", one, two).astype(np.float64)
    untied = _untied(one) * _untied(two)
    tau = np.full(balance.shape, np.nan)
    np.divide(balance, np.sqrt(untied), out=tau, where=untied > 0)
    return tau


def _two_orders(x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if first.ndim < 1 or second.ndim < 1 or first.shape[-1] != second.shape[-1] or first.shape[-1] < 2:
        raise ValueError(
            f"two orders of the same two or more items are needed: {first.shape}, {second.shape}"
        )
    if np.isnan(first).any() or np.isnan(second).any():
        raise ValueError("a NaN has no place in an order")
    return first, second


def _pair_signs(values: NDArray[np.float64], gap: float) -> NDArray[np.float32]:
    """Sign of every pair's difference, shape (..., pairs); by comparison, as inf - inf is undefined."""
    left, right = np.triu_indices(values.shape[-1], k=1)
    one, two = values[..., left], values[..., right]
    return np.subtract(one > two + gap, two > one + gap, dtype=np.float32)


def _untied(signs: NDArray[np.float32]) -> NDArray[np.float64]:
    untied: NDArray[np.float64] = np.einsum("...p,...p->...", signs, signs).astype(np.float64)
    return untied


def tau_null_sd(n: int) -> float:
    """Standard deviation of tau between two unrelated orders of ``n`` items without ties.

    sqrt(2 (2n + 5) / (9 n (n - 1))), exact for every n (Kendall 1938, Biometrika 30:81).
    """
    if n < 2:
        raise ValueError("an order needs two or more items")
    return math.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1)))


def tau_null_interval(n: int, level: float = 0.90) -> tuple[float, float]:
    """The narrowest interval round 0 that holds tau between unrelated orders of ``n`` items, without ties,
    with at least this probability; from the exact distribution, (-1, 1) where that alone is enough."""
    if n < 2:
        raise ValueError("an order needs two or more items")
    counts = _inversions(n)
    pairs, total = n * (n - 1) // 2, math.factorial(n)
    outside, inversions = 0, 0
    while 2 * (outside + counts[inversions]) <= (1.0 - level) * total * (1 + 1e-12):
        outside += counts[inversions]
        inversions += 1
    edge = 1 - 2 * inversions / pairs
    return -edge, edge


def tau_null_p(n: int, tau: float) -> float:
    """P(|tau| at least this large) between unrelated orders of ``n`` items without ties; exact, two-sided."""
    counts = _inversions(n)
    pairs = n * (n - 1) // 2
    reached = sum(
        count for inversions, count in enumerate(counts) if abs(1 - 2 * inversions / pairs) >= abs(tau) - 1e-9
    )
    return reached / math.factorial(n)


def tau_x(x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    """How far two orders agree when a tie is a statement ("equally soon"), not a lack of one: -1..1.

    1 - d / (n (n - 1) / 2), d counting 2 halves per pair reversed and one half per pair tied on one side only
    (Emond and Mason 2002, J. Multi-Crit. Decis. Anal. 11:17). Shapes and infinities as in ``tau_b``; defined
    where all are tied too.
    """
    first, second = _two_orders(x, y)
    gaps = np.abs(_pair_signs(first, 0.0) - _pair_signs(second, 0.0))
    agreement: NDArray[np.float64] = 1.0 - gaps.mean(axis=-1, dtype=np.float64)
    return agreement


def tau_critical(n: int, level: float = 0.05) -> float | None:
    """The smallest |tau| that unrelated orders of ``n`` items reach with probability at most ``level``.

    From the exact null distribution (the number of permutations with each number of inversions), two
    sided, without ties. None when even perfect agreement happens by chance more often than that.
    """
    if n < 2:
        raise ValueError("an order needs two or more items")
    counts = _inversions(n)
    pairs, total = n * (n - 1) // 2, math.factorial(n)
    tail, critical = 0, None
    for inversions in range(pairs // 2 + 1):
        tail += 2 * counts[inversions]
        if tail > level * total or 2 * inversions == pairs:
            break
        critical = 1 - 2 * inversions / pairs
    return critical


def _inversions(n: int) -> list[int]:
    """Permutations of ``n`` items by their number of inversions."""
    counts = [1]
    for size in range(2, n + 1):
        counts = _with_one_more(counts, size)
    return counts


def _with_one_more(counts: list[int], size: int) -> list[int]:
    """Permutations of ``size`` items by inversions: the new item adds 0 to ``size`` - 1 of them."""
    longer = [0] * (len(counts) + size - 1)
    for inversions, count in enumerate(counts):
        for extra in range(size):
            longer[inversions + extra] += count
    return longer
