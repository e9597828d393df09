"""What is sent to Manifold for each kind of question, what it costs, and what is refused."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from questions.catalogue import Catalogue, load_catalogue
from questions.page import criteria, escaped, fine_print, mark
from questions.question import Question
from questions.receipts import text_hash
from questions.time import parse_utc
from tests.questions.examples import binary, dates
from tests.questions.test_question import ORDERING
from tests.servers.local import LocalServer
from tests.servers.manifold import Manifold, Owner
from tracker.errors import UsageError
from tracker.publish.manifold import (
    Account,
    Answer,
    Market,
    NotExpressible,
    Standing,
    date_rungs,
    links_to,
    market_id,
    market_of,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NAMES = {"ai_control": "AI control", "post_training": "Post-training"}
NUMERIC = {"kind": "numeric", "outcomes": ["value", "none"], "default_outcome": "none"}
CONDITIONAL = {
    "kind": "conditional",
    "conditional": {
        "parent": "p1",
        "parent_deadline": parse_utc("2027-06-30"),
        "if_parent_no": "annul",
        "if_parent_void": "annul",
    },
}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


def asked(**changes: Any) -> Question:
    return Question.model_validate(binary(**changes))


def market(question: Question, **how: Any) -> Market:
    return market_of(question, NAMES, now=NOW, **how)


def numbers(lower: float, upper: float, *, low: bool, high: bool, scale: str = "linear") -> Question:
    span = {
        "lower": lower,
        "upper": upper,
        "open_lower": low,
        "open_upper": high,
        "scale": scale,
        "unit": "h",
    }
    return asked(**NUMERIC, numeric_range=span)


def a_date(lower: str, upper: str, **changes: Any) -> Question:
    return asked(
        kind="date",
        outcomes=["date", "not_by_deadline"],
        default_outcome="not_by_deadline",
        date_range={"lower": parse_utc(lower), "upper": parse_utc(upper)},
        **changes,
    )


# The whole catalogue ----------------------------------------------------------------------------------


def test_every_question_we_ship_makes_a_market_that_the_documented_rules_accept(catalogue: Catalogue) -> None:
    """No title and no page is too long: the server refuses what Manifold's documents say it refuses."""
    names = {area.key: area.name for area in catalogue.areas}
    with LocalServer() as server:
        manifold = Manifold(server, lambda: int(NOW.timestamp() * 1000))
        owner = Owner("u1", "maker", 10_000_000)
        for question in catalogue.questions.values():
            made = market_of(question, names, now=NOW)
            before = owner.balance
            shown = manifold.create(owner, made.to_send(market_id("u1", question)))
            assert before - owner.balance == made.cost
            standing = Standing.model_validate(shown)
            assert standing.strange(made, "u1") is None
            links = links_to(standing, made, NOW)
            assert {link.relation.value for link in links} == {"same"}
            assert {link.question for link in links} == {question.id}
            assert len({link.key for link in links}) == len(links)
    assert len(manifold.markets) == len(catalogue.questions)


def test_a_page_too_long_loses_what_decides_nothing_and_says_so() -> None:
    long = asked(background="word " * 3300)
    sent = market(long).document["descriptionMarkdown"]
    assert len(sent) <= 16_000
    assert "word word" not in sent
    assert "Left out for length: the background" in sent
    assert text_hash(long) in sent
    assert criteria(long, NAMES, cut=True) in sent
    assert fine_print(long) in sent
    short = market(asked(background="word " * 10)).document["descriptionMarkdown"]
    assert "word word" in short
    assert "Left out" not in short


def test_of_our_own_only_the_pages_of_ten_areas_are_cut_and_all_of_them_name_every_deciding_proxy(
    catalogue: Catalogue,
) -> None:
    names = {area.key: area.name for area in catalogue.areas}
    cut = set()
    for question in catalogue.questions.values():
        text = market_of(question, names, now=NOW).document["descriptionMarkdown"]
        if "Left out for length" in text:
            cut.add(question.id)
        for arm in question.battery.arms if question.battery else ():
            assert question.threshold is not None
            for proxy in arm.deciding(question.threshold.value):
                assert escaped(f"{proxy.id} {proxy.name}") in text
                assert escaped(proxy.ratio) in text
    assert cut == {
        f"ord-safety-vs-capabilities-{which}-{k}x" for which in ("first", "median") for k in (3, 10)
    }


