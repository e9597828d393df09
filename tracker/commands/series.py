"""``speedup series``: measurements as they are, as they were known, and what revisions changed."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from questions.records import Measurement
from questions.time import iso
from storage.records import Change
from storage.store import Store
from tracker.commands.session import Moment, Session, table, with_session
from tracker.errors import UsageError


@click.group("series")
def command() -> None:
    """Measurements and their revisions: list, show, diff."""


@command.command("list", epilog="Example:  speedup series list")
@with_session(as_of=True)
def list_series(session: Session) -> int:
    """Every stored series with its versions, points and age."""
    store = session.store(create=False)
    try:
        rows = [_series_row(store, series, session) for series in store.series_ids()]
    finally:
        store.close()
    session.print(
        {"series": rows},
        lambda: table(
            "",
            ["series", "versions", "points", "newest point", "last changed", "last seen", "age (days)"],
            [
                (
                    r["series"],
                    r["versions"],
                    r["points"],
                    r["newest_point"],
                    r["last_changed"],
                    r["last_seen"],
                    r["age_days"],
                )
                for r in rows
            ],
            right=[1, 2, 6],
        ),
    )
    return 0


def _series_row(store: Store, series: str, session: Session) -> dict[str, Any]:
    versions = store.versions(series, known_at=session.as_of)
    points = store.measurements(series, known_at=session.as_of)
    changed = versions[-1].seen_first if versions else None
    now = session.as_of or session.now()
    return {
        "series": series,
        "versions": len(versions),
        "points": len(points),
        "metrics": sorted({point.metric for point in points}),
        "unit": points[0].unit if points else None,
        "newest_point": max((point.at for point in points), default=None),
        "last_changed": changed,
        "last_seen": versions[-1].seen_last if versions else None,
        "age_days": (now - changed).days if changed else None,
        "sha256": versions[-1].payload_sha256 if versions else None,
    }


@command.command("show", epilog="Example:  speedup series show metr_th11 --as-known-at 2026-02-20")
@click.argument("series_id", metavar="ID")
@click.option("--metric", help="Only this metric, such as p50.")
@click.option("--as-known-at", type=Moment(), help="The points as we knew them at this time.")
@with_session(as_of=True)
def show_series(session: Session, series_id: str, metric: str | None, as_known_at: datetime | None) -> int:
    """The points of one series, newest version known."""
    known = as_known_at or session.as_of
    store = session.store(create=False)
    try:
        _known_series(store, series_id)
        points = store.measurements(series_id, metric, known_at=known)
        versions = store.versions(series_id, known_at=known)
    finally:
        store.close()
    document = {
        "series": series_id,
        "as_known_at": known,
        "versions": [asdict(version) for version in versions],
        "points": [asdict(point) for point in points],
        "reason": None if points else "nothing of this series was known then",
    }

    def show() -> None:
        table(
            f"{series_id} as known at {iso(known)}" if known else series_id,
            ["metric", "released", "key", "value", "low", "high", "unit", "record"],
            [
                (p.metric, p.at, p.key, p.value, p.lower, p.upper, p.unit, "yes" if p.is_sota else "")
                for p in points
            ],
            right=[3, 4, 5],
        )
        if not points:
            click.echo(str(document["reason"]))

    session.print(document, show)
    return 0


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
    document = {
        "series": series_id,
        "t1": t1,
        "t2": t2,
        "versions_between": len(after) - len(before),
        "published": published,
        "counts": {kind: sum(c.kind == kind for c in changes) for kind in sorted({c.kind for c in changes})},
        "changes": [_change_json(change) for change in changes],
    }

    def show() -> None:
        table(
            f"{series_id}: {iso(t1)} to {iso(t2)}",
            ["metric", "key", "what", "before", "after", "change"],
            [_change_row(change) for change in changes],
            right=[3, 4, 5],
        )
        if not changes:
            click.echo("nothing changed")

    session.print(document, show)
    return 0


def _known_series(store: Store, series_id: str) -> None:
    known = store.series_ids()
    if series_id not in known:
        raise UsageError(f"no series {series_id!r} is stored; there are: {', '.join(known) or 'none yet'}")


def _ratio(before: Measurement | None, after: Measurement | None) -> float | None:
    if before is None or after is None or before.value == 0:
        return None
    return after.value / before.value - 1.0


def _change_json(change: Change) -> dict[str, Any]:
    return {
        "key": change.key,
        "metric": change.metric,
        "kind": change.kind,
        "before": asdict(change.before) if change.before else None,
        "after": asdict(change.after) if change.after else None,
        "relative_change": _ratio(change.before, change.after),
    }


def _change_row(change: Change) -> tuple[object, ...]:
    ratio = _ratio(change.before, change.after)
    return (
        change.metric,
        change.key,
        change.kind,
        change.before.value if change.before else None,
        change.after.value if change.after else None,
        f"{ratio:+.1%}" if ratio is not None and change.kind == "revised" else "",
    )
