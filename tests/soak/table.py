"""The soak's table: what was done, what was measured, and whether it is as it should be."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAD = "| what | measured | as it should be |\n|---|---|---|"


@dataclass(frozen=True)
class Row:
    what: str
    measured: str
    good: bool

    def __str__(self) -> str:
        return f"| {self.what} | {self.measured} | {'yes' if self.good else 'NO'} |"


class Told(list[Row]):
    """Rows, each told as soon as it is known: the whole takes an hour."""

    def append(self, row: Row) -> None:
        super().append(row)
        print(row, file=sys.stderr, flush=True)


def tests_of(what: str, *files: str) -> Row:
    """These tests as they are; what pytest says of them in one line."""
    there = [one for one in files if (ROOT / one.partition("::")[0]).exists()]
    if len(there) < len(files):
        return Row(what, f"not there: {', '.join(sorted(set(files) - set(there)))}", good=False)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", *files],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    said = (done.stdout.strip().splitlines() or ["pytest said nothing"])[-1].strip("= ")
    names = ", ".join(f"`{one}`" for one in files)
    return Row(what, f"{said} ({names})", done.returncode == 0)
