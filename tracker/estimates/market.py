"""What community forecasts imply about the order of the areas.

The method. A linked question asks whether an event (for an area: "the faster outcome") happens by a
deadline. Its probability p, standing at some moment, becomes a constant hazard h = -ln(1 - p) / T with T
years from that moment to the deadline; so questions with different deadlines meet on one scale. An
area's log hazard is the weighted mean of its questions' log hazards, each believed to differ from the
area's own by N(0, ``proxy_log_sd`` / sqrt(weight)); hence the pooled variance proxy_log_sd^2 / sum of
weights. Given hazards, areas race as independent exponential clocks:
P(a before b) = h_a / (h_a + h_b) (competing risks), averaged over draws of the hazards.

Its weakness, plainly. The questions ask for events of different difficulty: a benchmark passed in one
area and a lab's announcement in another are not the same finishing line, and the order of hazards is
partly the order of how hard the questions are. ``proxy_log_sd`` = 1 (a factor e) stands for that by
declaration, not by measurement. Hazards are not constant; clocks are not independent, as general progress
drives all areas (which would make the order firmer than shown); several deadlines of one event count as
if they were several events (which makes it look firmer than it is); a long-dated low price is rather an
upper bound than an estimate. Read the order together with the list of evidence.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from questions.model import Link, Relation
from questions.records import Quantity, Snapshot, ValueState
from questions.time import utc
from storage.records import Observation
from tracker.errors import UsageError
from tracker.estimates.ordering import generator, voice_from_draws
from tracker.estimates.voice import Evidence, Voice

MODEL = "constant-hazard-1"
YEAR = timedelta(days=365.25)
MIN_PROBABILITY, MAX_PROBABILITY = 0.005, 0.995
MIN_HORIZON = timedelta(days=1)


@dataclass(frozen=True)
class Reading:
    """One link's current value as evidence: the hazard it implies and how much it counts.

    ``probability`` is the platform's own; ``p_faster`` what it says of the faster outcome (turned round
    for polarity -1, clipped); ``log_hazard`` is ln(1/year); ``as_of`` is when the value last stood.
    """

    link: Link
    snapshot: Snapshot
    as_of: datetime
    probability: float
    p_faster: float
    clipped: bool
    horizon_years: float
    log_hazard: float
    weight: float


@dataclass(frozen=True)
class Skipped:
    """A link that gives no evidence now, and why (a short, stable phrase)."""

    link: Link
    reason: str


def read_links(
    links: Iterable[Link],
    observations: Iterable[Observation],
    *,
    now: datetime,
    max_age_days: float = 45.0,
    max_spread: float = 0.10,
    quantity_weights: Mapping[Quantity, float] | None = None,
    resolved: Collection[tuple[str, str, str]] = (),
) -> tuple[list[Reading], list[Skipped]]:
    """What each link's question says now, or why it says nothing. Links of relation context are neither.

    ``observations``: the newest of every stream. A value counts from the source's own time, else from
    when it was last seen to stand; the freshest usable one of a question is taken once, whichever
    source brought it. Not usable: another state than ok, no probability, older than ``max_age_days``,
    a spread above ``max_spread``, a quantity of weight 0. Weight = link weight * quantity weight
    (default 1 for every quantity). ``resolved`` holds (platform, external_id, outcome) of what is settled.
    """
    moment = utc(now)
    limits = _Limits(moment, timedelta(days=max_age_days), max_spread, quantity_weights or {})
    values: dict[tuple[str, str, str], list[Observation]] = {}
    for observation in observations:
        key = observation.snapshot.key
        values.setdefault((key.platform, key.external_id, key.outcome), []).append(observation)
    readings, skipped = [], []
    for link in links:
        if link.relation is Relation.CONTEXT:
            continue
        found = "already resolved" if link.key in resolved else _read(link, values.get(link.key, ()), limits)
        if isinstance(found, Reading):
            readings.append(found)
        else:
            skipped.append(Skipped(link, found))
    return readings, skipped


def market_voice(
    links: Iterable[Link],
    observations: Iterable[Observation],
    *,
    now: datetime,
    draws: int = 50_000,
    seed: int,
    groups: Mapping[str, str],
    max_age_days: float = 45.0,
    max_spread: float = 0.10,
    proxy_log_sd: float = 1.0,
    quantity_weights: Mapping[Quantity, float] | None = None,
    resolved: Collection[tuple[str, str, str]] = (),
) -> Voice:
    """The order of the areas that community forecasts imply; the module's text has formula and limits.

    Scores are pooled log hazards, ln(1/year). Covered are the areas of ``groups`` with evidence, in the
    order of ``groups``; without any, the voice has a reason instead. ``evidence`` lists every used
    link once per area. The other arguments are those of ``read_links``. Draws are minus the log of the
    time to the event, so they hold both the doubt about hazards and the luck of the clocks.
    """
    if draws < 1:
        raise UsageError(f"draws must be 1 or more, got {draws}")
    if not (math.isfinite(proxy_log_sd) and proxy_log_sd >= 0):
        raise UsageError(f"proxy_log_sd must be 0 or more, got {proxy_log_sd}")
    readings, skipped = read_links(
        links,
        observations,
        now=now,
        max_age_days=max_age_days,
        max_spread=max_spread,
        quantity_weights=quantity_weights,
        resolved=resolved,
    )
    by_area = _by_area(readings, groups)
    if not by_area:
        return Voice(name="market", model=MODEL, reason=_silence(readings, skipped))
    means, sds = _pool(by_area, proxy_log_sd)
    random = generator(seed)
    hazards = means + sds * random.standard_normal((draws, len(means)))
    times = np.log(random.standard_exponential(hazards.shape)) - hazards
    return voice_from_draws(
        name="market",
        model=MODEL,
        scores=dict(zip(by_area, means.tolist(), strict=True)),
        draws=-times,
        groups=groups,
        p_before=_race(hazards),
        evidence=[item for area, used in by_area.items() for item in _evidence(area, used)],
        note=_note(by_area, readings, skipped, proxy_log_sd),
    )


# One link ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Limits:
    now: datetime
    max_age: timedelta
    max_spread: float
    quantity_weights: Mapping[Quantity, float]

    def weight(self, snapshot: Snapshot) -> float:
        return self.quantity_weights.get(snapshot.key.quantity, 1.0)

    def stood_at(self, observation: Observation) -> datetime:
        """When the value last stood: the source's time, else our last look; never in the future."""
        snapshot = observation.snapshot
        return min(snapshot.as_of if snapshot.timed_by_source else observation.seen_last, self.now)

    def refusal(self, observation: Observation) -> str | None:
        """Why a value cannot be used, or None."""
        snapshot = observation.snapshot
        if snapshot.state is not ValueState.OK:
            return f"no value ({snapshot.state.value})"
        if snapshot.probability is None:
            return "no probability"
        if self.now - self.stood_at(observation) > self.max_age:
            return "too old"
        if snapshot.spread is not None and snapshot.spread > self.max_spread:
            return "spread too wide"
        if not self.weight(snapshot) > 0:
            return "quantity not used"
        return None


