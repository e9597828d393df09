"""Outcomes, overdue and lost questions, sources, drift, series, the digest: an alert each per change."""

from __future__ import annotations

from pathlib import Path

import pytest

from questions.receipts import Receipt
from questions.verdicts import State
from storage.mailing import Channel, Letter, LetterState
from storage.records import DriftKind, RunState
from tests.alerts.world import World, brief, followed, hours
from tracker.alerts.evaluate import evaluate
from tracker.alerts.scene import Scene
from tracker.config import Settings
from tracker.errors import UsageError

DAY = 24.0


# outcomes -----------------------------------------------------------------------------------------


def test_an_outcome_its_change_and_its_taking_back_are_an_alert_each() -> None:
    world = World()
    world.value(0, 0.5)
    assert world.look(1) == []
    told = []
    for hour, state in ((2, "yes"), (4, "yes"), (6, "no"), (8, "unresolved"), (10, "unresolved"), (12, "no")):
        world.outcome(hour, state)
        told += world.look(hour + 1) + world.look(hour + 1.5)
    assert brief(told) == [
        ("resolved", "resolved", "open", "yes"),
        ("resolved", "changed", "yes", "no"),
        ("resolved", "taken back", "no", "open"),
        ("resolved", "resolved", "open", "no"),
    ]
    assert {one.payload_sha256 for alert in told for one in alert.evidence} == {"d" * 64}


def test_what_was_decided_before_anybody_looked_is_no_news() -> None:
    world = World()
    world.outcome(0, "yes")
    assert world.look(1) == []
    assert world.look(2) == []


def test_another_source_s_word_on_an_outcome_is_not_told_again() -> None:
    world = World()
    world.value(0, 0.5)
    world.look(1)
    world.outcome(2, "yes", source="feed")
    assert len(world.look(3)) == 1
    world.outcome(4, "yes")
    assert world.look(5) == []


def test_an_overdue_question_is_told_once_and_its_outcome_as_an_outcome() -> None:
    world = World()
    world.value(0, 0.5)
    world.info(0, closes_at=hours(10))
    due = 10 + 30 * DAY
    assert world.look(1) == []
    assert world.look(due) == []
    assert brief(world.look(due + 0.1)) == [("overdue", "overdue", "due", "overdue")]
    for hour in (due + 5, due + 500):
        assert world.look(hour) == []
    world.outcome(due + 600, "yes")
    told = world.look(due + 601)
    assert brief(told) == [("resolved", "resolved", "open", "yes"), ("overdue", "ended", "overdue", "due")]
    assert [alert.kind for alert in world.tell(due + 602).told] == ["resolved"]


def receipt(hour: float, state: State, outcome: str | None = None, version: str = "v1") -> Receipt:
    return Receipt(
        "q", version, hours(hour), hours(hour), state, "panel", outcome=outcome,
        resolved_at=hours(hour) if outcome else None, reason="because",
    )  # fmt: skip


def test_our_own_questions_are_told_of_when_they_are_overdue_resolved_or_resolved_otherwise() -> None:
    world = World()
    told = []
    for hour, given in (
        (0, receipt(0, State.OPEN)),
        (2, receipt(2, State.AWAITING_DATA)),
        (4, receipt(4, State.OVERDUE)),
        (6, receipt(6, State.RESOLVED, "yes")),
        (8, receipt(8, State.RE_RESOLVED, "no")),
    ):
        world.store.add_receipts([given])
        told += world.look(hour + 1) + world.look(hour + 1.5)
    assert brief(told) == [
        ("overdue", "overdue", "open", "overdue"),
        ("resolved", "resolved", "overdue", "yes"),
        ("resolved", "re resolved", "yes", "no"),
    ]
    assert told[0].text == "because"


def test_one_of_our_questions_that_is_overdue_no_longer_is_kept_and_told_to_nobody() -> None:
    world = World()
    for hour, state in ((0, State.OPEN), (2, State.OVERDUE), (4, State.OPEN)):
        world.store.add_receipts([receipt(hour, state)])
        found = world.look(hour + 1)
    assert brief(found) == [("overdue", "ended", "overdue", "open")]
    assert world.tell(6).told == ()


# lost questions and sources -----------------------------------------------------------------------

FOUR = [followed(one) for one in "abcd"]


