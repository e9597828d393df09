"""Files of the user's that commands read beside the usual folders, and write whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from tracker.errors import UsageError


def with_path(paths: Sequence[Path], extra: Path) -> tuple[Path, ...]:
    """The catalogue's folders and one more folder or file, unless it is among them or lies in one."""
    usual = {path.resolve() for path in paths}
    covered = extra.resolve() in usual or extra.resolve().parent in usual
    return tuple(paths) if covered else (*paths, extra)


def add_text(target: Path, text: str, *, header: str) -> None:
    """Add text to the end of a file, or begin it with ``header``. UsageError when that cannot be done."""
    try:
        before = target.read_text("utf-8") if target.exists() else header
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(target, error) from None
    gap = "" if not before or before.endswith("\n") else "\n"
    write_text(target, before + gap + text)


def write_text(target: Path, text: str) -> None:
    """Put text in a file's place; whole or not at all. A link to a file stays one, and so do its rights."""
    target = target.resolve()
    try:
        with NamedTemporaryFile(
            "w", encoding="utf-8", newline="", dir=target.parent, prefix=f".{target.stem}-", delete=False
        ) as draft:
            try:
                draft.write(text)
                draft.flush()
                os.fsync(draft.fileno())
                Path(draft.name).chmod(target.stat().st_mode & 0o777 if target.exists() else 0o644)
                Path(draft.name).replace(target)
            except BaseException:
                with suppress(FileNotFoundError):
                    Path(draft.name).unlink()
                raise
    except OSError as error:
        raise _refused(target, error) from None


def _refused(target: Path, error: Exception) -> UsageError:
    return UsageError(f"{target}: cannot be written: {type(error).__name__}: {error}")
