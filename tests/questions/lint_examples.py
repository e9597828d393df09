"""Questions that the linter finds nothing wrong with, one of each kind, to be spoilt one key at a time."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from questions.question import Question
from questions.time import parse_utc

BINARY: dict[str, Any] = {
    "id": "agentbench-80-2027",
    "version": 1,
    "title": "Does a system score at least 80% on AgentBench Hard by 2027-12-31?",
    "kind": "binary",
    "areas": ["agent_scaffolding"],
    "view": "model",
    "speedup_kind": "capability_indicator",
    "threshold": {
        "value": 80.0,
        "unit": "%",
        "comparator": ">=",
        "statistic": "point estimate of the best single entry",
    },
    "measurement": {
        "procedure": "Yes when a system on the leaderboard of AgentBench Hard, version 2.1, has a score of 80% or "
        "more, dated by 2027-12-31. Open the table and read the column Score.",
        "formula": "max(score over eligible entries)",
        "rounding": "compared as published, to one decimal",
        "eligibility": "Public and internal systems; one attempt per task (pass@1); any scaffold; no human help; "
        "no cap on cost.",
        "leakage_policy": "Entries flagged as leaked do not count.",
        "version_policy": "pin",
        "version": "2.1",
    },
    "resolution": {
        "authority": "The published table of AgentBench Hard, read by the tracker's script",
        "primary_url": "https://bench.example.org/hard/v2.1/results.csv",
        "selector": "tab Hard, filter all, column Score, sorted by Score",
        "fallback_urls": ["https://mirror.example.net/hard-v2.1.csv"],
        "snapshot_policy": "The body, its hash and the time of the fetch are stored.",
        "if_gone": "last_snapshot",
        "if_silent": "default_outcome",
        "if_bound_only": "counts_if_decisive",
    },
    "dates": {
        "open": parse_utc("2027-01-04"),
        "close": parse_utc("2027-12-31T23:59:59Z"),
        "resolve": parse_utc("2028-01-31"),
        "event_basis": "event_date",
        "report_grace_days": 30,
    },
    "outcomes": ["yes", "no"],
    "default_outcome": "no",
    "current_value": {
        "value": 41.5,
        "as_of": parse_utc("2026-11-01"),
        "url": "https://bench.example.org/hard",
    },
    "cost_minutes": 0,
    "fixtures": [
        {
            "name": "an entry of 80",
            "world": [{"at": parse_utc("2027-06-01").date(), "series": "agentbench", "value": 80.0}],
            "expected": "yes",
        },
        {"name": "nothing", "world": [], "expected": "no"},
    ],
}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The record with keys changed: a dotted name reaches into a table, None takes the key out."""
    record = copy.deepcopy(dict(base))
    for name, value in changes.items():
        *tables, key = name.split(".")
        table = record
        for part in tables:
            table = table.setdefault(part, {})
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
    return record


def fixtures(*outcomes: str) -> list[dict[str, Any]]:
    return [{"name": outcome, "world": [], "expected": outcome} for outcome in outcomes]


GOOD: dict[str, dict[str, Any]] = {
    "binary": BINARY,
    "event": merged(
        BINARY,
        {
            "title": "Does Parliament pass the Frontier Safety Bill by 2027-12-31?",
            "speedup_kind": "none",
            "threshold": None,
            "current_value": None,
            "measurement": {
                "procedure": "Yes when Parliament has passed the Frontier Safety Bill by 2027-12-31, as the register "
                "of acts shows."
            },
            "resolution.primary_url": "https://register.example.org/acts/2027",
            "resolution.selector": "section Acts passed",
            "resolution.authority": "The register of acts, as Parliament publishes it",
            "resolution.if_bound_only": None,
            "cost_minutes": 5,
        },
    ),
    "labour": merged(
        BINARY,
        {
            "title": "Is audit work 3x faster with AI tools by 2027-12-31?",
            "speedup_kind": "labour_input",
            "threshold": {
                "value": 3.0,
                "unit": "x",
                "comparator": ">=",
                "statistic": "lower end of the 95% interval of the ratio of times",
            },
            "baseline": {
                "reference": "tools_2026-01-22",
                "value": 1.0,
                "standard_deviation": 0.5,
                "source_url": "https://study.example.org/baseline",
            },
            "measurement.procedure": "Yes when a matched comparison finds audit work 3x faster with the AI tools "
            "of its day than with those of the baseline, in a study dated by 2027-12-31 from the frozen list of "
            "studies (commit 3f9d2c1).",
            "current_value.value": 1.4,
        },
    ),
    "date": merged(
        BINARY,
        {
            "kind": "date",
            "title": "When does a system first score 80% on AgentBench Hard, by 2027-12-31?",
            "outcomes": ["date", "not_by_deadline"],
            "default_outcome": "not_by_deadline",
            "fixtures": fixtures("date", "not_by_deadline"),
            "date_range": {
                "lower": parse_utc("2027-01-04"),
                "upper": parse_utc("2027-12-31T23:59:59Z"),
                "day_convention": "noon UTC of the entry's date",
                "past_event": "annul",
            },
        },
    ),
    "ordering": merged(
        BINARY,
        {
            "kind": "ordering",
            "title": "Which first scores 80% on AgentBench Hard by 2027-12-31: ai_control or post_training?",
            "areas": ["ai_control", "post_training"],
            "outcomes": ["ai_control", "post_training", "tie", "neither"],
            "default_outcome": "neither",
            "fixtures": fixtures("ai_control", "post_training", "tie", "neither"),
            "measurement.procedure": "The first of ai_control and post_training to score 80% on the AgentBench "
            "Hard leaderboard by 2027-12-31.",
            "resolution.evidence_whitelist": ["the table of AgentBench Hard"],
            "ordering": {
                "a": "ai_control",
                "b": "post_training",
                "tie_window_days": 30,
                "tie_outcome": "tie",
                "neither_outcome": "neither",
                "both_before_open": "annul",
            },
        },
    ),
    "numeric": merged(
        BINARY,
        {
            "kind": "numeric",
            "title": "What is the best score on AgentBench Hard on 2027-12-31?",
            "threshold": None,
            "outcomes": ["value", "none"],
            "default_outcome": "none",
            "fixtures": fixtures("value", "none"),
            "measurement.aggregation": "best single entry",
            "measurement.procedure": "The best score on the leaderboard of AgentBench Hard, dated by 2027-12-31.",
            "numeric_range": {
                "lower": 0.0,
                "upper": 100.0,
                "open_lower": False,
                "open_upper": False,
                "unit": "%",
                "scale": "linear",
            },
        },
    ),
    "multiple_choice": merged(
        BINARY,
        {
            "kind": "multiple_choice",
            "title": "Which system leads AgentBench Hard on 2027-12-31?",
            "threshold": None,
            "current_value": None,
            "outcomes": ["Alpha", "Beta", "other or none"],
            "default_outcome": "other or none",
            "fixtures": fixtures("Alpha", "Beta", "other or none"),
            "measurement.aggregation": "best single entry",
            "measurement.procedure": "The system that leads the leaderboard of AgentBench Hard by 2027-12-31.",
        },
    ),
    "conditional": merged(
        BINARY,
        {
            "kind": "conditional",
            "conditional": {
                "parent": "treaty-2027",
                "parent_deadline": parse_utc("2027-06-30"),
                "if_parent_no": "annul",
                "if_parent_void": "annul",
            },
        },
    ),
}


def question(kind: str, **changes: Any) -> Question:
    """A good question of a kind, spoilt by ``changes`` (dots written as two underscores)."""
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return Question.model_validate(merged(GOOD[kind], named))
