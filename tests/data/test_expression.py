"""Functions of one variable, as a recipe writes them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.data.expression import ExpressionError, check_expression, evaluate

X = np.linspace(0.1, 2.0, 7)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.2 + 0.4*x**2 + 0.3*x*sin(15*x)", 0.2 + 0.4 * X**2 + 0.3 * X * np.sin(15 * X)),
        ("-x ** 2", -(X**2)),
        ("2", np.full(7, 2.0)),
        ("x ** -1 - 1 / x", np.zeros(7)),
        ("exp(log(x)) * cos(pi)", -X),
        ("sqrt(abs(-x)) + tanh(x)", np.sqrt(X) + np.tanh(X)),
        (" 1e-3 * (x - 1) ", 1e-3 * (X - 1)),
    ],
)
def test_it_has_the_values_of_its_arithmetic(text: str, expected: np.ndarray) -> None:
    values = evaluate(text, X)
    assert (values.dtype, values.shape) == (np.float64, (7,))
    np.testing.assert_allclose(values, expected, atol=1e-12)


def test_where_it_is_undefined_it_is_not_finite() -> None:
    values = evaluate("log(x) / 0", np.array([-1.0, 2.0]))
    assert math.isnan(values[0])
    assert values[1] == math.inf


KNOWN = "sin, cos, exp, log, sqrt, abs, tanh"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2 * y", f"column 5: y is unknown. Expected one of: x, pi, {KNOWN}"),
        ("sin", f"column 1: sin is unknown. Expected one of: x, pi, {KNOWN}"),
        ("sin(x, 2)", "column 1: sin takes one value"),
        ("sin(x=2)", "column 1: sin takes one value"),
        ("x ** 101", "column 6: the exponent is above 100"),
        ("x ** 9 ** 9", "column 6: expected a number as the exponent"),
        ("1e999", "column 1: the number is too large"),
        ("-" * 30 + "x", "column 22: it is nested more than 20 deep"),
        ("x" * 201, "it has 201 characters, more than 200"),
        ("x +", "column 4: invalid syntax"),
    ],
)
def test_what_is_none_is_an_error_with_its_column(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        check_expression(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "x.real",
        "x[0]",
        "(lambda: x)()",
        "[x for x in 'x']",
        "x if x else 1",
        "x < 1",
        "x // 2",
        "x @ x",
        "~x",
        "+x",
        "not x",
        "True",
        "1j",
        "'x'",
        "f'{x}'",
        "(x := 1)",
        "exp.__call__(x)",
        "sin(*x)",
        "x, x",
    ],
)
def test_nothing_but_arithmetic_is_an_expression(text: str) -> None:
    with pytest.raises(ExpressionError, match=r"^column "):
        check_expression(text)
