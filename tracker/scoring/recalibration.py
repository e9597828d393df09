"""What a probability from a platform has meant so far: its calibration line, and forecasts corrected by it.

``cox_line`` describes: logit P(yes) = a + b logit p. ``fit`` corrects: one such line per source and lead-time
band, each drawn towards its source's, that towards a common one, and that towards saying nothing new (a = 0,
b = 1), by ridge penalties fixed beforehand. With few questions the correction is next to nothing.

A corrected forecast is another voice and stands beside the raw one, never in its place. ``out_of_sample``
corrects each forecast by what was known when it was made: outcomes of *other* questions that were out by then.
Even so a line learnt from few questions can do harm. So the voice is a mixture of the line's word and the raw
one, weighted by how both did so far (a Bayesian mixture: Cesa-Bianchi & Lugosi 2006, Prediction, Learning, and
Games, chapter 9) with one chance in ten for the line to begin with; and while the line is not the likelier of the
two the voice says what the raw one says. On the 601 ForecastBench crowd values in the tests (544 of them late
enough to be corrected, 379 questions) the lines alone would have cost 0.0028 nats a question (95 %: 0.0039 less to
0.0094 more), the mixture from the start 0.0002; the rule kept the voice silent: 0.0000.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tracker.errors import UsageError
from tracker.scoring.inference import MIN_CLUSTERS, Interval, Mean, clustered_mean, means_of
from tracker.scoring.lives import mean_json
from tracker.scoring.reliability import Tally, levels_of, tally_of
from tracker.scoring.scores import DEFAULT_LOG_CLIP, FloatArray, brier_score, clipped, log_score
from tracker.scoring.table import ForecastTable, Labels, Status, codes, evidence

ADJUSTED = " (adjusted)"
BANDS = (0.0, 14.0, 60.0, 180.0)  # days to the scheduled close; each band begins here
# Standard deviations of a and b about what they are drawn to: common to all, of a source, of a band in it.
SPREADS = ((0.5, 0.25), (0.3, 0.15), (0.15, 0.1))
MIN_QUESTIONS = 30
TRUST = 0.1  # in the line against the raw forecast, before either has a record
LIKELIER = 0.5  # below this weight the line is not listened to
_ROWS = 1 << 18
_STEPS = 100
_MONTHLY_FROM = 60  # more different days of forecasts than this are fitted once a month

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Line:
    """logit P(yes) = intercept + slope logit p. Slope above 1: prices too close to a half; below: too far."""

    intercept: float
    slope: float
    intercept_ci95: Interval | None = None
    slope_ci95: Interval | None = None


@dataclass(frozen=True)
class Recalibration:
    """Lines by (source, band); a band is the index into ``BANDS``, -1 where the lead time is unknown.

    ``sources`` has each source's own line, for a band it was never seen in; ``common`` is for other sources.
    ``weight`` is the line's share in the corrected forecast, the rest the raw one's.
    """

    common: Line
    sources: Mapping[str, Line]
    lines: Mapping[tuple[str, int], Line]
    n_questions: int
    weight: float = 1.0

    def adjust(self, probability: ArrayLike, source: Sequence[str], band: Codes) -> FloatArray:
        """Corrected probabilities (n,)."""
        raw = np.asarray(probability, dtype=np.float64)
        return (1.0 - self.weight) * raw + self.weight * self.by_line(raw, source, band)

    def by_line(self, probability: FloatArray, source: Sequence[str], band: Codes) -> FloatArray:
        """What the lines alone say (n,); never 0 or 1."""
        x = _logit(probability)
        found = [
            self.lines.get((name, int(where)), self.sources.get(name, self.common))
            for name, where in zip(source, band, strict=True)
        ]
        a, b = np.array([(line.intercept, line.slope) for line in found]).reshape(-1, 2).T
        return _expit(a + b * x)


@dataclass(frozen=True)
class Evaluation:
    """What correcting did to forecasts made before the outcome, by what was known when each was made.

    Means over questions, each counting once; ``log_change`` and ``brier_change`` are adjusted minus raw:
    negative is better. ``n`` forecasts; only those with ``MIN_QUESTIONS`` questions to learn from count.
    """

    n: int
    log_raw: Mean
    log_adjusted: Mean
    log_change: Mean
    brier_change: Mean


def cox_line(probability: FloatArray, outcome: FloatArray, cluster: Codes) -> Line | None:
    """Calibration intercept and slope with 95 % intervals clustered by question or event.

    Logistic regression of outcomes on logit p (Cox 1958, Biometrika 45:562); intervals from the clustered
    sandwich with G/(G-1) and Student's t with G - 1 degrees of freedom, None below ten clusters. None when the
    outcomes can be told apart wholly by the forecasts, or all forecasts or outcomes agree: then no line fits.
    """
    value, which = levels_of(probability)
    return line_of(tally_of(value, which, outcome), which, outcome, cluster)


def line_of(tally: Tally, which: Codes, outcome: FloatArray, cluster: Codes) -> Line | None:
    """``cox_line`` of a tally and its rows: row i said ``tally.value[which[i]]``."""
    n, yes = tally.n.astype(np.float64), tally.happened
    x = _logit(tally.value)
    if not (x.size and np.ptp(x) > 1e-9 and 0.0 < yes.sum() < n.sum()) or _apart(x, n, yes):
        return None
    beta = np.array([0.0, 1.0])
    for _ in range(_STEPS):
        p = _expit(beta[0] + beta[1] * x)
        pull = yes - n * p
        curvature = _cross(n * p * (1.0 - p), x)
        try:
            step = np.linalg.solve(curvature, np.array([pull.sum(), pull @ x]))
        except np.linalg.LinAlgError:
            return None
        beta = beta + step * min(1.0, 4.0 / max(np.abs(step).max(), 1e-300))
        if np.abs(step).max() < 1e-9:
            break
    else:
        return None
    meat, groups = np.zeros((2, int(cluster.max()) + 1)), np.zeros(int(cluster.max()) + 1, dtype=np.int64)
    for start in range(0, outcome.size, _ROWS):  # what is kept in between stays small
        part = slice(start, start + _ROWS)
        residual, first = outcome[part] - p[which[part]], int(cluster[part].min())
        where, told = cluster[part] - first, slice(first, int(cluster[part].max()) + 1)
        meat[0, told] += np.bincount(where, weights=residual)
        meat[1, told] += np.bincount(where, weights=residual * x[which[part]])
        groups[told] += np.bincount(where)
    present = int(np.count_nonzero(groups))
    if present < MIN_CLUSTERS:
        return Line(float(beta[0]), float(beta[1]))
    from scipy.special import stdtrit

    bread = np.linalg.inv(curvature)
    se = np.sqrt(np.diag(bread @ (meat @ meat.T) @ bread) * present / (present - 1))
    half = float(stdtrit(present - 1, 0.975)) * se
    a, b = ((float(m - h), float(m + h)) for m, h in zip(beta, half, strict=True))
    return Line(float(beta[0]), float(beta[1]), a, b)


def band_of(lead_days: FloatArray | None, count: int) -> Codes:
    """The lead-time band of each forecast: its index in ``BANDS``; -1 for unknown, 0 also for after the close."""
    if lead_days is None:
        return np.full(count, -1, dtype=np.int64)
    band = np.maximum(np.searchsorted(BANDS, lead_days, side="right") - 1, 0)
    return np.where(np.isnan(lead_days), -1, band).astype(np.int64)


def fit(table: ForecastTable) -> Recalibration:
    """Learn from the scored rows of a table; each question counts once in each source and band.

    Penalised likelihood: a and b of a band are common + source's + band's own, with normal penalties of the
    standard deviations in ``SPREADS`` about (0, 1), 0 and 0 (Gelman et al. 2008, Ann Appl Stat 2:1360, for weakly
    informative priors in logistic regression; partial pooling: Gelman & Hill 2007, chapter 12).
    """
    rows = table.rows(table.status == Status.SCORED)
    source = _sources(rows)
    band = band_of(rows.lead_days, len(rows))
    cell, cells = codes(source, band.astype(str).astype(object))
    names = sorted({name for name, _ in cells})
    of_source = np.array([names.index(name) for name, _ in cells], dtype=np.int64)
    told, where = np.unique(codes(evidence(rows))[0] * max(1, len(cells)) + cell, return_inverse=True)
    weight = 1.0 / np.bincount(where, minlength=told.size)[where] if len(rows) else np.zeros(0)
    theta = _penalised(_logit(rows.probability), rows.outcome, weight, cell, of_source, len(names))
    common = theta[0]
    by_source = {name: _line(common + theta[1 + i]) for i, name in enumerate(names)}
    by_cell = {
        (name, int(where)): _line(common + theta[1 + of_source[i]] + theta[1 + len(names) + i])
        for i, (name, where) in enumerate(cells)
    }
    return Recalibration(_line(common), by_source, by_cell, len(set(rows.question.tolist())))


def _penalised(
    x: FloatArray, y: FloatArray, weight: FloatArray, cell: Codes, of_source: Codes, sources: int
) -> FloatArray:
    """(1 + sources + cells, 2) departures of a and b from (0, 1): common, of each source, of each cell."""
    cells = of_source.size
    size = 1 + sources + cells
    spread = np.concatenate(
        [np.tile(level, (count, 1)) for level, count in zip(SPREADS, (1, sources, cells), strict=True)]
    )
    penalty = 1.0 / np.square(spread).ravel()
    # which blocks make up each cell's line
    member = np.zeros((cells, size))
    member[:, 0] = 1.0
    member[np.arange(cells), 1 + of_source] = 1.0
    member[np.arange(cells), 1 + sources + np.arange(cells)] = 1.0
    theta = np.zeros((size, 2))
    for _ in range(_STEPS):
        line = member @ theta
        p = _expit(line[cell, 0] + (1.0 + line[cell, 1]) * x) if cells else np.zeros(0)
        pull, stiff = weight * (y - p), weight * p * (1.0 - p)
        slope = np.stack([np.bincount(cell, weights=pull * one, minlength=cells) for one in (1.0, x)], axis=1)
        bend = np.stack(
            [np.bincount(cell, weights=stiff * one, minlength=cells) for one in (1.0, x, x * x)], axis=1
        )
        gradient = (member.T @ slope).ravel() - penalty * theta.ravel()
        blocks = bend[:, [0, 1, 1, 2]].reshape(cells, 2, 2)
        hessian = np.einsum("ci,cj,cab->iajb", member, member, blocks).reshape(2 * size, 2 * size)
        step = np.linalg.solve(hessian + np.diag(penalty), gradient)
        largest = float(np.abs(step).max())
        theta = theta + (step * min(1.0, 1.0 / max(largest, 1e-300))).reshape(size, 2)
        if largest < 1e-10:
            break
    return theta


def _replay(table: ForecastTable) -> tuple[ForecastTable, FloatArray, float]:
    """Scored rows with known times, what each would have been corrected to (NaN: not), and today's weight."""
    if table.made_at is None or table.resolved_at is None:
        raise UsageError("recalibration needs made_at and resolved_at: it may only learn from what was known")
    rows = table.rows(
        (table.status == Status.SCORED) & ~np.isnat(table.made_at) & ~np.isnat(table.resolved_at)
    )
    assert rows.made_at is not None
    assert rows.resolved_at is not None
    days = np.unique(rows.made_at.astype("datetime64[D]"))
    unit = "datetime64[M]" if days.size > _MONTHLY_FROM else "datetime64[us]"
    moment = rows.made_at.astype(unit).astype("datetime64[us]")
    event, _ = codes(evidence(rows)) if len(rows) else (np.zeros(0, dtype=np.int64), [])
    source, band = _sources(rows), band_of(rows.lead_days, len(rows))
    adjusted, by_line = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    for now in np.unique(moment):
        known = rows.resolved_at < now
        asked = np.flatnonzero(moment == now)
        # a question that was out before its own forecast was made is not scored, so none can teach itself;
        # one of the same event can, and what it would teach is taken away
        shared = np.isin(event[asked], event[known])
        for some in (
            [asked[~shared]] if not shared.any() else [asked[~shared], *_by_event(asked[shared], event)]
        ):
            if not some.size:
                continue
            learnt = known & ~np.isin(event, event[some]) if shared.any() else known
            line = fit(rows.rows(learnt))
            if line.n_questions >= MIN_QUESTIONS:
                raw = rows.probability[some]
                by_line[some] = line.by_line(raw, source[some].tolist(), band[some])
                weight = _trust(rows, by_line, learnt, event)
                adjusted[some] = (1.0 - weight) * raw + weight * by_line[some]
    return rows, adjusted, _trust(rows, by_line, np.ones(len(rows), dtype=bool), event)


