"""``speedup trend fit``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracker.commands.backtest import backtest
from tracker.commands.points import DEFAULT_SERIES, Points, read_draws, read_points, tell_faults
from tracker.commands.session import Day, Moment, Session, table, with_session
from tracker.errors import UsageError

if TYPE_CHECKING:
    from questions.records import Measurement
    from tracker.estimates.mixture import Mixture
    from tracker.estimates.posterior import ShapeFit
    from tracker.estimates.releases import Futures, Passage
    from tracker.estimates.shapes import ShapeName
    from tracker.estimates.trend import Crossing, Selection, Sota, TrendFit

THRESHOLDS = (
    480.0,
    2400.0,
    6000.0,
    10020.0,
    120000.0,
)  # a day, a week, 100 h, a month (167 h), a year (2000 h)
P_BY = tuple(date(year, 12, 31) for year in range(2026, 2033))
SHAPE_CHOICES = ("exponential", "piecewise", "superexponential", "subexponential", "random_walk", "mixture")
TITLE = "{} crosses; record: a system is published as measured above; never: chance that this instrument shows none"
LATER = "later than 20 years after the last point, or never"


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
    help="Which models: flagged as record by the file (default), running maximum inside the window (default "
    "where nothing is flagged), or all.",
)
@click.option(
    "--max-minutes", type=click.FloatRange(0, 1e9, min_open=True), help="Leave out higher values (METR: 960)."
)
@click.option(
    "--shape",
    type=click.Choice(SHAPE_CHOICES),
    help="One shape alone; without it METR's least-squares line, and the mixture as forecast.",
)
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
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw it: FILE.png or FILE.svg."
)
@click.option("--as-known-at", type=Moment(), help="Fit what was known at this time.")
@click.option("--resamples", type=click.IntRange(100, 200_000), default=2000, show_default=True, hidden=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, hidden=True)
@with_session(as_of=True)
def fit(session: Session, **options: Any) -> int:
    """Fit log2(minutes) against release date; doubling time, crossings, simulated records, shapes' weights.

    The exponential is ordinary least squares as METR does it. The other shapes are posteriors that use each
    point's own interval, and the ceiling; the mixture weighs them by how each foretold past records, and
    is what forecasts rest on unless --shape names one. Without --file the newest stored version of
    --series is used. With --draws (columns = models) the interval of the exponential's doubling time
    follows METR's rule: a refit per joint bootstrap draw. Exit code 1: some rows of the input could not be
    read, and the rest was fitted.
    """
    from tracker.estimates.trend import Selection, crossing, fit_line, select

    plot = _plot_file(options["plot"])
    points, sota = _with_rule(read_points(session, options, history=plot is not None), options)
    selection = Selection(
        metric=options["metric"],
        start=options["start"],
        end=options["before"],
        sota=sota,
        max_minutes=options["max_minutes"],
    )
    thresholds = options["thresholds"] or THRESHOLDS
    chosen = select(points.measurements, selection)
    line = fit_line(chosen, selection)
    if options["draws"] is not None:
        line = _with_draws(line, chosen, options["draws"])
    ahead = look_ahead(points, selection, options, thresholds)
    if options["shape"] in (None, "exponential"):
        crossings = [crossing(line, minutes, P_BY) for minutes in thresholds]
        document = fit_json(points, selection, line, crossings, ahead)
        if options["shape"] is None and ahead.mixture is not None:
            document["mixture"] = posterior_json(ahead)
    else:
        document = shape_json(points, selection, line, ahead)
    if plot is not None:
        _draw(plot, points, line, ahead, session.as_of or session.now())
        document["plot"] = str(plot)
    session.print(document, lambda: _show(document))
    return tell_faults(points)


def _with_rule(points: Points, options: dict[str, Any]) -> tuple[Points, Sota]:
    """Which models count: the rule asked for; else the publisher's flags, or what stands in where it has none."""
    if options["sota"] is not None:
        return points, options["sota"]
    if any(p.is_sota is not None for p in points.measurements if p.metric == options["metric"]):
        return points, "file"
    note = "no model is flagged as a record: those at the running maximum inside the window are taken"
    return replace(points, notes=(*points.notes, note)), "window"


