"""``speedup digest``: the week in one mail."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracker.commands.session import Day, Session, with_session
from tracker.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.store import Store
    from tracker.digest.period import Period
    from tracker.mail.content import MailContent

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("digest", epilog="Example:  speedup digest --week 2026-11-18 --preview out")
@click.option("--week", type=Day(), help="The week that holds this day (default: the seven days up to now).")
@click.option(
    "--preview",
    type=_FOLDER,
    metavar="DIR",
    help="Write it there as HTML, text, pictures and .eml; send nothing.",
)
@click.option(
    "--archive", type=_FOLDER, metavar="DIR", help="Export all digests kept, as pages and an Atom feed."
)
@click.option(
    "--send", is_flag=True, help="Archive the week's digest, queue it for every recipient, and send."
)
@click.option(
    "--for", "reader", metavar="ADDRESS", help="As this recipient gets it, by what they chose; send nothing."
)
@click.option("--dry-run", is_flag=True, help="With --send: say how many would get it, and do nothing.")
@with_session(as_of=True)
def command(
    session: Session,
    week: date | None,
    preview: Path | None,
    archive: Path | None,
    send: bool,
    reader: str | None,
    dry_run: bool,
) -> int:
    """What changed in a week: order of areas, movers and why, disagreements, outcomes, calibration, data health.

    Everything is told as known at the end of the week, or at --as-of. Without an option the plain text is printed.
    """
    from tracker.digest.issue import preview_message
    from tracker.digest.render import write_preview

    store = session.store_if_any()
    if archive is not None:
        if store is None:
            raise UsageError("--archive: there is no database yet")
        try:
            return _export(session, store, archive)
        finally:
            store.close()
    period = _period(session, week)
    if dry_run and not send:
        raise UsageError("--dry-run goes with --send")
    if reader is not None and send:
        raise UsageError("--for shows one recipient's digest; --send goes to all of them")
    if send:
        if store is None:
            raise UsageError("--send: there is no database yet, so there is nothing to tell")
        store.close()
        return _send(session, period, dry_run=dry_run)
    try:
        content = _content(session, store, period, reader)
    finally:
        if store is not None:
            store.close()
    files: Sequence[Path] = ()
    if preview is not None:
        try:
            message = preview_message(content, period, session.settings)
            files = write_preview(content, preview, message=message)
        except OSError as error:
            raise UsageError(f"{preview}: cannot be written: {error.strerror or error}") from error
    session.print(_document(content, period, files), lambda: _tell(content, files))
    return 0


def _period(session: Session, week: date | None) -> Period:
    from tracker.digest.period import Period, period_at, period_of

    now: datetime = session.as_of or session.now()
    if week is None:
        return period_at(now)
    found = period_of(week, now)
    if found.at.isocalendar()[:2] < week.isocalendar()[:2]:
        raise UsageError(f"--week {week}: that week has not begun")
    return Period(found.label, session.as_of) if session.as_of is not None else found


def _content(session: Session, store: Store | None, period: Period, reader: str | None) -> MailContent:
    """The digest of what is stored (of nothing, where there is no database), told to a reader if one is named."""
    from storage.memory import MemoryStore
    from tracker.digest.issue import digest_mail
    from tracker.mail.recipients import taste_of
    from tracker.mail.sending import skipped_weeks

    found = store or MemoryStore()
    skipped = skipped_weeks(found, period.label)
    content = digest_mail(found, session.catalogue, session.settings, period, skipped=skipped)
    return content if reader is None else content.for_taste(taste_of(found, session.settings, reader))


def _document(content: MailContent, period: Period, files: Sequence[Path]) -> dict[str, Any]:
    return {
        "week": period.label,
        "as_of": period.at,
        "since": period.since,
        "subject": content.subject,
        "html_bytes": len(content.html.encode()),
        "pictures": [{"name": one.filename, "bytes": len(one.png), "alt": one.alt} for one in content.images],
        "text": content.text,
        "files": [str(file) for file in files],
    }


def _tell(content: MailContent, files: Sequence[Path]) -> None:
    if not files:
        click.echo(content.text, nl=False)
        return
    click.echo(content.subject)
    for file in files:
        click.echo(f"  {file}")


def _export(session: Session, store: Store, folder: Path) -> int:
    from tracker.digest.archive import export

    try:
        files = export(store.issues(), folder, session.settings.digest_url)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror or error}") from error
    names = [str(file) for file in files]
    session.print({"files": names}, lambda: click.echo("\n".join(names)))
    return 0


def _send(session: Session, period: Period, *, dry_run: bool) -> int:
    """Archive and queue the digest, then send what is due; a daemon that leads on this database sends instead.

    A week that was sent before keeps its digest: it goes to whoever has not got it.
    """
    from functools import partial

    from tracker.commands.outbox import send_now
    from tracker.digest.issue import builder
    from tracker.mail.recipients import digest_addresses
    from tracker.mail.sending import DIGEST, expiry, send_digest, skipped_weeks, time_of
    from tracker.schedule import LocalTime

    settings, label = session.settings, period.label
    if not settings.mail_from:
        raise UsageError(
            "--send: mail is not set up: SPEEDUP_MAIL_FROM and SPEEDUP_SMTP_HOST or SPEEDUP_MAIL_DROP"
        )
    store = session.store()
    try:
        if dry_run:
            queued = {letter.address for letter in store.letters(kind=DIGEST, period=label)}
            missing = [one for one in digest_addresses(store, settings, label) if one not in queued]
            would = {"week": label, "would_send_to": missing}
            session.print(would, lambda: click.echo(f"{label}: {len(missing)} would get it"))
            return 0
        at = time_of(store, label, period.at)
        build = partial(builder(session.catalogue, settings), store, label, at, skipped_weeks(store, label))
        now = session.now()
        ends = expiry(LocalTime.parse(settings.digest_at), now)
        made = send_digest(store, settings, build, label, at, now, ends)
    finally:
        store.close()
    leader, state, message = send_now(session)
    told = f"{leader} leads on this database and sends it" if leader else message
    document = {"week": label, "made": made.made, "recipients": made.recipients, "letters": made.letters}
    session.print(
        {**document, "leader": leader or None, "state": state, "message": message},
        lambda: click.echo(f"{made}\n{told}"),
    )
    return 1 if state == "failed" else 0
