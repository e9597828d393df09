"""Records to store, invented; and Hypothesis strategies for them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from questions.evidence import Judgement
from questions.receipts import Edit, Exhibit, QuestionVersion, Receipt
from questions.records import (
    Distribution,
    Measurement,
    OutcomeState,
    Quantity,
    QuestionHealth,
    QuestionInfo,
    QuestionState,
    Resolution,
    SeriesVersion,
    Snapshot,
    StreamKey,
    ValueState,
)
from questions.verdicts import State
from storage.alerting import Alert, Arming, Decision, Fate
from storage.mailing import Channel, Issue, Letter, Picture, Recipient, RecipientState
from storage.records import Drift, DriftKind, Grain, OrderingRecord, RawPayload, digest

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
KEY = StreamKey("manifold", "manifold", "q1", "yes", Quantity.PLAY_MONEY_PRICE)


def key(external_id: str) -> StreamKey:
    return StreamKey("manifold", "manifold", external_id, "yes", Quantity.PLAY_MONEY_PRICE)


def hours(count: float) -> datetime:
    """An instant so many hours after T0."""
    return T0 + count * HOUR


def poll(at: float, probability: float = 0.5, stream: StreamKey = KEY, **more: Any) -> Snapshot:
    """What a poll finds that gets no time stamp from the source."""
    return Snapshot(stream, hours(at), hours(at), probability=probability, **more)


def point(
    as_of: float, fetched: float, probability: float = 0.5, stream: StreamKey = KEY, **more: Any
) -> Snapshot:
    """A value with the source's own time stamp."""
    return Snapshot(
        stream, hours(as_of), hours(fetched), probability=probability, timed_by_source=True, **more
    )


def payload(
    body: bytes = b"{}", at: float = 0, url: str = "https://example.org/q1", **more: Any
) -> RawPayload:
    told: dict[str, Any] = {"source": "manifold", "ref": "q1", "status": 200}
    told |= {"content_type": "application/json", "headers": {"etag": '"1"'}}
    return RawPayload(url=url, fetched_at=hours(at), body=body, **(told | more))


def measured(name: str, value: float, metric: str = "p50", **more: Any) -> Measurement:
    told: dict[str, Any] = {"at": date(2025, 1, 1), "unit": "minutes", "lower": value / 2, "upper": value * 2}
    told |= {"ci_level": 0.95, "is_sota": True, "label": name.title()}
    return Measurement(series="horizons", key=name, metric=metric, value=value, **(told | more))


def version(at: float, *points: Measurement, sha256: str = "", **published: float) -> SeriesVersion:
    return SeriesVersion("horizons", sha256 or "a" * 64, hours(at), points, published)


def resolution(at: float, state: str = "yes", **more: Any) -> Resolution:
    value = {"yes": 1.0, "no": 0.0}.get(state)
    told: dict[str, Any] = {"source": "manifold", "platform": "manifold", "external_id": "q1"}
    told |= {"outcome": "yes", "value": value}
    return Resolution(state=OutcomeState(state), fetched_at=hours(at), **(told | more))


def info(at: float, title: str = "Will it?", external_id: str = "q1", **more: Any) -> QuestionInfo:
    return QuestionInfo("manifold", "manifold", external_id, hours(at), title, **more)


def health(at: float, state: str = "ok", external_id: str = "q1", **more: Any) -> QuestionHealth:
    return QuestionHealth("manifold", "manifold", external_id, hours(at), QuestionState(state), **more)


def drift(at: float, place: str = "/v0/bets: [].limitProb", kind: str = "new_field", **more: Any) -> Drift:
    told: dict[str, Any] = {"detail": "number", "payload_sha256": "a" * 64}
    return Drift(
        "manifold", place, DriftKind(kind), seen_first=hours(at), seen_last=hours(at), **(told | more)
    )


def judgement(at: float, judge: str = "ada", question: str = "q1", **more: Any) -> Judgement:
    told: dict[str, Any] = {"outcome": "yes", "citations": ("https://example.org/a",)}
    return Judgement(question, "v1", judge, made_at=hours(at), **(told | more))


def receipt(at: float, state: str = "resolved", question: str = "q1", **more: Any) -> Receipt:
    told: dict[str, Any] = {"version": "v1", "known_at": hours(at), "rule": "battery"}
    if State(state).final:
        told |= {"outcome": "yes", "resolved_at": hours(at - 1), "computed": (("value", 2.5), ("a", None))}
        told |= {"evidence": (Exhibit("point", "s", "k", value=2.5, payload_sha256="a" * 64),)}
    return Receipt(question, made_at=hours(at), state=State(state), **(told | more))


def question_version(at: float, question: str = "q1", **more: Any) -> QuestionVersion:
    told: dict[str, Any] = {"version": "v1", "text": "t1", "terms": "t2", "number": 1, "record": "{}"}
    return QuestionVersion(question, hours(at), edit=Edit.FIRST, **(told | more))


