"""Forecasts to score out of what was stored: what a crowd's value was at fixed times before the close."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Protocol

import numpy as np

from questions.records import OutcomeState, Quantity, Resolution, Snapshot, StreamKey, ValueState
from questions.time import to_micros, utc
from tracker.scoring.lives import Life, Steps
from tracker.scoring.table import (
    AREAS_JOINED,
    ForecastTable,
    Labels,
    Status,
    checked_leads,
    forecast_table,
    leak_note,
)

QuestionKey = tuple[str, str]  # (platform, external_id)

_SCORABLE = (OutcomeState.YES, OutcomeState.NO, OutcomeState.FRACTION, OutcomeState.VALUE)
_VOID = (OutcomeState.VOID, OutcomeState.AMBIGUOUS)


class Seen(Protocol):
    """A community value and when we last saw it unchanged (``storage.records.Observation`` is one)."""

    @property
    def snapshot(self) -> Snapshot: ...

    @property
    def seen_last(self) -> datetime: ...


def forecasts_from_history(
    history: Mapping[StreamKey, Sequence[Seen]],
    resolutions: Sequence[Resolution],
    *,
    lead_days: Sequence[int] | None,
    closes: Mapping[QuestionKey, datetime],
    now: datetime,
    areas: Mapping[QuestionKey, Sequence[str]] | None = None,
    max_age: timedelta = timedelta(days=7),
    people: Mapping[StreamKey, str] | None = None,
    events: Mapping[QuestionKey, str] | None = None,
) -> ForecastTable:
    """One forecast per stream and lead time before the scheduled close, as the value stood at that moment.

    ``history``: each stream's values by rising ``as_of``. ``resolutions``: the last word per source and
    question. ``closes``: the close *as scheduled before* the outcome was known; platforms move the close
    of a resolved question to its resolution, and that date must not be passed here. Where it is unknown,
    lead times count back from the resolution, which leaks the outcome; ``notes`` say how often.
    ``lead_days=None`` takes the value at the end of every UTC day instead (many rows per question).

    A value stands at a moment if it is the newest by then and was confirmed no more than ``max_age``
    before it; silence is not bridged. A question that is void, unresolved, or resolved before a scheduled
    close later than ``now`` gives a single row, its last value, for the counts. Rows are clustered by
    (platform, external_id): options of one question, and the same question through two sources, are one
    piece of evidence; ``events`` names what several questions share. Forecasters are named ``platform`` or
    ``platform (via source)``, and as ``people`` says where it names a stream. One crowd's word through two
    sources is scored once in any total (``crowd``).

    Raises UsageError for lead times below a day and ValueError for a naive ``now``.
    """
    leads = None if lead_days is None else checked_leads(lead_days)
    now = utc(now)
    verdicts, tally = verdicts_of(resolutions)
    people = people or {}
    names = forecaster_names([key for key in history if key not in people]) | dict(people)
    rows: list[_Row] = []
    for key in sorted(history):
        stream = _Stream.of(key, names[key], history[key], verdicts.get(outcome_key(key)), closes)
        rows.extend(stream.rows(leads, now, max_age, tally))
    table = _table(rows, now, areas, people)
    table = replace(table, event=_events(rows, events or {}))
    return replace(table, leads=leads or (), notes=tuple(_notes(table, leads, tally)))


def paths_from_history(
    history: Mapping[StreamKey, Sequence[Seen]],
    resolutions: Sequence[Resolution],
    *,
    closes: Mapping[QuestionKey, datetime],
    opens: Mapping[QuestionKey, datetime],
    now: datetime,
    max_age: timedelta = timedelta(days=7),
    people: Mapping[StreamKey, str] | None = None,
    events: Mapping[QuestionKey, str] | None = None,
) -> tuple[dict[tuple[str, str], Steps], dict[str, Life]]:
    """What everybody said over the lives of questions that ran their course: for ``lives.records``.

    The same rules as ``forecasts_from_history``: Yes or No only, scheduled close known and past, silence longer
    than ``max_age`` is not bridged; of one crowd's word heard twice the nearest counts. A question opens when its
    platform says, else with the first value seen. Options of one question are lives of one event.
    """
    people, events = people or {}, events or {}
    names = forecaster_names([key for key in history if key not in people]) | dict(people)
    verdicts, _ = verdicts_of(resolutions)
    streams = [
        _Stream.of(key, names[key], history[key], verdicts.get(outcome_key(key)), closes)
        for key in heard_nearest(history, people)
    ]
    whole = [stream for stream in streams if stream.ran_its_course(utc(now)) and stream.as_of]
    started: dict[str, datetime] = {}
    for stream in whole:
        told = opens.get((stream.key.platform, stream.key.external_id), stream.as_of[0])
        started[stream.life_name] = min(started.get(stream.life_name, told), told)
    lives: dict[str, Life] = {}
    paths: dict[tuple[str, str], Steps] = {}
    for stream in whole:
        life = stream.life(started[stream.life_name], events)
        steps = stream.steps(max_age)
        if life is not None and steps is not None:
            known = lives.get(stream.life_name)
            if known is not None and math.isnan(life.reveals):
                life = replace(life, reveals=known.reveals)
            lives[stream.life_name] = life
            paths[stream.forecaster, stream.life_name] = steps
    return paths, lives


def standing_words(
    history: Mapping[StreamKey, Sequence[Seen]],
    *,
    people: Mapping[StreamKey, str] | None = None,
    max_age: timedelta = timedelta(days=7),
) -> dict[StreamKey, tuple[str, Steps]]:
    """What each crowd and each person said over time, whether or not anything resolved: forecaster and steps.

    Of one crowd's word heard twice the nearest; silence longer than ``max_age`` is not bridged.
    """
    people = people or {}
    names = forecaster_names([key for key in history if key not in people]) | dict(people)
    found = {}
    for key in heard_nearest(history, people):
        steps = _Stream.of(key, names[key], history[key], None, {}).steps(max_age)
        if steps is not None:
            found[key] = (names[key], steps)
    return found


@dataclass(frozen=True)
class _Row:
    key: StreamKey
    forecaster: str
    probability: float
    outcome: float
    void: bool
    made_at: datetime
    resolved_at: datetime | None
    closes_at: datetime | None
    lead_days: float


@dataclass(frozen=True)
class _Stream:
    """One stream's values with what became of its question."""

    key: StreamKey
    forecaster: str
    seen: Sequence[Seen]
    as_of: Sequence[datetime]
    verdict: Resolution | None
    closes_at: datetime | None

    @classmethod
    def of(
        cls,
        key: StreamKey,
        forecaster: str,
        seen: Sequence[Seen],
        verdict: Resolution | None,
        closes: Mapping[QuestionKey, datetime],
    ) -> _Stream:
        close = closes.get((key.platform, key.external_id))
        as_of = [value.snapshot.as_of for value in seen]
        return cls(key, forecaster, seen, as_of, verdict, None if close is None else utc(close))

    @property
    def resolved_at(self) -> datetime | None:
        """When the outcome was out: the platform's time, else when we learnt it (never earlier)."""
        if self.verdict is None or self.verdict.state is OutcomeState.UNRESOLVED:
            return None
        return self.verdict.resolved_at or self.verdict.fetched_at

    def rows(
        self, leads: tuple[int, ...] | None, now: datetime, max_age: timedelta, tally: Counter[str]
    ) -> Iterator[_Row]:
        resolved = self.resolved_at
        if self.verdict is not None and self.verdict.state in _SCORABLE and self.verdict.value is None:
            tally["resolved to something that is no number: left out"] += 1
            return
        early = self.closes_at is not None and self.closes_at > now
        if self.verdict is None or self.verdict.state not in _SCORABLE or resolved is None or early:
            yield from self._last_row(tally)
            return
        if self.verdict.resolved_at is None:
            tally["streams whose time of outcome is unknown: the time we learnt it stands in, too late"] += 1
        moments = self._ends_of_days(resolved) if leads is None else self._before_anchor(resolved, leads)
        for moment, lead in moments:
            probability = self._standing(moment, max_age)
            if probability is None:
                tally["forecasts missing: no value stood at that moment"] += 1
            else:
                yield self._row(probability, moment, lead)

    @property
    def life_name(self) -> str:
        return "/".join((self.key.platform, self.key.external_id, self.key.outcome))

    def ran_its_course(self, now: datetime) -> bool:
        """Whether it came out Yes or No and was due to close by ``now``."""
        return (
            self.verdict is not None
            and self.verdict.state in (OutcomeState.YES, OutcomeState.NO)
            and self.closes_at is not None
            and self.closes_at <= now
        )

    def life(self, opens: datetime, events: Mapping[QuestionKey, str]) -> Life | None:
        """The question's life in days since 1970; None when it was over before it opened."""
        verdict, closes, resolved = self.verdict, self.closes_at, self.resolved_at
        if verdict is None or verdict.value is None or closes is None or resolved is None:
            return None
        ends = min(resolved, closes)
        if not opens < ends:
            return None
        place = (self.key.platform, self.key.external_id)
        event = events.get(place) or "/".join(place)
        hidden = [one.snapshot.hidden_until for one in self.seen if one.snapshot.hidden_until is not None]
        reveals = _days(hidden[-1]) if hidden else math.nan
        return Life(self.life_name, _days(opens), _days(closes), _days(ends), verdict.value, event, reveals)

    def steps(self, max_age: timedelta) -> Steps | None:
        """What stood when, with a gap wherever it was not confirmed for too long; None for nothing at all."""
        points: dict[float, float] = {}
        for position, value in enumerate(self.seen):
            ok = value.snapshot.state is ValueState.OK and value.snapshot.probability is not None
            points[_days(value.snapshot.as_of)] = value.snapshot.probability or 0.0 if ok else math.nan
            lapses = max(value.snapshot.as_of, value.seen_last) + max_age
            if position + 1 == len(self.seen) or self.as_of[position + 1] > lapses:
                points[_days(lapses)] = math.nan
        moments = sorted(points)
        if all(math.isnan(p) for p in points.values()):
            return None
        return Steps(np.array(moments), np.array([points[moment] for moment in moments]))

    def _last_row(self, tally: Counter[str]) -> Iterator[_Row]:
        for value in reversed(self.seen):
            snapshot = value.snapshot
            if snapshot.probability is not None:
                yield self._row(snapshot.probability, snapshot.as_of, float("nan"))
                return
        tally["streams without any probability: left out"] += 1

    def _before_anchor(self, resolved: datetime, leads: Sequence[int]) -> Iterator[tuple[datetime, float]]:
        anchor = self.closes_at or resolved
        for lead in leads:
            yield anchor - timedelta(days=lead), float(lead)

    def _ends_of_days(self, resolved: datetime) -> Iterator[tuple[datetime, float]]:
        """Every midnight from the first value to the close or the outcome, whichever comes first."""
        if not self.as_of:
            return
        end = min(resolved, self.closes_at or resolved)
        anchor = self.closes_at or resolved
        moment = datetime.combine(self.as_of[0].date(), time(), tzinfo=UTC) + timedelta(days=1)
        while moment < end:
            yield moment, (anchor - moment) / timedelta(days=1)
            moment += timedelta(days=1)

    def _standing(self, moment: datetime, max_age: timedelta) -> float | None:
        position = bisect_right(self.as_of, moment) - 1
        if position < 0:
            return None
        value = self.seen[position]
        confirmed = max(value.snapshot.as_of, value.seen_last)
        if value.snapshot.state is not ValueState.OK or moment - confirmed > max_age:
            return None
        return value.snapshot.probability

    def _row(self, probability: float, moment: datetime, lead: float) -> _Row:
        void = self.verdict is not None and self.verdict.state in _VOID
        known = self.verdict is not None and self.verdict.state in _SCORABLE
        outcome = self.verdict.value if self.verdict is not None and known else None
        return _Row(
            key=self.key,
            forecaster=self.forecaster,
            probability=probability,
            outcome=float("nan") if outcome is None else outcome,
            void=void,
            made_at=moment,
            resolved_at=self.resolved_at,
            closes_at=self.closes_at,
            lead_days=lead,
        )


