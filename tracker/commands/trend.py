"""``speedup trend fit``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from questions.records import Measurement
from questions.time import iso
from tracker.commands.session import Day, Moment, Session, table, with_session
from tracker.errors import ParseError, UsageError

if TYPE_CHECKING:
    from tracker.estimates.trend import Crossing, Selection, TrendFit

DEFAULT_SERIES = "metr_th11"
THRESHOLDS = (
    480.0,
    2400.0,
    6000.0,
    10020.0,
    120000.0,
)  # a day, a week, 100 h, a month (167 h), a year (2000 h)
P_BY = tuple(date(year, 12, 31) for year in range(2026, 2033))
NO_RECORD = (
    "simulated records (a model measured above) are not part of this version; `line` is the fitted line only"
)


@dataclass(frozen=True)
class Points:
    """What is to be fitted, and where it came from."""

    series: str
    sha256: str | None
    measurements: Sequence[Measurement]
    published: dict[str, float]
    notes: tuple[str, ...] = ()


@click.group("trend")
def command() -> None:
    """Fit trends in time horizons and say when they cross thresholds."""


@command.command(
    "fit", epilog="Example:  speedup trend fit --file results.yaml --from 2023-01-01 --max-minutes 960"
)
@click.option("--series", help=f"A stored series (default: {DEFAULT_SERIES}).")
@click.option(
    "--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A METR results YAML."
)
@click.option("--metric", type=click.Choice(["p50", "p80"]), default="p50", show_default=True)
@click.option("--from", "start", type=Day(), help="Only models released on or after this day.")
@click.option("--before", type=Day(), help="Only models released before this day.")
@click.option(
    "--sota",
    type=click.Choice(["file", "window", "all"]),
    default="file",
    show_default=True,
    help="Which models: flagged as record by the file, running maximum inside the window, or all.",
)
@click.option(
    "--max-minutes", type=click.FloatRange(min=0, min_open=True), help="Leave out higher values (METR: 960)."
)
@click.option("--shape", type=click.Choice(["exponential"]), default="exponential", show_default=True)
@click.option(
    "--threshold", "thresholds", type=click.FloatRange(min=0, min_open=True), multiple=True, help="Minutes."
)
@click.option(
    "--draws",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Joint bootstrap draws, CSV.",
)
@click.option(
    "--draw-dates", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Release dates, CSV."
)
@click.option("--as-known-at", type=Moment(), help="Fit what was known at this time.")
@click.option("--resamples", type=click.IntRange(100, 200_000), default=2000, show_default=True, hidden=True)
@click.option("--seed", type=int, default=0, show_default=True, hidden=True)
@with_session(as_of=True)
def fit(session: Session, **options: Any) -> int:
    """Fit log2(minutes) against release date by ordinary least squares; doubling time and crossings.

    Without --file the newest stored version of --series is used. With --draws (columns = models) the
    interval of the doubling time follows METR's rule: a refit per joint bootstrap draw.
    """
    from tracker.estimates.trend import Selection, crossing, fit_line, select

    points = _points(session, options)
    selection = Selection(
        metric=options["metric"],
        start=options["start"],
        end=options["before"],
        sota=options["sota"],
        max_minutes=options["max_minutes"],
    )
    chosen = select(points.measurements, selection)
    line = fit_line(chosen, selection)
    if options["draws"] is not None:
        line = _with_draws(line, chosen, options["draws"])
    crossings = [crossing(line, minutes, P_BY) for minutes in options["thresholds"] or THRESHOLDS]
    document = fit_json(points, selection, line, crossings)
    session.print(document, lambda: _show(document, line))
    return 0


def _points(session: Session, options: dict[str, Any]) -> Points:
    known = options["as_known_at"] or session.as_of
    if options["draws"] is not None and options["draw_dates"] is None:
        raise UsageError("--draws needs --draw-dates: a CSV with columns model, release_date, p50")
    if options["file"] is not None and options["series"] is not None:
        raise UsageError("give --file or --series, not both")
    if options["file"] is not None:
        return _from_file(options["file"], session)
    if options["draw_dates"] is not None:
        return _from_draw_dates(options["draw_dates"], options["metric"])
    return _from_store(session, options["series"] or DEFAULT_SERIES, known)


def _from_file(path: Path, session: Session) -> Points:
    from storage.records import RawPayload
    from tracker.sources.metr import read_metr

    raw = RawPayload("file", path.name, str(path), session.now(), 200, "application/yaml", path.read_bytes())
    try:
        parsed = read_metr(raw)
    except ParseError as error:
        raise UsageError(f"{path}: {error.field}: {error.message}") from error
    version = parsed.batch.versions[0]
    notes = (*(f"{fault.field}: {fault.message}" for fault in parsed.faults), *parsed.notes)
    return Points(version.series, raw.sha256, version.measurements, dict(version.published), notes)


def _from_store(session: Session, series: str, known: datetime | None) -> Points:
    store = session.store(create=False)
    try:
        if series not in store.series_ids():
            raise UsageError(
                f"no series {series!r} is stored; there are: {', '.join(store.series_ids()) or 'none yet'}"
            )
        versions = store.versions(series, known_at=known)
        if not versions:
            raise UsageError(f"nothing of {series} was known at {iso(known) if known else 'that time'}")
        points = store.measurements(series, known_at=known)
    finally:
        store.close()
    return Points(series, versions[-1].payload_sha256, points, dict(versions[-1].published))


def _from_draw_dates(path: Path, metric: str) -> Points:
    from csv import DictReader

    with path.open(encoding="utf-8", newline="") as file:
        reader = DictReader(file)
        missing = {"model", "release_date", "p50"} - set(reader.fieldnames or ())
        if missing:
            raise UsageError(f"{path}:1: missing column {', '.join(sorted(missing))}")
        measurements = [_draw_row(path, reader.line_num, row, metric) for row in reader]
    return Points(path.stem, None, measurements, {})


def _draw_row(path: Path, line: int, row: dict[str, str], metric: str) -> Measurement:
    try:
        return Measurement(
            series=path.stem,
            key=row["model"],
            metric=metric,
            at=date.fromisoformat(row["release_date"]),
            value=float(row["p50"]),
            unit="minutes",
        )
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path}:{line}: {error}") from error


def _with_draws(line: TrendFit, chosen: Sequence[Measurement], path: Path) -> TrendFit:
    """The fit with METR's interval: refit every joint draw on the models of the fit."""
    import pandas as pd

    from tracker.estimates.trend import bootstrap_ci, with_bootstrap

    try:
        frame = pd.read_csv(path)
        present = [point for point in chosen if point.key in frame.columns]
        draws = frame[[point.key for point in present]].astype(float).to_numpy()
    except (ValueError, pd.errors.ParserError) as error:
        raise UsageError(f"{path}: {error}") from error
    absent = [point.key for point in chosen if point not in present]
    if len(present) < 2:
        raise UsageError(
            f"{path}: fewer than two columns are named like models of the fit ({', '.join(absent[:5])}, …)"
        )
    fitted = with_bootstrap(line, bootstrap_ci(line, draws, [point.at for point in present]))
    if absent:
        fitted = replace(fitted, warnings=(*fitted.warnings, f"no draws for: {', '.join(absent)}"))
    return fitted


