"""Values entered by hand: every mistake told with its place, the file kept with its author, nothing twice."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from questions.records import Quantity, Snapshot, StreamKey
from questions.time import iso
from storage import open_store
from storage.memory import MemoryStore
from storage.records import Batch, RawPayload
from storage.store import Store
from tests.sources.test_contract import NONSENSE
from tracker.collect import reparse
from tracker.errors import ParseError, UsageError
from tracker.imported import COLUMNS, NAME, Imported, enter, payload_of, read
from tracker.sheets import Format

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
GOOD = """\
platform,external_id,outcome,as_of,probability,value,quantity,forecasters,volume,liquidity,spread,url,note
leap,q7,,2026-06-30,0.26,,,120,,,,https://panel.example/june#q7,"page 12, table 3"
leap,q7,,2026-09-30T18:00+02:00,0.31,,,118,,,,https://panel.example/september,
metaculus,41140,yes,2026-11-01,0.05,,forecaster_median,,,,,,read on the site
leap,q9,value,2026-06-30,,2031.5,,,,,,,
"""
BOOKS = [
    {"platform": "leap", "external_id": "q7", "as_of": "2026-06-30", "probability": 0.26, "forecasters": 120},
    {
        "platform": "metaculus",
        "external_id": 41140,
        "as_of": "2026-11-01",
        "probability": "0.05",
        "note": None,
    },
]


def payload(
    body: bytes | str, form: Format = "csv", *, at: datetime = AT, who: str = "A. Reader"
) -> RawPayload:
    data = body.encode() if isinstance(body, str) else body
    return payload_of(data, name=f"panel.{form}", who=who, at=at, form=form)


def problems(body: bytes | str, form: Format = "csv") -> list[str]:
    return [str(problem) for problem in sorted(read(payload(body, form)).problems)]


def row(**changes: str) -> str:
    """A file of one good row, with some cells changed."""
    cells = {"platform": "leap", "external_id": "q7", "as_of": "2026-06-30", "probability": "0.26"} | changes
    return ",".join(cells) + "\n" + ",".join(cells.values()) + "\n"


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened = open_store("memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 's.sqlite'}")
    yield opened
    opened.close()


# --- reading --------------------------------------------------------------------------------------------


def test_a_row_is_a_value_at_its_own_time_known_from_its_entry_on() -> None:
    raw = payload(GOOD)
    reading = read(raw)
    assert reading.problems == ()
    assert reading.snapshots[0] == Snapshot(
        key=StreamKey(NAME, "leap", "q7", "yes", Quantity.PANEL_MEDIAN),
        as_of=datetime(2026, 6, 30, tzinfo=UTC),
        fetched_at=AT,
        probability=0.26,
        timed_by_source=True,
        forecasters=120,
        payload_sha256=raw.sha256,
    )
    assert [(s.key.platform, iso(s.as_of), s.probability, s.value) for s in reading.snapshots] == [
        ("leap", "2026-06-30T00:00:00Z", 0.26, None),
        ("leap", "2026-09-30T16:00:00Z", 0.31, None),
        ("metaculus", "2026-11-01T00:00:00Z", 0.05, None),
        ("leap", "2026-06-30T00:00:00Z", None, 2031.5),
    ]
    assert reading.snapshots[2].key.quantity is Quantity.FORECASTER_MEDIAN
    assert reading.origins[0] == ("https://panel.example/june#q7", "page 12, table 3")


def test_the_quality_of_a_market_travels_with_its_value() -> None:
    (snapshot,) = read(payload(row(volume="5321.5", liquidity="0", spread="0.02"))).snapshots
    assert (snapshot.volume, snapshot.liquidity, snapshot.spread) == (5321.5, 0.0, 0.02)
    (bare,) = read(payload(row())).snapshots
    assert (bare.volume, bare.liquidity, bare.spread, bare.forecasters) == (None, None, None, None)


def test_values_that_do_not_say_where_they_were_read_are_counted() -> None:
    assert read(payload(GOOD)).without_origin == 1
    assert read(payload(row(note="page 12"))).without_origin == 0


def test_json_says_the_same_as_csv() -> None:
    reading = read(payload(json.dumps(BOOKS), "json"))
    assert reading.problems == ()
    assert [(s.key.external_id, s.probability, s.forecasters) for s in reading.snapshots] == [
        ("q7", 0.26, 120),
        ("41140", 0.05, None),
    ]


def test_columns_may_come_in_any_order_and_the_optional_ones_may_be_absent() -> None:
    reading = read(payload("\ufeffprobability, as_of,external_id,platform\r\n\r\n0,2026-06-30,q7,leap\r\n"))
    assert reading.problems == ()
    assert [s.probability for s in reading.snapshots] == [0.0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"probability": "26%"}, "panel.csv:2: probability: '26%': write a number from 0 to 1"),
        ({"probability": "26"}, "panel.csv:2: probability: '26' does not lie in 0..1"),
        ({"probability": "-0.1"}, "probability: '-0.1' does not lie in 0..1"),
        ({"probability": "0,26"}, "panel.csv:2: 5 cells, the header has 4"),
        ({"probability": "nan"}, "probability: 'nan' is no number"),
        ({"probability": "1_0"}, "probability: '1_0' is no number"),
        ({"probability": "٠.٥"}, "is no number"),
        ({"probability": ""}, "probability: give either probability or value"),
        ({"value": "3"}, "probability: give either probability or value"),
        ({"probability": "", "value": "1e999"}, "value: '1e999' is no number"),
        ({"platform": "LEAP panel"}, "platform: 'LEAP panel': a platform's name has small letters"),
        ({"platform": ""}, "platform: is missing"),
        ({"external_id": ""}, "external_id: is missing"),
        ({"external_id": "x" * 121}, "external_id: should have 1 to 120 characters"),
        ({"as_of": "June 2026"}, "as_of: 'June 2026' is no date or time with an offset"),
        ({"as_of": "2026-06-30T12:00"}, "is no date or time with an offset"),
        ({"as_of": "2026-13-01"}, "is no date or time with an offset"),
        ({"as_of": "2026-11-21"}, "as_of: 2026-11-21T00:00:00Z lies after the import"),
        ({"quantity": "median"}, "quantity: 'median' is no quantity; there are: forecaster_median"),
        ({"forecasters": "many"}, "forecasters: 'many' is no count of people"),
        ({"forecasters": "-3"}, "forecasters: '-3' is no count of people"),
        ({"volume": "-1"}, "volume: '-1' is less than nothing"),
        ({"liquidity": "much"}, "liquidity: 'much' is no number"),
        ({"spread": "1.5"}, "spread: '1.5' does not lie in 0..1"),
        ({"url": "http://plain.example"}, "url: 'http://plain.example' is no https address"),
        ({"url": "javascript:alert(1)"}, "is no https address"),
        ({"note": "a\x1b[31mb"}, "note: should be one line"),
        ({"probabilty": "0.3"}, "panel.csv:1: probabilty: is no column; did you mean probability?"),
        ({"colour": "red"}, "colour: is no column; there are: platform, external_id"),
    ],
)
def test_a_wrong_cell_is_named_with_file_line_and_column(changes: dict[str, str], said: str) -> None:
    (found,) = problems(row(**changes))
    assert said in found
    assert read(payload(row(**changes))).snapshots == ()


def test_every_problem_is_told_at_once() -> None:
    body = (
        "platform,external_id,as_of,probability\n"
        "leap,q1,2026-06-30,26%\n"
        "leap,q2,2026-06-30,0.5\n"
        "Leap,,yesterday,2\n"
        "leap,q3\n"
    )
    with pytest.raises(UsageError) as caught:
        enter(MemoryStore(), payload(body))
    text = str(caught.value)
    assert text.startswith("6 problems in panel.csv; nothing was stored")
    for where in (
        ":2: probability",
        ":4: platform",
        ":4: external_id",
        ":4: as_of",
        ":4: probability",
        ":5: ",
    ):
        assert f"panel.csv{where}" in text
    assert caught.value.exit_code == 2


def test_a_message_does_not_grow_without_end() -> None:
    body = "platform,external_id,as_of,probability\n" + "leap,q,2026-06-30,2\n" * 500
    with pytest.raises(UsageError) as caught:
        read(payload(body)).require_good()
    assert "500 problems" in str(caught.value)
    assert "… and 400 more" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 102


def test_a_quoted_cell_over_two_lines_does_not_shift_the_lines_of_the_others() -> None:
    body = 'platform,external_id,as_of,probability,note\nleap,q1,2026-06-30,0.5,"two\nlines"\nleap,q2,2026-06-30,7,\n'
    assert [problem.split(": ")[0] for problem in problems(body)] == ["panel.csv:2", "panel.csv:4"]


def test_the_same_value_twice_in_a_file_is_a_problem_and_the_same_question_on_another_day_is_not() -> None:
    head = "platform,external_id,as_of,probability\n"
    assert problems(head + "leap,q1,2026-06-30,0.5\nleap,q1,2026-07-30,0.5\n") == []
    assert problems(head + "leap,q1,2026-06-30,0.5\nleap,q1,2026-06-30T02:00+02:00,0.6\n") == [
        "panel.csv:3: as_of: line 2 has a value of the same stream and time"
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "there are no values in it"),
        (b"platform,external_id,as_of,probability\n", "there are no values in it"),
        (b"platform;external_id;as_of;probability\nleap;q;2026-06-30;0.5\n", "is no column"),
        (b"platform,as_of,probability\nleap,2026-06-30,0.5\n", "external_id: is missing"),
        (b"platform,platform,external_id,as_of\nleap,leap,q,2026-06-30\n", "platform: stands twice"),
        (b"platform,external_id,as_of,probability\nl\xffap,q,2026-06-30,0.5\n", "panel.csv:2: is not UTF-8"),
        (b'platform,external_id,as_of,probability\nleap,"q,2026-06-30,0.5\n', "not readable as CSV"),
    ],
    ids=["empty", "header alone", "semicolons", "no id", "doubled", "latin-1", "open quote"],
)
def test_what_is_no_table_of_ours_is_refused(body: bytes, said: str) -> None:
    assert any(said in problem for problem in problems(body))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{}", "panel.json:1: should be a list of objects"),
        ("", "panel.json:1: should be a list"),
        ("[]", "there are no values in it"),
        ("[3]", "panel.json:1: should be an object"),
        ("[{]", "panel.json:1: is not JSON"),
        ('[{"a": 1}\n{"b": 2}]', "panel.json:2: here should be a comma"),
        ("[] x", "here should be a comma, or ] and then nothing more"),
        ('[\n\n{"platform": NaN}]', "panel.json:3: is not JSON that can be read: NaN"),
        ('[\n{"platform": "leap", "platform": "leap"}]', "panel.json:2: platform: stands twice"),
        ('[\n{"plattform": "leap"}]', "plattform: is no column; did you mean platform?"),
        ('[\n{"platform": {"a": 1}}]', "panel.json:2: platform: should be text or a number"),
        ('[\n{"probability": true}]', "panel.json:2: probability: should be text or a number"),
        ('[\n{"probability": 1e999}]', "probability: 'inf' is no number"),
        ('[\n{"as_of": 20260630}]', "as_of: '20260630' is no date"),
        ("[" * 100_000, "panel.json:1: is not JSON that can be read"),
        ("[" + "9" * 10_000 + "]", "panel.json:1: is not JSON that can be read"),
    ],
)
def test_wrong_json_is_named_with_its_line(body: str, said: str) -> None:
    assert any(said in problem for problem in problems(body, "json"))


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=300), form=st.sampled_from(["csv", "json"]))
def test_arbitrary_bytes_have_values_or_problems(body: bytes, form: Format) -> None:
    reading = read(payload(body, form))
    assert reading.snapshots or reading.problems


@pytest.mark.parametrize("form", ["csv", "json"])
@pytest.mark.parametrize("body", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_has_problems_and_no_values(body: bytes, form: Format) -> None:
    reading = read(payload(body, form))
    assert reading.snapshots == ()
    assert reading.problems


@pytest.mark.parametrize("form", ["csv", "json"])
def test_flipped_bytes_are_read_or_named(form: Format) -> None:
    chance = random.Random(form)
    good = GOOD.encode() if form == "csv" else json.dumps(BOOKS).encode()
    for _ in range(300):
        body = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        for snapshot in read(payload(bytes(body), form)).snapshots:
            assert snapshot.probability is None or 0.0 <= snapshot.probability <= 1.0
            assert snapshot.as_of <= AT


@settings(max_examples=100, deadline=None)
@given(
    told=st.lists(
        st.tuples(st.from_regex(r"[A-Za-z0-9]{1,8}", fullmatch=True), st.integers(0, 300), st.floats(0, 1)),
        min_size=1,
        max_size=20,
        unique_by=lambda one: (one[0], one[1]),
    )
)
def test_what_is_written_is_what_is_read(told: list[tuple[str, int, float]]) -> None:
    days = [(name, (AT - timedelta(days=1 + ago)).date().isoformat(), p) for name, ago, p in told]
    text = "platform,external_id,as_of,probability\n" + "".join(f"leap,{n},{d},{p!r}\n" for n, d, p in days)
    objects = [{"platform": "leap", "external_id": n, "as_of": d, "probability": p} for n, d, p in days]
    for body, form in ((text, "csv"), (json.dumps(objects, indent=1), "json")):
        reading = read(payload(body, form))  # type: ignore[arg-type]
        assert reading.problems == ()
        assert [(s.key.external_id, iso(s.as_of)[:10], s.probability) for s in reading.snapshots] == days


# --- keeping --------------------------------------------------------------------------------------------


def history(store: Store) -> dict[str, list[tuple[str, float | None]]]:
    return {
        f"{key.source}:{key.platform}:{key.external_id}": [
            (iso(one.snapshot.as_of), one.snapshot.probability or one.snapshot.value)
            for one in store.history(key)
        ]
        for key in store.streams()
    }


def test_the_file_is_kept_with_who_entered_it_when_and_from_where(store: Store) -> None:
    entered = enter(store, payload(GOOD))
    assert (entered.known, entered.appended.snapshots_new) == (False, 4)
    for seen in store.latest().values():
        kept = store.get_raw(seen.snapshot.payload_sha256 or "")
        assert kept is not None
        assert kept.body == GOOD.encode()
        assert kept.source == seen.snapshot.key.source == NAME
        assert dict(kept.headers) == {
            "entered-by": "A. Reader",
            "entered-at": "2026-11-20T12:00:00Z",
            "file": "panel.csv",
        }
        assert b"https://panel.example/june#q7" in kept.body
    assert store.check() == []


def test_a_file_with_a_problem_leaves_nothing_behind(store: Store) -> None:
    with pytest.raises(UsageError):
        enter(store, payload(GOOD + "leap,q8,,2026-06-30,7,,,,,\n"))
    assert set(store.counts().values()) == {0}


def test_entering_the_same_file_again_adds_nothing_whoever_does_it(store: Store) -> None:
    enter(store, payload(GOOD))
    before, counts = history(store), store.counts()
    again = enter(store, payload(GOOD, at=AT + timedelta(days=3), who="B. Writer"))
    assert (again.known, again.appended.snapshots_new) == (True, 0)
    assert again.payload.headers["entered-by"] == "A. Reader"
    assert (history(store), store.counts()) == (before, counts)


def test_a_corrected_file_is_a_correction_and_what_was_known_before_stays_known(store: Store) -> None:
    enter(store, payload(row()))
    later = AT + timedelta(days=2)
    entered = enter(store, payload(row(probability="0.36"), at=later))
    assert entered.appended.snapshots_new == 1
    (key,) = store.streams()
    assert [one.snapshot.probability for one in store.history(key)] == [0.36]
    assert [one.snapshot.probability for one in store.history(key, known_at=AT)] == [0.26]
    assert len(store.revisions(key)) == 2


def test_a_value_is_not_known_before_it_was_entered(store: Store) -> None:
    enter(store, payload(GOOD))
    assert store.latest(known_at=AT - timedelta(seconds=1)) == {}


def test_a_kill_after_the_bytes_were_kept_is_mended_by_entering_the_file_again(store: Store) -> None:
    store.put_raw(payload(GOOD))
    entered = enter(store, payload(GOOD, at=AT + timedelta(hours=1)))
    assert (entered.known, entered.appended.snapshots_new) == (True, 4)
    assert {seen.snapshot.fetched_at for seen in store.latest().values()} == {AT}


def test_kept_files_are_read_again_like_any_other_payload(store: Store) -> None:
    store.put_raw(payload(GOOD))
    store.put_raw(payload(json.dumps(BOOKS), "json", at=AT + timedelta(hours=1)))
    first = reparse(store, Imported(), None, None, AT)
    assert first.status == "ok", first.errors
    assert first.appended.snapshots_new == 5  # q7 of June is told by both, with the same value
    before = history(store)
    assert reparse(store, Imported(), None, None, AT).appended.snapshots_new == 0
    assert history(store) == before


def test_a_kept_file_that_cannot_be_read_any_more_is_refused_with_its_place() -> None:
    raw = replace(payload(GOOD), body=b"platform,external_id,as_of,probability\nleap,q,2026-06-30,7\n")
    with pytest.raises(ParseError, match=r"line 2 probability: '7' does not lie in 0..1"):
        Imported().parse(raw)


def test_it_asks_nothing_and_is_no_platform() -> None:
    assert Imported().plan((), AT, None).requests == ()
    assert Imported().traits.platforms == ()
    assert Imported().parse(payload(GOOD)).batch == Batch(
        snapshots=tuple(sorted(read(payload(GOOD)).snapshots, key=lambda s: (s.key, s.as_of)))
    )


@pytest.mark.parametrize(
    ("name", "who"), [("a\nb.csv", "me"), ("a.csv", ""), ("a.csv", "x" * 201), ("a.csv", "a\x1b")]
)
def test_a_name_that_is_not_one_line_is_refused(name: str, who: str) -> None:
    with pytest.raises(UsageError, match="one line"):
        payload_of(b"", name=name, who=who, at=AT, form="csv")


def test_too_large_a_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracker.sheets.MAX_BYTES", 10)
    with pytest.raises(UsageError, match="larger than 10 bytes"):
        payload(GOOD)


def test_the_documented_columns_are_the_ones_that_are_read() -> None:
    header = GOOD.splitlines()[0]
    assert header == ",".join(COLUMNS)


def test_values_of_any_shape(store: Store) -> None:
    """Exactly the numbers of the file come back from the store, for a hundred of them."""
    chance = random.Random(1)
    told: dict[str, Any] = {f"q{n}": chance.random() for n in range(100)}
    body = "platform,external_id,as_of,probability\n" + "".join(
        f"leap,{name},2026-06-30,{p!r}\n" for name, p in told.items()
    )
    enter(store, payload(body))
    assert {key.external_id: seen.snapshot.probability for key, seen in store.latest().items()} == told
