"""Which questions moved by more than they usually do.

A change is measured in log-odds and divided by the standard deviation of the question's own weekly changes before
it: z = (logit p now - logit p a week ago) / s. With few weeks known, s leans on what questions of the same kind
usually do: s^2 = (4 s0^2 + sum of d^2) / (4 + m) from m weekly changes d, s0 being the median of the kind. The
mean change is taken as 0, which is what it is for whoever forecasts well.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from questions.model import Link
from questions.records import Quantity, StreamKey, ValueState
from storage.records import Observation
from storage.store import Store
from tracker.digest.period import WEEK, Period
from tracker.estimates.market import OWN

NOISE_WEEKS = 13
PRIOR_WEEKS = 4.0  # what the kind's usual noise weighs, in weeks
USUAL_NOISE = 0.25  # log-odds a week where nothing of a kind is known
LEAST_NOISE = 0.05
STANDS = timedelta(days=10)  # a value not confirmed for longer no longer stands
LEAST_Z, LEAST_CHANGE = 2.0, 0.02
ENDS = 0.001  # probabilities are kept this far from 0 and 1

LinkKey = tuple[str, str, str]


@dataclass(frozen=True)
class Move:
    """What a followed stream did in the week."""

    key: StreamKey
    previous: Observation
    now: Observation
    z: float
    weeks: int

    @property
    def change(self) -> float:
        return chance(self.now) - chance(self.previous)

    @property
    def odds(self) -> float:
        """The change in log-odds."""
        return log_odds(chance(self.now)) - log_odds(chance(self.previous))

    @property
    def notable(self) -> bool:
        return abs(self.z) >= LEAST_Z and abs(self.change) >= LEAST_CHANGE


def chance(seen: Observation) -> float:
    """The probability of an observation that ``standing`` let through."""
    assert seen.snapshot.probability is not None
    return seen.snapshot.probability


def raws_of(*seen: Observation | None) -> tuple[str, ...]:
    """SHA-256 of the payloads that observations were read from, each once."""
    named = (one.snapshot.payload_sha256 for one in seen if one is not None)
    return tuple(dict.fromkeys(sha256 for sha256 in named if sha256))


def log_odds(probability: float) -> float:
    """ln(p / (1 - p)), the ends kept off."""
    kept = min(max(probability, ENDS), 1.0 - ENDS)
    return math.log(kept / (1.0 - kept))


def standing(seen: Observation | None, at: datetime) -> bool:
    """Whether an observation is a probability that still stood at a time."""
    if seen is None or seen.snapshot.state is not ValueState.OK or seen.snapshot.probability is None:
        return False
    return at - max(seen.snapshot.as_of, seen.seen_last) <= STANDS


def followed(store: Store, links: Iterable[Link]) -> list[StreamKey]:
    """The stored streams of linked questions; what people entered is theirs to compare, not a platform's."""
    wanted = {link.key for link in links}
    return [
        key
        for key in store.streams()
        if (key.platform, key.external_id, key.outcome) in wanted and key.quantity not in OWN
    ]


def nearest(seen: Mapping[StreamKey, Observation], at: datetime) -> dict[LinkKey, Observation]:
    """One standing value an outcome: from the platform itself, a quote before a last trade, the freshest."""
    best: dict[LinkKey, Observation] = {}

    def rank(one: Observation) -> tuple[bool, bool, datetime, StreamKey]:
        key = one.snapshot.key
        fresh = max(one.snapshot.as_of, one.seen_last)
        return key.source == key.platform, key.quantity is not Quantity.REAL_MONEY_LAST, fresh, key

    for key, one in seen.items():
        name = (key.platform, key.external_id, key.outcome)
        if standing(one, at) and (name not in best or rank(one) > rank(best[name])):
            best[name] = one
    return best


def moves(
    store: Store, streams: Sequence[StreamKey], now: Mapping[LinkKey, Observation], period: Period
) -> tuple[list[Move], int]:
    """The followed questions that moved, by size of z, and how many could have: what was not known a week ago did
    not move."""
    before = store.latest(streams, known_at=period.since)
    pairs = [
        (before[one.snapshot.key], one)
        for one in now.values()
        if standing(before.get(one.snapshot.key), period.since)
    ]
    changed = [(then, one) for then, one in pairs if abs(chance(one) - chance(then)) >= LEAST_CHANGE]
    noise = _noise(store, [one.snapshot.key for _, one in changed], period)
    found = []
    for then, one in changed:
        sd, weeks = noise[one.snapshot.key]
        z = (log_odds(chance(one)) - log_odds(chance(then))) / sd
        found.append(Move(one.snapshot.key, then, one, z, weeks))
    return sorted(found, key=lambda move: (-abs(move.z), move.key)), len(pairs)


def _noise(store: Store, keys: Sequence[StreamKey], period: Period) -> dict[StreamKey, tuple[float, int]]:
    """Each stream's sd of weekly changes in log-odds before the week, and from how many changes."""
    if not keys:
        return {}
    anchors = [period.since - back * WEEK for back in range(NOISE_WEEKS + 1)]
    values: dict[StreamKey, list[float | None]] = defaultdict(list)
    for at in anchors:
        then = store.latest(keys, known_at=at)
        for key in keys:
            seen = then.get(key)
            values[key].append(log_odds(chance(seen)) if seen is not None and standing(seen, at) else None)
    changes = {key: _changes(values[key]) for key in keys}
    usual = _usual(changes)
    return {key: (_shrunk(changes[key], usual[key.quantity]), len(changes[key])) for key in keys}


def _changes(values: Sequence[float | None]) -> list[float]:
    pairs = pairwise(values)
    return [new - old for new, old in pairs if new is not None and old is not None]


def _usual(changes: Mapping[StreamKey, Sequence[float]]) -> dict[Quantity, float]:
    """By kind of value the median sd of those with enough weeks."""
    sds: dict[Quantity, list[float]] = {key.quantity: [] for key in changes}
    for key, own in changes.items():
        if len(own) >= PRIOR_WEEKS:
            sds[key.quantity].append(math.sqrt(sum(d * d for d in own) / len(own)))
    return {kind: max(median(own), LEAST_NOISE) if own else USUAL_NOISE for kind, own in sds.items()}


def _shrunk(changes: Sequence[float], usual: float) -> float:
    total = PRIOR_WEEKS * usual**2 + sum(d * d for d in changes)
    return max(math.sqrt(total / (PRIOR_WEEKS + len(changes))), LEAST_NOISE)