def fit_json(
    points: Points, selection: Selection, line: TrendFit, crossings: Sequence[Crossing]
) -> dict[str, Any]:
    """The shape of ``speedup trend fit --json``."""
    return {
        "series": points.series,
        "sha256": points.sha256,
        "selection": {
            "metric": selection.metric,
            "from": selection.start,
            "before": selection.end,
            "sota": selection.sota,
            "max_minutes": selection.max_minutes,
            "n": line.n,
            "points": list(line.keys),
        },
        "shape": "exponential",
        "doubling_time_days": line.doubling_time_days if isfinite(line.doubling_time_days) else None,
        "doubling_ci95_days": list(line.doubling_ci95_days),
        "ci_method": line.ci_method,
        "r_squared": line.r_squared,
        "residual_sd_log2": line.residual_sd_log2,
        "published": points.published,
        "crossings": [_crossing_json(entry) for entry in crossings],
        "shapes": [{"shape": "exponential", "aicc": None, "weight": 1.0, "reason": "the only shape fitted"}],
        "warnings": [*points.notes, *line.warnings],
    }


def _crossing_json(entry: Crossing) -> dict[str, Any]:
    return {
        "threshold_minutes": entry.threshold_minutes,
        "line": entry.line,
        "line_ci80": list(entry.line_ci80),
        "line_ci95": list(entry.line_ci95),
        "record_median": None,
        "record_ci80": [None, None],
        "record_reason": NO_RECORD,
        "p_by": {day.isoformat(): chance for day, chance in entry.p_by.items()},
        "p_by_of": "line",
    }


def _show(document: dict[str, Any], line: TrendFit) -> None:
    low, high = line.doubling_ci95_days
    click.echo(f"{document['series']}: {line.n} models, {document['selection']['metric']}")
    bounds = f"{low:.1f} to {high:.1f}" if low is not None and high is not None else "unbounded on one side"
    click.echo(f"doubling time {line.doubling_time_days:.3f} days (95%: {bounds}; {line.ci_method})")
    click.echo(f"R² {line.r_squared:.4f}, scatter around the line {line.residual_sd_log2:.3f} doublings")
    for name, value in document["published"].items():
        click.echo(f"the file itself says {name} = {value:g}")
    table(
        "the fitted line crosses (a model measured above comes later, or never on this instrument)",
        ["hours", "date", "80% from", "80% to", "95% from", "95% to"],
        [
            (f"{c['threshold_minutes'] / 60:g}", c["line"], *c["line_ci80"], *c["line_ci95"])
            for c in document["crossings"]
        ],
        right=[0],
    )
    for warning in document["warnings"]:
        click.echo(f"warning: {warning}")
