"""A new question as TOML: what its author has said, sound defaults, and a TODO wherever only they can decide.

The linter finds nothing in it but what is marked. Defaults are the strict choice (a changed instrument
annuls, silence is the default outcome): an author who means something else writes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from questions.lint.rule import SPEEDUPS
from questions.model import QuestionKind, SpeedupKind
from questions.toml_text import toml_value

TODO = "TODO"
"""Marks in the file what the author must still decide."""

_EVIDENCE: Mapping[SpeedupKind, str] = {
    SpeedupKind.LABOUR_INPUT: "matched_comparison",
    SpeedupKind.PROGRESS: "matched_comparison or progress_rate",
    SpeedupKind.PERCEIVED: "perceived",
    SpeedupKind.THROUGHPUT: "throughput",
}
_OUTCOMES: Mapping[QuestionKind, tuple[str, ...]] = {
    QuestionKind.BINARY: ("yes", "no"),
    QuestionKind.CONDITIONAL: ("yes", "no"),
    QuestionKind.DATE: ("date", "not_by_deadline"),
    QuestionKind.NUMERIC: ("value", "none"),
}
_GRACE_DAYS = 30
_STATISTIC = f"{TODO}: point estimate, median, lower end of which interval"


@dataclass(frozen=True)
class Answers:
    """What the author has said. Empty or None: not decided yet.

    ``level`` with ``unit`` and ``comparator`` is the threshold; ``series`` a stored series a script can resolve
    by (without one, two judges do). ``lower`` and ``upper`` are a numeric question's bounds; ``parent`` and
    ``parent_deadline`` belong to a conditional one, ``options`` to a multiple choice. The first two areas are the
    arms of an ordering.
    """

    id: str
    title: str
    kind: QuestionKind
    areas: tuple[str, ...]
    view: str
    speedup_kind: SpeedupKind
    open: datetime
    close: datetime
    resolve: datetime | None = None
    procedure: str = ""
    formula: str = ""
    eligibility: str = ""
    statistic: str = ""
    url: str = ""
    fallback_url: str = ""
    selector: str = ""
    series: str = ""
    level: float | None = None
    unit: str = ""
    comparator: str = ">="
    current: float | None = None
    current_on: datetime | None = None
    lower: float | None = None
    upper: float | None = None
    parent: str = ""
    parent_deadline: datetime | None = None
    options: tuple[str, ...] = ()

    @property
    def numeric(self) -> bool:
        """Whether a number decides."""
        return (
            self.level is not None
            or self.kind is QuestionKind.NUMERIC
            or self.speedup_kind is not SpeedupKind.NONE
            or bool(self.series)
        )

    @property
    def outcomes(self) -> tuple[str, ...]:
        if self.kind is QuestionKind.ORDERING:
            return (*self.areas[:2], "tie", "neither")
        if self.kind is QuestionKind.MULTIPLE_CHOICE:
            return (*self.options, "other or none")
        return _OUTCOMES[self.kind]

    @property
    def by_series(self) -> bool:
        """Whether a script can resolve it."""
        kinds = (QuestionKind.BINARY, QuestionKind.CONDITIONAL, QuestionKind.DATE)
        crossing = self.kind in kinds and self.level is not None
        return bool(self.series) and (crossing or self.kind is QuestionKind.NUMERIC)


def toml_of(answers: Answers) -> str:
    """The whole ``[[question]]`` with its tables and test worlds, beginning with an empty line."""
    return "\n".join(["", *_lines(answers), ""])


def _lines(answers: Answers) -> Iterator[str]:
    yield "[[question]]"
    yield from _pairs(_head(answers))
    yield ""
    yield "[question.dates]"
    yield from _pairs(_dates(answers))
    yield from _blocks(answers)
    yield ""
    yield "[question.measurement]"
    yield from _pairs(_measurement(answers))
    yield ""
    yield "[question.resolution]"
    yield from _resolution(answers)
    yield from _worlds(answers)


def _pairs(values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        yield f"{key} = {toml_value(value)}"


def _head(answers: Answers) -> dict[str, Any]:
    return {
        "id": answers.id,
        "version": 1,
        "title": answers.title,
        "kind": answers.kind.value,
        "areas": answers.areas,
        "view": answers.view,
        "speedup_kind": answers.speedup_kind.value,
        "outcomes": answers.outcomes,
        "default_outcome": answers.outcomes[-1],
        "cost_minutes": 0 if answers.by_series else 15,
    }


def _dates(answers: Answers) -> dict[str, Any]:
    return {
        "open": answers.open,
        "close": answers.close,
        "resolve": answers.resolve or answers.close + timedelta(days=_GRACE_DAYS),
        "event_basis": "event_date",
        "report_grace_days": _GRACE_DAYS,
    }


def _measurement(answers: Answers) -> dict[str, Any]:
    values: dict[str, Any] = {
        "procedure": answers.procedure
        or f"{TODO}: say step by step when this has happened by {answers.close:%Y-%m-%d}, in words that two "
        f"strangers read alike: {answers.title}"
    }
    if answers.numeric:
        values |= {
            "formula": answers.formula or f"{TODO}: what is divided by what, over which entries",
            "rounding": "figures are compared unrounded, as published",
            "eligibility": answers.eligibility
            or f"{TODO}: from which list or query; public or internal systems; attempts allowed; scaffold; human "
            "help; a cap on cost or computing",
            "leakage_policy": "Entries that their board flags as leaked do not count.",
        }
    if answers.kind is QuestionKind.NUMERIC or (answers.numeric and answers.level is None):
        values["aggregation"] = answers.statistic or _STATISTIC
    return {**values, "version_policy": "annul_on_change"}


def _resolution(answers: Answers) -> Iterator[str]:
    reader = "a script" if answers.by_series else "two judges who do not know each other's answer"
    yield from _pairs({"authority": f"The source named below, read by {reader}"})
    if answers.url:
        yield from _pairs({"primary_url": answers.url})
    else:
        yield f'# {TODO} primary_url = "https://…"  (the very page, table or file with the figure)'
    if answers.fallback_url:
        yield from _pairs({"fallback_urls": [answers.fallback_url]})
    yield from _pairs(
        {
            "selector": answers.selector
            or f"{TODO}: column, section, tab, filter and sort order, or JSON pointer",
            "snapshot_policy": "The body, its hash and the time of the fetch are stored.",
            "if_gone": "annul",
            "if_silent": "default_outcome",
            "if_bound_only": "counts_if_decisive",
            "if_method_changes": "annul",
            "if_revised": "latest",
        }
    )
    evidence = _EVIDENCE.get(answers.speedup_kind)
    if evidence is not None:
        yield from _pairs({"evidence_whitelist": [f"{TODO}: which {evidence} evidence decides, from where"]})
    elif answers.kind is QuestionKind.ORDERING:
        yield from _pairs({"evidence_whitelist": [f"{TODO}: what counts, the same for both"]})


def _blocks(answers: Answers) -> Iterator[str]:
    """The tables that a kind, a threshold or a speedup needs."""
    blocks: dict[str, dict[str, Any]] = {}
    if answers.level is not None:
        blocks["threshold"] = {
            "value": answers.level,
            "unit": answers.unit or f"{TODO}: %, minutes, x, …",
            "comparator": answers.comparator,
            "statistic": answers.statistic or _STATISTIC,
        }
    if answers.speedup_kind in SPEEDUPS:
        blocks["baseline"] = {
            "reference": "tools_2026-01-22",
            "window_start": date(2023, 1, 1),
            "window_end": date(2026, 1, 22),
            "source_url": "https://www.lesswrong.com/posts/z4FvJigv3c8sZgaKZ",
        }
    blocks |= _kind_block(answers)
    if answers.current is not None and answers.current_on is not None:
        blocks["current_value"] = {"value": answers.current, "as_of": answers.current_on}
    blocks["rule"] = _rule(answers)
    for name, values in blocks.items():
        yield from ("", f"[question.{name}]", *_pairs(values))
    if answers.numeric and answers.current is None:
        yield f"\n# {TODO} [question.current_value]: value, as_of and url of the figure as it stands"


def _kind_block(answers: Answers) -> dict[str, dict[str, Any]]:
    if answers.kind is QuestionKind.DATE:
        return {
            "date_range": {
                "lower": answers.open,
                "upper": answers.close,
                "day_convention": "noon UTC of the day of the event",
                "past_event": "An event before the opening annuls the question.",
            }
        }
    if answers.kind is QuestionKind.NUMERIC:
        bounds = {"lower": answers.lower, "upper": answers.upper, "open_lower": True, "open_upper": True}
        return {"numeric_range": {**bounds, "unit": answers.unit or f"{TODO}: the unit", "scale": "linear"}}
    if answers.kind is QuestionKind.ORDERING:
        a, b = answers.areas[:2]
        ends = {"tie_outcome": "tie", "neither_outcome": "neither", "both_before_open": "annul"}
        return {"ordering": {"a": a, "b": b, "tie_window_days": _GRACE_DAYS, **ends}}
    if answers.kind is QuestionKind.CONDITIONAL:
        due = {"parent": answers.parent, "parent_deadline": answers.parent_deadline}
        return {"conditional": {**due, "if_parent_no": "annul", "if_parent_void": "annul"}}
    return {}


def _rule(answers: Answers) -> dict[str, Any]:
    if not answers.by_series:
        return {"kind": "judged", "citations": 1, "minutes": 15}
    kinds = {QuestionKind.DATE: "first_crossing", QuestionKind.NUMERIC: "series_value"}
    return {"kind": kinds.get(answers.kind, "series_threshold"), "series": answers.series}


# Test worlds --------------------------------------------------------------------------------------------


def _worlds(answers: Answers) -> Iterator[str]:
    """One world for every outcome, and one without any word."""
    for outcome in answers.outcomes:
        yield from _world(answers, f"ends in {outcome}", outcome)


def _world(answers: Answers, name: str, outcome: str) -> Iterator[str]:
    facts = [*_parent(answers), *_facts(answers, outcome)]
    yield ""
    yield "[[question.fixtures]]"
    yield from _pairs({"name": name, "expected": outcome, "world": facts})


def _parent(answers: Answers) -> list[dict[str, Any]]:
    if answers.parent_deadline is None:
        return []
    day = (answers.parent_deadline - timedelta(days=1)).date()
    return [{"at": day, "series": f"question:{answers.parent}", "outcome": "yes"}]


def _facts(answers: Answers, outcome: str) -> list[dict[str, Any]]:
    day = (answers.close - timedelta(days=2)).date()
    if answers.by_series:
        if outcome == answers.outcomes[-1] and answers.kind is QuestionKind.NUMERIC:
            return []
        return [{"at": day, "series": answers.series, "value": _reading(answers, outcome)}]
    said: dict[str, Any] = {"outcome": outcome}
    if answers.kind is QuestionKind.NUMERIC and outcome == answers.outcomes[0]:
        said["value"] = _middle(answers)
    return [{"at": day, "series": f"judge:{name}", **said} for name in ("one", "two")]


def _reading(answers: Answers, outcome: str) -> float:
    """A value that meets the threshold, or does not, as the outcome wants."""
    if answers.level is None:
        return _middle(answers)
    towards = 1.0 if answers.comparator.startswith(">") else -1.0
    return answers.level + (towards if outcome == answers.outcomes[0] else -towards)


def _middle(answers: Answers) -> float:
    return ((answers.lower or 0.0) + (answers.upper or 0.0)) / 2
