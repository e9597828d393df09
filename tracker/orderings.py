"""From what is stored to the voices and their comparison: reads the store, computes nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path

from questions.catalogue import Catalogue, load_factor_csv
from questions.model import Area, FactorTable
from questions.records import OutcomeState, Quantity
from storage.store import Store
from tracker.errors import UsageError
from tracker.estimates.area_dates import AreaDates, area_dates, check_needs, dates_voice
from tracker.estimates.factors import rank_factors
from tracker.estimates.frontier import frontier_of, horizon_scale
from tracker.estimates.market import OWN, Rules, market_voice
from tracker.estimates.mixture import Mixture, fit_mixture
from tracker.estimates.ordering import compare
from tracker.estimates.prices import Quality
from tracker.estimates.trend import Selection, TrendFit, fit_line, select
from tracker.estimates.voice import Comparison, Voice

TREND_SERIES = "metr_th11"
TREND_SELECTION = Selection(metric="p50", start=date(2023, 1, 1), sota="file", max_minutes=960.0)
TREND_DRAWS = 10_000
NO_TREND = "no METR time horizons are stored: `speedup pull metr` collects them"
NO_STORE = "no database yet: `speedup pull` collects values, `speedup demo` plays recorded ones"
SETTLED = (
    OutcomeState.YES,
    OutcomeState.NO,
    OutcomeState.FRACTION,
    OutcomeState.VOID,
    OutcomeState.AMBIGUOUS,
)


@dataclass(frozen=True)
class ModelOptions:
    """What a caller may vary; the defaults are those of ``speedup order``.

    ``needs``: time horizon an area needs, in minutes, in place of the catalogue's; ``need_sd`` likewise,
    in doublings (None: the catalogue's).
    """

    factors: Path | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    weight_sd: float = 0.5
    score_sd: float = 1.0
    draws: int = 50_000
    seed: int = 0
    needs: Mapping[str, float] = field(default_factory=dict)
    need_sd: float | None = None


@dataclass(frozen=True)
class Orderings:
    """The four voices at one moment, as far as they have a view, and every pair compared.

    ``trend_fit``: METR's line, for comparison with what METR prints; ``mixture``: the shapes the trend's
    voice rests on; ``area_dates``: when they reach what areas are assumed to need. None without points.
    """

    now: datetime
    areas: tuple[Area, ...]
    voices: Mapping[str, Voice]
    comparisons: tuple[Comparison, ...]
    trend_fit: TrendFit | None
    mixture: Mixture | None
    area_dates: AreaDates | None


def orderings(
    catalogue: Catalogue,
    store: Store | None,
    options: ModelOptions,
    *,
    now: datetime,
    known_at: datetime | None = None,
) -> Orderings:
    """All voices as of ``now``, from what was known at ``known_at`` (default: everything stored)."""
    groups = {area.key: area.group.value for area in catalogue.areas}
    table = load_factor_csv(options.factors) if options.factors else catalogue.factors
    internal = rank_factors(
        table,
        weight_overrides=options.weights,
        weight_sd=options.weight_sd,
        score_sd=options.score_sd,
        draws=options.draws,
        seed=options.seed,
        groups=groups,
    )
    needed = _needs(catalogue, table, options)
    mixture = None if store is None else stored_mixture(store, known_at, options.seed)
    dates = None if mixture is None else _area_dates(catalogue, needed, mixture, options)
    voices = {
        "internal": internal,
        "market": _market(catalogue, store, options, groups, now, known_at),
        "trend": Voice("trend", "", reason=NO_TREND)
        if dates is None
        else dates_voice(dates, today=now.date(), groups=groups),
        "panel": Voice("panel", "", reason=_panel_silence(store)),
    }
    names = [name for name in voices if voices[name].ranking]
    comparisons = tuple(
        compare(voices[a], voices[b], seed=options.seed) for i, a in enumerate(names) for b in names[i + 1 :]
    )
    return Orderings(
        now=now,
        areas=catalogue.areas,
        voices=voices,
        comparisons=comparisons,
        trend_fit=None if store is None else stored_fit(store, known_at),
        mixture=mixture,
        area_dates=dates,
    )


def stored_fit(store: Store, known_at: datetime | None) -> TrendFit | None:
    """The exponential fit to METR's record models since 2023, as known then; None without enough points."""
    try:
        points = select(store.measurements(TREND_SERIES, known_at=known_at), TREND_SELECTION)
        return fit_line(points, TREND_SELECTION)
    except UsageError:
        return None


def stored_mixture(store: Store, known_at: datetime | None, seed: int) -> Mixture | None:
    """All shapes on the same points, those above the ceiling as "at or above" it; None without enough points."""
    chosen = replace(TREND_SELECTION, max_minutes=None)
    try:
        points = select(store.measurements(TREND_SERIES, known_at=known_at), chosen)
        frontier = frontier_of(points, horizon_scale("minutes"), TREND_SELECTION.max_minutes)
        return fit_mixture(frontier, draws=TREND_DRAWS, seed=seed)
    except UsageError:
        return None


def _panel_silence(store: Store | None) -> str:
    stored = store is not None and any(key.quantity is Quantity.PANEL_MEDIAN for key in store.streams())
    return (
        "panel values are stored but not pooled into an order yet"
        if stored
        else "no panel forecasts are stored"
    )


def _market(
    catalogue: Catalogue,
    store: Store | None,
    options: ModelOptions,
    groups: Mapping[str, str],
    now: datetime,
    known_at: datetime | None,
) -> Voice:
    if store is None:
        return Voice("market", "", reason=NO_STORE)
    settled = {
        (r.platform, r.external_id, r.outcome)
        for r in store.resolutions(known_at=known_at)
        if r.state in SETTLED
    }
    return market_voice(
        catalogue.links,
        store.latest(known_at=known_at).values(),
        now=now,
        draws=options.draws,
        seed=options.seed,
        groups=groups,
        rules=market_rules(catalogue),
        resolved=settled,
    )


def market_rules(catalogue: Catalogue) -> Rules:
    """How community values are read: by what their platforms pay; what people told us is the panel's."""
    return Rules(quantity_weights=dict.fromkeys(OWN, 0.0), quality=Quality(), platforms=catalogue.platforms)


def _needs(catalogue: Catalogue, table: FactorTable, options: ModelOptions) -> dict[str, float]:
    """Minutes each area is assumed to need. Raises UsageError for one of no known area or not positive."""
    areas = [area.key for area in catalogue.areas]
    unknown = sorted(set(options.needs) - set(areas))
    if unknown:
        raise UsageError(f"no such area: {', '.join(unknown)}; there are: {', '.join(areas)}")
    assumed = catalogue.requirements.needed_minutes(table) | dict(options.needs)
    needed = {area: assumed[area] for area in areas if area in assumed}
    check_needs(needed, options.need_sd or 0.0)
    return needed


def _area_dates(
    catalogue: Catalogue, needed: Mapping[str, float], mixture: Mixture, options: ModelOptions
) -> AreaDates:
    """When the shapes reach what each area needs."""
    sd = catalogue.requirements.sd_doublings if options.need_sd is None else options.need_sd
    return area_dates(mixture, needed, sd, draws=options.draws, seed=options.seed)
