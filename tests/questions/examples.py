"""A question and a link as somebody might write them, and what is wrong with a folder that holds them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from questions.catalogue import load_catalogue
from questions.errors import CatalogueError, Problem
from questions.time import parse_utc

QUESTION = """\
[[question]]
id = "own-ordering-2x"
version = 1
title = "Which first reaches 2x by 2027-12-31?"
kind = "ordering"
areas = ["interpretability", "ai_control"]
view = "researcher"
speedup_kind = "progress"
outcomes = ["interpretability", "ai_control", "tie", "neither"]
default_outcome = "neither"

[question.threshold]
value = 2.0
unit = "x"

[question.dates]
open = 2027-01-04T00:00:00Z
close = 2027-12-31T23:59:59+02:00
resolve = 2028-03-31T00:00:00Z
event_basis = "event_date"

[question.resolution]
authority = "a script"

[question.ordering]
a = "interpretability"
b = "ai_control"
tie_window_days = 92
tie_outcome = "tie"
neither_outcome = "neither"
both_before_open = "annul"
"""

LINK = """\
[[link]]
platform = "manifold"
external_id = "abc123"
url = "https://manifold.markets/market/abc123"
label = "our wording"
relation = "proxy"
view = "model"
areas = ["interpretability"]
by = 2028-01-01T00:00:00Z
weight = 0.5
"""


def changed(text: str, old: str, new: str) -> str:
    """The text with one passage replaced, which must stand there exactly once."""
    assert text.count(old) == 1, old
    return text.replace(old, new)


def line_of(text: str, passage: str) -> int:
    """The line (from 1) on which a passage begins."""
    return text[: text.index(passage)].count("\n") + 1


def problems_of(*paths: Path, base: Path | None = None) -> tuple[Problem, ...]:
    """What is wrong with a catalogue that must not load."""
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(paths, base=base)
    assert caught.value.exit_code == 2
    return caught.value.problems


def binary(**changes: Any) -> dict[str, Any]:
    """The keys of a minimal binary question, with changes."""
    question: dict[str, Any] = {
        "id": "b1",
        "version": 1,
        "title": "Does it?",
        "kind": "binary",
        "areas": ["ai_control"],
        "view": "lab",
        "speedup_kind": "none",
        "outcomes": ["yes", "no"],
        "default_outcome": "no",
        "dates": dates(),
        "resolution": {"authority": "a script"},
    }
    return {**question, **changes}


def dates(**changes: str) -> Mapping[str, Any]:
    moments = {"open": "2027-01-01", "close": "2027-12-31", "resolve": "2028-03-31", **changes}
    return {name: parse_utc(day) for name, day in moments.items()}
