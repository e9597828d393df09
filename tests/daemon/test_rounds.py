"""The jobs that look again: histories after a pause, the trend, the links; and the times the settings give."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from questions.catalogue import Place, load_catalogue
from questions.model import Link
from questions.problems import CatalogueFile
from questions.records import Measurement, SeriesVersion
from storage import open_store
from storage.memory import MemoryStore
from storage.records import Batch, Run, RunState, SourceHealth
from tests.sources.answers import link
from tests.sources.worlds import FOLLOWED, World
from tests.storage.samples import payload
from tests.tracker.fakes import START, Clock, FairSource, FakeNet, link as followed
from tracker.cli import main
from tracker.commands.run import every_job
from tracker.commands.session import Session
from tracker.commands.status import JOB_ADVICE
from tracker.config import JobSettings, Settings
from tracker.daemon.asking import Unasked
from tracker.daemon.rounds import links_job, timed, trend_job
from tracker.daemon.state import job_rows
from tracker.errors import ConfigError
from tracker.jobs import history_job
from tracker.schedule import Every, LocalTime, Shifted, jitter
from tracker.source import Plan
from tracker.sources import SOURCES
from tracker.work import Done, Job, due, execute

ROOT = Path(__file__).parents[2]
DAY, WEEK = timedelta(days=1), timedelta(days=7)


def job(name: str) -> Job:
    return Job(name, Every(name, DAY), lambda *_: Done(RunState.DONE), name)


def every(tmp_path: Path, toml: str = "") -> Mapping[str, Job]:
    config = tmp_path / "config.toml"
    config.write_text(toml)
    session = Session(f"sqlite:///{tmp_path / 'db.sqlite'}", config, as_json=False)
    asked = Unasked()
    return {job.name: job for job in every_job(session, asked, asked, asked, threading.Event())}


def test_every_job_of_the_daemon_is_there_and_platforms_with_a_past_are_asked_for_it(tmp_path: Path) -> None:
    jobs = every(tmp_path)
    assert {"resolve", "trend", "links", "check", "backup", "poll:curated"} <= jobs.keys()
    past = {name.removeprefix("past:") for name in jobs if name.startswith("past:")}
    assert past == {"manifold", "metaculus", "polymarket", "kalshi"}
    assert len(jobs) == len(set(jobs))
    for name in past:
        assert jobs[f"past:{name}"].lanes == jobs[f"poll:{name}"].lanes, "never both at once"
        assert jobs["links"].lanes >= jobs[f"poll:{name}"].lanes


def test_the_settings_file_moves_and_stops_jobs(tmp_path: Path) -> None:
    jobs = every(
        tmp_path,
        """
        [jobs.links]
        at = "sun 05:00 Europe/Berlin"
        limit_minutes = 30
        [jobs.trend]
        every_hours = 6
        [jobs."past:kalshi"]
        off = true
        """,
    )
    assert jobs["links"].slots == LocalTime.parse("sun 05:00 Europe/Berlin")
    assert jobs["links"].limit == timedelta(minutes=30)
    assert jobs["trend"].slots == Every("trend", timedelta(hours=6))
    assert "past:kalshi" not in jobs


@pytest.mark.parametrize(
    ("name", "given_", "word"),
    [
        ("nothing", JobSettings(off=True), "no such job; there are: a, poll:b"),
        ("poll:b", JobSettings(at="07:00"), "poll_hours"),
        ("poll:b", JobSettings(every_hours=1), "poll_hours"),
    ],
)
def test_a_job_nobody_has_and_a_poll_with_times_of_its_own_are_refused(
    name: str, given_: JobSettings, word: str
) -> None:
    with pytest.raises(ConfigError, match=word):
        timed([job("a"), job("poll:b")], {name: given_})


@settings(max_examples=30, deadline=None)
@given(
    now=st.datetimes(datetime(2024, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    minutes=st.integers(1, 24 * 60),
    name=st.text(min_size=1, max_size=8),
)
def test_jitter_moves_a_slot_by_no_more_than_it_may_and_every_slot_alike(
    now: datetime, minutes: int, name: str
) -> None:
    plain = LocalTime.parse("sun 02:30 Europe/Berlin")
    most = timedelta(minutes=minutes)
    moved = Shifted(plain, jitter(name, most))
    later = moved.after(now)
    assert moved.at(now) <= now < later
    assert timedelta(0) <= moved.by <= most
    assert later - moved.by == plain.at(later - moved.by)
    assert moved.at(later) == later


def growing(doubling_days: int, at: datetime, sha256: str) -> SeriesVersion:
    """Five systems a hundred days apart whose horizon doubles exactly every so many days."""
    points = tuple(
        Measurement(
            "metr_th11", f"system{n}", "p50", date(2023, 2, 1) + n * timedelta(days=100),
            8.0 * 2.0 ** (n * 100 / doubling_days), "minutes", is_sota=True,
        )
        for n in range(5)
    )  # fmt: skip
    return SeriesVersion("metr_th11", sha256, at, points)


def test_the_trend_says_what_it_is_now_and_what_it_was_before_a_revision() -> None:
    store = MemoryStore()
    assert "nothing to fit" in trend_job().run(store, START).message
    first, second = payload(b"1"), payload(b"2", at=1)
    for raw in (first, second):
        store.put_raw(raw)
    store.append(Batch(versions=(growing(200, START, first.sha256),)))
    done = trend_job().run(store, START)
    assert done.state is RunState.DONE
    assert "doubles in 200 days" in done.message
    assert "5 models" in done.message
    assert "revision" not in done.message
    store.append(Batch(versions=(growing(150, START + DAY, second.sha256),)))
    said = trend_job().run(store, START).message
    assert "doubles in 150 days" in said
    assert said.endswith("before the revision 200 days")


def link_check(world: World, *down: str) -> Job:
    """The check over two platforms, of which ``world`` plays one; the others are down for now."""
    names = ("manifold", "kalshi")
    mine = tuple(link(platform, one) for name in names for platform, one in FOLLOWED[name])
    file = CatalogueFile("mine.toml", "", {})
    places = {one.key: Place(file, ("link", n)) for n, one in enumerate(mine)}
    catalogue = replace(load_catalogue(), links=mine, link_places=places)
    for name in down:
        world.store.set_health(SourceHealth(name, "failed", world.now, None, failures=3, message="down"))
    return links_job(
        {name: SOURCES[name] for name in names}, catalogue, world.settings,
        client=world.client, now=lambda: world.now, stop=threading.Event(),
    )  # fmt: skip


def test_links_are_looked_at_without_the_sources_that_are_left_alone() -> None:
    with World("manifold") as world:
        done = link_check(world, "kalshi").run(world.store, world.now)
    assert done.state is RunState.PARTIAL
    assert "2 questions" in done.message
    assert "1 not fetched" in done.message
    assert {key.source for key in world.store.streams()} == {"manifold"}


def test_links_that_nobody_could_be_asked_about_are_looked_at_again_soon() -> None:
    with World("manifold") as world:
        done = link_check(world, "kalshi", "manifold").run(world.store, world.now)
    assert done.state is RunState.FAILED
    assert "2 not fetched" in done.message


@dataclass(frozen=True)
class Asked(FairSource):
    """Writes down since when it is asked for the past."""

    since: list[datetime | None] = field(default_factory=list)

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        self.since.append(since)
        return super().plan(links, now, since)


def test_a_past_is_asked_for_from_the_last_such_look_on_however_long_the_pause() -> None:
    source, store, now = Asked(), MemoryStore(), Clock()
    catalogue = replace(load_catalogue(), links=(followed("a"),))
    net = FakeNet({"now": b'{"a": 0.3}', "history": b'{"a": 0.4}'})
    past = history_job(source, catalogue, client=net, settings=Settings(), now=now)

    def look() -> datetime:
        (slot,) = due(past, store, now())
        done = execute(past, slot, store, now)
        assert done is not None
        assert done.state is RunState.DONE
        return slot

    look()
    assert net.asked == [], "the first poll asks for everything anyway"
    store.end_run(Run("poll:fair", now(), RunState.DONE, now(), now()))
    now.forward(days=7)
    first = look()
    assert source.since[-1] == first - 2 * WEEK + 6 * DAY, "the look before asked nobody, and a day more"
    now.forward(days=70)
    second = look()
    assert source.since[-1] == first - DAY
    assert second - first == 10 * WEEK
    assert due(past, store, now()) == ()


# what is told ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("runs", "held", "state"),
    [([], DAY, "idle"), ([], -DAY, "never"), ([2], DAY, "done"), ([2], -DAY, "late")],
)
def test_a_job_that_waits_for_work_is_not_late(runs: list[int], held: timedelta, state: str) -> None:
    one, store = replace(job("a"), held=lambda _: START + held), MemoryStore()
    for ago in runs:
        slot = one.slots.at(START) - ago * DAY
        store.end_run(Run("a", slot, RunState.DONE, slot, slot))
    (row,) = job_rows([one], store, START)
    assert row["state"] == state
    assert state in JOB_ADVICE


@pytest.mark.parametrize(
    ("runs", "state"),
    [
        ([], "never"),
        ([(0, RunState.DONE)], "done"),
        ([(1, RunState.DONE)], "done"),
        ([(2, RunState.DONE)], "late"),
        ([(1, RunState.DONE), (0, RunState.FAILED)], "failed"),
        ([(5, RunState.DONE), (4, RunState.SKIPPED)], "skipped"),
    ],
)
def test_a_job_is_late_when_a_whole_slot_went_by_without_a_run(
    runs: list[tuple[int, RunState]], state: str
) -> None:
    """``runs``: how many slots ago, and how each ended."""
    one, store = job("a"), MemoryStore()
    present = one.slots.at(START)
    for ago, ended in runs:
        slot = present - ago * DAY
        store.end_run(Run("a", slot, ended, slot, slot))
    (row,) = job_rows([one], store, START)
    assert row["state"] == state
    good = [ago for ago, ended in runs if ended is RunState.DONE]
    assert row["age_s"] == ((START - (present - min(good) * DAY)).total_seconds() if good else None)
    assert row["next_due"] == present + DAY
    assert state in JOB_ADVICE


def test_status_tells_every_job_and_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = f"sqlite:///{tmp_path / 'db.sqlite'}"
    store = open_store(database)
    at = datetime.now(UTC)
    store.end_run(Run("backup", LocalTime.parse("03:30 UTC").at(at), RunState.FAILED, at, at, "no room"))
    store.close()
    with pytest.raises(SystemExit) as ended:
        main(["status", "--db", database, "--json"])
    assert ended.value.code == 0
    told = {row["job"]: row for row in json.loads(capsys.readouterr().out)["jobs"]}
    assert {"backup", "check", "links", "resolve", "trend", "past:manifold"} <= told.keys()
    assert (told["backup"]["state"], told["backup"]["message"]) == ("failed", "no room")
    assert "speedup run --once --only backup" in told["backup"]["do"]
    assert "speedup run" in told["trend"]["do"]
    with pytest.raises(SystemExit):
        main(["status", "--db", database])
    shown = " ".join(capsys.readouterr().out.split())
    assert "no room" in shown


def test_the_daemon_starts_without_what_takes_long_to_load() -> None:
    program = (
        "import sys, threading; from tracker.commands.run import every_job, _stay;"
        "from tracker.commands.session import Session; from tracker.daemon.asking import Unasked;"
        "import tracker.daemon.service, tracker.daemon.web, tracker.daemon.ping;"
        "every_job(Session('sqlite://', None, False), Unasked(), Unasked(), Unasked(), threading.Event());"
        "heavy = {'pandas', 'matplotlib', 'scipy', 'numpy', 'pyarrow', 'rich', 'pygments', 'apscheduler', 'jinja2'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
    )  # fmt: skip
    assert ended.stdout.strip() == "[]"
