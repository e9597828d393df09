"""Deciding what is new, pure and shared by every store: values in, values out, nothing is touched.

What a snapshot adds to its stream is defined here once (``Timeline``). ``MemoryStore`` keeps whole
timelines; ``SqlStore`` loads the part of one that a batch can touch. That both give the same is tested.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Generic, TypeVar

from questions.records import (
    Forecast,
    Measurement,
    QuestionHealth,
    QuestionInfo,
    Resolution,
    SeriesVersion,
    Snapshot,
)
from questions.time import to_micros
from storage.errors import StorageError
from storage.records import Change, Drift, Gap, Lease, Observation, Run, RunState, Standing, VersionInfo

ABANDONED_AFTER = timedelta(hours=1)

Order = tuple[datetime, datetime, int]
Points = Mapping[tuple[str, str], Measurement]
Word = TypeVar("Word", Resolution, QuestionInfo, QuestionHealth)
Value = TypeVar("Value", bound=Hashable)


# snapshots ----------------------------------------------------------------------------------------


def content(snapshot: Snapshot) -> tuple[object, ...]:
    """What makes two values different. Volume, liquidity, spread and the last trade do not."""
    return (
        snapshot.state,
        snapshot.probability,
        snapshot.value,
        snapshot.distribution,
        snapshot.forecasters,
        snapshot.hidden_until,
    )


@dataclass(eq=False)
class Spell:
    """A value standing: said first by ``first``, last confirmed at ``seen_last``.

    ``times_seen`` counts the fetches that showed it, the first one included. ``reading`` numbers accounts
    of one fetch for one instant: a mended parser reads stored bytes again, and its reading counts.
    """

    first: Snapshot
    seen_last: datetime
    times_seen: int = 1
    reading: int = 0

    @property
    def as_of(self) -> datetime:
        return self.first.as_of

    @property
    def seen_first(self) -> datetime:
        return self.first.fetched_at

    @property
    def order(self) -> Order:
        """Of two spells, the one that stands later; of one instant, the one told last."""
        return (self.as_of, self.seen_first, self.reading)

    def see(self, at: datetime) -> None:
        """Count a fetch that confirmed the value; two confirmations by one fetch count once."""
        if at > self.seen_last:
            self.seen_last = at
            self.times_seen += 1

    def observation(self, known_at: datetime | None = None) -> Observation:
        """As it is read: last seen no later than ``known_at``."""
        last = self.seen_last if known_at is None else min(self.seen_last, known_at)
        return Observation(self.first, self.seen_first, last, self.times_seen)


class Timeline:
    """What arriving snapshots add to the spells of one stream.

    Start it with the stored spells that matter: the newest, those at every instant a snapshot with the
    source's time mentions, and all of them when a current value arrives late. ``begun`` are the spells
    that started, ``touched`` those whose last sight changed, ``fresh`` counts the snapshots that were new.
    """

    def __init__(self, max_gap: timedelta, spells: Iterable[Spell] = ()) -> None:
        self._max_gap = max_gap
        self._spells = sorted(spells, key=lambda spell: spell.order)
        self._at: dict[datetime, list[Spell]] = {}
        for spell in self._spells:
            self._at.setdefault(spell.as_of, []).append(spell)
        self.begun: list[Spell] = []
        self.touched: dict[Order, Spell] = {}
        self.fresh = 0

    @property
    def spells(self) -> Sequence[Spell]:
        """All spells by (as_of, seen_first, reading)."""
        return self._spells

    def take(self, snapshots: Iterable[Snapshot]) -> None:
        """Take snapshots in, in the order they were fetched; of one fetch, points with a time first."""
        ordered = sorted(snapshots, key=lambda s: (s.fetched_at, not s.timed_by_source, s.as_of))
        for at, fetch in groupby(ordered, key=lambda s: s.fetched_at):
            together = list(fetch)
            confirmed = [self._point(s) for s in together if s.timed_by_source]
            if any(spell is self._spells[-1] for spell in confirmed):
                self._see(self._spells[-1], at)
            for snapshot in together:
                if not snapshot.timed_by_source:
                    self._current(snapshot)

    def _point(self, snapshot: Snapshot) -> Spell | None:
        """A point at the source's own time: an account of its own, or the spell it confirms."""
        told = [s for s in self._at.get(snapshot.as_of, ()) if s.seen_first <= snapshot.fetched_at]
        if told and content(told[-1].first) == content(snapshot):
            return told[-1]
        self._tell(snapshot, told)
        return None

    def _current(self, snapshot: Snapshot) -> None:
        """A current value: it extends what stands, starts something new, or comes in between."""
        at = snapshot.fetched_at
        standing = self._standing(at)
        if standing is None:
            self._begin(snapshot, 0)
            return
        same = content(standing.first) == content(snapshot)
        if at > standing.seen_last:
            if same and at - standing.seen_last <= self._max_gap:
                self._see(standing, at)
            else:
                self._begin(snapshot, 0)
        elif not same:
            told = [spell for spell in self._at.get(at, ()) if spell.seen_first == at]
            if standing.seen_first < at < standing.seen_last:
                self._interrupt(standing)
            self._tell(snapshot, told)

    def _standing(self, at: datetime) -> Spell | None:
        """The spell in force at an instant, from what had been fetched by then."""
        last = bisect_right(self._spells, at, key=lambda spell: spell.as_of)
        return next((s for s in reversed(self._spells[:last]) if s.seen_first <= at), None)

    def _interrupt(self, spell: Spell) -> None:
        """Another value turns up in the middle of a spell: what is sure of it are its ends.

        Of the fetch that saw it last, another account may have been told: then that one stands from there on.
        """
        last = spell.seen_last
        if not any(other.seen_first == last for other in self._at.get(last, ())):
            resumed = replace(spell.first, as_of=last, fetched_at=last, timed_by_source=False)
            self._insert(Spell(resumed, last))
        spell.seen_last, spell.times_seen = spell.seen_first, 1
        self.touched[spell.order] = spell

    def _tell(self, snapshot: Snapshot, told: Sequence[Spell]) -> None:
        """An account that differs from the one before; the same fetch read again numbers its readings."""
        readings = [spell for spell in told if spell.seen_first == snapshot.fetched_at]
        if not any(content(spell.first) == content(snapshot) for spell in readings):
            self._begin(snapshot, len(readings))

    def _begin(self, snapshot: Snapshot, reading: int) -> None:
        self.fresh += 1
        self._insert(Spell(snapshot, snapshot.fetched_at, reading=reading))

    def _insert(self, spell: Spell) -> None:
        insort(self._spells, spell, key=lambda s: s.order)
        insort(self._at.setdefault(spell.as_of, []), spell, key=lambda s: s.order)
        self.begun.append(spell)

    def _see(self, spell: Spell, at: datetime) -> None:
        if at > spell.seen_last:
            spell.see(at)
            self.touched[spell.order] = spell


