"""A small invented horizon series in the shape of METR's: several published versions, one re-fit.

Systems, dates and minutes are made up; only the shape (log-linear growth, lopsided intervals near a
ceiling, small joint revisions) is taken from life.
"""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np

from questions.records import Measurement
from tracker.estimates.releases import Fan, Passage
from tracker.estimates.trend import Crossing, Selection, TrendFit
from tracker.report.plots import Outlook

SERIES = "example_horizons"
_POINTS = [
    ("ada-0", date(2019, 3, 1), 0.05, True),
    ("ada-1", date(2020, 6, 1), 0.16, True),
    ("boole-1", date(2022, 3, 10), 0.65, True),
    ("boole-2", date(2023, 3, 20), 4.1, True),
    ("curie-1", date(2024, 3, 1), 3.7, False),
    ("boole-3", date(2024, 5, 10), 7.4, True),
    ("curie-2", date(2024, 6, 25), 11.9, True),
    ("dirac-1", date(2024, 9, 15), 19.0, True),
    ("curie-3", date(2024, 10, 20), 23.0, True),
    ("dirac-2", date(2024, 12, 5), 37.0, True),
    ("curie-4", date(2025, 2, 25), 62.0, True),
    ("dirac-3", date(2025, 4, 15), 115.0, True),
    ("curie-5", date(2025, 5, 20), 95.0, False),
    ("boole-5", date(2025, 8, 8), 190.0, True),
    ("euler-3", date(2025, 11, 18), 232.0, True),
    ("curie-6", date(2025, 11, 26), 290.0, True),
    ("boole-6", date(2025, 12, 12), 340.0, True),
    ("curie-7", date(2026, 2, 6), 700.0, True),
    ("euler-4", date(2026, 2, 20), 380.0, False),
    ("noether-1", date(2026, 4, 8), 1050.0, True),
]
_EARLIER = {"ada-0": 0.74, "boole-3": 1.12, "dirac-1": 0.86, "curie-4": 0.93, "boole-5": 1.1, "curie-6": 1.16}


def points(scale: dict[str, float] | None = None, leave_out: int = 0) -> tuple[Measurement, ...]:
    """One version: central values times ``scale`` where given, without the last ``leave_out`` systems."""
    kept = _POINTS[: len(_POINTS) - leave_out]
    return tuple(
        _measurement(key, at, value * (scale or {}).get(key, 1.0), sota) for key, at, value, sota in kept
    )


def _measurement(key: str, at: date, value: float, sota: bool) -> Measurement:
    upper = value * (2.1 if value < 500 else 4.5)
    return Measurement(
        SERIES,
        key,
        "p50",
        at,
        value,
        "minutes",
        value / 2.2,
        upper,
        0.95,
        sota,
        value > 960,
        key.capitalize(),
    )


VERSIONS = {
    date(2026, 1, 30): points(_EARLIER, leave_out=3),
    date(2026, 3, 3): points({"ada-0": 0.74}, leave_out=1),
    date(2026, 5, 8): points(),
}


def line_through(chosen: tuple[Measurement, ...]) -> TrendFit:
    """Ordinary least squares by numpy, with the textbook interval of the slope (t of 12 df: 2.179)."""
    days = np.array([(p.at - date(1970, 1, 1)).days for p in chosen], dtype=float)
    logs = np.log2([p.value for p in chosen])
    slope, intercept = np.polyfit(days, logs, 1)
    residual = logs - (slope * days + intercept)
    sd = math.sqrt(float(residual @ residual) / (len(chosen) - 2))
    sxx = float(((days - days.mean()) ** 2).sum())
    half = 2.179 * sd / math.sqrt(sxx)
    return TrendFit(
        selection=Selection(start=date(2023, 1, 1), max_minutes=960.0),
        keys=tuple(p.key for p in chosen),
        n=len(chosen),
        slope_per_day=float(slope),
        level_log2=float(logs.mean()),
        mean_day=float(days.mean()),
        sxx=sxx,
        residual_sd_log2=sd,
        r_squared=1 - float(residual.var() / logs.var()),
        doubling_time_days=1 / float(slope),
        doubling_ci95_days=(1 / float(slope + half), 1 / float(slope - half)),
        ci_method="t",
    )


def crossing(fit: TrendFit, minutes: float) -> Crossing:
    """Where the line meets a threshold, with made-up but plausible interval ends."""
    number = fit.mean_day + (math.log2(minutes) - fit.level_log2) / fit.slope_per_day
    at = date(1970, 1, 1) + timedelta(days=round(number))
    near, far = timedelta(days=60), timedelta(days=110)
    return Crossing(minutes, at, (at - near, at + near), (at - far, at + far), {})


FIT = line_through(tuple(p for p in points() if p.at >= date(2023, 1, 1) and p.is_sota and p.value <= 960))
CROSSINGS = tuple(crossing(FIT, minutes) for minutes in (480.0, 2400.0, 10020.0, 120000.0))


def passage(minutes: float, at: date, never: float = 1.0) -> Passage:
    """A threshold passed by the trend on a day give or take, and by a record half a year later."""
    near, far = timedelta(days=90), timedelta(days=180)
    record = at + timedelta(days=182)
    return Passage(
        threshold=minutes,
        line=at,
        line_ci80=(at - near, at + near),
        line_ci95=(at - far, None),
        line_p_by={},
        record=record,
        record_ci80=(record - near, record + near),
        record_ci95=(record - far, None),
        record_p_by={},
        p_never_observed=never,
        reason="",
    )


def outlook() -> Outlook:
    """Bands that open up ahead of the line through the points, invented."""
    days = np.array([(date(2023, 3, 1) - date(1970, 1, 1)).days + 60.0 * i for i in range(60)])
    middle = FIT.level_log2 + FIT.slope_per_day * (days - FIT.mean_day)
    reach = 0.5 + 2.0 * np.linspace(0.0, 1.0, days.size) ** 2
    shares = {0.025: -2.0, 0.1: -1.3, 0.25: -0.7, 0.5: 0.0, 0.75: 0.7, 0.9: 1.3, 0.975: 2.0}
    fan = Fan(days, {share: middle + z * reach for share, z in shares.items()})
    passages = (
        passage(480.0, date(2026, 2, 1), never=0.0),
        passage(2400.0, date(2026, 10, 1)),
        passage(10020.0, date(2027, 6, 1)),
        passage(120000.0, date(2028, 9, 1)),
    )
    return Outlook(fan, passages, "mixture of trend shapes")


OUTLOOK = outlook()
