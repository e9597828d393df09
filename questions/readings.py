"""What a series says, as the record wants it read: version, revision, bounds, window, failures."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from questions.evidence import Datum, Evidence, Look, Mark, MarkKind, noon
from questions.fields import BoundOnly, MethodChange, Revised
from questions.question import EventBasis, Question, Threshold, VersionPolicy
from questions.rules import SeriesRule

COMPARATORS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}

Test = Callable[["Selection"], bool]


class Accounts(NamedTuple):
    """The accounts of some series' points that count by the policies on versions, methods and revisions.

    ``changed`` is the first datum of another version where a change annuls, ``method`` the mark of a changed
    method; what came from then on is left out.
    """

    points: Sequence[Datum]
    changed: Datum | None = None
    method: Mark | None = None


class Point(NamedTuple):
    """A datum with the number that is compared, its moment, and whether it meets the threshold.

    ``meets`` is None when there is no threshold or a bound leaves it open.
    """

    datum: Datum
    number: float
    moment: datetime
    meets: bool | None


@dataclass(frozen=True, slots=True)
class Selection:
    """What a rule may use of its series, in order of moment, and how the source failed."""

    points: tuple[Point, ...]
    meeting: tuple[Point, ...]
    unclear: tuple[Point, ...]
    accounts: Accounts
    failure: Mark | None
    known: bool
    last_look: Look | None

    def statistic(self, name: str) -> Point | None:
        """The point that is the greatest, least or newest; of equals the earliest."""
        if not self.points:
            return None
        if name == "max":
            return max(self.points, key=lambda point: point.number)
        if name == "min":
            return min(self.points, key=lambda point: point.number)
        return max(self.points, key=lambda point: (point.datum.at, point.moment))


def meets(threshold: Threshold, number: float) -> bool:
    """Whether a number meets a threshold; exactly at it, the comparator decides."""
    return COMPARATORS[threshold.comparator](number, threshold.value)


class Reader:
    """Reads series for one question."""

    def __init__(self, question: Question, deadline: datetime) -> None:
        resolution, measurement = question.resolution, question.measurement
        self._threshold = question.threshold
        self._opens, self._close, self._deadline = question.dates.open, question.dates.close, deadline
        basis = question.dates.event_basis
        self._by_publication = basis not in (None, EventBasis.EVENT_DATE)
        self._policy = measurement.version_policy
        self._pins = self._policy not in (None, VersionPolicy.LATEST)
        self._pin = measurement.version
        changeable = (VersionPolicy.NAMED_SUCCESSOR, VersionPolicy.ANNUL_ON_CHANGE)
        self._successors = measurement.successors if self._policy in changeable else ()
        self._bound = resolution.if_bound_only.then if resolution.if_bound_only else BoundOnly.NOT_COUNTED
        self._method = resolution.if_method_changes.then if resolution.if_method_changes else None
        self._revised = resolution.if_revised.then if resolution.if_revised else Revised.LATEST

    def names(self, series: str) -> tuple[str, ...]:
        """A series and those that may take its place."""
        if not self._successors:
            return (series,)
        return (series, *(name for name in self._successors if name != series))

    # accounts

    def accounts(self, world: Evidence, series: str, cutoff: datetime) -> Accounts:
        """What counts of a series as known at an instant."""
        told = self._told(world, self.names(series), cutoff)
        method = self._changed_method(world, series, cutoff)
        if method is not None:
            told = [datum for datum in told if datum.published < method.published]
        changed: Datum | None = None
        if self._pins and any(datum.version for datum in told):
            allowed = self._allowed(told)
            others = [datum for datum in told if not allowed(datum)]
            if others and self._policy is VersionPolicy.ANNUL_ON_CHANGE:
                changed = others[0]
                told = [datum for datum in told if datum.published < changed.published]
            elif others:
                told = [datum for datum in told if allowed(datum)]
        return Accounts(self._current(told), changed, method)

    def _told(self, world: Evidence, names: Sequence[str], cutoff: datetime) -> Sequence[Datum]:
        last = min(cutoff, self._deadline) if self._by_publication else cutoff
        if len(names) == 1:
            told = world.data(names[0])
            return told if not told or told[-1].published <= last else _until(told, last)
        several = [datum for name in names for datum in _until(world.data(name), last)]
        return sorted(several, key=lambda datum: datum.published)

    def _changed_method(self, world: Evidence, series: str, cutoff: datetime) -> Mark | None:
        if self._method is MethodChange.ACCEPT:
            return None
        for mark in world.marks(series):
            if mark.kind is MarkKind.METHOD_CHANGED and mark.published <= cutoff:
                return mark if noon(mark.at) <= self._deadline else None
        return None

    def _allowed(self, told: Sequence[Datum]) -> Callable[[Datum], bool]:
        """Whether a datum's version counts. One without a version is of the only one there is."""
        pin = self._pin
        if not pin:
            before = [datum for datum in told if datum.published <= self._opens]
            pin = before[-1].version if before else told[0].version if told else ""
        versions = {"", pin}
        if self._policy is VersionPolicy.NAMED_SUCCESSOR:
            versions.update(self._successors)
        return lambda datum: datum.version in versions

    def _current(self, told: Sequence[Datum]) -> Sequence[Datum]:
        """One account a point: the one that the policy on revisions lets count."""
        if len({(datum.series, datum.metric, datum.key) for datum in told if not datum.withdrawn}) == len(
            told
        ):
            return told
        standing: dict[tuple[str, str, str], Datum] = {}
        for datum in told:
            key = (datum.series, datum.metric, datum.key)
            known = standing.get(key)
            if known is not None and not self._corrects(datum):
                continue
            if not datum.withdrawn:
                standing[key] = datum
            elif known is not None:
                del standing[key]
        return list(standing.values())

    def _corrects(self, later: Datum) -> bool:
        if self._revised is Revised.FIRST_PUBLISHED:
            return False
        return self._revised is Revised.LATEST or later.published <= self._close

    # selections

    def select(self, rule: SeriesRule, world: Evidence, cutoff: datetime) -> Selection:
        """What a rule may use of its series as known at an instant."""
        accounts = self.accounts(world, rule.series, cutoff)
        wanted = [
            datum
            for datum in accounts.points
            if rule.metric in ("", datum.metric) and rule.key in ("", datum.key)
        ]
        weighed = [point for datum in wanted if (point := self._weigh(rule, world, datum)) is not None]
        dated = sorted(
            [point for point in weighed if self._in_window(rule, point)],
            key=lambda point: (point.moment, point.datum.series, point.datum.metric, point.datum.key),
        )
        known = bool(wanted) or (self._by_publication and bool(_until(world.data(rule.series), cutoff)))
        looks = world.looks(rule.series)
        last_look = next((look for look in reversed(looks) if look.at <= cutoff), None)
        unclear = [point for point in dated if point.datum.bound and point.meets is None]
        clear = dated
        if unclear and self._bound is not BoundOnly.AS_VALUE:
            clear = [point for point in dated if not point.datum.bound or point.meets is not None]
        return Selection(
            tuple(clear),
            tuple([point for point in dated if point.meets]),
            tuple(unclear),
            accounts,
            self._failure(world, rule.series, cutoff),
            known,
            last_look,
        )

    def confirmed(
        self, rule: SeriesRule, world: Evidence, cutoff: datetime, test: Test, now: Selection
    ) -> bool:
        """Whether as many looks in a row as the rule wants, the last one included, pass a test."""
        if rule.looks == 1:
            return test(now)
        looks = [look.at for look in world.looks(rule.series) if look.at <= cutoff][-rule.looks :]
        return len(looks) == rule.looks and all(test(self.select(rule, world, at)) for at in looks)

    def _in_window(self, rule: SeriesRule, point: Point) -> bool:
        return point.moment <= self._deadline and (rule.since is None or rule.since <= point.moment)

    def moment(self, world: Evidence, datum: Datum) -> datetime:
        """When the event counts as having happened: its day's noon, or when its account was first published."""
        if not self._by_publication:
            return noon(datum.at)
        same = [
            other
            for other in world.data(datum.series)
            if (other.metric, other.key) == (datum.metric, datum.key) and other.published <= datum.published
        ]
        since = datum.published
        for other in reversed(same):
            if (other.value, other.lower, other.upper) != (datum.value, datum.lower, datum.upper):
                break
            since = other.published
        return since

    def _weigh(self, rule: SeriesRule, world: Evidence, datum: Datum) -> Point | None:
        """A datum as the rule reads it; None when it does not count at all."""
        number: float | None = getattr(datum, rule.reading)
        bounded = datum.bound and self._bound is not BoundOnly.AS_VALUE
        if bounded:
            if self._bound is BoundOnly.NOT_COUNTED:
                return None
            end = datum.lower if datum.bound == "lower" else datum.upper
            number = datum.value if end is None else end
        if number is None:
            return None
        verdict: bool | None = None
        if self._threshold is not None:
            verdict = meets(self._threshold, number)
            if bounded:
                away = (datum.bound == "lower") == (self._threshold.comparator in (">", ">="))
                verdict = verdict if verdict == away else None
        return Point(datum, number, self.moment(world, datum), verdict)

    def lower_end(self, datum: Datum) -> float | None:
        """The lower end of a ratio's interval; a bare "at least" is one where the record lets it count."""
        if not datum.bound:
            return datum.lower
        if self._bound in (BoundOnly.NOT_COUNTED, BoundOnly.ANNUL):
            return None
        return datum.value if datum.lower is None and datum.bound == "lower" else datum.lower

    def _failure(self, world: Evidence, series: str, cutoff: datetime) -> Mark | None:
        """How the source has failed and not come back by an instant."""
        failed = [
            mark
            for mark in world.marks(series)
            if mark.kind is not MarkKind.METHOD_CHANGED and mark.published <= cutoff
        ]
        if not failed:
            return None
        back = any(failed[-1].published < datum.published <= cutoff for datum in world.data(series))
        return None if back else failed[-1]


def _until(told: Iterable[Datum], last: datetime) -> list[Datum]:
    return [datum for datum in told if datum.published <= last]
