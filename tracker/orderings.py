"""From what is stored to the voices and their comparison: reads the store, computes nothing itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property, lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

from questions.catalogue import Catalogue, load_catalogue, load_factor_csv
from questions.model import Area, FactorTable, Link, Relation, SpeedupKind, Transform
from questions.records import (
    Forecast,
    ForecasterKind,
    Measurement,
    OutcomeState,
    Snapshot,
    StreamKey,
    ValueState,
)
from storage.records import Grain, Observation, OrderingRecord, digest
from storage.store import Store
from tracker.errors import UsageError
from tracker.estimates.area_dates import AreaDates, area_dates, check_needs, dates_voice
from tracker.estimates.attribution import Attribution, attribute
from tracker.estimates.factors import Noise, WeightLaw
from tracker.estimates.frontier import frontier_of, horizon_scale
from tracker.estimates.market import (
    OWN,
    ReadBefore,
    Reading,
    Rules,
    market_voice,
    pooled_by_kind,
    pooled_hazards,
    read_links,
    settings_matter,
)
from tracker.estimates.mixture import Mixture, fit_mixture
from tracker.estimates.modelled import fit_shrinkage, model_forecasts
from tracker.estimates.ordering import compare, disagreeing_pairs
from tracker.estimates.panel import (
    MAX_AGE_DAYS,
    PEOPLE,
    RESAMPLES,
    Ranking,
    last_words,
    panel_scores,
    panel_voice,
    read_rankings,
)
from tracker.estimates.prices import Quality, read_price
from tracker.estimates.trend import Selection, TrendFit, fit_line, select
from tracker.estimates.versions import (
    BASE,
    ModelVersion,
    add_factors,
    chosen,
    mix_raters,
    model_versions,
    rank_version,
)
from tracker.estimates.voice import Comparison, Voice
from tracker.own import counted
from tracker.week import WEEK, Pair, Week, read_week, record_of as week_record, settings_name, week_ends

TREND_SERIES = "metr_th11"
TREND_SELECTION = Selection(metric="p50", start=date(2023, 1, 1), sota="file", max_minutes=960.0)
TREND_DRAWS = 10_000
WEEK_DRAWS = 4_000
#: Scores no further apart are level when orders are compared: points of a table whose cells are rounded to eighths.
TIE_GAPS = {"internal": 0.05}
WEEK_RESAMPLES = 20
NO_TREND = "no METR time horizons are stored: `speedup pull metr` collects them"
NO_STORE = "no database yet: `speedup pull` collects values, `speedup demo` plays recorded ones"
SETTLED = (
    OutcomeState.YES,
    OutcomeState.NO,
    OutcomeState.FRACTION,
    OutcomeState.VOID,
    OutcomeState.AMBIGUOUS,
)


@dataclass(frozen=True)
class ModelOptions:
    """What a caller may vary; the defaults are those of ``speedup order``.

    ``factors``: a table of one's own, CSV or TOML; ``assistants``: further raters' tables, mixed with it;
    ``added``: further factors; ``version``: which version of the model speaks; ``rankings``: people's orders,
    CSV. ``threshold``: the multiple at which people's forecasts and markets on our own questions count.
    ``weeks``: how far disagreements are followed back. ``needs``: time horizon an area needs, in minutes, in
    place of the catalogue's; ``need_sd`` likewise, in doublings (None: the catalogue's).
    """

    factors: Path | None = None
    assistants: tuple[Path, ...] = ()
    added: Path | None = None
    version: str = BASE
    weights: Mapping[str, float] = field(default_factory=dict)
    law: WeightLaw = "lognormal"
    weight_sd: float = 0.5
    score_sd: float = 1.0
    draws: int = 50_000
    seed: int = 0
    needs: Mapping[str, float] = field(default_factory=dict)
    need_sd: float | None = None
    rankings: Path | None = None
    threshold: int = 10
    weeks: int = 12

    @property
    def noise(self) -> Noise:
        return Noise(self.law, self.weight_sd, self.score_sd, self.draws, self.seed)


@dataclass(frozen=True)
class Orderings:
    """The four voices at one moment, as far as they have a view, and every pair compared.

    ``table``: the factor table in force; ``version``: the version of the model that speaks. ``trend_fit``: METR's
    line, for comparison with what METR prints; ``mixture``: the shapes the trend's voice rests on;
    ``area_dates``: when they reach what areas are assumed to need. None without points. ``weeks_seen``: the
    weeks looked at to tell for how long pairs have been in disagreement, and whether each was stored (else it was
    derived again as known then); ``followed``: how many they may be at most.
    """

    now: datetime
    areas: tuple[Area, ...]
    voices: Mapping[str, Voice]
    comparisons: tuple[Comparison, ...]
    trend_fit: TrendFit | None
    mixture: Mixture | None
    area_dates: AreaDates | None
    table: FactorTable
    version: ModelVersion
    weeks_seen: Mapping[datetime, bool] = field(default_factory=dict)
    followed: int = 0


def orderings(
    catalogue: Catalogue,
    store: Store | None,
    options: ModelOptions,
    *,
    now: datetime,
    known_at: datetime | None = None,
    scene: Scene | None = None,
) -> Orderings:
    """All voices as of ``now``, from what was known at ``known_at`` (default: everything stored).

    ``scene``: one of the same arguments, for a caller who asks it more.
    """
    scene = scene or Scene(catalogue, store, options, known_at)
    voices = scene.voices(now, known_at, options.draws)
    comparisons = tuple(
        compare(a, b, seed=options.seed, weeks_history=scene.history(a, b, now), tie_gaps=(_gap(a), _gap(b)))
        for a, b in in_pairs(voices)
    )
    mixture, dates = scene.trend(known_at, options.draws)
    return Orderings(
        now=now,
        areas=catalogue.areas,
        voices=voices,
        comparisons=comparisons,
        trend_fit=None if store is None else stored_fit(store, known_at),
        mixture=mixture,
        area_dates=dates,
        table=scene.table,
        version=scene.version,
        weeks_seen=dict(sorted(scene.weeks_seen.items())),
        followed=options.weeks,
    )


def _gap(voice: Voice) -> float:
    return TIE_GAPS.get(voice.name, 0.0)


def in_pairs(voices: Mapping[str, Voice]) -> list[tuple[Voice, Voice]]:
    """Every two voices that have a view."""
    return list(combinations([voice for voice in voices.values() if voice.ranking], 2))


@dataclass
class Scene:
    """Everything that speaks, at whatever time it is asked; what does not change is kept.

    ``known_at``: weeks stored later than this are not known here (they are derived again).
    """

    catalogue: Catalogue
    store: Store | None
    options: ModelOptions
    known_at: datetime | None = None
    table: FactorTable = field(init=False)
    version: ModelVersion = field(init=False)
    rankings: tuple[Ranking, ...] = field(init=False)
    _internal: dict[int, Voice] = field(init=False, default_factory=dict)
    _mixtures: dict[str, Mixture | None] = field(init=False, default_factory=dict)
    _dates: dict[tuple[str, int], AreaDates] = field(init=False, default_factory=dict)
    weeks_seen: dict[datetime, bool] = field(init=False, default_factory=dict)
    _voices: dict[datetime, Mapping[str, Voice]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.table = factor_table(self.catalogue, self.options)
        self.version = chosen(model_versions(self.table, self.catalogue.groups), self.options.version)
        self.needed = _needs(self.catalogue, self.table, self.options)
        path = self.options.rankings
        self.rankings = (
            () if path is None else read_rankings(str(path), _text(path), self.catalogue.area_keys)
        )

    def voices(self, now: datetime, known_at: datetime | None, draws: int) -> dict[str, Voice]:
        groups, options = self.catalogue.groups, self.options
        _, dates = self.trend(known_at, draws)
        return {
            "internal": self.internal(draws),
            "market": self.market(now, known_at, draws),
            "trend": Voice("trend", "", reason=NO_TREND)
            if dates is None
            else dates_voice(dates, today=now.date(), groups=groups),
            "panel": panel_voice(
                self.catalogue.questions,
                self.opinions(known_at),
                threshold=float(options.threshold),
                now=now,
                groups=groups,
                rankings=self.rankings,
                draws=draws,
                resamples=RESAMPLES if draws > WEEK_DRAWS else WEEK_RESAMPLES,
                seed=options.seed,
            ),
        }

    def internal(self, draws: int) -> Voice:
        if draws not in self._internal:
            self._internal[draws] = rank_version(
                self.version,
                weight_overrides=self.options.weights,
                noise=replace(self.options.noise, draws=draws),
                groups=self.catalogue.groups,
            )
        return self._internal[draws]

    def market(self, now: datetime, known_at: datetime | None, draws: int) -> Voice:
        store = self.store
        if store is None:
            return Voice("market", "", reason=NO_STORE)

        def earlier(key: StreamKey, moment: datetime) -> Observation | None:
            seen = [one for one in store.history(key, known_at=known_at) if one.snapshot.as_of <= moment]
            return seen[-1] if seen else None

        voice = market_voice(
            _dated(self.catalogue, self.options.threshold),
            store.latest(self.streams, known_at=known_at).values(),
            now=now,
            draws=draws,
            seed=self.options.seed,
            groups=self.catalogue.groups,
            rules=market_rules(self.catalogue),
            resolved=_settled(store, known_at),
            earlier=earlier,
        )
        stated = stated_pairs(self.catalogue, store, self.options.threshold, known_at)
        return with_pairs(voice, [(one.first, one.second, one.lean) for one in stated])

    @cached_property
    def streams(self) -> list[StreamKey]:
        """The stored streams of questions that bear on an area."""
        return [] if self.store is None else _bearing(self.catalogue, self.store)

    def opinions(self, known_at: datetime | None) -> list[Forecast]:
        """What people say on our questions, each forecast from when it was entered."""
        if self.store is None:
            return []
        told = [one for one, at in self._counted if known_at is None or at <= known_at]
        return told + _told_elsewhere(self.store, self._ours, known_at)

    @cached_property
    def _ours(self) -> dict[StreamKey, str]:
        """The streams of people's values on questions that are the same as one of ours."""
        return {} if self.store is None else _asking_ours(self.catalogue, self.store)

    @cached_property
    def _counted(self) -> list[tuple[Forecast, datetime]]:
        """Forecasts by people, and from when each counts."""
        told = [] if self.store is None else counted(self.store)
        return [(one, at) for one, at in told if one.kind in PEOPLE]

    def trend(self, known_at: datetime | None, draws: int) -> tuple[Mixture | None, AreaDates | None]:
        """The mixture of shapes on the version of the series known then, and the areas' dates from it."""
        if self.store is None:
            return None, None
        versions = self.store.versions(TREND_SERIES, known_at=known_at)
        name = versions[-1].payload_sha256 if versions else ""
        if name not in self._mixtures:
            points = self.store.measurements(TREND_SERIES, known_at=known_at)
            self._mixtures[name] = mixture_of(points, self.options.seed)
        mixture = self._mixtures[name]
        if mixture is None:
            return None, None
        if (name, draws) not in self._dates:
            self._dates[name, draws] = _area_dates(self.catalogue, self.needed, mixture, self.options, draws)
        return mixture, self._dates[name, draws]

    # weeks

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """What a stored week depends on beside the world: everything chosen here that can change it."""
        options, path = self.options, self.options.rankings
        return {
            "model": self.version.name,
            "table": self.version.digest,
            "weights": dict(options.weights),
            "law": options.law,
            "weight_sd": options.weight_sd,
            "score_sd": options.score_sd,
            "seed": options.seed,
            "draws": WEEK_DRAWS,
            "needs": self.needed,
            "need_sd": _need_sd(self.catalogue, options),
            "rankings": None if path is None else digest(_text(path).encode()),
            "threshold": options.threshold,
        }

    @cached_property
    def _stored(self) -> Mapping[datetime, OrderingRecord]:
        """Stored weeks of these settings; of several of one week the last."""
        name = settings_name(self.settings)
        told = (
            ()
            if self.store is None
            else self.store.orderings(Grain.WEEK, settings=name, known_at=self.known_at)
        )
        return {one.at: one for one in told}

    def record(self, at: datetime, grain: Grain = Grain.WEEK, *, made_at: datetime) -> OrderingRecord:
        """What the voices say at an instant as known then, derived now."""
        voices = self.voices(at, at, WEEK_DRAWS)
        compared = [
            compare(a, b, seed=self.options.seed, tie_gaps=(_gap(a), _gap(b))) for a, b in in_pairs(voices)
        ]
        return week_record(grain, at, voices, compared, self.settings, made_at=made_at)

    def stored(self, at: datetime) -> OrderingRecord | None:
        """What is stored of a week with these settings."""
        return self._stored.get(at)

    def week(self, at: datetime) -> Week:
        """A week as it is stored, or derived again as known then where none is."""
        told = self.stored(at)
        return read_week(told or self.record(at, made_at=at), stored=told is not None)

    def disagreeing(self, at: datetime, a: str, b: str) -> frozenset[Pair]:
        """The pairs on which two voices disagreed at the end of a week: as stored, else derived again."""
        told = self.stored(at)
        self.weeks_seen[at] = told is not None
        if told is not None:
            return read_week(told).disagreeing(a, b)
        if at not in self._voices:
            self._voices[at] = self.voices(at, at, WEEK_DRAWS)
        return disagreeing_pairs(self._voices[at][a], self._voices[at][b])

    def knows_nothing(self, at: datetime) -> bool:
        """Whether nothing but the factor model could speak then: the store had seen nothing of use."""
        store = self.store
        return store is None or not (
            store.versions(TREND_SERIES, known_at=at)
            or store.latest(self.streams, known_at=at)
            or self.opinions(at)
        )

    def history(self, a: Voice, b: Voice, now: datetime) -> Sequence[frozenset[Pair]] | None:
        """Where two voices disagreed at the ends of the weeks before, the newest last, as far back as a pair that
        stands today stood then; None when nothing can be looked up.

        A week in progress is no week of its own: it and the end of the last whole week count as one.
        """
        if self.store is None or not self.options.weeks:
            return None
        open_pairs = disagreeing_pairs(a, b)
        found: list[frozenset[Pair]] = []
        for at in reversed(week_ends(now, self.options.weeks + 1)):
            if not open_pairs:
                break
            if at == now:
                continue
            open_pairs &= self.disagreeing(at, a.name, b.name)
            if now - at >= WEEK:
                found.insert(0, open_pairs)
        return found


