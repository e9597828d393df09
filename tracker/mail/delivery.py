"""Letters out of the outbox: sent by SMTP, laid into a folder, or printed; and what becomes of each.

A letter is claimed, sent and settled, each durable before the next, so that whatever stops in between is sent again
with the same bytes and the same Message-ID: at least once, and a repeat can be told.
"""

from __future__ import annotations

import logging
import os
import re
import smtplib
import socket
import ssl
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Protocol

from storage.mailing import Channel, Letter, LetterState
from storage.store import Store
from tracker.config import Settings
from tracker.mail.links import recipient_hash, without_addresses

log = logging.getLogger(__name__)

TIMEOUT_S = 20.0  # of each step of a conversation
LIMIT_S = 55.0  # of a whole conversation: who answers a byte at a time does not keep us
SAID_AT_MOST = 200
PORTS = {"implicit": 465, "starttls": 587, "none": 25}
RETRY_AFTER = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=12),
    timedelta(hours=24),
)


class Fate(StrEnum):
    """What an attempt came to.

    ``refused``: the recipient's server says that there is no such address. ``rejected``: it does not want this
    message. ``later``: it may work another time. ``down``: nothing could be sent to anybody, for a reason that is
    not this letter's.
    """

    SENT = "sent"
    REFUSED = "refused"
    REJECTED = "rejected"
    LATER = "later"
    DOWN = "down"


@dataclass(frozen=True)
class Attempt:
    """What became of one attempt, and what was said. ``said`` may name the recipient: it is for the outbox only.
    ``wait``: for how long at least the other side wants to be left alone."""

    fate: Fate
    said: str
    wait: timedelta = timedelta(0)

    @property
    def outcome(self) -> str:
        """As it is kept."""
        plain = " ".join("".join(one if one.isprintable() else " " for one in self.said).split())
        return f"{self.fate.value}: {plain[:SAID_AT_MOST]}"


class Carrier(Protocol):
    """Takes one letter at a time. Never raises for what is wrong out there."""

    def send(self, letter: Letter) -> Attempt: ...

    def close(self) -> None: ...


# a folder, a screen -------------------------------------------------------------------------------


