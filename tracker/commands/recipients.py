"""``speedup recipients``: who gets mail, who asked to, who no longer does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, get_args

import click

from storage.mailing import Recipient, RecipientState
from tracker.commands.session import Session, parse_pairs, table, with_session
from tracker.config import AlertKind
from tracker.errors import UsageError
from tracker.mail.links import recipient_hash
from tracker.mail.recipients import address_from, change, find, listed, options_from, standing

ALL, NONE = "all", "none"
SIZED = ("move", "flip", "disagreement", "series", "overdue", "drift")  # kinds whose alerts have a size


@click.group("recipients")
def command() -> None:
    """Who gets mail: add, confirm, set, remove, list, show."""


def _choices(function: Any) -> Any:
    """The options of a recipient."""
    for option in reversed(
        [
            click.option(
                "--frequency", type=click.Choice(["weekly", "monthly", "none"]), help="Of the digest."
            ),
            click.option(
                "--area", "areas", multiple=True, metavar="AREA", help="Alerts about this area only."
            ),
            click.option(
                "--alert",
                "alerts",
                multiple=True,
                metavar="KIND",
                help="Alerts of this kind only; all, or none.",
            ),
            click.option(
                "--threshold", "thresholds", multiple=True, metavar="KIND=VALUE", help="For alerts."
            ),
        ]
    ):
        function = option(function)
    return function


def _options(
    session: Session,
    before: Recipient | None,
    frequency: str | None,
    areas: Sequence[str],
    alerts: Sequence[str],
    thresholds: Sequence[str],
) -> dict[str, Any]:
    """What was chosen before, with what is chosen now."""
    known = {area.key for area in session.catalogue.areas} if areas else set()
    unknown = sorted(set(areas) - known - {ALL})
    if unknown:
        raise UsageError(f"no area named {', '.join(unknown)}; there are: {', '.join(sorted(known))}")
    numbers: dict[str, float] = {}
    for kind, value in parse_pairs(thresholds, "--threshold").items():
        try:
            numbers[kind] = float(value)
        except ValueError:
            raise UsageError(f"--threshold {kind}={value}: not a number") from None
    told = {"frequency": frequency, "areas": list(areas), "alerts": list(alerts), "thresholds": numbers}
    merged = dict(before.options if before else {}) | {name: value for name, value in told.items() if value}
    _check_kinds(alerts, numbers)
    merged |= {name: [] for name, given in (("areas", areas), ("alerts", alerts)) if ALL in given}
    return options_from(merged).model_dump(mode="json")


def _check_kinds(alerts: Sequence[str], thresholds: Iterable[str]) -> None:
    """UsageError for a kind of alert that there is not, or one that has no size."""
    kinds = get_args(AlertKind)
    for given, known, what in (
        (alerts, (*kinds, ALL, NONE), "--alert"),
        (thresholds, SIZED, "--threshold"),
    ):
        wrong = sorted(set(given) - set(known))
        if wrong:
            raise UsageError(f"{what} {wrong[0]}: there are {', '.join(known)}")
    if len(set(alerts)) > 1 and {ALL, NONE} & set(alerts):
        raise UsageError(f"--alert {ALL} and --alert {NONE} stand alone")


@command.command("add", epilog="Example:  speedup recipients add ada@example.org --frequency monthly")
@click.argument("address")
@click.option("--confirmed", is_flag=True, help="Its owner has agreed already: do not ask.")
@click.option("--dry-run", is_flag=True, help="Check, and change nothing.")
@_choices
@with_session()
def add(
    session: Session,
    address: str,
    confirmed: bool,
    dry_run: bool,
    frequency: str | None,
    areas: Sequence[str],
    alerts: Sequence[str],
    thresholds: Sequence[str],
) -> int:
    """Ask an address whether it wants the mail; it gets nothing else until it says yes (or --confirmed)."""
    from tracker.mail.sending import ask_to_confirm

    store, address = session.store(), address_from(address)
    try:
        before = standing(store, session.settings, address)
        chosen = _options(session, before, frequency, areas, alerts, thresholds)
        if dry_run:
            state = RecipientState.CONFIRMED if confirmed else RecipientState.PENDING
        elif confirmed:
            known = Recipient(address, session.now(), RecipientState.CONFIRMED, chosen, "command")
            store.add_recipient(known)
            state = known.state
        else:
            state = ask_to_confirm(store, session.settings, address, session.now(), chosen).state
    finally:
        store.close()
    asked = state is RecipientState.PENDING
    text = f"{address}: " + ("asked; it gets mail once it says yes" if asked else "gets mail from now on")
    _print(session, address, state, chosen, f"{text} (nothing done: --dry-run)" if dry_run else text)
    return 0


def _check_said_yes(known: Recipient | None) -> None:
    """UsageError for one who was asked and has not answered: they would say yes to something else."""
    if known is not None and known.state is RecipientState.PENDING:
        raise UsageError(
            "it has not said yes yet: `speedup recipients add` asks it again, with what you name"
        )


@command.command("set", epilog="Example:  speedup recipients set ada@example.org --frequency none")
@click.argument("address")
@_choices
@with_session()
def set_options(
    session: Session,
    address: str,
    frequency: str | None,
    areas: Sequence[str],
    alerts: Sequence[str],
    thresholds: Sequence[str],
) -> int:
    """Change what somebody gets; what is not named stays."""
    store = session.store()
    try:
        address = find(store, session.settings, address)
        before = standing(store, session.settings, address)
        _check_said_yes(before)
        assert before is not None
        chosen = _options(session, before, frequency, areas, alerts, thresholds)
        store.add_recipient(Recipient(address, session.now(), before.state, chosen, "command"))
    finally:
        store.close()
    _print(session, address, before.state, chosen, f"{address}: changed")
    return 0


@command.command("confirm", epilog="Example:  speedup recipients confirm ada@example.org")
@click.argument("address")
@with_session()
def confirm(session: Session, address: str) -> int:
    """Its owner said yes to you: write to it from now on. For a dead address: it works again."""
    return _change(session, address, RecipientState.CONFIRMED, "gets mail from now on")


@command.command("remove", epilog="Example:  speedup recipients remove ada@example.org")
@click.argument("address")
@with_session()
def remove(session: Session, address: str) -> int:
    """Send nothing more to an address (itself or its hash); that it was there stays on record."""
    return _change(session, address, RecipientState.UNSUBSCRIBED, "gets nothing more")


def _change(session: Session, address: str, state: RecipientState, text: str) -> int:
    store = session.store()
    try:
        address = find(store, session.settings, address)
        changed = change(store, session.settings, address, state, session.now(), "command")
    finally:
        store.close()
    _print(session, address, changed.state, dict(changed.options), f"{address}: {text}")
    return 0


@command.command("list", epilog="Example:  speedup recipients list --json")
@with_session()
def show_all(session: Session) -> int:
    """Everybody known, what they chose and what became of them."""
    store = session.store()
    try:
        rows: list[dict[str, Any]] = [
            {
                "address": one.recipient.address,
                "hash": recipient_hash(one.recipient.address),
                "origin": one.origin,
                "state": one.recipient.state.value,
                "since": one.recipient.at if one.recipient.reason != "settings" else None,
                "reason": one.recipient.reason,
                "options": one.options.model_dump(mode="json"),
            }
            for one in listed(store, session.settings)
        ]
    finally:
        store.close()
    columns = ["address", "hash", "origin", "state", "since", "reason", "digest"]

    def show() -> None:
        cells = [[*(row[name] for name in columns[:-1]), row["options"]["frequency"]] for row in rows]
        table("recipients", columns, cells)

    session.print({"recipients": rows}, show)
    return 0


@command.command("show", epilog="Example:  speedup recipients show ada@example.org")
@click.argument("address")
@with_session()
def show_one(session: Session, address: str) -> int:
    """The history of one address."""
    store = session.store()
    try:
        address = find(store, session.settings, address)
        history = store.recipient_history(address)
    finally:
        store.close()
    rows = [
        {"at": one.at, "state": one.state.value, "reason": one.reason, "options": dict(one.options)}
        for one in history
    ]

    def show() -> None:
        table(address, ["at", "state", "reason"], [(r["at"], r["state"], r["reason"]) for r in rows])

    session.print({"address": address, "hash": recipient_hash(address), "history": rows}, show)
    return 0


def _print(session: Session, address: str, state: RecipientState, options: dict[str, Any], text: str) -> None:
    document = {"address": address, "hash": recipient_hash(address), "state": state.value, "options": options}
    session.print(document, lambda: click.echo(text))