def factor_table(catalogue: Catalogue, options: ModelOptions) -> FactorTable:
    """The factor table in force: the catalogue's or one's own, mixed with other raters', with added factors."""
    areas = catalogue.area_keys
    table = catalogue.factors if options.factors is None else _own_table(catalogue, options.factors)
    table = mix_raters(table, [load_factor_csv(path, areas) for path in options.assistants])
    return table if options.added is None else add_factors(table, load_factor_csv(options.added, areas))


def _own_table(catalogue: Catalogue, path: Path) -> FactorTable:
    if path.suffix.lower() != ".toml":
        return load_factor_csv(path, catalogue.area_keys)
    packaged = load_catalogue().factors
    table = load_catalogue([path]).factors
    if table.version == packaged.version:
        raise UsageError(f"{path}: there is no [factors] table with a version of its own")
    return table


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as text: {error}") from error


@dataclass(frozen=True)
class StatedPair:
    """What a question elsewhere that is one of our ordering questions says: ``p_first`` of ``first`` coming first
    (None where its price alone does not tell) and ``lean``, with "neither" split in halves."""

    question: str
    source: str
    first: str
    second: str
    p_first: float | None
    lean: float
    as_of: datetime


def stated_pairs(
    catalogue: Catalogue, store: Store, threshold: float, known_at: datetime | None
) -> tuple[StatedPair, ...]:
    """Pairs that markets state directly at a threshold: links of relation same to an ordering question."""
    links = {link.key: link for link in catalogue.links if _arms(catalogue, link) is not None}
    if not links:
        return ()
    keys = [key for key in store.streams() if (key.platform, key.external_id, key.outcome) in links]
    settled = _settled(store, known_at)
    found = []
    for key, seen in store.latest(keys, known_at=known_at).items():
        link = links[key.platform, key.external_id, key.outcome]
        arms, one = _arms(catalogue, link), seen.snapshot
        question = catalogue.questions[link.question or ""]
        level = question.threshold.value if question.threshold is not None else None
        if arms is None or level != threshold or link.key in settled or key.quantity in OWN:
            continue
        if one.state is not ValueState.OK or one.probability is None:
            continue
        platform = catalogue.platforms.get(link.platform)
        pays = link.transform or (platform.transform if platform else Transform.IDENTITY)
        read = read_price(one.probability, pays)
        if pays in (Transform.IDENTITY, Transform.HALF_IF_NEITHER):
            found.append(StatedPair(question.id, key.source, *arms, read.value, one.probability, one.as_of))
    return tuple(found)


