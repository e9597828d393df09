"""Scores over a question's life: a forecast stands until the next, and every moment counts as long as it lasts.

A burst of updates, or of polls, adds no weight: time is integrated between the moments of change. Beside the
average stand the scores at fixed times before the *scheduled* close (and at the middle of the scheduled life):
times counted back from the outcome would give the outcome away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracker.errors import UsageError
from tracker.scoring.inference import MIN_CLUSTERS, Mean, clustered_mean
from tracker.scoring.metaculus import baseline_score, peer_scores
from tracker.scoring.scores import DEFAULT_LOG_CLIP, FloatArray, brier_score, clipped, log_score
from tracker.scoring.table import ForecastTable, Moments, Status, evidence

LEADS = (365, 180, 90, 30, 7)
MIDPOINT = "midpoint"
NOTHING_STOOD = "nothing stood at that moment"
NO_PEER = "nobody else forecast these questions then"


@dataclass(frozen=True)
class Life:
    """A question's time in days on any one scale: when it opened, was to close, and when it was over.

    ``ends`` is the outcome or the scheduled close, whichever came first. ``outcome`` is 1 or 0; ``event`` names
    what it shares with other questions (default: the question itself). ``reveals``: when a hidden crowd was to be
    shown, the moment of spot scores where it came while the question lived (NaN: at its end).
    """

    question: str
    opens: float
    closes: float
    ends: float
    outcome: float
    event: str = ""
    reveals: float = math.nan

    def __post_init__(self) -> None:
        if not self.opens < self.closes or not self.opens <= self.ends <= self.closes:
            raise ValueError(f"{self.question}: times must be opens < closes and opens <= ends <= closes")
        if self.outcome not in (0.0, 1.0):
            raise ValueError(f"{self.question}: outcome {self.outcome} is neither 0 nor 1")

    @property
    def length(self) -> float:
        return self.closes - self.opens

    @property
    def cluster(self) -> str:
        return self.event or self.question

    @property
    def spot(self) -> float:
        """The moment whose word a spot score takes: the reveal, else the last one before the end."""
        if self.opens <= self.reveals < self.ends:
            return self.reveals
        return float(np.nextafter(self.ends, -math.inf))


@dataclass(frozen=True)
class Steps:
    """What somebody said over time: ``probability[i]`` stands from ``at[i]`` to ``at[i + 1]``, the last to the end.

    NaN: nothing stands (withdrawn, hidden, or not confirmed for too long).
    """

    at: FloatArray
    probability: FloatArray

    def __post_init__(self) -> None:
        if self.at.shape != self.probability.shape or bool(np.any(np.diff(self.at) <= 0.0)):
            raise ValueError("as many probabilities as times, and times must strictly rise")
        if bool(np.any((self.probability < 0.0) | (self.probability > 1.0))):
            raise ValueError("probabilities must lie in 0..1")

    def standing(self, moment: float) -> float:
        """What stood at a moment; NaN for nothing."""
        position = int(np.searchsorted(self.at, moment, side="right")) - 1
        return float(self.probability[position]) if position >= 0 else math.nan

    def pieces(self, life: Life) -> tuple[FloatArray, FloatArray]:
        """How long each probability stood while the question lived (days), and the probabilities."""
        start = np.clip(self.at, life.opens, life.ends)
        lasted = np.append(start[1:], life.ends) - start
        there = (lasted > 0.0) & ~np.isnan(self.probability)
        return lasted[there], self.probability[there]


@dataclass(frozen=True)
class Averaged:
    """A score averaged over time.

    ``while_standing`` divides by the time for which a forecast stood: for losses. ``over_life`` divides by the
    whole scheduled life and counts the rest as zero: for rewards, as Metaculus does. ``coverage`` is the share
    of the scheduled life for which a forecast stood, and stands beside every score.
    """

    while_standing: float
    over_life: float
    coverage: float


def time_averaged(steps: Steps, life: Life, score: Callable[[FloatArray], FloatArray]) -> Averaged | None:
    """Integrate a score of probabilities over the question's life; None when nothing ever stood.

    >>> one = Steps(np.array([0.0, 5.0]), np.array([0.5, 0.9]))
    >>> time_averaged(one, Life("q", 0.0, 10.0, 10.0, 1.0), lambda p: (1.0 - p) ** 2).while_standing
    0.13
    """
    lasted, probability = steps.pieces(life)
    total = float(lasted.sum())
    if not total > 0.0:
        return None
    area = float(lasted @ score(probability))
    return Averaged(area / total, area / life.length, total / life.length)


def peer_averaged(
    everybody: Mapping[str, Steps], life: Life, *, clip: float = DEFAULT_LOG_CLIP
) -> dict[str, Averaged]:
    """Each forecaster's peer score over the question's life (``metaculus.peer_scores`` at every moment).

    Probabilities are clipped first: one sure and wrong forecaster would else make everybody else infinite.
    Nobody who never forecast is in it, nor who was alone all the time: there is nobody to compare with. While
    somebody is alone he gets 0, and it counts as coverage.
    """
    moments = sorted({life.opens, life.ends, *(t for one in everybody.values() for t in one.at.tolist())})
    moments = [t for t in moments if life.opens <= t <= life.ends]
    area = dict.fromkeys(everybody, 0.0)
    stood = dict.fromkeys(everybody, 0.0)
    accompanied: set[str] = set()
    for start, end in pairwise(moments):
        for name, (_, score) in spot_scores(everybody, life, start, clip=clip).items():
            stood[name] += end - start
            if score is not None:
                area[name] += score * (end - start)
                accompanied.add(name)
    return {
        name: Averaged(area[name] / time, area[name] / life.length, time / life.length)
        for name, time in stood.items()
        if time > 0.0 and name in accompanied
    }


def spot_scores(
    everybody: Mapping[str, Steps], life: Life, moment: float, *, clip: float = DEFAULT_LOG_CLIP
) -> dict[str, tuple[float, float | None]]:
    """(baseline, peer) of what each forecaster's word was at one moment fixed in advance; others are left out. Who was
    alone then has no peer score."""
    said = {name: steps.standing(moment) for name, steps in everybody.items()}
    given = {
        name: float(clipped(p if life.outcome else 1.0 - p, clip)[0])
        for name, p in said.items()
        if not math.isnan(p)
    }
    peers = peer_scores(given) if len(given) > 1 else {}
    return {name: (float(baseline_score(p)), peers.get(name)) for name, p in given.items()}


@dataclass(frozen=True)
class Record:
    """How one forecaster did over the lives of questions, each question counting once.

    ``brier`` and ``log_score`` (nats) are losses averaged while a forecast stood, ``baseline`` and ``peer``
    Metaculus' rewards over the scheduled life (``peer``: of the questions on which somebody else forecast too; None:
    there is none); ``spot_baseline`` and ``spot_peer`` its rewards for what stood at one
    moment, the reveal or the end (``Life.spot``; None: nothing stood then on any question). ``at_leads`` gives the
    Brier score at each lead and at the middle.
    """

    forecaster: str
    n_questions: int
    coverage: float
    brier: Mean
    log_score: Mean
    baseline: Mean
    peer: Mean | None = None
    spot_baseline: Mean | None = None
    spot_peer: Mean | None = None
    at_leads: Mapping[str, Mean] = field(default_factory=dict)


def records(
    paths: Mapping[tuple[str, str], Steps],
    lives: Mapping[str, Life],
    *,
    leads: Sequence[int] = LEADS,
    clip: float = DEFAULT_LOG_CLIP,
) -> list[Record]:
    """Everybody's record, by name. ``paths``: (forecaster, question) -> what was said over time."""
    peers: dict[tuple[str, str], Averaged] = {}
    spots: dict[tuple[str, str], tuple[float, float | None]] = {}
    by_question: dict[str, dict[str, Steps]] = {}
    for (forecaster, question), steps in paths.items():
        by_question.setdefault(question, {})[forecaster] = steps
    for question, everybody in by_question.items():
        averaged = peer_averaged(everybody, lives[question], clip=clip)
        peers.update({(forecaster, question): one for forecaster, one in averaged.items()})
        at_once = spot_scores(everybody, lives[question], lives[question].spot, clip=clip)
        spots.update({(forecaster, question): one for forecaster, one in at_once.items()})
    found = []
    for name in sorted({forecaster for forecaster, _ in paths}):
        mine = [(lives[question], steps) for (who, question), steps in sorted(paths.items()) if who == name]
        record = _record(name, mine, peers, leads, clip)
        if record is not None:
            baseline, peer = _spots(name, mine, spots)
            found.append(replace(record, spot_baseline=baseline, spot_peer=peer))
    return found


