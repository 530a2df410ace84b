"""Numbers that stand in the cells of a table, or in a request."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.errors import BadInputError, escape_unprintable

_MAX_FLOAT32 = 3.4e38
_SHOWN = 40  # characters


def parse_number(value: Any) -> float:
    """Return a value as a number.

    Args:
        value: a number, or a string such as `-1.5e3`.

    Raises:
        BadInputError: if it is no finite number in float32.
    """
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not abs(number) <= _MAX_FLOAT32:
        shown = "nothing" if value in (None, "") else escape_unprintable(str(value)[:_SHOWN])
        raise BadInputError(f"expected a number. Received: {shown}")
    return number


def parse_numbers(values: Sequence[Any], names: Sequence[str]) -> np.ndarray:
    """Return the numbers of an example, float32 (n,).

    Args:
        values: as `parse_number` takes them.
        names: of the numbers, in their order.

    Raises:
        BadInputError: if they are too few or too many, or one is no number.
    """
    if len(values) != len(names):
        expected = f"{len(names)} numbers, {', '.join(names)}"
        raise BadInputError(f"expected {expected}. Received: {len(values)}")
    numbers = []
    for name, value in zip(names, values, strict=True):
        try:
            numbers.append(parse_number(value))
        except BadInputError as error:
            raise BadInputError(f"{name}: {error}") from None
    return np.array(numbers, np.float32)