def _dated(catalogue: Catalogue, threshold: float) -> list[Link]:
    """The links that are read as dates: all but those that ask one of our ordering questions, or one of our
    questions about another multiple."""
    return [
        link
        for link in catalogue.links
        if _arms(catalogue, link) is None and _multiple(catalogue, link) in (None, threshold)
    ]


def _multiple(catalogue: Catalogue, link: Link) -> float | None:
    """The multiple of progress that a link asks about in our own words, None when it asks something else."""
    question = catalogue.questions.get(link.question or "")
    if question is None or link.relation is not Relation.SAME or question.threshold is None:
        return None
    return question.threshold.value if question.speedup_kind is SpeedupKind.PROGRESS else None


def _arms(catalogue: Catalogue, link: Link) -> tuple[str, str] | None:
    """(the area whose win a link's Yes means, the other) when it asks one of our ordering questions."""
    question = catalogue.questions.get(link.question or "")
    arms = None if question is None or link.relation is not Relation.SAME else question.ordering
    if arms is None:
        return None
    first = link.outcome if link.outcome != "yes" else (link.areas[0] if link.areas else arms.a)
    if first not in (arms.a, arms.b):
        return None
    pair = (arms.a, arms.b) if first == arms.a else (arms.b, arms.a)
    return pair if link.polarity == 1 else (pair[1], pair[0])


