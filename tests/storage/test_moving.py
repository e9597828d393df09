"""A whole history from one engine to the other: nothing lost, nothing changed, nothing half."""

from __future__ import annotations

import hashlib
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from questions.records import Distribution, Forecast, ForecasterKind, Score
from questions.time import EPOCH
from storage import moving, open_store, upgrade
from storage.engine import HEAD, Database, locate
from storage.errors import IntegrityFailure, SchemaTooOld, StorageError
from storage.moving import checksum, leader, move, survey
from storage.records import Batch, Gap, Quarantined, Run, RunState, SourceHealth, Validator
from storage.store import Store
from storage.tables import table
from tests.storage.samples import (
    HOUR,
    T0,
    drift,
    health,
    hours,
    info,
    judgement,
    key,
    measured,
    payload,
    point,
    poll,
    question_version,
    receipt,
    resolution,
    version,
)

ROOT = Path(__file__).parents[2]
WAYS = [
    ("sqlite", "postgresql"),
    ("postgresql", "sqlite"),
    ("sqlite", "sqlite"),
    ("postgresql", "postgresql"),
]


def fill(store: Store) -> None:
    """Something in every table, with what engines are apt to tell differently."""
    sha256 = store.put_raw(payload(b'{"probability": 0.5, "title": "\xc3\xa9\xf0\x9f\x8e\xb2"}'))
    other = store.put_raw(payload(bytes(range(256)) * 400, 1))
    store.sight("manifold", "https://example.org/q1", sha256, hours(2))
    spread = Distribution((1.0, 2.5), (0.25, 0.5), "date")
    store.append(
        Batch(
            snapshots=(
                poll(0, 0.1 + 0.2, payload_sha256=sha256, volume=1e-300, liquidity=-0.0, spread=1e300),
                poll(1, 1 / 3, payload_sha256=other, forecasters=2**40),
                *(point(hour / 7, 30, hour / 1009, key(f"é{hour % 3}\\\t\n'")) for hour in range(200)),
                point(0, 3, stream=key("spread"), distribution=spread),
            ),
            versions=(
                version(0, measured("m", 1.5, is_sota=None), measured("n\\N", 2), sha256=sha256, a=0.1),
            ),
            resolutions=(resolution(3, payload_sha256=other), resolution(3, "no", external_id="q2")),
            infos=(info(0, title="tab\there \\. and \u2028 more"),),
            healths=(health(1), health(2, "hidden", hidden_until=hours(9))),
        )
    )
    store.add_forecasts([Forecast("q1", "yes", "ada", ForecasterKind.PERSON, T0, 0.25, "v1", "because")])
    store.add_scores([Score("q1", "yes", "ada", T0, "brier", "1", 0.0625, hours(5))])
    store.add_question_versions([question_version(0)])
    store.add_judgements([judgement(1)])
    store.add_receipts([receipt(2)])
    store.quarantine(Quarantined(other, "s", "q", "r", "1", hours(0)))
    store.begin_run("poll", T0, T0)
    store.end_run(Run("poll", T0, RunState.DONE, T0, hours(1)))
    store.add_gap(Gap("s", T0, hours(1), "off"))
    store.set_health(SourceHealth("manifold"))
    store.add_drifts([drift(0, payload_sha256=sha256)])
    store.set_validator(Validator("https://example.org/q1", '"1"', None, sha256))
    store.take_lease("daemon", "one", T0, HOUR)


