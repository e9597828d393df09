"""Why something changed, from what is stored and nothing else: short lines, or none where nothing is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from questions.catalogue import Catalogue
from questions.records import Quantity, QuestionInfo, StreamKey
from storage.records import Observation
from storage.store import Store
from tracker.digest.content import OrderChange
from tracker.digest.movement import Move, chance
from tracker.digest.period import Period
from tracker.estimates.attribution import Cause
from tracker.estimates.voice import Voice
from tracker.orderings import (
    TREND_SELECTION,
    TREND_SERIES,
    MarketInput,
    ModelOptions,
    Value,
    market_changes,
    trend_scores,
)
from tracker.own import counted
from tracker.report.wording import clean, counted as many, day, duration

INPUTS_LOOKED_INTO = 8
CAUSES_TOLD = 3
MOST_OF_IT = 0.8  # a single step that makes so much of a move is told
TITLE = 70

Pair = tuple[str, str]


def percent(probability: float) -> str:
    """A probability as people read it; tenths near the ends, and never a certainty that is none.

    >>> percent(0.384), percent(0.004), percent(0.99997), percent(1.0)
    ('38%', '0.4%', '>99.9%', '100%')
    """
    value = 100.0 * probability
    if value in (0.0, 100.0):
        return f"{value:.0f}%"
    if not 0.05 <= value < 99.95:
        return "<0.1%" if value < 50.0 else ">99.9%"
    return f"{value:.0f}%" if 1.0 <= round(value) <= 99.0 else f"{value:.1f}%"


# a question's move --------------------------------------------------------------------------------


def move_causes(
    store: Store,
    move: Move,
    infos: tuple[Mapping[Pair, QuestionInfo], Mapping[Pair, QuestionInfo]],
    at: datetime,
) -> tuple[str, ...]:
    """What the stored record says of a move: reworded terms, new forecasters, volume, one trade or step."""
    key, since = move.key, move.previous
    name = (key.platform, key.external_id)
    then, now = (known.get(name) for known in infos)
    lines = []
    if then and now and then.criteria_sha256 and then.criteria_sha256 != now.criteria_sha256:
        lines.append("its resolution criteria were reworded this week")
    before, after = since.snapshot, move.now.snapshot
    if before.forecasters is not None and after.forecasters is not None:
        added = after.forecasters - before.forecasters
        if added:
            lines.append(
                f"{many(abs(added), 'forecaster')} {'more' if added > 0 else 'fewer'} than a week ago"
            )
        else:
            lines.append("no new forecasters: those there are changed their minds")
    if before.volume is not None and after.volume is not None and after.volume > before.volume:
        lines.append(f"traded volume {before.volume:,.0f} to {after.volume:,.0f}")
    step = _step(store.history(key, known_at=at, start=since.snapshot.as_of), move)
    return (*lines, *([step] if step else []))


def _step(history: Sequence[Observation], move: Move) -> str:
    """The one step that makes most of a move, or how many steps it took, as far as we looked."""
    start = move.previous.snapshot.as_of
    week = [one for one in history if one.snapshot.as_of > start and one.snapshot.probability is not None]
    steps = list(zip([move.previous, *week], week, strict=False))
    steps = [(old, new) for old, new in steps if chance(new) != chance(old)]
    if not steps:
        return ""
    old, new = max(steps, key=lambda pair: abs(chance(pair[1]) - chance(pair[0])))
    size = chance(new) - chance(old)
    traded = new.snapshot.timed_by_source and move.key.quantity is Quantity.PLAY_MONEY_PRICE
    kind = "trade" if traded else "step"
    if size * move.change > 0 and abs(size) >= MOST_OF_IT * abs(move.change):
        when = day(new.snapshot.as_of)
        return f"one {kind} on {when} made most of it: {percent(chance(old))} to {percent(chance(new))}"
    return (
        f"in {many(len(steps), kind)}, the largest {abs(size) * 100:.0f} points on {day(new.snapshot.as_of)}"
    )


# a voice's order ----------------------------------------------------------------------------------


def order_changes(
    catalogue: Catalogue,
    store: Store,
    options: ModelOptions,
    voices: tuple[Mapping[str, Voice], Mapping[str, Voice]],
    titles: Mapping[tuple[str, str], str],
    period: Period,
) -> tuple[OrderChange, ...]:
    """Each voice whose order is another than a week ago, and what did it. ``voices``: then and now."""
    names = {area.key: area.name for area in catalogue.areas}
    found = []
    for name, now in voices[1].items():
        then = voices[0][name]
        pairs = passed(then, now)
        entered = tuple(area for area in now.ranking if area not in then.ranking)
        left = tuple(area for area in then.ranking if area not in now.ranking)
        if not (pairs or entered or left):
            continue
        if not then.ranking:
            found.append(OrderChange(name, entered=tuple(names[a] for a in entered), first=True))
            continue
        if name == "market":
            why = _market(catalogue, store, options, pairs, (entered, left), titles, period)
        elif name == "trend":
            why = _trend(catalogue, store, options, pairs, period)
        elif name == "panel":
            why = _panel(store, period)
        else:
            why = ["the factor model itself was changed"]
        spelled = tuple((names[a], names[b]) for a, b in pairs)
        found.append(
            OrderChange(
                name, spelled, tuple(names[a] for a in entered), tuple(names[a] for a in left), tuple(why)
            )
        )
    return tuple(found)


def passed(then: Voice, now: Voice) -> tuple[Pair, ...]:
    """Pairs (a, b) of areas both orders hold, a before b now and behind it or level with it then."""
    shared = [area for area in now.ranking if area in then.ranking]
    return tuple(
        (a, b)
        for i, a in enumerate(shared)
        for b in shared[i + 1 :]
        if now.scores[a] > now.scores[b] and then.scores[a] <= then.scores[b]
    )


def _market(
    catalogue: Catalogue,
    store: Store,
    options: ModelOptions,
    pairs: Sequence[Pair],
    covered: tuple[Sequence[str], Sequence[str]],
    titles: Mapping[tuple[str, str], str],
    period: Period,
) -> list[str]:
    entered, left = covered
    found = market_changes(
        catalogue, store, options, since=period.since, now=period.at, most=INPUTS_LOOKED_INTO
    ).causes
    lines = []
    for cause in found:
        alone = any(pair in cause.undoes for pair in pairs)
        brought = set(entered) & set(cause.brings) or set(left) & set(cause.takes)
        if alone or brought:
            lines.append(f"{_input(cause, titles)} (without it, no change)")
    if not lines:
        lines = [_input(cause, titles) for cause in found if cause.size > 0]
        if len(lines) > 1:
            lines = ["no single input undoes it when put back; the largest are:", *lines[:CAUSES_TOLD]]
    return lines[: CAUSES_TOLD + 1]


def _input(cause: Cause[MarketInput, Value | datetime | bool], titles: Mapping[tuple[str, str], str]) -> str:
    """A cause in words."""
    key = cause.key
    if not isinstance(key, StreamKey):
        if key == ("time",):
            return "a week went by: deadlines are nearer"
        _, platform, external_id, _ = key
        return f"“{_title(titles, platform, external_id)}” {'resolved' if cause.after else 'is open again'}"
    title = _title(titles, key.platform, key.external_id)
    said = [_said(value) for value in (cause.before, cause.after)]
    if cause.before is None:
        return f"“{title}” is new among the followed, at {said[1]} ({key.platform})"
    return f"“{title}” {said[0]} to {said[1]} ({key.platform})"


def _said(value: Value | datetime | bool | None) -> str:
    if not isinstance(value, Value):
        return "none"
    snapshot = value.snapshot
    if snapshot.probability is None:
        return snapshot.state.value.replace("_", " ")
    return percent(snapshot.probability)


def _title(titles: Mapping[tuple[str, str], str], platform: str, external_id: str) -> str:
    return clean(titles.get((platform, external_id), f"{platform} {external_id}"), limit=TITLE)


def _trend(
    catalogue: Catalogue, store: Store, options: ModelOptions, pairs: Sequence[Pair], period: Period
) -> list[str]:
    """New models, or old ones measured anew: each taken back alone. What undoes the change was needed for it."""
    changes = store.series_diff(TREND_SERIES, period.since, period.at)
    ours = [change for change in changes if change.metric == TREND_SELECTION.metric]
    added = {change.key: change for change in ours if change.kind == "added"}
    revised = {change.key: change for change in ours if change.kind != "added"}
    if not ours:
        return ["no measurement changed: dates moved on by a week"]
    values = sum(change.kind == "revised" for change in revised.values())
    older = (
        f"{many(values, 'older value')} revised"
        if values
        else f"intervals of {many(len(revised), 'older value')}"
    )
    said = {"added": _models(added), "revised": older}
    if not added or not revised:
        return [f"METR's new version: {said['added'] if added else said['revised']}"]
    points = store.measurements(TREND_SERIES, TREND_SELECTION.metric, known_at=period.at)
    before = {change.key: change.before for change in revised.values()}
    without = {
        "added": [point for point in points if point.key not in added],
        "revised": [old for point in points for old in (before.get(point.key, point),) if old is not None],
    }
    lines = []
    for part, kept in without.items():
        scores = trend_scores(catalogue, options, kept, now=period.at, draws=options.draws)
        if any(scores.get(a, 0.0) < scores.get(b, 0.0) for a, b in pairs):
            lines.append(f"METR's new version: {said[part]} (without it, no change)")
    either = f"METR's new version: {said['added']}, {said['revised']}; either alone would have done it"
    return lines or [either]


def _models(added: Mapping[str, object]) -> str:
    labels = []
    for key, change in sorted(added.items()):
        point = getattr(change, "after", None)
        label = clean((point.label or key) if point is not None else key, limit=40)
        labels.append(f"{label} at {duration(point.value)}" if point is not None else label)
    shown = ", ".join(labels[:CAUSES_TOLD])
    rest = len(labels) - CAUSES_TOLD
    return f"{many(len(labels), 'new model')} ({shown}{f' and {rest} more' if rest > 0 else ''})"


def _panel(store: Store, period: Period) -> list[str]:
    told = counted(store, known_at=period.at)
    new = [one for one, at in told if at > period.since]
    known = {one.forecaster for one, at in told if at <= period.since}
    people = {one.forecaster for one in new} - known
    if not new:
        return ["no new forecast: earlier ones count differently now"]
    return [f"{many(len(new), 'new forecast')}, {many(len(people), 'new forecaster')}"]