def with_pairs(voice: Voice, stated: Sequence[tuple[str, str, float]]) -> Voice:
    """The voice with some pairs as stated directly: (first, second, lean). Areas it does not cover stay out."""
    before = {area: dict(row) for area, row in voice.p_before.items()}
    for first, second, lean in stated:
        if first in before and second in before:
            before[first][second], before[second][first] = lean, 1.0 - lean
    return replace(voice, p_before=before) if stated and before else voice


def ordering_thresholds(catalogue: Catalogue) -> tuple[int, ...]:
    """The multiples at which the catalogue asks which area, or which group, comes first."""
    levels = {one.threshold.value for one in catalogue.questions.values() if one.ordering and one.threshold}
    return tuple(sorted(int(level) for level in levels))


def recorded_forecasts(
    catalogue: Catalogue,
    store: Store,
    options: ModelOptions,
    voice: Voice,
    version: ModelVersion,
    *,
    made_at: datetime,
) -> tuple[Forecast, ...]:
    """A version's forecasts on our ordering questions at the threshold, shrunk as resolved ones say."""
    shrinkage, _ = fit_shrinkage(_resolved_pairs(catalogue, store, voice))
    overrides = "".join(f" {name}={weight:g}" for name, weight in sorted(options.weights.items()))
    said_with = (
        f"{version.digest}{overrides} {options.law} weights sd {options.weight_sd:g}, scores sd "
        f"{options.score_sd:g}, {options.draws} draws, seed {options.seed}, shrinkage {shrinkage:.4f}"
    )
    return model_forecasts(
        voice,
        catalogue.questions.values(),
        made_at=made_at,
        version=said_with,
        name=version.name if not options.weights else f"{version.name}+weights",
        threshold=float(options.threshold),
        shrinkage=shrinkage,
    )


