"""What community forecasts imply about the order of the areas.

The method. A linked question asks whether an event (for an area: "the faster outcome") happens by a
deadline. Its price is read by what it pays; twins (one event on several platforms) are pooled in log-odds;
rungs of one ladder are put in order. The probability p then becomes a constant hazard h = -ln(1 - p) / T with
T years from the moment the value stood to the deadline; so questions with different deadlines meet on one
scale. An area's log hazard is the weighted mean of its questions' log hazards, each believed to differ from
the area's own by N(0, ``proxy_log_sd`` / sqrt(weight)). Real money tied up for years widens that by the
carry band's width / sqrt(12). Given hazards, areas race as independent exponential clocks:
P(a before b) = h_a / (h_a + h_b) (competing risks), averaged over draws of the hazards.

A question that tells several dates (a ladder of deadlines, answers that are dates, a distribution) is a curve of the
cumulative hazard (``curves``), pooled with the others at every time; an area with one races by its curve, with the
mass that is said never to come as neither. Its score stays the mean log hazard over the dates asked about.

Its weakness, plainly. The questions ask for events of different difficulty: a benchmark passed in one
area and a lab's announcement in another are not the same finishing line, and the order of hazards is
partly the order of how hard the questions are. ``proxy_log_sd`` = 1 (a factor e) stands for that by
declaration, not by measurement. Hazards are not constant; clocks are not independent, as general progress
drives all areas (``Voice.marginals`` and ``races`` tell what that would change). Read the order together with
the list of evidence.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from questions.model import Link, Platform, Relation, Transform
from questions.records import Distribution, Quantity, Snapshot, StreamKey, ValueState
from questions.time import utc
from storage.records import Observation
from tracker.errors import UsageError
from tracker.estimates.curves import (
    GRID,
    Curve,
    chance_by,
    from_buckets,
    interval,
    log_times,
    pooled,
    race,
)
from tracker.estimates.ordering import generator, voice_from_draws
from tracker.estimates.prices import (
    CARRY_RATE,
    MAX_PROBABILITY,
    MIN_PROBABILITY,
    Kind,
    Quality,
    carry_band,
    kind_of,
    monotone,
    pool_log_odds,
    read_price,
)
from tracker.estimates.races import DateCdf
from tracker.estimates.voice import Evidence, Voice

MODEL = "hazard-3"
YEAR = timedelta(days=365.25)
MIN_HORIZON = timedelta(days=1)
HORIZON_YEARS = 30.0
SAME_TIME = timedelta(days=1)
OWN = (Quantity.PANEL_MEDIAN, Quantity.TEAM_MEAN)  # people's forecasts entered or shared with us: the panel's

Earlier = Callable[[StreamKey, datetime], Observation | None]


@dataclass(frozen=True)
class Reading:
    """One link's current value as evidence: the hazard it implies and how much it counts.

    ``probability`` is the platform's own; ``p_faster`` what it says of the faster outcome (as paid, turned
    round for polarity -1, pooled with its twins, put on its ladder, clipped); ``log_hazard`` is ln(1/year);
    ``as_of`` is when the value last stood by the source's word, ``seen_last`` by our own look. ``low`` and
    ``high`` bound what the price can stand for; ``band_log_sd`` is what that adds to the doubt about the log
    hazard. ``curve``: what the question says of all its dates, where it says more than one.
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
    kind: Kind
    low: float
    high: float
    seen_last: datetime
    band_log_sd: float = 0.0
    curve: Curve | None = None


ReadBefore = dict[tuple[int, datetime, tuple[int, ...]], tuple["Reading | str", Link, Sequence[Observation]]]
"""Readings by link, time and observations, by identity; holds on to them, so that no other gets their identity."""


@dataclass(frozen=True)
class Skipped:
    """A link that gives no evidence now, and why (a short, stable phrase); its newest value, if any."""

    link: Link
    reason: str
    snapshot: Snapshot | None = None
    kind: Kind | None = None


