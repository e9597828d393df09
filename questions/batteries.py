"""When has an area crossed? The battery rule: the same proxies hold at quarter ends in a row.

A quarter end that cannot be judged (too few live proxies and no panel, or not over yet) may still have been a
crossing. Every day that could be the crossing is carried along, so that the outcome is decided exactly when
nothing unknown could change it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from questions.evidence import Datum, Evidence, Mark, MarkKind, noon
from questions.fields import Gone, MethodChange, Silent
from questions.question import Battery, Proxy, Question
from questions.readings import COMPARATORS, Reader, meets
from questions.worlds import quarter_ends

Day = date | None
ALL = -1
"""A quarter end at which everything holds: as a set of bits, the neutral element of "and"."""

LOOK_BACK = timedelta(days=3 * 366)


@dataclass
class Crossing:
    """The days an area may have crossed on, in order, None (never, so far) last; one alone is certain."""

    days: list[Day]
    used: list[Datum] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    unjudged: list[date] = field(default_factory=list)

    @property
    def first(self) -> Day:
        return self.days[0]


@dataclass(frozen=True, slots=True)
class _Proxy:
    bit: int
    series: str
    gate: str | None


class BatteryReader:
    """Reads the batteries of one question."""

    def __init__(self, question: Question, reader: Reader) -> None:
        rule, threshold = question.battery, question.threshold
        assert rule is not None
        assert threshold is not None
        self._rule, self._threshold, self._reader = rule, threshold, reader
        self._beats = COMPARATORS[threshold.comparator]
        self._grace = timedelta(days=question.dates.report_grace_days or 0)
        close = question.dates.close
        after = close + timedelta(days=100 * (rule.quarters - 1))
        before = quarter_ends(self._first_look(question), question.dates.open)
        ends = (*before, *quarter_ends(question.dates.open, after))
        self._may_cross = sum(1 for end in ends if noon(end) <= close)
        self._ends = ends[: self._may_cross + rule.quarters - 1]
        self._place = {end: place for place, end in enumerate(self._ends)}
        self._opened = len(before)
        self._panel = question.panel is not None
        self._proxies = {battery.area: self._deciding(battery) for battery in rule.arms}
        resolution = question.resolution
        gone = resolution.if_gone.then if resolution.if_gone else Gone.DROP
        silent = resolution.if_silent.then if resolution.if_silent else Silent.DROP
        method = resolution.if_method_changes.then if resolution.if_method_changes else MethodChange.DROP
        self._drops = {
            MarkKind.GONE: gone not in (Gone.LAST_SNAPSHOT, Gone.DEFAULT_OUTCOME),
            MarkKind.SILENT: silent not in (Silent.LAST_VALUE, Silent.DEFAULT_OUTCOME),
            MarkKind.METHOD_CHANGED: method is not MethodChange.ACCEPT,
        }

    @staticmethod
    def _first_look(question: Question) -> datetime:
        """No quarter end before the end of the baseline can be a crossing."""
        base = question.baseline
        if base is not None and base.window_end is not None:
            return min(noon(base.window_end), question.dates.open)
        return question.dates.open - LOOK_BACK

    def _deciding(self, battery: Battery) -> tuple[_Proxy, ...]:
        by_id = {proxy.id: proxy for proxy in battery.proxies}

        def gate(proxy: Proxy) -> str | None:
            return battery.series(by_id[proxy.gated_by]) if proxy.gated_by else None

        return tuple(
            _Proxy(1 << place, battery.series(proxy), gate(proxy))
            for place, proxy in enumerate(battery.deciding(self._threshold.value))
        )

    @property
    def series(self) -> tuple[str, ...]:
        """Every series the rule reads: proxies, their gates, and the panels."""
        found: list[str] = []
        for area, proxies in self._proxies.items():
            for proxy in proxies:
                found.append(proxy.series)
                found += [proxy.gate] if proxy.gate else []
            if self._panel:
                found.append(f"{area}.panel")
        return tuple(dict.fromkeys(found))

    def crossing(self, world: Evidence, area: str, cutoff: datetime, *, final: bool) -> Crossing:
        """The days an area may have crossed on, as known at an instant; ``final``: every quarter is over."""
        known = [0] * len(self._ends)
        held: list[tuple[int, int, Datum]] = []
        for proxy in self._proxies[area]:
            for place, datum in self._holding(world, proxy, cutoff):
                known[place] |= proxy.bit
                held.append((place, proxy.bit, datum))
        unjudged, marks = self._unjudged(world, area, cutoff, known, held)
        possible = known
        if unjudged or not final:
            possible = list(known)
            for place in unjudged:
                possible[place] = ALL
            if not final:
                for place in range(self._opened, len(self._ends)):
                    if noon(self._ends[place]) + self._grace > cutoff:
                        possible[place] = ALL
        found = Crossing(self._candidates(known, possible), marks=marks)
        found.unjudged = [self._ends[place] for place in unjudged]
        if found.first is not None:
            start = self._place[found.first]
            window = range(start, start + self._rule.quarters)
            found.used = [datum for place, bit, datum in held if place in window and known[place] & bit]
        return found

    def _candidates(self, known: Sequence[int], possible: Sequence[int]) -> list[Day]:
        days: list[Day] = []
        quarters = self._rule.quarters
        for place in range(self._may_cross):
            if possible[place]:
                certain = perhaps = ALL
                for offset in range(place, place + quarters):
                    certain &= known[offset]
                    perhaps &= possible[offset]
                if self._enough(certain):
                    days.append(self._ends[place])
                    return days
                if self._enough(perhaps):
                    days.append(self._ends[place])
        days.append(None)
        return days

    def _enough(self, held: int) -> bool:
        return held < 0 or held.bit_count() >= self._rule.need

    def _holding(self, world: Evidence, proxy: _Proxy, cutoff: datetime) -> list[tuple[int, Datum]]:
        """Where a proxy's lower interval end meets the threshold, once its gate is passed."""
        passed = self._passed(world, proxy.gate, cutoff) if proxy.gate else date.min
        if passed is None:
            return []
        beats, k, level = self._beats, self._threshold.value, self._rule.level
        lower_end, places = self._reader.lower_end, self._place
        return [
            (places[datum.at], datum)
            for datum in self._reader.accounts(world, proxy.series, cutoff).points
            if (lower := lower_end(datum) if datum.bound else datum.lower) is not None
            and beats(lower, k)
            and (datum.level is None or datum.level >= level)
            and datum.at in places
            and passed <= datum.at
        ]

    def _passed(self, world: Evidence, gate: str, cutoff: datetime) -> Day:
        """The first day on which a gate's interval lay above zero."""
        points = self._reader.accounts(world, gate, cutoff).points
        days = [datum.at for datum in points if datum.lower is not None and datum.lower > 0]
        return min(days, default=None)

    # who is live

    def _unjudged(
        self,
        world: Evidence,
        area: str,
        cutoff: datetime,
        known: list[int],
        held: list[tuple[int, int, Datum]],
    ) -> tuple[list[int], list[Mark]]:
        """Quarter ends nobody can speak for; what dead proxies held is taken out, what the panel said put in."""
        deaths = [
            (proxy, marks) for proxy in self._proxies[area] if (marks := self._marks(world, proxy, cutoff))
        ]
        if not deaths:
            return [], []
        panel = self._answers(world, area, cutoff)
        unjudged: list[int] = []
        for place, end in enumerate(self._ends):
            dead = [proxy for proxy, marks in deaths if self._dead(world, proxy, marks, end, cutoff)]
            for proxy in dead:
                known[place] &= ~proxy.bit
            if len(self._proxies[area]) - len(dead) >= self._rule.need:
                continue
            answer = panel.get(end)
            if answer is None or answer.value is None:
                known[place] = 0
                if place >= self._opened:
                    unjudged.append(place)
            else:
                known[place] = ALL if meets(self._threshold, answer.value) else 0
                held.append((place, ALL, answer))
        return unjudged, [mark for _, marks in deaths for mark in marks]

    def _answers(self, world: Evidence, area: str, cutoff: datetime) -> dict[date, Datum]:
        """What the panel said of an area by quarter end; nothing where the question has no panel."""
        told = self._reader.accounts(world, f"{area}.panel", cutoff).points if self._panel else ()
        return {datum.at: datum for datum in told if datum.value is not None}

    def _marks(self, world: Evidence, proxy: _Proxy, cutoff: datetime) -> list[Mark]:
        return [m for m in world.marks(proxy.series) if m.published <= cutoff and self._drops[m.kind]]

    @staticmethod
    def _dead(world: Evidence, proxy: _Proxy, marks: Sequence[Mark], end: date, cutoff: datetime) -> bool:
        """Whether a proxy's source had failed by a quarter end and given no reading since."""
        past = [mark for mark in marks if mark.at <= end]
        if not past:
            return False
        if any(mark.kind is MarkKind.METHOD_CHANGED for mark in past):
            return True
        last = max(mark.at for mark in past)
        return not any(last <= d.at <= end and d.published <= cutoff for d in world.data(proxy.series))


def nth(crossings: Sequence[Crossing], wanted: int) -> list[Day]:
    """The days on which as many areas as wanted may have crossed, in order, None last."""
    if len(crossings) == 1:
        return crossings[0].days
    earliest = _in_order([crossing.days[0] for crossing in crossings])[wanted - 1]
    latest = _in_order([crossing.days[-1] for crossing in crossings])[wanted - 1]
    days = _in_order(list({day for crossing in crossings for day in crossing.days}))
    return days[days.index(earliest) : days.index(latest) + 1]


def _in_order(days: list[Day]) -> list[Day]:
    return sorted(days, key=lambda day: (day is None, day or date.min))