def _trust(rows: ForecastTable, by_line: FloatArray, known: NDArray[np.bool_], event: Codes) -> float:
    """The line's share in the mixture: its chance given how it and the raw forecasts did on known outcomes.

    Each event counts once. 0 while the line is not the likelier of the two.
    """
    both = known & ~np.isnan(by_line)
    if not both.any():
        return 0.0
    y = rows.outcome[both]
    gain = log_score(rows.probability[both], y) - log_score(by_line[both], y)
    total = float(np.nansum(means_of(gain, event[both], int(event.max()) + 1)))
    weight = float(_expit(np.array(np.log(TRUST / (1.0 - TRUST)) + total)))
    return weight if weight >= LIKELIER else 0.0


def out_of_sample(table: ForecastTable) -> ForecastTable:
    """The scored rows with corrected probabilities, as forecasters of their own: ``name (adjusted)``.

    For a forecast made at t the line is learnt from other questions whose outcome was out before t (and which
    may be scored at all: see ``forecast_table``); with more than 60 different days, before the first of t's month.
    Forecasts with fewer than ``MIN_QUESTIONS`` questions to learn from are left out. Raises UsageError without
    made_at and resolved_at.
    """
    rows, adjusted, _ = _replay(table)
    done = ~np.isnan(adjusted)
    kept = replace(rows, probability=np.where(done, adjusted, 0.0)).rows(done)
    label = kept.forecaster if kept.forecaster is not None else _sources(kept)
    name: Labels = np.array([f"{one}{ADJUSTED}" for one in label.tolist()], dtype=object)
    crowd = None if kept.crowd is None else np.array([f"{one}\0adjusted" for one in kept.crowd], dtype=object)
    return replace(kept, forecaster=name, crowd=crowd)


