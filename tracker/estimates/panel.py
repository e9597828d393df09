"""What people say about the order: their forecasts on our own questions, and their rankings, pooled.

A pair's forecasts are pooled over people in log-odds, each person's latest counting once. Where people gave
dates instead, their distributions are averaged and raced. Rankings, full or partial, enter as Plackett-Luce
strengths. Pair probabilities from all three meet in log-odds, each weighing as many people as stand behind it;
HodgeRank turns them into scores. Doubt: people are resampled (exponential weights), and a world is an area's
score plus Gumbel noise, so that P(a before b) is the logistic of their difference.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from questions.model import QuestionKind, SpeedupKind
from questions.problems import suggestion
from questions.question import Question
from questions.records import Forecast, ForecasterKind
from questions.time import parse_utc
from tracker.errors import UsageError
from tracker.estimates.consensus import hodge, plackett_luce
from tracker.estimates.ordering import generator, voice_from_draws
from tracker.estimates.prices import pool_log_odds
from tracker.estimates.races import DateCdf, Field
from tracker.estimates.voice import Evidence, Voice

Floats = NDArray[np.float64]

MODEL = "panel-1"
PEOPLE = (ForecasterKind.PERSON, ForecasterKind.PANEL)
YEAR = timedelta(days=365.25)
BELOW = "<="
RESAMPLES = 200
MAX_AGE_DAYS = 365.0
_EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Ranking:
    """One person's order, soonest first; areas that are not named are not ranked."""

    forecaster: str
    areas: tuple[str, ...]


@dataclass(frozen=True)
class _Pairs:
    """Per person who said something: log-odds that row comes before column, NaN where they did not."""

    people: tuple[str, ...]
    odds: Floats  # (people, k, k)


@dataclass(frozen=True)
class _Said:
    """All that counts at one threshold: the questions, people's last forecasts on them, pairs, dates, rankings."""

    areas: tuple[str, ...]
    questions: Mapping[str, Question]
    latest: Mapping[tuple[str, str], Sequence[Forecast]]
    pairs: _Pairs
    dates: Mapping[str, Mapping[str, DateCdf]]
    rankings: Sequence[Ranking]

    @classmethod
    def of(
        cls,
        questions: Mapping[str, Question],
        forecasts: Iterable[Forecast],
        areas: tuple[str, ...],
        rankings: Sequence[Ranking],
        threshold: float,
        now: datetime,
        max_age_days: float,
    ) -> _Said:
        oldest = now - timedelta(days=max_age_days) if max_age_days < math.inf else _EVER
        wanted = {
            name: question
            for name, question in questions.items()
            if question.threshold is not None
            and question.threshold.value == threshold
            and question.speedup_kind is SpeedupKind.PROGRESS
        }
        latest = last_words(
            forecast
            for forecast in forecasts
            if forecast.kind in PEOPLE and forecast.question in wanted and oldest <= forecast.made_at <= now
        )
        return cls(
            areas,
            wanted,
            latest,
            _stated(wanted, latest, areas),
            _dates(wanted, latest, now),
            rankings,
        )

    @property
    def silent(self) -> bool:
        return not (self.pairs.people or self.dates or self.rankings)

    @property
    def people(self) -> frozenset[str]:
        return frozenset({*self.pairs.people, *self.dates, *(one.forecaster for one in self.rankings)})

    def together(
        self, weights: Mapping[str, float] | None = None, picked: Sequence[int] | None = None
    ) -> tuple[Floats, Floats]:
        return _together(self.areas, self.pairs, self.dates, self.rankings, weights, picked)


def panel_voice(
    questions: Mapping[str, Question],
    forecasts: Iterable[Forecast],
    *,
    threshold: float,
    now: datetime,
    groups: Mapping[str, str],
    rankings: Sequence[Ranking] = (),
    draws: int = 50_000,
    resamples: int = RESAMPLES,
    seed: int,
    max_age_days: float = MAX_AGE_DAYS,
) -> Voice:
    """The order that people's forecasts at one threshold, and their rankings, imply.

    Scores are log-odds, mean 0. Covered is the largest set of areas that are compared with each other,
    directly or through others; people's forecasts older than ``max_age_days`` have lapsed. ``resamples`` of the
    people make the doubt. Evidence lists every pooled value. Without anything to say the voice has a reason.
    """
    said = _Said.of(questions, forecasts, tuple(groups), rankings, threshold, now, max_age_days)
    if said.silent:
        reason = f"nobody has forecast our questions at {threshold:g}x, and there are no rankings"
        return Voice("panel", MODEL, reason=reason)
    odds, weight = said.together()
    members = _compared(weight)
    if len(members) < 2:
        return Voice("panel", MODEL, reason="no two areas are compared by anybody")
    return _spoken(said, odds, weight, members, threshold, groups, draws, resamples, generator(seed))


