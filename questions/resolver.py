"""What does a question come to, given what was known at an instant? Pure, total, deterministic.

``Resolver(question).verdict(world, now)`` reads the record and the world and nothing else: two people with
the same evidence, and a program, get the same answer. Before ``dates.settled_by`` only what more reports of the
same kind cannot undo decides (a correction still can, and the question is then resolved again); on that day
everything published so far decides. What comes later counts only while the record leaves the question
undecided. A day without a time is its noon UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TypeVar

from questions.batteries import BatteryReader, Crossing, Day, nth
from questions.evidence import PARENT, Evidence, Judgement, Mark, Word, noon, world_of
from questions.fields import ANNUL, PENDING, BoundOnly, Gone, MethodChange, Silent
from questions.model import QuestionKind
from questions.question import Fixture, Ordering, Question
from questions.readings import Point, Reader, Selection
from questions.records import OutcomeState
from questions.rules import (
    FirstCrossing,
    PlatformOutcome,
    SeriesOrder,
    SeriesRule,
    SeriesThreshold,
    SeriesValue,
)
from questions.time import iso
from questions.verdicts import End, Finding, State, Used, Verdict

JUDGES_NEEDED = 2

_Told = TypeVar("_Told", Word, Mark)


def resolve(question: Question, world: Evidence, now: datetime) -> Verdict:
    """The verdict on a question in a world at an instant. For many worlds keep one ``Resolver``."""
    return Resolver(question).verdict(world, now)


class Resolver:
    """Resolves one question in any number of worlds."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self._dates, self._settled = question.dates, question.dates.settled_by
        self._deadline = question.dates.close
        if question.date_range is not None:
            self._deadline = min(self._deadline, question.date_range.upper)
        self._reader = Reader(question, self._deadline)
        self._battery = None if question.battery is None else BatteryReader(question, self._reader)
        silent = question.resolution.if_silent
        self._waits = silent is None or silent.then is Silent.WAIT
        self._hit = next(name for name in question.outcomes if name != question.default_outcome)

    # what it reads

    @property
    def rule(self) -> str:
        """The kind of rule that decides; without one in the record people do."""
        if self.question.battery is not None:
            return "battery"
        return self.question.rule.kind if self.question.rule is not None else "judged"

    @property
    def primary_series(self) -> tuple[str, ...]:
        """Every series the rule names."""
        rule = self.question.rule
        if self._battery is not None:
            return self._battery.series
        picks = (rule.a, rule.b) if isinstance(rule, SeriesOrder) else (rule,)
        return tuple(dict.fromkeys(pick.series for pick in picks if isinstance(pick, SeriesRule)))

    @property
    def series(self) -> tuple[str, ...]:
        """Every series the rule reads, successors included."""
        named = [self._reader.names(series) for series in self.primary_series]
        return tuple(dict.fromkeys(name for names in named for name in names))

    @property
    def words(self) -> tuple[tuple[str, str], ...]:
        """(platform, external id) of every question elsewhere, or of our own, that the rule reads."""
        found: list[tuple[str, str]] = []
        if isinstance(self.question.rule, PlatformOutcome):
            found.append((self.question.rule.platform, self.question.rule.external_id))
        if self.question.conditional is not None:
            found.append((PARENT, self.question.conditional.parent))
        return tuple(found)

    # verdicts

    def verdict(self, world: Evidence, now: datetime) -> Verdict:
        """What the question comes to with everything the world had published by ``now``."""
        if now < self._dates.open:
            found = Finding(End.WAITING, f"opens on {iso(self._dates.open)}")
        elif now < self._settled:
            found = self._decide(world, now, final=False)
        else:
            found = self._settle(world, now)
        return Verdict(
            question=self.question.id,
            state=self._state(found, now),
            rule=self.rule,
            outcome=found.outcome,
            value=found.value,
            on=found.on,
            resolved_at=found.at,
            used=found.used,
            computed=found.computed,
            reason=found.reason,
        )

    def _state(self, found: Finding, now: datetime) -> State:
        if found.end is End.DECIDED:
            return State.RESOLVED
        if found.end is End.VOID:
            return State.VOID
        if found.end is End.DISPUTED:
            return State.DISPUTED
        if now < self._dates.close:
            return State.OPEN
        if now >= self._settled:
            return State.OVERDUE
        waits = found.end is End.WAITING and now < self._dates.resolve
        return State.CLOSED if waits else State.AWAITING_DATA

    def _settle(self, world: Evidence, now: datetime) -> Finding:
        """On the last day everything decides; while it does not, the first later word that does."""
        found = self._decide(world, self._settled, final=True)
        if not found.decided:
            for at in self._later(world, now):
                found = self._decide(world, at, final=True)
                if found.decided:
                    break
        return found

    def _later(self, world: Evidence, now: datetime) -> list[datetime]:
        told = [judgement.made_at for judgement in world.judgements()]
        told += [word.published for key in self.words for word in world.words(*key)]
        told += [datum.published for name in self.series for datum in world.data(name)]
        return sorted({at for at in told if self._settled < at <= now})

    def _decide(self, world: Evidence, cutoff: datetime, *, final: bool) -> Finding:
        """What everything published by ``cutoff`` comes to; ``final``: nothing more is to come."""
        look = _Look(world, cutoff, cutoff if self._waits else min(cutoff, self._settled), final)
        blocked = self._parent(look)
        if blocked is not None:
            return blocked
        rule = self.question.rule
        if self._battery is not None:
            return self._by_battery(self._battery, look)
        if isinstance(rule, SeriesThreshold):
            return self._by_threshold(rule, look)
        if isinstance(rule, SeriesValue):
            return self._by_value(rule, look)
        if isinstance(rule, FirstCrossing):
            return self._by_crossing(rule, look)
        if isinstance(rule, SeriesOrder):
            return self._by_series_order(rule, look)
        if isinstance(rule, PlatformOutcome):
            return self._by_platform(rule, look)
        return self._by_judges(look)

    # ends

    def _named(
        self,
        outcome: str,
        reason: str,
        at: datetime,
        used: Sequence[Used] = (),
        number: float | None = None,
        on: Day = None,
        /,
        **computed: float | str | None,
    ) -> Finding:
        """An outcome as the record names it, which may be to annul; ``number`` and ``on`` go with some kinds."""
        end = End.VOID if outcome == ANNUL else End.DECIDED
        return Finding(end, reason, outcome, at, number, on, tuple(used), tuple(computed.items()))

    def _default(self, reason: str, used: Sequence[Used] = (), **computed: float | str | None) -> Finding:
        return self._named(self.question.default_outcome, reason, self._deadline, used, **computed)

    def _void(self, reason: str, used: Sequence[Used] = ()) -> Finding:
        return self._named(ANNUL, reason, self._deadline, used)

    def _silent(self, reason: str, look: _Look) -> Finding | None:
        """What the record says of silence on the last day; None: what was said before stands."""
        policy = self.question.resolution.if_silent
        if policy is None or policy.then is Silent.WAIT:
            return Finding(End.MISSING, reason)
        if policy.then is Silent.LAST_VALUE:
            return None
        if policy.then is Silent.DEFAULT_OUTCOME:
            return self._default(reason)
        return self._by_judges(look) if policy.then is Silent.JUDGES else self._void(reason)

    def _gone(self, reason: str, look: _Look) -> Finding | None:
        """What the record says of a source that is gone; None: what it said before stands."""
        policy = self.question.resolution.if_gone
        if policy is None:
            return Finding(End.MISSING, reason)
        if policy.then is Gone.LAST_SNAPSHOT:
            return None
        if policy.then is Gone.DEFAULT_OUTCOME:
            return self._default(reason)
        return self._by_judges(look) if policy.then is Gone.JUDGES else self._void(reason)

    # conditions

    def _parent(self, look: _Look) -> Finding | None:
        """What the parent's outcome makes of the question; None when there is no condition or it is met."""
        condition = self.question.conditional
        if condition is None:
            return None
        said = look.until(look.world.words(PARENT, condition.parent))
        if not said:
            return Finding(End.MISSING, f"the parent {condition.parent} is not resolved")
        at = said[-1].resolved_at or said[-1].published
        if said[-1].text == ANNUL:
            reason = f"the parent {condition.parent} was annulled"
            return self._named(condition.if_parent_void, reason, at, said[-1:])
        if said[-1].text != condition.met or at > condition.parent_deadline:
            reason = f"the parent {condition.parent} came out {said[-1].text} as of {iso(at)}"
            return self._named(condition.if_parent_no, reason, at, said[-1:])
        return None

    # series

    def _by_threshold(self, rule: SeriesThreshold, look: _Look) -> Finding:
        threshold = self.question.threshold
        assert threshold is not None
        best = "max" if threshold.comparator in (">", ">=") else "min"
        grows = rule.statistic in ("count", best)
        need = rule.at_least if rule.statistic == "count" else 1

        def holds(picked: Selection) -> bool:
            if grows:
                return len(picked.meeting) >= need
            chosen = picked.statistic(rule.statistic)
            return chosen is not None and bool(chosen.meets)

        picked = self._reader.select(rule, look.world, look.read)
        if grows and self._reader.confirmed(rule, look.world, look.read, holds, picked):
            return self._met(rule, picked, picked.meeting[need - 1])
        failed = self._failed(rule, picked, look)
        if failed is not None:
            return failed
        chosen = picked.statistic(best if rule.statistic == "count" else rule.statistic)
        if not grows and chosen and self._reader.confirmed(rule, look.world, look.read, holds, picked):
            return self._met(rule, picked, chosen)
        number = None if chosen is None else chosen.number
        if rule.statistic == "count":
            number = float(len(picked.meeting))
        return self._default(
            "the threshold was not met by the deadline",
            _used(chosen, picked),
            value=number,
            threshold=threshold.value,
        )

    def _met(self, rule: SeriesThreshold, picked: Selection, by: Point) -> Finding:
        threshold = self.question.threshold
        assert threshold is not None
        counted = rule.statistic == "count"
        used = [point.datum for point in picked.meeting[: rule.at_least]] if counted else [by.datum]
        number = float(len(picked.meeting)) if counted else by.number
        met = f"{threshold.comparator} {threshold.value:g}"
        reason = f"{by.datum.series} {by.datum.key} is {by.number:g} {met}"
        if counted:
            reason = f"{number:g} points of {by.datum.series} are {met}, {by.datum.key} the last one needed"
        return self._named(rule.yes, reason, by.moment, used, value=number, threshold=threshold.value)

    def _by_value(self, rule: SeriesValue, look: _Look) -> Finding:
        picked = self._reader.select(rule, look.world, look.read)
        chosen = picked.statistic(rule.statistic)
        failed = self._failed(rule, picked, look, empty=chosen is None)
        if failed is not None:
            return failed
        if chosen is None:
            return self._default("no point counts", _used(None, picked))
        shown = self._reader.confirmed(
            rule, look.world, look.read, lambda then: _number(then, rule) == chosen.number, picked
        )
        if not shown:
            return self._default(
                f"{chosen.number:g} was not shown by {rule.looks} looks in a row", [chosen.datum]
            )
        outcome = next((one.outcome for one in rule.buckets if one.holds(chosen.number)), rule.outcome)
        reason = f"the {rule.statistic} is {chosen.number:g}"
        shown_by, number = [chosen.datum], chosen.number
        return self._named(outcome, reason, chosen.moment, shown_by, number, value=number)

    def _by_crossing(self, rule: FirstCrossing, look: _Look) -> Finding:
        picked = self._reader.select(rule, look.world, look.read)
        first = self._first(rule, picked, look)
        if first is not None:
            reason = f"{first.datum.series} {first.datum.key} is the first with {first.number:g}"
            day = first.moment.date()
            return self._named(
                rule.outcome, reason, first.moment, [first.datum], None, day, value=first.number
            )
        failed = self._failed(rule, picked, look)
        return failed or self._default("nothing crossed by the deadline", _used(None, picked))

    def _first(self, rule: SeriesRule, picked: Selection, look: _Look) -> Point | None:
        """The first point that meets the threshold, once the source has shown one for long enough."""
        if not self._reader.confirmed(rule, look.world, look.read, lambda p: bool(p.meeting), picked):
            return None
        return picked.meeting[0] if picked.meeting else None

    def _by_series_order(self, rule: SeriesOrder, look: _Look) -> Finding:
        firsts: list[Point | None] = []
        failures: list[Finding] = []
        for arm in (rule.a, rule.b):
            picked = self._reader.select(arm, look.world, look.read)
            first = self._first(arm, picked, look)
            failed = self._failed(arm, picked, look) if first is None or not look.final else None
            firsts.append(first)
            failures += [failed] if failed is not None else []
        if failures:
            return min(failures, key=lambda failed: list(End).index(failed.end))
        a, b = (None if first is None else first.moment.date() for first in firsts)
        return self._ordered(a, b, [first.datum for first in firsts if first is not None])

    def _failed(
        self, rule: SeriesRule, picked: Selection, look: _Look, *, empty: bool = False
    ) -> Finding | None:
        """Why nothing may be said yet, or what the record makes of a source that failed; None: go on."""
        if not look.final:
            read = picked.last_look is not None and picked.last_look.at >= self._dates.close
            waits = look.cutoff < self._dates.close or (read and not empty)
            return Finding(End.WAITING if waits else End.MISSING, "later reports may still count")
        changed, method = picked.accounts.changed, picked.accounts.method
        if changed is not None:
            return self._void(f"{rule.series} changed to version {changed.version}", [changed])
        policy = self.question.resolution.if_method_changes
        if method is not None and (policy is None or policy.then is MethodChange.ANNUL):
            return self._void(f"{rule.series} changed its method on {method.at}", [method])
        found: Finding | None = None
        if picked.failure is not None and picked.failure.kind.value == "gone":
            found = self._gone(f"{rule.series} is gone since {picked.failure.at}", look)
        elif picked.failure is not None or not picked.known:
            found = self._silent(f"{rule.series} has published nothing that counts", look)
        if found is not None:
            return found
        bound = self.question.resolution.if_bound_only
        if picked.unclear and bound is not None and bound.then is BoundOnly.ANNUL:
            return self._void("only a bound is known", [picked.unclear[0].datum])
        return None

    # orderings

    def _ordered(self, a: Day, b: Day, used: Sequence[Used]) -> Finding:
        """The outcome of two crossing days."""
        arms = self.question.ordering
        assert arms is not None
        outcome, reason, at = _order(arms, a, b, self._dates.open)
        when = self._deadline if at is None else noon(at)
        first, second = (None if day is None else day.isoformat() for day in (a, b))
        return self._named(outcome, reason, when, used, None, at, a=first, b=second)

    def _by_battery(self, battery: BatteryReader, look: _Look) -> Finding:
        arms = self.question.ordering
        rule = self.question.battery
        assert rule is not None

        def cross(areas: Sequence[str]) -> list[Crossing]:
            return [battery.crossing(look.world, area, look.read, final=look.final) for area in areas]

        if arms is None:
            crossed = cross([arm.area for arm in rule.arms])
            days = nth(crossed, 1)
            possible = {day is not None for day in days}
            open_ = len(days) > 1 if self.question.kind is QuestionKind.DATE else len(possible) > 1
            if open_ or (days == [None] and not look.final):
                return self._unclear(crossed, look)
            return self._crossed(days, crossed)
        crossed_a, crossed_b = cross(arms.of("a")), cross(arms.of("b"))
        crossed = [*crossed_a, *crossed_b]
        days_a, days_b = nth(crossed_a, arms.areas_needed), nth(crossed_b, arms.areas_needed)
        outcomes = {_order(arms, a, b, self._dates.open)[0] for a in days_a for b in days_b}
        if len(outcomes) > 1 or (days_a == days_b == [None] and not look.final):
            return self._unclear(crossed, look)
        used = [datum for one in crossed for datum in one.used]
        return self._ordered(days_a[0], days_b[0], used)

    def _crossed(self, days: Sequence[Day], crossed: Sequence[Crossing]) -> Finding:
        used = [datum for one in crossed for datum in one.used]
        day = days[-1]
        if day is None:
            return self._default("no crossing by the deadline", used, crossing=None)
        reason = f"crossed at the quarter end {day}"
        return self._named(self._hit, reason, noon(day), used, None, day, crossing=day.isoformat())

    def _unclear(self, crossed: Sequence[Crossing], look: _Look) -> Finding:
        """A quarter end that nobody could judge would decide."""
        ends = sorted({end for one in crossed for end in one.unjudged})
        if look.final:
            marks = [mark for one in crossed for mark in one.marks]
            named = ", ".join(map(str, ends[:4])) + (", …" if len(ends) > 4 else "")
            return self._void(f"no live battery and no panel at {named}", marks)
        waits = not any(noon(end) <= look.cutoff for end in ends)
        return Finding(End.WAITING if waits else End.MISSING, "a quarter end to come may still decide")

    # other people's words

    def _by_platform(self, rule: PlatformOutcome, look: _Look) -> Finding:
        name = f"{rule.platform}:{rule.external_id}"
        said = look.until(look.world.words(rule.platform, rule.external_id))
        last: dict[str, Word] = {}
        for word in said:
            if word.outcome in ("", rule.outcome):
                last[word.source] = word
        standing = [word for word in last.values() if word.state is not OutcomeState.UNRESOLVED]
        ours = {self._ours(rule, word) for word in standing}
        if len(ours) > 1:
            return Finding(End.DISPUTED, f"{name} is told to have come out differently", used=tuple(standing))
        if standing and len(standing) < len(last):
            return Finding(End.DISPUTED, f"{name}: one source took its word back", used=tuple(last.values()))
        if standing:
            word = standing[0]
            at = min(word.resolved_at or word.published for word in standing)
            found = self._named(ours.pop(), f"{name} resolved {word.text or word.state.value}", at, standing)
            numeric = word.state is OutcomeState.VALUE and found.end is End.DECIDED
            return replace(found, value=word.value, on=self._day(word)) if numeric else found
        if last:
            return Finding(End.DISPUTED, f"{name} took its resolution back", used=tuple(last.values()))
        if not look.final:
            waits = look.cutoff < self._dates.close
            return Finding(End.WAITING if waits else End.MISSING, f"{name} is not resolved yet")
        gone = [m for m in look.until(look.world.marks(name)) if m.kind.value == "gone"]
        found_gone = self._gone(f"{name} is gone since {gone[-1].at}", look) if gone else None
        return (
            found_gone
            or self._silent(f"{name} is not resolved", look)
            or Finding(End.MISSING, f"{name} never said anything")
        )

    def _day(self, word: Word) -> date | None:
        at = word.resolved_at
        return at.date() if at is not None and self.question.kind is QuestionKind.DATE else None

    @staticmethod
    def _ours(rule: PlatformOutcome, word: Word) -> str:
        """Our outcome for what a platform said."""
        if word.state is OutcomeState.FRACTION:
            share = word.value if word.value is not None else 0.5
            if rule.fraction == "annul" or share == 0.5:
                return ANNUL
            return rule.outcomes.get("yes" if share > 0.5 else "no", ANNUL)
        if word.state is OutcomeState.VALUE:
            return rule.outcomes.get(word.text, rule.value_outcome or ANNUL)
        return rule.outcomes.get(word.state.value, ANNUL)

    def _by_judges(self, look: _Look) -> Finding:
        last: dict[str, Judgement] = {}
        for judgement in look.world.judgements():
            if judgement.made_at <= look.cutoff and judgement.outcome in (*self.question.outcomes, ANNUL):
                last[judgement.judge] = judgement
        given = list(last.values())
        if len(given) < JUDGES_NEEDED:
            missing = f"{len(given)} of {JUDGES_NEEDED} judges have decided"
            if not look.final:
                waits = look.cutoff < self._dates.close
                return Finding(End.WAITING if waits else End.MISSING, missing)
            policy = self.question.resolution.if_silent
            if policy is not None and policy.then is Silent.ANNUL:
                return self._void(missing, given)
            if policy is not None and policy.then is Silent.DEFAULT_OUTCOME:
                return self._default(missing, given)
            return Finding(End.MISSING, missing, used=tuple(given))
        first, second, *more = given
        if _gist(first) == _gist(second):
            return self._judged(first, "two judges agree", given[:2], look)
        if not more:
            names = f"{first.judge} and {second.judge}"
            return Finding(End.DISPUTED, f"{names} disagree, a third judge decides", used=tuple(given))
        return self._judged(more[0], f"{more[0].judge} decided as the third judge", given[:3], look)

    def _judged(self, by: Judgement, reason: str, used: Sequence[Judgement], look: _Look) -> Finding:
        """What judges decided. That nothing has happened is final only once nothing more can be reported."""
        if by.outcome == self.question.default_outcome and not look.final:
            return Finding(End.WAITING, f"{reason} on {by.outcome} so far; later reports may still count")
        at = self._deadline if by.on is None else noon(by.on)
        return replace(self._named(by.outcome, reason, at, used), value=by.value, on=by.on)


