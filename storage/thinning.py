"""Which values of long ago may be let go so that nothing asked by the day comes out otherwise.

Only when asked. A day (UTC, by ``as_of``) on which a stream has more than ``DENSE`` values is thinned. What goes is a
value that another one of the same day stands in front of, whoever asks by the day: told for a later ``as_of`` of that
day, and first seen on the same day or before. So as known at the end of any day, the value at the end of any day is
what it was. What stays besides: the day's highest and lowest; the stream's first and last; all accounts of an instant
that was told of more than once (a correction); all that was seen again on a later day; whatever is no number
(hidden, gone, no trade); what rests on bytes that a receipt, a judgement, an alert, an ordering or a digest names; and
what stood at an instant that something was made from (``Anchors``): a score, a receipt, an alert, an ordering, a
digest and the weeks it looks back on, an outcome, and whole days before each close a question was ever told to have.

What is lost with the others is the course of a value within a day: averages over time and the causes of a change are
afterwards told from fewer steps. While the raw payloads are there, ``speedup reparse`` brings the values back.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from questions.records import StreamKey
from storage.decide import Order

RULE = "days with more than 3 values: last, highest, lowest, corrected, referred to (1)"
DENSE = 3
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
LOOKED_BACK = 14
"""Weeks: how far a digest looks back for what changes are usual."""


@dataclass(frozen=True)
class Thinning:
    """What was let go of one stream by one rule: ``gone`` values from ``since`` to ``until`` (both ``as_of``)."""

    key: StreamKey
    rule: str
    since: datetime
    until: datetime
    gone: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True)
class Thinned:
    """Values let go, of how many streams; ``more`` are waiting."""

    values: int = 0
    streams: int = 0
    more: bool = False


class Mark(NamedTuple):
    """A stored value as far as thinning asks. ``number``: its height in the day, None for what is no number;
    ``named``: something names the bytes it was read from."""

    as_of: datetime
    seen_first: datetime
    reading: int
    seen_last: datetime
    number: float | None
    named: bool

    @property
    def order(self) -> Order:
        return (self.as_of, self.seen_first, self.reading)


@dataclass
class Anchors:
    """Instants at which something was made from values: of all streams, of one question's, and the times of day
    at which a question is or was to close (scores are asked for whole days before)."""

    general: set[datetime] = field(default_factory=set)
    of_question: dict[tuple[str, str], set[datetime]] = field(default_factory=lambda: defaultdict(set))
    closes: dict[tuple[str, str], set[time]] = field(default_factory=lambda: defaultdict(set))

    def digest(self, as_of: datetime) -> None:
        """A digest compares with the week before, and that with the weeks before it."""
        self.general.update(as_of - back * WEEK for back in range(LOOKED_BACK + 1))

    def close(self, question: tuple[str, str], at: datetime | None) -> None:
        if at is not None:
            self.of_question[question].add(at)
            self.closes[question].add(at.astimezone(UTC).time())

    def score(self, question: str, made_at: datetime) -> None:
        """Scores name a question ``platform/id``, or with an outcome behind."""
        platform, _, name = question.partition("/")
        self.of_question[platform, name].add(made_at)
        self.of_question[platform, name.rpartition("/")[0]].add(made_at)

    def of(self, key: StreamKey) -> tuple[Sequence[datetime], Collection[time]]:
        """A stream's instants, sorted, and the times of day that count on every day."""
        question = (key.platform, key.external_id)
        own = self.of_question.get(question, set())
        return sorted(self.general | own), self.closes.get(question, set())


def whole_days(before: datetime) -> datetime:
    """The last midnight: no day is thinned in part."""
    return datetime.combine(_date(before), time(), tzinfo=UTC)


def by_day(marks: Iterable[Mark]) -> Iterator[list[Mark]]:
    """The values of each dense day, in their order."""
    days: dict[date, list[Mark]] = defaultdict(list)
    for mark in marks:
        days[_date(mark.as_of)].append(mark)
    for one in days.values():
        if len(one) > DENSE:
            yield sorted(one, key=lambda mark: mark.order)


def to_let_go(
    days: Iterable[Sequence[Mark]],
    first: Order,
    before: datetime,
    instants: Sequence[datetime],
    times: Collection[time],
) -> list[Mark]:
    """Of a stream's dense days the values that may go; ``first`` is the order of its first value of all."""
    gone: list[Mark] = []
    for day in days:
        kept = {first, *_ends(day), *_extremes(day), *_stood(day, instants, times)}
        told = Counter(mark.as_of for mark in day)
        gone += [
            mark
            for mark in day
            if mark.order not in kept and told[mark.as_of] == 1 and not _own(mark) and mark.seen_last < before
        ]
    return gone


def _own(mark: Mark) -> bool:
    """A reason to stay that lies in the value alone."""
    midnight = time()
    return (
        mark.named
        or mark.number is None
        or mark.as_of > mark.seen_first
        or _date(mark.seen_last) > _date(mark.seen_first)
        or midnight in (mark.as_of.astimezone(UTC).time(), mark.seen_first.astimezone(UTC).time())
    )


def _date(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def _ends(day: Sequence[Mark]) -> Iterator[Order]:
    """What is the day's last value as known at the end of some day."""
    earliest = None
    for mark in reversed(day):
        seen = _date(mark.seen_first)
        if earliest is None or seen < earliest:
            earliest = seen
            yield mark.order


def _extremes(day: Sequence[Mark]) -> Iterator[Order]:
    numbers = [mark for mark in day if mark.number is not None]
    if numbers:
        yield min(numbers, key=lambda mark: mark.number or 0.0).order
        yield max(numbers, key=lambda mark: mark.number or 0.0).order


def _stood(day: Sequence[Mark], instants: Sequence[datetime], times: Collection[time]) -> Iterator[Order]:
    """What stood at each instant, as known then and as known now."""
    today, last = _date(day[0].as_of), day[-1].as_of
    within = instants[bisect_left(instants, day[0].as_of) : bisect_right(instants, last)]
    at_times = [datetime.combine(today, at, tzinfo=UTC) for at in times]
    for at in (*within, *at_times):
        standing = [mark for mark in day if mark.as_of <= at]
        yield from _last(standing)
        yield from _last(mark for mark in standing if mark.seen_first <= at)
    seen = sorted({mark.seen_first for mark in day})
    for index, since in enumerate(seen):
        begin = max(since, last)
        end = seen[index + 1] if index + 1 < len(seen) else None
        place = bisect_left(instants, begin)
        if place < len(instants) and (end is None or instants[place] < end):
            yield from _last(mark for mark in day if mark.seen_first <= since)


def _last(marks: Iterable[Mark]) -> Iterator[Order]:
    order = max((mark.order for mark in marks), default=None)
    if order is not None:
        yield order


def joined(known: Thinning | None, new: Thinning) -> Thinning:
    """All that was let go of a stream by a rule, in one record."""
    if known is None:
        return new
    return Thinning(
        new.key,
        new.rule,
        min(known.since, new.since),
        max(known.until, new.until),
        known.gone + new.gone,
        min(known.first_at, new.first_at),
        max(known.last_at, new.last_at),
    )


def written(key: StreamKey, gone: Sequence[Mark], at: datetime) -> Thinning:
    """What is written down of values let go at an instant."""
    return Thinning(key, RULE, gone[0].as_of, gone[-1].as_of, len(gone), at, at)
