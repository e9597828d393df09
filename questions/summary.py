"""What the catalogue asks, counted: by area, view, kind and horizon, and by who decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from questions.model import QuestionKind, View
from questions.question import Question, ReadBy
from questions.rules import Judged
from questions.subjects import JUDGES_NEEDED, subjects

_MONTH = 30.44


class Decider(StrEnum):
    """Who brings a question to its outcome."""

    PROGRAM = "program"  # a rule over stored series or a platform's outcome
    BOTH = "program and judges"  # a battery: the program evaluates it, judges read some of its proxies
    JUDGES = "judges"  # two of them, a third where they differ


@dataclass(frozen=True, order=True)
class Row:
    """How many questions there are of one area, view, kind and horizon, and who decides them."""

    area: str
    view: str
    kind: str
    months: int
    questions: int
    program: int
    both: int
    judges: int


@dataclass(frozen=True)
class Summary:
    """``rows`` count a question on several areas for each of them; everything else counts it once.

    ``readings`` are the proxies and panels people read each quarter, whatever number of questions needs them;
    ``judge_minutes`` what the two judges of all proxies need for it, both together; ``minutes_each`` is the time
    for one reading, ``judged_minutes`` those of the questions that only judges decide, once each at the end.
    """

    rows: tuple[Row, ...]
    questions: int
    deciders: dict[Decider, int]
    proxies: int
    panels: int
    minutes_each: int
    judged_minutes: int

    @property
    def judge_minutes(self) -> int:
        return self.proxies * JUDGES_NEEDED * self.minutes_each


def months_of(question: Question) -> int:
    """Months from the opening to the settlement, rounded: 3, 6, 12 for indicators."""
    return round((question.dates.settled_by - question.dates.open).days / _MONTH)


def decider(question: Question) -> Decider:
    """Who decides a question."""
    if question.battery is not None:
        multiple = question.threshold.value if question.threshold is not None else 0.0
        deciding = [proxy for arm in question.battery.arms for proxy in arm.deciding(multiple)]
        judged = any(proxy.read_by is ReadBy.JUDGES for proxy in deciding)
        return Decider.BOTH if judged else Decider.PROGRAM
    judged = question.rule is None or isinstance(question.rule, Judged)
    return Decider.JUDGES if judged else Decider.PROGRAM


def summary(questions: Iterable[Question]) -> Summary:
    """The counts over some questions."""
    asked = list(questions)
    cells: Counter[tuple[str, View, QuestionKind, int]] = Counter()
    by: Counter[tuple[str, View, QuestionKind, int, Decider]] = Counter()
    for question in asked:
        for area in question.areas:
            cell = (area, question.view, question.kind, months_of(question))
            cells[cell] += 1
            by[*cell, decider(question)] += 1
    rows = sorted(
        Row(
            area,
            view.value,
            kind.value,
            months,
            count,
            *(by[area, view, kind, months, who] for who in Decider),
        )
        for (area, view, kind, months), count in cells.items()
    )
    read = subjects(asked).values()
    deciders = Counter(decider(question) for question in asked)
    return Summary(
        rows=tuple(rows),
        questions=len(asked),
        deciders={who: deciders[who] for who in Decider},
        proxies=sum(subject.panel is None for subject in read),
        panels=sum(subject.panel is not None for subject in read),
        minutes_each=max((one.cost_minutes or 0 for one in asked if one.battery is not None), default=0),
        judged_minutes=sum(one.cost_minutes or 0 for one in asked if decider(one) is Decider.JUDGES),
    )
