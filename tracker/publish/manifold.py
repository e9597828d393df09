"""A question of ours as a market on Manifold: what is sent, what it costs, and the links to what came of it.

Pure: nothing is asked or sent here. Kinds and types:

* two outcomes ``yes`` and ``no``: ``BINARY``; other outcomes and orderings: ``MULTIPLE_CHOICE``, one winner.
* a date: ``DATE`` with thresholds ("by this day") up to the deadline, so that no crossing is every answer No.
* a number between closed bounds: ``PSEUDO_NUMERIC``; with an open bound: ``MULTI_NUMERIC`` with thresholds
  ("at least this number"), because a market between two bounds cannot say "beyond".

What a market cannot say is refused (``NotExpressible``); where it says less than the question, the
description begins with how it differs.

Source: manifoldmarkets/manifold @1e3ad3be (2026-08), common/src/api/market-types.ts (fields), common/src/tier.ts
and economy.ts (prices), backend/api/src/create-market.ts (the idempotency key becomes the market's id).
"""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import Field, ValidationError

from questions.model import Link, QuestionKind, Relation, SpeedupKind
from questions.page import body, escaped, mark, moment, named, outcome_name
from questions.question import ANNUL, Question
from questions.time import EPOCH
from tracker.errors import UsageError
from tracker.payload import Payload, UtcMillis, https_url

PLATFORM = "manifold"
PATH = "v0/market"
#: Mana a market of each tier starts with, and what it costs per answer where answers have a pool each.
TIERS = {100: 25, 1_000: 100, 10_000: 1_000, 100_000: 10_000}
LONGEST_TITLE, LONGEST_TEXT = 120, 16_000
MOST_ANSWERS, MOST_RUNGS = 100, 12
STEPS_MONTHS = (1, 3, 6, 12, 24, 60, 120, 240, 600, 1200)
NARROWEST = 0.01

_LETTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECOND = timedelta(seconds=1)
_DIRECTED = (SpeedupKind.PROGRESS, SpeedupKind.LABOUR_INPUT)


class NotExpressible(UsageError):
    """A market of this platform cannot ask this question; the message says why and what would help."""

    def __init__(self, question: Question, reason: str) -> None:
        super().__init__(f"{question.id} cannot be published on Manifold: {reason}")


@dataclass(frozen=True)
class Rung:
    """One answer: what it says, which outcome or bound of ours it stands for, and where it lies."""

    text: str
    stands_for: str
    midpoint: float | None = None
    by: datetime | None = None


@dataclass(frozen=True)
class Market:
    """What is sent, but for the idempotency key; what it costs in mana; and how it differs from ours."""

    question: Question
    document: Mapping[str, Any]
    cost: int
    rungs: tuple[Rung, ...]
    differs: tuple[str, ...]

    @property
    def kind(self) -> str:
        return str(self.document["outcomeType"])

    def to_send(self, market_id: str | None) -> dict[str, Any]:
        """The whole body of the POST; the id is not known before the account is."""
        return {**self.document, "idempotencyKey": market_id}


def market_id(account_id: str, question: Question) -> str:
    """The id a market of this account for this version gets: ten letters and digits from a hash.

    It is sent as the idempotency key, so a second market for the same version cannot come to be. The account
    is part of it, because ids are shared by everyone: two trackers may publish the same packaged question.
    """
    words = "\n".join(["speedup-tracker", account_id, question.id, str(question.version)])
    number = int.from_bytes(hashlib.sha256(words.encode()).digest())
    letters = []
    for _ in range(10):
        number, rest = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[rest])
    return "".join(letters)


