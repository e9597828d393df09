"""Tests that need PostgreSQL cannot be lost without a word."""

from __future__ import annotations

import pytest

from tests import postgres


def test_a_machine_without_postgresql_skips_and_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "find_binaries", lambda: None)
    monkeypatch.delenv("SPEEDUP_REQUIRE_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install postgresql"):
        postgres.require_binaries()


def test_where_everything_is_required_it_fails_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "find_binaries", lambda: None)
    monkeypatch.setenv("SPEEDUP_REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception, match="apt-get install postgresql"):
        postgres.require_binaries()


def test_every_database_a_test_gets_is_its_own(
    postgres_server: postgres.PostgresServer, postgres_template: str
) -> None:
    one, two = (postgres_server.create(postgres_template) for _ in range(2))
    with postgres_server.connect(one) as connection:
        connection.execute("INSERT INTO series (name) VALUES ('only here')")
    with postgres_server.connect(two) as connection:
        assert connection.execute("SELECT count(*) FROM series").fetchone() == (0,)
    for name in (one, two):
        postgres_server.drop(name)
