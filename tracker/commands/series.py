"""``speedup series``: measurements as they are, as they were known, and what revisions changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from questions.curated import Origin
from questions.records import Measurement
from questions.series import SeriesRecord, record_of
from questions.time import iso
from storage.records import Change, RawPayload, VersionInfo
from storage.store import Store
from tracker.commands.session import Moment, Session, table, with_session
from tracker.curated import NAME as CURATED, table_of
from tracker.errors import ParseError, UsageError
from tracker.freshness import Freshness, freshness


@click.group("series")
def command() -> None:
    """Measurements and their revisions: list, show, diff."""


@command.command("list", epilog="Example:  speedup series list")
@with_session(as_of=True)
def list_series(session: Session) -> int:
    """Every stored series with its versions, points and age, and what it is."""
    store = session.store(create=False)
    try:
        stored = store.series_ids()
        rows = [_series_row(store, series, session) for series in stored]
    finally:
        store.close()
    records = session.catalogue.series
    delivered = {record.id for name in stored if (record := record_of(name, records)) is not None}
    document: dict[str, Any] = {"series": rows, "not_stored": sorted(set(records) - delivered)}

    def show() -> None:
        table(
            "",
            [
                "series",
                "versions",
                "points",
                "newest point",
                "unchanged since",
                "days",
                "last seen",
                "state",
                "why",
            ],
            [
                (
                    r["series"],
                    r["versions"],
                    r["points"],
                    r["newest_point"],
                    r["unchanged_since"],
                    r["age_days"],
                    r["last_seen"],
                    r["standing"],
                    r["standing_reason"],
                )
                for r in rows
            ],
            right=[1, 2, 5],
        )
        table(
            "what they are (a series that does not change is not a trend that stopped)",
            [
                "series",
                "view",
                "units",
                "direction",
                "ceiling",
                "changed by its publisher",
                "areas",
                "licence",
            ],
            [_about_row(r) for r in rows],
        )
        if document["not_stored"]:
            click.echo(f"not stored yet: {', '.join(document['not_stored'])}")

    session.print(document, show)
    return 0


def _series_row(store: Store, series: str, session: Session) -> dict[str, Any]:
    versions = store.versions(series, known_at=session.as_of)
    points = store.measurements(series, known_at=session.as_of)
    now = session.as_of or session.now()
    record = record_of(series, session.catalogue.series)
    fresh = freshness(record, versions, points, now)
    return {
        "series": series,
        "versions": len(versions),
        "points": len(points),
        "metrics": sorted({point.metric for point in points}),
        "unit": points[0].unit if points else None,
        "units": {point.metric: point.unit for point in points},
        "newest_point": fresh.newest_point,
        "newest_point_days": fresh.newest_point_days,
        "last_changed": versions[-1].seen_first if versions else None,
        "last_seen": versions[-1].seen_last if versions else None,
        "unchanged_since": fresh.unchanged_since,
        "age_days": fresh.unchanged_days,
        "standing": fresh.standing.value,
        "standing_reason": fresh.reason,
        "sha256": versions[-1].payload_sha256 if versions else None,
        "record": record_json(record),
    }


def record_json(record: SeriesRecord | None) -> dict[str, Any] | None:
    """What the catalogue says of a series, for JSON."""
    return None if record is None else record.model_dump(mode="json")


def _about_row(row: dict[str, Any]) -> tuple[object, ...]:
    record = row["record"]
    units = ", ".join(sorted({f"{unit}" for unit in row["units"].values()}))
    if record is None:
        return (row["series"], None, units, None, None, None, None, None)
    return (
        row["series"],
        record["view"],
        units,
        record["direction"],
        _ceiling(record),
        _cadence(record),
        _areas(record),
        record["licence"],
    )


def _areas(record: dict[str, Any]) -> str:
    named = record["areas"]
    return "all ten" if len(named) == 10 else ", ".join(named) or "none of its own"


def _ceiling(record: dict[str, Any]) -> str | None:
    told = [
        f"{metric['name']} above {metric['ceiling']:g} {metric['unit']}"
        for metric in record["metrics"]
        if metric["ceiling"] is not None
    ]
    return f"unreliable: {', '.join(told)}" if told else None


def _cadence(record: dict[str, Any]) -> str:
    cadence = str(record["cadence"]).replace("_", " ")
    if record["frozen_since"] is not None:
        return f"{cadence} since {record['frozen_since']}"
    if record["max_age_days"] is not None:
        return f"{cadence}; old after {record['max_age_days']} days"
    return cadence


@command.command("show", epilog="Example:  speedup series show metr_th11 --as-known-at 2026-02-20")
@click.argument("series_id", metavar="ID")
@click.option("--metric", help="Only this metric, such as p50.")
@click.option("--as-known-at", type=Moment(), help="The points as we knew them at this time.")
@with_session(as_of=True)
def show_series(session: Session, series_id: str, metric: str | None, as_known_at: datetime | None) -> int:
    """What a series is, and its points in the newest version known, with where each was read."""
    known = as_known_at or session.as_of
    store = session.store(create=False)
    try:
        _known_series(store, series_id)
        points = store.measurements(series_id, metric, known_at=known)
        versions = store.versions(series_id, known_at=known)
        whole = store.measurements(series_id, known_at=known)
        raw = store.get_raw(versions[-1].payload_sha256) if versions else None
    finally:
        store.close()
    record = record_of(series_id, session.catalogue.series)
    fresh = freshness(record, versions, whole, known or session.now())
    origins = _origins(raw)
    document: dict[str, Any] = {
        "series": series_id,
        "record": record_json(record),
        "freshness": asdict(fresh),
        "payload": _payload(raw),
        "as_known_at": known,
        "versions": [asdict(version) for version in versions],
        "points": [_point_json(point, origins) for point in points],
        "reason": None if points else "nothing of this series was known then",
    }

    def show() -> None:
        _show_record(series_id, document["record"], fresh, versions)
        table(
            f"{series_id} as known at {iso(known)}" if known else series_id,
            [
                "metric",
                "day",
                "key",
                "value",
                "low",
                "high",
                "unit",
                "remarks",
                *(["read from"] if origins else []),
            ],
            [_point_row(point, origins) for point in points],
            right=[3, 4, 5],
        )
        if not points:
            click.echo(str(document["reason"]))

    session.print(document, show)
    return 0


def _origins(raw: RawPayload | None) -> dict[tuple[str, str], Origin]:
    """Where each figure of a curated table was read, from the kept file itself; nothing for other sources."""
    if raw is None or raw.source != CURATED:
        return {}
    try:
        return table_of(raw).origins()
    except ParseError:
        return {}


def _payload(raw: RawPayload | None) -> dict[str, Any] | None:
    """Which bytes the newest version was read from."""
    if raw is None:
        return None
    return {"source": raw.source, "url": raw.url, "sha256": raw.sha256, "fetched_at": raw.fetched_at}


def _point_json(point: Measurement, origins: dict[tuple[str, str], Origin]) -> dict[str, Any]:
    origin = origins.get((point.key, point.metric))
    return {**asdict(point), "origin": None if origin is None else asdict(origin)}


def _point_row(point: Measurement, origins: dict[tuple[str, str], Origin]) -> tuple[object, ...]:
    remarks = [
        *(["record"] if point.is_sota else []),
        *(["beyond what can be measured"] if point.beyond_ceiling else []),
        *([point.label] if point.label else []),
    ]
    row = (
        point.metric,
        point.at,
        point.key,
        point.value,
        point.lower,
        point.upper,
        point.unit,
        "; ".join(remarks),
    )
    origin = origins.get((point.key, point.metric))
    if not origins:
        return row
    if origin is None:
        return (*row, None)
    return (*row, f"{origin.source_url} as of {origin.as_of} ({origin.verification}; {origin.entered_by})")


def _show_record(
    series_id: str, record: dict[str, Any] | None, fresh: Freshness, versions: Sequence[VersionInfo]
) -> None:
    lines: list[tuple[str, object]] = []
    if record is not None:
        lines += [
            ("what", record["name"]),
            ("view", record["view"]),
            ("source", ", ".join(part for part in (record["source"], record["source_url"]) if part)),
            ("credit and licence", f"{record['credit']}; {record['licence']}"),
            ("direction", record["direction"]),
            ("changed by its publisher", _cadence(record)),
            ("ceiling", _ceiling(record)),
            ("areas", _areas(record)),
            ("note", record["note"] or None),
        ]
    lines += [
        ("state", f"{fresh.standing.value}{': ' + fresh.reason if fresh.reason else ''}"),
        ("unchanged for (days)", fresh.unchanged_days),
        ("newest point", fresh.newest_point),
        ("versions seen", len(versions)),
    ]
    table(f"series {series_id}", ["", ""], lines)


@command.command("diff", epilog="Example:  speedup series diff metr_th11 2026-02-25 2026-03-05")
@click.argument("series_id", metavar="ID")
@click.argument("t1", type=Moment())
@click.argument("t2", type=Moment())
@with_session()
def diff_series(session: Session, series_id: str, t1: datetime, t2: datetime) -> int:
    """What changed in a series between what was known at T1 and at T2."""
    if t2 < t1:
        raise UsageError(f"T2 ({iso(t2)}) is before T1 ({iso(t1)})")
    store = session.store(create=False)
    try:
        _known_series(store, series_id)
        changes = store.series_diff(series_id, t1, t2)
        before, after = (store.versions(series_id, known_at=t) for t in (t1, t2))
    finally:
        store.close()
    published = {
        "before": dict(before[-1].published) if before else None,
        "after": dict(after[-1].published) if after else None,
    }
    document: dict[str, Any] = {
        "series": series_id,
        "t1": t1,
        "t2": t2,
        "versions_between": len(after) - len(before),
        "published": published,
        "payloads": {
            "before": before[-1].payload_sha256 if before else None,
            "after": after[-1].payload_sha256 if after else None,
        },
        "summary": summary_of(changes),
        "counts": {kind: sum(c.kind == kind for c in changes) for kind in sorted({c.kind for c in changes})},
        "changes": [_change_json(change) for change in changes],
    }

    def show() -> None:
        table(
            f"{series_id}: {iso(t1)} to {iso(t2)}",
            [
                "metric",
                "key",
                "what",
                "before",
                "its interval",
                "after",
                "its interval",
                "after / before",
                "low",
                "high",
            ],
            [_change_row(change) for change in changes],
            right=range(3, 10),
        )
        click.echo(_sentence(document["summary"]) if changes else "nothing changed")

    session.print(document, show)
    return 0


def _known_series(store: Store, series_id: str) -> None:
    known = store.series_ids()
    if series_id not in known:
        raise UsageError(f"no series {series_id!r} is stored; there are: {', '.join(known) or 'none yet'}")


def summary_of(changes: Sequence[Change]) -> dict[str, Any]:
    """What was added, went, or was re-estimated, in counts and by which factor at least and at most.

    Factors are after over before, of the values that changed, metric by metric.
    """
    summary: dict[str, Any] = {}
    for metric in sorted({change.metric for change in changes}):
        mine = [change for change in changes if change.metric == metric]
        ratios = [
            ratio
            for change in mine
            if change.kind == "revised" and (ratio := _ratio(_value(change.before), _value(change.after)))
        ]
        summary[metric] = {
            "added": sorted(change.key for change in mine if change.kind == "added"),
            "removed": sorted(change.key for change in mine if change.kind == "removed"),
            "re_estimated": sum(change.kind == "revised" for change in mine),
            "interval_only": sum(change.kind == "interval" for change in mine),
            "other": sum(change.kind in ("dated", "flagged") for change in mine),
            "least_ratio": min(ratios, default=None),
            "greatest_ratio": max(ratios, default=None),
        }
    return summary


def _sentence(summary: dict[str, Any]) -> str:
    told = []
    for metric, what in summary.items():
        parts = [f"{len(what['added'])} added", f"{what['re_estimated']} re-estimated"]
        if what["least_ratio"] is not None:
            parts[-1] += f" (x{what['least_ratio']:.3f} to x{what['greatest_ratio']:.3f})"
        parts += [f"{what['interval_only']} with another interval only"]
        parts += [f"{len(what['removed'])} removed"] if what["removed"] else []
        parts += [f"{what['other']} with another date, flag or label only"] if what["other"] else []
        told.append(f"{metric}: {', '.join(parts)}")
    return "\n".join(told)


def _value(point: Measurement | None) -> float | None:
    return None if point is None else point.value


def _ratio(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None or before == 0 else after / before


def _ends(point: Measurement | None) -> tuple[float | None, float | None]:
    return (None, None) if point is None else (point.lower, point.upper)


def _change_json(change: Change) -> dict[str, Any]:
    ratio = _ratio(_value(change.before), _value(change.after))
    (low, high), (low_after, high_after) = _ends(change.before), _ends(change.after)
    return {
        "key": change.key,
        "metric": change.metric,
        "kind": change.kind,
        "before": asdict(change.before) if change.before else None,
        "after": asdict(change.after) if change.after else None,
        "ratio": ratio,
        "relative_change": None if ratio is None else ratio - 1.0,
        "lower_ratio": _ratio(low, low_after),
        "upper_ratio": _ratio(high, high_after),
    }


def _interval(point: Measurement | None) -> str | None:
    if point is None or (point.lower is None and point.upper is None):
        return None
    return " to ".join("?" if end is None else f"{end:.4g}" for end in _ends(point))


def _factor(ratio: float | None) -> str | None:
    return None if ratio is None else f"x{ratio:.3f}"


def _change_row(change: Change) -> tuple[object, ...]:
    told = _change_json(change)
    return (
        change.metric,
        change.key,
        change.kind,
        _value(change.before),
        _interval(change.before),
        _value(change.after),
        _interval(change.after),
        _factor(told["ratio"]),
        _factor(told["lower_ratio"]),
        _factor(told["upper_ratio"]),
    )
