"""Invented worlds for generated questions: short courses of events and what the rule makes of them.

A question that cannot be decided in a world of a few dated observations cannot be decided in ours.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from questions.fields import ANNUL
from questions.question import Battery, Fixture, FixtureObservation, Proxy

QUARTERS_NEEDED = 6

World = tuple[FixtureObservation, ...]
Edges = tuple[tuple[str, World, bool], ...]


def quarter_ends(after: dt.datetime, until: dt.datetime) -> tuple[dt.date, ...]:
    """The last days of calendar quarters later than one moment's day and not later than another's."""
    months = ((year, month) for year in range(after.year, until.year + 2) for month in (1, 4, 7, 10))
    ends = (dt.date(year, month, 1) - dt.timedelta(days=1) for year, month in months)
    return tuple(end for end in ends if after.date() < end <= until.date())


def quarters_over(after: dt.datetime, by: dt.datetime) -> tuple[dt.date, ...]:
    """The quarter ends later than one moment's day whose last second has passed by another."""
    return quarter_ends(after, by - dt.timedelta(hours=24) + dt.timedelta(seconds=1))


def next_quarter_end(end: dt.date) -> dt.date:
    """The quarter end after a quarter end."""
    month = (end.month + 3) % 12 + 1
    year = end.year + (end.month + 3) // 12
    return dt.date(year, month, 1) - dt.timedelta(days=1)


@dataclass(frozen=True)
class Side:
    """One arm of an ordering: its key, its areas' batteries, and how many of them must cross."""

    key: str
    batteries: tuple[Battery, ...]
    needed: int = 1


