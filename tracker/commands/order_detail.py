"""What ``speedup order`` adds when asked: detail, history, changes, recorded forecasts, charts."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracker.errors import UsageError

if TYPE_CHECKING:
    from questions.catalogue import Catalogue
    from storage.store import Store
    from tracker.estimates.attribution import Attribution
    from tracker.estimates.coherence import OutOfBounds
    from tracker.estimates.races import Field
    from tracker.estimates.voice import Voice
    from tracker.orderings import ModelOptions, Orderings
    from tracker.week import Week

LAW_DRAWS = 20_000
CAUSES_SHOWN = 12
EXAMPLES = 5


# Detail -----------------------------------------------------------------------------------------------


def detail_json(
    catalogue: Catalogue,
    store: Store | None,
    result: Orderings,
    options: ModelOptions,
    known_at: datetime | None,
) -> dict[str, Any]:
    """Everything behind the orders: what else the model could say, and whether the voices hang together."""
    fields = _fields(result)
    spoken = [voice for voice in result.voices.values() if len(voice.coverage) > 1]
    return {
        "versions": _versions(catalogue, result),
        "laws": _laws(catalogue, result, options),
        "swaps": _swaps(result, options),
        "market_weights": _market_weights(result, options),
        "dependence": {name: _dependence(found) for name, found in fields.items()},
        "consensus": {voice.name: _consensus(voice) for voice in spoken},
        "coherence": {voice.name: _coherence(voice, fields.get(voice.name)) for voice in spoken},
        "stated_pairs": _stated(catalogue, store, options, known_at, fields.get("market")),
        "kinds": _kinds(catalogue, store, options, result, known_at),
    }


def _versions(catalogue: Catalogue, result: Orderings) -> dict[str, Any]:
    from tracker.estimates.kendall import tau_b
    from tracker.estimates.versions import BASE, model_versions

    versions = model_versions(result.table, catalogue.groups)
    base = versions[BASE].scores()
    found = {}
    for name, version in versions.items():
        scores = version.scores()
        means = {
            group: [scores[area] for area in scores if catalogue.groups[area] == group]
            for group in dict.fromkeys(catalogue.groups.values())
        }
        found[name] = {
            "note": version.note,
            "digest": version.digest,
            "scores": scores,
            "ranking": sorted(scores, key=lambda area: -scores[area]),
            "groups": {group: sum(values) / len(values) for group, values in means.items()},
            "tau_b_to_base": _number(float(tau_b(list(scores.values()), list(base.values())))),
        }
    return found


def _number(value: float) -> float | None:
    return value if value == value else None


def _laws(catalogue: Catalogue, result: Orderings, options: ModelOptions) -> dict[str, Any]:
    """The same table under each law of weights, and what one must think for an area to come first."""
    from tracker.estimates.factors import WEIGHT_LAWS, central_weights, draw_model, rank_factors
    from tracker.estimates.ordering import group_with_the_first

    table = result.version.as_one_table()
    found: dict[str, Any] = {}
    for law in WEIGHT_LAWS:
        noise = replace(options.noise, law=law, draws=LAW_DRAWS)
        try:
            voice = rank_factors(
                table, weight_overrides=options.weights, noise=noise, groups=catalogue.groups
            )
        except UsageError as error:
            found[law] = {"reason": str(error)}
            continue
        weights, scores = draw_model(table, options.weights, noise)
        first = group_with_the_first(voice, catalogue.groups)
        found[law] = {
            "rank_probabilities": {area: list(row) for area, row in voice.rank_probabilities.items()},
            "mean_rank": dict(voice.mean_rank),
            "p_capabilities_first": voice.p_capabilities_first,
            "p_first_area": {"safety": first.get("safety"), "capabilities": first.get("capabilities")},
            "central_weights": central_weights(table, weights, scores),
            "reason": None,
        }
    return found


def _swaps(result: Orderings, options: ModelOptions) -> list[dict[str, Any]]:
    from tracker.estimates.sensitivity import neighbours

    return [
        {
            **asdict(swap),
            "reason": None if swap.moved_share is not None else "no weights level this pair",
        }
        for swap in neighbours(result.version.as_one_table(options.weights))
    ]


def _market_weights(result: Orderings, options: ModelOptions) -> dict[str, Any]:
    """The nearest weights under which the model gives the market's order of the areas both cover."""
    from tracker.estimates.sensitivity import nearest_weights

    market, table = result.voices["market"], result.version.as_one_table(options.weights)
    order = [area for area in market.ranking if area in table.areas]
    if len(order) < 2:
        return {"order": order, "weights": None, "moved_share": None, "reason": market.reason or "no view"}
    found = nearest_weights(table, order)
    return {**asdict(found), "reason": found.reason or None}


