"""Letters to a real server, and to servers that misbehave: what becomes of each."""

from __future__ import annotations

import io
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from storage.mailing import Channel, Letter, LetterState
from storage.memory import MemoryStore
from tests.mail.server import Post, closed_port, dripping, mail_server, silent, stripping, talker
from tracker.mail.content import MailContent
from tracker.mail.delivery import (
    RETRY_AFTER,
    Attempt,
    Carrier,
    Fate,
    FileDrop,
    Screen,
    Smtp,
    SmtpSettings,
    drain,
    next_try,
)
from tracker.mail.message import Mailing, Sender

T0 = datetime(2026, 11, 23, 7, tzinfo=UTC)
SENDER = Sender("tracker@example.org")
QUEUED, SENDING, SENT, DEAD, EXPIRED = (
    LetterState.QUEUED,
    LetterState.SENDING,
    LetterState.SENT,
    LetterState.DEAD,
    LetterState.EXPIRED,
)
CONTENT = MailContent("W47: nothing moved", "hello\n.\n..dots\n", "<p>hello</p>")


def letter(address: str, name: str = "digest:2026-W47") -> Letter:
    week = timedelta(days=7)
    mailing = Mailing(CONTENT, SENDER, name, "digest", "2026-W47", "weekly", T0, T0 + week)
    return mailing.letter(address)


def plain(port: int, **more: object) -> SmtpSettings:
    own = SmtpSettings("127.0.0.1", port, "none", SENDER.address, timeout_s=5.0, limit_s=5.0)
    return replace(own, **more)  # type: ignore[arg-type]


class World:
    """A store, a clock that is set by hand, and one way out."""

    def __init__(self, carrier: Carrier) -> None:
        self.store, self.carrier, self.now = MemoryStore(), carrier, T0

    def drain(self, stop: threading.Event | None = None) -> str:
        done = drain(self.store, Channel.MAIL, self.carrier, lambda: self.now, stop or threading.Event())
        self.carrier.close()
        return str(done)

    def states(self) -> dict[str, LetterState]:
        return {one.address: one.state for one in self.store.letters()}

    def one(self, address: str) -> Letter:
        (found,) = self.store.letters(address=address)
        return found


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def world(post: Post) -> Iterator[World]:
    with mail_server(post) as port:
        yield World(Smtp(plain(port)))


# what the server answers --------------------------------------------------------------------------


def test_each_recipient_gets_the_exact_bytes_once(world: World, post: Post) -> None:
    letters = [letter(f"{name}@example.org") for name in ("ada", "bob", "eve")]
    world.store.queue_letters(letters)
    assert world.drain() == "3 sent"
    assert {one.to: one.body for one in post.received} == {one.address: one.body for one in letters}
    assert set(world.states().values()) == {SENT}
    assert world.drain() == "nothing to send"
    assert len(post.received) == 3


def test_one_that_is_refused_does_not_keep_the_others_from_theirs(world: World, post: Post) -> None:
    post.rcpt = {"gone@example.org": "550 5.1.1 no such user", "busy@example.org": "451 4.7.1 come back"}
    names = ("ada", "gone", "busy", "bob")
    world.store.queue_letters([letter(f"{name}@example.org") for name in names])
    assert world.drain() == "1 dead, 1 later, 2 sent"
    assert world.states() == {
        "ada@example.org": SENT,
        "bob@example.org": SENT,
        "gone@example.org": DEAD,
        "busy@example.org": QUEUED,
    }
    assert world.one("gone@example.org").outcome == "refused: 550 5.1.1 no such user"
    assert world.one("busy@example.org").next_try_at == T0 + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("451 4.3.0 not now", QUEUED),
        ("421 4.3.2 going down", QUEUED),
        ("554 5.7.1 looks like spam", DEAD),
    ],
)
def test_the_answer_to_the_message_itself_decides(
    world: World, post: Post, answer: str, state: LetterState
) -> None:
    post.data = {"ada@example.org": answer}
    world.store.queue_letters([letter("ada@example.org"), letter("bob@example.org")])
    world.drain()
    assert world.states() == {"ada@example.org": state, "bob@example.org": SENT}
    assert world.one("ada@example.org").outcome.endswith(answer)


