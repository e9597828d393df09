"""Links that only we can have made, to unsubscribe and to confirm; and what an address is called in public.

A token is the address' hash and a MAC under ``SPEEDUP_MAIL_SECRET`` of what it allows; the address is not in it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import datetime

from questions.time import to_micros

HASH_LENGTH = 16
TOKEN_LENGTH = 64
UNSUBSCRIBE_PATH, CONFIRM_PATH = "/unsubscribe/", "/confirm/"
_ADDRESS = re.compile(
    r"(?<![\w.!#$%&'*+/=?^`{|}~@:-])[\w.!#$%&'*+/=?^`{|}~-]+@[\w.-]*\w"
)  # but none inside a URL


def recipient_hash(address: str) -> str:
    """What an address is called in keys, Message-IDs and logs: 16 hex digits of its SHA-256.

    >>> recipient_hash("ada@example.org") == recipient_hash("Ada@Example.org")
    True
    """
    return hashlib.sha256(address.casefold().encode()).hexdigest()[:HASH_LENGTH]


def without_addresses(text: str) -> str:
    """A text for logs and the ledger: what servers say may name whom they were asked for.

    >>> without_addresses("550 <ada.l@example.org>: no such user; postgresql://me@db.example/speedup")
    '550 <[address]>: no such user; postgresql://me@db.example/speedup'
    """
    return _ADDRESS.sub("[address]", text)


def unsubscribe_token(secret: str, address: str) -> str:
    """Good for as long as the secret is."""
    return _token(secret, "unsubscribe", address)


def confirm_token(secret: str, address: str, asked_at: datetime) -> str:
    """Good for the one time that an address was asked."""
    return _token(secret, f"confirm {to_micros(asked_at)}", address)


def _token(secret: str, purpose: str, address: str) -> str:
    said = f"speedup {purpose}\n{address.casefold()}"
    mac = hmac.new(secret.encode(), said.encode(), hashlib.sha256).hexdigest()
    return recipient_hash(address) + mac[: TOKEN_LENGTH - HASH_LENGTH]


def same_token(one: str, other: str) -> bool:
    """Compared in a time that tells nothing of where they differ."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def meant(token: str, addresses: Iterable[str]) -> list[str]:
    """The addresses that a token may be about."""
    return [address for address in addresses if recipient_hash(address) == token[:HASH_LENGTH]]