def _fields(result: Orderings) -> dict[str, Field]:
    """The voices that say when areas come, ready to race."""
    from tracker.estimates.area_dates import dates_marginals
    from tracker.estimates.races import Field as Race

    marginals = {name: voice.marginals for name, voice in result.voices.items()}
    if result.area_dates is not None:
        marginals["trend"] = dates_marginals(result.area_dates, today=result.now.date())
    return {name: Race.of(own) for name, own in marginals.items() if len(own) > 1}


def _dependence(field: Field) -> dict[str, Any]:
    from tracker.estimates.races import RHO_GRID

    each = [field.p_before(rho) for rho in RHO_GRID]
    least, most = field.bounds()
    pairs = [(i, a, j, b) for i, a in enumerate(field.areas) for j, b in enumerate(field.areas) if i != j]
    by_rho: dict[str, dict[str, list[float]]] = {area: {} for area in field.areas}
    bounds: dict[str, dict[str, list[float]]] = {area: {} for area in field.areas}
    for i, a, j, b in pairs:
        by_rho[a][b] = [float(matrix[i, j]) for matrix in each]
        bounds[a][b] = [float(least[i, j]), float(most[i, j])]
    return {
        "rhos": list(RHO_GRID),
        "until_years": float(field.times[-1]),
        "p_before": by_rho,
        "bounds": bounds,
    }


def _matrix(voice: Voice) -> Any:
    import numpy as np

    return np.array([[voice.p_before[a].get(b, 0.0) for b in voice.coverage] for a in voice.coverage])


def _consensus(voice: Voice) -> dict[str, Any]:
    from tracker.estimates.consensus import bradley_terry, hodge, kemeny

    before, areas = _matrix(voice), voice.coverage
    fitted = hodge(before)
    strengths, _ = bradley_terry(before)
    order, cost = kemeny(before)
    orders = {
        "kemeny": [areas[i] for i in order],
        "hodge": [areas[i] for i in sorted(range(len(areas)), key=lambda i: -fitted.scores[i])],
        "bradley_terry": [areas[i] for i in sorted(range(len(areas)), key=lambda i: -strengths[i])],
    }
    return {
        **orders,
        "agree": len({tuple(ranked) for ranked in orders.values()}) == 1,
        "kemeny_cost": cost,
        "hodge_scores": dict(zip(areas, fitted.scores.tolist(), strict=True)),
        "inconsistency": fitted.inconsistency,
    }


def _coherence(voice: Voice, field: Field | None) -> dict[str, Any]:
    from tracker.estimates.coherence import cycles, out_of_bounds, repaired, sum_gaps, triangles

    before, areas = _matrix(voice), voice.coverage
    broken = triangles(areas, before, tolerance=1e-3)
    sums = sum_gaps(areas, before, tolerance=1e-3)
    outside: tuple[OutOfBounds, ...] = ()
    if field is not None and field.areas == areas:
        # a voice's pairs have no deadline, its dates do
        outside = out_of_bounds(areas, before, *field.bounds(beyond=True), tolerance=0.01)
    return {
        "sums": [asdict(gap) for gap in sums],
        "triangles": [asdict(one) for one in broken],
        "repair_change": repaired(before)[1] if broken or sums else 0.0,
        "cycles": [list(cycle) for cycle in cycles(areas, before)],
        "out_of_bounds": [asdict(one) for one in outside],
    }


def _stated(
    catalogue: Catalogue,
    store: Store | None,
    options: ModelOptions,
    known_at: datetime | None,
    field: Field | None,
) -> list[dict[str, Any]]:
    """Pairs that questions elsewhere ask directly, against what the dates allow, and the rho they imply."""
    from tracker.orderings import stated_pairs

    found = []
    for one in () if store is None else stated_pairs(catalogue, store, options.threshold, known_at):
        row: dict[str, Any] = {**asdict(one), "bounds": None, "implied_rho": None}
        covered = field is not None and {one.first, one.second} <= set(field.areas)
        if field is not None and covered and one.p_first is not None:
            least, most = field.bounds()
            i, j = field.areas.index(one.first), field.areas.index(one.second)
            row["bounds"] = [float(least[i, j]), float(most[i, j])]
            row["implied_rho"] = list(field.implied_rho(one.first, one.second, one.p_first))
        found.append(row)
    return found