def test_what_may_have_arrived_goes_again_with_the_same_bytes_and_message_id(
    world: World, post: Post
) -> None:
    post.cut_after = {"ada@example.org"}
    world.store.queue_letters([letter("ada@example.org"), letter("bob@example.org")])
    assert world.drain() == "1 later, 1 sent"
    assert "broke off" in world.one("ada@example.org").outcome
    world.now += timedelta(minutes=1)
    assert world.drain() == "1 sent"
    first, second = (one for one in post.received if one.to == "ada@example.org")
    assert len(post.received) == 3
    assert first.body == second.body
    assert first.message_id == second.message_id == world.one("ada@example.org").message_id


def test_a_sender_that_is_not_accepted_is_nobodys_fault_and_stops_the_rest(world: World, post: Post) -> None:
    post.mail = "553 5.1.8 who are you"
    world.store.queue_letters([letter("ada@example.org"), letter("bob@example.org")])
    assert world.drain() == "1 down; sender: 553 5.1.8 who are you"
    assert set(world.states().values()) == {QUEUED}
    post.mail = ""
    world.now += timedelta(minutes=1)
    assert world.drain() == "2 sent"


def test_retries_follow_the_schedule_until_the_week_is_over(world: World, post: Post) -> None:
    post.rcpt = {"ada@example.org": "450 4.2.1 mailbox busy"}
    world.store.queue_letters([letter("ada@example.org")])
    tried = []
    while world.one("ada@example.org").state is QUEUED:
        due = world.store.next_letter_at(Channel.MAIL)
        assert due is not None
        world.now = max(world.now, due)
        tried.append(world.now - T0)
        world.drain()
    pauses = [after - before for before, after in itertools.pairwise(tried)]
    assert pauses[: len(RETRY_AFTER)] == list(RETRY_AFTER)
    assert set(pauses[len(RETRY_AFTER) :]) == {timedelta(hours=24)}
    assert max(tried) < timedelta(days=7)
    assert world.one("ada@example.org").state is EXPIRED
    assert post.received == []


def test_pauses_are_those_of_the_schedule() -> None:
    minutes = [(next_try(n, T0) - T0) / timedelta(minutes=1) for n in range(1, 10)]
    assert minutes == [1, 5, 30, 120, 360, 720, 1440, 1440, 1440]


def test_a_letter_whose_week_is_over_is_not_sent(world: World, post: Post) -> None:
    world.store.queue_letters([letter("ada@example.org")])
    world.now += timedelta(days=7)
    assert world.drain() == "1 expired"
    assert world.states() == {"ada@example.org": EXPIRED}
    assert post.seen == []


# what stops in between ----------------------------------------------------------------------------


def test_what_a_dead_sender_had_begun_is_sent_again(world: World, post: Post) -> None:
    world.store.queue_letters([letter("ada@example.org")])
    assert world.store.claim_letter(Channel.MAIL, T0)
    assert world.drain() == "1 sent"
    assert world.one("ada@example.org").attempts == 2


def test_told_to_stop_it_ends_between_two_letters(world: World, post: Post) -> None:
    stop = threading.Event()

    class Last:
        def send(self, one: Letter) -> Attempt:
            stop.set()
            return Attempt(Fate.SENT, "250")

        def close(self) -> None: ...

    world.carrier = Last()
    world.store.queue_letters([letter("ada@example.org"), letter("bob@example.org")])
    assert world.drain(stop) == "1 sent"
    assert sorted(state.value for state in world.states().values()) == ["queued", "sent"]


