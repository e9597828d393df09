"""``speedup import``: values a person may see but a program may not, with who entered them, when and from where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from questions.records import Snapshot
from storage.records import AppendReport, RawPayload
from tracker.commands.session import Session, printable, table, with_session
from tracker.errors import UsageError
from tracker.imported import COLUMNS, NAME, Entered, Reading, enter, payload_of, read
from tracker.sheets import Format

ROWS_SHOWN = 20


@click.command("import", epilog='Example:  speedup import leap-june.csv --who "A. Reader"')
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--format", "form", type=click.Choice(["csv", "json"]), help="Default: by the file's name.")
@click.option("--who", metavar="NAME", help="Who enters it; kept with the file.")
@click.option("--dry-run", is_flag=True, help="Check the file and show what it says; store nothing.")
@click.option("--list", "listing", is_flag=True, help="Show what has been entered, by whom and when.")
@with_session()
def command(
    session: Session, file: Path | None, form: Format | None, who: str | None, dry_run: bool, listing: bool
) -> int:
    """Enter values from FILE: a panel's medians, a prediction our key may not see, any page without an API.

    \b
    A CSV file with a header line, or a JSON list of objects. Columns:
      platform, external_id        which question
      outcome                      default yes
      as_of                        a date, or a time with an offset: when the value stood
      probability or value         0..1, or a number in real units
      quantity                     default panel_median
      forecasters                  of how many people
      volume, liquidity, spread    a market's: its money, and ask less bid (0..1)
      url, note                    where it was read; anything else

    The file itself is kept, with who entered it and when. Entering it again adds nothing. One wrong cell,
    and nothing is stored: every problem is told with its line and column.
    """
    if listing:
        return _list(session)
    if file is None or not (who or "").strip():
        raise UsageError(
            "say which FILE, and --who enters it (or --list to see what has been entered);"
            f" columns: {', '.join(COLUMNS)}"
        )
    payload = payload_of(
        _bytes(file),
        name=file.name,
        who=(who or "").strip(),
        at=session.now(),
        form=form or ("json" if file.suffix.lower() == ".json" else "csv"),
    )
    reading = read(payload)
    reading.require_good()
    entered = Entered(payload, False, AppendReport()) if dry_run else _enter(session, payload)
    document = _document(session, entered, reading, dry_run)
    session.print(document, lambda: _show(document))
    return 0


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror or error}") from error


def _enter(session: Session, payload: RawPayload) -> Entered:
    store = session.store()
    try:
        return enter(store, payload)
    finally:
        store.close()


def _document(session: Session, entered: Entered, reading: Reading, dry_run: bool) -> dict[str, Any]:
    linked = {link.key for link in session.catalogue.links}
    names = {(s.key.platform, s.key.external_id, s.key.outcome) for s in reading.snapshots}
    return {
        **_provenance(entered.payload),
        "dry_run": dry_run,
        "entered_before": entered.known,
        "values": len(reading.snapshots),
        "without_origin": reading.without_origin,
        "snapshots_new": entered.appended.snapshots_new,
        "snapshots_unchanged": entered.appended.snapshots_unchanged,
        "not_linked": [":".join(name) for name in sorted(names - linked)],
        "rows": [
            {**_row(snapshot), "url": url, "note": note}
            for snapshot, (url, note) in zip(reading.snapshots, reading.origins, strict=True)
        ],
    }


def _provenance(payload: RawPayload) -> dict[str, Any]:
    return {
        "file": payload.headers.get("file", payload.ref),
        "entered_by": payload.headers.get("entered-by", ""),
        "entered_at": payload.fetched_at,
        "sha256": payload.sha256,
        "bytes": len(payload.body),
    }


def _row(snapshot: Snapshot) -> dict[str, Any]:
    key = snapshot.key
    return {
        "platform": key.platform,
        "external_id": key.external_id,
        "outcome": key.outcome,
        "quantity": key.quantity,
        "as_of": snapshot.as_of,
        "probability": snapshot.probability,
        "value": snapshot.value,
        "forecasters": snapshot.forecasters,
        "volume": snapshot.volume,
        "liquidity": snapshot.liquidity,
        "spread": snapshot.spread,
    }


def _show(document: dict[str, Any]) -> None:
    rows = document["rows"]
    columns = [
        "platform",
        "external_id",
        "outcome",
        "quantity",
        "as_of",
        "probability",
        "value",
        "forecasters",
    ]
    columns += ["url", "note"]
    table(
        "",
        columns,
        [[None if row[column] == "" else row[column] for column in columns] for row in rows[:ROWS_SHOWN]],
        right=(5, 6, 7),
    )
    if len(rows) > ROWS_SHOWN:
        click.echo(f"… and {len(rows) - ROWS_SHOWN} more (see --json)")
    by = f"by {printable(document['entered_by'])} at {document['entered_at']:%Y-%m-%d %H:%M:%S} UTC"
    kept = f"{printable(document['file'])}, sha256 {document['sha256'][:12]}…"
    if document["dry_run"]:
        click.echo(f"{document['values']} values in {kept}; a dry run: nothing was stored")
    elif document["entered_before"]:
        click.echo(f"{kept} was entered before, {by}; {document['snapshots_new']} values are new")
    else:
        new, known = document["snapshots_new"], document["snapshots_unchanged"]
        click.echo(f"{kept}, entered {by}: {new} values are new, {known} were known")
    if document["without_origin"]:
        click.echo(f"note: {document['without_origin']} values do not say where they were read (url or note)")
    for name in document["not_linked"]:
        click.echo(f"note: no link of the catalogue names {printable(name)}: no voice will use it")


def _list(session: Session) -> int:
    store = session.store(create=False)
    try:
        first = {(payload.url, payload.sha256): payload for payload in reversed([*store.raw_payloads(NAME)])}
        kept = [
            {**_provenance(payload), "values": len(read(payload).snapshots)}
            for payload in reversed(first.values())
        ]
    finally:
        store.close()
    columns = ["entered_at", "entered_by", "file", "values", "bytes", "sha256"]
    session.print(
        {"imports": kept},
        lambda: table("entered by hand", columns, [[one[c] for c in columns] for one in kept], right=(3, 4)),
    )
    return 0
