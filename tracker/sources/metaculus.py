"""Metaculus: the community prediction, a recency-weighted median of people, with its own history.

A link names a post. Its streams are the outcomes ``yes`` (a binary question), ``value`` (numeric, date,
discrete: real units, dates in Unix seconds), the option's text (multiple choice), ``q<question id>`` (a
member of a group) and ``if_yes`` / ``if_no`` (the branches of a conditional). A state that concerns a
whole post of unknown type (gone, refused) stands under ``yes``.

Why a value is absent is kept apart: nobody forecast, hidden until a reveal time, or not for our token to
see. The last is never an error of the API: it answers 200 with an empty history. Source of the shapes and
of the scaling: Metaculus/metaculus, docs/openapi.yml, questions/serializers and utils/the_math (2026-08).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any

from pydantic import Field

from questions.model import Link
from questions.records import (
    Distribution,
    OutcomeState,
    Quantity,
    QuestionInfo,
    Resolution,
    Snapshot,
    StreamKey,
    ValueState,
)
from questions.time import iso, parse_utc
from storage.records import RawPayload
from tracker.payload import (
    FORBIDDEN,
    MISSING,
    Count,
    Gathering,
    Payload,
    UtcText,
    criteria_digest,
    from_seconds,
    join,
    plain,
    read_object,
    read_part,
    refs,
    require_ok,
)
from tracker.source import Parsed, Plan, Request, SourceTraits

NAME = "metaculus"
YES, VALUE, IF_YES, IF_NO = "yes", "value", "if_yes", "if_no"
LIST_PATH = "api/posts/"
#: The API allows 100. Histories make a post up to 100 kB, so half of that keeps an answer near 5 MB.
IDS_PER_CALL = 50
LIMIT = 100
DEFAULT_METHOD = "recency_weighted"
CONTINUOUS = ("numeric", "date", "discrete")
ROUNDING = 1e-9  # sums of floats may leave 0..1 or fall by this much

#: What becomes of the platform's words; ``draft`` and ``pending`` are posts not yet let through to readers.
STATUS = {
    "upcoming": "upcoming",
    "approved": "upcoming",
    "draft": "upcoming",
    "pending": "upcoming",
    "open": "open",
    "closed": "closed",
    "pending_resolution": "closed",
    "resolved": "resolved",
}
REMOVED = ("deleted", "rejected")

_POST_ID = re.compile(r"[1-9][0-9]{0,9}")
_MEMBER = re.compile(r"q[0-9]+")


class _Post(Payload):
    id: Annotated[int, Field(gt=0)]
    title: str | None = None
    status: str | None = None
    forecasters: Annotated[Count, Field(alias="nr_forecasters")] = None
    forecasts: Annotated[Count, Field(alias="forecasts_count")] = None
    opens: Annotated[UtcText, Field(alias="open_time")] = None
    closes: Annotated[UtcText, Field(alias="scheduled_close_time")] = None
    closed: Annotated[UtcText, Field(alias="actual_close_time")] = None
    resolves: Annotated[UtcText, Field(alias="scheduled_resolve_time")] = None
    question: dict[str, Any] | None = None
    group: Annotated[dict[str, Any] | None, Field(alias="group_of_questions")] = None
    conditional: dict[str, Any] | None = None
    notebook: Any = None


class _Scaling(Payload):
    low: Annotated[float | None, Field(alias="range_min")] = None
    high: Annotated[float | None, Field(alias="range_max")] = None
    zero: Annotated[float | None, Field(alias="zero_point")] = None
    grid: Annotated[list[Any] | None, Field(alias="continuous_range")] = None
    open_low: Annotated[bool | None, Field(alias="open_lower_bound")] = None
    open_high: Annotated[bool | None, Field(alias="open_upper_bound")] = None


class _Question(Payload):
    id: Annotated[int, Field(gt=0)]
    kind: Annotated[str, Field(alias="type")]
    aggregations: dict[str, Any] | None
    status: str | None = None
    method: Annotated[str | None, Field(alias="default_aggregation_method")] = None
    options: list[str] | None = None
    options_ever: Annotated[list[str] | None, Field(alias="all_options_ever")] = None
    opens: Annotated[UtcText, Field(alias="open_time")] = None
    revealed: Annotated[UtcText, Field(alias="cp_reveal_time")] = None
    resolution: str | None = None
    resolved: Annotated[UtcText, Field(alias="actual_resolve_time")] = None
    entered: Annotated[UtcText, Field(alias="resolution_set_time")] = None
    unit: str | None = None
    scaling: _Scaling | None = None
    open_low: Annotated[bool | None, Field(alias="open_lower_bound")] = None
    open_high: Annotated[bool | None, Field(alias="open_upper_bound")] = None


class _Aggregation(Payload):
    history: list[Any] | None = None
    latest: dict[str, Any] | None = None


class _Item(Payload):
    start: Annotated[float, Field(alias="start_time")]
    end: Annotated[float | None, Field(alias="end_time")] = None
    forecasters: Annotated[Count, Field(alias="forecaster_count")] = None
    centers: list[float | None]
    values: Annotated[list[float | None] | None, Field(alias="forecast_values")] = None


class Metaculus:
    """The adapter. Bulk answers carry the history of single questions; groups are asked one by one."""

    parser_version = "2"
    traits = SourceTraits(
        name=NAME,
        setting="metaculus",
        base_url="https://www.metaculus.com",
        hosts=("www.metaculus.com", "metaculus.com"),
        pace_s=4.0,
        period_hours=6.0,
        platforms=(NAME,),
        credit="Metaculus (www.metaculus.com)",
        licence="Metaculus terms of use; quoting community predictions needs credit and a link",
        secret="metaculus_token",  # noqa: S106 - the name of the setting, not the secret
        secret_prefix="Token ",  # noqa: S106
        secret_required=True,
        read_timeout_s=30.0,
        max_body_bytes=24 * 1024 * 1024,
        unsettled=("upcoming", "open", "closed"),
    )

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        """Posts in bulk; one by one when ``since`` asks for history, and for groups and conditionals."""
        single: dict[str, bool] = {}
        skipped: dict[str, str] = {}
        for link in links:
            if link.platform != NAME:
                continue
            if _POST_ID.fullmatch(link.external_id) is None:
                skipped[link.external_id] = "is no Metaculus post id (a number)"
                continue
            alone = (
                since is not None or link.outcome in (IF_YES, IF_NO) or bool(_MEMBER.fullmatch(link.outcome))
            )
            single[link.external_id] = single.get(link.external_id, False) or alone
        together = [post for post, alone in single.items() if not alone]
        one_by_one = [_detail(post) for post, alone in single.items() if alone]
        return Plan((*_bulk(together), *one_by_one), skipped)

    def parse(self, raw: RawPayload) -> Parsed:
        """A page of posts or one post. Posts a page leaves out, and groups in it, are followed."""
        found = Gathering(raw)
        if raw.status in FORBIDDEN:
            found.denied.extend(refs(raw))
            _whole_posts(found, ValueState.NOT_PERMITTED)
            return found.parsed()
        if raw.status in MISSING and "ids=" not in raw.url and len(refs(raw)) == 1:
            _whole_posts(found, ValueState.GONE)
            return found.parsed()
        require_ok(raw)
        body = read_object(raw)
        if "results" in body:
            _page(found, body["results"])
        else:
            _post(found, body, "")
        return found.parsed(nothing_is_an_error=True)


def _detail(post: str) -> Request:
    return Request(NAME, post, f"{LIST_PATH}{post}/", private=True, accept_missing=True)


def _bulk(posts: Sequence[str]) -> Iterable[Request]:
    """One call per fifty ids. There is no second page: no more are asked for than one page holds."""
    for start in range(0, len(posts), IDS_PER_CALL):
        ids = posts[start : start + IDS_PER_CALL]
        params = (
            *(("ids", post) for post in ids),
            ("with_cp", "true"),
            ("include_cp_history", "true"),
            ("include_descriptions", "true"),
            ("limit", str(LIMIT)),
        )
        yield Request(NAME, ",".join(ids), LIST_PATH, params, private=True)


def _whole_posts(found: Gathering, state: ValueState) -> None:
    for post in refs(found.raw):
        if _POST_ID.fullmatch(post):
            found.add(_empty(found, post, YES, state))


# --- posts ----------------------------------------------------------------------------------------------


def _page(found: Gathering, results: object) -> None:
    if not isinstance(results, list):
        found.fault(found.raw.ref, "results", "should be a list")
        return
    seen = {str(post.get("id")) for post in results if isinstance(post, dict)}
    for number, post in enumerate(results):
        _post(found, post, join("results", number))
    for post_id in refs(found.raw):
        if post_id not in seen and _POST_ID.fullmatch(post_id):
            found.follow.append(_detail(post_id))


def _post(found: Gathering, value: object, at: str) -> None:
    post, faults = read_part(_Post, value, _name(value, found.raw.ref), at)
    found.faults.extend(faults)
    if post is None:
        return
    if not at and _POST_ID.fullmatch(found.raw.ref) and str(post.id) != found.raw.ref:
        found.fault(found.raw.ref, "id", "is another post than the one asked for")
        return
    if at and (post.group is not None or post.conditional is not None):
        found.follow.append(_detail(str(post.id)))  # a page shows only a part of these
        return
    if post.question is None and post.group is None and post.conditional is None:
        if post.notebook is not None:
            found.note(f"{post.id}: a notebook, nothing to forecast")
        elif post.status in REMOVED:
            found.add(_empty(found, str(post.id), YES, ValueState.GONE))
        elif not faults:
            found.fault(
                str(post.id), join(at, "question"), "is missing, and there is no group or conditional"
            )
        return
    members = list(_members(found, post, at))
    if not members:
        if post.status in REMOVED:
            found.add(_empty(found, str(post.id), YES, ValueState.GONE))
        return  # each unreadable part is a Fault
    found.add(_info(found, post, members))
    seen_any = any(member.items for member in members)
    for member in members:
        _read_member(found, member, seen_any)


def _name(value: object, otherwise: str) -> str:
    number = value.get("id") if isinstance(value, dict) else None
    return str(number) if isinstance(number, int) and abs(number) < 10**12 else otherwise


@dataclass
class _Member:
    """One question of a post: its stream's name, where it stands, and its readable history."""

    post: _Post
    question: _Question
    outcome: str
    at: str
    items: list[_Item]

    @property
    def ref(self) -> str:
        return str(self.post.id)


