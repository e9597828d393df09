"""``speedup db raw``: the bytes that a stored value was read from, as they came."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from storage.errors import StorageError
from storage.records import RawPayload
from tracker.commands.session import Session, printable, with_session
from tracker.errors import UsageError

_SHA256 = re.compile(r"[0-9a-f]{8,64}")


@click.command(
    "raw", epilog="Example:  speedup questions show metaculus:17728  then  speedup db raw SHA256 --out -"
)
@click.argument("sha256")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Write the bytes to this file, - for stdout.",
)
@with_session()
def command(session: Session, sha256: str, out: Path | None) -> int:
    """Where a stored payload came from and when; with --out its bytes, checked against their hash.

    SHA256 is what stands beside a value, a measurement, an outcome or a receipt wherever one is shown; its first eight
    digits or more will do.
    """
    asked = sha256.strip().lower()
    if not _SHA256.fullmatch(asked):
        raise UsageError(f"{printable(sha256)[:80]!r} is not a SHA-256: 8 to 64 digits of 0-9 and a-f")
    to_stdout = out is not None and str(out) == "-"
    if to_stdout and session.as_json:
        raise UsageError("--json and --out - both claim stdout: write the bytes to a file")
    payload = _stored(session, asked)
    if to_stdout:
        sys.stdout.buffer.write(payload.body)
        sys.stdout.buffer.flush()
        return 0
    if out is not None:
        try:
            out.write_bytes(payload.body)
        except OSError as error:
            raise UsageError(f"{out}: {error.strerror}") from None
    document = {
        "sha256": payload.sha256,
        "source": payload.source,
        "ref": payload.ref,
        "url": payload.url,
        "fetched_at": payload.fetched_at,
        "status": payload.status,
        "content_type": payload.content_type,
        "headers": dict(payload.headers),
        "size_bytes": len(payload.body),
        "file": out,
    }
    session.print(document, lambda: _show(payload, out))
    return 0


def _stored(session: Session, asked: str) -> RawPayload:
    """The one payload whose hash begins so. UsageError for none or several, StorageError if its bytes were let go."""
    store = session.store(create=False)
    try:
        known = store.raw_names(asked, 3)
        if len(known) > 1:
            raise UsageError(
                f"{asked} begins more than one payload's hash: {', '.join(known)}; give more digits"
            )
        name = known[0] if known else asked
        payload = store.get_raw(name)
        gone = store.tombstone(name) if payload is None else None
    finally:
        store.close()
    if payload is not None:
        return payload
    if gone is None:
        raise UsageError(f"no payload is stored here whose hash is or begins with {asked}")
    raise StorageError(
        f"payload {name} ({gone.size:,} bytes) was let go at {gone.dropped_at:%Y-%m-%d %H:%M} UTC; "
        "a backup made before has it"
    )


def _show(payload: RawPayload, out: Path | None) -> None:
    click.echo(f"{payload.source} {printable(payload.ref)}\n{printable(payload.url)}")
    click.echo(
        f"answered {payload.status}, {printable(payload.content_type)}, {len(payload.body):,} bytes, "
        f"first at {payload.fetched_at:%Y-%m-%d %H:%M:%S} UTC"
    )
    for name, value in sorted(payload.headers.items()):
        click.echo(f"  {printable(name)}: {printable(value)}")
    click.echo(f"written to {out}" if out else "its bytes: add --out FILE (or --out -)")
