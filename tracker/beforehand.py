"""What the stored forecasts say of themselves before anything resolves. None of it is calibration.

Belief movement: whether somebody changes his mind as much as calibrated learning does on average. Coherence: whether
what was said can all be true together. Proxy scores: an earlier word against everybody's later one, in place of the
outcome. Each is labelled as what it is.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from questions.catalogue import Catalogue
from questions.model import Link, Relation
from questions.records import OutcomeState, StreamKey
from questions.time import EPOCH
from storage.store import Store
from tracker.estimates.coherence import cycles, sum_gaps, triangles
from tracker.own import OWN, VALUE
from tracker.scorecard import areas_of, events_of, everything_told
from tracker.scoring.history import outcome_key, standing_words, verdicts_of
from tracker.scoring.inference import Mean, clustered_mean
from tracker.scoring.lives import Steps, mean_json
from tracker.scoring.scores import DEFAULT_LOG_CLIP, clipped
from tracker.scoring.unresolved import Movement, belief_movement, proxy_brier, proxy_log

AHEAD_DAYS = (30, 90)
TOLERANCE = 0.005  # half a percent: a tick of the coarsest market
_OVER = (OutcomeState.YES, OutcomeState.NO, OutcomeState.FRACTION, OutcomeState.VALUE, OutcomeState.VOID)

LABELS = {
    "all": "nothing here knows an outcome: none of it is calibration",
    "belief_movement": "movement less uncertainty lost, 0 on average for calibrated learning; above 0: overreaction "
    "or noise such as bid and ask, below 0: too slow",
    "coherence": "what cannot all be true together, as it stood last; no violation is no proof",
    "proxies": "expected score if everybody's pooled word some days later were the chance: it rewards agreeing with "
    "the crowd, which may be wrong",
}


@dataclass(frozen=True)
class Word:
    """What somebody said of one outcome over time, and when it was over for him to say (days; infinite: it is not)."""

    key: StreamKey
    forecaster: str
    steps: Steps
    ended: float
    event: str
    areas: tuple[str, ...]

    @property
    def subject(self) -> str:
        return "/".join((self.key.platform, self.key.external_id, self.key.outcome))


@dataclass(frozen=True)
class Violation:
    """Probabilities of one forecaster that cannot all be true: by how much, and of what."""

    rule: str
    forecaster: str
    about: tuple[str, ...]
    said: tuple[float, ...]
    excess: float


@dataclass(frozen=True)
class Proxy:
    """Somebody's words ``days`` ago against the pooled ones of today, over questions that were open all the time."""

    forecaster: str
    days: int
    brier: Mean
    log_score: Mean
    alone: int


def words_of(
    store: Store, catalogue: Catalogue, *, now: datetime, known_at: datetime | None = None
) -> list[Word]:
    """All that was said in probabilities, resolved or not: leaving out what came out early would bias the rest."""
    told = everything_told(store, catalogue, now, known_at)
    verdicts, _ = verdicts_of(told.resolutions)
    events, areas = events_of(catalogue), areas_of(catalogue, told.history)
    found = []
    for key, (forecaster, steps) in standing_words(told.history, people=told.people).items():
        word, place = verdicts.get(outcome_key(key)), (key.platform, key.external_id)
        over = word is not None and word.state in _OVER
        ended = _days(word.resolved_at or word.fetched_at) if over and word is not None else math.inf
        if key.outcome != VALUE:
            event = events.get(place) or "/".join(place)
            found.append(Word(key, forecaster, steps, ended, event, areas.get(place, ())))
    return found


def movements(words: Sequence[Word], now: datetime) -> dict[str, Movement]:
    """Belief movement by forecaster, on values at the end of each day; days without one are passed over."""
    paths: dict[str, list[tuple[np.ndarray[Any, np.dtype[np.float64]], str]]] = {}
    for word in words:
        end = min(_days(now), word.ended)
        days = np.arange(math.ceil(float(word.steps.at[0])), end, 1.0)
        path = np.array([word.steps.standing(day) for day in days.tolist()])
        path = path[~np.isnan(path)] if path.size else path
        if path.size > 1:
            paths.setdefault(word.forecaster, []).append((path, word.event))
    return {
        name: belief_movement([path for path, _ in mine], _codes([event for _, event in mine]))
        for name, mine in sorted(paths.items())
    }


def proxies(words: Sequence[Word], catalogue: Catalogue, now: datetime, days: int) -> list[Proxy]:
    """Everybody's word ``days`` ago against the pool of all of today (mean of log odds, twins taken together)."""
    today = _days(now)
    groups: dict[str, list[Word]] = {}
    same = _twins(catalogue)
    for word in words:
        if word.ended > today:
            groups.setdefault(same.get(word.subject, word.subject), []).append(word)
    rows: dict[str, list[tuple[float, float, str, bool]]] = {}
    for group in groups.values():
        said = [word.steps.standing(today) for word in group]
        said = [p for p in said if not math.isnan(p)]
        if not said:
            continue
        pooled = _pooled(said)
        for word in group:
            before = word.steps.standing(today - days)
            if not math.isnan(before):
                rows.setdefault(word.forecaster, []).append((before, pooled, word.event, len(said) == 1))
    found = []
    for name, mine in sorted(rows.items()):
        p, q, event, alone = zip(*mine, strict=True)
        cluster = _codes(event)
        brier, log = (clustered_mean(score(p, q), cluster) for score in (proxy_brier, proxy_log))
        found.append(Proxy(name, days, brier, log, sum(alone)))
    return found