def test_ids_differ_by_account_question_and_version_and_are_what_manifold_takes() -> None:
    questions = [asked(), asked(id="b2"), asked(version=2)]
    ids = {market_id(account, question) for account in ("u1", "u2") for question in questions}
    assert len(ids) == 6
    assert all(re.fullmatch("[0-9A-Za-z]{10}", each) for each in ids)
    assert market_id("u1", asked()) == market_id("u1", asked(title="Other words?"))


# Kinds ------------------------------------------------------------------------------------------------


def test_yes_or_no_is_a_binary_market() -> None:
    made = market(asked())

    sent = dict(made.to_send("abcdefghij"))
    text = sent.pop("descriptionMarkdown")
    assert sent == {
        "outcomeType": "BINARY",
        "question": "Does it?",
        "closeTime": 1830211200000,  # date -u -d 2027-12-31 +%s
        "visibility": "public",
        "liquidityTier": 100,
        "idempotencyKey": "abcdefghij",
    }
    assert text.startswith("## On Manifold\n")
    assert "speedup-tracker question b1, version 1" in text
    assert made.cost == 100


def test_two_outcomes_of_other_names_are_two_answers() -> None:
    made = market(asked(outcomes=["open_source", "closed_source"], default_outcome="closed_source"))
    assert (made.kind, made.document["answers"]) == ("MULTIPLE_CHOICE", ["open source", "closed source"])


def test_an_ordering_is_one_winner_among_both_areas_a_tie_and_neither() -> None:
    made = market(asked(**ORDERING))
    sent = made.document
    assert sent["outcomeType"] == "MULTIPLE_CHOICE"
    assert sent["answers"] == ["AI control first", "Post-training first", "tie", "neither"]
    assert (sent["shouldAnswersSumToOne"], sent["addAnswersMode"]) == (True, "DISABLED")


def test_a_condition_makes_the_market_void() -> None:
    text = market(asked(**CONDITIONAL)).document["descriptionMarkdown"]
    assert "N/A if the condition (question p1) does not come about" in text
    assert "**Condition:** question `p1` comes out yes by 2027-06-30" in text


def test_a_condition_that_decides_instead_is_not_said_to_void() -> None:
    parent = {**CONDITIONAL["conditional"], "if_parent_no": "no"}  # type: ignore[dict-item]
    text = market(asked(kind="conditional", conditional=parent)).document["descriptionMarkdown"]
    assert "does not come about" not in text


def test_a_date_is_a_ladder_up_to_the_deadline() -> None:
    made = market(a_date("2027-01-01", "2027-12-31T23:59:59Z", dates=dates(close="2028-01-01")))
    sent = made.document
    assert (sent["outcomeType"], sent["timezone"], sent["shouldAnswersSumToOne"]) == ("DATE", "UTC", False)
    assert len(sent["answers"]) == 12
    assert sent["answers"][0] == "By 2027-01-31"
    assert sent["answers"][-1] == "By 2027-12-31"
    assert sent["midpoints"][-1] == 1830297599000  # date -u -d '2027-12-31 23:59:59' +%s
    assert made.cost == 12 * 25
    assert "**not by deadline** is NO for every answer" in sent["descriptionMarkdown"]


