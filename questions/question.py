"""Our own questions: everything that decides an outcome stands in one record.

The record refuses what can never be resolved (dates out of order, an arm that is no area, a default
that is no outcome). Whether a question is *good* is the linter's business, so fields that a careful
writer fills but a draft may lack have an empty default.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from questions.fields import (
    ANNUL as ANNUL,
    PENDING as PENDING,
    ContradictionError as ContradictionError,
    IfBoundOnly,
    IfGone,
    IfMethodChanges,
    IfRevised,
    IfSilent,
    Listed as Listed,
    Moment as Moment,
    Text as Text,
    Url as Url,
)
from questions.formulas import ReadingFormula
from questions.model import Key, QuestionId, QuestionKind, Record, SpeedupKind, View
from questions.rules import (
    FirstCrossing,
    Rule,
    SeriesOrder,
    SeriesThreshold,
    SeriesValue,
    outcomes_named,
)


class EvidenceClass(StrEnum):
    """What a proxy's number is evidence of. Only the first two may decide a progress question."""

    MATCHED_COMPARISON = "matched_comparison"  # same graded work, with and without today's tools
    PROGRESS_RATE = "progress_rate"  # pace of a pinned measure against its own baseline pace
    GATE = "gate"  # must be passed before another proxy counts
    THROUGHPUT = "throughput"  # counts of papers, merges, data sets
    PERCEIVED = "perceived"  # what people say of themselves
    INDICATOR = "indicator"  # a model's score on a task of the area


DECIDING = frozenset({EvidenceClass.MATCHED_COMPARISON, EvidenceClass.PROGRESS_RATE})


class ReadBy(StrEnum):
    """Who gives a proxy's ratio at a quarter's end."""

    PROGRAM = "program"  # its formula, over stored series
    JUDGES = "judges"  # two of them, from what has been published, by the rubric of the question
    NOBODY = "nobody"  # watched only: it decides nothing, and nothing of it is stored


class VersionPolicy(StrEnum):
    """What happens when the source's instrument changes."""

    PIN = "pin"
    LATEST = "latest"
    NAMED_SUCCESSOR = "named_successor"
    ANNUL_ON_CHANGE = "annul_on_change"


class EventBasis(StrEnum):
    """Which day counts: the event's own, its publication's, or the report's."""

    EVENT_DATE = "event_date"
    PUBLICATION_DATE = "publication_date"
    REPORT_DATE = "report_date"


class Threshold(Record):
    """What must be reached: ``statistic`` (with its ``uncertainty``) ``comparator`` ``value`` ``unit``."""

    value: float
    unit: str = ""
    comparator: Literal[">", ">=", "<", "<="] = ">="
    statistic: str = ""
    uncertainty: str = ""


class Baseline(Record):
    """What a multiple is a multiple of: ``tools_2026-01-22`` or ``no_ai``, and its window.

    ``standard_deviation`` is that of the figure over the window, in the figure's own unit.
    """

    reference: Text
    window_start: date | None = None
    window_end: date | None = None
    value: float | None = None
    standard_deviation: Annotated[float, Field(gt=0)] | None = None
    source_url: Url = ""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.window_start and self.window_end and self.window_start >= self.window_end:
            raise ContradictionError([(("window_end",), "the baseline window must end after it starts")])
        return self


class Measurement(Record):
    """How the number is got: a written procedure, its formula, who is eligible, what changes do.

    ``version`` is the instrument's version that is pinned (empty: the one in force when the question opens);
    ``successors`` are the versions or series that may take its place under ``named_successor``.
    """

    procedure: str = ""
    formula: str = ""
    window_days: Annotated[int, Field(gt=0)] | None = None
    aggregation: str = ""
    rounding: str = ""
    eligibility: str = ""
    leakage_policy: str = ""
    version_policy: Annotated[VersionPolicy, Field(strict=False)] | None = None
    version: str = ""
    successors: Listed[Text] = ()


class Resolution(Record):
    """Who decides from what, and what happens when the source fails in each way a source can."""

    authority: Text
    primary_url: Url = ""
    selector: str = ""
    fallback_urls: Listed[Url] = ()
    snapshot_policy: str = ""
    if_gone: IfGone | None = None
    if_silent: IfSilent | None = None
    if_bound_only: IfBoundOnly | None = None
    if_method_changes: IfMethodChanges | None = None
    if_revised: IfRevised | None = None
    evidence_whitelist: Listed[str] = ()


