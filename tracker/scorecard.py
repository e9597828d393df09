"""The forecasts that the store holds, laid out for scoring: who said what, when, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from questions.catalogue import Catalogue
from questions.records import OutcomeState, Resolution, StreamKey
from storage.records import Observation
from storage.store import Store
from tracker.scoring.history import forecasts_from_history
from tracker.scoring.table import ForecastTable

QuestionKey = tuple[str, str]


def stored_forecasts(
    store: Store,
    catalogue: Catalogue,
    *,
    lead_days: Sequence[int] | None,
    now: datetime,
    known_at: datetime | None = None,
) -> ForecastTable:
    """Every followed question's community values as forecasts, with the outcomes known at ``known_at``.

    ``lead_days``: one forecast per lead before the scheduled close; None: the value at the end of each
    day. Questions without an outcome count as pending. Areas come from the catalogue's links.
    """
    resolutions = store.resolutions(known_at=known_at)
    history: dict[StreamKey, Sequence[Observation]] = {
        key: store.history(key, known_at=known_at) for key in store.streams()
    }
    areas = {
        (link.platform, link.external_id): link.areas[0] for link in catalogue.links if len(link.areas) == 1
    }
    return forecasts_from_history(
        history,
        resolutions,
        lead_days=lead_days,
        closes=scheduled_closes(store, catalogue, resolutions, now if known_at is None else known_at),
        now=now,
        areas=areas,
    )


def scheduled_closes(
    store: Store, catalogue: Catalogue, resolutions: Sequence[Resolution], known_at: datetime
) -> Mapping[QuestionKey, datetime]:
    """When questions were due to close, as known before their outcome was.

    A platform moves the close of a resolved question to its resolution; a close read after that would
    turn every early Yes into a question that ran its course. The platform's own word goes before that of
    an aggregator; what neither says, the catalogue's deadline of the link does.
    """
    told_at: dict[QuestionKey, datetime] = {}
    for resolution in resolutions:
        if resolution.state is not OutcomeState.UNRESOLVED:
            key = (resolution.platform, resolution.external_id)
            told_at[key] = min(resolution.fetched_at, told_at.get(key, resolution.fetched_at))
    closes: dict[QuestionKey, datetime] = {
        (link.platform, link.external_id): link.by for link in catalogue.links if link.by is not None
    }
    moments = sorted({known_at, *(moment - timedelta(microseconds=1) for moment in told_at.values())})
    for moment in moments:
        infos = sorted(store.infos(known_at=moment), key=lambda info: info.source == info.platform)
        for info in infos:
            key = (info.platform, info.external_id)
            if info.closes_at is not None and moment < told_at.get(key, known_at + timedelta(microseconds=1)):
                closes[key] = info.closes_at
    return closes
