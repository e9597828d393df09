"""A question's value has moved: by more than a threshold of log-odds from what was last told of it, and it stays there.

The last told value is the anchor. The next alert in the same direction needs as much again, the next one back needs the
whole way: a value that swings about a threshold alerts once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

from questions.receipts import Exhibit
from questions.records import OutcomeState, Snapshot, StreamKey, ValueState
from questions.time import iso, parse_utc
from storage.alerting import Alert
from storage.records import Observation
from tracker.alerts.scene import Found, Name, Scene, State, exhibit_of
from tracker.config import Settings
from tracker.estimates.market import OWN
from tracker.estimates.prices import MAX_PROBABILITY, MIN_PROBABILITY, kind_of

ROUNDING = 1e-9
BEHIND = timedelta(days=2)  # a stream so far behind another of the same outcome does not speak for it


def log_odds(probability: float) -> float:
    """Clipped to 0.005..0.995 as wherever prices are read."""
    clipped = min(max(probability, MIN_PROBABILITY), MAX_PROBABILITY)
    return math.log(clipped / (1.0 - clipped))


def moves(scene: Scene) -> Iterator[Found]:
    """A signal per followed question, over all its outcomes and all sources that tell of it."""
    decided = {
        (word.platform, word.external_id)
        for word in scene.resolutions
        if word.state is not OutcomeState.UNRESOLVED
    }
    for name in scene.links:
        signal = f"move:{name[0]}:{name[1]}"
        if name in decided:
            continue
        values = {key: seen for key, seen in scene.values.get(name, {}).items() if _readable(key, seen)}
        if values:
            yield _judge(scene, name, signal, values, scene.armed.get(signal))


def _readable(key: StreamKey, seen: Observation) -> bool:
    one = seen.snapshot
    return one.state is ValueState.OK and one.probability is not None and key.quantity not in OWN


@dataclass(frozen=True)
class _Backing:
    """What stands behind a question's value, as last told by anybody; None: never told."""

    forecasters: int | None
    liquidity: float | None
    volume: float | None
    spread: float | None

    def enough(self, settings: Settings, *, traded: bool) -> bool:
        """Whether a value is not too thin to tell of. What nobody tells counts as thin, unless the settings say."""
        floor, rules = settings.links, settings.alerts
        if self.forecasters is not None and self.forecasters < floor.min_forecasters:
            return False
        if traded and self.spread is not None and self.spread > floor.max_spread + ROUNDING:
            return False
        if traded and self.liquidity is not None and self.liquidity < rules.min_liquidity:
            return False
        if traded and self.volume is not None and self.volume < floor.min_volume:
            return False
        figures = (self.liquidity, self.volume) if traded else (self.forecasters,)
        return rules.unbacked or any(figure is not None for figure in figures)


def _backing(histories: Sequence[Sequence[Observation]]) -> _Backing:
    """The newest figures in several streams' histories; of the first stream that tells one."""

    def last(name: str) -> Any:
        told = (getattr(one.snapshot, name) for history in histories for one in reversed(history))
        return next((figure for figure in told if figure is not None), None)

    return _Backing(last("forecasters"), last("liquidity"), last("volume"), last("spread"))


def _judge(
    scene: Scene, name: Name, signal: str, values: Mapping[StreamKey, Observation], state: State | None
) -> Found:
    anchors: dict[str, State] = dict((state or {}).get("outcomes", {}))
    young = _age(scene, name, state) < timedelta(days=scene.settings.alerts.min_age_days)
    now = {
        outcome: _chosen(values, outcome, anchors.get(outcome))
        for outcome in sorted({key.outcome for key in values})
    }
    news: list[Alert] = []
    for outcome, seen in now.items():
        anchor = anchors.get(outcome)
        if anchor is None or (young and anchor["p"] != seen.snapshot.probability):
            anchors[outcome] = _anchor(seen)
            continue
        course = _course(scene, seen, anchor)
        if course is _Course.ELSEWHERE:
            anchors[outcome] = _anchor(seen)
        elif course is _Course.MOVED:
            backing = _backing([scene.history(key) for key in (seen.snapshot.key, *values)])
            if backing.enough(scene.settings, traded=kind_of(seen.snapshot.key.quantity) != "forecasters"):
                news.append(_alert(scene, name, signal, seen, anchor, backing))
    if news:
        anchors |= {outcome: _anchor(seen) for outcome, seen in now.items()}
    kept = {"first": (state or {}).get("first", iso(scene.at)), "outcomes": dict(sorted(anchors.items()))}
    return Found(signal, kept, max(news, key=lambda one: one.size or 0.0, default=None))


def _chosen(values: Mapping[StreamKey, Observation], outcome: str, anchor: State | None) -> Observation:
    """The stream whose value counts: the one the anchor came from, unless another is much newer; at first the
    platform's own."""
    here = {_stream(key): seen for key, seen in values.items() if key.outcome == outcome}
    ranked = sorted(here.values(), key=lambda seen: _own(seen.snapshot.key))
    known = here.get(anchor["stream"]) if anchor is not None else ranked[0]
    newest = max(ranked, key=lambda seen: seen.snapshot.as_of)
    if known is None or newest.snapshot.as_of - known.snapshot.as_of > BEHIND:
        return newest
    return known


