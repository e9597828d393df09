"""Indicator questions: real series and links behind them, settled early, spread over areas and views."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from questions.catalogue import Catalogue, load_catalogue
from questions.evidence import world_of
from questions.fields import ANNUL, PENDING
from questions.model import QuestionKind, View
from questions.question import Fixture, FixtureObservation, Question
from questions.resolver import Resolver
from questions.rules import Judged, PlatformOutcome, SeriesRule
from tests.questions.examples import changed, line_of, problems_of

HORIZONS = {3: 90, 6: 180, 12: 365, 13: 395}
Spread = Counter[tuple[str, str, str, int]]


def indicators(catalogue: Catalogue) -> list[Question]:
    return [question for name, question in catalogue.questions.items() if name.startswith("ind-")]


def months(question: Question) -> int:
    """After how many months a question closes: 2, 5 and 12 whole ones are 3, 6 and 12 to its settlement."""
    days = (question.dates.resolve - question.dates.open).days
    return next(horizon for horizon, limit in HORIZONS.items() if days <= limit)


def spread(catalogue: Catalogue) -> Spread:
    """How many questions there are by area, view, kind and horizon; one on several areas counts for each."""
    return Counter(
        (area, question.view.value, question.kind.value, months(question))
        for question in indicators(catalogue)
        for area in question.areas
    )


def test_there_are_enough_of_them_and_each_settles_within_its_horizon(catalogue: Catalogue) -> None:
    asked = indicators(catalogue)
    assert len(asked) == 133
    assert sum(months(question) <= 12 for question in asked) >= 60
    assert Counter(map(months, asked)) == {3: 22, 6: 44, 12: 61, 13: 6}
    assert Counter(question.kind for question in asked) == {
        QuestionKind.BINARY: 77,
        QuestionKind.NUMERIC: 41,
        QuestionKind.DATE: 15,
    }
    for question in asked:
        assert question.dates.settled_by == question.dates.resolve
        assert question.dates.resolve - question.dates.open <= timedelta(days=31 * months(question) + 23)


def test_every_area_and_every_view_has_some_at_every_horizon(catalogue: Catalogue) -> None:
    table = spread(catalogue)
    for area in catalogue.area_keys:
        for view in View:
            found = {horizon for (a, v, _, horizon) in table if (a, v) == (area, view.value)}
            assert found >= {6, 12}, (area, view)
        assert {horizon for (a, _, _, horizon) in table if a == area} >= {3, 6, 12}
    assert {question.view for question in indicators(catalogue)} == set(View)


def test_interpretability_has_indicators_of_its_own(catalogue: Catalogue) -> None:
    own = {question.id for question in indicators(catalogue) if question.areas == ("interpretability",)}
    assert own == {"ind-auditbench-75-6m", "ind-auditbench-100-12m", "ind-auditbench-value-12m"}


def test_each_reads_a_series_that_is_collected_or_a_question_that_is_linked(catalogue: Catalogue) -> None:
    linked = {(link.platform, link.external_id): link for link in catalogue.links}
    for question in indicators(catalogue):
        rule = question.rule
        if isinstance(rule, PlatformOutcome):
            link = linked[rule.platform, rule.external_id]
            assert (question.view, question.resolution.primary_url) == (link.view, link.url)
            assert question.areas == (link.areas or catalogue.area_keys)
            assert link.by is None or link.by <= question.dates.resolve
        else:
            assert isinstance(rule, SeriesRule)
            series = catalogue.series[rule.series]
            assert series.metric(rule.metric) is not None
            assert series.cadence not in ("frozen", "one_off"), "no new point would come"
            assert (question.view, question.areas) == (series.view, series.areas or catalogue.area_keys)


def test_sixty_of_a_year_or_less_are_read_from_feeds_or_linked_questions_with_no_table_kept_by_hand(
    catalogue: Catalogue,
) -> None:
    fed = [
        question
        for question in indicators(catalogue)
        if months(question) <= 12
        and (
            isinstance(question.rule, PlatformOutcome)
            or (
                isinstance(question.rule, SeriesRule)
                and catalogue.series[question.rule.series].source != "curated"
            )
        )
    ]
    assert len(fed) >= 60
    by_hand = [q for q in indicators(catalogue) if "kept by hand" in q.measurement.procedure]
    assert {q.id for q in by_hand} == {
        q.id for q in indicators(catalogue) if "agrees with" in q.measurement.procedure
    }
    assert all("questions/data/curated/" in q.resolution.selector for q in by_hand)
    assert {q.id for q in fed}.isdisjoint(q.id for q in by_hand)


def test_levels_are_possible_measurable_and_not_reached_yet(catalogue: Catalogue) -> None:
    for question in indicators(catalogue):
        rule, given = question.rule, question.threshold
        if not isinstance(rule, SeriesRule) or given is None:
            continue
        metric = catalogue.series[rule.series].metric(rule.metric)
        assert metric is not None
        assert metric.allows(given.value), question.id
        assert given.unit == metric.unit
        assert metric.ceiling is None or given.value <= metric.ceiling, question.id
        assert question.current_value is not None
        better = 1 if given.comparator == ">=" else -1
        assert better * (given.value - question.current_value.value) > 0, question.id
        assert question.current_value.as_of < question.dates.open


def test_a_longer_horizon_asks_for_more(catalogue: Catalogue) -> None:
    levels: dict[tuple[str, str, str], list[tuple[int, float]]] = {}
    for question in indicators(catalogue):
        rule, given = question.rule, question.threshold
        if isinstance(rule, SeriesRule) and given is not None and question.kind is QuestionKind.BINARY:
            key = (rule.series, rule.metric, given.comparator)
            levels.setdefault(key, []).append((months(question), given.value))
    assert len(levels) >= 20
    for (series, _, comparator), asked in levels.items():
        values = [value for _, value in sorted(asked)]
        assert len(set(values)) == len(values), series
        assert values == sorted(values, reverse=comparator == "<="), series


def counted(question: Question, fixture: Fixture) -> list[FixtureObservation]:
    """The entries that count by the question's text: in the window, told in time, last account, same version."""
    rule = question.rule
    assert isinstance(rule, SeriesRule)
    dates = question.dates
    changed_on = min((s.at for s in fixture.world if s.event == "method_changed"), default=None)
    told: dict[tuple[str, object], FixtureObservation] = {}
    version: str | None = None
    for seen in fixture.world:
        published = seen.published or seen.at
        if seen.event not in ("measured", "withdrawn") or published > dates.resolve.date():
            continue
        if changed_on is not None and published >= changed_on:
            continue
        version = seen.version if version is None else version
        if seen.version in ("", version):
            told[seen.metric, seen.at] = seen
    return [
        seen
        for (metric, at), seen in told.items()
        if metric == rule.metric
        and seen.event == "measured"
        and dates.open.date() <= seen.at <= dates.close.date()
    ]


