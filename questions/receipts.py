"""What is kept of a question's life: the versions seen, and a receipt for every verdict.

A version's name is the SHA-256 of everything in the record that binds (text included) when it was first seen.
After the question has opened, an edit of its terms, or of its text without a changelog entry that calls itself
a matter of wording, makes a new version: the old one is closed and resolves by its own record. A
wording-only edit keeps the name. Forecasts and scores keep the version they were about.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from questions.evidence import Datum, Judgement, Look, Mark, Word
from questions.fields import Gone, Silent
from questions.question import Question
from questions.rules import Judged
from questions.time import iso, utc
from questions.verdicts import Computed, State, Used, Verdict

_TERMS: dict[str, Any] = {
    "id": True,
    "kind": True,
    "areas": True,
    "speedup_kind": True,
    "threshold": {"value", "unit", "comparator"},
    "baseline": {"reference", "window_start", "window_end", "value"},
    "measurement": {"version_policy", "version", "successors", "window_days"},
    "rule": True,
    "battery": {
        "need": True,
        "level": True,
        "quarters": True,
        "fresh_days": True,
        "agree_within": True,
        "interval": True,
        "arms": {
            "__all__": {
                "area": True,
                "query": True,
                "proxies": {
                    "__all__": {
                        "id",
                        "evidence",
                        "measures",
                        "ratio",
                        "series",
                        "gated_by",
                        "highest_multiple",
                        "read_by",
                        "formula",
                    }
                },
            }
        },
    },
    "panel": {"seats", "quorum", "statistic", "question", "members"},
    "resolution": {
        name: {"then"}
        for name in ("if_gone", "if_silent", "if_bound_only", "if_method_changes", "if_revised")
    },
    "dates": True,
    "outcomes": True,
    "default_outcome": True,
    "ordering": True,
    "conditional": True,
    "date_range": {"lower", "upper"},
    "numeric_range": True,
}
"""What the resolver reads, and what the people read whose readings it uses: an edit of any of it can change an
outcome."""

_UNBINDING = {
    "version", "changelog", "background", "coi", "waivers", "links", "current_value", "cost_minutes", "fixtures",
    "view",
}  # fmt: skip


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def text_hash(question: Question) -> str:
    """SHA-256 of everything in the record that binds, wording included."""
    return _digest(question.model_dump(mode="json", exclude=_UNBINDING))


def terms_hash(question: Question) -> str:
    """SHA-256 of the terms that decide the outcome; where people judge, every binding word is one."""
    if _judges_may_decide(question):
        return text_hash(question)
    return _digest(question.model_dump(mode="json", include=_TERMS))


def _judges_may_decide(question: Question) -> bool:
    """Whether people may have to read the whole text: by the rule, or where the source fails."""
    if question.battery is None and (question.rule is None or isinstance(question.rule, Judged)):
        return True
    gone, silent = question.resolution.if_gone, question.resolution.if_silent
    return (gone is not None and gone.then is Gone.JUDGES) or (
        silent is not None and silent.then is Silent.JUDGES
    )


# versions -----------------------------------------------------------------------------------------


class Edit(StrEnum):
    """What a newly seen record is to the one seen before."""

    FIRST = "first"
    DRAFT = "draft"  # edited before it opened
    WORDING = "wording"
    MATERIAL = "material"  # closes the version before and is a question of its own


@dataclass(frozen=True)
class QuestionVersion:
    """A record as it stood from ``seen_at`` on; ``version`` names it, ``number`` is its author's count.

    ``text`` and ``terms`` are its digests, ``record`` the whole of it but its test worlds, as JSON.
    """

    question: str
    seen_at: datetime
    version: str
    text: str
    terms: str
    number: int
    edit: Edit
    record: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "edit", Edit(self.edit))
        object.__setattr__(self, "seen_at", utc(self.seen_at))

    def load(self) -> Question:
        """The record itself. Raises pydantic's ValidationError when this program knows other records."""
        return Question.model_validate_json(self.record)


def seen(question: Question, known: Sequence[QuestionVersion], at: datetime) -> QuestionVersion | None:
    """The version to add for a record seen at an instant, after those known; None when nothing binding changed."""
    text = text_hash(question)
    last = known[-1] if known else None
    if last is not None and last.text == text:
        return None
    new = QuestionVersion(
        question=question.id,
        seen_at=at,
        version=text,
        text=text,
        terms=terms_hash(question),
        number=question.version,
        edit=Edit.FIRST,
        record=question.model_dump_json(exclude={"fixtures"}),
    )
    if last is None:
        return new
    edit = _edit(question, new, last, at)
    return replace(new, edit=edit, version=last.version if edit is Edit.WORDING else text)


def _edit(question: Question, new: QuestionVersion, last: QuestionVersion, at: datetime) -> Edit:
    before = last.load()
    if at < before.dates.open:
        return Edit.DRAFT
    told = any(change.wording and change.version > last.number for change in question.changelog)
    return Edit.WORDING if told and new.terms == terms_hash(before) else Edit.MATERIAL


@dataclass(frozen=True)
class Life:
    """One version of a question that can still be resolved; ``closed_at`` when a newer one took its place."""

    question: Question
    version: str
    closed_at: datetime | None = None