def _plot_file(path: Path | None) -> Path | None:
    if path is not None and path.suffix.lower() not in (".png", ".svg"):
        raise UsageError(f"--plot {path}: must end in .png or .svg")
    if path is not None and not path.absolute().parent.is_dir():
        raise UsageError(f"--plot {path}: there is no folder {path.absolute().parent}")
    return path


def _with_draws(line: TrendFit, chosen: Sequence[Measurement], path: Path) -> TrendFit:
    """The fit with METR's interval: refit every joint draw on the models of the fit."""
    from tracker.estimates.trend import bootstrap_ci, with_bootstrap

    names, table = read_draws(path)
    present = [point for point in chosen if point.key in names]
    absent = [point.key for point in chosen if point not in present]
    if len(present) < 2:
        raise UsageError(
            f"{path}: fewer than two columns are named like models of the fit ({', '.join(absent[:5])}, …)"
        )
    draws = table[:, [names.index(point.key) for point in present]]
    fitted = with_bootstrap(line, bootstrap_ci(line, draws, [point.at for point in present]))
    if absent:
        fitted = replace(fitted, warnings=(*fitted.warnings, f"no draws for: {', '.join(absent)}"))
    return fitted


@dataclass(frozen=True)
class Ahead:
    """What the shapes say: their weights, and when thresholds are passed under ``shape``.

    ``mixture`` is None with a ``reason`` when the points allow no shape beyond the least-squares line.
    """

    shape: str
    mixture: Mixture | None
    members: tuple[ShapeFit, ...]
    futures: Futures | None
    passages: tuple[Passage, ...]
    reason: str = ""


def look_ahead(
    points: Points, selection: Selection, options: dict[str, Any], thresholds: Sequence[float]
) -> Ahead:
    """Fit all shapes to the selected points, and simulate when thresholds are passed.

    A cap is the instrument's ceiling here: points above it stay in, as "at or above". Raises UsageError
    when a shape was asked for that these points do not allow.
    """
    from tracker.estimates.frontier import frontier_of, horizon_scale
    from tracker.estimates.mixture import fit_mixture
    from tracker.estimates.releases import passage, simulate
    from tracker.estimates.trend import select

    seed, asked = options["seed"], options["shape"]
    single: ShapeName | None = None if asked in (None, "mixture") else asked
    ceiling = selection.max_minutes or points.ceiling
    chosen = select(points.measurements, replace(selection, max_minutes=None))
    try:
        frontier = frontier_of(chosen, horizon_scale(chosen[0].unit), ceiling)
        mixture = fit_mixture(frontier, draws=options["resamples"], seed=seed)
    except UsageError as error:
        if asked not in (None, "exponential"):
            raise
        return Ahead("exponential", None, (), None, (), str(error))
    if single is not None and single in mixture.skipped:
        raise UsageError(mixture.skipped[single])
    members = mixture.members if single is None else (mixture.fits[single],)
    futures = simulate(members, seed=seed)
    passages = tuple(passage(futures, minutes, P_BY, ceiling=ceiling) for minutes in thresholds)
    return Ahead(single or "mixture", mixture, members, futures, passages)


