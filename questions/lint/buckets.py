"""Outcomes that are ranges of numbers: reading them, and where they leave a gap or overlap."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

_NUMBER = r"(-?\d+(?:,\d{3})*(?:\.\d+)?)"
_UNIT = r"\s*(?:%|x|[a-z]+)?"
_BELOW = re.compile(rf"(<=?|≤|under|below|less than|fewer than|at most|up to)\s*{_NUMBER}{_UNIT}")
_ABOVE = re.compile(rf"(>=?|≥|over|above|more than|at least)\s*{_NUMBER}{_UNIT}")
_OR_LESS = re.compile(rf"{_NUMBER}{_UNIT}\s+or\s+(?:less|fewer|lower|below)")
_OR_MORE = re.compile(rf"{_NUMBER}{_UNIT}\s*(?:\+|or\s+(?:more|higher|above|greater))")
_BRACKETS = re.compile(rf"([\[(])\s*{_NUMBER}{_UNIT}\s*[,;]\s*{_NUMBER}{_UNIT}\s*([\])])")
_BETWEEN = re.compile(
    rf"{_NUMBER}{_UNIT}\s*(?:-|–|—|\.\.|to)\s*(<|under|below|less than)?\s*{_NUMBER}{_UNIT}"
)


@dataclass(frozen=True)
class Bucket:
    """A range; ``with_lower`` and ``with_upper`` are None where the wording leaves the edge open to doubt."""

    outcome: str
    lower: float
    upper: float
    with_lower: bool | None
    with_upper: bool | None


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def bucket(outcome: str) -> Bucket | None:
    """The range an outcome names; None when it names none."""
    text = outcome.strip().casefold()
    if found := _BELOW.fullmatch(text):
        closed = found[1] in ("<=", "≤", "at most", "up to")
        return Bucket(outcome, -math.inf, _number(found[2]), False, closed)
    if found := _ABOVE.fullmatch(text):
        closed = found[1] in (">=", "≥", "at least")
        return Bucket(outcome, _number(found[2]), math.inf, closed, False)
    if found := _OR_LESS.fullmatch(text):
        return Bucket(outcome, -math.inf, _number(found[1]), False, True)
    if found := _OR_MORE.fullmatch(text):
        return Bucket(outcome, _number(found[1]), math.inf, True, False)
    if found := _BRACKETS.fullmatch(text):
        return Bucket(outcome, _number(found[2]), _number(found[3]), found[1] == "[", found[4] == "]")
    if found := _BETWEEN.fullmatch(text):
        below = bool(found[2])
        edges = (True, False) if below else (None, None)
        return Bucket(outcome, _number(found[1]), _number(found[3]), *edges)
    return None


def faults(outcomes: Sequence[str], *, whole: bool) -> Iterator[tuple[str, str]]:
    """What is wrong with the ranges among the outcomes, and what to write.

    ``whole``: the figure is a whole number, so that 0-9 and 10-19 leave nothing out.
    """
    ranges = sorted(filter(None, map(bucket, outcomes)), key=lambda one: (one.lower, one.upper))
    if len(ranges) < 2:
        return
    for one, following in pairwise(ranges):
        first, second = repr(one.outcome), repr(following.outcome)
        if one.upper > following.lower or (
            one.upper == following.lower and one.with_upper and following.with_lower
        ):
            yield f"{first} and {second} overlap", "let each range begin where the one before it ends"
        elif one.upper == following.lower:
            if one.with_upper is False and following.with_lower is False:
                yield f"{one.upper:g} is in neither {first} nor {second}", "write which of them includes it"
            elif None in (one.with_upper, following.with_lower):
                yield (
                    f"it is not said whether {one.upper:g} is in {first} or {second}",
                    f'write which edge is inclusive: "[{_shown(one)})", "[{_shown(following)})"',
                )
        elif not (whole and following.lower - one.upper == 1):
            yield (
                f"between {first} and {second} there is a gap",
                "let each range begin where the one before it ends"
                ' (for whole numbers say so: rounding = "whole numbers")',
            )
    if not math.isinf(ranges[0].lower) or not math.isinf(ranges[-1].upper):
        yield (
            "values beyond the outermost ranges have no outcome",
            f'open the outermost ranges: "< {ranges[0].upper:g}", ">= {ranges[-1].lower:g}"',
        )


def _shown(one: Bucket) -> str:
    return ", ".join("…" if math.isinf(end) else f"{end:g}" for end in (one.lower, one.upper))