def lives(known: Sequence[QuestionVersion]) -> list[Life]:
    """The versions of one question that were open to forecasts, the newest last: drafts never were."""
    found: list[Life] = []
    for row in known:
        if row.edit is Edit.MATERIAL and found:
            found[-1] = replace(found[-1], closed_at=row.seen_at)
        elif found:
            found.pop()
        found.append(Life(row.load(), row.version))
    return found


def version_at(known: Sequence[QuestionVersion], at: datetime) -> str | None:
    """Which version of a question a forecast made at an instant was about; None before it was first seen."""
    seen_then = [row.version for row in known if row.seen_at <= at]
    return seen_then[-1] if seen_then else None


# receipts -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Exhibit:
    """One piece of evidence of a verdict: whose it is, what it said, and the payload it was read from."""

    kind: str
    source: str
    key: str = ""
    metric: str = ""
    at: str = ""
    published: str = ""
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    version: str = ""
    payload_sha256: str | None = None
    text: str = ""


@dataclass(frozen=True)
class Receipt:
    """A verdict, and everything needed to check it: anyone who has the evidence can compute it again.

    ``version`` names the version of the question, ``known_at`` is the instant whose knowledge counted,
    ``made_at`` when the verdict was written down. Receipts are only ever added.
    """

    question: str
    version: str
    made_at: datetime
    known_at: datetime
    state: State
    rule: str
    outcome: str | None = None
    value: float | None = None
    on: date | None = None
    resolved_at: datetime | None = None
    reason: str = ""
    computed: Computed = ()
    evidence: tuple[Exhibit, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", State(self.state))
        for name in ("made_at", "known_at"):
            object.__setattr__(self, name, utc(getattr(self, name)))
        if self.resolved_at is not None:
            object.__setattr__(self, "resolved_at", utc(self.resolved_at))
        if self.state.final != (self.outcome is not None):
            raise ValueError(f"state {self.state.value} and outcome {self.outcome!r} do not go together")

    @property
    def gist(self) -> tuple[object, ...]:
        """What must differ for another receipt to be written."""
        state = State.RESOLVED if self.state is State.RE_RESOLVED else self.state
        return (state, self.outcome, self.value, self.on, self.resolved_at)


def receipt_of(
    verdict: Verdict, life: Life, known_at: datetime, made_at: datetime, earlier: Iterable[Receipt] = ()
) -> Receipt:
    """The receipt of a verdict on one version, after those that were given before.

    What was settled before and comes out otherwise now is re-resolved; what was settled and is open again
    is disputed. A version that a newer one replaced is closed, whatever its date.
    """
    before = [r for r in earlier if (r.question, r.version) == (verdict.question, life.version)]
    settled = [r for r in before if r.state.final]
    state = verdict.state
    again = bool(settled) and (
        settled[-1].state is State.RE_RESOLVED or _result(verdict) != _result(settled[-1])
    )
    if state.final and again:
        state = State.RE_RESOLVED
    elif settled and not state.final:
        state = State.DISPUTED
    elif state is State.OPEN and life.closed_at is not None and life.closed_at <= known_at:
        state = State.CLOSED
    return Receipt(
        question=verdict.question,
        version=life.version,
        made_at=made_at,
        known_at=known_at,
        state=state,
        rule=verdict.rule,
        outcome=verdict.outcome,
        value=verdict.value,
        on=verdict.on,
        resolved_at=verdict.resolved_at,
        reason=verdict.reason,
        computed=verdict.computed,
        evidence=tuple(exhibit(one) for one in verdict.used),
    )


def _result(told: Verdict | Receipt) -> tuple[object, ...]:
    return (told.outcome, told.value, told.on)


def exhibit(used: Used) -> Exhibit:
    """A piece of evidence as a receipt keeps it."""
    if isinstance(used, Datum):
        return Exhibit(
            "point",
            used.series,
            used.key,
            used.metric,
            used.at.isoformat(),
            iso(used.published),
            used.value,
            used.lower,
            used.upper,
            used.version,
            used.payload,
            used.bound,
        )
    if isinstance(used, Word):
        at = "" if used.resolved_at is None else iso(used.resolved_at)
        name = f"{used.platform}:{used.external_id}"
        return Exhibit(
            "resolution",
            name,
            used.outcome,
            at=at,
            published=iso(used.published),
            value=used.value,
            version=used.source,
            payload_sha256=used.payload,
            text=used.text or used.state.value,
        )
    if isinstance(used, Judgement):
        cited = " ".join(used.citations)
        on = "" if used.on is None else used.on.isoformat()
        return Exhibit(
            "judgement",
            used.judge,
            used.outcome,
            at=on,
            published=iso(used.made_at),
            value=used.value,
            text=cited,
        )
    if isinstance(used, Mark):
        return Exhibit(used.kind.value, used.series, at=used.at.isoformat(), published=iso(used.published))
    assert isinstance(used, Look)
    return Exhibit("look", "", published=iso(used.at), payload_sha256=used.payload)


def exhibits_from(rows: Iterable[Mapping[str, Any]]) -> tuple[Exhibit, ...]:
    """Exhibits as they were written to JSON."""
    return tuple(Exhibit(**row) for row in rows)