@dataclass(frozen=True, slots=True)
class _Look:
    """A world as known at an instant, series as ``read`` at one; ``final``: nothing more is to come."""

    world: Evidence
    cutoff: datetime
    read: datetime
    final: bool

    def until(self, told: Sequence[_Told]) -> list[_Told]:
        return [one for one in told if one.published <= self.cutoff]


def _gist(judgement: Judgement) -> tuple[object, ...]:
    return (judgement.outcome, judgement.value, judgement.on)


def _number(picked: Selection, rule: SeriesValue) -> float | None:
    chosen = picked.statistic(rule.statistic)
    return None if chosen is None else chosen.number


def _used(chosen: Point | None, picked: Selection) -> list[Used]:
    """The point a negative answer rests on, or else the last look that showed nothing."""
    if chosen is not None:
        return [chosen.datum]
    return [] if picked.last_look is None else [picked.last_look]


def _order(arms: Ordering, a: Day, b: Day, opened: datetime) -> tuple[str, str, Day]:
    """The outcome of two crossing days, why, and its day."""
    if a is None and b is None:
        return arms.neither_outcome, "neither crossed by the deadline", None
    if a is None or b is None:
        name = arms.b if a is None else arms.a
        return name, f"only {name} crossed by the deadline", a or b
    if noon(a) < opened and noon(b) < opened:
        return arms.both_before_open, "both had crossed before the question opened", max(a, b)
    apart = abs((a - b).days)
    if apart <= arms.tie_window_days:
        return arms.tie_outcome, f"{apart} days apart, a tie", max(a, b)
    name = arms.a if a < b else arms.b
    return name, f"{name} crossed {apart} days before the other", min(a, b)


