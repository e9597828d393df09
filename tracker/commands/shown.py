"""How findings are shown to people."""

from __future__ import annotations

from collections.abc import Sequence

from questions.findings import Finding, Severity
from tracker.commands.session import table
from tracker.report.wording import counted


def show_findings(what: str, findings: Sequence[Finding], *, places: bool = False) -> None:
    """A line per finding; one that many questions share stands once, with their number."""
    groups: dict[tuple[Severity, str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.severity, finding.rule, finding.message), []).append(finding)
    numbers = {severity: sum(one.severity is severity for one in findings) for severity in Severity}
    counts = ", ".join(
        f"{number} {severity.value}" if severity is Severity.ADVICE else counted(number, severity.value)
        for severity, number in numbers.items()
    )
    columns = ["severity", "rule", "question", *(["where"] if places else []), "finding", "what to do"]
    table(
        f"{what}: {counts}",
        columns,
        [
            (
                severity.value,
                rule,
                who(group),
                *([f"{group[0].file}:{group[0].line}"] if places else []),
                message,
                group[0].fix,
            )
            for (severity, rule, message), group in groups.items()
        ],
    )


def who(group: Sequence[Finding]) -> str:
    """The first question of a group, and how many more there are."""
    first = group[0].question
    return first if len(group) == 1 else f"{first} and {len(group) - 1} more"