class Dates(Record):
    """When forecasting opens and closes and when the outcome is settled; all UTC.

    ``close`` is also the last moment an event counts; ``report_grace_days`` how long a report of it
    may take. What is published after ``settled_by`` never counts.
    """

    open: Moment
    close: Moment
    resolve: Moment
    event_basis: Annotated[EventBasis, Field(strict=False)] | None = None
    report_grace_days: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        findings: list[tuple[tuple[str, ...], str]] = []
        if not self.open < self.close:
            findings.append((("close",), "must be later than open"))
        if not self.close < self.resolve:
            findings.append((("resolve",), "must be later than close"))
        if findings:
            raise ContradictionError(findings)
        return self

    @property
    def settled_by(self) -> datetime:
        """The last moment at which a report of an event counts."""
        return max(self.resolve, self.close + timedelta(days=self.report_grace_days or 0))


class EdgeCase(Record):
    scenario: Text
    outcome: Text


class Ordering(Record):
    """Two areas, and which crosses the same threshold first. A win's outcome is the area's key.

    Crossings at most ``tie_window_days`` apart are ``tie_outcome``; no crossing by the close is
    ``neither_outcome``. Either may be ``annul``; a payout of a half each cannot be written down.
    An arm may be a group: ``a_areas`` are then its areas, and it has crossed when ``areas_needed`` have.
    """

    a: Key
    b: Key
    a_areas: Listed[Key] = ()
    b_areas: Listed[Key] = ()
    areas_needed: Annotated[int, Field(ge=1)] = 1
    tie_window_days: Annotated[int, Field(ge=0)]
    tie_outcome: Text
    neither_outcome: Text
    both_before_open: Text

    @model_validator(mode="after")
    def _two_arms(self) -> Self:
        if self.a == self.b:
            raise ContradictionError([(("b",), f"the arms must differ, both are {self.a!r}")])
        both = set(self.a_areas) & set(self.b_areas)
        if both:
            raise ContradictionError([(("b_areas",), f"{', '.join(sorted(both))} cannot be in both arms")])
        if self.areas_needed > min(len(self.of("a")), len(self.of("b"))):
            raise ContradictionError([(("areas_needed",), "is more than an arm has areas")])
        return self

    def of(self, arm: Literal["a", "b"]) -> tuple[str, ...]:
        """The areas of an arm: its group's, or the one it is."""
        if arm == "a":
            return self.a_areas or (self.a,)
        return self.b_areas or (self.b,)


class Conditional(Record):
    """The question counts only in the world where ``parent`` came out ``met`` by ``parent_deadline``."""

    parent: QuestionId
    met: Text = "yes"
    parent_deadline: Moment
    if_parent_no: Text
    if_parent_void: Text


class DateRange(Record):
    """Bounds of a date question; an event after ``upper`` is the default outcome."""

    lower: Moment
    upper: Moment
    day_convention: str = ""
    past_event: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.lower < self.upper:
            raise ContradictionError([(("upper",), "must be later than lower")])
        return self


class NumericRange(Record):
    """Bounds of a numeric question in ``unit``; an open bound allows outcomes beyond it."""

    lower: float
    upper: float
    open_lower: bool
    open_upper: bool
    unit: str = ""
    scale: Literal["linear", "log"] = "linear"

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.lower < self.upper:
            raise ContradictionError([(("upper",), "must be greater than lower")])
        if self.scale == "log" and self.lower <= 0:
            raise ContradictionError([(("lower",), "must be greater than 0 on a log scale")])
        return self