def _members(found: Gathering, post: _Post, at: str) -> Iterator[_Member]:
    if post.question is not None:
        parts: list[tuple[str, object, str]] = [("", post.question, join(at, "question"))]
    elif post.conditional is not None:
        where = join(at, "conditional")
        parts = [
            (IF_YES, post.conditional.get("question_yes"), join(where, "question_yes")),
            (IF_NO, post.conditional.get("question_no"), join(where, "question_no")),
        ]
    elif post.group is not None:
        where = join(at, "group_of_questions", "questions")
        listed = post.group.get("questions")
        if not isinstance(listed, list):
            found.fault(str(post.id), where, "should be a list")
            return
        parts = [("q", value, join(where, number)) for number, value in enumerate(listed)]
    else:
        return
    for outcome, value, place in parts:
        question, faults = read_part(_Question, value, str(post.id), place)
        found.faults.extend(faults)
        if question is not None:
            name = f"q{question.id}" if outcome == "q" else outcome or _own_outcome(question)
            yield _Member(post, question, name, place, list(_items(found, question, str(post.id), place)))


def _own_outcome(question: _Question) -> str:
    return VALUE if question.kind in CONTINUOUS else YES


def _info(found: Gathering, post: _Post, members: Sequence[_Member]) -> QuestionInfo:
    kinds = "group_of_questions" if post.group is not None else "conditional" if post.conditional else ""
    status = _status(found, post, members)
    return QuestionInfo(
        source=NAME,
        platform=NAME,
        external_id=str(post.id),
        fetched_at=found.at,
        title=plain(post.title or ""),
        url=f"https://www.metaculus.com/questions/{post.id}/",
        question_type=kinds or plain(members[0].question.kind, 40),
        status=status,
        opens_at=post.opens,
        # the "actual" closing time is filled in while a question is open: only its status tells
        closes_at=(post.closed or post.closes) if status in ("closed", "resolved", "void") else post.closes,
        resolves_by=post.resolves,
        criteria_sha256=_criteria(post),
        payload_sha256=found.digest,
    )


