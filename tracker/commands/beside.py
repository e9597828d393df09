"""What ``speedup calibration`` tells beside its report: over life, compared, recalibrated, by month, as charts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracker.commands.session import Session, printable, table
from tracker.errors import UsageError
from tracker.own import OWN

if TYPE_CHECKING:
    from tracker.numbers import Numbers
    from tracker.report.plots.scores import Month
    from tracker.scoring.calibration import CalibrationReport
    from tracker.scoring.compare import By, Comparison
    from tracker.scoring.lives import Record
    from tracker.scoring.numeric import Places
    from tracker.scoring.table import ForecastTable

VIOLATIONS_SHOWN = 20
_LIFE_SCORES = ("brier", "log_score", "baseline", "peer", "spot_baseline", "spot_peer")


@dataclass(frozen=True)
class Beside:
    """Each part is computed when it is first asked for.

    ``everybody``: forecasts filtered by all but forecaster and lead time, whose peers all others are;
    ``forecasts``: the ones that were asked for.
    """

    session: Session
    options: dict[str, Any]
    everybody: ForecastTable
    forecasts: ForecastTable

    @property
    def now(self) -> datetime:
        return self.session.as_of or self.session.now()

    @cached_property
    def records(self) -> list[Record]:
        from tracker.scoring.lives import LEADS, from_table, records

        options = self.options
        if options["since"] or options["until"]:
            raise UsageError("--over-life is of whole lives: --since and --until do not go with it")
        if options["file"] is not None:
            paths, lives = from_table(self.everybody)
        else:
            if options["sources"]:
                raise UsageError("--over-life: choose by --forecaster, not by --source")
            paths, lives = self._stored_lives()
        found = records(paths, lives, leads=options["leads"] or LEADS)
        chosen = options["forecasters"]
        return [one for one in found if not chosen or one.forecaster in chosen]

    def _stored_lives(self) -> Any:
        from tracker.scorecard import areas_of, stored_lives

        catalogue, wanted = self.session.catalogue, set(self.options["areas"])
        store = self.session.store(create=False)
        try:
            paths, lives = stored_lives(store, catalogue, now=self.now, known_at=self.session.as_of)
        finally:
            store.close()
        if not wanted:
            return paths, lives
        areas = {"/".join(key): held for key, held in areas_of(catalogue).items()}
        kept = {name for name in lives if not wanted.isdisjoint(areas.get(_asked(name), ()))}
        return {key: steps for key, steps in paths.items() if key[1] in kept}, lives

    @cached_property
    def comparison(self) -> Comparison:
        from tracker.scoring.compare import compare
        from tracker.scoring.recalibration import out_of_sample
        from tracker.scoring.table import joined

        found = self.forecasts
        by: By = self.options["compare"] or ("forecaster" if found.forecaster is not None else "source")
        if self.options["recalibrate"] and by == "forecaster" and found.forecaster is not None:
            found = joined(found, out_of_sample(found))
        return compare(found, by, resamples=min(self.options["resamples"], 2000), seed=self.options["seed"])

    @cached_property
    def months(self) -> list[Month]:
        from tracker.monthly import RESAMPLES, stored_history, table_history

        options, resamples = self.options, self.options["resamples"]
        if options["file"] is not None:
            return table_history(self.forecasts, now=self.now, resamples=resamples)
        from tracker.scoring.table import select

        def part(table: ForecastTable) -> ForecastTable:
            return select(
                table,
                sources=options["sources"],
                areas=options["areas"],
                since=options["since"],
                until=options["until"],
            )

        narrowed = any(options[name] for name in ("sources", "areas", "since", "until"))
        store = self.session.store(create=False)
        try:
            months = stored_history(
                store,
                self.session.catalogue,
                lead_days=options["leads"] or None,
                now=self.session.now(),
                known_at=self.session.as_of,
                resamples=resamples if narrowed else RESAMPLES,
                chosen=part if narrowed else None,
            )
        finally:
            store.close()
        chosen = options["forecasters"]
        return [month for month in months if not chosen or month.forecaster in chosen]

    @cached_property
    def distributions(self) -> dict[str, Any]:
        """Scores of numbers and dates in the database, which mix with nothing else."""
        from tracker.scoring.lives import LEADS
        from tracker.scoring.numeric import numeric_json

        options = self.options
        if any(options[name] for name in ("sources", "since", "until")):
            return {
                "scores": None,
                "reason": "of whole lives: --source, --since and --until do not go with it",
            }
        found, everybody = self._numbers
        return numeric_json(
            found.told,
            found.answers,
            found.not_scored,
            leads=options["leads"] or LEADS,
            everybody=everybody.told,
        )

    @property
    def places(self) -> list[Places]:
        """Where the answers of numbers and dates fell in everybody's distributions."""
        from tracker.scoring.lives import LEADS
        from tracker.scoring.numeric import places

        options = self.options
        if options["file"] is not None:
            raise UsageError("a file of probabilities holds no numbers and dates")
        if any(options[name] for name in ("sources", "since", "until")):
            raise UsageError("numbers and dates: --source, --since and --until do not go with them")
        found, _ = self._numbers
        return places(found.told, found.answers, leads=options["leads"] or LEADS)

    @cached_property
    def _numbers(self) -> tuple[Numbers, Numbers]:
        """Numbers and dates of the forecasters that were asked for, and of everybody, who are their peers."""
        from tracker.numbers import stored_numbers

        found = self._of_store(stored_numbers)
        if not self.options["forecasters"]:
            return found, found
        return found, self._of_store(stored_numbers, forecasters=())

    def _of_store(self, ask: Callable[..., Any], **other: Any) -> Any:
        """What a question to the store answers, of the forecasters and areas that were asked for, as known then."""
        store = self.session.store(create=False)
        try:
            return ask(
                store,
                self.session.catalogue,
                now=self.now,
                known_at=self.session.as_of,
                **{"forecasters": self.options["forecasters"], "areas": self.options["areas"], **other},
            )
        finally:
            store.close()

    @cached_property
    def beforehand(self) -> dict[str, Any]:
        from tracker.beforehand import before_resolution

        options = self.options
        if options["file"] is not None or any(
            options[name] for name in ("sources", "since", "until", "leads")
        ):
            raise UsageError(
                "--before-resolution is of the database; only --forecaster and --area go with it"
            )
        found: dict[str, Any] = self._of_store(before_resolution)
        return found

    def document(self, report: CalibrationReport) -> dict[str, Any]:
        """The parts that were asked for, under their public names; charts are written on the way."""
        from tracker.scoring.compare import comparison_json
        from tracker.scoring.lives import records_json
        from tracker.scoring.recalibration import evaluate, recalibration_json, today

        options = self.options
        found: dict[str, Any] = {}
        if options["file"] is None:
            found["distributions"] = self.distributions
        if options["over_life"]:
            found["over_life"] = records_json(self.records)
        if options["compare"]:
            found["comparison"] = comparison_json(self.comparison)
        if options["recalibrate"]:
            found["recalibration"] = recalibration_json(today(self.forecasts), evaluate(self.forecasts))
        if options["before_resolution"]:
            found["before_resolution"] = self.beforehand
        if options["history"]:
            found["history"] = [_month_json(month) for month in self.months]
        return found | self._charts(report) | self._export(report)

    def _export(self, report: CalibrationReport) -> dict[str, Any]:
        """Write the tables that were asked for; tell which files with how many rows."""
        folder, form, dry_run = (self.options[name] for name in ("export", "form", "dry_run"))
        if folder is None:
            return {}
        from tracker.commands.export import replace_file
        from tracker.commands.score_files import files

        numbers = self.distributions if self.options["file"] is None else None
        written = []
        for file in files(self.forecasts, report, numbers, at=self.now, form=form):
            if not dry_run:
                folder.mkdir(parents=True, exist_ok=True)
                replace_file(folder / file.name, file.content)
            written.append({"file": str(folder / file.name), "rows": file.rows, "bytes": len(file.content)})
        return {"export": {"format": form, "dry_run": dry_run, "files": written}}

    def _charts(self, report: CalibrationReport) -> dict[str, Any]:
        """Write the charts that were asked for; tell which files, and why one is not there."""
        plot, folder, dry_run = (self.options[name] for name in ("plot", "charts", "dry_run"))
        if plot is None and folder is None:
            return {}
        targets = [] if plot is None else [("reliability", plot)]
        if plot is not None and plot.suffix.lower() not in (".png", ".svg"):
            raise UsageError(f"--plot {plot}: the name must end in .png or .svg")
        drawers = self._drawers(report)
        if folder is not None:
            targets += [(chart, folder / f"{chart}.{form}") for chart in drawers for form in ("png", "svg")]
        figures: dict[str, Any] = {}
        missing: dict[str, str] = {}
        for chart in dict.fromkeys(chart for chart, _ in targets):
            try:
                figures[chart] = drawers[chart]()
            except (ValueError, UsageError) as error:
                missing[chart] = str(error)
        if plot is not None and "reliability" in missing:
            raise UsageError(f"--plot: {missing['reliability']}")
        files = [(figures[chart], path) for chart, path in targets if chart in figures]
        if not dry_run:
            for figure, path in files:
                _write(figure, path)
        return {"files": [str(path) for _, path in files], "files_missing": missing, "dry_run": dry_run}

    def _drawers(self, report: CalibrationReport) -> dict[str, Callable[[], Any]]:
        from tracker.report.content import reliability_report
        from tracker.report.plots import reliability_chart
        from tracker.report.plots.places import pit_chart
        from tracker.report.plots.scores import comparison_chart, corp_chart, history_chart, lead_chart

        name = ", ".join(self.options["forecasters"] or self.options["sources"]) or "all forecasts"

        def binned() -> Any:
            found = reliability_report(name, report)
            if found is None:
                raise ValueError("no scored forecast: nothing to draw")
            return reliability_chart(found, as_of=self.now)

        return {
            "reliability": lambda: corp_chart(report, name=name, as_of=self.now),
            "bins": binned,
            "history": lambda: history_chart(self.months, as_of=self.now),
            "comparison": lambda: comparison_chart(self.comparison, as_of=self.now),
            "leads": lambda: lead_chart(self.records, as_of=self.now),
            "pit": lambda: pit_chart(self.places, as_of=self.now),
        }


