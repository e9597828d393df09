"""The weeks: made, kept, read, checked, and what changed between two of them.

A week is stored once for what was asked (``week.settings_name``). What is missing is derived again as known at its end:
everything stored has both its times, so that the same call gives the same week later. Whether it still does is what
``rederived`` tells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from questions.catalogue import Catalogue
from questions.records import Forecast, StreamKey
from storage.records import Grain, OrderingRecord
from storage.store import Store
from tracker.estimates.attribution import Attribution, Cause
from tracker.estimates.modelled import changed
from tracker.estimates.ordering import rank_moves
from tracker.estimates.voice import RankMove
from tracker.orderings import (
    ModelOptions,
    Opinion,
    Scene,
    Value,
    market_changes,
    panel_changes,
    recorded_forecasts,
    trend_changes,
)
from tracker.week import Difference, Week, difference, read_week, running, settings_name, week_ends

#: How far back weeks without a record are made up for.
CAUGHT_UP = 53


# Making -----------------------------------------------------------------------------------------------


def keep_weeks(
    catalogue: Catalogue,
    store: Store,
    options: ModelOptions,
    *,
    until: datetime,
    made_at: datetime,
    weeks: int = CAUGHT_UP,
    stopped: Callable[[], bool] = lambda: False,
) -> tuple[OrderingRecord, ...]:
    """Store the last ``weeks`` weeks up to an instant that are not stored yet, each as known at its end.

    Weeks at whose end nothing was known are left out. Returns what is new, the oldest first; each is stored by
    itself, so that what is ``stopped`` halfway goes on where it was.
    """
    scene, made = Scene(catalogue, store, options), []
    for at in week_ends(until, weeks):
        if stopped():
            break
        if scene.stored(at) is None and not scene.knows_nothing(at):
            record = scene.record(at, made_at=made_at)
            store.add_orderings([record])
            made.append(record)
    return tuple(made)


def keep_day(
    catalogue: Catalogue, store: Store, options: ModelOptions, *, at: datetime, made_at: datetime
) -> OrderingRecord | None:
    """Store what the voices say at an instant as known then; None when nothing is known, or nothing has changed
    since the last such record."""
    scene = Scene(catalogue, store, options)
    if scene.knows_nothing(at):
        return None
    record = scene.record(at, Grain.DAY, made_at=made_at)
    before = store.orderings(Grain.DAY, until=at, settings=record.settings)
    if before and before[-1].sha256 == record.sha256:
        return None
    store.add_orderings([record])
    return record


def model_says(
    catalogue: Catalogue,
    store: Store,
    options: ModelOptions,
    thresholds: Sequence[int],
    *,
    made_at: datetime,
) -> tuple[Forecast, ...]:
    """The internal voice's forecasts on our open ordering questions at these multiples."""
    scene = Scene(catalogue, store, options)
    voice = scene.internal(options.draws)
    return tuple(
        forecast
        for threshold in thresholds
        for forecast in recorded_forecasts(
            catalogue, store, replace(options, threshold=threshold), voice, scene.version, made_at=made_at
        )
    )


def keep_model(store: Store, made: Sequence[Forecast]) -> int:
    """Store forecasts where they say something new; returns how many were."""
    return store.add_forecasts(changed(made, store.forecasts())) if made else 0


# Reading ----------------------------------------------------------------------------------------------


def stored_weeks(
    store: Store,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    settings: str | None = None,
    known_at: datetime | None = None,
) -> tuple[Week, ...]:
    """The weeks stored that end from ``since`` to ``until``, the oldest first, made by ``known_at``; of several of
    one week the last made. Disagreements are counted over them (``weeks``).

    ``settings``: whose history (``default_settings``); without it the settings of the newest week stored.
    """
    told = store.orderings(Grain.WEEK, until=until, settings=settings, known_at=known_at)
    if not told:
        return ()
    wanted = settings or max(told, key=lambda one: (one.at, one.made_at)).settings
    last = {one.at: one for one in told if one.settings == wanted}
    weeks = running([read_week(last[at]) for at in sorted(last)])
    return tuple(week for week in weeks if since is None or week.at >= since)


def latest_week(store: Store, known_at: datetime, *, settings: str | None = None) -> Week | None:
    """The last comparison stored that ended by ``known_at`` and was made by then; None when there is none."""
    weeks = stored_weeks(store, until=known_at, settings=settings, known_at=known_at)
    return weeks[-1] if weeks else None


def default_settings(catalogue: Catalogue, options: ModelOptions | None = None) -> str:
    """The name of what the daemon's weeks are asked with (or of other options)."""
    return settings_name(Scene(catalogue, None, options or ModelOptions()).settings)