@pytest.fixture
def make(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Makes databases with our tables and no rows."""
    made = []

    def create(engine: str) -> str:
        if engine == "postgresql":
            new: Callable[[], str] = request.getfixturevalue("new_postgres")
            made.append(new())
        else:
            made.append(f"sqlite:///{tmp_path / f'{len(made)}.db'}")
        upgrade(made[-1])
        return made[-1]

    return create


def everything(store: Store) -> list[object]:
    """What a reader can see."""
    streams = store.streams()
    return [
        [store.revisions(stream) for stream in streams],
        store.measurements("horizons"), store.versions("horizons"), store.resolutions(), store.infos(),
        store.question_health(), store.forecasts(), store.scores(), store.question_versions(),
        store.judgements(), store.receipts(), store.quarantined(), store.runs(), store.gaps(), store.health(),
        store.drifts(), store.validator("https://example.org/q1"), list(store.raw_payloads()), store.counts(),
    ]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), WAYS)
def test_a_copy_is_the_same_to_every_reader_and_goes_on_living(
    one: str, other: str, make: Callable[[str], str]
) -> None:
    source, target = make(one), make(other)
    with closing(open_store(source)) as store:
        fill(store)
        told, counts = everything(store), store.counts()
    assert sum(map(bool, counts.values())) >= 24, counts
    assert survey(source, target) == counts
    moved = move(source, target)
    assert {row.table: row.rows for row in moved} == {row.table: row.rows_moved for row in moved} == counts
    assert all(row.same and len(row.checksum) == 64 for row in moved)
    with closing(open_store(target)) as store:
        assert everything(store) == told
        assert store.check() == []
        fill(store)  # adds nothing: all of it is known
        store.take_lease("daemon", "one", T0, HOUR)
        assert store.counts() == counts
        store.append(Batch(snapshots=(poll(9, stream=key("new")),), resolutions=(resolution(9, "no"),)))
        store.put_raw(payload(b"new", 9))
        assert store.counts()["stream"] == counts["stream"] + 1
        assert store.check() == []


def test_the_checksum_is_a_rows_and_nothing_elses(make: Callable[[str], str]) -> None:
    """The canonical form, written out by hand; the order of rows and the engine make no difference."""
    lines = ['["s",1772366400000000,1772370000000000,"d\\u00e9j\\u00e0 vu"]', '["t",0,1,""]']
    total = sum(int(hashlib.sha256(line.encode()).hexdigest(), 16) for line in lines)
    for engine, order in (("sqlite", 1), ("postgresql", -1)):
        url = make(engine)
        database = Database(locate(url))
        values = [("s", hours(0), hours(1), "déjà vu"), ("t", EPOCH, EPOCH + timedelta(microseconds=1), "")]
        with database.write() as connection:
            for source, start, end, reason in values[::order]:
                connection.execute(
                    table("gap").insert().values(source=source, start=start, end=end, reason=reason)
                )
        with database.read() as connection:
            found = checksum(connection, table("gap"))
        database.close()
        assert (found.rows, found.checksum) == (2, f"{total % 2**256:064x}")


def test_a_copy_goes_only_into_a_new_database(make: Callable[[str], str], tmp_path: Path) -> None:
    source, target = make("sqlite"), make("sqlite")
    for url in (source, target):
        with closing(open_store(url)) as store:
            store.add_gap(Gap("s", T0, hours(1), "off"))
    for attempt in (move, survey):
        with pytest.raises(StorageError, match=r"holds rows already \(in gap\)"):
            attempt(source, target)
        with pytest.raises(StorageError, match="onto itself"):
            attempt(source, source)
        with pytest.raises(StorageError, match="made anew"):
            attempt(source, "memory://")
        with pytest.raises(StorageError, match="does not exist"):
            attempt(source, f"sqlite:///{tmp_path / 'none.db'}")
        with pytest.raises(StorageError, match="does not exist"):
            attempt(f"sqlite:///{tmp_path / 'none.db'}", target)
    with closing(open_store(target)) as store:
        assert len(store.gaps()) == 1


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_what_cannot_be_written_or_reads_back_otherwise_is_not_kept(
    engine: str, make: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = make("sqlite"), make(engine)
    with closing(open_store(source)) as store:
        fill(store)

    def flipped(connection: object, rows: object) -> moving.Sum:
        found = checksum(connection, rows)  # type: ignore[arg-type]
        if rows is table("score"):
            found.add([["one bit"]])
        return found

    monkeypatch.setattr(moving, "checksum", flipped)
    with pytest.raises(IntegrityFailure, match="score read back otherwise"):
        move(source, target)
    monkeypatch.undo()
    database = Database(locate(source), foreign_keys=False)
    with database.driver() as bare:
        bare.execute("PRAGMA ignore_check_constraints = ON")
        bare.execute(
            "UPDATE observation SET probability = 2 WHERE seen_first = (SELECT max(seen_first) FROM observation)"
        )
    database.close()
    with pytest.raises(StorageError, match=r"CHECK|check"):
        move(source, target)
    with closing(open_store(target)) as store:
        assert set(store.counts().values()) == {0}


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_copy_that_is_killed_leaves_nothing_and_can_be_made_again(
    engine: str, make: Callable[[str], str]
) -> None:
    source, target = make("sqlite"), make(engine)
    with closing(open_store(source)) as store:
        fill(store)
    program = (
        "import sys, time\n"
        "from storage.moving import move\n"
        "def told(name, rows):\n"
        "    print(name, flush=True)\n"
        "    if name == 'observation': time.sleep(60)\n"
        "move(*sys.argv[1:], told)\n"
    )
    copying = subprocess.Popen(
        [sys.executable, "-c", program, source, target], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert copying.stdout is not None
    assert any(line.strip() == "observation" for line in iter(copying.stdout.readline, ""))
    copying.send_signal(signal.SIGKILL)
    copying.wait(10)
    copying.stdout.close()
    assert all(row.same for row in move(source, target))
    with closing(open_store(target)) as store:
        assert store.check() == []
        assert store.counts()["observation"] > 200


def test_another_schema_is_refused_on_either_side(make: Callable[[str], str], tmp_path: Path) -> None:
    source, target = make("sqlite"), make("sqlite")
    for url in (source, target):
        path = locate(url).path
        assert path is not None
        with closing(sqlite3.connect(path)) as bare:
            bare.execute("UPDATE alembic_version SET version_num = '0001'")
            bare.commit()
        with pytest.raises(SchemaTooOld, match="db upgrade"):
            move(source, target)
        upgraded = "UPDATE alembic_version SET version_num = (SELECT ?)"
        with closing(sqlite3.connect(path)) as bare:
            bare.execute(upgraded, (HEAD,))
            bare.commit()


def test_a_leader_on_the_source_is_named(make: Callable[[str], str]) -> None:
    url = make("sqlite")
    assert leader(url) is None
    with closing(open_store(url)) as store:
        store.take_lease("daemon", "here:1", datetime.now(UTC), HOUR)
    assert leader(url) == "here:1"