def _kinds(
    catalogue: Catalogue,
    store: Store | None,
    options: ModelOptions,
    result: Orderings,
    known_at: datetime | None,
) -> dict[str, Any]:
    """The market's evidence by kind, each pooled by itself, and how much the settings of quality matter."""
    from tracker.orderings import market_kinds

    if store is None:
        return {"pooled": {}, "settings_move": 0.0}
    pooled, moved = market_kinds(
        catalogue, store, threshold=options.threshold, now=result.now, known_at=known_at
    )
    return {
        "pooled": {
            kind: {area: {"log_hazard": mean, "sd": sd} for area, (mean, sd) in areas.items()}
            for kind, areas in pooled.items()
        },
        "settings_move": moved,
    }


# History, changes, records ----------------------------------------------------------------------------


def weeks_of(
    catalogue: Catalogue,
    store: Store | None,
    options: ModelOptions,
    now: datetime,
    known_at: datetime | None,
    history: int | None,
) -> tuple[Week, ...]:
    """The last weeks that are over, when asked for: as stored, else derived again as known then."""
    from tracker.history import weeks_until

    if store is None or not history:
        return ()
    return weeks_until(catalogue, store, options, now=now, count=history, known_at=known_at)


def checks_json(
    catalogue: Catalogue,
    store: Store,
    options: ModelOptions,
    weeks: tuple[Week, ...],
    known_at: datetime | None,
) -> list[dict[str, Any]]:
    """Whether stored weeks, derived once more from what is stored, still say the same."""
    from tracker.history import rederived

    return [
        {
            "week": at,
            "same": found is None,
            "places": 0 if found is None else len(found.places),
            "largest": None if found is None else found.largest,
            "made_by": None if found is None else found.program_then,
            "examples": []
            if found is None
            else [{"place": path, "stored": a, "now": b} for path, a, b in found.places[:EXAMPLES]],
        }
        for at, found in rederived(catalogue, store, options, weeks, known_at=known_at).items()
    ]


def week_json(week: Week) -> dict[str, Any]:
    return {
        "at": week.at,
        "stored_at": week.made_at,
        "sha256": week.sha256,
        "rankings": {name: list(voice.ranking) for name, voice in week.voices.items()},
        "comparisons": [
            {
                "a": one.a,
                "b": one.b,
                "areas": len(one.areas),
                "tau_b": one.tau_b,
                "tau_b_ci90": list(one.tau_b_ci90) if one.tau_b_ci90 else None,
                "tau_null_ci90": list(one.tau_null_ci90) if one.tau_null_ci90 else None,
                "disagreements": [[pair.first, pair.second] for pair in one.disagreements],
                "reason": one.reason or None,
            }
            for one in week.comparisons
        ],
    }


def changes_json(
    catalogue: Catalogue, store: Store, options: ModelOptions, since: datetime, now: datetime
) -> dict[str, Any]:
    """What changed in the voices' orders since a time, and which inputs did it."""
    from tracker.orderings import market_changes, panel_changes, trend_changes

    return {
        "since": since,
        "market": _attribution_json(market_changes(catalogue, store, options, since=since, now=now)),
        "trend": _attribution_json(trend_changes(catalogue, store, options, since=since, now=now)),
        "panel": _attribution_json(panel_changes(catalogue, store, options, since=since, now=now)),
        "internal": {"reason": "the factor model depends on its table, not on what is stored"},
    }


def _attribution_json(found: Attribution[Any, Any]) -> dict[str, Any]:
    from tracker.history import cause_name, said

    return {
        "moves": [{**asdict(move), "moved": move.moved} for move in found.moves if move.moved],
        "entered": list(found.entered),
        "left": list(found.left),
        "score_change": dict(found.total),
        "not_from_one_input": dict(found.together),
        "causes": [
            {
                "input": cause_name(cause),
                "before": said(cause.before),
                "after": said(cause.after),
                "effect": {area: value for area, value in cause.effect.items() if value},
                "brings": list(cause.brings),
                "takes": list(cause.takes),
                "undoes": [list(pair) for pair in cause.undoes],
            }
            for cause in found.causes
            if cause.size > 0
        ],
    }


