"""Derives the expected shapes of answers from the documents and examples in ``tests/payloads``:

    python -m tests.drift.derive

writes ``tracker/shapes/<source>.json``. Types are those a document or an example has; what is null in every
example may be anything. A field is required where the document requires it and no example lacks it, or, for
answers without a document, where two or more objects have it and none lacks it. Closed lists of words are
the documents' enums and those below.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

import tracker
from storage.records import RawPayload
from tests.drift.examples import FILES, KALSHI, SHAPED, SPECS, Example, examples
from tests.servers import spec
from tracker.sources.metr import load_yaml

FOLDER = Path(tracker.__file__).parent / "shapes"
TYPES = {"integer": "number", "array": "list"}
SUITES = ["METR-Horizon-v1", "METR-Horizon-v1.0", "METR-Horizon-v1.1"]

#: Lists of words that are closed by the platforms' documentation but no enum in the composed documents.
WORDS: Mapping[tuple[str, str, str], list[str]] = {
    ("manifold", "FullMarket", "mechanism"): ["cpmm-1", "cpmm-multi-1", "none", "perp", "dpm-2", "qf"],
    ("manifold", "LiteMarket", "mechanism"): ["cpmm-1", "cpmm-multi-1", "none", "perp", "dpm-2", "qf"],
    ("manifold", "Answer", "resolution"): ["YES", "NO", "MKT", "CANCEL"],
    ("metaculus", "Question", "default_aggregation_method"): [
        "recency_weighted",
        "unweighted",
        "single_aggregation",
        "metaculus_prediction",
    ],
    ("polymarket", "gamma.Market", "umaResolutionStatus"): [
        "",
        "requested",
        "proposed",
        "disputed",
        "resolved",
        "settled",
    ],
    ("fatebook", "getQuestion", "type"): ["BINARY", "MULTIPLE_CHOICE", "QUANTITY"],
    ("fatebook", "getQuestions.items", "type"): ["BINARY", "MULTIPLE_CHOICE", "QUANTITY"],
    ("forecastbench", "resolution_set.resolutions", "source"): [
        *("infer", "manifold", "metaculus", "polymarket"),
        *("acled", "dbnomics", "fred", "wikipedia", "yfinance"),
    ],
    ("metr", "results", "benchmark_name"): SUITES,
    ("metr", "results.results.*", "benchmark_name"): SUITES,
}
WORDS |= {("forecastbench", "question_set.questions", "source"): WORDS[
    ("forecastbench", "resolution_set.resolutions", "source")
]}  # fmt: skip

#: Fields that are always there but may be missing without a word: nothing reads them, and the bundled recording,
#: which holds facts alone, leaves them out.
SPARE = {
    ("FullMarket", "textDescription"),
    ("question_set.questions", "market_info_open_datetime"),
    ("results", "long_tasks_version"),
    ("results", "swaa_version"),
    ("results.results.*", "scaffolds"),
}

#: Kinds of answer that no document describes: template -> name of the shape.
UNDOCUMENTED = {
    "manifold": {"v0/market-probs": "marketProbs"},
    "fatebook": {"v0/getQuestion": "getQuestion", "v0/getQuestions": "getQuestions"},
    "forecastbench": {
        "datasets/question_sets/{file}": "question_set",
        "datasets/resolution_sets/{file}": "resolution_set",
    },
    "metr": {
        "assets/benchmark_results_1_0.yaml": "results",
        "assets/benchmark_results_1_1.yaml": "results",
    },
}
#: Objects in them that are keyed by ids or names.
MAPS = {"marketProbs", "marketProbs.*.answerProbs", "results.results"}
#: What the platforms' code or pages tell of fields beyond the composed documents and examples: types to add,
#: or None for a field that may be anything.
TOLD: Mapping[str, Mapping[str, list[str] | None]] = {
    # Manifold, docs/docs/api.md and common/src/bet.ts
    "Bet": {"replyToCommentId": ["string"]},
    # Metaculus, questions/serializers: the explorer's items hold all that the latest one does
    "AggregateForecast": {"means": None, "histogram": None},
    # Polymarket, polymarket-client 0.14.0
    "gamma.Market": {"feeSchedule": None},
    "data.Resolution": {
        "settlement_time_basis": None,
        "was_arbitrated": ["boolean", "null"],
        "resolved_block": ["null", "number"],
    },
    # Fatebook, prisma/schema.prisma and pages/api/v0/getQuestion.ts
    "getQuestion": {"id": ["string"], "options": None, "questionScores": None},
    "getQuestion.forecasts": {"forecast": ["null"]},
    "getQuestion.forecasts.user": {"name": ["null"]},
    "getQuestions.items": {
        **dict.fromkeys(("user", "sharedWith", "sharedWithLists", "questionMessages", "comments", "tags")),
        **dict.fromkeys(("comment", "profileId", "hideForecastsUntil", "exclusiveAnswers")),
    },
    "getQuestions.items.forecasts": {
        "forecast": ["null", "number"],
        "userId": ["null"],
        **dict.fromkeys(("comment", "profileId", "profile", "optionId", "options", "user")),
    },
    "getQuestions.items.options": {"forecasts": None, "resolution": None, "resolvedAt": None},
    # ForecastBench, the sets of 2024 to 2026: questions that combine two have a list of ids
    "question_set.questions": {"id": ["list"], "combination_of": None},
    # METR, the published files
    "results.doubling_time_in_days": {"all_time": None},
    "results.doubling_time_in_days.all_time_stitched": {"ci_low": ["string"], "ci_high": ["string"]},
}


@dataclass
class Shape:
    """An object's fields, and how often it and each of them was seen in examples."""

    documented: bool
    fields: dict[str, Node] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    seen: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def always(self, name: str) -> bool:
        there = self.counts.get(name, 0)
        if self.documented:
            return name in self.required and there == self.seen
        return there == self.seen >= 2