def violations(
    words: Sequence[Word], catalogue: Catalogue, now: datetime
) -> tuple[list[Violation], dict[str, int]]:
    """What breaks a rule as it stands now, the worst first; and how many groups each rule was tried on."""
    standing = {
        (word.forecaster, word.subject): p
        for word in words
        if word.ended > _days(now) and not math.isnan(p := word.steps.standing(_days(now)))
    }
    tried = dict.fromkeys(("ladder", "options", "pairs", "triangle", "cycle", "twins"), 0)
    found = [
        *_on_ladders(standing, catalogue, tried),
        *_on_options(standing, catalogue, tried),
        *_on_pairs(standing, catalogue, tried),
        *_between_twins(standing, catalogue, tried),
    ]
    return sorted(found, key=lambda one: (-one.excess, one.rule, one.forecaster, one.about)), tried


Standing = Mapping[tuple[str, str], float]


def _on_ladders(standing: Standing, catalogue: Catalogue, tried: dict[str, int]) -> Iterator[Violation]:
    """A later deadline cannot be less likely, nor a harder threshold more."""
    ladders: dict[tuple[str, str], list[Link]] = {}
    for link in catalogue.links:
        if link.ladder is not None and link.bucket is None:  # answers that exclude each other are options
            ladders.setdefault((link.platform, link.ladder), []).append(link)
    names = sorted({name for name, _ in standing})
    for _, links in sorted(ladders.items()):
        # from the least likely on: early before late, hard before easy
        ordered = sorted(
            links, key=lambda link: (-(link.rung or 0.0), link.by.timestamp() if link.by else 0.0)
        )
        for name in names:
            rungs = [
                (s, p) for link in ordered if (p := standing.get((name, s := "/".join(link.key)))) is not None
            ]
            tried["ladder"] += len(rungs) > 1
            for (hard, p), (easy, q) in pairwise(rungs):
                if p - q > TOLERANCE:
                    yield Violation("ladder", name, (hard, easy), (p, q), p - q)


def _on_options(standing: Standing, catalogue: Catalogue, tried: dict[str, int]) -> Iterator[Violation]:
    """Of our own questions' outcomes exactly one comes about: together they are 1, and some of them at most 1."""
    together: dict[tuple[str, str], dict[str, float]] = {}
    for (name, subject), p in standing.items():
        platform, key, outcome = subject.split("/", 2)
        if platform == OWN:
            together.setdefault((name, key), {})[outcome] = p
    for (name, key), said in sorted(together.items()):
        question = catalogue.questions.get(key.partition("@")[0])
        if question is None or len(said) < 2:
            continue
        tried["options"] += 1
        total = math.fsum(said.values())
        excess = abs(total - 1.0) if set(said) == set(question.outcomes) else total - 1.0
        if excess > TOLERANCE:
            about = tuple(f"{OWN}/{key}/{outcome}" for outcome in sorted(said))
            yield Violation("options", name, about, tuple(said[outcome] for outcome in sorted(said)), excess)


def _on_pairs(standing: Standing, catalogue: Catalogue, tried: dict[str, int]) -> Iterator[Violation]:
    """Pairs of our ordering questions at one threshold: sums, triangles, and cycles (which are no error)."""
    tables: dict[tuple[str, float], dict[tuple[str, str], float]] = {}
    for (name, subject), p in standing.items():
        platform, key, outcome = subject.split("/", 2)
        question = catalogue.questions.get(key.partition("@")[0]) if platform == OWN else None
        if question is None or question.ordering is None or question.threshold is None:
            continue
        arms = (question.ordering.a, question.ordering.b)
        if outcome in arms:
            first, second = arms if outcome == arms[0] else arms[::-1]
            tables.setdefault((name, question.threshold.value), {})[first, second] = p
    for (name, _), said in sorted(tables.items()):
        areas = sorted({area for pair in said for area in pair})
        known = [areas.index(a) for a in areas]
        before = np.full((len(areas), len(areas)), np.nan)
        for (a, b), p in said.items():
            before[areas.index(a), areas.index(b)] = p
        whole = ~np.isnan(before)
        for gap in sum_gaps(areas, np.where(whole & whole.T, before, 0.0), tolerance=TOLERANCE):
            both = (said[gap.one, gap.two], said[gap.two, gap.one])
            yield Violation("pairs", name, (gap.one, gap.two), both, gap.excess)
        tried["pairs"] += int(np.triu(whole & whole.T, 1).sum())
        for i, j, k in combinations(known, 3):
            part = np.ix_((i, j, k), (i, j, k))
            if not (whole[part] | np.eye(3, dtype=bool)).all():
                continue
            tried["triangle"] += 1
            three = [areas[n] for n in (i, j, k)]
            for one in triangles(three, before[part], tolerance=TOLERANCE):
                sides = (said[one.a, one.b], said[one.b, one.c], said[one.a, one.c])
                yield Violation("triangle", name, (one.a, one.b, one.c), sides, one.excess)
            tried["cycle"] += 1
            for loop in cycles(three, np.nan_to_num(before[part])):
                steps = tuple(said[a, b] for a, b in pairwise((*loop, loop[0])))
                yield Violation("cycle", name, loop, steps, 0.0)