def record(catalogue: Catalogue, store: Store, options: ModelOptions, now: datetime) -> dict[str, Any]:
    """Store what the daemon stores by itself: the model's forecasts where they say something new, and the last
    week that is over."""
    from tracker.history import keep_model, keep_weeks, model_says

    made = model_says(catalogue, store, options, (options.threshold,), made_at=now)
    new = keep_model(store, made)
    weeks = keep_weeks(catalogue, store, options, until=now, made_at=now, weeks=1)
    reason = None if new else "they say what was said before"
    if not made:
        reason = f"no open ordering question at {options.threshold}x"
    return {
        "questions": len({one.question for one in made}),
        "forecasts_new": new,
        "version": made[0].version if made else None,
        "weeks_new": [one.at for one in weeks],
        "reason": reason,
    }


# Charts and words -------------------------------------------------------------------------------------


def draw(result: Orderings, weeks: tuple[Week, ...], folder: Path) -> list[str]:
    """The charts of an ordering as PNG and SVG in a folder; returns the files."""
    from tracker.report import plots

    voices = [voice for voice in result.voices.values() if voice.ranking]
    title = "Which area of AI research is sped up first?"
    figures = {"orderings": plots.slope_chart(voices, result.areas, title=title, as_of=result.now)}
    for voice in voices:
        figures[f"ranks-{voice.name}"] = plots.rank_chart(voice, result.areas, as_of=result.now)
    for comparison in result.comparisons:
        if comparison.tau_x is not None:
            a, b = result.voices[comparison.a], result.voices[comparison.b]
            name = f"pairs-{comparison.a}-{comparison.b}"
            figures[name] = plots.pair_chart(a, b, result.areas, as_of=result.now)
    history = [(week.at, week.comparisons) for week in weeks]
    if history:
        figures["agreement"] = plots.agreement_chart(history)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = []
        for name, figure in figures.items():
            png, svg = folder / f"{name}.png", folder / f"{name}.svg"
            plots.save(figure, png, svg)
            files += [str(png), str(svg)]
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return files


def show(document: dict[str, Any]) -> None:
    """What was asked for beside the orders and their details, in words."""
    _show_history(document)
    if "changes" in document:
        _show_changes(document["changes"])
    if "recorded" in document:
        done = document["recorded"]
        why = f" ({done['reason']})" if done["reason"] else ""
        click.echo(f"recorded: {done['forecasts_new']} forecasts on {done['questions']} questions{why}")
    for file in document.get("charts", ()):
        click.echo(file)


def _show_history(document: dict[str, Any]) -> None:
    for week in document.get("history", ()):
        whence = "stored" if week["stored_at"] else "derived again"
        for one in week["comparisons"]:
            tau = "-" if one["tau_b"] is None else f"{one['tau_b']:+.2f}"
            click.echo(
                f"{week['at']:%Y-%m-%d}  {one['a']} against {one['b']}: tau-b {tau}, {one['areas']} areas, "
                f"{len(one['disagreements'])} pairs in disagreement ({whence})"
            )
        if not week["comparisons"]:
            click.echo(f"{week['at']:%Y-%m-%d}  fewer than two voices had a view ({whence})")
    if document.get("rederived") == []:
        click.echo("none of these weeks is stored: there is nothing to derive again")
    for check in document.get("rederived", ()):
        if check["same"]:
            click.echo(f"{check['week']:%Y-%m-%d}  derived again: the same bytes")
            continue
        click.echo(
            f"{check['week']:%Y-%m-%d}  derived again: differs in {check['places']} places "
            f"(stored by version {check['made_by']})"
        )
        for one in check["examples"]:
            click.echo(f"    {one['place']}: {_brief(one['stored'])} then, {_brief(one['now'])} now")


def _show_changes(changes: dict[str, Any]) -> None:
    click.echo(f"since {changes['since']:%Y-%m-%d}:")
    for name in ("market", "trend", "panel"):
        found = changes[name]
        moves = ", ".join(f"{m['area']} {m['rank_a']:g} to {m['rank_b']:g}" for m in found["moves"])
        click.echo(f"  {name}: {moves or 'no area changed its rank'}")
        for cause in found["causes"][:CAUSES_SHOWN]:
            undone = "; ".join(f"{a} before {b}" for a, b in cause["undoes"])
            click.echo(
                f"    {cause['input']}: {_brief(cause['before'])} to {_brief(cause['after'])}"
                + (f", put {undone}" if undone else "")
            )


def _brief(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}"
    return "none" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
