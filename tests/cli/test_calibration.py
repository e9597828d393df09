"""``speedup calibration``: over life, compared, against a stated reference; from a file and from the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.speedup import Program

COLUMNS = "probability=p,outcome=y,question=q,forecaster=f,made_at=m,closes_at=c"


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