@dataclass(frozen=True)
class Rules:
    """How values are read. ``quantity_weights``: default 1 for every quantity. ``platforms``: what their
    prices pay and are made of. ``carry_rate``: yearly return that tied-up real money asks for."""

    max_age_days: float = 45.0
    max_spread: float = 0.10
    quantity_weights: Mapping[Quantity, float] | None = None
    quality: Quality | None = None
    carry_rate: float = CARRY_RATE
    platforms: Mapping[str, Platform] | None = None


def read_links(
    links: Iterable[Link],
    observations: Iterable[Observation],
    *,
    now: datetime,
    rules: Rules | None = None,
    resolved: Collection[tuple[str, str, str]] = (),
    earlier: Earlier | None = None,
    read_before: ReadBefore | None = None,
) -> tuple[list[Reading], list[Skipped]]:
    """What each link's question says now, or why it says nothing. Links of relation context are neither.

    ``observations``: the newest of every stream. A value counts from the source's own time, else from
    when it was last seen to stand; quotes go before last trades, then the freshest usable one of a
    question is taken once, whichever source brought it. Not usable: another state than ok, no probability, a
    price that pays something else, older than ``max_age_days``, a spread above ``max_spread`` or a last trade
    without a quote (illiquid), a quantity of weight 0. Weight = link weight * quantity weight * quality.
    ``resolved`` holds (platform, external_id, outcome) of what is settled. ``earlier`` finds what stood on
    a stream at a time, so that rungs of a ladder are compared at one moment. ``read_before``: what was made of the same
    links and observations under the same rules, for a caller who asks again with few of them changed; added to here.
    """
    read = {} if read_before is None else read_before
    limits = _Limits(utc(now), rules or Rules())
    values: dict[tuple[str, str, str], list[Observation]] = {}
    for observation in observations:
        key = observation.snapshot.key
        values.setdefault((key.platform, key.external_id, key.outcome), []).append(observation)
    readings: list[Reading] = []
    skipped = []
    for link in links:
        if link.relation is Relation.CONTEXT:
            continue
        seen = values.get(link.key, ())
        same = (id(link), limits.now, tuple(map(id, seen)))
        if link.key in resolved:
            found: Reading | str = "already resolved"
        elif same in read:
            found = read[same][0]
        else:
            found = _read(link, seen, limits)
            read[same] = (found, link, seen)
        if isinstance(found, Reading):
            readings.append(found)
        else:
            newest = max(seen, key=limits.stood_at).snapshot if seen else None
            kind = None if newest is None else limits.kind(newest)
            skipped.append(Skipped(link, found, newest, kind))
    readings, broken = _of_buckets(readings, skipped, limits, earlier)
    return _on_ladders(_pooled_twins(readings), limits, earlier), [*skipped, *broken]


def market_voice(
    links: Iterable[Link],
    observations: Iterable[Observation],
    *,
    now: datetime,
    draws: int = 50_000,
    seed: int,
    groups: Mapping[str, str],
    proxy_log_sd: float = 1.0,
    rules: Rules | None = None,
    resolved: Collection[tuple[str, str, str]] = (),
    earlier: Earlier | None = None,
) -> Voice:
    """The order of the areas that community forecasts imply; the module's text has formula and limits.

    Scores are pooled log hazards, ln(1/year). Covered are the areas of ``groups`` with evidence, in the
    order of ``groups``; without any, the voice has a reason instead. ``evidence`` lists every used
    link once per area, ``unused`` every value that bears on an area and has no weight now. The other
    arguments are those of ``read_links``. Draws are minus the log of the time to the event, so they hold
    both the doubt about hazards and the luck of the clocks.
    """
    if draws < 1:
        raise UsageError(f"draws must be 1 or more, got {draws}")
    if not (math.isfinite(proxy_log_sd) and proxy_log_sd >= 0):
        raise UsageError(f"proxy_log_sd must be 0 or more, got {proxy_log_sd}")
    chosen = rules or Rules()
    newest = list(observations)
    wanted = list(links)
    readings, skipped = read_links(wanted, newest, now=now, rules=chosen, resolved=resolved, earlier=earlier)
    by_area = _by_area(readings, groups)
    unused = _unused(skipped, groups)
    if not by_area:
        return Voice(name="market", model=MODEL, reason=_silence(readings, skipped), unused=unused)
    means, sds = _pool(by_area, proxy_log_sd)
    curves = _curves(by_area, proxy_log_sd)
    random = generator(seed)
    noise = sds * random.standard_normal((draws, len(means)))
    luck = random.standard_exponential(noise.shape)
    times = np.log(luck) - (means + noise)
    for place, logs in curves.items():
        times[:, place] = log_times(logs, luck[:, place] * np.exp(-noise[:, place]))
    before, spans = _race(means + noise), _pair_intervals(tuple(by_area), means, sds)
    _race_curves(tuple(by_area), curves, means, sds, before, spans)
    voice = voice_from_draws(
        name="market",
        model=MODEL,
        scores=dict(zip(by_area, means.tolist(), strict=True)),
        draws=-times,
        groups=groups,
        p_before=before,
        evidence=[item for area, used in by_area.items() for item in _evidence(area, used)],
        unused=unused,
        marginals=_marginals(by_area, curves, means, sds),
        note=_note(by_area, readings, skipped, proxy_log_sd),
    )
    return replace(voice, score_sds=dict(zip(by_area, sds.tolist(), strict=True)), p_before_ci90=spans)


