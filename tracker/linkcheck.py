"""Is a linked question still the one a person linked, and can its price be used? Rules X01 to X06.

Pure: what is stored of the questions comes in as ``Sight``, findings go out. X01 compares the platform's
title, criteria, closing date, type and outcomes with what a person recorded; X02 asks for the price's
transform where a price is no plain probability; X03 names markets nobody may ever settle; X04 thin ones;
X05 ladders whose rungs contradict each other at one time; X06 tells what twins on two platforms say.

A program cannot read whether Yes still means faster. It can see that the words, the type or the outcomes
changed, and then says that a person must read them again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from urllib.parse import urlsplit

from questions.catalogue import Catalogue
from questions.findings import Finding, Severity, worst_first
from questions.model import Link, Platform, Relation, Seen, Transform
from questions.records import OutcomeState, Quantity, QuestionInfo, Resolution, ValueState
from questions.time import iso
from storage.records import Observation, digest
from storage.store import Store
from tracker.config import LinkSettings

Question = tuple[str, str]  # (platform, external_id)
SETTLED = ("resolved", "settled", "finalized", "determined")
DELETED = "_deleted_"  # what Manifold puts in a market's address for an account that is gone
ROUNDING = 1e-9
ONE_ANSWER = timedelta(
    minutes=5
)  # a question's own streams come in one answer, or in two right after another


@dataclass(frozen=True)
class Sight:
    """What the store knows of one linked question, all of it from one source.

    ``newest`` holds the newest value of each stream; of one that came without market quality (prices in
    bulk), ``quality`` holds the newest that came with it. ``failure`` says why it could not be fetched now.
    """

    info: QuestionInfo | None = None
    newest: tuple[Observation, ...] = ()
    quality: tuple[Observation, ...] = ()
    resolutions: tuple[Resolution, ...] = ()
    failure: str = ""

    @property
    def current(self) -> frozenset[str]:
        """The outcomes it has now: those with a value seen last, and those that are resolved."""
        return frozenset(seen.snapshot.key.outcome for seen in self.standing) | {
            resolution.outcome for resolution in self.resolutions
        }

    @property
    def standing(self) -> tuple[Observation, ...]:
        """The values seen when the question was last seen; not those of an answer that was taken away."""
        last = max((seen.seen_last for seen in self.newest), default=None)
        return tuple(
            seen
            for seen in self.newest
            if seen.snapshot.state is not ValueState.GONE
            and last is not None
            and last - seen.seen_last <= ONE_ANSWER
        )

    @property
    def gone(self) -> bool:
        """Whether the last thing heard of it is that it is not there."""
        return bool(self.newest) and not self.current and self._newest_state is ValueState.GONE

    @property
    def _newest_state(self) -> ValueState:
        return max(self.newest, key=lambda seen: (seen.seen_last, seen.snapshot.as_of)).snapshot.state

    def value(self, outcome: str) -> Observation | None:
        """The value of an outcome that stands now, with a number in it; the one seen last."""
        found = [
            seen
            for seen in self.standing
            if seen.snapshot.key.outcome == outcome and seen.snapshot.state is ValueState.OK
        ]
        return max(found, key=lambda seen: (seen.seen_last, seen.snapshot.as_of), default=None)

    def resolution(self, outcome: str) -> Resolution | None:
        """What became of an outcome, if that stands."""
        for resolution in self.resolutions:
            if resolution.outcome == outcome and resolution.state is not OutcomeState.UNRESOLVED:
                return resolution
        return None


@dataclass(frozen=True)
class Case:
    """One link with everything there is to judge it by."""

    link: Link
    sight: Sight
    seen: Seen | None
    platform: Platform | None
    settings: LinkSettings
    now: datetime

    @property
    def name(self) -> str:
        return name_of(self.link)

    @property
    def settled(self) -> bool:
        info = self.sight.info
        return self.sight.resolution(self.link.outcome) is not None or (
            info is not None and info.status in SETTLED
        )

    @property
    def transform(self) -> Transform | None:
        """How the price is read: the link's own word, else its platform's."""
        return self.link.transform or (self.platform.transform if self.platform else None)

    @property
    def price(self) -> Observation | None:
        """The value that stands, if it is a probability and the question is not settled."""
        value = self.sight.value(self.link.outcome)
        return None if self.settled or value is None or value.snapshot.probability is None else value

    @property
    def probability(self) -> float:
        return 0.0 if self.price is None else self.price.snapshot.probability or 0.0


@dataclass(frozen=True)
class Remark:
    """A finding without its place."""

    rule: str
    severity: Severity
    message: str
    fix: str


Remarks = Iterator[Remark]


def name_of(link: Link) -> str:
    """The name of the linked question: platform:id."""
    return f"{link.platform}:{link.external_id}"


def check_links(
    catalogue: Catalogue,
    links: Sequence[Link],
    sights: Mapping[Question, Sight],
    *,
    settings: LinkSettings,
    now: datetime,
) -> list[Finding]:
    """Every finding about these links, worst first. Whole ladders and pairs of twins are wanted among them
    (``with_relatives``)."""
    cases = [_case(catalogue, link, sights, settings, now) for link in links]
    found = [(case, remark) for case in cases for rule in RULES for remark in rule(case)]
    for ladder in _groups(cases, lambda link: link.ladder):
        found += ladder_findings(ladder)
    for twins in _groups(cases, lambda link: link.twin):
        found += twin_findings(twins)
    return worst_first(_placed(catalogue, case, remark) for case, remark in found)


def with_relatives(catalogue: Catalogue, links: Sequence[Link]) -> list[Link]:
    """The links, and those on their ladders and their twins: they can only be judged together."""
    ladders, twins = {link.ladder for link in links}, {link.twin for link in links}
    chosen = {link.key for link in links}
    return [
        link
        for link in catalogue.links
        if link.key in chosen
        or (link.ladder is not None and link.ladder in ladders)
        or (link.twin is not None and link.twin in twins)
    ]


def _case(
    catalogue: Catalogue,
    link: Link,
    sights: Mapping[Question, Sight],
    settings: LinkSettings,
    now: datetime,
) -> Case:
    question = (link.platform, link.external_id)
    return Case(
        link,
        sights.get(question, Sight()),
        catalogue.seen.get(question),
        catalogue.platforms.get(link.platform),
        settings,
        now,
    )


def _groups(cases: Iterable[Case], name: Callable[[Link], str | None]) -> list[list[Case]]:
    groups: dict[str, list[Case]] = {}
    for case in cases:
        key = name(case.link)
        if key is not None:
            groups.setdefault(key, []).append(case)
    return list(groups.values())


def _placed(catalogue: Catalogue, case: Case, remark: Remark) -> Finding:
    file, line = catalogue.link_place(case.link)
    return Finding(case.name, remark.rule, remark.severity, file, line, remark.message, remark.fix)


# X01: is it still the same question? --------------------------------------------------------------------


def text_findings(case: Case) -> Remarks:
    """X01 (error): what stands on the platform now is not what a person recorded when linking."""
    sight = case.sight
    if sight.failure:
        yield Remark(
            "X01",
            Severity.WARNING,
            f"not fetched just now: {sight.failure}",
            "try again later; the other findings are about what is stored",
        )
    if sight.gone:
        yield Remark(
            "X01",
            Severity.ERROR,
            f"the question is not there any more (last asked {_day(_last_seen(sight))})",
            "look for where it went; take the link out or name the new question",
        )
        return
    if sight.info is None:
        yield Remark(
            "X01",
            Severity.WARNING,
            "nothing of its text has been fetched yet, so nothing could be compared",
            "run check-links without --offline; `speedup status` tells which source lacks its key",
        )
        return
    yield from _outcome_findings(case)
    if case.seen is None:
        yield Remark(
            "X01",
            Severity.WARNING,
            "no person has recorded what it says, so a change cannot be seen",
            "read the question, then: speedup questions check-links NAME --record",
        )
        return
    yield from _differences(case, case.seen, sight.info)


def _outcome_findings(case: Case) -> Remarks:
    link, current = case.link, case.sight.current
    recorded = set(case.seen.outcomes) if case.seen else set()
    if current and link.outcome not in current:
        yield Remark(
            "X01",
            Severity.ERROR,
            f"outcome {_short(link.outcome)} is not among its outcomes now: {_listed(current)}",
            "name the outcome that is meant in the link; " + _reread(case),
        )
    if recorded and current and recorded - {link.outcome} != current - {link.outcome}:
        yield Remark(
            "X01",
            Severity.WARNING,
            f"its outcomes are not those recorded: {_listed(recorded)}; now {_listed(current)}",
            _reread(case),
        )


def _differences(case: Case, seen: Seen, info: QuestionInfo) -> Remarks:
    since = f"since {_day(seen.at)}"
    if title_digest(info.title) != seen.title_sha256:
        before = f" from {_short(seen.title)}" if seen.title else ""
        yield Remark(
            "X01", Severity.ERROR, f"its title changed {since}{before} to {_short(info.title)}", _reread(case)
        )
    yield from _criteria(case, seen, info, since)
    early = info.status in SETTLED and None not in (info.closes_at, seen.closes_at)
    if info.closes_at != seen.closes_at and not (early and _earlier(info.closes_at, seen.closes_at)):
        yield Remark(
            "X01",
            Severity.ERROR,
            f"its close moved {since} from {_moment(seen.closes_at)} to {_moment(info.closes_at)}",
            f"see whether `by` ({_moment(case.link.by)}) is still the deadline asked about; " + _accept(case),
        )
    if info.question_type != seen.question_type:
        yield Remark(
            "X01",
            Severity.ERROR,
            f"its type changed {since} from {_short(seen.question_type)} to {_short(info.question_type)}",
            _reread(case),
        )


def _criteria(case: Case, seen: Seen, info: QuestionInfo, since: str) -> Remarks:
    now, then = info.criteria_sha256, seen.criteria_sha256
    if now and then and now != then:
        message = f"its resolution criteria changed {since} (digest {then[:12]} to {now[:12]})"
        yield Remark("X01", Severity.ERROR, message, _reread(case))
    elif then and not now:
        message = "its resolution criteria did not come this time, so they could not be compared"
        yield Remark("X01", Severity.WARNING, message, "compare them by hand at " + case.link.url)
    elif not (now or then):
        message = "no resolution criteria come with it, so a change of them cannot be seen"
        yield Remark("X01", Severity.ADVICE, message, "look at them by hand from time to time")
    elif now and not then:
        message = "no resolution criteria were recorded, so a change of them cannot be seen"
        yield Remark("X01", Severity.ADVICE, message, _accept(case))


def _earlier(a: datetime | None, b: datetime | None) -> bool:
    """Once a question is settled, platforms tell when it ended as its close: no date was moved."""
    return a is not None and b is not None and a < b


def _reread(case: Case) -> str:
    meant = "faster" if case.link.polarity > 0 else "slower"
    return (
        f"read it again: does {_short(case.link.outcome)} still mean {meant} (polarity {case.link.polarity:+d})? "
        f"If not, mend the link; then {_accept(case)}"
    )


def _accept(case: Case) -> str:
    return f"record it: speedup questions check-links {case.name} --record"


# X02: what does the price mean? -------------------------------------------------------------------------


def transform_findings(case: Case) -> Remarks:
    """X02 (warning): the payout is not 1 or 0, or the money is no money, and no transform is declared."""
    link, resolution = case.link, case.sight.resolution(case.link.outcome)
    plain = case.transform in (None, Transform.IDENTITY)
    if resolution is not None and resolution.state is OutcomeState.FRACTION and plain:
        yield Remark(
            "X02",
            Severity.WARNING,
            f"it paid {resolution.value}, so its price was no probability of a Yes",
            'declare it in the link: transform = "half_if_neither" or "share"',
        )
    if case.transform is None and _is_price(case):
        yield Remark(
            "X02",
            Severity.WARNING,
            "its value is a price, and how a price there becomes a probability is not declared",
            f'add [[platform]] key = "{link.platform}" with money and transform, or transform to the link',
        )
    if not plain and link.relation is not Relation.CONTEXT:
        yield Remark(
            "X02",
            Severity.WARNING,
            f"its price is no probability ({case.transform}), yet the market's voice reads it as one",
            'make the link relation = "context" without areas, or link a question that pays 1 or 0',
        )


def _is_price(case: Case) -> bool:
    prices = (Quantity.PLAY_MONEY_PRICE, Quantity.REAL_MONEY_MID, Quantity.REAL_MONEY_LAST)
    return any(seen.snapshot.key.quantity in prices for seen in case.sight.newest)


# X03: will anybody settle it? ---------------------------------------------------------------------------


def overdue_findings(case: Case) -> Remarks:
    """X03 (warning): its author is gone, or it is unresolved long after its close."""
    if case.settled or case.sight.gone:
        return
    info, limit = case.sight.info, case.settings.overdue_days
    addresses = (case.link.url, "" if info is None else info.url)
    if any(urlsplit(address).path.split("/")[1:2] == [DELETED] for address in addresses):
        yield Remark(
            "X03",
            Severity.WARNING,
            "its author's account is deleted: only a moderator can settle it",
            "ask the platform's moderators, or take the link out",
        )
    if info is not None and info.closes_at is not None:
        days = (case.now - info.closes_at) / timedelta(days=1)
        if days > limit:
            yield Remark(
                "X03",
                Severity.WARNING,
                f"closed on {_day(info.closes_at)} and unresolved {days:.0f} days later (limit {limit:g})",
                "its last price is no outcome; ask for it to be settled, or take the link out",
            )


# X04: is the price worth anything? ----------------------------------------------------------------------


def floor_findings(case: Case) -> Remarks:
    """X04 (warning): the newest value has no market quality beside it, or too little of it."""
    sight, outcome = case.sight, case.link.outcome
    if case.settled or sight.gone or (sight.current and outcome not in sight.current):
        return  # X01 speaks of these
    value = sight.value(outcome)
    if value is None:
        if sight.info is not None:
            states = [s.snapshot.state.value for s in sight.standing if s.snapshot.key.outcome == outcome]
            message = f"it has no value ({', '.join(states) or 'none came'})"
            yield Remark("X04", Severity.WARNING, message, "nothing can be read from it until it has one")
        return
    quality = next((q for q in sight.quality if q.snapshot.key == value.snapshot.key), value).snapshot
    floor = case.settings
    if quality.forecasters is None and quality.volume is None and quality.spread is None:
        yield Remark(
            "X04",
            Severity.WARNING,
            "neither forecasters nor volume nor spread came with its value",
            "run check-links without --offline, which asks for each question by itself",
        )
        return
    short = [
        text
        for text, low in (
            (f"{quality.forecasters} forecasters (floor {floor.min_forecasters})",
             quality.forecasters is not None and quality.forecasters < floor.min_forecasters),
            (f"a volume of {quality.volume or 0:.6g} (floor {floor.min_volume:g})",
             quality.volume is not None and quality.volume < floor.min_volume),
            (f"a spread of {quality.spread or 0:.3g} (at most {floor.max_spread:g})",
             quality.spread is not None and quality.spread > floor.max_spread + ROUNDING),
        )
        if low
    ]  # fmt: skip
    if short:
        yield Remark(
            "X04",
            Severity.WARNING,
            f"a thin value of {_day(quality.fetched_at)}: {', '.join(short)}",
            "lower its weight, or take it for context; the floor is [links] in the settings file",
        )


RULES: tuple[Callable[[Case], Remarks], ...] = (
    text_findings,
    transform_findings,
    overdue_findings,
    floor_findings,
)


# X05: does a ladder contradict itself? ------------------------------------------------------------------


def ladder_findings(cases: Sequence[Case]) -> Iterator[tuple[Case, Remark]]:
    """X05 (warning): of two rungs seen at one time, the harder one is the likelier one.

    Harder is an earlier or equal deadline with a higher or equal threshold, one of them truly so. Resolved
    rungs and rungs without a probability are left out.
    """
    name = cases[0].link.ladder
    if any(case.link.bucket for case in cases):
        return  # answers that exclude each other: none is harder than another
    if len(cases) == 1:
        fix = f'give the other rungs ladder = "{name}" too, or take it out'
        yield cases[0], Remark("X05", Severity.ADVICE, f"ladder {name} has this one rung only", fix)
        return
    for case in cases:
        if not any(_harder(case, other) or _harder(other, case) for other in cases):
            message = f"it has no place on ladder {name}: no other rung is harder or easier"
            yield case, Remark("X05", Severity.ADVICE, message, "check by and rung of the ladder's links")
    together, apart = _together([case for case in cases if case.price is not None])
    for case in apart:
        seen = _day(_price_seen(case))
        message = f"not compared with the other rungs of ladder {name}: last seen {seen}, at another time"
        yield case, Remark("X05", Severity.ADVICE, message, "fetch them together: run check-links online")
    for hard, easy in _neighbours(together):
        high, low = hard.probability, easy.probability
        if high > low + ROUNDING:
            message = (
                f"at {high:.4g} it stands above {easy.name} at {low:.4g}, which is easier"
                f" (gap {high - low:.4g}, ladder {name})"
            )
            fix = "no use as it stands: one of the two prices is wrong, or the rungs ask different things"
            yield hard, Remark("X05", Severity.WARNING, message, fix)


def _harder(a: Case, b: Case) -> bool:
    """Whether Yes to ``a`` implies Yes to ``b``, and not the other way round."""
    x, y = a.link, b.link
    if (x.by is None) != (y.by is None) or (x.rung is None) != (y.rung is None):
        return False
    sooner = 0 if x.by is None or y.by is None else (x.by < y.by) - (x.by > y.by)
    higher = 0 if x.rung is None or y.rung is None else (x.rung > y.rung) - (x.rung < y.rung)
    return min(sooner, higher) >= 0 and max(sooner, higher) > 0


def _neighbours(cases: Sequence[Case]) -> Iterator[tuple[Case, Case]]:
    """(harder, easier) without a rung in between: if these are in order, all are."""
    for hard in cases:
        easier = [case for case in cases if _harder(hard, case)]
        for easy in easier:
            if not any(_harder(between, easy) for between in easier):
                yield hard, easy


def _together(cases: Sequence[Case]) -> tuple[list[Case], list[Case]]:
    """Those whose price was seen at the time of the one seen last, and the others."""
    if not cases:
        return [], []
    earliest = max(map(_price_seen, cases)) - timedelta(minutes=cases[0].settings.together_minutes)
    near = [case for case in cases if _price_seen(case) >= earliest]
    return near, [case for case in cases if _price_seen(case) < earliest]


def _price_seen(case: Case) -> datetime:
    return case.now if case.price is None else case.price.seen_last


# X06: what does the twin say? ---------------------------------------------------------------------------


def twin_findings(cases: Sequence[Case]) -> Iterator[tuple[Case, Remark]]:
    """X06 (advice): the same thing asked on two platforms, and how far apart the prices are."""
    pairs = [(a, b) for a, b in combinations(cases, 2) if a.link.platform != b.link.platform]
    if not pairs:
        name = cases[0].link.twin
        fix = f'give the twin on another platform twin = "{name}" too, or take it out'
        yield cases[0], Remark("X06", Severity.ADVICE, f"twin {name}: no link on another platform", fix)
    for a, b in pairs:
        message = f"{_told(a)}; its twin {b.name}: {_told(b)}{_gap(a, b)}"
        yield a, Remark("X06", Severity.ADVICE, message, "count the two as one event; see why they differ")


def _told(case: Case) -> str:
    resolution = case.sight.resolution(case.link.outcome)
    if resolution is not None:
        when = f" on {_day(resolution.resolved_at)}" if resolution.resolved_at else ""
        return f"resolved {resolution.state.value}{when}"
    if case.price is None:
        return "no price"
    word = f", {case.transform}" if case.transform not in (None, Transform.IDENTITY) else ""
    return f"{case.probability:.4g} ({_day(_price_seen(case))}{word})"


def _gap(a: Case, b: Case) -> str:
    if a.price is None or b.price is None:
        return ""
    together = len(_together([a, b])[0]) == 2
    return f"; gap {abs(a.probability - b.probability):.4g}" + ("" if together else ", not of one time")


# What a person records ----------------------------------------------------------------------------------


def title_digest(title: str) -> str:
    """SHA-256 of a title's words: runs of blanks count as one."""
    return digest(" ".join(title.split()).encode("utf-8", "surrogatepass"))


