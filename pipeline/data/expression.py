"""Functions of one variable, written as arithmetic. They are parsed and never run as code."""

from __future__ import annotations

import ast
import math
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

FUNCTIONS = ("sin", "cos", "exp", "log", "sqrt", "abs", "tanh")
_CONSTANTS = {"pi": math.pi}
_OPERATORS = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.Pow: "power",
    ast.USub: "negative",
}
_MAX_CHARACTERS, _MAX_DEPTH, _MAX_EXPONENT = 200, 20, 100


class ExpressionError(ValueError):
    """A text is no expression; the message says where and why."""


def check_expression(text: str) -> None:
    """Check that a text is an expression of x.

    It may have numbers, `x`, `pi`, + - * / **, brackets and the names in `FUNCTIONS`.

    Raises:
        ExpressionError: if it is none, or too long, too deep, or has too large an exponent.
    """
    _check(_parse(text), depth=0)


def evaluate(text: str, x: np.ndarray) -> np.ndarray:
    """Return the values of an expression, float64 (n,); they may be infinite or NaN.

    Args:
        text: an expression that `check_expression` accepts.
        x: float64 (n,), where to evaluate it.

    Raises:
        ExpressionError: as `check_expression`.
    """
    import numpy as np

    check_expression(text)
    with np.errstate(all="ignore"):
        return np.asarray(np.broadcast_to(_evaluate(_parse(text), x), x.shape), np.float64)


def _parse(text: str) -> ast.expr:
    if len(text) > _MAX_CHARACTERS:
        raise ExpressionError(f"it has {len(text)} characters, more than {_MAX_CHARACTERS}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as that a number is no function
            return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ExpressionError(f"column {error.offset or len(text) + 1}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError):
        raise ExpressionError("it cannot be parsed") from None


def _check(node: ast.expr, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise _error(node, f"it is nested more than {_MAX_DEPTH} deep")
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            if not _is_finite(value):
                raise _error(node, "the number is too large")
        case ast.Name(id=name):
            if name != "x" and name not in _CONSTANTS:
                known = ", ".join(("x", *_CONSTANTS, *FUNCTIONS))
                raise _error(node, f"{name} is unknown. Expected one of: {known}")
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            _check(operand, depth + 1)
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            _check(left, depth + 1)
            _check(right, depth + 1)
            if isinstance(operator, ast.Pow):
                _check_exponent(right)
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in FUNCTIONS:
            _check(argument, depth + 1)
        case ast.Call(func=ast.Name(id=name)) if name in FUNCTIONS:
            raise _error(node, f"{name} takes one value")
        case _:
            known = ", ".join(FUNCTIONS)
            raise _error(node, f"expected numbers, x, pi, + - * / ** and the functions {known}")


def _check_exponent(node: ast.expr) -> None:
    inner = node.operand if isinstance(node, ast.UnaryOp) else node
    if not isinstance(inner, ast.Constant):
        raise _error(node, "expected a number as the exponent")
    if inner.value > _MAX_EXPONENT:  # type: ignore[operator]
        raise _error(node, f"the exponent is above {_MAX_EXPONENT}")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _error(node: ast.expr, reason: str) -> ExpressionError:
    return ExpressionError(f"column {node.col_offset + 1}: {reason}")


def _evaluate(node: Any, x: np.ndarray) -> Any:
    """Return the value of a node that was checked."""
    import numpy as np

    match node:
        case ast.Constant(value=int() | float() as value):
            return np.float64(value)
        case ast.Name(id=name):
            return x if name == "x" else np.float64(_CONSTANTS[name])
        case ast.UnaryOp(operand=operand):
            return -_evaluate(operand, x)
        case ast.BinOp(left=left, op=operator, right=right):
            compute = getattr(np, _OPERATORS[type(operator)])
            return compute(_evaluate(left, x), _evaluate(right, x))
        case ast.Call(func=ast.Name(id=name), args=[argument]):
            return getattr(np, name)(_evaluate(argument, x))
    raise AssertionError(ast.dump(node))