def _pair_intervals(
    areas: Sequence[str], means: NDArray[np.float64], sds: NDArray[np.float64]
) -> dict[str, dict[str, tuple[float, float]]]:
    """90% interval of h_a / (h_a + h_b), the log hazards being normal and independent."""
    return {
        one: {
            two: (_logistic(means[i] - means[j] - reach), _logistic(means[i] - means[j] + reach))
            for j, two in enumerate(areas)
            if j != i
            for reach in (1.6448536269514722 * math.hypot(sds[i], sds[j]),)
        }
        for i, one in enumerate(areas)
    }


def _logistic(odds: float) -> float:
    return 0.5 + 0.5 * math.tanh(odds / 2.0)


def pooled_hazards(
    readings: Sequence[Reading], groups: Mapping[str, str], proxy_log_sd: float = 1.0
) -> dict[str, tuple[float, float]]:
    """Per covered area the pooled log hazard, ln(1/year), and its standard deviation."""
    by_area = _by_area(readings, groups)
    if not by_area:
        return {}
    means, sds = _pool(by_area, proxy_log_sd)
    return dict(zip(by_area, zip(means.tolist(), sds.tolist(), strict=True), strict=True))


def pooled_by_kind(
    readings: Sequence[Reading], groups: Mapping[str, str]
) -> dict[str, dict[str, tuple[float, float]]]:
    """Pooled log hazards per kind of value (real money, play money, forecasters), each by itself."""
    return {
        kind: pooled_hazards([reading for reading in readings if reading.kind == kind], groups)
        for kind in dict.fromkeys(reading.kind for reading in readings)
    }


def settings_matter(
    read: Callable[[Quality], Sequence[Reading]], quality: Quality, groups: Mapping[str, str]
) -> float:
    """The most that halving or doubling a setting of ``quality`` moves an area's pooled chance within five
    years (0..1), ``read`` giving the readings under other settings: above 0.01 the order leans on them."""
    base, *others = (
        {
            area: -math.expm1(-5.0 * math.exp(mean))
            for area, (mean, _) in pooled_hazards(read(one), groups).items()
        }
        for one in (quality, *quality.alternatives())
    )
    return max((abs(other[area] - base[area]) for other in others for area in base), default=0.0)


