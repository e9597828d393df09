"""The week's digest to everybody who wants it: once, whole, and to nobody else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from pydantic import SecretStr

from storage import open_store
from storage.errors import StorageError
from storage.mailing import Channel, LetterState, Recipient, RecipientState
from storage.memory import MemoryStore
from storage.records import RunState
from storage.store import Store
from tests.mail.server import Post, mail_server
from tracker.config import Settings
from tracker.daemon.mailing import digest_job, mail_job, mail_jobs
from tracker.errors import UsageError
from tracker.mail.content import InlineImage, MailContent
from tracker.mail.recipients import (
    Options,
    address_from,
    change,
    digest_addresses,
    find,
    listed,
    monday_of,
    options_from,
)
from tracker.mail.sending import ask_to_confirm, send_digest, skipped_weeks, week_of, week_of_slot
from tracker.schedule import WEEKDAYS, LocalTime
from tracker.work import due, execute

T0 = datetime(2026, 11, 23, 7, tzinfo=UTC)
DAY, WEEK = timedelta(days=1), timedelta(days=7)
TO = ("ada@example.org", "bob@example.org")


def settings(**more: Any) -> Settings:
    told: dict[str, Any] = {"mail_from": "tracker@example.org", "mail_to": TO, "mail_drop": "unused"}
    return Settings(**(told | more))


def content(week: str = "2026-W48", skipped: tuple[str, ...] = ()) -> MailContent:
    text = f"{week} after {skipped}"
    return MailContent(
        f"{week}: nothing moved", text, f"<p>{text}</p>", (InlineImage("a", "a.png", b"png", "1"),)
    )


class Builder:
    """Builds digests and counts them."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, datetime, tuple[str, ...]]] = []

    def __call__(self, store: Store, week: str, as_of: datetime, skipped: tuple[str, ...]) -> MailContent:
        self.asked.append((week, as_of, skipped))
        return content(week, skipped)


def queue(store: Store, at: datetime = T0, own: Settings | None = None, week: str = "2026-W48") -> str:
    ends = at + timedelta(days=3)
    return str(send_digest(store, own or settings(), lambda: content(week), week, at, at, ends))


@pytest.fixture
def store() -> Store:
    return MemoryStore()


# queueing -----------------------------------------------------------------------------------------


def test_everybody_gets_one_letter_however_often_it_is_queued(store: Store) -> None:
    assert queue(store) == "2026-W48: 2 letters queued for 2 recipients"
    before = store.letters()
    assert queue(store, T0 + DAY) == "2026-W48 (made before): 0 letters queued for 2 recipients"
    assert store.letters() == before
    (issue,) = store.issues()
    assert (issue.subject, issue.text) == ("2026-W48: nothing moved", "2026-W48 after ()")
    assert [one.address for one in before] == sorted(TO, key=lambda one: store.letters(address=one)[0].key)
    assert {one.expires_at for one in before} == {T0 + timedelta(days=3)}


def test_who_comes_later_gets_the_same_digest(store: Store) -> None:
    queue(store)
    store.add_recipient(Recipient("eve@example.org", T0, RecipientState.CONFIRMED))

    def built() -> MailContent:
        raise AssertionError("the week has its digest")

    queued = send_digest(store, settings(), built, "2026-W48", T0 + DAY, T0 + DAY, T0 + WEEK)
    assert str(queued) == "2026-W48 (made before): 1 letters queued for 3 recipients"
    bodies = {one.address: one.body for one in store.letters()}
    texts = {name: message_from_bytes(body).get_payload()[0].as_string() for name, body in bodies.items()}
    assert texts["eve@example.org"] == texts["ada@example.org"]


def test_of_two_that_build_at_once_one_is_kept_and_sent(store: Store) -> None:
    def slowly() -> MailContent:
        queue(store)
        return content("another")

    queued = send_digest(store, settings(), slowly, "2026-W48", T0, T0, T0 + WEEK)
    assert str(queued) == "2026-W48 (made before): 0 letters queued for 2 recipients"
    assert [one.subject for one in store.issues()] == ["2026-W48: nothing moved"]


def test_without_a_sender_a_digest_is_archived_and_nothing_queued(store: Store) -> None:
    assert (
        queue(store, own=settings(mail_from="", mail_drop=""))
        == "2026-W48: 0 letters queued for 0 recipients"
    )
    assert store.issue_weeks() == ["2026-W48"]


