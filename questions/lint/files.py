"""The linter run over files, also over those that a record refuses: a refusal is the finding of a rule too."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from questions.catalogue import Draft
from questions.errors import Problem
from questions.findings import Finding, Severity, worst_first
from questions.lint.report import Report, lint
from questions.lint.rule import Context, FixtureCheck, one_world_each
from questions.locate import KeyPath
from questions.problems import CatalogueFile

SCHEMA = "schema"
"""The rule of a refusal that no numbered rule speaks of."""

_RULE_OF_KEY: tuple[tuple[str, str], ...] = (
    ("resolution.primary_url", "Q01"),
    ("resolution.fallback_urls", "Q02"),
    ("resolution.if_gone", "Q09"),
    ("resolution.if_silent", "Q10"),
    ("resolution.if_bound_only", "Q11"),
    ("dates.event_basis", "Q25"),
    ("dates.report_grace_days", "Q25"),
    ("dates", "Q03"),
    ("threshold", "Q06"),
    ("measurement.version_policy", "Q08"),
    ("outcomes", "Q12"),
    ("default_outcome", "Q12"),
    ("fixtures", "Q13"),
    ("date_range", "Q14"),
    ("ordering", "Q15"),
    ("conditional", "Q16"),
    ("numeric_range", "Q17"),
    ("panel", "Q19"),
    ("speedup_kind", "Q23"),
    ("baseline", "Q23"),
    ("battery", "Q23"),
    ("cost_minutes", "Q28"),
    ("current_value", "Q30"),
)
_ZONES = ("has no offset", "a bare date", "without quotes", "naive datetime")
_TABLES = ("question.", "template.ordering.", "template.date.", "template.")


def lint_draft(
    draft: Draft, files: Collection[str] | None = None, *, fixtures: FixtureCheck = one_world_each
) -> Report:
    """What is wrong with the questions of these files (None: of all that were read), refused ones included.

    Mistakes that keep files from loading are all told, wherever they stand: nothing works until they are mended.
    """
    places = draft.places
    chosen = [
        question
        for name, question in draft.questions.items()
        if files is None or places[name].file.name in files
    ]

    def place(question: str, path: KeyPath) -> tuple[str, int]:
        at = places[question]
        return at.file.name, at.file.line((*at.path, *path))

    context = Context(areas={area.key: area for area in draft.areas}, fixtures=fixtures)
    report = lint(chosen, place, context)
    refused = list(_refusals(draft))
    taken = {question.id for question in chosen}
    unread = {finding.question for finding in refused if finding.question} - taken
    return replace(
        report,
        questions=report.questions + len(unread),
        findings=tuple(worst_first([*refused, *report.findings])),
    )


def _refusals(draft: Draft) -> Iterator[Finding]:
    files = {file.name: file for file in draft.files}
    for problem in draft.problems:
        file = files.get(problem.file)
        yield Finding(
            question=_question_at(problem, file) if file else "",
            rule=_rule_of(problem),
            severity=Severity.ERROR,
            file=problem.file,
            line=problem.line,
            message=f"{problem.key}: {problem.message}" if problem.key else problem.message,
            fix="write what the message says; the other rules look at the record once it can be read",
        )


def _rule_of(problem: Problem) -> str:
    key = next((problem.key.removeprefix(t) for t in _TABLES if problem.key.startswith(t)), "")
    if any(words in problem.message for words in _ZONES):
        return "Q04"
    return next((rule for start, rule in _RULE_OF_KEY if key == start or key.startswith(f"{start}.")), SCHEMA)


def _question_at(problem: Problem, file: CatalogueFile) -> str:
    """The id of the question whose table stands around a line; its place in the file when it has none."""
    if not problem.key.startswith("question"):
        return ""
    entries = file.data.get("question", ())
    starts = [(file.line(("question", index)), index) for index in range(len(entries))]
    before = [index for line, index in starts if line <= problem.line]
    if not before:
        return ""
    entry = entries[before[-1]]
    name = entry.get("id") if isinstance(entry, dict) else None
    return name if isinstance(name, str) else f"question {before[-1] + 1}"