class Proxy(Record):
    """One measurable stand-in for an area's progress.

    ``ratio`` is the figure whose lower interval end is compared with the multiple. ``gated_by`` names a proxy of
    the same battery that must be passed first; above ``highest_multiple`` it decides nothing. ``series`` holds its
    ratio at quarter ends (default: ``area.id``): given by the ``formula`` or by judges (``read_by``). ``behind`` are
    the series that are collected for it, as ``series/metric``; where the world publishes none, ``no_series`` says so.
    """

    id: Annotated[str, Field(pattern=r"^[A-Z][0-9]$")]
    name: Text
    evidence: Annotated[EvidenceClass, Field(strict=False)]
    measures: Text
    ratio: Text
    weakness: Text
    source_url: Url = ""
    series: str = ""
    gated_by: str | None = None
    highest_multiple: Annotated[float, Field(gt=1)] | None = None
    read_by: Annotated[ReadBy, Field(strict=False)] = ReadBy.JUDGES
    formula: ReadingFormula | None = None
    behind: Listed[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*/[a-z][a-z0-9_]*$")]] = ()
    no_series: str = ""

    @model_validator(mode="after")
    def _read_somehow(self) -> Self:
        findings: list[tuple[tuple[str, ...], str]] = []
        if (self.read_by is ReadBy.PROGRAM) != (self.formula is not None):
            findings.append((("formula",), "goes with read_by = program, and with nothing else"))
        if self.formula is not None and not set(self.formula.reads) <= set(self.behind):
            findings.append((("behind",), f"lacks what the formula reads: {', '.join(self.formula.reads)}"))
        if self.read_by is ReadBy.NOBODY and self.evidence in {*DECIDING, EvidenceClass.GATE}:
            findings.append((("read_by",), f"{self.evidence.value} may decide: a program or judges read it"))
        if self.behind and self.no_series:
            findings.append((("no_series",), "there is one: behind names it"))
        if findings:
            raise ContradictionError(findings)
        return self

    def decides(self, multiple: float) -> bool:
        """Whether the proxy may count towards a crossing of this multiple."""
        return self.evidence in DECIDING and (
            self.highest_multiple is None or multiple <= self.highest_multiple
        )


class Battery(Record):
    """The proxies of one area and the frozen query that says which papers belong to it."""

    area: Key
    query: Text
    proxies: Annotated[Listed[Proxy], Field(min_length=1)]

    @model_validator(mode="after")
    def _known_proxies(self) -> Self:
        ids = [proxy.id for proxy in self.proxies]
        findings: list[tuple[tuple[str, ...], str]] = [
            (("proxies",), f"two proxies are called {name!r}")
            for name in sorted(set(ids))
            if ids.count(name) > 1
        ]
        for proxy in self.proxies:
            if proxy.gated_by is not None and (proxy.gated_by not in ids or proxy.gated_by == proxy.id):
                findings.append(
                    (("proxies",), f"{proxy.id} is gated by {proxy.gated_by!r}, no other proxy here")
                )
        if findings:
            raise ContradictionError(findings)
        return self

    def series(self, proxy: Proxy) -> str:
        """The series that holds a proxy's ratios."""
        return proxy.series or f"{self.area}.{proxy.id}"

    def deciding(self, multiple: float) -> tuple[Proxy, ...]:
        """The proxies that may count towards a crossing of this multiple."""
        return tuple(proxy for proxy in self.proxies if proxy.decides(multiple))


class BatteryRule(Record):
    """An area has crossed when the same ``need`` proxies hold for ``quarters`` quarter ends in a row.

    A proxy holds when the lower end of its interval at ``level`` is at or above the threshold. It is live
    while its newest reading is no more than ``fresh_days`` old. Two judges of a proxy agree when the larger of
    their lower ends is at most ``agree_within`` times the smaller; ``interval`` tells them how one is found.
    """

    need: Annotated[int, Field(ge=1)]
    level: Annotated[float, Field(gt=0, lt=1)]
    quarters: Annotated[int, Field(ge=1)]
    fresh_days: Annotated[int, Field(ge=1)] = 365
    agree_within: Annotated[float, Field(ge=1)] = 1.1
    interval: str = ""
    arms: Annotated[Listed[Battery], Field(min_length=1)]


class Panel(Record):
    """People asked one fixed question when the battery cannot speak; the ``statistic`` of their answers."""

    seats: Annotated[int, Field(ge=1)]
    quorum: Annotated[int, Field(ge=1)]
    statistic: Text
    question: Text
    conflict_rule: str = ""
    appointed_by: Moment | None = None
    members: Listed[str] = ()

    @model_validator(mode="after")
    def _quorum(self) -> Self:
        if self.quorum > self.seats:
            raise ContradictionError([(("quorum",), f"{self.quorum} cannot sit on {self.seats} seats")])
        if len(self.members) > self.seats:
            raise ContradictionError([(("members",), f"{len(self.members)} members for {self.seats} seats")])
        return self


class QuestionLink(Record):
    """The same or a kindred question elsewhere, and how its text differs from ours."""

    platform: Key
    id: Text
    relation: Literal["same", "mirror", "component", "proxy", "context"]
    difference: str = ""


class CurrentValue(Record):
    value: float
    as_of: Moment
    url: Url = ""


class Change(Record):
    """One edit. ``wording`` says it changed no outcome in any world, so the question stays the same."""

    version: Annotated[int, Field(ge=1)]
    on: date
    note: Text
    wording: bool = False


class FixtureObservation(Record):
    """A dated fact of an invented world: what a ``series`` read, or what somebody said.

    ``series`` is ``area.proxy`` or ``area.panel`` of a battery, the series of a rule,
    ``platform:external_id``, ``question:id`` (a conditional's parent) or ``judge:name``; a fact about the
    last three says its ``outcome``. ``key`` tells points of one day apart. A later fact of the same series, metric
    and key (without a key: of the same day) corrects the earlier one. ``lower``..``upper`` is the
    interval; with ``bound`` the value is only known to be at least (``lower``) or at most (``upper``) that.
    ``version`` is the instrument's, ``published`` when the world could read it (default: ``at``).
    ``event`` tells a source that vanished, kept silent, changed its method, or took a point back.
    """

    at: date
    series: Text
    metric: str = ""
    key: str = ""
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    bound: Literal["", "lower", "upper"] = ""
    version: str = ""
    published: date | None = None
    outcome: str = ""
    event: Literal["measured", "gone", "silent", "method_changed", "withdrawn"] = "measured"


class Fixture(Record):
    """A tiny invented world and what the question must come to in it (an outcome, ``annul`` or ``pending``).

    It is asked on ``asked_on``, by default when everything that may count has been published.
    """

    name: Text
    world: Listed[FixtureObservation]
    expected: Text
    expected_on: date | None = None
    expected_value: float | None = None
    asked_on: date | None = None


class Question(Record):
    """One of our questions, complete enough that a stranger can resolve it.

    ``version`` rises with every edit; a material edit after opening is a new question. ``glossary``
    explains terms that would else be vague, ``waivers`` holds the written reason for each lint rule
    that is knowingly not met. ``cost_minutes`` is what resolving takes a person (0: a script does it).
    """

    id: QuestionId
    version: Annotated[int, Field(ge=1)]
    title: Text
    kind: Annotated[QuestionKind, Field(strict=False)]
    areas: Annotated[Listed[Key], Field(min_length=1)]
    view: Annotated[View, Field(strict=False)]
    speedup_kind: Annotated[SpeedupKind, Field(strict=False)]
    threshold: Threshold | None = None
    baseline: Baseline | None = None
    measurement: Measurement = Measurement()
    rule: Rule | None = None
    battery: BatteryRule | None = None
    panel: Panel | None = None
    resolution: Resolution
    dates: Dates
    outcomes: Annotated[Listed[Text], Field(min_length=2)]
    default_outcome: Text
    annul_if: Listed[str] = ()
    edge_cases: Listed[EdgeCase] = ()
    ordering: Ordering | None = None
    conditional: Conditional | None = None
    date_range: DateRange | None = None
    numeric_range: NumericRange | None = None
    links: Listed[QuestionLink] = ()
    background: str = ""
    current_value: CurrentValue | None = None
    coi: str = ""
    changelog: Listed[Change] = ()
    fixtures: Listed[Fixture] = ()
    glossary: Annotated[dict[str, str], Field(default_factory=dict)]
    waivers: Annotated[dict[str, str], Field(default_factory=dict)]
    cost_minutes: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        findings = [
            *self._kind_findings(),
            *self._outcome_findings(),
            *self._ordering_findings(),
            *self._battery_findings(),
            *self._rule_findings(),
            *self._date_findings(),
        ]
        if findings:
            raise ContradictionError(findings)
        return self

    def _kind_findings(self) -> Iterator[tuple[tuple[str, ...], str]]:
        owners = {
            "ordering": QuestionKind.ORDERING,
            "conditional": QuestionKind.CONDITIONAL,
            "date_range": QuestionKind.DATE,
            "numeric_range": QuestionKind.NUMERIC,
        }
        for block, kind in owners.items():
            given = getattr(self, block) is not None
            if given and self.kind is not kind:
                yield (block,), f"belongs to kind {kind.value}, this question is {self.kind.value}"
            if self.kind is kind and not given:
                yield (block,), f"kind {kind.value} needs a [{block}] block"
        if self.kind is QuestionKind.ORDERING and self.threshold is None:
            yield ("threshold",), "an ordering needs the threshold that both arms must reach"

    def _outcome_findings(self) -> Iterator[tuple[tuple[str, ...], str]]:
        if len(set(self.outcomes)) != len(self.outcomes):
            yield ("outcomes",), "every outcome may be listed once only"
        if ANNUL in self.outcomes:
            yield ("outcomes",), f"{ANNUL!r} is not an outcome: it is what happens when there is none"
        if PENDING in self.outcomes:
            yield ("outcomes",), f"{PENDING!r} is not an outcome: it is what a question is before it has one"
        if self.kind in (QuestionKind.BINARY, QuestionKind.CONDITIONAL) and len(self.outcomes) != 2:
            yield ("outcomes",), f"kind {self.kind.value} has two outcomes"
        if self.default_outcome not in self.outcomes:
            yield ("default_outcome",), f"{self.default_outcome!r} is none of {', '.join(self.outcomes)}"
        for fixture in self.fixtures:
            if fixture.expected not in (*self.outcomes, ANNUL, PENDING):
                yield ("fixtures",), f"{fixture.name!r} expects {fixture.expected!r}, which is no outcome"

    def _ordering_findings(self) -> Iterator[tuple[tuple[str, ...], str]]:
        if self.ordering is None:
            return
        arms: tuple[Literal["a", "b"], ...] = ("a", "b")
        for arm in arms:
            for area in self.ordering.of(arm):
                if area not in self.areas:
                    yield ("ordering", arm), f"{area!r} is not among the question's areas"
                if self.battery is not None and area not in {battery.area for battery in self.battery.arms}:
                    yield ("battery", "arms"), f"has no battery for {area!r}"
            name = getattr(self.ordering, arm)
            if name not in self.outcomes:
                yield ("outcomes",), f"needs {name!r}: the outcome of arm {arm} winning is its key"
        for name in ("tie_outcome", "neither_outcome", "both_before_open"):
            outcome = getattr(self.ordering, name)
            if outcome not in (*self.outcomes, ANNUL):
                yield ("ordering", name), f"{outcome!r} is neither an outcome nor {ANNUL!r}"

    def _battery_findings(self) -> Iterator[tuple[tuple[str, ...], str]]:
        if self.battery is None:
            return
        if self.threshold is None:
            yield ("battery",), "a battery needs a threshold"
            return
        for arm in self.battery.arms:
            if arm.area not in self.areas:
                yield ("battery", "arms"), f"{arm.area!r} is not among the question's areas"
            able = len(arm.deciding(self.threshold.value))
            if able < self.battery.need:
                yield (
                    ("battery", "need"),
                    f"{arm.area} has {able} proxies that may decide {self.threshold.value:g}x, "
                    f"{self.battery.need} are needed",
                )

    def _rule_findings(self) -> Iterator[tuple[tuple[str, ...], str]]:
        rule = self.rule
        if rule is None:
            return
        if self.battery is not None:
            yield ("rule",), "a question with a battery resolves by it: there is no room for another rule"
        for name in ("if_gone", "if_silent", "if_method_changes"):
            policy = getattr(self.resolution, name)
            if policy is not None and policy.then == "drop":
                yield ("resolution", name), "only a battery has proxies to drop"
        compares = isinstance(rule, SeriesThreshold | FirstCrossing | SeriesOrder)
        if compares and self.threshold is None:
            yield ("rule",), f"{rule.kind} compares with the [threshold], which is missing"
        for kinds, made_for in _KINDS_OF_RULES:
            if isinstance(rule, made_for) and self.kind not in kinds:
                allowed = " or ".join(kind.value for kind in kinds)
                yield ("rule", "kind"), f"{rule.kind} is for kind {allowed}, this is {self.kind.value}"
        for path, outcome in outcomes_named(rule):
            if outcome not in self.outcomes:
                yield ("rule", *path), f"{outcome!r} is none of {', '.join(self.outcomes)}"

    def _date_findings(self) -> Iterator[tuple[tuple[str, ...], str]]:
        if self.conditional is not None and self.conditional.parent_deadline >= self.dates.close:
            yield ("conditional", "parent_deadline"), "must be earlier than close"
        if self.date_range is not None and self.date_range.upper > self.dates.resolve:
            yield ("date_range", "upper"), "must not be later than resolve"
        appointed = self.panel.appointed_by if self.panel is not None else None
        if appointed is not None and appointed > self.dates.open:
            yield ("panel", "appointed_by"), "the panel must be named by the time the question opens"


_KINDS_OF_RULES: tuple[tuple[tuple[QuestionKind, ...], type], ...] = (
    ((QuestionKind.BINARY, QuestionKind.CONDITIONAL, QuestionKind.MULTIPLE_CHOICE), SeriesThreshold),
    ((QuestionKind.NUMERIC, QuestionKind.MULTIPLE_CHOICE), SeriesValue),
    ((QuestionKind.DATE,), FirstCrossing),
    ((QuestionKind.ORDERING,), SeriesOrder),
)