def test_a_digest_that_cannot_be_queued_is_not_archived_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'db'}")

    def full(letters: object) -> int:
        raise StorageError("the disk is full")

    monkeypatch.setattr(store, "queue_letters", full)
    with pytest.raises(StorageError, match="full"):
        queue(store)
    assert store.issues() == []
    monkeypatch.undo()
    assert queue(store) == "2026-W48: 2 letters queued for 2 recipients"
    store.close()


@pytest.mark.parametrize("week", ["2026-48", "W48", "2026-W48\n", ""])
def test_a_week_has_its_form(store: Store, week: str) -> None:
    with pytest.raises(UsageError, match="no week"):
        queue(store, week=week)


# weeks --------------------------------------------------------------------------------------------


@given(st.dates(min_value=datetime(1990, 1, 1).date(), max_value=datetime(2100, 1, 1).date()))
def test_a_week_begins_on_its_monday(day: Any) -> None:
    monday = monday_of(week_of(day))
    assert monday.weekday() == 0
    assert timedelta(0) <= day - monday < WEEK


@given(
    zone=st.sampled_from(
        ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
    ),
    minute=st.integers(0, 24 * 60 - 1),
    day=st.sampled_from(WEEKDAYS),
    start=st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),
)
def test_slots_that_follow_each_other_have_weeks_that_do(
    zone: str, minute: int, day: str, start: datetime
) -> None:
    slots = LocalTime.parse(f"{day} {minute // 60:02}:{minute % 60:02} {zone}")
    slot = slots.after(start.replace(tzinfo=UTC))
    for _ in range(60):
        following = slots.after(slot)
        assert monday_of(week_of_slot(slots, following)) == monday_of(week_of_slot(slots, slot)) + WEEK
        slot = following


def deliver(store: Store, at: datetime, state: LetterState = LetterState.SENT) -> None:
    """What became of all that is due."""
    while (letter := store.claim_letter(Channel.MAIL, at)) is not None:
        store.settle_letter(letter.key, state, at, "as it is")


def test_weeks_without_a_digest_are_said_in_the_next(store: Store) -> None:
    assert skipped_weeks(store, "2026-W48") == ()
    queue(store, week="2026-W50")
    deliver(store, T0)
    assert skipped_weeks(store, "2026-W51") == ()
    assert skipped_weeks(store, "2027-W02") == ("2026-W51", "2026-W52", "2026-W53", "2027-W01")
    assert skipped_weeks(store, "2026-W50") == ()


def test_a_digest_that_reached_nobody_in_its_time_is_said_in_the_next_too(store: Store) -> None:
    queue(store, T0, week="2026-W47")
    deliver(store, T0)
    queue(store, T0 + WEEK, week="2026-W48")  # and no server took it
    assert skipped_weeks(store, "2026-W49") == ("2026-W48",)
    queue(store, T0 + 3 * WEEK, week="2026-W50")
    assert skipped_weeks(store, "2026-W51") == ("2026-W48", "2026-W49", "2026-W50")
    deliver(store, T0 + 3 * WEEK)
    assert skipped_weeks(store, "2026-W51") == ()


def test_addresses_that_were_refused_are_no_skipped_week(store: Store) -> None:
    queue(store, T0, week="2026-W47")
    deliver(store, T0, LetterState.DEAD)
    assert skipped_weeks(store, "2026-W48") == ()


# the daemon's jobs --------------------------------------------------------------------------------


def test_the_digest_is_made_once_a_week_as_known_at_its_time(store: Store) -> None:
    builder = Builder()
    job = digest_job(settings(digest_at="mon 08:00 Europe/Berlin"), builder, lambda: T0 + DAY)
    (slot,) = due(job, store, T0 + DAY)
    assert slot == T0
    done = execute(job, slot, store, lambda: T0 + DAY)
    assert done is not None
    assert done.message == "2026-W47: 2 letters queued for 2 recipients"
    assert builder.asked == [("2026-W47", T0, ())]
    assert due(job, store, T0 + 2 * DAY) == ()
    assert store.issues()[0].as_of == T0
    assert {one.expires_at for one in store.letters()} == {T0 + timedelta(days=3, hours=1)}


def test_one_that_is_more_than_three_days_late_is_skipped_and_the_next_says_so(store: Store) -> None:
    builder = Builder()
    job = digest_job(settings(digest_at="mon 07:00 UTC"), builder, lambda: T0)
    execute(job, T0, store, lambda: T0)
    deliver(store, T0)
    late = T0 + WEEK + timedelta(days=3, seconds=1)
    assert due(job, store, late) == ()
    assert [run.state for run in store.runs("digest")] == [RunState.DONE, RunState.SKIPPED]
    (slot,) = due(job, store, T0 + 2 * WEEK)
    execute(job, slot, store, lambda: T0 + 2 * WEEK)
    assert builder.asked[-1] == ("2026-W49", T0 + 2 * WEEK, ("2026-W48",))
    assert store.issue_weeks() == ["2026-W47", "2026-W49"]


