"""``speedup calibration``: how good, and how calibrated, forecasters have been."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from storage.errors import StorageError
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
    )
    document = to_json(report)
    if options["over_life"]:
        document["over_life"] = _over_life(session, told, options)
    if options["compare"]:
        document["comparison"] = _comparison(forecasts, options)
    if options["plot"] is not None:
        _plot(report, options["plot"], session)
    session.print(document, lambda: _show_all(report, document))
    return 0


def _over_life(session: Session, told: ForecastTable, options: dict[str, Any]) -> list[dict[str, Any]]:
    from tracker.scoring.lives import LEADS, from_table, records, records_json

    if options["since"] or options["until"]:
        raise UsageError("--over-life is of whole lives: --since and --until do not go with it")
    if options["file"] is not None:
        everybody = {**options, "leads": (), "forecasters": ()}
        paths, lives = from_table(_filtered(told, everybody))
    else:
        from tracker.scorecard import areas_of, stored_lives

        if options["sources"]:
            raise UsageError("--over-life: choose by --forecaster, not by --source")
        store = session.store(create=False)
        try:
            paths, lives = stored_lives(
                store, session.catalogue, now=session.as_of or session.now(), known_at=session.as_of
            )
        finally:
            store.close()
        if options["areas"]:
            areas = {"/".join(key): held for key, held in areas_of(session.catalogue).items()}
            wanted = set(options["areas"])
            kept = {name for name in lives if not wanted.isdisjoint(areas.get(name.rpartition("/")[0], ()))}
            paths = {key: steps for key, steps in paths.items() if key[1] in kept}
    found = records(paths, lives, leads=options["leads"] or LEADS)
    # everybody is a peer, whoever is shown
    chosen = options["forecasters"]
    return records_json([one for one in found if not chosen or one.forecaster in chosen])


def _comparison(forecasts: ForecastTable, options: dict[str, Any]) -> dict[str, Any]:
    from tracker.scoring.compare import compare, comparison_json

    by, resamples = options["compare"], min(options["resamples"], 2000)
    return comparison_json(compare(forecasts, by, resamples=resamples, seed=options["seed"]))


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


def _plot(report: CalibrationReport, path: Path, session: Session) -> None:
    from tracker.report.content import reliability_report
    from tracker.report.plots import png_bytes, reliability_chart, svg_text

    if path.suffix.lower() not in (".png", ".svg"):
        raise UsageError(f"--plot {path}: the name must end in .png or .svg")
    entry = reliability_report("forecasts", report)
    if entry is None:
        raise UsageError("--plot: nothing was scored, there is nothing to draw")
    figure = reliability_chart(entry, as_of=session.as_of or session.now())
    path.write_bytes(png_bytes(figure) if path.suffix.lower() == ".png" else svg_text(figure).encode())


def _show_all(report: CalibrationReport, document: dict[str, Any]) -> None:
    _show(report)
    if "over_life" in document:
        _show_lives(document["over_life"])
    if "comparison" in document:
        _show_comparison(document["comparison"])


def _show_lives(records: list[dict[str, Any]]) -> None:
    leads = list(dict.fromkeys(lead["lead"] for one in records for lead in one["leads"]))
    table(
        "over the life of each question, each counting once; baseline and peer: higher is better",
        ["", "questions", "coverage", "Brier", "log (nats)", "baseline", "peer"]
        + [f"Brier {lead}" + (" d" if lead.isdigit() else "") for lead in leads],
        [
            (
                one["forecaster"],
                one["n_questions"],
                one["coverage"],
                *(_mean(one[name]) for name in ("brier", "log_score", "baseline", "peer")),
                *(_mean({lead["lead"]: lead for lead in one["leads"]}.get(lead)) for lead in leads),
            )
            for one in records
        ],
        right=range(1, 7 + len(leads)),
    )


def _show_comparison(found: dict[str, Any]) -> None:
    table(
        "Brier score of a less that of b on common questions: negative, a is better",
        ["a", "b", "questions", "events", "difference (95%)", "won by a", "any time (95%)", "detectable"],
        [
            (
                pair["a"],
                pair["b"],
                pair["difference"]["n"],
                pair["difference"]["n_events"],
                _mean(pair["difference"]),
                pair["won_by_a"],
                _mean(pair["sequence"]),
                pair["detectable_difference"],
            )
            for pair in found["pairs"]
        ],
        right=range(2, 8),
    )
    table(
        "Brier score with the difficulty of the questions taken out",
        [found["by"], "forecasts", "Brier (95%)"],
        [(one[found["by"]], one["n"], _mean(one)) for one in found["adjusted"]],
        right=range(1, 3),
    )


def _mean(one: dict[str, Any] | None) -> str:
    if one is None or one["value"] is None:
        return "-"
    if one["ci95"] is None:
        return f"{one['value']:.4f}"
    return f"{one['value']:.4f} ({one['ci95'][0]:.4f} to {one['ci95'][1]:.4f})"


def _show(report: CalibrationReport) -> None:
    click.echo(
        f"{report.n_forecasts} forecasts on {report.n_questions} questions; "
        f"not scored: {report.n_pending} pending, {report.n_void} void, {report.n_fraction} with another outcome, "
        f"{report.n_resolved_early} resolved early, {report.n_after_resolution} made after the outcome"
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
