"""The daemon's jobs: polls; daily resolving, estimates, scores and backup; weekly comparing and check."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from questions.catalogue import Catalogue
from questions.question import Question
from storage.errors import StorageError
from storage.records import RunState
from storage.store import Store
from tracker.collect import Fetcher
from tracker.config import DaemonSettings, Settings
from tracker.daemon.asking import Probing, held_until, tries
from tracker.errors import Stopped
from tracker.jobs import poll_job
from tracker.resolving import every_question, resolve_all
from tracker.schedule import Every, LocalTime
from tracker.source import Source
from tracker.sources import SOURCES
from tracker.work import Done, Job

STAMP = "%Y%m%dT%H%M%SZ"
_BACKUP = re.compile(r"speedup-(\d{8}T\d{6}Z)\.sqlite")
LEAST_FREE = 64 * 2**20
SPARE = 1.2  # a backup is begun with so many times the database's size free
KEYLESS_AGAIN = timedelta(hours=1)


def poll_jobs(
    sources: Iterable[Source],
    catalogue: Catalogue,
    settings: Settings,
    *,
    client: Fetcher,
    probe: Fetcher,
    now: Callable[[], datetime],
    stop: threading.Event,
) -> tuple[Job, ...]:
    """A job per source. A source that is down is found out with few requests, and asked again after a while."""

    def job_of(source: Source) -> Job:
        name = source.traits.name

        def polling(asking: Fetcher) -> Job:
            return poll_job(source, catalogue, client=asking, settings=settings, now=now)

        def run(store: Store, slot: datetime) -> Done:
            known = store.health().get(name)
            chances = tries(known.failures if known is not None else 0, client, probe)
            return polling(Probing(chances, client, stop)).run(store, slot)

        def held(store: Store) -> datetime | None:
            if source.traits.secret_required and settings.secret_of(source.traits.secret) is None:
                runs = store.runs(f"poll:{name}")
                told = runs[-1].finished_at if runs else None
                return None if told is None else told + KEYLESS_AGAIN
            return held_until(store.health().get(name))

        return replace(polling(client), run=run, held=held)

    return tuple(job_of(source) for source in sources)


def resolve_job(questions: Mapping[str, Question], now: Callable[[], datetime]) -> Job:
    """The batteries, then our own questions against what is known: daily; nothing known is stored again."""

    def run(store: Store, _slot: datetime) -> Done:
        from tracker.batteries import evaluate

        at = now()
        with store.together():
            asked = every_question(store, questions)
            read = evaluate(store, asked, at, keep=True)
            found = resolve_all(store, asked, at, at, keep=True)
        said = f"{sum(one.new for one in found)} new receipts, {sum(one.new for one in read)} batteries read anew"
        return Done(RunState.DONE, said)

    return Job("resolve", Every("resolve", timedelta(days=1)), run, lane="resolve")


def own_jobs(catalogue: Catalogue, now: Callable[[], datetime], stop: threading.Event) -> tuple[Job, ...]:
    """The jobs that work on what is stored, without asking anybody."""
    return (
        resolve_job(catalogue.questions, now),
        estimates_job(catalogue, now),
        compare_job(catalogue, now, stop),
        *score_jobs(catalogue, now),
    )


def compare_job(catalogue: Catalogue, now: Callable[[], datetime], stop: threading.Event) -> Job:
    """The week that is over, and what weeks before it are missing, each as known at its end."""

    def run(store: Store, slot: datetime) -> Done:
        from tracker.history import keep_weeks
        from tracker.orderings import ModelOptions

        made = keep_weeks(catalogue, store, ModelOptions(), until=slot, made_at=now(), stopped=stop.is_set)
        if stop.is_set():
            raise Stopped("the weeks that are left come the next time")
        return Done(RunState.DONE, f"{len(made)} new weeks")

    return Job("compare", LocalTime.parse("mon 00:00 UTC"), run, lane="compare")


def estimates_job(catalogue: Catalogue, now: Callable[[], datetime]) -> Job:
    """What the voices say, and the model's forecasts on our ordering questions: daily, where something is new."""

    def run(store: Store, slot: datetime) -> Done:
        from tracker.history import keep_day, keep_model, model_says
        from tracker.orderings import ModelOptions, ordering_thresholds

        at, options = now(), ModelOptions()
        new = keep_model(
            store, model_says(catalogue, store, options, ordering_thresholds(catalogue), made_at=at)
        )
        day = keep_day(catalogue, store, options, at=slot, made_at=at)
        said = "the voices' orders kept" if day is not None else "the voices say what they said"
        return Done(RunState.DONE, f"{new} new forecasts of the model; {said}")

    return Job("estimates", Every("estimates", timedelta(days=1)), run, lane="compare")


def score_jobs(catalogue: Catalogue, now: Callable[[], datetime]) -> tuple[Job, ...]:
    """Daily: the score of every forecast that counts, and the record of each month that is over.

    A month's record is what was known at its end, so that it does not matter when after that it is made.
    """

    def scores(store: Store, _slot: datetime) -> Done:
        from tracker.recorded import record_scores

        return Done(RunState.DONE, f"{record_scores(store, catalogue, now=now())} new scores")

    def history(store: Store, _slot: datetime) -> Done:
        from tracker.monthly import stored_history
        from tracker.scorecard import PAGE_LEAD_DAYS

        before = len(store.scores())
        for leads in (None, (PAGE_LEAD_DAYS,)):
            stored_history(store, catalogue, lead_days=leads, now=now())
        return Done(RunState.DONE, f"{len(store.scores()) - before} new entries")

    day = timedelta(days=1)
    return (
        Job("scores", Every("scores", day), scores, lane="scores"),
        Job("calibration", Every("calibration", day), history, lane="scores"),
    )