def ordering(at: float, made_at: float | None = None, grain: str = "week", **more: Any) -> OrderingRecord:
    made = hours(at if made_at is None else made_at)
    payload = str(more.pop("payload", '{"voices":{}}'))
    told: dict[str, Any] = {"settings": "s1", "known_at": hours(at), "program": "0.1", "model": "base"}
    sha256 = digest(payload.encode())
    return OrderingRecord(
        Grain(grain), at=hours(at), made_at=made, payload=payload, sha256=sha256, **(told | more)
    )


def letter(key: str, at: float = 0, shared: bytes = b"Subject: x\r\n\r\nhello\r\n", **more: Any) -> Letter:
    told: dict[str, Any] = {"channel": Channel.MAIL, "address": "ada@example.org", "kind": "digest"}
    told |= {"period": "2026-W09", "message_id": f"<{key}@example.org>", "expires_at": hours(at) + 7 * DAY}
    return Letter(key, shared=shared, created_at=hours(at), **(told | more))


def issue(week: str, at: float, **more: Any) -> Issue:
    told: dict[str, Any] = {"subject": f"{week}: nothing moved", "text": "plain", "html": "<p>plain</p>"}
    told |= {"pictures": (Picture("order", "order.png", b"\x89PNG\x00\xff", "1 before 2"),)}
    return Issue(week, hours(at), hours(at), **(told | more))


def recipient(address: str, at: float, state: str = "confirmed", **more: Any) -> Recipient:
    return Recipient(address, hours(at), RecipientState(state), **more)


# strategies ---------------------------------------------------------------------------------------

offsets = st.one_of(
    st.just(UTC),
    st.integers(-14 * 60 + 1, 14 * 60 - 1).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    st.integers(-80000, 80000).map(lambda seconds: timezone(timedelta(seconds=seconds))),
)
"""Offsets as they come, and as they should not: whole minutes, odd seconds."""

moments = st.datetimes(
    min_value=datetime(1900, 1, 3),
    max_value=datetime(2200, 1, 1),
    timezones=offsets,
)

distributions = st.builds(
    lambda low, step, cdf: Distribution(
        tuple(low + i * step for i in range(len(cdf))), tuple(sorted(cdf)), "date"
    ),
    st.floats(-1e9, 1e9),
    st.floats(1.0, 1e6),
    st.lists(st.floats(0, 1), min_size=2, max_size=5),
)

_CONTENTS: list[dict[str, Any]] = [
    {"probability": 0.25},
    {"probability": 0.75},
    {"probability": 0.25, "forecasters": 3},
    {"value": 4.5, "distribution": Distribution((1.0, 2.5), (0.25, 0.5), "date")},
    {"state": ValueState.HIDDEN, "hidden_until": T0 + 90 * DAY},
    {"state": ValueState.NO_TRADE},
]


@st.composite
def stream_snapshots(draw: st.DrawFn, stream: StreamKey = KEY, most: int = 14) -> list[Snapshot]:
    """Snapshots of one stream on a coarse grid of hours, so that instants, contents and gaps collide.

    At most one account of each instant by each fetch, and never of the future: adapters refuse those.
    """
    found: dict[tuple[int, int], Snapshot] = {}
    for _ in range(draw(st.integers(1, most))):
        fetched = draw(st.integers(0, 12))
        timed = draw(st.booleans())
        as_of = draw(st.integers(0, fetched)) if timed else fetched
        content = draw(st.sampled_from(_CONTENTS))
        quality: dict[str, Any] = {
            "volume": draw(st.sampled_from([None, 1.0, 2.0])),
            "payload_sha256": f"{fetched:064x}",
        }
        found[as_of, fetched] = Snapshot(
            stream, hours(as_of), hours(fetched), timed_by_source=timed, **content, **quality
        )
    return list(found.values())


def alert(at: float, signal: str = "move:manifold:q1", **more: Any) -> Alert:
    told: dict[str, Any] = {"kind": "move", "direction": "up", "title": "Will it?", "before": "20%"}
    told |= {"after": "45%", "areas": ("evals",), "size": 1.2, "rule": {"log_odds": 1.0}}
    told |= {"evidence": (Exhibit("value", "manifold", "q1", value=0.45, payload_sha256="a" * 64),)}
    return Alert(signal, hours(at), **(told | more))


def arming(at: float, signal: str = "move:manifold:q1", **state: Any) -> Arming:
    return Arming(signal, hours(at), state or {"told": 0.45})


def decision(alerted: float, at: float, signal: str = "move:manifold:q1", **more: Any) -> Decision:
    return Decision(signal, hours(alerted), hours(at), **({"fate": Fate.QUEUED, "batch": "b1"} | more))