# One link ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Limits:
    now: datetime
    rules: Rules

    def kind(self, snapshot: Snapshot) -> Kind:
        platform = (self.rules.platforms or {}).get(snapshot.key.platform)
        return kind_of(snapshot.key.quantity, platform.money if platform else None)

    def transform(self, link: Link) -> Transform:
        platform = (self.rules.platforms or {}).get(link.platform)
        return link.transform or (platform.transform if platform else Transform.IDENTITY)

    def weight(self, snapshot: Snapshot) -> float:
        return (self.rules.quantity_weights or {}).get(snapshot.key.quantity, 1.0)

    def quality(self, snapshot: Snapshot, as_of: datetime) -> float:
        if self.rules.quality is None:
            return 1.0
        age_days = (self.now - as_of) / timedelta(days=1)
        return self.rules.quality.weight(snapshot, age_days, self.kind(snapshot))

    def stood_at(self, observation: Observation) -> datetime:
        """When the value last stood: the source's time, else our last look; never in the future."""
        snapshot = observation.snapshot
        return min(snapshot.as_of if snapshot.timed_by_source else observation.seen_last, self.now)

    def preference(self, observation: Observation) -> tuple[bool, datetime]:
        """Quotes before last trades, then the freshest."""
        return observation.snapshot.key.quantity is not Quantity.REAL_MONEY_LAST, self.stood_at(observation)

    def refusal(self, link: Link, observation: Observation) -> str | None:
        """Why a value cannot be used, or None."""
        snapshot = observation.snapshot
        if snapshot.state is not ValueState.OK:
            return f"no value ({snapshot.state.value})"
        if _raw(link, snapshot) is None:
            return "no probability"
        if self.now - self.stood_at(observation) > timedelta(days=self.rules.max_age_days):
            return "too old"
        if snapshot.spread is not None and snapshot.spread > self.rules.max_spread:
            return "spread too wide"
        if snapshot.key.quantity is Quantity.REAL_MONEY_LAST:
            return "last trade without a quote"
        if not self.weight(snapshot) > 0:
            return "quantity not used"
        if not self.quality(snapshot, self.stood_at(observation)) > 0:
            return "no liquidity"
        return None


def _raw(link: Link, snapshot: Snapshot) -> float | None:
    """The value's probability: as it stands, or of its date distribution by the link's deadline (or its end)."""
    distribution = snapshot.distribution
    if snapshot.probability is not None or distribution is None:
        return snapshot.probability
    if link.by is None:
        return distribution.cdf[-1] if distribution.unit == "date" else None
    return _by(distribution, link.by)


def _end(link: Link, snapshot: Snapshot) -> datetime | None:
    """The last date a value speaks of: the link's deadline, else the end of its distribution of dates."""
    told = snapshot.distribution
    if link.by is not None or told is None or told.unit != "date":
        return link.by
    return datetime.fromtimestamp(told.x[-1], tz=UTC)


def _told_curve(link: Link, snapshot: Snapshot, as_of: datetime) -> Curve | None:
    """A whole distribution of dates as a curve from when it stood, given that it had not happened by then."""
    told = snapshot.distribution
    if snapshot.probability is not None or told is None or told.unit != "date" or link.polarity != 1:
        return None
    begin = as_of.timestamp()
    already = float(np.interp(begin, told.x, told.cdf, left=0.0))
    ahead = [
        ((x - begin) / YEAR.total_seconds(), min((p - already) / (1.0 - already), 1.0))
        for x, p in zip(told.x, told.cdf, strict=True)
        if x > begin and already < 1.0
    ]
    if not ahead:
        return None
    times, cdf = zip(*ahead, strict=True)
    return Curve(times, cdf)


def _by(distribution: Distribution, by: datetime) -> float | None:
    """P(date <= by) of a distribution of dates; None beyond its range or for another unit."""
    moment = by.timestamp()
    if distribution.unit != "date" or not distribution.x[0] <= moment <= distribution.x[-1]:
        return None
    return float(np.interp(moment, distribution.x, distribution.cdf))


def _read(link: Link, observations: Sequence[Observation], limits: _Limits) -> Reading | str:
    if not link.areas:
        return "no area"
    if link.bucket is None and link.by is not None and link.by - limits.now < MIN_HORIZON:
        return "deadline passed"
    if not observations:
        return "no deadline" if link.by is None and link.bucket is None else "never seen"
    best_first = sorted(observations, key=limits.preference, reverse=True)
    refusals = [limits.refusal(link, observation) for observation in best_first]
    if None not in refusals:
        return refusals[0] or ""
    chosen = best_first[refusals.index(None)]
    by = _end(link, chosen.snapshot)
    if link.bucket is not None:
        return _reading(link, by or limits.now + YEAR, chosen, limits)
    if by is None:
        return "no deadline"
    return "deadline passed" if by - limits.now < MIN_HORIZON else _reading(link, by, chosen, limits)


