"""``speedup status``: what works, what does not, how old the data are, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from threading import Event
from typing import Any

import click

from questions.records import QuestionState
from questions.series import SeriesRecord, record_of
from questions.time import iso
from storage.records import VersionInfo
from storage.store import Store
from tracker import jobs
from tracker.collect import period_of
from tracker.commands.session import Session, table, with_session
from tracker.config import mask_url
from tracker.freshness import byte_changes, freshness
from tracker.health import QuestionView, views
from tracker.schedule import next_slot
from tracker.source import Source

LATELY = timedelta(days=30)  # changes of bytes told by default

ADVICE = {
    "unknown": "never asked: run `speedup pull`",
    "skipped": "set its key (see `speedup doctor`)",
    "not_permitted": "the account may not see these values: ask the platform, or import them by hand",
    "failed": "see the message; `speedup source NAME REF` shows one call",
    "partial": "see the message",
    "stale": "the machine was off, or the source has not answered for two periods: run `speedup pull`",
}


JOB_ADVICE = {
    "never": "it has not run yet: `speedup run` (or `speedup run --once --only {job}`)",
    "idle": "nothing waits for it",
    "running": "",
    "done": "",
    "late": "its time went by unused: is the daemon running? `speedup run --once --only {job}`",
    "partial": "see the message",
    "failed": "see the message; it is tried again by itself, or now: `speedup run --once --only {job}`",
    "skipped": "its time went by unused; it runs at its next one",
}

LEASE = "daemon"
DRIFTS_SHOWN = 50
DRIFTS_LISTED = 20
IDS_SHOWN = 3
QUESTION_ADVICE = {
    QuestionState.OK: "",
    QuestionState.NO_FORECAST: "nobody has forecast yet: wait, or forecast",
    QuestionState.HIDDEN: "wait for its reveal",
    QuestionState.NOT_PERMITTED: "ask the platform for access, or enter values with `speedup import`",
    QuestionState.NO_TRADE: "a market without a price: wait for a trade",
    QuestionState.GONE: "look whether it has moved, and change or remove the link",
    QuestionState.CHANGED_SHAPE: "the platform answers differently: update the program, then `speedup reparse`",
    QuestionState.STALE: "see the message; `speedup source NAME REF` shows one call",
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
            "series_changed": [],
            "rows": {},
        }
        session.print(document, lambda: click.echo(f"{document['database']}: {document['reason']}"))
        return 0
    try:
        now = session.as_of or session.now()
        rows = [_source_row(store, source, session, now) for source in jobs.COLLECTED.values()]
        known = session.catalogue.series
        seen = {name: store.versions(name, known_at=session.as_of) for name in store.series_ids()}
        series = [_series_row(store, name, seen[name], known, now) for name in seen]
        gaps = [gap for gap in store.gaps() if gap.end <= now]
        questions = _questions(store, session, now)
        drifts = store.drifts(known_at=session.as_of)
        document = {
            "database": mask_url(session.settings.database()),
            "at": now,
            "sources": rows,
            "series": series,
            "questions": _summary(questions),
            "drift": [vars(drift) for drift in drifts[:DRIFTS_SHOWN]],
            "drift_total": len(drifts),
            "series_changed": [vars(change) for change in byte_changes(seen, now - LATELY, known)],
            "quarantined": len(store.quarantined()),
            "gaps": [vars(gap) for gap in gaps],
            "leader": _leader(store, now),
            "jobs": _jobs(store, session, now),
            "mail": _mail(store),
            "rows": store.counts(),
        }
    finally:
        store.close()
    session.print(document, lambda: _show(document))
    return 0


def _leader(store: Store, now: datetime) -> str | None:
    """The instance that leads, None when there is none."""
    lease = store.lease(LEASE)
    return lease.holder if lease is not None and lease.holder and now <= lease.expires_at else None


def _jobs(store: Store, session: Session, now: datetime) -> list[dict[str, Any]]:
    """The daemon's other jobs; polls are told of by source."""
    from tracker.commands.run import every_job
    from tracker.daemon.asking import Unasked
    from tracker.daemon.state import job_rows

    asked = Unasked()
    others = [job for job in every_job(session, asked, asked, asked, Event()) if job.source is None]
    rows = job_rows(others, store, now)
    return [row | {"do": JOB_ADVICE[row["state"]].format(job=row["job"])} for row in rows]