def _status(found: Gathering, post: _Post, members: Sequence[_Member]) -> str:
    """One of our own words; what was removed or has a word we do not know has none, and is noted.

    Of a single question its own word, of a group or a conditional the post's. A question is void once its
    resolution is ``annulled``, a group or conditional once that holds for all its parts.
    """
    own = members[0].question.status if post.question is not None else None
    word = post.status if post.status in REMOVED else own or post.status or ""
    status = STATUS.get(word, "")
    if not status:
        found.note(f"{post.id}: status {plain(word, 40)!r}" + ("" if word in REMOVED else " is not known"))
    annulled = all(member.question.resolution == "annulled" for member in members)
    return "void" if status == "resolved" and annulled else status


def _criteria(post: _Post) -> str:
    """The digest of the rules of a post: a question's own, or a group's and then those of all its parts.

    The parts' digests are sorted and taken once each: a further year with the same rules changes nothing.
    """
    if post.question is not None:
        return _rules(post.question)
    if post.conditional is not None:
        names = ("condition", "condition_child", "question_yes", "question_no")
        return criteria_digest(*(_rules(post.conditional.get(name)) for name in names))
    group = post.group or {}
    listed = group.get("questions")
    parts = {_rules(part) for part in listed} if isinstance(listed, list) else set()
    return criteria_digest(_rules(group), *sorted(parts))