class FileDrop:
    """A folder of .eml files, each whole or not there; sent again it is the same file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, letter: Letter) -> Attempt:
        name = re.sub(r"[^A-Za-z0-9.@-]+", "-", letter.message_id.strip("<>")) + ".eml"
        path, partial = self._folder / name, self._folder / f".{name}.{os.getpid()}.partial"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            partial.touch(mode=0o600)
            with partial.open("wb") as file:
                file.write(letter.body)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            return Attempt(Fate.DOWN, f"{self._folder}: {error.strerror}")
        return Attempt(Fate.SENT, name)

    def close(self) -> None:
        """Nothing is held."""


class Screen:
    """Standard output, for a look."""

    def __init__(self, stream: BinaryIO | None = None) -> None:
        self._stream = stream or sys.stdout.buffer

    def send(self, letter: Letter) -> Attempt:
        try:
            self._stream.write(letter.body + b"\r\n")
            self._stream.flush()
        except OSError as error:
            return Attempt(Fate.DOWN, error.strerror or "cannot be written")
        return Attempt(Fate.SENT, "printed")

    def close(self) -> None:
        """It stays open for others."""


# SMTP ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SmtpSettings:
    """A server and how it is spoken to."""

    host: str
    port: int
    tls: str
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    timeout_s: float = TIMEOUT_S
    limit_s: float = LIMIT_S

    @classmethod
    def of(cls, settings: Settings) -> SmtpSettings:
        return cls(
            host=settings.smtp_host,
            port=settings.smtp_port or PORTS[settings.smtp_tls],
            tls=settings.smtp_tls,
            sender=settings.mail_from,
            user=settings.smtp_user,
            password=settings.secret_of("smtp_password") or "",
            ca_file=settings.smtp_ca_file,
        )


class Smtp:
    """A conversation with one server, kept up from letter to letter and begun anew when it breaks."""

    def __init__(self, settings: SmtpSettings) -> None:
        self._settings = settings
        self._talk: smtplib.SMTP | None = None
        self._pending: smtplib.SMTP | None = None

    def send(self, letter: Letter) -> Attempt:
        with self._limited():
            begun = self._begin()
            return begun or self._deliver(letter)

    def probe(self) -> Attempt:
        """Greet the server, up to and with the login, and send nothing."""
        with self._limited():
            begun = self._begin()
            self.close()
            return begun or Attempt(Fate.SENT, "greeted")

    def close(self) -> None:
        if self._talk is None:
            return
        with self._limited(), suppress(OSError, smtplib.SMTPException):
            self._talk.quit()
        self._hang_up()

    def _begin(self) -> Attempt | None:
        """Have a conversation under way; what prevents it otherwise."""
        if self._talk is not None:
            if self._alive(self._talk):
                return None
            self.close()
        try:
            self._talk = self._connect()
        except ssl.SSLCertVerificationError as error:
            return Attempt(Fate.DOWN, f"the server's certificate is not good: {error.verify_message}")
        except smtplib.SMTPAuthenticationError as error:
            return Attempt(Fate.DOWN, f"the server does not accept the login ({error.smtp_code})")
        except smtplib.SMTPNotSupportedError as error:
            return Attempt(Fate.DOWN, str(error))
        except (OSError, smtplib.SMTPException, ValueError) as error:
            return Attempt(Fate.DOWN, f"no conversation with {self._settings.host}: {_why(error)}")
        return None

    @staticmethod
    def _alive(talk: smtplib.SMTP) -> bool:
        try:
            return talk.rset()[0] == 250
        except (OSError, smtplib.SMTPException):
            return False

    def _connect(self) -> smtplib.SMTP:
        own = self._settings
        name = own.sender.rpartition("@")[
            2
        ]  # not this machine's: that is nobody's business, and takes a look-up
        talk: smtplib.SMTP
        if own.tls == "implicit":
            talk = smtplib.SMTP_SSL(local_hostname=name, timeout=own.timeout_s, context=self._verifying())
        else:
            talk = smtplib.SMTP(local_hostname=name, timeout=own.timeout_s)
        self._pending = talk
        try:
            self._greet(talk)
        except BaseException:
            talk.close()
            raise
        return talk

    def _verifying(self) -> ssl.SSLContext:
        """TLS 1.2 or newer with a server that proves its name."""
        known = self._settings.ca_file
        context = ssl.create_default_context(cafile=None if known is None else str(known))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def _greet(self, talk: smtplib.SMTP) -> None:
        """From the first word to the login, which is only said under TLS."""
        own = self._settings
        host = own.host.strip("[]")
        talk._host = host  # type: ignore[attr-defined]  # the name that the certificate must bear
        code, said = talk.connect(host, own.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, said)
        talk.ehlo_or_helo_if_needed()
        if own.tls == "starttls":
            talk.starttls(context=self._verifying())
            talk.ehlo_or_helo_if_needed()
        if not own.user:
            return
        if own.tls == "none":
            raise smtplib.SMTPNotSupportedError("a password is not sent in clear")
        talk.login(own.user, own.password)

    def _deliver(self, letter: Letter) -> Attempt:
        talk = self._talk
        assert talk is not None
        try:
            talk.sendmail(self._settings.sender, [letter.address], letter.body)
        except smtplib.SMTPRecipientsRefused as error:
            code, reply = error.recipients[letter.address]
            return Attempt(Fate.REFUSED if 500 <= code < 600 else Fate.LATER, _reply(code, reply))
        except smtplib.SMTPSenderRefused as error:
            too_large = error.smtp_code == 552
            said = _reply(error.smtp_code, error.smtp_error)
            return Attempt(Fate.REJECTED, said) if too_large else Attempt(Fate.DOWN, f"sender: {said}")
        except smtplib.SMTPDataError as error:
            fate = Fate.REJECTED if 500 <= error.smtp_code < 600 else Fate.LATER
            return Attempt(fate, _reply(error.smtp_code, error.smtp_error))
        except (OSError, smtplib.SMTPException) as error:
            self._hang_up()
            return Attempt(Fate.LATER, f"the conversation broke off: {_why(error)}")
        return Attempt(Fate.SENT, "250")

    def _hang_up(self) -> None:
        talk, self._talk = self._talk, None
        if talk is not None:
            talk.close()

    @contextmanager
    def _limited(self) -> Iterator[None]:
        """A conversation that takes longer than its limit is cut from another thread."""
        self._pending = self._talk
        cutter = threading.Timer(self._settings.limit_s, self._cut)
        cutter.daemon = True
        cutter.start()
        try:
            yield
        finally:
            cutter.cancel()

    def _cut(self) -> None:
        sock = getattr(self._pending, "sock", None)
        if isinstance(sock, socket.socket):
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _reply(code: int, said: bytes | str) -> str:
    return f"{code} {said.decode('utf-8', 'replace') if isinstance(said, bytes) else said}"


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, smtplib.SMTPResponseException):
        return _reply(error.smtp_code, error.smtp_error)
    return str(error) or type(error).__name__


def carrier_of(settings: Settings, *, aside: bool = False) -> Carrier | None:
    """How mail leaves here; None when nothing is set. ``aside``: stdout is taken, a screen is stderr."""
    if settings.mail_drop == "-":
        return Screen(sys.stderr.buffer if aside else None)
    if settings.mail_drop:
        return FileDrop(Path(settings.mail_drop).expanduser())
    return Smtp(SmtpSettings.of(settings)) if settings.smtp_host else None


# the outbox ---------------------------------------------------------------------------------------


@dataclass
class Drained:
    """What became of the letters whose time had come. ``trouble``: why nothing more was tried."""

    counts: Counter[str] = field(default_factory=Counter)
    trouble: str = ""

    def __str__(self) -> str:
        told = [f"{number} {what}" for what, number in sorted(self.counts.items())]
        return "; ".join([", ".join(told) or "nothing to send", *([self.trouble] if self.trouble else [])])


def next_try(attempts: int, at: datetime) -> datetime:
    """When a letter that has been tried so often goes again: after 1, 5, 30 minutes, 2, 6, 12, 24 hours, then daily."""
    return at + RETRY_AFTER[min(attempts, len(RETRY_AFTER)) - 1]


def drain(
    store: Store,
    channel: Channel,
    carrier: Carrier,
    now: Callable[[], datetime],
    stop: threading.Event,
    *,
    welcome: Callable[[Letter], str] = lambda _: "",
    refused: Callable[[Letter], object] = lambda _: None,
) -> Drained:
    """Send what is due, one letter after the other, until nothing is or ``stop`` is set. For the leader alone.

    ``welcome`` says why a letter is not to be sent any more, ``refused`` hears of an address that does not exist.
    """
    done = Drained()
    at = now()
    store.move_letters(LetterState.SENDING, LetterState.QUEUED, at, channel=channel)
    done.counts["expired"] += store.move_letters(
        LetterState.QUEUED, LetterState.EXPIRED, at, channel=channel, expired=True
    )
    broken = 0
    while not stop.is_set() and not done.trouble:
        letter = store.claim_letter(channel, now())
        if letter is None:
            break
        unwelcome = welcome(letter)
        if unwelcome:
            store.settle_letter(letter.key, LetterState.DEAD, now(), f"not sent: {unwelcome}")
            done.counts["not sent"] += 1
            continue
        attempt = carrier.send(letter)
        state = settle(store, letter, attempt, now())
        done.counts[attempt.fate.value if state is LetterState.QUEUED else state.value] += 1
        log.info("letter %s (%s): %s", _named(letter), letter.kind, attempt.fate.value)
        if attempt.fate is Fate.REFUSED:
            refused(letter)
        broken = broken + 1 if attempt.fate is Fate.LATER and "broke off" in attempt.said else 0
        if attempt.fate is Fate.DOWN:
            done.trouble = without_addresses(attempt.said)
        elif broken >= 3:
            done.trouble = "the server broke off three times running"
    done.counts = +done.counts
    return done


def _named(letter: Letter) -> str:
    """A letter in logs: its recipient's hash."""
    return recipient_hash(letter.address)


def settle(store: Store, letter: Letter, attempt: Attempt, at: datetime) -> LetterState:
    """Write down an attempt: sent, dead, to be tried again, or out of time."""
    if attempt.fate is Fate.SENT:
        state, again = LetterState.SENT, None
    elif attempt.fate in (Fate.REFUSED, Fate.REJECTED):
        state, again = LetterState.DEAD, None
    else:
        state, again = LetterState.QUEUED, max(next_try(letter.attempts, at), at + attempt.wait)
        if again >= letter.expires_at:
            state = LetterState.EXPIRED
    return store.settle_letter(letter.key, state, at, attempt.outcome, again).state