def chores(settings: Settings, database: Path | None) -> tuple[Job, ...]:
    """The jobs about the database itself. ``database``: the SQLite file, None elsewhere (then no backups)."""
    own = settings.daemon

    def look_over(store: Store, _slot: datetime) -> Done:
        return check_self(store, database)

    check = Job("check", LocalTime.parse(own.check_at), look_over, lane="check", late=timedelta(days=2))
    months = Job("months", Every("months", timedelta(days=1)), _make_room, lane="check")
    letting_go = Job("retention", Every("retention", timedelta(days=1)), retention(own), lane="check")
    every = (check, letting_go) if own.raw_days or own.thin_days or own.letter_days else (check,)
    if database is None:
        return (*every, months)
    folder = Path(own.backup_folder).expanduser() if own.backup_folder else database.parent / "backups"

    def back_up(store: Store, slot: datetime) -> Done:
        return backup(store, slot, database, folder, own)

    return (*every, Job("backup", LocalTime.parse(own.backup_at), back_up, lane="backup"))


def check_self(store: Store, database: Path | None) -> Done:
    """Every byte against its hash, every reference against what it names; and whether there is room to go on."""
    problems = store.check()
    if database is not None:
        problems += _room(database)
    if not problems:
        return Done(RunState.DONE)
    return Done(RunState.PARTIAL, f"{len(problems)} problems (`speedup db check`): {'; '.join(problems)}")


def _room(database: Path) -> list[str]:
    """Too little space for the database to grow by what a backup of it takes."""
    size, free = database.stat().st_size, shutil.disk_usage(database.parent).free
    if free >= max(SPARE * size, LEAST_FREE):
        return []
    return [f"{database.parent}: {free / 2**20:.0f} MiB free, the database has {size / 2**20:.0f} MiB"]


def _make_room(store: Store, slot: datetime) -> Done:
    return Done(RunState.DONE, ", ".join(store.make_room(slot)))


def retention(own: DaemonSettings) -> Callable[[Store, datetime], Done]:
    """Lets go of what the settings name, a part each day: values within days first, then payloads of platforms that
    nothing rests on (any more), then the bytes of letters that are over."""

    def run(store: Store, slot: datetime) -> Done:
        told: list[str] = []
        if own.thin_days:
            thinned = store.thin(slot - timedelta(days=own.thin_days), slot)
            rest = "; more to come" if thinned.more else ""
            told.append(f"{thinned.values} values of {thinned.streams} streams let go{rest}")
        if own.raw_days:
            gone = store.prune_raw(frozenset(SOURCES), slot - timedelta(days=own.raw_days), slot)
            rest = "; more to come" if gone.more else ""
            told.append(f"{gone.payloads} payloads of {gone.stored_bytes / 2**20:.1f} MiB let go{rest}")
        if own.letter_days:
            letters = store.prune_letters(slot - timedelta(days=own.letter_days))
            told.append(f"the bytes of {letters} letters let go")
        return Done(RunState.DONE, "; ".join(told))

    return run


def backup(store: Store, slot: datetime, database: Path, folder: Path, settings: DaemonSettings) -> Done:
    """A verified copy under the slot's name, then the old ones that nobody needs are removed."""
    target = folder / f"speedup-{slot.astimezone(UTC).strftime(STAMP)}.sqlite"
    if not target.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            size, free = database.stat().st_size, shutil.disk_usage(folder).free
        except OSError as error:
            return Done(RunState.FAILED, f"{folder}: {error.strerror}")
        if free < SPARE * size:
            short = f"{folder}: {free / 2**20:.0f} MiB free, {SPARE * size / 2**20:.0f} MiB needed"
            return Done(RunState.FAILED, short)
        try:
            store.backup(target)
        except StorageError as error:
            return Done(RunState.FAILED, str(error))
    removed = rotate(folder, settings.keep_daily, settings.keep_weekly)
    return Done(RunState.DONE, f"{target.name}; {removed} old ones removed" if removed else target.name)


def rotate(folder: Path, daily: int, weekly: int) -> int:
    """Keep the newest ``daily`` backups and the newest of each of the last ``weekly`` weeks that have one;
    returns how many were removed. Files of any other name are left alone."""
    stamps = {
        path: datetime.strptime(match[1], STAMP).replace(tzinfo=UTC)
        for path in folder.iterdir()
        if (match := _BACKUP.fullmatch(path.name))
    }
    gone = [path for path in stamps if path not in kept(stamps, daily, weekly)]
    for path in gone:
        path.unlink()
    return len(gone)


def kept(stamps: dict[Path, datetime], daily: int, weekly: int) -> set[Path]:
    """The backups that stay."""
    newest: Sequence[Path] = sorted(stamps, key=lambda path: stamps[path], reverse=True)
    weeks: dict[tuple[int, int], Path] = {}
    for path in newest:
        weeks.setdefault(stamps[path].isocalendar()[:2], path)
    return {*newest[:daily], *list(weeks.values())[:weekly]}
