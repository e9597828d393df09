"""The back-test of ``speedup trend backtest`` on every series the tests hold. Run by hand:

    python -m tests.bench.backtest_series

One row a series: records forecast, then mean absolute error and CRPS of the default (the mixture) and of the two
references, and how many records the default's central 80% and 95% held. Units: doublings, of the odds for shares
of tasks, five points for Epoch's index. All settings are the defaults, the same for every series. METR's values
stand here without their intervals; with them (``speedup trend backtest --file``) the errors differ by about 0.01.
"""

from __future__ import annotations

import sys
from datetime import date

from tests.estimates.published import epoch_points, leaderboard_points, metr_points
from tracker.estimates.backtest import LAST_PLUS_SLOPE, LINE, MIXTURE, Backtest, backtest
from tracker.estimates.frontier import scale_for
from tracker.estimates.trend import Selection

RECORDS = Selection(metric="score", sota="window")


def tested() -> dict[str, Backtest]:
    """Every series' back-test."""
    metr = metr_points("2026-05-08")
    found = {
        f"METR 1.1, {metric}, 2023 on": backtest(
            metr,
            Selection(metric=metric, start=date(2023, 1, 1), sota="window"),
            scale_for("minutes"),
            ceiling=960.0,
            seed=0,
        )
        for metric in ("p50", "p80")
    }
    for name, points in {
        "Epoch's index, December 2025": epoch_points("eci_2025_12"),
        "Epoch's index, April 2026": epoch_points("eci_2026_04"),
        "SWE-bench Verified, leaderboard": leaderboard_points("swe_bench_leaderboard"),
        "SWE-bench Verified, Epoch's runs": epoch_points("swe_bench_verified"),
        "MLE-bench": leaderboard_points("mle_bench"),
    }.items():
        found[name] = backtest(points, RECORDS, scale_for(points[0].unit), seed=0)
    return found


def main() -> None:
    say = sys.stdout.write
    say(
        "series                              n   error: default line  last+slope   CRPS: same order    80%   95%\n"
    )
    for name, found in tested().items():
        default, line, step = (found.summary(who) for who in (MIXTURE, LINE, LAST_PLUS_SLOPE))
        errors = "  ".join(f"{s.mean_absolute_error:5.2f}" for s in (default, line, step))
        scores = "  ".join(f"{s.crps:5.2f}" for s in (default, line, step))
        held = "  ".join(f"{default.coverage[level]:4.0%}" for level in (0.8, 0.95))
        say(f"{name:34s} {default.n:2d}          {errors}        {scores}    {held}\n")


if __name__ == "__main__":
    main()