def test_one_that_is_three_days_late_is_still_sent(store: Store) -> None:
    builder = Builder()
    job = digest_job(settings(), builder, lambda: T0)
    assert due(job, store, T0 + timedelta(days=3)) == (T0,)


def test_the_mail_job_runs_only_when_something_is_due(store: Store) -> None:
    job = mail_job(settings(), lambda: T0, threading.Event())
    assert due(job, store, T0) == ()
    queue(store)
    assert due(job, store, T0 - DAY) == ()
    assert len(due(job, store, T0)) == 1
    assert store.runs("mail") == []


def test_a_pass_sends_what_it_has_just_made(store: Store, tmp_path: Path) -> None:
    own = settings(mail_drop=str(tmp_path / "out"))
    for job in mail_jobs(own, Builder(), lambda: T0, threading.Event()):
        for slot in due(job, store, T0):
            execute(job, slot, store, lambda: T0)
    assert len(list((tmp_path / "out").glob("*.eml"))) == 2
    assert {one.state for one in store.letters()} == {LetterState.SENT}
    assert [run.message for run in store.runs("mail")] == ["2 sent"]


def test_an_address_that_is_refused_twice_running_is_dead(store: Store) -> None:
    post = Post(rcpt={TO[0]: "550 no such user"})
    with mail_server(post) as port:
        own = settings(mail_drop="", smtp_host="127.0.0.1", smtp_port=port, smtp_tls="none")
        for number in range(3):
            at = T0 + number * WEEK
            queue(store, at, own, week_of(at))
            job = mail_job(own, lambda at=at: at, threading.Event())  # type: ignore[misc]
            for slot in due(job, store, at):
                execute(job, slot, store, lambda at=at: at)  # type: ignore[misc]
        states = {one.recipient.address: one.recipient.state for one in listed(store, own)}
        assert states == {TO[0]: RecipientState.DEAD, TO[1]: RecipientState.CONFIRMED}
        assert post.seen.count(TO[0]) == 2
        assert post.seen.count(TO[1]) == 3
        change(store, own, TO[0], RecipientState.CONFIRMED, T0 + 3 * WEEK, "command")
        assert digest_addresses(store, own, "2026-W51") == list(TO)


def test_a_refusal_between_two_that_arrive_does_not_count(store: Store) -> None:
    post = Post()
    with mail_server(post) as port:
        own = settings(mail_drop="", smtp_host="127.0.0.1", smtp_port=port, smtp_tls="none")
        for number in range(5):
            post.rcpt = {TO[0]: "550 no such user"} if number % 2 else {}
            at = T0 + number * WEEK
            queue(store, at, own, week_of(at))
            job = mail_job(own, lambda at=at: at, threading.Event())  # type: ignore[misc]
            for slot in due(job, store, at):
                execute(job, slot, store, lambda at=at: at)  # type: ignore[misc]
    assert {one.recipient.state for one in listed(store, own)} == {RecipientState.CONFIRMED}


def test_without_a_way_out_the_job_says_what_to_set(store: Store) -> None:
    own = settings(mail_drop="")
    queue(store, own=own)
    job = mail_job(own, lambda: T0, threading.Event())
    done = execute(job, job.slots.at(T0), store, lambda: T0)
    assert done is not None
    assert done.state is RunState.FAILED
    assert "SPEEDUP_SMTP_HOST" in done.message


# recipients ---------------------------------------------------------------------------------------


def test_who_left_or_is_not_confirmed_gets_no_digest(store: Store) -> None:
    own = settings()
    for name, state in (
        ("cy", "pending"),
        ("di", "confirmed"),
        ("ed", "unsubscribed"),
        ("ada", "unsubscribed"),
    ):
        store.add_recipient(Recipient(f"{name}@example.org", T0, RecipientState(state)))
    assert digest_addresses(store, own, "2026-W48") == ["bob@example.org", "di@example.org"]
    assert [(one.recipient.address[:3], one.origin) for one in listed(store, own)] == [
        ("ada", "settings"),
        ("bob", "settings"),
        ("cy@", "database"),
        ("di@", "database"),
        ("ed@", "database"),
    ]