def test_one_who_left_meanwhile_gets_nothing(world: World, post: Post) -> None:
    world.store.queue_letters([letter("ada@example.org"), letter("bob@example.org")])
    done = drain(
        world.store,
        Channel.MAIL,
        world.carrier,
        lambda: T0,
        threading.Event(),
        welcome=lambda one: "unsubscribed" if one.address.startswith("ada") else "",
    )
    world.carrier.close()
    assert str(done) == "1 not sent, 1 sent"
    assert [one.to for one in post.received] == ["bob@example.org"]


# servers that are not there, or not what they should be -------------------------------------------


def test_a_server_that_is_not_there_is_asked_once(post: Post) -> None:
    world = World(Smtp(plain(closed_port())))
    world.store.queue_letters([letter("ada@example.org"), letter("bob@example.org")])
    assert world.drain().startswith("1 down; no conversation with 127.0.0.1")
    assert sorted(one.attempts for one in world.store.letters()) == [0, 1]


def test_silence_and_dripping_come_to_an_end() -> None:
    with talker(silent) as port:
        begun = time.monotonic()
        attempt = Smtp(plain(port, timeout_s=0.3)).send(letter("ada@example.org"))
        assert attempt.fate is Fate.DOWN
        assert time.monotonic() - begun < 3
    with talker(dripping) as port:
        begun = time.monotonic()
        attempt = Smtp(plain(port, timeout_s=5.0, limit_s=0.5)).send(letter("ada@example.org"))
        assert attempt.fate is Fate.DOWN
        assert time.monotonic() - begun < 3


def test_a_server_that_never_says_goodbye_does_not_keep_us() -> None:
    def clingy(caller: socket.socket) -> None:
        caller.sendall(b"220 here\r\n")
        while not caller.recv(1000).lower().startswith(b"quit"):
            caller.sendall(b"250 here\r\n")
        dripping(caller)

    with talker(clingy) as port:
        begun = time.monotonic()
        assert Smtp(plain(port, timeout_s=5.0, limit_s=0.5)).probe().fate is Fate.SENT
        assert time.monotonic() - begun < 3


def test_a_server_that_always_breaks_off_is_left_alone_after_three() -> None:
    def rude(caller: socket.socket) -> None:
        caller.sendall(b"220 here\r\n")
        caller.recv(1000)
        caller.sendall(b"250 here\r\n")
        caller.recv(1000)
        caller.close()

    with talker(rude) as port:
        world = World(Smtp(plain(port)))
        world.store.queue_letters([letter(f"{number}@example.org") for number in range(5)])
        assert world.drain() == "3 later; the server broke off three times running"


# TLS and login ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def server_side(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.mark.filterwarnings(
    "ignore:Requiring AUTH while not requiring TLS"
)  # it does not see that TLS is all around
@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_a_login_is_said_under_tls_to_a_server_that_proves_its_name(
    authority: trustme.CA, ca_file: Path, post: Post, tls: str
) -> None:
    context = server_side(authority, "127.0.0.1")
    with mail_server(post, **{tls: context}, login=("me", "canary-7711")) as port:
        own = plain(port, tls=tls, ca_file=ca_file, user="me", password="canary-7711")
        out = Smtp(own)
        assert out.probe() == Attempt(Fate.SENT, "greeted")
        assert out.send(letter("ada@example.org")).fate is Fate.SENT
        out.close()
        wrong = Smtp(replace(own, password="wrong-7712"))
        attempt = wrong.send(letter("bob@example.org"))
        wrong.close()
        assert (attempt.fate, attempt.said) == (Fate.DOWN, "the server does not accept the login (535)")
    assert [one.to for one in post.received] == ["ada@example.org"]
    assert "canary-7711" not in repr(own)


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize(("name", "trusted"), [("127.0.0.1", False), ("mail.example.net", True)])
def test_a_certificate_of_somebody_else_or_for_another_name_ends_it(
    authority: trustme.CA, ca_file: Path, post: Post, tls: str, name: str, trusted: bool
) -> None:
    with mail_server(post, **{tls: server_side(authority, name)}) as port:
        own = plain(port, tls=tls, ca_file=ca_file if trusted else None)
        attempt = Smtp(own).send(letter("ada@example.org"))
    assert attempt.fate is Fate.DOWN
    assert "certificate" in attempt.said
    assert post.seen == []


