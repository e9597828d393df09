"""When the trend on general tasks reaches what each area is assumed to need, as distributions of dates.

One draw of the trend moves all areas together; what an area needs is uncertain on its own. So P(a before b)
comes from the same futures, not from two medians, and areas' dates are as correlated as a shared trend
makes them. It remains an assumption turned into dates: nothing here was measured in any area.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from tracker.errors import UsageError
from tracker.estimates.frontier import Floats, Frontier
from tracker.estimates.mixture import Mixture
from tracker.estimates.ordering import generator, voice_from_draws
from tracker.estimates.releases import HORIZON_YEARS, Dates, first_above, time_grid
from tracker.estimates.trend import DAYS_PER_YEAR, check_needs, day_number, needs_as_evidence
from tracker.estimates.voice import Voice


@dataclass(frozen=True)
class AreaDates:
    """When the trend reaches each area's need: ``years`` (N, areas) from the last point, infinite = never.

    A row is one future, the same for all areas; never means not within ``horizon_years``.
    """

    frontier: Frontier
    areas: tuple[str, ...]
    years: Floats
    horizon_years: float

    def dates(self, area: str, p_dates: Iterable[date] = ()) -> Dates:
        """One area's distribution of dates. Raises UsageError for an area without a need."""
        return Dates(self.frontier, self.years[:, self._column(area)], tuple(p_dates))

    def p_by(self, day: date) -> dict[str, float]:
        """Probability per area that the trend has reached its need by the end of a day."""
        reached = (self.years <= self.frontier.year_of(day)).mean(axis=0)
        return dict(zip(self.areas, reached.tolist(), strict=True))

    def p_before(self, one: str, two: str) -> float:
        """P(one area's need is reached before the other's); never for both counts for neither."""
        return float(np.mean(self.years[:, self._column(one)] < self.years[:, self._column(two)]))

    def _column(self, area: str) -> int:
        if area not in self.areas:
            raise UsageError(f"no needed horizon for area {area!r}; there are: {', '.join(self.areas)}")
        return self.areas.index(area)


def area_dates(
    mixture: Mixture,
    needed_minutes: Mapping[str, float],
    sd_doublings: float,
    *,
    draws: int,
    seed: int,
    horizon_years: float = HORIZON_YEARS,
) -> AreaDates:
    """When possible trends reach what areas need, each need uncertain by N(0, ``sd_doublings``).

    A draw's first passage through the need counts, from the first point of the series on; what lies
    before that is taken to be reached at the first point. Raises UsageError for a need that is not
    positive, a negative sd, or a series that is not in minutes.
    """
    check_needs(needed_minutes, sd_doublings)
    frontier = mixture.frontier
    if frontier.scale.name != "log2":
        raise UsageError("needed horizons are in minutes, the series is not")
    grid = time_grid(frontier, horizon_years)
    trend = np.concatenate([fit.heights(grid, seed + i) for i, fit in enumerate(mixture.members)])
    # Draws stand in the order of shapes: thinned out or repeated evenly, every shape keeps its weight.
    trend = trend[np.arange(draws) * len(trend) // draws]
    needs = np.log2(list(needed_minutes.values()))
    heights = needs + generator(seed, 1).normal(0.0, sd_doublings, (draws, len(needs)))
    years = np.column_stack([first_above(grid, trend, heights[:, i]) for i in range(len(needs))])
    return AreaDates(frontier, tuple(needed_minutes), years, horizon_years)


def mixture_voice(
    mixture: Mixture,
    needed_minutes: Mapping[str, float],
    sd_doublings: float,
    *,
    draws: int = 50_000,
    seed: int,
    today: date,
    groups: Mapping[str, str],
    model_name: str = "mixture of trend shapes",
) -> Voice:
    """The order in which areas come within reach, from the weighted shapes instead of one line.

    Same meaning and arguments as ``trend_voice``, with the mixture in the place of the fit. Scores are minus
    the years from ``today`` to the median date. When for some area half the futures or more never
    reach its need within the horizon there is no median, and the voice says so instead.
    """
    check_needs(needed_minutes, sd_doublings)
    weights = ", ".join(f"{name} {weight:.0%}" for name, weight in mixture.weights.items())
    name, model = "trend", f"{model_name} ({weights}), needs +-{sd_doublings:g} doublings"
    if not needed_minutes:
        return Voice(name=name, model=model, reason="no area has a needed horizon")
    dates = area_dates(mixture, needed_minutes, sd_doublings, draws=draws, seed=seed)
    late = [area for area in dates.areas if dates.dates(area).never >= 0.5]
    if late:
        reason = f"half the futures or more do not reach the need of {', '.join(late)} within 20 years"
        return Voice(name=name, model=model, reason=reason)
    ahead = dates.years - (day_number(today) - mixture.frontier.last_day) / DAYS_PER_YEAR
    medians = np.median(-ahead, axis=0).tolist()
    return voice_from_draws(
        name=name,
        model=model,
        scores=dict(zip(needed_minutes, medians, strict=True)),
        draws=-ahead,
        groups=groups,
        evidence=needs_as_evidence(needed_minutes),
        note=(
            "An assumption, not evidence about areas: when the trend on general software tasks reaches the "
            "task length each area is assumed to need. It shares the task-length factor with the internal "
            "model, so agreement between the two is no independent support."
        ),
    )