def _spots(
    name: str, mine: Sequence[tuple[Life, Steps]], spots: Mapping[tuple[str, str], tuple[float, float | None]]
) -> tuple[Mean | None, Mean | None]:
    told = [(life, spots[name, life.question]) for life, _ in mine if (name, life.question) in spots]
    return (
        _mean([(life, baseline) for life, (baseline, _) in told]),
        _mean([(life, peer) for life, (_, peer) in told if peer is not None]),
    )


def _mean(values: Sequence[tuple[Life, float]]) -> Mean | None:
    """The mean over questions; None without any."""
    if not values:
        return None
    return clustered_mean(
        np.array([value for _, value in values]), _codes(life.cluster for life, _ in values)
    )


def _record(
    name: str,
    mine: Sequence[tuple[Life, Steps]],
    peers: Mapping[tuple[str, str], Averaged],
    leads: Sequence[int],
    clip: float,
) -> Record | None:
    rows = []
    for life, steps in mine:
        y = life.outcome
        brier = time_averaged(steps, life, lambda p, y=y: brier_score(p, y))  # type: ignore[misc]
        log = time_averaged(steps, life, lambda p, y=y: log_score(p, y, clip=clip))  # type: ignore[misc]
        if brier is None or log is None:
            continue
        base = time_averaged(
            steps,
            life,
            lambda p, y=y: baseline_score(clipped(p if y else 1.0 - p, clip)[0]),  # type: ignore[misc]
        )
        assert base is not None
        rows.append((life, brier.while_standing, log.while_standing, base.over_life, brier.coverage))
    if not rows:
        return None
    clusters = _codes(life.cluster for life, *_ in rows)
    columns = np.array([row[1:] for row in rows]).T
    brier_, log_, baseline = (clustered_mean(column, clusters) for column in columns[:3])
    beside = [(life, peers[name, life.question]) for life, _ in mine if (name, life.question) in peers]
    return Record(
        name,
        len(rows),
        float(columns[3].mean()),
        brier_,
        log_,
        baseline,
        _mean([(life, one.over_life) for life, one in beside]),
        at_leads=_at_leads(mine, leads),
    )


