"""Backups: which are kept, and that each can be restored."""

from __future__ import annotations

import shutil
import threading
from collections import namedtuple
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from questions.catalogue import load_catalogue
from questions.records import ForecasterKind, Quantity, SeriesVersion, Snapshot, StreamKey
from storage import open_store, restore
from storage.errors import StorageError
from storage.memory import MemoryStore
from storage.records import Batch, Grain, RunState
from tests.estimates.published import metr_points
from tests.storage.samples import payload, poll
from tests.tracker.fakes import START
from tracker.config import DaemonSettings, Settings
from tracker.daemon.chores import (
    STAMP,
    backup,
    chores,
    compare_job,
    estimates_job,
    kept,
    resolve_job,
    rotate,
)
from tracker.errors import ConfigError, Stopped
from tracker.history import change_between, latest_week, stored_weeks
from tracker.orderings import ModelOptions
from tracker.week import read_week
from tracker.work import Done

DAY = timedelta(days=1)
CATALOGUE = load_catalogue()


def path_of(moment: datetime) -> Path:
    return Path(f"speedup-{moment.strftime(STAMP)}.sqlite")


@given(
    hours=st.sets(st.integers(0, 24 * 200), min_size=1, max_size=40),
    daily=st.integers(1, 10),
    weekly=st.integers(0, 8),
)
def test_kept_are_the_newest_and_one_of_each_week(hours: set[int], daily: int, weekly: int) -> None:
    stamps = {path_of(START + timedelta(hours=n)): START + timedelta(hours=n) for n in hours}
    stay = kept(stamps, daily, weekly)
    newest = sorted(stamps, key=lambda path: stamps[path])[-daily:]
    assert set(newest) <= stay
    assert len(stay) <= daily + weekly
    weeks = sorted({stamps[path].isocalendar()[:2] for path in stamps})
    for week in weeks[len(weeks) - min(weekly, len(weeks)) :]:
        last = max(
            (path for path in stamps if stamps[path].isocalendar()[:2] == week), key=lambda p: stamps[p]
        )
        assert last in stay


def test_a_year_of_days_leaves_seven_days_and_four_weeks_and_foreign_files_alone(tmp_path: Path) -> None:
    foreign = [
        tmp_path / name for name in ("speedup-old.sqlite", "notes.txt", "speedup-20260101T000000Z.sqlite.bak")
    ]
    for path in foreign:
        path.write_text("mine")
    for day in range(365):
        (tmp_path / path_of(START + day * DAY)).write_text("copy")
        rotate(tmp_path, 7, 4)
    left = [path for path in tmp_path.iterdir() if path not in foreign]
    assert all(path.exists() for path in foreign)
    assert 7 + 2 <= len(left) <= 7 + 4


def test_a_backup_can_be_restored_and_is_made_once_for_its_slot(tmp_path: Path) -> None:
    database, folder = tmp_path / "db.sqlite", tmp_path / "copies"
    store = open_store(f"sqlite:///{database}")
    store.put_raw(payload(b"kept"))
    store.append(Batch(snapshots=(poll(1),)))
    done = backup(store, START, database, folder, DaemonSettings())
    assert done.state is RunState.DONE
    (copy,) = folder.iterdir()
    before = copy.stat().st_mtime_ns
    assert backup(store, START, database, folder, DaemonSettings()).state is RunState.DONE
    assert copy.stat().st_mtime_ns == before
    counts = store.counts()
    store.close()
    assert restore(copy, f"sqlite:///{tmp_path / 'again.sqlite'}") == counts


def test_without_room_for_a_copy_none_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = tmp_path / "db.sqlite"
    store = open_store(f"sqlite:///{database}")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1))
    done = backup(store, START, database, tmp_path / "copies", DaemonSettings())
    assert done.state is RunState.FAILED
    assert "needed" in done.message
    assert list((tmp_path / "copies").iterdir()) == []
    store.close()


