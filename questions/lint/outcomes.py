"""Rules about dates, thresholds and outcomes: what each kind of question has to settle beforehand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta

from questions.fields import ANNUL
from questions.findings import Severity
from questions.lint import buckets
from questions.lint.rule import (
    DATE,
    SPEEDUPS,
    Context,
    Hit,
    contextual,
    criteria,
    date_of,
    dates_in,
    days_of,
    is_numeric,
    rule,
    title_and_criteria,
    words,
)
from questions.locate import KeyPath
from questions.model import QuestionKind
from questions.question import Question
from questions.rules import SeriesRule

_DEADLINE = re.compile(
    rf"\b(?:by|before|until|till|up to|no later than|on or before)\s+"
    rf"(?:the end of\s+|midnight\s+(?:on|of)\s+|noon\s+(?:on|of)\s+)?(?P<day>{DATE.pattern})",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"(?<![\d:+-])(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?"
    r"(?!\d|:)(?!\s*(?:[ap]\.?m\.?\s*)?(?:Z\b|\(?UTC|\(?GMT|\(?[A-Z]{1,4}T\b|[+-]\d{2}))"
)
_ASKS_FOR_A_LEVEL = re.compile(
    r"\b(?:at least|at most|above|below|over|under|more than|less than|fewer than|exceeds?|reach(?:es)?|>=?|<=?)"
    r"\s*(?:a score of\s+)?\$?\d+(?:[.,]\d+)*\s*(?:%|x\b|[a-z])?",
    re.IGNORECASE,
)
_WHOLE = words(r"whole|integers?|counts?")
_REST = words(r"others?|none|neither|nothing|nobody|no one|not|never|else|rest|no")
_NOT_BY = words(r"not|never|none|no|after|later|beyond")
_HALVES = re.compile(
    r"\b50\s*[-/–:]\s*50\b|\b(?:one )?half (?:each|to each)\b|\bsplit (?:evenly|equally|in half)\b"
    r"|\bpays? (?:out )?(?:one )?half\b|\b0?\.5 (?:each|to each)\b",
    re.IGNORECASE,
)
_DENIED = re.compile(r"\b(?:no|not|never|nor)\b[^.;]{0,15}$", re.IGNORECASE)


@rule("Q03", Severity.ERROR, "open, close and resolve in this order, with an hour for resolving")
def order_of_dates(question: Question) -> Iterator[Hit]:
    dates = question.dates
    if dates.resolve - dates.close < timedelta(hours=1):
        yield Hit(
            ("dates", "resolve"),
            "less than an hour lies between close and resolve",
            "set resolve at least one hour after close, better the days a report needs",
        )


@rule("Q04", Severity.ERROR, "dates in the text are those of the record, times have a zone")
def dates_in_text(question: Question) -> Iterator[Hit]:
    days = days_of(question)
    told: list[tuple[KeyPath, str, date | None]] = [
        (("title",), written, day) for written, day in dates_in(question.title)
    ]
    for path, text in criteria(question):
        for match in _DEADLINE.finditer(text):
            inner = DATE.search(match["day"])
            day = date_of(inner) if inner else None
            if day is None or day >= question.dates.open.date():  # an earlier one is no deadline of ours
                told.append((path, match["day"], day))
    for path, written, day in dict.fromkeys(told):
        if day is None:
            yield Hit(path, f"{written} is no day of the calendar", "write a date that exists, YYYY-MM-DD")
        elif day not in days:
            yield Hit(
                path,
                f"{written} is none of the record's dates (close is {question.dates.close:%Y-%m-%dT%H:%MZ})",
                "make the text and [question.dates] name the same day in UTC",
            )
    for path, text in title_and_criteria(question):
        for match in _CLOCK.finditer(text):
            yield Hit(
                path,
                f"{match.group()} has no time zone",
                f"write {match.group()} UTC, or the zone that is meant",
            )


@rule("Q06", Severity.ERROR, "a threshold with its unit, ranges without gap or overlap")
def threshold(question: Question) -> Iterator[Hit]:
    given, ranged = question.threshold, question.kind in (QuestionKind.NUMERIC, QuestionKind.MULTIPLE_CHOICE)
    asked = _ASKS_FOR_A_LEVEL.search(DATE.sub(" ", question.title))
    if given is None and not ranged and (question.speedup_kind in SPEEDUPS or asked):
        yield Hit(
            ("threshold",),
            f"the title asks for a level ({asked.group()})"
            if asked
            else "a speedup question needs its multiple",
            'add [question.threshold] with value, unit, comparator (">=", ">", "<=" or "<") and statistic',
        )
    if given is not None and not given.unit.strip():
        yield Hit(
            ("threshold", "unit"),
            f"{given.value:g} of what? The unit is missing",
            'add unit = "…", such as "x", "%" or "minutes"',
        )
    whole = bool(_WHOLE.search(question.measurement.rounding))
    for message, fix in buckets.faults(question.outcomes, whole=whole):
        yield Hit(("outcomes",), message, fix)


@rule("Q07", Severity.ERROR, "how the number is made: formula, statistic, rounding")
def statistic(question: Question) -> Iterator[Hit]:
    if not is_numeric(question):
        return
    measurement = question.measurement
    if not measurement.formula.strip():
        yield Hit(
            ("measurement", "formula"),
            "it is not said how the figure is computed",
            'add formula = "…": what is divided by what, over which entries',
        )
    named = question.threshold.statistic if question.threshold else measurement.aggregation
    if not named.strip() and not isinstance(question.rule, SeriesRule):
        key = ("threshold", "statistic") if question.threshold else ("measurement", "aggregation")
        yield Hit(
            key,
            "it is not said which statistic counts",
            f'add {key[1]} = "…": point estimate, median, lower end of the 95% interval, best single run',
        )
    if not measurement.rounding.strip():
        yield Hit(
            ("measurement", "rounding"),
            "it is not said how figures are rounded before they are compared",
            'add rounding = "…", such as "compared unrounded, as published"',
        )


@rule("Q12", Severity.ERROR, "outcomes that exclude each other and leave nothing out")
def outcomes(question: Question) -> Iterator[Hit]:
    seen: dict[str, str] = {}
    for outcome in question.outcomes:
        plain = " ".join(outcome.casefold().split())
        if plain in seen:
            yield Hit(
                ("outcomes",),
                f"{outcome!r} and {seen[plain]!r} differ only in writing",
                "keep one of them",
            )
        seen[plain] = outcome
    for plain, outcome in seen.items():
        parts = re.split(r"\s+(?:or|and)\s+|\s*/\s*", plain)
        if len(parts) > 1 and any(part in seen for part in parts):
            yield Hit(
                ("outcomes",),
                f"{outcome!r} can be true together with one of its parts",
                "write outcomes of which exactly one can be true",
            )
    if question.kind is QuestionKind.MULTIPLE_CHOICE:
        ranges = [buckets.bucket(outcome) for outcome in question.outcomes]
        if not all(ranges) and not any(_REST.search(outcome) for outcome in question.outcomes):
            yield Hit(
                ("outcomes",),
                "nothing stands for what is none of the options",
                'add an outcome such as "other or none" and make it the default_outcome',
            )


@contextual("Q13", Severity.ERROR, "a test world for every outcome, and the resolver reaches it")
def two_sided(question: Question, context: Context) -> Iterator[Hit]:
    for message in context.fixtures(question):
        yield Hit(
            ("fixtures",),
            message,
            "give [[question.fixtures]] a small world with its expected outcome, one for each outcome at least; "
            "where a world is right, mend the criteria",
        )


@rule("Q14", Severity.ERROR, "a date question: bounds, no date by then, which hour, what is past")
def date_kind(question: Question) -> Iterator[Hit]:
    dates = question.date_range
    if dates is None:
        return
    if not _NOT_BY.search(question.default_outcome.replace("_", " ")):
        yield Hit(
            ("default_outcome",),
            "there is no outcome for an event that does not come by the upper bound",
            'add an outcome such as "not_by_deadline" and make it the default_outcome',
        )
    if not dates.day_convention.strip():
        yield Hit(
            ("date_range", "day_convention"),
            "it is not said which moment a day stands for",
            'add day_convention = "…", such as "noon UTC of the day"',
        )
    if not dates.past_event.strip():
        yield Hit(
            ("date_range", "past_event"),
            "it is not said what an event before the opening does",
            'add past_event = "…", such as "resolves to the day it happened" or "annul"',
        )


@rule("Q15", Severity.ERROR, "an ordering: equal terms for both, its own outcomes for tie and neither")
def ordering_kind(question: Question) -> Iterator[Hit]:
    ordering = question.ordering
    if ordering is None:
        return
    wins = (ordering.a, ordering.b)
    for name in ("tie_outcome", "neither_outcome"):
        if getattr(ordering, name) in wins:
            yield Hit(
                ("ordering", name),
                f"{name} gives the win to {getattr(ordering, name)!r}",
                "write an outcome of its own, or annul",
            )
    if ordering.tie_outcome == ordering.neither_outcome != ANNUL:
        yield Hit(
            ("ordering", "neither_outcome"),
            f"tie and neither share the outcome {ordering.tie_outcome!r}",
            "give neither an outcome of its own, or annul",
        )
    battery = question.battery
    if battery is not None and {arm.area for arm in battery.arms} != set(question.areas):
        yield Hit(
            ("battery", "arms"),
            "the battery does not measure exactly the areas that are compared",
            f"give it one arm for each of: {', '.join(question.areas)}",
        )
    if battery is None and question.rule is None and not question.resolution.evidence_whitelist:
        yield Hit(
            ("resolution", "evidence_whitelist"),
            "it is not said which evidence counts for either arm",
            "list in evidence_whitelist what counts, the same for both",
        )
    for path, text in criteria(question):
        for match in _HALVES.finditer(text):
            if not _DENIED.search(text[: match.start()]):
                yield Hit(
                    path,
                    f"{match.group()!r}: a price would then mean P(first) + P(neither) / 2, no probability",
                    "make tie and neither outcomes of their own, or annul",
                )


@rule("Q16", Severity.ERROR, "a conditional: annulled when its parent is not met")
def conditional_kind(question: Question) -> Iterator[Hit]:
    conditional = question.conditional
    if conditional is None:
        return
    if conditional.if_parent_no != ANNUL:
        yield Hit(
            ("conditional", "if_parent_no"),
            f"{conditional.if_parent_no!r}: a question is not scored in a world it is not about",
            'write if_parent_no = "annul"',
        )
    if conditional.if_parent_void not in (*question.outcomes, ANNUL):
        yield Hit(
            ("conditional", "if_parent_void"),
            f"{conditional.if_parent_void!r} is neither an outcome nor annul",
            'write if_parent_void = "annul"',
        )
    if conditional.parent_deadline <= question.dates.open:
        yield Hit(
            ("conditional", "parent_deadline"),
            "the condition is settled before the question opens",
            "ask the question plainly, or move parent_deadline",
        )


@rule("Q17", Severity.ERROR, "a number: bounds, unit, scale")
def numeric_kind(question: Question) -> Iterator[Hit]:
    asked = question.numeric_range
    if asked is None:
        return
    if not asked.unit.strip():
        yield Hit(
            ("numeric_range", "unit"),
            "the unit of the number is missing",
            'add unit = "…", such as "%" or "minutes"',
        )
    elif question.threshold is not None and question.threshold.unit not in ("", asked.unit):
        yield Hit(
            ("numeric_range", "unit"),
            f"the range is in {asked.unit}, the threshold in {question.threshold.unit}",
            "write both in one unit",
        )


RULES = (
    order_of_dates,
    dates_in_text,
    threshold,
    statistic,
    outcomes,
    two_sided,
    date_kind,
    ordering_kind,
    conditional_kind,
    numeric_kind,
)
