"""What ships: ten areas, the generated questions, links to real ones, the essay's table."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime
from importlib import resources
from itertools import pairwise
from pathlib import Path

import pytest

import questions
from questions.catalogue import Catalogue
from questions.evidence import Datum, World, noon
from questions.model import Group, QuestionKind, Relation, SpeedupKind
from questions.page import escaped, page
from questions.question import Question
from questions.resolver import Resolver

ROOT = Path(questions.__file__).parents[1]


def texts(node: object) -> list[str]:
    if isinstance(node, str):
        return [node]
    if isinstance(node, dict):
        return [text for value in node.values() for text in texts(value)]
    return [text for value in node for text in texts(value)] if isinstance(node, list) else []


def every(catalogue: Catalogue) -> list[Question]:
    return list(catalogue.questions.values())


def of_batteries(catalogue: Catalogue) -> list[Question]:
    """Those about a speedup; the rest are indicators (``test_indicators``)."""
    return [question for question in every(catalogue) if question.battery is not None]


def test_there_are_ten_areas_five_of_each_group_with_labels_that_fit_a_column(catalogue: Catalogue) -> None:
    assert Counter(area.group for area in catalogue.areas) == {Group.SAFETY: 5, Group.CAPABILITIES: 5}
    labels = [area.short for area in catalogue.areas]
    assert len(set(labels)) == 10
    assert all(len(label) <= 10 for label in labels)


def test_every_pair_and_every_area_is_asked_about_at_3x_and_10x(catalogue: Catalogue) -> None:
    counts = Counter((q.kind, q.threshold.value) for q in of_batteries(catalogue) if q.threshold)
    assert counts == {
        (QuestionKind.DATE, 2.0): 10,
        (QuestionKind.ORDERING, 3.0): 45 + 2,
        (QuestionKind.ORDERING, 10.0): 45 + 2,
        (QuestionKind.DATE, 3.0): 10 + 10,
        (QuestionKind.DATE, 10.0): 10 + 10,
        (QuestionKind.DATE, 30.0): 10,
    }
    pairs = {
        (frozenset((q.ordering.a, q.ordering.b)), q.threshold) for q in of_batteries(catalogue) if q.ordering
    }
    assert len(pairs) == 90 + 2


@pytest.mark.parametrize(
    "name",
    [
        "ord-agent-scaffolding-vs-scalable-oversight-10x",
        "ord-ai-control-vs-alignment-theory-3x",
        "date-interpretability-3x",
        "date-dangerous-capability-evals-10x",
    ],
)
def test_generated_questions_have_readable_ids(catalogue: Catalogue, name: str) -> None:
    assert catalogue.questions[name].id == name


def test_an_ordering_is_found_by_its_arms_in_either_order(catalogue: Catalogue) -> None:
    found = catalogue.ordering("scalable_oversight", "agent_scaffolding", 10)
    assert found is not None
    assert found is catalogue.ordering("agent_scaffolding", "scalable_oversight", 10)
    assert catalogue.ordering("scalable_oversight", "agent_scaffolding", 30) is None


def test_no_text_has_an_unfilled_blank(catalogue: Catalogue) -> None:
    for question in every(catalogue):
        for text in texts(question.model_dump(mode="json")):
            assert "$" not in text, question.id
            assert "{" not in text.replace("min{Q", "").replace("min{day", ""), question.id


def test_a_title_says_what_its_criteria_say(catalogue: Catalogue) -> None:
    for question in of_batteries(catalogue):
        assert question.threshold is not None
        named = [catalogue.area(area).name for area in question.areas]
        if question.id.startswith("ord-safety-vs-capabilities-"):
            assert all(name in question.measurement.procedure for name in named)
            named = ["safety research", "capabilities research"]
        wanted = {f"{question.threshold.value:g}x", f"{question.dates.close:%Y-%m-%d}", *named}
        criteria = " ".join([question.measurement.procedure, *question.annul_if, question.background])
        assert {word for word in wanted if word not in question.title} == set(), question.id
        assert {word for word in wanted if word not in criteria} == set(), question.id


def test_generated_texts_avoid_words_that_two_readers_read_differently(catalogue: Catalogue) -> None:
    vague = re.compile(
        r"\b(significant|major|widely|most|mostly|substantial|essentially|roughly|meaningful|leading|"
        r"state of the art|credible reporting|consensus|visible|soon|within|this century|declares?)\b",
        re.IGNORECASE,
    )
    for question in every(catalogue):
        for text in (question.title, question.measurement.procedure, *question.annul_if):
            assert vague.search(text) is None, (question.id, vague.search(text))


def test_every_generated_question_measures_progress_against_the_tools_of_one_day(
    catalogue: Catalogue,
) -> None:
    for question in of_batteries(catalogue):
        if question.speedup_kind is SpeedupKind.LABOUR_INPUT:
            assert question.panel is None
            continue
        assert question.speedup_kind is SpeedupKind.PROGRESS
        assert question.baseline is not None
        assert question.baseline.reference == "tools_2026-01-22"
        assert question.battery is not None
        assert (question.battery.need, question.battery.level, question.battery.quarters) == (2, 0.8, 2)
        assert question.panel is not None
        assert (question.panel.seats, question.panel.quorum) == (5, 3)


def test_labour_is_asked_of_every_area_by_matched_comparisons_alone(catalogue: Catalogue) -> None:
    """Its own ones and two kinds of study that all areas share; what is only a gate decides nothing."""
    labour = [q for q in of_batteries(catalogue) if q.speedup_kind is SpeedupKind.LABOUR_INPUT]
    asked = Counter((q.areas, q.threshold.value) for q in labour if q.threshold)
    assert asked == {((area,), k): 1 for area in catalogue.area_keys for k in (3.0, 10.0)}
    for question in labour:
        assert question.battery is not None
        assert question.threshold is not None
        (arm,) = question.battery.arms
        decide = arm.deciding(question.threshold.value)
        assert {proxy.evidence for proxy in decide} == {"matched_comparison"}
        assert {"C2", "C5"} <= {proxy.id for proxy in decide}
        own = {
            proxy.id
            for proxy in catalogue.batteries[arm.area].proxies
            if proxy.evidence == "matched_comparison"
        }
        assert {proxy.id for proxy in decide} == own | {"C2", "C5"}
        assert question.baseline is not None
        assert question.baseline.reference == "tools_2026-01-22"


def test_every_proxy_says_who_reads_it_and_from_what(catalogue: Catalogue) -> None:
    """A formula reads stored series; judges read the rest; where no series is behind it, the record says why."""
    metrics = {
        f"{name}/{metric.name}" for name, record in catalogue.series.items() for metric in record.metrics
    }
    for question in of_batteries(catalogue):
        assert question.battery is not None
        for arm in question.battery.arms:
            for proxy in arm.proxies:
                assert bool(proxy.behind) != (len(proxy.no_series) >= 25), (arm.area, proxy.id)
                assert set(proxy.behind) <= metrics
                assert (proxy.read_by == "program") == (proxy.formula is not None)


def test_every_area_has_a_series_that_is_collected_behind_one_of_its_own_proxies(
    catalogue: Catalogue,
) -> None:
    for area, battery in catalogue.batteries.items():
        behind = {ref.partition("/")[0] for proxy in battery.proxies for ref in proxy.behind}
        assert behind, area
        assert behind <= {record.id for record in catalogue.series.values()}
    deciding = {
        area
        for area, battery in catalogue.batteries.items()
        if any(proxy.behind for proxy in battery.deciding(3.0))
    }
    assert set(catalogue.area_keys) - deciding == {"alignment_theory"}  # a survey, which decides nothing


def test_the_page_of_a_question_says_what_is_measured_by_whom_and_as_which_ratio(
    catalogue: Catalogue,
) -> None:
    names = {area.key: area.name for area in catalogue.areas}
    for question in of_batteries(catalogue):
        assert question.battery is not None
        assert question.threshold is not None
        text = page(question, names)
        for arm in question.battery.arms:
            for proxy in arm.deciding(question.threshold.value):
                read = "a program" if proxy.read_by == "program" else "judges"
                mark = f"{proxy.id} {proxy.name} [{proxy.evidence.value}; read by {read}"
                assert escaped(mark) in text, question.id
                assert escaped(f"{proxy.measures} The ratio: {proxy.ratio}.") in text, question.id
                if proxy.formula is not None:
                    assert escaped(proxy.formula.says) in text
                    assert f"{proxy.formula.window_days} days" in proxy.formula.says
        judged = any(
            proxy.read_by == "judges"
            for arm in question.battery.arms
            for proxy in arm.deciding(question.threshold.value)
        )
        assert question.cost_minutes == (15 if judged else 0)


def test_groups_are_the_five_areas_of_each_kind_at_the_first_and_the_median(catalogue: Catalogue) -> None:
    groups = [q for q in every(catalogue) if q.ordering and q.ordering.a == "safety"]
    assert {(q.threshold.value, q.ordering.areas_needed) for q in groups if q.threshold and q.ordering} == {
        (k, needed) for k in (3.0, 10.0) for needed in (1, 3)
    }
    for question in groups:
        assert question.ordering is not None
        for arm, group in (
            (question.ordering.of("a"), "safety"),
            (question.ordering.of("b"), "capabilities"),
        ):
            assert set(arm) == {area for area, of in catalogue.groups.items() if of == group}


def test_lower_thresholds_settle_years_earlier(catalogue: Catalogue) -> None:
    settles = {q.threshold.value: q.dates.resolve for q in of_batteries(catalogue) if q.threshold}
    assert (settles[10.0] - settles[3.0]).days > 4 * 365


def test_a_tie_window_is_one_evaluation_step(catalogue: Catalogue) -> None:
    """Neighbouring quarter ends are 90 to 92 days apart: all of them tie, two steps never do."""
    ends = [
        datetime(y, m, d, tzinfo=UTC) for y in (2027, 2028) for m, d in ((3, 31), (6, 30), (9, 30), (12, 31))
    ]
    one_step = [(b - a).days for a, b in pairwise(ends)]
    two_steps = [(b - a).days for a, b in zip(ends, ends[2:], strict=False)]
    windows = {q.ordering.tie_window_days for q in every(catalogue) if q.ordering}
    assert len(windows) == 1
    window = windows.pop()
    assert max(one_step) <= window < min(two_steps)


def test_the_rule_of_the_order_names_every_outcome_once_and_in_the_order_of_the_resolver(
    catalogue: Catalogue,
) -> None:
    """Annulled, tie, first, neither: each case rules out those before it, so that one of them is met exactly."""
    for question in every(catalogue):
        if question.ordering is None:
            continue
        close, open_ = f"{question.dates.close:%Y-%m-%d}", f"{question.dates.open:%Y-%m-%d}"
        cases = [
            f"Only crossing dates up to {close} count.",
            f"If both lie before {open_}: annulled.",
            f"If they lie no more than {question.ordering.tie_window_days} days apart",
            "If they lie farther apart: the earlier one comes first.",
            "If there is only one: that one comes first.",
            f"If there is none by {close}: neither.",
        ]
        places = [question.measurement.procedure.index(case) for case in cases]
        assert places == sorted(places)
        assert all(question.measurement.procedure.count(case) == 1 for case in cases)


def test_the_first_quarter_end_of_the_text_is_the_first_the_resolver_looks_at(catalogue: Catalogue) -> None:
    question = catalogue.questions["date-interpretability-3x"]
    assert "from 2026-03-31 on" in question.measurement.procedure
    for day, following, outcome in (
        (date(2025, 12, 31), date(2026, 3, 31), None),
        (date(2026, 3, 31), date(2026, 6, 30), "date"),
    ):
        data = [
            Datum(f"interpretability.{name}", f"{end}", end, noon(end), value=4.0, lower=3.5)
            for name in ("I1", "I2")
            for end in (day, following)
        ]
        assert Resolver(question).verdict(World(data), question.dates.open).outcome == outcome


def test_throughput_and_opinion_never_decide_a_crossing(catalogue: Catalogue) -> None:
    for battery in catalogue.batteries.values():
        for proxy in battery.deciding(3):
            assert proxy.evidence in ("matched_comparison", "progress_rate"), (battery.area, proxy.id)


def test_the_links_are_to_real_questions_and_watched_ones_are_no_evidence(catalogue: Catalogue) -> None:
    bearing = [link for link in catalogue.links if link.relation is not Relation.CONTEXT]
    labelled = [link for link in catalogue.links if not re.fullmatch(r"\w+ question \S+", link.label)]
    assert len(labelled) >= 90
    assert len(bearing) >= 25
    assert len(catalogue.links) - len(labelled) >= 100
    assert {link.platform for link in catalogue.links} == {
        "metaculus",
        "manifold",
        "polymarket",
        "kalshi",
        "infer",
    }
    assert all(not link.areas for link in catalogue.links if link.relation is Relation.CONTEXT)


@pytest.mark.parametrize(
    ("platform", "pattern"),
    [
        ("metaculus", r"[0-9]+"),
        ("manifold", r"[A-Za-z0-9]{10,20}"),
        ("polymarket", r"0x[0-9a-f]{64}"),
        ("kalshi", r"[A-Z0-9-]+"),
        ("infer", r"[0-9]+"),
    ],
)
def test_external_ids_have_their_platforms_shape(catalogue: Catalogue, platform: str, pattern: str) -> None:
    links = catalogue.links_for([platform])
    assert links
    for link in links:
        assert re.fullmatch(pattern, link.external_id), link.external_id


def test_a_question_whose_yes_means_slower_has_negative_polarity(catalogue: Catalogue) -> None:
    negative = {link.external_id: link.areas for link in catalogue.links if link.polarity == -1}
    assert negative == {"16179": ("pretraining_algorithms",)}


def test_links_can_be_picked_by_platform(catalogue: Catalogue) -> None:
    picked = catalogue.links_for({"kalshi", "infer"})
    assert {link.platform for link in picked} == {"kalshi", "infer"}
    assert catalogue.links_for([]) == ()


def test_the_table_is_the_essays(catalogue: Catalogue) -> None:
    """Recomputed here from the formula: the weighted mean gives the printed results to two decimals."""
    table = catalogue.factors
    total = sum(table.weights.values())
    assert total == pytest.approx(8.6)
    assert (len(table.factors), table.areas) == (7, catalogue.area_keys)
    for area, printed in catalogue.printed.areas.items():
        score = sum(table.weights[factor] * table.scores[factor][area] for factor in table.factors) / total
        assert score == pytest.approx(printed, abs=0.005)
    for group, printed in catalogue.printed.groups.items():
        members = [area for area, belongs in catalogue.groups.items() if belongs == group]
        mean = sum(
            table.weights[factor] * table.scores[factor][area] for factor in table.factors for area in members
        )
        assert mean / total / len(members) == pytest.approx(printed, abs=0.005)


def test_an_unknown_area_is_answered_with_the_nearest(catalogue: Catalogue) -> None:
    with pytest.raises(KeyError, match="did you mean 'ai_control'"):
        catalogue.area("ai_contol")


def test_a_place_is_the_line_to_edit(catalogue: Catalogue) -> None:
    lines = (resources.files("questions") / "data" / "templates.toml").read_text("utf-8").split("\n")
    file, line = catalogue.place("date-interpretability-3x", "measurement", "formula")
    assert file == "questions/data/templates.toml"
    assert lines[line - 1].startswith('formula = "min{Q')


def test_loading_needs_nothing_heavy() -> None:
    """The catalogue is read at every start of the program: no numerics, plotting, HTTP or SQL comes along."""
    code = (
        "import sys; from questions.catalogue import load_catalogue; load_catalogue();"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    heavy = {
        "numpy",
        "scipy",
        "pandas",
        "matplotlib",
        "httpx",
        "sqlmodel",
        "sqlalchemy",
        "storage",
        "tracker",
    }
    assert heavy.isdisjoint(done.stdout.split())
