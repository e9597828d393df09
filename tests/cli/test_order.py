"""``speedup order`` with what is stored: weeks, history, changes, people, recorded forecasts, wrong input."""

from __future__ import annotations

import csv
import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from questions.catalogue import load_catalogue
from questions.model import QuestionKind, SpeedupKind
from questions.receipts import Receipt
from questions.records import (
    Distribution,
    Forecast,
    ForecasterKind,
    Quantity,
    Snapshot,
    StreamKey,
)
from questions.verdicts import State
from storage import open_store
from storage.records import Batch, Grain, digest
from tests.cli.speedup import Program
from tracker.history import keep_weeks
from tracker.orderings import ModelOptions
from tracker.week import canonical

CATALOGUE = load_catalogue()
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
# Open questions with a deadline that bear on one area each, and what they stood at: one per area.
LINKS = {
    link.areas[0]: link
    for link in CATALOGUE.links
    if len(link.areas) == 1
    and link.by
    and link.by > NOW + 90 * DAY
    and link.ladder is None
    and link.polarity == 1
}
AREAS = sorted(LINKS)


def snapshot(area: str, at: datetime, probability: float) -> Snapshot:
    link = LINKS[area]
    key = StreamKey(link.platform, link.platform, link.external_id, link.outcome, Quantity.FORECASTER_MEDIAN)
    return Snapshot(key=key, as_of=at, fetched_at=at, probability=probability)


@pytest.fixture
def filled(program: Program) -> Iterator[Program]:
    """Ten weeks of daily values; in the last four weeks the first two areas have changed sides."""
    store = open_store(program.db)
    levels = dict.fromkeys(AREAS, 0.4) | {AREAS[0]: 0.04, AREAS[-1]: 0.94}
    for back in range(70, -1, -1):
        at = NOW - back * DAY
        values = dict(levels)
        if back < 28:
            values[AREAS[0]], values[AREAS[-1]] = levels[AREAS[-1]], levels[AREAS[0]]
        store.append(Batch(snapshots=tuple(snapshot(area, at, p) for area, p in values.items())))
    store.close()
    return program


def order(program: Program, *arguments: str) -> Any:
    answer = program("order", "--draws", "4000", "--json", *arguments)
    assert answer.code == 0, answer.err
    return answer.json


def as_of(at: datetime) -> tuple[str, str]:
    return ("--as-of", at.isoformat())


def test_there_are_enough_areas_to_compare() -> None:
    assert len(AREAS) >= 4


def test_weeks_of_a_disagreement_are_counted_from_what_was_known(filled: Program) -> None:
    document = order(filled, *as_of(NOW))
    (found,) = [c for c in document["comparisons"] if (c["a"], c["b"]) == ("internal", "market")]
    counts = {(d["first"], d["second"]): d["weeks"] for d in found["disagreements"]}
    earlier = order(filled, *as_of(NOW - 35 * DAY))
    (then,) = [c for c in earlier["comparisons"] if (c["a"], c["b"]) == ("internal", "market")]
    before = {(d["first"], d["second"]): d["weeks"] for d in then["disagreements"]}
    new = counts.keys() - before.keys()
    assert new
    assert {counts[pair] for pair in new} == {4}  # the change of sides is four weeks old
    assert all(counts[pair] == before[pair] + 5 for pair in counts.keys() & before.keys())
    unasked = order(filled, *as_of(NOW), "--weeks", "0")
    nulls = [d["weeks"] for c in unasked["comparisons"] for d in c["disagreements"]]
    assert nulls
    assert set(nulls) == {None}


def test_a_history_is_the_same_whenever_it_is_asked_for(filled: Program) -> None:
    """The weeks that were over three weeks ago, asked for then and now."""
    then = order(filled, *as_of(NOW - 21 * DAY), "--history", "3")["history"]
    now = order(filled, *as_of(NOW), "--history", "6")["history"]
    assert now[:3] == then
    assert [week["at"][:10] for week in now][-2:] == ["2026-11-09", "2026-11-16"]  # Mondays
    taus = [week["comparisons"][0]["tau_b"] for week in now]
    assert taus[0] == taus[1]
    assert len(set(taus)) > 1


