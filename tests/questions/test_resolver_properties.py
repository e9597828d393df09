"""In any world whatever: one verdict, always the same, never from the future, and monotone where it must be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from questions.catalogue import load_catalogue
from questions.evidence import Datum, Judgement, Mark, MarkKind, Word, World, noon
from questions.fields import BoundOnly, Gone, MethodChange, Revised, Silent
from questions.question import ANNUL, Question, VersionPolicy
from questions.records import OutcomeState
from questions.resolver import Resolver
from questions.time import parse_utc
from questions.verdicts import State
from tests.questions.examples import binary

AREAS = ["ai_control", "post_training"]
DAYS = st.dates(date(2026, 11, 1), date(2028, 3, 1))
NUMBERS = st.sampled_from([1.0, 2.999, 3.0, 3.001, 4.0])
MOMENTS = DAYS.map(noon)
ENDS = [
    date(2026, 12, 31), date(2027, 3, 31), date(2027, 6, 30), date(2027, 9, 30), date(2027, 12, 31), date(2028, 3, 31),
]  # fmt: skip
QUARTERS = st.sampled_from(ENDS)
NOWS = st.sampled_from(
    [parse_utc(day) for day in ("2026-12-01", "2027-07-01", "2028-02-01", "2029-01-01", "2030-01-01")]
)


def policies() -> st.SearchStrategy[dict[str, Any]]:
    choices: dict[str, type] = {
        "if_gone": Gone, "if_silent": Silent, "if_bound_only": BoundOnly,
        "if_method_changes": MethodChange, "if_revised": Revised,
    }  # fmt: skip
    some = {
        name: st.none() | st.sampled_from([one.value for one in kind if one != "drop"])
        for name, kind in choices.items()
    }
    return st.fixed_dictionaries(some)


RULES: dict[str, dict[str, Any]] = {
    "threshold": {"rule": {"kind": "series_threshold", "series": "s1"}},
    "least": {
        "rule": {"kind": "series_threshold", "series": "s1", "statistic": "min", "looks": 2},
        "threshold": {"value": 3.0, "comparator": "<"},
    },
    "count": {"rule": {"kind": "series_threshold", "series": "s1", "statistic": "count", "at_least": 2}},
    "newest": {"rule": {"kind": "series_threshold", "series": "s1", "statistic": "last", "reading": "lower"}},
    "value": {
        "rule": {"kind": "series_value", "series": "s1", "statistic": "max", "outcome": "yes"},
        "kind": "numeric",
        "numeric_range": {"lower": 0.0, "upper": 9.0, "open_lower": False, "open_upper": True},
    },
    "crossing": {
        "rule": {"kind": "first_crossing", "series": "s1", "outcome": "yes"},
        "kind": "date",
        "date_range": {"lower": parse_utc("2026-01-01"), "upper": parse_utc("2027-12-31")},
    },
    "order": {
        "rule": {"kind": "series_order", "a": {"series": "s1"}, "b": {"series": "s2"}},
        "kind": "ordering",
        "areas": AREAS,
        "outcomes": [*AREAS, "tie", "neither"],
        "default_outcome": "neither",
        "ordering": {
            "a": AREAS[0], "b": AREAS[1], "tie_window_days": 45,
            "tie_outcome": "tie", "neither_outcome": "neither", "both_before_open": "annul",
        },
    },
    "platform": {
        "rule": {
            "kind": "platform_outcome", "platform": "manifold", "external_id": "m1",
            "outcomes": {"yes": "yes", "no": "no"}, "fraction": "majority",
        }
    },
    "judged": {"rule": {"kind": "judged"}},
}  # fmt: skip


def asked(name: str, **more: Any) -> Question:
    resolution = {"authority": "a", **more.pop("resolution", {})}
    told = {"threshold": {"value": 3.0}, **RULES[name], "resolution": resolution, **more}
    return Question.model_validate(binary(**told))


questions = st.builds(
    lambda name, resolution, policy, basis, grace: asked(
        name,
        resolution=resolution,
        measurement={"version_policy": policy, "successors": ["2"]},
        dates={**binary()["dates"], "event_basis": basis, "report_grace_days": grace},
    ),
    st.sampled_from(sorted(RULES)),
    policies(),
    st.none() | st.sampled_from([one.value for one in VersionPolicy]),
    st.sampled_from(["event_date", "publication_date", "report_date"]),
    st.sampled_from([0, 120]),
)
CATALOGUE = load_catalogue().questions
DATE, ORDERING = (CATALOGUE[f"{name}-scalable-oversight-3x"] for name in ("date", "ord-ai-control-vs"))
batteries = st.booleans().map(lambda dated: DATE if dated else ORDERING)


def series_of(question: Question) -> list[str]:
    return list(Resolver(question).series) or ["s1"]


@st.composite
def worlds(draw: st.DrawFn, names: list[str], most: int = 8, days: Any = DAYS) -> World:
    data = draw(
        st.lists(
            st.builds(
                lambda name, key, at, delay, value, low, bound, version, gone: Datum(
                    name, key, at, noon(at) + timedelta(days=delay), value, None if low is None else value - low,
                    bound=bound, version=version, withdrawn=gone,
                ),
                st.sampled_from(names), st.sampled_from("abcd"), days, st.sampled_from([0, 3, 200]), NUMBERS,
                st.sampled_from([None, 0.0, 0.5]), st.sampled_from(["", "", "lower", "upper"]),
                st.sampled_from(["", "1", "2"]), st.sampled_from([False, False, False, True]),
            ),
            min_size=1,
            max_size=most,
        )
    )  # fmt: skip
    marks = draw(
        st.lists(
            st.builds(
                lambda name, at, kind: Mark(name, at, noon(at), kind),
                st.sampled_from([*names, "manifold:m1"]), DAYS, st.sampled_from(MarkKind),
            ),
            max_size=2,
        )
    )  # fmt: skip
    words = draw(
        st.lists(
            st.builds(
                lambda state, at, source, value: Word("manifold", "m1", state, at, source=source, value=value),
                st.sampled_from(OutcomeState), MOMENTS, st.sampled_from("ab"), st.sampled_from([None, 0.2, 0.5]),
            ),
            max_size=3,
        )
    )  # fmt: skip
    judgements = draw(
        st.lists(
            st.builds(
                lambda judge, outcome, at: Judgement("q", "v", judge, outcome, at, ("https://example.org",)),
                st.sampled_from(["ada", "bob", "cyd"]), st.sampled_from(["yes", "no", ANNUL, "nonsense"]), MOMENTS,
            ),
            max_size=3,
        )
    )  # fmt: skip
    return World(data, marks, words, judgements)


@st.composite
def any_worlds(draw: st.DrawFn, question: Question) -> World:
    """A world for any question; for a battery one in which its proxies often hold."""
    names = series_of(question)
    if question.battery is None:
        return draw(worlds(names))
    return draw(worlds(names, days=QUARTERS)) if draw(st.booleans()) else draw(held(question))


@st.composite
def held(draw: st.DrawFn, question: Question, *, failures: int = 1) -> World:
    """Readings of most proxies at most quarter ends, low and high, and perhaps a source that fails."""
    names = series_of(question)
    chance = Random(draw(st.integers(0, 2**32)))
    gate = [Datum(name, "g", ENDS[0], noon(ENDS[0]), 1.0, 1.0) for name in names if chance.random() < 0.8]
    data = [
        Datum(name, f"{end}", end, noon(end), 5.0, chance.choice([2.0, 3.0, 4.0]))
        for name in names
        for end in ENDS[1:]
        if chance.random() < 0.8
    ]
    marks = [
        Mark(chance.choice(names), end, noon(end), chance.choice(list(MarkKind)))
        for end in chance.sample(ENDS, failures)
    ]
    return World(gate + data, marks)


def mapped(world: World, names: list[str], change: Callable[[Datum], Datum]) -> World:
    """The world with every datum changed."""
    data = [change(datum) for name in names for datum in world.data(name)]
    return World(data, [mark for name in names for mark in world.marks(name)])


@given(st.data(), st.one_of(questions, batteries), NOWS)
@settings(deadline=None, max_examples=150)
def test_any_world_comes_to_exactly_one_verdict_always_the_same(
    data: st.DataObject, question: Question, now: datetime
) -> None:
    world = data.draw(any_worlds(question))
    found = Resolver(question).verdict(world, now)
    assert found == Resolver(question).verdict(world, now)
    assert found.state in State
    assert (found.outcome in question.outcomes) == (found.state is State.RESOLVED)
    assert (found.outcome == ANNUL) == (found.state is State.VOID)
    assert (found.resolved_at is not None) == found.state.final
    if now < question.dates.open:
        assert found.state is State.OPEN


@given(st.data(), st.one_of(questions, batteries), NOWS)
@settings(deadline=None, max_examples=80)
def test_what_is_published_later_changes_nothing_before(
    data: st.DataObject, question: Question, now: datetime
) -> None:
    names = series_of(question)
    world = data.draw(any_worlds(question))
    known = World(
        [datum for name in names for datum in world.data(name) if datum.published <= now],
        [mark for name in [*names, "manifold:m1"] for mark in world.marks(name) if mark.published <= now],
        [word for word in world.words("manifold", "m1") if word.published <= now],
        [one for one in world.judgements() if one.made_at <= now],
    )
    assert Resolver(question).verdict(world, now) == Resolver(question).verdict(known, now)


@given(st.data(), st.one_of(questions, batteries))
@settings(deadline=None, max_examples=80)
def test_a_settled_question_stays_as_it_is(data: st.DataObject, question: Question) -> None:
    world = data.draw(any_worlds(question))
    settled = question.dates.settled_by
    then = Resolver(question).verdict(world, settled)
    if then.state.final:
        assert Resolver(question).verdict(world, datetime(2040, 1, 1, tzinfo=UTC)) == then


@given(st.data(), policies(), NOWS, st.sampled_from([0.5, 2.0]))
@settings(deadline=None, max_examples=80)
@pytest.mark.parametrize("name", ["threshold", "count", "crossing"])
def test_more_progress_never_turns_yes_into_no(
    name: str, data: st.DataObject, resolution: dict[str, Any], now: datetime, more: float
) -> None:
    question = asked(name, resolution=resolution)
    world = data.draw(worlds(["s1"]))

    def raised(datum: Datum) -> Datum:
        lower = None if datum.lower is None else datum.lower + more
        return replace(datum, value=(datum.value or 0.0) + more, lower=lower)

    resolver, better = Resolver(question), mapped(world, ["s1"], raised)
    before, after = resolver.verdict(mapped(world, ["s1"], lambda d: d), now), resolver.verdict(better, now)
    if before.outcome == "yes":
        assert after.outcome == "yes"
        assert before.on is None or (after.on is not None and after.on <= before.on)


@given(st.data(), NOWS.filter(lambda now: now.year == 2027) | st.just(parse_utc("2040-01-01")))
@settings(deadline=None, max_examples=80)
def test_more_progress_never_moves_a_batterys_crossing_later(data: st.DataObject, now: datetime) -> None:
    names = series_of(DATE)
    plain = data.draw(held(DATE))
    better = mapped(plain, names, lambda d: replace(d, lower=(d.lower or 0.0) + 3.0))
    resolver = Resolver(DATE)
    before, after = resolver.verdict(plain, now), resolver.verdict(better, now)
    if before.outcome == "date":
        assert before.on is not None
        assert after.outcome in ("date", None, ANNUL)
        assert after.on is None or after.on <= before.on


def swapped(question: Question) -> Question:
    """The same ordering with its arms the other way round."""
    record = question.model_dump(mode="python")
    arms = record["ordering"]
    arms["a"], arms["b"] = arms["b"], arms["a"]
    if record["rule"] is not None:
        record["rule"]["a"], record["rule"]["b"] = record["rule"]["b"], record["rule"]["a"]
    return Question.model_validate(record)


@given(st.data(), st.sampled_from(["order", "battery"]), policies(), NOWS | st.just(parse_utc("2040-01-01")))
@settings(deadline=None, max_examples=100)
def test_an_ordering_comes_out_the_same_whichever_arm_is_named_first(
    data: st.DataObject, name: str, resolution: dict[str, Any], now: datetime
) -> None:
    question = ORDERING if name == "battery" else asked("order", resolution=resolution)
    world = data.draw(
        held(ORDERING, failures=0) if name == "battery" else worlds(["s1", "s2"], days=QUARTERS)
    )
    one, other = Resolver(question).verdict(world, now), Resolver(swapped(question)).verdict(world, now)
    assert (one.state, one.outcome, one.on, one.resolved_at) == (
        other.state, other.outcome, other.on, other.resolved_at,
    )  # fmt: skip
