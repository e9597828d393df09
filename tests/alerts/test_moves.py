"""A value that moved alerts once; one that only swings, is thin, young, lagging or not comparable does not."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from questions.records import Quantity, Snapshot
from storage.alerting import Alert
from storage.records import Batch
from tests.alerts.world import World, brief, followed, hours, key
from tracker.alerts.evaluate import evaluate
from tracker.alerts.moves import moves


def probability(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-log_odds))


def walk(values: list[float], **alerts: float) -> list[Alert]:
    """Log-odds, one an hour, each looked at as it comes."""
    world = World(**alerts)
    found: list[Alert] = []
    for hour, value in enumerate(values):
        world.value(hour, probability(value))
        found += world.look(hour + 0.5)
    return found


def test_a_move_beyond_the_threshold_alerts_with_before_after_and_evidence() -> None:
    world = World()
    world.info(0, title="Will it <b>happen</b>?")
    world.value(0, 0.2)
    assert world.look(1) == []
    world.value(2, 0.45)
    (alert,) = world.look(3)
    assert brief([alert]) == [("move", "up", "20%", "45%")]
    assert (alert.signal, alert.at, alert.title) == ("move:fair:a", hours(3), "Will it <b>happen</b>?")
    assert alert.size == pytest.approx(math.log(0.45 / 0.55) - math.log(0.2 / 0.8))
    assert [(one.value, one.payload_sha256) for one in alert.evidence] == [
        (0.2, f"{0:064x}"),
        (0.45, f"{120:064x}"),
    ]
    assert alert.areas == ("interpretability",)
    assert alert.url == "https://fair.example/a"


@pytest.mark.parametrize(("step", "alerts"), [(0.999, 0), (1.0, 1), (-1.0, 1), (-0.999, 0)])
def test_the_threshold_itself_is_enough(step: float, alerts: int) -> None:
    assert len(walk([0.0, step])) == alerts


def test_looking_again_tells_nothing_again_whatever_instant_is_looked_at() -> None:
    world = World()
    world.value(0, 0.2)
    world.look(1)
    world.value(2, 0.5)
    assert len(world.look(3)) == 1
    for hour in (3, 3, 4, 50, 2, 1):
        assert world.look(hour) == []
    assert len(world.store.alerts()) == 1


def test_what_was_found_and_not_kept_is_found_again() -> None:
    world = World()
    world.value(0, 0.2)
    world.look(1)
    world.value(2, 0.5)
    assert world.evaluate(3) == world.evaluate(3)
    assert len(world.look(3)) == 1


def test_an_alert_can_be_derived_again_when_more_is_known() -> None:
    world = World()
    world.value(0, 0.2)
    world.look(1)
    before = world.store.armings()
    world.value(2, 0.5)
    (alert,) = world.look(3)
    world.value(4, 0.9)
    world.value(5, 0.1, as_of=1.5)  # told later of an hour before
    again = evaluate(
        world.store, world.catalogue, world.settings, world.sources, hours(3), {"moves": moves}, before
    )
    assert again.alerts == (alert,)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-0.45, 0.45), min_size=1, max_size=30), st.sampled_from([-1.0, 1.0]))
def test_a_value_that_swings_about_the_threshold_alerts_once_at_most(
    swings: list[float], side: float
) -> None:
    """From 0 to the threshold of 1 and about it: both levels (1 and 0) are crossed once."""
    assert len(walk([0.0, *(side * (1.0 + swing) for swing in swings)])) <= 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-3.0, 3.0), min_size=2, max_size=25))
def test_alerts_are_a_chain_and_never_more_than_the_way_gone_allows(path: list[float]) -> None:
    found = walk(path)
    told = [(one.evidence[0].value, one.evidence[1].value) for one in found]
    assert [before for before, _ in told[1:]] == [after for _, after in told[:-1]]
    assert all(one.size is not None and one.size >= 1.0 - 1e-9 for one in found)
    way = sum(abs(two - one) for one, two in pairwise(path))
    assert len(found) <= way + 1e-9


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-3.0, 3.0), min_size=2, max_size=12), st.lists(st.booleans(), min_size=12, max_size=12)
)
def test_a_program_that_dies_before_it_has_kept_anything_loses_and_doubles_nothing(
    path: list[float], dies: list[bool]
) -> None:
    """Looks that are lost only put off what is told: the last told value is near the last value in the end."""
    world = World()
    for hour, value in enumerate(path):
        world.value(hour, probability(value))
        if dies[hour]:
            world.evaluate(hour + 0.5)
        else:
            world.look(hour + 0.5)
    world.look(len(path))
    told = world.store.armings()["move:fair:a"].state["outcomes"]["yes"]["p"]
    assert abs(math.log(told / (1 - told)) - path[-1]) < 1.0 + 1e-6
    chain = [(one.evidence[0].value, one.evidence[1].value) for one in world.store.alerts()]
    assert [before for before, _ in chain[1:]] == [after for _, after in chain[:-1]]


def test_a_spike_that_is_gone_before_the_hold_is_over_is_no_alert() -> None:
    world = World(move_hold_hours=6)
    world.value(0, 0.2)
    world.look(1)
    world.value(10, 0.9)
    assert world.look(11) == []
    world.value(12, 0.2)
    for hour in (13, 16, 17, 20, 40):
        assert world.look(hour) == []


def test_a_move_alerts_as_soon_as_it_has_stood_for_the_hold() -> None:
    world = World(move_hold_hours=6)
    world.value(0, 0.2)
    world.look(1)
    world.value(10, 0.6)
    world.value(12, 0.7)
    assert [bool(world.look(hour)) for hour in (11, 15.9, 16.0, 17)] == [False, False, True, False]


def test_a_value_that_its_platform_revised_back_is_told_at_most_as_one_way_and_back() -> None:
    world = World()
    world.value(1, 0.2, as_of=0)
    world.look(1)
    world.value(3, 0.8, as_of=2)
    world.value(4, 0.2, as_of=2)  # the same moment, corrected before anybody looked
    assert world.look(5) == []
    world.value(6, 0.8, as_of=5.5)
    assert len(world.look(7)) == 1
    world.value(8, 0.2, as_of=5.5)
    assert brief(world.look(9)) == [("move", "down", "80%", "20%")]
    assert world.look(10) == []


@pytest.mark.parametrize(
    "thin",
    [
        {"forecasters": 9},
        {"liquidity": 99.0},
        {"volume": 499.0},
        {"spread": 0.11},
        {"liquidity": None, "volume": None},
        {"liquidity": None, "volume": None, "forecasters": None},
    ],
)
def test_thin_markets_do_not_alert(thin: dict[str, float | None]) -> None:
    world = World()
    world.value(0, 0.2, **thin)
    world.look(1)
    world.value(2, 0.8, **thin)
    assert world.look(3) == []


@pytest.mark.parametrize(
    "enough",
    [
        {"forecasters": 10},
        {"forecasters": None},
        {"liquidity": 100.0},
        {"volume": 500.0},
        {"spread": 0.10},
        {"volume": None},
        {"liquidity": None},
    ],
)
def test_at_the_floor_is_enough_and_what_is_not_told_is_no_reason(enough: dict[str, float | None]) -> None:
    world = World()
    world.value(0, 0.2, **enough)
    world.look(1)
    world.value(2, 0.8, **enough)
    assert len(world.look(3)) == 1


def test_what_stood_behind_a_value_is_remembered_when_bulk_answers_do_not_tell() -> None:
    world = World()
    world.value(0, 0.2)
    world.look(1)
    world.value(2, 0.8, forecasters=None, liquidity=None, volume=None)
    assert len(world.look(3)) == 1


def test_where_nobody_tells_the_settings_may_let_it_alert() -> None:
    world = World(unbacked=True)
    for hour, value in ((0, 0.2), (2, 0.8)):
        world.value(hour, value, forecasters=None, liquidity=None, volume=None)
        found = world.look(hour + 1)
    assert len(found) == 1


def test_a_young_question_settles_first_and_its_first_days_are_never_told() -> None:
    world = World(min_age_days=3)
    world.info(0, opens_at=hours(-24))
    for hour, value in ((0, 0.1), (10, 0.9), (20, 0.5), (47, 0.2)):
        world.value(hour, value)
        assert world.look(hour + 0.5) == []
    world.value(49, 0.25)
    assert world.look(49.5) == []
    world.value(60, 0.6)
    assert brief(world.look(61)) == [("move", "up", "20%", "60%")]


def test_two_sources_of_one_question_tell_of_a_move_once() -> None:
    """A feed that is a day behind tells the same move later; neither it nor its old values alert again."""
    world = World()
    world.value(0, 0.4)
    world.value(0, 0.4, source="feed")
    world.look(1)
    world.value(24, 0.8)
    assert len(world.look(25)) == 1
    world.value(26, 0.4, source="feed", as_of=12)
    assert world.look(27) == []
    world.value(50, 0.8, source="feed", as_of=40)
    world.value(50, 0.8)
    assert world.look(51) == []


def test_an_outage_of_one_source_does_not_make_anothers_other_level_a_move() -> None:
    world = World()
    world.value(0, 0.4)
    world.value(0, 0.75, source="feed")
    world.look(1)
    for hour in range(10, 200, 10):
        world.value(hour, 0.75, source="feed")
        assert world.look(hour + 1) == []
    world.value(201, 0.4)
    assert world.look(202) == []


def test_a_question_under_a_new_number_starts_anew() -> None:
    world = World(followed("a"), followed("b"))
    world.value(0, 0.2, "a")
    world.look(1)
    world.value(2, 0.9, "b")
    assert world.look(3) == []
    assert world.look(4) == []


def test_several_outcomes_of_a_question_are_one_alert() -> None:
    world = World(followed("a", "x"), followed("a", "y"))
    for hour, x, y in ((0, 0.8, 0.2), (2, 0.2, 0.9)):
        world.value(hour, x, outcome="x")
        world.value(hour, y, outcome="y")
        found = world.look(hour + 1)
    assert brief(found) == [("move", "up", "20%", "90%")]
    assert world.look(4) == []


def test_a_question_that_resolved_does_not_move() -> None:
    world = World()
    world.value(0, 0.5)
    world.look(1)
    world.outcome(2, "yes")
    world.value(2, 0.999)
    assert [one.kind for one in world.look(3)] == ["resolved"]


def test_a_mute_kind_is_not_told_and_does_not_pile_up() -> None:
    world = World(mute=("move",))
    world.value(0, 0.2)
    world.look(1)
    world.value(2, 0.8)
    assert world.look(3) == []
    world.settings = World().settings
    assert world.look(4) == []


def test_the_teams_own_forecasts_are_no_market() -> None:
    world = World()
    for hour, value in ((0, 0.2), (2, 0.9)):
        own = replace(key(), quantity=Quantity.TEAM_MEAN)
        snapshot = Snapshot(own, hours(hour), hours(hour), probability=value, forecasters=50)
        world.store.append(Batch(snapshots=(snapshot,)))
        assert world.look(hour + 1) == []


def test_armings_are_written_when_something_changed_only() -> None:
    world = World()
    world.value(0, 0.2)
    world.look(1)
    first = world.store.counts()["alert_arming"]
    for hour in range(2, 20):
        world.value(hour, 0.2 + hour / 1000)
        world.look(hour + 0.5)
    assert world.store.counts()["alert_arming"] == first
