"""``speedup status``: what works, what does not, how old the data are, and what to do."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import click

from storage.store import Store
from tracker import jobs
from tracker.commands.session import Session, table, with_session
from tracker.config import mask_url
from tracker.schedule import next_slot
from tracker.source import Source
from tracker.sources import SOURCES

ADVICE = {
    "unknown": "never asked: run `speedup pull`",
    "skipped": "set its key (see `speedup doctor`)",
    "not_permitted": "the account may not see these values: ask the platform, or import them by hand",
    "failed": "see the message; `speedup source NAME REF` shows one call",
    "partial": "see the message",
    "stale": "the machine was off, or the source has not answered for two periods: run `speedup pull`",
}


@click.command("status", epilog="Example:  speedup status --json")
@with_session(as_of=True)
def command(session: Session) -> int:
    """Per source and job: last success, next due, data age, state, what is wrong and what to do."""
    store = session.store_if_any()
    if store is None:
        document: dict[str, Any] = {
            "database": mask_url(session.settings.database()),
            "reason": "no database yet: run `speedup pull` or `speedup demo`",
            "sources": [],
            "series": [],
            "rows": {},
        }
        session.print(document, lambda: click.echo(f"{document['database']}: {document['reason']}"))
        return 0
    try:
        now = session.as_of or session.now()
        rows = [_source_row(store, source, session, now) for source in SOURCES.values()]
        series = [_series_row(store, name, now, session.as_of) for name in store.series_ids()]
        gaps = [gap for gap in store.gaps() if gap.end <= now]
        document = {
            "database": mask_url(session.settings.database()),
            "at": now,
            "sources": rows,
            "series": series,
            "quarantined": len(store.quarantined()),
            "gaps": [vars(gap) for gap in gaps],
            "rows": store.counts(),
        }
    finally:
        store.close()
    session.print(document, lambda: _show(document))
    return 0


def _source_row(store: Store, source: Source, session: Session, now: datetime) -> dict[str, Any]:
    name = source.traits.name
    health = store.health().get(name)
    period = jobs.period_of(source, session.settings)
    latest = store.latest([key for key in store.streams() if key.source == name], known_at=session.as_of)
    state = health.state if health else "unknown"
    last_ok = health.last_ok_at if health else None
    if state == "ok" and last_ok is not None and now - last_ok > 2 * period:
        state = "stale"
    return {
        "source": name,
        "state": state,
        "last_success": last_ok,
        "last_attempt": health.last_attempt_at if health else None,
        "last_change": health.last_change_at if health else None,
        "next_due": next_slot(jobs.PREFIX + name, period, now),
        "streams": len(latest),
        "values": dict(sorted(Counter(seen.snapshot.state.value for seen in latest.values()).items())),
        "failures_in_a_row": health.failures if health else 0,
        "message": health.message if health else "",
        "do": ADVICE.get(state, ""),
    }


def _series_row(store: Store, series: str, now: datetime, known_at: datetime | None) -> dict[str, Any]:
    versions = store.versions(series, known_at=known_at)
    if not versions:
        return {"series": series, "last_changed": None, "last_seen": None, "unchanged_for_days": None}
    return {
        "series": series,
        "last_changed": versions[-1].seen_first,
        "last_seen": versions[-1].seen_last,
        "unchanged_for_days": (now - versions[-1].seen_first).days,
    }


def _show(document: dict[str, Any]) -> None:
    click.echo(document["database"])
    table(
        "sources",
        ["source", "state", "last success", "next due", "streams", "values", "what to do"],
        [
            (
                row["source"],
                row["state"],
                row["last_success"],
                row["next_due"],
                row["streams"],
                ", ".join(f"{n} {state}" for state, n in row["values"].items()),
                row["message"] or row["do"],
            )
            for row in document["sources"]
        ],
        right=[4],
    )
    if document["series"]:
        table(
            "series (a series that does not change is not a trend that stopped)",
            ["series", "last changed", "last seen", "unchanged for (days)"],
            [
                (r["series"], r["last_changed"], r["last_seen"], r["unchanged_for_days"])
                for r in document["series"]
            ],
            right=[3],
        )
    if document["quarantined"]:
        click.echo(f"{document['quarantined']} payloads in quarantine: `speedup reparse` after an upgrade")
    if document["gaps"]:
        click.echo(f"{len(document['gaps'])} gaps recorded (see --json)")
