"""Drafts to paste: a question in the fields of Metaculus' form, and as one page.

Metaculus takes questions through its web form only (its documented API writes forecasts), so a draft names each
field of the form and what goes into it. What its question types cannot say is said first, under "Check".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from questions.page import (
    background,
    criteria,
    escaped,
    fine_print,
    mark,
    moment,
    named,
    outcome_name,
    page,
)
from questions.question import ANNUL, Question

Names = Mapping[str, str]


def metaculus_draft(question: Question, names: Names) -> str:
    """The question field by field."""
    kind, fields, check = _metaculus_kind(question, names)
    dates = question.dates
    rows = {
        "Question type": kind,
        "Title": escaped(question.title),
        **fields,
        "Open time": moment(dates.open),
        "Closing date": moment(dates.close),
        "Resolving date": moment(dates.resolve),
        "Categories": "Artificial Intelligence",
    }
    parts = [
        f"# Draft for Metaculus: {escaped(question.title)}",
        "\n".join(f"- **{name}:** {text}" for name, text in rows.items()),
        "## Background information\n\n" + (background(question) or "(none)"),
        "## Resolution criteria\n\n" + criteria(question, names),
        "## Fine print\n\n" + "\n\n".join(part for part in (fine_print(question), mark(question)) if part),
    ]
    if check:
        parts.insert(1, "## Check\n\n" + "\n".join(f"- {line}" for line in check))
    return "\n\n".join(parts) + "\n"


def _metaculus_kind(question: Question, names: Names) -> tuple[str, dict[str, str], list[str]]:
    """Its type there, the fields that belong to the type, and what a person has to look at."""
    if question.date_range is not None:
        span = question.date_range
        fields = {
            "Range": f"{span.lower.date()} to {span.upper.date()}",
            "Lower bound": "closed",
            "Upper bound": f"open; beyond it is our outcome {named(question.default_outcome)}",
        }
        return "date", fields, ["Dates count from noon UTC there; our record names the second."]
    if question.numeric_range is not None and len(question.outcomes) == 2:
        numbers = question.numeric_range
        fields = {
            "Range": f"{numbers.lower:g} to {numbers.upper:g}",
            "Lower bound": "open" if numbers.open_lower else "closed",
            "Upper bound": "open" if numbers.open_upper else "closed",
            "Scale": numbers.scale,
            "Unit": escaped(numbers.unit) or "(none)",
        }
        none = named(question.default_outcome)
        return "numeric", fields, [f"Our outcome {none} is annulled there: a number has no answer for it."]
    check = []
    if question.conditional is not None:
        given = question.conditional
        check.append(
            f"A conditional there is a pair: publish {escaped(given.parent)} first, then this one as its child."
        )
        if given.if_parent_no != ANNUL:
            check.append("There, a parent that comes out no annuls the child; in our record it does not.")
    if set(question.outcomes) == {"yes", "no"}:
        return "binary", {}, check
    options = "; ".join(escaped(outcome_name(question, one, names)) for one in question.outcomes)
    return "multiple choice", {"Options": options}, check


DRAFTS: Mapping[str, Callable[[Question, Names], str]] = {"metaculus": metaculus_draft, "file": page}
