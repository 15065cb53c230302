"""A part of the report: rows of published and own figures, text, pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure


@dataclass(frozen=True)
class Row:
    """One figure, published and ours, in one unit. None: not published, or not ours to give; `why` then says why. why: what the difference is due to.

    key: a row that says in short how the target came out, and stands in the summary.
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
        """Ours less the published one, in the row's unit."""
        return None if self.published is None or self.ours is None else self.ours - self.published

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Row:
        """What `to_dict` gave."""
        ends = values["interval"]
        own = {name: values[name] for name in ("what", "published", "ours", "unit", "why", "key")}
        return cls(**own, interval=(ends[0], ends[1]) if ends is not None else None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        plain = {
            name: getattr(self, name)
            for name in ("what", "published", "ours", "difference", "unit", "why", "key")
        }
        return plain | {"interval": list(self.interval) if self.interval is not None else None}


@dataclass(frozen=True)
class Picture:
    """draw: gives the panel; name: of its file; title: what it shows, in words for those who cannot see it."""

    name: str
    title: str
    draw: Callable[[], SubFigure]


@dataclass(frozen=True)
class Table:
    """A table that is no comparison row by row."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Section:
    """One target. text: paragraphs (Markdown); runs: what was run at which configuration and seeds."""

    number: int
    name: str
    title: str
    rows: Sequence[Row]
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    runs: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; pictures by the name of their file."""
        return {
            "number": self.number,
            "name": self.name,
            "title": self.title,
            "rows": [row.to_dict() for row in self.rows],
            "text": list(self.text),
            "tables": [
                {
                    "title": table.title,
                    "header": list(table.header),
                    "rows": [list(row) for row in table.rows],
                }
                for table in self.tables
            ],
            "pictures": [f"{picture.name}.svg" for picture in self.pictures],
            "runs": dict(self.runs),
        }
