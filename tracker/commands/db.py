"""``speedup db``: the database's schema, integrity and copies."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from storage.records import Pruned
from storage.store import Store
from storage.thinning import Thinned, whole_days
from tracker.commands import raw
from tracker.commands.session import Session, table, with_session
from tracker.config import LETTER_DAYS_LEAST, RAW_DAYS_LEAST, THIN_DAYS_LEAST, mask_url
from tracker.errors import UsageError


@click.group("db")
def command() -> None:
    """The database: upgrade, check, backup, restore, copy, prune, raw."""


@command.command(
    "upgrade", epilog="Example:  speedup db upgrade --db postgresql://tracker@db.example/speedup"
)
@with_session()
def upgrade(session: Session) -> int:
    """Create the schema, or bring it to this version (an SQLite file is copied first)."""
    from storage import upgrade as upgrade_schema

    before, after = upgrade_schema(session.settings.database())
    document = {"database": mask_url(session.settings.database()), "before": before, "after": after}
    session.print(
        document,
        lambda: click.echo(
            f"schema is at {after}"
            + (" (nothing to do)" if before == after else f" (was {before or 'empty'})")
        ),
    )
    return 0


@command.command("check", epilog="Example:  speedup db check --json")
@with_session()
def check(session: Session) -> int:
    """Verify the file, every payload's hash and every reference; exit 3 if anything is wrong."""
    store = session.store(create=False)
    try:
        problems, counts = store.check(), store.counts()
    finally:
        store.close()
    document = {
        "database": mask_url(session.settings.database()),
        "ok": not problems,
        "problems": problems,
        "rows": counts,
    }

    def show() -> None:
        table("rows", ["table", "rows"], sorted(counts.items()), right=[1])
        for problem in problems:
            click.echo(f"problem: {problem}")
        click.echo("all is well" if not problems else f"{len(problems)} problems")

    session.print(document, show)
    return 3 if problems else 0


@command.command("backup", epilog="Example:  speedup db backup speedup-2026-11-20.sqlite")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@with_session()
def backup(session: Session, file: Path) -> int:
    """Write a consistent, verified copy to FILE, while others may write."""
    store = session.store(create=False)
    try:
        counts = store.backup(file)
    finally:
        store.close()
    session.print(
        {"file": file, "rows": counts},
        lambda: click.echo(f"{file}: {sum(counts.values())} rows, verified"),
    )
    return 0


@command.command("restore", epilog="Example:  speedup db restore speedup-2026-11-20.sqlite --force")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace an existing database (it is kept beside the new one).")
@click.option("--dry-run", is_flag=True, help="Verify FILE only.")
@with_session()
def restore(session: Session, file: Path, force: bool, dry_run: bool) -> int:
    """Verify the copy FILE and put it where the database is."""
    from storage.care import restore as restore_copy, verify

    url = session.settings.database()
    counts = verify(file) if dry_run else restore_copy(file, url, force=force)
    document = {"file": file, "database": mask_url(url), "rows": counts, "written": not dry_run}
    session.print(
        document,
        lambda: click.echo(
            f"{file}: {sum(counts.values())} rows, " + ("verified" if dry_run else "restored")
        ),
    )
    return 0


@command.command(
    "copy",
    epilog="Example:  speedup db upgrade --db postgresql://tracker@db.example/speedup  &&"
    "  speedup db copy sqlite:////var/lib/speedup-tracker/speedup.sqlite postgresql://tracker@db.example/speedup",
)
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--dry-run", is_flag=True, help="Look at both and count only.")
@with_session()
def copy(session: Session, source: str, target: str, dry_run: bool) -> int:
    """Copy a whole history FROM one database URL TO another: SQLite, PostgreSQL, either way.

    TO must have this version's tables (`speedup db upgrade --db TO`) and no rows. Every table is read back and its
    number of rows and checksum compared before anything is kept; a copy that is cut off leaves TO empty. Stop the
    daemon on FROM first: what it writes meanwhile is not copied. Passwords are better in ~/.pgpass than in a URL.
    """
    import time

    from storage.moving import leader, move, survey

    began = time.monotonic()
    counts = survey(source, target)
    held = leader(source)
    warnings = [] if held is None else [f"{held} leads on FROM now: what it writes from now on is not copied"]
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    ends = {"from": mask_url(source), "to": mask_url(target), "written": not dry_run, "warnings": warnings}
    if dry_run:
        session.print(
            {
                **ends,
                "rows": sum(counts.values()),
                "tables": [{"table": t, "rows": n} for t, n in counts.items()],
            },
            lambda: table("would copy", ["table", "rows"], sorted(counts.items()), right=[1]),
        )
        return 0
    moved = move(source, target, lambda name, rows: click.echo(f"{name}: {rows} rows", err=True))
    document = {
        **ends,
        "ok": True,
        "rows": sum(one.rows for one in moved),
        "seconds": round(time.monotonic() - began, 3),
        "tables": [
            {
                "table": one.table,
                "rows": one.rows,
                "rows_copied": one.rows_moved,
                "checksum": one.checksum,
                "checksum_copied": one.checksum_moved,
            }
            for one in moved
        ],
    }

    def show() -> None:
        lines = [(one.table, one.rows, one.rows_moved, one.checksum[:16]) for one in moved]
        table("copied, the same on both sides", ["table", "rows", "copied", "checksum"], lines, right=[1, 2])
        click.echo(f"{document['rows']} rows in {document['seconds']:.1f} s")

    session.print(document, show)
    return 0