def market_of(question: Question, names: Mapping[str, str], *, now: datetime, tier: int = 100) -> Market:
    """The market that asks a question. ``names``: area key -> name; ``tier``: a key of ``TIERS``.

    Raises NotExpressible when Manifold has no market that asks it, or would refuse the one there is.
    """
    if tier not in TIERS:
        raise UsageError(f"--tier {tier}: Manifold has {', '.join(map(str, TIERS))}")
    length = len(question.title.encode("utf-16-le")) // 2
    if length > LONGEST_TITLE:
        raise NotExpressible(question, f"its title has {length} characters, {LONGEST_TITLE} are allowed")
    if question.dates.close <= now:
        raise NotExpressible(question, f"it closed on {moment(question.dates.close)}")
    fields, rungs, differs = _form(question, names, now)
    differs = (*differs, *_common(question, now))
    text = _description(question, names, differs)
    if len(text) > LONGEST_TEXT:
        raise NotExpressible(
            question, f"its page has {len(text)} characters, a description may have {LONGEST_TEXT}"
        )
    document = {
        "outcomeType": fields.pop("outcomeType"),
        "question": question.title,
        "descriptionMarkdown": text,
        "closeTime": _millis(question.dates.close),
        "visibility": "public",
        "liquidityTier": tier,
        **fields,
    }
    pools = 0 if document["outcomeType"] in ("BINARY", "PSEUDO_NUMERIC") else len(rungs)
    return Market(question, document, max(tier, pools * TIERS[tier]), rungs, differs)


# Kinds ------------------------------------------------------------------------------------------------

Form = tuple[dict[str, Any], tuple[Rung, ...], tuple[str, ...]]


def _form(question: Question, names: Mapping[str, str], now: datetime) -> Form:
    if question.kind is QuestionKind.DATE:
        return _dates(question, now)
    if question.kind is QuestionKind.NUMERIC and len(question.outcomes) == 2:
        return _numbers(question)
    if set(question.outcomes) == {"yes", "no"}:
        return {"outcomeType": "BINARY"}, (), ("YES is **yes**, NO is **no**.",)
    return _choice(question, names)


def _choice(question: Question, names: Mapping[str, str]) -> Form:
    if len(question.outcomes) > MOST_ANSWERS:
        raise NotExpressible(
            question, f"it has {len(question.outcomes)} outcomes, a market {MOST_ANSWERS} answers"
        )
    rungs = tuple(Rung(outcome_name(question, one, names), one) for one in question.outcomes)
    if len({rung.text.casefold() for rung in rungs}) < len(rungs):
        raise NotExpressible(question, "two of its outcomes would be the same answer")
    fields = {
        "outcomeType": "MULTIPLE_CHOICE",
        "answers": [rung.text for rung in rungs],
        "addAnswersMode": "DISABLED",
        "shouldAnswersSumToOne": True,
    }
    return fields, rungs, ("The answer that names the outcome wins alone; answers cannot be added.",)


def _dates(question: Question, now: datetime) -> Form:
    span, none = question.date_range, question.default_outcome
    if span is None or len(question.outcomes) != 2 or none == "date" or "date" not in question.outcomes:
        raise NotExpressible(
            question, "a date needs the outcomes date and one for no date, which is the default"
        )
    if span.upper <= now:
        raise NotExpressible(question, f"its last date, {moment(span.upper)}, is past")
    ends = date_rungs(max(span.lower, question.dates.open, now), span.upper)
    if len(ends) < 2:
        raise NotExpressible(
            question, "it asks about less than two months, and a ladder of dates needs two steps"
        )
    rungs = tuple(Rung(f"By {_day(end)}", end.date().isoformat(), _millis(end), end) for end in ends)
    fields = {**_ladder("DATE", rungs), "timezone": "UTC"}
    differs = (
        "Each answer is a question of its own: YES if the date is not later than the moment it names (UTC), else "
        f"NO. **{named(none)}** is NO for every answer.",
        "The exact date between two answers does not matter here; in our own record it does.",
    )
    return fields, rungs, differs