def test_a_single_question_that_is_gone_is_told_once_it_is_gone_at_the_next_poll_too() -> None:
    world = World(*FOUR)
    world.health(0, "ok", *"abcd")
    world.look(0.5)
    world.health(1, "gone", "a", message="a 404")
    assert [bool(world.look(hour)) for hour in (1.1, 1.6, 2.1, 2.2, 9)] == [False, False, True, False, False]
    world.health(10, "ok", "a")
    assert brief(world.look(10.5)) == [("question", "back", "gone", "ok")]


def test_a_question_that_is_gone_for_one_poll_is_not_told() -> None:
    world = World(*FOUR)
    world.health(0, "ok", *"abcd")
    world.look(0.5)
    for hour in range(1, 12, 2):
        world.health(hour, "gone", "a")
        assert world.look(hour + 0.5) == []
        world.health(hour + 1, "ok", "a")
        assert world.look(hour + 1.5) == []


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("not_permitted", "not permitted"),
        ("changed_shape", "answers that cannot be read"),
        ("stale", "stale"),
    ],
)
def test_a_source_in_trouble_is_one_alert_and_one_when_it_is_back(state: str, word: str) -> None:
    world = World(*FOUR)
    world.health(0, "ok", *"abcd")
    world.look(0.5)
    told = []
    for hour in (1, 2, 3, 4):
        world.health(hour, state, *"abcd", message="refused")
        told += world.look(hour + 0.5)
    assert brief(told) == [("source", "down", "ok", word)]
    assert "refused (4 of 4 questions)" in told[0].text
    assert len(told[0].evidence) == 4
    world.health(5, "ok", *"abcd")
    assert brief(world.look(5.5)) == [("source", "back", word, "ok")]
    assert [world.look(hour) for hour in (6, 7)] == [[], []]


def test_a_source_that_comes_and_goes_at_every_poll_is_not_told() -> None:
    world = World(*FOUR)
    world.health(0, "ok", *"abcd")
    world.look(0.5)
    for hour in range(1, 21, 2):
        world.health(hour, "not_permitted", *"abcd")
        assert world.look(hour + 0.5) == []
        world.health(hour + 1, "ok", *"abcd")
        assert world.look(hour + 1.5) == []


def test_between_well_and_in_trouble_what_was_told_stands() -> None:
    """Half of the questions make trouble, up to a quarter is well: a share that swings about one half says nothing."""
    world = World(*FOUR)
    world.health(0, "ok", *"abcd")
    world.look(0.5)
    world.health(1, "not_permitted", "a", "b")
    assert world.look(1.5) == []
    assert [one.kind for one in world.look(2.5)] == ["source"]
    for hour in (3, 5, 7):
        world.health(hour, "ok", "a", "b")
        world.health(hour, "gone", "c")
        world.health(hour + 1, "not_permitted", "a", "b")
        world.health(hour + 1, "ok", "c")
        assert [one for one in world.look(hour + 1.5) if one.kind == "source"] == []
    world.health(9, "ok", "a")
    assert [one.kind for one in world.look(9.5)] == ["source"]


def test_an_outage_followed_by_recovery_is_one_alert_each_and_nothing_of_the_questions() -> None:
    """Polls fail: after two periods it is stale, and when values come again it is back; values did not move."""
    world = World(*FOUR)
    told = []
    for hour in range(30):
        down = 5 <= hour < 20
        world.polled(hour, RunState.FAILED if down else RunState.DONE, "connection refused" if down else "")
        if down and hour >= 7:
            world.health(hour, "stale", *"abcd", message="nothing heard of it")
        elif not down:
            world.health(hour, "ok", *"abcd")
            for one in "abcd":
                world.value(hour, 0.4, one)
        told += world.look(hour + 0.5)
    assert brief(told) == [("source", "down", "ok", "stale"), ("source", "back", "stale", "ok")]


def test_a_source_without_questions_is_stale_when_its_polls_have_failed_for_two_periods() -> None:
    world = World()
    for hour in range(4):
        world.polled(hour)
        assert world.look(hour + 0.1) == []
    world.polled(4, RunState.FAILED, "timeout")
    assert world.look(4.1) == []
    world.polled(5, RunState.FAILED, "timeout")
    (alert,) = world.look(5.1)
    assert (alert.after, alert.text.startswith("timeout")) == ("stale", True)


def test_a_machine_that_was_off_is_no_fault_of_the_sources() -> None:
    world = World(*FOUR)
    for hour in (0, 1, 2, 100, 101):
        world.polled(hour)
        world.health(hour, "ok", *"abcd")
        assert world.look(hour + 0.1) == []
    assert world.look(300) == []


def test_a_source_that_was_never_asked_is_no_news() -> None:
    world = World(*FOUR)
    assert [world.look(hour) for hour in (0, 100, 1000)] == [[], [], []]