def _rules(part: object) -> str:
    texts = [part.get("resolution_criteria"), part.get("fine_print")] if isinstance(part, dict) else []
    return criteria_digest(*(text for text in texts if isinstance(text, str)))


def _items(found: Gathering, question: _Question, ref: str, at: str) -> Iterator[_Item]:
    """The readable items of the history and the latest one, oldest first, none from after the fetch.

    The latest item tells more than its twin in the history (the whole distribution), so it comes last and
    is the one kept.
    """
    method = question.method or DEFAULT_METHOD
    where = join(at, "aggregations", method)
    part, faults = read_part(_Aggregation, (question.aggregations or {}).get(method) or {}, ref, where)
    found.faults.extend(faults)
    if part is None:
        return
    listed = [(value, join(where, "history", number)) for number, value in enumerate(part.history or ())]
    if part.latest is not None:
        listed.append((part.latest, join(where, "latest")))
    kept: dict[float, _Item] = {}
    for value, place in listed:
        item, faults = read_part(_Item, value, ref, place)
        found.faults.extend(faults)
        if item is None:
            continue
        if _started(found, item, ref, place):
            kept[item.start] = item
    yield from (kept[start] for start in sorted(kept))


def _started(found: Gathering, item: _Item, ref: str, at: str) -> bool:
    """Whether an item was in force by the time of the fetch (pre-registered forecasts lie ahead)."""
    try:
        start = from_seconds(item.start)
    except ValueError as error:
        found.fault(ref, join(at, "start_time"), str(error))
        return False
    return start <= found.at


# --- values ---------------------------------------------------------------------------------------------


