"""``speedup export``: everything that is stored, as typed tables with a README of columns."""

from __future__ import annotations

import os
from pathlib import Path

import click

from tracker.columns import FORMATS, Format
from tracker.commands.session import Session, table, with_session


@click.command("export", epilog="Example:  speedup export out --as-of 2026-06-30")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--format", "form", type=click.Choice(FORMATS), default="csv", show_default=True)
@click.option("--dry-run", is_flag=True, help="Say which files with how many rows; write none.")
@with_session(as_of=True)
def command(session: Session, folder: Path, form: Format, dry_run: bool) -> int:
    """Write all tables into DIR: values, outcomes, forecasts, scores, series, questions and links.

    A file that is there already is replaced, each at once or not at all; other files are left alone. README.md
    explains every column.
    """
    from tracker.exports import export

    store = session.store(create=False)
    written = []
    try:
        if not dry_run:
            folder.mkdir(parents=True, exist_ok=True)
        for file in export(store, session.catalogue, now=session.now(), known_at=session.as_of, form=form):
            path = folder / file.name
            if not dry_run:
                replace_file(path, file.content)
            written.append({"file": str(path), "rows": file.rows, "bytes": len(file.content)})
    finally:
        store.close()
    title = "would be written" if dry_run else "written"
    session.print(
        {"dry_run": dry_run, "format": form, "files": written},
        lambda: table(
            title, ["file", "rows", "bytes"], [tuple(one.values()) for one in written], right=(1, 2)
        ),
    )
    return 0


def replace_file(path: Path, content: bytes) -> None:
    """Put a file in place of what was there, at once or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        fresh.write_bytes(content)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