def _asked(life: str) -> str:
    """The question of a life, without its option and, if it is one of ours, without its version."""
    question = life.rpartition("/")[0]
    return question.partition("@")[0] if question.startswith(f"{OWN}/") else question


def _write(figure: Any, path: Path) -> None:
    from tracker.report.plots import png_bytes, svg_text

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png_bytes(figure) if path.suffix.lower() == ".png" else svg_text(figure).encode())


def _month_json(month: Month) -> dict[str, Any]:
    ends = month.ci95
    document: dict[str, Any] = {
        "month": f"{month.month:%Y-%m}",
        "forecaster": month.forecaster,
        "n_questions": month.n_questions,
        "brier": {"value": month.brier, "ci95": None if ends is None else list(ends)},
    }
    if ends is None:
        document["brier"]["reason"] = "too few questions then"
    return document


def today_json(
    then: ForecastTable, now: ForecastTable, as_of: datetime, report: CalibrationReport
) -> dict[str, Any]:
    """The forecasts that were scored at ``as_of`` by what is known now: would the page say the same?"""
    import numpy as np

    from tracker.scoring.calibration import calibrate
    from tracker.scoring.table import Status

    scored = set(then.question[then.status == Status.SCORED].tolist())
    assert now.made_at is not None
    moment = np.datetime64(as_of.astimezone(UTC).replace(tzinfo=None), "us")
    rows = now.rows(np.isin(now.question.astype(str), list(scored)) & (now.made_at <= moment))
    again = calibrate(rows, resamples=0)
    before, after = (
        {
            (question, option): float(outcome)
            for question, option, outcome, status in zip(
                one.question, one.option if one.option is not None else one.question, one.outcome, one.status,
                strict=True,
            )
            if status == Status.SCORED
        }
        for one in (then, rows)
    )  # fmt: skip
    return {
        "n_forecasts": again.n_forecasts,
        "n_questions": again.n_questions,
        "brier": again.brier.value,
        "log_score": again.log_score.value,
        "same": (again.n_forecasts, again.brier.value) == (report.n_forecasts, report.brier.value),
        "outcomes_changed": sorted({q for q, _ in before if any(
            before[key] != after.get(key) for key in before if key[0] == q)}),
    }  # fmt: skip


