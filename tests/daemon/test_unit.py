"""The systemd unit, by systemd's own tool where there is one; and what it and the program agree on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tracker.config import DaemonSettings
from tracker.daemon.service import GRACE_S

UNIT = Path(__file__).parents[2] / "deploy" / "speedup.service"


def setting(name: str) -> str:
    found = re.search(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert found, name
    return found[1]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_unit_is_hardened() -> None:
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(UNIT)],
        capture_output=True, text=True, check=True, env={**os.environ, "NO_COLOR": "1", "LC_ALL": "C.UTF-8"},
    ).stdout  # fmt: skip
    level = re.search(r"Overall exposure level for speedup\.service: ([\d.]+)", told)
    assert level
    assert float(level[1]) <= 1.5


def test_the_units_times_leave_room_for_the_programs() -> None:
    assert setting("Type") == "notify"
    assert int(setting("TimeoutStopSec")) > GRACE_S + 5
    assert int(setting("WatchdogSec")) > 4 * DaemonSettings().tick_s
    assert setting("RestartPreventExitStatus") == "2"