def date_rungs(start: datetime, end: datetime) -> tuple[datetime, ...]:
    """The last seconds of calendar periods after ``start``, and ``end``: the finest that twelve answers hold."""
    finest: tuple[datetime, ...] = (end,)
    for step in STEPS_MONTHS:
        rungs = []
        month = (start.year * 12 + start.month - 1) // step * step + step
        while (at := _month(month) - _SECOND) < end - _SECOND:
            if at > start:
                rungs.append(at)
            month += step
        finest = (*rungs, end)
        if len(finest) <= MOST_RUNGS:
            break
    return finest


def _month(number: int) -> datetime:
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)


def _numbers(question: Question) -> Form:
    span, none = question.numeric_range, question.default_outcome
    if span is None or "value" not in question.outcomes or none == "value":
        raise NotExpressible(
            question, "a number needs the outcomes value and one for no value, which is the default"
        )
    unit = f" {span.unit}" if span.unit else ""
    void = f"**{named(none)}** is N/A here: a market about a number has no answer for it."
    log = span.scale == "log"
    if not (span.open_lower or span.open_upper):
        if span.upper - span.lower <= NARROWEST:
            raise NotExpressible(question, f"its bounds lie no more than {NARROWEST} apart")
        width = span.upper - span.lower + 1
        middle = width**0.5 + span.lower - 1 if log else (span.lower + span.upper) / 2
        fields = {
            "outcomeType": "PSEUDO_NUMERIC",
            "min": span.lower,
            "max": span.upper,
            "initialValue": middle,
            "isLogScale": log,
        }
        says = (
            f"Settles at the value{escaped(unit)}; the price is what one number, not a distribution, can say."
        )
        return fields, (), (says, void)
    points = _points(span.lower, span.upper, log=log)
    kept = points[0 if span.open_lower else 1 : None if span.open_upper else -1]
    rungs = tuple(Rung(f"At least {point:g}{unit}", f"{point:g}", point) for point in kept)
    if len({rung.midpoint for rung in rungs}) < len(rungs):
        raise NotExpressible(question, "its bounds are too close together for a ladder of numbers")
    fields = {**_ladder("MULTI_NUMERIC", rungs), "unit": span.unit}
    differs = (
        "Each answer is a question of its own: YES if the value is at least the number it names, else NO.",
        "The exact value between two answers does not matter here; in our own record it does.",
        void,
    )
    return fields, rungs, differs


def _points(lower: float, upper: float, *, log: bool, steps: int = 10) -> list[float]:
    """Eleven numbers from bound to bound, evenly on the scale, with six significant digits between."""
    shares = [step / steps for step in range(1, steps)]
    if log:
        between = [lower * (upper / lower) ** share for share in shares]
    else:
        between = [lower + (upper - lower) * share for share in shares]
    return [lower, *(float(f"{point:.6g}") for point in between), upper]


def _ladder(kind: str, rungs: Sequence[Rung]) -> dict[str, Any]:
    return {
        "outcomeType": kind,
        "answers": [rung.text for rung in rungs],
        "midpoints": [rung.midpoint for rung in rungs],
        "shouldAnswersSumToOne": False,
        "addAnswersMode": "DISABLED",
    }


def _common(question: Question, now: datetime) -> tuple[str, ...]:
    """How every market differs from the record: what annuls is N/A, trading begins at once."""
    said = ["What annuls the question makes the market N/A."]
    given = question.conditional
    if given is not None and given.if_parent_no == ANNUL:
        said.append(f"It is N/A if the condition (question {escaped(given.parent)}) does not come about.")
    if question.dates.open > now:
        day = moment(question.dates.open)
        said.append(f"Trading begins at once; in our own record forecasts count from {day} on.")
    said.append("It is resolved by the account that made it, by the rules below, after the settlement.")
    return tuple(said)


def _description(question: Question, names: Mapping[str, str], differs: Sequence[str]) -> str:
    how = "\n".join(f"- {line}" for line in differs)
    head = f"## On Manifold\n\n{how}\n\n"
    return head + body(question, names, longest=LONGEST_TEXT - len(head))


def _millis(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)


