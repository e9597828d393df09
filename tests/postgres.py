"""A real PostgreSQL for tests, started from the system's own binaries.

Nothing is mocked and nothing is shared: each test process (each pytest-xdist worker) starts a server of its
own in a temporary folder, on a free loopback port, without fsync, and each test gets a database of its
own. Where PostgreSQL is not installed the tests are skipped with the reason; with SPEEDUP_REQUIRE_ALL=1
they fail instead, so that a continuous build cannot lose them unnoticed.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.ports import free_port

INSTALL_HINT = "no PostgreSQL server binaries found; install them: apt-get install postgresql"
ACCOUNT = "postgres"
START_TIMEOUT_S = 30.0
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "40",
    "shared_buffers": "32MB",
}


def find_binaries() -> Path | None:
    """The folder that holds ``initdb`` and ``postgres``: on PATH, else the newest packaged version."""
    on_path = shutil.which("initdb")
    places = [Path(on_path).resolve().parent] if on_path else []
    packaged = Path("/usr/lib/postgresql").glob("*/bin")
    places += sorted(packaged, key=lambda place: _version(place.parent.name), reverse=True)
    return next((p for p in places if (p / "initdb").exists() and (p / "postgres").exists()), None)


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split(".") if part.isdigit())


class PostgresServer:
    """A server process and the databases made in it."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="speedup-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        self.port = 0
        # PostgreSQL refuses to run as root.
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam(ACCOUNT)
            os.chown(self._folder, account.pw_uid, account.pw_gid)
            self._as = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def start(self) -> None:
        data = self._folder / "data"
        made = subprocess.run(
            [
                self._binaries / "initdb", "--pgdata", data, "--username", ACCOUNT, "--auth", "trust",
                "--no-sync", "--encoding", "UTF8", "--locale", "C",
            ],
            cwd=self._folder, capture_output=True, text=True, check=False, **self._as,
        )  # fmt: skip
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed: {made.stderr.strip()}")
        for _ in range(3):  # somebody may take the free port before the server does
            if self._serve(data):
                return
        raise RuntimeError(f"PostgreSQL did not start: {self._log().read_text(errors='replace')[-2000:]}")

    def _log(self) -> Path:
        return self._folder / "server.log"

    def _serve(self, data: Path) -> bool:
        self.port = free_port()
        options = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        with self._log().open("wb") as log:
            self._process = subprocess.Popen(
                [
                    self._binaries / "postgres", "-D", data, "-p", str(self.port),
                    "-k", self._folder, *options,
                ],
                cwd=self._folder, stdout=log, stderr=log, **self._as,
            )  # fmt: skip
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                with self.connect():
                    return True
            except psycopg.OperationalError:
                time.sleep(0.02)
        self._end()
        return False

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=ACCOUNT,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    def url(self, database: str) -> str:
        return f"postgresql://{ACCOUNT}@127.0.0.1:{self.port}/{database}"

    def create(self, template: str = "template1") -> str:
        """A fresh database, a copy of a template; returns its name."""
        self._made += 1
        name = f"test_{self._made}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template)
        )
        with self.connect() as connection:
            connection.execute(statement)
        return name

    def drop(self, database: str) -> None:
        with self.connect() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database))
            )

    def dump_schema(self, database: str) -> str:
        """The schema as ``pg_dump`` prints it."""
        found = subprocess.run(
            [self._binaries / "pg_dump", "--schema-only", "--no-owner", self.url(database)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return found.stdout

    def stop(self) -> None:
        self._end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)  # "fast": ends connections, then shuts down
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(10)


def require_binaries() -> Path:
    """The binaries, or the end of the test: skipped, or failed where everything is required."""
    binaries = find_binaries()
    if binaries is None:
        if os.environ.get("SPEEDUP_REQUIRE_ALL") == "1":
            pytest.fail(INSTALL_HINT)
        pytest.skip(INSTALL_HINT)
    return binaries


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A running PostgreSQL, for this test process alone."""
    server = PostgresServer(require_binaries())
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    """A database that has our tables and no rows, to be copied."""
    from storage import open_store

    name = postgres_server.create()
    open_store(postgres_server.url(name)).close()
    return name


@pytest.fixture
def new_postgres(postgres_server: PostgresServer) -> Iterator[Callable[[], str]]:
    """Makes empty databases; call it for the URL of another one."""
    made: list[str] = []

    def create() -> str:
        made.append(postgres_server.create())
        return postgres_server.url(made[-1])

    yield create
    for name in made:
        postgres_server.drop(name)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, postgres_template: str) -> Iterator[str]:
    """The URL of a fresh database that has our tables and no rows."""
    name = postgres_server.create(postgres_template)
    yield postgres_server.url(name)
    postgres_server.drop(name)