def panel_scores(
    questions: Mapping[str, Question],
    forecasts: Iterable[Forecast],
    *,
    threshold: float,
    now: datetime,
    areas: Sequence[str],
    rankings: Sequence[Ranking] = (),
    max_age_days: float = MAX_AGE_DAYS,
) -> dict[str, float]:
    """The scores of ``panel_voice`` alone, without its doubt; empty when it has no view."""
    said = _Said.of(questions, forecasts, tuple(areas), rankings, threshold, now, max_age_days)
    if said.silent:
        return {}
    odds, weight = said.together()
    members = _compared(weight)
    if len(members) < 2:
        return {}
    chosen = np.ix_(members, members)
    scores = hodge(_logistic(odds)[chosen], weight[chosen]).scores
    return {said.areas[i]: score for i, score in zip(members, scores.tolist(), strict=True)}


def _spoken(
    said: _Said,
    odds: Floats,
    weight: Floats,
    members: Sequence[int],
    threshold: float,
    groups: Mapping[str, str],
    draws: int,
    resamples: int,
    random: np.random.Generator,
) -> Voice:
    """The voice of people who compare ``members`` with each other."""
    chosen = np.ix_(members, members)
    scores = hodge(_logistic(odds)[chosen], weight[chosen]).scores
    resampled = _resampled(said, members, resamples, random)
    luck = random.gumbel(size=(draws, len(members)))
    worlds = resampled[random.integers(len(resampled), size=draws)] + luck
    names = [said.areas[i] for i in members]
    before = np.where(
        weight[chosen] > 0, _logistic(odds)[chosen], _logistic(scores[:, None] - scores[None, :])
    )
    voice = voice_from_draws(
        name="panel",
        model=MODEL,
        scores=dict(zip(names, scores.tolist(), strict=True)),
        draws=worlds,
        groups=groups,
        p_before=before,
        evidence=_evidence(said.questions, said.latest, names, said.rankings),
        marginals=_pooled_dates(said.dates),
        note=(
            f"{len(said.people)} people at {threshold:g}x: {len(said.pairs.people)} with forecasts of pairs, "
            f"{len(said.dates)} with dates, {len(said.rankings)} rankings; pooled in log-odds, each person once. "
            "Neither and ties are no opinion."
        ),
    )
    doubt = resampled.std(axis=0).tolist()
    return replace(voice, score_sds=dict(zip(names, doubt, strict=True)))


def read_rankings(name: str, text: str, areas: Sequence[str]) -> tuple[Ranking, ...]:
    """Rankings from a CSV: header ``forecaster,1,2,…``, then one row per person with areas from the soonest.

    Cells at the end may be empty (a partial ranking). UsageError with every problem's line and column.
    """
    problems, found, seen = [], [], dict[str, int]()
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise UsageError(f"{name}, line {reader.line_num}: not readable as CSV: {error}") from error
    rows = [(line, cells) for line, cells in rows if any(cells)]
    if not rows or rows[0][1][:1] != ["forecaster"]:
        raise UsageError(f"{name}, line 1, column 1: the header must begin with forecaster")
    for line, cells in rows[1:]:
        if not cells[0]:
            problems.append(f"{name}, line {line}, column 1: whose ranking is it?")
        elif cells[0] in seen:
            problems.append(
                f"{name}, line {line}, column 1: {cells[0]!r} stands in line {seen[cells[0]]} already"
            )
        seen.setdefault(cells[0], line)
        ranked: list[str] = []
        for column, cell in enumerate(cells[1:], start=2):
            if cell and cell not in areas:
                problems.append(
                    f"{name}, line {line}, column {column}: unknown area {cell!r}{suggestion(cell, areas)}"
                )
            elif cell in ranked:
                problems.append(f"{name}, line {line}, column {column}: {cell} is ranked already")
            elif cell and "" in cells[1 : column - 1]:
                problems.append(f"{name}, line {line}, column {column}: an empty cell comes before {cell}")
            elif cell:
                ranked.append(cell)
        if len(ranked) < 2:
            problems.append(f"{name}, line {line}, column 2: a ranking needs two or more areas")
        found.append(Ranking(cells[0], tuple(ranked)))
    if len(rows) == 1:
        problems.append(f"{name}, line 2: there is no ranking")
    if problems:
        raise UsageError("\n".join(problems))
    return tuple(found)


