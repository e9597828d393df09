"""The Source Protocol: how one platform or feed is asked and read. One file per source.

An adapter does no I/O at all. ``plan`` says what to ask; ``tracker.http`` asks; ``parse`` reads the
answer. So five years of stored bytes can be read again when a parser is mended, and a test of an adapter
needs no network. Retries, pace, redirects and identity live in ``tracker.http``; which question maps to
which reference lives in the catalogue; storing lives in ``tracker.jobs``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from questions.model import Link
from storage.records import Batch, RawPayload

__all__ = ["Fault", "Parsed", "Plan", "Request", "Rereading", "Source", "SourceTraits"]


@dataclass(frozen=True)
class Request:
    """One GET to make. ``ref`` names what it is about in reports (an id, or the ids of a bulk call).

    ``path`` is below the source's base URL, or below the one of ``other_bases`` that ``base`` names;
    ``params`` keep order and may repeat. ``private`` requests carry the source's secret header.
    ``accept_missing``: a 404 is an answer here (parsed), not a fault.
    """

    source: str
    ref: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    private: bool = False
    accept_missing: bool = False
    conditional: bool = False
    base: str = ""


@dataclass(frozen=True)
class Fault:
    """One thing wrong inside an otherwise readable payload: the rest of it was still taken."""

    ref: str
    field: str
    message: str
    kind: str = "shape"


@dataclass(frozen=True)
class Parsed:
    """What a payload says: records to append, requests that follow from it, and what was wrong in it.

    ``notes`` are for the report (drift, unknown enum values); ``denied`` lists refs the source would not
    let us see, which is neither a fault nor an absent forecast.
    """

    batch: Batch = field(default_factory=Batch)
    follow: tuple[Request, ...] = ()
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The requests of one poll, and what cannot be asked and why (``skipped``: ref -> reason).

    ``at_hand``: payloads that need no asking, such as packaged tables; they are kept and read like answers.
    """

    requests: tuple[Request, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)
    at_hand: tuple[RawPayload, ...] = ()


@dataclass(frozen=True)
class SourceTraits:
    """What the rest of the program must know of a source without knowing the source.

    ``setting`` is the word in ``SPEEDUP_<SETTING>_URL``; ``hosts`` may be redirected to; ``pace_s`` is the
    least time between two requests to it; ``platforms`` whose values it delivers; ``secret`` names the
    setting that holds its key, sent as ``header: prefix + key``, or, for the few platforms that take it
    nowhere else, as the query parameter ``secret_param``, which is added to the URL when it is sent and is
    no part of it anywhere else; ``period_hours`` is how often to poll;
    ``credit`` and ``licence`` are printed wherever its values are. ``backfill_per_link``: a link never seen
    is asked for with its history; False for feeds whose files hold every question, which are asked for
    history once. ``other_bases``: the base URLs of a platform's further hosts, by the word in
    ``SPEEDUP_<SETTING>_URL`` of each; a Request names one in ``base``. ``unsettled``: the statuses
    (``QuestionInfo.status``) in which a question has no outcome, for a platform whose every answer with a status
    would tell one: seen after an outcome, they take it back.
    """

    name: str
    setting: str
    base_url: str
    hosts: tuple[str, ...]
    pace_s: float
    period_hours: float
    platforms: tuple[str, ...]
    credit: str
    licence: str
    secret: str | None = None
    secret_header: str = "Authorization"  # noqa: S105 (a header's name)
    secret_prefix: str = ""
    secret_param: str | None = None
    secret_required: bool = False
    read_timeout_s: float = 20.0
    max_body_bytes: int = 10 * 1024 * 1024
    backfill_per_link: bool = True
    other_bases: Mapping[str, str] = field(default_factory=dict, hash=False)
    unsettled: tuple[str, ...] = ()

    def base_of(self, request: Request) -> tuple[str, str]:
        """Where a request goes: the setting that may replace the base URL, and the base URL itself."""
        if not request.base:
            return (self.setting, self.base_url)
        return (request.base, self.other_bases[request.base])


class Source(Protocol):
    """One adapter. Stateless; both methods are pure and may be called from any thread.

    ``parser_version`` changes whenever ``parse`` would read the same bytes differently.
    """

    traits: SourceTraits
    parser_version: str

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        """Which requests give the current values of these links (only those on ``traits.platforms``).

        ``since`` is how far back history is wanted (None: only what is new costs nothing extra).
        """

    def parse(self, raw: RawPayload) -> Parsed:
        """Read one stored answer. Depends on nothing but ``raw``; the same bytes give the same records.

        Raises ParseError when the whole payload cannot be read; a payload of which a part cannot be
        read gives the rest, and a Fault for each such part. Values carry ``raw.sha256`` and
        ``raw.fetched_at``. Refusals (403) come back as ``denied``, missing questions as state ``gone``.
        """


@runtime_checkable
class Rereading(Protocol):
    """What a source has besides, if its bulk answers hold bare values: each question is read whole in its turn.

    Titles, dates, criteria, market quality and outcomes of such a source are seen at these turns only.
    """

    def plan_after(self, links: Sequence[Link], last: datetime | None, now: datetime) -> Plan:
        """The poll of known links when the poll before was at ``last`` (None: unknown, so all are due)."""