def last_per_instant(spells: Iterable[Spell]) -> list[Spell]:
    """One spell per ``as_of``, the account told last; sorted by ``as_of``."""
    last = {spell.as_of: spell for spell in sorted(spells, key=lambda spell: spell.order)}
    return list(last.values())


# series -------------------------------------------------------------------------------------------


def points(measurements: Iterable[Measurement]) -> dict[tuple[str, str], Measurement]:
    """The points of a version by (metric, key)."""
    return {(point.metric, point.key): point for point in measurements}


def same_version(one: SeriesVersion, other: SeriesVersion) -> bool:
    """Whether two readings of a series say the same, of themselves and of every point."""
    return (
        one.payload_sha256 == other.payload_sha256
        and dict(one.published) == dict(other.published)
        and points(one.measurements) == points(other.measurements)
    )


def in_order(measurements: Iterable[Measurement]) -> list[Measurement]:
    """Points by (metric, at, key), the order every reader gets them in."""
    return sorted(measurements, key=lambda point: (point.metric, point.at, point.key))


@dataclass
class Stretch(Generic[Value]):
    """The same thing seen at every look from ``first`` to ``last``, ``n`` times."""

    value: Value
    first: datetime
    last: datetime
    n: int = 1


def stretches(sightings: Iterable[tuple[datetime, Value]]) -> list[Stretch[Value]]:
    """Run lengths of sightings given in order of time."""
    found: list[Stretch[Value]] = []
    for at, value in sightings:
        if found and found[-1].value == value:
            found[-1].last = at
            found[-1].n += 1
        else:
            found.append(Stretch(value, at, at))
    return found