@command.command("prune", epilog="Example:  speedup db prune --days 365 --thin-days 730 --dry-run")
@click.option("--days", type=click.IntRange(min=RAW_DAYS_LEAST), help="Raw payloads older than this.")
@click.option(
    "--thin-days", type=click.IntRange(min=THIN_DAYS_LEAST), help="Values within a day, of days before this."
)
@click.option(
    "--letter-days", type=click.IntRange(min=LETTER_DAYS_LEAST), help="Bytes of letters over for so long."
)
@click.option("--dry-run", is_flag=True, help="Say what would go.")
@with_session()
def prune(
    session: Session, days: int | None, thin_days: int | None, letter_days: int | None, dry_run: bool
) -> int:
    """Let go of what is old and needed by nothing; what is not named stays.

    Without an option: raw_days, thin_days and letter_days of the section [daemon]. --days: raw payloads of platforms
    that nothing rests on; of each URL the first and last of every day stay, of the others hash, size and times.
    --thin-days: of days (UTC) with more than three values of one stream those that no answer by the day needs; the
    last, highest and lowest stay, corrections, and all that a score, receipt, alert, ordering or digest rests on.
    --letter-days: the bytes of mail and webhook messages that are over; what became of each stays, and so do the
    digests. A backup made before holds all of it still.
    """
    own = session.settings.daemon
    if days is None and thin_days is None and letter_days is None:
        days, thin_days, letter_days = own.raw_days, own.thin_days, own.letter_days
    if not (days or thin_days or letter_days):
        raise UsageError(
            "nothing is let go by default: give --days, --thin-days or --letter-days, or set raw_days, thin_days or"
            " letter_days in the section [daemon]"
        )
    now = session.now()
    store = session.store(create=False)
    try:
        values = _thin(store, thin_days, now, dry_run)
        payloads = _let_go(store, days, now, dry_run)
        letters = (
            store.prune_letters(now - timedelta(days=letter_days), dry_run=dry_run) if letter_days else 0
        )
    finally:
        store.close()
    document = {**payloads, "values": values, "letters": letters, "written": not dry_run}

    def show() -> None:
        end = "would be let go" if dry_run else "let go"
        if days:
            more = " (and more)" if payloads["more"] else ""
            click.echo(f"{payloads['payloads']} payloads, {payloads['stored_bytes']} bytes here{more}: {end}")
        if thin_days:
            click.echo(f"{values['values']} values of {values['streams']} streams: {end}")
        if letter_days:
            click.echo(f"the bytes of {letters} letters: {end}")

    session.print(document, show)
    return 0


def _thin(store: Store, days: int | None, now: datetime, dry_run: bool) -> dict[str, Any]:
    """Thin until nothing more is to go."""
    before = whole_days(now - timedelta(days=days)) if days else None
    found: list[Thinned] = []
    while before is not None and (not found or (found[-1].more and not dry_run)):
        found.append(store.thin(before, now, dry_run=dry_run))
    return {
        "before": before,
        "values": sum(one.values for one in found),
        "streams": sum(one.streams for one in found),
    }


def _let_go(store: Store, days: int | None, now: datetime, dry_run: bool) -> dict[str, Any]:
    """Let go of raw payloads until nothing more is to go."""
    from tracker.sources import SOURCES

    before = now - timedelta(days=days) if days else None
    found: list[Pruned] = []
    while before is not None and (not found or (found[-1].more and not dry_run)):
        found.append(store.prune_raw(frozenset(SOURCES), before, now, dry_run=dry_run))
    return {
        "before": before,
        "payloads": sum(one.payloads for one in found),
        "size_bytes": sum(one.size_bytes for one in found),
        "stored_bytes": sum(one.stored_bytes for one in found),
        "more": bool(found) and found[-1].more,
    }


command.add_command(raw.command)
