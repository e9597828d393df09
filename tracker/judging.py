"""Batches for judges, out and in: JSON or CSV, checked whole before anything is kept.

A batch carries what a judge must read and room for one judgement a row; it never shows what other judges
decided, so that two of them stay independent. A row is a question that people decide, or, for one quarter, a
proxy or a panel of a battery that people read (``questions.subjects``).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from questions.evidence import Judgement
from questions.fields import ANNUL
from questions.model import QuestionKind
from questions.question import Question
from questions.receipts import Life
from questions.rules import Judged
from questions.subjects import NOTHING, READING, Subject
from questions.time import EPOCH, iso, parse_utc
from questions.worlds import quarters_over
from tracker.errors import UsageError

FORMAT = "speedup-judgements-1"
ASKED = ("question", "version", "title", "outcomes", "close", "procedure", "annul_if")
ANSWERED = ("judge", "outcome", "value", "on", "citations", "note", "made_at")
NEEDED = ("question", "version", *ANSWERED[:5])

Row = dict[str, Any]


def judged(question: Question) -> bool:
    """Whether people decide a question: its rule says so, or it has none."""
    return question.battery is None and (question.rule is None or isinstance(question.rule, Judged))


def rows_for(lives: Iterable[Life]) -> list[Row]:
    """One row a question: what to read, and empty places for the judgement."""
    found = []
    for life in lives:
        question = life.question
        asked = {
            "question": question.id,
            "version": life.version,
            "title": question.title,
            "outcomes": [*question.outcomes, ANNUL],
            "close": iso(question.dates.close),
            "procedure": question.measurement.procedure,
            "annul_if": list(question.annul_if),
        }
        empty: Row = {"judge": "", "outcome": "", "value": None, "on": None, "citations": [], "note": ""}
        found.append(asked | empty | {"made_at": None})
    return found


def rows_of_quarter(subjects: Iterable[Subject], end: date) -> list[Row]:
    """One row a proxy or panel, to be read as of a quarter's end."""
    return [
        {
            "question": subject.series,
            "version": subject.version,
            "title": subject.title,
            "outcomes": [READING, NOTHING],
            "close": f"{end}",
            "procedure": subject.procedure,
            "annul_if": [],
            "judge": "",
            "outcome": "",
            "value": None,
            "on": f"{end}",
            "citations": [],
            "note": "",
            "made_at": None,
        }
        for subject in subjects
    ]


def write(rows: Sequence[Row], form: str) -> str:
    """The batch as text, ``json`` or ``csv``; in CSV lists are joined by `` | ``."""
    if form == "json":
        return json.dumps({"format": FORMAT, "judgements": list(rows)}, ensure_ascii=False, indent=2) + "\n"
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*ASKED, *ANSWERED))
    for row in rows:
        writer.writerow([_cell(row[name]) for name in (*ASKED, *ANSWERED)])
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, list):
        return " | ".join(value)
    return "" if value is None else value


@dataclass(frozen=True)
class _Answer:
    """A filled row and where it stands in the file."""

    place: str
    row: Mapping[str, Any]

    def text(self, name: str) -> str:
        value = self.row.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise ValueError(f"{name}: should be text, not {type(value).__name__}")
        return value.strip()


def read(
    text: str,
    form: str,
    lives: Sequence[Life],
    forecasters: Collection[tuple[str, str]],
    now: datetime,
    subjects: Mapping[str, Subject] | None = None,
) -> list[Judgement]:
    """The judgements of a filled batch; rows without judge and outcome are passed over.

    ``forecasters`` are (question, name) of those who may not judge because they forecast it. Raises
    UsageError with every problem and its place.
    """
    answers = _csv(text) if form == "csv" else _json(text)
    by_version = {(life.question.id, life.version): life for life in lives}
    known = {life.question.id for life in lives}
    read_each_quarter = subjects or {}
    found: list[Judgement] = []
    problems: list[str] = []
    for answer in answers:
        try:
            if not answer.text("judge") and not answer.text("outcome"):
                continue
            subject = read_each_quarter.get(answer.text("question"))
            if subject is None:
                found.append(_judgement(answer, by_version, known, forecasters, now))
            else:
                found.append(_reading(answer, subject, forecasters, now))
        except ValueError as error:
            problems.append(f"{answer.place}: {error}")
    twice = [one for i, one in enumerate(found) if _key(one) in {_key(other) for other in found[:i]}]
    problems += [f"{one.judge} judges {one.question} twice in this file" for one in twice]
    if problems:
        raise UsageError("\n".join(["the batch is wrong, nothing was kept:", *(f"  {p}" for p in problems)]))
    return found


_READ = (READING, NOTHING)


def _key(judgement: Judgement) -> tuple[str, str]:
    return (judgement.question, judgement.judge)


def _json(text: str) -> list[_Answer]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not valid JSON: {error}") from error
    rows = document.get("judgements") if isinstance(document, dict) else None
    if not isinstance(rows, list) or document.get("format") != FORMAT:
        raise UsageError(f'expected {{"format": "{FORMAT}", "judgements": […]}}')
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            raise UsageError(f"judgements[{index}]: should be an object")
    return [_Answer(f"judgements[{index}]", row) for index, row in enumerate(rows)]


