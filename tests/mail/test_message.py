"""A message as it goes over the wire: its parts, its headers, and what a hostile title cannot do to them."""

from __future__ import annotations

import email.policy
import re
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage

import pytest
from hypothesis import given, strategies as st

from storage.mailing import Letter
from tracker.mail.content import UNSUBSCRIBE, InlineImage, MailContent
from tracker.mail.links import recipient_hash, unsubscribe_token
from tracker.mail.message import LONGEST_HEADER, Mailing, Sender, body_text, header_text

T0 = datetime(2026, 11, 23, 7, tzinfo=UTC)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 3
SENDER = Sender("tracker@example.org", "https://t.example.org/mail", "a secret of some length")
NAMES = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "List-Id",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Auto-Submitted",
    "X-Tracker-Reason",
    "MIME-Version",
    "Content-Type",
]
CONTENT = MailContent(
    "W47: coding passed proofs; 3 moved > 5 pts",
    f"Who is first: Büro\nStop: {UNSUBSCRIBE}\n",
    f'<p>Who is first: Büro <img src="cid:order" alt="1"></p><a href="{UNSUBSCRIBE}">stop</a>',
    (InlineImage("order", "order.png", PNG, "1"), InlineImage("fan", "fan.png", PNG[::-1], "2")),
)


def mailing(content: MailContent = CONTENT, sender: Sender = SENDER) -> Mailing:
    week = timedelta(days=7)
    return Mailing(content, sender, "digest:2026-W47", "digest", "2026-W47", "weekly", T0, T0 + week)


def read(letter: Letter) -> EmailMessage:
    found = message_from_bytes(letter.body, policy=email.policy.SMTP)
    assert isinstance(found, EmailMessage)
    assert [part.defects for part in found.walk()] == [[] for _ in found.walk()]
    return found


def text_of(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert isinstance(part, EmailMessage)
    return str(part.get_content())


# its parts ----------------------------------------------------------------------------------------


def test_a_message_is_plain_text_or_html_with_its_pictures() -> None:
    message = read(mailing().letter("ada@example.org"))
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds == [
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "image/png",
    ]
    pictures = [part for part in message.walk() if part.get_content_type() == "image/png"]
    assert [part["Content-ID"] for part in pictures] == ["<order>", "<fan>"]
    assert [part.get_payload(decode=True) for part in pictures] == [PNG, PNG[::-1]]
    assert [part.get_filename() for part in pictures] == ["order.png", "fan.png"]
    link = SENDER.unsubscribe_url("ada@example.org")
    assert text_of(message, "plain") == CONTENT.text.replace(UNSUBSCRIBE, link).replace("\n", "\r\n")
    html = CONTENT.html.replace(UNSUBSCRIBE, link)
    assert text_of(message, "html").rstrip() == html


def test_without_pictures_there_is_no_part_for_them() -> None:
    message = read(mailing(replace(CONTENT, images=())).letter("ada@example.org"))
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]


def test_the_headers_are_these_and_no_others() -> None:
    letter = mailing().letter("ada@example.org")
    message = read(letter)
    assert message.keys() == NAMES
    token = unsubscribe_token(SENDER.secret, "ada@example.org")
    assert message["From"] == "Speedup Tracker <tracker@example.org>"
    assert message["To"] == "ada@example.org"
    assert message["Subject"] == CONTENT.subject
    assert message["Date"].datetime == T0
    hashed = recipient_hash("ada@example.org")
    assert message["Message-ID"] == letter.message_id == f"<digest.2026-W47.{hashed}@example.org>"
    assert letter.key == f"digest:2026-W47:{hashed}"
    assert message["List-Id"] == "Speedup Tracker <digest.speedup-tracker.example.org>"
    assert message["List-Unsubscribe"] == (
        f"<https://t.example.org/mail/unsubscribe/{token}>, <mailto:tracker@example.org?subject=unsubscribe>"
    )
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Tracker-Reason"] == "weekly"


def test_who_is_not_reached_by_http_is_written_to() -> None:
    message = read(mailing(sender=Sender("tracker@example.org")).letter("ada@example.org"))
    assert message["List-Unsubscribe"] == "<mailto:tracker@example.org?subject=unsubscribe>"
    assert "List-Unsubscribe-Post" not in message
    assert "Stop: mailto:tracker@example.org?subject=unsubscribe" in text_of(message, "plain")


def test_one_click_is_promised_over_https_only() -> None:
    message = read(
        mailing(sender=replace(SENDER, base_url="http://127.0.0.1:8321")).letter("ada@example.org")
    )
    assert "http://127.0.0.1:8321/unsubscribe/" in message["List-Unsubscribe"]
    assert "List-Unsubscribe-Post" not in message


def test_the_same_things_give_the_same_bytes_and_other_things_others() -> None:
    one = mailing().letter("ada@example.org")
    assert mailing().letter("ada@example.org") == one
    assert one.body != mailing().letter("bob@example.org").body
    assert one.shared == mailing().letter("bob@example.org").shared
    assert len(one.own) >= 3
    assert sum(len(piece) for _, piece in one.own) < 1500


