"""All rules, in order of their names."""

from __future__ import annotations

from questions.lint import evidence, outcomes, sources, wording
from questions.lint.rule import Rule

RULES: tuple[Rule, ...] = tuple(
    sorted((*sources.RULES, *outcomes.RULES, *wording.RULES, *evidence.RULES), key=lambda rule: rule.id)
)
"""Q01 to Q30."""
