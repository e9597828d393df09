"""``speedup db prune``, and ``speedup db copy`` on what real adapters stored of a real recording, there and back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

from questions.catalogue import load_catalogue
from storage import open_store
from tests.cli.speedup import Program
from tests.storage.samples import payload
from tracker.demo.show import run_demo


def dump(path: Path) -> list[str]:
    """Every table and row as SQL text: SQLite's own account of a file, with which ours has nothing to do."""
    with closing(sqlite3.connect(path)) as database:
        return [line for line in database.iterdump() if "sqlite_" not in line]  # but for its statistics


def test_there_and_back_is_the_same_to_the_last_byte(
    program: Program, new_postgres: Callable[[], str], tmp_path: Path
) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    run_demo(folder, load_catalogue(), progress=lambda *_: None, last=date(2026, 1, 28))
    first, server = f"sqlite:///{folder / 'demo.sqlite'}", new_postgres()
    back = f"sqlite:///{tmp_path / 'back.sqlite'}"
    refused = program.bare("db", "copy", first, server, "--json")
    assert refused.code == 3
    assert "speedup db upgrade" in refused.json["error"]
    assert program("db", "upgrade", db=server).code == 0
    open_store(back).close()

    counted = program.bare("db", "copy", first, server, "--dry-run", "--json").json
    assert not counted["written"]
    there = program.bare("db", "copy", first, server, "--json")
    assert there.code == 0, there.err
    assert there.json["rows"] == counted["rows"] > 200
    assert all(
        (row["rows"], row["checksum"]) == (row["rows_copied"], row["checksum_copied"])
        for row in there.json["tables"]
    )
    again = program.bare("db", "copy", first, server, "--json")
    assert (again.code, "holds rows already" in again.json["error"]) == (3, True)
    assert program("db", "check", db=server).code == 0

    shown = program.bare("db", "copy", server, back)
    assert (shown.code, "observation" in shown.out) == (0, True), shown.err
    assert dump(folder / "demo.sqlite") == dump(tmp_path / "back.sqlite")


def test_nothing_is_let_go_unless_asked_and_the_dry_run_tells_what_would(program: Program) -> None:
    refused = program("db", "prune", "--json")
    assert (refused.code, "raw_days" in refused.json["error"]) == (2, True)
    assert program("db", "prune", "--days", "7").code == 2
    store = open_store(program.db)
    for hour in range(5):
        store.put_raw(payload(b"answer %d" % hour, hour))
    foreseen = program("db", "prune", "--days", "30", "--dry-run", "--json").json
    assert (foreseen["payloads"], foreseen["size_bytes"], foreseen["written"]) == (3, 24, False)
    assert len(list(store.raw_payloads())) == 5
    done = program("db", "prune", "--days", "30", "--json").json
    assert (done["payloads"], done["written"]) == (3, True)
    assert len(list(store.raw_payloads())) == 2
    store.close()
    assert "0 payloads" in program("db", "prune", "--days", "30").out
    assert program("db", "check").code == 0
