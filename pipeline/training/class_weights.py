"""The key `training.class_weight` of a recipe: weights of the classes in the training loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from pipeline.config import Expected, PositiveFloat32
from pipeline.suggestions import did_you_mean

if TYPE_CHECKING:
    import numpy as np

ClassWeight = Annotated[
    Literal["none", "balanced"] | Annotated[dict[str, PositiveFloat32], Field(min_length=1)],
    Expected("none, balanced, or weights above 0 by class, such as {cats: 1, dogs: 3}"),
]


def unknown_class(class_weight: ClassWeight, class_names: Sequence[str]) -> tuple[str, str] | None:
    """Return the first name that is no class and what is wrong with it, None without one."""
    for name in class_weight if isinstance(class_weight, dict) else ():
        if name not in class_names:
            available = f"Available: {', '.join(class_names)}."
            hint = did_you_mean(name, class_names)
            return name, f"the data has no such class. {available}{hint}"
    return None


def class_weights(
    class_weight: ClassWeight, counts: np.ndarray, class_names: Sequence[str]
) -> np.ndarray | None:
    """Return the weight of each class, float32 (classes,), None where all are equal.

    The mean weight of the training images is 1, so that the loss keeps its scale and the learning
    rate its meaning. Balanced weights are those of scikit-learn: the number of images, divided by
    the number of classes times the number of images of the class.

    Args:
        class_weight: the value of the key.
        counts: int (classes,), how often an epoch has each class.
        class_names: in the order of the labels.
    """
    import numpy as np

    if class_weight == "none":
        return None
    present = counts > 0
    weights = np.ones(len(counts))
    if isinstance(class_weight, dict):
        weights[:] = [class_weight.get(name, 1.0) for name in class_names]
    else:
        weights[present] = 1 / counts[present]
    weights *= counts.sum() / np.sum(weights * counts)
    return weights.astype(np.float32)