def test_on_the_wire_there_are_lines_of_78_at_most_and_no_bare_line_end() -> None:
    long = MailContent("x" * 300, "word " * 500 + "ü" * 500, "<p>" + "y" * 5000 + "</p>", CONTENT.images)
    body = mailing(long).letter("ada@example.org").body
    assert body.isascii()
    assert b"\0" not in body
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", body)
    longest = [line for line in body.split(b"\r\n") if len(line) > 78]
    assert all(line.startswith(b"List-Unsubscribe: <https://") for line in longest)


def test_a_link_of_ones_own_is_put_in_wherever_its_lines_break() -> None:
    """Every place where quoted-printable can break the link, and the marks of two links side by side."""
    for before in range(80):
        content = MailContent("s", f"{'é' * 3}{'x' * before}{UNSUBSCRIBE}0{UNSUBSCRIBE}\n", "<p>h</p>")
        letter = mailing(content).letter("ada@example.org")
        link = SENDER.unsubscribe_url("ada@example.org")
        assert text_of(read(letter), "plain") == content.text.replace(UNSUBSCRIBE, link).replace("\n", "\r\n")
        assert b"0" * 64 not in letter.body


# hostile text -------------------------------------------------------------------------------------

HOSTILE = [
    "Will it?\r\nBcc: eve@example.org",
    "Will it?\n\nbody of my own",
    "=?UTF-8?Q?=0ABcc:_eve@example.org?=",
    "=?utf-8?b?DQpCY2M6IGV2ZUBleGFtcGxlLm9yZw==?=",
    "x =?us-ascii?q?a?= =?us-ascii?q?b?= y",
    "==??utf-8?q?=0A??==",
    "=\u200b?utf-8?q?=0ABcc:_eve@example.org?\u200b=",
    "\u202egnp.exe\u202c",
    "a\u2028Bcc: eve@example.org\u2029b",
    "a\x00b\x1b[31mc\x85d\x9b",
    "zero\u200bwidth\ufeff\u2060",
    "half \ud800 of a pair",
    "t" * 10_000,
    "ü" * 10_000,
    "👩‍💻" * 100,
    "مرحبا بالعالم " * 20,
    '=cmd|" /C calc"!A0',
    "<script>alert(1)</script>",
    "javascript:alert(1)",
    "",
    " \t\r\n ",
    "a" * 119 + "é" + "\u0301" * 50,
]


@pytest.mark.parametrize("title", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_title_changes_no_header_but_its_own_text(title: str) -> None:
    letter = mailing(MailContent(title, title, title, CONTENT.images)).letter("ada@example.org")
    message = read(letter)
    assert message.keys() == NAMES
    assert message["To"] == "ada@example.org"
    shown = str(message["Subject"])
    assert shown == (header_text(title) or "Speedup Tracker")
    assert len(shown) <= LONGEST_HEADER
    assert text_of(message, "plain").rstrip("\r\n") == body_text(title).rstrip("\n").replace("\n", "\r\n")


@given(st.text(max_size=300))
def test_no_text_at_all_does(title: str) -> None:
    message = read(mailing(MailContent(title, title, title)).letter("ada@example.org"))
    assert message.keys() == NAMES
    assert str(message["Subject"]) == (header_text(title) or "Speedup Tracker")


@given(st.text())
def test_a_header_says_what_it_seems_to_say(text: str) -> None:
    shown = header_text(text)
    assert "=?" not in shown
    assert len(shown) <= LONGEST_HEADER
    assert shown == " ".join(shown.split())
    assert not [one for one in shown if unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp")]
    assert not [one for one in shown if unicodedata.bidirectional(one) in ("LRE", "RLE", "PDF", "LRO", "RLO")]
    assert not [one for one in shown if unicodedata.bidirectional(one) in ("LRI", "RLI", "FSI", "PDI")]
    assert header_text(shown) == shown


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=LONGEST_HEADER))
def test_a_harmless_text_stays_as_it_is(text: str) -> None:
    plain = " ".join(text.split()).replace("=?", "")
    assert header_text(plain) == plain.replace("=?", "= ?")


def test_a_long_text_is_cut_where_a_reader_would() -> None:
    assert header_text("x" * 121) == "x" * 119 + "…"
    accents = header_text("x" * 118 + "e" + "\u0301" * 10)
    assert accents == "x" * 118 + "…"
    family = header_text("x" * 117 + "👩\u200d👧\u200d👦 and more")
    assert family == "x" * 117 + "…"


def test_the_name_of_a_picture_cannot_be_a_header() -> None:
    picture = InlineImage("a\r\nX-Evil: 1", '"; name=x\r\nX-Evil: 1', PNG, "alt")
    message = read(mailing(replace(CONTENT, images=(picture,))).letter("ada@example.org"))
    assert not [part for part in message.walk() if "X-Evil" in part]


# links --------------------------------------------------------------------------------------------


def test_a_token_is_for_one_address_one_purpose_and_one_secret() -> None:
    one = unsubscribe_token("s" * 16, "ada@example.org")
    others = {
        unsubscribe_token("s" * 16, "bob@example.org"),
        unsubscribe_token("t" * 16, "ada@example.org"),
        SENDER.confirm_url("ada@example.org", T0)[-64:],
        SENDER.confirm_url("ada@example.org", T0 + timedelta(microseconds=1))[-64:],
    }
    assert len({one, *others}) == 5
    assert re.fullmatch("[0-9a-f]{64}", one)
    assert unsubscribe_token("s" * 16, "Ada@example.org") == one