def fit_json(
    points: Points, selection: Selection, line: TrendFit, crossings: Sequence[Crossing], ahead: Ahead
) -> dict[str, Any]:
    """The shape of ``speedup trend fit --json`` for the exponential: METR's line, simulated records beside it."""
    passages = ahead.passages or [None] * len(crossings)
    lines = [
        {
            "threshold_minutes": entry.threshold_minutes,
            "line": entry.line,
            "line_ci80": list(entry.line_ci80),
            "line_ci95": list(entry.line_ci95),
            "line_reason": _line_reason(line, entry),
            **_record_json(found, ahead),
            "p_by": _by_day(entry.p_by),
            "p_by_of": "line",
        }
        for entry, found in zip(crossings, passages, strict=True)
    ]
    return {
        **_head_json(points, selection, line),
        "shape": "exponential",
        "doubling_time_days": line.doubling_time_days if isfinite(line.doubling_time_days) else None,
        "doubling_ci95_days": list(line.doubling_ci95_days),
        "doubling_reason": _doubling_reason(line),
        "ci_method": line.ci_method,
        "r_squared": line.r_squared,
        "residual_sd_log2": line.residual_sd_log2,
        "crossings": lines,
        **_shapes_json(ahead),
        "warnings": [*points.faults, *points.notes, *line.warnings, *_warnings(ahead)],
    }


def _doubling_reason(line: TrendFit) -> str | None:
    """Why a doubling time or an end of its interval is null."""
    if not isfinite(line.doubling_time_days):
        return "the fitted line does not rise"
    if None in line.doubling_ci95_days:
        return "the slope's 95% interval reaches 0: no doubling time is too long to be excluded"
    return None


def _line_reason(line: TrendFit, entry: Crossing) -> str | None:
    """Why a crossing or an end of its intervals is null."""
    if entry.line is None:
        return "the fitted line does not rise, or crosses beyond the calendar"
    if None in (*entry.line_ci80, *entry.line_ci95):
        steep = line.slope_per_day > 0 and None not in line.doubling_ci95_days
        return "beyond the calendar" if steep else "the slope is not surely positive: no date can be excluded"
    return None


def shape_json(points: Points, selection: Selection, line: TrendFit, ahead: Ahead) -> dict[str, Any]:
    """The same shape for a posterior: doubling time is that at the last point."""
    import numpy as np

    fitted = np.concatenate([fit.fitted for fit in ahead.members])
    frontier = ahead.members[0].frontier
    kept = ~frontier.censored
    rest = (frontier.heights - fitted.mean(axis=0))[kept]
    spread = frontier.heights[kept] - frontier.heights[kept].mean()
    total = float(spread @ spread)
    head = _head_json(points, selection, line)
    head["selection"] |= {"n": frontier.n, "points": list(frontier.keys)}
    return {
        **head,
        **posterior_json(ahead),
        "r_squared": 1.0 - float(rest @ rest) / total if total > 0 else 0.0,
        "residual_sd_log2": float(np.median(np.concatenate([fit.scatter for fit in ahead.members]))),
        **_shapes_json(ahead),
        "warnings": [*points.faults, *points.notes, *_warnings(ahead)],
    }


def posterior_json(ahead: Ahead) -> dict[str, Any]:
    """Doubling time at the last point, and crossings, of a shape or of the mixture."""
    import numpy as np

    growth = np.concatenate([fit.growth for fit in ahead.members])
    low, middle, high = doubling_quantiles(growth, (0.025, 0.5, 0.975))
    return {
        "shape": ahead.shape,
        "doubling_time_days": middle,
        "doubling_ci95_days": [low, high],
        "doubling_reason": "growth of zero or less at the last point is not excluded"
        if None in (low, middle, high)
        else None,
        "ci_method": "posterior of the growth at the last point; an end of null means not growing",
        "crossings": [
            {
                "threshold_minutes": entry.threshold,
                "line": entry.line,
                "line_ci80": list(entry.line_ci80),
                "line_ci95": list(entry.line_ci95),
                "line_reason": LATER if None in (entry.line, *entry.line_ci80, *entry.line_ci95) else None,
                **_record_json(entry, ahead),
                "p_by": _by_day(entry.line_p_by),
                "p_by_of": "line",
            }
            for entry in ahead.passages
        ],
    }


def doubling_quantiles(growth: Any, shares: Sequence[float]) -> list[float | None]:
    """Quantiles of the doubling time in days from growth in doublings a year; None = not growing."""
    import numpy as np

    from tracker.estimates.trend import DAYS_PER_YEAR

    fast = np.quantile(growth, [1.0 - share for share in shares]).tolist()
    return [DAYS_PER_YEAR / rate if rate > 0 else None for rate in fast]


