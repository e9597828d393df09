"""The Store Protocol: append-only, bitemporal memory. Its docstrings are the contract.

Two implementations pass the same tests: ``MemoryStore`` (dry runs, tests) and ``SqlStore`` (SQLite and
PostgreSQL). Nothing here is ever updated except three harmless facts: when an unchanged value was last
seen, the state of a run, and the health of a source.

Knowledge time. Every reading method takes ``known_at``: it answers with what this store had seen at or
before that instant (default: everything). ``seen_last`` is clipped to it; ``times_seen`` counts every look
so far. Forecasts are known from ``made_at`` on.

One value, seen again. For a stream, the newest row is the one with the greatest ``as_of`` (of several with
that ``as_of``, the last one fetched). Looking again at an unchanged value costs no row, for ever:

* A snapshot *without* the source's own time stamp (``timed_by_source=False``) whose content equals the
  newest row's, at most ``max_gap`` after that row's ``seen_last``, extends the row (``seen_last``,
  ``times_seen``): no new row. A longer silence starts a new row: what was not observed is not bridged.
* A snapshot *with* the source's time stamp is a point at ``as_of``. If the latest row for that ``as_of``
  has the same content, it is known already (the newest point of a stream is extended, after however
  long a silence; older points are left alone); if the content differs it is a correction: a new row
  for the same ``as_of``.
* Of one fetch, the points with the source's time count first, by ``as_of``, then the one without.
  ``times_seen`` counts fetches.
* Content is state, probability, value, distribution, forecasters and hidden_until. Volume, liquidity
  spread and last trade are kept as they were when the row was made and do not make a row of their own.
* Appending again adds nothing. A snapshot without a time that comes late (it was fetched before the
  newest row) is put where it belongs: a row it contradicts is cut at what is sure, its first and last sight.
  Whatever the order of arrival, the value that stands at each fetch is the same; how long a row is known to
  have stood may come out shorter. Points with a time that correct older ones are to be appended in the order
  they were fetched, as polls and ``speedup reparse`` do.
* Told differently of the same ``as_of`` by the same fetch (a mended parser reads stored bytes again): the
  later ``reading`` counts, the earlier one stays in ``revisions``.

Times are aware UTC at this border, both ways; naive ones raise ValueError.
Errors: StorageError and its children only; a failed ``append`` leaves nothing of its batch behind.
Threads: one store object may be used from one thread at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from questions.evidence import Judgement
from questions.receipts import QuestionVersion, Receipt
from questions.records import (
    Forecast,
    Measurement,
    QuestionInfo,
    Resolution,
    Score,
    StreamKey,
)
from storage.alerting import Alert, Arming, Decision
from storage.mailing import Channel, Issue, Letter, LetterState, Recipient
from storage.records import (
    AppendReport,
    Batch,
    Change,
    Drift,
    Gap,
    Grain,
    Lease,
    Observation,
    OrderingRecord,
    Pruned,
    Quarantined,
    RawPayload,
    Run,
    SourceHealth,
    Standing,
    Tombstone,
    Validator,
    VersionInfo,
)
from storage.thinning import Thinned, Thinning

DEFAULT_MAX_GAP = timedelta(hours=36)


class Store(Protocol):
    max_gap: timedelta

    # raw payloads -----------------------------------------------------------------------------

    def put_raw(self, payload: RawPayload) -> str:
        """Keep a payload for good before anyone parses it; returns its SHA-256.

        The same bytes are stored once (compressed); seeing them again for the same source and URL
        extends a sighting instead of writing a row. Durable when the call returns. An earlier
        ``fetched_at`` than the first one known makes this call's answer the first fetch.
        """

    def get_raw(self, sha256: str) -> RawPayload | None:
        """The payload as first fetched, or None. Raises IntegrityFailure if its bytes do not hash to it."""

    def raw_names(self, start: str, at_most: int = 10) -> list[str]:
        """SHA-256 of the payloads, let go or not, that begin with these hexadecimal digits; in order."""

    def raw_payloads(self, source: str | None = None, since: datetime | None = None) -> Iterator[RawPayload]:
        """Stored payloads by time of fetch, for re-parsing: each as it was first fetched and, if it was
        seen again, as it was last.

        ``since`` asks for fetches at or after it. The caller may write to the store between two
        payloads. Raises IntegrityFailure at a damaged one.
        """

    def together(self) -> AbstractContextManager[None]:
        """Make every call inside one transaction: committed once at the end, and as a whole on success only.

        Readings inside see what was written inside. May be nested; the outermost decides. A store in
        memory takes the calls one by one.
        """

    # append -----------------------------------------------------------------------------------

    def append(self, batch: Batch) -> AppendReport:
        """Store what was parsed from one payload, all or nothing. Appending it again adds nothing.

        The batches of many payloads may be joined into one (a replay is much faster so).
        Histories mean their points, and are the quick way to bring many.
        A snapshot is new in the report when it begins a row. Measurements count against the version
        in force before: a point it did not have is new, one that changed or went is revised.
        """

    def add_forecasts(self, forecasts: Iterable[Forecast]) -> int:
        """Store forecasts on our questions; returns how many were new (same forecaster, question,
        outcome and time is the same forecast; a different probability then raises StorageError)."""

    def add_scores(self, scores: Iterable[Score]) -> int:
        """Store computed scores; returns how many were new. A score of the same forecast, rule and version
        is stored once: the first stays."""

    def add_question_versions(self, versions: Iterable[QuestionVersion]) -> int:
        """Keep records of our own questions as they stood when seen; returns how many were new.

        This and the next two only add: the same record again is known, another one under the same key
        (question and time, and the judge or the version) raises StorageError and nothing is kept."""

    def add_judgements(self, judgements: Iterable[Judgement]) -> int:
        """Keep what judges decided; returns how many were new."""

    def add_receipts(self, receipts: Iterable[Receipt]) -> int:
        """Keep verdicts with their evidence; returns how many were new."""

    def add_orderings(self, records: Iterable[OrderingRecord]) -> int:
        """Keep what the voices said of the order at some instants; returns how many were new. Only adds, like the
        three above; the key is (grain, settings, at, made_at)."""

    # read: community values -------------------------------------------------------------------

    def streams(self, platform: str | None = None, external_id: str | None = None) -> list[StreamKey]:
        """Every stream with at least one row, sorted."""

    def history(
        self, key: StreamKey, *, known_at: datetime | None = None, start: datetime | None = None
    ) -> list[Observation]:
        """A stream's values by ``as_of``, one per ``as_of``: the last one known then; with ``start`` from the one on
        that stood at that time."""

    def revisions(self, key: StreamKey) -> list[Observation]:
        """Every row of a stream, corrections included, by (as_of, seen_first)."""

    def latest(
        self, keys: Sequence[StreamKey] | None = None, *, known_at: datetime | None = None
    ) -> dict[StreamKey, Observation]:
        """The newest value by ``as_of`` of each stream (all streams by default)."""

    # read: series -----------------------------------------------------------------------------

    def series_ids(self) -> list[str]:
        """Every series with at least one version, sorted."""

    def versions(self, series: str, *, known_at: datetime | None = None) -> list[VersionInfo]:
        """The versions of a series in the order they were first seen. A version that comes back after
        another one is a new entry. A payload read differently is another version; of two readings by
        the same fetch the one stored last counts."""

    def measurements(
        self, series: str, metric: str | None = None, *, known_at: datetime | None = None
    ) -> list[Measurement]:
        """The points of the newest version known, by (metric, at, key). Removed points are not in it."""

    def series_diff(self, series: str, earlier: datetime, later: datetime) -> list[Change]:
        """What changed between what was known at two instants, by (metric, key); one change a point.

        The weightiest kind is told: revised (value or unit), then interval, then dated, then flagged
        (flags or label).
        """

    # read: the rest ---------------------------------------------------------------------------

    def resolutions(self, *, known_at: datetime | None = None) -> list[Resolution]:
        """The last word known per (source, platform, external_id, outcome), sorted by that."""

    def infos(self, *, known_at: datetime | None = None) -> list[QuestionInfo]:
        """The last known facts per (source, platform, external_id), sorted by that."""

    def question_health(self, *, known_at: datetime | None = None) -> list[Standing]:
        """The last word known on each question's health per (source, platform, external_id), sorted by that,
        and how long it stood."""

    def forecasts(self, *, known_at: datetime | None = None) -> list[Forecast]:
        """Forecasts made by then, sorted by (made_at, question, outcome, forecaster)."""

    def scores(self) -> list[Score]:
        """Every score, sorted by (question, outcome, forecaster, made_at, rule, version)."""

    def question_versions(
        self, question: str | None = None, *, known_at: datetime | None = None
    ) -> list[QuestionVersion]:
        """Records of our own questions by (seen_at, question)."""

    def judgements(self, question: str | None = None, *, known_at: datetime | None = None) -> list[Judgement]:
        """What judges decided by then, by (made_at, question, judge)."""

    def receipts(self, question: str | None = None, *, known_at: datetime | None = None) -> list[Receipt]:
        """Receipts made by then, by (made_at, question, version)."""

    def orderings(
        self,
        grain: Grain,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        settings: str | None = None,
        known_at: datetime | None = None,
    ) -> list[OrderingRecord]:
        """Orderings kept, by (at, made_at, settings): those at an instant from ``since`` to ``until``, of these
        settings, made by ``known_at``. Raises IntegrityFailure for a payload that does not hash to its digest."""

    # quarantine -------------------------------------------------------------------------------

    def quarantine(self, entry: Quarantined) -> None:
        """Remember that a stored payload did not parse (once per payload and parser version)."""

    def quarantined(self, *, unresolved_only: bool = True) -> list[Quarantined]:
        """Entries by the time they were made."""

    def release(self, payload_sha256: str, at: datetime) -> None:
        """Mark a payload's quarantine entries resolved: it parses now."""

    # operations -------------------------------------------------------------------------------

    def begin_run(self, job: str, slot: datetime, at: datetime) -> bool:
        """Claim a slot. False if it is done, partial or skipped already, or running elsewhere for
        less than an hour; a run that failed or was abandoned may be claimed again. Of several
        processes that claim a slot at the same time exactly one gets it."""

    def end_run(self, run: Run) -> None:
        """Write how a run ended, whether or not it was claimed."""

    def runs(self, job: str | None = None, since: datetime | None = None) -> list[Run]:
        """Runs by (slot, job), those with a slot at or after ``since``."""

    def take_lease(self, name: str, holder: str, at: datetime, term: timedelta) -> Lease | None:
        """Become or stay the one leader under a name for a term; None while somebody else is.

        ``holder`` is unlike that of any other process. Of several that ask exactly one gets it. A lease passes on,
        with a greater token, when it was given up, when its term is over, or at once when its holder's process
        has ended (SQLite on Linux and PostgreSQL). PostgreSQL goes by its own clock, not by ``at``.
        """

    def lease(self, name: str) -> Lease | None:
        """The last lease given under a name, whether or not its term is over."""

    def give_up_lease(self, lease: Lease) -> None:
        """End a lease of one's own before its term; nothing when it has been lost."""

    def fence(self, lease: Lease | None) -> None:
        """From now on write only under this lease (None: freely): every writing call on this object raises
        LeaseLost, and leaves nothing behind, once another token has been given."""

    def add_gap(self, gap: Gap) -> None:
        """Remember a gap. One that began at the same time is the same gap: the later end stays."""

    def gaps(self, source: str | None = None) -> list[Gap]:
        """Gaps by (source, start)."""

    def health(self) -> dict[str, SourceHealth]:
        """The last known health by source."""

    def set_health(self, health: SourceHealth) -> None:
        """Replace what is known of a source's health."""

    def add_drifts(self, drifts: Iterable[Drift]) -> list[Drift]:
        """Remember differences from the expected shape; returns those that were not known. One seen again is
        the same record: its first bytes stay, its last sight moves on."""

    def drifts(self, source: str | None = None, *, known_at: datetime | None = None) -> list[Drift]:
        """Every drift seen, the newest first."""

    def validator(self, url: str) -> Validator | None:
        """What a conditional request for a URL needs, if there was an answer with tags."""

    def set_validator(self, validator: Validator) -> None:
        """Replace a URL's validator."""

    def sight(self, source: str, url: str, sha256: str, at: datetime) -> None:
        """We looked again and the bytes were the same (a 304): extend the sighting.

        Raises StorageError when these bytes were never stored for this source and URL.
        """

    # mail -------------------------------------------------------------------------------------

    def queue_letters(self, letters: Iterable[Letter]) -> int:
        """Put letters into the outbox; returns how many were new. One whose key is known is left as it is,
        whatever it says now."""

    def claim_letter(self, channel: Channel, at: datetime) -> Letter | None:
        """The next queued letter whose time has come, now ``sending`` and with one more attempt; None when there
        is none. It stays claimed until it is settled or moved, over the death of whoever claimed it."""

    def settle_letter(
        self, key: str, state: LetterState, at: datetime, outcome: str, next_try_at: datetime | None = None
    ) -> Letter:
        """Write down what became of a claimed letter. Raises StorageError when nobody is sending it."""

    def move_letters(
        self,
        before: LetterState,
        after: LetterState,
        at: datetime,
        *,
        channel: Channel | None = None,
        expired: bool = False,
    ) -> int:
        """Put every letter of one state into another; returns how many. ``expired``: only those past their time.

        The leader moves what a dead one left ``sending`` back to ``queued``: nobody knows whether it arrived.
        """

    def letters(
        self,
        *,
        state: LetterState | None = None,
        kind: str | None = None,
        period: str | None = None,
        address: str | None = None,
    ) -> list[Letter]:
        """Letters in the order in which they are to go out."""

    def next_letter_at(self, channel: Channel) -> datetime | None:
        """When the next letter is due, None when there is none. One that is ``sending`` is due since its claim."""

    def letter_counts(self) -> dict[tuple[Channel, LetterState], int]:
        """How many letters there are by channel and state."""

    def add_issue(self, issue: Issue) -> bool:
        """Keep a digest as it was made; False when the same is kept already."""

    def issues(self, week: str | None = None) -> list[Issue]:
        """Digests by week and by when they were made: the first of a week is the one that was sent."""

    def issue_weeks(self) -> list[str]:
        """The weeks that have a digest, sorted."""

    def add_recipient(self, recipient: Recipient) -> None:
        """Write down what became of an address. Nothing is replaced."""

    def recipients(self) -> list[Recipient]:
        """The newest record of each address, by address."""

    def recipient_history(self, address: str) -> list[Recipient]:
        """All records of an address in the order they were kept."""

    # alerts -----------------------------------------------------------------------------------

    def keep_alerts(self, alerts: Iterable[Alert], armings: Iterable[Arming]) -> int:
        """Keep what one evaluation found, all or nothing; returns how many alerts were new.

        Only ever added: the same record again is known, another one of the same signal and instant raises
        StorageError."""

    def decide_alerts(self, decisions: Iterable[Decision]) -> int:
        """Write down what became of kept alerts; returns how many were new. An alert is decided once: another
        decision raises StorageError, and so does one on an alert that is not kept."""

    def alerts(self, signal: str | None = None, *, known_at: datetime | None = None) -> list[Alert]:
        """Alerts found by then, by (at, signal)."""

    def armings(self, *, known_at: datetime | None = None) -> dict[str, Arming]:
        """How each signal was armed then, by signal."""

    def alert_decisions(self, *, known_at: datetime | None = None) -> list[Decision]:
        """What had become of alerts by then, by (at, signal)."""

    # care -------------------------------------------------------------------------------------

    def prune_raw(
        self, sources: Collection[str], before: datetime, at: datetime, *, dry_run: bool = False
    ) -> Pruned:
        """Let go of the bytes of these sources' payloads that were last seen before an instant and that nothing
        rests on (``storage.retention`` says what that is), the oldest first and so many at a time. Their
        hashes, sizes and sightings stay."""

    def tombstone(self, sha256: str) -> Tombstone | None:
        """What is left of a payload that was let go; None when it is there, or never was. ``get_raw`` and
        ``raw_payloads`` know it no more; stored again, it is as it was."""

    def thin(self, before: datetime, at: datetime, *, dry_run: bool = False) -> Thinned:
        """Let go of values within days that are over by an instant, where one stream has many on a day, so that
        every answer by the day stays what it was (``storage.thinning`` says which go and which stay), so many
        at a time and a stream never in part. Series are not touched."""

    def thinnings(self) -> list[Thinning]:
        """What was let go of values: of each stream and rule how many, and from when to when."""

    def prune_letters(self, before: datetime, *, dry_run: bool = False) -> int:
        """Let go of the bytes of letters that came to their end (sent, dead, expired) before an instant and were
        not worth sending after it; returns how many. Their key, address, Message-ID, outcome and times stay:
        none of them is ever queued again. Digests and alerts are kept elsewhere, whole."""

    def make_room(self, at: datetime) -> list[str]:
        """Make what the coming months' rows will lie in (PostgreSQL: partitions); returns the names of what is
        new. Elsewhere there is nothing to do."""

    def counts(self) -> dict[str, int]:
        """Rows per table, for status, backups and copies."""

    def check(self) -> list[str]:
        """Every integrity problem found, in plain words; empty when all is well."""

    def backup(self, target: Path) -> dict[str, int]:
        """A consistent, verified copy while others write; returns the counts in it. SQLite only:
        PostgreSQL raises StorageError naming pg_dump. An existing SQLite file is replaced at once or not
        at all; any other file is left alone (StorageError)."""

    def close(self) -> None:
        """Let go of the database; a store on one raises StorageError when it is used afterwards."""
