"""What a check of the catalogue has to say: one ``Finding`` a time, worst first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    ADVICE = "advice"


@dataclass(frozen=True)
class Finding:
    """One thing a rule found about one question, where it stands, and what to do about it.

    ``question`` is the id of one of ours, or platform:id of a linked one.
    """

    question: str
    rule: str
    severity: Severity
    file: str
    line: int
    message: str
    fix: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"severity": self.severity.value}


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Errors, then warnings, then advice; by rule and question; the same thing once."""
    ranks = list(Severity)
    return sorted(
        dict.fromkeys(findings),
        key=lambda finding: (ranks.index(finding.severity), finding.rule, finding.question),
    )
