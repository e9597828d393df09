"""The invented worlds, decided by an independent reading of the rule as the questions word it."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import Literal

import pytest

from questions.catalogue import Catalogue
from questions.evidence import noon, world_of
from questions.question import ANNUL, PENDING, Battery, Fixture, Question
from questions.resolver import Resolver, fixture_findings
from questions.worlds import next_quarter_end, quarter_ends

Readings = dict[str, dict[date, float]]


def readings(question: Question, fixture: Fixture) -> Readings:
    """Lower ends by series and day: the last account published in time, in the version first seen."""
    settled = question.dates.settled_by.date()
    told = [seen for seen in fixture.world if (seen.published or seen.at) <= settled]
    told.sort(key=lambda seen: seen.published or seen.at)
    found: Readings = defaultdict(dict)
    version: dict[str, str] = {}
    for seen in told:
        lower = seen.value if seen.bound == "lower" else seen.lower
        if lower is not None and version.setdefault(seen.series, seen.version) == seen.version:
            found[seen.series][seen.at] = lower
    return found


def silent(question: Question, fixture: Fixture, arm: Battery) -> bool:
    """Fewer live deciding proxies than needed, and no panel either, from the first evaluation on."""
    assert question.battery is not None
    assert question.threshold is not None
    first = quarter_ends(question.dates.open, question.dates.close)[0]
    gone = {seen.series for seen in fixture.world if seen.event != "measured" and seen.at <= first}
    live = [p for p in arm.deciding(question.threshold.value) if f"{arm.area}.{p.id}" not in gone]
    unheard = question.panel is None or f"{arm.area}.panel" in gone
    return len(live) < question.battery.need and unheard


def alive(fixture: Fixture, series: str, day: date) -> bool:
    """Whether a proxy's source was not gone by a day, or has been read again since."""
    gone = [
        seen.at for seen in fixture.world if (seen.series, seen.event) == (series, "gone") and seen.at <= day
    ]
    read = [seen.at for seen in fixture.world if (seen.series, seen.event) == (series, "measured")]
    return not gone or any(max(gone) <= at <= day for at in read)


def panel(question: Question, fixture: Fixture, arm: Battery, day: date) -> set[str]:
    """What the panel said stands for every proxy."""
    assert question.threshold is not None
    k = question.threshold.value
    told = [seen.value for seen in fixture.world if (seen.series, seen.at) == (f"{arm.area}.panel", day)]
    return (
        {proxy.id for proxy in arm.deciding(k)}
        if any(value is not None and value >= k for value in told)
        else set()
    )


def holding(question: Question, fixture: Fixture, seen: Readings, arm: Battery, day: date) -> set[str]:
    """The proxies above the threshold on a day; a gated one only once its gate has a bound above zero."""
    assert question.threshold is not None
    assert question.battery is not None
    k = question.threshold.value
    live = [proxy for proxy in arm.deciding(k) if alive(fixture, f"{arm.area}.{proxy.id}", day)]
    if len(live) < question.battery.need:
        return panel(question, fixture, arm, day)
    return {
        proxy.id
        for proxy in arm.deciding(k)
        if seen[f"{arm.area}.{proxy.id}"].get(day, 0.0) >= k
        and (proxy.gated_by is None or any(v > 0 for v in seen[f"{arm.area}.{proxy.gated_by}"].values()))
    }


def crossing(question: Question, fixture: Fixture, arm: Battery) -> date | None:
    assert question.battery is not None
    seen = readings(question, fixture)
    days = {at for series in seen.values() for at in series}
    days |= {one.at for one in fixture.world if one.series == f"{arm.area}.panel"}
    for day in sorted(days):
        later = holding(question, fixture, seen, arm, next_quarter_end(day))
        if len(holding(question, fixture, seen, arm, day) & later) >= question.battery.need:
            return day if day <= question.dates.close.date() else None
    return None


