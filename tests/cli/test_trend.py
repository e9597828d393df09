"""``speedup trend fit`` beyond the line, and ``speedup trend backtest``."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

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


def test_without_a_shape_metrs_line_comes_first_and_the_mixture_is_the_forecast(
    program: Program, path: str
) -> None:
    common = ("trend", "fit", "--file", path, "--max-minutes", "960", "--json")
    plain, line, mixture = (
        program(*common, *more).json for more in ((), ("--shape", "exponential"), ("--shape", "mixture"))
    )
    for key in ("shape", "doubling_time_days", "doubling_ci95_days", "r_squared", "selection"):
        assert plain[key] == line[key]
    assert [c["line"] for c in plain["crossings"]] == [c["line"] for c in line["crossings"]]
    assert plain["mixture"]["crossings"] == mixture["crossings"]
    assert plain["mixture"]["doubling_time_days"] == mixture["doubling_time_days"]
    for entry, forecast in zip(plain["crossings"], mixture["crossings"], strict=True):
        assert entry["record_of"] == "mixture"
        assert entry["record_median"] == forecast["record_median"]
    assert {c["record_of"] for c in line["crossings"]} == {"exponential"}
    assert "mixture" not in line


def test_the_mixture_is_told_beside_the_line(program: Program, path: str) -> None:
    answer = program("trend", "fit", "--file", path)
    assert "mixture of shapes, now: doubling time" in answer.out
    assert "the least-squares line crosses" in answer.out
    assert "above what the instrument can resolve" in answer.out


def nulls_without_reason(document: dict[str, Any]) -> list[str]:
    """Fields of a fit that are null and have nothing said beside them."""
    ends = [document["doubling_time_days"], *document["doubling_ci95_days"]]
    found = ["doubling"] if None in ends and not document["doubling_reason"] else []
    for entry in document["crossings"]:
        line = (entry["line"], *entry["line_ci80"], *entry["line_ci95"])
        record = (entry["record_median"], *entry["record_ci80"], entry["p_never_observed"])
        for values, reason in ((line, "line_reason"), (record, "record_reason")):
            if None in values and not entry[reason]:
                found.append(f"{entry['threshold_minutes']} {reason}")
    return found


@pytest.mark.parametrize("shape", [None, *SHAPES, "mixture"])
@pytest.mark.parametrize(
    "minutes",
    [
        (8.0, 20.0, 6.0, 21.0, 9.0, 22.0),
        (32.0, 16.0, 8.0, 4.0, 2.0, 2.1),
        (1.0, 1.01, 1.02, 1.03, 1.04, 1.05),
    ],
    ids=["unsure", "falling", "flat"],
)
def test_every_null_has_its_reason(program: Program, minutes: tuple[float, ...], shape: str | None) -> None:
    file = str(results_file(program.folder, minutes))
    more = () if shape is None else ("--shape", shape)
    answer = program("trend", "fit", "--file", file, "--sota", "all", "--json", *more)
    if answer.code == 2:  # growth that must be positive has no say on a falling series
        assert "they do not rise" in answer.err
        return
    document = answer.json
    assert nulls_without_reason(document) == []
    if shape is None:
        assert nulls_without_reason(document["mixture"]) == []
    if minutes[0] == 8.0 and shape is None:
        assert document["doubling_ci95_days"][1] is None
        assert "no doubling time is too long" in document["doubling_reason"]


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


def store_version(program: Program, body: bytes, seen: datetime) -> None:
    """Keep a results file as METR's, fetched at a time."""
    url = "https://metr.org/assets/benchmark_results_1_1.yaml"
    raw = RawPayload("metr", "metr_th11", url, seen, 200, "application/yaml", body)
    store = open_store(program.db)
    store.put_raw(raw)
    store.append(read_metr(raw).batch)
    store.close()


def test_stored_versions_are_what_was_known(program: Program) -> None:
    """The last record is forecast from the version seen before its release, and scored as first published."""
    path = results_file(program.folder)
    released = date(2023, 1, 1) + timedelta(days=1100)
    for seen, minutes in ((1050, MINUTES[:-1]), (1130, (*MINUTES[:-1], 900.0)), (1200, MINUTES)):
        body = results_file(program.folder, minutes).read_bytes()
        store_version(program, body, datetime(2023, 1, 1, tzinfo=UTC) + timedelta(days=seen))
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


# The chart


