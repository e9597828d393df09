"""Series published anew in the week: new points, and old ones that changed, with both values."""

from __future__ import annotations

import math
from collections.abc import Sequence

from questions.catalogue import Catalogue
from questions.records import Measurement
from questions.series import record_of
from storage.records import Change
from storage.store import Store
from tracker.digest.content import PointChange, TrendNews
from tracker.digest.period import Period
from tracker.orderings import TREND_SERIES, stored_fit

POINTS_TOLD = 6
REVISED_TOLD = 4  # of those at most, when there are others


def trend_news(store: Store, catalogue: Catalogue, period: Period) -> tuple[TrendNews, ...]:
    """Every series with a new version first seen in the week, by series."""
    found = []
    for series in store.series_ids():
        versions = store.versions(series, known_at=period.at)
        fresh = [version for version in versions if version.seen_first > period.since]
        if not fresh:
            continue
        first = len(fresh) == len(versions)
        changes = [] if first else store.series_diff(series, period.since, period.at)
        kinds = [change.kind for change in changes]
        if not first and not changes:
            continue
        points = store.measurements(series, known_at=period.at)
        record = record_of(series, catalogue.series)
        before, after = (
            stored_fit(store, at) if series == TREND_SERIES else None for at in (period.since, period.at)
        )
        found.append(
            TrendNews(
                series,
                record.name if record else series,
                record.source_url if record else "",
                fresh[-1].seen_first,
                first,
                _told(points, changes, first=first),
                kinds.count("added"),
                kinds.count("revised"),
                sum(kind not in ("added", "removed", "revised") for kind in kinds),
                kinds.count("removed"),
                len(points),
                before.doubling_time_days if before else None,
                after.doubling_time_days if after else None,
                tuple(
                    dict.fromkeys(one.payload_sha256 for one in (*versions[: -len(fresh)][-1:], fresh[-1]))
                ),
            )
        )
    return tuple(found)


def _told(
    points: Sequence[Measurement], changes: Sequence[Change], *, first: bool
) -> tuple[PointChange, ...]:
    """New points, the newest first, then the largest revisions; of a series never seen before its newest points."""
    if first:
        newest = sorted(points, key=lambda point: (-point.at.toordinal(), point.metric, point.key))
        return tuple(
            PointChange(point.label or point.key, point.metric, point.unit, None, point.value)
            for point in newest[:POINTS_TOLD]
        )
    ordered = sorted(changes, key=_weight)
    revised = [change for change in ordered if change.kind == "revised"][:REVISED_TOLD]
    others = [change for change in ordered if change.kind in ("added", "removed")]
    told = [*others[: POINTS_TOLD - min(len(revised), 3)], *revised][:POINTS_TOLD] or ordered[:POINTS_TOLD]
    return tuple(
        PointChange(
            point.label or point.key,
            point.metric,
            point.unit,
            change.before.value if change.before else None,
            change.after.value if change.after else None,
        )
        for change in told
        for point in (change.after or change.before,)
        if point is not None
    )


def _weight(change: Change) -> tuple[int, float, str, str]:
    rank = {"added": 0, "removed": 1, "revised": 2}.get(change.kind, 3)
    size = 0.0
    if change.before and change.after:
        one, two = change.before.value, change.after.value
        size = abs(math.log(two / one)) if one > 0 and two > 0 else abs(two - one)
    elif change.after:
        size = change.after.at.toordinal()
    return rank, -size, change.key, change.metric