def _age(scene: Scene, name: Name, state: State | None) -> timedelta:
    """Since it opened; where nobody says when, since we first looked."""
    opened = [info.opens_at for info in scene.infos.get(name, ()) if info.opens_at is not None]
    first = parse_utc(state["first"]) if state else scene.at
    return scene.at - min([first, *opened])


def _own(key: StreamKey) -> tuple[bool, StreamKey]:
    """The platform's own word first."""
    return (key.source != key.platform, key)


def _stream(key: StreamKey) -> str:
    return f"{key.source}:{key.quantity.value}"


def _anchor(seen: Observation) -> State:
    one = seen.snapshot
    return {
        "p": one.probability,
        "at": iso(one.as_of),
        "seen": iso(seen.seen_first),
        "payload": one.payload_sha256,
        "stream": _stream(one.key),
    }


class _Course(Enum):
    """Where a value has gone since its anchor."""

    NEAR = auto()
    UNSURE = (
        auto()
    )  # it is beyond the threshold and has not stood there long enough, or is older than what was told
    MOVED = auto()
    ELSEWHERE = (
        auto()
    )  # another stream that was never near what was told: its values cannot be compared with it


def _course(scene: Scene, seen: Observation, anchor: State) -> _Course:
    """Whether a value is further from its anchor than the threshold, and has been for as long as it must."""
    rules, start, told_at = scene.settings.alerts, log_odds(anchor["p"]), parse_utc(anchor["at"])

    def beyond(one: Snapshot) -> float:
        return 0.0 if one.probability is None else log_odds(one.probability) - start

    def far(one: Snapshot, side: float) -> bool:
        return side * beyond(one) >= rules.move_log_odds - ROUNDING

    now = beyond(seen.snapshot)
    side = math.copysign(1.0, now)
    if not far(seen.snapshot, side):
        return _Course.NEAR
    same = _stream(seen.snapshot.key) == anchor["stream"]
    if seen.snapshot.as_of < told_at or (seen.snapshot.as_of == told_at and not same):
        return _Course.UNSURE
    history = [one.snapshot for one in scene.history(seen.snapshot.key)]
    past = [one for one in history if one.state is ValueState.OK]
    if not same and all(far(one, side) for one in _standing_since(past, told_at)):
        return _Course.ELSEWHERE
    since = scene.at - timedelta(hours=rules.move_hold_hours)
    stood = _standing_since(past, since)
    held = stood[0].as_of <= since and all(far(one, side) for one in stood)
    return _Course.MOVED if held else _Course.UNSURE


def _standing_since(past: Sequence[Snapshot], since: datetime) -> list[Snapshot]:
    """The value that stood at an instant, if there was one, and all after it."""
    before = [one for one in past if one.as_of <= since]
    return [*before[-1:], *(one for one in past if one.as_of > since)]


def _alert(
    scene: Scene,
    name: Name,
    signal: str,
    seen: Observation,
    anchor: State,
    backing: _Backing,
) -> Alert:
    one, rules = seen.snapshot, scene.settings.alerts
    assert one.probability is not None
    before, after = float(anchor["p"]), one.probability
    moved = log_odds(after) - log_odds(before)
    start = Exhibit(
        "value",
        f"{one.key.source}:{one.key.platform}",
        key=f"{one.key.external_id}:{one.key.outcome}",
        metric=one.key.quantity.value,
        at=anchor["at"],
        published=anchor["seen"],
        value=before,
        payload_sha256=anchor["payload"],
    )
    backed = f", {backing.forecasters} forecasters" if backing.forecasters is not None else ""
    return Alert(
        signal,
        scene.at,
        "move",
        "up" if moved > 0 else "down",
        before=percent(before),
        after=percent(after),
        text=f"log-odds {moved:+.2f} since {_day(anchor['at'])} ({one.key.source}{backed})",
        size=abs(moved),
        rule={"log_odds": rules.move_log_odds, "hold_hours": rules.move_hold_hours},
        evidence=(start, exhibit_of(seen)),
        **scene.about(name),
    )


def as_one(first: Alert, last: Alert) -> Alert | None:
    """Several moves of one question as one, from the first's start to the last's end; None when it is too small."""
    start, end = first.evidence[0], last.evidence[1]
    if start.key != end.key or start.value is None or end.value is None:
        return last
    moved = log_odds(end.value) - log_odds(start.value)
    if abs(moved) < last.rule["log_odds"] - ROUNDING:
        return None
    return replace(
        last,
        direction="up" if moved > 0 else "down",
        before=percent(start.value),
        text=f"log-odds {moved:+.2f} since {_day(start.at)} ({end.source.partition(':')[0]})",
        size=abs(moved),
        evidence=(start, end),
    )


def _day(moment: str) -> str:
    return f"{datetime.fromisoformat(moment):%Y-%m-%d}"


def percent(probability: float) -> str:
    """
    >>> [percent(p) for p in (0.42, 0.0042, 0.999)]
    ['42%', '0.4%', '99.9%']
    """
    return f"{probability:.0%}" if 0.02 <= probability <= 0.98 else f"{probability:.1%}"