def test_the_chart_is_written_as_png_and_svg(program: Program, path: str) -> None:
    png, svg = program.folder / "a.png", program.folder / "a.svg"
    for target in (png, svg):
        document = program("trend", "fit", "--file", path, "--plot", str(target), "--json").json
        assert document["plot"] == str(target)
    assert png.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    text = svg.read_text()
    for words in ("mixture of trend shapes", "line: doubling every", "ceiling", "results.yaml"):
        assert words in text


@pytest.mark.parametrize(("name", "words"), [("a.pdf", ".png or .svg"), ("gone/a.png", "there is no folder")])
def test_a_chart_that_cannot_be_written_is_exit_2(program: Program, path: str, name: str, words: str) -> None:
    answer = program("trend", "fit", "--file", path, "--plot", str(program.folder / name))
    assert answer.code == 2
    assert words in answer.err


def test_a_chart_of_a_stored_series_shows_what_was_published_before(program: Program) -> None:
    first, second = MINUTES, tuple(value * 1.2 for value in MINUTES)
    seen = (datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC))
    for minutes, moment in zip((first, second), seen, strict=True):
        body = results_file(program.folder, minutes).read_bytes()
        store_version(program, body, moment)
    target = program.folder / "a.svg"
    assert program("trend", "fit", "--plot", str(target)).code == 0
    assert "Earlier published values against the newest" in target.read_text()
    assert "2 versions seen, newest 2026-06-01" in target.read_text()


# Bad input: never a silently different number


def broken(folder: Path, old: str, new: str) -> str:
    """The results file with its one passage ``old`` replaced."""
    file = results_file(folder)
    text = file.read_text()
    assert text.count(old) == 1, old
    file.write_text(text.replace(old, new))
    return str(file)


