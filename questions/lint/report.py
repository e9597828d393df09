"""The linter run over questions: what is found, what is waived and why, and waivers that are none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from questions.findings import Finding, Severity, worst_first
from questions.lint.every import RULES
from questions.lint.rule import Context, Hit, Rule
from questions.locate import KeyPath
from questions.problems import suggestion
from questions.question import Question

WAIVER = "waiver"
"""The rule a finding about a waiver itself carries."""

Place = Callable[[str, KeyPath], tuple[str, int]]
"""File and line of a key of a question (id, path below it)."""

_SHORTEST_REASON = 30  # characters: less is a label, not a reason
_KNOWN: Mapping[str, Rule] = {rule.id: rule for rule in RULES}


@dataclass(frozen=True)
class Waived:
    """A finding that the record knowingly does not mend, and its written reason."""

    finding: Finding
    reason: str

    def as_json(self) -> dict[str, Any]:
        return {**self.finding.as_json(), "reason": self.reason}


@dataclass(frozen=True)
class Report:
    """What the linter has to say about some questions, worst first."""

    questions: int
    findings: tuple[Finding, ...]
    waived: tuple[Waived, ...]

    def count(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        return {
            "questions": self.questions,
            "findings": [finding.as_json() for finding in self.findings],
            "waived": [waived.as_json() for waived in self.waived],
        }


def lint(questions: Iterable[Question], place: Place, context: Context | None = None) -> Report:
    """Every rule over every question. Errors cannot be waived; everything else can, with a reason."""
    known = context or Context()
    findings: list[Finding] = []
    waived: list[Waived] = []
    idle: dict[tuple[str, int, str], Finding] = {}  # waivers nothing has needed so far
    needed: set[tuple[str, int, str]] = set()
    count = 0
    for question in questions:
        count += 1
        for rule in RULES:
            hits = [_finding(question, rule, hit, place) for hit in rule.check(question, known)]
            reason = question.waivers.get(rule.id)
            if reason is not None:
                at = (*place(question.id, ("waivers", rule.id)), rule.id)
                needed |= {at} if hits else set()
                idle[at] = _unneeded(question, rule, place)
            if reason is not None and rule.severity is not Severity.ERROR and _is_reason(reason):
                waived += [Waived(finding, reason) for finding in hits]
            else:
                findings += hits
        findings += _waiver_findings(question, place)
    findings += [finding for at, finding in idle.items() if at not in needed]
    order = {finding: rank for rank, finding in enumerate(worst_first(one.finding for one in waived))}
    waived.sort(key=lambda one: order[one.finding])
    return Report(count, tuple(worst_first(findings)), tuple(dict.fromkeys(waived)))


def _finding(question: Question, rule: Rule, hit: Hit, place: Place) -> Finding:
    return Finding(
        question.id, rule.id, rule.severity, *place(question.id, hit.path), message=hit.message, fix=hit.fix
    )


def _is_reason(text: str) -> bool:
    return len(text.strip()) >= _SHORTEST_REASON and " " in text.strip()


def _unneeded(question: Question, rule: Rule, place: Place) -> Finding:
    return Finding(
        question.id,
        WAIVER,
        Severity.ADVICE,
        *place(question.id, ("waivers", rule.id)),
        message=f"{rule.id} is waived and finds nothing",
        fix="take the waiver out",
    )


def _waiver_findings(question: Question, place: Place) -> Iterator[Finding]:
    for name, reason in question.waivers.items():
        rule = _KNOWN.get(name)
        if rule is None:
            message, fix = f"there is no rule {name!r}{suggestion(name, _KNOWN)}", "name a rule, Q01 to Q30"
        elif rule.severity is Severity.ERROR:
            message = f"{name} blocks publication and cannot be waived"
            fix = "mend what it finds, and take the waiver out"
        elif not _is_reason(reason):
            message = f"{reason!r} is no reason for leaving {name} unmet"
            fix = f"write why it cannot be met here, in {_SHORTEST_REASON} characters or more"
        else:
            continue
        where = place(question.id, ("waivers", name))
        yield Finding(question.id, WAIVER, Severity.ERROR, *where, message=message, fix=fix)
