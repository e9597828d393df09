"""Who leads: a lease with a fencing token, and a beacon that goes out when its holder dies.

The row in ``lease`` decides; it is read and written only inside a writer's transaction, so of several that
ask at once one gets it. A holder that is alive renews; one that is silent for longer than its term has lost it to
whoever asks next, who gets a greater token. A write under the old token is refused (``LeaseLost``), however
long its author was stopped in between.

The beacon makes the take-over after a death quick: the holder of token *t* keeps an operating system's lock (a
byte of a file beside the SQLite database) or a server's (a PostgreSQL advisory lock on a connection of its own) that
is named by *t* and ends with the process. Whoever can take that lock knows that the holder is gone and need not
wait. No answer from a beacon is never proof of anything: then the term decides.
"""

from __future__ import annotations

import fcntl
import os
import struct
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, bindparam, create_engine, func, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from storage.bulk import upsert
from storage.decide import lease_stands
from storage.engine import Address
from storage.errors import LeaseLost
from storage.records import Lease
from storage.tables import table

LEASE = table("lease")
_OPEN_FILE_LOCK: int | None = getattr(fcntl, "F_OFD_SETLK", None)
"""Linux' locks of open files: unlike the older ones they do not end when another file handle is closed."""


class Beacon(Protocol):
    """A light per token, out when its holder is gone."""

    def hold(self, token: int) -> None:
        """Light the one of this token (again, if it went out) and no other."""

    def is_out(self, token: int) -> bool:
        """Whether the holder of this token is certainly gone."""

    def close(self) -> None:
        """Let the light go out."""


class NoBeacon:
    """Where there is nothing to see: only the term decides."""

    def hold(self, token: int) -> None: ...

    def is_out(self, token: int) -> bool:
        return False

    def close(self) -> None: ...


class FileBeacon:
    """A byte of ``NAME.leader`` beside an SQLite file, locked; the byte's place is the token."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}.leader")
        self._handle: int | None = None
        self._held: int | None = None

    def hold(self, token: int) -> None:
        if self._held == token:
            return
        self.close()
        with suppress(OSError):  # a full disk or a strange file system: then there is no beacon
            self._held = token if self._lock(token) else None

    def is_out(self, token: int) -> bool:
        if self._held == token:
            return False
        with suppress(OSError):
            if self._lock(token):
                self._place(fcntl.F_UNLCK, token)
                return True
        return False

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
        self._handle = self._held = None

    def _lock(self, token: int) -> bool:
        if _OPEN_FILE_LOCK is None:
            return False
        try:
            self._place(fcntl.F_WRLCK, token)
        except BlockingIOError:
            return False
        return True

    def _place(self, kind: int, token: int) -> None:
        assert _OPEN_FILE_LOCK is not None
        if self._handle is None:
            self._handle = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.fcntl(self._handle, _OPEN_FILE_LOCK, struct.pack("hhqqi4x", kind, os.SEEK_SET, token, 1, 0))


_TRY, _FREE = (
    text(
        f"SELECT {function}(hashtext('speedup lease ' || coalesce(current_schema(), '')), :token)"
    ).bindparams(bindparam("token"))
    for function in ("pg_try_advisory_lock", "pg_advisory_unlock")
)


class ServerBeacon:
    """A PostgreSQL advisory lock on a connection outside the pool: a pooled one would keep it after a close."""

    def __init__(self, url: URL) -> None:
        self._engine: Engine = create_engine(
            url,
            hide_parameters=True,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args={"connect_timeout": 10, "application_name": "speedup leader"},
        )
        self._connection: Connection | None = None
        self._held: int | None = None

    def hold(self, token: int) -> None:
        with suppress(SQLAlchemyError):
            if self._held == token and self._ask(text("SELECT true")):
                return
        self.close()
        with suppress(SQLAlchemyError):
            self._held = token if self._ask(_TRY, token) else None

    def is_out(self, token: int) -> bool:
        if self._held == token:
            return False
        with suppress(SQLAlchemyError):
            if self._ask(_TRY, token):
                self._ask(_FREE, token)
                return True
        return False

    def close(self) -> None:
        connection, self._connection, self._held = self._connection, None, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.close()

    def _ask(self, question: Any, token: int | None = None) -> bool:
        if self._connection is None:
            self._connection = self._engine.connect()
        bound = {} if token is None else {"token": token % 2**31}
        try:
            return bool(self._connection.execute(question, bound).scalar_one())
        except SQLAlchemyError:
            self.close()
            raise


def beacon_of(address: Address) -> Beacon:
    """The beacon that a database's leader has; nothing is opened yet."""
    if address.url is not None:
        return ServerBeacon(address.url)
    return NoBeacon() if address.path is None else FileBeacon(address.path)


_STANDING = select(LEASE).where(LEASE.c.name == bindparam("of_name"))


def standing(connection: Connection, name: str) -> Lease | None:
    """The last lease of a name, whether or not its term is over."""
    row = connection.execute(_STANDING, {"of_name": name}).one_or_none()
    return None if row is None else Lease(*row)


def take(
    connection: Connection, beacon: Beacon, name: str, holder: str, at: datetime, term: timedelta
) -> Lease | None:
    """Take or renew the lease; None while somebody else has it. Only inside a writer's transaction."""
    if connection.dialect.name == "postgresql":
        # Machines that share a server need not agree on the time.
        at = connection.execute(select(func.clock_timestamp())).scalar_one()
    known = standing(connection, name)
    if known is None:
        token = 1
    elif known.holder == holder:
        token = known.token
    elif lease_stands(known, at, term) and not beacon.is_out(known.token):
        return None
    else:
        token = known.token + 1
    lease = Lease(name, holder, token, at + term)
    upsert(
        connection,
        "lease",
        {"name": name},
        {"holder": holder, "token": token, "expires_at": lease.expires_at},
    )
    beacon.hold(token)
    return lease


def give_up(connection: Connection, lease: Lease) -> None:
    """End a lease before its term; nothing when it has been lost already. The token stays used."""
    known = standing(connection, lease.name)
    if known is not None and (known.holder, known.token) == (lease.holder, lease.token):
        ended = {"holder": "", "token": lease.token, "expires_at": known.expires_at}
        upsert(connection, "lease", {"name": lease.name}, ended)


def require(connection: Connection, lease: Lease) -> None:
    """Raise LeaseLost unless this lease is the last one given."""
    known = standing(connection, lease.name)
    if known is None or (known.holder, known.token) != (lease.holder, lease.token):
        raise LeaseLost(f"{lease.holder} no longer leads: nothing is written under its old lease")
