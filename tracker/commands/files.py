"""Files of the user's that commands read beside the usual folders, and write whole or not at all."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from tracker.errors import UsageError


def with_path(paths: Sequence[Path], extra: Path) -> tuple[Path, ...]:
    """The catalogue's folders and one more folder or file, unless it is among them or lies in one."""
    usual = {path.resolve() for path in paths}
    covered = extra.resolve() in usual or extra.resolve().parent in usual
    return tuple(paths) if covered else (*paths, extra)


def own_file(folders: Sequence[Path], named: Path | None, *, option: str, name: str, purpose: str) -> Path:
    """The file to add to: the one named with ``option``, else ``name`` in the first of the user's folders.

    UsageError when there is no place for it; ``purpose`` is what then needs one.
    """
    if named is None:
        folder = next((path for path in folders if path.is_dir()), None)
        if folder is None:
            raise UsageError(
                f"{purpose} needs a place to write to: name a folder of your own in SPEEDUP_QUESTIONS_PATH, "
                f"or a file with {option}"
            )
        return folder / name
    if named.suffix != ".toml":
        raise UsageError(f"{option} {named}: the catalogue reads files that end in .toml only")
    if not named.parent.is_dir():
        raise UsageError(f"{option} {named}: there is no folder {named.parent}")
    return named


def add_text(target: Path, text: str, *, header: str) -> None:
    """Add text to the end of a file, or begin it with ``header``. UsageError when that cannot be done.

    Several processes may add to the files of one folder at a time; nothing of either is lost.
    """
    try:
        with _locked(target.resolve().parent):
            before = target.read_text("utf-8") if target.exists() else header
            gap = "" if not before or before.endswith("\n") else "\n"
            write_text(target, before + gap + text)
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(target, error) from None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


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