def _csv(text: str) -> list[_Answer]:
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        lacking = [name for name in NEEDED if name not in (reader.fieldnames or ())]
        if lacking:
            raise UsageError(f"columns are missing: {', '.join(lacking)}")
        return [_Answer(f"line {reader.line_num}", row) for row in reader]
    except csv.Error as error:
        raise UsageError(f"not valid CSV: line {reader.line_num}: {error}") from error


def _judgement(
    answer: _Answer,
    by_version: Mapping[tuple[str, str], Life],
    known: Collection[str],
    forecasters: Collection[tuple[str, str]],
    now: datetime,
) -> Judgement:
    """One filled row. Raises ValueError saying what is wrong with it."""
    name, version, judge = answer.text("question"), answer.text("version"), answer.text("judge")
    if name not in known:
        raise ValueError(f"question: there is no question {name!r}")
    life = by_version.get((name, version))
    if life is None:
        raise ValueError(f"version: {name} has no version {version!r}: export it again and judge that one")
    question = life.question
    if not judge:
        raise ValueError("judge: a judgement needs its judge's name")
    if (name, judge) in forecasters:
        raise ValueError(f"judge: {judge} has forecast {name} and may not judge it")
    outcome = answer.text("outcome")
    if outcome not in (*question.outcomes, ANNUL):
        raise ValueError(f"outcome: {outcome!r} is none of {', '.join((*question.outcomes, ANNUL))}")
    made_at = _made_at(answer, now)
    last = question.dates.settled_by
    if outcome == question.default_outcome and made_at.date() < last.date():
        raise ValueError(f"outcome: {outcome} can be given from {last:%Y-%m-%d} on: until then reports count")
    decided = outcome not in (ANNUL, question.default_outcome)
    value, on = _number(answer), _day(answer)
    if decided and question.kind is QuestionKind.NUMERIC and value is None:
        raise ValueError("value: a numeric question needs the number")
    if decided and question.kind is QuestionKind.DATE and on is None:
        raise ValueError("on: a date question needs the day")
    citations = _citations(answer)
    wanted = question.rule.citations if isinstance(question.rule, Judged) else 1
    if len(citations) < wanted:
        raise ValueError(f"citations: {len(citations)} given, at least {wanted} needed")
    return Judgement(name, version, judge, outcome, made_at, citations, value, on, answer.text("note"))


def _reading(
    answer: _Answer, subject: Subject, forecasters: Collection[tuple[str, str]], now: datetime
) -> Judgement:
    """One filled row about a proxy or a panel. Raises ValueError saying what is wrong with it."""
    judge, outcome, version = answer.text("judge"), answer.text("outcome"), answer.text("version")
    if version != subject.version:
        raise ValueError(f"version: {subject.series} reads otherwise now: export it again and read that")
    if not judge:
        raise ValueError("judge: a reading needs its judge's name")
    forecast = [name for name in subject.questions if (name, judge) in forecasters]
    if forecast:
        raise ValueError(f"judge: {judge} has forecast {forecast[0]}, which {subject.series} may decide")
    if outcome not in _READ:
        raise ValueError(f"outcome: {outcome!r} is none of {', '.join(_READ)}")
    end, value, citations = _day(answer), _number(answer), _citations(answer)
    if end is None or end not in quarters_over(EPOCH, now):
        raise ValueError("on: must be the last day of a quarter that is over")
    if (outcome == READING) != (value is not None):
        raise ValueError(f"value: goes with the outcome {READING}, and with no other")
    if outcome == READING and subject.panel is None and not citations:
        raise ValueError("citations: at least 1 needed")
    made_at = _made_at(answer, now)
    return Judgement(
        subject.at(end), version, judge, outcome, made_at, citations, value, end, answer.text("note")
    )


def _made_at(answer: _Answer, now: datetime) -> datetime:
    made_at = parse_utc(answer.text("made_at")) if answer.text("made_at") else now
    if made_at > now:
        raise ValueError(f"made_at: {iso(made_at)} lies ahead")
    return made_at


def _number(answer: _Answer) -> float | None:
    value = answer.row.get("value")
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"value: should be a number, not {type(value).__name__}")
    try:
        number = float(value)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"value: {value!r} is no number") from error
    if not -1e300 < number < 1e300:
        raise ValueError(f"value: {value!r} is not finite")
    return number


def _day(answer: _Answer) -> date | None:
    text = answer.text("on")
    return date.fromisoformat(text) if text else None


def _citations(answer: _Answer) -> tuple[str, ...]:
    given = answer.row.get("citations")
    parts = given.replace("|", " ").split() if isinstance(given, str) else given or []
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise ValueError("citations: should be a list of addresses")
    wrong = [part for part in parts if not part.startswith("https://")]
    if wrong:
        raise ValueError(f"citations: {wrong[0]!r} must start with https://")
    return tuple(dict.fromkeys(parts))
