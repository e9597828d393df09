"""``speedup alerts``: what would be told now, what was, and on what grounds; and a test message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from questions.time import iso
from tracker.commands.session import Moment, Session, printable, table, with_session
from tracker.errors import UsageError

if TYPE_CHECKING:
    from storage.alerting import Alert, Decision
    from storage.mailing import Letter
    from storage.store import Store
    from tracker.mail.delivery import Attempt, Carrier

BACK = timedelta(days=30)
LONGEST_URL = 100
NO_LOOK = "nothing was looked at yet: the job `alerts` of `speedup run` takes the first look, which alerts of nothing"


@click.group(
    "alerts",
    epilog="Set up: give it somewhere to go (SPEEDUP_ALERT_WEBHOOK, or mail: SPEEDUP_MAIL_FROM, SPEEDUP_MAIL_TO and"
    " SPEEDUP_SMTP_HOST or SPEEDUP_MAIL_DROP), try it with `speedup alerts test`, and leave `speedup run` on: it looks"
    " every 15 minutes. The first look alerts of nothing.\n\n"
    "Example:  speedup alerts list --since 2026-03-01",
)
def command() -> None:
    """What would alert now and what did, with its evidence; and a test of the ways out."""


@command.command(
    "list",
    short_help="What would alert now, and what did.",
    epilog="Example:  speedup alerts list --as-of 2026-05-08T12:00Z --json",
)
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

    return {
        "at": at,
        "since": since,
        "reason": "" if looked else NO_LOOK,
        "now": [described(alert) for alert in found.alerts],
        "held": made.held,
        "waiting": made.waiting,
        "alerts": [
            described(alert) | _fate(fates.get((alert.signal, alert.at)), letters) for alert in reversed(kept)
        ],
        "failed": list(found.failed),
    }


def _fate(made: Decision | None, letters: Mapping[str, dict[str, int]]) -> dict[str, Any]:
    """What became of an alert."""
    if made is None:
        return {"fate": "waiting", "told_at": None, "batch": "", "letters": {}}
    told_at = made.at if made.batch else None
    return {
        "fate": made.fate,
        "told_at": told_at,
        "batch": made.batch,
        "letters": letters.get(made.batch, {}),
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
    _table(f"found since {iso(document['since'].replace(microsecond=0))}", document["alerts"], fates=True)
    for problem in document["failed"]:
        click.echo(f"could not be looked at: {printable(problem)}")


def _table(title: str, rows: Sequence[dict[str, Any]], *, fates: bool) -> None:
    if not rows:
        click.echo(f"{title}: nothing")
        return
    table(
        title,
        ["found", "signal", "what", "before", "after", "why", *(["fate"] if fates else [])],
        [
            (
                row["at"][:16],
                row["signal"],
                row["title"],
                row["before"],
                row["after"],
                row["text"],
                *([_became(row)] if fates else []),
            )
            for row in rows
        ],
    )


@command.command(
    "show",
    epilog="Example:  speedup alerts show move:manifold:QUESTION  then  speedup db raw SHA256 --out -",
)
@click.argument("name")
@with_session(as_of=True)
def show(session: Session, name: str) -> int:
    """All that an alert rests on, to the hashes of the raw bytes, which `speedup db raw` prints.

    NAME is a signal or its beginning (the newest alert of each is shown), or the name of a message, such as
    alerts:2026-08-03T13:00:00Z: all alerts that went out in it.
    """
    store = session.store_if_any()
    if store is None:
        raise UsageError("no database yet: run `speedup pull` or `speedup demo`")
    try:
        at = session.as_of or session.now()
        fates = {(one.signal, one.alerted_at): one for one in store.alert_decisions(known_at=at)}
        found = _named(store.alerts(known_at=at), fates, name)
        letters = _letters(store, {one.batch for one in fates.values() if one.batch})
        rows = [_grounds(store, alert, fates.get((alert.signal, alert.at)), letters) for alert in found]
    finally:
        store.close()
    session.print({"name": name, "at": at, "alerts": rows}, lambda: _show_grounds(rows))
    return 0


def _named(alerts: Sequence[Alert], fates: Mapping[tuple[str, datetime], Decision], name: str) -> list[Alert]:
    """The alerts of a message, or the newest of each signal of this name or beginning. UsageError when none is."""
    sent = [one for one in alerts if (made := fates.get((one.signal, one.at))) and made.batch == name]
    if sent:
        return sent
    newest = {one.signal: one for one in alerts if one.signal == name}
    newest = newest or {one.signal: one for one in alerts if one.signal.startswith(name)}
    if not newest:
        raise UsageError(f"no alert and no message named {name!r}: `speedup alerts list` shows them")
    return list(newest.values())


def _grounds(
    store: Store, alert: Alert, made: Decision | None, letters: Mapping[str, dict[str, int]]
) -> dict[str, Any]:
    """An alert with every piece of evidence and what is kept of the bytes behind it."""
    from tracker.alerts.webhooks import described

    told = described(alert, exhibits=None)
    for one in told["evidence"]:
        one["payload"] = _kept(store, one["payload_sha256"])
    return told | _fate(made, letters)


def _kept(store: Store, sha256: str | None) -> dict[str, Any] | None:
    """Where a payload came from; what is left of it when its bytes were let go; None without one."""
    if sha256 is None:
        return None
    raw = store.get_raw(sha256)
    if raw is not None:
        return {
            "source": raw.source,
            "url": raw.url,
            "fetched_at": raw.fetched_at,
            "bytes": len(raw.body),
            "kept": True,
        }
    left = store.tombstone(sha256)
    if left is None:
        return {"kept": False, "reason": "its bytes are not in this database"}
    return {"kept": False, "bytes": left.size, "reason": f"its bytes were let go on {iso(left.dropped_at)}"}


def _became(row: Mapping[str, Any]) -> str:
    """What became of an alert, by its message's letters where there are any."""
    letters = ", ".join(f"{number} {state}" for state, number in sorted(row["letters"].items()))
    return f"{row['fate']}, letters: {letters}" if letters else str(row["fate"])


