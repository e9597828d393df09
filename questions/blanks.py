"""Wordings with ``${...}`` to fill in: filling them, and laying what the program knows over them."""

from __future__ import annotations

from collections.abc import Mapping
from string import Template
from typing import Any

from questions.locate import KeyPath
from questions.problems import suggestion

Findings = list[tuple[KeyPath, str]]


class UnfilledError(ValueError):
    """Blanks that cannot be filled: ``findings`` are pairs of path (below the table of the wording) and message."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        super().__init__("; ".join(message for _, message in findings))


def fill(value: Any, words: Mapping[str, str], at: KeyPath, findings: Findings) -> Any:
    """The same tree with every blank of its strings filled in; what cannot be filled adds a finding."""
    if isinstance(value, str):
        return fill_text(value, words, at, findings) if "$" in value else value
    if isinstance(value, dict):
        return {key: fill(item, words, (*at, key), findings) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, words, (*at, index), findings) for index, item in enumerate(value)]
    return value


def fill_text(text: str, words: Mapping[str, str], at: KeyPath, findings: Findings) -> str:
    """A text with its blanks filled in; as it was, and a finding added, where that cannot be."""
    try:
        return Template(text).substitute(words)
    except KeyError as error:
        name = error.args[0]
        findings.append((at, f"nothing to fill ${{{name}}} with{suggestion(name, words)}"))
    except ValueError:
        findings.append((at, "a dollar sign that begins no ${name} is written $$"))
    return text


def merge(text: dict[str, Any], filled: Mapping[str, Any]) -> dict[str, Any]:
    """The wording with what the program fills in laid over it, table by table."""
    merged = dict(text)
    for key, value in filled.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
