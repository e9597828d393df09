"""How Hypothesis runs: never against the clock; where everything is required (as in CI) always on the same cases."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile("searching", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", settings.get_profile("searching"), derandomize=True, print_blob=True)
settings.load_profile("repeatable" if os.environ.get("SPEEDUP_REQUIRE_ALL") else "searching")
