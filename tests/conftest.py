"""How Hypothesis runs: never against the clock; where everything is required (as in CI) always on the same cases.
And no test leaves another how loudly the program speaks."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("searching", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", settings.get_profile("searching"), derandomize=True, print_blob=True)
settings.load_profile("repeatable" if os.environ.get("SPEEDUP_REQUIRE_ALL") else "searching")

SPEAKING = tuple(logging.getLogger(name) for name in ("tracker", "apscheduler"))


@pytest.fixture(autouse=True)
def _as_loud_as_before() -> Iterator[None]:
    """A command that ran in this process has set up the log for itself."""
    levels = [(logger, logger.level) for logger in SPEAKING]
    yield
    for logger, level in levels:
        logger.setLevel(level)
    logging.captureWarnings(capture=False)
