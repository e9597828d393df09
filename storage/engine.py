"""Where a database is and how it is spoken to: addresses, connections, transactions, schema revisions.

One way for both engines: readers see one consistent state, writers take their turn. On SQLite a writer
begins with ``BEGIN IMMEDIATE``; on PostgreSQL it first takes an advisory lock that all writers share.
So read-then-write decisions (claiming a slot, extending a value) cannot race, on either.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError, StatementError
from sqlalchemy.pool import QueuePool, StaticPool
from sqlalchemy.schema import CreateIndex, CreateTable

from storage import partitions
from storage.errors import SchemaTooNew, SchemaTooOld, StorageError
from storage.tables import metadata, schema_version

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010")
"""Every schema revision in order. A constant, so that opening a database need not import Alembic."""

HEAD = REVISIONS[-1]

BUSY_TIMEOUT_MS = 15_000
"""SQLite hands the turn to whoever asks next: on a busy machine one of four writers waited for more than 5 s."""
SQLITE_MAGIC = b"SQLite format 3\x00"
SMALLEST_PAGE = 512
WRITERS_LOCK = 0x5BEED
"""The PostgreSQL advisory lock all writers of one schema share."""

_SQLITE_PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA synchronous = FULL",  # NORMAL may lose the last commits on power loss; we commit seldom
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
)


@dataclass(frozen=True)
class Address:
    """Where a database is. ``shown`` may be printed: it has neither user nor password nor options."""

    kind: str
    shown: str
    path: Path | None = None
    url: URL | None = field(default=None, repr=False)


def locate(url: str) -> Address:
    """Read a database URL.

    ``memory://``; ``sqlite://`` (in memory); ``sqlite:///relative/or//absolute/path``; ``postgresql://…``.
    Raises StorageError, never repeating a URL that could hold a password.
    """
    scheme, mark, rest = url.partition("://")
    kind = scheme.partition("+")[0].lower()
    if mark and kind == "memory":
        return Address("memory", "memory://")
    if mark and kind == "sqlite":
        return _sqlite_address(rest)
    if mark and kind in ("postgresql", "postgres"):
        return _postgresql_address(url)
    raise StorageError(
        "not a database URL; write sqlite:///path/to/file.db, postgresql://user@host/name or memory://"
    )


def _sqlite_address(rest: str) -> Address:
    if rest in ("", "/", "/:memory:"):
        return Address("sqlite", "sqlite://")
    if not rest.startswith("/"):
        raise StorageError(f"sqlite://{rest} names a host; write sqlite:///{rest}")
    path = Path(rest[1:]).expanduser()
    return Address("sqlite", f"sqlite:///{path}", path=path)


def _postgresql_address(url: str) -> Address:
    try:
        parsed = make_url(url).set(drivername="postgresql+psycopg")
        port = f":{parsed.port}" if parsed.port else ""
    except (ArgumentError, ValueError):
        raise StorageError("the postgresql:// URL cannot be read") from None
    return Address(
        "postgresql", f"postgresql://{parsed.host or ''}{port}/{parsed.database or ''}", url=parsed
    )


@contextmanager
def translated(shown: str) -> Iterator[None]:
    """Turn what the database layer raises into StorageError; values and passwords stay out of it."""
    try:
        yield
    except SQLAlchemyError as error:
        raise StorageError(f"{shown}: {_reason(error)}") from error
    except sqlite3.Error as error:
        raise StorageError(f"{shown}: {_plain(str(error))}") from error
    except OSError as error:
        raise StorageError(f"{shown}: {error.strerror or error}") from error
    except OverflowError as error:
        raise StorageError(f"{shown}: a number is too large to be stored") from error
    except UnicodeError as error:
        raise StorageError(f"{shown}: a text cannot be written as UTF-8") from error


def _reason(error: SQLAlchemyError) -> str:
    origin = error.orig if isinstance(error, StatementError) else None
    if origin is None:
        return type(error).__name__
    return _plain(str(origin)) if isinstance(origin, Exception) else type(origin).__name__


def _plain(message: str) -> str:
    first = message.strip().splitlines()[0] if message.strip() else "the database gave no reason"
    if "database is locked" in first:
        return "the database is busy: another process has been writing for too long; try again"
    if "readonly database" in first:
        return "the database was opened read-only or its file may not be written"
    if "file is not a database" in first:
        return "this file is not a database"
    if "out of range" in first:
        return "a number is too large to be stored"
    if "malformed" in first:
        return f"the database file is damaged ({first}); restore a backup"
    return first


class Database:
    """A connection pool and the two kinds of transaction.

    ``foreign_keys=False`` is for migrations, which must rebuild tables. ``fence``, when set, is asked at the start
    of every writing transaction and ends it by raising.
    """

    def __init__(self, address: Address, *, read_only: bool = False, foreign_keys: bool = True) -> None:
        self.address = address
        self.read_only = read_only
        self.sqlite = address.kind == "sqlite"
        self.engine = (
            _sqlite_engine(address.path, read_only, foreign_keys)
            if self.sqlite
            else _postgresql_engine(address.url, read_only)
        )
        self._readers = (
            self.engine if self.sqlite else self.engine.execution_options(isolation_level="REPEATABLE READ")
        )
        self._writers = self.engine.execution_options(speedup_writes=True)
        self._closed = False
        self._joined: Connection | None = None
        self.fence: Callable[[Connection], None] | None = None

    @contextmanager
    def together(self) -> Iterator[None]:
        """One writing transaction around whatever reads and writes happen inside; nests."""
        if self._joined is not None:
            yield
            return
        with self.write() as connection:
            self._joined = connection
            try:
                yield
            finally:
                self._joined = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent state of everything."""
        self._refuse_closed()
        if self._joined is not None:
            yield self._joined
            return
        with translated(self.address.shown), self._readers.begin() as connection:
            yield connection

    @contextmanager
    def write(self, *, undo: bool = False) -> Iterator[Connection]:
        """All or nothing, one writer at a time; durable once it is left.

        ``undo``: inside ``together``, a failure that the caller survives takes back only this.
        """
        self._refuse_closed()
        if self._joined is not None:
            with translated(self.address.shown), self._joined.begin_nested() if undo else nullcontext():
                yield self._joined
            return
        if self.read_only:
            raise StorageError(f"{self.address.shown} was opened read-only")
        with translated(self.address.shown), self._writers.begin() as connection:
            if not self.sqlite:
                connection.execute(_TAKE_TURN)
            if self.fence is not None:
                self.fence(connection)
            yield connection

    @contextmanager
    def driver(self) -> Iterator[sqlite3.Connection]:
        """The bare SQLite connection, outside any transaction (backups, checkpoints)."""
        self._refuse_closed()
        with translated(self.address.shown), closing(self.engine.raw_connection()) as pooled:
            bare = pooled.driver_connection
            assert isinstance(bare, sqlite3.Connection)
            yield bare

    def close(self) -> None:
        if self._closed:
            return
        try:
            if self.sqlite and not self.read_only:
                # A hint for the planner's statistics; not worth waiting for other writers.
                with suppress(StorageError), self.driver() as bare:
                    bare.execute("PRAGMA optimize")
        finally:
            self._closed = True
            self.engine.dispose()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StorageError(f"{self.address.shown} is closed")


