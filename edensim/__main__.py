"""`python -m edensim` and the `edensim` command."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    # numpy's linear algebra starts a thread per core when it is imported (0.1 s of every start) and nothing here uses it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Imports make many objects and no garbage: collecting them again and again is a tenth of a short run.
    gc.set_threshold(200_000)
    try:
        from edensim.cli import run_command_line
    except KeyboardInterrupt:  # while loading: nothing has begun
        return 130

    return run_command_line(list(sys.argv[1:] if arguments is None else arguments))


if __name__ == "__main__":
    sys.exit(main())