def weekly(program: Program) -> None:
    """What the daemon does on a Monday."""
    store = open_store(program.db)
    keep_weeks(CATALOGUE, store, ModelOptions(), until=NOW, made_at=NOW - DAY, weeks=11)
    store.close()


def test_stored_weeks_are_read_and_counted_from_and_come_out_the_same_when_derived_again(
    filled: Program,
) -> None:
    before = order(filled, *as_of(NOW), "--history", "8", "--weeks", "20")
    assert {week["stored_at"] for week in before["history"]} == {None}
    weekly(filled)
    after = order(filled, *as_of(NOW), "--history", "8", "--weeks", "20", "--rederive")
    assert None not in {week["stored_at"] for week in after["history"]}
    assert [week["sha256"] for week in after["history"]] == [week["sha256"] for week in before["history"]]
    assert after["comparisons"] == before["comparisons"]
    assert (before["weeks"]["stored"], after["weeks"]["derived_again"]) == ([], [])
    assert before["weeks"]["derived_again"] == after["weeks"]["stored"]
    assert [check["same"] for check in after["rederived"]] == [True] * 8
    other = order(filled, *as_of(NOW), "--history", "2", "--weight", "task_length=9")
    assert {week["stored_at"] for week in other["history"]} == {None}  # asked with other settings


def test_a_week_that_comes_out_otherwise_is_told_with_its_largest_difference(filled: Program) -> None:
    """A stored week is what was said: a better program neither rewrites nor hides it."""
    weekly(filled)
    store = open_store(filled.db)
    kept = store.orderings(Grain.WEEK)[-1]
    said = json.loads(kept.payload)
    said["comparisons"][0]["tau_b"] -= 0.25
    payload = canonical(said)
    store.add_orderings(
        [
            replace(
                kept,
                payload=payload,
                sha256=digest(payload.encode()),
                made_at=NOW,
                program="0",
            )
        ]
    )
    store.close()
    answer = filled(
        "order", "--draws", "2000", "--history", "1", "--rederive", "--json", "--weeks", "0", *as_of(NOW)
    )
    assert answer.code == 1
    (check,) = answer.json["rederived"]
    assert (check["same"], check["places"], check["made_by"]) == (False, 1, "0")
    assert check["largest"] == pytest.approx(0.25)
    assert answer.json["history"][0]["comparisons"][0]["tau_b"] == pytest.approx(
        said["comparisons"][0]["tau_b"]
    )


def test_a_change_of_order_is_traced_to_the_values_that_made_it(filled: Program) -> None:
    changes = order(filled, *as_of(NOW), "--since", (NOW - 35 * DAY).isoformat())["changes"]["market"]
    assert {move["area"] for move in changes["moves"]} >= {AREAS[0], AREAS[-1]}
    named = {cause["input"] for cause in changes["causes"][:2]}
    for area in (AREAS[0], AREAS[-1]):
        assert any(LINKS[area].external_id in name for name in named)
    first = next(c for c in changes["causes"] if LINKS[AREAS[0]].external_id in c["input"])
    assert first["effect"][AREAS[0]] > 0.5
    assert first["undoes"]


def test_no_gap_is_filled_with_the_models_own_order(filled: Program) -> None:
    market = order(filled, *as_of(NOW))["market"]
    assert set(market["ranking"]) == set(AREAS) == set(market["coverage"])
    assert {row["area"] for row in market["evidence"]} == set(AREAS)
    assert all(row["kind"] == "forecasters" and row["age_days"] < 1 for row in market["evidence"])
    assert market["groups"]["p_first_area"] != market["groups"]["p_capabilities_first"]


