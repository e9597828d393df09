"""Calls the program as a shell would, in this process: arguments in, exit code, stdout and stderr out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tracker.commands.root import run


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout; NaN and infinity are refused."""

        def refuse(word: str) -> None:
            raise AssertionError(f"{word} in JSON")

        return json.loads(self.out, parse_constant=refuse)


@dataclass(frozen=True)
class Program:
    """``program("order", "--json")``; every call gets ``--db`` of its own folder unless told otherwise."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    @property
    def db(self) -> str:
        return f"sqlite:///{self.folder / 'speedup.sqlite'}"

    def __call__(self, *arguments: str, db: str | None = None) -> Answer:
        self.capsys.readouterr()
        code = run([*arguments, "--db", db or self.db])
        captured = self.capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    def bare(self, *arguments: str) -> Answer:
        """Without ``--db`` (groups, --help, --version)."""
        self.capsys.readouterr()
        code = run(list(arguments))
        captured = self.capsys.readouterr()
        return Answer(code, captured.out, captured.err)
