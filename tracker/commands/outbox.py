"""``speedup outbox``: what is to be sent, what became of it, and a switch."""

from __future__ import annotations

import threading
from functools import partial

import click

from storage.mailing import Channel, Letter, LetterState
from storage.records import RunState
from tracker.commands.session import Session, table, with_session
from tracker.mail.links import recipient_hash
from tracker.mail.sending import undelivered


@click.group("outbox")
def command() -> None:
    """Letters: list, send, hold, resume."""


@command.command("list", epilog="Example:  speedup outbox list --state dead")
@click.option("--state", type=click.Choice([state.value for state in LetterState]), help="Only these.")
@click.option("--period", metavar="WEEK", help="Only of this week, such as 2026-W47.")
@with_session()
def show_all(session: Session, state: str | None, period: str | None) -> int:
    """Letters in the order in which they go out."""
    store = session.store()
    try:
        letters = store.letters(state=LetterState(state) if state else None, period=period)
        counts = undelivered(store)
    finally:
        store.close()

    def show() -> None:
        columns = ["kind", "period", "to", "state", "attempts", "next try", "outcome"]
        table("outbox", columns, [_cells(letter) for letter in letters], right=[4])
        click.echo(", ".join(f"{number} {name}" for name, number in counts.items() if number) or "empty")

    session.print({"letters": [_document(letter) for letter in letters], "counts": counts}, show)
    return 0


def _cells(letter: Letter) -> tuple[object, ...]:
    due = letter.next_try_at if letter.state is LetterState.QUEUED else None
    return (
        letter.kind,
        letter.period,
        letter.address,
        letter.state.value,
        letter.attempts,
        due,
        letter.outcome,
    )


def _document(letter: Letter) -> dict[str, object]:
    return {
        "key": letter.key,
        "channel": letter.channel.value,
        "address": letter.address,
        "hash": recipient_hash(letter.address),
        "kind": letter.kind,
        "period": letter.period,
        "message_id": letter.message_id,
        "state": letter.state.value,
        "attempts": letter.attempts,
        "created_at": letter.created_at,
        "next_try_at": letter.next_try_at if letter.state is LetterState.QUEUED else None,
        "expires_at": letter.expires_at,
        "changed_at": letter.changed_at,
        "outcome": letter.outcome,
        "bytes": len(letter.body),
    }


@command.command("send", epilog="Example:  speedup outbox send --dry-run")
@click.option("--dry-run", is_flag=True, help="Say what would be sent, and send nothing.")
@with_session()
def send(session: Session, dry_run: bool) -> int:
    """Send the mail that is due now, unless a daemon does so on this database (webhooks: `speedup run --once`)."""
    if dry_run:
        store = session.store()
        try:
            at = session.now()
            queued = store.letters(state=LetterState.QUEUED)
            due = [
                one
                for one in queued
                if one.channel is Channel.MAIL and one.next_try_at and one.next_try_at <= at
            ]
        finally:
            store.close()
        document = {"would_send": [_document(letter) for letter in due]}
        session.print(document, lambda: click.echo(f"{len(due)} letters would be sent"))
        return 0
    leader, state, message = send_now(session)
    text = f"{leader} leads on this database and sends what is due" if leader else message
    session.print({"leader": leader or None, "state": state, "message": message}, lambda: click.echo(text))
    return 3 if state == RunState.FAILED.value else 0


def send_now(session: Session) -> tuple[str, str, str]:
    """Send what is due under the lead: (who leads instead, how it ended, what was done)."""
    from tracker.daemon.mailing import mail_job
    from tracker.daemon.service import run_once
    from tracker.mail.delivery import carrier_of

    carrier = partial(carrier_of, aside=session.as_json)
    job = mail_job(session.settings, session.now, threading.Event(), carrier, always=True)
    leader, outcomes = run_once([job], session.store, session.settings.daemon, session.now)
    if not outcomes:
        return leader, "", "nothing to send"
    done = outcomes[-1][2]
    return leader, done.state.value, done.message


@command.command("hold", epilog="Example:  speedup outbox hold")
@with_session()
def hold(session: Session) -> int:
    """Send nothing that is queued now until it is resumed (a letter still expires at its time)."""
    return _move(session, LetterState.QUEUED, LetterState.HELD, "held")


@command.command("resume", epilog="Example:  speedup outbox resume")
@with_session()
def resume(session: Session) -> int:
    """Send what was held."""
    return _move(session, LetterState.HELD, LetterState.QUEUED, "queued again")


def _move(session: Session, before: LetterState, after: LetterState, text: str) -> int:
    store = session.store()
    try:
        moved = store.move_letters(before, after, session.now())
    finally:
        store.close()
    session.print({"letters": moved, "state": after.value}, lambda: click.echo(f"{moved} letters {text}"))
    return 0