def _resolved_pairs(catalogue: Catalogue, store: Store, voice: Voice) -> list[tuple[float, bool]]:
    """What the model says of pairs of which one has come first, and whether it was the first arm."""
    settled = {receipt.question: receipt for receipt in store.receipts()}  # by time: the last word counts
    pairs = []
    for receipt in settled.values():
        question = catalogue.questions.get(receipt.question)
        arms = None if question is None else question.ordering
        if arms is None or not receipt.state.final or receipt.outcome not in (arms.a, arms.b):
            continue
        if {arms.a, arms.b} <= set(voice.coverage):
            pairs.append((voice.p_before[arms.a][arms.b], receipt.outcome == arms.a))
    return pairs


# What changed, and why --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Value:
    """A stored value as an input: equal when it says the same, whenever it was seen."""

    snapshot: Snapshot
    observation: Observation = field(compare=False, repr=False)

    @classmethod
    def of(cls, observation: Observation) -> Value:
        one = observation.snapshot
        same = replace(
            one, as_of=_EPOCH, fetched_at=_EPOCH, timed_by_source=True, volume=None, payload_sha256=None
        )
        return cls(same, observation)


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
MarketInput = StreamKey | tuple[str, ...]


def market_changes(
    catalogue: Catalogue,
    store: Store,
    options: ModelOptions,
    *,
    since: datetime,
    now: datetime,
    most: int | None = None,
) -> Attribution[MarketInput, Value | datetime | bool]:
    """Which values moved the market's scores (log hazards) between two times, each as known then.

    Inputs: every followed value, every resolution, and the passing of time (``("time",)``). ``most``: of the values
    only so many are put back, those that came, went or changed most (log-odds by the link's weight).
    """
    links = _dated(catalogue, options.threshold)
    streams = _bearing(catalogue, store)
    before, after = (_market_inputs(store, streams, at) for at in (since, now))
    if most is not None:
        before = _largest_only(before, after, {link.key: link.weight for link in catalogue.links}, most)
    rules, groups = market_rules(catalogue), catalogue.groups
    read: ReadBefore = {}

    def score(given: Mapping[MarketInput, Value | datetime | bool]) -> Mapping[str, float]:
        at = given[("time",)]
        assert isinstance(at, datetime)
        readings, _ = read_links(
            links,
            [value.observation for value in given.values() if isinstance(value, Value)],
            now=at,
            rules=rules,
            resolved={(key[1], key[2], key[3]) for key in given if isinstance(key, tuple) and len(key) == 4},
            read_before=read,
        )
        return {area: mean for area, (mean, _) in pooled_hazards(readings, groups).items()}

    return attribute(before, after, score)