def record_of(sight: Sight, at: datetime) -> Seen | None:
    """What stands there now, to be kept; None when its text is not known or the question is gone."""
    info = sight.info
    if info is None or sight.gone:
        return None
    return Seen(
        platform=info.platform,
        external_id=info.external_id,
        source=info.source,
        at=at,
        title_sha256=title_digest(info.title),
        title=" ".join(info.title.split()),
        criteria_sha256=info.criteria_sha256,
        question_type=info.question_type,
        closes_at=info.closes_at,
        outcomes=tuple(sorted(sight.current)),
    )


def news(records: Iterable[Seen], known: Mapping[Question, Seen]) -> list[Seen]:
    """Those that say something else than what was recorded last."""
    fresh = []
    for record in records:
        before = known.get((record.platform, record.external_id))
        if before is None or before.model_copy(update={"at": record.at, "title": record.title}) != record:
            fresh.append(record)
    return fresh


# What is stored -----------------------------------------------------------------------------------------


def sights_of(
    store: Store, catalogue: Catalogue, failures: Mapping[Question, str] | None = None
) -> dict[Question, Sight]:
    """What is stored of every linked question: from the source it was recorded from, else from its own
    platform, else from whoever tells of it."""
    infos: dict[Question, dict[str, QuestionInfo]] = {}
    for info in store.infos():
        infos.setdefault((info.platform, info.external_id), {})[info.source] = info
    newest: dict[Question, list[Observation]] = {}
    for key, seen in store.latest().items():
        newest.setdefault((key.platform, key.external_id), []).append(seen)
    resolutions: dict[Question, list[Resolution]] = {}
    for resolution in store.resolutions():
        resolutions.setdefault((resolution.platform, resolution.external_id), []).append(resolution)
    found = {}
    for question in {(link.platform, link.external_id) for link in catalogue.links}:
        told = infos.get(question, {})
        values = newest.get(question, [])
        source = _teller(
            question, catalogue.seen.get(question), {*told, *(v.snapshot.key.source for v in values)}
        )
        own = tuple(value for value in values if value.snapshot.key.source == source)
        found[question] = Sight(
            info=told.get(source),
            newest=own,
            quality=tuple(_with_quality(store, value) for value in own),
            resolutions=tuple(resolutions.get(question, ())),
            failure=(failures or {}).get(question, ""),
        )
    return found


