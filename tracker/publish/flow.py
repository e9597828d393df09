"""Making a market exactly once: look, write down the attempt, send, and after a lost answer look again.

What keeps it single, from the weakest to the strongest: a link in the catalogue; a look for the market by its id
and, for one made by hand, by its title among the account's own; a run in the ledger, claimed before sending, so
that of several processes one sends and a crash is seen; and the market's id itself, which is made from account
and version and which Manifold gives out once only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from questions.errors import TrackerError
from questions.time import EPOCH, iso
from storage.records import RawPayload, Run, RunState
from storage.store import Store
from tracker.errors import FetchError, ParseError
from tracker.http import HttpClient
from tracker.payload import MISSING, OK, plain, read_json, read_list, read_part
from tracker.publish.manifold import PATH, PLATFORM, Account, Market, Standing, market_id
from tracker.source import Request, SourceTraits

#: Refusals after which Manifold has surely made nothing.
REFUSED = frozenset({401, 403, 404, 413, 422, 429})
BAD_REQUEST = 400
LOOK_AGAIN_S = (0.0, 2.0, 6.0)
NEWEST_MARKETS = 1_000
CREATING_S = 45.0
CLAIM_LASTS = timedelta(hours=1)


class PublishError(TrackerError):
    """The market was not made, or nobody can tell; the message says which, and what to do."""


@dataclass(frozen=True)
class Desk:
    """Manifold as one account sees it. Every method raises FetchError or ParseError when it cannot be asked."""

    client: HttpClient
    traits: SourceTraits
    base_url: str
    key: str | None = field(repr=False)
    now: Callable[[], datetime]
    sleep: Callable[[float], None] = time.sleep

    def account(self) -> Account:
        """Whose key it is. PublishError when Manifold does not accept it."""
        raw = self._ask("me", "v0/me")
        if raw.status != OK:
            raise PublishError(f"Manifold does not accept SPEEDUP_MANIFOLD_KEY (HTTP {raw.status})")
        return read_json(Account, raw)

    def market(self, ref: str) -> Standing | None:
        """A market by its id; None when there is none."""
        raw = self._ask(ref, f"{PATH}/{ref}", accept_missing=True)
        if raw.status in MISSING:
            return None
        if raw.status != OK:
            raise ParseError(PLATFORM, ref, "status", f"HTTP {raw.status} is no answer")
        return read_json(Standing, raw)

    def titled(self, account: Account, title: str) -> list[str]:
        """The ids of the account's markets (its newest thousand) with exactly this title."""
        params = (("userId", account.id), ("limit", str(NEWEST_MARKETS)))
        raw = self._ask("markets", "v0/markets", params)
        if raw.status != OK:
            raise ParseError(PLATFORM, "markets", "status", f"HTTP {raw.status} is no answer")
        found = []
        for number, row in enumerate(read_list(raw)):
            market, _ = read_part(Standing, row, "markets", str(number))
            if market is not None and market.creator == account.id and market.title.strip() == title.strip():
                found.append(market.id)
        return found

    def create(self, document: Mapping[str, object], ref: str) -> Standing:
        """Send it, once. FetchError as ``HttpClient.send`` raises it; ParseError for an answer that is none."""
        request = Request(PLATFORM, ref, PATH, private=True)
        raw = self.client.send(
            request, self._traits(CREATING_S), document, base_url=self.base_url, secret=self.key, now=self.now
        )
        return read_json(Standing, raw)

    def _ask(
        self, ref: str, path: str, params: tuple[tuple[str, str], ...] = (), *, accept_missing: bool = False
    ) -> RawPayload:
        request = Request(PLATFORM, ref, path, params, private=True, accept_missing=accept_missing)
        raw = self.client.fetch(
            request, self._traits(), base_url=self.base_url, secret=self.key, now=self.now
        )
        assert isinstance(raw, RawPayload)  # nothing conditional was asked
        return raw

    def _traits(self, read_timeout_s: float | None = None) -> SourceTraits:
        keyed = replace(self.traits, secret="manifold_key", secret_prefix="Key ")  # noqa: S106 (no values)
        return keyed if read_timeout_s is None else replace(keyed, read_timeout_s=read_timeout_s)


@dataclass(frozen=True)
class Published:
    """A market that asks our question; ``created``: by this call."""

    market: Standing
    created: bool


def job_of(market: Market) -> str:
    """The ledger's name for publishing one version of a question."""
    return f"publish:{PLATFORM}:{market.question.id}@{market.question.version}"


