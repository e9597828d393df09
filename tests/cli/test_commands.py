"""What scripts and people may rely on: exit codes, one JSON document, errors that say where."""

from __future__ import annotations

import gc
from pathlib import Path

import click
import pytest

from questions.catalogue import load_catalogue
from tests.cli.speedup import Program
from tracker import __version__
from tracker.commands import memory
from tracker.commands.root import COMMANDS, cli

PRINTED = {
    "interpretability": 5.53,
    "alignment_theory": 4.04,
    "scalable_oversight": 4.76,
    "ai_control": 5.78,
    "dangerous_capability_evals": 5.93,
    "pretraining_algorithms": 5.37,
    "post_training": 6.21,
    "data_generation": 6.22,
    "agent_scaffolding": 7.35,
    "training_efficiency": 7.09,
}


def leaves(group: click.Group = cli, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command that does something, as the words to call it."""
    found: list[tuple[str, ...]] = []
    context = click.Context(group)
    for name in COMMANDS if group is cli else group.list_commands(context):
        command = group.get_command(context, name)
        words = (*before, name)
        found += leaves(command, words) if isinstance(command, click.Group) else [words]
    return found


@pytest.mark.parametrize("words", leaves(), ids=" ".join)
def test_every_command_has_help_with_an_example_and_speaks_json(
    program: Program, words: tuple[str, ...]
) -> None:
    answer = program.bare(*words, "--help")
    assert answer.code == 0
    assert "Example" in answer.out
    assert "--json" in answer.out


def test_version_and_help(program: Program) -> None:
    assert program.bare("--version").out.strip() == f"speedup {__version__}"
    text = program.bare("--help").out
    assert all(name in text for name in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ordr",), "order"),
        (("pull", "nowhere"), "manifold"),
        (("order", "--weight", "feedback_quality"), "NAME=VALUE"),
        (("order", "--weight", "feedback_quality=much"), "not a number"),
        (("order", "--weight", "feedbak=1"), "feedbak"),
        (("order", "--weight", "feedback_quality=-1"), "feedback_quality"),
        (("questions", "show", "date-interpretability-9x"), "date-interpretability-"),
        (("questions", "list", "--area", "cooking"), "interpretability"),
        (("trend", "fit", "--from", "January"), "YYYY-MM-DD"),
        (("status", "--as-of", "2026-01-01T10:00"), "offset"),
        (("run", "--only", "cooking"), "poll:manifold"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_call_is_exit_2_and_says_what_would_be_right(
    program: Program, arguments: tuple[str, ...], said: str
) -> None:
    answer = program(*arguments) if arguments != ("ordr",) else program.bare(*arguments)
    assert answer.code == 2
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert answer.out == ""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("pull", "nowhere"), 2),
        (("order", "--weight", "feedbak=1"), 2),
        (("db", "check"), 3),
        (("status", "--no"), 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_with_json_a_failure_is_one_document_too(
    program: Program, arguments: tuple[str, ...], code: int
) -> None:
    answer = program(*arguments, "--json")
    assert answer.code == answer.json["exit_code"] == code
    assert answer.json["error"] in answer.err


@pytest.mark.parametrize(
    "words", [("db", "check"), ("series", "list"), ("trend", "fit"), ("reparse",), ("calibration",)]
)
def test_reading_a_database_that_is_not_there_is_exit_3_and_creates_nothing(
    program: Program, words: tuple[str, ...]
) -> None:
    answer = program(*words)
    assert answer.code == 3
    assert "Traceback" not in answer.err
    assert list(program.folder.glob("*.sqlite")) == []


def test_order_without_a_database_gives_the_essays_ten_scores_and_says_who_is_silent(
    program: Program,
) -> None:
    document = program("order", "--json", "--draws", "2000").json
    internal = document["internal"]
    assert {area: round(score, 2) for area, score in internal["scores"].items()} == PRINTED
    assert internal["ranking"][0] == "agent_scaffolding"
    assert internal["ranking"][-1] == "alignment_theory"
    assert document["threshold"] == 10
    for area, row in internal["rank_probabilities"].items():
        assert sum(row) == pytest.approx(1.0), area
    for voice in ("market", "trend", "panel"):
        assert document[voice]["ranking"] == []
        assert document[voice]["reason"]
    assert document["comparisons"] == []
    assert list(program.folder.glob("*.sqlite")) == []


def test_a_users_weights_make_another_model(program: Program) -> None:
    document = program("order", "--json", "--draws", "500", "--weight", "feedback_quality=0").json
    base = program("order", "--json", "--draws", "500").json
    assert document["internal"]["model"] != base["internal"]["model"]
    assert document["internal"]["scores"] != base["internal"]["scores"]


@pytest.mark.parametrize(
    ("need", "words"),
    [
        ("alignment=60", "no such area: alignment; there are: interpretability"),
        ("ai_control=soon", "'soon' is not a number"),
        ("ai_control=-3", "positive number of minutes"),
        ("ai_control=nan", "positive number of minutes"),
    ],
)
def test_a_need_that_makes_no_sense_is_exit_2(program: Program, need: str, words: str) -> None:
    answer = program("order", "--need", need)
    assert answer.code == 2
    assert words in answer.err


def test_a_broken_factor_table_names_file_row_and_column(program: Program) -> None:
    table = program.folder / "mine.csv"
    table.write_text("row,weight,interpretability\ntask_length,1.0,11.5\n")
    answer = program("order", "--factors", str(table))
    assert answer.code == 2
    assert "mine.csv:2" in answer.err
    assert "interpretability" in answer.err


def test_a_broken_user_catalogue_is_one_report_with_lines_and_nothing_is_loaded(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = program.folder / "mine"
    folder.mkdir()
    (folder / "a.toml").write_text('[[link]]\nplatform = "manifold"\nwrong = 1\n')
    (folder / "b.toml").write_text("[[question]\n")
    monkeypatch.setenv("SPEEDUP_QUESTIONS_PATH", str(folder))
    answer = program("questions", "list")
    assert answer.code == 2
    assert "a.toml:3" in answer.err
    assert "b.toml:1" in answer.err
    assert answer.out == ""


def test_questions_list_and_show(program: Program) -> None:
    listed = program("questions", "list", "--json").json["questions"]
    assert len(listed) == len(load_catalogue().questions)
    shown = program("questions", "show", listed[0]["id"], "--json").json
    assert shown["id"] == listed[0]["id"]
    assert len(program("questions", "list", "--links", "--json").json["links"]) >= 60


YAML = """\
benchmark_name: METR-Horizon-v1.1
results:
{rows}
"""
ROW = """\
  model_{i}:
    benchmark_name: METR-Horizon-v1.1
    metrics:
      average_score: {{estimate: 0.5}}
      is_sota: true
      p50_horizon_length: {{ci_high: {high}, ci_low: {low}, estimate: {value}}}
      p80_horizon_length: {{ci_high: {high}, ci_low: {low}, estimate: {value}}}
    release_date: {date}
"""


def results_file(folder: Path, minutes: list[float]) -> Path:
    """A file in METR's layout with one record a 100 days, from 2023-01-01 on."""
    from datetime import date, timedelta

    rows = "".join(
        ROW.format(i=i, value=v, low=v / 2, high=v * 2, date=date(2023, 1, 1) + timedelta(days=100 * i))
        for i, v in enumerate(minutes)
    )
    path = folder / "results.yaml"
    path.write_text(YAML.format(rows=rows))
    return path


def test_trend_fit_on_a_file_that_doubles_every_hundred_days(program: Program) -> None:
    path = results_file(program.folder, [2.0, 4.0, 8.0, 16.0, 32.0])
    document = program("trend", "fit", "--file", str(path), "--threshold", "64", "--json").json
    assert document["doubling_time_days"] == pytest.approx(100.0)
    assert document["selection"]["n"] == 5
    (crossing,) = document["crossings"]
    assert crossing["line"] == "2024-05-15"  # 500 days after 2023-01-01
    assert crossing["record_median"] is None
    assert crossing["record_reason"]
    assert set(document) >= {
        "series", "sha256", "shape", "doubling_ci95_days", "ci_method", "r_squared", "residual_sd_log2",
        "shapes", "warnings",
    }  # fmt: skip


def test_trend_fit_keeps_to_the_window_and_the_cap(program: Program) -> None:
    path = results_file(program.folder, [2.0, 4.0, 8.0, 16.0, 32.0, 5000.0])
    document = program(
        "trend", "fit", "--file", str(path), "--from", "2023-04-01", "--max-minutes", "960", "--json"
    ).json
    assert document["selection"]["points"] == ["model_1", "model_2", "model_3", "model_4"]


def test_trend_fit_on_a_flat_series_has_no_doubling_time_and_says_so(program: Program) -> None:
    path = results_file(program.folder, [32.0, 16.0, 8.0, 4.0])
    document = program("trend", "fit", "--file", str(path), "--sota", "all", "--json").json
    assert document["doubling_time_days"] is None
    assert document["warnings"]
    assert all(entry["line"] is None for entry in document["crossings"])


def test_trend_fit_with_joint_draws_uses_them_for_the_interval(program: Program) -> None:
    dates, draws = program.folder / "dates.csv", program.folder / "draws.csv"
    dates.write_text("model,release_date,p50\na,2023-01-01,2\nb,2023-04-11,4\nc,2023-07-20,8\n")
    draws.write_text("a,b,c\n2,4,8\n2,8,32\n")
    document = program(
        "trend", "fit", "--draws", str(draws), "--draw-dates", str(dates), "--sota", "all", "--json"
    ).json
    low, high = document["doubling_ci95_days"]
    assert document["doubling_time_days"] == pytest.approx(100.0)
    assert 50.0 <= low < high <= 100.0
    assert "bootstrap" in document["ci_method"]


@pytest.mark.parametrize(
    "content", [b"<!doctype html><title>busy</title>", b"\xff\xfe\x00", b"results: [", b""]
)
def test_trend_fit_on_what_is_no_results_file_is_exit_2(program: Program, content: bytes) -> None:
    path = program.folder / "results.yaml"
    path.write_bytes(content)
    answer = program("trend", "fit", "--file", str(path))
    assert answer.code == 2
    assert "results.yaml" in answer.err


def test_calibration_of_a_csv_has_the_documented_shape(program: Program) -> None:
    path = program.folder / "f.csv"
    rows = [f"q{i},{0.1 if i % 2 else 0.8},{0 if i % 2 else 1}" for i in range(40)]
    path.write_text("id,p,y\n" + "\n".join(rows) + "\n")
    document = program(
        "calibration", "--input", str(path), "--columns", "probability=p,outcome=y,question=id", "--json"
    ).json
    assert document["n_forecasts"] == 40
    assert document["brier"]["value"] == pytest.approx((0.04 + 0.01) / 2)
    assert len(document["brier"]["ci95"]) == 2
    assert set(document) >= {
        "n_questions", "n_void", "n_pending", "base_rate", "log_clip", "log_score", "spherical", "brier_skill",
        "ece", "smooth_ece", "corp", "bins", "groups",
    }  # fmt: skip


def test_a_wrong_cell_in_a_csv_is_exit_2_with_file_line_and_column(program: Program) -> None:
    path = program.folder / "f.csv"
    path.write_text("id,p,y\nq1,0.5,1\nq2,55%,0\n")
    answer = program("calibration", "--input", str(path), "--columns", "probability=p,outcome=y,question=id")
    assert answer.code == 2
    assert "f.csv:3" in answer.err
    assert "p" in answer.err


def test_a_calibration_plot_is_written_as_png_or_svg_and_nothing_else(program: Program) -> None:
    path = program.folder / "f.csv"
    path.write_text("id,p,y\n" + "".join(f"q{i},{(i % 10) / 10 + 0.05},{i % 3 == 0:d}\n" for i in range(60)))
    call = ("calibration", "--input", str(path), "--columns", "probability=p,outcome=y,question=id", "--plot")
    assert program(*call, str(program.folder / "c.png")).code == 0
    assert (program.folder / "c.png").read_bytes().startswith(b"\x89PNG")
    assert program(*call, str(program.folder / "c.svg")).code == 0
    assert "<svg" in (program.folder / "c.svg").read_text()
    assert program(*call, str(program.folder / "c.gif")).code == 2


def test_status_and_doctor_work_before_there_is_anything(program: Program) -> None:
    status = program("status", "--json")
    assert (status.code, status.json["sources"]) == (0, [])
    assert "pull" in status.json["reason"]
    doctor = program("doctor", "--offline", "--json")
    assert doctor.code == 0
    assert {check["what"] for check in doctor.json["checks"]} >= {"catalogue", "database", "disk"}


def test_doctor_shows_that_a_key_is_set_and_never_the_key(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEEDUP_METACULUS_TOKEN", "canary-5678")
    answer = program("doctor", "--offline")
    assert "canary-5678" not in answer.out + answer.err
    assert "set" in answer.out


def test_cycles_are_seldom_looked_for_at_start_and_as_usual_in_what_stays() -> None:
    before = gc.get_threshold()
    try:
        memory.starting()
        seldom = gc.get_threshold()
        memory.staying()
        assert gc.get_threshold() == memory._USUAL
        assert gc.get_freeze_count() > 0
        assert seldom[0] > memory._USUAL[0] > 0
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
