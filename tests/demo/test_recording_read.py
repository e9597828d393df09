"""The real adapters read the whole recording without a fault, and get the tables' values out of it."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from questions.model import Link
from questions.records import OutcomeState
from storage.records import RawPayload
from tests.demo.tables import LAST, TOKEN, daily, morning_after, recording, rows
from tracker.demo.recording import sample_moments
from tracker.source import Parsed
from tracker.sources import SOURCES

MOMENTS = [at for at in sample_moments(recording()) if at.date() >= date(2026, 1, 30)]


def links(at: datetime) -> list[Link]:
    return [
        Link.model_validate(
            {
                "platform": question.source,
                "external_id": question.id,
                "url": question.url or "https://example.org/",
                "label": question.label,
                "relation": "context",
                "view": "model",
            }
        )
        for question in recording().facts.questions
        if recording().has_value(question.source, question.id, at)
    ]


def poll(name: str, at: datetime) -> Iterator[Parsed]:
    """Everything one poll of a source reads at a moment: what it planned, and what followed from that."""
    source = SOURCES[name]
    waiting = list(source.plan(links(at), at, None).requests)
    while waiting:
        request = waiting.pop(0)
        answer = recording().answer(name, request.path, request.params, at=at, authorization=TOKEN)
        assert answer.status == 200 or request.accept_missing, request
        url = f"https://host.example/{request.path}" + ("?ids=" if request.params else "")
        raw = RawPayload(name, request.ref, url, at, answer.status, answer.content_type, answer.body)
        parsed = source.parse(raw)
        waiting += parsed.follow
        yield parsed


@pytest.mark.parametrize("name", ["forecastbench", "manifold", "metaculus", "metr"])
def test_no_adapter_finds_a_fault_in_the_recording(name: str) -> None:
    for at in MOMENTS:
        for parsed in poll(name, at):
            assert (parsed.faults, parsed.notes, parsed.denied) == ((), (), ())


def test_metaculuss_adapter_gets_every_value_and_every_outcome() -> None:
    at = morning_after(LAST)
    polled = list(poll("metaculus", at))
    values = {
        (snapshot.key.external_id, snapshot.as_of.date()): snapshot.probability
        for parsed in polled
        for snapshot in parsed.batch.snapshots
    }
    assert values == {
        (number, day): value
        for (source, number), path in daily().items()
        if source == "metaculus"
        for day, value in path.items()
    }
    outcomes = {
        resolution.external_id: (resolution.state, resolution.resolved_at)
        for parsed in polled
        for resolution in parsed.batch.resolutions
    }
    assert outcomes == {
        row["id"]: (
            OutcomeState.YES if row["resolved_to"] == "1" else OutcomeState.NO,
            datetime.fromisoformat(row["resolution_date"]).replace(tzinfo=UTC)
            + timedelta(hours=23, minutes=59, seconds=59),
        )
        for row in rows("questions.csv")
        if row["source"] == "metaculus" and row["resolved_to"]
    }


def test_metrs_adapter_gets_as_many_points_as_the_table_has_rows() -> None:
    at = morning_after(LAST)
    versions = [version for parsed in poll("metr", at) for version in parsed.batch.versions]
    counts = {version.series: len(version.measurements) for version in versions}
    assert counts == {"metr_th11": 2 * 26, "metr_th10": 2 * 33}