def _shortened(url: str) -> str:
    """An address as a person wants to see it; ``--json`` has all of it."""
    return url if len(url) <= LONGEST_URL else f"{url[:LONGEST_URL]}…"


def _show_grounds(rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        lines = [
            f"{row['signal']}  ({row['kind']}, {row['direction']})",
            f"  {row['title']}",
            f"  {row['before']} → {row['after']}",
            row["text"] and f"  {row['text']}",
            row["url"] and f"  {row['url']}",
            f"  found {row['at']}; {_became(row)}" + (f" in {row['batch']}" if row["batch"] else ""),
            "  rule: "
            + (", ".join(f"{word} {str(value)[:24]}" for word, value in row["rule"].items()) or "-"),
            *(line for number, one in enumerate(row["evidence"], 1) for line in _exhibit_lines(number, one)),
        ]
        for line in filter(None, lines):
            click.echo(printable(line))
        click.echo()
    raw = next((one["payload_sha256"] for row in rows for one in row["evidence"] if _is_kept(one)), None)
    if raw is not None:
        click.echo(f"raw bytes: speedup db raw {raw} --out -")


def _is_kept(one: Mapping[str, Any]) -> bool:
    return one["payload"] is not None and one["payload"]["kept"]


def _exhibit_lines(number: int, one: dict[str, Any]) -> list[str]:
    """What one piece of evidence says, and the bytes it was read from."""
    number_of = "" if one["value"] is None else f"{one['value']:.6g}"
    ends = "" if one["lower"] is None or one["upper"] is None else f"[{one['lower']:.6g}, {one['upper']:.6g}]"
    whose = " ".join(part for part in (one["kind"], one["source"], one["key"], one["metric"]) if part)
    told = " ".join(part for part in (number_of, ends, one["text"]) if part)
    times = [f"of {one['at']}"] * bool(one["at"]) + [f"known since {one['published']}"] * bool(
        one["published"]
    )
    lines = [f"  {number}. {whose}: {'; '.join([part for part in (told, *times) if part]) or '-'}"]
    raw = one["payload"]
    if raw is not None:
        size = f", {raw['bytes']} bytes" if "bytes" in raw else ""
        origin = (
            f" from {raw['url']}, fetched {iso(raw['fetched_at'])}" if raw["kept"] else f": {raw['reason']}"
        )
        lines.append(f"     payload {one['payload_sha256']}{size}{origin}")
    return lines


@command.command(
    "test",
    short_help="Send a test through every way out that is set.",
    epilog="Example:  speedup alerts test --dry-run",
)
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
    from tracker.alerts.render import TEST, content
    from tracker.alerts.webhooks import letters_for
    from tracker.mail.delivery import carrier_of
    from tracker.mail.message import Mailing, Sender

    settings, batch = session.settings, f"test:{iso(at)}"
    alert = Alert("test", at, TEST, TEST, "Do alerts of Speedup Tracker arrive?", "unknown", "this one did")
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
    mail = carrier_of(session.settings, aside=session.as_json)
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
