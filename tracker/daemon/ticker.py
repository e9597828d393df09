"""APScheduler as the daemon uses it: in memory, one thread, any end of it quiet."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from apscheduler.jobstores.base import JobLookupError
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import STATE_STOPPED


class Ticker(BackgroundScheduler):  # type: ignore[misc]  # the library has no types
    """A scheduler that may be shut down while it takes a one-shot job off its list.

    APScheduler 3.11 starts such a job, then removes it; shut down in between it no longer finds it, and its thread
    ends with a traceback although nothing is wrong.
    """

    def __init__(self) -> None:
        super().__init__(
            jobstores={"default": MemoryJobStore()},
            timezone=UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def _process_jobs(self) -> Any:
        try:
            return super()._process_jobs()
        except JobLookupError:
            if self.state != STATE_STOPPED:
                raise
            return None
