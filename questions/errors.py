"""The root of every error a user can meet, and what the catalogue may say is wrong.

TrackerError                    (exit_code 3 unless a subclass says otherwise)
├── CatalogueError              2  one or more problems in catalogue files, all at once
├── storage.errors.StorageError
│   ├── SchemaTooNew            3  the database was written by a newer version
│   ├── SchemaTooOld            3  `speedup db upgrade` is needed first
│   └── IntegrityFailure        3  stored data failed its check
└── tracker.errors
    ├── UsageError              2  the call or an input file is wrong (file, line, column or key)
    ├── ConfigError             2  settings are wrong, all mistakes together
    └── SourceError                carries source, ref and whether trying again helps
        ├── FetchError             the bytes could not be had
        └── ParseError             the bytes are not what they should be; the raw payload is kept
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class TrackerError(Exception):
    """Something a user or an outside service caused; shown as one message, never as a traceback."""

    exit_code = 3


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong in one file: where it stands and what would be right."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.key}: {self.message}" if self.key else f"{where}: {self.message}"


class CatalogueError(TrackerError):
    """Every problem of every catalogue file in one report; nothing was loaded."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        count = len(self.problems)
        head = f"{count} problem{'s' if count != 1 else ''} in the question catalogue; nothing was loaded"
        super().__init__("\n".join([head, *(f"  {problem}" for problem in self.problems)]))
