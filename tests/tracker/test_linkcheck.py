"""Every rule of the check of links: a bad record sets it off, a good one does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, strategies as st

from questions.catalogue import Catalogue, Place, load_catalogue
from questions.findings import Finding, Severity
from questions.model import Link, Platform, Relation, Seen, Transform, View
from questions.problems import CatalogueFile
from questions.records import (
    OutcomeState,
    Quantity,
    QuestionInfo,
    Resolution,
    Snapshot,
    StreamKey,
    ValueState,
)
from storage.memory import MemoryStore
from storage.records import Batch, Observation
from tracker.config import LinkSettings
from tracker.linkcheck import (
    Sight,
    check_links,
    name_of,
    news,
    record_of,
    sights_of,
    title_digest,
    with_relatives,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CLOSE = datetime(2027, 12, 31, tzinfo=UTC)
CRITERIA, OTHER = "a" * 64, "b" * 64
FAIR = Platform(key="fair", money="real", transform=Transform.IDENTITY)


def a_link(external_id: str = "one", platform: str = "fair", **more: Any) -> Link:
    return Link(
        platform=platform,
        external_id=external_id,
        url=more.pop("url", "https://fair.example/q"),
        label="a question",
        relation=more.pop("relation", Relation.CONTEXT),
        view=View.MODEL,
        **more,
    )


def an_info(external_id: str = "one", platform: str = "fair", **more: Any) -> QuestionInfo:
    facts: dict[str, Any] = {
        "title": "Will it happen before 2028?",
        "question_type": "binary",
        "status": "open",
        "closes_at": CLOSE,
        "criteria_sha256": CRITERIA,
    }
    return QuestionInfo(platform, platform, external_id, NOW, **(facts | more))


def an_observation(
    external_id: str = "one",
    probability: float | None = 0.4,
    *,
    platform: str = "fair",
    outcome: str = "yes",
    at: datetime = NOW,
    quantity: Quantity = Quantity.REAL_MONEY_MID,
    **more: Any,
) -> Observation:
    facts: dict[str, Any] = {"forecasters": 50, "volume": 9000.0, "spread": 0.02}
    key = StreamKey(platform, platform, external_id, outcome, quantity)
    state = ValueState.OK if probability is not None else more.pop("state", ValueState.NO_TRADE)
    snapshot = Snapshot(key, at, at, state, probability, **(facts | more))
    return Observation(snapshot, at, at, 1)


def a_sight(external_id: str = "one", probability: float | None = 0.4, **more: Any) -> Sight:
    value = an_observation(external_id, probability)
    sight = Sight(an_info(external_id), (value,), (value,))
    return replace(sight, **more)


def settled(state: OutcomeState, value: float | None, platform: str = "fair") -> Resolution:
    return Resolution(platform, platform, "one", "yes", state, NOW, resolved_at=NOW, value=value)


RECORD = record_of(a_sight(), NOW - timedelta(days=30))
assert RECORD is not None


def findings(
    links: Sequence[Link],
    sights: dict[str, Sight],
    *,
    seen: Sequence[Seen] = (),
    platforms: Sequence[Platform] = (FAIR,),
    settings: LinkSettings | None = None,
) -> list[Finding]:
    """What is found about these links, each with its sight by id."""
    file = CatalogueFile("mine.toml", "", {})
    catalogue = replace(
        load_catalogue_once(),
        links=tuple(links),
        seen={(one.platform, one.external_id): one for one in seen},
        platforms={one.key: one for one in platforms},
        link_places={link.key: Place(file, ("link", n)) for n, link in enumerate(links)},
    )
    named = {(link.platform, link.external_id): sights.get(link.external_id, Sight()) for link in links}
    return check_links(catalogue, links, named, settings=settings or LinkSettings(), now=NOW)


@cache
def load_catalogue_once() -> Catalogue:
    return load_catalogue()


def one(sight: Sight, seen: Seen | None = RECORD, link: Link | None = None, **more: Any) -> list[Finding]:
    return findings([link or a_link()], {"one": sight}, seen=[seen] if seen else (), **more)


def rules(found: Sequence[Finding]) -> list[str]:
    return [finding.rule for finding in found]


# X01 ----------------------------------------------------------------------------------------------------


def test_a_question_as_it_was_recorded_gives_no_finding() -> None:
    assert one(a_sight()) == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"title": "Will it happen before 2029?"}, "title changed"),
        ({"criteria_sha256": OTHER}, "criteria changed"),
        ({"closes_at": CLOSE + timedelta(days=1)}, "close moved"),
        ({"closes_at": CLOSE - timedelta(days=1)}, "close moved"),
        ({"closes_at": None}, "close moved"),
        ({"question_type": "multiple_choice"}, "type changed"),
    ],
)
def test_each_difference_from_the_record_is_one_error(change: dict[str, Any], word: str) -> None:
    (finding,) = one(a_sight(info=an_info(**change)))
    assert (finding.rule, finding.severity) == ("X01", Severity.ERROR)
    assert word in finding.message
    assert "check-links fair:one --record" in finding.fix


def test_a_changed_text_sends_a_person_back_to_the_polarity() -> None:
    (finding,) = one(a_sight(info=an_info(title="Will it not?")), link=a_link(polarity=-1))
    assert "slower (polarity -1)" in finding.fix
    assert "Will it not?" in finding.message
    assert "Will it happen before 2028?" in finding.message


def test_blanks_in_a_title_are_no_change() -> None:
    assert one(a_sight(info=an_info(title=" Will it  happen before 2028?\t"))) == []


def test_a_settled_question_that_closed_early_is_no_change_of_its_dates() -> None:
    early = an_info(closes_at=CLOSE - timedelta(days=90), status="resolved")
    done = a_sight(info=early, resolutions=(settled(OutcomeState.YES, 1.0),))
    assert one(done) == []
    late = replace(early, closes_at=CLOSE + timedelta(days=90))
    assert rules(one(replace(done, info=late))) == ["X01"]


def test_without_a_record_nothing_is_claimed_and_it_says_how_to_record() -> None:
    (finding,) = one(a_sight(), seen=None)
    assert (finding.rule, finding.severity) == ("X01", Severity.WARNING)
    assert "--record" in finding.fix


def test_criteria_that_do_not_come_are_named_and_are_no_change() -> None:
    missing = one(a_sight(info=an_info(criteria_sha256="")))
    assert [(f.rule, f.severity) for f in missing] == [("X01", Severity.WARNING)]
    bare = RECORD.model_copy(update={"criteria_sha256": ""}) if RECORD else None
    assert [f.severity for f in one(a_sight(), seen=bare)] == [Severity.ADVICE]
    both = one(a_sight(info=an_info(criteria_sha256="")), seen=bare)
    assert [f.severity for f in both] == [Severity.ADVICE]


def test_a_question_that_is_gone_is_one_error() -> None:
    before, after = (
        an_observation(at=NOW - timedelta(days=1)),
        an_observation(probability=None, state=ValueState.GONE),
    )
    later = replace(after, snapshot=replace(after.snapshot, forecasters=None, volume=None, spread=None))
    (finding,) = one(a_sight(newest=(later,)))
    assert (finding.rule, finding.severity) == ("X01", Severity.ERROR)
    assert "not there" in finding.message
    elsewhere = replace(
        before, snapshot=replace(before.snapshot, key=replace(before.snapshot.key, outcome="other"))
    )
    assert "not there" in one(a_sight(newest=(elsewhere, later)))[0].message


def test_an_outcome_that_is_gone_or_was_never_there_is_an_error() -> None:
    other = an_observation(outcome="maybe")
    stale = an_observation(at=NOW - timedelta(days=3))
    both = RECORD.model_copy(update={"outcomes": ("maybe", "yes")}) if RECORD else None
    assert one(a_sight(newest=(an_observation(), other)), seen=both) == []
    taken_away = one(a_sight(newest=(stale, other)), seen=both)
    assert [(f.rule, f.severity) for f in taken_away] == [("X01", Severity.ERROR)]
    assert "polarity" in taken_away[0].fix
    never = one(a_sight(newest=(other,)), seen=None)
    assert Severity.ERROR in [f.severity for f in never]


def test_another_answer_added_is_a_warning() -> None:
    added = one(a_sight(newest=(an_observation(), an_observation(outcome="maybe"))))
    assert [(f.rule, f.severity) for f in added] == [("X01", Severity.WARNING)]


def test_what_could_not_be_fetched_is_said_and_what_is_stored_is_judged() -> None:
    found = one(a_sight(failure="HTTP 500", info=an_info(title="Another")))
    assert [f.severity for f in found] == [Severity.ERROR, Severity.WARNING]
    assert "HTTP 500" in found[1].message
    assert [f.severity for f in one(Sight())] == [Severity.WARNING]


# X02 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [Transform.HALF_IF_NEITHER, Transform.SHARE])
def test_a_fraction_paid_out_wants_a_transform(transform: Transform) -> None:
    paid = a_sight(resolutions=(settled(OutcomeState.FRACTION, 0.5),))
    (finding,) = one(paid)
    assert (finding.rule, finding.severity) == ("X02", Severity.WARNING)
    assert "0.5" in finding.message
    assert one(paid, link=a_link(transform=transform)) == []
    assert one(a_sight(resolutions=(settled(OutcomeState.YES, 1.0),))) == []


@pytest.mark.parametrize(
    ("quantity", "wanted"),
    [
        (Quantity.PLAY_MONEY_PRICE, ["X02"]),
        (Quantity.REAL_MONEY_LAST, ["X02"]),
        (Quantity.FORECASTER_MEDIAN, []),
    ],
)
def test_a_price_on_a_platform_nobody_described_wants_a_transform(
    quantity: Quantity, wanted: list[str]
) -> None:
    sight = a_sight(newest=(an_observation(quantity=quantity),))
    assert rules(one(sight, platforms=())) == wanted
    assert one(sight) == []
    assert one(sight, platforms=(), link=a_link(transform=Transform.IDENTITY)) == []


def test_a_price_that_is_no_probability_is_no_evidence() -> None:
    mapping: dict[str, Any] = {"relation": Relation.PROXY, "areas": ("interpretability",)}
    assert rules(one(a_sight(), link=a_link(transform=Transform.SHARE, **mapping))) == ["X02"]
    assert one(a_sight(), link=a_link(transform=Transform.IDENTITY, **mapping)) == []
    assert one(a_sight(), link=a_link(transform=Transform.SHARE)) == []


# X03 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "wanted"), [(29.9, []), (30.1, ["X03"])])
def test_unresolved_for_more_than_thirty_days_after_the_close(days: float, wanted: list[str]) -> None:
    info = an_info(closes_at=NOW - timedelta(days=days), status="closed")
    sight = a_sight(info=info)
    assert rules(one(sight, seen=record_of(sight, NOW))) == wanted
    known = replace(sight, resolutions=(settled(OutcomeState.VOID, None),))
    assert one(known, seen=record_of(known, NOW)) == []
    taken_back = replace(sight, resolutions=(settled(OutcomeState.UNRESOLVED, None),))
    assert rules(one(taken_back, seen=record_of(taken_back, NOW))) == wanted
    told = replace(sight, info=replace(info, status="resolved"))
    assert one(told, seen=record_of(told, NOW)) == []


def test_the_limit_of_thirty_days_is_a_setting() -> None:
    sight = a_sight(info=an_info(closes_at=NOW - timedelta(days=5)))
    record = record_of(sight, NOW)
    assert one(sight, seen=record) == []
    assert rules(one(sight, seen=record, settings=LinkSettings(overdue_days=4))) == ["X03"]


def test_an_author_whose_account_is_deleted_is_named() -> None:
    gone = an_info(url="https://manifold.markets/_deleted_/some-market")
    assert rules(one(a_sight(info=gone))) == ["X03"]
    linked = a_link(url="https://manifold.markets/_deleted_/some-market")
    assert rules(one(a_sight(), link=linked)) == ["X03"]
    assert one(a_sight(info=an_info(url="https://manifold.markets/deleted/_deleted_"))) == []
    assert one(a_sight(info=gone, resolutions=(settled(OutcomeState.NO, 0.0),))) == []


# X04 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quality", "word"),
    [
        ({"forecasters": 9}, "9 forecasters"),
        ({"volume": 499.0}, "volume of 499"),
        ({"spread": 0.11}, "spread of 0.11"),
        ({"forecasters": None, "volume": None, "spread": None}, "neither forecasters nor volume"),
    ],
)
def test_a_thin_market_is_named_with_what_it_lacks(quality: dict[str, Any], word: str) -> None:
    value = an_observation(**quality)
    (finding,) = one(a_sight(newest=(value,), quality=(value,)))
    assert (finding.rule, finding.severity) == ("X04", Severity.WARNING)
    assert word in finding.message


@pytest.mark.parametrize(
    "quality",
    [
        {"forecasters": 10, "volume": 500.0, "spread": 0.1},
        {"forecasters": 10, "volume": None, "spread": None},
        {"forecasters": None, "volume": 500.0, "spread": None},
    ],
)
def test_the_floor_itself_is_enough_and_what_a_platform_does_not_tell_is_not_missed(
    quality: dict[str, Any],
) -> None:
    value = an_observation(**quality)
    assert one(a_sight(newest=(value,), quality=(value,))) == []


def test_the_floor_is_a_setting() -> None:
    assert rules(one(a_sight(), settings=LinkSettings(min_forecasters=51))) == ["X04"]
    assert rules(one(a_sight(), settings=LinkSettings(min_volume=9001))) == ["X04"]
    assert rules(one(a_sight(), settings=LinkSettings(max_spread=0.01))) == ["X04"]


def test_a_question_without_a_value_says_why() -> None:
    bare = replace(an_observation(probability=None).snapshot, forecasters=None, volume=None, spread=None)
    (finding,) = one(a_sight(newest=(Observation(bare, NOW, NOW, 1),)))
    assert finding.rule == "X04"
    assert "no_trade" in finding.message


def test_a_settled_market_may_be_thin() -> None:
    value = an_observation(forecasters=1)
    done = a_sight(newest=(value,), quality=(value,), resolutions=(settled(OutcomeState.YES, 1.0),))
    assert one(done) == []


# X05 ----------------------------------------------------------------------------------------------------


def a_ladder(*rungs: tuple[int | None, float | None, float], at: Sequence[datetime] = ()) -> list[Finding]:
    """(year, threshold, price) of every rung, recorded as they are."""
    links, sights, seen = [], {}, []
    for number, (year, threshold, price) in enumerate(rungs):
        name = f"rung{number}"
        by = None if year is None else datetime(year, 1, 1, tzinfo=UTC)
        links.append(a_link(name, ladder="steps", by=by, rung=threshold))
        value = an_observation(name, price, at=at[number] if at else NOW)
        sights[name] = Sight(an_info(name), (value,), (value,))
        record = record_of(sights[name], NOW)
        assert record is not None
        seen.append(record)
    return findings(links, sights, seen=seen)


def test_rungs_in_order_give_no_finding() -> None:
    # RemNi's ladder of deadlines as it stood in August 2026
    prices = [(2028, 0.155), (2029, 0.32), (2030, 0.375), (2032, 0.499), (2033, 0.56), (2036, 0.69)]
    assert a_ladder(*[(year, None, price) for year, price in prices]) == []
    assert a_ladder((None, 24.0, 0.92), (None, 40.0, 0.66), (None, 80.0, 0.38)) == []


def test_a_later_deadline_cannot_be_less_likely() -> None:
    (finding,) = a_ladder((2032, None, 0.52), (2033, None, 0.46), (2036, None, 0.69))
    assert (finding.rule, finding.severity, finding.question) == ("X05", Severity.WARNING, "fair:rung0")
    assert "fair:rung1" in finding.message
    assert "gap 0.06" in finding.message


def test_a_higher_threshold_cannot_be_likelier() -> None:
    (finding,) = a_ladder((None, 24.0, 0.5), (None, 40.0, 0.66))
    assert finding.question == "fair:rung1"


def test_prices_of_different_times_are_not_compared() -> None:
    """The freeze values that looked inverted: 2032 of January against 2033 of February."""
    times = [NOW - timedelta(days=30), NOW, NOW]
    found = a_ladder((2032, None, 0.52), (2033, None, 0.46), (2036, None, 0.69), at=times)
    assert [(f.rule, f.severity, f.question) for f in found] == [("X05", Severity.ADVICE, "fair:rung0")]
    assert "another time" in found[0].message


def test_a_rung_alone_or_out_of_order_is_pointed_out() -> None:
    assert [f.severity for f in a_ladder((2032, None, 0.5))] == [Severity.ADVICE]
    same = a_ladder((2032, None, 0.5), (2032, None, 0.6))
    assert [f.severity for f in same] == [Severity.ADVICE] * 2
    mixed = a_ladder((2030, 80.0, 0.5), (2028, 40.0, 0.4), (2030, 40.0, 0.6))
    assert mixed == []  # the first two cannot be compared, but each can be with the third


def test_a_resolved_rung_is_no_price() -> None:
    links = [
        a_link(n, ladder="steps", by=datetime(y, 1, 1, tzinfo=UTC)) for n, y in (("one", 2027), ("two", 2028))
    ]
    sights = {"one": a_sight("one", 0.99), "two": a_sight("two", 0.5)}
    seen = [record for record in (record_of(sight, NOW) for sight in sights.values()) if record]
    assert rules(findings(links, sights, seen=seen)) == ["X05"]
    sights["one"] = replace(sights["one"], resolutions=(settled(OutcomeState.YES, 1.0),))
    assert findings(links, sights, seen=seen) == []


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=6, unique=True).flatmap(
    lambda prices: st.tuples(st.just(sorted(prices)), st.permutations(prices))
))  # fmt: skip
def test_a_ladder_is_faultless_exactly_when_its_prices_rise(drawn: tuple[list[int], list[int]]) -> None:
    rising, shuffled = drawn
    found = a_ladder(*[(2027 + n, None, price / 1000) for n, price in enumerate(shuffled)])
    assert (found == []) == (shuffled == rising)


# X06 ----------------------------------------------------------------------------------------------------


def a_pair(**second: Any) -> list[Finding]:
    links = [a_link("one", twin="same"), a_link("two", "rival", twin="same", **second.pop("link", {}))]
    value = an_observation("two", second.pop("price", 0.61), platform="rival", **second)
    sights = {"one": a_sight(), "two": Sight(an_info("two", "rival"), (value,), (value,))}
    seen = [record for record in (record_of(sight, NOW) for sight in sights.values()) if record]
    rival = Platform(key="rival", money="play", transform=Transform.IDENTITY)
    return findings(links, sights, seen=seen, platforms=(FAIR, rival))


def test_twins_tell_both_prices_and_the_gap() -> None:
    (finding,) = a_pair()
    assert (finding.rule, finding.severity, finding.question) == ("X06", Severity.ADVICE, "fair:one")
    for word in ("0.4 (", "rival:two", "0.61 (", "gap 0.21"):
        assert word in finding.message
    assert "not of one time" in a_pair(at=NOW - timedelta(days=2))[0].message
    assert "half_if_neither" in a_pair(link={"transform": Transform.HALF_IF_NEITHER})[0].message


def test_a_twin_without_a_price_or_a_partner_is_said_to_be_so() -> None:
    bare: dict[str, Any] = {"forecasters": None, "volume": None, "spread": None}
    told = [finding for finding in a_pair(price=None, **bare) if finding.rule == "X06"]
    assert "no price" in told[0].message
    assert "gap" not in told[0].message
    assert "no link on another platform" in one(a_sight(), link=a_link(twin="alone"))[0].message
    assert one(a_sight(), link=a_link()) == []


def test_a_resolved_twin_is_told_as_resolved() -> None:
    links = [a_link("one", twin="same"), a_link("two", "rival", twin="same")]
    sights = {"one": a_sight(resolutions=(settled(OutcomeState.YES, 1.0),)), "two": Sight()}
    told = [finding for finding in findings(links, sights) if finding.rule == "X06"]
    assert "resolved yes on 2026-11-20" in told[0].message


# What is recorded, what is stored -----------------------------------------------------------------------


def test_a_record_says_what_stands_and_only_news_is_news() -> None:
    record = record_of(a_sight(), NOW)
    assert record is not None
    assert record.title_sha256 == title_digest("Will it happen before 2028?")
    assert (record.criteria_sha256, record.closes_at, record.outcomes) == (CRITERIA, CLOSE, ("yes",))
    later = record_of(a_sight(), NOW + timedelta(days=3))
    assert later is not None
    known = {("fair", "one"): record}
    assert news([later], known) == []
    assert news([later], {}) == [later]
    moved = record_of(a_sight(info=an_info(closes_at=NOW)), NOW)
    assert moved is not None
    assert news([moved], known) == [moved]


def test_nothing_is_recorded_of_a_question_whose_text_is_not_known() -> None:
    assert record_of(Sight(), NOW) is None
    bare = replace(an_observation(probability=None).snapshot, state=ValueState.GONE,
                   forecasters=None, volume=None, spread=None)  # fmt: skip
    assert record_of(a_sight(newest=(Observation(bare, NOW, NOW, 1),)), NOW) is None


def test_relatives_come_along() -> None:
    catalogue = load_catalogue_once()
    twin = next(link for link in catalogue.links if link.external_id == "41140")
    assert {name_of(link) for link in with_relatives(catalogue, [twin])} == {
        "metaculus:41140",
        "manifold:UdsLNSc2OE",
    }
    rung = next(link for link in catalogue.links if link.external_id == "OAIAGI-27")
    assert len(with_relatives(catalogue, [rung])) == 3
    lonely = next(link for link in catalogue.links if link.external_id == "6509")
    assert with_relatives(catalogue, [lonely]) == [lonely]


def stored(*batches: Batch) -> MemoryStore:
    store = MemoryStore()
    for batch in batches:
        store.append(batch)
    return store


def test_the_own_platform_is_heard_before_others_and_the_recorded_source_before_both() -> None:
    catalogue = load_catalogue_once()
    link = next(link for link in catalogue.links if link.platform == "metaculus")
    question = (link.platform, link.external_id)

    def told(source: str, title: str) -> Batch:
        key = StreamKey(source, *question, "yes", Quantity.FORECASTER_MEDIAN)
        value = Snapshot(key, NOW, NOW, probability=0.3)
        return Batch(snapshots=(value,), infos=(QuestionInfo(source, *question, NOW, title),))

    store = stored(told("aaa", "As a feed has it"), told("metaculus", "As it is"))
    info = sights_of(store, catalogue)[question].info
    assert info is not None
    assert info.title == "As it is"
    feed = sights_of(stored(told("aaa", "As a feed has it")), catalogue)[question].info
    assert feed is not None
    assert feed.source == "aaa"
    record = Seen(platform=question[0], external_id=question[1], source="aaa", at=NOW, title_sha256=CRITERIA)
    recorded = sights_of(store, replace(catalogue, seen={question: record}))[question]
    assert recorded.info is not None
    assert recorded.info.source == "aaa"
    assert {seen.snapshot.key.source for seen in recorded.newest} == {"aaa"}


def test_market_quality_is_taken_from_the_last_value_that_had_it() -> None:
    catalogue = load_catalogue_once()
    link = next(link for link in catalogue.links if link.platform == "manifold")
    key = StreamKey("manifold", *link.key[:2], "yes", Quantity.PLAY_MONEY_PRICE)
    whole = Snapshot(key, NOW, NOW, probability=0.3, forecasters=20, volume=700.0)
    later = NOW + timedelta(hours=1)
    bulk = Snapshot(key, later, later, probability=0.31)
    sight = sights_of(stored(Batch(snapshots=(whole,)), Batch(snapshots=(bulk,))), catalogue)[link.key[:2]]
    assert [seen.snapshot.probability for seen in sight.newest] == [0.31]
    assert [seen.snapshot.forecasters for seen in sight.quality] == [20]


def test_findings_come_worst_first_whatever_the_order_of_the_links() -> None:
    links = [a_link("one"), a_link("two", twin="alone"), a_link("three")]
    sights = {"one": a_sight("one"), "two": a_sight("two"), "three": Sight()}
    seen = [RECORD.model_copy(update={"title_sha256": OTHER})] if RECORD else []
    orders = {
        tuple((f.severity, f.question, f.message) for f in findings(order, sights, seen=seen))
        for order in permutations(links)
    }
    assert len(orders) == 1
    severities = [severity for severity, _, _ in orders.pop()]
    assert severities[0] is Severity.ERROR
    assert severities == sorted(severities, key=list(Severity).index)
