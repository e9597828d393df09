"""The short part of the soak: real processes killed at random moments; ``python -m tests.soak`` is the long one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.postgres import new_postgres, postgres_server, postgres_template, postgres_url
from tests.soak.kills import soak

__all__ = ["new_postgres", "postgres_server", "postgres_template", "postgres_url"]


@pytest.mark.parametrize(("engine", "daemons"), [("sqlite", 1), ("sqlite", 3), ("postgresql", 3)])
def test_killed_at_any_moment_nothing_is_missing_partial_or_doubled(
    engine: str, daemons: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if engine == "postgresql":
        create: Callable[[], str] = request.getfixturevalue("new_postgres")
        database = create()
    else:
        database = f"sqlite:///{tmp_path / 'soak.sqlite'}"
    result = soak(database, engine, daemons=daemons, kills=12, seed=daemons)
    assert result.problems == []
    assert result.finished >= 2
    assert result.rows >= 20 * result.finished
    assert result.leaders > 1, "a kill that nobody had to take over from proves nothing"
