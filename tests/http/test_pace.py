"""The pace of a host, kept by several processes together through a file."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from pyrate_limiter import Rate
from pyrate_limiter.abstracts.algorithm import GCRA

from tests.http.conftest import FakeTime
from tracker.http import HostLimits
from tracker.pace import FileStore

WORKER = """
import sys, time
from pathlib import Path
from tracker.http import HostLimits
booked = []
def clock():
    booked.append(time.time())
    return booked[-1]
limits = HostLimits(shared=Path(sys.argv[1]), clock=clock)
for _ in range(5):
    with limits.slot("a.example", 0.1):
        print(booked[-1], flush=True)
"""


def asker(time: FakeTime, file: Path) -> HostLimits:
    return HostLimits(clock=time.clock, sleep=time.sleep, shared=file)


def test_two_processes_keep_the_pace_of_a_host_together(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORKER, str(tmp_path / "pace.sqlite")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    starts = sorted(
        float(line) for process in processes for line in process.communicate(timeout=60)[0].split()
    )
    assert len(starts) == 10
    assert min(later - earlier for earlier, later in pairwise(starts)) >= 0.1


def test_a_process_that_comes_later_waits_for_what_the_first_has_used(
    fake_time: FakeTime, tmp_path: Path
) -> None:
    file = tmp_path / "deep" / "pace.sqlite"
    starts = []
    for limits in (asker(fake_time, file), asker(fake_time, file), asker(fake_time, file)):
        with limits.slot("a.example", 4.0):
            starts.append(fake_time.now)
    with asker(fake_time, file).slot("b.example", 4.0):
        starts.append(fake_time.now)
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert gaps[:2] == pytest.approx([4.0, 4.0], abs=0.01)
    assert all(gap >= 4.0 for gap in gaps[:2])
    assert gaps[2] == 0.0


def test_the_slower_pace_counts_for_all(fake_time: FakeTime, tmp_path: Path) -> None:
    starts = []
    for pace_s in (1.0, 5.0, 1.0):
        with asker(fake_time, tmp_path / "pace.sqlite").slot("a.example", pace_s):
            starts.append(fake_time.now)
    assert all(later - earlier >= 5.0 for earlier, later in pairwise(starts))


def test_a_process_that_waited_for_the_file_does_not_take_a_newer_start_for_one_of_another_clock(
    tmp_path: Path,
) -> None:
    rate = [Rate(1, 100)]
    first, second = (FileStore(tmp_path / "pace.sqlite", "a.example") for _ in range(2))
    assert first.check(GCRA(), rate, 1_050, 1).allowed
    assert not second.check(GCRA(), rate, 1_000, 1).allowed  # it looked at its clock before


def test_a_clock_that_was_set_back_does_not_make_anyone_wait_for_years(
    fake_time: FakeTime, tmp_path: Path
) -> None:
    fake_time.now += 1e8
    with asker(fake_time, tmp_path / "pace.sqlite").slot("a.example", 4.0):
        pass
    fake_time.now -= 9e7
    with asker(fake_time, tmp_path / "pace.sqlite").slot("a.example", 4.0):
        pass
    assert fake_time.slept == []


def test_a_file_that_cannot_be_used_is_said_and_the_process_keeps_its_own_pace(
    fake_time: FakeTime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    limits = asker(fake_time, blocked / "pace.sqlite")
    starts = []
    for _ in range(3):
        with limits.slot("a.example", 4.0):
            starts.append(fake_time.now)
    assert all(later - earlier >= 4.0 for earlier, later in pairwise(starts))
    assert len([record for record in caplog.records if "keeps its own pace" in record.message]) == 1


def test_a_file_that_is_no_database_is_left_alone_and_no_obstacle(
    fake_time: FakeTime, tmp_path: Path
) -> None:
    broken = tmp_path / "pace.sqlite"
    broken.write_bytes(b"no database" * 100)
    limits, starts = asker(fake_time, broken), []
    for _ in range(2):
        with limits.slot("a.example", 4.0):
            starts.append(fake_time.now)
    assert starts[1] - starts[0] >= 4.0
    assert broken.read_bytes() == b"no database" * 100
