"""One's own factor table by CSV, and the needed horizons that follow from a table."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from questions.catalogue import Catalogue, load_catalogue, load_factor_csv
from questions.errors import CatalogueError
from questions.factors import HorizonRequirements
from questions.model import FactorTable
from tests.questions.examples import changed

AREAS = (
    "interpretability,alignment_theory,scalable_oversight,ai_control,dangerous_capability_evals,"
    "pretraining_algorithms,post_training,data_generation,agent_scaffolding,training_efficiency"
)
CSV = f"""\
row,weight,{AREAS}
task_length,1.0,7.62,2.12,4.00,6.25,7.62,3.12,5.00,6.12,7.50,6.12
feedback_quality,2.5,3.88,1.38,3.88,4.38,3.62,7.50,7.38,6.00,7.50,9.12
printed_amenable,,5.53,4.04,4.76,5.78,5.93,5.37,6.21,6.22,7.35,7.09
category,,safety,safety,safety,safety,safety,capabilities,capabilities,capabilities,capabilities,capabilities
"""


def load(tmp_path: Path, text: str | bytes) -> FactorTable:
    path = tmp_path / "mine.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_factor_csv(path)


def refused(tmp_path: Path, text: str | bytes) -> list[tuple[int, str, str]]:
    with pytest.raises(CatalogueError) as caught:
        load(tmp_path, text)
    assert caught.value.exit_code == 2
    assert {problem.file for problem in caught.value.problems} == {str(tmp_path / "mine.csv")}
    return [(problem.line, problem.key, problem.message) for problem in caught.value.problems]


def test_a_csv_gives_its_factors_and_leaves_out_printed_rows_and_categories(tmp_path: Path) -> None:
    table = load(tmp_path, CSV)
    assert table.weights == {"task_length": 1.0, "feedback_quality": 2.5}
    assert table.scores["feedback_quality"]["training_efficiency"] == 9.12
    assert table.areas == load_catalogue().area_keys


def test_columns_may_stand_in_any_order_and_come_in_the_catalogues(tmp_path: Path) -> None:
    rows = [row.split(",") for row in CSV.splitlines()]
    turned = "\n".join(",".join([*row[:2], *reversed(row[2:])]) for row in rows)
    assert load(tmp_path, turned).scores == load(tmp_path, CSV).scores
    assert load(tmp_path, turned).areas == load_catalogue().area_keys


def test_the_version_follows_the_content(tmp_path: Path) -> None:
    first = load(tmp_path, CSV).version
    assert first.startswith("mine.csv@")
    assert load(tmp_path, CSV).version == first
    assert load(tmp_path, CSV.replace("9.12", "9.13")).version != first


def test_spreadsheet_habits_do_no_harm(tmp_path: Path) -> None:
    """A byte order mark, Windows line ends, quotes, spaces and empty rows."""
    text = CSV.replace("7.62,2.12", '"7.62", 2.12').replace("\n", "\r\n") + "\r\n,,,\r\n"
    assert load(tmp_path, b"\xef\xbb\xbf" + text.encode()).scores == load(tmp_path, CSV).scores


@pytest.mark.parametrize(
    ("old", "new", "line", "column", "message"),
    [
        ("weight,interp", "weight,interpp", 1, 3, "did you mean 'interpretability'?"),
        ("row,weight", "factor,weight", 1, 1, "must begin with row,weight"),
        (",alignment_theory", ",interpretability", 1, 4, "stands in column 3 already"),
        ("2.5,3.88", "2.5,", 3, 3, "the cell is missing or empty"),
        (",7.50,9.12", ",7.50", 3, 12, "the cell is missing or empty"),
        ("9.12\n", "9.12,1\n", 3, 13, "13 cells in a row, the header has 12"),
        ("feedback_quality,2.5", "feedback_quality,-2.5", 3, 2, "0 or more, not -2.5"),
        ("feedback_quality,2.5", "feedback_quality,1e999", 3, 2, "0 or more, not inf"),
        ("9.12", "10.01", 3, 12, "score 10.01 is outside 1..10"),
        ("9.12", "0.99", 3, 12, "score 0.99 is outside 1..10"),
        ("9.12", "nan", 3, 12, "'nan' is not a number"),
        ("9.12", "9;12", 3, 12, "'9;12' is not a number"),
        ("feedback_quality", "task_length", 3, 1, "stands in line 2 already"),
        ("feedback_quality", "Feedback quality", 3, 1, "is no factor name"),
    ],
)
def test_a_wrong_cell_is_told_with_line_and_column(
    tmp_path: Path, old: str, new: str, line: int, column: int, message: str
) -> None:
    problems = refused(tmp_path, changed(CSV, old, new))
    header = CSV.splitlines()[0].split(",")
    named = f" ({header[column - 1]})" if line > 1 and 2 <= column <= len(header) else ""
    assert any(
        (at, key) == (line, f"column {column}{named}") and message in text for at, key, text in problems
    ), problems


def test_a_missing_area_is_told(tmp_path: Path) -> None:
    rows = [row.rpartition(",")[0] for row in CSV.splitlines()]
    assert refused(tmp_path, "\n".join(rows)) == [(1, "", "no column for area 'training_efficiency'")]


def test_weights_that_are_all_zero_are_told(tmp_path: Path) -> None:
    text = CSV.replace("task_length,1.0", "task_length,0").replace(
        "feedback_quality,2.5", "feedback_quality,0"
    )
    assert refused(tmp_path, text) == [(1, "column 2", "all weights are zero: at least one must be positive")]


def test_all_wrong_cells_come_at_once(tmp_path: Path) -> None:
    text = changed(CSV, "9.12", "x").replace("task_length,1.0", "task_length,-1").replace("6.25", "62.5")
    assert [(line, column) for line, column, _ in refused(tmp_path, text)] == [
        (2, "column 2 (weight)"),
        (2, "column 6 (ai_control)"),
        (3, "column 12 (training_efficiency)"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (CSV.splitlines()[0].encode(), "no row with a factor"),
        (CSV.encode() + b"caf\xe9", "not UTF-8"),
        (CSV.replace("7.62,2.12", '"7.62"1,2.12').encode(), "not readable as CSV"),
        (CSV.replace("9.12", '"9.12').encode(), "not readable as CSV"),
    ],
)
def test_a_file_that_is_no_table_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    assert any(message in text for _, _, text in refused(tmp_path, content))


def test_a_csv_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"nothing\.csv: cannot be read: No such file"):
        load_factor_csv(tmp_path / "nothing.csv")


# Needed horizons --------------------------------------------------------------------------------------


def test_the_anchor_areas_need_a_hundred_hours_on_geometric_average(catalogue: Catalogue) -> None:
    needed = catalogue.requirements.needed_minutes(catalogue.factors)
    product = 1.0
    for area in ("interpretability", "scalable_oversight", "ai_control", "dangerous_capability_evals"):
        product *= needed[area] / 60
    assert product**0.25 == pytest.approx(100.0)


def test_a_point_less_amenable_needs_twice_as_long(catalogue: Catalogue) -> None:
    """By hand: mean task length score of the anchors (7.62 + 4.00 + 6.25 + 7.62) / 4 = 6.3725."""
    needed = catalogue.requirements.needed_minutes(catalogue.factors)
    assert needed["scalable_oversight"] == pytest.approx(6000 * 2**2.3725)
    assert needed["interpretability"] == pytest.approx(6000 * 2**-1.2475)
    assert needed["alignment_theory"] / needed["pretraining_algorithms"] == pytest.approx(2.0)
    assert tuple(needed) == catalogue.area_keys


@settings(max_examples=50)
@given(st.data())
def test_more_amenable_areas_never_need_more(data: st.DataObject) -> None:
    scores = {area: data.draw(st.floats(1, 10)) for area in ("a", "b", "c")}
    table = FactorTable(version="t", source_url="", weights={"f": 1.0}, scores={"f": scores})
    requirements = HorizonRequirements(
        version="1",
        anchor_minutes=100.0,
        anchor_areas=("a",),
        reliability=0.5,
        factor="f",
        doublings_per_point=data.draw(st.floats(0, 10)),
        sd_doublings=1.0,
        source="s",
        source_url="",
        note="n",
    )
    needed = requirements.needed_minutes(table)
    assert needed["a"] == 100.0
    for one in scores:
        for other in scores:
            if scores[one] >= scores[other]:
                assert needed[one] <= needed[other]


def test_a_need_stated_outright_replaces_the_derived_one(catalogue: Catalogue) -> None:
    stated = catalogue.requirements.model_copy(update={"minutes": {"ai_control": 480.0}})
    derived = catalogue.requirements.needed_minutes(catalogue.factors)
    assert stated.needed_minutes(catalogue.factors) == derived | {"ai_control": 480.0}


def test_a_table_without_the_factor_gives_no_view(catalogue: Catalogue) -> None:
    factors = catalogue.factors
    table = FactorTable(
        version="less",
        source_url="",
        weights={"feedback_quality": 1.0},
        scores={"feedback_quality": factors.scores["feedback_quality"]},
    )
    assert catalogue.requirements.needed_minutes(table) == {}