def silenced(fixture: Fixture) -> bool:
    """Whether a source fell silent and said nothing afterwards."""
    days = [seen.published or seen.at for seen in fixture.world if seen.event == "silent"]
    heard = [seen.published or seen.at for seen in fixture.world if seen.event == "measured"]
    return bool(days) and not any(day > max(days) for day in heard)


def read(question: Question, fixture: Fixture) -> tuple[str, object]:
    """The outcome and the day or number of a world, by a reading of the text that is not the resolver's."""
    entries = counted(question, fixture)
    gone = any(seen.event == "gone" for seen in fixture.world)
    unread = not [seen for seen in fixture.world if seen.event == "measured"]
    silent = unread or silenced(fixture)
    if question.kind is QuestionKind.NUMERIC:
        values = [seen.value for seen in entries if not seen.bound and seen.value is not None]
        if gone or silent:
            return ANNUL, None
        highest = "highest" in question.title
        return ("value", (max if highest else min)(values)) if values else ("none", None)
    given = question.threshold
    assert given is not None
    up = given.comparator == ">="
    meeting = [
        seen.at
        for seen in entries
        if seen.value is not None and (seen.value >= given.value if up else seen.value <= given.value)
    ]
    if meeting:
        return question.outcomes[0], min(meeting)
    return (ANNUL if gone or silent else question.default_outcome), None


def test_every_world_of_a_series_comes_to_what_its_text_says(catalogue: Catalogue) -> None:
    seen = Counter[str]()
    for question in indicators(catalogue):
        if isinstance(question.rule, PlatformOutcome):
            continue
        for fixture in question.fixtures:
            if fixture.asked_on is not None:
                assert fixture.expected == PENDING
                continue
            outcome, told = read(question, fixture)
            seen[fixture.expected] += 1
            assert outcome == fixture.expected, (question.id, fixture.name)
            if fixture.expected_value is not None:
                assert told == fixture.expected_value
            if fixture.expected_on is not None:
                assert told == fixture.expected_on
    assert set(seen) == {"yes", "no", "value", "none", "date", "not_by_deadline", ANNUL}


