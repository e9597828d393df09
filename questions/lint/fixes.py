"""Mistakes of notation that can be set right without guessing what was meant.

Only what cannot change an outcome: a date-time in quotes, a comparator or a key word written another way, a
waiver that nothing needs. An offset that is missing, a policy that is not set, a vague word: those the
author decides. Every edit stays on its line, so comments and order are kept.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from questions.fields import BoundOnly, Gone, MethodChange, Revised, Silent
from questions.findings import Finding
from questions.lint.report import WAIVER
from questions.locate import KeyPath
from questions.model import QuestionKind, SpeedupKind, View
from questions.problems import CatalogueFile
from questions.question import EventBasis, VersionPolicy
from questions.time import utc

_MOMENTS: tuple[KeyPath, ...] = (
    ("dates", "open"),
    ("dates", "close"),
    ("dates", "resolve"),
    ("date_range", "lower"),
    ("date_range", "upper"),
    ("conditional", "parent_deadline"),
    ("panel", "appointed_by"),
    ("current_value", "as_of"),
)
_WORDS: Mapping[KeyPath, type[StrEnum]] = {
    ("kind",): QuestionKind,
    ("view",): View,
    ("speedup_kind",): SpeedupKind,
    ("dates", "event_basis"): EventBasis,
    ("measurement", "version_policy"): VersionPolicy,
    ("resolution", "if_gone"): Gone,
    ("resolution", "if_silent"): Silent,
    ("resolution", "if_bound_only"): BoundOnly,
    ("resolution", "if_method_changes"): MethodChange,
    ("resolution", "if_revised"): Revised,
}
_COMPARATORS: Mapping[str, str] = {"≥": ">=", "≤": "<=", "=>": ">=", "=<": "<="}


@dataclass(frozen=True)
class Edit:
    """One line of a file as it is and as it should be; ``new`` is None when the line goes."""

    line: int
    old: str
    new: str | None


def mended(file: CatalogueFile, findings: Iterable[Finding]) -> str:
    """The file's text with every safe fix made; unchanged where a fix cannot be made on its line alone."""
    lines: list[str | None] = [*file.text.split("\n")]
    for edit in (*_notations(file), *_idle_waivers(file, findings)):
        before = lines[edit.line - 1]
        if before is None or edit.old not in before:
            continue
        lines[edit.line - 1] = None if edit.new is None else before.replace(edit.old, edit.new)
        if not _reads(lines):
            lines[edit.line - 1] = before
    return _text(lines)


def diff(name: str, before: str, after: str) -> str:
    """A unified diff of one file."""
    return "".join(
        difflib.unified_diff(
            before.splitlines(True), after.splitlines(True), f"{name} (before)", f"{name} (after)"
        )
    )


def _text(lines: Sequence[str | None]) -> str:
    return "\n".join(line for line in lines if line is not None)


def _reads(lines: Sequence[str | None]) -> bool:
    try:
        tomllib.loads(_text(lines))
    except ValueError:
        return False
    return True


def _notations(file: CatalogueFile) -> Iterator[Edit]:
    lines = file.text.split("\n")
    for index, entry in enumerate(file.data.get("question", ())):
        for path, value, token in _rewritings(entry):
            number = file.line(("question", index, *path))
            key = re.escape(str(path[-1]))
            written = re.search(rf"\b{key}\s*=\s*({_quoted(value)})", lines[number - 1])
            if written:
                start = written.group()[: -len(written[1])]
                yield Edit(number, written.group(), start + token)


def _quoted(value: str) -> str:
    return rf'"{re.escape(value)}"|\'{re.escape(value)}\''


def _rewritings(entry: object) -> Iterator[tuple[KeyPath, str, str]]:
    """Keys of a record with their value and how it should be written."""
    for path in _MOMENTS:
        value = _at(entry, path)
        if isinstance(value, str) and _is_moment(value):
            yield path, value, value
    value = _at(entry, ("threshold", "comparator"))
    if isinstance(value, str) and value in _COMPARATORS:
        yield ("threshold", "comparator"), value, f'"{_COMPARATORS[value]}"'
    for path, choices in _WORDS.items():
        value = _at(entry, path)
        plain = re.sub(r"[\s-]+", "_", value.strip().casefold()) if isinstance(value, str) else ""
        if isinstance(value, str) and value not in set(choices) and plain in set(choices):
            yield path, value, f'"{plain}"'


def _at(entry: Any, path: KeyPath) -> object:
    for key in path:
        if not isinstance(entry, dict) or key not in entry:
            return None
        entry = entry[key]
    return entry


def _is_moment(text: str) -> bool:
    """Whether taking the quotes away makes a TOML date-time with an offset of it."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
        return isinstance(value, datetime) and bool(utc(value))
    except (ValueError, KeyError):
        return False


def _idle_waivers(file: CatalogueFile, findings: Iterable[Finding]) -> Iterator[Edit]:
    """Waivers that nothing needs and that stand on a line of their own."""
    lines = file.text.split("\n")
    for finding in findings:
        if finding.rule == WAIVER and finding.severity == "advice" and finding.file == file.name:
            line = lines[finding.line - 1]
            if re.fullmatch(r"""\s*Q\d\d\s*=\s*("(?:[^"\\]|\\.)*"|'[^']*')\s*(?:#.*)?""", line):
                yield Edit(finding.line, line, None)
