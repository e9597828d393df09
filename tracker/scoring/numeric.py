"""How good forecasts of numbers and dates were: scores over each question's life, at fixed leads, PIT and coverage.

A forecast here is a distribution: a CDF on a grid, a few quantiles, the prices of a ladder's rungs, or a probability
for each of several options that exclude each other. None of its
scores mixes with those of probabilities. Two units stand apart: ``range``, the question's own range as 1, which can be
averaged over questions, and ``days``, for dates alone. CDFs are scored by CRPS, quantiles by the weighted interval
score (where they are not symmetric, the quantile score) under its own name and with its levels: other levels give
other numbers; rungs by the ranked probability score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracker.scoring.choices import (
    brier_choice_score,
    log_choice_score,
    ranked_probability_score,
    spherical_choice_score,
)
from tracker.scoring.distributions import (
    crps_cdf,
    crps_draws,
    held_shares,
    pit_histogram,
    pit_interval,
    quantile_score,
    weighted_interval_score,
    wilson_interval,
)
from tracker.scoring.inference import Mean, clustered_mean
from tracker.scoring.lives import LEADS, MIDPOINT, Life, Steps, mean_json
from tracker.scoring.metaculus import baseline_score, baseline_score_cdf, bucket_of
from tracker.scoring.peers import peers_at, peers_over_life, spot_of
from tracker.scoring.scores import DEFAULT_LOG_CLIP, SCORE_VERSION, FloatArray
from tracker.scoring.shapes import BASELINE, PEER, REWARDS, Answer, Form, Measure, Shape, Told, place_on

DAY_S = 86_400.0
COVERAGE_LEVELS = (0.5, 0.8, 0.9)
MIN_PIT_QUESTIONS = 50  # below it ten bins show noise
PIT_BINS = 10
RPS_OPTIONS = Measure("ranked_probability_score", "options")


@dataclass(frozen=True)
class NumericRecord:
    """One forecaster by one measure over the lives of questions, each counting once.

    ``mean`` is averaged over the time for which a distribution stood (``baseline`` and ``peer``: over the scheduled
    life, the rest as 0); ``coverage`` is its share of the scheduled life. ``at_leads``: what stood at fixed days
    before the scheduled close and at the middle of the scheduled life; ``spot``, of rewards alone: what stood at
    the reveal or the end.
    """

    forecaster: str
    measure: Measure
    n_questions: int
    coverage: float
    mean: Mean
    at_leads: Mapping[str, Mean] = field(default_factory=dict)
    spot: Mean | None = None


@dataclass(frozen=True)
class Share:
    """How often central intervals of a level held the outcome; the interval counts events, not questions."""

    level: float
    share: float
    ci95: tuple[float, float]


@dataclass(frozen=True)
class Places:
    """Where outcomes fell in what stood at one lead: PIT values, how often central intervals held, a histogram.

    ``pit`` (questions, 2): an interval where only one is known. ``histogram`` is None below 50 questions.
    """

    forecaster: str
    lead: str
    pit: FloatArray
    n_events: int
    coverage: tuple[Share, ...]
    histogram: tuple[float, ...] | None


def measures(shape: Shape, answer: Answer) -> dict[Measure, float]:
    """Every score of one distribution against the answer; empty where none can be said.

    A CDF: CRPS in days and over the width of its grid; on Metaculus' grids with all cells of one width, as they are
    asked. Quantiles and draws: in days, and over the width of the question's range where one is known; an answer
    beyond the range has no value that they could be measured against. Rungs: the mean of (p - [answer at most x])^2.
    Options: the scores of ``tracker.scoring.choices`` (the ranked one where they have an order), and Metaculus'
    baseline; the answer is the position of the one that came about.

    >>> found = measures(Shape((0.0, 1.0), (0.0, 1.0)), Answer("q", 0.25, 0.0, 2.0, 2.0))
    >>> {measure.name: round(loss, 4) for measure, loss in found.items()}
    {'crps': 0.1458}
    """
    if shape.form is Form.QUANTILES:
        return _of_quantiles(shape, answer)
    if shape.form is Form.DRAWS:
        return _of_draws(shape, answer)
    if shape.form in (Form.OPTIONS, Form.ORDERED):
        p, y = [shape.p], [int(answer.value)]
        near = {RPS_OPTIONS: float(ranked_probability_score(p, y)[0])} if shape.form is Form.ORDERED else {}
        return near | {
            Measure("brier_choice", "options"): float(brier_choice_score(p, y)[0]),
            Measure("log_choice", "nats"): float(log_choice_score(p, y)[0]),
            Measure("spherical_choice", "options"): float(spherical_choice_score(p, y)[0]),
            BASELINE: float(baseline_score(max(shape.p[y[0]], DEFAULT_LOG_CLIP), len(shape.p))),
        }
    if shape.form is Form.RUNGS:
        gap = np.array(shape.p) - (np.array(shape.x) >= answer.value)
        return {Measure("ranked_probability_score", "rungs"): float(np.mean(np.square(gap)))}
    return _of_cdf(shape, answer)


def _of_quantiles(shape: Shape, answer: Answer) -> dict[Measure, float]:
    if not math.isfinite(answer.value):
        return {}
    levels, q, y = shape.p, np.array([shape.x]), np.array([answer.value])
    symmetric = len(levels) % 2 == 1 and np.allclose(np.add(levels, levels[::-1]), 1.0, atol=1e-9)
    name = "weighted_interval_score" if symmetric else "quantile_score"
    loss = float((weighted_interval_score if symmetric else quantile_score)(levels, q, y)[0])
    return _in_units(name, loss, answer, levels)


def _of_draws(shape: Shape, answer: Answer) -> dict[Measure, float]:
    """The fair CRPS: the score of what the draws come from, whatever their number."""
    if not math.isfinite(answer.value):
        return {}
    return _in_units("crps_draws", float(crps_draws([shape.x], [answer.value])[0]), answer)


def _in_units(name: str, loss: float, answer: Answer, levels: tuple[float, ...] = ()) -> dict[Measure, float]:
    """A loss in days for a date, and over the width of the question's range where one is known."""
    found = {}
    if answer.dated:
        found[Measure(name, "days", levels)] = loss / DAY_S
    if answer.span is not None:
        found[Measure(name, "range", levels)] = loss / (answer.span[1] - answer.span[0])
    return found


