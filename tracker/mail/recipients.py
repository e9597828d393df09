"""Who gets what: the addresses of the settings and those kept in the database, and what they chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from questions.time import EPOCH
from storage.mailing import Letter, LetterState, Recipient, RecipientState
from storage.store import Store
from tracker.config import Settings, mail_address
from tracker.errors import UsageError
from tracker.mail.content import Taste
from tracker.mail.delivery import Fate
from tracker.mail.links import recipient_hash

DEAD_AFTER = 2
Word = Annotated[str, Field(pattern=r"^[a-z0-9_.-]{1,60}$")]


class Options(BaseModel):
    """What a recipient chose, in words that need no translation.

    ``frequency`` of the digest: every week, the first of a month, or none. ``areas``: the areas they want to be told
    of, ``alerts``: the kinds of alerts (all when none is named). ``thresholds``: by kind of alert, in the unit of its
    rule; that of moves (log-odds) holds for the digest as well. ``forecaster``: the name under which they forecast.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    frequency: Literal["weekly", "monthly", "none"] = "weekly"
    areas: tuple[Word, ...] = ()
    alerts: tuple[Word, ...] = ()
    thresholds: dict[Word, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = {}
    forecaster: Annotated[str, Field(max_length=120)] = ""

    @property
    def taste(self) -> Taste:
        """What of a digest is for them."""
        areas = tuple(sorted(set(self.areas)))
        return Taste(areas, self.thresholds.get("move"), self.forecaster, self.frequency)

    def wants_digest(self, week: str) -> bool:
        """Whether the digest of a week (``2026-W47``) is for them; of a month the first with its Monday in it."""
        if self.frequency == "monthly":
            return monday_of(week).day <= 7
        return self.frequency == "weekly"


def monday_of(week: str) -> date:
    """The first day of an ISO week.

    >>> monday_of("2026-W01").isoformat()
    '2025-12-29'
    """
    year, _, number = week.partition("-W")
    return date.fromisocalendar(int(year), int(number), 1)


def options_from(told: Mapping[str, Any]) -> Options:
    """Options that were given or kept. UsageError names what is wrong."""
    try:
        return Options.model_validate(dict(told))
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False)
        )
        raise UsageError(f"a recipient's options are wrong: {wrong}") from None


def promised(options: Options) -> str:
    """What somebody gets who says yes.

    >>> promised(Options(frequency="monthly")), promised(Options(alerts=("none",)))
    ('a digest a month, and alerts when something changes', 'the weekly digest')
    """
    digest = {"weekly": "the weekly digest", "monthly": "a digest a month", "none": ""}[options.frequency]
    alerts = "" if options.alerts == ("none",) else "alerts when something changes"
    return ", and ".join(part for part in (digest, alerts) if part) or "nothing for now"


def address_from(text: str) -> str:
    """An address as it is kept. UsageError for what is none."""
    try:
        return mail_address(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


@dataclass(frozen=True)
class Listed:
    """One who may be written to, or not: the newest record, and where the address comes from."""

    recipient: Recipient
    origin: str  # settings, database

    @property
    def active(self) -> bool:
        return self.recipient.state is RecipientState.CONFIRMED

    @property
    def options(self) -> Options:
        return options_from(self.recipient.options)


def listed(store: Store, settings: Settings) -> list[Listed]:
    """Everybody known, by address. An address of the settings needs no confirming; its own word still counts."""
    kept = {one.address: one for one in store.recipients()}
    found = [
        Listed(one, "settings" if one.address in settings.mail_to else "database") for one in kept.values()
    ]
    for address in settings.mail_to:
        if address not in kept:
            known = Recipient(address, EPOCH, RecipientState.CONFIRMED, reason="settings")
            found.append(Listed(known, "settings"))
    return sorted(found, key=lambda one: one.recipient.address)


def digest_readers(store: Store, settings: Settings, week: str) -> dict[str, Taste]:
    """To whom the digest of a week goes, and what they chose of it."""
    readers = ((one.recipient.address, one.options) for one in listed(store, settings) if one.active)
    return {address: options.taste for address, options in readers if options.wants_digest(week)}


def digest_addresses(store: Store, settings: Settings, week: str) -> list[str]:
    """To whom the digest of a week goes."""
    return list(digest_readers(store, settings, week))


def taste_of(store: Store, settings: Settings, name: str) -> Taste:
    """What somebody on the list chose of a digest. UsageError when nobody is meant."""
    known = standing(store, settings, find(store, settings, name))
    return options_from(known.options if known is not None else {}).taste


def standing(store: Store, settings: Settings, address: str) -> Recipient | None:
    """The newest record of an address, or what the settings make of it."""
    history = store.recipient_history(address)
    if history:
        newest = max(range(len(history)), key=lambda number: (history[number].at, number))
        return history[newest]
    if address in settings.mail_to:
        return Recipient(address, EPOCH, RecipientState.CONFIRMED, reason="settings")
    return None


def change(
    store: Store, settings: Settings, address: str, state: RecipientState, at: datetime, reason: str
) -> Recipient:
    """Write down a new state of an address, its options as they were."""
    known = standing(store, settings, address)
    if known is not None and known.state is state:
        return known
    options = {} if known is None else known.options
    changed = Recipient(address, at.astimezone(UTC), state, options, reason)
    store.add_recipient(changed)
    return changed


def why_not(store: Store, settings: Settings, letter: Letter) -> str:
    """Why a queued letter is not to be sent any more; empty when it is. Who has not confirmed is only asked to."""
    known = standing(store, settings, letter.address)
    if known is None:
        return "" if letter.kind == "test" else "the address is on no list"
    if known.state is RecipientState.CONFIRMED:
        return ""
    if known.state is RecipientState.PENDING and letter.kind == "confirm":
        return "" if letter.created_at == known.at else "asked again since"
    return known.state.value


def note_refusal(store: Store, settings: Settings, letter: Letter, at: datetime) -> bool:
    """After so many letters running that its server refused, an address is dead; whether it is now."""
    known = standing(store, settings, letter.address)
    since = known.at if known is not None else EPOCH
    sent = [one for one in store.letters(address=letter.address) if one.changed_at and one.changed_at > since]
    sent.sort(key=lambda one: (one.changed_at, one.key), reverse=True)
    refused = 0
    for one in sent:
        if one.state is LetterState.DEAD and one.outcome.startswith(f"{Fate.REFUSED.value}:"):
            refused += 1
        elif one.state is LetterState.SENT:
            break
    if refused < DEAD_AFTER:
        return False
    change(store, settings, letter.address, RecipientState.DEAD, at, f"refused {refused} times running")
    return True


def find(store: Store, settings: Settings, name: str) -> str:
    """The address meant by itself or by its hash. UsageError when nobody is."""
    for one in listed(store, settings):
        if name in (one.recipient.address, recipient_hash(one.recipient.address)):
            return one.recipient.address
    address = address_from(name)
    if standing(store, settings, address) is None:
        raise UsageError("no such recipient: `speedup recipients list` shows them")
    return address
