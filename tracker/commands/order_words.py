"""``speedup order`` in words: ranks, who disagrees on what, what each voice rests on, and its details."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import click

from tracker.commands.session import table

if TYPE_CHECKING:
    from tracker.estimates.voice import Comparison, Evidence, Voice
    from tracker.orderings import Orderings

MOVES_SHOWN = 3


def show_orders(result: Orderings, days: Sequence[date]) -> None:
    """Everything ``speedup order`` tells by default; ``days``: by which the trend's chances are told."""
    names = {area.key: area.name for area in result.areas}
    _ranks(result)
    _dates(result, names, days)
    for voice in result.voices.values():
        if voice.reason:
            click.echo(f"{voice.name}: no view: {voice.reason}")
        elif voice.note:
            click.echo(f"{voice.name}: {voice.note}")
    _groups(result)
    for one in result.comparisons:
        _compared(one, names, result.followed)
    _coverage(result, names)


def _ranks(result: Orderings) -> None:
    from tracker.report.content import places_of

    voices = [voice for voice in result.voices.values() if voice.ranking]
    places = {voice.name: places_of(voice) for voice in voices}
    areas = {area.key: area for area in result.areas}
    first = voices[0].ranking
    table(
        "rank (mean rank over draws) by voice; = is level; 'no view' is not last",
        ["area", "group", *(f"{voice.name} ({len(voice.coverage)})" for voice in voices)],
        [
            (
                areas[key].name,
                areas[key].group.value,
                *(
                    f"{own[key].label} ({own[key].mean_rank:.1f})" if key in own else "no view"
                    for own in places.values()
                ),
            )
            for key in (*first, *(key for key in areas if key not in first))
        ],
    )


def _dates(result: Orderings, names: Mapping[str, str], days: Sequence[date]) -> None:
    found = result.area_dates
    if found is None:
        return
    rows = []
    for area in found.areas:
        dates = found.dates(area, days)
        when = [day or "later" for day in (dates.quantile(0.5), *dates.interval(0.8))]
        chances = [f"{dates.p_by[day]:.0%}" for day in days]
        rows.append((names[area], f"{found.needed[area] / 60:,.0f}", *when, *chances))
    table(
        f"when the trend reaches what each area is assumed to need (± {found.sd_doublings:g} doublings)",
        ["area", "hours", "median", "80% from", "80% to", *(f"by {day.year}" for day in days)],
        rows,
        right=[1, 5, 6, 7],
    )


def _groups(result: Orderings) -> None:
    """Two different questions: which group is sooner on average, and which has the first area of all."""
    from tracker.estimates.ordering import group_with_the_first

    groups = {area.key: area.group.value for area in result.areas}
    rows = []
    for voice in result.voices.values():
        first = group_with_the_first(voice, groups)
        if voice.p_capabilities_first is not None:
            leads = (_percent(first.get(group)) for group in ("capabilities", "safety"))
            rows.append((voice.name, _percent(voice.p_capabilities_first), *leads))
    if rows:
        table(
            "the two groups, of the areas a voice covers: two different questions",
            [
                "voice",
                "capabilities sooner on average",
                "first area of all: capabilities",
                "first area of all: safety",
            ],
            rows,
            right=range(1, 4),
        )


def _percent(chance: float | None) -> str:
    return "-" if chance is None else f"{chance:.0%}"


# Two voices -------------------------------------------------------------------------------------------


def _compared(one: Comparison, names: Mapping[str, str], followed: int) -> None:
    """How alike two orders are, and where they are not."""
    from tracker.report.content import agreement, standing

    head = f"{one.a} against {one.b}: "
    if one.tau_b is None:
        click.echo(head + one.reason)
        return
    draws = (
        "" if one.tau_b_ci90 is None else ", 90% of pairs of draws {:+.2f} to {:+.2f}".format(*one.tau_b_ci90)
    )
    behind = (
        ""
        if one.tau_latent_ci90 is None
        else ", behind their noise {:+.2f} to {:+.2f}".format(*one.tau_latent_ci90)
    )
    apart = "" if one.weighted_distance is None else f", weighted distance {one.weighted_distance:.2f}"
    click.echo(
        f"{head}tau-b {one.tau_b:+.2f} on {len(one.areas)} areas{draws}{behind}; "
        f"chance alone has sd {one.tau_null_sd or 0.0:.2f}: {agreement(one)}{apart}"
    )
    for pair in one.disagreements:
        click.echo(
            f"    disagree: {names[pair.first]} before {names[pair.second]}: {one.a} {pair.p_a:.0%}, "
            f"{one.b} {pair.p_b:.0%}{standing(pair.weeks, followed)}"
        )
    moves = [move for move in one.moves if move.moved][:MOVES_SHOWN]
    if moves:
        told = ", ".join(f"{names[move.area]} {move.rank_a:g} to {move.rank_b:g}" for move in moves)
        click.echo(f"    largest moves of rank, {one.a} to {one.b}: {told}")


# What they rest on ------------------------------------------------------------------------------------


