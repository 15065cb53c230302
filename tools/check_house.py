"""Check the rules of the package that neither ruff nor import-linter knows.

    python tools/check_house.py

- No file takes part in an import circle, imports inside functions and for type checkers included.
- No file imports from `edensim` itself: a name comes from the module that defines it.
- No function has more than 60 lines or 8 parameters. A function that must be longer or wider says
  why on the line of its `def`: `# long: REASON`, `# noqa: PLR0913 REASON`.
- The package has at most 22 rooms (modules and packages at its top level).
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "edensim"
MOST_LINES = 60
MOST_PARAMETERS = 8
MOST_ROOMS = 22


def module_name(path: Path) -> str:
    """Name the module of a file by its dotted path."""
    parts = (PACKAGE.name, *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


def imports_of(tree: ast.Module, modules: set[str]) -> Iterator[str]:
    """List the modules of the package that a file imports anywhere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module in modules:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in modules else node.module


def circle_problems(trees: dict[str, ast.Module]) -> Iterator[str]:
    """Report import circles one by one, each without the circles reported before it."""
    graph = {name: set(imports_of(tree, {*trees})) - {name} for name, tree in trees.items()}
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as exception:
            circle = exception.args[1][::-1]
            yield f"import circle: {' -> '.join(circle)}"
            graph[circle[0]].discard(circle[1])
        else:
            return


def facade_problems(name: str, tree: ast.Module) -> Iterator[str]:
    """Report imports from the package's public face."""
    for node in ast.walk(tree):
        if (isinstance(node, ast.ImportFrom) and node.module == PACKAGE.name) or (
            isinstance(node, ast.Import) and any(a.name == PACKAGE.name for a in node.names)
        ):
            yield f"{name}:{node.lineno}: imports from {PACKAGE.name} itself"


def size_problems(name: str, tree: ast.Module, lines: list[str]) -> Iterator[str]:
    """Report functions that are too long or have too many parameters."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        assert node.end_lineno is not None
        length = node.end_lineno - node.lineno + 1
        arguments = node.args
        width = len(arguments.posonlyargs + arguments.args + arguments.kwonlyargs)
        definition = lines[node.lineno - 1]
        if length > MOST_LINES and "# long:" not in definition:
            yield f"{name}:{node.lineno}: {node.name} has {length} lines"
        if width > MOST_PARAMETERS and "noqa: PLR0913" not in definition:
            yield f"{name}:{node.lineno}: {node.name} has {width} parameters"


def main() -> int:
    """Print every problem; the exit status says whether there is one."""
    texts = {module_name(path): path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}
    trees = {name: ast.parse(text) for name, text in texts.items()}
    problems = list(circle_problems(trees))
    for name, tree in trees.items():
        problems += facade_problems(name, tree)
        problems += size_problems(name, tree, texts[name].splitlines())
    rooms = {name.split(".")[1] for name in trees if "." in name and ".__" not in name}
    rooms = {room for room in rooms if not room.startswith("_")}
    if len(rooms) > MOST_ROOMS:
        problems.append(f"{len(rooms)} rooms, at most {MOST_ROOMS}: {', '.join(sorted(rooms))}")
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    sys.stdout.write(f"{len(trees)} files, {len(rooms)} rooms, {len(problems)} problems\n")
    return bool(problems)


if __name__ == "__main__":
    raise SystemExit(main())