def _read_member(found: Gathering, member: _Member, seen_any: bool) -> None:
    kind = member.question.kind
    if kind == "multiple_choice":
        outcomes = _options(found, member)
    elif kind == "binary" or kind in CONTINUOUS:
        outcomes = (member.outcome,)
    else:
        found.note(f"{member.ref}: question type {plain(kind, 40)}: a type we do not know")
        return
    if not outcomes:
        return
    removed = member.post.status in REMOVED
    if member.items:
        offered: set[str] = set()
        for item in member.items:
            offered = _read_item(found, member, item, outcomes, offered)
        if not removed:
            _withdrawn(found, member, offered)
    elif not removed:
        _absent(found, member, outcomes, seen_any)
    if removed:
        found.add(*(_empty(found, member.ref, outcome, ValueState.GONE) for outcome in outcomes))
    _resolve(found, member, outcomes)


def _options(found: Gathering, member: _Member) -> tuple[str, ...]:
    """The names of the streams of a multiple choice: every option there ever was, in the arrays' order."""
    texts = member.question.options_ever or member.question.options or ()
    prefix = "" if member.outcome == YES else f"{member.outcome}:"
    names = tuple(prefix + plain(text, 200) for text in texts)
    if not names or len(set(names)) != len(names) or any(not name.removeprefix(prefix) for name in names):
        found.fault(member.ref, join(member.at, "all_options_ever"), "should be different, non-empty texts")
        return ()
    return names


def _read_item(
    found: Gathering, member: _Member, item: _Item, outcomes: tuple[str, ...], offered: set[str]
) -> set[str]:
    """Take one item in; the outcomes it gives a value for, given those the item before did (``offered``).

    An option without a value is not on offer. One that was until now is gone from here on: its last value
    must not stand as if it still held. Of a question without options it is the forecasts that are gone.
    """
    at = join(member.at, "aggregations", iso(from_seconds(item.start)), "centers")
    if len(item.centers) != len(outcomes):
        found.fault(member.ref, at, f"{len(item.centers)} values for {len(outcomes)} outcomes")
        return offered
    now = {outcome for outcome, center in zip(outcomes, item.centers, strict=True) if center is not None}
    ended = ValueState.GONE if member.question.kind == "multiple_choice" else ValueState.NO_FORECAST
    for outcome in offered - now:
        found.add(_ended(found, member, outcome, from_seconds(item.start), ended))
    for outcome, center in zip(outcomes, item.centers, strict=True):
        if center is None:
            continue
        if not 0.0 <= center <= 1.0:
            found.fault(member.ref, at, "a value lies outside 0..1")
        elif member.question.kind in CONTINUOUS:
            _add_real(found, member, item, outcome, center)
        else:
            found.add(_point(found, member, item, outcome, probability=center))
    return now


def _add_real(found: Gathering, member: _Member, item: _Item, outcome: str, center: float) -> None:
    """A median in real units and, where there is one, the distribution.

    A location of exactly 0 or 1 at an open bound says "beyond the range": no value can be given then.
    """
    scale = _scale(found, member)
    if scale is None:
        return
    distribution = None if item.values is None else _distribution(found, member, scale, item.values)
    beyond = (center == 0.0 and scale.open_low) or (center == 1.0 and scale.open_high)
    value = None if beyond else scale.real(center)
    if value is None and distribution is None:
        found.note(f"{member.ref} {outcome}: the median lies beyond the range; no value is given")
        return
    found.add(_point(found, member, item, outcome, value=value, distribution=distribution))


def _point(
    found: Gathering,
    member: _Member,
    item: _Item,
    outcome: str,
    *,
    probability: float | None = None,
    value: float | None = None,
    distribution: Distribution | None = None,
) -> Snapshot:
    return Snapshot(
        key=StreamKey(NAME, NAME, member.ref, outcome, Quantity.FORECASTER_MEDIAN),
        as_of=from_seconds(item.start),
        fetched_at=found.at,
        probability=probability,
        value=value,
        distribution=distribution,
        timed_by_source=True,
        forecasters=item.forecasters,
        payload_sha256=found.digest,
    )


# --- why there is no value ------------------------------------------------------------------------------


def _absent(found: Gathering, member: _Member, outcomes: tuple[str, ...], seen_any: bool) -> None:
    state = _why(found, member, seen_any)
    until = member.question.revealed if state is ValueState.HIDDEN else None
    if state is ValueState.NOT_PERMITTED:
        found.denied.append(member.ref)
    for outcome in outcomes:
        found.add(_empty(found, member.ref, outcome, state, until))