def _largest_only(
    before: Mapping[MarketInput, Value | datetime | bool],
    after: Mapping[MarketInput, Value | datetime | bool],
    weights: Mapping[tuple[str, str, str], float],
    most: int,
) -> dict[MarketInput, Value | datetime | bool]:
    """``before`` where of the values only those that changed most still differ from ``after``."""

    def odds(value: Value | datetime | bool | None) -> float | None:
        chance = value.snapshot.probability if isinstance(value, Value) else None
        return None if chance is None else math.log(max(chance, 0.001) / max(1.0 - chance, 0.001))

    def size(key: StreamKey) -> float:
        then, now = odds(before.get(key)), odds(after.get(key))
        if then is None or now is None:
            return math.inf
        return weights[key.platform, key.external_id, key.outcome] * abs(now - then)

    values = [key for key in {**after, **before} if isinstance(key, StreamKey)]
    changed = sorted(
        (key for key in values if before.get(key) != after.get(key)), key=lambda k: (-size(k), k)
    )
    mended = dict(before)
    for key in changed[most:]:
        mended.pop(key, None)
        if key in after:
            mended[key] = after[key]
    return mended


def _bearing(catalogue: Catalogue, store: Store) -> list[StreamKey]:
    wanted = {link.key for link in catalogue.links if link.areas}
    return [key for key in store.streams() if (key.platform, key.external_id, key.outcome) in wanted]


def _settled(store: Store, known_at: datetime | None) -> set[tuple[str, str, str]]:
    return {
        (r.platform, r.external_id, r.outcome)
        for r in store.resolutions(known_at=known_at)
        if r.state in SETTLED
    }


