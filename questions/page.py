"""One question as a page of Markdown: all a stranger needs to forecast and resolve it, made to be pasted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from questions.fields import amount
from questions.model import SpeedupKind
from questions.question import ANNUL, Battery, EventBasis, EvidenceClass, Question, ReadBy, VersionPolicy
from questions.receipts import text_hash
from questions.rules import Judged, PlatformOutcome
from questions.time import iso

_MARKED = re.compile(r"([\\`*_\[\]<>#|~])")
_BASELINES = re.compile(r"^tools_(\d{4}-\d{2}-\d{2})$")
_LINE_START = re.compile(r"^(\d*)([-+=.)])(?=\s|$)")
_POLICIES = {
    "if_gone": "The source is gone",
    "if_silent": "The source says nothing",
    "if_bound_only": "The source gives only a bound",
    "if_method_changes": "The method changes",
    "if_revised": "A figure is revised",
}
_MEASURED = {
    SpeedupKind.LABOUR_INPUT: "labour input",
    SpeedupKind.PROGRESS: "progress",
    SpeedupKind.PERCEIVED: "speedup as people perceive it",
    SpeedupKind.THROUGHPUT: "throughput",
    SpeedupKind.CAPABILITY_INDICATOR: "an indicator of capability",
    SpeedupKind.NONE: "no speedup",
}
_EVENTS = {
    "event_date": "its own day",
    "publication_date": "the day of its publication",
    "report_date": "the day of its report",
}


def page(question: Question, names: Mapping[str, str]) -> str:
    """The whole page, with its title. ``names``: area key -> name."""
    return f"# {escaped(question.title)}\n\n{body(question, names)}"


def body(question: Question, names: Mapping[str, str], *, longest: int | None = None) -> str:
    """The page below its title: what decides comes first, then the fine print, then the background.

    One of more than ``longest`` characters is cut: first the background and the addresses beside the main one go,
    then what each proxy measures. A line says so and names the whole record by its hash.
    """
    for cut in (0, 1, 2):
        text = _body(question, names, cut)
        if longest is None or len(text) <= longest:
            break
    return text


def _body(question: Question, names: Mapping[str, str], cut: int) -> str:
    measures = ", what each proxy measures and where" if cut > 1 else ""
    left_out = (
        "Left out for length: the background, the arXiv queries of the areas if there are any, the addresses "
        f"beside the main one{measures}. They stand in the whole record, which the tracker prints; the "
        f"SHA-256 of its binding text is `{text_hash(question)}`."
    )
    sections = [
        ("", _opening(question, names)),
        ("Resolution", criteria(question, names, cut=cut)),
        ("Fine print", fine_print(question)),
        ("Background", left_out if cut else background(question)),
        ("About this question", _about(question, names)),
    ]
    written = [(f"## {title}\n\n" if title else "") + text for title, text in sections if text]
    return "\n\n".join(written) + "\n"


def mark(question: Question) -> str:
    """The words by which a copy of a question is known again, wherever it was pasted."""
    return f"speedup-tracker question {question.id}, version {question.version}"


def escaped(text: str) -> str:
    """Plain text that Markdown shows as it is; line breaks become spaces."""
    return _LINE_START.sub(r"\1\\\2", _MARKED.sub(r"\\\1", " ".join(text.split())))


def moment(at: datetime) -> str:
    return iso(at).replace("T", " ").replace("Z", " UTC")


def outcome_name(question: Question, outcome: str, names: Mapping[str, str]) -> str:
    """An outcome in words: an area that wins an ordering by the area's name, all others as they are written."""
    arms = (question.ordering.a, question.ordering.b) if question.ordering else ()
    if outcome in arms:
        return f"{names.get(outcome, outcome)} first"
    return outcome.replace("_", " ")


def named(outcome: str) -> str:
    """An outcome, or that there is none, inside a sentence of Markdown."""
    return "annulled" if outcome == ANNUL else escaped(outcome.replace("_", " "))


def criteria(question: Question, names: Mapping[str, str], *, cut: int = 0) -> str:
    """What must be the case for which outcome, by whose word and from which source.

    ``cut`` 1: the main address alone; 2: proxies by their ratios alone.
    """
    parts = [_condition(question), _threshold(question)]
    parts += [escaped(paragraph) for paragraph in question.measurement.procedure.split("\n\n")]
    parts += [_rule(question), _ordering(question), _range(question), _proxies(question, names, cut)]
    source = question.resolution
    lines = [f"- Decided by: {escaped(source.authority)}"]
    if source.primary_url:
        lines.append(f"- Source: <{source.primary_url}>")
    if source.selector:
        lines.append(f"- Read there: {escaped(source.selector)}")
    if source.fallback_urls and not cut:
        lines.append("- Otherwise: " + ", ".join(f"<{url}>" for url in source.fallback_urls))
    parts.append("\n".join(lines))
    parts.append(f"If nothing else is decided, the outcome is **{named(question.default_outcome)}**.")
    if question.annul_if:
        parts.append(_list("Annulled (no outcome) if:", question.annul_if))
    return "\n\n".join(part for part in parts if part)