# What people said -------------------------------------------------------------------------------------


def last_words(forecasts: Iterable[Forecast]) -> dict[tuple[str, str], list[Forecast]]:
    """The last forecasts of each person on each question, one per outcome; quantiles of one time only."""
    found: dict[tuple[str, str], list[Forecast]] = {}
    for forecast in sorted(forecasts, key=lambda one: (one.made_at, one.outcome)):
        key = (forecast.question, forecast.forecaster)
        known = found.get(key, [])
        if not _pairwise(forecast) and known and known[-1].made_at < forecast.made_at:
            known = []
        found[key] = [*(one for one in known if one.outcome != forecast.outcome), forecast]
    return found


def _pairwise(forecast: Forecast) -> bool:
    """Whether a forecast's outcomes may be given one by one; quantiles are only ever given together."""
    return not forecast.outcome.startswith(BELOW)


def _stated(
    questions: Mapping[str, Question],
    latest: Mapping[tuple[str, str], Sequence[Forecast]],
    areas: Sequence[str],
) -> _Pairs:
    """Log-odds of pairs by person: P(a first) against P(b first), or against 1 - P(a first) if b was not said."""
    by_person: dict[str, dict[tuple[int, int], float]] = {}
    for (name, person), forecasts in latest.items():
        arms = questions[name].ordering
        chances = {forecast.outcome: forecast.probability for forecast in forecasts}
        if arms is None or arms.a not in areas or arms.b not in areas or not {arms.a, arms.b} & set(chances):
            continue
        first, second = chances.get(arms.a), chances.get(arms.b)
        rest = sum(chance for outcome, chance in chances.items() if outcome not in (arms.a, arms.b))
        first = max(0.0, 1.0 - rest - (second or 0.0)) if first is None else first
        second = max(0.0, 1.0 - rest - first) if second is None else second
        if first + second > 0:
            share = min(max(first / (first + second), 0.005), 0.995)
            pair = (areas.index(arms.a), areas.index(arms.b))
            by_person.setdefault(person, {})[pair] = float(np.log(share / (1.0 - share)))
    people = tuple(sorted(by_person))
    odds = np.full((len(people), len(areas), len(areas)), np.nan)
    for row, person in enumerate(people):
        for (i, j), value in by_person[person].items():
            odds[row, i, j], odds[row, j, i] = value, -value
    return _Pairs(people, odds)


def _dates(
    questions: Mapping[str, Question], latest: Mapping[tuple[str, str], Sequence[Forecast]], now: datetime
) -> dict[str, dict[str, DateCdf]]:
    """Date distributions by person and area, in years from ``now``, from the quantiles they gave."""
    found: dict[str, dict[str, DateCdf]] = {}
    for (name, person), forecasts in latest.items():
        question = questions[name]
        if question.kind is not QuestionKind.DATE or len(question.areas) != 1:
            continue
        points = sorted(
            ((parse_utc(one.outcome.removeprefix(BELOW)) - now) / YEAR, one.probability)
            for one in forecasts
            if one.outcome.startswith(BELOW)
        )
        ahead = [(years, chance) for years, chance in points if years > 0]
        if not ahead:
            continue
        start = max((chance for years, chance in points if years <= 0), default=0.0)
        times, cdf = zip((0.0, start), *ahead, strict=True)
        end = (question.dates.close - now) / YEAR
        if end > times[-1]:
            times, cdf = (*times, end), (*cdf, cdf[-1])
        found.setdefault(person, {})[question.areas[0]] = DateCdf(times, cdf)
    return found


def _pooled_dates(
    dates: Mapping[str, Mapping[str, DateCdf]], weights: Mapping[str, float] | None = None
) -> dict[str, DateCdf]:
    """Per area the average of people's distributions up to the last date all of them cover."""
    areas = list(dict.fromkeys(area for own in dates.values() for area in own))
    pooled = {}
    for area in areas:
        own = {person: cdfs[area] for person, cdfs in dates.items() if area in cdfs}
        end = min(cdf.times[-1] for cdf in own.values())
        times = np.unique(np.concatenate([cdf.times for cdf in own.values()]))
        times = times[times <= end]
        weight = np.array([1.0 if weights is None else weights[person] for person in own])
        mean = weight @ np.array([cdf.at(times) for cdf in own.values()]) / weight.sum()
        pooled[area] = DateCdf(
            tuple(times.tolist()), tuple(np.clip(np.maximum.accumulate(mean), 0.0, 1.0).tolist())
        )
    return pooled