# fixtures -----------------------------------------------------------------------------------------


def expectation(verdict: Verdict) -> str:
    """A verdict in the words of a fixture: an outcome, ``annul`` or ``pending``."""
    return verdict.outcome or PENDING


def fixture_findings(question: Question) -> list[str]:
    """What is wrong with a question's test worlds: those that come out otherwise, and outcomes none reaches."""
    resolver = Resolver(question)
    findings: list[str] = []
    reached: set[str] = set()
    for fixture in question.fixtures:
        found = _fixture_finding(resolver, fixture)
        if found is None:
            reached.add(fixture.expected)
        else:
            findings.append(found)
    findings += [
        f"no test world reaches {outcome!r}: add a fixture that does"
        for outcome in question.outcomes
        if outcome not in reached
    ]
    return findings


def _fixture_finding(resolver: Resolver, fixture: Fixture) -> str | None:
    asked = resolver.question.dates.settled_by if fixture.asked_on is None else noon(fixture.asked_on)
    verdict = resolver.verdict(world_of(fixture), asked)
    came = expectation(verdict)
    wanted = fixture.expected
    if fixture.expected_on is not None:
        came, wanted = f"{came} on {verdict.on}", f"{wanted} on {fixture.expected_on}"
    if fixture.expected_value is not None:
        came, wanted = f"{came} with {verdict.value}", f"{wanted} with {fixture.expected_value}"
    if came == wanted:
        return None
    return (
        f"test world {fixture.name!r} comes to {came} ({verdict.state.value}: {verdict.reason}), not {wanted}"
    )
