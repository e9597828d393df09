"""The whole loop over real HTTP: pull, look at, compare, check, back up, restore."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from questions.catalogue import Catalogue, load_catalogue
from tests.cli.speedup import Program
from tracker.commands import session as session_module
from tracker.demo.recording import make_recording
from tracker.demo.server import PlayServer

FEBRUARY, MARCH = datetime(2026, 2, 10, 12, tzinfo=UTC), datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def platforms() -> Iterator[PlayServer]:
    with PlayServer(make_recording(), now=FEBRUARY) as server:
        yield server


@pytest.fixture
def connected(program: Program, platforms: PlayServer, monkeypatch: pytest.MonkeyPatch) -> Program:
    """The program with every source's base URL set to the loopback platforms, at their time."""
    for name in ("MANIFOLD", "METACULUS", "FORECASTBENCH", "METR"):
        monkeypatch.setenv(f"SPEEDUP_{name}_URL", platforms.url(name.lower()))
    monkeypatch.setenv("SPEEDUP_METACULUS_TOKEN", "canary-token")
    monkeypatch.setattr(session_module.Session, "now", lambda self: platforms.now)
    recorded = make_recording()

    def catalogue(paths: object = ()) -> Catalogue:
        from dataclasses import replace

        whole = load_catalogue()
        known = tuple(k for k in whole.links if recorded.has_value(k.platform, k.external_id, platforms.now))
        return replace(whole, links=known)

    monkeypatch.setattr("questions.catalogue.load_catalogue", catalogue)
    return program


NAMES = ("manifold", "metaculus", "forecastbench", "metr")


def test_pull_stores_and_pull_again_finds_nothing_new(connected: Program) -> None:
    first = connected("pull", *NAMES, "--json")
    assert first.code == 0, first.err
    sources = {entry["source"]: entry for entry in first.json["sources"]}
    assert set(sources) == set(NAMES)
    assert all(entry["status"] == "ok" for entry in sources.values())
    assert sources["manifold"]["snapshots_new"] > 20
    assert sources["metr"]["measurements_new"] > 40
    again = {entry["source"]: entry for entry in connected("pull", *NAMES, "--json").json["sources"]}
    assert all(entry["snapshots_new"] == 0 == entry["measurements_new"] for entry in again.values())


def test_a_revision_is_a_new_version_and_diff_tells_what_it_changed(
    connected: Program, platforms: PlayServer
) -> None:
    connected("pull", "metr")
    platforms.now = MARCH
    report = connected("pull", "metr", "--json").json["sources"][0]
    assert report["measurements_revised"] > 0
    diff = connected("series", "diff", "metr_th11", "2026-02-11", "2026-03-11", "--json").json
    revised = {change["key"]: change for change in diff["changes"] if change["kind"] == "revised"}
    assert revised["gpt_4"]["before"]["value"] != revised["gpt_4"]["after"]["value"]
    then = connected("series", "show", "metr_th11", "--as-known-at", "2026-02-11", "--json").json
    now = connected("series", "show", "metr_th11", "--json").json
    assert len(now["points"]) > len(then["points"])
    fits = [
        connected("trend", "fit", "--from", "2023-01-01", "--max-minutes", "960", "--json", *known).json
        for known in (("--as-known-at", "2026-02-11"), ())
    ]
    assert [round(fit["doubling_time_days"], 3) for fit in fits] == [128.120, 128.744]