def evaluate(table: ForecastTable, *, clip: float = DEFAULT_LOG_CLIP) -> Evaluation | None:
    """Whether correcting helped, out of sample; None when there was never enough to learn from."""
    rows, values, _ = _replay(table)
    done = ~np.isnan(values)
    if not done.any():
        return None
    adjusted = replace(rows, probability=np.where(done, values, 0.0)).rows(done)
    raw = rows.probability[done]
    question, names = codes(adjusted.question)
    event = np.zeros(len(names), dtype=np.int64)
    event[question] = codes(evidence(adjusted))[0]

    def mean(loss: FloatArray) -> Mean:
        per_question = np.bincount(question, weights=loss) / np.bincount(question)
        return clustered_mean(per_question, event)

    y = adjusted.outcome
    logs = [log_score(p, y, clip=clip) for p in (raw, adjusted.probability)]
    briers = [brier_score(p, y) for p in (raw, adjusted.probability)]
    return Evaluation(
        len(adjusted), mean(logs[0]), mean(logs[1]), mean(logs[1] - logs[0]), mean(briers[1] - briers[0])
    )


def today(table: ForecastTable) -> Recalibration:
    """The lines learnt from everything in a table, with the weight that their record up to now gives them."""
    return replace(fit(table), weight=_replay(table)[2])