def _read(link: Link, observations: Sequence[Observation], limits: _Limits) -> Reading | str:
    if not link.areas:
        return "no area"
    if link.by is None:
        return "no deadline"
    if link.by - limits.now < MIN_HORIZON:
        return "deadline passed"
    if not observations:
        return "never seen"
    newest_first = sorted(observations, key=limits.stood_at, reverse=True)
    refusals = [limits.refusal(observation) for observation in newest_first]
    if None not in refusals:
        return refusals[0] or ""
    usable = newest_first[refusals.index(None)]
    return _reading(link, link.by, usable, limits)


def _reading(link: Link, by: datetime, observation: Observation, limits: _Limits) -> Reading:
    snapshot = observation.snapshot
    assert snapshot.probability is not None
    faster = snapshot.probability if link.polarity == 1 else 1.0 - snapshot.probability
    clipped = min(max(faster, MIN_PROBABILITY), MAX_PROBABILITY)
    as_of = limits.stood_at(observation)
    years = (by - as_of) / YEAR
    return Reading(
        link=link,
        snapshot=snapshot,
        as_of=as_of,
        probability=snapshot.probability,
        p_faster=clipped,
        clipped=clipped != faster,
        horizon_years=years,
        log_hazard=math.log(-math.log1p(-clipped) / years),
        weight=link.weight * limits.weight(snapshot),
    )