def test_an_unreachable_source_is_exit_1_and_the_rest_is_stored(
    connected: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEEDUP_MANIFOLD_URL", "http://127.0.0.1:9")
    answer = connected("pull", "manifold", "metr", "--json")
    assert answer.code == 1
    manifold, metr = sorted(answer.json["sources"], key=lambda entry: entry["source"])
    assert manifold["status"] == "failed"
    assert manifold["errors"][0]["kind"] == "refused"
    assert manifold["errors"][0]["retry"] is True
    assert metr["measurements_new"] > 0
    assert connected("series", "list", "--json").json["series"]


def test_nothing_reachable_is_exit_3(connected: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEEDUP_METR_URL", "http://127.0.0.1:9")
    assert connected("pull", "metr").code == 3


def test_without_a_token_metaculus_is_passed_over_and_named_only_when_asked_for(
    connected: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPEEDUP_METACULUS_TOKEN")
    asked = connected("pull", "metaculus", "--json")
    assert asked.code == 3
    assert "SPEEDUP_METACULUS_TOKEN" in asked.json["sources"][0]["errors"][0]["message"]


def check_area_dates(document: dict[str, Any]) -> None:
    """The dates by area go with the needs, and with the trend's own order."""
    found = document["area_dates"]
    areas = found["areas"]
    needs = [areas[area]["needed_minutes"] for area in document["trend"]["ranking"]]
    assert needs == sorted(needs)  # areas of equal needs in either order
    assert sum(found["shape_weights"].values()) == pytest.approx(1.0)
    for area in areas.values():
        chances = list(area["p_by"].values())
        assert chances == sorted(chances)
        assert all(0.0 <= chance <= 1.0 - area["p_never"] for chance in chances)
        assert area["ci95"][0] <= area["ci80"][0] <= area["median"]
        assert None not in area["ci95"] or area["null_reason"]


def test_another_need_moves_its_area_alone(connected: Program) -> None:
    connected("pull", "metr")
    plain, moved, sure = (
        connected("order", "--json", "--draws", "2000", *more).json
        for more in ((), ("--need", "alignment_theory=60"), ("--need-sd", "0"))
    )
    assert plain["trend"]["ranking"][-1] == "alignment_theory"
    assert moved["trend"]["ranking"][0] == "alignment_theory"
    before, after = (document["area_dates"]["areas"] for document in (plain, moved))
    assert after["alignment_theory"]["needed_minutes"] == 60
    for area in set(before) - {"alignment_theory"}:
        assert before[area] == after[area]
    assert sure["area_dates"]["need_sd_doublings"] == 0
    assert sure["trend"]["tau_b_self"] > 0.99 > plain["trend"]["tau_b_self"]
    assert "when the trend reaches" in connected("order", "--draws", "500").out


def test_order_shows_three_voices_with_coverage_and_evidence(connected: Program) -> None:
    connected("pull", *NAMES)
    document = connected("order", "--json", "--draws", "2000").json
    assert len(document["internal"]["coverage"]) == 10
    assert 0 < len(document["market"]["coverage"]) < 10
    assert set(document["market"]["coverage"]) == {item["area"] for item in document["market"]["evidence"]}
    assert len(document["trend"]["coverage"]) == 10
    assert "mixture of trend shapes" in document["trend"]["model"]
    check_area_dates(document)
    pairs = {(c["a"], c["b"]) for c in document["comparisons"]}
    assert pairs == {("internal", "market"), ("internal", "trend"), ("market", "trend")}
    for comparison in document["comparisons"]:
        assert comparison["tau_null_sd"] > 0
    before = connected("order", "--json", "--draws", "2000", "--as-of", "2026-01-01").json
    assert before["market"]["ranking"] == []
    assert before["market"]["reason"]


def test_a_number_leads_back_to_the_bytes_it_came_from(connected: Program) -> None:
    from storage import open_store

    connected("pull", "manifold")
    store = open_store(connected.db, create=False)
    try:
        for seen in store.latest().values():
            raw = store.get_raw(seen.snapshot.payload_sha256 or "")
            assert raw is not None
            assert seen.snapshot.key.external_id in raw.body.decode()
    finally:
        store.close()


def test_run_once_runs_what_is_due_and_then_nothing_until_the_next_slot(
    connected: Program, platforms: PlayServer
) -> None:
    first = connected("run", "--once", "--only", "poll:metr", "--json")
    assert [entry["source"] for entry in first.json["sources"]] == ["metr"]
    assert connected("run", "--once", "--only", "poll:metr", "--json").json["sources"] == []
    platforms.now += timedelta(days=3)
    assert len(connected("run", "--once", "--only", "poll:metr", "--json").json["sources"]) == 1
    gaps = connected("status", "--json").json["gaps"]
    assert [gap["source"] for gap in gaps] == ["metr"]


def test_status_tells_how_every_linked_question_is(connected: Program, platforms: PlayServer) -> None:
    before = connected("status", "--json").json
    assert before["sources"] == []
    pulled = connected("pull", *NAMES, "--json").json
    states = connected("status", "--json").json["questions"]
    assert states["total"] == sum(states["states"].values()) > 20
    assert states["states"]["ok"] == states["total"]
    assert [(q["external_id"], q["overdue_days"]) for q in states["troubled"]] == [("14415", 40)]
    assert pulled["requests"] == sum(entry["requests"] for entry in pulled["sources"]) > 0


def test_status_names_the_questions_a_person_should_look_at(
    connected: Program, platforms: PlayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected("pull", *NAMES)
    monkeypatch.delenv("SPEEDUP_METACULUS_TOKEN")
    platforms.now += timedelta(days=200)
    connected("pull", "metaculus")
    summary = connected("status", "--json").json["questions"]
    assert summary["overdue"] > 0
    overdue = [question for question in summary["troubled"] if question["overdue_days"] is not None]
    assert all(question["overdue_days"] > 30 for question in overdue)
    assert len(overdue) == summary["overdue"]
    shown = connected("status")
    assert "questions to look at" in shown.out
    assert "ok, overdue" in shown.out


def test_check_backup_and_restore(connected: Program, tmp_path: Path) -> None:
    connected("pull", "metr")
    assert connected("db", "check", "--json").json["ok"] is True
    copy = tmp_path / "copy.sqlite"
    written = connected("db", "backup", str(copy), "--json")
    assert written.code == 0
    elsewhere = f"sqlite:///{tmp_path / 'elsewhere.sqlite'}"
    restored = connected("db", "restore", str(copy), "--json", db=elsewhere)
    assert restored.json["rows"] == written.json["rows"]
    assert connected("series", "list", "--json", db=elsewhere).json["series"]
    refused = connected("db", "restore", str(copy), db=elsewhere)
    assert refused.code != 0
    assert "--force" in refused.err or "force" in refused.err


def test_a_damaged_database_is_exit_3(connected: Program) -> None:
    connected("pull", "metr")
    import sqlite3

    with sqlite3.connect(connected.folder / "speedup.sqlite") as damaged:
        (body,) = damaged.execute("SELECT body FROM payload LIMIT 1").fetchone()
        damaged.execute("UPDATE payload SET body = ?", (body[:-4] + b"oops",))
    damaged.close()
    answer = connected("db", "check", "--json")
    assert answer.code == 3
    assert answer.json["problems"]


def test_a_database_from_a_newer_version_is_refused_and_left_alone(connected: Program) -> None:
    connected("pull", "metr")
    import sqlite3

    path = connected.folder / "speedup.sqlite"
    with sqlite3.connect(path) as future:
        future.execute("UPDATE alembic_version SET version_num = 'zz99'")
    future.close()
    answer = connected("series", "list")
    assert answer.code == 3
    assert "newer" in answer.err


def test_source_asks_one_question_live_and_stores_nothing(connected: Program) -> None:
    answer = connected("source", "metaculus", "41140", "--json")
    assert answer.code == 0, answer.err
    assert any(entry["snapshots"] for entry in answer.json["answers"])
    assert list(connected.folder.glob("*.sqlite")) == []
    raw = connected("source", "metr", "any", "--raw")
    assert "benchmark_name" in raw.out


def test_the_token_appears_nowhere(connected: Program) -> None:
    answers = [connected("pull", *NAMES), connected("status"), connected("doctor")]
    assert not any("canary-token" in answer.out + answer.err for answer in answers)
    for path in connected.folder.rglob("*"):
        if path.is_file():
            assert b"canary-token" not in path.read_bytes(), path


def test_reparse_reads_stored_payloads_again_and_adds_nothing(connected: Program) -> None:
    connected("pull", *NAMES)
    document = connected("reparse", *NAMES, "--json")
    assert document.code == 0, document.err
    for entry in document.json["sources"]:
        assert entry["snapshots_new"] == 0 == entry["measurements_new"]


def test_calibration_of_the_store_needs_outcomes(connected: Program, platforms: PlayServer) -> None:
    platforms.now = datetime(2026, 8, 17, 12, tzinfo=UTC)
    pulled = connected("pull", "metaculus", "forecastbench")
    assert pulled.code == 0, pulled.out + pulled.err
    document = connected("calibration", "--json", "--group-by", "forecaster").json
    assert document["n_questions"] > 0
    assert {group["forecaster"] for group in document["groups"]}


def test_the_whole_loop_on_postgresql(connected: Program, new_postgres: Callable[[], str]) -> None:
    """From an empty server database to the orderings, by the same commands."""
    db = new_postgres()
    created = connected("db", "upgrade", "--json", db=db)
    assert (created.code, created.json["before"]) == (0, None)
    pulled = connected("pull", *NAMES, "--json", db=db)
    assert pulled.code == 0, pulled.err
    assert all(entry["status"] == "ok" for entry in pulled.json["sources"])
    again = connected("pull", *NAMES, "--json", db=db).json["sources"]
    assert all(entry["snapshots_new"] == 0 == entry["measurements_new"] for entry in again)
    assert connected("db", "check", "--json", db=db).json["ok"] is True
    on_server = connected("order", "--json", "--draws", "500", db=db).json
    connected("pull", *NAMES)
    on_file = connected("order", "--json", "--draws", "500").json
    assert on_server["market"]["scores"] == on_file["market"]["scores"]
    refused = connected("db", "backup", "copy.sqlite", db=db)
    assert refused.code == 3
    assert "pg_dump" in refused.err