def recalibration_json(line: Recalibration, found: Evaluation | None) -> dict[str, Any]:
    """Today's lines and what such lines did out of sample, ready for ``json.dumps``."""
    edges = [*BANDS, None]
    document: dict[str, Any] = {
        "n_questions": line.n_questions,
        "weight": line.weight,
        "common": {"intercept": line.common.intercept, "slope": line.common.slope},
        "lines": [
            {
                "source": source,
                "lead_from_days": edges[band] if band >= 0 else None,
                "lead_to_days": edges[band + 1] if band >= 0 else None,
                "intercept": one.intercept,
                "slope": one.slope,
            }
            for (source, band), one in sorted(line.lines.items())
        ],
    }
    if found is None:
        return document | {
            "out_of_sample": None,
            "reason": f"no forecast had {MIN_QUESTIONS} questions to learn from when it was made",
        }
    document["out_of_sample"] = {
        "n_forecasts": found.n,
        "log_score_raw": mean_json(found.log_raw),
        "log_score_adjusted": mean_json(found.log_adjusted),
        "log_score_change": mean_json(found.log_change),
        "brier_change": mean_json(found.brier_change),
    }
    return document


def _by_event(rows: Codes, event: Codes) -> list[Codes]:
    return [rows[event[rows] == one] for one in np.unique(event[rows])]


def _sources(rows: ForecastTable) -> Labels:
    label = rows.source if rows.source is not None else rows.forecaster
    return np.full(len(rows), "all", dtype=object) if label is None else label


def _line(parameters: FloatArray) -> Line:
    return Line(float(parameters[0]), float(1.0 + parameters[1]))


def _cross(weight: FloatArray, x: FloatArray) -> FloatArray:
    off = weight @ x
    return np.array([[weight.sum(), off], [off, weight @ np.square(x)]])


def _apart(x: FloatArray, n: FloatArray, yes: FloatArray) -> bool:
    """Whether some threshold of the forecasts tells all outcomes apart: then the likelihood has no maximum."""
    happened, failed = x[yes > 0.0], x[yes < n]
    return bool(happened.min() >= failed.max() or failed.min() >= happened.max())


def _logit(p: FloatArray) -> FloatArray:
    q, _ = clipped(p, DEFAULT_LOG_CLIP)
    x: FloatArray = np.log(q / (1.0 - q))
    return x


def _expit(x: FloatArray) -> FloatArray:
    from scipy.special import expit

    p: FloatArray = expit(x)
    return p