def _head_json(points: Points, selection: Selection, line: TrendFit) -> dict[str, Any]:
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
        "published": points.published,
        "failed": list(points.faults),
    }


def _record_json(entry: Passage | None, ahead: Ahead) -> dict[str, Any]:
    """When a system is published as measured above, under the shape named in ``record_of``."""
    if entry is None or entry.record_p_by is None:
        return {
            "record_median": None,
            "record_ci80": [None, None],
            "record_p_by": None,
            "record_of": ahead.shape,
            "record_reason": entry.reason if entry else ahead.reason,
            "p_never_observed": entry.p_never_observed if entry else None,
        }
    open_end = LATER if None in (entry.record, *entry.record_ci80) else ""
    return {
        "record_median": entry.record,
        "record_ci80": list(entry.record_ci80),
        "record_p_by": _by_day(entry.record_p_by),
        "record_of": ahead.shape,
        "record_reason": "; ".join(filter(None, (entry.reason, open_end))) or None,
        "p_never_observed": entry.p_never_observed,
    }


def _by_day(chances: Any) -> dict[str, float]:
    return {day.isoformat(): chance for day, chance in chances.items()}


def _shapes_json(ahead: Ahead) -> dict[str, Any]:
    """Every shape with its weight (of the mixture) and AICc, and the priors of those in use."""
    from tracker.estimates.shapes import PRIORS, SHAPES

    mixture = ahead.mixture
    if mixture is None:
        return {
            "shapes": [{"shape": "exponential", "aicc": None, "weight": 1.0, "reason": ahead.reason}],
            "priors": {},
            "foretold": 0,
        }
    shapes = [
        {
            "shape": shape,
            "aicc": mixture.criteria[shape],
            "weight": mixture.weights.get(shape, 0.0),
            "mean_log_score": _mean(mixture.log_scores.get(shape, ())),
            "reason": mixture.skipped.get(shape),
        }
        for shape in SHAPES
    ]
    unit = mixture.frontier.scale.unit
    return {
        "shapes": shapes,
        "priors": {fit.shape: list(PRIORS.describe(fit.shape, unit)) for fit in ahead.members},
        "foretold": len(mixture.foretold),
    }


def _mean(values: Sequence[float]) -> float | None:
    """None without values, and when one is infinite (a record the shape thought impossible)."""
    return sum(values) / len(values) if values and all(map(isfinite, values)) else None


def _warnings(ahead: Ahead) -> list[str]:
    if ahead.mixture is None:
        return [f"no shapes beside the line: {ahead.reason}"]
    thin = [fit.shape for fit in ahead.members if fit.effective < 0.05 * fit.draws]
    few = [f"{', '.join(thin)}: few effective draws, repeat with more --resamples"] if thin else []
    return [*ahead.mixture.frontier.warnings, *few]


def _draw(path: Path, points: Points, line: TrendFit, ahead: Ahead, now: datetime) -> None:
    """The chart of the fit as a file, PNG or SVG by its name."""
    from tracker.estimates.releases import fan, passage
    from tracker.report.plots import THRESHOLDS_MINUTES, Outlook, horizon_chart, png_bytes, svg_text

    metric = line.selection.metric
    shown = [point for point in points.measurements if point.metric == metric and point.value > 0]
    units = {point.unit for point in shown}
    if units != {"minutes"}:
        raise UsageError(f"--plot draws time horizons in minutes, {points.series} is in {', '.join(units)}")
    outlook, ceiling = None, line.selection.max_minutes or points.ceiling
    if ahead.futures is not None:
        passages = tuple(passage(ahead.futures, minutes, ceiling=ceiling) for minutes in THRESHOLDS_MINUTES)
        name = "mixture of trend shapes" if ahead.shape == "mixture" else ahead.shape.replace("_", " ")
        outlook = Outlook(fan(ahead.futures), passages, name)
    versions = {version.fetched_at.date(): version.measurements for version in points.versions}
    figure = horizon_chart(
        versions or {now.date(): points.measurements},
        line,
        as_of=now,
        outlook=outlook,
        ceiling_minutes=ceiling,
        metric=metric,
        note="" if versions else points.credit,
    )
    try:
        if path.suffix.lower() == ".svg":
            path.write_text(svg_text(figure), encoding="utf-8")
        else:
            path.write_bytes(png_bytes(figure))
    except OSError as error:
        raise UsageError(f"--plot {path}: cannot be written: {error.strerror}") from None


