"""``speedup export``: every table with its guide, typed, harmless in a spreadsheet, the same twice."""

from __future__ import annotations

import csv
import hashlib
import json
import re
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
from storage.mailing import Recipient, RecipientState
from storage.records import Batch
from tests.alerts.world import World, hours
from tests.cli.speedup import Program
from tracker.columns import cell
from tracker.config import Settings
from tracker.orderings import ModelOptions, Scene
from tracker.week import read_week

LINK = next(link for link in load_catalogue().links if link.outcome == "yes")
CLOSE = datetime(2026, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def filled(program: Program) -> Program:
    key = StreamKey(LINK.platform, LINK.platform, LINK.external_id, "yes", Quantity.FORECASTER_MEDIAN)
    wide = StreamKey("metaculus", "metaculus", "1", "value", Quantity.FORECASTER_MEDIAN)
    shape = Distribution((0.0, 1.0), (0.1, 0.9), "date")
    name = (LINK.platform, LINK.platform, LINK.external_id)
    store = open_store(program.db)
    try:
        seen = CLOSE - 5 * DAY
        store.append(
            Batch(
                snapshots=(
                    Snapshot(key, seen, seen, probability=0.25, timed_by_source=True),
                    Snapshot(wide, seen, seen, distribution=shape),
                ),
                infos=(QuestionInfo(*name, seen, "=HYPERLINK(1)\nsecond line", closes_at=CLOSE),),
                resolutions=(
                    Resolution(*name, "yes", OutcomeState.YES, CLOSE, resolved_at=CLOSE, value=1.0),
                ),
            )
        )
    finally:
        store.close()
    question = f"{LINK.platform}:{LINK.external_id}"
    assert (
        program("forecast", "add", question, "--odds", "1:4", "--forecaster", "ann", "--comment", "-x").code
        == 0
    )
    return program


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_everything_comes_out_typed_with_a_guide_to_every_column(filled: Program) -> None:
    answer = filled("export", "out", "--json")
    assert answer.code == 0, answer.err
    told = {Path(one["file"]).name: one["rows"] for one in answer.json["files"]}
    guide = Path("out/README.md").read_text()
    for path in Path("out").glob("*.csv"):
        content = rows(path)
        assert len(content) == told[path.name]
        section = guide.split(f"## {path.name}")[1].split("\n## ")[0]
        with path.open() as file:
            header = next(csv.reader(file))
        assert re.findall(r"^\| (\w+) \|", section, flags=re.M)[1:] == header
    value = next(row for row in rows(Path("out/values.csv")) if row["outcome"] == "yes")
    assert (value["probability"], value["as_of"], value["timed_by_source"]) == (
        "0.25",
        "2026-01-27T00:00:00Z",
        "true",
    )
    shape = next(row for row in rows(Path("out/values.csv")) if row["outcome"] == "value")
    assert (shape["cdf_x"], shape["cdf"], shape["probability"]) == ("[0.0, 1.0]", "[0.1, 0.9]", "")
    (forecast,) = rows(Path("out/forecasts.csv"))
    assert (forecast["probability"], forecast["forecaster"]) == ("0.2", "ann")
    scored = [row for row in rows(Path("out/scored.csv")) if row["status"] == "scored"]
    assert {(row["forecaster"], row["probability"], row["outcome"]) for row in scored} == {
        (LINK.platform, "0.25", "1.0")
    }


def test_text_from_elsewhere_is_no_formula_and_no_second_line(filled: Program) -> None:
    assert filled("export", "out").code == 0
    (info,) = rows(Path("out/question_facts.csv"))
    assert info["title"] == "'=HYPERLINK(1) second line"
    (forecast,) = rows(Path("out/forecasts.csv"))
    assert forecast["comment"] == "'-x"


def test_the_same_store_gives_the_same_bytes_and_an_earlier_day_less(filled: Program) -> None:
    as_of = ("--as-of", "2026-02-03")
    filled("export", "one", *as_of)
    filled("export", "two", *as_of)
    for path in Path("one").iterdir():
        assert path.read_bytes() == (Path("two") / path.name).read_bytes()
    filled("export", "early", "--as-of", "2026-01-01")
    assert rows(Path("early/values.csv")) == rows(Path("early/outcomes.csv")) == []
    assert rows(Path("one/forecasts.csv")) == []  # it was entered later than that, whatever today is


def test_alerts_come_out_with_what_they_rest_on_and_never_with_whom_they_went_to(filled: Program) -> None:
    world = World(store=open_store(filled.db))
    world.store.add_recipient(Recipient("canary@example.org", hours(0), RecipientState.CONFIRMED))
    told = {"mail_from": "tracker@example.org", "mail_drop": "out", "mail_to": "second-canary@example.org"}
    world.settings = Settings.model_validate(world.settings.model_dump() | {"alert_webhook": None} | told)
    for hour, value in ((0, 0.2), (10, 0.6), (20, 0.2)):
        world.value(hour, value)
        world.look(hour + 1)
        if hour == 10:
            world.tell(hour + 2)
    assert len(world.store.letters()) == 2
    world.store.close()
    assert filled("export", "out").code == 0
    first, second = rows(Path("out/alerts.csv"))
    assert (first["signal"], first["before"], first["after"], first["fate"]) == (
        "move:fair:a", "20%", "60%", "queued",
    )  # fmt: skip
    assert first["batch"] == "alerts:2026-08-04T00:00:00Z"
    assert json.loads(first["rule"]) == {"hold_hours": 0.0, "log_odds": 1.0}
    assert (second["fate"], second["decided_at"], second["batch"]) == ("waiting", "", "")
    evidence = rows(Path("out/alert_evidence.csv"))
    assert [(one["number"], one["value"]) for one in evidence] == [
        ("1", "0.2"),
        ("2", "0.6"),
        ("1", "0.6"),
        ("2", "0.2"),
    ]
    assert evidence[0]["payload_sha256"] == "0" * 64
    assert not [path for path in Path("out").iterdir() if b"canary" in path.read_bytes()]
    assert filled("export", "then", "--as-of", "2026-08-04T00:00Z").code == 0
    assert [one["fate"] for one in rows(Path("then/alerts.csv"))] == ["queued"]


def test_a_dry_run_writes_nothing_and_other_files_are_left_alone(filled: Program) -> None:
    told = filled("export", "out", "--dry-run", "--json").json
    assert told["dry_run"]
    assert not Path("out").exists()
    Path("out").mkdir()
    Path("out/mine.txt").write_text("mine")
    assert filled("export", "out", "--json").json["files"] == told["files"]
    assert Path("out/mine.txt").read_text() == "mine"
    assert not [path for path in Path("out").iterdir() if path.name.startswith(".")]


def test_parquet_has_the_same_rows_typed(filled: Program) -> None:
    as_of = ("--as-of", "2027-02-03")
    assert filled("export", "out", *as_of).code == 0
    answer = filled("export", "out", "--format", "parquet", "--json", *as_of)
    assert answer.code == 0, answer.err
    told = {Path(one["file"]).name: one["rows"] for one in answer.json["files"]}
    for path in Path("out").glob("*.csv"):
        table = parquet.read_table(path.with_suffix(".parquet"))
        assert table.num_rows == told[f"{path.stem}.parquet"]
        again = [{name: cell(value) for name, value in row.items()} for row in table.to_pylist()]
        assert again == rows(path)
        assert all(field.metadata and b"meaning" in field.metadata for field in table.schema)
    values = parquet.read_table("out/values.parquet")
    kinds = dict(zip(values.schema.names, map(str, values.schema.types), strict=True))
    assert kinds["as_of"] == "timestamp[us, tz=UTC]"
    assert (kinds["probability"], kinds["times_seen"], kinds["timed_by_source"]) == (
        "double",
        "int64",
        "bool",
    )
    shape = next(row for row in values.to_pylist() if row["outcome"] == "value")
    assert (shape["cdf_x"], shape["cdf"], shape["probability"]) == ([0.0, 1.0], [0.1, 0.9], None)
    assert shape["as_of"] == CLOSE - 5 * DAY
    (info,) = parquet.read_table("out/question_facts.parquet").to_pylist()
    assert info["title"] == "=HYPERLINK(1)\nsecond line"  # a program runs no formula
    assert "## values.parquet" in Path("out/README.md").read_text()
    before = Path("out/values.parquet").read_bytes()
    filled("export", "out", "--format", "parquet", *as_of)
    assert Path("out/values.parquet").read_bytes() == before


def test_stored_orderings_come_out_as_they_were_kept(filled: Program) -> None:
    at = CLOSE + timedelta(days=1)  # a Monday
    store = open_store(filled.db)
    try:
        record = Scene(load_catalogue(), store, ModelOptions()).record(at, made_at=at + DAY)
        store.add_orderings([record])
    finally:
        store.close()
    week = read_week(record)
    answer = filled("export", "out", "--as-of", "2026-06-01", "--json")
    assert answer.code == 0, answer.err
    (kept,) = rows(Path("out/orderings.csv"))
    assert (kept["grain"], kept["at"], kept["payload"]) == ("week", "2026-02-02T00:00:00Z", record.payload)
    assert hashlib.sha256(kept["payload"].encode()).hexdigest() == kept["sha256"] == week.sha256
    places = rows(Path("out/ordering_voices.csv"))
    internal = [row["area"] for row in places if row["voice"] == "internal"]
    assert internal == list(week.voices["internal"].ranking)
    assert [row["place"] for row in places if row["voice"] == "internal"] == [str(n) for n in range(1, 11)]
    pairs = rows(Path("out/ordering_comparisons.csv"))
    assert [(row["a"], row["b"]) for row in pairs] == [(one.a, one.b) for one in week.comparisons]
    filled("export", "early", "--as-of", "2026-02-02")
    assert rows(Path("early/orderings.csv")) == [], "it was made later"


def test_what_was_thinned_is_told_beside_the_values(filled: Program) -> None:
    key = StreamKey("manifold", "manifold", "dense", "yes", Quantity.PLAY_MONEY_PRICE)
    day = CLOSE - 10 * DAY
    store = open_store(filled.db)
    try:
        hours = (day + timedelta(hours=n) for n in range(1, 13))
        values = (Snapshot(key, at, at, probability=at.hour / 20) for at in hours)
        store.append(Batch(snapshots=tuple(values)))
        assert store.thin(CLOSE, CLOSE + DAY).values == 10
    finally:
        store.close()
    filled("export", "out")
    (told,) = rows(Path("out/values_thinned.csv"))
    assert (told["external_id"], told["gone"]) == ("dense", "10")
    assert (told["since"], told["until"]) == ("2026-01-22T02:00:00Z", "2026-01-22T11:00:00Z")
    assert len([row for row in rows(Path("out/values.csv")) if row["external_id"] == "dense"]) == 2