def find(
    desk: Desk, account: Account, market: Market, as_sent: Callable[[Standing], Market]
) -> Standing | None:
    """The market of this version if there is one: by the id it was given, else by its title.

    ``as_sent``: what we would have sent when a market was made. PublishError when something else stands in
    its place, or when a market of the same title does not carry the question's mark.
    """
    ref = market_id(account.id, market.question)
    standing = desk.market(ref)
    if standing is not None:
        return _ours(standing, as_sent(standing), account)
    for other in desk.titled(account, market.question.title):
        standing = desk.market(other)
        if standing is None:
            continue
        if standing.asks(market.question):
            return _ours(standing, as_sent(standing), account)
        raise PublishError(
            f"the account has a market with this title already, {standing.url or standing.id}, which does not say "
            f"that it is this version of the question: add a [[link]] to it by hand, or rename it"
        )
    return None


def publish(
    desk: Desk,
    account: Account,
    market: Market,
    as_sent: Callable[[Standing], Market],
    store: Store,
) -> Published:
    """The market of this version, made now unless there is one. PublishError or FetchError when there is none."""
    found = find(desk, account, market, as_sent)
    if found is not None:
        _record(store, market, RunState.DONE, desk.now(), found.id)
        return Published(found, created=False)
    if account.balance is not None and account.balance < market.cost:
        raise PublishError(
            f"it costs {market.cost} mana and {account.username or account.id} has {account.balance:g}; "
            f"nothing was sent"
        )
    started = desk.now()
    if not store.begin_run(job_of(market), EPOCH, started):
        raise PublishError(_taken(store.runs(job_of(market))))
    ref = market_id(account.id, market.question)
    try:
        made = desk.create(market.to_send(ref), ref).id
    except (FetchError, ParseError) as error:
        failure = error
    else:
        _record(store, market, RunState.DONE, started, made, desk.now())
        return _shown(desk, account, market, as_sent, made)
    if isinstance(failure, FetchError) and (not failure.sent or failure.status in REFUSED):
        _record(store, market, RunState.FAILED, started, plain(str(failure)), desk.now())
        raise failure
    _record(store, market, RunState.FAILED, started, f"sent, answer lost: {plain(str(failure))}", desk.now())
    found = _look_again(desk, account, market, as_sent, failure)
    _record(store, market, RunState.DONE, started, found.id, desk.now())
    return Published(found, created=True)


def _shown(
    desk: Desk, account: Account, market: Market, as_sent: Callable[[Standing], Market], made: str
) -> Published:
    """What was made, as Manifold shows it: only the whole market tells the ids of its answers."""
    try:
        found = find(desk, account, market, as_sent)
    except (FetchError, ParseError) as error:
        raise PublishError(f"market {made} was made, but not its link: {error}. Run this again") from None
    if found is None:
        raise PublishError(f"market {made} was made, but Manifold does not show it yet. Run this again")
    return Published(found, created=True)


def _look_again(
    desk: Desk,
    account: Account,
    market: Market,
    as_sent: Callable[[Standing], Market],
    failure: FetchError | ParseError,
) -> Standing:
    """The market whose answer was lost. PublishError when it is not there, or cannot be looked for.

    A 400 is also what a used id comes to; but then the market is there at once.
    """
    refused = isinstance(failure, FetchError) and failure.status == BAD_REQUEST
    try:
        for wait in LOOK_AGAIN_S[:1] if refused else LOOK_AGAIN_S:
            desk.sleep(wait)
            found = find(desk, account, market, as_sent)
            if found is not None:
                return found
    except (FetchError, ParseError) as blind:
        raise PublishError(
            f"{failure}. Whether the market was made is not known, because Manifold could not be asked: {blind}. "
            f"Run this again: it looks first, and a second market of this version cannot be made"
        ) from None
    if refused:
        raise PublishError(f"{failure}. No market was made")
    raise PublishError(
        f"{failure}. {sum(LOOK_AGAIN_S):.0f} seconds later there was no market. Run this again: it looks first, and "
        f"a second market of this version cannot be made"
    )


def _ours(standing: Standing, expected: Market, account: Account) -> Standing:
    reason = standing.strange(expected, account.id)
    if reason:
        raise PublishError(
            f"market {standing.url or standing.id} stands where ours would, but {reason}: if it is the same "
            f"question all the same, add a [[link]] to it by hand"
        )
    return standing


def _record(
    store: Store, market: Market, state: RunState, started: datetime, message: str, at: datetime | None = None
) -> None:
    store.end_run(Run(job_of(market), EPOCH, state, started, at or started, message))


def _taken(runs: Sequence[Run]) -> str:
    """Why a run could not be claimed, and what to do."""
    run = runs[-1] if runs else None
    if run is None or run.state is RunState.RUNNING:
        since = f" since {iso(run.started_at)}" if run else ""
        until = f" after {iso(run.started_at + CLAIM_LASTS)}" if run else " later"
        return (
            f"another run is publishing this version{since}, or was broken off; there is no market yet. "
            f"Run this again{until}"
        )
    return (
        f"the ledger says it was published as market {run.message} at {iso(run.started_at)}, but Manifold does not "
        f"show that market any more; nothing was sent"
    )