def _market_inputs(
    store: Store, streams: Sequence[StreamKey], at: datetime
) -> dict[MarketInput, Value | datetime | bool]:
    found: dict[MarketInput, Value | datetime | bool] = {
        key: Value.of(observation) for key, observation in store.latest(streams, known_at=at).items()
    }
    questions = {(key.platform, key.external_id, key.outcome) for key in streams}
    for key in _settled(store, at) & questions:
        found["resolved", *key] = True
    return found | {("time",): at}


def trend_changes(
    catalogue: Catalogue, store: Store, options: ModelOptions, *, since: datetime, now: datetime
) -> Attribution[tuple[str, str], Measurement]:
    """Which points of METR's series moved the areas' median dates between two times (years; larger = sooner).

    Time itself is left out: it brings all areas' dates nearer alike.
    """

    def points(at: datetime) -> dict[tuple[str, str], Measurement]:
        chosen_metric = TREND_SELECTION.metric
        stored = store.measurements(TREND_SERIES, chosen_metric, known_at=at)
        return {(one.key, one.metric): one for one in stored}

    def score(given: Mapping[tuple[str, str], Measurement]) -> Mapping[str, float]:
        return trend_scores(catalogue, options, list(given.values()), now=now)

    return attribute(points(since), points(now), score)


def trend_scores(
    catalogue: Catalogue,
    options: ModelOptions,
    points: Sequence[Measurement],
    *,
    now: datetime,
    draws: int = WEEK_DRAWS,
) -> Mapping[str, float]:
    """The trend voice's scores if METR's series were these points: larger = sooner; empty with too few.

    With as many ``draws`` as a voice had, areas that are all but level come out as they did in it.
    """
    mixture = mixture_of(points, options.seed)
    if mixture is None:
        return {}
    needed = _needs(catalogue, factor_table(catalogue, options), options)
    dates = _area_dates(catalogue, needed, mixture, options, draws)
    return dates_voice(dates, today=now.date(), groups=catalogue.groups).scores


PanelInput = tuple[str, ...]


@dataclass(frozen=True)
class Opinion:
    """What one person last said on one question: equal when it says the same, whenever it was said."""

    said: tuple[tuple[str, float], ...]
    forecasts: tuple[Forecast, ...] = field(compare=False, repr=False)


def panel_changes(
    catalogue: Catalogue, store: Store, options: ModelOptions, *, since: datetime, now: datetime
) -> Attribution[PanelInput, Opinion | datetime]:
    """Whose forecasts moved the panel's scores (log-odds) between two times, each as known then.

    Inputs: what each person last said on a question, ``(forecaster, question)``, and the passing of time
    (``("time",)``), by which forecasts lapse. Rankings from a file are not stored: they count at both times.
    """
    scene, threshold = Scene(catalogue, store, options), float(options.threshold)
    questions = {
        name: one
        for name, one in catalogue.questions.items()
        if one.threshold is not None and one.threshold.value == threshold
    }

    def inputs(at: datetime) -> dict[PanelInput, Opinion | datetime]:
        told = [one for one in scene.opinions(at) if one.question in questions]
        last: dict[PanelInput, Opinion | datetime] = {
            (person, question): Opinion(
                tuple(sorted((one.outcome, one.probability) for one in said)), tuple(said)
            )
            for (question, person), said in last_words(told).items()
        }
        return last | {("time",): at}

    def score(given: Mapping[PanelInput, Opinion | datetime]) -> Mapping[str, float]:
        at = given[("time",)]
        assert isinstance(at, datetime)
        said = [one for value in given.values() if isinstance(value, Opinion) for one in value.forecasts]
        standing = [one for one in said if at - one.made_at <= timedelta(days=MAX_AGE_DAYS)]
        return panel_scores(
            questions,
            standing,
            threshold=threshold,
            now=max([at, *(one.made_at for one in standing)]),  # time put back takes no forecast back
            areas=tuple(catalogue.groups),
            rankings=scene.rankings,
            max_age_days=math.inf,
        )

    return attribute(inputs(since), inputs(now), score)


# Parts ------------------------------------------------------------------------------------------------


def stored_fit(store: Store, known_at: datetime | None) -> TrendFit | None:
    """The exponential fit to METR's record models since 2023, as known then; None without enough points."""
    try:
        points = select(store.measurements(TREND_SERIES, known_at=known_at), TREND_SELECTION)
        return fit_line(points, TREND_SELECTION)
    except UsageError:
        return None


