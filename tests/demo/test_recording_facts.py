"""The bundled tables: what is in them, that it is described, and that a broken table is refused."""

import csv
import shutil
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from tests.demo.tables import FOLDER, daily, recording, rows
from tracker.demo.facts import load_facts
from tracker.demo.formats import FREEZE_BEFORE
from tracker.errors import UsageError

TABLES = ("crowd_daily.csv.gz", "metr_published.csv", "metr_versions.csv", "questions.csv")


def test_the_tables_hold_as_much_as_their_description_says() -> None:
    facts = load_facts()
    described = (FOLDER / "README.md").read_text(encoding="utf-8")
    per_source = Counter(question.source for question in facts.questions)
    values = sum(len(question.values) for question in facts.questions)
    outcomes = Counter(question.resolved_to for question in facts.questions)
    counts = (
        f"{len(facts.questions)} questions ({per_source['manifold']} Manifold, {per_source['metaculus']} Metaculus, "
        f"{per_source['polymarket']} Polymarket, {per_source['infer']} INFER), {values:,} daily values, "
        f"{outcomes[True] + outcomes[False]} outcomes\n({outcomes[True]} Yes, {outcomes[False]} No), "
        f"{len(facts.horizons)} rows of METR measurements"
    )
    assert counts in described


def test_nothing_is_lost_on_the_way_from_the_tables_to_the_facts() -> None:
    facts = load_facts()
    assert {
        (question.source, question.id): dict(zip(question.days, question.values, strict=True))
        for question in facts.questions
    } == daily()
    assert len(facts.horizons) == len(rows("metr_versions.csv"))
    assert len(facts.published) == len(rows("metr_published.csv"))
    assert sum(len(question.frozen) for question in facts.questions) == sum(
        len([day for day in row["question_set_dates"].split(";") if day]) for row in rows("questions.csv")
    )


@pytest.mark.parametrize("table", TABLES)
def test_every_table_has_its_licence_and_every_column_its_meaning(table: str) -> None:
    described = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert f"`{table}`" in (FOLDER / "LICENCES.md").read_text(encoding="utf-8")
    for column in rows(table)[0]:
        assert f"`{column}`" in described


def test_the_folder_holds_tables_and_notes_and_none_of_metrs_own_files() -> None:
    names = {path.name for path in FOLDER.iterdir() if path.name != "__pycache__"}
    assert names == {*TABLES, "README.md", "LICENCES.md", "__init__.py"}


def test_only_a_suite_we_know_to_be_complete_in_order_is_there() -> None:
    versions = [(row.suite, str(row.seen)) for row in recording().facts.published]
    assert versions == [
        ("1.0", "2026-01-30"),
        ("1.1", "2026-01-30"),
        ("1.1", "2026-02-06"),
        ("1.1", "2026-02-22"),
        ("1.1", "2026-03-03"),
        ("1.1", "2026-05-08"),
    ]


def test_a_daily_value_is_of_the_end_of_its_day() -> None:
    """ForecastBench freezes at midnight, so its freeze value must be that of the day before.

    The two tables come from different files of the publisher. Were a value of the start of its day, the freeze
    would agree with the day itself instead.
    """
    agree: Counter[tuple[int, bool]] = Counter()
    for question in recording().facts.questions:
        path = dict(zip(question.days, question.values, strict=True))
        for due, frozen in question.frozen:
            freeze = due - FREEZE_BEFORE
            for back in (0, 1):
                day = date.fromordinal(freeze.toordinal() - back)
                if day in path:
                    agree[back, abs(path[day] - frozen) < 1e-9] += 1
    day_before = agree[1, True] / (agree[1, True] + agree[1, False])
    same_day = agree[0, True] / (agree[0, True] + agree[0, False])
    assert agree[1, True] + agree[1, False] >= 30
    assert day_before > 0.85
    assert same_day < 0.6


def test_what_still_had_a_value_was_not_yet_resolved() -> None:
    question = next(q for q in recording().questions("metaculus") if q.id == "41206")
    assert question.resolution_date == date(2026, 6, 30)
    assert question.days[-1] == date(2026, 7, 5)
    assert question.outcome_seen == date(2026, 7, 6)
    assert not question.resolved(date(2026, 7, 5))
    assert question.resolved(date(2026, 7, 6))


def _copy(folder: Path) -> Path:
    for table in TABLES:
        shutil.copy(FOLDER / table, folder / table)
    return folder


def _change(path: Path, line: int, column: str, text: str) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        changed = list(reader)
        names = list(reader.fieldnames or ())
    changed[line - 2][column] = text
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(changed)


@pytest.mark.parametrize(
    ("table", "line", "column", "text"),
    [
        ("metr_versions.csv", 5, "p50", "about an hour"),
        ("metr_versions.csv", 7, "is_sota", "yes"),
        ("metr_published.csv", 3, "version_seen", "2026-02-30"),
        ("questions.csv", 4, "close_date", "soon"),
        ("questions.csv", 4, "resolved_to", "1"),
        ("questions.csv", 3, "freeze_values", "0.5"),
    ],
)
def test_a_broken_cell_is_refused_with_file_and_line(
    tmp_path: Path, table: str, line: int, column: str, text: str
) -> None:
    folder = _copy(tmp_path)
    if column == "freeze_values":
        _change(folder / table, line, "question_set_dates", "2026-02-01;2026-02-15")
    _change(folder / table, line, column, text)
    with pytest.raises(UsageError, match=rf"^{table}:{line}: "):
        load_facts(folder)


def test_a_value_of_a_question_nobody_described_is_refused(tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    text = (folder / "questions.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "questions.csv").write_text("".join(text[:-1]), encoding="utf-8")
    with pytest.raises(UsageError, match=r"is not in questions\.csv"):
        load_facts(folder)