def _days(moment: datetime) -> float:
    return to_micros(moment) / 86_400e6


def outcome_key(record: StreamKey | Resolution) -> tuple[str, str, str]:
    return (record.platform, record.external_id, record.outcome)


def verdicts_of(
    resolutions: Sequence[Resolution],
) -> tuple[dict[tuple[str, str, str], Resolution], Counter[str]]:
    """The word that counts per question and outcome: the platform's own, else the newest."""
    chosen: dict[tuple[str, str, str], Resolution] = {}
    tally: Counter[str] = Counter()
    for word in sorted(resolutions, key=lambda one: (one.source == one.platform, one.fetched_at, one.source)):
        before = chosen.get(outcome_key(word))
        if before is not None and (before.state, before.value) != (word.state, word.value):
            tally[
                "resolutions on which sources disagree: the platform's own word, else the newest, counts"
            ] += 1
        chosen[outcome_key(word)] = word
    return chosen, tally


def forecaster_names(history: Sequence[StreamKey]) -> dict[StreamKey, str]:
    """``platform``, ``platform (via source)``; with the kind of number where a source gives several."""
    kinds: dict[tuple[str, str], set[str]] = {}
    for key in history:
        kinds.setdefault((key.source, key.platform), set()).add(key.quantity.value)
    names = {}
    for key in history:
        via = [] if key.source == key.platform else [f"via {key.source}"]
        if len(kinds[key.source, key.platform]) > 1:
            via.append(key.quantity.value)
        names[key] = f"{key.platform} ({', '.join(via)})" if via else key.platform
    return names