def test_new_drifts_of_a_source_are_one_alert_and_harmless_ones_none() -> None:
    world = World()
    world.drift(0, "/v0/bets: [].old")
    assert world.look(1) == []
    world.drift(2, "/v0/bets: [].more", DriftKind.NEW_FIELD)
    assert world.look(3) == []
    world.drift(4, "/v0/bets: [].a")
    world.drift(4, "/v0/bets: [].b", DriftKind.NEW_TYPE)
    world.drift(4, "/v0/bets: [].old")
    (alert,) = world.look(5)
    assert (alert.kind, alert.size) == ("drift", 2.0)
    assert "[].a: missing field number" in alert.text
    assert world.look(6) == []


# series -------------------------------------------------------------------------------------------

OTHER = "swebench_verified"


def test_a_revision_tells_old_and_new_values_and_a_record_its_value() -> None:
    world = World()
    world.series(0, "a", {"old": 50.0, "mid": 90.0}, OTHER)
    world.look(1)
    world.series(2, "b", {"old": 60.0, "mid": 90.0, "new": 95.0}, OTHER)
    (alert,) = world.look(3)
    assert (alert.kind, alert.direction) == ("series", "revised")
    assert "old p50 50 → 60 minutes" in alert.text
    assert "record: new p50 95 minutes" in alert.text
    assert [one.payload_sha256 for one in alert.evidence[:2]] == ["a" * 64, "b" * 64]
    assert world.look(4) == []


def test_a_new_point_that_is_no_record_and_a_tiny_correction_are_not_told() -> None:
    world = World()
    world.series(0, "a", {"old": 50.0, "best": 90.0}, OTHER)
    world.look(1)
    world.series(2, "b", {"old": 52.5, "best": 90.0, "new": 90.0}, OTHER)
    assert world.look(3) == []


def test_corrections_that_are_tiny_each_are_told_when_together_they_are_not() -> None:
    world = World()
    told = []
    for number, value in enumerate((50.0, 51.0, 52.0, 53.0, 54.0)):
        world.series(number, "abcde"[number], {"old": value, "best": 90.0}, OTHER)
        told += world.look(number + 0.5)
    assert [alert.text for alert in told] == ["old p50 50 → 53 minutes"]


def test_points_under_new_keys_are_no_revision_and_no_record() -> None:
    world = World()
    world.series(0, "a", {"1": 50.0, "2": 90.0, "3": 90.0}, OTHER)
    world.look(1)
    world.series(2, "b", {"one": 50.0, "two": 90.0, "three": 90.0}, OTHER)
    assert world.look(3) == []
    world.series(4, "c", {"one": 50.0, "zwei": 90.0, "vier": 95.0}, OTHER)
    (alert,) = world.look(5)
    assert "record: vier p50 95 minutes" in alert.text
    assert alert.text.count("is gone") == 1


def test_a_version_that_was_taken_back_before_anybody_looked_is_no_news() -> None:
    world = World()
    world.series(0, "a", {"old": 50.0}, OTHER)
    world.look(1)
    world.series(2, "b", {"old": 80.0}, OTHER)
    world.series(3, "a", {"old": 50.0}, OTHER)
    assert world.look(4) == []


def test_a_version_that_was_told_and_taken_back_is_told_back_once() -> None:
    world = World()
    texts = []
    for hour, sha256, value in ((0, "a", 50.0), (2, "b", 80.0), (4, "a", 50.0), (6, "a", 50.0)):
        world.series(hour, sha256, {"old": value}, OTHER)
        texts += [alert.text for alert in world.look(hour + 1)]
    assert texts == ["old p50 50 → 80 minutes", "old p50 80 → 50 minutes"]


def test_of_the_trend_s_own_series_any_change_of_bytes_is_told() -> None:
    world = World()
    world.series(0, "a", {"old": 50.0})
    world.look(1)
    world.series(2, "b", {"old": 50.0})
    (alert,) = world.look(3)
    assert "only its bytes changed" in alert.text


def test_where_less_is_better_the_smallest_is_the_record() -> None:
    world = World()
    world.series(0, "a", {"old": 50.0, "best": 40.0}, "nanogpt_speedrun")
    world.look(1)
    world.series(2, "b", {"old": 50.0, "best": 40.0, "more": 60.0}, "nanogpt_speedrun")
    assert world.look(3) == []
    world.series(4, "c", {"old": 50.0, "best": 40.0, "more": 60.0, "new": 30.0}, "nanogpt_speedrun")
    assert "record: new p50 30" in world.look(5)[0].text