def _mail(store: Store) -> dict[str, Any]:
    """Letters by state, and the addresses that no longer work."""
    from storage.mailing import RecipientState
    from tracker.mail.sending import undelivered

    dead = [one.address for one in store.recipients() if one.state is RecipientState.DEAD]
    return {"letters": undelivered(store), "dead_addresses": dead}


def _source_row(store: Store, source: Source, session: Session, now: datetime) -> dict[str, Any]:
    name = source.traits.name
    health = store.health().get(name)
    period = period_of(source, session.settings)
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
        "age_s": None if last_ok is None else max(0.0, (now - last_ok).total_seconds()),
        "last_change": health.last_change_at if health else None,
        "next_due": next_slot(jobs.PREFIX + name, period, now),
        "streams": len(latest),
        "values": dict(sorted(Counter(seen.snapshot.state.value for seen in latest.values()).items())),
        "failures_in_a_row": health.failures if health else 0,
        "message": health.message if health else "",
        "do": ADVICE.get(state, ""),
    }


def _questions(store: Store, session: Session, now: datetime) -> tuple[QuestionView, ...]:
    known_at = session.as_of
    return views(
        session.catalogue.links,
        store.question_health(known_at=known_at),
        store.infos(known_at=known_at),
        store.resolutions(known_at=known_at),
        now=now,
        overdue_after=timedelta(days=session.settings.links.overdue_days),
    )


def _summary(questions: Sequence[QuestionView]) -> dict[str, Any]:
    """How many linked questions are in which state, and each that a person should look at."""
    counts = Counter(question.state.value for question in questions)
    troubled = [question for question in questions if question.troubled]
    return {
        "total": len(questions),
        "states": dict(sorted(counts.items())),
        "overdue": sum(question.overdue_days is not None for question in questions),
        "troubled": [{**vars(question), "do": _what_to_do(question)} for question in troubled],
    }


def _what_to_do(question: QuestionView) -> str:
    if question.since is None:
        return "run `speedup pull`"
    if question.overdue_days is not None:
        return "closed and undecided: ask its creator, and do not read an outcome off the price"
    return QUESTION_ADVICE[question.state]


def _series_row(
    store: Store,
    series: str,
    versions: Sequence[VersionInfo],
    records: Mapping[str, SeriesRecord],
    now: datetime,
) -> dict[str, Any]:
    points = store.measurements(series, known_at=now)
    fresh = freshness(record_of(series, records), versions, points, now)
    return {
        "series": series,
        "standing": fresh.standing.value,
        "standing_reason": fresh.reason,
        "last_changed": versions[-1].seen_first if versions else None,
        "last_seen": versions[-1].seen_last if versions else None,
        "unchanged_since": fresh.unchanged_since,
        "unchanged_for_days": fresh.unchanged_days,
        "newest_point": fresh.newest_point,
        "newest_point_days": fresh.newest_point_days,
    }


def _show(document: dict[str, Any]) -> None:
    click.echo(document["database"])
    _show_sources(document["sources"])
    click.echo(f"leads: {document['leader'] or 'nobody (no daemon runs)'}")
    _show_jobs(document["jobs"])
    _show_mail(document["mail"])
    _show_series(document["series"], document["series_changed"])
    _show_questions(document["questions"])
    _show_drift(document["drift"], document["drift_total"])
    if document["quarantined"]:
        click.echo(f"{document['quarantined']} payloads in quarantine: `speedup reparse` after an upgrade")
    if document["gaps"]:
        click.echo(f"{len(document['gaps'])} gaps recorded (see --json)")