# One matrix of pairs ----------------------------------------------------------------------------------


def _together(
    areas: Sequence[str],
    said: _Pairs,
    dates: Mapping[str, Mapping[str, DateCdf]],
    rankings: Sequence[Ranking],
    weights: Mapping[str, float] | None = None,
    picked: Sequence[int] | None = None,
) -> tuple[Floats, Floats]:
    """Log-odds of row before column and how many people stand behind them, (k, k) each."""
    k = len(areas)
    odds, weight = np.zeros((k, k)), np.zeros((k, k))
    if said.people:
        by = np.array([1.0 if weights is None else weights[person] for person in said.people])[:, None, None]
        there = ~np.isnan(said.odds)
        odds += (by * np.where(there, said.odds, 0.0)).sum(axis=0)
        weight += (by * there).sum(axis=0)
    if dates:
        pooled = _pooled_dates(dates, weights)
        places = [areas.index(area) for area in pooled if area in areas]
        if len(places) > 1:
            raced = Field.of({areas[i]: pooled[areas[i]] for i in places}).p_before()
            for row, i in enumerate(places):
                for column, j in enumerate(places):
                    decided = raced[row, column] + raced[column, row]
                    both = [p for p in dates if areas[i] in dates[p] and areas[j] in dates[p]]
                    if i != j and decided > 0 and both:
                        people = sum(1.0 if weights is None else weights[person] for person in both)
                        share = min(max(raced[row, column] / decided, 0.005), 0.995)
                        odds[i, j] += people * np.log(share / (1.0 - share))
                        weight[i, j] += people
    if rankings:
        lists = [
            [areas.index(area) for area in ranking.areas]
            for ranking in (rankings if picked is None else [rankings[i] for i in picked])
        ]
        strengths = plackett_luce(lists, k)
        counts = np.zeros((k, k))
        for ranked in lists:
            counts[np.ix_(ranked, ranked)] += 1.0
        np.fill_diagonal(counts, 0.0)
        odds += counts * (strengths[:, None] - strengths[None, :])
        weight += counts
    return np.divide(odds, weight, out=np.zeros_like(odds), where=weight > 0), weight


def _compared(weight: Floats) -> list[int]:
    """The largest set of areas compared with each other, directly or through others."""
    reach = weight > 0
    for k in range(len(reach)):
        reach |= reach[:, k, None] & reach[None, k, :]
    sets = [np.flatnonzero(row).tolist() for row in reach]
    return max(sets, key=len, default=[])


def _logistic(odds: Floats) -> Floats:
    values: Floats = 0.5 + 0.5 * np.tanh(odds / 2.0)
    return values


def _resampled(said: _Said, members: Sequence[int], resamples: int, random: np.random.Generator) -> Floats:
    """Scores under resampled people, (resamples, members)."""
    chosen = np.ix_(members, members)
    people = sorted({*said.pairs.people, *said.dates})
    count = len(said.rankings)
    scores = []
    for _ in range(resamples):
        weights = dict(zip(people, random.standard_exponential(len(people)).tolist(), strict=True))
        picked = random.integers(count, size=count).tolist() if count else None
        odds, weight = said.together(weights, picked)
        scores.append(hodge(_logistic(odds)[chosen], weight[chosen]).scores)
    return np.array(scores)


def _evidence(
    questions: Mapping[str, Question],
    latest: Mapping[tuple[str, str], Sequence[Forecast]],
    covered: Sequence[str],
    rankings: Sequence[Ranking],
) -> tuple[Evidence, ...]:
    """Every pooled value, one row per question, outcome and area; and how many rankings name an area."""
    values: dict[tuple[str, str], list[Forecast]] = {}
    for (name, _), forecasts in latest.items():
        for forecast in forecasts:
            values.setdefault((name, forecast.outcome), []).append(forecast)
    rows = [
        Evidence(
            area=area,
            question=name if outcome in (area, "") else f"{name}:{outcome}",
            source="panel",
            relation="same",
            weight=float(len(given)),
            probability=pool_log_odds([one.probability for one in given]),
            as_of=max(one.made_at for one in given),
            label=questions[name].title,
            kind="panel",
        )
        for (name, outcome), given in sorted(values.items())
        for area in questions[name].areas
        if area in covered
    ]
    rows += [
        Evidence(
            area=area,
            question="rankings",
            source="panel",
            relation="same",
            weight=float(sum(area in ranking.areas for ranking in rankings)),
            label="rankings that name the area",
            kind="panel",
        )
        for area in covered
        if any(area in ranking.areas for ranking in rankings)
    ]
    return tuple(rows)
