"""A pair that changes sides by more than its noise, and voices that disagree for weeks."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from questions.model import Link, Relation
from questions.time import iso
from storage.alerting import Alert, Arming
from tests.alerts.world import World, brief, followed, hours, packaged
from tracker.alerts import orders
from tracker.alerts.evaluate import record
from tracker.alerts.scene import Found, Scene
from tracker.estimates.voice import Comparison, Disagreement, Voice
from tracker.orderings import ModelOptions, Orderings, orderings

ONE, TWO = sorted(packaged().area_keys)[:2]


def voice(lean: float, name: str = "market", ci90: float | None = None) -> Voice:
    """A voice on two areas: the probability that the first comes before the second."""
    ends = {} if ci90 is None else {ONE: {TWO: (lean - ci90, lean + ci90)}}
    return Voice(
        name,
        "a model",
        coverage=(ONE, TWO),
        p_before={ONE: {TWO: lean}, TWO: {ONE: 1.0 - lean}},
        p_before_ci90=ends,
    )


class Watcher:
    """Asks a rule again and again, remembering how it is armed."""

    def __init__(self, **alerts: float) -> None:
        self.world = World(**({"flip_hold_hours": 0} | alerts))
        self.armed: dict[str, Arming] = {}

    def scene(self, hour: float) -> Scene:
        world = self.world
        armed = {name: one.state for name, one in self.armed.items()}
        return Scene(world.store, packaged(), world.settings, {}, hours(hour), armed)

    def take(self, hour: float, found: list[Found]) -> list[Alert]:
        self.armed |= {one.signal: Arming(one.signal, hours(hour), one.state) for one in found}
        return [one.alert for one in found if one.alert is not None]

    def flips(self, hour: float, heard: Voice) -> list[Alert]:
        return self.take(hour, list(orders._flips(self.scene(hour), heard)))


def test_a_pair_that_changes_sides_is_told_with_both_orders() -> None:
    watcher = Watcher()
    assert watcher.flips(0, voice(0.8)) == []
    (alert,) = watcher.flips(1, voice(0.2))
    names = {area.key: area.name for area in packaged().areas}
    assert alert.before == f"{names[ONE]} before {names[TWO]}"
    assert alert.after == f"{names[TWO]} before {names[ONE]}"
    assert "80%" in alert.text
    assert alert.evidence[0].value == pytest.approx(0.2)
    assert watcher.flips(2, voice(0.1)) == []


@pytest.mark.parametrize(
    ("first", "then", "told"),
    [(0.55, 0.45, 1), (0.55, 0.451, 0), (0.549, 0.2, 0), (0.9, 0.5, 0), (0.9, 0.46, 0)],
)
def test_only_from_beyond_the_noise_on_one_side_to_beyond_it_on_the_other(
    first: float, then: float, told: int
) -> None:
    watcher = Watcher()
    watcher.flips(0, voice(first))
    assert len(watcher.flips(1, voice(then))) == told


def test_a_voice_that_is_unsure_of_a_pair_must_lean_further() -> None:
    watcher = Watcher()
    watcher.flips(0, voice(0.9, ci90=0.05))
    assert watcher.flips(1, voice(0.3, ci90=0.25)) == []
    assert len(watcher.flips(2, voice(0.3, ci90=0.15))) == 1


def test_a_flip_counts_when_it_has_stood() -> None:
    watcher = Watcher(flip_hold_hours=24)
    watcher.flips(0, voice(0.8))
    assert [bool(watcher.flips(hour, voice(0.2))) for hour in (6, 12, 29)] == [False, False, False]
    assert watcher.flips(29.5, voice(0.5)) == []  # back within the noise: it has not stood
    assert [bool(watcher.flips(hour, voice(0.2))) for hour in (30, 53, 54)] == [False, False, True]


def clear_of_the_edge(lean: float) -> bool:
    return abs(abs(lean - 0.5) - 0.05) > 1e-9


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0.0, 1.0).filter(clear_of_the_edge), min_size=1, max_size=30))
def test_flips_are_never_more_than_crossings_of_both_levels(leans: list[float]) -> None:
    watcher = Watcher()
    told = [alert for hour, lean in enumerate(leans) for alert in watcher.flips(hour, voice(lean))]
    sides = [lean > 0.5 for lean in leans if abs(lean - 0.5) >= 0.05]
    assert len(told) == sum(one != two for one, two in itertools.pairwise(sides))


def disagreement(watcher: Watcher, hour: float, a: float, b: float, weeks: int | None) -> list[Alert]:
    """What is told when two voices lean so, and have disagreed for so many weeks (None: they do not)."""
    one, two = voice(a, "internal"), voice(b, "market")
    pairs = () if weeks is None else (Disagreement(ONE, TWO, a, b, weeks),)
    comparison = Comparison("internal", "market", (ONE, TWO), disagreements=pairs)
    empty = orderings(packaged(), None, ModelOptions(draws=50), now=hours(0))
    result: Orderings = replace(empty, voices={"internal": one, "market": two})
    found = list(orders._disagreements(watcher.scene(hour), result, comparison))
    return watcher.take(hour, [*found, Found(orders.LOOK, {"at": iso(hours(hour))})])


def test_a_disagreement_is_told_in_its_second_week_and_again_only_after_it_was_over() -> None:
    watcher = Watcher()
    told = [
        brief(disagreement(watcher, 168 * week, a, b, weeks))
        for week, (a, b, weeks) in enumerate(
            [
                (0.5, 0.5, None),
                (0.8, 0.2, 1),
                (0.8, 0.2, 2),
                (0.8, 0.2, 3),
                (0.6, 0.2, None),  # within the margin: neither over nor on
                (0.8, 0.2, 1),
                (0.8, 0.2, 2),  # never over: not told again
                (0.5, 0.2, None),
                (0.8, 0.2, 1),
                (0.8, 0.2, 2),
            ]
        )
    ]
    assert [[one[1] for one in each] for each in told] == [
        [], [], ["disagree"], [], [], [], [], ["ended"], [], ["disagree"],
    ]  # fmt: skip


def test_a_disagreement_of_before_the_first_look_is_no_news() -> None:
    watcher = Watcher()
    assert disagreement(watcher, 0, 0.8, 0.2, 5) == []
    assert disagreement(watcher, 168, 0.8, 0.2, 6) == []


def test_the_voices_are_asked_when_their_turn_has_come_only() -> None:
    world = World(order_hours=6)
    rule = {"orders": orders.orders}
    asked = []
    for hour in (0, 1, 5.9, 6, 7):
        found = world.evaluate(hour, rule)
        world.store.keep_alerts(found.alerts, found.armings)
        asked.append(any(one.signal == orders.LOOK for one in found.armings))
    assert asked == [True, False, False, True, False]
    assert world.store.alerts() == []


def proxy(external_id: str, area: str) -> Link:
    """A question that bears on an area and asks for a date."""
    told = {"areas": (area,), "relation": Relation.PROXY, "by": hours(24 * 365 * 4), "weight": 1.0}
    return followed(external_id).model_copy(update=told)


def test_when_stored_values_turn_the_market_s_order_it_is_told_once_with_the_bytes_behind_it() -> None:
    world = World(proxy("a", ONE), proxy("b", TWO), order_hours=0, flip_hold_hours=0)
    told = []
    for hour, first, second in ((0, 0.95, 0.02), (10, 0.02, 0.95), (20, 0.02, 0.95)):
        world.value(hour, first, "a")
        world.value(hour, second, "b")
        found = world.evaluate(hour + 1, {"orders": orders.orders})
        assert found.failed == ()
        record(world.store, found)
        told += [one for one in found.alerts if one.kind == "flip" and "market" in one.title]
    (alert,) = told
    names = {area.key: area.name for area in packaged().areas}
    assert (alert.before, alert.after) == (
        f"{names[ONE]} before {names[TWO]}",
        f"{names[TWO]} before {names[ONE]}",
    )
    values = [one for one in alert.evidence if one.kind == "value"]
    assert sorted((one.key, one.value) for one in values) == [("fair:a", 0.02), ("fair:b", 0.95)]
    assert {one.payload_sha256 for one in values} == {f"{600:064x}"}