def _ago(seconds: float | None) -> str | None:
    """How old something is: the two largest units of it."""
    if seconds is None:
        return None
    minutes = int(seconds // 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    return f"{days} d {hours} h" if days else f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _wrong(row: dict[str, Any]) -> str:
    """What is wrong, then what to do."""
    return ": ".join(part for part in (row["message"], row["do"]) if part) if row["do"] else row["message"]


def _show_sources(rows: Sequence[dict[str, Any]]) -> None:
    table(
        "sources",
        [
            "source",
            "state",
            "last success",
            "age",
            "next due",
            "streams",
            "values",
            "what is wrong, what to do",
        ],
        [
            (
                row["source"],
                row["state"],
                row["last_success"],
                _ago(row["age_s"]),
                row["next_due"],
                row["streams"],
                ", ".join(f"{n} {state}" for state, n in row["values"].items()),
                _wrong(row),
            )
            for row in rows
        ],
        right=[5],
    )


def _show_jobs(rows: Sequence[dict[str, Any]]) -> None:
    table(
        "jobs",
        ["job", "state", "last success", "age", "next due", "what it said, what to do"],
        [(r["job"], r["state"], r["last_success"], _ago(r["age_s"]), r["next_due"], _wrong(r)) for r in rows],
    )


def _show_mail(mail: dict[str, Any]) -> None:
    waiting = ", ".join(f"{number} {state}" for state, number in mail["letters"].items() if number)
    if waiting:
        click.echo(f"mail: {waiting}")
    for address in mail["dead_addresses"]:
        click.echo(
            f"{address} was refused twice and gets nothing: `speedup recipients confirm` if it works again"
        )


def _show_series(rows: Sequence[dict[str, Any]], changes: Sequence[dict[str, Any]]) -> None:
    if rows:
        table(
            "series (a series that does not change is not a trend that stopped)",
            ["series", "state", "unchanged for (days)", "newest point", "its age (days)", "last seen", "why"],
            [
                (
                    r["series"],
                    r["standing"],
                    r["unchanged_for_days"],
                    r["newest_point"],
                    r["newest_point_days"],
                    r["last_seen"],
                    r["standing_reason"],
                )
                for r in rows
            ],
            right=[2, 4],
        )
    for change in changes:
        if change["surprising"]:
            click.echo(
                f"the bytes of {change['series']} changed on {iso(change['at'])}, though its publisher had given it "
                f"up: look at it with `speedup series diff`"
            )


def _show_drift(drifts: Sequence[dict[str, Any]], total: int) -> None:
    if drifts:
        table(
            f"answers that differ from the shape expected of them ({total} in all)",
            ["first seen", "source", "where", "what"],
            [
                (d["seen_first"], d["source"], d["place"], f"{d['kind'].replace('_', ' ')} {d['detail']}")
                for d in drifts[:DRIFTS_LISTED]
            ],
        )


def _show_questions(summary: dict[str, Any]) -> None:
    if not summary["total"]:
        return
    states = ", ".join(f"{n} {state.replace('_', ' ')}" for state, n in summary["states"].items())
    click.echo(f"{summary['total']} linked questions: {states}; {summary['overdue']} overdue")
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for question in summary["troubled"]:
        groups.setdefault((question["platform"], _state_of(question), question["message"]), []).append(
            question
        )
    if groups:
        table(
            "questions to look at (each one: --json)",
            ["platform", "state", "questions", "ids", "what to do"],
            [
                (platform, state, len(those), _ids(those), f"{message}: {those[0]['do']}".removeprefix(": "))
                for (platform, state, message), those in sorted(groups.items())
            ],
            right=[2],
        )


def _ids(questions: Sequence[dict[str, Any]]) -> str:
    """The ids of a group, or its first few."""
    ids = [str(question["external_id"]) for question in questions]
    return ", ".join(ids) if len(ids) <= IDS_SHOWN else f"{', '.join(ids[:IDS_SHOWN])}, …"


def _state_of(question: dict[str, Any]) -> str:
    state = str(question["state"]).replace("_", " ")
    return state if question["overdue_days"] is None else f"{state}, overdue"
