"""A week is told from what is stored: changes and their causes, outcomes and scores, and how the data are."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from questions.catalogue import Catalogue, load_catalogue
from questions.model import Link
from questions.records import (
    Forecast,
    ForecasterKind,
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
)
from storage.memory import MemoryStore
from storage.records import Batch, Drift, DriftKind, Gap, Quarantined, RawPayload
from tests.report.html_reading import Page
from tracker.config import Settings
from tracker.digest.build import build_digest
from tracker.digest.content import Digest
from tracker.digest.issue import builder, digest_mail
from tracker.digest.layout import Where, letter
from tracker.digest.movement import Move
from tracker.digest.period import period_at
from tracker.digest.render import mail_content
from tracker.digest.why import move_causes
from tracker.mail.content import UNSUBSCRIBE, Taste

AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK = 7 * DAY
DECADE = datetime(2031, 1, 1, tzinfo=UTC)


def link(name: str, platform: str = "metaculus", **more: Any) -> Link:
    return Link.model_validate(
        {
            "platform": platform,
            "external_id": name,
            "url": f"https://www.metaculus.com/questions/{name}/",
            "label": f"question {name}",
            "relation": "proxy",
            "view": "model",
            **more,
        }
    )


def catalogue(*links: Link) -> Catalogue:
    return replace(load_catalogue(), links=links)


def key(name: str, platform: str = "metaculus") -> StreamKey:
    kind = Quantity.FORECASTER_MEDIAN if platform == "metaculus" else Quantity.PLAY_MONEY_PRICE
    return StreamKey(platform, platform, name, "yes", kind)


def said(name: str, *values: tuple[float, float], platform: str = "metaculus", **more: Any) -> Batch:
    """(days before AT, probability), each as a poll found it."""
    stream = key(name, platform)
    return Batch(
        tuple(Snapshot(stream, AT - d * DAY, AT - d * DAY, probability=p, **more) for d, p in values)
    )


def built(store: MemoryStore, *links: Link, at: datetime = AT) -> Digest:
    return build_digest(store, catalogue(*links), Settings(), period_at(at))


def lines(digest: Digest) -> list[str]:
    words = letter(digest, Where())
    return [line for section in words.sections for line in section.lead]


# with little or nothing ---------------------------------------------------------------------------


def test_with_nothing_stored_every_part_says_what_is_missing() -> None:
    digest = build_digest(MemoryStore(), load_catalogue(), Settings(), period_at(AT))
    content = mail_content(digest)
    assert content.subject == "W47: nothing to compare with last week yet"
    assert content.images == ()
    for words in (
        "No community value is stored yet",
        "No series is stored yet",
        "Fewer than two voices have a view",
        "No followed question has run its course",
        "No source has been asked yet",
    ):
        assert words in " ".join(content.text.split()), words
        assert words in content.html, words


def test_one_day_of_one_source_is_told_as_that() -> None:
    store = MemoryStore()
    store.append(said("1", (0.5, 0.3)))
    digest = built(store, link("1", areas=["interpretability"], by=DECADE))
    assert not digest.quiet
    text = " ".join(mail_content(digest).text.split())
    assert (
        "Nothing followed had a value a week ago: what moves is told of the 1 question followed now" in text
    )
    assert "Markets: a view for the first time, of 1 area." in text
    assert digest.records == ()


# why an order changed -----------------------------------------------------------------------------

SAFETY, CAPS = "interpretability", "agent_scaffolding"


def test_the_value_that_turned_two_areas_round_is_named() -> None:
    store = MemoryStore()
    store.append(said("a", (20, 0.2), (8, 0.2), (1, 0.6)))
    store.append(said("b", (20, 0.4), (8, 0.4), (1, 0.4)))
    store.append(said("c", (20, 0.3), (8, 0.3), (1, 0.31)))
    digest = built(
        store,
        link("a", areas=[SAFETY], by=DECADE),
        link("b", areas=[CAPS], by=DECADE),
        link("c", areas=[SAFETY], by=DECADE, weight=0.1),
    )
    (change,) = digest.changes
    assert (change.voice, change.passed) == ("market", (("Interpretability", "Agent scaffolding"),))
    assert change.why == ("“question a” 20% to 60% (metaculus) (without it, no change)",)
    ranks = {row.area: row.standings["market"] for row in digest.order if "market" in row.standings}
    assert (ranks[SAFETY].rank, ranks[SAFETY].before) == (1, 2)
    assert letter(digest, Where()).subject == (
        "W47: interpretability passed agent scaffolding in market order; 1 moved > 5 pts"
    )


# why a question moved -----------------------------------------------------------------------------


def cause(store: MemoryStore, stream: StreamKey, before: QuestionInfo, after: QuestionInfo) -> str:
    then = store.latest([stream], known_at=AT - WEEK)[stream]
    now = store.latest([stream], known_at=AT)[stream]
    name = (stream.platform, stream.external_id)
    move = Move(stream, then, now, 3.0, 13)
    return "; ".join(move_causes(store, move, ({name: before}, {name: after}), AT))


def info(name: str, criteria: str = "c" * 64, **more: Any) -> QuestionInfo:
    return QuestionInfo("metaculus", "metaculus", name, AT - 20 * DAY, name, criteria_sha256=criteria, **more)


def test_new_forecasters_and_reworded_terms_are_told() -> None:
    store = MemoryStore()
    store.append(said("q", (9, 0.3), (8, 0.3), forecasters=41))
    store.append(said("q", (3, 0.38), (2, 0.5), (1, 0.6), forecasters=53))
    told = cause(store, key("q"), info("q"), info("q", "d" * 64))
    assert told == (
        "its resolution criteria were reworded this week; 12 forecasters more than a week ago; "
        "in 3 steps, the largest 12 points on 2026-11-21"
    )


def test_one_trade_that_made_the_move_is_told_as_that() -> None:
    store, stream = MemoryStore(), key("q", "manifold")
    seen = AT - DAY
    points = [(9.0, 0.30), (5.0, 0.31), (4.0, 0.55), (3.0, 0.54)]
    first = Snapshot(stream, AT - 9 * DAY, AT - 8 * DAY, probability=0.30, timed_by_source=True)
    store.append(Batch((first,)))
    store.append(
        Batch(
            tuple(
                Snapshot(stream, AT - d * DAY, seen, probability=p, timed_by_source=True)
                for d, p in points[1:]
            )
        )
    )
    told = cause(store, stream, info("q"), info("q"))
    assert told == "one trade on 2026-11-19 made most of it: 31% to 55%"


def test_who_chose_areas_and_a_least_move_is_told_of_these_alone() -> None:
    store = MemoryStore()
    store.append(said("a", (20, 0.2), (8, 0.2), (1, 0.6)))
    store.append(said("b", (20, 0.4), (8, 0.4), (1, 0.48)))
    store.append(said("c", (20, 0.3), (8, 0.3), (1, 0.31)))
    store.add_forecasts([Forecast("metaculus:a", "yes", "ada", ForecasterKind.PERSON, AT - 12 * DAY, 0.35)])
    known = catalogue(
        link("a", areas=[SAFETY], by=DECADE),
        link("b", areas=[CAPS], by=DECADE),
        link("c", areas=[CAPS], by=DECADE),
    )
    mail = digest_mail(store, known, Settings(), period_at(AT))
    assert mail.desk is not None

    def movers(taste: Taste) -> list[str]:
        assert mail.desk is not None
        return [mover.subject.external_id for mover in mail.desk.digest(taste).movers]

    assert [mover.subject.external_id for mover in mail.desk.whole.movers] == ["a"]
    assert movers(Taste((SAFETY,))) == ["a"]
    assert movers(Taste((CAPS,))) == []
    assert movers(Taste(least=1.0)) == ["a"]  # 0.2 to 0.6: ln 6 = 1.79
    assert movers(Taste(least=2.0)) == []
    assert mail.desk.digest(Taste((CAPS,))).n_followed == 2
    theirs = mail.for_taste(Taste((SAFETY,), forecaster="ada", frequency="monthly"))
    words = " ".join(theirs.text.split())
    assert "As you chose, told of Interpretability." in words
    assert "you said 35% on 2026-11-11" in words
    assert "Frequency: monthly" in words
    assert theirs.images == mail.images
    assert mail.for_taste(Taste((SAFETY,), forecaster="ada", frequency="monthly")) == theirs
    assert numbers_of(theirs.html) <= numbers_of(theirs.text)


def numbers_of(text: str) -> set[str]:
    shown = " ".join(words for _, words in Page(text).texts) if text.startswith("<") else text
    body = shown.partition("Which areas first")[2] if text.startswith("<") else shown
    return set(re.findall(r"\d+%", body))


def test_a_digest_of_chosen_areas_without_change_is_three_lines() -> None:
    store = MemoryStore()
    store.append(said("a", (20, 0.2), (8, 0.2), (1, 0.6)))
    store.append(said("b", (20, 0.4), (8, 0.4), (1, 0.4)))
    mail = digest_mail(store, catalogue(link("a"), link("b", areas=[CAPS])), Settings(), period_at(AT))
    assert not mail.desk.whole.quiet if mail.desk else False
    theirs = mail.for_taste(Taste((CAPS,)))
    assert theirs.subject == "W47: no change above threshold"
    assert theirs.images == ()
    assert "none of 1 followed question moved" in " ".join(theirs.text.split())


def test_outcomes_from_before_a_question_was_known_are_no_news() -> None:
    store = MemoryStore()
    for name, known in (("old", AT - DAY), ("late", AT - 20 * DAY)):
        store.append(
            Batch(
                infos=(QuestionInfo("metaculus", "metaculus", name, known, name),),
                resolutions=(
                    Resolution(
                        "metaculus", "metaculus", name, "yes", OutcomeState.NO, AT - DAY,
                        resolved_at=AT - 60 * DAY, value=0.0,
                    ),
                ),
            )
        )  # fmt: skip
    assert [one.subject.title for one in built(store, link("old"), link("late")).resolved] == ["late"]


# the end of questions, and the data ---------------------------------------------------------------


@pytest.fixture(scope="module")
def eventful() -> tuple[MemoryStore, tuple[Link, ...]]:
    """A store in which most things happened that can, some of them only after the digest's time."""
    store = MemoryStore()
    links = tuple(link(name) for name in ("soon", "done", "late", "dark"))
    for name, closes in (("soon", 3 * DAY), ("done", -2 * DAY), ("late", -40 * DAY)):
        store.append(said(name, (30, 0.5), (16, 0.7), (9, 0.8), (1, 0.9), forecasters=20))
        fact = QuestionInfo(
            "metaculus", "metaculus", name, AT - 30 * DAY, f"Will {name}?", closes_at=AT + closes
        )
        store.append(Batch(infos=(fact,)))
    resolution = Resolution(
        "metaculus",
        "metaculus",
        "done",
        "yes",
        OutcomeState.YES,
        AT - DAY,
        resolved_at=AT - 2 * DAY,
        value=1.0,
    )
    health = [
        QuestionHealth("metaculus", "metaculus", name, AT - DAY / 24, QuestionState.OK)
        for name in ("soon", "done", "late")
    ]
    dark = QuestionHealth(
        "metaculus", "metaculus", "dark", AT - DAY / 24, QuestionState.NOT_PERMITTED, "its tier"
    )
    old = QuestionHealth("manifold", "manifold", "x", AT - 20 * DAY, QuestionState.OK)
    store.append(Batch(resolutions=(resolution,), healths=(*health, dark, old)))
    sha = store.put_raw(
        RawPayload("manifold", "x", "https://m.example/x", AT - 2 * DAY, 200, "text/html", b"<html>")
    )
    store.quarantine(Quarantined(sha, "manifold", "x", "no JSON", "1", AT - 2 * DAY))
    store.add_gap(Gap("manifold", AT - 5 * DAY, AT - 2 * DAY, "no run: the program was off"))
    store.add_gap(Gap("manifold", AT - DAY, AT + DAY, "written down when it is over"))
    store.add_gap(Gap("manifold", AT - 50 * DAY, AT - 40 * DAY, "long ago"))
    drift = Drift("manifold", "/v0/market: .prob", DriftKind.NEW_TYPE, "string", sha, AT - 2 * DAY, AT - DAY)
    store.add_drifts([drift, replace(drift, place="/v0/market: .old", seen_first=AT - 60 * DAY)])
    person = Forecast("metaculus:done", "yes", "ada", ForecasterKind.PERSON, AT - 12 * DAY, 0.6)
    store.add_forecasts([person])
    points = (Measurement("metr_th11", "m1", "p50", date(2026, 10, 1), 300.0, "minutes", label="Model 1"),)
    store.append(Batch(versions=(SeriesVersion("metr_th11", "a" * 64, AT - 30 * DAY, points),)))
    revised = (
        replace(points[0], value=330.0),
        Measurement("metr_th11", "m2", "p50", date(2026, 11, 10), 420.0, "minutes", label="Model 2"),
    )
    store.append(Batch(versions=(SeriesVersion("metr_th11", "b" * 64, AT - 3 * DAY, revised),)))
    return store, links