def confirmed(
    versions: Sequence[VersionInfo], sighted: Mapping[str, datetime], known_at: datetime | None
) -> list[VersionInfo]:
    """Versions with what later looks at the same bytes add: they stood until those, or the next version."""
    found = []
    for index, version in enumerate(versions):
        last = sighted.get(version.payload_sha256, version.seen_last)
        if known_at is not None:
            last = min(last, known_at)
        following = versions[index + 1].seen_first if index + 1 < len(versions) else None
        if last > version.seen_last and (following is None or last < following):
            found.append(replace(version, seen_last=last))
        else:
            found.append(version)
    return found


def tally(before: Points, after: Points) -> tuple[int, int]:
    """How many points are new in ``after``, and how many of ``before`` changed or went."""
    new = sum(1 for which in after if which not in before)
    revised = sum(1 for which, point in before.items() if after.get(which) != point)
    return new, revised


def changes(before: Points, after: Points) -> list[Change]:
    """What happened to each point between two versions, by (metric, key); one change per point."""
    found: list[Change] = []
    for metric, key in sorted(before.keys() | after.keys()):
        old, new = before.get((metric, key)), after.get((metric, key))
        if old != new:
            found.append(Change(key, metric, _kind(old, new), old, new))
    return found


def _kind(old: Measurement | None, new: Measurement | None) -> str:
    """The weightiest thing that changed; a flag, a ceiling mark or a label is the lightest."""
    if old is None:
        return "added"
    if new is None:
        return "removed"
    if (old.value, old.unit) != (new.value, new.unit):
        return "revised"
    if (old.lower, old.upper, old.ci_level) != (new.lower, new.upper, new.ci_level):
        return "interval"
    return "dated" if old.at != new.at else "flagged"


# the last word: resolutions, question facts and health ----------------------------------------------------


@dataclass
class Said(Generic[Word]):
    """Something a platform said of a question, from ``word.fetched_at`` to ``seen_last``.

    ``number`` is the store's own (0: not stored yet); it orders words of the same instant.
    """

    word: Word
    seen_last: datetime
    number: int = 0

    @property
    def seen_first(self) -> datetime:
        return self.word.fetched_at


def _gist(word: Resolution | QuestionInfo | QuestionHealth) -> tuple[object, ...]:
    if isinstance(word, Resolution):
        return (word.state, word.resolved_at, word.value, word.text)
    if isinstance(word, QuestionHealth):
        return (word.state, word.message, word.hidden_until)
    return (
        word.title, word.url, word.question_type, word.status, word.opens_at, word.closes_at, word.resolves_by,
        word.criteria_sha256,
    )  # fmt: skip


@dataclass
class Placed(Generic[Word]):
    """What placing a word did: words ``changed`` in place and words ``added``, both already in the list."""

    changed: list[Said[Word]] = field(default_factory=list)
    added: list[Said[Word]] = field(default_factory=list)


