"""Write one report in three forms: Markdown, HTML (one file with its pictures inside) and JSON."""

import base64
import json
import math
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

from edensim._version import __version__
from edensim.files import save_text
from edensim.plots.style import save, styled
from edensim.reproduction.published import published
from edensim.reproduction.section import Reproduction, Row, Section

TITLE: Final = "EDEN, reproduced with edensim"

#: The header and the rows of a table, as text.
Cells = tuple[Sequence[str], Sequence[Sequence[str]]]


def write(result: Reproduction, folder: Path) -> None:
    """Write report.md, report.html, report.json and figures/*.svg; each whole or not at all."""
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    with styled():
        for section in result.sections:
            for picture in section.pictures:
                save(picture.draw(), figures / f"{picture.name}.svg")
    save_text(folder / "report.md", markdown(result))
    save_text(folder / "report.html", html(result, figures))
    save_text(
        folder / "report.json", json.dumps(result.to_dict(), indent=1, allow_nan=False) + "\n"
    )


def markdown(result: Reproduction) -> str:
    """Return the report as Markdown."""
    parts = [
        f"# {TITLE}",
        _introduction(result),
        "## Summary",
        markdown_table(*_summary(result)),
        "## Largest disagreements",
        "\n".join(f"- {line}" for line in _disagreements(result)),
    ]
    for section in result.sections:
        parts += [f"## {section.number}. {section.title}", *section.text]
        parts += [f"![{picture.title}](figures/{picture.name}.svg)" for picture in section.pictures]
        parts.append(markdown_table(*comparison_cells([("", row) for row in section.rows])))
        for table in section.tables:
            parts += [f"**{table.title}**", markdown_table(table.header, table.rows)]
    return "\n\n".join(parts) + "\n"


def html(result: Reproduction, figures: Path) -> str:
    """Return the report as one HTML page, with the pictures of a folder inside."""
    from jinja2 import Environment
    from markupsafe import Markup, escape

    def inline(text: str) -> Markup:
        """Mark the code and the bold words of a Markdown text."""
        marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))
        return Markup(re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", marked))

    def embedded(name: str) -> str:
        data = base64.b64encode((figures / f"{name}.svg").read_bytes()).decode()
        return f"data:image/svg+xml;base64,{data}"

    environment = Environment(autoescape=True, trim_blocks=True, keep_trailing_newline=True)
    environment.filters |= {"inline": inline, "embedded": embedded}
    template = files("edensim.reproduction").joinpath("report.html.jinja")
    return environment.from_string(template.read_text(encoding="utf-8")).render(
        title=TITLE,
        introduction=_introduction(result),
        summary=_summary(result),
        disagreements=_disagreements(result),
        sections=result.sections,
        cells=lambda rows: comparison_cells([("", row) for row in rows]),
    )


def _introduction(result: Reproduction) -> str:
    targets = " ".join(section.name for section in result.sections)
    return (
        f"Published figures: {published()['source']} (tables as printed, points of figures from "
        f"its vector graphics). Ours: edensim {__version__}, `edensim reproduce {targets}"
        f"{' --full' if result.full else ''}`, seeds 1 to {result.seeds} where a target has seeds; "
        f"{result.cpu_s:,.0f} CPU seconds. Nothing is tuned to match; each row says what its "
        "difference is due to. Ranges are 95 % intervals."
    )


def _summary(result: Reproduction) -> Cells:
    return comparison_cells([(section.title, row) for section, row in result.key_rows])


def _disagreements(result: Reproduction) -> list[str]:
    return [
        f"**{section.title}**, {row.what}: published {with_unit(row.published, row)}, "
        f"ours {with_unit(row.ours, row)}: {row.why}."
        for section, row in largest_disagreements(result)
    ]


def comparison_cells(rows: Sequence[tuple[str, Row]]) -> Cells:
    """Return titled rows as cells: published, ours, difference, why."""
    titled = any(title for title, _ in rows)
    header = (["target"] if titled else []) + ["what", "published", "ours", "difference", "why"]
    cells = []
    for title, row in rows:
        ours = with_unit(row.ours, row, "none")
        if row.interval is not None and row.ours is not None:
            ours += f" ({row.interval[0]:.4g} to {row.interval[1]:.4g})"
        comparison = [row.what, with_unit(row.published, row), ours, difference(row), row.why]
        cells.append(([title] if titled else []) + comparison)
    return header, cells


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def with_unit(value: float | None, row: Row, missing: str = "not given") -> str:
    """Return a figure of a row, four digits and its unit."""
    return missing if value is None else f"{value:.4g} {row.unit}"


def difference(row: Row) -> str:
    """Return the ratio of two bit error rates, or the difference of other figures."""
    if row.published is None or row.ours is None:
        return ""
    if not row.unit.startswith("BER"):
        return f"{row.ours - row.published:+.4g}"
    if row.published > 0 and row.ours > 0:
        return f"x {row.ours / row.published:.3g}"
    return "none" if row.published == row.ours else ""


def largest_disagreements(result: Reproduction) -> list[tuple[Section, Row]]:
    """Return the three targets farthest from the paper, each with its farthest row."""
    farthest: dict[int, tuple[float, Section, Row]] = {}
    for section, row in result.key_rows:
        distance = _distance(row)
        if distance is not None and distance > farthest.get(section.number, (-1.0,))[0]:
            farthest[section.number] = distance, section, row
    ordered = sorted(farthest.values(), key=lambda entry: -entry[0])
    return [(section, row) for _, section, row in ordered[:3]]


def _distance(row: Row) -> float | None:
    """Return the decades between both figures, or between the gains of speeds near 1."""
    if row.ours is None or row.unit == "decades":
        return row.ours
    if row.published is None:
        return None
    base = 1 if row.unit == "times" and row.published < 2 else 0
    ours, theirs = row.ours - base, row.published - base
    return abs(math.log10(max(ours, 1e-3 * theirs) / theirs)) if theirs > 0 else None
