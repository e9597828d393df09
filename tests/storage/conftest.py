from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage import open_store
from storage.engine import Database, locate, open_database
from storage.store import Store
from tests.postgres import new_postgres, postgres_server, postgres_template, postgres_url

__all__ = ["new_postgres", "postgres_server", "postgres_template", "postgres_url"]

EVERY = ("memory", "sqlite", "postgresql")
DATABASES = ("sqlite", "postgresql")


def url_for(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    if kind == "memory":
        return "memory://"
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'tracker.db'}"
    found = request.getfixturevalue("postgres_url")
    assert isinstance(found, str)
    return found


@pytest.fixture(params=EVERY)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each of the three stores in turn, empty."""
    opened = open_store(url_for(request.param, tmp_path, request))
    yield opened
    opened.close()


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of each kind of database in turn, to be opened as often as a test likes."""
    return url_for(request.param, tmp_path, request)


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    return tmp_path / "tracker.db"


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of each kind of database in turn, without any tables yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'tracker.db'}"
    create: Callable[[], str] = request.getfixturevalue("new_postgres")
    return create()


@pytest.fixture(params=DATABASES, scope="module")
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One database of each kind in turn for all examples of a test."""
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        url = server.url(server.create(request.getfixturevalue("postgres_template")))
    else:
        url = url_for(request.param, tmp_path_factory.mktemp("database"), request)
    opened = open_database(locate(url), create=True, read_only=False)
    yield opened
    opened.close()
