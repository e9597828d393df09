"""``speedup series`` on METR's five versions: what was added and re-estimated, against the tables of facts."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from shutil import copyfile

import pytest

import tests.estimates
from storage import open_store
from storage.records import RawPayload
from tests.cli.speedup import Program
from tests.demo.tables import recording, rows
from tracker.commands import session as session_module
from tracker.sources.metr import PATHS, Metr

SEEN = ("2026-01-30", "2026-02-06", "2026-02-22", "2026-03-03", "2026-05-08")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
Facts = dict[str, dict[str, tuple[float, float, float]]]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the five versions of METR's 1.1 file, each stored on the day it was seen."""
    file = tmp_path_factory.mktemp("metr") / "speedup.sqlite"
    store = open_store(f"sqlite:///{file}")
    try:
        for day in SEEN:
            at = datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC)
            answer = recording().answer("metr", PATHS["metr_th11"], (), at=at, authorization=None)
            raw = RawPayload("metr", "metr_th11", "https://metr.org/x", at, 200, "", answer.body, {})
            store.put_raw(raw)
            store.append(Metr().parse(raw).batch)
    finally:
        store.close()
    return file


@pytest.fixture
def metr(program: Program, stored: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """The program with a database of its own that has METR's five versions."""
    monkeypatch.setattr(session_module.Session, "now", lambda self: NOW)
    copyfile(stored, program.db.removeprefix("sqlite:///"))
    return program


def facts(metric: str) -> Facts:
    """Version -> system -> value and interval, read the plain way."""
    found: Facts = {day: {} for day in SEEN}
    for row in rows("metr_versions.csv"):
        if row["suite"] == "1.1":
            numbers = (float(row[metric]), float(row[f"{metric}_low"]), float(row[f"{metric}_high"]))
            found[row["version_seen"]][row["key"]] = numbers
    return found


@pytest.mark.parametrize(("before", "after"), list(pairwise(SEEN)))
@pytest.mark.parametrize("metric", ["p50", "p80"])
def test_diff_states_each_addition_and_each_revision_with_its_ratios(
    metr: Program, metric: str, before: str, after: str
) -> None:
    told = metr("series", "diff", "metr_th11", f"{before}T13:00Z", f"{after}T13:00Z", "--json").json
    old, new = facts(metric)[before], facts(metric)[after]
    mine = {change["key"]: change for change in told["changes"] if change["metric"] == metric}
    for key, (value, low, high) in new.items():
        change = mine.pop(key, None)
        if key not in old:
            assert (change["kind"], change["before"], change["ratio"]) == ("added", None, None)
            assert (change["after"]["value"], change["after"]["lower"], change["after"]["upper"]) == (
                value,
                low,
                high,
            )
        elif old[key][0] != value:
            assert change["kind"] == "revised"
            assert (change["before"]["value"], change["after"]["value"]) == (old[key][0], value)
            assert change["ratio"] == pytest.approx(value / old[key][0], rel=1e-12)
            assert change["relative_change"] == pytest.approx(value / old[key][0] - 1, rel=1e-9)
            if old[key][1] > 0:
                assert change["lower_ratio"] == pytest.approx(low / old[key][1], rel=1e-12)
            assert change["upper_ratio"] == pytest.approx(high / old[key][2], rel=1e-12)
        elif old[key] != (value, low, high):
            assert change["kind"] == "interval"
            assert (change["ratio"], change["before"]["upper"], change["after"]["upper"]) == (
                1.0,
                old[key][2],
                high,
            )
        else:
            assert change is None or change["kind"] in ("flagged", "dated")
    assert mine == {}
    summary = told["summary"][metric]
    assert summary["added"] == sorted(set(new) - set(old))
    assert summary["removed"] == sorted(set(old) - set(new))
    assert summary["re_estimated"] == sum(old[key][0] != new[key][0] for key in old)


@pytest.mark.parametrize(
    ("before", "after", "added", "re_estimated", "interval_only", "least", "greatest"),
    [
        ("2026-01-30", "2026-02-06", 3, 0, 14, None, None),
        ("2026-02-06", "2026-02-22", 3, 0, 17, None, None),
        ("2026-02-22", "2026-03-03", 0, 20, 0, 0.83, 1.16),
        ("2026-03-03", "2026-05-08", 3, 3, None, None, 1.35),
    ],
)
def test_the_published_history_of_revisions_is_told(
    metr: Program, before: str, after: str, added: int, re_estimated: int, interval_only: int | None,
    least: float | None, greatest: float | None,
) -> None:  # fmt: skip
    """Three systems more in each of three versions, one fix that moved all twenty, old rows fitted again."""
    told = metr("series", "diff", "metr_th11", f"{before}T13:00Z", f"{after}T13:00Z", "--json").json
    summary = told["summary"]["p50"]
    assert (len(summary["added"]), summary["re_estimated"]) == (added, re_estimated)
    assert interval_only is None or summary["interval_only"] == interval_only
    assert least is None or summary["least_ratio"] == pytest.approx(least, abs=0.005)
    assert greatest is None or summary["greatest_ratio"] == pytest.approx(greatest, abs=0.005)
    assert told["payloads"]["before"] != told["payloads"]["after"]
    assert told["versions_between"] == 1


def test_the_table_for_people_states_both_values_and_the_factor(metr: Program) -> None:
    out = metr("series", "diff", "metr_th11", "2026-02-22T13:00Z", "2026-03-03T13:00Z").out
    (line,) = (line for line in out.splitlines() if "claude_opus_4_6_inspect" in line and "p50" in line)
    old, new = (facts("p50")[day]["claude_opus_4_6_inspect"] for day in ("2026-02-22", "2026-03-03"))
    for text in (f"{old[0]:.4g}", f"{old[1]:.4g} to {old[2]:.4g}", f"{new[0]:.4g}", f"{new[1]:.4g} to {new[2]:.4g}",
                 f"x{new[0] / old[0]:.3f}", f"x{new[1] / old[1]:.3f}", f"x{new[2] / old[2]:.3f}"):  # fmt: skip
        assert text in line
    assert "p50: 0 added, 20 re-estimated (x0.826 to x1.157), 0 with another interval only" in out


@pytest.mark.parametrize("day", SEEN)
def test_show_as_known_at_gives_what_the_second_table_of_facts_says_of_that_version(
    metr: Program, day: str
) -> None:
    lines = (Path(tests.estimates.__file__).parent / "metr_facts.csv").read_text("utf-8").splitlines()
    known = [
        row
        for row in csv.DictReader(line for line in lines if not line.startswith("#"))
        if day in row["versions"].split()
    ]
    told = metr("series", "show", "metr_th11", "--as-known-at", f"{day}T13:00Z", "--json").json
    values = {(p["key"], p["metric"]): (p["value"], p["at"]) for p in told["points"]}
    assert values == {
        (row["key"], metric): (float(row[f"{metric}_minutes"]), row["released"])
        for row in known
        for metric in ("p50", "p80")
    }
    assert len(told["versions"]) == SEEN.index(day) + 1
    assert told["payload"]["sha256"] == told["versions"][-1]["payload_sha256"]


def test_show_says_what_the_series_is_and_where_its_instrument_ends(metr: Program) -> None:
    told = metr("series", "show", "metr_th11", "--json").json
    record = told["record"]
    assert (record["view"], record["direction"], record["cadence"]) == ("model", "up", "frozen")
    assert {metric["ceiling"] for metric in record["metrics"]} == {960.0}
    assert len(record["areas"]) == 10
    assert told["freshness"]["unchanged_days"] == (NOW.date() - date(2026, 5, 8)).days
    out = metr("series", "show", "metr_th11").out
    assert "not updated by its publisher since 2026-05-08" in out
    assert "unreliable: p50 above 960 minutes" in out
    assert out.count("beyond what can be measured") == sum(p["beyond_ceiling"] for p in told["points"]) > 0


def test_list_and_status_show_the_age_of_a_feed_that_was_given_up(metr: Program) -> None:
    (row,) = metr("series", "list", "--json").json["series"]
    assert (row["standing"], row["age_days"]) == ("frozen", 196)
    assert row["record"]["licence"].startswith("all rights reserved")
    status = metr("status", "--json").json
    assert [(r["series"], r["standing"], r["unchanged_for_days"]) for r in status["series"]] == [
        ("metr_th11", "frozen", 196)
    ]
    assert status["series_changed"] == []
    shown = metr("status").out
    assert "a series that does not change is not a trend that stopped" in shown
    assert "not updated by its publisher since 2026-05-08" in shown


def test_status_says_when_the_bytes_of_a_feed_given_up_change(metr: Program) -> None:
    at = NOW - timedelta(days=2)
    store = open_store(metr.db)
    try:
        newest = store.get_raw(store.versions("metr_th11")[-1].payload_sha256)
        assert newest is not None
        raw = RawPayload("metr", "metr_th11", newest.url, at, 200, "", newest.body + b"\n", {})
        store.put_raw(raw)
        store.append(Metr().parse(raw).batch)
    finally:
        store.close()
    status = metr("status", "--json").json
    assert [(c["series"], c["surprising"]) for c in status["series_changed"]] == [("metr_th11", True)]
    assert status["series"][0]["standing"] == "changed"
    assert "the bytes of metr_th11 changed on 2026-11-18" in metr("status").out


def test_curated_tables_are_pulled_without_a_network_and_show_where_each_figure_is_from(
    program: Program,
) -> None:
    first = program("pull", "curated", "--json")
    assert (first.code, first.json["sources"][0]["requests"]) == (0, 0)
    assert first.json["sources"][0]["measurements_new"] > 200
    assert program("pull", "curated", "--json").json["sources"][0]["measurements_new"] == 0
    told = program("series", "show", "metr_uplift", "--json").json
    assert told["payload"]["source"] == "curated"
    by_key = {(p["key"], p["metric"]): p for p in told["points"]}
    measured = by_key["early-2025-rct", "time_change"]
    assert (measured["value"], measured["lower"], measured["upper"]) == (18.8, 1.3, 39.5)
    assert measured["origin"]["source_url"] == "https://arxiv.org/abs/2507.09089"
    assert measured["origin"]["verification"] == "published_table"
    assert all(p["origin"]["entered_by"] for p in told["points"])
    assert "https://arxiv.org/abs/2507.09089"[:25] in program("series", "show", "metr_uplift").out
    listed = program("series", "list", "--json").json
    assert "metr_th11" in listed["not_stored"]
    assert {row["record"]["source"] for row in listed["series"]} == {"curated"}
    assert program("reparse", "curated", "--json").json["sources"][0]["status"] == "ok"
    assert program("db", "check").code == 0
