"""What do we remember: an append-only, bitemporal store of everything that was seen, and when.

``open_store`` gives a ``storage.store.Store``; its docstrings are the contract. Importing this package
is cheap: the database layer is loaded when a database is opened.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from storage.store import DEFAULT_MAX_GAP, Store

__all__ = ["DEFAULT_MAX_GAP", "Store", "open_store", "restore", "upgrade"]


def open_store(
    url: str, *, create: bool = True, read_only: bool = False, max_gap: timedelta = DEFAULT_MAX_GAP
) -> Store:
    """Open the store at a URL: ``sqlite:///path``, ``postgresql://…``, ``sqlite://`` or ``memory://``.

    With ``create``, a missing SQLite file (and its folders) is made and an empty database gets its tables;
    without, or ``read_only``, a missing or empty one raises StorageError. ``max_gap`` is the longest
    silence over which an unchanged value counts as standing. Raises SchemaTooOld (``speedup db upgrade``
    helps), SchemaTooNew, and StorageError for whatever is no database of ours; none of these changes
    anything. No message repeats a password.
    """
    if url.startswith("memory:"):
        from storage.memory import MemoryStore

        return MemoryStore(max_gap)
    from storage.engine import locate, open_database
    from storage.sql import SqlStore

    return SqlStore(open_database(locate(url), create=create, read_only=read_only), max_gap)


def upgrade(url: str) -> tuple[str | None, str]:
    """Bring a database to this program's schema; returns (revision before, revision after).

    An SQLite file that holds data is backed up beside itself first. See ``storage.migrate.upgrade``.
    """
    from storage.migrate import upgrade as run

    return run(url)


def restore(backup: Path, url: str, *, force: bool = False) -> dict[str, int]:
    """Put a verified backup in the place of an SQLite database; returns the rows per table in it.

    An existing database is refused unless ``force``, and then kept beside. See ``storage.care.restore``.
    """
    from storage.care import restore as run

    return run(backup, url, force=force)
