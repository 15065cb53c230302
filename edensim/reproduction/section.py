"""Hold the content of the report: rows of published and own figures, text, pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from edensim._version import __version__
from edensim.reproduction.published import published

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure


@dataclass(frozen=True)
class Row:
    """One figure, published and ours, in one unit.

    Attributes
    ----------
    what : str
        What the figure is.
    published, ours : float or None
        The two values; None if it was not published, or we cannot give it.
    unit : str
        Unit of both.
    why : str
        The reason for the difference, or for a missing value.
    interval : tuple of float, optional
        95 % interval of ours.
    key : bool
        Whether the row stands in the summary.
    """

    what: str
    published: float | None
    ours: float | None
    unit: str
    why: str = ""
    interval: tuple[float, float] | None = None
    key: bool = False

    @property
    def difference(self) -> float | None:
        """Ours less the published figure, in the row's unit."""
        return None if self.published is None or self.ours is None else self.ours - self.published

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Row:
        """Return the row that `to_dict` described."""
        fields = {name: value for name, value in values.items() if name != "difference"}
        return cls(**fields | {"interval": values["interval"] and tuple(values["interval"])})

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain values."""
        names = ("what", "published", "ours", "difference", "unit", "why", "key", "interval")
        values = {name: getattr(self, name) for name in names}
        return values | {"interval": self.interval and list(self.interval)}


@dataclass(frozen=True)
class Picture:
    """A picture: the name of its file, what it shows in words, and how it is drawn."""

    name: str
    title: str
    draw: Callable[[], SubFigure]


@dataclass(frozen=True)
class Table:
    """A table of text that does not compare row by row."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Content:
    """What stands in the report about one target.

    The text is paragraphs of Markdown, and `runs` says at which operating point and seed each
    task ran.
    """

    rows: Sequence[Row]
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    runs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Section(Content):
    """The part of the report on one target, with the target's number and names."""

    number: int
    name: str
    title: str

    def to_dict(self) -> dict[str, Any]:
        """Return the section as plain values, with the file name of each picture."""
        return {
            "number": self.number,
            "name": self.name,
            "title": self.title,
            "rows": [row.to_dict() for row in self.rows],
            "text": list(self.text),
            "tables": [asdict(table) for table in self.tables],
            "pictures": [f"{picture.name}.svg" for picture in self.pictures],
            "runs": dict(self.runs),
        }


@dataclass(frozen=True)
class Reproduction:
    """The whole report.

    Attributes
    ----------
    sections : tuple of Section
        One for each target.
    full : bool
        Whether the data sets that edensim does not bring were used.
    seeds : int
        Number of seeds of a target that has seeds.
    cpu_s : float
        CPU seconds of all tasks, including those of earlier runs.
    """

    sections: tuple[Section, ...]
    full: bool
    seeds: int
    cpu_s: float

    @property
    def key_rows(self) -> list[tuple[Section, Row]]:
        """The rows of the summary, with their sections."""
        return [(section, row) for section in self.sections for row in section.rows if row.key]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, which report.json holds."""
        return {
            "format": "edensim-reproduction-1",
            "source": published()["source"],
            "version": __version__,
            "full": self.full,
            "seeds": list(range(1, self.seeds + 1)),
            "cpu_s": self.cpu_s,
            "sections": [section.to_dict() for section in self.sections],
        }
