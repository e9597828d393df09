"""A store that is filled by hand, a few followed questions, and a look at it at any hour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from questions.catalogue import Catalogue, load_catalogue
from questions.model import Link, Relation, View
from questions.records import (
    Measurement,
    OutcomeState,
    Quantity,
    QuestionHealth,
    QuestionInfo,
    QuestionState,
    Resolution,
    SeriesVersion,
    Snapshot,
    StreamKey,
)
from questions.series import SeriesRecord
from storage.alerting import Alert
from storage.memory import MemoryStore
from storage.records import Batch, Drift, DriftKind, Run, RunState
from storage.store import Store
from tests.tracker.fakes import FairSource
from tracker.alerts.dispatch import Plan, carry_out, plan
from tracker.alerts.evaluate import RULES, Evaluation, Rule, evaluate, record
from tracker.config import Settings

T0 = datetime(2026, 8, 3, 12, tzinfo=UTC)  # a Monday
CHEAP: Mapping[str, Rule] = {name: rule for name, rule in RULES.items() if name != "orders"}


def hours(count: float) -> datetime:
    return T0 + timedelta(hours=count)


def key(external_id: str = "a", source: str = "fair", outcome: str = "yes") -> StreamKey:
    return StreamKey(source, "fair", external_id, outcome, Quantity.PLAY_MONEY_PRICE)


def followed(external_id: str, outcome: str = "yes") -> Link:
    return Link(
        platform="fair",
        external_id=external_id,
        outcome=outcome,
        url=f"https://fair.example/{external_id}",
        label=f"question {external_id}",
        relation=Relation.CONTEXT,
        view=View.MODEL,
        areas=("interpretability",),
    )


@cache
def packaged() -> Catalogue:
    return load_catalogue()


def catalogue(*links: Link, series: Mapping[str, SeriesRecord] | None = None) -> Catalogue:
    return replace(packaged(), links=links, questions={}, series=series or packaged().series)


class World:
    """What is put in at an hour is known from that hour on."""

    def __init__(self, *links: Link, store: Store | None = None, **alerts: Any) -> None:
        told: dict[str, Any] = {"move_hold_hours": 0, "min_age_days": 0, "batch_minutes": 0}
        told |= {"cooldown_hours": 0}
        self.settings = Settings(alerts=told | alerts, alert_webhook="http://127.0.0.1/hook")
        self.store: Store = store or MemoryStore()
        self.catalogue = catalogue(*(links or (followed("a"),)))
        self.sources = {"fair": FairSource()}

    def value(self, hour: float, probability: float, external_id: str = "a", **more: Any) -> None:
        """What a poll finds, with enough behind it unless said."""
        stream = key(external_id, more.pop("source", "fair"), more.pop("outcome", "yes"))
        as_of = hours(more.pop("as_of", hour))
        timed = as_of != hours(hour)
        payload = more.pop("payload", f"{int(hour * 60):064x}")
        backing: dict[str, Any] = {"forecasters": 50, "liquidity": 500.0, "volume": 5000.0}
        snapshot = Snapshot(
            stream,
            as_of,
            hours(hour),
            probability=probability,
            timed_by_source=timed,
            payload_sha256=payload,
            **(backing | more),
        )
        self.store.append(Batch(snapshots=(snapshot,)))

    def info(self, hour: float, external_id: str = "a", title: str = "Will it?", **more: Any) -> None:
        self.store.append(
            Batch(infos=(QuestionInfo("fair", "fair", external_id, hours(hour), title, **more),))
        )

    def outcome(self, hour: float, state: str, external_id: str = "a", source: str = "fair") -> None:
        value = {"yes": 1.0, "no": 0.0}.get(state)
        word = Resolution(
            source, "fair", external_id, "yes", OutcomeState(state), hours(hour), value=value,
            payload_sha256="d" * 64,
        )  # fmt: skip
        self.store.append(Batch(resolutions=(word,)))

    def health(self, hour: float, state: str, *ids: str, message: str = "") -> None:
        words = tuple(
            QuestionHealth("fair", "fair", one, hours(hour), QuestionState(state), message) for one in ids
        )
        self.store.append(Batch(healths=words))

    def polled(self, hour: float, state: RunState = RunState.DONE, message: str = "") -> None:
        self.store.end_run(Run("poll:fair", hours(hour), state, hours(hour), hours(hour), message))

    def drift(self, hour: float, place: str, kind: DriftKind = DriftKind.MISSING_FIELD) -> None:
        self.store.add_drifts([Drift("fair", place, kind, "number", "e" * 64, hours(hour), hours(hour))])

    def series(self, hour: float, sha256: str, values: Mapping[str, float], name: str = "metr_th11") -> None:
        points = tuple(
            Measurement(name, one, "p50", hours(0).date(), value, "minutes") for one, value in values.items()
        )
        self.store.append(Batch(versions=(SeriesVersion(name, sha256 * 64, hours(hour), points),)))

    def evaluate(self, hour: float, rules: Mapping[str, Rule] = CHEAP) -> Evaluation:
        return evaluate(self.store, self.catalogue, self.settings, self.sources, hours(hour), rules)

    def look(self, hour: float, *kinds: str) -> list[Alert]:
        """Evaluate an hour and keep what was found; the alerts, of these kinds if any are named."""
        found = self.evaluate(hour)
        assert not found.failed
        kept = record(self.store, found)
        assert kept in (0, len(found.alerts))
        return [alert for alert in found.alerts if kept and (not kinds or alert.kind in kinds)]

    def tell(self, hour: float) -> Plan:
        """Send out what is to be sent at an hour."""
        made = plan(self.store, self.settings, hours(hour))
        carry_out(self.store, self.settings, made)
        return made


def brief(alerts: Iterable[Alert]) -> list[tuple[str, str, str, str]]:
    return [(one.kind, one.direction, one.before, one.after) for one in alerts]
