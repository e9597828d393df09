"""A Manifold of our own: bets in memory, and ``/v0/bets`` as the platform answers it, strictness and ties included.

Bets of one millisecond come in any order, another one at every call: the platform sorts by time alone.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.servers.local import Answer, Seen, json_reply

MARKET = "exMkt0001AbC"
CREATED = 1785229200000  # 2026-07-28T09:00Z, as in the document's binary market
KNOWN = {"contractId", "limit", "order", "afterTime", "includeZeroShareRedemptions"}

Bet = dict[str, Any]


def bet(number: int, made: int, before: float, after: float, **more: Any) -> Bet:
    """A bet that was filled by the market maker; ``more`` replaces and adds keys."""
    fill = {"matchedBetId": None, "amount": 10, "shares": 20, "timestamp": made}
    return {
        "id": f"exBet{number:06d}",
        "contractId": MARKET,
        "userId": "exUser0002",
        "createdTime": made,
        "amount": 10,
        "shares": 20,
        "outcome": "YES",
        "probBefore": before,
        "probAfter": after,
        "isFilled": True,
        "isCancelled": False,
        "isRedemption": False,
        "fills": [fill],
        **more,
    }


def path_of(prices: Sequence[float], start: int = CREATED + 60_000, every: int = 1000) -> list[Bet]:
    """One bet after the other, each from the price the last one left; the first from 0.5."""
    made = [start + number * every for number in range(len(prices))]
    befores = (0.5, *prices[:-1])
    return [
        bet(number, at, before, after)
        for number, (at, before, after) in enumerate(zip(made, befores, prices, strict=True))
    ]


@dataclass
class Bets:
    """The bets of a platform; ``answer`` serves them, ``page`` gives the rows of one call."""

    rows: list[Bet]
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    most: int = 10_000

    def page(self, params: Mapping[str, str]) -> list[Bet]:
        found = [
            row
            for row in self.rows
            if row["contractId"] == params["contractId"] and row["createdTime"] > int(params["afterTime"])
        ]
        if params.get("includeZeroShareRedemptions") != "true":
            found = [row for row in found if row["shares"] or not row["isRedemption"]]
        self.chance.shuffle(found)
        found.sort(key=lambda row: row["createdTime"], reverse=params.get("order") != "asc")
        return found[: min(int(params["limit"]), self.most)]

    def answer(self, seen: Seen) -> Answer:
        params = dict(seen.query)
        unknown = sorted(set(params) - KNOWN)
        if seen.path != "/v0/bets" or unknown:
            return json_reply({"message": "Error validating request.", "details": unknown}, 400)
        return json_reply(self.page(params))