def _why(found: Gathering, member: _Member, seen_any: bool) -> ValueState:
    """Tell apart the reasons of an empty aggregation; all look the same but for times and counts.

    A sibling with values shows that we may see the post; without any count of forecasters the likelier
    reason is taken, which is our token (most questions have forecasts, most tokens few rights).
    """
    question, post = member.question, member.post
    if question.status == "upcoming" or (question.opens is not None and question.opens > found.at):
        return ValueState.NO_FORECAST
    count = post.forecasters if post.forecasters is not None else post.forecasts
    if count == 0:
        return ValueState.NO_FORECAST
    if question.revealed is not None and question.revealed > found.at and not question.resolution:
        return ValueState.HIDDEN
    if seen_any:
        return ValueState.NO_FORECAST
    if count is None:
        found.note(f"{member.ref}: no values and no count of forecasters; taken as not permitted")
    return ValueState.NOT_PERMITTED


def _withdrawn(found: Gathering, member: _Member, outcomes: set[str]) -> None:
    """An open question whose last value has ended has no forecast since: everybody withdrew."""
    last = member.items[-1]
    if member.question.status != "open" or last.end is None or last.end <= last.start:
        return
    try:
        ended = from_seconds(last.end)
    except ValueError:
        return  # far in the future: still in force
    if ended <= found.at:
        for outcome in sorted(outcomes):
            found.add(_ended(found, member, outcome, ended, ValueState.NO_FORECAST))


def _ended(found: Gathering, member: _Member, outcome: str, at: datetime, state: ValueState) -> Snapshot:
    """From ``at`` on there is no value any more, as the platform itself says."""
    return Snapshot(
        key=StreamKey(NAME, NAME, member.ref, outcome, Quantity.FORECASTER_MEDIAN),
        as_of=at,
        fetched_at=found.at,
        state=state,
        timed_by_source=True,
        payload_sha256=found.digest,
    )


def _empty(
    found: Gathering, post: str, outcome: str, state: ValueState, until: datetime | None = None
) -> Snapshot:
    return Snapshot(
        key=StreamKey(NAME, NAME, post, outcome, Quantity.FORECASTER_MEDIAN),
        as_of=found.at,
        fetched_at=found.at,
        state=state,
        hidden_until=until,
        payload_sha256=found.digest,
    )


# --- internal locations and real values -----------------------------------------------------------------


@dataclass(frozen=True)
class _Scale:
    """Internal locations 0..1 and real values: linear, or logarithmic about ``zero``.

    Metaculus, utils/the_math: x = low + (high - low) * (r^u - 1) / (r - 1), r = (high - zero) / (low - zero).
    """

    low: float
    high: float
    ratio: float | None
    open_low: bool
    open_high: bool

    def real(self, u: float) -> float:
        if self.ratio is None:
            return self.low + (self.high - self.low) * u
        return self.low + (self.high - self.low) * (math.pow(self.ratio, u) - 1) / (self.ratio - 1)


def _scale(found: Gathering, member: _Member) -> _Scale | None:
    question = member.question
    scaling, at = question.scaling, join(member.at, "scaling")
    if scaling is None or scaling.low is None or scaling.high is None:
        found.fault(member.ref, at, "range_min and range_max are needed for a numeric question")
        return None
    low, high, ratio = scaling.low, scaling.high, None
    if not (low < high and math.isfinite(high - low)):
        found.fault(member.ref, at, "range_max should be above range_min")
        return None
    if scaling.zero is not None:
        below = low - scaling.zero
        ratio = (high - scaling.zero) / below if below else math.inf
        if not (math.isfinite(ratio) and ratio > 0.0 and ratio != 1.0):
            found.fault(member.ref, join(at, "zero_point"), "should lie outside the range")
            return None
    bounds = (question.open_low, question.open_high)
    open_low = bool(scaling.open_low if bounds[0] is None else bounds[0])
    open_high = bool(scaling.open_high if bounds[1] is None else bounds[1])
    return _Scale(low, high, ratio, open_low, open_high)


