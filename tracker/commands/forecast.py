"""``speedup forecast``: what people, panels and other programs say, kept and scored like everybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from questions.records import ForecasterKind
from questions.time import iso
from storage.records import RawPayload
from tracker.commands.session import Moment, Session, printable, table, with_session
from tracker.errors import UsageError
from tracker.own import BELOW, NAME, Entered, counted, enter, one_row
from tracker.sheets import Format, kept_file

ROWS_SHOWN = 40


@click.group("forecast", epilog="Example:  speedup forecast list --forecaster ann")
def command() -> None:
    """Forecasts by people, panels and other programs: add one, import a file, list them."""


@command.command(
    "add",
    epilog="Example:  speedup forecast add metaculus:17728 --odds 1:4 --forecaster ann --comment 'slower now'",
)
@click.argument("question")
@click.option("--outcome", default="yes", show_default=True, help="Which outcome the probability is of.")
@click.option("--probability", metavar="P", help="0..1.")
@click.option("--percent", metavar="N", help="0..100, with or without %.")
@click.option("--odds", metavar="FOR:AGAINST", help="3:1 is 0.75.")
@click.option(
    "--quantile",
    "quantiles",
    multiple=True,
    metavar="LEVEL=VALUE",
    help="Repeat: 0.1=2027-06-01, 0.5=2030-01-01, … for a number or a date.",
)
@click.option("--forecaster", required=True, metavar="NAME", help="Whose forecast it is.")
@click.option("--kind", type=click.Choice([kind.value for kind in ForecasterKind]), default="person")
@click.option(
    "--at", type=Moment(), help="When it was made (default: now). It counts from when it is entered."
)
@click.option("--comment", default="", help="Why; kept with the forecast.")
@click.option("--who", metavar="NAME", help="Who enters it (default: the forecaster).")
@click.option("--dry-run", is_flag=True, help="Check it and show it; store nothing.")
@with_session()
def add(session: Session, question: str, **options: Any) -> int:
    """Say how likely QUESTION is: one of our ids, or platform:external_id of a linked question."""
    cells = {
        "question": question,
        "outcome": options["outcome"],
        "probability": options["probability"] or "",
        "percent": options["percent"] or "",
        "odds": options["odds"] or "",
        "quantiles": ";".join(options["quantiles"]),
        "forecaster": options["forecaster"],
        "kind": options["kind"],
        "made_at": iso(options["at"] or session.now()),
        "comment": options["comment"],
    }
    who = options["who"] or options["forecaster"]
    body = one_row(cells)
    # the entry is a little later than "now" above, so that a forecast never lies after it
    payload = kept_file(NAME, body, name="forecast add", who=who, at=session.now(), form="csv")
    return _entered(session, payload, dry_run=options["dry_run"])


@command.command("import", epilog="Example:  speedup forecast import mine.csv --who ann --dry-run")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--format", "form", type=click.Choice(["csv", "json"]), help="Default: by the file's name.")
@click.option("--who", required=True, metavar="NAME", help="Who enters it; kept with the file.")
@click.option("--dry-run", is_flag=True, help="Check the file and show what it says; store nothing.")
@with_session()
def import_(session: Session, file: Path, form: Format | None, who: str, dry_run: bool) -> int:
    """Enter the forecasts in FILE: CSV with a header line, or a JSON list of objects.

    \b
    Columns:
      question                     our id, or platform:external_id of a linked question
      forecaster                   whose forecast it is
      probability, percent, odds   exactly one of these: 0.25, 25, 1:3; or
      quantiles                    0.1=2027-06-01; 0.5=2030-01-01; 0.9=2040-01-01
      outcome                      default yes
      made_at                      a date, or a time with an offset; default: when it is entered
      kind, comment                person, panel, model, …; free text
      version                      content hash of our question's version, if not the one that stood then

    One wrong cell, and nothing is stored: every problem is told with its line and column.
    """
    try:
        body = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror or error}") from error
    chosen = form or ("json" if file.suffix.lower() == ".json" else "csv")
    payload = kept_file(NAME, body, name=file.name, who=who, at=session.now(), form=chosen)
    return _entered(session, payload, dry_run=dry_run)


def _entered(session: Session, payload: RawPayload, *, dry_run: bool) -> int:
    store = session.store_if_any() if dry_run else session.store()
    if store is None:
        from storage.memory import MemoryStore

        store = MemoryStore()
    try:
        done = enter(store, payload, session.catalogue, dry_run=dry_run)
    finally:
        store.close()
    document = _document(done, dry_run)
    session.print(document, lambda: _show(document))
    return 0


def _document(done: Entered, dry_run: bool) -> dict[str, Any]:
    return {
        "file": done.payload.headers.get("file", done.payload.ref),
        "entered_by": done.payload.headers.get("entered-by", ""),
        "entered_at": done.payload.fetched_at,
        "sha256": done.payload.sha256,
        "dry_run": dry_run,
        "entered_before": done.known,
        "forecasts_new": done.new,
        "forecasts": [
            {
                "question": one.question,
                "outcome": one.outcome,
                "forecaster": one.forecaster,
                "kind": one.kind,
                "made_at": one.made_at,
                "probability": one.probability,
                "comment": one.comment,
                "version": one.version,
            }
            for one in done.forecasts
        ],
    }


def _show(document: dict[str, Any]) -> None:
    _rows(
        "", document["forecasts"], ["question", "outcome", "forecaster", "made_at", "probability", "comment"]
    )
    new, known = document["forecasts_new"], len(document["forecasts"]) - document["forecasts_new"]
    if document["dry_run"]:
        click.echo(f"{new} would be new, {known} are known; a dry run: nothing was stored")
    else:
        by = printable(document["entered_by"])
        click.echo(f"{new} new, {known} known; entered by {by}, sha256 {document['sha256'][:12]}…")


def _rows(title: str, rows: list[dict[str, Any]], columns: list[str]) -> None:
    table(
        title,
        columns,
        [[None if row[column] == "" else row[column] for column in columns] for row in rows[:ROWS_SHOWN]],
        right=(columns.index("probability"),),
    )
    if len(rows) > ROWS_SHOWN:
        click.echo(f"… and {len(rows) - ROWS_SHOWN} more (see --json)")


@command.command("list", epilog="Example:  speedup forecast list --forecaster ann --question metaculus:17728")
@click.option("--forecaster", "forecasters", multiple=True, help="Only these forecasters.")
@click.option("--question", "chosen", multiple=True, help="Only these questions.")
@with_session(as_of=True)
def list_(session: Session, forecasters: tuple[str, ...], chosen: tuple[str, ...]) -> int:
    """Everything that was entered, the newest first. A quantile is a probability of ``<=value``."""
    store = session.store(create=False)
    try:
        found = counted(store, known_at=session.as_of)
    finally:
        store.close()
    rows = [
        {
            "question": one.question,
            "outcome": one.outcome,
            "quantile": one.outcome.startswith(BELOW),
            "probability": one.probability,
            "forecaster": one.forecaster,
            "kind": one.kind,
            "made_at": one.made_at,
            "counts_from": at,
            "comment": one.comment,
            "version": one.version,
        }
        for one, at in reversed(found)
        if (not forecasters or one.forecaster in forecasters) and (not chosen or one.question in chosen)
    ]
    columns = [
        "made_at",
        "counts_from",
        "question",
        "outcome",
        "probability",
        "forecaster",
        "kind",
        "comment",
    ]
    session.print({"forecasts": rows}, lambda: _rows("forecasts", rows, columns))
    return 0