def _coverage(result: Orderings, names: Mapping[str, str]) -> None:
    """Which areas have evidence from outside, of which class, and how old."""
    told = [voice for name, voice in result.voices.items() if name in ("market", "panel") and voice.coverage]
    if not told:
        return
    rows = [
        (voice.name, names[area], *_summed(area, voice, result.now))
        for voice in told
        for area in names
        if any(one.area == area for one in (*voice.evidence, *voice.unused))
    ]
    table(
        "evidence; every value with --detail",
        ["voice", "area", "values", "what they bear", "class", "newest", "oldest", "without weight now"],
        rows,
        right=(2, 5, 6),
    )


def _summed(area: str, voice: Voice, now: datetime) -> tuple[object, ...]:
    used = [one for one in voice.evidence if one.area == area]
    ages = sorted(_age(one, now) for one in used if one.as_of is not None)
    flags = [one.flag for one in voice.unused if one.area == area]
    return (
        len(used) or "no view",
        ", ".join(dict.fromkeys(one.relation for one in used)),
        ", ".join(dict.fromkeys(_class(one) for one in used)),
        *((f"{ages[0]:.0f} d", f"{ages[-1]:.0f} d") if ages else ("-", "-")),
        ", ".join(f"{flags.count(flag)} {flag}" for flag in dict.fromkeys(flags)),
    )


def _age(one: Evidence, now: datetime) -> float:
    assert one.as_of is not None
    return (now - one.as_of).total_seconds() / 86_400


def _class(one: Evidence) -> str:
    return one.kind.replace("_", " ")


def show_detail(detail: Mapping[str, Any], result: Orderings, law: str) -> None:
    """What stands behind the orders."""
    names = {area.key: area.name for area in result.areas}
    _evidence(result, names)
    _kinds(detail["kinds"], names)
    _versions(detail["versions"])
    _laws(detail["laws"], names)
    _central(detail["laws"][law], law, names)
    _swaps(detail["swaps"], detail["market_weights"])
    for name, found in detail["dependence"].items():
        _dependence(name, found, result.voices[name].ranking, names)
    _stated(detail["stated_pairs"], names)
    for name, found in detail["consensus"].items():
        same = (
            "all methods agree" if found["agree"] else "Kemeny, HodgeRank and Bradley-Terry differ near ties"
        )
        click.echo(f"{name}: {same}; {found['inconsistency']:.1%} of the pairs' log-odds fit no order")
        if not found["agree"]:
            for method in ("kemeny", "hodge", "bradley_terry"):
                click.echo(f"    {method}: {', '.join(found[method])}")
    for name, found in detail["coherence"].items():
        for line in _incoherent(found):
            click.echo(f"{name}: {line}")


def _evidence(result: Orderings, names: Mapping[str, str]) -> None:
    rows = [
        (
            voice.name,
            names[one.area],
            one.label or one.question,
            f"{one.source}, {_class(one)}, {one.relation}",
            "-" if one.as_of is None else f"{_age(one, result.now):.0f} d",
            _chance(one.probability),
            _chance(one.adjusted),
            "-" if one.low is None or one.high is None else f"{one.low:.2f}-{one.high:.2f}",
            one.flag or f"{one.weight:.2f}",
        )
        for name, voice in result.voices.items()
        if name in ("market", "panel")
        for one in (*voice.evidence, *voice.unused)
    ]
    if rows:
        table(
            "every value: as told, as read for the faster outcome, and what such a price can stand for",
            [
                "voice",
                "area",
                "question",
                "source, class, relation",
                "age",
                "told",
                "read",
                "can be",
                "weight",
            ],
            rows,
            right=(4, 5, 6, 7),
        )


def _chance(chance: float | None) -> str:
    return "-" if chance is None else f"{chance:.3f}"


def _kinds(kinds: Mapping[str, Any], names: Mapping[str, str]) -> None:
    if not kinds["pooled"]:
        return
    table(
        "the market's evidence by class, each pooled by itself: log hazard a year (sd)",
        ["area", *(kind.replace("_", " ") for kind in kinds["pooled"])],
        [
            (name, *(_hazard(own.get(area)) for own in kinds["pooled"].values()))
            for area, name in names.items()
            if any(area in own for own in kinds["pooled"].values())
        ],
    )
    leans = " (more than a point: the order leans on them)" if kinds["settings_move"] > 0.01 else ""
    click.echo(
        "halving or doubling what depth, age and spread count moves an area's chance within five years by "
        f"at most {100 * kinds['settings_move']:.1f} points{leans}"
    )


def _hazard(found: Mapping[str, float] | None) -> str:
    return "-" if found is None else f"{found['log_hazard']:+.2f} ({found['sd']:.2f})"


