"""Invented worlds for questions on one stored series, or on one question of another platform."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from questions.fields import ANNUL, PENDING
from questions.question import Fixture, FixtureObservation

World = tuple[FixtureObservation, ...]

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class SeriesWorlds:
    """Worlds for a question on a metric of a series: entries count from ``opens`` to ``closes``.

    ``up`` says whether more is better, ``settled`` is the last day a report counts.
    """

    series: str
    metric: str
    up: bool
    opens: dt.date
    closes: dt.date
    settled: dt.date

    def of_level(self, at: float) -> Iterator[Fixture]:
        """Worlds of "is the level reached?": yes, no, annulled, not yet known, and the edges."""
        for name, world, day in self._edges(at):
            yield Fixture(name=name, world=world, expected="no" if day is None else "yes")
        yield from self._undecided(at)

    def of_date(self, at: float) -> Iterator[Fixture]:
        """The same worlds for "on which day?"."""
        for name, world, day in self._edges(at):
            expected = "not_by_deadline" if day is None else "date"
            yield Fixture(name=name, world=world, expected=expected, expected_on=day)
        yield from self._undecided(at)

    def of_value(self, at: float) -> Iterator[Fixture]:
        """Worlds of "what is the best figure?", which lies around ``at``."""
        better, worse = self._around(at)
        middle = self._middle

        def shows(name: str, value: float, *world: FixtureObservation) -> Fixture:
            return Fixture(name=name, world=world, expected="value", expected_value=value)

        one, two = self._seen(worse, self.opens), self._seen(better, middle)
        yield shows("one entry", worse, one)
        yield shows("the better of two", better, one, two)
        yield shows("a worse one later", better, self._seen(better, self.opens), self._seen(worse, middle))
        yield shows("the last day", better, one, self._seen(better, self.closes, published=self.settled))
        yield shows("a day after the close", worse, one, self._seen(better, self.closes + _DAY))
        yield shows("told too late", worse, one, self._seen(better, middle, published=self.settled + _DAY))
        yield shows("corrected in time", worse, one, two, self._seen(worse, middle, published=self.settled))
        yield shows(
            "corrected too late", better, one, two, self._seen(worse, middle, published=self.settled + _DAY)
        )
        yield shows("only a bound", worse, one, self._seen(better, middle, bound=self._bound))
        yield shows("another metric", worse, one, self._seen(better, middle, metric="another"))
        versions = (self._seen(worse, self.opens, version="1"), self._seen(better, middle, version="2"))
        yield shows("another version", worse, *versions)
        changed = self._event("method_changed", middle)
        yield shows("another method", worse, one, changed, self._seen(better, middle + _DAY))
        yield shows("taken back", worse, one, two, self._event("withdrawn", middle, published=self.settled))
        before = self._seen(better, self.opens - _DAY)
        yield Fixture(name="an older entry only", world=(before,), expected="none")
        yield Fixture(name="nothing was ever read", world=(), expected=ANNUL)
        yield Fixture(name="the source is gone", world=(one, self._event("gone", middle)), expected=ANNUL)
        yield Fixture(name="the source is silent", world=(one, self._event("silent", middle)), expected=ANNUL)
        back = (one, self._event("silent", middle - _DAY), two)
        yield shows("silent, then back", better, *back)
        yield Fixture(name="not over yet", world=(one,), expected=PENDING, asked_on=middle)

    @property
    def _middle(self) -> dt.date:
        return self.opens + (self.closes - self.opens) // 2

    @property
    def _bound(self) -> str:
        return "lower" if self.up else "upper"

    def _around(self, at: float) -> tuple[float, float]:
        """A better and a worse figure, both near."""
        step = max(abs(at), 0.01) / 50 * (1 if self.up else -1)
        return at + step, at - step

    def _seen(self, value: float, at: dt.date, **told: Any) -> FixtureObservation:
        return FixtureObservation(
            series=self.series, **{"metric": self.metric, "value": value, "at": at, **told}
        )

    def _event(self, event: Any, at: dt.date, **told: Any) -> FixtureObservation:
        return FixtureObservation(series=self.series, metric=self.metric, at=at, event=event, **told)

    def _edges(self, at: float) -> Iterator[tuple[str, World, dt.date | None]]:
        """Name, world, and the day on which the level is reached in it."""
        better, worse = self._around(at)
        middle, late = self._middle, self.settled + _DAY
        seen, event = self._seen, self._event
        first = seen(worse, self.opens)
        reached = seen(better, middle)
        yield "reached", (first, reached), middle
        yield "exactly at the level", (first, seen(at, middle)), middle
        yield "just short of it", (first, seen(worse, middle)), None
        yield "on the first day", (seen(better, self.opens), reached), self.opens
        yield "before the opening only", (seen(better, self.opens - _DAY), first), None
        yield "on the last day", (first, seen(better, self.closes, published=self.settled)), self.closes
        yield "a day after the close", (first, seen(better, self.closes + _DAY)), None
        yield "told a day too late", (first, seen(better, middle, published=late)), None
        yield "another metric", (first, seen(better, middle, metric="another")), None
        yield "corrected in time", (first, reached, seen(worse, middle, published=self.settled)), None
        yield "corrected too late", (first, reached, seen(worse, middle, published=late)), middle
        yield "taken back", (first, reached, event("withdrawn", middle, published=self.settled)), None
        versions = (seen(worse, self.opens, version="1"), seen(better, middle, version="2"))
        yield "another version", versions, None
        yield "a bound beyond it", (first, seen(at, middle, bound=self._bound)), middle
        yield "a bound short of it", (first, seen(worse, middle, bound=self._bound)), None
        changed = event("method_changed", middle)
        yield "another method", (first, changed, seen(better, middle + _DAY)), None
        yield "another method afterwards", (first, reached, event("method_changed", middle + _DAY)), middle
        yield "gone afterwards", (first, reached, event("gone", middle + _DAY)), middle

    def _undecided(self, at: float) -> Iterator[Fixture]:
        _, worse = self._around(at)
        first = self._seen(worse, self.opens)
        gone = (first, self._event("gone", self._middle))
        yield Fixture(name="the source is gone", world=gone, expected=ANNUL)
        silent = (first, self._event("silent", self._middle))
        yield Fixture(name="the source is silent", world=silent, expected=ANNUL)
        yield Fixture(name="nothing was ever read", world=(), expected=ANNUL)
        yield Fixture(name="not over yet", world=(first,), expected=PENDING, asked_on=self._middle)


def platform_worlds(platform: str, external_id: str, opens: dt.date, settled: dt.date) -> Iterator[Fixture]:
    """Worlds of a question that follows another platform's: every state it can be in, and when it says so."""
    name = f"{platform}:{external_id}"
    day = opens + (settled - opens) // 2

    def said(outcome: str, at: dt.date = day, **told: Any) -> FixtureObservation:
        return FixtureObservation(series=name, outcome=outcome, at=at, **told)

    yes, no = said("yes"), said("no")
    for state, expected in (("yes", "yes"), ("no", "no"), ("void", ANNUL), ("ambiguous", ANNUL)):
        yield Fixture(name=f"resolved {state}", world=(said(state),), expected=expected)
    yield Fixture(name="a fraction", world=(said("fraction", value=0.7),), expected=ANNUL)
    yield Fixture(name="on the last day", world=(said("yes", settled),), expected="yes")
    yield Fixture(name="a day too late", world=(said("yes", settled + _DAY),), expected=ANNUL)
    yield Fixture(name="never resolved", world=(), expected=ANNUL)
    yield Fixture(name="not resolved yet", world=(), expected=PENDING, asked_on=day)
    again = said("no", day, published=day + _DAY)
    yield Fixture(name="resolved again", world=(yes, again), expected="no")
    too_late = said("no", day, published=settled + _DAY)
    yield Fixture(name="resolved again too late", world=(yes, too_late), expected="yes")
    back = said("unresolved", day, published=day + _DAY)
    yield Fixture(name="opened again", world=(yes, back), expected=PENDING)
    two = (yes.model_copy(update={"metric": "one"}), no.model_copy(update={"metric": "other"}))
    yield Fixture(name="two sources differ", world=two, expected=PENDING)
    gone = FixtureObservation(series=name, at=day, event="gone")
    yield Fixture(name="the question is gone", world=(gone,), expected=ANNUL)
    yield Fixture(name="gone after it resolved", world=(yes, gone), expected="yes")


