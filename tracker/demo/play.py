"""The main job on a recording: real adapters, the real client, a simulated clock, SQLite.

Nothing in here knows the answers: the platforms' formats come over HTTP from a loopback server, and every
simulated day the jobs that are due run by the ledger, exactly as ``speedup run --once`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from questions.catalogue import Catalogue
from questions.model import Link
from storage.records import RawPayload, Validator
from storage.store import Store
from tracker.collect import Fetcher, NotModifiedLike, SourceReport
from tracker.config import Settings
from tracker.demo.recording import Recording
from tracker.demo.server import PlayServer
from tracker.http import HttpClient
from tracker.jobs import run_due
from tracker.source import Request, Source, SourceTraits

FIRST_DAY, LAST_DAY = date(2026, 1, 26), date(2026, 8, 17)
TIME_OF_DAY = time(12, 0, tzinfo=UTC)
PLATFORMS = ("manifold", "metaculus", "forecastbench", "metr")
LOOPBACK = "http://127.0.0.1"

# How often each source is asked. Metaculus answers with the whole history, so a week loses no day.
POLL_HOURS = {"manifold": 24.0, "metaculus": 168.0, "forecastbench": 48.0, "metr": 24.0}

Progress = Callable[[date, int, int], None]


@dataclass(frozen=True)
class Played:
    """What the simulated weeks came to: totals per source, and every fault by name."""

    days: int
    totals: dict[str, SourceReport]


class PortlessClient:
    """The real client, with the server's random port left out of what is stored.

    So two runs of the demo store the same URLs.
    """

    def __init__(self, client: HttpClient, origin: str) -> None:
        self._client = client
        self._origin = origin

    def fetch(
        self,
        request: Request,
        traits: SourceTraits,
        *,
        base_url: str,
        secret: str | None,
        now: Callable[[], datetime],
        validator: Validator | None = None,
    ) -> RawPayload | NotModifiedLike:
        answer = self._client.fetch(
            request, traits, base_url=base_url, secret=secret, now=now, validator=validator
        )
        return replace(answer, url=self._portless(answer.url))

    def url_for(self, request: Request, base_url: str) -> str:
        return self._portless(self._client.url_for(request, base_url))

    def _portless(self, url: str) -> str:
        return url.replace(self._origin, LOOPBACK, 1)


def moments(last: date = LAST_DAY) -> list[datetime]:
    """Noon UTC of every simulated day."""
    count = (last - FIRST_DAY).days + 1
    return [datetime.combine(FIRST_DAY + timedelta(days=i), TIME_OF_DAY) for i in range(count)]


def play(
    recording: Recording,
    catalogue: Catalogue,
    sources: dict[str, Source],
    store: Store,
    *,
    days: Sequence[datetime],
    user_agent: str,
    progress: Progress,
) -> Played:
    """Poll the recording at these simulated moments into ``store``."""
    wanted = [sources[name] for name in PLATFORMS]
    totals = {name: SourceReport(name) for name in PLATFORMS}
    with PlayServer(recording, now=days[0]) as server, HttpClient(user_agent=user_agent) as real:
        settings = _settings(server)
        client: Fetcher = PortlessClient(real, server.url("manifold").removesuffix("/manifold"))
        for number, moment in enumerate(days, start=1):
            server.now = moment
            seen = _followed(catalogue, recording, moment)
            reports = run_due(
                wanted, seen, store=store, client=client, settings=settings, now=_stopped(moment)
            )
            for report in reports:
                _add(totals[report.source], report)
            progress(moment.date(), number, len(days))
    return Played(len(days), totals)


def _stopped(moment: datetime) -> Callable[[], datetime]:
    """A clock that stands still."""
    return lambda: moment


def _settings(server: PlayServer) -> Settings:
    return Settings.model_validate(
        {
            **{f"{name}_url": server.url(name) for name in PLATFORMS},
            "metaculus_token": "demo",
            "poll_hours": POLL_HOURS,
        }
    )


def _followed(catalogue: Catalogue, recording: Recording, at: datetime) -> Catalogue:
    """The catalogue with the links the recording can answer for at this time."""

    def recorded(link: Link) -> bool:
        return recording.has_value(link.platform, link.external_id, at)

    return replace(catalogue, links=tuple(link for link in catalogue.links if recorded(link)))


def _add(total: SourceReport, report: SourceReport) -> None:
    total.requests += report.requests
    total.bytes += report.bytes
    total.quarantined += report.quarantined
    total.appended += report.appended
    total.answered += report.answered
    total.errors.extend(report.errors)
    total.status = report.status