def _reading(link: Link, by: datetime, observation: Observation, limits: _Limits) -> Reading | str:
    snapshot = observation.snapshot
    raw = _raw(link, snapshot)
    assert raw is not None
    price = read_price(raw, limits.transform(link))
    if price.value is None:
        return price.note
    as_of, kind = limits.stood_at(observation), limits.kind(snapshot)
    years = (by - as_of) / YEAR
    low, high = price.low, price.high
    if kind == "real_money":
        low, high = carry_band(price.value, (by - limits.now) / YEAR, limits.rules.carry_rate)
    if link.polarity == -1:
        low, high = 1.0 - high, 1.0 - low
    reading = Reading(
        link=link,
        snapshot=snapshot,
        as_of=as_of,
        probability=raw,
        p_faster=0.5,
        clipped=False,
        horizon_years=years,
        log_hazard=0.0,
        weight=link.weight * limits.weight(snapshot) * limits.quality(snapshot, as_of),
        kind=kind,
        low=low,
        high=high,
        seen_last=min(observation.seen_last, limits.now),
        band_log_sd=0.0
        if low == high
        else (_log_hazard(high, years) - _log_hazard(low, years)) / math.sqrt(12),
    )
    found = _at(reading, price.value if link.polarity == 1 else 1.0 - price.value)
    curve = _told_curve(link, snapshot, as_of)
    if curve is None:
        return found
    return replace(found, curve=curve, log_hazard=curve.log_hazard if link.by is None else found.log_hazard)


def _clip(probability: float) -> float:
    return min(max(probability, MIN_PROBABILITY), MAX_PROBABILITY)


def _log_hazard(probability: float, years: float) -> float:
    return math.log(-math.log1p(-_clip(probability)) / years)


def _at(reading: Reading, faster: float) -> Reading:
    """The reading with another probability of the faster outcome."""
    clipped = _clip(faster)
    return replace(
        reading,
        p_faster=clipped,
        clipped=reading.clipped or clipped != faster,
        log_hazard=_log_hazard(clipped, reading.horizon_years),
    )


# Several links, one question --------------------------------------------------------------------------


def _pooled_twins(readings: Sequence[Reading]) -> list[Reading]:
    """Twins get one probability, pooled in log-odds by quality, and share one question's weight."""
    together: dict[str, list[Reading]] = {}
    for reading in readings:
        if reading.link.twin is not None:
            together.setdefault(reading.link.twin, []).append(reading)
    pooled = {
        name: pool_log_odds([one.p_faster for one in members], [one.weight for one in members])
        for name, members in together.items()
        if len(members) > 1
    }
    result = []
    for reading in readings:
        name = reading.link.twin
        if name is None or name not in pooled:
            result.append(reading)
            continue
        members = together[name]
        whole, most = sum(one.weight for one in members), max(one.weight for one in members)
        result.append(replace(_at(reading, pooled[name]), weight=reading.weight * most / whole))
    return result


def _of_buckets(
    readings: Sequence[Reading], skipped: Sequence[Skipped], limits: _Limits, earlier: Earlier | None
) -> tuple[list[Reading], list[Skipped]]:
    """Answers that exclude each other, read at one moment, scaled to 1 and added up to P(by each date).

    They say something only together: where one of them has no usable value, none counts. An answer whose
    date is over is none any more.
    """
    together: dict[str, list[Reading]] = {}
    for reading in readings:
        if reading.link.bucket is not None:
            together.setdefault(reading.link.ladder or "", []).append(reading)
    lacking = {
        item.link.ladder
        for item in skipped
        if item.link.bucket is not None and not (item.link.by is not None and item.link.by <= limits.now)
    }
    result = [reading for reading in readings if reading.link.bucket is None]
    broken: list[Skipped] = []
    for ladder, members in together.items():
        at_once = _at_one_moment(members, limits, earlier)
        found = None if ladder in lacking else _added_up(at_once)
        if found is None:
            reason = "another answer of its question has no value"
            broken += [Skipped(one.link, reason, one.snapshot, one.kind) for one in members]
        else:
            result += found
    return result, broken


