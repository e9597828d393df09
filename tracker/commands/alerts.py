"""``speedup alerts``: what would be told now, what was, and on what grounds; and a test message."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from questions.time import iso
from tracker.commands.session import Moment, Session, printable, table, with_session
from tracker.errors import UsageError

if TYPE_CHECKING:
    from storage.alerting import Alert
    from storage.mailing import Letter
    from storage.store import Store
    from tracker.mail.delivery import Attempt, Carrier

BACK = timedelta(days=30)
NO_LOOK = "nothing was looked at yet: the job `alerts` of `speedup run` takes the first look, which alerts of nothing"


@click.group("alerts", epilog="Example:  speedup alerts list --since 2026-03-01")
def command() -> None:
    """What would alert now and what did, with its evidence; and a test of the ways out."""


@command.command("list", epilog="Example:  speedup alerts list --as-of 2026-05-08T12:00Z --json")
@click.option("--since", type=Moment(), help="Alerts found since then (default: the last 30 days).")
@with_session(as_of=True)
def listing(session: Session, since: datetime | None) -> int:
    """What would alert now, and the alerts that were found, with what became of them and what they rest on.

    With --as-of both are told as known then: the same time gives the same answer, today and later.
    """
    at = session.as_of or session.now()
    store = session.store_if_any()
    if store is None:
        reason = "no database yet: run `speedup pull` or `speedup demo`"
        session.print({"at": at, "reason": reason, "now": [], "alerts": []}, lambda: click.echo(reason))
        return 0
    try:
        document = _document(store, session, at, since or at - BACK)
    finally:
        store.close()
    session.print(document, lambda: _show(document))
    return 1 if document["failed"] else 0


def _document(store: Store, session: Session, at: datetime, since: datetime) -> dict[str, Any]:
    from tracker.alerts.dispatch import plan
    from tracker.alerts.evaluate import evaluate
    from tracker.alerts.webhooks import described
    from tracker.jobs import COLLECTED

    looked = bool(store.armings(known_at=at))
    found = evaluate(store, session.catalogue, session.settings, COLLECTED, at)
    made = plan(store, session.settings, at)
    fates = {(one.signal, one.alerted_at): one for one in store.alert_decisions(known_at=at)}
    kept = [alert for alert in store.alerts(known_at=at) if alert.at >= since]
    letters = _letters(store, {one.batch for one in fates.values() if one.batch})

    def told(alert: Alert) -> dict[str, Any]:
        fate = fates.get((alert.signal, alert.at))
        return described(alert) | {
            "fate": fate.fate if fate else "waiting",
            "told_at": fate.at if fate and fate.batch else None,
            "batch": fate.batch if fate else "",
            "letters": letters.get(fate.batch, {}) if fate else {},
        }

    return {
        "at": at,
        "since": since,
        "reason": "" if looked else NO_LOOK,
        "now": [described(alert) for alert in found.alerts],
        "held": made.held,
        "waiting": made.waiting,
        "alerts": [told(alert) for alert in reversed(kept)],
        "failed": list(found.failed),
    }


def _letters(store: Store, batches: set[str]) -> dict[str, dict[str, int]]:
    """By batch: how many letters are in which state."""
    found: dict[str, dict[str, int]] = {}
    for batch in batches:
        counts: dict[str, int] = {}
        for letter in store.letters(period=batch):
            counts[letter.state.value] = counts.get(letter.state.value, 0) + 1
        found[batch] = counts
    return found


def _show(document: dict[str, Any]) -> None:
    if document["reason"]:
        click.echo(document["reason"])
    _table("would alert now", document["now"], fates=False)
    if document["waiting"]:
        click.echo(f"{document['waiting']} wait: {document['held']}")
    _table(f"found since {iso(document['since'])}", document["alerts"], fates=True)
    for problem in document["failed"]:
        click.echo(f"could not be looked at: {printable(problem)}")


def _table(title: str, rows: Sequence[dict[str, Any]], *, fates: bool) -> None:
    if not rows:
        click.echo(f"{title}: nothing")
        return
    table(
        title,
        ["found", "kind", "what", "before", "after", "why", *(["fate"] if fates else [])],
        [
            (
                row["at"][:16],
                row["kind"],
                row["title"],
                row["before"],
                row["after"],
                row["text"],
                *([str(row["fate"])] if fates else []),
            )
            for row in rows
        ],
    )


@command.command("test", epilog="Example:  speedup alerts test --dry-run")
@click.option("--dry-run", is_flag=True, help="Show what would be sent, and send nothing.")
@with_session()
def test(session: Session, dry_run: bool) -> int:
    """Send one alert, marked as a test, through every webhook that is set and to every address of the settings."""
    letters = _test_letters(session, session.now())
    if not letters:
        raise UsageError(
            "no way out is set: SPEEDUP_ALERT_WEBHOOK, SPEEDUP_SLACK_WEBHOOK, SPEEDUP_DISCORD_WEBHOOK,"
            " SPEEDUP_MATRIX_WEBHOOK (each also as _FILE), or mail (SPEEDUP_SMTP_HOST,"
            " SPEEDUP_MAIL_FROM, SPEEDUP_MAIL_TO)"
        )
    rows = [_shown(letter) for letter in letters] if dry_run else _sent(session, letters)
    session.print(
        {"dry_run": dry_run, "messages": rows},
        lambda: table(
            "", ["channel", "to", "outcome"], [(row["channel"], row["to"], row["outcome"]) for row in rows]
        ),
    )
    sent = sum(row["sent"] for row in rows)
    return 0 if dry_run or sent == len(rows) else 1 if sent else 3


def _test_letters(session: Session, at: datetime) -> list[Letter]:
    from storage.alerting import Alert
    from tracker.alerts.render import content
    from tracker.alerts.webhooks import letters_for
    from tracker.mail.delivery import carrier_of
    from tracker.mail.message import Mailing, Sender

    settings, batch = session.settings, f"test:{iso(at)}"
    alert = Alert(
        "test", at, "digest", "test", "This is a test", "nothing", "nothing", "no alert: nothing has changed"
    )
    expires = at + timedelta(hours=1)
    letters = list(letters_for(settings, [alert], batch, "test", at, expires))
    if settings.mail_to and carrier_of(settings) is not None:
        said = content([alert], at)
        mailing = Mailing(said, Sender.of(settings), batch, "test", batch, "test", at, expires)
        letters += [mailing.letter(address) for address in settings.mail_to]
    return letters


def _shown(letter: Letter) -> dict[str, Any]:
    said = letter.body.decode("utf-8", "replace")
    return {
        "channel": letter.channel,
        "to": letter.address,
        "outcome": "not sent",
        "sent": False,
        "body": said,
    }


def _sent(session: Session, letters: Sequence[Letter]) -> list[dict[str, Any]]:
    from storage.mailing import Channel
    from tracker.alerts.webhooks import Webhooks
    from tracker.mail.delivery import Fate, carrier_of

    rows = []
    mail = carrier_of(session.settings)
    with session.client(1) as client:
        hooks = Webhooks(session.settings, client, session.now)
        for letter in letters:
            carrier: Carrier | None = mail if letter.channel is Channel.MAIL else hooks
            assert carrier is not None
            attempt: Attempt = carrier.send(letter)
            rows.append(
                {
                    "channel": letter.channel,
                    "to": letter.address,
                    "outcome": attempt.outcome,
                    "sent": attempt.fate is Fate.SENT,
                }
            )
    if mail is not None:
        mail.close()
    return rows
