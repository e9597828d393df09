"""``speedup run``."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from storage.records import RunState
from storage.store import Store
from tracker import jobs as polls
from tracker.collect import Fetcher, SourceReport
from tracker.commands import memory
from tracker.commands.pull import exit_code, show
from tracker.commands.session import Session, to_json, with_session
from tracker.errors import UsageError
from tracker.sources import SOURCES
from tracker.work import Done, Job

if TYPE_CHECKING:
    from tracker.alerts.webhooks import Poster
    from tracker.daemon.asking import HourlyBudget


@click.command("run", epilog="Example:  speedup run        (stays; cron instead:  speedup run --once)")
@click.option("--once", is_flag=True, help="Run what is due now and exit.")
@click.option(
    "--only",
    multiple=True,
    metavar="JOB",
    help="Only this job, such as poll:manifold or digest (repeatable).",
)
@with_session()
def command(session: Session, once: bool, only: tuple[str, ...]) -> int:
    """Run the jobs that are due by the ledger in the database, each at most once per slot, and stay.

    Of several instances on one database one leads and the others stand by. Missed slots are recorded as gaps.
    SIGTERM ends it within 15 seconds; a kill at any moment loses nothing that was finished.
    """
    return _once(session, only) if once else _stay(session, only)


def every_job(
    session: Session, client: Fetcher, probe: Fetcher, poster: Poster, stop: threading.Event
) -> tuple[Job, ...]:
    """All that the daemon does, at the times that the settings give.

    ``client`` asks as often as it takes, ``probe`` once; ``poster`` carries what is told to webhooks.
    """
    from storage.engine import locate
    from tracker.daemon.alerting import alert_jobs
    from tracker.daemon.chores import chores, own_jobs, poll_jobs
    from tracker.daemon.mailing import digest_builder, mail_jobs
    from tracker.daemon.rounds import history_jobs, links_job, timed, trend_job

    settings, known, now = session.settings, session.catalogue, session.now
    sources = tuple(SOURCES.values())
    every = (
        *poll_jobs(
            tuple(polls.COLLECTED.values()), known, settings, client=client, probe=probe, now=now, stop=stop
        ),
        *history_jobs(sources, known, settings, client=client, now=now, stop=stop),
        *own_jobs(known, now, stop),
        trend_job(),
        links_job(SOURCES, known, settings, client=client, now=now, stop=stop),
        *alert_jobs(settings, known, polls.COLLECTED, poster, now, stop),
        *mail_jobs(settings, digest_builder(known, settings), now, stop),
        *chores(settings, locate(settings.database()).path),
    )
    return timed(every, settings.jobs)


def _jobs(
    session: Session,
    only: tuple[str, ...],
    stack: ExitStack,
    stop: threading.Event,
    budget: HourlyBudget,
) -> tuple[Job, ...]:
    """The jobs to run, with the clients they ask through, which share one budget."""
    client, probe = (
        stack.enter_context(session.client(stop=stop, budget=budget)),
        stack.enter_context(session.client(1, stop=stop, budget=budget)),
    )
    every = every_job(session, client, probe, client, stop)
    names = {job.name for job in every}
    unknown = [name for name in only if not names & {name, polls.PREFIX + name}]
    if unknown:
        raise UsageError(
            f"no job named {', '.join(unknown)}; there are: {', '.join(job.name for job in every)}"
        )
    return tuple(
        job for job in every if not only or {job.name, job.name.removeprefix(polls.PREFIX)} & {*only}
    )


def _once(session: Session, only: tuple[str, ...]) -> int:
    from tracker.daemon.asking import HourlyBudget
    from tracker.daemon.logs import set_up
    from tracker.daemon.service import run_once

    started = session.now()
    set_up(session.settings, level=logging.WARNING)
    with ExitStack() as stack:
        budget = HourlyBudget(session.settings.requests_per_hour)
        chosen = _jobs(session, only, stack, threading.Event(), budget)
        leader, outcomes = run_once(chosen, session.store, session.settings.daemon, session.now)
    reports = [done.report for _, _, done in outcomes if isinstance(done.report, SourceReport)]
    others = [(job, slot, done) for job, slot, done in outcomes if done.report is None]
    document: dict[str, Any] = {
        "started_at": started,
        "finished_at": session.now(),
        "leader": leader or None,
        "requests": sum(report.requests for report in reports),
        "sources": [report.as_json() for report in reports],
        "jobs": [
            {"job": job.name, "slot": slot, "state": done.state.value, "message": done.message}
            for job, slot, done in others
        ],
    }
    session.print(document, lambda: _show(leader, reports, others))
    failed = [done for _, _, done in others if done.state is not RunState.DONE]
    code = exit_code(reports, asked=bool(only))
    return max(code, 3 if failed and not reports else 1 if failed else 0)


def _show(leader: str, reports: Sequence[SourceReport], others: Sequence[tuple[Job, datetime, Done]]) -> None:
    if leader:
        click.echo(f"nothing run: {leader} leads on this database and does what is due")
        return
    if reports or not others:
        show(reports)
    for job, slot, done in others:
        click.echo(f"{job.name} of {slot:%Y-%m-%d %H:%M}Z: {done.state.value} {done.message}".rstrip())


def _stay(session: Session, only: tuple[str, ...]) -> int:
    """The daemon, from its settings to its exit code."""
    from tracker.daemon.asking import HourlyBudget
    from tracker.daemon.logs import set_up
    from tracker.daemon.notify import Notifier
    from tracker.daemon.ping import pinger
    from tracker.daemon.service import Daemon
    from tracker.daemon.state import metrics, status
    from tracker.daemon.web import Pages, WebServer

    settings, stop = session.settings, threading.Event()
    with ExitStack() as stack:
        budget = HourlyBudget(settings.requests_per_hour)
        every = _jobs(session, only, stack, stop, budget)
        set_up(settings)
        session.store().close()  # makes an empty database, refuses one of another schema, before anything starts
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        secret = settings.ping_url.get_secret_value() if settings.ping_url else None
        ping = pinger(secret, stack.enter_context(session.client(stop=stop, quick=True)), session.now)
        daemon = Daemon(every, session.store, settings.daemon, stop, notifier=Notifier(), ping=ping)

        def told() -> dict[str, Any]:
            store: Store = session.store(create=False)
            try:
                return status(daemon.watch, store, every, daemon.clock(), daemon.troubles(), budget)
            finally:
                store.close()

        if settings.http_bind:
            links = None
            if settings.mail_base_url:
                from tracker.daemon.desk import Desk

                links = Desk(settings, session.store, session.now)
            pages = Pages(
                daemon.troubles, lambda: to_json(told()), lambda: metrics(daemon.watch, told()), links
            )
            server = stack.enter_context(WebServer(settings.http_bind, pages))
            logging.getLogger(__name__).info("answering on port %d of loopback", server.port)
        memory.staying()
        code = daemon.run()
    if daemon.watch.running:
        # A request that does not come to its end must not keep us; what it would bring is asked for again.
        logging.shutdown()
        os._exit(code)
    return code
