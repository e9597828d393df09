"""The console script. Starts in a few milliseconds: everything heavy is imported by the command that needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run ``speedup``; exit codes: 0 done, 1 done in part, 2 wrong call or input, 3 nothing could be done."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["--version"]:
        from tracker import __version__

        sys.stdout.write(f"speedup {__version__}\n")
        sys.exit(0)
    # The matrices here are small: where others want the processors too, threads of BLAS wait for each other,
    # spinning, which took half of the processor's time of a calibration report.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from tracker.commands import memory

    memory.starting()
    from tracker.commands.root import run

    sys.exit(run(arguments))
