"""One report in three forms: Markdown (the text), HTML (the same, self-contained, its pictures inside), JSON (the figures)."""

from __future__ import annotations

import base64
import html
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edensim._version import __version__
from edensim.files import save_text
from edensim.plots.style import save, styled
from edensim.reproduction.published import published
from edensim.reproduction.section import Row, Section, Table

if TYPE_CHECKING:
    from edensim.reproduction.reproduce import Reproduction

TITLE: Final = "EDEN, reproduced with edensim"
#: No script, no font and no picture from elsewhere: the page opens offline.
STYLE: Final = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; border-bottom: 1px solid #ddd; padding-bottom: .2rem; }
table { border-collapse: collapse; margin: 1rem 0; font-size: .85rem; display: block; overflow-x: auto; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #e5e5e5; text-align: left; vertical-align: top; }
th { background: #f5f5f5; } td { font-variant-numeric: tabular-nums; }
img { max-width: 100%; height: auto; display: block; margin: 1rem 0; }
code { background: #f2f2f2; padding: 0 .2rem; }
"""


def write(result: Reproduction, folder: Path) -> None:
    """report.md, report.html, report.json and figures/*.svg; each whole or not at all."""
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    with styled():
        for section in result.sections:
            for picture in section.pictures:
                save(picture.draw(), figures / f"{picture.name}.svg")
    text = markdown(result)
    save_text(folder / "report.md", text)
    save_text(folder / "report.html", page(text, figures))
    save_text(
        folder / "report.json", json.dumps(result.to_dict(), indent=1, allow_nan=False) + "\n"
    )


def markdown(result: Reproduction) -> str:
    """The whole text."""
    targets = " ".join(section.name for section in result.sections)
    head = [
        f"# {TITLE}",
        f"Published figures: {published()['source']} (tables as printed, points of figures from its vector graphics). Ours: edensim "
        f"{__version__}, `edensim reproduce {targets}{' --full' if result.full else ''}`, seeds 1 to {result.seeds} where a target has seeds; "
        f"{result.cpu_s:,.0f} CPU seconds. Nothing is tuned to match; each row says what its difference is due to. Ranges are 95 % intervals.",
        "## Summary",
        rows_table([(section.title, row) for section, row in result.key_rows]),
        "## Largest disagreements",
        "\n".join(_disagreement(section, row) for section, row in largest(result)),
    ]
    return (
        "\n\n".join(head + [part for section in result.sections for part in section_text(section)])
        + "\n"
    )


def _disagreement(section: Section, row: Row) -> str:
    return f"- **{section.title}**, {row.what}: published {shown(row.published, row)}, ours {shown(row.ours, row)}: {row.why}."


def section_text(section: Section) -> list[str]:
    """A target's part."""
    parts = [f"## {section.number}. {section.title}", *section.text]
    parts += [f"![{picture.title}](figures/{picture.name}.svg)" for picture in section.pictures]
    parts.append(rows_table([("", row) for row in section.rows]))
    parts += [table_text(table) for table in section.tables]
    return parts


def rows_table(rows: list[tuple[str, Row]]) -> str:
    """Published, ours, difference, why."""
    titled = any(title for title, _ in rows)
    header = (["target"] if titled else []) + ["what", "published", "ours", "difference", "why"]
    lines = []
    for title, row in rows:
        ours = shown(row.ours, row, "none")
        if row.interval is not None and row.ours is not None:
            ours += f" ({bare(row.interval[0])} to {bare(row.interval[1])})"
        lines.append(
            [
                *([title] if titled else []),
                row.what,
                shown(row.published, row),
                ours,
                difference(row),
                row.why,
            ]
        )
    return "\n".join([_line(header), _line(["---"] * len(header)), *map(_line, lines)])


def table_text(table: Table) -> str:
    """A titled table."""
    return f"**{table.title}**\n\n" + "\n".join(
        [_line(table.header), _line(["---"] * len(table.header)), *map(_line, table.rows)]
    )


def _line(cells: object) -> str:
    assert isinstance(cells, list | tuple)
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def shown(value: float | None, row: Row, absent: str = "not given") -> str:
    """A figure with its unit."""
    return absent if value is None else f"{bare(value)} {row.unit}"


def bare(value: float) -> str:
    """Four digits."""
    return f"{value:.4g}"


def difference(row: Row) -> str:
    """A ratio for bit error rates, a difference for the rest."""
    if row.published is None or row.ours is None or row.difference is None:
        return ""
    if row.unit.startswith("BER"):
        return (
            f"x {row.ours / row.published:.3g}"
            if row.published > 0 and row.ours > 0
            else ("none" if row.published == row.ours else "")
        )
    return f"{row.difference:+.4g}"


def largest(result: Reproduction) -> list[tuple[Section, Row]]:
    """The three rows of the summary that lie farthest from what is published, by ratio; one a target."""
    found: dict[int, tuple[float, Section, Row]] = {}
    for section, row in result.key_rows:
        distance = _distance(row)
        if distance is not None and (
            section.number not in found or distance > found[section.number][0]
        ):
            found[section.number] = distance, section, row
    return [
        (section, row) for _, section, row in sorted(found.values(), key=lambda each: -each[0])[:3]
    ]


def _distance(row: Row) -> float | None:
    """Decades between ours and the published figure; of speeds near 1, between the gains."""
    if row.ours is None:
        return None
    if row.unit == "decades":
        return row.ours
    if row.published is None:
        return None
    ours, theirs = (
        (row.ours - 1, row.published - 1)
        if row.unit == "times" and row.published < 2
        else (row.ours, row.published)
    )
    return abs(math.log10(max(ours, 1e-3 * theirs) / theirs)) if theirs > 0 else None


def page(text: str, figures: Path) -> str:
    """The Markdown as one HTML file, pictures inside."""
    from markdown_it import MarkdownIt

    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    for path in sorted(figures.glob("*.svg")):
        data = base64.b64encode(path.read_bytes()).decode()
        body = body.replace(f'src="figures/{path.name}"', f'src="data:image/svg+xml;base64,{data}"')
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(TITLE)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
