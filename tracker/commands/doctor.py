"""``speedup doctor``: is everything in place, and if not, what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import click

from questions.errors import TrackerError
from storage.records import RawPayload
from tracker.commands.session import Session, printable, table, with_session
from tracker.config import mask_url, masked
from tracker.errors import FetchError
from tracker.report.wording import counted
from tracker.source import Request, Source
from tracker.sources import SOURCES

Verdict = Literal["ok", "warning", "problem"]
Check = dict[str, str]
LOW_DISK_BYTES = 500 * 1024 * 1024
AT_ONCE = 8  # hosts asked at the same time
CLOCK_SLACK = timedelta(minutes=5)


@click.command("doctor", epilog="Example:  speedup doctor --offline")
@click.option("--offline", is_flag=True, help="Do not ask the sources whether they can be reached.")
@with_session()
def command(session: Session, offline: bool) -> int:
    """Print the effective settings (secrets masked) and check keys, database, disk, clock, mail, reachability."""
    checks = [
        *_run(_catalogue, session),
        *_run(_database, session),
        *_run(_disk, session),
        *_keys(session),
        *_run(partial(_mail, offline=offline), session),
        *([] if offline else _reach(session)),
    ]
    document = {"settings": _effective(session), "checks": checks}
    session.print(document, lambda: _show(document))
    return 1 if any(check["verdict"] == "problem" for check in checks) else 0


def _effective(session: Session) -> dict[str, Any]:
    """The settings in force: what was set, and where nothing was, the sources' own addresses and periods."""
    settings = session.settings
    shown = masked(settings)
    for source in SOURCES.values():
        traits = source.traits
        for setting, url in ((traits.setting, traits.base_url), *traits.other_bases.items()):
            shown[f"{setting}_url"] = settings.url_of(setting, url)
    shown["poll_hours"] = {
        name: settings.poll_hours.get(name, source.traits.period_hours) for name, source in SOURCES.items()
    }
    return shown


def _check(what: str, verdict: Verdict, message: str) -> Check:
    return {"what": what, "verdict": verdict, "message": message}


def _run(check: Callable[[Session], list[Check]], session: Session) -> list[Check]:
    try:
        return check(session)
    except TrackerError as error:
        name = getattr(check, "__name__", "mail").strip("_")
        return [_check(name, "problem", str(error))]


def _catalogue(session: Session) -> list[Check]:
    catalogue = session.catalogue
    text = (
        f"{counted(len(catalogue.questions), 'question')}, {counted(len(catalogue.links), 'linked question')}"
    )
    return [_check("catalogue", "ok", text)]


def _database(session: Session) -> list[Check]:
    url = mask_url(session.settings.database())
    store = session.store_if_any()
    if store is None:
        return [_check("database", "warning", f"{url} does not exist yet: the first `speedup pull` makes it")]
    try:
        rows = sum(store.counts().values())
        newest = max((h.last_attempt_at for h in store.health().values() if h.last_attempt_at), default=None)
    finally:
        store.close()
    checks = [_check("database", "ok", f"{url}: {rows} rows")]
    if newest is not None and newest > session.now() + CLOCK_SLACK:
        checks.append(
            _check("clock", "problem", f"the last poll is in the future ({newest}): the clock went back")
        )
    return checks


def _disk(session: Session) -> list[Check]:
    url = session.settings.database()
    if not url.startswith("sqlite:///"):
        return []
    folder = Path(url.removeprefix("sqlite:///")).parent
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    verdict: Verdict = "ok" if free > LOW_DISK_BYTES else "problem"
    return [_check("disk", verdict, f"{free / 2**30:.1f} GiB free where the database is")]


def _keys(session: Session) -> list[Check]:
    checks = []
    for source in SOURCES.values():
        traits = source.traits
        if traits.secret is None:
            continue
        present = session.settings.secret_of(traits.secret) is not None
        name = f"SPEEDUP_{traits.secret.upper()}"
        verdict: Verdict = "ok" if present else "warning"
        checks.append(
            _check(f"key {traits.name}", verdict, "set" if present else f"not set: {name} or {name}_FILE")
        )
    return checks


def _mail(session: Session, *, offline: bool) -> list[Check]:
    """Whether mail can leave: a folder that can be written, a server that greets and takes the login."""
    from tracker.mail.delivery import Fate, Smtp, SmtpSettings

    settings = session.settings
    if settings.mail_drop:
        where = "stdout" if settings.mail_drop == "-" else settings.mail_drop
        return [_check("mail", "ok", f"goes to {where}")]
    if not settings.smtp_host:
        return [_check("mail", "warning", "not set up: SPEEDUP_SMTP_HOST, or SPEEDUP_MAIL_DROP for files")]
    own = SmtpSettings.of(settings)
    where = f"{own.host}:{own.port} ({own.tls})"
    if offline:
        return [_check("mail", "ok", f"{where}, not asked")]
    attempt = Smtp(own).probe()
    good = attempt.fate is Fate.SENT
    return [_check("mail", "ok" if good else "problem", f"{where}: {attempt.said}")]


def _reach(session: Session) -> list[Check]:
    doors = [(s, base) for s in SOURCES.values() if s.traits.hosts for base in ("", *s.traits.other_bases)]
    with session.client(attempts=1) as client, ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda door: _reach_one(session, client, *door), doors))


def _reach_one(session: Session, client: Any, source: Source, base: str) -> Check:
    traits = source.traits
    what = f"reach {base or traits.name}"
    plan = source.plan((), session.now(), None)
    path = plan.requests[0].path if plan.requests and not base else ""
    request = Request(traits.name, "doctor", path, accept_missing=True, base=base)
    try:
        answer = client.fetch(
            request,
            traits,
            base_url=session.settings.url_of(*traits.base_of(request)),
            secret=None,
            now=session.now,
        )
    except FetchError as error:
        if error.status is not None:
            return _check(what, "ok", f"answers (HTTP {error.status})")
        return _check(what, "problem", error.message)
    if isinstance(answer, RawPayload) and _clock_off(answer, session.now()):
        return _check(
            what, "problem", f"its clock says {answer.headers.get('date')}: is this machine's clock right?"
        )
    return _check(what, "ok", "answers")


def _clock_off(answer: RawPayload, now: datetime) -> bool:
    try:
        theirs = parsedate_to_datetime(answer.headers.get("date", ""))
    except (TypeError, ValueError, OverflowError):
        return False
    return theirs.tzinfo is not None and abs(theirs - now) > CLOCK_SLACK


def _show(document: dict[str, Any]) -> None:
    table(
        "settings",
        ["setting", "value"],
        [(k, printable(str(v))) for k, v in document["settings"].items() if v],
    )
    table(
        "checks",
        ["what", "verdict", "message"],
        [(c["what"], c["verdict"], c["message"]) for c in document["checks"]],
    )
