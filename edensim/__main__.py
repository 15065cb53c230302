"""Entry point of the `edensim` command and of `python -m edensim`."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    # Importing numpy starts a linear-algebra thread per core, which takes 0.1 s; none is needed.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Imports make many objects and no garbage. Collecting them takes a tenth of a short run.
    gc.set_threshold(200_000)
    try:
        from edensim.cli import run_command_line
        from edensim.cli.outputs import show_warning
    except KeyboardInterrupt:  # while loading: nothing has begun
        return 130

    warnings.showwarning = show_warning  # type: ignore[assignment]
    return run_command_line(list(sys.argv[1:] if arguments is None else arguments))


if __name__ == "__main__":
    sys.exit(main())
