"""A real store that forgets when the process ends: for dry runs, tests, and as the reference.

It keeps whole timelines (``storage.decide``), so what it answers is the definition of what ``SqlStore``
must answer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Generic, TypeVar

from questions.evidence import Judgement
from questions.receipts import QuestionVersion, Receipt
from questions.records import (
    Forecast,
    Measurement,
    QuestionHealth,
    QuestionInfo,
    Resolution,
    Score,
    SeriesVersion,
    Snapshot,
    StreamKey,
)
from questions.time import utc
from storage.alerting import Alert, AlertBook, Arming, Decision, in_time
from storage.border import admit, admit_version, keepable, moment
from storage.decide import (
    Said,
    Spell,
    Stretch,
    Timeline,
    Word,
    changes,
    confirmed,
    in_order,
    in_sight,
    joined,
    last_per_instant,
    last_said,
    lease_stands,
    may_claim,
    place,
    points,
    refuse_another,
    refuse_second_forecast,
    refuse_upside_down,
    same_version,
    standing,
    stretches,
    tally,
)
from storage.errors import IntegrityFailure, LeaseLost, StorageError
from storage.mailing import (
    OVER,
    Channel,
    Issue,
    Letter,
    LetterState,
    Recipient,
    in_turn,
    not_sending,
    settled,
    standing_recipients,
)
from storage.records import (
    DIGEST_IN_TEXT,
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
    digest,
)
from storage.store import DEFAULT_MAX_GAP
from storage.thinning import (
    Anchors,
    Mark,
    Thinned,
    Thinning,
    by_day,
    joined as joined_thinning,
    to_let_go,
    whole_days,
    written,
)

FactKey = tuple[str, ...]


@dataclass
class _Sighting:
    first: RawPayload
    seen_last: datetime

    def see(self, at: datetime) -> None:
        self.seen_last = max(self.seen_last, at)


@dataclass
class _Facts(Generic[Word]):
    """Words by what they are about."""

    said: dict[FactKey, list[Said[Word]]] = field(default_factory=dict)

    def put(self, key: FactKey, word: Word) -> int:
        return 1 if place(self.said.setdefault(key, []), word).added else 0

    def last(self, known_at: datetime | None) -> list[Said[Word]]:
        found = (last_said(self.said[key], known_at) for key in sorted(self.said))
        return [said for said in found if said is not None]

    def rows(self) -> int:
        return sum(len(said) for said in self.said.values())

    def payloads(self) -> Iterator[str | None]:
        for said in self.said.values():
            yield from (one.word.payload_sha256 for one in said)


Kept = TypeVar("Kept", QuestionVersion, Judgement, Receipt, OrderingRecord)
OfQuestion = TypeVar("OfQuestion", QuestionVersion, Judgement, Receipt)


@dataclass
class _Added(Generic[Kept]):
    """Records that are only ever added, by their key, whose last part is the time."""

    what: str
    key: tuple[str, ...]
    rows: dict[tuple[object, ...], Kept] = field(default_factory=dict)

    def add(self, records: Iterable[Kept]) -> int:
        fresh: dict[tuple[object, ...], Kept] = {}
        for record in map(admit, records):
            key = tuple(getattr(record, name) for name in self.key)
            standing = self.rows.get(key) or fresh.setdefault(key, record)
            refuse_another(standing, record, self.what)
        self.rows.update(fresh)
        return len(fresh)

    def kept(self, known_at: datetime | None) -> list[Kept]:
        """Those known by then, by time and key."""
        time, at = self.key[-1], moment(known_at)
        found = [row for row in self.rows.values() if at is None or getattr(row, time) <= at]
        names = (time, *self.key)
        return sorted(found, key=lambda row: [getattr(row, name) for name in names])


def _of(question: str | None, rows: Iterable[OfQuestion]) -> list[OfQuestion]:
    return [row for row in rows if question in (None, row.question)]


def _mark(spell: Spell, named: set[str]) -> Mark:
    one = spell.first
    number = one.probability if one.probability is not None else one.value
    return Mark(*spell.order, spell.seen_last, number, one.payload_sha256 in named)


class MemoryStore:
    """The Store Protocol in memory; see ``storage.store`` for what each method promises."""

    def __init__(self, max_gap: timedelta = DEFAULT_MAX_GAP) -> None:
        self.max_gap = max_gap
        self._bodies: dict[str, bytes] = {}
        self._tombstones: dict[str, Tombstone] = {}
        self._sightings: dict[tuple[str, str, str], _Sighting] = {}
        self._streams: dict[StreamKey, Timeline] = {}
        self._series: dict[str, dict[datetime, list[SeriesVersion]]] = {}
        self._resolutions: _Facts[Resolution] = _Facts()
        self._infos: _Facts[QuestionInfo] = _Facts()
        self._healths: _Facts[QuestionHealth] = _Facts()
        self._drifts: dict[tuple[str, str, str, str], Drift] = {}
        self._forecasts: dict[tuple[str, str, str, datetime], Forecast] = {}
        self._scores: dict[tuple[object, ...], Score] = {}
        self._versions: _Added[QuestionVersion] = _Added("version", ("question", "seen_at"))
        self._judgements: _Added[Judgement] = _Added("judgement", ("question", "judge", "made_at"))
        self._receipts: _Added[Receipt] = _Added("receipt", ("question", "version", "made_at"))
        self._orderings: _Added[OrderingRecord] = _Added("ordering", ("grain", "settings", "at", "made_at"))
        self._quarantine: dict[tuple[str, str], Quarantined] = {}
        self._runs: dict[tuple[str, datetime], Run] = {}
        self._gaps: dict[tuple[str, datetime], Gap] = {}
        self._health: dict[str, SourceHealth] = {}
        self._validators: dict[str, Validator] = {}
        self._letters: dict[str, Letter] = {}
        self._issues: dict[tuple[str, str], Issue] = {}
        self._recipients: list[Recipient] = []
        self._book = AlertBook()
        self._thinnings: dict[tuple[StreamKey, str], Thinning] = {}
        self._leases: dict[str, Lease] = {}
        self._fence: Lease | None = None

    def together(self) -> AbstractContextManager[None]:
        return nullcontext()

    # raw payloads

    def put_raw(self, payload: RawPayload) -> str:
        self._writes()
        payload = admit(payload)
        sha256 = payload.sha256
        self._bodies.setdefault(sha256, payload.body)
        self._tombstones.pop(sha256, None)
        key = (payload.source, payload.url, sha256)
        sighting = self._sightings.get(key)
        if sighting is None:
            self._sightings[key] = _Sighting(payload, payload.fetched_at)
        elif payload.fetched_at < sighting.first.fetched_at:
            sighting.first = payload
        else:
            sighting.see(payload.fetched_at)
        return sha256

    def get_raw(self, sha256: str) -> RawPayload | None:
        found = [sighting.first for key, sighting in self._sightings.items() if key[2] == sha256]
        if not found or sha256 in self._tombstones:
            return None
        if digest(self._bodies[sha256]) != sha256:
            raise IntegrityFailure(f"payload {sha256} does not hash to its address")
        return min(found, key=lambda payload: (payload.fetched_at, payload.source, payload.url))

    def raw_names(self, start: str, at_most: int = 10) -> list[str]:
        return sorted({key[2] for key in self._sightings if key[2].startswith(start)})[:at_most]

    def raw_payloads(self, source: str | None = None, since: datetime | None = None) -> Iterator[RawPayload]:
        since = moment(since)
        found = {
            (at, key)
            for key, sighting in self._sightings.items()
            for at in (sighting.first.fetched_at, sighting.seen_last)
            if source in (None, key[0]) and (since is None or at >= since) and key[2] not in self._tombstones
        }
        return iter([replace(self._sightings[key].first, fetched_at=at) for at, key in sorted(found)])

    def sight(self, source: str, url: str, sha256: str, at: datetime) -> None:
        self._writes()
        at = utc(at)
        sighting = self._sightings.get((source, url, sha256))
        if sighting is None:
            raise StorageError(
                f"{source}: payload {sha256} was never stored for {url}, so it was not seen again"
            )
        sighting.see(at)

    # append

    def append(self, batch: Batch) -> AppendReport:
        self._writes()
        streams: dict[StreamKey, list[Snapshot]] = defaultdict(list)
        for snapshot in batch.values():
            streams[admit(snapshot.key)].append(snapshot)
        versions = [admit_version(version) for version in batch.versions]
        resolutions = [admit(resolution) for resolution in batch.resolutions]
        infos = [admit(info) for info in batch.infos]
        healths = [admit(health) for health in batch.healths]
        report = AppendReport()
        for key, arriving in streams.items():
            arriving = [s if s.key == key else replace(s, key=key) for s in arriving]
            timeline = self._streams.setdefault(key, Timeline(self.max_gap))
            before = timeline.fresh
            timeline.take(arriving)
            new = timeline.fresh - before
            report += AppendReport(snapshots_new=new, snapshots_unchanged=len(arriving) - new)
        for version in versions:
            report += self._append_version(version)
        for word in sorted(resolutions, key=lambda word: word.fetched_at):
            key_of = (word.source, word.platform, word.external_id, word.outcome)
            report += AppendReport(resolutions_new=self._resolutions.put(key_of, word))
        for info in sorted(infos, key=lambda info: info.fetched_at):
            self._infos.put((info.source, info.platform, info.external_id), info)
        for health in sorted(healths, key=lambda health: health.fetched_at):
            self._healths.put((health.source, health.platform, health.external_id), health)
        return report

    def _append_version(self, version: SeriesVersion) -> AppendReport:
        readings = self._series.setdefault(version.series, {})
        told = readings.setdefault(version.fetched_at, [])
        if any(same_version(version, other) for other in told):
            return AppendReport()
        earlier = [at for at in readings if at <= version.fetched_at and readings[at]]
        before = points(readings[max(earlier)][-1].measurements) if earlier else {}
        told.append(version)
        new, revised = tally(before, points(version.measurements))
        return AppendReport(measurements_new=new, measurements_revised=revised)

    def add_forecasts(self, forecasts: Iterable[Forecast]) -> int:
        self._writes()
        fresh: dict[tuple[str, str, str, datetime], Forecast] = {}
        for forecast in map(admit, forecasts):
            key = (forecast.question, forecast.outcome, forecast.forecaster, forecast.made_at)
            known = fresh.get(key) or self._forecasts.get(key)
            refuse_second_forecast(known, forecast)
            if known is None:
                fresh[key] = forecast
        self._forecasts.update(fresh)
        return len(fresh)

    def add_scores(self, scores: Iterable[Score]) -> int:
        self._writes()
        before = len(self._scores)
        for score in map(admit, scores):
            key = (
                score.question,
                score.outcome,
                score.forecaster,
                score.made_at,
                score.rule,
                score.score_version,
            )
            self._scores.setdefault(key, score)
        return len(self._scores) - before

    def add_question_versions(self, versions: Iterable[QuestionVersion]) -> int:
        self._writes()
        return self._versions.add(versions)

    def add_judgements(self, judgements: Iterable[Judgement]) -> int:
        self._writes()
        return self._judgements.add(judgements)

    def add_receipts(self, receipts: Iterable[Receipt]) -> int:
        self._writes()
        return self._receipts.add(receipts)

    def add_orderings(self, records: Iterable[OrderingRecord]) -> int:
        self._writes()
        return self._orderings.add(records)

    # read: community values

    def streams(self, platform: str | None = None, external_id: str | None = None) -> list[StreamKey]:
        return sorted(
            key
            for key in self._streams
            if platform in (None, key.platform) and external_id in (None, key.external_id)
        )

    def history(
        self, key: StreamKey, *, known_at: datetime | None = None, start: datetime | None = None
    ) -> list[Observation]:
        known_at, start = moment(known_at), moment(start)
        timeline = self._streams.get(admit(key))
        spells = timeline.spells if timeline else ()
        known = [spell for spell in spells if known_at is None or spell.seen_first <= known_at]
        told = last_per_instant(known)
        before = 0 if start is None else sum(spell.as_of <= start for spell in told) - 1
        return [spell.observation(known_at) for spell in told[max(before, 0) :]]

    def revisions(self, key: StreamKey) -> list[Observation]:
        timeline = self._streams.get(admit(key))
        return [spell.observation() for spell in timeline.spells] if timeline else []

    def latest(
        self, keys: Sequence[StreamKey] | None = None, *, known_at: datetime | None = None
    ) -> dict[StreamKey, Observation]:
        known_at = moment(known_at)
        found: dict[StreamKey, Observation] = {}
        for key in self.streams() if keys is None else sorted(map(admit, keys)):
            values = self.history(key, known_at=known_at)
            if values:
                found[key] = values[-1]
        return found

    # read: the series

    def series_ids(self) -> list[str]:
        return sorted(self._series)

    def _looks(self, series: str, known_at: datetime | None) -> list[Stretch[int]]:
        """Run lengths of the readings in force, each named by the position of its first appearance."""
        readings = self._series.get(series, {})
        looks: list[tuple[datetime, int]] = []
        named: list[SeriesVersion] = []
        for at in sorted(readings):
            if known_at is not None and at > known_at:
                break
            version = readings[at][-1]
            name = next((i for i, other in enumerate(named) if same_version(other, version)), len(named))
            if name == len(named):
                named.append(version)
            looks.append((at, name))
        return stretches(looks)

    def versions(self, series: str, *, known_at: datetime | None = None) -> list[VersionInfo]:
        readings = self._series.get(series, {})
        found: list[VersionInfo] = []
        for look in self._looks(series, moment(known_at)):
            version = readings[look.first][-1]
            published = dict(version.published)
            found.append(
                VersionInfo(series, version.payload_sha256, look.first, look.last, look.n, published)
            )
        sighted: dict[str, datetime] = {}
        for (_, _, sha256), sighting in self._sightings.items():
            sighted[sha256] = max(sighting.seen_last, sighted.get(sha256, sighting.seen_last))
        return confirmed(found, sighted, moment(known_at))

    def measurements(
        self, series: str, metric: str | None = None, *, known_at: datetime | None = None
    ) -> list[Measurement]:
        looks = self._looks(series, moment(known_at))
        if not looks:
            return []
        version = self._series[series][looks[-1].first][-1]
        return in_order(point for point in version.measurements if metric in (None, point.metric))

    def series_diff(self, series: str, earlier: datetime, later: datetime) -> list[Change]:
        before = self.measurements(series, known_at=earlier)
        return changes(points(before), points(self.measurements(series, known_at=later)))

    # read: the rest

    def resolutions(self, *, known_at: datetime | None = None) -> list[Resolution]:
        return [said.word for said in self._resolutions.last(moment(known_at))]

    def infos(self, *, known_at: datetime | None = None) -> list[QuestionInfo]:
        return [said.word for said in self._infos.last(moment(known_at))]

    def question_health(self, *, known_at: datetime | None = None) -> list[Standing]:
        return standing(self._healths.last(moment(known_at)))

    def forecasts(self, *, known_at: datetime | None = None) -> list[Forecast]:
        known_at = moment(known_at)
        found = [f for f in self._forecasts.values() if known_at is None or f.made_at <= known_at]
        return sorted(found, key=lambda f: (f.made_at, f.question, f.outcome, f.forecaster))

    def scores(self) -> list[Score]:
        return sorted(
            self._scores.values(),
            key=lambda s: (s.question, s.outcome, s.forecaster, s.made_at, s.rule, s.score_version),
        )

    def question_versions(
        self, question: str | None = None, *, known_at: datetime | None = None
    ) -> list[QuestionVersion]:
        return _of(question, self._versions.kept(known_at))

    def judgements(self, question: str | None = None, *, known_at: datetime | None = None) -> list[Judgement]:
        return _of(question, self._judgements.kept(known_at))

    def receipts(self, question: str | None = None, *, known_at: datetime | None = None) -> list[Receipt]:
        return _of(question, self._receipts.kept(known_at))

    def orderings(
        self,
        grain: Grain,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        settings: str | None = None,
        known_at: datetime | None = None,
    ) -> list[OrderingRecord]:
        since, until = moment(since), moment(until)
        found = [
            one
            for one in self._orderings.kept(known_at)
            if one.grain is grain
            and settings in (None, one.settings)
            and (since is None or one.at >= since)
            and (until is None or one.at <= until)
        ]
        return sorted(found, key=lambda one: (one.at, one.made_at, one.settings))

    # quarantine

    def quarantine(self, entry: Quarantined) -> None:
        self._writes()
        entry = admit(entry)
        self._quarantine.setdefault((entry.payload_sha256, entry.parser_version), entry)

    def quarantined(self, *, unresolved_only: bool = True) -> list[Quarantined]:
        found = [e for e in self._quarantine.values() if not (unresolved_only and e.resolved_at)]
        return sorted(found, key=lambda e: (e.at, e.payload_sha256, e.parser_version))

    def release(self, payload_sha256: str, at: datetime) -> None:
        self._writes()
        at = utc(at)
        for key, entry in self._quarantine.items():
            if entry.payload_sha256 == payload_sha256 and entry.resolved_at is None:
                self._quarantine[key] = replace(entry, resolved_at=at)

    # operations

    def begin_run(self, job: str, slot: datetime, at: datetime) -> bool:
        self._writes()
        claim = admit(Run(job, slot, RunState.RUNNING, at))
        if not may_claim(self._runs.get((claim.job, claim.slot)), claim.started_at):
            return False
        self._runs[claim.job, claim.slot] = claim
        return True

    def end_run(self, run: Run) -> None:
        self._writes()
        run = admit(run)
        self._runs[run.job, run.slot] = run

    def runs(self, job: str | None = None, since: datetime | None = None) -> list[Run]:
        since = moment(since)
        found = [
            r for r in self._runs.values() if job in (None, r.job) and (since is None or r.slot >= since)
        ]
        return sorted(found, key=lambda r: (r.slot, r.job))

    def take_lease(self, name: str, holder: str, at: datetime, term: timedelta) -> Lease | None:
        asked = admit(Lease(name, holder, 1, at))
        known = self._leases.get(asked.name)
        if known is not None and known.holder != asked.holder:
            if lease_stands(known, asked.expires_at, term):
                return None
            asked = replace(asked, token=known.token + 1)
        elif known is not None:
            asked = replace(asked, token=known.token)
        self._leases[asked.name] = replace(asked, expires_at=asked.expires_at + term)
        return self._leases[asked.name]

    def lease(self, name: str) -> Lease | None:
        return self._leases.get(name)

    def give_up_lease(self, lease: Lease) -> None:
        known = self._leases.get(lease.name)
        if known is not None and (known.holder, known.token) == (lease.holder, lease.token):
            self._leases[lease.name] = replace(known, holder="")

    def fence(self, lease: Lease | None) -> None:
        self._fence = lease

    def _writes(self) -> None:
        """Raise LeaseLost when this object's lease is no longer the last one given."""
        if self._fence is None:
            return
        known = self._leases.get(self._fence.name)
        if known is None or (known.holder, known.token) != (self._fence.holder, self._fence.token):
            raise LeaseLost(f"{self._fence.holder} no longer leads: nothing is written under its old lease")

    def add_gap(self, gap: Gap) -> None:
        self._writes()
        gap = admit(gap)
        refuse_upside_down(gap)
        known = self._gaps.get((gap.source, gap.start))
        if known is None or gap.end > known.end:
            self._gaps[gap.source, gap.start] = gap

    def gaps(self, source: str | None = None) -> list[Gap]:
        return [self._gaps[key] for key in sorted(self._gaps) if source in (None, key[0])]

    def health(self) -> dict[str, SourceHealth]:
        return {source: self._health[source] for source in sorted(self._health)}

    def set_health(self, health: SourceHealth) -> None:
        self._writes()
        health = admit(health)
        self._health[health.source] = health

    def add_drifts(self, drifts: Iterable[Drift]) -> list[Drift]:
        self._writes()
        new = []
        for drift in map(admit, drifts):
            key = (drift.source, drift.place, drift.kind.value, drift.detail)
            if key not in self._drifts:
                new.append(drift)
            self._drifts[key] = joined(self._drifts.get(key), drift)
        return new

    def drifts(self, source: str | None = None, *, known_at: datetime | None = None) -> list[Drift]:
        found = [drift for drift in self._drifts.values() if source in (None, drift.source)]
        return in_sight(found, moment(known_at))

    def validator(self, url: str) -> Validator | None:
        return self._validators.get(url)

    def set_validator(self, validator: Validator) -> None:
        self._writes()
        validator = admit(validator)
        self._validators[validator.url] = validator

    # alerts

    def keep_alerts(self, alerts: Iterable[Alert], armings: Iterable[Arming]) -> int:
        self._writes()
        return self._book.keep(alerts, armings)

    def decide_alerts(self, decisions: Iterable[Decision]) -> int:
        self._writes()
        return self._book.decide(decisions)

    def alerts(self, signal: str | None = None, *, known_at: datetime | None = None) -> list[Alert]:
        at = moment(known_at)
        found = [
            one
            for one in self._book.alerts.values()
            if signal in (None, one.signal) and (at is None or one.at <= at)
        ]
        return sorted(found, key=in_time)

    def armings(self, *, known_at: datetime | None = None) -> dict[str, Arming]:
        return self._book.last_armings(moment(known_at))

    def alert_decisions(self, *, known_at: datetime | None = None) -> list[Decision]:
        at = moment(known_at)
        found = [one for one in self._book.decisions.values() if at is None or one.at <= at]
        return sorted(found, key=in_time)

    # mail

    def queue_letters(self, letters: Iterable[Letter]) -> int:
        self._writes()
        before = len(self._letters)
        for letter in letters:
            self._letters.setdefault(letter.key, letter)
        return len(self._letters) - before

    def claim_letter(self, channel: Channel, at: datetime) -> Letter | None:
        self._writes()
        at = utc(at)
        due = [
            letter
            for letter in self.letters(state=LetterState.QUEUED)
            if letter.channel is channel and letter.next_try_at is not None and letter.next_try_at <= at
        ]
        if not due:
            return None
        claimed = replace(due[0], state=LetterState.SENDING, attempts=due[0].attempts + 1, changed_at=at)
        self._letters[claimed.key] = claimed
        return claimed

    def settle_letter(
        self, key: str, state: LetterState, at: datetime, outcome: str, next_try_at: datetime | None = None
    ) -> Letter:
        self._writes()
        letter = self._letters.get(key)
        if letter is None or letter.state is not LetterState.SENDING:
            raise not_sending(key)
        self._letters[key] = settled(letter, state, utc(at), outcome, moment(next_try_at))
        return self._letters[key]

    def move_letters(
        self,
        before: LetterState,
        after: LetterState,
        at: datetime,
        *,
        channel: Channel | None = None,
        expired: bool = False,
    ) -> int:
        self._writes()
        at = utc(at)
        moved = [
            letter
            for letter in self.letters(state=before)
            if channel in (None, letter.channel) and (not expired or letter.expires_at <= at)
        ]
        self._letters.update({one.key: replace(one, state=after, changed_at=at) for one in moved})
        return len(moved)

    def letters(
        self,
        *,
        state: LetterState | None = None,
        kind: str | None = None,
        period: str | None = None,
        address: str | None = None,
    ) -> list[Letter]:
        found = [
            letter
            for letter in self._letters.values()
            if state in (None, letter.state)
            and kind in (None, letter.kind)
            and period in (None, letter.period)
            and address in (None, letter.address)
        ]
        return sorted(found, key=in_turn)

    def next_letter_at(self, channel: Channel) -> datetime | None:
        mine = [letter for letter in self._letters.values() if letter.channel is channel]
        queued = [letter.next_try_at for letter in mine if letter.state is LetterState.QUEUED]
        sending = [letter.changed_at for letter in mine if letter.state is LetterState.SENDING]
        return min((at for at in (*queued, *sending) if at is not None), default=None)

    def letter_counts(self) -> dict[tuple[Channel, LetterState], int]:
        return dict(Counter((letter.channel, letter.state) for letter in self._letters.values()))

    def add_issue(self, issue: Issue) -> bool:
        self._writes()
        return self._issues.setdefault((issue.week, issue.sha256), issue) is issue

    def issues(self, week: str | None = None) -> list[Issue]:
        found = [issue for issue in self._issues.values() if week in (None, issue.week)]
        return sorted(found, key=lambda one: (one.week, one.made_at, one.sha256))

    def issue_weeks(self) -> list[str]:
        return sorted({week for week, _ in self._issues})

    def add_recipient(self, recipient: Recipient) -> None:
        self._writes()
        self._recipients.append(recipient)

    def recipients(self) -> list[Recipient]:
        return standing_recipients(self._recipients)

    def recipient_history(self, address: str) -> list[Recipient]:
        return [one for one in self._recipients if one.address == keepable(address)]

    # care

    def prune_raw(
        self, sources: Collection[str], before: datetime, at: datetime, *, dry_run: bool = False
    ) -> Pruned:
        self._writes()
        before = utc(before)
        kept = {sha256 for sha256 in self._mentioned() if sha256} | self._ends_of_days()
        for record in (
            *self._receipts.rows.values(),
            *self._judgements.rows.values(),
            *self._versions.rows.values(),
            *self._orderings.rows.values(),
            *self._issues.values(),
            *self._letters.values(),
        ):
            kept.update(DIGEST_IN_TEXT.findall(repr(record)))
        for (source, _, sha256), sighting in self._sightings.items():
            if source not in sources or sighting.seen_last >= before:
                kept.add(sha256)
        gone = {sha256 for _, _, sha256 in self._sightings} - kept - self._tombstones.keys()
        size = sum(len(self._bodies[sha256]) for sha256 in gone)
        for sha256 in gone if not dry_run else ():
            self._tombstones[sha256] = Tombstone(sha256, len(self._bodies.pop(sha256)), utc(at))
        return Pruned(len(gone), size, size)

    def thin(self, before: datetime, at: datetime, *, dry_run: bool = False) -> Thinned:
        self._writes()
        before, at, anchors, named = whole_days(utc(before)), utc(at), self._anchors(), self._named()
        values = streams = 0
        for key, timeline in sorted(self._streams.items()):
            marks = [_mark(spell, named) for spell in timeline.spells if spell.as_of < before]
            if not marks:
                continue
            gone = to_let_go(by_day(marks), marks[0].order, before, *anchors.of(key))
            values, streams = values + len(gone), streams + bool(gone)
            if gone and not dry_run:
                left = {mark.order for mark in gone}
                kept = [spell for spell in timeline.spells if spell.order not in left]
                self._streams[key] = Timeline(self.max_gap, kept)
                told = written(key, gone, at)
                self._thinnings[key, told.rule] = joined_thinning(self._thinnings.get((key, told.rule)), told)
        return Thinned(values, streams)

    def _anchors(self) -> Anchors:
        anchors = Anchors()
        for one in self._orderings.rows.values():
            anchors.general.update((one.at, one.known_at))
        anchors.general.update(alert.at for alert in self._book.alerts.values())
        for receipt in self._receipts.rows.values():
            anchors.general.update(at for at in (receipt.known_at, receipt.resolved_at) if at is not None)
        anchors.general.update(version.seen_at for version in self._versions.rows.values())
        for issue in self._issues.values():
            anchors.digest(issue.as_of)
        for score in self._scores.values():
            anchors.score(score.question, score.made_at)
        for infos in self._infos.said.values():
            for info in infos:
                anchors.close((info.word.platform, info.word.external_id), info.word.closes_at)
        for words in self._resolutions.said.values():
            for said in words:
                anchors.close((said.word.platform, said.word.external_id), said.word.resolved_at)
        return anchors

    def _named(self) -> set[str]:
        """What any record that is kept names as where it comes from, values apart."""
        records = (
            *self._receipts.rows.values(),
            *self._judgements.rows.values(),
            *self._versions.rows.values(),
            *(one.payload for one in self._orderings.rows.values()),
            *self._issues.values(),
            *self._letters.values(),
            *self._book.alerts.values(),
        )
        return {sha256 for one in records for sha256 in DIGEST_IN_TEXT.findall(repr(one))}

    def thinnings(self) -> list[Thinning]:
        return sorted(self._thinnings.values(), key=lambda one: (one.key, one.rule))

    def prune_letters(self, before: datetime, *, dry_run: bool = False) -> int:
        self._writes()
        before = utc(before)
        over = [
            one
            for one in self._letters.values()
            if one.state in OVER
            and one.changed_at is not None
            and max(one.changed_at, one.expires_at) < before
            and (one.shared or one.own)
        ]
        if not dry_run:
            self._letters.update({one.key: replace(one, shared=b"", own=()) for one in over})
        return len(over)

    def _ends_of_days(self) -> set[str]:
        days: dict[tuple[str, str, date], list[tuple[datetime, str]]] = defaultdict(list)
        for (source, url, sha256), sighting in self._sightings.items():
            for at in (sighting.first.fetched_at, sighting.seen_last):
                days[source, url, at.date()].append((at, sha256))
        return {sha256 for seen in days.values() for _, sha256 in (min(seen), max(seen))}

    def tombstone(self, sha256: str) -> Tombstone | None:
        return self._tombstones.get(sha256)

    def make_room(self, at: datetime) -> list[str]:
        return []

    def counts(self) -> dict[str, int]:
        return {
            "digest": len(self._issues),
            "alert": len(self._book.alerts),
            "alert_arming": len(self._book.armings),
            "alert_decision": len(self._book.decisions),
            "drift": len(self._drifts),
            "forecast": len(self._forecasts),
            "gap": len(self._gaps),
            "http_validator": len(self._validators),
            "judgement": len(self._judgements.rows),
            "lease": len(self._leases),
            "observation": sum(len(timeline.spells) for timeline in self._streams.values()),
            "ordering": len(self._orderings.rows),
            "outbox": len(self._letters),
            "outbox_part": len({letter.shared for letter in self._letters.values()}),
            "payload": len(self._bodies) + len(self._tombstones),
            "quarantine": len(self._quarantine),
            "question_health": self._healths.rows(),
            "question_version": len(self._versions.rows),
            "receipt": len(self._receipts.rows),
            "recipient": len(self._recipients),
            "question_info": self._infos.rows(),
            "resolution": self._resolutions.rows(),
            "run": len(self._runs),
            "score": len(self._scores),
            "series": len(self._series),
            "sighting": len(self._sightings),
            "source_health": len(self._health),
            "stream": len(self._streams),
            "thinning": len(self._thinnings),
            "tombstone": len(self._tombstones),
        }

    def check(self) -> list[str]:
        problems = [
            f"payload {sha256} does not hash to its address"
            for sha256, body in self._bodies.items()
            if digest(body) != sha256
        ]
        there = self._bodies.keys() | self._tombstones.keys()
        missing = sorted({sha256 for sha256 in self._mentioned() if sha256 and sha256 not in there})
        return problems + [f"payload {sha256} is named by records but is not stored" for sha256 in missing]

    def _mentioned(self) -> Iterator[str | None]:
        for timeline in self._streams.values():
            yield from (spell.first.payload_sha256 for spell in timeline.spells)
        for readings in self._series.values():
            yield from (version.payload_sha256 for told in readings.values() for version in told)
        yield from self._resolutions.payloads()
        yield from self._infos.payloads()
        yield from self._healths.payloads()
        yield from (drift.payload_sha256 for drift in self._drifts.values())
        yield from (entry.payload_sha256 for entry in self._quarantine.values())
        yield from (validator.payload_sha256 for validator in self._validators.values())

    def backup(self, target: Path) -> dict[str, int]:
        raise StorageError(f"a store in memory has nothing to back up to {target}")

    def close(self) -> None:
        """Nothing to let go of."""
