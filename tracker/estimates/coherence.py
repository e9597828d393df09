"""Whether pair probabilities can be true together: sums, triangles, cycles, and what dates allow.

All matrices are (k, k) with P(row before column), anything on the diagonal. What is missing from a pair and
its reverse is "neither". The conditions are necessary for a joint distribution to exist; they are sufficient
only for few areas, so "no violation" is no proof.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from tracker.errors import UsageError

Floats = NDArray[np.float64]

TOLERANCE = 1e-6


@dataclass(frozen=True)
class SumGap:
    """A pair whose probabilities do not add up: before + after + neither - 1 = ``excess``."""

    one: str
    two: str
    excess: float


@dataclass(frozen=True)
class Triangle:
    """P(a before b) + P(b before c) - P(a before c) - 1 = ``excess`` > 0: no joint distribution does that."""

    a: str
    b: str
    c: str
    excess: float


@dataclass(frozen=True)
class OutOfBounds:
    """A stated P(first before second) that the two dates rule out: it must lie in ``least``..``most``."""

    first: str
    second: str
    stated: float
    least: float
    most: float


def sum_gaps(
    areas: Sequence[str], before: Floats, neither: Floats | None = None, *, tolerance: float = TOLERANCE
) -> tuple[SumGap, ...]:
    """Pairs that break the sum rule, the largest first; without ``neither`` only sums above 1 do."""
    found = []
    for i in range(len(areas)):
        for j in range(i + 1, len(areas)):
            excess = float(before[i, j] + before[j, i] - 1.0 + (0.0 if neither is None else neither[i, j]))
            if excess > tolerance or (neither is not None and excess < -tolerance):
                found.append(SumGap(areas[i], areas[j], excess))
    return tuple(sorted(found, key=lambda gap: (-abs(gap.excess), gap.one, gap.two)))


def triangles(areas: Sequence[str], before: Floats, *, tolerance: float = TOLERANCE) -> tuple[Triangle, ...]:
    """Broken triangle inequalities, the worst first; each of three areas in its worst rotation only."""
    worst: dict[frozenset[int], Triangle] = {}
    for i, j, k in permutations(range(len(areas)), 3):
        excess = float(before[i, j] + before[j, k] - before[i, k] - 1.0)
        if excess > tolerance:
            known = worst.get(frozenset((i, j, k)))
            if known is None or excess > known.excess + TOLERANCE:
                worst[frozenset((i, j, k))] = Triangle(areas[i], areas[j], areas[k], excess)
    return tuple(sorted(worst.values(), key=lambda one: (-one.excess, one.a, one.b, one.c)))


def repaired(before: Floats, neither: Floats | None = None) -> tuple[Floats, float]:
    """The pair probabilities nearest to the given ones that meet sums and triangles, and the total change.

    Least sum of absolute changes, by linear programme. ``neither`` (k, k) fixes each pair's sum to
    1 - neither; without it a pair's sum may be at most 1, and stays what it was where that was less or equal.
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_array, eye_array, hstack, vstack

    count = len(before)
    cells = [(i, j) for i in range(count) for j in range(count) if i != j]
    place = {cell: index for index, cell in enumerate(cells)}
    given = np.array([before[cell] for cell in cells])
    size = len(cells)
    triples = list(permutations(range(count), 3))
    rows = np.repeat(np.arange(len(triples)), 3)
    columns = np.array(
        [place[cell] for i, j, k in triples for cell in ((i, j), (j, k), (i, k))], dtype=np.int64
    )
    signs = np.tile([1.0, 1.0, -1.0], len(triples))
    closed = coo_array((signs, (rows, columns)), shape=(len(triples), size))
    pairs = [(i, j) for i, j in cells if i < j]
    sums = coo_array(
        (
            np.ones(2 * len(pairs)),
            (
                np.repeat(np.arange(len(pairs)), 2),
                np.array([place[c] for i, j in pairs for c in ((i, j), (j, i))], dtype=np.int64),
            ),
        ),
        shape=(len(pairs), size),
    )
    wanted = np.array(
        [min(1.0, before[i, j] + before[j, i]) if neither is None else 1.0 - neither[i, j] for i, j in pairs]
    )
    one = eye_array(size)
    limits = vstack(
        [hstack([closed, coo_array((len(triples), size))]), hstack([one, -one]), hstack([-one, -one])]
    )
    found = linprog(
        np.concatenate([np.zeros(size), np.ones(size)]),
        A_ub=limits.toarray(),
        b_ub=np.concatenate([np.ones(len(triples)), given, -given]),
        A_eq=hstack([sums, coo_array((len(pairs), size))]).toarray(),
        b_eq=wanted,
        bounds=[(0.0, 1.0)] * size + [(0.0, None)] * size,
        method="highs",
    )
    if found.status != 0:
        raise UsageError(f"the pair probabilities cannot be repaired: {found.message}")
    result, nearest = np.zeros_like(before, dtype=np.float64), np.asarray(found.x, dtype=np.float64)[:size]
    for cell, value in zip(cells, nearest.tolist(), strict=True):
        result[cell] = value
    return result, float(np.abs(nearest - given).sum())


def cycles(areas: Sequence[str], before: Floats) -> tuple[tuple[str, ...], ...]:
    """Majority cycles (each likelier before the next, the last before the first): a shortest one for every
    knot of areas. A cycle can be coherent: it is no error, but no order of those areas does it justice."""
    beats = before > before.T
    np.fill_diagonal(beats, False)
    knots: list[tuple[str, ...]] = []
    for members in _knots(beats):
        loops = [loop for start in members if (loop := _shortest_loop(beats, start))]
        best = min(loops, key=lambda loop: (len(loop), [areas[i] for i in loop]))
        knots.append(tuple(areas[i] for i in best))
    return tuple(knots)


def out_of_bounds(
    areas: Sequence[str], before: Floats, least: Floats, most: Floats, *, tolerance: float = 1e-3
) -> tuple[OutOfBounds, ...]:
    """Pairs whose stated probability the date distributions rule out (``races.Field.bounds``)."""
    return tuple(
        OutOfBounds(areas[i], areas[j], float(before[i, j]), float(least[i, j]), float(most[i, j]))
        for i, j in permutations(range(len(areas)), 2)
        if not np.isnan(before[i, j])
        and not least[i, j] - tolerance <= before[i, j] <= most[i, j] + tolerance
    )


def _knots(beats: NDArray[np.bool_]) -> Iterator[list[int]]:
    """Groups of two or more areas of which each reaches each by majorities."""
    reach = beats.copy()
    for k in range(len(reach)):
        reach |= reach[:, k, None] & reach[None, k, :]
    both = reach & reach.T
    seen: set[int] = set()
    for i in range(len(reach)):
        if i not in seen and both[i, i]:
            members = np.flatnonzero(both[i]).tolist()
            seen.update(members)
            yield members


def _shortest_loop(beats: NDArray[np.bool_], start: int) -> list[int]:
    came: dict[int, int] = {}
    queue = deque([start])
    while queue:
        here = queue.popleft()
        for there in np.flatnonzero(beats[here]).tolist():
            if there == start:
                loop = [here]
                while loop[-1] != start:
                    loop.append(came[loop[-1]])
                return loop[::-1]
            if there not in came:
                came[there] = here
                queue.append(there)
    return []