def show(document: dict[str, Any], report: CalibrationReport) -> None:
    """Whatever of it there is, for people."""
    if document.get("distributions", {}).get("scores") is not None:
        _show_distributions(document["distributions"])
    if "over_life" in document:
        _show_lives(document["over_life"])
    if "comparison" in document:
        _show_comparison(document["comparison"])
    if "recalibration" in document:
        _show_recalibration(document["recalibration"])
    if "before_resolution" in document:
        _show_beforehand(document["before_resolution"])
    if "history" in document:
        table(
            "as it was known at each month's end",
            ["month", "forecaster", "questions", "Brier (95%)"],
            [(m["month"], m["forecaster"], m["n_questions"], _mean(m["brier"])) for m in document["history"]],
            right=range(2, 4),
        )
    if "today" in document:
        today = document["today"]
        same = "the same" if today["same"] else f"Brier {today['brier']}, then {report.brier.value}"
        click.echo(f"by what is known today these forecasts ({today['n_forecasts']}) score {same}")
        for question in today["outcomes_changed"]:
            click.echo(f"  has another outcome now, or none: {printable(question)}")
    for path in document.get("files", []):
        click.echo(f"would be written: {path}" if document["dry_run"] else f"written: {path}")
    for one in document.get("export", {}).get("files", []):
        verb = "would be written" if document["export"]["dry_run"] else "written"
        click.echo(f"{verb}: {one['file']} ({one['rows']:,} rows)")
    for chart, why in document.get("files_missing", {}).items():
        click.echo(f"not drawn: {chart}: {why}")


