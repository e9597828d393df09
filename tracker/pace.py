"""The pace of a host, kept in a file so that every process of this user on this machine keeps it together.

pyrate-limiter does the arithmetic (GCRA); its own shared stores need Redis, PostgreSQL or one parent process,
so the state is kept here: one row a host in a small SQLite file, whose write lock is the lock between
processes. Imported on the first paced request only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from pyrate_limiter import Rate
from pyrate_limiter.abstracts.algorithm import Decision, State, StateAlgorithm
from pyrate_limiter.abstracts.store import StateStore

BUSY_S = 10.0

_TABLE = (
    "CREATE TABLE IF NOT EXISTS pace (host TEXT PRIMARY KEY, free_at_us INTEGER, interval_ms INTEGER) STRICT"
)
_READ = "SELECT free_at_us, interval_ms FROM pace WHERE host = ?"
_WRITE = "INSERT OR REPLACE INTO pace VALUES (?, ?, ?)"


class FileStore(StateStore):
    """When one host may be asked next, by the wall clock. Raises sqlite3.Error when the file cannot be used.

    Of two processes with different paces for a host, the slower pace counts for both. A time much further
    ahead than the pace (``now`` may be as old as the wait for the file) was written before the clock was set
    back and is forgotten.
    """

    def __init__(self, path: Path, host: str) -> None:
        self._path, self._host = path, host

    def check(self, algorithm: StateAlgorithm, rates: list[Rate], now: int, weight: int) -> Decision:
        """Take the next start if it has come; ``now`` in milliseconds."""
        with closing(self._open()) as file:
            file.execute("BEGIN IMMEDIATE")
            free_at, interval = self._state(file, rates, now)
            state, decision = algorithm.step(rates, (free_at,), now, weight)
            if decision.allowed:
                file.execute(_WRITE, (self._host, state[0], interval))
            file.execute("COMMIT")
        return decision

    def read(self, algorithm: StateAlgorithm, rates: list[Rate]) -> State:
        with closing(self._open()) as file:
            row = file.execute(_READ, (self._host,)).fetchone()
        return algorithm.initial(rates) if row is None else (row[0],)

    def reset(self) -> None:
        with closing(self._open()) as file:
            file.execute("DELETE FROM pace WHERE host = ?", (self._host,))

    def _open(self) -> sqlite3.Connection:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise sqlite3.OperationalError(error.strerror or str(error)) from error
        file = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None)
        try:
            file.execute("PRAGMA synchronous = OFF")  # losing it costs one pause
            file.execute(_TABLE)
        except BaseException:
            file.close()
            raise
        return file

    def _state(self, file: sqlite3.Connection, rates: Sequence[Rate], now: int) -> tuple[int, int]:
        """When the host is free by the slower of the paces (microseconds), and that pace (milliseconds)."""
        mine = int(rates[0].interval)
        row = file.execute(_READ, (self._host,)).fetchone()
        if row is None:
            return 0, mine
        free_at, theirs = row
        pace = max(mine, theirs)
        free_at += (pace - theirs) * 1000
        latest = now + pace + int(2000 * BUSY_S)
        return (free_at, pace) if free_at <= latest * 1000 else (0, pace)
