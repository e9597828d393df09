"""``speedup pull`` and ``speedup reparse``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click

from questions.time import EPOCH
from tracker import jobs
from tracker.collect import SourceReport, reparse as reparse_source
from tracker.commands.session import Moment, Session, printable, table, with_session
from tracker.imported import NAME as IMPORTED, Imported
from tracker.source import Source


@click.command("pull", epilog="Example:  speedup pull forecastbench metr --json")
@click.argument("names", metavar="[SOURCE]...", nargs=-1)
@click.option("--since", type=Moment(), help="Ask for history back to this date.")
@click.option("--backfill", is_flag=True, help="Ask for all history.")
@with_session()
def command(session: Session, names: tuple[str, ...], since: datetime | None, backfill: bool) -> int:
    """Poll sources now (all by default) and store what they say."""
    sources = jobs.choose(names, jobs.COLLECTED)
    started = session.now()
    store = session.store()
    try:
        with session.client() as client:
            reports = jobs.pull(
                sources,
                session.catalogue,
                store=store,
                client=client,
                settings=session.settings,
                now=session.now,
                since=EPOCH if backfill else since,
            )
    finally:
        store.close()
    document = {
        "started_at": started,
        "finished_at": session.now(),
        "requests": sum(report.requests for report in reports),
        "sources": [report.as_json() for report in reports],
    }
    session.print(document, lambda: show(reports))
    return exit_code(reports, asked=bool(names))


@click.command("reparse", epilog="Example:  speedup reparse metr --since 2026-01-01")
@click.argument("names", metavar="[SOURCE]...", nargs=-1)
@click.option("--since", type=Moment(), help="Only payloads fetched since then.")
@with_session()
def reparse(session: Session, names: tuple[str, ...], since: datetime | None) -> int:
    """Read stored payloads again with today's parsers; nothing is fetched, nothing known is doubled.

    SOURCE may be ``imported`` too: the files that were entered by hand.
    """
    sources = jobs.choose(names, {**jobs.COLLECTED, IMPORTED: Imported()})
    store = session.store(create=False)
    try:
        reports = [
            reparse_source(store, source, _followed(session, source), since, session.now())
            for source in sources
        ]
    finally:
        store.close()
    session.print({"sources": [report.as_json() for report in reports]}, lambda: show(reports))
    return exit_code(reports, asked=bool(names))


def _followed(session: Session, source: Source) -> set[tuple[str, str]] | None:
    """The questions whose values are kept; of what a person entered, all."""
    if source.traits.name == IMPORTED:
        return None
    return {(link.platform, link.external_id) for link in jobs.links_of(source, session.catalogue)}


def show(reports: Sequence[SourceReport]) -> None:
    """The pull report for people: a line per source, then what went wrong."""
    if not reports:
        click.echo("nothing was due")
        return
    table(
        "",
        ["source", "status", "requests", "KiB", "new", "unchanged", "points new", "revised", "quarantined"],
        [
            (
                report.source,
                report.status,
                report.requests,
                round(report.bytes / 1024),
                report.appended.snapshots_new,
                report.appended.snapshots_unchanged,
                report.appended.measurements_new,
                report.appended.measurements_revised,
                report.quarantined,
            )
            for report in reports
        ],
        right=range(2, 9),
    )
    click.echo(f"{sum(report.requests for report in reports)} requests in all")
    for report in reports:
        for change in report.changes:
            click.echo(f"ALERT: {printable(change)}")
        for drift in report.drift:
            click.echo(f"{report.source} answers differently now: {printable(drift)}")
    problems = [
        (report.source, error.ref, error.kind, error.message) for report in reports for error in report.errors
    ]
    if problems:
        table("what went wrong", ["source", "ref", "kind", "message"], problems[:40])
        if len(problems) > 40:
            click.echo(f"… and {len(problems) - 40} more (see --json)")


def exit_code(reports: Sequence[SourceReport], *, asked: bool) -> int:
    """0 when all is well, 3 when nothing could be done, else 1.

    A source without its key is passed over in silence of exit codes unless it was asked for by name.
    """
    judged = [report for report in reports if asked or report.status != "skipped"]
    if all(report.status == "ok" for report in judged):
        return 0
    worked = any(report.status in ("ok", "partial") for report in judged)
    return 1 if worked else 3