def test_where_starttls_was_stripped_neither_login_nor_letter_is_said() -> None:
    heard: list[bytes] = []

    def listening(caller: socket.socket) -> None:

        class Wire:
            def recv(self, size: int) -> bytes:
                found = caller.recv(size)
                heard.append(found)
                return found

            sendall = caller.sendall

        stripping(Wire())  # type: ignore[arg-type]

    with talker(listening) as port:
        own = plain(port, tls="starttls", user="me", password="canary-7711")
        attempt = Smtp(own).send(letter("ada@example.org"))
    assert (attempt.fate, attempt.said) == (Fate.DOWN, "STARTTLS extension not supported by server.")
    said = b"".join(heard).lower()
    assert said.startswith(b"ehlo example.org\r\n")
    assert b"auth" not in said
    assert b"mail from" not in said


def test_a_password_is_never_said_in_clear(post: Post) -> None:
    with mail_server(post) as port:
        attempt = Smtp(plain(port, user="me", password="canary-7711")).send(letter("ada@example.org"))
    assert (attempt.fate, attempt.said) == (Fate.DOWN, "a password is not sent in clear")


# folder, screen -----------------------------------------------------------------------------------


def test_a_folder_gets_whole_files_and_the_same_one_again(tmp_path: Path) -> None:
    folder, one = tmp_path / "out" / "box", letter("ada@example.org")
    out = FileDrop(folder)
    assert out.send(one).fate is Fate.SENT
    assert out.send(one).fate is Fate.SENT
    (path,) = folder.iterdir()
    assert path.name == f"{one.message_id.strip('<>')}.eml"
    assert path.read_bytes() == one.body
    assert path.stat().st_mode & 0o077 == 0
    out.close()


def test_a_folder_that_cannot_be_written_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    attempt = FileDrop(tmp_path / "taken").send(letter("ada@example.org"))
    assert attempt.fate is Fate.DOWN
    assert "taken" in attempt.said


def test_the_screen_shows_the_message() -> None:
    stream = io.BytesIO()
    out, one = Screen(stream), letter("ada@example.org")
    assert out.send(one).fate is Fate.SENT
    out.close()
    assert stream.getvalue() == one.body + b"\r\n"


# what is said about recipients --------------------------------------------------------------------


def test_no_address_is_logged(world: World, post: Post, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="tracker")
    post.rcpt = {
        "gone@example.org": "550 gone@example.org is gone",
        "busy@example.org": "451 busy@example.org",
    }
    world.store.queue_letters([letter(f"{name}@example.org") for name in ("ada", "gone", "busy")])
    told = world.drain()
    assert len([one for one in caplog.records if one.name.startswith("tracker")]) == 3
    assert "@" not in caplog.text.replace("@127.0.0.1", "")
    assert "@" not in told


def test_what_stops_everything_is_told_without_whom_it_was_about(world: World, post: Post) -> None:
    """The ledger, the log and alerts repeat it; a sender may be a recipient too."""
    post.mail = "550 <ada@example.org> may not send"
    world.store.queue_letters([letter("ada@example.org")])
    assert world.drain() == "1 down; sender: 550 <[address]> may not send"
    assert "ada@example.org" in world.one("ada@example.org").outcome


def test_what_a_server_says_is_kept_as_one_short_line(world: World, post: Post) -> None:
    post.rcpt = {"ada@example.org": "550 \x1b[31m" + "no " * 150}
    world.store.queue_letters([letter("ada@example.org")])
    world.drain()
    outcome = world.one("ada@example.org").outcome
    assert outcome.isprintable()
    assert len(outcome) <= 220
