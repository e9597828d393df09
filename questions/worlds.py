"""Invented worlds for generated questions: short courses of events and what the rule makes of them.

A question that cannot be decided in a world of a few dated observations cannot be decided in ours.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from questions.question import ANNUL, Battery, Fixture, FixtureObservation, Proxy

QUARTERS_NEEDED = 6

World = tuple[FixtureObservation, ...]


def quarter_ends(after: dt.datetime, until: dt.datetime) -> tuple[dt.date, ...]:
    """The last days of calendar quarters later than one moment's day and not later than another's."""
    months = ((year, month) for year in range(after.year, until.year + 2) for month in (1, 4, 7, 10))
    ends = (dt.date(year, month, 1) - dt.timedelta(days=1) for year, month in months)
    return tuple(end for end in ends if after.date() < end <= until.date())


def next_quarter_end(end: dt.date) -> dt.date:
    """The quarter end after a quarter end."""
    month = (end.month + 3) % 12 + 1
    year = end.year + (end.month + 3) // 12
    return dt.date(year, month, 1) - dt.timedelta(days=1)


@dataclass(frozen=True)
class Worlds:
    """Worlds for one multiple ``k``; ``quarters`` are the quarter ends a question may still see."""

    k: float
    need: int
    quarters: tuple[dt.date, ...]

    def of_ordering(
        self, a: Battery, b: Battery, wording: Mapping[str, str], before_open: tuple[dt.date, ...]
    ) -> Iterator[Fixture]:
        """Worlds for every outcome of "a or b first", and for both ways of coming to nothing."""
        early, following, late = self.quarters[1], self.quarters[2], self.quarters[4]
        tie, neither, both = (
            wording.get(name, ANNUL) for name in ("tie_outcome", "neither_outcome", "both_before_open")
        )
        holds, once, gone = self._holding, self._once, self._vanished
        yield Fixture(name="a well before b", world=holds(a, early) + holds(b, late), expected=a.area)
        yield Fixture(name="b well before a", world=holds(b, early) + holds(a, late), expected=b.area)
        yield Fixture(name="only a crosses", world=holds(a, late), expected=a.area)
        yield Fixture(name="same quarter end", world=holds(a, early) + holds(b, early), expected=tie)
        yield Fixture(name="next quarter end", world=holds(a, early) + holds(b, following), expected=tie)
        yield Fixture(name="nobody holds twice", world=once(a, early) + once(b, late), expected=neither)
        yield Fixture(name="all sources vanish", world=gone(a) + gone(b), expected=ANNUL)
        first = before_open[0]
        yield Fixture(name="both before open", world=holds(a, first) + holds(b, first), expected=both)

    def of_date(self, battery: Battery) -> Iterator[Fixture]:
        """Worlds with a date, without one, and without a source."""
        day = self.quarters[1]
        yield Fixture(name="crosses", world=self._holding(battery, day), expected="date", expected_on=day)
        yield Fixture(name="holds once only", world=self._once(battery, day), expected="not_by_deadline")
        yield Fixture(name="all sources vanish", world=self._vanished(battery), expected=ANNUL)

    def _holding(self, battery: Battery, first: dt.date) -> World:
        """As many proxies as are needed are above the threshold at a quarter end and at the next one."""
        return self._once(battery, first) + self._once(battery, next_quarter_end(first))

    def _once(self, battery: Battery, day: dt.date) -> World:
        used = battery.deciding(self.k)[: self.need]
        gates = tuple(
            FixtureObservation(at=day, series=f"{battery.area}.{proxy.gated_by}", value=1.0, lower=1.0)
            for proxy in used
            if proxy.gated_by
        )
        return gates + tuple(self._reading(battery, proxy, day) for proxy in used)

    def _reading(self, battery: Battery, proxy: Proxy, day: dt.date) -> FixtureObservation:
        return FixtureObservation(
            at=day, series=f"{battery.area}.{proxy.id}", value=1.5 * self.k, lower=1.1 * self.k
        )

    def _vanished(self, battery: Battery) -> World:
        """Before the first evaluation every source is gone, and the panel never meets."""
        day = self.quarters[0]
        series = [proxy.id for proxy in battery.deciding(self.k)]
        gone = tuple(
            FixtureObservation(at=day, series=f"{battery.area}.{name}", event="gone") for name in series
        )
        return (*gone, FixtureObservation(at=day, series=f"{battery.area}.panel", event="silent"))
