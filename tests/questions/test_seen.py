"""What a person recorded of a linked question: written as TOML, read back, and refused when it is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from questions.catalogue import Catalogue, load_catalogue
from questions.errors import CatalogueError
from questions.model import Platform, Seen, Transform
from questions.seen import HEADER, text_of
from tests.questions.conftest import Write

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
RECORD = Seen(
    platform="metaculus", external_id="41140", source="metaculus", at=AT, title_sha256="0" * 64, title="One"
)
LINK = """
[[link]]
platform = "manifold"
external_id = "Example"
url = "https://manifold.markets/market/Example"
label = "A question"
relation = "context"
view = "model"
"""
moments = st.datetimes(min_value=datetime(1971, 1, 1), timezones=st.just(UTC))
hexes = st.text("0123456789abcdef", min_size=64, max_size=64)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.builds(
        Seen,
        platform=st.just("manifold"),
        external_id=st.text("abcXYZ019-_.", min_size=1, max_size=20),
        source=st.just("forecastbench"),
        at=moments,
        title_sha256=hexes,
        title=st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
        criteria_sha256=hexes | st.just(""),
        question_type=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        closes_at=st.none() | moments,
        outcomes=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20)).map(tuple),
    )
)
def test_a_record_comes_back_from_its_own_text(tmp_path: Path, record: Seen) -> None:
    import tomllib

    (block,) = tomllib.loads(HEADER + text_of([record]))["seen"]
    assert Seen.model_validate(block) == record


def test_half_a_surrogate_in_a_title_does_not_spoil_the_file() -> None:
    import tomllib

    text = text_of([RECORD.model_copy(update={"title": "\ud83d broken"})])
    (block,) = tomllib.loads(text.encode("utf-8").decode("utf-8"))["seen"]
    assert block["title"].endswith(" broken")
    assert "\ud83d" not in block["title"]


def test_the_latest_of_several_records_counts(own: Write) -> None:
    later = RECORD.model_copy(update={"at": AT.replace(hour=18), "title_sha256": "1" * 64})
    folder = own(HEADER + text_of([later, RECORD]))
    catalogue = load_catalogue([folder])
    assert catalogue.seen == {("metaculus", "41140"): later}


def test_a_record_of_a_question_no_longer_linked_is_no_mistake(own: Write) -> None:
    gone = RECORD.model_copy(update={"external_id": "999999"})
    assert ("metaculus", "999999") in load_catalogue([own(text_of([gone]))]).seen


def test_nothing_is_recorded_in_what_ships_and_prices_there_have_a_meaning(catalogue: Catalogue) -> None:
    assert catalogue.seen == {}
    assert set(catalogue.platforms) == {link.platform for link in catalogue.links}
    by_id = {link.external_id: link for link in catalogue.links}
    halves = [link for link in catalogue.links if link.transform is Transform.HALF_IF_NEITHER]
    assert [link.platform for link in halves] == ["polymarket"]
    assert halves[0].twin == by_id["1y80gk7t9k"].twin
    assert by_id["9OgZp6uC95"].transform is Transform.SHARE
    assert by_id["UdsLNSc2OE"].twin == by_id["41140"].twin


def test_every_ladder_and_twin_that_ships_has_others(catalogue: Catalogue) -> None:
    ladders: dict[str, list[datetime | None]] = {}
    twins: dict[str, set[str]] = {}
    for link in catalogue.links:
        if link.ladder is not None:
            ladders.setdefault(link.ladder, []).append(link.by)
        if link.twin is not None:
            twins.setdefault(link.twin, set()).add(link.platform)
    assert all(len(set(rungs)) == len(rungs) > 1 for rungs in ladders.values())
    assert all(len(platforms) > 1 for platforms in twins.values())


def test_a_platform_of_ones_own_can_be_described(own: Write) -> None:
    text = '[[platform]]\nkey = "smarkets"\nmoney = "real"\ntransform = "identity"\n'
    described = load_catalogue([own(text)]).platforms["smarkets"]
    assert described == Platform(key="smarkets", money="real", transform=Transform.IDENTITY)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (text_of([RECORD, RECORD]), 10, "duplicate record of 'metaculus/41140/2026-11-20"),
        (text_of([RECORD]).replace("0" * 64, "0" * 63), 7, "pattern"),
        (text_of([RECORD]).replace("12:00:00Z", "12:00:00"), 6, "no offset"),
        (text_of([RECORD]) + 'polarity = 1\n', 9, "unknown key"),
        (LINK + 'transform = "half"\n', 9, "half_if_neither"),
        (LINK + 'ladder = "steps"\n', 2, "needs the deadline (by) or the threshold (rung)"),
        (LINK + "rung = 3.0\n", 2, "name the ladder too"),
        (LINK + "rung = nan\n", 9, "finite"),
        ('[[platform]]\nkey = "x"\nmoney = "gold"\ntransform = "identity"\n', 3, "'gold'"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(own: Write, text: str, line: int, message: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        load_catalogue([own(text)])
    (problem,) = caught.value.problems
    assert (problem.line, message in problem.message) == (line, True), problem


def test_a_link_is_found_in_its_file(own: Write) -> None:
    catalogue = load_catalogue([own("# mine\n" + LINK)])
    file, line = catalogue.link_place(catalogue.links[-1])
    assert file.endswith("mine.toml")
    assert line == 3
