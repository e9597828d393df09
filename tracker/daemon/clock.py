"""Time for deciding what is due: never back, whatever happens to the wall clock."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

log = logging.getLogger(__name__)

SLACK = timedelta(seconds=5)


def wall_clock() -> datetime:
    return datetime.now(UTC)


class SteadyClock:
    """The wall clock while it runs forwards; when it is set back, time goes on by the monotonic clock.

    So a clock put back by an hour stops no poll for that hour, and no slot comes twice. ``floor``: the latest time
    this database was ever worked on. A step ahead is followed at once (a suspended laptop looks the same);
    one back of at most ``SLACK`` is waited out, so the result lags by no more.
    ``suspect`` tells that the wall clock is behind; ``steps`` counts its steps. Any number of threads.
    """

    def __init__(
        self,
        floor: datetime | None = None,
        *,
        wall: Callable[[], datetime] = wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.wall, self._monotonic = wall, monotonic
        self._lock = threading.Lock()
        self._last, self._last_at = wall(), monotonic()
        self.suspect = False
        self.steps = {"forward": 0, "back": 0}
        if floor is not None and floor - self._last > SLACK:
            self._suspect(f"the clock stands at {self._last}, but work was done at {floor}")
            self._last = floor

    def __call__(self) -> datetime:
        with self._lock:
            monotonic, wall = self._monotonic(), self.wall()
            steady = self._last + timedelta(seconds=monotonic - self._last_at)
            self._last_at = monotonic
            if steady - wall > SLACK:
                if not self.suspect:
                    self._suspect(f"the clock went back by {steady - wall}")
                self._last = steady
            else:
                self._trust(wall - steady)
                self._last = max(self._last, wall)
            return self._last

    def _trust(self, ahead: timedelta) -> None:
        if ahead > SLACK:
            self.steps["forward"] += 1
            log.warning("the clock went ahead by %s", ahead)
        if self.suspect:
            log.warning("the clock is right again")
        self.suspect = False

    def _suspect(self, what: str) -> None:
        self.suspect = True
        self.steps["back"] += 1
        log.warning("%s: what is due goes by the monotonic clock from there", what)
