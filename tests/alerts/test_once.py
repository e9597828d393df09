"""One alert per real change, of every kind: with direction, before, after and evidence, kept, and told once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from questions.records import QuestionState
from questions.time import iso
from storage.alerting import Alert, Fate
from storage.records import RunState
from tests.alerts.world import World, followed, hours
from tracker.config import Settings

FOUR = tuple(map(followed, "abcd"))
BY_THE_CLOCK = {"overdue", "digest"}
Change = Callable[[World], None]


def before(world: World) -> None:
    """A quiet day."""
    for name in "abcd":
        world.info(0, name, closes_at=datetime(2026, 7, 5, tzinfo=UTC) if name == "c" else None)
        world.value(0, 0.3, name)
    world.health(0, "ok", *"abcd")
    world.polled(0)
    world.series(0, "a", {"one": 60.0})
    world.series(0, "a", {"one": 60.0}, "swebench_verified")
    world.drift(0, "$.old")


def failing(world: World) -> None:
    for hour in (5, 6, 7, 8):
        world.polled(hour, RunState.FAILED, "refused")
    world.health(8, QuestionState.STALE.value, *"abcd", message="nothing heard of it")


def refused(world: World) -> None:
    world.health(8, "not_permitted", *"abcd", message="403")


CHANGES: dict[str, tuple[str, str, Change]] = {
    "log-odds move": ("move", "up", lambda world: world.value(8, 0.9)),
    "trend file changed": ("series", "changed", lambda world: world.series(8, "b", {"one": 60.0})),
    "new record": (
        "series",
        "record",
        lambda world: world.series(8, "b", {"one": 60.0, "two": 70.0}, "swebench_verified"),
    ),
    "revised": ("series", "revised", lambda world: world.series(8, "b", {"one": 40.0}, "swebench_verified")),
    "not permitted": ("source", "down", refused),
    "stale": ("source", "down", failing),
    "drift": ("drift", "changed", lambda world: world.drift(8, "$.probability")),
    "overdue": ("overdue", "overdue", lambda _: None),  # by the clock alone
    "resolved": ("resolved", "resolved", lambda world: world.outcome(8, "yes")),
    "gone": ("question", "lost", lambda world: world.health(8, "gone", "d", message="not here")),
    "digest not sent": ("digest", "missing", lambda _: None),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_real_change_is_one_alert_told_once_with_what_it_rests_on(name: str) -> None:
    kind, direction, change = CHANGES[name]
    world = World(*FOUR)
    told = {"mail_from": "tracker@example.org", "mail_to": "ada@example.org", "digest_at": "mon 14:00 UTC"}
    world.settings = Settings.model_validate(world.settings.model_dump() | told)
    before(world)
    found = world.look(1)
    change(world)
    for hour in (9, 20, 30, 35, 40, 60):
        found += world.look(hour)
        world.tell(hour)
    (alert,) = [one for one in found if one.kind == kind]
    assert alert.direction == direction
    assert alert.before
    assert alert.after
    assert alert.before != alert.after
    assert alert.evidence
    assert alert in world.store.alerts(), "it is kept as it was found"
    fates = [one for one in world.store.alert_decisions() if one.signal == alert.signal]
    assert [one.fate for one in fates] == [Fate.QUEUED]
    assert {one.kind for one in found} - BY_THE_CLOCK <= {kind}


def test_nothing_is_told_of_a_day_on_which_nothing_changed() -> None:
    world = World(*FOUR)
    before(world)
    found: list[Alert] = []
    for hour in (1, 9, 20, 35, 40):
        for name in "abcd":
            world.value(hour, 0.3, name)
        world.health(hour, "ok", *"abcd")
        world.polled(hour)
        world.series(hour, "a", {"one": 60.0})
        found += world.look(hour + 0.1)
        world.tell(hour + 0.2)
    assert [one for one in found if one.kind not in BY_THE_CLOCK] == []
    assert [one.period for one in world.store.letters()] == [f"alerts:{iso(hours(20.2))}"]