def test_nothing_is_decided_when_the_questions_open(catalogue: Catalogue) -> None:
    """Whatever was reached before the opening: entries dated earlier never count."""
    for question in indicators(catalogue):
        if isinstance(question.rule, SeriesRule):
            world = [f for f in question.fixtures if "before the opening" in f.name or "older" in f.name]
            assert world, question.id
            for fixture in world:
                verdict = Resolver(question).verdict(world_of(fixture), question.dates.open)
                assert verdict.outcome is None


def test_one_edit_of_the_wording_changes_every_question_on_a_level(base: Path) -> None:
    path = base / "indicators.toml"
    path.write_text(
        changed(path.read_text(), "also when there is no such entry", "also where nothing is dated then")
    )
    questions = load_catalogue(base=base).questions.values()
    edited = [q for q in questions if "also where nothing is dated then" in q.measurement.procedure]
    assert len(edited) == 70
    assert all(q.id.startswith("ind-") and q.kind is QuestionKind.BINARY for q in edited)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('series = "epoch_gso"', 'series = "epoch_gsoo"', "did you mean 'epoch_gso'?"),
        ('metric = "automation_rate"', 'metric = "automation_rat"', "did you mean 'automation_rate'?"),
        ("range = [0.2, 2.0]", "", "between which values"),
        ("range = [0.2, 2.0]", "range = [0.2]", "a lower and an upper end"),
    ],
)
def test_a_row_that_cannot_be_is_told_with_its_line(base: Path, old: str, new: str, words: str) -> None:
    path = base / "indicators.toml"
    text = changed(path.read_text(), old, new)
    path.write_text(text)
    told = [problem for problem in problems_of(base=base) if words in problem.message]
    assert len(told) == 1
    assert told[0].file == str(path)
    if new:
        assert told[0].line == line_of(text, new)


def test_an_unknown_horizon_and_a_blank_that_nothing_fills_are_told(base: Path) -> None:
    path = base / "indicators.toml"
    text = changed(
        path.read_text(), "levels = [{ months = 3, at = 0.35 }", "levels = [{ months = 4, at = 0.35 }"
    )
    path.write_text(text.replace('is ${at_least} ${amount}"', 'is ${at_least} ${amounts}"'))
    told = " ".join(problem.message for problem in problems_of(base=base))
    assert "no horizon of 4 months; there are 3, 6, 12" in told
    assert "nothing to fill ${amounts} with: did you mean 'amount'?" in told


def test_a_catalogue_may_do_without_them(base: Path) -> None:
    (base / "indicators.toml").unlink()
    (base / "tracked.toml").unlink()
    assert not indicators(load_catalogue(base=base))


# events -------------------------------------------------------------------------------------------


def events(catalogue: Catalogue) -> list[Question]:
    return [question for name, question in catalogue.questions.items() if name.startswith("evt-")]


def test_events_are_for_judges_and_say_what_counts_and_what_does_not(catalogue: Catalogue) -> None:
    asked = events(catalogue)
    assert len(asked) == 18
    assert {view for question in asked for view in [question.view]} == set(View)
    for question in asked:
        assert isinstance(question.rule, Judged)
        assert question.cost_minutes == question.rule.minutes == 15
        assert "Not counted: " in question.measurement.procedure
        hosts = {url.split("/")[2] for url in question.resolution.fallback_urls}
        assert hosts - {question.resolution.primary_url.split("/")[2]}, question.id


def test_every_area_has_an_event_and_interpretability_and_theory_have_their_own(catalogue: Catalogue) -> None:
    asked = events(catalogue)
    assert {area for question in asked for area in question.areas} == set(catalogue.area_keys)
    own = {question.areas for question in asked if len(question.areas) == 1}
    assert own == {("interpretability",), ("alignment_theory",)}


def test_one_edit_of_the_judges_instructions_changes_every_event(base: Path) -> None:
    path = base / "indicators.toml"
    path.write_text(
        changed(path.read_text(), "where they differ, a third decides alone.", "if not, a third decides.")
    )
    questions = load_catalogue(base=base).questions.values()
    edited = {q.id for q in questions if "if not, a third decides." in q.measurement.procedure}
    assert edited == {q.id for q in questions if q.id.startswith("evt-")}
