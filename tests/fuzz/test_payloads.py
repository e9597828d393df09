"""A few hundred mutated answers of every source; thousands by hand: ``python -m tests.fuzz.payloads``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.drift.examples import SHAPED
from tests.fuzz.payloads import Base, Tally, bases, followed, fuzz, plainly, read_into, same, statements
from tracker.sources import SOURCES

pytestmark = pytest.mark.exhaustive

COUNT = 300


@pytest.mark.parametrize("source", SHAPED)
def test_no_mutated_answer_crashes_an_adapter_or_gives_a_wrong_value(source: str) -> None:
    tally = fuzz(source, COUNT, seed=1)
    assert (tally.crashes, tally.wrong, tally.lost) == (0, 0, 0), tally.shown
    assert tally.answers == COUNT
    assert tally.refused < COUNT * 3 // 4
    assert tally.rows >= COUNT // 2


@pytest.mark.parametrize("source", SHAPED)
def test_adapter_and_plain_reader_agree_on_what_was_not_mutated(source: str) -> None:
    """Every number the adapter takes is stated, and there is one in every answer that is mutated."""
    for base in bases()[source]:
        said = list(statements(SOURCES[source].parse(base.raw), followed(base)))
        stated = list(plainly(base.reader, base.raw))
        assert said
        assert all(any(same(one, other) for other in stated) for one in said)


@pytest.mark.parametrize("what", ["wrong", "crash"])
def test_the_fuzzer_sees_a_wrong_value_and_a_crash(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter that is off by a little, or raises: every such answer is counted."""
    base: Base = bases()["manifold"][0]
    honest = SOURCES["manifold"].parse

    def spoiled(raw):  # type: ignore[no-untyped-def]
        if what == "crash":
            raise KeyError("id")
        parsed = honest(raw)
        first, *rest = parsed.batch.snapshots
        moved = replace(first, probability=first.probability / 2)
        return replace(parsed, batch=replace(parsed.batch, snapshots=(moved, *rest)))

    monkeypatch.setattr(type(SOURCES["manifold"]), "parse", lambda _, raw: spoiled(raw))
    tally = Tally()
    read_into(tally, base, base.raw.body, "as it is")
    assert (tally.crashes, tally.wrong) == ((1, 0) if what == "crash" else (0, 1))
