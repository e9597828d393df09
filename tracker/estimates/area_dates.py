"""When the trend on general tasks reaches what each area is assumed to need, as distributions of dates.

One draw of the trend moves all areas together; what an area needs is uncertain on its own. So P(a before b)
comes from the same futures, not from two medians, and areas' dates are as correlated as a shared trend
makes them. It remains an assumption turned into dates: nothing here was measured in any area.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from tracker.errors import UsageError
from tracker.estimates.frontier import Floats, Frontier
from tracker.estimates.mixture import Mixture
from tracker.estimates.ordering import generator, voice_from_draws
from tracker.estimates.races import DateCdf
from tracker.estimates.releases import HORIZON_YEARS, Dates, first_above_each, time_grid
from tracker.estimates.shapes import ShapeName
from tracker.estimates.trend import DAYS_PER_YEAR, day_number
from tracker.estimates.voice import Evidence, Voice


@dataclass(frozen=True)
class AreaDates:
    """When the trend reaches each area's need: ``years`` (N, areas) from the last point, infinite = never.

    A row is one future, the same for all areas; never means not within ``horizon_years``. ``needed``: what
    each area is assumed to need, minutes, itself uncertain by ``sd_doublings``. ``weights`` of the shapes.
    """

    frontier: Frontier
    needed: Mapping[str, float]
    sd_doublings: float
    weights: Mapping[ShapeName, float]
    years: Floats
    horizon_years: float

    @property
    def areas(self) -> tuple[str, ...]:
        return tuple(self.needed)

    def dates(self, area: str, p_dates: Iterable[date] = ()) -> Dates:
        """One area's distribution of dates, the same for all with its need. UsageError for an area without a need."""
        return Dates(self.frontier, self.waits(area), tuple(p_dates))

    def waits(self, area: str) -> Floats:
        """Years from the last point to the need of an area, from the draws of all areas with that need: nothing but
        chance tells those apart."""
        minutes = self.needed[self.areas[self._column(area)]]
        columns = [i for i, other in enumerate(self.needed.values()) if other == minutes]
        return self.years[:, columns].ravel()

    def p_by(self, day: date) -> dict[str, float]:
        """Probability per area that the trend has reached its need by the end of a day."""
        end = self.frontier.year_of(day)
        return {area: float((self.waits(area) <= end).mean()) for area in self.areas}

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
    # Draws stand in the order of shapes: thinned out or repeated evenly, every shape keeps its weight;
    # then mixed, so that any part of the result is a fair sample too.
    rows = generator(seed, 2).permutation(np.arange(draws) * len(trend) // draws)
    needs = np.log2(list(needed_minutes.values()))
    heights = needs + generator(seed, 1).normal(0.0, sd_doublings, (draws, len(needs)))
    years = first_above_each(grid, trend, rows, heights)
    return AreaDates(
        frontier, dict(needed_minutes), sd_doublings, dict(mixture.weights), years, horizon_years
    )


def dates_voice(dates: AreaDates, *, today: date, groups: Mapping[str, str]) -> Voice:
    """The order in which areas come within reach, from possible dates.

    One possible trend moves all areas together; each area's need is uncertain on its own. So the trend
    decides when and how surely, the assumed needs decide the order: where every need is reached in the
    end, P(a before b) = Phi(log2(need_b / need_a) / (sd_doublings sqrt 2)). Scores are minus the years
    from ``today`` to the median date (positive if that is past); areas with the same need have the same
    score. When for some area half the futures or more never reach its need within the horizon there is no
    median, and the voice says so instead.
    """
    weights = ", ".join(f"{name} {weight:.0%}" for name, weight in dates.weights.items())
    name, model = "trend", f"mixture of trend shapes ({weights}), needs ±{dates.sd_doublings:g} doublings"
    if not dates.needed:
        return Voice(name=name, model=model, reason="no area has a needed horizon")
    late = [area for area in dates.areas if np.isinf(dates.waits(area)).mean() >= 0.5]
    if late:
        reason = (
            f"half the futures or more do not reach the need of {', '.join(late)} "
            f"within {dates.horizon_years:g} years"
        )
        return Voice(name=name, model=model, reason=reason)
    passed = (day_number(today) - dates.frontier.last_day) / DAYS_PER_YEAR
    ahead = dates.years - passed
    return voice_from_draws(
        name=name,
        model=model,
        scores={area: passed - float(np.median(dates.waits(area))) for area in dates.areas},
        draws=-ahead,
        groups=groups,
        evidence=needs_as_evidence(dates.needed),
        note=(
            "An assumption, not evidence about areas: when the trend on general software tasks reaches the "
            "task length each area is assumed to need. It shares the task-length factor with the internal "
            "model, so agreement between the two is no independent support."
        ),
    )


def dates_marginals(dates: AreaDates, *, today: date) -> dict[str, DateCdf]:
    """When each area comes within reach by itself, years from today; what is reached already by 0."""
    passed = (day_number(today) - dates.frontier.last_day) / DAYS_PER_YEAR
    times = np.concatenate([[0.0], np.geomspace(0.05, max(dates.horizon_years - passed, 0.1), 80)])
    return {area: DateCdf.from_draws(dates.waits(area) - passed, times.tolist()) for area in dates.areas}


def check_needs(needed_minutes: Mapping[str, float], sd_doublings: float) -> None:
    """Every need a positive number of minutes, their sd not negative: else UsageError."""
    for area, minutes in needed_minutes.items():
        if not (math.isfinite(minutes) and minutes > 0):
            raise UsageError(f"needed horizon of {area} must be a positive number of minutes, got {minutes}")
    if not (math.isfinite(sd_doublings) and sd_doublings >= 0):
        raise UsageError(f"sd of needed horizons must be 0 or more doublings, got {sd_doublings}")


def needs_as_evidence(needed_minutes: Mapping[str, float]) -> tuple[Evidence, ...]:
    """The assumed needs, one piece of (assumed) evidence per area."""
    return tuple(
        Evidence(
            area=area,
            question=f"trend reaches {minutes:g} minutes",
            source="assumption",
            relation="proxy",
            weight=1.0,
            label=f"tasks of {minutes / 60:g} hours assumed to be needed",
        )
        for area, minutes in needed_minutes.items()
    )
