"""Questions made from one text each: every pair of areas and every single area, at each multiple.

``templates.toml`` holds the wording with ``${...}`` to fill in; what must agree with other data (areas,
arms, dates, thresholds, batteries, source addresses, test worlds) is filled in here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import quote

from pydantic import Field, ValidationError, model_validator

from questions.blanks import Findings, UnfilledError, fill, fill_text, merge
from questions.errors import Problem
from questions.evidence import noon
from questions.locate import KeyPath
from questions.model import Area, Group, QuestionKind, Record
from questions.problems import CatalogueFile, explain
from questions.question import (
    Baseline,
    Battery,
    BatteryRule,
    Change,
    ContradictionError,
    Dates,
    EventBasis,
    EvidenceClass,
    Listed,
    Moment,
    Proxy,
    Question,
    ReadBy,
    Text,
    Url,
)
from questions.worlds import QUARTERS_NEEDED, Side, Worlds, quarter_ends

PLACE: KeyPath = ("template",)

Made = TypeVar("Made")


Form = Literal["ordering", "date", "labour", "group"]
_LAID_OVER: Mapping[Form, Form] = {"labour": "date", "group": "ordering"}
"""Wordings that are laid over another one: what is wrong there is told there alone."""


class Multiple(Record):
    """One threshold, what is asked at it, and when a question about it closes and is settled."""

    k: Annotated[int, Field(ge=2)]
    close: Moment
    resolve: Moment
    asks: Listed[Form] = ("ordering", "date")


class Rule(Record):
    """The numbers of ``BatteryRule`` and of the tie, once for all generated questions.

    ``judge_minutes`` is what one judge needs to read one proxy for one quarter.
    """

    need: Annotated[int, Field(ge=1)]
    level: Annotated[float, Field(gt=0, lt=1)]
    quarters: Annotated[int, Field(ge=1)]
    fresh_days: Annotated[int, Field(ge=1)]
    tie_window_days: Annotated[int, Field(ge=0)]
    judge_minutes: Annotated[int, Field(ge=1)]
    agree_within: Annotated[float, Field(ge=1)]


class PanelRule(Record):
    """The fallback panel; ``question`` names the area asked about as ``${panel_area}``."""

    seats: Annotated[int, Field(ge=1)]
    quorum: Annotated[int, Field(ge=1)]
    statistic: Text
    question: Text
    conflict_rule: Text


class GroupStatistic(Record):
    """When a group of areas has crossed: when ``needed`` of them have."""

    key: Annotated[str, Field(pattern=r"^[a-z]+$")]
    needed: Annotated[int, Field(ge=1)]
    says: Text


class TemplateSet(Record):
    """Everything generated questions share. ``ordering`` and ``date`` are question tables with blanks.

    ``labour`` is laid over ``date``, ``group`` over ``ordering``. ``labour_proxy`` is in every area's battery for
    labour questions; ``${query}`` and ``${name}`` in its address are the area's.
    """

    version: Annotated[int, Field(ge=1)]
    open: Moment
    baseline: Text
    baseline_start: dt.date
    baseline_end: dt.date
    baseline_url: Url
    report_grace_days: Annotated[int, Field(ge=0)]
    changes: Annotated[Listed[Change], Field(min_length=1)]
    threshold: Annotated[Listed[Multiple], Field(min_length=1)]
    rule: Rule
    panel: PanelRule
    phrases: dict[str, str]
    ordering: dict[str, Any]
    date: dict[str, Any]
    labour: dict[str, Any] = Field(default_factory=dict)
    labour_proxy: Listed[Proxy] = ()
    group: dict[str, Any] = Field(default_factory=dict)
    groups: Listed[GroupStatistic] = ()

    @model_validator(mode="after")
    def _changes_told(self) -> Self:
        told = [change.version for change in self.changes]
        if told != list(range(1, self.version + 1)):
            message = f"one [[template.changes]] per version, 1 to {self.version}; there are {told}"
            raise ContradictionError([(("changes",), message)])
        return self


def generate(
    templates: TemplateSet,
    areas: Sequence[Area],
    batteries: Mapping[str, Battery],
    file: CatalogueFile,
    problems: list[Problem],
) -> list[tuple[Question, KeyPath]]:
    """All orderings and date questions, each with the place of its template; what fails adds problems.

    The arms of an ordering stand in the alphabetical order of their keys, so that an id never depends
    on the order of the areas. A mistake that many questions share is reported once.
    """
    found: list[Problem] = []
    made: list[tuple[Question, KeyPath]] = []
    wrong: set[Form] = set()
    names = {area.key: area.name for area in areas}
    plans: list[tuple[Form, tuple[str, ...]]] = [
        ("ordering", arms) for arms in combinations(sorted(names), 2)
    ]
    plans += [("date", (area,)) for area in names]
    labour = _labour_batteries(templates, names, batteries, file, found)
    plans += [("labour", (area,)) for area in names if area in labour]
    members = {group: tuple(a.key for a in areas if a.group is group) for group in Group}
    plans += [("group", (statistic.key,)) for statistic in templates.groups if all(members.values())]
    for index, multiple in enumerate(templates.threshold):
        place: KeyPath = (*PLACE, "threshold", index)
        maker = _attempt(
            partial(_Maker, templates, multiple, names, batteries, labour, members), file, place, found
        )
        if maker is None:
            continue
        if len(maker.quarters) < QUARTERS_NEEDED:
            message = f"fewer than {QUARTERS_NEEDED} quarter ends after open"
            found.append(file.problem((*place, "close"), message))
            continue
        for kind, arms in plans:
            if kind not in multiple.asks or _LAID_OVER.get(kind) in wrong:
                continue
            at = (*PLACE, kind)
            question = _attempt(partial(maker.question, kind, arms), file, at, found)
            if question is None:
                wrong.add(kind)
            else:
                made.append((question, at))
    problems.extend(dict.fromkeys(found))
    return made


def _labour_batteries(
    templates: TemplateSet,
    names: Mapping[str, str],
    batteries: Mapping[str, Battery],
    file: CatalogueFile,
    problems: list[Problem],
) -> dict[str, Battery]:
    """The matched comparisons of each area, their gates, and the shared ones: what may decide about labour.

    No panel answers in their place, so every area needs as many as the rule does.
    """
    made: dict[str, Battery] = {}
    if not templates.labour:
        return made
    for area, battery in batteries.items():
        if area not in names:
            continue  # told where the battery stands
        own = [proxy for proxy in battery.proxies if proxy.evidence is EvidenceClass.MATCHED_COMPARISON]
        gates = {proxy.gated_by for proxy in own}
        own += [proxy for proxy in battery.proxies if proxy.id in gates]
        told = {"${query}": f"({battery.query})", "${name}": names[area]}
        shared = [_addressed(proxy, told) for proxy in templates.labour_proxy]
        proxies = (*own, *shared)
        deciding = sum(proxy.evidence is EvidenceClass.MATCHED_COMPARISON for proxy in proxies)
        if deciding >= templates.rule.need:
            made[area] = battery.model_copy(update={"proxies": proxies})
        else:
            message = (
                f"{area} has {deciding} of the {templates.rule.need} matched comparisons that are needed"
            )
            problems.append(file.problem((*PLACE, "labour_proxy"), message))
    return made


def _addressed(proxy: Proxy, told: Mapping[str, str]) -> Proxy:
    """A shared proxy with the blanks of its address filled."""
    url = proxy.source_url
    for blank, text in told.items():
        url = url.replace(blank, quote(text))
    return proxy.model_copy(update={"source_url": url})


def _attempt(
    make: Callable[[], Made], file: CatalogueFile, place: KeyPath, problems: list[Problem]
) -> Made | None:
    """What ``make`` makes; None, and the reasons added, when the template does not let it."""
    try:
        return make()
    except UnfilledError as error:
        problems.extend(file.problem((*PLACE, *path), message) for path, message in error.findings)
    except ValidationError as error:
        problems.extend(explain(error, Question, file, place))
    return None


def _first_quarter_end(after: dt.date) -> dt.date:
    start = noon(after)
    return quarter_ends(start, start + dt.timedelta(days=100))[0]


def _shared_words(templates: TemplateSet, multiple: Multiple) -> dict[str, str]:
    """What every question of a multiple may fill in. Raises UnfilledError when a phrase has an unknown blank."""
    words = {
        "k": f"{multiple.k}",
        "open_day": f"{templates.open:%Y-%m-%d}",
        "first_quarter_end": f"{_first_quarter_end(templates.baseline_end)}",
        "close_day": f"{multiple.close:%Y-%m-%d}",
        "resolve_day": f"{multiple.resolve:%Y-%m-%d}",
        "level_percent": f"{100 * templates.rule.level:g}",
        "seats": f"{templates.panel.seats}",
        "quorum": f"{templates.panel.quorum}",
        "statistic": templates.panel.statistic,
        **{name: f"{number:g}" for name, number in templates.rule.model_dump().items()},
    }
    findings: Findings = []
    phrases = {
        f"phrase_{name}": fill(text, words, ("phrases", name), findings)
        for name, text in templates.phrases.items()
    }
    if findings:
        raise UnfilledError(findings)
    return words | phrases


class _Maker:
    """Makes the questions of one multiple. Raises UnfilledError when the shared phrases cannot be filled."""

    def __init__(
        self,
        templates: TemplateSet,
        multiple: Multiple,
        names: Mapping[str, str],
        batteries: Mapping[str, Battery],
        labour: Mapping[str, Battery],
        members: Mapping[Group, tuple[str, ...]],
    ) -> None:
        self._templates, self._k = templates, multiple.k
        self._names, self._batteries, self._labour, self._members = names, batteries, labour, members
        self.quarters = quarter_ends(templates.open, multiple.close)
        self._same = self._common(multiple)
        settled = self._same["dates"].settled_by.date()
        self._worlds = Worlds(multiple.k, templates.rule.need, self.quarters, settled)
        self._words = _shared_words(templates, multiple)
        self._unasked = replace(self._worlds, panel=False, _known={})
        self._arm_words = {area: self._words_of(batteries[area]) for area in names}

    def question(self, form: Form, arms: tuple[str, ...]) -> Question:
        """One question. Raises UnfilledError, or pydantic's ValidationError, when the template is wrong."""
        if form == "group":
            statistic = next(one for one in self._templates.groups if one.key == arms[0])
            return self._of_groups(statistic)
        words = dict(self._words)
        batteries = tuple((self._labour if form == "labour" else self._batteries)[area] for area in arms)
        for prefix, battery in zip(("a", "b") if form == "ordering" else ("area",), batteries, strict=True):
            told = self._words_of(battery) if form == "labour" else self._arm_words[battery.area]
            for name, word in told.items():
                words[f"{prefix}_{name}" if name else prefix] = word
        words["side"] = "area"
        if form == "ordering":
            a, b = (Side(battery.area, (battery,)) for battery in batteries)
            return self._made(form, words, batteries, self._ordering(a, b))
        return self._made(form, words, batteries, self._date(batteries[0], panel=form == "date"))

    def _of_groups(self, statistic: GroupStatistic) -> Question:
        words = {
            **self._words,
            "group": statistic.key,
            "needed": f"{statistic.needed}",
            "says": statistic.says,
            "side": "group",
        }
        sides: list[Side] = []
        for prefix, group in zip("ab", (Group.SAFETY, Group.CAPABILITIES), strict=True):
            areas = self._members[group]
            told = [self._arm_words[area] for area in areas]
            words |= {
                prefix: group.value,
                f"{prefix}_slug": group.value,
                f"{prefix}_name": f"{group.value} research",
                f"{prefix}_areas": ", ".join(one["name"] for one in told),
                f"{prefix}_query": "; ".join(f"{one['name']}: {one['query']}" for one in told),
            }
            sides.append(Side(group.value, tuple(self._batteries[area] for area in areas), statistic.needed))
        a, b = sides
        batteries = a.batteries + b.batteries
        filled = self._ordering(a, b)
        filled["ordering"] |= {
            "a_areas": [battery.area for battery in a.batteries],
            "b_areas": [battery.area for battery in b.batteries],
            "areas_needed": statistic.needed,
        }
        return self._made("group", words, batteries, filled)

    def _made(
        self, form: Form, words: Mapping[str, str], batteries: tuple[Battery, ...], own: dict[str, Any]
    ) -> Question:
        findings: Findings = []
        kind = _LAID_OVER.get(form, form)
        text = fill(getattr(self._templates, kind), words, (kind,), findings) if form == kind else {}
        if form != kind:
            base, over = getattr(self._templates, kind), getattr(self._templates, form)
            text = fill(merge(base, over), words, (form,), findings)
            text["waivers"] = fill(over.get("waivers", base.get("waivers", {})), words, (form,), findings)
        areas = tuple(battery.area for battery in batteries)
        urls = self._urls(batteries)
        filled: dict[str, Any] = {
            **self._same,
            "kind": QuestionKind(kind),
            "areas": areas,
            "battery": self._battery(batteries),
            "cost_minutes": self._minutes(batteries),
            "panel": None if form == "labour" else self._panel(areas, findings),
            "resolution": {"primary_url": urls[0] if urls else "", "fallback_urls": urls[1:]},
        }
        if findings:
            raise UnfilledError(findings)
        return Question.model_validate(merge(text, filled | own))

    def _common(self, multiple: Multiple) -> dict[str, Any]:
        templates = self._templates
        return {
            "version": templates.version,
            "threshold": {"value": float(multiple.k)},
            "baseline": Baseline(
                reference=templates.baseline,
                window_start=templates.baseline_start,
                window_end=templates.baseline_end,
                source_url=templates.baseline_url,
            ),
            "dates": Dates(
                open=templates.open,
                close=multiple.close,
                resolve=multiple.resolve,
                event_basis=EventBasis.EVENT_DATE,
                report_grace_days=templates.report_grace_days,
            ),
            "changelog": templates.changes,
        }

    def _words_of(self, battery: Battery) -> dict[str, str]:
        area = battery.area
        return {
            "": area,
            "name": self._names[area],
            "slug": area.replace("_", "-"),
            "query": battery.query,
        }

    def _battery(self, batteries: tuple[Battery, ...]) -> BatteryRule:
        rule = self._templates.rule
        return BatteryRule(
            need=rule.need,
            level=rule.level,
            quarters=rule.quarters,
            fresh_days=rule.fresh_days,
            agree_within=rule.agree_within,
            interval=self._words.get("phrase_interval", ""),
            arms=batteries,
        )

    def _minutes(self, batteries: Iterable[Battery]) -> int:
        """What a judge needs for one proxy in one quarter; nothing where a program reads them all."""
        deciding = [proxy for battery in batteries for proxy in battery.deciding(self._k)]
        judged = any(proxy.read_by is ReadBy.JUDGES for proxy in deciding)
        return self._templates.rule.judge_minutes if judged else 0

    def _panel(self, arms: tuple[str, ...], findings: Findings) -> dict[str, Any]:
        panel = self._templates.panel
        asked = "; ".join(self._names[area] for area in arms)
        asked = asked if len(arms) == 1 else f"each of these areas ({asked}), asked apart,"
        words = {**self._words, "panel_area": asked}
        return {
            "seats": panel.seats,
            "quorum": panel.quorum,
            "statistic": panel.statistic,
            "question": fill_text(panel.question, words, ("panel", "question"), findings),
            "conflict_rule": panel.conflict_rule,
            "appointed_by": self._templates.open,
        }

    def _urls(self, batteries: Iterable[Battery]) -> tuple[str, ...]:
        """Every source of the batteries once, those of deciding proxies first."""
        proxies = [proxy for battery in batteries for proxy in battery.proxies if proxy.source_url]
        proxies.sort(key=lambda proxy: not proxy.decides(self._k))
        return tuple(dict.fromkeys(proxy.source_url for proxy in proxies))

    def _ordering(self, a: Side, b: Side) -> dict[str, Any]:
        rule, wording = self._templates.rule, self._templates.ordering.get("ordering")
        wording = wording if isinstance(wording, dict) else {}
        before_open = quarter_ends(self._templates.open - dt.timedelta(days=300), self._templates.open)
        return {
            "ordering": {"a": a.key, "b": b.key, "tie_window_days": rule.tie_window_days},
            "fixtures": tuple(self._worlds.of_ordering(a, b, wording, before_open)),
        }

    def _date(self, battery: Battery, *, panel: bool) -> dict[str, Any]:
        start, dates = self._templates.baseline_end, self._same["dates"]
        return {
            "date_range": {
                "lower": dt.datetime(start.year, start.month, start.day, tzinfo=dt.UTC),
                "upper": dates.close,
            },
            "fixtures": tuple((self._worlds if panel else self._unasked).of_date(battery)),
        }
