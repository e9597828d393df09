"""The catalogue: areas, factors, questions and links, read from TOML and checked as a whole.

Either everything is right and a ``Catalogue`` comes back, or one ``CatalogueError`` lists every mistake
of every file with its line. Besides the packaged files, folders of one's own may add questions and links
and bring a new version of the factor table or of the needed horizons.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from questions.errors import CatalogueError, Problem
from questions.factors import (
    HorizonRequirements,
    PrintedResults,
    in_area_order,
    read_factor_csv,
    table_findings,
)
from questions.indicators import IndicatorSet, generate_indicators
from questions.locate import KeyPath
from questions.model import Area, FactorTable, Link, Platform, Record, Relation, Seen
from questions.problems import CatalogueFile, read_record, suggestion
from questions.question import Battery, Question
from questions.series import SeriesRecord, Tracked
from questions.templates import TemplateSet, generate

PACKAGED_NAME = "questions/data"

_LISTS = ("area", "battery", "question", "link", "platform", "seen", "series", "tracked")
_OWN_TABLES = ("question", "link", "platform", "seen", "factors", "requirements")
_ALL_TABLES = (*_OWN_TABLES, "area", "battery", "printed", "template", "indicators", "series", "tracked")

RecordT = TypeVar("RecordT", bound=Record)


@dataclass(frozen=True)
class Place:
    """Where in which file something stands."""

    file: CatalogueFile
    path: KeyPath

    def __str__(self) -> str:
        return f"{self.file.name}:{self.file.line(self.path)}"


@dataclass(frozen=True)
class Catalogue:
    """Everything we ask, checked. Areas in their fixed order, questions by id, links in file order.

    ``seen`` holds, by (platform, external_id), what a person last recorded of a linked question.
    """

    areas: tuple[Area, ...]
    factors: FactorTable
    printed: PrintedResults
    requirements: HorizonRequirements
    batteries: Mapping[str, Battery]
    questions: Mapping[str, Question]
    links: tuple[Link, ...]
    platforms: Mapping[str, Platform] = field(default_factory=dict)
    seen: Mapping[tuple[str, str], Seen] = field(repr=False, default_factory=dict)
    series: Mapping[str, SeriesRecord] = field(default_factory=dict)
    tracked: tuple[Tracked, ...] = ()
    places: Mapping[str, Place] = field(repr=False, compare=False, default_factory=dict)
    link_places: Mapping[tuple[str, str, str], Place] = field(repr=False, compare=False, default_factory=dict)

    def area(self, key: str) -> Area:
        """The area with this key. KeyError, with what was perhaps meant, when there is none."""
        for area in self.areas:
            if area.key == key:
                return area
        raise KeyError(f"no area {key!r}{suggestion(key, self.area_keys)}")

    @property
    def area_keys(self) -> tuple[str, ...]:
        return tuple(area.key for area in self.areas)

    @property
    def groups(self) -> dict[str, str]:
        """Area key -> group (``safety`` or ``capabilities``), in area order."""
        return {area.key: area.group.value for area in self.areas}

    def links_for(self, platforms: Iterable[str]) -> tuple[Link, ...]:
        """The links to questions on these platforms."""
        wanted = set(platforms)
        return tuple(link for link in self.links if link.platform in wanted)

    def ordering(self, a: str, b: str, threshold: float) -> Question | None:
        """The question which of two areas (in either order) reaches the threshold first, if there is one."""
        for question in self.questions.values():
            arms, reached = question.ordering, question.threshold
            if arms is None or reached is None or reached.value != threshold:
                continue
            if {arms.a, arms.b} == {a, b}:
                return question
        return None

    def place(self, question: str, *keys: str | int) -> tuple[str, int]:
        """File and line of a question, or of a key inside it; of its template when it was made from one."""
        place = self.places[question]
        return place.file.name, place.file.line((*place.path, *keys))

    def link_place(self, link: Link) -> tuple[str, int]:
        """File and line of a link."""
        place = self.link_places[link.key]
        return place.file.name, place.file.line(place.path)


@dataclass(frozen=True)
class Draft:
    """What can be read of files that may not be right yet: the questions that stand, and every problem."""

    areas: tuple[Area, ...]
    questions: Mapping[str, Question]
    places: Mapping[str, Place]
    files: tuple[CatalogueFile, ...]
    problems: tuple[Problem, ...]


def load_catalogue(paths: Sequence[Path] = (), *, base: Path | None = None) -> Catalogue:
    """The packaged catalogue and whatever the given folders (or single files) add to it.

    Every ``*.toml`` directly inside a folder is read, in order of name. ``base`` stands in for the
    packaged folder. Raises CatalogueError with all problems of all files; then nothing is loaded.
    """
    return _read(paths, base).catalogue()


def read_draft(paths: Sequence[Path] = (), *, base: Path | None = None) -> Draft:
    """The same files, however wrong: each question that is right, and what is the matter with the rest."""
    reading = _read(paths, base)
    with suppress(CatalogueError):
        reading.catalogue()
    return Draft(
        areas=reading.areas,
        questions={name: question for name, (question, _) in reading.questions.items()},
        places={name: place for name, (_, place) in reading.questions.items()},
        files=tuple(reading.files),
        problems=tuple(sorted(set(reading.problems))),
    )


def _read(paths: Sequence[Path], base: Path | None) -> _Reading:
    root: Traversable = base if base is not None else resources.files("questions") / "data"
    reading = _Reading(PACKAGED_NAME if base is None else str(base))
    reading.read_folder(root, reading.base_name, _ALL_TABLES)
    for path in paths:
        if path.is_file():
            reading.read_file(path, str(path), _OWN_TABLES)
        else:
            reading.read_folder(path, str(path), _OWN_TABLES)
    return reading


def load_factor_csv(path: Path, areas: Sequence[str] | None = None) -> FactorTable:
    """A factor table from a CSV: header ``row,weight,<areas>``, one row per factor, cells 1..10.

    Rows whose first cell begins with ``printed`` or is ``category`` are passed over. The columns must be
    exactly ``areas`` (default: the packaged ones) in any order; the table comes back in the catalogue's
    order with a version made of the file's name and content. Raises CatalogueError with every problem's
    line and column.
    """
    problems: list[Problem] = []
    text = _decoded(path, str(path), problems)
    if text is None:
        raise CatalogueError(problems)
    return read_factor_csv(str(path), text, _packaged_area_keys() if areas is None else areas)


@lru_cache(maxsize=1)
def _packaged_area_keys() -> tuple[str, ...]:
    text = (resources.files("questions") / "data" / "areas.toml").read_text("utf-8")
    return tuple(area["key"] for area in tomllib.loads(text)["area"])


# Files ------------------------------------------------------------------------------------------------


def parse_toml(name: str, content: bytes, problems: list[Problem]) -> CatalogueFile | None:
    """A file of TOML as read; None, and the reason added with its line, when it is none."""
    text = _text(name, content, problems)
    data = None if text is None else _parsed(text, name, problems)
    return None if text is None or data is None else CatalogueFile(name, text, data)


def _decoded(source: Traversable, name: str, problems: list[Problem]) -> str | None:
    content = _content(source, name, problems)
    return None if content is None else _text(name, content, problems)


def _content(source: Traversable, name: str, problems: list[Problem]) -> bytes | None:
    try:
        return source.read_bytes()
    except OSError as error:
        problems.append(Problem(name, 0, "", f"cannot be read: {error.strerror or error}"))
        return None


def _text(name: str, content: bytes, problems: list[Problem]) -> str | None:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        problems.append(Problem(name, line, "", f"not UTF-8: byte 0x{byte:02x}; save the file as UTF-8"))
        return None


def _parsed(text: str, name: str, problems: list[Problem]) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except RecursionError:
        problems.append(Problem(name, 0, "", "not valid TOML: nested too deeply"))
    except ValueError as error:  # TOMLDecodeError, or a number too long to read
        found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        reason = str(error).partition(" (at ")[0]
        column = f" (column {found[2]})" if found else " (at the end)"
        problems.append(Problem(name, line, "", f"not valid TOML: {reason}{column}"))
    return None


class _Reading:
    """Collects records and problems over all files; hands out a catalogue when there were no problems."""

    def __init__(self, base_name: str) -> None:
        self.base_name = base_name
        self.problems: list[Problem] = []
        self.files: list[CatalogueFile] = []
        self.unread = False
        self.refused: set[str] = set()  # kinds of record of which some did not come through
        self.areas: tuple[Area, ...] = ()
        self.questions: dict[str, tuple[Question, Place]] = {}

    # reading

    def read_folder(self, folder: Traversable, name: str, tables: Sequence[str]) -> None:
        try:
            entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
        except OSError as error:
            self.problems.append(
                Problem(name, 0, "", f"cannot be opened as a folder: {error.strerror or error}")
            )
            return
        for entry in entries:
            if entry.name.endswith(".toml") and not entry.name.startswith("."):
                self.read_file(entry, f"{name}/{entry.name}", tables)

    def read_file(self, source: Traversable, name: str, tables: Sequence[str]) -> None:
        content = _content(source, name, self.problems)
        file = None if content is None else parse_toml(name, content, self.problems)
        if file is None:
            self.unread = True
            return
        known = {key: value for key, value in file.data.items() if self._is_table(file, key, value, tables)}
        self.files.append(CatalogueFile(name, file.text, known))

    def _is_table(self, file: CatalogueFile, key: str, value: object, tables: Sequence[str]) -> bool:
        if key not in tables:
            if key in _ALL_TABLES:
                message = f"belongs to the packaged catalogue alone; here may stand: {', '.join(tables)}"
            else:
                message = f"unknown table{suggestion(key, tables)}"
        elif key in _LISTS and not isinstance(value, list):
            message = f"is a list: write [[{key}]] above each entry"
        elif key not in _LISTS and not isinstance(value, dict):
            message = f"is one table: write [{key}]"
        else:
            return True
        self.problems.append(file.problem((key,), message))
        return False

    # records

    def _entries(self, key: str, model: type[RecordT]) -> Iterator[tuple[RecordT, Place]]:
        for file in self.files:
            for index, value in enumerate(file.data.get(key, ())):
                place = Place(file, (key, index))
                record = read_record(model, value, file, place.path, self.problems)
                if record is None:
                    self.refused.add(key)
                else:
                    yield record, place

    def _unique(
        self, what: str, entries: Iterable[tuple[RecordT, Place]], key: str
    ) -> dict[Any, tuple[RecordT, Place]]:
        """Entries by their key; a second one with the same key is a problem that names the first's place."""
        found: dict[Any, tuple[RecordT, Place]] = {}
        for record, place in entries:
            name = getattr(record, key)
            if name in found:
                shown = "/".join(map(str, name)) if isinstance(name, tuple) else name
                self._problem(place, (), f"duplicate {what} {shown!r}, first in {found[name][1]}")
            else:
                found[name] = (record, place)
        return found

    def _problem(self, place: Place, below: KeyPath, message: str) -> None:
        self.problems.append(place.file.problem((*place.path, *below), message))

    def _latest(self, key: str, model: type[RecordT]) -> list[tuple[RecordT, Place]]:
        """The table that counts, the last file's, if there is one. Every one needs a version of its own."""
        used: dict[str, Place] = {}
        latest: list[tuple[RecordT, Place]] = []
        for file in self.files:
            if key not in file.data:
                continue
            place = Place(file, (key,))
            version = str(file.data[key].get("version", ""))
            if version in used:
                first = used[version]
                self._problem(
                    place, ("version",), f"{version!r} is taken by {first}: give the change a new one"
                )
            used.setdefault(version, place)
            record = read_record(model, file.data[key], file, place.path, self.problems)
            latest = [] if record is None else [(record, place)]
        if not used:
            self._missing(key)
        return latest

    def _missing(self, key: str) -> None:
        if not self.unread:  # the file that cannot be read may be the one that has it
            self.problems.append(Problem(self.base_name, 0, key, "no file has this table"))

    # the whole

    def catalogue(self) -> Catalogue:
        """Everything read so far as a catalogue. Raises CatalogueError when anything was wrong."""
        areas = tuple(area for area, _ in self._unique("area", self._entries("area", Area), "key").values())
        self.areas = areas
        if not areas:
            self._missing("area")
        keys = tuple(area.key for area in areas)
        series = self._series(keys)
        batteries = self._batteries(keys, series)
        factors = self._factors(keys)
        requirements = self._requirements(keys)
        printed = self._latest("printed", PrintedResults)
        questions = self.questions = self._questions(areas, batteries, series)
        links = self._links(keys, questions)
        platforms = self._unique("platform", self._entries("platform", Platform), "key")
        seen = self._unique("record of", self._entries("seen", Seen), "key")
        tracked = self._tracked(series, questions, links)
        if self.problems:
            raise CatalogueError(self.problems)
        return Catalogue(
            areas=areas,
            factors=in_area_order(factors[0][0], keys),
            printed=printed[0][0],
            requirements=requirements[0][0],
            batteries=MappingProxyType(batteries),
            questions=MappingProxyType({name: question for name, (question, _) in questions.items()}),
            links=tuple(link for link, _ in links.values()),
            platforms=MappingProxyType({key: platform for key, (platform, _) in platforms.items()}),
            seen=MappingProxyType({key[:2]: seen[key][0] for key in sorted(seen)}),
            series=MappingProxyType(series),
            tracked=tracked,
            places=MappingProxyType({name: place for name, (_, place) in questions.items()}),
            link_places=MappingProxyType({key: place for key, (_, place) in links.items()}),
        )

    def _area(self, place: Place, below: KeyPath, key: str, areas: Sequence[str]) -> None:
        if areas and key not in areas:
            self._problem(place, below, f"unknown area {key!r}{suggestion(key, areas)}")

    def _batteries(self, areas: Sequence[str], series: Mapping[str, SeriesRecord]) -> dict[str, Battery]:
        found = self._unique("battery for", self._entries("battery", Battery), "area")
        known = {f"{name}/{metric.name}" for name, record in series.items() for metric in record.metrics}
        for battery, place in found.values():
            self._area(place, ("area",), battery.area, areas)
            for index, proxy in enumerate(battery.proxies):
                for at, name in enumerate(proxy.behind):
                    if known and name not in known and not self.unread and "series" not in self.refused:
                        below = ("proxies", index, "behind", at)
                        self._problem(place, below, f"no series and metric {name!r}{suggestion(name, known)}")
        return {area: battery for area, (battery, _) in found.items()}

    def _factors(self, areas: Sequence[str]) -> list[tuple[FactorTable, Place]]:
        for file in self.files:
            raw = file.data.get("factors", {})
            weights, scores = raw.get("weights"), raw.get("scores")
            if areas and isinstance(weights, dict) and isinstance(scores, dict):
                for path, message in table_findings(weights, scores, areas):
                    self.problems.append(file.problem(("factors", *path), message))
        return self._latest("factors", FactorTable)

    def _requirements(self, areas: Sequence[str]) -> list[tuple[HorizonRequirements, Place]]:
        found = self._latest("requirements", HorizonRequirements)
        for requirements, place in found:
            for index, area in enumerate(requirements.anchor_areas):
                self._area(place, ("anchor_areas", index), area, areas)
            for area in requirements.minutes:
                self._area(place, ("minutes", area), area, areas)
        return found

    def _questions(
        self, areas: Sequence[Area], batteries: Mapping[str, Battery], series: Mapping[str, SeriesRecord]
    ) -> dict[str, tuple[Question, Place]]:
        generated = [*self._generated(areas, batteries), *self._indicators(areas, series)]
        entries = [*generated, *self._entries("question", Question)]
        found = self._unique("question", entries, "id")
        keys = tuple(area.key for area in areas)
        for question, place in found.values():
            if place.path[0] == "question":
                self._check_question(question, place, keys, found)
        return found

    def _generated(
        self, areas: Sequence[Area], batteries: Mapping[str, Battery]
    ) -> Iterator[tuple[Question, Place]]:
        lacking = [area.key for area in areas if area.key not in batteries]
        if not batteries:
            self._missing("battery")
        elif not self.unread and "battery" not in self.refused:
            for key in lacking:
                self.problems.append(Problem(self.base_name, 0, "battery", f"no battery for area {key!r}"))
        found = self._latest("template", TemplateSet)
        before = len(self.problems)
        for template, place in () if lacking else found:
            for question, path in generate(template, areas, batteries, place.file, self.problems):
                yield question, Place(place.file, path)
        if lacking or not found or len(self.problems) > before:
            self.refused.add("question")

    def _indicators(
        self, areas: Sequence[Area], series: Mapping[str, SeriesRecord]
    ) -> Iterator[tuple[Question, Place]]:
        """Questions of the table of indicators, which a catalogue may do without."""
        if not any("indicators" in file.data for file in self.files):
            return
        found = self._latest("indicators", IndicatorSet)
        before = len(self.problems)
        for table, place in found if areas and "series" not in self.refused else ():
            for question, path in generate_indicators(table, areas, series, place.file, self.problems):
                yield question, Place(place.file, path)
        if not found or len(self.problems) > before:
            self.refused.add("question")

    def _check_question(
        self, question: Question, place: Place, areas: Sequence[str], known: Mapping[str, object]
    ) -> None:
        for index, area in enumerate(question.areas):
            self._area(place, ("areas", index), area, areas)
        if question.conditional is not None:
            self._reference(place, ("conditional", "parent"), question.conditional.parent, known)

    def _reference(self, place: Place, below: KeyPath, name: str, known: Mapping[str, object]) -> None:
        """A question's id must be known, unless the question may be among those that were refused."""
        if name not in known and not self.unread and "question" not in self.refused:
            self._problem(place, below, f"no question {name!r}{suggestion(name, known)}")

    def _links(
        self, areas: Sequence[str], questions: Mapping[str, object]
    ) -> dict[tuple[str, str, str], tuple[Link, Place]]:
        found = self._unique("link", self._entries("link", Link), "key")
        for link, place in found.values():
            for index, area in enumerate(link.areas):
                self._area(place, ("areas", index), area, areas)
            if (link.relation is Relation.CONTEXT) == bool(link.areas):
                message = "relation context bears on no area" if link.areas else "needs the areas it bears on"
                self._problem(place, ("areas",), f"{message} (relation is {link.relation.value})")
            if link.question is not None:
                self._reference(place, ("question",), link.question, questions)
        return found

    def _series(self, areas: Sequence[str]) -> dict[str, SeriesRecord]:
        found = self._unique("series", self._entries("series", SeriesRecord), "id")
        for record, place in found.values():
            for index, area in enumerate(record.areas):
                self._area(place, ("areas", index), area, areas)
        return {name: record for name, (record, _) in found.items()}

    def _tracked(
        self,
        series: Mapping[str, object],
        questions: Mapping[str, object],
        links: Iterable[tuple[str, str, str]],
    ) -> tuple[Tracked, ...]:
        linked = {f"{platform}/{external_id}" for platform, external_id, _ in links}
        found = self._unique("entry", self._entries("tracked", Tracked), "name")
        for entry, place in found.values():
            for index, name in enumerate(entry.questions):
                self._reference(place, ("questions", index), name, questions)
            for kind, names, known in (("series", entry.series, series), ("link", entry.links, linked)):
                key = "links" if kind == "link" else kind
                for index, name in enumerate(names):
                    if name not in known and not self.unread and kind not in self.refused:
                        self._problem(place, (key, index), f"no {kind} {name!r}{suggestion(name, known)}")
        return tuple(entry for entry, _ in found.values())