def test_people_who_forecast_our_questions_are_the_panel(filled: Program) -> None:
    store = open_store(filled.db)
    chain = ["agent_scaffolding", "training_efficiency", "ai_control", "alignment_theory"]
    said = []
    for one, two in itertools.pairwise(chain):
        question = CATALOGUE.ordering(one, two, 10)
        assert question is not None
        for outcome, p in ((one, 0.6), (two, 0.2)):
            said.append(Forecast(question.id, outcome, "ann", ForecasterKind.PERSON, NOW - DAY, p))
    store.add_forecasts(said)
    store.close()
    document = order(filled, *as_of(NOW))
    assert document["panel"]["ranking"] == chain
    assert ("internal", "panel") in {(c["a"], c["b"]) for c in document["comparisons"]}
    assert "10x" in order(filled, *as_of(NOW - 2 * DAY))["panel"]["reason"]
    assert "3x" in order(filled, *as_of(NOW), "--threshold", "3")["panel"]["reason"]
    why = order(filled, *as_of(NOW), "--since", (NOW - 2 * DAY).isoformat())["changes"]["panel"]
    assert sorted(why["entered"]) == sorted(chain)
    assert {cause["input"].partition(":")[0] for cause in why["causes"]} == {"ann"}


def test_the_models_forecasts_are_stored_once_and_sum_to_one(program: Program) -> None:
    first = order(program, "--record", "--threshold", "3")["recorded"]
    assert (first["questions"], first["forecasts_new"]) == (47, 188)  # 45 pairs of areas, two of groups
    assert order(program, "--record", "--threshold", "3")["recorded"]["forecasts_new"] == 0
    other = order(program, "--record", "--threshold", "3", "--model", "scheming-0")["recorded"]
    assert other["forecasts_new"] == 188
    store = open_store(program.db)
    stored = store.forecasts()
    store.close()
    assert {one.kind for one in stored} == {ForecasterKind.MODEL}
    sums: dict[tuple[str, str], float] = {}
    for one in stored:
        sums[one.question, one.forecaster] = sums.get((one.question, one.forecaster), 0.0) + one.probability
    assert all(total == pytest.approx(1.0) for total in sums.values())
    assert len(sums) == 94


def test_resolved_orderings_fit_how_far_the_model_is_believed(program: Program) -> None:
    """Twenty pairs that came out as the model had it least likely: its forecasts are drawn further to one half."""
    first = order(program, "--record", "--threshold", "10")["recorded"]["version"]
    assert first.endswith("shrinkage 0.7000")
    before = order(program)["internal"]["p_before"]
    upset = []
    for question in CATALOGUE.questions.values():
        arms = question.ordering
        if arms and not arms.a_areas and question.threshold and question.threshold.value == 3:
            later = arms.b if before[arms.a][arms.b] > 0.5 else arms.a
            upset.append(Receipt(question.id, "1", NOW, NOW, State.RESOLVED, "test", outcome=later))
    store = open_store(program.db)
    store.add_receipts(upset[:20])
    store.close()
    second = order(program, "--record", "--threshold", "10")["recorded"]
    assert second["forecasts_new"] == 188
    assert float(second["version"].rpartition(" ")[2]) < 0.4