@settings(max_examples=150, deadline=None)
@given(
    start=st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    days=st.integers(1, 365 * 90),
    seconds=st.integers(0, 86_399),
)
def test_steps_of_a_ladder_rise_from_after_the_start_to_the_very_end(
    start: datetime, days: int, seconds: int
) -> None:
    end = start.replace(microsecond=0) + timedelta(days=days, seconds=seconds)
    rungs = date_rungs(start, end)
    assert 1 <= len(rungs) <= 12
    assert rungs[-1] == end
    assert list(rungs) == sorted(set(rungs))
    assert rungs[0] > start
    for rung in rungs[:-1]:
        after = rung + timedelta(seconds=1)
        assert (after.day, after.hour, after.minute, after.second) == (1, 0, 0, 0)
    if days > 62:  # two whole months fit in
        assert len(rungs) >= 2


def test_a_number_between_closed_bounds_is_a_number_market() -> None:
    made = market(numbers(1.0, 99.0, low=False, high=False))
    sent = made.document
    assert (sent["outcomeType"], sent["min"], sent["max"], sent["initialValue"]) == (
        *("PSEUDO_NUMERIC", 1.0, 99.0),
        50.0,
    )
    assert (sent["isLogScale"], made.cost) == (False, 100)
    assert "**none** is N/A here" in sent["descriptionMarkdown"]


def test_the_middle_of_a_log_scale_is_manifolds_middle() -> None:
    # Manifold: value = 10^(p * log10(max - min + 1)) + min - 1, at p = 1/2.
    sent = market(numbers(10.0, 10_009.0, low=False, high=False, scale="log")).document
    assert sent["isLogScale"]
    assert sent["initialValue"] == pytest.approx(10**2 + 10 - 1)


@pytest.mark.parametrize(
    ("low", "high", "first", "last", "count"),
    [(False, True, 10.0, 100.0, 10), (True, False, 0.0, 90.0, 10), (True, True, 0.0, 100.0, 11)],
)
def test_an_open_bound_makes_it_a_ladder_that_can_say_beyond(
    low: bool, high: bool, first: float, last: float, count: int
) -> None:
    made = market(numbers(0.0, 100.0, low=low, high=high))
    sent = made.document
    assert (sent["outcomeType"], sent["unit"]) == ("MULTI_NUMERIC", "h")
    assert (sent["midpoints"][0], sent["midpoints"][-1], len(sent["answers"])) == (first, last, count)
    assert sent["answers"][-1] == f"At least {last:g} h"
    assert made.cost == count * 25


def test_steps_on_a_log_scale_are_factors() -> None:
    sent = market(numbers(1.0, 1024.0, low=False, high=True, scale="log")).document
    assert sent["midpoints"] == [2.0**step for step in range(1, 11)]


@pytest.mark.parametrize(("tier", "cost"), [(100, 300), (1_000, 1_200), (10_000, 12_000), (100_000, 120_000)])
def test_what_a_tier_costs(tier: int, cost: int) -> None:
    twelve = a_date("2027-01-01", "2027-12-31T23:59:59Z", dates=dates(close="2028-01-01"))
    assert market(twelve, tier=tier).cost == cost
    assert market(asked(), tier=tier).cost == tier


def test_trading_before_our_opening_is_told_and_afterwards_not() -> None:
    said = "Trading begins at once"
    assert said in market(asked()).document["descriptionMarkdown"]
    later = market_of(asked(), NAMES, now=parse_utc("2027-02-01"))
    assert said not in later.document["descriptionMarkdown"]


# Refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (asked(title="x" * 121), "121 characters, 120 are allowed"),
        (asked(title="\N{GRINNING FACE}" * 61), "122 characters"),
        (asked(dates=dates(open="2020-01-01", close="2026-11-20")), "closed on 2026-11-20"),
        (asked(measurement={"procedure": "word " * 3300}), "a description may have 16000"),
        (
            asked(kind="multiple_choice", outcomes=[f"o{n}" for n in range(101)], default_outcome="o0"),
            "101 outcomes",
        ),
        (
            asked(kind="multiple_choice", outcomes=["a_b", "A b", "c"], default_outcome="c"),
            "would be the same answer",
        ),
        (a_date("2027-01-01", "2027-01-20"), "less than two months"),
        (
            asked(
                kind="date",
                outcomes=["early", "late"],
                default_outcome="late",
                date_range={"lower": parse_utc("2027-01-01"), "upper": parse_utc("2027-12-31")},
            ),
            "needs the outcomes date",
        ),
        (numbers(1.0, 1.005, low=False, high=False), "no more than 0.01 apart"),
        (numbers(1.0, 1.0000001, low=True, high=True), "too close together"),
        (
            asked(
                kind="numeric",
                numeric_range={"lower": 0.0, "upper": 9.0, "open_lower": False, "open_upper": True},
            ),
            "needs the outcomes value",
        ),
    ],
)
def test_what_a_market_cannot_ask_is_refused_with_the_reason(question: Question, reason: str) -> None:
    with pytest.raises(NotExpressible, match=re.escape(reason)) as caught:
        market(question)
    assert caught.value.exit_code == 2
    assert question.id in str(caught.value)


def test_a_tier_there_is_not() -> None:
    with pytest.raises(UsageError, match="--tier 50"):
        market(asked(), tier=50)


# What stands there ------------------------------------------------------------------------------------


def standing(made: Market, **changes: Any) -> Standing:
    answers = [Answer(id=f"a{n}", text=rung.text) for n, rung in enumerate(made.rungs)]
    keys = {
        "id": "exMarket01",
        "creatorId": "u1",
        "outcomeType": made.kind,
        "question": made.question.title,
        "url": "https://manifold.markets/maker/does-it",
        "textDescription": f"… {mark(made.question)}",
        "answers": answers,
    }
    return Standing.model_validate(keys | changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"question": "Edited later?"}, None),
        ({"creatorId": "u2"}, "another account"),
        ({"textDescription": "no mark"}, "does not say"),
        ({"textDescription": "speedup-tracker question b1, version 12"}, "does not say"),
        ({"outcomeType": "POLL"}, "type POLL"),
        ({"answers": []}, "answers"),
    ],
)
def test_a_market_is_ours_by_account_mark_type_and_answers(
    changes: dict[str, Any], reason: str | None
) -> None:
    made = market(asked(**ORDERING))
    changed = dict(changes)
    if "textDescription" in changed:
        changed["textDescription"] = changed["textDescription"].replace("b1", made.question.id)
    found = standing(made, **changed).strange(made, "u1")
    assert found is None if reason is None else found is not None and reason in found


def test_only_a_crossing_by_a_day_is_dated() -> None:
    speedup = asked(speedup_kind="progress")
    link = links_to(standing(market(speedup)), market(speedup), NOW)[0]
    assert (link.outcome, link.by, link.weight) == ("yes", speedup.dates.close, 1.0)
    for question in (asked(), asked(**CONDITIONAL, speedup_kind="progress"), asked(**ORDERING)):
        made = market(question)
        assert [one.by for one in links_to(standing(made), made, NOW)] == [None] * (len(made.rungs) or 1)


def test_a_ladder_of_dates_is_linked_by_its_value_and_by_its_deadline() -> None:
    made = market(a_date("2027-01-01", "2027-12-31", speedup_kind="progress"))
    value, last = links_to(standing(made), made, NOW)
    assert (value.outcome, value.by) == ("value", None)
    assert (last.outcome, last.by) == (f"a{len(made.rungs) - 1}", parse_utc("2027-12-31"))


def test_answers_are_linked_with_the_outcome_they_stand_for() -> None:
    made = market(asked(**ORDERING))
    links = links_to(standing(made), made, NOW)
    assert [(link.outcome, link.note.rpartition(" ")[2]) for link in links] == [
        ("a0", "ai_control."),
        ("a1", "post_training."),
        ("a2", "tie."),
        ("a3", "neither."),
    ]


def test_an_address_that_is_none_is_not_taken_over() -> None:
    made = market(asked())
    (link,) = links_to(standing(made, url="javascript:alert(1)"), made, NOW)
    assert link.url == "https://manifold.markets/market/exMarket01"
    assert Account.model_validate({"id": "u1"}).balance is None