def _teller(question: Question, seen: Seen | None, sources: set[str]) -> str:
    wanted = (seen.source if seen else "", question[0], *sorted(sources))
    return next((source for source in wanted if source in sources), "")


def _with_quality(store: Store, value: Observation) -> Observation:
    """The newest value of the stream that came with forecasters, volume or spread; else the one given."""
    if _has_quality(value):
        return value
    earlier = reversed(store.history(value.snapshot.key))
    return next((seen for seen in earlier if _has_quality(seen)), value)


def _has_quality(value: Observation) -> bool:
    snapshot = value.snapshot
    return any(number is not None for number in (snapshot.forecasters, snapshot.volume, snapshot.spread))


def _last_seen(sight: Sight) -> datetime:
    return max(seen.seen_last for seen in sight.newest)


# Words --------------------------------------------------------------------------------------------------


def _day(moment: datetime) -> str:
    return moment.date().isoformat()


def _moment(moment: datetime | None) -> str:
    return "none" if moment is None else iso(moment)


def _short(text: str) -> str:
    return f'"{text[:119]}…"' if len(text) > 120 else f'"{text}"'


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    rest = f" and {len(ordered) - 6} more" if len(ordered) > 6 else ""
    return ", ".join(_short(name) for name in ordered[:6]) + rest
