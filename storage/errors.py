"""What can be wrong with the memory; the whole tree is drawn in ``questions.errors``."""

from __future__ import annotations

from questions.errors import TrackerError


class StorageError(TrackerError):
    """The database could not do what was asked (never blamed on a source)."""


class SchemaTooNew(StorageError):
    """The database was written by a newer version of the program; it is left untouched."""


class SchemaTooOld(StorageError):
    """The database needs ``speedup db upgrade`` first; it is left untouched."""


class LeaseLost(StorageError):
    """Somebody else leads now: what was to be written under the old lease was not."""


class IntegrityFailure(StorageError):
    """Stored data failed its check; the message lists what and where."""
