from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.speedup import Program
from tests.postgres import new_postgres, postgres_server, postgres_template, postgres_url

__all__ = ["new_postgres", "postgres_server", "postgres_template", "postgres_url"]


@pytest.fixture
def program(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Program:
    """The program in an empty folder, with no settings of the machine's user in sight."""
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for name in ("SPEEDUP_DATABASE_URL", "SPEEDUP_METACULUS_TOKEN", "SPEEDUP_QUESTIONS_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    return Program(tmp_path, capsys)
