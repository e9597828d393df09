"""What a rule of the linter is, and the parts of a question that several rules read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import MappingProxyType

from questions.findings import Severity
from questions.locate import KeyPath
from questions.model import Area, SpeedupKind
from questions.question import Question
from questions.rules import SeriesRule

FixtureCheck = Callable[[Question], Iterable[str]]
"""Runs a question's test worlds; one sentence for each that fails, or for an outcome that none reaches."""


def one_world_each(question: Question) -> Iterable[str]:
    """The check that runs no worlds: every outcome has to be expected in one."""
    expected = {fixture.expected for fixture in question.fixtures}
    for outcome in question.outcomes:
        if outcome not in expected:
            yield f"no test world ends in {outcome!r}"


@dataclass(frozen=True)
class Hit:
    """A rule that is not met: the key (below the question) to change, what is wrong, what to write."""

    path: KeyPath
    message: str
    fix: str


@dataclass(frozen=True)
class Context:
    """What rules may know besides the question: the areas by key, and a way to run test worlds."""

    areas: Mapping[str, Area] = field(default_factory=lambda: MappingProxyType({}))
    fixtures: FixtureCheck = one_world_each


Check = Callable[[Question, Context], Iterator[Hit]]


@dataclass(frozen=True)
class Rule:
    """One rule: ``severity`` error blocks publication, warning needs a written waiver, advice is free."""

    id: str
    severity: Severity
    summary: str
    check: Check


def rule(
    name: str, severity: Severity, summary: str
) -> Callable[[Callable[[Question], Iterator[Hit]]], Rule]:
    """Make a rule of a function that finds in a question where it is not met."""

    def made(check: Callable[[Question], Iterator[Hit]]) -> Rule:
        return Rule(name, severity, summary, lambda question, _context: check(question))

    return made


def contextual(name: str, severity: Severity, summary: str) -> Callable[[Check], Rule]:
    """The same of a function that needs the context too."""

    def made(check: Check) -> Rule:
        return Rule(name, severity, summary, check)

    return made


# Text ---------------------------------------------------------------------------------------------------

_POLICIES = ("if_gone", "if_silent", "if_bound_only", "if_method_changes", "if_revised")


def criteria(question: Question) -> Iterator[tuple[KeyPath, str]]:
    """Every text that binds whoever resolves, with its key. Title and background do not bind."""
    measurement, resolution = question.measurement, question.resolution
    for name in (
        "procedure",
        "formula",
        "aggregation",
        "rounding",
        "eligibility",
        "leakage_policy",
        "version",
    ):
        yield ("measurement", name), getattr(measurement, name)
    for name in ("authority", "selector", "snapshot_policy"):
        yield ("resolution", name), getattr(resolution, name)
    for name in _POLICIES:
        policy = getattr(resolution, name)
        yield ("resolution", name), policy.note if policy is not None else ""
    for index, text in enumerate(resolution.evidence_whitelist):
        yield ("resolution", "evidence_whitelist", index), text
    for index, text in enumerate(question.annul_if):
        yield ("annul_if", index), text
    for index, case in enumerate(question.edge_cases):
        yield ("edge_cases", index, "scenario"), case.scenario
        yield ("edge_cases", index, "outcome"), case.outcome
    if question.date_range is not None:
        yield ("date_range", "day_convention"), question.date_range.day_convention
        yield ("date_range", "past_event"), question.date_range.past_event
    if question.threshold is not None:
        yield ("threshold", "statistic"), question.threshold.statistic
        yield ("threshold", "uncertainty"), question.threshold.uncertainty


def criteria_text(question: Question) -> str:
    return "\n".join(text for _, text in criteria(question) if text)


def title_and_procedure(question: Question) -> Iterator[tuple[KeyPath, str]]:
    yield ("title",), question.title
    yield ("measurement", "procedure"), question.measurement.procedure


def title_and_criteria(question: Question) -> Iterator[tuple[KeyPath, str]]:
    yield ("title",), question.title
    yield from criteria(question)