def fine_print(question: Question) -> str:
    """What happens at the edges: sources that fail, cases thought of, words explained."""
    parts = []
    policies = [
        f"{words}: {said}"
        for name, words in _POLICIES.items()
        if (said := _said(getattr(question.resolution, name)))
    ]
    how = question.measurement
    facts = {
        "Formula": how.formula,
        "Aggregation": how.aggregation,
        "Window": f"{how.window_days} days" if how.window_days else "",
        "Rounding": how.rounding,
        "Who and what counts": how.eligibility,
        "Leaked or contaminated entries": how.leakage_policy,
        "Version of the instrument": _version(question),
        "Copies kept": question.resolution.snapshot_policy,
        "Evidence admitted": "; ".join(question.resolution.evidence_whitelist),
    }
    policies += [f"{name}: {text}" for name, text in facts.items() if text]
    if policies:
        parts.append(_list("", policies))
    if question.panel is not None:
        parts.append(_panel(question))
    if question.edge_cases:
        cases = [f"{case.scenario} → {case.outcome}" for case in question.edge_cases]
        parts.append(_list("Cases thought of:", cases))
    if question.glossary:
        parts.append(_list("Words:", [f"{word}: {meaning}" for word, meaning in question.glossary.items()]))
    return "\n\n".join(parts)


def background(question: Question) -> str:
    """What helps to forecast and decides nothing."""
    parts = [escaped(question.background)]
    if question.baseline is not None:
        base = question.baseline
        window = (
            f"; of a pace {base.window_start} to {base.window_end}"
            if base.window_start and base.window_end
            else ""
        )
        value = f", value {base.value:g}" if base.value is not None else ""
        where = f" (<{base.source_url}>)" if base.source_url else ""
        what = _BASELINES.sub(r"the AI tools available on \1", base.reference)
        what = "no AI tools" if what == "no_ai" else what
        parts.append(f"Baseline: {escaped(what)}{window}{value}{where}.")
    if question.current_value is not None:
        now = question.current_value
        where = f" (<{now.url}>)" if now.url else ""
        unit = question.threshold.unit if question.threshold is not None else ""
        unit = question.numeric_range.unit if question.numeric_range is not None else unit
        known = escaped(amount(now.value, unit))
        parts.append(f"Known when this was written: {known}, of {now.as_of.date()}{where}.")
    return "\n\n".join(part for part in parts if part)


# Pieces -----------------------------------------------------------------------------------------------


def _opening(question: Question, names: Mapping[str, str]) -> str:
    dates = question.dates
    outcomes = ", ".join(f"**{escaped(outcome_name(question, one, names))}**" for one in question.outcomes)
    lines = [
        f"- Outcomes: {outcomes}",
        f"- Forecasts from {moment(dates.open)} to {moment(dates.close)}; settled by {moment(dates.settled_by)}",
    ]
    if isinstance(question.rule, PlatformOutcome):
        lines.append(f"- What is settled there by {moment(dates.settled_by)} counts")
    elif dates.event_basis is not None:
        known = f", if it is published by {moment(dates.settled_by)}"
        lines.append(
            f"- An event counts by {_EVENTS[dates.event_basis.value]}, which must not be after the close"
            + (known if dates.event_basis is EventBasis.EVENT_DATE else "")
        )
    return "\n".join(lines)


def _condition(question: Question) -> str:
    if question.conditional is None:
        return ""
    given = question.conditional
    return (
        f"**Condition:** question `{given.parent}` comes out yes by {moment(given.parent_deadline)}. If it does "
        f"not: **{named(given.if_parent_no)}**. If it is void: **{named(given.if_parent_void)}**."
    )


def _threshold(question: Question) -> str:
    if question.threshold is None:
        return ""
    reach = question.threshold
    what = escaped(reach.statistic or "the value")
    doubt = f" ({escaped(reach.uncertainty)})" if reach.uncertainty else ""
    comparator = {">": "above", ">=": "at or above", "<": "below", "<=": "at or below"}[reach.comparator]
    return f"**Threshold:** {what} {comparator} {escaped(amount(reach.value, reach.unit))}{doubt}."


def _rule(question: Question) -> str:
    """The rule a program resolves by, key by key, where the record has one."""
    if question.rule is None or isinstance(question.rule, Judged):
        return ""
    settings = question.rule.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    statistic = getattr(question.rule, "statistic", None)
    settings |= {} if statistic is None else {"statistic": statistic}
    return _list(
        "Rule a program resolves by:", [f"{name}: {_setting(value)}" for name, value in settings.items()]
    )


def _setting(value: object) -> str:
    return (
        "; ".join(f"{key} → {one}" for key, one in value.items()) if isinstance(value, dict) else f"{value}"
    )


def _ordering(question: Question) -> str:
    """The outcomes of an ordering; where a battery decides, the procedure tells them with its rule."""
    if question.ordering is None or question.battery is not None:
        return ""
    arms = question.ordering
    return (
        f"Crossings at most {arms.tie_window_days} days apart: **{named(arms.tie_outcome)}**. No crossing by the "
        f"deadline: **{named(arms.neither_outcome)}**. Both before the opening: **{named(arms.both_before_open)}**."
    )


