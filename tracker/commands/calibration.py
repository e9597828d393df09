"""``speedup calibration``: how good, and how calibrated, forecasters have been."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from storage.errors import StorageError
from tracker.columns import FORMATS
from tracker.commands.beside import Beside, show, today_json
from tracker.commands.session import Day, Session, parse_pairs, table, with_session
from tracker.errors import UsageError

if TYPE_CHECKING:
    from tracker.scoring.calibration import CalibrationReport, ScoreEstimate
    from tracker.scoring.table import ForecastTable

NO_STORE = "no database yet: `speedup pull` collects values, or give --input CSV"


@click.command(
    "calibration",
    epilog="Example:  speedup calibration --input crowd.csv "
    "--columns probability=crowd_probability,outcome=resolved_to,question=source+id,source=source --group-by source",
)
@click.option(
    "--input",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A CSV, not the store.",
)
@click.option(
    "--columns", metavar="ROLE=COL,…", help="Which column is what (probability, outcome, question, …)."
)
@click.option("--forecaster", "forecasters", multiple=True, help="Only these forecasters.")
@click.option("--source", "sources", multiple=True, help="Only values delivered by these sources.")
@click.option("--area", "areas", multiple=True, help="Only questions of these areas.")
@click.option("--since", type=Day(), help="Only forecasts made on or after this day.")
@click.option("--until", type=Day(), help="Only forecasts made on or before this day.")
@click.option(
    "--lead", "leads", type=click.IntRange(1, 36_500), multiple=True, metavar="DAYS", help="At these leads."
)
@click.option("--bins", default="10", show_default=True, metavar="N|quantile:N")
@click.option("--resamples", type=click.IntRange(0, 100_000), default=2000, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--group-by", metavar="NAME,…", help="forecaster, source, area, threshold, month, lead.")
@click.option(
    "--reference",
    type=click.FloatRange(0.0, 1.0, min_open=True, max_open=True),
    metavar="P",
    help="Skill against always saying P, instead of the base rate.",
)
@click.option(
    "--recalibrate", is_flag=True, help="Also probabilities corrected by their past, out of sample."
)
@click.option("--history", is_flag=True, help="Also the record at each month's end, as it was known then.")
@click.option(
    "--and-today", is_flag=True, help="With --as-of: would the same forecasts score the same today?"
)
@click.option(
    "--before-resolution",
    is_flag=True,
    help="Also what can be said without outcomes: belief movement, coherence, proxy scores.",
)
@click.option(
    "--charts",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write charts (PNG, SVG) into this folder: reliability, bins, history, comparison, leads, pit.",
)
@click.option(
    "--export",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write each forecast with its scores, the reports and the bins into this folder, with a guide to the columns.",
)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="csv", show_default=True, help="Of --export."
)
@click.option(
    "--dry-run", is_flag=True, help="With --plot, --charts and --export: say which files, write none."
)
@click.option(
    "--over-life", is_flag=True, help="Also scores averaged over time, at fixed leads, and Metaculus'."
)
@click.option(
    "--compare", type=click.Choice(["forecaster", "source"]), help="Also pairs on what both forecast."
)
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), help="Write a reliability diagram, PNG or SVG."
)
@with_session(as_of=True)
def command(session: Session, **options: Any) -> int:
    """Brier, log and spherical score, calibration error and reliability, with intervals over questions.

    Scores the community values in the database (the value at the end of each day, or at --lead days
    before the scheduled close), or any CSV with --input and --columns.
    """
    from tracker.scoring.calibration import calibrate, to_json

    told = _table(session, options)
    forecasts = _filtered(told, options)
    groups = [name for name in (options["group_by"] or "").split(",") if name]
    report = calibrate(
        forecasts,
        bins=options["bins"],
        resamples=options["resamples"],
        seed=options["seed"],
        group_by=groups,
        reference=options["reference"],
        curve=options["plot"] is not None or options["charts"] is not None,
    )
    beside = Beside(session, options, _filtered(told, {**options, "leads": (), "forecasters": ()}), forecasts)
    document = to_json(report) | beside.document(report)
    if options["and_today"]:
        if session.as_of is None or options["file"] is not None:
            raise UsageError("--and-today goes with --as-of, and with the database")
        now = _filtered(_table(replace(session, as_of=None), options), options)
        document["today"] = today_json(forecasts, now, session.as_of, report)

    def text() -> None:
        _show(report)
        show(document, report)

    session.print(document, text)
    return 0


def _table(session: Session, options: dict[str, Any]) -> ForecastTable:
    if options["file"] is not None:
        from tracker.scoring.reader import read_forecasts_csv

        if not options["columns"]:
            raise UsageError("--input needs --columns, such as probability=p,outcome=y,question=id")
        roles = parse_pairs(options["columns"].split(","), "--columns")
        return read_forecasts_csv(options["file"], roles, now=session.as_of or session.now())
    if options["columns"]:
        raise UsageError("--columns goes with --input")
    from tracker.scorecard import stored_forecasts

    store = session.store_if_any()
    if store is None:
        raise StorageError(NO_STORE)
    try:
        return stored_forecasts(
            store,
            session.catalogue,
            lead_days=options["leads"] or None,
            now=session.as_of or session.now(),
            known_at=session.as_of,
        )
    finally:
        store.close()


def _filtered(forecasts: ForecastTable, options: dict[str, Any]) -> ForecastTable:
    from tracker.scoring.table import at_leads, select

    since: date | None = options["since"]
    chosen = select(
        forecasts,
        forecasters=options["forecasters"],
        sources=options["sources"],
        areas=options["areas"],
        since=since,
        until=options["until"],
    )
    if options["file"] is not None and options["leads"]:
        return at_leads(chosen, options["leads"])
    return replace(chosen, notes=forecasts.notes)


def _show(report: CalibrationReport) -> None:
    click.echo(
        f"{report.n_forecasts} forecasts on {report.n_questions} questions; "
        f"not scored: {report.n_pending} pending ({report.n_overdue} overdue), {report.n_void} void, "
        f"{report.n_fraction} with another outcome, "
        f"{report.n_resolved_early} resolved early, {report.n_after_resolution} made after the outcome"
    )
    if report.n_sure_and_wrong:
        click.echo(
            f"sure and wrong: {report.n_sure_and_wrong} said 0 or 1 and it came out otherwise; their log score counts "
            f"as that of {report.log_clip:g}"
        )
    rows = [_row("all", report), *(_row(", ".join(group.group.values()), group) for group in report.groups)]
    table(
        "losses, lower is better (95% intervals over questions)",
        ["", "forecasts", "questions", "base rate", "Brier", "log (nats)", "ECE", "smooth ECE", "MCB", "DSC"],
        rows,
        right=range(1, 10),
    )
    filled = [bin_ for bin_ in report.bins if bin_.n]
    table(
        "reliability",
        ["forecast", "n", "questions", "mean forecast", "observed", "95%"],
        [
            (
                f"{b.lower:.2f}-{b.upper:.2f}",
                b.n,
                b.n_questions,
                b.mean_forecast,
                b.observed,
                f"{b.ci95[0]:.2f}-{b.ci95[1]:.2f}" if b.ci95 else "too few",
            )
            for b in filled
        ],
        right=range(1, 5),
    )
    for note in report.notes:
        click.echo(f"note: {note}")
    for where, reason in list(report.reasons.items())[:8]:
        click.echo(f"not given: {where}: {reason}")


def _row(name: str, report: CalibrationReport) -> tuple[object, ...]:
    corp = report.corp
    return (
        name,
        report.n_forecasts,
        report.n_questions,
        report.base_rate,
        _estimate(report.brier),
        _estimate(report.log_score),
        report.ece,
        report.smooth_ece,
        corp.miscalibration if corp else None,
        corp.discrimination if corp else None,
    )


def _estimate(score: ScoreEstimate) -> str:
    if score.value is None:
        return "-"
    if score.ci95 is None:
        return f"{score.value:.4f}"
    return f"{score.value:.4f} ({score.ci95[0]:.4f}-{score.ci95[1]:.4f})"
