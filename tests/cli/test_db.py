"""``speedup db prune``, and ``speedup db copy`` on what real adapters stored of a real recording, there and back."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

from questions.catalogue import load_catalogue
from storage import open_store
from storage.mailing import Channel, Letter, LetterState
from storage.records import Batch
from tests.cli.speedup import Program
from tests.storage.samples import hours, payload, poll
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


def test_a_stored_payload_comes_back_to_the_byte(program: Program, tmp_path: Path) -> None:
    body = bytes(range(256)) + "héllo\r\n".encode()
    store = open_store(program.db)
    name = store.put_raw(payload(body))
    store.close()
    assert name == hashlib.sha256(body).hexdigest()
    told = program("db", "raw", name, "--json").json
    assert (told["sha256"], told["size_bytes"], told["status"]) == (name, len(body), 200)
    out = tmp_path / "answer"
    assert program("db", "raw", name.upper(), "--out", str(out)).code == 0
    assert out.read_bytes() == body
    assert program("db", "raw", name[:8], "--json").json["sha256"] == name
    for wrong in ("abc", "g" * 64, "0" * 64):
        refused = program("db", "raw", wrong, "--json")
        assert (refused.code, wrong in refused.json["error"]) == (2, True)
    assert program("db", "raw", name, "--out", "-", "--json").code == 2


def test_a_payload_that_was_let_go_says_when(program: Program) -> None:
    store = open_store(program.db)
    names = [store.put_raw(payload(b"answer %d" % hour, hour)) for hour in range(3)]
    store.close()
    assert program("db", "prune", "--days", "30").code == 0
    gone = program("db", "raw", names[1], "--json")
    assert (gone.code, "was let go at" in gone.json["error"]) == (3, True)


def test_values_within_days_and_bytes_of_letters_go_when_asked_each_by_itself(program: Program) -> None:
    assert program("db", "prune", "--thin-days", "30").code == 2
    store = open_store(program.db)
    store.append(Batch(snapshots=tuple(poll(hour, hour / 20) for hour in range(1, 12))))
    letter = Letter("k", Channel.MAIL, "a@example.org", "digest", "w", "<m@t>", b"body", hours(0), hours(1))
    store.queue_letters([letter])
    store.claim_letter(Channel.MAIL, hours(0))
    store.settle_letter("k", LetterState.SENT, hours(0), "sent: 250")
    foreseen = program("db", "prune", "--thin-days", "120", "--dry-run", "--json").json
    assert (foreseen["values"]["streams"], foreseen["letters"], foreseen["written"]) == (1, 0, False)
    assert foreseen["values"]["values"] > 0
    assert store.thinnings() == []
    done = program("db", "prune", "--thin-days", "120", "--letter-days", "30", "--json").json
    assert (done["values"], done["letters"]) == (foreseen["values"], 1)
    assert [one.gone for one in store.thinnings()] == [done["values"]["values"]]
    assert store.letters()[0].body == b""
    store.close()
    assert "0 values of 0 streams: let go" in program("db", "prune", "--thin-days", "120").out
    assert program("db", "check").code == 0
