"""``speedup calibration``: over life, compared, against a stated reference; from a file and from the store."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyarrow import parquet

from questions.catalogue import load_catalogue
from questions.records import (
    Distribution,
    OutcomeState,
    Quantity,
    QuestionInfo,
    Resolution,
    Snapshot,
    StreamKey,
)
from storage import open_store
from storage.records import Batch
from tests.cli.speedup import Program
from tracker.columns import cell

DAY = timedelta(days=1)
CLOSE = datetime(2025, 4, 11, tzinfo=UTC)
LINK = next(one for one in load_catalogue().links if one.outcome == "value" and one.platform == "metaculus")

COLUMNS = "probability=p,outcome=y,question=q,forecaster=f,made_at=m,closes_at=c"


def dated(answer: datetime):
    """A date question of a hundred days, a uniform forecast of 400 days on it, and its answer."""
    name = ("metaculus", "metaculus", LINK.external_id)
    key = StreamKey(*name, "value", Quantity.FORECASTER_MEDIAN)
    opened = CLOSE - 100 * DAY
    grid = tuple((answer + k * DAY).timestamp() for k in (-200, 0, 200))
    shape = Distribution(grid, (0.0, 0.5, 1.0), "date")
    seen = tuple(
        Snapshot(key, at, at, distribution=shape) for k in range(0, 100, 2) for at in (opened + k * DAY,)
    )
    info = QuestionInfo(*name, opened, "t", opens_at=opened, closes_at=CLOSE)
    value = answer.timestamp()
    word = Resolution(*name, "value", OutcomeState.VALUE, CLOSE, resolved_at=CLOSE, value=value)
    return seen, (), (word,), (info,)


@pytest.fixture
def file(program: Program) -> Path:
    path = program.folder / "mine.csv"
    rows = ["q,f,p,y,m,c"]
    for k in range(12):
        close = f"2025-{k + 1:02d}-28"
        rows += [
            f"q{k},ann,0.{k % 9 + 1},{k % 2},2025-01-01,{close}",
            f"q{k},bob,0.5,{k % 2},2025-01-01,{close}",
        ]
    path.write_text("\n".join(rows))
    return path


def test_a_file_is_scored_over_life_and_compared(program: Program, file: Path) -> None:
    arguments = (
        "calibration",
        "--input",
        str(file),
        "--columns",
        COLUMNS,
        "--over-life",
        "--compare",
        "forecaster",
    )
    document = program(*arguments, "--reference", "0.5", "--json").json
    ann, bob = document["over_life"]
    assert bob["brier"]["value"] == pytest.approx(0.25)
    assert bob["baseline"]["value"] == pytest.approx(0.0)
    assert ann["peer"]["value"] == pytest.approx(-bob["peer"]["value"])
    (pair,) = document["comparison"]["pairs"]
    assert pair["difference"]["value"] == pytest.approx(ann["brier"]["value"] - 0.25)
    assert pair["sequence"]["weeks"] == 12
    assert document["brier_skill"]["reference"] == 0.5
    text = program(*arguments).out
    assert "over the life of each question" in text
    assert "negative, a is better" in text


def test_who_is_shown_does_not_change_who_is_a_peer(program: Program, file: Path) -> None:
    arguments = ("calibration", "--input", str(file), "--columns", COLUMNS, "--over-life", "--json")
    both = program(*arguments).json["over_life"]
    one = program(*arguments, "--forecaster", "ann").json["over_life"]
    assert one == [both[0]]


@pytest.mark.parametrize("extra", [("--since", "2025-01-01"), ("--reference", "1")])
def test_what_does_not_go_together_is_refused(program: Program, file: Path, extra: tuple[str, ...]) -> None:
    answer = program("calibration", "--input", str(file), "--columns", COLUMNS, "--over-life", *extra)
    assert answer.code == 2
    assert "Traceback" not in answer.err


def test_charts_are_written_or_only_told_of(program: Program, file: Path) -> None:
    columns = COLUMNS + ",resolved_at=c"
    arguments = (
        "calibration",
        "--input",
        str(file),
        "--columns",
        columns,
        "--charts",
        "out",
        "--resamples",
        "20",
    )
    told = program(*arguments, "--dry-run", "--json").json
    assert not Path("out").exists()
    done = program(*arguments, "--history", "--recalibrate", "--json").json
    assert done["files"] == told["files"]
    assert sorted(path.name for path in Path("out").iterdir()) == sorted(Path(f).name for f in done["files"])
    assert {month["forecaster"] for month in done["history"]} == {"all", "ann", "bob"}
    assert done["recalibration"]["out_of_sample"] is None
    assert "30 questions" in done["recalibration"]["reason"]


def test_today_is_compared_with_an_earlier_day_only(program: Program, file: Path) -> None:
    answer = program("calibration", "--input", str(file), "--columns", COLUMNS, "--and-today")
    assert answer.code == 2
    assert "--as-of" in answer.err


def test_numbers_and_dates_in_the_database_have_headings_of_their_own(program: Program) -> None:
    store = open_store(program.db)
    try:
        store.append(Batch(*dated(CLOSE + 100 * DAY)))
    finally:
        store.close()
    arguments = ("calibration", "--resamples", "10")
    document = program(*arguments, "--json").json
    crps = {one["unit"]: one for one in document["distributions"]["scores"] if one["score"] == "crps"}
    assert document["n_forecasts"] == 0
    assert crps["days"]["over_life"]["value"] == pytest.approx(400 / 12)
    assert {one["lead"] for one in crps["days"]["leads"]} == {"7", "30", "90", "midpoint"}
    (middle,) = [one for one in document["distributions"]["calibration"] if one["lead"] == "midpoint"]
    assert middle["pit"] == [[0.5, 0.5]]
    assert middle["reason"].startswith("too few to say")
    text = program(*arguments).out
    assert "how often central intervals held the answer" in text
    early = program(*arguments, "--json", "--as-of", "2025-04-01").json["distributions"]
    assert early["scores"] == []
    assert early["not_scored"] == [{"reason": "pending: no outcome yet", "n": 1}]


def test_scores_are_exported_with_a_guide_and_the_same_rows_in_both_formats(
    program: Program, file: Path
) -> None:
    arguments = ("calibration", "--input", str(file), "--columns", COLUMNS, "--group-by", "forecaster")
    arguments += ("--resamples", "20", "--json")
    told = program(*arguments, "--export", "out", "--dry-run").json["export"]
    assert told["dry_run"]
    assert not Path("out").exists()
    document = program(*arguments, "--export", "out").json
    assert document["export"]["files"] == told["files"]
    program(*arguments, "--export", "out", "--format", "parquet")
    guide = Path("out/README.md").read_text()
    for name in ("forecasts", "reports", "bins"):
        assert f"## {name}.parquet" in guide
        with Path(f"out/{name}.csv").open(newline="") as opened:
            in_csv = list(csv.DictReader(opened))
        in_parquet = parquet.read_table(f"out/{name}.parquet").to_pylist()
        assert [{key: cell(value) for key, value in row.items()} for row in in_parquet] == in_csv
    forecasts = parquet.read_table("out/forecasts.parquet").to_pylist()
    brier = [row["brier"] for row in forecasts if row["status"] == "scored"]
    assert all(row["brier"] == pytest.approx((row["probability"] - row["outcome"]) ** 2) for row in forecasts)
    assert sum(brier) / len(brier) == pytest.approx(document["brier"]["value"])
    reports = {row["group"]: row for row in parquet.read_table("out/reports.parquet").to_pylist()}
    assert reports[None]["questions"] == document["n_questions"]
    assert (reports["forecaster=bob"]["brier"], reports[None]["score_version"]) == (
        0.25,
        document["score_version"],
    )


def test_before_anything_resolves_there_is_something_to_say_under_its_own_label(program: Program) -> None:
    link = next(one for one in load_catalogue().links if one.outcome == "yes" and one.platform == "manifold")
    key = StreamKey("manifold", *link.key, Quantity.PLAY_MONEY_PRICE)
    store = open_store(program.db)
    try:
        days = [(CLOSE + n * DAY, 0.3 if n < 20 else 0.4) for n in range(40)]
        store.append(Batch(tuple(Snapshot(key, at, at, probability=p) for at, p in days)))
    finally:
        store.close()
    arguments = ("calibration", "--before-resolution", "--as-of", "2025-05-20")
    found = program(*arguments, "--json").json["before_resolution"]
    (movement,) = found["belief_movement"]["forecasters"]
    assert movement["movement"] == pytest.approx(0.01)
    assert [one["days_before"] for one in found["proxies"]["forecasters"]] == [30]
    text = program(*arguments).out
    assert "none of it is calibration" in text
    refused = program(*arguments, "--since", "2025-01-01")
    assert refused.code == 2