def test_a_copy_that_cannot_be_written_is_the_jobs_failure(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    database = tmp_path / "db.sqlite"
    store = open_store(f"sqlite:///{database}")
    assert backup(store, START, database, blocked / "copies", DaemonSettings()).state is RunState.FAILED
    store.close()


class Damaged(MemoryStore):
    def check(self) -> list[str]:
        return ["payload x does not hash to its address"]

    def backup(self, target: Path) -> dict[str, int]:
        raise StorageError("no")


def test_damage_is_told_once_a_week_and_elsewhere_than_sqlite_there_is_no_backup_job() -> None:
    check, months = chores(Settings(), None)
    assert months.run(MemoryStore(), START) == Done(RunState.DONE)
    assert check.run(MemoryStore(), START).state is RunState.DONE
    done = check.run(Damaged(), START)
    assert (done.state, "does not hash" in done.message) == (RunState.PARTIAL, True)
    assert [job.name for job in chores(Settings(), Path("x.sqlite"))] == ["check", "backup"]
    assert chores(Settings(), None)[0].slots.at(START).astimezone(UTC).weekday() == 6


@pytest.mark.parametrize(
    ("section", "word"),
    [
        ({"backup_at": "noon"}, "backup_at"),
        ({"tick_s": 15, "lease_s": 20}, "twice"),
        ({"workers": 0}, "workers"),
        ({"unknown": 1}, "unknown"),
        ({"raw_days": 7}, "raw_days"),
        ({"thin_days": 60}, "thin_days"),
        ({"letter_days": 7}, "letter_days"),
    ],
)
def test_a_wrong_clockwork_is_refused_by_name(tmp_path: Path, section: dict[str, object], word: str) -> None:
    from tracker.config import load_settings

    toml = tmp_path / "c.toml"
    lines = "\n".join(f"{name} = {value!r}" for name, value in section.items())
    toml.write_text(f"[daemon]\n{lines}\n")
    with pytest.raises(ConfigError, match=word):
        load_settings(config=toml, dotenv=tmp_path / "none", environ={})


@pytest.mark.parametrize("bind", ["0.0.0.0:80", "example.org:80", "127.0.0.1", "127.0.0.1:99999", ":8321"])
def test_only_loopback_is_bound(tmp_path: Path, bind: str) -> None:
    from tracker.config import load_settings

    with pytest.raises(ConfigError, match="SPEEDUP_HTTP_BIND"):
        load_settings(dotenv=tmp_path / "none", environ={"SPEEDUP_HTTP_BIND": bind})
    settings = load_settings(dotenv=tmp_path / "none", environ={"SPEEDUP_HTTP_BIND": "off"})
    assert settings.http_bind == ""


def test_resolving_stores_each_receipt_once() -> None:
    catalogue = load_catalogue()
    job = resolve_job(dict(list(catalogue.questions.items())[:8]), lambda: START)
    store = MemoryStore()
    first = job.run(store, START)
    known = len(store.receipts())
    assert (first.state, known) == (RunState.DONE, int(first.message.split()[0]))
    assert known >= 8
    assert job.run(store, START).message == "0 new receipts, 0 batteries read anew"
    assert len(store.receipts()) == known


def stocked(*, polls: int) -> MemoryStore:
    """METR's series and a value on one linked question, seen once a day from START on."""
    store = MemoryStore()
    points = tuple(metr_points("2026-05-08"))
    store.append(Batch(versions=(SeriesVersion("metr_th11", "0" * 64, START, points),)))
    link = next(
        link for link in CATALOGUE.links if len(link.areas) == 1 and link.by and link.by > START + 400 * DAY
    )
    for day in range(polls):
        at = START + day * DAY
        key = StreamKey(
            link.platform, link.platform, link.external_id, link.outcome, Quantity.FORECASTER_MEDIAN
        )
        store.append(Batch(snapshots=(Snapshot(key, at, at, probability=0.2 + 0.01 * day),)))
    return store


def test_weeks_that_were_missed_are_made_up_for_as_known_then_and_none_is_made_twice() -> None:
    now, stop = START + 24 * DAY, threading.Event()
    store = stocked(polls=24)
    job = compare_job(CATALOGUE, lambda: now, stop)
    slot = job.slots.at(now)
    assert (slot.weekday(), slot.time()) == (0, time())
    stop.set()
    with pytest.raises(Stopped):
        job.run(store, slot)
    stop.clear()
    assert job.run(store, slot).message == "4 new weeks"
    assert job.run(store, slot).message == "0 new weeks"
    weeks = stored_weeks(store)
    assert [week.at for week in weeks] == [slot - back * 7 * DAY for back in (3, 2, 1, 0)]
    assert {(week.known_at, week.made_at) for week in weeks} == {(week.at, now) for week in weeks}
    assert all(week.voices["market"].ranking for week in weeks)
    assert weeks[-1].between("internal", "trend").tau_b is not None
    runs = {pair.weeks for pair in weeks[-1].between("internal", "trend").disagreements}
    assert runs == {4}  # METR's series stood all the time
    assert latest_week(store, now) == weeks[-1]
    assert latest_week(store, now - DAY) is None  # made later than that
    on_time = compare_job(CATALOGUE, lambda: slot, stop)
    fresh = stocked(polls=24)
    on_time.run(fresh, slot - 14 * DAY)
    assert [week.sha256 for week in stored_weeks(fresh)] == [week.sha256 for week in weeks[:2]]


def test_what_the_voices_and_the_model_say_is_kept_daily_where_it_is_new() -> None:
    store, now = stocked(polls=3), START + 2 * DAY
    job = estimates_job(CATALOGUE, lambda: now)
    first = job.run(store, now)
    assert first.message.startswith(
        "376 new forecasts"
    )  # two multiples, 45 pairs and two groups, four outcomes
    assert "orders kept" in first.message
    assert {one.kind for one in store.forecasts()} == {ForecasterKind.MODEL}
    again = estimates_job(CATALOGUE, lambda: now + DAY).run(store, now)
    assert again.message == "0 new forecasts of the model; the voices say what they said"
    (day,) = store.orderings(Grain.DAY)
    said = read_week(day).voices["market"]
    assert said.ranking
    assert estimates_job(CATALOGUE, lambda: now).run(MemoryStore(), now).message.endswith("what they said")


def test_what_changed_between_two_weeks_comes_with_its_causes() -> None:
    store, now = stocked(polls=15), START + 15 * DAY
    compare_job(CATALOGUE, lambda: now, threading.Event()).run(store, now)
    earlier, *_, later = stored_weeks(store)
    change = change_between(CATALOGUE, store, ModelOptions(), earlier, later)
    market = change.voices["market"]
    assert market.why is not None
    stream, *_ = market.why.causes
    assert stream.key.quantity is Quantity.FORECASTER_MEDIAN
    (area,) = stream.effect
    assert stream.effect[area] > 0  # the chance of the faster outcome rose
    assert not market.changed  # one area alone has no other rank
    assert change.voices["internal"].why is None
    assert (change.opened, change.closed) == ((), ())


def test_payloads_that_nothing_rests_on_go_only_when_asked_and_only_those_of_platforms() -> None:
    assert "retention" not in [job.name for job in chores(Settings(), Path("x.sqlite"))]
    asked = Settings(daemon=DaemonSettings(raw_days=30))
    jobs = {job.name: job for job in chores(asked, Path("x.sqlite"))}
    store = MemoryStore()
    for source in ("manifold", "imported"):
        for hour in range(4):
            store.put_raw(payload(f"{source} {hour}".encode(), hour, source=source))
    month = timedelta(days=30)
    first, last = (payload(b"", hour).fetched_at + month for hour in (1, 2))
    assert jobs["retention"].run(store, first).message.startswith("0 payloads")
    assert jobs["retention"].run(store, last + timedelta(seconds=1)).message.startswith("2 payloads")
    left = sorted(raw.body for raw in store.raw_payloads("manifold"))
    assert left == [b"manifold 0", b"manifold 3"]
    assert len(list(store.raw_payloads("imported"))) == 4


def test_values_and_letters_go_with_the_retention_only_when_asked() -> None:
    own = DaemonSettings(thin_days=120, letter_days=30)
    (job,) = [one for one in chores(Settings(daemon=own), Path("x.sqlite")) if one.name == "retention"]
    store = MemoryStore()
    store.append(Batch(snapshots=tuple(poll(hour / 2, hour / 20) for hour in range(1, 12))))
    early, late = (poll(0).as_of + timedelta(days=days) for days in (119, 125))
    assert job.run(store, early).message == "0 values of 0 streams let go; the bytes of 0 letters let go"
    assert job.run(store, late).message.startswith("9 values of 1 streams let go; the bytes")
    assert job.run(store, late).message.startswith("0 values")
