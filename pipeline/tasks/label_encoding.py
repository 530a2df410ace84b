"""How the labels of images become the targets of an output layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LabelEncoding:
    """How the labels of a batch become the targets of an output layer, within TensorFlow.

    Attributes:
        width: of dense labels, such as the number of classes.
        dense: maps the labels of images, as a split has them, to dense ones, float32 (n, width).
            Dense labels, which augmentation may have mixed, stay as they are.
        targets: maps images, as the model takes them, and dense labels to what the outputs are
            compared with, float32 (n, units) or, if they are images, of their shape.
    """

    width: int
    dense: Callable[[Any], Any]
    targets: Callable[[Any, Any], Any]
