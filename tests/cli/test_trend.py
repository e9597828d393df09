"""``speedup trend fit`` beyond the line, and ``speedup trend backtest``."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from storage import open_store
from storage.records import RawPayload
from tests.cli.speedup import Program
from tracker.sources.metr import read_metr

HEAD = """benchmark_name: METR-Horizon-v1.1
results:
"""
ROW = """  model_{i:02d}:
    benchmark_name: METR-Horizon-v1.1
    metrics:
      average_score:
        estimate: 0.5
      is_sota: {sota}
      p50_horizon_length: {{estimate: {value}, ci_low: {low}, ci_high: {high}}}
      p80_horizon_length: {{estimate: {p80}, ci_low: {low80}, ci_high: {high80}}}
    release_date: {date}
    scaffolds: [example]
"""
# Invented: a doubling every 120 days with some scatter, faster at the end, one value above the ceiling.
MINUTES = (2.0, 2.3, 4.9, 7.0, 16.0, 21.0, 60.0, 110.0, 130.0, 400.0, 700.0, 1500.0)


def results_file(folder: Path, minutes: tuple[float, ...] = MINUTES) -> Path:
    best, rows = 0.0, []
    for i, value in enumerate(minutes):
        rows.append(
            ROW.format(
                i=i,
                value=value,
                low=value / 2,
                high=value * 2,
                p80=value / 5,
                low80=value / 12,
                high80=value / 2,
                sota=str(value >= best).lower(),
                date=date(2023, 1, 1) + timedelta(days=100 * i),
            )
        )
        best = max(best, value)
    path = folder / "results.yaml"
    path.write_text(HEAD + "".join(rows))
    return path


@pytest.fixture
def path(program: Program) -> str:
    return str(results_file(program.folder))


KEYS = {
    "series", "sha256", "selection", "shape", "doubling_time_days", "doubling_ci95_days", "ci_method", "r_squared",
    "residual_sd_log2", "crossings", "shapes", "warnings", "published", "priors",
}  # fmt: skip
SHAPES = ["exponential", "piecewise", "superexponential", "subexponential", "random_walk"]


@pytest.mark.parametrize("shape", [*SHAPES, "mixture"])
def test_every_shape_fills_the_same_fields(program: Program, path: str, shape: str) -> None:
    document = program("trend", "fit", "--file", path, "--shape", shape, "--json").json
    assert set(document) >= KEYS
    assert document["shape"] == shape
    low, high = document["doubling_ci95_days"]
    assert low < document["doubling_time_days"] < high
    assert [entry["shape"] for entry in document["shapes"]] == SHAPES
    assert sum(entry["weight"] for entry in document["shapes"]) == pytest.approx(1.0)
    assert all(entry["aicc"] is not None for entry in document["shapes"])
    near, *_, far = document["crossings"]
    for crossing in (near, far):
        assert set(crossing) >= {
            "line",
            "line_ci80",
            "line_ci95",
            "record_median",
            "record_ci80",
            "p_by",
            "record_p_by",
        }
    assert near["record_median"] == "2025-09-27"  # 480 minutes: measured as 700 on that day
    assert near["p_never_observed"] == 0.0
    assert far["p_never_observed"] == 1.0
    assert "above what the instrument can resolve" in far["record_reason"]
    assert far["record_median"] > near["record_median"]


def test_the_exponential_stays_metrs_least_squares_line(program: Program, path: str) -> None:
    """Simulated records stand beside it; its own figures do not hang on seeds or priors."""
    calls = [
        program("trend", "fit", "--file", path, "--max-minutes", "960", "--seed", seed, "--json").json
        for seed in ("0", "1")
    ]
    one, two = calls
    for key in ("doubling_time_days", "doubling_ci95_days", "r_squared", "residual_sd_log2", "selection"):
        assert one[key] == two[key]
    assert [c["line_ci95"] for c in one["crossings"]] == [c["line_ci95"] for c in two["crossings"]]
    assert one["selection"]["n"] == 11
    assert "inverted 95% t interval" in one["ci_method"]


def test_other_shapes_keep_the_point_above_the_cap_as_at_or_above_it(program: Program, path: str) -> None:
    document = program(
        "trend", "fit", "--file", path, "--max-minutes", "960", "--shape", "mixture", "--json"
    ).json
    assert document["selection"]["n"] == 12
    assert any("count only as at or above it" in warning for warning in document["warnings"])


def test_a_mixture_says_its_weights_and_the_priors_of_every_shape(program: Program, path: str) -> None:
    answer = program("trend", "fit", "--file", path, "--shape", "mixture")
    assert answer.code == 0
    for words in (
        "weighed by the 7 past records",
        "priors: growth normal 2 +- 2 doublings a year",
        "priors of random_walk: growth wanders",
        "knot uniform",
    ):
        assert words in answer.out.replace("\n", " ")


def test_a_shape_the_points_do_not_allow_is_exit_2_and_says_why(program: Program) -> None:
    few = str(results_file(program.folder, (1.0, 2.0, 4.0, 8.0, 16.0)))
    answer = program("trend", "fit", "--file", few, "--shape", "piecewise")
    assert answer.code == 2
    assert "piecewise needs 6 or more points, there are 5" in answer.err


def test_a_shape_that_hardly_fits_says_that_few_draws_are_left(program: Program) -> None:
    falling = str(results_file(program.folder, (64.0, 32.0, 16.0, 8.0, 4.0)))
    answer = program(
        "trend", "fit", "--file", falling, "--sota", "all", "--shape", "superexponential", "--json"
    )
    assert any("few effective draws" in warning for warning in answer.json["warnings"])


def test_backtest_scores_every_shape_the_mixture_and_two_references(program: Program, path: str) -> None:
    answer = program("trend", "backtest", "--file", path, "--json")
    document = answer.json
    names = [entry["forecaster"] for entry in document["forecasters"]]
    assert names == [*SHAPES, "mixture", "line", "last_plus_slope"]
    assert document["unit"] == "doublings"
    assert len(document["records"]) == 8
    for record in document["records"]:
        assert [one["forecaster"] for one in record["forecasts"]] == names
        assert sum(record["weights"].values()) == pytest.approx(1.0)
        assert record["known_from"] is None
    first = {one["forecaster"]: one for one in document["records"][0]["forecasts"]}
    assert document["records"][0]["outcome"] == pytest.approx(16.0)
    assert first["line"]["error"] < 0
    mixture = next(e for e in document["forecasters"] if e["forecaster"] == "mixture")
    assert set(mixture["coverage"]) == {"0.5", "0.8", "0.95"}
    assert isinstance(document["default_beats_references_in_crps"], bool)
    assert "growth normal 2 +- 2 doublings a year" in document["settings"]["priors"]["exponential"]
    assert any("release date" in warning for warning in document["warnings"])


def test_backtest_reads_as_a_table(program: Program, path: str) -> None:
    answer = program("trend", "backtest", "--file", path, "--metric", "p80")
    assert answer.code == 0
    assert "8 records forecast" in answer.out
    assert "last_plus_slope" in answer.out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--metric", "p90"), "metrics p50, p80"),
        (("--first", "12"), "nothing to forecast"),
        (("--series", "x"), "not both"),
    ],
)
def test_a_backtest_that_cannot_be_is_exit_2(
    program: Program, path: str, more: tuple[str, str], words: str
) -> None:
    answer = program("trend", "backtest", "--file", path, *more)
    assert answer.code == 2
    assert words in answer.err


def test_backtest_without_a_database_is_exit_3(program: Program) -> None:
    assert program("trend", "backtest").code == 3


def test_stored_versions_are_what_was_known(program: Program) -> None:
    """The last record is forecast from the version seen before its release, and scored as first published."""
    path = results_file(program.folder)
    released = date(2023, 1, 1) + timedelta(days=1100)
    for seen, minutes in ((1050, MINUTES[:-1]), (1130, (*MINUTES[:-1], 900.0)), (1200, MINUTES)):
        raw = RawPayload(
            "metr",
            "metr_th11",
            "https://metr.org/assets/benchmark_results_1_1.yaml",
            datetime(2023, 1, 1, tzinfo=UTC) + timedelta(days=seen),
            200,
            "application/yaml",
            results_file(program.folder, minutes).read_bytes(),
        )
        store = open_store(program.db)
        store.put_raw(raw)
        store.append(read_metr(raw).batch)
        store.close()
    stored = program("trend", "backtest", "--json").json
    assert stored["records"][-1]["known_from"] == (date(2023, 1, 1) + timedelta(days=1050)).isoformat()
    assert stored["records"][-1]["released"] == released.isoformat()
    assert stored["records"][-1]["outcome"] == pytest.approx(900.0)
    assert stored["records"][0]["known_from"] is None
    today = program("trend", "backtest", "--by-release-date", "--json").json
    assert today["records"][-1]["outcome"] == pytest.approx(1500.0)
    assert (
        today["forecasters"]
        == program("trend", "backtest", "--file", str(path), "--json").json["forecasters"]
    )
    early = program("trend", "backtest", "--as-known-at", "2025-11-20", "--json").json
    assert len(early["records"]) == 7
