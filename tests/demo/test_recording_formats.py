"""Each platform's answers: the facts come back exactly, on their day, in the platform's own format."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings, strategies as st

from tests.demo.tables import FIRST, LAST, TOKEN, daily, days, morning_after, recording, rows
from tracker.demo.recording import PLATFORMS, Answer, Params

SPECS = Path(__file__).parent.parent / "payloads" / "specs"
AT = datetime(2026, 7, 1, 12, tzinfo=UTC)
MOMENTS = st.datetimes(
    datetime(2026, 1, 20),
    datetime(2026, 8, 25),
    timezones=st.just(UTC),
)


def ask(platform: str, path: str, params: Params = (), at: datetime = AT, token: str = TOKEN) -> Answer:
    return recording().answer(platform, path, params, at=at, authorization=token)


def body(platform: str, path: str, params: Params = (), at: datetime = AT) -> Any:
    answer = ask(platform, path, params, at)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


# METR -----------------------------------------------------------------------------------------------


def metr(suite: str, at: datetime) -> Any:
    answer = ask("metr", f"assets/benchmark_results_{suite}.yaml", at=at)
    assert answer.status == 200
    return yaml.safe_load(answer.body)


def test_metrs_file_is_not_there_before_its_first_version() -> None:
    eve = datetime(2026, 1, 29, 23, 59, 59, tzinfo=UTC)
    assert ask("metr", "assets/benchmark_results_1_1.yaml", at=eve).status == 404
    assert ask("metr", "assets/benchmark_results_1_1.yaml", at=eve + timedelta(seconds=1)).status == 200


def test_metrs_file_has_five_versions_each_from_the_day_it_was_seen() -> None:
    bodies: dict[bytes, date] = {}
    for day in days():
        answer = ask(
            "metr", "assets/benchmark_results_1_1.yaml", at=datetime(day.year, day.month, day.day, tzinfo=UTC)
        )
        if answer.status == 200:
            bodies.setdefault(answer.body, day)
    assert [str(day) for day in bodies.values()] == [
        "2026-01-30",
        "2026-02-06",
        "2026-02-22",
        "2026-03-03",
        "2026-05-08",
    ]


@pytest.mark.parametrize(
    "row", rows("metr_published.csv"), ids=lambda row: f"{row['suite']}-{row['version_seen']}"
)
def test_each_version_of_metrs_file_gives_the_table_back_exactly(row: dict[str, str]) -> None:
    at = datetime.fromisoformat(row["version_seen"]).replace(tzinfo=UTC)
    content = metr(row["suite"].replace(".", "_"), at)
    expected = [
        fact
        for fact in rows("metr_versions.csv")
        if (fact["suite"], fact["version_seen"]) == (row["suite"], row["version_seen"])
    ]
    assert content["benchmark_name"] == row["benchmark_name"]
    assert {key: _metr_cells(key, result) for key, result in content["results"].items()} == {
        fact["key"]: {name: text for name, text in fact.items() if name not in ("version_seen", "suite")}
        for fact in expected
    }
    assert _published(content) == [
        row[name] and float(row[name])
        for name in (
            "all_time_stitched_days",
            "from_2023_on_days",
            "from_2023_on_low_days",
            "from_2023_on_high_days",
        )
    ]


def _metr_cells(key: str, result: Any) -> dict[str, str]:
    metrics = result["metrics"]
    cells = {
        "key": key,
        "release_date": result["release_date"].isoformat(),
        "benchmark_name": result.get("benchmark_name", ""),
        "average_score": repr(metrics["average_score"]["estimate"]),
        "is_sota": str(metrics["is_sota"]).lower(),
    }
    for name in ("p50", "p80"):
        horizon = metrics[f"{name}_horizon_length"]
        cells |= {
            name: repr(horizon["estimate"]),
            f"{name}_low": repr(horizon["ci_low"]),
            f"{name}_high": repr(horizon["ci_high"]),
        }
    return cells


def _published(content: Any) -> list[Any]:
    if "doubling_time_in_days" not in content:
        return ["", "", "", ""]
    times = content["doubling_time_in_days"]
    recent = times["from_2023_on"]
    return [
        times["all_time_stitched"]["point_estimate"],
        recent["point_estimate"],
        recent["ci_low"],
        recent["ci_high"],
    ]


def test_the_superseded_suite_is_there_from_the_start_and_never_changes() -> None:
    assert metr("1_0", morning_after(FIRST)) == metr("1_0", morning_after(LAST))


def test_metrs_file_says_whose_numbers_it_shows_and_has_no_field_that_is_no_fact() -> None:
    text = ask("metr", "assets/benchmark_results_1_1.yaml").body.decode()
    assert "METR (metr.org/time-horizons)" in text.splitlines()[0]
    for absent in ("usage", "scaffolds", "swaa_version", "long_tasks_version"):
        assert absent not in text


# Manifold -------------------------------------------------------------------------------------------


def manifold_ids() -> list[str]:
    return [question.id for question in recording().questions("manifold")]


def test_manifolds_prices_are_the_tables_values_on_every_day() -> None:
    ids = [("ids", number) for number in manifold_ids()]
    paths = {number: daily()["manifold", number] for number in manifold_ids()}
    last: dict[str, float] = {}
    for day in days():
        last |= {number: path[day] for number, path in paths.items() if day in path}
        assert body("manifold", "v0/market-probs", ids, morning_after(day)) == {
            number: {"prob": value} for number, value in last.items()
        }


def test_a_manifold_market_shows_its_outcome_only_after_it_could_be_seen() -> None:
    eve = datetime(2026, 6, 12, 23, 59, 58, tzinfo=UTC)
    before = body("manifold", "v0/market/92gdnLROgN", at=eve)
    after = body("manifold", "v0/market/92gdnLROgN", at=eve + timedelta(seconds=1))
    assert before["isResolved"] is False
    assert "resolution" not in before
    assert (after["isResolved"], after["resolution"]) == (True, "YES")
    assert after["resolutionTime"] == after["closeTime"] == 1781308799000  # 2026-06-12T23:59:59Z
    assert (
        after["probability"] == before["probability"] == daily()["manifold", "92gdnLROgN"][date(2026, 6, 11)]
    )


def test_a_manifold_market_has_no_price_before_its_first_value_and_no_invented_numbers_ever() -> None:
    first = min(daily()["manifold", "OAL8q0Azzl"])
    early = body("manifold", "v0/market/OAL8q0Azzl", at=morning_after(first - timedelta(days=1)))
    assert "probability" not in early
    everything = {
        name
        for number in manifold_ids()
        for at in (morning_after(FIRST), AT, morning_after(LAST))
        for name in body("manifold", f"v0/market/{number}", at=at)
    }
    assert everything == {
        "id", "question", "url", "slug", "outcomeType", "mechanism", "probability",
        "closeTime", "isResolved", "resolution", "resolutionTime",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        ("v0/market/92gdnLROgN", [("lite", "true")], 200),
        ("v0/market/nosuchmarket", [], 404),
        ("v0/market/92gdnLROgN", [("fields", "all")], 400),
        ("v0/market-probs", [("ids", "92gdnLROgN"), ("since", "1")], 400),
        ("v0/market-probs", [], 400),
        ("v0/market-probs", [("ids", "x")] * 101, 400),
        ("v0/market-probs", [("ids[]", "92gdnLROgN")], 200),
        ("v0/bets", [("contractId", "92gdnLROgN")], 404),
        ("v0/market/", [], 404),
        ("v0/market/../../etc/passwd", [], 404),
    ],
)
def test_manifold_is_as_strict_as_the_platform(path: str, params: Params, status: int) -> None:
    answer = ask("manifold", path, params)
    assert answer.status == status
    if status != 200:
        assert json.loads(answer.body)["message"]


def test_an_unknown_market_is_left_out_of_the_prices_and_missing_by_itself() -> None:
    assert body("manifold", "v0/market-probs", [("ids", "nosuchmarket")]) == {}
    answer = ask("manifold", "v0/market/nosuchmarket")
    assert json.loads(answer.body) == {"message": "Contract not found"}


# Metaculus ------------------------------------------------------------------------------------------

ALL_WITH_HISTORY = [("with_cp", "true"), ("include_cp_history", "true"), ("limit", "100")]


def histories(at: datetime) -> dict[str, list[Any]]:
    page = body("metaculus", "api/posts/", ALL_WITH_HISTORY, at)
    return {
        str(post["id"]): post["question"]["aggregations"]["recency_weighted"]["history"]
        for post in page["results"]
    }


def test_metaculuss_history_is_the_tables_values_each_from_the_end_of_its_day() -> None:
    found = {
        number: {datetime.fromtimestamp(step["start_time"], UTC): step["centers"] for step in steps}
        for number, steps in histories(morning_after(LAST)).items()
    }
    assert found == {
        number: {
            datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC): [value]
            for day, value in path.items()
        }
        for (source, number), path in daily().items()
        if source == "metaculus"
    }


def test_the_steps_of_a_history_follow_one_another_and_the_last_one_is_in_force() -> None:
    for steps in histories(AT).values():
        assert [step["end_time"] for step in steps[:-1]] == [step["start_time"] for step in steps[1:]]
        assert all(step["end_time"] is None for step in steps[-1:])


@given(MOMENTS, MOMENTS)
@settings(max_examples=25, deadline=None)
def test_a_later_moment_only_adds_to_what_was_known(one: datetime, other: datetime) -> None:
    early, late = sorted((one, other))
    known, more = histories(early), histories(late)
    for number, steps in known.items():
        starts = [(step["start_time"], step["centers"]) for step in steps]
        assert all(start <= early.timestamp() for start, _ in starts)
        assert [(step["start_time"], step["centers"]) for step in more[number]][: len(starts)] == starts


def test_one_post_and_the_same_post_in_the_list_agree() -> None:
    page = body("metaculus", "api/posts/", [*ALL_WITH_HISTORY, ("ids", "41140")])
    assert [post["id"] for post in page["results"]] == [41140]
    assert body("metaculus", "api/posts/41140/") == page["results"][0]


def test_a_metaculus_post_goes_from_open_to_resolved() -> None:
    before = body("metaculus", "api/posts/41140/", at=datetime(2026, 5, 8, 23, 59, 58, tzinfo=UTC))
    after = body("metaculus", "api/posts/41140/", at=datetime(2026, 5, 9, tzinfo=UTC))
    assert (before["status"], before["question"]["resolution"]) == ("open", None)
    assert (after["status"], after["resolved"], after["question"]["resolution"]) == ("resolved", True, "yes")
    assert after["actual_resolve_time"] == after["actual_close_time"] == "2026-05-08T23:59:59Z"
    assert after["scheduled_close_time"] == "2026-12-31T23:59:59Z"


def test_a_metaculus_post_past_its_close_is_closed_and_not_resolved() -> None:
    overdue = body("metaculus", "api/posts/14415/")
    assert (overdue["status"], overdue["resolved"]) == ("closed", False)
    assert overdue["question"]["aggregations"]["recency_weighted"]["latest"]["centers"] == [0.5]


def test_the_list_pages_like_the_platform_and_its_next_link_never_ends() -> None:
    seen: list[int] = []
    for offset in (0, 30, 60, 90):
        page = body("metaculus", "api/posts/", [("limit", "30"), ("offset", str(offset))])
        assert page["next"].startswith("https://www.metaculus.com/api/posts/?limit=30&offset=")
        assert (page["previous"] is None) == (offset == 0)
        seen += [post["id"] for post in page["results"]]
    assert page["results"] == []
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == 64
    assert len(body("metaculus", "api/posts/")["results"]) == 20
    assert len(body("metaculus", "api/posts/", [("limit", "5000")])["results"]) == 64
    assert len(body("metaculus", "api/posts/", [("limit", "all"), ("offset", "-3")])["results"]) == 20


def test_predictions_come_only_when_asked_for() -> None:
    def prediction(params: Params) -> Any:
        page = body("metaculus", "api/posts/", [("ids", "41140"), *params])
        return page["results"][0]["question"]["aggregations"]["recency_weighted"]

    assert prediction([]) == {"history": [], "latest": None, "score_data": {}, "movement": None}
    assert len(prediction([("with_cp", "true")])["history"]) == 1
    assert len(prediction(ALL_WITH_HISTORY)["history"]) == len(daily()["metaculus", "41140"])
    only_post = body("metaculus", "api/posts/41140/", [("with_cp", "false")])
    assert only_post["question"]["aggregations"]["recency_weighted"]["latest"] is None


@pytest.mark.parametrize(("token", "status"), [("", 403), ("Token ", 403), ("Token x", 200), ("x", 200)])
def test_metaculus_answers_nobody_without_a_token(token: str, status: int) -> None:
    for path in ("api/posts/", "api/posts/41140/"):
        assert ask("metaculus", path, token=token).status == status


@pytest.mark.parametrize(
    "path", ["api/posts/1/", "api/posts/41140", "api/posts/x/", "api/questions/41140/", ""]
)
def test_an_unknown_metaculus_path_is_missing(path: str) -> None:
    answer = ask("metaculus", path)
    assert (answer.status, json.loads(answer.body)) == (404, {"detail": "Post not found"})


# ForecastBench --------------------------------------------------------------------------------------

ROW_KEYS = ["id", "source", "direction", "resolution_date", "resolved_to", "resolved"]


def resolution_rows(at: datetime) -> Iterator[tuple[date, dict[str, Any]]]:
    for due in recording().sets:
        answer = ask("forecastbench", f"datasets/resolution_sets/{due}_resolution_set.json", at=at)
        if answer.status == 200:
            content = json.loads(answer.body)
            assert (content["forecast_due_date"], content["question_set"]) == (str(due), f"{due}-llm.json")
            for row in content["resolutions"]:
                yield due, row


def test_forecastbenchs_nights_together_hold_every_daily_value_and_no_other() -> None:
    seen: dict[tuple[str, str], dict[date, float]] = {}
    for night in days():
        for _, row in resolution_rows(morning_after(night)):
            assert list(row) == ROW_KEYS
            day = date.fromisoformat(row["resolution_date"])
            assert day <= night
            if not row["resolved"]:
                seen.setdefault((row["source"], row["id"]), {})[day] = row["resolved_to"]
    assert seen == daily()


def test_forecastbenchs_outcomes_are_the_tables_outcomes() -> None:
    found = {
        (row["source"], row["id"]): (row["resolution_date"], row["resolved_to"])
        for _, row in resolution_rows(morning_after(LAST))
        if row["resolved"]
    }
    assert found == {
        (row["source"], row["id"]): (row["resolution_date"], float(row["resolved_to"]))
        for row in rows("questions.csv")
        if row["resolved_to"]
    }
    assert (len(found), sum(value for _, value in found.values())) == (32, 12.0)


def test_a_night_is_published_the_next_morning() -> None:
    def newest(at: datetime) -> str:
        return max(str(row["resolution_date"]) for _, row in resolution_rows(at))

    assert newest(datetime(2026, 3, 10, 5, 29, tzinfo=UTC)) == "2026-03-08"
    assert newest(datetime(2026, 3, 10, 5, 30, tzinfo=UTC)) == "2026-03-09"


def test_a_set_comes_out_on_its_day_and_its_resolutions_ten_days_later() -> None:
    due = datetime(2026, 3, 1, tzinfo=UTC)
    second = timedelta(seconds=1)
    questions, resolutions = (
        "datasets/question_sets/2026-03-01-llm.json",
        "datasets/resolution_sets/2026-03-01_resolution_set.json",
    )
    assert ask("forecastbench", questions, at=due - second).status == 404
    assert ask("forecastbench", questions, at=due).status == 200
    first_night_out = datetime(2026, 3, 11, 5, 30, tzinfo=UTC)
    assert ask("forecastbench", resolutions, at=first_night_out - second).status == 404
    assert ask("forecastbench", resolutions, at=first_night_out).status == 200


def test_the_pointer_names_the_newest_set() -> None:
    latest = "datasets/question_sets/latest-llm.json"
    assert ask("forecastbench", latest, at=datetime(2026, 2, 28, tzinfo=UTC)).body == b"2026-02-15-llm.json"
    assert ask("forecastbench", latest, at=datetime(2026, 3, 1, tzinfo=UTC)).body == b"2026-03-01-llm.json"
    assert ask("forecastbench", latest, at=datetime(2025, 10, 25, tzinfo=UTC)).status == 404


def test_a_question_sets_rows_carry_the_tables_freeze_values() -> None:
    found = {
        (row["source"], row["id"], due): (row["freeze_datetime_value"], row["question"])
        for due in recording().sets
        for row in body("forecastbench", f"datasets/question_sets/{due}-llm.json", at=morning_after(LAST))[
            "questions"
        ]
    }
    expected = {}
    for row in rows("questions.csv"):
        sets = zip(row["question_set_dates"].split(";"), row["freeze_values"].split(";"), strict=True)
        for due, value in sets:
            if due:
                expected[row["source"], row["id"], date.fromisoformat(due)] = (value, row["label"])
    assert {key: (float(value), label) for key, (value, label) in found.items()} == {
        key: (float(value), label) for key, (value, label) in expected.items()
    }
    assert len(found) > 80


@pytest.mark.parametrize(
    "path",
    [
        "datasets/question_sets/2026-02-02-llm.json",
        "datasets/question_sets/2026-02-01-human.json",
        "datasets/resolution_sets/2026-02-01_resolution_set.jsonl",
        "datasets/resolution_sets/../question_sets/2026-02-01-llm.json",
        "",
    ],
)
def test_a_file_that_is_not_there_is_missing(path: str) -> None:
    assert ask("forecastbench", path).status == 404


# Formats and moments --------------------------------------------------------------------------------


@cache
def validator(spec: str, schema: str) -> Any:
    """A validator of one schema of a composed OpenAPI document (3.0: ``nullable`` means null is allowed)."""
    document = yaml.load(
        (SPECS / f"{spec}.composed.yaml").read_text(encoding="utf-8"),
        getattr(yaml, "CSafeLoader", yaml.SafeLoader),
    )
    components = _nullable({"schemas": document["components"]["schemas"]})
    return jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{schema}", "components": components}
    )


def _nullable(node: Any) -> Any:
    if isinstance(node, list):
        return [_nullable(item) for item in node]
    if not isinstance(node, dict):
        return node
    changed = {key: _nullable(value) for key, value in node.items()}
    if changed.get("nullable") is True and isinstance(changed.get("type"), str):
        changed["type"] = [changed["type"], "null"]
    return changed


def complaints(spec: str, schema: str, value: Any) -> set[str]:
    return {error.message for error in validator(spec, schema).iter_errors(value)}


@pytest.mark.parametrize("at", [morning_after(FIRST), AT, morning_after(LAST)], ids=str)
def test_metaculuss_answers_fit_the_platforms_schema_in_full(at: datetime) -> None:
    page = body("metaculus", "api/posts/", ALL_WITH_HISTORY, at)
    assert complaints("metaculus-read", "PostPage", page) == set()
    refused = json.loads(ask("metaculus", "api/posts/", token="").body)
    assert complaints("metaculus-read", "Detail", refused) == set()


@pytest.mark.parametrize("at", [morning_after(FIRST), AT, morning_after(LAST)], ids=str)
def test_manifolds_answers_fit_the_platforms_schema_but_for_the_text_that_is_no_fact(at: datetime) -> None:
    for number in manifold_ids():
        market = body("manifold", f"v0/market/{number}", at=at)
        assert complaints("manifold-read", "FullMarket", market) == {
            "'textDescription' is a required property"
        }
    refused = json.loads(ask("manifold", "v0/market/nosuchmarket").body)
    assert complaints("manifold-read", "Error", refused) == set()


def test_the_schemas_would_notice_a_wrong_answer() -> None:
    page = body("metaculus", "api/posts/", ALL_WITH_HISTORY)
    page["results"][0]["question"]["aggregations"]["recency_weighted"] = {"history": [{"centers": "0.5"}]}
    assert len(complaints("metaculus-read", "PostPage", page)) > 3


def test_an_unknown_platform_and_a_moment_without_an_offset_are_refused() -> None:
    with pytest.raises(ValueError, match="no platform 'kalshi' in the recording"):
        ask("kalshi", "markets")
    for platform in PLATFORMS:
        with pytest.raises(ValueError, match="naive datetime"):
            ask(platform, "api/posts/", at=AT.replace(tzinfo=None))


@given(MOMENTS, MOMENTS)
@settings(max_examples=40, deadline=None)
def test_while_an_edition_stays_the_same_so_do_its_answers(one: datetime, other: datetime) -> None:
    requests = {
        "metr": ["assets/benchmark_results_1_1.yaml"],
        "forecastbench": [
            "datasets/question_sets/latest-llm.json",
            "datasets/resolution_sets/2026-03-01_resolution_set.json",
        ],
        "manifold": ["v0/market/92gdnLROgN"],
        "metaculus": ["api/posts/41140/"],
    }
    same_day = datetime.combine(one.date(), other.timetz())
    for later in (other, same_day):
        for platform, paths in requests.items():
            if recording().edition(platform, one) == recording().edition(platform, later):
                for path in paths:
                    assert ask(platform, path, at=one) == ask(platform, path, at=later)


def test_whether_a_value_can_be_seen_is_told_by_the_moment() -> None:
    first = min(daily()["manifold", "OAL8q0Azzl"])
    before_the_end = datetime(first.year, first.month, first.day, 23, 59, 58, tzinfo=UTC)
    assert not recording().has_value("manifold", "OAL8q0Azzl", before_the_end)
    assert recording().has_value("manifold", "OAL8q0Azzl", before_the_end + timedelta(seconds=1))
    assert not recording().has_value("manifold", "nosuchmarket", AT)