# All areas --------------------------------------------------------------------------------------------


def _by_area(readings: Sequence[Reading], groups: Mapping[str, str]) -> dict[str, list[Reading]]:
    found = {area: [reading for reading in readings if area in reading.link.areas] for area in groups}
    return {area: used for area, used in found.items() if used}


def _pool(
    by_area: Mapping[str, Sequence[Reading]], proxy_log_sd: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Per area the weighted mean log hazard and its sd, proxy_log_sd / sqrt(sum of weights)."""
    weights = [sum(reading.weight for reading in used) for used in by_area.values()]
    sums = [sum(reading.weight * reading.log_hazard for reading in used) for used in by_area.values()]
    total = np.array(weights)
    return np.array(sums) / total, proxy_log_sd / np.sqrt(total)


def _race(log_hazards: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(row's clock rings before column's), (k, k): mean over draws of h_i / (h_i + h_j)."""
    columns = np.ascontiguousarray(log_hazards.T)
    count = len(columns)
    before = np.full((count, count), 0.5)
    for i in range(count):
        for j in range(i + 1, count):
            # tanh never overflows: h_i / (h_i + h_j) = (1 + tanh((ln h_i - ln h_j) / 2)) / 2
            before[i, j] = 0.5 + 0.5 * float(np.tanh((columns[i] - columns[j]) / 2.0).mean())
            before[j, i] = 1.0 - before[i, j]
    return before


def _evidence(area: str, used: Sequence[Reading]) -> list[Evidence]:
    return [
        Evidence(
            area=area,
            question=_question(reading.link),
            source=reading.snapshot.key.source,
            relation=reading.link.relation.value,
            weight=reading.weight,
            probability=reading.probability,
            as_of=reading.as_of,
            label=reading.link.label,
        )
        for reading in used
    ]


def _question(link: Link) -> str:
    name = f"{link.platform}:{link.external_id}"
    return name if link.outcome == "yes" else f"{name}:{link.outcome}"


def _note(
    by_area: Mapping[str, Sequence[Reading]],
    readings: Sequence[Reading],
    skipped: Sequence[Skipped],
    proxy_log_sd: float,
) -> str:
    clipped = sum(reading.clipped for reading in readings)
    parts = [
        f"{len(readings)} questions on {len(by_area)} areas, as log hazards per year pooled by link weight "
        f"(times quantity weight), each proxy off by N(0, {proxy_log_sd:g} / sqrt(weight)).",
        "They ask for events of different difficulty: read the order with its evidence.",
    ]
    if clipped:
        parts.append(f"{clipped} probabilities clipped to {MIN_PROBABILITY:g}..{MAX_PROBABILITY:g}.")
    if skipped:
        parts.append(f"Not used: {_reasons(skipped)}.")
    return " ".join(parts)


def _silence(readings: Sequence[Reading], skipped: Sequence[Skipped]) -> str:
    if readings:
        return "no linked question bears on these areas"
    return f"no usable value: {_reasons(skipped)}" if skipped else "no linked questions"


def _reasons(skipped: Sequence[Skipped]) -> str:
    counts = Counter(item.reason for item in skipped)
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