_TAKE_TURN = text("SELECT pg_advisory_xact_lock(:lock, hashtext(coalesce(current_schema(), '')))").bindparams(
    lock=WRITERS_LOCK
)


def _sqlite_engine(path: Path | None, read_only: bool, foreign_keys: bool) -> Engine:
    def connect() -> sqlite3.Connection:
        if path is None:
            return sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        mode = "ro" if read_only else "rw"
        uri = f"{path.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)

    engine = create_engine(
        "sqlite+pysqlite://",
        creator=connect,
        hide_parameters=True,
        poolclass=StaticPool if path is None else QueuePool,
    )

    @event.listens_for(engine, "connect")
    def prepare(bare: sqlite3.Connection, _record: object) -> None:
        bare.isolation_level = None  # we say BEGIN ourselves
        for pragma in _SQLITE_PRAGMAS:
            bare.execute(pragma)
        if not foreign_keys:
            bare.execute("PRAGMA foreign_keys = OFF")
        if read_only:
            bare.execute("PRAGMA query_only = ON")
        elif path is not None:
            _keep_a_log(bare)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("speedup_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _keep_a_log(bare: sqlite3.Connection) -> None:
    """Turn write-ahead logging on. Of several that do so to a new file at once SQLite refuses some without waiting."""
    until = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            bare.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _postgresql_engine(url: URL | None, read_only: bool) -> Engine:
    assert url is not None
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 10, "application_name": "speedup"},
    )

    @event.listens_for(engine, "connect")
    def prepare(bare: Any, _record: object) -> None:
        bare.autocommit = True
        # Instants near the ends of the calendar exist in UTC only.
        bare.execute("SET TIME ZONE 'UTC'")
        bare.autocommit = False
        bare.read_only = read_only or None

    return engine


