"""``speedup order``: what each voice implies about which area comes first, and how the voices compare."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from questions.time import iso
from tracker.commands import order_detail
from tracker.commands.session import Moment, Session, parse_pairs, with_session
from tracker.errors import UsageError

if TYPE_CHECKING:
    from tracker.estimates.voice import Comparison, Evidence, Voice
    from tracker.orderings import ModelOptions, Orderings


def year_ends(today: date) -> tuple[date, ...]:
    """The ends of this year and of the six after it."""
    return tuple(date(today.year + ahead, 12, 31) for ahead in range(7))


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("order", epilog="Example:  speedup order --weight feedback_quality=1 --json")
@click.option("--factors", type=_FILE, help="A factor table of your own, CSV or TOML.")
@click.option(
    "--assistant", "assistants", multiple=True, type=_FILE, help="Another rater's table, mixed 5:3."
)
@click.option("--add-factors", "added", type=_FILE, help="Further factors, CSV, beside the table's.")
@click.option(
    "--model", "version", default="base", show_default=True, metavar="NAME", help="Version; see --detail."
)
@click.option("--weight", "weights", multiple=True, metavar="FACTOR=W", help="Another weight for one factor.")
@click.option(
    "--law",
    type=click.Choice(["lognormal", "centred", "uniform"]),
    default="lognormal",
    show_default=True,
    help="Law of weights.",
)
@click.option(
    "--weight-sd", type=click.FloatRange(0, 5), default=0.5, show_default=True, help="Relative sd of weights."
)
@click.option(
    "--score-sd", type=click.FloatRange(0, 10), default=1.0, show_default=True, help="Sd of scores (1..10)."
)
@click.option(
    "--need", "needs", multiple=True, metavar="AREA=MINUTES", help="Another time horizon an area needs."
)
@click.option("--need-sd", type=click.FloatRange(0, 20), help="How unsure needs are, doublings.")
@click.option("--rankings", type=_FILE, help="People's orders for the panel, CSV: forecaster,1,2,…")
@click.option("--draws", type=click.IntRange(100, 2_000_000), default=50_000, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--threshold", type=click.Choice(["2", "3", "10", "30"]), default="10", show_default=True)
@click.option(
    "--weeks",
    type=click.IntRange(0, 260),
    default=12,
    show_default=True,
    help="How far back disagreements are followed.",
)
@click.option(
    "--history", type=click.IntRange(1, 260), metavar="WEEKS", help="Agreement week by week, as stored."
)
@click.option("--rederive", is_flag=True, help="With --history: do stored weeks still come out the same?")
@click.option("--since", type=Moment(), help="What changed since then, and which inputs did it.")
@click.option(
    "--detail", is_flag=True, help="Versions, laws, swaps, dependence, consensus, coherence as well."
)
@click.option("--plot", type=click.Path(file_okay=False, path_type=Path), help="Charts into this folder.")
@click.option("--record", is_flag=True, help="Store the model's forecasts, and the last week.")
@with_session(as_of=True)
def command(
    session: Session,
    weights: tuple[str, ...],
    needs: tuple[str, ...],
    threshold: str,
    history: int | None,
    rederive: bool,
    since: datetime | None,
    detail: bool,
    plot: Path | None,
    record: bool,
    **chosen: Any,
) -> int:
    """Which area is sped up first: internal model, market, trend and panel side by side, with coverage.

    Without a database only the internal model speaks. An area a voice has no evidence about has no rank
    there: it is not last. The trend speaks through an assumption: the time horizon each area is said to need
    before it speeds up (requirements.toml in the catalogue; --need for one run). People's forecasts and
    markets on our own questions count at --threshold; all else carries no level.
    """
    from tracker.orderings import ModelOptions, orderings

    options = ModelOptions(
        weights=_numbers(weights, "--weight"),
        needs=_numbers(needs, "--need"),
        threshold=int(threshold),
        **chosen,
    )
    now = session.as_of or session.now()
    _refuse(session, now, since=since, record=record, history=history, rederive=rederive)
    store = session.store() if record else session.store_if_any()
    if store is None and (history or since):
        raise UsageError("--history and --since need a database: `speedup pull` makes one")
    try:
        result = orderings(session.catalogue, store, options, now=now, known_at=session.as_of)
        document = order_json(result, options)
        if record and store is not None:
            document["recorded"] = order_detail.record(session.catalogue, store, options, now)
        weeks = order_detail.weeks_of(session.catalogue, store, options, now, session.as_of, history)
        if detail:
            document["detail"] = order_detail.detail_json(
                session.catalogue, store, result, options, session.as_of
            )
        if history:
            document["history"] = [order_detail.week_json(week) for week in weeks]
        if rederive and store is not None:
            document["rederived"] = order_detail.checks_json(
                session.catalogue, store, options, weeks, session.as_of
            )
        if since is not None and store is not None:
            document["changes"] = order_detail.changes_json(session.catalogue, store, options, since, now)
    finally:
        if store is not None:
            store.close()
    if plot is not None:
        document["charts"] = order_detail.draw(result, weeks, plot)
    session.print(document, lambda: _tell(result, document, options.law))
    return 1 if any(not check["same"] for check in document.get("rederived", ())) else 0


def _refuse(
    session: Session,
    now: datetime,
    *,
    since: datetime | None,
    record: bool,
    history: int | None,
    rederive: bool,
) -> None:
    """UsageError for options that do not go together."""
    if since is not None and since >= now:
        raise UsageError(f"--since must lie before {iso(now)}")
    if record and session.as_of is not None:
        raise UsageError("--record stores forecasts made now: it does not go with --as-of")
    if rederive and not history:
        raise UsageError("--rederive checks the weeks of --history: say how many")


def _tell(result: Orderings, document: dict[str, Any], law: str) -> None:
    from tracker.commands.order_words import show_detail, show_orders

    show_orders(result, year_ends(result.now.date())[1::2])
    if "detail" in document:
        show_detail(document["detail"], result, law)
    order_detail.show(document)


def _numbers(pairs: tuple[str, ...], option: str) -> dict[str, float]:
    numbers = {}
    for name, text in parse_pairs(pairs, option).items():
        try:
            numbers[name] = float(text)
        except ValueError:
            raise UsageError(f"{option} {name}={text}: {text!r} is not a number") from None
    return numbers


def order_json(result: Orderings, options: ModelOptions) -> dict[str, Any]:
    """The shape of ``speedup order --json``; a voice with nothing to say is empty with a ``reason``."""
    changed = ", ".join(f"{factor} = {weight:g}" for factor, weight in sorted(options.weights.items()))
    return {
        "threshold": options.threshold,
        "threshold_note": (
            "only the panel's forecasts and markets on our own questions carry a level: all else is the same at every "
            "threshold"
        ),
        "model": {
            "version": result.version.name + ("+weights" if changed else ""),
            "note": result.version.note + (f", with weights of one's own: {changed}" if changed else ""),
            "digest": result.version.digest,
            "table": result.table.version,
        },
        "as_of": result.now,
        **{name: _voice_json(voice, result) for name, voice in result.voices.items()},
        "area_dates": _dates_json(result),
        "comparisons": [comparison_json(comparison, result.followed) for comparison in result.comparisons],
        "weeks": {
            "stored": [at for at, stored in result.weeks_seen.items() if stored],
            "derived_again": [at for at, stored in result.weeks_seen.items() if not stored],
        },
    }


def _dates_json(result: Orderings) -> dict[str, Any]:
    """Per area: the need assumed, and when the trend reaches it; a date of null lies beyond the horizon."""
    found = result.area_dates
    if found is None:
        return {"areas": {}, "reason": result.voices["trend"].reason}
    reason = f"later than {found.horizon_years:g} years after the last point, or never"
    areas = {}
    for area in found.areas:
        dates = found.dates(area, year_ends(result.now.date()))
        median, ci80, ci95 = dates.quantile(0.5), dates.interval(0.8), dates.interval(0.95)
        areas[area] = {
            "needed_minutes": found.needed[area],
            "median": median,
            "ci80": list(ci80),
            "ci95": list(ci95),
            "p_by": {day.isoformat(): chance for day, chance in dates.p_by.items()},
            "p_never": dates.never,
            "null_reason": reason if None in (median, *ci80, *ci95) else None,
        }
    return {
        "areas": areas,
        "need_sd_doublings": found.sd_doublings,
        "shape_weights": dict(found.weights),
        "reason": None,
    }


def _voice_json(voice: Voice, result: Orderings) -> dict[str, Any]:
    from tracker.estimates.ordering import group_with_the_first

    means = voice.group_means
    first = group_with_the_first(voice, {area.key: area.group.value for area in result.areas})
    return {
        "model": voice.model,
        "scores": dict(voice.scores),
        "ranking": list(voice.ranking),
        "rank_probabilities": {area: list(row) for area, row in voice.rank_probabilities.items()},
        "mean_rank": dict(voice.mean_rank),
        "p_before": {area: dict(row) for area, row in voice.p_before.items()},
        "p_before_ci90": {
            area: {other: list(ends) for other, ends in row.items()}
            for area, row in voice.p_before_ci90.items()
        },
        "groups": {
            "safety": means.get("safety"),
            "capabilities": means.get("capabilities"),
            "p_capabilities_first": voice.p_capabilities_first,
            "p_first_area": {"safety": first.get("safety"), "capabilities": first.get("capabilities")},
        },
        "tau_b_self": voice.tau_b_self,
        "coverage": list(voice.coverage),
        "evidence": [evidence_json(evidence, result.now) for evidence in voice.evidence],
        "unused": [evidence_json(evidence, result.now) for evidence in voice.unused],
        "note": voice.note,
        "reason": voice.reason or None,
    }


def evidence_json(evidence: Evidence, now: datetime) -> dict[str, Any]:
    age = None if evidence.as_of is None else (now - evidence.as_of).total_seconds() / 86_400
    return {**asdict(evidence), "age_days": age}


def _weeks_reason(weeks: int | None, followed: int) -> str | None:
    if weeks is None:
        return "earlier weeks were not compared"
    return f"at least: followed back for {followed} weeks" if weeks > followed else None


def comparison_json(comparison: Comparison, followed: int) -> dict[str, Any]:
    return {
        "a": comparison.a,
        "b": comparison.b,
        "areas": list(comparison.areas),
        "tau_b": comparison.tau_b,
        "tau_b_ci90": list(comparison.tau_b_ci90) if comparison.tau_b_ci90 else None,
        "tau_latent_ci90": list(comparison.tau_latent_ci90) if comparison.tau_latent_ci90 else None,
        "tau_x": comparison.tau_x,
        "tau_null_sd": comparison.tau_null_sd,
        "tau_null_ci90": list(comparison.tau_null_ci90) if comparison.tau_null_ci90 else None,
        "p_chance": comparison.p_chance,
        "weighted_distance": comparison.weighted_distance,
        "disagreements": [
            {
                **asdict(pair),
                "weeks_reason": _weeks_reason(pair.weeks, followed),
            }
            for pair in comparison.disagreements
        ],
        "moves": [{**asdict(move), "moved": move.moved} for move in comparison.moves],
        "reason": comparison.reason or None,
    }
