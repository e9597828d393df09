"""Manifold's write API as documented, on a LocalServer: accounts with mana, strict fields, ids given out once.

    with LocalServer() as server:
        manifold = Manifold(server)
        manifold.accounts["key"] = Owner("u1", "maker", 1000)
        manifold.faults.append(Fault(after=stall()))    # the next POST is accepted and its answer lost

Rules: manifoldmarkets/manifold @1e3ad3be, common/src/api/market-types.ts, common/src/tier.ts, backend/api/src/
create-market.ts, docs/docs/api.md. Written from those, not from the code under test.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.servers.local import Answer, LocalServer, Seen, json_reply

COMMON = {
    "outcomeType", "question", "description", "descriptionHtml", "descriptionMarkdown", "descriptionJson",
    "closeTime", "groupIds", "visibility", "extraLiquidity", "liquidityTier", "idempotencyKey", "utcOffset",
}  # fmt: skip
OWN = {
    "BINARY": {"initialProb"},
    "PSEUDO_NUMERIC": {"min", "max", "initialValue", "isLogScale"},
    "MULTIPLE_CHOICE": {"answers", "addAnswersMode", "shouldAnswersSumToOne"},
    "MULTI_NUMERIC": {"answers", "midpoints", "shouldAnswersSumToOne", "addAnswersMode", "unit"},
    "DATE": {"answers", "midpoints", "shouldAnswersSumToOne", "addAnswersMode", "timezone"},
}
NEEDED = {
    "BINARY": set(),
    "PSEUDO_NUMERIC": {"min", "max", "initialValue"},
    "MULTIPLE_CHOICE": {"answers"},
    "MULTI_NUMERIC": {"answers", "midpoints", "shouldAnswersSumToOne", "unit"},
    "DATE": {"answers", "midpoints", "shouldAnswersSumToOne", "timezone"},
}
PER_ANSWER = {100: 25, 1_000: 100, 10_000: 1_000, 100_000: 10_000}


@dataclass
class Owner:
    id: str
    username: str
    balance: float


@dataclass(frozen=True)
class Fault:
    """What happens to one POST: answered so instead of being taken, or after it was."""

    instead: Answer | None = None
    after: Answer | None = None
    hidden_for: int = 0


class RefusedError(Exception):
    def __init__(self, status: int, message: str, **more: Any) -> None:
        self.status, self.body = status, {"message": message, **more}
        super().__init__(message)


@dataclass
class Manifold:
    server: LocalServer
    now_ms: Callable[[], int]
    accounts: dict[str, Owner] = field(default_factory=dict)
    markets: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    before_post: Callable[[], None] = lambda: None
    ignores_keys: bool = False
    hidden: int = 0

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.server.route_others(self.answer)

    @property
    def posts(self) -> list[dict[str, Any]]:
        """The documents that were posted, oldest first."""
        return [json.loads(seen.body) for seen in self.server.requests if seen.method == "POST"]

    def answer(self, seen: Seen) -> Answer:
        try:
            return self._answer(seen)
        except RefusedError as error:
            return json_reply(error.body, error.status)

    def _answer(self, seen: Seen) -> Answer:
        if (seen.method, seen.path) == ("POST", "/v0/market"):
            self.before_post()
            with self.lock:
                return self._post(seen)
        if seen.path == "/v0/me":
            owner = self._owner(seen)
            return json_reply(vars(owner) | {"name": owner.username, "createdTime": 1})
        if seen.path == "/v0/markets":
            query = dict(seen.query)
            if set(query) - {"limit", "before", "sort", "order", "userId", "groupId"}:
                raise RefusedError(400, "Error validating request.")
            found = [
                m for m in self.markets.values() if m["creatorId"] == query.get("userId", m["creatorId"])
            ]
            return json_reply([] if self._hides() else [self._lite(market) for market in reversed(found)])
        if seen.path == "/v0/bets":
            return json_reply([])
        market = self.markets.get(seen.path.removeprefix("/v0/market/"))
        if market is None or self._hides():
            raise RefusedError(404, "Contract not found")
        return json_reply(market)

    def _hides(self) -> bool:
        """Whether what was just made does not show yet; every look brings the end of that nearer."""
        hides = self.hidden > 0
        self.hidden -= hides
        return hides

    def _owner(self, seen: Seen) -> Owner:
        scheme, _, key = seen.headers.get("authorization", "").partition(" ")
        if scheme != "Key" or key not in self.accounts:
            raise RefusedError(401, "Missing or invalid authorization header.")
        return self.accounts[key]

    def _post(self, seen: Seen) -> Answer:
        fault = self.faults.pop(0) if self.faults else Fault()
        if fault.instead is not None:
            return fault.instead
        owner = self._owner(seen)
        made = self.create(owner, json.loads(seen.body))
        self.hidden = fault.hidden_for
        return fault.after or json_reply(self._lite(made))

    def create(self, owner: Owner, body: dict[str, Any]) -> dict[str, Any]:
        """Make a market as the service would, or raise what it would say."""
        self._check(body)
        given = None if self.ignores_keys else body.get("idempotencyKey")
        if given in self.markets:
            raise RefusedError(400, f"Contract already exists at {self.markets[given]['url']}")
        tier, kind, answers = body["liquidityTier"], body["outcomeType"], body.get("answers", [])
        cost = max(len(answers) * PER_ANSWER[tier], tier) if kind in OWN and answers else tier
        cost += body.get("extraLiquidity", 0)
        if owner.balance < cost:
            raise RefusedError(403, f"Balance must be at least {cost}.")
        owner.balance -= cost
        ref = given or f"random{len(self.markets):04d}"
        slug = re.sub(r"[^a-z0-9]+", "-", body["question"].lower())[:35].strip("-")
        market = {
            "id": ref,
            "creatorId": owner.id,
            "creatorUsername": owner.username,
            "createdTime": self.now_ms(),
            "closeTime": body["closeTime"],
            "question": body["question"],
            "slug": slug,
            "url": f"https://manifold.markets/{owner.username}/{slug}",
            "outcomeType": kind,
            "mechanism": "cpmm-multi-1" if answers else "cpmm-1",
            "totalLiquidity": cost,
            "volume": 0,
            "uniqueBettorCount": 0,
            "isResolved": False,
            "token": "MANA",
            "textDescription": plain(body.get("descriptionMarkdown", "")),
        }
        if kind in ("BINARY", "PSEUDO_NUMERIC"):
            market |= {"probability": 0.5, "pool": {"YES": 100, "NO": 100}, "p": 0.5}
            market |= {name: body[name] for name in ("min", "max", "isLogScale") if name in body}
        else:
            exclusive = body.get("shouldAnswersSumToOne", True)
            points = body.get("midpoints", [None] * len(answers))
            market["shouldAnswersSumToOne"] = exclusive
            market["answers"] = [
                {"id": f"{ref}a{n}", "index": n, "text": text, "isOther": False}
                | {"probability": 1 / len(answers) if exclusive else 0.5}
                | ({} if point is None else {"midpoint": point})
                for n, (text, point) in enumerate(zip(answers, points, strict=True))
            ]
        self.markets[ref] = market
        return market

    def _check(self, body: dict[str, Any]) -> None:
        kind = body.get("outcomeType", "")
        if kind not in OWN:
            raise self._invalid("outcomeType", "Invalid enum value.")
        for name in sorted(set(body) - COMMON - OWN[kind]):
            raise self._invalid(name, "Unrecognized key.")
        for name in sorted({"question", "liquidityTier"} | NEEDED[kind] - set(body)):
            if name not in body:
                raise self._invalid(name, "Required")
        if not 1 <= len(body["question"]) <= 120:
            raise self._invalid("question", "String must contain at most 120 character(s)")
        if body["liquidityTier"] not in PER_ANSWER:
            raise self._invalid("liquidityTier", "Invalid tier")
        if type(body.get("closeTime")) is not int or body["closeTime"] <= self.now_ms():
            raise self._invalid("closeTime", "Close time must be in the future.")
        if "idempotencyKey" in body and re.fullmatch("[0-9A-Za-z]{10}", body["idempotencyKey"]) is None:
            raise self._invalid("idempotencyKey", "Invalid")
        if len(body.get("descriptionMarkdown", "")) > 16_000:
            raise self._invalid("descriptionMarkdown", "Too long")
        answers = body.get("answers", [])
        most = 100 if kind == "MULTIPLE_CHOICE" else 12
        if len(answers) > most or not all(isinstance(text, str) and text.strip() for text in answers):
            raise self._invalid("answers", f"at most {most} texts")
        if "answers" in OWN[kind] and len(answers) < 2:
            raise RefusedError(400, "Multiple choice markets must have at least 2 answers.")
        if len(body.get("midpoints", answers)) != len(answers):
            raise self._invalid("midpoints", "one per answer")
        if kind == "PSEUDO_NUMERIC":
            self._check_range(body)

    def _check_range(self, body: dict[str, Any]) -> None:
        low, high, start = body["min"], body["max"], body["initialValue"]
        if high - low <= 0.01:
            raise RefusedError(400, "Max must be greater than min by more than 0.01")
        if not low < start < high:
            raise RefusedError(400, "Invalid range.")

    def _invalid(self, name: str, why: str) -> RefusedError:
        return RefusedError(400, "Error validating request.", details=[{"field": name, "error": why}])

    def _lite(self, market: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in market.items() if name not in ("answers", "textDescription")}


def plain(markdown: str) -> str:
    """The text of a document without its marks, roughly as a reader sees it."""
    lines = (re.sub(r"^(#+|-) +", "", line) for line in markdown.split("\n"))
    return re.sub(r"\\(\W|_)", r"\1", "\n".join(lines).replace("**", ""))