def hits_of(
    pattern: re.Pattern[str], passages: Iterable[tuple[KeyPath, str]]
) -> Iterator[tuple[KeyPath, str]]:
    """Every passage's matches as they are written, each wording once per passage whatever its case."""
    for path, text in passages:
        found = {match.group().casefold(): match.group() for match in pattern.finditer(text)}
        yield from ((path, written) for written in found.values())


def words(alternatives: str) -> re.Pattern[str]:
    """A pattern of whole words, in any case."""
    return re.compile(rf"\b(?:{alternatives})\b", re.IGNORECASE)


# Dates --------------------------------------------------------------------------------------------------

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<{0}>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
DATE = re.compile(
    r"\b(?P<y1>\d{4})-(?P<m1>\d{2})-(?P<d1>\d{2})"
    rf"|\b(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\s+{_MONTH.format('m2')},?\s+(?P<y2>\d{{4}})\b"
    rf"|\b{_MONTH.format('m3')}\s+(?P<d3>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y3>\d{{4}})\b",
    re.IGNORECASE,
)


def date_of(match: re.Match[str]) -> date | None:
    """The day a match of ``DATE`` names; None when the calendar has no such day."""
    for part in "123":
        year, month, day = (match[f"{name}{part}"] for name in "ymd")
        if year is not None:
            number = int(month) if month.isdigit() else _MONTHS.index(month[:3].casefold()) + 1
            try:
                return date(int(year), number, int(day))
            except ValueError:
                return None
    return None


def dates_in(text: str) -> Iterator[tuple[str, date | None]]:
    """Every date written in a text: as written, and which day that is."""
    for match in DATE.finditer(text):
        yield match.group(), date_of(match)


def days_of(question: Question) -> set[date]:
    """Every UTC day the record names. A moment at midnight also ends the day before."""
    moments = [question.dates.open, question.dates.close, question.dates.resolve, question.dates.settled_by]
    days: set[date] = {change.on for change in question.changelog}
    if question.date_range is not None:
        moments += [question.date_range.lower, question.date_range.upper]
    if question.conditional is not None:
        moments.append(question.conditional.parent_deadline)
    if question.panel is not None and question.panel.appointed_by is not None:
        moments.append(question.panel.appointed_by)
    if question.current_value is not None:
        moments.append(question.current_value.as_of)
    if isinstance(question.rule, SeriesRule) and question.rule.since is not None:
        moments.append(question.rule.since)
    if question.baseline is not None:
        days |= {day for day in (question.baseline.window_start, question.baseline.window_end) if day}
        days |= {day for _, day in dates_in(question.baseline.reference.replace("_", " ")) if day}
    return days.union(*map(_days_around, moments))


def _days_around(moment: datetime) -> set[date]:
    """23:59:59 is the end of a day and the start of the next: "by" names the one, "before" the other."""
    return {
        (moment - timedelta(seconds=1)).date(),
        moment.date(),
        (moment + timedelta(seconds=1)).date(),
    }


# What a question is about -------------------------------------------------------------------------------

_INSTRUMENT = words(
    r"[\w-]*bench(?:mark)?s?|ind(?:ex|ices)|surveys?|leaderboards?|scoreboards?|arena|suites?"
)
_URL = re.compile(r"https?://\S+")

SPEEDUPS = frozenset(
    {SpeedupKind.LABOUR_INPUT, SpeedupKind.PROGRESS, SpeedupKind.PERCEIVED, SpeedupKind.THROUGHPUT}
)
"""Kinds of which a multiple is asked; a capability indicator is a level."""


def is_numeric(question: Question) -> bool:
    """Whether a number decides."""
    return (
        question.threshold is not None
        or question.numeric_range is not None
        or question.speedup_kind is not SpeedupKind.NONE
        or isinstance(question.rule, SeriesRule)
    )


def instrument(question: Question) -> str:
    """What the source measures with (benchmark, index, survey, leaderboard, battery); empty if nothing."""
    if question.battery is not None:
        return "battery"
    texts = (
        question.title,
        question.measurement.procedure,
        question.measurement.formula,
        question.resolution.authority,
        question.resolution.selector,
    )
    found = _INSTRUMENT.search(_URL.sub(" ", "\n".join(texts)))
    return found.group() if found else ""
