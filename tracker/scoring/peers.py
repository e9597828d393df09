"""Peer scores of distributions: against everybody else's word on the same question at the same moment.

What is compared is the probability given to what happened: to the option that came about, or to the cell of the range
that the answer fell into. So CDFs compare on one and the same of Metaculus' grids alone, options where all tell of
the same ones, and what is given as quantiles has no peers: it says nothing of a cell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

from tracker.scoring.metaculus import bucket_of, bucket_probabilities, peer_scores
from tracker.scoring.scores import DEFAULT_LOG_CLIP
from tracker.scoring.shapes import Answer, Form, Shape, Told, place_on

FLOOR = 0.01  # what Metaculus spreads evenly over all cells, so that none is without


def chance_of(shape: Shape, answer: Answer) -> tuple[tuple[float, ...], float] | None:
    """What was asked (only equal ones compare) and the probability given to what happened, clipped from below.

    None where the form tells no such probability.

    >>> chance_of(Shape((0.0, 1.0, 2.0), (0.2, 0.5, 0.3), Form.OPTIONS), Answer("q", 1.0, 0.0, 9.0, 9.0))[1]
    0.5
    """
    if shape.form in (Form.OPTIONS, Form.ORDERED):
        return shape.x, max(shape.p[int(answer.value)], DEFAULT_LOG_CLIP)
    if shape.form is not Form.GRID:
        return None
    steps = len(shape.x) - 1
    given = bucket_probabilities(shape.p)[bucket_of(place_on(shape.x, answer.value), steps)]
    return shape.x, max(float(given), FLOOR / steps)


def peers_at(everybody: Mapping[str, Told], answer: Answer, moment: float) -> dict[str, float]:
    """The peer score of what each forecaster's word was at a moment; who has no peer then is left out."""
    together: dict[tuple[tuple[float, ...], bool], dict[str, float]] = {}
    for name, said in everybody.items():
        shape = said.standing(moment)
        found = None if shape is None else chance_of(shape, answer)
        if shape is not None and found is not None:
            together.setdefault((found[0], shape.form is Form.GRID), {})[name] = found[1]
    return {
        name: score
        for (_, continuous), given in together.items()
        if len(given) > 1
        for name, score in peer_scores(given, continuous=continuous).items()
    }


def peers_over_life(everybody: Mapping[str, Told], answer: Answer) -> dict[str, float]:
    """The same integrated over the question's life and divided by the scheduled one, as Metaculus does.

    Time without a peer counts as 0; who never had one is left out.
    """
    moments = {answer.opens, answer.ends, *(at for said in everybody.values() for at in said.at)}
    area: dict[str, float] = {}
    for start, end in pairwise(sorted(t for t in moments if answer.opens <= t <= answer.ends)):
        for name, score in peers_at(everybody, answer, start).items():
            area[name] = area.get(name, 0.0) + score * (end - start)
    return {name: total / (answer.closes - answer.opens) for name, total in area.items()}


def spot_of(answer: Answer) -> float:
    """The moment whose word a spot score takes: the reveal where the question lived then, else the last one."""
    if answer.opens <= answer.reveals < answer.ends:
        return answer.reveals
    return math.nextafter(answer.ends, -math.inf)
