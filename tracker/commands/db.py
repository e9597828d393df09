"""``speedup db``: the database's schema, integrity and copies."""

from __future__ import annotations

from pathlib import Path

import click

from tracker.commands.session import Session, table, with_session
from tracker.config import mask_url


@click.group("db")
def command() -> None:
    """The database: upgrade, check, backup, restore."""


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
