"""The Store Protocol on SQLite and PostgreSQL. One transaction a call; see ``storage.store`` for the contract."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from questions.evidence import Judgement
from questions.receipts import QuestionVersion, Receipt
from questions.records import (
    Forecast,
    Measurement,
    QuestionInfo,
    Resolution,
    Score,
    Snapshot,
    StreamKey,
)
from questions.time import utc
from storage import (
    alerts as _alerts,
    care,
    lease as leases,
    ledger,
    lives,
    newest,
    outbox,
    partitions,
    payloads,
    retention,
    series as _series,
    thinned,
    values,
    words,
)
from storage.alerting import Alert, Arming, Decision
from storage.border import admit, admit_version, keepable, moment
from storage.bulk import payload_ids
from storage.decide import changes, points, standing
from storage.engine import Database
from storage.mailing import Channel, Issue, Letter, LetterState, Recipient, standing_recipients
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
    RunState,
    SourceHealth,
    Standing,
    Tombstone,
    Validator,
    VersionInfo,
)
from storage.store import DEFAULT_MAX_GAP
from storage.thinning import Thinned, Thinning

PAYLOADS_AT_ONCE = 20
PRUNED_AT_ONCE = 10_000
THINNED_AT_ONCE = 20_000


class SqlStore:
    """A store in an SQLite file or a PostgreSQL schema."""

    def __init__(self, database: Database, max_gap: timedelta = DEFAULT_MAX_GAP) -> None:
        self.max_gap = max_gap
        self._database = database
        self._beacon = leases.beacon_of(database.address)

    def together(self) -> AbstractContextManager[None]:
        return self._database.together()

    # raw payloads

    def put_raw(self, payload: RawPayload) -> str:
        payload = admit(payload)
        with self._database.write() as connection:
            payloads.put(connection, payload)
        return payload.sha256

    def get_raw(self, sha256: str) -> RawPayload | None:
        with self._database.read() as connection:
            return payloads.get(connection, sha256)

    def raw_names(self, start: str, at_most: int = 10) -> list[str]:
        with self._database.read() as connection:
            return payloads.names(connection, start, at_most)

    def raw_payloads(self, source: str | None = None, since: datetime | None = None) -> Iterator[RawPayload]:
        since = moment(since)
        with self._database.read() as connection:
            wanted = payloads.sightings(connection, source, since)
        return self._payloads(wanted)

    def _payloads(self, wanted: Sequence[payloads.SightingKey]) -> Iterator[RawPayload]:
        """A few at a time, so that a caller may write between two of them."""
        for start in range(0, len(wanted), PAYLOADS_AT_ONCE):
            with self._database.read() as connection:
                found = payloads.load(connection, wanted[start : start + PAYLOADS_AT_ONCE])
            yield from found

    def sight(self, source: str, url: str, sha256: str, at: datetime) -> None:
        at = utc(at)
        with self._database.write() as connection:
            payloads.sight(connection, keepable(source), keepable(url), sha256, at)

    # append

    def append(self, batch: Batch) -> AppendReport:
        streams: dict[StreamKey, list[Snapshot]] = defaultdict(list)
        for snapshot in batch.snapshots:
            streams[snapshot.key].append(snapshot)
        kept: dict[StreamKey, list[Snapshot]] = defaultdict(list)
        for key, arriving in streams.items():
            kept[admit(key)] += arriving
        histories = values.alone(batch.histories, kept)
        versions = [admit_version(version) for version in batch.versions]
        resolutions = [admit(word) for word in batch.resolutions]
        infos = [admit(word) for word in batch.infos]
        healths = [admit(word) for word in batch.healths]
        report = AppendReport()
        with self._database.write(undo=True) as connection:
            if kept or histories:
                report += values.append(connection, kept, histories, self.max_gap)
            numbers = payload_ids(connection, {version.payload_sha256 for version in versions})
            for version in versions:
                report += _series.append(connection, version, numbers[version.payload_sha256])
            new = words.append(connection, words.RESOLUTIONS, resolutions)
            words.append(connection, words.INFOS, infos)
            words.append(connection, words.HEALTHS, healths)
        return report + AppendReport(resolutions_new=new)

    def add_forecasts(self, forecasts: Iterable[Forecast]) -> int:
        admitted = [admit(forecast) for forecast in forecasts]
        with self._database.write() as connection:
            return ledger.add_forecasts(connection, admitted)

    def add_scores(self, scores: Iterable[Score]) -> int:
        admitted = [admit(score) for score in scores]
        with self._database.write() as connection:
            return ledger.add_scores(connection, admitted)

    def add_question_versions(self, versions: Iterable[QuestionVersion]) -> int:
        return self._keep(lives.VERSIONS, versions)

    def add_judgements(self, judgements: Iterable[Judgement]) -> int:
        return self._keep(lives.JUDGEMENTS, judgements)

    def add_receipts(self, receipts: Iterable[Receipt]) -> int:
        return self._keep(lives.RECEIPTS, receipts)

    def add_orderings(self, records: Iterable[OrderingRecord]) -> int:
        return self._keep(lives.ORDERINGS, records)

    def _keep(self, book: lives.Book[lives.Kept], records: Iterable[lives.Kept]) -> int:
        admitted = [admit(record) for record in records]
        with self._database.write() as connection:
            return lives.add(connection, book, admitted)

    # read: community values

    def streams(self, platform: str | None = None, external_id: str | None = None) -> list[StreamKey]:
        with self._database.read() as connection:
            return values.streams(connection, platform, external_id)

    def history(
        self, key: StreamKey, *, known_at: datetime | None = None, start: datetime | None = None
    ) -> list[Observation]:
        known_at, start = moment(known_at), moment(start)
        with self._database.read() as connection:
            return values.history(connection, admit(key), known_at, start)

    def revisions(self, key: StreamKey) -> list[Observation]:
        with self._database.read() as connection:
            return values.revisions(connection, admit(key))

    def latest(
        self, keys: Sequence[StreamKey] | None = None, *, known_at: datetime | None = None
    ) -> dict[StreamKey, Observation]:
        known_at = moment(known_at)
        wanted = None if keys is None else {admit(key) for key in keys}
        with self._database.read() as connection:
            return newest.latest(connection, wanted, known_at)

    # read: the series

    def series_ids(self) -> list[str]:
        with self._database.read() as connection:
            return _series.names(connection)

    def versions(self, series: str, *, known_at: datetime | None = None) -> list[VersionInfo]:
        known_at = moment(known_at)
        with self._database.read() as connection:
            return _series.versions(connection, series, known_at)

    def measurements(
        self, series: str, metric: str | None = None, *, known_at: datetime | None = None
    ) -> list[Measurement]:
        known_at = moment(known_at)
        with self._database.read() as connection:
            return _series.measurements(connection, series, metric, known_at)

    def series_diff(self, series: str, earlier: datetime, later: datetime) -> list[Change]:
        earlier, later = utc(earlier), utc(later)
        with self._database.read() as connection:
            before = _series.measurements(connection, series, None, earlier)
            after = _series.measurements(connection, series, None, later)
        return changes(points(before), points(after))

    # read: the rest

    def resolutions(self, *, known_at: datetime | None = None) -> list[Resolution]:
        known_at = moment(known_at)
        with self._database.read() as connection:
            return [said.word for said in words.last(connection, words.RESOLUTIONS, known_at)]

    def infos(self, *, known_at: datetime | None = None) -> list[QuestionInfo]:
        known_at = moment(known_at)
        with self._database.read() as connection:
            return [said.word for said in words.last(connection, words.INFOS, known_at)]

    def question_health(self, *, known_at: datetime | None = None) -> list[Standing]:
        known_at = moment(known_at)
        with self._database.read() as connection:
            return standing(words.last(connection, words.HEALTHS, known_at))

    def forecasts(self, *, known_at: datetime | None = None) -> list[Forecast]:
        known_at = moment(known_at)
        with self._database.read() as connection:
            return ledger.forecasts(connection, known_at)

    def scores(self) -> list[Score]:
        with self._database.read() as connection:
            return ledger.scores(connection)

    def question_versions(
        self, question: str | None = None, *, known_at: datetime | None = None
    ) -> list[QuestionVersion]:
        return self._kept(lives.VERSIONS, question, known_at)

    def judgements(self, question: str | None = None, *, known_at: datetime | None = None) -> list[Judgement]:
        return self._kept(lives.JUDGEMENTS, question, known_at)

    def receipts(self, question: str | None = None, *, known_at: datetime | None = None) -> list[Receipt]:
        return self._kept(lives.RECEIPTS, question, known_at)

    def orderings(
        self,
        grain: Grain,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        settings: str | None = None,
        known_at: datetime | None = None,
    ) -> list[OrderingRecord]:
        since, until, known_at = moment(since), moment(until), moment(known_at)
        with self._database.read() as connection:
            return lives.orderings(
                connection, grain, since=since, until=until, settings=settings, known_at=known_at
            )

    def _kept(
        self, book: lives.Book[lives.Kept], question: str | None, known_at: datetime | None
    ) -> list[lives.Kept]:
        known_at = moment(known_at)
        with self._database.read() as connection:
            return lives.kept(connection, book, question, known_at)

    # quarantine

    def quarantine(self, entry: Quarantined) -> None:
        entry = admit(entry)
        with self._database.write() as connection:
            payloads.quarantine(connection, entry)

    def quarantined(self, *, unresolved_only: bool = True) -> list[Quarantined]:
        with self._database.read() as connection:
            return payloads.quarantined(connection, unresolved_only)

    def release(self, payload_sha256: str, at: datetime) -> None:
        at = utc(at)
        with self._database.write() as connection:
            payloads.release(connection, payload_sha256, at)

    # operations

    def begin_run(self, job: str, slot: datetime, at: datetime) -> bool:
        claimed = admit(Run(job, slot, RunState.RUNNING, at))
        with self._database.write() as connection:
            return ledger.claim(connection, claimed)

    def end_run(self, run: Run) -> None:
        run = admit(run)
        with self._database.write() as connection:
            ledger.put_run(connection, run)

    def runs(self, job: str | None = None, since: datetime | None = None) -> list[Run]:
        since = moment(since)
        with self._database.read() as connection:
            return ledger.runs(connection, job, since)

    def take_lease(self, name: str, holder: str, at: datetime, term: timedelta) -> Lease | None:
        asked = admit(Lease(name, holder, 1, at))
        with self._database.write() as connection:
            return leases.take(connection, self._beacon, asked.name, asked.holder, asked.expires_at, term)

    def lease(self, name: str) -> Lease | None:
        with self._database.read() as connection:
            return leases.standing(connection, name)

    def give_up_lease(self, lease: Lease) -> None:
        with self._database.write() as connection:
            leases.give_up(connection, lease)
        self._beacon.close()

    def fence(self, lease: Lease | None) -> None:
        self._database.fence = None if lease is None else partial(leases.require, lease=lease)

    def add_gap(self, gap: Gap) -> None:
        gap = admit(gap)
        with self._database.write() as connection:
            ledger.put_gap(connection, gap)

    def gaps(self, source: str | None = None) -> list[Gap]:
        with self._database.read() as connection:
            return ledger.gaps(connection, source)

    def health(self) -> dict[str, SourceHealth]:
        with self._database.read() as connection:
            return ledger.health(connection)

    def set_health(self, health: SourceHealth) -> None:
        health = admit(health)
        with self._database.write() as connection:
            ledger.put_health(connection, health)

    def add_drifts(self, drifts: Iterable[Drift]) -> list[Drift]:
        admitted = [admit(drift) for drift in drifts]
        with self._database.write() as connection:
            return [drift for drift in admitted if ledger.put_drift(connection, drift)]

    def drifts(self, source: str | None = None, *, known_at: datetime | None = None) -> list[Drift]:
        known_at = moment(known_at)
        with self._database.read() as connection:
            return ledger.drifts(connection, source, known_at)

    def validator(self, url: str) -> Validator | None:
        with self._database.read() as connection:
            return ledger.validator(connection, url)

    def set_validator(self, validator: Validator) -> None:
        validator = admit(validator)
        with self._database.write() as connection:
            ledger.put_validator(connection, validator)

    # mail

    def queue_letters(self, letters: Iterable[Letter]) -> int:
        queued = list(letters)
        with self._database.write() as connection:
            return outbox.queue(connection, queued)

    def claim_letter(self, channel: Channel, at: datetime) -> Letter | None:
        at = utc(at)
        with self._database.write() as connection:
            return outbox.claim(connection, channel, at)

    def settle_letter(
        self, key: str, state: LetterState, at: datetime, outcome: str, next_try_at: datetime | None = None
    ) -> Letter:
        at, next_try_at, outcome = utc(at), moment(next_try_at), keepable(outcome)
        with self._database.write() as connection:
            return outbox.settle(connection, key, state, at, outcome, next_try_at)

    def move_letters(
        self,
        before: LetterState,
        after: LetterState,
        at: datetime,
        *,
        channel: Channel | None = None,
        expired: bool = False,
    ) -> int:
        at = utc(at)
        with self._database.write() as connection:
            return outbox.move(connection, before, after, at, channel, expired)

    def letters(
        self,
        *,
        state: LetterState | None = None,
        kind: str | None = None,
        period: str | None = None,
        address: str | None = None,
    ) -> list[Letter]:
        with self._database.read() as connection:
            return outbox.letters(connection, state, kind, period, address)

    def next_letter_at(self, channel: Channel) -> datetime | None:
        with self._database.read() as connection:
            return outbox.next_at(connection, channel)

    def letter_counts(self) -> dict[tuple[Channel, LetterState], int]:
        with self._database.read() as connection:
            return outbox.counts(connection)

    def add_issue(self, issue: Issue) -> bool:
        with self._database.write() as connection:
            return outbox.add_issue(connection, issue)

    def issues(self, week: str | None = None) -> list[Issue]:
        with self._database.read() as connection:
            return outbox.issues(connection, week)

    def issue_weeks(self) -> list[str]:
        with self._database.read() as connection:
            return outbox.weeks(connection)

    def add_recipient(self, recipient: Recipient) -> None:
        with self._database.write() as connection:
            outbox.add_recipient(connection, recipient)

    def recipients(self) -> list[Recipient]:
        with self._database.read() as connection:
            return standing_recipients(outbox.recipients(connection, None))

    def recipient_history(self, address: str) -> list[Recipient]:
        with self._database.read() as connection:
            return outbox.recipients(connection, keepable(address))

    # alerts

    def keep_alerts(self, alerts: Iterable[Alert], armings: Iterable[Arming]) -> int:
        found, armed = list(alerts), list(armings)
        with self._database.write() as connection:
            return _alerts.keep(connection, found, armed)

    def decide_alerts(self, decisions: Iterable[Decision]) -> int:
        made = list(decisions)
        with self._database.write() as connection:
            return _alerts.decide(connection, made)

    def alerts(self, signal: str | None = None, *, known_at: datetime | None = None) -> list[Alert]:
        known_at = moment(known_at)
        with self._database.read() as connection:
            return _alerts.alerts(connection, signal, known_at)

    def armings(self, *, known_at: datetime | None = None) -> dict[str, Arming]:
        known_at = moment(known_at)
        with self._database.read() as connection:
            return _alerts.armings(connection, known_at)

    def alert_decisions(self, *, known_at: datetime | None = None) -> list[Decision]:
        known_at = moment(known_at)
        with self._database.read() as connection:
            return _alerts.decisions(connection, known_at)

    # care

    def prune_raw(
        self, sources: Collection[str], before: datetime, at: datetime, *, dry_run: bool = False
    ) -> Pruned:
        before, at = utc(before), utc(at)
        with self._database.write() as connection:
            return retention.prune(connection, sources, before, at, dry_run=dry_run, at_most=PRUNED_AT_ONCE)

    def tombstone(self, sha256: str) -> Tombstone | None:
        with self._database.read() as connection:
            return retention.tombstone(connection, sha256)

    def thin(self, before: datetime, at: datetime, *, dry_run: bool = False) -> Thinned:
        before, at = utc(before), utc(at)
        with self._database.write() as connection:
            at_most = None if dry_run else THINNED_AT_ONCE
            return thinned.thin(connection, before, at, dry_run=dry_run, at_most=at_most)

    def thinnings(self) -> list[Thinning]:
        with self._database.read() as connection:
            return thinned.thinnings(connection)

    def prune_letters(self, before: datetime, *, dry_run: bool = False) -> int:
        before = utc(before)
        with self._database.write() as connection:
            return outbox.prune(connection, before, dry_run=dry_run)

    def make_room(self, at: datetime) -> list[str]:
        at = utc(at)
        if self._database.sqlite:
            return []
        with self._database.write() as connection:
            return partitions.make_ahead(connection, at)

    def counts(self) -> dict[str, int]:
        with self._database.read() as connection:
            return care.counts(connection)

    def check(self) -> list[str]:
        with self._database.read() as connection:
            return care.check(connection)

    def backup(self, target: Path) -> dict[str, int]:
        return care.backup(self._database, target)

    def close(self) -> None:
        self._beacon.close()
        self._database.close()