def _versions(versions: Mapping[str, Any]) -> None:
    table(
        "versions of the internal model",
        ["version", "safety", "capabilities", "tau-b to base", "first three", "what it stands for"],
        [
            (
                name,
                f"{row['groups']['safety']:.2f}",
                f"{row['groups']['capabilities']:.2f}",
                "-" if row["tau_b_to_base"] is None else f"{row['tau_b_to_base']:+.2f}",
                ", ".join(row["ranking"][:3]),
                row["note"],
            )
            for name, row in versions.items()
        ],
        right=[1, 2, 3],
    )


def _laws(laws: Mapping[str, Any], names: Mapping[str, str]) -> None:
    known = {law: row for law, row in laws.items() if row["reason"] is None}
    rows = [
        (name, *(f"{row['mean_rank'][area]:.1f}, {row['rank_probabilities'][area][0]:.0%}" for row in known.values()))
        for area, name in names.items()
        if all(area in row["mean_rank"] for row in known.values())
    ]  # fmt: skip
    means = (
        "capabilities sooner on average",
        *(_percent(row["p_capabilities_first"]) for row in known.values()),
    )
    table(
        "by law of weights: mean rank, and chance of coming first",
        ["area", *known],
        [*rows, means],
        right=range(1, 1 + len(known)),
    )
    for law, row in laws.items():
        if row["reason"] is not None:
            click.echo(f"{law}: {row['reason']}")


def _central(row: Mapping[str, Any], law: str, names: Mapping[str, str]) -> None:
    weights = row.get("central_weights") or {}
    factors = list(next(iter(weights.values()), {}))
    if factors:
        table(
            f"what one must think for an area to come first: mean weights where it does, law {law}",
            ["area", *factors],
            [(names[area], *(f"{own[factor]:.2f}" for factor in factors)) for area, own in weights.items()],
            right=range(1, 1 + len(factors)),
        )


def _swaps(swaps: Sequence[Mapping[str, Any]], nearest: Mapping[str, Any]) -> None:
    table(
        "how little would swap neighbours",
        ["leads", "before", "gap, points", "weight to move"],
        [
            (
                swap["first"],
                swap["second"],
                f"{swap['gap']:.3f}",
                "never" if swap["moved_share"] is None else f"{swap['moved_share']:.1%}",
            )
            for swap in swaps
        ],
        right=[2, 3],
    )
    if nearest["moved_share"] is None:
        click.echo(f"weights for the market's order: {nearest['reason']}")
        return
    told = ", ".join(f"{factor} {weight:.2f}" for factor, weight in nearest["weights"].items())
    click.echo(
        f"the market's order would take moving {nearest['moved_share']:.0%} of the factors' weight, to: {told}"
    )


def _dependence(
    name: str, found: Mapping[str, Any], ranking: Sequence[str], names: Mapping[str, str]
) -> None:
    pairs = list(pairwise(ranking))
    if len(ranking) > 2:
        pairs.append((ranking[0], ranking[-1]))
    pairs = [(a, b) for a, b in pairs if b in found["p_before"].get(a, {})]
    table(
        f"{name}: P(first before second) within {found['until_years']:.0f} years, by how much areas move together "
        "(the rest: second before first, or neither by then)",
        ["first", "second", *(f"rho {rho:g}" for rho in found["rhos"]), "whatever the dependence"],
        [
            (
                names[a],
                names[b],
                *(f"{chance:.2f}" for chance in found["p_before"][a][b]),
                "{:.2f} to {:.2f}".format(*found["bounds"][a][b]),
            )
            for a, b in pairs
        ],
        right=range(2, 3 + len(found["rhos"])),
    )


def _stated(stated: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> None:
    if not stated:
        return
    table(
        "pairs that a question asks directly, against what the dates allow, and the correlation they imply",
        ["question", "first", "second", "P(first)", "dates allow", "rho"],
        [
            (
                one["question"],
                names[one["first"]],
                names[one["second"]],
                _chance(one["p_first"]),
                "-" if one["bounds"] is None else "{:.2f} to {:.2f}".format(*one["bounds"]),
                ", ".join(f"{rho:.2f}" for rho in one["implied_rho"] or ())
                or ("none: incoherent" if one["bounds"] else "-"),
            )
            for one in stated
        ],
        right=(3, 4, 5),
    )


def _incoherent(found: Mapping[str, Any]) -> Iterator[str]:
    """What of a voice's pairs cannot all be true, and how little would mend it."""
    for cycle in found["cycles"]:
        yield f"a majority cycle: {' before '.join([*cycle, cycle[0]])}"
    for one in found["sums"]:
        yield "chances that should sum to 1: " + _fields(one)
    for one in found["triangles"]:
        yield "cannot all be true: " + _fields(one)
    for one in found["out_of_bounds"]:
        yield "its own dates rule out: " + _fields(one)
    if found["repair_change"]:
        yield f"the smallest repair changes {found['repair_change']:.3f} of probability in all"
    elif not any(found[part] for part in ("cycles", "sums", "triangles", "out_of_bounds")):
        yield "its pairs are coherent: sums, triangles and dates hold, no cycle"


def _fields(one: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {value:.3f}" if isinstance(value, float) else str(value) for key, value in one.items()
    )
