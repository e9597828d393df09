"""The linter of our own questions: can two people who never met resolve this the same way?

Each rule reads a record and says what to write instead. Rules that need more than the record get it from the
caller: test worlds are run by a ``FixtureCheck``, a fresh ``current_value`` is fetched by whoever has a network.
"""

from __future__ import annotations

from questions.lint.every import RULES
from questions.lint.files import SCHEMA, lint_draft
from questions.lint.report import WAIVER, Place, Report, Waived, lint
from questions.lint.rule import Context, FixtureCheck, Hit, Rule

__all__ = [
    "RULES",
    "SCHEMA",
    "WAIVER",
    "Context",
    "FixtureCheck",
    "Hit",
    "Place",
    "Report",
    "Rule",
    "Waived",
    "lint",
    "lint_draft",
]