def _between_twins(standing: Standing, catalogue: Catalogue, tried: dict[str, int]) -> Iterator[Violation]:
    """The same question on two platforms: a gap is disagreement, which costs somebody money, not an error of one."""
    groups: dict[str, list[tuple[str, str, float]]] = {}
    twins = _twins(catalogue)
    for (name, subject), p in standing.items():
        if subject in twins:
            groups.setdefault(twins[subject], []).append((name, subject, p))
    for _, said in sorted(groups.items()):
        for (one, here, p), (other, there, q) in combinations(sorted(said), 2):
            if here == there:
                continue
            tried["twins"] += 1
            if abs(p - q) > TOLERANCE:
                yield Violation("twins", f"{one}, {other}", (here, there), (p, q), abs(p - q))


def _twins(catalogue: Catalogue) -> dict[str, str]:
    """The subjects that ask the same thing elsewhere, and what that is called."""
    named = {}
    for link in catalogue.links:
        if link.twin is not None:
            named["/".join(link.key)] = f"twin {link.twin}"
        elif link.question is not None and link.relation is Relation.SAME and link.outcome == "yes":
            question = catalogue.questions.get(link.question)
            if question is not None and question.ordering is None:
                named["/".join(link.key)] = f"question {link.question}"
    return named


def _pooled(said: Sequence[float]) -> float:
    p, _ = clipped(said, DEFAULT_LOG_CLIP)
    return float(1.0 / (1.0 + np.exp(-np.mean(np.log(p / (1.0 - p))))))


def before_resolution(
    store: Store,
    catalogue: Catalogue,
    *,
    now: datetime,
    known_at: datetime | None = None,
    forecasters: Collection[str] = (),
    areas: Collection[str] = (),
) -> dict[str, Any]:
    """All three under their public names; of these forecasters (whose peers all are) and areas alone."""
    words = words_of(store, catalogue, now=now, known_at=known_at)
    words = [word for word in words if not areas or not set(areas).isdisjoint(word.areas)]

    def shown(name: str) -> bool:
        return not forecasters or not set(forecasters).isdisjoint(name.split(", "))

    broken, tried = violations(words, catalogue, now)
    return {
        "label": LABELS["all"],
        "belief_movement": {
            "label": LABELS["belief_movement"],
            "forecasters": [
                _movement_json(name, one) for name, one in movements(words, now).items() if shown(name)
            ],
        },
        "coherence": {
            "label": LABELS["coherence"],
            "n_checked": tried,
            "violations": [_violation_json(one) for one in broken if shown(one.forecaster)],
        },
        "proxies": {
            "label": LABELS["proxies"],
            "forecasters": [
                _proxy_json(one)
                for days in AHEAD_DAYS
                for one in proxies(words, catalogue, now, days)
                if shown(one.forecaster)
            ],
        },
    }


def _movement_json(name: str, one: Movement) -> dict[str, Any]:
    return {
        "forecaster": name,
        "movement": one.movement,
        "uncertainty_lost": one.uncertainty_lost,
        "excess": mean_json(one.excess),
        "ratio": one.ratio,
    } | ({} if one.ratio is not None else {"reason": "no uncertainty was lost"})


def _violation_json(one: Violation) -> dict[str, Any]:
    kind = {"cycle": "no error: no order does it justice", "twins": "disagreement"}.get(one.rule, "violation")
    return {
        "rule": one.rule,
        "kind": kind,
        "forecaster": one.forecaster,
        "about": list(one.about),
        "said": list(one.said),
        "excess": one.excess,
    }


def _proxy_json(one: Proxy) -> dict[str, Any]:
    return {
        "forecaster": one.forecaster,
        "days_before": one.days,
        "proxy_brier": mean_json(one.brier),
        "proxy_log_score": {**mean_json(one.log_score), "unit": "nats"},
        "n_against_itself": one.alone,
    }


def _codes(labels: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.unique(np.array(labels), return_inverse=True)[1].astype(np.int64)


def _days(moment: datetime) -> float:
    return (moment - EPOCH) / timedelta(days=1)