@pytest.fixture(scope="module")
def told(eventful: tuple[MemoryStore, tuple[Link, ...]]) -> Digest:
    store, links = eventful
    return built(store, *links)


def test_an_outcome_is_told_with_everybodys_scores_of_a_week_before(told: Digest) -> None:
    (one,) = told.resolved
    assert (one.subject.title, one.outcome, one.value) == ("Will done?", "Yes", 1.0)
    scores = {who.who: (who.probability, who.brier, who.log_score) for who in one.said}
    assert scores["metaculus"] == pytest.approx((0.8, 0.04, -math.log(0.8)))
    assert scores["ada"] == pytest.approx((0.6, 0.16, -math.log(0.6)))
    assert len(scores) == 2


def test_what_closes_soon_and_what_should_have_resolved(told: Digest) -> None:
    assert [(one.subject.title, one.probability, one.n) for one in told.closing] == [("Will soon?", 0.9, 20)]
    assert [(one.subject.title, one.days) for one in told.overdue] == [("Will late?", 40)]
    assert told.overdue[0].subject.url == "https://www.metaculus.com/questions/late/"


def test_calibration_takes_what_was_said_before_the_close(told: Digest) -> None:
    """Of "done", which closed two days ago: 0.7 stood 14 days before."""
    whole = told.records[0]
    assert (whole.name, whole.n_questions) == ("all", 1)
    assert {row.name: round(row.brier, 4) for row in told.records}["metaculus"] == pytest.approx(0.09)


