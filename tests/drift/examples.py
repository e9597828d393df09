"""Every example answer there is of a source, with the address it would have been fetched from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from storage.records import RawPayload
from tests.servers.spec import load_spec
from tests.sources.answers import AT, PAYLOADS
from tracker.sources import SOURCES
from tracker.sources.polymarket import CLOB, DATA

#: The composed documents, the source each speaks of, and which of its base URLs it stands under.
SPECS = {
    "manifold-read": ("manifold", ""),
    "metaculus-read": ("metaculus", ""),
    "kalshi-read-3.30.0": ("kalshi", ""),
    "polymarket-gamma-read": ("polymarket", ""),
    "polymarket-clob-read": ("polymarket", CLOB),
    "polymarket-data-v2-read": ("polymarket", DATA),
}
KALSHI = "/trade-api/v2"  # a part of the base URL, and of every path of the document

#: Files of our own: (source, file) -> path below the base URL.
FILES = {
    ("manifold", "market-probs.json"): "v0/market-probs",
    ("manifold", "bets-exclusive.json"): "v0/bets",
    ("kalshi", "markets.json"): "markets",
    ("polymarket", "markets-keyset.json"): "markets/keyset",
    ("fatebook", "question.json"): "v0/getQuestion",
    ("fatebook", "options.json"): "v0/getQuestion",
    ("fatebook", "list.json"): "v0/getQuestions",
    ("forecastbench", "2026-11-08-llm.json"): "datasets/question_sets/2026-11-08-llm.json",
    ("forecastbench", "2026-11-08_resolution_set.json"): (
        "datasets/resolution_sets/2026-11-08_resolution_set.json"
    ),
    ("forecastbench", "latest-llm.json"): "datasets/question_sets/latest-llm.json",
    ("metr", "horizon_1_1.yaml"): "assets/benchmark_results_1_1.yaml",
    ("metr", "horizon_1_0.yaml"): "assets/benchmark_results_1_0.yaml",
}

#: Sources whose answers have an expected shape.
SHAPED = tuple(sorted({source for source, _ in (*SPECS.values(), *FILES)}))
#: The others: tables, whose columns their adapters check, and two JSON files of which one example is all there is.
SHAPELESS = ("aei", "epoch_dc", "epoch_eci", "epoch_hub", "mlebench", "swebench")

#: What stands for a path parameter. Ids of the platforms' own form, because templates may ask for it.
PARAMETERS = {"condition_id": "0x" + "ab" * 32, "slug": "an-example", "ticker": "KXEX10X-27-A"}


@dataclass(frozen=True)
class Example:
    """One answer with status 200. ``name`` tells where it stands: document, operation and example, or file."""

    source: str
    name: str
    url: str
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)

    def raw(self, value: Any = None, **how: Any) -> RawPayload:
        """As it would have come from the network; with ``value`` instead of its own, if one is given."""
        body = self.body if value is None else json.dumps(value).encode()
        filled = {"status": 200, "body": body, "url": self.url, **how}
        return RawPayload(
            source=self.source, ref="x", fetched_at=AT, content_type="application/json", **filled
        )


def below(source: str, path: str, base: str = "") -> str:
    """A full address of a source."""
    traits = SOURCES[source].traits
    return f"{traits.other_bases[base] if base else traits.base_url}/{path.lstrip('/')}"


@cache
def examples() -> tuple[Example, ...]:
    """All of them: those of the documents with status 200, and the files."""
    return (*_of_documents(), *_of_files())


def _of_documents() -> Iterator[Example]:
    for document, (source, base) in SPECS.items():
        for operation in load_spec(document).operations.values():
            path = operation.path(PARAMETERS).removeprefix(KALSHI)
            for name in operation.names(200):
                body = json.dumps(operation.example(name)).encode()
                yield Example(source, f"{document}/{operation.name}/{name}", below(source, path, base), body)


def _of_files() -> Iterator[Example]:
    for (source, name), path in FILES.items():
        yield Example(
            source, f"{source}/{name}", below(source, path), (PAYLOADS / source / name).read_bytes()
        )
