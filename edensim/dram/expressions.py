"""Timing expressions such as `max(nCWL + nBL + nWTR, nCCD)`.

`ast` parses them; they are never evaluated as Python.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from edensim.exceptions import ConfigError, nearest

_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
}
_FUNCTIONS: dict[str, Callable[..., int]] = {"max": max, "min": min}
_EXPECTED = "expected timing names, whole numbers, + - *, max(), min()"

#: Longest text, and largest size of a value in cycles, that an expression may have.
MOST_CHARACTERS = 300
MOST_CYCLES = 10**12


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression over timing names (cycles)."""

    text: str
    names: frozenset[str]
    tree: ast.expr

    def value(self, timings: Mapping[str, int]) -> int:
        """Return the value in cycles.

        Raises ConfigError for a name that `timings` does not have, and for a value beyond
        `MOST_CYCLES`.
        """
        for name in self.names:
            if name not in timings:
                raise ConfigError(
                    f"expression {self.text!r}: unknown timing {name!r}{nearest(name, timings)}"
                )
        cycles = _evaluate(self.tree, timings)
        if abs(cycles) > MOST_CYCLES:
            raise ConfigError(
                f"expression {self.text!r}: expected at most {MOST_CYCLES} cycles, found more"
            )
        return cycles


@cache
def parse_expression(text: str) -> Expression:
    """Parse names, whole numbers, + - *, max() and min(). Raises ConfigError for anything else."""
    if len(text) > MOST_CHARACTERS:
        raise ConfigError(
            f"expression {text[:40]!r}... has {len(text)} characters; "
            f"expected at most {MOST_CHARACTERS}"
        )
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ConfigError(f"expression {text!r} cannot be parsed; {_EXPECTED}") from None
    names: set[str] = set()
    _check(tree, text, names)
    return Expression(text, frozenset(names), tree)


def _check(node: ast.expr, text: str, names: set[str]) -> None:
    match node:
        case ast.Name(id=name):
            names.add(name)
        case ast.Constant(value=int()) if not isinstance(node.value, bool):
            pass
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            _check(left, text, names)
            _check(right, text, names)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            _check(operand, text, names)
        case ast.Call(func=ast.Name(id=function), args=arguments, keywords=[]) if (
            function in _FUNCTIONS and len(arguments) >= 2
        ):
            for argument in arguments:
                _check(argument, text, names)
        case _:
            found = ast.unparse(node)
            raise ConfigError(f"expression {text!r}: {found!r} is not accepted; {_EXPECTED}")


def _evaluate(node: ast.expr, timings: Mapping[str, int]) -> int:
    match node:
        case ast.Name(id=name):
            return timings[name]
        case ast.Constant(value=int() as number):
            return number
        case ast.BinOp(left=left, op=operator, right=right):
            return _OPERATORS[type(operator)](_evaluate(left, timings), _evaluate(right, timings))
        case ast.UnaryOp(operand=operand):
            return -_evaluate(operand, timings)
        case ast.Call(func=ast.Name(id=function), args=arguments):
            return _FUNCTIONS[function](*(_evaluate(argument, timings) for argument in arguments))
        case _:  # _check let nothing else pass
            raise AssertionError(ast.dump(node))
