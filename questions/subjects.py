"""What people are asked to read of a battery for one quarter, and how their readings become one number.

Two judges read a proxy that no program can read; the seats of a panel answer where proxies cannot speak. Each
reading is a ``Judgement`` of which the question is a subject (``area.C2``, ``area.panel``) at a quarter's end
(``area.C2@2027-03-31``). Pure, like the resolver.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

from questions.evidence import Judgement
from questions.question import BatteryRule, EvidenceClass, Panel, Proxy, Question, ReadBy

READING = "reading"
"""The judge found a ratio: ``value`` is the lower end of its interval (a panel's seat: the factor itself)."""

NOTHING = "nothing"
"""The judge found nothing published that shows one."""

JUDGES_NEEDED = 2


@dataclass(frozen=True)
class Subject:
    """Something to be read each quarter. ``questions`` are the ids of those whose outcome it may decide."""

    series: str
    title: str
    procedure: str
    rule: BatteryRule
    panel: Panel | None
    questions: tuple[str, ...]

    @property
    def version(self) -> str:
        """SHA-256 of what is read by which rule: readings belong to the text that was read."""
        told = "\n".join([self.series, self.procedure, f"{self.rule.level:g} {self.rule.agree_within:g}"])
        return hashlib.sha256(told.encode()).hexdigest()

    def at(self, end: date) -> str:
        """What a reading of a quarter's end is a judgement of."""
        return f"{self.series}@{end}"


@dataclass(frozen=True)
class Joint:
    """What the readings of one quarter come to. ``lower`` None: nothing to be stored, for this reason."""

    lower: float | None
    reason: str
    open: bool = False


def subjects(questions: Iterable[Question]) -> dict[str, Subject]:
    """Everything people read for these questions, by series, in order of series."""
    found: dict[str, Subject] = {}
    asked: dict[str, set[str]] = {}
    for question in questions:
        for subject in _of(question):
            found.setdefault(subject.series, subject)
            asked.setdefault(subject.series, set()).add(question.id)
    return {
        series: Subject(
            series,
            found[series].title,
            found[series].procedure,
            found[series].rule,
            found[series].panel,
            tuple(sorted(asked[series])),
        )
        for series in sorted(found)
    }


def _of(question: Question) -> Iterable[Subject]:
    rule = question.battery
    for arm in rule.arms if rule is not None else ():
        assert rule is not None
        for proxy in arm.proxies:
            if proxy.read_by is ReadBy.JUDGES:
                title = f"{arm.area}: {proxy.id} {proxy.name}"
                yield Subject(arm.series(proxy), title, _procedure(proxy, rule), rule, None, ())
        if question.panel is not None and len(rule.arms) == 1:
            panel = question.panel
            yield Subject(f"{arm.area}.panel", f"{arm.area}: panel", panel.question, rule, panel, ())


def _procedure(proxy: Proxy, rule: BatteryRule) -> str:
    what = "gain" if proxy.evidence is EvidenceClass.GATE else "ratio"
    return " ".join(
        part
        for part in (
            f"{proxy.measures} The {what}: {proxy.ratio}. Give the lower end of its two-sided {rule.level:.0%} "
            f"interval as value, with the addresses it was read from, or the outcome {NOTHING} when nothing published "
            "by 23:59:59 UTC of the quarter's last day shows one.",
            rule.interval,
            f"Source to begin with: {proxy.source_url or 'none is known'}.",
        )
        if part
    )


def joint(subject: Subject, readings: Sequence[Judgement]) -> Joint:
    """What the readings of one subject and one quarter, in order of time, come to."""
    last: Mapping[str, Judgement] = {one.judge: one for one in readings}
    told = [one.value if one.outcome == READING else None for one in last.values()]
    if subject.panel is not None:
        return _of_panel(subject.panel, told)
    if len(told) < JUDGES_NEEDED:
        return Joint(None, f"{len(told)} of {JUDGES_NEEDED} judges", open=True)
    first, second, *more = told
    if first is None and second is None:
        return Joint(None, "both judges found nothing published")
    if first is not None and second is not None:
        small, large = sorted((first, second))
        if large == small or (small > 0 and large <= subject.rule.agree_within * small):
            return Joint(small, "the smaller one of two judges who agree")
    if not more:
        return Joint(None, "two judges differ: a third judge is needed", open=True)
    ordered = sorted((first, second, more[0]), key=lambda value: (value is not None, value or 0.0))
    return Joint(ordered[1], "the middle one of three judges")


def _of_panel(panel: Panel, told: Sequence[float | None]) -> Joint:
    answers = [value for value in told if value is not None]
    if len(answers) < panel.quorum:
        return Joint(None, f"{len(answers)} answers, the quorum is {panel.quorum}", open=True)
    return Joint(median(answers), f"the median of {len(answers)} answers")