# the digest ---------------------------------------------------------------------------------------


def mailing_world() -> World:
    world = World()
    told = world.settings.model_dump() | {
        "alert_webhook": None,
        "mail_from": "tracker@example.org",
        "mail_to": "ada@example.org",
        "mail_drop": "somewhere",
        "digest_at": "mon 14:00 UTC",
    }
    world.settings = Settings.model_validate(told)
    return world


def digest_letter(hour: float, who: str = "x") -> Letter:
    return Letter(
        f"digest:2026-W31:{who}", Channel.MAIL, f"{who}@example.org", "digest", "2026-W31", f"<{who}@example.org>",
        b"x", hours(hour), hours(hour + 100),
    )  # fmt: skip


def test_a_digest_that_did_not_go_out_in_time_is_told_once() -> None:
    world = mailing_world()
    assert world.look(0) == []  # two hours before its time
    assert world.look(7.9) == []
    (alert,) = world.look(8.1)
    assert (alert.kind, alert.after, alert.title) == ("digest", "not made", "The digest of 2026-W31")
    assert [world.look(hour) for hour in (9, 30)] == [[], []]
    assert [one.after for one in world.look(8.1 + 7 * DAY)] == ["not made"]


def test_a_digest_that_was_sent_is_no_alert_and_one_that_came_late_is_told_to_nobody() -> None:
    world = mailing_world()
    world.look(0)
    world.store.queue_letters([digest_letter(2)])
    (missing,) = world.look(9)
    assert missing.after == "sent to 0 of 1"
    assert world.store.claim_letter(Channel.MAIL, hours(9.5)) is not None
    world.store.settle_letter("digest:2026-W31:x", LetterState.SENT, hours(9.6), "ok")
    assert brief(world.look(10)) == [("digest", "ended", f"due at {'2026-08-03T14:00:00Z'}", "sent")]
    assert world.look(11) == []


def test_a_digest_that_some_have_not_got_is_told_and_who_was_refused_or_came_late_is_no_reason() -> None:
    world, week = mailing_world(), "digest:2026-W31"
    world.look(0)
    world.store.queue_letters([digest_letter(2, "a"), digest_letter(2, "b"), digest_letter(2, "gone")])

    def becomes(who: str, state: LetterState, hour: float) -> None:
        while (letter := world.store.claim_letter(Channel.MAIL, hours(hour))) is not None:
            if letter.key == f"{week}:{who}":
                world.store.settle_letter(letter.key, state, hours(hour), "as it is")
                break
        world.store.move_letters(LetterState.SENDING, LetterState.QUEUED, hours(hour))

    becomes("a", LetterState.SENT, 3)
    becomes("gone", LetterState.DEAD, 3)
    assert world.look(7.9) == []
    (missing,) = world.look(9)
    assert (missing.direction, missing.after) == ("missing", "sent to 1 of 3")
    assert world.look(10) == []
    becomes("b", LetterState.SENT, 11)
    assert [one.direction for one in world.look(12)] == ["ended"]
    world.store.queue_letters([digest_letter(40, "late")])
    assert world.look(41) == []


def test_a_program_set_up_after_its_time_owes_no_digest(tmp_path: Path) -> None:
    world = mailing_world()
    assert [world.look(hour) for hour in (20, 40)] == [[], []]


def test_who_has_no_readers_gets_no_alert_of_a_missing_digest() -> None:
    world = World()
    assert [world.look(hour) for hour in (0, 500)] == [[], []]


# all together -------------------------------------------------------------------------------------


def test_a_rule_that_cannot_look_is_named_and_the_others_look() -> None:
    world = World()
    world.value(0, 0.2)
    world.look(1)
    world.value(2, 0.9)

    def broken(scene: Scene) -> list[object]:
        raise UsageError("no such factor")

    from tracker.alerts.moves import moves

    found = evaluate(
        world.store,
        world.catalogue,
        world.settings,
        world.sources,
        hours(3),
        {"orders": broken, "moves": moves},  # type: ignore[dict-item]
    )
    assert found.failed == ("orders: no such factor",)
    assert [alert.kind for alert in found.alerts] == ["move"]


def test_words_on_questions_are_known_from_when_they_were_said() -> None:
    world = World(*FOUR)
    world.health(0, "ok", *"abcd")
    world.look(0.5)
    world.health(9, "stale", *"abcd")
    assert world.evaluate(8).alerts == ()
    assert len(world.evaluate(9).alerts) == 1
