"""Timing expressions such as `max(nCWL + nBL + nWTR, nCCD)`: parsed by `ast`, never evaluated as Python."""

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


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression over timing names (cycles)."""

    text: str
    names: frozenset[str]
    tree: ast.expr

    def value(self, timings: Mapping[str, int]) -> int:
        """Value in cycles. Raises ConfigError for a name that `timings` does not have."""
        for name in self.names:
            if name not in timings:
                raise ConfigError(
                    f"expression {self.text!r}: unknown timing {name!r}{nearest(name, timings)}"
                )
        return _evaluate(self.tree, timings)


@cache
def parse_expression(text: str) -> Expression:
    """Parse names, whole numbers, + - *, max() and min(). Raises ConfigError for anything else."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise ConfigError(
            f"expression {text!r} cannot be parsed; expected timing names, whole numbers, + - *, max(), min()"
        ) from None
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
            raise ConfigError(
                f"expression {text!r}: {found!r} is not accepted; expected timing names, whole numbers, + - *, max(), min()"
            )


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