@dataclass(frozen=True)
class Worlds:
    """Worlds for one multiple ``k``; ``panel`` says whether people answer where proxies cannot.

    ``quarters`` are the quarter ends a question may still see, ``settled`` the last day a report counts.
    """

    k: float
    need: int
    quarters: tuple[dt.date, ...]
    settled: dt.date
    panel: bool = True
    _known: dict[tuple[str, int], Edges] = field(default_factory=dict, compare=False)
    _seen: dict[tuple[object, ...], tuple[Battery, World]] = field(default_factory=dict, compare=False)

    def of_ordering(
        self, a: Side, b: Side, wording: Mapping[str, str], before_open: tuple[dt.date, ...]
    ) -> Iterator[Fixture]:
        """Worlds for every outcome of "a or b first", for both ways of coming to nothing, and for the edges."""
        early, following, later, late = self.quarters[1:5]
        tie, neither, both = (
            wording.get(name, ANNUL) for name in ("tie_outcome", "neither_outcome", "both_before_open")
        )
        holds, once, gone = self._holding, self._once, self._vanished
        first = before_open[0]
        yield Fixture(name="a well before b", world=holds(a, early) + holds(b, late), expected=a.key)
        yield Fixture(name="b well before a", world=holds(b, early) + holds(a, late), expected=b.key)
        yield Fixture(name="only a crosses", world=holds(a, late), expected=a.key)
        yield Fixture(name="same quarter end", world=holds(a, early) + holds(b, early), expected=tie)
        yield Fixture(name="next quarter end", world=holds(a, early) + holds(b, following), expected=tie)
        yield Fixture(name="two quarter ends", world=holds(a, early) + holds(b, later), expected=a.key)
        yield Fixture(name="nobody holds twice", world=once(a, early) + once(b, late), expected=neither)
        yield Fixture(name="all sources vanish", world=gone(a) + gone(b), expected=ANNUL)
        yield Fixture(name="both before open", world=holds(a, first) + holds(b, first), expected=both)
        yield Fixture(name="one before open", world=holds(a, first) + holds(b, early), expected=a.key)
        around = holds(a, before_open[-1]) + holds(b, self.quarters[0])
        yield Fixture(name="neighbours around the opening", world=around, expected=tie)
        if a.needed > 1:
            fewer = Side(a.key, a.batteries, a.needed - 1)
            yield Fixture(name="one area too few", world=holds(fewer, early), expected=neither)
            yield Fixture(
                name="enough areas later", world=holds(fewer, early) + holds(b, later), expected=b.key
            )
        for name, world, crosses in self._edges(a):
            yield Fixture(name=f"a {name}", world=world, expected=a.key if crosses else neither)

    def of_date(self, battery: Battery) -> Iterator[Fixture]:
        """Worlds with a date, without one, without a source, and at the edges."""
        day = self.quarters[1]
        side = Side(battery.area, (battery,))
        yield Fixture(name="crosses", world=self._holding(side, day), expected="date", expected_on=day)
        yield Fixture(name="holds once only", world=self._once(side, day), expected="not_by_deadline")
        yield Fixture(name="all sources vanish", world=self._vanished(side), expected=ANNUL)
        for name, world, crosses in self._edges(side):
            expected = "date" if crosses else "not_by_deadline"
            yield Fixture(
                name=name, world=world, expected=expected, expected_on=world[-1].at if crosses else None
            )

    def _edges(self, side: Side) -> Edges:
        """The edges of an area, shared by all its questions."""
        if (side.key, side.needed) not in self._known:
            self._known[side.key, side.needed] = self._made_edges(side)
        return self._known[side.key, side.needed]

    def _made_edges(self, side: Side) -> Edges:
        """Name, world, and whether the area crosses in it; the last observation is then of the crossing day."""
        day, last = self.quarters[1], self.quarters[-1]
        after = next_quarter_end(day)
        too_late = self.settled + dt.timedelta(days=1)
        below = 0.5 * self.k

        def twice(**told: Any) -> World:
            return self._once(side, after, **told) + self._once(side, day, **told)

        def again(**told: Any) -> World:
            return self._once(side, day, **told)

        bound = {"lower": None, "bound": "lower"}
        gated = any(
            proxy.gated_by for battery in side.batteries[: side.needed] for proxy in self._used(battery)
        )
        return (
            ("reaches exactly k", twice(lower=self.k), True),
            ("stays just below k", twice(lower=0.999 * self.k), False),
            ("is only known to be above k", twice(**bound), True),
            ("is only known to be above half of k", twice(value=below, **bound), False),
            ("is told on the last day", twice(published=self.settled), True),
            ("is told a day too late", twice(published=too_late), False),
            ("is corrected in time", twice() + again(lower=below, published=self.settled), False),
            ("is corrected too late", again(lower=below, published=too_late) + twice(), True),
            (
                "is measured by another version",
                self._once(side, self.quarters[0], lower=below, version="1") + twice(version="2"),
                False,
            ),
            *self._of_panel(side, day, after),
            *((("is held back by its gate", self._holding(side, day, gates=False), False),) if gated else ()),
            ("loses its sources afterwards", self._vanished(side, self.quarters[3]) + twice(), True),
            ("is confirmed after the close", self._holding(side, last)[::-1], True),
        )

    def _of_panel(self, side: Side, day: dt.date, after: dt.date) -> Edges:
        """From a day on no proxy is live: what the panel says of that quarter end and the next stands for them."""
        if not self.panel:
            return ()
        gone = self._vanished(side, day, panel=False)

        def says(value: float) -> World:
            return tuple(
                FixtureObservation(at=end, series=f"{battery.area}.panel", value=value)
                for end in (after, day)
                for battery in side.batteries
            )

        back = tuple(
            self._reading(battery, proxy, next_quarter_end(after), lower=0.5 * self.k)
            for battery in side.batteries
            for proxy in self._used(battery)
        )
        return (
            ("is seen at k by its panel alone", gone + back + says(self.k), True),
            ("is seen just below k by its panel alone", gone + back + says(0.999 * self.k), False),
        )

    def _holding(self, side: Side, first: dt.date, *, gates: bool = True) -> World:
        """As many proxies as are needed are above the threshold at a quarter end and at the next one."""
        return self._once(side, first, gates=gates) + self._once(side, next_quarter_end(first), gates=gates)

    def _once(self, side: Side, day: dt.date, *, gates: bool = True, **told: Any) -> World:
        areas = side.batteries[: side.needed]
        return tuple(seen for battery in areas for seen in self._of_area(battery, day, gates=gates, **told))

    def _used(self, battery: Battery) -> tuple[Proxy, ...]:
        return battery.deciding(self.k)[: self.need]

    def _of_area(self, battery: Battery, day: dt.date, *, gates: bool, **told: Any) -> World:
        """What is seen of an area on a day, shared by all worlds in which it is."""
        what = (id(battery), day, gates, *sorted(told.items()))
        if what not in self._seen:
            made = self._made_of_area(battery, day, gates=gates, **told)
            self._seen[what] = battery, made  # kept, so is its id
        return self._seen[what][1]

    def _made_of_area(self, battery: Battery, day: dt.date, *, gates: bool, **told: Any) -> World:
        used = self._used(battery)
        passed = tuple(
            FixtureObservation(at=day, series=f"{battery.area}.{proxy.gated_by}", value=1.0, lower=1.0)
            for proxy in used
            if proxy.gated_by and gates
        )
        return passed + tuple(self._reading(battery, proxy, day, **told) for proxy in used)

    def _reading(self, battery: Battery, proxy: Proxy, day: dt.date, **told: Any) -> FixtureObservation:
        seen = {"value": 1.5 * self.k, "lower": 1.1 * self.k, **told}
        return FixtureObservation(at=day, series=battery.series(proxy), **seen)

    def _vanished(self, side: Side, day: dt.date | None = None, *, panel: bool = True) -> World:
        """From a day on (the first evaluation) every source is gone, and with ``panel`` the panel never meets."""
        day = day or self.quarters[0]
        gone: list[FixtureObservation] = []
        for battery in side.batteries:
            gone += [
                FixtureObservation(at=day, series=battery.series(proxy), event="gone")
                for proxy in battery.deciding(self.k)
            ]
            if self.panel and panel:
                gone.append(FixtureObservation(at=day, series=f"{battery.area}.panel", event="silent"))
        return tuple(gone)
