"""Series records and the register: what the records refuse, and what ships."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from questions.catalogue import Catalogue, load_catalogue
from questions.curated import Verification, packaged, read_table
from questions.errors import CatalogueError
from questions.series import Cadence, SeriesRecord, record_of
from tests.questions.conftest import Write

GOOD = {
    "id": "example",
    "name": "An example",
    "view": "model",
    "source": "curated",
    "source_url": "https://example.org/",
    "direction": "up",
    "scale": "log",
    "metrics": [{"name": "size", "unit": "minutes", "says": "how long", "lowest": 0.0, "ceiling": 960.0}],
    "licence": "CC BY 4.0",
    "credit": "Example",
    "cadence": "irregular",
    "max_age_days": 90,
}


def test_a_record_says_what_a_value_may_be() -> None:
    metric = SeriesRecord.model_validate(GOOD).metric("size")
    assert metric is not None
    assert (metric.allows(0.0), metric.allows(-0.1), metric.allows(1e9)) == (True, False, True)
    assert SeriesRecord.model_validate(GOOD).metric("colour") is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"cadence": "frozen", "max_age_days": None}, "frozen_since"),
        ({"frozen_since": date(2026, 1, 1)}, "frozen_since"),
        ({"max_age_days": None}, "max_age_days"),
        ({"cadence": "one_off"}, "max_age_days"),
        ({"metrics": [GOOD["metrics"][0], GOOD["metrics"][0]]}, "two metrics have one name"),  # type: ignore[index]
        ({"metrics": []}, "metrics"),
        ({"source_url": "http://example.org/"}, "https"),
        ({"source_url": ""}, "must not be empty"),
        ({"direction": "sideways"}, "direction"),
        ({"view": "everyone"}, "view"),
        ({"id": "An Example"}, "id"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        SeriesRecord.model_validate(GOOD | changes)


def test_a_familys_record_holds_for_its_members_and_the_longest_name_wins() -> None:
    def made(name: str, family: bool) -> SeriesRecord:
        return SeriesRecord.model_validate(GOOD | {"id": name, "family": family})

    records = {one.id: one for one in (made("aei", True), made("aei_api", True), made("aei_api_x", False))}
    assert [getattr(record_of(name, records), "id", None) for name in (
        "aei_app_2026", "aei_api_2026", "aei_api_x", "aei_api_x_2", "aeiou", "aei", "other",
    )] == ["aei", "aei_api", "aei_api_x", "aei_api", None, "aei", None]  # fmt: skip


# --- what ships -------------------------------------------------------------------------------------------


def test_every_curated_table_has_its_record_and_agrees_with_it(catalogue: Catalogue) -> None:
    tables = {name: read_table(name, content) for name, content in packaged().items()}
    for name, table in tables.items():
        assert name == f"{table.series}.toml"
        record = catalogue.series[table.series]
        assert record.source == "curated", name
        for point in table.points:
            metric = record.metric(point.metric)
            assert metric is not None, (name, point.metric)
            assert metric.unit == table.units[point.metric], (name, point.metric)
            assert metric.allows(point.value), (name, point.key)
    recorded = {name for name, record in catalogue.series.items() if record.source == "curated"}
    assert recorded == {table.series for table in tables.values()}


def test_every_figure_says_where_it_was_read_as_of_when_by_whom_and_how_surely(catalogue: Catalogue) -> None:
    for name, content in packaged().items():
        table = read_table(name, content)
        origins = table.origins()
        assert set(origins) == {(point.key, point.metric) for point in table.points}
        for origin in origins.values():
            assert origin.source_url.startswith("https://"), name
            assert origin.entered_by, name
            assert date(2024, 1, 1) <= origin.as_of <= date(2026, 11, 20), name
            assert isinstance(origin.verification, Verification)


def test_every_series_informs_areas_of_ours_and_says_when_it_is_old(catalogue: Catalogue) -> None:
    for record in catalogue.series.values():
        assert set(record.areas) <= set(catalogue.area_keys)
        one_off = record.cadence in (Cadence.ONE_OFF, Cadence.FROZEN)
        assert (record.max_age_days is None) == one_off, record.id
        assert record.licence, record.id


def test_metrs_instrument_ends_at_sixteen_hours(catalogue: Catalogue) -> None:
    for name in ("metr_th11", "metr_th10", "metr_reports"):
        ceilings = {metric.name: metric.ceiling for metric in catalogue.series[name].metrics}
        assert (ceilings["p50"], ceilings["p80"]) == (16 * 60, 16 * 60)
    assert catalogue.series["metr_th11"].frozen_since == date(2026, 5, 8)


def test_the_register_follows_every_entry_or_says_why_not(catalogue: Catalogue) -> None:
    assert len(catalogue.tracked) > 50
    linked = {f"{link.platform}/{link.external_id}" for link in catalogue.links}
    for entry in catalogue.tracked:
        assert entry.series or entry.questions or entry.links or entry.reason, entry.name
        assert set(entry.series) <= set(catalogue.series), entry.name
        assert set(entry.questions) <= set(catalogue.questions), entry.name
        assert set(entry.links) <= linked, entry.name
    followed = {series for entry in catalogue.tracked for series in entry.series}
    assert followed == set(catalogue.series), "a series that stands for nothing of the register"


#: What the four essays name, by words of each entry's name, origin or claim, and what it must be followed by:
#: series (s), questions of ours (q) or linked ones (l).
FOLLOWED = {
    # Paleka
    "METR time horizons": "s", "OpenAI MLE-bench": "s", "uplift stud": "sq", "inside laboratories": "sq",
    "GDP proxies": "sql", "under-elicitation": "sq", "feedback loop": "q", "taken by its model": "sql",
    "Frontier frameworks": "q", "converge": "s",
    # Cirstea
    "Agentic horizon": "sl", "Doubling on SWE-bench": "sq", "100 hours": "sq", "Skywork": "s", "main bottleneck": "sq",
    "research cycles": "s", "AI Scientist": "ql", "benchmark category": "q", "reward hacking": "sq",
    "Chain-of-thought": "l", "scaled AGI": "s",
    # Wehner
    "true automated AI": "sq", "Superalignment": "ql", "FRI on threefold": "sq", "Forethought": "s",
    "AI Futures": "s", "AI 2027": "sl", "for 2x to 30x": "q", "2030 and 2032": "q", "Levers": "q", "Fleets": "sq",
    "horizon from pre-training": "sq",
    # the fourth
    "mid 2026": "l", "supervises two to ten": "sq", "Labour input": "q", "Policies": "q", "SL5": "sq",
    "GPT-2 replaced": "ql", "trusted and untrusted": "sq", "2026.5 to 2030": "q",
    # besides
    "Clark": "q", "Cotra": "q", "GDPval": "sq", "Remote Labor": "sq", "Economic Index": "s", "Capabilities Index": "sq",
    "Speedrun": "sq", "AISI": "sq", "LEAP": "s", "run rates": "ql", "hidden behaviour": "sq", "Open problems": "q",
}  # fmt: skip

#: What no source measures and nobody can resolve: variants of the factor table, and claims without a measured quantity.
NOT_MEASURED = {
    "D3 data set of code differences",
    "Factor model and its averages",
    "Eighth factor",
    "Classes of feedback",
    "Tasks lengthen and feedback gets worse",
    "Ten times the research is ten times the papers of equal quality",
}


@pytest.mark.parametrize("word", FOLLOWED)
def test_what_the_essays_name_is_followed(word: str, catalogue: Catalogue) -> None:
    found = [entry for entry in catalogue.tracked if word in f"{entry.name} {entry.origin} {entry.claim}"]
    assert len(found) == 1, [entry.name for entry in found]
    (entry,) = found
    kinds = {"s": entry.series, "q": entry.questions, "l": entry.links}
    assert [kind for kind in FOLLOWED[word] if not kinds[kind]] == []


def test_only_what_cannot_be_measured_is_followed_nowhere(catalogue: Catalogue) -> None:
    nowhere = {
        entry.name for entry in catalogue.tracked if not (entry.series or entry.questions or entry.links)
    }
    assert nowhere == NOT_MEASURED


def test_every_question_about_an_event_stands_for_something_in_the_register(catalogue: Catalogue) -> None:
    followed = {name for entry in catalogue.tracked for name in entry.questions}
    assert {name for name in catalogue.questions if name.startswith("evt-")} <= followed


# --- mistakes in the files --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "before", "after", "says"),
    [
        (
            "series.toml",
            'view = "model"',
            'view = "modle"',
            r"series.toml:\d+: series.view: .*did you mean 'model'",
        ),
        ("series.toml", "max_age_days = 90", "max_age_dayz = 90", r"did you mean 'max_age_days'"),
        (
            "series.toml",
            '"interpretability"',
            '"interpretabilty"',
            r"unknown area .*did you mean 'interpretability'",
        ),
        ("series.toml", 'id = "metr_th10"', 'id = "metr_th11"', "duplicate series 'metr_th11', first in"),
        (
            "tracked.toml",
            '"metr_th11"',
            '"metr_th12"',
            r"tracked.toml:\d+: tracked.series: no series 'metr_th12'",
        ),
        ("tracked.toml", '"manifold/QOCNqgPOth"', '"manifold/QOCNqgPOtx"', "no link .*did you mean"),
        ("tracked.toml", '"date-ai-control-10x"', '"date-ai-control-11x"', "no question .*did you mean"),
        ("tracked.toml", 'name = "D3', 'nam = "D3', "did you mean 'name'"),
    ],
)
def test_a_mistake_is_told_with_file_and_line(
    base: Path, file: str, before: str, after: str, says: str
) -> None:
    text = (base / file).read_text("utf-8")
    assert before in text
    (base / file).write_text(text.replace(before, after, 1), "utf-8")
    with pytest.raises(CatalogueError) as refused:
        load_catalogue(base=base)
    assert re.search(says, str(refused.value)), str(refused.value)


def test_an_entry_that_is_followed_nowhere_needs_a_reason(base: Path) -> None:
    with (base / "tracked.toml").open("a", encoding="utf-8") as file:
        file.write('\n[[tracked]]\nname = "Something"\norigin = "Somebody"\nclaim = "much"\n')
    with pytest.raises(CatalogueError, match="is followed nowhere: say why not"):
        load_catalogue(base=base)


def test_series_records_belong_to_the_package(own: Write) -> None:
    with pytest.raises(CatalogueError, match="series: belongs to the packaged catalogue alone"):
        load_catalogue([own('[[series]]\nid = "mine"\n')])