def nth_crossing(question: Question, found: list[date | None], side: Literal["a", "b"]) -> date | None:
    """The day on which as many areas of a side have crossed as are needed."""
    assert question.ordering is not None
    assert question.battery is not None
    pairs = zip(question.battery.arms, found, strict=True)
    days = sorted(day for arm, day in pairs if day is not None and arm.area in question.ordering.of(side))
    needed = question.ordering.areas_needed
    return days[needed - 1] if len(days) >= needed else None


def decided(question: Question, fixture: Fixture) -> str:
    assert question.battery is not None
    arms = question.battery.arms
    if any(silent(question, fixture, arm) for arm in arms):
        return ANNUL
    found = [crossing(question, fixture, arm) for arm in arms]
    if question.ordering is None:
        return "date" if found[0] else question.default_outcome
    a, b = nth_crossing(question, found, "a"), nth_crossing(question, found, "b")
    if a is None and b is None:
        return question.ordering.neither_outcome
    if a is None or b is None:
        return question.ordering.a if a else question.ordering.b
    opened = question.dates.open.date()
    if a < opened and b < opened:
        return question.ordering.both_before_open
    if abs(a - b) <= timedelta(days=question.ordering.tie_window_days):
        return question.ordering.tie_outcome
    return question.ordering.a if a < b else question.ordering.b


def of_batteries(catalogue: Catalogue) -> list[Question]:
    return [question for question in catalogue.questions.values() if question.battery is not None]


def test_every_world_comes_to_what_its_fixture_expects(catalogue: Catalogue) -> None:
    for question in of_batteries(catalogue):
        for fixture in question.fixtures:
            assert decided(question, fixture) == fixture.expected, (question.id, fixture.name)
            if fixture.expected_on is not None:
                assert question.battery is not None
                assert crossing(question, fixture, question.battery.arms[0]) == fixture.expected_on


def test_the_resolver_agrees_with_every_world_and_reaches_every_outcome(catalogue: Catalogue) -> None:
    assert {name: found for name, q in catalogue.questions.items() if (found := fixture_findings(q))} == {}


def test_a_verdict_of_a_settled_world_never_changes(catalogue: Catalogue) -> None:
    for question in list(catalogue.questions.values())[::7]:
        resolver = Resolver(question)
        for fixture in question.fixtures:
            if fixture.expected == PENDING:
                continue
            world, settled = world_of(fixture), question.dates.settled_by
            if fixture.asked_on is not None:
                settled = max(settled, noon(fixture.asked_on))
            then = resolver.verdict(world, settled)
            assert then.state.final
            assert resolver.verdict(world, settled + timedelta(days=4000)) == then


def test_every_outcome_and_annulment_has_a_world(catalogue: Catalogue) -> None:
    for question in catalogue.questions.values():
        reached = {fixture.expected for fixture in question.fixtures}
        assert reached - {PENDING} == {*question.outcomes, ANNUL}, question.id


@pytest.mark.parametrize(
    ("end", "after"),
    [
        (date(2027, 3, 31), date(2027, 6, 30)),
        (date(2027, 6, 30), date(2027, 9, 30)),
        (date(2027, 9, 30), date(2027, 12, 31)),
        (date(2027, 12, 31), date(2028, 3, 31)),
    ],
)
def test_quarter_ends_follow_each_other(end: date, after: date) -> None:
    assert next_quarter_end(end) == after


def test_quarter_ends_between_two_moments_leave_out_the_first_days_own(catalogue: Catalogue) -> None:
    dates = catalogue.questions["date-ai-control-3x"].dates
    assert quarter_ends(dates.open, dates.close) == (
        date(2027, 3, 31),
        date(2027, 6, 30),
        date(2027, 9, 30),
        date(2027, 12, 31),
        date(2028, 3, 31),
        date(2028, 6, 30),
        date(2028, 9, 30),
        date(2028, 12, 31),
    )