def mixture_of(measurements: Sequence[Measurement], seed: int) -> Mixture | None:
    """All shapes on the same points, those above the ceiling as "at or above" it; None without enough points."""
    return _mixture_of(tuple(measurements), seed)


@lru_cache(maxsize=16)
def _mixture_of(measurements: tuple[Measurement, ...], seed: int) -> Mixture | None:
    try:
        points = select(measurements, replace(TREND_SELECTION, max_minutes=None))
        frontier = frontier_of(points, horizon_scale("minutes"), TREND_SELECTION.max_minutes)
        return fit_mixture(frontier, draws=TREND_DRAWS, seed=seed)
    except UsageError:
        return None


def _asking_ours(catalogue: Catalogue, store: Store) -> dict[StreamKey, str]:
    ours = {
        link.key: link.question
        for link in catalogue.links
        if link.relation is Relation.SAME and link.question is not None
    }
    return {
        key: ours[key.platform, key.external_id, key.outcome]
        for key in store.streams()
        if key.quantity in OWN and (key.platform, key.external_id, key.outcome) in ours
    }


def _told_elsewhere(store: Store, ours: Mapping[StreamKey, str], known_at: datetime | None) -> list[Forecast]:
    """Teams' and panels' values on questions elsewhere that are the same as one of ours."""
    if not ours:
        return []
    told: list[Forecast] = []
    for key, seen in store.latest(list(ours), known_at=known_at).items():
        one = seen.snapshot
        if one.state is ValueState.OK and one.probability is not None:
            told.append(
                Forecast(
                    ours[key],
                    key.outcome,
                    f"{key.source}:{key.quantity.value}",
                    ForecasterKind.PANEL,
                    one.as_of,
                    one.probability,
                )
            )
    return told


def market_rules(catalogue: Catalogue) -> Rules:
    """How community values are read: by what their platforms pay; what people told us is the panel's."""
    return Rules(quantity_weights=dict.fromkeys(OWN, 0.0), quality=Quality(), platforms=catalogue.platforms)


def _needs(catalogue: Catalogue, table: FactorTable, options: ModelOptions) -> dict[str, float]:
    """Minutes each area is assumed to need. Raises UsageError for one of no known area or not positive."""
    areas = [area.key for area in catalogue.areas]
    unknown = sorted(set(options.needs) - set(areas))
    if unknown:
        raise UsageError(f"no such area: {', '.join(unknown)}; there are: {', '.join(areas)}")
    assumed = catalogue.requirements.needed_minutes(table) | dict(options.needs)
    needed = {area: assumed[area] for area in areas if area in assumed}
    check_needs(needed, options.need_sd or 0.0)
    return needed


def _area_dates(
    catalogue: Catalogue, needed: Mapping[str, float], mixture: Mixture, options: ModelOptions, draws: int
) -> AreaDates:
    """When the shapes reach what each area needs."""
    sd = _need_sd(catalogue, options)
    return area_dates(mixture, needed, sd, draws=draws, seed=options.seed)


def _need_sd(catalogue: Catalogue, options: ModelOptions) -> float:
    return catalogue.requirements.sd_doublings if options.need_sd is None else options.need_sd


def market_kinds(
    catalogue: Catalogue,
    store: Store,
    *,
    threshold: float,
    now: datetime,
    known_at: datetime | None,
) -> tuple[dict[str, dict[str, tuple[float, float]]], float]:
    """The market's pooled log hazards and their sd per kind of value and area, and the most that halving or
    doubling a setting of quality moves an area's chance within five years."""
    values = list(store.latest(_bearing(catalogue, store), known_at=known_at).values())
    links = _dated(catalogue, threshold)
    rules, settled, quality = market_rules(catalogue), _settled(store, known_at), Quality()

    def read(one: Quality) -> Sequence[Reading]:
        return read_links(links, values, now=now, rules=replace(rules, quality=one), resolved=settled)[0]

    return pooled_by_kind(read(quality), catalogue.groups), settings_matter(read, quality, catalogue.groups)
