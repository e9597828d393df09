"""``speedup trend backtest``: how good the trend forecasts of past records would have been."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracker.commands.points import DEFAULT_SERIES, Points, read_points, tell_faults
from tracker.commands.session import Day, Moment, Session, table, with_session
from tracker.errors import UsageError

if TYPE_CHECKING:
    from tracker.estimates.backtest import Backtest
    from tracker.estimates.trend import Selection


@click.command("backtest", epilog="Example:  speedup trend backtest --file results.yaml --from 2023-01-01")
@click.option("--series", help=f"A stored series (default: {DEFAULT_SERIES}).")
@click.option(
    "--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A METR results YAML."
)
@click.option("--metric", help="Which metric (default: p50, or the only one the series has).")
@click.option("--from", "start", type=Day(), help="Only systems released on or after this day.")
@click.option("--before", type=Day(), help="Only systems released before this day.")
@click.option(
    "--sota",
    type=click.Choice(["file", "window", "all"]),
    default="window",
    show_default=True,
    help="Which points make the frontier.",
)
@click.option(
    "--step", type=click.FloatRange(min=0, min_open=True), help="What counts as one unit of an index series."
)
@click.option(
    "--first",
    type=click.IntRange(3, 100),
    default=4,
    show_default=True,
    help="Points to start from.",
)
@click.option("--by-release-date", is_flag=True, help="Ignore stored versions; cut today's values by date.")
@click.option("--as-known-at", type=Moment(), help="Only what was known at this time.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, hidden=True)
@with_session(as_of=True)
def backtest(session: Session, **options: Any) -> int:
    """Forecast each past record from what was known before it, and score every shape and two references.

    The references: ``line``, the least-squares exponential, and ``last_plus_slope``, the last record plus that
    line's slope. Errors are in doublings (or the unit shown); lower CRPS is better. Where older versions of
    the series are stored they are what was known; otherwise today's values, cut at the release date.
    """
    from tracker.estimates.backtest import backtest as run
    from tracker.estimates.frontier import scale_for
    from tracker.estimates.trend import Selection

    points = read_points(session, options, history=not options["by_release_date"])
    metric = _metric(points, options["metric"])
    selection = Selection(metric=metric, start=options["start"], end=options["before"], sota=options["sota"])
    unit = next(point.unit for point in points.measurements if point.metric == metric)
    found = run(
        points.measurements,
        selection,
        scale_for(unit, options["step"]),
        ceiling=points.ceiling,
        versions=points.versions,
        first_forecast=options["first"],
        seed=options["seed"],
    )
    document = backtest_json(points, selection, found, options)
    session.print(document, lambda: _show(document))
    return tell_faults(points)


def _metric(points: Points, asked: str | None) -> str:
    there = sorted({point.metric for point in points.measurements})
    if asked is None:
        asked = "p50" if "p50" in there else there[0] if len(there) == 1 else None
    if asked not in there:
        raise UsageError(f"{points.series} has the metrics {', '.join(there)}: choose one with --metric")
    return asked


def backtest_json(
    points: Points, selection: Selection, found: Backtest, options: dict[str, Any]
) -> dict[str, Any]:
    """The shape of ``speedup trend backtest --json``."""
    from tracker.estimates.backtest import MIXTURE, REFERENCES
    from tracker.estimates.mixture import FORECAST_DRAWS, IMAGINARY_RECORDS, WEIGHT_FLOOR
    from tracker.estimates.shapes import PRIORS, SHAPES

    default = found.summary(MIXTURE)
    references = [found.summary(name) for name in REFERENCES]
    return {
        "series": points.series,
        "sha256": points.sha256,
        "selection": {
            "metric": selection.metric,
            "from": selection.start,
            "before": selection.end,
            "sota": selection.sota,
        },
        "unit": found.scale.unit,
        "settings": {
            "first_forecast": options["first"],
            "seed": options["seed"],
            "draws": FORECAST_DRAWS,
            "weight_floor": WEIGHT_FLOOR,
            "imaginary_records_per_shape": IMAGINARY_RECORDS,
            "priors": {shape: list(PRIORS.describe(shape, found.scale.unit)) for shape in SHAPES},
        },
        "forecasters": [_summary_json(summary) for summary in found.summaries],
        "default": MIXTURE,
        "default_beats_references_in_crps": all(default.crps < r.crps for r in references),
        "default_mean_absolute_error_minus_best_reference": default.mean_absolute_error
        - min(r.mean_absolute_error for r in references),
        "records": _records_json(found),
        "failed": list(points.faults),
        "warnings": [*points.faults, *points.notes, *_warnings(found)],
    }


def _summary_json(summary: Any) -> dict[str, Any]:
    return {
        "forecaster": summary.forecaster,
        "n": summary.n,
        "mean_absolute_error": summary.mean_absolute_error,
        "mean_error": summary.mean_error,
        "crps": summary.crps,
        "coverage": {f"{level:g}": share for level, share in summary.coverage.items()},
        "log_score": summary.log_score,
    }


def _records_json(found: Backtest) -> list[dict[str, Any]]:
    records: dict[str, dict[str, Any]] = {}
    for one in found.forecasts:
        record = records.setdefault(
            one.key,
            {
                "key": one.key,
                "released": one.released,
                "outcome": found.scale.value(one.outcome),
                "known_from": one.known_from,
                "weights": dict(found.weights[one.key]),
                "forecasts": [],
            },
        )
        record["forecasts"].append(
            {
                "forecaster": one.forecaster,
                "median": found.scale.value(one.median),
                "error": one.error,
                "crps": one.crps,
                "pit": one.pit,
                "inside": {f"{level:g}": hit for level, hit in one.inside.items()},
            }
        )
    return list(records.values())


def _warnings(found: Backtest) -> list[str]:
    count = len(found.weights)
    warnings = [
        "every forecast is given the record's release date and that it is a record; one step ahead only",
        "records are a selection, the best of several systems: errors here are not those of a typical system",
    ]
    if count < 10:
        warnings.append(f"{count} records: differences between forecasters are mostly chance")
    if any(one.known_from is None for one in found.forecasts):
        warnings.append("records older than the stored versions are forecast from values revised since")
    return warnings


def _show(document: dict[str, Any]) -> None:
    click.echo(f"{document['series']}: {len(document['records'])} records forecast; unit: {document['unit']}")
    table(
        "",
        ["forecaster", "mean abs. error", "mean error", "CRPS", "in 50%", "in 80%", "in 95%", "log score"],
        [
            (
                f["forecaster"],
                *(f"{f[key]:.3f}" for key in ("mean_absolute_error", "mean_error", "crps")),
                *(f"{share:.0%}" for share in f["coverage"].values()),
                f["log_score"],
            )
            for f in document["forecasters"]
        ],
        right=[1, 2, 3, 4, 5, 6, 7],
    )
    for warning in document["warnings"]:
        click.echo(f"warning: {warning}")