def _table(
    rows: Sequence[_Row],
    now: datetime,
    areas: Mapping[QuestionKey, Sequence[str]] | None,
    people: Mapping[StreamKey, str],
) -> ForecastTable:
    questions = [(row.key.platform, row.key.external_id) for row in rows]
    table = forecast_table(
        [row.probability for row in rows],
        [row.outcome for row in rows],
        ["/".join(question) for question in questions],
        void=[row.void for row in rows],
        forecaster=[row.forecaster for row in rows],
        source=[row.key.source for row in rows],
        area=None if areas is None else [AREAS_JOINED.join(areas.get(one, ())) for one in questions],
        option=[row.key.outcome for row in rows],
        crowd=[_crowd(row.key, people) for row in rows],
        hops=[_hops(row.key) for row in rows],
        made_at=[row.made_at for row in rows],
        resolved_at=[row.resolved_at for row in rows],
        closes_at=[row.closes_at for row in rows],
        now=now,
    )
    return replace(table, lead_days=np.array([row.lead_days for row in rows], dtype=np.float64))


def _events(rows: Sequence[_Row], events: Mapping[QuestionKey, str]) -> Labels:
    return np.array([events.get((row.key.platform, row.key.external_id), "") for row in rows], dtype=object)


def _crowd(key: StreamKey, people: Mapping[StreamKey, str]) -> str:
    """Whose word on what a stream is, whoever delivered it."""
    return "\0".join((key.platform, key.external_id, key.outcome, people.get(key, "")))


def heard_nearest(keys: Iterable[StreamKey], people: Mapping[StreamKey, str]) -> list[StreamKey]:
    """Of streams that are one crowd's word on one thing the one heard nearest to it, sorted."""
    nearest: dict[str, StreamKey] = {}
    for key in sorted(keys, key=_hops):
        nearest.setdefault(_crowd(key, people), key)
    return sorted(nearest.values())


def _hops(key: StreamKey) -> int:
    """How far from its crowd a word was heard: the platform's own first, then kind of number."""
    return len(Quantity) * (key.source != key.platform) + list(Quantity).index(key.quantity)


def _notes(table: ForecastTable, leads: tuple[int, ...] | None, tally: Counter[str]) -> Iterator[str]:
    assert table.closes_at is not None
    scored = np.isin(table.status, (Status.SCORED, Status.FRACTION))
    leaking = int(np.count_nonzero(scored & np.isnat(table.closes_at)))
    if leads is not None and leaking:
        yield leak_note(leaking)
    for what, count in sorted(tally.items()):
        yield f"{count} {what}"
