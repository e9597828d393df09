"""``speedup questions resolve``, ``judge`` and ``schema``, and the receipts that ``show`` prints."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from questions.time import iso
from tracker.commands.session import Session, printable, table, with_session
from tracker.errors import UsageError
from tracker.report.wording import counted

if TYPE_CHECKING:
    from questions.question import Question
    from questions.receipts import Receipt
    from storage.store import Store


def find_question(session: Session, name: str) -> Question:
    """The question with an id. UsageError with what was perhaps meant when there is none."""
    found = session.catalogue.questions.get(name)
    if found is None:
        from difflib import get_close_matches

        close = get_close_matches(name, session.catalogue.questions, n=3)
        raise UsageError(f"no question {name!r}" + (f"; close: {', '.join(close)}" if close else ""))
    return found


def receipt_document(receipt: Receipt) -> dict[str, Any]:
    """A receipt as JSON shows it."""
    return {
        **{name: getattr(receipt, name) for name in type(receipt).__dataclass_fields__},
        "computed": dict(receipt.computed),
        "evidence": [asdict(one) for one in receipt.evidence],
    }


# resolve ------------------------------------------------------------------------------------------


@click.command("resolve", epilog="Example:  speedup questions resolve --dry-run")
@click.argument("question_id", metavar="[ID]", required=False)
@click.option("--dry-run", is_flag=True, help="Compute and show; store nothing.")
@with_session(as_of=True)
def resolve_questions(session: Session, question_id: str | None, dry_run: bool) -> int:
    """What questions come to with what is known now; a receipt is kept when that has changed.

    Without ID all of them, those no longer in the catalogue included. The batteries they need are read first
    (`speedup questions proxies` shows them). With --as-of the answer is as known then,
    and nothing is stored.
    """
    from tracker.batteries import evaluate
    from tracker.resolving import resolve_all

    now = session.now()
    keep = not dry_run and session.as_of is None
    store = _store(session, create=keep)
    try:
        chosen = [find_question(session, question_id)] if question_id else _all(session, store)
        if keep:
            evaluate(store, chosen, now, keep=True)
        resolved = resolve_all(store, chosen, session.as_of or now, now, keep=keep)
    finally:
        store.close()
    document = {
        "dry_run": not keep,
        "known_at": session.as_of or now,
        "questions": [receipt_document(one.receipt) | {"new": one.new} for one in resolved],
    }
    session.print(
        document,
        lambda: table(
            f"{counted(len(resolved), 'question')}, {sum(one.new for one in resolved)} with news"
            + ("" if keep else " (nothing stored)"),
            ["question", "state", "outcome", "event", "why", "new"],
            [
                (
                    one.receipt.question,
                    one.receipt.state.value,
                    _outcome(one.receipt),
                    one.receipt.resolved_at,
                    one.receipt.reason,
                    "new" if one.new else "",
                )
                for one in resolved
            ],
        ),
    )
    return 0


def _store(session: Session, *, create: bool) -> Store:
    """The store; where nothing may be written and there is none yet, an empty one."""
    if create:
        return session.store()
    from storage import open_store

    return session.store_if_any() or open_store("memory://")


def _all(session: Session, store: Store) -> list[Question]:
    from tracker.resolving import every_question

    return every_question(store, session.catalogue.questions)


def _outcome(receipt: Receipt) -> str | None:
    detail = receipt.on if receipt.on is not None else receipt.value
    return receipt.outcome if detail is None else f"{receipt.outcome} ({detail})"


# receipts -----------------------------------------------------------------------------------------


def receipts_of(session: Session, question: Question) -> list[Receipt]:
    """Every receipt of a question; none when there is no database yet."""
    store = session.store_if_any()
    if store is None:
        return []
    try:
        return store.receipts(question.id, known_at=session.as_of)
    finally:
        store.close()


def print_receipt(receipt: Receipt) -> None:
    """A receipt for people: what was decided, from what, and how to compute it again."""
    outcome = _outcome(receipt)
    click.echo(
        f"\nreceipt of {iso(receipt.made_at)}: {receipt.state.value}" + (f", {outcome}" if outcome else "")
    )
    click.echo(f"  version   {receipt.version}")
    click.echo(f"  rule      {receipt.rule}: {printable(receipt.reason)}")
    if receipt.resolved_at is not None:
        click.echo(f"  event     {iso(receipt.resolved_at)}")
    for name, value in receipt.computed:
        click.echo(f"  computed  {name} = {value}")
    for one in receipt.evidence:
        parts = [one.kind, one.source, one.metric, one.key, one.at]
        parts += [] if one.value is None else [f"value {one.value:g}"]
        parts += [] if one.lower is None else [f"lower end {one.lower:g}"]
        parts += [one.text, f"version {one.version}" if one.version else ""]
        click.echo("  evidence  " + printable(" ".join(part for part in parts if part)))
        click.echo(f"            published {one.published}, payload {one.payload_sha256 or '-'}")
    for payload in dict.fromkeys(one.payload_sha256 for one in receipt.evidence if one.payload_sha256):
        click.echo(f"  bytes     speedup db raw {payload} --out -")
    click.echo(f"  again     speedup questions resolve {receipt.question} --as-of {iso(receipt.known_at)}")


# judges -------------------------------------------------------------------------------------------


@click.group("judge")
def judge() -> None:
    """Questions that people decide: export a batch, import what a judge filled in."""


def _form(file: Path) -> str:
    form = file.suffix.lower().removeprefix(".")
    if form not in ("json", "csv"):
        raise UsageError(f"{file}: the name must end in .json or .csv")
    return form


@judge.command("export", epilog="Example:  speedup questions judge export to-judge.csv")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("question_ids", metavar="[ID]…", nargs=-1)
@click.option(
    "--quarter", metavar="DAY", help="Proxies and panels to be read as of this quarter's end instead."
)
@click.option("--area", help="With --quarter: of this area only.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
@with_session()
def export_batch(
    session: Session,
    file: Path,
    question_ids: tuple[str, ...],
    quarter: str | None,
    area: str | None,
    force: bool,
) -> int:
    """Write a batch for one judge: by default every question that people decide, is closed and has no outcome.

    With --quarter 2027-03-31 what people read of the batteries: one row for each proxy and each area's panel.
    """
    from tracker.judging import judged, rows_for, write
    from tracker.resolving import open_lives

    form = _form(file)
    if file.exists() and not force:
        raise UsageError(f"{file} exists; --force replaces it")
    if quarter is not None:
        if question_ids:
            raise UsageError("--quarter and question ids exclude each other")
        return _export_quarter(session, file, form, quarter, area)
    if area is not None:
        raise UsageError("--area belongs to --quarter")
    now = session.now()
    store = session.store()
    try:
        chosen = [find_question(session, name) for name in question_ids] or [
            question for question in _all(session, store) if judged(question)
        ]
        lives = open_lives(store, chosen, now, keep=True, closed_only=not question_ids)
    finally:
        store.close()
    file.write_text(write(rows_for(lives), form), "utf-8")
    document = {"file": file, "questions": [life.question.id for life in lives]}
    session.print(document, lambda: click.echo(f"{counted(len(lives), 'question')} to judge in {file}"))
    return 0


def _export_quarter(session: Session, file: Path, form: str, quarter: str, area: str | None) -> int:
    from datetime import date

    from questions.subjects import subjects
    from questions.time import EPOCH
    from questions.worlds import quarters_over
    from tracker.judging import rows_of_quarter, write

    try:
        end = date.fromisoformat(quarter)
    except ValueError:
        raise UsageError(f"--quarter {quarter}: should be a day like 2027-03-31") from None
    if end not in quarters_over(EPOCH, session.now()):
        raise UsageError(f"--quarter {quarter}: is not the last day of a quarter that is over")
    keys = session.catalogue.area_keys
    if area is not None and area not in keys:
        raise UsageError(f"--area {area}: there is no such area; there are: {', '.join(keys)}")
    asked = subjects(session.catalogue.questions.values())
    chosen = [one for one in asked.values() if area in (None, one.series.partition(".")[0])]
    file.write_text(write(rows_of_quarter(chosen, end), form), "utf-8")
    document = {"file": file, "quarter": end, "readings": [one.series for one in chosen]}
    session.print(document, lambda: click.echo(f"{len(chosen)} proxies and panels to read in {file}"))
    return 0


@judge.command("import", epilog="Example:  speedup questions judge import judged-by-ada.csv")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check the file; store nothing.")
@with_session()
def import_batch(session: Session, file: Path, dry_run: bool) -> int:
    """Read what a judge decided. One wrong row, and nothing is kept; all judgements ever made stay."""
    from questions.subjects import subjects
    from tracker.judging import judged, read
    from tracker.resolving import open_lives

    form = _form(file)
    try:
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    now = session.now()
    store = _store(session, create=not dry_run)
    try:
        asked = [question for question in _all(session, store) if judged(question)]
        lives = open_lives(store, asked, now, keep=not dry_run, settled=True)
        forecasters = {(forecast.question, forecast.forecaster) for forecast in store.forecasts()}
        read_each_quarter = subjects(session.catalogue.questions.values())
        found = read(text, form, lives, forecasters, now, read_each_quarter)
        new = 0 if dry_run else store.add_judgements(found)
    finally:
        store.close()
    document = {
        "dry_run": dry_run,
        "judgements": len(found),
        "new": new,
        "questions": sorted({one.question for one in found}),
    }
    said = (
        f"{counted(len(found), 'judgement')} checked, nothing stored"
        if dry_run
        else f"{counted(len(found), 'judgement')}, {new} new"
    )
    session.print(document, lambda: click.echo(said))
    return 0


# schema -------------------------------------------------------------------------------------------


@click.command("schema", epilog="Example:  speedup questions schema > questions.schema.json")
@with_session()
def print_schema(session: Session) -> int:
    """The JSON Schema of a file of questions and links, for editors that complete and check TOML."""
    from questions.schema import catalogue_schema, schema_text

    session.print(catalogue_schema(), lambda: click.echo(schema_text(), nl=False))
    return 0
