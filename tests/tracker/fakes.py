"""A source and a network with a vocabulary: what they answer is said in the test, nothing is patched."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from questions.model import Link, Relation, View
from questions.records import (
    Measurement,
    OutcomeState,
    Quantity,
    Resolution,
    SeriesVersion,
    Snapshot,
    StreamKey,
)
from storage.records import Batch, RawPayload, Validator
from tracker.errors import FetchError, ParseError
from tracker.http import NotModified
from tracker.source import Fault, Parsed, Plan, Request, SourceTraits

START = datetime(2026, 8, 1, 12, tzinfo=UTC)


@dataclass
class Clock:
    """A clock that only moves when told to."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **amount: float) -> None:
        self.now += timedelta(**amount)


def link(external_id: str, platform: str = "fair") -> Link:
    return Link(
        platform=platform,
        external_id=external_id,
        url="https://fair.example/q",
        label=f"question {external_id}",
        relation=Relation.CONTEXT,
        view=View.MODEL,
    )


TRAITS = SourceTraits(
    name="fair",
    setting="manifold",
    base_url="https://fair.example",
    hosts=("fair.example",),
    pace_s=0.0,
    period_hours=1.0,
    platforms=("fair",),
    credit="nobody",
    licence="none",
)


@dataclass(frozen=True)
class FairSource:
    """Answers look like ``{"a": 0.3, "b": "shut"}``: a value per question, or a word for why there is none."""

    traits: SourceTraits = TRAITS
    parser_version: str = "1"

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        if not links:
            return Plan(())
        path = "history" if since is not None else "now"
        refs = ",".join(link.external_id for link in links)
        return Plan((Request("fair", refs, path, params=(("ids", refs),), conditional=True),))

    def parse(self, raw: RawPayload) -> Parsed:
        if raw.status == 403:
            return Parsed(denied=tuple(raw.ref.split(",")))
        try:
            values = json.loads(raw.body)
        except ValueError as error:
            raise ParseError("fair", raw.ref, "$", "is not JSON") from error
        snapshots, faults, resolutions, versions = [], [], [], []
        for name, value in values.items():
            key = StreamKey("fair", "fair", name, "yes", Quantity.PLAY_MONEY_PRICE)
            if name == "series":
                versions.append(_version(raw, value))
            elif value == "resolved":
                resolutions.append(
                    Resolution("fair", "fair", name, "yes", OutcomeState.YES, raw.fetched_at, value=1.0)
                )
            elif isinstance(value, (int, float)) and 0 <= value <= 1:
                snapshots.append(
                    Snapshot(
                        key, raw.fetched_at, raw.fetched_at, probability=value, payload_sha256=raw.sha256
                    )
                )
            else:
                faults.append(Fault(name, f"$.{name}", f"{value!r} is no probability"))
        batch = Batch(snapshots=tuple(snapshots), resolutions=tuple(resolutions), versions=tuple(versions))
        return Parsed(batch=batch, faults=tuple(faults))


def _version(raw: RawPayload, value: float) -> SeriesVersion:
    point = Measurement("s", "model", "p50", datetime(2026, 1, 1).date(), value, "minutes")
    return SeriesVersion("s", raw.sha256, raw.fetched_at, (point,))


Script = Mapping[str, "bytes | int | FetchError | Callable[[], bytes]"]


@dataclass
class FakeNet:
    """Answers by path: bytes are a 200, a number is that status, an error is raised; 304 when tagged."""

    answers: dict[str, object] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)
    tag: str | None = None

    def fetch(
        self,
        request: Request,
        traits: SourceTraits,
        *,
        base_url: str,
        secret: str | None,
        now: Callable[[], datetime],
        validator: Validator | None = None,
    ) -> RawPayload | NotModified:
        self.asked.append(request)
        answer = self.answers[request.path]
        if isinstance(answer, FetchError):
            raise answer
        url = self.url_for(request, base_url)
        if validator is not None and self.tag is not None and validator.etag == self.tag:
            return NotModified(traits.name, request.ref, url, now(), validator.payload_sha256)
        status, body = (answer, b"") if isinstance(answer, int) else (200, answer)
        headers = {"etag": self.tag} if self.tag else {}
        assert isinstance(body, bytes)
        return RawPayload(traits.name, request.ref, url, now(), status, "application/json", body, headers)

    def url_for(self, request: Request, base_url: str) -> str:
        return f"{base_url}/{request.path}"