def _show_lives(records: list[dict[str, Any]]) -> None:
    leads = list(dict.fromkeys(lead["lead"] for one in records for lead in one["leads"]))
    table(
        "over the life of each question, each counting once; baseline and peer: higher is better",
        ["", "questions", "coverage", "Brier", "log (nats)", "baseline", "peer", "spot baseline", "spot peer"]
        + [f"Brier {lead}" + (" d" if lead.isdigit() else "") for lead in leads],
        [
            (
                one["forecaster"],
                one["n_questions"],
                one["coverage"],
                *(_mean(one[name]) for name in _LIFE_SCORES),
                *(_mean({lead["lead"]: lead for lead in one["leads"]}.get(lead)) for lead in leads),
            )
            for one in records
        ],
        right=range(1, 9 + len(leads)),
    )


def _show_distributions(found: dict[str, Any]) -> None:
    """Numbers and dates, each measure by itself; nothing where none was said."""
    if found["scores"]:
        table(
            "numbers and dates, over the life of each question (baseline: higher is better, the rest lower)",
            ["", "score", "unit", "questions", "time covered", "score (95%)"],
            [
                (
                    one["forecaster"],
                    one["score"]
                    + ("" if one["levels"] is None else f" at {', '.join(map(str, one['levels']))}"),
                    one["unit"],
                    one["n_questions"],
                    one["time_covered"],
                    _mean(one["over_life"]),
                )
                for one in found["scores"]
            ],
            right=range(3, 6),
        )
        table(
            "how often central intervals held the answer (95%, questions of one event count once)",
            ["", "lead", "questions", "50%", "80%", "90%"],
            [
                (one["forecaster"], one["lead"], one["n_questions"], *map(_share, one["coverage"]))
                for one in found["calibration"]
            ],
            right=range(2, 6),
        )
    if found["not_scored"]:
        told = ", ".join(f"{one['n']} {one['reason']}" for one in found["not_scored"])
        click.echo(f"numbers and dates not scored: {told}")


def _show_beforehand(found: dict[str, Any]) -> None:
    click.echo(found["label"])
    movement, coherence, proxies = (found[name] for name in ("belief_movement", "coherence", "proxies"))
    table(
        "belief movement",
        ["", "questions", "movement", "uncertainty lost", "excess (95%)"],
        [
            (
                one["forecaster"],
                one["excess"]["n"],
                one["movement"],
                one["uncertainty_lost"],
                _mean(one["excess"]),
            )
            for one in movement["forecasters"]
        ],
        right=range(1, 5),
    )
    click.echo(movement["label"])
    broken = coherence["violations"]
    table(
        "coherence",
        ["rule", "", "of", "said", "excess"],
        [
            (
                f"{one['rule']} ({one['kind']})",
                one["forecaster"],
                ", ".join(one["about"]),
                ", ".join(f"{p:.3f}" for p in one["said"]),
                one["excess"],
            )
            for one in broken[:VIOLATIONS_SHOWN]
        ],
        right=(4,),
    )
    tried = ", ".join(f"{count} {rule}" for rule, count in coherence["n_checked"].items())
    click.echo(f"{len(broken)} found; checked: {tried}; {coherence['label']}")
    table(
        "proxy scores",
        ["", "days before", "questions", "proxy Brier (95%)", "proxy log (nats)"],
        [
            (one["forecaster"], one["days_before"], one["proxy_brier"]["n"], _mean(one["proxy_brier"]),
             _mean(one["proxy_log_score"]))
            for one in proxies["forecasters"]
        ],
        right=range(1, 5),
    )  # fmt: skip
    click.echo(proxies["label"])


def _share(one: dict[str, Any]) -> str:
    return f"{one['share']:.2f} ({one['ci95'][0]:.2f} to {one['ci95'][1]:.2f})"


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


def _show_recalibration(found: dict[str, Any]) -> None:
    table(
        f"calibration lines from {found['n_questions']} questions, shrunk; they have weight {found['weight']:.2f}",
        ["source", "days to close", "intercept", "slope"],
        [
            (
                line["source"],
                "unknown"
                if line["lead_from_days"] is None
                else f"{line['lead_from_days']:g} to {line['lead_to_days'] or math.inf:g}",
                line["intercept"],
                line["slope"],
            )
            for line in found["lines"]
        ],
        right=range(2, 4),
    )
    done = found["out_of_sample"]
    if done is None:
        click.echo(f"not judged: {found['reason']}")
        return
    click.echo(
        f"out of sample, {done['n_forecasts']} forecasts: log score changed by "
        f"{_mean(done['log_score_change'])}, Brier by {_mean(done['brier_change'])} a question (negative: better)"
    )


def _mean(one: dict[str, Any] | None) -> str:
    if one is None or one["value"] is None:
        return "-"
    if one["ci95"] is None:
        return f"{one['value']:.4f}"
    return f"{one['value']:.4f} ({one['ci95'][0]:.4f} to {one['ci95'][1]:.4f})"