def test_a_series_tells_new_points_and_revisions_with_both_values(told: Digest) -> None:
    (news,) = told.trends
    assert (news.n_added, news.n_revised, news.n_interval, news.n_removed) == (1, 1, 0, 0)
    assert {(point.label, point.before, point.after) for point in news.points} == {
        ("Model 1", 300.0, 330.0),
        ("Model 2", None, 420.0),
    }
    text = mail_content(told).text
    assert "Model 1 (p50): 5 h → 5.5 h" in text
    assert "Model 2 (p50): new, 7 h" in text


def test_the_state_of_the_data_is_always_told(told: Digest) -> None:
    health = told.health
    assert {one.name: one.state for one in health.sources} == {
        "metr": "stale",
        "manifold": "stale",
        "metaculus": "ok",
    }
    assert health.quarantined == {"manifold": 1}
    assert [gap[0] for gap in health.gaps] == ["manifold"]
    assert health.drift == (("manifold", "/v0/market: .prob", "new type string"),)
    assert (health.n_drift, health.states["not_permitted"]) == (2, 1)
    text = " ".join(" ".join(lines(told)).split())
    assert (
        "1 of 3 sources in use is fresh; 1 gap this week, 1 payload unread (quarantine), 1 question not "
        "permitted, 1 new difference in answers' shape." in text
    )
    assert "kalshi" in text.partition("Never asked:")[2]


