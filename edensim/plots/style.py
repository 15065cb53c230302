"""How pictures look and how they are written: one style, readable in grey and by the colour-blind, the same bytes for the same data."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edensim import __version__
from edensim.exceptions import InputError, nearest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Okabe and Ito's colours, ordered so that neighbours differ in lightness too.
BLUE, ORANGE, GREEN, YELLOW, VERMILLION, SKY, PURPLE, BLACK = "#0072B2", "#E69F00", "#009E73", "#F0E442", "#D55E00", "#56B4E9", "#CC79A7", "#000000"
COLOURS: Final = (BLUE, ORANGE, GREEN, SKY, VERMILLION, YELLOW, PURPLE, BLACK)
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES: Final = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 3)))
HATCHES: Final = ("", "///", "...", "\\\\\\", "xxx", "", "++", "---")
GREY: Final = "#666666"
#: Distinct looks; more series than that cannot be told apart.
LOOKS: Final = len(COLOURS)

SUFFIXES: Final = (".png", ".svg", ".pdf")

_STYLE: Final[dict[str, Any]] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters everywhere
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "hatch.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "svg.hashsalt": "edensim",
    "pdf.fonttype": 42,
    "axes.formatter.useoffset": False,
}


@contextmanager
def styled() -> Iterator[None]:
    """Everything drawn and saved inside looks the same, whatever the user's matplotlibrc says."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def new_figure(width: float = 6.4, height: float = 4.2) -> Figure:
    """An empty figure (inches). It belongs to no window and no global list."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def add_caption(figure: Figure, text: str) -> None:
    """What was run, in small print below the picture, wrapped to its width."""
    characters = int(figure.get_figwidth() * 18.5)
    figure.supxlabel("\n".join(textwrap.wrap(text, characters, break_on_hyphens=False)), x=0.012, ha="left", fontsize=6.5, color="#444444", linespacing=1.4)


def check_suffix(path: Path) -> None:
    """Raise InputError unless a picture can be written under this name."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: expected a name ending in {', '.join(SUFFIXES)}, found {path.suffix!r}{nearest(path.suffix, SUFFIXES)}")


def save(figure: Figure, path: Path) -> None:
    """Write a figure, whole or not at all; PNG, SVG or PDF by suffix. Neither date nor program version goes into it. Raises InputError."""
    from edensim.results import save_bytes

    suffix = path.suffix.lower().removeprefix(".")
    maker = f"edensim {__version__}"
    metadata: dict[str, dict[str, str | None]] = {
        "png": {"Software": maker},
        "svg": {"Date": None, "Creator": maker},
        "pdf": {"CreationDate": None, "Creator": maker, "Producer": None},
    }
    content = io.BytesIO()
    figure.savefig(content, format=suffix, metadata=metadata[suffix])
    save_bytes(path, content.getvalue())