def judged_worlds(opens: dt.date, settled: dt.date) -> Iterator[Fixture]:
    """Worlds of a yes-or-no question that judges decide: who says what, and when."""
    day = opens + (settled - opens) // 2

    def says(judge: str, outcome: str, at: dt.date = settled) -> FixtureObservation:
        return FixtureObservation(series=f"judge:{judge}", outcome=outcome, at=at)

    yes, no = says("ada", "yes"), says("ada", "no")
    yield Fixture(name="both say yes", world=(yes, says("bob", "yes")), expected="yes")
    yield Fixture(name="both say no", world=(no, says("bob", "no")), expected="no")
    yield Fixture(name="both annul", world=(says("ada", ANNUL), says("bob", ANNUL)), expected=ANNUL)
    yield Fixture(
        name="a third judge says yes", world=(yes, says("bob", "no"), says("cyd", "yes")), expected="yes"
    )
    yield Fixture(
        name="a third judge says no", world=(yes, says("bob", "no"), says("cyd", "no")), expected="no"
    )
    yield Fixture(name="they differ", world=(yes, says("bob", "no")), expected=PENDING)
    yield Fixture(name="one alone", world=(yes,), expected=PENDING)
    early = (says("ada", "yes", day), says("bob", "yes", day))
    yield Fixture(name="both say yes early", world=early, expected="yes", asked_on=day)
    too_early = (says("ada", "no", day), says("bob", "no", day))
    yield Fixture(name="both say no early", world=too_early, expected=PENDING, asked_on=day)
    changed = (*too_early, yes, says("bob", "yes"))
    yield Fixture(name="both change their minds", world=changed, expected="yes")
    late = settled + _DAY
    afterwards = (says("ada", "yes", late), says("bob", "yes", late))
    yield Fixture(name="told a day late", world=afterwards, expected="yes", asked_on=late)
