"""What is kept of alerts: each with what it was based on, how every signal is armed, and what became of each alert."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from questions.receipts import Exhibit
from questions.time import utc
from storage.border import admit, keepable
from storage.decide import refuse_another
from storage.errors import StorageError


@dataclass(frozen=True)
class Alert:
    """One change that a person should hear of, and all that it rests on. Only ever added.

    ``signal`` is the stable name of what changed (``move:manifold:ID``), ``at`` the instant as known at which the
    change was found: one signal alerts once at an instant. ``direction``: ``up``, ``down``, or a word of the kind's
    own; ``size``: how big the change is, in the unit of its rule. ``rule``: the thresholds in force; ``evidence``:
    the records behind it with their payloads.
    """

    signal: str
    at: datetime
    kind: str
    direction: str
    title: str
    before: str
    after: str
    text: str = ""
    url: str = ""
    areas: tuple[str, ...] = ()
    size: float | None = None
    rule: Mapping[str, Any] = field(default_factory=dict)
    evidence: tuple[Exhibit, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", utc(self.at))
        object.__setattr__(self, "areas", tuple(self.areas))
        object.__setattr__(self, "evidence", tuple(admit(one) for one in self.evidence))
        object.__setattr__(self, "rule", plain(self.rule))
        for name in ("signal", "kind", "direction", "title", "before", "after", "text", "url"):
            object.__setattr__(self, name, keepable(getattr(self, name)))


@dataclass(frozen=True)
class Arming:
    """How a signal is armed from an instant on: what was last told of it. The newest one counts."""

    signal: str
    at: datetime
    state: Mapping[str, Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", utc(self.at))
        object.__setattr__(self, "signal", keepable(self.signal))
        object.__setattr__(self, "state", plain(self.state))


class Fate(StrEnum):
    """What became of an alert."""

    QUEUED = "queued"
    FOLDED = "folded"  # told as part of a later one of the same signal
    WITHDRAWN = "withdrawn"  # it had passed before anybody was told
    EXPIRED = "expired"  # there was nobody to tell while it was news


@dataclass(frozen=True)
class Decision:
    """What became of one alert, and in which message it went out. Made once."""

    signal: str
    alerted_at: datetime
    at: datetime
    fate: Fate
    batch: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "alerted_at", utc(self.alerted_at))
        object.__setattr__(self, "at", utc(self.at))
        object.__setattr__(self, "fate", Fate(self.fate))
        for name in ("signal", "batch"):
            object.__setattr__(self, name, keepable(getattr(self, name)))


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping as JSON gives it back: one that a database returns equals the one it was given."""
    loaded: dict[str, Any] = json.loads(json.dumps(dict(values), allow_nan=False))
    return loaded


@dataclass
class AlertBook:
    """Alerts in memory, and the definition of what a database must answer."""

    alerts: dict[tuple[str, datetime], Alert] = field(default_factory=dict)
    armings: dict[tuple[str, datetime], Arming] = field(default_factory=dict)
    decisions: dict[tuple[str, datetime], Decision] = field(default_factory=dict)

    def keep(self, alerts: Iterable[Alert], armings: Iterable[Arming]) -> int:
        new = {(one.signal, one.at): one for one in alerts}
        armed = {(one.signal, one.at): one for one in armings}
        count = fresh(new, self.alerts, "alert")
        fresh(armed, self.armings, "arming")
        self.alerts.update(new)
        self.armings.update(armed)
        return count

    def decide(self, decisions: Iterable[Decision]) -> int:
        new = {(one.signal, one.alerted_at): one for one in decisions}
        lost = sorted(new.keys() - self.alerts.keys())
        if lost:
            raise StorageError(f"there is no alert of {lost[0][0]} at {lost[0][1]} to decide on")
        count = fresh(new, self.decisions, "decision")
        self.decisions.update(new)
        return count

    def last_armings(self, known_at: datetime | None) -> dict[str, Arming]:
        return newest(one for one in self.armings.values() if known_at is None or one.at <= known_at)


def fresh(new: Mapping[Any, object], known: Mapping[Any, object], what: str) -> int:
    """How many of these records are new. Raises StorageError when a key was given to another one."""
    for key, record in new.items():
        if key in known:
            refuse_another(known[key], record, what)
    return len(new.keys() - known.keys())


def newest(armings: Iterable[Arming]) -> dict[str, Arming]:
    """The newest arming of each signal, by signal."""
    found: dict[str, Arming] = {}
    for one in armings:
        known = found.get(one.signal)
        if known is None or one.at >= known.at:
            found[one.signal] = one
    return dict(sorted(found.items()))


def in_time(record: Alert | Decision) -> tuple[datetime, str]:
    return (record.at, record.signal)