def _added_up(answers: Sequence[Reading]) -> list[Reading] | None:
    """The dated answers as rungs of one curve; None without a date ahead or without a price."""
    dated = sorted((one for one in answers if one.link.bucket == "dated"), key=lambda one: one.horizon_years)
    ahead = [one for one in dated if one.horizon_years > 0]
    paid = {
        kind: sum(one.probability for one in answers if one.link.bucket == kind)
        for kind in ("later", "never")
    }
    if not ahead or not sum(one.probability for one in ahead) + paid["later"] + paid["never"] > 0:
        return None
    times, shares = zip(*((one.horizon_years, one.probability) for one in ahead), strict=True)
    curve = from_buckets(times, shares, paid["later"], paid["never"])
    return [
        replace(_at(one, chance), curve=curve, weight=one.weight / len(ahead))
        for one, chance in zip(ahead, curve.cdf, strict=True)
    ]


def _on_ladders(readings: Sequence[Reading], limits: _Limits, earlier: Earlier | None) -> list[Reading]:
    """Rungs of a ladder, read at one moment, never likelier where harder; together one question's weight."""
    rungs: dict[str, list[int]] = {}
    for index, reading in enumerate(readings):
        if reading.link.ladder is not None and reading.link.bucket is None:
            rungs.setdefault(reading.link.ladder, []).append(index)
    result = list(readings)
    for places in rungs.values():
        if len(places) < 2:
            continue
        at_once = _at_one_moment([result[i] for i in places], limits, earlier)
        order = sorted(range(len(places)), key=lambda n: _hardness(at_once[n].link))
        fitted = monotone([_yes(at_once[n]) for n in order], [at_once[n].weight for n in order])
        for n, value in zip(order, fitted, strict=True):
            rung = at_once[n]
            moved = (
                rung
                if abs(value - _yes(rung)) < 1e-12
                else _at(rung, value if rung.link.polarity == 1 else 1 - value)
            )
            result[places[n]] = replace(moved, weight=rung.weight / len(places))
        curve = _ladder_curve([result[i] for i in places])
        if curve is not None:
            for place in places:
                result[place] = replace(result[place], curve=curve)
    return result


def _ladder_curve(rungs: Sequence[Reading]) -> Curve | None:
    """Deadlines of one event as a curve; None for a ladder of thresholds or of events that would be slower."""
    if any(rung.link.rung is not None or rung.link.polarity != 1 for rung in rungs):
        return None
    ordered = sorted(rungs, key=lambda rung: rung.horizon_years)
    times = [rung.horizon_years for rung in ordered]
    if len(set(times)) < len(times):
        return None
    return Curve(tuple(times), tuple(np.maximum.accumulate([rung.p_faster for rung in ordered]).tolist()))


def _at_one_moment(rungs: Sequence[Reading], limits: _Limits, earlier: Earlier | None) -> list[Reading]:
    """Each rung as it stood when all of them were last seen; one without a value from then stays as it is."""
    moment = min(rung.seen_last for rung in rungs)
    found = []
    for rung in rungs:
        older = None
        if earlier is not None and rung.snapshot.as_of - moment > SAME_TIME:
            seen = earlier(rung.snapshot.key, moment)
            by = rung.link.by
            if seen is not None and by is not None and limits.refusal(rung.link, seen) is None:
                older = _reading(rung.link, by, seen, limits)
        found.append(older if isinstance(older, Reading) else rung)
    return found


def _hardness(link: Link) -> tuple[float, float]:
    """Rungs from the easiest: a low threshold, then a late deadline."""
    late = 0.0 if link.by is None else -link.by.timestamp()
    return (link.rung or 0.0, late)


def _yes(reading: Reading) -> float:
    """The probability of the platform's Yes."""
    return reading.p_faster if reading.link.polarity == 1 else 1.0 - reading.p_faster


# All areas --------------------------------------------------------------------------------------------


def _by_area(readings: Sequence[Reading], groups: Mapping[str, str]) -> dict[str, list[Reading]]:
    found = {area: [reading for reading in readings if area in reading.link.areas] for area in groups}
    return {area: used for area, used in found.items() if used}