def place(said: list[Said[Word]], word: Word) -> Placed[Word]:
    """Put one word among those said of the same thing before (sorted by first sight; kept so).

    The same as what stands at its time: seen again. Another one: it is new; if it falls inside a stretch
    of another word, that one is cut at what is sure, its first and last sight.
    """
    at = word.fetched_at
    done: Placed[Word] = Placed()
    index = sum(1 for one in said if one.seen_first <= at)
    standing = said[index - 1] if index else None
    if standing is not None and _gist(standing.word) == _gist(word):
        if at > standing.seen_last:
            standing.seen_last = at
            done.changed.append(standing)
        return done
    readings = [one for one in said if one.seen_first == at]
    if any(_gist(one.word) == _gist(word) for one in readings):
        return done
    done.added.append(Said(word, at))
    if standing is not None and standing.seen_first < at < standing.seen_last:
        resumed = replace(standing.word, fetched_at=standing.seen_last)
        done.added.append(Said(resumed, standing.seen_last))
    if standing is not None and standing.seen_first < at <= standing.seen_last:
        standing.seen_last = standing.seen_first
        done.changed.append(standing)
    said[index:index] = done.added
    return done


def last_said(said: Sequence[Said[Word]], known_at: datetime | None) -> Said[Word] | None:
    """The word in force at an instant, from words sorted by first sight; its last sight is clipped to then."""
    heard = [s for s in said if known_at is None or s.seen_first <= known_at]
    if not heard or known_at is None or heard[-1].seen_last <= known_at:
        return heard[-1] if heard else None
    return replace(heard[-1], seen_last=known_at)


def standing(said: Iterable[Said[QuestionHealth] | None]) -> list[Standing]:
    """Words on health as records, those that there are."""
    return [Standing(one.word, one.seen_last) for one in said if one is not None]


# drift --------------------------------------------------------------------------------------------


def joined(known: Drift | None, drift: Drift) -> Drift:
    """A drift seen again: one record from the first sight, with its bytes, to the last."""
    if known is None:
        return drift
    first = known if known.seen_first <= drift.seen_first else drift
    return replace(first, seen_last=max(known.seen_last, drift.seen_last))


def in_sight(drifts: Iterable[Drift], known_at: datetime | None) -> list[Drift]:
    """Those seen by an instant, the newest first, the last sight clipped to it."""
    seen = [d for d in drifts if known_at is None or d.seen_first <= known_at]
    clipped = [d if known_at is None else replace(d, seen_last=min(d.seen_last, known_at)) for d in seen]
    return sorted(clipped, key=lambda d: (-to_micros(d.seen_first), d.source, d.place, d.kind, d.detail))


# refusals -----------------------------------------------------------------------------------------


def refuse_second_forecast(known: Forecast | None, forecast: Forecast) -> None:
    """The same forecaster cannot have said two things of one outcome at one time."""
    if known is not None and known.probability != forecast.probability:
        raise StorageError(
            f"{forecast.forecaster} already gave {known.probability} for {forecast.question}"
            f" ({forecast.outcome}) at {forecast.made_at.isoformat()}; {forecast.probability} is another"
            " forecast and needs another time"
        )


def refuse_another(known: object, record: object, what: str) -> None:
    """One key, two different records of something that is only ever added."""
    if known != record:
        raise StorageError(f"there is another {what} under the same key: {known} is not {record}")


def refuse_upside_down(gap: Gap) -> None:
    """A gap ends after it starts."""
    if gap.end < gap.start:
        raise StorageError(f"gap of {gap.source} ends before it starts: {gap.start} > {gap.end}")


# the ledger ---------------------------------------------------------------------------------------


def may_claim(run: Run | None, at: datetime) -> bool:
    """Whether a slot may be taken: never begun, failed, or running for an hour without an end."""
    if run is None or run.state is RunState.FAILED:
        return True
    return run.state is RunState.RUNNING and at - run.started_at >= ABANDONED_AFTER


def lease_stands(lease: Lease, at: datetime, term: timedelta) -> bool:
    """Whether somebody holds a lease whose term runs.

    One that would run for longer than two terms was written by a clock that has been set back since, and says
    nothing. For longer than one it may: who asks looked at the clock before waiting for its turn to write.
    """
    return bool(lease.holder) and at < lease.expires_at <= at + 2 * term