def test_what_is_learnt_afterwards_changes_nothing(
    eventful: tuple[MemoryStore, tuple[Link, ...]], told: Digest
) -> None:
    store, links = eventful
    before = mail_content(told)
    later = AT + 2 * DAY
    store.append(said("soon", (-1, 0.1)))
    store.append(
        Batch(
            resolutions=(
                Resolution("metaculus", "metaculus", "late", "yes", OutcomeState.NO, later, value=0.0),
                Resolution("metaculus", "metaculus", "done", "yes", OutcomeState.VOID, later),
            ),
            infos=(QuestionInfo("metaculus", "metaculus", "soon", later, "Reworded?", closes_at=later),),
            healths=(QuestionHealth("metaculus", "metaculus", "soon", later, QuestionState.GONE),),
        )
    )
    for entry in store.quarantined():
        store.release(entry.payload_sha256, later)
    after = mail_content(built(store, *links))
    assert after == before
    now = built(store, *links, at=later + DAY)
    assert {(one.subject.title, one.outcome) for one in now.resolved} == {
        ("Will done?", "annulled"),
        ("Will late?", "No"),
    }


def test_a_quiet_week_needs_something_that_could_have_moved() -> None:
    store = MemoryStore()
    week = [(float(d), 0.3) for d in (9, 8, 1)]
    store.append(said("a", *week))
    store.append(Batch(healths=(QuestionHealth("metaculus", "metaculus", "a", AT - DAY, QuestionState.OK),)))
    digest = built(store, link("a"))
    assert digest.quiet
    words = letter(digest, Where())
    assert len(words.lines) == 3
    assert words.sections == ()
    assert "1 followed question" in words.lines[0]


def test_the_sending_side_gets_a_mail_with_its_mark_and_the_weeks_skipped() -> None:
    build = builder(catalogue(), Settings())
    content = build(MemoryStore(), "2026-W47", AT, ("2026-W45", "2026-W46"))
    assert "No digest was sent for 2026-W45, 2026-W46" in content.text
    assert content.subject.startswith("W47: ")
    assert (content.html.count(UNSUBSCRIBE), content.text.count(UNSUBSCRIBE)) == (1, 1)
