"""``speedup db``: the database's schema, integrity and copies."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from storage.records import Pruned
from tracker.commands import raw
from tracker.commands.session import Session, table, with_session
from tracker.config import RAW_DAYS_LEAST, mask_url
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


@command.command("prune", epilog="Example:  speedup db prune --days 365 --dry-run")
@click.option(
    "--days", type=click.IntRange(min=RAW_DAYS_LEAST), help="Default: raw_days of the section [daemon]."
)
@click.option("--dry-run", is_flag=True, help="Say what would go.")
@with_session()
def prune(session: Session, days: int | None, dry_run: bool) -> int:
    """Let go of raw payloads of platforms that are older than DAYS and that nothing rests on.

    Kept are all that a value, a series, a resolution, a receipt or any other record names, and of each URL the first
    and last of every day. Of the others stay hash, size and times. A backup made before holds them still.
    """
    from tracker.sources import SOURCES

    kept_days = days or session.settings.daemon.raw_days
    if not kept_days:
        raise UsageError("nothing is let go by default: give --days, or set raw_days in the section [daemon]")
    now = session.now()
    before = now - timedelta(days=kept_days)
    store = session.store(create=False)
    found: list[Pruned] = []
    try:
        while not found or (found[-1].more and not dry_run):
            found.append(store.prune_raw(frozenset(SOURCES), before, now, dry_run=dry_run))
    finally:
        store.close()
    document = {
        "before": before,
        "payloads": sum(one.payloads for one in found),
        "size_bytes": sum(one.size_bytes for one in found),
        "stored_bytes": sum(one.stored_bytes for one in found),
        "more": found[-1].more,
        "written": not dry_run,
    }

    def show() -> None:
        amount = f"{document['payloads']} payloads, {document['stored_bytes']} bytes here"
        more = " (and more)" if document["more"] else ""
        click.echo(f"{amount}{more}: {'would be let go' if dry_run else 'let go'}")

    session.print(document, show)
    return 0


command.add_command(raw.command)
