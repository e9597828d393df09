"""All rules on one store at one instant: a pure function of what was known then and of what had been told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from questions.catalogue import Catalogue
from storage.alerting import Alert, Arming
from storage.store import Store
from tracker.alerts import digests, moves, orders, outcomes, series, sources
from tracker.alerts.scene import Found, Scene
from tracker.config import Settings
from tracker.errors import TrackerError
from tracker.source import Source

Rule = Callable[[Scene], Iterable[Found]]

#: In this order: how the sources are decides what is said of their questions.
RULES: Mapping[str, Rule] = {
    "sources": sources.states,
    "drift": sources.drifts,
    "moves": moves.moves,
    "resolved": outcomes.resolved,
    "overdue": outcomes.overdue,
    "lost": outcomes.lost,
    "own": outcomes.own_questions,
    "series": series.changes,
    "orders": orders.orders,
    "digest": digests.missing,
}


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found: new alerts, how signals are armed from now on, and rules that could not look."""

    at: datetime
    alerts: tuple[Alert, ...] = ()
    armings: tuple[Arming, ...] = ()
    failed: tuple[str, ...] = ()


def evaluate(
    store: Store,
    catalogue: Catalogue,
    settings: Settings,
    followed: Mapping[str, Source],
    at: datetime,
    rules: Mapping[str, Rule] = RULES,
    known: Mapping[str, Arming] | None = None,
) -> Evaluation:
    """What is to be told as known at ``at``, after all that had been told by then.

    ``known``: how the signals were armed before that, by default as the store has it. An instant that was evaluated
    and changed something gives nothing when it is evaluated again. A rule that fails is named and does not keep the
    others from looking; it looks again the next time, so that nothing is lost.
    """
    known = store.armings(known_at=at) if known is None else known
    if any(one.at >= at for one in known.values()):
        return Evaluation(at)
    armed = {name: one.state for name, one in known.items()}
    scene = Scene(store, catalogue, settings, followed, at, armed)
    found: list[Found] = []
    failed = []
    for name, rule in rules.items():
        try:
            found += list(rule(scene))
        except TrackerError as error:
            failed.append(f"{name}: {error}")
    muted = set(settings.alerts.mute)
    alerts = tuple(one.alert for one in found if one.alert is not None and one.alert.kind not in muted)
    armings = tuple(Arming(one.signal, at, one.state) for one in found if armed.get(one.signal) != one.state)
    return Evaluation(at, alerts, armings, tuple(failed))


def record(store: Store, evaluation: Evaluation) -> int:
    """Keep what an evaluation found, all or nothing; returns how many alerts were new.

    Nothing is kept of an instant before the last one that was: the time between has been told of.
    """
    if not evaluation.armings or ahead(store, evaluation.at) is not None:
        return 0
    return store.keep_alerts(evaluation.alerts, evaluation.armings)


def ahead(store: Store, at: datetime) -> datetime | None:
    """The last instant that was kept, if it is not before ``at``; later than now only after a clock that was wrong."""
    last = max((one.at for one in store.armings().values()), default=None)
    return last if last is not None and last >= at else None