def _show(document: dict[str, Any]) -> None:
    click.echo(
        f"{document['series']}: {document['selection']['n']} models, {document['selection']['metric']}, "
        f"{document['shape']}"
    )
    click.echo(_doubling(document))
    click.echo(
        f"R² {document['r_squared']:.4f}, scatter around the trend {document['residual_sd_log2']:.3f} doublings"
    )
    for name, value in document["published"].items():
        click.echo(f"the file itself says {name} = {value:g}")
    mixture = document.get("mixture")
    if mixture is None:
        _show_crossings(document, TITLE.format("the trend"))
    else:
        _show_crossings(document, "the least-squares line crosses", records=False)
        click.echo(f"mixture of shapes, now: {_doubling(mixture)}")
        _show_crossings(mixture, TITLE.format("the mixture's trend"))
    table(
        f"shapes, weighed by the {document['foretold']} past records each foretold",
        ["shape", "weight", "AICc", "mean log score", ""],
        [
            (s["shape"], s["weight"], s["aicc"], s.get("mean_log_score"), s["reason"] or "")
            for s in document["shapes"]
        ],
        right=[1, 2, 3],
    )
    _show_priors(document["priors"])
    for warning in document["warnings"]:
        click.echo(f"warning: {warning}")
    if document.get("plot"):
        click.echo(f"drawn: {document['plot']}")


def _show_priors(priors: dict[str, list[str]]) -> None:
    """What is assumed for all shapes in use once, then what each adds."""
    shared = [part for part in next(iter(priors.values()), []) if all(part in own for own in priors.values())]
    if shared:
        click.echo(f"priors: {'; '.join(shared)}")
    for shape, own in priors.items():
        added = [part for part in own if part not in shared]
        if added:
            click.echo(f"priors of {shape}: {'; '.join(added)}")


def _doubling(entry: dict[str, Any]) -> str:
    low, high = entry["doubling_ci95_days"]
    days = entry["doubling_time_days"]
    bounds = f"{low:.1f} to {high:.1f}" if low is not None and high is not None else "unbounded on one side"
    doubling = "infinite" if days is None else f"{days:.3f} days"
    return f"doubling time {doubling} (95%: {bounds}; {entry['ci_method']})"


def _show_crossings(entry: dict[str, Any], title: str, *, records: bool = True) -> None:
    """One row a threshold; a date of "none" is explained below the table."""
    heads = ["hours", "trend", "80% from", "80% to", "95% from", "95% to"]
    rows = []
    for c in entry["crossings"]:
        row = [f"{c['threshold_minutes'] / 60:g}", c["line"], *c["line_ci80"], *c["line_ci95"]]
        rows.append((*row, c["record_median"], *c["record_ci80"], c["p_never_observed"]) if records else row)
    table(
        title,
        [*heads, "record", "80% from", "80% to", "never"] if records else heads,
        rows,
        right=[0, 9] if records else [0],
    )
    reasons = dict.fromkeys(
        (c["threshold_minutes"] / 60, c[key])
        for c in entry["crossings"]
        for key in (("line_reason", "record_reason") if records else ("line_reason",))
        if c[key]
    )
    by_reason: dict[str, list[str]] = {}
    for hours, reason in reasons:
        by_reason.setdefault(reason, []).append(f"{hours:g}")
    for reason, hours_of in by_reason.items():
        click.echo(f"{', '.join(hours_of)} h: {reason}")


command.add_command(backtest)
