"""What a question can be resolved from: who published what, when, and what failed.

A ``World`` holds everything known at an instant. An invented one is made from a fixture here; the real one is
read from the store by ``tracker.evidence``. The resolver cannot tell them apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from functools import lru_cache
from typing import Literal, NamedTuple, Protocol

from questions.question import Fixture, FixtureObservation
from questions.records import OutcomeState
from questions.time import utc

PARENT = "question"
"""The platform under which outcomes of our own questions are found."""

JUDGE = "judge"


@lru_cache(maxsize=4096)
def noon(day: date) -> datetime:
    """The instant that stands for a day of which no time is known: 12:00 UTC."""
    return datetime.combine(day, time(12), UTC)


@dataclass(frozen=True, slots=True)
class Datum:
    """One account of one point of a series; a later account of the same (metric, key) corrects it.

    ``at`` is the event's day, ``published`` when it could first be read, ``level`` that of the interval
    ``lower``..``upper``. With ``bound`` the value is known to be at least (lower) or at most (upper) that.
    ``version`` is the instrument's, empty when the source has one only; ``withdrawn`` takes the point back.
    """

    series: str
    key: str
    at: date
    published: datetime
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    metric: str = ""
    level: float | None = None
    version: str = ""
    bound: Literal["", "lower", "upper"] = ""
    payload: str | None = None
    withdrawn: bool = False


class MarkKind(StrEnum):
    """How a source fails."""

    GONE = "gone"
    SILENT = "silent"
    METHOD_CHANGED = "method_changed"


@dataclass(frozen=True, slots=True)
class Mark:
    """A source failed from a day on, as was known from ``published`` on."""

    series: str
    at: date
    published: datetime
    kind: MarkKind


class Look(NamedTuple):
    """A reading of a whole series, changed or not."""

    at: datetime
    payload: str | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """What a platform said of a question from ``published`` on; of our own, ``text`` is the outcome."""

    platform: str
    external_id: str
    state: OutcomeState
    published: datetime
    outcome: str = ""
    source: str = ""
    value: float | None = None
    text: str = ""
    resolved_at: datetime | None = None
    payload: str | None = None


@dataclass(frozen=True)
class Judgement:
    """What one named judge decided, from which citations. A later one by the same judge replaces it.

    ``version`` is the content hash of the question's version that was judged; ``value`` and ``on`` go with
    numeric and date outcomes.
    """

    question: str
    version: str
    judge: str
    outcome: str
    made_at: datetime
    citations: tuple[str, ...]
    value: float | None = None
    on: date | None = None
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "made_at", utc(self.made_at))
        if not (self.question and self.judge.strip() and self.outcome):
            raise ValueError("question, judge and outcome must not be empty")


class Evidence(Protocol):
    """Where a resolver looks. Everything comes in the order of publication."""

    def data(self, series: str) -> Sequence[Datum]:
        """Every account of every point of a series."""

    def marks(self, series: str) -> Sequence[Mark]:
        """How the source of a series failed."""

    def looks(self, series: str) -> Sequence[Look]:
        """When the series was read."""

    def words(self, platform: str, external_id: str) -> Sequence[Word]:
        """What a platform said of a question."""

    def judgements(self) -> Sequence[Judgement]:
        """What judges said of the question."""


class World:
    """Evidence held in memory. Looks default to the instants at which something was published."""

    def __init__(
        self,
        data: Iterable[Datum] = (),
        marks: Iterable[Mark] = (),
        words: Iterable[Word] = (),
        judgements: Iterable[Judgement] = (),
        looks: dict[str, Sequence[Look]] | None = None,
    ) -> None:
        self._data: dict[str, list[Datum]] = defaultdict(list)
        self._marks: dict[str, list[Mark]] = defaultdict(list)
        self._words: dict[tuple[str, str], list[Word]] = defaultdict(list)
        for datum in sorted(data, key=_published):
            self._data[datum.series].append(datum)
        for mark in sorted(marks, key=_published):
            self._marks[mark.series].append(mark)
        for word in sorted(words, key=_published):
            self._words[word.platform, word.external_id].append(word)
        self._judgements = sorted(judgements, key=lambda judgement: judgement.made_at)
        self._looks = looks or {}

    def data(self, series: str) -> Sequence[Datum]:
        return self._data.get(series, ())

    def marks(self, series: str) -> Sequence[Mark]:
        return self._marks.get(series, ())

    def looks(self, series: str) -> Sequence[Look]:
        given = self._looks.get(series)
        if given is None:
            given = [Look(at) for at in dict.fromkeys([datum.published for datum in self.data(series)])]
        return given

    def words(self, platform: str, external_id: str) -> Sequence[Word]:
        return self._words.get((platform, external_id), ())

    def judgements(self) -> Sequence[Judgement]:
        return self._judgements


def _published(told: Datum | Mark | Word) -> datetime:
    return told.published


def world_of(fixture: Fixture) -> World:
    """The invented world of a fixture; days stand for their noon."""
    data, marks, words, judgements = [], [], [], []
    for seen in fixture.world:
        subject, _, name = seen.series.partition(":")
        if seen.event not in ("measured", "withdrawn"):
            published = noon(seen.published or seen.at)
            marks.append(Mark(seen.series, seen.at, published, MarkKind(seen.event)))
        elif seen.outcome and subject == JUDGE:
            judgements.append(_judgement(seen, name))
        elif seen.outcome:
            words.append(_word(seen, subject, name))
        else:
            data.append(_datum(seen))
    return World(data, marks, words, judgements)


def _datum(seen: FixtureObservation) -> Datum:
    return Datum(
        series=seen.series,
        key=seen.key or seen.at.isoformat(),
        at=seen.at,
        published=noon(seen.published or seen.at),
        value=seen.value,
        lower=seen.lower,
        upper=seen.upper,
        metric=seen.metric,
        version=seen.version,
        bound=seen.bound,
        withdrawn=seen.event == "withdrawn",
    )


def _word(seen: FixtureObservation, platform: str, external_id: str) -> Word:
    known = platform != PARENT and seen.outcome in set(OutcomeState)
    return Word(
        platform,
        external_id,
        OutcomeState(seen.outcome) if known else OutcomeState.VALUE,
        noon(seen.published or seen.at),
        source=seen.metric,
        value=seen.value,
        text=seen.outcome,
        resolved_at=noon(seen.at),
    )


def _judgement(seen: FixtureObservation, judge: str) -> Judgement:
    made_at = noon(seen.published or seen.at)
    return Judgement("-", "", judge, seen.outcome, made_at, ("-",), seen.value, seen.at)
