"""Letters, digests and recipients in SQL."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from storage.bulk import insert_many, key_table, key_values
from storage.mailing import (
    OVER,
    Channel,
    Issue,
    Letter,
    LetterState,
    Recipient,
    RecipientState,
    in_turn,
    not_sending,
    pack_own,
    pack_pictures,
    settled,
    unpack_own,
    unpack_pictures,
)
from storage.records import digest
from storage.tables import table

OUTBOX, PART, ISSUE, RECIPIENT = (
    table("outbox"),
    table("outbox_part"),
    table("digest"),
    table("recipient"),
)
_PLAIN = (
    "key", "channel", "address", "kind", "period", "message_id", "created_at", "expires_at",
    "state", "attempts", "next_try_at", "outcome", "changed_at",
)  # fmt: skip


# letters ------------------------------------------------------------------------------------------


def queue(connection: Connection, letters: Sequence[Letter]) -> int:
    """Keep letters whose keys are new; returns how many were."""
    fresh: dict[str, Letter] = {}
    for letter in letters:
        fresh.setdefault(letter.key, letter)
    wanted = key_table(connection.dialect.name, (str,))
    known = select(OUTBOX.c.key).join(wanted, wanted.c.k0 == OUTBOX.c.key)
    bound = key_values(connection.dialect.name, (str,), [[key] for key in fresh])
    for key in connection.execute(known, bound).scalars():
        del fresh[key]
    parts: dict[bytes, int] = {}
    rows = []
    for letter in fresh.values():
        if letter.shared not in parts:
            parts[letter.shared] = _part(connection, letter.shared)
        row = {name: getattr(letter, name) for name in _PLAIN}
        row |= {"channel": letter.channel.value, "state": letter.state.value}
        rows.append(row | {"own": pack_own(letter.own), "part_id": parts[letter.shared]})
    insert_many(connection, "outbox", rows)
    return len(rows)


def _part(connection: Connection, body: bytes) -> int:
    """The number of shared bytes, kept once."""
    sha256 = digest(body)
    known = connection.execute(select(PART.c.id).where(PART.c.sha256 == sha256)).scalar()
    if known is None:
        row = PART.insert().values(sha256=sha256, body=zlib.compress(body))
        known = connection.execute(row.returning(PART.c.id)).scalar_one()
    return int(known)


def _letters(connection: Connection, *where: Any) -> list[Letter]:
    query = select(*(OUTBOX.c[name] for name in _PLAIN), OUTBOX.c.own, OUTBOX.c.part_id).where(*where)
    rows = connection.execute(query).all()
    shared = {number: _shared(connection, number) for number in {row.part_id for row in rows}}
    return [
        Letter(
            **{name: getattr(row, name) for name in _PLAIN},
            own=unpack_own(row.own),
            shared=shared[row.part_id],
        )
        for row in rows
    ]


def _shared(connection: Connection, number: int) -> bytes:
    body: bytes = connection.execute(select(PART.c.body).where(PART.c.id == number)).scalar_one()
    return zlib.decompress(body)


def claim(connection: Connection, channel: Channel, at: datetime) -> Letter | None:
    first = (
        select(OUTBOX.c.key)
        .where(
            OUTBOX.c.channel == channel.value,
            OUTBOX.c.state == LetterState.QUEUED.value,
            OUTBOX.c.next_try_at <= at,
        )
        .order_by(OUTBOX.c.next_try_at, OUTBOX.c.created_at, OUTBOX.c.key)
        .limit(1)
    )
    key = connection.execute(first).scalar()
    if key is None:
        return None
    sending = {"state": LetterState.SENDING.value, "attempts": OUTBOX.c.attempts + 1, "changed_at": at}
    connection.execute(update(OUTBOX).where(OUTBOX.c.key == key).values(sending))
    return _letters(connection, OUTBOX.c.key == key)[0]


def settle(
    connection: Connection,
    key: str,
    state: LetterState,
    at: datetime,
    outcome: str,
    next_try_at: datetime | None,
) -> Letter:
    found = _letters(connection, OUTBOX.c.key == key, OUTBOX.c.state == LetterState.SENDING.value)
    if not found:
        raise not_sending(key)
    after = settled(found[0], state, at, outcome, next_try_at)
    values = {"state": after.state.value, "changed_at": after.changed_at, "outcome": after.outcome}
    values["next_try_at"] = after.next_try_at
    connection.execute(update(OUTBOX).where(OUTBOX.c.key == key).values(values))
    return after


def move(
    connection: Connection,
    before: LetterState,
    after: LetterState,
    at: datetime,
    channel: Channel | None,
    expired: bool,
) -> int:
    """Put all letters of one state into another; returns how many. ``expired``: only those past their time."""
    where = [OUTBOX.c.state == before.value]
    if channel is not None:
        where.append(OUTBOX.c.channel == channel.value)
    if expired:
        where.append(OUTBOX.c.expires_at <= at)
    moved = update(OUTBOX).where(*where).values(state=after.value, changed_at=at)
    return connection.execute(moved).rowcount


def letters(
    connection: Connection,
    state: LetterState | None,
    kind: str | None,
    period: str | None,
    address: str | None,
) -> list[Letter]:
    wanted = {"state": state, "kind": kind, "period": period, "address": address}
    where = [OUTBOX.c[name] == value for name, value in wanted.items() if value is not None]
    return sorted(_letters(connection, *where), key=in_turn)


def next_at(connection: Connection, channel: Channel) -> datetime | None:
    """When the next letter is due."""

    def first(time: Any, state: LetterState) -> datetime | None:
        query = select(func.min(time)).where(OUTBOX.c.channel == channel.value, OUTBOX.c.state == state.value)
        return connection.execute(query).scalar()

    found = first(OUTBOX.c.next_try_at, LetterState.QUEUED), first(OUTBOX.c.changed_at, LetterState.SENDING)
    return min((at for at in found if at is not None), default=None)


def counts(connection: Connection) -> dict[tuple[Channel, LetterState], int]:
    """Letters by channel and state."""
    query = select(OUTBOX.c.channel, OUTBOX.c.state, func.count()).group_by(OUTBOX.c.channel, OUTBOX.c.state)
    return {(Channel(row[0]), LetterState(row[1])): row[2] for row in connection.execute(query)}


def prune(connection: Connection, before: datetime, *, dry_run: bool) -> int:
    """Let go of the bytes of letters that are over and done with; parts that no letter has any more go with them."""
    sha256 = digest(b"")
    empty = select(PART.c.id).where(PART.c.sha256 == sha256).scalar_subquery()
    over = (
        OUTBOX.c.state.in_([state.value for state in OVER]),
        OUTBOX.c.changed_at < before,
        OUTBOX.c.expires_at < before,
        OUTBOX.c.part_id.is_distinct_from(empty),
    )
    count: int = connection.execute(select(func.count()).select_from(OUTBOX).where(*over)).scalar_one()
    if count and not dry_run:
        number = _part(connection, b"")
        connection.execute(update(OUTBOX).where(*over).values(own=pack_own(()), part_id=number))
        used = select(OUTBOX.c.part_id).distinct()
        connection.execute(delete(PART).where(PART.c.id.not_in(used)))
    return count


# digests ------------------------------------------------------------------------------------------


def add_issue(connection: Connection, issue: Issue) -> bool:
    same = (ISSUE.c.week == issue.week, ISSUE.c.sha256 == issue.sha256)
    if connection.execute(select(ISSUE.c.week).where(*same)).first() is not None:
        return False
    names = ("week", "sha256", "as_of", "made_at", "subject", "text", "html")
    row = {name: getattr(issue, name) for name in names}
    connection.execute(ISSUE.insert().values(row | {"pictures": pack_pictures(issue.pictures)}))
    return True


def issues(connection: Connection, week: str | None) -> list[Issue]:
    query = select(ISSUE) if week is None else select(ISSUE).where(ISSUE.c.week == week)
    found = [_issue(row) for row in connection.execute(query)]
    return sorted(found, key=lambda one: (one.week, one.made_at, one.sha256))


def _issue(row: Any) -> Issue:
    pictures = unpack_pictures(row.pictures)
    return Issue(row.week, row.as_of, row.made_at, row.subject, row.text, row.html, pictures)


def weeks(connection: Connection) -> list[str]:
    return sorted(connection.execute(select(ISSUE.c.week).distinct()).scalars())


# recipients ---------------------------------------------------------------------------------------


def add_recipient(connection: Connection, recipient: Recipient) -> None:
    row = {name: getattr(recipient, name) for name in ("address", "at", "reason")}
    row |= {"state": recipient.state.value, "options": json.dumps(dict(recipient.options))}
    connection.execute(RECIPIENT.insert().values(row))


def recipients(connection: Connection, address: str | None) -> list[Recipient]:
    """All records in the order they were kept."""
    query = select(RECIPIENT).order_by(RECIPIENT.c.id)
    if address is not None:
        query = query.where(RECIPIENT.c.address == address)
    return [
        Recipient(row.address, row.at, RecipientState(row.state), json.loads(row.options), row.reason)
        for row in connection.execute(query)
    ]


# check --------------------------------------------------------------------------------------------


def damage(connection: Connection) -> Iterator[str]:
    """Letters and digests that are not what was kept."""
    for number in connection.execute(select(PART.c.id).order_by(PART.c.id)).scalars().all():
        row = connection.execute(select(PART.c.sha256, PART.c.body).where(PART.c.id == number)).one()
        try:
            good = digest(zlib.decompress(row.body)) == row.sha256
        except zlib.error:
            good = False
        if not good:
            yield f"letter bytes {row.sha256} do not hash to their address"
    for row in connection.execute(select(ISSUE)):
        if _issue(row).sha256 != row.sha256:
            yield f"digest of {row.week} does not hash to its address {row.sha256}"