def _range(question: Question) -> str:
    if question.date_range is not None:
        span = question.date_range
        lines = [f"Dates from {moment(span.lower)} to {moment(span.upper)}."]
        lines += [f"Day: {escaped(span.day_convention)}"] if span.day_convention else []
        lines += [f"Event before the opening: {escaped(span.past_event)}"] if span.past_event else []
        return "\n".join(lines if len(lines) == 1 else [lines[0], "", *(f"- {line}" for line in lines[1:])])
    if question.numeric_range is not None:
        numbers = question.numeric_range
        ends = [
            f"{'open' if is_open else 'closed'} at {bound:g}"
            for bound, is_open in (
                (numbers.lower, numbers.open_lower),
                (numbers.upper, numbers.open_upper),
            )
        ]
        unit = f" {escaped(numbers.unit)}" if numbers.unit else ""
        return f"Range:{unit} ({numbers.scale} scale), {ends[0]}, {ends[1]}."
    return ""


def _proxies(question: Question, names: Mapping[str, str], cut: int) -> str:
    if question.battery is None:
        return ""
    multiple = question.threshold.value if question.threshold is not None else 0.0
    return "\n\n".join(_battery(arm, multiple, names, cut) for arm in question.battery.arms)


def _battery(arm: Battery, multiple: float, names: Mapping[str, str], cut: int) -> str:
    lines, watched = [], []
    for proxy in arm.proxies:
        if proxy.decides(multiple) or proxy.evidence is EvidenceClass.GATE:
            read = "a program" if proxy.read_by is ReadBy.PROGRAM else "judges"
            gate = f"; may hold from the day on which {proxy.gated_by} is passed" if proxy.gated_by else ""
            source = f" (<{proxy.source_url}>)" if proxy.source_url and cut < 2 else ""
            measures = f" {proxy.measures}" if cut < 2 else ""
            kind = f"{proxy.evidence.value}; read by {read}{gate}"
            what = "The gain" if proxy.evidence is EvidenceClass.GATE else "The ratio"
            told = f"{proxy.id} {proxy.name} [{kind}]:{measures} {what}: {proxy.ratio}."
            told += f" Computed as {proxy.formula.says}." if proxy.formula is not None and cut < 2 else ""
            lines.append(f"- {escaped(told)}{source}")
        else:
            watched.append(f"{proxy.id} {proxy.name}")
    if watched:
        lines.append(f"- {escaped('Watched only, never counts: ' + ', '.join(watched))}")
    return "\n".join([f"Proxies of {escaped(names.get(arm.area, arm.area))}:", "", *lines])


def _panel(question: Question) -> str:
    panel = question.panel
    if panel is None:
        return ""
    members = f" Members: {escaped(', '.join(panel.members))}." if panel.members else ""
    named = f" Named by {moment(panel.appointed_by)}." if panel.appointed_by else ""
    rule = f" {escaped(panel.conflict_rule)}" if panel.conflict_rule else ""
    return (
        f"Panel: {panel.seats} seats, quorum {panel.quorum}, {escaped(panel.statistic)} of the answers to: "
        f"“{escaped(panel.question)}”{named}{members}{rule}"
    )


def _about(question: Question, names: Mapping[str, str]) -> str:
    areas = ", ".join(names.get(area, area) for area in question.areas)
    if len(names) > 1 and set(question.areas) == set(names):
        areas = f"all {len(names)}"
    lines = [f"- Areas: {escaped(areas)}; what is measured: {_MEASURED[question.speedup_kind]}"]
    if question.coi:
        lines.append(f"- Conflicts of interest: {escaped(question.coi)}")
    lines += [
        f"- Version {change.version} ({change.on}): {escaped(change.note)}" for change in question.changelog
    ]
    return "\n".join([*lines, f"- {mark(question)}"])


def _version(question: Question) -> str:
    """Which version of the instrument counts, in words."""
    how = question.measurement
    first = how.version or f"the one in force on {moment(question.dates.open)}"
    return {
        None: how.version,
        VersionPolicy.PIN: f"{first}, and no other",
        VersionPolicy.LATEST: "the latest",
        VersionPolicy.NAMED_SUCCESSOR: f"{first}, or its successors {', '.join(how.successors)}",
        VersionPolicy.ANNUL_ON_CHANGE: f"{first}; another one annuls",
    }[how.version_policy]


def _said(policy: object) -> str:
    """What a policy says: its words, else the name of what is done."""
    if policy is None:
        return ""
    return str(getattr(policy, "note", "")) or str(getattr(policy, "then", "")).replace("_", " ")


def _list(heading: str, items: Iterable[str]) -> str:
    return "\n".join(_lines(heading, items))


def _lines(heading: str, items: Iterable[str]) -> Iterator[str]:
    if heading:
        yield heading
        yield ""
    for item in items:
        yield f"- {escaped(item)}"
