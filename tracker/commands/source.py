"""``speedup source``: one adapter, one question, live, nothing stored."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import click

from questions.model import Link, Relation, View
from questions.time import EPOCH
from storage.records import RawPayload
from tracker import jobs
from tracker.commands.session import Session, printable, table, with_session
from tracker.config import Settings
from tracker.errors import UsageError
from tracker.source import Parsed, Request, Source
from tracker.sources import SOURCES


@click.command("source", epilog="Example:  speedup source manifold dCP8cP0CLL --json")
@click.argument("name")
@click.argument("ref")
@click.option("--raw", is_flag=True, help="Print the answer's bytes as they came, nothing else.")
@with_session()
def command(session: Session, name: str, ref: str, raw: bool) -> int:
    """Ask adapter NAME for question REF now and show what it reads; nothing is stored.

    REF is the platform's id (for metr and other trend sources: any word). For whoever writes or debugs an
    adapter.
    """
    source = jobs.choose([name], SOURCES)[0]
    if not 0 < len(ref) <= 120:
        raise UsageError("REF is the platform's id: 1 to 120 characters")
    secret = session.settings.secret_of(source.traits.secret)
    if source.traits.secret_required and not secret:
        raise UsageError(f"{name} needs a key: set SPEEDUP_{(source.traits.secret or '').upper()}")
    answers = _ask(session, source, ref, secret)
    if raw:
        for payload, _ in answers:
            sys.stdout.buffer.write(payload.body)
        return 0
    document = {
        "source": name,
        "ref": ref,
        "answers": [
            {
                "url": payload.url,
                "status": payload.status,
                "bytes": len(payload.body),
                "sha256": payload.sha256,
                **_parsed_json(parsed, ref),
            }
            for payload, parsed in answers
        ],
    }
    session.print(document, lambda: _show(answers, ref))
    return 0


def _ask(session: Session, source: Source, ref: str, secret: str | None) -> list[tuple[RawPayload, Parsed]]:
    settings: Settings = session.settings
    platform = source.traits.platforms[0] if source.traits.platforms else source.traits.name
    link = Link(
        platform=platform,
        external_id=ref,
        url="https://example.org/",
        label=ref,
        relation=Relation.CONTEXT,
        view=View.MODEL,
    )
    waiting = list(source.plan([link], session.now(), EPOCH).requests)
    answers: list[tuple[RawPayload, Parsed]] = []
    asked: set[Request] = set()
    with session.client() as client:
        while waiting and len(asked) < 50:
            request = waiting.pop(0)
            if request in asked:
                continue
            asked.add(request)
            payload = client.fetch(
                request,
                source.traits,
                base_url=settings.url_of(*source.traits.base_of(request)),
                secret=secret if request.private else None,
                now=session.now,
            )
            if isinstance(payload, RawPayload):
                parsed = source.parse(payload)
                answers.append((payload, parsed))
                waiting.extend(parsed.follow)
    return answers


def _parsed_json(parsed: Parsed, ref: str) -> dict[str, Any]:
    mine = [s for s in parsed.batch.values() if s.key.external_id == ref] or list(parsed.batch.values())
    return {
        "snapshots": [asdict(snapshot) for snapshot in mine],
        "measurements": sum(len(version.measurements) for version in parsed.batch.versions),
        "resolutions": [asdict(resolution) for resolution in parsed.batch.resolutions],
        "infos": [asdict(info) for info in parsed.batch.infos],
        "faults": [asdict(fault) for fault in parsed.faults],
        "denied": list(parsed.denied),
        "notes": list(parsed.notes),
    }


def _show(answers: list[tuple[RawPayload, Parsed]], ref: str) -> None:
    for payload, parsed in answers:
        click.echo(
            f"{payload.status} {printable(payload.url)}  {len(payload.body)} bytes  sha256 {payload.sha256[:12]}"
        )
        for info in parsed.batch.infos:
            click.echo(
                f"  {printable(info.title)}  [{printable(info.question_type)}, {printable(info.status)}]"
            )
        rows = [s for s in parsed.batch.values() if s.key.external_id == ref] or list(parsed.batch.values())
        if rows:
            table(
                "",
                ["outcome", "kind", "as of", "state", "probability", "value", "forecasters"],
                [
                    (
                        s.key.outcome,
                        s.key.quantity.value,
                        s.as_of,
                        s.state.value,
                        s.probability,
                        s.value,
                        s.forecasters,
                    )
                    for s in rows[-20:]
                ],
            )
        for version in parsed.batch.versions:
            click.echo(
                f"  {version.series}: {len(version.measurements)} measurements, published {dict(version.published)}"
            )
        for resolution in parsed.batch.resolutions:
            click.echo(f"  resolution: {resolution.state.value} {printable(resolution.text)}")
        for word, lines in (("fault", parsed.faults), ("denied", parsed.denied), ("note", parsed.notes)):
            for line in lines:
                click.echo(f"  {word}: {printable(str(line))}")
