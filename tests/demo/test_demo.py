"""The demo is the main job: the whole of it, on real values, repeatable to the byte."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest

from questions.catalogue import load_catalogue
from tracker.commands.root import run
from tracker.demo.show import DemoResult, run_demo


def quiet(day: date, number: int, total: int) -> None:
    """A progress bar for nobody."""


def short_demo(folder: Path) -> DemoResult:
    """The first eight weeks: four of METR's versions, most of the questions."""
    folder.mkdir()
    return run_demo(folder, load_catalogue(), progress=quiet, last=date(2026, 3, 22))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    return short_demo(tmp_path_factory.mktemp("demo") / "a")


def dump(path: Path) -> list[str]:
    """Every table as SQL text."""
    with closing(sqlite3.connect(path)) as database:
        return list(database.iterdump())


def test_two_runs_are_equal_to_the_byte(demo: DemoResult, tmp_path: Path) -> None:
    again = short_demo(tmp_path / "b")
    assert [file.name for file in demo.files] == [file.name for file in again.files]
    for one, two in zip(demo.files, again.files, strict=True):
        assert one.read_bytes() == two.read_bytes(), one.name
    assert dump(demo.folder / "demo.sqlite") == dump(again.folder / "demo.sqlite")


def test_every_source_ends_in_order_and_only_the_unpublished_file_was_missing(demo: DemoResult) -> None:
    assert {total.status for total in demo.played.totals.values()} == {"ok"}
    faults = [error.kind for total in demo.played.totals.values() for error in total.errors]
    assert faults == ["http_404"] * 4  # METR's 1.1 file, 26 to 29 January: it appeared on the 30th


def test_the_stored_values_are_the_facts(demo: DemoResult) -> None:
    """Every daily Manifold value that a noon poll could see stands in the database as it was."""
    from storage import open_store
    from tracker.demo.facts import load_facts

    facts = {question.id: question for question in load_facts().questions if question.source == "manifold"}
    store = open_store(f"sqlite:///{demo.folder / 'demo.sqlite'}", create=False)
    checked = 0
    try:
        for key in store.streams("manifold"):
            if key.source != "manifold":
                continue
            fact = facts[key.external_id]
            for seen in store.history(key):
                if seen.snapshot.probability is None:
                    continue
                expected = fact.value(date.fromordinal(seen.snapshot.as_of.date().toordinal() - 1))
                assert seen.snapshot.probability == expected, (key, seen.snapshot.as_of)
                checked += 1
    finally:
        store.close()
    assert checked > 400


def test_the_four_versions_of_these_weeks_appear_on_their_days(demo: DemoResult) -> None:
    from storage import open_store

    store = open_store(f"sqlite:///{demo.folder / 'demo.sqlite'}", create=False)
    try:
        days = [version.seen_first.date().isoformat() for version in store.versions("metr_th11")]
    finally:
        store.close()
    assert days == ["2026-01-30", "2026-02-06", "2026-02-22", "2026-03-03"]


def test_the_page_holds_charts_ordering_revisions_and_where_the_data_is(demo: DemoResult) -> None:
    page = (demo.folder / "index.html").read_text(encoding="utf-8")
    text = (demo.folder / "summary.txt").read_text(encoding="utf-8")
    assert page.count("<svg") >= 2
    for words in ("Agent scaffolding", "no view", "tau-b", "2026-03-03", "demo.sqlite", "CC BY-SA 4.0"):
        assert words in page, words
        assert words in text, words
    assert not re.search(r"(src|href)=[\"']http://", page)


def test_the_database_answers_the_commands_the_demo_names(
    demo: DemoResult, capsys: pytest.CaptureFixture[str]
) -> None:
    database = demo.findings.content.database
    assert database is not None
    for words, _ in database.commands:
        arguments = [
            word.replace("sqlite:///", f"sqlite:///{demo.folder}/")
            for word in words.removeprefix("speedup ").split()
        ]
        assert run([*arguments, "--json"]) == 0, words
        json.loads(capsys.readouterr().out)


def test_a_folder_with_other_things_in_it_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("dear")
    assert run(["demo", "--dir", str(tmp_path)]) == 2
    assert "another folder" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").read_text() == "dear"


def test_alerts_of_the_played_weeks_are_few_each_a_chain_and_can_be_derived_again(
    demo: DemoResult, tmp_path: Path
) -> None:
    """Looked at every other day: what was told of a signal begins where it had ended, and with all that was learnt
    since in the store the same look finds the same."""
    from storage import open_store
    from tracker.alerts.evaluate import RULES, evaluate, record
    from tracker.config import Settings
    from tracker.demo.play import POLL_HOURS, moments
    from tracker.sources import SOURCES

    shutil.copy(demo.folder / "demo.sqlite", tmp_path / "copy.sqlite")
    store, catalogue = open_store(f"sqlite:///{tmp_path / 'copy.sqlite'}"), load_catalogue()
    settings = Settings(poll_hours=POLL_HOURS, alerts={"unbacked": True})
    days = [moment + timedelta(hours=1) for moment in moments(date(2026, 3, 22))][::2]
    rules = {name: rule for name, rule in RULES.items() if name != "orders"}
    looks = {}
    for at in days:
        known = store.armings()
        found = evaluate(store, catalogue, settings, SOURCES, at, RULES if at in days[-8::7] else rules)
        assert record(store, found) == len(found.alerts)
        looks[at] = (known, found)
    kept = store.alerts()
    told = Counter(alert.kind for alert in kept)
    assert (told["source"], told["drift"], told["question"]) == (0, 0, 0)
    assert told["series"] == 3  # METR's versions of 6 and 22 February and 3 March
    assert told["resolved"] == 1
    assert 1 <= told["move"] <= 10
    assert len(kept) < 40
    for signal in {alert.signal for alert in kept if alert.kind in ("move", "series")}:
        chain = store.alerts(signal)
        assert [one.before for one in chain[1:]] == [one.after for one in chain[:-1]]
    for alert in kept:
        payloads = {one.payload_sha256 for one in alert.evidence if one.payload_sha256}
        assert all(store.get_raw(sha256) is not None for sha256 in payloads)
        assert alert.evidence
    for at in {alert.at for alert in kept} - set(days[-8::7]):
        known, found = looks[at]
        again = evaluate(store, catalogue, settings, SOURCES, at, rules, known)
        assert (again.alerts, again.armings) == (found.alerts, found.armings)
    store.close()