def _at_leads(mine: Sequence[tuple[Life, Steps]], leads: Sequence[int]) -> dict[str, Mean]:
    """Brier score of what stood at each lead, for the questions that were open and undecided then."""
    found = {}
    for lead in (*leads, None):
        losses, clusters = [], []
        for life, steps in mine:
            moment = 0.5 * (life.opens + life.closes) if lead is None else life.closes - lead
            p = steps.standing(moment) if life.opens <= moment < life.ends else math.nan
            if not math.isnan(p):
                losses.append(float(brier_score(p, life.outcome)))
                clusters.append(life.cluster)
        if losses:
            found[MIDPOINT if lead is None else str(lead)] = clustered_mean(
                np.array(losses), _codes(clusters)
            )
    return found


def _codes(labels: Iterable[str]) -> NDArray[np.int64]:
    return np.unique(np.array(list(labels)), return_inverse=True)[1].astype(np.int64)


def from_table(table: ForecastTable) -> tuple[dict[tuple[str, str], Steps], dict[str, Life]]:
    """Forecasts in a table as steps over the lives of their questions: each stands until the same one's next.

    Only rows that may be scored count, and only questions with a scheduled close (a table does not say when one
    without it was to end); a question opens at ``opens_at``, else with its first forecast. Raises UsageError
    when the table has no times.
    """
    if table.made_at is None or table.closes_at is None:
        raise UsageError("scores over life need made_at and closes_at")
    rows = table.rows((table.status == Status.SCORED) & ~np.isnat(table.made_at) & ~np.isnat(table.closes_at))
    count = len(rows)
    assert rows.made_at is not None
    assert rows.closes_at is not None
    blank = np.full(count, "", dtype=object)
    made, closes = _in_days(rows.made_at), _in_days(rows.closes_at)
    unknown = np.full(count, np.nan)
    resolved = unknown if rows.resolved_at is None else _in_days(rows.resolved_at)
    opened = unknown if rows.opens_at is None else _in_days(rows.opens_at)
    who = blank if rows.forecaster is None else rows.forecaster
    if rows.forecaster is None and rows.source is not None:
        who = rows.source
    parts = [column for column in (rows.question, rows.option, rows.threshold) if column is not None]
    names = ["/".join(filter(None, labels)) for labels in zip(*parts, strict=True)]
    lives: dict[str, Life] = {}
    said: dict[tuple[str, str], dict[float, float]] = {}
    first: dict[str, float] = {}
    for i, name in enumerate(names):
        opens = made[i] if np.isnan(opened[i]) else opened[i]
        first[name] = min(first.get(name, opens), opens)
        said.setdefault((str(who[i]) or "unknown", name), {})[float(made[i])] = float(rows.probability[i])
    cluster = evidence(rows)
    for i, name in enumerate(names):
        ends = closes[i] if np.isnan(resolved[i]) else min(resolved[i], closes[i])
        if name not in lives and first[name] < ends:
            times = (float(first[name]), float(closes[i]), float(ends))
            lives[name] = Life(name, *times, float(rows.outcome[i]), str(cluster[i]))
    paths = {
        key: Steps(np.array(sorted(points)), np.array([points[t] for t in sorted(points)]))
        for key, points in said.items()
        if key[1] in lives
    }
    return paths, lives


