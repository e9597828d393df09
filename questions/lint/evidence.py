"""Rules about evidence: who decides, what may count, from which population, at what cost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import MappingProxyType

from questions.findings import Severity
from questions.lint.rule import (
    SPEEDUPS,
    Hit,
    criteria,
    criteria_text,
    instrument,
    is_numeric,
    rule,
    title_and_procedure,
    words,
)
from questions.lint.sources import is_at
from questions.model import QuestionKind, SpeedupKind
from questions.question import DECIDING, EvidenceClass, Question
from questions.rules import Judged, PlatformOutcome

_ONESELF = words(
    r"my (?:own )?(?:judge?ment|opinion|discretion|view)|I|me|myself|(?:the )?(?:question'?s? )?"
    r"(?:creator|author|writer)|at (?:my|their|his|her|the \w+'s) discretion"
)
_OPEN_END = words(r"TBD|TBA|to be (?:decided|determined|announced|named)")
_POLL = words(
    r"poll|votes? (?:of|by|among)|(?:traders?|bettors?|forecasters?|users?|holders?) (?:vote|decide)s?"
)
_REPUTE = words(r"consensus|(?:credible|reliable|reputable) \w+|media reports|news reports|common knowledge")
_PERSON = re.compile(
    r"(?:(?:Dr|Prof|Mr|Mrs|Ms)\.?\s+)?[A-Z][a-zé'-]+(?:\s+[A-Z]\.)?(?:\s+[A-Z][a-zé'-]+){1,2}"
)
_BODY = words(
    r"institut\w*|universit\w*|labs?|foundation|project|team|centre|center|company|group|society|research|"
    r"committee|council|board|agency|office|ministry|panel|script|registry|association|journal|hugging|the"
)
_SITES = ("metaculus.com", "manifold.markets", "polymarket.com", "kalshi.com", "fatebook.io")
_ANOTHER_QUESTION = words(
    r"(?:metaculus|manifold|polymarket|kalshi|infer) (?:question|market)s?|(?:this|that|the other|another) market"
    r"|market \S+ resolves|question #?\d+|(?:same (?:way )?as|mirrors?) (?:the )?(?:\w+ )?(?:question|market)"
)
_VOID = words(r"void(?:ed)?|annul(?:led|s)?|cancel(?:led|s)?|N/A|ambiguous")
_MIRROR_LAG_DAYS = 14
_MIRRORED = ("mirror", "same")
_TOP = words(r"(?:top|best|largest|biggest|leading|foremost)[ -](?:\d+|two|three|five|ten|twenty|hundred)")
_RANKED = words(
    r"rank(?:ed|ing|s)?|sorted|in order of|ordered by|measured by|according to|highest|by \w+ (?:score|count)"
)
_FROZEN = words(
    r"quer(?:y|ies)|hash(?:ed)?|sha-?256|commit|frozen|registry|stored list|list (?:of|at|in|with)|cat:\S+"
)
_REFERENCE = re.compile(r"no_ai|tools_\d{4}-\d{2}-\d{2}")
_SPEEDUP_TITLE = re.compile(r"\b\d+(?:\.\d+)?x\b|\bspeed-?ups?\b|\btimes (?:faster|as fast)\b", re.IGNORECASE)
_MINUTES = 15
_FAR = 6
_ALLOWED = MappingProxyType(
    {
        SpeedupKind.LABOUR_INPUT: frozenset({EvidenceClass.MATCHED_COMPARISON}),
        SpeedupKind.PROGRESS: DECIDING,
        SpeedupKind.PERCEIVED: frozenset({EvidenceClass.PERCEIVED}),
        SpeedupKind.THROUGHPUT: frozenset({EvidenceClass.THROUGHPUT}),
    }
)
"""Which evidence may decide a question about which multiple; the kinds never stand in for each other."""
_TELLS = MappingProxyType(
    {
        EvidenceClass.MATCHED_COMPARISON: words(
            r"matched[_ -]comparisons?|matched[_ -]time|paired|randomi[sz]ed|controlled (?:trial|study|experiment)|"
            r"with and without"
        ),
        EvidenceClass.PROGRESS_RATE: words(
            r"progress[_ -]rates?|halving times?|doubling times?|slopes?|pace"
        ),
        EvidenceClass.PERCEIVED: words(r"perceived|self[_ -]reports?(?:ed)?|surveys?|respondents?|panel"),
        EvidenceClass.THROUGHPUT: words(
            r"throughput|(?:number|count|numbers|counts) of \w+|(?:submissions|papers|merges|commits) per"
        ),
    }
)
_TERMS_OF_ENTRY = (
    (
        "public or internal systems",
        words(r"public\w*|internal\w*|(?:un)?released|open-weight|proprietary|any system"),
    ),
    ("attempts allowed", words(r"attempts?|pass@\w+|single run|one run|tries|best of|runs")),
    ("scaffold", words(r"scaffold\w*|harness\w*|agents?|tools?")),
    ("human help", words(r"humans?|unaided|people|persons?|assist\w*")),
    ("a cap on cost or computing", words(r"cost\w*|comput\w+|budget\w*|spend\w*|tokens?|prices?")),
)


@rule("Q19", Severity.WARNING, "who decides: no single person, no poll, no empty seats")
def authority(question: Question) -> Iterator[Hit]:
    text, key = question.resolution.authority.strip(), ("resolution", "authority")
    instead = 'name a published script, a source, or a panel: authority = "…"'
    if found := _OPEN_END.search(text):
        yield Hit(key, f"{found.group()!r}: nobody decides yet", instead)
    elif found := _POLL.search(text):
        yield Hit(key, f"a {found.group()} can be swayed by those who bet", instead)
    elif found := _REPUTE.search(text):
        yield Hit(key, f"{found.group()!r}: two readers read different papers", instead)
    elif _ONESELF.search(text) or text.startswith("@"):
        yield Hit(key, f"{text!r}: one person's judgement", instead)
    elif _PERSON.fullmatch(text) and not _BODY.search(text):
        yield Hit(key, f"{text} is one person", instead)
    panel = question.panel
    if panel is None:
        return
    lacking = [
        what
        for what, there in (
            (
                f"the names of at least 3 members ({len(panel.members)} of {panel.seats} are named)",
                len(panel.members) >= 3,
            ),
            ("a conflict_rule", bool(panel.conflict_rule.strip())),
            ("appointed_by, a moment before the opening", panel.appointed_by is not None),
        )
        if not there
    ]
    if lacking:
        yield Hit(("panel",), f"the panel lacks {' and '.join(lacking)}", "add them to the panel's table")


@rule("Q21", Severity.WARNING, "no dependence on another question's resolution")
def dependence(question: Question) -> Iterator[Hit]:
    if question.kind is QuestionKind.CONDITIONAL:
        return
    passages = [(path, text) for path, text in criteria(question) if path[0] != "edge_cases"]
    named = [(path, match.group()) for path, text in passages if (match := _ANOTHER_QUESTION.search(text))]
    address = question.resolution.primary_url
    if any(is_at(address, site) for site in _SITES):
        named.append((("resolution", "primary_url"), address))
    if not named and not isinstance(question.rule, PlatformOutcome):
        return
    dates = question.dates
    lag = max((dates.resolve - dates.close).days, dates.report_grace_days or 0)
    ruled = _VOID.search("\n".join([*question.annul_if, *(case.scenario for case in question.edge_cases)]))
    lacking = [
        what
        for what, there in (
            ('a link with relation = "mirror"', any(link.relation in _MIRRORED for link in question.links)),
            (f"{_MIRROR_LAG_DAYS} days from close to resolve", lag >= _MIRROR_LAG_DAYS),
            (
                "what happens when that question is annulled (in annul_if)",
                bool(ruled) or isinstance(question.rule, PlatformOutcome),
            ),
        )
        if not there
    ]
    if lacking:
        path, what = named[0] if named else (("rule",), f"{question.rule.kind}" if question.rule else "")
        yield Hit(
            path,
            f"the outcome hangs on another question ({what})",
            f"ask for the event itself, or add {' and '.join(lacking)}",
        )


@rule("Q23", Severity.ERROR, "which speedup, against which baseline, shown by which evidence")
def speedup(question: Question) -> Iterator[Hit]:
    kind = question.speedup_kind
    if kind not in SPEEDUPS:
        if kind is SpeedupKind.NONE and (found := _SPEEDUP_TITLE.search(question.title)):
            yield Hit(
                ("speedup_kind",),
                f"the title asks for a multiple ({found.group()}), and it is not said of what",
                "set speedup_kind to labour_input, progress, perceived or throughput",
            )
        return
    yield from _baseline(question)
    allowed = _ALLOWED[kind]
    names = " or ".join(sorted(allowed))
    battery = question.battery
    if battery is not None and question.threshold is not None:
        for arm in battery.arms:
            counted = arm.deciding(question.threshold.value)
            wrong = [proxy.id for proxy in counted if proxy.evidence not in allowed]
            if wrong:
                yield Hit(
                    ("battery",),
                    f"{arm.area}: {', '.join(wrong)} would count, and {kind.value} is shown by {names} alone",
                    "take them out of the battery, or ask about the kind of speedup that they show",
                )
        return
    texts = criteria_text(question)
    told = {evidence for evidence, pattern in _TELLS.items() if pattern.search(texts)}
    if not told & allowed:
        seen = ", ".join(sorted(told)) or "none"
        yield Hit(
            ("resolution", "evidence_whitelist"),
            f"{kind.value} is shown by {names} alone; evidence named: {seen}",
            f"name in evidence_whitelist which {names} evidence decides",
        )


def _baseline(question: Question) -> Iterator[Hit]:
    given = question.baseline
    if given is None:
        yield Hit(
            ("baseline",),
            "a multiple of what? There is no baseline",
            'add [question.baseline] with reference ("tools_2026-01-22" or "no_ai"), window or value, source_url',
        )
        return
    tooled = question.speedup_kind in (SpeedupKind.PROGRESS, SpeedupKind.LABOUR_INPUT)
    if tooled and not _REFERENCE.fullmatch(given.reference):
        yield Hit(
            ("baseline", "reference"),
            f"{given.reference!r} names neither the tools of a day nor none at all",
            'write "tools_YYYY-MM-DD" or "no_ai"',
        )
    windowed = given.window_start is not None and given.window_end is not None
    if not windowed and given.value is None:
        yield Hit(
            ("baseline",),
            "neither a window nor a value of the baseline is given",
            "add window_start and window_end, or value",
        )
    if not given.source_url:
        yield Hit(("baseline", "source_url"), "the baseline has no source", 'add source_url = "https://…"')


@rule("Q24", Severity.WARNING, "the population is fixed beforehand")
def population(question: Question) -> Iterator[Hit]:
    text = criteria_text(question)
    for path, passage in title_and_procedure(question):
        if (found := _TOP.search(passage)) and not _RANKED.search(text):
            yield Hit(
                path,
                f"{found.group()!r}: by what?",
                "name the figure, the source and the day by which they are ranked",
            )
    measurement = question.measurement
    who = "\n".join((measurement.procedure, measurement.formula, measurement.eligibility))
    if question.battery is None and question.speedup_kind in SPEEDUPS and not _FROZEN.search(who):
        yield Hit(
            ("measurement", "eligibility"),
            "it is not said what belongs to the area",
            "name a stored query, or a list with its hash or commit",
        )


@rule("Q26", Severity.ERROR, "which entries count")
def eligibility(question: Question) -> Iterator[Hit]:
    performing = question.speedup_kind in (
        SpeedupKind.PROGRESS,
        SpeedupKind.LABOUR_INPUT,
        SpeedupKind.CAPABILITY_INDICATOR,
    )
    tested = question.speedup_kind is SpeedupKind.NONE and is_numeric(question) and instrument(question)
    if not performing and not tested:
        return
    text = question.measurement.eligibility
    lacking = [what for what, pattern in _TERMS_OF_ENTRY if not pattern.search(text)]
    if lacking:
        yield Hit(
            ("measurement", "eligibility"),
            f"it is not said of entries: {', '.join(lacking)}",
            "say each of them in eligibility, also when anything goes",
        )
    if not question.measurement.leakage_policy.strip():
        yield Hit(
            ("measurement", "leakage_policy"),
            "it is not said whether an entry counts whose answers had leaked",
            'add leakage_policy = "…", such as "entries flagged by the board do not count"',
        )


@rule("Q28", Severity.WARNING, "settled by a script, or in a quarter of an hour")
def cost(question: Question) -> Iterator[Hit]:
    minutes = question.cost_minutes
    if minutes is None and isinstance(question.rule, Judged):
        minutes = question.rule.minutes
    if minutes is None:
        yield Hit(
            ("cost_minutes",),
            "it is not said what resolving costs",
            "add cost_minutes = 0 when a script does it, else the minutes a person needs",
        )
    elif minutes > _MINUTES:
        yield Hit(
            ("cost_minutes",),
            f"{minutes} minutes: people will put it off",
            f"make it {_MINUTES} or less: name the table and the row, or let a script do it",
        )
    if minutes and not question.measurement.procedure.strip():
        yield Hit(
            ("measurement", "procedure"),
            "a person resolves it, and the steps are not written down",
            'add procedure = "…": open which page, read which figure, compare with what',
        )


@rule("Q30", Severity.WARNING, "not decided already")
def undecided(question: Question) -> Iterator[Hit]:
    if question.threshold is None and question.numeric_range is None:
        return
    current, given, asked = question.current_value, question.threshold, question.numeric_range
    if current is None:
        yield Hit(
            ("current_value",),
            "it is not said where the figure stands",
            "add [question.current_value] with value, as_of and url",
        )
        return
    if given is not None and _met(current.value, given.comparator, given.value):
        yield Hit(
            ("current_value", "value"),
            f"{current.value:g} {given.comparator} {given.value:g} holds already",
            "ask for a level that is not reached yet",
        )
    elif given is not None:
        spread = question.baseline.standard_deviation if question.baseline is not None else None
        if spread and abs(given.value - current.value) > _FAR * spread:
            yield Hit(
                ("threshold", "value"),
                f"{given.value:g} lies more than {_FAR} standard deviations of the baseline from {current.value:g}",
                "ask for a level that can be reached, or a later date",
            )
    if asked is not None:
        low = current.value < asked.lower and not asked.open_lower
        high = current.value > asked.upper and not asked.open_upper
        if low or high:
            yield Hit(
                ("numeric_range",),
                f"the present value {current.value:g} lies outside {asked.lower:g} to {asked.upper:g}",
                "widen the range, or open that bound",
            )


def _met(value: float, comparator: str, level: float) -> bool:
    return {">": value > level, ">=": value >= level, "<": value < level, "<=": value <= level}[comparator]


RULES = (authority, dependence, speedup, population, eligibility, cost, undecided)