@dataclass
class Node:
    """What is known of one place; ``anything``: the document says nothing of its type."""

    name: str
    types: set[str] = field(default_factory=set)
    anything: bool = False
    open: bool = False
    words: list[str] | None = None
    each: Node | None = None
    values: Node | None = None
    shape: Shape | None = None


class Deriving:
    """The shapes of one source, from its documents first and its examples after."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.shapes: dict[str, Shape] = {}
        self.kinds: dict[str, Node] = {}

    # documents

    def document(self, name: str) -> None:
        document = yaml.load((spec.SPECS / f"{name}.composed.yaml").read_text("utf-8"), spec.yaml_loader())
        prefix = f"{name.split('-')[1]}." if self.source == "polymarket" else ""
        self._components, self._prefix = document["components"]["schemas"], prefix
        for template, methods in document["paths"].items():
            for how in methods.values():
                content = how["responses"]["200"]["content"].get(spec.JSON)
                if content is not None:
                    path = _template(template)
                    self.kinds[path] = self.schema(content["schema"], prefix + how["operationId"])

    def schema(self, schema: Mapping[str, Any], name: str) -> Node:
        """A node as the document has it; references share one shape."""
        if "$ref" in schema:
            name = self._prefix + schema["$ref"].rsplit("/", 1)[1]
            schema = self._components[schema["$ref"].rsplit("/", 1)[1]]
        parts = schema.get("oneOf", [schema])
        node = Node(name, anything=any("type" not in part for part in parts))
        node.types = {TYPES.get(part["type"], part["type"]) for part in parts if "type" in part}
        if schema.get("nullable"):
            node.types.add("null")
        node.words = [word for word in schema["enum"] if isinstance(word, str)] if "enum" in schema else None
        if "items" in schema:
            node.each = self.schema(schema["items"], name)
        if "object" in node.types:
            self._object(node, schema)
        return node

    def _object(self, node: Node, schema: Mapping[str, Any]) -> None:
        if isinstance(schema.get("additionalProperties"), dict):
            node.values = self.schema(schema["additionalProperties"], f"{node.name}.*")
        elif not schema.get("properties"):
            node.open = True
        elif node.name in self.shapes:
            node.shape = self.shapes[node.name]
        else:
            node.shape = self.shapes[node.name] = Shape(True, required=set(schema.get("required", ())))
            for key, part in schema["properties"].items():
                node.shape.fields[key] = self.schema(part, f"{node.name}.{key}")

    def undocumented(self, template: str, name: str) -> None:
        known = next((node for node in self.kinds.values() if node.name == name), Node(name))
        self.kinds[template] = known

    # examples

    def see(self, node: Node, value: Any) -> None:
        """Take an example in: its types, and which of its fields are there."""
        if node.anything:
            return
        node.types.add(json_type(value))
        if isinstance(value, list):
            node.each = node.each or Node(node.name)
            for part in value:
                self.see(node.each, part)
        elif isinstance(value, dict) and not node.open:
            if node.values is not None or node.name in MAPS:
                node.values = node.values or Node(f"{node.name}.*")
                for part in value.values():
                    self.see(node.values, part)
            else:
                self._see_object(node, value)

    def _see_object(self, node: Node, value: dict[str, Any]) -> None:
        if node.shape is None:
            node.shape = self.shapes.setdefault(node.name, Shape(False))
        shape = node.shape
        shape.seen += 1
        for key, part in value.items():
            shape.counts[key] = shape.counts.get(key, 0) + 1
            self.see(shape.fields.setdefault(key, Node(f"{node.name}.{key}")), part)

    # the file

    def written(self) -> dict[str, Any]:
        shapes: dict[str, Any] = {}
        for name, shape in sorted(self.shapes.items()):
            for key, kinds in TOLD.get(name, {}).items():
                known = shape.fields.setdefault(key, Node(f"{name}.{key}"))
                known.types |= set(kinds or ())
                known.anything = kinds is None
            shapes[name] = {
                key: self._node(part, name, key)
                | ({"required": True} if shape.always(key) and (name, key) not in SPARE else {})
                for key, part in sorted(shape.fields.items())
            }
        kinds = {template: self._node(node, "", "") for template, node in sorted(self.kinds.items())}
        return {"kinds": kinds, "shapes": shapes}

    def _node(self, node: Node, shape: str, key: str) -> dict[str, Any]:
        if node.anything or node.types <= {"null"}:
            return {}  # of what is always null nobody knows what it is when it is not
        written: dict[str, Any] = {"types": sorted(node.types)}
        words = WORDS.get((self.source, shape, key), node.words)
        if words is not None:
            written["words"] = sorted(words)
        if node.each is not None and node.each.types:
            written["each"] = self._node(node.each, "", "")
        if node.values is not None:
            written["values"] = self._node(node.values, "", "")
        elif node.shape is not None:
            written["shape"] = node.name
        return written


def _needed(name: str, shape: Shape, key: str) -> bool:
    return shape.always(key) and (name, key) not in SPARE


def json_type(value: Any) -> str:
    names = {"bool": "boolean", "int": "number", "float": "number", "str": "string", "dict": "object"}
    return "null" if value is None else names.get(type(value).__name__, type(value).__name__)


def _template(path: str) -> str:
    """A path template below the base URL. Polymarket's CLOB names a market by its condition id, which begins
    with 0x, where Gamma has a number."""
    return path.removeprefix(KALSHI).strip("/").replace("{condition_id}", "0x{condition_id}")


def derive(source: str) -> dict[str, Any]:
    """The expected shapes of a source, as its file has them."""
    deriving = Deriving(source)
    for document, (whose, _) in SPECS.items():
        if whose == source:
            deriving.document(document)
    for template, name in UNDOCUMENTED.get(source, {}).items():
        deriving.undocumented(template, name)
    for node, value in _known(deriving, source):
        deriving.see(node, value)
    return deriving.written()


def _known(deriving: Deriving, source: str) -> Iterator[tuple[Node, Any]]:
    """Each example and the kind of answer it is one of."""
    for example in examples():
        if example.source != source or (source, example.name.rpartition("/")[2]) == POINTER:
            continue
        yield deriving.kinds[_kind(source, example)], _read(example)


POINTER = ("forecastbench", "latest-llm.json")  # a file name in plain text


def _kind(source: str, example: Example) -> str:
    document, _, rest = example.name.partition("/")
    if document in SPECS:
        return _template(spec.load_spec(document).operations[rest.partition("/")[0]].template)
    path = FILES[source, rest]
    folder = path.rpartition("/")[0] + "/{file}"
    return folder if folder in UNDOCUMENTED.get(source, {}) else path


def _read(example: Example) -> Any:
    if not example.url.endswith(".yaml"):
        return example.value
    raw: RawPayload = example.raw()
    return load_yaml(raw)


def printed(shapes: Mapping[str, Any]) -> str:
    """The file: one line for each field, so that a change can be reviewed."""
    lines = ["{", '"kinds": {']
    lines.append(",\n".join(f"  {_line(name)}: {_line(node)}" for name, node in shapes["kinds"].items()))
    lines += ["},", '"shapes": {']
    blocks = []
    for name, fields in shapes["shapes"].items():
        inside = ",\n".join(f"    {_line(key)}: {_line(node)}" for key, node in fields.items())
        blocks.append(f"  {_line(name)}: {{\n{inside}\n  }}" if inside else f"  {_line(name)}: {{}}")
    lines += [",\n".join(blocks), "}", "}", ""]
    return "\n".join(lines)


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=True)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for source in SHAPED:
        text = printed(derive(source))
        (FOLDER / f"{source}.json").write_text(text, encoding="utf-8")
        sys.stdout.write(f"{source}: {len(text.splitlines())} lines\n")


if __name__ == "__main__":
    main()