def test_a_market_on_one_of_our_pairs_is_read_as_that_pair_and_tells_its_dependence(
    filled: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = AREAS[0], AREAS[-1]
    question = CATALOGUE.ordering(one, two, 10)
    assert question is not None
    link = f"""
[[link]]
platform = "polymarket"
external_id = "pair"
outcome = "{one}"
url = "https://polymarket.com/market/pair"
label = "{one} first"
relation = "same"
question = "{question.id}"
view = "researcher"
areas = ["{one}", "{two}"]
by = 2034-01-01T00:00:00Z
"""
    (tmp_path / "links.toml").write_text(link, encoding="utf-8")
    monkeypatch.setenv("SPEEDUP_QUESTIONS_PATH", str(tmp_path))
    plain = order(filled, *as_of(NOW), "--detail")
    field = plain["detail"]["dependence"]["market"]
    stated = field["p_before"][one][two][field["rhos"].index(0.6)]
    store = open_store(filled.db)
    key = StreamKey("polymarket", "polymarket", "pair", one, Quantity.REAL_MONEY_MID)
    store.append(Batch(snapshots=(Snapshot(key, NOW, NOW, probability=stated, spread=0.01),)))
    store.close()
    told = order(filled, *as_of(NOW), "--detail")
    (pair,) = told["detail"]["stated_pairs"]
    assert (pair["first"], pair["second"], pair["p_first"]) == (one, two, pytest.approx(stated))
    assert pair["bounds"][0] <= stated <= pair["bounds"][1]
    assert min(abs(rho - 0.6) for rho in pair["implied_rho"]) < 0.01
    assert told["market"]["p_before"][one][two] == pytest.approx(stated)
    assert told["market"]["scores"] == plain["market"]["scores"]  # it is no evidence of a date
    assert order(filled, *as_of(NOW), "--detail", "--threshold", "3")["detail"]["stated_pairs"] == []


def test_a_market_on_one_of_our_date_questions_counts_at_its_multiple_alone(
    filled: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its whole distribution of dates is read; what it says of 3x is nothing about 10x."""
    area = next(key for key in CATALOGUE.area_keys if key not in AREAS)
    question = next(
        one
        for one in CATALOGUE.questions.values()
        if one.kind is QuestionKind.DATE
        and one.areas == (area,)
        and one.threshold is not None
        and one.threshold.value == 3
        and one.speedup_kind is SpeedupKind.PROGRESS
    )
    link = f"""
[[link]]
platform = "metaculus"
external_id = "ours"
outcome = "value"
url = "https://www.metaculus.com/questions/1/"
label = "our own"
relation = "same"
question = "{question.id}"
view = "researcher"
areas = ["{area}"]
"""
    (tmp_path / "links.toml").write_text(link, encoding="utf-8")
    monkeypatch.setenv("SPEEDUP_QUESTIONS_PATH", str(tmp_path))
    store = open_store(filled.db)
    key = StreamKey("metaculus", "metaculus", "ours", "value", Quantity.FORECASTER_MEDIAN)
    years = [NOW + 365.25 * year * DAY for year in range(11)]
    told = Distribution(
        tuple(at.timestamp() for at in years), tuple(-math.expm1(-0.3 * year) for year in range(11)), "date"
    )
    store.append(Batch(snapshots=(Snapshot(key, NOW, NOW, distribution=told),)))
    store.close()
    at_3 = order(filled, *as_of(NOW), "--threshold", "3")["market"]
    assert area in at_3["coverage"]
    assert math.exp(at_3["scores"][area]) == pytest.approx(0.3, rel=1e-3)
    (row,) = [row for row in at_3["evidence"] if row["area"] == area]
    assert row["relation"] == "same"
    assert area not in order(filled, *as_of(NOW))["market"]["coverage"]


def test_a_multiple_without_questions_records_nothing_and_says_so(program: Program) -> None:
    done = order(program, "--record", "--threshold", "30")["recorded"]
    assert done["forecasts_new"] == 0
    assert "30x" in done["reason"]


def test_detail_holds_versions_laws_swaps_and_coherence(filled: Program) -> None:
    detail = order(filled, *as_of(NOW), "--detail")["detail"]
    assert detail["versions"]["equal-weights"]["tau_b_to_base"] == pytest.approx(0.82, abs=0.005)
    assert set(detail["laws"]) == {"lognormal", "centred", "uniform"}
    assert detail["swaps"][2]["moved_share"] < 0.005
    for one, row in detail["dependence"]["market"]["p_before"].items():
        for two, values in row.items():
            low, high = detail["dependence"]["market"]["bounds"][one][two]
            assert all(low - 1e-3 <= value <= high + 1e-3 for value in values)
    assert detail["coherence"]["internal"]["triangles"] == []
    assert detail["consensus"]["internal"]["kemeny"][0] == "agent_scaffolding"
    assert list(detail["kinds"]["pooled"]) == ["forecasters"]


def test_people_read_disagreements_groups_evidence_and_details(filled: Program) -> None:
    """Whatever the document says is there to read without ``--json``."""
    document = order(filled, *as_of(NOW), "--detail")
    text = filled("order", "--draws", "4000", *as_of(NOW), "--detail").out
    words = " ".join(text.split())
    names = {area.key: area.name for area in CATALOGUE.areas}
    (compared,) = document["comparisons"]
    assert f"weighted distance {compared['weighted_distance']:.2f}" in words
    for pair in compared["disagreements"]:
        assert (
            f"disagree: {names[pair['first']]} before {names[pair['second']]}: internal {pair['p_a']:.0%}"
            in words
        )
    assert len(compared["disagreements"]) == text.count("disagree: ") > 0
    move = compared["moves"][0]
    assert f"{names[move['area']]} {move['rank_a']:g} to {move['rank_b']:g}" in words
    groups = document["internal"]["groups"]
    shares = (
        groups["p_capabilities_first"],
        *(groups["p_first_area"][one] for one in ("capabilities", "safety")),
    )
    assert "internal " + " ".join(f"{share:.0%}" for share in shares) in words
    for heading in (
        "evidence; every value",
        "by law of weights",
        "what one must think",
        "whatever the dependence",
    ):
        assert heading in words
    assert "its pairs are coherent" in words


def test_weights_of_ones_own_are_a_version_of_their_own(program: Program) -> None:
    model = order(program, "--weight", "feedback_quality=1")["model"]
    assert model["version"] == "base+weights"
    assert "feedback_quality = 1" in model["note"]
    assert order(program)["model"]["version"] == "base"


@pytest.mark.parametrize("chosen", [("--weight", "feedback_quality=0"), ("--model", "scheming-mixture")])
def test_what_would_swap_neighbours_is_asked_of_the_model_that_speaks(
    program: Program, chosen: tuple[str, ...]
) -> None:
    document = order(program, *chosen, "--detail")
    internal, swaps = document["internal"], document["detail"]["swaps"]
    assert [swaps[0]["first"], *(swap["second"] for swap in swaps)] == internal["ranking"]
    for swap in swaps:
        gap = internal["scores"][swap["first"]] - internal["scores"][swap["second"]]
        assert swap["gap"] == pytest.approx(gap)


def test_charts_are_written_where_asked(filled: Program, tmp_path: Path) -> None:
    files = order(filled, *as_of(NOW), "--history", "2", "--plot", str(tmp_path / "charts"))["charts"]
    names = {Path(file).name for file in files}
    assert {"orderings.png", "ranks-market.svg", "pairs-internal-market.png", "agreement.png"} <= names
    assert all(Path(file).stat().st_size > 1_000 for file in files)


# Tables of one's own


def rows() -> list[list[str]]:
    table = CATALOGUE.factors
    return [
        ["row", "weight", *table.areas],
        *(
            [factor, str(table.weights[factor]), *(str(row[area]) for area in table.areas)]
            for factor, row in table.scores.items()
        ),
    ]


def written(path: Path, cells: list[list[str]]) -> str:
    with path.open("w", newline="") as handle:
        csv.writer(handle).writerows(cells)
    return str(path)


def test_a_table_of_ones_own_is_a_version_of_its_own(program: Program, tmp_path: Path) -> None:
    same = order(program, "--factors", written(tmp_path / "mine.csv", rows()))
    base = order(program)
    assert same["internal"]["scores"] == base["internal"]["scores"]
    assert same["model"]["digest"] == base["model"]["digest"]
    assert same["model"]["table"] != base["model"]["table"]
    extra = [rows()[0], ["quantity", "2.5", *map(str, (4, 1, 4, 8, 8, 2, 5, 9, 5, 4))]]
    eighth = order(program, "--add-factors", written(tmp_path / "eighth.csv", extra))
    assert eighth["internal"]["ranking"][0] == "data_generation"
    mixed = order(program, "--assistant", written(tmp_path / "other.csv", rows()))
    assert mixed["internal"]["scores"] == pytest.approx(base["internal"]["scores"])
    toml = tmp_path / "mine.toml"
    table = CATALOGUE.factors
    lines = ['[factors]\nversion = "mine-1"\nsource_url = "https://example.org"\n[factors.weights]']
    lines += [f"{factor} = 1.0" for factor in table.factors]
    for factor, row in table.scores.items():
        lines += [f"[factors.scores.{factor}]", *(f"{area} = {score:.2f}" for area, score in row.items())]
    toml.write_text("\n".join(lines), encoding="utf-8")
    equal = order(program, "--factors", str(toml))
    assert equal["model"]["table"] == "mine-1"
    assert equal["internal"]["groups"]["capabilities"] == pytest.approx(7.02, abs=0.01)


@pytest.mark.parametrize(
    ("row", "column", "cell", "said"),
    [
        (2, 4, "", "missing or empty"),
        (3, 1, "-1", "0 or more"),
        (0, 5, "ai_controll", "unknown area"),
        (4, 0, "Feedback!", "no factor name"),
        (5, 6, "11", "outside 1..10"),
        (5, 6, "0.5", "outside 1..10"),
        (0, 5, "alignment_theory", "already"),
        (2, 3, "nan", "not a number"),
    ],
)
@pytest.mark.parametrize("option", ["--factors", "--assistant"])
def test_a_bad_cell_is_exit_2_with_file_line_and_column(
    program: Program, tmp_path: Path, option: str, row: int, column: int, cell: str, said: str
) -> None:
    cells = rows()
    cells[row][column] = cell
    path = written(tmp_path / "bad.csv", cells)
    answer = program("order", option, path)
    assert answer.code == 2
    assert said in answer.err
    assert f"bad.csv:{row + 1}" in answer.err
    assert f"column {column + 1}" in answer.err


def test_weights_that_are_all_zero_are_exit_2(program: Program, tmp_path: Path) -> None:
    cells = rows()
    for row in cells[1:]:
        row[1] = "0"
    answer = program("order", "--factors", written(tmp_path / "zero.csv", cells))
    assert answer.code == 2
    assert "all weights are zero" in answer.err
    assert "zero.csv:1" in answer.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--model", "schemin"), "scheming-mixture"),
        (("--since", "2026-01-01"), "database"),
        (("--history", "3"), "database"),
        (("--since", "2030-01-01", "--as-of", "2026-01-01"), "before"),
        (("--record", "--as-of", "2026-01-01"), "--as-of"),
        (("--rederive",), "--history"),
        (("--model", "scheming-mixture", "--weight", "task_length=2"), "mixes"),
        (("--law", "centred", "--weight-sd", "3"), "below"),
    ],
)
def test_calls_that_make_no_sense_are_exit_2(program: Program, arguments: tuple[str, ...], said: str) -> None:
    answer = program("order", *arguments)
    assert answer.code == 2
    assert said in answer.err


def test_bad_rankings_are_exit_2_with_their_place(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "ranks.csv"
    path.write_text("forecaster,1,2\nann,ai_control,cooking\n", encoding="utf-8")
    answer = program("order", "--rankings", str(path))
    assert answer.code == 2
    assert "ranks.csv, line 2, column 3" in answer.err
    path.write_text("forecaster,1,2,3\nann,ai_control,data_generation,alignment_theory\n", encoding="utf-8")
    assert order(program, "--rankings", str(path))["panel"]["ranking"][0] == "ai_control"