def _distribution(
    found: Gathering, member: _Member, scale: _Scale, values: list[float | None]
) -> Distribution | None:
    """The CDF on real values: point i of N + 1 stands at location i / N. None (and a Fault) if it falls."""
    at = join(member.at, "aggregations", "latest", "forecast_values")
    cdf: list[float] = []
    for value in values:
        if value is None or not -ROUNDING <= value <= 1.0 + ROUNDING or (cdf and value < cdf[-1] - ROUNDING):
            found.fault(member.ref, at, "should rise within 0..1")
            return None
        cdf.append(max(min(value, 1.0), 0.0, cdf[-1] if cdf else 0.0))
    if len(cdf) < 2:
        found.fault(member.ref, at, "needs two or more points")
        return None
    x = _grid(member, len(cdf)) or tuple(scale.real(i / (len(cdf) - 1)) for i in range(len(cdf)))
    unit = "date" if member.question.kind == "date" else plain(member.question.unit or "", 60)
    try:
        return Distribution(x, tuple(cdf), unit)
    except ValueError:
        found.fault(member.ref, join(member.at, "scaling"), "gives no rising grid of real values")
        return None


def _grid(member: _Member, size: int) -> tuple[float, ...] | None:
    """The published grid if it is whole and rises; dates as Unix seconds."""
    listed = member.question.scaling.grid if member.question.scaling is not None else None
    if listed is None or len(listed) != size:
        return None
    try:
        grid = tuple(
            parse_utc(point).timestamp() if isinstance(point, str) else float(point) for point in listed
        )
    except (TypeError, ValueError, OverflowError):
        return None
    rises = all(a < b for a, b in pairwise(grid))
    return grid if rises and all(map(math.isfinite, grid)) else None


# --- outcomes -------------------------------------------------------------------------------------------


def _resolve(found: Gathering, member: _Member, outcomes: tuple[str, ...]) -> None:
    """What became of a question; ``ambiguous`` and ``annulled`` are kept apart."""
    word = member.question.resolution
    if not word:
        return
    for outcome in outcomes:
        state, value = _outcome(member, word, outcome, outcomes)
        if state is None:
            found.fault(
                member.ref,
                join(member.at, "resolution"),
                f"{plain(word, 60)!r} is no outcome of this question",
            )
            return
        found.add(
            Resolution(
                source=NAME,
                platform=NAME,
                external_id=member.ref,
                outcome=outcome,
                state=state,
                fetched_at=found.at,
                resolved_at=member.question.resolved or member.question.entered,
                value=value,
                text=plain(word, 200),
                payload_sha256=found.digest,
            )
        )


def _outcome(
    member: _Member, word: str, outcome: str, outcomes: tuple[str, ...]
) -> tuple[OutcomeState | None, float | None]:
    if word == "ambiguous":
        return OutcomeState.AMBIGUOUS, None
    if word == "annulled":
        return OutcomeState.VOID, None
    kind = member.question.kind
    if kind == "binary":
        known = {"yes": (OutcomeState.YES, 1.0), "no": (OutcomeState.NO, 0.0)}
        return known.get(word, (None, None))
    if kind == "multiple_choice":
        prefix = "" if member.outcome == YES else f"{member.outcome}:"
        winner = prefix + plain(word, 200)
        if winner not in outcomes:
            return None, None
        return (OutcomeState.YES, 1.0) if outcome == winner else (OutcomeState.NO, 0.0)
    if word in ("below_lower_bound", "above_upper_bound"):
        return OutcomeState.VALUE, None
    value = _number(word, kind)
    return (None, None) if value is None else (OutcomeState.VALUE, value)


def _number(word: str, kind: str) -> float | None:
    try:
        value = parse_utc(word).timestamp() if kind == "date" else float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


__all__ = ["Metaculus"]