def _of_cdf(shape: Shape, answer: Answer) -> dict[Measure, float]:
    x, cdf = np.array(shape.x), np.array([shape.p])
    loss = float(crps_cdf(x, cdf, [answer.value])[0])
    found = {}
    if answer.dated:
        found[Measure("crps", "days")] = loss / DAY_S
    if shape.form is not Form.GRID:
        found[Measure("crps", "range")] = loss / float(x[-1] - x[0])
        return found
    steps, place = x.size - 1, place_on(shape.x, answer.value)
    found[Measure("crps", "range")] = float(crps_cdf(np.linspace(0.0, 1.0, x.size), cdf, [place])[0])
    ends = (shape.p[0] > 0.0) + (shape.p[-1] < 1.0)
    score = baseline_score_cdf(shape.p, bucket_of(place, steps), open_bounds=ends)
    if math.isfinite(score):
        found[BASELINE] = score
    return found


def pit_of(shape: Shape, answer: Answer) -> tuple[float, float] | None:
    """Where the answer fell, as an interval of probability: a point only inside a CDF. None for options, which have no
    order, and for rungs that do not rise.

    >>> said = Shape((1.0, 2.0, 3.0), (0.1, 0.5, 0.9), Form.QUANTILES)
    >>> pit_of(said, Answer("q", 2.5, 0.0, 2.0, 2.0))
    (0.5, 0.9)
    """
    if shape.form in (Form.OPTIONS, Form.ORDERED):
        return None
    if shape.form is Form.DRAWS:
        below, level = (sum(x < answer.value for x in shape.x), sum(x == answer.value for x in shape.x))
        slots = len(shape.x) + 1
        return below / slots, (below + level + 1) / slots
    if shape.form in (Form.QUANTILES, Form.RUNGS):
        if not shape.rises:
            return None
        above = int(np.searchsorted(shape.x, answer.value, side="left"))
        edges = (0.0, *shape.p, 1.0)
        return edges[above], edges[above + 1]
    low, high = pit_interval(shape.x, [shape.p], [answer.value])[0].tolist()
    return low, high


