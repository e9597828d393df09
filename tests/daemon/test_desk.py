"""Links in mails: what a person, a mail program, a link scanner and a stranger get."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from storage import open_store
from storage.mailing import Recipient, RecipientState
from storage.store import Store
from tracker.config import Settings
from tracker.daemon.desk import Desk
from tracker.daemon.web import LONGEST_BODY, Pages, WebServer
from tracker.mail.message import Sender
from tracker.mail.recipients import standing

T0 = datetime(2026, 11, 23, 7, tzinfo=UTC)
ADA, EVE = "ada@example.org", "eve@example.org"
ONE_CLICK = b"List-Unsubscribe=One-Click"
PUBLIC = "t.example.org"


class Site:
    """A daemon's pages, reached from outside through a proxy that keeps the Host."""

    def __init__(self, folder: Path, **more: Any) -> None:
        told: dict[str, Any] = {"mail_from": "tracker@example.org", "mail_to": (ADA,)}
        told |= {"mail_base_url": f"https://{PUBLIC}", "mail_secret": SecretStr("s" * 20)}
        self.settings = Settings(**(told | more))
        self.url = f"sqlite:///{folder / 'db'}"
        self.store: Store = open_store(self.url)
        desk = Desk(self.settings, lambda: open_store(self.url), lambda: T0 + timedelta(hours=1))
        pages = Pages(list, lambda: "{}", lambda: "", desk)
        self.server = WebServer("127.0.0.1:0", pages)
        self.sender = Sender.of(self.settings)

    def ask(self, url: str, method: str = "GET", host: str = PUBLIC, body: bytes = b"") -> tuple[int, str]:
        path = re.sub(r"^https?://[^/]+", "", url)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        try:
            connection.request(method, path, body or None, {"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def state(self, address: str) -> RecipientState | None:
        known = standing(self.store, self.settings, address)
        return None if known is None else known.state


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    with made.server:
        yield made
    made.store.close()


def test_a_mail_program_unsubscribes_with_one_post(site: Site) -> None:
    url = site.sender.unsubscribe_url(ADA)
    code, text = site.ask(url, "POST", body=ONE_CLICK)
    assert code == 200
    assert "no more mail" in text
    assert site.state(ADA) is RecipientState.UNSUBSCRIBED
    assert site.ask(url, "POST", body=ONE_CLICK)[0] == 200
    (record,) = site.store.recipient_history(ADA)
    assert (record.reason, record.at) == ("link", T0 + timedelta(hours=1))


def test_a_program_that_follows_links_changes_nothing_and_a_person_gets_a_button(site: Site) -> None:
    url = site.sender.unsubscribe_url(ADA)
    for method in ("GET", "HEAD", "GET"):
        code, text = site.ask(url, method)
        assert code == 200
    assert '<form method="post"><button type="submit">' in text
    assert site.state(ADA) is RecipientState.CONFIRMED
    assert ADA not in text


def test_one_who_was_asked_says_yes_once(site: Site) -> None:
    site.store.add_recipient(Recipient(EVE, T0, RecipientState.PENDING, {"frequency": "monthly"}))
    url = site.sender.confirm_url(EVE, T0)
    assert '<form method="post">' in site.ask(url)[1]
    assert site.state(EVE) is RecipientState.PENDING
    assert site.ask(url, "POST")[0] == 200
    assert site.state(EVE) is RecipientState.CONFIRMED
    known = standing(site.store, site.settings, EVE)
    assert known is not None
    assert known.options == {"frequency": "monthly"}
    site.ask(site.sender.unsubscribe_url(EVE), "POST")
    assert site.ask(url, "POST")[0] == 404, "an old yes does not undo a later no"
    assert site.state(EVE) is RecipientState.UNSUBSCRIBED


def test_a_yes_to_an_earlier_question_is_none_to_this_one(site: Site) -> None:
    site.store.add_recipient(Recipient(EVE, T0, RecipientState.PENDING))
    assert site.ask(site.sender.confirm_url(EVE, T0 - timedelta(days=1)), "POST")[0] == 404
    assert site.state(EVE) is RecipientState.PENDING


def test_every_token_that_is_not_good_gets_the_same_answer(site: Site) -> None:
    good = site.sender.unsubscribe_url(ADA)
    other = Sender("tracker@example.org", f"https://{PUBLIC}", "t" * 20)
    bad = [
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        other.unsubscribe_url(ADA),
        site.sender.unsubscribe_url("stranger@example.org"),
        good.replace("unsubscribe", "confirm"),
        good + "0",
        good + "/..",
        good[:-1],
        f"https://{PUBLIC}/unsubscribe/" + "g" * 64,
        f"https://{PUBLIC}/unsubscribe/",
    ]
    answers = {site.ask(url, method) for url in bad for method in ("GET", "POST")}
    assert [code for code, _ in answers] == [404]
    assert site.state(ADA) is RecipientState.CONFIRMED


def test_only_links_are_reached_from_outside_and_posted_to(site: Site) -> None:
    url = site.sender.unsubscribe_url(ADA)
    assert site.ask("/status.json")[0] == 421
    assert site.ask("/status.json", "POST")[0] == 501
    assert site.ask("/status.json", host="localhost")[0] == 200
    assert site.ask(url, "POST", host="evil.example")[0] == 421
    assert site.ask(url, "PUT")[0] == 501
    assert site.ask(url, "POST", body=b"x" * (LONGEST_BODY + 1))[0] == 413
    assert site.state(ADA) is RecipientState.CONFIRMED
    assert site.ask(url, "POST", host="localhost:8321")[0] == 200


def test_without_a_base_there_are_no_links(tmp_path: Path) -> None:
    made = Site(tmp_path, mail_base_url="")
    with made.server:
        assert made.ask("/unsubscribe/" + "0" * 64, "POST", host="localhost")[0] == 501
        assert made.ask("/unsubscribe/" + "0" * 64, host="localhost")[0] == 404
        assert made.ask("/unsubscribe/" + "0" * 64, host="")[0] == 421
    made.store.close()


def test_a_base_below_a_path_is_served_with_and_without_it(tmp_path: Path) -> None:
    made = Site(tmp_path, mail_base_url=f"https://{PUBLIC}/mail")
    url = made.sender.unsubscribe_url(ADA)
    assert url.startswith(f"https://{PUBLIC}/mail/unsubscribe/")
    with made.server:
        assert made.ask(url)[0] == 200
        assert made.ask(url.replace("/mail/", "/"), "POST")[0] == 200
    assert made.state(ADA) is RecipientState.UNSUBSCRIBED
    made.store.close()


def test_a_database_that_cannot_be_written_says_try_again(site: Site, tmp_path: Path) -> None:
    site.url = f"sqlite:///{tmp_path}"
    code, text = site.ask(site.sender.unsubscribe_url(ADA), "POST")
    assert (code, text) == (503, "this cannot be written down now; please try again later\n")