def _in_days(moments: Moments) -> FloatArray:
    since: FloatArray = (moments - np.datetime64(0, "us")) / np.timedelta64(1, "D")
    return since


def records_json(found: Sequence[Record]) -> list[dict[str, Any]]:
    """Records under the public names, ready for ``json.dumps``; a missing interval is null with its reason."""
    return [
        {
            "forecaster": one.forecaster,
            "n_questions": one.n_questions,
            "coverage": one.coverage,
            "brier": mean_json(one.brier),
            "log_score": {**mean_json(one.log_score), "unit": "nats"},
            "baseline": mean_json(one.baseline),
            "peer": _maybe_json(one.peer, NO_PEER),
            "spot_baseline": _maybe_json(one.spot_baseline, NOTHING_STOOD),
            "spot_peer": _maybe_json(one.spot_peer, NOTHING_STOOD if one.spot_baseline is None else NO_PEER),
            "leads": [{"lead": lead, **mean_json(mean)} for lead, mean in one.at_leads.items()],
        }
        for one in found
    ]


def _maybe_json(mean: Mean | None, reason: str) -> dict[str, Any]:
    if mean is not None:
        return mean_json(mean)
    return {"value": None, "ci95": None, "n": 0, "n_events": 0, "reason": reason}


def mean_json(mean: Mean) -> dict[str, Any]:
    document: dict[str, Any] = {
        "value": mean.value,
        "ci95": None if mean.ci95 is None else list(mean.ci95),
        "n": mean.n,
        "n_events": mean.n_clusters,
    }
    if mean.ci95 is None:
        document["reason"] = f"{mean.n_clusters} events; fewer than {MIN_CLUSTERS} say too little"
    return document
