"""The quick part of what a daemon is put through; ``python -m tests.soak`` plays all of it, and longer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

from sqlalchemy import event

from storage import open_store
from storage.records import RunState
from storage.sql import SqlStore
from storage.store import Store
from tests.daemon.running import Metr, Running
from tests.soak.compressed import Compressed, Time
from tests.soak.outage import FAILURES_ALLOWED, START, outage
from tests.soak.platform import QUESTIONS, Counting, Platform, following
from tests.soak.scenes import _write_lock, stopped_leader
from tests.sources.answers import link
from tracker.config import Settings
from tracker.daemon.chores import poll_jobs
from tracker.http import HttpClient

UNBOUNDED = 1_073_741_823  # pages, SQLite's own default


def test_a_source_that_is_down_for_days_is_asked_seldom_recorded_as_a_gap_and_called_stale(
    tmp_path: Path,
) -> None:
    database = f"sqlite:///{tmp_path / 'down.sqlite'}"
    found = outage(database, step=timedelta(minutes=30), days=2, good=1, names=("manifold",))
    assert set(found.most_in_a_day) == {"manifold"}
    assert max(found.most_in_a_day.values()) <= FAILURES_ALLOWED
    assert (found.uncovered, found.fresh) == ([], [])
    assert found.back_h <= 7


def test_a_leader_that_is_stopped_loses_its_lead_once_and_writes_nothing_more(tmp_path: Path) -> None:
    outcome = stopped_leader(tmp_path)
    assert outcome.good, outcome.measured


def test_told_to_end_in_the_middle_of_a_write_it_writes_to_the_end(tmp_path: Path) -> None:
    metr = Metr()
    metr.hold.clear()
    with metr.server:
        daemon = Running(tmp_path, metr.server.url)
        try:
            assert metr.asked.wait(60)
            release = _write_lock(daemon)
            metr.hold.set()
            time.sleep(0.3)
            threading.Timer(1.0, release).start()
            assert daemon.end() < 15
            assert daemon.process.returncode == 0
        finally:
            metr.hold.set()
            if daemon.process.poll() is None:
                daemon.process.kill()
    assert [run.state for run in daemon.runs()] == [RunState.DONE]
    with closing(open_store(daemon.database)) as store:
        assert store.measurements("metr_th11")
        assert store.check() == []


class Disk:
    """A database that SQLite may not let grow while it is ``full``."""

    def __init__(self, url: str) -> None:
        self.url, self.full = url, False
        self._pages = 0

    def open(self) -> Store:
        store = open_store(self.url)
        assert isinstance(store, SqlStore)

        @event.listens_for(store._database.engine, "checkout")
        def limit(bare: object, *_: object) -> None:
            pages = 1 if self.full else UNBOUNDED  # SQLite makes of one: as many as there are
            bare.execute(f"PRAGMA max_page_count={pages}")  # type: ignore[attr-defined]

        return store


@contextmanager
def polling(disk: Disk) -> Iterator[tuple[Compressed, Platform]]:
    """A daemon in compressed time that polls a platform that never says the same twice, every hour."""
    platform, clock, stop = Platform(), Time(START), threading.Event()
    with platform.server as server, HttpClient(user_agent="test") as client:
        settings = Settings(metaculus_url=f"{server.url}/counting", metaculus_token="0" * 10)  # type: ignore[arg-type]
        jobs = poll_jobs(
            (Counting(),), following([link("counting", one) for one in QUESTIONS]), settings,
            client=client, probe=client, now=clock.wall, stop=stop,
        )  # fmt: skip
        life = Compressed(jobs, disk.open, clock, stop)
        yield life, platform
        life.close()


def test_a_database_that_may_not_grow_damages_nothing_says_so_and_goes_on_when_it_may(tmp_path: Path) -> None:
    """SQLite's own limit stands for a full disk here: the same error, at every place that needs a new page. The
    long part fills a real one."""
    disk = Disk(f"sqlite:///{tmp_path / 'small.sqlite'}")
    with polling(disk) as (life, platform):
        life.until(START + timedelta(hours=10))
        disk.full = True
        life.until(START + timedelta(hours=40))
        with closing(open_store(disk.url)) as store:
            said = {run.message for run in store.runs("poll:counting") if run.state is RunState.FAILED}
        assert any("full" in message for message in said) or "full" in "".join(life.daemon.troubles())
        disk.full = False
        life.until(START + timedelta(hours=60))
        assert life.daemon.troubles() == []
        given = len(platform.answered)
    with closing(open_store(disk.url)) as store:
        runs = {run.slot: run.state for run in store.runs("poll:counting")}
        assert store.check() == []
        assert runs[max(runs)] is RunState.DONE
        for key in store.streams("counting"):
            rows = store.revisions(key)
            assert len({row.snapshot.probability for row in rows}) == len(rows) <= given
        moments = [{row.snapshot.as_of for row in store.revisions(key)} for key in store.streams("counting")]
        assert all(one == moments[0] for one in moments), "an answer is stored for all questions or for none"
        assert len(store.streams("counting")) == len(QUESTIONS)