def numeric_records(
    told: Mapping[tuple[str, str], Told],
    answers: Mapping[str, Answer],
    *,
    leads: Sequence[int] = LEADS,
    everybody: Mapping[tuple[str, str], Told] | None = None,
) -> list[NumericRecord]:
    """Everybody's record by every measure. ``told``: (forecaster, question) -> what was said over time.

    Time is integrated between the moments of change; leads count back from the scheduled close, and only while the
    question was open. ``everybody``: who are peers, when those are more than whose records are asked for. A pair that
    no measure can be given for is left out (``unscored`` tells which).
    """
    rows: dict[tuple[str, Measure], list[tuple[Answer, float, float]]] = {}
    leading: dict[tuple[str, Measure], dict[str, list[tuple[Answer, float]]]] = {}
    spots: dict[tuple[str, Measure], list[tuple[Answer, float]]] = {}
    peers, at_spot = _against_peers(told if everybody is None else everybody, answers)
    for (forecaster, question), said in sorted(told.items()):
        answer = answers[question]
        length = answer.closes - answer.opens
        for measure, (area, time) in _areas(said, answer).items():
            mean = area / length if measure == BASELINE else area / time
            rows.setdefault((forecaster, measure), []).append((answer, mean, time / length))
        if (forecaster, question) in peers:
            covered = sum(time for _, time in _pieces(said, answer)) / length
            rows.setdefault((forecaster, PEER), []).append((answer, peers[forecaster, question], covered))
        for lead, shape in _at_leads(said, answer, leads):
            for measure, value in measures(shape, answer).items():
                at = leading.setdefault((forecaster, measure), {}).setdefault(lead, [])
                at.append((answer, value))
        for measure, value in at_spot.get((forecaster, question), {}).items():
            spots.setdefault((forecaster, measure), []).append((answer, value))
    return [
        NumericRecord(
            *key,
            n_questions=len(mine),
            coverage=float(np.mean([share for _, _, share in mine])),
            mean=_mean([(answer, value) for answer, value, _ in mine]),
            at_leads={lead: _mean(values) for lead, values in leading.get(key, {}).items()},
            spot=_mean(spots[key]) if key in spots else None,
        )
        for key, mine in sorted(rows.items())
    ]


def _against_peers(
    told: Mapping[tuple[str, str], Told], answers: Mapping[str, Answer]
) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str], dict[Measure, float]]]:
    """By (forecaster, question): the peer score over the question's life, and both rewards at its spot moment."""
    by_question: dict[str, dict[str, Told]] = {}
    for (forecaster, question), said in told.items():
        if question in answers:
            by_question.setdefault(question, {})[forecaster] = said
    over_life: dict[tuple[str, str], float] = {}
    spots: dict[tuple[str, str], dict[Measure, float]] = {}
    for question, everybody in by_question.items():
        answer = answers[question]
        moment = spot_of(answer)
        peers = peers_at(everybody, answer, moment)
        for forecaster, score in peers_over_life(everybody, answer).items():
            over_life[forecaster, question] = score
        for forecaster, said in everybody.items():
            shape = said.standing(moment)
            found = {} if shape is None else measures(shape, answer)
            rewards = {BASELINE: found[BASELINE]} if BASELINE in found else {}
            if forecaster in peers:
                rewards[PEER] = peers[forecaster]
            spots[forecaster, question] = rewards
    return over_life, spots


def unscored(told: Mapping[tuple[str, str], Told], answers: Mapping[str, Answer]) -> dict[str, int]:
    """How many (forecaster, question) pairs no score can be given for although the question has an answer, and why."""
    reasons: dict[str, int] = {}
    for (_, question), said in told.items():
        answer = answers[question]
        pieces = [shape for shape, _ in _pieces(said, answer)]
        if any(measures(shape, answer) for shape in pieces):
            continue
        why = "no distribution stood while the question was open"
        if pieces:
            why = "quantiles of an answer beyond the range, which has no value"
            if math.isfinite(answer.value):
                why = "quantiles of a number whose question has no range: its unit compares with no other"
        reasons[why] = reasons.get(why, 0) + 1
    return reasons


