"""A daemon as a process of its own, with its log and its pages, and a platform it asks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from storage import open_store
from storage.records import Run
from tests.ports import free_port
from tests.servers.local import Answer, LocalServer, Seen, reply
from tests.sources.worlds import BODIES

ROOT = Path(__file__).parents[2]
CANARY = "canary-0123456789"


class Running:
    """A daemon of our own, its log and its pages."""

    def __init__(
        self,
        folder: Path,
        server: str,
        *arguments: str,
        toml: str = "",
        database: Path | None = None,
        **more: str,
    ) -> None:
        self.port = free_port()
        config = folder / "config.toml"
        config.write_text(f"{toml}\n[daemon]\ntick_s = 0.1\nlease_s = 2\n")
        self.folder = folder
        self.database = f"sqlite:///{database or folder / 'db.sqlite'}"
        self.log = folder / f"log-{self.port}.txt"
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "SPEEDUP_METR_URL": server,
            "SPEEDUP_METACULUS_TOKEN": CANARY,
            "SPEEDUP_PING_URL": f"{server}/{CANARY}-ping",
            "SPEEDUP_HTTP_BIND": f"127.0.0.1:{self.port}",
            "SPEEDUP_LOG_FORMAT": "json",
            **more,
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "tracker", "run", "--only", "metr", "--config", str(config),
                    "--db", self.database, *arguments,
                ],
                cwd=ROOT, env=environ, stdout=log, stderr=log,
            )  # fmt: skip

    def ask(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def until(self, true: Callable[[], object], seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)

    def end(self, number: int = signal.SIGTERM) -> float:
        """Send a signal and wait; returns how long it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(30)
        return time.monotonic() - began

    def runs(self) -> list[Run]:
        store = open_store(self.database)
        try:
            return store.runs("poll:metr")
        finally:
            store.close()


class Metr:
    """METR's files; ``hold`` keeps every answer back until it is set. ``changing``: no two answers are the same."""

    def __init__(self, *, changing: bool = False) -> None:
        self.changing, self.answers = changing, 0
        self.server, self.hold, self.asked, self.pinged = (
            LocalServer(),
            threading.Event(),
            threading.Event(),
            [],
        )
        self.hold.set()
        self.server.route_others(self.answer)

    def answer(self, seen: Seen) -> Answer:
        if CANARY in seen.path:
            self.pinged.append(seen.path.rpartition("/")[2])
            return reply(200, b"OK")
        self.asked.set()
        self.hold.wait(40)
        body = BODIES["metr"].get(seen.path, b"")
        if self.changing:
            self.answers += 1
            body += f"# {self.answers}\n".encode()
        return reply(200, body)
