"""Answers of sources, made by hand or taken from ``tests/payloads``, and what was read of them in brief."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from questions.model import Link, Relation, View
from questions.records import Resolution, Snapshot
from questions.time import iso
from storage.records import RawPayload
from tests.servers.spec import load_spec
from tracker.source import Parsed

PAYLOADS = Path(__file__).parent.parent / "payloads"
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)

#: An id of the right form, for platforms that take no other.
SOME_ID = {"polymarket": "0x" + "01" * 32}


def zip_of(members: Mapping[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip with these members, always the same bytes for the same members."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        for name, body in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), body, how)
    return out.getvalue()


#: The files of Epoch's zip that are read, by name.
EPOCH_FILES = {path.name: path.read_bytes() for path in sorted((PAYLOADS / "epoch_hub").glob("*.csv"))}

#: A whole, good answer of every source: (ref, url, body). Those in a payload folder are named in its good.json.
GOOD: dict[str, tuple[str, str, bytes]] = {
    "metr": (
        "metr_th11",
        "https://metr.org/assets/benchmark_results_1_1.yaml",
        (PAYLOADS / "metr" / "horizon_1_1.yaml").read_bytes(),
    ),
    "manifold": (
        "exMkt0001AbC,exMkt0003AbC",
        "https://api.manifold.markets/v0/market-probs?ids=exMkt0001AbC&ids=exMkt0003AbC",
        (PAYLOADS / "manifold" / "market-probs.json").read_bytes(),
    ),
    "metaculus": (
        "990001",
        "https://www.metaculus.com/api/posts/990001/",
        json.dumps(load_spec("metaculus-read").example("getPost", "binary_open")).encode(),
    ),
    "epoch_hub": (
        "benchmarks",
        "https://epoch.ai/data/benchmark_data.zip",
        zip_of(EPOCH_FILES | {"README.md": b"# Read me\n" * 3000}, zipfile.ZIP_STORED),
    ),
}


for _told in sorted(PAYLOADS.glob("*/good.json")):
    _good = json.loads(_told.read_bytes())
    GOOD[_told.parent.name] = (_good["ref"], _good["url"], (_told.parent / _good["body"]).read_bytes())


def answer(
    source: str,
    body: Any,
    *,
    ref: str | None = None,
    status: int = 200,
    url: str | None = None,
    at: datetime = AT,
) -> RawPayload:
    """A payload of a source. ``body``: bytes as they are, anything else as JSON."""
    good_ref, good_url, _ = GOOD[source]
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return RawPayload(
        source=source,
        ref=good_ref if ref is None else ref,
        url=good_url if url is None else url,
        fetched_at=at,
        status=status,
        content_type="application/json",
        body=data,
    )


def link(platform: str, external_id: str, outcome: str = "yes") -> Link:
    return Link(
        platform=platform,
        external_id=external_id,
        outcome=outcome,
        url="https://example.org/question",
        label="a question",
        relation=Relation.CONTEXT,
        view=View.MODEL,
    )


def value(snapshot: Snapshot) -> tuple[str, str, str, object]:
    """(question, outcome, as of, probability or value or state)."""
    if snapshot.probability is not None:
        said: object = snapshot.probability
    elif snapshot.value is not None:
        said = snapshot.value
    else:
        said = snapshot.state.value
    return (snapshot.key.external_id, snapshot.key.outcome, iso(snapshot.as_of), said)


def outcome(resolution: Resolution) -> tuple[str, str, str, float | None, str | None]:
    """(question, outcome, state, value, when)."""
    when = None if resolution.resolved_at is None else iso(resolution.resolved_at)
    return (resolution.external_id, resolution.outcome, resolution.state.value, resolution.value, when)


def told(parsed: Parsed) -> Any:
    """All that was read, apart from which bytes it was read from."""
    records = (*parsed.batch.snapshots, *parsed.batch.resolutions, *parsed.batch.infos)
    return [replace(one, payload_sha256=None) for one in records], parsed.follow, parsed.faults, parsed.notes
