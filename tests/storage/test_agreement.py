"""Every database answers as the store in memory does, after any sequence of calls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import text

from questions.records import Forecast, ForecasterKind, Resolution, Score, SeriesVersion
from storage.engine import Database
from storage.errors import StorageError
from storage.memory import MemoryStore
from storage.records import Batch, Gap, Grain, Quarantined, Run, RunState, SourceHealth, Validator
from storage.sql import SqlStore
from storage.store import Store
from storage.tables import metadata
from tests.storage.samples import (
    drift,
    health,
    hours,
    info,
    judgement,
    key,
    measured,
    ordering,
    payload,
    poll,
    question_version,
    receipt,
    resolution,
    stream_snapshots,
    version,
)

Call = tuple[str, tuple[Any, ...]]

some_hours = st.integers(0, 12)
names = st.sampled_from(["a", "b"])
digests = st.sampled_from(["a" * 64, "b" * 64, payload().sha256])


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    snapshots = [
        snapshot
        for stream in draw(st.lists(st.sampled_from([key("a"), key("b")]), unique=True))
        for snapshot in draw(stream_snapshots(stream, most=4))
    ]
    return Batch(
        snapshots=tuple(snapshots),
        versions=tuple(draw(st.lists(versions, max_size=2))),
        resolutions=tuple(draw(st.lists(resolutions, max_size=2, unique_by=lambda r: r.fetched_at))),
        infos=tuple(
            info(at, title, external)
            for at, title, external in draw(
                st.lists(st.tuples(some_hours, st.sampled_from(["x", "y"]), names), max_size=2)
            )
        ),
        healths=tuple(draw(st.lists(healths, max_size=2))),
    )


versions: st.SearchStrategy[SeriesVersion] = st.builds(
    lambda at, values, sha256: version(
        at, *(measured(name, value) for name, value in values.items()), sha256=sha256, n=float(len(values))
    ),
    some_hours,
    st.dictionaries(names, st.sampled_from([1.0, 2.0]), max_size=2),
    digests,
)
resolutions: st.SearchStrategy[Resolution] = st.builds(
    lambda at, state, name: resolution(at, state, external_id=name),
    some_hours,
    st.sampled_from(["yes", "no", "unresolved"]),
    names,
)
healths = st.builds(health, some_hours, st.sampled_from(["ok", "hidden", "gone"]), names)
drifts = st.builds(
    lambda at, place, sha256: drift(at, place, payload_sha256=sha256), some_hours, names, digests
)
receipts = st.builds(receipt, st.integers(0, 2), st.sampled_from(["open", "resolved"]), names)
judgements = st.builds(judgement, st.integers(0, 2), st.sampled_from(["ada", "bob"]), names)
orderings = st.builds(
    ordering,
    st.integers(0, 2),
    st.sampled_from([None, 9]),
    st.sampled_from(["week", "day"]),
    settings=names,
    payload=st.sampled_from(["{}", "[]"]),
)
question_versions = st.builds(
    lambda at, name, text: question_version(at, name, text=text), st.integers(0, 2), names, names
)
forecasts = st.builds(
    lambda name, at, probability: Forecast(name, "yes", "ada", ForecasterKind.PERSON, hours(at), probability),
    names,
    st.integers(0, 2),
    st.sampled_from([0.1, 0.1, 0.2]),
)
scores = st.builds(
    lambda name, at: Score(name, "yes", "ada", hours(at), "brier", "1", 0.1, hours(20)),
    names,
    st.integers(0, 2),
)
runs = st.builds(
    lambda name, at, state: Run(name, hours(at), state, hours(at), None, "told"),
    names,
    st.integers(0, 1),
    st.sampled_from(RunState),
)
payloads = st.builds(
    lambda body, at, source: payload(body, at, source=source),
    st.sampled_from([b"{}", b"[]"]),
    some_hours,
    names,
)
calls: st.SearchStrategy[Call] = st.one_of(
    st.tuples(st.just("append"), st.tuples(batches())),
    st.tuples(st.just("put_raw"), st.tuples(payloads)),
    st.tuples(st.just("add_forecasts"), st.tuples(st.lists(forecasts, max_size=2))),
    st.tuples(st.just("add_scores"), st.tuples(st.lists(scores, max_size=2))),
    st.tuples(
        st.just("quarantine"),
        st.tuples(
            st.builds(
                lambda sha, version, at: Quarantined(sha, "a", "q", "reason", version, hours(at)),
                digests, st.sampled_from("12"), some_hours,
            )
        ),
    ),
    st.tuples(st.just("add_drifts"), st.tuples(st.lists(drifts, max_size=2))),
    st.tuples(st.just("add_receipts"), st.tuples(st.lists(receipts, max_size=2))),
    st.tuples(st.just("add_orderings"), st.tuples(st.lists(orderings, max_size=2))),
    st.tuples(st.just("add_judgements"), st.tuples(st.lists(judgements, max_size=2))),
    st.tuples(st.just("add_question_versions"), st.tuples(st.lists(question_versions, max_size=2))),
    st.tuples(st.just("release"), st.tuples(digests, some_hours.map(hours))),
    st.tuples(st.just("begin_run"), st.tuples(names, st.integers(0, 1).map(hours), some_hours.map(hours))),
    st.tuples(st.just("end_run"), st.tuples(runs)),
    st.tuples(
        st.just("add_gap"),
        st.tuples(st.builds(lambda n, a, b: Gap(n, hours(a), hours(a + b), "r"), names, some_hours, some_hours)),
    ),
    st.tuples(
        st.just("set_health"), st.tuples(st.builds(lambda n, f: SourceHealth(n, "ok", failures=f), names, some_hours))
    ),
    st.tuples(
        st.just("set_validator"),
        st.tuples(st.builds(lambda n, sha: Validator(f"https://{n}.org", n, None, sha), names, digests)),
    ),
    st.tuples(
        st.just("sight"),
        st.tuples(names, st.just("https://example.org/q1"), st.just(payload().sha256), some_hours.map(hours)),
    ),
)  # fmt: skip


def outcome(store: Store, name: str, arguments: tuple[Any, ...]) -> object:
    """What a call gives, a refusal included."""
    try:
        return getattr(store, name)(*arguments)
    except StorageError as error:
        return type(error)


def everything(store: Store) -> dict[str, object]:
    """All that a store can be asked."""
    asked: dict[str, object] = {
        "streams": store.streams(),
        "revisions": [store.revisions(stream) for stream in store.streams()],
        "raw": list(store.raw_payloads()),
        "raw names": [store.raw_names(digit, 3) for digit in "0123456789abcdef"],
        "raw of a": list(store.raw_payloads("a", hours(3))),
        "series": store.series_ids(),
        "diff": store.series_diff("horizons", hours(3), hours(9)),
        "scores": store.scores(),
        "quarantined": store.quarantined(),
        "ever quarantined": store.quarantined(unresolved_only=False),
        "runs": store.runs(),
        "gaps": store.gaps(),
        "health": store.health(),
        "validators": [store.validator(f"https://{name}.org") for name in "ab"],
    }
    for at in (None, hours(4), hours(8.5)):
        asked |= {
            f"latest {at}": store.latest(known_at=at),
            f"histories {at}": [store.history(key(name), known_at=at) for name in "abc"],
            f"versions {at}": store.versions("horizons", known_at=at),
            f"measurements {at}": store.measurements("horizons", known_at=at),
            f"resolutions {at}": store.resolutions(known_at=at),
            f"infos {at}": store.infos(known_at=at),
            f"question health {at}": store.question_health(known_at=at),
            f"receipts {at}": store.receipts(known_at=at),
            f"judgements of a {at}": store.judgements("a", known_at=at),
            f"weeks {at}": store.orderings(Grain.WEEK, known_at=at),
            f"days until {at}": store.orderings(Grain.DAY, until=at, settings="a"),
            f"question versions {at}": store.question_versions(known_at=at),
            f"drifts {at}": store.drifts(known_at=at),
            f"forecasts {at}": store.forecasts(known_at=at),
        }
    return asked


def emptied(database: Database) -> SqlStore:
    with database.write() as connection:
        if database.sqlite:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
        else:
            listed = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables)
            connection.execute(text(f"TRUNCATE {listed} CASCADE"))
    return SqlStore(database)


@given(sequence=st.lists(calls, max_size=12))
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_database_and_the_store_in_memory_agree_after_any_calls(
    database: Database, sequence: list[Call]
) -> None:
    kept, reference = emptied(database), MemoryStore()
    for name, arguments in sequence:
        assert outcome(kept, name, arguments) == outcome(reference, name, arguments), name
    assert everything(kept) == everything(reference)
    counted = reference.counts()
    assert {name: n for name, n in kept.counts().items() if name in counted and name != "payload"} == {
        name: n for name, n in counted.items() if name != "payload"
    }
    assert len(kept.check()) == len(reference.check())


def test_keys_that_cannot_be_kept_meet_in_one_stream(database: Database) -> None:
    kept, reference = emptied(database), MemoryStore()
    for store in (kept, reference):
        for name in ("q\x00", "q\ud800", "q\ufffd"):
            stream = replace(key("x"), external_id=name)
            store.append(Batch(snapshots=(poll(ord(name[1]) % 7, stream=stream),)))
    assert everything(kept) == everything(reference)
    assert len(kept.streams()) == 1
