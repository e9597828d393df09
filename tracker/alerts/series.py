"""A series was revised, has a new record, or its bytes changed where any change is news.

What was last told is a version; the newest one is compared with that. A change that is too small to tell stays
untold until it has grown, and one that was taken back in the meantime is none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from questions.receipts import Exhibit
from questions.records import Measurement
from questions.series import Cadence, Direction, SeriesRecord, record_of
from questions.time import iso, parse_utc
from storage.alerting import Alert
from storage.records import Change, VersionInfo
from tracker.alerts.scene import Found, Scene, State, joined
from tracker.freshness import CURATED, Standing, freshness
from tracker.report.wording import counted

SHOWN = 8


def changes(scene: Scene) -> Iterator[Found]:
    """A signal per stored series."""
    for series in scene.store.series_ids():
        versions = scene.store.versions(series, known_at=scene.at)
        if not versions:
            continue
        signal, last = f"series:{series}", versions[-1]
        told = scene.armed.get(signal)
        if told is None or told["payload"] == last.payload_sha256:
            yield Found(signal, told or _state(last))
            continue
        alert = _alert(scene, signal, series, told, versions)
        yield Found(signal, _state(last) if alert is not None else told, alert)


def _state(version: VersionInfo) -> State:
    return {"payload": version.payload_sha256, "seen": iso(version.seen_first)}


def _alert(
    scene: Scene, signal: str, series: str, told: State, versions: Sequence[VersionInfo]
) -> Alert | None:
    last, rules = versions[-1], scene.settings.alerts
    record = record_of(series, scene.catalogue.series)
    seen = parse_utc(told["seen"])
    before = scene.store.measurements(series, known_at=seen)
    whole = scene.store.series_diff(series, seen, last.seen_first)
    diff = _without_renames(whole)
    revised = [change for change in diff if _material(change, rules.revision_share)]
    records = _records(record, before, diff)
    given_up = _given_up(scene, series, record, versions)
    if not (revised or records or given_up or series in rules.every_change):
        return None
    added = sum(change.kind == "added" for change in diff)
    minor = len(diff) - added - len(revised)
    parts = [
        *(f"record: {_point(change)}" for change in records),
        *(_revision(change) for change in revised),
        *([f"{counted(added, 'point')} added"] if added else []),
        *([counted(minor, "smaller change")] if minor else []),
        *(["its publisher had given it up: look at it"] if given_up else []),
        *([f"{counted((len(whole) - len(diff)) // 2, 'point')} renamed"] if len(diff) < len(whole) else []),
        *(["only its bytes changed"] if not whole else []),
    ]
    return Alert(
        signal,
        scene.at,
        "series",
        "record" if records and not revised else "revised" if revised else "changed",
        title=record.name if record is not None else series,
        before=_version(told["payload"], told["seen"]),
        after=_version(last.payload_sha256, iso(last.seen_first)),
        text=joined(parts, SHOWN),
        url=record.source_url if record is not None else "",
        areas=record.areas if record is not None else (),
        size=max((_share(change) for change in revised), default=None),
        rule={
            "from": told["payload"],
            "to": last.payload_sha256,
            "revision_share": rules.revision_share,
        },
        evidence=(
            _version_exhibit(series, told["payload"], told["seen"]),
            _version_exhibit(series, last.payload_sha256, iso(last.seen_first)),
            *(_exhibit(series, change) for change in [*records, *revised][:SHOWN]),
        ),
    )


def _without_renames(diff: Sequence[Change]) -> list[Change]:
    """What changed, but for points that are gone and stand there under another key: same metric, day and value."""
    gone = Counter(_self(one.before) for one in diff if one.kind == "removed" and one.before is not None)
    came = Counter(_self(one.after) for one in diff if one.kind == "added" and one.after is not None)
    renamed = gone & came
    left = {"removed": renamed.copy(), "added": renamed.copy()}
    kept = []
    for change in diff:
        point = change.before or change.after
        pairs = left.get(change.kind)
        if pairs is not None and point is not None and pairs[_self(point)] > 0:
            pairs[_self(point)] -= 1
        else:
            kept.append(change)
    return kept


def _self(point: Measurement) -> tuple[object, ...]:
    """What a point says, whatever it is called."""
    return (point.metric, point.at, point.value, point.unit)


def _given_up(
    scene: Scene, series: str, record: SeriesRecord | None, versions: Sequence[VersionInfo]
) -> bool:
    """Whether nothing was to change any more: its publisher had given it up by then, or it was a study."""
    if record is None or record.source == CURATED:
        return False
    if record.cadence is Cadence.ONE_OFF:
        return True
    points = scene.store.measurements(series, known_at=scene.at)
    return freshness(record, versions, points, scene.at).standing is Standing.CHANGED


def _material(change: Change, share: float) -> bool:
    """Whether a point that was known is gone, or is another by more than a share of it."""
    if change.kind == "removed":
        return True
    if change.before is None or change.after is None:
        return False
    return change.before.unit != change.after.unit or _share(change) > share


def _share(change: Change) -> float:
    """How far a value went, as a share of the larger of the two."""
    if change.before is None or change.after is None:
        return 1.0
    one, two = change.before.value, change.after.value
    largest = max(abs(one), abs(two))
    return abs(two - one) / largest if largest else 0.0


def _records(
    record: SeriesRecord | None, before: Sequence[Measurement], diff: Sequence[Change]
) -> list[Change]:
    """The new point that is furthest beyond all before it, per metric; none where no direction is good."""
    if record is None or record.direction is Direction.NONE:
        return []
    sign = 1.0 if record.direction is Direction.UP else -1.0
    best: dict[str, tuple[float, Change]] = {}
    for change in diff:
        new = change.after
        if change.kind != "added" or new is None:
            continue
        known = [sign * one.value for one in before if one.metric == new.metric and one.unit == new.unit]
        if known and sign * new.value > max(known):
            best[new.metric] = max(
                best.get(new.metric, (-1e308, change)), (sign * new.value, change), key=lambda one: one[0]
            )
    return [change for _, (_, change) in sorted(best.items())]


def _point(change: Change) -> str:
    new = change.after
    assert new is not None
    return f"{new.label or new.key} {new.metric} {new.value:.4g} {new.unit}"


def _revision(change: Change) -> str:
    old, new = change.before, change.after
    assert old is not None
    named = f"{old.label or old.key} {old.metric} {old.value:.4g}"
    if new is None:
        return f"{named} {old.unit} is gone"
    return f"{named} → {new.value:.4g} {new.unit}"


def _version(payload: str, seen: str) -> str:
    return f"version {payload[:8]} of {seen[:10]}"


def _version_exhibit(series: str, payload: str, seen: str) -> Exhibit:
    return Exhibit("version", series, key=payload[:12], published=seen, payload_sha256=payload)


def _exhibit(series: str, change: Change) -> Exhibit:
    point = change.after or change.before
    assert point is not None
    was = f"was {change.before.value:.6g}" if change.before is not None else "was not there"
    return Exhibit(
        "point",
        series,
        key=point.key,
        metric=point.metric,
        at=point.at.isoformat(),
        value=change.after.value if change.after is not None else None,
        lower=point.lower,
        upper=point.upper,
        text=f"{change.kind}: {was}",
    )
