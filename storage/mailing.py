"""What is sent and to whom: letters in the outbox, the archive of digests, recipients and their history."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from questions.time import utc
from storage.border import keepable
from storage.errors import StorageError


class Channel(StrEnum):
    """How a letter travels."""

    MAIL = "mail"
    WEBHOOK = "webhook"


class LetterState(StrEnum):
    """Where a letter is. ``sending`` after a crash means that nobody knows: it goes again, the same bytes."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DEAD = "dead"
    EXPIRED = "expired"
    HELD = "held"


OVER = (LetterState.SENT, LetterState.DEAD, LetterState.EXPIRED)
"""Nothing more becomes of these."""


@dataclass(frozen=True)
class Letter:
    """One message to one address. ``key`` says what it is (``digest:2026-W47:<hash>``): it is queued once.

    ``address`` is a mail address, or the name of a webhook (its URL is a secret and not kept here). The exact
    bytes are ``body``: ``shared``, which many letters have in common and which are kept once, with this letter's
    ``own`` pieces put in, each before the byte of ``shared`` at its place. Of a letter that was over long ago the bytes
    may have been let go: then both are empty, and the rest is what it was.
    """

    key: str
    channel: Channel
    address: str
    kind: str
    period: str
    message_id: str
    shared: bytes
    created_at: datetime
    expires_at: datetime
    own: tuple[tuple[int, bytes], ...] = ()
    state: LetterState = LetterState.QUEUED
    attempts: int = 0
    next_try_at: datetime | None = None
    outcome: str = ""
    changed_at: datetime | None = None

    def __post_init__(self) -> None:
        created = utc(self.created_at)
        object.__setattr__(self, "channel", Channel(self.channel))
        object.__setattr__(self, "state", LetterState(self.state))
        object.__setattr__(self, "created_at", created)
        object.__setattr__(self, "expires_at", utc(self.expires_at))
        object.__setattr__(self, "next_try_at", utc(self.next_try_at or created))
        object.__setattr__(self, "changed_at", utc(self.changed_at or created))
        for name in ("key", "address", "kind", "period", "message_id", "outcome"):
            object.__setattr__(self, name, keepable(getattr(self, name)))
        places = [place for place, _ in self.own]
        if places != sorted(places) or any(not 0 <= place <= len(self.shared) for place in places):
            raise ValueError(f"letter {self.key}: its own pieces are not in order within the shared bytes")

    @property
    def body(self) -> bytes:
        """Exactly what is sent."""
        parts, done = [], 0
        for place, piece in self.own:
            parts += [self.shared[done:place], piece]
            done = place
        return b"".join([*parts, self.shared[done:]])


def settled(
    letter: Letter, state: LetterState, at: datetime, outcome: str, next_try_at: datetime | None
) -> Letter:
    """A letter after an attempt."""
    return replace(
        letter,
        state=state,
        changed_at=at,
        outcome=outcome,
        next_try_at=next_try_at or letter.next_try_at,
    )


def in_turn(letter: Letter) -> tuple[Any, ...]:
    """The order in which letters go out."""
    return letter.next_try_at, letter.created_at, letter.key


def pack_own(own: Iterable[tuple[int, bytes]]) -> str:
    """Pieces as text that any database keeps to the byte."""
    return json.dumps([[place, piece.decode("latin-1")] for place, piece in own])


def unpack_own(text: str) -> tuple[tuple[int, bytes], ...]:
    return tuple((place, piece.encode("latin-1")) for place, piece in json.loads(text))


# the archive --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Picture:
    """A PNG inside a digest, the name its HTML has for it, and what it shows in words."""

    cid: str
    filename: str
    png: bytes
    alt: str


@dataclass(frozen=True)
class Issue:
    """A digest as it was made: of which week (``2026-W47``), as known at which instant, and all it says."""

    week: str
    as_of: datetime
    made_at: datetime
    subject: str
    text: str
    html: str
    pictures: tuple[Picture, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "as_of", utc(self.as_of))
        object.__setattr__(self, "made_at", utc(self.made_at))
        for name in ("week", "subject", "text", "html"):
            object.__setattr__(self, name, keepable(getattr(self, name)))

    @property
    def sha256(self) -> str:
        """Of everything it says; not of when it was made."""
        said = [self.week, self.as_of.isoformat(), self.subject, self.text, self.html]
        whole = json.dumps([*said, pack_pictures(self.pictures)])
        return hashlib.sha256(whole.encode()).hexdigest()


def pack_pictures(pictures: Iterable[Picture]) -> str:
    return json.dumps(
        [[one.cid, one.filename, base64.b64encode(one.png).decode(), one.alt] for one in pictures]
    )


def unpack_pictures(text: str) -> tuple[Picture, ...]:
    return tuple(
        Picture(cid, filename, base64.b64decode(png), alt) for cid, filename, png, alt in json.loads(text)
    )


# recipients ---------------------------------------------------------------------------------------


class RecipientState(StrEnum):
    """Whether an address may be written to: only a confirmed one may."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    UNSUBSCRIBED = "unsubscribed"
    DEAD = "dead"


@dataclass(frozen=True)
class Recipient:
    """What became of an address at an instant. The newest record of an address counts, the others are its history.

    ``options`` are plain values under names that no language needs to translate. ``reason``: who said so.
    """

    address: str
    at: datetime
    state: RecipientState
    options: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", utc(self.at))
        object.__setattr__(self, "state", RecipientState(self.state))
        object.__setattr__(self, "address", keepable(self.address))
        object.__setattr__(self, "reason", keepable(self.reason))
        object.__setattr__(self, "options", json.loads(json.dumps(dict(self.options), allow_nan=False)))


def standing_recipients(history: Iterable[Recipient]) -> list[Recipient]:
    """The newest record of each address, by address, from records in the order they were kept."""
    newest: dict[str, Recipient] = {}
    for one in history:
        known = newest.get(one.address)
        if known is None or one.at >= known.at:
            newest[one.address] = one
    return [newest[address] for address in sorted(newest)]


def not_sending(key: str) -> StorageError:
    """Nobody was sending this letter, so it cannot have been sent."""
    return StorageError(f"letter {key} is not being sent: what became of it is not written down")