def test_who_left_after_it_was_queued_gets_nothing(store: Store, tmp_path: Path) -> None:
    own = settings(mail_drop=str(tmp_path / "out"))
    queue(store, own=own)
    change(store, own, TO[0], RecipientState.UNSUBSCRIBED, T0, "link")
    job = mail_job(own, lambda: T0, threading.Event())
    done = execute(job, job.slots.at(T0), store, lambda: T0)
    assert done is not None
    assert done.message == "1 not sent, 1 sent"
    (letter,) = store.letters(state=LetterState.DEAD)
    assert (letter.address, letter.outcome) == (TO[0], "not sent: unsubscribed")


@pytest.mark.parametrize(
    ("frequency", "weeks"),
    [("weekly", 53), ("monthly", 12), ("none", 0)],
)
def test_how_often_is_ones_own_choice(store: Store, frequency: str, weeks: int) -> None:
    options = options_from({"frequency": frequency})
    of_2026 = [week_of(datetime(2026, 1, 1) + number * WEEK) for number in range(53)]
    assert sum(options.wants_digest(week) for week in of_2026) == weeks


@pytest.mark.parametrize(
    "told",
    [{"frequency": "daily"}, {"areas": ["No Area"]}, {"thresholds": {"flip": -1}}, {"else": 1}],
)
def test_options_that_mean_nothing_are_refused(told: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="options are wrong"):
        options_from(told)
    assert Options() == options_from({})


@pytest.mark.parametrize(
    "text",
    [
        "", "ada", "ada@", "@example.org", "a b@example.org", "ada@example.org\r\nBcc: eve@x.y", "<ada@example.org>",
        "ada@exa mple.org", "a..b@example.org", ".a@example.org", "ä@example.org", "a@" + "b" * 64 + ".org",
        '"a"@example.org', "a@b@c.org", "ada@example.org,eve@example.org", "a" * 65 + "@example.org", "a@-b.org",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(UsageError) as refusal:
        address_from(text)
    assert "eve" not in str(refusal.value)


def test_an_address_is_kept_in_one_form() -> None:
    assert address_from(" Ada.L+x@EXAMPLE.org ") == "Ada.L+x@example.org"
    assert address_from("ada@bücher.example") == "ada@xn--bcher-kva.example"


def test_a_recipient_is_found_by_address_or_hash(store: Store) -> None:
    own = settings()
    assert find(store, own, TO[0]) == TO[0]
    assert find(store, own, "cfe00dde46ef9426") == TO[0]
    with pytest.raises(UsageError, match="no such recipient"):
        find(store, own, "eve@example.org")


def asking() -> Settings:
    return settings(mail_base_url="https://t.example.org", mail_secret=SecretStr("s" * 20))


def test_who_is_asked_gets_the_question_and_no_digest(store: Store, tmp_path: Path) -> None:
    own = replace_drop(asking(), tmp_path)
    asked = ask_to_confirm(store, own, "eve@example.org", T0, {"frequency": "weekly"})
    assert asked.state is RecipientState.PENDING
    assert digest_addresses(store, own, "2026-W48") == list(TO)
    job = mail_job(own, lambda: T0, threading.Event())
    execute(job, job.slots.at(T0), store, lambda: T0)
    (file,) = (tmp_path / "out").glob("*.eml")
    assert b"To: <eve@example.org>" in file.read_bytes()
    assert b"https://t.example.org/confirm/" in file.read_bytes().replace(b"=\r\n", b"")
    with pytest.raises(UsageError, match="already"):
        ask_to_confirm(store, own, TO[0], T0, {})


def test_nobody_can_be_asked_where_nobody_can_answer(store: Store) -> None:
    with pytest.raises(UsageError, match="--confirmed"):
        ask_to_confirm(store, settings(), "eve@example.org", T0, {})
    assert store.recipients() == []


def replace_drop(own: Settings, folder: Path) -> Settings:
    return own.model_copy(update={"mail_drop": str(folder / "out")})


# a thousand ---------------------------------------------------------------------------------------


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Store]:
    store = open_store(f"sqlite:///{tmp_path / 'db'}")
    with store.together():
        for number in range(300):
            store.add_recipient(Recipient(f"r{number}@example.org", T0, RecipientState.CONFIRMED))
    yield store
    store.close()


def test_what_many_have_in_common_is_kept_once(many: Store) -> None:
    big = replace(content(), images=(InlineImage("a", "a.png", bytes(range(256)) * 200, "1"),))
    own = asking()
    queued = send_digest(many, own, lambda: big, "2026-W48", T0, T0, T0 + WEEK)
    assert queued.letters == 302
    assert many.counts()["outbox_part"] == 1
    letters = many.letters()
    assert len({one.body for one in letters}) == 302
    assert min(len(one.body) for one in letters) > 60_000
    assert max(sum(len(piece) for _, piece in one.own) for one in letters) < 1500