def places(
    told: Mapping[tuple[str, str], Told], answers: Mapping[str, Answer], *, leads: Sequence[int] = LEADS
) -> list[Places]:
    """Where outcomes fell in everybody's distributions, at each lead: for PIT and coverage, one row per question."""
    rows: dict[tuple[str, str], list[tuple[tuple[float, float], str]]] = {}
    for (forecaster, question), said in sorted(told.items()):
        answer = answers[question]
        for lead, shape in _at_leads(said, answer, leads):
            pit = pit_of(shape, answer)
            if pit is not None:
                rows.setdefault((forecaster, lead), []).append((pit, answer.cluster))
    order = {lead: index for index, lead in enumerate([*(str(lead) for lead in leads), MIDPOINT])}
    found = []
    for (forecaster, lead), mine in sorted(rows.items(), key=lambda item: (item[0][0], order[item[0][1]])):
        fell = np.array([interval for interval, _ in mine])
        cluster = _codes([name for _, name in mine])
        shares = tuple(_share(level, held_shares(fell, level), cluster) for level in COVERAGE_LEVELS)
        many = len(mine) >= MIN_PIT_QUESTIONS
        histogram = tuple(pit_histogram(fell, PIT_BINS).tolist()) if many else None
        found.append(Places(forecaster, lead, fell, int(cluster.max()) + 1, shares, histogram))
    return found


def ladder(
    rungs: Sequence[tuple[float, Steps, Life]], *, name: str, event: str, harder: bool
) -> tuple[Told, Answer] | None:
    """Rungs that ran their course as one forecast: (place, what was said, life) each. None if their outcomes clash.

    Deadlines say P(by then); ``harder`` rungs are thresholds and say P(that much), which is turned into P(less). The
    ladder lives while all rungs do, and says something while each of them does.
    """
    ordered = sorted(rungs, key=lambda rung: rung[0])
    by_then = [bool(life.outcome) != harder for _, _, life in ordered]
    if by_then != sorted(by_then) or len(ordered) < 2:
        return None
    x = tuple(place for place, _, _ in ordered)
    value = next((place for place, happened in zip(x, by_then, strict=True) if happened), math.inf)
    lives = [life for _, _, life in ordered]
    opens, closes = max(life.opens for life in lives), min(life.closes for life in lives)
    ends = min(life.ends for life in lives)
    if not opens < ends:
        return None
    at = sorted({moment for _, steps, _ in ordered for moment in steps.at.tolist()})
    shapes: list[Shape | None] = []
    for moment in at:
        p = [steps.standing(moment) for _, steps, _ in ordered]
        known = not any(math.isnan(one) for one in p)
        shapes.append(
            Shape(x, tuple(1.0 - one if harder else one for one in p), Form.RUNGS) if known else None
        )
    return Told(tuple(at), tuple(shapes)), Answer(name, value, opens, closes, ends, event=event)


def options(said: Sequence[Steps], *, ordered: bool = False, tolerance: float = 0.03) -> Told | None:
    """What was said of each option over time as one forecast, in their order; it stands while all options have a word.

    Probabilities that sum to 1 within the tolerance are divided by their sum (a market's overround), others are no
    distribution: then nothing stands. None when it never does.
    """
    at = sorted({moment for steps in said for moment in steps.at.tolist()})
    shapes: list[Shape | None] = []
    for moment in at:
        p = [steps.standing(moment) for steps in said]
        total = math.fsum(p)  # NaN where one is missing
        whole = abs(total - 1.0) <= tolerance
        x = tuple(float(k) for k in range(len(p)))
        form = Form.ORDERED if ordered else Form.OPTIONS
        shapes.append(Shape(x, tuple(one / total for one in p), form) if whole else None)
    return Told(tuple(at), tuple(shapes)) if any(shapes) else None


def clustered_share(held: FloatArray, cluster: NDArray[np.int64]) -> tuple[float, float]:
    """95 % interval of a share whose cases come in clusters: Wilson's, at the effective number of cases.

    Effective: share (1 - share) over the clustered variance of the mean, at most the number of cases; the number of
    clusters where all cases agree (Korn & Graubard 1998, Surv Methodol 24:193, do so with another interval).
    """
    groups = np.unique(cluster).size
    share = float(held.mean())
    mean = clustered_mean(held, cluster)
    n = float(groups)
    if mean.se and 0.0 < share < 1.0:
        n = min(float(held.size), share * (1.0 - share) / mean.se**2)
    return wilson_interval(share * n, n)


