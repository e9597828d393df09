"""``speedup questions show PLATFORM:ID``: what is stored of a question elsewhere, and the payloads it was read from."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from questions.time import iso
from tracker.commands.session import Session, printable, table
from tracker.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from questions.model import Link
    from storage.records import Observation
    from storage.store import Store

ROWS_SHOWN = 12


def show_linked(session: Session, name: str) -> int:
    """What is known of a linked question (``metaculus:17728``): every stored value with when it was so and seen."""
    platform, _, external_id = name.partition(":")
    links = [one for one in session.catalogue.links if one.key[:2] == (platform, external_id)]
    if not links:
        raise UsageError(f"no linked question {name!r}; `speedup questions list --links` names them")
    store = session.store_if_any()
    if store is None:
        raise UsageError(f"{name}: nothing is stored; `speedup pull` collects values")
    try:
        document = _document(store, links, platform, external_id, session.as_of)
    finally:
        store.close()
    session.print(document, lambda: _tell(document))
    return 0


def _document(
    store: Store, links: list[Link], platform: str, external_id: str, at: datetime | None
) -> dict[str, Any]:
    infos = [
        one for one in store.infos(known_at=at) if (one.platform, one.external_id) == (platform, external_id)
    ]
    words = [
        one
        for one in store.resolutions(known_at=at)
        if (one.platform, one.external_id) == (platform, external_id)
    ]
    title = next((one.title for one in infos if one.source == platform), "") or next(
        (one.title for one in infos), ""
    )
    return {
        "question": f"{platform}:{external_id}",
        "as_of": at,
        "title": title or links[0].label,
        "url": links[0].url,
        "links": [link.model_dump(mode="json") for link in links],
        "streams": [
            {
                "source": key.source,
                "outcome": key.outcome,
                "quantity": key.quantity.value,
                "values": [_value(seen) for seen in store.history(key, known_at=at)],
            }
            for key in store.streams(platform, external_id)
        ],
        "resolutions": [asdict(word) for word in words],
    }


def _value(seen: Observation) -> dict[str, Any]:
    said = seen.snapshot
    return {
        "as_of": said.as_of,
        "seen_first": seen.seen_first,
        "seen_last": seen.seen_last,
        "state": said.state.value,
        "probability": said.probability,
        "value": said.value,
        "forecasters": said.forecasters,
        "payload_sha256": said.payload_sha256,
    }


def _tell(document: dict[str, Any]) -> None:
    click.echo(f"{printable(document['title'])}\n{document['url']}\n")
    for stream in document["streams"]:
        values = stream["values"]
        shown = values[-ROWS_SHOWN:]
        told = f"the last {len(shown)} of {len(values)} values" if len(values) > len(shown) else ""
        table(
            ", ".join(filter(None, (stream["source"], stream["outcome"], stream["quantity"], told))),
            ["as of", "seen first", "seen last", "value", "n", "payload (SHA-256)"],
            [
                (
                    iso(one["as_of"]),
                    iso(one["seen_first"]),
                    iso(one["seen_last"]),
                    next(
                        (one[what] for what in ("probability", "value") if one[what] is not None),
                        one["state"],
                    ),
                    one["forecasters"],
                    one["payload_sha256"],
                )
                for one in shown
            ],
            right=(3, 4),
        )
    if not document["streams"]:
        click.echo("no value of it is stored")
    for word in document["resolutions"]:
        at = iso(word["fetched_at"])
        payload = word["payload_sha256"] or "-"
        click.echo(
            f"{word['source']}: {word['outcome']} {word['state'].value}, learnt {at}, payload {payload}"
        )
