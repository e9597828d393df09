"""``speedup run`` as a process: started, asked, ended by a signal, started twice."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage import open_store
from storage.records import Run, RunState
from tests.daemon.running import CANARY, Metr, Running


@pytest.fixture
def metr() -> Iterator[Metr]:
    made = Metr()
    with made.server:
        yield made
        made.hold.set()


@pytest.fixture
def start(tmp_path: Path, metr: Metr) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def make(*arguments: str, **more: str) -> Running:
        started.append(Running(tmp_path, metr.server.url, *arguments, **more))
        return started[-1]

    yield make
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait(10)


def test_a_daemon_polls_answers_and_ends_cleanly_and_another_takes_over(
    start: Callable[..., Running], metr: Metr
) -> None:
    first = start()
    first.until(lambda: [run.state for run in _runs(first)] == [RunState.DONE])
    assert first.ask("/readyz") == (200, "ready\n")
    told = json.loads(first.ask("/status.json")[1])
    assert (told["leading"], told["ready"], told["sources"][0]["state"]) == (True, True, "ok")
    second = start()
    second.until(lambda: second.ask("/readyz")[0] == 200)
    assert "speedup_leader 0" in second.ask("/metrics")[1]
    assert first.end() < 15
    assert first.process.returncode == 0
    second.until(lambda: "speedup_leader 1" in second.ask("/metrics")[1])
    assert second.end(signal.SIGINT) < 15
    assert second.process.returncode == 0
    assert len(first.runs()) <= 2, "a slot runs once, whoever leads"
    assert metr.pinged[:1] == ["start"]
    assert f"{CANARY}-ping" in metr.pinged
    for path in first.folder.rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path
    for line in first.log.read_text().splitlines():
        assert set(json.loads(line)) == {"at", "level", "logger", "message"}


def _runs(one: Running) -> list[Run]:
    return one.runs() if (one.folder / "db.sqlite").exists() else []


def test_told_to_end_in_the_middle_of_a_request_it_ends_in_time_and_the_slot_is_done_next_time(
    start: Callable[..., Running], metr: Metr
) -> None:
    metr.hold.clear()
    first = start()
    assert metr.asked.wait(60)
    assert first.end() < 15
    assert first.process.returncode == 0
    metr.hold.set()
    second = start()
    second.until(lambda: RunState.DONE in [run.state for run in second.runs()])
    assert second.end() < 15
    store = open_store(second.database)
    assert store.measurements("metr_th11")
    assert store.check() == []
    store.close()


@pytest.mark.parametrize(
    ("more", "code", "word"),
    [
        ({"SPEEDUP_HTTP_BIND": "0.0.0.0:80"}, 2, "SPEEDUP_HTTP_BIND"),
        ({"SPEEDUP_LOG_FORMAT": "xml"}, 2, "SPEEDUP_LOG_FORMAT"),
        ({"SPEEDUP_PING_URL": "http://elsewhere.example/x"}, 2, "SPEEDUP_PING_URL"),
    ],
)
def test_wrong_settings_are_named_before_anything_starts(
    start: Callable[..., Running], more: dict[str, str], code: int, word: str
) -> None:
    daemon = start(**more)
    assert daemon.process.wait(60) == code
    assert word in daemon.log.read_text()
    assert not (daemon.folder / "db.sqlite").exists()
