"""Every rule: a question that keeps it, the same one spoilt, and a message that names the cure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from questions.catalogue import Catalogue
from questions.findings import Finding, Severity
from questions.lint import RULES, WAIVER, Context, Report, lint
from questions.locate import KeyPath
from questions.model import Area, Group
from questions.question import Question
from questions.time import parse_utc
from tests.questions.lint_examples import GOOD, fixtures, question

AREAS = {
    key: Area(key=key, name=name, short=key[:10], group=Group.SAFETY, scope="…")
    for key, name in (("ai_control", "AI control"), ("agent_scaffolding", "Agent scaffolding"))
}
Spoilt = tuple[str, str, Mapping[str, Any], str]
"""Rule, kind of question, what is changed in it, and a part of the key path a finding points at."""


def place(name: str, path: KeyPath) -> tuple[str, int]:
    """Stands in for a file: the key path itself."""
    return ".".join(map(str, path)), 1


def report(*questions: Question, context: Context | None = None) -> Report:
    return lint(questions, place, context or Context(areas=AREAS))


def of_rule(rule: str, spoilt: Question, context: Context | None = None) -> list[Finding]:
    return [finding for finding in report(spoilt, context=context).findings if finding.rule == rule]


PROCEDURE = GOOD["binary"]["measurement"]["procedure"]
ELIGIBILITY = GOOD["binary"]["measurement"]["eligibility"]
OPTIONS = ["Alpha", "Beta", "other or none"]
PANEL = {"seats": 5, "quorum": 3, "statistic": "median", "question": "By what factor?"}
PROXY = {
    "id": "S1",
    "name": "n",
    "evidence": "progress_rate",
    "measures": "m",
    "ratio": "c",
    "weakness": "w",
}
BATTERY = {
    "need": 1,
    "level": 0.8,
    "quarters": 2,
    "arms": [{"area": "agent_scaffolding", "query": "q", "proxies": [PROXY]}],
}
LATE_EXCEPTION = f"{PROCEDURE} {'More detail follows here. ' * 12} Unless the board is down."


def ranges(*outcomes: str) -> dict[str, Any]:
    return {
        "outcomes": list(outcomes),
        "default_outcome": outcomes[0],
        "fixtures": fixtures(*outcomes),
    }


SPOILT: list[Spoilt] = [
    ("Q01", "binary", {"resolution__primary_url": None}, "resolution.primary_url"),
    ("Q01", "binary", {"resolution__primary_url": "https://bench.example.org"}, "resolution.primary_url"),
    ("Q01", "binary", {"resolution__primary_url": "https://bench.example.org/index.html"}, "primary_url"),
    (
        "Q01",
        "binary",
        {"resolution__primary_url": "https://www.google.com/search?q=agentbench"},
        "primary_url",
    ),
    (
        "Q01",
        "binary",
        {"resolution__primary_url": "https://news.example.org/find?query=bench"},
        "primary_url",
    ),
    ("Q01", "binary", {"resolution__selector": " "}, "resolution.selector"),
    (
        "Q02",
        "binary",
        {
            "resolution__if_gone": "judges",
            "resolution__fallback_urls": ["https://www.bench.example.org/copy.csv"],
        },
        "resolution.fallback_urls",
    ),
    ("Q02", "binary", {"resolution__if_gone": None, "resolution__fallback_urls": []}, "fallback_urls"),
    ("Q03", "binary", {"dates__resolve": parse_utc("2028-01-01T00:30:00Z")}, "dates.resolve"),
    ("Q04", "binary", {"title": "Does a system score 80% on AgentBench Hard by 2027-12-13?"}, "title"),
    ("Q04", "binary", {"title": "Does a system score 80% on AgentBench Hard by 13 December 2027?"}, "title"),
    ("Q04", "binary", {"title": "Does a system score 80% on AgentBench Hard by 2027-02-30?"}, "title"),
    (
        "Q04",
        "binary",
        {"measurement__procedure": PROCEDURE.replace("by 2027-12-31", "no later than 2028-06-30")},
        "measurement.procedure",
    ),
    ("Q04", "binary", {"annul_if": ["The board was down at 12:00 on the last day."]}, "annul_if.0"),
    ("Q05", "binary", {"title": "Does a system score 80% on AgentBench Hard within two years?"}, "title"),
    ("Q05", "binary", {"annul_if": ["The board closes by EOY."]}, "annul_if.0"),
    ("Q05", "event", {"title": "Does Parliament pass the Frontier Safety Bill this century?"}, "title"),
    ("Q05", "event", {"title": "Does Parliament soon pass the Frontier Safety Bill?"}, "title"),
    ("Q06", "binary", {"threshold": None}, "threshold"),
    ("Q06", "binary", {"threshold__unit": ""}, "threshold.unit"),
    ("Q06", "labour", {"threshold": None}, "threshold"),
    ("Q06", "multiple_choice", ranges("< 10", "10 - 20", ">= 20"), "outcomes"),
    ("Q06", "multiple_choice", ranges("< 10", "[10, 20)", ">= 30"), "outcomes"),
    ("Q06", "multiple_choice", ranges("< 10", "[10, 20)", ">= 15"), "outcomes"),
    ("Q06", "multiple_choice", ranges("< 10", "> 10"), "outcomes"),
    ("Q06", "multiple_choice", ranges("[0, 10)", "[10, 20)"), "outcomes"),
    ("Q07", "binary", {"measurement__formula": ""}, "measurement.formula"),
    ("Q07", "binary", {"threshold__statistic": ""}, "threshold.statistic"),
    ("Q07", "binary", {"measurement__rounding": ""}, "measurement.rounding"),
    ("Q07", "numeric", {"measurement__aggregation": ""}, "measurement.aggregation"),
    ("Q08", "binary", {"measurement__version_policy": None}, "measurement.version_policy"),
    (
        "Q08",
        "binary",
        {
            "measurement__version": None,
            "measurement__procedure": PROCEDURE.replace(", version 2.1,", ""),
        },
        "measurement.version_policy",
    ),
    ("Q08", "binary", {"measurement__version_policy": "named_successor"}, "measurement.version_policy"),
    ("Q09", "binary", {"resolution__if_gone": None}, "resolution.if_gone"),
    ("Q10", "binary", {"resolution__if_silent": None}, "resolution.if_silent"),
    ("Q10", "binary", {"dates__report_grace_days": None}, "resolution.if_silent"),
    ("Q10", "binary", {"resolution__if_silent": "wait"}, "resolution.if_silent"),
    (
        "Q10",
        "binary",
        {"resolution__if_silent": {"then": "annul", "note": "annulled when silent on 2027-11-30"}},
        "resolution.if_silent",
    ),
    ("Q11", "binary", {"resolution__if_bound_only": None}, "resolution.if_bound_only"),
    ("Q12", "event", ranges("no", "No "), "outcomes"),
    ("Q12", "multiple_choice", {"outcomes": [*OPTIONS, "Alpha or Beta"]}, "outcomes"),
    ("Q12", "multiple_choice", ranges("Alpha", "Beta", "Gamma"), "outcomes"),
    ("Q13", "binary", {"fixtures": fixtures("yes")}, "fixtures"),
    ("Q13", "binary", {"fixtures": []}, "fixtures"),
    ("Q14", "date", ranges("date", "undated"), "default_outcome"),
    ("Q14", "date", {"date_range__day_convention": ""}, "date_range.day_convention"),
    ("Q14", "date", {"date_range__past_event": ""}, "date_range.past_event"),
    ("Q15", "ordering", {"ordering__tie_outcome": "ai_control"}, "ordering.tie_outcome"),
    ("Q15", "ordering", {"ordering__neither_outcome": "post_training"}, "ordering.neither_outcome"),
    ("Q15", "ordering", {"ordering__neither_outcome": "tie"}, "ordering.neither_outcome"),
    ("Q15", "ordering", {"resolution__evidence_whitelist": []}, "resolution.evidence_whitelist"),
    (
        "Q15",
        "ordering",
        {"edge_cases": [{"scenario": "Neither gets there.", "outcome": "It pays 50-50."}]},
        "edge_cases.0.outcome",
    ),
    ("Q16", "conditional", {"conditional__if_parent_no": "no"}, "conditional.if_parent_no"),
    ("Q16", "conditional", {"conditional__if_parent_void": "perhaps"}, "conditional.if_parent_void"),
    ("Q16", "conditional", {"conditional__parent_deadline": parse_utc("2027-01-01")}, "parent_deadline"),
    ("Q17", "numeric", {"numeric_range__unit": ""}, "numeric_range.unit"),
    (
        "Q17",
        "numeric",
        {"threshold": {"value": 80.0, "unit": "points", "statistic": "best single entry"}},
        "numeric_range.unit",
    ),
    (
        "Q18",
        "binary",
        {"title": "Does a leading system score 80% on AgentBench Hard by 2027-12-31?"},
        "title",
    ),
    ("Q18", "binary", {"measurement__procedure": f"{PROCEDURE} Credible reporting counts."}, "procedure"),
    ("Q19", "binary", {"resolution__authority": "Jane Smith"}, "resolution.authority"),
    ("Q19", "binary", {"resolution__authority": "My judgement"}, "resolution.authority"),
    ("Q19", "binary", {"resolution__authority": "A judge, TBD"}, "resolution.authority"),
    ("Q19", "binary", {"resolution__authority": "A poll of traders"}, "resolution.authority"),
    ("Q19", "binary", {"resolution__authority": "Credible media reports"}, "resolution.authority"),
    (
        "Q19",
        "binary",
        {
            "panel": {
                **PANEL,
                "conflict_rule": "c",
                "appointed_by": parse_utc("2026-12-01"),
                "members": ["A", "B"],
            }
        },
        "panel",
    ),
    ("Q19", "binary", {"panel": {**PANEL, "members": ["A", "B", "C"]}}, "panel"),
    ("Q20", "event", {"title": "Does Parliament announce the Frontier Safety Bill by 2027-12-31?"}, "title"),
    (
        "Q20",
        "event",
        {
            "title": "Does Parliament announce the Frontier Safety Bill by 2027-12-31?",
            "resolution__evidence_whitelist": ["the Speaker, in the chamber"],
        },
        "title",
    ),
    (
        "Q21",
        "event",
        {"resolution__primary_url": "https://www.metaculus.com/questions/123/frontier-bill/"},
        "resolution.primary_url",
    ),
    (
        "Q21",
        "event",
        {"resolution__authority": "Whatever the Manifold market says"},
        "resolution.authority",
    ),
    (
        "Q21",
        "event",
        {
            "rule": {
                "kind": "platform_outcome",
                "platform": "metaculus",
                "external_id": "123",
                "outcomes": {"yes": "yes", "no": "no"},
            }
        },
        "rule",
    ),
    ("Q22", "binary", {"title": "Does a system score 85% on AgentBench Hard by 2027-12-31?"}, "title"),
    ("Q22", "binary", {"measurement__procedure": PROCEDURE.replace("2027-12-31", "the close")}, "title"),
    (
        "Q22",
        "event",
        {
            "title": "Does Parliament pass the Frontier Safety Bill on AI control by 2027-12-31?",
            "areas": ["ai_control"],
        },
        "title",
    ),
    (
        "Q22",
        "event",
        {"title": "Does Parliament pass the Frontier Safety Bill without a vote by 2027-12-31?"},
        "title",
    ),
    ("Q22", "binary", {"measurement__procedure": LATE_EXCEPTION}, "measurement.procedure"),
    ("Q23", "labour", {"speedup_kind": "none"}, "speedup_kind"),
    ("Q23", "labour", {"baseline": None}, "baseline"),
    ("Q23", "labour", {"baseline__reference": "the tools of early 2026"}, "baseline.reference"),
    ("Q23", "labour", {"baseline__value": None}, "baseline"),
    ("Q23", "labour", {"baseline__source_url": ""}, "baseline.source_url"),
    (
        "Q23",
        "labour",
        {
            "speedup_kind": "progress",
            "measurement__procedure": "Yes when a survey of a frozen list of people finds audit work 3x faster "
            "with AI tools by 2027-12-31.",
        },
        "resolution.evidence_whitelist",
    ),
    ("Q23", "labour", {"battery": BATTERY}, "battery"),
    (
        "Q24",
        "event",
        {"title": "Does Parliament pass the Frontier Safety Bill for the top 5 labs by 2027-12-31?"},
        "title",
    ),
    (
        "Q24",
        "labour",
        {
            "measurement__procedure": "Yes when a matched comparison finds audit work 3x faster with AI tools "
            "by 2027-12-31."
        },
        "measurement.eligibility",
    ),
    ("Q25", "binary", {"dates__event_basis": None}, "dates.event_basis"),
    ("Q25", "binary", {"dates__report_grace_days": None}, "dates.report_grace_days"),
    ("Q25", "binary", {"dates__report_grace_days": 0}, "dates.report_grace_days"),
    (
        "Q25",
        "binary",
        {
            "dates__report_grace_days": 7,
            "resolution__primary_url": "https://metr.org/time-horizons/data.yaml",
        },
        "dates.report_grace_days",
    ),
    ("Q26", "binary", {"measurement__eligibility": ""}, "measurement.eligibility"),
    (
        "Q26",
        "binary",
        {"measurement__eligibility": ELIGIBILITY.replace("one attempt per task (pass@1); ", "")},
        "measurement.eligibility",
    ),
    ("Q26", "binary", {"measurement__leakage_policy": ""}, "measurement.leakage_policy"),
    ("Q27", "binary", {"resolution__selector": "the leaderboard"}, "resolution.selector"),
    ("Q27", "binary", {"resolution__snapshot_policy": ""}, "resolution.snapshot_policy"),
    ("Q27", "binary", {"resolution__snapshot_policy": "A copy is kept."}, "resolution.snapshot_policy"),
    ("Q28", "binary", {"cost_minutes": None}, "cost_minutes"),
    ("Q28", "binary", {"cost_minutes": 60}, "cost_minutes"),
    ("Q28", "event", {"measurement__procedure": ""}, "measurement.procedure"),
    ("Q29", "binary", {"title": "Does a system score 80% on FrontierMath Hard by 2027-12-31?"}, "procedure"),
    (
        "Q29",
        "event",
        {
            "measurement__procedure": "Yes when the number of papers on chip prices in the database is larger by "
            "2027-12-31."
        },
        "measurement.procedure",
    ),
    ("Q29", "binary", {"annul_if": ["${area_name} is dropped."]}, "annul_if.0"),
    ("Q29", "binary", {"annul_if": ["TODO: when is it annulled?"]}, "annul_if.0"),
    ("Q29", "event", {"title": "Will Parliament not pass the Frontier Safety Bill by 2027-12-31?"}, "title"),
    ("Q30", "binary", {"current_value": None}, "current_value"),
    ("Q30", "binary", {"current_value__value": 80.0}, "current_value.value"),
    ("Q30", "labour", {"threshold__value": 9.0}, "threshold.value"),
    ("Q30", "numeric", {"current_value__value": 120.0}, "numeric_range"),
]
ALSO_GOOD: list[tuple[str, str, Mapping[str, Any]]] = [
    (
        "Q01",
        "binary",
        {"resolution__primary_url": "https://export.arxiv.org/api/query?search_query=cat:cs.LG"},
    ),
    ("Q02", "binary", {"resolution__fallback_urls": []}),
    ("Q02", "binary", {"resolution__if_gone": "judges"}),
    ("Q03", "binary", {"dates__resolve": parse_utc("2028-01-01T00:59:59Z")}),
    ("Q04", "binary", {"title": "Does a system score 80% on AgentBench Hard before 1 January 2028?"}),
    ("Q04", "binary", {"annul_if": ["The board was down at 12:00 UTC, or 23:59:59Z."]}),
    ("Q04", "binary", {"measurement__eligibility": f"{ELIGIBILITY} Items written before 2024-01-01 alone."}),
    (
        "Q05",
        "binary",
        {"annul_if": ["The board closes within 30 days of the opening.", "at the next quarter end"]},
    ),
    ("Q06", "multiple_choice", ranges("< 10", "[10, 20)", ">= 20")),
    ("Q06", "multiple_choice", ranges("less than 10", "10 to under 20", "20 or more")),
    (
        "Q06",
        "multiple_choice",
        {**ranges("0 or less", "1-9", "10+"), "measurement__rounding": "whole numbers"},
    ),
    ("Q08", "binary", {"measurement__version_policy": "latest", "measurement__version": None}),
    ("Q08", "event", {"measurement__version_policy": None}),
    ("Q10", "binary", {"resolution__if_silent": {"then": "wait", "note": "until 2029-01-31, then annul"}}),
    ("Q11", "event", {}),
    ("Q15", "ordering", {"ordering__tie_outcome": "annul", "ordering__neither_outcome": "annul"}),
    (
        "Q15",
        "ordering",
        {"edge_cases": [{"scenario": "Neither gets there.", "outcome": "It never pays 50-50: neither."}]},
    ),
    (
        "Q18",
        "binary",
        {
            "title": "Does a leading system score 80% on AgentBench Hard by 2027-12-31?",
            "glossary": {"Leading": "among the first ten rows of the table"},
            "annul_if": ["No leading row is left."],
        },
    ),
    ("Q19", "binary", {"resolution__authority": "Hugging Face"}),
    (
        "Q19",
        "binary",
        {
            "panel": {
                **PANEL,
                "conflict_rule": "c",
                "appointed_by": parse_utc("2026-12-01"),
                "members": ["A", "B", "C"],
            }
        },
    ),
    (
        "Q20",
        "event",
        {
            "title": "Does Parliament announce the Frontier Safety Bill by 2027-12-31?",
            "resolution__evidence_whitelist": ["the Speaker, in the chamber"],
            "edge_cases": [{"scenario": "A minister hints at it.", "outcome": "Does not count."}],
        },
    ),
    (
        "Q21",
        "event",
        {
            "resolution__primary_url": "https://www.metaculus.com/questions/123/frontier-bill/",
            "links": [{"platform": "metaculus", "id": "123", "relation": "mirror"}],
            "annul_if": ["That question is annulled."],
        },
    ),
    ("Q22", "binary", {"measurement__procedure": f"Unless flagged: {LATE_EXCEPTION}"}),
    ("Q22", "binary", {"measurement__procedure": PROCEDURE.replace("2027-12-31", "31 December 2027")}),
    ("Q23", "labour", {"baseline__reference": "no_ai"}),
    (
        "Q24",
        "event",
        {
            "title": "Does Parliament pass the Frontier Safety Bill for the top 5 labs by 2027-12-31?",
            "measurement__eligibility": "Labs are ranked by spending in the register of 2026.",
        },
    ),
    ("Q25", "binary", {"dates__report_grace_days": 0, "dates__event_basis": "publication_date"}),
    ("Q28", "binary", {"cost_minutes": 15}),
    ("Q30", "labour", {"threshold__value": 4.0}),
    ("Q30", "numeric", {"current_value__value": 120.0, "numeric_range__open_upper": True}),
]


@pytest.mark.parametrize("kind", GOOD)
def test_a_careful_question_of_every_kind_has_no_findings(kind: str) -> None:
    assert report(question(kind)).findings == ()


@pytest.mark.parametrize(("rule", "kind", "changes", "path"), SPOILT)
def test_a_bad_question_breaks_its_rule(rule: str, kind: str, changes: Mapping[str, Any], path: str) -> None:
    found = of_rule(rule, question(kind, **changes))
    assert found, rule
    assert any(path in finding.file for finding in found), [finding.file for finding in found]
    for finding in found:
        assert finding.severity is next(known.severity for known in RULES if known.id == rule)
        assert finding.message
        assert len(finding.fix) > 10
        assert finding.question == question(kind).id


@pytest.mark.parametrize(("rule", "kind", "changes"), ALSO_GOOD)
def test_what_keeps_a_rule_another_way_is_no_finding(
    rule: str, kind: str, changes: Mapping[str, Any]
) -> None:
    assert of_rule(rule, question(kind, **changes)) == []


def test_the_rules_are_q01_to_q30_and_each_has_a_bad_example() -> None:
    names = [f"Q{number:02}" for number in range(1, 31)]
    assert [known.id for known in RULES] == names
    assert {rule for rule, *_ in SPOILT} == set(names)
    assert {known.severity for known in RULES} == {Severity.ERROR, Severity.WARNING}
    warnings = {known.id for known in RULES if known.severity is Severity.WARNING}
    assert warnings == {"Q18", "Q19", "Q20", "Q21", "Q24", "Q27", "Q28", "Q30"}


@pytest.mark.parametrize(
    ("rule", "changes", "cure"),
    [
        ("Q01", {"resolution__primary_url": "https://bench.example.org"}, "the very page"),
        ("Q04", {"title": "Does a system score 80% on AgentBench Hard by 2027-12-13?"}, "[question.dates]"),
        ("Q06", {"threshold__unit": ""}, 'unit = "…"'),
        ("Q13", {"fixtures": fixtures("yes")}, "[[question.fixtures]]"),
        ("Q26", {"measurement__eligibility": ""}, "eligibility"),
        ("Q30", {"current_value": None}, "[question.current_value]"),
    ],
)
def test_a_finding_says_what_to_write(rule: str, changes: Mapping[str, Any], cure: str) -> None:
    assert any(cure in finding.fix for finding in of_rule(rule, question("binary", **changes)))


def test_worlds_that_fail_in_the_resolver_are_findings_of_q13() -> None:
    def run(asked: Question) -> list[str]:
        return [f"{fixture.name!r} comes to no" for fixture in asked.fixtures if fixture.expected == "yes"]

    found = of_rule("Q13", question("binary"), Context(fixtures=run))
    assert [finding.message for finding in found] == ["'an entry of 80' comes to no"]


BOTCHED: dict[str, tuple[str, Mapping[str, Any], set[str]]] = {
    "a yearly report dropped the figure, and nothing stood in for it": (
        "event",
        {"resolution__if_gone": None, "resolution__fallback_urls": []},
        {"Q02", "Q09"},
    ),
    "an index changed its whole method": (
        "event",
        {"resolution__selector": "the production index", "measurement__version_policy": None},
        {"Q08"},
    ),
    "an agency never published its report": (
        "event",
        {"resolution__if_silent": None, "dates__report_grace_days": None},
        {"Q10", "Q25"},
    ),
    "the evidence could only ever show Yes": ("event", {"fixtures": fixtures("yes")}, {"Q13"}),
    "the criteria were copied from a question about another field": (
        "event",
        {
            "measurement__procedure": "Counts the papers in the database whose abstract names a virus, by 2027-12-31."
        },
        {"Q29"},
    ),
    "a research result had to be high-impact": (
        "event",
        {
            "measurement__procedure": f"{GOOD['event']['measurement']['procedure']} It has to be high-impact.",
            "cost_minutes": None,
        },
        {"Q18", "Q28"},
    ),
    "the value came as a bound": ("binary", {"resolution__if_bound_only": None}, {"Q11"}),
    "the best entry was flagged for leakage": (
        "binary",
        {"measurement__leakage_policy": "", "measurement__eligibility": "Public systems."},
        {"Q26"},
    ),
    "top meant a rank on a board that can be filtered": (
        "binary",
        {"resolution__selector": "the leaderboard", "threshold__unit": ""},
        {"Q06", "Q27"},
    ),
    "what reporters saw was to decide": (
        "event",
        {
            "measurement__procedure": f"{GOOD['event']['measurement']['procedure']} A visible copy is enough.",
            "resolution__authority": "A consensus of credible reporting",
        },
        {"Q18", "Q19"},
    ),
    "the payout exception stood far below the headline": (
        "binary",
        {"measurement__procedure": LATE_EXCEPTION},
        {"Q22"},
    ),
    "neither by the deadline paid half to each side": (
        "ordering",
        {"edge_cases": [{"scenario": "Neither by then.", "outcome": "It pays half to each side."}]},
        {"Q15"},
    ),
    "two judges were still to be found, and nobody knew which twenty papers": (
        "event",
        {
            "resolution__authority": "Three judges, two of them TBD",
            "title": "Does Parliament pass the Frontier Safety Bill for the top 20 labs by 2027-12-31?",
        },
        {"Q19", "Q24"},
    ),
    "a chained market inherited a split": (
        "event",
        {"resolution__authority": "However the Manifold market on the bill resolves"},
        {"Q21"},
    ),
}


@pytest.mark.parametrize("case", BOTCHED)
def test_faults_that_have_spoilt_real_questions_are_found(case: str) -> None:
    kind, changes, rules = BOTCHED[case]
    assert rules <= {finding.rule for finding in report(question(kind, **changes)).findings}


PIECES = st.lists(
    st.text(max_size=12)
    | st.sampled_from(
        [
            "1.2.3",
            "10-20",
            "<",
            "[",
            "2027-02-30",
            "31 June 2027",
            "25:61",
            "12:00",
            "${",
            "50-50",
            "9" * 400,
            "top 5",
        ]
    ),
    max_size=6,
).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(PIECES, PIECES, PIECES, st.lists(PIECES.filter(bool), min_size=2, max_size=4, unique=True), PIECES)
def test_whatever_a_text_says_it_gives_findings_and_no_crash(
    title: str, procedure: str, selector: str, options: list[str], note: str
) -> None:
    asked = question(
        "multiple_choice",
        title=title or "?",
        measurement__procedure=procedure,
        resolution__selector=selector,
        resolution__authority=note or "?",
        resolution__if_silent={"then": "annul", "note": note},
        outcomes=options,
        default_outcome=options[0],
        fixtures=fixtures(*options),
        edge_cases=[{"scenario": procedure or "?", "outcome": note or "?"}],
        annul_if=[procedure],
    )
    told = report(asked)
    assert {finding.rule for finding in told.findings} <= {known.id for known in RULES}


# Waivers ------------------------------------------------------------------------------------------------

REASON = "The board publishes no version numbers; its commit is stored with each reading."
VAGUE = {"title": "Does a leading system score 80% on AgentBench Hard by 2027-12-31?"}


def test_a_warning_with_a_written_reason_is_waived_and_listed() -> None:
    spoilt = question("binary", **VAGUE, annul_if=["No leading row is left."], waivers={"Q18": REASON})
    told = report(spoilt)
    assert told.findings == ()
    assert [(one.finding.rule, one.reason) for one in told.waived] == [("Q18", REASON)]
    assert told.as_json()["waived"][0]["reason"] == REASON


@pytest.mark.parametrize("reason", ["", "   ", "fine", "see above, it is ok"])
def test_an_empty_or_short_reason_waives_nothing_and_is_a_finding(reason: str) -> None:
    told = report(question("binary", **VAGUE, waivers={"Q18": reason}))
    assert told.waived == ()
    assert {"Q18", WAIVER} <= {finding.rule for finding in told.findings}
    (about,) = [finding for finding in told.findings if finding.rule == WAIVER]
    assert (about.severity, about.file) == (Severity.ERROR, "waivers.Q18")


def test_an_error_cannot_be_waived() -> None:
    told = report(question("binary", resolution__if_gone=None, waivers={"Q09": REASON}))
    assert told.waived == ()
    assert [finding.rule for finding in told.findings] == ["Q09", WAIVER]
    assert "cannot be waived" in told.findings[1].message


def test_a_waiver_of_no_rule_is_told_with_the_nearest() -> None:
    (about,) = report(question("binary", waivers={"Q3O": REASON})).findings
    assert "no rule 'Q3O'" in about.message


def test_a_waiver_that_nothing_needs_is_advice() -> None:
    (about,) = report(question("binary", waivers={"Q18": REASON})).findings
    assert (about.rule, about.severity) == (WAIVER, Severity.ADVICE)


def test_a_shared_waiver_is_needed_when_one_of_its_questions_needs_it() -> None:
    """Generated questions share one template: its waiver stays as long as any of them needs it."""
    pair = [
        question("binary", id="one", waivers={"Q18": REASON}),
        question("binary", id="two", **VAGUE, annul_if=["No leading row is left."], waivers={"Q18": REASON}),
    ]
    told = report(*pair)
    assert told.findings == ()
    assert [one.finding.question for one in told.waived] == ["two"]


# The shipped catalogue ----------------------------------------------------------------------------------


def test_our_own_questions_have_no_findings_and_every_waiver_its_reason(catalogue: Catalogue) -> None:
    told = lint(
        catalogue.questions.values(),
        lambda name, path: catalogue.place(name, *path),
        Context(areas={area.key: area for area in catalogue.areas}),
    )
    assert told.questions == len(catalogue.questions)
    assert [finding for finding in told.findings if finding.severity is not Severity.ADVICE] == []
    assert all(len(one.reason) >= 60 for one in told.waived)