def _share(level: float, held: FloatArray, cluster: NDArray[np.int64]) -> Share:
    return Share(level, float(held.mean()), clustered_share(held, cluster))


def _pieces(said: Told, answer: Answer) -> list[tuple[Shape, float]]:
    """The distributions that stood while the question lived, and for how many days."""
    start = np.clip(said.at, answer.opens, answer.ends)
    lasted = np.append(start[1:], answer.ends) - start
    return [
        (shape, time)
        for shape, time in zip(said.shapes, lasted.tolist(), strict=True)
        if shape is not None and time > 0.0
    ]


def _areas(said: Told, answer: Answer) -> dict[Measure, tuple[float, float]]:
    """Each measure's integral over time (days), and the time for which it could be given."""
    found: dict[Measure, tuple[float, float]] = {}
    for shape, time in _pieces(said, answer):
        for measure, value in measures(shape, answer).items():
            area, total = found.get(measure, (0.0, 0.0))
            found[measure] = (area + time * value, total + time)
    return found


def _at_leads(said: Told, answer: Answer, leads: Sequence[int]) -> list[tuple[str, Shape]]:
    moments = [(str(lead), answer.closes - lead) for lead in leads]
    moments.append((MIDPOINT, 0.5 * (answer.opens + answer.closes)))
    stood = ((lead, said.standing(at)) for lead, at in moments if answer.opens <= at < answer.ends)
    return [(lead, shape) for lead, shape in stood if shape is not None]


def _mean(values: Sequence[tuple[Answer, float]]) -> Mean:
    return clustered_mean(
        np.array([value for _, value in values]), _codes([answer.cluster for answer, _ in values])
    )


def _codes(labels: Sequence[str]) -> NDArray[np.int64]:
    return np.unique(np.array(labels), return_inverse=True)[1].astype(np.int64)


def numeric_json(
    told: Mapping[tuple[str, str], Told],
    answers: Mapping[str, Answer],
    not_scored: Mapping[str, int],
    *,
    leads: Sequence[int] = LEADS,
    everybody: Mapping[tuple[str, str], Told] | None = None,
) -> dict[str, Any]:
    """Scores, coverage and PIT under their public names; ``not_scored``: (forecaster, question) pairs left out, why;
    ``everybody``: see ``numeric_records``."""
    reasons = dict(not_scored)
    for why, count in unscored(told, answers).items():
        reasons[why] = reasons.get(why, 0) + count
    records = numeric_records(told, answers, leads=leads, everybody=everybody)
    return {
        "score_version": SCORE_VERSION,
        "n_questions": len({question for _, question in told}),
        "not_scored": [{"reason": why, "n": count} for why, count in sorted(reasons.items())],
        "scores": [_record_json(one) for one in records],
        "calibration": [_places_json(one) for one in places(told, answers, leads=leads)],
    }


def _record_json(one: NumericRecord) -> dict[str, Any]:
    measure = one.measure
    document: dict[str, Any] = {
        "forecaster": one.forecaster,
        "score": measure.name,
        "unit": measure.unit,
        "levels": list(measure.levels) or None,
        "better": "higher" if measure in REWARDS else "lower",
        "n_questions": one.n_questions,
        "time_covered": one.coverage,
        "over_life": mean_json(one.mean),
        "leads": [{"lead": lead, **mean_json(mean)} for lead, mean in one.at_leads.items()],
    }
    if one.spot is not None:
        document["spot"] = mean_json(one.spot)
    return document


def _places_json(one: Places) -> dict[str, Any]:
    n = len(one.pit)
    document: dict[str, Any] = {
        "forecaster": one.forecaster,
        "lead": one.lead,
        "n_questions": n,
        "n_events": one.n_events,
        "coverage": [
            {"level": share.level, "share": share.share, "ci95": list(share.ci95)} for share in one.coverage
        ],
        "pit": one.pit.tolist(),
        "pit_histogram": None if one.histogram is None else list(one.histogram),
    }
    if one.histogram is None:
        document["reason"] = f"too few to say: {n} questions, a histogram needs {MIN_PIT_QUESTIONS}"
    return document