def weeks_until(
    catalogue: Catalogue,
    store: Store,
    options: ModelOptions,
    *,
    now: datetime,
    count: int,
    known_at: datetime | None = None,
) -> tuple[Week, ...]:
    """The last ``count`` weeks that were over at ``now``, the oldest first: as stored (by ``known_at``), and derived
    again as known then where none is stored (``Week.stored`` tells). Runs of disagreement are not counted here: they
    may be older than the first week."""
    scene = Scene(catalogue, store, options, known_at)
    return tuple(scene.week(at) for at in week_ends(now, count))


def rederived(
    catalogue: Catalogue,
    store: Store,
    options: ModelOptions,
    weeks: Sequence[Week],
    *,
    known_at: datetime | None = None,
) -> dict[datetime, Difference | None]:
    """Stored weeks derived once more from what is stored: where each differs, None where it says the same bytes.

    They differ when the program, the catalogue or what it reads from stored payloads has changed since.
    """
    scene = Scene(catalogue, store, options, known_at)
    found = {}
    for week in weeks:
        stored = scene.stored(week.at)
        if week.stored and stored is not None:
            found[week.at] = difference(stored, scene.record(week.at, made_at=stored.made_at))
    return found


# Between two weeks ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class VoiceChange:
    """How one voice's order changed: ranks then and now of the areas both cover, which came and which went.

    ``why``: the inputs that did it, each put back alone; None for the factor model, which depends on no stored value
    (``model_then`` and ``model_now`` tell whether it is another version).
    """

    moves: tuple[RankMove, ...]
    entered: tuple[str, ...]
    left: tuple[str, ...]
    model_then: str
    model_now: str
    why: Attribution[Any, Any] | None

    @property
    def spoke(self) -> bool:
        """Whether the voice had a view in either week."""
        return bool(self.moves or self.entered or self.left)

    @property
    def changed(self) -> bool:
        return bool(self.entered or self.left or any(move.moved for move in self.moves))


@dataclass(frozen=True)
class Change:
    """What changed between two weeks: per voice the order and why; pairs of voices whose disagreements came or went.

    ``opened`` and ``closed``: (voice, voice, area first by the one, area).
    """

    earlier: Week
    later: Week
    voices: Mapping[str, VoiceChange]
    opened: tuple[tuple[str, str, str, str], ...]
    closed: tuple[tuple[str, str, str, str], ...]


def change_between(
    catalogue: Catalogue, store: Store, options: ModelOptions, earlier: Week, later: Week
) -> Change:
    """What changed from one week to another, and which inputs did it, each week as known at its end."""
    since, until = earlier.known_at, later.known_at
    why: dict[str, Attribution[Any, Any]] = {
        "market": market_changes(catalogue, store, options, since=since, now=until),
        "trend": trend_changes(catalogue, store, options, since=since, now=until),
        "panel": panel_changes(catalogue, store, options, since=since, now=until),
    }
    voices = {}
    for name, now in later.voices.items():
        then = earlier.voices.get(name)
        if then is None:
            continue
        both = [area for area in now.coverage if area in then.coverage]
        voices[name] = VoiceChange(
            rank_moves(both, [then.scores[a] for a in both], [now.scores[a] for a in both]) if both else (),
            tuple(area for area in now.coverage if area not in then.coverage),
            tuple(area for area in then.coverage if area not in now.coverage),
            then.model,
            now.model,
            why.get(name),
        )
    before, after = _disagreements(earlier), _disagreements(later)
    return Change(earlier, later, voices, tuple(sorted(after - before)), tuple(sorted(before - after)))


def cause_name(cause: Cause[Any, Any]) -> str:
    """What an input is called: a stream, a point of a series, a person's forecast, time."""
    key = cause.key
    if isinstance(key, StreamKey):
        return f"{key.platform}:{key.external_id}:{key.outcome} ({key.source}, {key.quantity.value})"
    return ":".join(key)


def said(value: Any) -> Any:
    """What an input said, as plain data; None when it was not there."""
    if value is None or isinstance(value, bool | datetime):
        return value
    if isinstance(value, Opinion):
        return ", ".join(f"{outcome} {chance:g}" for outcome, chance in value.said)
    if isinstance(value, Value):
        snapshot = value.snapshot
        return snapshot.probability if snapshot.probability is not None else snapshot.state.value
    return value.value


def _disagreements(week: Week) -> set[tuple[str, str, str, str]]:
    return {(one.a, one.b, pair.first, pair.second) for one in week.comparisons for pair in one.disagreements}