LAST = "model_11:"
FAULTS = {
    "zero": ("estimate: 1500.0,", "estimate: 0.0,", "results.model_11.metrics.p50_horizon_length"),
    "negative": ("estimate: 1500.0,", "estimate: -1500.0,", "results.model_11.metrics.p50_horizon_length"),
    "not a number": ("estimate: 1500.0,", "estimate: long,", "results.model_11.metrics.p50_horizon_length"),
    "upside down": ("ci_low: 750.0, ci_high: 3000.0", "ci_low: 3000.0, ci_high: 750.0", "upside down"),
    "twice": (LAST, "model_10:", "results.model_10: is given twice"),
    "future": ("release_date: 2026-01-05", "release_date: 2096-01-05", "2096-01-05 cannot be a release date"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_row_that_cannot_be_right_is_left_out_said_and_exit_1(program: Program, fault: str) -> None:
    old, new, words = FAULTS[fault]
    file = broken(program.folder, old, new)
    for command in ("fit", "backtest"):
        answer = program("trend", command, "--file", file, "--json")
        assert answer.code == 1
        assert words in answer.err
        assert any(words in part for part in answer.json["failed"])
        assert any(words in part for part in answer.json["warnings"])


def test_another_benchmark_in_a_row_is_left_out_and_in_the_head_refuses_the_file(program: Program) -> None:
    row = "  model_11:\n    benchmark_name: METR-Horizon-v1.1"
    answer = program("trend", "fit", "--file", broken(program.folder, row, row + "x"))
    assert answer.code == 1
    assert "is another benchmark" in answer.err
    answer = program("trend", "fit", "--file", broken(program.folder, HEAD, HEAD.replace("v1.1", "v7")))
    assert answer.code == 2
    assert "benchmark_name: should be METR-Horizon-v1.1" in answer.err


def test_what_is_only_odd_is_a_recorded_warning(program: Program) -> None:
    """An unknown field and a missing interval: everything was read, so exit 0."""
    unknown = broken(program.folder, HEAD, HEAD.replace("results:", "mood: good\nresults:"))
    answer = program("trend", "fit", "--file", unknown, "--json")
    assert (answer.code, answer.json["failed"]) == (0, [])
    assert "mood: a field we do not know" in answer.json["warnings"]
    bare = broken(program.folder, "{estimate: 1500.0, ci_low: 750.0, ci_high: 3000.0}", "{estimate: 1500.0}")
    answer = program("trend", "fit", "--file", bare, "--json")
    assert answer.code == 0
    assert any("model_11" in warning and "no interval" in warning for warning in answer.json["warnings"])


def test_a_series_without_flags_takes_the_running_maximum_and_says_so(program: Program) -> None:
    dates = program.folder / "dates.csv"
    dates.write_text(
        "model,release_date,p50\na,2023-01-01,2\nb,2023-04-11,4\nc,2023-07-20,3\nd,2023-09-01,8\n"
    )
    document = program("trend", "fit", "--draw-dates", str(dates), "--json").json
    assert document["selection"]["sota"] == "window"
    assert document["selection"]["points"] == ["a", "b", "d"]
    assert any("no model is flagged" in warning for warning in document["warnings"])
    answer = program("trend", "fit", "--draw-dates", str(dates), "--sota", "file")
    assert answer.code == 2


DATES = "model,release_date,p50,p80\na,2023-01-01,2,1\nb,2023-04-11,4,1.5\nc,2023-07-20,8,2\n"
DRAWS = "a,b,c\n2,4,8\n2,,32\n"


@pytest.mark.parametrize(
    ("dates", "draws", "words"),
    [
        (DATES.replace("b,2023", "a,2023"), DRAWS, "dates.csv:3: model 'a' stands in line 2 already"),
        (DATES.replace(",4,", ",0,"), DRAWS, "dates.csv:3: p50 must be a positive number"),
        (DATES.replace(",4,", ",-4,"), DRAWS, "dates.csv:3: p50 must be a positive number"),
        (DATES.replace(",4,", ",nan,"), DRAWS, "dates.csv:3: p50 must be a positive number"),
        (DATES.replace(",4,", ",four,"), DRAWS, "dates.csv:3: p50 'four' is not a number"),
        (DATES.replace("2023-04-11", "2093-04-11"), DRAWS, "dates.csv:3: 2093-04-11 cannot be"),
        (DATES.replace("2023-04-11", "soon"), DRAWS, "dates.csv:3: release_date 'soon' is not a date"),
        (DATES.replace("p50", "p51"), DRAWS, "dates.csv:1: missing column p50"),
        (DATES.replace("p80", "p50"), DRAWS, "dates.csv:1: a column stands twice: p50"),
        (DATES, DRAWS.replace("a,b,c", "a,b,b"), "draws.csv:1: a model stands twice: b"),
        (DATES, DRAWS.replace("32", "x"), "draws.csv:3: c: 'x' is not a number"),
        (DATES, DRAWS.replace("32", "-32"), "draws.csv:3: c: a horizon cannot be negative"),
        (DATES, DRAWS.replace("2,,32", "2,32"), "draws.csv:3: 2 cells under 3 columns"),
        (DATES, "a,b,c\n", "draws.csv: no draws"),
        (DATES, "<html><body>busy</body></html>\n", "draws.csv:1: should name a model"),
    ],
)
def test_a_wrong_table_of_draws_is_exit_2_with_file_line_and_column(
    program: Program, dates: str, draws: str, words: str
) -> None:
    files = program.folder / "dates.csv", program.folder / "draws.csv"
    for file, text in zip(files, (dates, draws), strict=True):
        file.write_text(text)
    answer = program("trend", "fit", "--draw-dates", str(files[0]), "--draws", str(files[1]))
    assert answer.code == 2
    assert words in answer.err


def test_the_metric_names_the_column_of_the_table(program: Program) -> None:
    """p80 asked of a table with both must not be the p50 under another name."""
    dates = program.folder / "dates.csv"
    dates.write_text(DATES)
    fits = [
        program("trend", "fit", "--draw-dates", str(dates), "--metric", metric, "--json").json
        for metric in ("p50", "p80")
    ]
    assert fits[0]["doubling_time_days"] == pytest.approx(100.0)
    assert fits[1]["doubling_time_days"] == pytest.approx(200.0, rel=0.01)


def test_draws_of_a_file_go_by_its_dates_and_a_table_must_agree(program: Program, path: str) -> None:
    draws = program.folder / "draws.csv"
    draws.write_text("model_00,model_01,model_02\n2,2.3,4.9\n2,2.5,6\n")
    document = program("trend", "fit", "--file", path, "--draws", str(draws), "--json").json
    assert "bootstrap" in document["ci_method"]
    assert any("no draws for: model_03" in warning for warning in document["warnings"])
    dates = program.folder / "dates.csv"
    dates.write_text("model,release_date,p50\nmodel_00,2022-12-31,2\n")
    answer = program("trend", "fit", "--file", path, "--draws", str(draws), "--draw-dates", str(dates))
    assert answer.code == 2
    assert "model_00 is dated 2022-12-31, but 2023-01-01" in answer.err