# schema -------------------------------------------------------------------------------------------


def revision(connection: Connection) -> str | None:
    """The schema revision of a database; None when it is empty. StorageError when it is not ours."""
    present = inspect(connection)
    if present.has_table("alembic_version"):
        found = connection.execute(select(schema_version.c.version_num)).scalars().all()
        if len(found) == 1:
            return str(found[0])
    elif not present.get_table_names():
        return None
    raise StorageError("there are tables in this database, but it is not one of Speedup Tracker's")


def require_head(found: str, shown: str) -> None:
    """Refuse every schema but this program's own."""
    if found == HEAD:
        return
    if found in REVISIONS:
        raise SchemaTooOld(
            f"{shown} has schema {found}, this program needs {HEAD}; run `speedup db upgrade`"
            " (it makes a backup first)"
        )
    raise SchemaTooNew(
        f"{shown} has schema {found}, which this program does not know (its own is {HEAD});"
        " use the newer version of the program that wrote it"
    )


def look(address: Address) -> str | None:
    """The revision of an existing SQLite file, found without changing a byte of it.

    Only SQLite may open the file: POSIX locks are a process's, and closing any other handle on it would drop those
    of every connection that this process has; then whoever closes last elsewhere deletes a log still in use
    (sqlite.org/howtocorrupt.html, 2.2).
    """
    assert address.path is not None
    if not address.path.is_file():
        raise StorageError(f"{address.shown} is not a file")
    if 0 < address.path.stat().st_size < SMALLEST_PAGE:  # SQLite would call it empty
        raise StorageError(f"{address.shown}: this file is not a database")
    uri = f"{address.path.absolute().as_uri()}?mode=rw"
    engine = create_engine(
        "sqlite+pysqlite://", creator=lambda: sqlite3.connect(uri, uri=True), hide_parameters=True
    )
    try:
        with translated(address.shown), engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")  # one state, while another process may be making the tables
            try:
                return revision(connection)
            except StorageError as error:
                raise StorageError(f"{address.shown}: {error}") from None
    finally:
        engine.dispose()


def create_schema(database: Database) -> None:
    """Make all tables at the head revision, unless somebody else was quicker."""
    with database.write() as connection:
        if revision(connection) is None:
            for rows in metadata.sorted_tables:
                connection.execute(CreateTable(rows))
                # A table's indexes are a set: made in order, two new databases are alike to the byte.
                for index in sorted(rows.indexes, key=lambda index: str(index.name)):
                    connection.execute(CreateIndex(index))
            if not database.sqlite:
                partitions.create(connection, datetime.now(UTC))
            schema_version.create(connection)
            connection.execute(schema_version.insert().values(version_num=HEAD))


def open_database(address: Address, *, create: bool, read_only: bool) -> Database:
    """Open a database at the head revision, creating it first when it is missing and may be."""
    if address.path is not None:
        _prepare_file(address, create and not read_only)
    database = Database(address, read_only=read_only)
    try:
        _make_ready(database, create and not read_only)
    except StorageError:
        database.close()
        raise
    return database


def _make_ready(database: Database, create: bool) -> None:
    shown = database.address.shown
    with database.read() as connection:
        found = revision(connection)
    if found is not None:
        require_head(found, shown)
    elif create:
        create_schema(database)
    else:
        raise StorageError(f"{shown} is empty: there is no database yet (`speedup db upgrade` makes one)")


def _prepare_file(address: Address, create: bool) -> None:
    """Refuse what must not be touched before the first connection with our settings touches it."""
    path = address.path
    assert path is not None
    if path.exists():
        found = look(address)
        if found is not None:
            require_head(found, address.shown)
        return
    if not create:
        raise StorageError(f"{address.shown} does not exist")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # What people forecast is nobody else's business.
        with suppress(FileExistsError):  # by another process, a moment ago
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise StorageError(f"{address.shown} cannot be created: {error.strerror}") from error
