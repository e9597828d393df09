"""Outbox, archive and recipients: the same in every store."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from storage import open_store
from storage.engine import Database, locate
from storage.errors import StorageError
from storage.mailing import Channel, Letter, LetterState, Picture, pack_own, unpack_own
from storage.store import Store
from tests.storage.samples import hours, issue, letter, recipient

QUEUED, SENDING, SENT = LetterState.QUEUED, LetterState.SENDING, LetterState.SENT


# letters ------------------------------------------------------------------------------------------


def test_a_letter_comes_back_to_the_byte(store: Store) -> None:
    whole = bytes(range(256)) * 3
    given_in = letter(
        "k", shared=whole, own=((0, b"To: a\r\n"), (256, b"\x00\xff"), (256, b""), (768, b"end"))
    )
    assert store.queue_letters([given_in]) == 1
    assert store.letters() == [given_in]
    assert store.letters()[0].body == b"To: a\r\n" + whole[:256] + b"\x00\xff" + whole[256:] + b"end"
    assert store.check() == []


def test_a_key_is_queued_once_whatever_it_says_the_second_time(store: Store) -> None:
    first, other = letter("k", shared=b"first"), letter("k", 5, shared=b"second")
    assert store.queue_letters([first, other]) == 1
    assert store.queue_letters([other, letter("l", shared=b"first")]) == 1
    assert [one.body for one in store.letters()] == [b"first", b"first"]
    assert store.counts()["outbox_part"] == 1


def test_letters_go_out_in_order_each_once_and_only_when_their_time_has_come(store: Store) -> None:
    store.queue_letters([letter("b", 1), letter("a", 1), letter("late", 9), letter("first", 0)])
    assert store.next_letter_at(Channel.MAIL) == hours(0)
    assert store.next_letter_at(Channel.WEBHOOK) is None
    store.queue_letters([letter("hook", 0, channel=Channel.WEBHOOK, address="team")])
    claimed = [store.claim_letter(Channel.MAIL, hours(2)) for _ in range(4)]
    assert [one and one.key for one in claimed] == ["first", "a", "b", None]
    assert [(one.state, one.attempts) for one in claimed if one] == [(SENDING, 1)] * 3
    hook = store.claim_letter(Channel.WEBHOOK, hours(2))
    assert hook is not None
    assert hook.address == "team"
    assert store.letter_counts() == {
        (Channel.MAIL, SENDING): 3,
        (Channel.MAIL, QUEUED): 1,
        (Channel.WEBHOOK, SENDING): 1,
    }


def test_what_became_of_a_letter_is_kept(store: Store) -> None:
    store.queue_letters([letter("k")])
    assert store.claim_letter(Channel.MAIL, hours(1))
    waiting = store.settle_letter("k", QUEUED, hours(1), "451 later\x00", hours(3))
    assert store.letters() == [waiting]
    assert (waiting.next_try_at, waiting.attempts, waiting.outcome) == (hours(3), 1, "451 later\ufffd")
    assert store.claim_letter(Channel.MAIL, hours(2)) is None
    assert store.next_letter_at(Channel.MAIL) == hours(3)
    again = store.claim_letter(Channel.MAIL, hours(3.5))
    assert again is not None
    assert again.attempts == 2
    assert store.next_letter_at(Channel.MAIL) == hours(3.5)
    done = store.settle_letter("k", SENT, hours(3), "250 ok")
    assert store.letters(state=SENT, kind="digest", period="2026-W09", address="ada@example.org") == [done]
    assert (
        store.letters(state=QUEUED) == store.letters(kind="alert") == store.letters(address="b@c.org") == []
    )


@pytest.mark.parametrize("key", ["k", "never queued"])
def test_a_letter_that_nobody_sends_cannot_have_been_sent(store: Store, key: str) -> None:
    store.queue_letters([letter("k")])
    with pytest.raises(StorageError, match="not being sent"):
        store.settle_letter(key, SENT, hours(1), "250 ok")
    assert [one.state for one in store.letters()] == [QUEUED]


def test_what_a_dead_sender_left_goes_again_with_the_same_bytes(store: Store) -> None:
    store.queue_letters([letter("k"), letter("hook", channel=Channel.WEBHOOK)])
    first = store.claim_letter(Channel.MAIL, hours(1))
    assert store.claim_letter(Channel.WEBHOOK, hours(1))
    assert store.move_letters(SENDING, QUEUED, hours(2), channel=Channel.MAIL) == 1
    second = store.claim_letter(Channel.MAIL, hours(2))
    assert first is not None
    assert second is not None
    assert second == replace(first, attempts=2, changed_at=hours(2))


def test_letters_past_their_time_expire_and_the_others_are_held_and_resumed(store: Store) -> None:
    store.queue_letters([letter("old", expires_at=hours(5)), letter("new", expires_at=hours(6))])
    assert store.move_letters(QUEUED, LetterState.EXPIRED, hours(5), expired=True) == 1
    assert store.move_letters(QUEUED, LetterState.HELD, hours(5)) == 1
    assert store.claim_letter(Channel.MAIL, hours(5)) is None
    assert store.move_letters(LetterState.HELD, QUEUED, hours(5)) == 1
    found = store.claim_letter(Channel.MAIL, hours(5))
    assert found is not None
    assert found.key == "new"
    assert [one.key for one in store.letters(state=LetterState.EXPIRED)] == ["old"]


def test_of_a_transaction_that_fails_nothing_is_queued(url: str) -> None:
    store = open_store(url)
    with pytest.raises(RuntimeError, match="cut short"), store.together():  # noqa: PT012
        store.add_issue(issue("2026-W09", 0))
        store.queue_letters(letter(str(number)) for number in range(150))
        raise RuntimeError("cut short")
    assert (store.letters(), store.issues()) == ([], [])
    store.close()


@given(
    shared=st.binary(max_size=40),
    own=st.lists(st.tuples(st.integers(0, 40), st.binary(max_size=5)), max_size=4),
)
def test_own_pieces_are_put_in_at_their_places(shared: bytes, own: list[tuple[int, bytes]]) -> None:
    pieces = tuple(sorted((min(place, len(shared)), piece) for place, piece in own))
    expected = shared
    for place, piece in reversed(pieces):
        expected = expected[:place] + piece + expected[place:]
    assert letter("k", shared=shared, own=pieces).body == expected
    assert unpack_own(pack_own(pieces)) == pieces


@pytest.mark.parametrize("own", [((3, b"x"),), ((-1, b"x"),), ((2, b"x"), (1, b"y"))])
def test_pieces_that_have_no_place_are_refused(own: tuple[tuple[int, bytes], ...]) -> None:
    with pytest.raises(ValueError, match="own pieces"):
        letter("k", shared=b"ab", own=own)


def test_many_letters_are_queued_like_few(url: str) -> None:
    store = open_store(url)
    many = [letter(f"{number:04}", own=((0, str(number).encode()),)) for number in range(250)]
    assert store.queue_letters(many) == 250
    assert store.queue_letters(many) == 0
    assert store.letters() == many
    store.close()


# the archive --------------------------------------------------------------------------------------


def test_a_digest_comes_back_whole_and_is_kept_once(store: Store) -> None:
    first, other = issue("2026-W09", 0), issue("2026-W10", 170, pictures=())
    assert store.add_issue(other)
    assert store.add_issue(first)
    assert not store.add_issue(replace(first, made_at=hours(1)))
    assert store.issues() == [first, other]
    assert store.issues("2026-W10") == [other]
    assert store.issue_weeks() == ["2026-W09", "2026-W10"]
    assert store.check() == []


def test_a_digest_made_again_stands_beside_the_first(store: Store) -> None:
    first = issue("2026-W09", 0)
    again = replace(first, made_at=hours(2), subject="2026-W09: 1 moved\x00")
    assert store.add_issue(again)
    assert store.add_issue(first)
    assert [one.subject for one in store.issues("2026-W09")] == [first.subject, "2026-W09: 1 moved\ufffd"]


def test_a_digest_that_says_anything_else_has_another_address() -> None:
    one = issue("2026-W09", 0)
    (picture,) = one.pictures
    changed = [
        replace(one, week="2026-W08"), replace(one, as_of=hours(1)), replace(one, subject=""),
        replace(one, text=""), replace(one, html=""), replace(one, pictures=()),
        replace(one, pictures=(replace(picture, alt=""),)), replace(one, pictures=(replace(picture, png=b""),)),
        replace(one, pictures=(Picture("x", picture.filename, picture.png, picture.alt),)),
    ]  # fmt: skip
    assert len({one.sha256, *(other.sha256 for other in changed)}) == 1 + len(changed)


# recipients ---------------------------------------------------------------------------------------


def test_the_newest_record_of_an_address_counts_and_the_others_stay(store: Store) -> None:
    asked = recipient("ada@example.org", 0, "pending", options={"frequency": "weekly", "areas": ["a"]})
    said_yes = replace(asked, at=hours(1), state="confirmed", reason="link")
    left = recipient("ada@example.org", 1, "unsubscribed")
    for one in (asked, recipient("bob@example.org", 5), said_yes, left):
        store.add_recipient(one)
    assert store.recipients() == [left, recipient("bob@example.org", 5)]
    assert store.recipient_history("ada@example.org") == [asked, said_yes, left]
    assert store.recipient_history("eve@example.org") == []


# check --------------------------------------------------------------------------------------------


def test_the_check_finds_bytes_that_are_not_what_was_queued(url: str) -> None:
    store = open_store(url)
    store.queue_letters([letter("k")])
    store.add_issue(issue("2026-W09", 0))
    store.close()
    database = Database(locate(url))
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE digest SET subject = 'other'")
        connection.exec_driver_sql("UPDATE outbox_part SET sha256 = 'abc'")
    database.close()
    damaged = open_store(url)
    assert damaged.check() == [
        "letter bytes abc do not hash to their address",
        f"digest of 2026-W09 does not hash to its address {issue('2026-W09', 0).sha256}",
    ]
    damaged.close()


def test_a_letter_has_its_times_in_utc() -> None:
    naive = hours(0).replace(tzinfo=None)
    with pytest.raises(ValueError, match="naive"):
        Letter("k", Channel.MAIL, "a@b.c", "digest", "w", "<m>", b"", naive, hours(1))