def _precisions(used: Sequence[Reading], proxy_log_sd: float) -> NDArray[np.float64]:
    """How much each reading counts: 1 / (proxy_log_sd^2 / weight + its band's variance), or its weight."""
    if proxy_log_sd == 0:
        return np.array([reading.weight for reading in used])
    return np.array([1.0 / (proxy_log_sd**2 / reading.weight + reading.band_log_sd**2) for reading in used])


def _pool(
    by_area: Mapping[str, Sequence[Reading]], proxy_log_sd: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Per area the mean log hazard by precision and its sd: 1 / sqrt(sum of precisions)."""
    means, sds = [], []
    for used in by_area.values():
        precision = _precisions(used, proxy_log_sd)
        sds.append(0.0 if proxy_log_sd == 0 else 1.0 / math.sqrt(float(precision.sum())))
        means.append(float(precision @ [reading.log_hazard for reading in used]) / float(precision.sum()))
    return np.array(means), np.array(sds)


def _curves(by_area: Mapping[str, Sequence[Reading]], proxy_log_sd: float) -> dict[int, NDArray[np.float64]]:
    """By place, the pooled log cumulative hazard of the areas with a question that tells several dates."""
    return {
        place: pooled(
            [reading.log_hazard if reading.curve is None else reading.curve for reading in used],
            _precisions(used, proxy_log_sd).tolist(),
        )
        for place, used in enumerate(by_area.values())
        if any(reading.curve is not None for reading in used)
    }


def _race_curves(
    areas: Sequence[str],
    curves: Mapping[int, NDArray[np.float64]],
    means: NDArray[np.float64],
    sds: NDArray[np.float64],
    before: NDArray[np.float64],
    spans: dict[str, dict[str, tuple[float, float]]],
) -> None:
    """Put into the pairs of which one area has a curve what their curves say."""
    for i, one in enumerate(areas):
        for j, two in enumerate(areas):
            if i >= j or not {i, j} & set(curves):
                continue
            sides = [(curves.get(n, pooled([means[n]], [1.0])), float(sds[n])) for n in (i, j)]
            before[i, j], before[j, i], chances, others = race(sides[0], sides[1])
            spans[one][two], spans[two][one] = interval(chances), interval(others)


def _marginals(
    by_area: Mapping[str, Sequence[Reading]],
    curves: Mapping[int, NDArray[np.float64]],
    means: NDArray[np.float64],
    sds: NDArray[np.float64],
) -> dict[str, DateCdf]:
    """When each area's event comes, years from now, averaged over the doubt about its hazard."""
    later = np.geomspace(0.05, HORIZON_YEARS, 60)
    found = {}
    for place, (area, mean, sd) in enumerate(zip(by_area, means, sds, strict=True)):
        if place in curves:
            chances = np.interp(later, GRID, chance_by(curves[place], sd))
        else:
            chances = chance_by(mean + np.log(later), sd)
        found[area] = DateCdf((0.0, *later.tolist()), (0.0, *chances.tolist()))
    return found


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
            kind=reading.kind,
            adjusted=reading.p_faster,
            low=reading.low,
            high=reading.high,
        )
        for reading in used
    ]


def _unused(skipped: Sequence[Skipped], groups: Mapping[str, str]) -> tuple[Evidence, ...]:
    """Values that bear on a known area and do not count now, one row per area."""
    return tuple(
        Evidence(
            area=area,
            question=_question(item.link),
            source=item.snapshot.key.source,
            relation=item.link.relation.value,
            weight=0.0,
            probability=item.snapshot.probability,
            as_of=item.snapshot.as_of,
            label=item.link.label,
            kind=item.kind or "",
            flag=item.reason,
        )
        for item in skipped
        if item.snapshot is not None
        for area in item.link.areas
        if area in groups
    )


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
        f"{len(readings)} questions on {len(by_area)} areas, as log hazards per year pooled by weight "
        f"(of the link, the kind of value and its quality), each proxy off by N(0, {proxy_log_sd:g} / sqrt(weight)).",
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
