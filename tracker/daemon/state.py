"""What is going on, told to whoever asks: systemd, a probe, a dashboard, ``/metrics``."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from storage.records import Run
from storage.store import Store
from tracker.daemon.asking import HourlyBudget
from tracker.work import Job, last_finished

DAY = timedelta(days=1)
Labels = tuple[tuple[str, str], ...]


@dataclass
class Watch:
    """The daemon's own pulse, in monotonic seconds: the last look at what is due that was begun (``begun_at``)
    and the last that went well (``tick_at``)."""

    monotonic: Callable[[], float] = time.monotonic
    started: float = 0.0
    begun_at: float = 0.0
    tick_at: float | None = None
    tick_failed: str = ""
    leading: bool = False
    leader: str = ""
    clock_suspect: bool = False
    running: dict[str, float] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    counts: Counter[tuple[str, Labels]] = field(default_factory=Counter)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.started = self.monotonic()

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        with self.lock:
            self.counts[name, tuple(sorted(labels.items()))] += amount

    def tick_age_s(self) -> float:
        """Seconds since the last look that went well, or since the start."""
        return self.monotonic() - (self.started if self.tick_at is None else self.tick_at)

    def stuck(self, job_limit_s: float) -> list[str]:
        """Jobs that have been at it for longer than they should, and how long. ``limits``: for some, their own."""
        with self.lock:
            taken = {name: self.monotonic() - since for name, since in sorted(self.running.items())}
        return [
            f"{name} has been under way for {seconds:.0f} s"
            for name, seconds in taken.items()
            if seconds > self.limits.get(name, job_limit_s)
        ]

    def troubles(self, tick_s: float, job_limit_s: float) -> list[str]:
        """Why this process should not be called well; empty when it should."""
        found = []
        if self.tick_at is None:
            found.append("no look at what is due has gone well yet" + self._why())
        elif self.tick_age_s() > 2 * tick_s:
            found.append(f"the last good look at what is due was {self.tick_age_s():.0f} s ago" + self._why())
        return found + self.stuck(job_limit_s)

    def _why(self) -> str:
        return f": {self.tick_failed}" if self.tick_failed else ""


def job_rows(jobs: Sequence[Job], store: Store, now: datetime) -> list[dict[str, Any]]:
    """Per job: last success, its age, how the last run ended, the next slot."""
    rows = []
    for job in jobs:
        runs = store.runs(job.name)
        good, last = last_finished(runs), max(runs, key=lambda run: run.slot, default=None)
        rows.append(
            {
                "job": job.name,
                "last_success": good.finished_at if good else None,
                "age_s": _age_s(good, now),
                "state": _state(job, good, last, store, now),
                "slot": last.slot if last else None,
                "message": last.message if last else "",
                "next_due": job.slots.after(now),
            }
        )
    return rows


def _state(job: Job, good: Run | None, last: Run | None, store: Store, now: datetime) -> str:
    """How the last run ended; ``late`` when all is well but for a whole slot having gone by without one, ``idle``
    when it has never run and is not to."""
    until = job.held(store) if job.held is not None else None
    held = until is not None and until > now
    if last is None:
        return "idle" if held else "never"
    before = job.slots.at(job.slots.at(now) - timedelta(microseconds=1))
    if good is last and last.slot < before and not held:
        return "late"
    return last.state.value


def _age_s(run: Run | None, now: datetime) -> float | None:
    return (
        None if run is None or run.finished_at is None else max(0.0, (now - run.finished_at).total_seconds())
    )


def source_rows(
    store: Store,
    jobs: Sequence[Job],
    now: datetime,
    periods: dict[str, timedelta],
    budget: HourlyBudget | None = None,
) -> list[dict[str, Any]]:
    """Per source: how it does, how old its word is against the promise of its period, when it is asked next."""
    health, rows = store.health(), []
    lately = Counter(key.source for key, seen in store.latest().items() if now - seen.seen_last <= DAY)
    for job in jobs:
        if job.source is None:
            continue
        known, period = health.get(job.source), periods[job.source]
        ok = known.last_ok_at if known else None
        rows.append(
            {
                "source": job.source,
                "state": known.state if known else "unknown",
                "last_success": ok,
                "last_attempt": known.last_attempt_at if known else None,
                "failures_in_a_row": known.failures if known else 0,
                "age_s": None if ok is None else max(0.0, (now - ok).total_seconds()),
                "stale": ok is None or now - ok > 2 * period,
                "period_s": period.total_seconds(),
                "not_before": job.held(store) if job.held is not None else None,
                "next_due": job.slots.after(now),
                "streams_24h": lately[job.source],
                "requests_last_hour": budget.spent(job.source) if budget else None,
                "requests_per_hour": budget.limit(job.source) if budget else None,
                "message": known.message if known else "",
            }
        )
    return rows


def status(
    watch: Watch,
    store: Store,
    jobs: Sequence[Job],
    now: datetime,
    troubles: Sequence[str],
    budget: HourlyBudget | None = None,
) -> dict[str, Any]:
    """The whole of ``/status.json``."""
    periods = {job.source: job.period for job in jobs if job.source is not None and job.period is not None}
    with watch.lock:
        running = {name: round(watch.monotonic() - since, 3) for name, since in watch.running.items()}
    return {
        "schema_version": 1,
        "at": now,
        "ready": not troubles,
        "troubles": list(troubles),
        "leading": watch.leading,
        "leader": watch.leader,
        "clock_suspect": watch.clock_suspect,
        "tick_age_s": round(watch.tick_age_s(), 3),
        "uptime_s": round(watch.monotonic() - watch.started, 3),
        "running": running,
        "sources": source_rows(store, jobs, now, periods, budget),
        "jobs": job_rows(jobs, store, now),
        "gaps": len(store.gaps()),
        "quarantined": len(store.quarantined()),
        "letters": {
            f"{channel.value} {state.value}": number
            for (channel, state), number in sorted(store.letter_counts().items())
        },
    }


HELP = {
    "speedup_up": ("gauge", "1 while the daemon answers."),
    "speedup_ready": ("gauge", "1 when all is well."),
    "speedup_leader": ("gauge", "1 on the instance that leads."),
    "speedup_clock_suspect": ("gauge", "1 while the wall clock is behind what was seen of it."),
    "speedup_tick_age_seconds": ("gauge", "Since the last good look at what is due."),
    "speedup_uptime_seconds": ("gauge", "Since the start."),
    "speedup_jobs_running": ("gauge", "Jobs under way."),
    "speedup_source_age_seconds": ("gauge", "Since the source last answered well."),
    "speedup_source_stale": ("gauge", "1 when it has not for two periods."),
    "speedup_source_failures": ("gauge", "Failed polls in a row."),
    "speedup_source_requests_last_hour": ("gauge", "Requests to the source in the last hour."),
    "speedup_source_streams_seen": ("gauge", "Streams of the source that were seen in the last day."),
    "speedup_job_age_seconds": ("gauge", "Since the job last finished."),
    "speedup_gaps": ("gauge", "Recorded stretches without observation."),
    "speedup_quarantined": ("gauge", "Payloads no parser could read."),
    "speedup_letters": ("gauge", "Letters in the outbox by channel and state."),
    "speedup_runs_total": ("counter", "Runs of jobs by how they ended."),
    "speedup_ticks_total": ("counter", "Looks at what is due, by outcome."),
    "speedup_scheduler_revivals_total": ("counter", "How often the ticker had died and was replaced."),
    "speedup_leader_changes_total": ("counter", "How often this instance took or lost the lead."),
}


def metrics(watch: Watch, document: dict[str, Any]) -> str:
    """The same for Prometheus (text format 0.0.4)."""
    values: list[tuple[str, Labels, float]] = [
        ("speedup_up", (), 1),
        ("speedup_ready", (), document["ready"]),
        ("speedup_leader", (), document["leading"]),
        ("speedup_clock_suspect", (), document["clock_suspect"]),
        ("speedup_tick_age_seconds", (), document["tick_age_s"]),
        ("speedup_uptime_seconds", (), document["uptime_s"]),
        ("speedup_jobs_running", (), len(document["running"])),
        ("speedup_gaps", (), document["gaps"]),
        ("speedup_quarantined", (), document["quarantined"]),
    ]
    for row in document["sources"]:
        label = (("source", row["source"]),)
        if row["age_s"] is not None:
            values.append(("speedup_source_age_seconds", label, row["age_s"]))
        values.append(("speedup_source_stale", label, row["stale"]))
        values.append(("speedup_source_failures", label, row["failures_in_a_row"]))
        values.append(("speedup_source_streams_seen", label, row["streams_24h"]))
        if row["requests_last_hour"] is not None:
            values.append(("speedup_source_requests_last_hour", label, row["requests_last_hour"]))
    for row in document["jobs"]:
        if row["age_s"] is not None:
            values.append(("speedup_job_age_seconds", (("job", row["job"]),), row["age_s"]))
    for name, number in document["letters"].items():
        channel, _, state = name.partition(" ")
        values.append(("speedup_letters", (("channel", channel), ("state", state)), number))
    with watch.lock:
        values += [(name, labels, amount) for (name, labels), amount in watch.counts.items()]
    lines = []
    for name, (kind, text) in HELP.items():
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
        lines += [
            f"{name}{_labels(labels)} {float(value):.10g}" for one, labels, value in values if one == name
        ]
    return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    escaped = (
        (key, text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")) for key, text in labels
    )
    return "{" + ",".join(f'{key}="{text}"' for key, text in escaped) + "}"


def one_line(watch: Watch) -> str:
    """What systemd shows in ``STATUS=``."""
    role = "leads" if watch.leading else f"stands by ({watch.leader or 'nobody leads'})"
    with watch.lock:
        doing = ", ".join(sorted(watch.running)) or "idle"
    return f"{role}; {doing}"