def _day(at: datetime) -> str:
    last_second = (at.hour, at.minute, at.second) == (23, 59, 59)
    return at.date().isoformat() if last_second else moment(at)


# What stands there ------------------------------------------------------------------------------------


class Account(Payload):
    """Whose key it is, and how much mana the account has."""

    id: Annotated[str, Field(min_length=1, max_length=64)]
    username: str = ""
    balance: float | None = None


class Answer(Payload):
    id: Annotated[str, Field(min_length=1, max_length=64)]
    text: str = ""


class Standing(Payload):
    """A market as Manifold shows it."""

    id: Annotated[str, Field(min_length=1, max_length=64)]
    creator: Annotated[str, Field(alias="creatorId")]
    kind: Annotated[str, Field(alias="outcomeType")]
    title: Annotated[str, Field(alias="question")] = ""
    url: str | None = None
    text: Annotated[str, Field(alias="textDescription")] = ""
    created: Annotated[UtcMillis, Field(alias="createdTime")] = None
    answers: list[Answer] | None = None

    def asks(self, question: Question) -> bool:
        """Whether the description carries the mark of this very version of the question."""
        return re.search(re.escape(mark(question)) + r"(?!\d)", " ".join(self.text.split())) is not None

    def strange(self, market: Market, account_id: str) -> str | None:
        """Why this is not the market we would send; None when it is (titles may be edited)."""
        if self.creator != account_id:
            return "it belongs to another account"
        if not self.asks(market.question):
            return f"its description does not say {mark(market.question)!r}"
        if self.kind != market.kind:
            return f"it is of type {self.kind}, not {market.kind}"
        texts = [rung.text for rung in market.rungs]
        if sorted(answer.text for answer in self.answers or ()) != sorted(texts):
            return "its answers are not the ones we would send"
        return None


def links_to(standing: Standing, market: Market, now: datetime) -> list[Link]:
    """The links by which the poller follows a market: one per price that it shows.

    A price is dated (``by``), and so read as evidence of how fast an area is, only where Yes is a crossing
    by that day: the last step of a date's ladder, and a yes-or-no question of a speedup.
    """
    question = market.question
    by_text = {answer.text: answer.id for answer in standing.answers or ()}
    if market.kind == "BINARY":
        directed = question.kind is QuestionKind.BINARY and question.speedup_kind in _DIRECTED
        return [_link(standing, market, "yes", "", question.dates.close if directed else None, now)]
    if market.kind == "MULTIPLE_CHOICE":
        return [
            _link(standing, market, by_text[rung.text], rung.text, None, now, stands_for=rung.stands_for)
            for rung in market.rungs
        ]
    links = [_link(standing, market, "value", "", None, now)]
    if market.kind == "DATE":
        last = market.rungs[-1]
        directed = question.speedup_kind in _DIRECTED
        by = last.by if directed else None
        links.append(_link(standing, market, by_text[last.text], last.text, by, now))
    return links


def published_note(version: int) -> str:
    """How the note of a link begins that was made by publishing a version."""
    return f"Published by this tracker, version {version}."


def _link(
    standing: Standing,
    market: Market,
    outcome: str,
    answer: str,
    by: datetime | None,
    now: datetime,
    *,
    stands_for: str = "",
) -> Link:
    question = market.question
    note = published_note(question.version)
    if stands_for:
        note += f" This answer is our outcome {stands_for}."
    try:
        return Link(
            platform=PLATFORM,
            external_id=standing.id,
            outcome=outcome,
            url=https_url(standing.url) or f"https://manifold.markets/market/{standing.id}",
            label=f"{question.title} {answer}".rstrip(),
            relation=Relation.SAME,
            view=question.view,
            areas=question.areas,
            question=question.id,
            by=by,
            weight=1.0,
            checked=now.date().isoformat(),
            note=note,
        )
    except ValidationError as error:
        raise UsageError(f"no link can be made to market {standing.id}: {error}") from None
