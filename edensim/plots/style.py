"""Give pictures one style, readable in grey and by the colour-blind, and write them.

The same data give the same bytes.
"""

import io
import re
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from edensim._version import __version__
from edensim.exceptions import InputError, nearest
from edensim.files import save_bytes

#: The colours of Okabe and Ito, ordered so that neighbours differ in lightness too.
BLUE, ORANGE, GREEN, YELLOW, VERMILLION, SKY, PURPLE, BLACK = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#F0E442",
    "#D55E00",
    "#56B4E9",
    "#CC79A7",
    "#000000",
)
COLOURS: Final = (BLUE, ORANGE, GREEN, SKY, VERMILLION, YELLOW, PURPLE, BLACK)
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES: Final = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 3)))
HATCHES: Final = ("", "///", "...", "\\\\\\", "xxx", "", "++", "---")
GREY: Final = "#666666"
#: Number of different looks; more series cannot be told apart.
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
    """Give all that is drawn and saved inside one style, whatever the user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)  # type: ignore[arg-type]
        yield


def new_figure(width: float, height: float, caption: str) -> SubFigure:
    """Return an empty panel (inches) above a caption in small print.

    Its figure belongs to no window and no global list.
    """
    lines = textwrap.wrap(caption, int(width * 19.5), break_on_hyphens=False)
    strip = 0.08 + 0.135 * len(lines)
    figure = Figure(figsize=(width, height + strip), layout="constrained")
    panels = figure.subfigures(2, 1, height_ratios=[height, strip], hspace=0, squeeze=False)
    panel, below = panels[0, 0], panels[1, 0]
    assert isinstance(panel, SubFigure)
    below.text(
        0.08 / width, 0.5, "\n".join(lines), size=6.5, color="#444444", va="center", linespacing=1.4
    )
    return panel


def new_axes(width: float, height: float, caption: str) -> tuple[SubFigure, Axes]:
    """Return a panel as `new_figure` does, with axes in it."""
    panel = new_figure(width, height, caption)
    return panel, panel.add_subplot()


def mark_at(axes: Axes, x: float, text: str, colour: str) -> None:
    """Draw a vertical line with its name along it."""
    axes.axvline(x, color=colour, lw=1.2, ls=(0, (4, 2)))
    ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1}
    top: dict[str, Any] = {
        "xycoords": ("data", "axes fraction"),
        "textcoords": "offset points",
        "rotation": 90,
        "va": "top",
    }
    axes.annotate(text, (x, 1), (3, -3), size=7, bbox=ground, **top)


def whole(panel: SubFigure) -> Figure:
    """Return the figure that a panel is part of."""
    figure = panel.get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure


def clock_scale(period_ns: float) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return functions from cycles to ns and back, for a second axis."""
    return lambda cycles: cycles * period_ns, lambda ns: ns / period_ns


def add_legend(panel: SubFigure, *, title: str | None = None) -> None:
    """Add one legend below a panel, with as many columns as there is room for."""
    names = [name for axes in panel.axes for name in axes.get_legend_handles_labels()[1]]
    columns = max(
        1, int(whole(panel).get_figwidth() * 72 / (max(map(len, names), default=1) * 4.6 + 34))
    )
    panel.legend(
        loc="outside lower center", ncols=min(columns, len(names)), title=title, title_fontsize=8
    )


def check_suffix(path: Path) -> None:
    """Raise InputError unless a picture can be written under this name."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{path}: expected a name ending in {', '.join(SUFFIXES)}, "
            f"found {path.suffix!r}{nearest(path.suffix, SUFFIXES)}"
        )


def save(panel: SubFigure, path: Path) -> None:
    """Write a picture as PNG, SVG or PDF by its suffix, whole or not at all.

    No date goes into it. Raises InputError if the file cannot be written.
    """
    suffix = path.suffix.lower().removeprefix(".")
    maker = f"edensim {__version__}"
    metadata: dict[str, dict[str, str | None]] = {
        "png": {"Software": maker},
        "svg": {"Date": None, "Creator": maker},
        "pdf": {"CreationDate": None, "Creator": maker, "Producer": None},
    }
    content = io.BytesIO()
    whole(panel).savefig(content, format=suffix, metadata=metadata[suffix])
    save_bytes(path, _plain_ids(content.getvalue()) if suffix == "svg" else content.getvalue())


def _plain_ids(svg: bytes) -> bytes:
    """Replace the ids of clipping areas by numbers.

    Matplotlib makes them from coordinates, whose last digits differ between equal layouts.
    """
    numbers: dict[bytes, bytes] = {}
    return re.sub(
        rb"\bp[0-9a-f]{10}\b",
        lambda match: numbers.setdefault(match[0], b"clip%d" % len(numbers)),
        svg,
    )
