"""The battery script: every proxy's ratio at every quarter's end, computed and kept as a series like any other.

A proxy with a formula is computed from stored series; one that judges read, and the panel, from their
readings. What was computed from what is the payload (JSON), kept with its hash before the points are; so a
receipt's hash leads to the ratio, the formula, the readings and the hashes of the series behind it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from questions.evidence import Datum, Judgement, noon
from questions.question import Battery, BatteryRule, Proxy, Question
from questions.records import Measurement, SeriesVersion
from questions.subjects import Joint, Subject, joint, subjects
from questions.time import day_end, iso
from questions.worlds import quarters_over
from storage.records import Batch, RawPayload
from storage.store import Store
from tracker.estimates.proxies import Ratio, Unread, ratio
from tracker.resolving import Library

NAME = "battery"
METRIC, UNIT = "ratio", "x"
FORMAT = "speedup-battery-1"


@dataclass(frozen=True)
class Evaluated:
    """One proxy or panel as known at an instant. ``quarters``: what each came to; ``new``: not stored before."""

    series: str
    quarters: tuple[Quarter, ...]
    new: bool

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        return tuple(one.point for one in self.quarters if one.point is not None)


@dataclass(frozen=True)
class Quarter:
    """A quarter's end: its point, or why there is none; and what it was made from, for the payload."""

    end: date
    point: Measurement | None
    reason: str
    made_from: Mapping[str, Any]


def evaluate(
    store: Store, questions: Iterable[Question], known_at: datetime, *, keep: bool
) -> list[Evaluated]:
    """Every proxy and panel of the questions' batteries at every quarter's end that was over by an instant.

    ``keep`` stores what is new: a series whose points and origins are as before is not stored again.
    """
    asked = [question for question in questions if question.battery is not None]
    library = Library(store, known_at)
    found: list[tuple[str, list[Quarter]]] = []
    for battery, proxy, rule, start in _computed(asked):
        ends = quarters_over(start, known_at)
        found.append((battery.series(proxy), [_read(library, battery, proxy, rule, end) for end in ends]))
    readings: dict[str, list[Judgement]] = {}
    for one in store.judgements(known_at=known_at):
        readings.setdefault(one.question.partition("@")[0], []).append(one)
    for series, subject in subjects(asked).items():
        found.append((series, _joined(subject, readings.get(series, ()), known_at)))
    return [_kept(store, series, quarters, known_at, keep=keep) for series, quarters in found if quarters]


def _computed(questions: Iterable[Question]) -> list[tuple[Battery, Proxy, BatteryRule, datetime]]:
    """Every proxy with a formula, once, and the start of its baseline: no quarter before it can count."""
    found: dict[str, tuple[Battery, Proxy, BatteryRule, datetime]] = {}
    for question in questions:
        rule, base = question.battery, question.baseline
        assert rule is not None
        start = (
            noon(base.window_end) if base is not None and base.window_end is not None else question.dates.open
        )
        for arm in rule.arms:
            for proxy in arm.proxies:
                if proxy.formula is not None:
                    found.setdefault(arm.series(proxy), (arm, proxy, rule, start))
    return [found[series] for series in sorted(found)]


def _read(library: Library, battery: Battery, proxy: Proxy, rule: BatteryRule, end: date) -> Quarter:
    """A formula at a quarter's end, on the points of its series that had been published by then.

    What stood in a series when it was first read is taken as published before: nobody knows when it was.
    """
    formula = proxy.formula
    assert formula is not None
    series, _, metric = formula.of.partition("/")
    history = library.history(series)
    first_look = history.looks[0].at if history.looks else library.known_at
    last = max(day_end(end), first_look)
    points = _standing(history.data, metric, last)
    told = ratio(
        formula, [(datum.at, datum.value) for datum in points if datum.value is not None], end, rule.level
    )
    made_from = {
        "formula": formula.model_dump(mode="json"),
        "points": len(points),
        "payloads": sorted({datum.payload or "" for datum in points}),
    }
    if isinstance(told, Unread):
        return Quarter(end, None, told.reason, made_from)
    return Quarter(end, _point(battery.series(proxy), end, told, rule.level), proxy.ratio, made_from)


def _standing(data: Sequence[Datum], metric: str, last: datetime) -> list[Datum]:
    """The present account of every point that was first told of by an instant."""
    first: dict[str, datetime] = {}
    now: dict[str, Datum] = {}
    for datum in data:
        if datum.metric == metric:
            first.setdefault(datum.key, datum.published)
            now[datum.key] = datum
    return [datum for key, datum in now.items() if first[key] <= last and not datum.withdrawn]


def _point(series: str, end: date, told: Ratio, level: float) -> Measurement:
    return Measurement(
        series, f"{end}", METRIC, end, told.value, UNIT, lower=told.lower, upper=told.upper, ci_level=level
    )


def _joined(subject: Subject, readings: Sequence[Judgement], known_at: datetime) -> list[Quarter]:
    """What judges, or a panel's seats, said of each quarter's end that anybody has read."""
    found = []
    theirs = [one for one in readings if one.version == subject.version and one.on is not None]
    for end in sorted({one.on for one in theirs if one.on is not None and day_end(one.on) <= known_at}):
        of_it = [one for one in theirs if one.question == subject.at(end)]
        told = joint(subject, of_it)
        made_from = {"rule": told.reason, "readings": [_shown(one) for one in of_it]}
        found.append(Quarter(end, _joint_point(subject, end, told), told.reason, made_from))
    return found


def _joint_point(subject: Subject, end: date, told: Joint) -> Measurement | None:
    if told.lower is None:
        return None
    level = None if subject.panel is not None else subject.rule.level
    lower = None if subject.panel is not None else told.lower
    return Measurement(
        subject.series,
        f"{end}",
        METRIC,
        end,
        told.lower,
        UNIT,
        lower=lower,
        ci_level=level,
        label=told.reason,
    )


def _shown(reading: Judgement) -> dict[str, Any]:
    return {
        "judge": reading.judge,
        "outcome": reading.outcome,
        "value": reading.value,
        "citations": list(reading.citations),
        "made_at": iso(reading.made_at),
        "version": reading.version,
    }


def _kept(
    store: Store, series: str, quarters: Sequence[Quarter], known_at: datetime, *, keep: bool
) -> Evaluated:
    body = _body(series, quarters)
    payload = RawPayload(NAME, series, f"speedup:battery/{series}", known_at, 200, "application/json", body)
    points = tuple(one.point for one in quarters if one.point is not None)
    stored = store.versions(series, known_at=known_at)
    new = bool(points or stored) and not (stored and stored[-1].payload_sha256 == payload.sha256)
    if new and keep:
        store.put_raw(payload)
        store.append(Batch(versions=(SeriesVersion(series, payload.sha256, known_at, points),)))
    return Evaluated(series, tuple(quarters), new)


def _body(series: str, quarters: Sequence[Quarter]) -> bytes:
    document = {
        "format": FORMAT,
        "series": series,
        "quarters": [
            {
                "end": f"{one.end}",
                "ratio": None if one.point is None else one.point.value,
                "lower": None if one.point is None else one.point.lower,
                "upper": None if one.point is None else one.point.upper,
                "why": one.reason,
                **one.made_from,
            }
            for one in quarters
        ],
    }
    return (json.dumps(document, ensure_ascii=False, sort_keys=True, indent=1) + "\n").encode()
